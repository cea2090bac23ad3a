//! Now: what needs a person, what runs, what it costs, what happened last.

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{Html, IntoResponse, Response},
};
use maud::{Markup, html};

use crate::{
    domain::board::{
        BlockReason, BlockResolver, Board, PlanStatus, ProcessStatus, RequirementPlan, Task,
        TaskStatus,
    },
    interfaces::{
        http::{security::guard::session_cookie, state::HttpState},
        report::page::{badge, facts, text},
    },
};

use super::{
    approvals::question,
    frame::{button, link, nothing, page, status_badge},
    money::spent_dollars,
    view::PageContext,
};

/// How many things a list shows.
const SHOWN: usize = 20;
/// How many open tasks are asked why they wait; the newest.
const LOOKED_AT: usize = 500;

/// The first page; programs get a banner.
pub(super) async fn show(
    State(service): State<HttpState>,
    headers: HeaderMap,
    view: PageContext,
) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let is_reader = accept.is_some_and(|accept| accept.contains("text/html"));
    if !is_reader && session_cookie(&service, &headers).is_none() {
        return axum::Json(serde_json::json!({
            "name": "tos",
            "description": "the board of tos serve",
            "openapi": "/openapi.json",
        }))
        .into_response();
    }
    let board = service.snapshot();
    let title = view.t("Now");
    Html(page(&view, Some(&board), title, &body(&view, &board))).into_response()
}

fn body(view: &PageContext, board: &Board) -> Markup {
    html! {
        section id="now-facts" data-live { (figures(view, board)) }
        section id="now-do" data-live { (controls(view, board)) }
        section id="now-needs" data-live aria-labelledby="needs" {
            h2 id="needs" { (view.t("Needs you")) }
            (needs(view, board))
        }
        section id="now-runs" data-live aria-labelledby="runs" {
            h2 id="runs" { (view.t("At work")) }
            (at_work(view, board))
        }
        section id="now-last" data-live aria-labelledby="last" {
            h2 id="last" { (view.t("Changed last")) }
            (changed_last(view, board))
        }
    }
}

fn figures(view: &PageContext, board: &Board) -> Markup {
    let today = board.spend_totals().this_day(view.now);
    let count = |status| board.count(status).to_string();
    facts(&[
        (count(TaskStatus::Queued), view.t("queued")),
        (count(TaskStatus::Running), view.t("running")),
        (
            board.count_blocked(BlockReason::AwaitingJudge).to_string(),
            view.t("wait for a judge"),
        ),
        (count(TaskStatus::Blocked), view.t("blocked")),
        (count(TaskStatus::Failed), view.t("failed")),
        (count(TaskStatus::Done), view.t("done")),
        (spent_dollars(view, today), view.t("used today")),
    ])
}

fn controls(view: &PageContext, board: &Board) -> Markup {
    let live = board
        .processes()
        .iter()
        .any(|process| process.status.is_live());
    html! {
        @if let Some(hold) = board.dispatch_hold() {
            p.note {
                (view.t("Nothing new is started:")) " " (text(&hold.detail)) " (" (text(&hold.by)) ")"
                @if let Some(until) = hold.until { ", " (view.until(until)) }
            }
        }
        @if !live { p.note { (view.t("Nothing is running, so nothing is worked on.")) } }
        div.row {
            @if live { (button("/ui/stop-all", view.t("Stop all"), "bad")) }
            (button("/ui/start-all", view.t("Start everything"), "ok"))
            @if board.dispatch_hold().is_some() { (button("/ui/resume", view.t("Resume"), "ok")) }
            @else { (button("/ui/hold", view.t("Hold"), "")) }
        }
    }
}

fn needs(view: &PageContext, board: &Board) -> Markup {
    let asked: Vec<_> = board.open_approvals().collect();
    let failed = |process: &crate::domain::board::Process| process.status == ProcessStatus::Failed;
    let broken: Vec<_> = board.processes().into_iter().filter(failed).collect();
    // What waits for an answer stands above, as its question.
    let waits = |task: &&Task| {
        let why = board.why(task.id, view.now).ok();
        let first = why.and_then(|why| why.sentences.into_iter().next());
        let is_asked = asked.iter().any(|approval| approval.task == task.id);
        !is_asked && first.is_some_and(|first| first.resolver == BlockResolver::Person)
    };
    let open = board.tasks().rev().filter(|task| !task.status.is_final());
    let waiting: Vec<&Task> = open.take(LOOKED_AT).filter(waits).take(SHOWN + 1).collect();
    let proposed = |plan: &&RequirementPlan| plan.status == PlanStatus::Proposed;
    let plans: Vec<&RequirementPlan> = board.plans().rev().filter(proposed).collect();
    html! {
        @if asked.is_empty() && plans.is_empty() && waiting.is_empty() && broken.is_empty() { (nothing(view)) }
        @for approval in asked.iter().take(SHOWN) { (question(view, board, approval)) }
        @for plan in &plans {
            div.item {
                a href={ "/ui/plans/" (plan.id.0) } { (plan.id.to_string()) } " " (badge("READY", view.t("waits for your answer")))
                p { (view.counted(plan.proposal.len(), "task is made when you say so.", "tasks are made when you say so.")) }
            }
        }
        @for process in &broken {
            div.item {
                p { b { (process.name.to_string()) } " " (view.t("ended with a fault:")) " " (text(&process.message)) }
                (button(&format!("/ui/processes/{}/start", process.name), view.t("Start"), "ok"))
            }
        }
        @for task in waiting.iter().take(SHOWN) {
            div.item { (link(task)) " " (status_badge(view, task)) p { (text(&reason(view, board, task))) } }
        }
        @if waiting.len() > SHOWN || asked.len() > SHOWN {
            p { a href="/ui/board?status=blocked" { (view.t("All of them")) } }
        }
    }
}

/// Returns why a task waits, in one sentence, with what to do.
fn reason(view: &PageContext, board: &Board, task: &Task) -> String {
    let why = board.why(task.id, view.now).ok();
    let first = why.and_then(|why| why.sentences.into_iter().next());
    first.map_or_else(
        || task.detail.clone(),
        |first| match first.remedy.as_str() {
            "" => first.text,
            remedy => format!("{}: {remedy}", first.text),
        },
    )
}

fn at_work(view: &PageContext, board: &Board) -> Markup {
    let runs: Vec<_> = board.live_runs().collect();
    let judgements: Vec<_> = board.live_judgements().collect();
    html! {
        @if runs.is_empty() && judgements.is_empty() {
            @if board.tasks().next().is_none() {
                p.faint { (view.t("The board is empty.")) " " a href="/ui/board" { (view.t("Add a task")) }
                    " · " a href="/ui/requirement" { (view.t("Write a requirement")) } }
            } @else { (nothing(view)) }
        }
        @for run in runs {
            div.item {
                @if let Some(task) = board.task(run.task) { (link(task)) }
                p { (run.agent.agent_name()) ", " (run.id.to_string()) ", " (view.ago(run.started_at)) }
            }
        }
        @for judgement in judgements {
            div.item {
                @if let Some(task) = board.task(judgement.task) { (link(task)) }
                p { (judgement.agent.agent_name()) " " (view.t("examines it")) ", " (view.ago(judgement.started_at)) }
            }
        }
    }
}

fn changed_last(view: &PageContext, board: &Board) -> Markup {
    let mut tasks: Vec<&Task> = board.tasks().collect();
    let newest = |task: &&Task| std::cmp::Reverse((task.updated_at, task.id));
    if tasks.len() > SHOWN {
        tasks.select_nth_unstable_by_key(SHOWN, newest);
        tasks.truncate(SHOWN);
    }
    tasks.sort_unstable_by_key(newest);
    html! {
        @if tasks.is_empty() { p { (view.t("There are no tasks yet.")) " " a href="/ui/board" { (view.t("Add a task")) } } }
        @for task in tasks {
            div.item { (link(task)) " " (status_badge(view, task)) p.faint { (view.moment(task.updated_at)) } }
        }
    }
}
