//! Finds the root and its configuration file.

use std::path::{Path, PathBuf};

use crate::config::{Error, files};

/// Where a configuration may lie below the root, the preferred place first.
pub const CONFIG_PATHS: [&str; 2] = ["config/config_v0_3.json", "config_v0_3.json"];

/// Returns the nearest directory from `start` upwards that holds a configuration, else `start`.
///
/// The search ends at the top of a repository: what lies above it belongs to another project, with other rules,
/// records and locks.
pub fn find_root(start: &Path) -> PathBuf {
    for folder in start.ancestors() {
        if config_in(folder).is_some() {
            return folder.to_path_buf();
        }
        if folder.join(".git").symlink_metadata().is_ok() {
            break;
        }
    }
    start.to_path_buf()
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
