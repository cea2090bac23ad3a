//! Why a model cannot be built: faults of the configuration, found before anything runs.

use std::path::PathBuf;

/// A model cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The provider needs a key and has none.
    #[error("{provider} needs an API key; set {variable}, or a base_url that does without")]
    KeyMissing {
        /// The provider's word.
        provider: &'static str,
        /// The environment variable users know.
        variable: &'static str,
    },
    /// The key cannot be sent.
    #[error("the API key of {provider} contains characters that no header can carry")]
    KeyUnusable {
        /// The provider's word.
        provider: &'static str,
    },
    /// The model's name is missing.
    #[error("{provider} needs the name of a model")]
    ModelMissing {
        /// The provider's word.
        provider: &'static str,
    },
    /// The base URL is not one.
    #[error("the base_url of {provider} is not an http or https address: {problem}")]
    BaseUrl {
        /// The provider's word.
        provider: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The version header cannot be sent.
    #[error("the version `{version}` of anthropic is not a date like 2023-06-01")]
    Version {
        /// As configured.
        version: String,
    },
    /// This version has no sampling parameters.
    #[error(
        "anthropic version {version} accepts no temperature; remove it, or pin version 2023-06-01"
    )]
    TemperatureRemoved {
        /// As configured.
        version: String,
    },
    /// The provider `command` has no program.
    #[error("the provider command needs an argv that begins with a program")]
    ArgvMissing,
    /// The provider `replay` has no recording.
    #[error("the provider replay needs a recording")]
    RecordingMissing,
    /// The recording cannot be read or written.
    #[error("the recording {} cannot be used", .path.display())]
    RecordingFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line of the recording is not a reply.
    #[error("line {line} of the recording {origin} is not a recorded reply: {problem}")]
    RecordingLine {
        /// The file, or the name of the embedded text.
        origin: String,
        /// 1-based.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}
