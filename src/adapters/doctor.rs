//! Looks at the machine for `tos doctor`: programs, git, room on the disk, the right to write.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    adapters::{
        disk, git,
        process::{detach, find_program},
    },
    domain::{checkpoint::CheckpointError, command::CommandKind},
};

/// What was looked at, the verdict (`ok`, `warning`, `problem`), what was seen and what to do.
pub type CheckRow = (String, &'static str, String);

/// Less room than this deserves a warning, in bytes.
const LITTLE_ROOM: u64 = 1 << 30;
/// With less room than this nothing can work, in bytes.
const TOO_LITTLE_ROOM: u64 = 64 << 20;
/// How much is written to see whether that is possible, in bytes.
const SAMPLE: usize = 64 << 10;

/// Looks at everything that does not depend on models.
pub fn machine(root: &Path, kinds: &[CommandKind]) -> Vec<CheckRow> {
    let mut sights = vec![writable(root), task_folder(root), checkpoints(root)];
    sights.extend(kinds.iter().filter_map(interpreter));
    sights
}

fn sight(what: &str, verdict: &'static str, seen: impl Into<String>) -> CheckRow {
    (what.to_owned(), verdict, seen.into())
}

/// Writes, as a run does: a full disk still makes files, and refuses what is in them.
fn writable(root: &Path) -> CheckRow {
    match written(root) {
        Ok(()) => sight("root", "ok", format!("{} is writable", root.display())),
        Err(error) => sight(
            "root",
            "problem",
            format!("{} is not writable: {error}", root.display()),
        ),
    }
}

fn written(root: &Path) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(root)?;
    file.write_all(&vec![b'.'; SAMPLE])?;
    file.as_file().sync_all()
}

#[cfg(unix)]
fn task_folder(root: &Path) -> CheckRow {
    match disk::free_bytes(root) {
        Ok(free) => {
            let seen = format!("{} MiB free", free >> 20);
            match room_verdict(free) {
                "problem" => sight(
                    "disk",
                    "problem",
                    format!("{seen}; nothing works without room: make some"),
                ),
                verdict => sight("disk", verdict, seen),
            }
        }
        Err(error) => sight("disk", "warning", format!("free room unknown: {error}")),
    }
}

/// Returns what so much free room means.
#[cfg(unix)]
fn room_verdict(free: u64) -> &'static str {
    if free < TOO_LITTLE_ROOM {
        "problem"
    } else if free < LITTLE_ROOM {
        "warning"
    } else {
        "ok"
    }
}

#[cfg(not(unix))]
fn task_folder(_root: &Path) -> CheckRow {
    sight(
        "disk",
        "warning",
        "free room is not looked at on this system",
    )
}

fn checkpoints(root: &Path) -> CheckRow {
    if on_path("git").is_none() {
        return sight(
            "git",
            "problem",
            "the program git is not on PATH, and checkpoints and tasks need it: install git",
        );
    }
    match git::blocking_check_repository(root) {
        Ok(()) => sight("git", "ok", "checkpoints and rollback are possible"),
        Err(CheckpointError::NoRepository { .. }) => sight(
            "git",
            "warning",
            "not a git repository: no checkpoints; `tos --mode checkpoint --init --name first` makes one",
        ),
        Err(failure @ CheckpointError::Bare { .. }) => sight("git", "warning", failure.to_string()),
        Err(failure) => sight("git", "problem", failure.to_string()),
    }
}

fn interpreter(kind: &CommandKind) -> Option<CheckRow> {
    let names: &[&str] = match kind {
        CommandKind::Bash => &["bash"],
        CommandKind::Sh => &["sh"],
        CommandKind::Powershell => &["pwsh", "powershell"],
        CommandKind::Cmd => &["cmd"],
        CommandKind::Exec | CommandKind::Other(_) => return None,
    };
    let what = format!("type {}", kind.as_str());
    Some(match names.iter().find_map(|name| version(name)) {
        Some(seen) => sight(&what, "ok", seen),
        None => sight(
            &what,
            "warning",
            format!(
                "{} not found: commands of this type cannot start; remove it from allow_types",
                names.join(" or ")
            ),
        ),
    })
}

fn version(name: &str) -> Option<String> {
    let path = on_path(name)?;
    if name == "sh" {
        return Some(path.display().to_string());
    }
    let mut command = Command::new(&path);
    detach(&mut command);
    let output = command
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.lines().next().unwrap_or_default().to_owned())
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    find_program::find(&path, Path::new("/"), name.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_takes_no_bytes_is_a_problem_and_so_is_too_little_room() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(writable(folder.path()).1, "ok");
        assert!(folder.path().read_dir().unwrap().next().is_none());
        assert_eq!(writable(&folder.path().join("none")).1, "problem");
        for (free, verdict) in [
            (0, "problem"),
            ((64 << 20) - 1, "problem"),
            (64 << 20, "warning"),
            ((1 << 30) - 1, "warning"),
            (1 << 30, "ok"),
        ] {
            assert_eq!(room_verdict(free), verdict, "{free}");
        }
    }
}
