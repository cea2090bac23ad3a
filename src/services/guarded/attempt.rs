//! One task: work tree, agent, validators, tests, then a commit or a rollback that is proved.

use std::{path::PathBuf, time::Duration};

use super::{Error, Session, scale::Scale};
use crate::{
    domain::{
        command::{Command, Kind},
        guarded::{Task, Told, Verdict, checked_class, prompt},
        ledger::{Entry, TaskEnd, TaskOutcome, chain::sha256},
        process::{End, Exit},
        validate::{Collected, Finding, Group, Weight, is_test_path, judge},
    },
    ports::{
        runner::{Interrupt, Order, Runner},
        worktrees::Place,
    },
};

/// How one try came out.
enum Tried {
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
}

fn bad(reason: impl Into<String>, again: bool) -> Tried {
    let told = Told {
        reason: reason.into(),
        ..Told::default()
    };
    Tried::Bad { told, again }
}

impl Session<'_> {
    /// Tries a task, at most twice.
    pub(super) async fn tries(&mut self, task: &Task) -> Result<(Verdict, TaskEnd), Error> {
        let mut place = self
            .tools
            .worktrees
            .make(&self.terms.run, &task.id, &self.tip)?;
        let mut told: Option<Told> = None;
        let mut attempt = 1;
        let ended = loop {
            let tried = self.attempt(task, &place, told.as_ref(), attempt).await?;
            self.tools.hands.strip(&place.room);
            let (why, again, verdict) = match tried {
                Tried::Good { tree, seen } => {
                    break self.accept(task, &place, &tree, &seen, attempt)?;
                }
                Tried::Bad { told, again } => (told, again, Verdict::Failed),
                Tried::Limit(told) => (told, false, Verdict::OverLimit),
                Tried::Broken(told) => (told, false, Verdict::Broken),
                Tried::Stopped => (
                    Told {
                        reason: "stopped by a person".into(),
                        ..Told::default()
                    },
                    false,
                    Verdict::Stopped,
                ),
            };
            let restored = self.undo(task, &mut place, attempt)?;
            let again = again && attempt == 1 && self.list.on_failure.retries() && restored;
            if !again {
                let verdict = if restored { verdict } else { Verdict::Broken };
                break self.give_up(task, &why, verdict, attempt)?;
            }
            self.record(Entry::RetryStart {
                task: task.id.clone(),
                reason: why.reason.clone(),
            })?;
            self.watcher
                .line(&format!("  {}; trying once more", why.reason));
            told = Some(why);
            attempt = 2;
        };
        self.tools.worktrees.remove(&place)?;
        Ok(ended)
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
        let mut end = self.blank(task, TaskOutcome::Success, "accepted");
        let changes = &seen.changes;
        end.class = checked_class(&task.class, changes);
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
                reason: why.reason.clone(),
            })?;
        }
        let outcome = if verdict == Verdict::Stopped {
            TaskOutcome::Blocked
        } else {
            TaskOutcome::Failed
        };
        let reason = match why.findings.first() {
            Some(first) => format!("{}: {first}", why.reason),
            None => why.reason.clone(),
        };
        let mut end = self.blank(task, outcome, &reason);
        end.attempts = attempt;
        Ok((verdict, end))
    }

    /// Keeps what was tried where a person can look at it, then puts the tree back and proves it.
    fn undo(&mut self, task: &Task, place: &mut Place, attempt: u32) -> Result<bool, Error> {
        let worktrees = &self.tools.worktrees;
        let reference = format!("refs/tos/attempts/{}/{}-{attempt}", self.terms.run, task.id);
        let message = format!("rejected try {attempt} of {}", task.id);
        match worktrees.save(place, &message, &reference) {
            Ok(kept) => self
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
        self.record(Entry::Rollback {
            task: task.id.clone(),
            target: place.base.clone(),
            ok,
            before,
            after: after.unwrap_or_else(|error| error.to_string()),
        })?;
        Ok(ok)
    }

    async fn attempt(
        &mut self,
        task: &Task,
        place: &Place,
        told: Option<&Told>,
        attempt: u32,
    ) -> Result<Tried, Error> {
        let agent = self.list.agent_of(task);
        let homes = self
            .tools
            .hands
            .furnish(&place.room, agent)
            .map_err(Error::Hands)?;
        let words = prompt(task, self.before.as_deref(), told);
        let runner = self
            .tools
            .hands
            .for_agent(&place.room, agent, self.list.sandbox);
        let order = self.order(
            task,
            place,
            agent.argv(&words),
            task.max_time_seconds,
            &homes.0,
            attempt * 10,
        );
        let ended = self.stay(&*runner, &order, place).await;
        if let Some(broken) = self.broken()? {
            return Ok(broken);
        }
        if let Some(heavy) = self.too_heavy(task, "the agent")? {
            return Ok(heavy);
        }
        match ended {
            Err(why) => return Ok(bad(format!("the agent could not be started: {why}"), false)),
            Ok(End {
                exit: Exit::Cancelled,
                ..
            }) => return Ok(Tried::Stopped),
            Ok(End {
                exit: Exit::Code { code: 0 },
                ..
            }) => {}
            Ok(end) if end.exit.was_ended_by_tos() => {
                return Ok(bad(
                    format!("the agent took longer than {} s", task.max_time_seconds),
                    false,
                ));
            }
            Ok(end) => return Ok(failed("the agent", &end)),
        }
        let seen = match self.tools.worktrees.changes(place) {
            Ok(seen) => seen,
            Err(error) => return Ok(bad(error.to_string(), true)),
        };
        if seen.changes.is_empty() {
            return Ok(bad("the agent changed nothing", true));
        }
        if let Some(refused) = self.judged(task, &seen)? {
            return Ok(refused);
        }
        // What the tests leave behind is not part of the work, so its tree is taken before them.
        let tree = self.tools.worktrees.tree(place)?;
        self.tested(task, place, homes.1, tree, seen, attempt).await
    }

    fn judged(&mut self, task: &Task, seen: &Collected) -> Result<Option<Tried>, Error> {
        let own = |path: &String| !is_test_path(path) && task.test_command.contains(path);
        if let Some(change) = seen.changes.iter().find(|change| own(&change.path)) {
            let path = &change.path;
            let reason = format!("the change touches {path}, which decides whether it is good");
            return Ok(Some(bad(reason, true)));
        }
        let confined = self
            .terms
            .start
            .capabilities
            .iter()
            .any(|word| word == "fs_confined");
        let findings = judge(
            &self.list.rules(task, confined),
            &seen.project,
            &seen.changes,
        );
        let failures: Vec<&Finding> = findings
            .iter()
            .filter(|one| one.weight == Weight::Failure)
            .collect();
        for warning in findings.iter().filter(|one| one.weight == Weight::Warning) {
            self.watcher.line(&format!("  warning: {}", warning.text()));
        }
        let Some(first) = failures.first() else {
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
            output: String::new(),
        };
        if group != Group::Limit {
            return Ok(Some(Tried::Bad { told, again: true }));
        }
        self.end.limit_breach += 1;
        for limit in &failures {
            let (actual, limit_value) = limit.numbers();
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
        attempt: u32,
    ) -> Result<Tried, Error> {
        // Tests run without the agent's credentials and without a network.
        self.tools.hands.strip(&place.room);
        let runner = self.tools.hands.for_tests(&place.room, self.list.sandbox);
        let order = self.order(
            task,
            place,
            task.test_command.clone(),
            self.list.test_seconds,
            &home,
            attempt * 10 + 1,
        );
        let ended = self.stay(&*runner, &order, place).await;
        if let Some(broken) = self.broken()? {
            return Ok(broken);
        }
        if let Some(heavy) = self.too_heavy(task, "its tests")? {
            return Ok(heavy);
        }
        Ok(match ended {
            Err(why) => bad(format!("the tests could not be started: {why}"), false),
            Ok(End {
                exit: Exit::Code { code: 0 },
                ..
            }) => Tried::Good { tree, seen },
            Ok(End {
                exit: Exit::Cancelled,
                ..
            }) => Tried::Stopped,
            Ok(end) => failed("the tests", &end),
        })
    }

    /// Compares what no task may touch with what it was.
    fn broken(&mut self) -> Result<Option<Tried>, Error> {
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
        Ok(Some(Tried::Broken(Told {
            reason: format!("the user's repository was changed: {path}"),
            ..Told::default()
        })))
    }

    /// Says that a program was ended because it wrote too much.
    fn too_heavy(&mut self, task: &Task, who: &str) -> Result<Option<Tried>, Error> {
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

    fn order(
        &self,
        task: &Task,
        place: &Place,
        argv: Vec<String>,
        seconds: u64,
        home: &str,
        index: u32,
    ) -> Order {
        let environment = [
            ("HOME", home.to_owned()),
            ("TMPDIR", "/tmp".to_owned()),
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("TOS_TASK", task.id.clone()),
        ];
        Order {
            command: Command {
                kind: Kind::Exec,
                code: String::new(),
                argv,
            },
            directory: place.top.clone(),
            deadline: Duration::from_secs(seconds),
            idle_deadline: None,
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            output_directory: self.logs(place).join(&task.id),
            index,
            token: format!("{}/{}/{index}", self.terms.run, task.id),
        }
    }

    /// What programs print lies beside the work trees, not in them.
    fn logs(&self, place: &Place) -> PathBuf {
        let state = place.room.ancestors().nth(3).unwrap_or(&place.room);
        state.join("task-logs").join(&self.terms.run)
    }

    /// Stays with a program, and ends it when a person asks or when it writes too much.
    async fn stay(
        &mut self,
        runner: &dyn Runner,
        order: &Order,
        place: &Place,
    ) -> Result<End, String> {
        let mut stop = self.stop.clone();
        let scale = Scale::new(&self.tools.worktrees, place, self.list.disk_mb).await;
        let mut running = runner.run(order);
        let mut tipped = std::pin::pin!(scale.tipped());
        loop {
            tokio::select! {
                ended = &mut running => {
                    // Who writes fast may be done before anybody looks.
                    self.heavy = self.heavy.or(scale.excess().await);
                    return ended.map_err(|failure| failure.message);
                }
                megabytes = &mut tipped, if self.heavy.is_none() => {
                    self.heavy = Some(megabytes);
                    runner.interrupt(Interrupt::Kill);
                }
                asked = stop.changed() => {
                    if asked.is_err() {
                        return running.await.map_err(|failure| failure.message);
                    }
                    let how = if *stop.borrow() > 1 { Interrupt::Kill } else { Interrupt::Terminate };
                    runner.interrupt(how);
                }
            }
        }
    }
}

fn failed(who: &str, end: &End) -> Tried {
    let how = match &end.exit {
        Exit::Code { code } => format!("ended with {code}"),
        Exit::Signal { signal } => format!("was ended by signal {signal}"),
        Exit::TimedOut { after_ms } | Exit::Idle { after_ms } => {
            format!("took longer than {} s", after_ms / 1000)
        }
        Exit::Cancelled => "was cancelled".to_owned(),
    };
    let told = Told {
        reason: format!("{who} {how}"),
        findings: Vec::new(),
        output: format!("{}\n{}", end.stdout.text(), end.stderr.text())
            .trim()
            .to_owned(),
    };
    Tried::Bad {
        told,
        again: !end.exit.was_ended_by_tos(),
    }
}
