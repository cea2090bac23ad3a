//! Finds the root and its configuration file.

use std::path::{Path, PathBuf};

use crate::{
    config::{Error, files},
    domain::state_folder::TOS_FOLDER,
};

/// Where a configuration may lie below the root, the preferred place first.
pub const CONFIG_PATHS: [&str; 2] = ["config/config_v0_3.json", "config_v0_3.json"];

/// Returns the nearest directory from `start` upwards that holds a configuration; else the nearest with state of tos, else the
/// top of the repository, else `start`.
///
/// The search ends at the top of a repository: what lies above it belongs to another project, with other rules,
/// records and locks.
pub fn find_root(start: &Path) -> PathBuf {
    let is_top = |folder: &&Path| folder.join(".git").symlink_metadata().is_ok();
    let top = start.ancestors().find(is_top);
    let folders = || {
        let inside = move |folder: &&Path| top.is_none_or(|top| folder.starts_with(top));
        start.ancestors().take_while(inside)
    };
    let mut configured = folders().filter(|folder| config_in(folder).is_some());
    // State that somebody else has laid above a project, in a folder for everybody, is none of it.
    let owner = files::owner(start);
    let mut with_state = folders().filter(|folder| {
        let state = folder.join(TOS_FOLDER);
        state.is_dir() && files::owner(&state) == owner
    });
    let root = configured.next().or_else(|| with_state.next()).or(top);
    root.unwrap_or(start).to_path_buf()
}

/// Returns the place of a root's configuration, if anything is there; a folder or a pipe in its place is no
/// reason to go on without a configuration, or to look above.
pub fn config_in(root: &Path) -> Option<PathBuf> {
    CONFIG_PATHS
        .iter()
        .map(|place| root.join(place))
        .find(|file| files::path_exists(file))
}

/// The same, or what is there instead of a file: reading a folder fails with strange words, a pipe never ends.
pub fn usable_config_in(root: &Path) -> Result<Option<PathBuf>, Error> {
    let Some(file) = config_in(root) else {
        return Ok(None);
    };
    match files::not_a_file_reason(&file) {
        None => Ok(Some(file)),
        Some(what) => Err(Error::NoFile { path: file, what }),
    }
}
