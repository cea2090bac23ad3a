//! Paths of a work tree, and which of them nobody captures.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::Path};

use crate::domain::state_folder::is_state_path;

/// Returns a path from the top as one of the file system.
pub(super) fn absolute(top: &Path, path: &[u8]) -> std::path::PathBuf {
    top.join(OsString::from_vec(path.to_vec()))
}

/// Returns the directories above a path, the outermost first; the top itself is none of them.
pub(super) fn folders_above(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.map(|(at, _)| path.get(..at).unwrap_or_default())
}

/// Tells whether a path is one of these directories or files, or below one.
pub(super) fn is_below_any(path: &[u8], tops: &[Vec<u8>]) -> bool {
    tops.iter().any(|top| {
        path.strip_prefix(top.as_slice())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    })
}

/// Tells whether an untracked path is in no capture: tos's own state, or below one of these.
pub(super) fn is_left_out(path: &[u8], tops: &[Vec<u8>]) -> bool {
    is_state_path(path) || is_below_any(path, tops)
}
