//! Questions to a person, what was used up, what was taken over: by number, so that nothing is asked or counted twice.

use super::*;
use crate::domain::{
    job::{
        event::ImportedState,
        state::{cost_words, tokens_and_cost},
    },
    model::ModelPrice,
    policy::{Decision, PolicyRule},
};

/// Somebody sits there, and is asked about every `make`.
fn attended() -> Bench {
    let mut rules = rules();
    rules.policy.rules = vec![PolicyRule {
        name: "ask-make".into(),
        decision: Decision::Ask,
        program: vec!["make".into()],
        ..PolicyRule::default()
    }];
    let mut bench = Bench::new(rules.clone());
    let setup = JobSetup {
        policy: Policy::new(&rules.policy).unwrap(),
        rules,
        world: PolicyContext {
            attended: true,
            ..PolicyContext::unattended("/root-of-the-job")
        },
        redactor: Redactor::new(Vec::new()),
        run: "r1".into(),
    };
    bench.job = JobMachine::new(JobLoopState::default(), setup, at(0));
    bench.start().step(&json!([
        {"type": "bash", "code": "echo ok"},
        {"type": "bash", "code": "make one"},
        {"type": "bash", "code": "make two"},
    ]));
    bench
}

fn asked(bench: &Bench) -> (&str, &str) {
    match &bench.effect {
        Some(JobEffect::RequestApproval { id, command, .. }) => (id, &command.code),
        other => panic!("nothing is asked: {other:?}"),
    }
}

fn decide(bench: &mut Bench, yes: bool) {
    bench.tell(JobInput::Approved {
        yes,
        by: "me".into(),
    });
}

#[test]
fn a_person_is_asked_about_each_command_once_and_before_anything_runs() {
    let mut bench = attended();
    assert_eq!(asked(&bench), ("1-2", "make one"));
    decide(&mut bench, true);
    assert_eq!(asked(&bench), ("1-3", "make two"));
    decide(&mut bench, true);
    for wanted in ["echo ok", "make one", "make two"] {
        let Some(JobEffect::Run { command, .. }) = &bench.effect else {
            panic!("{:?}", bench.effect);
        };
        assert_eq!(command.code, wanted);
        bench.exit(0);
    }
}

#[test]
fn a_no_is_a_denial_and_nothing_of_the_step_runs() {
    let mut bench = attended();
    decide(&mut bench, true);
    decide(&mut bench, false);
    assert!(matches!(bench.outcome(), JobRunOutcome::Denied { .. }));
    let ran = |event: &RunLogEvent| matches!(event.event, EventKind::CommandStarted { .. });
    assert!(!bench.log.iter().any(ran));
    let totals = bench.job.state().totals;
    assert_eq!((totals.denied, totals.executed), (1, 0));
}

#[test]
fn commands_are_counted_by_how_they_ended() {
    let mut bench = Bench::new(rules());
    bench.start().step(&json!([
        {"type": "bash", "code": "echo 1"},
        {"type": "bash", "code": "sleep 9"},
    ]));
    bench.exit(0);
    bench.tell(JobInput::Ended(Ok(ended(ExitStatus::TimedOut {
        after_ms: 5000,
    }))));
    bench.observed(false);
    let totals = bench.job.state().totals;
    assert_eq!(
        (
            totals.executed,
            totals.timeout,
            totals.failed,
            totals.denied
        ),
        (1, 1, 0, 0)
    );
}

#[test]
fn every_reply_is_paid_also_one_that_could_not_be_used() {
    let mut rules = rules();
    let price = ModelPrice {
        input_per_mtok: 100_000.0,
        output_per_mtok: 0.0,
        cached_input_per_mtok: None,
        cache_write_per_mtok: None,
    };
    rules.prices = PerRole {
        draft: Some(price),
        review: Some(price),
        final_: Some(price),
    };
    let commands = json!([{"type": "bash", "code": "echo ok"}]);
    let mut bench = Bench::new(rules);
    bench.start().tell(JobInput::SetAside(vec![]));
    bench.say("no json at all");
    bench.step(&commands).exit(0).observed(false);
    let state = bench.job.state();
    assert_eq!(
        (state.steps[0].tokens, state.steps[0].cost),
        (60, Some(4.0))
    );
    bench.step(&commands).exit(0).observed(false);
    let state = bench.job.state();
    assert_eq!(tokens_and_cost(&state.steps), (105, Some(7.0)));
    assert_eq!(
        tokens_and_cost(&[]).1.map(f64::to_bits),
        Some(0.0_f64.to_bits())
    );
    let spent = state.job.as_ref().unwrap().spent;
    assert_eq!((spent.tokens, spent.cost), (105, 7.0));
}

#[test]
fn what_a_model_without_a_price_costs_nobody_knows() {
    let mut rules = rules();
    let price = ModelPrice {
        input_per_mtok: 1.0,
        output_per_mtok: 1.0,
        cached_input_per_mtok: None,
        cache_write_per_mtok: None,
    };
    rules.prices = PerRole {
        draft: Some(price),
        review: None,
        final_: Some(price),
    };
    let mut bench = Bench::new(rules);
    bench.start().tell(JobInput::SetAside(vec![]));
    let commands = json!([{"type": "bash", "code": "echo ok"}]);
    bench.step(&commands).exit(0).observed(false);
    let state = bench.job.state();
    assert!(state.steps[0].tokens > 0);
    assert_eq!(state.steps[0].cost, None);
    assert_eq!(tokens_and_cost(&state.steps).1, None);
    assert_eq!(cost_words(None), "cost unknown");
    assert_eq!(cost_words(Some(0.5)), "cost 0.5000");
}

#[test]
fn what_an_older_layout_says_is_taken_over() {
    let mut bench = Bench::new(rules());
    bench.start().tell(JobInput::SetAside(vec![]));
    assert_eq!(bench.job.state().job.as_ref().unwrap().index, 1);
    let adopted = ImportedState {
        job_index: Some(3),
        next_step: 7,
        step_logs: 6,
        ..ImportedState::default()
    };
    let _events = bench.job.note(EventKind::StateAdopted { adopted }, &at(9));
    let state = bench.job.state();
    assert_eq!(
        (
            state.job_index,
            state.jobs_done,
            state.next_step,
            state.adopted_logs
        ),
        (3, 2, 7, 6)
    );
    assert_eq!(state.job, None, "an earlier job is over");
    let mut same = Bench::new(rules());
    same.start().tell(JobInput::SetAside(vec![]));
    let adopted = ImportedState {
        job_index: Some(1),
        ..ImportedState::default()
    };
    let _events = same.job.note(EventKind::StateAdopted { adopted }, &at(9));
    assert!(same.job.state().job.is_some());
}

#[test]
fn a_sprint_is_remembered_once_for_as_long_as_it_lasts() {
    let mut bench = Bench::new(rules());
    for sprint in ["S-6", "S-6", "S-7", "S-6"] {
        bench.tell(JobInput::Started(Box::new(RunSettingsRecord {
            sprint: Some(sprint.into()),
            ..RunSettingsRecord::default()
        })));
    }
    assert_eq!(bench.job.state().sprints, ["S-6", "S-7", "S-6"]);
}

#[test]
fn a_look_in_a_step_is_no_look_at_the_start_of_the_job() {
    let mut bench = Bench::new(rules());
    bench
        .start()
        .step(&json!([{"type": "bash", "code": "echo ok"}]))
        .exit(0)
        .observed(false);
    assert_eq!(bench.job.state().job.as_ref().unwrap().head, None);
}

#[test]
fn a_step_without_commands_has_an_empty_list_in_its_log() {
    let mut bench = Bench::new(rules());
    bench.start().step(&json!([]));
    bench.observed(false);
    let log = bench.log_of(1);
    assert_eq!(log["final_commands"], json!([]));
}
