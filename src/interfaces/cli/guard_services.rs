//! What the commands of the guard may ask the composition root for.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    config::{agent_trust::GeminiTrustSources, guard::GuardSettings},
    domain::{
        guard::{
            HookAgent, NO_PROJECT, codex_trust::CodexHookList, installed::InstallRecord,
            protected::ProjectInspector,
        },
        policy::{GitUse, PolicyContext},
        sandbox::{HiddenFolder, SandboxBackend},
    },
    interfaces::cli::{args::GlobalArgs, exit::CliError},
    ports::{
        guard::{GuardCheckpoints, GuardLog},
        runner::CommandRunner,
    },
};

/// The project of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardedProject {
    /// Its root.
    pub root: PathBuf,
    /// The folder commands start in.
    pub folder: PathBuf,
}

impl GuardedProject {
    /// Returns whether this is no project: the home folder, or a folder that holds it.
    pub fn is_no_project(&self) -> bool {
        self.root.ends_with(NO_PROJECT)
    }
}

/// How a hook ended that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookTrialResult {
    /// Its status; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said on standard error.
    pub stderr: String,
}

/// What one command runs with.
pub struct ExecServices {
    /// Starts it behind the wall and ends its tree.
    pub runner: Arc<dyn CommandRunner>,
    /// Whether the wall proved what it promises.
    pub is_proved: bool,
    /// What builds the wall.
    pub wall: SandboxBackend,
    /// What has to be said where it did not.
    pub notice: Option<String>,
    /// Why a command that is git's own write finds the repository closed all the same.
    pub closed: Option<String>,
    /// How the wall hides the folder the command starts in, where it does.
    pub hidden: Option<HiddenFolder>,
    /// Is called when the command has ended; returns what had to be taken away from the repository.
    pub take_back: Box<dyn Fn() -> Vec<PathBuf>>,
    /// A folder for what it prints, which goes with this value.
    pub output: Box<dyn AsRef<Path>>,
}

impl std::fmt::Debug for ExecServices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecServices").finish_non_exhaustive()
    }
}

/// Builds what the guard needs.
pub trait GuardServiceFactory {
    /// Returns the project around a folder; the current folder where none is given.
    fn guard_project(&self, folder: Option<&Path>) -> GuardedProject;

    /// Reads the rules of this person and of a project.
    fn guard_settings(&self, root: &Path) -> Result<GuardSettings, String>;

    /// Returns the circumstances under which the guard judges.
    fn guard_context(&self, place: &GuardedProject, settings: &GuardSettings) -> PolicyContext;

    /// Returns folders that agents keep for themselves, absolute.
    fn agents_own_folders(&self) -> Vec<String>;

    /// Builds the view of a project that is asked about files to protect.
    fn project_view(&self, place: &GuardedProject) -> Box<dyn ProjectInspector>;

    /// Builds the checkpoints of the guard.
    fn guard_checkpoints(&self) -> Arc<dyn GuardCheckpoints>;

    /// Builds the log of the guard.
    fn guard_log(&self) -> Arc<dyn GuardLog>;

    /// Removes secrets from a command, or from a text about one.
    fn redact(&self, text: &str) -> String;

    /// Returns the present time as RFC 3339.
    fn time_stamp(&self) -> String;

    /// Returns how long this process has run, in microseconds.
    fn elapsed_micros(&self) -> u64;

    /// Returns the settings file of an agent: of this person, or of a project.
    fn agent_settings_path(
        &self,
        agent: HookAgent,
        project: Option<&Path>,
    ) -> Result<PathBuf, CliError>;

    /// Returns whether this person seems to use an agent.
    fn uses_agent(&self, agent: HookAgent) -> bool;

    /// Reads a settings file; `None` where there is none.
    fn read_settings(&self, path: &Path) -> Result<Option<String>, String>;

    /// Reads a text that a person names, which may come through a pipe; `None` where there is none.
    fn read_text(&self, path: &Path) -> Result<Option<String>, String>;

    /// Replaces a settings file if it still is what was read; `None` removes it.
    fn write_settings(
        &self,
        path: &Path,
        before: Option<&str>,
        after: Option<&str>,
    ) -> Result<(), String>;

    /// Returns what an installation did to a settings file; `None` where that is not known.
    fn install_record(&self, path: &Path) -> Option<InstallRecord>;

    /// Remembers what an installation did to a settings file; `None` forgets it.
    fn save_install_record(
        &self,
        path: &Path,
        record: Option<&InstallRecord>,
    ) -> Result<(), String>;

    /// Returns the folders that writing a file would make, the outermost first.
    fn missing_folders(&self, path: &Path) -> Vec<PathBuf>;

    /// Removes folders that are empty.
    fn remove_empty_folders(&self, folders: &[PathBuf]);

    /// Returns the path by which this program is started.
    fn current_exe(&self) -> Result<PathBuf, CliError>;

    /// Runs a hook command with a call on its standard input.
    fn try_hook(
        &self,
        command: &str,
        input: &str,
        folder: &Path,
    ) -> Result<HookTrialResult, String>;

    /// Asks Codex which hooks it would run in a folder; the error says why it could not be asked.
    fn codex_hooks(&self, folder: &Path) -> Result<CodexHookList, String>;

    /// Returns what decides whether Gemini CLI trusts a folder.
    fn gemini_trust_sources(&self) -> GeminiTrustSources;

    /// Returns a path with its links resolved, or unchanged where they cannot be.
    fn real_path(&self, path: &Path) -> PathBuf;

    /// Builds what one command runs with in a project; the whole output of a stream is at most so many bytes, and the
    /// repository is open to git where nothing else runs.
    fn exec(
        &self,
        global: &GlobalArgs,
        place: &GuardedProject,
        most_output: u64,
        git: GitUse,
    ) -> Result<ExecServices, CliError>;

    /// Returns a pipe with what comes on the standard input of tos; `None` where nothing can come.
    fn standard_input(&self) -> Result<Option<Arc<OwnedFd>>, CliError>;

    /// Says whether a program would be found by a command that starts in a folder.
    fn finds_program(&self, name: &str, folder: &Path) -> bool;

    /// Says whether a file that a command names by its path may be started.
    fn can_execute(&self, name: &str, folder: &Path) -> bool;

    /// Returns what a program says when it is asked for its version; `None` where it cannot be started.
    fn version_of(&self, program: &Path) -> Option<String>;
}
