//! Attempts in containers of podman or docker, by their own command lines.
//!
//! What a command sees of the machine is its task folder, at the same place, and the git directory of the repository, which
//! it cannot write. It has no capabilities, no more privileges than it begins with, and no image is ever fetched for it.
//! Dangers: a container is no child of this process, so whatever way a command ends, its container is removed by name; an
//! agent's keys go in by name, never by value, because command lines can be read by everybody.

mod command_line;
mod runner;

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use command_line::ContainerSpec;
use runner::ContainerRunner;

use crate::{
    adapters::process::{self, find_program},
    domain::{
        redaction::Redactor,
        sandbox::home::TOOLCHAIN_VARIABLES,
        tasks::{Agent, SandboxDemand},
    },
    ports::{
        BoxFuture,
        agent_runners::{AgentSandboxes, ConfinementFacts},
        containers::Containers,
        runner::CommandRunner,
    },
};

/// The programs that are looked for, the better first: one without a service of its own.
const PROGRAMS: [&str; 2] = ["podman", "docker"];
/// Variables that the program itself needs to find its configuration and its service.
const OWN_VARIABLES: [&str; 9] = [
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "CONTAINER_HOST",
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
];

/// What containers are made with.
#[derive(Clone)]
pub struct ContainerOptions {
    /// The root whose attempts run in them.
    pub root: PathBuf,
    /// The environment of tos.
    pub environment: Vec<(OsString, OsString)>,
    /// Removes secrets from what programs print.
    pub redactor: Redactor,
    /// Prepares homes and logins.
    pub host: Arc<dyn AgentSandboxes>,
}

/// Makes runners with the program that is here.
pub struct LocalContainers(ContainerOptions);

impl LocalContainers {
    /// Makes them; looks at nothing yet.
    pub const fn new(options: ContainerOptions) -> Self {
        Self(options)
    }

    fn variable(&self, name: &str) -> Option<&OsString> {
        let found = self.0.environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value)
    }

    fn program(&self) -> Option<PathBuf> {
        let path = self.variable("PATH")?;
        let find = |name: &&str| find_program::find(path, Path::new("/"), name.as_ref());
        PROGRAMS.iter().find_map(find)
    }

    /// Asks the program something; returns what it printed.
    fn ask(&self, program: &Path, words: &[&str]) -> io::Result<String> {
        let output = Command::new(program)
            .args(words)
            .env_clear()
            .envs(self.0.environment.iter().cloned())
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() {
            return Ok(said);
        }
        let error = String::from_utf8_lossy(&output.stderr);
        let last = error.lines().rev().find(|line| !line.trim().is_empty());
        Err(io::Error::other(last.unwrap_or("it failed").to_owned()))
    }
}

impl Containers for LocalContainers {
    fn runners(&self, image: &str, network: &str) -> Result<Arc<dyn AgentSandboxes>, String> {
        let program = self.program().ok_or(
            "EXECUTION_ENVIRONMENT is sandbox, and neither podman nor docker is installed here; install one of them, or \
             write EXECUTION_ENVIRONMENT = \"host\": attempts then run behind the walls of this machine",
        )?;
        self.ask(&program, &["image", "inspect", "--format", "{{.Id}}", image])
            .map_err(|error| {
                let name = program.file_name().unwrap_or_default().to_string_lossy();
                format!(
                    "SANDBOX_DOCKER_IMAGE is {image}, which {name} cannot use: {error}; `{name} pull {image}` fetches one"
                )
            })?;
        Ok(Arc::new(ContainerRunners {
            options: self.0.clone(),
            program,
            image: image.to_owned(),
            network: network.to_owned(),
        }))
    }

    fn remove_leftovers(&self) -> usize {
        let Some(program) = self.program() else {
            return 0;
        };
        let label = format!("label={}", command_line::label_of(&self.0.root));
        let found = self.ask(&program, &["ps", "--all", "--quiet", "--filter", &label]);
        let found = found.unwrap_or_default();
        let ids: Vec<&str> = found.lines().collect();
        let gone = |id: &&&str| self.ask(&program, &["rm", "--force", id]).is_ok();
        ids.iter().filter(gone).count()
    }
}

/// Runs agents and tests in containers; homes and logins are prepared as for the machine itself.
struct ContainerRunners {
    options: ContainerOptions,
    program: PathBuf,
    image: String,
    network: String,
}

impl ContainerRunners {
    fn runner(&self, task_folder: &Path, network: &str, keys: &[String]) -> Arc<dyn CommandRunner> {
        let value = |name: &String| {
            let mut all = self.options.environment.iter();
            all.find(|(known, _)| *known == **name)
                .map(|(known, value)| (known.clone(), value.clone()))
        };
        let mut allowed: Vec<String> = OWN_VARIABLES.map(str::to_owned).into();
        allowed.extend(
            TOOLCHAIN_VARIABLES
                .iter()
                .map(|(name, _)| (*name).to_owned()),
        );
        let options = process::CommandRunnerOptions {
            own_keys: keys.iter().filter_map(value).collect(),
            base_environment: self.options.environment.clone(),
            allow_environment: allowed,
            ..process::CommandRunnerOptions::new(
                task_folder.to_owned(),
                self.options.redactor.clone(),
            )
        };
        Arc::new(ContainerRunner {
            inner: process::LocalCommandRunner::new(options, None),
            spec: ContainerSpec {
                program: self.program.clone(),
                image: self.image.clone(),
                network: network.to_owned(),
                label: command_line::label_of(&self.options.root),
                task_folder: task_folder.to_owned(),
                keys: keys.to_vec(),
                user: command_line::user_options(
                    &self.program,
                    rustix::process::getuid().as_raw(),
                    rustix::process::getgid().as_raw(),
                ),
            },
            environment: self.options.environment.clone(),
        })
    }
}

impl AgentSandboxes for ContainerRunners {
    fn with_login(&self, agent: &Agent) -> Agent {
        self.options.host.with_login(agent)
    }

    fn homes(&self, task_folder: &Path) -> (String, String) {
        self.options.host.homes(task_folder)
    }

    fn write_prompt(&self, task_folder: &Path, text: &str) -> Result<PathBuf, String> {
        self.options.host.write_prompt(task_folder, text)
    }

    fn prepare_home(&self, task_folder: &Path, agent: &Agent) -> Result<(String, String), String> {
        self.options.host.prepare_home(task_folder, agent)
    }

    fn missing_credential(&self, agent: &Agent) -> Option<String> {
        self.options.host.missing_credential(agent)
    }

    fn remove_credentials(&self, task_folder: &Path) {
        self.options.host.remove_credentials(task_folder);
    }

    fn recover_logins(&self) -> Vec<String> {
        self.options.host.recover_logins()
    }

    fn redact_values(&self, secrets: &[String]) {
        self.options.host.redact_values(secrets);
    }

    fn agent_runner(
        &self,
        task_folder: &Path,
        agent: &Agent,
        _sandbox: SandboxDemand,
    ) -> Arc<dyn CommandRunner> {
        self.runner(task_folder, &self.network, &agent.environment)
    }

    fn test_runner(&self, task_folder: &Path, _sandbox: SandboxDemand) -> Arc<dyn CommandRunner> {
        self.runner(task_folder, "none", &[])
    }

    fn confinement<'a>(
        &'a self,
        _task_folder: &'a Path,
        _hosts: &'a [String],
        _sandbox: SandboxDemand,
    ) -> BoxFuture<'a, ConfinementFacts> {
        let words = [
            "worktree",
            "env_min",
            "home_redirect",
            "kill_tree",
            "fs_confined",
            "pids_cap",
        ];
        let facts = ConfinementFacts {
            backend: "container".to_owned(),
            capabilities: words.map(str::to_owned).into(),
        };
        Box::pin(async move { facts })
    }
}
