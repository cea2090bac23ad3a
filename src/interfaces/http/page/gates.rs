//! Gates: what may be done without a person, what the next level asks for, what of it is there, and what changed last.

use axum::{extract::State, response::Html};
use maud::{Markup, html};

use crate::{
    domain::{
        board::Millis,
        gates::{
            AUTONOMY_TRACK, AutonomyAccount, AutonomyReport, CriterionResult, GateReport,
            GateTrackStatus, duration_text,
        },
        time::Timestamp,
    },
    interfaces::{
        http::{error::ApiError, state::HttpState},
        report::page::{badge, table, text},
    },
};

use super::{
    frame::{nothing, page, with_code},
    view::PageContext,
};

/// What a level permits and needs, by the words of the configuration.
const MEANINGS: &[(&str, &str)] = &[
    ("stop", "everything stops"),
    (
        "retry_then_stop",
        "it is tried once more, then everything stops",
    ),
    (
        "retry_then_skip_dependents",
        "it is tried once more, then what depends on it is skipped",
    ),
    ("worktree", "a work tree of its own"),
    ("env_min", "a minimal environment"),
    ("home_redirect", "a home of its own"),
    ("kill_tree", "all its processes can be ended"),
    ("fs_confined", "files confined"),
    ("net_allowlist", "network by a list"),
    ("mem_cap", "memory limited"),
    ("pids_cap", "number of processes limited"),
    ("disk_cap", "disk space limited"),
    ("health", "the machine is well"),
    ("sleep_guard", "the machine stays awake"),
    ("worktree_clean", "the checkout is clean"),
    ("ledger_ok", "the ledger is whole"),
    ("isolation_selftest", "the sandbox has proved itself"),
];

/// The page of gates.
pub(super) async fn show(
    State(service): State<HttpState>,
    view: PageContext,
) -> Result<Html<String>, ApiError> {
    let board = service.snapshot();
    let account = service.board().autonomy().await?;
    let body = html! { div id="gates" data-live { (body(&view, &account)) } };
    Ok(Html(page(&view, Some(&board), view.t("Gates"), &body)))
}

fn body(view: &PageContext, account: &AutonomyAccount) -> Markup {
    let report = &account.report;
    let is_own = |track: &&GateTrackStatus| track.track != AUTONOMY_TRACK;
    let others: Vec<_> = report.tracks.iter().filter(is_own).collect();
    html! {
        @if let Some(own) = report.autonomy_track() {
            section aria-labelledby="level" {
                h2 id="level" { (view.t("Level")) " " (text(&own.phase)) ": " (text(&own.title)) }
                (standing(view, report, own))
                (permitted(view, report))
            }
            (ahead(view, account, own, "ahead"))
        }
        @if !account.steps.is_empty() {
            section aria-labelledby="way" {
                h2 id="way" { (view.t("The way to work without a person")) }
                ol { @for step in &account.steps { li { (with_code(step)) } } }
            }
        }
        section aria-labelledby="changes" {
            h2 id="changes" { (view.t("Changed last")) }
            (changes(view, account))
        }
        @if !others.is_empty() {
            details id="others" {
                summary { (view.t("Further ladders of levels")) }
                @for track in others {
                    h2 { (text(&track.track)) " " (text(&track.phase)) ": " (text(&track.title)) }
                    (ahead(view, account, track, &track.track))
                }
            }
        }
    }
}

/// Whether anything runs without a person now, and what is in the way.
fn standing(view: &PageContext, report: &AutonomyReport, own: &GateTrackStatus) -> Markup {
    let is_free = report.permission.unattended && report.holds.is_empty() && own.locked.is_none();
    html! {
        p {
            @if is_free || own.locked.is_none() && report.overridden.is_some() { (badge("SUCCESS", view.t("works without a person"))) }
            @else { (badge("READY", view.t("a person allows each task"))) }
        }
        @if let Some(reason) = &own.locked {
            p class="note error" { (view.t("Locked:")) " " (text(reason)) " " code { "tos autonomy unlock --reason TEXT" } }
        }
        @if let Some(fall) = &own.demotion {
            p.note { (view.t("Led back from level")) " " (text(&fall.from)) ": " (text(&fall.reason)) }
        }
        @for hold in &report.holds { p.note { (view.t("Suspended:")) " " (with_code(hold)) } }
        @if let Some(until) = report.overridden {
            p.note { (view.t("A person overrides the gates for another")) " " (view.until(millis(until))) }
        }
    }
}

fn permitted(view: &PageContext, report: &AutonomyReport) -> Markup {
    let allowed = &report.permission;
    let list = |words: &[String]| {
        let words: Vec<String> = words.iter().map(|word| meaning(view, word)).collect();
        words.join(", ")
    };
    html! {
        dl {
            dt { (view.t("Without a person")) }
            dd {
                @if allowed.unattended { (view.t("yes, at a time up to")) " " (duration_text(allowed.max_session_s)) }
                @else { (view.t("no")) }
            }
            @if !allowed.on_failure.is_empty() { dt { (view.t("When a task fails")) } dd { (list(&allowed.on_failure)) } }
            @if !allowed.need_isolation.is_empty() { dt { (view.t("How agents are confined")) } dd { (list(&allowed.need_isolation)) } }
            @if !allowed.need_before_start.is_empty() { dt { (view.t("Checked before a start")) } dd { (list(&allowed.need_before_start)) } }
            dt { (view.t("Records in the ledger")) } dd { (report.records) }
        }
    }
}

/// Says a word of the configuration in plain words; what this tos does not know is shown as it is.
fn meaning(view: &PageContext, word: &str) -> String {
    let known = MEANINGS.iter().find(|(name, _)| *name == word);
    known.map_or_else(|| text(word), |(_, words)| view.t(words).to_owned())
}

/// The gate ahead: every condition, what counted, what is missing.
fn ahead(
    view: &PageContext,
    account: &AutonomyAccount,
    track: &GateTrackStatus,
    id: &str,
) -> Markup {
    let Some(gate) = &track.gate else {
        return html! { p.faint { (view.t("No level is above this one.")) } };
    };
    let columns = [
        (view.t("Condition"), false),
        (view.t("State"), false),
        (view.t("Counted"), true),
        (view.t("What counted or is missing"), false),
    ];
    html! {
        section aria-labelledby=(text(id)) {
            h2 id=(text(id)) { (view.t("What the next level asks for:")) " " (text(&gate.to)) }
            (conclusion(view, gate))
            div.tight {
                (table(&columns, &html! {
                    @for one in &gate.criteria { (criterion(view, account, one)) }
                }))
            }
        }
    }
}

fn conclusion(view: &PageContext, gate: &GateReport) -> Markup {
    let met = gate.criteria.len().saturating_sub(gate.unmet_count());
    html! {
        p {
            (met) " / " (gate.criteria.len()) " " (view.t("conditions are met.")) " "
            @if gate.is_ready() {
                (view.t("A person at the terminal enters the level:")) " "
                code { "tos autonomy promote " (text(&gate.to)) }
            }
        }
    }
}

fn criterion(view: &PageContext, account: &AutonomyAccount, one: &CriterionResult) -> Markup {
    let asked = account.meanings.get(&one.id);
    let state = if one.met {
        badge("SUCCESS", view.t("met"))
    } else {
        badge("READY", view.t("open"))
    };
    html! {
        tr {
            th scope="row" { (text(&one.id.replace('-', " "))) }
            td { (state) }
            td.n data-label=(view.t("Counted")) { (text(&one.value)) }
            td.wrap {
                @if let Some(asked) = asked { p { (text(asked)) } }
                @if !one.note.is_empty() { p.faint { (text(&one.note)) } }
                @if !one.details.is_empty() {
                    details id={ "details-" (text(&one.id)) } {
                        summary { (view.t("One by one")) }
                        ul { @for detail in &one.details { li { (text(detail)) } } }
                    }
                }
            }
        }
    }
}

fn changes(view: &PageContext, account: &AutonomyAccount) -> Markup {
    html! {
        @if account.changes.is_empty() { (nothing(view)) }
        @for change in &account.changes {
            div.item {
                b { (view.word(change.kind)) } " " (text(&change.words))
                p.faint { (text(&change.by)) ", " (view.moment(millis(change.at))) }
            }
        }
    }
}

fn millis(at: Timestamp) -> Millis {
    u64::try_from(at.timestamp_millis()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interfaces::http::page::words::japanese;

    #[test]
    fn what_levels_permit_is_said_in_both_languages() {
        let gates = include_str!("../../../../config/gates.toml");
        let named = |key: &str| -> Vec<String> {
            let lines = gates.lines().filter_map(|line| line.strip_prefix(key));
            lines
                .flat_map(|line| line.split('"').skip(1).step_by(2))
                .map(str::to_owned)
                .collect()
        };
        for key in ["need_isolation", "need_before_start", "on_failure"] {
            let words = named(key);
            assert!(!words.is_empty(), "{key}");
            for word in words {
                assert!(MEANINGS.iter().any(|(name, _)| *name == word), "{word}");
            }
        }
        for (_, words) in MEANINGS {
            assert!(japanese(words).is_some(), "{words}");
        }
    }
}
