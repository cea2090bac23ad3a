//! The room on a disk: how much is free, and whether anything can be written at all.

use std::{fs, io, path::Path};

use rustix::fs::{Access, access};

/// Returns how many bytes this user can still write on the disk of a folder.
pub(crate) fn free_bytes(folder: &Path) -> io::Result<u64> {
    let seen = rustix::fs::statvfs(folder)?;
    Ok(seen.f_bavail.saturating_mul(seen.f_frsize))
}

/// Says why no file could be written into a folder, without writing one: whoever asks may ask every second.
pub fn check_writable(folder: &Path) -> io::Result<()> {
    if !fs::metadata(folder)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    access(folder, Access::WRITE_OK | Access::EXEC_OK)?;
    match free_bytes(folder)? {
        0 => Err(io::ErrorKind::StorageFull.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_seen_without_a_trace_and_what_lacks_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let changed = || fs::metadata(folder.path()).unwrap().modified().unwrap();
        let before = changed();
        check_writable(folder.path()).unwrap();
        assert_eq!(changed(), before);
        let missing = check_writable(&folder.path().join("gone")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        fs::write(folder.path().join("file"), "").unwrap();
        let file = check_writable(&folder.path().join("file")).unwrap_err();
        assert_eq!(file.kind(), io::ErrorKind::NotADirectory);
        // `/proc` is a folder in which nobody can make a file.
        assert!(check_writable(Path::new("/proc")).is_err());
    }
}
