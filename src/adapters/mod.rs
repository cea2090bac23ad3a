//! The only floor that touches the world: disk, network, processes, git, clocks.
//!
//! Every adapter takes a plain option struct and implements a port; none decides anything that a
//! pure function of `domain` could decide. The fences of `clippy.toml` are lifted here and nowhere else.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the floor the fences keep the others away from"
)]

pub mod approvals;
pub mod changes;
pub mod clock;
pub mod doctor;
pub mod drill;
mod encoding;
pub mod eyes;
pub mod files;
pub mod git;
pub mod hands;
pub mod isolation;
pub mod itself;
pub mod ledger;
pub mod llm;
mod logins;
pub mod night;
pub mod notify;
pub mod plan;
pub mod probe;
pub mod process;
mod programs;
pub mod sandbox;
pub mod schedules;
pub mod signals;
pub mod state_folder;
pub mod store;
pub mod syntax;
pub mod temporary;
pub mod terminal;
