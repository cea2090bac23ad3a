//! Sessions that ran without this service: taken onto the board from the ledger, so that they are seen where all others are.
//!
//! They come with the events that every session has, so nothing that reads a board has to know of them. Danger: what is
//! still under way elsewhere is no record yet.

use serde::{Deserialize, Serialize};

use super::{
    Board, BoardResponse, Draft, Millis, Refusal, RefusalCode, SessionId, TaskEvent, TaskId,
    TaskSpec,
    session::{SessionEvent, SessionItem, SessionSpec, SessionStop, SessionTaskEnd},
};
use crate::domain::{
    ledger::LedgerRecord,
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
    let since = now.saturating_sub(LATEST).max(board.globals().cleaned_at);
    let runs = run_ids(records).into_iter().rev();
    let unknown = runs.filter(|run| !board.sessions().any(|known| known.spec.run == *run));
    let found = unknown
        .filter_map(|run| of_summary(&summarise_run(records, &run)?, records))
        .filter(|record| record.spec.recorded.is_some_and(|(_, ended)| ended > since));
    let mut newest: Vec<SessionRecord> = found.take(MOST).collect();
    newest.reverse();
    newest
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
        // A crash, or a word of a later version.
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
