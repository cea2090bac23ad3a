//! Tasks: what a person wants done, and where it stands.
//!
//! Statuses and reasons are the seed's words. A task never leaves the board by itself: it ends `done`, or `cancelled` by a
//! person, or it waits for something that [`super::why`] names.

use serde::{Deserialize, Serialize};

use super::{
    budget::Spend,
    ids::{AgentRole, ApprovalId, JudgementId, MergeId, Millis, RunId, SessionId, TaskId},
};

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Waits for the dispatcher.
    Queued,
    /// An agent works on it.
    Running,
    /// Merged.
    Done,
    /// Its last run failed; the next one follows by itself after the shown time.
    Failed,
    /// Waits for what its reason says.
    Blocked,
    /// Given up by a person.
    Cancelled,
}

impl TaskStatus {
    /// Every status.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Blocked,
        Self::Cancelled,
    ];

    /// Returns the word used in files and by the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns whether nothing follows.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }
}

/// Why a task is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockReason {
    /// Its attempt waits for a judge or for the merge queue.
    AwaitingJudge,
    /// The quota of its agent is used up.
    QuotaWait,
    /// It was not accepted, and what is asked for has to change.
    NeedsRework,
    /// Its link to an issue or requirement is not written yet.
    IssueLinking,
}

impl BlockReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [
        Self::AwaitingJudge,
        Self::QuotaWait,
        Self::NeedsRework,
        Self::IssueLinking,
    ];

    /// Returns the word used in files and by the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingJudge => "awaiting_judge",
            Self::QuotaWait => "quota_wait",
            Self::NeedsRework => "needs_rework",
            Self::IssueLinking => "issue_linking",
        }
    }
}

/// Which share of the slots a task takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// The usual work.
    #[default]
    Feature,
    /// Repairs of conflicts.
    ConflictRecovery,
    /// Documents.
    Docser,
    /// Research.
    Research,
}

impl Lane {
    /// Returns the word used in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Feature => "feature",
            Self::ConflictRecovery => "conflict_recovery",
            Self::Docser => "docser",
            Self::Research => "research",
        }
    }
}

/// How much harm a wrong change could do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Little.
    Low,
    /// As usual.
    #[default]
    Medium,
    /// Much.
    High,
}

/// What becomes of a task whose dependency is cancelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDependencyCancelled {
    /// It waits for a person.
    #[default]
    Block,
    /// It goes on without it.
    Continue,
}

/// A task that has to be merged first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// Which.
    pub task: TaskId,
    /// What its cancellation means.
    #[serde(default)]
    pub on_fail: OnDependencyCancelled,
}

/// What a person or a planner asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskSpec {
    /// One line.
    pub title: String,
    /// What the agent is asked to do.
    pub goal: String,
    /// The kind of change: fix, feature, test, deps or refactor; empty = by the role.
    pub class: String,
    /// The command that must succeed, in words, without a shell; empty = the service's.
    pub test_command: Vec<String>,
    /// What it may touch, as patterns below the root; tasks whose patterns overlap do not run at the same time.
    /// Empty = not said, which excludes nothing.
    pub paths: Vec<String>,
    /// Files the agent reads first.
    pub context_files: Vec<String>,
    /// Checks it may change.
    pub may_change_checks: Vec<String>,
    /// Modules it may import.
    pub allowed_imports: Vec<String>,
    /// Who does it.
    pub role: AgentRole,
    /// Which share of the slots it takes.
    pub lane: Lane,
    /// How much harm it could do.
    pub risk: Risk,
    /// Higher goes first.
    pub priority: i32,
    /// How long one run may take; 0 = as long as the service allows.
    pub timebox_minutes: u32,
    /// What has to be merged first.
    pub dependencies: Vec<Dependency>,
    /// What the machine has to have that does it, as labels of workers; empty = nothing special.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// The agent of the service's configuration that does it; empty = the service's usual one.
    pub agent: String,
    /// The branch it is merged into; empty = the service's.
    pub branch: String,
    /// An issue or requirement it has to be linked to before it may start.
    pub link: String,
    /// A text that makes a second creation of the same task find the first.
    pub key: String,
    /// Who made it.
    pub source: String,
    /// The session it is a part of; it decides about the task until it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

/// What is wrong with a task, so that the right budget of retries counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The machine lacks something.
    Env,
    /// Preparation failed.
    Setup,
    /// A person has to log in or permit something.
    Permission,
    /// The agent changed nothing.
    Noop,
    /// The change was refused by the validators.
    Policy,
    /// The tests failed.
    Test,
    /// The provider did not answer, or the like.
    Flaky,
    /// The agent failed otherwise.
    Model,
    /// The agent repeated itself.
    ModelLoop,
    /// The run could not be started.
    Launch,
    /// A limit of the task was reached.
    Limit,
}

impl FailureKind {
    /// Returns the word used in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::Setup => "setup",
            Self::Permission => "permission",
            Self::Noop => "noop",
            Self::Policy => "policy",
            Self::Test => "test",
            Self::Flaky => "flaky",
            Self::Model => "model",
            Self::ModelLoop => "model_loop",
            Self::Launch => "launch",
            Self::Limit => "limit",
        }
    }

    /// Returns how often a task is tried again for it; of refusals by the validators the settings decide.
    pub const fn max_retries(self) -> u32 {
        match self {
            Self::Env => 5,
            Self::Setup | Self::Policy | Self::Test | Self::Model => 3,
            Self::Permission | Self::Noop | Self::Limit => 0,
            Self::Flaky | Self::Launch => 6,
            Self::ModelLoop => 1,
        }
    }
}

/// Who or what takes a task out of its wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockResolver {
    /// The dispatcher, as soon as its conditions hold.
    Dispatcher,
    /// The cycle manager, at the shown time.
    CycleManager,
    /// A judge.
    Judge,
    /// The merge queue.
    MergeQueue,
    /// The agent at work.
    Agent,
    /// Another task.
    OtherTask,
    /// The supervisor of processes.
    Supervisor,
    /// A person.
    Person,
    /// Whoever writes the link.
    Linker,
    /// Whoever merges or closes its pull request.
    CodeHost,
    /// Nobody has to: it is over.
    Nobody,
}

/// What the next attempt is told of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryFeedback {
    /// The run it is about.
    pub run: Option<RunId>,
    /// Who said it: `worker`, `judge`, `merge` or a person.
    pub from: String,
    /// The reasons, one a line.
    pub reasons: Vec<String>,
}

/// The work of an attempt, kept under a reference of tos.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptCommit {
    /// The commit; empty = the agent found nothing to change.
    pub commit: String,
    /// The reference that holds it.
    pub reference: String,
    /// The commit it was made from.
    pub base: String,
}

/// How often something happened to a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskCounters {
    /// Runs started.
    pub runs: u32,
    /// Failed runs since a person last said go on.
    pub failures: u32,
    /// Waits for a quota in a row.
    pub quota_waits: u32,
    /// Attempts that a judge did not accept, since a person last said go on.
    pub rejections: u32,
    /// Examinations that failed without a verdict, in a row.
    pub judge_errors: u32,
    /// Runs whose agent vanished, in a row.
    pub lost: u32,
    /// Automatic returns from `needs_rework`.
    pub reworks: u32,
    /// Refusals by the validators, in a row.
    pub policy_blocks: u32,
    /// The same failure in a row.
    pub same_signature: u32,
}

/// A task on the board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Its number.
    pub id: TaskId,
    /// What is asked for.
    pub spec: TaskSpec,
    /// Where it stands.
    pub status: TaskStatus,
    /// Why it is blocked.
    pub block: Option<BlockReason>,
    /// One line about how it came there.
    pub detail: String,
    /// Who takes it out of there.
    pub resolver: BlockResolver,
    /// When the next automatic step may happen.
    pub not_before: Option<Millis>,
    /// Since when it stands there.
    pub since: Millis,
    /// When it was made.
    pub created_at: Millis,
    /// When anything about it changed.
    pub updated_at: Millis,
    /// How often things happened.
    pub counters: TaskCounters,
    /// The category of the last failure.
    pub failure: Option<FailureKind>,
    /// The fingerprint of the last failure.
    pub signature: String,
    /// What the next attempt is told.
    pub lessons: Vec<RetryFeedback>,
    /// The run at work, or the last one.
    pub run: Option<RunId>,
    /// The work that waits for a verdict or was merged.
    pub kept: Option<AttemptCommit>,
    /// The examination under way, or the last one.
    pub judgement: Option<JudgementId>,
    /// Its place in the merge queue.
    pub merge: Option<MergeId>,
    /// The question whether it may start.
    pub approval: Option<ApprovalId>,
    /// A person allowed it to start.
    pub approved: bool,
    /// What it used up.
    pub spent: Spend,
    /// What it may use up beyond the usual limit, which a person granted.
    pub allowance: u32,
    /// The commit that brought it to its branch.
    pub merged: Option<String>,
}

impl Task {
    /// How many lessons the next attempt is told.
    pub const MAX_FEEDBACK: usize = 5;

    /// Returns whether its work is on the way to the branch but not there.
    pub fn is_in_flight(&self) -> bool {
        self.status == TaskStatus::Running || self.awaits_judge()
    }

    /// Returns whether its attempt waits for a verdict or for its merge.
    pub fn awaits_judge(&self) -> bool {
        self.block == Some(BlockReason::AwaitingJudge)
    }

    /// Returns `blocked (awaiting_judge)` and the like.
    pub fn status_label(&self) -> String {
        match self.block {
            Some(reason) => format!("{} ({})", self.status.as_str(), reason.as_str()),
            None => self.status.as_str().to_owned(),
        }
    }
}
