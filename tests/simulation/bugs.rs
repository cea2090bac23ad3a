//! Bugs put in on purpose: each spoils what the board decides, or what the shell around it does.

use tos::domain::board::{
    Board, Decision, Event, EventKind, Fence, Input, ProcessEvent, RequeueCause, Role, RunEvent,
    RunId, RunOutcome, SessionEvent, TaskEvent, TaskStatus, Verdict, overlap,
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
    /// A session forgets how many of its tasks failed.
    FailuresForgotten,
}

pub(crate) const ALL: [Bug; 14] = [
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
    Bug::FailuresForgotten,
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
                    .and_then(|judgement| board.judge_base(judgement.task))
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
pub(crate) fn spoil(bug: Bug, board: &Board, input: &Input, decision: &mut Decision, now: u64) {
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
    if is_dispatch {
        inject_start(bug, board, decision, now);
    }
}

fn inject_start(bug: Bug, board: &Board, decision: &mut Decision, now: u64) {
    let idle = board.agents().find(|agent| {
        agent.role == Role::Worker && agent.status == tos::domain::board::AgentStatus::Idle
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
        },
    ));
}
