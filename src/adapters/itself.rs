//! This program as its own child.

use std::{
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::ports::itself::{Begun, Ended, Itself};

/// The running executable.
#[derive(Debug, Clone, Copy, Default)]
pub struct Executable;

struct Process(Child);

impl Executable {
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

impl Itself for Executable {
    fn run(&self, words: &[String]) -> Result<Ended, String> {
        let output = Self::command(words)?
            .output()
            .map_err(|error| error.to_string())?;
        Ok((
            output.status.code().unwrap_or(-1),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        ))
    }

    fn begin(&self, words: &[String]) -> Result<Box<dyn Begun>, String> {
        let child = Self::command(words)?
            .spawn()
            .map_err(|error| error.to_string())?;
        Ok(Box::new(Process(child)))
    }

    fn read(&self, path: &Path) -> Option<String> {
        std::fs::read_to_string(path).ok()
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), String> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|error| format!("{}: {error}", parent.display()))?;
        }
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
    }

    fn pause(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

impl Begun for Process {
    fn end(mut self: Box<Self>, limit: Duration) -> Result<Ended, String> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.0.try_wait().map_err(|error| error.to_string())? {
                let mut text = String::new();
                if let Some(mut out) = self.0.stdout.take() {
                    out.read_to_string(&mut text)
                        .map_err(|error| error.to_string())?;
                }
                return Ok((status.code().unwrap_or(-1), text));
            }
            if Instant::now() >= until {
                self.0.kill().map_err(|error| error.to_string())?;
                self.0.wait().map_err(|error| error.to_string())?;
                return Err(format!("it did not end within {} s", limit.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
