//! Runners for agents and for tests, each in a sandbox of its own.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    domain::tasks::{Agent, SandboxDemand},
    ports::{BoxFuture, runner::CommandRunner},
};

/// What confines the programs of a task folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfinementFacts {
    /// What builds the wall.
    pub backend: String,
    /// What was proved, in the words of the gates.
    pub capabilities: Vec<String>,
}

/// Prepares homes, credentials, prompts and runners for agents and tests.
pub trait AgentSandboxes: Send + Sync {
    /// Returns the agent with the login it will use: what it names, or what this machine has for its kind.
    fn with_login(&self, agent: &Agent) -> Agent;

    /// Returns the two homes of a task folder: the agent's and the tests'.
    fn homes(&self, task_folder: &Path) -> (String, String);

    /// Writes a prompt where the agent of a task folder can read it, and returns the file.
    fn write_prompt(&self, task_folder: &Path, text: &str) -> Result<PathBuf, String>;

    /// Makes the homes of a task folder: one with the agent's credentials, one without. Returns both.
    fn prepare_home(&self, task_folder: &Path, agent: &Agent) -> Result<(String, String), String>;

    /// Says which variable or file of the agent's own login, named in the list, is not there.
    fn missing_credential(&self, agent: &Agent) -> Option<String>;

    /// Takes the credentials away again; what was renewed in them comes back to the user first.
    fn remove_credentials(&self, task_folder: &Path);

    /// Brings back what was renewed in task folders that a dead tos left; returns what people should know. Nothing of those
    /// task folders may be at work any more.
    fn recover_logins(&self) -> Vec<String>;

    /// Makes these values part of nothing that runners made from here on write.
    fn redact_values(&self, secrets: &[String]);

    /// Returns a runner for the agent, which reaches only these hosts.
    fn agent_runner(
        &self,
        task_folder: &Path,
        agent: &Agent,
        sandbox: SandboxDemand,
    ) -> Arc<dyn CommandRunner>;

    /// Returns a runner for tests: no credentials, no network.
    fn test_runner(&self, task_folder: &Path, sandbox: SandboxDemand) -> Arc<dyn CommandRunner>;

    /// Tells what confines the programs of a task folder: tests, which reach nothing, and agents, which reach these hosts.
    fn confinement<'a>(
        &'a self,
        task_folder: &'a Path,
        hosts: &'a [String],
        sandbox: SandboxDemand,
    ) -> BoxFuture<'a, ConfinementFacts>;
}
