//! Reads lists of guarded tasks, TOML or JSON.

use std::path::Path;

use serde_json::Value;
use toml::de::DeValue;

use crate::{
    config::{error::PathSegment, files, json, list_shape},
    domain::{tasks, tasks::TaskList},
};

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{file}: {source}")]
    Unreadable {
        /// Which file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that makes no sense.
    #[error("{file}: {message}")]
    Wrong {
        /// Which file.
        file: String,
        /// Everything that is wrong.
        message: String,
    },
    /// A file of notifications or schedules says something that makes no sense.
    #[error("config error: {message}")]
    Notify {
        /// Every fault with its place.
        message: String,
    },
}

/// Reads a list of tasks from its text; `name` is for messages.
pub fn parse(text: &str, name: &str) -> Result<TaskList, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_json = text.trim_start().starts_with('{');
    let value = if is_json {
        from_json(text, name)?
    } else {
        from_toml(text, name)?
    };
    let wrong = |path: &[PathSegment], message: &str| {
        let place = if is_json {
            json::locate(text, path)
        } else {
            locate(text, path)
        };
        let place = place.map_or_else(String::new, |(line, column)| format!(":{line}:{column}"));
        Error::Wrong {
            file: format!("{name}{place}"),
            message: message.to_owned(),
        }
    };
    if let Some(fault) = list_shape::check(&value) {
        return Err(wrong(&fault.path, &fault.message));
    }
    let list: Result<TaskList, _> = serde_json::from_value(value);
    // The table has named everything that this could stumble over; what is left is a price.
    let list = list.map_err(|error| wrong(&[], &format!("a value cannot be used: {error}")))?;
    let faults = list.validation_errors();
    let Some(first) = faults.first() else {
        return Ok(list);
    };
    Err(wrong(&place_of(first, &list), &faults.join("; ")))
}

/// Returns the way to what a sentence is about: a task that it names, or a key.
fn place_of(fault: &str, list: &TaskList) -> Vec<PathSegment> {
    let key = |name: &str| PathSegment::Key(name.to_owned());
    let named = |task: &tasks::AgentTask| fault.starts_with(&format!("task `{}`", task.id));
    if let Some(at) = list.tasks.iter().position(named) {
        return vec![key("task"), PathSegment::Index(at), key("id")];
    }
    let quoted = fault.split('`').nth(1);
    quoted.map(key).into_iter().collect()
}

fn from_json(text: &str, name: &str) -> Result<Value, Error> {
    json::parse(text, Path::new(name))
        .map(|document| document.value)
        .map_err(|error| Error::Wrong {
            file: name.to_owned(),
            message: error.to_string(),
        })
}

fn from_toml(text: &str, name: &str) -> Result<Value, Error> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let (line, column) = error.span().map_or((1, 1), |span| place(text, span.start));
        let what = error.message().lines().collect::<Vec<_>>().join(", ");
        Error::Wrong {
            file: format!("{name}:{line}:{column}"),
            message: format!("this is not TOML: {what}"),
        }
    })
}

/// Returns line and column of a byte, from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |line| line.chars().count())
        + 1;
    (line, column)
}

/// Returns where a value of a TOML text stands, or the nearest thing above it.
fn locate(text: &str, path: &[PathSegment]) -> Option<(usize, usize)> {
    let table = toml::de::DeTable::parse(text).ok()?;
    let mut start = 0;
    let mut value = DeValue::Table(table.into_inner());
    for segment in path {
        let next = match (segment, value) {
            (PathSegment::Key(name), DeValue::Table(table)) => table
                .into_iter()
                .find(|(key, _)| key.get_ref() == name)
                .map(|(key, item)| (key.span().start, item)),
            (PathSegment::Index(at), DeValue::Array(items)) => items
                .into_iter()
                .nth(*at)
                .map(|item| (item.span().start, item)),
            _ => None,
        };
        let Some((at, item)) = next else { break };
        start = at;
        value = item.into_inner();
    }
    Some(place(text, start))
}

/// Reads the text of a list of tasks.
pub fn read_text(file: &Path) -> Result<String, Error> {
    files::read_text(file).map_err(|source| Error::Unreadable {
        file: file.display().to_string(),
        source,
    })
}
