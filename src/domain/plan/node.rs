//! A YAML document as a tree in which every value remembers where it stands, and faults that point there.
//!
//! The text itself is parsed by an adapter; everything that gives the tree a meaning is decided from here on.

use crate::domain::plan::{scalar, scalar::ScalarValue};

/// A place in one of the files of a plan; lines and columns count from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourcePosition {
    /// Which file: 0 is the plan itself, the others are its includes in the order they were opened.
    pub file: u16,
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct YamlNode {
    /// Where it begins.
    pub mark: SourcePosition,
    /// What it is.
    pub value: YamlValue,
}

/// The three shapes of YAML.
#[derive(Debug, Clone, PartialEq)]
pub enum YamlValue {
    /// A word.
    Scalar {
        /// Its text after unquoting.
        text: Box<str>,
        /// True where quotes, a block style or a `!!str` tag make it text whatever it looks like.
        quoted: bool,
    },
    /// A sequence.
    List(Vec<YamlNode>),
    /// A mapping, in the order of the file; keys are unique.
    Map(Vec<YamlEntry>),
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct YamlEntry {
    /// The key.
    pub key: Box<str>,
    /// Where the key stands.
    pub mark: SourcePosition,
    /// The value.
    pub value: YamlNode,
}

impl YamlNode {
    /// Returns what a scalar means; lists and mappings mean nothing here.
    pub fn scalar_value(&self) -> Option<ScalarValue<'_>> {
        match &self.value {
            YamlValue::Scalar { text, quoted: true } => Some(ScalarValue::Text(text)),
            YamlValue::Scalar {
                text,
                quoted: false,
            } => Some(scalar::parse_scalar(text)),
            YamlValue::List(_) | YamlValue::Map(_) => None,
        }
    }

    /// Returns true for an absent value: `~`, `null` or nothing.
    pub fn is_null(&self) -> bool {
        self.scalar_value() == Some(ScalarValue::Null)
    }

    /// Returns a few words that show the value in a message.
    pub fn display_short(&self) -> String {
        match &self.value {
            YamlValue::Scalar { text, quoted } => {
                let short: String = text.chars().take(60).collect();
                let dots = if short.len() < text.len() { "…" } else { "" };
                let kind = if *quoted {
                    ""
                } else {
                    scalar::parse_scalar(text).kind()
                };
                format!("{kind}`{}{dots}`", short.escape_debug())
            }
            YamlValue::List(items) => format!("a list of {}", items.len()),
            YamlValue::Map(entries) => format!("a mapping of {}", entries.len()),
        }
    }

    /// Returns the value under `key` where this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            YamlValue::Map(entries) => entries
                .iter()
                .find(|entry| &*entry.key == key)
                .map(|entry| &entry.value),
            YamlValue::Scalar { .. } | YamlValue::List(_) => None,
        }
    }
}

/// What a person could do about a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanRemedy {
    /// Nothing to add to the message.
    None,
    /// Do this.
    Do(String),
    /// The word is unknown; whoever shows the fault names the nearest of these.
    OneOf {
        /// The word as written.
        word: String,
        /// The words that would be right.
        known: Vec<String>,
    },
}

/// The first thing that is wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PlanError {
    /// Where.
    pub mark: SourcePosition,
    /// What is wrong, as one sentence without a full stop.
    pub message: String,
    /// What to do.
    pub remedy: PlanRemedy,
}

impl PlanError {
    /// Creates a fault without a remedy.
    pub fn new(mark: SourcePosition, message: impl Into<String>) -> Self {
        Self {
            mark,
            message: message.into(),
            remedy: PlanRemedy::None,
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = PlanRemedy::Do(remedy.into());
        self
    }

    /// Adds the words that would be right.
    #[must_use]
    pub fn with_suggestions<'a>(
        mut self,
        word: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        self.remedy = PlanRemedy::OneOf {
            word: word.to_owned(),
            known: known.into_iter().map(str::to_owned).collect(),
        };
        self
    }
}
