//! A language model, whatever stands behind it.

use crate::{
    domain::model::{ModelError, ModelReply, ModelRequest},
    ports::BoxFuture,
};

/// Answers queries. One call is one attempt: retries, waits and budgets are decided by the domain.
pub trait Model: Send + Sync {
    /// Asks once. Dropping the future abandons the call.
    fn ask<'a>(&'a self, query: &'a ModelRequest) -> BoxFuture<'a, Result<ModelReply, ModelError>>;

    /// Returns the provider's word, e.g. `openai` or `replay`.
    fn provider(&self) -> &str;

    /// Returns the configured model's name.
    fn model(&self) -> &str;
}
