//! What was seen in, a verdict out.

use super::*;
use crate::domain::ledger::{SessionEnd, SessionStart, TaskEnd, TaskOutcome};

fn task(id: &str, outcome: TaskOutcome, reason: &str) -> LedgerEntry {
    LedgerEntry::Task {
        end: TaskEnd {
            task: id.into(),
            fingerprint: "f".into(),
            class: "fix".into(),
            outcome,
            reason: reason.into(),
            attempts: 1,
            files: 1,
            added: 1,
            removed: 1,
            seconds: 0,
            commit: None,
            real: false,
            goal: String::new(),
            micro_usd: None,
        },
    }
}

fn ended(by: &str) -> LedgerEntry {
    LedgerEntry::SessionEnd {
        end: SessionEnd {
            ended_by: by.into(),
            ..SessionEnd::default()
        },
    }
}

fn rollback(ok: bool) -> LedgerEntry {
    LedgerEntry::Rollback {
        task: "T-1".into(),
        target: "x".into(),
        ok,
        before: "a".into(),
        after: "a".into(),
        kept: None,
    }
}

fn started() -> LedgerEntry {
    LedgerEntry::SessionStart {
        start: SessionStart::default(),
    }
}

/// What a good end of the drill `test-failure` looks like.
fn good() -> DrillObservation {
    DrillObservation {
        exits: vec![3],
        entries: vec![
            started(),
            rollback(true),
            task("T-1", TaskOutcome::Failed, "the tests ended with 1"),
            ended("task_failed"),
        ],
        before: "t".into(),
        after: "t".into(),
        ..DrillObservation::default()
    }
}

fn judged(seen: &DrillObservation) -> DrillOutcome {
    find("test-failure").unwrap().judge(seen)
}

fn failed(text: &str) -> DrillOutcome {
    DrillOutcome::Failed(text.to_owned())
}

#[test]
fn a_drill_passes_when_everything_came_in_its_place_and_the_tree_is_what_it_was() {
    assert_eq!(judged(&good()), DrillOutcome::Passed);
}

#[test]
fn an_event_that_is_missing_or_out_of_its_place_fails_a_drill() {
    for gone in 0..4 {
        let mut seen = good();
        seen.entries.remove(gone);
        assert!(matches!(judged(&seen), DrillOutcome::Failed(_)), "{gone}");
    }
    let mut seen = good();
    seen.entries.swap(1, 2);
    assert_eq!(
        judged(&seen),
        failed(
            "`task T-1 failed: the tests ended with 1` is missing from the ledger, or out of its place"
        )
    );
}

type Spoil = fn(&mut DrillObservation);

#[test]
fn a_changed_tree_another_exit_a_leak_or_a_bad_event_fails_a_drill() {
    let cases: [(Spoil, &str); 4] = [
        (
            |seen| seen.after = "u".into(),
            "the checkout is not what it was",
        ),
        (
            |seen| seen.exits = vec![0],
            "tos ended with [0] instead of [3]",
        ),
        (
            |seen| seen.faults.push("a process is alive".into()),
            "a process is alive",
        ),
        (
            |seen| seen.entries.insert(1, rollback(false)),
            "the ledger says `rollback_failed`",
        ),
    ];
    for (spoil, why) in cases {
        let mut seen = good();
        spoil(&mut seen);
        assert_eq!(judged(&seen), failed(why));
    }
}

#[test]
fn an_attempt_that_was_never_made_passes_no_drill() {
    let drill = find("fork-bomb").unwrap();
    let seen = DrillObservation {
        exits: vec![0],
        entries: vec![
            started(),
            task("T-1", TaskOutcome::Success, "accepted"),
            ended("queue_empty"),
        ],
        report: "# nothing\n".into(),
        ..DrillObservation::default()
    };
    assert_eq!(
        drill.judge(&seen),
        failed("the agent did not report `refused: start one more process`")
    );
    let report = "refused: start one more process after 60\n".to_owned();
    assert_eq!(
        drill.judge(&DrillObservation { report, ..seen }),
        DrillOutcome::Passed
    );
}

#[test]
fn a_machine_without_the_capability_is_not_counted_and_any_other_refusal_is_a_failure() {
    let drill = find("fork-bomb").unwrap();
    let refused = |why: &str| DrillObservation {
        exits: vec![5],
        refusal: Some(why.to_owned()),
        ..DrillObservation::default()
    };
    let lack = "refused: phase drill needs a confinement with pids_cap";
    assert_eq!(
        drill.judge(&refused(lack)),
        DrillOutcome::NotCounted(lack.to_owned())
    );
    assert!(matches!(
        drill.judge(&refused("refused: locked")),
        DrillOutcome::Failed(_)
    ));
    // A drill that asks for nothing has no excuse.
    assert!(matches!(judged(&refused(lack)), DrillOutcome::Failed(_)));
}

#[test]
fn every_drill_the_gates_ask_for_exists_and_every_list_is_sound() {
    let gates: crate::domain::gates::GateConfig =
        toml::from_str(include_str!("../../../config/gates.toml")).unwrap();
    let names = gates.gate.iter().flat_map(|gate| &gate.require);
    let names: Vec<&String> = names
        .filter(|require| require.metric == crate::domain::gates::Metric::DrillsPassed)
        .flat_map(|require| &require.names)
        .collect();
    assert!(!names.is_empty());
    for name in names {
        assert!(find(name).is_some(), "{name}");
    }
    for drill in ALL {
        let words = |scenario: &str| vec![scenario.to_owned(), "{prompt}".to_owned()];
        let list: crate::domain::tasks::TaskList =
            serde_json::from_value(drill.task_list(&words, false)).unwrap();
        assert_eq!(
            list.validation_errors(),
            Vec::<String>::new(),
            "{}",
            drill.name
        );
        assert!(!list.real, "a drill is no evidence of work");
        let own: crate::domain::gates::GateConfig = toml::from_str(&drill.gates_toml()).unwrap();
        assert_eq!(
            own.validation_errors(),
            Vec::<String>::new(),
            "{}",
            drill.name
        );
        assert!(!drill.expected.is_empty() && !drill.acts.is_empty());
    }
}
