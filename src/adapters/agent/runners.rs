//! Runners behind walls: one for agents, which reaches their own servers, one for tests, which reaches none.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    adapters::{
        agent::{logins, logins::LoginStore},
        process, sandbox, state_folder, temporary,
    },
    domain::{
        process::{CapturedOutput, CommandResult, ExitStatus, SpawnError},
        redaction::Redactor,
        sandbox::{
            ConfinementLevel, NetworkAccess, SandboxBackend, SandboxCapability, SandboxReport,
            home::TOOLCHAIN_VARIABLES,
        },
        tasks::{Agent, SandboxDemand},
    },
    ports::{
        BoxFuture,
        agent_runners::{AgentSandboxes, ConfinementFacts},
        runner::{CommandRequest, CommandRunner, StopSignal},
        sandbox::Sandbox as _,
    },
};

/// How often the logins of an agent at work are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What runners need to know once.
#[derive(Debug, Clone)]
pub struct AgentSandboxOptions {
    /// The user's home, from which credentials are copied and whose secrets are hidden.
    pub home: Option<PathBuf>,
    /// The environment of tos.
    pub environment: Vec<(OsString, OsString)>,
    /// Removes secrets from what programs print.
    pub redactor: Redactor,
    /// The program of tos, which is also the jailer.
    pub program: PathBuf,
    /// Where trials of walls are kept.
    pub state: PathBuf,
    /// Ceilings of one program.
    pub limits: sandbox::ResourceLimits,
    /// What is shown of covered folders beyond what programs need.
    pub show: Vec<PathBuf>,
    /// The walls that may be used, best first.
    pub backends: Vec<SandboxBackend>,
}

/// Who works in a task folder. What an agent leaves in its temporary directory is not there for the tests that judge it.
#[derive(Debug, Clone, Copy)]
enum Who {
    Agent,
    Tests,
}

impl Who {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Tests => "tests",
        }
    }
}

/// Runs agents and tests on this machine.
#[derive(Debug, Clone)]
pub struct LocalAgentSandboxes(AgentSandboxOptions, LoginStore, Arc<Mutex<Redactor>>);

impl LocalAgentSandboxes {
    /// Makes them.
    pub fn new(options: AgentSandboxOptions) -> Self {
        let logins = LoginStore::new(options.home.clone(), &options.state);
        let redactor = Arc::new(Mutex::new(options.redactor.clone()));
        Self(options, logins, redactor)
    }

    fn redactor(&self) -> MutexGuard<'_, Redactor> {
        self.2.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn variable(&self, name: &str) -> Option<OsString> {
        let found = self.0.environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }

    /// Returns the environment of tos, with the toolchains of the user's home for programs that have another home.
    fn environment(&self) -> Vec<(OsString, OsString)> {
        let mut environment = self.0.environment.clone();
        for (name, folder) in TOOLCHAIN_VARIABLES {
            let folder = self.0.home.as_ref().map(|home| home.join(folder));
            let folder = folder.filter(|folder| folder.is_dir());
            if let Some(folder) = folder.filter(|_| self.variable(name).is_none()) {
                environment.push((name.into(), folder.into()));
            }
        }
        environment
    }

    fn wall(
        &self,
        task_folder: &Path,
        hosts: &[String],
        sandbox: SandboxDemand,
        who: Who,
    ) -> sandbox::BackendSandbox {
        let usual = sandbox::Options::new(task_folder.to_owned(), self.0.program.clone());
        let options = sandbox::Options {
            level: if sandbox == SandboxDemand::Off {
                ConfinementLevel::Off
            } else {
                ConfinementLevel::Workspace
            },
            open_if_unproved: sandbox == SandboxDemand::Auto,
            network: if hosts.is_empty() {
                NetworkAccess::None
            } else {
                NetworkAccess::Allowlist
            },
            allow_hosts: hosts.to_vec(),
            protected: Vec::new(),
            // Where it cannot be kept, it is compared with what it was when the agent has ended.
            protected_by_mounts: vec![PathBuf::from("tree/.git")],
            home: self.0.home.clone(),
            // Other task folders have homes with logins in them.
            covered: vec![self.0.state.clone()],
            show: self.0.show.clone(),
            backends: self.0.backends.clone(),
            temporary: temporary::folder_for_task(task_folder)
                .map(|folder| folder.join(who.as_str())),
            path: self.variable("PATH").unwrap_or(usual.path.clone()),
            limits: self.0.limits,
            state: self.0.state.clone(),
            ..usual
        };
        sandbox::BackendSandbox::new(options)
    }

    fn runner(
        &self,
        task_folder: &Path,
        hosts: &[String],
        own_keys: &[String],
        sandbox: SandboxDemand,
        (who, folders): (Who, &[&str]),
    ) -> Arc<dyn CommandRunner> {
        let own = own_keys
            .iter()
            .filter_map(|name| Some((OsString::from(name), self.variable(name)?)));
        let options = process::CommandRunnerOptions {
            own_keys: own.collect(),
            base_environment: with_folders(self.environment(), self.0.home.as_deref(), folders),
            allow_environment: TOOLCHAIN_VARIABLES
                .iter()
                .map(|(name, _)| (*name).to_owned())
                .collect(),
            ..process::CommandRunnerOptions::new(task_folder.to_owned(), self.redactor().clone())
        };
        let wall = self.wall(task_folder, hosts, sandbox, who);
        Arc::new(process::LocalCommandRunner::new(
            options,
            Some(Arc::new(wall)),
        ))
    }
}

/// Returns an agent with the login it will use: what it names, or what a home and the variables that are set have for its
/// kind.
pub fn with_default_login(
    agent: &Agent,
    home: Option<&Path>,
    is_set: impl Fn(&str) -> bool,
) -> Agent {
    let is_there = |file: &str| home.is_some_and(|home| home.join(file).is_file());
    agent.with_usual_login(is_there, is_set)
}

/// Returns the folders of a home, beside those on `PATH`, where the programs of a kind of agent may lie.
pub fn agent_program_folders(home: Option<&Path>, folders: &[&str]) -> Vec<PathBuf> {
    let all = folders.iter().filter_map(|folder| Some(home?.join(folder)));
    all.filter(|folder| folder.is_dir()).collect()
}

/// Puts folders below the home directory that exist at the end of `PATH`.
fn with_folders(
    mut environment: Vec<(OsString, OsString)>,
    home: Option<&Path>,
    folders: &[&str],
) -> Vec<(OsString, OsString)> {
    let there = agent_program_folders(home, folders);
    let path = environment.iter_mut().find(|(name, _)| name == "PATH");
    if let Some((_, path)) = path.filter(|_| !there.is_empty()) {
        let all = std::env::split_paths(path.as_os_str()).chain(there);
        // A folder with a colon in its name cannot stand in `PATH` at all.
        if let Ok(longer) = std::env::join_paths(all) {
            *path = longer;
        }
    }
    environment
}

impl AgentSandboxes for LocalAgentSandboxes {
    fn with_login(&self, agent: &Agent) -> Agent {
        with_default_login(agent, self.0.home.as_deref(), |name| {
            self.variable(name).is_some_and(|value| !value.is_empty())
        })
    }

    fn homes(&self, task_folder: &Path) -> (String, String) {
        let home = |name| task_folder.join(name).to_string_lossy().into_owned();
        (home("home"), home("test-home"))
    }

    fn write_prompt(&self, task_folder: &Path, text: &str) -> Result<PathBuf, String> {
        let file = task_folder.join("prompt.txt");
        // The agent of an earlier attempt may have put a link in its place.
        let write = || {
            let real = task_folder.canonicalize()?.join("prompt.txt");
            logins::replace(&real, text.as_bytes(), 0o600)
        };
        write().map_err(|error| {
            format!(
                "the prompt cannot be written to {}: {error}",
                file.display()
            )
        })?;
        Ok(file)
    }

    fn prepare_home(&self, task_folder: &Path, agent: &Agent) -> Result<(String, String), String> {
        if let Some(what) = self.missing_credential(agent) {
            return Err(format!("the agent needs {what}"));
        }
        let make = || -> io::Result<(String, String)> {
            let homes = ["home", "test-home"].map(|name| task_folder.join(name));
            for home in &homes {
                // The agent of an earlier attempt may have put a link in its place.
                if home.is_symlink() {
                    fs::remove_file(home)?;
                }
                state_folder::create_dir_all(home)?;
                fs::set_permissions(home, fs::Permissions::from_mode(0o700))?;
            }
            self.1.copy(task_folder, &homes[0], &agent.credentials)?;
            let real = task_folder.canonicalize()?.join("home");
            for (name, text) in agent.settings_files() {
                let to = real.join(name);
                if to.symlink_metadata().is_err() {
                    logins::replace(&to, text.as_bytes(), 0o600)?;
                }
            }
            Ok(homes.map(|home| home.to_string_lossy().into_owned()).into())
        };
        make().map_err(|error| format!("the home of the agent cannot be made: {error}"))
    }

    fn missing_credential(&self, agent: &Agent) -> Option<String> {
        let mut names = agent.environment.iter();
        if let Some(name) = names.find(|name| self.variable(name).is_none()) {
            return Some(format!("{name}, which is not set"));
        }
        let mut files = agent.credentials.iter();
        let missing = files.find(|name| {
            let path = self.0.home.as_ref().map(|home| home.join(name));
            !path.is_some_and(|path| path.exists())
        });
        missing.map(|name| format!("~/{name}, which does not exist"))
    }

    fn remove_credentials(&self, task_folder: &Path) {
        warn(self.1.finish(task_folder));
        // What cannot be removed goes with the whole task folder a moment later.
        drop(fs::remove_dir_all(task_folder.join("home")));
    }

    fn recover_logins(&self) -> Vec<String> {
        self.1.recover()
    }

    fn redact_values(&self, secrets: &[String]) {
        if !secrets.is_empty() {
            let mut redactor = self.redactor();
            *redactor = redactor.with_values(secrets.iter().cloned());
        }
    }

    fn agent_runner(
        &self,
        task_folder: &Path,
        agent: &Agent,
        sandbox: SandboxDemand,
    ) -> Arc<dyn CommandRunner> {
        let inner = self.runner(
            task_folder,
            &agent.required_hosts(),
            &agent.environment,
            sandbox,
            (Who::Agent, agent.kind.usual_folders()),
        );
        Arc::new(LoginKeepingRunner {
            inner,
            logins: self.1.clone(),
            task_folder: task_folder.to_owned(),
            asked: watch::Sender::new(false),
        })
    }

    fn test_runner(&self, task_folder: &Path, sandbox: SandboxDemand) -> Arc<dyn CommandRunner> {
        self.runner(task_folder, &[], &[], sandbox, (Who::Tests, &[]))
    }

    fn confinement<'a>(
        &'a self,
        task_folder: &'a Path,
        hosts: &'a [String],
        sandbox: SandboxDemand,
    ) -> BoxFuture<'a, ConfinementFacts> {
        Box::pin(async move {
            let tests = told(
                &self
                    .wall(task_folder, &[], sandbox, Who::Tests)
                    .report()
                    .await,
            );
            if hosts.is_empty() {
                return tests;
            }
            // A wall that cannot let an agent through to its hosts is none for the agent.
            let agents = told(
                &self
                    .wall(task_folder, hosts, sandbox, Who::Agent)
                    .report()
                    .await,
            );
            both(&tests, agents)
        })
    }
}

/// Runs an agent while its logins and those of the user are kept together.
struct LoginKeepingRunner {
    inner: Arc<dyn CommandRunner>,
    logins: LoginStore,
    task_folder: PathBuf,
    /// Whether somebody asked it to end.
    asked: watch::Sender<bool>,
}

impl LoginKeepingRunner {
    async fn stay(&self, order: &CommandRequest) -> Result<CommandResult, SpawnError> {
        self.asked.send_replace(false);
        let mut asked = self.asked.subscribe();
        let mut turn = tokio::select! {
            turn = self.logins.acquire_renewal(&self.task_folder) => turn,
            _ = asked.wait_for(|asked| *asked) => return Ok(cancelled()),
            () = tokio::time::sleep(order.deadline) => None,
        };
        let mut running = self.inner.run(order);
        let ended = loop {
            tokio::select! {
                ended = &mut running => break ended,
                () = tokio::time::sleep(LOOK) => {
                    self.logins.sync_logins(&self.task_folder);
                    if turn.is_some() && self.logins.due_for_renewal(&self.task_folder).is_empty() {
                        turn = None;
                    }
                }
            }
        };
        warn(self.logins.sync_logins(&self.task_folder));
        drop(turn);
        ended
    }
}

impl CommandRunner for LoginKeepingRunner {
    fn run<'a>(
        &'a self,
        order: &'a CommandRequest,
    ) -> BoxFuture<'a, Result<CommandResult, SpawnError>> {
        Box::pin(self.stay(order))
    }

    fn interrupt(&self, how: StopSignal) {
        self.asked.send_replace(true);
        self.inner.interrupt(how);
    }

    fn take_refused_hosts(&self) -> Vec<String> {
        self.inner.take_refused_hosts()
    }

    fn kill_survivors<'a>(&'a self, token_prefix: &'a str) -> BoxFuture<'a, u32> {
        self.inner.kill_survivors(token_prefix)
    }
}

/// Returns the end of what never began.
fn cancelled() -> CommandResult {
    CommandResult {
        exit: ExitStatus::Cancelled,
        stdout: CapturedOutput::default(),
        stderr: CapturedOutput::default(),
        elapsed_ms: 0,
        leftovers: 0,
    }
}

fn warn(lines: Vec<String>) {
    for line in lines {
        tracing::warn!("{line}");
    }
}

/// Returns what holds for tests and for agents.
fn both(tests: &ConfinementFacts, agents: ConfinementFacts) -> ConfinementFacts {
    let backend = if tests.backend == "none" {
        tests.backend.clone()
    } else {
        agents.backend
    };
    let shared = agents.capabilities.into_iter();
    ConfinementFacts {
        backend,
        capabilities: shared
            .filter(|word| tests.capabilities.contains(word))
            .collect(),
    }
}

/// Puts what was proved into the words of the gates.
fn told(report: &SandboxReport) -> ConfinementFacts {
    let backend = report.choice.backend().unwrap_or(SandboxBackend::None);
    let trial = report.trials.iter().find(|trial| trial.backend == backend);
    let proved = |wanted: &[SandboxCapability]| {
        wanted.iter().all(|capability| {
            trial.is_some_and(|trial| {
                trial
                    .proofs
                    .iter()
                    .any(|proof| proof.capability == *capability && proof.holds == Some(true))
            })
        })
    };
    let words: [(&str, &[SandboxCapability]); 5] = [
        (
            "fs_confined",
            &[
                SandboxCapability::WritesOutside,
                SandboxCapability::SecretsHidden,
            ],
        ),
        (
            "net_allowlist",
            if report.network == NetworkAccess::Allowlist {
                &[SandboxCapability::Allowlist]
            } else {
                &[SandboxCapability::NoNetwork]
            },
        ),
        ("mem_cap", &[SandboxCapability::Memory]),
        ("pids_cap", &[SandboxCapability::Processes]),
        ("disk_cap", &[SandboxCapability::FileSize]),
    ];
    let always = ["worktree", "env_min", "home_redirect", "kill_tree"];
    let behind = words
        .iter()
        .filter(|(_, needed)| backend != SandboxBackend::None && proved(needed))
        .map(|(word, _)| *word);
    ConfinementFacts {
        backend: backend.as_str().to_owned(),
        capabilities: always
            .into_iter()
            .chain(behind)
            .map(str::to_owned)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sandbox::{BackendChoice, BackendTest, CapabilityProof};

    fn report(
        network: NetworkAccess,
        backend: SandboxBackend,
        proved: &[SandboxCapability],
    ) -> SandboxReport {
        let proofs = proved.iter().map(|capability| CapabilityProof {
            capability: *capability,
            holds: Some(true),
            how: String::new(),
        });
        let trial = BackendTest {
            backend: SandboxBackend::Landlock,
            proofs: proofs.collect(),
            absent: None,
            is_untried: false,
        };
        SandboxReport {
            level: ConfinementLevel::Workspace,
            network,
            choice: match backend {
                SandboxBackend::None => BackendChoice::Degraded {
                    backend,
                    missing: vec![SandboxCapability::Allowlist],
                },
                backend => BackendChoice::Proved { backend },
            },
            trials: vec![trial],
        }
    }

    #[test]
    fn an_agent_that_runs_without_a_wall_is_not_confined_by_the_wall_of_its_tests() {
        let files = [
            SandboxCapability::WritesOutside,
            SandboxCapability::SecretsHidden,
        ];
        let nothing_out = [&files[..], &[SandboxCapability::NoNetwork]].concat();
        let tests = told(&report(
            NetworkAccess::None,
            SandboxBackend::Landlock,
            &nothing_out,
        ));
        assert_eq!(tests.backend, "landlock");
        assert!(tests.capabilities.contains(&"fs_confined".to_owned()));
        let open = told(&report(
            NetworkAccess::Allowlist,
            SandboxBackend::None,
            &files,
        ));
        let seen = both(&tests, open);
        assert_eq!(seen.backend, "none");
        assert_eq!(
            seen.capabilities,
            ["worktree", "env_min", "home_redirect", "kill_tree"]
        );
    }

    #[test]
    fn what_an_agent_reaches_is_limited_only_where_the_list_of_hosts_was_tried() {
        let word = "net_allowlist".to_owned();
        let out = [SandboxCapability::NoNetwork];
        let through = [SandboxCapability::Allowlist];
        let told = |network, proved| told(&report(network, SandboxBackend::Landlock, proved));
        assert!(told(NetworkAccess::None, &out).capabilities.contains(&word));
        assert!(
            !told(NetworkAccess::Allowlist, &out)
                .capabilities
                .contains(&word)
        );
        assert!(
            told(NetworkAccess::Allowlist, &through)
                .capabilities
                .contains(&word)
        );
    }
}
