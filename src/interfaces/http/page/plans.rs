//! Plans: requirements and the tasks that came of them, as a graph and as a list; runs of plans beside them.

use std::collections::BTreeMap;

use axum::{extract::State, response::Html};
use maud::{Markup, html};

use crate::{
    domain::board::{Board, PlanStatus, RequirementPlan, Task, TaskId},
    interfaces::{
        http::{error::ApiError, state::HttpState},
        report::page::{badge, text},
    },
    ports::board::HistoryKind,
};

use super::{
    frame::{empty, link, nothing, page, status_badge, status_class},
    past::entry,
    view::PageContext,
};

/// Width and height of a box, and the gaps between boxes.
const BOX: (usize, usize) = (200, 34);
const GAP: (usize, usize) = (44, 12);

/// The page of plans.
pub(super) async fn show(
    State(service): State<HttpState>,
    view: PageContext,
) -> Result<Html<String>, ApiError> {
    let board = service.snapshot();
    let runs = service.board().past(HistoryKind::PlanRuns).await?;
    let body = html! {
        section id="plans" data-live aria-labelledby="requirements" {
            h2 id="requirements" { (view.t("Requirements")) }
            @if board.plans().next().is_none() {
                (nothing(&view))
                p { a href="/ui/requirement" { (view.t("Write a requirement")) } }
            }
            @for plan in board.plans().rev().take(20) { (shown(&view, &board, plan)) }
        }
        section id="plan-runs" data-live aria-labelledby="runs" {
            h2 id="runs" { (view.t("Runs of plans")) }
            @if runs.is_empty() { (empty(&view, "`tos plan run FILE` runs a plan of commands; its runs are seen here.")) }
            @for run in &runs { (entry(&view, run, false)) }
        }
    };
    Ok(Html(page(&view, Some(&board), view.t("Plans"), &body)))
}

pub(super) fn shown(view: &PageContext, board: &Board, plan: &RequirementPlan) -> Markup {
    let (class, word) = match plan.status {
        PlanStatus::Planning => ("RUNNING", view.t("planning")),
        PlanStatus::Planned => ("SUCCESS", view.t("planned")),
        PlanStatus::Failed => ("FAILED", view.t("failed")),
        PlanStatus::Proposed => ("READY", view.t("waits for your answer")),
        PlanStatus::Declined => ("SKIPPED", view.t("declined")),
        PlanStatus::NothingLeft => ("SUCCESS", view.t("nothing left")),
    };
    let tasks: Vec<&Task> = plan.tasks.iter().filter_map(|id| board.task(*id)).collect();
    let first = plan
        .requirement
        .lines()
        .find(|line| !line.trim().is_empty());
    html! {
        article.card {
            h3 { (plan.id.to_string()) " " (badge(class, word)) " " (text(first.unwrap_or("").trim_start_matches(['#', ' ']))) }
            p.faint { (view.moment(plan.created_at)) @if plan.round > 0 { ", " (view.t("planned again")) " " (plan.round) }
                @if !plan.maker.is_empty() { ", " (text(&plan.maker)) } }
            @if !plan.detail.is_empty() { p.note { (text(&plan.detail)) } }
            @if plan.status == PlanStatus::Proposed { (proposal(view, board, plan)) }
            @if !tasks.is_empty() {
                div.scroll tabindex="0" role="region" aria-label=(view.t("Graph")) { (graph(&tasks)) }
                ul { @for task in &tasks { li { (link(task)) " " (status_badge(view, task)) } } }
            }
            details id={ "text-" (plan.id.0) } { summary { (view.t("The text")) } pre tabindex="0" { (text(&plan.requirement)) } }
        }
    }
}

/// Tasks that are made when a person says so.
fn proposal(view: &PageContext, board: &Board, plan: &RequirementPlan) -> Markup {
    let known = board.existing_plan_tasks(&plan.requirement, &plan.proposal);
    let id = plan.id.0;
    html! {
        ol id={ "proposal-" (id) } {
            @for (place, spec) in (1_u64..).zip(&plan.proposal) {
                li { strong { (text(&spec.title)) } " "
                    code { (text(&spec.paths.join(", "))) }
                    @if !spec.dependencies.is_empty() {
                        " " span.faint { (view.t("after")) " "
                            (spec.dependencies.iter().map(|one| one.task.0.to_string()).collect::<Vec<_>>().join(", ")) }
                    }
                    @if let Some(task) = known.get(&place).and_then(|id| board.task(*id)) { " " (view.t("is there already:")) " " (link(task)) }
                    details id={ "goal-" (id) "-" (place) } { summary { (view.t("The text")) } pre tabindex="0" { (text(&spec.goal)) } }
                }
            }
        }
        form.row method="post" action={ "/ui/plans/" (id) } {
            a.button href={ "/ui/plans/" (id) } data-key={ "change" (id) } { (view.t("Change them first")) }
            button.ok name="accept" value="yes" data-key={ "accept" (id) } { (view.t("Make these tasks")) }
            button.bad name="accept" value="no" data-key={ "decline" (id) } { (view.t("Decline")) }
        }
    }
}

/// Tasks in columns: each stands right of all that it waits for.
fn graph(tasks: &[&Task]) -> Markup {
    let mut depths: BTreeMap<TaskId, usize> = BTreeMap::new();
    // The board refuses circles, so that as many rounds as there are tasks are enough.
    for _ in 0..tasks.len() {
        let mut changed = false;
        for task in tasks {
            let needed = task
                .spec
                .dependencies
                .iter()
                .filter_map(|one| depths.get(&one.task));
            let depth = needed.max().map_or(0, |depth| depth + 1);
            changed |= depths.insert(task.id, depth) != Some(depth);
        }
        if !changed {
            break;
        }
    }
    let mut filled: BTreeMap<usize, usize> = BTreeMap::new();
    let mut places: BTreeMap<TaskId, (usize, usize)> = BTreeMap::new();
    for task in tasks {
        let column = depths.get(&task.id).copied().unwrap_or(0);
        let row = filled.entry(column).or_default();
        places.insert(
            task.id,
            (column * (BOX.0 + GAP.0) + 2, *row * (BOX.1 + GAP.1) + 2),
        );
        *row += 1;
    }
    let width = filled
        .keys()
        .max()
        .map_or(0, |column| (column + 1) * (BOX.0 + GAP.0));
    let height = filled
        .values()
        .max()
        .map_or(0, |rows| rows * (BOX.1 + GAP.1));
    html! {
        svg.graph width=(width) height=(height) role="img" aria-label=(tasks.len()) {
            @for task in tasks { @for needed in &task.spec.dependencies {
                @if let (Some(from), Some(to)) = (places.get(&needed.task), places.get(&task.id)) { (edge(*from, *to)) }
            } }
            @for task in tasks { @if let Some(place) = places.get(&task.id) { (node(task, *place)) } }
        }
    }
}

fn edge(from: (usize, usize), to: (usize, usize)) -> Markup {
    let half = BOX.1 / 2;
    let (x1, y1, x2, y2) = (from.0 + BOX.0, from.1 + half, to.0, to.1 + half);
    let bend = (x2 - x1.min(x2)) / 2;
    html! { path d={ "M" (x1) " " (y1) " C" (x1 + bend) " " (y1) " " (x2.saturating_sub(bend)) " " (y2) " " (x2) " " (y2) } {} }
}

fn node(task: &Task, (x, y): (usize, usize)) -> Markup {
    let class = status_class(task.status);
    let name: String = format!("#{} {}", task.id.0, task.spec.title)
        .chars()
        .take(26)
        .collect();
    html! {
        g class=(class) {
            rect.box x=(x) y=(y) width=(BOX.0) height=(BOX.1) rx="6" {}
            text.name x=(x + 8) y=(y + 22) { (text(&name)) }
        }
    }
}
