//! Runs one command in a container of its own, and removes the container whatever way the command ends.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::command_line::{ContainerSpec, name_of};
use crate::{
    adapters::process::LocalCommandRunner,
    domain::process::{CommandResult, SpawnError},
    ports::{
        BoxFuture,
        runner::{CommandRequest, CommandRunner, StopSignal},
    },
};

/// Runs commands in containers.
pub(super) struct ContainerRunner {
    /// Runs the program that makes them.
    pub(super) inner: LocalCommandRunner,
    pub(super) spec: ContainerSpec,
    pub(super) environment: Vec<(OsString, OsString)>,
}

/// A container that is gone when this is.
struct Container {
    program: PathBuf,
    name: String,
    environment: Vec<(OsString, OsString)>,
}

impl Container {
    /// Removes it; one that has ended is gone by itself.
    fn remove(&self) {
        let gone = Command::new(&self.program)
            .args(["rm", "--force", "--volumes", &self.name])
            .env_clear()
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if let Err(error) = gone {
            tracing::warn!("the container {} cannot be removed: {error}", self.name);
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.remove();
    }
}

impl ContainerRunner {
    async fn run_inside(&self, order: &CommandRequest) -> Result<CommandResult, SpawnError> {
        let name = name_of(&order.token, &self.spec.task_folder);
        let container = Container {
            program: self.spec.program.clone(),
            name: name.clone(),
            environment: self.environment.clone(),
        };
        let git = git_directory(&order.directory);
        let outer = CommandRequest {
            command: self.spec.command(
                &order.command,
                &order.directory,
                &order.environment,
                &name,
                git.as_deref(),
            ),
            environment: ContainerSpec::forwarded_environment(&order.environment),
            // What happens in a container is not seen from outside, so it would look idle.
            idle_deadline: None,
            ..order.clone()
        };
        let ended = self.inner.run(&outer).await;
        // Nothing of it may be alive when this returns.
        drop(tokio::task::spawn_blocking(move || drop(container)).await);
        ended
    }
}

/// Returns the git directory that a work tree shares with its repository.
fn git_directory(top: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(top.join(".git")).ok()?;
    let own = PathBuf::from(text.trim().strip_prefix("gitdir: ")?);
    let own = if own.is_absolute() {
        own
    } else {
        top.join(own)
    };
    let common = fs::read_to_string(own.join("commondir")).ok();
    let common = common.map_or_else(|| own.clone(), |text| own.join(text.trim()));
    common.canonicalize().ok()
}

impl CommandRunner for ContainerRunner {
    fn run<'a>(
        &'a self,
        order: &'a CommandRequest,
    ) -> BoxFuture<'a, Result<CommandResult, SpawnError>> {
        Box::pin(self.run_inside(order))
    }

    fn interrupt(&self, how: StopSignal) {
        self.inner.interrupt(how);
    }

    fn kill_survivors<'a>(&'a self, token_prefix: &'a str) -> BoxFuture<'a, u32> {
        self.inner.kill_survivors(token_prefix)
    }
}
