//! Wraps any model and appends each of its replies to a recording before handing it on.

use std::path::{Path, PathBuf};

use crate::{
    adapters::model::{error::BuildError, recording, recording::RecordedReply},
    domain::model::{ModelError, ModelReply, ModelRequest},
    ports::{BoxFuture, model::Model},
};

/// A model whose replies are kept.
pub(super) struct RecordingModel {
    inner: Box<dyn Model>,
    path: PathBuf,
}

impl RecordingModel {
    /// Makes the file ready; a file that is there is continued.
    pub(super) fn new(inner: Box<dyn Model>, path: &Path) -> Result<Self, BuildError> {
        recording::blocking_prepare(path).map_err(|source| BuildError::RecordingFile {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            inner,
            path: path.to_owned(),
        })
    }

    async fn ask_and_keep(&self, query: &ModelRequest) -> Result<ModelReply, ModelError> {
        let reply = self.inner.ask(query).await?;
        let entry = RecordedReply::new(query, &reply);
        let path = self.path.clone();
        let kept = tokio::task::spawn_blocking(move || recording::blocking_append(&path, &entry));
        let problem = match kept.await {
            Ok(Ok(())) => return Ok(reply),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        // The reply is paid for; losing it over a full disk would cost more than a gap in the recording.
        tracing::error!(path = %self.path.display(), problem, "the reply could not be recorded");
        Ok(reply)
    }
}

impl Model for RecordingModel {
    fn ask<'a>(&'a self, query: &'a ModelRequest) -> BoxFuture<'a, Result<ModelReply, ModelError>> {
        Box::pin(self.ask_and_keep(query))
    }

    fn provider(&self) -> &str {
        self.inner.provider()
    }

    fn model(&self) -> &str {
        self.inner.model()
    }
}
