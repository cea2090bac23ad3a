//! The loops: each one feeds inputs to a pure state machine and performs the effect it answers with.

pub mod bus;
pub mod drill;
pub mod guarded;
pub mod job_loop;
pub mod night;
pub mod notify;
pub mod passage;
pub mod recovery;

mod perform;

pub use perform::Ports;
pub mod plan_runner;
