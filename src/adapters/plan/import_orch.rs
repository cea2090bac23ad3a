//! Reads a run that the older tool made, which has a `state.json` and no log, as the events that would have led to it.

use std::path::Path;

use serde_json::Value;

use crate::{
    adapters::plan::{loader, safe_open},
    domain::plan::{
        event::{
            Artifact, AttemptEnded, AttemptStarted, Millis, PlanEvent, RunClosed, RunCreated,
            RunSessionStarted, TasksSettled, VERSION,
        },
        state::{StatusReason, TaskStatus},
    },
};

/// Returns the events of the run in `path`, or why there are none.
pub(crate) fn events(path: &Path) -> Result<Vec<PlanEvent>, String> {
    let bytes = safe_open::read_regular(&path.join("state.json"), 1 << 30)
        .map_err(|error| format!("it has neither a log nor a state: {error}"))?;
    let state: Value = serde_json::from_slice(&bytes)
        .map_err(|error| format!("its state is not JSON: {error}"))?;
    let plan = loader::load(&path.join("plan.yaml"), &std::collections::BTreeMap::new())
        .map_err(|error| error.to_string())?;
    let text = |key: &str| state.get(key).and_then(Value::as_str).map(str::to_owned);
    let created_at = millis(state.get("created_at")).ok_or("its state has no `created_at`")?;
    let status = text("status")
        .as_deref()
        .and_then(TaskStatus::from_name)
        .ok_or("its state has no `status`")?;
    let number = |key: &str| {
        state
            .get(key)
            .and_then(Value::as_u64)
            .and_then(|number| u32::try_from(number).ok())
    };
    let mut events = vec![
        PlanEvent::Created(RunCreated {
            version: VERSION,
            run_id: text("run_id").ok_or("its state has no `run_id`")?,
            at: created_at,
            offset_minutes: offset(state.get("created_at")),
            goal: text("goal"),
            workdir: text("workdir").ok_or("its state has no `workdir`")?,
            plan: "plan.yaml".to_owned(),
            tasks: plan.tasks.iter().map(|task| task.id.to_string()).collect(),
            handlers: plan.handlers,
            ..RunCreated::default()
        }),
        PlanEvent::Opened(RunSessionStarted {
            at: created_at,
            pid: 0,
            max_parallel: number("max_parallel").unwrap_or(4),
            fail_fast: state
                .get("fail_fast")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            ..RunSessionStarted::default()
        }),
    ];
    for (index, task) in (0_u32..).zip(&plan.tasks) {
        let found = state.get("tasks").and_then(|tasks| tasks.get(&*task.id));
        let found =
            found.ok_or_else(|| format!("its state does not know the task `{}`", task.id))?;
        believable(&task.id, found, status)?;
        events.extend(of_task(index, found, created_at));
    }
    if status.is_over() {
        events.push(PlanEvent::Closed(RunClosed {
            at: millis(state.get("updated_at")).unwrap_or(created_at),
            status,
        }));
    }
    Ok(events)
}

/// Refuses what the older tool cannot have written: a run taken over wrongly would go on from a lie.
fn believable(id: &str, found: &Value, run: TaskStatus) -> Result<(), String> {
    let word = found.get("status").and_then(Value::as_str);
    let status = word.and_then(TaskStatus::from_name).ok_or_else(|| {
        let word = word.unwrap_or_default();
        format!(
            "its state.json gives the task `{id}` the unknown status `{}`",
            word.escape_debug()
        )
    })?;
    let is_contrary = match run {
        TaskStatus::Success => status != TaskStatus::Success,
        TaskStatus::Failed | TaskStatus::Canceled => !status.is_over(),
        _ => false,
    };
    if is_contrary {
        let (run, status) = (run.name(), status.name());
        return Err(format!(
            "its state.json says that the run is {run} and that its task `{id}` is {status}"
        ));
    }
    let code = found.get("exit_code").and_then(Value::as_i64);
    let timed_out = found.get("timed_out").and_then(Value::as_bool) == Some(true);
    let has_reason = found
        .get("skip_reason")
        .is_some_and(|reason| !reason.is_null());
    let is_odd = match status {
        TaskStatus::Success => code != Some(0) || timed_out,
        TaskStatus::Failed => code == Some(0) && !timed_out && !has_reason,
        _ => false,
    };
    if is_odd {
        let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        return Err(format!(
            "its state.json says that the task `{id}` is {} with the exit code {code}{}",
            status.name(),
            if timed_out { " after its deadline" } else { "" }
        ));
    }
    Ok(())
}

fn of_task(task: u32, found: &Value, created_at: Millis) -> Vec<PlanEvent> {
    let status = found
        .get("status")
        .and_then(Value::as_str)
        .and_then(TaskStatus::from_name)
        .unwrap_or_default();
    let attempt = found
        .get("attempts")
        .and_then(Value::as_u64)
        .and_then(|count| u32::try_from(count).ok())
        .unwrap_or(0);
    let at = millis(found.get("ended_at")).unwrap_or(created_at);
    let reason = found
        .get("skip_reason")
        .cloned()
        .and_then(|reason| serde_json::from_value::<StatusReason>(reason).ok());
    let started = PlanEvent::Started(AttemptStarted {
        task,
        at: millis(found.get("started_at")).unwrap_or(created_at),
        attempt,
        wall: None,
    });
    if attempt == 0 {
        let settled = PlanEvent::Settled(TasksSettled {
            tasks: vec![task],
            at,
            status,
            reason: reason.unwrap_or(StatusReason::RunnerException),
        });
        return if status.is_over() {
            vec![settled]
        } else {
            Vec::new()
        };
    }
    if !status.is_over() {
        return vec![started];
    }
    vec![
        started,
        PlanEvent::Ended(ended(task, found, at, status, reason)),
    ]
}

fn ended(
    task: u32,
    found: &Value,
    at: Millis,
    status: TaskStatus,
    reason: Option<StatusReason>,
) -> AttemptEnded {
    let paths = found
        .get("artifact_paths")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let seconds = found
        .get("duration_sec")
        .and_then(Value::as_f64)
        .unwrap_or(0.0)
        .clamp(0.0, 1e9);
    AttemptEnded {
        task,
        at,
        us: u64::try_from(std::time::Duration::from_secs_f64(seconds).as_micros()).unwrap_or(0),
        status,
        code: found
            .get("exit_code")
            .and_then(Value::as_i64)
            .and_then(|code| i32::try_from(code).ok()),
        reason,
        message: None,
        timed_out: found
            .get("timed_out")
            .and_then(Value::as_bool)
            .unwrap_or(false),
        cached: false,
        wait_ms: None,
        artifacts: paths
            .map(|path| Artifact {
                path: path.to_owned(),
                raw: None,
                bytes: 0,
                sha256: String::new(),
            })
            .collect(),
    }
}

fn millis(value: Option<&Value>) -> Option<Millis> {
    let at = chrono::DateTime::parse_from_rfc3339(value?.as_str()?).ok()?;
    Some(at.timestamp_millis())
}

fn offset(value: Option<&Value>) -> i32 {
    let at = value
        .and_then(Value::as_str)
        .and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok());
    at.map_or(0, |at| at.offset().local_minus_utc() / 60)
}
