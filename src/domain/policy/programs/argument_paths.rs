//! Paths inside of arguments: which parts of a word may name a file.

use crate::domain::policy::resolved_path::has_drive;

/// Folders at the root of a machine.
pub(super) const ROOT_FOLDERS: &str = "bin boot data dev etc home lib lib64 media mnt nix opt private proc root run sbin snap srv sys tmp usr
    Users var Volumes Library System Applications work workspace";

/// Returns the parts of an argument that may be paths of their own.
pub(in crate::domain::policy) fn paths_in(arg: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut starts = true;
    let glued = arg.starts_with('-') && !arg.starts_with("--");
    for (at, c) in arg.char_indices() {
        let rest = arg.get(at..).unwrap_or("");
        if (starts || glued && at == 2) && is_path(rest) {
            let from = if has_drive(rest) { 2 } else { 0 };
            let ends = |c: char| ",;\"')]}|:".contains(c) || c.is_whitespace();
            let end = rest.get(from..).and_then(|rest| rest.find(ends));
            found.push(
                rest.get(..end.map_or(rest.len(), |end| end + from))
                    .unwrap_or(rest),
            );
        }
        starts = "=:,@\"'([{;|".contains(c) || c.is_whitespace();
    }
    found
}

/// Returns whether a text starts like a path that may lead out of the folder it is used in.
pub(in crate::domain::policy) fn is_path(text: &str) -> bool {
    let drive = has_drive(text)
        && text
            .get(2..)
            .is_some_and(|rest| rest.starts_with(['\\', '/']));
    drive
        || text.starts_with('/') && !text.starts_with("//") && text.len() > 1
        || text.starts_with("~/")
        || text
            .strip_prefix("./")
            .is_some_and(|rest| rest.trim_start_matches("./").starts_with("../"))
        || text.starts_with("..") && matches!(text.as_bytes().get(2), None | Some(b'/' | b'\\'))
        || text.starts_with("\\\\") && text.len() > 3
}
