//! Tries the ways of confining programs by using each for a moment.

use std::{
    io,
    io::Read,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use crate::adapters::process::detach;

/// Ways to try: a name, the words to run, what success proves.
const WAYS: &[(&str, &[&str], &str)] = &[
    ("docker", &["docker", "info"], "a container daemon answers"),
    ("podman", &["podman", "info"], "containers without a daemon"),
    (
        "bubblewrap",
        &[
            "bwrap",
            "--ro-bind",
            "/",
            "/",
            "--unshare-net",
            "--unshare-pid",
            "true",
        ],
        "files, network and processes are separated",
    ),
    (
        "namespaces",
        &["unshare", "--user", "--net", "--pid", "--fork", "true"],
        "the kernel separates network and processes for ordinary users",
    ),
];

/// Returns one line a way, and whether containers work here.
pub fn blocking_probe() -> (Vec<String>, bool) {
    let mut container = false;
    let mut lines = Vec::new();
    for (name, words, proves) in WAYS {
        let answer = blocking_try(words);
        container |= answer.is_ok() && ["docker", "podman"].contains(name);
        lines.push(match answer {
            Ok(()) => format!("ok  {name:<12} {proves}"),
            Err(why) => format!("--  {name:<12} {why}"),
        });
    }
    (lines, container)
}

/// Returns what a program says its version is; `unknown` where it does not.
pub fn blocking_version(program: &str) -> String {
    // It gets an empty folder, which is also its home, and no variable that could hold a key.
    let Ok(folder) = tempfile::tempdir() else {
        return "unknown".to_owned();
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let environment = [("PATH", path), ("HOME", folder.path().into())];
    let words = [program, "--version"];
    let line = first_line_of(
        &words,
        folder.path(),
        Duration::from_secs(10),
        Some(&environment),
    );
    line.unwrap_or_else(|_| "unknown".to_owned())
}

/// Returns where a program lies along `PATH`, or in one of these folders.
pub fn find_program(name: &str, more: &[std::path::PathBuf]) -> Result<std::path::PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = crate::adapters::process::find_program::find(&path, Path::new("/"), name.as_ref());
    let elsewhere = || {
        let places = more.iter().map(|folder| folder.join(name));
        places
            .into_iter()
            .find(|program| crate::adapters::process::find_program::is_program(program))
    };
    found
        .or_else(elsewhere)
        .ok_or_else(|| "not installed".to_owned())
}

/// Returns where a program lies that is started from `folder`: by its path from there, or along `PATH`.
pub fn find_program_from(folder: &Path, name: &str) -> Result<std::path::PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    crate::adapters::process::find_program::find(&path, folder, name.as_ref())
        .ok_or_else(|| format!("the program `{name}` is not there, or is not executable"))
}

/// Runs a program for the first line it prints.
pub fn blocking_run_first_line(
    words: &[&str],
    folder: &Path,
    patience: Duration,
) -> Result<String, String> {
    first_line_of(words, folder, patience, None)
}

/// `environment`: the whole of it; `None` = that of tos.
fn first_line_of(
    words: &[&str],
    folder: &Path,
    patience: Duration,
    environment: Option<&[(&str, std::ffi::OsString)]>,
) -> Result<String, String> {
    let (program, rest) = words.split_first().ok_or("nothing to run")?;
    let mut command = Command::new(program);
    if let Some(environment) = environment {
        command
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)));
    }
    detach(&mut command);
    let child = command
        .args(rest)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match child {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err("it is not installed".to_owned());
        }
        other => other.map_err(|error| error.to_string())?,
    };
    let out = child.stdout.take();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        drop(out.map(|mut out| out.read_to_end(&mut text)));
        // Whoever asked may have given up by now.
        drop(sender.send(text));
    });
    let Ok(text) = receiver.recv_timeout(patience) else {
        drop(child.kill());
        drop(child.wait());
        return Err(format!("no answer after {} s", patience.as_secs()));
    };
    let status = child.wait().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&text).into_owned();
    match text.lines().next() {
        _ if !status.success() => Err(format!("it ended with {status}")),
        Some(line) if !line.trim().is_empty() => Ok(line.trim().to_owned()),
        _ => Err("it printed nothing".to_owned()),
    }
}

fn blocking_try(words: &[&str]) -> Result<(), String> {
    let Some((program, rest)) = words.split_first() else {
        return Err("nothing to run".to_owned());
    };
    let mut command = Command::new(program);
    detach(&mut command);
    let child = command
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match child {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err("not installed".to_owned());
        }
        other => other.map_err(|error| error.to_string())?,
    };
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("does not work here ({status})")),
            Ok(None) if started.elapsed() > Duration::from_secs(10) => {
                drop(child.kill());
                drop(child.wait());
                return Err("no answer after 10 s".to_owned());
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => return Err(error.to_string()),
        }
    }
}
