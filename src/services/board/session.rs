//! Performs the sessions of a board: the board says whose turn it is, the engine of `tos task run` does the work.
//!
//! A session has a thread of its own for as long as it is open. Dangers: a result is reported under the number of its
//! lease, and a service that ends reports no end of a session, because the next service goes on with it.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::{mpsc, watch};

use super::{
    BoardHandle, ServicePorts,
    session_seat::{Seat, Told, Turn},
    threads::spawn_thread,
    under_way::{WorkGuard, raise},
    watched_worktrees::RefTolerantWorktrees,
};
use crate::{
    domain::{
        board::{
            BoardResponse, Fence, Input, Session, SessionEffect, SessionId, SessionInput,
            SessionRequest, SessionTaskEnd, Spend, unknown_sessions,
        },
        ledger::{SessionStart, TaskEnd, TaskOutcome},
        tasks::{AgentTask, QueueAction, RunProgress, StopReason, TaskVerdict},
        time::Timestamp,
    },
    ports::{BoxFuture, board::SubmitError},
    services::tasks::{
        self, ListReport, SessionObserver, SessionPorts, SessionSettings, TaskSource,
    },
};

/// The kind of session of which a summary is kept.
const NIGHT: &str = "night";

/// How the rest of the service reaches a session.
struct Open {
    told: mpsc::UnboundedSender<Told>,
    stop: watch::Sender<u8>,
    /// Its turn.
    work: Option<WorkGuard>,
}

/// The sessions under way.
#[derive(Clone)]
pub(super) struct Sessions {
    handle: BoardHandle,
    context: Arc<ServicePorts>,
    open: Arc<Mutex<BTreeMap<SessionId, Open>>>,
    ending: Arc<AtomicBool>,
}

impl Sessions {
    pub(super) fn new(handle: BoardHandle, context: Arc<ServicePorts>) -> Self {
        Self {
            handle,
            context,
            open: Arc::default(),
            ending: Arc::default(),
        }
    }

    /// Does what has to be done about a session.
    pub(super) fn perform(&self, effect: SessionEffect) {
        match effect {
            SessionEffect::Open { session, resume } => self.start(session, resume),
            SessionEffect::Turn {
                session,
                place,
                run,
                fence,
            } => {
                self.begin(session, fence, |open| {
                    // A thread that has ended reports the end of its session; the turn ends with its lease.
                    drop(open.told.send(Told::Turn(Turn { place, run, fence })));
                });
            }
            SessionEffect::Stop { session, stop } => self.with(session, |open| {
                if stop.why == StopReason::Operator {
                    raise(&open.stop, 1);
                }
                drop(open.told.send(Told::Stop(stop)));
            }),
        }
    }

    fn with(&self, session: SessionId, act: impl FnOnce(&mut Open)) {
        if let Ok(mut open) = self.open.lock()
            && let Some(open) = open.get_mut(&session)
        {
            act(open);
        }
    }

    /// Takes note of a turn, where the session is there to have it.
    fn begin(&self, session: SessionId, fence: Fence, act: impl FnOnce(&Open)) {
        let under_way = &self.handle.under_way;
        self.with(session, |open| {
            open.work = Some(under_way.begin(fence, open.stop.clone()));
            act(open);
        });
        under_way.withdraw(fence);
    }

    /// Stops all work, because the service ends; the sessions go on with the next one.
    pub(super) fn end(&self, how: u8) {
        self.ending.store(true, Ordering::SeqCst);
        if let Ok(open) = self.open.lock() {
            for one in open.values() {
                raise(&one.stop, how);
            }
        }
    }

    pub(super) fn any_open(&self) -> bool {
        self.open.lock().is_ok_and(|open| !open.is_empty())
    }

    fn start(&self, id: SessionId, resume: bool) {
        let (told, inbox) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(0_u8);
        if let Ok(mut open) = self.open.lock() {
            let one = Open {
                told: told.clone(),
                stop: stop.clone(),
                work: None,
            };
            open.insert(id, one);
        }
        let this = self.clone();
        let order = BoardOrder {
            sessions: self.clone(),
            id,
            seat: Seat::new(id, self.handle.clone(), told, inbox, stop),
            stopped,
            end: None,
            reverts: Vec::new(),
        };
        drop(tokio::spawn(async move {
            let done = spawn_thread(carry_out(this.clone(), id, resume, order)).await;
            if done.is_err() {
                this.finish(id, Err("its thread panicked".to_owned())).await;
            }
            if let Ok(mut open) = this.open.lock() {
                open.remove(&id);
            }
        }));
    }

    fn line(&self, id: SessionId, text: &str) {
        self.context.logs.line(&id.to_string(), text);
    }

    /// Reports the end of a session, unless the service ends and the next one goes on with it.
    async fn finish(&self, id: SessionId, came: Result<ListReport, String>) {
        if self.ending.load(Ordering::SeqCst) {
            return;
        }
        let board = self.handle.snapshot();
        let Some(session) = board.session(id) else {
            return;
        };
        let input = match came {
            Ok(report) => SessionInput::Finish {
                session: id,
                why: Some(report.stop),
                error: String::new(),
                ends: left_over(session, &report.tasks),
                report: serde_json::to_string(&report).unwrap_or_default(),
            },
            Err(error) => SessionInput::Finish {
                session: id,
                why: None,
                error,
                ends: Vec::new(),
                report: String::new(),
            },
        };
        // Before anybody is told that it is over.
        if session.spec.kind == NIGHT {
            (self.context.keep_summary)(&session.spec.run);
        }
        self.line(id, &format!("{id} ends"));
        if let Err(error) = self.handle.submit(Input::Session(input)).await {
            tracing::warn!("{id}: {error}");
        }
    }
}

/// Takes sessions onto the board that are over and ran while no service was there.
pub(super) async fn record_past_sessions(handle: BoardHandle, context: Arc<ServicePorts>) {
    let ledger = Arc::clone(&context.tools.ledger);
    let (board, now) = (handle.snapshot(), handle.now());
    // A ledger of years is long.
    let found = tokio::task::spawn_blocking(move || {
        let chain = ledger.read().ok()?;
        Some(unknown_sessions(&chain.records, &board, now))
    });
    let Ok(Some(found)) = found.await else {
        // What is wrong with it is said where it is needed.
        return;
    };
    for record in found {
        let run = record.spec.run.clone();
        let record = Box::new(record);
        let told = handle.submit(Input::Session(SessionInput::Record { record }));
        if let Err(error) = told.await {
            tracing::warn!("{run} does not get onto the board: {error}");
        }
    }
}

/// Returns how tasks came out of which the board has no result.
fn left_over(session: &Session, ends: &[TaskEnd]) -> Vec<SessionTaskEnd> {
    let known = session.outcomes.iter().enumerate().zip(ends);
    let open = known.filter(|((_, outcome), _)| outcome.is_none());
    open.map(|((place, _), end)| task_end(place, end)).collect()
}

fn task_end(place: usize, end: &TaskEnd) -> SessionTaskEnd {
    SessionTaskEnd {
        place,
        outcome: end.outcome,
        reason: end.reason.clone(),
        commit: end.commit.clone(),
    }
}

/// Carries a session out, from what the ledger says of its run.
async fn carry_out(sessions: Sessions, id: SessionId, resume: bool, mut order: BoardOrder) {
    let came = perform(&sessions, id, resume, &mut order).await;
    if let Err(error) = &came {
        sessions.line(id, error);
    }
    sessions.finish(id, came).await;
}

async fn perform(
    sessions: &Sessions,
    id: SessionId,
    resume: bool,
    order: &mut BoardOrder,
) -> Result<ListReport, String> {
    let context = &sessions.context;
    let board = sessions.handle.snapshot();
    let session = board
        .session(id)
        .ok_or_else(|| format!("there is no {id}"))?;
    let request: SessionRequest = serde_json::from_str(&session.spec.request)
        .map_err(|error| format!("{id} cannot be read: {error}"))?;
    let chain = context.tools.ledger.read();
    let records = chain.map_err(|error| error.to_string())?.records;
    let progress = RunProgress::of(&records, &request.run);
    if resume {
        sessions.line(id, &format!("{id} goes on with run {}", request.run));
        restore(sessions, id, &request, &progress).await?;
    }
    for agent in request.list.agents() {
        if let Some(what) = context.tools.runners.missing_credential(agent) {
            let program = agent.program();
            return Err(format!(
                "the agent `{program}` needs {what} where the service was started"
            ));
        }
    }
    let terms = SessionSettings {
        session: if resume {
            session.name_when_resumed(&context.instance)
        } else {
            request.session.clone()
        },
        seconds: session.seconds_left(sessions.handle.now()),
        checkpoint_every: request.checkpoint_every,
        progress,
        ..SessionSettings::new(
            &request.run,
            SessionStart {
                pid: context.start.pid,
                ..request.start.clone()
            },
        )
    };
    let tools = SessionPorts {
        worktrees: Arc::new(RefTolerantWorktrees(Arc::clone(&context.tools.worktrees))),
        ..context.tools.clone()
    };
    let observer = Observer {
        sessions: sessions.clone(),
        id,
        seat: order.seat.clone(),
    };
    let stopped = order.stopped.clone();
    let ended = tasks::run_from_source(&request.list, &tools, &terms, &observer, stopped, order);
    let ended = ended.await.map_err(|error| error.to_string());
    order.release();
    ended
}

/// Tells the board what the ledger says: what was recorded counts, whatever the board was told of it.
async fn restore(
    sessions: &Sessions,
    id: SessionId,
    request: &SessionRequest,
    progress: &RunProgress,
) -> Result<(), String> {
    let outcome = |task: &AgentTask| {
        let ends = progress.ends.iter();
        ends.filter(|end| end.task == task.id)
            .map(|end| end.outcome)
            .next()
    };
    let input = SessionInput::Restore {
        session: id,
        outcomes: request.list.tasks.iter().map(outcome).collect(),
        failures_in_a_row: progress.failures_in_a_row,
    };
    let told = sessions.handle.submit(Input::Session(input)).await;
    told.map(drop).map_err(|error| error.to_string())
}

/// Writes the log of a session, and tells the board what it waits for.
struct Observer {
    sessions: Sessions,
    id: SessionId,
    seat: Seat,
}

impl Observer {
    /// Asks the board for a second try, which is a run of its own with a number of its own.
    async fn try_again(&self, reason: &str) -> bool {
        // Nobody renews the old number while it changes.
        let mut current = self.seat.turn.lock().await;
        let Some(turn) = *current else { return true };
        let input = SessionInput::Again {
            session: self.id,
            run: turn.run,
            fence: turn.fence,
            reason: reason.to_owned(),
        };
        match self.sessions.handle.submit(Input::Session(input)).await {
            Ok(BoardResponse::Run { run, fence }) => {
                *current = Some(Turn { run, fence, ..turn });
                self.sessions.begin(self.id, fence, |_| {});
                true
            }
            Ok(_) => true,
            Err(error) => {
                self.sessions.line(self.id, &error.to_string());
                false
            }
        }
    }
}

impl SessionObserver for Observer {
    fn is_startable_program(&self, _task: &AgentTask) -> bool {
        // The board has asked whoever had to be asked.
        true
    }

    fn line(&self, text: &str) {
        self.sessions.line(self.id, text);
    }

    fn log_name(&self, task: &str) -> String {
        let board = self.sessions.handle.snapshot();
        let turn = board.session(self.id).and_then(|session| session.turn);
        let run = turn.and_then(|turn| board.run(turn.run));
        // The start of the run said where.
        let name = run.and_then(|run| Path::new(&run.log).file_name()?.to_str());
        let is_own = |name: &&str| name.split('.').next() == Some(task);
        name.filter(is_own).unwrap_or(task).to_owned()
    }

    fn may_retry<'a>(&'a self, _task: &'a AgentTask, reason: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(self.try_again(reason))
    }

    fn waits<'a>(&'a self, until: Timestamp, detail: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let until = u64::try_from(until.timestamp_millis()).ok();
            match self.seat.stand_aside(until, detail).await {
                Ok(true) => self.sessions.with(self.id, |open| open.work = None),
                Ok(false) => {}
                // It waits with its worker, then.
                Err(error) => self.line(&error.to_string()),
            }
        })
    }

    fn goes_on(&self) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let came = self.seat.come_back().await;
            came.unwrap_or_else(|error| {
                self.line(&error.to_string());
                false
            })
        })
    }
}

/// The order of a list that the board decides.
struct BoardOrder {
    sessions: Sessions,
    id: SessionId,
    seat: Seat,
    stopped: watch::Receiver<u8>,
    /// Why no further task starts, as far as that was decided here.
    end: Option<StopReason>,
    reverts: Vec<(Vec<usize>, String)>,
}

impl BoardOrder {
    async fn submit(&self, input: SessionInput) -> Result<(), SubmitError> {
        let told = self.sessions.handle.submit(Input::Session(input)).await;
        told.map(drop)
    }

    async fn next_turn(&mut self) -> QueueAction {
        for (places, reason) in std::mem::take(&mut self.reverts) {
            let input = SessionInput::Revert {
                session: self.id,
                places,
                reason,
            };
            if let Err(error) = self.submit(input).await {
                tracing::warn!("{}: {error}", self.id);
            }
        }
        if let Some(end) = self.end {
            return QueueAction::Stop(end);
        }
        // What came instead of a turn that was given back.
        let inbox = Arc::clone(&self.seat.inbox);
        let mut inbox = inbox.lock().await;
        if let Ok(told) = inbox.try_recv() {
            return self.obey(told).await;
        }
        if let Err(error) = self.submit(SessionInput::Ready { session: self.id }).await {
            // A board that was emptied knows no session any more.
            self.sessions.line(self.id, &error.to_string());
            return self.over(StopReason::Operator);
        }
        let mut hears = true;
        loop {
            if *self.stopped.borrow() > 0 {
                return self.over(StopReason::Operator);
            }
            tokio::select! {
                told = inbox.recv() => return match told {
                    Some(told) => self.obey(told).await,
                    None => self.over(StopReason::Operator),
                },
                changed = self.stopped.changed(), if hears => hears = changed.is_ok(),
            }
        }
    }

    const fn over(&mut self, why: StopReason) -> QueueAction {
        self.end = Some(why);
        QueueAction::Stop(why)
    }

    /// Does what the board says: takes a turn, or ends.
    async fn obey(&mut self, told: Told) -> QueueAction {
        match told {
            Told::Turn(turn) => {
                self.seat.take(turn).await;
                QueueAction::Start(turn.place)
            }
            Told::Stop(stop) => {
                if !stop.detail.is_empty() {
                    self.sessions.line(self.id, &stop.detail);
                }
                self.over(stop.why)
            }
        }
    }

    /// Ends the renewal of the lease.
    fn release(&self) {
        self.seat.release();
        self.sessions.with(self.id, |open| open.work = None);
    }
}

impl TaskSource for BoardOrder {
    fn next(&mut self, _left: Option<u64>) -> BoxFuture<'_, QueueAction> {
        Box::pin(self.next_turn())
    }

    fn finish<'a>(
        &'a mut self,
        place: usize,
        verdict: TaskVerdict,
        end: &'a TaskEnd,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.release();
            let Some(turn) = self.seat.turn.lock().await.take() else {
                return;
            };
            let is_ending = self.sessions.ending.load(Ordering::SeqCst);
            if is_ending && verdict == TaskVerdict::Stopped {
                // Nobody stopped it but the end of the service; the next one lets it have its turn again.
                return;
            }
            let input = SessionInput::FinishTask {
                session: self.id,
                run: turn.run,
                fence: turn.fence,
                verdict,
                end: task_end(place, end),
                spend: Spend {
                    micro_usd: end.micro_usd.unwrap_or_default(),
                    ..Spend::default()
                },
                // Its start has said where that is.
                log: String::new(),
            };
            if let Err(error) = self.submit(input).await {
                // The ledger has the result; the session ends, and what is left is told then.
                self.sessions.line(self.id, &error.to_string());
            }
        })
    }

    fn stop(&mut self, why: StopReason) {
        self.end = self.end.or(Some(why));
    }

    fn revert_accepted(&mut self, places: &[usize], reason: &str) {
        self.reverts.push((places.to_vec(), reason.to_owned()));
    }

    fn outcomes(&self) -> Vec<TaskOutcome> {
        let board = self.sessions.handle.snapshot();
        let session = board.session(self.id);
        let outcomes = session.map(|session| session.outcomes.clone());
        outcomes
            .unwrap_or_default()
            .into_iter()
            .map(|outcome| outcome.unwrap_or(TaskOutcome::NotRun))
            .collect()
    }
}
