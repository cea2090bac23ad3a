//! Finds the one JSON object that is the answer in a model's reply.
//!
//! What is found here runs, so a doubt is never decided: it is returned as a reason, and the model is
//! asked again.
//!
//! * Reasoning comes off first: what a tag such as `<think>` encloses, and everything before a closing
//!   tag whose opening one the server left out.
//! * An object counts only at the top level of the text: not inside an array, not inside another object,
//!   and above all not inside one that is broken or cut off.
//! * Two objects that fit and differ are a contradiction; the same key twice in one object is another.

use serde_json::{Map, Value};

use super::{UnusableReply, reasoning, strict::StrictJson, unusable};
use crate::domain::text::line_and_column;

/// Openings looked at before the search gives up; keeps hostile replies from costing minutes.
const MAX_OPENINGS: usize = 4096;
/// How far the closing brace of something that is not JSON may lie from its opening one.
const MAX_PROSE: usize = 16 * 1024;

/// Returns the object with `field`, or why there is no single one.
pub(super) fn object(text: &str, field: &str) -> Result<Map<String, Value>, UnusableReply> {
    ObjectSearch {
        text,
        lower: text.to_ascii_lowercase(),
        field,
        found: ReplyObjects::default(),
    }
    .run()
}

/// What stands outside the reasoning, as far as the text was read.
#[derive(Default)]
struct ReplyObjects {
    /// The object that fits, and its line.
    answer: Option<(Map<String, Value>, usize)>,
    /// Whether there was an object that does not fit.
    other: bool,
    /// The line of a value that holds the field further inside.
    nested: Option<usize>,
    /// The line of a brace or bracket that opens no JSON and whose end is not clear.
    unclosed: Option<usize>,
}

struct ObjectSearch<'a> {
    text: &'a str,
    /// The same text for the marks of reasoning, which come in any case.
    lower: String,
    field: &'a str,
    found: ReplyObjects,
}

impl ObjectSearch<'_> {
    fn run(mut self) -> Result<Map<String, Value>, UnusableReply> {
        let mut at = 0;
        for _ in 0..MAX_OPENINGS {
            let Some(next) = next_opening(self.text, at) else {
                return self.finish();
            };
            at = match reasoning::mark_at(&self.lower, next) {
                Some(reasoning::ReasoningMark::Open { end }) => end.ok_or_else(|| {
                    let line = line_of(self.text, next);
                    unusable(format!(
                        "the reply ends inside the reasoning that opens on line {line}"
                    ))
                })?,
                Some(reasoning::ReasoningMark::Close { end }) => {
                    self.found = ReplyObjects::default();
                    end
                }
                None => self.opening(next)?,
            };
        }
        Err(unusable(format!(
            "the reply has more than {MAX_OPENINGS} braces and brackets outside its JSON object"
        )))
    }

    /// Reads what opens at `open`; returns where to go on.
    fn opening(&mut self, open: usize) -> Result<usize, UnusableReply> {
        if !is_bracket(self.text, open) {
            return Ok(open + 1);
        }
        match value_at(self.text, open) {
            Ok((Value::Object(object), end)) => {
                self.take(object, line_of(self.text, open))?;
                Ok(end)
            }
            Ok((value, end)) => {
                self.look_inside(&value, open);
                Ok(end)
            }
            Err(error) => self.no_json(open, &error),
        }
    }

    fn take(&mut self, object: Map<String, Value>, line: usize) -> Result<(), UnusableReply> {
        let field = self.field;
        if !object.contains_key(field) {
            self.found.other = true;
            self.look_inside(&Value::Object(object), self.text.len());
            return Ok(());
        }
        if let Some(bracket) = self.found.unclosed {
            return Err(unusable(format!(
                "the brace or bracket on line {bracket} is not closed, so the JSON object on line {line} may belong to something larger; answer with that object alone"
            )));
        }
        match &self.found.answer {
            Some((first, before)) if *first != object => Err(unusable(format!(
                "the reply holds two different JSON objects with `{field}` (lines {before} and {line}); answer with the one that counts"
            ))),
            Some(_) => Ok(()),
            None => {
                self.found.answer = Some((object, line));
                Ok(())
            }
        }
    }

    /// Notes that the field exists, but not at the top level.
    fn look_inside(&mut self, value: &Value, open: usize) {
        if self.found.nested.is_none() && holds(value, self.field) {
            self.found.nested = Some(line_of(self.text, open));
        }
    }

    /// Handles a bracket that opens no valid JSON: broken JSON ends the search, prose is passed over.
    fn no_json(&mut self, open: usize, error: &serde_json::Error) -> Result<usize, UnusableReply> {
        let tail = self.text.get(open..).unwrap_or_default();
        if is_meant_as_json(tail, error) {
            // Reasoning whose opening tag the server kept to itself may contain half an object.
            if let Some(end) = reasoning::closed_after(&self.lower, open) {
                self.found = ReplyObjects::default();
                return Ok(end);
            }
            return Err(unusable(describe(self.text, open, error)));
        }
        if let Some(length) = extent(tail) {
            return Ok(open + length);
        }
        let line = line_of(self.text, open);
        self.found.unclosed.get_or_insert(line);
        Ok(open + 1)
    }

    fn finish(self) -> Result<Map<String, Value>, UnusableReply> {
        let field = self.field;
        let reason = match self.found {
            ReplyObjects {
                answer: Some((object, _)),
                ..
            } => return Ok(object),
            ReplyObjects {
                nested: Some(_), ..
            } => format!(
                "`{field}` stands inside another object or an array; the reply must be one object with `{field}` at its top level"
            ),
            ReplyObjects { other: true, .. } => {
                format!("`$.{field}` is missing in the JSON object of the reply")
            }
            _ if self.text.trim().is_empty() => "the reply is empty".to_owned(),
            _ => format!("the reply holds no JSON object; expected one with `{field}`"),
        };
        Err(unusable(reason))
    }
}

fn next_opening(text: &str, from: usize) -> Option<usize> {
    let found = text.get(from..)?.find(['{', '[', '<', '◁'])?;
    Some(from + found)
}

fn is_bracket(text: &str, at: usize) -> bool {
    matches!(text.as_bytes().get(at), Some(b'{' | b'['))
}

fn line_of(text: &str, at: usize) -> usize {
    line_and_column(text, at).0
}

fn holds(value: &Value, field: &str) -> bool {
    match value {
        Value::Object(object) => {
            object.contains_key(field) || object.values().any(|value| holds(value, field))
        }
        Value::Array(items) => items.iter().any(|value| holds(value, field)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Parses the value that opens at `open`; returns it with the position after it.
fn value_at(text: &str, open: usize) -> Result<(Value, usize), serde_json::Error> {
    let tail = text.get(open..).unwrap_or_default();
    let mut values = serde_json::Deserializer::from_str(tail).into_iter::<StrictJson>();
    let value = values.next().unwrap_or(Ok(StrictJson(Value::Null)))?;
    Ok((value.0, open + values.byte_offset().max(1)))
}

/// Tells broken JSON from braces and brackets of prose and program text.
fn is_meant_as_json(tail: &str, error: &serde_json::Error) -> bool {
    let inside = tail.get(1..).unwrap_or_default().trim_start();
    let comment = ["//", "/*", "#"]
        .iter()
        .any(|mark| inside.starts_with(mark));
    if tail.starts_with('[') {
        let object = inside.starts_with('{') || error.is_eof() || comment;
        return object && tail.contains('{');
    }
    comment || inside.starts_with(['"', '\'', '“', '{', '[']) || begins_with_a_key(inside)
}

/// Recognises the bare keys of JavaScript: a word and a colon.
fn begins_with_a_key(inside: &str) -> bool {
    let rest =
        inside.trim_start_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '-'));
    rest.len() < inside.len() && rest.trim_start().starts_with(':')
}

/// Returns the length of a bracketed text that is not JSON, where both ways to read its quotes agree.
fn extent(tail: &str) -> Option<usize> {
    let with_strings = closing(tail, true)?;
    (closing(tail, false)? == with_strings).then_some(with_strings)
}

/// Returns the length up to the bracket that closes the first one.
fn closing(tail: &str, strings: bool) -> Option<usize> {
    let mut depth = 0_usize;
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in tail.bytes().enumerate().take(MAX_PROSE) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if strings => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Says in words what is wrong with the JSON that opens at `open`.
fn describe(text: &str, open: usize, error: &serde_json::Error) -> String {
    let line = line_of(text, open);
    let what = if text.as_bytes().get(open) == Some(&b'[') {
        "array"
    } else {
        "object"
    };
    if error.is_eof() {
        return format!("the reply ends inside the JSON {what} that opens on line {line}");
    }
    let tail = text.get(open..).unwrap_or_default();
    let place = line + error.line().saturating_sub(1);
    let extra = if error.to_string().starts_with("trailing comma") {
        Some("a trailing comma")
    } else {
        is_comment(tail, error).then_some("a comment")
    };
    match extra {
        Some(extra) => format!(
            "the JSON {what} that opens on line {line} has {extra} on line {place}; JSON allows none"
        ),
        None => format!(
            "the JSON {what} that opens on line {line} is not valid: {error}, counted from its brace"
        ),
    }
}

/// Whether the parser stopped at a comment.
fn is_comment(tail: &str, error: &serde_json::Error) -> bool {
    let line = tail.split('\n').nth(error.line().saturating_sub(1));
    let rest = line.and_then(|line| line.get(error.column().saturating_sub(1)..));
    rest.is_some_and(|rest| ["//", "/*", "#"].iter().any(|mark| rest.starts_with(mark)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_json(tail: &str) -> bool {
        let error = value_at(tail, 0).expect_err("it is broken");
        is_meant_as_json(tail, &error)
    }

    #[test]
    fn broken_json_is_told_from_braces_of_prose() {
        for tail in [
            "{\"a\": }",
            "{'a': 1}",
            "{“a”: 1}",
            "{{\"a\": 1}",
            "{[1",
            "{ // first\n",
            "{ # first\n",
            "{a: 1}",
            "{ a_1$-b : 1}",
            "[{\"a\": }",
            "[ {a",
            "[1, {\"a\"",
            "[ # {",
        ] {
            assert!(is_json(tail), "{tail}");
        }
        for tail in ["{a}", "{: 1}", "{ }a", "{a b: c}", "[a]", "[1, 2", "[ # a"] {
            if value_at(tail, 0).is_err() {
                assert!(!is_json(tail), "{tail}");
            }
        }
    }

    #[test]
    fn braces_of_prose_are_passed_over_where_their_end_is_beyond_doubt() {
        for (tail, length) in [
            ("{a} b", Some(3)),
            ("{a {b} [c]} d", Some(11)),
            ("{a \"b\" c} d", Some(9)),
            // A brace in quotes: with strings it is none, without it is one.
            ("{a \"}\" b} c", None),
            ("{a \"\\\"\" b} c", Some(10)),
            ("{a \"\\\\\" b} c", Some(10)),
            ("{a", None),
            ("{a [b} c", None),
            // Outside quotes a backslash is only a sign.
            ("{a \\} b", Some(5)),
        ] {
            assert_eq!(extent(tail), length, "{tail}");
        }
    }

    #[test]
    fn one_answer_counts_and_what_else_stands_there_is_told() {
        let read =
            |text: &str| object(text, "x").map_err(|error| error.to_string().replace('`', "'"));
        let wrong = |text: &str| read(text).unwrap_err();
        assert_eq!(read("a {\"x\": 1} b").unwrap()["x"], 1);
        assert_eq!(read("a < b <c> {\"x\": 1}").unwrap()["x"], 1);
        assert_eq!(
            read("{\"x\": 1}\n{\"x\": 1}").unwrap()["x"],
            1,
            "said twice"
        );
        let two = wrong("{\"x\": 1}\n{\"x\": 2}");
        assert!(two.contains("two different JSON objects"), "{two}");
        assert!(two.contains("(lines 1 and 2)"), "{two}");
        for nested in ["[{\"x\": 1}]", "{\"a\": {\"x\": 1}}"] {
            let nested = wrong(nested);
            assert!(nested.contains("stands inside another object"), "{nested}");
        }
        let other = wrong("{\"a\": 1}");
        assert!(other.contains("is missing in the JSON object"), "{other}");
        let open = wrong("a {b\n{\"x\": 1}");
        assert!(open.contains("bracket on line 1 is not closed"), "{open}");
    }

    #[test]
    fn a_field_is_found_however_deep_it_lies() {
        let holds = |text: &str| holds(&serde_json::from_str(text).unwrap(), "x");
        assert!(holds(r#"{"x": 1}"#));
        assert!(holds(r#"{"a": {"x": 1}}"#));
        assert!(holds(r#"[1, {"a": [{"x": 1}]}]"#));
        assert!(!holds(r#"{"a": "x"}"#));
        assert!(!holds(r#"["x"]"#));
    }

    #[test]
    fn what_is_wrong_with_json_is_told_with_its_line() {
        let told = |text: &str| {
            let open = text.find(['{', '[']).unwrap();
            let error = value_at(text, open).expect_err("it is broken");
            describe(text, open, &error)
        };
        assert_eq!(
            told("a\n{\"a\": 1,\n}"),
            "the JSON object that opens on line 2 has a trailing comma on line 3; JSON allows none"
        );
        assert_eq!(
            told("\n\n{\n// why\n\"a\": 1}"),
            "the JSON object that opens on line 3 has a comment on line 4; JSON allows none"
        );
        assert_eq!(
            told("[1, 2"),
            "the reply ends inside the JSON array that opens on line 1"
        );
        assert!(
            told("{\"a\" 1}").starts_with("the JSON object that opens on line 1 is not valid: "),
        );
    }
}
