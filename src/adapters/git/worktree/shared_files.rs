//! Files of the checkout that git ignores, such as `.env`, copied into work trees and kept out of everything that is
//! made from them.
//!
//! Which files a work tree got is written beside its task folder, where an agent behind a wall cannot reach it: rules for
//! what git ignores lie in the work tree and may be changed there, so they are not what keeps such a file out of a commit.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Component, Path, PathBuf},
};

use super::{
    folders::{WorktreeResult, folder_error},
    shared_folders::is_covered,
};
use crate::{
    adapters::git::{program::GitProgram, snapshot::capture::EXCLUDE_STATE},
    domain::redaction::secrets_in_file,
    ports::worktrees::{Error, SharedFiles, Worktree},
};

/// More files than this are no settings but a folder, which `share` is for.
const MOST: usize = 200;
/// Larger files are linked where a wall makes the checkout read-only.
const LARGE: u64 = 16 << 20;
/// Larger files are not searched for secrets.
const LARGEST_TEXT: u64 = 1 << 20;

/// Returns the files of a checkout that patterns mean, or says why one of them means none.
pub(in crate::adapters::git) fn find(
    top: &Path,
    patterns: &[String],
) -> WorktreeResult<Vec<String>> {
    let mut found = Vec::new();
    for pattern in patterns {
        let ignored = list(top, pattern, &["-o", "-i", "--exclude-standard"])?;
        let ignored: Vec<String> = ignored
            .into_iter()
            .filter(|name| top.join(name).is_file())
            .collect();
        if let Some(other) = list(top, pattern, &["-o", "--exclude-standard"])?.first() {
            return Err(Error(format!(
                "`share_files` names `{other}`, which git does not ignore; add it to .gitignore or .git/info/exclude"
            )));
        }
        if ignored.is_empty() {
            let why = if list(top, pattern, &["-c"])?.is_empty() {
                format!("which is no file of {}", top.display())
            } else {
                "which git has already; it comes with the work tree".to_owned()
            };
            return Err(Error(format!("`share_files` names `{pattern}`, {why}")));
        }
        found.extend(ignored);
    }
    found.sort();
    found.dedup();
    if found.len() > MOST {
        return Err(Error(format!(
            "`share_files` means {} files and {MOST} are allowed; name their folder in `share`",
            found.len()
        )));
    }
    Ok(found)
}

fn list(top: &Path, pattern: &str, which: &[&str]) -> WorktreeResult<Vec<String>> {
    let spec = format!(":(top,glob){pattern}");
    let words = [&["ls-files", "-z"], which, &["--", &spec], &EXCLUDE_STATE].concat();
    let out = GitProgram::new(top)
        .run(&words, b"")
        .map_err(|error| Error(error.to_string()))?;
    let names = out.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    // A nested repository, and a folder without files of its own, end with a slash.
    let names = names.filter(|name| !name.ends_with(b"/"));
    names
        .map(|name| {
            String::from_utf8(name.to_vec()).map_err(|_| {
                Error(format!(
                    "`share_files` means {}, whose name is no text",
                    String::from_utf8_lossy(name)
                ))
            })
        })
        .collect()
}

/// Copies files of the checkout into a work tree, and writes down which.
pub(in crate::adapters::git) fn copy_into(
    top: &Path,
    place: &Worktree,
    patterns: &[String],
    walled: bool,
) -> WorktreeResult<SharedFiles> {
    if patterns.is_empty() {
        return Ok(SharedFiles::default());
    }
    let mut shared = SharedFiles {
        files: find(top, patterns)?,
        secrets: Vec::new(),
    };
    // What the commit has at such a path is the task's to change.
    shared
        .files
        .retain(|name| place.top.join(name).symlink_metadata().is_err());
    let listed = serde_json::to_vec(&shared.files)
        .map_err(|error| folder_error("a list cannot be written", &error))?;
    let record = record(&place.task_folder);
    fs::write(&record, listed).map_err(|error| {
        folder_error(&format!("{} cannot be written", record.display()), &error)
    })?;
    for name in &shared.files {
        let done = copy(top, &place.top, name, walled && !is_covered(top));
        let secrets =
            done.map_err(|error| folder_error(&format!("`{name}` cannot be shared"), &error))?;
        shared.secrets.extend(secrets);
    }
    Ok(shared)
}

/// Copies a file, or links it where it is large and cannot be changed; returns the secrets in it.
fn copy(top: &Path, tree: &Path, name: &str, walled: bool) -> io::Result<Vec<String>> {
    let (from, to) = (top.join(name), tree.join(name));
    make_folders(tree, name)?;
    let size = from.metadata()?.len();
    if walled && size > LARGE {
        symlink(from.canonicalize()?, to)?;
        return Ok(Vec::new());
    }
    fs::copy(&from, &to)?;
    if size > LARGEST_TEXT {
        return Ok(Vec::new());
    }
    Ok(secrets_in_file(&String::from_utf8_lossy(&fs::read(&to)?)))
}

/// Makes the folders a file lies in; a link that the commit has in the place of one would lead elsewhere.
fn make_folders(tree: &Path, name: &str) -> io::Result<()> {
    let mut folder = tree.to_owned();
    let parents = Path::new(name).parent().unwrap_or(Path::new(""));
    for part in parents.components() {
        let Component::Normal(part) = part else {
            continue;
        };
        folder.push(part);
        match folder.symlink_metadata() {
            Ok(data) if data.is_dir() => {}
            Ok(_) => {
                let what = format!("{} is no folder there", folder.display());
                return Err(io::Error::other(what));
            }
            Err(_) => fs::create_dir(&folder)?,
        }
    }
    Ok(())
}

/// Returns the files that a work tree got, from the top.
pub(in crate::adapters::git) fn copied_files(task_folder: &Path) -> Vec<String> {
    let text = fs::read(record(task_folder)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Returns what makes git leave these files alone.
pub(in crate::adapters::git) fn exclude_pathspecs(task_folder: &Path) -> Vec<String> {
    let names = copied_files(task_folder).into_iter();
    names
        .map(|name| format!(":(exclude,top,literal){name}"))
        .collect()
}

/// Takes the copies out of a work tree that is about to be kept as a folder.
pub(in crate::adapters::git) fn remove_copies(task_folder: &Path, tree: &Path) {
    for name in copied_files(task_folder) {
        // What an agent made of it is gone with it, or is not there.
        drop(fs::remove_file(tree.join(name)));
    }
}

/// Forgets what a work tree got, which is gone.
pub(in crate::adapters::git) fn forget(task_folder: &Path) {
    drop(fs::remove_file(record(task_folder)));
}

/// Forgets what all work trees of a run got, which are gone.
pub(in crate::adapters::git) fn forget_all(run: &Path) {
    for entry in fs::read_dir(run).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.to_string_lossy().ends_with(".shared.json") {
            drop(fs::remove_file(path));
        }
    }
}

/// Returns where it is written which files the work tree of a task folder got.
pub(in crate::adapters::git) fn record(task_folder: &Path) -> PathBuf {
    task_folder.with_extension("shared.json")
}
