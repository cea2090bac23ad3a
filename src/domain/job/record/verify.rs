//! The verification of test mode: which facts fail it, which only warn, which are worth a line.

use super::{RecordFiles, display_job_index, is_loop_complete, step_file};
use crate::domain::job::{
    outcome::{JobRunOutcome, StepOutcome, shown_reason},
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
    outcome: Option<&JobRunOutcome>,
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
    outcome: Option<&JobRunOutcome>,
) {
    let mut fail = |text: String| report.failures.push(format!("FAIL {text}"));
    if !disk.phase_state {
        fail("phase_state.json not found".to_owned());
    }
    if disk.step_logs.is_empty() {
        fail("no step files found".to_owned());
    }
    let phase = outcome.map(JobRunOutcome::phase).or(state.last.phase);
    let reason = outcome.map_or(state.last.reason.as_str(), JobRunOutcome::reason);
    match phase {
        Some(StepOutcome::Done | StepOutcome::JobLoopComplete | StepOutcome::Execute) | None => {}
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
pub fn strip_phase_name(reason: &str, phase: StepOutcome) -> &str {
    reason
        .strip_prefix(phase.as_str())
        .and_then(|rest| rest.strip_prefix(": "))
        .unwrap_or(reason)
}

fn notes(report: &mut VerifyReport, state: &JobLoopState, disk: &RecordFiles) {
    if is_loop_complete(state) {
        let reason = state
            .complete
            .as_ref()
            .map_or("", |complete| complete.reason.as_str());
        let reason = shown_reason(strip_phase_name(reason, StepOutcome::JobLoopComplete));
        report.notes.push(format!("job_loop_complete: {reason}"));
        if disk.job_result.is_some() {
            report.notes.push("job_result.json exists".to_owned());
        }
    }
    if let Some(max_jobs) = state.facts.max_jobs {
        report.notes.push(format!(
            "job_loop enabled=True job_name={} job_index={} max_jobs={max_jobs} completed={}",
            state.facts.job_name,
            display_job_index(state),
            if is_loop_complete(state) {
                "True"
            } else {
                "False"
            }
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
    if !is_loop_complete(state) {
        warn("job_loop enabled but not completed".to_owned());
    }
    if disk.payload_bytes.is_none() {
        warn("job_payload_present=false".to_owned());
    }
    if state.job_index > max_jobs {
        // The healthy end of a loop stands at max_jobs + 1.
        let why = if is_loop_complete(state) {
            "; the loop is complete"
        } else {
            ""
        };
        warn(format!(
            "job_index ({}) > max_jobs ({max_jobs}){why}",
            state.job_index
        ));
    }
    if is_loop_complete(state) && disk.job_result.is_none() {
        warn("job_result_written=false".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::state::{CompletionRecord, StepOverview};

    fn at() -> crate::domain::time::Timestamp {
        chrono::DateTime::parse_from_rfc3339("2026-03-10T12:00:00+09:00").unwrap()
    }

    fn line(step: u32, stopped: bool) -> StepOverview {
        StepOverview {
            step,
            phase: StepOutcome::Cancelled,
            reason: String::new(),
            stopped,
            at: at(),
            job: None,
            tokens: 0,
            cost: Some(0.0),
        }
    }

    /// A job that ended well, with everything that belongs to it on the disk.
    fn good() -> (JobLoopState, RecordFiles) {
        let mut state = JobLoopState::default();
        state.last.phase = Some(StepOutcome::Done);
        state.steps = vec![line(1, false)];
        let disk = RecordFiles {
            step_logs: vec![1],
            phase_state: true,
            phase_summary: true,
            job_result: Some("r".into()),
            payload_bytes: Some(2),
        };
        (state, disk)
    }

    fn in_loop(job_index: u32, is_complete: bool) -> (JobLoopState, RecordFiles) {
        let (mut state, disk) = good();
        state.facts.max_jobs = Some(3);
        state.facts.job_name = "sample".into();
        state.job_index = job_index;
        state.complete = is_complete.then(|| CompletionRecord {
            max_jobs: 3,
            step: 1,
            at: at(),
            reason: "job_loop_complete: all 3 done".into(),
        });
        (state, disk)
    }

    #[test]
    fn a_good_end_has_nothing_to_say() {
        let (state, disk) = good();
        let report = verify(&state, &disk, None);
        assert_eq!(report, VerifyReport::default());
        assert!(report.passed());
    }

    #[test]
    fn whatever_lacks_or_stopped_fails_the_test_and_is_named() {
        let (mut state, mut disk) = good();
        disk.phase_state = false;
        disk.step_logs.clear();
        state.steps.push(line(2, true));
        let report = verify(&state, &disk, None);
        assert!(!report.passed());
        assert_eq!(
            report.failures,
            [
                "FAIL phase_state.json not found",
                "FAIL no step files found",
                "FAIL step step_002.json stopped=true phase=cancelled",
                "FAIL step log step_001.json is missing",
                "FAIL step log step_002.json is missing",
            ]
        );
    }

    #[test]
    fn a_bad_end_is_told_once_and_that_of_the_run_goes_before_that_of_the_records() {
        let (mut state, disk) = good();
        state.last.phase = Some(StepOutcome::Cancelled);
        state.last.reason = "cancelled: by hand".into();
        assert_eq!(
            verify(&state, &disk, None).failures,
            ["FAIL phase is cancelled: by hand"]
        );
        let fatal = JobRunOutcome::Fatal {
            reason: "no key".into(),
        };
        let failures = verify(&state, &disk, Some(&fatal)).failures;
        assert_eq!(
            failures,
            [format!("FAIL phase is {}: no key", fatal.phase().as_str())]
        );
        for phase in [StepOutcome::Execute, StepOutcome::JobLoopComplete] {
            state.last.phase = Some(phase);
            assert!(verify(&state, &disk, None).passed());
        }
    }

    #[test]
    fn a_name_in_front_of_a_reason_is_taken_off_only_as_a_whole() {
        let strip = |reason| strip_phase_name(reason, StepOutcome::Cancelled);
        assert_eq!(strip("cancelled: by hand"), "by hand");
        assert_eq!(strip("cancelled by hand"), "cancelled by hand");
        assert_eq!(strip("by hand"), "by hand");
    }

    #[test]
    fn a_loop_is_complete_past_its_last_job_and_with_its_record() {
        let told = |job_index, is_complete| {
            let (state, disk) = in_loop(job_index, is_complete);
            verify(&state, &disk, None)
        };
        let line = |index: u32, completed: &str| {
            format!(
                "job_loop enabled=True job_name=sample job_index={index} max_jobs=3 completed={completed}"
            )
        };
        let open = "WARNING: job_loop enabled but not completed".to_owned();
        for (index, is_complete) in [(2, false), (3, false), (3, true)] {
            let report = told(index, is_complete);
            assert_eq!(report.notes, [line(index, "False")]);
            assert_eq!(report.warnings, [open.as_str()]);
        }
        let ahead = told(4, false);
        assert_eq!(ahead.notes, [line(4, "False")]);
        assert_eq!(
            ahead.warnings,
            [open, "WARNING: job_index (4) > max_jobs (3)".to_owned()]
        );
        let complete = told(4, true);
        assert_eq!(
            complete.notes,
            [
                "job_loop_complete: all 3 done".to_owned(),
                "job_result.json exists".to_owned(),
                line(4, "True")
            ]
        );
        assert_eq!(
            complete.warnings,
            ["WARNING: job_index (4) > max_jobs (3); the loop is complete"]
        );
        assert!(complete.passed(), "what deserves attention fails nothing");
    }

    #[test]
    fn what_is_not_there_or_may_be_unstable_is_a_warning() {
        let (mut state, mut disk) = in_loop(4, true);
        state.facts.experimental = true;
        disk.job_result = None;
        disk.payload_bytes = None;
        let report = verify(&state, &disk, None);
        assert_eq!(
            report.warnings,
            [
                "WARNING: experimental mode, results may be unstable",
                "WARNING: job_payload_present=false",
                "WARNING: job_index (4) > max_jobs (3); the loop is complete",
                "WARNING: job_result_written=false",
            ]
        );
        assert!(!report.notes.contains(&"job_result.json exists".to_owned()));
    }
}
