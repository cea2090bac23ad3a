//! Looks whether a model is there, without asking it anything: no tokens, no cost.
//!
//! Servers are asked for the list of their models, which also tells whether the key is good. Programs
//! are looked up, recordings are read.

use std::time::Duration;

use serde_json::Value;

use crate::{
    adapters::{
        model::{
            build,
            chat::ChatCompletions,
            error::BuildError,
            live,
            live::Dialect,
            messages::AnthropicMessages,
            options::{ModelOptions, Provider},
            shared::HttpClients,
            trouble,
            trouble::{ApiErrorBody, HttpReply},
        },
        process::find_program,
    },
    domain::model::{ModelError, ModelErrorKind},
};

/// How alike two names must be for one to be offered instead of the other.
const ALIKE: f64 = 0.7;

/// What a look at a model tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelCheck {
    /// It is there.
    Ready,
    /// The server answers and knows other models only.
    Unlisted {
        /// The name most like the configured one.
        nearest: Option<String>,
    },
    /// The server answers but has no list, so only a question would tell.
    NoList,
}

/// Why a look failed.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The options are at fault.
    #[error(transparent)]
    Options(#[from] BuildError),
    /// The server or the program is.
    #[error(transparent)]
    Failure(#[from] ModelError),
}

/// Looks whether the model that `options` describe is there; takes no longer than `deadline`.
pub async fn check(
    options: &ModelOptions,
    shared: &HttpClients,
    deadline: Duration,
) -> Result<ModelCheck, CheckError> {
    let looked = match options.provider {
        Provider::OpenAi => look(&ChatCompletions::new(options), options, shared, deadline).await,
        Provider::Anthropic => {
            look(&AnthropicMessages::new(options)?, options, shared, deadline).await
        }
        Provider::Command => find_program(options),
        Provider::Replay => build(options, shared)
            .map(|_| ModelCheck::Ready)
            .map_err(CheckError::from),
    };
    looked.map_err(|error| match error {
        CheckError::Failure(failure) => CheckError::Failure(ModelError {
            message: live::redact(&failure.message, options.api_key.as_ref(), shared),
            ..failure
        }),
        CheckError::Options(error) => CheckError::Options(error),
    })
}

async fn look(
    dialect: &dyn Dialect,
    options: &ModelOptions,
    shared: &HttpClients,
    deadline: Duration,
) -> Result<ModelCheck, CheckError> {
    let endpoint = live::endpoint(dialect, options, dialect.models_path(), shared)?;
    let answered = tokio::time::timeout(deadline, endpoint.get()).await;
    let answer = answered.unwrap_or_else(|_| {
        let (provider, url) = (dialect.provider(), endpoint.shown());
        let seconds = deadline.as_secs_f64();
        Err(ModelError {
            trouble: ModelErrorKind::TimedOut,
            message: format!("{provider} API error: no whole answer within {seconds} s from {url}"),
            retry_after_ms: None,
            request_id: None,
        })
    })?;
    Ok(judge(dialect.provider(), &options.model, &answer)?)
}

fn judge(provider: &str, model: &str, answer: &HttpReply) -> Result<ModelCheck, ModelError> {
    if matches!(answer.status, 404 | 405 | 501) {
        return Ok(ModelCheck::NoList);
    }
    if !(200..300).contains(&answer.status) {
        let error = ApiErrorBody::read(&answer.body);
        return Err(trouble::from_answer(provider, answer, &error));
    }
    let Some(names) = names(&answer.body) else {
        return Ok(ModelCheck::NoList);
    };
    if names.iter().any(|name| is_meant(model, name)) {
        return Ok(ModelCheck::Ready);
    }
    let likeness = |name: &String| strsim::jaro_winkler(model, name);
    let nearest = names
        .into_iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .filter(|name| likeness(name) >= ALIKE);
    Ok(ModelCheck::Unlisted { nearest })
}

/// Returns the names in a list of models; `None` when the body is no such list.
fn names(body: &[u8]) -> Option<Vec<String>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let listed = body.get("data")?.as_array()?.iter();
    Some(
        listed
            .filter_map(|model| model.get("id")?.as_str().map(str::to_owned))
            .collect(),
    )
}

/// Returns whether a listed name is the configured one; Ollama lists `name` as `name:latest`.
fn is_meant(model: &str, listed: &str) -> bool {
    listed == model || listed.strip_suffix(":latest") == Some(model)
}

/// Returns why the program that serves as the model cannot be started; `None` where there is one, or where none is
/// needed.
pub fn missing_program(options: &ModelOptions) -> Option<String> {
    let is_program = options.provider == Provider::Command;
    let error = find_program(options).err().filter(|_| is_program)?;
    Some(error.to_string())
}

fn find_program(options: &ModelOptions) -> Result<ModelCheck, CheckError> {
    let name = options.argv.first().ok_or(BuildError::ArgvMissing)?;
    let path = options.environment.iter().find(|(key, _)| key == "PATH");
    let path = path.map_or("", |(_, value)| value.as_str());
    if find_program::find(path.as_ref(), &options.directory, name.as_ref()).is_some() {
        return Ok(ModelCheck::Ready);
    }
    Err(CheckError::Failure(ModelError {
        trouble: ModelErrorKind::Rejected,
        message: format!(
            "the model program `{name}` is not there, or not executable (PATH {path})"
        ),
        retry_after_ms: None,
        request_id: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str) -> Result<ModelCheck, ModelError> {
        let answer = HttpReply {
            status,
            body: body.as_bytes().to_vec(),
            ..HttpReply::default()
        };
        judge("openai", "gpt-4o-mini", &answer)
    }

    #[test]
    fn a_list_tells_whether_the_model_is_there_or_what_is_like_it() {
        let list = |name: &str| format!(r#"{{"data":[{{"id":"whisper"}},{{"id":"{name}"}}]}}"#);
        assert_eq!(judged(200, &list("gpt-4o-mini")), Ok(ModelCheck::Ready));
        assert_eq!(
            judged(200, &list("gpt-4o-mini:latest")),
            Ok(ModelCheck::Ready)
        );
        let nearest = Some("gpt-4.1-mini".to_owned());
        assert_eq!(
            judged(200, &list("gpt-4.1-mini")),
            Ok(ModelCheck::Unlisted { nearest })
        );
        let nearest = None;
        assert_eq!(
            judged(200, &list("zzz")),
            Ok(ModelCheck::Unlisted { nearest })
        );
    }

    #[test]
    fn a_server_without_a_list_is_there_all_the_same() {
        assert_eq!(judged(404, ""), Ok(ModelCheck::NoList));
        assert_eq!(judged(200, "hello"), Ok(ModelCheck::NoList));
        assert_eq!(
            judged(401, "").unwrap_err().trouble,
            ModelErrorKind::Unauthorised
        );
    }
}
