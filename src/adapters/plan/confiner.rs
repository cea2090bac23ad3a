//! Starts tasks whose policy is enforced: behind the wall, with a small environment, their output redacted.
//!
//! Danger: a jailer runs outside the wall until it has built it. So the variables of the task and its input do not go
//! through the environment and the standard input of the jailer, but past them by descriptors; and files that a task
//! only names are opened behind the wall, or checked to lie within reach and to be no links.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::File,
    io,
    io::{PipeWriter, Seek, Write},
    os::{
        fd::AsRawFd,
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    thread::JoinHandle,
};

use rustix::io::FdFlags;
use tokio::sync::oneshot;

use crate::{
    adapters::{
        plan::{
            launch::{
                LaunchRefusal, LaunchSpec, MAX_ENV_FILE_BYTES, failed, lacking, parse_dotenv,
                text_file,
            },
            log_tee::LogTee,
            safe_open,
        },
        process, temporary,
    },
    domain::{
        command,
        command::CommandKind,
        plan::{
            state::StatusReason,
            task::{TaskAction, TaskStdin},
        },
        redaction::is_secret_name,
    },
    ports::{
        plan_host::{TaskConfinement, normalize_path},
        sandbox,
    },
};

/// What stays with a running attempt until it is over.
#[derive(Default)]
pub(crate) struct ConfinedAttempt {
    /// Its output, where that goes through tos.
    pub(crate) taps: Vec<LogTee>,
    /// Whether its process is a jailer.
    pub(crate) is_jailed: bool,
    /// Whether what it leaves behind is ended, although no wall does so.
    is_swept: bool,
    /// The temporary folder that it has in common with the others of its run, and how many bytes that may hold.
    pub(crate) watched: Option<(PathBuf, u64)>,
    /// Open as long as the jailer must stay.
    lifeline: Option<PipeWriter>,
    /// What is protected and was not there before, and who takes it away.
    absent: Option<(Vec<PathBuf>, Arc<dyn sandbox::Sandbox>)>,
}

impl ConfinedAttempt {
    /// Returns whether what the attempt leaves behind has to be looked for and ended.
    pub(crate) const fn ends_leftovers(&self) -> bool {
        self.is_swept
    }

    /// Stores the rest of the output and lets the jailer go; called once nothing of the attempt runs any more.
    pub(crate) fn finish(mut self) {
        drop(self.lifeline);
        if let Some((absent, wall)) = self.absent {
            for sentence in wall.quarantine(&absent) {
                tracing::warn!("{sentence}");
                if let Some(errors) = self.taps.get_mut(1) {
                    errors.note(&sentence);
                }
            }
        }
        for tap in self.taps {
            tap.finish();
        }
    }
}

/// Starts tasks behind a guard.
pub(crate) struct TaskConfiner {
    guard: TaskConfinement,
    /// The proxy for allowed hosts works in a thread of its own, while the host waits for processes.
    runtime: tokio::runtime::Handle,
    end: Option<oneshot::Sender<()>>,
    worker: Option<JoinHandle<()>>,
}

/// What the task's own process gets.
struct TaskProcess {
    environment: BTreeMap<OsString, OsString>,
    input: TaskInput,
}

enum TaskInput {
    Empty,
    Text(File),
    File(PathBuf),
}

impl TaskConfiner {
    /// Makes what starts tasks behind `guard`.
    pub(crate) fn new(guard: TaskConfinement) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let worker = std::thread::Builder::new().name("wall".to_owned());
        let worker = worker.spawn(move || {
            // Whether it was told or the other side is gone: it is over.
            drop(runtime.block_on(ended));
        })?;
        Ok(Self {
            guard,
            runtime: handle,
            end: Some(end),
            worker: Some(worker),
        })
    }

    /// Starts the task with its output tapped into the logs; returns the number of its process.
    pub(crate) fn spawn(
        &self,
        launch: &LaunchSpec<'_>,
        [out, err]: [File; 2],
    ) -> Result<(i32, ConfinedAttempt), LaunchRefusal> {
        let inner = self.inner(launch)?;
        let secrets = inner.environment.iter().filter_map(|(name, value)| {
            let (name, value) = (name.to_str()?, value.to_str()?);
            is_secret_name(name).then(|| value.to_owned())
        });
        let redactor = self.guard.redactor.with_values(secrets);
        let no_pipe = |error: io::Error| failed(&format!("its output cannot be read: {error}"));
        let (out_tap, out) = LogTee::new(out, &redactor).map_err(no_pipe)?;
        let (err_tap, err) = LogTee::new(err, &redactor).map_err(no_pipe)?;
        let (pid, mut hold) = if let TaskAction::Job(_) = launch.task.action {
            // A job builds the wall around its own commands, and needs the keys of its models.
            (launch.spawn([out, err])?, ConfinedAttempt::default())
        } else {
            self.start(launch, inner, [out, err])
                .map_err(|(reason, message)| (reason, redactor.clean(&message)))?
        };
        hold.is_swept = !hold.is_jailed;
        hold.taps = vec![out_tap, err_tap];
        Ok((pid, hold))
    }

    fn inner(&self, launch: &LaunchSpec<'_>) -> Result<TaskProcess, LaunchRefusal> {
        let mut inner = TaskProcess {
            environment: self.guard.environment.iter().cloned().collect(),
            input: TaskInput::Empty,
        };
        if let Some(extra) = launch.task.extra.as_deref() {
            launch.check_needed_files(extra)?;
            for path in &extra.env_file {
                inner.environment.extend(self.env_file(launch.cwd, path)?);
            }
            inner.input = match &extra.stdin {
                TaskStdin::Empty => TaskInput::Empty,
                TaskStdin::Text(text) => {
                    let file = text_file(text)
                        .map_err(|error| failed(&format!("stdin cannot be prepared: {error}")))?;
                    TaskInput::Text(file)
                }
                TaskStdin::File(path) => TaskInput::File(normalize_path(&launch.cwd.join(path))),
            };
        }
        let own = launch.task.env.iter().flatten();
        inner
            .environment
            .extend(own.map(|(name, value)| (name.into(), value.into())));
        inner.environment.extend(process::marks(launch.token));
        Ok(inner)
    }

    fn env_file(&self, cwd: &Path, path: &str) -> Result<Vec<(OsString, OsString)>, LaunchRefusal> {
        let whole = self.within_reach(&cwd.join(path), "env_file")?;
        let read = || -> Result<Vec<u8>, String> {
            let file = safe_open::open_no_symlinks(&whole).map_err(|error| error.to_string())?;
            let mut bytes = Vec::new();
            io::Read::read_to_end(
                &mut io::Read::take(file, MAX_ENV_FILE_BYTES + 1),
                &mut bytes,
            )
            .map_err(|error| error.to_string())?;
            if bytes.len() as u64 > MAX_ENV_FILE_BYTES {
                return Err(format!("it has more than {MAX_ENV_FILE_BYTES} bytes"));
            }
            Ok(bytes)
        };
        let pairs = read()
            .and_then(|bytes| parse_dotenv(&bytes))
            .map_err(|why| lacking(format!("env_file `{path}` cannot be read: {why}")))?;
        Ok(pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect())
    }

    fn within_reach(&self, path: &Path, what: &str) -> Result<PathBuf, LaunchRefusal> {
        let path = normalize_path(path);
        if self.guard.reach.may_read(&path) {
            return Ok(path);
        }
        Err(denied(format!(
            "its {what} `{}` lies outside what an enforced policy lets tos read for it",
            path.display()
        )))
    }

    /// Returns the directory of the task, which must really lie in the working directory of the run.
    fn directory(&self, launch: &LaunchSpec<'_>) -> Result<PathBuf, LaunchRefusal> {
        let Ok(real) = launch.cwd.canonicalize() else {
            let shown = launch.cwd.display();
            return Err(failed(&format!("the directory `{shown}` does not exist")));
        };
        if self.guard.reach.may_write(&real) {
            return Ok(real);
        }
        Err(denied(format!(
            "it would run in `{}`, and an enforced policy keeps it in the working directory of the run, outside of what \
             tos and git keep there",
            real.display()
        )))
    }

    fn start(
        &self,
        launch: &LaunchSpec<'_>,
        inner: TaskProcess,
        [out, err]: [File; 2],
    ) -> Result<(i32, ConfinedAttempt), LaunchRefusal> {
        let directory = self.directory(launch)?;
        let command = command_of(&launch.task.action);
        let environment: Vec<(OsString, OsString)> = inner.environment.into_iter().collect();
        let found = process::prepare(&command, &directory, environment.clone())
            .map_err(|failure| failed(&failure.message))?;
        let parcel = parcel(&environment)
            .map_err(|error| failed(&format!("its environment cannot be handed on: {error}")))?;
        let marks = process::marks(launch.token);
        let outside = self.guard.environment.iter().cloned().chain(marks);
        let wanted = sandbox::ProcessSpec {
            environment: outside.collect(),
            inside: sandbox::ConfinedEnvironment {
                environment: Some(parcel.as_raw_fd()),
                input: match &inner.input {
                    TaskInput::Text(file) => Some(file.as_raw_fd()),
                    TaskInput::Empty | TaskInput::File(_) => None,
                },
                input_file: match &inner.input {
                    TaskInput::File(path) => Some(path.clone()),
                    TaskInput::Empty | TaskInput::Text(_) => None,
                },
                input_is_pipe: false,
            },
            ..found
        };
        let confined = self.runtime.block_on(self.guard.wall.confine(wanted));
        let confined = confined.map_err(|failure| failed(&failure.message))?;
        let mut starter = Command::new(&confined.program);
        starter
            .arg0(&confined.name)
            .args(&confined.arguments)
            .env_clear()
            .current_dir(&confined.directory)
            .stdout(out)
            .stderr(err);
        process::detach(&mut starter);
        let mut hold = ConfinedAttempt {
            is_jailed: confined.jailed,
            watched: confined.watched.clone(),
            absent: Some((confined.absent.clone(), Arc::clone(&self.guard.wall))),
            ..ConfinedAttempt::default()
        };
        if confined.jailed {
            starter.envs(
                confined
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value)),
            );
            hold.lifeline = Some(jailer_input(&mut starter, &parcel, &inner.input)?);
            if let Some(told) = &confined.inherited {
                rustix::io::fcntl_setfd(told, FdFlags::empty())
                    .map_err(|error| failed(&format!("nothing can be handed on: {error}")))?;
            }
        } else {
            starter.envs(environment);
            starter.stdin(self.input(inner.input)?);
        }
        let child = starter
            .spawn()
            .map_err(|error| failed(&process::spawn_failure(&confined, &error).message))?;
        let pid =
            i32::try_from(child.id()).map_err(|_| failed("the process number is out of range"))?;
        Ok((pid, hold))
    }

    /// Returns the standard input of a task that no wall confines.
    fn input(&self, input: TaskInput) -> Result<Stdio, LaunchRefusal> {
        match input {
            TaskInput::Empty => Ok(Stdio::null()),
            TaskInput::Text(file) => Ok(file.into()),
            TaskInput::File(path) => {
                let path = self.within_reach(&path, "stdin file")?;
                safe_open::open_no_symlinks(&path)
                    .map(Stdio::from)
                    .map_err(|error| {
                        lacking(format!(
                            "stdin file `{}` cannot be read: {error}",
                            path.display()
                        ))
                    })
            }
        }
    }
}

/// Lets the jailer inherit what it hands on, and gives it a standard input that ends with tos.
fn jailer_input(
    process: &mut Command,
    parcel: &File,
    input: &TaskInput,
) -> Result<PipeWriter, LaunchRefusal> {
    let text = match input {
        TaskInput::Text(file) => Some(file),
        TaskInput::Empty | TaskInput::File(_) => None,
    };
    for file in [Some(parcel), text].into_iter().flatten() {
        // No other thread starts processes, so nobody else inherits it; it is closed right after the start.
        rustix::io::fcntl_setfd(file, FdFlags::empty())
            .map_err(|error| failed(&format!("nothing can be handed on: {error}")))?;
    }
    if let TaskInput::File(path) = input
        && std::fs::metadata(path).is_err()
    {
        let shown = path.display();
        return Err(lacking(format!("stdin file `{shown}` is not there")));
    }
    let (reader, lifeline) =
        io::pipe().map_err(|error| failed(&format!("it cannot be held: {error}")))?;
    process.stdin(reader);
    Ok(lifeline)
}

impl Drop for TaskConfiner {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(worker) = self.worker.take() {
            // It holds nothing that could be lost.
            drop(worker.join());
        }
        if let Some(folder) = &self.guard.temporary {
            temporary::blocking_remove(folder);
        }
    }
}

fn denied(message: String) -> LaunchRefusal {
    (StatusReason::PolicyDenied, message)
}

fn command_of(action: &TaskAction) -> command::Command {
    let (kind, code, argv) = match action {
        TaskAction::Argv(argv) => (CommandKind::Exec, String::new(), argv.clone()),
        TaskAction::Shell(code) => (CommandKind::Sh, code.clone(), Vec::new()),
        TaskAction::Job(_) => (CommandKind::Exec, String::new(), Vec::new()),
    };
    command::Command { kind, code, argv }
}

/// Writes an environment into a file without a name.
fn parcel(environment: &[(OsString, OsString)]) -> io::Result<File> {
    let mut bytes = Vec::new();
    for (name, value) in environment {
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(b'=');
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
    }
    let mut file = tempfile::tempfile()?;
    file.write_all(&bytes)?;
    file.rewind()?;
    Ok(file)
}
