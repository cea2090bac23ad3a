//! Decisions. No I/O, no clock, no async, no panics: values in, values out.
#![warn(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm
)]

pub mod agent;
pub mod budget;
pub mod checkpoint;
pub mod command;
pub mod confinement;
pub mod disk_record;
pub mod drill;
pub mod event;
pub mod gate;
pub mod gates;
pub mod guarded;
pub mod history;
pub mod home;
pub mod job;
pub mod ledger;
pub mod model;
pub mod night;
pub mod notification;
pub mod outcome;
pub mod plan;
pub mod policy;
pub mod process;
pub mod prompt;
pub mod proposal;
pub mod quota;
pub mod record;
pub mod redaction;
pub mod retry;
pub mod rules;
pub mod safety;
pub mod schedule;
pub mod secrets;
pub mod state;
pub mod state_folder;
pub mod text;
pub mod time;
pub mod validate;
