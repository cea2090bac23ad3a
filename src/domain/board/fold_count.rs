//! Folding: what happens to the status and the counters of a task.

use super::{
    BlockReason, FailureKind, Millis, RequeueCause, RetryFeedback, Task, TaskCounters, TaskStatus,
};

/// Puts a task into a status.
pub(super) fn set_status(
    task: &mut Task,
    status: TaskStatus,
    block: Option<BlockReason>,
    at: Millis,
) {
    task.status = status;
    task.block = block;
    task.since = at;
    task.not_before = None;
}

/// Keeps the newest lessons.
pub(super) fn add_lesson(task: &mut Task, lesson: Option<&RetryFeedback>) {
    let Some(lesson) = lesson else { return };
    task.lessons.push(lesson.clone());
    let over = task.lessons.len().saturating_sub(Task::MAX_FEEDBACK);
    task.lessons.drain(..over);
}

pub(super) fn count_failure(task: &mut Task, failure: FailureKind, signature: &str) {
    task.counters.failures += 1;
    let same = !signature.is_empty() && signature == task.signature;
    task.counters.same_signature = if same {
        task.counters.same_signature + 1
    } else {
        1
    };
    let is_policy = failure == FailureKind::Policy;
    task.counters.policy_blocks = if is_policy {
        task.counters.policy_blocks + 1
    } else {
        0
    };
    task.failure = Some(failure);
    signature.clone_into(&mut task.signature);
}

pub(super) fn count_block(task: &mut Task, reason: BlockReason) {
    match reason {
        BlockReason::QuotaWait => task.counters.quota_waits += 1,
        BlockReason::AwaitingJudge => {
            task.counters.quota_waits = 0;
            task.counters.lost = 0;
        }
        BlockReason::NeedsRework | BlockReason::IssueLinking => {}
    }
}

pub(super) fn count_requeue(task: &mut Task, cause: RequeueCause) {
    match cause {
        RequeueCause::Rejected | RequeueCause::Conflict => task.counters.rejections += 1,
        RequeueCause::LeaseExpired | RequeueCause::AgentLost => task.counters.lost += 1,
        RequeueCause::Rework => {
            let counters = &task.counters;
            task.counters = TaskCounters {
                runs: counters.runs,
                reworks: counters.reworks + 1,
                policy_blocks: counters.policy_blocks,
                same_signature: counters.same_signature,
                ..TaskCounters::default()
            };
        }
        RequeueCause::Person => {
            task.counters = TaskCounters {
                runs: task.counters.runs,
                ..TaskCounters::default()
            };
            task.signature.clear();
            task.allowance = u32::try_from(task.spent.calls).unwrap_or(u32::MAX);
        }
        RequeueCause::Retry
        | RequeueCause::Stopped
        | RequeueCause::StopAll
        | RequeueCause::ServiceStarted
        | RequeueCause::QuotaOver
        | RequeueCause::RunCancelled
        | RequeueCause::Waits => {}
    }
}
