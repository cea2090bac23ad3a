//! What a run came to, computed from the ledger and from nothing else: so it says what the ledger says.

use chrono::Duration;
use serde::Serialize;

use crate::domain::{
    ledger::{LedgerEntry, LedgerRecord, SessionEnd, SessionStart, TaskEnd, TaskOutcome},
    tasks::{records_of_run, revert_success},
    time::{Timestamp, duration_words},
};

/// How many of each kind are told.
const TOP: usize = 3;

/// One session of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionSummary {
    /// Its id.
    pub id: String,
    /// When it began.
    pub began: Timestamp,
    /// What was known at its start.
    pub start: SessionStart,
    /// How it ended; `None` = it is under way, or a crash ended it and nobody has looked since.
    pub end: Option<SessionEnd>,
}

/// One end of a task; a task that was interrupted has several.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskHistoryEntry {
    /// When it began.
    pub from: Timestamp,
    /// When it ended.
    pub to: Timestamp,
    /// The session.
    pub session: String,
    /// How it ended.
    pub end: TaskEnd,
}

/// Something that happened at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// The kind of record.
    pub kind: String,
    /// One line.
    pub line: String,
}

/// What is left of a try that was undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreservedAttempt {
    /// The task.
    pub task: String,
    /// The reference or the folder that holds it.
    pub place: String,
}

/// How many tasks came out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct OutcomeCounts {
    /// Accepted.
    pub success: usize,
    /// Tried and undone.
    pub failed: usize,
    /// Left out because of another.
    pub skipped: usize,
    /// Stopped before it had a verdict.
    pub blocked: usize,
    /// Never started.
    pub not_run: usize,
    /// Without any record, because a crash came first.
    pub unknown: usize,
}

/// The most telling few of everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Highlights {
    /// What was accepted.
    pub successes: Vec<String>,
    /// What was not.
    pub failures: Vec<String>,
    /// The biggest changes.
    pub diffs: Vec<String>,
    /// Why tasks failed, the most frequent first.
    pub causes: Vec<String>,
    /// What to do now.
    pub next: Vec<String>,
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct NightSummary {
    /// The run.
    pub run: String,
    /// The list.
    pub list: String,
    /// Its sessions, the oldest first.
    pub sessions: Vec<SessionSummary>,
    /// Every end of every task, in order.
    pub history: Vec<TaskHistoryEntry>,
    /// The newest end of each task.
    pub tasks: Vec<TaskEnd>,
    /// How many came out how.
    pub counts: OutcomeCounts,
    /// What the agent says it cost, in millionths of a dollar; `None` = it never says.
    pub micro_usd: Option<u64>,
    /// Time in which tasks were under way.
    pub active_s: u64,
    /// Time from start to end of its sessions.
    pub wall_s: u64,
    /// Time the machine slept.
    pub suspend_s: u64,
    /// Second tries.
    pub retries: u32,
    /// Rollbacks, and how many of them failed.
    pub rollbacks: (u32, u32),
    /// Limits reached.
    pub limits: u32,
    /// Broken promises.
    pub invariants: u32,
    /// Stable points.
    pub checkpoints: u32,
    /// Time spent waiting for the agent's quota.
    pub quota_s: u64,
    /// Seconds waited for a provider that did not answer as it should.
    pub provider_s: u64,
    /// Checkpoints, returns, waits, limits, crashes.
    pub marks: Vec<TimelineEntry>,
    /// Where tries that were undone are kept, the newest last.
    pub kept: Vec<PreservedAttempt>,
    /// The commit it started from and the newest accepted one.
    pub base: Option<String>,
    /// The newest accepted commit.
    pub tip: Option<String>,
    /// The first and last record that were read.
    pub records: (u64, u64),
    /// The most telling few of everything.
    pub top: Highlights,
}

/// How the advice to take over accepted work begins.
const TAKE_OVER: &str = "take over";

/// What the list is called whose tasks come from the board one by one.
pub const BOARD_LIST_NAME: &str = "board";

/// Tells whether a run is one attempt at a task of the board: it ends with `-run-` and the run's number. What became of it is the
/// board's affair; its judge may have refused what the attempt itself calls passed.
pub fn is_board_attempt(run: &str, list: &str) -> bool {
    let number = run.rsplit_once("-run-").map(|(_, number)| number);
    list == BOARD_LIST_NAME
        && number.is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
}

/// Returns the runs on record, the oldest first; attempts of the board are none.
pub fn run_ids(records: &[LedgerRecord]) -> Vec<String> {
    let mut runs: Vec<String> = Vec::new();
    for record in records {
        if let LedgerEntry::SessionStart { start } = &record.entry {
            let session = record.stamp.session.clone().unwrap_or_default();
            let run = if start.run.is_empty() {
                session
            } else {
                start.run.clone()
            };
            if !runs.contains(&run) && !is_board_attempt(&run, &start.list) {
                runs.push(run);
            }
        }
    }
    runs
}

/// Reads what a run came to; `None` where the ledger does not know it.
pub fn summarise_run(records: &[LedgerRecord], run: &str) -> Option<NightSummary> {
    let own = records_of_run(records, run);
    let (first, last) = (own.first()?, own.last()?);
    let mut summary = NightSummary {
        run: run.to_owned(),
        records: (first.seq, last.seq),
        ..NightSummary::default()
    };
    for record in own {
        summary.fold(record);
    }
    summary.counts = summary.counted();
    summary.top = Highlights {
        successes: summary.successes(),
        failures: summary.failures(),
        diffs: summary.diffs(),
        causes: summary.causes(),
        next: summary.next(),
    };
    Some(summary)
}

impl NightSummary {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other kinds of records do not belong to a session"
    )]
    fn fold(&mut self, record: &LedgerRecord) {
        match &record.entry {
            LedgerEntry::SessionStart { start } => self.began(record, start),
            LedgerEntry::SessionEnd { end } => self.ended(record, end),
            LedgerEntry::Task { end } => self.task(record, end),
            LedgerEntry::RetryStart { .. } => self.retries += 1,
            LedgerEntry::Rollback { ok, task, kept, .. } => {
                self.rollbacks.0 += 1;
                self.rollbacks.1 += u32::from(!ok);
                self.kept.extend(kept.iter().map(|place| PreservedAttempt {
                    task: task.clone(),
                    place: place.clone(),
                }));
            }
            LedgerEntry::Limit { .. } => {
                self.limits += 1;
                self.mark(record);
            }
            LedgerEntry::InvariantBroken { .. } | LedgerEntry::IsolationBreach { .. } => {
                self.invariants += 1;
                self.mark(record);
            }
            LedgerEntry::Checkpoint { .. } => {
                self.checkpoints += 1;
                self.mark(record);
            }
            LedgerEntry::Restore {
                commit,
                undone,
                reason,
                ..
            } => {
                self.tip = Some(commit.clone());
                for end in &mut self.tasks {
                    if undone.contains(&end.task) {
                        revert_success(end, reason);
                    }
                }
                self.mark(record);
            }
            LedgerEntry::QuotaWait { seconds, .. } => {
                self.quota_s += seconds;
                self.mark(record);
            }
            LedgerEntry::ProviderWait { seconds, .. } => {
                self.provider_s += seconds;
                self.mark(record);
            }
            _ => {}
        }
    }

    fn mark(&mut self, record: &LedgerRecord) {
        self.marks.push(TimelineEntry {
            at: record.stamp.at,
            kind: record.entry.kind().to_owned(),
            line: record.entry.display_line(),
        });
    }

    fn began(&mut self, record: &LedgerRecord, start: &SessionStart) {
        if self.list.is_empty() {
            self.list.clone_from(&start.list);
        }
        if self.base.is_none() && !start.base.is_empty() {
            self.base = Some(start.base.clone());
        }
        self.sessions.push(SessionSummary {
            id: record.stamp.session.clone().unwrap_or_default(),
            began: record.stamp.at,
            start: start.clone(),
            end: None,
        });
    }

    fn ended(&mut self, record: &LedgerRecord, end: &SessionEnd) {
        self.active_s += end.active_s;
        self.wall_s += end.wall_s;
        self.suspend_s += end.suspend_s;
        let id = record.stamp.session.as_deref().unwrap_or_default();
        let session = self.sessions.iter_mut().find(|session| session.id == id);
        if let Some(session) = session {
            session.end = Some(end.clone());
        }
        if end.abnormal > 0 {
            self.mark(record);
        }
    }

    fn task(&mut self, record: &LedgerRecord, end: &TaskEnd) {
        if let Some(cost) = end.micro_usd {
            self.micro_usd = Some(self.micro_usd.unwrap_or(0) + cost);
        }
        if end.outcome == TaskOutcome::Success {
            self.tip.clone_from(&end.commit);
        }
        let seconds = i64::try_from(end.seconds).unwrap_or(0);
        let from = record
            .stamp
            .at
            .checked_sub_signed(Duration::seconds(seconds));
        self.history.push(TaskHistoryEntry {
            from: from.unwrap_or(record.stamp.at),
            to: record.stamp.at,
            session: record.stamp.session.clone().unwrap_or_default(),
            end: end.clone(),
        });
        let known = self.tasks.iter_mut().find(|known| known.task == end.task);
        match known {
            Some(known) => known.clone_from(end),
            None => self.tasks.push(end.clone()),
        }
    }

    fn counted(&self) -> OutcomeCounts {
        let count = |outcome| {
            self.tasks
                .iter()
                .filter(|end| end.outcome == outcome)
                .count()
        };
        let all = self.sessions.iter().map(|one| one.start.tasks as usize);
        OutcomeCounts {
            success: count(TaskOutcome::Success),
            failed: count(TaskOutcome::Failed),
            skipped: count(TaskOutcome::Skipped),
            blocked: count(TaskOutcome::Blocked),
            not_run: count(TaskOutcome::NotRun),
            unknown: all.max().unwrap_or(0).saturating_sub(self.tasks.len()),
        }
    }

    /// Returns how many tasks the list has.
    pub fn task_count(&self) -> usize {
        self.tasks.len() + self.counts.unknown
    }

    /// Returns the word for how the last session ended.
    pub fn last_session_end(&self) -> &str {
        let last = self.sessions.last().and_then(|one| one.end.as_ref());
        last.map_or("not over", |end| end.ended_by.as_str())
    }

    /// Returns what goes on with it. What a person began is gone on with by one: without the word the gate would be asked about a
    /// night alone.
    pub fn resume_command(&self) -> String {
        let last = self.sessions.last();
        let attended = last.is_some_and(|session| session.start.attended);
        let attended = if attended { " --attended" } else { "" };
        format!("tos night resume{attended} {}", self.run)
    }

    /// Says that the branch has the accepted work, so that nobody is told to take it over.
    pub fn mark_taken_over(&mut self) {
        self.top.next.retain(|line| !line.starts_with(TAKE_OVER));
    }

    /// Says of a newest session without an end that its tos died, which the ledger says from the next command on that writes.
    /// For a time at which nobody works.
    pub fn close_as_crashed(&mut self) {
        if let Some(last) = self.sessions.last_mut()
            && last.end.is_none()
        {
            last.end = Some(SessionEnd {
                ended_by: "crash".to_owned(),
                abnormal: 1,
                ..SessionEnd::default()
            });
        }
    }

    fn with(&self, outcome: TaskOutcome) -> Vec<&TaskEnd> {
        self.tasks
            .iter()
            .filter(|end| end.outcome == outcome)
            .collect()
    }

    fn successes(&self) -> Vec<String> {
        let mut good = self.with(TaskOutcome::Success);
        good.sort_by_key(|end| std::cmp::Reverse(end.added + end.removed));
        let line = |end: &TaskEnd| {
            format!(
                "{}: {}, {}{}",
                named(end),
                tries(end.attempts),
                duration_words(end.seconds),
                cost(end.micro_usd)
            )
        };
        good.into_iter().take(TOP).map(line).collect()
    }

    fn failures(&self) -> Vec<String> {
        let mut bad = self.with(TaskOutcome::Failed);
        bad.sort_by_key(|end| std::cmp::Reverse(end.seconds));
        let line = |end: &TaskEnd| {
            format!(
                "{}: {} ({}, {}{})",
                named(end),
                end.reason,
                tries(end.attempts),
                duration_words(end.seconds),
                cost(end.micro_usd)
            )
        };
        bad.into_iter().take(TOP).map(line).collect()
    }

    fn diffs(&self) -> Vec<String> {
        let mut good = self.with(TaskOutcome::Success);
        good.sort_by_key(|end| std::cmp::Reverse(end.added + end.removed));
        let line = |end: &TaskEnd| {
            let commit: String = end
                .commit
                .iter()
                .flat_map(|id| id.chars().take(10))
                .collect();
            format!(
                "+{} -{} in {} {}: git show {commit}  ({})",
                end.added,
                end.removed,
                end.files,
                if end.files == 1 { "file" } else { "files" },
                end.task
            )
        };
        good.into_iter().take(TOP).map(line).collect()
    }

    fn causes(&self) -> Vec<String> {
        let mut causes: Vec<(String, Vec<&str>)> = Vec::new();
        for end in self.with(TaskOutcome::Failed) {
            let cause = end.reason.split(':').next().unwrap_or_default().to_owned();
            match causes.iter_mut().find(|(known, _)| *known == cause) {
                Some((_, tasks)) => tasks.push(&end.task),
                None => causes.push((cause, vec![&end.task])),
            }
        }
        causes.sort_by_key(|(_, tasks)| std::cmp::Reverse(tasks.len()));
        let line = |(cause, tasks): (String, Vec<&str>)| {
            format!("{} x {cause} ({})", tasks.len(), tasks.join(", "))
        };
        causes.into_iter().take(TOP).map(line).collect()
    }

    /// What has to be done now, the most urgent first.
    fn next(&self) -> Vec<String> {
        let run = &self.run;
        if is_board_attempt(run, &self.list) {
            return vec![
                "an attempt at a task of the board, which goes on with it itself: tos board list"
                    .to_owned(),
            ];
        }
        let counts = &self.counts;
        let open = counts.blocked + counts.not_run + counts.unknown;
        let mut next = Vec::new();
        if self.rollbacks.1 > 0 || self.invariants > 0 {
            next.push(
                "look at the repository before anything else runs: tos ledger show".to_owned(),
            );
        }
        if open > 0 && self.last_session_end() != "queue_empty" {
            let why = match self.last_session_end() {
                "quota" => "when the agent's quota is renewed",
                "provider" => "when the agent's provider answers again",
                "needs_person" => "after what the reason asks of you",
                "budget" => "with a larger `max_usd`",
                "two_failures" | "task_failed" | "limit" => "after a look at the failures",
                _ => "when you like",
            };
            let tasks = if open == 1 {
                "1 task is open".to_owned()
            } else {
                format!("{open} tasks are open")
            };
            next.push(format!("{tasks}; go on {why}: {}", self.resume_command()));
        }
        if counts.success > 0 {
            let plural = if counts.success == 1 {
                "commit"
            } else {
                "commits"
            };
            next.push(format!(
                "{TAKE_OVER} {} {plural}: tos night merge {run}",
                counts.success
            ));
        }
        next.extend(self.tried());
        if self.limits > 0 {
            next.push(
                "make the tasks that reached a limit smaller, or the limit larger".to_owned(),
            );
        }
        if self.suspend_s > 60 {
            next.push(
                "keep the machine from sleeping: this run proves nothing about working alone"
                    .to_owned(),
            );
        }
        next.truncate(TOP);
        next
    }

    /// Where to look at what the first failed task tried; only a place that is on record is named.
    fn tried(&self) -> Option<String> {
        let failed = self.with(TaskOutcome::Failed);
        let end = failed.first()?;
        let kept = self.kept.iter().rev().find(|kept| kept.task == end.task)?;
        let place = &kept.place;
        Some(if place.starts_with("refs/") {
            format!("see what was tried: git log -p -1 {place}")
        } else {
            format!("see what was tried, a folder that git could not hold: {place}")
        })
    }
}

fn named(end: &TaskEnd) -> String {
    if end.goal.is_empty() {
        end.task.clone()
    } else {
        format!("{} ({})", end.task, end.goal)
    }
}

fn tries(attempts: u32) -> String {
    match attempts {
        1 => "1 try".to_owned(),
        many => format!("{many} tries"),
    }
}

fn cost(micro_usd: Option<u64>) -> String {
    micro_usd.map_or_else(String::new, |micro| format!(", {}", format_usd(micro)))
}

/// Returns millionths of a dollar as people write them.
pub fn format_usd(micro_usd: u64) -> String {
    let cents = micro_usd.div_ceil(10_000);
    format!("${}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seq: u64, session: &str, entry: LedgerEntry) -> LedgerRecord {
        let at = chrono::DateTime::parse_from_rfc3339("2026-11-20T22:00:00+01:00").unwrap();
        let at = at + Duration::minutes(i64::try_from(seq).unwrap());
        LedgerRecord::unchained(seq, at, Some(session), entry)
    }

    fn start(run: &str) -> LedgerEntry {
        LedgerEntry::SessionStart {
            start: SessionStart {
                run: run.into(),
                list: "demo".into(),
                base: "base".into(),
                tasks: 4,
                ..SessionStart::default()
            },
        }
    }

    fn task(id: &str, outcome: TaskOutcome, reason: &str) -> LedgerEntry {
        LedgerEntry::Task {
            end: TaskEnd {
                task: id.into(),
                fingerprint: id.into(),
                class: "fix".into(),
                outcome,
                reason: reason.into(),
                attempts: 1,
                files: 1,
                added: 10,
                removed: 2,
                seconds: 60,
                commit: (outcome == TaskOutcome::Success).then(|| format!("commit-{id}")),
                real: true,
                goal: "goal".into(),
                micro_usd: Some(20_000),
            },
        }
    }

    fn rollback(task: &str, kept: Option<&str>) -> LedgerEntry {
        LedgerEntry::Rollback {
            task: task.into(),
            target: "base".into(),
            ok: true,
            before: "tree".into(),
            after: "tree".into(),
            kept: kept.map(str::to_owned),
        }
    }

    #[test]
    fn what_a_person_began_is_gone_on_with_by_one() {
        let next = |attended| {
            let mut begun = start("r");
            if let LedgerEntry::SessionStart { start } = &mut begun {
                start.attended = attended;
            }
            let records = [
                record(0, "r", begun),
                record(1, "r", task("a", TaskOutcome::Blocked, "no")),
                record(2, "r", end("crash")),
            ];
            summarise_run(&records, "r").unwrap().top.next[0].clone()
        };
        assert!(next(true).ends_with("tos night resume --attended r"));
        assert!(next(false).ends_with("tos night resume r"));
    }

    #[test]
    fn only_a_place_that_is_on_record_is_named() {
        let next = |kept: &[Option<&str>]| {
            let mut records = vec![record(0, "r", start(""))];
            for (seq, place) in (1..).zip(kept) {
                records.push(record(seq, "r", rollback("a", *place)));
            }
            let failed = task("a", TaskOutcome::Failed, "no");
            records.push(record(8, "r", failed));
            records.push(record(9, "r", end("queue_empty")));
            summarise_run(&records, "r").unwrap().top.next
        };
        assert_eq!(next(&[None]), [""; 0]);
        assert_eq!(
            next(&[
                Some("refs/tos/attempts/r/a-1"),
                Some("/x/.tos/set-aside/r-a-2")
            ]),
            ["see what was tried, a folder that git could not hold: /x/.tos/set-aside/r-a-2"]
        );
        assert_eq!(
            next(&[
                Some("/x/.tos/set-aside/r-a-1"),
                Some("refs/tos/attempts/r/a-2")
            ]),
            ["see what was tried: git log -p -1 refs/tos/attempts/r/a-2"]
        );
        let old = r#"{"kind":"rollback","task":"a","target":"base","ok":true,"before":"tree","after":"tree"}"#;
        let read: LedgerEntry = serde_json::from_str(old).unwrap();
        assert_eq!(read, rollback("a", None));
        assert_eq!(serde_json::to_string(&read).unwrap(), old);
    }

    fn end(by: &str) -> LedgerEntry {
        LedgerEntry::SessionEnd {
            end: SessionEnd {
                ended_by: by.into(),
                abnormal: u32::from(by == "crash"),
                wall_s: 100,
                active_s: 60,
                ..SessionEnd::default()
            },
        }
    }

    #[test]
    fn a_run_of_two_sessions_is_told_as_one() {
        use TaskOutcome::{Blocked, Failed, NotRun, Success};
        let records = vec![
            record(0, "s1", start("r")),
            record(1, "s1", task("a", Success, "accepted")),
            record(2, "s1", task("b", Blocked, "stopped")),
            record(3, "s1", end("crash")),
            record(4, "s2", start("r")),
            record(5, "other", start("other")),
            record(6, "s2", rollback("b", Some("refs/tos/attempts/s2/b-1"))),
            record(6, "s2", task("b", Failed, "the tests ended with 1: x")),
            record(7, "s2", task("c", Failed, "the tests ended with 1: y")),
            record(8, "s2", task("d", NotRun, "not run")),
            record(9, "s2", end("two_failures")),
        ];
        let summary = summarise_run(&records, "r").unwrap();
        let counts = OutcomeCounts {
            success: 1,
            failed: 2,
            not_run: 1,
            ..OutcomeCounts::default()
        };
        assert_eq!((summary.counts, summary.task_count()), (counts, 4));
        assert_eq!((summary.wall_s, summary.active_s), (200, 120));
        assert_eq!(summary.micro_usd, Some(100_000));
        assert_eq!(summary.top.causes, ["2 x the tests ended with 1 (b, c)"]);
        assert_eq!(
            summary.top.next,
            [
                "1 task is open; go on after a look at the failures: tos night resume r",
                "take over 1 commit: tos night merge r",
                "see what was tried: git log -p -1 refs/tos/attempts/s2/b-1",
            ]
        );
        assert_eq!(summary.tip.as_deref(), Some("commit-a"));
        assert_eq!(run_ids(&records), ["r", "other"]);
        assert!(is_board_attempt("project-29499-run-3", BOARD_LIST_NAME));
        assert!(!is_board_attempt("project-29499-run-3", "mine"));
        assert!(!is_board_attempt("20261129_234343_1-run-", BOARD_LIST_NAME));
    }

    #[test]
    fn tasks_without_a_record_are_counted_and_a_return_takes_successes_back() {
        let restore = LedgerEntry::Restore {
            number: 0,
            commit: "base".into(),
            undone: vec!["a".into()],
            reason: "the whole did not hold".into(),
        };
        let records = [
            record(0, "r", start("")),
            record(1, "r", task("a", TaskOutcome::Success, "accepted")),
            record(2, "r", restore),
        ];
        let summary = summarise_run(&records, "r").unwrap();
        assert_eq!((summary.counts.failed, summary.counts.unknown), (1, 3));
        assert_eq!(
            (summary.tip.as_deref(), summary.last_session_end()),
            (Some("base"), "not over")
        );
        assert_eq!(summarise_run(&records, "x"), None);
    }
}
