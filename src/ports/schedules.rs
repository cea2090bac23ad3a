//! What is kept of schedules and their runs, and how a run is started.

use std::{any::Any, path::PathBuf};

use crate::domain::{schedule::ScheduledRunRecord, time::Timestamp};

/// A run of a schedule could not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Somebody else is at it.
    #[error("{0}")]
    Busy(String),
    /// The disk, or the program.
    #[error("{0}")]
    Trouble(String),
}

/// The state of the schedules of a root.
pub trait Schedules {
    /// Returns the text of the file of schedules; nothing where there is none.
    fn text(&self) -> Result<Option<String>, Error>;

    /// Replaces the file of schedules.
    fn write(&self, text: &str) -> Result<(), Error>;

    /// Returns what is on record of a schedule, oldest first.
    fn records(&self, name: &str) -> Result<Vec<ScheduledRunRecord>, Error>;

    /// Adds a record.
    fn append(&self, name: &str, record: &ScheduledRunRecord) -> Result<(), Error>;

    /// Takes the right to decide what is due.
    fn lock(&self) -> Result<Box<dyn Any>, Error>;

    /// Takes the right to run a schedule.
    fn lock_run(&self, name: &str) -> Result<Box<dyn Any>, Error>;

    /// Says whether a run of a schedule seems to be going, without getting in its way.
    fn is_running(&self, name: &str) -> bool;

    /// Starts this program with these words, beside everything else; it goes on when this process ends.
    fn detach(&self, words: &[String]) -> Result<(), Error>;

    /// Runs this program with these words in the root to its end, its output into the log; returns the exit code.
    fn run(&self, words: &[String], log: &str) -> Result<i32, Error>;

    /// Makes the place for the log of a run, and takes the oldest logs away; the path is relative to the root.
    fn prepare_log(&self, name: &str, slot: Timestamp) -> Result<String, Error>;

    /// Returns the zone of this machine, where it says one.
    fn local_zone(&self) -> Option<String>;

    /// Returns whether a file of the root is there.
    fn file_exists(&self, file: &str) -> bool;

    /// Returns the program and the root, for whatever calls them.
    fn program_and_root(&self) -> Result<(PathBuf, PathBuf), Error>;
}
