//! Work for other machines: what travels, and which worker may take which work.
//!
//! An order carries everything that a worker needs to make one guarded attempt, and no secret: agents log in with what their own machine has. A result carries
//! the number of the lease under which the work was done, so that the board can refuse what is stale.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    board::{Fence, Role, RunId, RunOutcome, Spend, Task},
    ledger::{LedgerEntry, SessionStart},
    tasks::{Agent, TaskList},
};

/// The form of orders and results. A worker with another one gets no work.
pub const PROTOCOL: u32 = 1;

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
    pub fn role(&self) -> Role {
        self.task.spec.role
    }

    /// Returns what names this attempt and no other, for the server's list of duplicates.
    pub fn id(&self) -> String {
        format!("{}.{}.{}", self.task.id, self.run, self.fence.0)
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
}

/// What a worker says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerCard {
    /// Its name.
    pub name: String,
    /// The version of tos.
    pub version: String,
    /// The form of orders that it reads.
    pub protocol: u32,
    /// What it does.
    pub roles: Vec<Role>,
    /// How much it does at a time.
    pub slots: u16,
    /// Which numbers of leases it works under.
    pub busy: BTreeSet<u64>,
    /// It takes nothing new.
    pub draining: bool,
    /// What confines agents there.
    pub wall: String,
}

/// Says why a worker may not do an order.
pub fn refusal(card: &WorkerCard, order: &WorkOrder) -> Option<String> {
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
    None
}

#[cfg(test)]
mod tests;
