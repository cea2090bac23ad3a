//! What became of a run: the fold over its events, and nothing else.
//!
//! The runner, `status`, `resume` and the report all see a run through [`RunState`]; none of them keeps an
//! account of its own. Any prefix of a run log folds into a valid state.

use serde::{Deserialize, Serialize};

use crate::domain::{
    confinement::Backend,
    plan::{
        event::{Artifact, Created, Ended, Event, Millis, Opened, Settled, Started},
        task::TaskIndex,
    },
};

/// What a task or a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// It has not begun.
    #[default]
    Pending,
    /// An attempt failed and another one follows.
    Ready,
    /// It is under way.
    Running,
    /// It succeeded.
    Success,
    /// It failed.
    Failed,
    /// It never started, and will not.
    Skipped,
    /// A person ended it.
    Canceled,
    /// Its runner died.
    Interrupted,
}

impl Status {
    /// Returns true where nothing will happen to it any more.
    pub const fn is_over(self) -> bool {
        matches!(
            self,
            Self::Success | Self::Failed | Self::Skipped | Self::Canceled
        )
    }

    /// Returns the word used in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Ready => "READY",
            Self::Running => "RUNNING",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::Skipped => "SKIPPED",
            Self::Canceled => "CANCELED",
            Self::Interrupted => "INTERRUPTED",
        }
    }

    /// Returns the status with this word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// All of them, in the order of a summary.
    pub const ALL: [Self; 8] = [
        Self::Success,
        Self::Failed,
        Self::Skipped,
        Self::Canceled,
        Self::Running,
        Self::Ready,
        Self::Pending,
        Self::Interrupted,
    ];
}

/// Why a task is what it is, where no exit code says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Something it depends on did not succeed.
    DependencyNotSuccess,
    /// Another task failed and the run was told to stop at the first failure.
    FailFast,
    /// The run was canceled.
    RunCanceled,
    /// The program could not be started.
    ProcessStartFailed,
    /// The runner itself failed.
    RunnerException,
    /// A file it needs is not there.
    NeedsFilesMissing,
    /// Its condition does not hold.
    WhenFalse,
    /// What it depends on was skipped because a condition did not hold.
    DependencySkipped,
    /// A handler, and nothing failed.
    NothingFailed,
    /// It succeeded, but did not make what it had promised.
    OutputsMissing,
    /// The policy forbids its command.
    PolicyDenied,
    /// Its runner died while it ran.
    PreviousRunInterrupted,
}

impl Reason {
    /// Returns the word used in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DependencyNotSuccess => "dependency_not_success",
            Self::FailFast => "fail_fast",
            Self::RunCanceled => "run_canceled",
            Self::ProcessStartFailed => "process_start_failed",
            Self::RunnerException => "runner_exception",
            Self::NeedsFilesMissing => "needs_files_missing",
            Self::WhenFalse => "when_false",
            Self::DependencySkipped => "dependency_skipped",
            Self::NothingFailed => "nothing_failed",
            Self::OutputsMissing => "outputs_missing",
            Self::PolicyDenied => "policy_denied",
            Self::PreviousRunInterrupted => "previous_run_interrupted",
        }
    }

    /// Returns true where being skipped for this reason is no trouble.
    pub const fn is_harmless(self) -> bool {
        matches!(
            self,
            Self::WhenFalse | Self::DependencySkipped | Self::NothingFailed
        )
    }
}

/// What became of one task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskState {
    /// What it is.
    pub status: Status,
    /// Attempts over all passages.
    pub attempts: u32,
    /// Attempts of this passage.
    pub round: u32,
    /// When the last attempt began.
    pub started_at: Option<Millis>,
    /// When it was over.
    pub ended_at: Option<Millis>,
    /// How long the last attempt took, in microseconds.
    pub took_us: Option<u64>,
    /// The exit code; negative is a signal.
    pub exit_code: Option<i32>,
    /// Whether the deadline ended the last attempt.
    pub timed_out: bool,
    /// Whether an equal success in the past stands for it.
    pub cached: bool,
    /// Why, where the code does not say it.
    pub reason: Option<Reason>,
    /// What built the wall around the last attempt, where the policy was enforced.
    pub wall: Option<Backend>,
    /// When the next attempt is due.
    pub due_at: Option<Millis>,
    /// What few tasks have.
    pub rare: Option<Box<Rare>>,
}

/// What few tasks have.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rare {
    /// What was kept of its outputs.
    pub artifacts: Vec<Artifact>,
    /// One sentence for people.
    pub message: Option<String>,
}

/// Whether a path stays in the folder of artifacts of its run, by its name alone.
fn is_below_artifacts(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.next() == Some("artifacts")
        && parts.clone().next().is_some()
        && parts.all(|part| !part.is_empty() && part != "." && part != "..")
}

impl TaskState {
    /// Returns what was kept of its outputs.
    pub fn artifacts(&self) -> &[Artifact] {
        self.rare
            .as_ref()
            .map_or(&[], |rare| rare.artifacts.as_slice())
    }

    /// Returns the sentence recorded with its end.
    pub fn message(&self) -> Option<&str> {
        self.rare.as_ref().and_then(|rare| rare.message.as_deref())
    }

    /// Returns the word for tables: a success that was not run is `CACHED`.
    pub const fn word(&self) -> &'static str {
        if self.cached {
            "CACHED"
        } else {
            self.status.name()
        }
    }

    fn start_over(&mut self) {
        *self = Self {
            attempts: self.attempts,
            ..Self::default()
        };
    }
}

/// What became of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunState {
    /// Its first event.
    pub created: Created,
    /// The newest passage; `None` before the first.
    pub opened: Option<Opened>,
    /// How it stands.
    pub status: Status,
    /// When the last event happened.
    pub updated_at: Millis,
    /// Whether somebody asked for the end in this passage.
    pub cancel_requested: bool,
    /// The tasks, in the order of the plan.
    pub tasks: Vec<TaskState>,
}

impl RunState {
    /// Creates the state of a run of which only the first event is known.
    pub fn new(created: Created) -> Self {
        Self {
            tasks: vec![TaskState::default(); created.tasks.len()],
            updated_at: created.at,
            created,
            ..Self::default()
        }
    }

    /// Returns the task at `index`.
    pub fn task(&self, index: TaskIndex) -> Option<&TaskState> {
        self.tasks.get(index as usize)
    }

    /// Returns the id of the task at `index`.
    pub fn id(&self, index: TaskIndex) -> &str {
        self.created
            .tasks
            .get(index as usize)
            .map_or("?", String::as_str)
    }

    /// Returns the position of the task with this id.
    pub fn position(&self, id: &str) -> Option<TaskIndex> {
        let found = self.created.tasks.iter().position(|task| task == id)?;
        u32::try_from(found).ok()
    }

    /// Returns the tasks with their positions and ids.
    pub fn entries(&self) -> impl Iterator<Item = (TaskIndex, &str, &TaskState)> {
        (0_u32..)
            .zip(&self.created.tasks)
            .zip(&self.tasks)
            .map(|((index, id), task)| (index, id.as_str(), task))
    }

    /// Returns every status that some task has, with how many have it, in the order of a summary.
    pub fn counts(&self) -> Vec<(Status, usize)> {
        let mut counts = Status::ALL.map(|status| (status, 0));
        for task in &self.tasks {
            for (status, count) in &mut counts {
                *count += usize::from(*status == task.status);
            }
        }
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Returns how many tasks have `status`.
    pub fn count(&self, status: Status) -> usize {
        self.tasks
            .iter()
            .filter(|task| task.status == status)
            .count()
    }

    /// Refuses an event that cannot have happened to this run: a record that was made by nobody or for another plan
    /// must not be believed. The reason goes on after the words for the place.
    pub fn check(&self, event: &Event) -> Result<(), String> {
        let known = self.tasks.len();
        let unknown = |task: &TaskIndex| {
            let is_known = (*task as usize) < known;
            (!is_known)
                .then(|| format!("names the task {task}, and the plan has only {known} tasks"))
        };
        let refused = match event {
            Event::Created(_) | Event::CancelRequested { .. } | Event::Closed(_) => None,
            Event::Opened(opened) => opened.again.iter().find_map(unknown),
            Event::Started(started) => unknown(&started.task),
            Event::Settled(settled) => settled.tasks.iter().find_map(unknown),
            Event::Ended(ended) => unknown(&ended.task).or_else(|| {
                let paths = ended.artifacts.iter().map(|artifact| &artifact.path);
                let mut strangers = paths.filter(|path| !is_below_artifacts(path));
                let path = strangers.next()?;
                Some(format!(
                    "names the artifact `{}`, which is not below `artifacts/`",
                    path.escape_debug()
                ))
            }),
        };
        refused.map_or(Ok(()), Err)
    }

    /// Takes one more event into account, keeping what it holds instead of copying it.
    pub fn absorb(&mut self, event: Event) {
        if let Event::Created(created) = event {
            *self = Self::new(created);
        } else {
            self.apply(&event);
        }
    }

    /// Takes one more event into account.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Created(created) => *self = Self::new(created.clone()),
            Event::Opened(opened) => self.open(opened),
            Event::Started(started) => self.start(started),
            Event::Ended(ended) => self.end(ended),
            Event::Settled(settled) => self.settle(settled),
            Event::CancelRequested { at } => {
                self.cancel_requested = true;
                self.updated_at = *at;
            }
            Event::Closed(closed) => {
                self.status = closed.status;
                self.updated_at = closed.at;
            }
        }
    }

    fn open(&mut self, opened: &Opened) {
        for index in &opened.again {
            if let Some(task) = self.tasks.get_mut(*index as usize) {
                task.start_over();
            }
        }
        for task in &mut self.tasks {
            task.round = 0;
            if !task.status.is_over() {
                task.start_over();
            }
        }
        self.status = Status::Running;
        self.cancel_requested = false;
        self.updated_at = opened.at;
        if !opened.sources.is_empty() {
            self.created.sources.clone_from(&opened.sources);
        }
        self.opened = Some(Opened {
            again: Vec::new(),
            sources: Vec::new(),
            ..opened.clone()
        });
    }

    fn start(&mut self, started: &Started) {
        let Some(task) = self.tasks.get_mut(started.task as usize) else {
            return;
        };
        let round = task.round + 1;
        task.start_over();
        task.status = Status::Running;
        task.attempts = started.attempt;
        task.round = round;
        task.started_at = Some(started.at);
        task.wall = started.wall;
        self.updated_at = started.at;
    }

    fn end(&mut self, ended: &Ended) {
        let Some(task) = self.tasks.get_mut(ended.task as usize) else {
            return;
        };
        task.status = ended.status;
        task.ended_at = Some(ended.at);
        task.took_us = Some(ended.us);
        task.exit_code = ended.code;
        task.timed_out = ended.timed_out;
        task.cached = ended.cached;
        task.reason = ended.reason;
        task.due_at = ended
            .wait_ms
            .map(|wait| ended.at.saturating_add_unsigned(wait));
        if !ended.artifacts.is_empty() || ended.message.is_some() {
            task.rare = Some(Box::new(Rare {
                artifacts: ended.artifacts.clone(),
                message: ended.message.clone(),
            }));
        }
        self.updated_at = ended.at;
    }

    fn settle(&mut self, settled: &Settled) {
        for index in &settled.tasks {
            if let Some(task) = self.tasks.get_mut(*index as usize) {
                task.status = settled.status;
                task.ended_at = Some(settled.at);
                task.due_at = None;
                // A failed attempt keeps its own story; a canceled wait has none.
                if settled.status == Status::Canceled {
                    task.timed_out = false;
                }
                if settled.status != Status::Failed {
                    task.reason = Some(settled.reason);
                }
            }
        }
        self.updated_at = settled.at;
    }
}

/// Returns how a run stands whose tasks are all over, given which failures count as none.
pub fn outcome<'a>(tasks: impl IntoIterator<Item = (&'a TaskState, bool)>) -> Status {
    let mut result = Status::Success;
    for (task, failure_allowed) in tasks {
        match task.status {
            Status::Canceled => return Status::Canceled,
            Status::Failed if !failure_allowed => result = Status::Failed,
            Status::Skipped if !task.reason.is_some_and(Reason::is_harmless) => {
                result = Status::Failed;
            }
            Status::Failed | Status::Skipped | Status::Success => {}
            Status::Pending | Status::Ready | Status::Running | Status::Interrupted => {
                result = Status::Failed;
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::event::Closed;

    fn created() -> Event {
        Event::Created(Created {
            version: 1,
            run_id: "r".to_owned(),
            at: 1,
            tasks: vec!["a".to_owned(), "b".to_owned()],
            ..Created::default()
        })
    }

    fn ended(task: u32, at: i64, status: Status, code: i32) -> Event {
        Event::Ended(Ended {
            task,
            at,
            us: 1000,
            status,
            code: Some(code),
            reason: None,
            message: None,
            timed_out: false,
            cached: false,
            wait_ms: None,
            artifacts: vec![],
        })
    }

    fn fold(events: &[Event]) -> RunState {
        let mut state = RunState::default();
        for event in events {
            state.apply(event);
        }
        state
    }

    #[test]
    fn attempts_are_counted_across_passages_and_results_are_not_carried_over() {
        let opened = |again: &[u32]| {
            Event::Opened(Opened {
                at: 2,
                again: again.to_vec(),
                ..Opened::default()
            })
        };
        let started = |attempt| {
            Event::Started(Started {
                task: 0,
                at: 3,
                attempt,
                wall: None,
            })
        };
        let skip = Event::Settled(Settled {
            tasks: vec![1],
            at: 5,
            status: Status::Skipped,
            reason: Reason::DependencyNotSuccess,
        });
        let state = fold(&[
            created(),
            opened(&[]),
            started(1),
            ended(0, 4, Status::Failed, 1),
            skip,
            Event::Closed(Closed {
                at: 6,
                status: Status::Failed,
            }),
            opened(&[0, 1]),
            started(2),
            ended(0, 9, Status::Success, 0),
        ]);
        assert_eq!(state.tasks[0].attempts, 2);
        assert_eq!(state.tasks[0].round, 1);
        assert_eq!(state.tasks[0].exit_code, Some(0));
        assert_eq!(state.tasks[1], TaskState::default());
        assert_eq!(state.status, Status::Running);
    }

    #[test]
    fn every_event_survives_the_trip_through_json() {
        for event in [
            created(),
            ended(1, 2, Status::Ready, -9),
            Event::CancelRequested { at: 3 },
        ] {
            let line = serde_json::to_string(&event).unwrap();
            assert_eq!(
                serde_json::from_str::<Event>(&line).unwrap(),
                event,
                "{line}"
            );
        }
        assert_eq!(
            serde_json::to_string(&ended(1, 2, Status::Success, 0)).unwrap(),
            r#"{"ended":{"task":1,"at":2,"us":1000,"status":"SUCCESS","code":0}}"#
        );
    }
}
