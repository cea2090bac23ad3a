//! Nights: what happens and happened in sessions.

use axum::{extract::State, response::Html};
use maud::{Markup, html};

use crate::{
    interfaces::{
        http::{error::ApiError, state::HttpState},
        report::page::text,
    },
    ports::board::{HistoryEntry, HistoryKind},
};

use super::{
    frame::{empty, page},
    session,
    view::PageContext,
};

/// What begins a night.
const NIGHTS: &str = "`tos night start LIST` and `tos task run LIST` hand a list over; it is seen here while it runs and afterwards.";

/// The page of nights.
pub(super) async fn nights(
    State(service): State<HttpState>,
    view: PageContext,
) -> Result<Html<String>, ApiError> {
    let board = service.snapshot();
    let entries = service.board().past(HistoryKind::Nights).await?;
    let open: Vec<_> = board.open_sessions().collect();
    // What is under way is shown as it is, not as the ledger has it so far.
    let is_open = |run: &str| open.iter().any(|session| session.spec.run == run);
    let past: Vec<_> = entries.iter().filter(|one| !is_open(&one.id)).collect();
    let newest = board.sessions().next_back();
    let body = html! {
        section id="sessions" data-live {
            @for session in &open { (session::live(&view, &board, session)) }
            @if let Some(words) = newest.and_then(session::failed) { p.note { (text(&words)) } }
        }
        section id="entries" data-live {
            @if past.is_empty() && open.is_empty() { (empty(&view, NIGHTS)) }
            @for one in past { (entry(&view, one, true)) }
        }
    };
    Ok(Html(page(&view, Some(&board), view.t("Nights"), &body)))
}

/// One thing of the past.
pub(super) fn entry(view: &PageContext, work: &HistoryEntry, is_alone: bool) -> Markup {
    let title = html! { (text(&work.id)) @if !work.title.is_empty() { " " (text(&work.title)) } };
    html! {
        article.card {
            // Under the head of the page, or under that of a section.
            @if is_alone { h2 { (title) } } @else { h3 { (title) } }
            p {
                b { (text(&work.status)) }
                @if let Some(at) = work.at { " " span.faint { (view.moment(at)) } }
            }
            @if !work.facts.is_empty() {
                dl { @for (name, value) in &work.facts { dt { (text(name)) } dd { (text(value)) } } }
            }
            @if !work.text.is_empty() {
                details id={ "text-" (text(&work.id)) } { summary { (view.t("The text")) } pre tabindex="0" { (text(&work.text)) } }
            }
        }
    }
}
