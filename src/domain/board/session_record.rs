//! Sessions that ran without this service: taken onto the board from the ledger, so that they are seen where all others are.
//!
//! They come with the events that every session has, so nothing that reads a board has to know of them. Danger: what is
//! still under way elsewhere is no record yet.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    Board, BoardResponse, Draft, Millis, Refusal, RefusalCode, SessionId, TaskEvent, TaskId,
    TaskSpec,
    session::{SessionEvent, SessionItem, SessionSpec, SessionStop, SessionTaskEnd},
};
use crate::domain::{
    ledger::{LedgerEntry, LedgerRecord},
    night::{NightSummary, run_ids, summarise_run},
    tasks::StopReason,
    time::Timestamp,
};

/// How long ago a session may have ended to be taken onto the board.
const LATEST: Millis = 7 * 24 * 3600 * 1000;
/// How many are taken onto it at once, the newest ones.
const MOST: usize = 20;

/// A session that is over, as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRecord {
    /// The list and when it was worked on.
    pub spec: SessionSpec,
    /// How each task came out, by place.
    pub ends: Vec<SessionTaskEnd>,
    /// Why it ended.
    pub why: StopReason,
}

/// Returns what a ledger knows of sessions that are over and that a board has never heard of, the oldest first.
pub fn unknown_sessions(
    records: &[LedgerRecord],
    board: &Board,
    now: Millis,
) -> Vec<SessionRecord> {
    let since = now.saturating_sub(LATEST);
    let records = recent_records(records, since);
    let known: BTreeSet<&str> = board.sessions().map(|one| one.spec.run.as_str()).collect();
    let runs = run_ids(records).into_iter().rev();
    let unknown = runs.filter(|run| !known.contains(run.as_str()));
    // What began before the board was emptied was stopped with it, and its end is written after that.
    let cleaned_at = board.globals().cleaned_at;
    let is_wanted = |(began, ended): (Millis, Millis)| began > cleaned_at && ended > since;
    let found = unknown
        .filter_map(|run| of_summary(&summarise_run(records, &run)?, records))
        .filter(|record| record.spec.recorded.is_some_and(is_wanted));
    let mut newest: Vec<SessionRecord> = found.take(MOST).collect();
    newest.reverse();
    newest
}

/// Returns the end of a ledger that holds, from their beginning, all runs of which something is on record after a moment.
fn recent_records(records: &[LedgerRecord], since: Millis) -> &[LedgerRecord] {
    let is_recent = |record: &LedgerRecord| millis(record.stamp.at) > since;
    let Some(first) = records.iter().position(is_recent) else {
        return &[];
    };
    let recent = records.get(first..).unwrap_or_default().iter();
    let sessions: BTreeSet<&str> = recent
        .filter_map(|record| record.stamp.session.as_deref())
        .collect();
    let starts = || {
        let starts = records.iter().enumerate();
        starts.filter_map(|(place, record)| Some((place, run_begun_by(record)?)))
    };
    let runs: BTreeSet<&str> = starts()
        .filter(|(_, (session, _))| sessions.contains(session))
        .map(|(_, (_, run))| run)
        .collect();
    let begin = starts().find(|(_, (_, run))| runs.contains(run));
    let begin = begin.map_or(first, |(place, _)| place.min(first));
    records.get(begin..).unwrap_or_default()
}

/// Returns the session that a record begins, and its run.
fn run_begun_by(record: &LedgerRecord) -> Option<(&str, &str)> {
    let session = record.stamp.session.as_deref()?;
    let LedgerEntry::SessionStart { start } = &record.entry else {
        return None;
    };
    let run = if start.run.is_empty() {
        session
    } else {
        &start.run
    };
    Some((session, run))
}

fn of_summary(summary: &NightSummary, records: &[LedgerRecord]) -> Option<SessionRecord> {
    let (first, last) = (summary.sessions.first()?, summary.sessions.last()?);
    let ended = last.end.as_ref()?;
    let word = serde_json::Value::String(ended.ended_by.clone());
    let of_run = |seq: u64| records.iter().rev().find(|record| record.seq == seq);
    let at = of_run(summary.records.1)?.stamp.at;
    let items = summary.tasks.iter().map(|end| SessionItem {
        id: end.task.clone(),
        goal: end.goal.clone(),
        task: TaskSpec {
            title: format!("{}: {}", end.task, end.goal),
            goal: end.goal.clone(),
            source: format!("{} of {}", end.task, summary.run),
            ..TaskSpec::default()
        },
        ..SessionItem::default()
    });
    let ends = summary.tasks.iter().enumerate();
    Some(SessionRecord {
        spec: SessionSpec {
            run: summary.run.clone(),
            list: summary.list.clone(),
            kind: if last.start.attended {
                "tasks"
            } else {
                "night"
            }
            .to_owned(),
            items: items.collect(),
            by: "the ledger".to_owned(),
            recorded: Some((millis(first.began), millis(at))),
            ..SessionSpec::default()
        },
        ends: ends
            .map(|(place, end)| SessionTaskEnd {
                place,
                outcome: end.outcome,
                reason: end.reason.clone(),
                commit: end.commit.clone(),
            })
            .collect(),
        // The board has no reason of its own for a crash, nor for the word of a later version.
        why: serde_json::from_value(word).unwrap_or(StopReason::Broken),
    })
}

fn millis(at: Timestamp) -> Millis {
    u64::try_from(at.timestamp_millis()).unwrap_or_default()
}

impl Board {
    /// Takes a session that is over onto the board; one whose run is known is left alone.
    pub(super) fn record_session(
        &self,
        draft: &mut Draft,
        record: &SessionRecord,
    ) -> Result<(), Refusal> {
        let spec = &record.spec;
        if spec.recorded.is_none() || spec.items.is_empty() || spec.run.is_empty() {
            let reason = "only a session that is over can be recorded";
            return Err(Refusal::new(RefusalCode::Invalid, reason, ""));
        }
        if let Some(known) = self.sessions().find(|known| known.spec.run == spec.run) {
            draft.answer(BoardResponse::Already {
                detail: format!("{} is {}", spec.run, known.id),
            });
            return Ok(());
        }
        let session = SessionId(self.globals.last_session.0 + 1);
        let tasks: Vec<TaskId> = (self.globals.last_task.0 + 1..)
            .map(TaskId)
            .take(spec.items.len())
            .collect();
        draft.event(SessionEvent::Started {
            session,
            spec: Box::new(spec.clone()),
            tasks: tasks.iter().copied().map(Some).collect(),
        });
        for (item, task) in spec.items.iter().zip(tasks) {
            draft.event(TaskEvent::Created {
                task,
                spec: Box::new(TaskSpec {
                    session: Some(session),
                    ..item.task.clone()
                }),
            });
        }
        for end in &record.ends {
            draft.event(SessionEvent::TaskEnded {
                session,
                end: end.clone(),
                failures_in_a_row: 0,
            });
        }
        draft.event(SessionEvent::Stopping {
            session,
            stop: SessionStop {
                why: record.why,
                detail: String::new(),
            },
        });
        draft.event(SessionEvent::Ended {
            session,
            error: String::new(),
            report: String::new(),
        });
        draft.answer(BoardResponse::Session { session });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ledger::{SessionEnd, SessionStart, TaskEnd};

    const HOUR: Millis = 3600 * 1000;
    const DAY: Millis = 24 * HOUR;
    const NOW: Millis = 100 * DAY;

    fn record(seq: u64, at: Millis, session: &str, entry: LedgerEntry) -> LedgerRecord {
        let at = chrono::DateTime::from_timestamp_millis(at.try_into().unwrap()).unwrap();
        LedgerRecord::unchained(seq, at.fixed_offset(), Some(session), entry)
    }

    /// The sessions of a ledger, with their runs, when they began and ended, and why.
    fn ledger(sessions: &[(&str, &str, Millis, Millis, &str)]) -> Vec<LedgerRecord> {
        let mut all = Vec::new();
        for (session, run, began, ended, why) in sessions {
            let start = SessionStart {
                run: (*run).to_owned(),
                list: "mine".into(),
                ..SessionStart::default()
            };
            let end = SessionEnd {
                ended_by: (*why).to_owned(),
                ..SessionEnd::default()
            };
            let end_of_task = serde_json::json!({
                "task": format!("of-{session}"), "fingerprint": "", "class": "fix", "outcome": "success", "reason": "",
                "attempts": 1, "files": 1, "added": 1, "removed": 0, "seconds": 1, "real": true
            });
            let task: TaskEnd = serde_json::from_value(end_of_task).unwrap();
            for (at, entry) in [
                (*began, LedgerEntry::SessionStart { start }),
                (*began + 1, LedgerEntry::Task { end: task }),
                (*ended, LedgerEntry::SessionEnd { end }),
            ] {
                all.push(record(all.len() as u64 + 1, at, session, entry));
            }
        }
        all
    }

    fn runs(records: &[LedgerRecord], board: &Board) -> Vec<String> {
        let found = unknown_sessions(records, board, NOW);
        found.into_iter().map(|one| one.spec.run).collect()
    }

    #[test]
    fn what_a_cleanup_stopped_does_not_come_back_though_its_end_is_on_record_later() {
        let records = ledger(&[
            ("stopped", "", NOW - 3 * HOUR, NOW - HOUR, "operator"),
            ("later", "", NOW - HOUR, NOW - 1000, "queue_empty"),
        ]);
        let mut board = Board::default();
        assert_eq!(runs(&records, &board), ["stopped", "later"]);
        board.globals_mut().cleaned_at = NOW - 2 * HOUR;
        assert_eq!(runs(&records, &board), ["later"]);
    }

    #[test]
    fn runs_of_the_last_week_are_read_whole_and_older_ones_not_at_all() {
        let records = ledger(&[
            ("old", "", NOW - 20 * DAY, NOW - 19 * DAY, "queue_empty"),
            ("a", "", NOW - 10 * DAY, NOW - 9 * DAY, "two_failures"),
            ("between", "", NOW - 9 * DAY, NOW - 8 * DAY, "queue_empty"),
            ("b", "a", NOW - 8 * DAY, NOW - DAY, "crash"),
        ]);
        let board = Board::default();
        let found = unknown_sessions(&records, &board, NOW);
        let [one] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(one.spec.run, "a");
        assert_eq!(one.spec.recorded, Some((NOW - 10 * DAY, NOW - DAY)));
        let tasks: Vec<&str> = one.spec.items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(tasks, ["of-a", "of-b"]);
        assert_eq!(one.why, StopReason::Broken);
        let read = recent_records(&records, NOW - LATEST);
        assert_eq!(read.first().map(|record| record.seq), Some(4));
        assert!(recent_records(&records, NOW).is_empty());
    }
}
