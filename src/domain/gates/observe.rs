//! What this machine shows about the stages of TOS: which modes worked, which records lie there.

use serde_json::Value;

use crate::domain::{
    event::{Event, EventKind},
    outcome::Outcome,
    time::Timestamp,
};

/// What was looked at.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The configuration is valid and names this sprint.
    pub sprint: Option<String>,
    /// Every model that is configured has its key.
    pub has_keys: bool,
    /// The run log.
    pub events: Vec<Event>,
    /// The run summary.
    pub summary: Option<Value>,
    /// Its one-line twin.
    pub summary_line: Option<String>,
    /// The phase summary.
    pub phase_summary: Option<Value>,
    /// The job result.
    pub job_result: Option<Value>,
    /// When checkpoints were made.
    pub checkpoints: Vec<Timestamp>,
    /// Safety snapshots exist, so something was rolled back.
    pub rolled_back: bool,
}

/// Returns what was seen: a name that gates know, and a detail for people.
pub fn observations(seen: &Seen) -> Vec<(&'static str, String)> {
    let mut found = vec![(
        "config-valid",
        format!("sprint {}", seen.sprint.as_deref().unwrap_or("not named")),
    )];
    let mut note = |holds: bool, name: &'static str, detail: &str| {
        if holds {
            found.push((name, detail.to_owned()));
        }
    };
    note(
        seen.has_keys,
        "api-keys",
        "every configured model has its key",
    );
    for mode in ["run", "test", "cleanrun"] {
        note(
            succeeded(&seen.events, mode),
            mode,
            "a run of this mode reached its goal",
        );
    }
    note(
        !seen.checkpoints.is_empty(),
        "checkpoint",
        "a checkpoint exists",
    );
    note(
        seen.rolled_back,
        "rollback",
        "a safety snapshot of a rollback exists",
    );
    note(
        loop_complete(&seen.events),
        "job-loop-complete",
        "every job of the loop was done",
    );
    note(
        seen.job_result.as_ref().is_some_and(Value::is_object),
        "job-result",
        "the job result is written",
    );
    let has = |value: &Option<Value>, keys: &[&str]| {
        value
            .as_ref()
            .is_some_and(|value| keys.iter().all(|key| value.get(key).is_some()))
    };
    note(
        has(&seen.phase_summary, &["current_phase", "previous_phase"]),
        "phase-summary",
        "the phase summary is written",
    );
    note(
        has(
            &seen.phase_summary,
            &["denied_count", "fatal_error_count", "stopped_count"],
        ),
        "summary-counts-ends",
        "denials, fatal errors and stops are counted apart",
    );
    note(
        has(&seen.summary, &["phase"]),
        "summary-names-phase",
        "the run summary names the phase",
    );
    note(
        has(&seen.summary, &["phase", "end_reason"]),
        "run-summary-json",
        "the run summary is written",
    );
    let line = seen.summary_line.as_deref().unwrap_or_default().trim();
    note(
        line.starts_with("phase=") && line.lines().count() == 1,
        "run-summary-txt",
        "its one-line twin is written",
    );
    let newest = seen.checkpoints.iter().max();
    let last_run = seen
        .events
        .iter()
        .rev()
        .find(|event| matches!(event.event, EventKind::RunStarted { .. }));
    let newer = newest.is_some_and(|at| last_run.is_none_or(|run| *at > run.at));
    note(
        newer,
        "checkpoint-newer-than-run",
        "a checkpoint was made after the last run began",
    );
    found
}

fn succeeded(events: &[Event], mode: &str) -> bool {
    events.iter().any(|event| match &event.event {
        EventKind::RunStarted { facts } => {
            facts.mode == mode && ended(events, &event.run).is_some_and(is_success)
        }
        _ => false,
    })
}

fn loop_complete(events: &[Event]) -> bool {
    events.iter().any(|event| {
        matches!(
            &event.event,
            EventKind::RunEnded {
                outcome: Outcome::LoopComplete { .. }
            }
        )
    })
}

fn ended<'a>(events: &'a [Event], run: &str) -> Option<&'a Outcome> {
    events.iter().find_map(|event| match &event.event {
        EventKind::RunEnded { outcome } if event.run == run => Some(outcome),
        _ => None,
    })
}

const fn is_success(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Done { .. } | Outcome::LoopComplete { .. })
}
