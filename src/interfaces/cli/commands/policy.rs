//! `tos policy explain|check|test`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;

use crate::{
    config::Settings,
    domain::{
        command::{Command, CommandKind},
        job::rules::PolicyRules,
        policy::{Decision, Policy, PolicyContext, PolicyVerdict, windows_dialect},
    },
    interfaces::{
        cli::common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
        report::printer::TextStyle,
    },
    ports::clock::Clock,
};

/// Options of `tos policy`.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    #[command(subcommand)]
    verb: Verb,
}

/// What to ask the policy.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Judge one command and show everything that was found in it; nothing runs
    Explain(ExplainArgs),
    /// Judge every command of a corpus and count what is denied, missed and falsely denied
    Check(JudgeChangeArgs),
    /// Check the examples of the configured rules and of the preset
    Test,
}

/// Options of `tos policy explain`.
#[derive(Debug, Args)]
struct ExplainArgs {
    /// The command, one word for the shell you type this in
    command: String,
    /// What would interpret it: bash, sh, powershell, cmd or exec
    #[arg(long = "type", value_name = "TYPE", default_value = "bash")]
    kind: String,
    /// Judge as if it ran behind a proved sandbox
    #[arg(long)]
    sandboxed: bool,
    /// Judge as if somebody could answer a question
    #[arg(long)]
    attended: bool,
}

/// Options of `tos policy check`.
#[derive(Debug, Args)]
struct JudgeChangeArgs {
    /// JSON lines, each with `command`, `shell` and `intent` (`benign`, or what it is after) or `harmful`; relative to the root
    #[arg(long, value_name = "CORPUS.jsonl")]
    file: PathBuf,
    /// Judge as if everything ran behind a proved sandbox
    #[arg(long)]
    sandboxed: bool,
    /// Show only the figures
    #[arg(long)]
    brief: bool,
}

/// One line of a corpus.
#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(default)]
    id: String,
    command: String,
    shell: String,
    #[serde(default)]
    intent: String,
    /// What is right, where the intent alone does not say it.
    harmful: Option<bool>,
}

impl Entry {
    fn is_harmless(&self) -> bool {
        self.harmful
            .map_or(self.intent == "benign", |harmful| !harmful)
    }
}

/// Does what the verb says.
pub fn main(
    args: &PolicyArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let settings = services.settings(global)?;
    match &args.verb {
        Verb::Explain(args) => explain(args, &settings, services, printer),
        Verb::Check(args) => check(args, &settings, services, printer),
        Verb::Test => test(&settings, printer),
    }
}

fn explain(
    args: &ExplainArgs,
    settings: &Settings,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    if args.command.trim().is_empty() {
        let why =
            "there is no command to judge; give it as one word: tos policy explain 'rm -rf build'";
        return Err(CliError::usage(why));
    }
    let policy = settings.policy()?;
    let world = PolicyContext {
        sandbox_proved: args.sandboxed,
        ..services.policy_context(&settings.root, args.attended)
    };
    let command = command(&args.kind, &args.command)?;
    let verdict = policy.judge(&command, &world);
    show(&verdict, printer);
    if !verdict.is_allowed() {
        if settings.rules.policy.allow_types.contains(&command.kind) {
            tell_dialect(&command, &args.command, printer);
        } else {
            show_as_if_listed(&command, &world, settings, printer)?;
        }
    }
    printer.document(&json!(verdict));
    Ok(if verdict.is_allowed() {
        CliExit::Success
    } else {
        CliExit::NotDone
    })
}

/// Says that a text was judged as what it is not.
fn tell_dialect(command: &Command, text: &str, printer: &Printer) {
    let is_windows = matches!(command.kind, CommandKind::Powershell | CommandKind::Cmd);
    let Some(kind) = windows_dialect(text).filter(|_| !is_windows) else {
        return;
    };
    let (was, kind) = (command.kind.as_str(), kind.as_str());
    printer.line(&format!(
        "it reads as {kind} and was judged as {was}; `tos policy explain --type {kind} '...'` judges it as what it is"
    ));
}

/// Names the file that keeps a type of command from running, and judges the command as if it did not.
fn show_as_if_listed(
    command: &Command,
    world: &PolicyContext,
    settings: &Settings,
    printer: &Printer,
) -> Result<(), CliError> {
    let kind = command.kind.as_str();
    let file = settings.config_file.as_ref().map_or_else(
        || "config/config_v0_3.json".to_owned(),
        |file| file.display().to_string(),
    );
    printer.line(&format!(
        "no command of the type {kind} runs here; write \"{kind}\" into `allow_types` in {file} to have it judged by what it \
         does, which would be:"
    ));
    let rules = PolicyRules {
        allow_types: CommandKind::KNOWN.to_vec(),
        ..settings.rules.policy.clone()
    };
    let policy = Policy::new(&rules).map_err(|error| CliError::Usage(error.to_string()))?;
    show(&policy.judge(command, world), printer);
    Ok(())
}

pub(super) fn command(kind: &str, text: &str) -> Result<Command, CliError> {
    let kind = CommandKind::from(kind.to_owned());
    if matches!(kind, CommandKind::Other(_)) {
        let known = CommandKind::KNOWN
            .map(|kind| kind.as_str().to_owned())
            .join(", ");
        return Err(CliError::Usage(format!(
            "`{}` is no type of command; there are {known}",
            kind.as_str()
        )));
    }
    let exec = kind == CommandKind::Exec;
    Ok(Command {
        kind,
        code: if exec { String::new() } else { text.to_owned() },
        argv: text
            .split_whitespace()
            .filter(|_| exec)
            .map(str::to_owned)
            .collect(),
    })
}

fn show(verdict: &PolicyVerdict, printer: &Printer) {
    let tone = match verdict.decision {
        Decision::Allow => TextStyle::Good,
        Decision::Ask => TextStyle::Warn,
        Decision::Deny => TextStyle::Bad,
    };
    let word = printer.paint(tone, verdict.decision.as_str());
    printer.line(&format!("{word}  {}", verdict.reason));
    for finding in &verdict.findings {
        let via = if finding.via.is_empty() {
            String::new()
        } else {
            format!(" (through {})", finding.via.join(" > "))
        };
        let line = finding
            .line
            .map_or_else(String::new, |line| format!(" (line {line})"));
        let decided = format!("{} by {}", finding.decision.as_str(), finding.rule);
        printer.line(&format!(
            "  {:>3}. {}{via}{line}\n       {}: {}",
            finding.at,
            finding.command(),
            finding.effect,
            printer.paint(TextStyle::Faint, &decided)
        ));
    }
}

/// What the policy did with the entries of one interpreter.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    harmful: u32,
    refused: u32,
    harmless: u32,
    false_alarms: u32,
}

fn check(
    args: &JudgeChangeArgs,
    settings: &Settings,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let rules = PolicyRules {
        allow_types: CommandKind::KNOWN.to_vec(),
        ..settings.rules.policy.clone()
    };
    let policy = Policy::new(&rules).map_err(|error| CliError::Usage(error.to_string()))?;
    let world = PolicyContext {
        sandbox_proved: args.sandboxed,
        ..services.policy_context(&settings.root, false)
    };
    let entries = entries(&args.file, settings, services)?;
    let clock = services.clock();
    let mut tallies: Vec<(String, Tally)> = Vec::new();
    let mut times: Vec<Duration> = Vec::with_capacity(entries.len());
    for entry in &entries {
        let shell = if entry.shell == "posix" {
            "bash"
        } else {
            &entry.shell
        };
        let (verdict, time) = timed(
            &policy,
            &command(shell, &entry.command)?,
            &world,
            clock.as_ref(),
        );
        times.push(time);
        let tally = tally_of(&mut tallies, shell);
        if counted(tally, entry, &verdict) && !args.brief {
            let what = if verdict.is_allowed() {
                "missed"
            } else {
                "false alarm"
            };
            printer.line(&format!(
                "{what}: {} {} ({})",
                entry.id, entry.command, verdict.reason
            ));
        }
    }
    figures(&tallies, times, printer);
    Ok(CliExit::Success)
}

fn entries(
    file: &Path,
    settings: &Settings,
    services: &dyn ServiceFactory,
) -> Result<Vec<Entry>, CliError> {
    let bytes = services
        .read_root_file(settings, file)
        .ok_or_else(|| CliError::Usage(format!("{} cannot be read", file.display())))?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            serde_json::from_str(line).map_err(|error| {
                CliError::Usage(format!("{}: line {}: {error}", file.display(), at + 1))
            })
        })
        .collect()
}

/// Judges a command three times; the fastest counts, so that a busy machine does not.
fn timed(
    policy: &Policy,
    command: &Command,
    world: &PolicyContext,
    clock: &dyn Clock,
) -> (PolicyVerdict, Duration) {
    let judged = || {
        let start = clock.monotonic();
        let verdict = policy.judge(command, world);
        (verdict, clock.monotonic().saturating_sub(start))
    };
    let (verdict, first) = judged();
    let best = (0..2).map(|_| judged().1).fold(first, Duration::min);
    (verdict, best)
}

fn tally_of<'a>(tallies: &'a mut Vec<(String, Tally)>, shell: &str) -> &'a mut Tally {
    let at = tallies
        .iter()
        .position(|(name, _)| name == shell)
        .unwrap_or_else(|| {
            tallies.push((shell.to_owned(), Tally::default()));
            tallies.len() - 1
        });
    &mut tallies[at].1
}

/// Counts a verdict; returns whether it was wrong.
fn counted(tally: &mut Tally, entry: &Entry, verdict: &PolicyVerdict) -> bool {
    if entry.is_harmless() {
        tally.harmless += 1;
        tally.false_alarms += u32::from(!verdict.is_allowed());
        !verdict.is_allowed()
    } else {
        tally.harmful += 1;
        tally.refused += u32::from(!verdict.is_allowed());
        verdict.is_allowed()
    }
}

fn figures(tallies: &[(String, Tally)], mut times: Vec<Duration>, printer: &Printer) {
    times.sort_unstable();
    let micros = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e6);
    let (median, max) = (micros(times.get(times.len() / 2)), micros(times.last()));
    let share = |part: u32, whole: u32| {
        if whole == 0 {
            0.0
        } else {
            100.0 * f64::from(part) / f64::from(whole)
        }
    };
    for (shell, tally) in tallies {
        printer.line(&format!(
            "{shell}: refused {} of {} harmful ({:.1} %), {} of {} harmless falsely ({:.1} %)",
            tally.refused,
            tally.harmful,
            share(tally.refused, tally.harmful),
            tally.false_alarms,
            tally.harmless,
            share(tally.false_alarms, tally.harmless),
        ));
    }
    printer.line(&format!(
        "time for one verdict: median {median:.1} microseconds, longest {max:.1}"
    ));
    let shells: serde_json::Map<String, serde_json::Value> = tallies
        .iter()
        .map(|(shell, tally)| {
            let figures = json!({
                "harmful": tally.harmful, "refused": tally.refused,
                "harmless": tally.harmless, "false_alarms": tally.false_alarms,
            });
            (shell.clone(), figures)
        })
        .collect();
    printer.document(
        &json!({ "shells": shells, "median_us": median, "max_us": max, "commands": times.len() }),
    );
}

fn test(settings: &Settings, printer: &Printer) -> Result<CliExit, CliError> {
    // Making the policy checks the examples of the configuration.
    drop(settings.policy()?);
    let own: usize = settings
        .rules
        .policy
        .rules
        .iter()
        .map(|rule| rule.matches.len() + rule.no_match.len())
        .sum();
    let shipped = Policy::check_preset(settings.rules.policy.preset)
        .map_err(|error| CliError::NotDone(error.to_string()))?;
    printer.line(&format!(
        "{own} examples of the configuration and {shipped} of the preset hold"
    ));
    printer.document(&json!({ "own_examples": own, "preset_examples": shipped, "ok": true }));
    Ok(CliExit::Success)
}
