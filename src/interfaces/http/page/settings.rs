//! Settings: value, origin, and who has to be started again; and the requirement for the planner.

use axum::{extract::State, response::Html};
use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    domain::board::{PlanStatus, ProcessName, TaskStatus},
    interfaces::{
        http::{error::ApiError, extract::ApiQuery, state::HttpState},
        report::page::text,
    },
    ports::board::ConfigEntry,
};

use super::{
    frame::{button, page},
    view::PageContext,
};

/// What a change led to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SettingsQuery {
    restart: String,
}

/// The page of settings.
pub(super) async fn show(
    State(service): State<HttpState>,
    view: PageContext,
    ApiQuery(query): ApiQuery<SettingsQuery>,
) -> Result<Html<String>, ApiError> {
    let board = service.snapshot();
    let entries = service.board().configuration().await?;
    let restart: Vec<ProcessName> = query
        .restart
        .split(',')
        .filter_map(|name| name.parse().ok())
        .collect();
    let body = html! {
        @if !restart.is_empty() {
            div.note role="status" {
                p { (view.t("Saved. To count, these have to be started again:")) }
                div.row { @for name in &restart { (button(&format!("/ui/processes/{name}/restart"), &name.to_string(), "ok")) } }
            }
        }
        form method="post" action="/ui/settings" {
            div.settings { @for entry in &entries { (field(&view, entry)) } }
            div.row { button.ok { (view.t("Save")) } }
        }
    };
    Ok(Html(page(&view, Some(&board), view.t("Settings"), &body)))
}

fn field(view: &PageContext, entry: &ConfigEntry) -> Markup {
    let restart: Vec<String> = entry.restart.iter().map(ToString::to_string).collect();
    let hint = if entry.is_set {
        view.t("set; write a new one to change it")
    } else {
        view.t("not set")
    };
    html! {
        div.card {
            label {
                span.name { (text(&entry.name)) }
                small { (text(&entry.meaning)) }
                @if entry.is_secret {
                    input type="password" name=(text(&entry.name)) autocomplete="off" placeholder=(hint);
                } @else {
                    input name=(text(&entry.name)) autocomplete="off" value=(text(entry.value.as_deref().unwrap_or("")));
                }
            }
            p.faint {
                (view.t("From")) ": " (text(&entry.origin))
                @if !restart.is_empty() { ". " (view.t("Counts after a restart of")) ": " (restart.join(", ")) }
            }
        }
    }
}

/// The page of the requirement.
pub(super) async fn requirement(
    State(service): State<HttpState>,
    view: PageContext,
) -> Result<Html<String>, ApiError> {
    let board = service.snapshot();
    let content = service.board().requirement().await?;
    let backlog: usize = TaskStatus::ALL
        .into_iter()
        .filter(|status| !status.is_final())
        .map(|status| board.count(status))
        .sum();
    let planning = board
        .plans()
        .any(|plan| plan.status == PlanStatus::Planning);
    let body = html! {
        p { (view.t("Write what you want in the end. The planner turns it into tasks with dependencies.")) }
        section id="planner" data-live {
            @if planning { p.note { (view.t("The planner is at work.")) " " a href="/ui/plans" { (view.t("Plans")) } } }
            @else if backlog > 0 { p.note { (view.t("The planner starts on an empty board only. Tasks that are not done:")) " " (backlog) } }
        }
        form.stack method="post" action="/ui/requirement" {
            label { (view.t("Requirement"))
                textarea name="content" rows="16" required { (text(&content)) } }
            div.row {
                button name="then" value="keep" { (view.t("Save")) }
                button name="then" value="preview" { (view.t("Save and show the plan first")) }
                button.ok name="then" value="plan" { (view.t("Save and plan")) }
            }
        }
    };
    Ok(Html(page(
        &view,
        Some(&board),
        view.t("Requirement"),
        &body,
    )))
}
