//! Bundles: commits as files, for machines that share no repository.
//!
//! A bundle holds what a commit needs beyond another one that the reader has already. What was read is kept under `refs/tos/cluster`, so
//! that git does not throw it away before somebody works on it.

use std::path::{Path, PathBuf};

use super::program::GitProgram;

/// Writes and reads bundles of one repository.
#[derive(Debug, Clone)]
pub struct GitBundles {
    top: PathBuf,
}

impl GitBundles {
    /// Works on the repository around a root.
    pub fn new(root: &Path) -> Self {
        Self {
            top: root.to_owned(),
        }
    }

    fn git(&self, words: &[&str]) -> Result<String, String> {
        let out = GitProgram::new(&self.top).run(words, b"");
        let out = out.map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&out).trim_end().to_owned())
    }

    /// Returns whether a commit and all that it needs is here.
    pub fn has(&self, commit: &str) -> bool {
        let object = format!("{commit}^{{commit}}");
        self.git(&["cat-file", "-e", &object]).is_ok()
            && self.git(&["rev-list", "--quiet", "-1", commit]).is_ok()
    }

    /// Writes a commit to a file, without what `without` holds already; answers with false when there is nothing more.
    pub fn write(&self, commit: &str, without: Option<&str>, file: &Path) -> Result<bool, String> {
        let reference = reference(commit);
        self.git(&["update-ref", &reference, commit])?;
        let path = file.to_string_lossy();
        let mut words = vec!["bundle", "create", "--quiet", &path, &reference];
        let excluded = without.map(|known| format!("^{known}"));
        if let Some(known) = without {
            let count = self.git(&["rev-list", "--count", commit, &format!("^{known}")])?;
            if count == "0" {
                return Ok(false);
            }
        }
        words.extend(excluded.as_deref());
        self.git(&words).map(|_| true)
    }

    /// Writes a commit that nobody needs here to a file, with everything in it; it is not kept.
    pub fn write_whole_commit(&self, commit: &str, file: &Path) -> Result<(), String> {
        let written = self.write(commit, None, file);
        // One that stays costs a name and no more.
        drop(self.git(&["update-ref", "-d", &reference(commit)]));
        written.map(drop)
    }

    /// Reads a file that holds a commit.
    pub fn read(&self, commit: &str, file: &Path) -> Result<(), String> {
        self.git(&["bundle", "unbundle", &file.to_string_lossy()])?;
        self.git(&["update-ref", &reference(commit), commit])?;
        if self
            .git(&["rev-parse", "--verify", "--quiet", "HEAD"])
            .is_err()
        {
            // A repository that is nothing but a store of commits stands at the first one it got.
            self.git(&["update-ref", "HEAD", commit])?;
        }
        Ok(())
    }
}

fn reference(commit: &str) -> String {
    format!("refs/tos/cluster/{commit}")
}
