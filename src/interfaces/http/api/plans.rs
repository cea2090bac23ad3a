//! `/plans`: requirements, the tasks that came of them, and those that wait for a person's answer.

use axum::{Json, extract::State, http::HeaderMap, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    domain::board::{
        Board, BoardResponse, Input, PlanId, PlanTaskEdit, RequirementPlan, TaskStatus,
    },
    interfaces::http::{
        error::ApiError,
        extract::{ApiJson, ApiPath, parse_id},
        state::HttpState,
    },
};

use super::{
    answer::{DoneView, done, etag_response},
    wire::{SpendView, time, word},
};

/// A task of a plan.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlanTask {
    /// Its number.
    id: u64,
    /// One line.
    title: String,
    /// Where it stands.
    status: &'static str,
    /// The numbers of the tasks it waits for.
    dependencies: Vec<u64>,
}

/// A task that a planner proposes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProposedTask {
    /// Its place in the plan, from 1.
    place: u64,
    /// One line.
    title: String,
    /// What the agent would be asked to do.
    goal: String,
    /// What it might touch.
    paths: Vec<String>,
    /// Who would do it.
    role: &'static str,
    /// The places of the tasks it would wait for.
    dependencies: Vec<u64>,
    /// The task that is the same and on the board already.
    known_as: Option<u64>,
}

/// A requirement and what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlanView {
    /// Its number.
    id: u64,
    /// The text.
    requirement: String,
    /// planning, proposed, planned, declined, `nothing_left` or failed.
    status: String,
    /// Why it failed, or why nothing is left.
    detail: String,
    /// What planned it: model, agent; empty = a checklist.
    maker: String,
    /// How often what was left was planned again.
    round: u32,
    /// The plan it goes on from.
    of: Option<u64>,
    /// Its tasks.
    tasks: Vec<PlanTask>,
    /// Tasks that wait for an answer.
    proposal: Vec<ProposedTask>,
    /// How often a person changed them.
    edits: u32,
    /// What planning used up.
    spent: SpendView,
    /// When it was handed in.
    created_at: String,
    /// When it was over.
    finished_at: Option<String>,
}

/// All plans, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PlanList {
    /// The plans.
    plans: Vec<PlanView>,
}

/// A requirement to plan.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewPlan {
    /// The requirement.
    content: String,
    /// Show the tasks before they are made.
    #[serde(default)]
    preview: bool,
}

/// The plan that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PlanStarted {
    /// Its number.
    id: u64,
}

/// An answer to a proposal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanDecision {
    /// Make the tasks, or not.
    accept: bool,
}

/// What is to be changed about a proposed task; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TaskEdit {
    /// Its place in the plan, from 1.
    place: u64,
    /// It is not made; what waited for it waits for what it waited for.
    #[serde(default)]
    remove: bool,
    /// One line.
    title: Option<String>,
    /// What the agent is asked to do, and how one sees that it is done.
    goal: Option<String>,
    /// What it may touch.
    paths: Option<Vec<String>>,
    /// The places of the tasks it waits for.
    dependencies: Option<Vec<u64>>,
}

/// Changes of a proposal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PlanChanges {
    /// `edits` of the plan as it was looked at; another one is refused.
    edits: u32,
    /// What is to be changed.
    tasks: Vec<TaskEdit>,
}

impl From<TaskEdit> for PlanTaskEdit {
    fn from(edit: TaskEdit) -> Self {
        Self {
            place: edit.place,
            remove: edit.remove,
            title: edit.title,
            goal: edit.goal,
            paths: edit.paths,
            dependencies: edit.dependencies,
        }
    }
}

fn plan(board: &Board, plan: &RequirementPlan) -> PlanView {
    let tasks = plan.tasks.iter().filter_map(|id| board.task(*id));
    PlanView {
        id: plan.id.0,
        requirement: plan.requirement.clone(),
        status: word(&plan.status),
        detail: plan.detail.clone(),
        maker: plan.maker.clone(),
        round: plan.round,
        of: plan.of.map(|of| of.0),
        tasks: tasks
            .map(|task| PlanTask {
                id: task.id.0,
                title: task.spec.title.clone(),
                status: TaskStatus::as_str(task.status),
                dependencies: task
                    .spec
                    .dependencies
                    .iter()
                    .map(|one| one.task.0)
                    .collect(),
            })
            .collect(),
        proposal: proposed(board, plan),
        edits: plan.edits,
        spent: plan.spent.into(),
        created_at: time(plan.created_at),
        finished_at: plan.finished_at.map(time),
    }
}

fn proposed(board: &Board, plan: &RequirementPlan) -> Vec<ProposedTask> {
    let known = board.existing_plan_tasks(&plan.requirement, &plan.proposal);
    let all = (1_u64..).zip(&plan.proposal);
    all.map(|(place, spec)| ProposedTask {
        place,
        title: spec.title.clone(),
        goal: spec.goal.clone(),
        paths: spec.paths.clone(),
        role: spec.role.as_str(),
        dependencies: spec.dependencies.iter().map(|one| one.task.0).collect(),
        known_as: known.get(&place).map(|id| id.0),
    })
    .collect()
}

/// Lists requirements with the tasks that came of them.
#[utoipa::path(get, path = "/plans", tag = "plans",
    responses((status = 200, body = PlanList), (status = 304, description = "nothing changed")))]
pub(super) async fn list(State(service): State<HttpState>, headers: HeaderMap) -> Response {
    let board = service.snapshot();
    let plans = board.plans().rev().map(|one| plan(&board, one)).collect();
    etag_response(&headers, &PlanList { plans })
}

/// Plans a requirement.
#[utoipa::path(post, path = "/plans", tag = "plans", request_body = NewPlan, responses((status = 200, body = PlanStarted)))]
pub(super) async fn create(
    State(service): State<HttpState>,
    ApiJson(input): ApiJson<NewPlan>,
) -> Result<Json<PlanStarted>, ApiError> {
    let id = submit_requirement(&service, input.content, input.preview, "api").await?;
    Ok(Json(PlanStarted { id: id.0 }))
}

/// Hands a requirement in; returns its number.
pub(in crate::interfaces::http) async fn submit_requirement(
    service: &HttpState,
    requirement: String,
    preview: bool,
    by: &str,
) -> Result<PlanId, ApiError> {
    let input = Input::HandIn {
        requirement,
        preview,
        by: by.to_owned(),
    };
    match service.submit(input).await? {
        BoardResponse::Plan { plan } => Ok(plan),
        _ => Err(ApiError::invalid("the planner was not started")),
    }
}

/// Shows a requirement.
#[utoipa::path(get, path = "/plans/{id}", tag = "plans", params(("id" = String, Path, description = "its number")),
    responses((status = 200, body = PlanView)))]
pub(super) async fn get(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
) -> Result<Json<PlanView>, ApiError> {
    let id: PlanId = parse_id(&id)?;
    shown(&service, id)
}

fn shown(service: &HttpState, id: PlanId) -> Result<Json<PlanView>, ApiError> {
    let board = service.snapshot();
    let found = board.plan(id).ok_or_else(|| ApiError::unknown(id))?;
    Ok(Json(plan(&board, found)))
}

/// Accepts or declines the tasks of a plan.
#[utoipa::path(post, path = "/plans/{id}", tag = "plans", request_body = PlanDecision,
    params(("id" = String, Path, description = "its number")), responses((status = 200, body = DoneView)))]
pub(super) async fn decide(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
    ApiJson(input): ApiJson<PlanDecision>,
) -> Result<Json<DoneView>, ApiError> {
    let decision = Input::DecidePlan {
        plan: parse_id(&id)?,
        accept: input.accept,
        by: "api".to_owned(),
    };
    Ok(done(service.submit(decision).await?))
}

/// Changes the tasks of a plan before they are made.
#[utoipa::path(patch, path = "/plans/{id}", tag = "plans", request_body = PlanChanges,
    params(("id" = String, Path, description = "its number")), responses((status = 200, body = PlanView)))]
pub(super) async fn edit(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
    ApiJson(input): ApiJson<PlanChanges>,
) -> Result<Json<PlanView>, ApiError> {
    let id: PlanId = parse_id(&id)?;
    let edits = input.tasks.into_iter().map(Into::into).collect();
    apply_plan_edits(&service, id, input.edits, edits, "api").await?;
    shown(&service, id)
}

/// Changes the tasks of a plan that waits for an answer.
pub(in crate::interfaces::http) async fn apply_plan_edits(
    service: &HttpState,
    plan: PlanId,
    version: u32,
    edits: Vec<PlanTaskEdit>,
    by: &str,
) -> Result<(), ApiError> {
    let by = by.to_owned();
    let input = Input::EditPlan {
        plan,
        version,
        edits,
        by,
    };
    service.submit(input).await.map(drop)
}
