//! What the machine writes down and tells: numbers without gaps, waits, reasons, and the history the models get.

use super::*;
use crate::domain::model::ModelError;

fn failed(message: &str, trouble: ModelErrorKind) -> JobInput {
    JobInput::Failed(ModelError {
        trouble,
        message: message.into(),
        retry_after_ms: None,
        request_id: None,
    })
}

fn asking(attempts: u32, base: Duration) -> Bench {
    let mut rules = rules();
    rules.retry.attempts = attempts;
    rules.retry.base = base;
    let mut bench = Bench::new(rules);
    bench.start().tell(JobInput::SetAside(vec![]));
    bench
}

fn waits(bench: &Bench) -> Vec<Option<u64>> {
    let waits = bench.log.iter().filter_map(|event| {
        let EventKind::QueryFailed { wait_ms, .. } = &event.event else {
            return None;
        };
        Some(*wait_ms)
    });
    waits.collect()
}

#[test]
fn events_are_numbered_from_one_without_a_gap() {
    let mut bench = Bench::new(rules());
    bench
        .start()
        .step(&json!([{"type": "bash", "code": "echo ok"}]))
        .exit(0)
        .observed(true);
    let numbers: Vec<u64> = bench.log.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert!(numbers.len() > 5);
}

#[test]
fn what_was_noted_from_outside_is_an_event_and_a_reset_forgets_everything() {
    let mut bench = Bench::new(rules());
    let noted = bench.job.note(EventKind::PassageStarted, &at(7));
    assert_eq!(noted.len(), 1);
    assert_eq!((noted[0].seq, noted[0].at), (1, at(7).at));
    assert_eq!(bench.job.state().seq, 1);
    assert!(
        bench.job.note(EventKind::PassageStarted, &at(8)).len() == 1,
        "each is given out once"
    );
    bench.job.reset();
    assert_eq!(*bench.job.state(), JobLoopState::default());
}

#[test]
fn a_parked_job_goes_on_at_its_very_moment_and_not_before() {
    let parked = || {
        let mut bench = asking(1, Duration::ZERO);
        bench.tell(JobInput::Failed(ModelError {
            trouble: ModelErrorKind::RateLimited,
            message: "m".into(),
            retry_after_ms: Some(3_600_000),
            request_id: None,
        }));
        assert!(matches!(bench.outcome(), JobRunOutcome::Parked { .. }));
        bench
    };
    let mut early = parked();
    early.second += 3598;
    early.start();
    assert!(matches!(early.outcome(), JobRunOutcome::Parked { .. }));
    let mut due = parked();
    due.second += 3599;
    due.start();
    assert_eq!(due.query().role, ModelRole::Draft);
}

#[test]
fn a_wait_is_recorded_as_long_as_it_is_waited() {
    let mut bench = asking(2, Duration::from_secs(4));
    bench.tell(failed("m", ModelErrorKind::ServerError));
    let Some(JobEffect::Wait(wait)) = bench.effect else {
        panic!("{:?}", bench.effect);
    };
    assert!(wait > Duration::from_secs(2), "{wait:?}");
    assert_eq!(
        waits(&bench),
        [Some(u64::try_from(wait.as_millis()).unwrap())]
    );
    // Where nothing is to be waited for, the next question follows at once.
    let mut bench = asking(2, Duration::ZERO);
    bench.tell(failed("m", ModelErrorKind::ServerError));
    assert_eq!(waits(&bench), [Some(0)]);
    assert_eq!(bench.query().role, ModelRole::Draft);
}

#[test]
fn a_model_that_is_given_up_is_named_with_the_tries_it_had() {
    let reason = |bench: &Bench| bench.outcome().reason().to_owned();
    let mut once = asking(1, Duration::ZERO);
    once.tell(failed("no such model", ModelErrorKind::Rejected));
    assert!(
        reason(&once).ends_with("draft: API error: no such model"),
        "{}",
        reason(&once)
    );
    let mut again = asking(1, Duration::ZERO);
    again
        .tell(failed("down", ModelErrorKind::ServerError))
        .tell(failed(
            "openai API error: down",
            ModelErrorKind::ServerError,
        ));
    assert!(
        reason(&again).ends_with("draft: openai API error: down (after 2 tries)"),
        "{}",
        reason(&again)
    );
}

#[test]
fn models_are_told_what_became_of_a_step_that_did_not_reach_the_goal() {
    let mut bench = Bench::new(rules());
    bench
        .start()
        .step(&json!([{"type": "bash", "code": "echo ok"}]))
        .exit(0)
        .observed(false);
    let step = bench.job.state().closed.clone().unwrap();
    let item = history::step_history(&step);
    assert_eq!(item.summary, "did it");
    assert_eq!(history::step_summary(&step), "did it");
    assert_eq!((item.phase, item.reason), (StepOutcome::Execute, None));
    assert_eq!(item.missing, ["out/report.txt contains ok: seen"]);
    assert_eq!(item.commands[0].result, "exit 0");
}

#[test]
fn models_are_told_which_command_was_denied_and_which_was_only_not_reached() {
    let mut bench = Bench::new(rules());
    bench.start().step(&json!([
        {"type": "bash", "code": "echo ok"},
        {"type": "bash", "code": "forbidden"},
    ]));
    let step = bench.job.state().closed.clone().unwrap();
    let item = history::step_history(&step);
    let results: Vec<&str> = item
        .commands
        .iter()
        .map(|command| command.result.as_str())
        .collect();
    assert_eq!(results[0], "not run");
    assert!(
        results[1].starts_with("denied: ") && results[1].ends_with("; do not propose it again"),
        "{results:?}"
    );
    assert!(item.reason.is_some());
}
