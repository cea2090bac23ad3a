//! How far a run is, read from the ledger and from nothing else: after a crash it is the only witness.

use crate::domain::ledger::{LedgerEntry, LedgerRecord, TaskEnd, TaskOutcome};

/// What the sessions of a run have done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunProgress {
    /// The commit the run started from.
    pub base: Option<String>,
    /// The newest end of each task that reached a verdict.
    pub ends: Vec<TaskEnd>,
    /// The newest accepted commit.
    pub tip: Option<String>,
    /// The newest stable point: its number and commit.
    pub stable: Option<(u32, String)>,
    /// Tasks accepted since then.
    pub since_stable: Vec<String>,
    /// How many tasks failed one after the other, if the last session did not come to an end of its own.
    pub failures_in_a_row: u32,
    /// What was spent, in millionths of a dollar.
    pub micro_usd: u64,
}

/// Returns the run of each session, in the order of their starts.
fn sessions(records: &[LedgerRecord]) -> Vec<(&str, &str)> {
    let mut sessions = Vec::new();
    for record in records {
        if let (LedgerEntry::SessionStart { start }, Some(session)) =
            (&record.entry, record.stamp.session.as_deref())
        {
            let run = if start.run.is_empty() {
                session
            } else {
                &start.run
            };
            sessions.push((session, run));
        }
    }
    sessions
}

/// Returns the run that a session belongs to.
pub fn run_of_session(records: &[LedgerRecord], session: &str) -> Option<String> {
    let all = sessions(records);
    let found = all.iter().find(|(id, _)| *id == session);
    found.map(|(_, run)| (*run).to_owned())
}

/// Returns the records of all sessions of a run, oldest first.
pub fn records_of_run<'a>(records: &'a [LedgerRecord], run: &str) -> Vec<&'a LedgerRecord> {
    let all = sessions(records);
    let own: Vec<&str> = all
        .iter()
        .filter(|(_, of)| *of == run)
        .map(|(session, _)| *session)
        .collect();
    let belongs = |record: &&LedgerRecord| {
        let session = record.stamp.session.as_deref();
        session.is_some_and(|session| own.contains(&session))
    };
    records.iter().filter(belongs).collect()
}

/// Makes a success a failure, because the whole did not hold with it.
pub fn revert_success(end: &mut TaskEnd, reason: &str) {
    end.outcome = TaskOutcome::Failed;
    end.reason = format!("undone: {reason}");
    end.commit = None;
}

impl RunProgress {
    /// Reads how far a run is.
    pub fn of(records: &[LedgerRecord], run: &str) -> Self {
        let mut progress = Self::default();
        for record in records_of_run(records, run) {
            progress.fold(&record.entry);
        }
        progress
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only a few kinds of records move a run on"
    )]
    fn fold(&mut self, entry: &LedgerEntry) {
        match entry {
            LedgerEntry::SessionStart { start } if self.base.is_none() => {
                self.base = (!start.base.is_empty()).then(|| start.base.clone());
            }
            LedgerEntry::Task { end } => {
                self.micro_usd += end.micro_usd.unwrap_or(0);
                self.ends.retain(|known| known.task != end.task);
                if end.outcome.is_conclusive() {
                    self.ends.push(end.clone());
                }
                if end.outcome == TaskOutcome::Success {
                    self.tip.clone_from(&end.commit);
                    self.since_stable.push(end.task.clone());
                    self.failures_in_a_row = 0;
                } else if end.outcome == TaskOutcome::Failed {
                    self.failures_in_a_row += 1;
                }
            }
            LedgerEntry::Checkpoint { number, commit, .. } => {
                self.stable = Some((*number, commit.clone()));
                self.since_stable.clear();
            }
            LedgerEntry::Restore {
                commit,
                undone,
                reason,
                ..
            } => {
                self.tip = Some(commit.clone());
                self.since_stable.clear();
                self.failures_in_a_row += 1;
                for end in &mut self.ends {
                    if undone.contains(&end.task) {
                        revert_success(end, reason);
                    }
                }
            }
            // Whoever goes on after an end knows how it ended, and means it.
            LedgerEntry::SessionEnd { end } if end.ended_by != "crash" => {
                self.failures_in_a_row = 0;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{
        ledger::{SessionEnd, SessionStart},
        tasks::{QueueAction, TaskList, TaskQueue, TaskVerdict},
    };

    fn list(count: usize, on_failure: &str) -> TaskList {
        let tasks: Vec<serde_json::Value> = (0..count)
            .map(|n| {
                serde_json::json!({
                    "id": format!("t{n}"), "goal": "g", "prompt": "p", "class": "fix", "test_command": ["true"],
                    "depends_on": if n % 4 == 3 { vec![format!("t{}", n - 2)] } else { Vec::new() },
                })
            })
            .collect();
        serde_json::from_value(serde_json::json!({
            "schema": 1, "id": "l", "on_failure": on_failure, "task": tasks,
            "agent": { "kind": "command", "args": ["{prompt}"] },
        }))
        .unwrap()
    }

    fn record(entry: LedgerEntry) -> LedgerRecord {
        let at = chrono::DateTime::parse_from_rfc3339("2026-11-20T22:00:00+01:00").unwrap();
        LedgerRecord::unchained(0, at, Some("s"), entry)
    }

    fn ended(task: &str, good: bool) -> LedgerEntry {
        LedgerEntry::Task {
            end: TaskEnd {
                task: task.into(),
                fingerprint: "f".into(),
                class: "fix".into(),
                outcome: if good {
                    TaskOutcome::Success
                } else {
                    TaskOutcome::Failed
                },
                reason: String::new(),
                attempts: 1,
                files: 1,
                added: 1,
                removed: 0,
                seconds: 1,
                commit: good.then(|| format!("c-{task}")),
                real: true,
                goal: String::new(),
                micro_usd: Some(1),
            },
        }
    }

    proptest! {
        /// A crash after any record leads to the same next step as no crash.
        #[test]
        fn what_the_ledger_says_is_where_the_run_was(
            verdicts in prop::collection::vec(any::<bool>(), 1..12),
            mode in prop::sample::select(vec!["stop", "retry_then_stop", "retry_then_skip_dependents"]),
        ) {
            let list = list(verdicts.len(), mode);
            let mut queue = TaskQueue::new(&list);
            let mut records = vec![record(LedgerEntry::SessionStart { start: SessionStart::default() })];
            let mut verdicts = verdicts.into_iter();
            loop {
                let progress = RunProgress::of(&records, "s");
                let mut again = TaskQueue::new(&list).with_progress(&list, &progress);
                let (next, next_again) = (queue.next(None), again.next(None));
                let QueueAction::Start(place) = next else {
                    // What ends at a failure goes on when a person says so.
                    break;
                };
                prop_assert_eq!(next, next_again);
                prop_assert_eq!(queue.outcomes(), again.outcomes());
                let good = verdicts.next().unwrap_or(true);
                queue.finish(place, if good { TaskVerdict::Accepted } else { TaskVerdict::Failed });
                records.push(record(ended(&list.tasks[place].id, good)));
            }
        }
    }

    #[test]
    fn whoever_goes_on_after_two_failures_knows_it_and_whoever_goes_on_after_a_crash_does_not() {
        let two = |by: &str| {
            let end = SessionEnd {
                ended_by: by.into(),
                ..SessionEnd::default()
            };
            let records = [
                record(LedgerEntry::SessionStart {
                    start: SessionStart::default(),
                }),
                record(ended("t0", false)),
                record(ended("t1", false)),
                record(LedgerEntry::SessionEnd { end }),
            ];
            let list = list(3, "retry_then_stop");
            let mut queue =
                TaskQueue::new(&list).with_progress(&list, &RunProgress::of(&records, "s"));
            queue.next(None)
        };
        assert_eq!(two("two_failures"), QueueAction::Start(2));
        assert_eq!(
            two("crash"),
            QueueAction::Stop(crate::domain::tasks::StopReason::TwoFailures)
        );
    }
}
