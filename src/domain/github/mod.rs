//! GitHub, as far as it can be decided without asking it: what its answers mean, and what follows for the board.
//!
//! `reply` says what an answer means (limits, refusals), `issue` turns issues into inputs of the
//! board, `pull_request` writes the texts of a pull request, `webhook` reads what GitHub tells by itself. Dangers: a token goes to the configured server only, so an
//! address in an answer is followed nowhere else; the text of an issue is written by strangers and is only text.

mod issue;
mod pull_request;
mod reply;
mod webhook;

pub use issue::{ISSUE_CLOSED_REASON, Issue, Label, issue_input, issue_task_key};
pub use pull_request::{NewPullRequest, PullRequest, PullRequestFate, pull_request_for};
pub use reply::{ApiResponse, GithubError, next_page, response_error};
pub use webhook::{WebhookEvent, parse_webhook, verify_signature};
