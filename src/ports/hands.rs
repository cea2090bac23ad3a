//! Runners for agents and for tests: the same hands behind different walls.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    domain::guarded::{Agent, Sandbox},
    ports::{BoxFuture, runner::Runner},
};

/// What confines the programs of a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confined {
    /// What builds the wall.
    pub backend: String,
    /// What was proved, in the words of the gates.
    pub capabilities: Vec<String>,
}

/// Makes runners.
pub trait Hands: Send + Sync {
    /// Returns the agent with the login it will use: what it names, or what this machine has for its kind.
    fn with_login(&self, agent: &Agent) -> Agent;

    /// Returns the two homes of a room: the agent's and the tests'.
    fn homes(&self, room: &Path) -> (String, String);

    /// Writes a prompt where the agent of a room can read it, and returns the file.
    fn write_prompt(&self, room: &Path, text: &str) -> Result<PathBuf, String>;

    /// Makes the homes of a room: one with the agent's credentials, one without. Returns both.
    fn furnish(&self, room: &Path, agent: &Agent) -> Result<(String, String), String>;

    /// Says which variable or file of the agent's own login, named in the list, is not there.
    fn lacks(&self, agent: &Agent) -> Option<String>;

    /// Takes the credentials away again; what was renewed in them comes back to the user first.
    fn strip(&self, room: &Path);

    /// Brings back what was renewed in rooms that a dead tos left; returns what people should know. Nothing of those
    /// rooms may be at work any more.
    fn recover(&self) -> Vec<String>;

    /// Makes these values part of nothing that runners made from here on write.
    fn hide(&self, secrets: &[String]);

    /// Returns a runner for the agent, which reaches only these hosts.
    fn for_agent(&self, room: &Path, agent: &Agent, sandbox: Sandbox) -> Arc<dyn Runner>;

    /// Returns a runner for tests: no credentials, no network.
    fn for_tests(&self, room: &Path, sandbox: Sandbox) -> Arc<dyn Runner>;

    /// Tells what confines the programs of a room: tests, which reach nothing, and agents, which reach these hosts.
    fn confined<'a>(
        &'a self,
        room: &'a Path,
        hosts: &'a [String],
        sandbox: Sandbox,
    ) -> BoxFuture<'a, Confined>;
}
