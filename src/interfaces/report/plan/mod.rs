//! The report of a run of a plan, as Markdown. Whatever tasks printed is shown, and shown as text: it cannot close the
//! fence it stands in, nor begin a heading or a row of a table.

pub mod html;
pub mod live;
pub mod svg;

use std::fmt::Write;

use crate::{
    domain::{
        plan::{
            Plan, explain,
            graph::PlanGraph,
            state::{RunState, StatusReason, TaskState, TaskStatus},
            view::{format_timestamp, micros_to_seconds},
        },
        sandbox::SandboxBackend,
    },
    ports::plan_store::{LogStream, RunDir},
};

const STDERR_LINES: usize = 50;
const SHOWN_FAILURES: usize = 100;

/// Returns a duration for people.
pub fn format_duration(us: u64) -> String {
    let whole = us / 1_000_000;
    match whole {
        0..60 => format!("{:.2}s", micros_to_seconds(us)),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        _ => format!("{}h{:02}m", whole / 3600, whole / 60 % 60),
    }
}

/// Returns text without control characters, which could move the cursor or change colours.
pub fn replace_control_chars(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// Returns what a task printed, without the lines tos puts between attempts.
pub fn task_output(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let is_own = |line: &&str| !(line.starts_with("===== attempt ") && line.ends_with(" ====="));
    let lines: Vec<&str> = text.lines().filter(is_own).collect();
    lines.join("\n").trim().to_owned()
}

/// Returns text for a cell of a table.
fn cell(text: &str) -> String {
    let mut escaped = String::new();
    for c in replace_control_chars(text).chars() {
        if matches!(c, '|' | '<' | '>' | '`' | '*' | '_' | '[' | ']' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Returns a fence longer than any in `text`.
fn fence(text: &str) -> String {
    let mut longest = 2;
    let mut current = 0;
    for c in text.chars() {
        current = if c == '`' { current + 1 } else { 0 };
        longest = longest.max(current);
    }
    "`".repeat(longest + 1)
}

/// Returns the report.
pub fn markdown(plan: &Plan, state: &RunState, run: &dyn RunDir) -> String {
    let mut text = String::from("# Final report\n\n## Overview\n\n");
    overview(plan, state, &mut text);
    tasks(plan, state, run, &mut text);
    troubles(plan, state, run, &mut text);
    artifacts(state, &mut text);
    path(plan, state, &mut text);
    text
}

fn overview(plan: &Plan, state: &RunState, text: &mut String) {
    let created = &state.created;
    let opened = state.opened.clone().unwrap_or_default();
    let status = match explain::allowed_failures(plan, state) {
        Some(allowed) => format!("{} ({})", state.status.name(), cell(&allowed)),
        None => state.status.name().to_owned(),
    };
    let rows = [
        ("run_id", created.run_id.clone()),
        ("goal", cell(created.goal.as_deref().unwrap_or("-"))),
        ("status", status),
        (
            "started",
            format_timestamp(created.at, created.offset_minutes),
        ),
        (
            "ended",
            format_timestamp(state.updated_at, created.offset_minutes),
        ),
        ("max_parallel", opened.max_parallel.to_string()),
        (
            "fail_fast",
            if opened.fail_fast { "yes" } else { "no" }.to_owned(),
        ),
        ("workdir", cell(&created.workdir)),
    ];
    let confinement = opened.confinement.as_deref().map(cell);
    for (name, value) in rows
        .into_iter()
        .chain(confinement.map(|sentence| ("confinement", sentence)))
    {
        push_fmt(text, format_args!("- {name}: {value}\n"));
    }
}

/// Returns where the logs of a task lie; what was never begun has none.
fn logs(id: &str, task: &TaskState, run: &dyn RunDir) -> [String; 2] {
    let has_run = match task.status {
        TaskStatus::Success if !task.cached => true,
        TaskStatus::Failed => task.attempts > 0 && task.reason != Some(StatusReason::PolicyDenied),
        _ => task.attempts > 0 && run.log_tail(id, LogStream::Out, 1).1 > 0,
    };
    ["out", "err"].map(|side| {
        if has_run {
            format!("logs/{}.{side}.log", cell(id))
        } else {
            "-".to_owned()
        }
    })
}

fn tasks(plan: &Plan, state: &RunState, run: &dyn RunDir, text: &mut String) {
    // Only where the policy is enforced there is anything to say about walls.
    let is_enforced = state.tasks.iter().any(|task| task.wall.is_some());
    let column = |text: &'static str| if is_enforced { text } else { "" };
    push_fmt(
        text,
        format_args!(
            "\n## Tasks\n\n| id | status | attempts | duration_sec | exit_code | timed_out | stdout | stderr | reason |{}\n",
            column(" confined by |")
        ),
    );
    push_fmt(
        text,
        format_args!(
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- |{}\n",
            column(" --- |")
        ),
    );
    for (index, id, task) in state.entries() {
        let name = cell(id);
        let why = explain::explain_status(plan, state, index)
            .map_or_else(|| "-".to_owned(), |explain_status| cell(&explain_status));
        let (took, code) = (last_attempt_seconds(task), exit_code_text(task));
        let timed_out = if task.timed_out { "yes" } else { "no" };
        let word = task.word();
        let [out, err] = logs(id, task, run);
        let wall = task.wall.map_or("-", SandboxBackend::as_str);
        let wall = if is_enforced {
            format!(" {wall} |")
        } else {
            String::new()
        };
        push_fmt(
            text,
            format_args!(
                "| {name} | {word} | {} | {took} | {code} | {timed_out} | {out} | {err} | {why} |{wall}\n",
                task.attempts
            ),
        );
    }
}

/// Returns the seconds of the last attempt, or `-`.
pub fn last_attempt_seconds(task: &TaskState) -> String {
    task.took_us.map_or_else(
        || "-".to_owned(),
        |us| format!("{:.3}", micros_to_seconds(us)),
    )
}

/// Returns the exit code, or `-`.
pub fn exit_code_text(task: &TaskState) -> String {
    task.exit_code
        .map_or_else(|| "-".to_owned(), |code| code.to_string())
}

fn troubles(plan: &Plan, state: &RunState, run: &dyn RunDir, text: &mut String) {
    let is_trouble = |task: &TaskState| {
        matches!(
            task.status,
            TaskStatus::Failed | TaskStatus::Skipped | TaskStatus::Canceled
        )
    };
    let troubles: Vec<_> = state
        .entries()
        .filter(|(_, _, task)| is_trouble(task))
        .collect();
    if troubles.is_empty() {
        return;
    }
    text.push_str("\n## What did not succeed\n");
    for (index, id, task) in troubles.iter().take(SHOWN_FAILURES) {
        push_fmt(
            text,
            format_args!("\n### {}\n\n- status: {}\n", cell(id), task.status.name()),
        );
        let why = explain::explain_status(plan, state, *index);
        push_fmt(
            text,
            format_args!("- reason: {}\n", cell(why.as_deref().unwrap_or("-"))),
        );
        if let Some(reason) = task.reason {
            push_fmt(text, format_args!("- code: {}\n", reason.name()));
        }
        let tail = task_output(&run.log_tail(id, LogStream::Err, STDERR_LINES).0);
        // What the reason says already is not said twice.
        if tail.is_empty() || why.as_deref().is_some_and(|why| why.ends_with(&tail)) {
            continue;
        }
        let lines: Vec<String> = tail.lines().map(replace_control_chars).collect();
        let fence = fence(&tail);
        push_fmt(
            text,
            format_args!("\n{fence}text\n{}\n{fence}\n", lines.join("\n")),
        );
    }
    if troubles.len() > SHOWN_FAILURES {
        push_fmt(
            text,
            format_args!(
                "\nand {} more, in the table above\n",
                troubles.len() - SHOWN_FAILURES
            ),
        );
    }
}

fn artifacts(state: &RunState, text: &mut String) {
    text.push_str("\n## Artifacts\n\n");
    let mut any = false;
    for (_, _, task) in state.entries() {
        for artifact in task.artifacts() {
            any = true;
            push_fmt(
                text,
                format_args!(
                    "- {} ({} bytes, sha256 {})\n",
                    cell(&artifact.path),
                    artifact.bytes,
                    artifact.sha256
                ),
            );
        }
    }
    if !any {
        text.push_str("none\n");
    }
}

fn path(plan: &Plan, state: &RunState, text: &mut String) {
    let cost = |task| state.task(task).and_then(|task| task.took_us).unwrap_or(0);
    let (path, total) = PlanGraph::of(plan).critical_path(cost);
    push_fmt(
        text,
        format_args!("\n## Critical path ({})\n\n", format_duration(total)),
    );
    for task in path.iter().take(200) {
        push_fmt(
            text,
            format_args!(
                "1. {} {}\n",
                cell(state.task_id(*task)),
                format_duration(cost(*task))
            ),
        );
    }
}

/// Appends formatted text.
pub fn push_fmt(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(arguments);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_task_prints_stays_text() {
        assert_eq!(fence("a ```` b"), "`````");
        assert_eq!(cell("a|b\n# c"), "a\\|b\u{fffd}# c");
        assert_eq!(replace_control_chars("\u{1b}[31mred"), "\u{fffd}[31mred");
    }

    #[test]
    fn durations_are_short() {
        assert_eq!(format_duration(1_234_000), "1.23s");
        assert_eq!(format_duration(61_000_000), "1m01s");
        assert_eq!(format_duration(7_300_000_000), "2h01m");
    }
}
