//! What an examination is about.

use tokio::runtime::Handle;

use super::brain::Payer;
use crate::domain::board::Task;

/// What a judge is given.
pub(super) struct JudgementRequest {
    pub(super) name: String,
    pub(super) agent: String,
    pub(super) task: Task,
    pub(super) branch: String,
    /// The end of the merge queue; `None` = the branch itself.
    pub(super) base: Option<String>,
    /// How often it was examined before.
    pub(super) before: u32,
    /// A model reviews it, where one is configured.
    pub(super) is_reviewed: bool,
    /// Who pays for a review.
    pub(super) payer: Payer,
    /// Where connections live.
    pub(super) runtime: Handle,
}
