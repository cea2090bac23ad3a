//! Plans through the front door: the real binary, real processes, real files.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::too_many_lines,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::print_stdout,
    reason = "tests look at the real disk, start real processes and wait for them"
)]

mod bad_plans;
mod behaviour;
#[path = "../support/chance.rs"]
mod chance;
mod defects;
mod enforced;
mod floor;
mod live;
mod loader;
mod place;
mod room;
mod storm;
mod superset;
mod words;
