//! `/runs`: attempts, what they said, what they left.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    domain::board::{Board, Input, Run, RunId, RunStatus, TaskId},
    interfaces::http::{
        error::ApiError,
        extract::{ApiPath, ApiPath2, ApiQuery, MaybeJson, parse_given, parse_id},
        state::HttpState,
    },
    ports::board::{BoardError, LogChunk, LogSource},
};

use super::{
    answer::{DoneView, PageQuery, done, etag_response},
    tasks::read_given_word,
    wire::{RunView, SpendView},
};

/// How much of a log is shown with a run.
const TAIL: u64 = 1024 * 1024;

/// Which runs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RunQuery {
    /// Only with this status.
    status: Option<String>,
    /// Only of this task.
    task_id: Option<String>,
    /// Only of this agent.
    agent_id: Option<String>,
    /// How many, up to 500; 100 when it is not said.
    limit: Option<usize>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A page of runs, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunPage {
    /// The runs.
    runs: Vec<RunView>,
    /// Where the next page begins.
    next_cursor: Option<String>,
}

/// A run with the end of its log and what it left.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunDetail {
    /// The run.
    run: RunView,
    /// The end of its log, up to 1 MiB; it is there from the beginning of the run on.
    log: String,
    /// growing, `comes_at_the_end` (what programs print on another machine), complete, or absent.
    log_state: &'static str,
    /// What it left.
    artifacts: Vec<ArtifactView>,
}

/// Something a run left.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArtifactView {
    /// Its name among those of the run: commit, diff or log.
    id: &'static str,
    /// commit, diff or log.
    r#type: &'static str,
    /// The reference, commit or file.
    r#ref: String,
    /// Where its content is.
    url: String,
}

/// What a run left.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ArtifactList {
    /// All of it.
    artifacts: Vec<ArtifactView>,
}

/// How many runs ended how, and what they used up.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunStats {
    /// All.
    total: usize,
    /// At work.
    running: usize,
    /// Left work for the judge.
    success: usize,
    /// Failed.
    failed: usize,
    /// Ended before they were over.
    cancelled: usize,
    /// What all used up.
    spent: SpendView,
}

/// Lists runs.
#[utoipa::path(get, path = "/runs", tag = "runs", params(RunQuery),
    responses((status = 200, body = RunPage), (status = 304, description = "nothing changed")))]
pub(super) async fn list(
    State(service): State<HttpState>,
    headers: HeaderMap,
    ApiQuery(query): ApiQuery<RunQuery>,
) -> Result<Response, ApiError> {
    let board = service.snapshot();
    let words = "running, success, failed, cancelled";
    let status: Option<RunStatus> = read_given_word("status", query.status.as_deref(), words)?;
    let task: Option<TaskId> = parse_given(query.task_id.as_deref())?;
    let agent = query.agent_id.as_deref();
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor.clone(),
    };
    let all = board.runs().rev().filter(|run| {
        status.is_none_or(|status| run.status == status)
            && task.is_none_or(|task| run.task == task)
            && agent.is_none_or(|agent| {
                run.agent.agent_name() == agent || run.agent.to_string() == agent
            })
    });
    let (runs, next_cursor) = page.paginate(all, |run| run.id.0)?;
    let stopping = service.board().stopping();
    let body = RunPage {
        runs: runs
            .into_iter()
            .map(|run| RunView::of(run, &stopping))
            .collect(),
        next_cursor,
    };
    Ok(etag_response(&headers, &body))
}

/// Counts runs.
#[utoipa::path(get, path = "/runs/stats", tag = "runs", responses((status = 200, body = RunStats)))]
pub(super) async fn stats(State(service): State<HttpState>) -> Json<RunStats> {
    let board = service.snapshot();
    let count = |status| board.runs().filter(|run| run.status == status).count();
    Json(RunStats {
        total: board.runs().count(),
        running: count(RunStatus::Running),
        success: count(RunStatus::Success),
        failed: count(RunStatus::Failed),
        cancelled: count(RunStatus::Cancelled),
        spent: board.spend_totals().total.into(),
    })
}

pub(super) fn known<'a>(board: &'a Board, id: &str) -> Result<&'a Run, ApiError> {
    let id: RunId = parse_id(id)?;
    board.run(id).ok_or_else(|| ApiError::unknown(id))
}

fn artifacts(run: &Run) -> Vec<ArtifactView> {
    let artifact = |id: &'static str, reference: String| ArtifactView {
        id,
        r#type: id,
        r#ref: reference,
        url: format!("/runs/{}/artifacts/{id}/content", run.id.0),
    };
    let mut all = Vec::new();
    if let Some(kept) = &run.kept {
        if !kept.commit.is_empty() {
            all.push(artifact("commit", kept.commit.clone()));
        }
        all.push(artifact("diff", kept.reference.clone()));
    }
    all.push(artifact("log", run.log.clone()));
    all
}

/// Returns the end of a run's log. One that is not there yet is empty.
pub(in crate::interfaces::http) async fn tail(
    service: &HttpState,
    run: RunId,
    limit: u64,
) -> Result<LogChunk, ApiError> {
    match service.board().log(LogSource::Run(run), None, limit).await {
        Ok(piece) => Ok(piece),
        Err(BoardError::NotFound(_)) => Ok(LogChunk::default()),
        Err(error) => Err(error.into()),
    }
}

/// Shows a run: why it failed, the end of its log, what it left.
#[utoipa::path(get, path = "/runs/{id}", tag = "runs", params(("id" = String, Path, description = "its number")),
    responses((status = 200, body = RunDetail)))]
pub(super) async fn get(
    State(service): State<HttpState>,
    headers: HeaderMap,
    ApiPath(id): ApiPath,
) -> Result<Response, ApiError> {
    let board = service.snapshot();
    let run = known(&board, &id)?;
    let log = tail(&service, run.id, TAIL).await?;
    let body = RunDetail {
        run: RunView::of(run, &service.board().stopping()),
        log: log.text,
        log_state: log.state.as_str(),
        artifacts: artifacts(run),
    };
    Ok(etag_response(&headers, &body))
}

/// Lists what a run left.
#[utoipa::path(get, path = "/runs/{id}/artifacts", tag = "runs", params(("id" = String, Path, description = "its number")),
    responses((status = 200, body = ArtifactList)))]
pub(super) async fn list_artifacts(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
) -> Result<Json<ArtifactList>, ApiError> {
    let board = service.snapshot();
    let artifacts = artifacts(known(&board, &id)?);
    Ok(Json(ArtifactList { artifacts }))
}

/// Returns something a run left, as text.
#[utoipa::path(get, path = "/runs/{id}/artifacts/{artifact}/content", tag = "runs",
    params(("id" = String, Path, description = "the run's number"), ("artifact" = String, Path, description = "commit, diff or log")),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn content(
    State(service): State<HttpState>,
    ApiPath2(id, artifact): ApiPath2,
) -> Result<Response, ApiError> {
    let board = service.snapshot();
    let run = known(&board, &id)?;
    let text = match (artifact.as_str(), &run.kept) {
        ("log", _) => tail(&service, run.id, TAIL).await?.text,
        ("commit", Some(kept)) if !kept.commit.is_empty() => {
            format!("{}\n", kept.commit)
        }
        ("diff", Some(_)) => service.board().diff(run.id).await?,
        _ => {
            return Err(
                ApiError::not_found(format!("{} left nothing of this name", run.id))
                    .hint(format!("`/runs/{}/artifacts` names what it left", run.id.0)),
            );
        }
    };
    Ok(plain_text_response(text))
}

/// Answers with text that no browser takes for a page.
pub(super) fn plain_text_response(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

/// Why a run is ended.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct CancelRunInput {
    /// What the next attempt is told; may be empty.
    note: String,
}

/// Returns the input that ends a run.
pub(in crate::interfaces::http) fn cancel_run_input(run: RunId, note: &str, by: &str) -> Input {
    Input::CancelRun {
        run,
        note: note.to_owned(),
        by: by.to_owned(),
    }
}

/// Ends a run; its task goes back to the queue, and nothing else about it changes. A run that has ended is never rewritten.
#[utoipa::path(post, path = "/runs/{id}/cancel", tag = "runs", request_body(content = CancelRunInput, description = "may be left out"),
    params(("id" = String, Path, description = "its number")), responses((status = 200, body = DoneView)))]
pub(super) async fn cancel(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
    MaybeJson(input): MaybeJson<CancelRunInput>,
) -> Result<Json<DoneView>, ApiError> {
    let run = known(&service.snapshot(), &id)?.id;
    let input = cancel_run_input(run, input.note.trim(), "api");
    Ok(done(service.submit(input).await?))
}
