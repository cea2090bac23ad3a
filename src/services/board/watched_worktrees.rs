//! Work trees while people work in the same repository: they may commit and switch branches, and the merge queue moves
//! branches, too. What is still watched is what decides about programs: hooks, configuration, excludes.

use std::sync::Arc;

use crate::{
    domain::validate::CollectedChange,
    ports::worktrees::{Error, MergedWork, SharedFiles, SharedPaths, Worktree, Worktrees},
};

/// Work trees that let people and the merge queue move branches.
pub(super) struct RefTolerantWorktrees(pub(super) Arc<dyn Worktrees>);

impl Worktrees for RefTolerantWorktrees {
    fn protected_digests(&self) -> Result<Vec<(String, String)>, Error> {
        let moves =
            |name: &str| name.starts_with("refs/") || matches!(name, "HEAD" | "packed-refs");
        let mut promises = self.0.protected_digests()?;
        promises.retain(|(name, _)| !moves(name));
        Ok(promises)
    }

    fn head(&self) -> Result<String, Error> {
        self.0.head()
    }

    fn make(&self, run: &str, task: &str, base: &str) -> Result<Worktree, Error> {
        self.0.make(run, task, base)
    }

    fn make_scratch(
        &self,
        run: &str,
        name: &str,
        files: &[(&str, &str)],
    ) -> Result<Worktree, Error> {
        self.0.make_scratch(run, name, files)
    }

    fn read_scratch(&self, place: &Worktree, file: &str) -> Option<String> {
        self.0.read_scratch(place, file)
    }

    fn checkout_contains(&self, path: &str) -> bool {
        self.0.checkout_contains(path)
    }

    fn remove_scratch(&self, place: &Worktree) -> Result<(), Error> {
        self.0.remove_scratch(place)
    }

    fn changes(&self, place: &Worktree) -> Result<CollectedChange, Error> {
        self.0.changes(place)
    }

    fn tree(&self, place: &Worktree) -> Result<String, Error> {
        self.0.tree(place)
    }

    fn commit_tree(
        &self,
        place: &Worktree,
        tree: &str,
        message: &str,
        reference: &str,
    ) -> Result<String, Error> {
        self.0.commit_tree(place, tree, message, reference)
    }

    fn commit_with_base(
        &self,
        place: &Worktree,
        tree: &str,
        paths: &[String],
    ) -> Result<String, Error> {
        self.0.commit_with_base(place, tree, paths)
    }

    fn update_ref(&self, reference: &str, commit: &str) -> Result<(), Error> {
        self.0.update_ref(reference, commit)
    }

    fn resolve_ref(&self, reference: &str) -> Option<String> {
        self.0.resolve_ref(reference)
    }

    fn fast_forward(&self, commit: &str, reference: &str, join: bool) -> Result<MergedWork, Error> {
        self.0.fast_forward(commit, reference, join)
    }

    fn save(&self, place: &Worktree, message: &str, reference: &str) -> Result<String, Error> {
        self.0.save(place, message, reference)
    }

    fn roll_back(&self, place: &mut Worktree) -> Result<String, Error> {
        self.0.roll_back(place)
    }

    fn remove_for_reuse(&self, place: &Worktree) -> Result<(), Error> {
        self.0.remove_for_reuse(place)
    }

    fn remove_reusable(&self, run: &str) -> Result<(), Error> {
        self.0.remove_reusable(run)
    }

    fn remove(&self, place: &Worktree) -> Result<(), Error> {
        self.0.remove(place)
    }

    fn recover_crashed(&self) -> Result<Vec<String>, Error> {
        self.0.recover_crashed()
    }

    fn check_shared(&self, wish: &SharedPaths<'_>) -> Result<Vec<String>, Error> {
        self.0.check_shared(wish)
    }

    fn share(
        &self,
        place: &Worktree,
        wish: &SharedPaths<'_>,
        walled: bool,
    ) -> Result<SharedFiles, Error> {
        self.0.share(place, wish, walled)
    }

    fn missing_submodules(&self, base: &str) -> Result<Vec<String>, Error> {
        self.0.missing_submodules(base)
    }

    fn disk_usage(&self, place: &Worktree) -> u64 {
        self.0.disk_usage(place)
    }

    fn describe_changes(&self, from: &str, to: &str) -> Result<String, Error> {
        self.0.describe_changes(from, to)
    }
}
