//! A person's machine: a home, a repository in it, and the program.

use std::{
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::repository;

/// The machine.
pub(crate) struct Bench {
    folder: TempDir,
    pub(crate) root: PathBuf,
}

/// How the program ended and what it printed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Reads what was printed as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns what Claude Code and Codex are told: the decision and its reason.
    pub(crate) fn decision(&self) -> (String, String) {
        if self.stdout.is_empty() {
            return (String::new(), String::new());
        }
        let value = self.json();
        let output = &value["hookSpecificOutput"];
        let text = |key: &str| output[key].as_str().unwrap_or_default().to_owned();
        (text("permissionDecision"), text("permissionDecisionReason"))
    }

    /// Returns what is said about a checkpoint.
    pub(crate) fn note(&self) -> String {
        if self.stdout.is_empty() {
            return String::new();
        }
        self.json()["systemMessage"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Bench {
    /// Makes a machine with a repository in which two files are committed.
    pub(crate) fn new() -> Self {
        let bench = Self::without_repository();
        repository::init(&bench.root);
        bench.write("a.txt", "a\n");
        bench.write("src/b.txt", "b\n");
        bench.write(".gitignore", "/data/\n/node_modules/\n*.log\n");
        bench.git(&["add", "-A"]);
        bench.git(&["commit", "-q", "-m", "first"]);
        bench
    }

    /// Makes a machine with a folder that is in no repository.
    pub(crate) fn without_repository() -> Self {
        // Not below the target folder: that may lie in a repository.
        let folder = tempfile::Builder::new()
            .prefix("tos-guard-")
            .tempdir()
            .unwrap();
        let top = folder.path().canonicalize().unwrap();
        let root = top.join("home/project");
        fs::create_dir_all(&root).unwrap();
        fs::create_dir(top.join("bin")).unwrap();
        Self { folder, root }
    }

    pub(crate) fn top(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.top().join("home")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let place = self.root.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }

    pub(crate) fn git(&self, words: &[&str]) -> String {
        repository::git(&self.root, words)
    }

    /// Returns everything git would show of the user's own state.
    pub(crate) fn own_state(&self) -> String {
        let refs = self.git(&["for-each-ref", "refs/heads", "refs/tags", "refs/stash"]);
        let index = fs::read(self.root.join(".git/index")).unwrap();
        format!(
            "{refs}{}{}",
            self.git(&["status", "--porcelain"]),
            index.len()
        )
    }

    /// Returns the program with these words.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tos"));
        command
            .args(words)
            .current_dir(&self.root)
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::null());
        command
    }

    /// Runs the program.
    pub(crate) fn tos(&self, words: &[&str]) -> Ended {
        ended(&mut self.command(words))
    }

    /// Runs the program with something on its standard input.
    pub(crate) fn feed(&self, words: &[&str], input: &[u8]) -> Ended {
        fed(&mut self.command(words), input)
    }

    /// Asks the hook of Claude Code about a command.
    pub(crate) fn claude(&self, command: &str) -> Ended {
        self.claude_in(command, &self.root, "default")
    }

    /// The same in a folder and a permission mode.
    pub(crate) fn claude_in(&self, command: &str, folder: &Path, mode: &str) -> Ended {
        self.tool(folder, mode, "Bash", &json!({ "command": command }))
    }

    /// Asks the hook of Claude Code about a tool.
    pub(crate) fn tool(&self, folder: &Path, mode: &str, tool: &str, input: &Value) -> Ended {
        let call = json!({
            "session_id": "s-1", "cwd": folder, "permission_mode": mode,
            "hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": input,
        });
        self.feed(&["guard", "hook", "claude"], call.to_string().as_bytes())
    }

    /// Runs a command as an agent would, after it was let through.
    pub(crate) fn run(&self, command: &str) {
        let status = Command::new("bash")
            .args(["-c", command])
            .current_dir(&self.root)
            .status();
        assert!(status.unwrap().success(), "{command}");
    }
}

fn seen(output: &Output) -> Ended {
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub(crate) fn ended(command: &mut Command) -> Ended {
    // What another test starts holds a program that was just copied open for an instant.
    let output = loop {
        match command.output() {
            Err(busy) if busy.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            output => break output.unwrap(),
        }
    };
    seen(&output)
}

pub(crate) fn fed(command: &mut Command, input: &[u8]) -> Ended {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that ends before it has read everything closes the pipe.
    drop(child.stdin.take().unwrap().write_all(input));
    let output = child.wait_with_output().unwrap();
    seen(&output)
}
