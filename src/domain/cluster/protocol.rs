//! What machines on a cluster decide when answers are lost, messages come twice and somebody is gone. The simulation of the cluster decides
//! with the same words as the adapter.

use std::{collections::BTreeMap, time::Duration};

use crate::domain::time::Timestamp;

/// How many beats a worker may miss after it was heard of, beside those that its claim lives on.
pub const GRACE: u32 = 2;

/// How often a worker says at least that it is there.
pub const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(10);

/// Returns how often a worker says that it is there, where leases last so long.
pub fn announce_interval(lease: Duration) -> Duration {
    ANNOUNCE_INTERVAL.min(lease / 3)
}

/// Returns which workers are lost, and since when: those that were silent for so long that they missed more than [`GRACE`] words. All
/// moments are those of the server: `others` are further ones, as late as any are known, for a worker may be the only one.
pub fn lost_workers(
    heard: &BTreeMap<String, Timestamp>,
    others: Option<Timestamp>,
    lease: Duration,
) -> BTreeMap<String, Timestamp> {
    let Some(now) = heard.values().copied().chain(others).max() else {
        return BTreeMap::new();
    };
    let longest = announce_interval(lease) * (2 * GRACE + 1) / 2;
    let is_lost = |at: &Timestamp| (now - *at).to_std().is_ok_and(|silent| silent > longest);
    let lost = heard.iter().filter(|(_, at)| is_lost(at));
    lost.map(|(name, at)| (name.clone(), *at)).collect()
}

/// Who works under a key, as far as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimHolder {
    name: Option<String>,
    missed: u32,
}

impl ClaimHolder {
    /// Returns what is known at the start: nothing, or that somebody has it whose name was not heard yet.
    pub fn of_somebody(is_known: bool) -> Self {
        Self {
            name: is_known.then(|| "that had it".to_owned()),
            missed: 0,
        }
    }

    /// Takes in who was heard of; returns who is gone, once that is sure.
    pub fn seen(&mut self, seen: Option<String>) -> Option<String> {
        if let Some(name) = seen {
            self.missed = 0;
            // One that is known already need not be named again.
            if !name.is_empty() {
                self.name = Some(name);
            }
        } else if self.name.is_some() {
            self.missed += 1;
        }
        self.name.clone().filter(|_| self.missed > GRACE)
    }

    /// Returns whether somebody was heard of.
    pub const fn is_known(&self) -> bool {
        self.name.is_some()
    }
}

/// Where a queue of orders stands, as its server says. Numbers are those of messages in the order in which they came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueuePlace {
    /// The last message that came.
    pub last: u64,
    /// The last message that was given to a worker or passed over.
    pub passed: u64,
    /// No message up to this one is waited for any more.
    pub done: u64,
    /// How many messages workers have.
    pub held: u64,
}

impl QueuePlace {
    /// Returns whether a message that came and that nobody has taken will be given to nobody: servers that are killed lose some that they had
    /// acknowledged, or cannot read them any more and pass them over.
    pub const fn has_lost(&self, number: u64) -> bool {
        let is_passed = self.passed >= number && self.held == 0;
        self.last < number || self.done >= number || is_passed
    }
}

/// What a worker does with an order that the queue gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It has the claim: nobody else ever begins this order.
    Begin,
    /// Somebody began it and is not heard of any more: that is reported, and the order goes.
    ReportLost,
    /// Somebody works on it: it stays as it is.
    Leave,
}

/// Decides about an order by who has its claim and whether its holder is heard of.
pub const fn delivered(has_claim: bool, is_heard_of: bool) -> Delivery {
    match (has_claim, is_heard_of) {
        (true, _) => Delivery::Begin,
        (false, true) => Delivery::Leave,
        (false, false) => Delivery::ReportLost,
    }
}

/// What it means that the log goes on already where a batch was to be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The batch stands there: an earlier try of it arrived, and its answer was lost.
    Ours,
    /// Somebody else writes; whoever appended leads no more.
    Deposed,
}

/// Decides that by the id of the message that stands there.
pub fn refused(own: &str, found: Option<&str>) -> Refused {
    if found == Some(own) {
        Refused::Ours
    } else {
        Refused::Deposed
    }
}

/// Returns the id of a part of a batch: whoever writes it, its first event, the end of the log it goes on from, and which part it is.
pub fn batch_id(writer: &str, first: u64, last: u64, part: usize) -> String {
    format!("{writer}-{first}-{last}-{part}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_heard_of_and_then_misses_several_beats_is_gone() {
        let mut holder = ClaimHolder::default();
        assert_eq!((holder.seen(None), holder.is_known()), (None, false));
        assert_eq!(holder.seen(Some("a".to_owned())), None);
        assert_eq!(holder.seen(Some(String::new())), None);
        for _ in 0..GRACE {
            assert_eq!(holder.seen(None), None);
        }
        assert_eq!(holder.seen(None), Some("a".to_owned()));
    }

    #[test]
    fn a_worker_that_missed_several_words_is_lost_since_its_last_one() {
        let at = |seconds| {
            let moment = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
            moment.fixed_offset()
        };
        let heard = BTreeMap::from([("a".to_owned(), at(100)), ("b".to_owned(), at(126))]);
        let lost = |heard: &BTreeMap<String, Timestamp>, others, lease| {
            let lost = lost_workers(heard, others, Duration::from_secs(lease));
            lost.into_iter().collect::<Vec<_>>()
        };
        let a = || vec![("a".to_owned(), at(100))];
        assert_eq!(lost(&heard, None, 30), a());
        // With longer leases nobody speaks less often.
        assert_eq!(lost(&heard, None, 300), a());
        let near = BTreeMap::from([("a".to_owned(), at(102)), ("b".to_owned(), at(126))]);
        assert_eq!(lost(&near, None, 30), Vec::new());
        assert_eq!(lost(&near, None, 6), vec![("a".to_owned(), at(102))]);
        // One alone is measured by what others say.
        let alone = BTreeMap::from([("a".to_owned(), at(100))]);
        assert_eq!(lost(&alone, None, 30), Vec::new());
        assert_eq!(lost(&alone, Some(at(126)), 30), a());
        assert_eq!(lost(&alone, Some(at(90)), 30), Vec::new());
    }

    #[test]
    fn an_order_that_a_queue_passed_over_is_lost_and_one_that_waits_or_is_held_is_not() {
        let place = QueuePlace {
            last: 9,
            passed: 7,
            done: 4,
            held: 2,
        };
        assert!(place.has_lost(10) && place.has_lost(4) && place.has_lost(1));
        // Somebody may have what was passed; what comes behind it waits.
        assert!(
            [5, 7, 8, 9]
                .into_iter()
                .all(|number| !place.has_lost(number))
        );
        let idle = QueuePlace { held: 0, ..place };
        assert!(idle.has_lost(5) && idle.has_lost(7) && !idle.has_lost(8));
    }

    #[test]
    fn an_order_is_begun_by_its_claim_and_by_nothing_else() {
        assert_eq!(delivered(true, true), Delivery::Begin);
        assert_eq!(delivered(false, true), Delivery::Leave);
        assert_eq!(delivered(false, false), Delivery::ReportLost);
    }

    #[test]
    fn a_batch_that_stands_there_already_is_known_by_its_id() {
        let own = batch_id("one", 7, 3, 1);
        assert_eq!(refused(&own, Some("one-7-3-1")), Refused::Ours);
        assert_eq!(refused(&own, Some("two-7-3-1")), Refused::Deposed);
        assert_eq!(refused(&own, None), Refused::Deposed);
    }
}
