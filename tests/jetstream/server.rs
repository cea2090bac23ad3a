//! A modelled `JetStream`: one log appended with the expected last sequence, a queue of work, results, claims, beats and the leader's key.
//! What it holds is never wrong; what gets lost are questions and answers on the way.

use std::collections::{BTreeMap, BTreeSet};

use tos::domain::board::{Event, RunId, RunOutcome, TaskId};

use crate::chance::Chance;

pub(crate) type Time = u64;

impl Chance {
    pub(crate) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }
}

/// An order in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) fence: u64,
    pub(crate) run: RunId,
    pub(crate) task: TaskId,
}

/// What came of one.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) fence: u64,
    pub(crate) run: RunId,
    pub(crate) outcome: RunOutcome,
}

/// A message that is given out until it is acknowledged.
#[derive(Debug, Clone)]
struct Queued<T> {
    id: String,
    body: T,
    /// Until then it is with whoever got it.
    out_until: Time,
}

/// A queue with acknowledgements.
#[derive(Debug, Clone)]
pub(crate) struct Queue<T> {
    waiting: Vec<Queued<T>>,
    ids: BTreeSet<String>,
    pub(crate) given: u64,
    pub(crate) given_again: u64,
    given_ids: BTreeSet<String>,
}

impl<T: Clone> Queue<T> {
    fn new() -> Self {
        Self {
            waiting: Vec::new(),
            ids: BTreeSet::new(),
            given: 0,
            given_again: 0,
            given_ids: BTreeSet::new(),
        }
    }

    pub(crate) fn put(&mut self, id: &str, body: T) {
        if self.ids.insert(id.to_owned()) {
            self.waiting.push(Queued {
                id: id.to_owned(),
                body,
                out_until: 0,
            });
        }
    }

    pub(crate) fn take(&mut self, now: Time, wait: Time) -> Option<(String, T)> {
        let one = self.waiting.iter_mut().find(|one| one.out_until <= now)?;
        one.out_until = now + wait;
        self.given += 1;
        self.given_again += u64::from(!self.given_ids.insert(one.id.clone()));
        Some((one.id.clone(), one.body.clone()))
    }

    pub(crate) fn progress(&mut self, id: &str, until: Time) {
        for one in self.waiting.iter_mut().filter(|one| one.id == id) {
            one.out_until = until;
        }
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.waiting.retain(|one| one.id != id);
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost;

/// What an append is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appended {
    At(usize),
    WrongLast,
    /// The stream is full, or there is no leader.
    Refused,
}

#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) chance: Chance,
    pub(crate) faults: bool,
    pub(crate) log: Vec<(String, Vec<Event>)>,
    pub(crate) orders: Queue<Order>,
    pub(crate) results: Queue<Outcome>,
    claims: BTreeMap<u64, String>,
    beats: BTreeMap<u64, (String, Time)>,
    leader: Option<(String, u64, Time)>,
    revisions: u64,
    /// Nobody is answered until then: the servers choose a leader.
    quiet_until: Time,
    /// The log takes nothing until then.
    full_until: Time,
    /// Who is cut off, and until when.
    cut_off: BTreeMap<String, Time>,
}

impl Server {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            faults: true,
            log: Vec::new(),
            orders: Queue::new(),
            results: Queue::new(),
            claims: BTreeMap::new(),
            beats: BTreeMap::new(),
            leader: None,
            revisions: 0,
            quiet_until: 0,
            full_until: 0,
            cut_off: BTreeMap::new(),
        }
    }

    /// Something goes wrong between machines, now and then.
    pub(crate) fn weather(&mut self, now: Time, who: &[String]) {
        if !self.faults {
            (self.quiet_until, self.full_until) = (0, 0);
            self.cut_off.clear();
            return;
        }
        if self.chance.below(400) == 0 {
            self.quiet_until = now + self.chance.below(8_000);
        }
        if self.chance.below(2_000) == 0 {
            self.full_until = now + self.chance.below(20_000);
        }
        if self.chance.below(300) == 0 {
            let one = self.chance.below(who.len());
            let until = now + self.chance.below(40_000);
            self.cut_off.insert(who[one].clone(), until);
        }
    }

    /// Lets a question through, or loses it before or after it was heard.
    pub(crate) fn ask<T>(
        &mut self,
        who: &str,
        now: Time,
        act: impl FnOnce(&mut Self) -> T,
    ) -> Result<T, Lost> {
        let is_cut_off = self.cut_off.get(who).is_some_and(|until| now < *until);
        if is_cut_off || now < self.quiet_until || (self.faults && self.chance.percent(2)) {
            return Err(Lost);
        }
        let answer = act(self);
        if self.faults && self.chance.percent(2) {
            return Err(Lost);
        }
        Ok(answer)
    }

    /// Appends a batch. A batch whose id is known is answered as before.
    pub(crate) fn append(
        &mut self,
        now: Time,
        last: Option<usize>,
        id: &str,
        events: &[Event],
    ) -> Appended {
        if now < self.full_until {
            return Appended::Refused;
        }
        if let Some(at) = self.log.iter().position(|(known, _)| known == id) {
            return Appended::At(at + 1);
        }
        if last.is_some_and(|last| last != self.log.len()) {
            return Appended::WrongLast;
        }
        self.log.push((id.to_owned(), events.to_vec()));
        Appended::At(self.log.len())
    }

    /// Takes a claim; returns whether it is this one's.
    pub(crate) fn claim(&mut self, fence: u64, own: &str) -> bool {
        let holder = self.claims.entry(fence);
        holder.or_insert_with(|| own.to_owned()) == own
    }

    pub(crate) fn is_claimed(&self, fence: u64) -> bool {
        self.claims.contains_key(&fence)
    }

    pub(crate) fn beat(&mut self, fence: u64, who: &str, until: Time) {
        self.beats.insert(fence, (who.to_owned(), until));
    }

    /// Returns under which numbers somebody works, or has something to report.
    pub(crate) fn under_way(&self, now: Time) -> BTreeSet<u64> {
        let beats = self.beats.iter().filter(|(_, (_, until))| now < *until);
        let reported = self.results.waiting.iter().map(|one| one.body.fence);
        beats.map(|(fence, _)| *fence).chain(reported).collect()
    }

    pub(crate) fn holder(&self, fence: u64, now: Time) -> Option<String> {
        let (who, until) = self.beats.get(&fence)?;
        (now < *until).then(|| who.clone())
    }

    /// Takes or renews the leader's key; returns its revision.
    pub(crate) fn lead(
        &mut self,
        who: &str,
        revision: Option<u64>,
        now: Time,
        lifetime: Time,
    ) -> Option<u64> {
        let held = self.leader.as_ref().filter(|(_, _, until)| now < *until);
        let may = match (held, revision) {
            (None, None) => true,
            (Some((_, at, _)), Some(revision)) => *at == revision,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !may {
            return None;
        }
        self.revisions += 1;
        self.leader = Some((who.to_owned(), self.revisions, now + lifetime));
        Some(self.revisions)
    }

    /// Returns the revision of the key where it is held by this one.
    pub(crate) fn led_by(&self, who: &str, now: Time) -> Option<u64> {
        let (holder, revision, until) = self.leader.as_ref()?;
        (holder == who && now < *until).then_some(*revision)
    }
}
