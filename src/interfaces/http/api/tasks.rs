//! `/tasks`: what is asked for, where it stands, when it goes on and why it does not.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

use crate::{
    domain::board::{
        AgentRole, BlockReason, Board, BoardResponse, Dependency, Input, Lane, Risk, Task, TaskId,
        TaskSpec, TaskStatus,
    },
    interfaces::http::{
        error::ApiError,
        extract::{ApiJson, ApiPath, ApiQuery, MaybeJson, parse_id},
        state::HttpState,
    },
};

use super::{
    answer::{DoneView, PageQuery, done, etag_response},
    wire::{DependencyView, JudgementView, RunView, TaskView, WhyView},
};

/// Which tasks.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TaskQuery {
    /// Only with this status.
    status: Option<String>,
    /// Only blocked for this reason.
    block_reason: Option<String>,
    /// Only of this role.
    role: Option<String>,
    /// Only of this lane.
    lane: Option<String>,
    /// Only with this text in title or goal.
    q: Option<String>,
    /// How many, up to 500; 100 when it is not said.
    limit: Option<usize>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A page of tasks, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskPage {
    /// The tasks.
    tasks: Vec<TaskView>,
    /// Where the next page begins.
    next_cursor: Option<String>,
}

/// A task with all that belongs to it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskDetail {
    /// The task.
    task: TaskView,
    /// Why it is where it is, the most important first.
    why: Vec<WhyView>,
    /// Its runs, newest first.
    runs: Vec<RunView>,
    /// Its judgements, newest first.
    judgements: Vec<JudgementView>,
}

/// A task that was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskCreated {
    /// The task.
    task: TaskView,
    /// It was made now; otherwise its key was known.
    created: bool,
}

/// What is asked for. When a task is changed, what is not named stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct TaskInput {
    /// One line.
    title: Option<String>,
    /// What the agent is asked to do.
    goal: Option<String>,
    /// The kind of change: fix, feature, test, deps or refactor.
    class: Option<String>,
    /// The command that must succeed, in words, without a shell.
    test_command: Option<Vec<String>>,
    /// What it may touch, as patterns below the root.
    paths: Option<Vec<String>>,
    /// Files the agent reads first.
    context_files: Option<Vec<String>>,
    /// Checks it may change.
    may_change_checks: Option<Vec<String>>,
    /// Modules it may import.
    allowed_imports: Option<Vec<String>>,
    /// What the machine has to have that does it, as labels of workers.
    requires: Option<Vec<String>>,
    /// worker, tester or docser.
    role: Option<String>,
    /// `feature`, `conflict_recovery`, `docser` or `research`.
    lane: Option<String>,
    /// low, medium or high.
    risk: Option<String>,
    /// Higher goes first.
    priority: Option<i32>,
    /// How long one run may take, in minutes.
    timebox_minutes: Option<u32>,
    /// What has to be merged first.
    dependencies: Option<Vec<DependencyView>>,
    /// The agent of the configuration that does it.
    agent: Option<String>,
    /// The branch it is merged into.
    branch: Option<String>,
    /// What it has to be linked to before it may start.
    link: Option<String>,
    /// A text that makes a second creation of the same task find the first; the header `Idempotency-Key` does the same.
    key: Option<String>,
    /// Who asks.
    source: Option<String>,
    /// Only for a change: `cancelled` gives the task up, `queued` brings it back to the queue.
    status: Option<String>,
}

/// Why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct NoteInput {
    /// For the next attempt, or for the record.
    note: String,
}

/// Reads a word of a fixed list.
pub(in crate::interfaces::http) fn read_word<T: DeserializeOwned>(
    name: &str,
    text: &str,
    words: &str,
) -> Result<T, ApiError> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| ApiError::invalid(format!("`{name}` is \"{text}\"; it is one of {words}")))
}

/// Reads a word of the board that need not be given.
pub(super) fn read_given_word<T: DeserializeOwned>(
    name: &str,
    text: Option<&str>,
    words: &str,
) -> Result<Option<T>, ApiError> {
    text.map(|text| read_word(name, text, words)).transpose()
}

impl TaskInput {
    /// Returns a task's wishes with these changes.
    fn onto(self, mut spec: TaskSpec) -> Result<TaskSpec, ApiError> {
        fn put<T>(place: &mut T, given: Option<T>) {
            if let Some(given) = given {
                *place = given;
            }
        }
        if let Some(role) = &self.role {
            spec.role = read_word::<AgentRole>("role", role, "worker, tester, docser")?;
        }
        if let Some(lane) = &self.lane {
            let words = "feature, conflict_recovery, docser, research";
            spec.lane = read_word::<Lane>("lane", lane, words)?;
        }
        if let Some(risk) = &self.risk {
            spec.risk = read_word::<Risk>("risk", risk, "low, medium, high")?;
        }
        put(&mut spec.title, self.title);
        put(&mut spec.goal, self.goal);
        put(&mut spec.class, self.class);
        put(&mut spec.test_command, self.test_command);
        put(&mut spec.paths, self.paths);
        put(&mut spec.context_files, self.context_files);
        put(&mut spec.may_change_checks, self.may_change_checks);
        put(&mut spec.allowed_imports, self.allowed_imports);
        put(&mut spec.requires, self.requires);
        put(&mut spec.priority, self.priority);
        put(&mut spec.timebox_minutes, self.timebox_minutes);
        put(&mut spec.agent, self.agent);
        put(&mut spec.branch, self.branch);
        put(&mut spec.link, self.link);
        put(&mut spec.key, self.key);
        put(&mut spec.source, self.source);
        if let Some(dependencies) = self.dependencies {
            let dependency = |needed: DependencyView| Dependency {
                task: TaskId(needed.task),
                on_fail: needed.on_fail,
            };
            spec.dependencies = dependencies.into_iter().map(dependency).collect();
        }
        Ok(spec)
    }
}

impl TaskQuery {
    fn filter(&self) -> Result<impl Fn(&Task) -> bool + use<>, ApiError> {
        let words = "queued, running, done, failed, blocked, cancelled";
        let status: Option<TaskStatus> = read_given_word("status", self.status.as_deref(), words)?;
        let words = "awaiting_judge, quota_wait, needs_rework, issue_linking";
        let block: Option<BlockReason> =
            read_given_word("blockReason", self.block_reason.as_deref(), words)?;
        let words = "worker, tester, docser";
        let role: Option<AgentRole> = read_given_word("role", self.role.as_deref(), words)?;
        let words = "feature, conflict_recovery, docser, research";
        let lane: Option<Lane> = read_given_word("lane", self.lane.as_deref(), words)?;
        let text = self.q.as_deref().unwrap_or("").to_lowercase();
        Ok(move |task: &Task| {
            status.is_none_or(|status| task.status == status)
                && block.is_none_or(|block| task.block == Some(block))
                && role.is_none_or(|role| task.spec.role == role)
                && lane.is_none_or(|lane| task.spec.lane == lane)
                && (text.is_empty()
                    || task.spec.title.to_lowercase().contains(&text)
                    || task.spec.goal.to_lowercase().contains(&text))
        })
    }
}

/// Lists tasks.
#[utoipa::path(get, path = "/tasks", tag = "tasks", params(TaskQuery),
    responses((status = 200, body = TaskPage), (status = 304, description = "nothing changed")))]
pub(super) async fn list(
    State(service): State<HttpState>,
    headers: HeaderMap,
    ApiQuery(query): ApiQuery<TaskQuery>,
) -> Result<Response, ApiError> {
    let board = service.snapshot();
    let wanted = query.filter()?;
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let all = board.tasks().rev().filter(|task| wanted(task));
    let (tasks, next_cursor) = page.paginate(all, |task| task.id.0)?;
    let now = service.now();
    let view = |task: &Task| TaskView::of(&board, task, now);
    let body = TaskPage {
        tasks: tasks.into_iter().map(view).collect(),
        next_cursor,
    };
    Ok(etag_response(&headers, &body))
}

/// Shows a task, its retry, and why it is where it is.
#[utoipa::path(get, path = "/tasks/{id}", tag = "tasks", params(("id" = String, Path, description = "its number")),
    responses((status = 200, body = TaskDetail), (status = 304, description = "nothing changed")))]
pub(super) async fn get(
    State(service): State<HttpState>,
    headers: HeaderMap,
    ApiPath(id): ApiPath,
) -> Result<Response, ApiError> {
    let board = service.snapshot();
    let now = service.now();
    let id: TaskId = parse_id(&id)?;
    let why = board.why(id, now)?;
    let task = find_task(&board, id)?;
    let runs = board.runs().rev().filter(|run| run.task == id);
    let judgements = board
        .judgements()
        .rev()
        .filter(|judgement| judgement.task == id);
    let stopping = service.board().stopping();
    let body = TaskDetail {
        task: TaskView::of(&board, task, now),
        why: WhyView::all(why),
        runs: runs.map(|run| RunView::of(run, &stopping)).collect(),
        judgements: judgements
            .map(|judgement| JudgementView::of(&board, judgement))
            .collect(),
    };
    Ok(etag_response(&headers, &body))
}

pub(in crate::interfaces::http) fn find_task(board: &Board, id: TaskId) -> Result<&Task, ApiError> {
    board.task(id).ok_or_else(|| ApiError::unknown(id))
}

/// Makes a task.
#[utoipa::path(post, path = "/tasks", tag = "tasks", request_body = TaskInput,
    params(("Idempotency-Key" = Option<String>, Header, description = "makes a second request find the task of the first")),
    responses((status = 201, body = TaskCreated), (status = 200, description = "its key was known", body = TaskCreated)))]
pub(super) async fn create(
    State(service): State<HttpState>,
    headers: HeaderMap,
    ApiJson(mut input): ApiJson<TaskInput>,
) -> Result<Response, ApiError> {
    if input
        .status
        .as_deref()
        .is_some_and(|status| status != "queued")
    {
        return Err(ApiError::invalid(
            "a new task is queued; leave `status` out",
        ));
    }
    if input.key.is_none() {
        let key = headers.get("idempotency-key");
        input.key = key.and_then(|key| key.to_str().ok()).map(str::to_owned);
    }
    let base = TaskSpec {
        source: "api".to_owned(),
        ..TaskSpec::default()
    };
    let (id, created) = submit_task(&service, input.onto(base)?).await?;
    let board = service.snapshot();
    let body = TaskCreated {
        task: TaskView::of(&board, find_task(&board, id)?, service.now()),
        created,
    };
    let status = if created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let place = [("location", format!("/tasks/{}", id.0))];
    Ok((status, place, Json(body)).into_response())
}

/// Puts a task on the board.
pub(in crate::interfaces::http) async fn submit_task(
    service: &HttpState,
    spec: TaskSpec,
) -> Result<(TaskId, bool), ApiError> {
    let spec = Box::new(spec);
    match service.submit(Input::CreateTask { spec }).await? {
        BoardResponse::Task { task, created } => Ok((task, created)),
        other => Err(ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            format!("the board answered {other:?}"),
            "",
        )),
    }
}

/// Changes what is asked for, or gives it up, or brings it back.
#[utoipa::path(patch, path = "/tasks/{id}", tag = "tasks", request_body = TaskInput,
    params(("id" = String, Path, description = "its number")), responses((status = 200, body = TaskDetail)))]
pub(super) async fn change(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
    ApiJson(mut input): ApiJson<TaskInput>,
) -> Result<Response, ApiError> {
    let id: TaskId = parse_id(&id)?;
    let spec = find_task(&service.snapshot(), id)?.spec.clone();
    let status = input.status.take();
    let wanted = input.onto(spec.clone())?;
    let step = match status.as_deref() {
        None => None,
        Some("cancelled") => Some(cancel_task_input(id, "")),
        Some("queued") => Some(requeue_task_input(id, "")),
        Some(other) => {
            return Err(
                ApiError::invalid(format!("`status` cannot be set to \"{other}\""))
                    .hint("a person sets cancelled or queued; the rest follows from what happens"),
            );
        }
    };
    if wanted != spec {
        let spec = Box::new(wanted);
        service.submit(Input::EditTask { task: id, spec }).await?;
    }
    if let Some(step) = step {
        service.submit(step).await?;
    }
    get(State(service), HeaderMap::new(), ApiPath(id.0.to_string())).await
}

pub(in crate::interfaces::http) fn cancel_task_input(task: TaskId, reason: &str) -> Input {
    let reason = if reason.is_empty() {
        "given up by a person"
    } else {
        reason
    };
    Input::CancelTask {
        task,
        reason: reason.to_owned(),
        by: "api".to_owned(),
    }
}

pub(in crate::interfaces::http) fn requeue_task_input(task: TaskId, note: &str) -> Input {
    Input::RequeueTask {
        task,
        note: note.to_owned(),
        by: "api".to_owned(),
    }
}

/// Gives a task up; it stays on the board as cancelled.
#[utoipa::path(delete, path = "/tasks/{id}", tag = "tasks",
    params(("id" = String, Path, description = "its number")), responses((status = 200, body = DoneView)))]
pub(super) async fn delete(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
) -> Result<Json<DoneView>, ApiError> {
    Ok(done(
        service
            .submit(cancel_task_input(parse_id(&id)?, ""))
            .await?,
    ))
}

/// Gives a task up.
#[utoipa::path(post, path = "/tasks/{id}/cancel", tag = "tasks", request_body(content = NoteInput, description = "may be left out"),
    params(("id" = String, Path, description = "its number")), responses((status = 200, body = DoneView)))]
pub(super) async fn cancel(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
    MaybeJson(input): MaybeJson<NoteInput>,
) -> Result<Json<DoneView>, ApiError> {
    let step = cancel_task_input(parse_id(&id)?, &input.note);
    Ok(done(service.submit(step).await?))
}

/// Brings a task back to the queue, with fresh retries.
#[utoipa::path(post, path = "/tasks/{id}/requeue", tag = "tasks", request_body(content = NoteInput, description = "may be left out"),
    params(("id" = String, Path, description = "its number")), responses((status = 200, body = DoneView)))]
pub(super) async fn requeue(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
    MaybeJson(input): MaybeJson<NoteInput>,
) -> Result<Json<DoneView>, ApiError> {
    let step = requeue_task_input(parse_id(&id)?, &input.note);
    Ok(done(service.submit(step).await?))
}
