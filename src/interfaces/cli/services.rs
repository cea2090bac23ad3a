//! What commands may ask the composition root for.

use std::{
    any::Any,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::watch;

use crate::{
    config::Settings,
    domain::{
        checkpoint::RollbackTemplateFile,
        command::Command,
        job::{JobSetup, event::RunSettingsRecord},
        policy::PolicyContext,
        sandbox,
    },
    interfaces::cli::{
        args::{ApprovalMode, GlobalArgs},
        command_services::CommandServiceFactory,
        exit::CliError,
        guard_services::GuardServiceFactory,
        task_services::TaskServiceFactory,
    },
    ports::{
        BoxFuture, checkpoints::Checkpoints, clock::Clock, plan_host::TaskConfinement,
        plan_store::PlanStore, self_process::SelfProcess, store::Store, terminal::Terminal,
    },
    services::{JobPorts, job::run_loop::CommandSettings, plan::PlanConfinementFacts},
};

/// Everything one run of a job needs.
pub struct JobServices {
    /// The ports.
    pub ports: JobPorts,
    /// What drives the machine.
    pub setup: JobSetup,
    /// The facts for the records.
    pub facts: RunSettingsRecord,
    /// Where and how commands run.
    pub workshop: CommandSettings,
    /// What has to be said before anything runs, loudest first.
    pub notices: Vec<String>,
}

impl std::fmt::Debug for JobServices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobServices").finish_non_exhaustive()
    }
}

/// What stands around the tasks of a plan whose policy is enforced.
#[derive(Debug)]
pub struct PlanConfinement {
    /// What the runner of the run needs.
    pub guard: TaskConfinement,
    /// What is recorded about it.
    pub confinement: PlanConfinementFacts,
    /// The circumstances under which the commands are judged.
    pub world: PolicyContext,
    /// What has to be said before anything runs.
    pub notice: Option<String>,
}

/// A thing that `tos doctor` looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DoctorFinding {
    /// What was looked at.
    pub what: String,
    /// `ok`, `warning` or `problem`.
    pub verdict: &'static str,
    /// What was seen, and what to do about it.
    pub seen: String,
}

/// Builds things on demand.
pub trait ServiceFactory: TaskServiceFactory + CommandServiceFactory + GuardServiceFactory {
    /// Returns the root that the words and the current directory mean.
    fn root(&self, global: &GlobalArgs) -> PathBuf;

    /// Returns the root where nobody named it and it is not the current directory.
    fn root_above(&self, global: &GlobalArgs) -> Option<PathBuf>;

    /// Resolves the settings.
    fn settings(&self, global: &GlobalArgs) -> Result<Settings, CliError>;

    /// Returns an environment variable.
    fn env_var(&self, name: &str) -> Option<String>;

    /// Builds the store; `summary` replaces the usual place of the run summary.
    fn store(&self, settings: &Settings, summary: Option<PathBuf>) -> Arc<dyn Store>;

    /// Builds a store with the default places, for when the settings cannot be read; `None` where there
    /// is no root either.
    fn store_without_settings(
        &self,
        global: &GlobalArgs,
        summary: Option<PathBuf>,
    ) -> Option<Arc<dyn Store>>;

    /// Makes the folders the documentation promises.
    fn make_folders(&self, settings: &Settings) -> Result<(), CliError>;

    /// Returns who holds a lock, in words; `None` = nobody alive.
    fn lock_holder(&self, lock: &Path) -> Option<String>;

    /// Returns the mark of what the job is for, as runs record it.
    fn goal_digest(&self, settings: &Settings) -> Result<String, CliError>;

    /// Takes the right to write; it is given back when the value is dropped.
    fn lock(&self, settings: &Settings, words: &str) -> Result<Box<dyn Any>, CliError>;

    /// Builds everything a run needs.
    fn job_services(
        &self,
        settings: &Settings,
        mode: &str,
        approvals: Option<ApprovalMode>,
        store: Arc<dyn Store>,
    ) -> Result<JobServices, CliError>;

    /// Takes away the temporary directory that the commands of the job had in common.
    fn remove_temp_folder(&self, settings: &Settings);

    /// Returns the questions that runs have left and nobody has answered.
    fn open_questions(&self, settings: &Settings) -> Vec<serde_json::Value>;

    /// Answers a question; `Ok(false)` where no such question is open.
    fn answer_question(&self, settings: &Settings, id: &str, yes: bool) -> Result<bool, CliError>;

    /// Returns what has to be said first where recordings stand in for models.
    fn replay_notice(&self, settings: &Settings) -> Option<String>;

    /// Tells whether something is there that is no summary of a run and must not be replaced by one.
    fn is_not_written_by_tos(&self, global: &GlobalArgs, file: &Path) -> bool;

    /// Writes rules that let this command pass from now on; returns where they stand.
    fn save_allow_rules(&self, settings: &Settings, command: &Command) -> Result<String, CliError>;

    /// Builds the checkpoints of the root.
    fn checkpoints(&self, settings: &Settings) -> Arc<dyn Checkpoints>;

    /// Writes a small file below the root in one piece.
    fn write_root_file(
        &self,
        settings: &Settings,
        file: &std::path::Path,
        text: &str,
    ) -> Result<(), CliError>;

    /// Reads a file below the root; `None` where there is none.
    fn read_root_file(&self, settings: &Settings, file: &std::path::Path) -> Option<Vec<u8>>;

    /// Returns the files of a root that a person fills in, with what `tos init` has put there.
    fn placeholders(&self, settings: &Settings) -> Vec<RollbackTemplateFile>;

    /// Lays out a new root; returns what was made and what was left alone, one line each.
    fn init(&self, directory: &std::path::Path, sample: bool) -> Result<Vec<String>, CliError>;

    /// Builds what keeps plans and their runs.
    fn plan_store(&self) -> Box<dyn PlanStore>;

    /// Builds what starts this program again.
    fn self_process(&self) -> Box<dyn SelfProcess>;

    /// Takes over the terminal, where there is one.
    fn terminal(&self) -> Option<Box<dyn Terminal>>;

    /// Builds what stands around the tasks of an enforced plan that runs in `workdir`, keeps its runs in `home` and was
    /// read from `sources`.
    fn plan_confinement(
        &self,
        settings: &Settings,
        home: &std::path::Path,
        workdir: &std::path::Path,
        sources: &[PathBuf],
    ) -> Result<PlanConfinement, CliError>;

    /// Returns the circumstances under which the policy judges what starts in `root`.
    fn policy_context(&self, root: &Path, attended: bool) -> PolicyContext;

    /// Builds the clock.
    fn clock(&self) -> Box<dyn Clock>;

    /// Looks at everything a run needs.
    fn doctor_findings(&self, settings: &Settings, online: bool) -> Vec<DoctorFinding>;

    /// Tries every wall around commands that this machine may have.
    fn test_sandbox(&self, settings: &Settings) -> Result<sandbox::SandboxReport, CliError>;

    /// Runs a future to its end, with a counter of requests to stop.
    fn block_on<'a>(
        &self,
        act: Box<dyn FnOnce(watch::Receiver<u8>) -> BoxFuture<'a, ()> + 'a>,
    ) -> Result<(), CliError>;
}

/// Runs a future that returns a value.
pub fn block_on<'a, T: 'a + Send>(
    services: &dyn ServiceFactory,
    act: impl FnOnce(watch::Receiver<u8>) -> BoxFuture<'a, T> + 'a,
) -> Result<T, CliError> {
    let slot = Arc::new(std::sync::Mutex::new(None));
    let inner = Arc::clone(&slot);
    services.block_on(Box::new(move |stop| {
        let future = act(stop);
        Box::pin(async move {
            let value = future.await;
            if let Ok(mut slot) = inner.lock() {
                *slot = Some(value);
            }
        })
    }))?;
    let value = slot.lock().ok().and_then(|mut slot| slot.take());
    value.ok_or_else(|| CliError::NotDone("the work ended without a result".to_owned()))
}
