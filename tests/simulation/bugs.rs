//! Bugs put in on purpose: each spoils what the board decides, or what the shell around it does.

use tos::domain::board::{
    AgentRole, Board, BoardReaction, Event, EventKind, Fence, Input, PlanEvent, PlanId,
    ProcessEvent, RequeueCause, RunEvent, RunId, RunOutcome, SessionEvent, SessionInput, Spend,
    SystemEvent, TaskEvent, TaskId, TaskStatus, Verdict, overlap,
};

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A result is taken under an old number.
    ZombieIsHeard,
    /// A task starts before what it needs is merged.
    DependencyIgnored,
    /// Tasks with common files run together.
    AreaIgnored,
    /// A running task is given to a second agent.
    GivenTwice,
    /// A task whose lease ended does not come back.
    TaskLost,
    /// A stop is forgotten.
    StopForgotten,
    /// A task is tried again before the time that was shown.
    CountdownLies,
    /// An examination that failed counts as an approval.
    FailureApproves,
    /// Effects happen before their events are durable.
    EffectsFirst,
    /// Runs start although the budget is used up.
    BudgetIgnored,
    /// A branch is set without comparing.
    BranchForced,
    /// The reasons of a judge do not reach the task.
    ReasonsLost,
    /// An agent that is busy gets a second task.
    AgentTwice,
    /// A cancelled run goes on, and its task is queued.
    CancelLeavesRun,
    /// A question whose time is over counts as allowed.
    ClockSaysYes,
    /// A question stays open when its run is over.
    QuestionOutlives,
    /// The tasks of a plan are made before a person accepts them.
    PlanUnasked,
    /// A planned task that is on the board is made again.
    PlannedTwice,
    /// A requirement is planned again and again.
    ReplanForever,
    /// A planner calls a model although the budget is used up.
    PlannerOverBudget,
    /// A session forgets how many of its tasks failed.
    FailuresForgotten,
    /// A second try goes on under the number of the first.
    TryKeepsNumber,
}

pub(crate) const ALL: [Bug; 22] = [
    Bug::ZombieIsHeard,
    Bug::DependencyIgnored,
    Bug::AreaIgnored,
    Bug::GivenTwice,
    Bug::TaskLost,
    Bug::StopForgotten,
    Bug::CountdownLies,
    Bug::FailureApproves,
    Bug::EffectsFirst,
    Bug::BudgetIgnored,
    Bug::BranchForced,
    Bug::ReasonsLost,
    Bug::AgentTwice,
    Bug::CancelLeavesRun,
    Bug::ClockSaysYes,
    Bug::QuestionOutlives,
    Bug::PlanUnasked,
    Bug::PlannedTwice,
    Bug::ReplanForever,
    Bug::PlannerOverBudget,
    Bug::FailuresForgotten,
    Bug::TryKeepsNumber,
];

/// Spoils an input on its way to the board.
pub(crate) fn spoil_input(bug: Bug, board: &Board, input: Input) -> Input {
    match (bug, input) {
        (
            Bug::ZombieIsHeard,
            Input::FinishRun {
                run,
                outcome: outcome @ RunOutcome::Committed { .. },
                log,
                fence,
            },
        ) => {
            let task = board.run(run).and_then(|run| board.task(run.task));
            let current = task.and_then(|task| task.run).and_then(|id| board.run(id));
            let (run, fence) = current.map_or((run, fence), |run| (run.id, run.lease.fence));
            Input::FinishRun {
                run,
                fence,
                outcome,
                log,
            }
        }
        (
            Bug::FailureApproves,
            Input::FinishJudgement {
                judgement,
                fence,
                verdict: Verdict::NoVerdict { .. },
            },
        ) => {
            let verdict = Verdict::Approve {
                base: board
                    .judgement(judgement)
                    .and_then(|judgement| board.judge_base_commit(judgement.task))
                    .unwrap_or("tip")
                    .to_owned(),
                commit: format!("m{}", fence.0),
                notes: Vec::new(),
            };
            Input::FinishJudgement {
                judgement,
                fence,
                verdict,
            }
        }
        (_, input) => input,
    }
}

/// Spoils a decision.
pub(crate) fn spoil(
    bug: Bug,
    board: &Board,
    input: &Input,
    decision: &mut BoardReaction,
    now: u64,
) {
    let is_dispatch = matches!(input, Input::RenewRun { .. });
    for event in &mut decision.events {
        match &mut event.what {
            EventKind::Process(ProcessEvent::StopRequested { remember, .. })
                if bug == Bug::StopForgotten =>
            {
                *remember = false;
            }
            EventKind::Session(SessionEvent::TaskEnded {
                failures_in_a_row, ..
            }) if bug == Bug::FailuresForgotten => {
                *failures_in_a_row = 0;
            }
            EventKind::Task(TaskEvent::Requeued {
                lesson,
                cause: RequeueCause::Rejected,
                ..
            }) if bug == Bug::ReasonsLost => {
                *lesson = None;
            }
            _ => {}
        }
    }
    if bug == Bug::TaskLost {
        decision.events.retain(|event| {
            !matches!(
                event.what,
                EventKind::Task(TaskEvent::Requeued {
                    cause: RequeueCause::LeaseExpired,
                    ..
                })
            )
        });
    }
    if bug == Bug::CountdownLies
        && matches!(input, Input::RenewRun { .. })
        && let Some(task) = board.tasks().find(|task| task.status == TaskStatus::Failed)
    {
        decision.events.push(Event::new(
            now,
            TaskEvent::Requeued {
                task: task.id,
                cause: RequeueCause::Retry,
                detail: String::new(),
                lesson: None,
            },
        ));
    }
    if bug == Bug::TryKeepsNumber && matches!(input, Input::Session(SessionInput::Again { .. })) {
        for event in &mut decision.events {
            if let EventKind::Run(RunEvent::Started { fence, .. }) = &mut event.what {
                fence.0 -= 1;
            }
        }
    }
    spoil_plans_and_questions(bug, board, input, decision, now);
    if is_dispatch {
        inject_start(bug, board, decision, now);
    }
}

fn spoil_plans_and_questions(
    bug: Bug,
    board: &Board,
    input: &Input,
    decision: &mut BoardReaction,
    now: u64,
) {
    let events = &mut decision.events;
    match (bug, input) {
        (Bug::CancelLeavesRun, Input::CancelRun { .. }) => {
            events.retain(|event| !matches!(event.what, EventKind::Run(RunEvent::Finished { .. })));
        }
        (Bug::ClockSaysYes, Input::Wake { .. }) => {
            for event in events {
                if let EventKind::Task(TaskEvent::Answered { allow, .. }) = &mut event.what {
                    *allow = allow.map(|_| true);
                }
            }
        }
        (Bug::QuestionOutlives, Input::FinishRun { .. }) => {
            events
                .retain(|event| !matches!(event.what, EventKind::Task(TaskEvent::Answered { .. })));
        }
        (Bug::PlanUnasked, Input::Propose { plan, proposal, .. }) if events.len() == 1 => {
            let task = TaskId(board.globals().last_task.0 + 1);
            let Some(spec) = proposal.tasks.first() else {
                return;
            };
            let mut spec = spec.clone();
            "spoiled".clone_into(&mut spec.source);
            let spec = Box::new(spec);
            events.push(Event::new(now, TaskEvent::Created { task, spec }));
            let finished = SystemEvent::PlanFinished {
                plan: *plan,
                tasks: vec![task],
                error: None,
            };
            events.push(Event::new(now, finished));
        }
        (Bug::PlannedTwice, Input::Propose { .. }) => {
            let open = board.tasks().find(|task| !task.status.is_final());
            let made = events.iter_mut().find_map(|event| match &mut event.what {
                EventKind::Task(TaskEvent::Created { spec, .. }) => Some(spec),
                _ => None,
            });
            if let (Some(open), Some(spec)) = (open, made) {
                spec.title.clone_from(&open.spec.title);
                spec.paths.clone_from(&open.spec.paths);
            }
        }
        (Bug::ReplanForever, Input::RenewRun { .. }) => {
            if let Some(last) = board.plans().next_back().filter(|plan| plan.round >= 3) {
                let replanned = PlanEvent::Replanned {
                    plan: PlanId(last.id.0 + 1),
                    of: last.id,
                    requirement: last.requirement.clone(),
                };
                events.push(Event::new(now, replanned));
            }
        }
        (Bug::PlannerOverBudget, Input::RenewRun { .. }) => {
            if let Some(last) = board.plans().next_back() {
                let spend = Spend {
                    calls: 1,
                    ..Spend::default()
                };
                let plan = last.id;
                events.push(Event::new(now, PlanEvent::Spent { plan, spend }));
            }
        }
        _ => {}
    }
}

fn inject_start(bug: Bug, board: &Board, decision: &mut BoardReaction, now: u64) {
    let idle = board.agents().find(|agent| {
        agent.role == AgentRole::Worker
            && agent.status == tos::domain::board::AgentAvailability::Idle
    });
    let busy = board.live_runs().next().map(|run| run.agent);
    let queued = || {
        board
            .tasks()
            .filter(|task| task.status == TaskStatus::Queued)
    };
    let unmerged = |task: &&tos::domain::board::Task| {
        task.spec.dependencies.iter().any(|needed| {
            board
                .task(needed.task)
                .is_some_and(|needed| !needed.status.is_final())
        })
    };
    let in_flight = |task: &&tos::domain::board::Task| {
        board.tasks().any(|other| {
            other.id != task.id
                && other.is_in_flight()
                && overlap(&task.spec.paths, &other.spec.paths).is_some()
        })
    };
    let task = match bug {
        Bug::DependencyIgnored => queued().find(unmerged),
        Bug::AreaIgnored => queued().find(|task| !unmerged(task) && in_flight(task)),
        Bug::GivenTwice => board
            .tasks()
            .find(|task| task.status == TaskStatus::Running),
        Bug::BudgetIgnored => queued().find(|task| !unmerged(task) && !in_flight(task)),
        Bug::AgentTwice => queued().find(|task| !unmerged(task) && !in_flight(task)),
        _ => None,
    };
    let agent = if bug == Bug::AgentTwice {
        busy
    } else {
        idle.map(|agent| agent.id)
    };
    let (Some(task), Some(agent)) = (task, agent) else {
        return;
    };
    decision.events.push(Event::new(
        now,
        RunEvent::Started {
            run: RunId(board.globals().last_run.0 + 1),
            task: task.id,
            agent,
            fence: Fence(board.globals().last_fence.0 + 1),
            until: now + 60_000,
            log: String::new(),
        },
    ));
}
