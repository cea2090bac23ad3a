//! What this machine shows about the stages.

use serde_json::json;

use super::*;
use crate::domain::job::{
    event::{EventKind, RunLogEvent, RunSettingsRecord},
    outcome::JobRunOutcome,
};

fn names(seen: &ObservationInputs) -> Vec<&'static str> {
    observations(seen)
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

fn event(run: &str, event: EventKind) -> RunLogEvent {
    RunLogEvent {
        v: 1,
        seq: 1,
        at: at("2026-03-10T12:00:00+09:00"),
        run: run.into(),
        event,
    }
}

fn began(run: &str, mode: &str) -> RunLogEvent {
    let facts = RunSettingsRecord {
        mode: mode.into(),
        ..RunSettingsRecord::default()
    };
    event(
        run,
        EventKind::RunStarted {
            facts: Box::new(facts),
        },
    )
}

fn ended(run: &str, outcome: JobRunOutcome) -> RunLogEvent {
    event(run, EventKind::RunEnded { outcome })
}

fn done() -> JobRunOutcome {
    JobRunOutcome::Done {
        reason: String::new(),
    }
}

#[test]
fn nothing_is_seen_where_nothing_is() {
    let seen = ObservationInputs::default();
    assert_eq!(
        observations(&seen),
        [("config-valid", "sprint not named".to_owned())]
    );
}

#[test]
fn a_mode_worked_when_a_run_of_that_mode_itself_reached_its_goal() {
    let fatal = JobRunOutcome::Fatal {
        reason: String::new(),
    };
    let seen = |events: Vec<RunLogEvent>| {
        names(&ObservationInputs {
            events,
            ..ObservationInputs::default()
        })
    };
    assert_eq!(
        seen(vec![began("a", "run"), ended("a", done())])[1..],
        ["run"]
    );
    assert_eq!(
        seen(vec![began("a", "test"), ended("a", done())])[1..],
        ["test"]
    );
    let failed = vec![
        began("a", "run"),
        ended("a", fatal.clone()),
        began("b", "cleanrun"),
        ended("b", done()),
    ];
    assert_eq!(seen(failed)[1..], ["cleanrun"]);
    assert_eq!(seen(vec![began("a", "run")])[1..], [""; 0]);
    let complete = JobRunOutcome::LoopComplete {
        reason: String::new(),
    };
    assert_eq!(
        seen(vec![began("a", "run"), ended("a", complete)])[1..],
        ["run", "job-loop-complete"]
    );
    assert_eq!(
        seen(vec![began("a", "run"), ended("a", fatal)])[1..],
        [""; 0]
    );
}

#[test]
fn a_checkpoint_is_newer_than_the_run_that_began_last() {
    let seen = |times: &[&str], events: Vec<RunLogEvent>| {
        names(&ObservationInputs {
            checkpoints: times.iter().map(|time| at(time)).collect(),
            events,
            ..ObservationInputs::default()
        })[1..]
            .to_vec()
    };
    let both = ["checkpoint", "checkpoint-newer-than-run"];
    let (before, same, after) = (
        "2026-03-10T11:59:59+09:00",
        "2026-03-10T12:00:00+09:00",
        "2026-03-10T12:00:01+09:00",
    );
    assert_eq!(seen(&[before], vec![]), both);
    assert_eq!(seen(&[before], vec![began("a", "run")]), both[..1]);
    assert_eq!(seen(&[same], vec![began("a", "run")]), both[..1]);
    assert_eq!(seen(&[after, before], vec![began("a", "run")]), both);
}

#[test]
fn records_count_when_they_say_what_they_have_to() {
    let seen = ObservationInputs {
        sprint: Some("7".into()),
        has_keys: true,
        rolled_back: true,
        summary: Some(json!({ "phase": "done", "end_reason": "done" })),
        summary_line: Some("phase=done step=1\n".into()),
        phase_summary: Some(json!({
            "current_phase": "done", "previous_phase": "final",
            "denied_count": 0, "fatal_error_count": 0, "stopped_count": 0,
        })),
        job_result: Some(json!({})),
        ..ObservationInputs::default()
    };
    let all = [
        "config-valid",
        "api-keys",
        "rollback",
        "job-result",
        "phase-summary",
        "summary-counts-ends",
        "summary-names-phase",
        "run-summary-json",
        "run-summary-txt",
    ];
    assert_eq!(names(&seen), all);
    assert_eq!(observations(&seen)[0].1, "sprint 7");
    let poor = ObservationInputs {
        summary: Some(json!({ "phase": "done" })),
        summary_line: Some("phase=done\nphase=done".into()),
        phase_summary: Some(json!({ "current_phase": "done", "denied_count": 0 })),
        job_result: Some(json!("text")),
        ..ObservationInputs::default()
    };
    assert_eq!(names(&poor), ["config-valid", "summary-names-phase"]);
    let foreign = ObservationInputs {
        summary_line: Some("something else".into()),
        ..ObservationInputs::default()
    };
    assert_eq!(names(&foreign), ["config-valid"]);
}
