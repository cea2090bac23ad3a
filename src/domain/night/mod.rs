//! Nights: lists of guarded tasks carried out while nobody watches.
//!
//! Here is decided whether a night may begin ([`health`]), what a sign of life says ([`Heartbeat`]), how a crashed session is
//! closed, and what is told in the morning. `services/night` acts on it.

mod event;
pub mod health;
mod heartbeat;
mod summary;
mod time_of_day;

pub use event::RunEvent;
pub use heartbeat::{Heartbeat, session_end_after_crash, unfinished_sessions};
pub use summary::{
    BOARD_LIST_NAME, Highlights, NightSummary, OutcomeCounts, SessionSummary, TaskHistoryEntry,
    TimelineEntry, format_usd, is_board_attempt, run_ids, summarise_run,
};
pub use time_of_day::seconds_until;
