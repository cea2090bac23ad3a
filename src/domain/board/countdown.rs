//! What happens to a task by itself and when: its countdown, and the words for it.

use serde::{Deserialize, Serialize};

use super::{BlockReason, BlockResolver, Board, FailureKind, Millis, Task, TaskStatus};

/// When something happens to a task by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Countdown {
    /// Something will.
    pub auto: bool,
    /// Why: `cooldown_pending`, `retry_due`, `retry_exhausted`, `non_retryable_failure`, `awaiting_judge`, `quota_wait`,
    /// `needs_rework` or `unknown`.
    pub reason: String,
    /// When.
    pub at: Option<Millis>,
    /// Milliseconds until then.
    pub in_ms: Option<Millis>,
    /// How often it failed.
    pub count: u32,
    /// How often it may fail.
    pub limit: Option<u32>,
    /// The category of the failure.
    pub failure: Option<FailureKind>,
}

impl Board {
    /// Says what comes of a failed task by itself.
    pub(super) fn retry_words(&self, task: &Task) -> String {
        let Some(left) = self.retries_left(task) else {
            return "it is tried again".to_owned();
        };
        let next = format!("it is tried again (retries left: {left})");
        let failure = task.failure.unwrap_or(FailureKind::Test);
        let is_last = failure != FailureKind::Policy
            && !task.signature.is_empty()
            && self.is_same_too_often(task, failure);
        if is_last {
            format!("{next}; if it fails the same way again, a person is asked")
        } else {
            next
        }
    }

    pub(super) fn rework_words(&self, task: &Task) -> String {
        if task.resolver != BlockResolver::CycleManager {
            return task.detail.clone();
        }
        format!(
            "{}; after a rest it is begun anew with what was learned ({} of {})",
            task.detail,
            task.counters.reworks + 1,
            self.settings().rework_max_depth
        )
    }

    /// Returns how often a failed task is tried again by itself, at most.
    pub fn retries_left(&self, task: &Task) -> Option<u32> {
        let failure = task.failure.filter(|_| task.status == TaskStatus::Failed)?;
        let count = if failure == FailureKind::Policy {
            task.counters.policy_blocks
        } else {
            task.counters.failures
        };
        Some((self.retries_of(failure) + 1).saturating_sub(count))
    }

    /// Returns when a task comes back by itself, all gates considered.
    pub(super) fn wait_end(&self, task: &Task) -> Option<Millis> {
        let pause = self
            .pauses
            .get(self.agent_name_of_task(task))
            .map(|pause| pause.until);
        if task.block == Some(BlockReason::QuotaWait) {
            pause.or(task.not_before)
        } else {
            task.not_before
        }
    }

    /// Returns when something happens to a task by itself; `None` for tasks that wait for nothing of the kind.
    pub fn countdown(&self, task: &Task, now: Millis) -> Option<Countdown> {
        if !matches!(task.status, TaskStatus::Failed | TaskStatus::Blocked) {
            return None;
        }
        let at = self.wait_end(task);
        let due = at.is_some_and(|at| at <= now);
        let auto = !matches!(
            task.resolver,
            BlockResolver::Person | BlockResolver::Linker | BlockResolver::CodeHost
        );
        let most = task.failure.map(|failure| self.retries_of(failure));
        let count = match task.failure {
            Some(FailureKind::Policy) => task.counters.policy_blocks,
            _ => task.counters.failures,
        };
        let reason = match (task.status, task.block) {
            (TaskStatus::Failed, _) if due => "retry_due",
            (TaskStatus::Failed, _) => "cooldown_pending",
            (_, Some(BlockReason::AwaitingJudge)) => "awaiting_judge",
            (_, Some(BlockReason::QuotaWait)) => "quota_wait",
            (_, Some(BlockReason::NeedsRework)) if auto => "needs_rework",
            (_, Some(BlockReason::NeedsRework)) if most == Some(0) => "non_retryable_failure",
            (_, Some(BlockReason::NeedsRework)) => "retry_exhausted",
            (_, Some(BlockReason::IssueLinking) | None) => "unknown",
        };
        Some(Countdown {
            auto,
            reason: reason.to_owned(),
            at,
            in_ms: at.map(|at| at.saturating_sub(now)),
            count,
            limit: most,
            failure: task.failure,
        })
    }
}
