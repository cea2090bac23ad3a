//! Checkpoints and rollback on real repositories, with the git program as the judge.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at the real disk, and what fails there fails the test"
)]

mod bytes;
mod crash;
mod damaged;
mod equivalence;
mod hard;
mod reuse;
mod rollback;
mod spoilt;
mod state;
mod support;
mod take;
mod trees;
