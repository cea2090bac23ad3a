//! The settings the rest of the house receives: plain values, resolved once, before any work.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    config::{
        build, discover,
        error::{Error, Fault, Segment},
        files, json,
        layers::{Layers, Overrides},
        source::{Source, Sources},
    },
    domain::{
        policy::Policy,
        rules::{PerRole, Rules},
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
    pub rules: Rules,
    /// The places of the job.
    pub paths: Paths,
    /// Who answers, by role.
    pub models: PerRole<ModelSettings>,
    /// The job input, where one is configured and the loop is on.
    pub payload: Option<PayloadSettings>,
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
    /// Whether test mode warns about experimental runs.
    pub experimental_warning: bool,
    /// Every value with the layer that gave it.
    pub sources: Sources,
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
    /// Where the original kept the phase state: `<workspace_dir>/artifacts/phase_state.json`.
    pub legacy_phase_state: PathBuf,
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
    pub api: Api,
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
    /// Returns whether the environment variable this provider needs is missing; `None` = nothing is.
    pub fn missing_key(&self) -> Option<&'static str> {
        let name = self.provider.key_name()?;
        let needed = self.api_key.is_none() && (self.auto || self.base_url.is_none());
        needed.then_some(name)
    }
}

/// Who can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// `OpenAI` and every server that speaks its language.
    Openai,
    /// Anthropic.
    Anthropic,
    /// A program that reads the prompt and writes the answer.
    Command,
    /// A recording.
    Replay,
}

impl Provider {
    /// Returns the provider's word in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Command => "command",
            Self::Replay => "replay",
        }
    }

    /// Returns the environment variable that holds this provider's key.
    pub const fn key_name(self) -> Option<&'static str> {
        match self {
            Self::Openai => Some("OPENAI_API_KEY"),
            Self::Anthropic => Some("ANTHROPIC_API_KEY"),
            Self::Command | Self::Replay => None,
        }
    }
}

/// The interfaces of `OpenAI`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// Chat Completions.
    Chat,
    /// Responses.
    Responses,
}

/// The job input as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadSettings {
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
    /// What the network is.
    pub network: Network,
    /// Ceilings of one command.
    pub limits: Limits,
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
pub struct Limits {
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
}

/// A text that never shows itself in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Settings {
    /// Reads and resolves everything: the file (`config_flag`, relative to the root, or the one found),
    /// the environment, the flags. Without a file the defaults hold.
    pub fn load(
        root: &Path,
        config_flag: Option<&Path>,
        environment: &[(String, String)],
        overrides: &Overrides,
    ) -> Result<Self, Error> {
        let root = files::canonical(root);
        let config_file = match config_flag {
            Some(named) => Some(root.join(named)),
            None => discover::config_in(&root),
        };
        let mut layers = Layers::new(&root);
        let text = match &config_file {
            Some(file) => Some(read(file)?),
            None => None,
        };
        if let (Some(file), Some(text)) = (&config_file, &text) {
            let named = named(&root, file);
            layers.lay_file(&json::parse(text, &named)?, &named);
        }
        layers.lay_environment(environment);
        layers.lay_flags(overrides);
        let (sources, faults, warnings) = layers.finish();
        let input = build::Input {
            root,
            config_file,
            environment,
            sources,
            warnings,
        };
        let (settings, more) = build::settings(input);
        let faults: Vec<Fault> = faults.into_iter().chain(more).collect();
        if faults.is_empty() {
            return Ok(settings);
        }
        Err(Error::Faults(placed(faults, text.as_deref())))
    }

    /// Makes the policy ready, once; a rule or an example that does not hold is a configuration error.
    pub fn policy(&self) -> Result<Policy, Error> {
        Policy::new(&self.rules.policy).map_err(|fault| {
            let (path, problem) = (vec![Segment::Key("execution_policy".into())], chain(&fault));
            let source = self.config_file.as_ref().map_or(Source::Default, |file| {
                Source::File(named(&self.root, file))
            });
            Error::Faults(vec![Fault {
                source,
                place: None,
                path,
                problem,
                remedy: "correct it there; docs/policy.md shows how rules are written".into(),
            }])
        })
    }

    /// Returns the absolute place of a path below the root.
    pub fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    /// Returns the names of the keys that `auto` roles need and the environment does not have; while any
    /// is missing, `auto` may only replay the sample.
    pub fn missing_keys(&self) -> Vec<&'static str> {
        let models = [&self.models.draft, &self.models.review, &self.models.final_];
        let missing: BTreeSet<&str> = models
            .iter()
            .filter(|model| model.auto)
            .filter_map(|model| model.missing_key())
            .collect();
        missing.into_iter().collect()
    }
}

/// Returns a file as messages name it: relative to the root where it lies below it.
fn named(root: &Path, file: &Path) -> PathBuf {
    file.strip_prefix(root).unwrap_or(file).to_path_buf()
}

/// Returns an error with its causes in one line.
fn chain(fault: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(fault.source(), |cause| cause.source());
    causes.fold(fault.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn read(file: &Path) -> Result<String, Error> {
    let bytes = files::read(file).map_err(|source| Error::Unreadable {
        path: file.into(),
        source,
    })?;
    json::decode(&bytes, file)
}

/// Adds line and column to the faults of the file.
fn placed(mut faults: Vec<Fault>, text: Option<&str>) -> Vec<Fault> {
    for fault in &mut faults {
        if let (Source::File(_), Some(text)) = (&fault.source, text) {
            fault.place = json::locate(text, &fault.path);
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Settings, Error> {
        let root = tempfile::tempdir().unwrap();
        files::write(&root.path().join("config_v0_3.json"), text);
        Settings::load(root.path(), None, &[], &Overrides::default())
    }

    #[test]
    fn without_a_file_the_defaults_of_the_original_hold() {
        let root = tempfile::tempdir().unwrap();
        let settings = Settings::load(root.path(), None, &[], &Overrides::default()).unwrap();
        assert_eq!(settings.config_file, None);
        assert_eq!(settings.rules.max_steps, 8);
        assert_eq!(settings.rules.command_timeout, Duration::from_secs(120));
        assert_eq!(settings.models.review.model, "claude-3-5-sonnet-20241022");
        assert_eq!(
            settings.paths.phase_state,
            Path::new("workspace/phase_state.json")
        );
        assert_eq!(
            settings.missing_keys(),
            ["ANTHROPIC_API_KEY", "OPENAI_API_KEY"]
        );
    }

    #[test]
    fn every_fault_of_a_file_is_reported_with_its_place() {
        let fault = load("{\n  \"max_stepz\": 1,\n  \"max_steps\": 0\n}").unwrap_err();
        insta::assert_snapshot!(fault, @"
        config error: 2 faults
          config_v0_3.json:2:3: `max_stepz`: not a known key (nearest: `max_steps`); rename or remove it
          config_v0_3.json:3:3: `max_steps`: expected a whole number from 1 to 1000000, found 0; write for example 8
        ");
    }
}
