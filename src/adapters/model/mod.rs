//! Language models: the providers behind the `Model` port.
//!
//! One `ask` is one attempt. Adapters translate between tos's shapes and a provider's, type every failure,
//! and keep the promises that need I/O: the deadline covers the whole attempt, a program's whole process
//! group ends with it, a recorded reply is on disk before it is used. Waits, retries and budgets are the
//! domain's business.
//!
//! * `live` speaks HTTP; `chat`, `responses` and `messages` are the dialects it knows.
//! * `program` asks any command that reads a prompt on stdin and answers on stdout.
//! * `replay` answers from a recording and `record` makes one; `recording` is their file format.
//! * `check` looks whether a model is there, without asking it anything.
//!
//! Danger: keys. They live in [`Secret`], reach nothing but a request header marked sensitive, and are
//! removed from whatever a provider echoes.

use crate::ports::model::Model;

mod chat;
mod check;
mod error;
mod http;
mod live;
mod messages;
mod options;
mod program;
mod quirks;
mod record;
mod recording;
mod replay;
mod responses;
mod shared;
mod trouble;

pub use check::{CheckError, ModelCheck, check, missing_program};
pub use error::BuildError;
pub use options::{ModelOptions, OpenAiApi, Provider, ReplaySource, Secret};
pub use shared::HttpClients;

/// Builds the model that `options` describe; nothing is connected, started or written yet.
///
/// `shared` is one value per process: it holds the HTTP connections, and what was learnt about servers.
pub fn build(options: &ModelOptions, shared: &HttpClients) -> Result<Box<dyn Model>, BuildError> {
    let model: Box<dyn Model> = match options.provider {
        Provider::OpenAi => match options.api {
            OpenAiApi::ChatCompletions => Box::new(live::HttpModel::new(
                chat::ChatCompletions::new(options),
                options,
                shared,
            )?),
            OpenAiApi::Responses => Box::new(live::HttpModel::new(
                responses::OpenAiResponses::new(options),
                options,
                shared,
            )?),
        },
        Provider::Anthropic => Box::new(live::HttpModel::new(
            messages::AnthropicMessages::new(options)?,
            options,
            shared,
        )?),
        Provider::Command => Box::new(program::ProgramModel::new(options, shared)?),
        Provider::Replay => Box::new(replay::ReplayModel::new(options)?),
    };
    match &options.record_to {
        Some(path) => Ok(Box::new(record::RecordingModel::new(model, path)?)),
        None => Ok(model),
    }
}
