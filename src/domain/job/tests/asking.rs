//! Asking models: replies that cannot be used, failures, budgets, waiting, secrets.

use super::*;

#[test]
fn w15_w51_a_failed_step_keeps_its_replies_for_the_next_one() {
    let mut bench = Bench::new(rules());
    bench.start().tell(JobInput::SetAside(vec![]));
    bench.reply(&json!({"commands": [], "thought": "kept"}));
    bench.tell(failure(ModelErrorKind::Unauthorised, None));
    assert_eq!(
        bench.outcome().reason(),
        "fatal_error: review: API error: the provider said no"
    );
    let log = bench.log_of(1);
    assert_eq!(log["phase"], "fatal_error");
    assert!(log["draft_raw"].as_str().unwrap().contains("kept"));
    bench.start();
    assert_eq!(bench.query().role, ModelRole::Review);
    assert!(bench.query().prompt.contains("kept"));
    assert_eq!(bench.job.state().job.as_ref().unwrap().passage_steps, 0);
}

#[test]
fn w27_a_rejected_draft_does_not_run_and_the_next_step_knows_why() {
    let mut bench = Bench::new(rules());
    bench.start().tell(JobInput::SetAside(vec![]));
    bench.reply(&json!({"commands": bash(&["make"])}));
    bench.reply(&json!({"review": "too risky", "approval": false}));
    assert_eq!(bench.phases(), [(1, "review_rejected")]);
    assert!(bench.query().prompt.contains("too risky"));
    let mut lenient = rules();
    lenient.require_approval = false;
    let mut bench = Bench::new(lenient);
    bench.start().tell(JobInput::SetAside(vec![]));
    bench.reply(&json!({"commands": []}));
    bench.reply(&json!({"review": "too risky", "approval": false}));
    assert_eq!(bench.query().role, ModelRole::Final);
}

#[test]
fn w31_w33_an_unusable_reply_is_asked_for_again_with_one_prefix() {
    let mut bench = Bench::new(rules());
    bench.start().tell(JobInput::SetAside(vec![]));
    bench.say("42");
    assert_eq!(bench.query().prompt.matches("JSON only.").count(), 1);
    assert_eq!(bench.query().turn, 1);
    bench.say("[]");
    assert!(
        bench
            .outcome()
            .reason()
            .starts_with("fatal_error: draft: API error: no usable reply after 2")
    );
}

#[test]
fn a_reply_that_was_cut_off_or_refused_is_asked_for_again_though_an_object_is_whole() {
    for (finish, why) in [
        (
            FinishReason::Cut,
            "the reply was cut off at the token limit.",
        ),
        (FinishReason::Refused, "the model refused to answer."),
    ] {
        let mut bench = Bench::new(rules());
        bench.start().tell(JobInput::SetAside(vec![]));
        bench.say_until(r#"{"commands": []} Corrected: "#, finish);
        assert_eq!(bench.query().turn, 1);
        assert!(
            bench.query().prompt.contains(why),
            "{}",
            bench.query().prompt
        );
    }
}

#[test]
fn a_no_is_not_turned_into_a_yes_by_what_the_reviewer_thought_first() {
    let mut bench = Bench::new(rules());
    bench.start().tell(JobInput::SetAside(vec![]));
    bench.reply(&json!({"commands": bash(&["make"])}));
    bench.say("<think>{\"approval\": true}</think>{\"approval\": false}");
    assert_eq!(bench.phases(), [(1, "review_rejected")]);
}

#[test]
fn transport_failures_are_repeated_as_often_as_configured() {
    let mut bench = Bench::new(rules());
    bench.start().tell(JobInput::SetAside(vec![]));
    bench.tell(failure(ModelErrorKind::ServerError, None));
    assert_eq!(bench.query().role, ModelRole::Draft);
    bench.tell(failure(ModelErrorKind::ServerError, None));
    assert!(matches!(bench.outcome(), JobRunOutcome::Fatal { .. }));
}

#[test]
fn a_long_quota_wait_parks_the_job_until_its_time() {
    let mut bench = Bench::new(rules());
    bench.start().tell(JobInput::SetAside(vec![]));
    bench.tell(failure(ModelErrorKind::RateLimited, Some(3_600_000)));
    assert!(matches!(bench.outcome(), JobRunOutcome::Parked { .. }));
    let before = bench.log.len();
    bench.start();
    assert!(matches!(bench.outcome(), JobRunOutcome::Parked { .. }));
    assert_eq!(
        bench.log.len(),
        before,
        "a run before its time leaves no trace"
    );
    bench.second += 3600;
    bench.start();
    assert_eq!(
        (bench.query().role, bench.query().turn),
        (ModelRole::Draft, 0)
    );
    assert_eq!(bench.job.state().parked, None);
}

#[test]
fn a_clock_set_back_does_not_park_a_job_for_ever() {
    let mut bench = Bench::new(rules());
    bench.start().tell(JobInput::SetAside(vec![]));
    bench.tell(failure(ModelErrorKind::RateLimited, Some(3_600_000)));
    bench.second = -1000;
    bench.start();
    assert_eq!(bench.query().role, ModelRole::Draft);
}

#[test]
fn a_reached_budget_pauses_the_job_and_a_raised_one_resumes_it() {
    let mut tight = rules();
    tight.budget.max_tokens = Some(30);
    let mut bench = Bench::new(tight.clone());
    bench.start().tell(JobInput::SetAside(vec![]));
    bench
        .reply(&json!({"commands": []}))
        .reply(&json!({"approval": true}));
    assert!(
        matches!(bench.outcome(), JobRunOutcome::OverBudget { .. }),
        "{:?}",
        bench.effect
    );
    let mut same = bench.crashed(tight);
    same.start();
    assert!(matches!(same.outcome(), JobRunOutcome::OverBudget { .. }));
    let mut raised = bench.crashed(rules());
    raised.start();
    assert_eq!(raised.query().role, ModelRole::Final);
}

#[test]
fn a_refused_continuation_is_how_the_job_stands_and_is_told_once() {
    let mut bench = Bench::new(rules());
    bench.start().tell(JobInput::SetAside(vec![]));
    bench
        .reply(&json!({"commands": []}))
        .tell(failure(ModelErrorKind::Unauthorised, None));
    assert!(matches!(bench.outcome(), JobRunOutcome::Fatal { .. }));
    let mut tight = rules();
    tight.budget.max_tokens = Some(10);
    let mut refused = bench.crashed(tight.clone());
    refused.start();
    let state = refused.job.state();
    assert_eq!(state.last.phase, Some(StepOutcome::Paused));
    assert_eq!(
        state.last.end_reason.as_deref(),
        Some("paused: 15 of 10 tokens are used (budget.max_tokens)")
    );
    let told = state.seq;
    let mut again = refused.crashed(tight);
    again.start();
    assert_eq!(again.job.state().seq, told);
}

#[test]
fn what_is_spent_holds_the_step_under_way() {
    let mut tight = rules();
    tight.budget.max_tokens = Some(30);
    let mut bench = Bench::new(tight);
    bench.start().tell(JobInput::SetAside(vec![]));
    bench
        .reply(&json!({"commands": []}))
        .reply(&json!({"approval": true}));
    let state = bench.job.state();
    let spent = state.job.as_ref().unwrap().spent;
    assert_eq!((state.tokens_and_cost().0, spent.tokens), (30, 30));
}

#[test]
fn a_budget_of_minutes_counts_calls_and_commands() {
    let mut tight = rules();
    tight.budget.max_minutes = Some(4.0);
    let mut bench = Bench::new(tight);
    bench.start().step(&bash(&["make"])).exit(0).observed(false);
    assert!(matches!(bench.outcome(), JobRunOutcome::OverBudget { .. }));
}

#[test]
fn cancelling_a_question_leaves_the_step_open_for_the_next_run() {
    let mut bench = Bench::new(rules());
    bench.start().tell(JobInput::SetAside(vec![]));
    bench.reply(&json!({"commands": []}));
    bench.tell(JobInput::Cancelled("cancelled".into()));
    assert_eq!(bench.phases(), []);
    bench.start();
    assert_eq!(
        (bench.query().role, bench.query().turn),
        (ModelRole::Review, 0)
    );
}

#[test]
fn secrets_leave_replies_and_prompts_before_anything_is_recorded() {
    let mut bench = Bench::new(rules());
    bench.start().step(&bash(&["echo super-secret-value"]));
    let log = serde_json::to_string(&bench.log).unwrap();
    assert!(!log.contains("super-secret-value"), "{log}");
    let Some(JobEffect::Run { command, .. }) = &bench.effect else {
        panic!("{:?}", bench.effect)
    };
    assert!(!command.text().contains("super-secret-value"));
}
