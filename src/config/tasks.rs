//! Reads lists of guarded tasks, TOML or JSON.

use std::path::Path;

use crate::{config::files, domain::guarded::TaskList};

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
    let wrong = |message: String| Error::Wrong {
        file: name.to_owned(),
        message,
    };
    let list: TaskList = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?
    } else {
        toml::from_str(text).map_err(|error| wrong(error.to_string()))?
    };
    let faults = list.faults();
    if faults.is_empty() {
        return Ok(list);
    }
    Err(wrong(faults.join("; ")))
}

/// Reads the text of a list of tasks.
pub fn text(file: &Path) -> Result<String, Error> {
    files::read_text(file).map_err(|source| Error::Unreadable {
        file: file.display().to_string(),
        source,
    })
}
