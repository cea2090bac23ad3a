//! A job's records, questions and conditions on this machine.

pub mod approvals;
pub mod probe;
pub mod session_approvals;
pub mod store;
