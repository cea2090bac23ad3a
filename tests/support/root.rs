//! A home, and a folder in it in which the program is run.

use std::{fs, path::PathBuf, process::Command};

use tempfile::TempDir;

use crate::program::program;

pub(crate) struct Root {
    pub(crate) home: TempDir,
    pub(crate) root: PathBuf,
}

impl Root {
    pub(crate) fn empty() -> Self {
        let home = TempDir::new().unwrap();
        let root = home.path().canonicalize().unwrap().join("work");
        fs::create_dir(&root).unwrap();
        Self { home, root }
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        program(&self.root, self.home.path(), words)
    }
}
