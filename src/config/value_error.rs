//! One thing that is wrong with a value, and the words for it.

use serde_json::Value;

use crate::config::error::PathSegment;

/// One thing that is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError {
    /// Where inside the value.
    pub at: Vec<PathSegment>,
    /// What is wrong, and what is allowed.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl ValueError {
    /// Makes a fault of the value itself.
    pub fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            at: Vec::new(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    /// Moves the fault one level down.
    #[must_use]
    pub fn below(mut self, segment: PathSegment) -> Self {
        self.at.insert(0, segment);
        self
    }
}

/// Returns a value as short JSON for a message.
pub fn brief(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= LONGEST {
        return text;
    }
    let head: String = text.chars().take(LONGEST).collect();
    format!("{head}...")
}

/// Returns what is wrong with a regular expression, if anything. It is parsed, and compiled the way the
/// policy does only where that could fail: compiling is the dearest part of reading a configuration.
pub fn regex_error(pattern: &str) -> Option<ValueError> {
    if is_surely_small(pattern) && regex_syntax::parse(pattern).is_ok() {
        return None;
    }
    let fault = regex::RegexBuilder::new(pattern)
        .case_insensitive(true)
        .build()
        .err()?;
    let text = fault.to_string();
    let (reason, remedy) = if matches!(fault, regex::Error::CompiledTooBig(_)) {
        ("it grows too large", "repeat less, or match less exactly")
    } else {
        let last = text.lines().last().unwrap_or_default();
        let remedy =
            "correct it; brackets that mean themselves are written `\\\\(` and `\\\\[` in JSON";
        (last.trim_start_matches("error: "), remedy)
    };
    let problem = format!("the regular expression `{pattern}` does not compile: {reason}");
    Some(ValueError::new(problem, remedy))
}

/// Returns whether a pattern cannot grow too large when compiled: it is short and repeats nothing by count.
fn is_surely_small(pattern: &str) -> bool {
    const SHORT: usize = 128;
    pattern.len() <= SHORT && !pattern.contains('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest patterns that are accepted by their text alone.
    #[test]
    fn a_pattern_accepted_by_its_text_alone_compiles() {
        for piece in [
            r"\w", r"\W", r"\pL", r"\S", ".", "k", "[^あ]", r"(\w+)*", r"\b", "x|",
        ] {
            let pattern = piece.repeat(128 / piece.len());
            assert!(is_surely_small(&pattern));
            let compiled = regex::RegexBuilder::new(&pattern)
                .case_insensitive(true)
                .build();
            assert!(compiled.is_ok(), "{pattern}: {compiled:?}");
        }
    }
}
