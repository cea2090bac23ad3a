//! Which task is next, and when everything stops. Two failed tasks in a row stop everything, always.

use serde::{Deserialize, Serialize};

use super::{OnFailure, RunProgress, TaskList};
use crate::domain::{agent::AgentEnd, ledger::TaskOutcome};

/// How a task came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskVerdict {
    /// Its work was accepted.
    Accepted,
    /// It was undone, the second try too where there was one.
    Failed,
    /// A limit was reached; it was undone.
    OverLimit,
    /// Something got out or cannot be put back: nothing may go on.
    Broken,
    /// A person stopped it.
    Stopped,
    /// The session had to be over before it was.
    OutOfTime,
    /// The agent's quota is used up and is not renewed in time.
    NoQuota,
    /// The agent's provider did not answer as it should, however often it was asked.
    ProviderDown,
    /// No agent works until a person did something.
    NeedsPerson,
}

/// Says what it means for a task that its agent ended so, in words and as a verdict; waiting was in vain.
pub fn agent_end_verdict(end: &AgentEnd) -> (String, TaskVerdict) {
    match end {
        AgentEnd::LimitReached { reason, .. } => (
            format!("the agent's quota is used up and is not renewed in time: {reason}"),
            TaskVerdict::NoQuota,
        ),
        AgentEnd::ProviderDown { reason, .. } => (
            format!("the agent's provider does not answer as it should: {reason}"),
            TaskVerdict::ProviderDown,
        ),
        AgentEnd::NeedsPerson { reason, remedy } => (
            format!("needs a person: {reason}; {remedy}"),
            TaskVerdict::NeedsPerson,
        ),
        AgentEnd::Failed { reason, .. } => (reason.clone(), TaskVerdict::Failed),
        AgentEnd::Done => ("the agent is done".to_owned(), TaskVerdict::Failed),
    }
}

/// Why everything stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Every task had its turn.
    QueueEmpty,
    /// A task failed and the list says that this is the end, or others need it.
    TaskFailed,
    /// Two tasks failed one after the other.
    TwoFailures,
    /// A task reached a limit.
    Limit,
    /// The next task could not end in time.
    TimeCap,
    /// A promise was broken.
    Broken,
    /// A person stopped it.
    Operator,
    /// The agent's quota is used up and is not renewed in time.
    Quota,
    /// What the list may cost is spent.
    Budget,
    /// The agent's provider did not answer as it should, however often it was asked.
    Provider,
    /// The agent's login or account needs a person.
    NeedsPerson,
}

impl StopReason {
    /// Returns the word used in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueEmpty => "queue_empty",
            Self::TaskFailed => "task_failed",
            Self::TwoFailures => "two_failures",
            Self::Limit => "limit",
            Self::TimeCap => "time_cap",
            Self::Broken => "broken",
            Self::Operator => "operator",
            Self::Quota => "quota",
            Self::Budget => "budget",
            Self::Provider => "provider",
            Self::NeedsPerson => "needs_person",
        }
    }

    /// Returns the reason as people say it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::QueueEmpty => "all tasks tried",
            Self::TaskFailed => "a task failed",
            Self::TwoFailures => "two tasks failed in a row",
            Self::Limit => "a task reached a limit",
            Self::TimeCap => "time was up",
            Self::Broken => "a promise was broken",
            Self::Operator => "stopped by you",
            Self::Quota => "the agent's quota is used up",
            Self::Budget => "the money is spent",
            Self::Provider => "the agent's provider is down",
            Self::NeedsPerson => "the agent needs a person: its program, its login or its account",
        }
    }

    const ALL: [Self; 11] = [
        Self::QueueEmpty,
        Self::TaskFailed,
        Self::TwoFailures,
        Self::Limit,
        Self::TimeCap,
        Self::Broken,
        Self::Operator,
        Self::Quota,
        Self::Budget,
        Self::Provider,
        Self::NeedsPerson,
    ];

    /// Returns, as people say it, what a word in a file means; a word of no known meaning stays as it is.
    pub fn label_of(word: &str) -> &str {
        let known = Self::ALL.into_iter().find(|stop| stop.as_str() == word);
        match (known, word) {
            (Some(stop), _) => stop.label(),
            (None, "crash") => "tos or the machine died",
            (None, "not over") => "running",
            (None, _) => word,
        }
    }
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a stop that is not obeyed is none"]
pub enum QueueAction {
    /// Start this task.
    Start(usize),
    /// Leave everything else.
    Stop(StopReason),
}

/// The tasks of a list and how far they are.
#[derive(Debug, Clone)]
pub struct TaskQueue {
    on_failure: OnFailure,
    tasks: Vec<QueuedTask>,
    failures_in_a_row: u32,
    end: Option<StopReason>,
}

/// A task of a queue.
#[derive(Debug, Clone)]
pub struct QueuedTask {
    /// Places of what has to be accepted first.
    pub needs: Vec<usize>,
    /// How long it may take.
    pub seconds: u64,
    /// How it came out.
    pub outcome: Option<TaskOutcome>,
}

impl TaskQueue {
    /// Makes the queue of a list.
    pub fn new(list: &TaskList) -> Self {
        let place = |id: &String| list.tasks.iter().position(|task| &task.id == id);
        let tasks = list.tasks.iter().map(|task| QueuedTask {
            needs: task.depends_on.iter().filter_map(place).collect(),
            seconds: task.max_time_seconds,
            outcome: None,
        });
        Self {
            on_failure: list.on_failure,
            tasks: tasks.collect(),
            failures_in_a_row: 0,
            end: None,
        }
    }

    /// Makes a queue as it was left; `end` = why no further task starts.
    pub const fn resumed(
        on_failure: OnFailure,
        tasks: Vec<QueuedTask>,
        failures_in_a_row: u32,
        end: Option<StopReason>,
    ) -> Self {
        let end = match end {
            None if failures_in_a_row >= 2 => Some(StopReason::TwoFailures),
            end => end,
        };
        Self {
            on_failure,
            tasks,
            failures_in_a_row,
            end,
        }
    }

    /// Returns how many tasks failed one after the other.
    pub const fn failures_in_a_row(&self) -> u32 {
        self.failures_in_a_row
    }

    /// Returns why no further task starts.
    pub const fn stop_reason(&self) -> Option<StopReason> {
        self.end
    }

    /// Takes over what earlier sessions of the run have done. Only verdicts are kept; whatever else a task
    /// came to, it has its turn again.
    #[must_use]
    pub fn with_progress(mut self, list: &TaskList, progress: &RunProgress) -> Self {
        for (place, task) in list.tasks.iter().enumerate() {
            if let Some(end) = progress.ends.iter().find(|end| end.task == task.id) {
                self.set(place, end.outcome);
            }
        }
        self.failures_in_a_row = progress.failures_in_a_row;
        if self.failures_in_a_row >= 2 {
            self.end = Some(StopReason::TwoFailures);
        }
        self
    }

    /// Says what to do now; `left` = seconds until the session must be over.
    pub fn next(&mut self, left: Option<u64>) -> QueueAction {
        if let Some(end) = self.end {
            return QueueAction::Stop(end);
        }
        while let Some(place) = self.tasks.iter().position(|task| task.outcome.is_none()) {
            let failed = |need: &usize| {
                self.tasks
                    .get(*need)
                    .is_some_and(|task| task.outcome != Some(TaskOutcome::Success))
            };
            let Some(task) = self.tasks.get(place) else {
                break;
            };
            if task.needs.iter().any(failed) {
                self.set(place, TaskOutcome::Skipped);
                continue;
            }
            if left.is_some_and(|left| left < task.seconds) {
                self.end = Some(StopReason::TimeCap);
                return QueueAction::Stop(StopReason::TimeCap);
            }
            return QueueAction::Start(place);
        }
        self.end = Some(StopReason::QueueEmpty);
        QueueAction::Stop(StopReason::QueueEmpty)
    }

    /// Takes the verdict on a task.
    pub fn finish(&mut self, place: usize, verdict: TaskVerdict) {
        self.set(
            place,
            match verdict {
                TaskVerdict::Accepted => TaskOutcome::Success,
                TaskVerdict::Failed | TaskVerdict::OverLimit | TaskVerdict::Broken => {
                    TaskOutcome::Failed
                }
                TaskVerdict::Stopped
                | TaskVerdict::OutOfTime
                | TaskVerdict::NoQuota
                | TaskVerdict::ProviderDown
                | TaskVerdict::NeedsPerson => TaskOutcome::Blocked,
            },
        );
        match verdict {
            TaskVerdict::Accepted => self.failures_in_a_row = 0,
            TaskVerdict::Failed => self.failed(place),
            TaskVerdict::OverLimit => self.end = Some(StopReason::Limit),
            TaskVerdict::Broken => self.end = Some(StopReason::Broken),
            TaskVerdict::Stopped => self.end = Some(StopReason::Operator),
            TaskVerdict::OutOfTime => self.end = Some(StopReason::TimeCap),
            TaskVerdict::NoQuota => self.end = Some(StopReason::Quota),
            TaskVerdict::ProviderDown => self.end = Some(StopReason::Provider),
            TaskVerdict::NeedsPerson => self.end = Some(StopReason::NeedsPerson),
        }
    }

    /// Stops before the next task, unless something stopped it already.
    pub fn stop(&mut self, why: StopReason) {
        self.end = self.end.or(Some(why));
    }

    /// Takes accepted work back that did not hold as a whole; that is one failure, however many tasks it was.
    pub fn revert_accepted(&mut self, places: &[usize]) {
        for place in places {
            self.set(*place, TaskOutcome::Failed);
        }
        if let Some(last) = places.last() {
            self.failed(*last);
        }
    }

    fn failed(&mut self, place: usize) {
        self.failures_in_a_row += 1;
        let needed = self.tasks.iter().any(|task| task.needs.contains(&place));
        let end = match self.on_failure {
            _ if self.failures_in_a_row >= 2 => Some(StopReason::TwoFailures),
            OnFailure::Stop => Some(StopReason::TaskFailed),
            OnFailure::RetryThenStop if needed => Some(StopReason::TaskFailed),
            OnFailure::RetryThenStop | OnFailure::RetryThenSkipDependents => None,
        };
        self.end = self.end.or(end);
    }

    fn set(&mut self, place: usize, outcome: TaskOutcome) {
        if let Some(task) = self.tasks.get_mut(place) {
            task.outcome = Some(outcome);
        }
    }

    /// Returns how each task came out; what never started was not run.
    pub fn outcomes(&self) -> Vec<TaskOutcome> {
        self.tasks
            .iter()
            .map(|task| task.outcome.unwrap_or(TaskOutcome::NotRun))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn queue(on_failure: OnFailure, needs: &[&[usize]]) -> TaskQueue {
        let tasks = needs.iter().map(|needs| QueuedTask {
            needs: needs.to_vec(),
            seconds: 10,
            outcome: None,
        });
        TaskQueue {
            on_failure,
            tasks: tasks.collect(),
            failures_in_a_row: 0,
            end: None,
        }
    }

    fn play(queue: &mut TaskQueue, verdicts: &[TaskVerdict]) -> StopReason {
        let mut verdicts = verdicts.iter().copied();
        loop {
            match queue.next(None) {
                QueueAction::Start(place) => {
                    queue.finish(place, verdicts.next().unwrap_or(TaskVerdict::Accepted));
                }
                QueueAction::Stop(stop) => return stop,
            }
        }
    }

    use TaskOutcome::{Failed, NotRun, Skipped, Success};

    #[test]
    fn the_first_failure_ends_a_list_that_stops() {
        let mut queue = queue(OnFailure::Stop, &[&[], &[], &[]]);
        assert_eq!(
            play(&mut queue, &[TaskVerdict::Accepted, TaskVerdict::Failed]),
            StopReason::TaskFailed
        );
        assert_eq!(queue.outcomes(), [Success, Failed, NotRun]);
    }

    #[test]
    fn nothing_is_skipped_before_skipping_is_earned() {
        let mut queue = queue(OnFailure::RetryThenStop, &[&[], &[0], &[]]);
        assert_eq!(
            play(&mut queue, &[TaskVerdict::Failed]),
            StopReason::TaskFailed
        );
        assert_eq!(queue.outcomes(), [Failed, NotRun, NotRun]);
    }

    #[test]
    fn dependents_of_a_failure_are_skipped_and_the_others_go_on() {
        let mut queue = queue(OnFailure::RetryThenSkipDependents, &[&[], &[0], &[1], &[]]);
        assert_eq!(
            play(&mut queue, &[TaskVerdict::Failed]),
            StopReason::QueueEmpty
        );
        assert_eq!(queue.outcomes(), [Failed, Skipped, Skipped, Success]);
    }

    #[test]
    fn a_task_that_cannot_end_in_time_does_not_start() {
        let mut queue = queue(OnFailure::Stop, &[&[]]);
        assert_eq!(queue.next(Some(9)), QueueAction::Stop(StopReason::TimeCap));
    }

    #[test]
    fn work_that_does_not_hold_together_is_one_failure() {
        let mut queue = queue(OnFailure::RetryThenSkipDependents, &[&[], &[], &[1], &[]]);
        for place in 0..2 {
            assert_eq!(queue.next(None), QueueAction::Start(place));
            queue.finish(place, TaskVerdict::Accepted);
        }
        queue.revert_accepted(&[0, 1]);
        assert_eq!(play(&mut queue, &[]), StopReason::QueueEmpty);
        assert_eq!(queue.outcomes(), [Failed, Failed, Skipped, Success]);
    }

    proptest! {
        #[test]
        fn two_failures_in_a_row_stop_everything(good in prop::collection::vec(any::<bool>(), 1..20), skip in any::<bool>()) {
            let mode = if skip { OnFailure::RetryThenSkipDependents } else { OnFailure::RetryThenStop };
            let needs: Vec<&[usize]> = good.iter().map(|_| [].as_slice()).collect();
            let mut queue = queue(mode, &needs);
            let verdicts: Vec<TaskVerdict> = good.iter().map(|good| if *good { TaskVerdict::Accepted } else { TaskVerdict::Failed }).collect();
            let stop = play(&mut queue, &verdicts);
            let outcomes = queue.outcomes();
            let pair = good.windows(2).position(|pair| pair == [false, false]);
            prop_assert_eq!(stop == StopReason::TwoFailures, pair.is_some());
            if let Some(pair) = pair {
                prop_assert!(outcomes[pair + 2..].iter().all(|outcome| *outcome == NotRun));
            }
        }
    }
}
