//! Decisions. No I/O, no clock, no async, no panics: values in, values out.
#![warn(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm
)]

pub mod agent;
pub mod board;
pub mod checkpoint;
pub mod cluster;
pub mod command;
pub mod drill;
pub mod gates;
pub mod github;
pub mod guard;
pub mod hash;
pub mod job;
pub mod ledger;
pub mod mcp;
pub mod model;
pub mod night;
pub mod notify;
pub mod plan;
pub mod policy;
pub mod process;
pub mod provider;
pub mod redaction;
pub mod sandbox;
pub mod schedule;
pub mod state_folder;
pub mod tasks;
pub mod telemetry;
pub mod text;
pub mod time;
pub mod validate;
