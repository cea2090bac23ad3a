//! The empty folder in which an agent is asked a question: outside every repository, and gone afterwards.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::folders::{folder_error, remove};
use crate::{
    adapters::temporary,
    ports::worktrees::{Error, Worktree},
};

/// The most that is read of what an agent left in it, in bytes.
const MOST_BYTES: u64 = 64 * 1024;

/// Makes the folder in a task folder of its own, with these files.
pub(in crate::adapters::git) fn make(
    task_folder: &Path,
    files: &[(&str, &str)],
) -> Result<Worktree, Error> {
    // Not `tree`: what a crash leaves here is nobody's work and is not kept.
    let top = task_folder.join("check");
    let make = || -> io::Result<PathBuf> {
        fs::create_dir_all(&top)?;
        for (file, text) in files {
            fs::write(top.join(file), text)?;
        }
        task_folder.canonicalize()
    };
    let task_folder = make().map_err(|error| folder_error("a folder cannot be made", &error))?;
    Ok(Worktree {
        top: task_folder.join("check"),
        directory: task_folder.join("check"),
        task_folder,
        base: String::new(),
        tree: String::new(),
    })
}

/// Returns the text of a file in it.
pub(in crate::adapters::git) fn read(place: &Worktree, file: &str) -> Option<String> {
    let path = place.top.join(file);
    // An agent may have put anything there.
    let meta = path.symlink_metadata().ok()?;
    let fits = meta.is_file() && meta.len() <= MOST_BYTES;
    fits.then(|| fs::read_to_string(path).ok()).flatten()
}

/// Takes the whole task folder away.
pub(in crate::adapters::git) fn remove_folder(place: &Worktree) -> Result<(), Error> {
    temporary::blocking_remove_for_task(&place.task_folder);
    remove(&place.task_folder)
        .map_err(|error| folder_error("a folder cannot be taken away", &error))?;
    // The folder of the run goes with its last task folder.
    drop(place.task_folder.parent().map(fs::remove_dir));
    Ok(())
}
