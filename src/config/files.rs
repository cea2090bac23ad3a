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

/// Returns whether this is a file.
pub(crate) fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// Returns the path with every link resolved, or unchanged where it cannot be resolved.
pub(crate) fn canonical(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Returns where a path really is: links of its existing part resolved, also links that lead nowhere.
/// `None` = a circle of links or something unreadable: nobody can say.
pub(crate) fn real_place(path: &Path) -> Option<PathBuf> {
    let mut rest = Vec::new();
    let mut existing = path.to_path_buf();
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
