//! `logs/last_checkpoint.txt`: the hash of the last checkpoint, for people and scripts.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use super::{
    error::{Doing, Result},
    pack::sync_directory,
};

/// Writes the hash, replacing the file in one step.
pub fn blocking_write(root: &Path, hash: &str) -> Result<()> {
    let path = file(root);
    let directory = root.join("logs");
    std::fs::create_dir_all(&directory).at("create", &directory)?;
    let mut scratch = tempfile::NamedTempFile::new_in(&directory).at("write in", &directory)?;
    writeln!(scratch, "{hash}")
        .and_then(|()| scratch.as_file().sync_data())
        .at("write", &path)?;
    scratch
        .persist(&path)
        .map_err(|error| error.error)
        .at("replace", &path)?;
    sync_directory(&directory)
}

/// Reads the hash; `None` where there is no file or nothing in it. A byte-order mark is passed over.
pub fn blocking_read(root: &Path) -> Result<Option<String>> {
    let path = file(root);
    match std::fs::read(&path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim_start_matches('\u{feff}').trim();
            Ok((!text.is_empty()).then(|| text.to_owned()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at("read", &path),
    }
}

fn file(root: &Path) -> PathBuf {
    root.join("logs").join("last_checkpoint.txt")
}
