//! What the run log of a plan holds: one event a line, each a fact that became true.
//!
//! A task is announced by `started` before its process exists and closed by `ended` after nothing of it matters
//! any more. A log that stops between the two means «unknown», and the task runs again. Tasks are named by
//! their position in the list of `created`, so that a line costs the same whatever the names are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{
    plan::{
        status::{StatusReason, TaskStatus},
        task::TaskIndex,
    },
    sandbox::SandboxBackend,
};

/// The version of the format, in `created`.
pub const VERSION: u32 = 1;

/// Milliseconds since 1970.
pub type Millis = i64;

/// One line of the run log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanEvent {
    /// The run exists; always the first line.
    Created(RunCreated),
    /// Somebody began to work on it.
    Opened(RunSessionStarted),
    /// An attempt begins.
    Started(AttemptStarted),
    /// An attempt is over.
    Ended(AttemptEnded),
    /// Tasks that will never start in this execution.
    Settled(TasksSettled),
    /// Somebody asked for the end.
    CancelRequested {
        /// When.
        at: Millis,
    },
    /// The run is over.
    Closed(RunClosed),
}

/// The run exists.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunCreated {
    /// [`VERSION`].
    pub version: u32,
    /// The run's name.
    pub run_id: String,
    /// When.
    pub at: Millis,
    /// Minutes east of UTC where it was created.
    pub offset_minutes: i32,
    /// What the plan is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// The absolute directory in which tasks run.
    pub workdir: String,
    /// The plan's file, as given.
    pub plan: String,
    /// The ids of all tasks, in the order of the plan.
    pub tasks: Vec<String>,
    /// How many of the last ones are handlers.
    #[serde(default)]
    pub handlers: usize,
    /// The files of the plan as they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<PlanSource>,
    /// The parameters that were given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// The tasks it was restricted to, where it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
}

/// A file of a plan at some moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSource {
    /// Its absolute path.
    pub path: String,
    /// The SHA-256 of its content.
    pub sha256: String,
}

/// Somebody began to work on the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunSessionStarted {
    /// When.
    pub at: Millis,
    /// The process.
    pub pid: u32,
    /// At most this many tasks at once.
    pub max_parallel: u32,
    /// Whether the first failure ends the run.
    pub fail_fast: bool,
    /// Tasks whose earlier result no longer counts; everything that is not over counts as chosen, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub again: Vec<TaskIndex>,
    /// What confines the tasks, in a sentence, where the policy is enforced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confinement: Option<String>,
    /// The files of the plan, where this run took an edited one over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<PlanSource>,
}

/// An attempt begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptStarted {
    /// Which task.
    pub task: TaskIndex,
    /// When.
    pub at: Millis,
    /// Counted over all executions of the run, from 1.
    pub attempt: u32,
    /// What builds the wall around it, where the policy is enforced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall: Option<SandboxBackend>,
}

/// An attempt is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptEnded {
    /// Which task.
    pub task: TaskIndex,
    /// When.
    pub at: Millis,
    /// How long it took, in microseconds.
    pub us: u64,
    /// What the task is now; `READY` where another attempt follows.
    pub status: TaskStatus,
    /// The exit code; negative is a signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// Why, where the code does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<StatusReason>,
    /// One sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether the deadline ended it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub timed_out: bool,
    /// Whether an equal success in the past stands for it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cached: bool,
    /// How long until the next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// What was kept of its outputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
}

/// Tasks that will never start in this execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TasksSettled {
    /// Which.
    pub tasks: Vec<TaskIndex>,
    /// When.
    pub at: Millis,
    /// What they are now.
    pub status: TaskStatus,
    /// Why.
    pub reason: StatusReason,
}

/// The run is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunClosed {
    /// When.
    pub at: Millis,
    /// How the run stands.
    pub status: TaskStatus,
}

/// A file kept from a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Relative to the run's directory; bytes that are not UTF-8 are shown as `\xNN`.
    pub path: String,
    /// The bytes of the path in hexadecimal digits, where it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// Its size in bytes.
    pub bytes: u64,
    /// The SHA-256 of its content.
    pub sha256: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
