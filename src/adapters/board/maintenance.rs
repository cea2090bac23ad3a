//! What operators do with the database beside its writer: looking whether it is intact, and copying it.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::schema::SCHEMA_VERSION;
use crate::{adapters::files, ports::board_store::BoardMaintenance};

/// How many copies are kept.
const COPIES: usize = 5;

/// Looks after one database.
#[derive(Debug, Clone)]
pub struct SqliteMaintenance {
    file: PathBuf,
    copies: PathBuf,
}

impl SqliteMaintenance {
    /// Names the database, and the folder that copies of it go to.
    pub const fn new(file: PathBuf, copies: PathBuf) -> Self {
        Self { file, copies }
    }

    fn open(&self) -> Result<Connection, String> {
        // It is only read; the write-ahead log beside it may have to be made for that.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(&self.file, flags)
            .map_err(|error| format!("{}: {error}", self.file.display()))
    }

    /// Removes the oldest copies.
    fn trim(&self) {
        let entries = std::fs::read_dir(&self.copies).into_iter().flatten();
        let mut copies: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "sqlite"))
            .collect();
        copies.sort();
        let old = copies.len().saturating_sub(COPIES);
        for path in copies.iter().take(old) {
            files::remove(path);
        }
    }
}

impl BoardMaintenance for SqliteMaintenance {
    fn check(&self) -> Result<String, String> {
        let database = self.open()?;
        let said: String = database
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(|error| error.to_string())?;
        if said != "ok" {
            return Err(format!(
                "{} is damaged ({said}); `tos board import` takes a copy of its events into a new one",
                self.file.display()
            ));
        }
        let events: i64 = database
            .query_row("SELECT count(*) FROM events", [], |row| row.get(0))
            .map_err(|error| error.to_string())?;
        Ok(format!("the database is intact and holds {events} events"))
    }

    fn back_up(&self, stamp: &str) -> Result<String, String> {
        let copy = self.copies.join(format!("board-{stamp}.sqlite"));
        let fault = |error: &dyn std::fmt::Display| format!("{}: {error}", copy.display());
        // An empty file first, so that nobody else can read what comes into it.
        files::write_secret(&copy, "").map_err(|error| fault(&error))?;
        let database = self.open()?;
        database
            .execute("VACUUM INTO ?1", [copy.to_string_lossy()])
            .map_err(|error| fault(&error))?;
        self.trim();
        Ok(format!(
            "the schema is the newest ({SCHEMA_VERSION}); a copy of the database is {}",
            name_of(&copy)
        ))
    }
}

fn name_of(path: &Path) -> String {
    let mut parts: Vec<_> = path.components().rev().take(3).collect();
    parts.reverse();
    parts.iter().collect::<PathBuf>().display().to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::adapters::board::SqliteBoard;

    #[test]
    fn a_database_is_looked_at_and_copied_while_it_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("board.sqlite");
        let _writer = SqliteBoard::open(&file).unwrap();
        let upkeep = SqliteMaintenance::new(file, folder.path().join("copies"));
        assert!(upkeep.check().unwrap().contains("holds 0 events"));
        for stamp in ["1", "2", "3", "4", "5", "6"] {
            assert!(upkeep.back_up(stamp).unwrap().contains("newest"));
        }
        let mut copies: Vec<_> = std::fs::read_dir(&upkeep.copies)
            .unwrap()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        copies.sort();
        assert_eq!(copies.len(), COPIES);
        assert!(copies[0].ends_with("board-2.sqlite"));
        assert_eq!(copies[0].metadata().unwrap().mode() & 0o777, 0o600);
        SqliteBoard::open(&copies[0]).unwrap();
    }

    #[test]
    fn a_damaged_database_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("board.sqlite");
        drop(SqliteBoard::open(&file).unwrap());
        std::fs::write(&file, "not a database, and long enough to be read as one").unwrap();
        assert!(
            SqliteMaintenance::new(file, folder.path().join("c"))
                .check()
                .is_err()
        );
    }
}
