//! Tries an installed hook the way its agent would: a shell runs the command, and a call comes on standard input.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

/// How long a hook may take when it is tried.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a hook ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookOutput {
    /// Its status; `None` where a signal ended it, or it did not end.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said on standard error.
    pub stderr: String,
}

/// Runs a hook command with this input.
pub fn run(command: &str, input: &str, folder: &Path) -> Result<HookOutput, String> {
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("/bin/sh: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A hook that does not read its input ends by itself, and its status says how.
        drop(stdin.write_all(input.as_bytes()));
    }
    let process = rustix::process::Pid::from_child(&child);
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(child.wait_with_output()));
    let Ok(output) = receive.recv_timeout(PATIENCE) else {
        let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
        return Err(format!("no answer after {} s", PATIENCE.as_secs()));
    };
    let output = output.map_err(|error| error.to_string())?;
    Ok(HookOutput {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
