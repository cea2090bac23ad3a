//! The Chat Completions dialect: OpenAI's older protocol, and the one every compatible server has.

use reqwest::header::{AUTHORIZATION, HeaderMap};
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

/// The provider's word.
pub(super) const PROVIDER: &str = Provider::OpenAi.as_str();
/// OpenAI's own address.
pub(super) const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";

/// Chat Completions.
pub(super) struct ChatCompletions {
    model: String,
    temperature: Option<f64>,
    max_tokens: u32,
    /// OpenAI itself wants the newer name of the ceiling; compatible servers mostly know the older one.
    newer_ceiling: bool,
}

impl ChatCompletions {
    pub(super) fn new(options: &ModelOptions) -> Self {
        let base = options.base_url.as_deref().unwrap_or(DEFAULT_BASE_URL);
        Self {
            model: options.model.clone(),
            temperature: options.temperature,
            max_tokens: options.ceiling(),
            newer_ceiling: base.contains("://api.openai.com"),
        }
    }
}

/// Returns the headers of both OpenAI protocols.
pub(super) fn bearer(key: Option<&Secret>) -> Result<HeaderMap, BuildError> {
    let mut headers = http::headers();
    if let Some(key) = key {
        http::add_key(&mut headers, PROVIDER, AUTHORIZATION, "Bearer ", key)?;
    }
    Ok(headers)
}

impl Dialect for ChatCompletions {
    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn default_endpoint(&self) -> (&'static str, &'static str) {
        (DEFAULT_BASE_URL, "/chat/completions")
    }

    fn models_path(&self) -> &'static str {
        "/models"
    }

    fn headers(&self, key: Option<&Secret>) -> Result<HeaderMap, BuildError> {
        bearer(key)
    }

    fn body(&self, query: &ModelRequest, quirks: UnsupportedFields) -> Value {
        let mut body = json!({
            "model": self.model,
            "messages": [{"role": "user", "content": query.prompt}],
        });
        if let Some(temperature) = self.temperature.filter(|_| !quirks.no_temperature) {
            body["temperature"] = json!(temperature);
        }
        let newer = self.newer_ceiling != quirks.other_ceiling;
        let ceiling = if newer {
            "max_completion_tokens"
        } else {
            "max_tokens"
        };
        body[ceiling] = json!(self.max_tokens);
        if !quirks.no_schema {
            body["response_format"] = json!({
                "type": "json_schema",
                "json_schema": {
                    "name": query.role.as_str(),
                    "strict": true,
                    "schema": proposal::reply_schema(query.role),
                },
            });
        }
        body
    }

    fn read(&self, body: &Value) -> Result<ParsedReply, ReplyError> {
        let choice = body
            .pointer("/choices/0")
            .ok_or_else(|| ReplyError::malformed("no choices in the body"))?;
        let refusal = choice.pointer("/message/refusal").and_then(Value::as_str);
        let content = choice.pointer("/message/content").map(content);
        let finish = match (refusal, choice.get("finish_reason").and_then(Value::as_str)) {
            (Some(_), _) | (_, Some("content_filter")) => FinishReason::Refused,
            (_, None | Some("stop")) => FinishReason::Complete,
            (_, Some("length")) => FinishReason::Cut,
            (_, Some(other)) => FinishReason::Other(other.to_owned()),
        };
        let text = refusal.map_or_else(|| content.unwrap_or_default(), str::to_owned);
        ParsedReply::new(body, text, finish, usage)
    }
}

/// Contents are a text, or a list of parts of which some are texts.
fn content(value: &Value) -> String {
    let parts = value.as_array().into_iter().flatten();
    let texts = parts.filter_map(|part| part.get("text")?.as_str());
    value
        .as_str()
        .map_or_else(|| texts.collect(), str::to_owned)
}

fn usage(value: &Value) -> Option<TokenUsage> {
    Some(TokenUsage {
        input: count(value, "/prompt_tokens")?,
        cached_input: count(value, "/prompt_tokens_details/cached_tokens").unwrap_or(0),
        cache_write: count(value, "/prompt_tokens_details/cache_write_tokens").unwrap_or(0),
        output: count(value, "/completion_tokens").unwrap_or(0),
        estimated: false,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::model::ModelRole;

    fn chat(base_url: Option<&str>) -> ChatCompletions {
        let mut options = ModelOptions::new(Provider::OpenAi, "m");
        options.base_url = base_url.map(str::to_owned);
        options.temperature = Some(0.5);
        options.max_tokens = Some(2_000);
        ChatCompletions::new(&options)
    }

    fn query() -> ModelRequest {
        ModelRequest {
            role: ModelRole::Draft,
            prompt: "P".into(),
            job: 1,
            turn: 0,
            deadline: Duration::from_secs(1),
        }
    }

    #[test]
    fn the_request_has_every_option_and_the_schema() {
        let body = chat(Some("http://h/v1")).body(&query(), UnsupportedFields::default());
        let expected = json!({
            "model": "m",
            "messages": [{"role": "user", "content": "P"}],
            "temperature": 0.5,
            "max_tokens": 2000,
            "response_format": {"type": "json_schema", "json_schema": {
                "name": "draft", "strict": true, "schema": proposal::reply_schema(ModelRole::Draft)}},
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn what_a_server_refuses_is_left_out() {
        let quirks = UnsupportedFields {
            no_schema: true,
            no_temperature: true,
            other_ceiling: true,
        };
        let body = chat(Some("http://h/v1")).body(&query(), quirks);
        let messages = json!([{"role": "user", "content": "P"}]);
        let expected = json!({"model": "m", "messages": messages, "max_completion_tokens": 2000});
        assert_eq!(body, expected);
        assert!(
            chat(None)
                .body(&query(), UnsupportedFields::default())
                .get("max_tokens")
                .is_none()
        );
    }

    #[test]
    fn endings_and_contents_are_understood() {
        let read = |message: Value, finish: Value| {
            let body = json!({"choices": [{"message": message, "finish_reason": finish}]});
            chat(None).read(&body).map(|said| (said.text, said.finish))
        };
        let said = |text: &str, finish| Ok((text.to_owned(), finish));
        assert_eq!(
            read(json!({"content": "a"}), json!("stop")),
            said("a", FinishReason::Complete)
        );
        assert_eq!(
            read(json!({"content": "a"}), Value::Null),
            said("a", FinishReason::Complete)
        );
        assert_eq!(
            read(
                json!({"content": [{"type": "text", "text": "a"}, {"text": "b"}]}),
                json!("stop")
            ),
            said("ab", FinishReason::Complete)
        );
        assert_eq!(
            read(json!({"content": null}), json!("length")),
            said("", FinishReason::Cut)
        );
        assert_eq!(
            read(json!({"refusal": "no"}), json!("stop")),
            said("no", FinishReason::Refused)
        );
        assert_eq!(
            read(json!({"content": ""}), json!("content_filter")),
            said("", FinishReason::Refused)
        );
        let other = FinishReason::Other("tool_calls".into());
        assert_eq!(
            read(json!({"content": "a"}), json!("tool_calls")),
            said("a", other)
        );
        let empty = Err(ReplyError::malformed("a message without text"));
        assert_eq!(read(json!({"content": null}), json!("stop")), empty);
    }

    #[test]
    fn w34_a_body_without_choices_is_malformed() {
        for body in [
            json!({"error": {}}),
            json!({"choices": []}),
            json!(null),
            json!([]),
        ] {
            let expected = Err(ReplyError::malformed("no choices in the body"));
            assert_eq!(chat(None).read(&body), expected);
        }
    }

    #[test]
    fn cached_tokens_are_part_of_the_input() {
        let body = json!({"prompt_tokens": 100, "completion_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 60}});
        let expected = TokenUsage {
            input: 100,
            cached_input: 60,
            output: 20,
            ..TokenUsage::default()
        };
        assert_eq!(usage(&body), Some(expected));
        assert_eq!(usage(&json!({})), None);
    }
}
