//! Approvals: questions of agents to a person, answered with one touch.

use axum::{extract::State, response::Html};
use maud::{Markup, html};

use crate::{
    domain::board::{ApprovalRequest, ApprovalSubject, Board},
    interfaces::{
        http::state::HttpState,
        report::page::{badge, text},
    },
};

use super::{
    frame::{empty, link, nothing, page},
    view::PageContext,
};

/// The page of questions.
pub(super) async fn show(State(service): State<HttpState>, view: PageContext) -> Html<String> {
    let board = service.snapshot();
    let body = html! {
        section id="open" data-live aria-labelledby="asked" {
            h2 id="asked" { (view.t("Waiting for your answer")) }
            @if board.open_approvals().next().is_none() {
                (empty(&view, "What the policy leaves to a person while an agent works is asked here; nothing waits for you now."))
            }
            @for approval in board.open_approvals() { (question(&view, &board, approval)) }
        }
        section id="answered-part" data-live aria-labelledby="answered" {
            h2 id="answered" { (view.t("Answered")) }
            @if !board.approvals().any(|approval| approval.answered_at.is_some()) { (nothing(&view)) }
            @for approval in board.approvals().rev().filter(|approval| approval.answered_at.is_some()).take(50) {
                (answered(&view, &board, approval))
            }
        }
    };
    Html(page(&view, Some(&board), view.t("Approvals"), &body))
}

/// A question with its two answers.
pub(super) fn question(view: &PageContext, board: &Board, approval: &ApprovalRequest) -> Markup {
    let id = approval.id.0;
    html! {
        div.item {
            @if let Some(task) = board.task(approval.task) { (link(task)) }
            p id={ "q" (id) } { (text(&approval.question)) }
            @if let ApprovalSubject::Action { action, .. } = &approval.subject { pre tabindex="0" aria-labelledby={ "q" (id) } { (text(action)) } }
            p.faint { (view.t("asked")) " " (view.moment(approval.asked_at))
                @if let Some(until) = approval.until { ", " (view.t("denied by itself")) " " (view.moment(until)) } }
            form.row method="post" action={ "/ui/approvals/" (id) } {
                button.ok name="allow" value="yes" aria-describedby={ "q" (id) } data-key={ "yes" (id) } { (view.t("Allow")) }
                button.bad name="allow" value="no" aria-describedby={ "q" (id) } data-key={ "no" (id) } { (view.t("Deny")) }
            }
        }
    }
}

fn answered(view: &PageContext, board: &Board, approval: &ApprovalRequest) -> Markup {
    let (class, word) = match approval.answer {
        Some(true) => ("SUCCESS", view.t("allowed")),
        Some(false) => ("FAILED", view.t("denied")),
        None => ("SKIPPED", view.t("withdrawn")),
    };
    html! {
        div.item {
            @if let Some(task) = board.task(approval.task) { (link(task)) }
            p { (badge(class, word)) " " (text(&approval.question)) }
            p.faint { (text(&approval.by)) @if let Some(at) = approval.answered_at { ", " (view.moment(at)) } }
        }
    }
}
