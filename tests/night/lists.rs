//! Lists of tasks that each want a file, and what tests ask of the program about them.

use std::{
    fmt::Write as _,
    fs,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{root::Root, terminal::at_terminal};

impl Root {
    /// Under gates that let the lowest phase work alone for an hour, with a stable point every five tasks.
    pub(crate) fn new(agent: &str) -> Self {
        Self::watched(agent).alone("\ncheckpoint_every = 5")
    }

    /// Under the built-in gates.
    pub(crate) fn watched(agent: &str) -> Self {
        let root = Self::with_files(&[
            ("app.py", "x = 1\n"),
            (
                "test.sh",
                "case $TOS_TASK in T-*) test -f $TOS_TASK.py ;; esac\n",
            ),
            (".gitignore", "/.tos/\n"),
        ]);
        fs::write(root.home.path().join("agent.sh"), agent).unwrap();
        root
    }

    /// The program, of which nothing is seen.
    pub(crate) fn silent(&self, words: &[&str]) -> Command {
        let mut command = self.command(words);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs the program at a terminal of its own, at which this is typed.
    pub(crate) fn at_terminal(&self, words: &[&str], typed: &str) -> (Option<i32>, String) {
        at_terminal(self.command(words), typed)
    }

    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let mut command = self.command(words);
        let output = command.arg("--json").output();
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
