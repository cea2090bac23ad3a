//! The summary of all steps since the last clean: `phase_summary.json`.

use serde_json::{Value, json};

use super::{current_and_previous_sprint, loop_object, stamp};
use crate::domain::{
    job::{
        outcome::StepOutcome,
        state::{JobLoopState, StepOverview, tokens_and_cost},
    },
    time::local_text,
};

/// Returns the phase summary.
pub fn phase_summary(state: &JobLoopState) -> Value {
    let (current, previous) = current_and_previous_sprint(state);
    let lines = &state.steps;
    let count =
        |wanted: fn(&StepOverview) -> bool| lines.iter().filter(|line| wanted(line)).count();
    let result = state
        .complete
        .as_ref()
        .map(|_| state.facts.job_result.clone());
    let mut summary = json!({
        "generated_at": stamp(state.updated_at),
        "current_phase": current,
        "previous_phase": previous,
        "is_experimental": state.facts.experimental,
        "experimental": state.facts.experimental,
        "job_loop_enabled": state.facts.max_jobs.is_some(),
        "job_loop": loop_object(state),
        "job_payload_present": state.facts.payload.is_some(),
        "job_result_written": result.is_some(),
        "total_steps": lines.len().saturating_add(state.adopted_logs as usize),
        "success_count": count(|line| !line.stopped && matches!(line.phase, StepOutcome::Execute | StepOutcome::Done)),
        "fail_count": count(|line| line.phase == StepOutcome::FatalError),
        "denied_count": count(|line| line.phase == StepOutcome::Deny),
        "fatal_error_count": count(|line| line.phase == StepOutcome::FatalError),
        "stopped_count": count(|line| line.stopped),
        "skipped_count": 0,
        "final_done": state.last.phase.is_some_and(StepOutcome::is_done),
        "final_phase_result": final_result(state, &current),
        "execution_summary": {
            "executed_count": state.totals.executed,
            "denied_count": state.totals.denied,
            "timeout_count": state.totals.timeout,
            "failed_count": state.totals.failed,
        },
        "stop_on_deny": state.facts.stop_on_deny,
        "end_reason": end_reason(state),
    });
    if let Some(map) = summary.as_object_mut() {
        map.insert(
            "denied_steps".into(),
            of_phase(lines, StepOutcome::Deny, "message"),
        );
        map.insert(
            "fatal_error_steps".into(),
            of_phase(lines, StepOutcome::FatalError, "error"),
        );
        map.insert("stopped_steps".into(), stopped(lines));
        map.insert("skipped_steps".into(), json!([]));
        map.insert("steps".into(), steps(lines));
        map.insert("job_result_path".into(), json!(result));
        map.insert("job_result_path_posix".into(), json!(result));
        map.insert("version".into(), json!(1));
        let (tokens, cost) = tokens_and_cost(lines);
        map.insert("tokens".into(), json!(tokens));
        map.insert("cost".into(), json!(cost));
    }
    summary
}

/// Why the last run ended; while one is under way, why its last step did.
pub(super) fn end_reason(state: &JobLoopState) -> Option<String> {
    state
        .last
        .end_reason
        .clone()
        .or_else(|| state.last.phase.map(|_| state.last.reason.clone()))
}

fn final_result(state: &JobLoopState, sprint: &str) -> Option<Value> {
    let done = state
        .steps
        .iter()
        .any(|line| line.phase == StepOutcome::Done);
    done.then(|| {
        json!({
            "next_phase_name": sprint,
            "next_phase_done_condition": "the done condition of the configuration holds",
            "next_instruction_id": "next_job",
            "next_instruction_summary": "run again for the next job of the loop",
            "next_instruction_inputs": [],
            "next_instruction_expected_outputs": [],
        })
    })
}

fn of_phase(lines: &[StepOverview], phase: StepOutcome, text_key: &str) -> Value {
    lines
        .iter()
        .filter(|line| line.phase == phase)
        .map(|line| json!({ "step_num": line.step, "reason": line.reason, text_key: line.reason }))
        .collect()
}

fn stopped(lines: &[StepOverview]) -> Value {
    lines
        .iter()
        .filter(|line| line.stopped)
        .map(|line| json!({ "step_num": line.step, "phase": line.phase, "reason": line.reason }))
        .collect()
}

fn steps(lines: &[StepOverview]) -> Value {
    let text = |line: &StepOverview, phase| (line.phase == phase).then(|| line.reason.clone());
    lines
        .iter()
        .map(|line| {
            json!({
                "step_num": line.step,
                "phase": line.phase,
                "done": line.phase.is_done(),
                "done_reason": line.reason,
                "timestamp": local_text(line.at),
                "error": text(line, StepOutcome::FatalError),
                "message": text(line, StepOutcome::Deny),
                "stopped": line.stopped,
                "job_index": line.job,
                "tokens": line.tokens,
                "cost": line.cost,
            })
        })
        .collect()
}
