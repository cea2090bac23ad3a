//! One run of a worker: the guarded attempt on a task, as `tos task run` makes it, told as an outcome.

use std::sync::Arc;

use tokio::sync::watch;

use super::{AttemptServices, ServicePorts, watched_worktrees::RefTolerantWorktrees};
use crate::{
    domain::{
        board::{
            AgentRole, AttemptCommit, FailureKind, RunId, RunOutcome, Spend, Task, attempt_prompt,
        },
        ledger::{TaskEnd, TaskOutcome},
        tasks::{AgentKind, AgentTask, OnFailure, RunProgress, StopReason, TaskList},
    },
    ports::approvals::Approvals,
    services::tasks::{self, ListReport, SessionObserver, SessionPorts, SessionSettings},
};

/// How much longer than the board an agent waits for an answer, in seconds.
const MARGIN: u64 = 10;

/// What came of a run.
pub(super) struct FinishedRun {
    pub(super) outcome: RunOutcome,
    pub(super) spend: Spend,
}

struct Listener {
    context: Arc<AttemptServices>,
    agent: String,
}

impl SessionObserver for Listener {
    fn is_startable_program(&self, _task: &AgentTask) -> bool {
        // The board has asked whoever had to be asked.
        true
    }

    fn line(&self, text: &str) {
        self.context.logs.line(&self.agent, text);
    }

    fn passed_words(&self) -> &'static str {
        "goes to the judge"
    }
}

/// What a worker is given.
pub(super) struct WorkerRequest {
    pub(super) agent: String,
    pub(super) run: RunId,
    pub(super) task: Task,
    /// The commit it starts from.
    pub(super) base: String,
    /// The image and the network of its container; `None` = it works on the machine itself.
    pub(super) inside: Option<(String, String)>,
    /// Puts what the agent asks on the board.
    pub(super) asker: Arc<dyn Approvals>,
    /// How long an answer is waited for there, in seconds.
    pub(super) patience: u64,
}

/// Returns the commit that work for a branch starts from.
pub(super) fn base_commit(context: &ServicePorts, branch: &str) -> Result<String, String> {
    let branch = context.branch(branch)?;
    context.merges.tip(&branch).map_err(|error| error.0)
}

/// Says that a run could not begin.
pub(super) fn not_begun(reason: String) -> FinishedRun {
    FinishedRun {
        outcome: failure(FailureKind::Launch, reason),
        spend: Spend::default(),
    }
}

/// Says that nobody knows what came of a run; another attempt may do better at once.
pub(super) fn lost(reason: String) -> FinishedRun {
    FinishedRun {
        outcome: failure(FailureKind::Flaky, reason),
        spend: Spend::default(),
    }
}

/// Works on a task until there is an outcome. The future may block, so it has a thread of its own.
pub(super) async fn work(
    context: Arc<AttemptServices>,
    order: WorkerRequest,
    stop: watch::Receiver<u8>,
) -> FinishedRun {
    let WorkerRequest {
        agent,
        run,
        task,
        base,
        inside,
        asker,
        patience,
    } = order;
    let failed = |failure, reason: String| FinishedRun {
        outcome: RunOutcome::Failed {
            failure,
            signature: reason.clone(),
            reasons: vec![reason],
            kept: None,
        },
        spend: Spend::default(),
    };
    let list = match list_of(&context, &task, patience) {
        Ok(list) => list,
        Err(reason) => return failed(FailureKind::Limit, reason),
    };
    let name = format!("{}-{}", context.instance, run);
    let (mut runners, mut start) = (context.tools.runners.clone(), context.start.clone());
    if let Some((image, network)) = inside {
        runners = match context.containers.runners(&image, &network) {
            Ok(runners) => runners,
            Err(reason) => return failed(FailureKind::Launch, reason),
        };
        "container".clone_into(&mut start.backend);
    }
    let terms = SessionSettings {
        seconds: None,
        hands_quota_back: true,
        progress: RunProgress {
            base: Some(base.clone()),
            ..RunProgress::default()
        },
        ..SessionSettings::new(&name, start)
    };
    let tools = SessionPorts {
        worktrees: Arc::new(RefTolerantWorktrees(Arc::clone(&context.tools.worktrees))),
        runners,
        approvals: asker,
        ..context.tools.clone()
    };
    let listener = Listener {
        context: Arc::clone(&context),
        agent,
    };
    match tasks::run(&list, &tools, &terms, &listener, stop).await {
        Ok(report) => told(&context, &report, run, &task, base),
        Err(error) => failed(FailureKind::Launch, error.to_string()),
    }
}

/// Makes the list that holds nothing but this task.
fn list_of(context: &AttemptServices, task: &Task, patience: u64) -> Result<TaskList, String> {
    let spec = &task.spec;
    let agent = match spec.agent.as_str() {
        "" => context.list.agent.clone(),
        name => context.agents.get(name).cloned().ok_or_else(|| {
            format!("no agent of the service is called \"{name}\"; name it in config/service.toml under [agents.{name}]")
        })?,
    };
    let mut agent = agent;
    if agent.kind == AgentKind::Acp && agent.approval_seconds.is_none() {
        // The board's clock is the one that is shown, so it is the one that ends the wait.
        agent.approval_seconds = Some(patience.saturating_add(MARGIN));
    }
    let list = TaskList {
        agent,
        on_failure: OnFailure::Stop,
        provider_retries: 0,
        tasks: vec![to_guarded_task(&context.test_command, task)],
        ..context.list.clone()
    };
    let faults = list.validation_errors();
    if faults.is_empty() {
        Ok(list)
    } else {
        Err(faults.join("; "))
    }
}

/// Returns a task of the board as sessions know tasks.
pub(super) fn to_guarded_task(usual_test: &[String], task: &Task) -> AgentTask {
    let spec = &task.spec;
    let class = match (spec.class.as_str(), spec.role) {
        ("", AgentRole::Tester) => "test",
        ("", _) => "feature",
        (class, _) => class,
    };
    let minutes = u64::from(spec.timebox_minutes);
    AgentTask {
        id: task.id.to_string(),
        goal: spec.title.clone(),
        prompt: attempt_prompt(task),
        class: class.to_owned(),
        test_command: test_command(usual_test, task),
        context_files: spec.context_files.clone(),
        depends_on: Vec::new(),
        max_time_seconds: if minutes == 0 {
            crate::domain::tasks::DEFAULT_TASK_SECONDS
        } else {
            minutes * 60
        },
        agent: None,
        allowed_imports: spec.allowed_imports.clone(),
        banned_patterns: Vec::new(),
        limits: None,
        may_change_checks: spec.may_change_checks.clone(),
    }
}

/// Returns the command that tests a task.
pub(super) fn test_command(usual: &[String], task: &Task) -> Vec<String> {
    if task.spec.test_command.is_empty() {
        usual.to_vec()
    } else {
        task.spec.test_command.clone()
    }
}

fn told(
    context: &AttemptServices,
    report: &ListReport,
    run: RunId,
    task: &Task,
    base: String,
) -> FinishedRun {
    let end = report.tasks.first();
    let spend = Spend {
        // The first call was counted when the run began.
        calls: u64::from(report.calls.saturating_sub(1)),
        tokens: report.tokens,
        micro_usd: end.and_then(|end| end.micro_usd).unwrap_or_default(),
    };
    let outcome = match (end, end.and_then(|end| end.commit.clone())) {
        (Some(end), Some(commit)) if end.outcome == TaskOutcome::Success => {
            // Other folders with boards may share the repository.
            let reference = format!(
                "refs/tos/attempts/board/{}/{}-{run}",
                task.id, context.instance
            );
            match context.tools.worktrees.update_ref(&reference, &commit) {
                Ok(()) => RunOutcome::Committed {
                    kept: AttemptCommit {
                        commit,
                        reference,
                        base,
                    },
                },
                Err(error) => failure(FailureKind::Launch, error.0),
            }
        }
        (Some(end), _) => refused(context, report, end, base),
        (None, _) => failure(
            FailureKind::Launch,
            "the session ended without a result".to_owned(),
        ),
    };
    FinishedRun { outcome, spend }
}

fn failure(kind: FailureKind, reason: String) -> RunOutcome {
    RunOutcome::Failed {
        failure: kind,
        signature: reason.clone(),
        reasons: vec![reason],
        kept: None,
    }
}

/// Returns what was tried and not accepted, where there is anything of it.
fn tried(context: &AttemptServices, report: &ListReport, base: String) -> Option<AttemptCommit> {
    let worktrees = &context.tools.worktrees;
    let reference = report.preserved.clone()?;
    let commit = worktrees.resolve_ref(&reference)?;
    let changed = worktrees.describe_changes(&base, &commit).ok()?;
    (!changed.is_empty()).then_some(AttemptCommit {
        commit,
        reference,
        base,
    })
}

/// Says what kind of failure it was. Why a session stopped is known; what a task failed of is told by our own sentences.
fn refused(
    context: &AttemptServices,
    report: &ListReport,
    end: &TaskEnd,
    base: String,
) -> RunOutcome {
    let kind = match report.stop {
        StopReason::Operator => return RunOutcome::Stopped,
        StopReason::Quota => {
            return RunOutcome::QuotaUsed {
                until: report.quota_until,
                detail: end.reason.clone(),
            };
        }
        StopReason::Provider => FailureKind::Flaky,
        StopReason::NeedsPerson => FailureKind::Permission,
        StopReason::Limit | StopReason::Broken | StopReason::Budget | StopReason::TimeCap => {
            FailureKind::Limit
        }
        StopReason::QueueEmpty | StopReason::TaskFailed | StopReason::TwoFailures => {
            kind_of(&end.reason)
        }
    };
    RunOutcome::Failed {
        failure: kind,
        signature: end.reason.clone(),
        reasons: vec![end.reason.clone()],
        kept: tried(context, report, base),
    }
}

fn kind_of(reason: &str) -> FailureKind {
    let kinds = [
        // An agent that changes nothing may do better when it is told so.
        ("the agent changed nothing", FailureKind::Model),
        ("the change ", FailureKind::Policy),
        ("the tests ", FailureKind::Test),
    ];
    let known = kinds
        .iter()
        .find(|(beginning, _)| reason.starts_with(beginning));
    known.map_or(FailureKind::Model, |(_, kind)| *kind)
}
