//! Turning settings into the option structs of adapters, value by value.

use std::{ffi::OsString, path::Path, time::Duration};

use crate::{
    adapters::{model, process},
    config::{ModelSettings, Settings},
    domain::{
        job::rules::PerRole,
        model::{ModelError, ModelErrorKind, ModelRole},
        provider::Provider,
        redaction::Redactor,
    },
};

/// How long a look at a server's list of models may take.
const LOOK: Duration = Duration::from_secs(20);

/// Makes the redactor from every value in the environment whose name says that it is secret.
pub(super) fn redactor(environment: &[(String, String)]) -> Redactor {
    let pairs = environment.iter();
    Redactor::from_environment(pairs.map(|(name, value)| (name.as_str(), value.as_str())))
}

/// Returns the options of the runner.
pub(super) fn runner(
    settings: &Settings,
    environment: &[(OsString, OsString)],
    redactor: &Redactor,
) -> process::CommandRunnerOptions {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    process::CommandRunnerOptions {
        base_environment: environment.to_vec(),
        allow_environment: settings.environment_allow.clone(),
        head_bytes: size(settings.output.head_bytes),
        tail_bytes: size(settings.output.tail_bytes),
        disk_bytes: settings.output.disk_cap_bytes,
        grace: settings.rules.grace,
        task_folder: process::CommandDiskLimit {
            most_bytes: settings.sandbox.limits.root_mb.unwrap_or(0) << 20,
            ..process::CommandDiskLimit::default()
        },
        ..process::CommandRunnerOptions::new(settings.root.clone(), redactor.clone())
    }
}

/// Returns the options of one role's model; `replay` stands in for what `auto` cannot reach.
pub(super) fn model(
    settings: &Settings,
    role: ModelRole,
    replay: Option<&model::ReplaySource>,
    environment: &[(String, String)],
) -> model::ModelOptions {
    let wanted = settings.models.of(role);
    let replay = replay.filter(|_| wanted.auto);
    let provider = replay.map_or(wanted.provider, |_| Provider::Replay);
    let file = wanted
        .replay_file
        .as_ref()
        .map(|file| model::ReplaySource::File(settings.absolute(file)));
    model::ModelOptions {
        base_url: wanted.base_url.clone(),
        api: wanted.api,
        api_key: wanted.api_key.clone(),
        temperature: wanted.temperature,
        max_tokens: wanted.max_tokens,
        schema: wanted.schema,
        version: Some(wanted.version.clone()),
        argv: wanted.argv.clone(),
        directory: settings.root.clone(),
        environment: program_environment(settings, environment),
        recording: replay.cloned().or(file),
        record_to: settings.record.as_ref().map(|file| settings.absolute(file)),
        ..model::ModelOptions::new(provider, shown_model(wanted, replay.is_some()))
    }
}

const fn shown_model(wanted: &ModelSettings, replayed: bool) -> &str {
    if replayed {
        "sample"
    } else {
        wanted.model.as_str()
    }
}

/// A program that serves as a model is the user's own tool and logs in as the user: it gets the whole
/// environment, but for the keys that only tos's own adapters need.
fn program_environment(
    settings: &Settings,
    environment: &[(String, String)],
) -> Vec<(String, String)> {
    let allowed = |name: &String| settings.environment_allow.contains(name);
    environment
        .iter()
        .filter(|(name, _)| allowed(name) || !Provider::is_key_variable(name))
        .cloned()
        .collect()
}

/// Returns `provider:model` for the three roles, as the records have it.
pub(super) fn model_names(options: &PerRole<model::ModelOptions>) -> [String; 3] {
    ModelRole::ALL.map(|role| {
        let options = options.of(role);
        let (provider, model) = (options.provider.as_str(), options.model.as_str());
        if model.is_empty() {
            provider.to_owned()
        } else {
            format!("{provider}:{model}")
        }
    })
}

/// Returns why a model gave no sign, and the name the server offers where it does not know the model.
pub(super) async fn explain_failure(
    failure: ModelError,
    options: &model::ModelOptions,
    shared: &model::HttpClients,
) -> String {
    if failure.trouble != ModelErrorKind::Rejected {
        return failure.message;
    }
    match model::check(options, shared, LOOK).await {
        Ok(model::ModelCheck::Unlisted {
            nearest: Some(name),
        }) => format!("{}; the server offers `{name}`", failure.message),
        Ok(
            model::ModelCheck::Ready
            | model::ModelCheck::NoList
            | model::ModelCheck::Unlisted { nearest: None },
        )
        | Err(_) => failure.message,
    }
}

/// Returns a path as the records have it: forward slashes.
pub(super) fn slash_path(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}
