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
