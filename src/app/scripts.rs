//! Looks whether the scripts that a list of tasks names are in the commit that its tasks work on.

use std::path::Path;

use crate::{
    adapters::{files, git},
    domain::tasks::{TaskList, script_of},
};

/// Returns a line for each script of these commands, each with the key that says it, that is not there. Work trees hold what is
/// committed, and what the list shares.
pub(super) fn missing_scripts(
    root: &Path,
    list: &TaskList,
    commands: &[(&str, &[String])],
) -> Vec<String> {
    let shares = !list.share.is_empty() || !list.share_files.is_empty();
    let named = commands.iter();
    let named = named.filter_map(|(key, words)| Some((*key, script_of(words)?)));
    let mut looked_at: Vec<(&str, &str)> = Vec::new();
    let mut lines = Vec::new();
    for (key, script) in named {
        // Most tasks of a list have the same test.
        if looked_at.contains(&(key, script)) {
            continue;
        }
        looked_at.push((key, script));
        let is_shared = || shares && files::read(&root.join(script)).is_some();
        if git::blocking_head_has(root, script) == Some(false) && !is_shared() {
            lines.push(format!(
                "`{key}` runs `{script}`, which is not in the commit that is worked on"
            ));
        }
    }
    lines
}
