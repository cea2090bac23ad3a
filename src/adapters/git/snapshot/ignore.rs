//! Asks git which untracked names it ignores, and finds the files below those it does not.
//!
//! The rules are git's own: one `git check-ignore` answers for all names, round by round as
//! directories are opened. It is started only where there is an untracked name at all.

use std::{
    ffi::OsStr,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, fs::PermissionsExt},
    },
    path::Path,
};

use git2::Repository;

use super::scan::{FileStat, UntrackedEntry, open_directory, stat_at};
use crate::{
    adapters::git::{
        error::{ErrorContext, Result},
        objects::object::ObjectId,
        paths::{absolute, is_left_out},
        program::GitProgram,
        repository::WorktreeRepository,
    },
    domain::checkpoint::disk_record::DefaultModes,
};

/// What is untracked and not ignored.
#[derive(Debug, Default)]
pub(in crate::adapters::git) struct UntrackedFiles {
    /// Files and links, by path.
    pub(in crate::adapters::git) files: Vec<(Vec<u8>, FileStat)>,
    /// Nested repositories.
    pub(in crate::adapters::git) repositories: Vec<Vec<u8>>,
    /// Directories without a tracked file, outermost first.
    pub(in crate::adapters::git) directories: Vec<Vec<u8>>,
    /// True where something was met that only the git program judges rightly.
    pub(in crate::adapters::git) is_odd: bool,
    /// Modes of files and folders that are not usual.
    pub(in crate::adapters::git) modes: Vec<(Vec<u8>, u32)>,
    /// Folders with nothing in them.
    pub(in crate::adapters::git) empty: Vec<Vec<u8>>,
}

/// Follows untracked names down to the files that belong in a checkpoint.
pub(in crate::adapters::git) fn blocking_collect_untracked(
    home: &WorktreeRepository,
    mut names: Vec<UntrackedEntry>,
    excluded: &[Vec<u8>],
    usual: DefaultModes,
) -> Result<UntrackedFiles> {
    let mut loose = UntrackedFiles::default();
    let top = open_directory(&home.top)?;
    while !names.is_empty() {
        names.retain(|name| !is_left_out(&name.path, excluded));
        names.sort_unstable();
        let mut next = Vec::new();
        for name in blocking_not_ignored(&home.program(), names)? {
            loose.is_odd |= is_reserved_name(&name.path);
            if name.is_directory {
                open_up(home, name.path, usual, &mut next, &mut loose)?;
            } else {
                take_file(&top, name.path, usual, &mut loose);
            }
        }
        names = next;
    }
    loose.files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(loose)
}

/// Names that git refuses, or takes for its own, on some system.
pub(in crate::adapters::git) fn is_reserved_name(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|part| {
        let part = part.to_ascii_lowercase();
        let after = part.strip_prefix(b".git".as_slice());
        let special = |rest: &[u8]| rest.is_empty() || b" .:\\".contains(&rest[0]);
        matches!(part.as_slice(), b"" | b"." | b"..")
            || after.is_some_and(special)
            || part.starts_with(b"git~")
            || part.contains(&b'\\')
    })
}

fn take_file(top: &OwnedFd, path: Vec<u8>, usual: DefaultModes, loose: &mut UntrackedFiles) {
    // What is neither file nor link (sockets, pipes) is nothing to git.
    if let Some(seen) = stat_at(top, &path) {
        if seen.has_odd_mode(usual) {
            loose.modes.push((path.clone(), seen.perm));
        }
        loose.files.push((path, seen));
    }
}

fn open_up(
    home: &WorktreeRepository,
    path: Vec<u8>,
    usual: DefaultModes,
    next: &mut Vec<UntrackedEntry>,
    loose: &mut UntrackedFiles,
) -> Result<()> {
    let directory = absolute(&home.top, &path);
    if is_repository(&directory) {
        loose.repositories.push(path);
        return Ok(());
    }
    let data = directory.symlink_metadata().at("look at", &directory)?;
    let mode = data.permissions().mode() & 0o7777;
    if mode != usual.folder {
        loose.modes.push((path.clone(), mode));
    }
    let mut is_empty = true;
    for entry in std::fs::read_dir(&directory).at("read", &directory)? {
        is_empty = false;
        let entry = entry.at("read", &directory)?;
        let kind = entry.file_type().at("look at", &entry.path())?;
        let name = entry.file_name();
        if name != ".git" {
            next.push(UntrackedEntry {
                path: [path.as_slice(), name.as_bytes()].join(&b'/'),
                is_directory: kind.is_dir(),
            });
        }
    }
    if is_empty {
        loose.empty.push(path.clone());
    }
    loose.directories.push(path);
    Ok(())
}

/// Tells whether a directory is the work tree of another repository.
pub(in crate::adapters::git) fn is_repository(directory: &Path) -> bool {
    let git = directory.join(".git");
    match git.symlink_metadata() {
        Err(_) => false,
        Ok(data) if data.is_file() => {
            std::fs::read(&git).is_ok_and(|text| text.starts_with(b"gitdir:"))
        }
        Ok(_) => ["HEAD", "objects", "refs"]
            .iter()
            .all(|part| git.join(part).symlink_metadata().is_ok()),
    }
}

/// Asks git, in its work tree, which of these names it does not ignore.
pub(in crate::adapters::git) fn blocking_not_ignored(
    git: &GitProgram,
    names: Vec<UntrackedEntry>,
) -> Result<Vec<UntrackedEntry>> {
    if names.is_empty() {
        return Ok(names);
    }
    // A path that starts with a colon would be taken for a pattern; behind `./` it cannot.
    let line = |name: &UntrackedEntry| [b"./", name.path.as_slice(), b"\0"].concat();
    let input: Vec<u8> = names.iter().flat_map(line).collect();
    let arguments = ["check-ignore", "--no-index", "-v", "-n", "-z", "--stdin"];
    // It ends with 1 where nothing is ignored, which is an answer too.
    let answer = git.run_with_exit_codes(&arguments.map(OsStr::new), &input, &[0, 1])?;
    let mut fields = answer.split(|byte| *byte == 0);
    let mut ignored = Vec::with_capacity(names.len());
    while let (Some(_), Some(_), Some(pattern), Some(_)) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    {
        ignored.push(!pattern.is_empty() && !pattern.starts_with(b"!"));
    }
    if ignored.len() != names.len() {
        let what = "the answer of `git check-ignore` is incomplete";
        return Err(crate::adapters::git::error::corrupt(what, git.top()));
    }
    let kept = names
        .into_iter()
        .zip(ignored)
        .filter(|(_, ignored)| !ignored);
    Ok(kept.map(|(name, _)| name).collect())
}

pub(in crate::adapters::git) fn submodule_head(
    home: &WorktreeRepository,
    path: &[u8],
) -> Option<ObjectId> {
    let directory = absolute(&home.top, path);
    if !is_repository(&directory) {
        return None;
    }
    let head = Repository::open(directory)
        .ok()?
        .refname_to_id("HEAD")
        .ok()?;
    head.as_bytes().try_into().ok()
}
