//! Notifications: each service's own form of request and answer against a server on loopback, the queue that keeps what
//! has not arrived, and the program with jobs and plans that tell.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at the real disk, and what fails there fails the test"
)]

mod programs;
mod queue;
mod runs;
mod services;

#[path = "../support/program.rs"]
mod program;
