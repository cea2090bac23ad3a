//! GitHub, as far as it can be decided without asking it: what its answers mean, and what follows for the board.
//!
//! `reply` says what an answer means (limits, refusals), `issue` turns issues into inputs of the
//! board, `pull_request` writes the texts of a pull request, `webhook` reads what GitHub tells by itself. Dangers: a token goes to the configured server only, so an
//! address in an answer is followed nowhere else; the text of an issue is written by strangers and is only text.

mod issue;
mod pull_request;
mod reply;
mod webhook;

pub use issue::{CLOSED, Issue, Label, follow, key_of};
pub use pull_request::{Proposal, PullRequest, PullRequestFate, proposal_of};
pub use reply::{ReplyFacts, Trouble, next_page, trouble_of};
pub use webhook::{WebhookNews, is_signed, read_webhook};
