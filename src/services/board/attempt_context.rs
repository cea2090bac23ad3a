//! What one attempt is made with, here or on another machine: no board, no branch, nothing that only a controller has.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    domain::{ledger::SessionStart, tasks::Agent, tasks::TaskList},
    ports::{containers::Containers, process_logs::ProcessLogs},
    services::tasks::SessionPorts,
};

/// What attempts are made with.
#[derive(Clone)]
pub struct AttemptServices {
    /// Which service hands them out; it names the runs.
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
    /// Logs.
    pub logs: Arc<dyn ProcessLogs>,
    /// Containers, where an order wants them.
    pub containers: Arc<dyn Containers>,
}

impl std::fmt::Debug for AttemptServices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AttemptServices")
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}
