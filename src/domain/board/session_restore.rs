//! A session goes on with the next service, from what the ledger says.

use super::{
    BlockResolver, Board, Millis, SessionId, SessionTaskEnd, TaskStatus, fold_count::set_status,
    session::place_ended,
};
use crate::domain::ledger::TaskOutcome;

impl Board {
    /// A task whose work was not recorded has its turn again.
    pub(super) fn fold_session_restored(
        &mut self,
        id: SessionId,
        outcomes: &[Option<TaskOutcome>],
        failures_in_a_row: u32,
        logs: &str,
        at: Millis,
    ) {
        let mut changed = Vec::new();
        self.change_session(id, |session| {
            let known = session.outcomes.iter_mut().zip(&session.tasks);
            for (index, ((known, task), outcome)) in known.zip(outcomes).enumerate() {
                if *known != *outcome {
                    *known = *outcome;
                    changed.extend(task.map(|task| (index, task, *outcome)));
                }
            }
            session.failures_in_a_row = failures_in_a_row;
            logs.clone_into(&mut session.logs);
            session.ready = false;
            session.turn = None;
            session.wait = None;
            session.aside = false;
            session.again = None;
        });
        for (index, task, outcome) in changed {
            let end = outcome.map(|outcome| SessionTaskEnd {
                place: index,
                outcome,
                reason: "as the ledger says".to_owned(),
                commit: None,
            });
            self.change_task(task, at, |task| {
                if let Some(end) = &end {
                    place_ended(task, id, end, at);
                    return;
                }
                set_status(task, TaskStatus::Queued, None, at);
                task.resolver = BlockResolver::Dispatcher;
                "its turn comes again".clone_into(&mut task.detail);
            });
        }
    }
}
