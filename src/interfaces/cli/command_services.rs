//! What runs single commands outside of a job: judged by whoever asks, confined as the settings say.

use std::{path::PathBuf, sync::Arc};

use crate::{
    config::Settings,
    domain::policy::PolicyContext,
    interfaces::cli::{
        args::{ApprovalMode, GlobalArgs},
        exit::CliError,
    },
    ports::{
        approvals::Approvals, runner::CommandRunner, self_process::SelfProcess,
        telemetry::Telemetry,
    },
};

/// Builds what runs single commands.
pub trait CommandServiceFactory {
    /// Returns 64 hexadecimal digits that nobody can guess.
    fn fresh_secret(&self) -> std::io::Result<String>;

    /// Builds the runner behind its wall, and the circumstances under which its commands are judged.
    fn command_services(
        &self,
        settings: &Settings,
        who: ApprovalMode,
    ) -> Result<CommandServices, CliError>;

    /// Says whether the address of a collector on the command line is one.
    fn check_collector(&self, global: &GlobalArgs) -> Result<(), CliError>;

    /// Returns why the collector that is asked for takes nothing, in one sentence; `None` where it does, or nobody asked for one.
    fn collector_fault(&self, global: &GlobalArgs) -> Option<String>;

    /// Returns what exports spans and metrics; `None` = nobody asked for it, and nothing of it is built.
    fn telemetry(&self, global: &GlobalArgs) -> Result<Option<Arc<dyn Telemetry>>, CliError>;
}

/// What runs single commands.
#[derive(Clone)]
pub struct CommandServices {
    /// Runs what was judged.
    pub runner: Arc<dyn CommandRunner>,
    /// Asks a person.
    pub approvals: Arc<dyn Approvals>,
    /// How commands are judged here.
    pub world: PolicyContext,
    /// The id of this process, the first part of every command's token.
    pub run: String,
    /// Where whole outputs go.
    pub outputs: PathBuf,
    /// What the wall is worth, in one sentence.
    pub confinement: String,
    /// What has to be said loudly where no proved wall stands.
    pub notice: Option<String>,
    /// This program as a child.
    pub tos: Arc<dyn SelfProcess>,
}

impl std::fmt::Debug for CommandServices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommandServices").finish_non_exhaustive()
    }
}
