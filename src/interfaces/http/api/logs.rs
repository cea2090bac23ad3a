//! `/logs`: what the processes said, one by one or all by time. Names are names of processes, never paths.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    domain::board::ProcessName,
    interfaces::http::{
        error::ApiError,
        extract::{ApiPath, ApiQuery, parse_given},
        state::HttpState,
    },
    ports::board::{BoardError, LogChunk, LogSource},
};

use super::{
    agents::parse_agent_name,
    runs::{known, tail},
    wire::time,
};

/// How many lines there are without a wish, and at most.
const LINES: (usize, usize) = (200, 2000);
/// The same for the logs of all.
const ALL_LINES: (usize, usize) = (2000, 20_000);
/// How much of a log is read.
const READ: u64 = 256 * 1024;

/// Which part of a log.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogQuery {
    /// How many lines from the end, up to 2000; 200 when it is not said.
    lines: Option<usize>,
    /// From this byte on, instead of the end: `next` of the answer before.
    offset: Option<u64>,
}

/// How much of the log of a run.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RunLogQuery {
    /// How many lines from the end of each part, up to 2000; 200 when it is not said.
    lines: Option<usize>,
}

/// The end of what a run and its programs printed so far.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunLogView {
    /// The text.
    log: String,
    /// growing, `comes_at_the_end` (what programs print on another machine), complete, or absent.
    state: &'static str,
    /// Where it lies, below the root; empty = an earlier version did not say it.
    place: String,
}

/// Which lines of all logs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AllQuery {
    /// How many, up to 20000; 2000 when it is not said.
    limit: Option<usize>,
    /// Only from the last minutes.
    since_minutes: Option<u64>,
    /// Only of this process.
    source: Option<String>,
}

/// A part of a log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogView {
    /// The text.
    log: String,
    /// Where the next part begins.
    next: u64,
    /// How long the log is.
    total: u64,
}

/// A line.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogEntry {
    /// When.
    timestamp: String,
    /// Whose.
    source: String,
    /// Its place in that log.
    line_no: u64,
    /// The line.
    line: String,
}

/// Lines of all logs, oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AllLogs {
    /// The lines.
    entries: Vec<LogEntry>,
    /// How many there are here.
    returned: usize,
    /// There were more.
    truncated: bool,
    /// How many processes they are of.
    source_count: usize,
}

/// What clearing did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Cleared {
    /// Logs in use, which are empty now.
    truncated: usize,
    /// Logs not in use, which are gone.
    removed: usize,
    /// Logs that could not be cleared.
    failed: usize,
}

fn within(
    name: &str,
    given: Option<usize>,
    (usual, most): (usize, usize),
) -> Result<usize, ApiError> {
    let number = given.unwrap_or(usual);
    if (1..=most).contains(&number) {
        return Ok(number);
    }
    Err(ApiError::invalid(format!(
        "`{name}` is {number}; it goes from 1 to {most}"
    )))
}

/// Returns the last lines of a text.
pub(in crate::interfaces::http) fn last_lines(text: &str, lines: usize) -> &str {
    let ends = text.trim_end_matches('\n').rmatch_indices('\n');
    let begin = ends.map(|(at, _)| at + 1).nth(lines.saturating_sub(1));
    text.get(begin.unwrap_or(0)..).unwrap_or(text)
}

/// Returns the last lines of each part of a text whose parts begin with `--- NAME`, so that a long one does not push the others out.
pub(in crate::interfaces::http) fn last_lines_of_parts(text: &str, lines: usize) -> String {
    let begins = text.match_indices("--- ").map(|(at, _)| at);
    let begins =
        begins.filter(|at| *at == 0 || text.get(..*at).is_some_and(|head| head.ends_with('\n')));
    let mut begins: Vec<usize> = std::iter::once(0)
        .chain(begins)
        .chain([text.len()])
        .collect();
    begins.dedup();
    let parts = begins
        .windows(2)
        .filter_map(|pair| text.get(*pair.first()?..*pair.last()?));
    let mut all = String::new();
    for part in parts {
        let last = last_lines(part, lines);
        if last.len() < part.len()
            && let Some((head, _)) = part
                .split_once('\n')
                .filter(|(head, _)| head.starts_with("--- "))
        {
            all.push_str(head);
            all.push('\n');
        }
        all.push_str(last);
    }
    all
}

async fn of_process(
    service: &HttpState,
    name: ProcessName,
    query: &LogQuery,
) -> Result<Json<LogView>, ApiError> {
    of_source(service, LogSource::Process(name), query).await
}

/// Returns the log of a source.
pub(super) async fn of_source(
    service: &HttpState,
    source: LogSource,
    query: &LogQuery,
) -> Result<Json<LogView>, ApiError> {
    let lines = within("lines", query.lines, LINES)?;
    let read = service.board().log(source, query.offset, READ).await;
    let piece = match read {
        // A process that never said anything has no log yet.
        Err(BoardError::NotFound(_)) => LogChunk::default(),
        other => other?,
    };
    let log = if query.offset.is_some() {
        piece.text
    } else {
        last_lines(&piece.text, lines).to_owned()
    };
    Ok(Json(LogView {
        log,
        next: piece.next,
        total: piece.total,
    }))
}

/// Returns the log of an agent.
#[utoipa::path(get, path = "/logs/agents/{id}", tag = "logs", params(("id" = String, Path, description = "its name"), LogQuery),
    responses((status = 200, body = LogView)))]
pub(super) async fn agent(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
    ApiQuery(query): ApiQuery<LogQuery>,
) -> Result<Json<LogView>, ApiError> {
    of_process(&service, parse_agent_name(&id)?, &query).await
}

/// Returns the end of the log of a run, also while it works and after it was cancelled.
#[utoipa::path(get, path = "/logs/runs/{id}", tag = "logs", params(("id" = String, Path, description = "its number"), RunLogQuery),
    responses((status = 200, body = RunLogView)))]
pub(super) async fn run(
    State(service): State<HttpState>,
    ApiPath(id): ApiPath,
    ApiQuery(query): ApiQuery<RunLogQuery>,
) -> Result<Json<RunLogView>, ApiError> {
    let lines = within("lines", query.lines, LINES)?;
    let board = service.snapshot();
    let run = known(&board, &id)?;
    let read = tail(&service, run.id, READ).await?;
    Ok(Json(RunLogView {
        log: last_lines_of_parts(&read.text, lines),
        state: read.state.as_str(),
        place: run.log.clone(),
    }))
}

/// Returns the log of the cycle manager.
#[utoipa::path(get, path = "/logs/cycle-manager", tag = "logs", params(LogQuery), responses((status = 200, body = LogView)))]
pub(super) async fn cycle_manager(
    State(service): State<HttpState>,
    ApiQuery(query): ApiQuery<LogQuery>,
) -> Result<Json<LogView>, ApiError> {
    of_process(&service, ProcessName::CycleManager, &query).await
}

/// Returns the log of any process.
#[utoipa::path(get, path = "/logs/processes/{name}", tag = "logs", params(("name" = String, Path, description = "its name"), LogQuery),
    responses((status = 200, body = LogView)))]
pub(super) async fn process(
    State(service): State<HttpState>,
    ApiPath(name): ApiPath,
    ApiQuery(query): ApiQuery<LogQuery>,
) -> Result<Json<LogView>, ApiError> {
    let name = name.parse().map_err(ApiError::not_found)?;
    of_process(&service, name, &query).await
}

/// Returns the lines of all processes by time.
#[utoipa::path(get, path = "/logs/all", tag = "logs", params(AllQuery), responses((status = 200, body = AllLogs)))]
pub(super) async fn all(
    State(service): State<HttpState>,
    ApiQuery(query): ApiQuery<AllQuery>,
) -> Result<Json<AllLogs>, ApiError> {
    let limit = within("limit", query.limit, ALL_LINES)?;
    let source: Option<ProcessName> = parse_given(query.source.as_deref())?;
    let minutes = query.since_minutes;
    let since = minutes.map_or(0, |minutes| {
        service.now().saturating_sub(minutes.saturating_mul(60_000))
    });
    let read = if source.is_some() { ALL_LINES.1 } else { limit };
    let mut lines = service.board().logs_of_all(since, read + 1).await?;
    if let Some(source) = source {
        lines.retain(|line| line.source.parse() == Ok(source));
    }
    let truncated = lines.len() > limit;
    let lines = lines.split_off(lines.len().saturating_sub(limit));
    let mut sources: Vec<&str> = lines.iter().map(|line| line.source.as_str()).collect();
    sources.sort_unstable();
    sources.dedup();
    let source_count = sources.len();
    let entry = |line: &crate::ports::board::ProcessLogLine| LogEntry {
        timestamp: time(line.at),
        source: line.source.clone(),
        line_no: line.number,
        line: line.text.clone(),
    };
    Ok(Json(AllLogs {
        returned: lines.len(),
        entries: lines.iter().map(entry).collect(),
        truncated,
        source_count,
    }))
}

/// Clears the logs: those in use become empty, the others are removed.
#[utoipa::path(post, path = "/logs/clear", tag = "logs", responses((status = 200, body = Cleared)))]
pub(super) async fn clear(State(service): State<HttpState>) -> Result<Json<Cleared>, ApiError> {
    let cleared = service.board().clear_logs().await?;
    Ok(Json(Cleared {
        truncated: cleared.truncated,
        removed: cleared.removed,
        failed: cleared.failed,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_keeps_its_last_lines() {
        let text = "said\n--- a.log\n1\n2\n3\n--- b.log\n4\n";
        assert_eq!(
            last_lines_of_parts(text, 2),
            "said\n--- a.log\n2\n3\n--- b.log\n4\n"
        );
        assert_eq!(last_lines_of_parts(text, 9), text);
        assert_eq!(last_lines_of_parts("", 2), "");
    }

    #[test]
    fn the_last_lines_are_whole_lines() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc\n");
        assert_eq!(last_lines("a\nb\nc", 1), "c");
        assert_eq!(last_lines("a\n", 5), "a\n");
        assert_eq!(last_lines("", 5), "");
    }
}
