//! A repository in which lists of tasks are worked on, and gates under which that is done alone.

use tos::config::gates;

use crate::{ended::ended, repository, root::Root};

impl Root {
    /// A repository with these files in its first commit.
    pub(crate) fn with_files(files: &[(&str, &str)]) -> Self {
        let root = Self::empty();
        repository::init(&root.root);
        for (path, text) in files {
            root.write(path, text);
        }
        root.commit_all("first");
        root
    }

    /// Commits gates that let the lowest phase work alone for an hour; `more` are further lines of that.
    pub(crate) fn alone(self, more: &str) -> Self {
        let alone = gates::DEFAULT_GATES_TOML
            .replacen(
                "unattended = false\nmax_session = \"0m\"",
                &format!("unattended = true\nmax_session = \"1h\"{more}"),
                1,
            )
            .replacen(
                "on_failure = [\"stop\"]",
                "on_failure = [\"stop\", \"retry_then_stop\", \"retry_then_skip_dependents\"]",
                1,
            );
        self.write("config/gates.toml", &alone);
        self.commit_all("gates");
        self
    }

    fn commit_all(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        repository::write(&self.root, path, text);
    }

    pub(crate) fn git(&self, words: &[&str]) -> String {
        repository::git(&self.root, words)
    }

    pub(crate) fn tos(&self, words: &[&str]) -> (Option<i32>, String) {
        ended(self.command(words).output().unwrap())
    }
}
