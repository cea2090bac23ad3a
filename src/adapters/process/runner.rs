//! The runner: one order in, one end out.

use std::{
    ffi::OsString,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::io::FdFlags;
use tokio::sync::watch;

use super::{
    capture::{CaptureLimits, OutputSink},
    disk_allowance::CommandDiskLimit,
    environment,
    live_input::LiveInput,
    process_tree,
    process_tree::ProcessTree,
    running::{RunningCommand, millis},
    session, spawn,
};
use crate::{
    domain::{
        process::{CommandResult, SpawnError},
        redaction::Redactor,
    },
    ports::{
        BoxFuture,
        runner::{CommandRequest, CommandRunner, OutputStream, StopSignal},
        sandbox::{ProcessSpec, Sandbox},
    },
};

/// What the runner needs to know once.
#[derive(Debug, Clone)]
pub struct CommandRunnerOptions {
    /// The workspace root; stored paths are told relative to it.
    pub root: PathBuf,
    /// The environment of tos, from which commands get a harmless part.
    pub base_environment: Vec<(OsString, OsString)>,
    /// Names passed on in addition to the harmless ones; names that look like secrets never are.
    pub allow_environment: Vec<String>,
    /// Secrets that are meant for what runs, because a person named them: an agent's own key.
    pub own_keys: Vec<(OsString, OsString)>,
    /// Removes secrets from whatever commands print.
    pub redactor: Redactor,
    /// How long a command that is asked to terminate may take before it is killed.
    pub grace: Duration,
    /// The same for processes that a finished command has left behind.
    pub leftover_grace: Duration,
    /// Bytes of the beginning of each stream kept in the record.
    pub head_bytes: usize,
    /// Bytes of the end of each stream kept in the record.
    pub tail_bytes: usize,
    /// Bytes of each stream kept on disk.
    pub disk_bytes: u64,
    /// How much of the disk of the root a command may take.
    pub task_folder: CommandDiskLimit,
}

impl CommandRunnerOptions {
    /// Makes options with the usual limits for a workspace.
    pub fn new(root: PathBuf, redactor: Redactor) -> Self {
        Self {
            root,
            base_environment: Vec::new(),
            allow_environment: Vec::new(),
            own_keys: Vec::new(),
            redactor,
            grace: Duration::from_secs(10),
            leftover_grace: Duration::from_millis(500),
            head_bytes: 8 * 1024,
            tail_bytes: 8 * 1024,
            disk_bytes: 64 * 1024 * 1024,
            task_folder: CommandDiskLimit::default(),
        }
    }
}

/// Runs commands on this machine.
pub struct LocalCommandRunner {
    options: CommandRunnerOptions,
    environment: Vec<(OsString, OsString)>,
    interrupts: watch::Sender<Option<StopSignal>>,
    sandbox: Option<Arc<dyn Sandbox>>,
}

impl std::fmt::Debug for LocalCommandRunner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalCommandRunner")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl LocalCommandRunner {
    /// Makes a runner and tos the parent of whatever its commands orphan. Without a sandbox commands
    /// run with all the rights of the user.
    pub fn new(options: CommandRunnerOptions, sandbox: Option<Arc<dyn Sandbox>>) -> Self {
        if let Err(error) = process_tree::become_reaper() {
            tracing::warn!(%error, "orphans can be found by their marker only");
        }
        let environment = environment::minimal(
            &options.base_environment,
            &options.allow_environment,
            &options.redactor,
        );
        Self {
            options,
            environment,
            interrupts: watch::Sender::new(None),
            sandbox,
        }
    }

    async fn run_order(&self, order: &CommandRequest) -> Result<CommandResult, SpawnError> {
        let started = Instant::now();
        let interrupts = self.interrupts.subscribe();
        let mut launch =
            spawn::prepare(&order.command, &order.directory, self.environment_of(order))?;
        launch
            .inside
            .input_file
            .clone_from(&order.streams.input_file);
        launch.inside.input_is_pipe = order.streams.input.is_some();
        let pipe_in = order.streams.input_pipe.as_deref();
        launch.inside.input = pipe_in.map(AsRawFd::as_raw_fd);
        let launch = match &self.sandbox {
            Some(sandbox) => sandbox.confine(launch).await?,
            None => launch,
        };
        let (out, out_end) = pipe(&launch)?;
        let (err, err_end) = pipe(&launch)?;
        let input = LiveInput::open(&order.streams).map_err(|error| SpawnError {
            message: format!("a pipe for its input cannot be made: {error}"),
        })?;
        let began = process_tree::ticks_now();
        let child = spawn(&launch, pipe_in, out_end, err_end)?;
        let tree = ProcessTree::new(child.id().unwrap_or(0), launch.jailed, &order.token, began);
        let options = &self.options;
        let running = RunningCommand::new(
            tree,
            child,
            interrupts,
            order.grace.unwrap_or(options.grace),
            options.leftover_grace,
            options.task_folder,
            launch.watched.clone(),
        );
        let mut sinks =
            [OutputStream::Stdout, OutputStream::Stderr].map(|stream| self.sink(order, stream));
        let fed = async {
            match input {
                Some(input) => input.feed().await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            ended = running.finish(order, [out, err], &mut sinks) => ended,
            // It feeds for ever.
            () = fed => Err(std::io::ErrorKind::BrokenPipe.into()),
        };
        // Also where its end got lost: nothing of it may be believed.
        let taken = match &self.sandbox {
            Some(sandbox) if !launch.absent.is_empty() => sandbox.quarantine(&launch.absent),
            _ => Vec::new(),
        };
        for sentence in taken {
            sinks[1].note(&sentence);
        }
        let (exit, leftovers) = ended.map_err(|error| lost(&launch, &error))?;
        let [stdout, stderr] = sinks.map(|sink| sink.finish(&options.root));
        Ok(CommandResult {
            exit,
            stdout,
            stderr,
            elapsed_ms: millis(started.elapsed()),
            leftovers,
        })
    }

    fn environment_of(&self, order: &CommandRequest) -> Vec<(OsString, OsString)> {
        let mut environment = self.environment.clone();
        for (name, value) in &order.environment {
            if !self.options.redactor.contains_secret(value) {
                environment.retain(|(known, _)| known != name.as_str());
                environment.push((name.into(), value.into()));
            }
        }
        environment.extend(self.options.own_keys.iter().cloned());
        environment.extend(process_tree::marks(&order.token));
        environment
    }

    fn sink(&self, order: &CommandRequest, stream: OutputStream) -> OutputSink {
        let ending = match stream {
            OutputStream::Stdout => "stdout",
            OutputStream::Stderr => "stderr",
        };
        let name = format!("{:02}.{ending}", order.index);
        let keep = CaptureLimits {
            head: self.options.head_bytes,
            tail: self.options.tail_bytes,
            disk: self.options.disk_bytes,
        };
        let redaction = self.options.redactor.stream();
        let sink = OutputSink::new(order.output_directory.join(name), keep, redaction);
        let sink = match &order.streams.byte_reader {
            Some(reader) => sink.copied_to(Arc::clone(reader), stream),
            None => sink,
        };
        match &order.streams.reader {
            Some(reader) => sink.read_by(Arc::clone(reader), stream),
            None => sink,
        }
    }
}

impl CommandRunner for LocalCommandRunner {
    fn run<'a>(
        &'a self,
        order: &'a CommandRequest,
    ) -> BoxFuture<'a, Result<CommandResult, SpawnError>> {
        Box::pin(self.run_order(order))
    }

    fn interrupt(&self, how: StopSignal) {
        self.interrupts.send_replace(Some(how));
    }

    fn take_refused_hosts(&self) -> Vec<String> {
        let sandbox = self.sandbox.as_ref();
        sandbox
            .map(|wall| wall.take_refused_hosts())
            .unwrap_or_default()
    }

    fn kill_survivors<'a>(&'a self, token_prefix: &'a str) -> BoxFuture<'a, u32> {
        let prefix = token_prefix.to_owned();
        Box::pin(async move {
            let task =
                tokio::task::spawn_blocking(move || process_tree::blocking_kill_marked(&prefix));
            task.await.unwrap_or(0)
        })
    }
}

fn pipe(launch: &ProcessSpec) -> Result<(OwnedFd, OwnedFd), SpawnError> {
    let (reader, writer) = std::io::pipe().map_err(|error| spawn::spawn_failure(launch, &error))?;
    Ok((reader.into(), writer.into()))
}

/// Starts the process in a group of its own, away from any terminal.
fn spawn(
    launch: &ProcessSpec,
    pipe_in: Option<&OwnedFd>,
    out: OwnedFd,
    err: OwnedFd,
) -> Result<tokio::process::Child, SpawnError> {
    let input = input(launch, pipe_in)?;
    // A jailer inherits by their numbers what it is told and what the command reads.
    let pipe = pipe_in.filter(|_| launch.jailed).map(AsFd::as_fd);
    let told = launch.inherited.as_ref().map(AsFd::as_fd);
    let handed_on = [pipe, told];
    for file in handed_on.iter().flatten() {
        rustix::io::fcntl_setfd(file, FdFlags::empty())
            .map_err(|error| spawn::spawn_failure(launch, &error.into()))?;
    }
    let mut command = std::process::Command::new(&launch.program);
    command
        .arg0(&launch.name)
        .args(&launch.arguments)
        .env_clear()
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&launch.directory)
        .stdin(input)
        .stdout(out)
        .stderr(err);
    session::detach(&mut command);
    let child = tokio::process::Command::from(command).spawn();
    for file in handed_on.iter().flatten() {
        // Whatever is started next has no business with it.
        let _ = rustix::io::fcntl_setfd(file, FdFlags::CLOEXEC);
    }
    child.map_err(|error| spawn::spawn_failure(launch, &error))
}

/// A jailer keeps its own standard input and opens the file behind the wall.
fn input(launch: &ProcessSpec, pipe: Option<&OwnedFd>) -> Result<Stdio, SpawnError> {
    if launch.jailed {
        return Ok(Stdio::piped());
    }
    if let Some(pipe) = pipe {
        let own = pipe.try_clone();
        return own
            .map(Stdio::from)
            .map_err(|error| spawn::spawn_failure(launch, &error));
    }
    match &launch.inside.input_file {
        None => Ok(Stdio::null()),
        Some(path) => std::fs::OpenOptions::new()
            .read(true)
            .open(path)
            .map(Stdio::from)
            .map_err(|error| SpawnError {
                message: format!(
                    "the input `{}` cannot be read: {error}; make it readable",
                    path.display()
                ),
            }),
    }
}

fn lost(launch: &ProcessSpec, error: &std::io::Error) -> SpawnError {
    let program = launch.program.display();
    SpawnError {
        message: format!(
            "lost sight of `{program}`: {error}; its processes were ended, run it again"
        ),
    }
}
