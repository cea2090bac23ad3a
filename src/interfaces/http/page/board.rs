//! Board: tasks in columns by where they stand, each with reason and countdown; and the form for a new one.

use axum::{extract::State, response::Html};
use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    domain::board::{AgentRole, BlockResolver, Board, Task, TaskId, TaskStatus, Why},
    interfaces::{
        http::{api::tasks::read_word, error::ApiError, extract::ApiQuery, state::HttpState},
        report::page::{badge, text},
    },
};

use super::{
    frame::{link, page, resolver},
    view::PageContext,
};

/// How many tasks a column shows, and a page of one status.
const SHOWN: (usize, usize) = (25, 200);

/// Which tasks.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct BoardQuery {
    status: Option<String>,
    before: Option<u64>,
}

/// The board.
pub(super) async fn show(
    State(service): State<HttpState>,
    view: PageContext,
    ApiQuery(query): ApiQuery<BoardQuery>,
) -> Result<Html<String>, ApiError> {
    let board = service.snapshot();
    let body = match query.status.as_deref() {
        None => all(&view, &board),
        Some(status) => {
            let words = "queued, running, done, failed, blocked, cancelled";
            one(
                &view,
                &board,
                read_word("status", status, words)?,
                query.before,
            )
        }
    };
    Ok(Html(page(&view, Some(&board), view.t("Board"), &body)))
}

fn all(view: &PageContext, board: &Board) -> Markup {
    html! {
        details id="new" open[board.tasks().next().is_none()] {
            summary { b { (view.t("Add a task")) } }
            (form(view))
        }
        div id="columns" class="columns" data-live {
            @for status in TaskStatus::ALL {
                @let count = board.count(status);
                section.card aria-label=(view.word(status.as_str())) {
                    h2 { (view.word(status.as_str())) " " span.faint { (count) } }
                    @for task in board.tasks().rev().filter(|task| task.status == status).take(SHOWN.0) { (card(view, board, task)) }
                    @if count > SHOWN.0 { p { a href={ "/ui/board?status=" (status.as_str()) } { (view.t("All of them")) } } }
                }
            }
        }
    }
}

fn one(view: &PageContext, board: &Board, status: TaskStatus, before: Option<u64>) -> Markup {
    let before = TaskId(before.unwrap_or(u64::MAX));
    let mut tasks = board
        .tasks()
        .rev()
        .filter(|task| task.status == status && task.id < before);
    let shown: Vec<&Task> = tasks.by_ref().take(SHOWN.1).collect();
    let more = tasks.next().and(shown.last());
    html! {
        p { a href="/ui/board" { (view.t("The whole board")) } }
        section id="column" data-live {
            h2 { (view.word(status.as_str())) " " span.faint { (board.count(status)) } }
            @for task in &shown { (card(view, board, task)) }
        }
        @if let Some(last) = more {
            p { a href={ "/ui/board?status=" (status.as_str()) "&before=" (last.id.0) } { (view.t("Older ones")) } }
        }
    }
}

fn card(view: &PageContext, board: &Board, task: &Task) -> Markup {
    let why = board.why(task.id, view.now).ok();
    let reason = why.filter(|_| !task.status.is_final());
    html! {
        div.item {
            (link(task))
            // The column says that it is blocked.
            @if let Some(block) = task.block { " " (badge("READY", &view.word(block.as_str()))) }
            @if let Some(sentence) = reason.as_ref().and_then(Why::chief) {
                p { (text(&sentence.text)) }
                // Who works on it stands in the sentence.
                @if task.status != TaskStatus::Running || sentence.resolver == BlockResolver::Person {
                    p.faint {
                        (view.t("resolved by:")) " " (resolver(view, sentence.resolver))
                        @if let Some(at) = sentence.at { ", " (view.t("goes on in")) " " (view.until(at)) }
                    }
                }
            }
        }
    }
}

fn form(view: &PageContext) -> Markup {
    html! {
        form.stack method="post" action="/ui/tasks" {
            label { (view.t("Title"))
                input name="title" required maxlength="300" autocomplete="off"; }
            label { (view.t("What the agent is asked to do"))
                textarea name="goal" required {} }
            label { (view.t("Test command")) small { (view.t("Words without a shell; empty = the usual one.")) }
                input name="test_command" autocomplete="off"; }
            label { (view.t("What it may touch")) small { (view.t("Patterns, one a line, src/** and the like; empty = anything.")) }
                textarea name="paths" rows="2" {} }
            label { (view.t("Waits for")) small { (view.t("Numbers of tasks, separated by spaces.")) }
                input name="dependencies" autocomplete="off" inputmode="numeric"; }
            label { (view.t("Who does it"))
                select name="role" {
                    @for role in [AgentRole::Worker, AgentRole::Tester, AgentRole::Docser] {
                        option value=(role.as_str()) { (view.word(role.as_str())) }
                    }
                } }
            label { (view.t("Priority")) small { (view.t("Higher goes first.")) }
                input name="priority" type="number" min="-1000" max="1000" value="0"; }
            div.row { button.ok { (view.t("Add")) } }
        }
    }
}
