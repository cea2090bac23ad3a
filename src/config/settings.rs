//! The settings the rest of tos receives: plain values, resolved once, before any work.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    config::source::EffectiveValues,
    domain::{
        job::rules::{JobRules, JobSeriesConfig, PerRole},
        provider::{OpenAiApi, Provider, Secret},
        sandbox::SandboxBackend,
    },
};

/// Everything that was configured, checked and resolved.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The root: absolute, links resolved.
    pub root: PathBuf,
    /// The configuration file; `None` = there is none and the defaults hold.
    pub config_file: Option<PathBuf>,
    /// What drives the job machine.
    pub rules: JobRules,
    /// The job loop as configured, also where it is off.
    pub configured_loop: JobSeriesConfig,
    /// The places of the job.
    pub paths: Paths,
    /// Who answers, by role.
    pub models: PerRole<ModelSettings>,
    /// The job input, where one is configured and the loop is on.
    pub payload: Option<JobInputSettings>,
    /// The file every model reply is recorded to, below the root.
    pub record: Option<PathBuf>,
    /// What is kept of a command's output.
    pub output: OutputLimits,
    /// Variables commands receive besides the minimal set.
    pub environment_allow: Vec<String>,
    /// How many archives cleanrun keeps.
    pub archive_keep: u32,
    /// How commands are confined.
    pub sandbox: SandboxSettings,
    /// The collector that gets spans and metrics; `env` = the one that the environment names.
    pub telemetry: Option<String>,
    /// Whether test mode warns about experimental runs.
    pub experimental_warning: bool,
    /// Every value with the layer that gave it.
    pub sources: EffectiveValues,
    /// Things that are odd but not wrong.
    pub warnings: Vec<String>,
}

/// The places of the job, relative to the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// `workspace_dir`.
    pub workspace: PathBuf,
    /// `logs_dir`.
    pub logs: PathBuf,
    /// `<workspace_dir>/generated`.
    pub generated: PathBuf,
    /// `<workspace_dir>/results`.
    pub results: PathBuf,
    /// `<workspace_dir>/artifacts`.
    pub artifacts: PathBuf,
    /// `<workspace_dir>/phase_state.json`.
    pub phase_state: PathBuf,
    /// `<workspace_dir>/artifacts/phase_summary.json`.
    pub phase_summary: PathBuf,
    /// `<logs_dir>/steps`.
    pub steps: PathBuf,
    /// `<logs_dir>/archive`.
    pub archive: PathBuf,
    /// `<logs_dir>/last_run_summary.json`.
    pub run_summary: PathBuf,
    /// `<logs_dir>/last_checkpoint.txt`.
    pub last_checkpoint: PathBuf,
}

/// Who answers for a role.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSettings {
    /// The provider; of `auto` the one that is meant when the keys are there.
    pub provider: Provider,
    /// Whether `auto` chose it, so that the recorded sample may stand in while a key is missing.
    pub auto: bool,
    /// The model's name; empty for `command` and `replay` where none is configured.
    pub model: String,
    /// The server; `None` = the provider's own.
    pub base_url: Option<String>,
    /// Which `OpenAI` interface.
    pub api: OpenAiApi,
    /// The sampling temperature; `None` = not sent.
    pub temperature: Option<f64>,
    /// The most tokens of one reply; `None` = the adapter's own.
    pub max_tokens: Option<u32>,
    /// The version of the Anthropic interface.
    pub version: String,
    /// The program of `command`, with its arguments; empty for every other provider.
    pub argv: Vec<String>,
    /// The recording of `replay`, below the root.
    pub replay_file: Option<PathBuf>,
    /// Whether the provider is asked to hold replies to a schema.
    pub schema: bool,
    /// The key, where the provider needs one and the environment has it.
    pub api_key: Option<Secret>,
}

impl ModelSettings {
    /// Returns the environment variable that this provider needs and that is missing; `None` = nothing is.
    pub fn missing_api_key(&self) -> Option<&'static str> {
        let name = self.provider.key_variable()?;
        let needed = self.api_key.is_none() && (self.auto || self.base_url.is_none());
        needed.then_some(name)
    }
}

/// The job input as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobInputSettings {
    /// The file, below the root.
    pub path: PathBuf,
    /// Whether it has to be there.
    pub required: bool,
}

/// What is kept of a command's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimits {
    /// Of its beginning, in the step log.
    pub head_bytes: u64,
    /// Of its end, in the step log.
    pub tail_bytes: u64,
    /// Of one stream, on disk.
    pub disk_cap_bytes: u64,
}

/// How commands are confined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxSettings {
    /// How far.
    pub level: SandboxLevel,
    /// Whether it may run with capabilities that are not proved.
    pub allow_degraded: bool,
    /// The walls that may be used, best first.
    pub backends: Vec<SandboxBackend>,
    /// What the network is.
    pub network: Network,
    /// What is shown of covered folders.
    pub show: Vec<PathBuf>,
    /// Ceilings of one command.
    pub limits: CommandLimits,
}

/// How far commands are confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxLevel {
    /// `workspace` where it can be proved, else `off`, said loudly.
    Auto,
    /// Not at all.
    Off,
    /// They write to the root only.
    Workspace,
    /// They write nowhere.
    ReadOnly,
}

/// What confined commands may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// Nothing.
    None,
    /// These hosts, as `host` or `host:port`; never empty.
    Hosts(Vec<String>),
    /// Everything.
    All,
}

/// Ceilings of one command; `None` = the backend's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CommandLimits {
    /// Memory in MiB.
    pub memory_mb: Option<u64>,
    /// Processes at a time.
    pub processes: Option<u64>,
    /// CPU time of one process.
    pub cpu: Option<Duration>,
    /// The largest file in MiB.
    pub file_mb: Option<u64>,
    /// What may be written to private places, in MiB.
    pub disk_mb: Option<u64>,
    /// What the disk of the root may lose while a command runs, in MiB.
    pub root_mb: Option<u64>,
}

impl Settings {
    /// Returns the absolute place of a path below the root.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    /// Returns the names of the keys that `auto` roles need and the environment does not have; while any
    /// is missing, `auto` may only replay the sample.
    pub fn missing_api_keys(&self) -> Vec<&'static str> {
        let models = [&self.models.draft, &self.models.review, &self.models.final_];
        let missing: BTreeSet<&str> = models
            .iter()
            .filter(|model| model.auto)
            .filter_map(|model| model.missing_api_key())
            .collect();
        missing.into_iter().collect()
    }
}
