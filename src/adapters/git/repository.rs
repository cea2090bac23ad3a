//! The repository a root belongs to: where its parts are and what its configuration says.

use std::path::{Path, PathBuf};

use git2::{ErrorClass, ErrorCode, Oid, Repository, Signature};

use super::{
    error::{ErrorContext, Result, path_text},
    program::GitProgram,
};
use crate::{
    adapters::process::find_program::is_program,
    domain::checkpoint::{
        CheckpointError, CheckpointRefs, FALLBACK_IDENTITY, snapshot_message::HeadState,
    },
};

/// Hooks a commit or a checkout by hand would run.
const HOOKS: &[&str] = &[
    "pre-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "post-checkout",
    "post-index-change",
    "reference-transaction",
];

/// Files in the git directory that say that something waits for its end, and its name.
pub(super) const OPERATION_FILES: &[(&str, &str)] = &[
    ("MERGE_HEAD", "a merge"),
    ("CHERRY_PICK_HEAD", "a cherry-pick"),
    ("REVERT_HEAD", "a revert"),
];

/// An opened repository with a work tree.
pub(super) struct WorktreeRepository {
    /// The repository.
    pub(super) git: Repository,
    /// The top of the work tree, absolute.
    pub(super) top: PathBuf,
    /// The git directory of this work tree.
    pub(super) directory: PathBuf,
    /// Where the refs of this work tree's checkpoints and snapshots live.
    pub(super) refs: CheckpointRefs,
    /// The root tos was given, relative to `top`, in bytes; empty where they are the same.
    pub(super) prefix: Vec<u8>,
}

impl WorktreeRepository {
    /// Opens the repository that holds `root`.
    pub(super) fn open(root: &Path) -> Result<Self> {
        let git = Repository::discover(root).map_err(|error| open_error(root, error))?;
        let Some(top) = git.workdir() else {
            let repository = path_text(git.path());
            return Err(CheckpointError::Bare { repository });
        };
        let top = top.canonicalize().at("resolve", top)?;
        let root = root.canonicalize().at("resolve", root)?;
        let inside = root.strip_prefix(&top).unwrap_or(Path::new(""));
        let prefix = std::os::unix::ffi::OsStrExt::as_bytes(inside.as_os_str()).to_owned();
        let directory = git.path().to_owned();
        let linked = directory.file_name().filter(|_| git.is_worktree());
        let refs = CheckpointRefs::of(linked.map(std::os::unix::ffi::OsStrExt::as_bytes));
        let home = Self {
            git,
            top,
            directory,
            refs,
            prefix,
        };
        home.refuse_other_formats()?;
        Ok(home)
    }

    fn refuse_other_formats(&self) -> Result<()> {
        match self.config("extensions.objectformat").as_deref() {
            None | Some("sha1") => Ok(()),
            Some(other) => Err(CheckpointError::Unsupported {
                repository: path_text(&self.directory),
                feature: format!("the object format `{other}`"),
            }),
        }
    }

    /// Returns a value of the configuration.
    pub(super) fn config(&self, key: &str) -> Option<String> {
        self.git.config().ok()?.get_string(key).ok()
    }

    /// Returns a yes-or-no value of the configuration.
    pub(super) fn config_bool(&self, key: &str) -> Option<bool> {
        self.git.config().ok()?.get_bool(key).ok()
    }

    /// Returns the git program, pointed at this work tree.
    pub(super) fn program(&self) -> GitProgram {
        GitProgram::new(&self.top)
    }

    /// Returns the path of the index.
    pub(super) fn index_path(&self) -> PathBuf {
        self.directory.join("index")
    }

    /// Returns where HEAD stands.
    pub(super) fn head(&self) -> Result<HeadState> {
        let reading = || "could not read HEAD".to_owned();
        let head = self.git.find_reference("HEAD").doing(reading)?;
        let Some(target) = head.symbolic_target().ok().flatten() else {
            let at = head.target().map(|at| at.to_string()).unwrap_or_default();
            return Ok(HeadState::Detached { at });
        };
        let name = target.to_owned();
        let at = match self.git.refname_to_id(&name) {
            Ok(at) => Some(at.to_string()),
            Err(error) if error.code() == ErrorCode::NotFound => None,
            Err(error) => return Err(error).doing(reading),
        };
        Ok(HeadState::Branch { name, at })
    }

    /// Returns the tree of a commit; the empty tree for `None`.
    pub(super) fn tree_of(&self, commit: Option<&str>) -> Result<Option<Oid>> {
        let Some(commit) = commit else {
            return Ok(None);
        };
        let reading = || format!("could not read commit {commit}");
        let id = Oid::from_str(commit).doing(reading)?;
        let commit = self.git.find_commit(id).doing(reading)?;
        Ok(Some(commit.tree_id()))
    }

    /// Returns who commits: the configured identity, else the fallback, now.
    pub(super) fn signature(&self) -> Result<Signature<'static>> {
        self.git.signature().or_else(|_| {
            let (name, mail) = FALLBACK_IDENTITY;
            let name = self.config("user.name").unwrap_or_else(|| name.to_owned());
            let mail = self.config("user.email").unwrap_or_else(|| mail.to_owned());
            Signature::now(&name, &mail).doing(|| "could not make a signature".to_owned())
        })
    }

    /// Returns the hooks that exist here and are not run.
    pub(super) fn skipped_hooks(&self) -> Vec<String> {
        let directory = match self.config("core.hooksPath") {
            Some(path) => self.top.join(path),
            None => self.git.commondir().join("hooks"),
        };
        HOOKS
            .iter()
            .filter(|name| is_program(&directory.join(name)))
            .map(|name| (*name).to_owned())
            .collect()
    }

    /// Returns what waits for its end although nothing in the index says so: a rebase, or mails being applied.
    pub(super) fn rebase_under_way(&self) -> Option<&'static str> {
        let is_there = |name: &str| self.directory.join(name).exists();
        if is_there("rebase-apply/applying") {
            return Some("`git am`");
        }
        (is_there("rebase-merge") || is_there("rebase-apply")).then_some("a rebase")
    }

    /// Fails where a merge, cherry-pick or revert waits for its end.
    pub(super) fn refuse_unfinished(&self) -> Result<()> {
        let waiting = OPERATION_FILES
            .iter()
            .find(|(file, _)| self.directory.join(file).exists());
        match waiting {
            None => Ok(()),
            Some((_, what)) => Err(CheckpointError::UnderWay {
                what: (*what).to_owned(),
                repository: path_text(&self.top),
            }),
        }
    }
}

/// Makes `root` a repository unless it is inside one.
pub(super) fn blocking_init(root: &Path) -> Result<()> {
    match Repository::discover(root) {
        Ok(_) => Ok(()),
        Err(error) if error.code() == ErrorCode::NotFound => {
            let made = Repository::init(root).at("make a git repository in", root);
            made.map(drop)
        }
        Err(error) => Err(open_error(root, error)),
    }
}

/// Says why the repository of a root cannot be opened.
pub(in crate::adapters) fn open_error(root: &Path, error: git2::Error) -> CheckpointError {
    let feature = match (error.code(), error.class()) {
        (ErrorCode::NotFound, _) => return CheckpointError::NoRepository { root: path_text(root) },
        (_, ErrorClass::Repository) if error.message().contains("refstorage") => {
            "another storage of refs than files (`extensions.refStorage`, e.g. reftable; `git refs migrate \
             --ref-format=files` changes it)"
                .to_owned()
        }
        (_, ErrorClass::Repository) if is_about_objects(error.message()) => {
            "another object format than sha1 (`extensions.objectFormat`, e.g. sha256; git cannot change it, but \
             `git fast-export --all | git -C NEW fast-import` fills a new repository)"
                .to_owned()
        }
        (ErrorCode::Owner, _) => {
            "a directory owned by another user (see `git config safe.directory`)".to_owned()
        }
        (_, ErrorClass::Repository) => error.message().to_owned(),
        _ => {
            let opening: std::result::Result<(), _> = Err(error);
            return match opening.at("open the repository of", root) {
                Err(failure) => failure,
                Ok(()) => CheckpointError::NoRepository { root: path_text(root) },
            };
        }
    };
    CheckpointError::Unsupported {
        repository: path_text(root),
        feature,
    }
}

fn is_about_objects(message: &str) -> bool {
    message.contains("objectformat") || message.contains("object format")
}
