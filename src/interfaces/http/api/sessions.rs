//! `/sessions`: lists of tasks that are carried out in order, as `tos night start` hands them over.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    domain::board::{Board, BoardResponse, Input, Session, SessionId, SessionInput},
    interfaces::http::{
        error::ApiError,
        extract::{ApiJson, ApiPath, ApiQuery, MaybeJson, parse_id},
        state::HttpState,
    },
    ports::board::LogSource,
};

use super::{
    answer::{DoneView, done, etag_response},
    logs::{LogQuery, LogView, of_source},
    wire::{time, word},
};

/// A task of a session.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionTaskView {
    /// Its name in the list.
    name: String,
    /// What it is for.
    goal: String,
    /// The task on the board; none for one that came out in an earlier session of the run.
    task_id: Option<u64>,
    /// waiting, running, success, failed, blocked, skipped or not run.
    status: String,
    /// One line about how it came there.
    detail: String,
}

/// A list that is carried out in order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionView {
    /// Its number.
    id: u64,
    /// The run: accepted work lies under `refs/tos/runs/<run>`.
    run: String,
    /// The list.
    list: String,
    /// night or tasks.
    kind: String,
    /// running, ending, failed, or why it ended: `queue_empty`, `two_failures`, `time_cap` and so on.
    status: &'static str,
    /// It is not over.
    open: bool,
    /// Why it ends or failed, in one line.
    detail: String,
    /// When it began.
    started_at: String,
    /// When it has to be over.
    deadline: Option<String>,
    /// When it ended.
    ended_at: Option<String>,
    /// What the task at work waits for.
    waits_for: Option<String>,
    /// Until when.
    waits_until: Option<String>,
    /// Why the first try of the task at work failed; none = it is the first.
    second_try: Option<String>,
    /// How many tasks failed one after the other; two end it.
    failures_in_a_row: u32,
    /// The question that waits for a person.
    approval: Option<u64>,
    /// Its tasks, in order.
    tasks: Vec<SessionTaskView>,
    /// What came of it, for `tos`, as JSON; empty until it is over, and in lists.
    report: String,
}

impl SessionView {
    fn of(board: &Board, session: &Session) -> Self {
        let detail = if session.error.is_empty() {
            session
                .stop
                .as_ref()
                .map_or_else(String::new, |stop| stop.detail.clone())
        } else {
            session.error.clone()
        };
        let wait = session.wait.as_ref();
        Self {
            id: session.id.0,
            run: session.spec.run.clone(),
            list: session.spec.list.clone(),
            kind: session.spec.kind.clone(),
            status: session.status(),
            open: session.is_open(),
            detail,
            started_at: time(session.started_at),
            deadline: session.deadline.map(time),
            ended_at: session.ended_at.map(time),
            waits_for: wait.map(|wait| wait.detail.clone()),
            waits_until: wait.and_then(|wait| wait.until).map(time),
            second_try: session.again.clone(),
            failures_in_a_row: session.failures_in_a_row,
            approval: board.session_approval(session.id).map(|id| id.0),
            tasks: (0..session.spec.items.len())
                .filter_map(|place| task_view(board, session, place))
                .collect(),
            report: session.report.clone(),
        }
    }
}

fn task_view(board: &Board, session: &Session, place: usize) -> Option<SessionTaskView> {
    let item = session.spec.items.get(place)?;
    let id = session.tasks.get(place).copied().flatten();
    let at_work = session.turn.is_some_and(|turn| turn.place == place);
    let status = match session.outcomes.get(place).copied().flatten() {
        Some(outcome) => word(&outcome).replace('_', " "),
        None if at_work => "running".to_owned(),
        None => "waiting".to_owned(),
    };
    let task = id.and_then(|id| board.task(id));
    Some(SessionTaskView {
        name: item.id.clone(),
        goal: item.goal.clone(),
        task_id: id.map(|id| id.0),
        status,
        detail: task.map_or_else(String::new, |task| task.detail.clone()),
    })
}

/// All sessions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionList {
    /// The sessions.
    sessions: Vec<SessionView>,
}

/// Which run to carry out: `tos night start` has laid its list down below `.tos`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SessionInputBody {
    /// The run.
    run: String,
}

/// Why a session is ended.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct CancelInput {
    /// Why; may be left out.
    reason: String,
    /// Who says so; may be left out.
    by: String,
}

fn known(board: &Board, id: SessionId) -> Result<&Session, ApiError> {
    board.session(id).ok_or_else(|| ApiError::unknown(id))
}

/// Lists sessions.
#[utoipa::path(get, path = "/sessions", tag = "sessions",
    responses((status = 200, body = SessionList), (status = 304, description = "nothing changed")))]
pub(super) async fn list(State(service): State<HttpState>, headers: HeaderMap) -> Response {
    let board = service.snapshot();
    let sessions = board.sessions().rev();
    let sessions = sessions
        .map(|session| SessionView {
            report: String::new(),
            ..SessionView::of(&board, session)
        })
        .collect();
    etag_response(&headers, &SessionList { sessions })
}

/// Begins a session.
#[utoipa::path(post, path = "/sessions", tag = "sessions", request_body = SessionInputBody,
    responses((status = 201, body = SessionView)))]
pub(super) async fn start(
    State(service): State<HttpState>,
    ApiJson(input): ApiJson<SessionInputBody>,
) -> Result<Response, ApiError> {
    let answer = service.board().open_session(input.run).await?;
    let board = service.snapshot();
    let BoardResponse::Session { session } = answer else {
        return Err(ApiError::invalid("no session began"));
    };
    let view = SessionView::of(&board, known(&board, session)?);
    let place = [("location", format!("/sessions/{}", session.0))];
    Ok((StatusCode::CREATED, place, Json(view)).into_response())
}

/// Returns a session.
#[utoipa::path(get, path = "/sessions/{id}", tag = "sessions", params(("id" = String, Path, description = "its number")),
    responses((status = 200, body = SessionView), (status = 304, description = "nothing changed")))]
pub(super) async fn get(
    State(service): State<HttpState>,
    headers: HeaderMap,
    ApiPath(id): ApiPath,
) -> Result<Response, ApiError> {
    let board = service.snapshot();
    let view = SessionView::of(&board, known(&board, parse_id(&id)?)?);
    Ok(etag_response(&headers, &view))
}

/// Ends a session: the task at work is stopped, nothing further starts.
#[utoipa::path(post, path = "/sessions/{id}/cancel", tag = "sessions", params(("id" = String, Path, description = "its number")),
    request_body = CancelInput, responses((status = 200, body = DoneView)))]
pub(super) async fn cancel(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
    MaybeJson(input): MaybeJson<CancelInput>,
) -> Result<Json<DoneView>, ApiError> {
    let by = if input.by.is_empty() {
        "api".to_owned()
    } else {
        input.by
    };
    let cancel = Input::Session(SessionInput::Cancel {
        session: parse_id(&id)?,
        reason: input.reason,
        by,
    });
    Ok(done(service.submit(cancel).await?))
}

/// Returns the log of a session.
#[utoipa::path(get, path = "/logs/sessions/{id}", tag = "logs", params(("id" = String, Path, description = "its number"), LogQuery),
    responses((status = 200, body = LogView)))]
pub(super) async fn log(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
    ApiQuery(query): ApiQuery<LogQuery>,
) -> Result<Json<LogView>, ApiError> {
    let id = parse_id(&id)?;
    known(&service.snapshot(), id)?;
    of_source(&service, LogSource::Session(id), &query).await
}
