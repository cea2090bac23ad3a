//! `--mode cleanrun`, `run` and `test` on the sample job, played from its recording.

use crate::sample;

#[test]
fn the_sample_shows_its_result_and_says_that_it_is_a_recording() {
    let machine = sample();
    insta::assert_snapshot!(machine.run(&["--mode", "cleanrun"]), @r#"
    --- stdout
    Root $ROOT
    Mode cleanrun
    cleanup start
    cleanup done
      | total: 4850
      | average: 808.33
      | count: 6
    goal reached: workspace/results/result_v2.txt contains total: average: count: (all texts found)
    phase_state phase=done step=2 done=True
    job_loop enabled=True job_name=sample job_index=1 max_jobs=3 completed=False
    latest_step step_002.json total=2
    phase_summary exists stop_on_deny=False
    end_reason done (job 1/3 completed)
    summary saved logs/last_run_summary.json
    --- stderr
    REPLAY: ANTHROPIC_API_KEY and OPENAI_API_KEY not set, so no model is asked; the recorded replies of the sample job are played
    step 1: asking replay:sample for a draft
    step 1: asking replay:sample for a review
    step 1: asking replay:sample for the final
    step 1: deny bash: rmdir workspace/results; mkdir workspace/results; mkdir -p workspace/results && awk -F, 'NR > 1 { su …  (rule `results-stay`: `rmdir workspace/results` removes workspace/results)
    step 1: deny
    step 2: asking replay:sample for a draft
    step 2: asking replay:sample for a review
    step 2: asking replay:sample for the final
    step 2: allow bash: mkdir -p workspace/results && awk -F, 'NR > 1 { sum += $3; count++ } END { printf "total: %d\naverag …
    step 2: allow bash: cat workspace/results/result_v2.txt
    step 2: command 1: exit 0
    step 2: command 2: exit 0
    step 2: done
    --- exit 0
    "#);
}

#[test]
fn the_whole_loop_comes_to_its_end_and_is_verified_without_a_run() {
    let machine = sample();
    for _ in 0..3 {
        let ran = machine.run(&["--mode", "run"]);
        assert_eq!(ran.code, Some(0), "{ran}");
    }
    insta::assert_snapshot!(machine.run(&["--mode", "run"]), @r#"
    --- stdout
    Root $ROOT
    Mode run
    phase_state phase=job_loop_complete step=5 done=True
    job_loop_complete max_jobs(3) reached
    job_index 4
    job_result.json exists
    job_result_path_posix workspace/artifacts/job_result.json
    job_loop enabled=True job_name=sample job_index=4 max_jobs=3 completed=True
    latest_step step_005.json total=5
    phase_summary exists stop_on_deny=False
    end_reason job_loop_complete: max_jobs(3) reached
    summary saved logs/last_run_summary.json
    --- stderr
    REPLAY: ANTHROPIC_API_KEY and OPENAI_API_KEY not set, so no model is asked; the recorded replies of the sample job are played
    --- exit 0
    "#);
    insta::assert_snapshot!(machine.run(&["--mode", "test", "--verify-only"]), @r#"
    --- stdout
    Root $ROOT
    Mode test
    job_loop_complete: max_jobs(3) reached
    job_result.json exists
    job_loop enabled=True job_name=sample job_index=4 max_jobs=3 completed=True
    WARNING: job_payload_present=false
    WARNING: job_index (4) > max_jobs (3); the loop is complete
    test passed
    summary saved logs/last_run_summary.json
    --- exit 0
    "#);
    insta::assert_snapshot!(machine.run(&["status"]), @r#"
    --- stdout
    root      $ROOT
    phase     job_loop_complete: max_jobs(3) reached
    jobs      3 of 3 done
    steps     5
    spent     9299 tokens, cost unknown
    --- exit 0
    "#);
}

#[test]
fn json_is_one_document_on_stdout_and_everything_else_is_on_stderr() {
    let machine = sample();
    let ran = machine.run(&["--mode", "run", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["phase"], "done");
    assert_eq!(document["exit_code"], 0);
    assert!(ran.stderr.contains("REPLAY: "), "{ran}");
}

#[test]
fn a_wrong_configuration_is_told_before_anything_runs() {
    let machine = sample();
    machine.write("config/config_v0_3.json", "{\n  \"max_stepz\": 3\n}\n");
    insta::assert_snapshot!(machine.run(&["--mode", "run"]), @r#"
    --- stderr
    error: config error: config/config_v0_3.json:2:3: `max_stepz`: not a known key (nearest: `max_steps`); rename or remove it
    --- exit 2
    "#);
    assert!(!machine.root().join("logs/run.jsonl").exists());
}

#[test]
fn another_prompt_than_the_sample_is_never_played() {
    let machine = sample();
    let config = machine.read("config/config_v0_3.json");
    machine.write(
        "config/config_v0_3.json",
        config.replace("You settle", "You decide"),
    );
    insta::assert_snapshot!(machine.run(&["--mode", "run"]), @r#"
    --- stdout
    Root $ROOT
    Mode run
    --- stderr
    error: API error: ANTHROPIC_API_KEY and OPENAI_API_KEY not set; set them in the environment, or choose another `provider` for the roles under `models` (docs/models.md)
    --- exit 2
    "#);
}

/// A container that is entered without a session of its own shows session and group 0 to what runs in it.
#[test]
fn a_session_that_is_led_from_outside_the_pid_namespace_is_no_obstacle() {
    let machine = sample();
    let inside = |program: &std::ffi::OsStr, words: &[&str]| {
        let mut outer = std::process::Command::new("unshare");
        outer.args([
            "--user",
            "--map-root-user",
            "--pid",
            "--fork",
            "--mount-proc",
        ]);
        outer.arg(program).args(words).env_clear();
        for (name, value) in machine.tos(&[]).get_envs() {
            outer.env(name, value.unwrap());
        }
        outer
            .current_dir(machine.root())
            .stdin(std::process::Stdio::null());
        outer.output()
    };
    let able = inside("true".as_ref(), &[]).is_ok_and(|output| output.status.success());
    if !able {
        eprintln!("not shown: this machine makes no namespaces for this user");
        return;
    }
    let program = machine.tos(&[]).get_program().to_owned();
    let ran = machine.ran(&inside(&program, &["--mode", "cleanrun"]).unwrap());
    assert_eq!(ran.code, Some(0), "{ran}");
}
