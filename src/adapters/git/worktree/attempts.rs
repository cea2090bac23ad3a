//! What was tried and is not accepted: kept as it is on the disk, also after a crash.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    folders::{WorktreeResult, folder_error, folders, remove},
    shared_files,
    worktrees::GitWorktrees,
};
use crate::{
    adapters::{git::snapshot::unchanged, state_folder},
    ports::worktrees::{Error, Worktree, Worktrees as _},
};

impl GitWorktrees {
    /// Keeps what a crash left in a task folder, and takes the task folder away.
    pub(in crate::adapters::git) fn recover_task_folder(
        &self,
        run: &Path,
        task_folder: &Path,
    ) -> WorktreeResult<Option<String>> {
        let name = |path: &Path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        let reference = format!("refs/tos/attempts/{}/{}-left", name(run), name(task_folder));
        let top = task_folder.join("tree");
        let saved = match self.left(task_folder, &top) {
            Some(place) if self.is_untouched(&place) => None,
            Some(place) => Some(self.save(&place, "left by a run that ended badly", &reference)?),
            None if top.exists() => {
                shared_files::remove_copies(task_folder, &top);
                Some(self.set_aside(&top, &reference)?)
            }
            None => None,
        };
        shared_files::forget(task_folder);
        remove(task_folder)
            .map_err(|error| folder_error("a folder cannot be taken away", &error))?;
        Ok(saved.map(|place| format!("kept what {} left as {place}", name(task_folder))))
    }

    /// Returns a tree with the bytes that changed files have on the disk, whatever a filter makes of them.
    pub(in crate::adapters::git) fn with_raw_bytes(
        &self,
        place: &Worktree,
        tree: &str,
    ) -> WorktreeResult<String> {
        let scratch = tempfile::tempdir_in(self.scratch())
            .map_err(|error| folder_error("no room for an index", &error))?;
        let index = scratch.path().join("index");
        Self::git_inside(place, &index, &["read-tree", tree])?;
        let words = [
            "diff-tree",
            "-r",
            "--raw",
            "-z",
            "--no-renames",
            "--abbrev=40",
            &place.tree,
            tree,
        ];
        let listed = Self::inside_with(place, &index, &words, b"")?;
        for (mode, path) in unchanged::converted_files(&place.top, &listed) {
            let file = place.top.join(&path);
            let file = file.to_string_lossy();
            let words = ["hash-object", "-w", "--no-filters", "--", &file];
            let id = Self::git_inside(place, &index, &words)?;
            let entry = format!("{mode},{id},{path}");
            let words = ["update-index", "--add", "--cacheinfo", &entry];
            Self::git_inside(place, &index, &words)?;
        }
        Self::git_inside(place, &index, &["write-tree"])
    }

    /// Drops the administration of work trees that were being made when git was killed: it is locked, so that nobody
    /// prunes it.
    pub(in crate::adapters::git) fn prune_half_made(&self) {
        for administration in folders(&self.common_dir().join("worktrees")) {
            let link = fs::read_to_string(administration.join("gitdir")).unwrap_or_default();
            let link = Path::new(link.trim());
            if link.starts_with(self.folder()) && !link.exists() {
                // What stays of it is pruned, or named by `git worktree list`.
                drop(fs::remove_dir_all(administration));
            }
        }
    }

    fn is_untouched(&self, place: &Worktree) -> bool {
        let same = self.tree(place).is_ok_and(|tree| tree == place.tree);
        same && self
            .changed_submodules(place)
            .is_ok_and(|lines| lines.is_empty())
    }

    /// Fails where the tree holds other repositories, whose files git would not keep.
    pub(in crate::adapters::git) fn without_repositories(
        &self,
        place: &Worktree,
        tree: String,
    ) -> WorktreeResult<String> {
        let links = |of: &str| -> WorktreeResult<usize> {
            let list = self.git(&["ls-tree", "-r", of])?;
            Ok(list
                .lines()
                .filter(|line| line.starts_with("160000"))
                .count())
        };
        if links(&tree)? > links(&place.tree)? {
            return Err(Error("another repository is inside".to_owned()));
        }
        Ok(tree)
    }

    /// Moves a folder out of the way, under a name that says where it comes from.
    pub(in crate::adapters::git) fn set_aside(
        &self,
        top: &Path,
        reference: &str,
    ) -> WorktreeResult<String> {
        let folder = self.folder().with_file_name("set-aside");
        state_folder::create_dir_all(&folder)
            .map_err(|error| folder_error("a folder cannot be made", &error))?;
        let name = reference
            .trim_start_matches("refs/tos/attempts/")
            .replace('/', "-");
        let to = folder.join(name);
        fs::rename(top, &to).map_err(|error| folder_error("a folder cannot be moved", &error))?;
        Ok(to.display().to_string())
    }

    /// Finds the administration of a work tree that a crash left.
    fn left(&self, task_folder: &Path, top: &Path) -> Option<Worktree> {
        let link = fs::read_to_string(top.join(".git")).ok()?;
        let directory = PathBuf::from(link.trim().strip_prefix("gitdir: ")?)
            .canonicalize()
            .ok()?;
        if !directory.starts_with(self.common_dir().join("worktrees")) {
            return None;
        }
        let head = fs::read_to_string(directory.join("HEAD")).ok()?;
        let base = self
            .git(&[
                "rev-parse",
                "--verify",
                &format!("{}^{{commit}}", head.trim()),
            ])
            .ok()?;
        let tree = self
            .git(&["rev-parse", "--verify", &format!("{base}^{{tree}}")])
            .ok()?;
        Some(Worktree {
            task_folder: task_folder.to_owned(),
            top: top.to_owned(),
            directory,
            base,
            tree,
        })
    }
}
