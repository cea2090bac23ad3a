//! The terminal of a list of tasks: what a person sees and says, and the exit code that tells how it ended.

use crate::{
    domain::{
        ledger::TaskOutcome,
        tasks::{AgentTask, StopReason},
    },
    interfaces::{cli::exit::CliExit, report::Printer},
    services::tasks::{ListReport, SessionObserver},
};

/// The person at the terminal, who says go for each task while the phase is the lowest.
pub(super) struct TaskScreen {
    pub(super) ask: fn(&str) -> Option<String>,
    pub(super) printer: Printer,
    pub(super) asks: bool,
}

impl TaskScreen {
    /// Asks whether a task may start.
    pub(super) fn confirm_start(&self, id: &str, goal: &str) -> bool {
        let answer = (self.ask)(&format!("{id}: {goal}\nType `go` to start it: "));
        answer.as_deref() == Some("go")
    }
}

impl SessionObserver for TaskScreen {
    fn is_startable_program(&self, task: &AgentTask) -> bool {
        if !self.asks {
            return true;
        }
        self.confirm_start(&task.id, &task.goal)
    }

    fn line(&self, text: &str) {
        self.printer.note(text);
    }
}

/// Returns the exit code that says how a list ended.
pub(super) fn exit_code(summary: &ListReport) -> CliExit {
    let all = summary
        .tasks
        .iter()
        .all(|task| task.outcome == TaskOutcome::Success);
    match summary.stop {
        StopReason::Operator => CliExit::Cancelled,
        StopReason::Quota | StopReason::Budget | StopReason::Provider | StopReason::NeedsPerson => {
            CliExit::Refused
        }
        StopReason::QueueEmpty if all => CliExit::Success,
        StopReason::QueueEmpty
        | StopReason::TaskFailed
        | StopReason::TwoFailures
        | StopReason::Limit
        | StopReason::TimeCap => CliExit::PlanFailed,
        StopReason::Broken => CliExit::NotDone,
    }
}
