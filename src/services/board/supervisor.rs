//! The processes of the service: started, watched, stopped and reported as the board says.
//!
//! A process is a task of this runtime; work that may block has a thread of its own. How a process ended is reported in any
//! case, a panic too; whether and when it comes back the board decides.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
};

use super::{
    BoardApprovals, BoardHandle, ServicePorts,
    brain::Payer,
    case::JudgementRequest,
    github, judge, planner, remote, session,
    threads::{HEARTBEAT_INTERVAL, spawn_thread},
    under_way::{WorkGuard, raise},
    wakes::{stop_requested, wake_loop},
    worker,
};
use crate::{
    domain::board::{
        Board, Controller, Effect, FailureKind, Fence, Input, JudgementId, PlanId, ProcessExit,
        ProcessName, RunId, RunOutcome, Task, TaskId, Verdict, run_log_folder,
    },
    ports::board::SubmitError,
};

/// How long programs of work that was given up have after they were asked to end.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Something for an agent to do.
struct Work {
    kind: WorkKind,
    task: TaskId,
    /// It is under way from the moment it is handed over, so that a stop never comes too early.
    guard: WorkGuard,
    stop: watch::Sender<u8>,
    halted: watch::Receiver<u8>,
}

#[derive(Clone, Copy)]
enum WorkKind {
    Run(RunId),
    Judge(JudgementId),
}

/// A process that was started.
struct Started {
    generation: u64,
    stop: watch::Sender<u8>,
    work: mpsc::UnboundedSender<Work>,
}

/// What all processes share.
#[derive(Clone)]
pub(super) struct SupervisorState {
    pub(super) handle: BoardHandle,
    pub(super) context: Arc<ServicePorts>,
    sessions: session::Sessions,
}

/// Performs effects until a stop is asked for, then lets everything end.
pub async fn run(
    handle: BoardHandle,
    mut effects: mpsc::UnboundedReceiver<Effect>,
    context: Arc<ServicePorts>,
    mut stop: watch::Receiver<u8>,
    drain: Duration,
) -> Result<(), SubmitError> {
    let shared = SupervisorState {
        sessions: session::Sessions::new(handle.clone(), Arc::clone(&context)),
        handle,
        context,
    };
    let mut started: BTreeMap<ProcessName, Started> = BTreeMap::new();
    let instance = shared.context.instance.clone();
    // What other machines still do for the service before this one goes on.
    let adopt = match &shared.context.remote {
        Some(remote) => remote.under_way().await,
        None => BTreeSet::new(),
    };
    shared
        .handle
        .submit(Input::ServiceStarted { instance, adopt })
        .await?;
    let past = session::record_past_sessions(shared.handle.clone(), Arc::clone(&shared.context));
    drop(tokio::spawn(past));
    let supervisor = tokio::spawn(wake_loop(shared.handle.clone(), Controller::Supervisor));
    let context = Arc::clone(&shared.context);
    let follower = tokio::spawn(github::run(shared.handle.clone(), context));
    let remote = shared.context.remote.clone();
    let workers =
        remote.map(|remote| tokio::spawn(remote::follow_workers(shared.handle.clone(), remote)));
    loop {
        tokio::select! {
            effect = effects.recv() => match effect {
                Some(effect) => shared.perform(effect, &mut started),
                None => break,
            },
            changed = stop.changed() => {
                if changed.is_err() || *stop.borrow() > 0 {
                    break;
                }
            }
        }
    }
    // What is left of them is begun by nobody.
    drop(effects);
    shared.handle.under_way.withdraw_all();
    supervisor.abort();
    follower.abort();
    if let Some(workers) = workers {
        workers.abort();
    }
    shared.end(started, stop, drain).await;
    Ok(())
}

impl SupervisorState {
    fn perform(&self, effect: Effect, started: &mut BTreeMap<ProcessName, Started>) {
        match effect {
            Effect::StartProcess {
                name,
                generation,
                plan,
            } => {
                let process = self.start(name, generation, plan);
                if let Some(old) = started.insert(name, process) {
                    raise(&old.stop, 2);
                }
            }
            Effect::StopProcess { name, generation } => {
                if let Some(process) = started
                    .get(&name)
                    .filter(|process| process.generation == generation)
                {
                    raise(&process.stop, 1);
                }
            }
            Effect::StartRun {
                run,
                task,
                agent,
                fence,
            } => {
                self.give(started, agent, WorkKind::Run(run), task, fence);
            }
            Effect::StartJudgement {
                judgement,
                task,
                agent,
                fence,
            } => {
                self.give(started, agent, WorkKind::Judge(judgement), task, fence);
            }
            Effect::StopRun { fence, reason, .. } => {
                tracing::info!("{fence} is stopped: {reason}");
                self.end_work(fence);
            }
            Effect::StopJudgement { fence, .. } => self.end_work(fence),
            Effect::Publish { merge, fence } => {
                drop(tokio::spawn(self.clone().publish(merge, fence)));
            }
            Effect::Link { task } => drop(tokio::spawn(self.clone().link(task))),
            Effect::TellAnswer {
                approval, allow, ..
            } => {
                tracing::info!(
                    "{approval} is answered: {}",
                    if allow { "allowed" } else { "denied" }
                );
            }
            Effect::Session(effect) => self.sessions.perform(effect),
            Effect::Notify { text, .. } => {
                self.context.logs.line("notices", &text);
            }
        }
    }

    /// Ends work that the board has given up: its programs are asked to end, and killed where they do not.
    fn end_work(&self, fence: Fence) {
        let under_way = self.handle.under_way.clone();
        if under_way.interrupt(fence, 1) {
            drop(tokio::spawn(async move {
                tokio::time::sleep(STOP_GRACE).await;
                under_way.interrupt(fence, 2);
            }));
        }
    }

    fn give(
        &self,
        started: &BTreeMap<ProcessName, Started>,
        agent: ProcessName,
        kind: WorkKind,
        task: TaskId,
        fence: Fence,
    ) {
        if let Some(process) = started.get(&agent) {
            let (stop, halted) = watch::channel(0_u8);
            let work = Work {
                kind,
                task,
                guard: self.handle.under_way.begin(fence, stop.clone()),
                stop,
                halted,
            };
            // An agent that has ended takes nothing; its lease ends, and the board gives the work to another.
            drop(process.work.send(work));
        }
        self.handle.under_way.withdraw(fence);
    }

    fn start(&self, name: ProcessName, generation: u64, plan: Option<PlanId>) -> Started {
        let (stop, stopped) = watch::channel(0_u8);
        let (work, inbox) = mpsc::unbounded_channel();
        let shared = self.clone();
        let body = tokio::spawn(shared.clone().live(name, generation, plan, inbox, stopped));
        drop(tokio::spawn(async move {
            let exit = match body.await {
                Ok(exit) => exit,
                Err(error) => ProcessExit {
                    ok: false,
                    detail: format!("it panicked: {error}"),
                },
            };
            shared
                .context
                .logs
                .line(&name.agent_name(), &format!("ended: {}", exit.detail));
            // An end that the board knows already is refused, which is fine.
            drop(
                shared
                    .handle
                    .submit(Input::ProcessExited {
                        name,
                        generation,
                        exit,
                    })
                    .await,
            );
        }));
        Started {
            generation,
            stop,
            work,
        }
    }

    /// The life of a process.
    async fn live(
        self,
        name: ProcessName,
        generation: u64,
        plan: Option<PlanId>,
        inbox: mpsc::UnboundedReceiver<Work>,
        mut stopped: watch::Receiver<u8>,
    ) -> ProcessExit {
        if let Err(error) = self
            .handle
            .submit(Input::ProcessUp { name, generation })
            .await
        {
            return ProcessExit {
                ok: false,
                detail: error.to_string(),
            };
        }
        self.context.logs.line(&name.agent_name(), "is up");
        let part = match name {
            ProcessName::Dispatcher => Some(Controller::Dispatcher),
            ProcessName::CycleManager => Some(Controller::CycleManager),
            _ => None,
        };
        match (name, part) {
            (_, Some(part)) => {
                tokio::select! {
                    () = wake_loop(self.handle.clone(), part) => {}
                    () = stop_requested(&mut stopped) => {}
                }
            }
            (ProcessName::Agent(..), _) => self.serve(name, inbox, stopped).await,
            (ProcessName::Planner, _) => {
                let (handle, context) = (&self.handle, &self.context);
                return planner::plan(handle, context, plan, generation, stopped).await;
            }
            (ProcessName::DbUp | ProcessName::DbPush, _) => return self.look_after(name).await,
            _ => {
                return ProcessExit {
                    ok: true,
                    detail: "nothing new is written from here on".to_owned(),
                };
            }
        }
        ProcessExit {
            ok: true,
            detail: "stopped as asked".to_owned(),
        }
    }

    /// Looks whether the database is intact, or copies it.
    async fn look_after(&self, name: ProcessName) -> ProcessExit {
        let upkeep = Arc::clone(&self.context.upkeep);
        let stamp = format!("{:015}", self.handle.now());
        let work = move || match name {
            ProcessName::DbPush => upkeep.back_up(&stamp),
            _ => upkeep.check(),
        };
        let done = tokio::task::spawn_blocking(work).await;
        let done = done.unwrap_or_else(|error| Err(error.to_string()));
        ProcessExit {
            ok: done.is_ok(),
            detail: done.unwrap_or_else(|why| why),
        }
    }

    /// An agent: takes work, one piece at a time, and shows that it is alive.
    async fn serve(
        &self,
        name: ProcessName,
        mut inbox: mpsc::UnboundedReceiver<Work>,
        mut stopped: watch::Receiver<u8>,
    ) {
        loop {
            self.handle.heartbeat(name);
            tokio::select! {
                work = inbox.recv() => match work {
                    Some(work) => self.work(name, work, &mut stopped).await,
                    None => return,
                },
                () = stop_requested(&mut stopped) => return,
                () = tokio::time::sleep(HEARTBEAT_INTERVAL) => {}
            }
            if *stopped.borrow() > 0 {
                return;
            }
        }
    }

    /// Does one piece of work, renews its lease meanwhile, and reports what came of it.
    async fn work(&self, name: ProcessName, work: Work, stopped: &mut watch::Receiver<u8>) {
        let Work {
            kind,
            task,
            guard,
            stop,
            halted,
        } = work;
        let fence = guard.fence;
        let board = self.handle.snapshot();
        let Some(task) = board.task(task).cloned() else {
            return;
        };
        let branch = board.branch_of(&task).to_owned();
        let agent = name.agent_name();
        self.context.logs.line(
            &agent,
            &format!("{} begins under {fence}: {}", task.id, task.spec.title),
        );
        let (renew, finished) = self.begun((kind, fence), &board, task, branch, agent, halted);
        let mut reporting = std::pin::pin!(self.report(finished, fence));
        let mut asked_to_stop = false;
        loop {
            tokio::select! {
                () = &mut reporting => break,
                () = stop_requested(stopped), if !asked_to_stop => {
                    asked_to_stop = true;
                    raise(&stop, 1);
                }
                () = tokio::time::sleep(HEARTBEAT_INTERVAL) => {
                    self.handle.heartbeat(name);
                    if let Err(SubmitError::Refused(refusal)) = self.handle.submit(renew.clone()).await {
                        // Somebody else has the work now.
                        tracing::warn!("{name}: {refusal}");
                        raise(&stop, 1);
                    }
                }
            }
        }
    }

    /// Begins a piece of work; returns what renews its lease, and what tells its end.
    fn begun(
        &self,
        (kind, fence): (WorkKind, Fence),
        board: &Board,
        task: Task,
        branch: String,
        agent: String,
        halted: watch::Receiver<u8>,
    ) -> (Input, Piece) {
        let context = Arc::clone(&self.context);
        match kind {
            WorkKind::Run(run) => {
                let log = run_log_folder(&context.instance, run);
                let base = worker::base_commit(&context, &branch);
                let base = match base {
                    Ok(base) => base,
                    Err(reason) => {
                        let done = ended(worker::not_begun(reason));
                        return (Input::RenewRun { run, fence }, Piece::Run(run, log, done));
                    }
                };
                let name = board.agent_name_of_task(&task).to_owned();
                let mut task = task;
                task.spec.agent = name;
                let order = worker::WorkerRequest {
                    agent,
                    run,
                    task,
                    base,
                    inside: board.settings().container(),
                    asker: Arc::new(BoardApprovals {
                        handle: self.handle.clone(),
                        run,
                        fence,
                        redactor: context.brain.redactor.clone(),
                    }),
                    patience: board.settings().question_ms.div_ceil(1000),
                };
                let done = remote::begin(context, order, fence, halted);
                (Input::RenewRun { run, fence }, Piece::Run(run, log, done))
            }
            WorkKind::Judge(judgement) => {
                let base = board.judge_base_commit(task.id).map(str::to_owned);
                let task_id = task.id;
                let name = judgement.to_string();
                let case = JudgementRequest {
                    name,
                    agent,
                    task,
                    branch,
                    base,
                    before: earlier(board, task_id),
                    is_reviewed: board.settings().reviews,
                    payer: Payer::Judgement(self.handle.clone(), judgement, fence),
                    runtime: Handle::current(),
                };
                let done = spawn_thread(judge::judge_attempt(context, case, halted));
                (
                    Input::RenewJudgement { judgement, fence },
                    Piece::Judge(judgement, done),
                )
            }
        }
    }

    async fn report(&self, piece: Piece, fence: Fence) {
        let told = match piece {
            Piece::Run(run, log, done) => {
                let finished = done.await.unwrap_or_else(|_| worker::FinishedRun {
                    outcome: RunOutcome::Failed {
                        failure: FailureKind::Launch,
                        reasons: vec!["the worker's thread panicked".to_owned()],
                        signature: "panic".to_owned(),
                        kept: None,
                    },
                    spend: crate::domain::board::Spend::default(),
                });
                let spend = Input::SpendRun {
                    run,
                    fence,
                    spend: finished.spend,
                };
                // Whoever may not report what was spent may not report the rest either.
                drop(self.handle.submit(spend).await);
                self.handle
                    .submit(Input::FinishRun {
                        run,
                        fence,
                        outcome: finished.outcome,
                        log,
                    })
                    .await
            }
            Piece::Judge(judgement, done) => {
                let verdict = done.await.unwrap_or_else(|_| Verdict::NoVerdict {
                    detail: "the judge's thread panicked".to_owned(),
                });
                self.handle
                    .submit(Input::FinishJudgement {
                        judgement,
                        fence,
                        verdict,
                    })
                    .await
            }
        };
        if let Err(error) = told {
            tracing::warn!("what came of {fence} does not count: {error}");
        }
    }

    /// Lets everything end: politely, then at once.
    async fn end(
        &self,
        started: BTreeMap<ProcessName, Started>,
        mut stop: watch::Receiver<u8>,
        drain: Duration,
    ) {
        for process in started.values() {
            raise(&process.stop, 1);
        }
        self.sessions.end(1);
        let is_busy = || !self.handle.under_way.is_empty() || self.sessions.any_open();
        let over = async {
            while is_busy() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = over => return,
            () = tokio::time::sleep(drain) => {}
            _ = stop.changed() => {}
        }
        self.handle.under_way.interrupt_all(2);
        self.sessions.end(2);
        // What is killed is gone a moment later.
        for _ in 0..250 {
            if !is_busy() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Work under way, with what tells its end.
enum Piece {
    Run(RunId, String, oneshot::Receiver<worker::FinishedRun>),
    Judge(JudgementId, oneshot::Receiver<Verdict>),
}

/// Returns how many examinations of a task ended with a verdict of any kind.
fn earlier(board: &Board, task: TaskId) -> u32 {
    let ended = board
        .judgements()
        .filter(|one| one.task == task && one.verdict.is_some());
    u32::try_from(ended.count()).unwrap_or(u32::MAX)
}

/// Returns the end of a run that never began.
fn ended(finished: worker::FinishedRun) -> oneshot::Receiver<worker::FinishedRun> {
    let (sender, done) = oneshot::channel();
    // The receiver is here, so it arrives.
    drop(sender.send(finished));
    done
}
