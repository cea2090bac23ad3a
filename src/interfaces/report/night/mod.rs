//! What a run came to, as text for the morning.

pub mod html;

use crate::{
    domain::{
        night::{NightSummary, format_usd},
        tasks::StopReason,
        time::duration_words,
    },
    interfaces::report::plan::replace_control_chars,
};

/// Returns the summary.
pub fn text(summary: &NightSummary) -> String {
    let mut lines = vec![
        format!("{} ({}): {}", summary.run, summary.list, headline(summary)),
        format!("  {}", time_and_cost_lines(summary).join(", ")),
    ];
    let counted = counter_lines(summary);
    if !counted.is_empty() {
        lines.push(format!("  {}", counted.join(", ")));
    }
    let top = &summary.top;
    for (title, all) in [
        ("successes", &top.successes),
        ("failures", &top.failures),
        ("diffs", &top.diffs),
        ("causes", &top.causes),
        ("next", &top.next),
    ] {
        if !all.is_empty() {
            lines.push(String::new());
            lines.push(title.to_owned());
            lines.extend(
                all.iter()
                    .map(|line| format!("  {}", replace_control_chars(line))),
            );
        }
    }
    lines.join("\n")
}

/// Returns how many tasks passed and how it ended.
pub fn headline(summary: &NightSummary) -> String {
    format!(
        "{} of {} tasks passed: {}",
        summary.counts.success,
        summary.task_count(),
        StopReason::label_of(summary.last_session_end())
    )
}

/// Returns times and money.
pub fn time_and_cost_lines(summary: &NightSummary) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(first) = summary.sessions.first() {
        facts.push(format!("began {}", first.began.format("%Y-%m-%d %H:%M")));
    }
    let sessions = summary.sessions.len();
    if sessions > 1 {
        facts.push(format!("{sessions} sessions"));
    }
    facts.push(format!(
        "{} in all, {} at work",
        duration_words(summary.wall_s),
        duration_words(summary.active_s)
    ));
    facts.push(summary.micro_usd.map_or_else(
        || "cost unknown".to_owned(),
        |micro| format!("{} spent", format_usd(micro)),
    ));
    if let Some(first) = summary.sessions.first()
        && !first.start.shared_files.is_empty()
    {
        let names = first.start.shared_files.join(", ");
        facts.push(format!("shared {}", replace_control_chars(&names)));
    }
    facts
}

/// Returns everything that was counted and is not nothing.
pub fn counter_lines(summary: &NightSummary) -> Vec<String> {
    let counts = &summary.counts;
    let number = |count: usize, word: &str| (count > 0).then(|| format!("{count} {word}"));
    let several = |count: u32, one: &str, many: &str| {
        number(count as usize, if count == 1 { one } else { many })
    };
    let crashes = summary.sessions.iter().filter_map(|one| one.end.as_ref());
    let crashes = crashes.filter(|end| end.ended_by == "crash").count();
    let waited = |seconds: u64, what: &str| {
        (seconds > 0).then(|| format!("{} {what}", duration_words(seconds)))
    };
    let all = [
        number(counts.failed, "failed"),
        number(counts.skipped, "skipped"),
        number(counts.blocked, "stopped in the middle"),
        number(counts.not_run, "not run"),
        number(counts.unknown, "without a record"),
        several(summary.retries, "second try", "second tries"),
        several(summary.rollbacks.0, "rollback", "rollbacks"),
        several(summary.rollbacks.1, "of them FAILED", "of them FAILED"),
        several(summary.checkpoints, "checkpoint", "checkpoints"),
        several(summary.limits, "limit reached", "limits reached"),
        several(summary.invariants, "BROKEN PROMISE", "BROKEN PROMISES"),
        number(crashes, if crashes == 1 { "crash" } else { "crashes" }),
        waited(summary.quota_s, "waiting for the quota"),
        waited(summary.provider_s, "waiting for the provider"),
        waited(summary.suspend_s, "asleep"),
    ];
    all.into_iter().flatten().collect()
}
