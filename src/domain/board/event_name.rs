//! The names of the types of events, as files and the API have them.

use super::{JudgeEvent, ProcessEvent, RunEvent, SystemEvent, TaskEvent};

impl TaskEvent {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Created { .. } => "task.created",
            Self::Edited { .. } => "task.edited",
            Self::Linked { .. } => "task.linked",
            Self::Requeued { .. } => "task.requeued",
            Self::Failed { .. } => "task.failed",
            Self::Blocked { .. } => "task.blocked",
            Self::Cancelled { .. } => "task.cancelled",
            Self::Done { .. } => "task.done",
            Self::Asked { .. } => "approval.asked",
            Self::Answered { .. } => "approval.answered",
        }
    }
}

impl RunEvent {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "run.started",
            Self::Renewed { .. } => "run.renewed",
            Self::Spent { .. } => "run.spent",
            Self::Finished { .. } => "run.finished",
        }
    }
}

impl JudgeEvent {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "judge.started",
            Self::Renewed { .. } => "judge.renewed",
            Self::Reviewed { .. } => "judge.review",
            Self::Dropped { .. } => "judge.dropped",
            Self::Enqueued { .. } => "judge.merge_queue_enqueued",
            Self::Claimed { .. } => "judge.merge_queue_claimed",
            Self::Published { .. } => "judge.merge_queue_finished",
            Self::Unqueued { .. } => "judge.merge_queue_cancelled",
            Self::Spent { .. } => "judge.spent",
        }
    }
}

impl ProcessEvent {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::StartRequested { .. } => "process.start_requested",
            Self::Started { .. } => "process.started",
            Self::StopRequested { .. } => "process.stop_requested",
            Self::Exited { .. } => "process.exited",
        }
    }
}

impl SystemEvent {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "system.started",
            Self::Configured { .. } => "system.configured",
            Self::HatchArmed { .. } => "system.runtime_hatch_armed",
            Self::HatchDisarmed { .. } => "system.runtime_hatch_disarmed",
            Self::Held { .. } => "system.held",
            Self::Resumed { .. } => "system.resumed",
            Self::QuotaPaused { .. } => "quota.paused",
            Self::QuotaResumed { .. } => "quota.resumed",
            Self::WorkersSeen { .. } => "system.workers",
            Self::CycleStarted { .. } => "cycle.started",
            Self::CycleEnded { .. } => "cycle.end_triggered",
            Self::PlanRequested { .. } => "planner.requested",
            Self::PlanFinished { .. } => "planner.finished",
            Self::Cleaned { .. } => "system.cleanup",
            Self::Database { .. } => "system.database",
        }
    }
}
