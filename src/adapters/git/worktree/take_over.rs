//! Taking accepted work over into the branch that is checked out: forward, or joined where the branch has moved since.
//!
//! Danger: the user's checkout. It moves by git's own fast-forward only, which keeps whatever is in the way; a merge is made
//! as objects before that.

use super::worktrees::GitWorktrees;
use crate::ports::{
    branch_merges::{BranchMerges, MergeResult},
    worktrees::{Error, MergedWork},
};

type Done<T> = Result<T, Error>;

impl GitWorktrees {
    pub(super) fn taken_over(&self, commit: &str, reference: &str, join: bool) -> Done<MergedWork> {
        let branch = self.current_branch().map_err(|error| Error(error.0))?;
        let names = self.uncommitted()?;
        if !names.is_empty() {
            return Err(Error(format!(
                "the checkout has changes of its own ({}); commit or stash them first",
                names.join(", ")
            )));
        }
        if self.is_ancestor(commit, "HEAD")? {
            return Err(Error(format!("{branch} has this work already")));
        }
        let mut taken = MergedWork {
            branch,
            commit: commit.to_owned(),
            joined: None,
        };
        if !self.is_ancestor("HEAD", commit)? {
            self.join(&mut taken, reference, join)?;
        }
        self.git(&["merge", "--quiet", "--ff-only", &taken.commit])?;
        Ok(taken)
    }

    /// Joins work with a branch that has moved since, as objects only.
    fn join(&self, taken: &mut MergedWork, reference: &str, may: bool) -> Done<()> {
        let branch = &taken.branch;
        let run = reference.rsplit('/').next().unwrap_or_default();
        if !may {
            return Err(Error(format!(
                "{branch} has moved since the run began; `tos night merge {run} --join` joins the two in a merge commit, \
                 or `git cherry-pick HEAD..{reference}` takes the commits one by one"
            )));
        }
        let head = self.git(&["rev-parse", "HEAD"])?;
        let message = format!("Merge the work of {run}");
        let joined = BranchMerges::merge(self, &head, &taken.commit, &message);
        match joined.map_err(|error| Error(error.0))? {
            MergeResult::Merged(commit) => {
                taken.commit = commit;
                taken.joined = Some(head);
                Ok(())
            }
            MergeResult::Conflict(files) => Err(Error(format!(
                "{branch} and the run both changed {}; `git merge {reference}` lets you settle that by hand",
                files.join(", ")
            ))),
        }
    }
}
