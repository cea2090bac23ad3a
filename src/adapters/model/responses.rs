//! The Responses dialect: OpenAI's newer protocol, asked not to keep what it is told.

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::{
    adapters::model::{
        chat::{DEFAULT_BASE_URL, PROVIDER, bearer},
        error::BuildError,
        live::{Dialect, ParsedReply, ReplyError, count},
        options::{ModelOptions, Secret},
        quirks::UnsupportedFields,
    },
    domain::{
        job::proposal,
        model::{FinishReason, ModelErrorKind, ModelRequest, TokenUsage},
    },
};

/// Responses.
pub(super) struct OpenAiResponses {
    model: String,
    temperature: Option<f64>,
    max_tokens: u32,
}

impl OpenAiResponses {
    pub(super) fn new(options: &ModelOptions) -> Self {
        Self {
            model: options.model.clone(),
            temperature: options.temperature,
            max_tokens: options.ceiling(),
        }
    }
}

impl Dialect for OpenAiResponses {
    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn default_endpoint(&self) -> (&'static str, &'static str) {
        (DEFAULT_BASE_URL, "/responses")
    }

    fn models_path(&self) -> &'static str {
        "/models"
    }

    fn headers(&self, key: Option<&Secret>) -> Result<HeaderMap, BuildError> {
        bearer(key)
    }

    fn body(&self, query: &ModelRequest, quirks: UnsupportedFields) -> Value {
        // Without `store: false` the provider keeps prompts and replies for a month.
        let mut body = json!({
            "model": self.model,
            "input": query.prompt,
            "store": false,
            "max_output_tokens": self.max_tokens,
        });
        if let Some(temperature) = self.temperature.filter(|_| !quirks.no_temperature) {
            body["temperature"] = json!(temperature);
        }
        if !quirks.no_schema {
            body["text"] = json!({"format": {
                "type": "json_schema",
                "name": query.role.as_str(),
                "strict": true,
                "schema": proposal::reply_schema(query.role),
            }});
        }
        body
    }

    fn read(&self, body: &Value) -> Result<ParsedReply, ReplyError> {
        let status = body.get("status").and_then(Value::as_str);
        if matches!(status, Some("failed" | "cancelled")) {
            return Err(failed(body));
        }
        let parts = parts(body)?;
        let refusal = text_of(&parts, "refusal", "refusal");
        let text = text_of(&parts, "output_text", "text");
        let finish = match refusal {
            Some(_) => FinishReason::Refused,
            None => finish(body, status),
        };
        let text = refusal.or(text).unwrap_or_default();
        ParsedReply::new(body, text, finish, usage)
    }
}

/// Returns the content parts of all messages; reasoning and tool items have none.
fn parts(body: &Value) -> Result<Vec<&Value>, ReplyError> {
    let output = body
        .get("output")
        .and_then(Value::as_array)
        .ok_or_else(|| ReplyError::malformed("no output in the body"))?;
    let messages = output
        .iter()
        .filter(|item| item.get("type").is_some_and(|kind| kind == "message"));
    Ok(messages
        .filter_map(|message| message.get("content")?.as_array())
        .flatten()
        .collect())
}

/// Joins the texts of the parts of one type; `None` when there is no such part.
fn text_of(parts: &[&Value], kind: &str, field: &str) -> Option<String> {
    let mut texts = parts
        .iter()
        .filter(|part| part.get("type").is_some_and(|have| have == kind))
        .filter_map(|part| part.get(field)?.as_str())
        .peekable();
    texts.peek()?;
    Some(texts.collect())
}

fn finish(body: &Value, status: Option<&str>) -> FinishReason {
    let reason = body
        .pointer("/incomplete_details/reason")
        .and_then(Value::as_str);
    match (status, reason) {
        (Some("incomplete"), Some("max_output_tokens")) => FinishReason::Cut,
        (Some("incomplete"), Some("content_filter")) => FinishReason::Refused,
        (Some("incomplete"), reason) => {
            FinishReason::Other(reason.unwrap_or("incomplete").to_owned())
        }
        (None | Some("completed"), _) => FinishReason::Complete,
        (Some(other), _) => FinishReason::Other(other.to_owned()),
    }
}

fn failed(body: &Value) -> ReplyError {
    let code = body.pointer("/error/code").and_then(Value::as_str);
    ReplyError {
        trouble: match code {
            Some("rate_limit_exceeded") => ModelErrorKind::RateLimited,
            None | Some("server_error") => ModelErrorKind::ServerError,
            Some(_) => ModelErrorKind::Rejected,
        },
        problem: format!("a failed response ({})", code.unwrap_or("no code")),
    }
}

fn usage(value: &Value) -> Option<TokenUsage> {
    Some(TokenUsage {
        input: count(value, "/input_tokens")?,
        cached_input: count(value, "/input_tokens_details/cached_tokens").unwrap_or(0),
        cache_write: count(value, "/input_tokens_details/cache_write_tokens").unwrap_or(0),
        output: count(value, "/output_tokens").unwrap_or(0),
        estimated: false,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{adapters::model::options::Provider, domain::model::ModelRole};

    fn responses() -> OpenAiResponses {
        let mut options = ModelOptions::new(Provider::OpenAi, "m");
        options.max_tokens = Some(9);
        OpenAiResponses::new(&options)
    }

    #[test]
    fn the_request_forbids_keeping_and_carries_the_schema() {
        let query = ModelRequest {
            role: ModelRole::Review,
            prompt: "P".into(),
            job: 1,
            turn: 0,
            deadline: Duration::from_secs(1),
        };
        let expected = json!({
            "model": "m", "input": "P", "store": false, "max_output_tokens": 9,
            "text": {"format": {"type": "json_schema", "name": "review", "strict": true,
                "schema": proposal::reply_schema(ModelRole::Review)}},
        });
        assert_eq!(
            responses().body(&query, UnsupportedFields::default()),
            expected
        );
    }

    #[test]
    fn text_refusal_and_ends_are_understood() {
        let read = |status: &str, reason: Value, content: Value| {
            let body = json!({"status": status, "incomplete_details": {"reason": reason},
                "output": [{"type": "reasoning"}, {"type": "message", "content": content}]});
            responses().read(&body).map(|said| (said.text, said.finish))
        };
        let said = |text: &str, finish| Ok((text.to_owned(), finish));
        let text =
            json!([{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}]);
        let refusal = json!([{"type": "refusal", "refusal": "no"}]);
        assert_eq!(
            read("completed", Value::Null, text.clone()),
            said("ab", FinishReason::Complete)
        );
        assert_eq!(
            read("completed", Value::Null, refusal),
            said("no", FinishReason::Refused)
        );
        assert_eq!(
            read("incomplete", json!("max_output_tokens"), json!([])),
            said("", FinishReason::Cut)
        );
        assert_eq!(
            read("incomplete", json!("steered"), text),
            said("ab", FinishReason::Other("steered".into()))
        );
        let empty = Err(ReplyError::malformed("a message without text"));
        assert_eq!(read("queued", Value::Null, json!([])), empty);
    }

    #[test]
    fn w34_failures_inside_a_success_are_typed() {
        let failed = |code: &str| {
            let body = json!({"status": "failed", "error": {"code": code, "message": "m"}});
            responses().read(&body).unwrap_err().trouble
        };
        assert_eq!(failed("rate_limit_exceeded"), ModelErrorKind::RateLimited);
        assert_eq!(failed("server_error"), ModelErrorKind::ServerError);
        assert_eq!(failed("invalid_prompt"), ModelErrorKind::Rejected);
        let missing = ReplyError::malformed("no output in the body");
        assert_eq!(
            responses().read(&json!({"status": "completed"})),
            Err(missing)
        );
    }

    #[test]
    fn usage_counts_cache_reads_and_writes() {
        let body = json!({"input_tokens": 10, "output_tokens": 3,
            "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2}});
        let expected = TokenUsage {
            input: 10,
            cached_input: 4,
            cache_write: 2,
            output: 3,
            estimated: false,
        };
        assert_eq!(usage(&body), Some(expected));
    }
}
