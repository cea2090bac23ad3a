//! Plans by models, planning again, questions while an agent works, one run that is cancelled.

use super::*;

const MINUTE: Millis = 60_000;

fn named(title: &str, paths: &[&str], needs: &[u64]) -> TaskSpec {
    TaskSpec {
        title: title.into(),
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        dependencies: needs
            .iter()
            .map(|place| Dependency {
                task: TaskId(*place),
                on_fail: OnDependencyCancelled::Block,
            })
            .collect(),
        source: "planner".into(),
        ..TaskSpec::default()
    }
}

impl Bench {
    fn generation(&self) -> u64 {
        self.board.process(ProcessName::Planner).unwrap().generation
    }

    fn hand_in(&mut self, preview: bool) -> PlanId {
        let answer = self.tell(Input::HandIn {
            requirement: "build it".into(),
            preview,
            by: "eva".into(),
        });
        self.settle();
        let BoardResponse::Plan { plan } = answer else {
            panic!("{answer:?}");
        };
        plan
    }

    fn propose(&mut self, plan: PlanId, tasks: Vec<TaskSpec>, nothing_left: &str) {
        let generation = self.generation();
        self.tell(Input::Propose {
            plan,
            generation,
            proposal: PlanProposal {
                maker: "model".into(),
                tasks,
                nothing_left: nothing_left.into(),
            },
        });
        self.planner_ends();
    }

    fn planner_ends(&mut self) {
        self.exit(ProcessName::Planner, true, "done");
        self.settle();
    }

    fn plan(&self, id: PlanId) -> &RequirementPlan {
        self.board.plan(id).unwrap()
    }

    /// Takes a task to its branch.
    fn merge(&mut self, id: TaskId, base: &str, commit: &str) {
        self.commit(id, &format!("c-{commit}"));
        self.approve(id, base, commit);
        self.publish(id, MergeOutcome::Merged);
        assert_eq!(self.task(id).status, TaskStatus::Done);
    }
}

#[test]
fn a_plan_of_a_model_makes_tasks_and_leaves_out_what_is_there() {
    let mut bench = Bench::new();
    let plan = bench.hand_in(false);
    // While the planner thinks, a person adds one of its tasks.
    let own = bench.tell(Input::CreateTask {
        spec: Box::new(named("write  the Parser.", &["src/a/"], &[])),
    });
    let BoardResponse::Task { task: known, .. } = own else {
        panic!()
    };
    let tasks = vec![
        named("Write the parser", &["src/a"], &[]),
        named("test it", &["tests/**"], &[1]),
    ];
    bench.propose(plan, tasks, "");
    let made = bench.plan(plan).clone();
    assert_eq!(
        (made.status, made.maker.as_str()),
        (PlanStatus::Planned, "model")
    );
    assert_eq!(made.tasks, [known, TaskId(2)]);
    assert_eq!(bench.task(TaskId(2)).spec.dependencies[0].task, known);
    assert_eq!(bench.board.tasks().count(), 2);
}

#[test]
fn a_preview_makes_nothing_until_a_person_accepts() {
    let mut bench = Bench::new();
    let plan = bench.hand_in(true);
    bench.propose(plan, vec![named("one", &["src/a"], &[])], "");
    assert_eq!(bench.plan(plan).status, PlanStatus::Proposed);
    assert_eq!(bench.board.tasks().count(), 0);
    // A second requirement has to wait for the answer.
    let second = bench.try_tell(Input::HandIn {
        requirement: "more".into(),
        preview: false,
        by: "eva".into(),
    });
    assert!(second.unwrap_err().reason.contains("waits for your answer"));
    bench.tell(Input::DecidePlan {
        plan,
        accept: true,
        by: "eva".into(),
    });
    assert_eq!(bench.board.tasks().count(), 1);
    let again = bench.try_tell(Input::DecidePlan {
        plan,
        accept: true,
        by: "eva".into(),
    });
    assert_eq!(again.unwrap_err().code, RefusalCode::Conflict);
}

#[test]
fn a_proposal_is_changed_by_whoever_saw_it_as_it_is() {
    let mut bench = Bench::new();
    let plan = bench.hand_in(true);
    let tasks = vec![
        named("one", &["src/a"], &[]),
        named("two", &["src/b"], &[1]),
    ];
    bench.propose(plan, tasks, "");
    let edit = |version, edits: Vec<PlanTaskEdit>| Input::EditPlan {
        plan,
        version,
        edits,
        by: "eva".into(),
    };
    let gone = PlanTaskEdit {
        place: 1,
        remove: true,
        ..PlanTaskEdit::default()
    };
    bench.tell(edit(0, vec![gone.clone()]));
    assert_eq!(bench.plan(plan).proposal.len(), 1);
    assert_eq!(bench.plan(plan).edits, 1);
    let late = bench.try_tell(edit(0, vec![gone.clone()])).unwrap_err();
    assert_eq!(late.code, RefusalCode::Stale);
    // What the board would refuse as a task is refused here.
    let untitled = PlanTaskEdit {
        place: 1,
        title: Some(String::new()),
        ..PlanTaskEdit::default()
    };
    let refused = bench.try_tell(edit(1, vec![untitled])).unwrap_err();
    assert_eq!(refused.code, RefusalCode::Invalid);
    bench.tell(Input::DecidePlan {
        plan,
        accept: true,
        by: "eva".into(),
    });
    let made: Vec<&str> = bench
        .board
        .tasks()
        .map(|task| task.spec.title.as_str())
        .collect();
    assert_eq!(made, ["two"]);
    let over = bench.try_tell(edit(1, vec![gone])).unwrap_err();
    assert_eq!(over.code, RefusalCode::Conflict);
}

#[test]
fn where_a_person_is_asked_before_work_a_plan_waits_and_can_be_declined() {
    let mut bench = Bench::with(|settings| settings.ask_before_start = true);
    let plan = bench.hand_in(false);
    bench.propose(plan, vec![named("one", &["src/a"], &[])], "");
    bench.tell(Input::DecidePlan {
        plan,
        accept: false,
        by: "eva".into(),
    });
    assert_eq!(bench.plan(plan).status, PlanStatus::Declined);
    assert_eq!(bench.board.tasks().count(), 0);
    bench.wait(24 * 60 * MINUTE);
    assert_eq!(bench.board.plans().count(), 1);
}

#[test]
fn a_list_without_a_planner_is_shown_first_where_that_was_asked_for() {
    let mut bench = Bench::new();
    for (preview, made) in [(true, 0), (false, 1)] {
        let plan = bench.hand_in(preview);
        let generation = bench.generation();
        bench.tell(Input::FinishPlan {
            plan,
            generation,
            tasks: Ok(vec![named("write it", &["docs"], &[])]),
        });
        bench.planner_ends();
        assert_eq!(bench.board.tasks().count(), made, "{preview}");
        if preview {
            assert_eq!(bench.plan(plan).status, PlanStatus::Proposed);
            bench.tell(Input::DecidePlan {
                plan,
                accept: false,
                by: "eva".into(),
            });
        }
    }
}

#[test]
fn a_plan_that_fails_or_is_empty_is_never_called_done() {
    let mut bench = Bench::new();
    let plan = bench.hand_in(false);
    let generation = bench.generation();
    bench.tell(Input::FinishPlan {
        plan,
        generation,
        tasks: Err("the provider does not answer".into()),
    });
    assert_eq!(bench.plan(plan).status, PlanStatus::Failed);
    assert_eq!(bench.plan(plan).detail, "the provider does not answer");
    bench.planner_ends();
    let plan = bench.hand_in(false);
    bench.propose(plan, Vec::new(), " ");
    assert_eq!(bench.plan(plan).status, PlanStatus::Failed);
    let plan = bench.hand_in(false);
    bench.propose(plan, Vec::new(), "all of it is there");
    assert_eq!(bench.plan(plan).status, PlanStatus::NothingLeft);
    // A planner that dies is a failure, too.
    let plan = bench.hand_in(false);
    bench.planner_ends();
    assert_eq!(bench.plan(plan).status, PlanStatus::Failed);
}

#[test]
fn a_call_is_counted_before_it_is_made_and_refused_beyond_the_budget() {
    let mut bench = Bench::with(|settings| settings.hour_limit.calls = Some(1));
    let plan = bench.hand_in(false);
    let generation = bench.generation();
    let pay = |calls, tokens| Input::SpendPlan {
        plan,
        generation,
        spend: Spend {
            calls,
            tokens,
            micro_usd: 7,
        },
    };
    bench.tell(pay(1, 0));
    bench.tell(pay(0, 500));
    let refused = bench.try_tell(pay(1, 0)).unwrap_err();
    assert!(
        refused.reason.contains("the budget is used up"),
        "{refused}"
    );
    let spent = bench.plan(plan).spent;
    assert_eq!((spent.calls, spent.tokens, spent.micro_usd), (1, 500, 14));
    assert_eq!(bench.board.spend_totals().total, spent);
    let stale = bench.try_tell(Input::SpendPlan {
        plan,
        generation: generation + 1,
        spend: Spend::default(),
    });
    assert_eq!(stale.unwrap_err().code, RefusalCode::Stale);
}

#[test]
fn what_is_left_is_planned_again_when_nothing_moves_any_more() {
    let mut bench = Bench::with(|settings| {
        settings.replan_max = 1;
        settings.workers = 2;
    });
    let first = bench.hand_in(false);
    let tasks = vec![
        named("one", &["src/a"], &[]),
        named("two", &["src/b"], &[]),
        named("three", &["src/c"], &[2]),
    ];
    bench.propose(first, tasks, "");
    bench.merge(TaskId(1), "b0", "m1");
    bench.wait(30 * MINUTE);
    assert_eq!(bench.board.plans().count(), 1, "a task still runs");
    // It needs a person now, and so does what depends on it.
    bench.fail(TaskId(2), FailureKind::Permission, "");
    bench.wait(6 * MINUTE);
    let second = PlanId(2);
    assert_eq!(bench.plan(second).of, Some(first));
    assert_eq!(bench.plan(second).round, 1);
    assert!(bench.board.cycle().is_none(), "the cycle ended");
    let facts = bench.board.planning_facts(bench.plan(second));
    assert_eq!(facts.done[0].title, "one");
    assert_eq!(facts.open.len(), 2);
    assert!(
        facts.open[0]
            .why
            .iter()
            .any(|why| why.contains("it went wrong"))
    );
    // What is merged for this requirement is not made again.
    let tasks = vec![
        named("one", &["src/a"], &[]),
        named("two in small", &["src/b/x.rs"], &[1]),
    ];
    bench.propose(second, tasks, "");
    assert_eq!(bench.plan(second).tasks, [TaskId(1), TaskId(4)]);
    bench.fail(TaskId(4), FailureKind::Permission, "");
    bench.wait(24 * 60 * MINUTE);
    assert_eq!(bench.board.plans().count(), 2, "once, as configured");
}

#[test]
fn planning_again_obeys_stop_hold_and_switch() {
    let ready = |change: fn(&mut BoardSettings)| {
        let mut bench = Bench::with(change);
        let plan = bench.hand_in(false);
        bench.propose(plan, vec![named("one", &["src/a"], &[])], "");
        bench.fail(TaskId(1), FailureKind::Permission, "");
        bench
    };
    let mut bench = ready(|_| {});
    bench.tell(Input::StopProcess {
        name: "planner".into(),
        by: "eva".into(),
    });
    bench.wait(60 * MINUTE);
    assert_eq!(bench.board.plans().count(), 1);
    let mut bench = ready(|_| {});
    bench.tell(Input::Hold {
        reason: "lunch".into(),
        by: "eva".into(),
    });
    bench.wait(60 * MINUTE);
    assert_eq!(bench.board.plans().count(), 1);
    bench.tell(Input::Resume { by: "eva".into() });
    bench.settle();
    assert_eq!(bench.board.plans().count(), 2);
    let mut bench = ready(|settings| settings.auto_replan = false);
    bench.wait(60 * MINUTE);
    assert_eq!(bench.board.plans().count(), 1);
}

fn ask(bench: &mut Bench, task: TaskId) -> ApprovalId {
    let run = bench.run_of(task);
    let asked = bench.tell(Input::Ask {
        run: run.id,
        fence: run.lease.fence,
        action: "npm install".into(),
    });
    let BoardResponse::Approval { approval } = asked else {
        panic!("{asked:?}");
    };
    approval
}

#[test]
fn a_question_nobody_answers_in_time_is_denied_exactly_then() {
    let mut bench = Bench::with(|settings| settings.question_ms = MINUTE);
    let task = bench.add(TaskSpec::default());
    let question = ask(&mut bench, task);
    assert_eq!(ask(&mut bench, task), question, "the same is asked once");
    let until = bench.board.approval(question).unwrap().until.unwrap();
    assert_eq!(until, bench.now + MINUTE);
    let why = bench.board.why(task, bench.now).unwrap();
    assert_eq!(why.sentences[0].at, Some(until));
    bench.wait(MINUTE - 1);
    assert!(
        bench
            .board
            .approval(question)
            .unwrap()
            .answered_at
            .is_none()
    );
    bench.wait(1);
    let ended = bench.board.approval(question).unwrap();
    assert_eq!(
        (ended.answer, ended.by.as_str()),
        (Some(false), "nobody answered in time")
    );
    assert!(
        bench
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::TellAnswer { allow: false, .. }))
    );
    let late = bench.try_tell(Input::Answer {
        approval: question,
        allow: true,
        by: "eva".into(),
    });
    assert_eq!(late.unwrap_err().code, RefusalCode::Conflict);
    // The agent works on.
    assert_eq!(bench.task(task).status, TaskStatus::Running);
}

#[test]
fn a_question_that_nobody_waits_for_any_more_is_withdrawn() {
    let mut bench = Bench::new();
    let task = bench.add(TaskSpec::default());
    let question = ask(&mut bench, task);
    let run = bench.run_of(task);
    let drop_it = |fence| Input::DropQuestion {
        approval: question,
        run: run.id,
        fence,
    };
    let other = bench.try_tell(drop_it(Fence(run.lease.fence.0 + 1)));
    assert_eq!(other.unwrap_err().code, RefusalCode::Stale);
    bench.tell(drop_it(run.lease.fence));
    assert_eq!(bench.board.approval(question).unwrap().answer, None);
    assert!(bench.board.open_approvals().next().is_none());
    bench.tell(drop_it(run.lease.fence));
}

#[test]
fn a_question_is_withdrawn_when_the_service_starts_again() {
    let mut bench = Bench::new();
    let task = bench.add(TaskSpec::default());
    let question = ask(&mut bench, task);
    bench.serve("b");
    let ended = bench.board.approval(question).unwrap();
    assert_eq!((ended.answer, ended.answered_at.is_some()), (None, true));
    assert!(ended.by.contains("started again"), "{}", ended.by);
}

#[test]
fn a_cancelled_run_ends_and_nothing_else_about_its_task_changes() {
    let mut bench = Bench::new();
    let task = bench.add(TaskSpec::default());
    bench.fail(task, FailureKind::Test, "x");
    bench.wait(10 * MINUTE);
    let run = bench.run_of(task);
    let failures = bench.task(task).counters.failures;
    bench.effects.clear();
    bench.tell(Input::CancelRun {
        run: run.id,
        note: "use the other file".into(),
        by: "eva".into(),
    });
    assert_eq!(
        bench.board.run(run.id).unwrap().status,
        RunStatus::Cancelled
    );
    assert_eq!(bench.task(task).status, TaskStatus::Queued);
    assert_eq!(bench.task(task).counters.failures, failures);
    assert!(
        bench
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::StopRun { run: id, .. } if *id == run.id))
    );
    let late = bench.try_tell(Input::FinishRun {
        run: run.id,
        fence: run.lease.fence,
        outcome: RunOutcome::Stopped,
        log: String::new(),
    });
    assert_eq!(late.unwrap_err().code, RefusalCode::Stale);
    let again = bench.try_tell(Input::CancelRun {
        run: run.id,
        note: String::new(),
        by: "eva".into(),
    });
    assert!(again.unwrap_err().reason.contains("is over: cancelled"));
    bench.settle();
    assert!(attempt_prompt(bench.task(task)).contains("eva: use the other file"));
}

#[test]
fn an_examination_without_budget_waits_for_it_and_asks_nobody() {
    let mut bench = Bench::with(|settings| {
        settings.hour_limit.calls = Some(1);
        settings.judge_error_retries = 0;
    });
    let task = bench.add(TaskSpec::default());
    bench.commit(task, "c1");
    let judgement = bench.task(task).judgement.unwrap();
    let fence = bench.board.judgement(judgement).unwrap().lease.fence;
    let refused = bench.try_tell(Input::SpendJudgement {
        judgement,
        fence,
        spend: Spend {
            calls: 1,
            ..Spend::default()
        },
    });
    assert!(refused.is_err());
    bench.judge(
        task,
        Verdict::NoVerdict {
            detail: "the budget is used up".into(),
        },
    );
    let waits = bench.task(task);
    assert_eq!(waits.resolver, BlockResolver::Judge);
    assert_eq!(waits.not_before, Some((bench.now / HOUR + 1) * HOUR));
}
