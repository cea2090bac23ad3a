//! Coding agents on this machine: the homes and walls they run in, and the logins they bring.

pub(in crate::adapters) mod logins;
pub mod runners;
