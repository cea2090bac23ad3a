//! How a run stands, which only its lock can tell where nobody wrote its end.

use crate::{
    domain::plan::state::{RunState, TaskStatus},
    ports::plan_store::RunDir,
};

/// Returns how a run stands. A run whose runner is dead is interrupted; what that runner left is ended here.
pub(super) fn settle_status(run: &mut dyn RunDir, state: &RunState) -> TaskStatus {
    let is_open = matches!(state.status, TaskStatus::Running | TaskStatus::Pending);
    if !is_open || run.is_live() {
        return state.status;
    }
    if run.lock().is_ok() {
        run.end_orphans();
        run.unlock();
    }
    TaskStatus::Interrupted
}

/// Returns what to call a run that has no state to read.
pub(super) fn unread_status(run: &dyn RunDir) -> &'static str {
    if run.never_began() {
        "NEVER_BEGAN"
    } else {
        "DAMAGED"
    }
}
