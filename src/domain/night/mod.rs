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
pub use heartbeat::{Heartbeat, open_sessions, session_end_after_crash};
pub use summary::{
    BOARD_LIST, Highlights, NightSummary, OutcomeCounts, SessionSummary, TaskSummary,
    TimelineEntry, dollars, is_board_attempt, run_ids, summarise_run,
};
pub use time_of_day::seconds_until;
