//! What holds in every world, checked against a record of its own: the checks do not trust the board's bookkeeping.

use std::collections::{BTreeMap, BTreeSet};

use tos::domain::board::{
    ApprovalSubject, BlockResolver, Board, DAY, Event, EventKind, Fence, HOUR, Input, JudgeEvent,
    JudgementId, OnDependencyCancelled, PlanEvent, PlanId, ProcessEvent, ProcessName, RequeueCause,
    RunEvent, RunId, RunStatus, SessionEvent, SessionId, Spend, SystemEvent, TaskEvent, TaskId,
    TaskSpec, TaskStatus, Verdict, overlap,
};
use tos::domain::ledger::TaskOutcome;

/// What the checks remember.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    created: BTreeSet<TaskId>,
    last_fence: u64,
    ended_runs: BTreeSet<RunId>,
    stopped: BTreeSet<ProcessName>,
    approved: BTreeSet<JudgementId>,
    calls: BTreeMap<u64, u64>,
    day_calls: BTreeMap<u64, u64>,
    /// Plans whose tasks wait for a person.
    proposed: BTreeSet<PlanId>,
    /// Failures in a row of each session, and the sessions that are ending.
    failures: BTreeMap<SessionId, u32>,
    ending: BTreeSet<SessionId>,
    /// When the cycle manager was last not up, or time was not its own.
    pub(crate) disturbed: u64,
}

type Checked = Result<(), String>;

fn broken(condition: bool, words: impl FnOnce() -> String) -> Checked {
    if condition { Ok(()) } else { Err(words()) }
}

impl Record {
    /// Checks an event before it is applied.
    pub(crate) fn before(&mut self, board: &Board, event: &Event) -> Checked {
        match &event.what {
            EventKind::Task(TaskEvent::Created { task, spec }) => {
                broken(self.created.insert(*task), || {
                    format!("{task} was made twice")
                })?;
                planned_once(board, spec)
            }
            EventKind::Task(TaskEvent::Answered {
                approval,
                allow,
                by,
            }) => {
                broken(*allow != Some(true) || by == "eva", || {
                    format!("{approval} was allowed by {by}, who is no person")
                })?;
                let until = board.approval(*approval).and_then(|one| one.until);
                let by_clock = *allow == Some(false) && by != "eva";
                broken(!by_clock || until.is_some_and(|at| at <= event.at), || {
                    format!(
                        "{approval} was denied by {by} at {} and waits until {until:?}",
                        event.at
                    )
                })
            }
            EventKind::Plan(event_of_plan) => self.plan_event(board, event_of_plan, event.at),
            EventKind::System(SystemEvent::PlanFinished { plan, tasks, error }) => {
                let made = error.is_none() && !tasks.is_empty();
                broken(!made || !self.proposed.contains(plan), || {
                    format!("the tasks of {plan} were made, and nobody accepted them")
                })
            }
            EventKind::Task(TaskEvent::Requeued {
                task,
                cause,
                lesson,
                ..
            }) => self.requeued(board, *task, *cause, lesson.is_some(), event.at),
            EventKind::Task(TaskEvent::Done { task, .. }) => {
                let status = board.task(*task).map(|task| task.status);
                broken(status == Some(TaskStatus::Blocked), || {
                    format!("{task} is done although it was {status:?}")
                })
            }
            EventKind::Run(event_of_run) => self.run_event(board, event_of_run, event.at),
            EventKind::Judge(JudgeEvent::Reviewed {
                judgement, verdict, ..
            }) => {
                if matches!(verdict, Verdict::Approve { .. }) {
                    self.approved.insert(*judgement);
                }
                Ok(())
            }
            EventKind::Judge(JudgeEvent::Enqueued {
                task, judgement, ..
            }) => broken(self.approved.contains(judgement), || {
                format!("{task} is queued without an approval")
            }),
            EventKind::Judge(
                JudgeEvent::Started { fence, .. } | JudgeEvent::Claimed { fence, .. },
            ) => self.fence(*fence),
            EventKind::Judge(JudgeEvent::Spent { spend, .. }) => {
                self.called(board, *spend, event.at)
            }
            EventKind::Process(ProcessEvent::StopRequested { name, by, .. }) => {
                if !by.starts_with("self-heal") {
                    self.stopped.insert(*name);
                }
                Ok(())
            }
            EventKind::Process(ProcessEvent::StartRequested {
                name,
                automatic,
                by,
                ..
            }) => {
                let obeyed = !*automatic || !self.stopped.contains(name);
                if !*automatic {
                    self.stopped.remove(name);
                }
                broken(obeyed, || {
                    format!("{name} was stopped, and {by} started it again")
                })
            }
            EventKind::Session(event_of_session) => {
                self.session_event(board, event_of_session, event.at)
            }
            _ => Ok(()),
        }
    }

    /// Notes what a person decides, before the board hears it.
    pub(crate) fn told(&mut self, input: &Input) {
        if let Input::DecidePlan {
            plan, accept: true, ..
        } = input
        {
            self.proposed.remove(plan);
        }
    }

    fn plan_event(&mut self, board: &Board, event: &PlanEvent, at: u64) -> Checked {
        match event {
            PlanEvent::Proposed { plan, .. } => {
                let asks = board
                    .plan(*plan)
                    .is_some_and(|plan| board.needs_plan_approval(plan));
                if asks {
                    self.proposed.insert(*plan);
                }
                Ok(())
            }
            PlanEvent::Spent { spend, .. } => self.called(board, *spend, at),
            PlanEvent::Replanned { plan, of, .. } => {
                let round = board.plan(*of).map_or(0, |plan| plan.round);
                broken(round < board.settings().replan_max, || {
                    format!("{plan} goes on from {of}, which was the last time")
                })?;
                let running = board.count(TaskStatus::Running);
                broken(running == 0, || {
                    format!("{plan} was asked for while {running} tasks ran")
                })?;
                let may = board.hatch().armed
                    && board.dispatch_hold().is_none()
                    && !self.stopped.contains(&ProcessName::Planner);
                broken(may, || format!("{plan} was asked for against a stop"))
            }
            PlanEvent::PreviewWanted { .. }
            | PlanEvent::Declined { .. }
            | PlanEvent::Edited { .. }
            | PlanEvent::NothingLeft { .. } => Ok(()),
        }
    }

    /// Counts calls of agents, planners and judges, which the same limits hold for.
    fn called(&mut self, board: &Board, spend: Spend, at: u64) -> Checked {
        let hour = self.calls.entry(at / HOUR).or_default();
        *hour += spend.calls;
        let most = board.settings().hour_limit.calls;
        broken(most.is_none_or(|most| *hour <= most), || {
            format!("{hour} calls in one hour")
        })?;
        let day = self.day_calls.entry(at / DAY).or_default();
        *day += spend.calls;
        let most = board.settings().day_limit.calls;
        broken(most.is_none_or(|most| *day <= most), || {
            format!("{day} calls in one day")
        })
    }

    /// The tasks of a session have their turns in order and within its limits.
    fn session_event(&mut self, board: &Board, event: &SessionEvent, at: u64) -> Checked {
        let id = event.session();
        match event {
            SessionEvent::TaskEnded { end, .. } => {
                let failures = self.failures.entry(id).or_default();
                match end.outcome {
                    TaskOutcome::Failed => *failures += 1,
                    TaskOutcome::Success => *failures = 0,
                    TaskOutcome::Blocked | TaskOutcome::Skipped | TaskOutcome::NotRun => {}
                }
                Ok(())
            }
            SessionEvent::Stopping { .. } | SessionEvent::Ended { .. } => {
                self.ending.insert(id);
                Ok(())
            }
            SessionEvent::Turn { place, .. } => {
                let Some(session) = board.session(id) else {
                    return Err(format!("{id} does not exist"));
                };
                let failures = self.failures.get(&id).copied().unwrap_or_default();
                broken(failures < 2, || {
                    format!("{id} goes on after {failures} failures in a row")
                })?;
                broken(!self.ending.contains(&id), || {
                    format!("{id} is ending and goes on")
                })?;
                let item = &session.spec.items[*place];
                let late = session
                    .deadline
                    .is_some_and(|deadline| at + item.seconds * 1000 > deadline);
                broken(!late, || {
                    format!("{id} starts a task that cannot end in time")
                })?;
                let ready = item
                    .needs
                    .iter()
                    .all(|need| session.outcomes[*need] == Some(TaskOutcome::Success));
                broken(ready, || format!("{id} starts a task before what it needs"))?;
                let open = session.outcomes[..*place].iter().all(Option::is_some);
                broken(open, || format!("{id} is out of order"))?;
                let tasks: BTreeSet<TaskId> = session.tasks.iter().flatten().copied().collect();
                let live = board.live_runs().filter(|run| tasks.contains(&run.task));
                // The run of this turn is there already.
                broken(live.count() <= 1, || format!("two tasks of {id} run"))
            }
            SessionEvent::StandsAside { .. } => {
                let tasks = board.session(id).map(|session| session.tasks.clone());
                let tasks = tasks.unwrap_or_default();
                let mut live = board.live_runs();
                broken(live.all(|run| !tasks.contains(&Some(run.task))), || {
                    format!("{id} waits and keeps its worker")
                })
            }
            SessionEvent::Started { .. }
            | SessionEvent::Ready { .. }
            | SessionEvent::Waits { .. }
            | SessionEvent::TriesAgain { .. }
            | SessionEvent::Reverted { .. }
            | SessionEvent::Restored { .. } => Ok(()),
        }
    }

    fn fence(&mut self, fence: Fence) -> Checked {
        let grows = fence.0 > self.last_fence;
        self.last_fence = self.last_fence.max(fence.0);
        broken(grows, || {
            format!("{fence} was given although {} was", self.last_fence)
        })
    }

    fn requeued(
        &mut self,
        board: &Board,
        id: TaskId,
        cause: RequeueCause,
        lesson: bool,
        at: u64,
    ) -> Checked {
        let Some(task) = board.task(id) else {
            return Err(format!("{id} does not exist"));
        };
        let live = board.live_runs().find(|run| run.task == id);
        broken(live.is_none(), || {
            format!("{id} is queued ({cause:?}), and {live:?} works on it")
        })?;
        broken(task.status != TaskStatus::Done, || {
            format!("{id} was done and is queued again")
        })?;
        if matches!(cause, RequeueCause::Rejected | RequeueCause::Conflict) {
            broken(lesson, || {
                format!("{id} was refused, and its next attempt is told nothing")
            })?;
        }
        if !matches!(
            cause,
            RequeueCause::Retry | RequeueCause::Rework | RequeueCause::QuotaOver
        ) {
            return Ok(());
        }
        let shown = board.countdown(task, at).and_then(|countdown| countdown.at);
        let Some(shown) = shown else {
            return Err(format!("{id} came back without a shown time"));
        };
        broken(at >= shown, || {
            format!("{id} came back at {at}, and {shown} was shown")
        })?;
        let late = at - shown;
        let undisturbed = self.disturbed + 10_000 < shown.min(task.since);
        broken(!undisturbed || late <= 2_000, || {
            format!("{id} ({cause:?}) came back {late} ms later than shown")
        })
    }

    fn run_event(&mut self, board: &Board, event: &RunEvent, at: u64) -> Checked {
        match event {
            RunEvent::Started {
                task,
                agent,
                fence,
                run,
                ..
            } => {
                self.fence(*fence)?;
                self.starts(board, *task, *agent, at)?;
                broken(board.run(*run).is_none(), || {
                    format!("{run} was given twice")
                })
            }
            RunEvent::Finished { run, kept, .. } => {
                broken(self.ended_runs.insert(*run), || {
                    format!("{run} ended twice")
                })?;
                let fence = board
                    .run(*run)
                    .map(|run| run.lease.fence.0)
                    .unwrap_or_default();
                let own = kept.as_ref().is_none_or(|kept| {
                    kept.commit.is_empty() || kept.commit == format!("c{fence}")
                });
                broken(own, || {
                    format!("{run} under {fence} took the work {kept:?} of another")
                })
            }
            RunEvent::Renewed { .. } | RunEvent::Spent { .. } => Ok(()),
        }
    }

    fn starts(&mut self, board: &Board, id: TaskId, agent: ProcessName, at: u64) -> Checked {
        let Some(task) = board.task(id) else {
            return Err(format!("{id} does not exist"));
        };
        broken(task.status == TaskStatus::Queued, || {
            format!("{id} started although it was {}", task.status_label())
        })?;
        broken(board.is_up(agent), || {
            format!("{id} was given to {agent}, which is not up")
        })?;
        broken(!self.stopped.contains(&agent), || {
            format!("{id} was given to {agent}, which was stopped")
        })?;
        let busy = board.live_runs().any(|run| run.agent == agent);
        broken(!busy, || format!("{agent} has two tasks"))?;
        for needed in &task.spec.dependencies {
            let status = board.task(needed.task).map(|needed| needed.status);
            let free = status == Some(TaskStatus::Done)
                || (needed.on_fail == OnDependencyCancelled::Continue
                    && status == Some(TaskStatus::Cancelled));
            broken(free, || {
                format!("{id} started although {} is {status:?}", needed.task)
            })?;
        }
        for other in board
            .tasks()
            .filter(|other| other.id != id && other.is_in_flight())
        {
            let common = overlap(&task.spec.paths, &other.spec.paths);
            broken(common.is_none(), || {
                format!("{id} and {} work on {common:?}", other.id)
            })?;
        }
        let one = Spend {
            calls: 1,
            ..Spend::default()
        };
        self.called(board, one, at)?;
        let spent = task.spent.calls;
        let limit = board
            .settings()
            .task_limit
            .calls
            .map(|limit| limit + u64::from(task.allowance));
        broken(limit.is_none_or(|limit| spent < limit), || {
            format!("{id} has had {spent} calls")
        })
    }

    /// Checks the state as a whole.
    pub(crate) fn state(board: &Board) -> Checked {
        let mut hands: BTreeMap<TaskId, usize> = BTreeMap::new();
        let mut agents = BTreeSet::new();
        for run in board.live_runs() {
            *hands.entry(run.task).or_default() += 1;
            broken(agents.insert(run.agent), || {
                format!("{} works twice", run.agent)
            })?;
        }
        for judgement in board.live_judgements() {
            broken(agents.insert(judgement.agent), || {
                format!("{} works twice", judgement.agent)
            })?;
        }
        for (task, count) in &hands {
            let status = board.task(*task).map(|task| task.status);
            broken(*count == 1 && status == Some(TaskStatus::Running), || {
                format!("{task} is {status:?} and in {count} hands")
            })?;
        }
        broken(board.count(TaskStatus::Running) == hands.len(), || {
            "a task runs in no hands".to_owned()
        })?;
        for approval in board.open_approvals() {
            if let ApprovalSubject::Action { run, .. } = &approval.subject {
                let live = board.live_runs().any(|one| one.id == *run);
                broken(live, || {
                    format!("{} is open, and {run}, which asked, is over", approval.id)
                })?;
            }
        }
        Ok(())
    }

    /// Checks every task: none is lost, and each that waits says for what.
    pub(crate) fn tasks(&self, board: &Board, now: u64) -> Checked {
        let there: BTreeSet<TaskId> = board.tasks().map(|task| task.id).collect();
        broken(there == self.created, || "a task is lost".to_owned())?;
        for task in board.tasks().filter(|task| !task.status.is_final()) {
            let why = board
                .why(task.id, now)
                .map_err(|refusal| refusal.to_string())?;
            let Some(first) = why.sentences.first() else {
                return Err(format!("{} says nothing", task.id));
            };
            broken(
                !first.text.is_empty() && first.resolver != BlockResolver::Nobody,
                || format!("{} ({}) waits for nobody: {first:?}", task.id, why.status),
            )?;
            let timed = task.resolver != BlockResolver::CycleManager
                || task.status == TaskStatus::Running
                || task.not_before.is_some();
            broken(timed, || {
                format!("{} waits for a time that is not set", task.id)
            })?;
        }
        let late = board
            .open_approvals()
            .find(|one| one.until.is_some_and(|until| until + 10_000 < now));
        broken(late.is_none(), || {
            format!("{late:?} should have ended by itself")
        })?;
        let live = board
            .runs()
            .filter(|run| run.status == RunStatus::Running)
            .count();
        broken(live == board.live_runs().count(), || {
            "the index of runs is wrong".to_owned()
        })
    }
}

/// A planner makes nothing that is on the board and not over.
fn planned_once(board: &Board, spec: &TaskSpec) -> Checked {
    let same = board.tasks().find(|task| {
        !task.status.is_final() && task.spec.title == spec.title && task.spec.paths == spec.paths
    });
    broken(same.is_none() || spec.source != "planner", || {
        format!("\"{}\" was planned twice: {same:?}", spec.title)
    })
}
