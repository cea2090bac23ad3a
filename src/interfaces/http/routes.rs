//! The routes: each turns a request into one input, or reads the board.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, post},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    ApiError, ApiState,
    answers::{answer, task},
};
use crate::domain::board::{
    Answer, ApprovalId, BlockReason, Input, ProcessName, RunId, TaskId, TaskSpec, TaskStatus,
};

type Told = Result<Json<Value>, ApiError>;

/// Returns all routes.
pub(super) fn all() -> Router<ApiState> {
    let system = Router::new()
        .route("/processes", get(processes))
        .route("/processes/stop-all", post(stop_all))
        .route("/processes/{name}", get(process))
        .route("/processes/{name}/start", post(start))
        .route("/processes/{name}/stop", post(stop))
        .route("/hatch", get(hatch).post(set_hatch))
        .route("/hold", post(hold))
        .route("/resume", post(resume))
        .route("/cleanup", post(cleanup));
    Router::new()
        .nest("/system", system)
        .route("/health", get(health))
        .route("/tasks", get(tasks).post(create))
        .route("/tasks/{id}", get(one_task).patch(edit))
        .route("/tasks/{id}/why", get(why))
        .route("/tasks/{id}/cancel", post(cancel))
        .route("/tasks/{id}/requeue", post(requeue))
        .route("/runs", get(runs))
        .route("/runs/{id}", get(run))
        .route("/agents", get(agents))
        .route("/judgements", get(judgements))
        .route("/merges", get(merges))
        .route("/merges/retry", post(retry_merges))
        .route("/approvals", get(approvals))
        .route("/approvals/{id}", post(decide))
        .route("/cycles", get(cycles))
        .route("/plans", get(plans))
        .route("/logs/agents/{id}", get(agent_log))
        .route("/logs/cycle-manager", get(cycle_log))
        .route("/logs/all", get(all_logs))
        .route("/logs/clear", post(clear_logs))
        .fallback(|| async { ApiError::missing("there is no such route") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method",
                "this route knows another method",
                "",
            )
        })
}

/// Reads a body; an empty one is an empty object.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    let bytes: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(bytes)
        .map_err(|error| ApiError::invalid(format!("the body makes no sense: {error}")))
}

fn id<T: std::str::FromStr<Err = String>>(text: &str) -> Result<T, ApiError> {
    text.parse().map_err(ApiError::invalid)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Words {
    by: Option<String>,
    reason: String,
    note: String,
}

impl Words {
    fn by(&self) -> String {
        self.by.clone().unwrap_or_else(|| "api".to_owned())
    }
}

async fn health(State(state): State<ApiState>) -> Json<Value> {
    let board = state.handle.snapshot();
    let statuses =
        TaskStatus::ALL.map(|status| (status.as_str().to_owned(), json!(board.count(status))));
    let reasons = BlockReason::ALL.map(|reason| {
        (
            reason.as_str().to_owned(),
            json!(board.count_blocked(reason)),
        )
    });
    Json(json!({
        "status": "ok",
        "events": board.globals().events,
        "tasks": serde_json::Map::from_iter(statuses),
        "blocked": serde_json::Map::from_iter(reasons),
        "running": board.live_runs().count(),
        "hatch": board.hatch(),
        "hold": board.held(),
        "budget": board.budget(),
    }))
}

#[derive(Debug, Deserialize)]
struct Wanted {
    status: Option<String>,
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

async fn tasks(State(state): State<ApiState>, Query(wanted): Query<Wanted>) -> Told {
    let board = state.handle.snapshot();
    let status = |text: &String| {
        let known = TaskStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == text);
        known.ok_or_else(|| ApiError::invalid(format!("\"{text}\" is no status")))
    };
    let status = wanted.status.as_ref().map(status).transpose()?;
    let limit = wanted.limit.unwrap_or(1000).clamp(1, 1000);
    let fits = board.tasks().filter(|task| {
        task.id.0 > wanted.after && status.is_none_or(|status| task.status == status)
    });
    let found: Vec<Value> = fits
        .take(limit + 1)
        .map(|one| task(&state.handle, one))
        .collect();
    let next = (found.len() > limit)
        .then(|| found.get(limit - 1).map(|task| task["id"].clone()))
        .flatten();
    Ok(Json(
        json!({ "tasks": found.iter().take(limit).collect::<Vec<_>>(), "next": next }),
    ))
}

async fn create(
    State(state): State<ApiState>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let spec: TaskSpec = read(&body)?;
    let told = state
        .handle
        .submit(Input::CreateTask {
            spec: Box::new(spec),
        })
        .await?;
    let created = matches!(told, Answer::Task { created: true, .. });
    let status = if created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let Answer::Task { task: id, .. } = told else {
        return Ok((status, answer(&told)));
    };
    let board = state.handle.snapshot();
    let value = board
        .task(id)
        .map(|one| task(&state.handle, one))
        .unwrap_or_default();
    Ok((status, Json(value)))
}

async fn one_task(State(state): State<ApiState>, Path(text): Path<String>) -> Told {
    let id: TaskId = id(&text)?;
    let board = state.handle.snapshot();
    let found = board
        .task(id)
        .ok_or_else(|| ApiError::missing(format!("there is no {id}")))?;
    let mut value = task(&state.handle, found);
    value["runs"] = json!(
        board
            .runs()
            .filter(|run| run.task == id)
            .collect::<Vec<_>>()
    );
    value["judgements"] = json!(
        board
            .judgements()
            .filter(|one| one.task == id)
            .collect::<Vec<_>>()
    );
    Ok(Json(value))
}

async fn edit(State(state): State<ApiState>, Path(text): Path<String>, body: Bytes) -> Told {
    let id: TaskId = id(&text)?;
    let board = state.handle.snapshot();
    let found = board
        .task(id)
        .ok_or_else(|| ApiError::missing(format!("there is no {id}")))?;
    let changes: serde_json::Map<String, Value> = read(&body)?;
    let mut spec = json!(found.spec);
    for (name, value) in changes {
        spec[name] = value;
    }
    let spec: TaskSpec =
        serde_json::from_value(spec).map_err(|error| ApiError::invalid(error.to_string()))?;
    Ok(answer(
        &state
            .handle
            .submit(Input::EditTask {
                task: id,
                spec: Box::new(spec),
            })
            .await?,
    ))
}

async fn why(State(state): State<ApiState>, Path(text): Path<String>) -> Told {
    let board = state.handle.snapshot();
    Ok(Json(json!(board.why(id(&text)?, state.handle.now())?)))
}

async fn cancel(State(state): State<ApiState>, Path(text): Path<String>, body: Bytes) -> Told {
    let words: Words = read(&body)?;
    let by = words.by();
    let input = Input::CancelTask {
        task: id(&text)?,
        reason: words.reason,
        by,
    };
    Ok(answer(&state.handle.submit(input).await?))
}

async fn requeue(State(state): State<ApiState>, Path(text): Path<String>, body: Bytes) -> Told {
    let words: Words = read(&body)?;
    let by = words.by();
    let input = Input::RequeueTask {
        task: id(&text)?,
        note: words.note,
        by,
    };
    Ok(answer(&state.handle.submit(input).await?))
}

async fn runs(State(state): State<ApiState>) -> Json<Value> {
    let board = state.handle.snapshot();
    Json(json!({ "runs": board.runs().rev().take(200).collect::<Vec<_>>() }))
}

async fn run(State(state): State<ApiState>, Path(text): Path<String>) -> Told {
    let id: RunId = id(&text)?;
    let board = state.handle.snapshot();
    let found = board
        .run(id)
        .ok_or_else(|| ApiError::missing(format!("there is no {id}")))?;
    Ok(Json(json!(found)))
}

async fn agents(State(state): State<ApiState>) -> Json<Value> {
    let board = state.handle.snapshot();
    Json(json!({ "agents": board.agents().collect::<Vec<_>>() }))
}

async fn judgements(State(state): State<ApiState>) -> Json<Value> {
    let board = state.handle.snapshot();
    Json(json!({ "judgements": board.judgements().rev().take(200).collect::<Vec<_>>() }))
}

async fn merges(State(state): State<ApiState>) -> Json<Value> {
    let board = state.handle.snapshot();
    Json(json!({ "merges": board.merges().rev().take(200).collect::<Vec<_>>() }))
}

async fn retry_merges(State(state): State<ApiState>, body: Bytes) -> Told {
    let words: Words = read(&body)?;
    Ok(answer(
        &state
            .handle
            .submit(Input::RetryMerges { by: words.by() })
            .await?,
    ))
}

async fn approvals(State(state): State<ApiState>) -> Json<Value> {
    let board = state.handle.snapshot();
    Json(json!({ "approvals": board.open_approvals().collect::<Vec<_>>() }))
}

#[derive(Debug, Deserialize)]
struct Decision {
    allow: bool,
    by: Option<String>,
}

async fn decide(State(state): State<ApiState>, Path(text): Path<String>, body: Bytes) -> Told {
    let approval: ApprovalId = id(&text)?;
    let decision: Decision = read(&body)?;
    let by = decision.by.unwrap_or_else(|| "api".to_owned());
    let input = Input::Answer {
        approval,
        allow: decision.allow,
        by,
    };
    Ok(answer(&state.handle.submit(input).await?))
}

async fn cycles(State(state): State<ApiState>) -> Json<Value> {
    let board = state.handle.snapshot();
    Json(json!({ "cycles": board.cycles().rev().take(200).collect::<Vec<_>>() }))
}

async fn plans(State(state): State<ApiState>) -> Json<Value> {
    let board = state.handle.snapshot();
    Json(json!({ "plans": board.plans().rev().take(200).collect::<Vec<_>>() }))
}

async fn processes(State(state): State<ApiState>) -> Json<Value> {
    Json(json!({ "processes": state.handle.snapshot().processes() }))
}

async fn process(State(state): State<ApiState>, Path(text): Path<String>) -> Told {
    let name: ProcessName = text.parse().map_err(|why: String| ApiError::missing(why))?;
    let found = state
        .handle
        .snapshot()
        .processes()
        .into_iter()
        .find(|process| process.name == name);
    Ok(Json(json!(found.ok_or_else(|| ApiError::missing(
        format!("{name} was never started")
    ))?)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Start {
    content: Option<String>,
    by: Option<String>,
}

async fn start(State(state): State<ApiState>, Path(name): Path<String>, body: Bytes) -> Told {
    let start: Start = read(&body)?;
    let by = start.by.unwrap_or_else(|| "api".to_owned());
    let input = Input::StartProcess {
        name,
        requirement: start.content,
        by,
    };
    Ok(answer(&state.handle.submit(input).await?))
}

async fn stop(State(state): State<ApiState>, Path(name): Path<String>, body: Bytes) -> Told {
    let words: Words = read(&body)?;
    Ok(answer(
        &state
            .handle
            .submit(Input::StopProcess {
                name,
                by: words.by(),
            })
            .await?,
    ))
}

async fn stop_all(State(state): State<ApiState>, body: Bytes) -> Told {
    let words: Words = read(&body)?;
    Ok(answer(
        &state
            .handle
            .submit(Input::StopAll { by: words.by() })
            .await?,
    ))
}

async fn hatch(State(state): State<ApiState>) -> Json<Value> {
    Json(json!(state.handle.snapshot().hatch()))
}

#[derive(Debug, Deserialize)]
struct SetHatch {
    armed: bool,
    source: Option<String>,
}

async fn set_hatch(State(state): State<ApiState>, body: Bytes) -> Told {
    let set: SetHatch = read(&body)?;
    let source = set.source.unwrap_or_else(|| "api".to_owned());
    let input = if set.armed {
        Input::ArmHatch {
            source,
            by_person: true,
        }
    } else {
        Input::DisarmHatch {
            source,
            by_person: true,
        }
    };
    Ok(answer(&state.handle.submit(input).await?))
}

async fn hold(State(state): State<ApiState>, body: Bytes) -> Told {
    let words: Words = read(&body)?;
    let by = words.by();
    Ok(answer(
        &state
            .handle
            .submit(Input::Hold {
                reason: words.reason,
                by,
            })
            .await?,
    ))
}

async fn resume(State(state): State<ApiState>, body: Bytes) -> Told {
    let words: Words = read(&body)?;
    Ok(answer(
        &state
            .handle
            .submit(Input::Resume { by: words.by() })
            .await?,
    ))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cleanup {
    stop_first: bool,
    by: Option<String>,
}

async fn cleanup(State(state): State<ApiState>, body: Bytes) -> Told {
    let words: Cleanup = read(&body)?;
    let by = words.by.unwrap_or_else(|| "api".to_owned());
    Ok(answer(
        &state
            .handle
            .submit(Input::Cleanup {
                stop_first: words.stop_first,
                by,
            })
            .await?,
    ))
}

#[derive(Debug, Deserialize)]
struct Lines {
    lines: Option<usize>,
}

fn log(state: &ApiState, name: &str, lines: &Lines) -> Json<Value> {
    let most = lines.lines.unwrap_or(200).clamp(1, 2000);
    Json(json!({ "log": name, "lines": state.logs.tail(name, most) }))
}

async fn agent_log(
    State(state): State<ApiState>,
    Path(text): Path<String>,
    Query(lines): Query<Lines>,
) -> Told {
    let name: ProcessName = text.parse().map_err(|why: String| ApiError::missing(why))?;
    Ok(log(&state, &name.agent_name(), &lines))
}

async fn cycle_log(State(state): State<ApiState>, Query(lines): Query<Lines>) -> Json<Value> {
    log(&state, "cycle-manager", &lines)
}

async fn all_logs(State(state): State<ApiState>, Query(lines): Query<Lines>) -> Json<Value> {
    let most = lines.lines.unwrap_or(2000).clamp(1, 20_000);
    let names = state.logs.names();
    // Each line begins with its time, so sorting is merging.
    let mut all: Vec<String> = names
        .iter()
        .flat_map(|name| state.logs.tail(name, most))
        .collect();
    all.sort();
    let skip = all.len().saturating_sub(most);
    Json(json!({ "lines": all.split_off(skip), "sources": names }))
}

async fn clear_logs(State(state): State<ApiState>) -> Json<Value> {
    let board = state.handle.snapshot();
    let up: Vec<String> = board
        .processes()
        .iter()
        .filter(|process| process.status.is_live())
        .map(|process| process.name.agent_name())
        .collect();
    let (truncated, removed) = state.logs.clear(&up);
    Json(json!({ "truncated": truncated, "removed": removed }))
}
