//! Carries out guarded tasks: one work tree, one agent, one verdict at a time.
//!
//! What is decided (which task, whether again, when to stop) is decided by the queue of
//! [`crate::domain::tasks`]; here it is done, recorded before the next thing, and told.

mod acp;
mod agent_call;
mod attempt;
mod base_check;
mod checkpoint;
mod cleanup;
mod disk_quota;
mod failure;
mod order;
mod outcome;
mod sharing;
mod spending;
mod supervise;

use std::{
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use serde_json::json;
use tokio::sync::watch;

use crate::{
    domain::{
        ledger::{
            LedgerEntry, SessionEnd, SessionStart, TaskEnd, TaskOutcome,
            chain::{ChainAnchor, sha256},
        },
        night::RunEvent,
        notify::{Notification, NotificationEvent},
        policy::{Policy, PolicyContext},
        tasks::{
            AgentTask, QueueAction, RunProgress, StablePointTracker, StopReason, TaskList,
            TaskQueue, TaskVerdict,
        },
        time::Timestamp,
    },
    ports::{
        BoxFuture,
        agent_runners::AgentSandboxes,
        approvals::Approvals,
        clock::Clock,
        event_sink::EventSink,
        heartbeats::Heartbeats,
        ledger::Ledger,
        machine::Machine,
        notifier::{NotificationSink, Notifier},
        worktrees,
        worktrees::Worktrees,
    },
};

/// How long the end of a session waits for notifications that nobody has tried to deliver yet.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What the runner works with.
#[derive(Clone)]
pub struct SessionPorts {
    /// Work trees.
    pub worktrees: Arc<dyn Worktrees>,
    /// Runners.
    pub runners: Arc<dyn AgentSandboxes>,
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// Ways to tell people, for trying whether they work.
    pub notifiers: Vec<Arc<dyn Notifier>>,
    /// Tells people beside the work.
    pub notifications: Arc<dyn NotificationSink>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Signs of life.
    pub heartbeats: Arc<dyn Heartbeats>,
    /// Whoever collects events.
    pub journal: Arc<dyn EventSink>,
    /// The machine.
    pub machine: Arc<dyn Machine>,
    /// The way to a person, for what the policy leaves to one.
    pub approvals: Arc<dyn Approvals>,
    /// Judges what agents ask permission for.
    pub policy: Arc<Policy>,
    /// How the policy looks at the machine; the root and the wall are those of a task.
    pub world: PolicyContext,
    /// A service works in the same root: what looks left over may be at work.
    pub is_shared: bool,
}

/// The terms of one session.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// The run's id: accepted work lies under `refs/tos/runs/<run>`.
    pub run: String,
    /// The session's id; a run that was interrupted has several sessions.
    pub session: String,
    /// What is known at the start.
    pub start: SessionStart,
    /// How long it may take; `None` = as long as a person watches.
    pub seconds: Option<u64>,
    /// After how many accepted tasks the whole is tested; 0 = never.
    pub checkpoint_every: u32,
    /// What earlier sessions of the run have done.
    pub progress: RunProgress,
    /// A used-up quota ends the session at once, because somebody else waits for it.
    pub hands_quota_back: bool,
}

impl SessionSettings {
    /// Returns the terms of a run's first session, which may take as long as it wants.
    pub fn new(run: &str, start: SessionStart) -> Self {
        Self {
            run: run.to_owned(),
            session: run.to_owned(),
            start,
            seconds: None,
            checkpoint_every: 0,
            progress: RunProgress::default(),
            hands_quota_back: false,
        }
    }
}

/// What a watcher sees, and where a person says go.
pub trait SessionObserver: Sync {
    /// Asks whether a task may start.
    fn is_startable_program(&self, task: &AgentTask) -> bool;

    /// Tells one line.
    fn line(&self, text: &str);

    /// Returns the name of the folder in which programs of a task put what they print.
    fn log_name(&self, task: &str) -> String {
        task.to_owned()
    }

    /// Returns what is said of a task whose work passed its own tests: where somebody else decides, that is not the end.
    fn passed_words(&self) -> &'static str {
        "passed"
    }

    /// Tells that the task at work failed and is to be tried once more; `false` = it may not be.
    fn may_retry<'a>(&'a self, task: &'a AgentTask, reason: &'a str) -> BoxFuture<'a, bool> {
        let _ = (task, reason);
        Box::pin(std::future::ready(true))
    }

    /// Tells what the task at work waits for, and until when; whoever lent a worker for it may have it back meanwhile.
    fn waits<'a>(&'a self, until: Timestamp, detail: &'a str) -> BoxFuture<'a, ()> {
        let _ = (until, detail);
        Box::pin(std::future::ready(()))
    }

    /// Tells that the wait is over, and waits for a worker where it was given back; `false` = the task may not go on.
    fn goes_on(&self) -> BoxFuture<'_, bool> {
        Box::pin(std::future::ready(true))
    }
}

pub use crate::domain::tasks::ListReport;
pub(crate) use acp::{AcpJudge, AcpRunner};
pub(crate) use agent_call::AgentListener;
pub use cleanup::{CleanupResult, clean_up_after_crash};
pub use order::TaskSource;
pub use sharing::{resolve_shared_files, work_tree_notes};

/// Why a session could not be carried out at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// git or the disk.
    #[error(transparent)]
    Worktrees(#[from] worktrees::Error),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] crate::ports::ledger::Error),
    /// The agent's surroundings.
    #[error("{0}")]
    Hands(String),
}

/// The state of a session under way.
pub(super) struct SessionState<'a> {
    pub(super) list: &'a TaskList,
    pub(super) tools: &'a SessionPorts,
    pub(super) terms: &'a SessionSettings,
    pub(super) watcher: &'a dyn SessionObserver,
    pub(super) stop: watch::Receiver<u8>,
    /// What may not change.
    pub(super) promises: Vec<(String, String)>,
    /// The commit the next task starts from.
    pub(super) tip: String,
    pub(super) stable: StablePointTracker,
    pub(super) end: SessionEnd,
    /// How many megabytes a program had written when it was ended for that.
    pub(super) heavy: Option<u64>,
    /// What the task before changed.
    pub(super) before: Option<String>,
    /// What the agent said at last that ended well.
    said: Option<agent_call::LastMessage>,
    pace: spending::SpendTracker,
    /// What the work tree of the task got of the checkout.
    shared: worktrees::SharedFiles,
    /// Files of the checkout that every task gets a copy of.
    shared_files: Vec<String>,
    /// How each task ended, in the order of the list.
    pub(super) ends: Vec<Option<TaskEnd>>,
    /// Where the last try of the task that was not accepted is kept.
    preserved: Option<String>,
    /// How many questions of agents were put to a person.
    questions: Arc<AtomicU32>,
}

/// Runs a list to its end, in its own order.
pub async fn run(
    list: &TaskList,
    tools: &SessionPorts,
    terms: &SessionSettings,
    watcher: &dyn SessionObserver,
    stop: watch::Receiver<u8>,
) -> Result<ListReport, Error> {
    let mut queue = TaskQueue::new(list).with_progress(list, &terms.progress);
    run_from_source(list, tools, terms, watcher, stop, &mut queue).await
}

/// Runs a list to its end; `order` says which task is next and when everything stops.
pub async fn run_from_source(
    list: &TaskList,
    tools: &SessionPorts,
    terms: &SessionSettings,
    watcher: &dyn SessionObserver,
    stop: watch::Receiver<u8>,
    order: &mut dyn TaskSource,
) -> Result<ListReport, Error> {
    let head = tools.worktrees.head()?;
    let progress = &terms.progress;
    let base = progress.base.clone().unwrap_or_else(|| head.clone());
    let tip = progress.tip.clone().unwrap_or_else(|| base.clone());
    let known = |task: &AgentTask| {
        progress
            .ends
            .iter()
            .find(|end| end.task == task.id)
            .cloned()
    };
    let mut session = SessionState {
        promises: tools.worktrees.protected_digests()?,
        stable: StablePointTracker::new(terms.checkpoint_every, &base, progress),
        tip,
        list,
        tools,
        terms,
        watcher,
        stop,
        end: SessionEnd::default(),
        heavy: None,
        before: None,
        said: None,
        shared: worktrees::SharedFiles::default(),
        shared_files: resolve_shared_files(&*tools.worktrees, list)?,
        pace: spending::SpendTracker::new(&*tools.clock, progress.micro_usd),
        ends: list.tasks.iter().map(known).collect(),
        preserved: None,
        questions: Arc::default(),
    };
    session.say_notes()?;
    session.record(LedgerEntry::SessionStart {
        start: SessionStart {
            run: terms.run.clone(),
            list: list.id.clone(),
            tasks: u32::try_from(list.tasks.len()).unwrap_or(u32::MAX),
            base,
            shared_files: session.shared_files.clone(),
            ..terms.start.clone()
        },
    })?;
    session.record_heartbeat("");
    session.emit_event(
        "run_start",
        json!({ "list": list.id, "tasks": list.tasks.len() }),
    );
    session.tell(
        NotificationEvent::Started,
        format!("{}: {} tasks begin", list.id, list.tasks.len()),
        &list.title,
        "tos night list".to_owned(),
    );
    let mut ended = session.drive(order).await;
    if let (Ok(_), Err(error)) = (&ended, tools.worktrees.remove_reusable(&terms.session)) {
        ended = Err(error.into());
    }
    if let Err(error) = &ended {
        session.emit_event("error", json!({ "error": error.to_string() }));
    }
    ended
}

impl SessionState<'_> {
    async fn drive(&mut self, queue: &mut dyn TaskSource) -> Result<ListReport, Error> {
        let mut stop = loop {
            if *self.stop.borrow() > 0 {
                queue.stop(StopReason::Operator);
            }
            if self.is_over_budget() {
                queue.stop(StopReason::Budget);
            }
            let place = match queue.next(self.remaining_seconds()).await {
                QueueAction::Stop(StopReason::QueueEmpty) if self.stable.has_pending() => {
                    if self.test_the_whole(queue).await? {
                        continue;
                    }
                    break StopReason::QueueEmpty;
                }
                QueueAction::Stop(stop) => break stop,
                QueueAction::Start(place) => place,
            };
            let Some(task) = self.list.tasks.get(place) else {
                break StopReason::QueueEmpty;
            };
            if !self.watcher.is_startable_program(task) {
                queue.stop(StopReason::Operator);
                continue;
            }
            self.turn(task, place, queue).await?;
        };
        // What no task may touch is looked at once more before anybody is told that all is well.
        if stop != StopReason::Broken && self.check_protected()?.is_some() {
            stop = StopReason::Broken;
        }
        let tasks = self.rest(queue)?;
        self.close(stop, tasks).await
    }

    /// One task, and the stable point that may be due after it.
    async fn turn(
        &mut self,
        task: &AgentTask,
        place: usize,
        queue: &mut dyn TaskSource,
    ) -> Result<(), Error> {
        let (verdict, end) = self.task(task, place).await?;
        queue.finish(place, verdict, &end).await;
        if let Some(slot) = self.ends.get_mut(place) {
            *slot = Some(end);
        }
        if verdict == TaskVerdict::Accepted {
            self.stable.record_accepted(&task.id);
        }
        if self.stable.is_due_after(verdict) {
            self.test_the_whole(queue).await?;
        }
        Ok(())
    }

    async fn task(
        &mut self,
        task: &AgentTask,
        place: usize,
    ) -> Result<(TaskVerdict, TaskEnd), Error> {
        let all = self.list.tasks.len();
        self.watcher
            .line(&format!("[{}/{all}] {}: {}", place + 1, task.id, task.goal));
        self.emit_event(
            "task_start",
            json!({ "task": task.id, "class": task.class }),
        );
        self.record_heartbeat(&task.id);
        let began = self.tools.clock.boottime();
        let (verdict, mut end) = self.run_attempts(task).await?;
        let took = self.tools.clock.boottime().saturating_sub(began);
        end.seconds = took.saturating_sub(self.pace.take_waited()).as_secs();
        end.micro_usd = self.pace.take_cost();
        self.end.active_s += end.seconds;
        self.record(LedgerEntry::Task { end: end.clone() })?;
        self.record_heartbeat(&task.id);
        let good = verdict == TaskVerdict::Accepted;
        let word = match end.outcome {
            TaskOutcome::Success => self.watcher.passed_words(),
            TaskOutcome::Blocked => "blocked",
            TaskOutcome::Failed | TaskOutcome::Skipped | TaskOutcome::NotRun => "failed",
        };
        self.watcher.line(&format!(
            "[{}/{all}] {} {word}: {}",
            place + 1,
            task.id,
            end.reason
        ));
        self.emit_event("task_done", json!(end));
        let (event, next) = match end.outcome {
            _ if good => (NotificationEvent::TaskPassed, String::new()),
            TaskOutcome::Blocked => (NotificationEvent::TaskBlocked, "tos night list".to_owned()),
            TaskOutcome::Success
            | TaskOutcome::Failed
            | TaskOutcome::Skipped
            | TaskOutcome::NotRun => (NotificationEvent::TaskFailed, "tos night list".to_owned()),
        };
        self.tell(event, format!("{} {word}", task.id), &end.reason, next);
        Ok((verdict, end))
    }

    /// Records what never started.
    fn rest(&mut self, queue: &dyn TaskSource) -> Result<Vec<TaskEnd>, Error> {
        let mut tasks = Vec::new();
        let ends = std::mem::take(&mut self.ends);
        for ((task, outcome), end) in self.list.tasks.iter().zip(queue.outcomes()).zip(ends) {
            if let Some(end) = end {
                tasks.push(end);
                continue;
            }
            let skipped = outcome == TaskOutcome::Skipped;
            let reason = if skipped {
                "what it needs failed"
            } else {
                "not run"
            };
            let end = self.new_task_end(task, outcome, reason);
            self.record(LedgerEntry::Task { end: end.clone() })?;
            tasks.push(end);
        }
        Ok(tasks)
    }

    async fn close(&mut self, stop: StopReason, tasks: Vec<TaskEnd>) -> Result<ListReport, Error> {
        let good = tasks
            .iter()
            .filter(|task| task.outcome == TaskOutcome::Success)
            .count();
        let title = format!(
            "{}: {good} of {} tasks passed: {}",
            self.list.id,
            tasks.len(),
            stop.label()
        );
        let is_whole = matches!(stop, StopReason::QueueEmpty | StopReason::TimeCap);
        let event = if is_whole {
            NotificationEvent::Finished
        } else {
            NotificationEvent::Stopped
        };
        let text: Vec<String> = tasks
            .iter()
            .map(|task| format!("{} {}: {}", task.task, task.outcome.as_str(), task.reason))
            .collect();
        let next = format!("tos night summary {}", self.terms.run);
        self.tell(event, title, &text.join("\n"), next);
        let told = self.tools.notifications.flush(LAST_WORDS).await;
        self.end.notified = told.arrived;
        stop.as_str().clone_into(&mut self.end.ended_by);
        self.end.wall_s = self.elapsed_seconds();
        self.end.suspend_s = self.pace.slept(&*self.tools.clock);
        let end = self.end.clone();
        self.record(LedgerEntry::SessionEnd { end: end.clone() })?;
        if stop == StopReason::TwoFailures {
            self.emit_event("consecutive_failure_stop", json!({ "failures": 2 }));
        }
        let event = if is_whole {
            "run_complete"
        } else {
            "run_stopped"
        };
        self.emit_event(event, json!(end));
        let accepted = tasks.iter().any(|task| task.commit.is_some());
        Ok(ListReport {
            run: self.terms.run.clone(),
            tasks,
            stop,
            tip: accepted.then(|| (self.tip.clone(), self.reference())),
            untold: told.failed,
            shared_files: self.shared_files.clone(),
            calls: self.pace.calls(),
            tokens: self.pace.tokens(),
            quota_until: self.pace.quota_until(),
            preserved: self.preserved.clone(),
        })
    }

    pub(super) fn reference(&self) -> String {
        format!("refs/tos/runs/{}", self.terms.run)
    }

    pub(super) fn record(&self, entry: LedgerEntry) -> Result<ChainAnchor, Error> {
        Ok(self.tools.ledger.append(Some(&self.terms.session), entry)?)
    }

    /// Tells whoever collects events.
    pub(super) fn emit_event(&self, name: &'static str, data: serde_json::Value) {
        self.tools.journal.emit(&RunEvent {
            run: self.terms.run.clone(),
            session: self.terms.session.clone(),
            name,
            data,
        });
    }

    pub(super) fn new_task_end(
        &self,
        task: &AgentTask,
        outcome: TaskOutcome,
        reason: &str,
    ) -> TaskEnd {
        TaskEnd {
            task: task.id.clone(),
            fingerprint: sha256(
                format!("{}\n{}\n{}", self.list.id, task.class, task.prompt).as_bytes(),
            ),
            class: task.class.clone(),
            outcome,
            reason: reason.to_owned(),
            attempts: 0,
            files: 0,
            added: 0,
            removed: 0,
            seconds: 0,
            commit: None,
            real: self.list.real,
            goal: task.goal.clone(),
            micro_usd: None,
        }
    }

    /// Tells people; nothing waits for it.
    pub(super) fn tell(&self, event: NotificationEvent, title: String, text: &str, next: String) {
        let ledger = self.tools.ledger.read().ok().and_then(|chain| chain.head);
        let mut told = Notification::new(event, title, &self.terms.run)
            .text(text)
            .next_command(next);
        told.ledger = ledger.map(|head| head.commit_trailer()).unwrap_or_default();
        self.tools.notifications.send(told);
    }
}
