//! What the schedule promises, first by example, then for random plans, outcomes, crashes and resumes.

#![expect(
    clippy::too_many_lines,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a story is told in one piece"
)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::plan::{
    task::{TaskAction, TaskExtras},
    when::WhenCondition,
};

fn task(id: usize, depends_on: &[u32]) -> PlanTask {
    PlanTask {
        id: format!("t{id}").into(),
        action: TaskAction::Argv(vec!["true".to_owned()]),
        depends_on: depends_on.to_vec(),
        cwd: None,
        env: None,
        timeout_sec: None,
        retries: 0,
        retry_backoff_sec: vec![],
        outputs: vec![],
        extra: None,
    }
}

fn plan(edges: &[&[u32]]) -> Plan {
    Plan {
        tasks: edges
            .iter()
            .enumerate()
            .map(|(id, edges)| task(id, edges))
            .collect(),
        ..Plan::default()
    }
}

fn fresh(plan: &Plan, max_parallel: u32, fail_fast: bool) -> Schedule<'_> {
    let states = vec![TaskState::default(); plan.tasks.len()];
    Schedule::new(
        plan,
        PlanGraph::of(plan),
        &states,
        ScheduleRules {
            max_parallel,
            fail_fast,
        },
    )
}

const FAILS: AttemptEnd = AttemptEnd::Failure {
    code: Some(1),
    can_retry: true,
};
const NOW: Duration = Duration::ZERO;

fn started(schedule: &mut Schedule<'_>) -> Vec<u32> {
    std::iter::from_fn(|| schedule.next(NOW)).collect()
}

#[test]
fn a_failure_skips_everything_behind_it_and_nothing_else() {
    let plan = plan(&[&[], &[0], &[1], &[]]);
    let mut schedule = fresh(&plan, 4, false);
    assert_eq!(started(&mut schedule), [0, 3]);
    assert_eq!(
        schedule.finish(0, FAILS, NOW),
        AttemptVerdict {
            status: TaskStatus::Failed,
            wait: None
        }
    );
    assert_eq!(
        schedule.drain_settled(),
        [Settlement {
            tasks: vec![1, 2],
            status: TaskStatus::Skipped,
            reason: StatusReason::DependencyNotSuccess
        }]
    );
    assert!(!schedule.is_over());
    assert_eq!(
        schedule.finish(3, AttemptEnd::Success, NOW).status,
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
        AttemptVerdict {
            status: TaskStatus::Ready,
            wait
        }
    );
    assert_eq!(started(&mut schedule), [1]);
    assert_eq!(schedule.next_wake(), None);
    assert_eq!(
        schedule.finish(1, AttemptEnd::Success, NOW).status,
        TaskStatus::Success
    );
    assert_eq!(schedule.next_wake(), wait);
    assert_eq!(started(&mut schedule), [2]);
    assert_eq!(
        schedule.finish(2, AttemptEnd::Success, NOW).status,
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
    let of = |tasks: &[u32], status| Settlement {
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
    let canceled = Settlement {
        tasks: vec![1],
        status: TaskStatus::Canceled,
        reason: StatusReason::RunCanceled,
    };
    assert_eq!(schedule.drain_settled(), [canceled]);
    assert_eq!(
        schedule.finish(0, AttemptEnd::Success, NOW).status,
        TaskStatus::Canceled
    );
    assert!(schedule.is_over());
}

#[test]
fn priority_goes_first_and_plan_order_second() {
    let mut plan = plan(&[&[], &[], &[]]);
    plan.tasks[2].extra = Some(Box::new(TaskExtras {
        priority: 5,
        ..TaskExtras::default()
    }));
    assert_eq!(started(&mut fresh(&plan, 3, false)), [2, 0, 1]);
}

#[test]
fn a_resource_is_never_overdrawn_and_nobody_overtakes_in_its_queue() {
    let mut plan = plan(&[&[], &[], &[], &[]]);
    plan.resources = vec![("db".to_owned(), 2)];
    for (index, amount) in [1, 2, 1].into_iter().enumerate() {
        plan.tasks[index].extra = Some(Box::new(TaskExtras {
            resources: vec![(0, amount)],
            ..TaskExtras::default()
        }));
    }
    let mut schedule = fresh(&plan, 4, false);
    assert_eq!(started(&mut schedule), [0, 3]);
    assert_eq!(
        schedule.finish(0, AttemptEnd::Success, NOW).status,
        TaskStatus::Success
    );
    assert_eq!(started(&mut schedule), [1]);
    assert_eq!(
        schedule.finish(1, AttemptEnd::Success, NOW).status,
        TaskStatus::Success
    );
    assert_eq!(started(&mut schedule), [2]);
}

#[test]
fn a_condition_decides_instead_of_success_and_its_skips_are_harmless() {
    let mut plan = plan(&[&[], &[0], &[0], &[2]]);
    let when = |text| {
        Some(Box::new(TaskExtras {
            when: Some(WhenCondition::parse(text).unwrap()),
            ..TaskExtras::default()
        }))
    };
    plan.tasks[1].extra = when("failed('t0')");
    plan.tasks[2].extra = when("succeeded('t0')");
    plan.tasks[0].extra = Some(Box::new(TaskExtras {
        allow_failure: true,
        ..TaskExtras::default()
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
    for (end, wanted) in [(FAILS, vec![1]), (AttemptEnd::Success, vec![])] {
        let mut plan = plan(&[&[], &[]]);
        plan.handlers = 1;
        let mut schedule = fresh(&plan, 4, true);
        assert_eq!(started(&mut schedule), [0]);
        let _verdict = schedule.finish(0, end, NOW);
        assert_eq!(started(&mut schedule), wanted);
        assert_eq!(schedule.is_over(), wanted.is_empty());
    }
}

fn extras(change: impl FnOnce(&mut TaskExtras)) -> Option<Box<TaskExtras>> {
    let mut extras = TaskExtras::default();
    change(&mut extras);
    Some(Box::new(extras))
}

#[test]
fn fail_fast_is_not_for_failures_that_are_allowed_or_of_handlers() {
    let mut allowed = plan(&[&[], &[]]);
    allowed.tasks[0].extra = extras(|extras| extras.allow_failure = true);
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
    let _good = schedule.finish(1, AttemptEnd::Success, NOW);
    assert_eq!(started(&mut schedule), [2]);
}

#[test]
fn a_task_that_was_not_wanted_is_no_failure_for_handlers() {
    let mut plan = plan(&[&[], &[0], &[]]);
    plan.handlers = 1;
    plan.tasks[1].extra =
        extras(|extras| extras.when = Some(WhenCondition::parse("failed('t0')").unwrap()));
    let mut schedule = fresh(&plan, 4, false);
    assert_eq!(started(&mut schedule), [0]);
    let _good = schedule.finish(0, AttemptEnd::Success, NOW);
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
        let mut schedule = Schedule::new(&plan, PlanGraph::of(&plan), &states, rules);
        assert_eq!(started(&mut schedule), wanted, "{before:?}");
        assert_eq!(schedule.is_over(), wanted.is_empty(), "{before:?}");
    }
}

#[test]
fn a_resumed_run_remembers_how_and_why_its_tasks_ended() {
    let mut plan = plan(&[&[], &[0], &[], &[2]]);
    plan.tasks[1].extra =
        extras(|extras| extras.when = Some(WhenCondition::parse("exit_code('t0') == 3").unwrap()));
    let mut states = vec![TaskState::default(); 4];
    (states[0].status, states[0].exit_code) = (TaskStatus::Failed, Some(3));
    states[2].status = TaskStatus::Skipped;
    states[2].reason = Some(StatusReason::WhenFalse);
    let rules = ScheduleRules {
        max_parallel: 4,
        fail_fast: false,
    };
    let mut schedule = Schedule::new(&plan, PlanGraph::of(&plan), &states, rules);
    assert_eq!(started(&mut schedule), [1]);
    assert_eq!(
        schedule.drain_settled(),
        [Settlement {
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
    plan.tasks[0].extra = extras(|extras| extras.resources = vec![(0, 1)]);
    plan.tasks[1].extra = extras(|extras| extras.resources = vec![(1, 8), (0, 1)]);
    let mut schedule = fresh(&plan, 4, false);
    assert_eq!(started(&mut schedule), [0]);
    let _good = schedule.finish(0, AttemptEnd::Success, NOW);
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

/// One random plan and everything chance decides about its run.
#[derive(Debug, Clone)]
struct Story {
    plan: Plan,
    /// For each task the ends of its attempts; the last repeats.
    ends: Vec<Vec<bool>>,
    max_parallel: u32,
    fail_fast: bool,
    /// Which running task ends next.
    picks: Vec<prop::sample::Index>,
    /// After how many finishes each execution crashes; then it is resumed.
    crashes: Vec<usize>,
    /// After how many finishes over all executions the run is canceled.
    cancel: Option<usize>,
}

fn stories() -> impl Strategy<Value = Story> {
    (1_usize..25)
        .prop_flat_map(|count| {
            let edges = prop::collection::vec(
                prop::collection::vec(any::<prop::sample::Index>(), 0..4),
                count,
            );
            let retries = prop::collection::vec(0_u32..3, count);
            let ends = prop::collection::vec(
                prop::collection::vec(prop::bool::weighted(0.8), 1..4),
                count,
            );
            let kinds = prop::collection::vec((0_u32..6, -2_i32..3, 0_u32..3), count);
            let rest = (
                1_u32..5,
                any::<bool>(),
                prop::collection::vec(any::<prop::sample::Index>(), 1..50),
                prop::collection::vec(0_usize..20, 0..3),
                prop::option::weighted(0.2, 0_usize..30),
                0_usize..3,
            );
            (edges, retries, ends, kinds, rest)
        })
        .prop_map(
            |(
                edges,
                retries,
                ends,
                kinds,
                (max_parallel, fail_fast, picks, crashes, cancel, handlers),
            )| {
                let tasks = edges.iter().enumerate().map(|(id, picks)| {
                    let mut up: Vec<u32> = picks
                        .iter()
                        .filter(|_| id > 0)
                        .map(|pick| pick.index(id.max(1)) as u32)
                        .collect();
                    up.sort_unstable();
                    up.dedup();
                    let (kind, priority, resource) = kinds[id];
                    let extra = TaskExtras {
                        priority,
                        allow_failure: kind == 1,
                        when: match kind {
                            2 => Some(WhenCondition::parse("all_done").unwrap()),
                            3 => Some(WhenCondition::parse("any_failed").unwrap()),
                            _ => None,
                        },
                        resources: if resource == 0 {
                            vec![]
                        } else {
                            vec![(0, resource)]
                        },
                        ..TaskExtras::default()
                    };
                    PlanTask {
                        retries: retries[id],
                        extra: Some(Box::new(extra)),
                        ..task(id, &up)
                    }
                });
                let tasks: Vec<PlanTask> = tasks.collect();
                let handlers = handlers.min(tasks.len() - 1);
                let plan = Plan {
                    tasks,
                    handlers,
                    resources: vec![("r".to_owned(), 2)],
                    ..Plan::default()
                };
                Story {
                    plan,
                    ends,
                    max_parallel,
                    fail_fast,
                    picks,
                    crashes,
                    cancel,
                }
            },
        )
}

/// Runs the plan until it is over or crashes; returns true where it crashed.
fn passage(
    story: &Story,
    states: &mut [TaskState],
    tries: &mut BTreeMap<u32, usize>,
    crash: Option<usize>,
    finished: &mut usize,
) -> bool {
    let graph = PlanGraph::of(&story.plan);
    for state in states.iter_mut() {
        state.round = 0;
        if state.status != TaskStatus::Success {
            *state = TaskState {
                attempts: state.attempts,
                ..TaskState::default()
            };
        }
    }
    let rules = ScheduleRules {
        max_parallel: story.max_parallel,
        fail_fast: story.fail_fast,
    };
    let mut schedule = Schedule::new(&story.plan, graph.clone(), states, rules);
    let mut running: Vec<u32> = Vec::new();
    let mut now = Duration::ZERO;
    let mut in_passage = 0;
    for turn in 0..10_000 {
        record(&mut schedule, states, &story.plan, &graph);
        while let Some(task) = schedule.next(now) {
            may_start(story, states, &graph, task);
            states[task as usize].status = TaskStatus::Running;
            states[task as usize].attempts += 1;
            running.push(task);
            assert!(running.len() <= story.max_parallel as usize);
            let held: u32 = running
                .iter()
                .flat_map(|t| story.plan.tasks[*t as usize].resources())
                .map(|(_, n)| n)
                .sum();
            assert!(held <= 2, "resource overdrawn");
        }
        if schedule.is_over() {
            assert!(running.is_empty());
            return false;
        }
        if crash == Some(in_passage) {
            return true;
        }
        if running.is_empty() {
            now = schedule
                .next_wake()
                .expect("something runs, waits, or everything is over");
            continue;
        }
        if story.cancel == Some(*finished) {
            schedule.cancel();
        }
        let task = running.swap_remove(story.picks[turn % story.picks.len()].index(running.len()));
        let nth = tries.entry(task).or_default();
        let ends = &story.ends[task as usize];
        let end = if ends[(*nth).min(ends.len() - 1)] {
            AttemptEnd::Success
        } else {
            FAILS
        };
        *nth += 1;
        let verdict = schedule.finish(task, end, now);
        states[task as usize].status = verdict.status;
        states[task as usize].exit_code = Some(i32::from(end != AttemptEnd::Success));
        *finished += 1;
        in_passage += 1;
    }
    panic!("the passage does not end");
}

fn is_good(plan: &Plan, states: &[TaskState], task: u32) -> bool {
    let status = states[task as usize].status;
    status == TaskStatus::Success
        || (status == TaskStatus::Failed && plan.tasks[task as usize].allow_failure())
}

fn may_start(story: &Story, states: &[TaskState], graph: &PlanGraph, task: u32) {
    assert!(
        !states[task as usize].status.is_over(),
        "t{task} started again after its end"
    );
    for up in graph.dependencies(task) {
        assert!(
            states[*up as usize].status.is_over(),
            "t{task} started before t{up} was over"
        );
        if story.plan.tasks[task as usize].condition().is_none() {
            assert!(
                is_good(&story.plan, states, *up),
                "t{task} started although t{up} did not succeed"
            );
        }
    }
}

/// Writes settlements into the states and checks that every reason is true.
fn record(schedule: &mut Schedule<'_>, states: &mut [TaskState], plan: &Plan, graph: &PlanGraph) {
    for settlement in schedule.drain_settled() {
        for task in settlement.tasks {
            assert!(!states[task as usize].status.is_over());
            assert_ne!(states[task as usize].status, TaskStatus::Running);
            let up = graph.dependencies(task);
            let is_true = match settlement.reason {
                StatusReason::DependencyNotSuccess => {
                    up.iter().any(|up| !is_good(plan, states, *up))
                }
                StatusReason::DependencySkipped => up
                    .iter()
                    .any(|up| states[*up as usize].status == TaskStatus::Skipped),
                StatusReason::WhenFalse => plan.tasks[task as usize].condition().is_some(),
                StatusReason::FailFast => states
                    .iter()
                    .any(|state| state.status == TaskStatus::Failed),
                StatusReason::RunCanceled => schedule.is_canceled(),
                StatusReason::NothingFailed => task as usize >= plan.main_task_count(),
                _ => false,
            };
            assert!(is_true, "t{task}: {:?} is not true", settlement.reason);
            states[task as usize].status = settlement.status;
            states[task as usize].reason = Some(settlement.reason);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_task_ends_truly_whatever_happens(story in stories()) {
        let mut states = vec![TaskState::default(); story.plan.tasks.len()];
        let mut tries = BTreeMap::new();
        let mut finished = 0;
        let mut crashes = story.crashes.clone();
        loop {
            let succeeded: Vec<_> = states.iter().map(|state| state.status == TaskStatus::Success).collect();
            let attempts: Vec<_> = states.iter().map(|state| state.attempts).collect();
            let crashed = passage(&story, &mut states, &mut tries, crashes.pop(), &mut finished);
            for (task, state) in states.iter().enumerate() {
                // What succeeded in an earlier execution was not touched.
                prop_assert!(!succeeded[task] || (state.status == TaskStatus::Success && state.attempts == attempts[task]));
                prop_assert!(crashed || state.status.is_over());
                prop_assert!(state.attempts - attempts[task] <= story.plan.tasks[task].retries + 1);
            }
            if !crashed {
                break;
            }
        }
    }
}
