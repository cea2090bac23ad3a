//! What a run came to, as one page: the most telling few, a timeline of every task, everything that happened on the way.
//!
//! Like the page of a plan it needs nothing but itself and follows the reader's choice of light or dark.

use crate::{
    domain::{
        guarded::Stop,
        ledger::TaskOutcome,
        night::{Summary, TaskSeen, dollars},
        time::{Timestamp, duration_words},
    },
    interfaces::report::{
        night::{counted, facts, headline},
        plan::{clean, push},
        plan_svg::escape,
    },
};

const STYLE: &str = include_str!("plan.css");

/// Returns the page.
pub fn page(summary: &Summary) -> String {
    let run = safe(&summary.run);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
<title>Night {run}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    );
    head(summary, &mut html);
    top(summary, &mut html);
    timeline(summary, &mut html);
    tasks(summary, &mut html);
    marks(summary, &mut html);
    sessions(summary, &mut html);
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

fn safe(text: &str) -> String {
    escape(&clean(text))
}

/// Returns the word whose colour the style sheet knows.
const fn class(outcome: TaskOutcome) -> &'static str {
    match outcome {
        TaskOutcome::Success => "SUCCESS",
        TaskOutcome::Failed => "FAILED",
        TaskOutcome::Skipped | TaskOutcome::NotRun => "SKIPPED",
        TaskOutcome::Blocked => "INTERRUPTED",
    }
}

fn head(summary: &Summary, html: &mut String) {
    push(
        html,
        format_args!(
            "<h1>{}: {}</h1>\n<p class=\"faint\">{} · {}</p>\n",
            safe(&summary.list),
            safe(&headline(summary)),
            safe(&summary.run),
            safe(&facts(summary).join(" · "))
        ),
    );
    html.push_str("<div class=\"facts\">\n");
    let counts = &summary.counts;
    let cost = summary.micro_usd.map_or_else(|| "–".to_owned(), dollars);
    let facts = [
        (
            format!("{} of {}", counts.success, summary.all()),
            "tasks passed",
        ),
        (counts.failed.to_string(), "failed"),
        (duration_words(summary.active_s), "at work"),
        (cost, "spent, as the agent says"),
        (summary.checkpoints.to_string(), "checkpoints"),
        (summary.rollbacks.0.to_string(), "rollbacks"),
    ];
    for (value, name) in facts {
        push(
            html,
            format_args!("<div><b>{}</b><span>{name}</span></div>\n", safe(&value)),
        );
    }
    html.push_str("</div>\n");
    let counted = counted(summary);
    if !counted.is_empty() {
        push(
            html,
            format_args!("<p class=\"faint\">{}</p>\n", safe(&counted.join(" · "))),
        );
    }
}

fn top(summary: &Summary, html: &mut String) {
    let top = &summary.top;
    for (title, lines) in [
        ("What to do now", &top.next),
        ("Successes", &top.successes),
        ("Failures", &top.failures),
        ("Why", &top.causes),
        ("Biggest changes", &top.diffs),
    ] {
        if lines.is_empty() {
            continue;
        }
        push(
            html,
            format_args!("<h2>{title}</h2>\n<ol class=\"card\" style=\"padding-left:32px\">\n"),
        );
        for line in lines {
            push(html, format_args!("<li>{}</li>\n", safe(line)));
        }
        html.push_str("</ol>\n");
    }
}

/// Returns a part of a whole in percent, with two decimals.
fn share(part: i64, whole: i64) -> String {
    let hundredths = part.max(0).saturating_mul(10_000) / whole.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn timeline(summary: &Summary, html: &mut String) {
    html.push_str("<h2>Timeline</h2>\n");
    let bars: Vec<&TaskSeen> = summary
        .history
        .iter()
        .filter(|one| one.end.attempts > 0 || one.end.outcome == TaskOutcome::Blocked)
        .collect();
    let (Some(begin), Some(end)) = (
        bars.iter().map(|bar| bar.from).min(),
        bars.iter().map(|bar| bar.to).max(),
    ) else {
        html.push_str("<p class=\"faint\">No task was started.</p>\n");
        return;
    };
    let all = (end - begin).num_milliseconds().max(1);
    html.push_str("<div class=\"card scroll\">\n");
    for task in &summary.tasks {
        let own: Vec<&&TaskSeen> = bars
            .iter()
            .filter(|bar| bar.end.task == task.task)
            .collect();
        if !own.is_empty() {
            lane(&task.task, &own, begin, all, html);
        }
    }
    push(
        html,
        format_args!(
            "<p class=\"faint\">{} – {}</p>\n</div>\n",
            begin.format("%Y-%m-%d %H:%M:%S"),
            end.format("%H:%M:%S")
        ),
    );
}

fn lane(task: &str, bars: &[&&TaskSeen], begin: Timestamp, all: i64, html: &mut String) {
    let id = safe(task);
    push(
        html,
        format_args!("<div class=\"lane\"><span title=\"{id}\">{id}</span><span class=\"track\">"),
    );
    let mut seconds = 0;
    for bar in bars {
        seconds += bar.end.seconds;
        let class = class(bar.end.outcome);
        let left = share((bar.from - begin).num_milliseconds(), all);
        let width = share((bar.to - bar.from).num_milliseconds(), all);
        push(
            html,
            format_args!(
                "<span class=\"bar {class}\" style=\"left:{left}%;width:{width}%\" title=\"{id} {}: {}\"></span>",
                bar.end.outcome.as_str(),
                safe(&bar.end.reason)
            ),
        );
    }
    push(
        html,
        format_args!("</span><span>{}</span></div>\n", duration_words(seconds)),
    );
}

fn tasks(summary: &Summary, html: &mut String) {
    html.push_str("<h2>Tasks</h2>\n<div class=\"card scroll\"><table>\n<tr><th>task</th><th>outcome</th><th>class</th><th class=\"n\">tries</th><th class=\"n\">time</th><th class=\"n\">lines</th><th class=\"n\">cost</th><th>commit</th><th>reason</th></tr>\n");
    for end in &summary.tasks {
        let commit: String = end
            .commit
            .iter()
            .flat_map(|id| id.chars().take(10))
            .collect();
        push(
            html,
            format_args!(
                "<tr><td title=\"{}\">{}</td><td><span class=\"badge {}\">{}</span></td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">+{} -{}</td><td class=\"n\">{}</td><td><code>{commit}</code></td><td>{}</td></tr>\n",
                safe(&end.goal),
                safe(&end.task),
                class(end.outcome),
                end.outcome.as_str(),
                safe(&end.class),
                end.attempts,
                duration_words(end.seconds),
                end.added,
                end.removed,
                end.micro_usd.map_or_else(|| "–".to_owned(), dollars),
                safe(&end.reason)
            ),
        );
    }
    html.push_str("</table></div>\n");
}

fn marks(summary: &Summary, html: &mut String) {
    if summary.marks.is_empty() {
        return;
    }
    html.push_str("<h2>On the way</h2>\n<div class=\"card scroll\"><table>\n");
    for mark in &summary.marks {
        push(
            html,
            format_args!(
                "<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                mark.at.format("%H:%M:%S"),
                safe(&mark.kind),
                safe(&mark.line)
            ),
        );
    }
    html.push_str("</table></div>\n");
}

fn sessions(summary: &Summary, html: &mut String) {
    html.push_str("<h2>Sessions</h2>\n<div class=\"card scroll\"><table>\n<tr><th>session</th><th>began</th><th>end</th><th class=\"n\">time</th><th class=\"n\">at work</th><th>agent</th><th>sandbox</th><th>kept awake by</th></tr>\n");
    for session in &summary.sessions {
        let end = session.end.as_ref();
        push(
            html,
            format_args!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{} {}</td><td>{}</td><td>{}</td></tr>\n",
                safe(&session.id),
                session.began.format("%Y-%m-%d %H:%M"),
                safe(end.map_or("running", |end| Stop::words_of(&end.ended_by))),
                duration_words(end.map_or(0, |end| end.wall_s)),
                duration_words(end.map_or(0, |end| end.active_s)),
                safe(&session.start.agent),
                safe(&session.start.agent_version),
                safe(&session.start.backend),
                safe(&session.start.sleep_guard)
            ),
        );
    }
    push(
        html,
        format_args!(
            "</table></div>\n<p class=\"faint\">Computed from records {} to {} of the ledger.</p>\n",
            summary.records.0, summary.records.1
        ),
    );
}
