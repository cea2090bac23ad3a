//! A job: its loop, its events on their way to the disk, and its recovery.

pub(in crate::services) mod effects;
pub mod event_bus;
pub mod recovery;
pub mod run;
pub mod run_loop;
