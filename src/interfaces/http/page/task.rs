//! One task: why it is where it is, its attempts with log and diff, what was decided.

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Html,
};
use maud::{Markup, html};

use crate::{
    domain::board::{Board, Judgement, Run, RunStatus, Task, TaskId, TaskStatus},
    interfaces::{
        http::{
            api::{logs::last_lines, runs::tail, tasks::find_task, wire::word},
            error::ApiError,
            extract::{ApiPath, parse_id},
            state::HttpState,
        },
        report::page::{badge, text},
    },
};

use super::{
    approvals::question,
    frame::{button, link, log_box, nothing, page, status_badge},
    money::dollars,
    view::PageContext,
};

/// How much of a log and of a diff is shown.
const LOG: u64 = 64 * 1024;
const DIFF_LINES: usize = 2000;

/// The page of a task.
pub(super) async fn show(
    State(service): State<HttpState>,
    headers: HeaderMap,
    uri: Uri,
    ApiPath(id): ApiPath,
) -> Result<Html<String>, ApiError> {
    let board = service.snapshot();
    let view = PageContext::of(&service, &headers, &uri);
    let id: TaskId = parse_id(&id)?;
    let task = find_task(&board, id)?;
    let last = task.run.and_then(|id| board.run(id));
    let log = match last {
        Some(run) => tail(&service, run.id, LOG)
            .await
            .unwrap_or_else(|error| error.message),
        None => String::new(),
    };
    // While an agent is at it again, the change of the attempt before is the one to look at.
    let mut left = board.runs().rev().filter(|run| run.task == id);
    let diff = match left.find(|run| run.kept.is_some()) {
        Some(run) => service
            .board()
            .diff(run.id)
            .await
            .unwrap_or_else(|error| error.to_string()),
        None => String::new(),
    };
    let busy = task.status == TaskStatus::Running;
    let title = format!("#{} {}", id.0, task.spec.title);
    let body = html! {
        section id="standing" data-live data-busy[busy] { (standing_of(&view, &board, task)) }
        section id="why-part" data-live aria-labelledby="why" {
            h2 id="why" { (view.t("Why it is there")) }
            (why(&view, &board, task)?)
        }
        section id="log-part" data-live aria-labelledby="log" {
            h2 id="log" { (view.t("Log")) }
            @if log.is_empty() { (nothing(&view)) } @else { (log_box(&view, last_lines(&log, 400))) }
        }
        section id="diff-part" data-live aria-labelledby="diff" {
            h2 id="diff" { (view.t("Change")) }
            @if diff.is_empty() { (nothing(&view)) } @else { (colored_diff(&view, &diff)) }
        }
        section id="history" data-live aria-labelledby="attempts" {
            h2 id="attempts" { (view.t("Attempts and judgements")) }
            (history(&view, &board, task))
        }
        section aria-labelledby="wish" {
            h2 id="wish" { (view.t("What is asked for")) }
            (wishes(&view, &board, task))
        }
    };
    Ok(Html(page(&view, Some(&board), &title, &body)))
}

fn standing_of(view: &PageContext, board: &Board, task: &Task) -> Markup {
    let countdown = board.countdown(task, view.now);
    let id = task.id.0;
    let may_return = matches!(
        task.status,
        TaskStatus::Failed | TaskStatus::Blocked | TaskStatus::Cancelled
    );
    html! {
        p { (status_badge(view, task)) " " (text(&task.detail)) }
        @if let Some(countdown) = &countdown {
            @if let Some(at) = countdown.at { p { (view.t("goes on in")) " " (view.until(at)) } }
            @if countdown.count > 0 {
                p.faint {
                    (view.t("failed so far:")) " " (countdown.count)
                    @if let Some(limit) = countdown.limit { " / " (limit) }
                }
            }
        }
        p.faint {
            (view.t("since")) " " (view.moment(task.since)) ", "
            (task.spent.calls) " " (view.t("calls")) ", $" (dollars(task.spent.micro_usd))
            @if let Some(commit) = &task.merged { ", " (view.t("merged as")) " " code { (commit.get(..12).unwrap_or(commit)) } }
        }
        div.row {
            @if may_return {
                form.row method="post" action={ "/ui/tasks/" (id) "/requeue" } {
                    label { (view.t("For the next attempt"))
                        input name="note" autocomplete="off"; }
                    button.ok { (view.t("Back to the queue")) }
                }
            }
            @if !task.status.is_final() {
                (button(&format!("/ui/tasks/{id}/cancel"), view.t("Give up"), "bad"))
            }
        }
    }
}

fn why(view: &PageContext, board: &Board, task: &Task) -> Result<Markup, ApiError> {
    let why = board.why(task.id, view.now)?;
    let asked = board
        .open_approvals()
        .filter(|approval| approval.task == task.id);
    Ok(html! {
        ul {
            @for sentence in &why.sentences {
                li {
                    (text(&sentence.text))
                    " " span.faint { "(" (view.word(&word(&sentence.resolver).replace('-', "_"))) ")" }
                    @if let Some(at) = sentence.at { ", " (view.until(at)) }
                    @if !sentence.remedy.is_empty() { " " code { (text(&sentence.remedy)) } }
                }
            }
        }
        @for approval in asked { (question(view, board, approval)) }
    })
}

/// A diff with its lines in the colours of what they are.
pub(super) fn colored_diff(view: &PageContext, diff: &str) -> Markup {
    let class = |line: &str| {
        if line.starts_with("+++") || line.starts_with("---") || line.starts_with("diff ") {
            "file"
        } else if line.starts_with("@@") {
            "hunk"
        } else if line.starts_with('+') {
            "add"
        } else if line.starts_with('-') {
            "del"
        } else {
            ""
        }
    };
    let more = diff.lines().count().saturating_sub(DIFF_LINES);
    html! {
        pre.diff id="diff-text" tabindex="0" aria-labelledby="diff" {
            @for line in diff.lines().take(DIFF_LINES) { span class=(class(line)) { (text(line)) "\n" } }
        }
        @if more > 0 { p.faint { (more) " " (view.t("more lines")) } }
    }
}

fn history(view: &PageContext, board: &Board, task: &Task) -> Markup {
    let runs = board
        .runs()
        .rev()
        .filter(|run| run.task == task.id)
        .take(50);
    let judgements = board
        .judgements()
        .rev()
        .filter(|judgement| judgement.task == task.id)
        .take(50);
    html! {
        @if task.counters.runs == 0 { (nothing(view)) }
        @for judgement in judgements { (judged(view, judgement)) }
        @for run in runs { (attempt(view, run)) }
    }
}

fn attempt(view: &PageContext, run: &Run) -> Markup {
    let class = match run.status {
        RunStatus::Running => "RUNNING",
        RunStatus::Success => "SUCCESS",
        RunStatus::Failed => "FAILED",
        RunStatus::Cancelled => "SKIPPED",
    };
    html! {
        div.item {
            b { (run.id.to_string()) } " " (badge(class, &view.word(run.status.as_str()))) " "
            (run.agent.agent_name()) ", " (view.moment(run.started_at))
            @if !run.error.is_empty() { p { (text(&run.error)) } }
            @if run.spent.tokens > 0 { p.faint { (run.spent.tokens) " " (view.t("Tokens")) ", $" (super::money::dollars(run.spent.micro_usd)) } }
            @if run.status == RunStatus::Running {
                form.row method="post" action={ "/ui/runs/" (run.id.0) "/cancel" } {
                    label { (view.t("What the next attempt is told")) input name="note" maxlength="2000"; }
                    button.bad data-key={ "cancel-run" (run.id.0) } { (view.t("Cancel this run")) }
                }
            }
        }
    }
}

fn judged(view: &PageContext, judgement: &Judgement) -> Markup {
    let verdict = judgement.verdict.as_ref();
    let class = match verdict.map(crate::domain::board::Verdict::as_str) {
        None => "RUNNING",
        Some("approve") => "SUCCESS",
        Some("no_verdict") => "READY",
        Some(_) => "FAILED",
    };
    let word = verdict.map_or("at work", crate::domain::board::Verdict::as_str);
    html! {
        div.item {
            b { (judgement.id.to_string()) } " " (badge(class, &view.word(word))) " "
            (judgement.agent.agent_name()) ", " (view.moment(judgement.started_at))
            @for reason in verdict.map(crate::domain::board::Verdict::reasons).unwrap_or_default() { p { (text(&reason)) } }
        }
    }
}

fn wishes(view: &PageContext, board: &Board, task: &Task) -> Markup {
    let spec = &task.spec;
    html! {
        pre tabindex="0" aria-labelledby="wish" { (text(&spec.goal)) }
        dl {
            dt { (view.t("Who does it")) } dd { (view.word(spec.role.as_str())) }
            @if !spec.test_command.is_empty() { dt { (view.t("Test command")) } dd { code { (text(&spec.test_command.join(" "))) } } }
            @if !spec.paths.is_empty() { dt { (view.t("What it may touch")) } dd { (text(&spec.paths.join(", "))) } }
            dt { (view.t("Priority")) } dd { (spec.priority) }
            @if !spec.dependencies.is_empty() {
                dt { (view.t("Waits for")) }
                dd { @for needed in &spec.dependencies { @if let Some(task) = board.task(needed.task) { p { (link(task)) } } } }
            }
            @if !spec.source.is_empty() { dt { (view.t("Made by")) } dd { (text(&spec.source)) } }
            dt { (view.t("Made")) } dd { (view.moment(task.created_at)) }
        }
    }
}
