//! Line 7 and the plans of 12: reasons, names and documents.

use crate::Story;

const PLAN: &str = "goal: demo
tasks:
- {id: slow, cmd: [sleep, '30'], timeout_sec: 0.2}
- {id: after, cmd: [echo, hi], depends_on: [slow]}
- {id: last, cmd: [echo, hi], depends_on: [after]}
- {id: flaky, cmd: [sh, -c, exit 3], allow_failure: true, depends_on: [gone]}
- {id: gone, cmd: [no-such-program], allow_failure: true}
- {id: build, cmd: [echo, '${{ matrix.os }}'], matrix: {os: [linux, mac]}}
max_parallel: 1
";
const ALLOWED: &str = "tasks:\n- {id: flaky, cmd: [sh, -c, exit 3], allow_failure: true}\n- {id: good, cmd: [echo, hi], depends_on: [flaky]}\nmax_parallel: 1\n";

#[test]
fn a_run_names_the_reason_of_everything_that_did_not_succeed() {
    let mut story = Story::new().file("plan.yaml", PLAN);
    story.tells(&["plan", "run", "plan.yaml"]);
    story.tells(&["plan", "status"]);
    story.tells(&["plan", "report"]);
    let seen = story.does(&["plan", "status", "--json"]);
    let seen: serde_json::Value = serde_json::from_str(&seen.stdout).unwrap();
    assert_eq!(seen["tasks"]["after"]["why"], "needs slow, which timed out");
    // What programs read stays as it was.
    assert_eq!(
        seen["tasks"]["after"]["skip_reason"],
        "dependency_not_success"
    );
    story.is("b07_reasons");
}

#[test]
fn a_success_beside_a_failed_task_says_so() {
    let mut story = Story::new().file("plan.yaml", ALLOWED);
    story.tells(&["plan", "run", "plan.yaml"]);
    story.tells(&["plan", "status"]);
    story.is("b07_allowed");
}

#[test]
fn a_matrix_is_named_by_its_task_and_a_slip_by_its_neighbour() {
    let mut story = Story::new().file("plan.yaml", PLAN);
    story.tells(&["plan", "run", "plan.yaml", "--only", "build"]);
    story.tells(&["plan", "logs", "--task", "build"]);
    story.tells(&["plan", "retry", "--task", "build"]);
    story.tells(&["plan", "logs", "--task", "biuld-mac"]);
    story.is("b07_matrix");
}

#[test]
fn a_plan_comes_from_standard_input() {
    let mut story = Story::new();
    story.tells_of(&["plan", "run", "-"], ALLOWED);
    story.tells_of(&["plan", "validate", "-"], "tasks:\n- {id: a, cdm: [x]}\n");
    story.tells_of(&["plan", "validate", "-", "--param", "x=1"], "tasks: 3\n");
    story.is("b07_stdin");
}

#[test]
fn every_answer_about_plans_is_one_document() {
    let story = Story::new().file("plan.yaml", ALLOWED);
    story.does(&["plan", "run", "plan.yaml"]);
    for words in [
        &["plan", "graph", "plan.yaml"][..],
        &["plan", "validate", "plan.yaml"],
        &["plan", "run", "plan.yaml", "--dry-run"],
        &["plan", "list"],
        &["plan", "status"],
        &["plan", "logs"],
        &["plan", "report"],
        &["plan", "report", "--html"],
        &["plan", "gc"],
        &["--version"],
        &["help"],
        &["help", "policy"],
        &["status"],
    ] {
        let mut all = words.to_vec();
        all.push("--json");
        let ran = story.does(&all);
        let read: Result<serde_json::Value, _> = serde_json::from_str(&ran.stdout);
        assert!(read.is_ok(), "{words:?}: {ran}");
    }
}

#[test]
fn a_damaged_run_says_what_can_be_done() {
    let mut story = Story::new().file("plan.yaml", ALLOWED);
    story.does(&["plan", "run", "plan.yaml"]);
    let runs = story.machine.root().join(".tos/runs");
    let run = std::fs::read_dir(runs).unwrap().next().unwrap().unwrap();
    std::fs::write(run.path().join("run.jsonl"), "nonsense\n").unwrap();
    story.tells(&["plan", "status"]);
    story.tells(&["plan", "list"]);
    story.tells(&["plan", "resume"]);
    story.is("b12_damaged");
}
