//! Plans: a directed graph of tasks, how it is read, when each task may start, and what became of it.
//!
//! * [`node`] is a YAML document with the place of every value; [`scalar`] says what a plain word means;
//! * [`read`] turns nodes into a [`Plan`] or the first [`PlanError`], with its place and a remedy;
//! * [`warnings`] names what is allowed and probably not meant;
//! * [`graph`] knows who depends on whom; [`schedule`] decides what starts next and what is skipped;
//! * [`explain`] says in a sentence why a task is what it is;
//! * [`event`] is what the run log holds, [`log_line`] one line of it; [`state`] is the fold over it, the only account of a run.

pub mod event;
mod expand;
pub mod explain;
mod field;
mod fields;
pub mod graph;
pub mod log_line;
pub mod node;
pub mod read;
pub mod read_agent;
mod read_extra;
mod references;
pub mod run_id;
pub mod scalar;
pub mod schedule;
mod scope;
pub mod state;
pub mod status;
pub mod task;
pub mod view;
pub mod warnings;
pub mod when;
pub mod words;
mod written;

pub use node::{PlanError, PlanRemedy, SourcePosition};
pub use task::{Plan, PlanTask, TaskIndex};
