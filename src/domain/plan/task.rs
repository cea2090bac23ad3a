//! A plan and its tasks as plain values: everything expanded, checked and in the order of the file.
//!
//! Plans of a hundred thousand tasks are normal, so what few tasks have lives behind one pointer ([`OptionalTaskSettings`]).

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::{plan::when::WhenCondition, tasks::TaskList};

/// How long a task may take to end after it was asked to, where it does not say so itself.
pub const DEFAULT_GRACE_SECONDS: f64 = 10.0;

/// A task's position in its plan.
pub type TaskIndex = u32;

/// Everything a run needs to know.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// What it is for.
    pub goal: Option<String>,
    /// Where outputs are copied to a second time.
    pub artifacts_dir: Option<String>,
    /// The tasks, handlers last.
    pub tasks: Vec<PlanTask>,
    /// How many of the last tasks are handlers, run only after a failure.
    pub handlers: usize,
    /// How many tasks may run at once, where the plan says so.
    pub max_parallel: Option<u32>,
    /// Named resources and how much there is of each.
    pub resources: Vec<(String, u32)>,
    /// Whether commands are judged before they run.
    pub policy: PolicyMode,
    /// Where the tasks are for agents: what they are, in the order in which they run. The tasks above then
    /// only show the graph.
    pub guarded: Option<Box<TaskList>>,
    /// The files it was read from; none where it was in no file.
    pub sources: Vec<PathBuf>,
}

impl Plan {
    /// Returns the task at `index`.
    pub fn task(&self, index: TaskIndex) -> Option<&PlanTask> {
        self.tasks.get(index as usize)
    }

    /// Returns how many tasks are not handlers.
    pub const fn main_task_count(&self) -> usize {
        self.tasks.len().saturating_sub(self.handlers)
    }

    /// Returns the position of the task named `id`.
    pub fn position(&self, id: &str) -> Option<TaskIndex> {
        let found = self.tasks.iter().position(|task| &*task.id == id)?;
        u32::try_from(found).ok()
    }
}

/// Whether the commands of a plan are judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyMode {
    /// They run as written, as with make, and none is looked at.
    Off,
    /// They run as written, but what destroys the machine, a home or a disk is refused before anything runs.
    #[default]
    Minimal,
    /// Each is judged before it runs; a denied one fails its task.
    Enforce,
}

/// One node of the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanTask {
    /// Its name, unique without regard to case.
    pub id: Box<str>,
    /// What it does.
    pub action: TaskAction,
    /// What has to be over before it starts.
    pub depends_on: Vec<TaskIndex>,
    /// Where it runs, relative to the working directory of the run.
    pub cwd: Option<Box<str>>,
    /// Variables on top of the environment.
    pub env: Option<BTreeMap<String, String>>,
    /// How long one attempt may take, in seconds.
    pub timeout_sec: Option<f64>,
    /// Attempts after the first.
    pub retries: u32,
    /// Waits before them, in seconds; the last one repeats.
    pub retry_backoff_sec: Vec<f64>,
    /// Patterns of files to keep.
    pub outputs: Vec<String>,
    /// What few tasks have.
    pub extra: Option<Box<OptionalTaskSettings>>,
}

/// What a task does.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskAction {
    /// Starts a program, no shell between.
    Argv(Vec<String>),
    /// Gives a text to `/bin/sh -c`.
    Shell(String),
    /// Runs a job of tos.
    Job(JobTask),
}

/// A job of tos as a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobTask {
    /// The job's root, relative to the task's directory.
    pub root: String,
    /// Another configuration file, where given.
    pub config: Option<String>,
    /// Further words for the command line.
    pub args: Vec<String>,
}

/// What few tasks have.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OptionalTaskSettings {
    /// Files of `NAME=value` lines, read when the task starts.
    pub env_file: Vec<String>,
    /// What it reads from standard input.
    pub stdin: TaskStdin,
    /// Files that have to exist when it starts.
    pub needs_files: Vec<String>,
    /// What a worker of a cluster has to have that makes it.
    pub needs_labels: Vec<String>,
    /// When it runs, where not simply after the success of all it depends on.
    pub when: Option<WhenCondition>,
    /// Positions in [`Plan::resources`], and how much of each it holds while it runs.
    pub resources: Vec<(u32, u32)>,
    /// Larger starts earlier.
    pub priority: i32,
    /// Whether its failure counts as none.
    pub allow_failure: bool,
    /// Whether an equal success in the past stands for a run.
    pub cache: Option<CacheInputs>,
    /// Which of the runner's variables it sees.
    pub env_policy: EnvPolicy,
    /// How long it may do nothing at all, in seconds: write, read, compute or start anything.
    pub idle_timeout_sec: Option<f64>,
    /// How long it may take to end after it was asked to, in seconds.
    pub grace_seconds: Option<f64>,
}

/// What a task reads from standard input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TaskStdin {
    /// Nothing.
    #[default]
    Empty,
    /// This text.
    Text(String),
    /// This file, relative to the task's directory.
    File(String),
}

/// What an equal success in the past is known by, besides the command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheInputs {
    /// Patterns of the files whose content counts.
    pub inputs: Vec<String>,
    /// Variables whose values count, besides those the task sets.
    pub env: Vec<String>,
}

/// Which of the runner's variables a task sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EnvPolicy {
    /// All of them.
    #[default]
    Inherit,
    /// Only those every program needs: paths, user, language, time zone.
    Minimal,
}

impl PlanTask {
    /// Returns the priority; larger starts earlier.
    pub fn priority(&self) -> i32 {
        self.extra.as_ref().map_or(0, |extra| extra.priority)
    }

    /// Returns whether the task's failure counts as none.
    pub fn allow_failure(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.allow_failure)
    }

    /// Returns how long it may do nothing, in seconds; `None` is for ever.
    pub fn idle_timeout_sec(&self) -> Option<f64> {
        self.extra.as_ref().and_then(|extra| extra.idle_timeout_sec)
    }

    /// Returns how long it may take to end after it was asked to, in seconds.
    pub fn grace_seconds(&self) -> f64 {
        let own = self.extra.as_ref().and_then(|extra| extra.grace_seconds);
        own.unwrap_or(DEFAULT_GRACE_SECONDS)
    }

    /// Returns the condition under which it runs, where one is given.
    pub fn condition(&self) -> Option<&WhenCondition> {
        self.extra.as_ref().and_then(|extra| extra.when.as_ref())
    }

    /// Returns the resources it holds while it runs.
    pub fn resources(&self) -> &[(u32, u32)] {
        self.extra
            .as_ref()
            .map_or(&[], |extra| extra.resources.as_slice())
    }

    /// Returns the words that show what the task does, as recorded in the state.
    pub fn command_words(&self) -> Vec<String> {
        match &self.action {
            TaskAction::Argv(words) => words.clone(),
            TaskAction::Shell(text) => ["/bin/sh", "-c", text].map(str::to_owned).to_vec(),
            TaskAction::Job(job) => {
                let mut words = ["tos", "--mode", "run", "--root", &job.root]
                    .map(str::to_owned)
                    .to_vec();
                words.extend(
                    job.config
                        .iter()
                        .flat_map(|path| ["--config".to_owned(), path.clone()]),
                );
                words.extend(job.args.iter().cloned());
                words
            }
        }
    }

    /// Returns how long to wait before the next attempt, after `failed` attempts of this run have failed.
    pub fn backoff_sec(&self, failed: u32) -> f64 {
        let index = failed.saturating_sub(1);
        match self.retry_backoff_sec.last() {
            None => f64::from(1_u32 << index.min(6)).min(60.0),
            Some(last) => *self.retry_backoff_sec.get(index as usize).unwrap_or(last),
        }
    }
}
