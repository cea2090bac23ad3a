//! Pull requests: what is written into one, and what became of it.

use serde::Deserialize;

use crate::domain::{
    board::{AttemptCommit, GithubRepository, Task},
    text::first_bytes,
};

/// How much of a goal stands in a pull request, in bytes.
const TEXT: usize = 16 * 1024;

/// A pull request, as far as it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Its page.
    #[serde(default)]
    pub html_url: String,
    /// `open` or `closed`.
    #[serde(default)]
    pub state: String,
    /// When it was merged.
    #[serde(default)]
    pub merged_at: Option<String>,
    /// The commit on its branch, once it is merged.
    #[serde(default)]
    pub merge_commit_sha: Option<String>,
}

/// What became of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullRequestFate {
    /// It waits.
    Open,
    /// It is merged as this commit.
    Merged(String),
    /// It was closed, and is not merged.
    Closed,
}

impl PullRequest {
    /// Returns what became of it.
    pub fn fate(&self) -> PullRequestFate {
        if self.merged_at.is_some() {
            return PullRequestFate::Merged(self.merge_commit_sha.clone().unwrap_or_default());
        }
        if self.state == "closed" {
            PullRequestFate::Closed
        } else {
            PullRequestFate::Open
        }
    }
}

/// A pull request that is to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPullRequest {
    /// The commit.
    pub commit: String,
    /// The branch it is pushed to: named by task and commit, so that the same work is the same branch.
    pub branch: String,
    /// The branch it is to be merged into.
    pub base: String,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
}

/// Returns the pull request for the accepted work of a task.
pub fn pull_request_for(
    task: &Task,
    kept: &AttemptCommit,
    base: &str,
    at: &GithubRepository,
) -> NewPullRequest {
    let short: String = kept.commit.chars().take(12).collect();
    let goal = first_bytes(task.spec.goal.trim(), TEXT);
    let mut body = if goal.is_empty() {
        task.spec.title.clone()
    } else {
        goal.to_owned()
    };
    if let Some(number) = at.issue_number(&task.spec.link) {
        body = format!("{body}\n\nCloses #{number}");
    }
    let runs = task.run.map_or_else(String::new, |run| format!(", {run}"));
    NewPullRequest {
        commit: kept.commit.clone(),
        branch: format!("tos/{}-{short}", task.id),
        base: base.to_owned(),
        title: task.spec.title.clone(),
        body: format!(
            "{body}\n\nMade by an agent ({}{runs}); its tests pass on the merge with {base} as it was then.\n",
            task.id
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::board::{Board, Input, TaskSpec};

    #[test]
    fn the_fate_of_a_pull_request_is_read_from_its_answer() {
        let read = |text: &str| serde_json::from_str::<PullRequest>(text).unwrap().fate();
        assert_eq!(
            read(r#"{"number":1,"state":"open","merge_commit_sha":"trial"}"#),
            PullRequestFate::Open
        );
        assert_eq!(
            read(r#"{"number":1,"state":"closed","merged_at":null}"#),
            PullRequestFate::Closed
        );
        assert_eq!(
            read(
                r#"{"number":1,"state":"closed","merged_at":"2026-01-01T00:00:00Z","merge_commit_sha":"abc"}"#
            ),
            PullRequestFate::Merged("abc".to_owned())
        );
    }

    #[test]
    fn the_same_work_is_the_same_branch_and_names_its_issue() {
        let at = GithubRepository::read("https://github.com/o/n", "").unwrap();
        let mut board = Board::default();
        let spec = TaskSpec {
            title: "fix it".to_owned(),
            link: "https://github.com/o/n/issues/7".to_owned(),
            ..TaskSpec::default()
        };
        for event in &board
            .handle(
                &Input::CreateTask {
                    spec: Box::new(spec),
                },
                1,
            )
            .unwrap()
            .events
        {
            board.apply(event);
        }
        let task = board.tasks().next().unwrap();
        let kept = AttemptCommit {
            commit: "0123456789abcdef".to_owned(),
            reference: String::new(),
            base: String::new(),
        };
        let proposal = pull_request_for(task, &kept, "main", &at);
        assert_eq!(proposal.branch, "tos/task-1-0123456789ab");
        assert!(
            proposal.body.starts_with("fix it\n\nCloses #7\n"),
            "{}",
            proposal.body
        );
        assert_eq!(proposal, pull_request_for(task, &kept, "main", &at));
    }
}
