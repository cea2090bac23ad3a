//! A list that is handed to a service: everything its session needs, so that it can go on after a death of the service.

use serde::{Deserialize, Serialize};

use super::{
    session::{SessionItem, SessionSpec},
    task::TaskSpec,
};
use crate::domain::{
    ledger::SessionStart,
    tasks::{AgentTask, RunProgress, TaskList},
};

/// What a command hands to a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    /// The run.
    pub run: String,
    /// The id of its first session in the ledger.
    pub session: String,
    /// `night` or `tasks`.
    pub kind: String,
    /// The list.
    pub list: TaskList,
    /// What is known at the start, for the ledger.
    pub start: SessionStart,
    /// How long it may take.
    pub seconds: Option<u64>,
    /// After how many accepted tasks the whole is tested; 0 = never.
    pub checkpoint_every: u32,
    /// A person says go for each task.
    pub asks: bool,
    /// Who hands it over.
    pub by: String,
}

impl SessionRequest {
    fn board_task(&self, task: &AgentTask) -> TaskSpec {
        TaskSpec {
            title: format!("{}: {}", task.id, task.goal),
            goal: task.prompt.clone(),
            class: task.class.clone(),
            test_command: task.test_command.clone(),
            context_files: task.context_files.clone(),
            may_change_checks: task.may_change_checks.clone(),
            allowed_imports: task.allowed_imports.clone(),
            timebox_minutes: u32::try_from(task.max_time_seconds.div_ceil(60)).unwrap_or(u32::MAX),
            source: format!("{} {}", self.kind, self.run),
            ..TaskSpec::default()
        }
    }

    /// Returns what the board has to know, as far as the run is.
    pub fn spec(&self, progress: &RunProgress) -> SessionSpec {
        let place = |id: &String| self.list.tasks.iter().position(|task| &task.id == id);
        let items = self.list.tasks.iter().map(|task| SessionItem {
            id: task.id.clone(),
            goal: task.goal.clone(),
            task: self.board_task(task),
            needs: task.depends_on.iter().filter_map(place).collect(),
            seconds: task.max_time_seconds,
            outcome: progress
                .ends
                .iter()
                .find(|end| end.task == task.id)
                .map(|end| end.outcome),
        });
        SessionSpec {
            run: self.run.clone(),
            list: self.list.id.clone(),
            kind: self.kind.clone(),
            on_failure: self.list.on_failure,
            seconds: self.seconds,
            max_micro_usd: self.list.max_usd.map(|usd| u64::from(usd) * 1_000_000),
            asks: self.asks,
            items: items.collect(),
            failures_in_a_row: progress.failures_in_a_row,
            by: self.by.clone(),
            recorded: None,
            request: serde_json::to_string(self).unwrap_or_default(),
        }
    }
}
