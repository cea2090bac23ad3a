//! One task: why it is where it is, its attempts with log and diff, what was decided.

use std::collections::BTreeSet;

use axum::{extract::State, response::Html};
use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    domain::board::{Board, Fence, Judgement, Run, RunId, RunStatus, Task, TaskId, TaskStatus},
    interfaces::{
        http::{
            api::{logs::last_lines_of_parts, runs::tail, tasks::find_task},
            error::ApiError,
            extract::{ApiPath, ApiQuery, parse_id},
            state::HttpState,
        },
        report::page::{badge, text},
    },
    ports::board::LogState,
};

use super::{
    approvals::question,
    frame::{button, link, log_box, nothing, page, resolver, status_badge},
    money::spent_dollars,
    view::PageContext,
};

/// How much of a log and of a diff is shown.
const LOG: u64 = 64 * 1024;
const LOG_LINES: usize = 400;
const DIFF_LINES: usize = 2000;

/// Whose log.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TaskQuery {
    /// A run of the task; the last one when it is not said.
    run: Option<String>,
}

/// The page of a task.
pub(super) async fn show(
    State(service): State<HttpState>,
    view: PageContext,
    ApiPath(id): ApiPath,
    ApiQuery(query): ApiQuery<TaskQuery>,
) -> Result<Html<String>, ApiError> {
    let board = service.snapshot();
    let id: TaskId = parse_id(&id)?;
    let task = find_task(&board, id)?;
    let shown = shown_run(&board, task, &query)?;
    let (log, is_growing) = log_of(&service, &view, shown).await;
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
    // After a cancel its programs may still be ending.
    let busy = task.status == TaskStatus::Running || is_growing;
    let title = format!("#{} {}", id.0, task.spec.title);
    let body = html! {
        section id="standing" data-live data-busy[busy] { (standing_of(&view, &board, task)) }
        section id="why-part" data-live aria-labelledby="why" {
            h2 id="why" { (view.t("Why it is there")) }
            (why(&view, &board, task)?)
        }
        section id="log-part" data-live aria-labelledby="log" {
            h2 id="log" { (view.t("Log")) @if let Some(run) = shown { " " (run.id.to_string()) } }
            (log)
        }
        section id="diff-part" data-live aria-labelledby="diff" {
            h2 id="diff" { (view.t("Change")) }
            @if diff.is_empty() { (nothing(&view)) } @else { (colored_diff(&view, &diff)) }
        }
        section id="history" data-live aria-labelledby="attempts" {
            h2 id="attempts" { (view.t("Attempts and judgements")) }
            (history(&view, &board, task, (shown, &service.board().stopping())))
        }
        section aria-labelledby="wish" {
            h2 id="wish" { (view.t("What is asked for")) }
            (wishes(&view, &board, task))
        }
    };
    Ok(Html(page(&view, Some(&board), &title, &body)))
}

/// Returns the run whose log is shown: the one that is asked for, or the last one.
fn shown_run<'a>(
    board: &'a Board,
    task: &Task,
    query: &TaskQuery,
) -> Result<Option<&'a Run>, ApiError> {
    let Some(asked) = query.run.as_deref().filter(|asked| !asked.is_empty()) else {
        return Ok(task.run.and_then(|id| board.run(id)));
    };
    let id: RunId = parse_id(asked)?;
    let run = board.run(id).filter(|run| run.task == task.id);
    let missing = || ApiError::not_found(format!("{} has no {id}", task.id));
    run.map(Some).ok_or_else(missing)
}

/// Returns the log of a run, and whether more of it may come.
async fn log_of(service: &HttpState, view: &PageContext, run: Option<&Run>) -> (Markup, bool) {
    let Some(run) = run else {
        return (nothing(view), false);
    };
    let (log, state) = match tail(service, run.id, LOG).await {
        Ok(read) => (read.text, read.state),
        Err(error) => (error.message, LogState::Complete),
    };
    let note = match state {
        LogState::ComesAtTheEnd => {
            "It is made on another machine: what its programs print comes here when they have ended."
        }
        LogState::Absent => "It is over, and nothing that its programs printed is here.",
        LogState::Growing | LogState::Complete => "",
    };
    let shown = html! {
        @if !note.is_empty() { p.faint { (view.t(note)) } }
        @if log.is_empty() { (nothing(view)) } @else { (log_box(view, &last_lines_of_parts(&log, LOG_LINES))) }
    };
    (shown, state == LogState::Growing)
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
                    @if let Some(left) = board.retries_left(task) { ", " (view.t("retries left:")) " " (left) }
                }
            }
        }
        p.faint {
            (view.t("since")) " " (view.moment(task.since)) ", "
            (view.counted(task.spent.calls, "call", "calls")) ", " (spent_dollars(view, task.spent))
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
                    " " span.faint { "(" (resolver(view, sentence.resolver)) ")" }
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
    let mut in_head = true;
    let lines: Vec<(&str, &str)> = diff
        .lines()
        .take(DIFF_LINES)
        .map(|line| (line_class(line, &mut in_head), line))
        .collect();
    let more = diff.lines().count().saturating_sub(DIFF_LINES);
    html! {
        pre.diff id="diff-text" tabindex="0" aria-labelledby="diff" {
            @for (class, line) in lines { span class=(class) { (text(line)) "\n" } }
        }
        @if more > 0 { p.faint { (view.counted(more, "more line", "more lines")) } }
    }
}

/// Returns what a line of a diff is; `in_head` = it stands above the first hunk of a file.
fn line_class(line: &str, in_head: &mut bool) -> &'static str {
    if line.starts_with("diff ") {
        *in_head = true;
    }
    if line.starts_with("@@") {
        *in_head = false;
        return "hunk";
    }
    match line.bytes().next() {
        _ if *in_head => "file",
        Some(b'+') => "add",
        Some(b'-') => "del",
        _ => "",
    }
}

fn history(
    view: &PageContext,
    board: &Board,
    task: &Task,
    (shown, stopping): (Option<&Run>, &BTreeSet<Fence>),
) -> Markup {
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
        @for run in runs { (attempt(view, run, shown, stopping.contains(&run.lease.fence))) }
    }
}

fn attempt(view: &PageContext, run: &Run, shown: Option<&Run>, is_there: bool) -> Markup {
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
            @if shown.is_none_or(|shown| shown.id != run.id) {
                ", " a href={ "/ui/tasks/" (run.task.0) "?run=" (run.id.0) "#log" } { (view.t("Log")) " " (run.id.to_string()) }
            }
            @if is_there && run.status == RunStatus::Cancelled { p { (view.t("its programs are being ended")) } }
            @if !run.error.is_empty() { p { (text(&run.error)) } }
            @if run.spent.tokens > 0 { p.faint { (run.spent.tokens) " " (view.t("Tokens")) ", " (spent_dollars(view, run.spent)) } }
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
        @if spec.goal.trim().is_empty() { p.faint { (view.t("Nothing beyond its title.")) } }
        @else { pre tabindex="0" aria-labelledby="wish" { (text(&spec.goal)) } }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interfaces::report::page::STYLE;

    #[test]
    fn lines_of_a_diff_have_the_class_of_what_they_are() {
        let diff = "diff --git a/x.sql b/x.sql\nindex 1..2\n--- a/x.sql\n+++ b/x.sql\n@@ -1,2 +1,2 @@\n kept\n--- a comment\n\
                    +++ more\ndiff --git a/y b/y\nnew file mode 100644\n--- /dev/null\n+++ b/y\n@@ -0,0 +1 @@\n+new";
        let mut in_head = true;
        let classes: Vec<&str> = diff
            .lines()
            .map(|line| line_class(line, &mut in_head))
            .collect();
        let head = ["file"; 4];
        assert_eq!(classes[..4], head);
        assert_eq!(classes[4..8], ["hunk", "", "del", "add"]);
        assert_eq!(classes[8..12], head);
        assert_eq!(classes[12..], ["hunk", "add"]);
    }

    /// The colours of a scheme, by name, as red, green and blue.
    fn colours(scheme: &str) -> impl Fn(&str) -> [f64; 3] {
        let line = STYLE.lines().find(|line| line.starts_with(scheme)).unwrap();
        let line = line.to_owned();
        move |name: &str| {
            let (_, rest) = line.split_once(&format!("--{name}:#")).unwrap();
            let digits: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
            let one = |at: usize| {
                let pair = if digits.len() == 3 {
                    digits[at..=at].repeat(2)
                } else {
                    digits[2 * at..2 * at + 2].to_owned()
                };
                f64::from(u8::from_str_radix(&pair, 16).unwrap()) / 255.0
            };
            [one(0), one(1), one(2)]
        }
    }

    fn luminance(colour: [f64; 3]) -> f64 {
        let linear = colour.map(|part| {
            if part <= 0.03928 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        });
        0.0722f64.mul_add(linear[2], 0.2126f64.mul_add(linear[0], 0.7152 * linear[1]))
    }

    #[test]
    fn lines_of_a_diff_are_read_in_light_and_dark() {
        for scheme in [":root", "@media (prefers-color-scheme:dark)"] {
            let colour = colours(scheme);
            for (front, back) in [
                ("ok", "okbg"),
                ("bad", "badbg"),
                ("run", "ground"),
                ("ink", "ground"),
            ] {
                let (one, other) = (luminance(colour(front)), luminance(colour(back)));
                let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
                assert!(contrast >= 4.5, "{scheme}: {front} on {back}: {contrast}");
            }
        }
        let sheet = include_str!("page.css");
        for rule in [
            ".diff .add{color:var(--ok);background:var(--okbg)}",
            ".diff .del{color:var(--bad);background:var(--badbg)}",
            ".diff .hunk{color:var(--run)}",
        ] {
            assert!(sheet.contains(rule), "{rule}");
        }
    }
}
