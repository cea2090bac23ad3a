//! What a run and its programs print, as API and page see it: while it works, and whatever ended it.
//!
//! Danger: the place of a log comes from the events of the board, which somebody may have imported, so it is only followed below the
//! folder of such logs; and what programs print goes through the redactor first, and commands no terminal afterwards.

use std::path::Path;

use super::board_access::{ServiceBoard, line_of, piece_of};
use crate::{
    adapters::board::joined_log_files,
    domain::{
        board::{Board, Run, RunId, is_run_log_folder, run_log_folder},
        text::{escape_control_chars, last_bytes},
    },
    ports::board::{BoardError, LogChunk, LogState},
};

impl ServiceBoard {
    /// Returns the end of what a run printed: what its agent's log says of its time, then what its programs print.
    pub(super) fn log_of_run(
        &self,
        id: RunId,
        offset: Option<u64>,
        limit: u64,
    ) -> Result<LogChunk, BoardError> {
        let board = self.handle.snapshot();
        let run = board.run(id);
        let run = run.ok_or_else(|| BoardError::NotFound(format!("there is no {id}")))?;
        // Each part has its share, so that no other pushes it out.
        let places = places(&board, run);
        let share = limit / (places.len() as u64 + 2);
        let said = self.lines_of_run(run);
        let mut text = end_of(&said, usize::try_from(share).unwrap_or(usize::MAX)).to_owned();
        let mut is_here = false;
        for place in places {
            if let Some(printed) = joined_log_files(&self.root, Path::new(&place), share) {
                is_here = true;
                text.push_str(&printed);
            }
        }
        let text = self.redactor.clean(&text).replace("\r\n", "\n");
        Ok(LogChunk {
            state: self.state_of(&board, run, is_here),
            ..piece_of(&escape_control_chars(&text), offset, limit)
        })
    }

    fn lines_of_run(&self, run: &Run) -> String {
        let agent = run.agent.agent_name();
        let lines = self.logs.tail(&agent, usize::MAX);
        let own = lines.iter().enumerate().filter(|(number, line)| {
            let at = line_of(&agent, *number, line).at;
            at >= run.started_at && run.finished_at.is_none_or(|end| at <= end)
        });
        own.flat_map(|(_, line)| [line.as_str(), "\n"]).collect()
    }

    fn state_of(&self, board: &Board, run: &Run, is_here: bool) -> LogState {
        let is_at_work =
            run.finished_at.is_none() || self.handle.stopping().contains(&run.lease.fence);
        match (is_at_work, is_here) {
            (true, _) if self.is_elsewhere(board, run) => LogState::ComesAtTheEnd,
            (true, _) => LogState::Growing,
            (false, true) => LogState::Complete,
            (false, false) => LogState::Absent,
        }
    }

    /// Returns whether a run is made on another machine. Sessions are carried out here in any case.
    fn is_elsewhere(&self, board: &Board, run: &Run) -> bool {
        let mut turns = board.open_sessions().filter_map(|session| session.turn);
        self.remote.is_some() && !turns.any(|turn| turn.run == run.id)
    }
}

/// Returns the end of a text from a whole line on, of so many bytes at most.
fn end_of(text: &str, most: usize) -> &str {
    let end = last_bytes(text, most);
    if end.len() == text.len() {
        return text;
    }
    end.split_once('\n').map_or("", |(_, lines)| lines)
}

/// Returns where the log of a run may lie: where its start said, and below the name of this service, where it went on with it.
fn places(board: &Board, run: &Run) -> Vec<String> {
    let mut places = vec![run.log.clone()];
    let own = run_log_folder(&board.globals().instance, run.id);
    if !places.contains(&own) {
        places.push(own);
    }
    places.retain(|place| is_run_log_folder(place));
    places
}
