//! One task: work tree, agent, validators, tests, then a commit or a rollback that is proved.

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde_json::json;

use super::{Error, SessionState, spending::WaitOutcome};
use crate::{
    domain::{
        agent::AgentEnd,
        command::Command,
        ledger::{LedgerEntry, TaskEnd, TaskOutcome, chain::sha256},
        process::ExitStatus,
        tasks::{
            Agent, AgentTask, Feedback, TaskVerdict, acceptance_note, agent_end_verdict,
            confirmed_class,
        },
        text::one_line,
        validate::{
            CollectedChange, FindingGroup, Severity, ValidationFinding, is_listed,
            is_named_by_commands, is_test_path, judge,
        },
    },
    ports::{
        runner::{CommandRequest, CommandRunner, CommandStreams},
        worktrees::Worktree,
    },
    services::tasks::outcome::{TaskAttemptOutcome, feedback, rejected_outcome},
};

impl SessionState<'_> {
    /// Tries a task, at most twice; a try that met a used-up quota is none.
    pub(super) async fn run_attempts(
        &mut self,
        task: &AgentTask,
    ) -> Result<(TaskVerdict, TaskEnd), Error> {
        let mut place = self
            .tools
            .worktrees
            .make(&self.terms.session, &task.id, &self.tip)?;
        self.preserved = None;
        let mut told: Option<Feedback> = None;
        let (mut attempt, mut call, mut waits) = (1, 0, 0);
        let ended = loop {
            call += 1;
            let mut tried = self.attempt(task, &place, told.as_ref(), call).await?;
            self.tools.runners.remove_credentials(&place.task_folder);
            if let TaskAttemptOutcome::Good { tree, seen } = &tried {
                break self.accept(task, &place, tree, seen, attempt)?;
            }
            // A try that met no working provider is none, so it does not take the name of one.
            let name = match &tried {
                TaskAttemptOutcome::NoProvider(AgentEnd::LimitReached { .. }) => {
                    format!("quota-{call}")
                }
                TaskAttemptOutcome::NoProvider(_) => format!("provider-{call}"),
                _ => attempt.to_string(),
            };
            let restored = self.undo(task, &mut place, &name)?;
            if restored
                && let Some(waited) = self.wait_for_provider(task, &tried, &mut waits).await?
            {
                match waited {
                    WaitOutcome::Renewed => continue,
                    WaitOutcome::Stopped => tried = TaskAttemptOutcome::Stopped,
                    WaitOutcome::OutOfTime => tried = TaskAttemptOutcome::OutOfTime,
                    WaitOutcome::InVain => {}
                }
            }
            if matches!(tried, TaskAttemptOutcome::NoProvider(_)) {
                attempt -= 1;
            }
            let (why, again, verdict) = explained(tried);
            let may = again && attempt == 1 && restored && self.may_try_again(task);
            if !may || !self.watcher.may_retry(task, &why.summary_line()).await {
                let verdict = if restored {
                    verdict
                } else {
                    TaskVerdict::Broken
                };
                break self.give_up(task, &why, verdict, attempt)?;
            }
            self.tries_again(task, &why)?;
            told = Some(why);
            attempt = 2;
        };
        self.tools.worktrees.remove_for_reuse(&place)?;
        Ok(ended)
    }

    /// A second try, like a first one, must be able to end in time.
    fn may_try_again(&self, task: &AgentTask) -> bool {
        let in_time = self
            .remaining_seconds()
            .is_none_or(|left| left >= task.max_time_seconds);
        in_time && self.list.on_failure.retries() && !self.is_over_budget()
    }

    fn tries_again(&self, task: &AgentTask, why: &Feedback) -> Result<(), Error> {
        self.record(LedgerEntry::RetryStart {
            task: task.id.clone(),
            reason: why.summary_line(),
        })?;
        self.emit_event(
            "task_retry_start",
            json!({ "task": task.id, "reason": why.summary_line() }),
        );
        self.watcher
            .line(&format!("  {}; trying once more", why.summary_line()));
        Ok(())
    }

    fn accept(
        &mut self,
        task: &AgentTask,
        place: &Worktree,
        tree: &str,
        seen: &CollectedChange,
        attempt: u32,
    ) -> Result<(TaskVerdict, TaskEnd), Error> {
        if attempt == 2 {
            self.record(LedgerEntry::RetrySuccess {
                task: task.id.clone(),
            })?;
            self.emit_event("task_retry_success", json!({ "task": task.id }));
        }
        let head = self
            .tools
            .ledger
            .read()?
            .commit_trailer()
            .unwrap_or_default();
        let message = format!("task({}): {}\n\nTos-Ledger: {head}", task.id, task.goal);
        let commit = self
            .tools
            .worktrees
            .commit_tree(place, tree, &message, &self.reference())?;
        self.before = Some(
            self.tools
                .worktrees
                .describe_changes(&place.base, &commit)?,
        );
        self.tip.clone_from(&commit);
        self.emit_event(
            "task_committed",
            json!({ "task": task.id, "commit": commit }),
        );
        let changes = &seen.changes;
        let mut end =
            self.new_task_end(task, TaskOutcome::Success, &acceptance_note(task, changes));
        end.class = confirmed_class(task, changes);
        end.fingerprint = sha256(format!("{}\n{tree}", end.fingerprint).as_bytes());
        end.attempts = attempt;
        end.files = u32::try_from(changes.len()).unwrap_or(u32::MAX);
        end.added = changes.iter().map(|change| change.added).sum();
        end.removed = changes.iter().map(|change| change.removed).sum();
        end.commit = Some(commit);
        Ok((TaskVerdict::Accepted, end))
    }

    fn give_up(
        &mut self,
        task: &AgentTask,
        why: &Feedback,
        verdict: TaskVerdict,
        attempt: u32,
    ) -> Result<(TaskVerdict, TaskEnd), Error> {
        if attempt == 2 {
            self.record(LedgerEntry::RetryFailed {
                task: task.id.clone(),
                reason: why.summary_line(),
            })?;
            self.emit_event(
                "task_retry_failed",
                json!({ "task": task.id, "reason": why.summary_line() }),
            );
        }
        let outcome = match verdict {
            TaskVerdict::Stopped
            | TaskVerdict::OutOfTime
            | TaskVerdict::NoQuota
            | TaskVerdict::ProviderDown
            | TaskVerdict::NeedsPerson => TaskOutcome::Blocked,
            TaskVerdict::Accepted
            | TaskVerdict::Failed
            | TaskVerdict::OverLimit
            | TaskVerdict::Broken => TaskOutcome::Failed,
        };
        let mut end = self.new_task_end(task, outcome, &why.summary_line());
        end.attempts = attempt;
        Ok((verdict, end))
    }

    /// Keeps what was tried where a person can look at it, then puts the tree back and proves it.
    fn undo(&mut self, task: &AgentTask, place: &mut Worktree, name: &str) -> Result<bool, Error> {
        let worktrees = &self.tools.worktrees;
        // Where no provider worked there is mostly nothing to keep.
        let is_try = name.parse::<u32>().is_ok();
        let is_empty = !is_try
            && worktrees
                .changes(place)
                .is_ok_and(|seen| seen.changes.is_empty());
        let reference = format!(
            "refs/tos/attempts/{}/{}-{name}",
            self.terms.session, task.id
        );
        let message = format!("rejected try {name} of {}", task.id);
        let kept = if is_empty {
            Ok(None)
        } else {
            worktrees.save(place, &message, &reference).map(Some)
        };
        match &kept {
            Ok(None) => {}
            Ok(Some(kept)) => self
                .watcher
                .line(&format!("  undone; what was tried is kept as {kept}")),
            Err(error) => self
                .watcher
                .line(&format!("  what was tried could not be kept: {error}")),
        }
        let before = place.tree.clone();
        let after = worktrees.roll_back(place);
        let ok = after.as_ref().is_ok_and(|after| *after == before);
        self.end.rollback_failed += u32::from(!ok);
        self.emit_event("task_rollback", json!({ "task": task.id, "ok": ok }));
        self.record(LedgerEntry::Rollback {
            task: task.id.clone(),
            target: place.base.clone(),
            ok,
            before,
            after: after.unwrap_or_else(|error| error.to_string()),
            kept: kept.clone().ok().flatten(),
        })?;
        // What an earlier try left is still there where this one left nothing.
        self.preserved = kept.ok().flatten().or(self.preserved.take());
        Ok(ok)
    }

    async fn attempt(
        &mut self,
        task: &AgentTask,
        place: &Worktree,
        told: Option<&Feedback>,
        call: u32,
    ) -> Result<TaskAttemptOutcome, Error> {
        if let Some(tried) = self.call_agent(task, place, told, call).await? {
            return Ok(tried);
        }
        let (_, home) = self.tools.runners.homes(&place.task_folder);
        self.judge(task, place, home, call).await
    }

    async fn judge(
        &mut self,
        task: &AgentTask,
        place: &Worktree,
        home: String,
        call: u32,
    ) -> Result<TaskAttemptOutcome, Error> {
        let seen = match self.tools.worktrees.changes(place) {
            Ok(seen) => seen,
            Err(error) => return Ok(rejected_outcome(error.to_string(), true)),
        };
        if seen.changes.is_empty() {
            return Ok(self.no_change_outcome());
        }
        if let Some(leaked) = self.check_leaks(&seen) {
            return Ok(leaked);
        }
        if let Some(refused) = self.judged(task, &seen)? {
            return Ok(refused);
        }
        // What the tests leave behind is not part of the work, so its tree is taken before them.
        let tree = self.tools.worktrees.tree(place)?;
        self.tested(task, place, home, tree, seen, call).await
    }

    fn judged(
        &mut self,
        task: &AgentTask,
        seen: &CollectedChange,
    ) -> Result<Option<TaskAttemptOutcome>, Error> {
        let rules = self.list.validation_rules(task, self.is_walled());
        let own = |path: &String| {
            !is_test_path(path)
                && is_named_by_commands(path, &rules.commands)
                && !is_listed(path, &rules.may_change_checks)
        };
        if let Some(change) = seen.changes.iter().find(|change| own(&change.path)) {
            let path = one_line(&change.path);
            let reason = format!(
                "the change touches {path}, which decides whether it is good; if it has to, list it in `may_change_checks`"
            );
            return Ok(Some(rejected_outcome(reason, true)));
        }
        let findings = judge(&rules, &seen.project, &seen.changes);
        let failures: Vec<&ValidationFinding> = findings
            .iter()
            .filter(|one| one.weight == Severity::Failure)
            .collect();
        for warning in findings
            .iter()
            .filter(|one| one.weight == Severity::Warning)
        {
            self.watcher.line(&format!("  warning: {}", warning.text()));
        }
        let Some(first) = failures.first() else {
            self.emit_event(
                "task_validation",
                json!({ "task": task.id, "findings": [] }),
            );
            return Ok(None);
        };
        // The first group that fails is reported whole; limits come last and end everything.
        let group = first.group;
        let told = Feedback {
            reason: format!("the change was refused ({})", group.as_str()),
            findings: failures
                .iter()
                .filter(|one| one.group == group)
                .map(|one| one.text())
                .collect(),
            ..Feedback::default()
        };
        self.emit_event(
            "task_validation",
            json!({ "task": task.id, "findings": told.findings }),
        );
        if group != FindingGroup::Limit {
            return Ok(Some(TaskAttemptOutcome::Bad { told, again: true }));
        }
        self.end.limit_breach += 1;
        for limit in &failures {
            let (actual, limit_value) = limit.actual_and_limit();
            self.emit_event("resource_limit_exceeded", json!({ "task": task.id, "name": limit.what, "actual": actual, "limit": limit_value }));
            self.record(LedgerEntry::Limit {
                task: task.id.clone(),
                name: limit.what.clone(),
                actual,
                limit: limit_value,
            })?;
        }
        Ok(Some(TaskAttemptOutcome::Limit(told)))
    }

    async fn tested(
        &mut self,
        task: &AgentTask,
        place: &Worktree,
        home: String,
        tree: String,
        seen: CollectedChange,
        call: u32,
    ) -> Result<TaskAttemptOutcome, Error> {
        // Tests run without the agent's credentials and without a network.
        self.tools.runners.remove_credentials(&place.task_folder);
        let runner = self
            .tools
            .runners
            .test_runner(&place.task_folder, self.list.sandbox);
        let limit = Duration::from_secs(self.list.test_seconds);
        let argv = task.test_command.clone();
        let order = self.test_request(&task.id, place, argv, limit, &home, call * 10 + 1);
        let stayed = self.supervise(&*runner, &order, place, None).await;
        if let Some(broken) = self.check_protected()? {
            return Ok(broken);
        }
        if let Some(heavy) = self.disk_quota_outcome(task, "its tests")? {
            return Ok(heavy);
        }
        Ok(match stayed.ended {
            _ if stayed.late => TaskAttemptOutcome::OutOfTime,
            Err(why) => rejected_outcome(format!("the tests could not be started: {why}"), false),
            Ok(end) => match end.exit {
                ExitStatus::Code { code: 0 } => {
                    return self.judge_against_base(task, place, tree, seen, call).await;
                }
                ExitStatus::Cancelled => TaskAttemptOutcome::Stopped,
                ExitStatus::Code { .. }
                | ExitStatus::Signal { .. }
                | ExitStatus::TimedOut { .. }
                | ExitStatus::Idle { .. }
                | ExitStatus::DiskTaken { .. } => {
                    self.failure_outcome("the tests", &end, &end.stdout.text())
                }
            },
        })
    }

    /// Compares what no task may touch with what it was.
    pub(super) fn check_protected(&mut self) -> Result<Option<TaskAttemptOutcome>, Error> {
        let now = self.tools.worktrees.protected_digests()?;
        if now == self.promises {
            return Ok(None);
        }
        let different = |(name, digest): &&(String, String)| {
            !self
                .promises
                .iter()
                .any(|(known, old)| known == name && old == digest)
        };
        let gone = |(name, _): &&(String, String)| !now.iter().any(|(known, _)| known == name);
        let path = now
            .iter()
            .find(different)
            .or_else(|| self.promises.iter().find(gone));
        let path = path.map(|(name, _)| name.clone()).unwrap_or_default();
        self.end.invariant_broken += 1;
        self.record(LedgerEntry::InvariantBroken {
            what: "the user's repository was changed".into(),
            path: path.clone(),
        })?;
        let reason = format!("the user's repository was changed: {}", one_line(&path));
        Ok(Some(TaskAttemptOutcome::Broken(feedback(reason))))
    }

    /// Says that a program was ended because it wrote too much.
    pub(super) fn disk_quota_outcome(
        &mut self,
        task: &AgentTask,
        who: &str,
    ) -> Result<Option<TaskAttemptOutcome>, Error> {
        let Some(actual) = self.heavy.take() else {
            return Ok(None);
        };
        let limit = self.list.disk_mb;
        self.end.limit_breach += 1;
        self.record(LedgerEntry::Limit {
            task: task.id.clone(),
            name: "disk".into(),
            actual,
            limit,
        })?;
        Ok(Some(TaskAttemptOutcome::Limit(Feedback {
            reason: format!("{who} wrote {actual} MB, and {limit} MB are allowed"),
            ..Feedback::default()
        })))
    }

    pub(super) fn is_walled(&self) -> bool {
        let mut proved = self.terms.start.capabilities.iter();
        proved.any(|word| word == "fs_confined")
    }

    /// Prepares a work tree of which only tests are run; returns what runs them, and their home.
    pub(super) fn prepare_tests(
        &mut self,
        place: &Worktree,
        agent: &Agent,
    ) -> Result<(Arc<dyn CommandRunner>, String), Error> {
        let runners = Arc::clone(&self.tools.runners);
        let (_, home) = runners
            .prepare_home(&place.task_folder, agent)
            .map_err(Error::Hands)?;
        runners.remove_credentials(&place.task_folder);
        self.share(place)?;
        let runner = runners.test_runner(&place.task_folder, self.list.sandbox);
        Ok((runner, home))
    }

    /// The same for tests, which are ended when they do nothing for long.
    pub(super) fn test_request(
        &self,
        name: &str,
        place: &Worktree,
        argv: Vec<String>,
        deadline: Duration,
        home: &str,
        index: u32,
    ) -> CommandRequest {
        let idle = self.list.test_idle_seconds;
        CommandRequest {
            idle_deadline: (idle > 0).then_some(Duration::from_secs(idle)),
            ..self.command_request(name, place, argv, deadline, home, index)
        }
    }

    /// Makes the order for one program of a task; `name` is the task's id.
    pub(super) fn command_request(
        &self,
        name: &str,
        place: &Worktree,
        argv: Vec<String>,
        deadline: Duration,
        home: &str,
        index: u32,
    ) -> CommandRequest {
        let environment = [
            ("HOME", home.to_owned()),
            ("TMPDIR", "/tmp".to_owned()),
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("TOS_TASK", name.to_owned()),
        ];
        CommandRequest {
            command: Command::exec(argv),
            directory: place.top.clone(),
            deadline,
            idle_deadline: None,
            grace: Some(Duration::from_secs(self.list.grace_seconds)),
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            output_directory: self.logs(place).join(self.watcher.log_name(name)),
            index,
            token: format!("{}/{name}/{index}", self.terms.session),
            streams: CommandStreams::default(),
        }
    }

    /// What programs print lies beside the work trees, not in them.
    fn logs(&self, place: &Worktree) -> PathBuf {
        let state = place
            .task_folder
            .ancestors()
            .nth(3)
            .unwrap_or(&place.task_folder);
        state.join("task-logs").join(&self.terms.session)
    }
}

/// Puts a try that was not accepted into words, a chance and a verdict.
fn explained(tried: TaskAttemptOutcome) -> (Feedback, bool, TaskVerdict) {
    match tried {
        TaskAttemptOutcome::Bad { told, again } => (told, again, TaskVerdict::Failed),
        TaskAttemptOutcome::Limit(told) => (told, false, TaskVerdict::OverLimit),
        TaskAttemptOutcome::Broken(told) => (told, false, TaskVerdict::Broken),
        TaskAttemptOutcome::OutOfTime => (
            feedback("the session had to be over"),
            false,
            TaskVerdict::OutOfTime,
        ),
        TaskAttemptOutcome::NoProvider(end) => {
            let (reason, verdict) = agent_end_verdict(&end);
            (feedback(reason), false, verdict)
        }
        // Accepted work never gets here.
        TaskAttemptOutcome::Stopped | TaskAttemptOutcome::Good { .. } => {
            (feedback("stopped by a person"), false, TaskVerdict::Stopped)
        }
    }
}
