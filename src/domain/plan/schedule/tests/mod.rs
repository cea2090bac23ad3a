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
    task::{OptionalTaskSettings, TaskAction},
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

fn fresh(plan: &Plan, max_parallel: u32, fail_fast: bool) -> TaskScheduler<'_> {
    let states = vec![TaskState::default(); plan.tasks.len()];
    TaskScheduler::new(
        plan,
        PlanGraph::of(plan),
        &states,
        ScheduleRules {
            max_parallel,
            fail_fast,
        },
    )
}

const FAILS: AttemptResult = AttemptResult::Failure {
    code: Some(1),
    can_retry: true,
};
const NOW: Duration = Duration::ZERO;

fn started(schedule: &mut TaskScheduler<'_>) -> Vec<u32> {
    std::iter::from_fn(|| schedule.next(NOW)).collect()
}

mod examples;

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
                    let extra = OptionalTaskSettings {
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
                        ..OptionalTaskSettings::default()
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
    let mut schedule = TaskScheduler::new(&story.plan, graph.clone(), states, rules);
    let mut running: Vec<u32> = Vec::new();
    let mut now = Duration::ZERO;
    let mut in_passage = 0;
    for turn in 0..10_000 {
        record(&mut schedule, states, &story.plan, &graph);
        while let Some(task) = schedule.next(now) {
            is_startable_program(story, states, &graph, task);
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
            AttemptResult::Success
        } else {
            FAILS
        };
        *nth += 1;
        let verdict = schedule.finish(task, end, now);
        states[task as usize].status = verdict.status;
        states[task as usize].exit_code = Some(i32::from(end != AttemptResult::Success));
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

fn is_startable_program(story: &Story, states: &[TaskState], graph: &PlanGraph, task: u32) {
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
fn record(
    schedule: &mut TaskScheduler<'_>,
    states: &mut [TaskState],
    plan: &Plan,
    graph: &PlanGraph,
) {
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
