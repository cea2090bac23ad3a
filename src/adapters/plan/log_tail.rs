//! The last lines of what a task printed, read from the end.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
};

/// Reads the last lines from the end, once. What is more than a person reads is left out in front, and a hole of a log that was cut
/// in the middle too; a line of ours says of both how much.
pub(crate) fn tail(file: &mut File, end: u64, lines: usize) -> std::io::Result<Vec<u8>> {
    const PIECE: u64 = 64 * 1024;
    if lines == 0 {
        return Ok(Vec::new());
    }
    let mut back = BackwardTail::default();
    let mut start = end;
    while start > 0 && !back.is_full {
        let next = start.saturating_sub(PIECE);
        let mut piece = vec![0; usize::try_from(start - next).unwrap_or(0)];
        file.seek(SeekFrom::Start(next))?;
        file.read_exact(&mut piece)?;
        start = next;
        back.take(&piece, start, lines);
    }
    Ok(back.finish())
}

/// The end of a log, read from its last byte on.
#[derive(Default)]
struct BackwardTail {
    /// The bytes, the last one first.
    bytes: Vec<u8>,
    ends: usize,
    hole: u64,
    is_full: bool,
}

impl BackwardTail {
    /// The most that is shown of one log.
    const MOST: usize = 4 * 1024 * 1024;
    /// The shortest hole that a file system makes.
    const HOLE: u64 = 4096;

    /// Takes the piece that begins at `start`.
    fn take(&mut self, piece: &[u8], start: u64, lines: usize) {
        for (at, byte) in piece.iter().enumerate().rev() {
            if *byte == 0 {
                self.hole += 1;
                continue;
            }
            self.end_hole();
            if *byte == b'\n' && !self.bytes.is_empty() {
                self.ends += 1;
            }
            if self.ends == lines || self.bytes.len() >= Self::MOST {
                self.is_full = true;
                if self.ends < lines {
                    self.note(start + at as u64 + 1, "before this are not shown");
                }
                return;
            }
            self.bytes.push(*byte);
        }
    }

    fn end_hole(&mut self) {
        let hole = std::mem::take(&mut self.hole);
        if hole >= Self::HOLE {
            self.note(hole, "of the middle were not kept");
        }
    }

    fn note(&mut self, bytes: u64, what: &str) {
        let line = format!("\n[tos: {bytes} bytes {what}]\n");
        self.bytes.extend(line.bytes().rev());
    }

    fn finish(mut self) -> Vec<u8> {
        self.end_hole();
        self.bytes.reverse();
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn shown(parts: &[&[u8]], lines: usize) -> String {
        let mut file = tempfile::tempfile().unwrap();
        for part in parts {
            file.write_all(part).unwrap();
        }
        let end = file.metadata().unwrap().len();
        String::from_utf8(tail(&mut file, end, lines).unwrap()).unwrap()
    }

    #[test]
    fn the_last_lines_are_those_asked_for() {
        assert_eq!(shown(&[b"a\nb\nc\n"], 2), "b\nc\n");
        assert_eq!(shown(&[b"a\nb\nc"], 1), "c");
        assert_eq!(shown(&[b"\na\n\n"], 2), "a\n\n");
        assert_eq!(shown(&[b"a\nb\n"], 9), "a\nb\n");
        assert_eq!(shown(&[b""], 3), "");
        assert_eq!(shown(&[b"a\n"], 0), "");
        let long = "x".repeat(200_000);
        assert_eq!(shown(&[b"a\n", long.as_bytes(), b"\n"], 1), long + "\n");
    }

    #[test]
    fn a_line_without_end_is_cut_with_a_mark_and_holes_are_named() {
        let long = vec![b'x'; 20_000_000];
        let seen = shown(&[b"a\n", &long], 3);
        assert!(seen.len() < 5_000_000, "{}", seen.len());
        let kept = seen.matches('x').count();
        let mark = format!(
            "\n[tos: {} bytes before this are not shown]\nx",
            long.len() + 2 - kept
        );
        assert!(seen.starts_with(&mark), "{}", &seen[..100]);
        let seen = shown(
            &[b"first", &vec![0; 70_000], b"last\n", &[0; 10], b"b\n"],
            9,
        );
        assert_eq!(
            seen,
            "first\n[tos: 70000 bytes of the middle were not kept]\nlast\nb\n"
        );
    }
}
