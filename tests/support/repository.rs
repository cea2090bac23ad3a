//! A real git repository, whatever the machine's own configuration of git says.

use std::{fs, path::Path, process::Command};

/// Makes a repository in a folder, with somebody who commits.
pub(crate) fn init(top: &Path) {
    git(top, &["init", "-q", "-b", "main", "."]);
    git(top, &["config", "user.name", "Tester"]);
    git(top, &["config", "user.email", "tester@example.com"]);
}

/// Runs git, which has to succeed; returns what it printed.
pub(crate) fn git(top: &Path, words: &[&str]) -> String {
    let output = Command::new("git")
        .args(words)
        .current_dir(top)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {words:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Writes a file and the folders above it.
pub(crate) fn write(top: &Path, path: &str, text: &str) {
    let path = top.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
