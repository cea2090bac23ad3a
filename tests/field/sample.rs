//! Left-overs of the original: what its launcher says and writes, on the sample job.

use serde_json::Value;

use crate::environment::TestEnvironment;

fn sample() -> TestEnvironment {
    let machine = TestEnvironment::in_folder(tempfile::tempdir().unwrap());
    assert_eq!(machine.run(&["init", "--sample"]).code, Some(0));
    machine
}

fn json(machine: &TestEnvironment, file: &str) -> Value {
    serde_json::from_str(&machine.read(file)).unwrap()
}

/// Changes the configuration of the sample.
fn configure(machine: &TestEnvironment, from: &str, to: &str) {
    let config = machine.read("config/config_v0_3.json");
    assert!(config.contains(from), "{config}");
    machine.write("config/config_v0_3.json", config.replace(from, to));
}

#[test]
fn one_number_is_the_index_of_the_job_everywhere() {
    let machine = sample();
    for job in 1..=3 {
        let ran = machine.run(&["--mode", "test"]);
        assert_eq!(ran.code, Some(0), "{ran}");
        let lines: Vec<&str> = ran
            .stdout
            .lines()
            .filter(|line| line.starts_with("job_loop enabled"))
            .collect();
        assert_eq!(lines.len(), 2, "{ran}");
        for line in lines {
            assert!(line.contains(&format!(" job_index={job} ")), "{line}");
        }
        let summary = json(&machine, "logs/last_run_summary.json");
        assert_eq!(summary["job_loop"]["current_job_index"], job);
        assert!(
            machine
                .read("logs/last_run_summary.txt")
                .contains(&format!(" job_index={job} "))
        );
    }
}

#[test]
fn an_index_above_the_maximum_is_warned_about_also_at_the_healthy_end() {
    let machine = sample();
    for _ in 0..4 {
        assert_eq!(machine.run(&["--mode", "run"]).code, Some(0));
    }
    let warning = "WARNING: job_index (4) > max_jobs (3); the loop is complete";
    for words in [
        &["--mode", "test"][..],
        &["--mode", "test", "--verify-only"],
    ] {
        let ran = machine.run(words);
        assert_eq!(ran.code, Some(0), "{ran}");
        assert!(ran.stdout.lines().any(|line| line == warning), "{ran}");
        let summary = json(&machine, "logs/last_run_summary.json");
        let logged = summary["warnings"].as_array().unwrap();
        assert!(logged.iter().any(|line| line == warning), "{summary}");
        assert!(machine.read("logs/last_run_summary.txt").contains(warning));
    }
    // A maximum that was lowered below the stored index is no complete loop of that size.
    configure(&machine, "\"max_jobs\": 3", "\"max_jobs\": 2");
    let ran = machine.run(&["--mode", "test", "--verify-only"]);
    assert!(
        ran.stdout.contains("WARNING: job_index (4) > max_jobs (3)"),
        "{ran}"
    );
}

#[test]
fn a_test_after_the_end_of_the_loop_does_not_say_that_it_spends_a_job() {
    let machine = sample();
    let first = machine.run(&["--mode", "test"]);
    assert!(first.stdout.contains("spends a job"), "{first}");
    for _ in 0..3 {
        assert_eq!(machine.run(&["--mode", "run"]).code, Some(0));
    }
    let ran = machine.run(&["--mode", "test"]);
    assert!(ran.stdout.contains("spends no job"), "{ran}");
    assert!(!ran.stdout.contains("spends a job"), "{ran}");
}

#[test]
fn a_test_that_ends_in_an_error_has_failed_and_says_so() {
    let machine = sample();
    machine.write("config/config_v0_3.json", "{\"max_stepz\": 1}");
    let ran = machine.run(&["--mode", "test"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    assert!(
        ran.stdout.lines().any(|line| line == "test failed"),
        "{ran}"
    );
    assert!(
        !machine
            .run(&["--mode", "run"])
            .stdout
            .contains("test failed")
    );
}

#[test]
fn a_run_that_is_refused_for_a_missing_key_names_the_loop_as_it_is_configured() {
    let machine = sample();
    configure(&machine, "You settle", "You decide");
    let ran = machine.run(&["--mode", "run"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    let summary = json(&machine, "logs/last_run_summary.json");
    let jobs = &summary["job_loop"];
    assert_eq!(
        (&jobs["enabled"], &jobs["max_jobs"], &jobs["job_name"]),
        (&true.into(), &3.into(), &"sample".into())
    );
    assert_eq!(summary["phase"], "error");
}

#[test]
fn a_loop_that_is_off_is_shown_with_what_is_configured() {
    let machine = sample();
    configure(
        &machine,
        "\"job_loop\": {\n      \"enabled\": true",
        "\"job_loop\": {\n      \"enabled\": false",
    );
    let ran = machine.run(&["--mode", "run"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    for file in [
        "logs/last_run_summary.json",
        "workspace/artifacts/phase_summary.json",
    ] {
        let jobs = &json(&machine, file)["job_loop"];
        assert_eq!(
            (&jobs["enabled"], &jobs["max_jobs"], &jobs["job_name"]),
            (&false.into(), &3.into(), &"sample".into()),
            "{file}"
        );
    }
    assert_eq!(
        json(&machine, "logs/steps/step_001.json")["job_name"],
        "sample"
    );
}

#[test]
fn step_logs_of_a_state_that_was_taken_over_are_counted() {
    let machine = sample();
    for number in 1..=2 {
        machine.write(
            &format!("logs/steps/step_00{number}.json"),
            "{\"phase\": \"execute\"}",
        );
    }
    machine.write(
        "workspace/phase_state.json",
        "{\"current_phase\": \"execute\", \"job_index\": 1}",
    );
    let ran = machine.run(&["--mode", "run"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let summary = json(&machine, "workspace/artifacts/phase_summary.json");
    let there = std::fs::read_dir(machine.root().join("logs/steps"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "json"))
        .count();
    assert!(there > 2);
    assert_eq!(summary["total_steps"], there, "{summary}");
    assert!(machine.run(&["--mode", "run"]).code == Some(0));
}

#[test]
fn a_wrong_mode_shows_the_usage() {
    let machine = sample();
    let ran = machine.run(&["--mode", "rnu"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    assert!(
        ran.stderr
            .contains("Usage: tos --mode <run|test|cleanrun|checkpoint|rollback>"),
        "{ran}"
    );
}

#[test]
fn a_home_below_a_file_is_refused_also_by_a_dry_run() {
    let machine = sample();
    machine.write("plan.yaml", "tasks:\n- {id: a, cmd: 'true'}\n");
    machine.write("file", "");
    for home in ["file", "file/deep", "file/deep/er"] {
        let ran = machine.run(&["plan", "run", "plan.yaml", "--home", home, "--dry-run"]);
        assert_eq!(ran.code, Some(2), "{home}: {ran}");
        assert!(ran.stderr.contains("is not a directory"), "{ran}");
    }
    let help = machine.run(&["dod-check", "--help"]);
    assert!(help.stdout.contains("--skip-quality-gates"), "{help}");
}

#[test]
fn output_and_results_in_cp932_reach_the_model_and_the_done_condition() {
    let machine = TestEnvironment::in_folder(tempfile::tempdir().unwrap());
    // The model answers only if the first step's output came to it as text.
    machine.write(
        "model.sh",
        r#"prompt=$(cat)
case $1 in
draft) case $prompt in
  *step=1*) echo '{"commands": []}';;
  *ファイルが見つかりません*) echo '{"commands": []}';;
  *) exit 9;;
  esac;;
review) echo '{"approval": true}';;
final) case $prompt in
  *step=1*) echo '{"final_commands": [{"type": "sh", "code": "cat in.txt"}]}';;
  *) echo '{"final_commands": [{"type": "sh", "code": "cp goal.txt out/result.txt"}]}';;
  esac;;
esac"#,
    );
    let cp932 = |text: &str| encoding_rs::SHIFT_JIS.encode(text).0.into_owned();
    machine.write(
        "in.txt",
        cp932("ファイルが見つかりません。確認してください。\n"),
    );
    machine.write("goal.txt", cp932("合計: 3\n平均: 1\n"));
    machine.write("out/keep", "");
    let role =
        |role: &str| serde_json::json!({"provider": "command", "argv": ["sh", "model.sh", role]});
    let config = serde_json::json!({
        "workspace_dir": "workspace", "logs_dir": "logs", "max_steps": 3, "api_retry": 0,
        "sandbox": {"level": "off"}, "allow_types": ["sh"],
        "execution_policy": {"default_action": "allow"},
        "draft_prompt_template": "step={step_num} {history_json}",
        "final_prompt_template": "step={step_num}",
        "models": {"draft": role("draft"), "review": role("review"), "final": role("final")},
        "done_condition": {"all": [{"file": "out/result.txt", "contains": ["合計:", "平均:"]}]},
    });
    machine.write("config/config_v0_3.json", config.to_string());
    let ran = machine.run(&["--mode", "run"]);
    assert_eq!(
        ran.code,
        Some(0),
        "{ran}\n{}",
        machine.read("logs/last_run_summary.json")
    );
    let log = json(&machine, "logs/steps/step_001.json");
    let shown = log.to_string();
    assert!(shown.contains("ファイルが見つかりません"), "{shown}");
    let kept = machine.root().join("logs/steps/step_001/01.stdout");
    assert_eq!(
        std::fs::read(kept).unwrap(),
        cp932("ファイルが見つかりません。確認してください。\n")
    );
}
