//! Builds the models that a service asks, from its own file.

use std::{path::Path, sync::Arc};

use crate::{
    adapters::model,
    config::service_models::ServiceModel,
    domain::{provider::Provider, redaction::Redactor},
    interfaces::cli::exit::CliError,
    ports::model::Model,
};

/// The most tokens of one answer where nothing is said; a plan is longer than a step of a job.
const MAX_TOKENS: u32 = 8_000;

/// Builds a model; the error names what is missing.
pub(super) fn build(
    texts: &[(String, String)],
    redactor: &Redactor,
    root: &Path,
    wanted: &ServiceModel,
) -> Result<Arc<dyn Model>, CliError> {
    let unknown = || CliError::Setup(format!("no provider is called \"{}\"", wanted.provider));
    let provider = Provider::from_word(&wanted.provider).ok_or_else(unknown)?;
    let name = wanted.api_key_env.as_deref().or(provider.key_variable());
    let key = texts
        .iter()
        .find(|(known, _)| Some(known.as_str()) == name)
        .map(|(_, value)| value.clone())
        .filter(|value| !value.trim().is_empty());
    // A server of one's own may need none.
    if let (Some(name), None, true) = (
        name,
        &key,
        wanted.base_url.is_none() || wanted.api_key_env.is_some(),
    ) {
        return Err(CliError::Setup(format!(
            "config/service.toml: the model `{}` needs {name}, which is not set in the environment",
            wanted.model
        )));
    }
    let api = wanted.api.as_deref().unwrap_or("chat");
    let environment = texts.iter();
    let environment = environment.filter(|(name, _)| !Provider::is_key_variable(name));
    let options = model::ModelOptions {
        base_url: wanted.base_url.clone(),
        api: model::OpenAiApi::from_word(api).unwrap_or_default(),
        api_key: key.as_deref().map(model::Secret::new),
        temperature: wanted.temperature,
        max_tokens: Some(wanted.max_tokens.unwrap_or(MAX_TOKENS)),
        schema: false,
        argv: wanted.argv.clone(),
        directory: root.to_owned(),
        environment: environment.cloned().collect(),
        recording: wanted
            .replay_file
            .as_ref()
            .map(|file| model::ReplaySource::File(root.join(file))),
        record_to: wanted.record_file.as_ref().map(|file| root.join(file)),
        ..model::ModelOptions::new(provider, &wanted.model)
    };
    let shared = model::HttpClients::new(redactor.clone());
    let built = model::build(&options, &shared);
    built
        .map(Arc::from)
        .map_err(|error| CliError::Setup(format!("config/service.toml: {error}")))
}
