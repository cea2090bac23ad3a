//! What a caller says about a model: plain values, everything resolved from files and environment already.

use std::path::PathBuf;

pub use crate::domain::provider::{OpenAiApi, Provider, Secret};

/// The original's ceiling of a reply.
const MAX_TOKENS: u32 = 2_000;

/// Where recorded replies come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplaySource {
    /// A file.
    File(PathBuf),
    /// Text that is part of the program; the name appears in messages.
    Embedded {
        /// How messages call it.
        name: &'static str,
        /// The lines.
        text: &'static str,
    },
}

/// Everything about one model. [`ModelOptions::new`] fills in what most callers leave alone.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelOptions {
    /// Who answers.
    pub provider: Provider,
    /// The model's name in the provider's spelling; may be empty for programs and recordings.
    pub model: String,
    /// Where the server is: with `/v1` for OpenAI, without it for Anthropic. `None` = the provider's own.
    pub base_url: Option<String>,
    /// Which protocol to speak (OpenAI only).
    pub api: OpenAiApi,
    /// The key; compatible servers may do without.
    pub api_key: Option<Secret>,
    /// Sampling temperature; `None` leaves it to the provider.
    pub temperature: Option<f64>,
    /// Ceiling of the reply in tokens, reasoning included; `None` = 2000, as in the original.
    pub max_tokens: Option<u32>,
    /// Whether the provider is asked to hold the reply to a JSON Schema.
    pub schema: bool,
    /// Value of the `anthropic-version` header; `None` = `2023-06-01`.
    pub version: Option<String>,
    /// The program and its arguments (`command` only).
    pub argv: Vec<String>,
    /// Where the program runs (`command` only).
    pub directory: PathBuf,
    /// The whole environment of the program (`command` only).
    pub environment: Vec<(String, String)>,
    /// Where replies come from (`replay` only).
    pub recording: Option<ReplaySource>,
    /// A file to which every reply is appended, whoever gave it.
    pub record_to: Option<PathBuf>,
}

impl ModelOptions {
    /// Returns options with nothing but a provider and a model's name.
    pub fn new(provider: Provider, model: &str) -> Self {
        Self {
            provider,
            model: model.to_owned(),
            base_url: None,
            api: OpenAiApi::default(),
            api_key: None,
            temperature: None,
            max_tokens: None,
            schema: true,
            version: None,
            argv: Vec::new(),
            directory: PathBuf::from("."),
            environment: Vec::new(),
            recording: None,
            record_to: None,
        }
    }

    /// Returns the ceiling of a reply in tokens.
    pub(super) fn ceiling(&self) -> u32 {
        self.max_tokens.unwrap_or(MAX_TOKENS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let mut options = ModelOptions::new(Provider::OpenAi, "m");
        options.api_key = Some(Secret::new(" sk-very-secret\n"));
        assert!(!format!("{options:?}").contains("very"));
        assert_eq!(options.api_key.unwrap().expose_secret(), "sk-very-secret");
    }
}
