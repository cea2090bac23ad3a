//! `--mode checkpoint` and `--mode rollback` on a real repository.

use crate::sample;

#[test]
fn outside_a_repository_a_checkpoint_says_what_to_do() {
    let machine = sample();
    let ran = machine.run(&["--mode", "checkpoint", "--name", "S6_first"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("--init"), "{ran}");
}

#[test]
fn a_rollback_returns_to_the_checkpoint_and_tests_it() {
    let machine = sample();
    let taken = machine.run(&["--mode", "checkpoint", "--name", "S6_first", "--init"]);
    assert_eq!(taken.code, Some(0), "{taken}");
    let hash = machine.read("logs/last_checkpoint.txt").trim().to_owned();
    assert!(
        taken.stdout.contains(&format!("checkpoint {hash}")),
        "{taken}"
    );
    machine.write(
        "examples/sales/job_1.csv",
        "date,item,amount\n2026-01-01,x,1\n",
    );
    let dirty = machine.run(&["--mode", "rollback"]);
    assert_eq!(dirty.code, Some(1), "{dirty}");
    assert!(dirty.stderr.contains("job_1.csv"), "{dirty}");
    let ran = machine.run(&["--mode", "rollback", "--discard"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    for line in [
        "rollback start",
        "rollback done",
        &format!("rollback {hash}"),
        "test passed",
    ] {
        assert!(ran.stdout.contains(line), "`{line}` is missing: {ran}");
    }
    assert!(machine.read("examples/sales/job_1.csv").lines().count() > 2);
    let summary: serde_json::Value =
        serde_json::from_str(&machine.read("logs/last_run_summary.json")).unwrap();
    assert_eq!(summary["rollback"]["rollback_target"], hash.as_str());
}
