//! A real repository in a temporary folder, and the git program to look at it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tos::{
    adapters::git::{GitCheckpoints, options::CheckpointOptions},
    domain::checkpoint::{
        CheckpointError, CheckpointReport, CheckpointRequest, RollbackReport, RollbackRequest,
        UndoReport,
    },
    ports::checkpoints::Checkpoints,
};

/// A repository that is removed afterwards.
pub(crate) struct Repo {
    _home: TempDir,
    pub(crate) top: PathBuf,
}

impl Repo {
    /// Makes a repository without commits.
    pub(crate) fn empty() -> Self {
        let repo = Self::outside();
        repo.git(&["init", "-q", "-b", "main", "."]);
        repo.git(&["config", "user.name", "Tester"]);
        repo.git(&["config", "user.email", "tester@example.com"]);
        repo
    }

    /// Makes a folder that is in no repository.
    pub(crate) fn outside() -> Self {
        let home = TempDir::new().unwrap();
        let top = home.path().canonicalize().unwrap().join("work");
        fs::create_dir(&top).unwrap();
        Self { _home: home, top }
    }

    /// Makes a repository with a few committed files.
    pub(crate) fn with_files() -> Self {
        let repo = Self::empty();
        repo.write("a.txt", "one\n");
        repo.write("src/lib.rs", "fn lib() {}\n");
        repo.write("src/deep/er.rs", "fn er() {}\n");
        repo.write(".gitignore", "/ignored/\n*.log\n");
        repo.commit("first");
        repo
    }

    /// Runs git and returns what it printed; it must succeed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git_in(&self.top, arguments)
    }

    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.head()
    }

    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    pub(crate) fn status(&self) -> String {
        self.git(&["status", "--porcelain"])
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.top.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.top.join(path)).unwrap()
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.top.join(path).symlink_metadata().is_ok()
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.top.join(path)).unwrap();
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        symlink(target, self.top.join(path)).unwrap();
    }

    pub(crate) fn set_mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.top.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn options(&self) -> CheckpointOptions {
        CheckpointOptions {
            lock_wait: Duration::from_millis(100),
            fetch_deadline: Duration::from_secs(20),
            ..CheckpointOptions::for_root(self.top.clone())
        }
    }

    pub(crate) fn checkpoints(&self) -> GitCheckpoints {
        GitCheckpoints::new(self.options())
    }

    pub(crate) fn try_take(&self, name: &str) -> Result<CheckpointReport, CheckpointError> {
        take_with(self.options(), name, false)
    }

    pub(crate) fn take(&self, name: &str) -> CheckpointReport {
        let taken = self.try_take(name).unwrap();
        self.check();
        taken
    }

    pub(crate) fn try_roll_back(
        &self,
        target: &str,
        discard: bool,
    ) -> Result<RollbackReport, CheckpointError> {
        let order = RollbackRequest {
            target: Some(target.to_owned()),
            discard,
            ..RollbackRequest::default()
        };
        block_on(self.checkpoints().roll_back(&order))
    }

    pub(crate) fn roll_back(&self, target: &str, discard: bool) -> RollbackReport {
        let done = self.try_roll_back(target, discard).unwrap();
        self.check();
        assert_eq!(self.status(), "", "clean after a rollback");
        done
    }

    pub(crate) fn undo(&self) -> UndoReport {
        let done = block_on(self.checkpoints().undo(None)).unwrap();
        self.check();
        done
    }

    /// The object database and the index are whole in git's eyes.
    pub(crate) fn check(&self) {
        self.git(&["fsck", "--strict", "--no-dangling", "--no-progress"]);
    }

    /// Everything on disk: path, mode and content; `.git` left out.
    pub(crate) fn picture(&self) -> Vec<String> {
        let mut files = Vec::new();
        gather(&self.top, &mut files);
        let mut lines: Vec<String> = files.iter().map(|path| line(&self.top, path)).collect();
        lines.sort();
        lines
    }

    /// Every file of the picture, links left out.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        gather(&self.top, &mut files);
        files.retain(|path| !path.is_symlink());
        files
    }

    /// One line of the picture.
    pub(crate) fn picture_of(&self, path: &str) -> String {
        line(&self.top, &self.top.join(path))
    }

    /// The index as git lists it, flags included.
    pub(crate) fn staged(&self) -> String {
        self.git(&["ls-files", "-s", "-t", "-v"])
    }
}

pub(crate) fn take_with(
    options: CheckpointOptions,
    name: &str,
    allow_secrets: bool,
) -> Result<CheckpointReport, CheckpointError> {
    let order = CheckpointRequest {
        name: name.to_owned(),
        allow_secrets,
    };
    block_on(GitCheckpoints::new(options).take(&order))
}

pub(crate) fn git_in(directory: &Path, arguments: &[&str]) -> String {
    let done = Command::new("git")
        .current_dir(directory)
        .args([
            "-c",
            "protocol.file.allow=always",
            "-c",
            "core.quotePath=false",
        ])
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "git {arguments:?}: {error}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn gather(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if entry.file_name() == ".git" {
        } else if entry.file_type().unwrap().is_dir() {
            gather(&path, files);
        } else {
            files.push(path);
        }
    }
}

fn line(top: &Path, path: &Path) -> String {
    let name = path.strip_prefix(top).unwrap().display();
    let data = path.symlink_metadata().unwrap();
    if data.is_symlink() {
        return format!("{name} -> {}", fs::read_link(path).unwrap().display());
    }
    let mode = data.permissions().mode() & 0o100;
    let content = fs::read(path).unwrap();
    format!("{name} {mode:o} {}", String::from_utf8_lossy(&content))
}
