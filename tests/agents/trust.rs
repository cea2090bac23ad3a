//! What `tos guard status` says about trust, held against what Codex and Gemini CLI do; and the hook by which Codex asks for
//! permission, which runs where Codex has somebody to ask.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use serde_json::{Value, json};

use crate::bench::{Agent, Bench, program};

/// A program that an editor starts and talks with, one JSON object a line.
struct Server {
    child: Child,
    input: ChildStdin,
    lines: Box<dyn Iterator<Item = String>>,
}

impl Server {
    /// Starts the app server of Codex.
    fn codex(bench: &Bench, more: &[&str]) -> Self {
        let mut command = bench.other_agent("codex");
        let mut server = Self::start(command.arg("app-server").args(more));
        server.asked(
            0,
            "initialize",
            &json!({ "clientInfo": { "name": "test", "version": "0" } }),
        );
        server.send(&json!({ "method": "initialized" }));
        server
    }

    /// Starts Gemini CLI over ACP.
    fn gemini(bench: &Bench) -> Self {
        let mut command = bench.other_agent("gemini");
        command.args(["--acp", "-m", "gemini-2.5-flash"]);
        let mut server = Self::start(command.env("GEMINI_API_KEY", "not-a-key"));
        let hello = json!({ "protocolVersion": 1, "clientCapabilities": {} });
        server.asked(0, "initialize", &hello);
        server
    }

    /// Starts a program; one that hangs is ended, so that the test of it fails and does not hang.
    fn start(wanted: &Command) -> Self {
        let variables = wanted
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)));
        let child = Command::new("timeout")
            .args(["--foreground", "--kill-after=5", "240"])
            .arg(wanted.get_program())
            .args(wanted.get_args())
            .current_dir(wanted.get_current_dir().unwrap())
            .env_clear()
            .envs(variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.unwrap();
        let input = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            input,
            lines: Box::new(lines.map_while(Result::ok)),
        }
    }

    fn send(&mut self, message: &Value) {
        let mut message = message.clone();
        message["jsonrpc"] = "2.0".into();
        writeln!(self.input, "{message}").expect("the program ended");
    }

    /// Returns the next message that is wanted.
    fn until(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let mut messages = self
            .lines
            .by_ref()
            .filter_map(|line| serde_json::from_str(&line).ok());
        messages.find(is_wanted).expect("the program ended")
    }

    fn asked(&mut self, id: u32, method: &str, params: &Value) -> Value {
        self.send(&json!({ "id": id, "method": method, "params": params }));
        let answer = self.until(|message| message["id"] == id && message.get("method").is_none());
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    /// Asks, and says yes to every question until this is over; returns the questions.
    fn allowed(
        &mut self,
        question: &Value,
        yes: &dyn Fn(&Value) -> Value,
        is_over: &dyn Fn(&Value) -> bool,
    ) -> Vec<String> {
        self.send(question);
        let mut questions = Vec::new();
        loop {
            let message = self.until(|message| {
                let is_question = message.get("id").is_some() && message.get("method").is_some();
                is_question || is_over(message)
            });
            if is_over(&message) {
                return questions;
            }
            questions.push(message["params"].to_string());
            let result = yes(&message["params"]);
            self.send(&json!({ "id": message["id"], "result": result }));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns what Codex's own file holds where somebody has trusted every hook of it.
fn trusting(bench: &Bench) -> String {
    let mut server = Server::codex(bench, &[]);
    let listed = server.asked(1, "hooks/list", &json!({ "cwds": [bench.root] }));
    let hooks = listed["data"][0]["hooks"].as_array().unwrap().clone();
    assert!(!hooks.is_empty(), "{listed}");
    let each = hooks.iter().map(|hook| {
        format!(
            "[hooks.state.{}]\ntrusted_hash = {}\n",
            hook["key"], hook["currentHash"]
        )
    });
    each.collect()
}

/// Runs Codex, which deletes the only copy of a file, and says whether the guard was asked before.
fn asks_the_guard(bench: &Bench) -> bool {
    let count = || {
        bench
            .tos(&["guard", "undo"])
            .said
            .matches("idea.txt")
            .count()
    };
    let before = count();
    bench.write("idea.txt", "the only copy\n");
    let output = bench
        .agent_command()
        .arg("DO: rm idea.txt")
        .output()
        .unwrap();
    assert!(!bench.root.join("idea.txt").exists(), "{output:?}");
    count() > before
}

/// Holds what Codex does against what `status` says.
fn compared(bench: &Bench, what: &str, runs: bool, part: &str) {
    let status = bench.tos(&["guard", "status", "codex"]);
    assert_eq!(asks_the_guard(bench), runs, "{what}: {}", status.said);
    assert_eq!(
        status.code,
        Some(i32::from(!runs)),
        "{what}: {}",
        status.said
    );
    assert!(status.said.contains(part), "{what}: {}", status.said);
}

fn config(bench: &Bench, text: &str) {
    fs::write(bench.home().join(".codex/config.toml"), text).unwrap();
}

#[test]
fn status_says_of_each_state_of_trust_what_codex_makes_of_it() {
    let Some(bench) = Bench::new(Agent::Codex) else {
        return;
    };
    let installed = bench.tos(&["guard", "install", "codex", "--yes"]);
    assert_eq!(installed.code, Some(0), "{}", installed.said);
    compared(
        &bench,
        "untrusted",
        false,
        "no trust record for its PreToolUse hook",
    );
    let trusted = trusting(&bench);
    config(&bench, &trusted);
    compared(
        &bench,
        "trusted",
        true,
        "it refused a destructive call just now  ",
    );
    config(&bench, &trusted.replace("sha256:", "sha256:0"));
    compared(
        &bench,
        "another hash",
        false,
        "has changed since it was trusted",
    );
    config(
        &bench,
        &trusted.replace("trusted_hash", "enabled = false\ntrusted_hash"),
    );
    compared(&bench, "switched off", false, "switched off in Codex");
    let other = bench.home().join(".codex/other.json");
    let hooks = bench.home().join(".codex/hooks.json");
    let elsewhere = trusted.replace(&hooks.display().to_string(), &other.display().to_string());
    config(&bench, &elsewhere);
    compared(&bench, "of another file", false, "no trust record");
    // The same hook, installed once more by a tos that lies elsewhere.
    config(&bench, &trusted);
    let moved = bench.folder().join("tos");
    fs::copy(program(), &moved).unwrap();
    let mut install = Command::new(&moved);
    let tos = bench.command(&[]);
    let variables = tos
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    install
        .args(["guard", "install", "codex", "--yes"])
        .env_clear()
        .envs(variables);
    install.current_dir(&bench.root);
    // What another test starts holds the copy open for an instant.
    let installed = loop {
        match install.output() {
            Err(busy) if busy.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::yield_now();
            }
            output => break output.unwrap(),
        }
    };
    assert!(installed.status.success(), "{installed:?}");
    compared(&bench, "moved", false, "has changed since it was trusted");
}

#[test]
fn a_hook_of_a_project_runs_in_codex_only_where_the_folder_is_trusted_too() {
    let Some(bench) = Bench::new(Agent::Codex) else {
        return;
    };
    fs::create_dir_all(bench.home().join(".codex")).unwrap();
    let installed = bench.tos(&["guard", "install", "codex", "--yes", "--project"]);
    assert_eq!(installed.code, Some(0), "{}", installed.said);
    assert!(
        installed.said.contains("is none of them"),
        "{}",
        installed.said
    );
    compared(
        &bench,
        "untrusted folder",
        false,
        "only in folders it trusts",
    );
    let folder = format!(
        "[projects.{}]\ntrust_level = \"trusted\"\n",
        json!(bench.root)
    );
    config(&bench, &folder);
    compared(&bench, "trusted folder", false, "no trust record");
    let both = format!("{folder}{}", trusting(&bench));
    config(&bench, &both);
    compared(
        &bench,
        "both",
        true,
        "it refused a destructive call just now  ",
    );
}

/// Takes the lists of hooks out of a file that are not this one.
fn only(hooks: &Path, list: &str) {
    let text = fs::read_to_string(hooks).unwrap();
    let mut settings: Value = serde_json::from_str(&text).unwrap();
    let lists = settings["hooks"].as_object_mut().unwrap();
    lists.retain(|name, _| name == list);
    fs::write(hooks, settings.to_string()).unwrap();
}

#[test]
fn what_codex_asks_permission_for_is_refused_by_the_hook_or_left_to_the_person() {
    let Some(bench) = Bench::new(Agent::Codex) else {
        return;
    };
    let installed = bench.tos(&["guard", "install", "codex", "--yes"]);
    assert_eq!(installed.code, Some(0), "{}", installed.said);
    // Else the other hook refuses first.
    only(&bench.home().join(".codex/hooks.json"), "PermissionRequest");
    config(&bench, &trusting(&bench));
    let victim = bench.folder().join("elsewhere");
    fs::create_dir(&victim).unwrap();
    let provider = format!(
        "model_providers.mock={{name=\"mock\",base_url=\"{}/v1\",env_key=\"OPENAI_API_KEY\",wire_api=\"responses\"}}",
        bench.server.url()
    );
    let more = [
        "-c",
        &provider,
        "-c",
        "model_provider=\"mock\"",
        "-c",
        "model=\"gpt-5\"",
    ];
    let mut server = Server::codex(&bench, &more);
    let thread = json!({ "cwd": bench.root, "approvalPolicy": "untrusted", "sandbox": "danger-full-access" });
    let started = server.asked(1, "thread/start", &thread);
    let text = format!(
        "DO: rm -r {}\nDO: touch made.txt\nSAY: done",
        victim.display()
    );
    let turn =
        json!({ "threadId": started["thread"]["id"], "input": [{ "type": "text", "text": text }] });
    let question = json!({ "id": 2, "method": "turn/start", "params": turn });
    let yes = |_: &Value| json!({ "decision": "accept" });
    let is_over = |message: &Value| message["method"] == "turn/completed";
    let questions = server.allowed(&question, &yes, &is_over);
    let results = bench.results();
    assert!(victim.is_dir(), "{results}\n{questions:?}");
    assert!(results.contains("guard/delete-outside"), "{results}");
    // What the guard does not refuse stays the question of Codex.
    assert!(
        matches!(questions.as_slice(), [one] if one.contains("touch made.txt")),
        "{questions:?}"
    );
    assert!(bench.root.join("made.txt").exists(), "{results}");
}

#[test]
fn gemini_does_not_run_without_its_trust_in_the_folder_and_with_it_asks_the_guard() {
    let Some(bench) = Bench::new(Agent::Claude) else {
        return;
    };
    let settings = bench.home().join(".gemini/settings.json");
    fs::create_dir_all(settings.parent().unwrap()).unwrap();
    let login = r#"{"security":{"auth":{"selectedType":"gemini-api-key"}}}"#;
    fs::write(&settings, login).unwrap();
    for scope in [&["--yes"][..], &["--yes", "--project"]] {
        let words = [&["guard", "install", "gemini"][..], scope].concat();
        let installed = bench.tos(&words);
        assert!(
            installed.said.contains("not effective yet: Gemini CLI"),
            "{}",
            installed.said
        );
    }
    let run = || {
        bench.write("idea.txt", "the only copy\n");
        let mut command = bench.other_agent("gemini");
        command.args([
            "-m",
            "gemini-2.5-pro",
            "-y",
            "-o",
            "stream-json",
            "-p",
            "DO: rm idea.txt",
        ]);
        command.env("GEMINI_API_KEY", "not-a-key");
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    };
    let status = bench.tos(&["guard", "status", "gemini"]);
    assert_eq!(status.code, Some(1), "{}", status.said);
    assert!(
        status.said.contains("has not been told to trust"),
        "{}",
        status.said
    );
    let said = run();
    assert!(
        said.contains("not running in a trusted directory"),
        "{said}"
    );
    assert!(bench.root.join("idea.txt").exists(), "{said}");
    let folders = json!({ bench.root.display().to_string(): "TRUST_FOLDER" });
    let file = settings.with_file_name("trustedFolders.json");
    fs::write(file, folders.to_string()).unwrap();
    let status = bench.tos(&["guard", "status", "gemini"]);
    assert_eq!(status.code, Some(0), "{}", status.said);
    let said = run();
    assert!(!bench.root.join("idea.txt").exists(), "{said}");
    assert!(
        bench.tos(&["guard", "undo"]).said.contains("idea.txt"),
        "{said}"
    );
}

#[test]
fn gemini_over_acp_asks_its_client_and_no_hook_whatever_it_trusts() {
    for level in ["DO_NOT_TRUST", "TRUST_FOLDER"] {
        let Some(bench) = Bench::new(Agent::Claude) else {
            return;
        };
        let settings = bench.home().join(".gemini/settings.json");
        fs::create_dir_all(settings.parent().unwrap()).unwrap();
        let login = r#"{"security":{"auth":{"selectedType":"gemini-api-key"}}}"#;
        fs::write(&settings, login).unwrap();
        let folders = json!({ bench.root.display().to_string(): level });
        let file = settings.with_file_name("trustedFolders.json");
        fs::write(file, folders.to_string()).unwrap();
        let installed = bench.tos(&["guard", "install", "gemini", "--yes"]);
        assert_eq!(installed.code, Some(0), "{}", installed.said);
        bench.write("idea.txt", "the only copy\n");
        let mut server = Server::gemini(&bench);
        let session = json!({ "cwd": bench.root, "mcpServers": [] });
        let session = server.asked(1, "session/new", &session)["sessionId"].clone();
        let prompt = json!([{ "type": "text", "text": "DO: rm idea.txt" }]);
        let question = json!({
            "id": 2, "method": "session/prompt", "params": { "sessionId": session, "prompt": prompt },
        });
        let yes = |params: &Value| {
            let options = params["options"].as_array().unwrap();
            let once = options.iter().find(|option| option["kind"] == "allow_once");
            json!({ "outcome": { "outcome": "selected", "optionId": once.unwrap()["optionId"] } })
        };
        let is_over = |message: &Value| message["id"] == 2 && message.get("method").is_none();
        let questions = server.allowed(&question, &yes, &is_over);
        assert!(
            !bench.root.join("idea.txt").exists(),
            "{level}: {questions:?}"
        );
        assert!(
            matches!(questions.as_slice(), [one] if one.contains("rm idea.txt")),
            "{level}: {questions:?}"
        );
        let list = bench.tos(&["guard", "undo"]).said;
        assert!(list.contains("no checkpoint"), "{level}: {list}");
    }
}
