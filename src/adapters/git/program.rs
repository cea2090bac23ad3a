//! Runs the git program: for what only it does rightly (filters, sparse checkouts, credentials).
//!
//! The environment is cut down to what git and its helpers need, so that no secret of tos reaches
//! them and no variable of a caller points git at another repository. Hooks are switched off.

use std::{
    ffi::{OsStr, OsString},
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use super::error::{ErrorContext, Result};
use crate::{
    adapters::process::{detach, marks},
    domain::checkpoint::CheckpointError,
};

/// Settings that keep git quiet, hookless and durable, whatever the user's configuration says.
const SETTINGS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.fsync=committed",
    "core.fsyncMethod=batch",
    "core.quotePath=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "advice.addEmbeddedRepo=false",
];

/// Variables that keep git, ssh and what they start from asking anybody for a password: nobody would see the question.
const NEVER_ASK: &[(&str, &str)] = &[
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", ""),
    ("SSH_ASKPASS_REQUIRE", "never"),
];

/// Variables handed on to git, by name.
const KEPT: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "TZ",
    "LANG",
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "DBUS_SESSION_BUS_ADDRESS",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_EXEC_PATH",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_SSL_CAINFO",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

/// The git program, pointed at one work tree.
#[derive(Clone)]
pub(super) struct GitProgram {
    top: PathBuf,
    index: Option<PathBuf>,
    directory: Option<PathBuf>,
    literal: bool,
    /// The token by which it is found when tos was killed and git goes on.
    token: Option<String>,
    deadline: Duration,
    /// Settings that no command line may show.
    settings: Vec<(String, String)>,
}

impl GitProgram {
    /// Points git at this directory.
    pub(super) fn new(top: &Path) -> Self {
        Self {
            top: top.to_owned(),
            index: None,
            directory: None,
            literal: false,
            token: None,
            deadline: Duration::from_secs(600),
            settings: Vec::new(),
        }
    }

    /// Gives git settings that stand in no command line.
    pub(super) fn with_settings(&self, settings: &[(String, String)]) -> Self {
        Self {
            settings: settings.to_vec(),
            ..self.clone()
        }
    }

    /// Makes git use this index file instead of the repository's.
    pub(super) fn with_index(&self, index: &Path) -> Self {
        Self {
            index: Some(index.to_owned()),
            ..self.clone()
        }
    }

    /// Makes git work in another work tree, with the repository whose git directory this is.
    pub(super) fn with_work_tree(&self, top: &Path, directory: &Path) -> Self {
        Self {
            top: top.to_owned(),
            directory: Some(directory.to_owned()),
            ..self.clone()
        }
    }

    /// Lets git, and what it starts, be found when tos was killed meanwhile.
    pub(super) fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// Returns the top of the work tree.
    pub(super) fn top(&self) -> &Path {
        &self.top
    }

    /// Makes git take every path as it is written.
    pub(super) fn with_literal_paths(&self) -> Self {
        Self {
            literal: true,
            ..self.clone()
        }
    }

    /// Ends git when it takes longer.
    pub(super) fn with_deadline(&self, deadline: Duration) -> Self {
        Self {
            deadline,
            ..self.clone()
        }
    }

    /// Runs git to its end and returns what it printed.
    pub(super) fn run<A: AsRef<OsStr>>(&self, arguments: &[A], input: &[u8]) -> Result<Vec<u8>> {
        self.run_with_exit_codes(arguments, input, &[0])
    }

    /// The same where several exit statuses are an answer.
    pub(super) fn run_with_exit_codes<A: AsRef<OsStr>>(
        &self,
        arguments: &[A],
        input: &[u8],
        answers: &[i32],
    ) -> Result<Vec<u8>> {
        let name = arguments
            .first()
            .map(|word| word.as_ref().to_string_lossy().into_owned())
            .unwrap_or_default();
        let mut child = self.spawn(arguments)?;
        let (stdout, stderr, late) = blocking_talk(&mut child, input, self.deadline);
        if late {
            drop(child.kill());
        }
        let status = child
            .wait()
            .doing(|| format!("could not wait for `git {name}`"))?;
        if !late && status.code().is_some_and(|code| answers.contains(&code)) {
            return Ok(stdout);
        }
        Err(CheckpointError::Program {
            command: name,
            status: if late {
                format!("no answer after {} s", self.deadline.as_secs())
            } else {
                status.to_string()
            },
            message: last_lines(&stderr),
        })
    }

    fn spawn<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Result<Child> {
        let mut command = Command::new("git");
        command.current_dir(&self.top).env_clear().envs(kept());
        command.env("LC_ALL", "C").envs(NEVER_ASK.iter().copied());
        detach(&mut command);
        if let Some(index) = &self.index {
            command.env("GIT_INDEX_FILE", index);
        }
        if let Some(directory) = &self.directory {
            command.env("GIT_DIR", directory);
            command.env("GIT_WORK_TREE", &self.top);
        }
        if let Some(token) = &self.token {
            command.envs(marks(token));
        }
        if !self.settings.is_empty() {
            command.env("GIT_CONFIG_COUNT", self.settings.len().to_string());
        }
        for (place, (name, value)) in self.settings.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{place}"), name);
            command.env(format!("GIT_CONFIG_VALUE_{place}"), value);
        }
        if self.literal {
            command.env("GIT_LITERAL_PATHSPECS", "1");
        }
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .doing(|| "could not start the git program; is git installed and on PATH?".to_owned())
    }
}

fn kept() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| {
        name.to_str()
            .is_some_and(|name| KEPT.contains(&name) || name.starts_with("XDG_"))
    })
}

/// Feeds and drains a child; returns what it wrote and whether it went over its deadline.
fn blocking_talk(child: &mut Child, input: &[u8], deadline: Duration) -> (Vec<u8>, Vec<u8>, bool) {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (sender, receiver) = mpsc::channel();
    let input = input.to_owned();
    // A broken pipe means that git stopped reading; its exit status says why.
    std::thread::spawn(move || stdin.map(|mut pipe| pipe.write_all(&input)));
    let second = sender.clone();
    std::thread::spawn(move || sender.send((true, drain(stdout))));
    std::thread::spawn(move || second.send((false, drain(stderr))));
    let (mut out, mut err, mut late) = (Vec::new(), Vec::new(), false);
    for _ in 0..2 {
        match receiver.recv_timeout(deadline) {
            Ok((true, bytes)) => out = bytes,
            Ok((false, bytes)) => err = bytes,
            Err(_) => {
                late = true;
                break;
            }
        }
    }
    (out, err, late)
}

fn drain(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What was read before an error still helps to explain it.
        drop(pipe.read_to_end(&mut bytes));
    }
    bytes
}

fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let start = lines.len().saturating_sub(5);
    lines.get(start..).unwrap_or_default().join("; ")
}
