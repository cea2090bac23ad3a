//! Judgements and the merge queue: between an attempt and its branch.
//!
//! A judge tests the merge result. Only an approval leads to the queue; an examination that fails says nothing about the
//! work and is repeated. A merge is published by compare-and-set, once per number.

use serde::{Deserialize, Serialize};

use super::{
    budget::Spend,
    ids::{AgentId, Fence, JudgementId, MergeId, Millis, RunId, TaskId},
    run::Lease,
};

/// What a judge decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(
    clippy::enum_variant_names,
    reason = "an examination without a verdict is called so"
)]
pub enum Verdict {
    /// The merge result passes.
    Approve {
        /// The commit of the branch it was merged with.
        base: String,
        /// The merge result; equal to `base` where there was nothing to change.
        commit: String,
        /// What was looked at, one line each.
        notes: Vec<String>,
    },
    /// It does not.
    RequestChanges {
        /// Why, one reason each.
        reasons: Vec<String>,
    },
    /// It does not merge with the branch as it is now.
    Conflict {
        /// The files.
        files: Vec<String>,
    },
    /// The examination itself failed, which is no verdict.
    NoVerdict {
        /// Why.
        detail: String,
    },
}

impl Verdict {
    /// Returns the word used in files and by the API.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Approve { .. } => "approve",
            Self::RequestChanges { .. } => "request_changes",
            Self::Conflict { .. } => "conflict",
            Self::NoVerdict { .. } => "no_verdict",
        }
    }

    /// Returns its reasons, one each.
    pub fn reasons(&self) -> Vec<String> {
        match self {
            Self::Approve { notes, .. } => notes.clone(),
            Self::RequestChanges { reasons } => reasons.clone(),
            Self::Conflict { files } => {
                let files: Vec<&str> = files.iter().map(String::as_str).collect();
                vec![format!(
                    "it conflicts with the branch in {}",
                    files.join(", ")
                )]
            }
            Self::NoVerdict { detail } => vec![detail.clone()],
        }
    }
}

/// One examination of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// Its number.
    pub id: JudgementId,
    /// The task.
    pub task: TaskId,
    /// The run whose work is examined.
    pub run: RunId,
    /// Who examines.
    pub agent: AgentId,
    /// The right to do so.
    pub lease: Lease,
    /// When it began.
    pub started_at: Millis,
    /// When it ended.
    pub finished_at: Option<Millis>,
    /// The verdict; `None` while it is under way or when it was given up.
    pub verdict: Option<Verdict>,
    /// What asking a model used up.
    #[serde(default)]
    pub spent: Spend,
}

/// Where an entry of the merge queue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeStatus {
    /// Waits for its turn.
    Pending,
    /// Being published.
    Processing,
    /// Waits for the checkout of its branch to be clean.
    Waiting,
    /// On the branch.
    Merged,
    /// Given up.
    Failed,
    /// Its task was cancelled, or the branch moved and it is judged again.
    Cancelled,
    /// A pull request is open for it.
    Proposed,
}

impl MergeStatus {
    /// Returns the word used in files and by the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Waiting => "waiting",
            Self::Merged => "merged",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Proposed => "proposed",
        }
    }

    /// Returns whether it still has its place in the queue.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Processing | Self::Waiting)
    }
}

/// A verdict that waits to be published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergeQueueEntry {
    /// Its number; the queue of a branch is in this order.
    pub id: MergeId,
    /// The task.
    pub task: TaskId,
    /// The judgement that approved it.
    pub judgement: JudgementId,
    /// The branch.
    pub branch: String,
    /// The commit of the branch that was tested.
    pub base: String,
    /// The tested merge result.
    pub commit: String,
    /// Where it stands.
    pub status: MergeStatus,
    /// The number under which it is published.
    pub fence: Fence,
    /// Until when the publication is waited for before it is asked for again.
    pub until: Option<Millis>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next.
    pub not_before: Option<Millis>,
    /// What went wrong, or what is waited for.
    pub detail: String,
    /// When it came to the queue.
    pub queued_at: Millis,
    /// When it left it.
    pub finished_at: Option<Millis>,
    /// The pull request that was opened for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequestRef>,
}

impl MergeQueueEntry {
    /// Makes an entry that waits for its turn, without branch and commits.
    pub const fn new(id: MergeId, task: TaskId, judgement: JudgementId, at: Millis) -> Self {
        Self {
            id,
            task,
            judgement,
            branch: String::new(),
            base: String::new(),
            commit: String::new(),
            status: MergeStatus::Pending,
            fence: Fence(0),
            until: None,
            attempts: 0,
            not_before: None,
            detail: String::new(),
            queued_at: at,
            finished_at: None,
            pull_request: None,
        }
    }
}

/// Where a pull request is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullRequestRef {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
}

/// What became of a pull request that was opened for an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PullRequestOutcome {
    /// It was merged.
    Merged {
        /// As this commit.
        commit: String,
    },
    /// It was closed without a merge.
    Closed {
        /// In one line.
        detail: String,
    },
    /// Something is waited for.
    Waiting {
        /// What, in one line.
        detail: String,
    },
}

/// How a publication went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum MergeOutcome {
    /// The branch holds the commit.
    Merged,
    /// The branch is somewhere else by now.
    BaseMoved {
        /// Where.
        now: String,
    },
    /// The branch is checked out and something there is not committed.
    DirtyCheckout {
        /// What, in one line.
        detail: String,
    },
    /// git or the disk did not do it.
    Failed {
        /// Why.
        detail: String,
    },
    /// A pull request is open for it, and decides.
    Proposed {
        /// Where.
        pull_request: PullRequestRef,
        /// What is waited for.
        detail: String,
    },
    /// The pull request was closed without a merge.
    Rejected {
        /// In one line.
        detail: String,
    },
    /// Nothing may be asked before a moment; this is no failed try.
    Postponed {
        /// Why.
        detail: String,
        /// Until when.
        until: Millis,
    },
}
