//! A board in `SQLite`: events and things in one transaction, so that neither is ever ahead of the other.
//!
//! The write-ahead log is synchronised with each transaction: what was acknowledged survives a killed process and a lost
//! power line. On a cluster the log of the board is what counts, and this is not waited for. There is one writer; the lock of the service sees to that.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::schema;
use crate::{
    adapters::state_folder,
    domain::board::{Board, Entity, EntityKey, Event},
    ports::board_store::{BoardBatch, BoardStore, Error},
};

type Done<T> = Result<T, Error>;

/// A board in a file.
#[derive(Debug)]
pub struct SqliteBoard {
    database: Connection,
    name: String,
    path: PathBuf,
    /// Which file that was when it was opened.
    file: Option<(u64, u64)>,
}

/// What a rebuild found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildReport {
    /// How many events were folded.
    pub events: u64,
    /// The first thing that was not what its events say.
    pub difference: Option<EntityKey>,
}

impl SqliteBoard {
    /// Opens a board, makes it where there is none, and brings it to the newest schema.
    pub fn open(path: &Path) -> Done<Self> {
        Self::open_with(path, "FULL")
    }

    /// Opens a board that follows from a log elsewhere: the disk is not waited for. A lost power line may take the newest batches along, whole;
    /// they are read again from the log.
    pub fn open_projection(path: &Path) -> Done<Self> {
        Self::open_with(path, "NORMAL")
    }

    fn open_with(path: &Path, synchronous: &str) -> Done<Self> {
        let name = path.display().to_string();
        let wrong = |error: &dyn std::fmt::Display| Error(format!("{name}: {error}"));
        if let Some(folder) = path.parent() {
            state_folder::create_dir_all(folder).map_err(|error| wrong(&error))?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut database =
            Connection::open_with_flags(path, flags).map_err(|error| explain(&name, &error))?;
        let prepared = database
            .busy_timeout(Duration::from_secs(5))
            .and_then(|()| database.pragma_update(None, "journal_mode", "WAL"))
            .and_then(|()| database.pragma_update(None, "synchronous", synchronous))
            .and_then(|()| database.pragma_update(None, "cache_size", -4096));
        prepared.map_err(|error| explain(&name, &error))?;
        schema::migrate(&mut database).map_err(|error| wrong(&error))?;
        Ok(Self {
            database,
            name,
            file: file_number(path),
            path: path.to_owned(),
        })
    }

    /// What is written into a file that nobody can find any more is lost, so it is refused.
    fn refuse_gone(&self) -> Done<()> {
        let there = file_number(&self.path);
        if there.is_some() && there == self.file {
            return Ok(());
        }
        let how = if there.is_some() {
            "replaced by another file"
        } else {
            "removed"
        };
        Err(Error(format!(
            "{}: it was {how} while the service had it open, and what is written would be lost; put it back, or take a \
             copy of .tos/board-copies, and start `tos serve` again",
            self.name
        )))
    }

    fn explain(&self, error: &rusqlite::Error) -> Error {
        explain(&self.name, error)
    }

    /// Folds all events anew, compares, and puts right what differs.
    pub fn rebuild(&mut self) -> Done<RebuildReport> {
        // What cannot be read differs as well; a fault of the disk shows when the events are read.
        let kept = self.load().ok().map(|(kept, _)| kept);
        let mut folded = Board::default();
        let mut seq = 0;
        loop {
            let events = self.events_after(seq, 10_000)?;
            let Some((newest, _)) = events.last() else {
                break;
            };
            seq = *newest;
            for (_, event) in &events {
                folded.apply(event);
            }
        }
        let difference = match kept {
            Some(kept) => kept.difference(&folded),
            None => Some(EntityKey::Globals),
        };
        if difference.is_some() {
            let keys = folded.entity_keys();
            let entities = keys
                .into_iter()
                .map(|key| (key.clone(), folded.entity(&key)));
            let entities = entities.collect();
            let change = self.database.transaction();
            let change = change.map_err(|error| explain(&self.name, &error))?;
            change
                .execute("DELETE FROM entities", [])
                .map_err(|error| explain(&self.name, &error))?;
            let batch = BoardBatch {
                first: seq + 1,
                events: Vec::new(),
                entities,
            };
            write(&change, &batch).map_err(|error| explain(&self.name, &error))?;
            change
                .commit()
                .map_err(|error| explain(&self.name, &error))?;
        }
        Ok(RebuildReport {
            events: seq,
            difference,
        })
    }

    /// Returns all events, one JSON document a line.
    pub fn export_events(&mut self) -> Done<String> {
        let mut text = String::new();
        let mut seq = 0;
        loop {
            let events = self.events_after(seq, 10_000)?;
            let Some((newest, _)) = events.last() else {
                return Ok(text);
            };
            seq = *newest;
            for (_, event) in &events {
                let line = serde_json::to_string(event);
                text.push_str(&line.map_err(|error| Error(error.to_string()))?);
                text.push('\n');
            }
        }
    }

    /// Takes exported events into an empty board; returns how many.
    pub fn import_events(&mut self, text: &str) -> Done<u64> {
        let (_, last) = self.load()?;
        if last > 0 {
            return Err(Error(format!(
                "{} holds {last} events already; import into a folder without a board",
                self.name
            )));
        }
        let mut board = Board::default();
        let mut batch = BoardBatch {
            first: 1,
            ..BoardBatch::default()
        };
        for (line, number) in text.lines().zip(1..) {
            let event: Event = serde_json::from_str(line)
                .map_err(|error| Error(format!("line {number} is no event of a board: {error}")))?;
            board.apply(&event);
            batch.events.push(event);
        }
        let keys = board.entity_keys();
        batch.entities = keys
            .into_iter()
            .map(|key| (key.clone(), board.entity(&key)))
            .collect();
        self.append(&batch)?;
        Ok(batch.events.len() as u64)
    }
}

impl BoardStore for SqliteBoard {
    fn load(&mut self) -> Done<(Board, u64)> {
        let mut things = Vec::new();
        let read = (|| {
            let mut query = self.database.prepare("SELECT kind, body FROM entities")?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                let (kind, body) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
                things.push(Entity::from_json(kind, body));
            }
            let last = "SELECT max(seq) FROM events";
            let last: Option<Option<i64>> = self
                .database
                .query_row(last, [], |row| row.get(0))
                .optional()?;
            Ok(last.flatten().map_or(0, i64::unsigned_abs))
        })();
        let last = read.map_err(|error: rusqlite::Error| self.explain(&error))?;
        let things: Result<Vec<Entity>, String> = things.into_iter().collect();
        let things = things.map_err(|why| {
            Error(format!(
                "{}: {why}; `tos board rebuild` makes it anew from the events",
                self.name
            ))
        })?;
        Ok((Board::from_entities(things), last))
    }

    fn append(&mut self, batch: &BoardBatch) -> Done<()> {
        self.refuse_gone()?;
        let name = &self.name;
        let change = self
            .database
            .transaction()
            .map_err(|error| explain(name, &error))?;
        write(&change, batch).map_err(|error| explain(name, &error))?;
        change.commit().map_err(|error| explain(name, &error))
    }

    fn events_after(&mut self, seq: u64, most: usize) -> Done<Vec<(u64, Event)>> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let read = (|| {
            let text = "SELECT seq, body FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2";
            let mut query = self.database.prepare_cached(text)?;
            let rows = query.query_map(params![number(seq), most], |row| {
                Ok((
                    row.get::<_, i64>(0)?.unsigned_abs(),
                    row.get::<_, String>(1)?,
                ))
            })?;
            rows.collect::<Result<Vec<_>, _>>()
        })();
        let rows = read.map_err(|error: rusqlite::Error| self.explain(&error))?;
        let events = rows.into_iter().map(|(seq, body)| {
            let event = serde_json::from_str(&body);
            let event =
                event.map_err(|error| Error(format!("{}: event {seq}: {error}", self.name)))?;
            Ok((seq, event))
        });
        events.collect()
    }

    fn probe(&mut self) -> Done<()> {
        self.refuse_gone()?;
        let name = &self.name;
        let wrote = self.database.transaction().and_then(|change| {
            change.pragma_update(None, "user_version", schema::SCHEMA_VERSION)?;
            change.commit()
        });
        wrote.map_err(|error| explain(name, &error))
    }
}

/// Returns what tells a file from every other; `None` = there is none.
#[cfg(unix)]
fn file_number(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;

    let data = std::fs::metadata(path).ok()?;
    Some((data.dev(), data.ino()))
}

/// Elsewhere files have no number to compare, and one that is open cannot be removed.
#[cfg(not(unix))]
fn file_number(path: &Path) -> Option<(u64, u64)> {
    path.exists().then_some((0, 0))
}

fn write(change: &rusqlite::Transaction<'_>, batch: &BoardBatch) -> rusqlite::Result<()> {
    let broken =
        |error: serde_json::Error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
    let text = "INSERT INTO events (seq, at, type, task, body) VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut insert = change.prepare_cached(text)?;
    for (seq, event) in (batch.first..).zip(&batch.events) {
        let body = serde_json::to_string(event).map_err(broken)?;
        insert.execute(params![
            number(seq),
            number(event.at),
            event.name(),
            event.task().map(|task| number(task.0)),
            body
        ])?;
    }
    let mut put = change
        .prepare_cached("INSERT OR REPLACE INTO entities (kind, id, body) VALUES (?1, ?2, ?3)")?;
    let mut take = change.prepare_cached("DELETE FROM entities WHERE kind = ?1 AND id = ?2")?;
    for (key, entity) in &batch.entities {
        let (kind, id) = key.parts();
        match entity {
            Some(entity) => put.execute(params![kind, id, entity.to_json().map_err(broken)?])?,
            None => take.execute(params![kind, id])?,
        };
    }
    Ok(())
}

/// The database counts with a sign.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Says what happened and what helps, where that is known.
fn explain(name: &str, error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode;
    let help = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            "the disk is full; nothing was lost that was acknowledged. Make room, and go on"
        }
        Some(ErrorCode::SystemIoFailure) => {
            "it could not be read or written: is the disk full or broken, or a limit reached? Nothing was lost that was acknowledged"
        }
        Some(ErrorCode::ReadOnly) => "the file or its folder is read-only; make it writable",
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "it cannot be opened; look at the rights of its folder"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "it is damaged; move it away. Put a copy of .tos/board-copies in its place where `tos proc start db-push` made one, or \
             take in with `tos board import` what `tos board export` printed; without either, `tos serve` begins an empty board"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another program writes it",
        _ => return Error(format!("{name}: {error}")),
    };
    Error(format!("{name}: {help} ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::board::{Input, TaskId, TaskSpec};

    fn batch(board: &mut Board, first: u64, input: &Input) -> BoardBatch {
        let decision = board.handle(input, 1_700_000_000_000).unwrap();
        decision.events.iter().for_each(|event| board.apply(event));
        let keys = board.take_dirty();
        let entities = keys
            .into_iter()
            .map(|key| (key.clone(), board.entity(&key)))
            .collect();
        BoardBatch {
            first,
            events: decision.events,
            entities,
        }
    }

    fn filled(store: &mut SqliteBoard) -> Board {
        let mut board = Board::default();
        let mut first = 1;
        let start = Input::ServiceStarted {
            instance: "a".into(),
            adopt: std::collections::BTreeSet::new(),
        };
        let spec = TaskSpec {
            title: "one".into(),
            ..TaskSpec::default()
        };
        for input in [
            start,
            Input::CreateTask {
                spec: Box::new(spec),
            },
        ] {
            let batch = batch(&mut board, first, &input);
            first += batch.events.len() as u64;
            store.append(&batch).unwrap();
        }
        board
    }

    #[test]
    fn the_disk_is_waited_for_unless_a_log_elsewhere_is_what_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("board.sqlite");
        let level = |store: &SqliteBoard| -> i64 {
            let level = store
                .database
                .pragma_query_value(None, "synchronous", |row| row.get(0));
            level.unwrap()
        };
        assert_eq!(level(&SqliteBoard::open(&path).unwrap()), 2);
        assert_eq!(level(&SqliteBoard::open_projection(&path).unwrap()), 1);
    }

    #[test]
    fn a_database_that_is_gone_or_replaced_takes_nothing_that_would_be_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".tos/board.sqlite");
        let mut store = SqliteBoard::open(&path).unwrap();
        let mut board = filled(&mut store);
        store.probe().unwrap();
        let spec = TaskSpec {
            title: "two".into(),
            ..TaskSpec::default()
        };
        let input = Input::CreateTask {
            spec: Box::new(spec),
        };
        let first = board.globals().events + 1;
        let batch = batch(&mut board, first, &input);
        let aside = folder.path().join("aside");
        std::fs::rename(&path, &aside).unwrap();
        assert!(store.probe().unwrap_err().0.contains("it was removed"));
        assert!(
            store
                .append(&batch)
                .unwrap_err()
                .0
                .contains("it was removed")
        );
        std::fs::write(&path, "").unwrap();
        assert!(store.probe().unwrap_err().0.contains("replaced"));
        std::fs::rename(&aside, &path).unwrap();
        store.probe().unwrap();
        store.append(&batch).unwrap();
        let (read, last) = SqliteBoard::open(&path).unwrap().load().unwrap();
        assert_eq!(
            (board.difference(&read), last),
            (None, board.globals().events)
        );
    }

    #[test]
    fn what_was_written_is_read_and_rebuilt() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".tos/board.sqlite");
        let mut store = SqliteBoard::open(&path).unwrap();
        let board = filled(&mut store);
        drop(store);
        let mut store = SqliteBoard::open(&path).unwrap();
        let (read, last) = store.load().unwrap();
        assert_eq!(
            (board.difference(&read), last),
            (None, board.globals().events)
        );
        assert_eq!(
            store.rebuild().unwrap(),
            RebuildReport {
                events: last,
                difference: None
            }
        );
        store
            .database
            .execute("DELETE FROM entities WHERE kind = 'task'", [])
            .unwrap();
        let found = store.rebuild().unwrap().difference;
        assert_eq!(found, Some(EntityKey::Task(TaskId(1))));
        assert_eq!(store.load().unwrap().0.difference(&board), None);
        // What another program wrote and this one cannot read is made anew as well.
        store
            .database
            .execute("UPDATE entities SET body = '{}' WHERE kind = 'task'", [])
            .unwrap();
        assert!(store.load().unwrap_err().0.contains("tos board rebuild"));
        assert!(store.rebuild().unwrap().difference.is_some());
        assert_eq!(store.load().unwrap().0.difference(&board), None);
    }

    #[test]
    fn an_export_makes_the_same_board_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SqliteBoard::open(&folder.path().join("one.sqlite")).unwrap();
        let board = filled(&mut store);
        let text = store.export_events().unwrap();
        assert!(
            store.import_events(&text).is_err(),
            "only an empty board takes events in"
        );
        let mut other = SqliteBoard::open(&folder.path().join("two.sqlite")).unwrap();
        assert_eq!(other.import_events(&text).unwrap(), board.globals().events);
        assert_eq!(other.load().unwrap().0.difference(&board), None);
        let mut third = SqliteBoard::open(&folder.path().join("three.sqlite")).unwrap();
        assert!(
            third
                .import_events("{}\n")
                .unwrap_err()
                .0
                .contains("line 1")
        );
    }

    #[test]
    fn a_database_of_version_one_is_brought_to_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.sqlite");
        let old = Connection::open(&path).unwrap();
        schema::first_version(&old);
        let event =
            r#"{"v":1,"at":7,"what":{"type":"task.cancelled","task":3,"detail":"","by":"eva"}}"#;
        old.execute(
            "INSERT INTO events VALUES (1, 7, 'task.cancelled', ?1)",
            [event],
        )
        .unwrap();
        drop(old);
        let mut store = SqliteBoard::open(&path).unwrap();
        let task: i64 = store
            .database
            .query_row("SELECT task FROM events", [], |row| row.get(0))
            .unwrap();
        assert_eq!((task, store.events_after(0, 9).unwrap().len()), (3, 1));
        store
            .database
            .pragma_update(None, "user_version", 99)
            .unwrap();
        drop(store);
        assert!(
            SqliteBoard::open(&path)
                .unwrap_err()
                .0
                .contains("newer tos")
        );
    }

    #[test]
    fn a_full_disk_and_a_damaged_file_are_told_with_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SqliteBoard::open(&folder.path().join("full.sqlite")).unwrap();
        let mut board = filled(&mut store);
        let pages: i64 = store
            .database
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap();
        store
            .database
            .pragma_update(None, "max_page_count", pages)
            .unwrap();
        let spec = TaskSpec {
            title: "big".into(),
            goal: "x".repeat(60_000),
            ..TaskSpec::default()
        };
        let last = board.globals().events;
        let batch = batch(
            &mut board,
            last + 1,
            &Input::CreateTask {
                spec: Box::new(spec),
            },
        );
        let told = store.append(&batch).unwrap_err();
        assert!(told.0.contains("the disk is full"), "{told}");
        assert_eq!(store.load().unwrap().1, last);
        store
            .database
            .pragma_update(None, "query_only", true)
            .unwrap();
        assert!(store.append(&batch).unwrap_err().0.contains("read-only"));
        let damaged = folder.path().join("damaged.sqlite");
        state_folder::create_dir_all(folder.path()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "the test damages a file")]
        std::fs::write(
            &damaged,
            "this is no database, but it is long enough to be looked at".repeat(40),
        )
        .unwrap();
        assert!(
            SqliteBoard::open(&damaged)
                .unwrap_err()
                .0
                .contains("damaged")
        );
    }
}
