//! Which records count: not voided, not too old, not from before a demotion; and how they belong
//! together as tasks, sessions and nights.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate, NaiveTime};

use crate::domain::{
    gates::GateConfig,
    ledger::{LedgerEntry, LedgerRecord, SessionEnd, SessionStart, TaskEnd, TaskOutcome},
    time::Timestamp,
};

/// The records that may speak, with what people said about tasks.
pub(super) struct LedgerEvidence<'a> {
    /// Records inside the window, oldest first, voided good ones left out.
    pub(super) records: Vec<&'a LedgerRecord>,
    /// The newest judgement of a person per task; true = accepted.
    reviews: BTreeMap<&'a str, bool>,
    /// Tasks whose work was given up at a stable point: record of the return, run, task.
    undone: Vec<(u64, String, &'a str)>,
    ledger: &'a [LedgerRecord],
    gates: &'a GateConfig,
}

/// A task with the record that tells its end.
#[derive(Clone, Copy)]
pub(super) struct TaskEvidence<'a> {
    pub(super) end: &'a TaskEnd,
    pub(super) record: &'a LedgerRecord,
    /// It succeeded, and nobody rejected it later.
    pub(super) success: bool,
}

/// A session that ended.
#[derive(Clone, Copy)]
pub(super) struct SessionEvidence<'a> {
    pub(super) start: Option<&'a SessionStart>,
    pub(super) end: &'a SessionEnd,
    pub(super) record: &'a LedgerRecord,
}

impl<'a> LedgerEvidence<'a> {
    /// Picks the records after `since` that are younger than the age limit.
    pub(super) fn new(
        gates: &'a GateConfig,
        ledger: &'a [LedgerRecord],
        since: Option<u64>,
        now: Timestamp,
    ) -> Self {
        let voided: Vec<u64> = ledger.iter().filter_map(void_target).collect();
        let oldest = now - chrono::Duration::days(i64::from(gates.promote.evidence_max_age_days));
        let stands = |record: &&LedgerRecord| {
            let late = since.is_none_or(|since| record.seq > since);
            let voided = voided.contains(&record.seq) && record.entry.is_favourable();
            // What speaks against freedom does not fade with age.
            let fresh = record.stamp.at >= oldest || !record.entry.is_favourable();
            late && fresh && !voided
        };
        let records: Vec<&LedgerRecord> = ledger.iter().filter(stands).collect();
        let mut reviews = BTreeMap::new();
        let mut undone = Vec::new();
        for record in &records {
            if let LedgerEntry::Restore { undone: tasks, .. } = &record.entry {
                let run = run_of(ledger, record);
                undone.extend(
                    tasks
                        .iter()
                        .map(|task| (record.seq, run.clone(), task.as_str())),
                );
            }
            if let LedgerEntry::Review { task, accepted, .. } = &record.entry {
                reviews.insert(task.as_str(), *accepted);
            }
        }
        Self {
            records,
            reviews,
            undone,
            ledger,
            gates,
        }
    }

    /// Returns whether the work of a task was given up later.
    fn is_undone(&self, record: &LedgerRecord, task: &str) -> bool {
        let later = |seq: u64| seq > record.seq;
        // Mostly nothing was given up, and then nobody has to look for the run.
        !self.undone.is_empty() && {
            let run = run_of(self.ledger, record);
            self.undone
                .iter()
                .any(|(seq, of, name)| later(*seq) && *of == run && *name == task)
        }
    }

    /// Returns the tasks that reached a verdict and count, oldest first.
    pub(super) fn tasks(&self) -> Vec<TaskEvidence<'a>> {
        let only = &self.gates.tasks.count_only;
        let mut seen: Vec<&str> = Vec::new();
        let mut tasks = Vec::new();
        for record in &self.records {
            let LedgerEntry::Task { end } = &record.entry else {
                continue;
            };
            if !end.outcome.is_conclusive() || (only.real && !end.real) {
                continue;
            }
            let rejected = self.reviews.get(end.task.as_str()) == Some(&false);
            let success = end.outcome == TaskOutcome::Success
                && !(only.not_rejected && rejected)
                && !self.is_undone(record, &end.task);
            // Only good results can be faked by repetition; every failure counts.
            if success && only.distinct {
                if seen.contains(&end.fingerprint.as_str()) {
                    continue;
                }
                seen.push(&end.fingerprint);
            }
            tasks.push(TaskEvidence {
                end,
                record,
                success,
            });
        }
        tasks
    }

    /// Returns the sessions that ended, oldest first.
    pub(super) fn sessions(&self) -> Vec<SessionEvidence<'a>> {
        let mut starts: BTreeMap<&str, &SessionStart> = BTreeMap::new();
        let mut sessions = Vec::new();
        for record in &self.records {
            let id = record.stamp.session.as_deref().unwrap_or_default();
            if let LedgerEntry::SessionStart { start } = &record.entry {
                starts.insert(id, start);
            }
            if let LedgerEntry::SessionEnd { end } = &record.entry {
                sessions.push(SessionEvidence {
                    start: starts.get(id).copied(),
                    end,
                    record,
                });
            }
        }
        sessions
    }
}

impl SessionEvidence<'_> {
    /// Returns the id people know it by.
    pub(super) fn id(&self) -> &str {
        self.record.stamp.session.as_deref().unwrap_or("?")
    }

    /// Returns one of its counters.
    pub(super) fn counter(&self, name: &str) -> u32 {
        match name {
            "abnormal" => self.end.abnormal,
            "rollback_failed" => self.end.rollback_failed,
            "invariant_broken" => self.end.invariant_broken,
            "limit_breach" => self.end.limit_breach,
            _ => 0,
        }
    }

    /// Returns the first of these counters that is not zero.
    pub(super) fn nonzero_counter<'w>(&self, counters: &'w [String]) -> Option<&'w str> {
        counters
            .iter()
            .find(|name| self.counter(name) > 0)
            .map(String::as_str)
    }

    /// Returns why it proves nothing about working alone, whatever it did.
    pub(super) fn disqualified_reason(&self, at_night: bool) -> Option<&'static str> {
        let Some(start) = self.start else {
            return Some("its start is not recorded");
        };
        match () {
            () if start.attended => Some("attended"),
            () if start.overridden => Some("the autonomy level was overridden"),
            () if at_night && !start.at_night => Some("not at night"),
            () if self.end.suspend_s > 60 => Some("the machine slept"),
            () => None,
        }
    }
}

/// Returns the run of a record's session, where `start` is the start of that session.
fn start_of(start: &LedgerRecord, record: &LedgerRecord) -> Option<String> {
    let LedgerEntry::SessionStart { start: facts } = &start.entry else {
        return None;
    };
    let same = start.stamp.session == record.stamp.session && !facts.run.is_empty();
    same.then(|| facts.run.clone())
}

fn run_of(ledger: &[LedgerRecord], record: &LedgerRecord) -> String {
    let run = ledger.iter().find_map(|start| start_of(start, record));
    run.or_else(|| record.stamp.session.clone())
        .unwrap_or_default()
}

fn void_target(record: &LedgerRecord) -> Option<u64> {
    if let LedgerEntry::Void { target, .. } = &record.entry {
        return Some(*target);
    }
    None
}

/// Reads `20:00-08:00`.
pub(super) fn parse_time_window(text: &str) -> Option<(NaiveTime, NaiveTime)> {
    let (from, to) = text.split_once('-')?;
    let time = |text: &str| NaiveTime::parse_from_str(text.trim(), "%H:%M").ok();
    Some((time(from)?, time(to)?))
}

/// Returns the night a moment belongs to, named by the date on which its window opened; `None` by day.
pub fn night_date(gates: &GateConfig, at: Timestamp) -> Option<NaiveDate> {
    let (from, to) = parse_time_window(&gates.night.window)?;
    let (date, time) = (at.date_naive(), at.time());
    if from <= to {
        return (from <= time && time < to).then_some(date);
    }
    if time >= from {
        return Some(date);
    }
    (time < to).then(|| date.checked_sub_days(Days::new(1)))?
}
