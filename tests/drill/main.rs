//! Every drill through the program, and proof that drills can fail: the same attempts without a wall are
//! caught by the traps, a killed or interrupted drill leaves nothing.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at the real disk, and what fails there fails the test"
)]

#[path = "../support/program.rs"]
mod program;
#[path = "../support/root.rs"]
mod root;

use std::{
    fs,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tos::{
    adapters::{
        drill::{DrillOptions, TempDirSites},
        ledger,
        ledger::LedgerFile,
    },
    config::gates,
    domain::{
        drill::{ALL, Drill, DrillOutcome, DrillStep, DrillTask, find},
        ledger::{LedgerEntry, PhaseTransition},
    },
    ports::ledger::Ledger,
    services::drill::run_drill,
};

use root::Root;

impl Root {
    fn tos(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    fn records(&self) -> Vec<Value> {
        let output = self.tos(&["ledger", "show", "--json", "--kind", "drill"]);
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        let records = value["records"].as_array().unwrap().iter();
        records.map(|record| record["entry"].clone()).collect()
    }

    fn places(&self) -> usize {
        fs::read_dir(self.root.join(".tos/drills")).map_or(0, Iterator::count)
    }

    fn rehearse(&self, drill: &Drill) -> DrillOutcome {
        let ground = TempDirSites::new(DrillOptions {
            root: self.root.clone(),
            program: env!("CARGO_BIN_EXE_tos").into(),
            path: "/usr/local/bin:/usr/bin:/bin".into(),
        });
        run_drill(drill, &ground.unwrap()).unwrap().outcome
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs one drill as a person would, and looks at what is on record afterwards.
fn holds(name: &str) {
    let root = Root::empty();
    let output = root.tos(&["drill", name]);
    let said = out(&output);
    if output.status.code() == Some(3) {
        assert!(said.contains("not counted"), "{said}");
        assert_eq!(root.records(), Vec::<Value>::new());
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{said}");
    let records = root.records();
    assert_eq!(records.len(), 1);
    assert_eq!(
        (&records[0]["name"], &records[0]["passed"]),
        (&name.into(), &true.into())
    );
    assert!(records[0]["observed"].as_array().unwrap().len() >= 3);
    assert_eq!(root.places(), 0, "nothing is left");
}

macro_rules! drills {
    ($($test:ident $name:literal)*) => {
        $(
            #[test]
            fn $test() {
                holds($name);
            }
        )*

        #[test]
        fn every_drill_has_its_test() {
            let tested = [$($name),*];
            for drill in ALL {
                assert!(tested.contains(&drill.name), "{}", drill.name);
            }
        }
    };
}

drills! {
    danger_symbol "danger-symbol"
    test_failure "test-failure"
    forbidden_import "forbidden-import"
    two_failures "two-failures"
    limit_breach "limit-breach"
    timeout_tree_kill "timeout-tree-kill"
    self_commit "self-commit"
    crash_recovery "crash-recovery"
    health_blocks_start "health-blocks-start"
    net_egress "net-egress"
    proxy_egress "proxy-egress"
    write_outside "write-outside"
    read_secret "read-secret"
    fork_bomb "fork-bomb"
    disk_fill "disk-fill"
    checkpoint_restore "checkpoint-restore"
    dag_skip "dag-skip"
    second_try "second-try"
    test_deleted "test-deleted"
    symlink_escape "symlink-escape"
    judge_changed "judge-changed"
}

/// The same drill with the wall taken away. All attempts are aimed at the throw-away place.
fn unwalled(name: &str) -> DrillOutcome {
    let drill = Drill {
        sandbox: "off",
        needs: &[],
        ..*find(name).unwrap()
    };
    Root::empty().rehearse(&drill)
}

fn failed(why: &str) -> DrillOutcome {
    DrillOutcome::Failed(why.to_owned())
}

#[test]
fn without_a_wall_the_traps_of_the_network_catch_the_agent() {
    let caught = unwalled("net-egress");
    assert_eq!(caught, failed("the agent got through: connect over TCP"));
}

#[test]
fn without_a_wall_a_secret_that_was_read_is_noticed() {
    assert_eq!(
        unwalled("read-secret"),
        failed("the agent got through: read a key")
    );
}

#[test]
fn without_a_wall_processes_that_multiply_fail_the_drill() {
    assert_eq!(
        unwalled("fork-bomb"),
        failed("the agent got through: start one more process")
    );
}

#[test]
fn without_a_wall_what_was_touched_outside_is_noticed() {
    let drill = Drill {
        sandbox: "off",
        needs: &[],
        ..*find("write-outside").unwrap()
    };
    let root = Root::empty();
    let ground = TempDirSites::new(DrillOptions {
        root: root.root.clone(),
        program: env!("CARGO_BIN_EXE_tos").into(),
        path: "/usr/local/bin:/usr/bin:/bin".into(),
    })
    .unwrap();
    // The agent emptied the ledger, so even looking at it is an error.
    let why = run_drill(&drill, &ground).unwrap_err().to_string();
    assert!(why.contains("is BROKEN at"), "{why}");
}

#[test]
fn a_drill_whose_agent_does_something_else_fails() {
    let other: &[DrillTask] = &[DrillTask {
        id: "T-1",
        scenario: "fix",
        needs: &[],
        seconds: 60,
    }];
    let drill = Drill {
        tasks: other,
        ..*find("danger-symbol").unwrap()
    };
    assert_eq!(
        Root::empty().rehearse(&drill),
        failed("`rollback` is missing from the ledger, or out of its place")
    );
}

#[test]
fn a_capability_nobody_has_makes_a_drill_that_is_not_counted() {
    let drill = Drill {
        needs: &["flies"],
        ..*find("fork-bomb").unwrap()
    };
    assert_eq!(
        Root::empty().rehearse(&drill),
        DrillOutcome::NotCounted(
            "refused: autonomy level drill needs a confinement with flies".into()
        )
    );
}

#[test]
fn a_drill_that_never_kills_proves_no_recovery() {
    let drill = Drill {
        acts: &[DrillStep::Run(0)],
        tasks: &[DrillTask {
            id: "T-1",
            scenario: "fix",
            needs: &[],
            seconds: 60,
        }],
        ..*find("crash-recovery").unwrap()
    };
    assert!(matches!(
        Root::empty().rehearse(&drill),
        DrillOutcome::Failed(why) if why.contains("session.end crash")
    ));
}

#[test]
fn an_unknown_drill_is_an_error_that_names_the_nearest() {
    let root = Root::empty();
    let output = root.tos(&["drill", "fork-bom"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("did you mean `fork-bomb`?"), "{said}");
    assert_eq!(
        root.tos(&["drill", "--all", "--missing"]).status.code(),
        Some(2)
    );
}

#[test]
fn the_list_says_what_the_next_gate_lacks() {
    let root = Root::empty();
    let text = out(&root.tos(&["drill", "list"]));
    for drill in ALL {
        assert!(text.contains(drill.about), "{text}");
    }
    let missing: Vec<&str> = text
        .lines()
        .filter(|line| line.ends_with("<- missing"))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(
        missing,
        [
            "danger-symbol",
            "test-failure",
            "forbidden-import",
            "two-failures"
        ]
    );
}

#[test]
fn what_is_missing_is_run_and_the_gate_sees_it() {
    let root = Root::empty();
    let output = root.tos(&["drill", "--missing", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["drills"].as_array().unwrap().len(), 4);
    let status = out(&root.tos(&["phase", "status"]));
    assert!(status.contains("ok  failure-drills       4/4"), "{status}");
    assert_eq!(
        out(&root.tos(&["drill", "--missing", "-q"])),
        "no drill is missing\n"
    );
}

#[test]
fn drills_run_again_end_a_hold() {
    let root = Root::empty();
    let digest = gates::load(&root.root).unwrap().digest;
    let book = |gates: &str| {
        LedgerFile::new(ledger::LedgerOptions {
            root: root.root.clone(),
            state: Some(root.home.path().join(".local/state")),
            actor: "tos".into(),
            tool: env!("CARGO_PKG_VERSION").into(),
            policy: "p".into(),
            gates: gates.into(),
        })
    };
    let promoted = LedgerEntry::Phase {
        track: "autonomy".into(),
        from: "1".into(),
        to: "2a".into(),
        mode: PhaseTransition::Promote,
        lock: false,
        reason: String::new(),
        evidence: vec![],
    };
    book("older").append(None, promoted).unwrap();
    let status = || out(&root.tos(&["phase", "status"]));
    let hold = "HOLD: the gates changed since the last promotion; clear it with: tos drill --all";
    assert!(status().contains(hold), "{}", status());
    let names = ["danger-symbol", "test-failure", "forbidden-import"];
    assert_eq!(
        root.tos(&["drill", names[0], names[1], names[2]])
            .status
            .code(),
        Some(0)
    );
    assert!(status().contains(hold), "three of four are not enough");
    assert_eq!(root.tos(&["drill", "two-failures"]).status.code(), Some(0));
    assert!(!status().contains("HOLD"), "{}", status());
    let broken = LedgerEntry::Drill {
        name: "two-failures".into(),
        scenario: vec![],
        expected: vec![],
        observed: vec![],
        passed: false,
        note: "x".into(),
    };
    book(&digest).append(None, broken).unwrap();
    assert!(
        status().contains("HOLD: the drill two-failures failed when it was last run; clear it with: tos drill two-failures"),
        "{}",
        status()
    );
}

/// Starts a drill that hangs for a while, and waits until its agent is at work.
fn at_work(root: &Root) -> Child {
    let words = [
        "drill",
        "crash-recovery",
        "crash-recovery",
        "crash-recovery",
    ];
    started(root, root.command(&words))
}

fn started(root: &Root, mut command: Command) -> Child {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while root.places() == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it must be at work");
        std::thread::yield_now();
    }
    child
}

#[test]
fn a_drill_that_is_interrupted_ends_in_an_orderly_way() {
    let root = Root::empty();
    let mut child = at_work(&root);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4));
    assert_eq!(root.places(), 0);
    assert_eq!(root.tos(&["ledger", "verify"]).status.code(), Some(0));
}

#[test]
fn a_drill_that_was_told_to_ignore_a_signal_goes_on() {
    let root = Root::empty();
    let usual = root.command(&["drill", "crash-recovery"]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh"])
        .arg(usual.get_program())
        .args(usual.get_args())
        .env_clear()
        .envs(
            usual
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(&root.root);
    let mut child = started(&root, command);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_a_killed_drill_left_is_swept_by_the_next() {
    let root = Root::empty();
    let mut child = at_work(&root);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(root.places(), 1);
    assert_eq!(root.tos(&["drill", "test-failure"]).status.code(), Some(0));
    assert_eq!(root.places(), 0);
}
