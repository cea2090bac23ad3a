//! A server that holds the repository: issues come from there, pull requests go there. No token is ever an argument or an
//! answer: whoever implements this knows it.

use crate::domain::{
    board::{Millis, Repository},
    github::{Issue, Proposal, PullRequest, Trouble},
};

use super::BoxFuture;

/// Asks GitHub, or a server that speaks like it.
pub trait GitHub: Send + Sync {
    /// Returns the issues with a label that changed since a moment (RFC 3339), the oldest change first; `None` = nothing
    /// changed since this was last asked.
    fn issues<'a>(
        &'a self,
        at: &'a Repository,
        label: &'a str,
        since: Option<&'a str>,
        now: Millis,
    ) -> BoxFuture<'a, Result<Option<Vec<Issue>>, Trouble>>;

    /// Returns an issue.
    fn issue<'a>(
        &'a self,
        at: &'a Repository,
        number: u64,
        now: Millis,
    ) -> BoxFuture<'a, Result<Issue, Trouble>>;

    /// Returns a pull request.
    fn pull_request<'a>(
        &'a self,
        at: &'a Repository,
        number: u64,
        now: Millis,
    ) -> BoxFuture<'a, Result<PullRequest, Trouble>>;

    /// Pushes the branch of a proposal and opens its pull request, or finds the one that is there.
    fn propose<'a>(
        &'a self,
        at: &'a Repository,
        proposal: &'a Proposal,
        now: Millis,
    ) -> BoxFuture<'a, Result<PullRequest, Trouble>>;

    /// Fetches a branch, and returns its commit.
    fn fetch<'a>(
        &'a self,
        at: &'a Repository,
        branch: &'a str,
    ) -> BoxFuture<'a, Result<String, Trouble>>;
}
