//! Work trees while people work in the same repository: they may commit and switch branches, and the merge queue moves
//! branches, too. What is still watched is what decides about programs: hooks, configuration, excludes.

use std::sync::Arc;

use crate::{
    domain::validate::CollectedChange,
    ports::worktrees::{Error, Shared, SharedWish, TakenWork, Worktree, Worktrees},
};

/// Work trees that let people and the merge queue move branches.
pub(super) struct WatchedWorktrees(pub(super) Arc<dyn Worktrees>);

impl Worktrees for WatchedWorktrees {
    fn promises(&self) -> Result<Vec<(String, String)>, Error> {
        let moves =
            |name: &str| name.starts_with("refs/") || matches!(name, "HEAD" | "packed-refs");
        let mut promises = self.0.promises()?;
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

    fn holds(&self, path: &str) -> bool {
        self.0.holds(path)
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

    fn keep(
        &self,
        place: &Worktree,
        tree: &str,
        message: &str,
        reference: &str,
    ) -> Result<String, Error> {
        self.0.keep(place, tree, message, reference)
    }

    fn with_base(&self, place: &Worktree, tree: &str, paths: &[String]) -> Result<String, Error> {
        self.0.with_base(place, tree, paths)
    }

    fn point(&self, reference: &str, commit: &str) -> Result<(), Error> {
        self.0.point(reference, commit)
    }

    fn at(&self, reference: &str) -> Option<String> {
        self.0.at(reference)
    }

    fn take_over(&self, commit: &str, reference: &str, join: bool) -> Result<TakenWork, Error> {
        self.0.take_over(commit, reference, join)
    }

    fn save(&self, place: &Worktree, message: &str, reference: &str) -> Result<String, Error> {
        self.0.save(place, message, reference)
    }

    fn roll_back(&self, place: &mut Worktree) -> Result<String, Error> {
        self.0.roll_back(place)
    }

    fn hand_on(&self, place: &Worktree) -> Result<(), Error> {
        self.0.hand_on(place)
    }

    fn finish(&self, run: &str) -> Result<(), Error> {
        self.0.finish(run)
    }

    fn remove(&self, place: &Worktree) -> Result<(), Error> {
        self.0.remove(place)
    }

    fn clean(&self) -> Result<Vec<String>, Error> {
        self.0.clean()
    }

    fn check_shared(&self, wish: &SharedWish<'_>) -> Result<Vec<String>, Error> {
        self.0.check_shared(wish)
    }

    fn share(
        &self,
        place: &Worktree,
        wish: &SharedWish<'_>,
        walled: bool,
    ) -> Result<Shared, Error> {
        self.0.share(place, wish, walled)
    }

    fn missing_submodules(&self, base: &str) -> Result<Vec<String>, Error> {
        self.0.missing_submodules(base)
    }

    fn weight(&self, place: &Worktree) -> u64 {
        self.0.weight(place)
    }

    fn describe_changes(&self, from: &str, to: &str) -> Result<String, Error> {
        self.0.describe_changes(from, to)
    }
}
