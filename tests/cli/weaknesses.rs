//! Weaknesses of the original that show at the door, each by its number; and a check of the document that
//! lists them all.

use std::{fs, path::Path};

use serde_json::Value;
use tos::domain::{
    command::{Command, CommandKind},
    job::rules::PolicyRules,
    policy::{Decision, Policy, PolicyContext},
};

use crate::{environment::TestEnvironment, sample};

fn json(machine: &TestEnvironment, file: &str) -> Value {
    serde_json::from_str(&machine.read(file)).unwrap()
}

fn done(machine: &TestEnvironment, words: &[&str]) -> String {
    let ran = machine.run(words);
    assert_eq!(ran.code, Some(0), "{ran}");
    ran.stdout
}

const SUMMARY: &str = "logs/last_run_summary.json";

#[test]
fn w03_a_clean_start_after_a_success_does_the_work_again() {
    let machine = sample();
    for _ in 0..2 {
        let said = done(&machine, &["--mode", "cleanrun"]);
        assert!(said.contains("latest_step step_002.json total=2"), "{said}");
        let log = json(&machine, "logs/steps/step_002.json");
        assert_eq!(log["execution"]["execution_summary"]["executed_count"], 2);
    }
    let archives = fs::read_dir(machine.root().join("logs/archive")).unwrap();
    assert_eq!(archives.count(), 1, "the first run's records are kept");
}

#[test]
fn w10_completed_is_always_there() {
    let machine = sample();
    let mut seen = Vec::new();
    for _ in 0..4 {
        let said = done(&machine, &["--mode", "run"]);
        seen.push(
            json(&machine, "workspace/artifacts/phase_summary.json")["job_loop"]["completed"]
                .clone(),
        );
        assert!(
            said.contains("completed=True") || said.contains("completed=False"),
            "{said}"
        );
    }
    assert_eq!(
        Value::from(seen),
        serde_json::json!([false, false, false, true])
    );
}

#[test]
fn w49_the_size_of_the_payload_is_its_file_s_size_everywhere() {
    let machine = sample();
    let payload = "{ \"k\":  \"あ\" }\n";
    machine.write("workspace/artifacts/job_input.json", payload);
    done(&machine, &["--mode", "run"]);
    for file in [SUMMARY, "logs/steps/step_001.json"] {
        assert_eq!(
            json(&machine, file)["job_payload_size"],
            payload.len(),
            "{file}"
        );
    }
}

#[test]
fn w52_w55_whatever_keeps_a_run_from_its_goal_is_in_the_exit_code_and_in_the_summary() {
    let machine = sample();
    let ran = machine.run(&["--mode", "run", "--set", "max_steps=1"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert_eq!(json(&machine, SUMMARY)["phase"], "max_steps_reached");
    machine.write("workspace/artifacts/job_input.json", "[1]");
    let ran = machine.run(&["--mode", "run"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    let summary = json(&machine, SUMMARY);
    let told = summary["error"].as_str().unwrap();
    assert!(
        told.contains("job_input.json is not a JSON object"),
        "{told}"
    );
    machine.write("config/config_v0_3.json", "{\"max_steps\": 0}");
    let ran = machine.run(&["--mode", "run", "--summary-file", "out/s.json"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    let summary = json(&machine, "out/s.json");
    assert!(summary["error"].as_str().unwrap().contains("config error"));
}

#[test]
fn w54_a_test_without_any_records_gives_a_verdict_and_a_summary() {
    let machine = sample();
    let ran = machine.run(&["--mode", "test", "--verify-only"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    for line in [
        "FAIL phase_state.json not found",
        "FAIL no step files found",
        "test failed",
    ] {
        assert!(ran.stdout.contains(line), "{ran}");
    }
    assert_eq!(json(&machine, SUMMARY)["mode"], "test");
}

#[test]
fn w56_a_test_says_that_it_spends_a_job_and_verify_only_spends_none() {
    let machine = sample();
    let said = done(&machine, &["--mode", "test"]);
    assert!(
        said.contains("test runs and spends a job; `--verify-only`"),
        "{said}"
    );
    let log = machine.read("logs/run.jsonl");
    let said = done(&machine, &["--mode", "test", "--verify-only"]);
    assert!(said.contains("test passed"), "{said}");
    assert_eq!(machine.read("logs/run.jsonl"), log);
    assert_eq!(json(&machine, "workspace/phase_state.json")["job_index"], 2);
}

#[test]
fn w57_the_healthy_end_of_the_loop_is_warned_about_with_its_reason() {
    let machine = sample();
    for _ in 0..4 {
        done(&machine, &["--mode", "run"]);
    }
    let said = done(&machine, &["--mode", "test", "--verify-only"]);
    let warning = "WARNING: job_index (4) > max_jobs (3); the loop is complete";
    assert!(said.lines().any(|line| line == warning), "{said}");
    assert!(said.contains("test passed"), "{said}");
}

#[test]
fn v01_v02_every_file_lies_below_the_root_that_was_named() {
    let machine = sample();
    let elsewhere = machine.root().parent().unwrap().join("tmp");
    let root = machine.root();
    let output = machine
        .tos(&["--mode", "run", "--root", root.to_str().unwrap()])
        .current_dir(&elsewhere)
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    let home = root.parent().unwrap().join("home");
    assert_eq!(fs::read_dir(home).unwrap().count(), 0);
    for folder in ["generated", "results", "artifacts"] {
        assert!(root.join("workspace").join(folder).is_dir());
    }
}

#[test]
fn v06_the_summary_of_a_rollback_keeps_its_facts_through_the_test() {
    let machine = sample();
    done(
        &machine,
        &["--mode", "checkpoint", "--name", "one", "--init"],
    );
    done(
        &machine,
        &["--mode", "rollback", "--summary-file", "out/deep/s.json"],
    );
    let hash = machine.read("logs/last_checkpoint.txt");
    let summary = json(&machine, "out/deep/s.json");
    assert_eq!(summary["rollback"]["rollback_target"], hash.trim());
    assert_eq!(summary["mode"], "test");
    let line = machine.read("out/deep/s.txt");
    assert!(
        line.contains(&format!("rollback_target={}", hash.trim())),
        "{line}"
    );
}

#[test]
fn v08_no_file_begins_with_a_byte_order_mark() {
    let machine = sample();
    done(
        &machine,
        &["--mode", "checkpoint", "--name", "one", "--init"],
    );
    done(&machine, &["--mode", "run"]);
    let files = [
        SUMMARY,
        "logs/last_run_summary.txt",
        "logs/last_checkpoint.txt",
        "logs/run.jsonl",
        "logs/steps/step_001.json",
        "workspace/phase_state.json",
    ];
    for file in files {
        assert!(!machine.read(file).starts_with('\u{feff}'), "{file}");
    }
}

#[test]
fn v09_v10_an_experimental_sprint_is_shown_and_warned_about() {
    let machine = sample();
    let said = done(
        &machine,
        &[
            "--mode",
            "test",
            "--set",
            "sprint=S-5",
            "--set",
            "s5_settings.enabled=true",
        ],
    );
    assert!(
        said.contains("phase_state phase=done step=2 done=True (experimental)"),
        "{said}"
    );
    assert!(
        said.contains("WARNING: experimental mode, results may be unstable"),
        "{said}"
    );
}

#[test]
fn v12_there_is_no_python_path_to_verify() {
    let machine = sample();
    machine.write("tos_python_path.txt", "/no/such/python");
    done(&machine, &["--mode", "run"]);
}

#[test]
fn v13_the_folder_of_the_summary_is_made() {
    let machine = sample();
    done(&machine, &["--mode", "run", "--summary-file", "a/b/c.json"]);
    assert_eq!(json(&machine, "a/b/c.json")["phase"], "done");
    assert!(
        machine
            .read("a/b/c.txt")
            .starts_with("phase=done step=2 done=True")
    );
}

/// Returns the names of all tests below a folder.
fn tests_below(folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_below(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let functions = text.lines().filter_map(|line| {
                let line = line.trim_start();
                let line = line.strip_prefix("async ").unwrap_or(line);
                line.strip_prefix("fn ")?
                    .split('(')
                    .next()
                    .map(str::to_owned)
            });
            names.extend(functions);
        }
    }
}

#[test]
fn every_weakness_of_the_document_has_a_test_that_exists_or_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = Vec::new();
    tests_below(&root.join("src"), &mut tests);
    tests_below(&root.join("tests"), &mut tests);
    let document = fs::read_to_string(root.join("docs/original-weaknesses.md")).unwrap();
    let wanted = (1..=58)
        .map(|n| format!("W{n:02}"))
        .chain((1..=14).map(|n| format!("V{n:02}")));
    for id in wanted {
        let row = document
            .lines()
            .find(|line| line.starts_with(&format!("| {id} |")))
            .unwrap_or_else(|| panic!("{id} is not in the document"));
        let last = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let named: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        for test in &named {
            assert!(
                tests.iter().any(|name| name == test),
                "{id}: there is no test `{test}`"
            );
            assert!(
                test.to_uppercase().contains(&id),
                "{id}: `{test}` is another one's test"
            );
        }
        assert!(
            !named.is_empty() || last.contains("cannot occur"),
            "{id}: neither test nor reason"
        );
    }
}

/// Judges a command by the shipped rules alone, in a root that is nobody's home.
fn judged(kind: CommandKind, code: &str) -> Decision {
    let rules = PolicyRules {
        allow_types: CommandKind::KNOWN.to_vec(),
        ..PolicyRules::default()
    };
    let policy = Policy::new(&rules).unwrap();
    let command = Command::with_code(kind, code.to_owned());
    let world = PolicyContext::unattended("/home/user/project");
    policy.judge(&command, &world).decision
}

#[test]
fn w18_a_deletion_in_disguise_is_denied() {
    for code in [
        "rm -rf /etc",
        "r''m -rf /etc",
        "/bin/rm -rf /etc",
        "x=rm; $x -rf /etc",
        "true | xargs rm -rf /etc",
    ] {
        assert_eq!(judged(CommandKind::Bash, code), Decision::Deny, "{code}");
    }
    for code in [
        "remove-item -recurse C:\\Windows",
        "ri -r -fo C:\\Windows",
        "& ('Rem'+'ove-Item') -Recurse C:\\Windows",
    ] {
        assert_eq!(
            judged(CommandKind::Powershell, code),
            Decision::Deny,
            "{code}"
        );
    }
}

#[test]
fn w19_letters_inside_harmless_words_deny_nothing() {
    for code in [
        "Write-Output \"model data\"",
        "$format = 'x'",
        "Write-Output 'the shutdown procedure'",
        "Set-Content model/f.txt x",
    ] {
        assert_eq!(
            judged(CommandKind::Powershell, code),
            Decision::Allow,
            "{code}"
        );
    }
}
