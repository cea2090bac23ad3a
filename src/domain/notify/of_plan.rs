//! What is told of a run of a plan: that it succeeded or failed, and which tasks failed why.

use super::{Notification, NotificationEvent};
use crate::domain::plan::state::{RunState, StatusReason, TaskState, TaskStatus};

/// At most so many failed tasks are named.
const NAMED: usize = 5;

/// Returns what the end of a run is worth telling; nothing where a person cancelled it.
pub fn plan_notification(state: &RunState, run: &str) -> Option<Notification> {
    // A plan without a goal is called by its file.
    let goal = state.created.goal.as_deref();
    let name = goal.unwrap_or(&state.created.plan);
    match state.status {
        TaskStatus::Success => Some(
            Notification::new(
                NotificationEvent::PlanPassed,
                format!("plan `{name}` succeeded"),
                run,
            )
            .text(counts(state))
            .next_command(format!("tos plan report {run}")),
        ),
        TaskStatus::Failed | TaskStatus::Interrupted | TaskStatus::Skipped => Some(
            Notification::new(
                NotificationEvent::PlanFailed,
                format!("plan `{name}` failed"),
                run,
            )
            .text(failures(state))
            .next_command(format!("tos plan resume {run}")),
        ),
        TaskStatus::Canceled | TaskStatus::Pending | TaskStatus::Ready | TaskStatus::Running => {
            None
        }
    }
}

fn counts(state: &RunState) -> String {
    let counts = state
        .status_counts()
        .into_iter()
        .filter(|(_, count)| *count > 0);
    let words: Vec<String> = counts
        .map(|(status, count)| format!("{count} {}", status.name()))
        .collect();
    words.join(", ")
}

fn failures(state: &RunState) -> String {
    let failed: Vec<String> = state
        .entries()
        .filter(|(_, _, task)| task.status == TaskStatus::Failed)
        .map(|(_, id, task)| format!("{id}: {}", why(task)))
        .collect();
    let mut lines: Vec<String> = failed.iter().take(NAMED).cloned().collect();
    if failed.len() > NAMED {
        lines.push(format!("and {} more", failed.len() - NAMED));
    }
    lines.push(counts(state));
    lines.join("\n")
}

fn why(task: &TaskState) -> String {
    if task.timed_out {
        return "its time was up".to_owned();
    }
    if let Some(message) = task.message() {
        return message.to_owned();
    }
    if let Some(reason) = task.reason {
        return words(reason).to_owned();
    }
    task.exit_code
        .map_or_else(|| "failed".to_owned(), |code| format!("exit code {code}"))
}

const fn words(reason: StatusReason) -> &'static str {
    match reason {
        StatusReason::ProcessStartFailed => "its program could not be started",
        StatusReason::RunnerException => "tos itself failed",
        StatusReason::NeedsFilesMissing => "a file it needs is not there",
        StatusReason::OutputsMissing => "it did not make what it promised",
        StatusReason::PolicyDenied => "the policy forbids its command",
        StatusReason::PreviousRunInterrupted => "tos died while it ran",
        StatusReason::DependencyNotSuccess
        | StatusReason::FailFast
        | StatusReason::RunCanceled
        | StatusReason::WhenFalse
        | StatusReason::DependencySkipped
        | StatusReason::NothingFailed => reason.name(),
    }
}
