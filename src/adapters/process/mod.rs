//! Starting commands, capturing what they print, ending them with everything they started.
//!
//! [`CommandRunner`] is the hands of tos. `launch` finds the program, `environment` decides which
//! variables it may see, `capture` keeps what it prints, `tree` knows which processes belong to it
//! and `running` stays with them until none is left. Dangers: a process id can be given to another
//! process between looking and signalling (so everything goes through pidfds and start times), and
//! a child can leave its group, its session and its parent (so descendants, tos as the reaper of
//! orphans, and a marker in the environment are all consulted).

mod capture;
mod environment;
mod launch;
mod room;
mod runner;
mod running;
mod session;
mod tree;

pub(crate) use tree::{Activity, MARKER, activity_of, blocking_reap};

pub(in crate::adapters) use launch::{prepare, spawn_failure};
pub(in crate::adapters) use session::detach;

pub use environment::{ALLOWED, minimal};
pub use room::Room;
pub use runner::{CommandRunner, Options};
pub(in crate::adapters) use tree::{end_descendants, end_marked};
