//! The work whose programs are there, by the number of its lease, from the moment the board gives it out until its end is known.
//!
//! What the board gives up is over for the board at once; here it stays until its programs are gone. Danger: whoever says
//! that something was stopped has to ask here, not the board.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::watch;

use crate::domain::board::{Board, Fence};

/// What stops each piece of work; `None` = it is announced, and nobody has begun it.
type StopSenders = BTreeMap<Fence, Option<watch::Sender<u8>>>;

/// All work under way.
#[derive(Clone)]
pub(super) struct WorkUnderWay(Arc<watch::Sender<StopSenders>>);

impl Default for WorkUnderWay {
    fn default() -> Self {
        Self(Arc::new(watch::channel(StopSenders::new()).0))
    }
}

impl WorkUnderWay {
    /// Takes note of work that somebody is about to begin.
    pub(super) fn announce(&self, fence: Fence) {
        self.0.send_modify(|all| {
            all.entry(fence).or_insert(None);
        });
    }

    /// Forgets work that was announced, if nobody has begun it.
    pub(super) fn withdraw(&self, fence: Fence) {
        self.0
            .send_modify(|all| all.retain(|one, stop| *one != fence || stop.is_some()));
    }

    /// Forgets all work that was announced and that nobody has begun.
    pub(super) fn withdraw_all(&self) {
        self.0
            .send_modify(|all| all.retain(|_, stop| stop.is_some()));
    }

    /// Takes note of work; it is under way until what is returned is dropped.
    pub(super) fn begin(&self, fence: Fence, stop: watch::Sender<u8>) -> WorkGuard {
        self.0
            .send_modify(|all| drop(all.insert(fence, Some(stop))));
        WorkGuard {
            all: self.clone(),
            fence,
        }
    }

    /// Asks work to stop: 1 = politely, 2 = at once. Returns whether there is any under this number.
    pub(super) fn interrupt(&self, fence: Fence, how: u8) -> bool {
        let all = self.0.borrow();
        let stop = all.get(&fence).and_then(Option::as_ref);
        if let Some(stop) = stop {
            raise(stop, how);
        }
        stop.is_some()
    }

    /// Asks all work to stop.
    pub(super) fn interrupt_all(&self, how: u8) {
        for stop in self.0.borrow().values().flatten() {
            raise(stop, how);
        }
    }

    /// Returns whether nobody works.
    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().values().all(Option::is_none)
    }

    /// Returns the work that a board has given up, and whose programs are there all the same.
    pub(super) fn given_up_by(&self, board: &Board) -> BTreeSet<Fence> {
        let held = held_by(board);
        let all = self.0.borrow();
        let fences = all.keys().copied();
        fences.filter(|fence| !held.contains(fence)).collect()
    }

    /// Completes when nothing is under way under these numbers.
    pub(super) async fn until_gone(&self, fences: &BTreeSet<Fence>) {
        let mut all = self.0.subscribe();
        let is_gone = |all: &StopSenders| !fences.iter().any(|fence| all.contains_key(fence));
        // The sender is here, so it does not go away.
        drop(all.wait_for(is_gone).await);
    }
}

/// Returns the work that a board has given out and counts on.
pub(super) fn held_by(board: &Board) -> BTreeSet<Fence> {
    let runs = board.live_runs().map(|run| run.lease.fence);
    runs.chain(board.live_judgements().map(|one| one.lease.fence))
        .collect()
}

/// Asks to stop; who was asked to stop at once is not asked to be polite afterwards.
pub(super) fn raise(stop: &watch::Sender<u8>, how: u8) {
    stop.send_if_modified(|now| {
        let is_more = how > *now;
        *now = (*now).max(how);
        is_more
    });
}

/// Work under way.
pub(super) struct WorkGuard {
    all: WorkUnderWay,
    pub(super) fence: Fence,
}

impl Drop for WorkGuard {
    fn drop(&mut self) {
        self.all.0.send_modify(|all| drop(all.remove(&self.fence)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_gone_once_its_end_is_known_and_never_asked_to_be_polite_again() {
        let all = WorkUnderWay::default();
        let (stop, stopped) = watch::channel(0);
        let work = all.begin(Fence(3), stop);
        let fences = [Fence(3)].into();
        assert_eq!(all.given_up_by(&Board::default()), fences);
        assert!(all.interrupt(Fence(3), 2) && !all.interrupt(Fence(4), 1));
        all.interrupt_all(1);
        assert_eq!(*stopped.borrow(), 2);
        let waiting = tokio::spawn({
            let all = all.clone();
            async move { all.until_gone(&[Fence(3), Fence(4)].into()).await }
        });
        drop(work);
        waiting.await.unwrap();
        assert!(all.is_empty() && all.given_up_by(&Board::default()).is_empty());
    }

    #[test]
    fn announced_work_is_there_until_it_is_begun_and_over_or_withdrawn() {
        let all = WorkUnderWay::default();
        let seen = || -> Vec<u64> {
            let fences = all.given_up_by(&Board::default());
            fences.into_iter().map(|fence| fence.0).collect()
        };
        for fence in 1..=4 {
            all.announce(Fence(fence));
        }
        assert!(all.is_empty() && !all.interrupt(Fence(1), 1));
        let work = all.begin(Fence(1), watch::channel(0).0);
        // Announced again, withdrawn: what was begun stays.
        all.announce(Fence(1));
        all.withdraw(Fence(1));
        all.withdraw(Fence(2));
        assert_eq!(seen(), [1, 3, 4]);
        all.withdraw_all();
        assert_eq!(seen(), [1]);
        drop(work);
        assert!(seen().is_empty());
    }
}
