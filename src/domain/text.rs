//! Making texts fit for people: cut by characters, with a mark, or to a size in bytes, and never inside a character; and without
//! anything that commands the terminal instead of being read.

use std::borrow::Cow;

/// Returns a number with the word for what it counts: `1 run`, `2 runs`, `2 processes`.
pub fn counted(count: u64, thing: &str) -> String {
    let ending = match count {
        1 => "",
        _ if thing.ends_with('s') => "es",
        _ => "s",
    };
    format!("{count} {thing}{ending}")
}

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

/// Returns the line and the column of a byte, counted from 1, the column in characters.
pub fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let last = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, last.chars().count() + 1)
}

/// Returns the first place from byte `at` on where a character begins, or the end.
pub fn char_from(text: &str, at: usize) -> usize {
    (at..text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(text.len())
}

/// Returns the beginning of a text: `most` bytes, or a little less where that would cut a character.
pub fn first_bytes(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Returns the end of a text: `most` bytes, or a little less where that would cut a character.
pub fn last_bytes(text: &str, most: usize) -> &str {
    let from = char_from(text, text.len().saturating_sub(most));
    text.get(from..).unwrap_or_default()
}

/// Returns text in which nothing moves the cursor, changes colours or turns the direction of reading: such characters are
/// written as escapes. Ends of lines and tabs stay.
pub fn escape_control_chars(text: &str) -> Cow<'_, str> {
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

/// The same for what has to stay on one line and be seen whole, such as a name: ends of lines, tabs and characters without
/// a width are written as escapes too.
pub fn one_line(text: &str) -> Cow<'_, str> {
    let hides = |c: char| commands(c) || matches!(c, '\n' | '\t') || is_unseen(c);
    if !text.contains(hides) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if hides(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Returns JSON in which such characters are escaped, which is the same document.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    let hides = |c: char| c != '\n' && (commands(c) || is_unseen(c));
    if !json.contains(hides) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if hides(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.extend(["\\u", &hex(*unit)]);
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn hex(unit: u16) -> String {
    format!("{unit:04x}")
}

/// Returns whether a character takes no room, so that two texts look the same.
const fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Returns whether a text holds characters that turn or hide what is read, or end a line; the first of them.
pub fn first_deceptive_char(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.find(|c| commands(*c) || matches!(c, '\n' | '\t') || is_unseen(*c))
}

/// Returns whether a character commands the terminal or the direction of reading.
fn commands(c: char) -> bool {
    let bidi =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let separator = matches!(c, '\u{2028}' | '\u{2029}');
    bidi || separator || c.is_control() && !matches!(c, '\n' | '\t')
}

/// Returns milliseconds as seconds, without a fraction where there is none.
pub fn format_ms_as_seconds(ms: u64) -> String {
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
    fn one_thing_is_not_counted_as_many() {
        let said = [
            (0, "run"),
            (1, "run"),
            (2, "run"),
            (1, "process"),
            (3, "process"),
        ];
        let said = said.map(|(count, thing)| counted(count, thing));
        assert_eq!(
            said,
            ["0 runs", "1 run", "2 runs", "1 process", "3 processes"]
        );
    }

    #[test]
    fn cuts_count_characters_and_leave_a_mark() {
        assert_eq!(head("あいう", 2, "..."), "あい...");
        assert_eq!(head("あいう", 3, "..."), "あいう");
        assert_eq!(tail("あいう", 2), "...いう");
        assert_eq!(tail("あいう", 3), "あいう");
    }

    #[test]
    fn a_place_is_told_by_line_and_characters() {
        assert_eq!(line_and_column("é\néa", 0), (1, 1));
        assert_eq!(line_and_column("é\néa", 2), (1, 2));
        assert_eq!(line_and_column("é\néa", 5), (2, 2));
        assert_eq!(line_and_column("a\nb", 9), (2, 2), "behind the end");
    }

    #[test]
    fn cuts_to_a_size_keep_characters_whole() {
        assert_eq!(first_bytes("aéé", 2), "a");
        assert_eq!(first_bytes("aéé", 3), "aé");
        assert_eq!(first_bytes("é", 1), "");
        assert_eq!(first_bytes("é", 9), "é");
        assert_eq!(last_bytes("éab", 3), "ab");
        assert_eq!(last_bytes("éab", 4), "éab");
        assert_eq!(last_bytes("éab", 9), "éab");
        assert_eq!(last_bytes("é", 0), "");
        assert_eq!(char_from("aé", 2), 3);
        assert_eq!(char_from("aé", 1), 1);
        assert_eq!(char_from("aé", 9), 3);
    }

    #[test]
    fn what_commands_a_terminal_is_shown_and_not_obeyed() {
        assert_eq!(escape_control_chars("件数: 6\n\tok"), "件数: 6\n\tok");
        assert_eq!(
            escape_control_chars("evil # \rbash: good\u{1b}[2K\u{202e}x\u{9b}1m\u{7f}"),
            "evil # \\rbash: good\\u{1b}[2K\\u{202e}x\\u{9b}1m\\u{7f}"
        );
    }

    #[test]
    fn a_name_is_one_line_and_hides_nothing() {
        assert_eq!(one_line("a/件.py"), "a/件.py");
        assert_eq!(
            one_line("a\nclean: 0\u{202e}\u{200b}\t\u{1b}"),
            "a\\nclean: 0\\u{202e}\\u{200b}\\t\\u{1b}"
        );
        assert_eq!(first_deceptive_char("-rf é"), None);
        assert_eq!(first_deceptive_char("a\u{2066}b\n"), Some('\u{2066}'));
    }

    #[test]
    fn a_document_stays_what_it_is_when_it_is_made_visible() {
        let value = serde_json::json!({ "path": "a\u{202e}b\u{e0041}\u{9b}", "n": [1, "é"] });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let shown = visible_json(&text);
        assert!(shown.contains("a\\u202eb\\udb40\\udc41\\u009b"), "{shown}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            value
        );
        assert!(matches!(visible_json("{\n}"), Cow::Borrowed(_)));
    }

    #[test]
    fn seconds_show_a_fraction_only_when_there_is_one() {
        assert_eq!(
            (format_ms_as_seconds(2000), format_ms_as_seconds(1500)),
            ("2".into(), "1.500".into())
        );
    }
}
