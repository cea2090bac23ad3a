//! Where a board is kept: its events, and its things as they follow from them.

use crate::domain::board::{Board, Entity, EntityKey, Event};

/// Why a board cannot be kept or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

/// What one transaction writes.
#[derive(Debug, Clone, Default)]
pub struct BoardBatch {
    /// The number of the first event.
    pub first: u64,
    /// The events.
    pub events: Vec<Event>,
    /// What changed, as it is now; `None` = gone.
    pub entities: Vec<(EntityKey, Option<Entity>)>,
}

/// Keeps one board. There is one writer.
pub trait BoardStore: Send {
    /// Reads the board, and the number of its last event.
    fn load(&mut self) -> Result<(Board, u64), Error>;

    /// Writes a batch in one transaction; when this returns, it is on the disk.
    fn append(&mut self, batch: &BoardBatch) -> Result<(), Error>;

    /// Returns events after a number, oldest first.
    fn events_after(&mut self, seq: u64, most: usize) -> Result<Vec<(u64, Event)>, Error>;

    /// Tries whether something can be written now, and changes nothing; says what is wrong.
    fn probe(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// Looks after a board's store beside its writer. Both may take a while.
pub trait BoardMaintenance: Send + Sync {
    /// Looks whether it is intact; says what it holds, or what is wrong.
    fn check(&self) -> Result<String, String>;

    /// Copies it, and says that it has the newest schema: it is brought there whenever it is opened. `stamp` tells copies
    /// apart, the later the greater.
    fn back_up(&self, stamp: &str) -> Result<String, String>;
}
