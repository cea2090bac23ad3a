//! Ledgers in, verdicts out.

use proptest::prelude::*;

use super::*;
use crate::domain::{
    ledger::{Entry, PhaseMode, Record, SessionEnd, SessionStart, Stamp, TaskEnd, TaskOutcome},
    time::Timestamp,
};

fn gates() -> Gates {
    toml::from_str(include_str!("../../../config/gates.toml")).unwrap()
}

fn at(text: &str) -> Timestamp {
    chrono::DateTime::parse_from_rfc3339(text).unwrap()
}

fn here() -> Here {
    Here {
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
    records: Vec<Record>,
    session: Option<String>,
    at: Option<Timestamp>,
}

impl Book {
    fn at(mut self, text: &str) -> Self {
        self.at = Some(at(text));
        self
    }

    fn add(mut self, entry: Entry) -> Self {
        let seq = self.records.len() as u64;
        self.records.push(Record {
            v: 1,
            seq,
            prev: String::new(),
            stamp: Stamp {
                at: self.at.unwrap_or_else(|| at("2026-03-09T23:00:00+09:00")),
                boottime_ms: 0,
                boot_id: String::new(),
                actor: "tos".into(),
                tool: "0.4.0".into(),
                policy: "p".into(),
                gates: "g".into(),
                session: self.session.clone(),
            },
            entry,
        });
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

    fn report(&self) -> Report {
        eval(&gates(), &self.records, &here())
    }

    fn shown(&self) -> String {
        // The stage track is shown after autonomy; the examples are about autonomy.
        let mut report = self.report();
        report.tracks.truncate(1);
        table(&report)
    }
}

fn phase(from: &str, to: &str) -> Entry {
    Entry::Phase {
        track: AUTONOMY.into(),
        from: from.into(),
        to: to.into(),
        mode: PhaseMode::Promote,
        lock: false,
        reason: String::new(),
        evidence: vec![],
    }
}

fn drill(name: &str, passed: bool) -> Entry {
    Entry::Drill {
        name: name.into(),
        scenario: vec![],
        expected: vec![],
        observed: vec![],
        passed,
        note: String::new(),
    }
}

fn start() -> Entry {
    Entry::SessionStart {
        start: SessionStart {
            at_night: true,
            conditions: "c".into(),
            agent_version: "2.1".into(),
            backend: "b".into(),
            ..SessionStart::default()
        },
    }
}

fn end(active_s: u64) -> Entry {
    Entry::SessionEnd {
        end: SessionEnd {
            active_s,
            ended_by: "queue_empty".into(),
            ..SessionEnd::default()
        },
    }
}

fn task(id: &str, class: &str, good: bool) -> Entry {
    Entry::Task {
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
                .add(Entry::RetryStart {
                    task: "T-009".into(),
                    reason: "tests".into(),
                })
                .add(Entry::RetrySuccess {
                    task: "T-009".into(),
                })
        })
}

#[test]
fn the_first_example_of_the_gate_document_gives_its_table() {
    assert_eq!(
        control().shown(),
        "\
phase 2a (control)   unattended: yes, up to 1h   skip: never   ledger: ok, 22 records

gate 2a -> 2b
  --  unattended-1h           2/3   S-15 not counted (4m active < 45m)
  --  isolation-verdict       0/1   run: tos isolation probe --conclude container
  ok  retry-seen              1/1   T-009
  --  control-drills          4/5   run: tos drill health-blocks-start

not ready: 3 of 4 criteria open"
    );
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

#[test]
fn the_second_example_of_the_gate_document_gives_its_table() {
    assert_eq!(
        overnight().shown(),
        "\
phase 3 (overnight)   unattended: yes, up to 12h   skip: dag   ledger: ok, 40 records

gate 3 -> done
  --  three-nights                    2/3   2026-03-10 reset the streak (11 tasks, 73%)
  ok  last-20-rate                95%/80%   20 of 20 tasks seen
  ok  dag-and-checkpoint-drills       2/2   checkpoint-restore, dag-skip

not ready: 1 of 3 criteria open"
    );
}

#[test]
fn the_refusal_of_the_gate_document_names_what_is_open_and_what_to_do() {
    let classes = ["fix", "test", "deps", "fix", "fix"];
    let tasks = classes.iter().enumerate();
    let book = tasks.fold(Book::default(), |book, (n, class)| {
        book.task(&format!("T-{n}"), class, true)
    });
    let book = book.drills(&["danger-symbol", "test-failure"]);
    let ask = Ask {
        unattended: true,
        seconds: 60,
        on_failure: "stop".into(),
        capabilities: ["worktree", "env_min", "home_redirect"]
            .map(String::from)
            .to_vec(),
    };
    assert_eq!(
        may_start(&book.report(), &ask),
        Err(Refusal {
            why: "phase 1 allows no unattended run. Open: failure-drills 2/4".into(),
            next: "tos drill forbidden-import two-failures".into(),
        })
    );
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
            .add(Entry::Poc {
                subject: "container".into(),
                verdict: "no-go".into(),
                probes: vec![],
            })
            .add(Entry::RetrySuccess { task: "T".into() })
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

#[test]
fn every_gate_opens_for_what_it_asks_and_shuts_when_any_piece_of_evidence_is_missing() {
    for phase in ["1", "2a", "2b", "3"] {
        let book = complete(phase);
        assert!(is_ready(&book), "{phase}: {}", book.shown());
        let report = book.report();
        let gate = report.autonomy().unwrap().gate.clone().unwrap();
        // The rate is over more tasks than have to be good; each of the others is needed.
        let exact = gate.criteria.iter().filter(|one| one.id != "last-20-rate");
        for seq in exact.flat_map(|one| one.evidence.clone()) {
            let mut less = complete(phase);
            less.records.retain(|record| record.seq != seq);
            assert!(!is_ready(&less), "{phase} without record {seq}");
        }
    }
}

#[test]
fn the_last_20_tasks_have_to_be_good_enough_and_20() {
    let book = complete("3");
    let good = book.records.iter().rposition(
        |record| matches!(&record.entry, Entry::Task { end } if end.outcome == TaskOutcome::Success),
    );
    let mut worse = complete("3");
    if let Entry::Task { end } = &mut worse.records[good.unwrap()].entry {
        end.outcome = TaskOutcome::Failed;
    }
    assert!(!is_ready(&worse), "{}", worse.shown());
}

#[test]
fn an_override_permits_and_opens_no_gate_and_ends() {
    let wish = |expires: &str| Entry::Override {
        reason: "r".into(),
        expires: at(expires),
    };
    let ask = Ask {
        unattended: true,
        seconds: 3600,
        on_failure: "retry_then_skip_dependents".into(),
        capabilities: ["worktree", "env_min", "home_redirect"]
            .map(String::from)
            .to_vec(),
    };
    let may = |book: &Book| may_start(&book.report(), &ask).is_ok();
    let book = Book::default().add(wish("2026-03-14T10:00:00+09:00"));
    assert!(may(&book) && !is_ready(&book));
    let bare = Ask {
        capabilities: vec![],
        ..ask.clone()
    };
    assert!(may_start(&book.report(), &bare).is_err(), "walls stay");
    let over = Book::default().add(wish("2026-03-14T08:59:00+09:00"));
    assert!(!may(&over));
    let taken_back = book.add(wish("2026-03-14T09:00:00+09:00"));
    assert!(!may(&taken_back));
}

#[test]
fn an_empty_ledger_stands_at_the_bottom_and_permits_nothing() {
    let report = Book::default().report();
    assert_eq!(report.autonomy().unwrap().phase, "1");
    assert_eq!(report.tracks[1].phase, "S-4");
    let isolation = ["worktree", "env_min", "home_redirect"]
        .map(String::from)
        .to_vec();
    let ask = Ask {
        unattended: true,
        seconds: 60,
        on_failure: "stop".into(),
        capabilities: isolation,
    };
    assert!(
        may_start(&report, &ask)
            .unwrap_err()
            .why
            .starts_with("phase 1 allows no unattended run. Open: successes 0/5")
    );
    assert_eq!(
        may_start(
            &report,
            &Ask {
                unattended: false,
                ..ask
            }
        ),
        Ok(())
    );
}

#[test]
fn an_unattended_session_must_fit_into_what_the_phase_allows() {
    let report = control().report();
    let ask = |seconds, on_failure: &str, more: &[&str]| Ask {
        unattended: true,
        seconds,
        on_failure: on_failure.into(),
        capabilities: ["worktree", "env_min", "home_redirect"]
            .iter()
            .chain(more)
            .map(|one| (*one).to_owned())
            .collect(),
    };
    assert_eq!(
        may_start(&report, &ask(3600, "retry_then_stop", &["kill_tree"])),
        Ok(())
    );
    assert!(may_start(&report, &ask(3601, "stop", &["kill_tree"])).is_err());
    assert!(
        may_start(
            &report,
            &ask(60, "retry_then_skip_dependents", &["kill_tree"])
        )
        .is_err()
    );
    assert_eq!(
        may_start(&report, &ask(60, "stop", &[])).unwrap_err().why,
        "phase 2a needs a confinement with kill_tree"
    );
}

#[test]
fn a_breach_leads_back_to_the_bottom_and_locks() {
    let book = control().add(Entry::IsolationBreach {
        what: "wrote".into(),
        path: "/etc".into(),
    });
    let standing = book.report().autonomy().unwrap().clone();
    assert_eq!(
        (standing.phase.as_str(), standing.locked.is_some()),
        ("1", true)
    );
    let recorded = book.add(Entry::Phase {
        track: AUTONOMY.into(),
        from: "2a".into(),
        to: "1".into(),
        mode: PhaseMode::Auto,
        lock: true,
        reason: "breach".into(),
        evidence: vec![],
    });
    let standing = recorded.report().autonomy().unwrap().clone();
    assert_eq!(
        (
            standing.phase.as_str(),
            standing.demotion,
            standing.locked.as_deref()
        ),
        ("1", None, Some("breach"))
    );
    assert!(
        standing.gate.unwrap().criteria.iter().all(|one| !one.met),
        "old evidence counts no more"
    );
    let unlocked = recorded.add(Entry::Unlock {
        reason: "looked".into(),
    });
    assert_eq!(unlocked.report().autonomy().unwrap().locked, None);
}

#[test]
fn a_rejected_or_repeated_success_does_not_count() {
    let book = Book::default()
        .task("a", "fix", true)
        .task("b", "test", true)
        .task("a", "fix", true);
    let have = |book: &Book| {
        book.report()
            .autonomy()
            .unwrap()
            .gate
            .as_ref()
            .unwrap()
            .criteria[0]
            .value
            .clone()
    };
    assert_eq!(have(&book), "2/5");
    let book = book.add(Entry::Review {
        task: "b".into(),
        accepted: false,
        reason: String::new(),
    });
    assert_eq!(have(&book), "1/5");
    let book = book.add(Entry::Void {
        target: 0,
        reason: String::new(),
    });
    assert_eq!(have(&book), "1/5", "the same work done again still stands");
}

#[test]
fn a_breach_cannot_be_voided() {
    let book = control()
        .add(Entry::Rollback {
            task: "T".into(),
            target: "x".into(),
            ok: false,
            before: "a".into(),
            after: "b".into(),
        })
        .add(Entry::Void {
            target: 22,
            reason: "please".into(),
        });
    assert_eq!(book.report().autonomy().unwrap().phase, "1");
}

#[test]
fn a_drill_passed_under_another_policy_or_version_is_stale() {
    let mut book = Book::default().drills(&[
        "danger-symbol",
        "test-failure",
        "forbidden-import",
        "two-failures",
    ]);
    let have = |book: &Book| {
        book.report()
            .autonomy()
            .unwrap()
            .gate
            .as_ref()
            .unwrap()
            .criteria[2]
            .value
            .clone()
    };
    assert_eq!(have(&book), "4/4");
    book.records[0].stamp.policy = "other".into();
    book.records[1].stamp.tool = "0.3.9".into();
    assert_eq!(have(&book), "2/4");
}

#[test]
fn old_evidence_fades_and_old_breaches_do_not() {
    let old = "2026-01-01T00:00:00+09:00";
    let good = Book::default().at(old).drills(&["danger-symbol"]);
    assert_eq!(
        good.report()
            .autonomy()
            .unwrap()
            .gate
            .as_ref()
            .unwrap()
            .criteria[2]
            .value,
        "0/4"
    );
    let bad = Book::default()
        .at(old)
        .phase("1", "2a")
        .add(Entry::InvariantBroken {
            what: "w".into(),
            path: "p".into(),
        });
    assert_eq!(bad.report().autonomy().unwrap().phase, "1");
}

#[test]
fn changed_gates_and_a_changed_agent_suspend_unattended_work() {
    let book = control();
    assert_eq!(book.report().holds, Vec::<String>::new());
    let changed = Here {
        gates: "h".into(),
        agent_version: Some("3.0".into()),
        ..here()
    };
    let report = eval(&gates(), &book.records, &changed);
    assert_eq!(
        report.holds,
        [
            "the agent changed from version 2 to 3; clear it with: tos drill --all",
            "the gates changed since the last promotion; clear it with: tos drill --all"
        ]
    );
}

#[test]
fn nights_are_named_by_the_evening_they_begin_in() {
    let night = |text| night_of(&gates(), at(text)).map(|date| date.to_string());
    assert_eq!(
        night("2026-03-10T20:00:00+09:00").as_deref(),
        Some("2026-03-10")
    );
    assert_eq!(
        night("2026-03-11T07:59:00+09:00").as_deref(),
        Some("2026-03-10")
    );
    assert_eq!(night("2026-03-11T08:00:00+09:00"), None);
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

fn any_good() -> impl Strategy<Value = Entry> {
    prop_oneof![
        (0_u32..12, 0_usize..5, any::<bool>()).prop_map(|(id, class, good)| {
            task(
                &format!("T-{id}"),
                ["fix", "feature", "test", "deps", "unclassified"][class],
                good,
            )
        }),
        (0_usize..9, prop::bool::weighted(0.9))
            .prop_map(|(name, passed)| drill(DRILLS[name], passed)),
        Just(start()),
        (0_u64..4000).prop_map(end),
        Just(Entry::RetrySuccess { task: "T-1".into() }),
        Just(Entry::Poc {
            subject: "container".into(),
            verdict: "go".into(),
            probes: vec![]
        }),
        (0_u64..30).prop_map(|target| Entry::Void {
            target,
            reason: String::new()
        }),
        (0_u32..12, any::<bool>()).prop_map(|(id, accepted)| Entry::Review {
            task: format!("T-{id}"),
            accepted,
            reason: String::new()
        }),
    ]
}

fn any_breach() -> impl Strategy<Value = Entry> {
    let dirty = |counter: usize| {
        let mut end = SessionEnd {
            active_s: 4000,
            ended_by: "x".into(),
            ..SessionEnd::default()
        };
        match counter {
            0 => end.abnormal = 1,
            1 => end.rollback_failed = 1,
            2 => end.invariant_broken = 1,
            _ => end.limit_breach = 1,
        }
        Entry::SessionEnd { end }
    };
    prop_oneof![
        Just(Entry::IsolationBreach {
            what: "w".into(),
            path: "p".into()
        }),
        Just(Entry::InvariantBroken {
            what: "w".into(),
            path: "p".into()
        }),
        Just(Entry::Rollback {
            task: "T".into(),
            target: "x".into(),
            ok: false,
            before: "a".into(),
            after: "b".into()
        }),
        Just(Entry::Limit {
            task: "T".into(),
            name: "files".into(),
            actual: 11,
            limit: 10
        }),
        (0_usize..4).prop_map(dirty),
        (0_usize..9).prop_map(|name| drill(DRILLS[name], false)),
        Just(Entry::RetryFailed {
            task: "T".into(),
            reason: String::new()
        }),
    ]
}

fn book(first: &str, entries: Vec<Entry>) -> Book {
    let mut book = Book {
        session: Some("S".into()),
        ..Book::default()
    };
    if first != "1" {
        book = book.phase("1", first);
    }
    entries.into_iter().fold(book, Book::add)
}

fn is_ready(book: &Book) -> bool {
    book.report()
        .autonomy()
        .unwrap()
        .gate
        .as_ref()
        .unwrap()
        .is_ready()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_ledger_that_lacks_evidence_promotes(entries in prop::collection::vec(any_good(), 0..80), missing in 0_usize..4) {
        let lacks = |entry: &Entry| match missing {
            0 => !matches!(entry, Entry::Drill { name, .. } if name == "two-failures"),
            1 => !matches!(entry, Entry::Task { end } if end.class != "fix" && end.class != "test"),
            2 => !matches!(entry, Entry::Task { end } if !["T-0", "T-1", "T-2", "T-3"].contains(&end.task.as_str())),
            _ => !matches!(entry, Entry::Task { end } if end.outcome == TaskOutcome::Success),
        };
        let entries = entries.into_iter().filter(lacks).collect();
        prop_assert!(!is_ready(&book("1", entries)));
    }

    #[test]
    fn a_ready_gate_has_what_it_asks_for(entries in prop::collection::vec(any_good(), 20..120)) {
        let book = book("1", entries);
        let good: std::collections::BTreeSet<String> = book.records.iter().filter_map(|record| match &record.entry {
            Entry::Task { end } if end.outcome == TaskOutcome::Success => Some(end.fingerprint.clone()),
            _ => None,
        }).collect();
        if is_ready(&book) {
            prop_assert!(good.len() >= 5);
        }
    }

    #[test]
    fn a_breach_never_opens_a_gate(entries in prop::collection::vec(any_good(), 0..80), breach in any_breach(), second in any::<bool>()) {
        let before = book(if second { "2a" } else { "1" }, entries);
        let ready = is_ready(&before);
        let ask = Ask {
            unattended: true, seconds: 60, on_failure: "stop".into(),
            capabilities: ["worktree", "env_min", "home_redirect", "kill_tree"].map(String::from).to_vec(),
        };
        let allowed = may_start(&before.report(), &ask).is_ok();
        let after = before.add(breach);
        prop_assert!(ready || !is_ready(&after));
        prop_assert!(allowed || may_start(&after.report(), &ask).is_err());
    }
}
