//! What passes between a job and a language model: queries, replies, failures, usage, prices.
//!
//! These are tos's own shapes; the providers' wire formats live in `adapters/llm`. Whether a failure is
//! worth another attempt is decided here, so that the job machine and its tests need no network.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The three turns of a step, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelRole {
    /// Proposes commands.
    Draft,
    /// Criticises the draft and approves or rejects it.
    Review,
    /// Settles the commands that are judged and run.
    Final,
}

impl ModelRole {
    /// All roles, in the order a step asks them.
    pub const ALL: [Self; 3] = [Self::Draft, Self::Review, Self::Final];

    /// Returns the word for this role in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Review => "review",
            Self::Final => "final",
        }
    }
}

/// One question to a model: everything an adapter needs, nothing it could decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRequest {
    /// Who is asked.
    pub role: ModelRole,
    /// The whole prompt, templates already expanded, secrets already redacted.
    pub prompt: String,
    /// The job this belongs to (1-based; 1 when the loop is off).
    pub job: u32,
    /// How many replies this role has already given in this job (0-based), whatever process received
    /// them. `replay` finds its place by (`job`, `role`, `turn`), so it can go on after a crash.
    pub turn: u32,
    /// How long the whole attempt may take.
    pub deadline: Duration,
}

/// Why a model stopped writing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// It had said everything.
    Complete,
    /// The token limit cut it off.
    Cut,
    /// The provider or the model declined to answer.
    Refused,
    /// A reason tos does not know, in the provider's word.
    Other(String),
}

/// Tokens of one call. All counts are whole tokens; `input` includes cached and cache-writing ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenUsage {
    /// Everything sent, cached or not.
    pub input: u64,
    /// The part of `input` read from the provider's cache.
    #[serde(default)]
    pub cached_input: u64,
    /// The part of `input` written to the provider's cache (Anthropic bills it dearer).
    #[serde(default)]
    pub cache_write: u64,
    /// Everything received, reasoning included.
    pub output: u64,
    /// True where the provider reported nothing and tos estimated from the lengths.
    #[serde(default)]
    pub estimated: bool,
}

impl TokenUsage {
    /// Returns input and output together.
    pub const fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// A reply as received, secrets redacted, not yet parsed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelReply {
    /// The text of the answer.
    pub text: String,
    /// Why the model stopped.
    pub finish: FinishReason,
    /// The provider that answered: `openai`, `anthropic`, `command`, `replay`.
    pub provider: String,
    /// The model that answered, in the provider's spelling where it reports one.
    pub model: String,
    /// Tokens, reported or estimated.
    pub usage: TokenUsage,
    /// The provider's id for this request, for support questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// How long the attempt took, in milliseconds.
    pub elapsed_ms: u64,
}

/// The kinds of trouble a model call can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelErrorKind {
    /// No connection: refused, reset, name not found.
    Unreachable,
    /// The deadline passed.
    TimedOut,
    /// Too many requests for now (429 and relatives); another attempt helps after a wait.
    RateLimited,
    /// The provider is overloaded (503, 529).
    Overloaded,
    /// The provider failed (other 5xx, 408, 409).
    ServerError,
    /// Quota, credit or spend limit used up; waiting a minute does not help.
    QuotaExhausted,
    /// The key is missing, wrong or not permitted (401, 403).
    Unauthorised,
    /// The request itself is wrong (400, 404, 413, 422): the same request can never succeed.
    Rejected,
    /// An answer arrived whose envelope is not what the API documents, or holds no text.
    Malformed,
    /// A program that serves as model could not be started or ended badly.
    ProgramFailed,
    /// The recording holds no reply for this query.
    NotRecorded,
    /// The person cancelled while the call was under way.
    Cancelled,
}

/// A failed attempt at a model call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ModelError {
    /// What kind of trouble.
    pub trouble: ModelErrorKind,
    /// One sentence for a person, provider and status included, secrets redacted.
    pub message: String,
    /// How long the provider asks to wait, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The provider's id for this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl ModelErrorKind {
    /// Returns whether the same request may succeed later without anybody changing anything.
    pub const fn is_transient(self) -> bool {
        match self {
            Self::Unreachable
            | Self::TimedOut
            | Self::RateLimited
            | Self::Overloaded
            | Self::ServerError
            | Self::Malformed
            | Self::ProgramFailed => true,
            Self::QuotaExhausted
            | Self::Unauthorised
            | Self::Rejected
            | Self::NotRecorded
            | Self::Cancelled => false,
        }
    }
}

/// What tokens cost, in one currency of the user's choice, per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelPrice {
    /// Per million input tokens that were not cached.
    pub input_per_mtok: f64,
    /// Per million output tokens.
    pub output_per_mtok: f64,
    /// Per million cached input tokens; `input_per_mtok` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input_per_mtok: Option<f64>,
    /// Per million tokens written to the cache; `input_per_mtok` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_per_mtok: Option<f64>,
}

impl ModelPrice {
    /// Returns what `usage` costs.
    #[expect(
        clippy::cast_precision_loss,
        reason = "token counts stay far below 2^52"
    )]
    pub fn cost(self, usage: TokenUsage) -> f64 {
        let plain = usage
            .input
            .saturating_sub(usage.cached_input)
            .saturating_sub(usage.cache_write) as f64;
        let cached = self.cached_input_per_mtok.unwrap_or(self.input_per_mtok);
        let written = self.cache_write_per_mtok.unwrap_or(self.input_per_mtok);
        (plain * self.input_per_mtok
            + usage.cached_input as f64 * cached
            + usage.cache_write as f64 * written
            + usage.output as f64 * self.output_per_mtok)
            / 1e6
    }
}
