//! Ledgers in, verdicts out.

mod account;
mod clearing;
mod counting;
mod documents;
mod faults;
mod judging;
mod properties;
mod seen;

use super::*;
use crate::domain::{
    ledger::{
        LedgerEntry, LedgerRecord, PhaseTransition, SessionEnd, SessionStart, TaskEnd, TaskOutcome,
    },
    time::Timestamp,
};

fn gates() -> GateConfig {
    toml::from_str(include_str!("../../../../config/gates.toml")).unwrap()
}

fn at(text: &str) -> Timestamp {
    chrono::DateTime::parse_from_rfc3339(text).unwrap()
}

fn here() -> GateContext {
    GateContext {
        at: at("2026-03-14T09:00:00+09:00"),
        tool: "0.4.1".into(),
        policy: "p".into(),
        gates: "g".into(),
        agent_version: None,
        backend: None,
    }
}

/// A ledger under construction.
#[derive(Default)]
struct Book {
    records: Vec<LedgerRecord>,
    session: Option<String>,
    at: Option<Timestamp>,
}

impl Book {
    fn at(mut self, text: &str) -> Self {
        self.at = Some(at(text));
        self
    }

    fn add(mut self, entry: LedgerEntry) -> Self {
        let seq = self.records.len() as u64;
        self.records.push(LedgerRecord::unchained(
            seq,
            self.at.unwrap_or_else(|| at("2026-03-09T23:00:00+09:00")),
            self.session.as_deref(),
            entry,
        ));
        self
    }

    fn phase(self, from: &str, to: &str) -> Self {
        self.add(phase(from, to))
    }

    fn drills(self, names: &[&str]) -> Self {
        names
            .iter()
            .fold(self, |book, name| book.add(drill(name, true)))
    }

    fn session(mut self, id: &str, active_s: u64, tasks: impl FnOnce(Self) -> Self) -> Self {
        self.session = Some(id.into());
        let mut book = tasks(self.add(start())).add(end(active_s));
        book.session = None;
        book
    }

    fn task(self, id: &str, class: &str, good: bool) -> Self {
        self.add(task(id, class, good))
    }

    fn report(&self) -> AutonomyReport {
        eval(&gates(), &self.records, &here())
    }

    fn shown(&self) -> String {
        // The stage track is shown after autonomy; the examples are about autonomy.
        let mut report = self.report();
        report.tracks.truncate(1);
        table(&report, true)
    }
}

fn phase(from: &str, to: &str) -> LedgerEntry {
    LedgerEntry::Phase {
        track: AUTONOMY_TRACK.into(),
        from: from.into(),
        to: to.into(),
        mode: PhaseTransition::Promote,
        lock: false,
        reason: String::new(),
        evidence: vec![],
    }
}

fn drill(name: &str, passed: bool) -> LedgerEntry {
    LedgerEntry::Drill {
        name: name.into(),
        scenario: vec![],
        expected: vec![],
        observed: vec![],
        passed,
        note: String::new(),
    }
}

fn start() -> LedgerEntry {
    LedgerEntry::SessionStart {
        start: SessionStart {
            at_night: true,
            conditions: "c".into(),
            agent_version: "2.1".into(),
            backend: "b".into(),
            ..SessionStart::default()
        },
    }
}

fn end(active_s: u64) -> LedgerEntry {
    LedgerEntry::SessionEnd {
        end: SessionEnd {
            active_s,
            ended_by: "queue_empty".into(),
            ..SessionEnd::default()
        },
    }
}

fn task(id: &str, class: &str, good: bool) -> LedgerEntry {
    LedgerEntry::Task {
        end: TaskEnd {
            task: id.into(),
            fingerprint: format!("fp-{id}"),
            class: class.into(),
            outcome: if good {
                TaskOutcome::Success
            } else {
                TaskOutcome::Failed
            },
            reason: String::new(),
            attempts: 1,
            files: 1,
            added: 1,
            removed: 0,
            seconds: 60,
            commit: None,
            real: true,
            goal: String::new(),
            micro_usd: None,
        },
    }
}

const CONTROL: [&str; 4] = [
    "limit-breach",
    "timeout-tree-kill",
    "self-commit",
    "crash-recovery",
];

fn control() -> Book {
    let tasks = |book: Book, from: u32| {
        (from..from + 3).fold(book, |book, n| book.task(&format!("T-{n:03}"), "fix", true))
    };
    Book::default()
        .phase("1", "2a")
        .drills(&CONTROL)
        .session("S-13", 46 * 60, |book| tasks(book, 1))
        .session("S-14", 50 * 60, |book| tasks(book, 4))
        .session("S-15", 4 * 60, |book| {
            tasks(book, 7)
                .add(LedgerEntry::RetryStart {
                    task: "T-009".into(),
                    reason: "tests".into(),
                })
                .add(LedgerEntry::RetrySuccess {
                    task: "T-009".into(),
                })
        })
}

fn overnight() -> Book {
    let tasks = |book: Book, date: u32, all: u32, good: u32| {
        (0..all).fold(book, |book, n| {
            book.task(&format!("T-{date}{n:02}"), "fix", n < good)
        })
    };
    Book::default()
        .phase("2b", "3")
        .drills(&["checkpoint-restore", "dag-skip"])
        .at("2026-03-11T04:00:00+09:00")
        .session("N-1", 7200, |book| tasks(book, 10, 11, 8))
        .at("2026-03-12T04:00:00+09:00")
        .session("N-2", 7200, |book| tasks(book, 11, 10, 10))
        .at("2026-03-13T04:00:00+09:00")
        .session("N-3", 7200, |book| tasks(book, 12, 10, 9))
}

/// A ledger that has exactly what the gate behind a phase asks for, and nothing to spare.
fn complete(phase: &str) -> Book {
    let sessions = |book: Book, seconds: u64| {
        (1..=3).fold(book, |book, n| {
            book.session(&format!("S-{n}"), seconds, |book| book)
        })
    };
    let night = |book: Book, date: u32, good: u32| {
        book.at(&format!("2026-03-{date}T04:00:00+09:00")).session(
            &format!("N-{date}"),
            7200,
            |book| {
                (0..10).fold(book, |book, n| {
                    book.task(&format!("T-{date}-{n}"), "fix", n < good)
                })
            },
        )
    };
    match phase {
        "1" => ["fix", "test", "deps", "fix", "fix"]
            .iter()
            .enumerate()
            .fold(Book::default(), |book, (n, class)| {
                book.task(&format!("T-{n}"), class, true)
            })
            .drills(&DRILLS[..4]),
        "2a" => sessions(Book::default().phase("1", "2a"), 45 * 60)
            .add(LedgerEntry::Poc {
                subject: "container".into(),
                verdict: "no-go".into(),
                probes: vec![],
            })
            .add(LedgerEntry::RetrySuccess { task: "T".into() })
            .drills(&DRILLS[4..]),
        "2b" => sessions(Book::default().phase("2a", "2b"), 105 * 60).drills(&[
            "net-egress",
            "write-outside",
            "read-secret",
            "fork-bomb",
            "disk-fill",
        ]),
        _ => {
            let book = Book::default()
                .phase("2b", "3")
                .drills(&["checkpoint-restore", "dag-skip"]);
            night(night(night(book, 11, 8), 12, 8), 13, 8)
        }
    }
}

const DRILLS: [&str; 9] = [
    "danger-symbol",
    "test-failure",
    "forbidden-import",
    "two-failures",
    "limit-breach",
    "timeout-tree-kill",
    "self-commit",
    "crash-recovery",
    "health-blocks-start",
];

fn is_ready(book: &Book) -> bool {
    book.report()
        .autonomy_track()
        .unwrap()
        .gate
        .as_ref()
        .unwrap()
        .is_ready()
}
