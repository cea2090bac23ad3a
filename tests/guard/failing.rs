//! A hook that cannot judge: it never ends in a way that lets the tool run.

use std::{fs, process::Stdio};

use serde_json::json;

use crate::bench::{Bench, Ended, ended, fed};

fn call(bench: &Bench, mode: &str) -> Vec<u8> {
    json!({
        "cwd": bench.root, "permission_mode": mode, "hook_event_name": "PreToolUse",
        "tool_name": "Bash", "tool_input": { "command": "ls" },
    })
    .to_string()
    .into_bytes()
}

fn is_refused(ended: &Ended, why: &str) {
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(2), ""),
        "{ended:?}"
    );
    assert!(ended.stderr.contains(why), "{ended:?}");
}

#[test]
fn input_that_cannot_be_read_is_a_refusal_with_a_reason() {
    let bench = Bench::new();
    for agent in ["claude", "codex", "gemini", "opencode", "cursor"] {
        let words = ["guard", "hook", agent];
        is_refused(&bench.feed(&words, b""), "the input is not JSON");
        is_refused(
            &bench.feed(&words, b"{\"tool_name\": "),
            "the input is not JSON",
        );
        is_refused(
            &bench.feed(&words, b"\xff\xfe\x00"),
            "the input is not JSON",
        );
        is_refused(&bench.feed(&words, b"[1]"), "the input has no");
        is_refused(&bench.feed(&words, b"{}"), "the input has no");
        let deep = [b"[".repeat(200_000), b"]".repeat(200_000)].concat();
        is_refused(&bench.feed(&words, &deep), "the input is not JSON");
    }
    is_refused(&bench.feed(&["guard", "hook"], b"{}"), "");
    is_refused(
        &bench.feed(&["guard", "hook", "emacs"], b"{}"),
        "agents are claude",
    );
    is_refused(
        &bench.feed(&["guard", "hook", "claude", "--nonsense"], b"{}"),
        "usage",
    );
}

#[test]
fn rules_that_cannot_be_read_are_a_question_beside_a_person_and_a_refusal_without_one() {
    let bench = Bench::new();
    bench.write(".tos/guard.toml", "observe = maybe\n");
    let words = ["guard", "hook", "claude"];
    let asked = bench.feed(&words, &call(&bench, "default"));
    let (decision, reason) = asked.decision();
    assert_eq!(decision, "ask");
    assert!(reason.contains(".tos/guard.toml:1:11"), "{reason}");
    is_refused(
        &bench.feed(&words, &call(&bench, "bypassPermissions")),
        "guard.toml:1:11",
    );
    let stats = bench.tos(&["guard", "stats", "--json"]).json();
    assert_eq!(stats["failed"], 2);
}

#[test]
fn a_call_that_takes_too_long_to_arrive_is_a_refusal() {
    let bench = Bench::new();
    let mut command = bench.command(&["guard", "hook", "claude"]);
    command.env("TOS_GUARD_BUDGET_MS", "50");
    // The input stays open and nothing comes.
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pipe = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(pipe);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("longer than 50 ms"));
}

#[test]
fn memory_that_runs_out_is_a_refusal() {
    let bench = Bench::new();
    let own = env!("CARGO_BIN_EXE_tos");
    let line = format!("ulimit -d 60000; exec '{own}' guard hook claude");
    let mut shell = std::process::Command::new("bash");
    shell
        .args(["-c", &line])
        .current_dir(&bench.root)
        .env("HOME", bench.home());
    let text = "x".repeat(40 << 20);
    let call = json!({ "tool_name": "Bash", "tool_input": { "command": text } }).to_string();
    let ended = fed(&mut shell, call.as_bytes());
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(2), ""),
        "{ended:?}"
    );
}

#[test]
fn a_signal_is_a_refusal() {
    let bench = Bench::new();
    for signal in ["TERM", "ABRT", "HUP", "INT", "QUIT", "USR1", "ALRM"] {
        let mut command = bench.command(&["guard", "hook", "claude"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It waits for its input once it catches signals; before, the shell around it refuses.
        let status = format!("/proc/{}/status", child.id());
        let catches = |text: &str| {
            let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            mask.is_some_and(|mask| mask & (1 << 23) != 0)
        };
        while !fs::read_to_string(&status).is_ok_and(|text| catches(&text)) {
            std::thread::yield_now();
        }
        let kill = format!("kill -{signal} {}", child.id());
        bench.run(&kill);
        assert_eq!(child.wait().unwrap().code(), Some(2), "{signal}");
    }
}

#[test]
fn an_answer_that_nobody_takes_is_a_refusal() {
    let bench = Bench::new();
    let mut command = bench.command(&["guard", "hook", "opencode"]);
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(full)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let call = json!({ "tool": "bash", "args": { "command": "ls" } }).to_string();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), call.as_bytes()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
}

#[test]
fn a_read_only_home_keeps_nobody_from_judging() {
    let bench = Bench::new();
    let mut command = bench.command(&["guard", "hook", "claude"]);
    command.env("XDG_STATE_HOME", "/proc/nothing");
    let destroys = String::from_utf8(call(&bench, "default"))
        .unwrap()
        .replace("\"ls\"", "\"rm -rf /srv\"");
    let ended = fed(&mut command, destroys.as_bytes());
    assert_eq!(ended.decision().0, "deny", "{ended:?}");
}

#[test]
fn the_installed_command_refuses_when_tos_is_gone() {
    let bench = Bench::new();
    let program = bench.top().join("bin/tos");
    fs::copy(env!("CARGO_BIN_EXE_tos"), &program).unwrap();
    let mut install = std::process::Command::new(&program);
    install
        .args(["guard", "install", "claude", "--yes"])
        .current_dir(&bench.root)
        .env("HOME", bench.home());
    assert_eq!(ended(&mut install).code, Some(0));
    fs::remove_file(&program).unwrap();
    let settings = fs::read_to_string(bench.home().join(".claude/settings.json")).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
    let hook = settings
        .pointer("/hooks/PreToolUse/0/hooks/0/command")
        .unwrap();
    let mut shell = std::process::Command::new("/bin/sh");
    shell
        .args(["-c", hook.as_str().unwrap()])
        .env("HOME", bench.home());
    let ended = fed(&mut shell, &call(&bench, "default"));
    is_refused(&ended, "tos guard did not answer");
    let status = bench.tos(&["guard", "status", "claude"]);
    assert_eq!(status.code, Some(1), "{status:?}");
    assert!(status.stdout.contains("does not start"), "{status:?}");
}
