//! Agents and processes: what is up, what was stopped, what each does; start, stop, the hatch, cleanup.

use axum::{extract::State, response::Html};
use maud::{Markup, html};

use crate::{
    domain::board::{AgentAvailability, Board, Process, ProcessName, ProcessStatus},
    interfaces::{
        http::state::HttpState,
        report::page::{badge, table, text},
    },
};

use super::{
    frame::{button, link, page},
    view::PageContext,
};

/// The page of agents and processes.
pub(super) async fn show(State(service): State<HttpState>, view: PageContext) -> Html<String> {
    let board = service.snapshot();
    let cluster = service.board().cluster().await;
    let body = html! {
        section id="processes" data-live {
            (hatch(&view, &board))
            div.tight { (rows(&view, &board)) }
        }
        @if let Some(cluster) = &cluster { (super::workers::section(&view, cluster)) }
        section aria-labelledby="danger" {
            h2 id="danger" { (view.t("Remove everything")) }
            p { (view.t("Removes all tasks, runs, judgements and cycles. It cannot be undone; stopping everything keeps them.")) }
            form.row method="post" action="/ui/cleanup" {
                label { (view.t("Write \"remove\" to confirm"))
                    input name="confirm" autocomplete="off" required pattern="remove"; }
                button.bad { (view.t("Remove everything")) }
            }
        }
    };
    Html(page(
        &view,
        Some(&board),
        view.t("Agents and processes"),
        &body,
    ))
}

fn hatch(view: &PageContext, board: &Board) -> Markup {
    let hatch = board.hatch();
    html! {
        p {
            (view.t("Kept running:")) " "
            @if hatch.armed { (badge("SUCCESS", view.t("yes"))) } @else { (badge("SKIPPED", view.t("no"))) }
            @if let Some(since) = hatch.since {
                " " span.faint {
                    (view.t("since")) " " (view.moment(since)) ", "
                    @if hatch.by_person { (view.t("by a person")) } @else { (view.t("by itself")) }
                    " (" (text(&hatch.source)) ")"
                }
            }
        }
        div.row {
            (button("/ui/stop-all", view.t("Stop all"), "bad"))
            (button("/ui/start-all", view.t("Start everything"), "ok"))
            @if hatch.armed { (button("/ui/hatch/disarm", view.t("Do not keep running"), "")) }
            @else { (button("/ui/hatch/arm", view.t("Keep running"), "")) }
        }
    }
}

fn rows(view: &PageContext, board: &Board) -> Markup {
    let columns = [
        (view.t("Process"), false),
        (view.t("Do"), false),
        (view.t("State"), false),
        (view.t("Works on"), false),
        (view.t("Restarts"), true),
    ];
    table(
        &columns,
        &html! {
            @for process in board.processes() { (row(view, board, &process)) }
        },
    )
}

fn row(view: &PageContext, board: &Board, process: &Process) -> Markup {
    let name = process.name.to_string();
    let agent = board.agent(process.name);
    let idle = agent.is_some_and(|agent| agent.status == AgentAvailability::Idle);
    let class = match process.status {
        ProcessStatus::Running => "SUCCESS",
        ProcessStatus::Starting | ProcessStatus::Stopping => "RUNNING",
        ProcessStatus::Failed => "FAILED",
        ProcessStatus::Idle | ProcessStatus::Completed | ProcessStatus::Stopped => "SKIPPED",
    };
    // The planner is started with its requirement, on a page of its own.
    let is_startable_program = process.name != ProcessName::Planner;
    html! {
        tr {
            th scope="row" { a href={ "/ui/logs?source=" (name) } { (name) } }
            td {
                @if process.status.is_live() {
                    @if process.name.is_stoppable() {
                        form method="post" action={ "/ui/processes/" (name) "/stop" } {
                            button.bad data-key={ "stop " (name) } aria-label={ (view.t("Stop")) " " (name) } { (view.t("Stop")) }
                        }
                    }
                } @else if is_startable_program {
                    form method="post" action={ "/ui/processes/" (name) "/start" } {
                        button.ok data-key={ "start " (name) } aria-label={ (view.t("Start")) " " (name) } { (view.t("Start")) }
                    }
                } @else { a href="/ui/requirement" { (view.t("Requirement")) } }
            }
            td {
                (badge(class, &view.word(process.status.as_str())))
                @if let Some(at) = process.restart_at { " " (view.until(at)) }
                @if !process.message.is_empty() { " " span.faint { (text(&process.message)) } }
            }
            td.wrap {
                @if let Some(task) = agent.and_then(|agent| agent.task).and_then(|id| board.task(id)) { (link(task)) }
                @else if idle { (view.t("waits for work")) }
                @else { span.faint { (process.name.description()) } }
            }
            td.n data-label=(view.t("Restarts")) { (process.restarts) }
        }
    }
}
