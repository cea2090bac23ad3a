//! The service around a board: one loop makes events durable, processes perform what follows.
//!
//! `engine` owns board and store; `supervisor` supervises the processes; `worker`, `judge` and `session` do the work. Everybody else
//! holds a [`BoardHandle`]. Dangers: an effect may only be performed after its events are durable, and whatever an agent
//! reports carries the number of its lease.

mod approvals;
mod attempt_context;
mod brain;
mod case;
mod deliveries;
mod engine;
mod github;
mod judge;
mod plan_agent;
mod planner;
mod publish;
mod remote;
mod review;
mod session;
mod supervisor;
mod threads;
mod wakes;
mod watched_worktrees;
mod worker;

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    domain::{ledger::SessionStart, tasks::Agent, tasks::TaskList},
    ports::{
        board_store::BoardUpkeep, branch_merges::BranchMerges, cluster::RemoteRuns,
        containers::Containers, github::GitHub, process_logs::ProcessLogs,
    },
    services::tasks::SessionPorts,
};

pub use approvals::BoardApprovals;
pub use attempt_context::AttemptContext;
pub use brain::{Brain, ModelSeat, PlanMaker};
pub use deliveries::DeliveryError;
pub use engine::{BoardHandle, EventNotice, SubmitError, start};
pub use remote::serve_orders;
pub use supervisor::run;

/// What the processes of a service work with.
#[derive(Clone)]
pub struct ServiceContext {
    /// Which service this is; it names its runs.
    pub instance: String,
    /// What tasks have in common: agent, sandbox, limits. It holds no tasks.
    pub list: TaskList,
    /// Further agents, by name.
    pub agents: BTreeMap<String, Agent>,
    /// The command that tests a change unless the task names another.
    pub test_command: Vec<String>,
    /// What is known of here, for the ledger.
    pub start: SessionStart,
    /// Work trees, runners, ledger.
    pub tools: SessionPorts,
    /// Merges.
    pub merges: Arc<dyn BranchMerges>,
    /// Logs.
    pub logs: Arc<dyn ProcessLogs>,
    /// What plans and reviews.
    pub brain: Brain,
    /// Keeps the summary of a run whose session is over.
    pub keep_summary: Arc<dyn Fn(&str) + Send + Sync>,
    /// GitHub, where the settings name a repository there.
    pub github: Arc<dyn GitHub>,
    /// Looks after the board's store.
    pub upkeep: Arc<dyn BoardUpkeep>,
    /// Containers, where the settings want them.
    pub containers: Arc<dyn Containers>,
    /// Workers on other machines; without them the work is done here.
    pub remote: Option<Arc<dyn RemoteRuns>>,
}

impl std::fmt::Debug for ServiceContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceContext")
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

impl ServiceContext {
    /// Returns what attempts are made with.
    fn for_attempts(&self) -> AttemptContext {
        AttemptContext {
            instance: self.instance.clone(),
            list: self.list.clone(),
            agents: self.agents.clone(),
            test_command: self.test_command.clone(),
            start: self.start.clone(),
            tools: self.tools.clone(),
            logs: Arc::clone(&self.logs),
            containers: Arc::clone(&self.containers),
        }
    }

    /// Returns the branch that a task is merged into.
    fn branch(&self, asked: &str) -> Result<String, String> {
        if asked.is_empty() {
            return self.merges.current_branch().map_err(|error| error.0);
        }
        Ok(asked.to_owned())
    }
}
