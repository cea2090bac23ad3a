//! Children of a tos that was started at a terminal: none of them may hang on it, and none is taken for
//! busy that does nothing.

use std::{
    ffi::CString,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    path::Path,
    process::{Command, Stdio},
};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use crate::environment::TestEnvironment;

/// Runs `command` in a session whose controlling terminal is a new one; returns its exit code.
fn at_a_terminal(mut command: Command) -> Option<i32> {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name: CString = ptsname(&terminal, Vec::new()).unwrap();
    let take = move || {
        rustix::process::setsid()?;
        // The first terminal that the leader of a session opens becomes its own.
        let opened: OwnedFd = rustix::fs::open(&name, OFlags::RDWR, Mode::empty())?;
        drop(opened);
        Ok(())
    };
    #[expect(unsafe_code, reason = "only here runs code between fork and exec")]
    // SAFETY: nothing but system calls; the name of the terminal was made before.
    unsafe {
        command.pre_exec(take);
    }
    let status = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    drop(terminal);
    status.code()
}

fn machine() -> TestEnvironment {
    TestEnvironment::in_folder(tempfile::tempdir().unwrap())
}

#[test]
fn a_task_that_reads_the_terminal_is_told_that_there_is_none() {
    let machine = machine();
    // Without the fix the shell is stopped by the kernel; the deadline only keeps this test from hanging.
    machine.write(
        "plan.yaml",
        "tasks:\n- id: asks\n  shell: 'if read x < /dev/tty; then echo read; else echo none; fi > said'\n  timeout_sec: 30\n",
    );
    let code = at_a_terminal(machine.tos(&["plan", "run", "plan.yaml"]));
    assert_eq!((code, machine.read("said").as_str()), (Some(0), "none\n"));
}

#[test]
fn a_command_and_a_model_program_of_a_job_are_told_so_too() {
    let machine = machine();
    machine.write(
        "model.sh",
        r#"if read x < /dev/tty; then exit 9; fi
case $1 in
draft) echo '{"commands": []}';;
review) echo '{"approval": true}';;
final) echo '{"final_commands": [{"type": "sh", "code": "if read x < /dev/tty; then echo read; else echo none; fi > out/said"}]}';;
esac"#,
    );
    let role =
        |role: &str| serde_json::json!({"provider": "command", "argv": ["sh", "model.sh", role]});
    let config = serde_json::json!({
        "workspace_dir": "workspace", "logs_dir": "logs", "timeout_sec": 30, "max_steps": 1, "api_retry": 0,
        "sandbox": {"level": "off"},
        "execution_policy": {"default_action": "allow"}, "allow_types": ["sh"],
        "models": {"draft": role("draft"), "review": role("review"), "final": role("final")},
        "done_condition": {"all": [{"file": "out/said", "contains": ["none"]}]},
    });
    machine.write("config/config_v0_3.json", config.to_string());
    machine.write("out/keep", "");
    let code = at_a_terminal(machine.tos(&["--mode", "run"]));
    assert_eq!(
        code,
        Some(0),
        "{}",
        machine.read("logs/last_run_summary.txt")
    );
    assert_eq!(machine.read("out/said"), "none\n");
}

#[test]
fn what_git_starts_is_told_so_too() {
    let machine = machine();
    let git = |words: &[&str]| {
        let done = Command::new("git")
            .args(words)
            .current_dir(machine.root())
            .output()
            .unwrap();
        assert!(done.status.success(), "{words:?} {done:?}");
    };
    git(&["init", "-q", "."]);
    git(&["config", "user.name", "a"]);
    git(&["config", "user.email", "a@example.com"]);
    let said = machine.root().join("../said");
    let filter = format!(
        "if read x < /dev/tty; then echo read; else echo none; fi > '{}'; cat",
        said.display()
    );
    git(&["config", "filter.asks.clean", &filter]);
    machine.write(".gitattributes", "*.asks filter=asks\n");
    machine.write("a.asks", "one\n");
    let code = at_a_terminal(machine.tos(&["--mode", "checkpoint", "--name", "x"]));
    assert_eq!(code, Some(0));
    assert_eq!(std::fs::read_to_string(said).unwrap(), "none\n");
}

#[test]
fn a_task_that_does_nothing_is_ended_and_one_that_computes_is_not() {
    let machine = machine();
    machine.write(
        "plan.yaml",
        "defaults: {idle_timeout_sec: 1, timeout_sec: 60, grace_seconds: 0}\n\
         tasks:\n\
         - {id: silent, cmd: [sleep, '600'], allow_failure: true}\n\
         - id: busy\n  shell: 'i=0; while [ $i -lt 4000000 ]; do i=$((i+1)); done; echo done > busy'\n",
    );
    let ran = machine.run(&["plan", "run", "plan.yaml"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(machine.read("busy"), "done\n");
    let shown = machine.run(&["plan", "status", "latest", "--json"]).stdout;
    let state: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let silent = &state["tasks"]["silent"];
    assert_eq!(
        (&silent["status"], &silent["timed_out"]),
        (&"FAILED".into(), &true.into())
    );
    let log = machine.run(&["plan", "report", "latest"]);
    let said = walk(&machine.root().join(".tos"));
    assert!(said.contains("did nothing for"), "{log}\n{said}");
}

/// Returns the text of all run logs below a folder.
fn walk(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            text.push_str(&walk(&path));
        } else if path
            .file_name()
            .is_some_and(|name| name.as_bytes().ends_with(b".jsonl"))
        {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
    text
}
