//! Tries a wall with real probes.

use std::{
    ffi::OsString,
    fs, io,
    io::Read,
    net::{Ipv4Addr, TcpListener, UdpSocket},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr as LocalAddr, UnixDatagram, UnixListener},
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

mod helpers;
mod memory;
mod probe;
mod setup;
mod shortage;

pub(super) use self::helpers::run as run_helper;
use self::{
    memory::{KnownTrials, TrialMemory},
    probe::{Answers, DATAGRAM_SOCKET, ProbeSetup},
    setup::{LIMITS, create_fixture, is_of_the_moment, limits, trial_folder, with_tools},
    shortage::{TrialFault, untried_if_short},
};
use super::{
    jail::{confine, find_bubblewrap, is_counted_from_outside},
    options::Options,
    proxy::HttpProxy,
    spec::{JAILER_ARG, ResourceLimits, TOS_PATH_IN_SANDBOX},
};
use crate::{
    adapters::process::{CommandRunnerOptions, LocalCommandRunner},
    domain::{
        command::{Command as Proposed, CommandKind},
        process::{CommandResult, ExitStatus, SpawnError},
        redaction::Redactor,
        sandbox::{
            BackendTest, CapabilityProof, ConfinementLevel, NetworkAccess, SandboxBackend,
            SandboxCapability, SandboxReport, apparmor_remedy,
            passing::{is_passing_end, is_passing_fault},
        },
    },
    ports::{
        BoxFuture,
        runner::{CommandRequest, CommandRunner, CommandStreams},
        sandbox::{ConfinedEnvironment, ProcessSpec, Sandbox},
    },
};

const PATIENCE: Duration = Duration::from_secs(20);
/// How long the end of everything may take after tos was killed.
const AFTER_DEATH: Duration = Duration::from_secs(5);

/// What the kernel says about user namespaces of programs without a profile.
const APPARMOR_SETTING: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";

/// Returns trials good enough to choose by: those remembered, else new ones up to the first wall that
/// holds everything.
pub(super) async fn cached_or_run(options: &Options) -> KnownTrials {
    let memory = TrialMemory::of(options);
    if let Some(known) = memory.trials() {
        return known;
    }
    let mut trials = Vec::new();
    for backend in &options.backends {
        trials.push(run(options, *backend).await);
        if trials.last().is_some_and(|trial| holds(options, trial)) {
            break;
        }
    }
    memory.keep(trials, &|trial| holds(options, trial))
}

/// Tries every backend anew, those that are not needed included, and mends what is remembered.
pub(super) async fn run_all(options: &Options) -> Vec<BackendTest> {
    let mut trials = Vec::new();
    for backend in &options.backends {
        trials.push(run(options, *backend).await);
    }
    if options.level == ConfinementLevel::Off {
        return trials;
    }
    let memory = TrialMemory::of(options);
    memory.keep(trials, &|trial| holds(options, trial)).trials
}

/// Says whether a backend was proved to hold everything that is asked for.
fn holds(options: &Options, trial: &BackendTest) -> bool {
    let missing = trial.missing_guarantees(options.level, options.network);
    missing.is_empty()
}

/// Tries one backend. A trial that fails for a shortage tells nothing about the wall.
async fn run(options: &Options, backend: SandboxBackend) -> BackendTest {
    let trial = run_once(options, backend).await;
    let missing = trial.missing_guarantees(options.level, options.network);
    if trial.is_untried || missing.is_empty() {
        return trial;
    }
    untried_if_short(trial, &missing)
}

async fn run_once(options: &Options, backend: SandboxBackend) -> BackendTest {
    if backend == SandboxBackend::Bubblewrap && find_bubblewrap(&options.path).is_none() {
        return absent(backend, "`bwrap` is not installed".into());
    }
    match SelfTestSetup::set(options, backend) {
        Ok(stage) => match stage.play().await {
            Ok(proofs) => BackendTest {
                backend,
                absent: None,
                is_untried: false,
                proofs,
            },
            Err(TrialFault { why, is_passing }) => BackendTest {
                is_untried: is_passing,
                ..absent(backend, with_remedy(options, backend, &why))
            },
        },
        Err(error) => BackendTest {
            is_untried: is_of_the_moment(&error),
            ..absent(backend, format!("the trial could not be prepared: {error}"))
        },
    }
}

/// Adds what to do about a machine that forbids this kind of wall.
fn with_remedy(options: &Options, backend: SandboxBackend, fault: &str) -> String {
    let setting = fs::read_to_string(APPARMOR_SETTING).unwrap_or_default();
    let program = find_bubblewrap(&options.path).filter(|_| backend == SandboxBackend::Bubblewrap);
    let program = program.unwrap_or_else(|| options.program.clone());
    let remedy = if rustix::process::geteuid().is_root() {
        None
    } else {
        apparmor_remedy(backend, &setting, &program.to_string_lossy())
    };
    remedy.map_or_else(|| fault.to_owned(), |remedy| format!("{fault}; {remedy}"))
}

fn absent(backend: SandboxBackend, why: String) -> BackendTest {
    BackendTest {
        backend,
        absent: Some(why),
        is_untried: false,
        proofs: Vec::new(),
    }
}

/// Everything a trial needs outside the wall.
struct SelfTestSetup {
    backend: SandboxBackend,
    options: Options,
    folder: tempfile::TempDir,
    questions: ProbeSetup,
    stranger: Child,
    listeners: SelfTestListeners,
    proxy: Option<HttpProxy>,
}

impl SelfTestSetup {
    fn set(options: &Options, backend: SandboxBackend) -> io::Result<Self> {
        let folder = trial_folder(&options.state)?;
        let has_git = create_fixture(folder.path(), &options.path)?;
        let listeners = SelfTestListeners::open(&unique(&folder))?;
        let stranger = Command::new(&options.program)
            .args([JAILER_ARG, "stay"])
            .arg(folder.path().join("locks/stranger"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let port = listeners.tcp.local_addr()?.port();
        let proxy = match options.network {
            NetworkAccess::Allowlist => Some(HttpProxy::start(&[format!("127.0.0.1:{port}")])?),
            NetworkAccess::None | NetworkAccess::Full => None,
        };
        let questions = ProbeSetup {
            level: options.level,
            root: folder.path().join("root"),
            outside: folder.path().join("outside"),
            home: folder.path().join("home"),
            stranger: i32::try_from(stranger.id()).unwrap_or(0),
            tcp: port,
            udp: listeners.udp.local_addr()?.port(),
            service_name: unique(&folder),
            service_path: listeners.shared.path().join("service"),
            temporary_name: unique(&folder),
            lock: folder.path().join("root/workspace/lock"),
            limits: ResourceLimits {
                processes: limits(backend)
                    .processes
                    .filter(|_| !is_counted_from_outside(&LIMITS)),
                ..limits(backend)
            },
            has_git,
            has_proxy: proxy.is_some(),
        };
        Ok(Self {
            backend,
            options: staged(options, backend, &folder),
            folder,
            questions,
            stranger,
            listeners,
            proxy,
        })
    }

    async fn play(mut self) -> Result<Vec<CapabilityProof>, TrialFault> {
        let lock = self.own_lock()?;
        let end = self.probe().await.map_err(|failure| failure.message)?;
        let text = format!("{}{}", end.stdout.head, end.stdout.tail);
        let mut proofs: Answers = serde_json::from_str(&text).map_err(|error| {
            let said = end.stderr.head.trim();
            let why = match (&end.exit, said.is_empty()) {
                (_, false) => said.to_owned(),
                (ExitStatus::Code { code: 0 }, true) => {
                    format!("the probe was not understood: {error}")
                }
                (exit, true) => format!("the probe ended with {exit:?}"),
            };
            let is_passing = is_passing_end(&end.exit) || is_passing_fault(&why);
            TrialFault { why, is_passing }
        })?;
        self.look_outside(&mut proofs);
        if let Some(proof) = find(&mut proofs, SandboxCapability::NoSurvivors)
            && proof.holds == Some(true)
        {
            let gone = is_free(&lock);
            proof.holds = Some(gone);
            proof.how = if gone {
                "a daemon was ended with its command"
            } else {
                "a daemon survived its command"
            }
            .into();
        }
        proofs.push(self.dies_with_tos().await);
        if is_counted_from_outside(&LIMITS)
            && let Some(proof) = find(&mut proofs, SandboxCapability::Processes)
        {
            *proof = self.crowd().await;
        }
        proofs.sort_by_key(|proof| proof.capability);
        Ok(proofs)
    }

    /// The lock of whoever stays behind; at level `read_only` only an existing file can be locked.
    fn own_lock(&self) -> Result<fs::File, String> {
        let path = &self.questions.lock;
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path);
        file.map_err(|error| format!("the trial could not be prepared: {error}"))
    }

    /// Starts more threads than are allowed and stays; somebody has to end that.
    async fn crowd(&self) -> CapabilityProof {
        let options = Options {
            limits: LIMITS,
            ..self.options.clone()
        };
        let count = LIMITS.processes.unwrap_or(0) * 4;
        let end = self.launch(options, "crowd", &count.to_string()).await;
        let ended = end.is_ok_and(|end| end.stderr.text().contains("sandbox.limits.processes"));
        let how = if ended {
            "a crowd of threads was ended from outside"
        } else {
            "a crowd of threads was not ended"
        };
        CapabilityProof {
            capability: SandboxCapability::Processes,
            holds: Some(ended),
            how: how.into(),
        }
    }

    async fn probe(&self) -> Result<CommandResult, SpawnError> {
        let questions = serde_json::to_string(&self.questions).map_err(|error| SpawnError {
            message: error.to_string(),
        })?;
        self.launch(self.options.clone(), "probe", &questions).await
    }

    /// Runs one stage of a trial behind the wall.
    async fn launch(
        &self,
        options: Options,
        stage: &str,
        word: &str,
    ) -> Result<CommandResult, SpawnError> {
        let mut runner =
            CommandRunnerOptions::new(self.questions.root.clone(), Redactor::default());
        runner.base_environment = vec![("PATH".into(), self.options.path.clone())];
        runner.head_bytes = 1 << 20;
        let wall = FixedBackend {
            backend: self.backend,
            options,
            proxy: self.proxy.as_ref().map(HttpProxy::socket),
        };
        let order = CommandRequest {
            command: Proposed {
                kind: CommandKind::Exec,
                code: String::new(),
                argv: ["/proc/self/exe", JAILER_ARG, stage, word]
                    .map(str::to_owned)
                    .into(),
            },
            directory: self.questions.root.clone(),
            deadline: PATIENCE,
            idle_deadline: None,
            grace: None,
            // Of the environment of tos only harmless names are passed on; this one is asked for.
            environment: vec![(probe::ONE_ARENA.0.into(), probe::ONE_ARENA.1.into())],
            output_directory: self.folder.path().join("output"),
            index: 1,
            token: unique(&self.folder),
            streams: CommandStreams::default(),
        };
        let runner = LocalCommandRunner::new(runner, Some(std::sync::Arc::new(wall)));
        runner.run(&order).await
    }

    /// Adds what can only be seen from outside.
    fn look_outside(&mut self, proofs: &mut Answers) {
        let outside = &self.questions.outside;
        let unchanged = fs::read_to_string(outside).is_ok_and(|text| text == "as it was")
            && !outside.with_extension("new").exists();
        let told = std::env::temp_dir().join(&self.questions.temporary_name);
        let arrived = self.listeners.udp.recv(&mut [0; 16]).is_ok();
        let alive = self.stranger.try_wait().is_ok_and(|ended| ended.is_none());
        for (capability, fine, what) in [
            (
                SandboxCapability::WritesOutside,
                unchanged,
                "a file outside was changed",
            ),
            (
                SandboxCapability::PrivateTemporary,
                !told.exists(),
                "the file appeared in the shared directory",
            ),
            (
                SandboxCapability::NoNetwork,
                !arrived,
                "a datagram arrived outside",
            ),
            (
                SandboxCapability::Isolated,
                alive,
                "a process outside was ended",
            ),
        ] {
            if !fine && let Some(proof) = find(proofs, capability) {
                (proof.holds, proof.how) = (Some(false), what.into());
            }
        }
        for path in ["/tos-trial", "/etc/tos-trial", "/usr/tos-trial"] {
            drop(fs::remove_file(path));
        }
        drop(fs::remove_file(told));
    }

    /// Starts a wall from a stand-in for tos, kills that with SIGKILL, and waits for silence.
    async fn dies_with_tos(&self) -> CapabilityProof {
        let held = match self.killed_stand_in() {
            Ok(lock) => lock,
            Err(why) => {
                return CapabilityProof {
                    capability: SandboxCapability::DiesWithTos,
                    holds: None,
                    how: why,
                };
            }
        };
        let lock = rustix::fs::FlockOperation::LockExclusive;
        let freed = tokio::task::spawn_blocking(move || rustix::fs::flock(&held, lock).is_ok());
        let gone = matches!(tokio::time::timeout(AFTER_DEATH, freed).await, Ok(Ok(true)));
        if !gone {
            crate::adapters::process::end_marked(&unique(&self.folder)).await;
        }
        let how = if gone {
            "tos was killed; a daemon behind the wall died with it"
        } else {
            "a daemon survived tos"
        };
        CapabilityProof {
            capability: SandboxCapability::DiesWithTos,
            holds: Some(gone),
            how: how.into(),
        }
    }

    fn killed_stand_in(&self) -> Result<fs::File, String> {
        let path = self.questions.root.join("workspace/stand-in");
        let open = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let lock = open.map_err(|error| error.to_string())?;
        let launch = ProcessSpec {
            program: self.options.program.clone(),
            name: "tos".into(),
            arguments: [JAILER_ARG, "linger"]
                .map(OsString::from)
                .into_iter()
                .chain([path.into()])
                .collect(),
            environment: Vec::new(),
            directory: self.questions.root.clone(),
            jailed: false,
            inside: ConfinedEnvironment::default(),
            inherited: None,
            watched: None,
            absent: Vec::new(),
        };
        let proxy = self.proxy.as_ref().map(HttpProxy::socket);
        let launch = confine_self(&self.options, self.backend, proxy, launch)
            .map_err(|failure| failure.message)?;
        if let Some(file) = &launch.inherited {
            // The stand-in hands it on to the jailer; the trial starts nothing else meanwhile.
            rustix::io::fcntl_setfd(file, rustix::io::FdFlags::empty())
                .map_err(|error| error.to_string())?;
        }
        let mut stand_in = Command::new(&self.options.program)
            .args([JAILER_ARG, "stand-in"])
            .arg(&launch.directory)
            .arg(&launch.program)
            .args(&launch.arguments)
            .env_clear()
            .env("TOS_TOKEN", unique(&self.folder))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut ready = [0; 6];
        let read = stand_in
            .stdout
            .take()
            .map(|mut out| out.read_exact(&mut ready));
        let killed = stand_in.kill().and_then(|()| stand_in.wait());
        match (read, killed) {
            (Some(Ok(())), Ok(_)) => Ok(lock),
            _ => Err("the stand-in for tos did not start".into()),
        }
    }
}

/// Who listens outside; whether somebody gets through is seen inside, except for datagrams.
struct SelfTestListeners {
    tcp: TcpListener,
    udp: UdpSocket,
    shared: tempfile::TempDir,
    _services: [UnixListener; 2],
    _letters: UnixDatagram,
}

impl SelfTestListeners {
    fn open(name: &str) -> io::Result<Self> {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        udp.set_nonblocking(true)?;
        let shared = tempfile::tempdir()?;
        let named = LocalAddr::from_abstract_name(name.as_bytes())?;
        Ok(Self {
            tcp: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
            udp,
            _services: [
                UnixListener::bind_addr(&named)?,
                UnixListener::bind(shared.path().join("service"))?,
            ],
            _letters: UnixDatagram::bind(shared.path().join(DATAGRAM_SOCKET))?,
            shared,
        })
    }
}

impl Drop for SelfTestSetup {
    fn drop(&mut self) {
        // It may be gone, which is what the trial has noticed by then.
        drop(self.stranger.kill());
        drop(self.stranger.wait());
    }
}

/// One backend, whatever it is worth.
struct FixedBackend {
    backend: SandboxBackend,
    options: Options,
    proxy: Option<PathBuf>,
}

impl Sandbox for FixedBackend {
    fn confine(&self, launch: ProcessSpec) -> BoxFuture<'_, Result<ProcessSpec, SpawnError>> {
        let launch = ProcessSpec {
            program: self.options.program.clone(),
            ..launch
        };
        let confined = confine_self(&self.options, self.backend, self.proxy.clone(), launch);
        Box::pin(std::future::ready(confined))
    }

    fn report(&self) -> BoxFuture<'_, SandboxReport> {
        let trials = Vec::new();
        let choice = crate::domain::sandbox::BackendChoice::Proved {
            backend: self.backend,
        };
        let (level, network) = (self.options.level, self.options.network);
        Box::pin(std::future::ready(SandboxReport {
            level,
            network,
            choice,
            trials,
        }))
    }
}

/// Confines tos itself, which behind mounts is found in another place.
fn confine_self(
    options: &Options,
    backend: SandboxBackend,
    proxy: Option<PathBuf>,
    launch: ProcessSpec,
) -> Result<ProcessSpec, SpawnError> {
    let program = match backend {
        SandboxBackend::Bubblewrap | SandboxBackend::Namespaces => {
            PathBuf::from(TOS_PATH_IN_SANDBOX)
        }
        SandboxBackend::Landlock | SandboxBackend::None => launch.program.clone(),
    };
    confine(options, backend, proxy, ProcessSpec { program, ..launch })
}

fn staged(options: &Options, backend: SandboxBackend, folder: &tempfile::TempDir) -> Options {
    Options {
        limits: limits(backend),
        root: folder.path().join("root"),
        protected: Options::new(PathBuf::new(), PathBuf::new()).protected,
        home: Some(folder.path().join("home")),
        path: with_tools(&options.path, folder.path()),
        // What lasts belongs to the commands of the run.
        temporary: None,
        level: if options.level == ConfinementLevel::Off {
            ConfinementLevel::Workspace
        } else {
            options.level
        },
        ..options.clone()
    }
}

fn unique(folder: &tempfile::TempDir) -> String {
    folder
        .path()
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn find(proofs: &mut Answers, capability: SandboxCapability) -> Option<&mut CapabilityProof> {
    proofs
        .iter_mut()
        .find(|proof| proof.capability == capability)
}

fn is_free(lock: &fs::File) -> bool {
    rustix::fs::flock(lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
}
