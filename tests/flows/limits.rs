//! Waits that park a job, ceilings that pause it, and commands whose end nobody knows.

use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use serde_json::json;
use tos::{
    domain::{
        command::Command,
        job::{
            event::{EventKind, RunLogEvent},
            outcome::JobRunOutcome,
            rules::{AfterCrash, JobBudget},
            state::JobLoopState,
        },
    },
    ports::{
        BoxFuture,
        approvals::{ApprovalAnswer, Approvals},
        model::Model,
        store::Store,
    },
    services::job::{event_bus::EventReporter, recovery, run},
};

use crate::{
    fakes::{FakeModel, FakePerson},
    mortal::{Death, Mortal},
    server::Answer,
    stage::{Stage, folder, layout},
    story,
};

/// Says once that it has to be left alone for ten minutes, and then tells the story.
fn busy_at_first() -> Arc<FakeModel> {
    let asked = std::sync::atomic::AtomicBool::new(false);
    FakeModel::new(move |prompt| {
        if asked.swap(true, std::sync::atomic::Ordering::SeqCst) {
            return story::answer(prompt);
        }
        Answer::Status(429, vec![("retry-after", "600".into())], json!({}))
    })
}

#[test]
fn a_long_wait_parks_the_job_and_a_run_before_its_time_asks_nobody() {
    let folder = folder();
    let model = busy_at_first();
    let stage = Stage::new(folder.path(), Arc::clone(&model) as Arc<dyn Model>);
    for seconds in [0, 300, 299] {
        stage.clock.move_by(seconds);
        let passage = stage.again();
        assert!(
            matches!(passage.outcome, JobRunOutcome::Parked { .. }),
            "{:?}",
            passage.outcome
        );
        assert_eq!((model.calls(), passage.notes), (1, Vec::<String>::new()));
    }
    stage.clock.move_by(1);
    assert_eq!(stage.again().outcome.reason(), "done (job 1/3 completed)");
}

/// A person who answers yes, and counts the questions.
#[derive(Default)]
struct Asked(AtomicUsize);

impl Approvals for Asked {
    fn ask<'a>(
        &'a self,
        id: &'a str,
        command: &'a Command,
        reason: &'a str,
    ) -> BoxFuture<'a, ApprovalAnswer> {
        self.0.fetch_add(1, SeqCst);
        FakePerson(true).ask(id, command, reason)
    }
}

/// Keeps how many questions were asked whenever it is told of one.
struct Told(Arc<Asked>, Arc<Mutex<Vec<usize>>>);

impl EventReporter for Told {
    fn event(&mut self, event: &RunLogEvent, _state: &JobLoopState) {
        if matches!(event.event, EventKind::ApprovalAsked { .. }) {
            self.1.lock().unwrap().push(self.0.0.load(SeqCst));
        }
    }
}

#[test]
fn whoever_is_told_of_a_question_finds_it_asked() {
    let folder = folder();
    let mut stage = Stage::new(folder.path(), FakeModel::new(story::answer));
    let rule = json!({"name": "asked", "decision": "ask", "program": ["echo"]});
    stage.rules.policy.rules = vec![serde_json::from_value(rule).unwrap()];
    stage.attended = true;
    let (asked, told) = (Arc::<Asked>::default(), Arc::<Mutex<Vec<usize>>>::default());
    stage.approvals = Arc::clone(&asked) as Arc<dyn Approvals>;
    let (heard, kept) = (Arc::clone(&asked), Arc::clone(&told));
    stage.reporters = Box::new(move || vec![Box::new(Told(Arc::clone(&heard), Arc::clone(&kept)))]);
    drop(stage.again());
    let told = told.lock().unwrap();
    assert!(!told.is_empty());
    let numbers: Vec<usize> = (1..=told.len()).collect();
    assert_eq!(*told, numbers);
}

#[test]
fn with_wait_the_same_run_goes_on_when_the_time_has_come() {
    let folder = folder();
    let mut stage = Stage::new(folder.path(), busy_at_first());
    stage.wait = true;
    assert_eq!(stage.again().outcome.reason(), "done (job 1/3 completed)");
}

#[test]
fn a_clock_that_was_set_back_does_not_park_a_job_for_longer() {
    let folder = folder();
    let stage = Stage::new(folder.path(), busy_at_first());
    assert!(matches!(
        stage.again().outcome,
        JobRunOutcome::Parked { .. }
    ));
    stage.clock.move_by(-90_000);
    assert_eq!(stage.again().outcome.reason(), "done (job 1/3 completed)");
}

#[test]
fn a_reached_budget_pauses_and_a_raised_one_goes_on_where_it_stood() {
    let folder = folder();
    let model = FakeModel::new(story::answer);
    let mut stage = Stage::new(folder.path(), Arc::clone(&model) as Arc<dyn Model>);
    stage.rules.budget = JobBudget {
        max_tokens: Some(60),
        ..JobBudget::default()
    };
    for _ in 0..2 {
        let passage = stage.again();
        assert!(
            matches!(passage.outcome, JobRunOutcome::OverBudget { .. }),
            "{:?}",
            passage.outcome
        );
        assert_eq!(model.calls(), 4);
    }
    stage.rules.budget = JobBudget::default();
    assert_eq!(stage.again().outcome.reason(), "done (job 1/3 completed)");
    assert_eq!(model.calls(), 6);
}

/// A story that died right after its first command ran and before its end was written.
fn with_an_unknown_command(rule: AfterCrash) -> (tempfile::TempDir, Stage) {
    for at in 0.. {
        let folder = folder();
        let mut stage = Stage::new(folder.path(), FakeModel::new(story::answer));
        let store: Arc<dyn Store> =
            Arc::new(Mortal::new(layout(folder.path()), Death::Silence, at));
        assert!(stage.run(&store).is_err(), "the first command never ran");
        if stage.marks() == ["1.2.a"] {
            stage.rules.on_unknown = rule;
            return (folder, stage);
        }
    }
    unreachable!("the loop above has no end of its own")
}

#[test]
fn an_unknown_command_stops_the_run_until_somebody_decides_and_is_never_guessed_at() {
    let (_folder, mut stage) = with_an_unknown_command(AfterCrash::Stop);
    for _ in 0..2 {
        let passage = stage.again();
        let JobRunOutcome::UnknownCommand { reason } = &passage.outcome else {
            panic!("{:?}", passage.outcome);
        };
        assert!(reason.contains("command 1 of step 2"), "{reason}");
        assert_eq!(stage.marks(), ["1.2.a"]);
    }
    stage.rules.on_unknown = AfterCrash::Skip;
    assert_eq!(stage.again().outcome.reason(), "done (job 1/3 completed)");
    assert_eq!(stage.marks(), ["1.2.a", "1.2.b"]);
    let log = stage.log();
    let abandoned = |kind: &EventKind| matches!(kind, EventKind::CommandAbandoned { index: 0 });
    assert!(log.iter().any(|event| abandoned(&event.event)));
}

#[test]
fn an_unknown_command_runs_again_where_that_is_the_rule() {
    let (_folder, stage) = with_an_unknown_command(AfterCrash::Rerun);
    let passage = stage.again();
    assert_eq!(passage.outcome.reason(), "done (job 1/3 completed)");
    assert_eq!(
        passage.notes.last().map(String::as_str),
        Some("the last run was interrupted in command 1 of step 2; running it again")
    );
    assert_eq!(stage.marks(), ["1.2.a", "1.2.a", "1.2.b"]);
}

#[test]
fn looking_changes_no_job_and_asks_nobody() {
    let folder = folder();
    let model = FakeModel::new(story::answer);
    let stage = Stage::new(folder.path(), Arc::clone(&model) as Arc<dyn Model>);
    stage.again();
    let log = fs::read(layout(folder.path()).run_log()).unwrap();
    let calls = model.calls();
    let (state, disk, notes) = run::recover_read_only(stage.store().as_ref()).unwrap();
    assert_eq!(
        (state.job_index, disk.step_logs, notes),
        (2, vec![1, 2], vec![])
    );
    assert_eq!(model.calls(), calls);
    assert_eq!(fs::read(layout(folder.path()).run_log()).unwrap(), log);
}

#[test]
fn a_clean_start_that_dies_anywhere_is_finished_by_the_next_run() {
    for at in 0.. {
        let folder = folder();
        let mut stage = Stage::new(folder.path(), FakeModel::new(story::answer));
        stage.again();
        let first = fs::read(layout(folder.path()).run_log()).unwrap();
        stage.clean = true;
        let mortal: Arc<dyn Store> =
            Arc::new(Mortal::new(layout(folder.path()), Death::Silence, at));
        let before = stage.log().len();
        let survived = stage.run(&mortal).is_ok();
        // Whoever wants a clean start asks again for one that has not begun.
        let begun = |event: &RunLogEvent| matches!(event.event, EventKind::CleanStarted { .. });
        stage.clean = stage.log().len() == before && !stage.log().iter().any(begun);
        let recover = || recovery::recover(stage.store().as_ref()).unwrap().state;
        if stage.clean || recover().jobs_done == 0 {
            stage.again();
        }
        let state = recover();
        assert_eq!((state.jobs_done, state.steps.len()), (1, 2), "died at {at}");
        stage.again();
        stage.check_records(&stage.log());
        let archive = folder.path().join("logs/archive");
        let archives: Vec<_> = fs::read_dir(archive).unwrap().collect();
        let kept = archives.iter().any(|entry| {
            let folder = entry.as_ref().unwrap().path();
            let log = fs::read(folder.join("run.jsonl")).unwrap_or_default();
            log.starts_with(&first) && folder.join("steps/step_002.json").is_file()
        });
        assert!(kept, "died at {at}: the old records are not in one archive");
        if survived {
            assert!(at > 10, "there were only {at} points");
            return;
        }
    }
}
