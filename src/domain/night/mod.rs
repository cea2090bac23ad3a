//! Nights: lists of guarded tasks carried out while nobody watches.
//!
//! Here is decided whether a night may begin ([`health`]), what a sign of life says ([`Beat`]), how a crashed session is
//! closed, and what is told in the morning. `services/night` acts on it.

mod beat;
mod event;
pub mod health;
mod summary;
mod until;

pub use beat::{Beat, crash_end, open_sessions};
pub use event::RunEvent;
pub use summary::{Counts, Mark, SessionSeen, Summary, TaskSeen, Top, dollars, runs, summarise};
pub use until::seconds_until;
