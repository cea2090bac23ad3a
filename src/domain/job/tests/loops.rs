//! The life of jobs: goals, the loop, what one run may spend on a job.

use super::*;

#[test]
fn a_job_runs_to_its_goal_and_the_loop_to_its_end() {
    let mut bench = Bench::new(rules());
    bench.start().step(&bash(&["make"])).exit(0).observed(true);
    assert_eq!(
        bench.outcome(),
        &JobRunOutcome::Done {
            reason: "done (job 1/2 completed)".into()
        }
    );
    bench.start().step(&bash(&["make"])).exit(0).observed(true);
    assert_eq!(bench.outcome().reason(), "done (job 2/2 completed)");
    bench.start();
    assert_eq!(
        bench.outcome().reason(),
        "job_loop_complete: max_jobs(2)に到達"
    );
    assert_eq!(
        bench.phases(),
        [(1, "done"), (2, "done"), (3, "job_loop_complete")]
    );
    assert_eq!(bench.job.state().jobs_done, 2);
}

#[test]
fn w02_every_job_starts_without_the_results_of_the_one_before() {
    let mut bench = Bench::new(rules());
    bench.start();
    let aside = |job| JobEffect::SetAside {
        job,
        files: vec!["out/report.txt".into()],
    };
    assert_eq!(bench.effect, Some(aside(1)));
    bench.step(&bash(&["make"])).exit(0).observed(true).start();
    assert_eq!(bench.effect, Some(aside(2)));
}

#[test]
fn without_fresh_a_goal_that_holds_needs_no_step_and_no_model() {
    let mut rules = rules();
    rules.done.fresh = false;
    let mut bench = Bench::new(rules);
    bench.start();
    assert!(matches!(bench.effect, Some(JobEffect::Observe(_))));
    bench.observed(true);
    assert_eq!(bench.phases(), [(1, "done")]);
}

#[test]
fn w04_the_record_of_completion_gets_the_next_number() {
    let mut rules = rules();
    rules.job_loop = Some(JobSeriesConfig {
        max_jobs: 1,
        name: "sample".into(),
    });
    let mut bench = Bench::new(rules);
    bench
        .start()
        .step(&bash(&["make"]))
        .exit(0)
        .observed(true)
        .start();
    assert_eq!(bench.phases(), [(1, "done"), (2, "job_loop_complete")]);
}

#[test]
fn w05_max_steps_counts_the_steps_of_one_job_not_file_numbers() {
    let mut rules = rules();
    rules.max_steps = 1;
    rules.job_loop = Some(JobSeriesConfig {
        max_jobs: 12,
        name: "sample".into(),
    });
    let mut bench = Bench::new(rules);
    for _ in 0..12 {
        bench.start().step(&bash(&["make"])).exit(0).observed(true);
        assert!(matches!(bench.outcome(), JobRunOutcome::Done { .. }));
    }
    assert_eq!(bench.job.state().next_step, 13);
}

#[test]
fn w06_a_goal_reached_in_the_last_step_is_reached() {
    let mut rules = rules();
    rules.max_steps = 1;
    let mut bench = Bench::new(rules);
    bench.start().step(&bash(&["make"])).exit(0).observed(true);
    assert!(matches!(bench.outcome(), JobRunOutcome::Done { .. }));
}

#[test]
fn w06_after_max_steps_the_next_run_gives_the_job_another_passage() {
    let mut rules = rules();
    rules.max_steps = 1;
    let mut bench = Bench::new(rules);
    bench.start().step(&bash(&["make"])).exit(0).observed(false);
    assert_eq!(
        bench.outcome(),
        &JobRunOutcome::MaxSteps {
            reason: "max_steps_reached: 1".into()
        }
    );
    assert_eq!(bench.phases(), [(1, "execute"), (2, "max_steps_reached")]);
    bench.start().step(&bash(&["make"])).exit(0).observed(true);
    assert!(matches!(bench.outcome(), JobRunOutcome::Done { .. }));
    assert_eq!(bench.job.state().jobs_done, 1);
}

#[test]
fn w08_jobs_executed_counts_jobs_that_ran() {
    let mut state = JobLoopState::default();
    state.apply(&RunLogEvent {
        v: RUN_LOG_VERSION,
        seq: 1,
        at: at(0).at,
        run: "r0".into(),
        event: EventKind::RunStarted {
            facts: Box::default(),
        },
    });
    state.job_index = 3;
    let mut bench = Bench::with_state(state, rules());
    bench.start();
    assert!(matches!(
        bench.outcome(),
        JobRunOutcome::LoopComplete { .. }
    ));
    let result = record::job_result(bench.job.state()).unwrap();
    assert_eq!(result["jobs_executed"], 0);
}

#[test]
fn w11_a_complete_loop_is_recorded_once_and_goes_on_when_it_grows() {
    let mut bench = Bench::new(rules());
    for _ in 0..2 {
        bench.start().step(&bash(&["make"])).exit(0).observed(true);
    }
    bench.start();
    let result = record::job_result(bench.job.state());
    bench.start();
    assert_eq!(record::job_result(bench.job.state()), result);
    assert_eq!(bench.phases().len(), 3);
    let mut larger = rules();
    larger.job_loop = Some(JobSeriesConfig {
        max_jobs: 3,
        name: "sample".into(),
    });
    let mut bench = bench.crashed(larger);
    bench.start().step(&bash(&["make"])).exit(0).observed(true);
    assert_eq!(bench.outcome().reason(), "done (job 3/3 completed)");
}

/// Returns rules under which a run may take many steps and denials do not end it.
fn patient() -> JobRules {
    let mut rules = rules();
    rules.max_steps = 20;
    rules.policy.stop_on_deny = false;
    rules
}

/// Makes one step.
type Repeat = fn(&mut Bench);

#[test]
fn three_equal_steps_end_a_run_whatever_keeps_them_from_success() {
    let refused = |bench: &mut Bench| {
        bench.step(&bash(&["forbidden"]));
    };
    let failed = |bench: &mut Bench| {
        bench.step(&bash(&["make"])).exit(2).observed(false);
    };
    let empty = |bench: &mut Bench| {
        bench.step(&bash(&[])).observed(false);
    };
    let same = |bench: &mut Bench| {
        bench.step(&bash(&["make"])).exit(0).observed(false);
    };
    let rejected = |bench: &mut Bench| {
        if matches!(bench.effect, Some(JobEffect::SetAside { .. })) {
            bench.tell(JobInput::SetAside(vec![]));
        }
        bench.reply(&json!({"commands": bash(&["make"])}));
        bench.reply(&json!({"review": "no", "approval": false}));
    };
    let kinds: [(&str, Repeat); 5] = [
        ("deny", refused),
        ("out/report.txt", failed),
        ("no command was proposed", empty),
        ("out/report.txt", same),
        ("review_rejected", rejected),
    ];
    for (words, step) in kinds {
        let mut bench = Bench::new(patient());
        bench.start();
        for _ in 0..3 {
            step(&mut bench);
        }
        let JobRunOutcome::NoProgress { reason } = bench.outcome() else {
            panic!("{words}: {:?}", bench.outcome());
        };
        assert!(
            reason.starts_with("no_progress: the last 3 steps"),
            "{reason}"
        );
        assert!(reason.contains(words), "{words}: {reason}");
        // The next run has as many tries again, also after a crash.
        let mut again = bench.crashed(patient());
        again.start();
        step(&mut again);
        assert!(matches!(again.effect, Some(JobEffect::Ask(_))));
    }
}

#[test]
fn steps_that_differ_and_a_limit_of_none_go_on() {
    let mut bench = Bench::new(patient());
    bench.start();
    for code in [2, 3, 2, 3, 2] {
        bench.step(&bash(&["make"])).exit(code).observed(false);
    }
    assert!(matches!(bench.effect, Some(JobEffect::Ask(_))));
    let mut rules = patient();
    rules.no_progress_limit = None;
    let mut bench = Bench::new(rules);
    bench.start();
    for _ in 0..6 {
        bench.step(&bash(&["make"])).exit(2).observed(false);
    }
    assert!(matches!(bench.effect, Some(JobEffect::Ask(_))));
}

/// Ends the command that runs with a status, having printed this.
fn prints(bench: &mut Bench, code: i32, text: &str) {
    let mut end = ended(ExitStatus::Code { code });
    end.stdout.head = text.into();
    bench.tell(JobInput::Ended(Ok(end)));
}

#[test]
fn a_step_that_succeeds_goes_on_for_as_long_as_it_shows_something_new() {
    let mut bench = Bench::new(patient());
    bench.start();
    for percent in ["10 %", "20 %", "30 %", "40 %", "50 %"] {
        bench.step(&bash(&["poll"]));
        prints(&mut bench, 0, percent);
        bench.observed(false);
    }
    assert!(matches!(bench.effect, Some(JobEffect::Ask(_))));
}

#[test]
fn what_a_step_prints_does_not_count_where_one_of_its_commands_failed() {
    for codes in [[2, 0], [0, 2], [2, 2]] {
        let mut bench = Bench::new(patient());
        bench.start();
        for time in ["at 10:01", "at 10:02", "at 10:03"] {
            bench.step(&bash(&["first", "second"]));
            for code in codes {
                prints(&mut bench, code, time);
            }
            bench.observed(false);
        }
        assert!(
            matches!(bench.outcome(), JobRunOutcome::NoProgress { .. }),
            "{codes:?}"
        );
    }
}
