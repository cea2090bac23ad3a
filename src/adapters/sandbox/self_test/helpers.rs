//! What a trial starts: its probe, and processes that stay, fill, crowd, or stand in for tos.

use std::{
    ffi::OsString,
    fs,
    io::Write,
    process::{Command, ExitCode, Stdio},
    sync::Arc,
};

use rustix::process::setsid;

use super::probe;
use crate::adapters::sandbox::jail::{JailError, hold_lifeline, leave};

/// How long a process of a trial stays at most; a whole trial takes less than half of it.
const LONGEST_STAY: std::time::Duration = std::time::Duration::from_secs(60);

/// Runs what a trial starts, where `stage` is a part of one.
pub(in super::super) fn run(
    stage: &str,
    first: &str,
    words: &[OsString],
) -> Option<Result<ExitCode, JailError>> {
    Some(match stage {
        "probe" => probe::answer(first),
        "linger" => linger(first),
        "stay" => stay(first),
        "fill" => fill(first),
        "crowd" => crowd(first),
        "stand-in" => stand_in(first, words),
        _ => return None,
    })
}

/// Leaves the session, takes the lock, says so, and stays.
fn linger(lock: &str) -> Result<ExitCode, JailError> {
    // Fails only for the leader of a group, which has nothing to leave.
    let _ = setsid();
    hold(lock)
}

/// Stays as long as whoever started it.
fn stay(lock: &str) -> Result<ExitCode, JailError> {
    hold_lifeline(|| leave(0));
    hold(lock)
}

/// Takes the lock, says so, and stays.
fn hold(lock: &str) -> Result<ExitCode, JailError> {
    // The file is there already; behind a read-only wall it can be locked but not written.
    let file = fs::OpenOptions::new().read(true).open(lock)?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
    let mut out = std::io::stdout().lock();
    out.write_all(b"ready\n")?;
    out.flush()?;
    drop(out);
    // Whoever looks for survivors has looked long before. A tos that was killed in its trial looks no more,
    // and must not leave anybody behind for ever.
    std::thread::sleep(LONGEST_STAY);
    Ok(ExitCode::SUCCESS)
}

/// Writes `PATH` until it holds more than `BYTES` (`BYTES:PATH`); succeeds only where nothing stops it.
fn fill(words: &str) -> Result<ExitCode, JailError> {
    let (bytes, path) = words.split_once(':').ok_or("bytes and path expected")?;
    let mut left: u64 = bytes.parse()?;
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?;
    let block = vec![0_u8; 64 * 1024];
    loop {
        file.write_all(&block)?;
        match left.checked_sub(block.len() as u64) {
            Some(rest) => left = rest,
            None => return Ok(ExitCode::SUCCESS),
        }
    }
}

/// Starts so many threads and stays.
fn crowd(count: &str) -> Result<ExitCode, JailError> {
    let count: usize = count.parse()?;
    let (hold, release) = std::sync::mpsc::channel::<()>();
    let release = Arc::new(std::sync::Mutex::new(release));
    for _ in 0..count {
        let release = Arc::clone(&release);
        let thread = std::thread::Builder::new().stack_size(64 * 1024);
        drop(thread.spawn(move || drop(release.lock().map(|release| release.recv())))?);
    }
    std::thread::sleep(LONGEST_STAY);
    drop(hold);
    Ok(ExitCode::SUCCESS)
}

/// Stands in for tos: starts a jailer, holds its lifeline, and waits to be killed.
fn stand_in(directory: &str, words: &[OsString]) -> Result<ExitCode, JailError> {
    let (program, arguments) = words.split_first().ok_or("no jailer to start")?;
    let mut jailer = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .spawn()?;
    let lifeline = jailer.stdin.take();
    jailer.wait()?;
    drop(lifeline);
    Ok(ExitCode::FAILURE)
}
