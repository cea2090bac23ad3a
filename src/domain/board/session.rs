//! Sessions: a list of guarded tasks on the board, carried out in its order and within its limits.
//!
//! A session owns a chain of commits below `refs/tos/runs/<run>`, so its tasks run one after the other, and nothing of it is
//! merged by the board. Which task is next and when everything stops is asked of [`TaskQueue`], the same rules that hold
//! without a service. Danger: the hands of a session (who performs it) may ask for a turn only while no task of it runs.

use serde::{Deserialize, Serialize};

use super::{
    BlockResolver, Board, EntityKey, Millis, RunId, SessionId, Task, TaskId, TaskSpec, TaskStatus,
    fold_count::set_status, task::BlockReason,
};
use crate::domain::{
    ledger::TaskOutcome,
    tasks::{OnFailure, QueuedTask, StopReason, TaskQueue},
};

/// A task of the list, as far as the board has to know it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionItem {
    /// Its name in the list.
    pub id: String,
    /// What it is for, in one line.
    pub goal: String,
    /// The task as the board has it, should a person bring it back to the queue after the session.
    pub task: TaskSpec,
    /// Places in the list, from 0, of what has to be accepted first.
    pub needs: Vec<usize>,
    /// How long it may take.
    pub seconds: u64,
    /// How it came out in an earlier session of the run.
    pub outcome: Option<TaskOutcome>,
}

/// What is asked for: the list and its limits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionSpec {
    /// The run: accepted work lies under `refs/tos/runs/<run>`.
    pub run: String,
    /// The list's name.
    pub list: String,
    /// `night` or `tasks`.
    pub kind: String,
    /// What a failure means.
    pub on_failure: OnFailure,
    /// How long it may take; `None` = as long as somebody watches.
    pub seconds: Option<u64>,
    /// What it may cost, in millionths of a dollar.
    pub max_micro_usd: Option<u64>,
    /// A person says go for each task.
    pub asks: bool,
    /// The tasks, in their order.
    pub items: Vec<SessionItem>,
    /// Failures one after the other at the end of the session before.
    pub failures_in_a_row: u32,
    /// Who started it.
    pub by: String,
    /// What whoever performs it has to know beyond that, as JSON.
    pub request: String,
    /// From when to when it was worked on, where that was done without this service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<(Millis, Millis)>,
}

/// The task of a session that is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionTaskRun {
    /// Its place in the list.
    pub place: usize,
    /// The run.
    pub run: RunId,
}

/// What a session waits for before the task whose turn it is goes on; no worker is busy with it meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionWait {
    /// Until when.
    pub until: Option<Millis>,
    /// In one line.
    pub detail: String,
}

/// How a session came to its end, or comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionStop {
    /// Why.
    pub why: StopReason,
    /// In one line; may be empty.
    pub detail: String,
}

/// How a task of a session came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionTaskEnd {
    /// Its place in the list.
    pub place: usize,
    /// How.
    pub outcome: TaskOutcome,
    /// Why, in one line.
    pub reason: String,
    /// The accepted commit.
    pub commit: Option<String>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Its number.
    pub id: SessionId,
    /// What is asked for.
    pub spec: SessionSpec,
    /// The tasks on the board, by place; none for what came out in an earlier session.
    pub tasks: Vec<Option<TaskId>>,
    /// How each came out.
    pub outcomes: Vec<Option<TaskOutcome>>,
    /// How many failed one after the other.
    pub failures_in_a_row: u32,
    /// When it began.
    pub started_at: Millis,
    /// When it has to be over.
    pub deadline: Option<Millis>,
    /// Whoever performs it waits for its next turn.
    pub ready: bool,
    /// What is at work.
    pub turn: Option<SessionTaskRun>,
    /// What the task whose turn it is waits for.
    pub wait: Option<SessionWait>,
    /// That task has given its turn back and has it again after the wait.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aside: bool,
    /// Why the first try of what is at work failed; `None` = it is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
    /// Why no further task starts.
    pub stop: Option<SessionStop>,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// Why it could not be carried out to a report; empty = it was.
    pub error: String,
    /// What came of it, for whoever started it, as JSON.
    pub report: String,
    /// The name under which its logs lie, where that is not the one that was handed over.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub logs: String,
}

impl Session {
    /// Returns whether it is not over.
    pub const fn is_open(&self) -> bool {
        self.ended_at.is_none()
    }

    fn get_ready(&mut self) {
        // Who comes back from a wait is at the try at which it left.
        self.again = self.again.take().filter(|_| self.aside);
        self.aside = false;
        self.ready = true;
        self.turn = None;
        self.wait = None;
    }

    fn stand_aside(&mut self, until: Option<Millis>, detail: &str) {
        self.ready = false;
        self.turn = None;
        self.aside = true;
        self.wait = Some(SessionWait {
            until,
            detail: detail.to_owned(),
        });
    }

    /// Returns the whole seconds in which tasks may still be under way.
    pub fn seconds_left(&self, now: Millis) -> Option<u64> {
        self.deadline
            .map(|deadline| deadline.saturating_sub(now) / 1000)
    }

    /// Returns the rules of its list, as far as it is.
    pub fn queue(&self) -> TaskQueue {
        let tasks = self.spec.items.iter().zip(&self.outcomes);
        let tasks = tasks.map(|(item, outcome)| QueuedTask {
            needs: item.needs.clone(),
            seconds: item.seconds,
            outcome: *outcome,
        });
        let end = self.stop.as_ref().map(|stop| stop.why);
        TaskQueue::resumed(
            self.spec.on_failure,
            tasks.collect(),
            self.failures_in_a_row,
            end,
        )
    }

    /// Returns the place of a task on the board.
    pub fn board_task_of(&self, task: TaskId) -> Option<usize> {
        self.tasks.iter().position(|known| *known == Some(task))
    }

    /// Returns `running`, `ending` or the word for its end.
    pub fn status(&self) -> &'static str {
        match (&self.stop, self.is_open()) {
            (_, false) if !self.error.is_empty() => "failed",
            (Some(stop), false) => stop.why.as_str(),
            (None, false) => "failed",
            (Some(_), true) => "ending",
            (None, true) => "running",
        }
    }
}

/// Something about a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum SessionEvent {
    /// It began; its tasks are made by events of their own.
    #[serde(rename = "session.started")]
    Started {
        /// Its number.
        session: SessionId,
        /// What is asked for.
        spec: Box<SessionSpec>,
        /// The tasks on the board, by place.
        tasks: Vec<Option<TaskId>>,
    },
    /// Whoever performs it waits for its next turn.
    #[serde(rename = "session.ready")]
    Ready {
        /// Which.
        session: SessionId,
    },
    /// A task of it has its turn.
    #[serde(rename = "session.turn")]
    Turn {
        /// Which.
        session: SessionId,
        /// The place in the list.
        place: usize,
        /// The run.
        run: RunId,
    },
    /// The task at work waits, or, without words, works again. Written by earlier services, which kept its worker meanwhile.
    #[serde(rename = "session.waits")]
    Waits {
        /// Which.
        session: SessionId,
        /// Until when.
        until: Option<Millis>,
        /// What for.
        detail: String,
    },
    /// The task at work waits and gives its worker back; it has its turn again afterwards.
    #[serde(rename = "session.stands_aside")]
    StandsAside {
        /// Which.
        session: SessionId,
        /// Until when.
        until: Option<Millis>,
        /// What for.
        detail: String,
    },
    /// The task at work failed and is tried once more, in a run of its own.
    #[serde(rename = "session.tries_again")]
    TriesAgain {
        /// Which.
        session: SessionId,
        /// The place in the list.
        place: usize,
        /// The new run.
        run: RunId,
        /// Why the first try failed.
        reason: String,
    },
    /// A task came out.
    #[serde(rename = "session.task_ended")]
    TaskEnded {
        /// Which.
        session: SessionId,
        /// How.
        end: SessionTaskEnd,
        /// How many failed one after the other, now.
        failures_in_a_row: u32,
    },
    /// Accepted work was taken back, because the whole did not hold with it.
    #[serde(rename = "session.reverted")]
    Reverted {
        /// Which.
        session: SessionId,
        /// The places in the list.
        places: Vec<usize>,
        /// Why.
        reason: String,
        /// How many failed one after the other, now.
        failures_in_a_row: u32,
    },
    /// It goes on from what the ledger says, after the service had died.
    #[serde(rename = "session.restored")]
    Restored {
        /// Which.
        session: SessionId,
        /// How each task came out.
        outcomes: Vec<Option<TaskOutcome>>,
        /// How many failed one after the other.
        failures_in_a_row: u32,
        /// The name under which its logs lie from now on; earlier versions do not say it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        logs: String,
    },
    /// No further task starts.
    #[serde(rename = "session.stopping")]
    Stopping {
        /// Which.
        session: SessionId,
        /// Why.
        stop: SessionStop,
    },
    /// It is over.
    #[serde(rename = "session.ended")]
    Ended {
        /// Which.
        session: SessionId,
        /// Why it could not be carried out to a report; may be empty.
        error: String,
        /// What came of it, as JSON.
        report: String,
    },
}

impl SessionEvent {
    /// Returns the name of its type.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "session.started",
            Self::Ready { .. } => "session.ready",
            Self::Turn { .. } => "session.turn",
            Self::Waits { .. } => "session.waits",
            Self::StandsAside { .. } => "session.stands_aside",
            Self::TriesAgain { .. } => "session.tries_again",
            Self::TaskEnded { .. } => "session.task_ended",
            Self::Reverted { .. } => "session.reverted",
            Self::Restored { .. } => "session.restored",
            Self::Stopping { .. } => "session.stopping",
            Self::Ended { .. } => "session.ended",
        }
    }

    /// Returns the session it is about.
    pub const fn session(&self) -> SessionId {
        match self {
            Self::Started { session, .. }
            | Self::Ready { session }
            | Self::Turn { session, .. }
            | Self::Waits { session, .. }
            | Self::StandsAside { session, .. }
            | Self::TriesAgain { session, .. }
            | Self::TaskEnded { session, .. }
            | Self::Reverted { session, .. }
            | Self::Restored { session, .. }
            | Self::Stopping { session, .. }
            | Self::Ended { session, .. } => *session,
        }
    }
}

impl Board {
    /// Returns a session.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id).map(AsRef::as_ref)
    }

    /// Returns all sessions, oldest first.
    pub fn sessions(&self) -> impl DoubleEndedIterator<Item = &Session> {
        self.sessions.values().map(AsRef::as_ref)
    }

    /// Returns the sessions that are not over.
    pub fn open_sessions(&self) -> impl Iterator<Item = &Session> {
        // There are few, and the open ones are the newest.
        self.sessions().rev().filter(|session| session.is_open())
    }

    /// Returns the session that decides about a task: the one it belongs to, as long as that is not over.
    pub fn session_of(&self, task: &Task) -> Option<&Session> {
        task.spec
            .session
            .and_then(|id| self.session(id))
            .filter(|session| session.is_open() && session.board_task_of(task.id).is_some())
    }

    pub(super) fn change_session(&mut self, id: SessionId, change: impl FnOnce(&mut Session)) {
        if let Some(session) = self.sessions.get_mut(&id) {
            change(std::sync::Arc::make_mut(session));
            self.dirty.insert(EntityKey::Session(id));
        }
    }

    pub(super) fn fold_session(&mut self, event: &SessionEvent, at: Millis) {
        let id = event.session();
        match event {
            SessionEvent::Started { spec, tasks, .. } => {
                self.fold_session_started(id, spec, tasks, at);
            }
            SessionEvent::Ready { .. } => self.change_session(id, Session::get_ready),
            SessionEvent::Turn { place, run, .. } => self.change_session(id, |session| {
                session.ready = false;
                session.turn = Some(SessionTaskRun {
                    place: *place,
                    run: *run,
                });
            }),
            SessionEvent::Waits { until, detail, .. } => self.change_session(id, |session| {
                session.wait = (!detail.is_empty()).then(|| SessionWait {
                    until: *until,
                    detail: detail.clone(),
                });
            }),
            SessionEvent::StandsAside { until, detail, .. } => self.change_session(id, |session| {
                session.stand_aside(*until, detail);
            }),
            SessionEvent::TriesAgain {
                place, run, reason, ..
            } => self.fold_again(id, *place, *run, reason),
            SessionEvent::TaskEnded {
                end,
                failures_in_a_row,
                ..
            } => self.fold_session_task(id, end, *failures_in_a_row, at),
            SessionEvent::Reverted {
                places,
                reason,
                failures_in_a_row,
                ..
            } => {
                for place in places {
                    let end = SessionTaskEnd {
                        place: *place,
                        outcome: TaskOutcome::Failed,
                        reason: reason.clone(),
                        commit: None,
                    };
                    self.fold_session_task(id, &end, *failures_in_a_row, at);
                }
            }
            SessionEvent::Restored {
                outcomes,
                failures_in_a_row,
                logs,
                ..
            } => self.fold_session_restored(id, outcomes, *failures_in_a_row, logs, at),
            SessionEvent::Stopping { stop, .. } => self.change_session(id, |session| {
                session.stop = Some(stop.clone());
            }),
            SessionEvent::Ended { error, report, .. } => self.change_session(id, |session| {
                session.ready = false;
                session.turn = None;
                session.wait = None;
                session.again = None;
                session.ended_at = Some(session.spec.recorded.map_or(at, |(_, ended)| ended));
                session.error.clone_from(error);
                session.report.clone_from(report);
            }),
        }
    }

    fn fold_again(&mut self, id: SessionId, place: usize, run: RunId, reason: &str) {
        self.change_session(id, |session| {
            session.turn = Some(SessionTaskRun { place, run });
            session.wait = None;
            session.again = Some(reason.to_owned());
        });
    }

    fn fold_session_started(
        &mut self,
        id: SessionId,
        spec: &SessionSpec,
        tasks: &[Option<TaskId>],
        at: Millis,
    ) {
        self.globals_mut().last_session = id;
        self.dirty.insert(EntityKey::Session(id));
        let session = Session {
            id,
            spec: spec.clone(),
            tasks: tasks.to_vec(),
            outcomes: spec.items.iter().map(|item| item.outcome).collect(),
            failures_in_a_row: spec.failures_in_a_row,
            started_at: spec.recorded.map_or(at, |(began, _)| began),
            deadline: spec
                .seconds
                .map(|seconds| at + seconds.saturating_mul(1000)),
            ready: false,
            turn: None,
            wait: None,
            aside: false,
            again: None,
            stop: None,
            ended_at: None,
            error: String::new(),
            report: String::new(),
            logs: String::new(),
        };
        self.sessions.insert(id, std::sync::Arc::new(session));
    }

    fn fold_session_task(
        &mut self,
        id: SessionId,
        end: &SessionTaskEnd,
        failures_in_a_row: u32,
        at: Millis,
    ) {
        let mut task = None;
        self.change_session(id, |session| {
            if let Some(outcome) = session.outcomes.get_mut(end.place) {
                *outcome = Some(end.outcome);
            }
            session.failures_in_a_row = failures_in_a_row;
            session.wait = None;
            session.again = None;
            session.turn = session.turn.filter(|turn| turn.place != end.place);
            task = session.tasks.get(end.place).copied().flatten();
        });
        if let Some(task) = task {
            self.change_task(task, at, |task| place_ended(task, id, end, at));
        }
    }
}

/// Puts a task where it belongs once its session has a result of it.
pub(super) fn place_ended(task: &mut Task, session: SessionId, end: &SessionTaskEnd, at: Millis) {
    if task.status == TaskStatus::Cancelled && end.outcome == TaskOutcome::NotRun {
        // Whoever gave it up has said why.
        return;
    }
    match end.outcome {
        TaskOutcome::Success => {
            set_status(task, TaskStatus::Done, None, at);
            task.resolver = BlockResolver::Nobody;
        }
        TaskOutcome::Failed => {
            set_status(
                task,
                TaskStatus::Blocked,
                Some(BlockReason::NeedsRework),
                at,
            );
            task.resolver = BlockResolver::Person;
        }
        TaskOutcome::Blocked | TaskOutcome::Skipped | TaskOutcome::NotRun => {
            set_status(task, TaskStatus::Cancelled, None, at);
            task.resolver = BlockResolver::Nobody;
        }
    }
    let outcome = end.outcome.as_str().replace('_', " ");
    task.detail = format!("{outcome} in {session}: {}", end.reason);
}
