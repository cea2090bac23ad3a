//! What leads back, what suspends work, and what clears it.

use super::*;

fn phase_of(book: &Book) -> String {
    book.report().autonomy_track().unwrap().phase.clone()
}

/// The gates changed since the last promotion.
fn changed_gates() -> GateContext {
    GateContext {
        gates: "h".into(),
        ..here()
    }
}

fn holds(book: &Book, here: &GateContext) -> Vec<String> {
    eval(&gates(), &book.records, here).holds
}

const GATES_CHANGED: &str =
    "the gates changed since the last promotion; clear it with: tos drill --all";

#[test]
fn changed_gates_are_cleared_by_the_drills_behind_under_the_new_gates() {
    let mut book = control().drills(&DRILLS[..4]);
    // Run again, but still under the gates of before.
    assert_eq!(holds(&book, &changed_gates()), [GATES_CHANGED]);
    let redo = book.records.len() - 4;
    for record in &mut book.records[redo..redo + 3] {
        record.stamp.gates = "h".into();
    }
    assert_eq!(holds(&book, &changed_gates()), [GATES_CHANGED]);
    book.records[redo + 3].stamp.gates = "h".into();
    assert_eq!(holds(&book, &changed_gates()), Vec::<String>::new());
}

#[test]
fn a_drill_behind_that_failed_suspends_until_it_passes() {
    let book = control().add(drill("danger-symbol", false));
    assert_eq!(
        holds(&book, &here()),
        [
            "the drill danger-symbol failed when it was last run; clear it with: tos drill danger-symbol"
        ]
    );
    let book = book.add(drill("danger-symbol", true));
    assert_eq!(holds(&book, &here()), Vec::<String>::new());
    // One of the gate ahead is only not passed yet.
    let ahead = control().add(drill("limit-breach", false));
    assert_eq!(holds(&ahead, &here()), Vec::<String>::new());
}

#[test]
fn a_person_holds_and_lets_go() {
    let hold = LedgerEntry::Hold {
        reason: "on holiday".into(),
    };
    let held = control().add(hold);
    assert_eq!(holds(&held, &here()), ["held: on holiday"]);
    let free = held.add(LedgerEntry::Unhold {
        reason: String::new(),
    });
    assert_eq!(holds(&free, &here()), Vec::<String>::new());
}

#[test]
fn another_agent_under_a_persons_eyes_suspends_nothing() {
    let mut book = control().session("S-16", 60, |book| book);
    for record in &mut book.records {
        if let LedgerEntry::SessionStart { start } = &mut record.entry
            && record.stamp.session.as_deref() == Some("S-16")
        {
            start.agent_version = "3.0".into();
            start.attended = true;
        }
    }
    assert_eq!(holds(&book, &here()), Vec::<String>::new());
}

#[test]
fn missing_drills_are_those_of_the_gate_ahead_and_those_that_clear() {
    let missing = |book: &Book, here: &GateContext| missing_drills(&gates(), &book.records, here);
    assert_eq!(missing(&control(), &here()), ["health-blocks-start"]);
    let behind = DRILLS[..4].iter().map(ToString::to_string);
    let ahead = std::iter::once("health-blocks-start".to_owned());
    let all: Vec<String> = ahead.chain(behind).collect();
    assert_eq!(missing(&control(), &changed_gates()), all);
    // Each is named once, whatever the reasons.
    let failed = control().add(drill("test-failure", false));
    let mut named = missing(&failed, &changed_gates());
    named.sort();
    let mut wanted = all;
    wanted.sort();
    assert_eq!(named, wanted);
    // Where nothing runs unattended there is nothing to clear.
    let watched = Book::default().drills(&DRILLS[..3]);
    assert_eq!(missing(&watched, &changed_gates()), ["two-failures"]);
}

#[test]
fn at_the_bottom_there_is_no_fall() {
    let failed = LedgerEntry::Rollback {
        task: "T".into(),
        target: "x".into(),
        ok: false,
        before: "a".into(),
        after: "b".into(),
        kept: None,
    };
    let report = Book::default().add(failed).report();
    assert_eq!(report.autonomy_track().unwrap().demotion, None);
}

#[test]
fn dirty_sessions_lead_back_when_there_are_enough_among_the_newest() {
    let book = |dirty: &[usize], count: usize| {
        let mut book = (0..count).fold(Book::default().phase("2a", "2b"), |book, n| {
            book.session(&format!("S-{n}"), 60, |book| book)
        });
        let mut ends = Vec::new();
        for record in &mut book.records {
            if let LedgerEntry::SessionEnd { end } = &mut record.entry {
                ends.push(end);
            }
        }
        for place in dirty {
            ends[*place].abnormal = 1;
        }
        phase_of(&book)
    };
    assert_eq!(book(&[], 5), "2b");
    assert_eq!(book(&[4], 5), "2b");
    assert_eq!(book(&[0, 4], 5), "2a");
    assert_eq!(
        book(&[0, 5], 6),
        "2b",
        "the first is no longer among the five newest"
    );
}

#[test]
fn a_low_share_of_success_leads_back_and_the_bound_itself_does_not() {
    let book = |good: u32, all: u32| {
        phase_of(
            &(0..all).fold(Book::default().phase("2a", "2b"), |book, n| {
                book.task(&format!("T-{n}"), "fix", n < good)
            }),
        )
    };
    assert_eq!(book(12, 20), "2b");
    assert_eq!(book(11, 20), "2a");
    assert_eq!(book(0, 19), "2b", "too few to say");
}

#[test]
fn the_table_heads_autonomy_with_what_it_permits_and_the_stages_with_their_names() {
    let text = table(&control().report(), true);
    let heads: Vec<&str> = text
        .split("\n\n")
        .filter(|part| part.contains(" ("))
        .filter_map(|part| part.lines().next())
        .filter(|line| !line.starts_with("required"))
        .collect();
    assert_eq!(
        heads,
        [
            "autonomy level 2a (control)   unattended: yes, up to 1h   skip: never   ledger: ok, 22 records",
            "stage S-4 (basics)",
        ]
    );
    assert!(!text.starts_with('\n'));
    // What suspends work belongs to autonomy, and is told once.
    let hold = LedgerEntry::Hold {
        reason: "on holiday".into(),
    };
    let held = table(&control().add(hold).report(), true);
    let parts: Vec<&str> = held.split("\n\n").collect();
    assert!(parts[0].ends_with("\nHOLD: held: on holiday"), "{held}");
    assert_eq!(held.matches("HOLD").count(), 1);
}
