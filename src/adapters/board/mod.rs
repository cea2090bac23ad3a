//! The board on this machine: a database of `SQLite` in `.tos/board.sqlite`.

mod logs;
mod maintenance;
mod orphans;
mod schema;
mod sqlite;

pub use logs::{LogFiles, joined_log_files};
pub use maintenance::SqliteMaintenance;
pub use orphans::blocking_end_orphans;
pub use schema::SCHEMA_VERSION;
pub use sqlite::{RebuildReport, SqliteBoard};

#[cfg(test)]
mod crash;
