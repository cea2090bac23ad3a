//! The job input: a JSON object handed to the draft prompt.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::config::{error::Error as ConfigError, files, json, settings::JobInputSettings};

/// A job input that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct JobInputFile {
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
pub fn load(
    root: &Path,
    settings: Option<&JobInputSettings>,
) -> Result<Option<JobInputFile>, Error> {
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

fn parse(bytes: &[u8], path: &Path) -> Result<JobInputFile, Error> {
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
            found: format!(
                "found {}",
                crate::config::value_error::brief(&document.value)
            ),
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
    Ok(JobInputFile {
        job_name: name
            .filter(|name| !name.trim().is_empty())
            .map(str::to_owned),
        text: Value::Object(value.clone()).to_string(),
        size_bytes: bytes.len() as u64,
        value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: Option<&[u8]>, required: bool) -> Result<Option<JobInputFile>, String> {
        let root = tempfile::tempdir().unwrap();
        let settings = JobInputSettings {
            path: "in/job_input.json".into(),
            required,
        };
        if let Some(bytes) = bytes {
            files::write(&root.path().join(&settings.path), bytes);
        }
        load(root.path(), Some(&settings)).map_err(|fault| fault.to_string())
    }

    #[test]
    fn an_object_is_read_with_its_name_and_the_size_of_its_file() {
        let bytes = "{ \"job_name\": \"x\", \"k\": \"あ\" }\n".as_bytes();
        let payload = read(Some(bytes), true).unwrap().unwrap();
        assert_eq!(payload.size_bytes, bytes.len() as u64);
        assert_eq!(payload.job_name.as_deref(), Some("x"));
        assert_eq!(payload.text, r#"{"job_name":"x","k":"あ"}"#);
    }

    #[test]
    fn w44_a_byte_order_mark_in_front_of_the_payload_does_no_harm() {
        let payload = read(Some(b"\xEF\xBB\xBF{\"a\": 1}"), false)
            .unwrap()
            .unwrap();
        assert_eq!(
            (payload.text.as_str(), payload.size_bytes),
            (r#"{"a":1}"#, 11)
        );
    }

    #[test]
    fn w45_a_payload_that_is_no_object_is_refused_whether_required_or_not() {
        for required in [true, false] {
            let fault = read(Some(b"[1]"), required).unwrap_err();
            insta::allow_duplicates! { insta::assert_snapshot!(fault, @r#"job_input.json is not a JSON object: in/job_input.json: found [1]; write { "job_name": "..." }"#); }
        }
    }

    #[test]
    fn w46_a_required_payload_has_to_be_there() {
        insta::assert_snapshot!(read(None, true).unwrap_err(), @"job_input.json not found: in/job_input.json is required by `s5_settings.job_loop.job_input`; copy job_input.example.json there, or set `required` to false");
        assert_eq!(read(None, false), Ok(None));
    }

    #[test]
    fn w46_a_broken_payload_is_never_dropped_in_silence() {
        insta::assert_snapshot!(read(Some(b"{\"a\": }"), false).unwrap_err(), @"job_input.json is not a JSON object: in/job_input.json:1:7: not JSON: expected value; JSON knows no comments and no single quotes");
        insta::assert_snapshot!(read(Some(b"{\"a\": 1, \"a\": 2}"), false).unwrap_err(), @r#"job_input.json is not a JSON object: in/job_input.json: the key `a` stands twice; write { "job_name": "..." }"#);
        insta::assert_snapshot!(read(Some(b"\x81"), false).unwrap_err(), @"job_input.json is not a JSON object: in/job_input.json: not UTF-8 text (line 1); save it as UTF-8");
    }

    #[test]
    fn a_directory_in_place_of_the_payload_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let settings = JobInputSettings {
            path: "d".into(),
            required: false,
        };
        files::write(&root.path().join("d/x"), "");
        let fault = load(root.path(), Some(&settings)).unwrap_err();
        assert!(matches!(fault, Error::Unreadable { .. }), "{fault}");
        assert_eq!(load(root.path(), None).unwrap(), None);
    }
}
