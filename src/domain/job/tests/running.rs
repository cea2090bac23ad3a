//! Verdicts and commands: what runs, what does not, and what is said about it.

use super::*;

#[test]
fn w22_a_command_of_another_type_is_refused_and_recorded() {
    let mut bench = Bench::new(rules());
    bench
        .start()
        .step(&json!([{"type": "python", "code": "print(1)"}]));
    assert!(matches!(bench.outcome(), JobRunOutcome::Denied { .. }));
    let log = bench.log_of(1);
    assert_eq!(log["execution"]["command_results"][0]["type"], "python");
    assert_eq!(log["execution"]["execution_summary"]["denied_count"], 1);
}

#[test]
fn w23_one_denied_command_stops_the_run_before_anything_of_the_step_runs() {
    let mut bench = Bench::new(rules());
    bench.start().step(&bash(&["one", "forbidden", "three"]));
    assert!(matches!(bench.outcome(), JobRunOutcome::Denied { .. }));
    assert_eq!(bench.phases(), [(1, "deny")]);
    let log = bench.log_of(1);
    assert_eq!(log["stopped"], true);
    assert!(
        log["execution"]["command_results"]
            .as_array()
            .unwrap()
            .iter()
            .all(|r| r["executed"] == false)
    );
}

#[test]
fn without_stop_on_deny_the_allowed_commands_run() {
    let mut rules = rules();
    rules.policy.stop_on_deny = false;
    let mut bench = Bench::new(rules);
    bench
        .start()
        .step(&bash(&["one", "forbidden", "three"]))
        .exit(0);
    assert!(matches!(
        bench.effect,
        Some(JobEffect::Run { index: 2, .. })
    ));
    bench.exit(0).observed(true);
    let log = bench.log_of(1);
    assert_eq!(log["phase"], "done");
    assert_eq!(log["execution"]["execution_summary"]["executed_count"], 2);
}

#[test]
fn w24_w25_w26_the_history_tells_denials_exit_codes_and_outputs_also_after_a_crash() {
    let mut rules_ = rules();
    rules_.policy.stop_on_deny = false;
    let mut bench = Bench::new(rules_.clone());
    bench.start().step(&bash(&["forbidden"]));
    assert!(
        bench.query().prompt.contains("forbidden"),
        "{}",
        bench.query().prompt
    );
    bench.step(&bash(&["make"])).exit(3).observed(false);
    let prompt = bench.query().prompt.clone();
    assert!(
        prompt.contains("exit 3") && prompt.contains("the output"),
        "{prompt}"
    );
    let mut again = bench.crashed(rules_);
    again.start();
    assert_eq!(again.query().prompt, prompt);
}

#[test]
fn a_cancelled_command_ends_the_step_and_the_run() {
    let mut bench = Bench::new(rules());
    bench.start().step(&bash(&["make"]));
    bench.tell(JobInput::Ended(Ok(ended(ExitStatus::Cancelled))));
    assert!(matches!(bench.outcome(), JobRunOutcome::Cancelled { .. }));
    assert_eq!(bench.phases(), [(1, "cancelled")]);
    bench.start();
    assert!(bench.query().prompt.contains("cancelled"));
}

#[test]
fn a_command_that_cannot_start_is_fatal_and_one_that_fails_is_not() {
    let mut bench = Bench::new(rules());
    bench
        .start()
        .step(&bash(&["make"]))
        .exit(127)
        .observed(false);
    assert_eq!(bench.phases(), [(1, "execute")]);
    bench.step(&bash(&["make"]));
    bench.tell(JobInput::Ended(Err(StartFailure {
        message: "no such shell".into(),
    })));
    assert_eq!(bench.outcome().reason(), "fatal_error: no such shell");
}

#[test]
fn commands_are_announced_before_and_closed_after() {
    let mut bench = Bench::new(rules());
    bench.start().step(&bash(&["make"]));
    assert!(matches!(
        bench.log.last().unwrap().event,
        EventKind::CommandStarted { index: 0 }
    ));
    assert_eq!(
        bench
            .job
            .state()
            .job
            .as_ref()
            .unwrap()
            .step
            .as_ref()
            .unwrap()
            .stage,
        StepStage::Open { index: 0 }
    );
    bench.exit(0);
    assert!(
        bench
            .log
            .iter()
            .any(|event| matches!(event.event, EventKind::CommandEnded { .. }))
    );
}
