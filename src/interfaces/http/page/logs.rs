//! Logs: of all processes by time, or of one.

use axum::{extract::State, response::Html};
use maud::html;
use serde::Deserialize;

use crate::{
    domain::board::ProcessName,
    interfaces::http::{
        api::{logs::last_lines, wire::time},
        error::ApiError,
        extract::ApiQuery,
        state::HttpState,
    },
    ports::board::{BoardError, LogSource},
};

use super::{
    frame::{button, empty, log_box, page},
    view::PageContext,
};

/// How much is shown.
const LINES: usize = 500;
const READ: u64 = 128 * 1024;

/// Which log.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LogsQuery {
    source: Option<String>,
}

/// The page of logs.
pub(super) async fn show(
    State(service): State<HttpState>,
    view: PageContext,
    ApiQuery(query): ApiQuery<LogsQuery>,
) -> Result<Html<String>, ApiError> {
    let board = service.snapshot();
    let source: Option<ProcessName> = match query.source.as_deref() {
        None | Some("") => None,
        Some(name) => Some(name.parse().map_err(ApiError::not_found)?),
    };
    let log = read(&service, source).await?;
    let processes = board.processes();
    let body = html! {
        form.row method="get" action="/ui/logs" {
            label { (view.t("Process"))
                select name="source" {
                    option value="" { (view.t("all")) }
                    @for process in &processes {
                        option value=(process.name.to_string()) selected[source == Some(process.name)] { (process.name.to_string()) }
                    }
                } }
            button { (view.t("Show")) }
        }
        section id="log-part" data-live data-busy aria-label=(view.t("Log")) {
            @if log.trim().is_empty() { (empty(&view, "A process writes here once it was started; the page of processes starts them.")) }
            @else { (log_box(&view, &log)) }
        }
        (button("/ui/logs/clear", view.t("Clear all logs"), "bad"))
    };
    Ok(Html(page(&view, Some(&board), view.t("Logs"), &body)))
}

async fn read(service: &HttpState, source: Option<ProcessName>) -> Result<String, ApiError> {
    let Some(name) = source else {
        let lines = service.board().logs_of_all(0, LINES).await?;
        let line = |line: &crate::ports::board::ProcessLogLine| {
            format!("{} {:<14} {}\n", time(line.at), line.source, line.text)
        };
        return Ok(lines.iter().map(line).collect());
    };
    match service
        .board()
        .log(LogSource::Process(name), None, READ)
        .await
    {
        Ok(piece) => Ok(last_lines(&piece.text, LINES).to_owned()),
        Err(BoardError::NotFound(_)) => Ok(String::new()),
        Err(error) => Err(error.into()),
    }
}
