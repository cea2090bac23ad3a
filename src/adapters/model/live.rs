//! A model behind HTTP, whatever dialect it speaks: one attempt, within its deadline.
//!
//! The only request that is ever repeated here is one that the server refused because it does not know an
//! optional field; that costs nothing, and what was learnt is shared by the process (see [`UnsupportedFields`]).

use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::{
    adapters::model::{
        error::BuildError,
        http::Endpoint,
        options::{ModelOptions, Secret},
        quirks::UnsupportedFields,
        shared::HttpClients,
        trouble,
        trouble::{ApiErrorBody, HttpReply},
    },
    domain::model::{
        FinishReason, ModelError, ModelErrorKind, ModelReply, ModelRequest, TokenUsage,
    },
    ports::{BoxFuture, model::Model},
};

/// A shorter key protects nothing.
const SHORTEST_SECRET: usize = 8;
/// Refusals that are answered by leaving out a field: one for each quirk.
const MAX_LESSONS: u32 = 3;

/// How one provider's protocol looks.
pub(super) trait Dialect: Send + Sync {
    /// The provider's word.
    fn provider(&self) -> &'static str;
    /// The address when none is configured, and the path below any address.
    fn default_endpoint(&self) -> (&'static str, &'static str);
    /// The path at which servers list their models.
    fn models_path(&self) -> &'static str;
    /// The headers of every request.
    fn headers(&self, key: Option<&Secret>) -> Result<HeaderMap, BuildError>;
    /// Drops from a configured base URL what users add by habit.
    fn trim_base_url<'a>(&self, configured: &'a str) -> &'a str {
        configured
    }
    /// The body of a request.
    fn body(&self, query: &ModelRequest, quirks: UnsupportedFields) -> Value;
    /// Reads the body of a success.
    fn read(&self, body: &Value) -> Result<ParsedReply, ReplyError>;
}

/// What a success says.
#[derive(Debug, PartialEq)]
pub(super) struct ParsedReply {
    pub(super) text: String,
    pub(super) finish: FinishReason,
    pub(super) model: Option<String>,
    pub(super) usage: Option<TokenUsage>,
}

impl ParsedReply {
    /// Puts together what was read from `body`; a reply without a text is none, unless it was refused or cut.
    pub(super) fn new(
        body: &Value,
        text: String,
        finish: FinishReason,
        usage: impl Fn(&Value) -> Option<TokenUsage>,
    ) -> Result<Self, ReplyError> {
        if text.is_empty() && !matches!(finish, FinishReason::Refused | FinishReason::Cut) {
            return Err(ReplyError::malformed("a message without text"));
        }
        Ok(Self {
            text,
            finish,
            model: body.get("model").and_then(Value::as_str).map(str::to_owned),
            usage: body.get("usage").and_then(usage),
        })
    }
}

/// Why a success is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReplyError {
    pub(super) trouble: ModelErrorKind,
    pub(super) problem: String,
}

impl ReplyError {
    pub(super) fn malformed(problem: &str) -> Self {
        Self {
            trouble: ModelErrorKind::Malformed,
            problem: problem.to_owned(),
        }
    }
}

/// Returns the endpoint below `path`, or what the options lack.
pub(super) fn endpoint(
    dialect: &dyn Dialect,
    options: &ModelOptions,
    path: &str,
    shared: &HttpClients,
) -> Result<Endpoint, BuildError> {
    let provider = dialect.provider();
    if options.model.trim().is_empty() {
        return Err(BuildError::ModelMissing { provider });
    }
    let key = key(options);
    if let Some(variable) = options.provider.key_variable()
        && key.is_none()
        && options.base_url.is_none()
    {
        return Err(BuildError::KeyMissing { provider, variable });
    }
    let configured = options.base_url.as_deref();
    let base = configured.map_or(dialect.default_endpoint().0, |base| {
        dialect.trim_base_url(base)
    });
    Endpoint::new(provider, base, path, dialect.headers(key)?, shared)
}

/// Returns the key; an empty one is none.
fn key(options: &ModelOptions) -> Option<&Secret> {
    let key = options.api_key.as_ref();
    key.filter(|key| !key.expose_secret().is_empty())
}

/// A model behind HTTP.
pub(super) struct HttpModel<D> {
    dialect: D,
    model: String,
    endpoint: Endpoint,
    key: Option<Secret>,
    schema: bool,
    /// Server and model: what quirks are remembered by.
    place: String,
    shared: HttpClients,
}

impl<D: Dialect> HttpModel<D> {
    pub(super) fn new(
        dialect: D,
        options: &ModelOptions,
        shared: &HttpClients,
    ) -> Result<Self, BuildError> {
        let path = dialect.default_endpoint().1;
        let endpoint = endpoint(&dialect, options, path, shared)?;
        Ok(Self {
            place: format!("{} {}", endpoint.shown(), options.model),
            dialect,
            model: options.model.clone(),
            endpoint,
            key: key(options).cloned(),
            schema: options.schema,
            shared: shared.clone(),
        })
    }

    async fn attempt(&self, query: &ModelRequest) -> Result<ModelReply, ModelError> {
        let started = Instant::now();
        let answered = tokio::time::timeout(query.deadline, self.exchange(query)).await;
        let said = answered.unwrap_or_else(|_| Err(self.too_late(query.deadline)));
        match said {
            Ok((said, request_id)) => Ok(self.reply(query, said, request_id, started.elapsed())),
            Err(failure) => Err(ModelError {
                message: self.clean(&failure.message),
                ..failure
            }),
        }
    }

    async fn exchange(
        &self,
        query: &ModelRequest,
    ) -> Result<(ParsedReply, Option<String>), ModelError> {
        let mut quirks = self.shared.quirks(&self.place);
        quirks.no_schema |= !self.schema;
        let mut lessons = 0;
        loop {
            let body = self.dialect.body(query, quirks).to_string().into_bytes();
            let answer = self.endpoint.post(body).await?;
            if (200..300).contains(&answer.status) {
                return self.read(&answer).map(|said| (said, answer.request_id));
            }
            let error = ApiErrorBody::read(&answer.body);
            let Some(next) = quirks.after(answer.status, &error) else {
                return Err(trouble::from_answer(
                    self.dialect.provider(),
                    &answer,
                    &error,
                ));
            };
            lessons += 1;
            if lessons > MAX_LESSONS {
                return Err(trouble::from_answer(
                    self.dialect.provider(),
                    &answer,
                    &error,
                ));
            }
            self.learn(next, &error);
            quirks = next;
        }
    }

    fn learn(&self, quirks: UnsupportedFields, error: &ApiErrorBody) {
        tracing::warn!(
            server = self.endpoint.shown(),
            model = self.model,
            refusal = self.clean(&error.message),
            "the server refused an optional field, asking without it from now on: {quirks:?}"
        );
        self.shared.remember(&self.place, quirks);
    }

    fn read(&self, answer: &HttpReply) -> Result<ParsedReply, ModelError> {
        let malformed =
            |problem: &str| trouble::malformed(self.dialect.provider(), answer, problem);
        let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
            let text = String::from_utf8_lossy(&answer.body);
            let url = self.endpoint.shown();
            return Err(if text.trim_start().starts_with('<') {
                malformed(&format!(
                    "a page (HTML) instead of JSON from {url}; does `base_url` end in /v1?"
                ))
            } else {
                let shown = trouble::shorten(&text);
                malformed(&format!("a body that is not JSON from {url}: {shown}"))
            });
        };
        self.dialect.read(&body).map_err(|misread| {
            let error = body
                .get("error")
                .map(|_| ApiErrorBody::read(&answer.body).message);
            let error = error.map(|message| format!("; it says: {message}"));
            ModelError {
                trouble: misread.trouble,
                ..malformed(&format!("{}{}", misread.problem, error.unwrap_or_default()))
            }
        })
    }

    fn reply(
        &self,
        query: &ModelRequest,
        said: ParsedReply,
        request_id: Option<String>,
        elapsed: Duration,
    ) -> ModelReply {
        ModelReply {
            usage: said
                .usage
                .unwrap_or_else(|| estimate_usage(&query.prompt, &said.text)),
            text: self.shared.clean(&said.text),
            finish: said.finish,
            provider: self.dialect.provider().to_owned(),
            model: said.model.unwrap_or_else(|| self.model.clone()),
            request_id,
            elapsed_ms: elapsed.as_millis().try_into().unwrap_or(u64::MAX),
        }
    }

    fn too_late(&self, deadline: Duration) -> ModelError {
        let provider = self.dialect.provider();
        let (seconds, url) = (deadline.as_secs_f64(), self.endpoint.shown());
        ModelError {
            trouble: ModelErrorKind::TimedOut,
            message: format!("{provider} API error: no whole answer within {seconds} s from {url}"),
            retry_after_ms: None,
            request_id: None,
        }
    }

    fn clean(&self, text: &str) -> String {
        redact(text, self.key.as_ref(), &self.shared)
    }
}

/// Removes secrets from a failure's words, the own key first: a provider may quote it in its refusal.
/// Short keys are the placeholders that local servers are given, and common words.
pub(super) fn redact(text: &str, key: Option<&Secret>, shared: &HttpClients) -> String {
    match key {
        Some(key)
            if key.expose_secret().len() >= SHORTEST_SECRET
                && text.contains(key.expose_secret()) =>
        {
            shared.clean(&text.replace(key.expose_secret(), "[redacted]"))
        }
        _ => shared.clean(text),
    }
}

impl<D: Dialect> Model for HttpModel<D> {
    fn ask<'a>(&'a self, query: &'a ModelRequest) -> BoxFuture<'a, Result<ModelReply, ModelError>> {
        Box::pin(self.attempt(query))
    }

    fn provider(&self) -> &str {
        self.dialect.provider()
    }

    fn model(&self) -> &str {
        &self.model
    }
}

/// Returns a guess at the tokens of a call whose provider reports none: four bytes each.
pub(super) fn estimate_usage(prompt: &str, text: &str) -> TokenUsage {
    let tokens = |text: &str| u64::try_from(text.len().div_ceil(4)).unwrap_or(u64::MAX);
    TokenUsage {
        input: tokens(prompt),
        output: tokens(text),
        estimated: true,
        ..TokenUsage::default()
    }
}

/// Reads a count at a JSON pointer.
pub(super) fn count(value: &Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer)?.as_u64()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::adapters::model::{
        chat::ChatCompletions, messages::AnthropicMessages, options::Provider,
        responses::OpenAiResponses,
    };

    /// Any JSON, its names taken from those the protocols use.
    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(|flag| json!(flag)),
            any::<i64>().prop_map(|number| json!(number)),
            "text|message|output_text|refusal|stop|length|failed|[a-z]{0,3}".prop_map(|t| json!(t)),
        ];
        let name = "choices|message|content|refusal|finish_reason|usage|output|type|text|status|error\
            |stop_reason|prompt_tokens|input_tokens|incomplete_details|reason|code";
        leaf.prop_recursive(5, 60, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(|list| json!(list)),
                proptest::collection::btree_map(name, inner, 0..6).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_answer_makes_a_dialect_panic_or_invent_text(body in anything()) {
            let options = ModelOptions::new(Provider::OpenAi, "m");
            let dialects: [Box<dyn Dialect>; 3] = [
                Box::new(ChatCompletions::new(&options)),
                Box::new(OpenAiResponses::new(&options)),
                Box::new(AnthropicMessages::new(&options).unwrap()),
            ];
            for dialect in dialects {
                if let Ok(said) = dialect.read(&body) {
                    let may_be_empty = matches!(said.finish, FinishReason::Refused | FinishReason::Cut);
                    prop_assert!(may_be_empty || !said.text.is_empty());
                }
            }
            drop(ApiErrorBody::read(body.to_string().as_bytes()));
        }
    }
}
