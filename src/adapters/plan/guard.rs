//! Opening files without being led elsewhere: no symbolic link, no pipe that blocks, only regular files.

use std::{
    fs::File,
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

/// Returns the first part of `path` that is a symbolic link; of a relative path only its own parts count.
pub(crate) fn symlink_in(path: &Path) -> Option<PathBuf> {
    let mut partial = PathBuf::new();
    for part in path.components() {
        partial.push(part);
        if matches!(
            part,
            Component::CurDir | Component::ParentDir | Component::RootDir | Component::Prefix(_)
        ) {
            continue;
        }
        match std::fs::symlink_metadata(&partial) {
            Ok(found) if found.file_type().is_symlink() => return Some(partial),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
    None
}

/// Opens a regular file for reading; a link, a pipe or a directory is an error, and nothing blocks.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    Ok(file)
}

/// Opens a file for appending, made with mode 0600 where it is missing; links and anything special are refused.
pub(crate) fn open_append(path: &Path) -> io::Result<File> {
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    Ok(file)
}

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let size = file.metadata()?.len();
    if size > limit {
        let message = format!("it has {size} bytes, and the limit is {limit}");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
