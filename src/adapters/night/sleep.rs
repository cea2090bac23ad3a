//! Keeps the machine awake as long as a value lives: a child under `systemd-inhibit` or `caffeinate`.
//!
//! The child reads from a pipe that only we hold. However we end, also by a kill, the pipe closes, the child ends, and the
//! machine may sleep again.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use crate::adapters::process::detach;

/// How long a guard may take to stand.
const PATIENCE: Duration = Duration::from_secs(5);
/// Says that it runs, then waits until nobody holds the other end of its input.
const WATCH: &str = "echo held; exec cat >/dev/null";

/// Ways to keep the machine awake: a name and the words that run something meanwhile.
const WAYS: [(&str, &[&str]); 2] = [
    (
        "systemd-inhibit",
        &[
            "systemd-inhibit",
            "--what=idle:sleep",
            "--mode=block",
            "--who=tos",
            "--why=unattended work",
        ],
    ),
    ("caffeinate", &["caffeinate", "-i", "-s"]),
];

/// Holds the machine awake until it is dropped.
#[derive(Debug)]
pub struct SleepInhibitor {
    name: &'static str,
    child: Child,
}

impl SleepInhibitor {
    /// Tries every way this kind of machine has; an error says what became of each.
    pub fn blocking_inhibit_sleep() -> Result<Self, String> {
        let mut troubles = Vec::new();
        for (name, words) in WAYS {
            match blocking_try(name, words) {
                Ok(guard) => return Ok(guard),
                Err(why) => troubles.push(format!("{name} {why}")),
            }
        }
        Err(troubles.join(", "))
    }

    /// Returns the name of the program that does it.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl Drop for SleepInhibitor {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It ends by itself when its input closes; the kill is for one that does not.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn blocking_try(name: &'static str, words: &[&str]) -> Result<SleepInhibitor, String> {
    let (program, rest) = words.split_first().ok_or("has no words")?;
    let mut command = Command::new(program);
    detach(&mut command);
    let mut child = command
        .args(rest)
        .args(["sh", "-c", WATCH])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|_| "is not installed".to_owned())?;
    let out = child.stdout.take();
    let guard = SleepInhibitor { name, child };
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        drop(out.map(|out| BufReader::new(out).read_line(&mut line)));
        // Whoever asked may have given up by now.
        drop(sender.send(line));
    });
    match receiver.recv_timeout(PATIENCE) {
        Ok(line) if line.trim() == "held" => Ok(guard),
        Ok(_) => Err("does not work here".to_owned()),
        Err(_) => Err("does not answer".to_owned()),
    }
}
