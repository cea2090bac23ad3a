//! One task: work tree, agent, validators, tests, then a commit or a rollback that is proved.

use std::{path::PathBuf, time::Duration};

use serde_json::json;

use super::{Error, Session, pace::Waited};
use crate::{
    domain::{
        agent::AgentEnd,
        command::{Command, Kind},
        guarded::{Task, Told, Verdict, accepted, blocked, checked_class},
        ledger::{Entry, TaskEnd, TaskOutcome, chain::sha256},
        process::Exit,
        text::one_line,
        validate::{Collected, Finding, Group, Weight, is_listed, is_named, is_test_path, judge},
    },
    ports::{
        runner::{Order, Streams},
        worktrees::Place,
    },
};

/// How one try came out.
pub(super) enum Tried {
    Good {
        tree: String,
        seen: Collected,
    },
    /// Not accepted; `again` = a second try may help.
    Bad {
        told: Told,
        again: bool,
    },
    /// A limit was reached: nothing may go on.
    Limit(Told),
    Broken(Told),
    Stopped,
    /// The session had to be over.
    OutOfTime,
    /// It met no working provider, so it was none: a limit that is used up, no answer, or a person is needed.
    NoProvider(AgentEnd),
}

pub(super) fn bad(reason: impl Into<String>, again: bool) -> Tried {
    let told = told(reason);
    Tried::Bad { told, again }
}

pub(super) fn told(reason: impl Into<String>) -> Told {
    Told {
        reason: reason.into(),
        ..Told::default()
    }
}

impl Session<'_> {
    /// Tries a task, at most twice; a try that met a used-up quota is none.
    pub(super) async fn tries(&mut self, task: &Task) -> Result<(Verdict, TaskEnd), Error> {
        let mut place = self
            .tools
            .worktrees
            .make(&self.terms.session, &task.id, &self.tip)?;
        let mut told: Option<Told> = None;
        let (mut attempt, mut call, mut waits) = (1, 0, 0);
        let ended = loop {
            call += 1;
            let mut tried = self.attempt(task, &place, told.as_ref(), call).await?;
            self.tools.hands.strip(&place.room);
            if let Tried::Good { tree, seen } = &tried {
                break self.accept(task, &place, tree, seen, attempt)?;
            }
            // A try that met no working provider is none, so it does not take the name of one.
            let name = match &tried {
                Tried::NoProvider(AgentEnd::LimitReached { .. }) => format!("quota-{call}"),
                Tried::NoProvider(_) => format!("provider-{call}"),
                _ => attempt.to_string(),
            };
            let restored = self.undo(task, &mut place, &name)?;
            if restored
                && let Some(waited) = self.wait_for_provider(task, &tried, &mut waits).await?
            {
                match waited {
                    Waited::Renewed => continue,
                    Waited::Stopped => tried = Tried::Stopped,
                    Waited::InVain => {}
                }
            }
            if matches!(tried, Tried::NoProvider(_)) {
                attempt -= 1;
            }
            let (why, again, verdict) = explained(tried);
            if !(again && attempt == 1 && restored && self.may_try_again(task)) {
                let verdict = if restored { verdict } else { Verdict::Broken };
                break self.give_up(task, &why, verdict, attempt)?;
            }
            self.tries_again(task, &why)?;
            told = Some(why);
            attempt = 2;
        };
        self.tools.worktrees.remove(&place)?;
        Ok(ended)
    }

    /// A second try, like a first one, must be able to end in time.
    fn may_try_again(&self, task: &Task) -> bool {
        let in_time = self.left().is_none_or(|left| left >= task.max_time_seconds);
        in_time && self.list.on_failure.retries() && !self.is_over_budget()
    }

    fn tries_again(&self, task: &Task, why: &Told) -> Result<(), Error> {
        self.record(Entry::RetryStart {
            task: task.id.clone(),
            reason: why.line(),
        })?;
        self.event(
            "task_retry_start",
            json!({ "task": task.id, "reason": why.line() }),
        );
        self.watcher
            .line(&format!("  {}; trying once more", why.line()));
        Ok(())
    }

    fn accept(
        &mut self,
        task: &Task,
        place: &Place,
        tree: &str,
        seen: &Collected,
        attempt: u32,
    ) -> Result<(Verdict, TaskEnd), Error> {
        if attempt == 2 {
            self.record(Entry::RetrySuccess {
                task: task.id.clone(),
            })?;
            self.event("task_retry_success", json!({ "task": task.id }));
        }
        let head = self
            .tools
            .ledger
            .read()?
            .head
            .map(|head| head.trailer())
            .unwrap_or_default();
        let message = format!("task({}): {}\n\nTos-Ledger: {head}", task.id, task.goal);
        let commit = self
            .tools
            .worktrees
            .keep(place, tree, &message, &self.reference())?;
        self.before = Some(self.tools.worktrees.told(&place.base, &commit)?);
        self.tip.clone_from(&commit);
        self.event(
            "task_committed",
            json!({ "task": task.id, "commit": commit }),
        );
        let changes = &seen.changes;
        let mut end = self.blank(task, TaskOutcome::Success, &accepted(task, changes));
        end.class = checked_class(task, changes);
        end.fingerprint = sha256(format!("{}\n{tree}", end.fingerprint).as_bytes());
        end.attempts = attempt;
        end.files = u32::try_from(changes.len()).unwrap_or(u32::MAX);
        end.added = changes.iter().map(|change| change.added).sum();
        end.removed = changes.iter().map(|change| change.removed).sum();
        end.commit = Some(commit);
        Ok((Verdict::Accepted, end))
    }

    fn give_up(
        &mut self,
        task: &Task,
        why: &Told,
        verdict: Verdict,
        attempt: u32,
    ) -> Result<(Verdict, TaskEnd), Error> {
        if attempt == 2 {
            self.record(Entry::RetryFailed {
                task: task.id.clone(),
                reason: why.line(),
            })?;
            self.event(
                "task_retry_failed",
                json!({ "task": task.id, "reason": why.line() }),
            );
        }
        let outcome = match verdict {
            Verdict::Stopped
            | Verdict::OutOfTime
            | Verdict::NoQuota
            | Verdict::ProviderDown
            | Verdict::NeedsPerson => TaskOutcome::Blocked,
            Verdict::Accepted | Verdict::Failed | Verdict::OverLimit | Verdict::Broken => {
                TaskOutcome::Failed
            }
        };
        let mut end = self.blank(task, outcome, &why.line());
        end.attempts = attempt;
        Ok((verdict, end))
    }

    /// Keeps what was tried where a person can look at it, then puts the tree back and proves it.
    fn undo(&mut self, task: &Task, place: &mut Place, name: &str) -> Result<bool, Error> {
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
        self.event("task_rollback", json!({ "task": task.id, "ok": ok }));
        self.record(Entry::Rollback {
            task: task.id.clone(),
            target: place.base.clone(),
            ok,
            before,
            after: after.unwrap_or_else(|error| error.to_string()),
            kept: kept.ok().flatten(),
        })?;
        Ok(ok)
    }

    async fn attempt(
        &mut self,
        task: &Task,
        place: &Place,
        told: Option<&Told>,
        call: u32,
    ) -> Result<Tried, Error> {
        if let Some(tried) = self.call_agent(task, place, told, call).await? {
            return Ok(tried);
        }
        let (_, home) = self.tools.hands.homes(&place.room);
        self.judge(task, place, home, call).await
    }

    async fn judge(
        &mut self,
        task: &Task,
        place: &Place,
        home: String,
        call: u32,
    ) -> Result<Tried, Error> {
        let seen = match self.tools.worktrees.changes(place) {
            Ok(seen) => seen,
            Err(error) => return Ok(bad(error.to_string(), true)),
        };
        if seen.changes.is_empty() {
            return Ok(self.changed_nothing());
        }
        if let Some(leaked) = self.leaked(&seen) {
            return Ok(leaked);
        }
        if let Some(refused) = self.judged(task, &seen)? {
            return Ok(refused);
        }
        // What the tests leave behind is not part of the work, so its tree is taken before them.
        let tree = self.tools.worktrees.tree(place)?;
        self.tested(task, place, home, tree, seen, call).await
    }

    fn judged(&mut self, task: &Task, seen: &Collected) -> Result<Option<Tried>, Error> {
        let rules = self.list.rules(task, self.is_walled());
        let own = |path: &String| {
            !is_test_path(path)
                && is_named(path, &rules.commands)
                && !is_listed(path, &rules.may_change_checks)
        };
        if let Some(change) = seen.changes.iter().find(|change| own(&change.path)) {
            let path = one_line(&change.path);
            let reason = format!(
                "the change touches {path}, which decides whether it is good; if it has to, list it in `may_change_checks`"
            );
            return Ok(Some(bad(reason, true)));
        }
        let findings = judge(&rules, &seen.project, &seen.changes);
        let failures: Vec<&Finding> = findings
            .iter()
            .filter(|one| one.weight == Weight::Failure)
            .collect();
        for warning in findings.iter().filter(|one| one.weight == Weight::Warning) {
            self.watcher.line(&format!("  warning: {}", warning.text()));
        }
        let Some(first) = failures.first() else {
            self.event(
                "task_validation",
                json!({ "task": task.id, "findings": [] }),
            );
            return Ok(None);
        };
        // The first group that fails is reported whole; limits come last and end everything.
        let group = first.group;
        let told = Told {
            reason: format!("the change was refused ({})", group.as_str()),
            findings: failures
                .iter()
                .filter(|one| one.group == group)
                .map(|one| one.text())
                .collect(),
            ..Told::default()
        };
        self.event(
            "task_validation",
            json!({ "task": task.id, "findings": told.findings }),
        );
        if group != Group::Limit {
            return Ok(Some(Tried::Bad { told, again: true }));
        }
        self.end.limit_breach += 1;
        for limit in &failures {
            let (actual, limit_value) = limit.numbers();
            self.event("resource_limit_exceeded", json!({ "task": task.id, "name": limit.what, "actual": actual, "limit": limit_value }));
            self.record(Entry::Limit {
                task: task.id.clone(),
                name: limit.what.clone(),
                actual,
                limit: limit_value,
            })?;
        }
        Ok(Some(Tried::Limit(told)))
    }

    async fn tested(
        &mut self,
        task: &Task,
        place: &Place,
        home: String,
        tree: String,
        seen: Collected,
        call: u32,
    ) -> Result<Tried, Error> {
        // Tests run without the agent's credentials and without a network.
        self.tools.hands.strip(&place.room);
        let runner = self.tools.hands.for_tests(&place.room, self.list.sandbox);
        let limit = Duration::from_secs(self.list.test_seconds);
        let argv = task.test_command.clone();
        let order = self.test_order(&task.id, place, argv, limit, &home, call * 10 + 1);
        let stayed = self.stay(&*runner, &order, place, None).await;
        if let Some(broken) = self.broken()? {
            return Ok(broken);
        }
        if let Some(heavy) = self.too_heavy(task, "its tests")? {
            return Ok(heavy);
        }
        Ok(match stayed.ended {
            _ if stayed.late => Tried::OutOfTime,
            Err(why) => bad(format!("the tests could not be started: {why}"), false),
            Ok(end) => match end.exit {
                Exit::Code { code: 0 } => {
                    return self.tested_again(task, place, tree, seen, call).await;
                }
                Exit::Cancelled => Tried::Stopped,
                Exit::Code { .. }
                | Exit::Signal { .. }
                | Exit::TimedOut { .. }
                | Exit::Idle { .. }
                | Exit::DiskTaken { .. } => self.failed("the tests", &end, &end.stdout.text()),
            },
        })
    }

    /// Compares what no task may touch with what it was.
    pub(super) fn broken(&mut self) -> Result<Option<Tried>, Error> {
        let now = self.tools.worktrees.promises()?;
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
        self.record(Entry::InvariantBroken {
            what: "the user's repository was changed".into(),
            path: path.clone(),
        })?;
        let reason = format!("the user's repository was changed: {}", one_line(&path));
        Ok(Some(Tried::Broken(told(reason))))
    }

    /// Says that a program was ended because it wrote too much.
    pub(super) fn too_heavy(&mut self, task: &Task, who: &str) -> Result<Option<Tried>, Error> {
        let Some(actual) = self.heavy.take() else {
            return Ok(None);
        };
        let limit = self.list.disk_mb;
        self.end.limit_breach += 1;
        self.record(Entry::Limit {
            task: task.id.clone(),
            name: "disk".into(),
            actual,
            limit,
        })?;
        Ok(Some(Tried::Limit(Told {
            reason: format!("{who} wrote {actual} MB, and {limit} MB are allowed"),
            ..Told::default()
        })))
    }

    pub(super) fn is_walled(&self) -> bool {
        let mut proved = self.terms.start.capabilities.iter();
        proved.any(|word| word == "fs_confined")
    }

    /// The same for tests, which are ended when they do nothing for long.
    pub(super) fn test_order(
        &self,
        name: &str,
        place: &Place,
        argv: Vec<String>,
        deadline: Duration,
        home: &str,
        index: u32,
    ) -> Order {
        let idle = self.list.test_idle_seconds;
        Order {
            idle_deadline: (idle > 0).then_some(Duration::from_secs(idle)),
            ..self.order(name, place, argv, deadline, home, index)
        }
    }

    /// Makes the order for one program of a task; `name` is the task's id.
    pub(super) fn order(
        &self,
        name: &str,
        place: &Place,
        argv: Vec<String>,
        deadline: Duration,
        home: &str,
        index: u32,
    ) -> Order {
        let environment = [
            ("HOME", home.to_owned()),
            ("TMPDIR", "/tmp".to_owned()),
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("TOS_TASK", name.to_owned()),
        ];
        Order {
            command: Command {
                kind: Kind::Exec,
                code: String::new(),
                argv,
            },
            directory: place.top.clone(),
            deadline,
            idle_deadline: None,
            grace: Some(Duration::from_secs(self.list.grace_seconds)),
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            output_directory: self.logs(place).join(name),
            index,
            token: format!("{}/{name}/{index}", self.terms.session),
            streams: Streams::default(),
        }
    }

    /// What programs print lies beside the work trees, not in them.
    fn logs(&self, place: &Place) -> PathBuf {
        let state = place.room.ancestors().nth(3).unwrap_or(&place.room);
        state.join("task-logs").join(&self.terms.session)
    }
}

/// Puts a try that was not accepted into words, a chance and a verdict.
fn explained(tried: Tried) -> (Told, bool, Verdict) {
    match tried {
        Tried::Bad { told, again } => (told, again, Verdict::Failed),
        Tried::Limit(told) => (told, false, Verdict::OverLimit),
        Tried::Broken(told) => (told, false, Verdict::Broken),
        Tried::OutOfTime => (
            told("the session had to be over"),
            false,
            Verdict::OutOfTime,
        ),
        Tried::NoProvider(end) => {
            let (reason, verdict) = blocked(&end);
            (told(reason), false, verdict)
        }
        // Accepted work never gets here.
        Tried::Stopped | Tried::Good { .. } => {
            (told("stopped by a person"), false, Verdict::Stopped)
        }
    }
}
