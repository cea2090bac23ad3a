//! Options of tos in a line that holds the words of another program: which they are, and how many words each takes.

use std::ffi::OsString;

/// Options that every command has; `true` = a word follows.
const OF_EVERY_COMMAND: [(&str, bool); 8] = [
    ("--json", false),
    ("--root", true),
    ("--config", true),
    ("--set", true),
    ("--otlp", true),
    ("--color", true),
    ("--verbose", false),
    ("--quiet", false),
];

/// Returns how many words an option of tos takes at a place: one that every command has, or one of `more`; `None` where there is none.
pub(super) fn own_length(words: &[OsString], at: usize, more: &[(&str, bool)]) -> Option<usize> {
    let word = words.get(at)?.to_str()?;
    let (name, is_joined) = match word.split_once('=') {
        Some((name, _)) => (name, true),
        None => (word, false),
    };
    let mut own = OF_EVERY_COMMAND.iter().chain(more);
    let (_, takes_word) = own.find(|(own, _)| *own == name)?;
    Some(if *takes_word && !is_joined { 2 } else { 1 })
}
