//! What the guard needs from the machine: its log, settings of agents as files, hooks tried for real,
//! what Codex says about them, limits of its own process.

pub mod codex_server;
pub mod install_record;
pub mod limits;
pub mod log;
pub mod place;
pub mod probe;
pub mod settings_file;
