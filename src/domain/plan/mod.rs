//! Plans: a directed graph of tasks, how it is read, when each task may start, and what became of it.
//!
//! * [`node`] is a YAML document with the place of every value; [`scalar`] says what a plain word means;
//! * [`read`] turns nodes into a [`Plan`] or the first [`Fault`], with its place and a remedy;
//! * [`doubts`] names what is allowed and probably not meant;
//! * [`graph`] knows who depends on whom; [`schedule`] decides what starts next and what is skipped;
//! * [`explain`] says in a sentence why a task is what it is;
//! * [`event`] is what the run log holds, [`mod@line`] one line of it; [`state`] is the fold over it, the only account of a run.

mod connect;
pub mod doubts;
pub mod event;
mod expand;
pub mod explain;
mod field;
mod fields;
pub mod graph;
pub mod line;
pub mod node;
pub mod read;
pub mod read_agent;
mod read_extra;
pub mod run_id;
pub mod scalar;
pub mod schedule;
pub mod state;
pub mod task;
pub mod view;
pub mod when;
pub mod words;

pub use node::{Fault, Mark, Remedy};
pub use task::{Plan, Task, TaskIndex};
