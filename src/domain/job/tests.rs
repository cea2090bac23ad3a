//! The job machine, told what happens and watched for what it decides: no runtime, no clock, no files.

use serde_json::{Value, json};

use super::*;
use crate::domain::{
    command::Kind,
    model::{Finish, Role, Trouble, Usage},
    policy::Preset,
    process::{Captured, Exit},
    record,
    rules::{DoneCondition, JobLoop, OnUnknown, PerRole, PolicyRules, Retry},
    state::Fate,
};

fn rules() -> Rules {
    Rules {
        max_steps: 3,
        json_retry: 1,
        json_retry_prefix: "JSON only.".into(),
        retry: Retry {
            attempts: 1,
            base: Duration::ZERO,
            max_wait: Duration::from_secs(120),
        },
        command_timeout: Duration::from_secs(5),
        idle_timeout: None,
        require_approval: true,
        on_unknown: OnUnknown::Stop,
        templates: PerRole {
            draft: "D {step_num} {history_json} {job_payload_json}".into(),
            review: "R {draft_json}".into(),
            final_: "F {draft_json} {review_json}".into(),
        },
        deadlines: PerRole::default(),
        prices: PerRole::default(),
        budget: crate::domain::rules::Budget::default(),
        job_loop: Some(JobLoop {
            max_jobs: 2,
            name: "sample".into(),
        }),
        experimental: false,
        sprint: None,
        done: DoneCondition {
            all: vec![Check::Contains {
                file: "out/report.txt".into(),
                texts: vec!["ok".into()],
            }],
            fresh: true,
        },
        policy: PolicyRules {
            default_allow: true,
            stop_on_deny: true,
            deny_if_contains: vec!["forbidden".into()],
            deny_patterns: vec![],
            allow_types: vec![Kind::Bash, Kind::Powershell],
            preset: Preset::Original,
            rules: vec![],
            on_opaque: crate::domain::policy::Decision::Allow,
        },
        job_result: "job_result.json".into(),
    }
}

/// A machine on a bench, and the log it has written.
struct Bench {
    job: Job,
    log: Vec<Event>,
    effect: Option<Effect>,
    second: i64,
}

impl Bench {
    fn new(rules: Rules) -> Self {
        Self::with_state(State::default(), rules)
    }

    fn with_state(state: State, rules: Rules) -> Self {
        let policy = Policy::new(&rules.policy).unwrap();
        let setup = Setup {
            rules,
            policy,
            world: World::unattended("/root-of-the-job"),
            redactor: Redactor::new(["super-secret-value".to_owned()]),
            run: "r1".into(),
        };
        Self {
            job: Job::new(state, setup, at(0)),
            log: Vec::new(),
            effect: None,
            second: 0,
        }
    }

    /// Begins a run.
    fn start(&mut self) -> &mut Self {
        let facts = RunFacts {
            max_jobs: self.job.rules().job_loop.as_ref().map(|jobs| jobs.max_jobs),
            ..RunFacts::default()
        };
        self.tell(Input::Started(Box::new(facts)))
    }

    fn tell(&mut self, input: Input) -> &mut Self {
        self.second += 1;
        let reaction = self.job.handle(input, &at(self.second));
        self.log.extend(reaction.events);
        self.effect = Some(reaction.effect);
        self
    }

    /// Answers the open question with this object.
    fn reply(&mut self, object: &Value) -> &mut Self {
        self.say(&object.to_string())
    }

    fn say(&mut self, text: &str) -> &mut Self {
        assert!(
            matches!(self.effect, Some(Effect::Ask(_))),
            "{:?}",
            self.effect
        );
        self.tell(Input::Answered(Reply {
            text: text.into(),
            finish: Finish::Complete,
            provider: "fake".into(),
            model: "m".into(),
            usage: Usage {
                input: 10,
                output: 5,
                ..Usage::default()
            },
            request_id: None,
            elapsed_ms: 60_000,
        }))
    }

    /// Moves the goal files away and answers all three roles, up to the first command or the end.
    fn step(&mut self, commands: &Value) -> &mut Self {
        if matches!(self.effect, Some(Effect::SetAside { .. })) {
            self.tell(Input::SetAside(vec![]));
        }
        self.reply(&json!({"thought": "t", "commands": commands}))
            .reply(&json!({"review": "fine", "improved_commands": [], "approval": true}))
            .reply(&json!({"final_commands": commands, "summary": "did it"}))
    }

    fn exit(&mut self, code: i32) -> &mut Self {
        self.tell(Input::Ended(Ok(ended(Exit::Code { code }))))
    }

    fn observed(&mut self, met: bool) -> &mut Self {
        self.tell(Input::Observed(vec![Evidence {
            check: "out/report.txt contains ok".into(),
            met,
            seen: "seen".into(),
        }]))
    }

    fn outcome(&self) -> &Outcome {
        match &self.effect {
            Some(Effect::Finish(outcome)) => outcome,
            other => panic!("not finished: {other:?}"),
        }
    }

    fn query(&self) -> &Query {
        match &self.effect {
            Some(Effect::Ask(query)) => query,
            other => panic!("no query: {other:?}"),
        }
    }

    /// Comes back after a crash: only the log survives.
    fn crashed(&self, rules: Rules) -> Self {
        let mut state = State::default();
        for event in &self.log {
            let line = serde_json::to_string(event).unwrap();
            state.apply(&serde_json::from_str(&line).unwrap());
        }
        let mut bench = Self::with_state(state, rules);
        bench.log.clone_from(&self.log);
        bench.second = self.second;
        bench
    }

    /// Loses the log after the first event that `last` picks, and goes on from there.
    fn cut_after(&self, rules: Rules, last: fn(&EventKind) -> bool) -> Self {
        let at = self.log.iter().position(|event| last(&event.event));
        let mut bench = Self::new(rules.clone());
        bench.log = self.log[..=at.unwrap()].to_vec();
        bench.second = self.second;
        let mut bench = bench.crashed(rules);
        bench.start();
        bench
    }

    fn phases(&self) -> Vec<(u32, &'static str)> {
        let steps = self.job.state().steps.iter();
        steps.map(|line| (line.step, line.phase.as_str())).collect()
    }

    fn log_of(&self, step: u32) -> Value {
        let mut state = State::default();
        for event in &self.log {
            state.apply(event);
            if let (EventKind::StepEnded { .. }, Some(closed)) = (&event.event, &state.closed)
                && closed.number == step
            {
                return record::step_log(&state, closed);
            }
        }
        panic!("step {step} has not ended")
    }
}

fn at(second: i64) -> Moment {
    let time = chrono::DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap();
    Moment {
        at: time.fixed_offset(),
        chance: 0.5,
    }
}

fn ended(exit: Exit) -> End {
    End {
        exit,
        stdout: Captured {
            head: "the output".into(),
            bytes: 10,
            ..Captured::default()
        },
        stderr: Captured::default(),
        elapsed_ms: 60_000,
        leftovers: 0,
    }
}

fn bash(codes: &[&str]) -> Value {
    codes
        .iter()
        .map(|code| json!({"type": "bash", "code": code}))
        .collect()
}

fn failure(trouble: Trouble, retry_after_ms: Option<u64>) -> Input {
    Input::Failed(ModelFailure {
        trouble,
        message: "the provider said no".into(),
        retry_after_ms,
        request_id: None,
    })
}

#[test]
fn a_job_runs_to_its_goal_and_the_loop_to_its_end() {
    let mut bench = Bench::new(rules());
    bench.start().step(&bash(&["make"])).exit(0).observed(true);
    assert_eq!(
        bench.outcome(),
        &Outcome::Done {
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
    let aside = |job| Effect::SetAside {
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
    assert!(matches!(bench.effect, Some(Effect::Observe(_))));
    bench.observed(true);
    assert_eq!(bench.phases(), [(1, "done")]);
}

#[test]
fn w04_the_record_of_completion_gets_the_next_number() {
    let mut rules = rules();
    rules.job_loop = Some(JobLoop {
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
    rules.job_loop = Some(JobLoop {
        max_jobs: 12,
        name: "sample".into(),
    });
    let mut bench = Bench::new(rules);
    for _ in 0..12 {
        bench.start().step(&bash(&["make"])).exit(0).observed(true);
        assert!(matches!(bench.outcome(), Outcome::Done { .. }));
    }
    assert_eq!(bench.job.state().next_step, 13);
}

#[test]
fn w06_a_goal_reached_in_the_last_step_is_reached() {
    let mut rules = rules();
    rules.max_steps = 1;
    let mut bench = Bench::new(rules);
    bench.start().step(&bash(&["make"])).exit(0).observed(true);
    assert!(matches!(bench.outcome(), Outcome::Done { .. }));
}

#[test]
fn w06_after_max_steps_the_next_run_gives_the_job_another_passage() {
    let mut rules = rules();
    rules.max_steps = 1;
    let mut bench = Bench::new(rules);
    bench.start().step(&bash(&["make"])).exit(0).observed(false);
    assert_eq!(
        bench.outcome(),
        &Outcome::MaxSteps {
            reason: "max_steps_reached: 1".into()
        }
    );
    assert_eq!(bench.phases(), [(1, "execute"), (2, "max_steps_reached")]);
    bench.start().step(&bash(&["make"])).exit(0).observed(true);
    assert!(matches!(bench.outcome(), Outcome::Done { .. }));
    assert_eq!(bench.job.state().jobs_done, 1);
}

#[test]
fn w08_jobs_executed_counts_jobs_that_ran() {
    let mut state = State::default();
    state.apply(&Event {
        v: VERSION,
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
    assert!(matches!(bench.outcome(), Outcome::LoopComplete { .. }));
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
    larger.job_loop = Some(JobLoop {
        max_jobs: 3,
        name: "sample".into(),
    });
    let mut bench = bench.crashed(larger);
    bench.start().step(&bash(&["make"])).exit(0).observed(true);
    assert_eq!(bench.outcome().reason(), "done (job 3/3 completed)");
}

#[test]
fn w12_a_command_that_finished_is_never_run_again_after_a_crash() {
    let mut bench = Bench::new(rules());
    bench.start().step(&bash(&["one", "two"])).exit(0);
    assert!(matches!(bench.effect, Some(Effect::Run { index: 1, .. })));
    let mut again = bench.crashed(rules());
    again.start();
    // The second one had been announced: nobody knows what became of it.
    assert!(matches!(again.outcome(), Outcome::UnknownCommand { .. }));
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
        [Fate::Ended { .. }, Fate::Waiting]
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
        reason.contains("--on-unknown rerun") && reason.contains("`make`"),
        "{reason}"
    );
    let mut rerun = rules();
    rerun.on_unknown = OnUnknown::Rerun;
    let mut rerun = stopped.crashed(rerun);
    rerun.start();
    assert!(matches!(
        rerun.effect,
        Some(Effect::Run {
            step: 1,
            index: 0,
            ..
        })
    ));
    let mut skip = rules();
    skip.on_unknown = OnUnknown::Skip;
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
    bench.start().tell(Input::SetAside(vec![]));
    bench.reply(&json!({"commands": []}));
    assert_eq!(bench.query().role, Role::Review);
    let mut again = bench.crashed(rules());
    again.start();
    assert_eq!((again.query().role, again.query().turn), (Role::Review, 0));
}

#[test]
fn w15_w51_a_failed_step_keeps_its_replies_for_the_next_one() {
    let mut bench = Bench::new(rules());
    bench.start().tell(Input::SetAside(vec![]));
    bench.reply(&json!({"commands": [], "thought": "kept"}));
    bench.tell(failure(Trouble::Unauthorised, None));
    assert_eq!(
        bench.outcome().reason(),
        "fatal_error: review: API error: the provider said no"
    );
    let log = bench.log_of(1);
    assert_eq!(log["phase"], "fatal_error");
    assert!(log["draft_raw"].as_str().unwrap().contains("kept"));
    bench.start();
    assert_eq!(bench.query().role, Role::Review);
    assert!(bench.query().prompt.contains("kept"));
    assert_eq!(bench.job.state().job.as_ref().unwrap().passage_steps, 0);
}

#[test]
fn w22_a_command_of_another_type_is_refused_and_recorded() {
    let mut bench = Bench::new(rules());
    bench
        .start()
        .step(&json!([{"type": "python", "code": "print(1)"}]));
    assert!(matches!(bench.outcome(), Outcome::Denied { .. }));
    let log = bench.log_of(1);
    assert_eq!(log["execution"]["command_results"][0]["type"], "python");
    assert_eq!(log["execution"]["execution_summary"]["denied_count"], 1);
}

#[test]
fn w23_one_denied_command_stops_the_run_before_anything_of_the_step_runs() {
    let mut bench = Bench::new(rules());
    bench.start().step(&bash(&["one", "forbidden", "three"]));
    assert!(matches!(bench.outcome(), Outcome::Denied { .. }));
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
    assert!(matches!(bench.effect, Some(Effect::Run { index: 2, .. })));
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
fn w27_a_rejected_draft_does_not_run_and_the_next_step_knows_why() {
    let mut bench = Bench::new(rules());
    bench.start().tell(Input::SetAside(vec![]));
    bench.reply(&json!({"commands": bash(&["make"])}));
    bench.reply(&json!({"review": "too risky", "approval": false}));
    assert_eq!(bench.phases(), [(1, "review_rejected")]);
    assert!(bench.query().prompt.contains("too risky"));
    let mut lenient = rules();
    lenient.require_approval = false;
    let mut bench = Bench::new(lenient);
    bench.start().tell(Input::SetAside(vec![]));
    bench.reply(&json!({"commands": []}));
    bench.reply(&json!({"review": "too risky", "approval": false}));
    assert_eq!(bench.query().role, Role::Final);
}

#[test]
fn w31_w33_an_unusable_reply_is_asked_for_again_with_one_prefix() {
    let mut bench = Bench::new(rules());
    bench.start().tell(Input::SetAside(vec![]));
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
fn transport_failures_are_repeated_as_often_as_configured() {
    let mut bench = Bench::new(rules());
    bench.start().tell(Input::SetAside(vec![]));
    bench.tell(failure(Trouble::ServerError, None));
    assert_eq!(bench.query().role, Role::Draft);
    bench.tell(failure(Trouble::ServerError, None));
    assert!(matches!(bench.outcome(), Outcome::Fatal { .. }));
}

#[test]
fn a_long_quota_wait_parks_the_job_until_its_time() {
    let mut bench = Bench::new(rules());
    bench.start().tell(Input::SetAside(vec![]));
    bench.tell(failure(Trouble::RateLimited, Some(3_600_000)));
    assert!(matches!(bench.outcome(), Outcome::Parked { .. }));
    let before = bench.log.len();
    bench.start();
    assert!(matches!(bench.outcome(), Outcome::Parked { .. }));
    assert_eq!(
        bench.log.len(),
        before,
        "a run before its time leaves no trace"
    );
    bench.second += 3600;
    bench.start();
    assert_eq!((bench.query().role, bench.query().turn), (Role::Draft, 0));
    assert_eq!(bench.job.state().parked, None);
}

#[test]
fn a_clock_set_back_does_not_park_a_job_for_ever() {
    let mut bench = Bench::new(rules());
    bench.start().tell(Input::SetAside(vec![]));
    bench.tell(failure(Trouble::RateLimited, Some(3_600_000)));
    bench.second = -1000;
    bench.start();
    assert_eq!(bench.query().role, Role::Draft);
}

#[test]
fn a_reached_budget_pauses_the_job_and_a_raised_one_resumes_it() {
    let mut tight = rules();
    tight.budget.max_tokens = Some(30);
    let mut bench = Bench::new(tight.clone());
    bench.start().tell(Input::SetAside(vec![]));
    bench
        .reply(&json!({"commands": []}))
        .reply(&json!({"approval": true}));
    assert!(
        matches!(bench.outcome(), Outcome::OverBudget { .. }),
        "{:?}",
        bench.effect
    );
    let mut same = bench.crashed(tight);
    same.start();
    assert!(matches!(same.outcome(), Outcome::OverBudget { .. }));
    let mut raised = bench.crashed(rules());
    raised.start();
    assert_eq!(raised.query().role, Role::Final);
}

#[test]
fn a_budget_of_minutes_counts_calls_and_commands() {
    let mut tight = rules();
    tight.budget.max_minutes = Some(4.0);
    let mut bench = Bench::new(tight);
    bench.start().step(&bash(&["make"])).exit(0).observed(false);
    assert!(matches!(bench.outcome(), Outcome::OverBudget { .. }));
}

#[test]
fn a_cancelled_command_ends_the_step_and_the_run() {
    let mut bench = Bench::new(rules());
    bench.start().step(&bash(&["make"]));
    bench.tell(Input::Ended(Ok(ended(Exit::Cancelled))));
    assert!(matches!(bench.outcome(), Outcome::Cancelled { .. }));
    assert_eq!(bench.phases(), [(1, "cancelled")]);
    bench.start();
    assert!(bench.query().prompt.contains("cancelled"));
}

#[test]
fn cancelling_a_question_leaves_the_step_open_for_the_next_run() {
    let mut bench = Bench::new(rules());
    bench.start().tell(Input::SetAside(vec![]));
    bench.reply(&json!({"commands": []}));
    bench.tell(Input::Cancelled("cancelled".into()));
    assert_eq!(bench.phases(), []);
    bench.start();
    assert_eq!((bench.query().role, bench.query().turn), (Role::Review, 0));
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
    bench.tell(Input::Ended(Err(StartFailure {
        message: "no such shell".into(),
    })));
    assert_eq!(bench.outcome().reason(), "fatal_error: no such shell");
}

#[test]
fn secrets_leave_replies_and_prompts_before_anything_is_recorded() {
    let mut bench = Bench::new(rules());
    bench.start().step(&bash(&["echo super-secret-value"]));
    let log = serde_json::to_string(&bench.log).unwrap();
    assert!(!log.contains("super-secret-value"), "{log}");
    let Some(Effect::Run { command, .. }) = &bench.effect else {
        panic!("{:?}", bench.effect)
    };
    assert!(!command.text().contains("super-secret-value"));
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
        Stage::Open { index: 0 }
    );
    bench.exit(0);
    assert!(
        bench
            .log
            .iter()
            .any(|event| matches!(event.event, EventKind::CommandEnded { .. }))
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
    bench.start().tell(Input::SetAside(vec![]));
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
        Some(Effect::SetAside { job: 2, .. })
    ));
}

#[test]
fn a_crash_after_a_rejection_does_not_run_what_was_rejected() {
    let mut bench = Bench::new(rules());
    bench.start().tell(Input::SetAside(vec![]));
    bench
        .reply(&json!({"commands": []}))
        .reply(&json!({"review": "no", "improved_commands": [], "approval": false}));
    let again = bench.cut_after(rules(), |kind| {
        matches!(kind, EventKind::ReplyAccepted { role: Role::Review })
    });
    assert_eq!(again.phases(), [(1, "review_rejected")]);
    assert_eq!(again.query().role, Role::Draft);
}

#[test]
fn a_crash_gives_no_further_chance_to_a_model_that_had_its_chances() {
    let mut bench = Bench::new(rules());
    bench.start().tell(Input::SetAside(vec![]));
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
    bench.tell(Input::Ended(Ok(ended(Exit::Cancelled))));
    let again = bench.cut_after(rules(), |kind| {
        matches!(kind, EventKind::CommandEnded { .. })
    });
    assert_eq!(again.phases(), [(1, "cancelled")]);
    assert_eq!(again.query().role, Role::Draft);
}
