//! Finds the root and its configuration file.

use std::path::{Path, PathBuf};

use crate::config::files;

/// Where a configuration may lie below the root, the preferred place first.
pub const PLACES: [&str; 2] = ["config/config_v0_3.json", "config_v0_3.json"];

/// Returns the nearest directory from `start` upwards that holds a configuration, else `start`.
pub fn find_root(start: &Path) -> PathBuf {
    start
        .ancestors()
        .find(|dir| config_in(dir).is_some())
        .unwrap_or(start)
        .to_path_buf()
}

/// Returns the configuration file of a root, if there is one.
pub fn config_in(root: &Path) -> Option<PathBuf> {
    PLACES
        .iter()
        .map(|place| root.join(place))
        .find(|file| files::is_file(file))
}
