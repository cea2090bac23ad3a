//! `tos answer`: questions that a run has left, answered once or for good.

use std::{
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::environment::TestEnvironment;

const CONFIG: &str = "config/config_v0_3.json";

/// Returns a machine whose job wants to remove a folder, which the strict rules ask about.
fn machine() -> TestEnvironment {
    let machine = TestEnvironment::in_folder(tempfile::tempdir().unwrap());
    let commands = json!([{"type": "sh", "code": "rm -r build"}]);
    let replies = [
        ("draft", json!({"thought": "t", "commands": commands})),
        (
            "review",
            json!({"review": "r", "improved_commands": [], "approval": true}),
        ),
        ("final", json!({"final_commands": commands, "summary": "s"})),
    ];
    let lines: Vec<String> = replies
        .iter()
        .map(|(role, reply)| {
            json!({"version": 1, "job": 1, "role": role, "turn": 0, "text": reply.to_string()})
                .to_string()
        })
        .collect();
    machine.write("replies.jsonl", lines.join("\n"));
    let replay = json!({"provider": "replay", "replay_file": "replies.jsonl"});
    let config = json!({
        "max_steps": 1,
        "allow_types": ["sh"],
        "execution_policy": {"preset": "strict"},
        "models": {"draft": replay, "review": replay, "final": replay},
        "done_condition": {"all": [{"file": "build/x", "exists": false}]},
    });
    machine.write(CONFIG, config.to_string());
    machine.write("build/x", "");
    machine
}

/// Starts a run; it ends once its question is answered.
fn run(machine: &TestEnvironment) -> Child {
    let mut command = machine.tos(&["--mode", "cleanrun", "--approvals", "wait"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits for a question; returns its id.
fn asked(machine: &TestEnvironment) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let open = machine.run(&["approve", "--json"]).stdout;
        let open: serde_json::Value = serde_json::from_str(&open).unwrap();
        if let Some(id) = open["open"][0]["id"].as_str() {
            return id.to_owned();
        }
        assert!(Instant::now() < deadline, "nothing was asked");
    }
}

#[test]
fn a_yes_for_good_is_a_rule_and_the_next_run_asks_nothing() {
    let machine = machine();
    let child = run(&machine);
    let id = asked(&machine);
    let answered = machine.run(&["approve", &id, "--always"]);
    assert_eq!(
        answered.stdout,
        format!("rule written to {CONFIG}\napproved {id}\n")
    );
    let ran = machine.ran(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran}");
    let question = format!(
        "question {id}: rule `strict/delete`: `rm -r build` removes build; answer with `tos answer {id} yes`, `no` or \
         `always`"
    );
    assert!(ran.stderr.contains(&question), "{ran}");
    assert!(!machine.root().join("build").exists());
    let explained = machine.run(&["policy", "explain", "rm -r build", "--type", "sh"]);
    assert_eq!(explained.code, Some(0), "{explained}");
    machine.write("build/x", "");
    let ran = machine.run(&["--mode", "cleanrun", "--approvals", "deny"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let config: serde_json::Value = serde_json::from_str(&machine.read(CONFIG)).unwrap();
    assert_eq!(
        config["execution_policy"]["rules"],
        json!([{
            "name": "yes-to-rm", "decision": "allow", "reason": "a person allowed it for good",
            "program": ["rm"], "args": ["-r", "build"], "deletes": ["build"], "match": ["sh: rm -r build"],
        }])
    );
}

#[test]
fn a_no_is_a_denial_and_writes_nothing() {
    let machine = machine();
    let before = machine.read(CONFIG);
    let child = run(&machine);
    let id = asked(&machine);
    assert_eq!(
        machine.run(&["approve", &id, "--deny"]).stdout,
        format!("denied {id}\n")
    );
    let ran = machine.ran(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(machine.root().join("build/x").exists());
    assert_eq!(machine.read(CONFIG), before);
}
