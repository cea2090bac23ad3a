//! The board on this machine: a database of `SQLite` in `.tos/board.sqlite`.

mod logs;
mod maintenance;
mod orphans;
mod schema;
mod sqlite;

pub use logs::{LogFiles, text_of_folder};
pub use maintenance::SqliteUpkeep;
pub use orphans::blocking_end_orphans;
pub use schema::SCHEMA;
pub use sqlite::{Rebuilt, SqliteBoard};

#[cfg(test)]
mod crash;
