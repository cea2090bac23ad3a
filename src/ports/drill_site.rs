//! Throw-away places for drills: a repository, a person's home with false secrets, traps all around.

use crate::domain::{drill::Drill, ledger::LedgerEntry};

/// How the program ended in such a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillExit {
    /// The exit code; -1 where a signal ended it.
    pub code: i32,
    /// The sentence with which it refused to start, where it did.
    pub refusal: Option<String>,
}

/// What is found in such a place afterwards.
#[derive(Debug, Clone, Default)]
pub struct DrillFindings {
    /// Its ledger.
    pub entries: Vec<LedgerEntry>,
    /// What was touched, is alive or leaked although it must not be, one sentence each.
    pub faults: Vec<String>,
    /// What the agent reported of itself.
    pub report: String,
}

/// Why a drill could not be run to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A person asked to stop.
    #[error("stopped by a person")]
    Stopped,
    /// The disk, the network of this machine, or the program itself.
    #[error("{0}")]
    Trouble(String),
}

/// Where throw-away places can be made.
pub trait DrillSites {
    /// Lays out a place for a drill; it is gone when the value is dropped.
    fn create_site(&self, drill: &Drill) -> Result<Box<dyn DrillWorkspace>, Error>;
}

/// One throw-away place.
pub trait DrillWorkspace {
    /// Returns the words that start the scripted agent.
    fn agent(&self, scenario: &str) -> Vec<String>;

    /// Runs a list of tasks, given as JSON, with this very program, to its end; as a night where asked.
    fn run(&self, list: &str, as_night: bool) -> Result<DrillExit, Error>;

    /// Runs a list and kills the program once the agent is at work.
    fn kill_at_work(&self, list: &str) -> Result<(), Error>;

    /// Returns the tree of the person's checkout as it lies on the disk.
    fn tree(&self) -> Result<String, Error>;

    /// Looks at the ledger, the traps, the processes and the agent's report.
    fn inspect(&self) -> Result<DrillFindings, Error>;
}
