//! Every old word still works, is hidden, and does what the new one does.

use std::fs;

use crate::environment::TestEnvironment;

/// Old words, new words.
const ALIASES: &[(&[&str], &[&str])] = &[
    (&["phase", "status"], &["autonomy", "status"]),
    (
        &["phase", "status", "--check"],
        &["autonomy", "status", "--check"],
    ),
    (&["phase", "history"], &["autonomy", "history"]),
    (&["phase", "promote"], &["autonomy", "promote"]),
    (&["phase", "observe"], &["autonomy", "record"]),
    (&["phase", "attest", "x"], &["autonomy", "confirm", "x"]),
    (&["autonomy", "observe"], &["autonomy", "record"]),
    (&["autonomy", "attest", "x"], &["autonomy", "confirm", "x"]),
    (
        &["isolation", "probe", "--conclude", "container"],
        &["doctor", "--sandbox", "--conclude", "container"],
    ),
    (&["check"], &["judge-change"]),
    (
        &["check", "--base", "HEAD"],
        &["judge-change", "--base", "HEAD"],
    ),
    (&["config", "check"], &["config", "validate"]),
    (
        &["task", "check", "list.toml"],
        &["task", "validate", "list.toml"],
    ),
    (&["approve"], &["answer"]),
    (&["approve", "1-1"], &["answer", "1-1", "yes"]),
    (&["approve", "1-1", "--deny"], &["answer", "1-1", "no"]),
    (
        &["approve", "1-1", "--always"],
        &["answer", "1-1", "always"],
    ),
    (&["review", "reject", "T-1"], &["task", "reject", "T-1"]),
    (&["review", "accept", "T-1"], &["task", "accept", "T-1"]),
    (
        &["--mode", "test", "--on-unknown", "skip"],
        &["--mode", "test", "--after-crash", "skip"],
    ),
    (
        &["--mode", "rollback", "--on-unknown", "skip"],
        &["--mode", "rollback", "--after-crash", "skip"],
    ),
    (
        &["plan", "list", "--home", "runs"],
        &["plan", "list", "--runs-dir", "runs"],
    ),
    (
        &["plan", "run", "plan.yaml", "--home", "runs", "--dry-run"],
        &[
            "plan",
            "run",
            "plan.yaml",
            "--runs-dir",
            "runs",
            "--dry-run",
        ],
    ),
];

/// A machine with a configuration, a plan and a list that is wrong.
fn machine() -> TestEnvironment {
    let machine = TestEnvironment::in_folder(tempfile::tempdir().unwrap());
    machine.write("config/config_v0_3.json", "{}");
    machine.write("plan.yaml", "tasks:\n- {id: a, cmd: 'true'}\n");
    machine.write("list.toml", "id = 1\n");
    machine
}

#[test]
fn old_words_do_what_the_new_ones_do() {
    for (old, new) in ALIASES {
        let (of_old, of_new) = (machine(), machine());
        let (old_ran, new_ran) = (of_old.run(old), of_new.run(new));
        // What names the temporary folder names another one.
        let plain = |text: &str, machine: &TestEnvironment| {
            let root = machine.root().display().to_string();
            let real = fs::canonicalize(machine.root()).unwrap();
            text.replace(&real.display().to_string(), "ROOT")
                .replace(&root, "ROOT")
        };
        assert_eq!(old_ran.code, new_ran.code, "{old:?}\n{old_ran}\n{new_ran}");
        assert_eq!(
            plain(&old_ran.stdout, &of_old),
            plain(&new_ran.stdout, &of_new),
            "{old:?}"
        );
        assert_eq!(
            plain(&old_ran.stderr, &of_old),
            plain(&new_ran.stderr, &of_new),
            "{old:?}"
        );
    }
}

#[test]
fn help_shows_only_the_new_words() {
    let machine = machine();
    let words = |args: &[&str]| -> Vec<String> {
        let help = machine.run(args).stdout;
        let first = help.lines().filter_map(|line| {
            let rest = line.strip_prefix("  ")?;
            rest.split_whitespace().next().map(str::to_owned)
        });
        first.collect()
    };
    let top = words(&["--help"]);
    for new in ["autonomy", "answer", "judge-change", "task", "doctor"] {
        assert!(top.iter().any(|word| word == new), "{new}: {top:?}");
    }
    for old in [
        "phase",
        "approve",
        "check",
        "review",
        "isolation",
        "dod-check",
    ] {
        assert!(!top.iter().any(|word| word == old), "{old}: {top:?}");
    }
    let verbs = words(&["autonomy", "--help"]);
    assert!(verbs.iter().any(|word| word == "record"), "{verbs:?}");
    for old in ["observe", "attest"] {
        assert!(!verbs.iter().any(|word| word == old), "{verbs:?}");
    }
    let options = machine.run(&["--help"]).stdout;
    assert!(options.contains("--after-crash") && !options.contains("--on-unknown"));
    let options = machine.run(&["plan", "run", "--help"]).stdout;
    assert!(options.contains("--runs-dir") && !options.contains("--home"));
}

#[test]
fn a_mode_behind_a_command_is_told_with_where_it_belongs() {
    let machine = crate::blank();
    for words in [
        &["run", "--mode", "test"][..],
        &["plan", "run", "--mode", "test", "p.yaml"],
    ] {
        let ran = machine.run(words);
        assert_eq!(ran.code, Some(2), "{ran}");
        assert!(ran.stderr.contains("`tos test`"), "{ran}");
        assert!(!ran.stderr.contains("'-- --mode'"), "{ran}");
    }
}

#[test]
fn every_document_that_is_no_list_says_the_exit_code() {
    let machine = crate::sample();
    for (words, code) in [
        (&["--json", "status"][..], 0),
        (&["--json", "doctor"], 0),
        (
            &[
                "--json",
                "--set",
                "goal=x",
                "--set",
                "goal_file=y",
                "doctor",
            ],
            2,
        ),
        (&["--json", "exec", "-c", "exit 3"], 3),
        (&["--json", "plan", "status"], 2),
        (&["--json", "help", "jobs"], 0),
    ] {
        let ran = machine.run(words);
        let told: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(ran.code.map(i64::from), told["exit_code"].as_i64(), "{ran}");
        if code != 0 {
            assert_eq!(ran.code, Some(code), "{ran}");
        }
    }
}
