//! Keeps paths of the configuration below the root: no `..`, no absolute place elsewhere, no symbolic
//! link that leads out, nothing inside `.git`.
//!
//! The check looks at the disk as it is now; whoever writes later has to refuse links once more.

use std::path::{Component, Path, PathBuf};

use crate::config::{files, value_error::ValueError};

/// Returns the path relative to the root, or why it is refused. `root` is canonical.
pub(crate) fn checked_path(root: &Path, text: &str) -> Result<PathBuf, ValueError> {
    let refuse = |why: String| {
        ValueError::new(
            why,
            "name a path below the root, e.g. \"workspace/artifacts/file\"",
        )
    };
    if text.trim().is_empty() {
        return Err(refuse("the path is empty".into()));
    }
    if text.contains(char::is_control) {
        return Err(refuse("the path holds a control character".into()));
    }
    let relative =
        relative(root, text).ok_or_else(|| refuse(format!("the path `{text}` leaves the root")))?;
    if relative
        .iter()
        .any(|name| name.eq_ignore_ascii_case(".git"))
    {
        return Err(refuse(format!(
            "the path `{text}` lies in git's own directory"
        )));
    }
    match files::real_path_below(root, &relative) {
        Some(real) if real.starts_with(root) => Ok(relative),
        Some(real) => Err(refuse(format!(
            "the path `{text}` leaves the root: a link leads to {}",
            real.display()
        ))),
        None => Err(refuse(format!(
            "the path `{text}` cannot be resolved: a circle of links, or no permission"
        ))),
    }
}

/// Returns the path relative to the root by its text alone; `None` = it leaves the root or is the root.
pub(crate) fn relative(root: &Path, text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let path = path.strip_prefix(root).unwrap_or(path);
    let mut kept = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => kept.push(name),
            Component::CurDir => {}
            Component::ParentDir if kept.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!kept.as_os_str().is_empty()).then_some(kept)
}
