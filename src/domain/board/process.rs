//! Supervised processes: what runs, what was told to stop, and when something is started again.
//!
//! A stop is remembered: neither the automatic restart nor the self-healing brings a stopped process back; only a start
//! does. Each start has a generation; whatever an older generation reports is refused.

use serde::{Deserialize, Serialize};

use super::ids::{Millis, ProcessName};

/// Whether a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessStatus {
    /// Never started.
    Idle,
    /// Told to start.
    Starting,
    /// Up.
    Running,
    /// Told to stop.
    Stopping,
    /// Did what it was for.
    Completed,
    /// Ended badly.
    Failed,
    /// Stopped as asked.
    Stopped,
}

impl ProcessStatus {
    /// Returns the word used in files and by the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }

    /// Returns whether something of it may be at work.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Stopping)
    }
}

/// How a process ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessExit {
    /// As it should.
    pub ok: bool,
    /// In words.
    pub detail: String,
}

/// A supervised process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Its name.
    pub name: ProcessName,
    /// Whether it runs.
    pub status: ProcessStatus,
    /// Which start this is; only grows.
    pub generation: u64,
    /// A person or stop-all stopped it, so it stays stopped.
    pub stop_requested: bool,
    /// When it was last started.
    pub started_at: Option<Millis>,
    /// When it last ended.
    pub finished_at: Option<Millis>,
    /// When it is started again by itself.
    pub restart_at: Option<Millis>,
    /// Automatic restarts in the current window.
    pub restarts: u32,
    /// When the window began.
    pub window_since: Option<Millis>,
    /// Until when its stop is waited for before it is called ended.
    pub stop_until: Option<Millis>,
    /// How it ended the last time.
    pub last_exit: Option<ProcessExit>,
    /// One line for people.
    pub message: String,
    /// It was started under other settings, and has to be started again for these to count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_restart: bool,
}

impl Process {
    /// Makes a process that never ran.
    pub const fn new(name: ProcessName) -> Self {
        Self {
            name,
            status: ProcessStatus::Idle,
            generation: 0,
            stop_requested: false,
            started_at: None,
            finished_at: None,
            restart_at: None,
            restarts: 0,
            window_since: None,
            stop_until: None,
            last_exit: None,
            message: String::new(),
            needs_restart: false,
        }
    }
}

/// Whether processes are kept running.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hatch {
    /// They are.
    pub armed: bool,
    /// Since when; `None` = it was never decided.
    pub since: Option<Millis>,
    /// Who decided.
    pub source: String,
    /// A person decided, so that nothing but a person reverses it.
    pub by_person: bool,
}

impl Hatch {
    /// Says what reverses it; no time does.
    pub const fn reversal(&self) -> &'static str {
        match (self.armed, self.by_person) {
            (true, _) => {
                "until it is disarmed (`tos hatch disarm`), everything is stopped (`tos proc stop-all`), or the board is cleaned up (`tos board cleanup`)"
            }
            (false, true) => {
                "until a person arms it (`tos hatch arm`) or starts a process (`tos proc start-all`)"
            }
            (false, false) => {
                "until it is armed (`tos hatch arm`), a process is started, or attempts wait for a judge that does not run"
            }
        }
    }
}

/// A period that is reported on. Its end stops nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cycle {
    /// Counts from 1.
    pub number: u64,
    /// When it began.
    pub started_at: Millis,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// Why it ended: `time`, `task_count`, `failure_rate` or `manual`.
    pub trigger: String,
    /// Runs that left work.
    pub succeeded: u32,
    /// Runs that failed.
    pub failed: u32,
    /// Tasks merged.
    pub merged: u32,
}

/// Why nothing new is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DispatchHold {
    /// In one line.
    pub detail: String,
    /// Who held it.
    pub by: String,
    /// Since when.
    pub since: Millis,
    /// Until when; `None` = until a person says go on.
    pub until: Option<Millis>,
}

/// An agent whose quota is used up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaPause {
    /// The agent of the configuration; empty = the usual one.
    pub agent: String,
    /// Until when.
    pub until: Millis,
    /// Since when.
    pub since: Millis,
    /// What the provider said.
    pub detail: String,
    /// How many in a row.
    pub count: u32,
}

/// What a question is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ApprovalSubject {
    /// May the task start?
    Start,
    /// May an agent do this?
    Action {
        /// The run that asks.
        run: super::ids::RunId,
        /// What.
        action: String,
    },
}

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRequest {
    /// Its number.
    pub id: super::ids::ApprovalId,
    /// The task it is about.
    pub task: super::ids::TaskId,
    /// What is asked.
    pub subject: ApprovalSubject,
    /// In words.
    pub question: String,
    /// When it was asked.
    pub asked_at: Millis,
    /// Until when it may be answered; then the answer is no. `None` = it waits for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
    /// The answer; `None` = none yet.
    pub answer: Option<bool>,
    /// Who answered, or why nobody has to any more.
    pub by: String,
    /// When.
    pub answered_at: Option<Millis>,
}

/// Where a requirement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanStatus {
    /// A planner works on it, or will.
    Planning,
    /// Its tasks are on the board.
    Planned,
    /// No tasks came of it.
    Failed,
    /// Its tasks wait for a person's answer.
    Proposed,
    /// A person did not want its tasks.
    Declined,
    /// The planner found nothing left to do.
    NothingLeft,
}

/// A requirement and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequirementPlan {
    /// Its number.
    pub id: super::ids::PlanId,
    /// The text.
    pub requirement: String,
    /// Where it stands.
    pub status: PlanStatus,
    /// Its tasks.
    pub tasks: Vec<super::ids::TaskId>,
    /// Why it failed.
    pub detail: String,
    /// When it was handed in.
    pub created_at: Millis,
    /// When it was over.
    pub finished_at: Option<Millis>,
    /// The plan it goes on from, where what was left was planned again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<super::ids::PlanId>,
    /// How often what was left was planned again.
    #[serde(default)]
    pub round: u32,
    /// A person sees its tasks before they are made.
    #[serde(default)]
    pub preview: bool,
    /// What planned it: `model`, `agent`; empty = a checklist, or nobody yet.
    #[serde(default)]
    pub maker: String,
    /// The tasks that were proposed; dependencies are places in this list, counted from 1.
    #[serde(default)]
    pub proposal: Vec<super::task::TaskSpec>,
    /// How often a person changed them.
    #[serde(default)]
    pub edits: u32,
    /// What planning used up.
    #[serde(default)]
    pub spent: super::budget::Spend,
}
