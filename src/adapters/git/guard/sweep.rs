//! Removes files that a kill in the middle of a checkpoint or an undo left behind.
//!
//! Danger: another process may be writing such a file right now; only what nobody has touched for an hour goes.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

/// How a file begins that undo is writing.
pub(super) const UNDO_PREFIX: &str = ".tos-undo-";
/// How a pack begins that a checkpoint is writing.
pub(super) const PACK_PREFIX: &str = "tmp_tos_";

/// How long nobody has to have touched a file.
const AGE: Duration = Duration::from_secs(3600);

/// Removes the old files in a folder whose names begin with a word.
pub(super) fn blocking_sweep(folder: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(prefix);
        let is_old = |data: &fs::Metadata| {
            let touched = data.modified().unwrap_or(SystemTime::now());
            let age = SystemTime::now().duration_since(touched);
            data.is_file() && age.is_ok_and(|age| age > AGE)
        };
        if is_ours
            && entry
                .path()
                .symlink_metadata()
                .is_ok_and(|data| is_old(&data))
        {
            // What cannot be removed stays until the next time.
            drop(fs::remove_file(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_ours_and_old_goes() {
        let folder = tempfile::tempdir().unwrap();
        let old = SystemTime::now() - AGE * 2;
        for (name, time) in [
            (".tos-undo-a", Some(old)),
            (".tos-undo-b", None),
            ("notes", Some(old)),
        ] {
            let file = fs::File::create(folder.path().join(name)).unwrap();
            if let Some(time) = time {
                file.set_modified(time).unwrap();
            }
        }
        blocking_sweep(folder.path(), UNDO_PREFIX);
        assert!(!folder.path().join(".tos-undo-a").exists());
        assert!(folder.path().join(".tos-undo-b").exists());
        assert!(folder.path().join("notes").exists());
    }
}
