//! The verification of test mode: which facts fail it, which only warn, which are worth a line.

use super::{RecordFiles, display_index, step_file};
use crate::domain::job::{
    outcome::{RunOutcome, StepPhase},
    state::JobLoopState,
};

/// The result of a verification; the lines are printed as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// What is worth knowing.
    pub notes: Vec<String>,
    /// What deserves attention and never changes the exit code.
    pub warnings: Vec<String>,
    /// What makes the test fail.
    pub failures: Vec<String>,
}

impl VerifyReport {
    /// Returns whether the test passed.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Looks at the present state; `outcome` is the end of the run that belongs to this test, if one ran.
pub fn verify(
    state: &JobLoopState,
    disk: &RecordFiles,
    outcome: Option<&RunOutcome>,
) -> VerifyReport {
    let mut report = VerifyReport::default();
    failures(&mut report, state, disk, outcome);
    notes(&mut report, state, disk);
    warnings(&mut report, state, disk);
    report
}

fn failures(
    report: &mut VerifyReport,
    state: &JobLoopState,
    disk: &RecordFiles,
    outcome: Option<&RunOutcome>,
) {
    let mut fail = |text: String| report.failures.push(format!("FAIL {text}"));
    if !disk.phase_state {
        fail("phase_state.json not found".to_owned());
    }
    if disk.step_logs.is_empty() {
        fail("no step files found".to_owned());
    }
    let phase = outcome.map(RunOutcome::phase).or(state.last.phase);
    let reason = outcome.map_or(state.last.reason.as_str(), RunOutcome::reason);
    match phase {
        Some(StepPhase::Done | StepPhase::JobLoopComplete | StepPhase::Execute) | None => {}
        Some(phase) => fail(format!(
            "phase is {}: {}",
            phase.as_str(),
            strip_phase_name(reason, phase)
        )),
    }
    for line in state.steps.iter().filter(|line| line.stopped) {
        fail(format!(
            "step {} stopped=true phase={}",
            step_file(line.step),
            line.phase.as_str()
        ));
    }
    for line in &state.steps {
        if !disk.step_logs.contains(&line.step) {
            fail(format!("step log {} is missing", step_file(line.step)));
        }
    }
}

/// Returns the reason without the phase's name in front, so that no line says it twice.
pub fn strip_phase_name(reason: &str, phase: StepPhase) -> &str {
    reason
        .strip_prefix(phase.as_str())
        .and_then(|rest| rest.strip_prefix(": "))
        .unwrap_or(reason)
}

fn completed(state: &JobLoopState) -> bool {
    let max_jobs = state.facts.max_jobs;
    max_jobs.is_some_and(|max_jobs| state.job_index > max_jobs) && state.complete.is_some()
}

fn notes(report: &mut VerifyReport, state: &JobLoopState, disk: &RecordFiles) {
    if completed(state) {
        let reason = state
            .complete
            .as_ref()
            .map_or("", |complete| complete.reason.as_str());
        let reason = strip_phase_name(reason, StepPhase::JobLoopComplete);
        report.notes.push(format!("job_loop_complete: {reason}"));
        if disk.job_result.is_some() {
            report.notes.push("job_result.json exists".to_owned());
        }
    }
    if let Some(max_jobs) = state.facts.max_jobs {
        report.notes.push(format!(
            "job_loop enabled=True job_name={} job_index={} max_jobs={max_jobs} completed={}",
            state.facts.job_name,
            display_index(state),
            if completed(state) { "True" } else { "False" }
        ));
    }
}

fn warnings(report: &mut VerifyReport, state: &JobLoopState, disk: &RecordFiles) {
    let mut warn = |text: String| report.warnings.push(format!("WARNING: {text}"));
    if state.facts.experimental {
        warn("experimental mode, results may be unstable".to_owned());
    }
    let Some(max_jobs) = state.facts.max_jobs else {
        return;
    };
    if !completed(state) {
        warn("job_loop enabled but not completed".to_owned());
    }
    if disk.payload_bytes.is_none() {
        warn("job_payload_present=false".to_owned());
    }
    if state.job_index > max_jobs {
        // The healthy end of a loop stands at max_jobs + 1.
        let why = if completed(state) {
            "; the loop is complete"
        } else {
            ""
        };
        warn(format!(
            "job_index ({}) > max_jobs ({max_jobs}){why}",
            state.job_index
        ));
    }
    if completed(state) && disk.job_result.is_none() {
        warn("job_result_written=false".to_owned());
    }
}
