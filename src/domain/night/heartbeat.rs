//! Signs of life, and the end that is written for a session that could not write its own.

use serde::{Deserialize, Serialize};

use crate::domain::{
    ledger::{LedgerEntry, LedgerRecord, SessionEnd},
    time::Timestamp,
};

/// What a session says about itself every half minute, in a small file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// When.
    pub at: Timestamp,
    /// Since its start, sleep included.
    pub wall_s: u64,
    /// Time in which a task was under way.
    pub active_s: u64,
    /// Time the machine slept.
    pub suspend_s: u64,
    /// The task under way, or the last one.
    pub task: String,
}

/// Returns the sessions that have a start and no end.
pub fn unfinished_sessions(records: &[LedgerRecord]) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    for record in records {
        let id = record.stamp.session.clone().unwrap_or_default();
        if matches!(record.entry, LedgerEntry::SessionStart { .. }) {
            open.push(id);
        } else if matches!(record.entry, LedgerEntry::SessionEnd { .. }) {
            open.retain(|other| *other != id);
        }
    }
    open
}

/// Returns the end of a session that ended badly, as far as its last sign of life and its records tell.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only a few kinds of records count against a session"
)]
pub fn session_end_after_crash(
    records: &[LedgerRecord],
    session: &str,
    beat: Option<&Heartbeat>,
) -> SessionEnd {
    let mut end = SessionEnd {
        ended_by: "crash".to_owned(),
        abnormal: 1,
        wall_s: beat.map_or(0, |beat| beat.wall_s),
        active_s: beat.map_or(0, |beat| beat.active_s),
        suspend_s: beat.map_or(0, |beat| beat.suspend_s),
        ..SessionEnd::default()
    };
    let mut active = 0;
    let own = records
        .iter()
        .filter(|record| record.stamp.session.as_deref() == Some(session));
    for record in own {
        match &record.entry {
            LedgerEntry::Task { end } => active += end.seconds,
            LedgerEntry::Rollback { ok: false, .. } => end.rollback_failed += 1,
            LedgerEntry::InvariantBroken { .. } => end.invariant_broken += 1,
            LedgerEntry::Limit { .. } => end.limit_breach = 1,
            _ => {}
        }
    }
    end.active_s = end.active_s.max(active);
    end.wall_s = end.wall_s.max(end.active_s);
    end
}
