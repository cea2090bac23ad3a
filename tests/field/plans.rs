//! Plans that other tools would have understood differently, and runs that are not what they say.

use serde_json::{Value, json};

use crate::environment::{Ran, TestEnvironment};

fn machine(plan: &str) -> TestEnvironment {
    let machine = TestEnvironment::in_folder(tempfile::tempdir().unwrap());
    machine.write("plan.yaml", plan);
    machine
}

fn state(machine: &TestEnvironment) -> Value {
    let shown = machine.run(&["plan", "status", "latest", "--json"]);
    serde_json::from_str(&shown.stdout).unwrap_or_else(|_| panic!("{shown}"))
}

fn refused(plan: &str) -> Ran {
    let machine = machine(plan);
    let ran = machine.run(&["plan", "run", "plan.yaml"]);
    assert_eq!(ran.code, Some(2), "{plan}\n{ran}");
    assert!(!machine.root().join(".tos").exists());
    ran
}

#[test]
fn a_command_that_only_a_shell_understands_is_an_error_that_says_so() {
    for command in [
        "make && make test",
        "echo a | wc",
        "cd x; ls",
        "ls > out",
        "echo $HOME",
        "server &",
    ] {
        let plan = format!("tasks:\n- id: a\n  cmd: '{command}'\n");
        let said = refused(&plan).stderr;
        assert!(said.contains("plan.yaml:3:8"), "{said}");
        assert!(said.contains("only a shell understands"), "{said}");
        assert!(said.contains("sh, -c"), "{said}");
    }
    let agents = "agent: claude\ntasks:\n- {id: a, class: fix, prompt: x, test_command: 'make && make test'}\n";
    assert!(
        refused(agents)
            .stderr
            .contains("`&&`, which only a shell understands")
    );
    let fine = machine(
        "tasks:\n- {id: a, cmd: \"printf '%s' '&& | $HOME'\"}\n- {id: b, cmd: [printf, '%s', '&&']}\n",
    );
    assert_eq!(fine.run(&["plan", "run", "plan.yaml"]).code, Some(0));
}

#[test]
fn an_env_file_value_over_several_lines_arrives_whole() {
    let machine = machine(
        "tasks:\n- {id: a, shell: 'printf %s \"$KEY\" > key; printf %s \"$PLAIN\" > plain', env_file: .vars}\n",
    );
    machine.write(
        ".vars",
        "KEY=\"-----BEGIN\nline two\n-----END\"\nexport PLAIN=$HOME # not expanded\n",
    );
    let ran = machine.run(&["plan", "run", "plan.yaml"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(machine.read("key"), "-----BEGIN\nline two\n-----END");
    assert_eq!(machine.read("plain"), "$HOME");
    machine.write(".vars", "KEY=\"never closed\n");
    assert_eq!(machine.run(&["plan", "run", "plan.yaml"]).code, Some(3));
    let task = &state(&machine)["tasks"]["a"];
    assert_eq!(
        task["message"],
        "env_file `.vars` cannot be read: line 1: unterminated quote"
    );
}

#[test]
fn a_promised_output_that_was_not_made_is_a_failure() {
    let machine = machine(
        "tasks:\n- {id: a, cmd: [touch, here], outputs: [here, 'dist/**', gone]}\n- {id: b, cmd: 'true', depends_on: [a]}\n",
    );
    let ran = machine.run(&["plan", "run", "plan.yaml"]);
    assert_eq!(ran.code, Some(3), "{ran}");
    let tasks = &state(&machine)["tasks"];
    assert_eq!(
        (&tasks["a"]["status"], &tasks["b"]["status"]),
        (&json!("FAILED"), &json!("SKIPPED"))
    );
    assert_eq!(tasks["a"]["artifact_paths"], json!(["artifacts/a/here"]));
    let why = tasks["a"]["message"].as_str().unwrap();
    assert!(why.contains("output `dist/**` was not made"), "{why}");
    assert!(why.contains("output `gone` was not made"), "{why}");
    machine.write("gone", "");
    machine.write("dist/deep/file", "");
    assert_eq!(machine.run(&["plan", "resume", "latest"]).code, Some(0));
}

#[test]
fn an_output_whose_name_is_not_utf_8_is_kept_under_its_name_and_put_back() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let plan = "tasks:\n- {id: a, shell: 'for n in a b; do echo $n > \"$(printf \"$n\\377.txt\")\"; done', outputs: ['*.txt'], cache: true}\n";
    let machine = machine(plan);
    let ran = machine.run(&["plan", "run", "plan.yaml"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let name = OsStr::from_bytes(b"b\xFF.txt");
    let runs = std::fs::read_dir(machine.root().join(".tos/runs")).unwrap();
    let run = runs.flatten().next().unwrap().path();
    assert_eq!(
        std::fs::read(run.join("artifacts/a").join(name)).unwrap(),
        b"b\n"
    );
    assert_eq!(
        state(&machine)["tasks"]["a"]["artifact_paths"],
        json!(["artifacts/a/a\\xFF.txt", "artifacts/a/b\\xFF.txt"])
    );
    // The cache puts back what was lost, under the same name.
    std::fs::remove_file(machine.root().join(name)).unwrap();
    assert_eq!(machine.run(&["plan", "run", "plan.yaml"]).code, Some(0));
    assert_eq!(state(&machine)["tasks"]["a"]["cached"], true);
    assert_eq!(std::fs::read(machine.root().join(name)).unwrap(), b"b\n");
}

#[test]
fn a_resume_says_that_the_plan_was_edited_and_can_go_on_with_either() {
    let machine = machine(
        "tasks:\n- {id: a, shell: 'echo old >> a'}\n- {id: b, cmd: [test, -e, ok], depends_on: [a]}\n",
    );
    assert_eq!(machine.run(&["plan", "run", "plan.yaml"]).code, Some(3));
    let silent = machine.run(&["plan", "resume", "latest"]);
    assert!(!silent.stderr.contains("was edited"), "{silent}");
    machine.write(
        "plan.yaml",
        "tasks:\n- {id: a, shell: 'echo new >> a'}\n- {id: b, cmd: [test, -e, plan.yaml], depends_on: [a]}\n",
    );
    let kept = machine.run(&["plan", "resume", "latest"]);
    assert_eq!(kept.code, Some(3), "{kept}");
    assert!(
        kept.stderr.contains("was edited after the run began"),
        "{kept}"
    );
    assert!(kept.stderr.contains("--edited"), "{kept}");
    assert_eq!(machine.read("a"), "old\n");
    let edited = machine.run(&["plan", "resume", "latest", "--edited"]);
    assert_eq!(edited.code, Some(0), "{edited}");
    assert_eq!(machine.read("a"), "old\nnew\n");
    let after = machine.run(&["plan", "resume", "latest"]);
    assert!(
        after.code == Some(0) && !after.stderr.contains("was edited"),
        "{after}"
    );
    machine.write(
        "plan.yaml",
        "tasks:\n- {id: a, cmd: 'true'}\n- {id: c, cmd: 'true'}\n",
    );
    let other = machine.run(&["plan", "resume", "latest", "--edited"]);
    assert_eq!(other.code, Some(2), "{other}");
    assert!(other.stderr.contains("new: c; gone: b"), "{other}");
}

#[test]
fn keys_that_begin_with_x_hold_anchors() {
    let machine = machine(
        "x-base: &base {env: {A: '1'}, timeout_sec: 30}\nx-words: &words [sh, -c, 'echo $A > said']\n\
         tasks:\n- {<<: *base, id: a, cmd: *words, x-note: mine}\n",
    );
    let ran = machine.run(&["plan", "run", "plan.yaml"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(machine.read("said"), "1\n");
}

#[test]
fn a_value_that_only_a_shell_would_expand_is_warned_about() {
    let machine = machine(
        "tasks:\n- {id: a, cmd: 'true', env: {PATH: '/x:/usr/bin:/bin:$PATH', DIR: ~/x, FINE: 'a~b 5$'}}\n",
    );
    for words in [
        &["plan", "validate", "plan.yaml"][..],
        &["plan", "run", "plan.yaml"],
    ] {
        let ran = machine.run(words);
        assert_eq!(ran.code, Some(0), "{ran}");
        assert!(
            ran.stderr
                .contains("warning: `PATH: /x:/usr/bin:/bin:$PATH`"),
            "{ran}"
        );
        assert!(ran.stderr.contains("warning: `DIR: ~/x`"), "{ran}");
        assert!(!ran.stderr.contains("FINE"), "{ran}");
    }
}

#[test]
fn the_words_of_other_tools_get_the_right_hint() {
    for (field, ours) in [
        ("needs: [b]", "depends_on"),
        ("dependencies: [b]", "depends_on"),
        ("run: x", "shell"),
        ("workdir: x", "cwd"),
        ("command: x", "cmd"),
        ("environment: {}", "env"),
        ("timeout: 5", "timeout_sec"),
        ("continue-on-error: true", "allow_failure"),
    ] {
        let said = refused(&format!("tasks:\n- {{id: a, {field}}}\n")).stderr;
        assert!(
            said.contains(&format!("that is `{ours}` here")),
            "{field}: {said}"
        );
    }
    assert!(
        refused("jobs: []\n")
            .stderr
            .contains("that is `tasks` here")
    );
}

#[test]
fn the_time_between_the_request_to_end_and_the_kill_is_the_tasks_own() {
    // The task needs longer to say goodbye than the old second; the default lets it.
    let goodbye = |grace: &str| {
        let machine = machine(&format!(
            "tasks:\n- id: a\n  timeout_sec: 0.5\n  {grace}\n  shell: 'trap \"sleep 1.5; echo bye > said; exit 0\" TERM; while :; do sleep 0.1; done'\n"
        ));
        assert_eq!(machine.run(&["plan", "run", "plan.yaml"]).code, Some(3));
        machine.root().join("said").exists()
    };
    assert!(goodbye("grace_seconds: 60"));
    assert!(goodbye("retries: 0"));
    assert!(!goodbye("grace_seconds: 0"));
}

/// Makes a run as the older tool left it.
fn older(state: &Value) -> TestEnvironment {
    let machine = TestEnvironment::in_folder(tempfile::tempdir().unwrap());
    let run = ".orch/runs/20260101_000000_abcdef";
    machine.write(
        &format!("{run}/plan.yaml"),
        "tasks:\n- {id: a, cmd: 'true'}\n- {id: b, cmd: 'true'}\n",
    );
    machine.write(&format!("{run}/state.json"), state.to_string());
    machine
}

fn older_state(run: &str, a: &Value) -> Value {
    let good = json!({"status": "SUCCESS", "attempts": 1, "exit_code": 0, "timed_out": false, "skip_reason": null,
        "started_at": "2026-01-01T00:00:00+00:00", "ended_at": "2026-01-01T00:00:01+00:00", "artifact_paths": []});
    let mut first = good.clone();
    for (key, value) in a.as_object().unwrap() {
        first[key] = value.clone();
    }
    json!({"run_id": "20260101_000000_abcdef", "created_at": "2026-01-01T00:00:00+00:00", "updated_at": "2026-01-01T00:00:01+00:00",
        "status": run, "workdir": "/", "goal": null, "max_parallel": 1, "fail_fast": false, "tasks": {"a": first, "b": good}})
}

#[test]
fn a_run_of_the_older_tool_that_contradicts_itself_is_not_believed() {
    let good = older(&older_state("SUCCESS", &json!({})));
    assert_eq!(good.run(&["plan", "status", "latest"]).code, Some(0));
    for (run, a, why) in [
        (
            "SUCCESS",
            json!({"status": "FAILED", "exit_code": 1}),
            "task `a` is FAILED",
        ),
        (
            "FAILED",
            json!({"status": "RUNNING", "exit_code": null}),
            "task `a` is RUNNING",
        ),
        (
            "SUCCESS",
            json!({"exit_code": 3}),
            "SUCCESS with the exit code 3",
        ),
        (
            "FAILED",
            json!({"status": "FAILED"}),
            "FAILED with the exit code 0",
        ),
        (
            "SUCCESS",
            json!({"artifact_paths": ["artifacts/a/../../../x"]}),
            "not below `artifacts/`",
        ),
        (
            "SUCCESS",
            json!({"artifact_paths": ["/etc/passwd"]}),
            "not below `artifacts/`",
        ),
    ] {
        let machine = older(&older_state(run, &a));
        for words in [
            &["plan", "status", "latest"][..],
            &["plan", "status", "latest", "--json"],
            &["plan", "resume", "latest"],
        ] {
            let ran = machine.run(words);
            assert_eq!(ran.code, Some(2), "{why}: {ran}");
            assert!(
                ran.stderr.contains(why) && ran.stderr.contains("state.json"),
                "{why}: {ran}"
            );
        }
    }
}

#[test]
fn a_line_about_a_task_that_the_plan_does_not_have_is_refused_with_its_place() {
    for (line, why) in [
        (
            r#"{"ended":{"task":7,"at":1,"us":1,"status":"SUCCESS","code":0}}"#,
            "names the task 7",
        ),
        (
            r#"{"started":{"task":7,"at":1,"attempt":1}}"#,
            "names the task 7",
        ),
        (
            r#"{"ended":{"task":0,"at":1,"us":1,"status":"SUCCESS","code":0,"artifacts":[{"path":"artifacts/../x","bytes":1,"sha256":""}]}}"#,
            "not below `artifacts/`",
        ),
    ] {
        let machine = machine("tasks:\n- {id: a, cmd: 'true'}\n");
        assert_eq!(machine.run(&["plan", "run", "plan.yaml"]).code, Some(0));
        let runs = std::fs::read_dir(machine.root().join(".tos/runs")).unwrap();
        let folder = runs.flatten().next().unwrap().path();
        let log = std::fs::read_dir(&folder)
            .unwrap()
            .flatten()
            .map(|entry| entry.path());
        let log = log
            .into_iter()
            .find(|path| path.extension().is_some_and(|end| end == "jsonl"))
            .unwrap();
        let text = std::fs::read_to_string(&log).unwrap();
        let lines = text.lines().count();
        std::fs::write(&log, format!("{text}{line}\n")).unwrap();
        let ran = machine.run(&["plan", "status", "latest", "--json"]);
        assert_eq!(ran.code, Some(2), "{ran}");
        assert!(ran.stderr.contains(&format!("line {}", lines + 1)), "{ran}");
        assert!(ran.stderr.contains(why), "{ran}");
    }
}
