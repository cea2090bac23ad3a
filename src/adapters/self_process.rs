//! This program as its own child.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    adapters::state_folder,
    ports::self_process::{DetachedChild, ExitedChild, SelfProcess, StartedChild},
};

/// The running executable.
#[derive(Debug, Clone, Copy, Default)]
pub struct CurrentExecutable;

struct ChildProcess {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl CurrentExecutable {
    fn command(words: &[String]) -> Result<Command, String> {
        let own =
            std::env::current_exe().map_err(|error| format!("tos cannot find itself: {error}"))?;
        let mut command = Command::new(own);
        command
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Ok(command)
    }
}

impl SelfProcess for CurrentExecutable {
    fn run(&self, words: &[String]) -> Result<ExitedChild, String> {
        let output = Self::command(words)?
            .output()
            .map_err(|error| error.to_string())?;
        Ok((
            output.status.code().unwrap_or(-1),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        ))
    }

    fn spawn(&self, words: &[String]) -> Result<Box<dyn StartedChild>, String> {
        let mut command = Self::command(words)?;
        // A group of its own: what the terminal sends to this process is not meant for the child.
        command.stderr(Stdio::inherit()).process_group(0);
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let out = child.stdout.take().ok_or("its output is not connected")?;
        Ok(Box::new(ChildProcess {
            child,
            out: BufReader::new(out),
        }))
    }

    fn detach(&self, words: &[String], log: &Path) -> Result<Box<dyn DetachedChild>, String> {
        let fault = |error: std::io::Error| format!("{}: {error}", log.display());
        if let Some(parent) = log.parent() {
            state_folder::create_dir_all(parent).map_err(fault)?;
        }
        let out = std::fs::File::create(log).map_err(fault)?;
        let mut command = Self::command(words)?;
        command
            .stdout(out.try_clone().map_err(fault)?)
            .stderr(out)
            // What the terminal sends to this process, its end included, is not meant for the child.
            .process_group(0);
        let child = command.spawn().map_err(|error| error.to_string())?;
        Ok(Box::new(Apart(child)))
    }

    fn read(&self, path: &Path) -> Option<String> {
        std::fs::read_to_string(path).ok()
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), String> {
        if let Some(parent) = path.parent() {
            state_folder::create_dir_all(parent)
                .map_err(|error| format!("{}: {error}", parent.display()))?;
        }
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// A child that nobody waits for.
struct Apart(Child);

impl DetachedChild for Apart {
    fn id(&self) -> u32 {
        self.0.id()
    }

    fn exit_code(&mut self) -> Option<i32> {
        let status = self.0.try_wait().ok()??;
        Some(status.code().unwrap_or(-1))
    }
}

impl StartedChild for ChildProcess {
    fn next_line(&mut self) -> Option<String> {
        let mut line = String::new();
        let count = self.out.read_line(&mut line).ok()?;
        (count > 0).then(|| line.trim_end().to_owned())
    }

    fn id(&self) -> u32 {
        self.child.id()
    }

    fn interrupt(&self) {
        // One that has ended meanwhile needs no asking.
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.child),
            rustix::process::Signal::INT,
        );
    }

    fn wait(mut self: Box<Self>, limit: Duration) -> Result<ExitedChild, String> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                let mut text = String::new();
                self.out
                    .read_to_string(&mut text)
                    .map_err(|error| error.to_string())?;
                return Ok((status.code().unwrap_or(-1), text));
            }
            if Instant::now() >= until {
                self.child.kill().map_err(|error| error.to_string())?;
                self.child.wait().map_err(|error| error.to_string())?;
                return Err(format!("it did not end within {} s", limit.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
