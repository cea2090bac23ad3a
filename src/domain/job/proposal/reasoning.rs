//! Recognises the marks that models and servers put around reasoning.

/// Names of tags that enclose reasoning; a prefix with a colon (`seed:think`) is allowed.
const TAGS: [&str; 10] = [
    "think",
    "thinking",
    "thought",
    "thoughts",
    "reasoning",
    "reflection",
    "analysis",
    "scratchpad",
    "inner_monologue",
    "antthinking",
];

/// Marks that are no tags, each with the one that ends it; in lower case.
const PAIRS: [(&str, &str); 6] = [
    ("[think]", "[/think]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|start_thinking|>", "<|end_thinking|>"),
    ("<|channel|>analysis", "<|channel|>final<|message|>"),
    ("<|channel|>commentary", "<|channel|>final<|message|>"),
];

/// A mark of reasoning.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReasoningMark {
    /// Reasoning begins.
    Open {
        /// Where the text after it begins; `None` when it does not end.
        end: Option<usize>,
    },
    /// Reasoning ends whose beginning is not in the text.
    Close {
        /// Where the text after it begins.
        end: usize,
    },
}

/// Returns the mark that stands at `at` in a text in lower case.
pub(super) fn mark_at(lower: &str, at: usize) -> Option<ReasoningMark> {
    let tail = lower.get(at..)?;
    if !tail.starts_with(['<', '[', '◁']) {
        return None;
    }
    for (open, close) in PAIRS {
        if tail.starts_with(open) {
            let end = tail.find(close).map(|found| at + found + close.len());
            return Some(ReasoningMark::Open { end });
        }
        if tail.starts_with(close) {
            return Some(ReasoningMark::Close {
                end: at + close.len(),
            });
        }
    }
    tag_at(tail, at)
}

fn tag_at(tail: &str, at: usize) -> Option<ReasoningMark> {
    let inside = tail.strip_prefix('<')?;
    let (closes, inside) = match inside.strip_prefix('/') {
        Some(inside) => (true, inside),
        None => (false, inside),
    };
    let end_of_name =
        inside.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-')))?;
    let (name, rest) = inside.split_at(end_of_name);
    let plain = name.rsplit(':').next().unwrap_or(name);
    if !TAGS.contains(&plain) || !rest.starts_with(['>', ' ', '\t', '\n', '\r']) {
        return None;
    }
    let length = tail.len() - rest.len() + rest.find('>')? + 1;
    if closes {
        return Some(ReasoningMark::Close { end: at + length });
    }
    let close = format!("</{name}");
    let end = tail.find(&close).and_then(|found| {
        let after = found + close.len();
        Some(at + after + tail.get(after..)?.find('>')? + 1)
    });
    Some(ReasoningMark::Open { end })
}

/// Returns where the text after a lone closing mark begins, for reasoning whose opening mark is missing.
///
/// A mark inside a string does not count: it may be part of a command of the answer.
pub(super) fn closed_after(lower: &str, from: usize) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in lower.bytes().enumerate().skip(from) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            // A string of JSON ends with its line at the latest.
            b'\n' => quoted = false,
            _ if quoted => {}
            // `◁` begins with this byte.
            b'<' | b'[' | 0xE2 => match mark_at(lower, at) {
                Some(ReasoningMark::Close { end }) => return Some(end),
                Some(ReasoningMark::Open { .. }) => return None,
                None => {}
            },
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what the mark at the first `@` encloses up to, as the text behind it.
    fn after(marked: &str) -> Option<(bool, Option<String>)> {
        let at = marked.find('@').unwrap();
        let text = marked.replacen('@', "", 1);
        let rest = |end: usize| text[end..].to_owned();
        Some(match mark_at(&text, at)? {
            ReasoningMark::Open { end } => (true, end.map(rest)),
            ReasoningMark::Close { end } => (false, Some(rest(end))),
        })
    }

    fn opens(rest: &str) -> (bool, Option<String>) {
        (true, Some(rest.to_owned()))
    }

    fn closes(rest: &str) -> (bool, Option<String>) {
        (false, Some(rest.to_owned()))
    }

    #[test]
    fn reasoning_ends_right_behind_the_mark_that_closes_it() {
        for (marked, wanted) in [
            ("so @<think>a</think>{1}", Some(opens("{1}"))),
            ("so @<think>a</think >{1}", Some(opens("{1}"))),
            (
                "ä @<seed:think why=\"x\">a</seed:think>{1}",
                Some(opens("{1}")),
            ),
            ("@<thinking\n>a</thinking>", Some(opens(""))),
            ("so @[think]a[/think]{1}", Some(opens("{1}"))),
            ("ä @◁think▷a◁/think▷{1}", Some(opens("{1}"))),
            (
                "a @<|channel|>analysis b <|channel|>final<|message|>{1}",
                Some(opens("{1}")),
            ),
            ("a @<think>never", Some((true, None))),
            ("a @[think]never", Some((true, None))),
            ("a @<think>b</think", Some((true, None))),
            ("so@</think>{1}", Some(closes("{1}"))),
            ("so@</seed:think >{1}", Some(closes("{1}"))),
            ("so@[/think]{1}", Some(closes("{1}"))),
            ("ä@◁/think▷{1}", Some(closes("{1}"))),
        ] {
            assert_eq!(after(marked), wanted, "{marked}");
        }
    }

    #[test]
    fn what_only_looks_like_a_mark_is_none() {
        for marked in [
            "@<thinker>a</thinker>",
            "@<think",
            "@<think/>",
            "@<b>a</b>",
            "@[thin]",
            "@think>",
            "a @< think>",
        ] {
            assert_eq!(after(marked), None, "{marked}");
        }
    }

    #[test]
    fn a_lone_closing_mark_is_found_outside_strings_only() {
        let from = |text: &str| closed_after(text, 0).map(|end| text[end..].to_owned());
        let answer = Some("{}".to_owned());
        assert_eq!(from("{ half a </think>{}"), answer);
        assert_eq!(from("{ \"a\": [1, 2</think>{}"), answer);
        assert_eq!(from("{ \"echo </think>\" "), None);
        assert_eq!(from("{ \"a \\\" </think>\" "), None, "an escaped quote");
        assert_eq!(
            from("{ \"a \\\\\" </think>{}"),
            answer,
            "an escaped backslash"
        );
        assert_eq!(
            from("{ \"a\n</think>{}"),
            answer,
            "a string ends with its line"
        );
        assert_eq!(from("{ a \\\" </think>{}\""), None);
        assert_eq!(from("{ <think> </think>{}"), None, "it was opened");
        assert_eq!(from("ä ◁/think▷{}"), answer);
        assert_eq!(closed_after("</think>{}", 1), None);
    }
}
