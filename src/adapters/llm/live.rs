//! A model behind HTTP, whatever dialect it speaks: one attempt, within its deadline.
//!
//! The only request that is ever repeated here is one that the server refused because it does not know an
//! optional field; that costs nothing, and what was learnt is shared by the process (see [`Quirks`]).

use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::{
    adapters::llm::{
        error::BuildError,
        http::Endpoint,
        options::{ModelOptions, Secret},
        quirks::Quirks,
        shared::Shared,
        trouble::{self, Answer, ApiError},
    },
    domain::model::{Failure, Finish, Query, Reply, Trouble, Usage},
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
    fn address(&self) -> (&'static str, &'static str);
    /// The path at which servers list their models.
    fn list(&self) -> &'static str;
    /// The environment variable in which users keep the key.
    fn key_variable(&self) -> &'static str;
    /// The headers of every request.
    fn headers(&self, key: Option<&Secret>) -> Result<HeaderMap, BuildError>;
    /// Drops from a configured base URL what users add by habit.
    fn base<'a>(&self, configured: &'a str) -> &'a str {
        configured
    }
    /// The body of a request.
    fn body(&self, query: &Query, quirks: Quirks) -> Value;
    /// Reads the body of a success.
    fn read(&self, body: &Value) -> Result<Said, Misread>;
}

/// What a success says.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) finish: Finish,
    pub(super) model: Option<String>,
    pub(super) usage: Option<Usage>,
}

/// Why a success is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misread {
    pub(super) trouble: Trouble,
    pub(super) problem: String,
}

impl Misread {
    pub(super) fn malformed(problem: &str) -> Self {
        Self {
            trouble: Trouble::Malformed,
            problem: problem.to_owned(),
        }
    }
}

/// Returns the endpoint below `path`, or what the options lack.
pub(super) fn endpoint(
    dialect: &dyn Dialect,
    options: &ModelOptions,
    path: &str,
    shared: &Shared,
) -> Result<Endpoint, BuildError> {
    let provider = dialect.provider();
    if options.model.trim().is_empty() {
        return Err(BuildError::ModelMissing { provider });
    }
    let key = key(options);
    if key.is_none() && options.base_url.is_none() {
        let variable = dialect.key_variable();
        return Err(BuildError::KeyMissing { provider, variable });
    }
    let configured = options.base_url.as_deref();
    let base = configured.map_or(dialect.address().0, |base| dialect.base(base));
    Endpoint::new(provider, base, path, dialect.headers(key)?, shared)
}

/// Returns the key; an empty one is none.
fn key(options: &ModelOptions) -> Option<&Secret> {
    let key = options.api_key.as_ref();
    key.filter(|key| !key.reveal().is_empty())
}

/// A model behind HTTP.
pub(super) struct Live<D> {
    dialect: D,
    model: String,
    endpoint: Endpoint,
    key: Option<Secret>,
    schema: bool,
    /// Server and model: what quirks are remembered by.
    place: String,
    shared: Shared,
}

impl<D: Dialect> Live<D> {
    pub(super) fn new(
        dialect: D,
        options: &ModelOptions,
        shared: &Shared,
    ) -> Result<Self, BuildError> {
        let path = dialect.address().1;
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

    async fn attempt(&self, query: &Query) -> Result<Reply, Failure> {
        let started = Instant::now();
        let answered = tokio::time::timeout(query.deadline, self.exchange(query)).await;
        let said = answered.unwrap_or_else(|_| Err(self.too_late(query.deadline)));
        match said {
            Ok((said, request_id)) => Ok(self.reply(query, said, request_id, started.elapsed())),
            Err(failure) => Err(Failure {
                message: self.clean(&failure.message),
                ..failure
            }),
        }
    }

    async fn exchange(&self, query: &Query) -> Result<(Said, Option<String>), Failure> {
        let mut quirks = self.shared.quirks(&self.place);
        quirks.no_schema |= !self.schema;
        let mut lessons = 0;
        loop {
            let body = self.dialect.body(query, quirks).to_string().into_bytes();
            let answer = self.endpoint.post(body).await?;
            if (200..300).contains(&answer.status) {
                return self.read(&answer).map(|said| (said, answer.request_id));
            }
            let error = ApiError::read(&answer.body);
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

    fn learn(&self, quirks: Quirks, error: &ApiError) {
        tracing::warn!(
            server = self.endpoint.shown(),
            model = self.model,
            refusal = self.clean(&error.message),
            "the server refused an optional field, asking without it from now on: {quirks:?}"
        );
        self.shared.remember(&self.place, quirks);
    }

    fn read(&self, answer: &Answer) -> Result<Said, Failure> {
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
                .map(|_| ApiError::read(&answer.body).message);
            let error = error.map(|message| format!("; it says: {message}"));
            Failure {
                trouble: misread.trouble,
                ..malformed(&format!("{}{}", misread.problem, error.unwrap_or_default()))
            }
        })
    }

    fn reply(
        &self,
        query: &Query,
        said: Said,
        request_id: Option<String>,
        elapsed: Duration,
    ) -> Reply {
        Reply {
            usage: said
                .usage
                .unwrap_or_else(|| estimate(&query.prompt, &said.text)),
            text: self.shared.clean(&said.text),
            finish: said.finish,
            provider: self.dialect.provider().to_owned(),
            model: said.model.unwrap_or_else(|| self.model.clone()),
            request_id,
            elapsed_ms: elapsed.as_millis().try_into().unwrap_or(u64::MAX),
        }
    }

    fn too_late(&self, deadline: Duration) -> Failure {
        let provider = self.dialect.provider();
        let (seconds, url) = (deadline.as_secs_f64(), self.endpoint.shown());
        Failure {
            trouble: Trouble::TimedOut,
            message: format!("{provider} API error: no whole answer within {seconds} s from {url}"),
            retry_after_ms: None,
            request_id: None,
        }
    }

    fn clean(&self, text: &str) -> String {
        clean(text, self.key.as_ref(), &self.shared)
    }
}

/// Removes secrets from a failure's words, the own key first: a provider may quote it in its refusal.
/// Short keys are the placeholders that local servers are given, and common words.
pub(super) fn clean(text: &str, key: Option<&Secret>, shared: &Shared) -> String {
    match key {
        Some(key) if key.reveal().len() >= SHORTEST_SECRET && text.contains(key.reveal()) => {
            shared.clean(&text.replace(key.reveal(), "[redacted]"))
        }
        _ => shared.clean(text),
    }
}

impl<D: Dialect> Model for Live<D> {
    fn ask<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Reply, Failure>> {
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
pub(super) fn estimate(prompt: &str, text: &str) -> Usage {
    let tokens = |text: &str| u64::try_from(text.len().div_ceil(4)).unwrap_or(u64::MAX);
    Usage {
        input: tokens(prompt),
        output: tokens(text),
        estimated: true,
        ..Usage::default()
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
    use crate::adapters::llm::{
        chat::Chat, messages::Messages, options::Provider, responses::Responses,
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
                Box::new(Chat::new(&options)),
                Box::new(Responses::new(&options)),
                Box::new(Messages::new(&options).unwrap()),
            ];
            for dialect in dialects {
                if let Ok(said) = dialect.read(&body) {
                    let may_be_empty = matches!(said.finish, Finish::Refused | Finish::Cut);
                    prop_assert!(may_be_empty || !said.text.is_empty());
                }
            }
            drop(ApiError::read(body.to_string().as_bytes()));
        }
    }
}
