//! What plans can say beyond the older schema.

use serde_json::json;

use crate::place::{Place, pairs};

#[test]
fn conditions_resources_matrices_and_handlers_work_together() {
    let place = Place::with(
        r#"
resources: {db: 1}
params: {who: world, count: {type: integer, default: 2}}
tasks:
- {id: a, shell: "echo ${{ params.who }}-${{ params.count }}; exit 3", allow_failure: true}
- {id: right, cmd: "true", depends_on: [a], when: 'exit_code("a") == 3'}
- {id: wrong, cmd: "true", depends_on: [a], when: 'succeeded("a")'}
- {id: after-wrong, cmd: "true", depends_on: [wrong]}
- id: m
  matrix: {os: [linux, mac], n: [1, 2]}
  cmd: [echo, "${{ matrix.os }}/${{ matrix.n }}"]
  resources: [db]
- {id: all, cmd: "true", depends_on: [m]}
on_failure:
- {id: alarm, cmd: [touch, alarmed]}
"#,
    );
    let seen = place.tos(&["run", "plan.yaml", "--param", "who=you"]);
    assert_eq!(seen.code, 0, "{}", seen.err);
    let expected = [
        ("a", "FAILED"),
        ("right", "SUCCESS"),
        ("wrong", "SKIPPED"),
        ("after-wrong", "SKIPPED"),
        ("m-linux-1", "SUCCESS"),
        ("m-linux-2", "SUCCESS"),
        ("m-mac-1", "SUCCESS"),
        ("m-mac-2", "SUCCESS"),
        ("all", "SUCCESS"),
        ("alarm", "SKIPPED"),
    ];
    assert_eq!(place.statuses("latest"), pairs(&expected));
    let state = place.state("latest");
    let reasons =
        ["wrong", "after-wrong", "alarm"].map(|id| state["tasks"][id]["skip_reason"].clone());
    assert_eq!(
        reasons,
        [
            json!("when_false"),
            json!("dependency_skipped"),
            json!("nothing_failed")
        ]
    );
    assert!(
        place
            .tos(&["logs", "latest", "--task", "a"])
            .out
            .contains("you-2")
    );
    assert!(
        place
            .tos(&["logs", "latest", "--task", "m-mac-2"])
            .out
            .contains("mac/2")
    );
    assert_eq!(
        place
            .tos(&["run", "plan.yaml", "--param", "count=many"])
            .code,
        2
    );
    assert_eq!(
        place.tos(&["run", "plan.yaml", "--param", "whom=x"]).code,
        2
    );
}

#[test]
fn handlers_run_after_a_failure_and_change_nothing_about_it() {
    let place = Place::with(
        "tasks:\n- {id: a, cmd: 'false'}\non_failure:\n- {id: alarm, cmd: [touch, alarmed]}\n- {id: second, cmd: [touch, second], depends_on: [alarm]}\n",
    );
    assert_eq!(place.tos(&["run", "plan.yaml", "--fail-fast"]).code, 3);
    assert!(place.path().join("alarmed").exists() && place.path().join("second").exists());
}

#[test]
fn what_succeeded_before_with_the_same_inputs_is_not_run_again() {
    let place = Place::with(
        "tasks:\n- id: a\n  cmd: [sh, -c, 'echo x >> runs; cat in > out']\n  cache: {inputs: [in]}\n  outputs: [out]\n",
    );
    place.write("in", "1");
    let runs = || place.read("runs").lines().count();
    for (text, remove, wanted) in [
        ("1", false, 1),
        ("1", false, 1),
        ("1", true, 1),
        ("2", false, 2),
        ("1", false, 2),
    ] {
        place.write("in", text);
        if remove {
            std::fs::remove_file(place.path().join("out")).unwrap();
        }
        assert_eq!(place.tos(&["run", "plan.yaml"]).code, 0);
        assert_eq!((runs(), place.read("out").as_str()), (wanted, text));
    }
    let state = place.state("latest");
    assert_eq!(state["tasks"]["a"]["cached"], true);
    assert_eq!(
        state["tasks"]["a"]["artifact_paths"],
        json!(["artifacts/a/out"])
    );
    assert!(place.tos(&["status", "latest"]).out.contains("CACHED"));
}

#[test]
fn environments_input_and_needed_files_are_as_said() {
    let place = Place::with(
        r#"
defaults: {env: {BASE: base}}
tasks:
- {id: env, cmd: [sh, -c, 'echo "$BASE $OWN $FILE $SECRET_HERE"'], env: {OWN: own}, env_file: vars, env_policy: minimal}
- {id: text, cmd: cat, stdin: "a text\n"}
- {id: file, cmd: cat, stdin: {file: vars}}
- {id: needs, cmd: "true", needs_files: [missing.txt]}
"#,
    );
    place.write("vars", "# c\nexport FILE='from file'\nOWN=lost\n");
    let mut command = place.command(&["run", "plan.yaml"]);
    assert_eq!(
        command
            .env("SECRET_HERE", "seen")
            .output()
            .unwrap()
            .status
            .code(),
        Some(3)
    );
    let log = |id: &str| place.tos(&["logs", "latest", "--task", id]).out;
    assert!(
        log("env").contains("\nbase own from file \n"),
        "{}",
        log("env")
    );
    assert!(log("text").contains("\na text\n"));
    assert!(log("file").contains("export FILE"));
    assert_eq!(
        place.state("latest")["tasks"]["needs"]["skip_reason"],
        "needs_files_missing"
    );
}

#[test]
fn plans_include_others_and_only_takes_a_part() {
    let place = Place::with(
        "include: parts/common.yaml\ntasks:\n- {id: a, cmd: [touch, a], depends_on: [common]}\n- {id: b, cmd: [touch, b]}\n",
    );
    place.write(
        "parts/common.yaml",
        "tasks:\n- {id: common, cmd: [touch, common]}\n",
    );
    assert_eq!(place.tos(&["run", "plan.yaml", "--only", "a"]).code, 0);
    let made = ["common", "a", "b"].map(|name| place.path().join(name).exists());
    assert_eq!(made, [true, true, false]);
    assert_eq!(place.tos(&["run", "plan.yaml", "--only", "zzz"]).code, 2);
    place.write("parts/common.yaml", "tasks:\n- {id: common, cmd: []}\n");
    let seen = place.tos(&["validate", "plan.yaml"]);
    assert!(seen.err.contains("parts/common.yaml:2:"), "{}", seen.err);
    place.write("parts/common.yaml", "include: ../plan.yaml\n");
    assert_eq!(place.tos(&["validate", "plan.yaml"]).code, 2);
}

#[test]
fn secrets_in_variables_are_not_in_the_state() {
    let place = Place::with(
        "tasks:\n- {id: a, cmd: [sh, -c, 'test ${#API_TOKEN} = 4'], env: {API_TOKEN: hush}}\n",
    );
    let run = place.tos(&["run", "plan.yaml"]).run_id();
    assert!(
        !place
            .read(&format!(".tos/runs/{run}/state.json"))
            .contains("hush")
    );
    assert_eq!(place.state(&run)["status"], "SUCCESS");
}

#[test]
fn an_enforced_policy_fails_what_it_forbids_and_runs_the_rest() {
    let place = Place::with(
        "policy: enforce\ntasks:\n- {id: bad, cmd: [sh, -c, 'touch was-here; echo forbidden-word']}\n- {id: after, cmd: 'true', depends_on: [bad]}\n- {id: good, cmd: [sh, -c, '[ -z $SOME_KEY ] && touch good']}\n",
    );
    place.write(
        "config/config_v0_3.json",
        r#"{"execution_policy": {"default_action": "allow", "deny_if_contains": ["forbidden-word"]}, "allow_types": ["exec", "sh"]}"#,
    );
    let mut command = place.command(&["run", "plan.yaml"]);
    let ended = command.env("SOME_KEY", "secret").status().unwrap();
    assert_eq!(ended.code(), Some(3));
    assert_eq!(
        place.statuses("latest"),
        pairs(&[("bad", "FAILED"), ("after", "SKIPPED"), ("good", "SUCCESS")])
    );
    assert_eq!(
        place.state("latest")["tasks"]["bad"]["skip_reason"],
        "policy_denied"
    );
    assert!(!place.path().join("was-here").exists() && place.path().join("good").exists());
}
