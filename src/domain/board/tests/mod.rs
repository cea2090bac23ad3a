//! Tests of the board: the seed's rules, one after the other.

mod operations;
mod planning;
mod restarts;
mod retries;
mod run_log;
mod session;
mod session_record;
mod workers;

use super::*;

const SECOND: Millis = 1000;

/// A board with its clock, and what came of the last input.
struct Bench {
    board: Board,
    now: Millis,
    effects: Vec<Effect>,
    events: Vec<Event>,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self {
            board: Board::default(),
            now: 1_700_000_000_000,
            effects: Vec::new(),
            events: Vec::new(),
        };
        bench.serve("a");
        bench.settle();
        bench
    }

    fn with(change: impl FnOnce(&mut BoardSettings)) -> Self {
        let mut bench = Self::new();
        let mut settings = bench.board.settings().clone();
        change(&mut settings);
        bench.tell(Input::Configure {
            settings: Box::new(settings),
        });
        bench.settle();
        bench
    }

    #[expect(clippy::needless_pass_by_value, reason = "a test tells something once")]
    fn try_tell(&mut self, input: Input) -> Result<BoardResponse, Refusal> {
        let decision = self.board.handle(&input, self.now)?;
        for event in &decision.events {
            let text = serde_json::to_string(event).unwrap();
            assert_eq!(
                serde_json::from_str::<Event>(&text).unwrap(),
                *event,
                "{text}"
            );
            self.board.apply(event);
        }
        self.events.extend(decision.events);
        self.effects.extend(decision.effects);
        Ok(decision.answer)
    }

    fn tell(&mut self, input: Input) -> BoardResponse {
        let words = format!("{input:?}");
        self.try_tell(input)
            .unwrap_or_else(|refusal| panic!("{words}: {refusal}"))
    }

    /// Does what is due, and lets every started process come up and every stopped one end.
    fn settle(&mut self) {
        loop {
            let due = Controller::ALL.into_iter().find(|part| {
                self.board
                    .next_wake_of(*part)
                    .is_some_and(|at| at <= self.now)
            });
            if let Some(part) = due {
                let before = self.events.len();
                self.tell(Input::Wake { part });
                assert!(
                    self.events.len() > before,
                    "{part:?} is due and has no step"
                );
                continue;
            }
            let at = self.effects.iter().position(|effect| {
                matches!(
                    effect,
                    Effect::StartProcess { .. } | Effect::StopProcess { .. }
                )
            });
            match at.map(|at| self.effects.remove(at)) {
                Some(Effect::StartProcess {
                    name, generation, ..
                }) => {
                    self.try_tell(Input::ProcessUp { name, generation }).ok();
                    self.board.note_alive(name, self.now);
                }
                Some(Effect::StopProcess { name, generation }) => {
                    let exit = ProcessExit {
                        ok: true,
                        detail: "ended".into(),
                    };
                    self.try_tell(Input::ProcessExited {
                        name,
                        generation,
                        exit,
                    })
                    .ok();
                }
                _ => break,
            }
        }
    }

    /// Lets a service begin that takes nothing over.
    fn serve(&mut self, instance: &str) {
        self.tell(Input::ServiceStarted {
            instance: instance.into(),
            adopt: std::collections::BTreeSet::new(),
        });
    }

    /// Lets a process end.
    fn exit(&mut self, name: ProcessName, ok: bool, detail: &str) {
        self.tell(Input::ProcessExited {
            name,
            generation: self.board.process(name).unwrap().generation,
            exit: ProcessExit {
                ok,
                detail: detail.into(),
            },
        });
    }

    fn wait(&mut self, millis: Millis) {
        self.now += millis;
        let names: Vec<ProcessName> = self.board.agents().map(|agent| agent.id).collect();
        for name in names {
            self.board.note_alive(name, self.now);
        }
        self.settle();
    }

    fn add(&mut self, spec: TaskSpec) -> TaskId {
        let spec = TaskSpec {
            title: "a task".into(),
            ..spec
        };
        let BoardResponse::Task { task, .. } = self.tell(Input::CreateTask {
            spec: Box::new(spec),
        }) else {
            panic!()
        };
        self.settle();
        task
    }

    fn task(&self, id: TaskId) -> &Task {
        self.board.task(id).unwrap()
    }

    fn run_of(&self, id: TaskId) -> Run {
        self.board.run(self.task(id).run.unwrap()).unwrap().clone()
    }

    fn finish(&mut self, id: TaskId, outcome: RunOutcome) {
        let run = self.run_of(id);
        self.tell(Input::FinishRun {
            run: run.id,
            fence: run.lease.fence,
            outcome,
            log: String::new(),
        });
        self.settle();
    }

    fn commit(&mut self, id: TaskId, commit: &str) {
        self.finish(id, RunOutcome::Committed { kept: kept(commit) });
    }

    fn fail(&mut self, id: TaskId, failure: FailureKind, signature: &str) {
        let outcome = RunOutcome::Failed {
            failure,
            reasons: vec!["it went wrong".into()],
            signature: signature.into(),
            kept: None,
        };
        self.finish(id, outcome);
    }

    fn judge(&mut self, id: TaskId, verdict: Verdict) {
        let judgement = self
            .board
            .judgement(self.task(id).judgement.unwrap())
            .unwrap()
            .clone();
        self.tell(Input::FinishJudgement {
            judgement: judgement.id,
            fence: judgement.lease.fence,
            verdict,
        });
        self.settle();
    }

    fn approve(&mut self, id: TaskId, base: &str, commit: &str) {
        self.judge(
            id,
            Verdict::Approve {
                base: base.into(),
                commit: commit.into(),
                notes: Vec::new(),
            },
        );
    }

    fn publish(&mut self, id: TaskId, outcome: MergeOutcome) {
        let merge = self
            .board
            .merge(self.task(id).merge.unwrap())
            .unwrap()
            .clone();
        self.tell(Input::FinishMerge {
            merge: merge.id,
            fence: merge.fence,
            outcome,
        });
        self.settle();
    }

    fn why(&self, id: TaskId) -> String {
        let why = self.board.why(id, self.now).unwrap();
        why.sentences
            .iter()
            .map(|sentence| sentence.text.clone())
            .collect::<Vec<_>>()
            .join("; ")
    }
}

fn kept(commit: &str) -> AttemptCommit {
    AttemptCommit {
        commit: commit.into(),
        reference: format!("refs/tos/attempts/{commit}"),
        base: "b".into(),
    }
}

fn on(paths: &[&str]) -> TaskSpec {
    TaskSpec {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        ..TaskSpec::default()
    }
}

fn after(tasks: &[TaskId]) -> TaskSpec {
    let dependencies = tasks
        .iter()
        .map(|task| Dependency {
            task: *task,
            on_fail: OnDependencyCancelled::Block,
        })
        .collect();
    TaskSpec {
        dependencies,
        ..TaskSpec::default()
    }
}

#[test]
fn a_task_goes_from_the_queue_to_the_branch() {
    let mut bench = Bench::new();
    let id = bench.add(TaskSpec::default());
    assert_eq!(bench.task(id).status, TaskStatus::Running);
    bench.commit(id, "c1");
    assert_eq!(bench.task(id).status_label(), "blocked (awaiting_judge)");
    bench.approve(id, "b", "m1");
    assert!(
        bench
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::Publish { .. }))
    );
    assert_ne!(bench.task(id).status, TaskStatus::Done);
    bench.publish(id, MergeOutcome::Merged);
    assert_eq!(bench.task(id).status, TaskStatus::Done);
    assert_eq!(bench.task(id).merged.as_deref(), Some("m1"));
}

#[test]
fn a_failed_task_shows_its_countdown_and_comes_back_exactly_then() {
    let mut bench = Bench::new();
    let id = bench.add(TaskSpec::default());
    let first = bench.run_of(id);
    bench.fail(id, FailureKind::Test, "x");
    assert_eq!(bench.task(id).status, TaskStatus::Failed);
    let countdown = bench.board.countdown(bench.task(id), bench.now).unwrap();
    assert_eq!(
        (countdown.in_ms, countdown.reason.as_str()),
        (Some(30 * SECOND), "cooldown_pending")
    );
    bench.wait(30 * SECOND - 1);
    assert_eq!(bench.task(id).status, TaskStatus::Failed);
    bench.wait(1);
    assert_eq!(bench.task(id).status, TaskStatus::Running);
    assert_eq!(bench.board.run(first.id).unwrap().status, RunStatus::Failed);
    assert_eq!(bench.task(id).lessons[0].reasons, ["it went wrong"]);
}

#[test]
fn retries_end_in_rework_and_rework_ends_with_a_person() {
    let mut bench = Bench::with(|settings| {
        settings.task_limit = SpendLimit::default();
        settings.cycle_max_failure_percent = 101;
    });
    let id = bench.add(TaskSpec::default());
    let mut rounds = 0;
    for number in 0.. {
        bench.fail(id, FailureKind::Test, &number.to_string());
        if bench.task(id).resolver == BlockResolver::Person {
            break;
        }
        rounds += 1;
        let at = bench.task(id).not_before.unwrap();
        bench.wait(at - bench.now);
    }
    // Three retries, then twice again after a rest for rework.
    assert_eq!(rounds, 11);
    assert_eq!(bench.task(id).block, Some(BlockReason::NeedsRework));
    bench.tell(Input::RequeueTask {
        task: id,
        note: "look at the log".into(),
        by: "eva".into(),
    });
    bench.settle();
    assert_eq!(bench.task(id).status, TaskStatus::Running);
    assert_eq!(
        bench.task(id).lessons.last().unwrap().reasons,
        ["look at the log"]
    );
}

#[test]
fn the_calls_of_a_task_are_limited() {
    let mut bench = Bench::with(|settings| settings.cycle_max_failure_percent = 101);
    let id = bench.add(TaskSpec::default());
    for number in 0.. {
        bench.fail(id, FailureKind::Flaky, &number.to_string());
        if bench.task(id).resolver == BlockResolver::Person {
            break;
        }
        let at = bench.task(id).not_before.unwrap();
        bench.wait(at - bench.now);
    }
    assert_eq!(bench.task(id).spent.calls, 12);
    assert!(
        bench.why(id).contains("12 of 12 calls"),
        "{}",
        bench.why(id)
    );
}

#[test]
fn the_same_failure_four_times_needs_rework() {
    let mut bench = Bench::new();
    let id = bench.add(TaskSpec::default());
    for _ in 0..3 {
        bench.fail(id, FailureKind::Flaky, "same");
        assert_eq!(bench.task(id).status, TaskStatus::Failed);
        bench.wait(30 * SECOND);
    }
    bench.fail(id, FailureKind::Flaky, "same");
    assert_eq!(bench.task(id).block, Some(BlockReason::NeedsRework));
}

#[test]
fn what_a_dead_worker_reports_is_refused() {
    let mut bench = Bench::new();
    let id = bench.add(TaskSpec::default());
    let old = bench.run_of(id);
    bench.now += 60 * SECOND;
    bench.board.note_alive(old.agent, bench.now);
    bench.settle();
    let new = bench.run_of(id);
    assert_ne!(old.id, new.id);
    let outcome = RunOutcome::Committed {
        kept: kept("zombie"),
    };
    for (run, fence) in [
        (old.id, old.lease.fence),
        (new.id, old.lease.fence),
        (old.id, new.lease.fence),
    ] {
        let refused = bench.try_tell(Input::FinishRun {
            run,
            fence,
            outcome: outcome.clone(),
            log: String::new(),
        });
        assert_eq!(refused.unwrap_err().code, RefusalCode::Stale);
    }
    bench.commit(id, "good");
    assert_eq!(bench.task(id).kept, Some(kept("good")));
    let twice = Input::FinishRun {
        run: new.id,
        fence: new.lease.fence,
        outcome,
        log: String::new(),
    };
    assert_eq!(bench.try_tell(twice).unwrap_err().code, RefusalCode::Stale);
}

#[test]
fn disjoint_areas_run_together_and_common_ones_do_not() {
    let mut bench = Bench::with(|settings| settings.workers = 8);
    let ids: Vec<TaskId> = ["a", "b", "c", "d"]
        .iter()
        .map(|name| bench.add(on(&[&format!("src/{name}/**")])))
        .collect();
    assert!(
        ids.iter()
            .all(|id| bench.task(*id).status == TaskStatus::Running)
    );
    let common = bench.add(on(&["src/a/x.rs"]));
    assert_eq!(bench.task(common).status, TaskStatus::Queued);
    assert!(
        bench
            .why(common)
            .contains("task-1 (running) may touch the same files"),
        "{}",
        bench.why(common)
    );
    // What waits for its judge is not merged yet, so it still counts.
    bench.commit(ids[0], "c");
    assert_eq!(bench.task(common).status, TaskStatus::Queued);
    bench.approve(ids[0], "b", "m");
    bench.publish(ids[0], MergeOutcome::Merged);
    assert_eq!(bench.task(common).status, TaskStatus::Running);
}

#[test]
fn dependencies_start_after_the_merge_and_not_after_a_cancellation() {
    let mut bench = Bench::with(|settings| settings.workers = 2);
    let first = bench.add(TaskSpec::default());
    let second = bench.add(after(&[first]));
    bench.commit(first, "c");
    bench.approve(first, "b", "m");
    assert_eq!(bench.task(second).status, TaskStatus::Queued);
    bench.publish(first, MergeOutcome::Merged);
    assert_eq!(bench.task(second).status, TaskStatus::Running);
    let third = bench.add(TaskSpec {
        paths: vec!["x".into()],
        ..TaskSpec::default()
    });
    let fourth = bench.add(after(&[third]));
    bench.tell(Input::CancelTask {
        task: third,
        reason: String::new(),
        by: "eva".into(),
    });
    bench.settle();
    assert_eq!(bench.task(fourth).status, TaskStatus::Queued);
    assert!(bench.why(fourth).contains("which was cancelled"));
    let circle = TaskSpec {
        title: "t".into(),
        ..after(&[fourth])
    };
    let refused = bench.try_tell(Input::EditTask {
        task: fourth,
        spec: Box::new(circle),
    });
    assert_eq!(refused.unwrap_err().code, RefusalCode::Invalid);
}

#[test]
fn reasons_of_a_judge_reach_the_next_attempt() {
    let mut bench = Bench::new();
    let id = bench.add(TaskSpec::default());
    for round in 0..2 {
        bench.commit(id, "c");
        bench.judge(
            id,
            Verdict::RequestChanges {
                reasons: vec![format!("reason {round}")],
            },
        );
        assert_eq!(bench.task(id).status, TaskStatus::Running);
        assert_eq!(
            bench.task(id).lessons.last().unwrap().reasons,
            [format!("reason {round}")]
        );
    }
    bench.commit(id, "c");
    bench.judge(
        id,
        Verdict::RequestChanges {
            reasons: vec!["again".into()],
        },
    );
    assert_eq!(bench.task(id).block, Some(BlockReason::NeedsRework));
}

#[test]
fn an_examination_that_fails_is_never_an_approval() {
    let mut bench = Bench::new();
    let id = bench.add(TaskSpec::default());
    bench.commit(id, "c");
    for _ in 0..3 {
        bench.judge(
            id,
            Verdict::NoVerdict {
                detail: "no answer".into(),
            },
        );
        assert!(bench.task(id).awaits_judge());
        let at = bench.task(id).not_before.unwrap();
        bench.wait(at - bench.now);
    }
    bench.judge(
        id,
        Verdict::NoVerdict {
            detail: "no answer".into(),
        },
    );
    assert_eq!(bench.task(id).resolver, BlockResolver::Person);
    assert!(bench.board.merges().next().is_none());
    bench.tell(Input::RequeueTask {
        task: id,
        note: String::new(),
        by: "eva".into(),
    });
    bench.settle();
    assert_eq!(bench.board.live_judgements().count(), 1);
}

#[test]
fn approvals_of_a_branch_form_a_chain() {
    let mut bench = Bench::with(|settings| {
        settings.workers = 2;
        settings.judges = 2;
    });
    let (one, two) = (
        bench.add(TaskSpec::default()),
        bench.add(TaskSpec::default()),
    );
    bench.commit(one, "c1");
    bench.commit(two, "c2");
    bench.approve(one, "b", "m1");
    // The second was tested without the first.
    bench.approve(two, "b", "m2");
    assert_eq!(bench.board.open_merges().count(), 1);
    assert_eq!(bench.board.judge_base_commit(two), Some("m1"));
    bench.approve(two, "m1", "m2");
    assert_eq!(bench.board.open_merges().count(), 2);
    bench.publish(one, MergeOutcome::BaseMoved { now: "x".into() });
    assert_eq!(bench.board.open_merges().count(), 0);
    assert_eq!(bench.board.live_judgements().count(), 2);
}

#[test]
fn a_dirty_checkout_is_waited_for() {
    let mut bench = Bench::new();
    let id = bench.add(TaskSpec::default());
    bench.commit(id, "c");
    bench.approve(id, "b", "m");
    for _ in 0..10 {
        bench.publish(
            id,
            MergeOutcome::DirtyCheckout {
                detail: "lib.rs is not committed".into(),
            },
        );
        let why = bench.board.why(id, bench.now).unwrap();
        assert_eq!(why.sentences[0].resolver, BlockResolver::Person);
        assert!(why.sentences[0].remedy.contains("tos merge"));
        assert_eq!(why.sentences.len(), 1);
        bench.wait(30 * SECOND);
    }
    bench.publish(
        id,
        MergeOutcome::DirtyCheckout {
            detail: "lib.rs".into(),
        },
    );
    bench.tell(Input::RetryMerges { by: "eva".into() });
    bench.settle();
    bench.publish(id, MergeOutcome::Merged);
    assert_eq!(bench.task(id).status, TaskStatus::Done);
}
