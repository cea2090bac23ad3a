//! `--mode checkpoint` and `--mode rollback` on a real repository.

use std::fs;

use crate::{blank, environment::TestEnvironment, sample};

fn checkpoint(machine: &TestEnvironment) -> String {
    let taken = machine.run(&["--mode", "checkpoint", "--name", "first", "--init"]);
    assert_eq!(taken.code, Some(0), "{taken}");
    machine.read("logs/last_checkpoint.txt").trim().to_owned()
}

#[test]
fn outside_a_repository_a_checkpoint_says_what_to_do() {
    let machine = sample();
    let ran = machine.run(&["--mode", "checkpoint", "--name", "S6_first"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("--init"), "{ran}");
}

#[test]
fn a_rollback_without_a_checkpoint_says_that_and_nothing_else() {
    let machine = sample();
    let made = std::process::Command::new("git")
        .args(["init", "-q"])
        .current_dir(machine.root())
        .status();
    assert!(made.unwrap().success());
    let ran = machine.run(&["--mode", "rollback"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
    assert!(ran.stderr.contains("no checkpoint to go back to"), "{ran}");
    assert!(ran.stderr.contains("--target-commit"), "{ran}");
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

#[test]
fn a_rollback_says_its_own_result_first_and_ends_with_it() {
    let machine = sample();
    let text = machine.read("config/config_v0_3.json");
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config["done_condition"]["all"][0]["file"] = "workspace/results/never.txt".into();
    machine.write("config/config_v0_3.json", config.to_string());
    let hash = checkpoint(&machine);
    machine.write("examples/sales/job_1.csv", "x\n");
    let ran = machine.run(&["--mode", "rollback", "--discard"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let at = |text: &str| {
        ran.stdout
            .find(text)
            .unwrap_or_else(|| panic!("no `{text}`: {ran}"))
    };
    let order = [
        at("the test after the rollback runs and spends a job"),
        at("rollback start"),
        at(&format!("rollback {hash}")),
        at("auto test after rollback"),
    ];
    assert!(order.is_sorted(), "{ran}");
    assert!(
        ran.stderr
            .contains("the rollback is done; the test after it failed"),
        "{ran}"
    );
}

#[test]
fn the_test_after_a_rollback_can_be_left_out_or_only_look() {
    let machine = sample();
    let hash = checkpoint(&machine);
    let ran = machine.run(&["--mode", "rollback", "--no-test"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains(&format!("rollback {hash}")), "{ran}");
    assert!(!ran.stdout.contains("spends a job"), "{ran}");
    assert!(
        !machine.root().join("logs/steps").exists() || !ran.stdout.contains("step"),
        "{ran}"
    );
    let ran = machine.run(&["--mode", "rollback", "--verify-only"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains("auto test after rollback"), "{ran}");
    assert!(!ran.stdout.contains("goal reached"), "{ran}");
    let ran = machine.run(&["--mode", "rollback", "--no-test", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["rollback_target"], hash.as_str());
    assert_eq!(document["exit_code"], 0);
    assert_eq!(document["test"]["skipped"], "--no-test");
    let both = machine.run(&["--mode", "rollback", "--no-test", "--verify-only"]);
    assert_eq!(both.code, Some(2), "{both}");
}

#[test]
fn a_rollback_behind_the_configuration_is_done_and_tests_nothing() {
    let machine = blank();
    fs::remove_file(machine.root().join("config/config_v0_3.json")).unwrap();
    let hash = checkpoint(&machine);
    let ran = machine.run(&["init", "--sample"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let ran = machine.run(&["--mode", "rollback", "--discard", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(!machine.root().join("config/config_v0_3.json").exists());
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["rollback_target"], hash.as_str());
    let why = document["test"]["skipped"].as_str().unwrap();
    assert!(why.contains("no config/config_v0_3.json"), "{why}");
}

#[test]
fn without_a_key_no_test_is_tried_and_the_filled_in_configuration_stays() {
    let machine = blank();
    checkpoint(&machine);
    let mine = machine
        .read("config/config_v0_3.json")
        .replace("done.txt", "mine.txt");
    machine.write("config/config_v0_3.json", &mine);
    let ran = machine.run(&["--mode", "rollback"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(machine.read("config/config_v0_3.json"), mine);
    assert!(
        ran.stderr
            .contains("config/config_v0_3.json stays as it is"),
        "{ran}"
    );
    assert!(
        ran.stdout
            .contains("no test after the rollback: ANTHROPIC_API_KEY and OPENAI_API_KEY not set"),
        "{ran}"
    );
}
