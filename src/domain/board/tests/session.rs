//! Sessions: lists in their order and within their limits.

use super::*;
use crate::domain::{
    ledger::TaskOutcome,
    tasks::{OnFailure, StopReason, TaskVerdict},
};

pub(super) const ONE: SessionId = SessionId(1);

pub(super) fn item(id: &str, needs: &[usize]) -> SessionItem {
    SessionItem {
        id: id.into(),
        goal: "a goal".into(),
        task: TaskSpec {
            title: format!("{id}: a goal"),
            ..TaskSpec::default()
        },
        needs: needs.to_vec(),
        seconds: 60,
        outcome: None,
    }
}

pub(super) fn spec(items: &[SessionItem]) -> SessionSpec {
    SessionSpec {
        run: "r1".into(),
        list: "monday".into(),
        kind: "night".into(),
        on_failure: OnFailure::RetryThenSkipDependents,
        items: items.to_vec(),
        ..SessionSpec::default()
    }
}

impl Bench {
    pub(super) fn session_tell(&mut self, input: SessionInput) -> BoardResponse {
        let answer = self.tell(Input::Session(input));
        self.settle();
        answer
    }

    fn begin(&mut self, spec: SessionSpec) -> Vec<TaskId> {
        self.session_tell(SessionInput::Start {
            spec: Box::new(spec),
        });
        self.ready();
        let session = self.board.session(ONE).unwrap();
        session.tasks.iter().flatten().copied().collect()
    }

    fn ready(&mut self) {
        self.session_tell(SessionInput::Ready { session: ONE });
    }

    /// The task whose turn it is, by place.
    fn turn(&self) -> Option<usize> {
        let session = self.board.session(ONE).unwrap();
        session.turn.map(|turn| turn.place)
    }

    fn verdict(&mut self, verdict: TaskVerdict) -> Result<BoardResponse, Refusal> {
        let session = self.board.session(ONE).unwrap();
        let turn = session.turn.unwrap();
        let outcome = if verdict == TaskVerdict::Accepted {
            TaskOutcome::Success
        } else if verdict == TaskVerdict::Failed {
            TaskOutcome::Failed
        } else {
            TaskOutcome::Blocked
        };
        let fence = self.board.run(turn.run).unwrap().lease.fence;
        let told = self.try_tell(Input::Session(SessionInput::FinishTask {
            session: ONE,
            run: turn.run,
            fence,
            verdict,
            end: SessionTaskEnd {
                place: turn.place,
                outcome,
                reason: "so it is".into(),
                commit: None,
            },
            spend: Spend::default(),
            log: String::new(),
        }));
        if told.is_ok() {
            self.ready();
        }
        told
    }

    fn over(&mut self, why: StopReason) {
        self.session_tell(SessionInput::Finish {
            session: ONE,
            why: Some(why),
            error: String::new(),
            ends: Vec::new(),
            report: "{}".into(),
        });
    }

    fn stop_of(&self) -> Option<StopReason> {
        let session = self.board.session(ONE).unwrap();
        session.stop.as_ref().map(|stop| stop.why)
    }
}

#[test]
fn tasks_of_a_session_run_one_after_the_other_and_others_beside_them() {
    let mut bench = Bench::with(|settings| settings.workers = 2);
    let tasks = bench.begin(spec(&[item("a", &[]), item("b", &[])]));
    let other = bench.add(TaskSpec::default());
    assert_eq!(bench.turn(), Some(0));
    assert_eq!(bench.task(tasks[0]).status, TaskStatus::Running);
    assert_eq!(bench.task(tasks[1]).status, TaskStatus::Queued);
    assert_eq!(bench.task(other).status, TaskStatus::Running);
    assert!(
        bench.why(tasks[1]).contains("a is before it"),
        "{}",
        bench.why(tasks[1])
    );
    bench.verdict(TaskVerdict::Accepted).unwrap();
    assert_eq!(bench.task(tasks[0]).status, TaskStatus::Done);
    assert!(bench.why(tasks[0]).contains("refs/tos/runs/r1"));
    assert_eq!(bench.turn(), Some(1));
    bench.verdict(TaskVerdict::Accepted).unwrap();
    assert_eq!(bench.stop_of(), Some(StopReason::QueueEmpty));
    bench.over(StopReason::QueueEmpty);
    assert_eq!(bench.board.session(ONE).unwrap().status(), "queue_empty");
}

#[test]
fn two_failures_in_a_row_stop_a_session_and_what_is_left_is_given_up() {
    let mut bench = Bench::new();
    let items = [item("a", &[]), item("b", &[]), item("c", &[])];
    let tasks = bench.begin(spec(&items));
    bench.verdict(TaskVerdict::Failed).unwrap();
    assert!(bench.why(tasks[2]).contains("a second one in a row"));
    bench.verdict(TaskVerdict::Failed).unwrap();
    assert_eq!(bench.stop_of(), Some(StopReason::TwoFailures));
    assert_eq!(bench.turn(), None);
    bench.over(StopReason::TwoFailures);
    assert_eq!(bench.task(tasks[0]).block, Some(BlockReason::NeedsRework));
    assert_eq!(bench.task(tasks[2]).status, TaskStatus::Cancelled);
    // The morning after, a person may give what failed to the board.
    bench.tell(Input::RequeueTask {
        task: tasks[0],
        note: String::new(),
        by: "eva".into(),
    });
    bench.settle();
    assert_eq!(bench.task(tasks[0]).status, TaskStatus::Running);
}

#[test]
fn what_needs_a_failed_task_is_skipped() {
    let mut bench = Bench::new();
    let tasks = bench.begin(spec(&[item("a", &[]), item("b", &[0]), item("c", &[])]));
    bench.verdict(TaskVerdict::Failed).unwrap();
    assert_eq!(bench.task(tasks[1]).status, TaskStatus::Cancelled);
    assert_eq!(bench.turn(), Some(2));
}

#[test]
fn a_task_that_cannot_end_in_time_does_not_start() {
    let mut bench = Bench::with(|settings| settings.workers = 1);
    let other = bench.add(TaskSpec::default());
    let limited = SessionSpec {
        seconds: Some(100),
        ..spec(&[item("a", &[])])
    };
    let tasks = bench.begin(limited);
    assert!(
        bench.why(tasks[0]).contains("no worker is idle"),
        "{}",
        bench.why(tasks[0])
    );
    assert!(
        bench.why(tasks[0]).contains("has 1 min left") || bench.why(tasks[0]).contains("100 s"),
        "{}",
        bench.why(tasks[0])
    );
    bench.wait(39 * SECOND);
    assert_eq!(bench.stop_of(), None);
    bench.wait(2 * SECOND);
    assert_eq!(bench.stop_of(), Some(StopReason::TimeCap));
    assert_eq!(bench.task(other).status, TaskStatus::Running);
}

#[test]
fn a_session_that_asks_waits_for_a_person_and_a_no_ends_it() {
    let mut bench = Bench::new();
    let asking = SessionSpec {
        asks: true,
        ..spec(&[item("a", &[]), item("b", &[])])
    };
    bench.begin(asking);
    assert_eq!(bench.turn(), None);
    for allow in [true, false] {
        let approval = bench.board.session_approval(ONE).unwrap();
        bench.tell(Input::Answer {
            approval,
            allow,
            by: "eva".into(),
        });
        bench.settle();
        if allow {
            assert_eq!(bench.turn(), Some(0));
            bench.verdict(TaskVerdict::Accepted).unwrap();
        }
    }
    assert_eq!(bench.stop_of(), Some(StopReason::Operator));
}

#[test]
fn a_stop_of_the_agent_ends_the_session_and_its_late_result_does_not_count() {
    let mut bench = Bench::new();
    let tasks = bench.begin(spec(&[item("a", &[]), item("b", &[])]));
    let agent = bench.run_of(tasks[0]).agent;
    bench.tell(Input::StopProcess {
        name: agent.to_string(),
        by: "eva".into(),
    });
    bench.settle();
    assert_eq!(bench.stop_of(), Some(StopReason::Operator));
    let refusal = bench.verdict(TaskVerdict::Accepted).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Stale);
    bench.over(StopReason::Operator);
    for task in tasks {
        assert_eq!(bench.task(task).status, TaskStatus::Cancelled);
    }
}

#[test]
fn a_session_goes_on_with_the_next_service_from_what_the_ledger_says() {
    let mut bench = Bench::new();
    let tasks = bench.begin(spec(&[item("a", &[]), item("b", &[])]));
    bench.effects.clear();
    bench.serve("b");
    let open = Effect::Session(SessionEffect::Open {
        session: ONE,
        resume: true,
    });
    assert!(bench.effects.contains(&open));
    bench.settle();
    // Its first task was recorded just before the service died.
    bench.session_tell(SessionInput::Restore {
        session: ONE,
        outcomes: vec![Some(TaskOutcome::Success), None],
        failures_in_a_row: 0,
    });
    bench.ready();
    assert_eq!(bench.task(tasks[0]).status, TaskStatus::Done);
    assert_eq!(bench.turn(), Some(1));
}

#[test]
fn one_session_at_a_time_and_only_lists_that_make_sense() {
    let mut bench = Bench::new();
    let start = |spec: SessionSpec| {
        Input::Session(SessionInput::Start {
            spec: Box::new(spec),
        })
    };
    for bad in [spec(&[]), spec(&[item("a", &[0])])] {
        let refusal = bench.try_tell(start(bad)).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::Invalid);
    }
    let tasks = bench.begin(spec(&[item("a", &[])]));
    let refusal = bench.try_tell(start(spec(&[item("a", &[])]))).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Conflict);
    // Nothing can wait for work that the board does not merge, and the list is fixed.
    let needing = TaskSpec {
        title: "after it".into(),
        dependencies: vec![Dependency {
            task: tasks[0],
            on_fail: OnDependencyCancelled::Block,
        }],
        ..TaskSpec::default()
    };
    let create = Input::CreateTask {
        spec: Box::new(needing),
    };
    assert!(bench.try_tell(create).is_err());
    let edit = Input::EditTask {
        task: tasks[0],
        spec: Box::default(),
    };
    assert!(bench.try_tell(edit).is_err());
}

#[test]
fn stop_all_and_a_cancel_end_a_session_between_its_tasks() {
    for stop_all in [true, false] {
        let mut bench = Bench::with(|settings| settings.workers = 1);
        bench.add(TaskSpec::default());
        bench.begin(spec(&[item("a", &[])]));
        assert_eq!(bench.turn(), None);
        bench.effects.clear();
        if stop_all {
            bench.tell(Input::StopAll { by: "eva".into() });
        } else {
            bench.session_tell(SessionInput::Cancel {
                session: ONE,
                reason: String::new(),
                by: "eva".into(),
            });
        }
        assert_eq!(bench.stop_of(), Some(StopReason::Operator));
        let told = |effect: &Effect| matches!(effect, Effect::Session(SessionEffect::Stop { .. }));
        assert!(bench.effects.iter().any(told));
    }
}

#[test]
fn work_that_does_not_hold_as_a_whole_is_taken_back() {
    let mut bench = Bench::new();
    let tasks = bench.begin(spec(&[item("a", &[]), item("b", &[])]));
    bench.verdict(TaskVerdict::Accepted).unwrap();
    bench.session_tell(SessionInput::Revert {
        session: ONE,
        places: vec![0],
        reason: "the whole did not hold".into(),
    });
    assert_eq!(bench.task(tasks[0]).block, Some(BlockReason::NeedsRework));
    assert_eq!(bench.board.session(ONE).unwrap().failures_in_a_row, 1);
    let again = Input::RequeueTask {
        task: tasks[0],
        note: String::new(),
        by: "eva".into(),
    };
    let refusal = bench.try_tell(again).unwrap_err();
    assert!(refusal.reason.contains("session-1"), "{refusal}");
}

#[test]
fn a_second_try_is_a_run_of_its_own_and_the_first_number_is_worth_nothing() {
    let mut bench = Bench::with(|settings| settings.workers = 2);
    let tasks = bench.begin(spec(&[item("a", &[]), item("b", &[])]));
    let first = bench.board.session(ONE).unwrap().turn.unwrap().run;
    let old = bench.board.run(first).unwrap().lease.fence;
    let again = |run, fence| SessionInput::Again {
        session: ONE,
        run,
        fence,
        reason: "the tests fail".into(),
    };
    let calls = bench.task(tasks[0]).spent.calls;
    let BoardResponse::Run { run, fence } = bench.session_tell(again(first, old)) else {
        panic!("no run");
    };
    assert!(run > first && fence > old);
    let ended = bench.board.run(first).unwrap();
    assert_eq!(
        (ended.status, ended.error.as_str()),
        (RunStatus::Failed, "the tests fail")
    );
    assert_eq!(bench.board.session(ONE).unwrap().turn.unwrap().run, run);
    assert_eq!(bench.task(tasks[0]).status, TaskStatus::Running);
    assert_eq!(bench.task(tasks[0]).spent.calls, calls + 1);
    let why = bench.why(tasks[0]);
    assert!(
        why.contains("second and last try") && why.contains("the tests fail"),
        "{why}"
    );
    // Whoever holds the first number is refused, whatever it says.
    let late = bench.try_tell(Input::Session(again(first, old)));
    assert_eq!(late.unwrap_err().code, RefusalCode::Stale);
    let renew = bench.try_tell(Input::RenewRun {
        run: first,
        fence: old,
    });
    assert_eq!(renew.unwrap_err().code, RefusalCode::Stale);
    bench.verdict(TaskVerdict::Accepted).unwrap();
    assert_eq!(bench.task(tasks[0]).status, TaskStatus::Done);
    assert_eq!(bench.turn(), Some(1));
    assert_eq!(bench.board.session(ONE).unwrap().again, None);
}

#[test]
fn a_second_try_that_the_budget_does_not_allow_is_refused() {
    let mut bench = Bench::with(|settings| settings.task_limit.calls = Some(1));
    bench.begin(spec(&[item("a", &[])]));
    let run = bench.board.session(ONE).unwrap().turn.unwrap().run;
    let fence = bench.board.run(run).unwrap().lease.fence;
    let again = SessionInput::Again {
        session: ONE,
        run,
        fence,
        reason: "no".into(),
    };
    let refused = bench.try_tell(Input::Session(again)).unwrap_err();
    assert!(refused.reason.contains("budget is used up"), "{refused}");
    assert_eq!(bench.board.run(run).unwrap().status, RunStatus::Running);
}

#[test]
fn sessions_run_beside_each_other_and_the_same_list_only_once() {
    let mut bench = Bench::with(|settings| settings.workers = 2);
    bench.begin(spec(&[item("a", &[]), item("b", &[])]));
    let other = SessionSpec {
        run: "r2".into(),
        list: "tuesday".into(),
        ..spec(&[item("c", &[])])
    };
    let start = |spec: SessionSpec| {
        Input::Session(SessionInput::Start {
            spec: Box::new(spec),
        })
    };
    for (run, list) in [("r1", "other"), ("r9", "monday")] {
        let same = SessionSpec {
            run: run.into(),
            list: list.into(),
            ..spec(&[item("x", &[])])
        };
        let refused = bench.try_tell(start(same)).unwrap_err();
        assert!(refused.reason.contains("session-1"), "{refused}");
    }
    bench.tell(start(other));
    let two = SessionId(2);
    bench.session_tell(SessionInput::Ready { session: two });
    assert_eq!(bench.turn(), Some(0));
    assert!(
        bench.board.session(two).unwrap().turn.is_some(),
        "both are at work"
    );
    // The end of one leaves the other alone.
    bench.session_tell(SessionInput::Cancel {
        session: two,
        reason: String::new(),
        by: "eva".into(),
    });
    assert_eq!(bench.stop_of(), None);
    assert_eq!(bench.turn(), Some(0));
}

impl Bench {
    fn stand_aside(&mut self, until: Millis) -> Result<BoardResponse, Refusal> {
        let turn = self.board.session(ONE).unwrap().turn.unwrap();
        let fence = self.board.run(turn.run).unwrap().lease.fence;
        let told = self.try_tell(Input::Session(SessionInput::StandAside {
            session: ONE,
            run: turn.run,
            fence,
            until: Some(until),
            detail: "the quota is used up".into(),
        }));
        self.settle();
        told
    }
}

#[test]
fn a_task_that_waits_for_a_quota_holds_no_worker_and_has_its_turn_again() {
    let mut bench = Bench::new();
    let tasks = bench.begin(spec(&[item("a", &[]), item("b", &[])]));
    let first = bench.board.session(ONE).unwrap().turn.unwrap();
    let until = bench.now + 30 * SECOND;
    let other = bench.add(TaskSpec::default());
    assert_eq!(bench.task(other).status, TaskStatus::Queued);
    bench.stand_aside(until).unwrap();
    // The only worker does something else, and the list keeps its order.
    assert_eq!(bench.task(other).status, TaskStatus::Running);
    assert_eq!(
        (bench.turn(), bench.task(tasks[0]).status),
        (None, TaskStatus::Queued)
    );
    assert_eq!(
        bench.board.run(first.run).unwrap().status,
        RunStatus::Cancelled
    );
    let why = bench.board.why(tasks[0], bench.now).unwrap();
    assert_eq!(why.sentences[0].at, Some(until));
    assert!(why.sentences[0].text.contains("the quota is used up"));
    assert_eq!(why.sentences.len(), 1, "{why:?}");
    let why = bench.board.why(tasks[1], bench.now).unwrap();
    assert!(
        why.sentences
            .iter()
            .any(|one| one.text.contains("a is before it"))
    );
    // Its old number is good for nothing any more.
    let fence = bench.board.run(first.run).unwrap().lease.fence;
    let renew = Input::RenewRun {
        run: first.run,
        fence,
    };
    assert_eq!(bench.try_tell(renew).unwrap_err().code, RefusalCode::Stale);
    bench.now = until;
    bench.ready();
    assert_eq!(bench.turn(), None, "the worker is busy");
    bench.commit(other, "c");
    let again = bench.board.session(ONE).unwrap().turn.unwrap();
    assert_eq!(
        (again.place, bench.board.session(ONE).unwrap().wait.clone()),
        (0, None)
    );
    assert!(again.run > first.run);
    bench.verdict(TaskVerdict::Accepted).unwrap();
    assert_eq!(bench.turn(), Some(1));
}

#[test]
fn who_waits_in_the_second_try_comes_back_to_the_second_try() {
    let mut bench = Bench::new();
    bench.begin(spec(&[item("a", &[])]));
    let turn = bench.board.session(ONE).unwrap().turn.unwrap();
    let fence = bench.board.run(turn.run).unwrap().lease.fence;
    bench.session_tell(SessionInput::Again {
        session: ONE,
        run: turn.run,
        fence,
        reason: "the tests fail".into(),
    });
    bench.stand_aside(bench.now + SECOND).unwrap();
    let again = |bench: &Bench| bench.board.session(ONE).unwrap().again.clone();
    assert_eq!(again(&bench).as_deref(), Some("the tests fail"));
    bench.ready();
    assert_eq!(
        (bench.turn(), again(&bench).as_deref()),
        (Some(0), Some("the tests fail"))
    );
    // A service that died meanwhile begins the task anew.
    bench.stand_aside(bench.now + SECOND).unwrap();
    bench.session_tell(SessionInput::Restore {
        session: ONE,
        outcomes: vec![None],
        failures_in_a_row: 0,
    });
    bench.ready();
    assert_eq!((bench.turn(), again(&bench)), (Some(0), None));
}

#[test]
fn a_session_that_is_ending_waits_for_nothing() {
    let mut bench = Bench::new();
    bench.begin(spec(&[item("a", &[])]));
    bench.session_tell(SessionInput::Cancel {
        session: ONE,
        reason: String::new(),
        by: "eva".into(),
    });
    let refused = bench.stand_aside(bench.now + SECOND).unwrap_err();
    assert_eq!(refused.code, RefusalCode::Conflict);
    assert_eq!(bench.turn(), Some(0));
}
