//! The program as a person with an empty environment and a home of their own starts it.

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// Returns `tos` with these words, to be run in `root`.
pub(crate) fn program(root: &Path, home: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tos"));
    command
        .args(words)
        .current_dir(root)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", home)
        .stdin(Stdio::null());
    command
}
