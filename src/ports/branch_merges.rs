//! Merging attempts with their branch, and moving the branch.

use crate::domain::board::MergeOutcome;

/// Why git did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

/// What a merge came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeResult {
    /// The commit that holds both.
    Merged(String),
    /// These files are in conflict.
    Conflict(Vec<String>),
}

/// Merges without touching a checkout, and publishes by compare-and-set.
pub trait BranchMerges: Send + Sync {
    /// Returns the branch that is checked out.
    fn current_branch(&self) -> Result<String, Error>;

    /// Returns the commit of a branch.
    fn tip(&self, branch: &str) -> Result<String, Error>;

    /// Merges a commit with another; nothing but objects is written.
    fn merge(&self, base: &str, commit: &str, message: &str) -> Result<MergeResult, Error>;

    /// Returns the files in which two commits differ.
    fn changed_files(&self, from: &str, to: &str) -> Result<Vec<String>, Error>;

    /// Returns the files of a commit.
    fn files(&self, commit: &str) -> Result<Vec<String>, Error>;

    /// Returns how two commits differ, as a unified diff.
    fn diff(&self, from: &str, to: &str) -> Result<String, Error>;

    /// Returns the names of the references below some places.
    fn references(&self, below: &[&str]) -> Result<Vec<String>, Error>;

    /// Removes references, all or none; what they hold stays until git throws it away.
    fn remove_references(&self, names: &[String]) -> Result<(), Error>;

    /// Moves a branch from one commit to another, if it is still there. A checkout of the branch goes along when it is
    /// clean, and keeps the branch from moving when it is not.
    fn update_branch(&self, branch: &str, expected: &str, commit: &str) -> MergeOutcome;
}
