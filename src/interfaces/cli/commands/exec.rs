//! `tos exec`: one command, judged by the rules of the guard, run behind the wall, ended with everything it started.
//!
//! Exit status: the command's own. As shells have it: 124 it took too long, 125 tos could not run it, 126 it was refused, 127 it
//! does not exist, 128 + N a signal ended it.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::Args;
use serde_json::{Value, json};

use crate::{
    domain::{
        command::{Command, CommandKind},
        guard::{
            GuardOutcome, HookAgent, Presence, ToolAction, ToolCall,
            checkpoint::{CheckpointCause, CheckpointOrder},
            log::LogEntry,
        },
        policy::{Decision, PolicyContext, PolicyLoss},
        process::{CommandResult, ExitStatus, SpawnError},
    },
    interfaces::{
        cli::{
            args::GlobalArgs,
            exit::{CliError, CliExit},
            guard_services::{ExecServices, GuardPlace},
            services::{ServiceFactory, block_on},
        },
        report::Printer,
    },
    ports::runner::{
        CommandRequest, CommandRunner, CommandStreams, LineReader, OutputStream, StopSignal,
    },
    services::guard::Guard,
};

/// Options of `tos exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// A command for bash, as one word
    #[arg(short = 'c', value_name = "COMMAND", conflicts_with = "words")]
    code: Option<String>,
    /// Take the words as a shell takes its own (`-c COMMAND`, `-lc COMMAND`, a script), so that this can be the SHELL of an
    /// agent; a link of the name `tos-shell` to tos does the same
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

/// How a command ended.
struct Ended {
    result: Result<CommandResult, SpawnError>,
    has_printed_too_much: bool,
}

/// Judges one command and runs it.
pub fn main(
    args: &ExecArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let command = command(args)?;
    let place = services.guard_place(global.root.as_deref());
    let most = args.max_output << 20;
    let exec = services.exec(global, &place, most)?;
    let presence = if services.is_attended() && !global.json {
        Presence::Person
    } else {
        Presence::Nobody("nobody can be asked")
    };
    let outcome = judged(args, &command, &place, presence, exec.is_proved, services)?;
    let allowed = match outcome.decision_for(presence) {
        Decision::Allow => true,
        Decision::Deny => false,
        Decision::Ask => {
            printer.alert(&outcome.sentence(presence));
            let answer = services.ask_line("run it? [y/N] ").unwrap_or_default();
            matches!(answer.to_lowercase().as_str(), "y" | "yes")
        }
    };
    log(&command, &outcome, allowed, &place, services);
    if !allowed {
        printer.alert(&outcome.sentence(presence));
        printer.document(&json!({
            "decision": "deny", "reason": outcome.sentence(presence), "rule": outcome.rule, "code": REFUSED,
        }));
        return Ok(CliExit::Child(REFUSED));
    }
    if let Some(note) = outcome.note() {
        printer.progress(&note);
    }
    if let Some(notice) = &exec.notice {
        printer.progress(notice);
    }
    let ended = run(args, command, &place, &exec, most, global.json, services)?;
    Ok(told(&ended, &outcome, most, printer))
}

/// What shells return for a command that may not be run.
const REFUSED: u8 = 126;
/// What shells return for one that does not exist.
const NOT_FOUND: u8 = 127;
/// What `timeout` returns.
const LATE: u8 = 124;

fn command(args: &ExecArgs) -> Result<Command, CliError> {
    let exec = |argv: Vec<String>| Command {
        kind: CommandKind::Exec,
        code: String::new(),
        argv,
    };
    if args.as_shell {
        return shell_command(&args.words);
    }
    match &args.code {
        Some(code) => Ok(bash(code)),
        None if args.words.is_empty() => Err(CliError::usage(
            "nothing to run; `tos exec -- PROGRAM ARGUMENTS` or `tos exec -c 'COMMAND'`",
        )),
        None => Ok(exec(args.words.clone())),
    }
}

fn bash(code: &str) -> Command {
    Command {
        kind: CommandKind::Bash,
        code: code.to_owned(),
        argv: Vec::new(),
    }
}

/// Reads words as bash reads its own.
fn shell_command(words: &[String]) -> Result<Command, CliError> {
    let mut rest = words.iter();
    let mut reads_code = false;
    while let Some(word) = rest.clone().next() {
        if word == "--" || word == "-" {
            rest.next();
            break;
        }
        if !word.starts_with(['-', '+']) {
            break;
        }
        rest.next();
        let is_short = !word.starts_with("--");
        reads_code |= is_short && word.starts_with('-') && word.contains('c');
        // `-o`, `-O`, `--rcfile` and `--init-file` take the next word.
        if is_short && word.contains(['o', 'O'])
            || ["--rcfile", "--init-file"].contains(&word.as_str())
        {
            rest.next();
        }
    }
    let rest: Vec<String> = rest.cloned().collect();
    match (reads_code, rest.split_first()) {
        (true, Some((code, []))) => Ok(bash(code)),
        (false, None) => Err(CliError::usage(
            "`--as-shell` runs `-c COMMAND` or a script; what is typed or piped into a shell cannot be judged before it runs",
        )),
        (true, None) => Err(CliError::usage("`-c` needs a command")),
        (true, Some(_)) => Ok(shell_exec(["bash", "-c"], rest)),
        (false, Some(_)) => Ok(shell_exec(["bash", "--"], rest)),
    }
}

fn shell_exec(front: [&str; 2], rest: Vec<String>) -> Command {
    Command {
        kind: CommandKind::Exec,
        code: String::new(),
        argv: front.map(str::to_owned).into_iter().chain(rest).collect(),
    }
}

fn judged(
    args: &ExecArgs,
    command: &Command,
    place: &GuardPlace,
    presence: Presence,
    is_proved: bool,
    services: &dyn ServiceFactory,
) -> Result<GuardOutcome, CliError> {
    let settings = services
        .guard_settings(&place.root)
        .map_err(CliError::Setup)?;
    let policy = settings.policy().map_err(CliError::Setup)?;
    let checkpoints = services.guard_checkpoints();
    let guard = Guard {
        policy: &policy,
        world: PolicyContext {
            sandbox_proved: is_proved,
            ..services.guard_world(place, &settings)
        },
        checkpoints: Some(checkpoints.as_ref()),
        most_files: settings.max_files,
        most_bytes: settings.max_megabytes << 20,
        observe: false,
        own_folders: Vec::new(),
    };
    let cause = CheckpointCause {
        time: services.time_stamp(),
        agent: "exec".to_owned(),
        session: String::new(),
        command: services.without_secrets(&command.text()),
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
    let outcome = guard.judge(&call, &cause);
    if !args.checkpoint || outcome.decision_for(presence) == Decision::Deny {
        return Ok(outcome);
    }
    let order = CheckpointOrder {
        root: place.root.clone(),
        losses: vec![
            PolicyLoss::Uncommitted,
            PolicyLoss::Untracked { ignored: false },
        ],
        cause,
        most_files: guard.most_files,
        most_bytes: guard.most_bytes,
    };
    let made = checkpoints.save(&order)?;
    Ok(GuardOutcome {
        checkpoint: made
            .map(|made| (made.number, made.what()))
            .or(outcome.checkpoint.clone()),
        ..outcome
    })
}

fn log(
    command: &Command,
    outcome: &GuardOutcome,
    allowed: bool,
    place: &GuardPlace,
    services: &dyn ServiceFactory,
) {
    drop(services.guard_log().append(&LogEntry {
        time: services.time_stamp(),
        kind: "judged".to_owned(),
        agent: "exec".to_owned(),
        root: place.root.display().to_string(),
        tool: "exec".to_owned(),
        subject: services.without_secrets(&command.text()),
        decision: outcome.decision.as_str().to_owned(),
        answer: if allowed { "allow" } else { "deny" }.to_owned(),
        reason: if outcome.decision == Decision::Allow {
            String::new()
        } else {
            services.without_secrets(&outcome.reason)
        },
        rule: outcome.rule.clone(),
        checkpoint: outcome.checkpoint.as_ref().map(|(number, _)| *number),
        ..LogEntry::default()
    }));
}

/// Prints what a command prints, and ends it when that is too much.
struct Copier {
    most: u64,
    is_silent: bool,
    printed: AtomicU64,
    is_full: AtomicBool,
    runner: Arc<dyn CommandRunner>,
}

impl LineReader for Copier {
    fn line(&self, stream: OutputStream, line: &str) {
        let bytes = line.len() as u64 + 1;
        let before = self.printed.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.most {
            if !self.is_full.swap(true, Ordering::Relaxed) {
                self.runner.interrupt(StopSignal::Kill);
            }
            return;
        }
        if self.is_silent {
            return;
        }
        // Nobody is left to tell when the other end of the pipe is gone; the command goes on.
        drop(match stream {
            OutputStream::Stdout => {
                let mut out = std::io::stdout().lock();
                writeln!(out, "{line}").and_then(|()| out.flush())
            }
            OutputStream::Stderr => writeln!(std::io::stderr().lock(), "{line}"),
        });
    }
}

fn run(
    args: &ExecArgs,
    command: Command,
    place: &GuardPlace,
    exec: &ExecServices,
    most: u64,
    is_silent: bool,
    services: &dyn ServiceFactory,
) -> Result<Ended, CliError> {
    let copier = Arc::new(Copier {
        most,
        is_silent,
        printed: AtomicU64::new(0),
        is_full: AtomicBool::new(false),
        runner: Arc::clone(&exec.runner),
    });
    let reader: Arc<dyn LineReader> = copier.clone();
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
            input_file: None,
            input: None,
            reader: Some(reader),
        },
    };
    let runner = Arc::clone(&exec.runner);
    let result = block_on(services, move |mut stop| {
        Box::pin(async move {
            let work = runner.run(&request);
            tokio::pin!(work);
            loop {
                tokio::select! {
                    result = &mut work => return result,
                    changed = stop.changed() => {
                        let how = if *stop.borrow() > 1 { StopSignal::Kill } else { StopSignal::Terminate };
                        if changed.is_err() {
                            return work.await;
                        }
                        runner.interrupt(how);
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

fn told(ended: &Ended, outcome: &GuardOutcome, most: u64, printer: &Printer) -> CliExit {
    let (code, why) = match &ended.result {
        _ if ended.has_printed_too_much => {
            let why = format!(
                "it printed more than {} MiB and was ended (`--max-output`)",
                most >> 20
            );
            (LATE, Some(why))
        }
        Err(error) => (NOT_FOUND, Some(error.to_string())),
        Ok(result) => status(&result.exit),
    };
    if let Some(why) = &why {
        printer.progress(&format!("tos exec: {why}"));
    }
    let (stdout, stderr, elapsed): (Value, Value, Value) = match &ended.result {
        Ok(result) => (
            json!(result.stdout.text()),
            json!(result.stderr.text()),
            json!(result.elapsed_ms),
        ),
        Err(_) => (Value::Null, Value::Null, Value::Null),
    };
    printer.document(&json!({
        "decision": outcome.decision.as_str(), "code": code, "why": why,
        "stdout": stdout, "stderr": stderr, "elapsed_ms": elapsed,
        "checkpoint": outcome.checkpoint.as_ref().map(|(number, _)| number),
    }));
    if code == 0 {
        CliExit::Success
    } else {
        CliExit::Child(code)
    }
}

fn status(exit: &ExitStatus) -> (u8, Option<String>) {
    let byte = |number: i32| u8::try_from(number & 0xff).unwrap_or(1);
    match exit {
        ExitStatus::Code { code } => (byte(*code), None),
        ExitStatus::Signal { signal } => (byte(128 + signal), None),
        ExitStatus::TimedOut { after_ms } => {
            let seconds = after_ms / 1000;
            (
                LATE,
                Some(format!(
                    "it took longer than {seconds} s and was ended (`--timeout`)"
                )),
            )
        }
        ExitStatus::Idle { .. } => (LATE, Some("it hung and was ended".to_owned())),
        ExitStatus::DiskTaken { .. } => (LATE, Some("it filled the disk and was ended".to_owned())),
        ExitStatus::Cancelled => (130, Some("cancelled".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(words: &[&str]) -> Result<Command, CliError> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        shell_command(&words)
    }

    #[test]
    fn words_of_a_shell_are_read_as_bash_reads_them() {
        for words in [
            &["-c", "ls"][..],
            &["-lc", "ls"],
            &["-l", "-i", "-c", "ls"],
            &["-o", "pipefail", "-c", "ls"],
            &["--login", "-c", "--", "ls"],
        ] {
            assert_eq!(shell(words).unwrap(), bash("ls"), "{words:?}");
        }
        let with_name = shell(&["-c", "echo $1", "sh", "x"]).unwrap();
        assert_eq!(with_name.argv, ["bash", "-c", "echo $1", "sh", "x"]);
        assert_eq!(
            shell(&["run.sh", "-c"]).unwrap().argv,
            ["bash", "--", "run.sh", "-c"]
        );
        for words in [&[][..], &["-i"], &["-c"]] {
            assert!(shell(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn an_end_is_told_as_shells_tell_it() {
        assert_eq!(status(&ExitStatus::Code { code: 3 }).0, 3);
        assert_eq!(status(&ExitStatus::Signal { signal: 9 }).0, 137);
        assert_eq!(status(&ExitStatus::TimedOut { after_ms: 1000 }).0, 124);
    }
}
