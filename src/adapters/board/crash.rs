//! Test only: the store is stopped at every boundary of a write, and opened again.
//!
//! `SQLite` appends frames to its write-ahead log and copies them into the database now and then. So what a crash leaves
//! is the log up to some byte, or a database into which some of the pages were copied while the log is whole. Each such
//! state is made from real files, opened, and compared with the fold of the events that were acknowledged by then.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::SqliteBoard;
use crate::{
    domain::board::{Board, Event, Input, TaskId, TaskSpec},
    ports::board_store::{BoardBatch, BoardStore},
};

/// How long the head of the log is, and the head of each frame.
const HEAD: usize = 32;
const FRAME_HEAD: usize = 24;

/// A board that was written batch by batch while its files were looked at.
struct Written {
    folder: tempfile::TempDir,
    /// All events.
    events: Vec<Event>,
    /// After each acknowledged batch: how long the log was, and how many events there were.
    acknowledged: Vec<(usize, usize)>,
    database: Vec<u8>,
    log: Vec<u8>,
    page: usize,
}

fn create(number: u64) -> Input {
    let spec = TaskSpec {
        title: format!("task {number}"),
        goal: "words ".repeat(usize::try_from(number % 7).unwrap() * 150),
        ..TaskSpec::default()
    };
    Input::CreateTask {
        spec: Box::new(spec),
    }
}

#[expect(clippy::disallowed_methods, reason = "the test reads a file in use")]
fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_default()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test makes what a crash leaves"
)]
fn lay(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("sqlite-wal")
}

/// Writes batches; the database itself stays as it was, as all is in the log yet.
fn written(batches: u64) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("board.sqlite");
    let mut board = Board::default();
    let mut store = SqliteBoard::open(&path).unwrap();
    drop(store);
    // What is in the database from before, the schema among it, is there in any case.
    store = SqliteBoard::open(&path).unwrap();
    let (mut events, mut acknowledged) = (Vec::new(), vec![(0, 0)]);
    for number in 0..batches {
        let mut batch = BoardBatch {
            first: events.len() as u64 + 1,
            ..BoardBatch::default()
        };
        let mut inputs = vec![create(number)];
        if number % 3 == 2 {
            inputs.push(Input::CancelTask {
                task: TaskId(number),
                reason: "for the test".into(),
                by: "eva".into(),
            });
        }
        for input in inputs {
            let decision = board.handle(&input, 1_700_000_000_000 + number).unwrap();
            decision.events.iter().for_each(|event| board.apply(event));
            batch.events.extend(decision.events);
        }
        let keys = board.take_dirty().into_iter();
        batch.entities = keys.map(|key| (key.clone(), board.entity(&key))).collect();
        store.append(&batch).unwrap();
        events.extend(batch.events);
        acknowledged.push((read(&log_of(&path)).len(), events.len()));
    }
    let (database, log) = (read(&path), read(&log_of(&path)));
    let size: [u8; 4] = log[8..12].try_into().unwrap();
    let page = usize::try_from(u32::from_be_bytes(size)).unwrap();
    drop(store);
    Written {
        folder,
        events,
        acknowledged,
        database,
        log,
        page,
    }
}

impl Written {
    /// Opens what a crash left; returns how many events are there. Board and events have to agree.
    fn opened(&self, database: &[u8], log: &[u8]) -> usize {
        let place = tempfile::tempdir_in(self.folder.path()).unwrap();
        let path = place.path().join("board.sqlite");
        lay(&path, database);
        lay(&log_of(&path), log);
        let mut store = SqliteBoard::open(&path).unwrap();
        let (board, last) = store.load().unwrap();
        let there = usize::try_from(last).unwrap();
        let mut folded = Board::default();
        self.events[..there]
            .iter()
            .for_each(|event| folded.apply(event));
        assert_eq!(board.difference(&folded), None, "{there} events");
        assert_eq!(store.rebuild().unwrap().difference, None);
        there
    }

    /// Returns how many events were acknowledged when the log had a length.
    fn acknowledged(&self, length: usize) -> usize {
        let by_then = self.acknowledged.iter().rev();
        let found = by_then.into_iter().find(|(known, _)| *known <= length);
        found.map_or(0, |(_, events)| *events)
    }

    fn is_whole(&self, events: usize) -> bool {
        self.acknowledged.iter().any(|(_, known)| *known == events)
    }
}

#[test]
fn a_crash_at_any_boundary_of_a_write_keeps_what_was_acknowledged() {
    let all = written(12);
    let frame = FRAME_HEAD + all.page;
    let frames = (all.log.len() - HEAD) / frame;
    assert!(frames > 40, "{frames}");
    let mut cuts = vec![0, 1, HEAD - 1, HEAD];
    for number in 0..frames {
        let begin = HEAD + number * frame;
        cuts.extend([
            begin + FRAME_HEAD,
            begin + frame / 2,
            begin + frame - 1,
            begin + frame,
        ]);
    }
    let mut seen = std::collections::BTreeSet::new();
    for cut in cuts {
        let there = all.opened(&all.database, &all.log[..cut]);
        assert_eq!(there, all.acknowledged(cut), "the log ends at {cut}");
        seen.insert(there);
    }
    assert_eq!(seen.len(), 13);
    assert!(seen.into_iter().all(|events| all.is_whole(events)));
}

#[test]
fn a_log_whose_end_is_garbage_keeps_what_was_acknowledged() {
    let all = written(6);
    let frame = FRAME_HEAD + all.page;
    for number in 0..(all.log.len() - HEAD) / frame {
        // The frames from here on reached the disk torn.
        let begin = HEAD + number * frame;
        let mut log = all.log.clone();
        log[begin + FRAME_HEAD + all.page / 2..].fill(0xA5);
        assert_eq!(all.opened(&all.database, &log), all.acknowledged(begin));
    }
}

#[test]
fn a_crash_while_the_log_is_copied_into_the_database_keeps_everything() {
    let all = written(12);
    let frame = FRAME_HEAD + all.page;
    let mut database = all.database.clone();
    let frames = (all.log.len() - HEAD) / frame;
    for number in 0..frames {
        let begin = HEAD + number * frame;
        let place: [u8; 4] = all.log[begin..begin + 4].try_into().unwrap();
        let place = usize::try_from(u32::from_be_bytes(place) - 1).unwrap() * all.page;
        let content = &all.log[begin + FRAME_HEAD..begin + frame];
        let length = database.len().max(place + all.page);
        database.resize(length, 0);
        // Half of a page, and then the whole of it.
        for part in [all.page / 2, all.page] {
            database[place..place + part].copy_from_slice(&content[..part]);
            if number % 4 == 0 || part == all.page && number + 1 == frames {
                assert_eq!(all.opened(&database, &all.log), all.events.len());
            }
        }
    }
}
