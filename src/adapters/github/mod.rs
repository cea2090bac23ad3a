//! GitHub over its REST interface, and git over https, both with one token.
//!
//! `client` asks, follows pages, remembers tags and limits; `token` knows where the token lies,
//! `deliveries` which deliveries of the webhook were taken. Dangers: the token may stand
//! in no command line, log or message, and goes to the configured server only.

mod client;
mod deliveries;
mod token;

use std::{path::PathBuf, sync::Arc, time::Duration};

use client::Client;
pub use deliveries::{DeliveryLog, DeliveryState};
pub use token::{GitHubSecret, TOKEN_NAME, WEBHOOK_SECRET_NAME};

use crate::{
    adapters::git::remote::Remote,
    domain::{
        board::{GithubRepository, Millis},
        github::{GithubError, Issue, NewPullRequest, PullRequest},
        redaction::Redactor,
    },
    ports::{BoxFuture, github::GitHub},
};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many things a page holds; GitHub gives no more.
const PAGE: usize = 100;

/// Asks GitHub with the token of this service.
#[derive(Debug, Clone)]
pub struct GitHubApi {
    client: Arc<Client>,
    token: GitHubSecret,
    root: PathBuf,
    redactor: Redactor,
}

impl GitHubApi {
    /// Makes it for a repository on the disk; asks nothing yet.
    pub fn new(root: PathBuf, token: GitHubSecret, redactor: Redactor) -> Self {
        Self {
            client: Arc::new(Client::new(PATIENCE)),
            token,
            root,
            redactor,
        }
    }

    /// Waits this long for an answer.
    #[must_use]
    pub fn with_timeout(self, patience: Duration) -> Self {
        Self {
            client: Arc::new(Client::new(patience)),
            ..self
        }
    }

    fn secret(&self) -> Result<String, GithubError> {
        let token = self.token.read().map_err(GithubError::Token)?;
        token.ok_or_else(|| {
            GithubError::Token(format!(
                "there is no token for GitHub; write {TOKEN_NAME} on the page of settings, or set it in the environment"
            ))
        })
    }

    async fn remote<T: Send + 'static>(
        &self,
        at: &GithubRepository,
        work: impl FnOnce(&Remote) -> Result<T, String> + Send + 'static,
    ) -> Result<T, GithubError> {
        let token = self.secret()?;
        let remote = Remote::new(&self.root, &at.git_url(), &token);
        let redactor = self.redactor.with_values([token]);
        let done = tokio::task::spawn_blocking(move || work(&remote)).await;
        let done = done.map_err(|error| GithubError::Unavailable(error.to_string()))?;
        done.map_err(|error| GithubError::Refused(redactor.clean(&error)))
    }

    /// Returns the pull request of a branch, whatever became of it.
    async fn pull_request_of(
        &self,
        at: &GithubRepository,
        proposal: &NewPullRequest,
        token: &str,
        now: Millis,
    ) -> Result<Option<PullRequest>, GithubError> {
        let query = [
            ("state", "all"),
            ("head", &format!("{}:{}", at.owner, proposal.branch)),
            ("base", &proposal.base),
        ];
        let url = client::with_query(&at.endpoint("/pulls"), &query);
        let all: Vec<PullRequest> = self.client.get(&url, token, now).await?;
        Ok(all.into_iter().max_by_key(|one| one.number))
    }

    async fn opened(
        &self,
        at: &GithubRepository,
        proposal: &NewPullRequest,
        token: &str,
        now: Millis,
    ) -> Result<PullRequest, GithubError> {
        let body = serde_json::json!({
            "title": proposal.title,
            "body": proposal.body,
            "head": proposal.branch,
            "base": proposal.base,
        });
        let url = at.endpoint("/pulls");
        match self.client.post(&url, &body, token, now).await {
            // Somebody was quicker: an earlier service whose answer was lost, for one.
            Err(GithubError::AlreadyThere) => {
                let known = self.pull_request_of(at, proposal, token, now).await?;
                known.ok_or_else(|| {
                    GithubError::Unavailable(format!(
                        "GitHub says that {} has a pull request, and shows none",
                        proposal.branch
                    ))
                })
            }
            made => made,
        }
    }
}

impl GitHub for GitHubApi {
    fn issues<'a>(
        &'a self,
        at: &'a GithubRepository,
        label: &'a str,
        since: Option<&'a str>,
        now: Millis,
    ) -> BoxFuture<'a, Result<Option<Vec<Issue>>, GithubError>> {
        Box::pin(async move {
            let token = self.secret()?;
            let page = PAGE.to_string();
            let mut query = vec![
                ("labels", label),
                ("state", "all"),
                ("sort", "updated"),
                ("direction", "asc"),
                ("per_page", &page),
            ];
            query.extend(since.map(|since| ("since", since)));
            let url = client::with_query(&at.endpoint("/issues"), &query);
            self.client.get_pages(at, &url, &token, now).await
        })
    }

    fn issue<'a>(
        &'a self,
        at: &'a GithubRepository,
        number: u64,
        now: Millis,
    ) -> BoxFuture<'a, Result<Issue, GithubError>> {
        Box::pin(async move {
            let url = at.endpoint(&format!("/issues/{number}"));
            self.client.get(&url, &self.secret()?, now).await
        })
    }

    fn pull_request<'a>(
        &'a self,
        at: &'a GithubRepository,
        number: u64,
        now: Millis,
    ) -> BoxFuture<'a, Result<PullRequest, GithubError>> {
        Box::pin(async move {
            let url = at.endpoint(&format!("/pulls/{number}"));
            self.client.get(&url, &self.secret()?, now).await
        })
    }

    fn open_pull_request<'a>(
        &'a self,
        at: &'a GithubRepository,
        proposal: &'a NewPullRequest,
        now: Millis,
    ) -> BoxFuture<'a, Result<PullRequest, GithubError>> {
        Box::pin(async move {
            let token = self.secret()?;
            if let Some(known) = self.pull_request_of(at, proposal, &token, now).await? {
                return Ok(known);
            }
            let (commit, branch) = (proposal.commit.clone(), proposal.branch.clone());
            self.remote(at, move |remote| remote.push(&commit, &branch))
                .await?;
            self.opened(at, proposal, &token, now).await
        })
    }

    fn fetch<'a>(
        &'a self,
        at: &'a GithubRepository,
        branch: &'a str,
    ) -> BoxFuture<'a, Result<String, GithubError>> {
        let branch = branch.to_owned();
        Box::pin(self.remote(at, move |remote| remote.fetch(&branch)))
    }
}
