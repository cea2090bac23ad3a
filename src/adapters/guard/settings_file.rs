//! Settings of agents as files: read, and replaced in one piece. A link stays a link.

use std::{
    fs, io,
    io::Read as _,
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use crate::{
    adapters::{job::store::replace, process},
    domain::text::line_and_column,
};

/// Reads a settings file; `None` where there is none. What is no file is not opened: a pipe would be waited for forever.
pub fn read(path: &Path) -> Result<Option<String>, String> {
    let kind = match fs::metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    if let Some(what) = not_a_file(kind) {
        return Err(format!(
            "{}: it is {what} and no file; nothing was changed",
            path.display()
        ));
    }
    // It may have become a pipe since, and is not waited for then.
    text_of(path, rustix::fs::OFlags::NONBLOCK)
}

/// Reads a text from whatever lies there; `None` where there is nothing.
pub fn read_anything(path: &Path) -> Result<Option<String>, String> {
    text_of(path, rustix::fs::OFlags::empty())
}

fn text_of(path: &Path, flags: rustix::fs::OFlags) -> Result<Option<String>, String> {
    let told = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let opened = fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let mut bytes = Vec::new();
    match opened.and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(told(&error)),
    }
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let (line, column) = line_and_column(&String::from_utf8_lossy(error.as_bytes()), at);
        told(&format_args!(
            "line {line}, column {column}: it is not UTF-8; nothing was changed"
        ))
    })
}

/// Says what lies where a file is wanted; `None` = a file.
fn not_a_file(kind: fs::FileType) -> Option<&'static str> {
    match kind {
        kind if kind.is_file() => None,
        kind if kind.is_dir() => Some("a folder"),
        kind if kind.is_fifo() => Some("a named pipe"),
        kind if kind.is_socket() => Some("a socket"),
        _ => Some("a device"),
    }
}

/// Replaces a settings file, if it still is what was read; `None` removes it.
pub fn write(path: &Path, read_before: Option<&str>, text: Option<&str>) -> Result<(), String> {
    let told = |error: &io::Error| {
        let remedy = if error.kind() == io::ErrorKind::PermissionDenied
            || error.raw_os_error() == Some(rustix::io::Errno::ROFS.raw_os_error())
        {
            "; nothing was changed. Make it writable, or use `--project`"
        } else {
            "; nothing was changed"
        };
        format!("{}: {error}{remedy}", path.display())
    };
    if read(path)?.as_deref() != read_before {
        return Err(format!(
            "{}: it has changed meanwhile; run this again",
            path.display()
        ));
    }
    let place = target(path);
    let Some(text) = text else {
        return fs::remove_file(&place).map_err(|error| told(&error));
    };
    let mode = fs::metadata(&place).map(|found| found.permissions()).ok();
    replace(&place, text.as_bytes()).map_err(|error| told(&error))?;
    match mode {
        Some(mode) => fs::set_permissions(&place, mode).map_err(|error| told(&error)),
        None => Ok(()),
    }
}

/// Returns the folders that writing a file would make, the outermost first.
pub fn missing_folders(path: &Path) -> Vec<PathBuf> {
    let place = target(path);
    let folders = place.ancestors().skip(1);
    let missing = folders.take_while(|folder| folder.symlink_metadata().is_err());
    let mut missing: Vec<PathBuf> = missing.map(Path::to_owned).collect();
    missing.reverse();
    missing
}

/// Removes folders, the innermost first, as far as they are empty.
pub fn remove_empty(folders: &[PathBuf]) {
    for folder in folders.iter().rev() {
        // What somebody has put something into since is theirs.
        if fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

/// Returns the file behind links, also where it does not exist yet.
fn target(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match fs::read_link(path) {
        Ok(to) => path.parent().unwrap_or(Path::new("")).join(to),
        Err(_) => path.to_owned(),
    }
}

/// Returns the path by which people start this program: the one on `PATH` where it leads here, so that an update that moves
/// the file behind it is not noticed.
pub fn hook_executable_path(path: &std::ffi::OsStr) -> Result<PathBuf, String> {
    let own =
        std::env::current_exe().map_err(|error| format!("tos cannot find itself: {error}"))?;
    let here = std::env::current_dir().unwrap_or_default();
    let named = process::find_program::find(path, &here, "tos".as_ref());
    let named = named.filter(|named| {
        named.is_absolute() && named.canonicalize().ok() == own.canonicalize().ok()
    });
    Ok(named.unwrap_or(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_a_link_and_a_file_that_changed_meanwhile_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (
            folder.path().join("dotfiles.json"),
            folder.path().join("link.json"),
        );
        fs::write(&real, "{}").unwrap();
        std::os::unix::fs::symlink("dotfiles.json", &link).unwrap();
        write(&link, Some("{}"), Some("{\"a\":1}")).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "{\"a\":1}");
        assert!(
            write(&link, Some("{}"), Some("x"))
                .unwrap_err()
                .contains("meanwhile")
        );
        let new = folder.path().join("a/c/b.json");
        let missing = missing_folders(&new);
        assert_eq!(
            missing,
            [folder.path().join("a"), folder.path().join("a/c")]
        );
        write(&new, None, Some("{}")).unwrap();
        assert_eq!(read(&new).unwrap().as_deref(), Some("{}"));
        write(&new, Some("{}"), None).unwrap();
        assert_eq!(read(&new).unwrap(), None);
        fs::write(folder.path().join("a/mine"), "").unwrap();
        remove_empty(&missing);
        assert!(!folder.path().join("a/c").exists() && folder.path().join("a").exists());
    }
}
