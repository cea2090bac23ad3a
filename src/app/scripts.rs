//! Looks whether the scripts that a list of tasks names are in the commit that its tasks work on.

use std::path::Path;

use crate::{
    adapters::{files, git},
    domain::tasks::{TaskList, script_of},
};

/// Returns a line for each script of a test or agent that is not there. Work trees hold what is committed, and what the list shares.
pub(super) fn missing_scripts(root: &Path, list: &TaskList) -> Vec<String> {
    let shares = !list.share.is_empty() || !list.share_files.is_empty();
    let tests = list.tasks.iter();
    let tests = tests.map(|task| ("test_command", &task.test_command));
    let full = [("full_test_command", &list.full_test_command)];
    // A list without tasks is the one that a service puts its tasks into.
    let agents = if list.tasks.is_empty() {
        vec![&list.agent]
    } else {
        list.agents()
    };
    let agents = agents.into_iter().map(|agent| ("args", &agent.args));
    let mut lines: Vec<String> = Vec::new();
    for (name, words) in tests.chain(full).chain(agents) {
        let Some(script) = script_of(words) else {
            continue;
        };
        let is_shared = || shares && files::read(&root.join(script)).is_some();
        if git::blocking_head_has(root, script) != Some(false) || is_shared() {
            continue;
        }
        let line =
            format!("`{name}` runs `{script}`, which is not in the commit that is worked on");
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}
