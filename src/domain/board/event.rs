//! What happened on a board. The state of a board is the fold of its events, nothing else.
//!
//! Events are versioned and never change once written; a new meaning is a new event.

use serde::{Deserialize, Serialize};

use super::{
    budget::Spend,
    ids::{
        AgentId, ApprovalId, Fence, JudgementId, MergeId, Millis, PlanId, ProcessName, RunId,
        TaskId,
    },
    judge::{MergeOutcome, Verdict},
    plan_event::PlanEvent,
    process::{ApprovalSubject, ProcessExit},
    run::RunStatus,
    session::SessionEvent,
    settings::BoardSettings,
    task::{AttemptCommit, BlockReason, BlockResolver, FailureKind, RetryFeedback, TaskSpec},
    workers::WorkerCapabilities,
};

/// The version of the format that this program writes.
pub const EVENT_VERSION: u32 = 1;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The version of the format.
    pub v: u32,
    /// When, on the clock of the board.
    pub at: Millis,
    /// What.
    pub what: EventKind,
}

/// What happened, by what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EventKind {
    /// A task.
    Task(TaskEvent),
    /// A run.
    Run(RunEvent),
    /// A judgement or the merge queue.
    Judge(JudgeEvent),
    /// A process.
    Process(ProcessEvent),
    /// The board as a whole.
    System(SystemEvent),
    /// A plan.
    Plan(PlanEvent),
    /// A session.
    Session(SessionEvent),
}

/// Why a task went back to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequeueCause {
    /// Its wait after a failure is over.
    Retry,
    /// A person said so.
    Person,
    /// Its wait for rework is over.
    Rework,
    /// A judge refused the attempt.
    Rejected,
    /// It does not merge.
    Conflict,
    /// The process of its agent was stopped.
    Stopped,
    /// Everything was stopped.
    StopAll,
    /// Nobody renewed its lease.
    LeaseExpired,
    /// Its agent's process ended.
    AgentLost,
    /// The service was started again.
    ServiceStarted,
    /// Its quota should be there again.
    QuotaOver,
    /// A person ended its run.
    RunCancelled,
    /// Its agent's quota or provider is waited for.
    Waits,
}

/// Something about a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum TaskEvent {
    /// It was made.
    #[serde(rename = "task.created")]
    Created {
        /// Its number.
        task: TaskId,
        /// What is asked for.
        spec: Box<TaskSpec>,
    },
    /// What is asked for changed.
    #[serde(rename = "task.edited")]
    Edited {
        /// Which.
        task: TaskId,
        /// What is asked for now.
        spec: Box<TaskSpec>,
    },
    /// Its link was written, or could not be.
    #[serde(rename = "task.linked")]
    Linked {
        /// Which.
        task: TaskId,
        /// Whether it was.
        ok: bool,
        /// Where, or why not.
        detail: String,
    },
    /// It went back to the queue.
    #[serde(rename = "task.requeued")]
    Requeued {
        /// Which.
        task: TaskId,
        /// Why.
        cause: RequeueCause,
        /// In one line.
        detail: String,
        /// What the next attempt is told.
        lesson: Option<RetryFeedback>,
    },
    /// It failed; the next try follows by itself.
    #[serde(rename = "task.failed")]
    Failed {
        /// Which.
        task: TaskId,
        /// What kind of failure.
        failure: FailureKind,
        /// In one line.
        detail: String,
        /// The fingerprint of the failure.
        signature: String,
        /// When it is tried again.
        retry_at: Millis,
        /// What the next attempt is told.
        lesson: Option<RetryFeedback>,
    },
    /// It waits.
    #[serde(rename = "task.blocked")]
    Blocked {
        /// Which.
        task: TaskId,
        /// For what.
        reason: BlockReason,
        /// In one line.
        detail: String,
        /// Who takes it out of there.
        resolver: BlockResolver,
        /// When, where that is known.
        until: Option<Millis>,
        /// The failure that led here.
        failure: Option<FailureKind>,
        /// Its fingerprint.
        signature: String,
        /// What the next attempt is told.
        lesson: Option<RetryFeedback>,
    },
    /// It is given up.
    #[serde(rename = "task.cancelled")]
    Cancelled {
        /// Which.
        task: TaskId,
        /// Why.
        detail: String,
        /// Who said so.
        by: String,
    },
    /// It is merged.
    #[serde(rename = "task.done")]
    Done {
        /// Which.
        task: TaskId,
        /// The commit on the branch; the base where there was nothing to change.
        commit: String,
    },
    /// A question was asked.
    #[serde(rename = "approval.asked")]
    Asked {
        /// Its number.
        approval: ApprovalId,
        /// The task.
        task: TaskId,
        /// About what.
        subject: ApprovalSubject,
        /// In words.
        question: String,
        /// Until when it may be answered; then the answer is no.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Millis>,
    },
    /// It was answered, or nobody has to any more.
    #[serde(rename = "approval.answered")]
    Answered {
        /// Its number.
        approval: ApprovalId,
        /// Yes, no, or withdrawn.
        allow: Option<bool>,
        /// Who answered.
        by: String,
    },
}

/// Something about a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum RunEvent {
    /// An agent got a task and the lease.
    #[serde(rename = "run.started")]
    Started {
        /// Its number.
        run: RunId,
        /// The task.
        task: TaskId,
        /// Who works.
        agent: AgentId,
        /// The number of the lease.
        fence: Fence,
        /// Until when, unless it is renewed.
        until: Millis,
        /// Where its log lies, from the root; earlier versions say it at the end only.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        log: String,
    },
    /// The lease was renewed.
    #[serde(rename = "run.renewed")]
    Renewed {
        /// Which.
        run: RunId,
        /// Until when.
        until: Millis,
    },
    /// Something was used up.
    #[serde(rename = "run.spent")]
    Spent {
        /// Which.
        run: RunId,
        /// How much.
        spend: Spend,
    },
    /// It ended.
    #[serde(rename = "run.finished")]
    Finished {
        /// Which.
        run: RunId,
        /// How.
        status: RunStatus,
        /// Why, where it did not go well.
        error: String,
        /// What kind of failure.
        failure: Option<FailureKind>,
        /// What it left.
        kept: Option<AttemptCommit>,
        /// Where its log lies; empty = where its start said.
        log: String,
    },
}

/// Something about a judgement or the merge queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum JudgeEvent {
    /// A judge got an attempt.
    #[serde(rename = "judge.started")]
    Started {
        /// Its number.
        judgement: JudgementId,
        /// The task.
        task: TaskId,
        /// The run whose work is examined.
        run: RunId,
        /// Who examines.
        agent: AgentId,
        /// The number of the lease.
        fence: Fence,
        /// Until when.
        until: Millis,
    },
    /// The lease was renewed.
    #[serde(rename = "judge.renewed")]
    Renewed {
        /// Which.
        judgement: JudgementId,
        /// Until when.
        until: Millis,
    },
    /// It was decided.
    #[serde(rename = "judge.review")]
    Reviewed {
        /// Which.
        judgement: JudgementId,
        /// How.
        verdict: Verdict,
        /// When an examination without a verdict is repeated.
        again_at: Option<Millis>,
    },
    /// It was given up; the attempt waits for another judge.
    #[serde(rename = "judge.dropped")]
    Dropped {
        /// Which.
        judgement: JudgementId,
        /// Why.
        detail: String,
    },
    /// An approved attempt came to the merge queue.
    #[serde(rename = "judge.merge_queue_enqueued")]
    Enqueued {
        /// Its number.
        merge: MergeId,
        /// The task.
        task: TaskId,
        /// The judgement.
        judgement: JudgementId,
        /// The branch.
        branch: String,
        /// The commit of the branch that was tested.
        base: String,
        /// The tested merge result.
        commit: String,
    },
    /// Its publication was asked for.
    #[serde(rename = "judge.merge_queue_claimed")]
    Claimed {
        /// Which.
        merge: MergeId,
        /// The number it is published under.
        fence: Fence,
        /// Until when it is waited for.
        until: Millis,
    },
    /// It was published, or not.
    #[serde(rename = "judge.merge_queue_finished")]
    Published {
        /// Which.
        merge: MergeId,
        /// How it went.
        outcome: MergeOutcome,
        /// When it is tried again.
        again_at: Option<Millis>,
    },
    /// It left the queue.
    #[serde(rename = "judge.merge_queue_cancelled")]
    Unqueued {
        /// Which.
        merge: MergeId,
        /// Why.
        detail: String,
    },
    /// A judge asked a model.
    #[serde(rename = "judge.spent")]
    Spent {
        /// Which judgement.
        judgement: JudgementId,
        /// How much was used up.
        spend: Spend,
    },
}

/// Something about a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum ProcessEvent {
    /// It was told to start.
    #[serde(rename = "process.start_requested")]
    StartRequested {
        /// Which.
        name: ProcessName,
        /// Which start.
        generation: u64,
        /// Who said so.
        by: String,
        /// It comes back by itself.
        automatic: bool,
    },
    /// It is up.
    #[serde(rename = "process.started")]
    Started {
        /// Which.
        name: ProcessName,
        /// Which start.
        generation: u64,
    },
    /// It was told to stop.
    #[serde(rename = "process.stop_requested")]
    StopRequested {
        /// Which.
        name: ProcessName,
        /// Who said so.
        by: String,
        /// It stays stopped until somebody starts it.
        remember: bool,
        /// Until when its end is waited for.
        until: Millis,
    },
    /// It ended.
    #[serde(rename = "process.exited")]
    Exited {
        /// Which.
        name: ProcessName,
        /// Which start.
        generation: u64,
        /// How.
        exit: ProcessExit,
        /// When it is started again by itself.
        restart_at: Option<Millis>,
    },
}

/// Something about the board as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum SystemEvent {
    /// The service began; nothing of an earlier one is at work any more.
    #[serde(rename = "system.started")]
    Started {
        /// Which service, for the logs.
        instance: String,
    },
    /// Settings changed.
    #[serde(rename = "system.configured")]
    Configured {
        /// All of them.
        settings: Box<BoardSettings>,
    },
    /// Processes are kept running.
    #[serde(rename = "system.runtime_hatch_armed")]
    HatchArmed {
        /// Who decided.
        source: String,
        /// A person did.
        by_person: bool,
    },
    /// Processes are not kept running.
    #[serde(rename = "system.runtime_hatch_disarmed")]
    HatchDisarmed {
        /// Who decided.
        source: String,
        /// A person did.
        by_person: bool,
    },
    /// Nothing new is started.
    #[serde(rename = "system.held")]
    Held {
        /// Why.
        detail: String,
        /// Who held it.
        by: String,
        /// Until when; `None` = until a person says go on.
        until: Option<Millis>,
    },
    /// New things are started again.
    #[serde(rename = "system.resumed")]
    Resumed {
        /// Who said so.
        by: String,
    },
    /// The quota of an agent is used up.
    #[serde(rename = "quota.paused")]
    QuotaPaused {
        /// The agent of the configuration.
        agent: String,
        /// Until when.
        until: Millis,
        /// What the provider said.
        detail: String,
    },
    /// It is tried again.
    #[serde(rename = "quota.resumed")]
    QuotaResumed {
        /// The agent of the configuration.
        agent: String,
    },
    /// Other kinds of workers are there on other machines than before.
    #[serde(rename = "system.workers")]
    WorkersSeen {
        /// Each once, in order.
        kinds: Vec<WorkerCapabilities>,
    },
    /// A cycle began.
    #[serde(rename = "cycle.started")]
    CycleStarted {
        /// Its number.
        number: u64,
    },
    /// A cycle ended.
    #[serde(rename = "cycle.end_triggered")]
    CycleEnded {
        /// Its number.
        number: u64,
        /// Why.
        trigger: String,
    },
    /// A requirement was handed in.
    #[serde(rename = "planner.requested")]
    PlanRequested {
        /// Its number.
        plan: PlanId,
        /// The text.
        requirement: String,
    },
    /// A planner is done with it.
    #[serde(rename = "planner.finished")]
    PlanFinished {
        /// Which.
        plan: PlanId,
        /// Its tasks, which were created right before.
        tasks: Vec<TaskId>,
        /// Why there are none.
        error: Option<String>,
    },
    /// Tasks, runs, judgements, leases and cycles were removed.
    #[serde(rename = "system.cleanup")]
    Cleaned {
        /// Who said so.
        by: String,
    },
    /// The database takes writes, or refuses them.
    #[serde(rename = "system.database")]
    Database {
        /// It takes them.
        open: bool,
    },
}

impl Event {
    /// Makes an event of the current version.
    pub fn new(at: Millis, what: impl Into<EventKind>) -> Self {
        Self {
            v: EVENT_VERSION,
            at,
            what: what.into(),
        }
    }

    /// Returns the task it is about, where it is about one.
    pub fn task(&self) -> Option<TaskId> {
        match &self.what {
            EventKind::Task(event) => match event {
                TaskEvent::Created { task, .. }
                | TaskEvent::Edited { task, .. }
                | TaskEvent::Linked { task, .. }
                | TaskEvent::Requeued { task, .. }
                | TaskEvent::Failed { task, .. }
                | TaskEvent::Blocked { task, .. }
                | TaskEvent::Cancelled { task, .. }
                | TaskEvent::Done { task, .. }
                | TaskEvent::Asked { task, .. } => Some(*task),
                TaskEvent::Answered { .. } => None,
            },
            EventKind::Run(RunEvent::Started { task, .. })
            | EventKind::Judge(
                JudgeEvent::Started { task, .. } | JudgeEvent::Enqueued { task, .. },
            ) => Some(*task),
            EventKind::Run(_)
            | EventKind::Judge(_)
            | EventKind::Process(_)
            | EventKind::System(_)
            | EventKind::Plan(_)
            | EventKind::Session(_) => None,
        }
    }

    /// Returns the name of its type, such as `task.created`.
    pub const fn name(&self) -> &'static str {
        match &self.what {
            EventKind::Task(event) => event.name(),
            EventKind::Run(event) => event.name(),
            EventKind::Judge(event) => event.name(),
            EventKind::Process(event) => event.name(),
            EventKind::System(event) => event.name(),
            EventKind::Plan(event) => event.name(),
            EventKind::Session(event) => event.name(),
        }
    }
}

macro_rules! into_kind {
    ($($event:ident => $variant:ident),+) => {
        $(impl From<$event> for EventKind {
            fn from(event: $event) -> Self {
                Self::$variant(event)
            }
        })+
    };
}
into_kind!(TaskEvent => Task, RunEvent => Run, JudgeEvent => Judge, ProcessEvent => Process, SystemEvent => System, SessionEvent => Session, PlanEvent => Plan);
