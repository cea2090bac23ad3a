//! One work tree for the tasks of a run: when a task has ended, its files go to the next one, which saves checking out everything
//! anew.
//!
//! Nothing that an agent left is believed. Its git directory goes; the next task gets a new one. Names that the proved index does
//! not hold are taken away, ignored ones too; a file whose inode, size or times are not the proved ones is written anew, so also
//! one with the right content in the wrong inode. Then the whole is proved again, and whatever is odd (modes, attributes,
//! filters, submodules) makes it a case for a fresh checkout. Between two tasks the files lie in a folder that is no work tree;
//! what a crash leaves there is taken away by the next start.

use std::{
    collections::BTreeSet,
    ffi::{CString, OsString},
    fs, io,
    os::unix::{ffi::OsStringExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    sync::PoisonError,
};

use super::{
    folders::{WorktreeResult, folder_error, remove},
    kept_trees::{SPARE, Spare},
    shared_files,
    worktrees::GitWorktrees,
};
use crate::{
    adapters::{
        git::{
            index::Index,
            paths::absolute,
            snapshot::{scan, worktree_files},
        },
        temporary,
    },
    ports::worktrees::Worktree,
};

impl GitWorktrees {
    /// Keeps the files of a work tree for the next task, and takes away everything else of it; false where that is not possible.
    pub(in crate::adapters::git) fn keep_spare(&self, place: &Worktree) -> bool {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(index), None) = (self.known_index(place), &*spare) else {
            return false;
        };
        let Some(run) = place.task_folder.parent().map(Path::to_owned) else {
            return false;
        };
        let waiting = run.join(SPARE);
        let is_ours = place
            .directory
            .starts_with(self.common_dir().join("worktrees"));
        let moved = is_ours
            && is_folder(&place.top)
            && remove(&waiting).is_ok()
            && fs::create_dir(&waiting).is_ok()
            && fs::rename(&place.top, waiting.join("tree")).is_ok();
        if !moved {
            return false;
        }
        self.set_known(place, None);
        *spare = Some(Spare { run, index });
        // From here on the caller has nothing to do: what is not taken away here is found by the next start.
        drop(fs::remove_dir_all(&place.directory));
        shared_files::forget(&place.task_folder);
        temporary::blocking_remove_for_task(&place.task_folder);
        drop(remove(&place.task_folder));
        true
    }

    /// Makes a work tree of the files that wait; `None` where a fresh checkout has to be made.
    pub(in crate::adapters::git) fn remake_from_spare(
        &self,
        run: &str,
        task_folder: &Path,
        base: &str,
    ) -> Option<Worktree> {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let run = self.folder().join(run);
        let waiting = spare.take_if(|waiting| waiting.run == run)?;
        drop(spare);
        let made = self.reset(&waiting, task_folder, base);
        if made.is_none() {
            // The caller makes everything anew, at the same place.
            drop(remove(&task_folder.join("tree")));
            drop(self.prune());
        }
        drop(remove(&run.join(SPARE)));
        made
    }

    fn reset(&self, waiting: &Spare, task_folder: &Path, base: &str) -> Option<Worktree> {
        let top = task_folder.join("tree");
        fs::rename(waiting.run.join(SPARE).join("tree"), &top).ok()?;
        clear(&top, &waiting.index).ok()?;
        let (base, tree) = self.commit_and_tree(base).ok()?;
        let directory = self.administer(&top, &base, &waiting.index)?;
        let place = Worktree {
            directory: directory.canonicalize().ok()?,
            base,
            tree,
            task_folder: task_folder.to_owned(),
            top,
        };
        let index = place.directory.join("index");
        let words = ["read-tree", "--reset", "-u", &place.base];
        Self::git_inside(&place, &index, &words).ok()?;
        let proved = self.prove_unchanged(&place)?;
        self.set_known(&place, Some(proved));
        Some(place)
    }

    /// Makes a new git directory for a work tree, with the index of what was proved.
    fn administer(&self, top: &Path, base: &str, index: &Index) -> Option<PathBuf> {
        let git = git2::Repository::open(self.top()).ok()?;
        let config = git.config().ok()?;
        // Formats in which a work tree has more files of its own.
        let extends = |key: &str| config.get_string(key).is_ok();
        if ["extensions.worktreeconfig", "extensions.refstorage"]
            .into_iter()
            .any(extends)
        {
            return None;
        }
        let all = self.common_dir().join("worktrees");
        fs::create_dir_all(&all).ok()?;
        let names = (0_u32..).map(|number| match number {
            0 => "tree".to_owned(),
            number => format!("tree{number}"),
        });
        let mut taken = names.map(|name| all.join(name)).take(1_000);
        let directory = taken.find_map(|path| match fs::create_dir(&path) {
            Ok(()) => Some(Some(path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
            Err(_) => Some(None),
        })??;
        let link = top.join(".git");
        fs::write(directory.join("gitdir"), line(&link)).ok()?;
        fs::write(directory.join("commondir"), "../..\n").ok()?;
        fs::write(directory.join("HEAD"), format!("{base}\n")).ok()?;
        fs::write(directory.join("index"), index.to_bytes(index.written)).ok()?;
        let text = [b"gitdir: ".to_vec(), line(&directory)].concat();
        fs::write(link, text).ok()?;
        Some(directory)
    }

    /// Takes away what waits for the next task of a run.
    pub(in crate::adapters::git) fn drop_spare(&self, run: &str) -> WorktreeResult<()> {
        let run = self.folder().join(run);
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.take_if(|waiting| waiting.run == run).is_none() {
            return Ok(());
        }
        remove(&run.join(SPARE))
            .map_err(|error| folder_error("a folder cannot be taken away", &error))?;
        // The folder of the run goes with the last of its tasks.
        drop(fs::remove_dir(&run));
        Ok(())
    }
}

fn line(path: &Path) -> Vec<u8> {
    let mut line = path.as_os_str().as_encoded_bytes().to_vec();
    line.push(b'\n');
    line
}

/// Takes away everything that the index does not hold, and files that nothing proves; fails where something is odd.
fn clear(top: &Path, index: &Index) -> io::Result<()> {
    let odd = |what: &str| io::Error::other(what.to_owned());
    // A link in its place leads to files of somebody else.
    if !is_folder(top) {
        return Err(odd("it is no folder"));
    }
    take_away(&top.join(".git"))?;
    let found = scan::blocking_scan_all(top, index, worktree_files::default_modes())
        .map_err(|error| io::Error::other(error.to_string()))?;
    let is_folder = |path: &[u8]| is_folder(&absolute(top, path));
    if found.is_odd
        || !found.submodules.is_empty()
        || found.modes.iter().any(|(path, _)| is_folder(path))
    {
        return Err(odd("something in it is not as git makes it"));
    }
    for name in &found.untracked {
        take_away(&absolute(top, &name.path))?;
    }
    for candidate in &found.candidates {
        if let Some(entry) = index.entries.get(candidate.at) {
            take_away(&absolute(top, index.path(entry)))?;
        }
    }
    let mut folders = BTreeSet::from([Vec::new()]);
    for entry in &index.entries {
        let mut path = index.path(entry);
        while let Some(at) = path.iter().rposition(|byte| *byte == b'/') {
            path = path.get(..at).unwrap_or_default();
            if !folders.insert(path.to_vec()) {
                break;
            }
        }
    }
    // The deepest first: one without files is none for git.
    for folder in folders.iter().rev() {
        let path = absolute(top, folder);
        if is_folder(folder) && (folder.is_empty() || fs::remove_dir(&path).is_err()) {
            refuse_attributes(&path)?;
        }
    }
    let mode = top.symlink_metadata()?.permissions().mode() & 0o7777;
    if mode == worktree_files::default_modes().folder {
        Ok(())
    } else {
        Err(odd("its top has other modes than a new folder"))
    }
}

fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|data| data.is_dir())
}

/// Takes away a file, or a folder with everything in it; what is not there is no fault.
fn take_away(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(data) if data.is_dir() => remove(path),
        Ok(_) => fs::remove_file(path),
    }
}

/// Fails where a folder has attributes beyond its mode, such as rights that new files in it would inherit.
fn refuse_attributes(folder: &Path) -> io::Result<()> {
    let path = CString::new(OsString::from(folder).into_vec())?;
    let mut names = vec![0_u8; 4096];
    let length = match rustix::fs::llistxattr(path.as_c_str(), &mut names) {
        Ok(length) => length,
        Err(rustix::io::Errno::NOTSUP) => 0,
        Err(error) => return Err(error.into()),
    };
    let mut given = names
        .get(..length)
        .unwrap_or_default()
        .split(|byte| *byte == 0);
    // Those that the system gives to every file.
    if given.all(|name| name.is_empty() || name.starts_with(b"security.")) {
        Ok(())
    } else {
        Err(io::Error::other("a folder has attributes of its own"))
    }
}
