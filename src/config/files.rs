//! The only place of `config` that touches the disk: reads small texts and resolves places.
#![expect(
    clippy::disallowed_methods,
    reason = "config reads its own files; everything else goes through adapters"
)]

use std::{
    io,
    path::{Path, PathBuf},
};

/// Reads a whole file.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path)
}

/// Reads a whole text.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
}

/// Returns whether anything is there: also a folder, a pipe, or a link that leads nowhere.
pub(crate) fn path_exists(path: &Path) -> bool {
    match path.symlink_metadata() {
        Ok(_) => true,
        // Somebody else's folder above is not ours to judge; a circle of links on the way is there.
        Err(error) => !matches!(
            error.kind(),
            io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::PermissionDenied
        ),
    }
}

/// Returns what tells a folder from a copy of it, also where it is moved meanwhile; `None` = there is none.
pub(crate) fn folder_identity(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path).ok()?;
    Some(format!("{}-{}", found.dev(), found.ino()))
}

/// Returns the number of the user to whom a file or folder belongs; `None` = there is none.
pub(crate) fn owner(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|found| found.uid())
}

/// Says what is at a place where a file is wanted; `None` = a file, or nobody can say.
pub(crate) fn not_a_file_reason(path: &Path) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt;
    let kind = match std::fs::metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let is_link = path.symlink_metadata().is_ok();
            return is_link.then_some("a link that leads nowhere");
        }
        Err(error) => return is_circle(&error).then_some("a link that leads in a circle"),
    };
    match kind {
        kind if kind.is_file() => None,
        kind if kind.is_dir() => Some("a folder"),
        kind if kind.is_fifo() => Some("a named pipe"),
        kind if kind.is_socket() => Some("a socket"),
        _ => Some("a device"),
    }
}

/// The standard library has no stable name for it: `ELOOP` of Linux and of macOS.
fn is_circle(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(40 | 62))
}

/// Returns whether this is a file.
pub(crate) fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// Returns the path with every link resolved, or unchanged where it cannot be resolved.
pub(crate) fn canonical(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Returns where a path below `root` really is. `root` is canonical and `relative` is plain names, so
/// without a link on the way it is where it says. `None` = nobody can say: a circle of links, no permission.
pub(crate) fn real_path_below(root: &Path, relative: &Path) -> Option<PathBuf> {
    let mut place = root.to_path_buf();
    for name in relative {
        place.push(name);
        match std::fs::symlink_metadata(&place) {
            Ok(found) if found.is_symlink() => return behind_links(root.join(relative)),
            Ok(_) => {}
            Err(fault) if fault.kind() == io::ErrorKind::PermissionDenied => return None,
            Err(_) => break,
        }
    }
    Some(root.join(relative))
}

/// Resolves the links of the part of a path that exists, also links that lead nowhere.
fn behind_links(mut existing: PathBuf) -> Option<PathBuf> {
    let mut rest = Vec::new();
    for _ in 0..64 {
        if let Ok(real) = std::fs::canonicalize(&existing) {
            return Some(rest.iter().rev().fold(real, |place, name| place.join(name)));
        }
        if let Ok(target) = std::fs::read_link(&existing) {
            existing = existing.parent()?.join(target);
            continue;
        }
        rest.push(existing.file_name()?.to_owned());
        existing = existing.parent()?.to_path_buf();
    }
    None
}

/// Writes a file and the directories above it.
#[cfg(test)]
pub(crate) fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}
