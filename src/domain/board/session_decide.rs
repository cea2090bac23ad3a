//! What happens to a session: whose turn it is, and when it stops.

use super::{
    AgentRole, Board, BoardResponse, Draft, Effect, Fence, Millis, ProcessName, Refusal,
    RefusalCode, Run, RunEvent, RunId, RunStatus, SessionId, Spend, SystemEvent, Task, TaskEvent,
    TaskId, TaskSpec, TaskStatus,
    session::{Session, SessionEvent, SessionSpec, SessionStop, SessionTaskEnd},
    session_input::{SessionEffect, SessionInput},
    work::{ended, stale},
};
use crate::domain::{
    ledger::TaskOutcome,
    tasks::{QueueAction, StopReason, TaskVerdict},
};

/// How many tasks a session may have; it is written as a whole with each step.
const MOST: usize = 1000;
/// How many sessions may be under way; each has a thread, and a worker while one of its tasks is at work.
const MOST_OPEN: usize = 16;

/// What a session does next.
enum Step<'a> {
    /// A task is passed over.
    Skip(SessionTaskEnd),
    /// No further task starts.
    Over(SessionStop),
    /// A person has to say go.
    Ask(&'a Task),
    /// A task has its turn.
    Turn(usize, &'a Task, ProcessName),
}

impl Board {
    pub(super) fn handle_session_input(
        &self,
        draft: &mut Draft,
        input: &SessionInput,
    ) -> Result<(), Refusal> {
        match input {
            SessionInput::Start { spec } => self.start_session(draft, spec),
            SessionInput::Record { record } => self.record_session(draft, record),
            SessionInput::Cancel {
                session,
                reason,
                by,
            } => self.cancel_session(draft, *session, reason, by),
            SessionInput::Restore {
                session,
                outcomes,
                failures_in_a_row,
            } => {
                let known = self.require_open_session(*session)?;
                self.refuse_at_work(known)?;
                draft.event(SessionEvent::Restored {
                    session: *session,
                    outcomes: outcomes.clone(),
                    failures_in_a_row: *failures_in_a_row,
                    logs: known.name_when_resumed(&self.globals.instance),
                });
                Ok(())
            }
            SessionInput::Ready { session } => self.ready_session(draft, *session),
            SessionInput::StandAside {
                session,
                run,
                fence,
                until,
                detail,
            } => self.stand_aside(draft, *session, (*run, *fence), (*until, detail)),
            SessionInput::Again {
                session,
                run,
                fence,
                reason,
            } => self.try_again(draft, *session, (*run, *fence), reason),
            SessionInput::FinishTask { .. } => self.finish_session_task(draft, input),
            SessionInput::Revert {
                session,
                places,
                reason,
            } => {
                let session = self.require_open_session(*session)?;
                let mut queue = session.queue();
                queue.revert_accepted(places);
                draft.event(SessionEvent::Reverted {
                    session: session.id,
                    places: places.clone(),
                    reason: reason.clone(),
                    failures_in_a_row: queue.failures_in_a_row(),
                });
                Self::note_stop(draft, session, queue.stop_reason(), reason);
                Ok(())
            }
            SessionInput::Finish { .. } => self.finish_session(draft, input),
        }
    }

    pub(super) fn require_open_session(&self, id: SessionId) -> Result<&Session, Refusal> {
        let session = self.session(id);
        let session = session.ok_or_else(|| {
            Refusal::new(
                RefusalCode::NotFound,
                format!("there is no {id}"),
                "`tos night list` shows the runs on record",
            )
        })?;
        if session.is_open() {
            return Ok(session);
        }
        Err(Refusal::new(
            RefusalCode::Conflict,
            format!("{id} is over: {}", session.status()),
            "",
        ))
    }

    fn start_session(&self, draft: &mut Draft, spec: &SessionSpec) -> Result<(), Refusal> {
        let invalid = |reason: String| Err(Refusal::new(RefusalCode::Invalid, reason, ""));
        if spec.run.is_empty() || spec.items.is_empty() || spec.items.len() > MOST {
            return invalid(format!("a session needs a run and 1 to {MOST} tasks"));
        }
        let bad = |(place, item): (usize, &super::SessionItem)| {
            item.needs
                .iter()
                .any(|need| *need >= place)
                .then_some(place)
        };
        if let Some(place) = spec.items.iter().enumerate().find_map(bad) {
            return invalid(format!(
                "task {} needs what does not stand above it",
                place + 1
            ));
        }
        // Each owns a chain of commits, named by its run; a list twice at once would only be the same work twice.
        let same = |open: &&Session| open.spec.run == spec.run || open.spec.list == spec.list;
        if let Some(open) = self.open_sessions().find(same) {
            return Err(Refusal::new(
                RefusalCode::Conflict,
                format!(
                    "{} ({}, list {}) is under way already",
                    open.id, open.spec.run, open.spec.list
                ),
                format!("wait for it, or `tos night cancel {}` ends it", open.id.0),
            ));
        }
        if self.open_sessions().count() >= MOST_OPEN {
            return Err(Refusal::new(
                RefusalCode::Conflict,
                format!("{MOST_OPEN} sessions are under way, which is the most"),
                "wait for one of them",
            ));
        }
        let session = SessionId(self.globals.last_session.0 + 1);
        let mut last = self.globals.last_task.0;
        let mut tasks = Vec::new();
        for item in &spec.items {
            if item.outcome.is_some() {
                tasks.push(None);
                continue;
            }
            last += 1;
            tasks.push(Some(TaskId(last)));
        }
        draft.event(SessionEvent::Started {
            session,
            spec: Box::new(spec.clone()),
            tasks: tasks.clone(),
        });
        for (item, task) in spec.items.iter().zip(tasks) {
            let Some(task) = task else { continue };
            let made = TaskSpec {
                session: Some(session),
                ..item.task.clone()
            };
            draft.event(TaskEvent::Created {
                task,
                spec: Box::new(made),
            });
        }
        draft.effect(Effect::Session(SessionEffect::Open {
            session,
            resume: false,
        }));
        draft.answer(BoardResponse::Session { session });
        Ok(())
    }

    fn ready_session(&self, draft: &mut Draft, id: SessionId) -> Result<(), Refusal> {
        let session = self.require_open_session(id)?;
        if let Some(stop) = &session.stop {
            draft.effect(Effect::Session(SessionEffect::Stop {
                session: id,
                stop: stop.clone(),
            }));
            return Ok(());
        }
        self.refuse_at_work(session)?;
        if !session.ready {
            draft.event(SessionEvent::Ready { session: id });
        }
        Ok(())
    }

    /// Whoever performs a session is between two tasks, or what it says is old.
    fn refuse_at_work(&self, session: &Session) -> Result<(), Refusal> {
        let at_work = session.tasks.iter().flatten();
        let mut at_work = at_work.filter_map(|task| self.live_run_of(self.task(*task)?));
        at_work.next().map_or(Ok(()), |run| {
            Err(Refusal::new(
                RefusalCode::Conflict,
                format!("{} of {} is at work", run.id, session.id),
                "",
            ))
        })
    }

    fn cancel_session(
        &self,
        draft: &mut Draft,
        id: SessionId,
        reason: &str,
        by: &str,
    ) -> Result<(), Refusal> {
        let session = self.require_open_session(id)?;
        if session.stop.is_some() {
            draft.answer(BoardResponse::Already {
                detail: format!("{id} is ending already"),
            });
            return Ok(());
        }
        let detail = if reason.is_empty() {
            format!("cancelled by {by}")
        } else {
            format!("{reason} ({by})")
        };
        Self::note_stop(draft, session, Some(StopReason::Operator), &detail);
        Ok(())
    }

    /// Lets no further task of a session start; the first reason counts.
    fn note_stop(draft: &mut Draft, session: &Session, why: Option<StopReason>, detail: &str) {
        let Some(why) = why.filter(|_| session.stop.is_none()) else {
            return;
        };
        let stop = SessionStop {
            why,
            detail: detail.to_owned(),
        };
        draft.event(SessionEvent::Stopping {
            session: session.id,
            stop: stop.clone(),
        });
        draft.effect(Effect::Session(SessionEffect::Stop {
            session: session.id,
            stop,
        }));
    }

    /// A task of a session that is taken off its agent ends the session: what comes after it stands on its work.
    pub(super) fn stop_session_of(&self, draft: &mut Draft, run: &Run, why: &str) {
        let session = self.task(run.task).and_then(|task| self.session_of(task));
        if let Some(session) = session {
            Self::note_stop(draft, session, Some(StopReason::Operator), why);
        }
    }

    /// A session decides about its tasks until it is over.
    pub(super) fn refuse_in_session(&self, task: &Task) -> Result<(), Refusal> {
        let Some(session) = self.session_of(task) else {
            return Ok(());
        };
        let id = session.id;
        Err(Refusal::new(
            RefusalCode::Conflict,
            format!("{} belongs to {id}, which is not over", task.id),
            format!("wait for it, or `tos night cancel {}`", id.0),
        ))
    }

    /// Stops every session.
    pub(super) fn stop_sessions(&self, draft: &mut Draft, by: &str) {
        for session in self.open_sessions() {
            let detail = format!("everything was stopped by {by}");
            Self::note_stop(draft, session, Some(StopReason::Operator), &detail);
        }
    }

    fn finish_session_task(&self, draft: &mut Draft, input: &SessionInput) -> Result<(), Refusal> {
        let SessionInput::FinishTask {
            session,
            run,
            fence,
            verdict,
            end,
            spend,
            log,
        } = input
        else {
            return Ok(());
        };
        let session = self.require_open_session(*session)?;
        let run = self.fenced_session_run(session, *run, *fence)?;
        if session.turn.is_none_or(|turn| turn.place != end.place) {
            return Err(stale(format!(
                "{} has not the turn of {}",
                run.id, session.id
            )));
        }
        if *spend != Spend::default() {
            draft.event(RunEvent::Spent {
                run: run.id,
                spend: *spend,
            });
        }
        let status = match end.outcome {
            TaskOutcome::Success => RunStatus::Success,
            TaskOutcome::Failed => RunStatus::Failed,
            TaskOutcome::Blocked | TaskOutcome::Skipped | TaskOutcome::NotRun => {
                RunStatus::Cancelled
            }
        };
        let error = if status == RunStatus::Success {
            ""
        } else {
            end.reason.as_str()
        };
        draft.event(ended(run, status, error, None, None, log));
        Self::task_ended(draft, session, *verdict, end);
        Ok(())
    }

    fn task_ended(
        draft: &mut Draft,
        session: &Session,
        verdict: TaskVerdict,
        end: &SessionTaskEnd,
    ) {
        let mut queue = session.queue();
        queue.finish(end.place, verdict);
        draft.event(SessionEvent::TaskEnded {
            session: session.id,
            end: end.clone(),
            failures_in_a_row: queue.failures_in_a_row(),
        });
        Self::note_stop(draft, session, queue.stop_reason(), &end.reason);
    }

    fn finish_session(&self, draft: &mut Draft, input: &SessionInput) -> Result<(), Refusal> {
        let SessionInput::Finish {
            session,
            why,
            error,
            ends,
            report,
        } = input
        else {
            return Ok(());
        };
        let session = self.require_open_session(*session)?;
        // What ran on for whatever reason runs no more.
        let live = session.tasks.iter().flatten();
        for run in live.filter_map(|task| self.live_run_of(self.task(*task)?)) {
            self.cancel_run(draft, run, "its session is over");
        }
        for end in ends {
            draft.event(SessionEvent::TaskEnded {
                session: session.id,
                end: end.clone(),
                failures_in_a_row: session.failures_in_a_row,
            });
        }
        let known: Vec<usize> = ends.iter().map(|end| end.place).collect();
        self.end_rest(draft, session, &known, "not run");
        let known = session.stop.as_ref().map(|stop| stop.why);
        if let Some(why) = why.filter(|why| known != Some(*why)) {
            draft.event(SessionEvent::Stopping {
                session: session.id,
                stop: SessionStop {
                    why,
                    detail: String::new(),
                },
            });
        }
        draft.event(SessionEvent::Ended {
            session: session.id,
            error: error.clone(),
            report: report.clone(),
        });
        Ok(())
    }

    /// Takes what has no result off the board's queue.
    fn end_rest(&self, draft: &mut Draft, session: &Session, known: &[usize], reason: &str) {
        for (place, task) in session.tasks.iter().enumerate() {
            let task = task.and_then(|task| self.task(task));
            let has_result = session.outcomes.get(place).copied().flatten().is_some();
            let open = task.filter(|task| {
                matches!(task.status, TaskStatus::Queued | TaskStatus::Running)
                    && !has_result
                    && !known.contains(&place)
            });
            let Some(task) = open else { continue };
            if let Some(question) = task.approval {
                draft.event(TaskEvent::Answered {
                    approval: question,
                    allow: None,
                    by: "its session is over".to_owned(),
                });
            }
            draft.event(SessionEvent::TaskEnded {
                session: session.id,
                end: SessionTaskEnd {
                    place,
                    outcome: TaskOutcome::NotRun,
                    reason: reason.to_owned(),
                    commit: None,
                },
                failures_in_a_row: session.failures_in_a_row,
            });
        }
    }

    /// A new service performs the sessions that were under way; one that was being stopped is over.
    pub(super) fn resume_sessions(&self, draft: &mut Draft) {
        for session in self.open_sessions() {
            if session.stop.is_none() {
                draft.effect(Effect::Session(SessionEffect::Open {
                    session: session.id,
                    resume: true,
                }));
                continue;
            }
            self.end_rest(draft, session, &[], "not run");
            draft.event(SessionEvent::Ended {
                session: session.id,
                error: "the service died while the session was being stopped".to_owned(),
                report: String::new(),
            });
        }
    }

    /// Does the most urgent step of a session; `false` = there is none.
    pub(super) fn dispatch_session(&self, draft: &mut Draft) -> bool {
        // The oldest first; one that just had a turn is not ready yet, so that they take turns where workers are few.
        let mut open: Vec<&Session> = self.open_sessions().collect();
        open.reverse();
        let step = open
            .into_iter()
            .find_map(|session| Some((session, self.session_step(session, draft.now)?)));
        let Some((session, step)) = step else {
            return false;
        };
        match step {
            Step::Skip(end) => draft.event(SessionEvent::TaskEnded {
                session: session.id,
                end,
                failures_in_a_row: session.failures_in_a_row,
            }),
            Step::Over(stop) => Self::note_stop(draft, session, Some(stop.why), &stop.detail),
            Step::Ask(task) => self.ask_start_approval(draft, task),
            Step::Turn(place, task, agent) => self.give_turn(draft, session, place, task, agent),
        }
        true
    }

    fn give_turn(
        &self,
        draft: &mut Draft,
        session: &Session,
        place: usize,
        task: &Task,
        agent: ProcessName,
    ) {
        if self.cycle().is_none() {
            let number = self.cycles.keys().next_back().copied().unwrap_or_default() + 1;
            draft.event(SystemEvent::CycleStarted { number });
        }
        let run = RunId(self.globals.last_run.0 + 1);
        let fence = Fence(self.globals.last_fence.0 + 1);
        draft.event(RunEvent::Started {
            run,
            task: task.id,
            agent,
            fence,
            until: draft.now + self.settings().lease_ms,
            log: session.log_folder(place, run),
        });
        draft.event(SessionEvent::Turn {
            session: session.id,
            place,
            run,
        });
        draft.effect(Effect::Session(SessionEffect::Turn {
            session: session.id,
            place,
            run,
            fence,
        }));
        draft.answer(BoardResponse::Task {
            task: task.id,
            created: false,
        });
    }

    pub(super) fn session_has_step(&self, now: Millis) -> bool {
        self.open_sessions()
            .any(|session| self.session_step(session, now).is_some())
    }

    /// Returns when the time of a waiting session is up.
    pub(super) fn session_due(&self) -> Option<Millis> {
        let waiting = self
            .open_sessions()
            .filter(|session| session.ready && session.stop.is_none());
        let due = waiting.filter_map(|session| {
            let QueueAction::Start(place) = session.queue().next(None) else {
                return None;
            };
            let seconds = session.spec.items.get(place)?.seconds;
            // One second before the deadline minus what the task may take there is too little left.
            let last = session
                .deadline?
                .saturating_sub(seconds.saturating_mul(1000));
            Some(last + 1)
        });
        due.min()
    }

    fn session_step(&self, session: &Session, now: Millis) -> Option<Step<'_>> {
        if !session.ready || session.stop.is_some() {
            return None;
        }
        let mut queue = session.queue();
        let action = queue.next(session.seconds_left(now));
        let known = session.outcomes.iter().zip(queue.outcomes());
        let skipped = known
            .enumerate()
            .find(|(_, (known, outcome))| known.is_none() && *outcome == TaskOutcome::Skipped);
        if let Some((place, _)) = skipped {
            return Some(Step::Skip(passed_over(place, "what it needs failed")));
        }
        let place = match action {
            QueueAction::Stop(why) => {
                return Some(Step::Over(SessionStop {
                    why,
                    detail: String::new(),
                }));
            }
            QueueAction::Start(place) => place,
        };
        let task = session.tasks.get(place).copied().flatten();
        let Some(task) = task.and_then(|task| self.task(task)) else {
            return Some(Step::Skip(passed_over(place, "it is not on the board")));
        };
        if task.status != TaskStatus::Queued {
            // A no to the question whether it may start ends what a person says go for.
            return Some(if session.spec.asks {
                Step::Over(SessionStop {
                    why: StopReason::Operator,
                    detail: task.detail.clone(),
                })
            } else {
                Step::Skip(passed_over(place, &task.detail))
            });
        }
        if let Some(words) = self.over_budget_reason(task) {
            let reason = format!("its budget is used up: {words}");
            return Some(Step::Skip(passed_over(place, &reason)));
        }
        if self.common_blocker(now).is_some() {
            return None;
        }
        if session.spec.asks && !task.approved {
            return task.approval.is_none().then_some(Step::Ask(task));
        }
        if self.slot_blocker(task).is_some() || self.area_blocker(task).is_some() {
            return None;
        }
        Some(Step::Turn(place, task, self.idle_agent(AgentRole::Worker)?))
    }
}

fn passed_over(place: usize, reason: &str) -> SessionTaskEnd {
    SessionTaskEnd {
        place,
        outcome: TaskOutcome::Skipped,
        reason: reason.to_owned(),
        commit: None,
    }
}
