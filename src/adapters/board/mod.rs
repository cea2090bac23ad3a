//! The board on this machine: a database of `SQLite` in `.tos/board.sqlite`.

#[cfg(test)]
mod crash;
mod logs;
mod schema;
mod sqlite;

pub use logs::{LogFiles, text_of_folder};
pub use schema::SCHEMA;
pub use sqlite::{Rebuilt, SqliteBoard};
