//! An empty directory in which the program is run.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Place {
    directory: TempDir,
}

pub(crate) struct Seen {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Seen {
    pub(crate) fn run_id(&self) -> String {
        let line = self
            .out
            .lines()
            .find_map(|line| line.strip_prefix("run_id: "));
        line.unwrap_or_else(|| panic!("no run id in {:?} {:?}", self.out, self.err))
            .to_owned()
    }
}

impl From<Output> for Seen {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn with(plan: &str) -> Self {
        let place = Self::new();
        place.write("plan.yaml", plan);
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tos"));
        command.arg("plan").args(words).current_dir(self.path());
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path());
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn tos(&self, words: &[&str]) -> Seen {
        self.command(words).output().unwrap().into()
    }

    /// Starts the program as a terminal would: whoever runs the tests may have chosen to ignore signals, and that
    /// is inherited.
    pub(crate) fn begin(&self, words: &[&str]) -> Child {
        let wanted = self.command(words);
        let mut command = Command::new("env");
        command
            .arg("--default-signal=HUP,INT,TERM")
            .arg(wanted.get_program())
            .args(wanted.get_args())
            .current_dir(self.path())
            .env_clear()
            .envs(
                wanted
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::null());
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    pub(crate) fn state(&self, run: &str) -> Value {
        let seen = self.tos(&["status", run, "--json"]);
        assert_eq!(seen.code, 0, "{}", seen.err);
        serde_json::from_str(&seen.out).unwrap()
    }

    /// Returns the status of every task, in the order of the plan.
    pub(crate) fn statuses(&self, run: &str) -> Vec<(String, String)> {
        let state = self.state(run);
        let tasks = state["tasks"].as_object().unwrap();
        tasks
            .iter()
            .map(|(id, task)| (id.clone(), task["status"].as_str().unwrap().to_owned()))
            .collect()
    }

    /// Waits until `file` below the directory exists.
    pub(crate) fn wait_for(&self, file: &str) {
        let path = self.path().join(file);
        until(|| path.exists(), &format!("{file} appears"));
    }
}

pub(crate) fn until(mut condition: impl FnMut() -> bool, what: &str) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns whether any process has this text in its command line.
pub(crate) fn is_alive(marker: &str) -> bool {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .any(|line| {
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(marker)
        })
}

pub(crate) fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).unwrap();
}

pub(crate) fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(id, status)| ((*id).to_owned(), (*status).to_owned()))
        .collect()
}
