//! What is asked about a project before a command may run that could take the guard's own files away.

use std::{
    cell::OnceCell,
    fs,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use git2::{ObjectType, Oid, Repository};

use crate::domain::{
    guard::{
        hook::PLUGIN_MARK,
        protected::{AGENT_SETTINGS_FILES, ProjectInspector, TrackedState},
    },
    state_folder::TOS_FOLDER,
};

/// What in the own folder of tos keeps an agent in its bounds: the rules, what people have agreed to, and the record of it. All
/// else there tos writes again by itself.
const BOUNDS: [&str; 4] = ["guard.toml", "approvals", "ledger", "service-settings.toml"];
/// The most files of the own folder that are looked at.
const MOST: usize = 200;
/// The most bytes of an archive or patch that are looked at.
const MOST_BYTES: u64 = 64 << 20;

/// A project on the disk.
pub struct DiskProjectView {
    root: PathBuf,
    git: OnceCell<Option<Repository>>,
}

impl std::fmt::Debug for DiskProjectView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskProjectView")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl DiskProjectView {
    /// Makes the view; looks at nothing yet.
    pub const fn new(root: PathBuf) -> Self {
        Self {
            root,
            git: OnceCell::new(),
        }
    }

    fn git(&self) -> Option<&Repository> {
        let open = || {
            let git = Repository::open(&self.root).ok()?;
            let top = git.workdir()?.canonicalize().ok()?;
            (top == self.root.canonicalize().ok()?).then_some(git)
        };
        self.git.get_or_init(open).as_ref()
    }

    /// Returns the object at a path of a state of the repository.
    fn object_at(&self, path: &str, revision: Option<&str>) -> Option<Oid> {
        let git = self.git()?;
        let Some(revision) = revision else {
            let index = git.index().ok()?;
            return index.get_path(Path::new(path), 0).map(|entry| entry.id);
        };
        let tree = revparse(git, revision)?.peel_to_tree().ok()?;
        tree.get_path(Path::new(path)).ok().map(|entry| entry.id())
    }
}

/// Finds a state; a word that names a branch of another machine alone is one that `git checkout` makes a branch of.
fn revparse<'a>(git: &'a Repository, word: &str) -> Option<git2::Object<'a>> {
    let plain = git.revparse_single(word);
    let found = plain.or_else(|_| git.revparse_single(&format!("origin/{word}")));
    found.ok()?.peel(ObjectType::Commit).ok()
}

impl ProjectInspector for DiskProjectView {
    fn protected_files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = Vec::new();
        for name in BOUNDS {
            let path = format!("{TOS_FOLDER}/{name}");
            match self.root.join(&path).symlink_metadata() {
                Ok(data) if data.is_dir() => folders.push(path),
                Ok(_) => found.push(path),
                Err(_) => {}
            }
        }
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(self.root.join(&folder));
            for entry in entries.into_iter().flatten().flatten() {
                let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                } else if found.len() < MOST {
                    found.push(path);
                }
            }
        }
        // The rules come first: a reason names them.
        found.sort_by_key(|path| (!path.ends_with("/guard.toml"), path.clone()));
        let has_hook = |path: &&str| {
            let text = fs::read_to_string(self.root.join(path)).unwrap_or_default();
            text.contains(" guard hook ") || text.starts_with(PLUGIN_MARK)
        };
        found.extend(
            AGENT_SETTINGS_FILES
                .into_iter()
                .filter(has_hook)
                .map(str::to_owned),
        );
        found
    }

    fn state(&self, path: &str) -> TrackedState {
        let Some(git) = self.git() else {
            return TrackedState::Untracked;
        };
        if self.object_at(path, None).is_some() {
            TrackedState::Tracked
        } else if git.is_path_ignored(path).unwrap_or(false) {
            TrackedState::Ignored
        } else {
            TrackedState::Untracked
        }
    }

    fn holds_tracked(&self, folder: &str) -> bool {
        let index = self.git().and_then(|git| git.index().ok());
        let below = format!("{folder}/");
        index.is_some_and(|index| {
            index
                .iter()
                .any(|entry| entry.path.starts_with(below.as_bytes()))
        })
    }

    fn is_revision(&self, word: &str) -> bool {
        self.git().is_some_and(|git| revparse(git, word).is_some())
    }

    fn differs(&self, path: &str, revision: Option<&str>) -> bool {
        let there = self.object_at(path, revision);
        let content = fs::read(self.root.join(path)).unwrap_or_default();
        match there {
            Some(there) => {
                let here = Oid::hash_object(ObjectType::Blob, &content);
                !here.is_ok_and(|here| here == there)
            }
            // A state without it takes it away, if it is git's.
            None => revision.is_some() && self.object_at(path, None).is_some(),
        }
    }

    fn is_changed_by(&self, path: &str, revision: &str) -> bool {
        let (from, to) = match revision.split_once("..") {
            Some((from, to)) => (from.to_owned(), to.trim_start_matches('.')),
            None => (format!("{revision}^"), revision),
        };
        let to = if to.is_empty() { "HEAD" } else { to };
        let known = self.git().and_then(|git| revparse(git, to)).is_some();
        known && self.object_at(path, Some(&from)) != self.object_at(path, Some(to))
    }

    fn is_second_name(&self, path: &str, file: &str) -> bool {
        let data = |path: &str| self.root.join(path).metadata().ok();
        let (Some(one), Some(other)) = (data(path), data(file)) else {
            return false;
        };
        one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino())
    }

    fn exists(&self, path: &Path) -> bool {
        self.root.join(path).symlink_metadata().is_ok()
    }

    fn holds_text(&self, path: &Path, text: &str) -> Option<bool> {
        let bytes = self.bytes_of(path)?;
        let wanted = text.as_bytes();
        Some(
            bytes
                .windows(wanted.len().max(1))
                .any(|part| part == wanted),
        )
    }

    fn text_of(&self, path: &Path) -> Option<String> {
        let bytes = self.bytes_of(path)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl DiskProjectView {
    /// Returns what a file holds, unpacked where it is packed; `None` where it cannot be said.
    fn bytes_of(&self, path: &Path) -> Option<Vec<u8>> {
        let place = self.root.join(path);
        let data = place.metadata().ok().filter(fs::Metadata::is_file)?;
        if data.len() > MOST_BYTES {
            return None;
        }
        let bytes = fs::read(&place).ok()?;
        match bytes.as_slice() {
            [0x1f, 0x8b, ..] => {
                let mut plain = Vec::new();
                let read = MultiGzDecoder::new(bytes.as_slice())
                    .take(MOST_BYTES)
                    .read_to_end(&mut plain);
                // What is longer, or broken, cannot be said.
                read.ok()
                    .filter(|read| *read < usize::try_from(MOST_BYTES).unwrap_or(0))?;
                Some(plain)
            }
            // bzip2, xz, zstd, 7z and rar hide the names.
            [b'B', b'Z', b'h', ..]
            | [0xfd, b'7', b'z', ..]
            | [0x28, 0xb5, 0x2f, 0xfd, ..]
            | [b'7', b'z', 0xbc, ..]
            | [b'R', b'a', b'r', b'!', ..] => None,
            _ => Some(bytes),
        }
    }
}
