//! Work trees for agents, below `.tos/worktrees/<run>/<task>`: a folder `tree` with the files, detached
//! from every branch, and room for homes beside it.
//!
//! After an agent was in it nothing there is believed: git is told where its directory is, rolling back
//! means making the tree anew, and success means that the trees compared are equal.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{
    folders::{folders, remove},
    kept_trees::{ProvedIndexes, SPARE, SpareTree},
    promises, question_folder, shared_files, shared_folders,
};
use crate::{
    adapters::{
        git::{
            program::GitProgram,
            snapshot::{capture::EXCLUDE_STATE, unchanged},
            worktree::folders::{WorktreeResult, folder_error, unmakeable},
        },
        process, state_folder, temporary,
        validate::changes,
    },
    domain::{
        checkpoint::CheckpointError, ledger::chain::sha256, state_folder::TOS_FOLDER,
        validate::CollectedChange,
    },
    ports::worktrees::{Error, MergedWork, SharedFiles, SharedPaths, Worktree, Worktrees},
};

/// What git keeps of all work trees is changed by one at a time in this program.
static ADMINISTRATION: Mutex<()> = Mutex::new(());

/// The work trees of one repository.
#[derive(Debug, Clone)]
pub struct GitWorktrees {
    top: PathBuf,
    common: PathBuf,
    folder: PathBuf,
    scratch: PathBuf,
    /// The token of each git that works on them.
    token: String,
    /// What is known of those that are in use.
    pub(in crate::adapters::git) known: ProvedIndexes,
    /// The one that the next task of a run may have.
    pub(in crate::adapters::git) spare: SpareTree,
}

impl GitWorktrees {
    /// Opens the repository of a root.
    pub fn open(root: &Path) -> WorktreeResult<Self> {
        let git = git2::Repository::discover(root).map_err(|error| {
            match crate::adapters::git::repository::open_error(root, error) {
                CheckpointError::NoRepository { .. } => Error(format!(
                    "{} is in no git repository; make one with `git init`, and a first commit",
                    root.display()
                )),
                other => Error(other.to_string()),
            }
        })?;
        let top = git.workdir().ok_or_else(|| {
            Error("this is a bare repository; tasks need one with a checkout".to_owned())
        })?;
        let top = top
            .canonicalize()
            .map_err(|error| folder_error("the repository cannot be read", &error))?;
        let common = git
            .commondir()
            .canonicalize()
            .map_err(|error| folder_error("git's directory cannot be read", &error))?;
        let state = top.join(TOS_FOLDER);
        for folder in ["worktrees", "scratch"] {
            let folder = state.join(folder);
            state_folder::create_dir_all(&folder).map_err(|error| unmakeable(&folder, &error))?;
        }
        Ok(Self {
            folder: state.join("worktrees"),
            scratch: state.join("scratch"),
            token: token_of(&top),
            top,
            common,
            known: ProvedIndexes::default(),
            spare: SpareTree::default(),
        })
    }

    /// Returns the top of the user's checkout.
    pub(in crate::adapters::git) fn top(&self) -> &Path {
        &self.top
    }

    /// Returns the git directory that all work trees share.
    pub(in crate::adapters::git) fn common_dir(&self) -> &Path {
        &self.common
    }

    /// Returns where the work trees are.
    pub(in crate::adapters::git) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns a folder for what lasts a moment.
    pub(in crate::adapters::git) fn scratch(&self) -> &Path {
        &self.scratch
    }

    pub(in crate::adapters::git) fn git(&self, words: &[&str]) -> WorktreeResult<String> {
        Self::run(&GitProgram::new(&self.top).with_token(&self.token), words)
    }

    fn run(program: &GitProgram, words: &[&str]) -> WorktreeResult<String> {
        let out = program
            .run(words, b"")
            .map_err(|error| Error(error.to_string()))?;
        Ok(String::from_utf8_lossy(&out).trim_end().to_owned())
    }

    /// Runs git in a work tree with its own index, whatever the work tree says about itself.
    pub(in crate::adapters::git) fn git_inside(
        place: &Worktree,
        index: &Path,
        words: &[&str],
    ) -> WorktreeResult<String> {
        let out = Self::inside_with(place, index, words, b"")?;
        Ok(String::from_utf8_lossy(&out).trim_end().to_owned())
    }

    pub(in crate::adapters::git) fn inside_with(
        place: &Worktree,
        index: &Path,
        words: &[&str],
        input: &[u8],
    ) -> WorktreeResult<Vec<u8>> {
        let program = GitProgram::new(&place.top).with_index(index);
        let directory = format!("--git-dir={}", place.directory.display());
        let top = format!("--work-tree={}", place.top.display());
        let mut all = vec![
            directory.as_str(),
            top.as_str(),
            "-c",
            "core.bare=false",
            "-c",
            "core.sparseCheckout=false",
        ];
        all.extend_from_slice(words);
        let done = program.run(&all, input);
        done.map_err(|error| Error(error.to_string()))
    }

    /// Runs git, once more without filters where one of them fails: what cannot be converted stays as it is stored.
    pub(in crate::adapters::git) fn run_despite_filters<T>(
        &self,
        words: &[&str],
        run: impl Fn(&[&str]) -> WorktreeResult<T>,
    ) -> WorktreeResult<T> {
        let first = run(words);
        let off = unchanged::disabled_filters(&GitProgram::new(&self.top));
        if first.is_ok() || off.is_empty() {
            return first;
        }
        let off: Vec<&str> = off.iter().map(String::as_str).collect();
        run(&[&off, words].concat()).or(first)
    }

    /// Takes back what adding made of files that are, byte for byte, what the base has.
    fn keep_untouched(&self, place: &Worktree, index: &Path) -> WorktreeResult<()> {
        let words = [
            "diff-index",
            "--cached",
            "--raw",
            "-z",
            "--no-renames",
            "--abbrev=40",
            &place.base,
        ];
        let listed = Self::inside_with(place, index, &words, b"")?;
        let lines = unchanged::unchanged_entries(&place.top, &listed);
        if lines.is_empty() {
            return Ok(());
        }
        // Writing an index looks once more at files that are as young as it, through their filters.
        let off = unchanged::disabled_filters(&GitProgram::new(&self.top));
        let mut words: Vec<&str> = off.iter().map(String::as_str).collect();
        words.extend(["update-index", "-z", "--index-info"]);
        Self::inside_with(place, index, &words, &lines).map(drop)
    }

    /// Returns the tree of everything in a work tree; files that were shared with it are no part of it.
    pub(in crate::adapters::git) fn write_tree(
        &self,
        place: &Worktree,
        ignored_too: bool,
    ) -> WorktreeResult<String> {
        let scratch = tempfile::tempdir_in(&self.scratch)
            .map_err(|error| folder_error("no room for an index", &error))?;
        let index = scratch.path().join("index");
        Self::git_inside(place, &index, &["read-tree", &place.base])?;
        let force: &[&str] = if ignored_too { &["-f"] } else { &[] };
        let shared = shared_files::exclude_pathspecs(&place.task_folder);
        let shared: Vec<&str> = shared.iter().map(String::as_str).collect();
        let add = [&["add", "-A"], force, &["--", "."], &EXCLUDE_STATE, &shared].concat();
        self.run_despite_filters(&add, |words| Self::git_inside(place, &index, words))?;
        self.keep_untouched(place, &index)?;
        self.run_despite_filters(&["write-tree"], |words| {
            Self::git_inside(place, &index, words)
        })
    }

    fn add(&self, top: &Path, base: &str) -> WorktreeResult<PathBuf> {
        let path = top.to_string_lossy().into_owned();
        // The whole of it: a sparse checkout of the user's is no wish of the task's.
        let words = [
            "-c",
            "core.sparseCheckout=false",
            "worktree",
            "add",
            "--detach",
            "--force",
            &path,
            base,
        ];
        // git reads what it keeps of every other work tree, and gives up where one is half made.
        let alone = ADMINISTRATION
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.run_despite_filters(&words, |words| {
            remove(top)
                .map_err(|error| folder_error("a work tree cannot be taken away", &error))?;
            self.git(words)
        })?;
        drop(alone);
        let link = fs::read_to_string(top.join(".git"))
            .map_err(|error| folder_error("the work tree was not made", &error))?;
        let directory = link.trim().strip_prefix("gitdir: ").map(PathBuf::from);
        directory.ok_or_else(|| Error(format!("{path} is no work tree of this repository")))
    }

    /// Makes the work tree and proves that it is its base and nothing else.
    fn fresh(&self, task_folder: &Path, base: &str) -> WorktreeResult<Worktree> {
        let top = task_folder.join("tree");
        let (commit, tree) = self.commit_and_tree(base)?;
        let mut place = Worktree {
            directory: self.add(&top, base)?,
            base: commit,
            tree,
            task_folder: task_folder.to_owned(),
            top,
        };
        place.directory = place.directory.canonicalize().unwrap_or(place.directory);
        let proved = self.prove_unchanged(&place);
        let is_proved = proved.is_some();
        self.set_known(&place, proved);
        if is_proved {
            return Ok(place);
        }
        self.check_out_submodules(&place)?;
        let here = self.write_tree(&place, true)?;
        if here != place.tree {
            return Err(Error(format!(
                "the work tree {} is not what {base} says",
                place.top.display()
            )));
        }
        Ok(place)
    }

    /// Returns the commit that a name means, and its tree.
    pub(in crate::adapters::git) fn commit_and_tree(
        &self,
        name: &str,
    ) -> WorktreeResult<(String, String)> {
        let read = || -> Result<(String, String), git2::Error> {
            let git = git2::Repository::open(&self.top)?;
            let commit = git.revparse_single(name)?.peel_to_commit()?;
            Ok((commit.id().to_string(), commit.tree_id().to_string()))
        };
        read().map_err(|error| folder_error(&format!("{name} is no commit here"), &error))
    }

    fn forget(&self, place: &Worktree) -> WorktreeResult<()> {
        self.set_known(place, None);
        remove(&place.top)
            .map_err(|error| folder_error("a work tree cannot be taken away", &error))?;
        shared_files::forget(&place.task_folder);
        temporary::blocking_remove_for_task(&place.task_folder);
        // Only the administration of trees that are gone is dropped.
        self.prune()
    }

    /// Drops what git keeps of work trees that are gone.
    pub(super) fn prune(&self) -> WorktreeResult<()> {
        // One that is being made looks, for a moment, like one that is gone.
        let _alone = ADMINISTRATION
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.git(&["worktree", "prune", "--expire=now"]).map(drop)
    }
}

impl Worktrees for GitWorktrees {
    fn head(&self) -> WorktreeResult<String> {
        self.commit_and_tree("HEAD")
            .map(|(commit, _)| commit)
            .map_err(|_| Error("the repository has no commit yet; make a first one".to_owned()))
    }

    fn make(&self, run: &str, task: &str, base: &str) -> WorktreeResult<Worktree> {
        let task_folder = self.folder.join(run).join(task);
        if task_folder.exists() {
            return Err(Error(format!("{} is there already", task_folder.display())));
        }
        state_folder::create_dir_all(&task_folder)
            .map_err(|error| unmakeable(&task_folder, &error))?;
        match self.remake_from_spare(run, &task_folder, base) {
            Some(place) => Ok(place),
            None => self.fresh(&task_folder, base),
        }
    }

    fn make_scratch(
        &self,
        run: &str,
        name: &str,
        files: &[(&str, &str)],
    ) -> WorktreeResult<Worktree> {
        question_folder::make(&self.folder.join(run).join(name), files)
    }

    fn read_scratch(&self, place: &Worktree, file: &str) -> Option<String> {
        question_folder::read(place, file)
    }

    fn checkout_contains(&self, path: &str) -> bool {
        self.top.join(path).is_file()
    }

    fn remove_scratch(&self, place: &Worktree) -> WorktreeResult<()> {
        question_folder::remove_folder(place)
    }

    fn changes(&self, place: &Worktree) -> WorktreeResult<CollectedChange> {
        let link = format!("gitdir: {}", place.directory.display());
        let says = fs::read_to_string(place.top.join(".git")).unwrap_or_default();
        let moved = says
            .trim()
            .strip_prefix("gitdir: ")
            .and_then(|path| Path::new(path).canonicalize().ok());
        if says.trim() != link && moved.as_ref() != Some(&place.directory) {
            return Err(Error(
                "the work tree was made another repository's".to_owned(),
            ));
        }
        // What is known has no submodules.
        if self.known_index(place).is_none() {
            self.refuse_changed_submodules(place)?;
        }
        let touched = self.touched_paths(place);
        let mut collected =
            changes::blocking_collect(&place.top, Some(&place.base), touched.as_deref())
                .map_err(|error| Error(error.to_string()))?;
        let shared = shared_files::copied_files(&place.task_folder);
        collected
            .changes
            .retain(|change| !shared.contains(&change.path));
        collected.ignored.retain(|path| !shared.contains(path));
        Ok(collected)
    }

    fn tree(&self, place: &Worktree) -> WorktreeResult<String> {
        match self.quick_tree(place) {
            Some(tree) => Ok(tree),
            None => self.write_tree(place, false),
        }
    }

    fn commit_tree(
        &self,
        place: &Worktree,
        tree: &str,
        message: &str,
        reference: &str,
    ) -> WorktreeResult<String> {
        let commit = self.commit(place, tree, message)?;
        self.git(&["update-ref", reference, &commit])?;
        Ok(commit)
    }

    fn commit_with_base(
        &self,
        place: &Worktree,
        tree: &str,
        paths: &[String],
    ) -> WorktreeResult<String> {
        let scratch = tempfile::tempdir_in(&self.scratch)
            .map_err(|error| folder_error("no room for an index", &error))?;
        let index = scratch.path().join("index");
        Self::git_inside(place, &index, &["read-tree", tree])?;
        for path in paths {
            let only = format!(":(top,literal){path}");
            let out = [
                "rm",
                "-r",
                "-q",
                "--cached",
                "--ignore-unmatch",
                "--",
                &only,
            ];
            Self::git_inside(place, &index, &out)?;
            let list = [
                "ls-tree",
                "-r",
                "-z",
                "--full-tree",
                &place.base,
                "--",
                path,
            ];
            let before = Self::git_inside(place, &index, &list)?;
            for line in before.split('\0').filter(|line| !line.is_empty()) {
                let (entry, name) = line.split_once('\t').unwrap_or((line, path));
                let words: Vec<&str> = entry.split(' ').collect();
                if let [mode, _, id] = words.as_slice() {
                    let entry = format!("{mode},{id},{name}");
                    let add = ["update-index", "--add", "--replace", "--cacheinfo", &entry];
                    Self::git_inside(place, &index, &add)?;
                }
            }
        }
        let tree = Self::git_inside(place, &index, &["write-tree"])?;
        self.commit(place, &tree, "checked with what judged before the change")
    }

    fn update_ref(&self, reference: &str, commit: &str) -> WorktreeResult<()> {
        if !reference.starts_with("refs/tos/") {
            return Err(Error(format!("{reference} is no reference of tos")));
        }
        self.git(&["update-ref", reference, commit]).map(drop)
    }

    fn resolve_ref(&self, reference: &str) -> Option<String> {
        self.commit_and_tree(reference)
            .map(|(commit, _)| commit)
            .ok()
    }

    fn fast_forward(
        &self,
        commit: &str,
        reference: &str,
        join: bool,
    ) -> WorktreeResult<MergedWork> {
        self.taken_over(commit, reference, join)
    }

    fn save(&self, place: &Worktree, message: &str, reference: &str) -> WorktreeResult<String> {
        let tree = self
            .refuse_changed_submodules(place)
            .and_then(|()| self.tree(place))
            .and_then(|tree| self.with_raw_bytes(place, &tree))
            .and_then(|tree| self.without_repositories(place, tree));
        let Ok(tree) = tree else {
            shared_files::remove_copies(&place.task_folder, &place.top);
            return self.set_aside(&place.top, reference);
        };
        self.commit_tree(place, &tree, message, reference)?;
        Ok(reference.to_owned())
    }

    fn roll_back(&self, place: &mut Worktree) -> WorktreeResult<String> {
        self.forget(place)?;
        *place = self.fresh(&place.task_folder, &place.base)?;
        // What is known was proved just now, with every file in it.
        if self.known_index(place).is_some() {
            return Ok(place.tree.clone());
        }
        self.write_tree(place, true)
    }

    fn remove_for_reuse(&self, place: &Worktree) -> WorktreeResult<()> {
        if self.keep_spare(place) {
            return Ok(());
        }
        self.remove(place)
    }

    fn remove_reusable(&self, run: &str) -> WorktreeResult<()> {
        self.drop_spare(run)
    }

    fn remove(&self, place: &Worktree) -> WorktreeResult<()> {
        self.forget(place)?;
        remove(&place.task_folder)
            .map_err(|error| folder_error("a folder cannot be taken away", &error))?;
        // The folder of the run goes with its last task.
        let parent = place.task_folder.parent().map(fs::remove_dir);
        drop(parent);
        Ok(())
    }

    fn recover_crashed(&self) -> WorktreeResult<Vec<String>> {
        let mut lines = Vec::new();
        // A git outlives the tos that was killed, and would go on to write what is taken away here.
        process::blocking_kill_marked(&self.token);
        for run in folders(&self.folder) {
            // What was kept for a next task was looked at when the one before ended.
            remove(&run.join(SPARE))
                .map_err(|error| folder_error("a folder cannot be taken away", &error))?;
            for task_folder in folders(&run) {
                lines.extend(self.recover_task_folder(&run, &task_folder)?);
            }
            shared_files::forget_all(&run);
            // What is left in it is not ours to judge.
            drop(fs::remove_dir(&run));
        }
        self.prune_half_made();
        temporary::blocking_remove_for_all_tasks(&self.top.join(TOS_FOLDER));
        if !folders(&self.common.join("worktrees")).is_empty() {
            self.prune()?;
        }
        Ok(lines)
    }

    fn protected_digests(&self) -> WorktreeResult<Vec<(String, String)>> {
        Ok(promises::digests(&self.common))
    }

    fn check_shared(&self, wish: &SharedPaths<'_>) -> WorktreeResult<Vec<String>> {
        let mut folders = wish.folders.iter();
        folders.try_for_each(|name| shared_folders::check(&self.top, name))?;
        shared_files::find(&self.top, wish.files)
    }

    fn share(
        &self,
        place: &Worktree,
        wish: &SharedPaths<'_>,
        walled: bool,
    ) -> WorktreeResult<SharedFiles> {
        let mut folders = wish.folders.iter();
        folders
            .try_for_each(|name| shared_folders::share_into(&self.top, &place.top, name, walled))?;
        shared_files::copy_into(&self.top, place, wish.files, walled)
    }

    fn missing_submodules(&self, base: &str) -> WorktreeResult<Vec<String>> {
        self.absent_submodules(base)
    }

    fn disk_usage(&self, place: &Worktree) -> u64 {
        temporary::blocking_disk_usage(&place.task_folder)
    }

    fn describe_changes(&self, from: &str, to: &str) -> WorktreeResult<String> {
        self.git(&[
            "-c",
            "core.quotePath=true",
            "diff",
            "--stat",
            "--no-ext-diff",
            "--no-textconv",
            from,
            to,
        ])
    }
}

impl GitWorktrees {
    /// Commits a tree on top of the base; nothing points at it.
    fn commit(&self, place: &Worktree, tree: &str, message: &str) -> WorktreeResult<String> {
        let configured = git2::Repository::open(&self.top).and_then(|git| git.config());
        let has_name = configured.is_ok_and(|config| config.get_string("user.email").is_ok());
        let identity: &[&str] = if has_name {
            &[]
        } else {
            &["-c", "user.name=tos", "-c", "user.email=tos@localhost"]
        };
        let mut words = identity.to_vec();
        words.extend_from_slice(&["commit-tree", tree, "-p", &place.base, "-m", message]);
        self.git(&words)
    }

    pub(super) fn is_ancestor(&self, older: &str, newer: &str) -> WorktreeResult<bool> {
        let base = self.git(&["merge-base", older, newer]);
        let older = self.git(&["rev-parse", "--verify", &format!("{older}^{{commit}}")])?;
        // Histories that have nothing in common have no base, which is an answer too.
        Ok(base.is_ok_and(|base| base == older))
    }
}

/// Returns the token of the gits that work for one repository.
fn token_of(top: &Path) -> String {
    let digest = sha256(top.as_os_str().as_encoded_bytes());
    format!("git-{}", digest.get(..16).unwrap_or(&digest))
}
