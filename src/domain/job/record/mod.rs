//! The files that people and other programs read: every one a pure function of the recorded events.
//!
//! Because nothing but events goes in, a file that is lost, torn or edited can be written again exactly
//! as it was. Names, order and meaning of the keys are those of the original program; additions come last.

use serde_json::{Value, json};

use crate::domain::{
    job::{
        outcome::StepOutcome,
        state::{JobLoopState, StepOverview},
    },
    time::{Timestamp, local_text},
};

mod phase_summary;
mod run_summary;
mod step_log;
mod verify;

pub use phase_summary::phase_summary;
pub use run_summary::{
    RecordFiles, RunSummaryFacts, key_value_line, run_summary, run_summary_text,
};
pub use step_log::{log_without_step, step_log};
pub use verify::{VerifyReport, strip_phase_name, verify};

/// Returns the file name of a step's log: at least three digits, so that names sort as numbers up to 999.
pub fn step_file(number: u32) -> String {
    format!("step_{number:03}.json")
}

/// Returns the number in a step log's file name.
pub fn step_number(file: &str) -> Option<u32> {
    let digits = file.strip_prefix("step_")?.strip_suffix(".json")?;
    if digits.len() < 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// Returns the sprint that is in force and the one before it.
///
/// The configuration's `sprint` names the present one; without it the runbook's numbering applies: S-5 is
/// the experimental phase, S-6 the stable one. The one before is the last different sprint on record,
/// else the number below.
pub fn current_and_previous_sprint(state: &JobLoopState) -> (String, String) {
    let fallback = if state.facts.experimental {
        "S-5"
    } else {
        "S-6"
    };
    let current = state
        .facts
        .sprint
        .clone()
        .unwrap_or_else(|| fallback.to_owned());
    let earlier = state
        .sprints
        .iter()
        .rev()
        .find(|sprint| **sprint != current);
    let previous = earlier.cloned().unwrap_or_else(|| below(&current));
    (current, previous)
}

fn below(sprint: &str) -> String {
    let number = sprint
        .strip_prefix("S-")
        .and_then(|n| n.parse::<u32>().ok());
    number.map_or_else(
        || "S-4".to_owned(),
        |n| format!("S-{}", n.saturating_sub(1)),
    )
}

/// Returns the phase state: `phase_state.json`.
pub fn phase_state(state: &JobLoopState) -> Value {
    let last = &state.last;
    let done = last.phase.is_some_and(StepOutcome::is_done);
    json!({
        "current_phase": last.phase.map(StepOutcome::as_str),
        "previous_phase": current_and_previous_sprint(state).1,
        "current_step": current_step(state),
        "last_done": done,
        "last_done_reason": last.reason,
        "next_instruction_id": done.then_some("next_job"),
        "job_index": state.facts.max_jobs.map(|_| state.job_index),
        "updated_at": stamp(state.updated_at),
        "version": 1,
        "run_id": state.run,
        "jobs_done": state.jobs_done,
        "parked_until": state.parked.as_ref().map(|parked| local_text(parked.until)),
    })
}

/// The step that a run would work on: the done one after success, else the one that comes next.
fn current_step(state: &JobLoopState) -> u32 {
    let open = state.job.as_ref().and_then(|job| job.step.as_ref());
    if let Some(step) = open {
        return step.number;
    }
    if state.last.phase.is_some_and(StepOutcome::is_done) {
        state.last.step
    } else {
        state.next_step
    }
}

/// Returns the result of the whole loop: `job_result.json`, once it is complete.
pub fn job_result(state: &JobLoopState) -> Option<Value> {
    let complete = state.complete.as_ref()?;
    Some(json!({
        "job_name": state.facts.job_name,
        "max_jobs": complete.max_jobs,
        "jobs_executed": state.jobs_done,
        "end_reason": complete.reason,
        "last_phase": StepOutcome::JobLoopComplete.as_str(),
        "last_step": complete.step,
        "timestamp": local_text(complete.at),
    }))
}

/// Returns the loop as the summaries show it; `index` is the job just worked on.
pub(in crate::domain) fn loop_object(state: &JobLoopState) -> Value {
    json!({
        "enabled": state.facts.max_jobs.is_some(),
        "max_jobs": state.facts.max_jobs.or(state.facts.configured_jobs).unwrap_or(1),
        "job_name": state.facts.job_name,
        "current_job_index": state.facts.max_jobs.map(|_| display_job_index(state)),
        "completed": is_loop_complete(state),
    })
}

/// Returns whether every job of the loop is done: past the last one, and with the record that says so.
fn is_loop_complete(state: &JobLoopState) -> bool {
    let max_jobs = state.facts.max_jobs;
    max_jobs.is_some_and(|max_jobs| state.job_index > max_jobs) && state.complete.is_some()
}

/// Returns the job just worked on, as every line and summary shows it: the last step's, else the one that comes next.
pub fn display_job_index(state: &JobLoopState) -> u32 {
    let last = state.steps.last().and_then(|line: &StepOverview| line.job);
    state
        .job
        .as_ref()
        .map(|job| job.index)
        .or(last)
        .unwrap_or(state.job_index)
}

pub(in crate::domain) fn stamp(at: Option<Timestamp>) -> Option<String> {
    at.map(local_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w50_step_files_sort_by_number_and_grow_past_three_digits() {
        assert_eq!(
            (step_file(7), step_file(1000)),
            ("step_007.json".into(), "step_1000.json".into())
        );
        assert_eq!(step_number("step_1000.json"), Some(1000));
        assert_eq!(step_number("step_01.json"), None);
        assert_eq!(step_number("step_001.json.damaged-1"), None);
    }

    #[test]
    fn w53_the_sprints_come_from_configuration_and_history() {
        let mut state = JobLoopState::default();
        state.facts.experimental = true;
        assert_eq!(
            current_and_previous_sprint(&state),
            ("S-5".into(), "S-4".into())
        );
        state.facts.sprint = Some("S-6".into());
        assert_eq!(
            current_and_previous_sprint(&state),
            ("S-6".into(), "S-5".into())
        );
        state.sprints = vec!["S-4".into(), "S-6".into()];
        assert_eq!(
            current_and_previous_sprint(&state),
            ("S-6".into(), "S-4".into())
        );
    }
}
