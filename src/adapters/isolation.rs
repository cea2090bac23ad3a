//! Tries the ways of confining programs by using each for a moment.

use std::{
    io,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

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
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output();
    let text = output
        .ok()
        .filter(|output| output.status.success())
        .map(|output| output.stdout);
    let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
    text.lines()
        .next()
        .map_or_else(|| "unknown".to_owned(), str::to_owned)
}

fn blocking_try(words: &[&str]) -> Result<(), String> {
    let Some((program, rest)) = words.split_first() else {
        return Err("nothing to run".to_owned());
    };
    let child = Command::new(program)
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
