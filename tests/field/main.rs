//! What people reported from the field, one module per kind of fault.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at the real disk, start real processes, and what fails there fails the test"
)]

mod plans;
mod replies;
mod repositories;
mod sample;
mod terminal;

#[path = "../support/environment.rs"]
mod environment;
