//! Tables that are never folded and never cut: what a program or a person looks for is there in one piece.

use std::{io, io::Write};

/// Prints rows, the first as a heading, in columns.
pub(super) fn print<const N: usize>(out: &mut impl Write, rows: &[[String; N]]) -> io::Result<()> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = io::BufWriter::new(out);
    for row in rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            line.push_str(cell);
            let blanks = width + 2 - cell.chars().count();
            line.extend(std::iter::repeat_n(' ', blanks));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    out.flush()
}
