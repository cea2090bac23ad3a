//! The Messages dialect: Anthropic's protocol, its version pinned by the configuration.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::{
    adapters::model::{
        error::BuildError,
        http,
        live::{Dialect, ParsedReply, ReplyError, count},
        options::{ModelOptions, Provider, Secret},
        quirks::UnsupportedFields,
    },
    domain::{
        job::proposal,
        model::{FinishReason, ModelRequest, TokenUsage},
    },
};

const PROVIDER: &str = Provider::Anthropic.as_str();
/// The version that every gateway knows and that still has sampling parameters.
const VERSION: &str = "2023-06-01";
/// The first version that refuses sampling parameters. Versions are dates, so they compare as texts.
const WITHOUT_TEMPERATURE: &str = "2026-10-21";

/// Messages.
pub(super) struct AnthropicMessages {
    model: String,
    version: HeaderValue,
    temperature: Option<f64>,
    max_tokens: u32,
}

impl AnthropicMessages {
    pub(super) fn new(options: &ModelOptions) -> Result<Self, BuildError> {
        let version = options.version.as_deref().unwrap_or(VERSION);
        if !is_date(version) {
            let version = version.to_owned();
            return Err(BuildError::Version { version });
        }
        if options.temperature.is_some() && version >= WITHOUT_TEMPERATURE {
            let version = version.to_owned();
            return Err(BuildError::TemperatureRemoved { version });
        }
        Ok(Self {
            model: options.model.clone(),
            version: HeaderValue::from_str(version).map_err(|_| BuildError::Version {
                version: version.to_owned(),
            })?,
            temperature: options.temperature,
            max_tokens: options.ceiling(),
        })
    }
}

fn is_date(version: &str) -> bool {
    chrono::NaiveDate::parse_from_str(version, "%Y-%m-%d").is_ok() && version.len() == 10
}

impl Dialect for AnthropicMessages {
    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn default_endpoint(&self) -> (&'static str, &'static str) {
        ("https://api.anthropic.com", "/v1/messages")
    }

    fn models_path(&self) -> &'static str {
        "/v1/models?limit=1000"
    }

    fn trim_base_url<'a>(&self, configured: &'a str) -> &'a str {
        let base = configured.trim().trim_end_matches('/');
        base.strip_suffix("/v1").unwrap_or(base)
    }

    fn headers(&self, key: Option<&Secret>) -> Result<HeaderMap, BuildError> {
        let mut headers = http::headers();
        let version = HeaderName::from_static("anthropic-version");
        headers.insert(version, self.version.clone());
        if let Some(key) = key {
            let name = HeaderName::from_static("x-api-key");
            http::add_key(&mut headers, PROVIDER, name, "", key)?;
        }
        Ok(headers)
    }

    fn body(&self, query: &ModelRequest, quirks: UnsupportedFields) -> Value {
        let mut body = json!({
            "model": self.model,
            "max_tokens": self.max_tokens,
            "messages": [{"role": "user", "content": query.prompt}],
        });
        if let Some(temperature) = self.temperature.filter(|_| !quirks.no_temperature) {
            body["temperature"] = json!(temperature);
        }
        if !quirks.no_schema {
            body["output_config"] = json!({"format": {
                "type": "json_schema",
                "schema": proposal::reply_schema(query.role),
            }});
        }
        body
    }

    fn read(&self, body: &Value) -> Result<ParsedReply, ReplyError> {
        let content = body
            .get("content")
            .and_then(Value::as_array)
            .ok_or_else(|| ReplyError::malformed("no content in the body"))?;
        let text: String = content
            .iter()
            .filter(|block| block.get("type").is_some_and(|kind| kind == "text"))
            .filter_map(|block| block.get("text")?.as_str())
            .collect();
        let finish = match body.get("stop_reason").and_then(Value::as_str) {
            None | Some("end_turn" | "stop_sequence") => FinishReason::Complete,
            Some("max_tokens" | "model_context_window_exceeded") => FinishReason::Cut,
            Some("refusal") => FinishReason::Refused,
            Some(other) => FinishReason::Other(other.to_owned()),
        };
        ParsedReply::new(body, text, finish, usage)
    }
}

/// Reads Anthropic's usage, whose `input_tokens` leave out what touched the cache.
pub(super) fn usage(value: &Value) -> Option<TokenUsage> {
    let plain = count(value, "/input_tokens")?;
    let cached_input = count(value, "/cache_read_input_tokens").unwrap_or(0);
    let cache_write = count(value, "/cache_creation_input_tokens").unwrap_or(0);
    Some(TokenUsage {
        input: plain
            .saturating_add(cached_input)
            .saturating_add(cache_write),
        cached_input,
        cache_write,
        output: count(value, "/output_tokens").unwrap_or(0),
        estimated: false,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::model::ModelRole;

    fn options() -> ModelOptions {
        ModelOptions::new(Provider::Anthropic, "m")
    }

    fn messages() -> AnthropicMessages {
        AnthropicMessages::new(&options()).unwrap()
    }

    #[test]
    fn the_request_has_a_ceiling_and_the_schema_and_no_temperature_by_default() {
        let query = ModelRequest {
            role: ModelRole::Final,
            prompt: "P".into(),
            job: 1,
            turn: 0,
            deadline: Duration::from_secs(1),
        };
        let expected = json!({
            "model": "m", "max_tokens": 2000, "messages": [{"role": "user", "content": "P"}],
            "output_config": {"format": {"type": "json_schema", "schema": proposal::reply_schema(ModelRole::Final)}},
        });
        assert_eq!(
            messages().body(&query, UnsupportedFields::default()),
            expected
        );
    }

    #[test]
    fn a_version_without_temperature_refuses_one_before_anything_is_sent() {
        let mut options = options();
        options.version = Some("2026-10-21".into());
        assert!(AnthropicMessages::new(&options).is_ok());
        options.temperature = Some(0.2);
        let fault = AnthropicMessages::new(&options).err().unwrap().to_string();
        assert!(fault.contains("accepts no temperature"), "{fault}");
        options.version = Some("2023-06-01".into());
        assert!(AnthropicMessages::new(&options).is_ok());
        options.version = Some("latest".into());
        assert!(matches!(
            AnthropicMessages::new(&options),
            Err(BuildError::Version { .. })
        ));
    }

    #[test]
    fn a_base_url_may_end_in_the_version_by_habit() {
        for base in ["http://h", "http://h/", "http://h/v1", "http://h/v1/"] {
            assert_eq!(messages().trim_base_url(base), "http://h");
        }
    }

    #[test]
    fn endings_and_blocks_are_understood() {
        let read = |stop: Value, content: Value| {
            let body = json!({"stop_reason": stop, "content": content});
            messages().read(&body).map(|said| (said.text, said.finish))
        };
        let said = |text: &str, finish| Ok((text.to_owned(), finish));
        let text = || json!([{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
        assert_eq!(
            read(json!("end_turn"), text()),
            said("ab", FinishReason::Complete)
        );
        assert_eq!(
            read(json!("max_tokens"), text()),
            said("ab", FinishReason::Cut)
        );
        assert_eq!(
            read(json!("model_context_window_exceeded"), json!([])),
            said("", FinishReason::Cut)
        );
        assert_eq!(
            read(json!("refusal"), json!([])),
            said("", FinishReason::Refused)
        );
        assert_eq!(
            read(json!("pause_turn"), text()),
            said("ab", FinishReason::Other("pause_turn".into()))
        );
        let empty = Err(ReplyError::malformed("a message without text"));
        assert_eq!(read(json!("end_turn"), json!([])), empty);
        let missing = Err(ReplyError::malformed("no content in the body"));
        assert_eq!(messages().read(&json!({"error": {}})), missing);
    }

    #[test]
    fn input_is_the_sum_of_plain_read_and_written_tokens() {
        let body = json!({"input_tokens": 5, "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 100, "output_tokens": 7});
        let expected = TokenUsage {
            input: 125,
            cached_input: 100,
            cache_write: 20,
            output: 7,
            estimated: false,
        };
        assert_eq!(usage(&body), Some(expected));
    }
}
