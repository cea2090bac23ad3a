//! The only layer that touches the world: disk, network, processes, git, clocks.
//!
//! Every adapter takes a plain option struct and implements a port; none decides anything that a
//! pure function of `domain` could decide. The fences of `clippy.toml` are lifted here and nowhere else.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the floor the fences keep the others away from"
)]

pub mod agent;
pub mod board;
pub mod browser;
pub mod clock;
pub mod container;
pub mod disk;
pub mod doctor;
pub mod drill;
pub mod files;
pub mod git;
pub mod github;
pub mod guard;
pub mod job;
pub mod ledger;
pub mod memory;
pub mod model;
pub mod nats;
pub mod night;
pub mod notify;
pub mod plan;
pub mod policy;
pub mod process;
pub mod sandbox;
pub mod schedules;
pub mod self_process;
pub mod service_token;
pub mod signals;
pub mod state_folder;
pub mod telemetry;
pub mod temporary;
pub mod terminal;
pub mod validate;
