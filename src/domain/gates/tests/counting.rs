//! Which records count, and for what.

use super::*;
use crate::domain::gates::{eval::evidence_cutoff, evidence::LedgerEvidence};

fn criterion(gates: &GateConfig, book: &Book, id: &str) -> CriterionResult {
    let report = eval(gates, &book.records, &here());
    let all = report.tracks.iter().filter_map(|track| track.gate.as_ref());
    let mut all = all.flat_map(|gate| &gate.criteria);
    all.find(|one| one.id == id).unwrap().clone()
}

fn value(book: &Book, id: &str) -> String {
    criterion(&gates(), book, id).value
}

fn session_of_run(book: Book, id: &str, run: &str, work: impl FnOnce(Book) -> Book) -> Book {
    let mut book = book;
    book.session = Some(id.into());
    let start = SessionStart {
        run: run.into(),
        ..SessionStart::default()
    };
    let mut book = work(book.add(LedgerEntry::SessionStart { start }));
    book.session = None;
    book
}

fn restore(undone: &str) -> LedgerEntry {
    LedgerEntry::Restore {
        number: 1,
        commit: "c".into(),
        undone: vec![undone.into()],
        reason: String::new(),
    }
}

fn moved(track: &str, from: &str, to: &str, mode: PhaseTransition) -> LedgerEntry {
    LedgerEntry::Phase {
        track: track.into(),
        from: from.into(),
        to: to.into(),
        mode,
        lock: false,
        reason: String::new(),
        evidence: vec![],
    }
}

#[test]
fn work_that_its_run_gave_up_later_does_not_count_until_it_is_done_again() {
    let two = |book: Book| book.task("a", "fix", true).task("b", "test", true);
    let done = session_of_run(Book::default(), "S-1", "R-1", two);
    assert_eq!(value(&done, "successes"), "2/5");
    // The run goes on in another session and returns to a stable point.
    let given_up = session_of_run(done, "S-2", "R-1", |book| book.add(restore("a")));
    assert_eq!(value(&given_up, "successes"), "1/5");
    let again = session_of_run(given_up, "S-3", "R-1", |book| book.task("a", "fix", true));
    assert_eq!(value(&again, "successes"), "2/5");

    let before = session_of_run(Book::default(), "S-0", "R-0", |book| book);
    let done = session_of_run(before, "S-1", "R-1", two);
    let other = session_of_run(done, "S-2", "R-2", |book| book.add(restore("a")));
    assert_eq!(value(&other, "successes"), "2/5", "another run gave it up");
}

#[test]
fn where_no_run_is_named_the_session_stands_for_it() {
    let one = |book: Book| book.task("a", "fix", true);
    let own = session_of_run(Book::default(), "S-1", "", |book| {
        one(book).add(restore("a"))
    });
    assert_eq!(value(&own, "successes"), "0/5");
    let other = session_of_run(Book::default(), "S-1", "", one);
    let other = session_of_run(other, "S-2", "", |book| book.add(restore("a")));
    assert_eq!(value(&other, "successes"), "1/5");
}

#[test]
fn a_voided_success_does_not_count() {
    let void = LedgerEntry::Void {
        target: 0,
        reason: String::new(),
    };
    let book = Book::default().task("a", "fix", true).add(void);
    assert_eq!(value(&book, "successes"), "0/5");
}

#[test]
fn evidence_from_before_a_fall_does_not_count_and_falls_of_other_tracks_are_none() {
    let book = || Book::default().drills(&DRILLS[..4]);
    assert_eq!(value(&book(), "failure-drills"), "4/4");
    for (entry, wanted) in [
        (
            moved(AUTONOMY_TRACK, "2a", "1", PhaseTransition::Demote),
            "1/4",
        ),
        (moved("stage", "S-5", "S-4", PhaseTransition::Demote), "4/4"),
        (
            moved("stage", "S-4", "S-5", PhaseTransition::Promote),
            "4/4",
        ),
        (
            LedgerEntry::Gap {
                file: "f".into(),
                sha256: "s".into(),
                reason: String::new(),
            },
            "1/4",
        ),
    ] {
        let fallen = book().add(entry.clone()).drills(&DRILLS[..1]);
        assert_eq!(value(&fallen, "failure-drills"), wanted, "{entry:?}");
    }
    let promoted = book().phase("1", "2a");
    assert_eq!(evidence_cutoff(&promoted.records, AUTONOMY_TRACK), None);
}

#[test]
fn a_phase_of_another_track_is_not_the_one_of_autonomy() {
    let book = control().add(moved("stage", "S-4", "S-5", PhaseTransition::Promote));
    let report = book.report();
    let phases: Vec<(&str, &str)> = report
        .tracks
        .iter()
        .map(|track| (track.track.as_str(), track.phase.as_str()))
        .collect();
    assert_eq!(phases, [(AUTONOMY_TRACK, "2a"), ("stage", "S-5")]);
}

#[test]
fn drills_of_work_and_what_reached_no_verdict_are_no_tasks() {
    let mut book = Book::default()
        .task("a", "fix", true)
        .task("b", "fix", true);
    for (place, change) in [(0, true), (1, false)] {
        if let LedgerEntry::Task { end } = &mut book.records[place].entry {
            end.real = !change;
            end.outcome = if change {
                end.outcome
            } else {
                TaskOutcome::NotRun
            };
        }
    }
    let gates = gates();
    let evidence = LedgerEvidence::new(&gates, &book.records, None, here().at);
    assert_eq!(evidence.tasks().len(), 0);
}

#[test]
fn a_repeated_failure_counts_each_time() {
    let book = Book::default()
        .task("a", "fix", false)
        .task("a", "fix", false);
    let gates = gates();
    let evidence = LedgerEvidence::new(&gates, &book.records, None, here().at);
    assert_eq!(evidence.tasks().len(), 2);
}

#[test]
fn a_kind_of_work_counts_once_and_work_without_a_kind_never() {
    let classes = ["fix", "fix", "unclassified", "test"];
    let book = classes
        .iter()
        .enumerate()
        .fold(Book::default(), |book, (n, class)| {
            book.task(&format!("T-{n}"), class, true)
        });
    let kinds = criterion(&gates(), &book, "kinds");
    assert_eq!(
        (kinds.value.as_str(), kinds.note.as_str()),
        ("2/3", "fix, test")
    );
    let all = criterion(&gates(), &book, "successes");
    assert_eq!(all.note, "T-0, T-1, T-2 and 1 more");
    let three = Book::default()
        .task("a", "fix", true)
        .task("b", "fix", true)
        .task("c", "fix", true);
    assert_eq!(criterion(&gates(), &three, "successes").note, "a, b, c");
}

#[test]
fn everything_known_about_a_criterion_is_told_record_by_record() {
    let book = Book::default()
        .task("a", "fix", true)
        .task("b", "test", false)
        .task("c", "deps", true)
        .add(LedgerEntry::Review {
            task: "c".into(),
            accepted: false,
            reason: String::new(),
        });
    let report = book.report();
    assert_eq!(
        explain(&report, "successes").unwrap(),
        "successes: open, 1/5   a\n  record 0: a (fix) success\n  record 1: b (test) failed\n  record 2: c (deps) rejected by a person"
    );
    assert_eq!(
        explain(&Book::default().report(), "successes").unwrap(),
        "successes: open, 0/5\n  nothing on record"
    );
    assert_eq!(explain(&report, "nonsense"), None);
}

#[test]
fn a_share_needs_enough_tasks_and_is_over_the_newest() {
    let tasks = |count: u32| {
        (0..count).fold(Book::default().phase("2b", "3"), |book, n| {
            book.task(&format!("T-{n}"), "fix", true)
        })
    };
    let few = criterion(&gates(), &tasks(5), "last-20-rate");
    assert!(!few.met, "{few:?}");
    assert_eq!(few.value, "100%/80%");
    let many = criterion(&gates(), &tasks(21), "last-20-rate");
    assert!(many.met);
    // Record 0 is the promotion, record 1 the task that is too old.
    assert_eq!(many.evidence, (2..22).collect::<Vec<u64>>());
}

#[test]
fn a_drill_counts_when_it_passed_last_under_what_the_file_says_must_match() {
    let judge = |must: &[&str], change: &dyn Fn(&mut LedgerRecord)| {
        let mut gates = gates();
        gates.promote.drills_must_match = must.iter().map(ToString::to_string).collect();
        let mut book = Book::default().drills(&["limit-breach", "danger-symbol"]);
        change(&mut book.records[1]);
        let evidence = LedgerEvidence::new(&gates, &book.records, None, here().at);
        metric::passed_drill_record(&gates, "danger-symbol", &evidence, &here())
    };
    let both = ["policy_hash", "tool_major_minor"];
    let policy = |record: &mut LedgerRecord| record.stamp.policy = "q".into();
    let tool = |record: &mut LedgerRecord| record.stamp.tool = "0.3.9".into();
    let failed = |record: &mut LedgerRecord| record.entry = drill("danger-symbol", false);
    let other = |record: &mut LedgerRecord| record.entry = drill("test-failure", true);
    assert_eq!(judge(&both, &|_| ()), Ok(1));
    assert_eq!(judge(&both, &other), Err("never run"));
    assert_eq!(judge(&both, &failed), Err("failed when it was last run"));
    assert_eq!(judge(&both, &policy), Err("passed under another policy"));
    assert_eq!(
        judge(&both, &tool),
        Err("passed with another version of tos")
    );
    assert_eq!(judge(&both[1..], &policy), Ok(1));
    assert_eq!(judge(&both[..1], &tool), Ok(1));
    assert_eq!(judge(&[], &failed), Err("failed when it was last run"));
}

#[test]
fn a_counter_of_a_session_resets_the_streak_and_names_itself() {
    for (name, set) in [
        ("abnormal", (|end| end.abnormal = 1) as fn(&mut SessionEnd)),
        ("rollback_failed", |end| end.rollback_failed = 1),
        ("invariant_broken", |end| end.invariant_broken = 1),
    ] {
        let mut book = Book::default()
            .phase("1", "2a")
            .session("S-1", 3600, |book| book)
            .session("S-2", 3600, |book| book);
        if let LedgerEntry::SessionEnd { end } = &mut book.records[4].entry {
            set(end);
        }
        // The phase is a fact here, not the matter; only the streak is looked at.
        let gates = GateConfig {
            demote: vec![],
            ..gates()
        };
        let streak = criterion(&gates, &book, "unattended-1h");
        assert_eq!(streak.value, "0/3", "{name}");
        assert_eq!(streak.note, format!("S-2 reset the streak ({name})"));
    }
}

#[test]
fn a_session_proves_something_only_alone_at_night_and_awake() {
    let judge = |change: fn(&mut SessionStart), suspend_s: u64| {
        let mut book = Book::default()
            .phase("1", "2a")
            .session("S-1", 3600, |book| book);
        if let LedgerEntry::SessionStart { start } = &mut book.records[1].entry {
            change(start);
        }
        if let LedgerEntry::SessionEnd { end } = &mut book.records[2].entry {
            end.suspend_s = suspend_s;
        }
        criterion(&gates(), &book, "unattended-1h").note
    };
    assert_eq!(judge(|_| (), 60), "");
    assert_eq!(judge(|_| (), 61), "S-1 not counted (the machine slept)");
    assert_eq!(
        judge(|start| start.attended = true, 0),
        "S-1 not counted (attended)"
    );
    assert_eq!(
        judge(|start| start.overridden = true, 0),
        "S-1 not counted (the autonomy level was overridden)"
    );
    assert_eq!(
        judge(|start| start.at_night = false, 0),
        "S-1 not counted (not at night)"
    );
}

#[test]
fn a_night_within_one_day_has_the_date_of_that_day() {
    let mut gates = gates();
    gates.night.window = "01:00-05:00".into();
    let night = |time: &str| {
        let at = at(&format!("2026-03-10T{time}:00+09:00"));
        night_date(&gates, at).map(|date| date.to_string())
    };
    let own = Some("2026-03-10".to_owned());
    assert_eq!(night("00:59"), None);
    assert_eq!(night("01:00"), own);
    assert_eq!(night("04:59"), own);
    assert_eq!(night("05:00"), None);
}

#[test]
fn nights_go_on_under_the_same_conditions_and_only_where_the_file_asks_for_that() {
    let changed = |second: &str| {
        let mut book = complete("3");
        let mut starts = book.records.iter_mut().filter_map(|record| {
            let LedgerEntry::SessionStart { start } = &mut record.entry else {
                return None;
            };
            Some(start)
        });
        starts.nth(1).unwrap().conditions = second.into();
        book
    };
    let same = criterion(&gates(), &changed("c"), "three-nights");
    assert_eq!(same.value, "3/3");
    let other = criterion(&gates(), &changed("d"), "three-nights");
    assert_eq!(other.value, "1/3");
    assert_eq!(
        other.note,
        "2026-03-12 began a new streak (a gap, or other conditions)"
    );
    let mut loose = gates();
    loose.gate[3].require[0].same_conditions = false;
    assert_eq!(
        criterion(&loose, &changed("d"), "three-nights").value,
        "3/3"
    );
}

#[test]
fn a_night_needs_its_tasks_its_share_and_nobody_beside() {
    let night = |good: u32, bad: u32, also: Option<fn(&mut SessionStart)>| {
        let work = |book: Book| {
            (0..good + bad).fold(book, |book, n| {
                book.task(&format!("T-{n}"), "fix", n < good)
            })
        };
        let mut book = Book::default()
            .phase("2b", "3")
            .at("2026-03-11T04:00:00+09:00")
            .session("N-1", 7200, work);
        if let Some(change) = also {
            book = book.session("N-2", 60, |book| book);
            let start = book.records.iter_mut().rev().find_map(|record| {
                let LedgerEntry::SessionStart { start } = &mut record.entry else {
                    return None;
                };
                Some(start)
            });
            change(start.unwrap());
        }
        criterion(&gates(), &book, "three-nights").value
    };
    assert_eq!(night(8, 2, None), "1/3");
    assert_eq!(night(9, 0, None), "0/3", "too few tasks");
    assert_eq!(night(7, 3, None), "0/3", "too few of them good");
    assert_eq!(night(8, 2, Some(|_| ())), "1/3");
    assert_eq!(night(8, 2, Some(|start| start.attended = true)), "1/3");
    assert_eq!(night(8, 2, Some(|start| start.overridden = true)), "0/3");
    assert_eq!(
        night(8, 2, Some(|start| start.conditions = "d".into())),
        "0/3"
    );
}

#[test]
fn a_session_that_ends_by_day_belongs_to_the_night_of_its_own_first_task() {
    let work = |book: Book, from: u32| {
        (from..from + 10).fold(book, |book, n| book.task(&format!("T-{n}"), "fix", true))
    };
    let book = Book::default()
        .phase("2b", "3")
        .at("2026-03-10T04:00:00+09:00")
        .session("N-1", 7200, |book| work(book, 0))
        .at("2026-03-11T04:00:00+09:00")
        .session("N-2", 7200, |book| {
            work(book, 10).at("2026-03-11T09:00:00+09:00")
        });
    let nights = criterion(&gates(), &book, "three-nights");
    assert_eq!(nights.value, "2/3", "{nights:?}");
    let by_day = Book::default()
        .phase("2b", "3")
        .at("2026-03-11T09:00:00+09:00")
        .session("N-1", 7200, |book| work(book, 0));
    assert_eq!(criterion(&gates(), &by_day, "three-nights").value, "0/3");
}

#[test]
fn what_was_seen_and_what_a_person_said_are_two_things() {
    let seen = |name: &str| LedgerEntry::Observed {
        name: name.into(),
        detail: String::new(),
    };
    let said = |name: &str| LedgerEntry::Attested {
        name: name.into(),
        statement: String::new(),
    };
    let base = || Book::default().add(moved("stage", "S-4", "S-5", PhaseTransition::Promote));
    for (entry, by_person, by_machine) in [
        (seen("runbook"), "0/1", "0/1"),
        (said("runbook"), "1/1", "0/1"),
        (seen("api-keys"), "0/1", "1/1"),
        (said("api-keys"), "0/1", "0/1"),
    ] {
        let book = base().add(entry.clone());
        assert_eq!(value(&book, "runbook-understood"), by_person, "{entry:?}");
        assert_eq!(value(&book, "api-keys"), by_machine, "{entry:?}");
    }
}
