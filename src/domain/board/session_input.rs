//! What a board is told about sessions, and what has to be done about them.

use serde::{Deserialize, Serialize};

use super::{
    Fence, Millis, RunId, SessionId, Spend,
    session::{SessionSpec, SessionStop, SessionTaskEnd},
    session_record::SessionRecord,
};
use crate::domain::{
    ledger::TaskOutcome,
    tasks::{StopReason, TaskVerdict},
};

/// Something a board is told about a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "session_input", rename_all = "snake_case")]
pub enum SessionInput {
    /// Begin one.
    Start {
        /// What is asked for.
        spec: Box<SessionSpec>,
    },
    /// Take note of one that is over, and ran without this service.
    Record {
        /// What is known of it.
        record: Box<SessionRecord>,
    },
    /// End one: what is at work is stopped, nothing further starts.
    Cancel {
        /// Which.
        session: SessionId,
        /// Why; may be empty.
        reason: String,
        /// Who says so.
        by: String,
    },
    /// Whoever performs it goes on after a death of the service, from what the ledger says.
    Restore {
        /// Which.
        session: SessionId,
        /// How each task came out.
        outcomes: Vec<Option<TaskOutcome>>,
        /// How many failed one after the other.
        failures_in_a_row: u32,
    },
    /// Whoever performs it waits for the next turn.
    Ready {
        /// Which.
        session: SessionId,
    },
    /// The task at work waits for its agent's quota or provider: its worker is free meanwhile, and it has its turn again
    /// once whoever performs the session is ready again.
    StandAside {
        /// Which.
        session: SessionId,
        /// The run, which is over with that.
        run: RunId,
        /// The number of its lease.
        fence: Fence,
        /// Until when.
        until: Option<Millis>,
        /// What for.
        detail: String,
    },
    /// The task at work failed and is tried once more; the answer names the new run and its number.
    Again {
        /// Which.
        session: SessionId,
        /// The run that failed.
        run: RunId,
        /// The number of its lease.
        fence: Fence,
        /// Why it failed, in one line.
        reason: String,
    },
    /// A task came out.
    FinishTask {
        /// Which.
        session: SessionId,
        /// The run.
        run: RunId,
        /// The number of its lease.
        fence: Fence,
        /// The verdict.
        verdict: TaskVerdict,
        /// How it came out.
        end: SessionTaskEnd,
        /// What it used up.
        spend: Spend,
        /// Where its log lies, below the root.
        log: String,
    },
    /// Accepted work was taken back, because the whole did not hold with it.
    Revert {
        /// Which.
        session: SessionId,
        /// The places in the list.
        places: Vec<usize>,
        /// Why.
        reason: String,
    },
    /// It is over.
    Finish {
        /// Which.
        session: SessionId,
        /// Why; `None` = it could not be carried out.
        why: Option<StopReason>,
        /// Why it could not be carried out; empty = it was.
        error: String,
        /// How what is left came out.
        ends: Vec<SessionTaskEnd>,
        /// What came of it, as JSON.
        report: String,
    },
}

impl SessionInput {
    /// Returns whether it begins something new.
    pub const fn is_new(&self) -> bool {
        matches!(self, Self::Start { .. } | Self::Record { .. })
    }
}

/// Something that has to be done about a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "session_effect", rename_all = "snake_case")]
pub enum SessionEffect {
    /// Perform it.
    Open {
        /// Which.
        session: SessionId,
        /// It was under way when the service died.
        resume: bool,
    },
    /// Let the next task have its turn.
    Turn {
        /// Which.
        session: SessionId,
        /// The place in the list.
        place: usize,
        /// The run.
        run: RunId,
        /// The number of the lease.
        fence: Fence,
    },
    /// No further task starts.
    Stop {
        /// Which.
        session: SessionId,
        /// Why.
        stop: SessionStop,
    },
}
