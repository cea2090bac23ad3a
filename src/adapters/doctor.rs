//! Looks at the machine for `tos doctor`: programs, git, room on the disk, the right to write.

use std::{
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

/// Looks at everything that does not depend on models.
pub fn machine(root: &Path, kinds: &[CommandKind]) -> Vec<CheckRow> {
    let mut sights = vec![writable(root), task_folder(root), checkpoints(root)];
    sights.extend(kinds.iter().filter_map(interpreter));
    sights
}

fn sight(what: &str, verdict: &'static str, seen: impl Into<String>) -> CheckRow {
    (what.to_owned(), verdict, seen.into())
}

fn writable(root: &Path) -> CheckRow {
    match tempfile::NamedTempFile::new_in(root) {
        Ok(_) => sight("root", "ok", format!("{} is writable", root.display())),
        Err(error) => sight(
            "root",
            "problem",
            format!("{} is not writable: {error}", root.display()),
        ),
    }
}

#[cfg(unix)]
fn task_folder(root: &Path) -> CheckRow {
    match disk::free_bytes(root) {
        Ok(free) => {
            let verdict = if free < LITTLE_ROOM { "warning" } else { "ok" };
            sight("disk", verdict, format!("{} MiB free", free >> 20))
        }
        Err(error) => sight("disk", "warning", format!("free room unknown: {error}")),
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
