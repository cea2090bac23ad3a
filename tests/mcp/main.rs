//! `tos mcp` as clients meet it: JSON lines over standard input and output, and HTTP on loopback with a token.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at the real disk, and what fails there fails the test"
)]

mod client;
mod http;
mod tools;

#[path = "../support/repository.rs"]
mod repository;
