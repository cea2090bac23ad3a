//! Making texts fit for people: cut by characters, never inside one, always with a mark; and without anything that
//! commands the terminal instead of being read.

use std::borrow::Cow;

/// Returns the first `max` characters, and `mark` where something was cut.
pub fn head(text: &str, max: usize, mark: &str) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}{mark}", text.get(..at).unwrap_or_default()),
    }
}

/// Returns the last `max` characters, with `...` in front where something was cut.
pub fn tail(text: &str, max: usize) -> String {
    let length = text.chars().count();
    if length <= max {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(length - max).collect();
    format!("...{kept}")
}

/// Returns text in which nothing moves the cursor, changes colours or turns the direction of reading: such characters are
/// written as escapes. Ends of lines and tabs stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    let escaped = |c: char| -> String {
        if commands(c) {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// Returns whether a character commands the terminal or the direction of reading.
fn commands(c: char) -> bool {
    let bidi =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let separator = matches!(c, '\u{2028}' | '\u{2029}');
    bidi || separator || c.is_control() && !matches!(c, '\n' | '\t')
}

/// Returns milliseconds as seconds, without a fraction where there is none.
pub fn seconds(ms: u64) -> String {
    if ms.is_multiple_of(1000) {
        (ms / 1000).to_string()
    } else {
        format!("{}.{:03}", ms / 1000, ms % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_count_characters_and_leave_a_mark() {
        assert_eq!(head("あいう", 2, "..."), "あい...");
        assert_eq!(head("あいう", 3, "..."), "あいう");
        assert_eq!(tail("あいう", 2), "...いう");
        assert_eq!(tail("あいう", 3), "あいう");
    }

    #[test]
    fn what_commands_a_terminal_is_shown_and_not_obeyed() {
        assert_eq!(visible("件数: 6\n\tok"), "件数: 6\n\tok");
        assert_eq!(
            visible("evil # \rbash: good\u{1b}[2K\u{202e}x\u{9b}1m\u{7f}"),
            "evil # \\rbash: good\\u{1b}[2K\\u{202e}x\\u{9b}1m\\u{7f}"
        );
    }

    #[test]
    fn seconds_show_a_fraction_only_when_there_is_one() {
        assert_eq!((seconds(2000), seconds(1500)), ("2".into(), "1.500".into()));
    }
}
