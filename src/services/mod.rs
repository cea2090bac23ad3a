//! The loops: each one feeds inputs to a pure state machine and performs the effect it answers with.

pub mod board;
pub mod drill;
pub mod guard;
pub mod job;
pub mod night;
pub mod notify;
pub mod plan;
pub mod plan_worker;
pub mod tasks;
mod worker_end;

pub use crate::services::job::effects::JobPorts;
