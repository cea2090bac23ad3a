//! What no task may touch in the user's repository: a digest of each thing.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::domain::ledger::chain::sha256;

/// Returns name and digest of each thing in a git directory that no task may touch.
pub(in crate::adapters::git) fn digests(common: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in ["refs", "hooks", "info"] {
        let skip = ["refs/tos", "info/refs", "info/sparse"];
        walk(common, &mut found, &common.join(part), &skip);
    }
    for file in ["HEAD", "config", "packed-refs", "config.worktree"] {
        let content = fs::read(common.join(file)).unwrap_or_default();
        // Packing references moves ours as well; only the user's lines count.
        let text = String::from_utf8_lossy(&content).into_owned();
        let kept: Vec<&str> = text
            .lines()
            .filter(|line| !line.contains(" refs/tos/"))
            .collect();
        found.push((file.to_owned(), sha256(kept.join("\n").as_bytes())));
    }
    found
}

fn walk(common: &Path, found: &mut Vec<(String, String)>, folder: &Path, skip: &[&str]) {
    let mut names: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    names.sort();
    for path in names {
        let name = path
            .strip_prefix(common)
            .unwrap_or(&path)
            .to_string_lossy()
            .into_owned();
        if skip.iter().any(|skipped| name.starts_with(skipped)) {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            walk(common, found, &path, skip);
        } else {
            let mode = path.metadata().map_or(0, |data| data.permissions().mode());
            let content = fs::read(&path).unwrap_or_default();
            found.push((name, format!("{mode:o}:{}", sha256(&content))));
        }
    }
}
