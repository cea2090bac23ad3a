//! Merges for the board: made as objects only, and published by compare-and-set.
//!
//! Danger: a checkout. Where the branch is checked out, it moves only together with a clean checkout; anything there that is
//! not committed keeps the branch where it is, and nothing is stashed, committed or cleaned.

use super::worktrees::GitWorktrees;
use crate::{
    adapters::git::program::GitProgram,
    domain::board::MergeOutcome,
    ports::{
        branch_merges::{BranchMerges, Error, MergeResult},
        worktrees::{self, Worktrees as _},
    },
};

type WorktreeResult<T> = Result<T, Error>;

impl GitWorktrees {
    fn told(&self, words: &[&str]) -> WorktreeResult<String> {
        self.git(words).map_err(|error| Error(error.0))
    }

    fn reaches(&self, older: &str, newer: &str) -> bool {
        self.git(&["merge-base", "--is-ancestor", older, newer])
            .is_ok()
    }

    fn move_branch(&self, branch: &str, expected: &str, commit: &str) -> Result<(), String> {
        let name = format!("refs/heads/{branch}");
        let is_here = self.current_branch().is_ok_and(|current| current == branch);
        if !is_here {
            return self
                .git(&["update-ref", &name, commit, expected])
                .map(drop)
                .map_err(|error| error.0);
        }
        // git checks that the branch is an ancestor and that no file in the way was changed.
        self.git(&["merge", "--quiet", "--ff-only", commit])
            .map(drop)
            .map_err(|error| error.0)
    }

    /// Returns a few of the files that are not as the checkout's commit has them.
    pub(super) fn uncommitted(&self) -> Result<Vec<String>, worktrees::Error> {
        let dirty = self.git(&["status", "--porcelain", "--untracked-files=no"])?;
        let names = dirty.lines().filter_map(|line| line.get(3..));
        Ok(names.take(5).map(str::to_owned).collect())
    }

    fn dirt(&self, branch: &str) -> Option<String> {
        if self.current_branch().is_ok_and(|current| current != branch) {
            return None;
        }
        let names = self.uncommitted().ok()?;
        (!names.is_empty()).then(|| {
            format!(
                "{branch} is checked out with changes that are not committed ({})",
                names.join(", ")
            )
        })
    }
}

impl BranchMerges for GitWorktrees {
    fn current_branch(&self) -> WorktreeResult<String> {
        self.git(&["symbolic-ref", "--quiet", "--short", "HEAD"])
            .map_err(|_| {
                Error("the checkout is on no branch; `git switch BRANCH` first".to_owned())
            })
    }

    fn tip(&self, branch: &str) -> WorktreeResult<String> {
        self.resolve_ref(&format!("refs/heads/{branch}"))
            .ok_or_else(|| {
                Error(format!(
                    "there is no branch {branch}; make it, or name another in BASE_BRANCH"
                ))
            })
    }

    fn merge(&self, base: &str, commit: &str, message: &str) -> WorktreeResult<MergeResult> {
        if self.reaches(commit, base) {
            return Ok(MergeResult::Merged(base.to_owned()));
        }
        if self.reaches(base, commit) {
            return Ok(MergeResult::Merged(commit.to_owned()));
        }
        let words = [
            "merge-tree",
            "--write-tree",
            "--name-only",
            "--no-messages",
            base,
            commit,
        ];
        let Ok(tree) = self.git(&words) else {
            // What is not here is no conflict.
            for one in [base, commit] {
                let object = format!("{one}^{{commit}}");
                if self.git(&["cat-file", "-e", &object]).is_err() {
                    return Err(Error(format!("{one} is not in this repository")));
                }
            }
            return Ok(MergeResult::Conflict(self.conflicts(base, commit)));
        };
        let has_name = self.git(&["config", "user.email"]).is_ok();
        let identity: &[&str] = if has_name {
            &[]
        } else {
            &["-c", "user.name=tos", "-c", "user.email=tos@localhost"]
        };
        let mut words = identity.to_vec();
        words.extend_from_slice(&[
            "commit-tree",
            &tree,
            "-p",
            base,
            "-p",
            commit,
            "-m",
            message,
        ]);
        self.told(&words).map(MergeResult::Merged)
    }

    fn references(&self, below: &[&str]) -> WorktreeResult<Vec<String>> {
        let mut words = vec!["for-each-ref", "--format=%(refname)"];
        words.extend_from_slice(below);
        Ok(self.told(&words)?.lines().map(str::to_owned).collect())
    }

    fn remove_references(&self, names: &[String]) -> WorktreeResult<()> {
        let lines: String = names
            .iter()
            .flat_map(|name| ["delete ", name, "\n"])
            .collect();
        let done = GitProgram::new(self.top()).run(&["update-ref", "--stdin"], lines.as_bytes());
        done.map(drop).map_err(|error| Error(error.to_string()))
    }

    fn files(&self, commit: &str) -> WorktreeResult<Vec<String>> {
        let words = [
            "-c",
            "core.quotePath=false",
            "ls-tree",
            "-r",
            "--name-only",
            commit,
        ];
        Ok(self.told(&words)?.lines().map(str::to_owned).collect())
    }

    fn diff(&self, from: &str, to: &str) -> WorktreeResult<String> {
        let plain = [
            "-c",
            "core.quotePath=false",
            "diff",
            "--no-color",
            "--no-ext-diff",
            "--no-textconv",
        ];
        let mut words = plain.to_vec();
        words.extend([from, to]);
        self.told(&words)
    }

    fn changed_files(&self, from: &str, to: &str) -> WorktreeResult<Vec<String>> {
        let words = [
            "-c",
            "core.quotePath=false",
            "diff",
            "--name-only",
            "--no-renames",
            "--no-ext-diff",
            from,
            to,
        ];
        Ok(self.told(&words)?.lines().map(str::to_owned).collect())
    }

    fn update_branch(&self, branch: &str, expected: &str, commit: &str) -> MergeOutcome {
        let now = match self.tip(branch) {
            Ok(now) => now,
            Err(error) => return MergeOutcome::Failed { detail: error.0 },
        };
        if self.reaches(commit, &now) {
            return MergeOutcome::Merged;
        }
        if now != expected {
            return MergeOutcome::BaseMoved { now };
        }
        if let Some(detail) = self.dirt(branch) {
            return MergeOutcome::DirtyCheckout { detail };
        }
        match self.move_branch(branch, expected, commit) {
            Ok(()) if self.tip(branch).is_ok_and(|tip| tip == commit) => MergeOutcome::Merged,
            Ok(()) => MergeOutcome::Failed {
                detail: format!("{branch} did not move to {commit}"),
            },
            Err(detail) => MergeOutcome::Failed { detail },
        }
    }
}

impl GitWorktrees {
    /// Names the files that both sides changed, which is where a merge can fail.
    fn conflicts(&self, base: &str, commit: &str) -> Vec<String> {
        let Ok(common) = self.git(&["merge-base", base, commit]) else {
            return Vec::new();
        };
        let (Ok(one), Ok(other)) = (
            self.changed_files(&common, base),
            self.changed_files(&common, commit),
        ) else {
            return Vec::new();
        };
        one.into_iter()
            .filter(|name| other.contains(name))
            .collect()
    }
}
