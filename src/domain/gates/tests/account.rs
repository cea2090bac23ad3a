//! What people are told of the gates.

use super::*;

#[test]
fn an_account_says_what_is_asked_for_what_is_there_and_what_changed() {
    let book = Book::default()
        .add(LedgerEntry::Hold {
            reason: "a visit".into(),
        })
        .task("one", "fix", true)
        .phase("1", "1");
    let told = account(&gates(), &book.records, &here());
    let gate = told.report.autonomy_track().unwrap().gate.clone().unwrap();
    let kinds: Vec<&str> = told.changes.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, ["phase", "hold"], "the newest first, and no tasks");
    assert_eq!(told.changes[1].words, "a visit");
    let all = told
        .report
        .tracks
        .iter()
        .filter_map(|one| one.gate.as_ref());
    for one in all.flat_map(|gate| &gate.criteria) {
        assert!(!told.meanings[&one.id].is_empty(), "{}", one.id);
    }
    assert_eq!(gate.to, "2a");
    assert_eq!(
        told.meanings["kinds"],
        "tasks of 3 kinds that succeeded, of: fix, feature, test, deps, refactor"
    );
    assert!(told.steps.iter().any(|step| step.contains("promote 2a")));
}

#[test]
fn every_gate_of_the_configuration_is_put_in_words() {
    for (phase, id, words) in [
        (
            "2a",
            "unattended-1h",
            "3 clean sessions in a row without a person, 45m at work each, at night",
        ),
        ("2a", "isolation-verdict", "a verdict on record: container"),
        ("2a", "retry-seen", "on record, 1 times: retry.success"),
        (
            "3",
            "three-nights",
            "3 clean nights in a row, with 10 tasks each of which 80 % succeeded, all under the same conditions",
        ),
        ("3", "last-20-rate", "of the last 20 tasks, 80 % succeeded"),
        (
            "3",
            "dag-and-checkpoint-drills",
            "drills passed: checkpoint-restore, dag-skip",
        ),
    ] {
        let book = Book::default().phase("1", phase);
        let told = account(&gates(), &book.records, &here());
        assert_eq!(told.meanings[id], words);
    }
}
