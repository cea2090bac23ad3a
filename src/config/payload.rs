//! The job input: a JSON object handed to the draft prompt.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::config::{error::Error as ConfigError, files, json, settings::PayloadSettings};

/// A job input that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    /// The object.
    pub value: Map<String, Value>,
    /// The object as one line of JSON, for the prompt.
    pub text: String,
    /// The size of the file, byte order mark and blanks included.
    pub size_bytes: u64,
    /// The name it gives the job, where it does.
    pub job_name: Option<String>,
}

/// Why there is no usable job input.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is required and not there.
    #[error("job_input.json not found: {} is required by `s5_settings.job_loop.job_input`; copy job_input.example.json there, or set `required` to false", path.display())]
    NotFound {
        /// The file, as configured.
        path: PathBuf,
    },
    /// The file is there and cannot be read.
    #[error("job_input.json cannot be read: {}; check its permissions", path.display())]
    Unreadable {
        /// The file, as configured.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not text or not JSON.
    #[error("job_input.json is not a JSON object: {reason}")]
    NotJson {
        /// File, place and reason.
        reason: String,
    },
    /// The file is JSON, but not an object without doubled keys.
    #[error("job_input.json is not a JSON object: {}: {found}; write {{ \"job_name\": \"...\" }}", path.display())]
    NotObject {
        /// The file, as configured.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
}

/// Reads the job input. `Ok(None)` = none is configured, or it is not there and not required.
pub fn load(root: &Path, settings: Option<&PayloadSettings>) -> Result<Option<Payload>, Error> {
    let Some(settings) = settings else {
        return Ok(None);
    };
    let path = &settings.path;
    match files::read(&root.join(path)) {
        Ok(bytes) => parse(&bytes, path).map(Some),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound && !settings.required => Ok(None),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
            Err(Error::NotFound { path: path.clone() })
        }
        Err(source) => Err(Error::Unreadable {
            path: path.clone(),
            source,
        }),
    }
}

fn parse(bytes: &[u8], path: &Path) -> Result<Payload, Error> {
    let not_json = |fault: ConfigError| Error::NotJson {
        reason: fault
            .to_string()
            .trim_start_matches("config error: ")
            .to_owned(),
    };
    let text = json::decode(bytes, path).map_err(not_json)?;
    let document = json::parse(&text, path).map_err(not_json)?;
    let Value::Object(value) = document.value else {
        return Err(Error::NotObject {
            path: path.into(),
            found: format!("found {}", crate::config::shape::brief(&document.value)),
        });
    };
    if let Some(doubled) = document.doubled.first() {
        let found = format!(
            "the key `{}` stands twice",
            crate::config::error::json_path(doubled)
        );
        return Err(Error::NotObject {
            path: path.into(),
            found,
        });
    }
    let name = value.get("job_name").and_then(Value::as_str);
    Ok(Payload {
        job_name: name
            .filter(|name| !name.trim().is_empty())
            .map(str::to_owned),
        text: Value::Object(value.clone()).to_string(),
        size_bytes: bytes.len() as u64,
        value,
    })
}
