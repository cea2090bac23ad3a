//! What a task of a plan prints while another machine makes it.
//!
//! Pieces are sent as they come and none is sent twice: one that is lost is no loss, because everything comes with the result. So they only show
//! what goes on, and nothing is decided by them.

use serde::{Deserialize, Serialize};

use crate::domain::text::first_bytes;

/// A piece of what an attempt prints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrintedPiece {
    /// Which opening of the run handed the order out.
    pub opening: String,
    /// The task.
    pub task: u32,
    /// The attempt.
    pub attempt: u32,
    /// 0 = output, 1 = errors.
    pub side: usize,
    /// How much was sent before it.
    pub from: u64,
    /// The text.
    pub text: String,
}

/// How much of both streams of an attempt was shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShownText([u64; 2]);

impl ShownText {
    /// Takes a piece in; returns whether it is what comes next. Where one was lost, nothing more of that stream is shown: a text with a hole would
    /// look like a whole one.
    pub fn take(&mut self, piece: &PrintedPiece) -> bool {
        let Some(shown) = self.0.get_mut(piece.side) else {
            return false;
        };
        let is_next = *shown == piece.from;
        if is_next {
            *shown += piece.text.len() as u64;
        }
        is_next
    }

    /// Returns whether anything of a stream was shown.
    pub fn has_any(&self, side: usize) -> bool {
        self.0.get(side).is_some_and(|shown| *shown > 0)
    }
}

/// Cuts a text into pieces of `most` bytes or a little less; no letter is cut.
pub fn split_text(text: &str, most: usize) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let end = match first_bytes(rest, most).len() {
            0 => rest.len(),
            end => end,
        };
        let (piece, behind) = rest.split_at(end);
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(side: usize, from: u64, text: &str) -> PrintedPiece {
        PrintedPiece {
            side,
            from,
            text: text.to_owned(),
            ..PrintedPiece::default()
        }
    }

    #[test]
    fn pieces_are_shown_in_order_and_nothing_behind_a_lost_one() {
        let mut shown = ShownText::default();
        assert!(!shown.has_any(0));
        assert!(shown.take(&piece(0, 0, "one\n")) && shown.take(&piece(1, 0, "wrong\n")));
        assert!(shown.take(&piece(0, 4, "two\n")));
        assert!(!shown.take(&piece(0, 4, "two\n")));
        assert!(!shown.take(&piece(0, 12, "four\n")) && !shown.take(&piece(0, 17, "five\n")));
        assert!(shown.take(&piece(1, 6, "more\n")) && !shown.take(&piece(2, 0, "x")));
        assert!(shown.has_any(0) && shown.has_any(1) && !shown.has_any(2));
    }

    #[test]
    fn a_text_is_cut_between_letters() {
        assert_eq!(split_text("", 4), Vec::<&str>::new());
        assert_eq!(split_text("abcdef", 4), ["abcd", "ef"]);
        assert_eq!(split_text("abcd", 4), ["abcd"]);
        assert_eq!(split_text("aéé", 2), ["a", "é", "é"]);
        // One letter that is longer than a piece stays whole.
        assert_eq!(split_text("é", 1), ["é"]);
    }
}
