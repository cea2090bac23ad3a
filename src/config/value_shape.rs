//! What values a key takes: the check of one value, its name in messages, its JSON Schema.
//!
//! A check reports everything that is wrong with a value, not only the first thing. Paths are judged by
//! `paths`, because that needs the disk; everything else here is pure.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    config::{
        done_checks,
        error::PathSegment,
        paths,
        value_error::{ValueError, brief, regex_error},
    },
    domain::{command::CommandKind, policy::PolicyRule, provider::Provider},
};

/// The kinds of value a key takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueShape {
    /// `true` or `false`.
    Bool,
    /// A whole number in a range.
    Integer {
        /// The smallest allowed.
        least: u64,
        /// The largest allowed.
        most: u64,
    },
    /// A number from zero up.
    Number {
        /// Whether zero itself is refused.
        above_zero: bool,
        /// The largest allowed.
        most: f64,
    },
    /// Any text.
    Text,
    /// A text that is not blank.
    Word,
    /// A prompt template: a text that is not blank.
    Template,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of texts that are not empty.
    Texts {
        /// How many there must be.
        least: usize,
    },
    /// A list of kinds of command.
    Kinds,
    /// A list of regular expressions.
    Patterns,
    /// A list of names of environment variables.
    Names,
    /// A path below the root.
    Inside,
    /// A path below the root, or the empty text for none.
    InsideOrEmpty,
    /// An `http` or `https` address.
    Url,
    /// The checks of a done condition.
    Checks,
    /// The rules of the policy; their examples are judged by the policy itself.
    Rules,
}

impl ValueShape {
    /// Returns everything that is wrong with a value of this shape.
    pub fn check(self, value: &Value, root: &Path, example: &str) -> Vec<ValueError> {
        let remedy = || self.suggestion(value, example);
        let wrong = || {
            let problem = format!("expected {}, found {}", self.describe(), brief(value));
            vec![ValueError::new(problem, remedy())]
        };
        match self {
            Self::Texts { .. } | Self::Kinds | Self::Patterns | Self::Names => {
                self.check_list(value, &wrong)
            }
            Self::Inside | Self::InsideOrEmpty => self.check_path(value, root, &wrong),
            Self::Checks => done_checks::parse(value, root).err().unwrap_or_default(),
            Self::Rules => value
                .as_array()
                .map_or_else(wrong, |rules| rule_faults(rules)),
            _ if self.fits(value) => Vec::new(),
            _ => wrong(),
        }
    }

    /// Returns what to write instead: the value itself where only its quotes or capitals are wrong.
    fn suggestion(self, value: &Value, example: &str) -> String {
        let text = value.as_str().unwrap_or_default();
        if let Self::Choice(words) = self
            && let Some(word) = words
                .iter()
                .find(|word| word.eq_ignore_ascii_case(text.trim()))
        {
            return format!("write \"{word}\"");
        }
        match serde_json::from_str::<Value>(text) {
            Ok(bare) if self.fits(&bare) => format!("write {bare}, without quotes"),
            _ => format!("write for example {example}"),
        }
    }

    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Bool => value.is_boolean(),
            Self::Integer { least, most } => {
                value.as_u64().is_some_and(|n| (least..=most).contains(&n))
            }
            Self::Number { above_zero, most } => value
                .as_f64()
                .is_some_and(|n| n <= most && if above_zero { n > 0.0 } else { n >= 0.0 }),
            Self::Text => value.is_string(),
            Self::Word | Self::Template => value.as_str().is_some_and(|s| !s.trim().is_empty()),
            Self::Choice(words) => value.as_str().is_some_and(|s| words.contains(&s)),
            Self::Url => value.as_str().is_some_and(is_address),
            Self::Texts { .. }
            | Self::Kinds
            | Self::Patterns
            | Self::Names
            | Self::Inside
            | Self::InsideOrEmpty
            | Self::Checks
            | Self::Rules => false,
        }
    }

    fn check_path(
        self,
        value: &Value,
        root: &Path,
        wrong: &dyn Fn() -> Vec<ValueError>,
    ) -> Vec<ValueError> {
        match value.as_str() {
            Some("") if self == Self::InsideOrEmpty => Vec::new(),
            Some(text) => paths::checked_path(root, text).err().into_iter().collect(),
            None => wrong(),
        }
    }

    fn check_list(self, value: &Value, wrong: &dyn Fn() -> Vec<ValueError>) -> Vec<ValueError> {
        let Some(items) = value.as_array() else {
            return wrong();
        };
        if let Self::Texts { least } = self
            && items.len() < least
        {
            return wrong();
        }
        items
            .iter()
            .enumerate()
            .filter_map(|(at, item)| Some(self.check_item(item)?.below(PathSegment::Index(at))))
            .collect()
    }

    fn check_item(self, item: &Value) -> Option<ValueError> {
        let Some(text) = item.as_str().filter(|text| !text.is_empty()) else {
            let problem = format!("expected a text that is not empty, found {}", brief(item));
            return Some(ValueError::new(
                problem,
                "write a text in quotes, or remove it",
            ));
        };
        match self {
            _ if text.contains('\0') => Some(ValueError::new(
                "holds a NUL, which no program can take",
                "remove it",
            )),
            Self::Patterns => regex_error(text),
            Self::Names => name_fault(text),
            _ => None,
        }
    }

    /// Returns the shape in words, as messages and the documentation use them.
    pub fn describe(self) -> String {
        match self {
            Self::Bool => "true or false".into(),
            Self::Integer { least, most } => match most {
                1..=1_000_000 => format!("a whole number from {least} to {most}"),
                _ => format!("a whole number of at least {least}"),
            },
            Self::Number { above_zero, most } => {
                let least = if above_zero {
                    "above 0, at most"
                } else {
                    "from 0 to"
                };
                format!("a number {least} {most}")
            }
            Self::Text => "a text".into(),
            Self::Word | Self::Template => "a text that is not blank".into(),
            Self::Choice(words) => quoted(words, " or "),
            Self::Texts { least: 0 } => "a list of texts".into(),
            Self::Texts { .. } => "a list of texts, at least one".into(),
            Self::Kinds => format!("a list of kinds of command ({})", quoted(&kinds(), ", ")),
            Self::Patterns => "a list of regular expressions".into(),
            Self::Names => "a list of names of environment variables".into(),
            Self::Inside => "a path below the root".into(),
            Self::InsideOrEmpty => "a path below the root, or \"\" for none".into(),
            Self::Url => "an address that begins with http:// or https://".into(),
            Self::Checks => "a list of checks, at least one".into(),
            Self::Rules => "a list of rules".into(),
        }
    }

    /// Returns the JSON Schema of this shape.
    pub fn schema(self) -> Value {
        let texts = |items: Value| json!({"type": "array", "items": items});
        match self {
            Self::Bool => json!({"type": "boolean"}),
            Self::Integer { least, most } => {
                json!({"type": "integer", "minimum": least, "maximum": most})
            }
            Self::Number { above_zero, most } => {
                let bound = if above_zero {
                    "exclusiveMinimum"
                } else {
                    "minimum"
                };
                json!({"type": "number", bound: 0, "maximum": most})
            }
            Self::Text | Self::InsideOrEmpty => json!({"type": "string"}),
            Self::Word | Self::Template => json!({"type": "string", "pattern": "\\S"}),
            Self::Inside => json!({"type": "string", "minLength": 1}),
            Self::Url => json!({"type": "string", "pattern": "^https?://"}),
            Self::Choice(words) => json!({"enum": words}),
            Self::Texts { least } => json!({"type": "array", "minItems": least,
                "items": {"type": "string", "minLength": 1}}),
            Self::Kinds => texts(json!({"type": "string", "minLength": 1, "examples": kinds()})),
            Self::Patterns => texts(json!({"type": "string", "minLength": 1, "format": "regex"})),
            Self::Names => texts(json!({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"})),
            Self::Checks => done_checks::schema(),
            Self::Rules => json!({"type": "array", "items": {"type": "object"}}),
        }
    }

    /// Returns whether an environment variable gives the value as it is, without JSON.
    pub const fn is_text(self) -> bool {
        matches!(
            self,
            Self::Text
                | Self::Word
                | Self::Template
                | Self::Choice(_)
                | Self::Inside
                | Self::InsideOrEmpty
                | Self::Url
        )
    }
}

fn rule_faults(rules: &[Value]) -> Vec<ValueError> {
    let fault = |(at, rule): (usize, &Value)| {
        let fault = PolicyRule::deserialize(rule).err()?;
        let wrong = ValueError::new(format!("not a rule: {fault}"), "see docs/policy.md");
        Some(wrong.below(PathSegment::Index(at)))
    };
    rules.iter().enumerate().filter_map(fault).collect()
}

fn name_fault(name: &str) -> Option<ValueError> {
    let good = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if !good {
        let problem = format!("`{name}` is not the name of an environment variable");
        return Some(ValueError::new(
            problem,
            "write the bare name, e.g. \"JAVA_HOME\"",
        ));
    }
    Provider::is_key_variable(name).then(|| {
        let problem = format!("`{name}` holds an API key, which commands never receive");
        ValueError::new(problem, "remove it")
    })
}

/// Returns what is wrong with the address of a collector, and what to write.
pub(super) fn collector_fault(text: &str) -> Option<(String, &'static str)> {
    (text != "env" && !is_address(text)).then(|| {
        (
            format!("`{text}` is no address of a collector"),
            "write \"http://127.0.0.1:4318\" or \"env\"",
        )
    })
}

fn is_address(text: &str) -> bool {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace)
    })
}

fn kinds() -> Vec<String> {
    CommandKind::KNOWN.into_iter().map(String::from).collect()
}

fn quoted(words: &[impl AsRef<str>], between: &str) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|w| format!("\"{}\"", w.as_ref()))
        .collect();
    words.join(between)
}
