//! The traits at the wall: what the inside may ask of the outside. No logic lives here.
//!
//! Each trait has an implementation in `adapters`; some have a fake in `tests`, production in `adapters` and a fake in `tests/support`.

use std::pin::Pin;

pub mod agent_runners;
pub mod approvals;
pub mod board;
pub mod board_store;
pub mod branch_merges;
pub mod checkpoints;
pub mod clock;
pub mod cluster;
pub mod containers;
pub mod drill_site;
pub mod event_sink;
pub mod github;
pub mod guard;
pub mod heartbeats;
pub mod ledger;
pub mod machine;
pub mod model;
pub mod notifier;
pub mod plan_host;
pub mod plan_store;
pub mod plan_work;
pub mod probe;
pub mod process_logs;
pub mod runner;
pub mod sandbox;
pub mod schedules;
pub mod self_process;
pub mod store;
pub mod telemetry;
pub mod terminal;
pub mod worktrees;

/// A boxed future, so that ports work behind `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
