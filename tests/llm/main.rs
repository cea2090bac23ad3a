//! Models against real counterparts: HTTP servers on loopback, programs, files.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at the real machine, and their helpers may fail"
)]

mod anthropic;
mod broken;
mod openai;
mod programs;
mod recordings;
mod support;
