//! Who says which task of a list is next: the list itself, or a board on which the list is a session.

use crate::{
    domain::{
        ledger::{TaskEnd, TaskOutcome},
        tasks::{QueueAction, StopReason, TaskQueue, TaskVerdict},
    },
    ports::BoxFuture,
};

/// Says which task is next and when everything stops.
pub trait TaskSource: Send {
    /// Says what to do now, maybe after a while; `left` = seconds until the session must be over.
    fn next(&mut self, left: Option<u64>) -> BoxFuture<'_, QueueAction>;

    /// Takes the verdict on a task.
    fn finish<'a>(
        &'a mut self,
        place: usize,
        verdict: TaskVerdict,
        end: &'a TaskEnd,
    ) -> BoxFuture<'a, ()>;

    /// Stops before the next task, unless something stopped it already.
    fn stop(&mut self, why: StopReason);

    /// Takes accepted work back that did not hold as a whole.
    fn revert_accepted(&mut self, places: &[usize], reason: &str);

    /// Returns how each task came out; what never started was not run.
    fn outcomes(&self) -> Vec<TaskOutcome>;
}

impl TaskSource for TaskQueue {
    fn next(&mut self, left: Option<u64>) -> BoxFuture<'_, QueueAction> {
        Box::pin(std::future::ready(Self::next(self, left)))
    }

    fn finish<'a>(
        &'a mut self,
        place: usize,
        verdict: TaskVerdict,
        _end: &'a TaskEnd,
    ) -> BoxFuture<'a, ()> {
        Self::finish(self, place, verdict);
        Box::pin(std::future::ready(()))
    }

    fn stop(&mut self, why: StopReason) {
        Self::stop(self, why);
    }

    fn revert_accepted(&mut self, places: &[usize], _reason: &str) {
        Self::revert_accepted(self, places);
    }

    fn outcomes(&self) -> Vec<TaskOutcome> {
        Self::outcomes(self)
    }
}
