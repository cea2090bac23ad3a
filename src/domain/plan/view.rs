//! A run as others read it: the object of `state.json`, and the same with everything else that is known.
//!
//! `state.json` has exactly the fields tools have always found there. [`ViewDetail::Full`] adds ours.

use std::collections::BTreeMap;

use chrono::{FixedOffset, TimeZone};
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::domain::{
    plan::{
        Plan, TaskIndex,
        event::{Artifact, Millis},
        explain,
        state::{RunState, TaskState, TaskStatus},
        task::{PlanTask, PolicyMode},
    },
    redaction::Redactor,
    sandbox::SandboxBackend,
};

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewDetail {
    /// The fields of `state.json`.
    Classic,
    /// Everything.
    Full,
}

/// A run, ready to be written as JSON.
#[derive(Debug, Clone, Copy)]
pub struct RunView<'a> {
    /// Its plan.
    pub plan: &'a Plan,
    /// What became of it.
    pub state: &'a RunState,
    /// The directory of all runs.
    pub home: &'a str,
    /// How it stands, which for a run without a runner is not what its log says.
    pub status: TaskStatus,
    /// How much is shown.
    pub detail: ViewDetail,
}

#[derive(Serialize)]
struct TaskView<'a> {
    status: TaskStatus,
    depends_on: Vec<&'a str>,
    cmd: Vec<String>,
    cwd: Option<&'a str>,
    env: Option<BTreeMap<&'a str, &'a str>>,
    timeout_sec: Option<f64>,
    retries: u32,
    retry_backoff_sec: &'a [f64],
    outputs: &'a [String],
    attempts: u32,
    started_at: Option<String>,
    ended_at: Option<String>,
    duration_sec: Option<f64>,
    exit_code: Option<i32>,
    timed_out: bool,
    canceled: bool,
    skip_reason: Option<&'static str>,
    stdout_path: String,
    stderr_path: String,
    artifact_paths: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_failure: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifacts: Option<&'a [Artifact]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confinement: Option<&'static str>,
}

struct Tasks<'a>(RunView<'a>);

impl Serialize for RunView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (state, opened) = (self.state, self.state.opened.as_ref());
        let offset = state.created.offset_minutes;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("run_id", &state.created.run_id)?;
        map.serialize_entry("created_at", &format_timestamp(state.created.at, offset))?;
        map.serialize_entry("updated_at", &format_timestamp(state.updated_at, offset))?;
        map.serialize_entry("status", &self.status)?;
        map.serialize_entry("goal", &state.created.goal)?;
        map.serialize_entry("plan_relpath", "plan.yaml")?;
        map.serialize_entry("home", self.home)?;
        map.serialize_entry("workdir", &state.created.workdir)?;
        map.serialize_entry(
            "max_parallel",
            &opened.map_or(4, |opened| opened.max_parallel),
        )?;
        map.serialize_entry("fail_fast", &opened.is_some_and(|opened| opened.fail_fast))?;
        if self.detail == ViewDetail::Full {
            let counts: BTreeMap<&str, usize> = TaskStatus::ALL
                .into_iter()
                .map(|status| (status.name(), state.count(status)))
                .collect();
            map.serialize_entry("counts", &counts)?;
            map.serialize_entry("cancel_requested", &state.cancel_requested)?;
            map.serialize_entry("plan", &state.created.plan)?;
            map.serialize_entry("policy", &self.plan.policy)?;
            let confinement = opened.and_then(|opened| opened.confinement.as_deref());
            map.serialize_entry("confinement", &confinement)?;
        }
        map.serialize_entry("tasks", &Tasks(*self))?;
        map.end()
    }
}

impl Serialize for Tasks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let view = self.0;
        // What a plan of a person says is their business; what a model wrote may repeat what it has read.
        let redactor = (view.plan.policy == PolicyMode::Enforce).then(Redactor::default);
        serializer.collect_map((0_u32..).zip(&view.plan.tasks).zip(&view.state.tasks).map(
            |((index, task), state)| (&*task.id, view.task(index, task, state, redactor.as_ref())),
        ))
    }
}

impl<'a> RunView<'a> {
    fn task(
        &self,
        index: TaskIndex,
        task: &'a PlanTask,
        state: &'a TaskState,
        redactor: Option<&Redactor>,
    ) -> TaskView<'a> {
        let offset = self.state.created.offset_minutes;
        let is_full = self.detail == ViewDetail::Full;
        TaskView {
            status: state.status,
            depends_on: task
                .depends_on
                .iter()
                .filter_map(|up| self.plan.task(*up))
                .map(|up| &*up.id)
                .collect(),
            cmd: words(task, redactor),
            cwd: task.cwd.as_deref(),
            env: task.env.as_ref().map(|env| {
                env.iter()
                    .map(|(name, value)| (name.as_str(), masked(name, value)))
                    .collect()
            }),
            timeout_sec: task.timeout_sec,
            retries: task.retries,
            retry_backoff_sec: &task.retry_backoff_sec,
            outputs: &task.outputs,
            attempts: state.attempts,
            started_at: state.started_at.map(|at| format_timestamp(at, offset)),
            ended_at: state.ended_at.map(|at| format_timestamp(at, offset)),
            duration_sec: state.took_us.map(micros_to_seconds),
            exit_code: state.exit_code,
            timed_out: state.timed_out,
            canceled: state.status == TaskStatus::Canceled,
            skip_reason: state
                .reason
                .map(crate::domain::plan::state::StatusReason::name),
            stdout_path: format!("logs/{}.out.log", task.id),
            stderr_path: format!("logs/{}.err.log", task.id),
            artifact_paths: state
                .artifacts()
                .iter()
                .map(|artifact| artifact.path.as_str())
                .collect(),
            cached: is_full.then_some(state.cached),
            message: state.message().filter(|_| is_full),
            why: is_full
                .then(|| explain::explain_status(self.plan, self.state, index))
                .flatten(),
            allow_failure: is_full.then(|| task.allow_failure()),
            next_attempt_at: state
                .due_at
                .filter(|_| is_full)
                .map(|at| format_timestamp(at, offset)),
            artifacts: is_full.then(|| state.artifacts()),
            confinement: state.wall.filter(|_| is_full).map(SandboxBackend::as_str),
        }
    }
}

/// Returns the value of a variable, or stars where its name says that it is a secret.
fn masked<'a>(name: &str, value: &'a str) -> &'a str {
    let name = name.to_ascii_uppercase();
    let is_secret = [
        "TOKEN",
        "SECRET",
        "PASSWORD",
        "PASSWD",
        "API_KEY",
        "APIKEY",
        "PRIVATE_KEY",
        "CREDENTIAL",
    ]
    .iter()
    .any(|word| name.contains(word));
    if is_secret && !value.is_empty() {
        "***"
    } else {
        value
    }
}

/// Returns the words of a task, without anything that has the shape of a secret where a redactor is given.
fn words(task: &PlanTask, redactor: Option<&Redactor>) -> Vec<String> {
    let words = task.command_words();
    match redactor {
        None => words,
        Some(redactor) => words.iter().map(|word| redactor.clean(word)).collect(),
    }
}

/// Returns microseconds as seconds with three decimals.
pub fn micros_to_seconds(micros: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "durations below 2^52 milliseconds are exact"
    )]
    let thousandths = (micros / 1000) as f64;
    thousandths / 1000.0
}

/// Returns a moment as text, with whole seconds and the offset from UTC.
pub fn format_timestamp(at: Millis, offset_minutes: i32) -> String {
    let offset = FixedOffset::east_opt(offset_minutes.saturating_mul(60));
    let text = |offset: FixedOffset| {
        let at = offset.timestamp_millis_opt(at).single()?;
        Some(at.format("%Y-%m-%dT%H:%M:%S%:z").to_string())
    };
    offset.and_then(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_keep_the_offset_and_drop_the_fraction() {
        assert_eq!(
            format_timestamp(1_763_650_000_999, 540),
            "2025-11-20T23:46:40+09:00"
        );
        assert_eq!(format_timestamp(0, -90), "1969-12-31T22:30:00-01:30");
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        assert_eq!(masked("GITHUB_TOKEN", "x"), "***");
        assert_eq!(masked("PATH", "/bin"), "/bin");
    }
}
