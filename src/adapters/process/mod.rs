//! Starting commands, capturing what they print, ending them with everything they started.
//!
//! [`LocalCommandRunner`] runs the commands of tos. `spawn` finds the program, `environment` decides which
//! variables it may see, `capture` keeps what it prints, `process_tree` knows which processes belong to it
//! and `running` stays with them until none is left. Dangers: a process id can be given to another
//! process between looking and signalling (so everything goes through pidfds and start times), and
//! a child can leave its group, its session and its parent (so descendants, tos as the reaper of
//! orphans, and a marker in the environment are all consulted).

mod capture;
mod disk_allowance;
pub(in crate::adapters) mod encoding;
mod environment;
pub(in crate::adapters) mod find_program;
mod live_input;
mod process_tree;
mod runner;
mod running;
mod session;
mod spawn;
mod standard_input;

pub(crate) use process_tree::{
    ProcessActivity, TOKEN_VARIABLE, activity_of, blocking_kill_marked, marks, variable_in,
};

pub(in crate::adapters) use session::detach;
pub(in crate::adapters) use spawn::{prepare, spawn_failure};

pub use disk_allowance::CommandDiskLimit;
pub use environment::{ALLOWED, minimal};
pub(in crate::adapters) use process_tree::{end_descendants, end_marked};
pub use runner::{CommandRunnerOptions, LocalCommandRunner};
pub use spawn::{finds_program, is_startable_program};
pub use standard_input::blocking_standard_input;
