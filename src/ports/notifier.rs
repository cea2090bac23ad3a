//! Telling people who are not at the terminal.

use crate::ports::BoxFuture;

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// `started`, `task_passed`, `task_failed`, `stopped` or `finished`.
    pub event: String,
    /// One line.
    pub title: String,
    /// Details, secrets removed.
    pub text: String,
    /// The run.
    pub run: String,
    /// The head of the ledger.
    pub ledger: String,
}

/// One way to tell.
pub trait Notifier: Send + Sync {
    /// Returns its name for messages.
    fn name(&self) -> &str;

    /// Tells; an error is a sentence without secrets.
    fn tell<'a>(&'a self, note: &'a Note) -> BoxFuture<'a, Result<(), String>>;
}
