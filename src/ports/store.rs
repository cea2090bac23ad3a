//! What survives: the run log, the files for people.
//!
//! These calls block, and on purpose: a job does one thing at a time, and what is recorded has to be on
//! the disk before the next effect. A detour over another thread would only add its cost.

use crate::domain::job::{event::RunLogEvent, record::RecordFiles, state::JobLoopState};

/// Trouble with the files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub struct Error {
    /// The file, relative to the root where it lies below it.
    pub path: String,
    /// What went wrong and what to do.
    pub why: String,
}

/// What the run log holds, and what had to be repaired to read it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadedRunLog {
    /// The state up to `events`, where a snapshot could be used.
    pub snapshot: Option<JobLoopState>,
    /// The events after the snapshot, or all of them.
    pub events: Vec<RunLogEvent>,
    /// One sentence for every repair.
    pub repairs: Vec<String>,
    /// True where events were lost, or the file was no run log.
    pub damaged: bool,
    /// True where no log was found at all.
    pub absent: bool,
}

/// A file of records, by what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordFile {
    /// The log of one step.
    Step(u32),
    /// The phase state.
    PhaseState,
    /// The phase state where the first version of the original kept it; read, never written.
    OldPhaseState,
    /// The phase summary.
    PhaseSummary,
    /// The result of the whole loop.
    JobResult,
}

/// Keeps a job's records below one root. One process at a time may write.
pub trait Store: Send + Sync {
    /// Reads the run log, repairing what a crash or a stranger did to it.
    fn load(&self) -> Result<LoadedRunLog, Error>;

    /// Reads all events, without the snapshot.
    fn history(&self) -> Result<Vec<RunLogEvent>, Error>;

    /// Appends events; with `sync`, they are on the disk when this returns.
    fn append(&self, events: &[RunLogEvent], sync: bool) -> Result<(), Error>;

    /// Remembers the folded state, so that the next start reads less.
    fn save_snapshot(&self, state: &JobLoopState) -> Result<(), Error>;

    /// Replaces a record in one piece.
    fn write(&self, record: RecordFile, content: &str) -> Result<(), Error>;

    /// Reads a record; `None` where there is none.
    fn read(&self, record: RecordFile) -> Result<Option<Vec<u8>>, Error>;

    /// Renames a record that cannot be used to `<name>.<word>-<time>`; returns the new name.
    fn set_aside(&self, record: RecordFile, word: &str) -> Result<String, Error>;

    /// Moves files out of the way of job `job`; those that do not exist are skipped. Returns where
    /// each one went. May be repeated after a crash.
    fn set_aside_results(
        &self,
        job: u32,
        files: &[std::path::PathBuf],
    ) -> Result<Vec<String>, Error>;

    /// Returns the name for a new archive, relative to the root.
    fn archive_name(&self) -> String;

    /// Moves the records of all past runs into `archive`, the run log last. May be repeated after a
    /// crash.
    fn archive(&self, archive: &str) -> Result<(), Error>;

    /// Returns what lies on the disk.
    fn record_files(&self) -> RecordFiles;

    /// Writes the run summary and its one-line twin.
    fn write_summary(&self, json: &str, text: &str) -> Result<String, Error>;
}
