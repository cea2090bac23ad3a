//! What becomes of approved attempts outside of the board, and whether the links of tasks lead anywhere.

use std::sync::Arc;

use super::{github, supervisor::SupervisorState};
use crate::domain::board::{Fence, Input, MergeId, MergeOutcome, TaskId};

impl SupervisorState {
    /// Opens the pull request of an approved attempt, or moves its branch, as the settings say.
    pub(super) async fn publish(self, merge: MergeId, fence: Fence) {
        let board = self.handle.snapshot();
        let Some(entry) = board.merge(merge).cloned() else {
            return;
        };
        let context = Arc::clone(&self.context);
        let branch = match context.branch(&entry.branch) {
            Ok(branch) => branch,
            Err(detail) => {
                return self
                    .published(merge, fence, MergeOutcome::Failed { detail })
                    .await;
            }
        };
        let proposed = github::propose(&self.handle, &context, &entry, &branch).await;
        if let Some(outcome) = proposed {
            return self.published(merge, fence, outcome).await;
        }
        let kept = (branch.clone(), entry.commit.clone());
        if let Some(remote) = &self.context.remote
            && let Err(error) = remote.bring(&entry.commit).await
        {
            // It was examined by a controller before this one.
            let detail = format!("{} is not here: {error}", entry.commit);
            let outcome = MergeOutcome::Failed { detail };
            return self.published(merge, fence, outcome).await;
        }
        let moved = tokio::task::spawn_blocking(move || {
            context
                .merges
                .update_branch(&branch, &entry.base, &entry.commit)
        });
        if let Ok(outcome) = moved.await {
            if let (Some(remote), MergeOutcome::Merged) = (&self.context.remote, &outcome) {
                // Whoever takes over needs the commit before it needs to know of it.
                if let Err(error) = remote.keep_tip(&kept.0, &kept.1).await {
                    tracing::warn!("{}: {error}", kept.0);
                }
            }
            self.published(merge, fence, outcome).await;
        }
    }

    async fn published(&self, merge: MergeId, fence: Fence, outcome: MergeOutcome) {
        self.context
            .logs
            .line("merges", &format!("{merge}: {outcome:?}"));
        if let Err(error) = self
            .handle
            .submit(Input::FinishMerge {
                merge,
                fence,
                outcome,
            })
            .await
        {
            tracing::warn!("{error}");
        }
    }

    /// Looks whether what a task links to is there.
    pub(super) async fn link(self, id: TaskId) {
        let board = self.handle.snapshot();
        let Some(task) = board.task(id) else { return };
        let linked = github::check_issue_link(&self.handle, &self.context, task).await;
        let (ok, detail) = linked.unwrap_or_else(|| {
            let file = task.spec.link.split('#').next().unwrap_or_default();
            if self.context.tools.worktrees.checkout_contains(file) {
                (true, task.spec.link.clone())
            } else {
                (false, format!("there is no {file}"))
            }
        });
        drop(
            self.handle
                .submit(Input::LinkTask {
                    task: id,
                    ok,
                    detail,
                })
                .await,
        );
    }
}
