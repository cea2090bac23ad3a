//! `policy: enforce`: the wall, the redaction and the small environment around real tasks, and what tos itself must not
//! do for a task behind the wall.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::place::{Place, Seen, is_alive, pairs, signal, until};

/// Allows plain commands and asks for a wall that has to be proved.
const CONFIG: &str = r#"{"allow_types": ["exec", "sh"], "sandbox": {"level": "workspace"}}"#;

/// Returns a place with a configuration, and the plan enforced; nothing, with a word about it, where this machine has no
/// wall.
pub(crate) fn walled(tasks: &str) -> Option<Place> {
    let place = Place::with(&format!("policy: enforce\n{tasks}"));
    place.write("config/config_v0_3.json", CONFIG);
    place.write(
        "probe.yaml",
        "policy: enforce\ntasks:\n- {id: a, cmd: 'true'}\n",
    );
    let seen = place.tos(&["run", "probe.yaml", "--home", ".probe"]);
    if seen.err.contains("cannot be proved") {
        println!("skipped: this machine has no proved wall");
        return None;
    }
    assert_eq!(seen.code, 0, "{}", seen.err);
    Some(place)
}

fn log(place: &Place, id: &str) -> String {
    place
        .tos(&["logs", "latest", "--task", id, "--tail", "1000"])
        .out
}

fn fact(place: &Place, id: &str, key: &str) -> Value {
    place.state("latest")["tasks"][id][key].clone()
}

/// The temporary folder as a task sees it behind any wall.
const OWN: &str = "${TMPDIR:-/tmp}";

#[test]
fn the_tasks_of_a_run_have_one_temporary_folder_which_goes_with_it() {
    let Some(place) = walled(&format!(
        "tasks:\n- {{id: a, cmd: [sh, -c, 'echo left > {OWN}/kept']}}\n- {{id: b, depends_on: [a], cmd: [sh, -c, 'cat {OWN}/kept']}}\n",
    )) else {
        return;
    };
    assert_eq!(place.tos(&["run", "plan.yaml"]).code, 0);
    let said = log(&place, "b");
    assert!(said.contains("left"), "{said}");
    let rest = std::fs::read_dir(place.path().join(".tos/tmp"));
    let rest: Vec<_> = rest.into_iter().flatten().flatten().collect();
    assert!(rest.is_empty(), "{rest:?}");
    let again = place.tos(&["run", "plan.yaml"]);
    assert_eq!(again.code, 0, "{}", again.err);
}

#[test]
fn a_task_that_fills_the_temporary_folder_is_ended_and_the_next_run_finds_room() {
    let Some(place) = walled(&format!(
        "tasks:\n- {{id: a, cmd: [sh, -c, 'for n in 1 2 3 4 5 6 7 8; do head -c 4000000 /dev/zero > {OWN}/$n; done; sleep 600']}}\n",
    )) else {
        return;
    };
    let config = CONFIG.replace(r#""workspace""#, r#""workspace", "limits": {"disk_mb": 8}"#);
    place.write("config/config_v0_3.json", &config);
    let seen = place.tos(&["run", "plan.yaml"]);
    assert_eq!(seen.code, 3, "{}", seen.err);
    assert_eq!(fact(&place, "a", "status"), "FAILED");
    let message = fact(&place, "a", "message").to_string();
    assert!(message.contains("temporary folder of the run"), "{message}");
    place.write(
        "plan.yaml",
        format!("policy: enforce\ntasks:\n- {{id: a, cmd: [sh, -c, 'echo x > {OWN}/x']}}\n"),
    );
    assert_eq!(place.tos(&["run", "plan.yaml"]).code, 0);
}

#[test]
fn a_task_writes_in_the_working_directory_and_nowhere_else() {
    let Some(place) = walled(
        "tasks:\n- {id: a, cmd: [sh, attempts.sh, inside, .git/hook, .tos/x, config/x, logs/x, home/x, ../beside, plan.yaml]}\n",
    ) else {
        return;
    };
    for folder in [".git", "logs", "home/.ssh", ".ssh"] {
        std::fs::create_dir_all(place.path().join(folder)).unwrap();
    }
    place.write(".ssh/id", "the key");
    place.write(
        "attempts.sh",
        "for name in \"$@\"; do echo x > $name; done\ncat .ssh/id\ncat home/runs/*/plan.yaml\nls home/runs\ntrue\n",
    );
    let home = place.path().join("home");
    let seen = place.tos(&["run", "plan.yaml", "--home", home.to_str().unwrap()]);
    assert_eq!(seen.code, 0, "{}", seen.err);
    let there = |name: &str| place.path().join(name).exists();
    assert!(there("inside"));
    for name in [
        ".git/hook",
        ".tos/x",
        "config/x",
        "logs/x",
        "home/x",
        "../beside",
    ] {
        assert!(!there(name), "{name}");
    }
    let plan = place.read("plan.yaml");
    assert!(plan.starts_with("policy: enforce"), "{plan}");
    let said = place.read(&format!("home/runs/{}/logs/a.out.log", seen.run_id()));
    assert_eq!(
        said, "\n===== attempt 1 / 1 =====\n",
        "neither keys nor records are shown"
    );
    let state = place
        .tos(&["status", "latest", "--json", "--home", "home"])
        .out;
    let state: Value = serde_json::from_str(&state).unwrap();
    let sentence = state["confinement"].as_str().unwrap();
    let wall = state["tasks"]["a"]["confinement"].as_str().unwrap();
    assert_eq!(sentence, format!("sandbox `workspace` by {wall}"));
    assert_eq!(state["policy"], "enforce");
    let report = place.tos(&["report", "latest", "--home", "home"]).out;
    assert!(report.contains(&format!("| {wall} |")), "{report}");
    let classic = place.read(&format!("home/runs/{}/state.json", seen.run_id()));
    assert!(
        !classic.contains("confinement"),
        "state.json keeps orch's fields"
    );
}

#[test]
fn secrets_do_not_reach_the_logs_also_when_a_write_cuts_them() {
    let Some(place) = walled(
        r#"tasks:
- id: a
  cmd: [sh, -c, 'cat known; printf "correct-"; sleep 0.2; printf "horse-batt"; sleep 0.2; echo ery >&1; echo sk-0123456789abcdefABCDEF >&2; echo $OWN_TOKEN $FILE_TOKEN; echo "[$MY_TOKEN]"']
  env: {OWN_TOKEN: plan-own-value-1}
  env_file: vars
- {id: b, cmd: [echo, ghp_0123456789abcdefghijABCDEFGHIJ012345]}
- {id: c, shell: 'rm -rf /etc/ghp_0123456789abcdefghijABCDEFGHIJ012345'}
"#,
    ) else {
        return;
    };
    place.write("known", "correct-horse-battery\n");
    place.write("vars", "FILE_TOKEN=from-a-file-22\n");
    let mut command = place.command(&["run", "plan.yaml"]);
    let seen: Seen = command
        .env("MY_TOKEN", "correct-horse-battery")
        .output()
        .unwrap()
        .into();
    assert_eq!(seen.code, 3, "{}", seen.err);
    let run = format!(".tos/runs/{}", seen.run_id());
    let out = place.read(&format!("{run}/logs/a.out.log"));
    assert_eq!(
        out,
        "\n===== attempt 1 / 1 =====\n[redacted]\n[redacted]\n[redacted] [redacted]\n[]\n"
    );
    let err = place.read(&format!("{run}/logs/a.err.log"));
    assert_eq!(err, "\n===== attempt 1 / 1 =====\n[redacted]\n");
    let record = place.read(&format!("{run}/run.jsonl"));
    assert!(
        record.contains("policy_denied") && !record.contains("ghp_"),
        "{record}"
    );
    assert!(!seen.err.contains("ghp_"), "{}", seen.err);
    let state = place.read(&format!("{run}/state.json"));
    assert!(
        !state.contains("ghp_") && !state.contains("plan-own"),
        "{state}"
    );
}

#[test]
fn what_jailers_would_obey_reaches_the_task_alone() {
    let Some(place) = walled(
        "tasks:\n- {id: a, cmd: [/bin/echo, x], env: {LD_PRELOAD: ./nothing.so}}\n- {id: b, cmd: [hello], env: {PATH: './own:/usr/bin:/bin'}}\n",
    ) else {
        return;
    };
    let place = &place;
    for (name, text) in [
        ("own/hello", "#!/bin/sh\necho hello\n"),
        ("own/bwrap", "#!/bin/sh\ntouch escaped\n"),
    ] {
        let path = place.write(name, text);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path, mode).unwrap();
    }
    assert_eq!(place.tos(&["run", "plan.yaml"]).code, 0);
    let said = log(place, "a");
    assert_eq!(said.matches("cannot be preloaded").count(), 1, "{said}");
    assert!(log(place, "b").contains("\nhello\n"));
    assert!(!place.path().join("escaped").exists());
}

#[test]
fn input_reaches_a_confined_task_with_its_own_rights() {
    let Some(place) = walled(
        "tasks:\n- {id: text, cmd: cat, stdin: \"two\\nlines\\n\"}\n- {id: file, cmd: cat, stdin: {file: words}}\n- {id: key, cmd: cat, stdin: {file: .ssh/id}}\n- {id: none, cmd: cat}\n",
    ) else {
        return;
    };
    place.write("words", "of a file\n");
    place.write(".ssh/id", "the key\n");
    assert_eq!(place.tos(&["run", "plan.yaml"]).code, 3);
    let expected = [
        ("text", "SUCCESS"),
        ("file", "SUCCESS"),
        ("key", "FAILED"),
        ("none", "SUCCESS"),
    ];
    assert_eq!(place.statuses("latest"), pairs(&expected));
    assert!(log(&place, "text").contains("\ntwo\nlines\n"));
    assert!(log(&place, "file").contains("\nof a file\n"));
    assert!(!log(&place, "key").contains("the key"));
}

#[test]
fn tos_itself_is_not_used_to_get_around_the_wall() {
    let Some(place) = walled(
        r"artifacts_dir: kept
tasks:
- {id: collects, cmd: [ln, -s, ../beside, link], outputs: [words, ../beside/secret, /etc/hostname, link/secret, '.ssh/*']}
- {id: variables, cmd: 'true', env_file: ../beside/secret}
- {id: place, cmd: [touch, hooks], cwd: .git}
- {id: link, cmd: [touch, x], cwd: linked}
- {id: job, job: {root: other}}
- {id: own-job, job: {root: ., args: [--set, sandbox.level=off]}}
",
    ) else {
        return;
    };
    let beside = tempfile::tempdir().unwrap();
    std::fs::write(beside.path().join("secret"), "A=1\n").unwrap();
    let plan = place
        .read("plan.yaml")
        .replace("../beside", beside.path().to_str().unwrap());
    place.write("plan.yaml", plan);
    place.write("words", "w");
    place.write(".ssh/id", "the key");
    place.write(".git/config", "");
    place.write(
        "other/config/config_v0_3.json",
        r#"{"sandbox": {"level": "off"}}"#,
    );
    std::os::unix::fs::symlink(beside.path(), place.path().join("linked")).unwrap();
    let seen = place.tos(&["run", "plan.yaml"]);
    assert_eq!(seen.code, 3, "{}", seen.err);
    assert_eq!(
        fact(&place, "collects", "artifact_paths"),
        json!(["artifacts/collects/words"])
    );
    assert!(place.path().join("kept/collects/words").exists());
    for id in ["variables", "place", "link", "job", "own-job"] {
        let found = (
            fact(&place, id, "skip_reason"),
            fact(&place, id, "exit_code"),
        );
        assert_eq!(found, (json!("policy_denied"), json!(126)), "{id}");
    }
    for (dir, code) in [("../up", 2), (".git", 2), ("/tmp/x", 2), ("fine", 0)] {
        let plan =
            format!("policy: enforce\nartifacts_dir: {dir}\ntasks:\n- {{id: a, cmd: 'true'}}\n");
        place.write("other.yaml", plan);
        let seen = place.tos(&["run", "other.yaml"]);
        assert_eq!(seen.code, code, "{dir}: {}", seen.err);
    }
}

#[test]
fn a_confined_task_is_asked_to_end_and_ended_with_all_it_started() {
    let Some(place) = walled(
        "tasks:\n- {id: polite, cmd: [sh, -c, 'trap \"echo bye; exit 0\" TERM; sleep 31.25 & wait'], timeout_sec: 1}\n- {id: deaf, cmd: [sh, -c, 'trap \"\" TERM; sleep 32.25; sleep 32.25'], timeout_sec: 1}\n- {id: leaves, cmd: [sh, -c, 'setsid sleep 33.25 & echo done']}\n",
    ) else {
        return;
    };
    assert_eq!(place.tos(&["run", "plan.yaml"]).code, 3);
    let expected = [
        ("polite", "FAILED"),
        ("deaf", "FAILED"),
        ("leaves", "SUCCESS"),
    ];
    assert_eq!(place.statuses("latest"), pairs(&expected));
    assert_eq!(fact(&place, "polite", "timed_out"), true);
    assert!(log(&place, "polite").contains("\nbye\n"));
    assert!(log(&place, "leaves").contains("\ndone\n"));
    for marker in ["sleep 31.25", "sleep 32.25", "sleep 33.25"] {
        until(|| !is_alive(marker), &format!("{marker} is gone"));
    }
}

#[test]
fn nothing_confined_survives_its_runner_and_the_run_goes_on() {
    let Some(place) = walled(
        "tasks:\n- {id: a, cmd: [sh, -c, 'echo a >> done']}\n- {id: b, cmd: [sh, -c, 'touch began; [ -e second ] || sleep 34.25'], depends_on: [a]}\n",
    ) else {
        return;
    };
    let mut child = place.begin(&["run", "plan.yaml"]);
    place.wait_for("began");
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    until(|| !is_alive("sleep 34.25"), "the task died with its runner");
    assert_eq!(place.state("latest")["status"], "INTERRUPTED");
    place.write("second", "");
    assert_eq!(place.tos(&["resume", "latest"]).code, 0);
    assert_eq!(place.read("done"), "a\n");
    assert!(place.state("latest")["confinement"].is_string());
}

#[test]
fn a_flood_is_stored_whole_and_stops_nothing() {
    let Some(place) = walled(
        "tasks:\n- {id: a, cmd: [sh, -c, 'yes a-line-of-text | head -n 2000000; echo end']}\n- {id: b, cmd: 'true'}\n",
    ) else {
        return;
    };
    let seen = place.tos(&["run", "plan.yaml"]);
    assert_eq!(seen.code, 0, "{}", seen.err);
    let path = place
        .path()
        .join(format!(".tos/runs/{}/logs/a.out.log", seen.run_id()));
    let header = "\n===== attempt 1 / 1 =====\n".len() as u64;
    let wanted = header + 2_000_000 * "a-line-of-text\n".len() as u64 + "end\n".len() as u64;
    assert_eq!(std::fs::metadata(path).unwrap().len(), wanted);
}

#[test]
fn without_a_proved_wall_nothing_runs_unless_the_configuration_says_so() {
    let Some(place) = walled("tasks:\n- {id: a, cmd: [touch, made]}\n") else {
        return;
    };
    // The machine is made to have failed every trial, in the words in which it remembers them.
    let trials = place.read(".tos/sandbox-trials.json");
    let spoilt = |level: &str| {
        let text = trials.replace("\"holds\":true", "\"holds\":false");
        let runs = text.replacen("\"holds\":false", "\"holds\":true", 1);
        place.write(".tos/sandbox-trials.json", runs);
        let config = CONFIG.replace(r#"{"level": "workspace"}"#, level);
        place.write("config/config_v0_3.json", config);
        place.tos(&["run", "plan.yaml"])
    };
    let seen = spoilt(r#"{"level": "workspace"}"#);
    assert_eq!(seen.code, 2, "{}", seen.err);
    assert!(
        seen.err.contains("cannot be proved on this machine"),
        "{}",
        seen.err
    );
    assert!(!place.path().join(".tos/runs").exists() && !place.path().join("made").exists());
    let seen = spoilt(r#"{"level": "workspace", "allow_degraded": true}"#);
    assert_eq!(seen.code, 0, "{}", seen.err);
    assert!(seen.err.contains("is degraded, not proved"), "{}", seen.err);
    let state = place.state("latest");
    assert!(
        state["confinement"]
            .as_str()
            .unwrap()
            .contains("is degraded, not proved")
    );
    let seen = spoilt(r#"{"level": "auto"}"#);
    assert_eq!(seen.code, 0, "{}", seen.err);
    assert!(
        seen.err
            .contains("warning: no sandbox: commands have all rights of the user"),
        "{}",
        seen.err
    );
    assert_eq!(fact(&place, "a", "confinement"), "none");
    let seen = spoilt(r#"{"level": "off"}"#);
    assert_eq!(seen.code, 0, "{}", seen.err);
    assert_eq!(
        place.state("latest")["confinement"],
        "no sandbox: commands have all rights of the user"
    );
}

#[test]
fn without_a_wall_output_is_redacted_and_nothing_is_left_behind() {
    let place = Place::with(
        "policy: enforce\ntasks:\n- {id: a, cmd: [sh, -c, 'setsid sleep 35.25 & echo sk-0123456789abcdefABCDEF; cat'], stdin: text}\n- {id: b, cmd: cat, stdin: {file: ../x}}\n",
    );
    place.write(
        "config/config_v0_3.json",
        r#"{"allow_types": ["exec", "sh"], "sandbox": {"level": "off"}}"#,
    );
    let seen = place.tos(&["run", "plan.yaml"]);
    assert_eq!(seen.code, 3, "{}", seen.err);
    assert!(
        log(&place, "a").contains("\n[redacted]\ntext"),
        "{}",
        log(&place, "a")
    );
    assert!(!is_alive("sleep 35.25"));
    assert_eq!(fact(&place, "b", "skip_reason"), "policy_denied");
}

#[test]
fn a_plan_from_a_model_is_enforced_whatever_it_leaves_out() {
    let task = "tasks:\n- {id: a, cmd: [touch, made]}\n";
    let place = Place::with(&format!("origin: model\n{task}"));
    place.write(
        "config/config_v0_3.json",
        r#"{"allow_types": ["exec"], "deny_patterns": ["touch"]}"#,
    );
    let denied = |words: &[&str]| {
        let seen = place.tos(words);
        assert_eq!(seen.code, 3, "{}", seen.err);
        assert_eq!(fact(&place, "a", "skip_reason"), "policy_denied");
        assert!(!place.path().join("made").exists());
    };
    denied(&["run", "plan.yaml"]);
    denied(&["resume", "latest"]);
    place.write("part.yaml", format!("origin: model\n{task}"));
    place.write(
        "plan.yaml",
        "include: part.yaml\ntasks:\n- {id: b, cmd: [echo]}\n",
    );
    denied(&["run", "plan.yaml"]);
    place.write("plan.yaml", task);
    denied(&["run", "plan.yaml", "--enforce"]);
    denied(&["resume", "latest"]);
    for (head, wanted) in [
        (
            "origin: model\npolicy: off\n",
            "plan.yaml:2:9: field `policy`",
        ),
        ("origin: nobody\n", "must be `person` or `model`"),
    ] {
        place.write("plan.yaml", format!("{head}{task}"));
        let seen = place.tos(&["run", "plan.yaml"]);
        assert!(seen.code == 2 && seen.err.contains(wanted), "{}", seen.err);
    }
    place.write("plan.yaml", format!("origin: person\n{task}"));
    assert_eq!(place.tos(&["run", "plan.yaml"]).code, 0);
    until(
        || place.path().join("made").exists(),
        "the plan of a person runs as written",
    );
}

#[test]
fn a_task_is_judged_with_its_directory_its_variables_and_its_input() {
    let place = Place::with(
        r#"policy: enforce
tasks:
- {id: input, cmd: [sh], stdin: "rm -rf /etc/x\n"}
- {id: loader, cmd: 'true', env: {LD_PRELOAD: ./x.so}}
- {id: shell, shell: 'rm -rf hooks', cwd: dot/git, env: {A: "it's"}}
- {id: upwards, cmd: [rm, -rf, ../built], cwd: sub}
- {id: fine, cmd: [cat], stdin: "rm -rf /etc/x\n", cwd: sub}
"#,
    );
    place.write(
        "config/config_v0_3.json",
        r#"{"allow_types": ["exec", "sh"], "sandbox": {"level": "off"}, "execution_policy": {"rules": [
            {"name": "hooks", "decision": "deny", "deletes": ["dot/git/**"], "reason": "not these"}]}}"#,
    );
    for file in ["built/x", "sub/x", "dot/git/hooks/x"] {
        place.write(file, "");
    }
    let seen = place.tos(&["run", "plan.yaml"]);
    assert_eq!(seen.code, 3, "{}", seen.err);
    let expected = [
        ("input", "FAILED"),
        ("loader", "FAILED"),
        ("shell", "FAILED"),
        ("upwards", "SUCCESS"),
        ("fine", "SUCCESS"),
    ];
    assert_eq!(place.statuses("latest"), pairs(&expected), "{}", seen.err);
    assert!(place.path().join("dot/git/hooks/x").exists());
    assert!(!place.path().join("built").exists());
}
