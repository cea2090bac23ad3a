//! What a plain YAML word means, by the rules of YAML 1.1 that plans have always been read with:
//! `on` is a boolean, `010` is eight, `1:30` is ninety, `1e3` is text.

use std::sync::LazyLock;

use regex::Regex;

/// The meaning of a plain scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScalarValue<'a> {
    /// `~`, `null`, or nothing at all.
    Null,
    /// `yes`, `no`, `on`, `off`, `true`, `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer with more digits than a machine word holds.
    HugeInt,
    /// A floating-point number, possibly infinite.
    Float(f64),
    /// A date or a moment.
    Date,
    /// Anything else.
    Text(&'a str),
}

impl ScalarValue<'_> {
    /// Returns the word put before a value in a message, with a blank; empty for text.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Null => "nothing ",
            Self::Bool(_) => "the boolean ",
            Self::Int(_) | Self::HugeInt | Self::Float(_) => "the number ",
            Self::Date => "the date ",
            Self::Text(_) => "",
        }
    }
}

static FLOAT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?)$",
    )
    .ok()
});
static CLOCK: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$").ok());
static DATE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?)?$",
    )
    .ok()
});

/// Returns what the plain word `text` means.
pub fn parse_scalar(text: &str) -> ScalarValue<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return ScalarValue::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return ScalarValue::Bool(true);
        }
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return ScalarValue::Bool(false);
        }
        _ => {}
    }
    match text.as_bytes().first() {
        Some(b'-' | b'+' | b'.' | b'0'..=b'9') => number(text),
        _ => ScalarValue::Text(text),
    }
}

fn number(text: &str) -> ScalarValue<'_> {
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if let Some(found) = integer(digits, negative) {
        return found;
    }
    match digits {
        ".inf" | ".Inf" | ".INF" if negative => return ScalarValue::Float(f64::NEG_INFINITY),
        ".inf" | ".Inf" | ".INF" => return ScalarValue::Float(f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" if digits.len() == text.len() => {
            return ScalarValue::Float(f64::NAN);
        }
        _ => {}
    }
    if matches(&FLOAT, text) {
        return text
            .replace('_', "")
            .parse()
            .map_or(ScalarValue::Text(text), ScalarValue::Float);
    }
    if matches(&CLOCK, text) {
        return clock(digits, negative).unwrap_or(ScalarValue::Text(text));
    }
    if matches(&DATE, text) {
        return ScalarValue::Date;
    }
    ScalarValue::Text(text)
}

fn matches(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|regex| regex.is_match(text))
}

fn integer(digits: &str, negative: bool) -> Option<ScalarValue<'static>> {
    let (radix, body) = if let Some(rest) = digits.strip_prefix("0b") {
        (2, rest)
    } else if let Some(rest) = digits.strip_prefix("0x") {
        (16, rest)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (8, digits.get(1..)?)
    } else {
        (10, digits)
    };
    let starts_right = radix != 10 || body.starts_with(|c: char| c.is_ascii_digit());
    if body.is_empty() || !starts_right || !body.chars().all(|c| c == '_' || c.is_digit(radix)) {
        return None;
    }
    let clean: String = body.chars().filter(|c| *c != '_').collect();
    let Ok(value) = i64::from_str_radix(&clean, radix) else {
        return (!clean.is_empty()).then_some(ScalarValue::HugeInt);
    };
    Some(ScalarValue::Int(if negative { -value } else { value }))
}

/// Reads digits in base sixty; with a fraction the result is a float.
fn clock(digits: &str, negative: bool) -> Option<ScalarValue<'static>> {
    let mut total = 0.0_f64;
    for part in digits.replace('_', "").split(':') {
        total = total * 60.0 + part.parse::<f64>().ok()?;
    }
    let total = if negative { -total } else { total };
    if digits.contains('.') || total.abs() > 9e15 {
        return Some(ScalarValue::Float(total));
    }
    format!("{total:.0}").parse().ok().map(ScalarValue::Int)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_mean_what_yaml_1_1_says() {
        let table = [
            ("on", ScalarValue::Bool(true)),
            ("Off", ScalarValue::Bool(false)),
            ("y", ScalarValue::Text("y")),
            ("010", ScalarValue::Int(8)),
            ("0x1F", ScalarValue::Int(31)),
            ("0b11", ScalarValue::Int(3)),
            ("1:30", ScalarValue::Int(90)),
            ("1_000", ScalarValue::Int(1000)),
            ("1e3", ScalarValue::Text("1e3")),
            ("1.0e+3", ScalarValue::Float(1000.0)),
            ("1.5", ScalarValue::Float(1.5)),
            (".5", ScalarValue::Float(0.5)),
            ("-3", ScalarValue::Int(-3)),
            ("-", ScalarValue::Text("-")),
            (".", ScalarValue::Text(".")),
            ("089", ScalarValue::Text("089")),
            ("0", ScalarValue::Int(0)),
            ("2026-11-20", ScalarValue::Date),
            ("99999999999999999999999", ScalarValue::HugeInt),
            ("~", ScalarValue::Null),
            ("task-1", ScalarValue::Text("task-1")),
            ("1a", ScalarValue::Text("1a")),
        ];
        for (text, wanted) in table {
            assert_eq!(parse_scalar(text), wanted, "{text}");
        }
    }
}
