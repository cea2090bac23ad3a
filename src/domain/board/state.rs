//! The state of a board, and its change by events.
//!
//! Everything is kept in maps of shared values, so that a copy of the whole board is cheap and readers never wait for
//! writers. Whoever changes something leaves its key in `dirty`, from which the store knows what to write.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    budget::SpendTotals,
    ids::{
        AgentId, ApprovalId, Fence, JudgementId, MergeId, Millis, PlanId, ProcessName, RunId,
        SessionId, TaskId,
    },
    judge::{Judgement, MergeQueueEntry},
    process::{ApprovalRequest, Cycle, DispatchHold, Hatch, Process, QuotaPause, RequirementPlan},
    run::{AgentState, Run},
    session::Session,
    settings::BoardSettings,
    task::Task,
    workers::WorkerCapabilities,
};

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
const fn is_never(at: &Millis) -> bool {
    *at == 0
}

/// What a board keeps once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub struct BoardGlobals {
    /// The time of the last event; the clock of the board never goes back behind it.
    pub now: Millis,
    /// How many events there were.
    pub events: u64,
    /// The number of the event that last emptied the board; nobody is shown those before it.
    pub cleaned: u64,
    /// When that was; 0 = never, or by an earlier version.
    #[serde(skip_serializing_if = "is_never")]
    pub cleaned_at: Millis,
    /// The last number of a task.
    pub last_task: TaskId,
    /// The last number of a run.
    pub last_run: RunId,
    /// The last number of a judgement.
    pub last_judgement: JudgementId,
    /// The last number of an entry of the merge queue.
    pub last_merge: MergeId,
    /// The last number of a question.
    pub last_approval: ApprovalId,
    /// The last number of a plan.
    pub last_plan: PlanId,
    /// The last number of a session.
    pub last_session: SessionId,
    /// The last number of a lease.
    pub last_fence: Fence,
    /// How the board behaves.
    pub settings: BoardSettings,
    /// Whether processes are kept running.
    pub hatch: Hatch,
    /// What was used up.
    pub budget: SpendTotals,
    /// Why nothing new is started.
    pub hold: Option<DispatchHold>,
    /// The database refuses writes.
    pub closed: bool,
    /// The service that works now.
    pub instance: String,
    /// Which kinds of workers are there on other machines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<WorkerCapabilities>,
}

/// The name of one thing on a board.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntityKey {
    /// What is there once.
    Globals,
    /// A task.
    Task(TaskId),
    /// A run.
    Run(RunId),
    /// An agent.
    Agent(AgentId),
    /// A process.
    Process(ProcessName),
    /// A judgement.
    Judgement(JudgementId),
    /// An entry of the merge queue.
    Merge(MergeId),
    /// A question.
    Approval(ApprovalId),
    /// A pause for a quota, by agent of the configuration.
    Pause(String),
    /// A cycle, by number.
    Cycle(u64),
    /// A plan.
    Plan(PlanId),
    /// A session.
    Session(SessionId),
}

/// One thing on a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entity {
    /// What is there once.
    Globals(Box<BoardGlobals>),
    /// A task.
    Task(Arc<Task>),
    /// A run.
    Run(Arc<Run>),
    /// An agent.
    Agent(AgentState),
    /// A process.
    Process(Arc<Process>),
    /// A judgement.
    Judgement(Arc<Judgement>),
    /// An entry of the merge queue.
    Merge(Arc<MergeQueueEntry>),
    /// A question.
    Approval(Arc<ApprovalRequest>),
    /// A pause for a quota.
    Pause(QuotaPause),
    /// A cycle.
    Cycle(Cycle),
    /// A plan.
    Plan(Arc<RequirementPlan>),
    /// A session.
    Session(Arc<Session>),
}

impl EntityKey {
    /// Returns the word for the kind of thing, and its name among these.
    pub fn parts(&self) -> (&'static str, String) {
        match self {
            Self::Globals => ("globals", String::new()),
            Self::Task(id) => ("task", id.0.to_string()),
            Self::Run(id) => ("run", id.0.to_string()),
            Self::Agent(id) => ("agent", id.agent_name()),
            Self::Process(name) => ("process", name.to_string()),
            Self::Judgement(id) => ("judgement", id.0.to_string()),
            Self::Merge(id) => ("merge", id.0.to_string()),
            Self::Approval(id) => ("approval", id.0.to_string()),
            Self::Pause(agent) => ("pause", agent.clone()),
            Self::Cycle(number) => ("cycle", number.to_string()),
            Self::Plan(id) => ("plan", id.0.to_string()),
            Self::Session(id) => ("session", id.0.to_string()),
        }
    }
}

impl Entity {
    /// Writes it as JSON.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::Globals(globals) => serde_json::to_string(globals),
            Self::Task(task) => serde_json::to_string(&**task),
            Self::Run(run) => serde_json::to_string(&**run),
            Self::Agent(agent) => serde_json::to_string(agent),
            Self::Process(process) => serde_json::to_string(&**process),
            Self::Judgement(judgement) => serde_json::to_string(&**judgement),
            Self::Merge(merge) => serde_json::to_string(&**merge),
            Self::Approval(approval) => serde_json::to_string(&**approval),
            Self::Pause(pause) => serde_json::to_string(pause),
            Self::Cycle(cycle) => serde_json::to_string(cycle),
            Self::Plan(plan) => serde_json::to_string(&**plan),
            Self::Session(session) => serde_json::to_string(&**session),
        }
    }

    /// Reads a thing of a kind, or says why it cannot be read.
    pub fn from_json(kind: &str, text: &str) -> Result<Self, String> {
        let read = match kind {
            "globals" => serde_json::from_str(text).map(Self::Globals),
            "task" => serde_json::from_str(text).map(Arc::new).map(Self::Task),
            "run" => serde_json::from_str(text).map(Arc::new).map(Self::Run),
            "agent" => serde_json::from_str(text).map(Self::Agent),
            "process" => serde_json::from_str(text).map(Arc::new).map(Self::Process),
            "judgement" => serde_json::from_str(text)
                .map(Arc::new)
                .map(Self::Judgement),
            "merge" => serde_json::from_str(text).map(Arc::new).map(Self::Merge),
            "approval" => serde_json::from_str(text).map(Arc::new).map(Self::Approval),
            "pause" => serde_json::from_str(text).map(Self::Pause),
            "cycle" => serde_json::from_str(text).map(Self::Cycle),
            "plan" => serde_json::from_str(text).map(Arc::new).map(Self::Plan),
            "session" => serde_json::from_str(text).map(Arc::new).map(Self::Session),
            _ => {
                return Err(format!(
                    "this tos does not know things of the kind `{kind}`"
                ));
            }
        };
        read.map_err(|error| format!("a {kind} cannot be read: {error}"))
    }
}
