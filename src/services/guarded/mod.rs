//! Carries out guarded tasks: one work tree, one agent, one verdict at a time.
//!
//! What is decided (which task, whether again, when to stop) is decided by the queue of
//! [`crate::domain::guarded`]; here it is done, recorded before the next thing, and told.

mod attempt;
mod scale;

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    domain::{
        guarded::{Next, Queue, Stop, Task, TaskList, Verdict},
        ledger::{
            Entry, SessionEnd, SessionStart, TaskEnd, TaskOutcome,
            chain::{Anchor, sha256},
        },
    },
    ports::{
        clock::Clock,
        hands::Hands,
        ledger::Ledger,
        notifier::{Note, Notifier},
        worktrees::{self, Worktrees},
    },
};

/// What the runner works with.
#[derive(Clone)]
pub struct Tools {
    /// Work trees.
    pub worktrees: Arc<dyn Worktrees>,
    /// Runners.
    pub hands: Arc<dyn Hands>,
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// Ways to tell people.
    pub notifiers: Vec<Arc<dyn Notifier>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// The terms of one session.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The run's id, which is also the session's.
    pub run: String,
    /// What is known at the start.
    pub start: SessionStart,
    /// How long it may take; `None` = as long as a person watches.
    pub seconds: Option<u64>,
}

/// What a watcher sees, and where a person says go.
pub trait Watcher: Sync {
    /// Asks whether a task may start.
    fn may_start(&self, task: &Task) -> bool;

    /// Tells one line.
    fn line(&self, text: &str);
}

/// What came of a list.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Every task, in the order of the list.
    pub tasks: Vec<TaskEnd>,
    /// Why it ended.
    pub stop: Stop,
    /// The newest accepted commit, and the reference that holds it.
    pub tip: Option<(String, String)>,
    /// Ways to tell people that did not work.
    pub untold: Vec<String>,
}

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
pub(super) struct Session<'a> {
    pub(super) list: &'a TaskList,
    pub(super) tools: &'a Tools,
    pub(super) terms: &'a Terms,
    pub(super) watcher: &'a dyn Watcher,
    pub(super) stop: watch::Receiver<u8>,
    /// What may not change.
    pub(super) promises: Vec<(String, String)>,
    /// The commit the next task starts from.
    pub(super) tip: String,
    pub(super) end: SessionEnd,
    pub(super) untold: Vec<String>,
    /// How many megabytes a program had written when it was ended for that.
    pub(super) heavy: Option<u64>,
    /// What the task before changed.
    pub(super) before: Option<String>,
}

/// Runs a list to its end.
pub async fn run(
    list: &TaskList,
    tools: &Tools,
    terms: &Terms,
    watcher: &dyn Watcher,
    stop: watch::Receiver<u8>,
) -> Result<Summary, Error> {
    let mut session = Session {
        tip: tools.worktrees.head()?,
        promises: tools.worktrees.promises()?,
        list,
        tools,
        terms,
        watcher,
        stop,
        end: SessionEnd::default(),
        untold: Vec::new(),
        heavy: None,
        before: None,
    };
    session.record(Entry::SessionStart {
        start: terms.start.clone(),
    })?;
    session
        .tell(
            "started",
            &format!("{}: {} tasks", list.id, list.tasks.len()),
            &list.title,
        )
        .await;
    session.drive().await
}

impl Session<'_> {
    async fn drive(&mut self) -> Result<Summary, Error> {
        let started = self.tools.clock.monotonic();
        let mut queue = Queue::new(self.list);
        let mut ends: Vec<Option<TaskEnd>> = vec![None; self.list.tasks.len()];
        let stop = loop {
            if *self.stop.borrow() > 0 {
                queue.stop();
            }
            let spent = self.since(started);
            let left = self.terms.seconds.map(|all| all.saturating_sub(spent));
            let place = match queue.next(left) {
                Next::Stop(stop) => break stop,
                Next::Start(place) => place,
            };
            let Some(task) = self.list.tasks.get(place) else {
                break Stop::QueueEmpty;
            };
            if !self.watcher.may_start(task) {
                queue.stop();
                continue;
            }
            let (verdict, end) = self.task(task, place).await?;
            queue.finish(place, verdict);
            if let Some(slot) = ends.get_mut(place) {
                *slot = Some(end);
            }
        };
        let tasks = self.rest(&queue, ends)?;
        self.end.wall_s = self.since(started);
        self.close(stop, tasks).await
    }

    async fn task(&mut self, task: &Task, place: usize) -> Result<(Verdict, TaskEnd), Error> {
        let all = self.list.tasks.len();
        self.watcher
            .line(&format!("[{}/{all}] {}: {}", place + 1, task.id, task.goal));
        let began = self.tools.clock.monotonic();
        let (verdict, mut end) = self.tries(task).await?;
        end.seconds = self.since(began);
        self.end.active_s += end.seconds;
        self.record(Entry::Task { end: end.clone() })?;
        let word = if verdict == Verdict::Accepted {
            "passed"
        } else {
            "failed"
        };
        self.watcher.line(&format!(
            "[{}/{all}] {} {word}: {}",
            place + 1,
            task.id,
            end.reason
        ));
        let event = if verdict == Verdict::Accepted {
            "task_passed"
        } else {
            "task_failed"
        };
        self.tell(event, &format!("{} {word}", task.id), &end.reason)
            .await;
        Ok((verdict, end))
    }

    /// Records what never started.
    fn rest(&self, queue: &Queue, ends: Vec<Option<TaskEnd>>) -> Result<Vec<TaskEnd>, Error> {
        let mut tasks = Vec::new();
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
            let end = self.blank(task, outcome, reason);
            self.record(Entry::Task { end: end.clone() })?;
            tasks.push(end);
        }
        Ok(tasks)
    }

    async fn close(&mut self, stop: Stop, tasks: Vec<TaskEnd>) -> Result<Summary, Error> {
        let good = tasks
            .iter()
            .filter(|task| task.outcome == TaskOutcome::Success)
            .count();
        let title = format!(
            "{}: {good} of {} tasks passed, ended by {}",
            self.list.id,
            tasks.len(),
            stop.as_str()
        );
        let event = if matches!(stop, Stop::QueueEmpty | Stop::TimeCap) {
            "finished"
        } else {
            "stopped"
        };
        let text: Vec<String> = tasks
            .iter()
            .map(|task| format!("{} {}: {}", task.task, task.outcome.as_str(), task.reason))
            .collect();
        self.tell(event, &title, &text.join("\n")).await;
        stop.as_str().clone_into(&mut self.end.ended_by);
        let end = self.end.clone();
        self.record(Entry::SessionEnd { end })?;
        let accepted = tasks.iter().any(|task| task.commit.is_some());
        Ok(Summary {
            tasks,
            stop,
            tip: accepted.then(|| (self.tip.clone(), self.reference())),
            untold: std::mem::take(&mut self.untold),
        })
    }

    /// Returns the whole seconds since a moment of the clock.
    fn since(&self, began: Duration) -> u64 {
        self.tools.clock.monotonic().saturating_sub(began).as_secs()
    }

    pub(super) fn reference(&self) -> String {
        format!("refs/tos/runs/{}", self.terms.run)
    }

    pub(super) fn record(&self, entry: Entry) -> Result<Anchor, Error> {
        Ok(self.tools.ledger.append(Some(&self.terms.run), entry)?)
    }

    pub(super) fn blank(&self, task: &Task, outcome: TaskOutcome, reason: &str) -> TaskEnd {
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
        }
    }

    async fn tell(&mut self, event: &str, title: &str, text: &str) {
        let ledger = self.tools.ledger.read().ok().and_then(|chain| chain.head);
        let note = Note {
            event: event.to_owned(),
            title: title.to_owned(),
            text: text.to_owned(),
            run: self.terms.run.clone(),
            ledger: ledger.map(|head| head.trailer()).unwrap_or_default(),
        };
        for notifier in &self.tools.notifiers {
            match notifier.tell(&note).await {
                Ok(()) => self.end.notified += 1,
                // Telling is a courtesy; the work goes on, and the end says what did not arrive.
                Err(why) => {
                    let line = format!("{} could not be told: {why}", notifier.name());
                    self.watcher.line(&line);
                    if !self.untold.contains(&line) {
                        self.untold.push(line);
                    }
                }
            }
        }
    }
}
