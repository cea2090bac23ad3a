//! Text whose characters take two or four bytes each, as programs of Windows write it.
//!
//! An ASCII character is one byte followed by empty ones in UTF-16 and UTF-32, whichever end comes first: where the high
//! end leads, the empty bytes are those of the next character, and the first one's stay in front of what is removed.

use std::ops::Range;

use super::MARK;

/// Characters that are made narrow at most: more than any token has.
const LONGEST: usize = 16 * 1024;

/// Returns how many bytes a character takes, when the one at this place takes several.
pub(super) fn char_width_at(bytes: &[u8], at: usize) -> Option<usize> {
    let first = *bytes.get(at)?;
    let empty = |offset: usize| bytes.get(at + offset) == Some(&0);
    if first == 0 || !empty(1) {
        return None;
    }
    Some(if empty(2) && empty(3) { 4 } else { 2 })
}

/// Returns up to three characters before a place and the text from there on, one byte for each character.
pub(super) fn narrowed(bytes: &[u8], at: usize, unit: usize) -> (Vec<u8>, Vec<u8>) {
    let character = |place: usize| {
        let first = bytes.get(place).filter(|byte| **byte != 0)?;
        let rest = bytes.get(place + 1..(place + unit).min(bytes.len()))?;
        rest.iter().all(|byte| *byte == 0).then_some(*first)
    };
    let back = (1..=3).map_while(|steps| at.checked_sub(steps * unit).and_then(character));
    let mut before: Vec<u8> = back.collect();
    before.reverse();
    let places = (at..bytes.len()).step_by(unit);
    let text = places.map_while(character).take(LONGEST).collect();
    (before, text)
}

/// Writes the mark in the width of what it replaces.
pub(super) fn push_mark(bytes: &[u8], span: &Range<usize>, out: &mut Vec<u8>) {
    let Some(unit) = char_width_at(bytes, span.start) else {
        out.extend_from_slice(MARK.as_bytes());
        return;
    };
    let from = out.len();
    for byte in MARK.bytes() {
        out.push(byte);
        out.extend(std::iter::repeat_n(0, unit - 1));
    }
    // At the end of a text whose high end leads the last character has no empty bytes behind it.
    let missing = (unit - span.len() % unit) % unit;
    out.truncate(out.len().saturating_sub(missing).max(from));
}
