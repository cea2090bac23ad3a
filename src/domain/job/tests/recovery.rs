//! Going on after a crash: what is never done twice, and what somebody has to decide.

use super::*;

#[test]
fn w12_a_command_that_finished_is_never_run_again_after_a_crash() {
    let mut bench = Bench::new(rules());
    bench.start().step(&bash(&["one", "two"])).exit(0);
    assert!(matches!(
        bench.effect,
        Some(JobEffect::Run { index: 1, .. })
    ));
    let mut again = bench.crashed(rules());
    again.start();
    // The second one had been announced: nobody knows what became of it.
    assert!(matches!(
        again.outcome(),
        JobRunOutcome::UnknownCommand { .. }
    ));
    let results = &again
        .job
        .state()
        .job
        .as_ref()
        .unwrap()
        .step
        .as_ref()
        .unwrap()
        .results;
    assert!(matches!(
        results.as_slice(),
        [
            CommandDisposition::Ended { .. },
            CommandDisposition::Waiting
        ]
    ));
}

#[test]
fn an_unknown_command_stops_the_run_until_somebody_decides() {
    let mut bench = Bench::new(rules());
    bench.start().step(&bash(&["make"]));
    let mut stopped = bench.crashed(rules());
    stopped.start();
    let reason = stopped.outcome().reason().to_owned();
    assert!(
        reason.contains("--after-crash rerun") && reason.contains("`make`"),
        "{reason}"
    );
    let mut rerun = rules();
    rerun.on_unknown = AfterCrash::Rerun;
    let mut rerun = stopped.crashed(rerun);
    rerun.start();
    assert!(matches!(
        rerun.effect,
        Some(JobEffect::Run {
            step: 1,
            index: 0,
            ..
        })
    ));
    let mut skip = rules();
    skip.on_unknown = AfterCrash::Skip;
    let mut skip = stopped.crashed(skip);
    skip.start().observed(false);
    assert!(
        skip.query().prompt.contains("its end is unknown"),
        "{}",
        skip.query().prompt
    );
}

#[test]
fn a_reply_that_arrived_is_never_bought_again() {
    let mut bench = Bench::new(rules());
    bench.start().tell(JobInput::SetAside(vec![]));
    bench.reply(&json!({"commands": []}));
    assert_eq!(bench.query().role, ModelRole::Review);
    let mut again = bench.crashed(rules());
    again.start();
    assert_eq!(
        (again.query().role, again.query().turn),
        (ModelRole::Review, 0)
    );
}

#[test]
fn every_prefix_of_a_log_is_a_state_one_can_go_on_from() {
    let mut bench = Bench::new(rules());
    bench
        .start()
        .step(&bash(&["one", "two"]))
        .exit(0)
        .exit(1)
        .observed(false);
    bench.step(&bash(&["one"])).exit(0).observed(true);
    bench.start().tell(JobInput::SetAside(vec![]));
    for cut in 0..=bench.log.len() {
        let mut prefix = Bench::new(rules());
        prefix.log = bench.log[..cut].to_vec();
        let mut again = prefix.crashed(rules());
        again.second = 1000;
        again.start();
        assert!(again.effect.is_some());
        let steps = &again.job.state().steps;
        assert!(
            steps.windows(2).all(|pair| pair[0].step < pair[1].step),
            "numbers only grow"
        );
        assert!(again.job.state().job_index > again.job.state().jobs_done);
    }
}

#[test]
fn w13_a_goal_that_was_reached_before_a_crash_ends_the_job_once() {
    let mut bench = Bench::new(rules());
    bench.start().step(&bash(&["make"])).exit(0).observed(true);
    let again = bench.cut_after(rules(), |kind| matches!(kind, EventKind::StepEnded { .. }));
    assert_eq!(again.outcome(), bench.outcome());
    assert_eq!(again.job.state().jobs_done, 1);
    let later = bench.cut_after(rules(), |kind| matches!(kind, EventKind::JobEnded { .. }));
    assert_eq!(later.job.state().jobs_done, 1);
    assert!(matches!(
        later.effect,
        Some(JobEffect::SetAside { job: 2, .. })
    ));
}

#[test]
fn a_crash_after_a_rejection_does_not_run_what_was_rejected() {
    let mut bench = Bench::new(rules());
    bench.start().tell(JobInput::SetAside(vec![]));
    bench
        .reply(&json!({"commands": []}))
        .reply(&json!({"review": "no", "improved_commands": [], "approval": false}));
    let again = bench.cut_after(rules(), |kind| {
        matches!(
            kind,
            EventKind::ReplyAccepted {
                role: ModelRole::Review
            }
        )
    });
    assert_eq!(again.phases(), [(1, "review_rejected")]);
    assert_eq!(again.query().role, ModelRole::Draft);
}

#[test]
fn a_crash_gives_no_further_chance_to_a_model_that_had_its_chances() {
    let mut bench = Bench::new(rules());
    bench.start().tell(JobInput::SetAside(vec![]));
    bench.say("no").say("no");
    let log = bench.log.len();
    assert_eq!(bench.phases(), [(1, "fatal_error")]);
    bench.log.truncate(log - 2);
    let mut again = bench.crashed(rules());
    again.start();
    assert_eq!(again.phases(), [(1, "fatal_error")]);
}

#[test]
fn a_crash_after_a_cancelled_command_runs_nothing_else_of_its_step() {
    let mut bench = Bench::new(rules());
    bench.start().step(&bash(&["one", "two"]));
    bench.tell(JobInput::Ended(Ok(ended(ExitStatus::Cancelled))));
    let again = bench.cut_after(rules(), |kind| {
        matches!(kind, EventKind::CommandEnded { .. })
    });
    assert_eq!(again.phases(), [(1, "cancelled")]);
    assert_eq!(again.query().role, ModelRole::Draft);
}
