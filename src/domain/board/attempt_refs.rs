//! Whose work a reference of git holds: what a worker of a board tried, or something else.
//!
//! Folders that are worktrees of one repository share its references, and each may have a board. Danger: a board may remove
//! only what its own runs left; the ledger of its folder says which these are.

use std::collections::BTreeSet;

use super::{Board, RunId};
use crate::domain::{
    ledger::{LedgerEntry, LedgerRecord},
    night::is_board_attempt,
};

/// Where the attempts of workers and of sessions are kept.
pub const ATTEMPT_REFERENCES: [&str; 2] = ["refs/tos/attempts", "refs/tos/runs"];

/// Returns those references that hold what the runs of a board left, as far as it had begun them.
pub fn references_of_board(
    mut names: Vec<String>,
    board: &Board,
    records: &[LedgerRecord],
) -> Vec<String> {
    let last = board.globals().last_run;
    let own = board_attempts(records);
    // Those of earlier versions name no service.
    let known: BTreeSet<&str> = board
        .runs()
        .filter_map(|run| Some(run.kept.as_ref()?.reference.as_str()))
        .collect();
    names.retain(|name| {
        let attempt = attempt_of_reference(name);
        let is_own = attempt.is_some_and(|(session, run)| run <= last && own.contains(session));
        is_own || known.contains(name.as_str())
    });
    names
}

/// Returns the sessions that were attempts at tasks of the board, each `SERVICE-run-7`.
pub fn board_attempts(records: &[LedgerRecord]) -> BTreeSet<&str> {
    records.iter().filter_map(attempt_begun_by).collect()
}

/// Returns the session, `SERVICE-run-7`, and the run whose work a reference holds; `None` = a night's, a list's, or nothing of ours.
fn attempt_of_reference(name: &str) -> Option<(&str, RunId)> {
    let attempt = name.strip_prefix("refs/tos/attempts/");
    let accepted = attempt.and_then(|rest| rest.strip_prefix("board/"));
    let session = if let Some(rest) = accepted {
        rest.split_once('/')?.1
    } else {
        let rest = attempt.or_else(|| name.strip_prefix("refs/tos/runs/"))?;
        rest.split('/').next()?
    };
    let (_, number) = session.rsplit_once("-run-")?;
    Some((session, RunId(number.parse().ok()?)))
}

/// Returns the session of a board's attempt, where a record begins one.
fn attempt_begun_by(record: &LedgerRecord) -> Option<&str> {
    let session = record.stamp.session.as_deref()?;
    let LedgerEntry::SessionStart { start } = &record.entry else {
        return None;
    };
    is_board_attempt(session, &start.list).then_some(session)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ledger::SessionStart;

    #[test]
    fn only_what_workers_left_belongs_to_a_run() {
        for (name, found) in [
            (
                "refs/tos/attempts/board/task-3/s1a-run-12",
                Some(("s1a-run-12", 12)),
            ),
            (
                "refs/tos/attempts/s1a-run-7/task-3-1",
                Some(("s1a-run-7", 7)),
            ),
            ("refs/tos/runs/s1a-run-7", Some(("s1a-run-7", 7))),
            ("refs/tos/runs/20261130-night", None),
            ("refs/tos/attempts/20261130-night/task-1", None),
            ("refs/tos/attempts/board/task-3/run-12", None),
            ("refs/tos/attempts/board/task-3/s1a-run-x", None),
            ("refs/heads/a-run-7", None),
        ] {
            let found = found.map(|(session, run)| (session, RunId(run)));
            assert_eq!(attempt_of_reference(name), found, "{name}");
        }
    }

    fn begun(session: &str, list: &str) -> LedgerRecord {
        let entry = LedgerEntry::SessionStart {
            start: SessionStart {
                list: list.into(),
                ..SessionStart::default()
            },
        };
        let at = chrono::DateTime::UNIX_EPOCH.fixed_offset();
        LedgerRecord::unchained(1, at, Some(session), entry)
    }

    #[test]
    fn a_board_names_nothing_of_another_one_of_the_repository_nor_of_a_later_run() {
        let records = [
            begun("here-run-2", "board"),
            begun("here-run-4", "board"),
            begun("mine-run-1", "mine"),
        ];
        let mut board = Board::default();
        board.globals_mut().last_run = RunId(3);
        let own = [
            "refs/tos/attempts/board/task-1/here-run-2",
            "refs/tos/attempts/here-run-2/task-1-1",
            "refs/tos/runs/here-run-2",
        ];
        let others = [
            "refs/tos/attempts/board/task-1/there-run-2",
            "refs/tos/attempts/there-run-2/task-1-1",
            "refs/tos/runs/there-run-2",
            "refs/tos/runs/here-run-4",
            "refs/tos/runs/mine-run-1",
            "refs/tos/attempts/board/task-1/run-2",
        ];
        let all = own.iter().chain(&others).map(|name| (*name).to_owned());
        assert_eq!(references_of_board(all.collect(), &board, &records), own);
    }
}
