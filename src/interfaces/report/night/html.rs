//! What a run came to, as one page: the most telling few, a timeline of every task, everything that happened on the way.

use maud::{Markup, html};

use crate::{
    domain::{
        ledger::TaskOutcome,
        night::{NightSummary, TaskHistoryEntry, format_usd},
        tasks::StopReason,
        time::duration_words,
    },
    interfaces::report::{
        night::{counter_lines, headline, time_and_cost_lines},
        page,
        page::{TimelineBar, badge, table, text, timeline_row},
    },
};

/// Returns the page.
pub fn page(summary: &NightSummary) -> String {
    let body = html! {
        (head(summary))
        (top(summary))
        h2 { "Timeline" }
        (timeline(summary))
        h2 { "Tasks" }
        (tasks(summary))
        (marks(summary))
        h2 { "Sessions" }
        (sessions(summary))
    };
    page::page(&format!("Night {}", summary.run), &body)
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

fn cost(micro_usd: Option<u64>) -> String {
    micro_usd.map_or_else(|| "–".to_owned(), format_usd)
}

fn head(summary: &NightSummary) -> Markup {
    let counts = &summary.counts;
    let counted = counter_lines(summary);
    let figures = [
        (
            format!("{} of {}", counts.success, summary.task_count()),
            "tasks passed",
        ),
        (counts.failed.to_string(), "failed"),
        (duration_words(summary.active_s), "at work"),
        (cost(summary.micro_usd), "spent, as the agent says"),
        (summary.checkpoints.to_string(), "checkpoints"),
        (summary.rollbacks.0.to_string(), "rollbacks"),
    ];
    html! {
        h1 { (text(&summary.list)) ": " (text(&headline(summary))) }
        p.faint { (text(&summary.run)) " · " (text(&time_and_cost_lines(summary).join(" · "))) }
        (page::facts(&figures))
        @if !counted.is_empty() { p.faint { (text(&counted.join(" · "))) } }
    }
}

fn top(summary: &NightSummary) -> Markup {
    let top = &summary.top;
    let lists = [
        ("What to do now", &top.next),
        ("Successes", &top.successes),
        ("Failures", &top.failures),
        ("Why", &top.causes),
        ("Biggest changes", &top.diffs),
    ];
    html! {
        @for (title, lines) in lists.iter().filter(|(_, lines)| !lines.is_empty()) {
            h2 { (title) }
            ol.card.list { @for line in *lines { li { (text(line)) } } }
        }
    }
}

fn timeline(summary: &NightSummary) -> Markup {
    let worked =
        |one: &&TaskHistoryEntry| one.end.attempts > 0 || one.end.outcome == TaskOutcome::Blocked;
    let ends: Vec<&TaskHistoryEntry> = summary.history.iter().filter(worked).collect();
    let (Some(begin), Some(end)) = (
        ends.iter().map(|one| one.from).min(),
        ends.iter().map(|one| one.to).max(),
    ) else {
        return html! { p.faint { "No task was started." } };
    };
    let all = (end - begin).num_milliseconds();
    let lanes = summary.tasks.iter().filter_map(|task| {
        let own = ends.iter().filter(|one| one.end.task == task.task);
        let bars: Vec<TimelineBar> = own.clone().map(|one| bar(one)).collect();
        let seconds = own.map(|one| one.end.seconds).sum();
        let start = begin.timestamp_millis();
        let took = duration_words(seconds);
        (!bars.is_empty()).then(|| timeline_row(&task.task, &bars, start, all, &took))
    });
    html! {
        div class="card scroll" {
            @for lane in lanes { (lane) }
            p.faint { (begin.format("%Y-%m-%d %H:%M:%S")) " – " (end.format("%H:%M:%S")) }
        }
    }
}

fn bar(one: &TaskHistoryEntry) -> TimelineBar {
    let end = &one.end;
    TimelineBar {
        from: one.from.timestamp_millis(),
        to: one.to.timestamp_millis(),
        class: class(end.outcome),
        title: format!("{} {}: {}", end.task, end.outcome.as_str(), end.reason),
    }
}

fn tasks(summary: &NightSummary) -> Markup {
    const COLUMNS: [(&str, bool); 9] = [
        ("task", false),
        ("outcome", false),
        ("class", false),
        ("tries", true),
        ("time", true),
        ("lines", true),
        ("cost", true),
        ("commit", false),
        ("reason", false),
    ];
    let rows = html! {
        @for end in &summary.tasks {
            tr {
                td title=(text(&end.goal)) { (text(&end.task)) }
                td { (badge(class(end.outcome), end.outcome.as_str())) }
                td { (text(&end.class)) }
                td.n { (end.attempts) }
                td.n { (duration_words(end.seconds)) }
                td.n { "+" (end.added) " -" (end.removed) }
                td.n { (cost(end.micro_usd)) }
                td { code { @if let Some(id) = &end.commit { (id.chars().take(10).collect::<String>()) } } }
                td { (text(&end.reason)) }
            }
        }
    };
    table(&COLUMNS, &rows)
}

fn marks(summary: &NightSummary) -> Markup {
    let rows = html! {
        @for mark in &summary.marks {
            tr { td { (mark.at.format("%H:%M:%S")) } td { (text(&mark.kind)) } td { (text(&mark.line)) } }
        }
    };
    html! {
        @if !summary.marks.is_empty() { h2 { "On the way" } (table(&[], &rows)) }
    }
}

fn sessions(summary: &NightSummary) -> Markup {
    const COLUMNS: [(&str, bool); 8] = [
        ("session", false),
        ("began", false),
        ("end", false),
        ("time", true),
        ("at work", true),
        ("agent", false),
        ("sandbox", false),
        ("kept awake by", false),
    ];
    let rows = html! {
        @for session in &summary.sessions {
            @let end = session.end.as_ref();
            tr {
                td { (text(&session.id)) }
                td { (session.began.format("%Y-%m-%d %H:%M")) }
                td { (text(end.map_or("running", |end| StopReason::label_of(&end.ended_by)))) }
                td.n { (duration_words(end.map_or(0, |end| end.wall_s))) }
                td.n { (duration_words(end.map_or(0, |end| end.active_s))) }
                td { (text(&session.start.agent)) " " (text(&session.start.agent_version)) }
                td { (text(&session.start.backend)) }
                td { (text(&session.start.sleep_guard)) }
            }
        }
    };
    html! {
        (table(&COLUMNS, &rows))
        p.faint { "Computed from records " (summary.records.0) " to " (summary.records.1) " of the ledger." }
    }
}
