//! Finds the files that would be lost and reads them.
//!
//! Danger: what is not found here is lost for good; so what git cannot say (a folder it ignores as a whole, a project in no
//! repository) is looked at on the disk, and what cannot be held is an error, never left out.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use git2::{Repository, Status, StatusOptions};

use super::{
    failed,
    parts::{Files, Folder, Folders, TreeFile},
    store::CheckpointStore,
};
use crate::{
    adapters::git::{
        error::{ErrorContext, Result},
        objects::{object::ObjectKind, pack::PackWriter},
        paths::folders_above,
    },
    domain::guard::checkpoint::{
        CheckpointSelection, GitFileStatus, GuardCheckpointRequest, is_rebuildable,
    },
};

/// Where tos writes about its runs, unless the configuration says otherwise.
const LOGS: &str = "logs";
/// What it writes there; the first is there once anything is.
const RUN_RECORDS: [&str; 5] = [
    "run.jsonl",
    "run_snapshot.json",
    "last_run_summary.json",
    "steps",
    "archive",
];

/// The most bytes of an ignored file that is held when it is written over.
const WRITTEN: u64 = 1 << 20;
/// The bits of a mode that are rights.
pub(super) const PERMISSION_BITS: u32 = 0o7777;

/// Reads the files that would be lost into a pack; returns them, and the folders that would be lost with them.
pub(super) fn blocking_collect(
    store: &CheckpointStore,
    order: &GuardCheckpointRequest,
    pack: &mut PackWriter,
) -> Result<(Files, Folders)> {
    let selection = CheckpointSelection::new(&order.losses);
    let mut found = Found {
        root: &store.root,
        selection: &selection,
        most: order.most_files,
        paths: BTreeSet::new(),
        folders: Folders::new(),
    };
    if store.is_project {
        found.by_git(&store.git)?;
        found.written_over(&store.git)?;
        found.folders_by_disk("", &tracked_folders(&store.git)?)?;
    } else {
        found.by_disk("", GitFileStatus::Untracked)?;
    }
    let mut files = Files::new();
    let mut bytes = 0;
    let Found {
        paths, mut folders, ..
    } = found;
    for path in paths {
        let place = store
            .root
            .join(Path::new(std::ffi::OsStr::from_bytes(&path)));
        let Ok(data) = place.symlink_metadata() else {
            continue;
        };
        bytes += data.size();
        if bytes > order.most_bytes {
            let most = order.most_bytes >> 20;
            return Err(failed(format!(
                "it is more than {most} MiB (`max_megabytes` in .tos/guard.toml)"
            )));
        }
        if let Some(file) = blocking_read(&place, &data, pack)? {
            note_above(&store.root, &path, &mut folders);
            files.insert(path, file);
        }
    }
    Ok((files, folders))
}

/// Notes the folders above a file, for the case that they have to be made again.
fn note_above(root: &Path, path: &[u8], folders: &mut Folders) {
    for folder in folders_above(path) {
        if folders.contains_key(folder) {
            continue;
        }
        if let Ok(data) = root.join(OsStr::from_bytes(folder)).symlink_metadata() {
            let rights = data.mode() & PERMISSION_BITS;
            let is_lost = false;
            folders.insert(folder.to_vec(), Folder { rights, is_lost });
        }
    }
}

/// Returns the folders in which git has something.
fn tracked_folders(git: &Repository) -> Result<BTreeSet<Vec<u8>>> {
    let index = git
        .index()
        .doing(|| "could not read the index".to_owned())?;
    let mut folders = BTreeSet::new();
    for entry in index.iter() {
        // Where one is known, so are those above it.
        for folder in folders_above(&entry.path).rev() {
            if !folders.insert(folder.to_vec()) {
                break;
            }
        }
    }
    Ok(folders)
}

/// Reads one file; `None` for what is no file.
pub(super) fn blocking_read(
    place: &Path,
    data: &fs::Metadata,
    pack: &mut PackWriter,
) -> Result<Option<TreeFile>> {
    let kind = data.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(place).at("read", place)?;
        let id = pack.add(ObjectKind::Blob, target.as_os_str().as_bytes())?;
        return Ok(Some(TreeFile {
            mode: 0o120_000,
            id,
            rights: None,
        }));
    }
    if !kind.is_file() || kind.is_fifo() {
        return Ok(None);
    }
    let content = fs::read(place).at("read", place)?;
    let id = pack.add(ObjectKind::Blob, &content)?;
    let mode = if data.mode() & 0o111 == 0 {
        0o100_644
    } else {
        0o100_755
    };
    Ok(Some(TreeFile {
        mode,
        id,
        rights: Some(data.mode() & PERMISSION_BITS),
    }))
}

struct Found<'a> {
    root: &'a Path,
    selection: &'a CheckpointSelection<'a>,
    most: usize,
    paths: BTreeSet<Vec<u8>>,
    folders: Folders,
}

impl Found<'_> {
    fn take(&mut self, path: &[u8]) -> Result<()> {
        self.paths.insert(path.to_vec());
        if self.paths.len() > self.most {
            let most = self.most;
            return Err(failed(format!(
                "it is more than {most} files (`max_files` in .tos/guard.toml)"
            )));
        }
        Ok(())
    }

    /// Notes a folder that would be lost as such.
    fn note_lost(&mut self, place: &Path, data: &fs::Metadata) {
        let path = place.strip_prefix(self.root).unwrap_or(place);
        let folder = Folder {
            rights: data.mode() & PERMISSION_BITS,
            is_lost: true,
        };
        self.folders
            .insert(path.as_os_str().as_bytes().to_vec(), folder);
    }

    /// Finds the folders that would be lost, empty ones too: git knows only files.
    fn folders_by_disk(&mut self, folder: &str, tracked: &BTreeSet<Vec<u8>>) -> Result<()> {
        if !self.selection.includes_folders() {
            return Ok(());
        }
        let place = self.root.join(folder);
        let entries = fs::read_dir(&place).at("read", &place)?;
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(data) = path.symlink_metadata() else {
                continue;
            };
            let name = entry.file_name();
            let below = match folder {
                "" => name.to_string_lossy().into_owned(),
                folder => format!("{folder}/{}", name.to_string_lossy()),
            };
            let is_repository = path.join(".git").symlink_metadata().is_ok();
            if !data.is_dir() || name == ".git" || is_repository || is_rebuildable(&below) {
                continue;
            }
            let is_tracked = tracked.contains(below.as_bytes());
            let state = if is_tracked {
                GitFileStatus::Changed
            } else {
                GitFileStatus::Untracked
            };
            // One in which git has something is made again with that.
            let is_lost = !is_tracked
                && (self.selection.removes_folder(&below) || self.selection.cleans(&below, state));
            if is_lost {
                self.note_lost(&path, &data);
                if self.folders.len() > self.most {
                    let most = self.most;
                    return Err(failed(format!(
                        "it is more than {most} folders (`max_files` in .tos/guard.toml)"
                    )));
                }
            }
            // Git cleans folders in those it has something in, too.
            let is_cleaned = self.selection.cleans(&below, GitFileStatus::Untracked);
            if is_cleaned || self.selection.may_include_below(&below, state) {
                self.folders_by_disk(&below, tracked)?;
            }
        }
        Ok(())
    }

    /// Finds files by what git says about them.
    fn by_git(&mut self, git: &Repository) -> Result<()> {
        let literal = self.selection.literal_paths();
        let mut options = StatusOptions::new();
        options
            .include_untracked(true)
            .recurse_untracked_dirs(true)
            .include_ignored(self.selection.wants_ignored())
            .recurse_ignored_dirs(false)
            .exclude_submodules(true)
            .update_index(false);
        if !literal.is_empty() {
            options.disable_pathspec_match(true);
            for path in &literal {
                options.pathspec(path);
            }
        }
        let statuses = git
            .statuses(Some(&mut options))
            .doing(|| "git could not say what is not committed".to_owned())?;
        let mut entries: Vec<(Vec<u8>, Status)> = Vec::new();
        for entry in statuses.iter() {
            entries.push((entry.path_bytes().to_vec(), entry.status()));
        }
        self.refuse_submodules(git)?;
        for (path, status) in &entries {
            self.entry(path, *status)?;
        }
        if self.selection.wants_ignored() {
            for path in literal {
                self.unseen(git, path, &entries)?;
            }
        }
        Ok(())
    }

    /// Finds ignored files that are written over by their own names, where they are no more than a person writes.
    fn written_over(&mut self, git: &Repository) -> Result<()> {
        let selection = self.selection;
        for path in selection.overwritten_files() {
            let place = self.root.join(path);
            let is_small = place
                .symlink_metadata()
                .is_ok_and(|data| data.is_file() && data.size() <= WRITTEN);
            if is_small && git.is_path_ignored(path).unwrap_or(false) && !is_tracked(git, path) {
                self.take(path.as_bytes())?;
            }
        }
        Ok(())
    }

    /// The work of a submodule is in a repository of its own, which this one cannot hold.
    fn refuse_submodules(&self, git: &Repository) -> Result<()> {
        const LINK: u32 = 0o160_000;
        let index = git
            .index()
            .doing(|| "could not read the index".to_owned())?;
        for entry in index.iter().filter(|entry| entry.mode == LINK) {
            let path = String::from_utf8_lossy(&entry.path);
            let is_there = self.root.join(path.as_ref()).join(".git").exists();
            if is_there && self.selection.removes_folder(&path) {
                return Err(failed(format!("`{path}` is a repository of its own")));
            }
        }
        Ok(())
    }

    /// Returns whether a file is a record of runs of tos, which is nobody's work where git cleans it away.
    fn is_run_record(&self, path: &str) -> bool {
        let is_record = |name: &str| {
            let first = name.split('/').next().unwrap_or("");
            RUN_RECORDS.contains(&first)
        };
        !self.selection.removes_folder(LOGS)
            && path
                .strip_prefix(LOGS)
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(is_record)
            && self.root.join(LOGS).join(RUN_RECORDS[0]).is_file()
    }

    fn entry(&mut self, path: &[u8], status: Status) -> Result<()> {
        let shown = String::from_utf8_lossy(path).into_owned();
        if status.is_wt_new() && self.is_run_record(&shown) {
            return Ok(());
        }
        let state = if status.is_ignored() {
            GitFileStatus::Ignored
        } else if status.is_wt_new() {
            GitFileStatus::Untracked
        } else {
            GitFileStatus::Changed
        };
        let Some(folder) = shown.strip_suffix('/') else {
            if self.selection.wants(&shown, state) {
                self.take(path)?;
            }
            return Ok(());
        };
        if self.selection.may_include_below(folder, state)
            && !(state == GitFileStatus::Ignored && is_rebuildable(folder))
        {
            self.by_disk(folder, state)?;
        }
        Ok(())
    }

    /// Looks at a path that git said nothing about because a folder above it is ignored as a whole.
    fn unseen(
        &mut self,
        git: &Repository,
        path: &str,
        entries: &[(Vec<u8>, Status)],
    ) -> Result<()> {
        let path = path.trim_end_matches('/');
        let is_said = |entry: &[u8]| {
            let entry = String::from_utf8_lossy(entry);
            let entry = entry.trim_end_matches('/');
            entry == path || entry.starts_with(&format!("{path}/"))
        };
        if entries.iter().any(|(entry, _)| is_said(entry)) {
            return Ok(());
        }
        if !git.is_path_ignored(path).unwrap_or(true) || is_tracked(git, path) {
            return Ok(());
        }
        if path.split('/').any(is_rebuildable) {
            return Ok(());
        }
        let place = self.root.join(path);
        match place.symlink_metadata() {
            Ok(data) if data.is_dir() => self.by_disk(path, GitFileStatus::Ignored),
            Ok(_) => self.take(path.as_bytes()),
            Err(_) => Ok(()),
        }
    }

    /// Finds files by walking the disk below a folder.
    fn by_disk(&mut self, folder: &str, state: GitFileStatus) -> Result<()> {
        let place = self.root.join(folder);
        // What git does to a work tree stops at a repository inside it.
        let is_repository = !folder.is_empty() && place.join(".git").symlink_metadata().is_ok();
        if is_repository && !self.selection.removes_folder(folder) {
            return Ok(());
        }
        let mut entries: Vec<PathBuf> = fs::read_dir(&place)
            .at("read", &place)?
            .flatten()
            .map(|entry| entry.path())
            .collect();
        entries.sort();
        for entry in entries {
            let Some(name) = entry.file_name() else {
                continue;
            };
            let below = match folder {
                "" => name.to_string_lossy().into_owned(),
                folder => format!("{folder}/{}", name.to_string_lossy()),
            };
            let is_folder = entry
                .symlink_metadata()
                .is_ok_and(|data| data.file_type().is_dir());
            if name == ".git" {
                if self.selection.wants(folder, state) {
                    return Err(failed(format!("`{folder}` is a repository of its own")));
                }
                continue;
            }
            if !is_folder {
                if self.selection.wants(&below, state) {
                    let path = entry.strip_prefix(self.root).unwrap_or(&entry);
                    self.take(path.as_os_str().as_bytes())?;
                }
            } else if self.selection.may_include_below(&below, state) && !is_rebuildable(&below) {
                if self.selection.removes_folder(&below)
                    && let Ok(data) = entry.symlink_metadata()
                {
                    self.note_lost(&entry, &data);
                }
                self.by_disk(&below, state)?;
            }
        }
        Ok(())
    }
}

fn is_tracked(git: &Repository, path: &str) -> bool {
    let Ok(index) = git.index() else {
        return false;
    };
    let below = format!("{path}/");
    index
        .iter()
        .any(|entry| entry.path == path.as_bytes() || entry.path.starts_with(below.as_bytes()))
}
