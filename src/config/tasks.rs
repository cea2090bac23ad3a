//! Reads lists of guarded tasks and the ways to tell people, TOML or JSON.

use std::path::Path;

use serde::Deserialize;

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
}

/// One way to tell people.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Notify {
    /// Standard error.
    Terminal,
    /// A JSON object by POST. The address stands in the environment, because it may hold a token.
    Webhook {
        /// The variable with the address.
        url_env: String,
    },
    /// Slack's incoming webhook, or whatever understands it.
    Slack {
        /// The variable with the address.
        url_env: String,
    },
    /// Telegram's Bot API.
    Telegram {
        /// The variable with the bot's token.
        token_env: String,
        /// The chat.
        chat: String,
        /// Another server than Telegram's own.
        #[serde(default = "telegram")]
        base: String,
    },
    /// A program that reads a mail on standard input, such as `sendmail -t`.
    Mail {
        /// The program and its words.
        command: Vec<String>,
    },
}

fn telegram() -> String {
    "https://api.telegram.org".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ways {
    #[serde(default)]
    notify: Option<Vec<Notify>>,
    #[serde(default)]
    events: Option<Events>,
}

/// Whoever collects the events of runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// The variable with the address, which may hold a token.
    pub url_env: String,
    /// The variable with what goes into `Authorization: Bearer`.
    #[serde(default)]
    pub token_env: Option<String>,
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

/// Reads `config/notify.toml` of a root; where it names no way, the terminal is told.
pub fn notify(root: &Path) -> Result<Vec<Notify>, Error> {
    let ways = ways(root)?.notify;
    Ok(ways.unwrap_or_else(|| vec![Notify::Terminal]))
}

/// Reads from the same file who collects events.
pub fn events(root: &Path) -> Result<Option<Events>, Error> {
    Ok(ways(root)?.events)
}

fn ways(root: &Path) -> Result<Ways, Error> {
    let file = root.join("config/notify.toml");
    let name = file.display().to_string();
    if !files::is_file(&file) {
        return Ok(Ways {
            notify: None,
            events: None,
        });
    }
    let text = files::read_text(&file).map_err(|source| Error::Unreadable {
        file: name.clone(),
        source,
    })?;
    toml::from_str(&text).map_err(|error| Error::Wrong {
        file: name,
        message: error.to_string(),
    })
}
