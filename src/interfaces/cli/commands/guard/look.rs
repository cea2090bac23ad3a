//! `tos guard explain`, `log` and `stats`: what would be decided, and what was.

use std::path::Path;

use serde_json::json;

use super::{ExplainArgs, LogArgs, StatsArgs};
use crate::{
    config::guard::GuardSettings,
    domain::{
        guard::{
            AttendanceMode, HookAgent, ToolAction, ToolCall,
            checkpoint::CheckpointCause,
            log::{GuardStats, LogEntry, PROBE_SESSION},
        },
        policy::{DataLoss, Decision, Policy, PolicyFinding},
    },
    interfaces::{
        cli::{
            commands::policy,
            common::{CliError, CliExit, Printer, ServiceFactory},
            guard_services::GuardedProject,
        },
        report::printer::TextStyle,
    },
    services::guard::Guard,
};

/// Judges one command; keeps nothing.
pub(super) fn explain(
    args: &ExplainArgs,
    folder: Option<&Path>,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    if args.command.trim().is_empty() {
        let why = "there is no command to judge: tos guard explain 'rm -rf build'";
        return Err(CliError::usage(why));
    }
    let place = services.guard_project(folder);
    let settings = rules_here(&place, services, printer)?;
    let rules = settings.policy().map_err(CliError::Setup)?;
    let command = policy::command(&args.kind, &args.command)?;
    let world = services.guard_context(&place, &settings);
    let losses = Policy::losses(&command, &world);
    let presence = if args.unattended {
        AttendanceMode::Nobody("nobody can be asked")
    } else {
        AttendanceMode::Person
    };
    let call = ToolCall {
        agent: HookAgent::Claude,
        event: String::new(),
        tool: "Bash".to_owned(),
        action: ToolAction::Command(command),
        folder: None,
        session: String::new(),
        presence,
    };
    let project = services.project_view(&place);
    let guard = Guard {
        project: Some(project.as_ref()),
        policy: &rules,
        world,
        checkpoints: None,
        kept_anyway: Vec::new(),
        most_files: settings.max_files,
        most_bytes: settings.max_megabytes << 20,
        observe: false,
        own_folders: Vec::new(),
    };
    let outcome = guard.judge(&call, &CheckpointCause::default());
    let decision = outcome.decision_for(presence);
    let tone = tone_of(decision);
    let word = printer.paint(tone, decision.as_str());
    let sentence = outcome.sentence(presence);
    let sentence = sentence.strip_prefix("tos guard: ").unwrap_or(&sentence);
    printer.shown(&format!("{word}  {sentence}"));
    show_findings(&outcome.findings, printer);
    let kept: Vec<String> = losses.iter().filter_map(said).collect();
    if settings.observe {
        printer.note(
            "`observe = true`: whatever is decided here, the hook lets it run and keeps nothing",
        );
    } else if decision != Decision::Deny && !kept.is_empty() {
        printer.shown(&format!(
            "kept first, as far as it is there and no commit holds it: {}",
            kept.join("; ")
        ));
    }
    printer.document(&json!({
        "decision": decision.as_str(), "reason": sentence, "rule": outcome.rule,
        "findings": outcome.findings, "kept_first": kept,
        "observe": settings.observe,
    }));
    Ok(if decision == Decision::Allow {
        CliExit::Success
    } else {
        CliExit::NotDone
    })
}

fn show_findings(findings: &[PolicyFinding], printer: &Printer) {
    for finding in findings {
        printer.shown(&format!(
            "  {:>3}. {}\n       {}: {} by {}",
            finding.at,
            finding.command(),
            finding.effect,
            finding.decision.as_str(),
            finding.rule
        ));
    }
}

/// Reads the rules of a place, and warns of those that allow too much.
fn rules_here(
    place: &GuardedProject,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<GuardSettings, CliError> {
    let settings = services.guard_settings(&place.root);
    let settings = settings.map_err(CliError::Setup)?;
    for warning in settings.warnings() {
        printer.alert(&format!("warning: {warning}"));
    }
    Ok(settings)
}

fn said(loss: &DataLoss) -> Option<String> {
    Some(match loss {
        DataLoss::Removed(path) => format!("{path} (removed)"),
        DataLoss::Overwritten(path) if path.is_empty() => {
            "files of the project (written over)".to_owned()
        }
        DataLoss::Overwritten(path) => format!("{path} (written over)"),
        DataLoss::Uncommitted => "changes that are not committed".to_owned(),
        DataLoss::Untracked { ignored: false } => "untracked files".to_owned(),
        DataLoss::Untracked { ignored: true } => "untracked and ignored files".to_owned(),
        DataLoss::References(lost) => match &lost.names {
            _ if lost.stashes => "stashes".to_owned(),
            None => "branches and tags".to_owned(),
            Some(names) => {
                let short = |name: &String| {
                    let name = name.strip_prefix("refs/heads/").unwrap_or(name);
                    name.strip_prefix("refs/").unwrap_or(name).to_owned()
                };
                let names: Vec<String> = names.iter().map(short).collect();
                names.join(", ")
            }
        },
        DataLoss::WorkTree(_) | DataLoss::Filled(_) | DataLoss::Named(_) => return None,
    })
}

const fn tone_of(decision: Decision) -> TextStyle {
    match decision {
        Decision::Allow => TextStyle::Good,
        Decision::Ask => TextStyle::Warn,
        Decision::Deny => TextStyle::Bad,
    }
}

fn entries(all: bool, folder: Option<&Path>, services: &dyn ServiceFactory) -> Vec<LogEntry> {
    let root = services.guard_project(folder).root.display().to_string();
    let mut entries = services.guard_log().read();
    entries.retain(|entry| entry.session != PROBE_SESSION && (all || entry.root == root));
    entries
}

/// Shows the newest entries of the log.
pub(super) fn log(
    args: &LogArgs,
    folder: Option<&Path>,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> CliExit {
    let mut entries = entries(args.all, folder, services);
    if args.blocked {
        entries.retain(LogEntry::was_not_allowed);
    }
    let shown = &entries[entries.len().saturating_sub(args.last)..];
    for entry in shown {
        let time = entry
            .time
            .get(..19)
            .unwrap_or(&entry.time)
            .replace('T', " ");
        let (word, tone) = match (entry.kind.as_str(), entry.answer.as_str()) {
            ("failed", _) => ("failed", TextStyle::Bad),
            ("undone", _) => ("undone", TextStyle::Good),
            // Who only looks on lets everything pass; what is worth knowing is what would have become of it.
            _ if entry.observe && entry.decision == "deny" => ("would deny", TextStyle::Warn),
            _ if entry.observe && entry.decision == "ask" => ("would ask", TextStyle::Warn),
            (_, "deny") => ("deny", TextStyle::Bad),
            (_, "ask") => ("ask", TextStyle::Warn),
            _ => ("allow", TextStyle::Faint),
        };
        let subject: String = entry.subject.replace('\n', " ").chars().take(120).collect();
        let word = printer.paint(tone, word);
        printer.shown(&format!(
            "{time}  {word}  {} {}: {subject}",
            entry.agent, entry.tool
        ));
        if !entry.reason.is_empty() {
            printer.shown(&format!("                     {}", entry.reason));
        }
        if let Some(number) = entry.checkpoint {
            printer.shown(&format!("                     checkpoint {number}"));
        }
    }
    if shown.is_empty() {
        let what = if args.blocked { "blocked" } else { "judged" };
        printer.shown(&format!("nothing was {what} here"));
    }
    printer.document(&json!({ "entries": shown }));
    CliExit::Success
}

/// Adds the log up.
pub(super) fn stats(
    args: &StatsArgs,
    folder: Option<&Path>,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> CliExit {
    let entries = entries(args.all, folder, services);
    let stats = GuardStats::of(&entries);
    let of = |word: &str| stats.decisions.get(word).copied().unwrap_or(0);
    printer.shown(&format!(
        "{} calls judged: {} passed, {} asked, {} refused; {} could not be judged",
        stats.judged,
        of("allow"),
        of("ask"),
        of("deny"),
        stats.failed
    ));
    if stats.observed > 0 {
        printer.shown(&format!(
            "{} of the asked and refused were only observed: they ran",
            stats.observed
        ));
    }
    printer.shown(&format!(
        "{} checkpoints made, {} brought back; one judgement takes {:.1} ms (longest {:.1})",
        stats.checkpoints,
        stats.undone,
        micros(stats.median_us),
        micros(stats.max_us)
    ));
    let mut rules: Vec<(&String, &u64)> = stats.rules.iter().collect();
    rules.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    for (rule, count) in rules {
        printer.shown(&format!("  {count:>5}  {rule}"));
    }
    printer.document(&json!(stats));
    CliExit::Success
}

fn micros(micros: u64) -> f64 {
    f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / 1_000.0
}
