//! Tasks of plans for other machines: what travels there, and what comes back.
//!
//! An order is a plan of one task, as its runner would run it, with the files it is to find. What a task sees elsewhere is the project
//! as it was when the run began, and the outputs of whatever it depends on; what it leaves behind comes back as far as it is named in
//! its `outputs`. Variables travel only where the plan itself sets them; everything else is that of the worker's machine.

use serde::{Deserialize, Serialize};

use crate::domain::plan::{
    Plan, PlanTask,
    event::AttemptEnded,
    state::{StatusReason, TaskStatus},
    task::OptionalTaskSettings,
};

/// What is said in the place of a role in the subjects of such orders.
pub const PLAN_QUEUE_NAME: &str = "plan";

/// A file that a task finds or leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// Where it lies: for what a task finds below the working directory of the run, for what it leaves below its own.
    pub path: String,
    /// The SHA-256 of its content.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// Whether it may be run.
    pub executable: bool,
}

/// One attempt of one task, to be made somewhere else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanTaskRequest {
    /// The form of this order.
    pub protocol: u32,
    /// The run.
    pub run: String,
    /// Which opening of the run hands it out; a run that is gone on with has another.
    pub opening: String,
    /// The task, by its place in the plan.
    pub task: u32,
    /// Its name.
    pub id: String,
    /// The attempt, counted over the whole run.
    pub attempt: u32,
    /// How often this attempt was handed out before and lost on the way.
    pub lost: u32,
    /// A plan of this task alone, as a text.
    pub plan: String,
    /// The commit that holds the project; empty = there is none.
    pub project: String,
    /// Where the working directory of the run lies in the project.
    pub folder: String,
    /// The folder of the task below that, where it is there at the runner: git does not know folders without files.
    pub cwd: String,
    /// Files on top of it.
    pub files: Vec<PlanFile>,
    /// What a machine has to have.
    pub requires: Vec<String>,
}

impl PlanTaskRequest {
    /// Returns what names this order and no other.
    pub fn key(&self) -> String {
        key(&self.opening, self.task, self.attempt, self.lost)
    }

    /// Returns the same attempt to be handed out once more, where nobody began it and nobody can; `None` when it was lost too often. It costs no
    /// retry: nothing of the task was done.
    #[must_use]
    pub fn again(&self) -> Option<Self> {
        let lost = self.lost + 1;
        let again = || Self {
            lost,
            ..self.clone()
        };
        (lost <= MAX_LOST).then(again)
    }
}

/// How often an attempt that servers lose is handed out once more.
const MAX_LOST: u32 = 5;

/// Returns what names an order and no other.
fn key(opening: &str, task: u32, attempt: u32, lost: u32) -> String {
    format!("{opening}-{task}-{attempt}-{lost}")
}

/// How an attempt at a task of a plan ended on another machine, as that machine tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteExit {
    /// The exit code; negative is a signal.
    pub code: Option<i32>,
    /// Why, where the code does not say it.
    pub reason: Option<StatusReason>,
    /// One sentence for people.
    pub message: Option<String>,
    /// Whether a deadline ended it.
    pub timed_out: bool,
    /// Whether another attempt may end better.
    pub can_retry: bool,
    /// Whether it was taken back before anybody had begun it; only who handed it out knows, so it is never sent.
    #[serde(skip)]
    pub is_taken_back: bool,
}

impl RemoteExit {
    /// Says that an attempt was taken back before a worker had begun it.
    pub fn taken_back() -> Self {
        Self {
            message: Some("canceled before a worker had begun it".to_owned()),
            is_taken_back: true,
            ..Self::default()
        }
    }

    /// Says that nobody knows what became of an attempt: whoever made it is gone.
    pub fn lost(why: String) -> Self {
        Self {
            reason: Some(StatusReason::RunnerException),
            message: Some(why),
            can_retry: true,
            ..Self::default()
        }
    }

    /// Says that an attempt could not be begun, and that another would fare no better.
    pub fn not_begun(why: String) -> Self {
        Self {
            code: Some(70),
            can_retry: false,
            ..Self::lost(why)
        }
    }

    /// Returns how an attempt ended that was made as a plan of its own.
    pub fn of(ended: &AttemptEnded) -> Self {
        let is_canceled = ended.status == TaskStatus::Canceled;
        let reason = ended.reason.filter(|_| !is_canceled);
        let by_itself = ended.code.is_some() && reason.is_none();
        Self {
            code: ended.code.or_else(|| is_canceled.then_some(-15)),
            reason,
            message: ended.message.clone(),
            timed_out: ended.timed_out,
            can_retry: by_itself || ended.timed_out || reason == Some(StatusReason::OutputsMissing),
            is_taken_back: false,
        }
    }

    /// Returns whether it succeeded.
    pub fn is_good(&self) -> bool {
        self.code == Some(0) && self.reason.is_none()
    }
}

/// What came of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanTaskResult {
    /// The run.
    pub run: String,
    /// Which opening of it handed the order out.
    pub opening: String,
    /// The task.
    pub task: u32,
    /// The attempt.
    pub attempt: u32,
    /// How often it had been lost on the way before.
    pub lost: u32,
    /// Who made it; empty = nobody.
    pub worker: String,
    /// How it ended.
    pub end: RemoteExit,
    /// How long it took, in microseconds.
    pub us: u64,
    /// What it printed: output and errors. Where that is much, the text is empty and the file holds it.
    pub printed: [TaskOutputText; 2],
    /// What it left.
    pub files: Vec<PlanFile>,
}

/// What a task printed into one of its streams.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskOutputText {
    /// The text, where it is short.
    pub text: String,
    /// The file with the text, where it is long.
    pub file: Option<PlanFile>,
}

impl PlanTaskResult {
    /// Returns what comes of an order, before anything is known of it.
    pub fn to(order: &PlanTaskRequest, worker: &str, end: RemoteExit) -> Self {
        Self {
            run: order.run.clone(),
            opening: order.opening.clone(),
            task: order.task,
            attempt: order.attempt,
            lost: order.lost,
            worker: worker.to_owned(),
            end,
            ..Self::default()
        }
    }

    /// Returns what names the order, as it does itself.
    pub fn key(&self) -> String {
        key(&self.opening, self.task, self.attempt, self.lost)
    }
}

/// Returns the plan of one task alone: when it runs, how often and after what is decided where the whole plan is known.
///
/// The error says why it cannot be done elsewhere.
pub fn alone(plan: &Plan, task: &PlanTask) -> Result<Plan, String> {
    let outside = |path: &str| path.starts_with('/') || path.split('/').any(|part| part == "..");
    if let Some(cwd) = task.cwd.as_deref().filter(|cwd| outside(cwd)) {
        return Err(format!(
            "its folder `{cwd}` lies outside of the working directory, which is all that another machine gets"
        ));
    }
    if let Some(pattern) = task.outputs.iter().find(|pattern| outside(pattern)) {
        return Err(format!(
            "its output `{pattern}` lies outside of its folder; what comes back from another machine lies inside"
        ));
    }
    let extra = task.extra.as_deref().map(|extra| OptionalTaskSettings {
        when: None,
        // Whoever has the order has them.
        needs_labels: Vec::new(),
        resources: Vec::new(),
        priority: 0,
        allow_failure: false,
        cache: None,
        ..extra.clone()
    });
    Ok(Plan {
        goal: None,
        artifacts_dir: None,
        tasks: vec![PlanTask {
            depends_on: Vec::new(),
            retries: 0,
            retry_backoff_sec: Vec::new(),
            extra: extra.map(Box::new),
            ..task.clone()
        }],
        handlers: 0,
        max_parallel: Some(1),
        resources: Vec::new(),
        policy: plan.policy,
        guarded: None,
        sources: Vec::new(),
    })
}

/// Returns the tasks that a task depends on, those further up too, each once.
pub fn all_dependencies(plan: &Plan, task: u32) -> Vec<u32> {
    let (mut found, mut open) = (std::collections::BTreeSet::new(), vec![task]);
    while let Some(next) = open.pop() {
        for up in plan.task(next).map_or(&[][..], |task| &task.depends_on) {
            if found.insert(*up) {
                open.push(*up);
            }
        }
    }
    found.into_iter().collect()
}

/// Returns the path below its folder at which a task left an artifact; nothing where it lay outside.
pub fn path_below<'a>(artifact: &'a str, id: &str) -> Option<&'a str> {
    let below = artifact.strip_prefix("artifacts/")?.strip_prefix(id)?;
    let below = below.strip_prefix('/')?;
    let is_plain = !below.is_empty()
        && !below.starts_with("__abs__/")
        && below
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".."));
    is_plain.then_some(below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::task::{CacheInputs, TaskAction};

    fn task(id: &str, depends_on: Vec<u32>) -> PlanTask {
        PlanTask {
            id: id.into(),
            action: TaskAction::Shell("true".to_owned()),
            depends_on,
            cwd: None,
            env: None,
            timeout_sec: Some(3.0),
            retries: 2,
            retry_backoff_sec: vec![1.0],
            outputs: vec!["out/*".to_owned()],
            extra: Some(Box::new(OptionalTaskSettings {
                cache: Some(CacheInputs::default()),
                needs_files: vec!["in".to_owned()],
                ..OptionalTaskSettings::default()
            })),
        }
    }

    #[test]
    fn a_task_goes_elsewhere_without_what_the_whole_plan_decides() {
        let plan = Plan {
            tasks: vec![task("a", vec![]), task("b", vec![0]), task("c", vec![1])],
            ..Plan::default()
        };
        let alone = alone(&plan, &plan.tasks[2]).unwrap();
        let only = &alone.tasks[0];
        assert!(only.depends_on.is_empty() && only.retries == 0);
        assert_eq!(only.timeout_sec, Some(3.0));
        let extra = only.extra.as_ref().unwrap();
        assert_eq!((extra.cache.as_ref(), extra.needs_files.len()), (None, 1));
        assert_eq!(all_dependencies(&plan, 2), [0, 1]);
    }

    #[test]
    fn what_lies_outside_of_the_project_stays_here() {
        let mut outside = task("a", vec![]);
        outside.cwd = Some("../b".into());
        assert!(alone(&Plan::default(), &outside).is_err());
        let mut outside = task("a", vec![]);
        outside.outputs = vec!["/tmp/x".to_owned()];
        assert!(alone(&Plan::default(), &outside).is_err());
    }

    #[test]
    fn only_plain_paths_come_back() {
        assert_eq!(path_below("artifacts/a/out/x", "a"), Some("out/x"));
        for path in [
            "artifacts/a/__abs__/etc/x",
            "artifacts/b/x",
            "artifacts/a/../x",
            "artifacts/a/",
            "x",
        ] {
            assert_eq!(path_below(path, "a"), None, "{path}");
        }
    }

    #[test]
    fn an_end_says_whether_another_attempt_makes_sense() {
        let ended = |code, reason, timed_out| AttemptEnded {
            task: 0,
            at: 0,
            us: 1,
            status: TaskStatus::Failed,
            code,
            reason,
            message: None,
            timed_out,
            cached: false,
            wait_ms: None,
            artifacts: Vec::new(),
        };
        assert!(RemoteExit::of(&ended(Some(3), None, false)).can_retry);
        assert!(RemoteExit::of(&ended(None, None, true)).can_retry);
        let refused = Some(StatusReason::PolicyDenied);
        assert!(!RemoteExit::of(&ended(Some(126), refused, false)).can_retry);
        assert!(!RemoteExit::of(&ended(None, None, false)).can_retry);
        assert!(RemoteExit::of(&ended(Some(0), None, false)).is_good());
        let canceled = AttemptEnded {
            status: TaskStatus::Canceled,
            ..ended(None, Some(StatusReason::RunCanceled), false)
        };
        assert_eq!(RemoteExit::of(&canceled).code, Some(-15));
    }
}
