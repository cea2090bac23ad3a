//! The examples of the gate document, and what every gate asks for.

use super::*;

#[test]
fn the_first_example_of_the_gate_document_gives_its_table() {
    assert_eq!(
        control().shown(),
        "\
autonomy level 2a (control)   unattended: yes, up to 1h   skip: never   ledger: ok, 22 records

required for 2b
  --  unattended-1h           2/3   S-15 not counted (4m active < 45m)
  --  isolation-verdict       0/1   run: tos doctor --sandbox --conclude container
  ok  retry-seen              1/1   T-009
  --  control-drills          4/5   run: tos drill health-blocks-start

not ready: 3 of 4 requirements open"
    );
}

#[test]
fn the_second_example_of_the_gate_document_gives_its_table() {
    assert_eq!(
        overnight().shown(),
        "\
autonomy level 3 (overnight)   unattended: yes, up to 12h   skip: dag   ledger: ok, 40 records

required for done
  --  three-nights                    2/3   2026-03-10 reset the streak (11 tasks, 73%)
  ok  last-20-rate                95%/80%   20 of 20 tasks seen
  ok  dag-and-checkpoint-drills       2/2   checkpoint-restore, dag-skip

not ready: 1 of 3 requirements open"
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
    let ask = StartRequest {
        unattended: true,
        seconds: 60,
        on_failure: "stop".into(),
        capabilities: ["worktree", "env_min", "home_redirect"]
            .map(String::from)
            .to_vec(),
    };
    let refusal = is_startable_program(&book.report(), &ask).unwrap_err();
    assert_eq!(
        refusal.why,
        "autonomy level 1 allows no unattended run. Open: failure-drills 2/4"
    );
    let steps: Vec<&str> = refusal.next.lines().map(str::trim).collect();
    assert_eq!(
        steps[2..5],
        [
            "2. to let it work alone, first: tos drill forbidden-import two-failures (failure-drills 2/4)",
            "3. tos autonomy promote 2a (you type its name)",
            "4. tos night start LIST",
        ]
    );
}

#[test]
fn every_gate_opens_for_what_it_asks_and_shuts_when_any_piece_of_evidence_is_missing() {
    for phase in ["1", "2a", "2b", "3"] {
        let book = complete(phase);
        assert!(is_ready(&book), "{phase}: {}", book.shown());
        let report = book.report();
        let gate = report.autonomy_track().unwrap().gate.clone().unwrap();
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
        |record| matches!(&record.entry, LedgerEntry::Task { end } if end.outcome == TaskOutcome::Success),
    );
    let mut worse = complete("3");
    if let LedgerEntry::Task { end } = &mut worse.records[good.unwrap()].entry {
        end.outcome = TaskOutcome::Failed;
    }
    assert!(!is_ready(&worse), "{}", worse.shown());
}
