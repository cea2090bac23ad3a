//! Work trees for agents: made from accepted work, taken away without losing anything.

use std::path::PathBuf;

use crate::domain::validate::CollectedChange;

/// Why git or the disk did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

/// A work tree and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worktree {
    /// The folder that holds work tree and homes: all an agent may write.
    pub task_folder: PathBuf,
    /// The work tree.
    pub top: PathBuf,
    /// Its git directory.
    pub directory: PathBuf,
    /// The commit it was made from.
    pub base: String,
    /// The tree of that commit.
    pub tree: String,
}

/// What of the checkout a work tree gets although git ignores it.
#[derive(Debug, Clone, Copy)]
pub struct SharedPaths<'a> {
    /// Folders.
    pub folders: &'a [String],
    /// Patterns of files.
    pub files: &'a [String],
}

/// What was shared with a work tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SharedFiles {
    /// The files, from the top of the checkout.
    pub files: Vec<String>,
    /// Values in them that nobody may see.
    pub secrets: Vec<String>,
}

/// Work that the user's branch has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedWork {
    /// The branch.
    pub branch: String,
    /// Where it is now.
    pub commit: String,
    /// Where it was, if the two had to be joined.
    pub joined: Option<String>,
}

/// Makes and keeps work trees. The user's checkout, branches, hooks and configuration are never touched.
pub trait Worktrees: Send + Sync {
    /// Returns the commit that new work starts from.
    fn head(&self) -> Result<String, Error>;

    /// Makes a work tree of a commit and verifies that it is exactly that.
    fn make(&self, run: &str, task: &str, base: &str) -> Result<Worktree, Error>;

    /// Makes an empty folder with these files, outside every repository, for questions to an agent.
    fn make_scratch(
        &self,
        run: &str,
        name: &str,
        files: &[(&str, &str)],
    ) -> Result<Worktree, Error>;

    /// Returns the text of a file in such a folder, at most 64 KiB of it.
    fn read_scratch(&self, place: &Worktree, file: &str) -> Option<String>;

    /// Returns whether the user's checkout holds a file of that name.
    fn checkout_contains(&self, path: &str) -> bool;

    /// Takes such a folder away.
    fn remove_scratch(&self, place: &Worktree) -> Result<(), Error>;

    /// Collects what changed in it, the agent's own commits and index included.
    fn changes(&self, place: &Worktree) -> Result<CollectedChange, Error>;

    /// Returns the tree of everything in it that is not ignored; nothing that git keeps is changed.
    fn tree(&self, place: &Worktree) -> Result<String, Error>;

    /// Commits a tree on top of the base and lets a reference of tos point at it.
    fn commit_tree(
        &self,
        place: &Worktree,
        tree: &str,
        message: &str,
        reference: &str,
    ) -> Result<String, Error>;

    /// Returns a commit of a tree with these paths as they are in the base; what is not there in the base is left out.
    fn commit_with_base(
        &self,
        place: &Worktree,
        tree: &str,
        paths: &[String],
    ) -> Result<String, Error>;

    /// Lets a reference of tos point at a commit.
    fn update_ref(&self, reference: &str, commit: &str) -> Result<(), Error>;

    /// Returns the commit that a reference points at.
    fn resolve_ref(&self, reference: &str) -> Option<String>;

    /// Moves the user's branch and checkout forward to a commit, if nothing else is in the way; never anything but
    /// forward. Where the branch has moved meanwhile, `join` makes a merge commit of the two. This is done only when a person
    /// says so.
    fn fast_forward(&self, commit: &str, reference: &str, join: bool) -> Result<MergedWork, Error>;

    /// Keeps everything in it where a person can look at it: under a reference, or, where git cannot hold
    /// it, as a folder out of the way. Returns where.
    fn save(&self, place: &Worktree, message: &str, reference: &str) -> Result<String, Error>;

    /// Puts it back to its base, and returns the tree of everything in it afterwards, ignored files too.
    fn roll_back(&self, place: &mut Worktree) -> Result<String, Error>;

    /// Takes it away; what is in it must have been kept or given up before.
    fn remove(&self, place: &Worktree) -> Result<(), Error>;

    /// Takes it away as `remove` does, but keeps its files for the next one that is made for the same run, where that is sure to
    /// be as good as a new one. Whoever calls this calls `finish` at the end of the run.
    fn remove_for_reuse(&self, place: &Worktree) -> Result<(), Error> {
        self.remove(place)
    }

    /// Takes away what was kept for the next task of a run.
    fn remove_reusable(&self, _run: &str) -> Result<(), Error> {
        Ok(())
    }

    /// Takes away what a run that ended badly has left, after keeping what is in it under a reference.
    /// Returns one line each.
    fn recover_crashed(&self) -> Result<Vec<String>, Error>;

    /// Says why one of these folders or patterns of files of the checkout cannot be shared. Returns the files.
    fn check_shared(&self, wish: &SharedPaths<'_>) -> Result<Vec<String>, Error>;

    /// Puts folders and files of the checkout that git ignores into a fresh work tree, where nothing done to them
    /// reaches the checkout: folders as links where a wall makes everything outside read-only, else as copies; files as
    /// copies. They are never part of what changed in it.
    fn share(
        &self,
        place: &Worktree,
        wish: &SharedPaths<'_>,
        walled: bool,
    ) -> Result<SharedFiles, Error>;

    /// Names the submodules of a commit that work trees are made without, and what helps; one line each.
    fn missing_submodules(&self, base: &str) -> Result<Vec<String>, Error>;

    /// Returns how many bytes of disk a task folder takes, homes and ignored files included.
    fn disk_usage(&self, place: &Worktree) -> u64;

    /// Returns a digest of each thing of the user's repository that no task may touch.
    fn protected_digests(&self) -> Result<Vec<(String, String)>, Error>;

    /// Returns what changed between two commits, for people.
    fn describe_changes(&self, from: &str, to: &str) -> Result<String, Error>;
}
