//! A client of the server: writes lines, reads lines, answers what the server asks.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::repository;

/// A project of its own, outside of the folders that walls cover.
pub(crate) struct Project {
    folder: TempDir,
    pub(crate) root: PathBuf,
}

impl Project {
    pub(crate) fn new() -> Self {
        let usual = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let covered = ["/tmp", "/var/tmp", "/run", "/dev/shm"];
        let usual = Some(usual).filter(|folder| !covered.iter().any(|one| folder.starts_with(one)));
        let folder = tempfile::Builder::new()
            .prefix("tos-mcp-")
            .tempdir_in(usual.unwrap_or_else(|| "/var/cache".into()))
            .unwrap();
        let root = folder.path().canonicalize().unwrap().join("work");
        fs::create_dir(&root).unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        repository::init(&root);
        repository::write(&root, "a.txt", "one\n");
        repository::write(&root, ".gitignore", "/.tos/\n/logs/\n");
        repository::git(&root, &["add", "-A"]);
        repository::git(&root, &["commit", "-q", "-m", "first"]);
        Self { folder, root }
    }

    /// Returns `tos` with these words, as a person with an empty environment starts it here.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tos"));
        command
            .args(words)
            .current_dir(&self.root)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.folder.path().join("home"))
            .env("LANG", "C.UTF-8");
        command
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.root.join(file)).unwrap_or_default()
    }
}

/// A running server and its client.
pub(crate) struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// What is answered to `roots/list`.
    pub(crate) roots: Vec<String>,
    /// What the person at the client answers; `None` = the client cannot ask.
    person: Option<Value>,
    /// What the person was asked.
    pub(crate) asked: Vec<String>,
    next: u64,
}

impl Client {
    /// Starts the server with further words and shakes hands; `roots` = the client has roots.
    pub(crate) fn start(project: &Project, words: &[&str], roots: Option<Vec<String>>) -> Self {
        Self::beside(project, words, roots, None)
    }

    /// The same with a person who answers questions.
    pub(crate) fn beside(
        project: &Project,
        words: &[&str],
        roots: Option<Vec<String>>,
        person: Option<Value>,
    ) -> Self {
        let mut all = vec!["mcp"];
        all.extend(words);
        let mut child = project
            .command(&all)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut client = Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            roots: roots.clone().unwrap_or_default(),
            person,
            asked: Vec::new(),
            next: 0,
        };
        let mut can = roots.map_or_else(
            || json!({}),
            |_| json!({ "roots": { "listChanged": true } }),
        );
        if client.person.is_some() {
            can["elicitation"] = json!({});
        }
        let hello = client.ask(
            "initialize",
            &json!({ "protocolVersion": "2025-06-18", "capabilities": can, "clientInfo": { "name": "test", "version": "1" } }),
        );
        assert_eq!(hello["result"]["serverInfo"]["name"], "tos", "{hello}");
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        client
    }

    pub(crate) fn send(&mut self, message: &Value) {
        self.send_line(&message.to_string());
    }

    /// Sends a line, whatever it is.
    pub(crate) fn send_line(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
        input.flush().unwrap();
    }

    /// Returns the next message of the server.
    pub(crate) fn next_message(&mut self) -> Value {
        let mut line = String::new();
        assert!(
            self.output.read_line(&mut line).unwrap() > 0,
            "the server has left"
        );
        serde_json::from_str(&line).unwrap()
    }

    pub(crate) fn send_request(&mut self, method: &str, params: &Value) -> u64 {
        self.next += 1;
        let id = self.next;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    /// Sends a request and waits for its answer; questions of the server are answered meanwhile.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.send_request(method, params);
        self.answer_to(id)
    }

    pub(crate) fn answer_to(&mut self, id: u64) -> Value {
        loop {
            let message = self.next_message();
            if message["method"] == "roots/list" {
                let roots: Vec<Value> =
                    self.roots.iter().map(|uri| json!({ "uri": uri })).collect();
                self.send(
                    &json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "roots": roots } }),
                );
            } else if message["method"] == "elicitation/create" {
                let question = message["params"]["message"].as_str().unwrap().to_owned();
                self.asked.push(question);
                let answer = self.person.clone().unwrap();
                self.send(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": answer }));
            } else if message["id"] == id && message.get("method").is_none() {
                return message;
            }
        }
    }

    /// Calls a tool; returns its text and whether it failed.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> (String, bool) {
        let answer = self.ask(
            "tools/call",
            &json!({ "name": tool, "arguments": arguments }),
        );
        let result = &answer["result"];
        let text = result["content"][0]["text"].as_str();
        let text = text
            .unwrap_or_else(|| panic!("no text: {answer}"))
            .to_owned();
        (text, result["isError"] == true)
    }

    /// Calls a tool that has to succeed and answers with JSON.
    pub(crate) fn document(&mut self, tool: &str, arguments: &Value) -> Value {
        let (text, failed) = self.call(tool, arguments);
        assert!(!failed, "{tool}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Leaves; returns how the server ended.
    pub(crate) fn leave(mut self) -> Option<i32> {
        drop(self.input.take());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.child.wait());
    }
}
