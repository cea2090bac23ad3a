//! Temporary folders that last as long as a run or a task: all its commands behind a wall see the same one as `/tmp`.
//!
//! They lie among the state of tos, which nothing behind a wall can write by its own name; so nobody there can put a link
//! in the place of one and get another folder as `/tmp`.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::adapters::state_folder;

/// The folder in the state of tos that holds them.
const NAME: &str = "tmp";
/// The one of the job of a root.
const JOB: &str = "job";
/// How the names of those of plans begin; the number of the process follows.
const PLAN: &str = "plan-";

/// Returns the temporary folder of the job of a root; `state` = where tos keeps its state.
pub fn folder_for_job(state: &Path) -> PathBuf {
    state.join(NAME).join(JOB)
}

/// Returns the temporary folder of a task folder, `<state>/worktrees/<run>/<task>`; `None` for other rooms.
pub fn folder_for_task(task_folder: &Path) -> Option<PathBuf> {
    let task = task_folder.file_name()?;
    let run = task_folder.parent()?;
    let all = run.parent()?;
    (all.file_name()? == "worktrees").then(|| {
        let folder = all.with_file_name(NAME);
        folder.join(run.file_name().unwrap_or_default()).join(task)
    })
}

/// Returns the temporary folder of a plan that this process runs.
pub fn folder_for_plan(state: &Path) -> PathBuf {
    state
        .join(NAME)
        .join(format!("{PLAN}{}", std::process::id()))
}

/// Takes away the folders of plans whose process is gone.
pub fn blocking_remove_for_ended_plans(state: &Path) {
    for entry in fs::read_dir(state.join(NAME))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PLAN));
        let pid = number.and_then(|number| number.parse().ok());
        let pid = pid.and_then(rustix::process::Pid::from_raw);
        let is_gone = |pid| {
            let seen = rustix::process::test_kill_process(pid);
            seen.is_err_and(|error| error == rustix::io::Errno::SRCH)
        };
        if pid.is_some_and(is_gone) {
            blocking_remove(&entry.path());
        }
    }
}

/// Takes away what lies in a temporary folder as commands see it, and leaves the folder.
pub fn blocking_empty(inner: &Path) {
    for entry in fs::read_dir(inner).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            blocking_remove(&path);
        } else {
            // What cannot be removed still counts, and the next look says so.
            drop(fs::remove_file(&path));
        }
    }
}

/// Makes a temporary folder, or finds the one that is there, and returns it without links.
pub fn blocking_create_folder(folder: &Path) -> io::Result<PathBuf> {
    let above = folder.parent().unwrap_or(folder);
    state_folder::create_dir_all(above)?;
    let is_folder = |path: &Path| path.symlink_metadata().is_ok_and(|data| data.is_dir());
    if !is_folder(folder) {
        drop(fs::remove_file(folder));
        // Nobody else looks into it; behind the wall it is everybody's, as `/tmp` is.
        fs::DirBuilder::new().mode(0o700).create(folder)?;
    }
    let inner = folder.join("tmp");
    if !is_folder(&inner) {
        drop(fs::remove_file(&inner));
        fs::create_dir(&inner)?;
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o1777))?;
    }
    inner.canonicalize()
}

/// Takes a temporary folder away, also one whose parts were made unwritable, and what was above it and is empty now.
pub fn blocking_remove(folder: &Path) {
    if fs::remove_dir_all(folder).is_err() {
        let mut open = vec![folder.to_owned()];
        while let Some(folder) = open.pop() {
            drop(fs::set_permissions(
                &folder,
                fs::Permissions::from_mode(0o700),
            ));
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    open.push(entry.path());
                }
            }
        }
        // What stays is taken away by the next start.
        drop(fs::remove_dir_all(folder));
    }
    drop(folder.parent().map(fs::remove_dir));
}

/// Takes away the temporary folder of a task folder.
pub fn blocking_remove_for_task(task_folder: &Path) {
    if let Some(folder) = folder_for_task(task_folder) {
        blocking_remove(&folder);
    }
}

/// Takes away the temporary folders of all task folders; `state` = where tos keeps its state.
pub fn blocking_remove_for_all_tasks(state: &Path) {
    for entry in fs::read_dir(state.join(NAME))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name();
        let of_plan = name.to_str().is_some_and(|name| name.starts_with(PLAN));
        if name != JOB && !of_plan {
            blocking_remove(&entry.path());
        }
    }
}

/// Adds up what lies in a folder, in bytes of disk.
pub fn blocking_disk_usage(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let (mut sum, mut open) = (0, vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(data) = entry.metadata() else { continue };
            sum += data.blocks() * 512;
            if data.is_dir() {
                open.push(entry.path());
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rooms_of_work_trees_have_one() {
        let task_folder = Path::new("/w/.tos/worktrees/run-1/T-1");
        assert_eq!(
            folder_for_task(task_folder),
            Some("/w/.tos/tmp/run-1/T-1".into())
        );
        assert_eq!(folder_for_task(Path::new("/w/.tos/room")), None);
    }

    #[test]
    fn a_link_is_never_taken_for_the_folder() {
        let state = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let folder = folder_for_job(state.path());
        fs::create_dir_all(folder.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), &folder).unwrap();
        let made = blocking_create_folder(&folder).unwrap();
        assert!(made.starts_with(state.path().canonicalize().unwrap()));
        fs::write(made.join("kept"), "x").unwrap();
        assert_eq!(blocking_create_folder(&folder).unwrap(), made);
        assert!(made.join("kept").exists());
        blocking_remove(&folder);
        assert!(!folder.exists());
    }
}
