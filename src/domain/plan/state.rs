//! What became of a run: the fold over its events, and nothing else.
//!
//! The runner, `status`, `resume` and the report all see a run through [`RunState`]; none of them keeps an
//! account of its own. Any prefix of a run log folds into a valid state.

pub use crate::domain::plan::status::{StatusReason, TaskStatus};
use crate::domain::{
    plan::{
        event::{
            Artifact, AttemptEnded, AttemptStarted, Millis, PlanEvent, RunCreated,
            RunSessionStarted, TasksSettled,
        },
        task::TaskIndex,
    },
    sandbox::SandboxBackend,
};

/// What became of one task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskState {
    /// What it is.
    pub status: TaskStatus,
    /// Attempts over all executions of the run.
    pub attempts: u32,
    /// Attempts of this execution.
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
    pub reason: Option<StatusReason>,
    /// What built the wall around the last attempt, where the policy was enforced.
    pub wall: Option<SandboxBackend>,
    /// When the next attempt is due.
    pub due_at: Option<Millis>,
    /// What few tasks have.
    pub rare: Option<Box<TaskDetails>>,
}

/// What few tasks have.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskDetails {
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
    pub created: RunCreated,
    /// The newest execution; `None` before the first.
    pub opened: Option<RunSessionStarted>,
    /// How it stands.
    pub status: TaskStatus,
    /// When the last event happened.
    pub updated_at: Millis,
    /// Whether somebody asked for the end in this execution.
    pub cancel_requested: bool,
    /// The tasks, in the order of the plan.
    pub tasks: Vec<TaskState>,
}

impl RunState {
    /// Creates the state of a run of which only the first event is known.
    pub fn new(created: RunCreated) -> Self {
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
    pub fn task_id(&self, index: TaskIndex) -> &str {
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
    pub fn status_counts(&self) -> Vec<(TaskStatus, usize)> {
        let mut counts = TaskStatus::ALL.map(|status| (status, 0));
        for task in &self.tasks {
            for (status, count) in &mut counts {
                *count += usize::from(*status == task.status);
            }
        }
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Returns how many tasks have `status`.
    pub fn count(&self, status: TaskStatus) -> usize {
        self.tasks
            .iter()
            .filter(|task| task.status == status)
            .count()
    }

    /// Refuses an event that cannot have happened to this run: a record that was made by nobody or for another plan
    /// must not be believed. The reason goes on after the words for the place.
    pub fn check(&self, event: &PlanEvent) -> Result<(), String> {
        let known = self.tasks.len();
        let unknown = |task: &TaskIndex| {
            let is_known = (*task as usize) < known;
            (!is_known)
                .then(|| format!("names the task {task}, and the plan has only {known} tasks"))
        };
        let refused = match event {
            PlanEvent::Created(_) | PlanEvent::CancelRequested { .. } | PlanEvent::Closed(_) => {
                None
            }
            PlanEvent::Opened(opened) => opened.again.iter().find_map(unknown),
            PlanEvent::Started(started) => unknown(&started.task),
            PlanEvent::Settled(settled) => settled.tasks.iter().find_map(unknown),
            PlanEvent::Ended(ended) => unknown(&ended.task).or_else(|| {
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
    pub fn apply_owned(&mut self, event: PlanEvent) {
        if let PlanEvent::Created(created) = event {
            *self = Self::new(created);
        } else {
            self.apply(&event);
        }
    }

    /// Takes one more event into account.
    pub fn apply(&mut self, event: &PlanEvent) {
        match event {
            PlanEvent::Created(created) => *self = Self::new(created.clone()),
            PlanEvent::Opened(opened) => self.open(opened),
            PlanEvent::Started(started) => self.start(started),
            PlanEvent::Ended(ended) => self.end(ended),
            PlanEvent::Settled(settled) => self.settle(settled),
            PlanEvent::CancelRequested { at } => {
                self.cancel_requested = true;
                self.updated_at = *at;
            }
            PlanEvent::Closed(closed) => {
                self.status = closed.status;
                self.updated_at = closed.at;
            }
        }
    }

    fn open(&mut self, opened: &RunSessionStarted) {
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
        self.status = TaskStatus::Running;
        self.cancel_requested = false;
        self.updated_at = opened.at;
        if !opened.sources.is_empty() {
            self.created.sources.clone_from(&opened.sources);
        }
        self.opened = Some(RunSessionStarted {
            again: Vec::new(),
            sources: Vec::new(),
            ..opened.clone()
        });
    }

    fn start(&mut self, started: &AttemptStarted) {
        let Some(task) = self.tasks.get_mut(started.task as usize) else {
            return;
        };
        let round = task.round + 1;
        task.start_over();
        task.status = TaskStatus::Running;
        task.attempts = started.attempt;
        task.round = round;
        task.started_at = Some(started.at);
        task.wall = started.wall;
        self.updated_at = started.at;
    }

    fn end(&mut self, ended: &AttemptEnded) {
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
            task.rare = Some(Box::new(TaskDetails {
                artifacts: ended.artifacts.clone(),
                message: ended.message.clone(),
            }));
        }
        self.updated_at = ended.at;
    }

    fn settle(&mut self, settled: &TasksSettled) {
        for index in &settled.tasks {
            if let Some(task) = self.tasks.get_mut(*index as usize) {
                task.status = settled.status;
                task.ended_at = Some(settled.at);
                task.due_at = None;
                // A failed attempt keeps its own story; a canceled wait has none.
                if settled.status == TaskStatus::Canceled {
                    task.timed_out = false;
                }
                if settled.status != TaskStatus::Failed {
                    task.reason = Some(settled.reason);
                }
            }
        }
        self.updated_at = settled.at;
    }
}

/// Returns how a run stands whose tasks are all over, given which failures count as none.
pub fn run_status<'a>(tasks: impl IntoIterator<Item = (&'a TaskState, bool)>) -> TaskStatus {
    let mut result = TaskStatus::Success;
    for (task, failure_allowed) in tasks {
        match task.status {
            TaskStatus::Canceled => return TaskStatus::Canceled,
            TaskStatus::Failed if !failure_allowed => result = TaskStatus::Failed,
            TaskStatus::Skipped if !task.reason.is_some_and(StatusReason::is_harmless) => {
                result = TaskStatus::Failed;
            }
            TaskStatus::Failed | TaskStatus::Skipped | TaskStatus::Success => {}
            TaskStatus::Pending
            | TaskStatus::Ready
            | TaskStatus::Running
            | TaskStatus::Interrupted => {
                result = TaskStatus::Failed;
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::event::RunClosed;

    fn created() -> PlanEvent {
        PlanEvent::Created(RunCreated {
            version: 1,
            run_id: "r".to_owned(),
            at: 1,
            tasks: vec!["a".to_owned(), "b".to_owned()],
            ..RunCreated::default()
        })
    }

    fn ended(task: u32, at: i64, status: TaskStatus, code: i32) -> PlanEvent {
        PlanEvent::Ended(AttemptEnded {
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

    fn fold(events: &[PlanEvent]) -> RunState {
        let mut state = RunState::default();
        for event in events {
            state.apply(event);
        }
        state
    }

    #[test]
    fn attempts_are_counted_across_passages_and_results_are_not_carried_over() {
        let opened = |again: &[u32]| {
            PlanEvent::Opened(RunSessionStarted {
                at: 2,
                again: again.to_vec(),
                ..RunSessionStarted::default()
            })
        };
        let started = |attempt| {
            PlanEvent::Started(AttemptStarted {
                task: 0,
                at: 3,
                attempt,
                wall: None,
            })
        };
        let skip = PlanEvent::Settled(TasksSettled {
            tasks: vec![1],
            at: 5,
            status: TaskStatus::Skipped,
            reason: StatusReason::DependencyNotSuccess,
        });
        let state = fold(&[
            created(),
            opened(&[]),
            started(1),
            ended(0, 4, TaskStatus::Failed, 1),
            skip,
            PlanEvent::Closed(RunClosed {
                at: 6,
                status: TaskStatus::Failed,
            }),
            opened(&[0, 1]),
            started(2),
            ended(0, 9, TaskStatus::Success, 0),
        ]);
        assert_eq!(state.tasks[0].attempts, 2);
        assert_eq!(state.tasks[0].round, 1);
        assert_eq!(state.tasks[0].exit_code, Some(0));
        assert_eq!(state.tasks[1], TaskState::default());
        assert_eq!(state.status, TaskStatus::Running);
    }

    #[test]
    fn every_event_survives_the_trip_through_json() {
        for event in [
            created(),
            ended(1, 2, TaskStatus::Ready, -9),
            PlanEvent::CancelRequested { at: 3 },
        ] {
            let line = serde_json::to_string(&event).unwrap();
            assert_eq!(
                serde_json::from_str::<PlanEvent>(&line).unwrap(),
                event,
                "{line}"
            );
        }
        assert_eq!(
            serde_json::to_string(&ended(1, 2, TaskStatus::Success, 0)).unwrap(),
            r#"{"ended":{"task":1,"at":2,"us":1000,"status":"SUCCESS","code":0}}"#
        );
    }
}
