//! `tos exec`: one command, judged by the rules of the guard, run behind the wall, ended with everything it started.
//!
//! Exit status: the command's own. As shells have it: 124 it took too long, 125 tos could not run it, 126 it was refused, 127 it
//! does not exist, 128 + N a signal ended it.

use std::{
    cell::RefCell,
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::Args;
use tokio::time::Instant;

use super::{
    exec_report::{Ended, ExecReport},
    shell_words,
};
use crate::{
    config::guard::GuardSettings,
    domain::{
        command::{Command, CommandKind},
        guard::{
            AttendanceMode, GuardOutcome, HookAgent, ToolAction, ToolCall,
            checkpoint::CheckpointCause, log::LogEntry,
        },
        policy::{DataLoss, Decision, GitUse, Policy, PolicyContext},
        process::SpawnError,
        sandbox::HiddenFolder,
        telemetry::{TelemetryRecord, exec_denied, exec_ended},
    },
    interfaces::cli::{
        common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
        guard_services::{ExecServices, GuardedProject},
        services::block_on,
    },
    ports::runner::{
        ByteObserver, CommandRequest, CommandRunner, CommandStreams, OutputStream, StopSignal,
    },
    services::guard::Guard,
};

/// Options of `tos exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// A command for bash, as one word
    #[arg(short = 'c', value_name = "COMMAND", conflicts_with = "words")]
    code: Option<String>,
    /// Take the words behind it as a shell takes its own (`-c COMMAND`, `-lc COMMAND`, a script), so that this can be the SHELL
    /// of an agent; a link to tos of the name `tos-shell`, `tos-bash` or `tos-zsh` does the same
    #[arg(long)]
    as_shell: bool,
    /// End it, and everything it started, after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// End it when it has printed this many megabytes
    #[arg(long, value_name = "MEGABYTES", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    max_output: u64,
    /// First keep everything that no commit holds; `tos guard undo` brings it back
    #[arg(long)]
    checkpoint: bool,
    /// A program and its arguments, behind `--`
    #[arg(last = true, value_name = "WORDS")]
    words: Vec<String>,
}

/// Judges one command and runs it; whatever keeps it from that, `--json` has the same keys.
pub fn main(
    args: &ExecArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    match judge_and_run(args, global, services, printer) {
        Err(error) => not_begun(error, global, services, printer),
        ended => ended,
    }
}

/// Tells what kept a command from being judged at all: under `--json` with the keys of every other end.
pub fn not_begun(
    error: CliError,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    if !global.json {
        return Err(error);
    }
    let (exit, why) = (error.exit(), error.to_string());
    printer.error(&why, &[], None);
    let report = ExecReport {
        outcome: &GuardOutcome::without_remark(),
        micros: services.elapsed_micros(),
        most: 0,
        wall: None,
        notes: RefCell::default(),
        printer,
    };
    let ended = (exit.code(), Some(why.as_str()));
    report.document(Decision::Deny, "not_started", ended, None);
    Ok(exit)
}

fn judge_and_run(
    args: &ExecArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let command = command(args)?;
    let place = services.guard_project(global.root.as_deref());
    needs_project(args, &place)?;
    let most = args.max_output << 20;
    let settings = services
        .guard_settings(&place.root)
        .map_err(CliError::Setup)?;
    let git = Policy::git_use(&command, &services.guard_context(&place, &settings));
    let exec = services
        .exec(global, &place, most, git)
        .map_err(|error| without_wall(error, args.as_shell))?;
    let presence = if services.is_attended() && !global.json {
        AttendanceMode::Person
    } else {
        AttendanceMode::Nobody("nobody can be asked")
    };
    let subject = services.redact(&command.text());
    let outcome = judged(
        args,
        (&command, &subject),
        (&place, &settings),
        presence,
        exec.is_proved,
        services,
    )?;
    let micros = services.elapsed_micros();
    let allowed = match outcome.decision_for(presence) {
        Decision::Allow => true,
        Decision::Deny => false,
        Decision::Ask => {
            printer.alert(&outcome.sentence(presence));
            let answer = services.ask_line("run it? [y/N] ").unwrap_or_default();
            matches!(answer.to_lowercase().as_str(), "y" | "yes")
        }
    };
    log(&subject, &outcome, (allowed, micros), &place, services);
    let report = ExecReport {
        outcome: &outcome,
        micros,
        most,
        wall: Some(exec.wall.as_str()),
        notes: RefCell::default(),
        printer,
    };
    if !allowed {
        measured(exec_denied(), global, services)?;
        let why = outcome.sentence(presence);
        printer.alert(&why);
        report.document(Decision::Deny, "refused", (REFUSED, Some(&why)), None);
        return Ok(CliExit::Child(REFUSED));
    }
    report.told_before(exec.notice.as_deref());
    if args.checkpoint && outcome.checkpoint.is_none() {
        report.noted("tos exec: there is nothing to keep first that no commit holds");
    }
    if let Some(code) = cannot_begin(args, &command, &place, (&exec, git), &report, services) {
        return Ok(code);
    }
    let ended = run(args, command, &place, &exec, &report, global.json, services)?;
    if let Ok(result) = &ended.result {
        measured(exec_ended(result), global, services)?;
    }
    after_git(&exec, &subject, &ended, &report);
    Ok(report.told(&ended))
}

/// Sends a measure, where somebody asked for that.
fn measured(
    record: TelemetryRecord,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
) -> Result<(), CliError> {
    if let Some(telemetry) = services.telemetry(global)? {
        telemetry.export("exec", vec![record]);
    }
    Ok(())
}

/// Refuses to keep the files of a project where there is none.
fn needs_project(args: &ExecArgs, place: &GuardedProject) -> Result<(), CliError> {
    if !args.checkpoint || !place.is_no_project() {
        return Ok(());
    }
    Err(CliError::Setup(format!(
        "`--checkpoint` keeps the files of a project, and `{}` is none; go to the folder of a project, or leave it out",
        place.folder.display()
    )))
}

/// Says that the file a command begins with may not be started.
fn not_executable(
    command: &Command,
    place: &GuardedProject,
    report: &ExecReport<'_>,
    services: &dyn ServiceFactory,
) -> Option<CliExit> {
    let name = command.argv.first()?;
    if services.can_execute(name, &place.folder) {
        return None;
    }
    let why = format!("`{name}` is not executable; `chmod +x` it, or name its interpreter");
    report.printer.progress(&format!("tos exec: {why}"));
    let decision = report.outcome.decision;
    report.document(decision, "not_started", (REFUSED, Some(&why)), None);
    Some(CliExit::Child(REFUSED))
}

/// Says what keeps a command that is allowed from running here, or only from what it may expect; returns the status in the first case.
fn cannot_begin(
    args: &ExecArgs,
    command: &Command,
    place: &GuardedProject,
    (exec, git): (&ExecServices, GitUse),
    report: &ExecReport<'_>,
    services: &dyn ServiceFactory,
) -> Option<CliExit> {
    let told = hidden(exec, place, args.as_shell, report).or_else(|| closed(exec, git, report));
    if told.is_some() {
        return told;
    }
    if let Some(why) = missing(command, place, services) {
        let ended = Ended {
            result: Err(SpawnError { message: why }),
            has_printed_too_much: false,
        };
        return Some(report.told(&ended));
    }
    not_executable(command, place, report, services)
}

/// Says that the wall hides the folder a command starts in; one that could not even start there is not begun.
fn hidden(
    exec: &ExecServices,
    place: &GuardedProject,
    as_shell: bool,
    report: &ExecReport<'_>,
) -> Option<CliExit> {
    let hidden = exec.hidden.as_ref()?;
    let (why, is_begun) = hidden_told(hidden, &place.folder, as_shell);
    report.noted(&format!("tos exec: {why}"));
    if is_begun {
        return None;
    }
    let decision = report.outcome.decision;
    report.document(decision, "not_started", (NOT_RUN, Some(&why)), None);
    Some(CliExit::Child(NOT_RUN))
}

fn hidden_told(hidden: &HiddenFolder, folder: &Path, as_shell: bool) -> (String, bool) {
    let (cover, folder) = (hidden.cover.display(), folder.display());
    let why = if hidden.can_start {
        format!("the sandbox hides `{cover}`, so the command sees none of the files in `{folder}`")
    } else {
        format!("the sandbox hides `{cover}`, so the command cannot start in `{folder}`")
    };
    let remedy = off(as_shell);
    let why = format!("{why}. Go to the folder of a project, or run it {remedy}");
    (why, hidden.can_start)
}

/// Says how a command is run without a wall.
const fn off(as_shell: bool) -> &'static str {
    if as_shell {
        "without a wall: set TOS_SANDBOX__LEVEL=off in the environment of what calls this shell"
    } else {
        "without a wall: `tos exec --set sandbox.level=off`"
    }
}

/// Says where git is going to find the repository closed; what it would do by half is not begun and has a status here.
fn closed(exec: &ExecServices, git: GitUse, report: &ExecReport<'_>) -> Option<CliExit> {
    let why = exec.closed.as_ref()?;
    if git == GitUse::Settings {
        let why = format!("git would do it by half or not at all: {why}. {WITHOUT_WALL}");
        report.printer.alert(&format!("tos exec: {why}"));
        let decision = report.outcome.decision;
        report.document(decision, "not_started", (NOT_RUN, Some(&why)), None);
        return Some(CliExit::Child(NOT_RUN));
    }
    report.noted(&format!(
        "tos exec: git writes to `.git`, which is read-only behind the wall: {why}. {WITHOUT_WALL}"
    ));
    None
}

/// Says what had to be taken away when a command has ended, and what it met that was closed to it.
fn after_git(exec: &ExecServices, subject: &str, ended: &Ended, report: &ExecReport<'_>) {
    for path in (exec.take_back)() {
        report.noted(&format!(
            "tos exec: the command made `{}`, through which git is led to other settings; it was removed",
            path.display()
        ));
    }
    if exec.closed.is_none() && meets_closed_parts(subject, ended) {
        report.noted(&format!(
            "tos exec: behind the wall `.git` is read-only to all but git's own writes, and to those its settings, hooks, \
             submodules and other work trees; `.tos` and the configuration are read-only, too. {WITHOUT_WALL}"
        ));
    }
}

/// What to do where a wall is in the way of git.
const WITHOUT_WALL: &str = "`tos exec --set sandbox.level=off` runs it without a wall";

/// Says whether git met something that was closed to it, also one that a script called; it goes on without some of it and
/// ends well.
fn meets_closed_parts(subject: &str, ended: &Ended) -> bool {
    let Ok(result) = &ended.result else {
        return false;
    };
    let signs = ["Read-only file system", "Device or resource busy"];
    let names_git = subject.contains("git");
    let tells = |line: &str| {
        let is_git = names_git || line.contains(".git") || line.contains("fatal: ");
        is_git && signs.iter().any(|sign| line.contains(sign))
    };
    let streams = [&result.stderr, &result.stdout];
    streams
        .iter()
        .any(|stream| stream.text().lines().any(tells))
}

/// What `timeout` and the like return when they could not run anything.
const NOT_RUN: u8 = 125;
/// What shells return for a command that may not be run.
const REFUSED: u8 = 126;

/// Says what to do about settings that keep everything from running, in the words of this command.
fn without_wall(error: CliError, as_shell: bool) -> CliError {
    let CliError::Setup(why) = error else {
        return error;
    };
    CliError::Setup(format!("{why}. To run it here {}", off(as_shell)))
}

/// Says that the program a command begins with is not there, and what else can be done.
fn missing(
    command: &Command,
    place: &GuardedProject,
    services: &dyn ServiceFactory,
) -> Option<String> {
    let (name, remedy) = match (&command.kind, command.argv.first()) {
        (CommandKind::Exec, Some(name)) if name != "bash" => (
            name.as_str(),
            "install it or correct the name; words of a shell are run by `tos exec -c 'COMMAND'`",
        ),
        _ => (
            "bash",
            "install bash; a program needs none: `tos exec -- PROGRAM ARGUMENTS`",
        ),
    };
    let is_there = services.finds_program(name, &place.folder);
    (!is_there).then(|| format!("`{name}` is not found on PATH; {remedy}"))
}

fn command(args: &ExecArgs) -> Result<Command, CliError> {
    let exec = |argv: Vec<String>| Command::exec(argv);
    if args.as_shell {
        return shell_words::parse_bash_args(&args.words).map_err(|why| CliError::usage(&why));
    }
    match &args.code {
        Some(code) => Ok(shell_words::bash_command(code)),
        None if args.words.is_empty() => Err(CliError::usage(
            "nothing to run; `tos exec -- PROGRAM ARGUMENTS` or `tos exec -c 'COMMAND'`",
        )),
        None => Ok(exec(args.words.clone())),
    }
}

fn judged(
    args: &ExecArgs,
    (command, subject): (&Command, &str),
    (place, settings): (&GuardedProject, &GuardSettings),
    presence: AttendanceMode,
    is_proved: bool,
    services: &dyn ServiceFactory,
) -> Result<GuardOutcome, CliError> {
    let policy = settings.policy().map_err(CliError::Setup)?;
    let checkpoints = services.guard_checkpoints();
    let project = services.project_view(place);
    let guard = Guard {
        project: Some(project.as_ref()),
        policy: &policy,
        world: PolicyContext {
            sandbox_proved: is_proved,
            ..services.guard_context(place, settings)
        },
        checkpoints: Some(checkpoints.as_ref()),
        kept_anyway: if args.checkpoint {
            vec![
                DataLoss::Uncommitted,
                DataLoss::Untracked { ignored: false },
            ]
        } else {
            Vec::new()
        },
        most_files: settings.max_files,
        most_bytes: settings.max_megabytes << 20,
        observe: false,
        own_folders: Vec::new(),
    };
    let cause = CheckpointCause {
        time: services.time_stamp(),
        agent: "exec".to_owned(),
        session: String::new(),
        command: subject.to_owned(),
    };
    let call = ToolCall {
        agent: HookAgent::Claude,
        event: String::new(),
        tool: "exec".to_owned(),
        action: ToolAction::Command(command.clone()),
        folder: None,
        session: String::new(),
        presence,
    };
    Ok(guard.judge(&call, &cause))
}

fn log(
    subject: &str,
    outcome: &GuardOutcome,
    (allowed, micros): (bool, u64),
    place: &GuardedProject,
    services: &dyn ServiceFactory,
) {
    drop(services.guard_log().append(&LogEntry {
        time: services.time_stamp(),
        kind: "judged".to_owned(),
        agent: "exec".to_owned(),
        root: place.root.display().to_string(),
        tool: "exec".to_owned(),
        subject: subject.to_owned(),
        decision: outcome.decision.as_str().to_owned(),
        answer: if allowed { "allow" } else { "deny" }.to_owned(),
        reason: if outcome.decision == Decision::Allow {
            String::new()
        } else {
            services.redact(&outcome.reason)
        },
        rule: outcome.rule.clone(),
        checkpoint: outcome.checkpoint.as_ref().map(|(number, _)| *number),
        micros,
        ..LogEntry::default()
    }));
}

/// Prints what a command prints, byte for byte, and ends it when that is too much.
struct Copier {
    most: u64,
    is_silent: bool,
    printed: AtomicU64,
    is_full: AtomicBool,
    runner: Arc<dyn CommandRunner>,
}

impl ByteObserver for Copier {
    fn bytes(&self, stream: OutputStream, bytes: &[u8]) {
        let length = bytes.len() as u64;
        let before = self.printed.fetch_add(length, Ordering::Relaxed);
        if before + length > self.most && !self.is_full.swap(true, Ordering::Relaxed) {
            self.runner.interrupt(StopSignal::Kill);
        }
        let left = usize::try_from(self.most.saturating_sub(before)).unwrap_or(usize::MAX);
        let shown = bytes.get(..left).unwrap_or(bytes);
        if self.is_silent || shown.is_empty() {
            return;
        }
        // Nobody is left to tell when the other end of the pipe is gone; the command goes on.
        drop(match stream {
            OutputStream::Stdout => {
                let mut out = std::io::stdout().lock();
                out.write_all(shown).and_then(|()| out.flush())
            }
            OutputStream::Stderr => std::io::stderr().lock().write_all(shown),
        });
    }
}

/// How long somebody who stopped a command waits before being told why it is still there.
const UNTIL_TOLD: Duration = Duration::from_secs(1);
const NEVER: Duration = Duration::from_secs(365 * 86_400);
const STILL_ENDING: &str = "tos exec: the command was asked to end and has not yet; it gets 10 seconds, another Ctrl-C ends it at once";

fn run(
    args: &ExecArgs,
    command: Command,
    place: &GuardedProject,
    exec: &ExecServices,
    report: &ExecReport<'_>,
    is_silent: bool,
    services: &dyn ServiceFactory,
) -> Result<Ended, CliError> {
    let copier = Arc::new(Copier {
        most: report.most,
        is_silent,
        printed: AtomicU64::new(0),
        is_full: AtomicBool::new(false),
        runner: Arc::clone(&exec.runner),
    });
    let byte_reader: Arc<dyn ByteObserver> = copier.clone();
    let input_pipe = services.standard_input()?;
    let request = CommandRequest {
        command,
        directory: place.folder.clone(),
        deadline: Duration::from_secs(args.timeout),
        idle_deadline: None,
        grace: None,
        environment: Vec::new(),
        output_directory: exec.output.as_ref().as_ref().to_owned(),
        index: 1,
        token: format!("exec/{}", std::process::id()),
        streams: CommandStreams {
            input_pipe,
            byte_reader: Some(byte_reader),
            ..CommandStreams::default()
        },
    };
    let runner = Arc::clone(&exec.runner);
    let printer = report.printer;
    let result = block_on(services, move |mut stop| {
        Box::pin(async move {
            let work = runner.run(&request);
            let waiting = tokio::time::sleep(NEVER);
            tokio::pin!(work, waiting);
            loop {
                tokio::select! {
                    result = &mut work => return result,
                    () = &mut waiting => {
                        printer.progress(STILL_ENDING);
                        waiting.as_mut().reset(Instant::now() + NEVER);
                    }
                    changed = stop.changed() => {
                        let how = if *stop.borrow() > 1 { StopSignal::Kill } else { StopSignal::Terminate };
                        if changed.is_err() {
                            return work.await;
                        }
                        runner.interrupt(how);
                        waiting.as_mut().reset(Instant::now() + UNTIL_TOLD);
                    }
                }
            }
        })
    })?;
    Ok(Ended {
        result,
        has_printed_too_much: copier.is_full.load(Ordering::Relaxed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_folder_is_said_with_what_to_do_here() {
        let hidden = |can_start| HiddenFolder {
            cover: "/home/ann".into(),
            can_start,
        };
        let folder = Path::new("/home/ann/x");
        let (told, is_begun) = hidden_told(&hidden(true), folder, false);
        assert!(is_begun && told.contains("sees none of the files in `/home/ann/x`"));
        assert!(told.contains("--set sandbox.level=off"), "{told}");
        let (told, is_begun) = hidden_told(&hidden(false), folder, true);
        assert!(!is_begun && told.contains("cannot start in `/home/ann/x`"));
        assert!(told.contains("TOS_SANDBOX__LEVEL=off"), "{told}");
    }

    #[test]
    fn a_wall_that_cannot_be_had_is_said_with_what_to_do_here() {
        let refused = || CliError::Setup("no wall is proved".to_owned());
        let told = without_wall(refused(), false).to_string();
        assert!(
            told.contains("`tos exec --set sandbox.level=off`"),
            "{told}"
        );
        // Who calls a shell gives it no options.
        let told = without_wall(refused(), true).to_string();
        assert!(told.contains("TOS_SANDBOX__LEVEL=off"), "{told}");
        assert!(!told.contains("--set"), "{told}");
    }
}
