//! A store that dies at a chosen point: before, after, and in the middle of anything it writes.
//!
//! Points are counted over the whole life of the store, in the order in which they are passed, so point
//! `n` of a run is point `n` of every run that does the same. Dying is either the real thing, SIGKILL to
//! the own process, or an error after which nothing is written any more, which a test can survive.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use tos::{
    adapters::job::store::{DiskStore, StoreLayout},
    domain::job::{event::RunLogEvent, record::RecordFiles, state::JobLoopState},
    ports::store::{Error, LoadedRunLog, RecordFile, Store},
};

/// How to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// As a process, at once and without a word.
    Sigkill,
    /// As a store: every call fails from then on and leaves no trace.
    Silence,
}

/// The store.
#[derive(Debug)]
pub(crate) struct Mortal {
    inner: DiskStore,
    death: Death,
    at: u64,
    passed: AtomicU64,
    dead: AtomicBool,
}

impl Mortal {
    /// Makes a store that dies at point `at`, counted from 0; `u64::MAX` = never.
    pub(crate) fn new(layout: StoreLayout, death: Death, at: u64) -> Self {
        Self {
            inner: DiskStore::new(layout),
            death,
            at,
            passed: AtomicU64::new(0),
            dead: AtomicBool::new(false),
        }
    }

    /// Returns how many points were passed.
    pub(crate) fn points(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }

    /// Passes a point; `trace` leaves behind what a death just here leaves behind.
    fn point(&self, trace: impl FnOnce()) -> Result<(), Error> {
        if self.dead.load(Ordering::SeqCst) {
            return gone();
        }
        if self.passed.fetch_add(1, Ordering::SeqCst) != self.at {
            return Ok(());
        }
        trace();
        if self.death == Death::Sigkill {
            let me = rustix::process::getpid();
            rustix::process::kill_process(me, rustix::process::Signal::KILL)
                .expect("a process may kill itself");
        }
        self.dead.store(true, Ordering::SeqCst);
        gone()
    }

    fn around<T>(&self, act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.point(|| {})?;
        let result = act()?;
        self.point(|| {})?;
        Ok(result)
    }

    /// Writes the beginning of what would have been written to the log.
    fn tear(&self, bytes: &[u8]) {
        let path = self.inner.layout().run_log();
        fs::create_dir_all(path.parent().expect("below the root")).expect("folders can be made");
        let file = fs::OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(bytes))
            .expect("the log can be written");
    }
}

fn gone<T>() -> Result<T, Error> {
    Err(Error {
        path: "store".into(),
        why: "it has died".into(),
    })
}

impl Store for Mortal {
    fn load(&self) -> Result<LoadedRunLog, Error> {
        self.inner.load()
    }

    fn history(&self) -> Result<Vec<RunLogEvent>, Error> {
        self.inner.history()
    }

    fn append(&self, events: &[RunLogEvent], sync: bool) -> Result<(), Error> {
        let mut bytes = Vec::new();
        for event in events {
            self.point(|| self.tear(&bytes))?;
            let line = serde_json::to_string(event).expect("events are JSON") + "\n";
            self.point(|| self.tear(&[&bytes, &line.as_bytes()[..line.len() / 2]].concat()))?;
            bytes.extend(line.as_bytes());
        }
        self.inner.append(events, sync)?;
        self.point(|| {})
    }

    fn save_snapshot(&self, state: &JobLoopState) -> Result<(), Error> {
        self.around(|| self.inner.save_snapshot(state))
    }

    fn write(&self, record: RecordFile, content: &str) -> Result<(), Error> {
        let path = self.inner.layout().record(record);
        self.point(|| {
            // Files are replaced by renaming, so what a death leaves is a temporary file.
            let folder = path.parent().expect("below the root");
            fs::create_dir_all(folder).expect("folders can be made");
            fs::write(folder.join(".tmpTORN"), &content[..1]).expect("files can be written");
        })?;
        self.inner.write(record, content)?;
        self.point(|| {})
    }

    fn read(&self, record: RecordFile) -> Result<Option<Vec<u8>>, Error> {
        self.inner.read(record)
    }

    fn set_aside(&self, record: RecordFile, word: &str) -> Result<String, Error> {
        self.around(|| self.inner.set_aside(record, word))
    }

    fn set_aside_results(&self, job: u32, files: &[PathBuf]) -> Result<Vec<String>, Error> {
        self.around(|| self.inner.set_aside_results(job, files))
    }

    fn archive_name(&self) -> String {
        self.inner.archive_name()
    }

    fn archive(&self, archive: &str) -> Result<(), Error> {
        self.point(|| {})?;
        self.point(|| {
            let layout = self.inner.layout();
            let folder = layout.root.join(archive);
            fs::create_dir_all(&folder).expect("folders can be made");
            let from = layout.record(RecordFile::PhaseState);
            fs::rename(from, folder.join("phase_state.json")).expect("files can be moved");
        })?;
        self.inner.archive(archive)?;
        self.point(|| {})
    }

    fn record_files(&self) -> RecordFiles {
        self.inner.record_files()
    }

    fn write_summary(&self, json: &str, text: &str) -> Result<String, Error> {
        self.around(|| self.inner.write_summary(json, text))
    }
}
