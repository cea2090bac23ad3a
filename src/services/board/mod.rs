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
mod remote_worker;
mod review;
mod session;
mod session_seat;
mod supervisor;
mod threads;
mod under_way;
mod wakes;
mod watched_worktrees;
mod worker;

use std::sync::Arc;

use crate::ports::{
    board_store::BoardMaintenance, branch_merges::BranchMerges, cluster::RunDispatcher,
    github::GitHub,
};

pub use approvals::BoardApprovals;
pub use attempt_context::AttemptServices;
pub use brain::{ConfiguredModel, PlannerAndReviewer, PlannerKind};
pub use deliveries::DeliveryError;
pub use engine::{BoardHandle, start, start_loaded};
pub use remote_worker::serve_orders;
pub use supervisor::run;

/// What the processes of a service work with.
#[derive(Clone)]
pub struct ServicePorts {
    /// What attempts are made with, here or on another machine.
    pub attempts: Arc<AttemptServices>,
    /// Merges.
    pub merges: Arc<dyn BranchMerges>,
    /// What plans and reviews.
    pub brain: PlannerAndReviewer,
    /// Keeps the summary of a run whose session is over.
    pub keep_summary: Arc<dyn Fn(&str) + Send + Sync>,
    /// GitHub, where the settings name a repository there.
    pub github: Arc<dyn GitHub>,
    /// Looks after the board's store.
    pub upkeep: Arc<dyn BoardMaintenance>,
    /// Workers on other machines; without them the work is done here.
    pub remote: Option<Arc<dyn RunDispatcher>>,
}

/// A service knows all that an attempt does.
impl std::ops::Deref for ServicePorts {
    type Target = AttemptServices;

    fn deref(&self) -> &AttemptServices {
        &self.attempts
    }
}

impl std::fmt::Debug for ServicePorts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServicePorts")
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

impl ServicePorts {
    /// Returns the branch that a task is merged into.
    fn branch(&self, asked: &str) -> Result<String, String> {
        if asked.is_empty() {
            return self.merges.current_branch().map_err(|error| error.0);
        }
        Ok(asked.to_owned())
    }
}
