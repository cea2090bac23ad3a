//! Reads JSON text more strictly than usual: byte order marks are accepted, a key given twice is a fault.
//!
//! Positions are found only when a fault has to be shown, by walking the text a second time.

use std::{cell::RefCell, fmt, path::Path};

use jsonc_parser::cst::CstInputValue;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

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
    let doubled = RefCell::new(Vec::new());
    let mut parser = serde_json::Deserializer::from_str(text);
    let seed = Strict {
        doubled: &doubled,
        at: &JsonPath::Top,
    };
    let value = seed
        .deserialize(&mut parser)
        .and_then(|value| parser.end().map(|()| value))
        .map_err(|fault| syntax(text, path, &fault))?;
    Ok(JsonDocument {
        value,
        doubled: doubled.into_inner(),
    })
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

/// The way from the top to a value, kept on the stack so that nothing is allocated while all is well.
enum JsonPath<'a> {
    Top,
    Key(&'a Self, &'a str),
    Index(&'a Self, usize),
}

impl JsonPath<'_> {
    fn segments(&self) -> Vec<PathSegment> {
        let (mut above, last) = match self {
            JsonPath::Top => return Vec::new(),
            JsonPath::Key(above, name) => (above.segments(), PathSegment::Key((*name).to_owned())),
            JsonPath::Index(above, at) => (above.segments(), PathSegment::Index(*at)),
        };
        above.push(last);
        above
    }
}

struct Strict<'a> {
    doubled: &'a RefCell<Vec<Vec<PathSegment>>>,
    at: &'a JsonPath<'a>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<Value, D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let at = JsonPath::Index(self.at, list.len());
            let seed = Strict {
                doubled: self.doubled,
                at: &at,
            };
            match items.next_element_seed(seed)? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let at = JsonPath::Key(self.at, &name);
            let value = entries.next_value_seed(Strict {
                doubled: self.doubled,
                at: &at,
            })?;
            if object.contains_key(&name) {
                let mut doubled = self
                    .doubled
                    .try_borrow_mut()
                    .map_err(|_| A::Error::custom("the list of doubled keys is in use"))?;
                doubled.push(at.segments());
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

/// Returns line and column of the value at `path`, from 1; of a member the place of its key.
pub(crate) fn locate(text: &str, path: &[PathSegment]) -> Option<(usize, usize)> {
    let mut scan = JsonScanner { text, at: 0 };
    let mut place = scan.skip_blanks();
    for segment in path {
        place = match segment {
            PathSegment::Key(name) => scan.enter_member(name)?,
            PathSegment::Index(at) => scan.enter_item(*at)?,
        };
    }
    Some(line_and_column(text, place))
}

/// Walks text that is known to be JSON.
struct JsonScanner<'a> {
    text: &'a str,
    at: usize,
}

impl JsonScanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) -> usize {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
        self.at
    }

    fn skip_text(&mut self) -> &str {
        let from = self.at;
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                break;
            }
        }
        self.text.get(from..self.at).unwrap_or_default()
    }

    fn skip_value(&mut self) {
        let mut depth = 0_usize;
        loop {
            self.skip_blanks();
            match self.peek() {
                Some(b'"') => drop(self.skip_text().len()),
                Some(b'{' | b'[') => (depth, self.at) = (depth + 1, self.at + 1),
                Some(b'}' | b']') => (depth, self.at) = (depth.saturating_sub(1), self.at + 1),
                Some(b',' | b':') if depth > 0 => self.at += 1,
                Some(b) if !b",:]}".contains(&b) => self.skip_bare(),
                _ => return,
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_bare(&mut self) {
        while self
            .peek()
            .is_some_and(|b| !b.is_ascii_whitespace() && !b",:]}".contains(&b))
        {
            self.at += 1;
        }
    }

    /// Steps to the value of the last member with this name and returns where its key stands.
    fn enter_member(&mut self, name: &str) -> Option<usize> {
        let mut found = None;
        self.open(b'{')?;
        while self.skip_blanks() > 0 && self.peek() == Some(b'"') {
            let key_at = self.at;
            let key: String = serde_json::from_str(self.skip_text()).ok()?;
            self.skip_blanks();
            self.at += 1;
            let value_at = self.skip_blanks();
            if key == name {
                found = Some((key_at, value_at));
            }
            self.skip_value();
            self.skip_comma();
        }
        let (key_at, value_at) = found?;
        self.at = value_at;
        Some(key_at)
    }

    fn enter_item(&mut self, wanted: usize) -> Option<usize> {
        self.open(b'[')?;
        for _ in 0..wanted {
            self.skip_value();
            self.skip_comma();
        }
        let place = self.skip_blanks();
        (self.peek()? != b']').then_some(place)
    }

    fn open(&mut self, bracket: u8) -> Option<()> {
        self.skip_blanks();
        (self.peek()? == bracket).then(|| self.at += 1)
    }

    fn skip_comma(&mut self) {
        self.skip_blanks();
        if self.peek() == Some(b',') {
            self.at += 1;
        }
    }
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
