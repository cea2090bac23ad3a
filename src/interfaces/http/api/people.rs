//! `/approvals`, `/system/requirements`, `/budget`: what people are asked, what they want, what they pay.

use axum::{Json, extract::State, http::HeaderMap, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    domain::board::{ApprovalRequest, ApprovalSubject, Input, SpendLimit},
    interfaces::http::{
        error::ApiError,
        extract::{ApiJson, ApiPath, ApiQuery, parse_id},
        state::HttpState,
    },
};

use super::{
    answer::{DoneView, PageQuery, done, etag_response},
    wire::{SpendView, time},
};

/// A question to a person.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApprovalView {
    /// Its number.
    id: u64,
    /// The task it is about.
    task_id: u64,
    /// start: may the task start? action: may the agent do this?
    kind: &'static str,
    /// For an action: the run that asks.
    run_id: Option<u64>,
    /// For an action: what the agent wants to do.
    action: Option<String>,
    /// The question.
    question: String,
    /// When it was asked.
    asked_at: String,
    /// Until when it can be answered; then the answer is no. None = it waits.
    until: Option<String>,
    /// It waits for an answer.
    open: bool,
    /// The answer; none = no answer, or withdrawn.
    allowed: Option<bool>,
    /// Who answered, or why nobody has to any more.
    by: String,
    /// When.
    answered_at: Option<String>,
}

impl From<&ApprovalRequest> for ApprovalView {
    fn from(approval: &ApprovalRequest) -> Self {
        let (kind, run_id, action) = match &approval.subject {
            ApprovalSubject::Start => ("start", None, None),
            ApprovalSubject::Action { run, action } => {
                ("action", Some(run.0), Some(action.clone()))
            }
        };
        Self {
            id: approval.id.0,
            task_id: approval.task.0,
            kind,
            run_id,
            action,
            question: approval.question.clone(),
            asked_at: time(approval.asked_at),
            until: approval.until.map(time),
            open: approval.answered_at.is_none(),
            allowed: approval.answer,
            by: approval.by.clone(),
            answered_at: approval.answered_at.map(time),
        }
    }
}

/// Which questions.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ApprovalQuery {
    /// Only those that wait for an answer.
    open: Option<bool>,
    /// How many, up to 500; 100 when it is not said.
    limit: Option<usize>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A page of questions, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApprovalPage {
    /// The questions.
    approvals: Vec<ApprovalView>,
    /// Where the next page begins.
    next_cursor: Option<String>,
}

/// An answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerInput {
    /// Yes or no.
    allow: bool,
}

/// Lists questions.
#[utoipa::path(get, path = "/approvals", tag = "approvals", params(ApprovalQuery),
    responses((status = 200, body = ApprovalPage), (status = 304, description = "nothing changed")))]
pub(super) async fn list(
    State(service): State<HttpState>,
    headers: HeaderMap,
    ApiQuery(query): ApiQuery<ApprovalQuery>,
) -> Result<Response, ApiError> {
    let board = service.snapshot();
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor,
    };
    let wanted = |approval: &&ApprovalRequest| {
        query
            .open
            .is_none_or(|open| approval.answered_at.is_none() == open)
    };
    let all = board.approvals().rev().filter(wanted);
    let (approvals, next_cursor) = page.paginate(all, |approval| approval.id.0)?;
    let body = ApprovalPage {
        approvals: approvals.into_iter().map(ApprovalView::from).collect(),
        next_cursor,
    };
    Ok(etag_response(&headers, &body))
}

/// Answers a question.
#[utoipa::path(post, path = "/approvals/{id}", tag = "approvals", request_body = AnswerInput,
    params(("id" = String, Path, description = "its number")), responses((status = 200, body = DoneView)))]
pub(super) async fn answer(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
    ApiJson(input): ApiJson<AnswerInput>,
) -> Result<Json<DoneView>, ApiError> {
    let answer = Input::Answer {
        approval: parse_id(&id)?,
        allow: input.allow,
        by: "api".to_owned(),
    };
    Ok(done(service.submit(answer).await?))
}

/// The requirement that is kept in a file.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Requirement {
    /// The text; empty = none.
    content: String,
}

/// Returns the requirement.
#[utoipa::path(get, path = "/system/requirements", tag = "system", responses((status = 200, body = Requirement)))]
pub(super) async fn requirement(
    State(service): State<HttpState>,
) -> Result<Json<Requirement>, ApiError> {
    let content = service.board().requirement().await?;
    Ok(Json(Requirement { content }))
}

/// Writes the requirement; the planner is not started by that.
#[utoipa::path(post, path = "/system/requirements", tag = "system", request_body = Requirement,
    responses((status = 200, body = DoneView)))]
pub(super) async fn write_requirement(
    State(service): State<HttpState>,
    ApiJson(input): ApiJson<Requirement>,
) -> Result<Json<DoneView>, ApiError> {
    if input.content.trim().is_empty() {
        return Err(ApiError::invalid("`content` is empty"));
    }
    service.board().write_requirement(input.content).await?;
    Ok(Json(DoneView::new()))
}

/// The most that may be used up; none = no limit.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LimitView {
    /// Calls of an agent.
    calls: Option<u64>,
    /// Tokens.
    tokens: Option<u64>,
    /// Millionths of a dollar.
    micro_usd: Option<u64>,
}

impl From<SpendLimit> for LimitView {
    fn from(limit: SpendLimit) -> Self {
        Self {
            calls: limit.calls,
            tokens: limit.tokens,
            micro_usd: limit.micro_usd,
        }
    }
}

/// What was used up, and what may be.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BudgetView {
    /// In this hour.
    hour: SpendView,
    /// Today, in UTC.
    day: SpendView,
    /// In all.
    total: SpendView,
    /// At most in an hour.
    hour_limit: LimitView,
    /// At most in a day.
    day_limit: LimitView,
    /// At most for one task.
    task_limit: LimitView,
}

/// Shows what was used up.
#[utoipa::path(get, path = "/budget", tag = "system", responses((status = 200, body = BudgetView)))]
pub(super) async fn budget(State(service): State<HttpState>) -> Json<BudgetView> {
    let board = service.snapshot();
    let (budget, settings, now) = (board.spend_totals(), board.settings(), service.now());
    Json(BudgetView {
        hour: budget.this_hour(now).into(),
        day: budget.this_day(now).into(),
        total: budget.total.into(),
        hour_limit: settings.hour_limit.into(),
        day_limit: settings.day_limit.into(),
        task_limit: settings.task_limit.into(),
    })
}
