//! What the schedule promises, by example.

use super::*;

#[test]
fn a_failure_skips_everything_behind_it_and_nothing_else() {
    let plan = plan(&[&[], &[0], &[1], &[]]);
    let mut schedule = fresh(&plan, 4, false);
    assert_eq!(started(&mut schedule), [0, 3]);
    assert_eq!(
        schedule.finish(0, FAILS, NOW),
        TaskTransition {
            status: TaskStatus::Failed,
            wait: None
        }
    );
    assert_eq!(
        schedule.drain_settled(),
        [UnstartedTasks {
            tasks: vec![1, 2],
            status: TaskStatus::Skipped,
            reason: StatusReason::DependencyNotSuccess
        }]
    );
    assert!(!schedule.is_over());
    assert_eq!(
        schedule.finish(3, AttemptResult::Success, NOW).status,
        TaskStatus::Success
    );
    assert!(schedule.is_over());
}

#[test]
fn a_wait_for_the_next_attempt_blocks_nobody() {
    let mut plan = plan(&[&[], &[], &[1]]);
    plan.tasks[0].retries = 1;
    plan.tasks[0].retry_backoff_sec = vec![4.0];
    let mut schedule = fresh(&plan, 1, false);
    assert_eq!(started(&mut schedule), [0]);
    let wait = Some(Duration::from_secs(4));
    assert_eq!(
        schedule.finish(0, FAILS, NOW),
        TaskTransition {
            status: TaskStatus::Ready,
            wait
        }
    );
    assert_eq!(started(&mut schedule), [1]);
    assert_eq!(schedule.next_wake(), None);
    assert_eq!(
        schedule.finish(1, AttemptResult::Success, NOW).status,
        TaskStatus::Success
    );
    assert_eq!(schedule.next_wake(), wait);
    assert_eq!(started(&mut schedule), [2]);
    assert_eq!(
        schedule.finish(2, AttemptResult::Success, NOW).status,
        TaskStatus::Success
    );
    assert_eq!(schedule.next(Duration::from_secs(4)), Some(0));
    assert_eq!(schedule.finish(0, FAILS, NOW).status, TaskStatus::Failed);
    assert!(schedule.is_over());
}

#[test]
fn fail_fast_lets_a_waiting_retry_fail_and_skips_what_never_began() {
    let mut plan = plan(&[&[], &[], &[]]);
    plan.tasks[0].retries = 1;
    let mut schedule = fresh(&plan, 2, true);
    assert_eq!(started(&mut schedule), [0, 1]);
    assert_eq!(schedule.finish(0, FAILS, NOW).status, TaskStatus::Ready);
    assert_eq!(schedule.finish(1, FAILS, NOW).status, TaskStatus::Failed);
    let of = |tasks: &[u32], status| UnstartedTasks {
        tasks: tasks.to_vec(),
        status,
        reason: StatusReason::FailFast,
    };
    assert_eq!(
        schedule.drain_settled(),
        [of(&[0], TaskStatus::Failed), of(&[2], TaskStatus::Skipped)]
    );
    assert!(schedule.is_over());
}

#[test]
fn cancel_settles_what_waits_and_what_runs_ends_canceled_whatever_its_code() {
    let plan = plan(&[&[], &[0]]);
    let mut schedule = fresh(&plan, 2, false);
    assert_eq!(started(&mut schedule), [0]);
    schedule.cancel();
    schedule.cancel();
    let canceled = UnstartedTasks {
        tasks: vec![1],
        status: TaskStatus::Canceled,
        reason: StatusReason::RunCanceled,
    };
    assert_eq!(schedule.drain_settled(), [canceled]);
    assert_eq!(
        schedule.finish(0, AttemptResult::Success, NOW).status,
        TaskStatus::Canceled
    );
    assert!(schedule.is_over());
}

#[test]
fn priority_goes_first_and_plan_order_second() {
    let mut plan = plan(&[&[], &[], &[]]);
    plan.tasks[2].extra = Some(Box::new(OptionalTaskSettings {
        priority: 5,
        ..OptionalTaskSettings::default()
    }));
    assert_eq!(started(&mut fresh(&plan, 3, false)), [2, 0, 1]);
}

#[test]
fn a_resource_is_never_overdrawn_and_nobody_overtakes_in_its_queue() {
    let mut plan = plan(&[&[], &[], &[], &[]]);
    plan.resources = vec![("db".to_owned(), 2)];
    for (index, amount) in [1, 2, 1].into_iter().enumerate() {
        plan.tasks[index].extra = Some(Box::new(OptionalTaskSettings {
            resources: vec![(0, amount)],
            ..OptionalTaskSettings::default()
        }));
    }
    let mut schedule = fresh(&plan, 4, false);
    assert_eq!(started(&mut schedule), [0, 3]);
    assert_eq!(
        schedule.finish(0, AttemptResult::Success, NOW).status,
        TaskStatus::Success
    );
    assert_eq!(started(&mut schedule), [1]);
    assert_eq!(
        schedule.finish(1, AttemptResult::Success, NOW).status,
        TaskStatus::Success
    );
    assert_eq!(started(&mut schedule), [2]);
}

#[test]
fn a_condition_decides_instead_of_success_and_its_skips_are_harmless() {
    let mut plan = plan(&[&[], &[0], &[0], &[2]]);
    let when = |text| {
        Some(Box::new(OptionalTaskSettings {
            when: Some(WhenCondition::parse(text).unwrap()),
            ..OptionalTaskSettings::default()
        }))
    };
    plan.tasks[1].extra = when("failed('t0')");
    plan.tasks[2].extra = when("succeeded('t0')");
    plan.tasks[0].extra = Some(Box::new(OptionalTaskSettings {
        allow_failure: true,
        ..OptionalTaskSettings::default()
    }));
    let mut schedule = fresh(&plan, 4, false);
    assert_eq!(started(&mut schedule), [0]);
    assert_eq!(schedule.finish(0, FAILS, NOW).status, TaskStatus::Failed);
    assert_eq!(started(&mut schedule), [1]);
    let reasons: Vec<_> = schedule
        .drain_settled()
        .into_iter()
        .map(|settled| settled.reason)
        .collect();
    assert_eq!(
        reasons,
        [StatusReason::WhenFalse, StatusReason::DependencySkipped]
    );
}

#[test]
fn handlers_run_after_a_failure_only() {
    for (end, wanted) in [(FAILS, vec![1]), (AttemptResult::Success, vec![])] {
        let mut plan = plan(&[&[], &[]]);
        plan.handlers = 1;
        let mut schedule = fresh(&plan, 4, true);
        assert_eq!(started(&mut schedule), [0]);
        let _verdict = schedule.finish(0, end, NOW);
        assert_eq!(started(&mut schedule), wanted);
        assert_eq!(schedule.is_over(), wanted.is_empty());
    }
}

fn extras(change: impl FnOnce(&mut OptionalTaskSettings)) -> Box<OptionalTaskSettings> {
    let mut extras = OptionalTaskSettings::default();
    change(&mut extras);
    Box::new(extras)
}

#[test]
fn fail_fast_is_not_for_failures_that_are_allowed_or_of_handlers() {
    let mut allowed = plan(&[&[], &[]]);
    allowed.tasks[0].extra = Some(extras(|extras| extras.allow_failure = true));
    let mut schedule = fresh(&allowed, 1, true);
    assert_eq!(started(&mut schedule), [0]);
    assert_eq!(schedule.finish(0, FAILS, NOW).status, TaskStatus::Failed);
    assert_eq!(started(&mut schedule), [1]);

    let mut handled = plan(&[&[], &[], &[]]);
    handled.handlers = 2;
    let mut schedule = fresh(&handled, 1, true);
    assert_eq!(started(&mut schedule), [0]);
    let _failed = schedule.finish(0, FAILS, NOW);
    assert_eq!(started(&mut schedule), [1]);
    let _failed = schedule.finish(1, FAILS, NOW);
    assert_eq!(started(&mut schedule), [2]);
}

#[test]
fn a_handler_waits_for_the_handler_it_depends_on() {
    let mut plan = plan(&[&[], &[], &[1]]);
    plan.handlers = 2;
    let mut schedule = fresh(&plan, 4, false);
    assert_eq!(started(&mut schedule), [0]);
    let _failed = schedule.finish(0, FAILS, NOW);
    assert_eq!(started(&mut schedule), [1]);
    let _good = schedule.finish(1, AttemptResult::Success, NOW);
    assert_eq!(started(&mut schedule), [2]);
}

#[test]
fn a_task_that_was_not_wanted_is_no_failure_for_handlers() {
    let mut plan = plan(&[&[], &[0], &[]]);
    plan.handlers = 1;
    plan.tasks[1].extra = Some(extras(|extras| {
        extras.when = Some(WhenCondition::parse("failed('t0')").unwrap());
    }));
    let mut schedule = fresh(&plan, 4, false);
    assert_eq!(started(&mut schedule), [0]);
    let _good = schedule.finish(0, AttemptResult::Success, NOW);
    assert_eq!(started(&mut schedule), Vec::<u32>::new());
    assert!(schedule.is_over());
}

#[test]
fn a_resumed_run_runs_its_handlers_for_failures_of_the_plan_proper_only() {
    use TaskStatus::{Failed, Pending, Success};
    for (before, wanted) in [
        ([Failed, Pending, Pending], vec![1, 2]),
        ([Success, Failed, Pending], vec![]),
    ] {
        let mut plan = plan(&[&[], &[], &[]]);
        plan.handlers = 2;
        let states = before.map(|status| TaskState {
            status,
            ..TaskState::default()
        });
        let rules = ScheduleRules {
            max_parallel: 4,
            fail_fast: false,
        };
        let mut schedule = TaskScheduler::new(&plan, PlanGraph::of(&plan), &states, rules);
        assert_eq!(started(&mut schedule), wanted, "{before:?}");
        assert_eq!(schedule.is_over(), wanted.is_empty(), "{before:?}");
    }
}

#[test]
fn a_resumed_run_remembers_how_and_why_its_tasks_ended() {
    let mut plan = plan(&[&[], &[0], &[], &[2]]);
    plan.tasks[1].extra = Some(extras(|extras| {
        extras.when = Some(WhenCondition::parse("exit_code('t0') == 3").unwrap());
    }));
    let mut states = vec![TaskState::default(); 4];
    (states[0].status, states[0].exit_code) = (TaskStatus::Failed, Some(3));
    states[2].status = TaskStatus::Skipped;
    states[2].reason = Some(StatusReason::WhenFalse);
    let rules = ScheduleRules {
        max_parallel: 4,
        fail_fast: false,
    };
    let mut schedule = TaskScheduler::new(&plan, PlanGraph::of(&plan), &states, rules);
    assert_eq!(started(&mut schedule), [1]);
    assert_eq!(
        schedule.drain_settled(),
        [UnstartedTasks {
            tasks: vec![3],
            status: TaskStatus::Skipped,
            reason: StatusReason::DependencySkipped
        }]
    );
}

#[test]
fn who_waits_for_one_resource_is_woken_by_how_much_of_that_one_it_needs() {
    let mut plan = plan(&[&[], &[]]);
    plan.resources = vec![("db".to_owned(), 1), ("cpu".to_owned(), 8)];
    plan.tasks[0].extra = Some(extras(|extras| extras.resources = vec![(0, 1)]));
    plan.tasks[1].extra = Some(extras(|extras| extras.resources = vec![(1, 8), (0, 1)]));
    let mut schedule = fresh(&plan, 4, false);
    assert_eq!(started(&mut schedule), [0]);
    let _good = schedule.finish(0, AttemptResult::Success, NOW);
    assert_eq!(started(&mut schedule), [1]);
}

#[test]
fn a_chain_of_a_hundred_thousand_skips_needs_no_stack() {
    let edges: Vec<Vec<u32>> = (0..100_000_u32)
        .map(|i| i.checked_sub(1).into_iter().collect())
        .collect();
    let plan = plan(&edges.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let mut schedule = fresh(&plan, 1, false);
    assert_eq!(started(&mut schedule), [0]);
    assert_eq!(schedule.finish(0, FAILS, NOW).status, TaskStatus::Failed);
    assert!(schedule.is_over());
    assert_eq!(schedule.drain_settled()[0].tasks.len(), 99_999);
}
