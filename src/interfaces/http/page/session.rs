//! A session on the page: what runs in it, who works, what it waits for, how long it may take.

use axum::{extract::State, response::Redirect};
use maud::{Markup, html};

use crate::{
    domain::board::{Board, Input, Session, SessionInput, Task, Why},
    interfaces::{
        http::{
            error::ApiError,
            extract::{ApiPath, parse_id},
            state::HttpState,
        },
        report::page::text,
    },
};

use super::{frame::button, view::PageContext};

/// Shows a session that is not over.
pub(super) fn live(view: &PageContext, board: &Board, session: &Session) -> Markup {
    let id = session.id;
    html! {
        article.card id={ "session-" (id.0) } {
            h2 { (id.to_string()) " " (text(&session.spec.list)) }
            p {
                b { (view.word(session.status())) } " " span.faint { (text(&session.spec.run)) }
                " " (view.t("for")) " " (view.ago(session.started_at))
                @if let Some(deadline) = session.deadline {
                    ", " (view.t("ends in")) " " (view.until(deadline))
                }
            }
            @if let Some(stop) = &session.stop {
                p.note { (view.t("Nothing further starts:")) " " (text(stop.why.label())) " " (text(&stop.detail)) }
            }
            @if let Some(wait) = &session.wait {
                p.note {
                    (view.t("It waits:")) " " (text(&wait.detail))
                    @if let Some(until) = wait.until { ", " (view.until(until)) }
                }
            }
            @if let Some(reason) = &session.again {
                p.note { (view.t("It is tried once more; the first try failed:")) " " (text(reason)) }
            }
            @if session.failures_in_a_row > 0 && session.stop.is_none() {
                p.note { (view.t("A task failed; a second one in a row stops the session.")) }
            }
            (timeline(view, board, session))
            @if session.stop.is_none() {
                (button(&format!("/ui/sessions/{}/cancel", id.0), view.t("End the session"), "bad"))
            }
        }
    }
}

/// The tasks in their order: how each came out, who works, since when.
fn timeline(view: &PageContext, board: &Board, session: &Session) -> Markup {
    html! {
        ol {
            @for (place, item) in session.spec.items.iter().enumerate() {
                @let outcome = session.outcomes.get(place).copied().flatten();
                @let task = session.tasks.get(place).copied().flatten().and_then(|id| board.task(id));
                li {
                    @match task {
                        Some(task) => { a href={ "/ui/tasks/" (task.id.0) } { (text(&item.id)) } }
                        None => { (text(&item.id)) }
                    }
                    " " (text(&item.goal)) " "
                    @match outcome {
                        Some(outcome) => { b { (view.word(outcome.as_str())) } }
                        None => { (at_work(view, board, session, place, task)) }
                    }
                    @if let Some(task) = task.filter(|_| outcome.is_some()) {
                        p.faint { (text(&task.detail)) }
                    }
                }
            }
        }
    }
}

fn at_work(
    view: &PageContext,
    board: &Board,
    session: &Session,
    place: usize,
    task: Option<&Task>,
) -> Markup {
    let why = task.and_then(|task| board.why(task.id, view.now).ok());
    let run = session
        .turn
        .filter(|turn| turn.place == place)
        .and_then(|turn| board.run(turn.run));
    html! {
        @match run {
            Some(run) => {
                b { (view.word("running")) } " "
                a href="/ui/processes" { (run.agent.agent_name()) }
                " " (view.t("for")) " " (view.ago(run.started_at))
            }
            None => {
                span.faint { (view.word("waiting")) }
                @if let Some(sentence) = why.as_ref().and_then(Why::chief) {
                    p.faint {
                        (text(&sentence.text))
                        @if let Some(at) = sentence.at { ", " (view.t("goes on in")) " " (view.until(at)) }
                    }
                }
            }
        }
    }
}

/// Says in one line how the last session that is over ended, where that is not in the ledger: it could not be carried out.
pub(super) fn failed(session: &Session) -> Option<String> {
    let is_failed = !session.is_open() && !session.error.is_empty();
    is_failed.then(|| format!("{} ({}): {}", session.id, session.spec.run, session.error))
}

/// Ends a session.
pub(super) async fn cancel(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
) -> Result<Redirect, ApiError> {
    let cancel = Input::Session(SessionInput::Cancel {
        session: parse_id(&id)?,
        reason: String::new(),
        by: "page".to_owned(),
    });
    service.submit(cancel).await?;
    Ok(Redirect::to("/ui/nights"))
}
