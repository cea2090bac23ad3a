//! How far a run is, read from the ledger and from nothing else: after a crash it is the only witness.

use crate::domain::ledger::{Entry, Record, TaskEnd, TaskOutcome};

/// What the sessions of a run have done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
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
fn sessions(records: &[Record]) -> Vec<(&str, &str)> {
    let mut sessions = Vec::new();
    for record in records {
        if let (Entry::SessionStart { start }, Some(session)) =
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
pub fn run_of(records: &[Record], session: &str) -> Option<String> {
    let all = sessions(records);
    let found = all.iter().find(|(id, _)| *id == session);
    found.map(|(_, run)| (*run).to_owned())
}

/// Returns the records of all sessions of a run, oldest first.
pub fn records_of<'a>(records: &'a [Record], run: &str) -> Vec<&'a Record> {
    let all = sessions(records);
    let own: Vec<&str> = all
        .iter()
        .filter(|(_, of)| *of == run)
        .map(|(session, _)| *session)
        .collect();
    let belongs = |record: &&Record| {
        let session = record.stamp.session.as_deref();
        session.is_some_and(|session| own.contains(&session))
    };
    records.iter().filter(belongs).collect()
}

/// Makes a success a failure, because the whole did not hold with it.
pub fn take_back(end: &mut TaskEnd, reason: &str) {
    end.outcome = TaskOutcome::Failed;
    end.reason = format!("undone: {reason}");
    end.commit = None;
}

impl Progress {
    /// Reads how far a run is.
    pub fn of(records: &[Record], run: &str) -> Self {
        let mut progress = Self::default();
        for record in records_of(records, run) {
            progress.fold(&record.entry);
        }
        progress
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only a few kinds of records move a run on"
    )]
    fn fold(&mut self, entry: &Entry) {
        match entry {
            Entry::SessionStart { start } if self.base.is_none() => {
                self.base = (!start.base.is_empty()).then(|| start.base.clone());
            }
            Entry::Task { end } => {
                self.micro_usd += end.micro_usd.unwrap_or(0);
                self.ends.retain(|known| known.task != end.task);
                if end.outcome.is_verdict() {
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
            Entry::Checkpoint { number, commit, .. } => {
                self.stable = Some((*number, commit.clone()));
                self.since_stable.clear();
            }
            Entry::Restore {
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
                        take_back(end, reason);
                    }
                }
            }
            // Whoever goes on after an end knows how it ended, and means it.
            Entry::SessionEnd { end } if end.ended_by != "crash" => self.failures_in_a_row = 0,
            _ => {}
        }
    }
}
