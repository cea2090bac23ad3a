//! Why a task or a run is what it is, in a sentence for people; programs read the words of [`StatusReason`].

use crate::domain::plan::{
    Plan, PlanTask, TaskIndex,
    event::Millis,
    state::{RunState, StatusReason, TaskState, TaskStatus},
};

/// More names than this are counted, not listed.
const NAMED: usize = 3;

/// Returns why a task failed, was skipped or was canceled; nothing where there is nothing to explain.
pub fn explain_status(plan: &Plan, state: &RunState, index: TaskIndex) -> Option<String> {
    let (task, done) = (plan.task(index)?, state.task(index)?);
    let told = match done.status {
        TaskStatus::Failed if task.allow_failure() => {
            let failed = failed(task, done);
            if failed == "failed" {
                "failed, allowed".to_owned()
            } else {
                format!("failed, allowed: {failed}")
            }
        }
        TaskStatus::Failed => failed(task, done),
        TaskStatus::Ready => format!("{}; another attempt follows", failed(task, done)),
        TaskStatus::Skipped | TaskStatus::Canceled => skipped(plan, state, task, done)?,
        TaskStatus::Pending
        | TaskStatus::Running
        | TaskStatus::Success
        | TaskStatus::Interrupted => return None,
    };
    Some(told)
}

/// Says how an attempt failed.
fn failed(task: &PlanTask, done: &TaskState) -> String {
    if let Some(message) = done.message().filter(|text| !text.is_empty()) {
        return message.to_owned();
    }
    if done.timed_out {
        return match task.timeout_sec {
            Some(limit) => format!("timed out after {} s", number(limit)),
            None => "timed out".to_owned(),
        };
    }
    match (done.exit_code, done.reason) {
        (_, Some(reason)) => of_itself(reason).to_owned(),
        (Some(code), None) if code < 0 => format!("ended by signal {}", code.unsigned_abs()),
        (Some(code), None) => format!("exit code {code}"),
        (None, None) => "failed".to_owned(),
    }
}

fn skipped(plan: &Plan, state: &RunState, task: &PlanTask, done: &TaskState) -> Option<String> {
    let reason = done.reason?;
    let told = match reason {
        StatusReason::DependencyNotSuccess => needs(plan, state, task, |up, status| match status {
            TaskStatus::Success => false,
            TaskStatus::Failed => !up.allow_failure(),
            TaskStatus::Pending
            | TaskStatus::Ready
            | TaskStatus::Running
            | TaskStatus::Skipped
            | TaskStatus::Canceled
            | TaskStatus::Interrupted => true,
        }),
        StatusReason::DependencySkipped => {
            needs(plan, state, task, |_, status| status == TaskStatus::Skipped)
        }
        StatusReason::FailFast
        | StatusReason::RunCanceled
        | StatusReason::ProcessStartFailed
        | StatusReason::RunnerException
        | StatusReason::NeedsFilesMissing
        | StatusReason::WhenFalse
        | StatusReason::NothingFailed
        | StatusReason::OutputsMissing
        | StatusReason::PolicyDenied
        | StatusReason::PreviousRunInterrupted => None,
    };
    let told = told.or_else(|| done.message().map(str::to_owned));
    Some(told.unwrap_or_else(|| of_itself(reason).to_owned()))
}

/// Names what a task waited for in vain, and what became of it.
fn needs(
    plan: &Plan,
    state: &RunState,
    task: &PlanTask,
    is_cause: impl Fn(&PlanTask, TaskStatus) -> bool,
) -> Option<String> {
    let causes: Vec<(&PlanTask, &TaskState)> = task
        .depends_on
        .iter()
        .filter_map(|up| Some((plan.task(*up)?, state.task(*up)?)))
        .filter(|(up, done)| is_cause(up, done.status))
        .collect();
    let named: Vec<String> = causes
        .iter()
        .take(NAMED)
        .map(|(up, done)| format!("{}, which {}", up.id, became(done)))
        .collect();
    let more = causes.len().saturating_sub(NAMED);
    let more = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    (!named.is_empty()).then(|| format!("needs {}{more}", named.join("; ")))
}

const fn became(done: &TaskState) -> &'static str {
    match done.status {
        TaskStatus::Failed if done.timed_out => "timed out",
        TaskStatus::Failed => "failed",
        TaskStatus::Skipped => "was skipped",
        TaskStatus::Canceled => "was canceled",
        TaskStatus::Success => "succeeded",
        TaskStatus::Pending | TaskStatus::Ready | TaskStatus::Running | TaskStatus::Interrupted => {
            "did not end"
        }
    }
}

/// Says a reason where nothing more is known.
const fn of_itself(reason: StatusReason) -> &'static str {
    match reason {
        StatusReason::DependencyNotSuccess => "something it needs did not succeed",
        StatusReason::FailFast => "not started after the first failure (`--fail-fast`)",
        StatusReason::RunCanceled => "the run was canceled",
        StatusReason::ProcessStartFailed => "its program could not be started",
        StatusReason::RunnerException => "tos itself failed",
        StatusReason::NeedsFilesMissing => "a file it needs is missing",
        StatusReason::WhenFalse => "its `when` does not hold",
        StatusReason::DependencySkipped => "something it needs was skipped",
        StatusReason::NothingFailed => "runs only after a failure, and nothing failed",
        StatusReason::OutputsMissing => "its `outputs` are missing",
        StatusReason::PolicyDenied => "the policy denies its command",
        StatusReason::PreviousRunInterrupted => "the run was interrupted while it ran",
    }
}

/// Names the failed tasks that count as no failure, where there are some.
pub fn allowed_failures(plan: &Plan, state: &RunState) -> Option<String> {
    let failed: Vec<&str> = plan
        .tasks
        .iter()
        .zip(&state.tasks)
        .filter(|(task, done)| done.status == TaskStatus::Failed && task.allow_failure())
        .map(|(task, _)| &*task.id)
        .collect();
    let names = failed.iter().take(NAMED).copied().collect::<Vec<_>>();
    let more = failed.len().saturating_sub(NAMED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    (!names.is_empty()).then(|| format!("{}{more} failed, which the plan allows", names.join(", ")))
}

/// Returns the microseconds a task took, or, while it runs, has taken until `now`.
pub fn elapsed_micros(task: &TaskState, now: Millis) -> Option<u64> {
    if task.status != TaskStatus::Running {
        return task.took_us;
    }
    let since = now.saturating_sub(task.started_at?);
    Some(u64::try_from(since).unwrap_or(0).saturating_mul(1000))
}

/// Returns the tasks that a word means: the one of that id, or all that a matrix has made of it.
pub fn find_tasks(ids: &[String], word: &str) -> Vec<TaskIndex> {
    let numbered = || (0_u32..).zip(ids);
    if let Some((index, _)) = numbered().find(|(_, id)| *id == word) {
        return vec![index];
    }
    let of_matrix = |id: &str| {
        id.strip_prefix(word)
            .is_some_and(|rest| rest.starts_with('-') && rest.len() > 1)
    };
    numbered()
        .filter(|(_, id)| of_matrix(id))
        .map(|(index, _)| index)
        .collect()
}

fn number(value: f64) -> String {
    format!("{value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_a_task_or_a_matrix() {
        let ids = ["build-linux", "build-mac", "build", "buildings"].map(str::to_owned);
        assert_eq!(find_tasks(&ids, "build"), [2]);
        assert_eq!(find_tasks(&ids[..2], "build"), [0, 1]);
        assert_eq!(find_tasks(&ids, "buil"), [0_u32; 0]);
        assert_eq!(find_tasks(&ids[..2], "build-"), [0_u32; 0]);
    }

    #[test]
    fn the_time_of_a_running_task_goes_on() {
        let task = TaskState {
            status: TaskStatus::Running,
            started_at: Some(1_000),
            ..TaskState::default()
        };
        assert_eq!(elapsed_micros(&task, 3_500), Some(2_500_000));
        assert_eq!(elapsed_micros(&TaskState::default(), 3_500), None);
    }
}
