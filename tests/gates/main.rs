//! Gates and ledger through the program: evidence on disk, a person at a terminal, nobody at a terminal.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests look at the real disk, and what fails there fails the test"
)]

mod commits;
mod earned;
mod freedom;
mod stages;

#[path = "../support/program.rs"]
mod program;
#[path = "../support/repository.rs"]
mod repository;
#[path = "../support/root.rs"]
mod root;
#[path = "../support/terminal.rs"]
mod terminal;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use tos::{
    adapters::ledger::{LedgerFile, LedgerOptions},
    config::gates,
    domain::ledger::{LedgerEntry, TaskEnd, TaskOutcome},
    ports::ledger::Ledger,
};

use root::Root;

impl Root {
    fn tos(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Makes the root a repository with everything in its first commit.
    fn commit_all(&self) {
        repository::init(&self.root);
        for words in [["add", "-A"].as_slice(), &["commit", "-q", "-m", "first"]] {
            drop(repository::git(&self.root, words));
        }
    }

    /// Runs tos with a terminal on which a person types a line.
    fn at_terminal(&self, words: &[&str], typed: &str) -> (i32, String) {
        let (code, said) = terminal::at_terminal(self.command(words), &format!("{typed}\n"));
        (code.unwrap(), said)
    }

    /// The ledger, written to as the program itself would.
    fn ledger(&self) -> LedgerFile {
        let here: serde_json::Value =
            serde_json::from_slice(&self.tos(&["ledger", "show", "--json"]).stdout).unwrap();
        let first = &here["records"][0]["stamp"];
        LedgerFile::new(LedgerOptions {
            root: self.root.clone(),
            state: Some(self.home.path().join(".local/state")),
            actor: "tos".into(),
            tool: env!("CARGO_PKG_VERSION").into(),
            policy: first["policy"].as_str().unwrap_or("none").into(),
            gates: gates::load(&self.root).unwrap().digest,
        })
    }

    fn file(&self) -> PathBuf {
        self.root.join(".tos/ledger/ledger.jsonl")
    }

    /// Everything the first gate asks for.
    fn earn_the_first_promotion(&self) {
        assert_eq!(
            self.tos(&["phase", "hold", "--reason", "first record"])
                .status
                .code(),
            Some(0)
        );
        let ledger = self.ledger();
        for (id, class) in [
            ("a", "fix"),
            ("b", "test"),
            ("c", "deps"),
            ("d", "fix"),
            ("e", "fix"),
        ] {
            let end = TaskEnd {
                task: id.into(),
                fingerprint: id.into(),
                class: class.into(),
                outcome: TaskOutcome::Success,
                reason: String::new(),
                attempts: 1,
                files: 1,
                added: 1,
                removed: 0,
                seconds: 1,
                commit: None,
                real: true,
                goal: String::new(),
                micro_usd: None,
            };
            ledger.append(None, LedgerEntry::Task { end }).unwrap();
        }
        for name in [
            "danger-symbol",
            "test-failure",
            "forbidden-import",
            "two-failures",
        ] {
            let entry = LedgerEntry::Drill {
                name: name.into(),
                scenario: vec![],
                expected: vec![],
                observed: vec![],
                passed: true,
                note: String::new(),
            };
            ledger.append(None, entry).unwrap();
        }
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_fresh_root_is_watched_and_says_what_is_missing() {
    let root = Root::empty();
    let output = root.tos(&["phase", "status"]);
    assert_eq!(output.status.code(), Some(0));
    let text = out(&output);
    assert!(
        text.starts_with(
            "autonomy level 1 (watched)   unattended: no   skip: never   ledger: ok, 0 records\n"
        ),
        "{text}"
    );
    assert!(
        text.contains("--  failure-drills       0/4   run: tos drill danger-symbol test-failure"),
        "{text}"
    );
    assert!(!text.contains("stage"), "{text}");
    let all = out(&root.tos(&["autonomy", "status", "--stages"]));
    assert!(all.contains("stage S-4 (basics)"), "{all}");
    assert_eq!(
        root.tos(&["phase", "status", "--check"]).status.code(),
        Some(1)
    );
    assert!(!root.root.join(".tos").exists(), "looking leaves no trace");
}

#[test]
fn nobody_is_promoted_without_evidence_or_without_a_person() {
    let root = Root::empty();
    let (code, said) = root.at_terminal(&["phase", "promote"], "2a");
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("3 of 3 criteria are open"), "{said}");
    root.earn_the_first_promotion();
    assert_eq!(
        root.tos(&["phase", "promote", "--dry-run"]).status.code(),
        Some(0)
    );
    let output = root.tos(&["phase", "promote"]);
    assert_eq!(output.status.code(), Some(5));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("only a person at a terminal may enter level 2a"),
        "{said}"
    );
    let (code, _) = root.at_terminal(&["phase", "promote"], "yes");
    assert_eq!(code, 5);
    assert!(out(&root.tos(&["phase", "status"])).starts_with("autonomy level 1 "));
    let (code, said) = root.at_terminal(&["phase", "promote"], "2a");
    assert_eq!(code, 0, "{said}");
    let text = out(&root.tos(&["phase", "status"]));
    assert!(
        text.starts_with("autonomy level 2a (control)   unattended: yes, up to 1h"),
        "{text}"
    );
    assert!(text.contains("HOLD: held: first record"), "{text}");
    assert!(out(&root.tos(&["phase", "history"])).contains("1 -> 2a (promote)"));
}

#[test]
fn a_breach_demotes_by_itself_and_the_demotion_is_on_record() {
    let root = Root::empty();
    root.earn_the_first_promotion();
    assert_eq!(root.at_terminal(&["phase", "promote"], "2a").0, 0);
    let breach = LedgerEntry::IsolationBreach {
        what: "wrote".into(),
        path: "/etc/x".into(),
    };
    root.ledger().append(None, breach).unwrap();
    let text = out(&root.tos(&["phase", "status"]));
    assert!(text.contains("LOCKED: 1 x isolation_breach"), "{text}");
    assert!(out(&root.tos(&["phase", "history"])).contains("2a -> 1 (auto) 1 x isolation_breach"));
    assert_eq!(
        root.tos(&["phase", "unlock", "--reason", "x"])
            .status
            .code(),
        Some(5)
    );
    assert_eq!(
        root.at_terminal(&["phase", "unlock", "--reason", "looked"], "unlock")
            .0,
        0
    );
}

#[test]
fn a_changed_shortened_or_missing_ledger_is_broken_and_refuses_everything() {
    let root = Root::empty();
    root.earn_the_first_promotion();
    let whole = fs::read_to_string(root.file()).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let cut = format!("{}\n", lines[..lines.len() - 1].join("\n"));
    for (what, text, at) in [
        (
            "a field changed",
            whole.replacen("\"task\":\"a\"", "\"task\":\"z\"", 1),
            1,
        ),
        ("the end cut off", cut, lines.len() - 1),
        ("emptied", String::new(), 0),
    ] {
        fs::write(root.file(), text).unwrap();
        let output = root.tos(&["ledger", "verify"]);
        assert_eq!(output.status.code(), Some(5), "{what}");
        assert_eq!(out(&output), format!("ledger: BROKEN at {at}\n"), "{what}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("tos ledger verify --acknowledge --reason "),
            "{said}"
        );
        for words in [
            ["phase", "status"].as_slice(),
            &["phase", "promote"],
            &["review", "reject", "a"],
        ] {
            assert_eq!(root.tos(words).status.code(), Some(5), "{what}: {words:?}");
        }
    }
    fs::remove_dir_all(root.root.join(".tos")).unwrap();
    assert_eq!(
        root.tos(&["ledger", "verify"]).status.code(),
        Some(5),
        "the whole folder removed"
    );
    let (code, said) = root.at_terminal(
        &["ledger", "verify", "--acknowledge", "--reason", "test"],
        "begin",
    );
    assert_eq!(code, 0, "{said}");
    let text = out(&root.tos(&["phase", "status"]));
    assert!(
        text.starts_with(
            "autonomy level 1 (watched)   unattended: no   skip: never   ledger: ok, 1 records"
        ),
        "{text}"
    );
}

#[test]
fn only_good_evidence_can_be_voided_and_only_by_a_person() {
    let root = Root::empty();
    root.earn_the_first_promotion();
    assert_eq!(
        root.tos(&["ledger", "void", "0", "--reason", "x"])
            .status
            .code(),
        Some(2),
        "a hold stays"
    );
    assert_eq!(
        root.tos(&["ledger", "void", "1", "--reason", "x"])
            .status
            .code(),
        Some(5)
    );
    assert_eq!(
        root.at_terminal(&["ledger", "void", "1", "--reason", "x"], "void")
            .0,
        0
    );
    assert!(out(&root.tos(&["phase", "status"])).contains("--  successes            4/5"));
    assert_eq!(root.tos(&["review", "reject", "b"]).status.code(), Some(0));
    assert!(out(&root.tos(&["phase", "status"])).contains("--  successes            3/5"));
    assert_eq!(
        root.tos(&["review", "reject", "nobody"]).status.code(),
        Some(2)
    );
}

#[test]
fn two_writers_at_once_leave_one_whole_chain() {
    let root = Root::empty();
    root.tos(&["phase", "hold", "--reason", "x"]);
    let children: Vec<_> = (0..8)
        .map(|n| {
            root.command(&["phase", "hold", "--reason", &n.to_string()])
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(
        out(&root.tos(&["ledger", "verify", "-q"])),
        "ledger: ok, 9 records\n"
    );
}

#[test]
fn the_verdict_on_containers_is_what_was_tried() {
    let root = Root::empty();
    let output = root.tos(&["isolation", "probe", "--conclude", "container"]);
    assert_eq!(output.status.code(), Some(0));
    let text = out(&output);
    assert!(text.contains("on record: container "), "{text}");
    let docker = Command::new("docker").arg("info").output();
    let podman = Command::new("podman").arg("info").output();
    let works = [docker, podman]
        .into_iter()
        .flatten()
        .any(|output| output.status.success());
    assert_eq!(text.contains("container go"), works);
}

#[test]
fn a_gates_file_with_a_mistake_is_an_error_with_its_place() {
    let root = Root::empty();
    fs::create_dir(root.root.join("config")).unwrap();
    fs::write(root.root.join("config/gates.toml"), "schema = 1\n[nigth]\n").unwrap();
    let output = root.tos(&["phase", "status"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("config/gates.toml") && said.contains("nigth"),
        "{said}"
    );
}
