//! Work for other machines: what travels, and which worker may take which work.
//!
//! An order carries everything that a worker needs to make one guarded attempt, and no secret: agents log in with what their own machine has. A result carries
//! the number of the lease under which the work was done, so that the board can refuse what is stale.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

mod demand;
mod log_files;
mod plan_work;
mod printed;
mod protocol;

pub use demand::{WorkerInstructions, round_robin};
pub use log_files::{LogBundle, is_plain_name};
pub use plan_work::{
    PLAN_QUEUE_NAME, PlanFile, PlanTaskRequest, PlanTaskResult, RemoteExit, TaskOutputText,
    all_dependencies, alone, path_below,
};
pub use printed::{PrintedPiece, ShownText, split_text};
pub use protocol::{
    ANNOUNCE_INTERVAL, ClaimHolder, Delivery, GRACE, QueuePlace, Refused, announce_interval,
    batch_id, delivered, lost_workers, refused,
};

use super::{
    board::{AgentRole, Fence, RunId, RunOutcome, Spend, Task, WorkerCapabilities, run_log_folder},
    ledger::{LedgerEntry, SessionStart},
    tasks::{Agent, TaskList},
    time::Timestamp,
};

/// The form of orders and results. A worker with another one gets no work.
pub const PROTOCOL_VERSION: u32 = 3;

/// The file beside the database of a board that is kept on NATS, in the folder of tos: the words with which its controller is started.
pub const CLUSTER_NOTE: &str = "board.nats";

/// One attempt to be made somewhere else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkOrder {
    /// The form of this order.
    pub protocol: u32,
    /// Which service hands it out; it names the runs.
    pub instance: String,
    /// The run.
    pub run: RunId,
    /// The number of its lease.
    pub fence: Fence,
    /// The agent of the board that stands for it here.
    pub agent: String,
    /// The task.
    pub task: Task,
    /// The commit the work starts from.
    pub base: String,
    /// The image and the network of its container; `None` = it works on the machine itself.
    pub inside: Option<(String, String)>,
    /// What tasks have in common; it holds no tasks.
    pub list: TaskList,
    /// Further agents, by name.
    pub agents: BTreeMap<String, Agent>,
    /// The command that tests a change unless the task names another.
    pub test_command: Vec<String>,
    /// What the ledger is to know of the start; the worker puts in what confines the agent where it works.
    pub start: SessionStart,
}

impl WorkOrder {
    /// Returns who does it.
    pub fn role(&self) -> AgentRole {
        self.task.spec.role
    }

    /// Returns what names this attempt and no other, for the server's list of duplicates.
    pub fn id(&self) -> String {
        format!("{}.{}.{}", self.task.id, self.run, self.fence.0)
    }

    /// Returns where the logs of the attempt lie, below the root; `None` where the name of the service is none for a folder.
    pub fn log_folder(&self) -> Option<String> {
        is_plain_name(&self.instance).then(|| run_log_folder(&self.instance, self.run))
    }
}

/// What came of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkResult {
    /// The run.
    pub run: RunId,
    /// The number under which the work was done.
    pub fence: Fence,
    /// Who did it.
    pub worker: String,
    /// How it ended.
    pub outcome: RunOutcome,
    /// What it used up.
    pub spend: Spend,
    /// What belongs into the controller's ledger, each with its session.
    pub records: Vec<(Option<String>, LedgerEntry)>,
    /// The name of the bundle that holds the commit of the attempt; empty = there is none.
    pub bundle: String,
    /// The name of the object that holds the logs of the attempt; empty = there are none.
    pub logs: String,
}

/// What a worker says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerInfo {
    /// Its name.
    pub name: String,
    /// The version of tos.
    pub version: String,
    /// The form of orders that it reads.
    pub protocol: u32,
    /// What it does.
    pub roles: Vec<AgentRole>,
    /// How much it does at a time.
    pub slots: u16,
    /// Which numbers of leases it works under.
    pub busy: BTreeSet<u64>,
    /// It takes nothing new.
    pub draining: bool,
    /// What confines agents there.
    pub wall: String,
    /// What the machine has, as labels.
    pub labels: Vec<String>,
    /// How many tasks of plans it makes at a time; 0 = none.
    #[serde(skip_serializing_if = "is_none")]
    pub plan_slots: u16,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
const fn is_none(count: &u16) -> bool {
    *count == 0
}

impl WorkerInfo {
    /// Says why a worker gets no work, whatever the work is.
    pub fn unschedulable_reason(&self) -> Option<String> {
        if self.protocol != PROTOCOL_VERSION {
            return Some(format!(
                "it reads orders of form {} and this controller writes form {PROTOCOL_VERSION}: install the tos of the controller there",
                self.protocol
            ));
        }
        self.draining.then(|| "it takes nothing new".to_owned())
    }

    fn kind(&self) -> WorkerCapabilities {
        let (mut roles, mut labels) = (self.roles.clone(), self.labels.clone());
        roles.sort();
        labels.sort();
        WorkerCapabilities { roles, labels }
    }
}

/// How a worker stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerState {
    /// It is there and takes work.
    TakesWork,
    /// It is there and gets no work, for this reason.
    NoWork(String),
    /// It was heard last at this moment, and several words are missing since.
    Lost(Timestamp),
}

/// A cluster as an operator sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterView {
    /// The workers that were heard of lately.
    pub workers: Vec<WorkerInfo>,
    /// Those of them that are silent for too long, and when they were heard last.
    pub lost: BTreeMap<String, Timestamp>,
    /// How many orders lie in the queue and nobody has them.
    pub queued: u64,
    /// How many orders somebody has.
    pub under_way: u64,
    /// How many orders that somebody has were given out more than once.
    pub redelivered: u64,
}

impl ClusterView {
    /// Returns the workers that take work.
    pub fn schedulable(&self) -> impl Iterator<Item = &WorkerInfo> {
        let workers = self.workers.iter();
        workers.filter(|card| self.state_of(card) == WorkerState::TakesWork)
    }

    /// Returns how one of the workers stands. One that said that it takes nothing new may have ended since: it is not lost.
    pub fn state_of(&self, card: &WorkerInfo) -> WorkerState {
        match (card.unschedulable_reason(), self.lost.get(&card.name)) {
            (Some(why), _) => WorkerState::NoWork(why),
            (None, Some(since)) => WorkerState::Lost(*since),
            (None, None) => WorkerState::TakesWork,
        }
    }

    /// Returns which kinds of workers take work, each once, in order.
    pub fn worker_capabilities(&self) -> Vec<WorkerCapabilities> {
        let kinds: BTreeSet<WorkerCapabilities> =
            self.schedulable().map(WorkerInfo::kind).collect();
        kinds.into_iter().collect()
    }

    /// Returns how many attempts are being made.
    pub fn running_attempts(&self) -> usize {
        let workers = self.workers.iter();
        let there = workers.filter(|card| !self.lost.contains_key(&card.name));
        there.map(|card| card.busy.len()).sum()
    }

    /// Returns how many tasks of plans the workers that take work can make at a time.
    pub fn plan_slots(&self) -> u64 {
        self.schedulable()
            .map(|card| u64::from(card.plan_slots))
            .sum()
    }

    /// Returns how many attempts the workers that take work can make at a time.
    pub fn slots(&self) -> u64 {
        self.schedulable().map(|card| u64::from(card.slots)).sum()
    }
}

/// Says why a worker may not do an order.
pub fn ineligible_reason(card: &WorkerInfo, order: &WorkOrder) -> Option<String> {
    if order.protocol != card.protocol {
        return Some(format!(
            "the order has form {} and this worker reads form {}; install the tos of the controller",
            order.protocol, card.protocol
        ));
    }
    if card.draining {
        return Some("the worker takes nothing new".to_owned());
    }
    if !card.roles.contains(&order.role()) {
        return Some(format!("the worker is no {}", order.role().as_str()));
    }
    let required = &order.task.spec.requires;
    let missing = required.iter().find(|label| !card.labels.contains(label));
    missing.map(|label| format!("the worker has no label {label}"))
}

#[cfg(test)]
mod tests;
