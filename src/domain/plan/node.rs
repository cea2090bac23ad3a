//! A YAML document as a tree in which every value remembers where it stands, and faults that point there.
//!
//! The text itself is parsed by an adapter; everything that gives the tree a meaning is decided from here on.

use crate::domain::plan::scalar::{self, Meaning};

/// A place in one of the files of a plan; lines and columns count from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// Which file: 0 is the plan itself, the others are its includes in the order they were opened.
    pub file: u16,
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub mark: Mark,
    /// What it is.
    pub value: Value,
}

/// The three shapes of YAML.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A word.
    Scalar {
        /// Its text after unquoting.
        text: Box<str>,
        /// True where quotes, a block style or a `!!str` tag make it text whatever it looks like.
        quoted: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file; keys are unique.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Box<str>,
    /// Where the key stands.
    pub mark: Mark,
    /// The value.
    pub value: Node,
}

impl Node {
    /// Returns what a scalar means; lists and mappings mean nothing here.
    pub fn meaning(&self) -> Option<Meaning<'_>> {
        match &self.value {
            Value::Scalar { text, quoted: true } => Some(Meaning::Text(text)),
            Value::Scalar {
                text,
                quoted: false,
            } => Some(scalar::meaning(text)),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Returns true for an absent value: `~`, `null` or nothing.
    pub fn is_null(&self) -> bool {
        self.meaning() == Some(Meaning::Null)
    }

    /// Returns a few words that show the value in a message.
    pub fn shown(&self) -> String {
        match &self.value {
            Value::Scalar { text, quoted } => {
                let short: String = text.chars().take(60).collect();
                let dots = if short.len() < text.len() { "…" } else { "" };
                let kind = if *quoted {
                    ""
                } else {
                    scalar::meaning(text).kind()
                };
                format!("{kind}`{}{dots}`", short.escape_debug())
            }
            Value::List(items) => format!("a list of {}", items.len()),
            Value::Map(entries) => format!("a mapping of {}", entries.len()),
        }
    }

    /// Returns the value under `key` where this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries
                .iter()
                .find(|entry| &*entry.key == key)
                .map(|entry| &entry.value),
            Value::Scalar { .. } | Value::List(_) => None,
        }
    }
}

/// What a person could do about a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
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
pub struct Fault {
    /// Where.
    pub mark: Mark,
    /// What is wrong, as one sentence without a full stop.
    pub message: String,
    /// What to do.
    pub remedy: Remedy,
}

impl Fault {
    /// Creates a fault without a remedy.
    pub fn new(mark: Mark, message: impl Into<String>) -> Self {
        Self {
            mark,
            message: message.into(),
            remedy: Remedy::None,
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn with(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Remedy::Do(remedy.into());
        self
    }

    /// Adds the words that would be right.
    #[must_use]
    pub fn nearest<'a>(mut self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        self.remedy = Remedy::OneOf {
            word: word.to_owned(),
            known: known.into_iter().map(str::to_owned).collect(),
        };
        self
    }
}
