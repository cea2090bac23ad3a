//! Guarded tasks: work for a coding agent, one change at a time, each judged before it counts.
//!
//! Here is decided what a list of tasks means, which one is next, when everything stops, what the
//! agent is told and how its program is called. `services/tasks` carries it out.

mod class;
mod list_report;
mod progress;
mod prompt;
mod queue;
mod script;
mod stable_point;

use serde::{Deserialize, Serialize};

use crate::domain::{
    state_folder::TOS_FOLDER,
    validate::{ChangeLimits, ValidationRules, first_invalid_path},
};

use crate::domain::agent::MAX_ARGUMENT;

pub use crate::domain::agent::{Agent, AgentKind, TOS_PATH_IN_SANDBOX};
pub use class::{acceptance_note, class_mismatch, confirmed_class};
pub use list_report::ListReport;
pub use progress::{RunProgress, records_of_run, revert_success, run_of_session};
pub use prompt::{Feedback, last_line, prompt};
pub use queue::{QueueAction, QueuedTask, StopReason, TaskQueue, TaskVerdict, agent_end_verdict};
pub use script::script_of;
pub use stable_point::StablePointTracker;

/// A list of guarded tasks, as a person or a planner writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskList {
    /// The version of the format: 1.
    pub schema: u32,
    /// Its name.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub title: String,
    /// The agent that works unless a task names another.
    pub agent: Agent,
    /// What a failed task means for the others.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Modules that every task may import in addition to the harmless ones.
    #[serde(default)]
    pub allowed_imports: Vec<String>,
    /// Texts that no task may add.
    #[serde(default)]
    pub banned_patterns: Vec<String>,
    /// How much a task may change.
    #[serde(default = "limits")]
    pub limits: ChangeLimits,
    /// Whether the agent must be confined: `auto` takes the best wall there is, `require` refuses without one.
    #[serde(default)]
    pub sandbox: SandboxDemand,
    /// How long the test command may take.
    #[serde(default = "test_seconds")]
    pub test_seconds: u64,
    /// How long a test command may do nothing at all, in seconds; 0 = as long as it may take.
    #[serde(default = "test_idle_seconds")]
    pub test_idle_seconds: u64,
    /// How long a program may take to end when it is asked to, in seconds, before it is killed.
    #[serde(default = "grace_seconds")]
    pub grace_seconds: u64,
    /// Folders of the checkout that git ignores and tasks need, such as `node_modules`: theirs to read, nobody's to change.
    #[serde(default)]
    pub share: Vec<String>,
    /// Files of the checkout that git ignores and tasks need, such as `.env`, as patterns of git: each work tree gets a copy.
    #[serde(default)]
    pub share_files: Vec<String>,
    /// How much an agent or its tests may write while they run, in megabytes; more ends them at once.
    #[serde(default = "disk_mb")]
    pub disk_mb: u64,
    /// The command that tests the whole at a checkpoint; without one, the test commands of the accepted tasks.
    #[serde(default)]
    pub full_test_command: Vec<String>,
    /// How long each command may take there.
    #[serde(default = "full_test_seconds")]
    pub full_test_seconds: u64,
    /// What all tasks together may cost, in dollars, as the agent tells it.
    #[serde(default)]
    pub max_usd: Option<u32>,
    /// How often the agent is asked again for a task while its provider does not answer as it should.
    #[serde(default = "provider_retries")]
    pub provider_retries: u32,
    /// How long the first of these waits is, in seconds; each later one is twice as long, up to a quarter of an hour.
    #[serde(default = "provider_pause_seconds")]
    pub provider_pause_seconds: u64,
    /// False for smoke runs, which prove nothing.
    #[serde(default = "yes")]
    pub real: bool,
    /// The tasks.
    #[serde(rename = "task")]
    pub tasks: Vec<AgentTask>,
}

/// One guarded task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentTask {
    /// Its name, unique in the list.
    pub id: String,
    /// What it is for, in one line.
    pub goal: String,
    /// What the agent is asked to do.
    pub prompt: String,
    /// The kind of work: fix, feature, test, deps or refactor.
    pub class: String,
    /// The command that must succeed; words, without a shell.
    pub test_command: Vec<String>,
    /// Files the agent is told to read first.
    #[serde(default)]
    pub context_files: Vec<String>,
    /// Tasks whose work this one needs.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// How long the agent may take.
    #[serde(default = "task_seconds")]
    pub max_time_seconds: u64,
    /// Another agent than the list's.
    #[serde(default)]
    pub agent: Option<Agent>,
    /// Further modules that may be imported.
    #[serde(default)]
    pub allowed_imports: Vec<String>,
    /// Further texts that may not be added.
    #[serde(default)]
    pub banned_patterns: Vec<String>,
    /// Other limits than the list's.
    #[serde(default)]
    pub limits: Option<ChangeLimits>,
    /// Files, or folders that end in `/`, of what judges changes, which this task may change.
    #[serde(default)]
    pub may_change_checks: Vec<String>,
}

/// How much a task may change unless something else is said.
pub const DEFAULT_CHANGE_LIMITS: ChangeLimits = ChangeLimits {
    files: 5,
    lines: 500,
    created: 8,
    bytes: 1 << 20,
};
/// How long a test command may take unless something else is said.
pub const DEFAULT_TEST_SECONDS: u64 = 120;
/// How long a test command may do nothing at all unless something else is said.
pub const DEFAULT_TEST_IDLE_SECONDS: u64 = 300;
/// How long a program may take to end unless something else is said.
pub const DEFAULT_GRACE_SECONDS: u64 = 10;
/// How long each command of a full test may take unless something else is said.
pub const DEFAULT_FULL_TEST_SECONDS: u64 = 600;
/// How many megabytes may be written unless something else is said.
pub const DEFAULT_DISK_MB: u64 = 4096;
/// How often the agent is asked again while its provider does not answer, unless something else is said.
pub const DEFAULT_PROVIDER_RETRIES: u32 = 5;
/// How long the first wait for a provider is unless something else is said, in seconds.
pub const DEFAULT_PROVIDER_PAUSE_SECONDS: u64 = 30;
/// How long an agent may take unless something else is said.
pub const DEFAULT_TASK_SECONDS: u64 = 900;

/// How many bytes of a prompt are kept free for what only shows while tasks run: what the task before changed, and why the
/// first try was not accepted.
const PROMPT_RESERVE: usize = 16 * 1024;

const fn limits() -> ChangeLimits {
    DEFAULT_CHANGE_LIMITS
}

const fn test_seconds() -> u64 {
    DEFAULT_TEST_SECONDS
}

const fn test_idle_seconds() -> u64 {
    DEFAULT_TEST_IDLE_SECONDS
}

const fn grace_seconds() -> u64 {
    DEFAULT_GRACE_SECONDS
}

const fn disk_mb() -> u64 {
    DEFAULT_DISK_MB
}

const fn full_test_seconds() -> u64 {
    DEFAULT_FULL_TEST_SECONDS
}

const fn provider_retries() -> u32 {
    DEFAULT_PROVIDER_RETRIES
}

const fn provider_pause_seconds() -> u64 {
    DEFAULT_PROVIDER_PAUSE_SECONDS
}

const fn task_seconds() -> u64 {
    DEFAULT_TASK_SECONDS
}

const fn yes() -> bool {
    true
}

/// What a failed task means for the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Everything stops.
    #[default]
    Stop,
    /// It is tried once more; a second failure stops its dependents, and two failed tasks in a row everything.
    RetryThenStop,
    /// It is tried once more; then its dependents are left out and the others go on.
    RetryThenSkipDependents,
}

impl OnFailure {
    /// Returns the word used in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::RetryThenStop => "retry_then_stop",
            Self::RetryThenSkipDependents => "retry_then_skip_dependents",
        }
    }

    /// Returns whether a failed task is tried again.
    pub const fn retries(self) -> bool {
        !matches!(self, Self::Stop)
    }
}

/// Whether the agent must be confined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxDemand {
    /// Behind the best wall this machine has, or none.
    #[default]
    Auto,
    /// Behind a proved wall, or not at all.
    Require,
    /// Without a wall.
    Off,
}

/// A week, in seconds: nothing that is waited for in a night takes longer.
pub const WEEK: u64 = 7 * 24 * 3600;

/// Says that a time makes no sense.
fn absurd(name: &str, seconds: u64) -> Option<String> {
    (seconds > WEEK).then(|| format!("`{name}` is {seconds} s; the most is {WEEK} (a week)"))
}

/// The kinds of work.
pub const CLASSES: [&str; 5] = ["fix", "feature", "test", "deps", "refactor"];

impl TaskList {
    /// Returns everything that is wrong, one sentence each.
    pub fn validation_errors(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.schema != 1 {
            faults.push(format!("`schema` is {}; this tos knows 1", self.schema));
        }
        if !is_name(&self.id) {
            faults.push(format!(
                "`id` \"{}\" must be letters, digits, `-` and `_`",
                self.id
            ));
        }
        if self.tasks.is_empty() {
            faults.push("there is no `task`".to_owned());
        }
        faults.extend(self.agent.validation_error());
        let odd = |name: &&String| {
            let strange = |part| matches!(part, "" | "." | ".." | ".git" | TOS_FOLDER);
            name.starts_with('/') || name.split('/').any(strange)
        };
        if let Some(name) = self.share.iter().find(odd) {
            faults.push(format!(
                "`share` names `{name}`, which must be a folder below the root"
            ));
        }
        if let Some(name) = self.share_files.iter().find(odd) {
            faults.push(format!(
                "`share_files` names `{name}`, which must be a file, or a pattern of files, below the root"
            ));
        }
        if self.disk_mb == 0 {
            faults.push("`disk_mb` must be above 0".to_owned());
        }
        if self.full_test_command.first().is_some_and(String::is_empty) {
            faults.push("`full_test_command` begins with an empty word".to_owned());
        }
        for (name, seconds) in [
            ("test_seconds", self.test_seconds),
            ("full_test_seconds", self.full_test_seconds),
        ] {
            faults.extend(absurd(name, seconds));
        }
        if self.max_usd == Some(0) {
            faults.push("`max_usd` must be above 0".to_owned());
        }
        for (place, task) in self.tasks.iter().enumerate() {
            let earlier = self.tasks.get(..place).unwrap_or_default();
            faults.extend(
                task.faults(earlier)
                    .into_iter()
                    .map(|fault| format!("task `{}`: {fault}", task.id)),
            );
            let seconds = absurd("max_time_seconds", task.max_time_seconds);
            faults.extend(seconds.map(|fault| format!("task `{}`: {fault}", task.id)));
            faults.extend(self.too_long(task));
        }
        faults
    }

    /// Says that a prompt does not fit into a word of a program; what a second try adds is reckoned with.
    fn too_long(&self, task: &AgentTask) -> Option<String> {
        let agent = self.agent_name_of_task(task);
        let words = || agent.args.iter().filter(|word| word.contains("{prompt}"));
        let longest = words().map(String::len).max()?;
        let bytes = prompt(task, None, None).len() + longest;
        let most = MAX_ARGUMENT - PROMPT_RESERVE;
        (agent.passes_prompt_as_argument() && bytes > most).then(|| {
            format!(
                "task `{}`: its prompt of {bytes} bytes does not fit into a word of the agent ({most} at most); use `{{prompt_file}}` in `args`",
                task.id
            )
        })
    }

    /// Makes it a list nobody has read: behind a proved wall or not at all, and only agents that tos knows,
    /// called as tos calls them. Otherwise says why that cannot be.
    pub fn restrict_untrusted(&mut self) -> Result<(), String> {
        let mut own = self.tasks.iter().map(|task| self.agent_name_of_task(task));
        if let Some(agent) = own.find(|agent| !agent.is_builtin_unmodified()) {
            return Err(format!(
                "an enforced plan cannot choose how the agent `{}` is called; only an agent that tos knows by name, with `model` and \
                 `max_budget_usd`, can be named",
                agent.program()
            ));
        }
        if let Some(task) = self
            .tasks
            .iter()
            .find(|task| !task.may_change_checks.is_empty())
        {
            return Err(format!(
                "an enforced plan cannot say what judges its changes; task `{}` has `may_change_checks`",
                task.id
            ));
        }
        if !self.share_files.is_empty() {
            return Err(
                "an enforced plan cannot give files of the checkout to agents; remove `share_files`"
                    .to_owned(),
            );
        }
        self.sandbox = SandboxDemand::Require;
        Ok(())
    }

    /// Returns what is agreed for a task.
    pub fn validation_rules(&self, task: &AgentTask, confined: bool) -> ValidationRules {
        let both = |a: &[String], b: &[String]| a.iter().chain(b).cloned().collect();
        ValidationRules {
            allowed_imports: both(&self.allowed_imports, &task.allowed_imports),
            banned_patterns: both(&self.banned_patterns, &task.banned_patterns),
            allow_manifests: task.class == "deps",
            confined,
            may_change_checks: task.may_change_checks.clone(),
            keep_expectations: true,
            commands: vec![task.test_command.clone(), self.full_test_command.clone()],
            limits: task.limits.unwrap_or(self.limits),
        }
    }

    /// Returns every agent that the tasks name, each once.
    pub fn agents(&self) -> Vec<&Agent> {
        let mut agents: Vec<&Agent> = Vec::new();
        for task in &self.tasks {
            let agent = self.agent_name_of_task(task);
            if !agents.contains(&agent) {
                agents.push(agent);
            }
        }
        agents
    }

    /// Returns the agent of a task.
    pub fn agent_name_of_task<'a>(&'a self, task: &'a AgentTask) -> &'a Agent {
        task.agent.as_ref().unwrap_or(&self.agent)
    }
}

impl AgentTask {
    fn faults(&self, earlier: &[Self]) -> Vec<String> {
        let mut faults = Vec::new();
        if !is_name(&self.id) {
            faults.push("`id` must be letters, digits, `-` and `_`".to_owned());
        }
        if earlier
            .iter()
            .any(|other| other.id.eq_ignore_ascii_case(&self.id))
        {
            faults.push("another task has the same `id`".to_owned());
        }
        if !CLASSES.contains(&self.class.as_str()) {
            faults.push(format!(
                "`class` \"{}\" must be one of {}",
                self.class,
                CLASSES.join(", ")
            ));
        }
        if self.test_command.first().is_none_or(String::is_empty) {
            faults.push("`test_command` is empty; without a test nothing is accepted".to_owned());
        }
        if self.prompt.trim().is_empty() {
            faults.push("`prompt` is empty".to_owned());
        }
        if self.max_time_seconds == 0 {
            faults.push("`max_time_seconds` must be above 0".to_owned());
        }
        // Tasks run in the order of the list, so what is needed stands above.
        let unknown = self
            .depends_on
            .iter()
            .filter(|id| !earlier.iter().any(|other| &other.id == *id));
        faults.extend(
            unknown.map(|id| format!("`depends_on` names `{id}`, which does not stand above it")),
        );
        if self.banned_patterns.iter().any(String::is_empty) {
            faults.push("a banned text is empty".to_owned());
        }
        if let Some(path) = first_invalid_path(&self.may_change_checks) {
            faults.push(format!(
                "`may_change_checks` names `{path}`, which must be a file, or a folder that ends in `/`, below the root"
            ));
        }
        faults.extend(self.agent.as_ref().and_then(Agent::validation_error));
        faults
    }
}

fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !text.is_empty() && text.len() <= 60 && text.chars().all(plain)
}
