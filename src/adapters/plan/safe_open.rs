//! Opening files without being led elsewhere: no symbolic link, no pipe that blocks, only regular files.

use std::{
    fs::File,
    io,
    io::Read,
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags},
    io::Errno,
};

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

/// Opens a regular file to which no symbolic link leads, at any part of its path, also not one that was put there a
/// moment ago.
pub(crate) fn open_no_symlinks(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS;
    let file = match rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve) {
        Ok(file) => File::from(file),
        // An older kernel, or a filter that does not know the call.
        Err(Errno::NOSYS | Errno::PERM) if symlink_in(path).is_none() => return open_regular(path),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    Ok(file)
}

/// Creates a file in place of whatever is there, and the directories above it, following no symbolic link.
pub(crate) fn create_replacing(path: &Path) -> io::Result<File> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let start = if path.is_absolute() { "/" } else { "." };
    let mut at = rustix::fs::open(start, folder, Mode::empty())?;
    for part in path.parent().into_iter().flat_map(Path::components) {
        let part = match part {
            Component::Normal(part) => part,
            Component::CurDir | Component::RootDir => continue,
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the path leads upwards",
                ));
            }
        };
        at = match rustix::fs::openat(&at, part, folder, Mode::empty()) {
            Err(Errno::NOENT) => {
                match rustix::fs::mkdirat(&at, part, Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                rustix::fs::openat(&at, part, folder, Mode::empty())?
            }
            other => other?,
        };
    }
    let name = path.file_name().unwrap_or_default();
    match rustix::fs::unlinkat(&at, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(&at, name, flags, Mode::from_raw_mode(0o666))?.into())
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
