//! Asks the app server of Codex which hooks it would run: the only one that knows, as the hash of a hook is its own affair.

use std::{
    ffi::{OsStr, OsString},
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};

use crate::adapters::process;

/// How long an answer may take. It is there within half a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the program may take to end by itself.
const ENDING: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 2_000 });

/// Starts `codex app-server`, the one on a `PATH`, sends it a request, and returns the first line that `read` takes for an answer.
pub fn ask<T: Send + 'static>(
    path: &OsStr,
    folder: &Path,
    environment: &[(OsString, OsString)],
    request: &str,
    read: fn(&str) -> Option<T>,
) -> Result<T, String> {
    let program = process::find_program::find(path, folder, "codex".as_ref())
        .ok_or("there is no `codex` on the PATH")?;
    // Its databases are none of the person's business here, and a home that is read-only is no reason to fail.
    let databases = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let mut child = Command::new(&program)
        .arg("app-server")
        .current_dir(folder)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .env("CODEX_SQLITE_HOME", databases.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let answer = answer_of(&mut child, request, read);
    end(&mut child);
    answer
}

fn answer_of<T: Send + 'static>(
    child: &mut Child,
    request: &str,
    read: fn(&str) -> Option<T>,
) -> Result<T, String> {
    let (send, receive) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut lines = BufReader::new(output).lines().map_while(Result::ok);
            // What it says after the answer is read away, so that it can end.
            if let Some(answer) = lines.find_map(|line| read(&line)) {
                drop(send.send(answer));
            }
            lines.for_each(drop);
        });
    }
    if let Some(input) = child.stdin.as_mut() {
        // One that has ended already says so by the end of its output.
        drop(input.write_all(request.as_bytes()));
    }
    receive.recv_timeout(PATIENCE).map_err(|error| match error {
        mpsc::RecvTimeoutError::Timeout => {
            format!(
                "`codex app-server` gave no answer within {} s",
                PATIENCE.as_secs()
            )
        }
        mpsc::RecvTimeoutError::Disconnected => {
            "`codex app-server` ended without an answer".to_owned()
        }
    })
}

/// Lets it end by itself, as the end of its input tells it to, and ends what it started, and it too where it does not.
fn end(child: &mut Child) {
    drop(child.stdin.take());
    let group = Pid::from_child(child);
    let (send, receive) = mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        if receive.recv_timeout(ENDING) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    });
    // Its end is seen and not yet taken note of: until then its number, which is the group's too, belongs to nobody else.
    let seen = || {
        waitid(
            WaitId::Pid(group),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        )
    };
    while matches!(seen(), Err(Errno::INTR)) {}
    drop(send);
    drop(watch.join());
    let _ = kill_process_group(group, Signal::KILL);
    drop(child.wait());
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn asked(script: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("codex");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let environment = [("PATH".into(), "/usr/bin:/bin".into())];
        let read = |line: &str| line.strip_prefix("answer ").map(str::to_owned);
        let path = folder.path().as_os_str();
        ask(path, folder.path(), &environment, "question\n", read)
    }

    #[test]
    fn the_answer_is_found_among_other_lines_and_the_program_ends_with_its_input() {
        let script = "read line; echo banner; echo \"answer $1 $line\"; cat >/dev/null";
        assert_eq!(asked(script).as_deref(), Ok("app-server question"));
    }

    #[test]
    fn a_program_that_ends_or_is_not_there_is_told() {
        assert_eq!(
            asked("exit 3").unwrap_err(),
            "`codex app-server` ended without an answer"
        );
        let none = ask("/nowhere".as_ref(), Path::new("/"), &[], "", |_| Some(()));
        assert_eq!(none.unwrap_err(), "there is no `codex` on the PATH");
    }

    #[test]
    fn one_that_does_not_end_is_ended() {
        let script = "echo 'answer x'; trap '' TERM; exec tail -f /dev/null";
        assert_eq!(asked(script).as_deref(), Ok("x"));
    }

    #[test]
    fn what_it_started_ends_with_it_also_where_it_ends_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        // What it starts holds the pipe open, too.
        let script = format!(
            "exec 9>'{}'; tail -f /dev/null & echo 'answer x'; cat >/dev/null",
            pipe.display()
        );
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || send.send(fs::read(pipe).unwrap()));
        assert_eq!(asked(&script).as_deref(), Ok("x"));
        // It ends once nobody holds the other end.
        let read = receive.recv_timeout(Duration::from_secs(60));
        assert_eq!(read.as_deref(), Ok(b"".as_slice()));
    }
}
