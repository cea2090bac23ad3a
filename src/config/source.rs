//! Where a value comes from, and every value together with that knowledge.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde_json::Value;

/// The layer that gave a value; a later one wins over an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueSource {
    /// The table of keys.
    Default,
    /// The configuration file, as it was named.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A flag of the command line.
    Flag(String),
}

impl ValueSource {
    /// Returns the layer's name for programs.
    pub const fn layer(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File(_) => "file",
            Self::Environment(_) => "env",
            Self::Flag(_) => "flag",
        }
    }
}

impl fmt::Display for ValueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "env {name}"),
            Self::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

/// One key's value and the layer that gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct SourcedValue {
    /// The value; `null` = absent.
    pub value: Value,
    /// Who gave it.
    pub source: ValueSource,
}

impl SourcedValue {
    /// Returns the value as it may be shown: the name and password of an address are left out.
    pub fn redacted_value(&self) -> Value {
        match &self.value {
            Value::String(text) => Value::String(without_password(text)),
            other => other.clone(),
        }
    }
}

fn without_password(text: &str) -> String {
    let parts = text.split_once("://").and_then(|(scheme, rest)| {
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let (_, host) = authority.rsplit_once('@')?;
        Some(format!("{scheme}://[redacted]@{host}{path}"))
    });
    parts.unwrap_or_else(|| text.to_owned())
}

/// Every key of the table with its value in force.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EffectiveValues(pub(crate) BTreeMap<&'static str, SourcedValue>);

impl EffectiveValues {
    /// Returns the value in force for a key of the table.
    pub fn get(&self, path: &str) -> Option<&SourcedValue> {
        self.0.get(path)
    }

    /// Returns all keys in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &SourcedValue)> {
        self.0.iter().map(|(path, sourced)| (*path, sourced))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        let shown = |text: &str| {
            let value = Value::String(text.into());
            let source = ValueSource::Default;
            SourcedValue { value, source }.redacted_value()
        };
        assert_eq!(
            shown("http://me:pw@host:1/v1"),
            "http://[redacted]@host:1/v1"
        );
        assert_eq!(shown("http://host/a@b"), "http://host/a@b");
        assert_eq!(shown("a text: with @ and ://"), "a text: with @ and ://");
    }
}
