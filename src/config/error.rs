//! What can be wrong with a configuration, said so that a person can put it right: which file and place,
//! which key, what is wrong, what is allowed, what to do. All faults are reported together.

use std::{fmt, path::PathBuf};

use crate::config::source::ValueSource;

/// Why there are no settings. The text begins with `config error`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no configuration where one is needed.
    #[error(
        "config error: no config/config_v0_3.json and no config_v0_3.json in {}; run `tos init --sample` for a working example, \
         or name a file with `--config`",
        root.display()
    )]
    Missing {
        /// The root that was searched.
        root: PathBuf,
    },
    /// A file cannot be read.
    #[error("config error: {}: cannot be read; check the path and its permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Something else is where the configuration should be.
    #[error("config error: {} is {what}, not a file; move it away, or name another file with `--config`", path.display())]
    NoFile {
        /// The place.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// The file is not UTF-8 or UTF-16 text.
    #[error("config error: {}: not UTF-8 text (line {line}); save it as UTF-8", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The line of the first bad byte, from 1.
        line: usize,
    },
    /// The file is not JSON.
    #[error("config error: {}:{line}:{column}: not JSON: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What the parser says, and the remedy where it is known.
        reason: String,
    },
    /// Values that are wrong.
    #[error("{}", listing(.0))]
    Faults(Vec<ConfigFault>),
}

/// One step into a JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathSegment {
    /// Into an object.
    Key(String),
    /// Into a list, from 0.
    Index(usize),
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// Which layer says it.
    pub source: ValueSource,
    /// Line and column in the file, from 1.
    pub place: Option<(usize, usize)>,
    /// Where in the document.
    pub path: Vec<PathSegment>,
    /// What is wrong and what is allowed.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": `{}`", json_path(&self.path))?;
        }
        write!(f, ": {}; {}", self.problem, self.remedy)
    }
}

/// Returns the path as people write it, e.g. `done_condition.all[0].file`.
pub fn json_path(path: &[PathSegment]) -> String {
    path.iter()
        .fold(String::new(), |text, segment| match segment {
            PathSegment::Index(at) => format!("{text}[{at}]"),
            PathSegment::Key(name) if name.is_empty() || name.contains(['.', '[', ' ']) => {
                format!("{text}[\"{name}\"]")
            }
            PathSegment::Key(name) if text.is_empty() => name.clone(),
            PathSegment::Key(name) => format!("{text}.{name}"),
        })
}

/// Returns the segments of a dotted path of the key table.
pub(crate) fn segments(path: &str) -> Vec<PathSegment> {
    path.split('.')
        .map(|name| PathSegment::Key(name.into()))
        .collect()
}

fn listing(faults: &[ConfigFault]) -> String {
    match faults {
        [only] => format!("config error: {only}"),
        many => many.iter().fold(
            format!("config error: {} faults", many.len()),
            |text, fault| format!("{text}\n  {fault}"),
        ),
    }
}
