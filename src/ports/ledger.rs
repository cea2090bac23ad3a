//! The ledger on disk: append only, verified whenever it is read.

use crate::domain::ledger::{
    LedgerEntry,
    chain::{ChainAnchor, ChainError, VerifiedLedger},
};

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not hold together.
    #[error(
        "the ledger {file} is BROKEN at {broken}; `tos ledger verify` says more, and whoever knows why begins a new one with `tos ledger verify --acknowledge --reason \"…\"`"
    )]
    Broken {
        /// Which file.
        file: String,
        /// Where and why.
        #[source]
        broken: ChainError,
    },
    /// It cannot be read or written.
    #[error("the ledger {file} cannot be used: {source}")]
    Io {
        /// Which file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
}

/// Keeps records. A record that `append` returned for is on disk.
pub trait Ledger: Send + Sync {
    /// Reads and verifies everything.
    fn read(&self) -> Result<VerifiedLedger, Error>;

    /// Appends one record, under a session where there is one, and returns its place.
    fn append(&self, session: Option<&str>, entry: LedgerEntry) -> Result<ChainAnchor, Error>;

    /// Puts a broken ledger aside and begins a new one that says so; the old file is kept.
    fn acknowledge(&self, reason: &str) -> Result<ChainAnchor, Error>;

    /// Returns where the ledger lies, for people.
    fn place(&self) -> String;
}
