//! Redaction of a stream that arrives in pieces, so that a secret cut by a read is still found.
//!
//! Whole lines are let go as soon as no secret is open at their end; what has no line end is held
//! back up to a window, and then let go except for the last part.

use super::{MARK, Redactor, replaced};

/// How much is held back at most while no line ends.
const WINDOW: usize = 64 * 1024;
/// How much of a full window stays behind: longer than any token.
const HOLD: usize = 16 * 1024;

/// A redactor with a memory of what it has not let go yet.
#[derive(Debug)]
pub struct StreamRedactor {
    redactor: Redactor,
    /// Held bytes; the first `seen` of them were let go and stay only to tell where words begin.
    held: Vec<u8>,
    seen: usize,
    /// True while the rest of a secret longer than the window is being dropped.
    dropping: bool,
}

impl StreamRedactor {
    pub(super) fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            held: Vec::new(),
            seen: 0,
            dropping: false,
        }
    }

    /// Returns what decides about secrets, for text made from what this stream let go.
    pub const fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Takes the next piece and returns what can be let go, redacted.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        let piece = self.without_dropped(piece);
        self.held.extend_from_slice(piece);
        let full = self.held.len() - self.seen > WINDOW;
        if full || piece.contains(&b'\n') {
            self.let_go(full)
        } else {
            Vec::new()
        }
    }

    /// Returns the rest, redacted.
    pub fn finish(&mut self) -> Vec<u8> {
        let spans = self.redactor.spans(&self.held, self.seen);
        let out = replaced(&self.held, self.seen, self.held.len(), &spans);
        self.held.clear();
        self.seen = 0;
        out
    }

    fn without_dropped<'a>(&mut self, piece: &'a [u8]) -> &'a [u8] {
        if !self.dropping {
            return piece;
        }
        let inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=_-.\r\n\\\0".contains(byte);
        match piece.iter().position(|byte| !inside(byte)) {
            Some(end) => {
                self.dropping = false;
                piece.get(end..).unwrap_or_default()
            }
            None => &[],
        }
    }

    fn let_go(&mut self, full: bool) -> Vec<u8> {
        let length = self.held.len();
        let spans = self.redactor.spans(&self.held, self.seen);
        let line = self.held.iter().rposition(|byte| *byte == b'\n');
        let mut cut = match line {
            Some(end) if !full || end + 1 > length - HOLD => end + 1,
            _ => length - HOLD,
        };
        if let Some(span) = spans.iter().find(|s| s.start < cut && s.end >= cut) {
            let open = span.end == length;
            cut = match (open, full && span.start <= self.seen) {
                (false, _) => span.end,
                (true, false) => span.start,
                // The whole window is one secret: mark it and drop what still comes of it.
                (true, true) => {
                    self.dropping = true;
                    self.held.clear();
                    self.seen = 0;
                    return MARK.as_bytes().to_vec();
                }
            };
        }
        let cut = cut.max(self.seen);
        let out = replaced(&self.held, self.seen, cut, &spans);
        // Three characters tell whether a word begins behind the cut, also behind a `\n` in JSON; each has up to four bytes.
        let keep = cut.saturating_sub(12);
        self.held.drain(..keep);
        self.seen = cut - keep;
        out
    }
}
