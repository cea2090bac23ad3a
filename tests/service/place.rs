//! A repository with the sample project, and a service in it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    program::program,
    repository::{git, init, write},
};

/// How long anything may take before the test gives up.
const PATIENCE: usize = 3000;

pub(crate) struct Place {
    _folder: tempfile::TempDir,
    pub(crate) top: PathBuf,
    home: PathBuf,
}

impl Place {
    /// Lays the sample project out, with further settings.
    pub(crate) fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (top, home) = (folder.path().join("project"), folder.path().join("home"));
        fs::create_dir_all(top.join("config")).unwrap();
        fs::create_dir_all(&home).unwrap();
        let sample = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/service/project");
        for name in ["agent.sh", "greet.sh", "test.sh"] {
            fs::copy(sample.join(name), top.join(name)).unwrap();
        }
        let config = fs::read_to_string(sample.join("config/service.toml")).unwrap();
        write(&top, "config/service.toml", &format!("{config}{settings}"));
        init(&top);
        git(&top, &["add", "-A"]);
        git(&top, &["commit", "-q", "-m", "start"]);
        Self {
            _folder: folder,
            top,
            home,
        }
    }

    /// A fresh repository with nothing in it.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (top, home) = (folder.path().join("worker"), folder.path().join("home"));
        fs::create_dir_all(&top).unwrap();
        fs::create_dir_all(&home).unwrap();
        init(&top);
        Self {
            _folder: folder,
            top,
            home,
        }
    }

    /// A repository of its own with the first commit of this one, and the same settings.
    pub(crate) fn cloned_at_the_start(&self) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (top, home) = (folder.path().join("other"), folder.path().join("home"));
        fs::create_dir_all(&home).unwrap();
        let from = self.top.to_str().unwrap();
        git(folder.path(), &["clone", "-q", from, "other"]);
        let start = git(&top, &["rev-list", "--max-parents=0", "HEAD"]);
        git(&top, &["reset", "-q", "--hard", &start]);
        for (name, value) in [("user.name", "t"), ("user.email", "t@localhost")] {
            git(&top, &["config", name, value]);
        }
        Self {
            _folder: folder,
            top,
            home,
        }
    }

    /// Waits until a starting service has said something.
    pub(crate) fn until_log(&self, words: &str) {
        for _ in 0..PATIENCE {
            let said = fs::read_to_string(self.home.join("serve.log")).unwrap_or_default();
            if said.contains(words) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the service never said `{words}`");
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        program(&self.top, &self.home, words)
    }

    /// Runs `tos`; returns whether it succeeded and what it said.
    pub(crate) fn run(&self, words: &[&str]) -> (bool, String) {
        let output = self.command(words).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }

    /// Runs `tos`, which has to succeed.
    pub(crate) fn tos(&self, words: &[&str]) -> String {
        let (ok, said) = self.run(words);
        assert!(ok, "tos {words:?}: {said}");
        said
    }

    /// Folds all events anew: the board has to be what they say. No service may be at work.
    pub(crate) fn folds_to_what_is_there(&self) {
        let rebuilt = self.tos(&["board", "rebuild"]);
        let words = "everything is what the events say";
        assert!(rebuilt.contains(words), "{rebuilt}");
    }

    /// Returns the configuration of the sample.
    pub(crate) fn sample() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("examples/service/project/config/service.toml")
    }

    /// Waits until something holds.
    pub(crate) fn until_true(holds: impl Fn() -> bool) {
        for _ in 0..PATIENCE {
            if holds() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("waited in vain");
    }

    /// Waits until a process has ended.
    pub(crate) fn until_gone(pid: &str) {
        let stat = PathBuf::from("/proc").join(pid).join("stat");
        let is_gone = || {
            let text = fs::read_to_string(&stat).unwrap_or_default();
            text.is_empty() || text.contains(") Z")
        };
        Self::until_true(is_gone);
    }

    /// Says whether a process with these words is here.
    pub(crate) fn has_process(&self, words: &str) -> bool {
        self.finds_process(words, false)
    }

    fn finds_process(&self, words: &str, anywhere: bool) -> bool {
        fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let place = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            line.trim() == words && (place.starts_with(&self.top) || anywhere)
        })
    }

    /// Waits until a process with these words is there, or is not.
    pub(crate) fn until_process(&self, words: &str, there: bool) {
        let found = || self.finds_process(words, there);
        for _ in 0..PATIENCE {
            if found() == there {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("`{words}`: waited in vain");
    }
}

pub(crate) struct Service {
    child: Child,
    pub(crate) address: String,
    pub(crate) token: String,
    log: PathBuf,
}

impl Service {
    /// Starts a service and waits until it answers.
    pub(crate) fn start(place: &Place) -> Self {
        Self::start_with(place, &[])
    }

    /// Starts one with further options.
    pub(crate) fn start_with_options(place: &Place, options: &[&str]) -> Self {
        let words = [&["serve", "--drain", "1"], options].concat();
        Self::start_command(place, place.command(&words))
    }

    /// The same with further variables.
    pub(crate) fn start_with(place: &Place, variables: &[(&str, &std::ffi::OsStr)]) -> Self {
        let mut command = place.command(&["serve", "--drain", "1"]);
        command.envs(variables.iter().copied());
        Self::start_command(place, command)
    }

    /// Starts a service whose files may not become larger than so many blocks of 512 bytes.
    pub(crate) fn start_limited(place: &Place, blocks: u64) -> Self {
        let words = place.command(&["serve", "--drain", "1"]);
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh"]);
        command.arg(words.get_program()).args(words.get_args());
        command.current_dir(&place.top).env_clear();
        for (name, value) in words.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        Self::start_command(place, command)
    }

    pub(crate) fn start_command(place: &Place, mut command: Command) -> Self {
        let file = place.top.join(".tos/serve.json");
        if file.exists() {
            fs::remove_file(&file).unwrap();
        }
        let log = place.home.join("serve.log");
        let out = fs::File::create(&log).unwrap();
        command
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        for _ in 0..PATIENCE {
            let text = fs::read_to_string(&file).unwrap_or_default();
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                let word = |name: &str| value[name].as_str().unwrap().to_owned();
                let service = Self {
                    child,
                    address: word("address"),
                    token: word("token"),
                    log,
                };
                service.ask("GET", "/health", &Value::Null);
                return service;
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{status}: {}", fs::read_to_string(&log).unwrap());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!(
            "the service did not come up: {}",
            fs::read_to_string(&log).unwrap()
        );
    }

    /// Kills it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended by itself; returns what it said. Servers that are gone are waited for 40 s before it is given up.
    pub(crate) fn ended(&mut self) -> String {
        for _ in 0..3 * PATIENCE {
            if self.child.try_wait().unwrap().is_some() {
                return fs::read_to_string(&self.log).unwrap();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the service did not end");
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        send(self.child.id(), name);
    }

    /// Sends a request, and does not wait for the answer.
    pub(crate) fn begin(&self, method: &str, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
            self.address, self.token
        )
        .unwrap();
        stream
    }

    /// Follows events until one holds a text; returns what came.
    pub(crate) fn events_until(&self, path: &str, wanted: &str) -> String {
        let mut stream = self.begin("GET", path);
        let (mut text, mut bytes) = (String::new(), [0; 4096]);
        while !text.contains(wanted) {
            let count = stream.read(&mut bytes).unwrap();
            assert!(count > 0, "{text}");
            text.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        // Chunks begin with their length.
        body.lines()
            .filter(|line| line.contains(':'))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Waits for the answer.
    pub(crate) fn end(mut stream: TcpStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// Sends a request as it stands.
    pub(crate) fn raw(
        &self,
        method: &str,
        path: &str,
        token: &str,
        host: &str,
        body: &str,
    ) -> (u16, String) {
        self.try_raw(method, path, token, host, body).unwrap()
    }

    pub(crate) fn try_raw(
        &self,
        method: &str,
        path: &str,
        token: &str,
        host: &str,
        body: &str,
    ) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address)?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| std::io::Error::other("no answer"))?;
        Ok((status, body.to_owned()))
    }

    /// Asks, and has to be answered well.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let (status, text) = self.raw(method, path, &self.token, &self.address, &body);
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {text}"
        );
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) fn add(&self, spec: Value) -> u64 {
        self.ask("POST", "/tasks", &spec)["task"]["id"]
            .as_u64()
            .unwrap()
    }

    /// Says yes to whatever is asked.
    fn allow(&self) {
        self.allow_some(100);
    }

    /// Says yes to so many questions.
    pub(crate) fn allow_some(&self, most: usize) {
        let asked = self.ask("GET", "/approvals?open=true", &Value::Null);
        for one in asked["approvals"].as_array().unwrap().iter().take(most) {
            self.ask(
                "POST",
                &format!("/approvals/{}", one["id"]),
                &json!({ "allow": true }),
            );
        }
    }

    /// Waits until a task has a status, or is blocked for a reason.
    pub(crate) fn until(&self, task: u64, wanted: &str) -> Value {
        let mut seen = Value::Null;
        for _ in 0..PATIENCE {
            self.allow();
            let mut told = self.ask("GET", &format!("/tasks/{task}"), &Value::Null);
            seen = told["task"].take();
            seen["judgements"] = told["judgements"].take();
            if seen["status"] == wanted || seen["blockReason"] == wanted {
                return seen;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("task {task} is not {wanted}: {seen:#}\n{}", self.words());
    }

    /// Waits until the explanation of a task holds a text.
    pub(crate) fn until_why(&self, task: u64, wanted: &str) -> String {
        let mut seen = String::new();
        for _ in 0..PATIENCE {
            self.allow();
            seen = self.ask("GET", &format!("/tasks/{task}"), &Value::Null)["why"].to_string();
            if seen.contains(wanted) {
                return seen;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{seen} does not say {wanted}\n{}", self.words());
    }

    /// Waits until the service itself said something.
    pub(crate) fn said(&self, wanted: &str) -> bool {
        for _ in 0..PATIENCE {
            if fs::read_to_string(&self.log).unwrap().contains(wanted) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// What the service and its processes said.
    fn words(&self) -> String {
        let logs = self.ask("GET", "/logs/all", &Value::Null);
        let lines = logs["entries"].as_array().unwrap();
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        format!(
            "{}\n{}",
            fs::read_to_string(&self.log).unwrap(),
            lines.join("\n")
        )
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let pid = self.child.id().to_string();
        // Politely, so that nothing of it is left.
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(told.is_ok());
        for _ in 0..PATIENCE {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(self.child.kill());
    }
}

/// Sends a signal by its name.
pub(crate) fn send(process: u32, name: &str) {
    let sent = Command::new("kill")
        .args([format!("-{name}"), process.to_string()])
        .status();
    assert!(sent.unwrap().success());
}
