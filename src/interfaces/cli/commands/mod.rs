//! One command, one file: its options, its help, what it does.

mod agent_plans;
pub mod agents;
pub mod approve;
pub mod check;
pub mod checkpoint;
pub mod checkpoint_mode;
pub mod completions;
pub mod config;
pub mod doctor;
pub mod drill;
pub mod help;
pub mod init;
pub mod isolation;
pub mod ledger;
pub mod night;
pub mod notify;
pub mod person;
pub mod phase;
pub mod plan;
pub mod policy;
pub mod review;
pub mod rollback;
pub mod run;
pub mod schedule;
pub mod status;
pub mod steps;
pub mod task;
