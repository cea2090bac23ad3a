//! `/agents`, `/judgements`: who works, what was decided.

use axum::{Json, extract::State, http::HeaderMap, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    domain::board::{
        AgentAvailability, AgentState, Board, Judgement, JudgementId, ProcessName, TaskId,
    },
    interfaces::http::{
        error::ApiError,
        extract::{ApiPath, ApiQuery, parse_given, parse_id},
        state::HttpState,
    },
};

use super::{
    answer::{PageQuery, etag_response},
    runs::plain_text_response,
    wire::{JudgementView, time},
};

/// An agent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AgentView {
    /// Its name.
    id: String,
    /// judge, worker, tester or docser.
    role: &'static str,
    /// idle, busy or offline.
    status: &'static str,
    /// The task it works on or judges.
    current_task_id: Option<u64>,
    /// Since when; none = its process was never started.
    since: Option<String>,
    /// The process it is.
    process: String,
}

/// All agents.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentList {
    /// The agents.
    agents: Vec<AgentView>,
}

/// Which judgements.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct JudgementQuery {
    /// Only of this task.
    task_id: Option<String>,
    /// How many, up to 500; 100 when it is not said.
    limit: Option<usize>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A page of judgements, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct JudgementPage {
    /// The judgements.
    judgements: Vec<JudgementView>,
    /// Where the next page begins.
    next_cursor: Option<String>,
}

/// Every agent that should be there or was.
fn agents(board: &Board) -> Vec<AgentView> {
    let processes = board.processes();
    let names = processes.iter().map(|process| process.name);
    names.filter_map(|name| agent(board, name)).collect()
}

fn agent(board: &Board, name: ProcessName) -> Option<AgentView> {
    let role = name.role()?;
    let known: Option<&AgentState> = board.agent(name);
    Some(AgentView {
        id: name.agent_name(),
        role: role.as_str(),
        status: known
            .map_or(AgentAvailability::Offline, |agent| agent.status)
            .as_str(),
        current_task_id: known.and_then(|agent| agent.task).map(|id| id.0),
        since: known.map(|agent| time(agent.since)),
        process: name.to_string(),
    })
}

/// Lists agents.
#[utoipa::path(get, path = "/agents", tag = "agents",
    responses((status = 200, body = AgentList), (status = 304, description = "nothing changed")))]
pub(super) async fn list(State(service): State<HttpState>, headers: HeaderMap) -> Response {
    let agents = agents(&service.snapshot());
    etag_response(&headers, &AgentList { agents })
}

/// Shows an agent.
#[utoipa::path(get, path = "/agents/{id}", tag = "agents", params(("id" = String, Path, description = "its name, worker-1 and the like")),
    responses((status = 200, body = AgentView)))]
pub(super) async fn get(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
) -> Result<Json<AgentView>, ApiError> {
    let name = parse_agent_name(&id)?;
    let board = service.snapshot();
    let is_known = board.processes().iter().any(|process| process.name == name);
    agent(&board, name)
        .filter(|_| is_known)
        .map(Json)
        .ok_or_else(|| ApiError::not_found(format!("there is no agent {}", name.agent_name())))
}

/// Reads the name of an agent; nothing else gets through, no path either.
pub(super) fn parse_agent_name(text: &str) -> Result<ProcessName, ApiError> {
    let name = text.parse::<ProcessName>().map_err(ApiError::not_found)?;
    if name.role().is_none() {
        return Err(ApiError::not_found(format!("{name} is no agent")));
    }
    Ok(name)
}

/// Lists judgements.
#[utoipa::path(get, path = "/judgements", tag = "judgements", params(JudgementQuery),
    responses((status = 200, body = JudgementPage), (status = 304, description = "nothing changed")))]
pub(super) async fn judgements(
    State(service): State<HttpState>,
    headers: HeaderMap,
    ApiQuery(query): ApiQuery<JudgementQuery>,
) -> Result<Response, ApiError> {
    let board = service.snapshot();
    let task: Option<TaskId> = parse_given(query.task_id.as_deref())?;
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let wanted = |judgement: &&Judgement| task.is_none_or(|task| judgement.task == task);
    let all = board.judgements().rev().filter(wanted);
    let (judgements, next_cursor) = page.paginate(all, |judgement| judgement.id.0)?;
    let body = JudgementPage {
        judgements: judgements
            .into_iter()
            .map(|judgement| JudgementView::of(&board, judgement))
            .collect(),
        next_cursor,
    };
    Ok(etag_response(&headers, &body))
}

/// Returns what the judged run changed, as a unified diff.
#[utoipa::path(get, path = "/judgements/{id}/diff", tag = "judgements", params(("id" = String, Path, description = "its number")),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn diff(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
) -> Result<Response, ApiError> {
    let id: JudgementId = parse_id(&id)?;
    let run = service
        .snapshot()
        .judgement(id)
        .map(|judgement| judgement.run)
        .ok_or_else(|| ApiError::unknown(id))?;
    Ok(plain_text_response(service.board().diff(run).await?))
}
