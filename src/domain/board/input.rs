//! What a board is told, and what it answers: events to make durable, then effects to perform.
//!
//! Whoever reports about work names the number of its lease. An input that may not be obeyed is refused with a reason and
//! what helps; nothing about the board changes then.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    budget::Spend,
    counts::{CleanupCounts, StopAllCounts},
    event::Event,
    ids::{
        AgentId, AgentRole, ApprovalId, Fence, JudgementId, MergeId, PlanId, ProcessName, RunId,
        SessionId, TaskId,
    },
    judge::{MergeOutcome, PullRequestOutcome, Verdict},
    plan_edit::PlanTaskEdit,
    plans::PlanProposal,
    process::ProcessExit,
    run::RunOutcome,
    session_input::{SessionEffect, SessionInput},
    settings::BoardSettings,
    task::TaskSpec,
    workers::WorkerCapabilities,
};

/// Which part of the board is told that its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Controller {
    /// Processes: restarts, self-healing, stops that take too long. Always on.
    Supervisor,
    /// Starts runs and judgements, publishes merges. Needs the dispatcher.
    Dispatcher,
    /// Retries, quota pauses, expired leases, cycles. Needs the cycle manager.
    CycleManager,
}

impl Controller {
    /// Every part.
    pub const ALL: [Self; 3] = [Self::Supervisor, Self::Dispatcher, Self::CycleManager];

    /// Returns the process that does it.
    pub const fn process(self) -> Option<ProcessName> {
        match self {
            Self::Supervisor => None,
            Self::Dispatcher => Some(ProcessName::Dispatcher),
            Self::CycleManager => Some(ProcessName::CycleManager),
        }
    }
}

/// What a board is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "snake_case")]
pub enum Input {
    /// The service began; whatever an earlier one had at work is over.
    ServiceStarted {
        /// Which service, for the logs.
        instance: String,
        /// The leases under which other machines still work, or have something to report: these runs go on.
        adopt: BTreeSet<Fence>,
    },
    /// These kinds of workers are there on other machines now.
    SeeWorkers {
        /// Each once, in order.
        kinds: Vec<WorkerCapabilities>,
    },
    /// These are the settings now.
    Configure {
        /// All of them.
        settings: Box<BoardSettings>,
    },
    /// The time of a part has come: it does its most urgent step. Ask again until [`super::Board::next_wake_of`] is later.
    Wake {
        /// Which part.
        part: Controller,
    },

    /// Make a task.
    CreateTask {
        /// What is asked for.
        spec: Box<TaskSpec>,
    },
    /// Change what is asked for; not while an agent works on it.
    EditTask {
        /// Which.
        task: TaskId,
        /// What is asked for now.
        spec: Box<TaskSpec>,
    },
    /// Give a task up.
    CancelTask {
        /// Which.
        task: TaskId,
        /// Why.
        reason: String,
        /// Who says so.
        by: String,
    },
    /// Bring a task back to the queue at once, with fresh budgets of retries.
    RequeueTask {
        /// Which.
        task: TaskId,
        /// What the next attempt is told; may be empty.
        note: String,
        /// Who says so.
        by: String,
    },
    /// The link of a task was written, or could not be.
    LinkTask {
        /// Which.
        task: TaskId,
        /// Whether it was.
        ok: bool,
        /// Where, or why not.
        detail: String,
    },
    /// A person answers a question.
    Answer {
        /// Which.
        approval: ApprovalId,
        /// Yes or no.
        allow: bool,
        /// Who.
        by: String,
    },

    /// A worker is at it still.
    RenewRun {
        /// Which run.
        run: RunId,
        /// The number of its lease.
        fence: Fence,
    },
    /// A worker used something up.
    SpendRun {
        /// Which run.
        run: RunId,
        /// The number of its lease.
        fence: Fence,
        /// How much.
        spend: Spend,
    },
    /// An agent wants to do something that a person has to allow.
    Ask {
        /// Which run.
        run: RunId,
        /// The number of its lease.
        fence: Fence,
        /// What.
        action: String,
    },
    /// A worker is done.
    FinishRun {
        /// Which run.
        run: RunId,
        /// The number of its lease.
        fence: Fence,
        /// How.
        outcome: RunOutcome,
        /// Where the log lies, below the root.
        log: String,
    },
    /// A judge is at it still.
    RenewJudgement {
        /// Which judgement.
        judgement: JudgementId,
        /// The number of its lease.
        fence: Fence,
    },
    /// A judge is done.
    FinishJudgement {
        /// Which judgement.
        judgement: JudgementId,
        /// The number of its lease.
        fence: Fence,
        /// The verdict.
        verdict: Verdict,
    },
    /// A publication is over.
    FinishMerge {
        /// Which entry.
        merge: MergeId,
        /// The number it was published under.
        fence: Fence,
        /// How it went.
        outcome: MergeOutcome,
    },
    /// Somebody looked at the pull request of an attempt.
    SettleProposal {
        /// Which entry.
        merge: MergeId,
        /// What became of it.
        fate: PullRequestOutcome,
    },
    /// The checkout of a branch may be clean now: try what waits for it.
    RetryMerges {
        /// Who says so.
        by: String,
    },

    /// Start a process.
    StartProcess {
        /// Its name, as it was given.
        name: String,
        /// For the planner: the requirement.
        requirement: Option<String>,
        /// Who says so.
        by: String,
    },
    /// Stop a process, and remember that.
    StopProcess {
        /// Its name, as it was given.
        name: String,
        /// Who says so.
        by: String,
    },
    /// Stop everything and roll running work back to the queue.
    StopAll {
        /// Who says so.
        by: String,
    },
    /// A process is up.
    ProcessUp {
        /// Which.
        name: ProcessName,
        /// Which start.
        generation: u64,
    },
    /// A process ended.
    ProcessExited {
        /// Which.
        name: ProcessName,
        /// Which start.
        generation: u64,
        /// How.
        exit: ProcessExit,
    },
    /// Keep processes running.
    ArmHatch {
        /// Who says so.
        source: String,
        /// A person does.
        by_person: bool,
    },
    /// Do not keep processes running.
    DisarmHatch {
        /// Who says so.
        source: String,
        /// A person does.
        by_person: bool,
    },
    /// Start nothing new.
    Hold {
        /// Why.
        reason: String,
        /// Who says so.
        by: String,
    },
    /// Start new things again.
    Resume {
        /// Who says so.
        by: String,
    },
    /// End the current cycle.
    EndCycle,
    /// A planner is done with a requirement.
    FinishPlan {
        /// Which.
        plan: PlanId,
        /// Which start of the planner.
        generation: u64,
        /// Its tasks, where dependencies are places in this list counted from 1; or why there are none.
        tasks: Result<Vec<TaskSpec>, String>,
    },
    /// Whoever put a question does not wait for its answer any more.
    DropQuestion {
        /// Which question.
        approval: ApprovalId,
        /// The run that asked.
        run: RunId,
        /// The number of its lease.
        fence: Fence,
    },
    /// End one run; its task goes back to the queue at once, and nothing else about it changes.
    CancelRun {
        /// Which.
        run: RunId,
        /// What the next attempt is told; may be empty.
        note: String,
        /// Who says so.
        by: String,
    },
    /// Plan a requirement.
    HandIn {
        /// The text.
        requirement: String,
        /// Show the tasks before they are made.
        preview: bool,
        /// Who says so.
        by: String,
    },
    /// A planner is about to use something up, or did. A call is counted before it is made.
    SpendPlan {
        /// For which plan.
        plan: PlanId,
        /// Which start of the planner.
        generation: u64,
        /// How much.
        spend: Spend,
    },
    /// A model or an agent planned a requirement.
    Propose {
        /// Which.
        plan: PlanId,
        /// Which start of the planner.
        generation: u64,
        /// What it found.
        proposal: PlanProposal,
    },
    /// A person decides about the tasks of a plan.
    DecidePlan {
        /// Which.
        plan: PlanId,
        /// Make them, or not.
        accept: bool,
        /// Who says so.
        by: String,
    },
    /// A person changes the tasks of a plan before they are made.
    EditPlan {
        /// Which.
        plan: PlanId,
        /// How often it had been changed when the person saw it.
        version: u32,
        /// What is to be changed.
        edits: Vec<PlanTaskEdit>,
        /// Who says so.
        by: String,
    },
    /// A judge is about to ask a model, or did. A call is counted before it is made.
    SpendJudgement {
        /// Which judgement.
        judgement: JudgementId,
        /// The number of its lease.
        fence: Fence,
        /// How much.
        spend: Spend,
    },
    /// Something about a session.
    Session(SessionInput),
    /// Remove all tasks, runs, judgements, leases and cycles.
    Cleanup {
        /// Stop everything first instead of refusing while something runs.
        stop_first: bool,
        /// Who says so.
        by: String,
    },
}

/// What has to be done once the events are durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Let an agent work on a task.
    StartRun {
        /// The run.
        run: RunId,
        /// The task.
        task: TaskId,
        /// Who works.
        agent: AgentId,
        /// The number of the lease.
        fence: Fence,
    },
    /// End what an agent does, with its whole process tree; its report is refused.
    StopRun {
        /// The run.
        run: RunId,
        /// The number of its lease.
        fence: Fence,
        /// Why.
        reason: String,
    },
    /// Let a judge examine an attempt.
    StartJudgement {
        /// The judgement.
        judgement: JudgementId,
        /// The task.
        task: TaskId,
        /// Who examines.
        agent: AgentId,
        /// The number of the lease.
        fence: Fence,
    },
    /// End what a judge does; its report is refused.
    StopJudgement {
        /// The judgement.
        judgement: JudgementId,
        /// The number of its lease.
        fence: Fence,
    },
    /// Move a branch to an approved commit by compare-and-set.
    Publish {
        /// The entry of the queue.
        merge: MergeId,
        /// The number it is published under.
        fence: Fence,
    },
    /// Write the link of a task.
    Link {
        /// The task.
        task: TaskId,
    },
    /// Tell an agent what a person answered.
    TellAnswer {
        /// The question.
        approval: ApprovalId,
        /// The run that waits.
        run: RunId,
        /// Yes or no.
        allow: bool,
    },
    /// Start a process.
    StartProcess {
        /// Which.
        name: ProcessName,
        /// Which start.
        generation: u64,
        /// What the planner works on.
        plan: Option<PlanId>,
    },
    /// Stop a process.
    StopProcess {
        /// Which.
        name: ProcessName,
        /// Which start.
        generation: u64,
    },
    /// Something about a session.
    Session(SessionEffect),
    /// Tell people.
    Notify {
        /// In one line.
        text: String,
        /// The task it is about.
        task: Option<TaskId>,
    },
}

/// What the one who asked is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum BoardResponse {
    /// It is done.
    #[default]
    Done,
    /// It is done; this was already so.
    Already {
        /// In one line.
        detail: String,
    },
    /// The task.
    Task {
        /// Its number.
        task: TaskId,
        /// It was made now.
        created: bool,
    },
    /// The process.
    Process {
        /// Its name.
        name: ProcessName,
    },
    /// The plan.
    Plan {
        /// Its number.
        plan: PlanId,
    },
    /// The question.
    Approval {
        /// Its number.
        approval: ApprovalId,
    },
    /// The session.
    Session {
        /// Its number.
        session: SessionId,
    },
    /// The new run of a second try.
    Run {
        /// Its number.
        run: RunId,
        /// The number of its lease.
        fence: Fence,
    },
    /// Processes that have to be started again for the change to count.
    Restart {
        /// Which, in order.
        processes: Vec<ProcessName>,
    },
    /// What `stop-all` did.
    Stopped(StopAllCounts),
    /// What a cleanup removed.
    Cleaned(CleanupCounts),
}

/// What a board decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct BoardReaction {
    /// What happened; durable before anything else.
    pub events: Vec<Event>,
    /// What has to be done then.
    pub effects: Vec<Effect>,
    /// What the one who asked is told.
    pub answer: BoardResponse,
}

/// Why an input is not obeyed, by what a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// There is no such thing.
    NotFound,
    /// What was asked makes no sense.
    Invalid,
    /// It cannot be done as things stand.
    Conflict,
    /// The lease it was reported under is not the current one.
    Stale,
    /// The process is not up.
    NotRunning,
    /// The database refuses writes.
    Closed,
}

impl RefusalCode {
    /// Returns the word used by the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::Stale => "stale",
            Self::NotRunning => "not_running",
            Self::Closed => "closed",
        }
    }
}

/// An input that is not obeyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// The sort.
    pub code: RefusalCode,
    /// Why.
    pub reason: String,
    /// What helps; may be empty.
    pub hint: String,
}

impl Refusal {
    /// Makes a refusal.
    pub fn new(code: RefusalCode, reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            hint: hint.into(),
        }
    }
}

/// Returns the role that carries out a task, which is never the judge.
pub const fn executing_role(role: AgentRole) -> AgentRole {
    match role {
        AgentRole::Judge => AgentRole::Worker,
        AgentRole::Worker | AgentRole::Tester | AgentRole::Docser => role,
    }
}
