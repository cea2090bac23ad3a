//! A server that holds the repository: issues come from there, pull requests go there. No token is ever an argument or an
//! answer: whoever implements this knows it.

use crate::domain::{
    board::{GithubRepository, Millis},
    github::{GithubError, Issue, NewPullRequest, PullRequest},
};

use super::BoxFuture;

/// Asks GitHub, or a server that speaks like it.
pub trait GitHub: Send + Sync {
    /// Returns the issues with a label that changed since a moment (RFC 3339), the oldest change first; `None` = nothing
    /// changed since this was last asked.
    fn issues<'a>(
        &'a self,
        at: &'a GithubRepository,
        label: &'a str,
        since: Option<&'a str>,
        now: Millis,
    ) -> BoxFuture<'a, Result<Option<Vec<Issue>>, GithubError>>;

    /// Returns an issue.
    fn issue<'a>(
        &'a self,
        at: &'a GithubRepository,
        number: u64,
        now: Millis,
    ) -> BoxFuture<'a, Result<Issue, GithubError>>;

    /// Returns a pull request.
    fn pull_request<'a>(
        &'a self,
        at: &'a GithubRepository,
        number: u64,
        now: Millis,
    ) -> BoxFuture<'a, Result<PullRequest, GithubError>>;

    /// Pushes the branch of a proposal and opens its pull request, or finds the one that is there.
    fn open_pull_request<'a>(
        &'a self,
        at: &'a GithubRepository,
        proposal: &'a NewPullRequest,
        now: Millis,
    ) -> BoxFuture<'a, Result<PullRequest, GithubError>>;

    /// Fetches a branch, and returns its commit.
    fn fetch<'a>(
        &'a self,
        at: &'a GithubRepository,
        branch: &'a str,
    ) -> BoxFuture<'a, Result<String, GithubError>>;
}
