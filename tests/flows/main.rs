//! Flows: jobs from start to end on a real store, with everything that can interrupt them.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at the real disk, and what fails there fails the test"
)]

mod crash;
mod limits;
mod process;
mod properties;
mod recovery;

#[path = "../support/environment.rs"]
mod environment;
#[path = "../support/fakes.rs"]
mod fakes;
#[path = "../support/mortal.rs"]
mod mortal;
#[path = "../support/server.rs"]
mod server;
#[path = "../support/stage.rs"]
mod stage;
#[path = "../support/story.rs"]
mod story;
