//! Answers from a recording, finding its place by job, role and turn, so it can go on after a crash.

use crate::{
    adapters::model::{
        error::BuildError,
        live::estimate_usage,
        options::{ModelOptions, ReplaySource},
        recording,
        recording::{RecordedReplies, RecordedReply},
    },
    domain::model::{ModelError, ModelErrorKind, ModelReply, ModelRequest},
    ports::{BoxFuture, model::Model},
};

const PROVIDER: &str = "replay";

/// A recording that answers.
#[derive(Debug)]
pub(super) struct ReplayModel {
    origin: String,
    model: String,
    replies: RecordedReplies,
}

impl ReplayModel {
    /// Reads the whole recording.
    pub(super) fn new(options: &ModelOptions) -> Result<Self, BuildError> {
        let recording = options
            .recording
            .as_ref()
            .ok_or(BuildError::RecordingMissing)?;
        let (origin, replies) = match recording {
            ReplaySource::Embedded { name, text } => {
                ((*name).to_owned(), RecordedReplies::read(name, text)?)
            }
            ReplaySource::File(path) => {
                let fault = |source| BuildError::RecordingFile {
                    path: path.clone(),
                    source,
                };
                let bytes = std::fs::read(path).map_err(fault)?;
                let origin = path.display().to_string();
                let replies = RecordedReplies::read(&origin, &String::from_utf8_lossy(&bytes))?;
                (origin, replies)
            }
        };
        Ok(Self {
            origin,
            model: options.model.clone(),
            replies,
        })
    }

    fn answer(&self, query: &ModelRequest) -> Result<ModelReply, ModelError> {
        let entry = self
            .replies
            .find(query)
            .ok_or_else(|| self.missing(query))?;
        self.compare(query, entry);
        Ok(ModelReply {
            text: entry.text.clone(),
            finish: entry.finish.clone(),
            provider: PROVIDER.to_owned(),
            model: entry.model.clone().unwrap_or_else(|| self.model.clone()),
            usage: entry
                .usage
                .unwrap_or_else(|| estimate_usage(&query.prompt, &entry.text)),
            request_id: None,
            elapsed_ms: 0,
        })
    }

    /// A different prompt is worth a word, not a refusal: templates change, recordings stay useful.
    fn compare(&self, query: &ModelRequest, entry: &RecordedReply) {
        let Some(expected) = &entry.prompt_sha256 else {
            return;
        };
        if *expected != recording::digest(&query.prompt) {
            tracing::warn!(
                origin = self.origin,
                role = query.role.as_str(),
                job = query.job,
                turn = query.turn,
                "the prompt differs from the recorded one"
            );
        }
    }

    fn missing(&self, query: &ModelRequest) -> ModelError {
        let (role, job, number) = (query.role.as_str(), query.job, query.turn.saturating_add(1));
        let (origin, held) = (&self.origin, self.replies.count(query));
        ModelError {
            trouble: ModelErrorKind::NotRecorded,
            message: format!(
                "the recording {origin} has no reply number {number} of the {role} for job {job} \
                 (it has {held}); record it, or use a live model"
            ),
            retry_after_ms: None,
            request_id: None,
        }
    }
}

impl Model for ReplayModel {
    fn ask<'a>(&'a self, query: &'a ModelRequest) -> BoxFuture<'a, Result<ModelReply, ModelError>> {
        let answer = self.answer(query);
        Box::pin(std::future::ready(answer))
    }

    fn provider(&self) -> &str {
        PROVIDER
    }

    fn model(&self) -> &str {
        &self.model
    }
}
