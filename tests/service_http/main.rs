//! API and page over real sockets of the loopback, on a real board with a real fold.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::needless_pass_by_value,
    clippy::unwrap_used,
    reason = "tests look at the real disk, and what fails there fails the test; values are written where they are given"
)]

mod api;
mod bad_input;
mod browser;
mod browser_flows;
mod events;
mod figures;
mod memory;
mod page;
mod schema;
mod security;
mod server;

#[path = "../support/chance.rs"]
mod chance;
