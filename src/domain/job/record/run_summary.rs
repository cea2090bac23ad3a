//! The summary of one run: `last_run_summary.json` and its one-line twin.

use serde_json::{Map, Value, json};

use super::{VerifyReport, display_job_index, loop_object, phase_summary::end_reason, step_file};
use crate::domain::job::{
    outcome::{JobRunOutcome, StepOutcome},
    state::JobLoopState,
};

/// What lies on the disk at the end of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordFiles {
    /// Numbers of the step logs, ascending.
    pub step_logs: Vec<u32>,
    /// Whether the phase state is there.
    pub phase_state: bool,
    /// Whether the phase summary is there.
    pub phase_summary: bool,
    /// The absolute path of the job result, where it is there.
    pub job_result: Option<String>,
    /// The size of the job input in bytes, where it is there.
    pub payload_bytes: Option<u64>,
}

/// Facts of the run that the events do not hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunSummaryFacts {
    /// The mode of this run.
    pub mode: String,
    /// What lies on the disk.
    pub disk: RecordFiles,
    /// How the run ended, where one ran.
    pub outcome: Option<JobRunOutcome>,
    /// Trouble that kept the run from starting or ending properly.
    pub error: Option<String>,
    /// The facts of a rollback that this run follows.
    pub rollback: Option<Value>,
    /// The verification, where one was made.
    pub report: Option<VerifyReport>,
}

/// Returns the run summary.
pub fn run_summary(state: &JobLoopState, files: &RunSummaryFacts) -> Value {
    let (phase, done) = phase(state, files);
    let disk = &files.disk;
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
    put("phase", json!(phase));
    put("step", json!(state.last.step));
    put("done", json!(done));
    put(
        "latest_step",
        json!(disk.step_logs.last().map(|number| step_file(*number))),
    );
    put("step_count", json!(disk.step_logs.len()));
    put("phase_summary_exists", json!(disk.phase_summary));
    put("job_result_exists", json!(disk.job_result.is_some()));
    put(
        "job_result_written",
        json!(state.complete.is_some() && disk.job_result.is_some()),
    );
    if let Some(path) = &disk.job_result {
        put("job_result_path", json!(path));
    }
    put("job_payload_present", json!(disk.payload_bytes.is_some()));
    put("job_payload_size", json!(disk.payload_bytes.unwrap_or(0)));
    put("job_loop", loop_object(state));
    put("end_reason", json!(reason(state, files)));
    put("version", json!(1));
    put("mode", json!(files.mode));
    put("run_id", json!(state.run));
    let (tokens, cost) = state.tokens_and_cost();
    put("tokens", json!(tokens));
    put("cost", json!(cost));
    if let Some(error) = &files.error {
        put("error", json!(error));
    }
    if let Some(rollback) = &files.rollback {
        put("rollback", rollback.clone());
    }
    if let Some(report) = &files.report {
        put("test_passed", json!(report.passed()));
        put("failures", json!(report.failures));
        put("warnings", json!(report.warnings));
    }
    Value::Object(map)
}

/// Returns the phase to report and whether it is a success. A run that could not even start reports
/// `error`, whatever an earlier run reached: nobody shall mistake that run's success for this one's.
fn phase(state: &JobLoopState, files: &RunSummaryFacts) -> (Option<&'static str>, bool) {
    if files.error.is_some() {
        return (Some("error"), false);
    }
    let outcome = files.outcome.as_ref().map(JobRunOutcome::phase);
    let phase = outcome.or(state.last.phase);
    (
        phase.map(StepOutcome::as_str),
        phase.is_some_and(StepOutcome::is_done),
    )
}

fn reason(state: &JobLoopState, files: &RunSummaryFacts) -> Option<String> {
    let of_outcome = files
        .outcome
        .as_ref()
        .map(|outcome| outcome.reason().to_owned());
    of_outcome
        .or_else(|| files.error.clone())
        .or_else(|| end_reason(state))
}

/// Returns the run summary on one line of `key=value` pairs that always parses.
pub fn run_summary_text(state: &JobLoopState, files: &RunSummaryFacts) -> String {
    let (phase, done) = phase(state, files);
    let disk = &files.disk;
    let done = if done { "True" } else { "False" };
    let latest = disk
        .step_logs
        .last()
        .map_or_else(|| "none".to_owned(), |number| step_file(*number));
    let exists = |there: bool| if there { "exists" } else { "none" };
    let mut pairs: Vec<(&str, String)> = vec![
        ("phase", phase.unwrap_or("none").to_owned()),
        ("step", state.last.step.to_string()),
        ("done", done.to_owned()),
        ("latest_step", latest),
        ("step_count", disk.step_logs.len().to_string()),
        ("phase_summary", exists(disk.phase_summary).to_owned()),
        ("job_result", exists(disk.job_result.is_some()).to_owned()),
    ];
    if let Some(path) = &disk.job_result {
        pairs.push(("job_result_path", path.clone()));
    }
    match state.facts.max_jobs {
        None => pairs.push(("job_loop", "disabled".to_owned())),
        Some(max_jobs) => pairs.extend([
            ("job_loop", "enabled".to_owned()),
            ("job_name", state.facts.job_name.clone()),
            ("job_index", display_job_index(state).to_string()),
            ("max_jobs", max_jobs.to_string()),
        ]),
    }
    let present = if disk.payload_bytes.is_some() {
        "present"
    } else {
        "none"
    };
    let written = state.complete.is_some() && disk.job_result.is_some();
    pairs.extend([
        ("job_payload", present.to_owned()),
        ("job_result_written", written.to_string()),
        (
            "job_payload_size",
            disk.payload_bytes.unwrap_or(0).to_string(),
        ),
    ]);
    additions(&mut pairs, state, files);
    key_value_line(&pairs)
}

fn additions(
    pairs: &mut Vec<(&'static str, String)>,
    state: &JobLoopState,
    files: &RunSummaryFacts,
) {
    if let Some(reason) = reason(state, files) {
        pairs.push(("end_reason", reason));
    }
    pairs.push(("mode", files.mode.clone()));
    let target = files
        .rollback
        .as_ref()
        .and_then(|rollback| rollback.get("target"));
    if let Some(target) = target.and_then(Value::as_str) {
        pairs.push(("rollback_target", target.to_owned()));
    }
    if let Some(report) = &files.report {
        pairs.push(("test_passed", report.passed().to_string()));
        let told: Vec<&str> = report
            .failures
            .iter()
            .chain(&report.warnings)
            .map(String::as_str)
            .collect();
        if !told.is_empty() {
            pairs.push(("verification", told.join("; ")));
        }
    }
}

/// Writes pairs on one line; a value with blanks, quotes, control characters or `=` is a JSON string.
pub fn key_value_line(pairs: &[(&str, String)]) -> String {
    let plain = |value: &str| {
        !value.is_empty()
            && !value
                .chars()
                .any(|c| c.is_whitespace() || c.is_control() || "\"'=".contains(c))
    };
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(key, value)| {
            if plain(value) {
                format!("{key}={value}")
            } else {
                format!("{key}={}", Value::String(value.clone()))
            }
        })
        .collect();
    pairs.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v11_values_with_blanks_or_quotes_are_json_strings() {
        let text = key_value_line(&[
            ("phase", "done".into()),
            ("end_reason", "done (job 1/3 \"x\")".into()),
        ]);
        assert_eq!(text, r#"phase=done end_reason="done (job 1/3 \"x\")""#);
    }

    #[test]
    fn the_line_of_the_runbook_comes_out_as_documented() {
        let mut state = JobLoopState::default();
        state.last.phase = Some(StepOutcome::Done);
        state.last.step = 1;
        let files = RunSummaryFacts {
            mode: "run".into(),
            disk: RecordFiles {
                step_logs: vec![1],
                phase_summary: true,
                ..RecordFiles::default()
            },
            ..RunSummaryFacts::default()
        };
        let text = run_summary_text(&state, &files);
        assert!(text.starts_with(
            "phase=done step=1 done=True latest_step=step_001.json step_count=1 phase_summary=exists job_result=none job_loop=disabled"
        ), "{text}");
    }
}
