//! A repository, an agent, gates under which tests may work alone.

use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;
use tos::config::gates;

use crate::{program::program, repository, terminal::at_terminal};

pub(crate) struct Root {
    pub(crate) home: TempDir,
    pub(crate) root: PathBuf,
}

impl Root {
    /// Under gates that let the lowest phase work alone for an hour, with a stable point every five tasks.
    pub(crate) fn new(agent: &str) -> Self {
        let root = Self::watched(agent);
        let alone = gates::DEFAULT_GATES_TOML
            .replacen(
                "unattended = false\nmax_session = \"0m\"",
                "unattended = true\nmax_session = \"1h\"\ncheckpoint_every = 5",
                1,
            )
            .replacen(
                "on_failure = [\"stop\"]",
                "on_failure = [\"stop\", \"retry_then_stop\", \"retry_then_skip_dependents\"]",
                1,
            );
        root.write("config/gates.toml", &alone);
        root.git(&["add", "-A"]);
        root.git(&["commit", "-q", "-m", "gates"]);
        root
    }

    /// Under the built-in gates.
    pub(crate) fn watched(agent: &str) -> Self {
        let home = TempDir::new().unwrap();
        let root = home.path().canonicalize().unwrap().join("work");
        fs::create_dir(&root).unwrap();
        fs::write(home.path().join("agent.sh"), agent).unwrap();
        let root = Self { home, root };
        repository::init(&root.root);
        root.write("app.py", "x = 1\n");
        root.write(
            "test.sh",
            "case $TOS_TASK in T-*) test -f $TOS_TASK.py ;; esac\n",
        );
        root.write(".gitignore", "/.tos/\n");
        root.git(&["add", "-A"]);
        root.git(&["commit", "-q", "-m", "first"]);
        root
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        repository::write(&self.root, path, text);
    }

    pub(crate) fn git(&self, words: &[&str]) -> String {
        repository::git(&self.root, words)
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = program(&self.root, self.home.path(), words);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub(crate) fn tos(&self, words: &[&str]) -> (Option<i32>, String) {
        let mut command = self.command(words);
        let output = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    }

    /// Runs the program at a terminal of its own, at which this is typed.
    pub(crate) fn at_terminal(&self, words: &[&str], typed: &str) -> (Option<i32>, String) {
        at_terminal(self.command(words), typed)
    }

    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let mut command = self.command(words);
        let output = command.arg("--json").stdout(Stdio::piped()).output();
        serde_json::from_slice(&output.unwrap().stdout).unwrap()
    }

    pub(crate) fn list_file(&self) -> String {
        let file = self.home.path().join("list.toml");
        file.to_str().unwrap().to_owned()
    }

    /// The list as it is written by [`Self::list`].
    pub(crate) fn list_text(&self, on_failure: &str, tasks: &[String], more: &str) -> String {
        let agent = self.home.path().join("agent.sh");
        let mut text = format!(
            "schema = 1\nid = \"demo\"\non_failure = \"{on_failure}\"\nsandbox = \"off\"\n{more}\n\
             [agent]\nkind = \"command\"\nargs = [\"sh\", \"{}\", \"{{prompt}}\"]\n",
            agent.display()
        );
        for id in tasks {
            write!(
                text,
                "\n[[task]]\nid = \"{id}\"\ngoal = \"make {id}\"\nprompt = \"Make {id}.py.\"\nclass = \"feature\"\n\
                 test_command = [\"sh\", \"test.sh\"]\n"
            )
            .unwrap();
        }
        text
    }

    /// Writes a list of tasks that each want a file of their name.
    pub(crate) fn list(&self, on_failure: &str, tasks: &[String], more: &str) {
        fs::write(self.list_file(), self.list_text(on_failure, tasks, more)).unwrap();
    }

    pub(crate) fn records(&self) -> Vec<Value> {
        let value = self.json(&["ledger", "show"]);
        value["records"].as_array().unwrap().clone()
    }
}
