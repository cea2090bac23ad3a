//! The guard beside an agent, as the real program: hooks fed with what each agent hands over, settings edited byte for byte,
//! files brought back in real repositories, and every way a hook can fail.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at the real disk, and what fails there fails the test"
)]

mod bench;
mod checkpoints;
mod ends;
mod exec;
mod failing;
mod hooks;
mod install;
mod protected;
mod rules;

#[path = "../support/repository.rs"]
#[expect(dead_code, reason = "not every test needs everything of it")]
mod repository;
