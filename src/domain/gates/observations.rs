//! What this machine shows about the stages of TOS: which modes worked, which records lie there.

use serde_json::Value;

use crate::domain::{
    job::{
        event::{EventKind, RunLogEvent},
        outcome::JobRunOutcome,
    },
    time::Timestamp,
};

/// What was looked at.
#[derive(Debug, Clone, Default)]
pub struct ObservationInputs {
    /// The configuration is valid and names this sprint.
    pub sprint: Option<String>,
    /// Every model that is configured has its key.
    pub has_keys: bool,
    /// The run log.
    pub events: Vec<RunLogEvent>,
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
pub fn observations(seen: &ObservationInputs) -> Vec<(&'static str, String)> {
    let sprint = seen.sprint.as_deref().unwrap_or("not named");
    let mut found = vec![("config-valid", format!("sprint {sprint}"))];
    let all = acts(seen).into_iter().chain(records(seen));
    let held = all.filter(|(holds, _, _)| *holds);
    found.extend(held.map(|(_, name, detail)| (name, detail.to_owned())));
    found
}

type Look = (bool, &'static str, &'static str);

fn acts(seen: &ObservationInputs) -> Vec<Look> {
    let worked = |mode| {
        (
            succeeded(&seen.events, mode),
            mode,
            "a run of this mode reached its goal",
        )
    };
    let newest = seen.checkpoints.iter().max();
    let began = |event: &&RunLogEvent| matches!(event.event, EventKind::RunStarted { .. });
    let last_run = seen.events.iter().rev().find(began);
    let newer = newest.is_some_and(|at| last_run.is_none_or(|run| *at > run.at));
    vec![
        (
            seen.has_keys,
            "api-keys",
            "every configured model has its key",
        ),
        worked("run"),
        worked("test"),
        worked("cleanrun"),
        (newest.is_some(), "checkpoint", "a checkpoint exists"),
        (
            seen.rolled_back,
            "rollback",
            "a safety snapshot of a rollback exists",
        ),
        (
            loop_complete(&seen.events),
            "job-loop-complete",
            "every job of the loop was done",
        ),
        (
            newer,
            "checkpoint-newer-than-run",
            "a checkpoint was made after the last run began",
        ),
    ]
}

fn records(seen: &ObservationInputs) -> Vec<Look> {
    let has = |value: &Option<Value>, keys: &[&str]| {
        let holds = |value: &Value| keys.iter().all(|key| value.get(key).is_some());
        value.as_ref().is_some_and(holds)
    };
    let result = seen.job_result.as_ref().is_some_and(Value::is_object);
    let phases = has(&seen.phase_summary, &["current_phase", "previous_phase"]);
    let counts = ["denied_count", "fatal_error_count", "stopped_count"];
    let line = seen.summary_line.as_deref().unwrap_or_default().trim();
    let twin = line.starts_with("phase=") && line.lines().count() == 1;
    vec![
        (result, "job-result", "the job result is written"),
        (phases, "phase-summary", "the phase summary is written"),
        (
            has(&seen.phase_summary, &counts),
            "summary-counts-ends",
            "denials, fatal errors and stops are counted apart",
        ),
        (
            has(&seen.summary, &["phase"]),
            "summary-names-phase",
            "the run summary names the phase",
        ),
        (
            has(&seen.summary, &["phase", "end_reason"]),
            "run-summary-json",
            "the run summary is written",
        ),
        (twin, "run-summary-txt", "its one-line twin is written"),
    ]
}

fn succeeded(events: &[RunLogEvent], mode: &str) -> bool {
    events.iter().any(|event| match &event.event {
        EventKind::RunStarted { facts } => {
            facts.mode == mode && ended(events, &event.run).is_some_and(is_success)
        }
        _ => false,
    })
}

fn loop_complete(events: &[RunLogEvent]) -> bool {
    events.iter().any(|event| {
        matches!(
            &event.event,
            EventKind::RunEnded {
                outcome: JobRunOutcome::LoopComplete { .. }
            }
        )
    })
}

fn ended<'a>(events: &'a [RunLogEvent], run: &str) -> Option<&'a JobRunOutcome> {
    events.iter().find_map(|event| match &event.event {
        EventKind::RunEnded { outcome } if event.run == run => Some(outcome),
        _ => None,
    })
}

const fn is_success(outcome: &JobRunOutcome) -> bool {
    matches!(
        outcome,
        JobRunOutcome::Done { .. } | JobRunOutcome::LoopComplete { .. }
    )
}
