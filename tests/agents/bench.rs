//! A repository with a mistake in it, a real agent, a model server, and a list of tasks.

use std::{
    env,
    ffi::OsString,
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Once, mpsc},
    thread,
    thread::JoinHandle,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tos::config::gates;

use crate::{model_server::ModelServer, repository};

/// An agent from npm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agent {
    Claude,
    Codex,
    /// The same two over the Agent Client Protocol.
    ClaudeAcp,
    CodexAcp,
    GeminiAcp,
    OpencodeAcp,
}

/// What the machine has to build walls with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    /// Everything it really has.
    Whole,
    /// The same, and it is told to take bubblewrap.
    WithBubblewrap,
    /// No namespaces either, as in many containers.
    WithoutNamespaces,
}

/// One task: its id, its prompt, and further lines of TOML.
pub(crate) struct Task<'a>(pub(crate) &'a str, pub(crate) String, pub(crate) &'a str);

/// How the program ended and everything it printed.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
}

/// Everything one test needs.
pub(crate) struct Bench {
    folder: TempDir,
    pub(crate) root: PathBuf,
    pub(crate) server: ModelServer,
    agent: Agent,
    agents: PathBuf,
    pub(crate) machine: Machine,
    /// Further lines for the list and for its agent.
    pub(crate) list_lines: String,
    pub(crate) agent_lines: String,
    /// The agent is a subscriber's, not one with a key.
    pub(crate) is_subscriber: bool,
}

/// What repairs the repository.
pub(crate) const REPAIR: &str = "DO: sed -i 's/a - b/a + b/' app.py";
/// What runs the tests.
pub(crate) const TEST: &str = "DO: python3 -m unittest 2>&1 | tail -1";

const TESTS: &str = "import unittest\nfrom app import add\n\n\nclass AddTest(unittest.TestCase):\n    \
    def test_add(self):\n        self.assertEqual(add(2, 3), 5)\n";

/// Runs what follows where no more namespaces can be made.
const NO_NAMESPACES: &str = "for kind in user mnt; do echo 0 >/proc/sys/user/max_${kind}_namespaces || exit 99; done; \
    exec setpriv --ambient-caps=-all --inh-caps=-all --bounding-set=-all \"$@\"";

/// Returns the folder with the agents; `None` = there is none, and that is all right.
fn agents() -> Option<PathBuf> {
    static SAID: Once = Once::new();
    let named = env::var_os("TOS_TEST_AGENTS").filter(|name| !name.is_empty());
    if let Some(folder) = named.map(PathBuf::from) {
        for name in [
            "claude",
            "codex",
            "claude-agent-acp",
            "codex-acp",
            "opencode",
            "gemini",
        ] {
            let program = folder.join(name);
            assert!(
                program.exists(),
                "TOS_TEST_AGENTS: there is no {}; CONTRIBUTING.md says how to install the agents",
                program.display()
            );
        }
        return Some(folder);
    }
    assert!(
        env::var_os("TOS_TEST_AGENTS_REQUIRED").is_none(),
        "TOS_TEST_AGENTS names no folder with claude and codex, and TOS_TEST_AGENTS_REQUIRED forbids to skip their tests"
    );
    // Past the capture of tests, so that a person sees it.
    SAID.call_once(|| {
        let why = "tests/agents: skipped, because TOS_TEST_AGENTS names no folder with claude and codex (see CONTRIBUTING.md)";
        drop(writeln!(std::io::stderr(), "{why}"));
    });
    None
}

/// Returns the program under test.
pub(crate) fn program() -> PathBuf {
    let named = env::var_os("TOS_TEST_PROGRAM");
    named.map_or_else(|| env!("CARGO_BIN_EXE_tos").into(), PathBuf::from)
}

/// Returns a folder that no wall covers, as those for temporary files are.
pub(crate) fn folder() -> TempDir {
    let named = env::var_os("TOS_TEST_FOLDER").map(PathBuf::from);
    let usual = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let covered = ["/tmp", "/var/tmp", "/run", "/dev/shm"];
    let usual = Some(usual).filter(|folder| !covered.iter().any(|one| folder.starts_with(one)));
    let parent = named.or(usual).unwrap_or_else(|| "/var/cache".into());
    tempfile::Builder::new()
        .prefix("tos-agents-")
        .tempdir_in(parent)
        .unwrap()
}

impl Bench {
    /// Makes one; `None` = there are no agents to test with.
    pub(crate) fn new(agent: Agent) -> Option<Self> {
        let agents = agents()?;
        let folder = folder();
        let root = folder.path().canonicalize().unwrap().join("work");
        fs::create_dir(&root).unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        repository::init(&root);
        let bench = Self {
            folder,
            root,
            server: ModelServer::start(),
            agent,
            agents,
            machine: Machine::Whole,
            list_lines: String::new(),
            agent_lines: String::new(),
            is_subscriber: false,
        };
        bench.write("app.py", "def add(a, b):\n    return a - b\n");
        bench.write("test_app.py", TESTS);
        bench.write(".gitignore", "/.tos/\n__pycache__/\n");
        let alone = gates::DEFAULT_GATES_TOML.replacen(
            "unattended = false\nmax_session = \"0m\"",
            "unattended = true\nmax_session = \"1h\"",
            1,
        );
        let again = "on_failure = [\"stop\", \"retry_then_stop\", \"retry_then_skip_dependents\"]";
        let alone = alone.replacen("on_failure = [\"stop\"]", again, 1);
        bench.write("config/gates.toml", &alone);
        bench.commit("first");
        Some(bench)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        repository::write(&self.root, path, text);
    }

    pub(crate) fn git(&self, words: &[&str]) -> String {
        repository::git(&self.root, words)
    }

    /// Commits everything there is.
    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns a folder with the agents that an ordinary user can reach; they are copied to `place` where theirs is closed.
    pub(crate) fn agents_for_everybody(&self, place: &Path) -> PathBuf {
        if is_open(&self.agents) {
            return self.agents.clone();
        }
        // `node_modules/.bin` links to what lies beside it.
        let modules = self.agents.parent().unwrap();
        let copied = Command::new("cp")
            .arg("-a")
            .arg(modules)
            .arg(place)
            .status();
        assert!(copied.unwrap().success());
        place.join(modules.file_name().unwrap()).join(".bin")
    }

    fn list_file(&self) -> PathBuf {
        self.folder.path().join("list.toml")
    }

    /// Writes the list.
    pub(crate) fn list(&self, tasks: &[Task<'_>]) {
        let mut text = format!(
            "schema = 1\nid = \"demo\"\n{}\n[agent]\n{}{}",
            self.list_lines,
            self.agent_block(),
            self.agent_lines
        );
        for Task(id, prompt, more) in tasks {
            assert!(!prompt.contains("'''"), "it stands between three of them");
            let class = if more.contains("class = ") {
                ""
            } else {
                "class = \"fix\"\n"
            };
            write!(
                text,
                "\n[[task]]\nid = \"{id}\"\ngoal = \"add() adds\"\nprompt = '''\n{prompt}\n'''\n{class}\
                 test_command = [\"python3\", \"-m\", \"unittest\"]\nmax_time_seconds = 300\n{more}\n"
            )
            .unwrap();
        }
        fs::write(self.list_file(), text).unwrap();
    }

    /// How a person tells tos to use an agent with another server.
    fn agent_block(&self) -> String {
        let place = self.server.place();
        let hosts = format!("hosts = [\"{place}\"]\n");
        match self.agent {
            Agent::Claude => {
                let key = self.key().0;
                format!(
                    "kind = \"claude\"\n{hosts}environment = [\"{key}\", \"ANTHROPIC_BASE_URL\", \"CLAUDE_CODE_MAX_RETRIES\"]\n"
                )
            }
            Agent::ClaudeAcp => format!(
                "kind = \"acp\"\nargs = [\"claude-agent-acp\"]\n{hosts}\
                 environment = [\"ANTHROPIC_API_KEY\", \"ANTHROPIC_BASE_URL\", \"CLAUDE_CODE_MAX_RETRIES\"]\n"
            ),
            Agent::CodexAcp => format!(
                "kind = \"acp\"\nargs = [\"codex-acp\"]\n{hosts}\
                 environment = [\"OPENAI_API_KEY\", \"CODEX_CONFIG\", \"MODEL_PROVIDER\"]\n"
            ),
            Agent::GeminiAcp => format!(
                "kind = \"acp\"\nargs = [\"gemini\", \"--acp\", \"--skip-trust\", \"-m\", \"gemini-2.5-flash\"]\n{hosts}\
                 environment = [\"GEMINI_API_KEY\", \"GOOGLE_GEMINI_BASE_URL\"]\n"
            ),
            Agent::OpencodeAcp => format!(
                "kind = \"acp\"\nargs = [\"opencode\", \"acp\"]\n{hosts}environment = [\"OPENCODE_CONFIG_CONTENT\"]\n"
            ),
            Agent::Codex => {
                let login = if self.is_subscriber {
                    "requires_openai_auth=true"
                } else {
                    "env_key=\"OPENAI_API_KEY\""
                };
                let environment = if self.is_subscriber {
                    "credentials = [\".codex/auth.json\"]\nenvironment = [\"CODEX_REFRESH_TOKEN_URL_OVERRIDE\"]\n"
                } else {
                    "environment = [\"OPENAI_API_KEY\"]\n"
                };
                let provider = format!(
                    "model_providers.mock={{name=\"mock\",base_url=\"http://{place}/v1\",{login},wire_api=\"responses\",\
                     request_max_retries=1,stream_max_retries=1}}"
                );
                format!(
                    "kind = \"codex\"\nmodel = \"gpt-5\"\n{hosts}{environment}\
                     args = [\"-c\", '{provider}', \"-c\", 'model_provider=\"mock\"']\n"
                )
            }
        }
    }

    /// How the adapter of Codex is told of another server.
    fn codex_config(&self) -> String {
        let provider = serde_json::json!({
            "name": "mock", "base_url": format!("{}/v1", self.server.url()), "env_key": "OPENAI_API_KEY",
            "wire_api": "responses", "request_max_retries": 1, "stream_max_retries": 1,
        });
        serde_json::json!({ "model_providers": { "mock": provider }, "model_provider": "mock", "model": "gpt-5" }).to_string()
    }

    /// How `OpenCode` is told of another server.
    pub(crate) fn opencode_config(&self) -> String {
        let provider = serde_json::json!({
            "npm": "@ai-sdk/openai-compatible",
            "options": { "baseURL": format!("{}/v1", self.server.url()), "apiKey": "not-a-key" },
            "models": { "m": {} },
        });
        serde_json::json!({ "provider": { "mock": provider }, "model": "mock/m" }).to_string()
    }

    fn key(&self) -> (&'static str, &'static str) {
        match (self.agent, self.is_subscriber) {
            (Agent::ClaudeAcp, _) => ("ANTHROPIC_API_KEY", "sk-ant-not-a-key"),
            (Agent::CodexAcp, _) => ("OPENAI_API_KEY", "sk-not-a-key"),
            (Agent::GeminiAcp, _) => ("GEMINI_API_KEY", "not-a-key"),
            (Agent::OpencodeAcp, _) => ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
            (Agent::Claude, true) => ("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-not-a-token"),
            (Agent::Claude, false) => ("ANTHROPIC_API_KEY", "sk-ant-not-a-key"),
            (Agent::Codex, _) => ("OPENAI_API_KEY", "sk-not-a-key"),
        }
    }

    /// Returns `tos` with these words, as a person with an own home starts it on such a machine.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut path = OsString::from(&self.agents);
        path.push(":/usr/local/bin:/usr/bin:/bin");
        let poorer = match self.machine {
            Machine::Whole | Machine::WithBubblewrap => None,
            Machine::WithoutNamespaces => Some(NO_NAMESPACES),
        };
        let mut command = Command::new(poorer.map_or_else(program, |_| "unshare".into()));
        if let Some(script) = poorer {
            command.args(["--user", "--map-current-user", "--mount", "--keep-caps"]);
            command.args(["sh", "-c", script, "sh"]).arg(program());
        }
        let (key, value) = self.key();
        command
            .args(words)
            .current_dir(&self.root)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.home())
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .env(key, value)
            .env(
                "TOS_SANDBOX__BACKEND",
                match self.machine {
                    Machine::WithBubblewrap => "bubblewrap",
                    Machine::Whole | Machine::WithoutNamespaces => "auto",
                },
            )
            .env("ANTHROPIC_BASE_URL", self.server.url())
            .env("CLAUDE_CODE_MAX_RETRIES", "1")
            .env("CODEX_CONFIG", self.codex_config())
            .env("MODEL_PROVIDER", "mock")
            .env("OPENCODE_CONFIG_CONTENT", self.opencode_config())
            .env("GOOGLE_GEMINI_BASE_URL", self.server.url())
            .env(
                "CODEX_REFRESH_TOKEN_URL_OVERRIDE",
                format!("{}/oauth/token", self.server.url()),
            )
            .stdin(Stdio::null());
        command
    }

    /// Returns the agent itself as a person starts it without tos, to be given a prompt.
    pub(crate) fn agent_command(&self) -> Command {
        let tos = self.command(&[]);
        let mut command = match self.agent {
            Agent::Claude => {
                let mut command = Command::new(self.agents.join("claude"));
                command.args(["-p", "--output-format", "json", "--allowedTools=Bash"]);
                command
            }
            Agent::Codex
            | Agent::ClaudeAcp
            | Agent::CodexAcp
            | Agent::GeminiAcp
            | Agent::OpencodeAcp => {
                let mut command = Command::new(self.agents.join("codex"));
                let provider = format!(
                    "model_providers.mock={{name=\"mock\",base_url=\"http://{}/v1\",env_key=\"OPENAI_API_KEY\",\
                     wire_api=\"responses\"}}",
                    self.server.place()
                );
                command.args(["exec", "--json", "--skip-git-repo-check"]);
                command.args(["--dangerously-bypass-approvals-and-sandbox", "-m", "gpt-5"]);
                command.args(["-c", &provider, "-c", "model_provider=\"mock\""]);
                command
            }
        };
        let variables = tos
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)));
        command
            .current_dir(&self.root)
            .env_clear()
            .envs(variables)
            .stdin(Stdio::null());
        command
    }

    /// Returns an agent that lies beside the two, as a person starts it.
    pub(crate) fn other_agent(&self, name: &str) -> Command {
        let program = self.agents.join(name);
        let tos = self.command(&[]);
        let variables = tos
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)));
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env_clear()
            .envs(variables)
            .stdin(Stdio::null());
        command
    }

    /// Starts the list in the background; whatever happens, it is over within `seconds`.
    pub(crate) fn start_mortal(&self, seconds: u64) -> Mortal {
        let words = self.start();
        let mut command = self.command(&words.each_ref().map(String::as_str));
        Mortal::new(&mut command, seconds)
    }

    pub(crate) fn tos(&self, words: &[&str]) -> Ended {
        let output = self.command(words).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        Ended {
            code: output.status.code(),
            said: String::from_utf8_lossy(&text).into_owned(),
        }
    }

    /// Returns the words that start the list.
    pub(crate) fn start(&self) -> [String; 3] {
        let list = self.list_file();
        [
            "task".into(),
            "run".into(),
            list.to_string_lossy().into_owned(),
        ]
    }

    pub(crate) fn run(&self) -> Ended {
        let words = self.start();
        self.tos(&words.each_ref().map(String::as_str))
    }

    /// Runs one task with this prompt.
    pub(crate) fn run_one(&self, prompt: &str) -> Ended {
        self.list(&[Task("T-1", prompt.to_owned(), "")]);
        self.run()
    }

    /// Returns the records of a kind.
    pub(crate) fn records(&self, kind: &str) -> Vec<Value> {
        let mut command = self.command(&["ledger", "show", "--json", "--kind", kind]);
        let output = command.output().unwrap();
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        let records = value["records"].as_array().unwrap();
        records
            .iter()
            .map(|record| record["entry"].clone())
            .collect()
    }

    /// Returns how the only task ended.
    pub(crate) fn task_end(&self) -> Value {
        let mut tasks = self.records("task");
        assert_eq!(tasks.len(), 1, "{tasks:?}");
        tasks.remove(0)["end"].take()
    }

    /// Returns why the last session ended.
    pub(crate) fn ended_by(&self) -> String {
        let ends = self.records("session.end");
        let last = ends.last().unwrap();
        last["end"]["ended_by"].as_str().unwrap().to_owned()
    }

    /// Returns what the agent's tools answered in the last conversation.
    pub(crate) fn results(&self) -> String {
        let requests = self.server.requests();
        let last = requests.iter().rev().find(|one| !one.results.is_empty());
        last.map(|one| one.results.join("\n---\n"))
            .unwrap_or_default()
    }

    /// Everything of the user's that must stay as it is.
    pub(crate) fn untouched(&self) -> [String; 5] {
        let hooks = fs::read_dir(self.root.join(".git/hooks")).unwrap();
        let mut hooks: Vec<_> = hooks.map(|one| one.unwrap().file_name()).collect();
        hooks.sort();
        [
            self.git(&["rev-parse", "HEAD"]),
            self.git(&["symbolic-ref", "HEAD"]),
            self.git(&["status", "--porcelain"]),
            self.git(&["for-each-ref", "refs/heads", "refs/tags", "refs/remotes"]),
            format!("{hooks:?}"),
        ]
    }

    /// Returns the text of a file in the work that was accepted.
    pub(crate) fn accepted(&self, file: &str) -> String {
        let reference = self.git(&["for-each-ref", "--format=%(refname)", "refs/tos/runs"]);
        self.git(&["show", &format!("{reference}:{file}")])
    }
}

/// A program that is ended when it takes too long, so that a test of it fails and does not hang.
pub(crate) struct Mortal {
    child: Child,
    /// Dropped when the program has ended by itself.
    alive: Option<mpsc::Sender<()>>,
    watch: Option<JoinHandle<bool>>,
}

impl Mortal {
    fn new(command: &mut Command, seconds: u64) -> Self {
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let (alive, ended) = mpsc::channel::<()>();
        let watch = thread::spawn(move || {
            let late = ended.recv_timeout(Duration::from_secs(seconds))
                == Err(mpsc::RecvTimeoutError::Timeout);
            if late {
                // tos ends what it has started before it goes.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
                if ended.recv_timeout(Duration::from_secs(30))
                    == Err(mpsc::RecvTimeoutError::Timeout)
                {
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                }
            }
            late
        });
        Self {
            child,
            alive: Some(alive),
            watch: Some(watch),
        }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end, and fails where it had to be ended.
    pub(crate) fn end(mut self) -> Ended {
        let mut text = String::new();
        let mut errors = self.child.stderr.take().unwrap();
        let reader = thread::spawn(move || {
            let mut text = String::new();
            drop(errors.read_to_string(&mut text));
            text
        });
        drop(self.child.stdout.take().unwrap().read_to_string(&mut text));
        let status = self.child.wait().unwrap();
        drop(self.alive.take());
        let late = self.watch.take().unwrap().join().unwrap();
        let said = text + &reader.join().unwrap();
        assert!(!late, "it took too long and was ended: {said}");
        Ended {
            code: status.code(),
            said,
        }
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        if self.alive.take().is_some() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Says that exactly this many processes of that kind are alive.
pub(crate) fn is_alive(word: &str) -> bool {
    let found = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let line = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    let mut found = found.filter(|line| line.starts_with(word));
    found.next().is_some()
}

/// Returns whether a folder can be reached by an ordinary user.
pub(crate) fn is_open(folder: &Path) -> bool {
    let status = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .args(["test", "-x"])
        .arg(folder)
        .status();
    status.is_ok_and(|status| status.success())
}
