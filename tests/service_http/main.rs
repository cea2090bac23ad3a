//! API and page over real sockets of the loopback, on a real board with a real fold.

#![expect(clippy::disallowed_methods, reason = "tests look at the real world")]

mod api;
mod browser;
mod events;
mod figures;
mod memory;
mod page;
mod schema;
mod security;
mod server;
