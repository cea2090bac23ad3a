//! Reads JSON text more strictly than usual: byte order marks are accepted, a key given twice is a fault.
//!
//! `serde_json` says what a text means and what is wrong with it; `jsonc_parser`, which keeps places and all keys, says the rest.

use std::{collections::BTreeSet, path::Path};

use jsonc_parser::{
    CollectOptions, ParseOptions, ast::Value as Node, common::Ranged as _, cst::CstInputValue,
    parse_to_ast,
};
use serde_json::Value;

use crate::{
    config::error::{Error, PathSegment},
    domain::text::line_and_column,
};

/// Returns a value in the form in which it is put into a text that is edited and not written anew.
pub(crate) fn as_input(value: Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(value),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text),
        Value::Array(items) => CstInputValue::Array(items.into_iter().map(as_input).collect()),
        Value::Object(pairs) => CstInputValue::Object(
            pairs
                .into_iter()
                .map(|(name, value)| (name, as_input(value)))
                .collect(),
        ),
    }
}

/// A parsed document and the paths of keys that were given twice.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonDocument {
    /// The value; of a doubled key the last one.
    pub(crate) value: Value,
    /// Paths of keys that stand twice in one object.
    pub(crate) doubled: Vec<Vec<PathSegment>>,
}

/// Turns the bytes of a file into text: UTF-8 with or without a byte order mark, UTF-16 with one.
pub(crate) fn decode(bytes: &[u8], path: &Path) -> Result<String, Error> {
    let bad = |good: &[u8]| Error::Encoding {
        path: path.into(),
        line: good.split(|byte| *byte == b'\n').count(),
    };
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes
            .chunks(2)
            .map(|pair| unit([pair[0], *pair.get(1).unwrap_or(&0xD8)]))
            .collect();
        String::from_utf16(&units).map_err(|_| bad(b""))
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => {
            let rest = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
            let text = std::str::from_utf8(rest)
                .map_err(|e| bad(rest.get(..e.valid_up_to()).unwrap_or(rest)))?;
            Ok(text.to_owned())
        }
    }
}

/// Parses one JSON document.
pub(crate) fn parse(text: &str, path: &Path) -> Result<JsonDocument, Error> {
    let value = serde_json::from_str(text).map_err(|fault| syntax(text, path, &fault))?;
    let mut doubled = Vec::new();
    if let Some(top) = syntax_tree(text) {
        note_doubled(&top, &mut Vec::new(), &mut doubled);
    }
    Ok(JsonDocument { value, doubled })
}

/// Returns the values of a text that is known to be JSON, with their places.
fn syntax_tree(text: &str) -> Option<Node<'_>> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default());
    parsed.ok()?.value
}

fn note_doubled(node: &Node<'_>, path: &mut Vec<PathSegment>, doubled: &mut Vec<Vec<PathSegment>>) {
    match node {
        Node::Object(object) => {
            let mut names = BTreeSet::new();
            for property in &object.properties {
                let name = property.name.as_str();
                path.push(PathSegment::Key(name.to_owned()));
                note_doubled(&property.value, path, doubled);
                if !names.insert(name) {
                    doubled.push(path.clone());
                }
                path.pop();
            }
        }
        Node::Array(array) => {
            for (at, item) in array.elements.iter().enumerate() {
                path.push(PathSegment::Index(at));
                note_doubled(item, path, doubled);
                path.pop();
            }
        }
        _ => {}
    }
}

fn syntax(text: &str, path: &Path, fault: &serde_json::Error) -> Error {
    let full = fault.to_string();
    let reason = full.split(" at line ").next().unwrap_or(&full);
    let hint = match reason {
        "trailing comma" => "; remove the comma before the closing bracket",
        "key must be a string" => "; write keys in double quotes, and no comments",
        "expected value" => "; JSON knows no comments and no single quotes",
        _ if text.trim().is_empty() => "; the file is empty, `{}` is the least",
        _ if reason.contains("control character") => "; write a line break inside a text as \\n",
        _ if reason.contains("invalid escape") => "; write a backslash inside a text as \\\\",
        _ if reason.starts_with("EOF") => "; a closing bracket or quote is missing",
        _ => "",
    };
    Error::Syntax {
        path: path.into(),
        line: fault.line().max(1),
        column: fault.column().max(1),
        reason: format!("{reason}{hint}"),
    }
}

/// Returns line and column of the value at `path`, from 1; of a member the place of its key. Of a doubled key the last one counts.
pub(crate) fn locate(text: &str, path: &[PathSegment]) -> Option<(usize, usize)> {
    let top = syntax_tree(text)?;
    let (mut place, mut node) = (top.range().start, &top);
    for segment in path {
        (place, node) = match (segment, node) {
            (PathSegment::Key(name), Node::Object(object)) => {
                let mut own = object.properties.iter().rev();
                let member = own.find(|member| member.name.as_str() == name)?;
                (member.range.start, &member.value)
            }
            (PathSegment::Index(at), Node::Array(array)) => {
                let item = array.elements.get(*at)?;
                (item.range().start, item)
            }
            _ => return None,
        };
    }
    Some(line_and_column(text, place))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::error::json_path;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[ -~あ\"\\\\{}\\[\\],:]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-c\".]{0,3}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// Returns every path into a value together with what stands there.
    fn paths(value: &Value) -> Vec<(Vec<PathSegment>, &Value)> {
        let children: Vec<(PathSegment, &Value)> = match value {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(at, v)| (PathSegment::Index(at), v))
                .collect(),
            Value::Object(object) => object
                .iter()
                .map(|(k, v)| (PathSegment::Key(k.clone()), v))
                .collect(),
            _ => Vec::new(),
        };
        let below = children.into_iter().flat_map(|(segment, child)| {
            paths(child).into_iter().map(move |(mut path, found)| {
                path.insert(0, segment.clone());
                (path, found)
            })
        });
        std::iter::once((Vec::new(), value)).chain(below).collect()
    }

    /// Returns the text from a place on.
    fn from(text: &str, (line, column): (usize, usize)) -> String {
        let lines: Vec<&str> = text.split('\n').skip(line - 1).collect();
        lines.join("\n").chars().skip(column - 1).collect()
    }

    proptest! {
        #[test]
        fn every_value_is_found_where_it_stands(value in any_json(), pretty in any::<bool>()) {
            let text = if pretty {
                serde_json::to_string_pretty(&value).unwrap()
            } else {
                value.to_string()
            };
            for (path, wanted) in paths(&value) {
                let place = locate(&text, &path);
                prop_assert!(place.is_some(), "{} in {}", json_path(&path), text);
                let mut rest = from(&text, place.unwrap());
                if let Some(PathSegment::Key(name)) = path.last() {
                    let key = serde_json::to_string(name).unwrap();
                    prop_assert!(rest.starts_with(&key), "{rest}");
                    rest = rest[key.len()..].trim_start_matches([':', ' ']).to_owned();
                }
                let found = serde_json::Deserializer::from_str(&rest).into_iter::<Value>().next();
                prop_assert_eq!(&found.unwrap().unwrap(), wanted);
            }
        }

        #[test]
        fn parsing_agrees_with_the_plain_parser(value in any_json()) {
            let document = parse(&value.to_string(), Path::new("x")).unwrap();
            prop_assert_eq!(document.value, value);
            prop_assert_eq!(document.doubled, Vec::<Vec<PathSegment>>::new());
        }

        #[test]
        fn no_bytes_and_no_path_make_it_panic(bytes in any::<Vec<u8>>(), path in "[ -~]{0,20}", at in 0_usize..3) {
            if let Ok(text) = decode(&bytes, Path::new("x")) {
                drop(parse(&text, Path::new("x")));
                let found = locate(&text, &[PathSegment::Key(path.clone()), PathSegment::Index(at)]);
                prop_assert!(found.is_none_or(|place| place.0 > 0));
            }
            let found = locate(&path, &[PathSegment::Index(at), PathSegment::Key("a".into())]);
            prop_assert!(found.is_none_or(|place| place.0 == 1));
        }
    }

    #[test]
    fn a_doubled_key_is_found_wherever_it_stands() {
        let document = parse(
            r#"{"a": [{"b": 1, "b": {"c": 1, "c": 2}}]}"#,
            Path::new("x"),
        )
        .unwrap();
        let doubled: Vec<String> = document
            .doubled
            .iter()
            .map(|path| json_path(path))
            .collect();
        assert_eq!(doubled, ["a[0].b.c", "a[0].b"]);
    }
}
