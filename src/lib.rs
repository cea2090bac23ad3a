//! tos: runs jobs written by language models and coding agents, unattended, and lets their owner sleep.
//!
//! The layers, from people down to the machine:
//!
//! * [`interfaces`] talks to people and programs: the command line, reports.
//! * [`services`] holds the loops: which thing happens after which.
//! * [`ports`] are the traits at the wall: what the inside may ask of the outside.
//! * [`domain`] decides. No I/O, no clock, no async; values in, values out.
//! * [`adapters`] is the only layer that touches disk, network, processes and git.
//! * [`config`] turns files, environment and flags into plain settings, once.
//! * [`app`] is the only module that knows every layer; it puts them together.
//!
//! `tests/architecture` checks who may name whom; `docs/architecture.md` says why.

pub mod adapters;
pub mod app;
pub mod config;
pub mod domain;
pub mod interfaces;
pub mod ports;
pub mod services;
