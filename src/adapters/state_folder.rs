//! Folders in which tos keeps its own state: git ignores them from the moment they exist.
//!
//! What lies in them (copies of plans, logs, tokens that a task printed) must never get into a commit, so
//! the rule that ignores a folder is written before anything else is put there.

use std::{
    ffi::OsStr,
    fs, io,
    io::Write,
    path::{Component, Path},
};

use crate::domain::state_folder::is_state_name;

/// Makes a folder and all above it. A folder of tos's state among them gets its `.gitignore` first.
pub fn create_dir_all(folder: &Path) -> io::Result<()> {
    for state in folder.ancestors().filter(|path| is_state(path)) {
        ignored(state)?;
    }
    fs::create_dir_all(folder)
}

/// Makes a folder of records with any name; it ignores itself unless a folder of tos's state above does.
pub fn create_record_folder(folder: &Path) -> io::Result<()> {
    if folder.ancestors().any(is_state) {
        return create_dir_all(folder);
    }
    ignored(folder)
}

/// Makes a folder that holds a rule to ignore everything in it. A rule that is there already stays as it is.
fn ignored(folder: &Path) -> io::Result<()> {
    let rule = folder.join(".gitignore");
    if rule.symlink_metadata().is_ok() {
        return Ok(());
    }
    let was_there = folder.is_dir();
    fs::create_dir_all(folder)?;
    match fs::File::create_new(&rule) {
        // Half a rule is none, and would be taken for one the next time.
        Ok(mut file) => file
            .write_all(b"*\n")
            .inspect_err(|_| drop(fs::remove_file(&rule))),
        // Somebody else was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Behind a wall the state of the tos outside is above the root and cannot be written; nothing is put into it.
        Err(error) if was_there && error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(()),
        Err(error) => Err(error),
    }
}

fn is_state(path: &Path) -> bool {
    let name = |part: &OsStr| is_state_name(part.as_encoded_bytes());
    matches!(path.components().next_back(), Some(Component::Normal(part)) if name(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(folder: &Path) -> Option<String> {
        fs::read_to_string(folder.join(".gitignore")).ok()
    }

    #[test]
    fn the_rule_is_there_before_anything_else() {
        let top = tempfile::tempdir().unwrap();
        for state in [".tos", "deep/er/.tos", ".orch"] {
            create_dir_all(&top.path().join(state).join("runs/one/logs")).unwrap();
            let state = top.path().join(state);
            assert_eq!(rule(&state).as_deref(), Some("*\n"), "{}", state.display());
            assert!(state.join("runs/one/logs").is_dir());
            assert_eq!(rule(&state.join("runs")), None);
        }
        assert_eq!(rule(top.path()), None);
    }

    #[test]
    fn records_of_another_name_ignore_themselves() {
        let top = tempfile::tempdir().unwrap();
        create_record_folder(&top.path().join("records/runs")).unwrap();
        assert_eq!(rule(&top.path().join("records/runs")).unwrap(), "*\n");
        assert_eq!(rule(&top.path().join("records")), None);
        create_record_folder(&top.path().join(".tos/runs")).unwrap();
        assert_eq!(rule(&top.path().join(".tos/runs")), None);
        assert_eq!(rule(&top.path().join(".tos")).unwrap(), "*\n");
    }

    #[test]
    fn a_rule_that_is_there_stays_and_a_link_is_not_followed() {
        let top = tempfile::tempdir().unwrap();
        let state = top.path().join(".tos");
        fs::create_dir(&state).unwrap();
        fs::write(state.join(".gitignore"), "mine\n").unwrap();
        create_dir_all(&state.join("runs")).unwrap();
        assert_eq!(rule(&state).unwrap(), "mine\n");
        fs::remove_file(state.join(".gitignore")).unwrap();
        std::os::unix::fs::symlink("../outside", state.join(".gitignore")).unwrap();
        create_dir_all(&state.join("runs")).unwrap();
        assert!(!top.path().join("outside").exists());
    }
}
