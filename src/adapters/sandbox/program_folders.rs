//! What lies in the folders of programs: their links and what interprets their scripts, read once while a folder stays as it is.
//!
//! A plan starts thousands of commands with the same `PATH`, and a folder may hold hundreds of scripts. A folder is known by
//! its inode and times; where these change it is read again. Danger: a script that is rewritten in its place changes nothing of
//! its folder, so its new interpreter is only shown where the script is the program that is started, which is looked at each
//! time. Nothing is decided here: where a link leads is followed anew for every command.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::lookup::{FileIdentity, interpreter};

/// How many entries of one folder of programs are looked at.
const MOST_ENTRIES: usize = 4096;

/// How many folders are remembered; a `PATH` has a few dozen.
const MOST_FOLDERS: usize = 256;

/// What was read, by the folder's path without links.
static KNOWN: Mutex<BTreeMap<PathBuf, (FileIdentity, Arc<ProgramFolder>)>> =
    Mutex::new(BTreeMap::new());

/// The part of a folder's programs that leads elsewhere.
#[derive(Debug, Default)]
pub(super) struct ProgramFolder {
    /// Entries that are links.
    pub(super) links: Vec<PathBuf>,
    /// What the first lines of its scripts name.
    pub(super) interpreters: BTreeSet<PathBuf>,
}

/// Returns what lies in a folder, which is named without links; nothing where it cannot be read.
pub(super) fn programs(folder: &Path) -> Arc<ProgramFolder> {
    // Looked at before the entries are: what comes in between changes the times.
    let Some(identity) = FileIdentity::of(folder) else {
        return Arc::default();
    };
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((read_as, programs)) = known().get(folder)
        && *read_as == identity
    {
        return Arc::clone(programs);
    }
    let programs = Arc::new(blocking_read(folder));
    let mut known = known();
    if known.len() >= MOST_FOLDERS {
        known.clear();
    }
    known.insert(folder.to_owned(), (identity, Arc::clone(&programs)));
    programs
}

fn blocking_read(folder: &Path) -> ProgramFolder {
    let mut programs = ProgramFolder::default();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.take(MOST_ENTRIES) {
        match entry.file_type() {
            Ok(kind) if kind.is_symlink() => programs.links.push(entry.path()),
            Ok(kind) if kind.is_file() => programs.interpreters.extend(interpreter(&entry.path())),
            Ok(_) | Err(_) => {}
        }
    }
    programs
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_folder_is_read_again_when_something_comes_or_goes() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        fs::write(folder.join("one"), "#!/bin/sh\n").unwrap();
        let first = programs(&folder);
        assert_eq!(first.interpreters, [PathBuf::from("/bin/sh")].into());
        assert!(Arc::ptr_eq(&first, &programs(&folder)));
        symlink("one", folder.join("two")).unwrap();
        fs::write(folder.join("three"), "#!/usr/bin/env python3\n").unwrap();
        // The clock of the file system ticks in milliseconds; another time stands for a later one.
        let later =
            fs::metadata(&folder).unwrap().modified().unwrap() + std::time::Duration::from_secs(1);
        fs::File::open(&folder)
            .unwrap()
            .set_modified(later)
            .unwrap();
        let second = programs(&folder);
        assert_eq!(second.links, [folder.join("two")]);
        let named = ["/bin/sh", "/usr/bin/env"].map(PathBuf::from);
        assert_eq!(second.interpreters, named.into());
    }

    #[test]
    fn what_cannot_be_read_holds_nothing() {
        let nothing = programs(Path::new("/nonexistent/programs"));
        assert!(nothing.links.is_empty() && nothing.interpreters.is_empty());
    }
}
