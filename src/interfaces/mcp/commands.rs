//! Commands of a client: judged, run behind the wall, told in a text of bounded length.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore};

use super::{progress::CallProgress, question::Questioner, tools::RunCommand};
use crate::{
    config::Settings,
    domain::{
        command::{Command, CommandKind},
        mcp,
        policy::{Decision, Policy, PolicyContext, PolicyVerdict},
        process::{CommandResult, ExitStatus},
    },
    interfaces::{
        cli::{command_services::CommandServices, exit::CliError},
        report::plan::push_fmt,
    },
    ports::runner::{CommandRequest, CommandStreams},
};

/// How many commands of one client run at the same time.
const AT_ONCE: usize = 4;

/// What all connections of a server work with.
#[derive(Debug)]
pub struct McpState {
    pub(super) settings: Settings,
    pub(super) policy: Policy,
    /// What `tos guard` judges by, and its circumstances: a client is an agent beside a person, too.
    guard: (Policy, PolicyContext),
    pub(super) services: CommandServices,
    /// The options with which every child of this program is started: those of the person who started the server.
    pub(super) global: Vec<String>,
    /// Whether `tos answer` is waited for.
    waits: bool,
    /// The kind of agent that added tasks are for.
    pub(super) agent: String,
    pub(super) task_file: Mutex<()>,
    slots: Semaphore,
    count: AtomicU32,
}

/// What became of a call: a text, and whether it is a failure.
pub(super) type ToolOutcome = Result<String, String>;

impl McpState {
    /// Makes it ready; a policy that cannot be read is an error now.
    pub fn new(
        settings: Settings,
        guard: (Policy, PolicyContext),
        services: CommandServices,
        waits: bool,
        (global, agent): (Vec<String>, String),
    ) -> Result<Self, CliError> {
        Ok(Self {
            guard,
            policy: settings.policy()?,
            settings,
            services,
            waits,
            global,
            agent,
            task_file: Mutex::default(),
            slots: Semaphore::new(AT_ONCE),
            count: AtomicU32::new(0),
        })
    }

    /// Returns a path of the root as a client wrote it, links followed.
    pub(super) fn resolve_path(&self, wanted: &str) -> Result<PathBuf, String> {
        let view = self.services.world.eyes.as_ref();
        mcp::resolve_path(&self.settings.root, wanted, |path| {
            view.and_then(|view| view.real_path(path))
        })
    }

    /// Judges a command by the rules of jobs and by those of the guard; the stricter answer counts.
    pub(super) fn judge(&self, command: &Command, world: &PolicyContext) -> PolicyVerdict {
        let verdict = self.policy.judge(command, world);
        let (guard, around) = &self.guard;
        let around = PolicyContext {
            sandbox_proved: world.sandbox_proved,
            ..around.clone()
        };
        let asked = guard.judge(command, &around);
        if asked.decision > verdict.decision {
            asked
        } else {
            verdict
        }
    }

    /// Judges a command of a shell.
    pub(super) fn explain(&self, text: &str, kind: Option<&str>) -> ToolOutcome {
        let verdict = self.judge(&command(text, kind)?, &self.services.world);
        Ok(format!("{:#}", json!(verdict)))
    }

    /// Judges a command and runs it; the error is what the client is told instead.
    pub(super) async fn run(
        &self,
        call: RunCommand,
        client: &Questioner,
        progress: &Arc<CallProgress>,
    ) -> ToolOutcome {
        let command = command(&call.command, call.kind.as_deref())?;
        let directory = self.resolve_path(call.directory.as_deref().unwrap_or("."))?;
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let world = PolicyContext {
            root: self.settings.root.clone(),
            ..self.services.world.clone()
        };
        // Relative paths of a command start where it runs, so a folder below is part of what is judged.
        let judged = self.judge(&below(&command, &self.settings, &directory), &world);
        self.permit(&judged, &command, client, number).await?;
        let mut order = self.order(command, directory, number, call.timeout_seconds);
        order.streams.reader = Some(Arc::<CallProgress>::clone(progress));
        let slot = self.slots.acquire().await;
        let ended = self.services.runner.run(&order).await;
        drop(slot);
        let ended = ended.map_err(|error| format!("it could not be started: {error}"))?;
        let text = told(&ended);
        if ended.exit == (ExitStatus::Code { code: 0 }) {
            Ok(text)
        } else {
            Err(text)
        }
    }

    async fn permit(
        &self,
        verdict: &PolicyVerdict,
        command: &Command,
        client: &Questioner,
        number: u32,
    ) -> Result<(), String> {
        match verdict.decision {
            Decision::Allow => Ok(()),
            Decision::Deny => Err(format!(
                "refused by the policy: {}; nothing ran",
                verdict.reason
            )),
            Decision::Ask if client.can_ask() && !self.waits => {
                let asked = client.ask(&command.text(), &verdict.reason).await;
                asked.map_err(|why| format!("refused: {} ({why}); nothing ran", verdict.reason))
            }
            Decision::Ask => {
                let id = format!("mcp-{}-{number}", self.services.run);
                let answer = self.services.approvals.ask(&id, command, &verdict.reason);
                let answer = answer.await;
                if answer.yes {
                    return Ok(());
                }
                let remedy = if self.waits {
                    ""
                } else {
                    "; a person can run it by hand, allow it with a rule in ~/.config/tos/guard.toml, or start the server with \
                     `--approvals wait` and answer with `tos answer`"
                };
                Err(format!(
                    "refused: {} ({}); nothing ran{remedy}",
                    verdict.reason, answer.by
                ))
            }
        }
    }

    fn order(
        &self,
        command: Command,
        directory: PathBuf,
        number: u32,
        seconds: Option<u64>,
    ) -> CommandRequest {
        let most = self.settings.rules.command_timeout;
        CommandRequest {
            command,
            directory,
            deadline: seconds.map_or(most, |seconds| {
                most.min(Duration::from_secs(seconds.max(1)))
            }),
            idle_deadline: self.settings.rules.idle_timeout,
            grace: None,
            environment: Vec::new(),
            output_directory: self.services.outputs.clone(),
            index: number,
            token: format!("{}/0/{number}", self.services.run),
            streams: CommandStreams::default(),
        }
    }

    /// Runs this program as a child and returns its document; what it says about trouble is the error.
    pub(super) async fn run_child(&self, words: Vec<String>) -> Result<String, String> {
        let tos = Arc::clone(&self.services.tos);
        let words: Vec<String> = self
            .global
            .iter()
            .cloned()
            .chain(["--json".to_owned()])
            .chain(words)
            .collect();
        let ended = tokio::task::spawn_blocking(move || tos.run(&words)).await;
        let (code, text) = ended.map_err(|error| error.to_string())??;
        if code == 0 {
            return Ok(text);
        }
        let document: Value = serde_json::from_str(&text).unwrap_or_default();
        Err(match document["error"].as_str() {
            Some(error) => error.to_owned(),
            None if text.trim().is_empty() => format!("tos ended with {code}"),
            None => text,
        })
    }
}

/// Returns the command as it reads when everything starts in the root.
fn below(command: &Command, settings: &Settings, directory: &std::path::Path) -> Command {
    if directory == settings.root {
        return command.clone();
    }
    let quoted = directory.to_string_lossy().replace('\'', r"'\''");
    Command {
        code: format!("cd '{quoted}' && {{ {}\n}}", command.code),
        ..command.clone()
    }
}

fn command(text: &str, kind: Option<&str>) -> Result<Command, String> {
    let kind = match kind {
        None | Some("bash") => CommandKind::Bash,
        Some("sh") => CommandKind::Sh,
        Some(other) => return Err(format!("`type` is `{other}`; there are bash and sh")),
    };
    if text.trim().is_empty() {
        return Err("`command` is empty".to_owned());
    }
    Ok(Command::with_code(kind, text.to_owned()))
}

/// Returns what a command did, as a text for a model.
fn told(ended: &CommandResult) -> String {
    let how = match &ended.exit {
        ExitStatus::Code { code } => format!("exit code {code}"),
        ExitStatus::Signal { signal } => format!("ended by signal {signal}"),
        ExitStatus::TimedOut { after_ms } => {
            format!("took longer than {} s and was ended", after_ms / 1000)
        }
        ExitStatus::Idle { after_ms } => {
            format!("did nothing for {} s and was ended", after_ms / 1000)
        }
        ExitStatus::DiskTaken { taken_bytes } => {
            format!("took {} MB of the disk and was ended", taken_bytes >> 20)
        }
        ExitStatus::Cancelled => "cancelled".to_owned(),
    };
    let mut text = format!("{how} ({} ms)", ended.elapsed_ms);
    if ended.leftovers > 0 {
        push_fmt(
            &mut text,
            format_args!("; {} processes it left were ended", ended.leftovers),
        );
    }
    text.push('\n');
    for (name, stream) in [("stdout", &ended.stdout), ("stderr", &ended.stderr)] {
        let shown = stream.text();
        if !shown.is_empty() {
            let shown = shown.trim_end_matches('\n');
            push_fmt(&mut text, format_args!("--- {name}\n{shown}\n"));
        }
        if let Some(file) = stream.file.as_ref().filter(|_| stream.omitted > 0) {
            push_fmt(&mut text, format_args!("(all of it: {file})\n"));
        }
    }
    text
}
