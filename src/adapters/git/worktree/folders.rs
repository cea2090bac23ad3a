//! Folders of work trees: listed, weighed, taken away.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::ports::worktrees::Error;

/// Returns the folders in a folder.
pub(in crate::adapters::git) fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir() && !path.is_symlink())
        .collect()
}

/// Removes a folder, also one whose parts were made unwritable.
pub(in crate::adapters::git) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let mut open = vec![folder.to_owned()];
            while let Some(folder) = open.pop() {
                fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
                open.extend(folders(&folder));
            }
            fs::remove_dir_all(folder)
        }
        other => other,
    }
}

pub(in crate::adapters::git) fn folder_error(what: &str, error: &dyn std::fmt::Display) -> Error {
    Error(format!("{what}: {error}"))
}

/// Says which folder of tos cannot be made, and what to do about it.
pub(in crate::adapters::git) fn unmakeable(folder: &Path, error: &io::Error) -> Error {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let remedy = match error.kind() {
        ReadOnlyFilesystem | PermissionDenied => {
            "; tos keeps its records and work trees there: make the folder writable, or work in a copy of the repository"
        }
        StorageFull | QuotaExceeded => "; free some space",
        _ => "",
    };
    Error(format!(
        "the folder `{}` cannot be made: {error}{remedy}",
        folder.display()
    ))
}

pub(in crate::adapters::git) type WorktreeResult<T> = Result<T, Error>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_made_is_named_with_what_to_do() {
        let error = io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
        let told = unmakeable(Path::new("/r/.tos/worktrees"), &error).to_string();
        assert!(
            told.contains("`/r/.tos/worktrees`") && told.contains("make the folder writable"),
            "{told}"
        );
    }
}
