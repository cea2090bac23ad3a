//! The stage `watch`, where root has no control groups: the kernel does not count the processes of root, so they are counted from
//! outside, and everything is ended when there are too many.
//!
//! The number of threads of the whole machine is one short file and cheap to read; only when it has grown are those of
//! the command counted.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    process::{Command, ExitCode, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open, pidfd_send_signal,
    set_child_subreaper, set_parent_process_death_signal,
};

use super::{
    super::spec::{ResourceLimits, SandboxSpec},
    cgroup,
    shared::{JailError, exit_like, leave, need_lifeline, say},
};

/// How often the machine is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// After so many looks the command is counted anyway.
const MOST_QUIET_LOOKS: u8 = 50;
/// How often what is to be ended is looked for; each time less of it can start anything new.
const MOST_PASSES: u32 = 1000;
/// Whether everything is being ended.
static IS_ENDING: AtomicBool = AtomicBool::new(false);
/// How a shell tells that a program was killed.
const KILLED: u8 = 137;

/// Tells whether nothing else keeps the number of processes down.
pub(in super::super) fn is_needed(limits: &ResourceLimits) -> bool {
    limits.processes.is_some()
        && rustix::process::geteuid().is_root()
        && !cgroup::is_possible(limits)
}

/// Starts the next jailer, and ends it with all that came of it when there are too many processes.
pub(super) fn watch(spec: &SandboxSpec, words: &[OsString]) -> Result<ExitCode, JailError> {
    let (program, arguments) = words.split_first().ok_or("no jailer behind the watch")?;
    // With tos this ends, and with this every jailer: each holds either its parent or tos's lifeline.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    need_lifeline()?;
    // What loses its parent stays below this process and is found.
    set_child_subreaper(Some(getpid()))?;
    let most = spec.limits.processes.unwrap_or(u64::MAX);
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::inherit())
        .spawn()?;
    drop(std::thread::spawn(move || count_for_ever(most)));
    let status = child.wait()?;
    if IS_ENDING.load(Ordering::SeqCst) {
        // The other thread is at it and leaves when it is done.
        loop {
            std::thread::park();
        }
    }
    Ok(exit_like(status))
}

/// Ends everything, this process included, when there are more than allowed.
fn count_for_ever(most: u64) {
    let mut quiet = QuietPeriod::default();
    loop {
        let now = machine();
        if quiet.is_over(now) {
            let own: u64 = descendants().iter().map(|found| found.threads).sum();
            if own > most {
                IS_ENDING.store(true, Ordering::SeqCst);
                say(&format!(
                    "tos: the command had {own} processes and threads at a time, {most} are allowed (`sandbox.limits.processes`); all were ended"
                ));
                end_all();
                leave(KILLED);
            }
            quiet = QuietPeriod::until(now, most - own);
        }
        std::thread::sleep(LOOK);
    }
}

/// How long the command cannot have too many, by the number of threads of the machine.
#[derive(Default)]
struct QuietPeriod {
    /// From how many on the command is counted.
    until: u64,
    last: u64,
    looks: u8,
}

impl QuietPeriod {
    const fn until(now: u64, free: u64) -> Self {
        Self {
            until: now.saturating_add(free),
            last: now,
            looks: 0,
        }
    }

    /// Says whether the command has to be counted.
    fn is_over(&mut self, now: u64) -> bool {
        // Where others have ended, the command may have started as many without the number telling.
        self.until = self.until.saturating_sub(self.last.saturating_sub(now));
        self.last = now;
        // Also within one look.
        self.looks = self.looks.saturating_add(1);
        now > self.until || self.looks > MOST_QUIET_LOOKS
    }
}

/// Returns how many threads the machine has.
fn machine() -> u64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    threads_in(&text)
}

/// Reads the fourth word, `running/all`.
fn threads_in(text: &str) -> u64 {
    let word = text.split_ascii_whitespace().nth(3).unwrap_or_default();
    let all = word.split_once('/').map_or("", |(_, all)| all);
    // Where it cannot be read, they are counted every time.
    all.parse().unwrap_or(u64::MAX)
}

/// A process.
struct ProcessEntry {
    pid: i32,
    parent: i32,
    threads: u64,
    /// When it was started; with the number this means one process and no later one of the same number.
    started: u64,
}

/// Returns everything that came of this process and lives.
fn descendants() -> Vec<ProcessEntry> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let all: Vec<ProcessEntry> = pids.filter_map(look_up).collect();
    let mut inside = BTreeSet::from([getpid().as_raw_nonzero().get()]);
    loop {
        let before = inside.len();
        for found in &all {
            if inside.contains(&found.parent) {
                inside.insert(found.pid);
            }
        }
        if inside.len() == before {
            break;
        }
    }
    let own = getpid().as_raw_nonzero().get();
    let is_inside = |found: &ProcessEntry| found.pid != own && inside.contains(&found.pid);
    all.into_iter().filter(is_inside).collect()
}

/// Returns a process that lives.
fn look_up(pid: i32) -> Option<ProcessEntry> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    read(pid, &text)
}

/// Reads a line of `/proc/N/stat`; the dead are none.
fn read(pid: i32, line: &str) -> Option<ProcessEntry> {
    let rest = line.get(line.rfind(')')? + 1..)?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    Some(ProcessEntry {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        threads: fields.get(17)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// Stops everything first, for what is stopped starts nothing new, and then ends it.
fn end_all() {
    let mut stopped = BTreeSet::new();
    for _ in 0..MOST_PASSES {
        let found = descendants();
        let fresh: Vec<&ProcessEntry> = found
            .iter()
            .filter(|found| !stopped.contains(&(found.pid, found.started)))
            .collect();
        if fresh.is_empty() {
            break;
        }
        for one in fresh {
            signal(one, Signal::STOP);
            stopped.insert((one.pid, one.started));
        }
    }
    for _ in 0..MOST_PASSES {
        let found = descendants();
        if found.is_empty() {
            return;
        }
        for one in found {
            signal(&one, Signal::KILL);
        }
        std::thread::yield_now();
    }
}

/// Sends a signal to this process, and to no other that has got its number meanwhile.
fn signal(process: &ProcessEntry, signal: Signal) {
    let Some(pid) = Pid::from_raw(process.pid) else {
        return;
    };
    let handle = pidfd_open(pid, PidfdFlags::empty());
    // What is held now is held: if it is the one that was meant, the number cannot come to mean another.
    let is_meant = look_up(process.pid).is_some_and(|now| now.started == process.started);
    // It may be gone by now.
    let _ = match handle {
        Ok(handle) if is_meant => pidfd_send_signal(&handle, signal),
        // A kernel before 5.3 has no handles.
        Err(rustix::io::Errno::NOSYS) if is_meant => kill_process(pid, signal),
        Ok(_) | Err(_) => Ok(()),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threads_of_the_machine_and_of_a_process_are_read() {
        assert_eq!(threads_in("0.10 0.20 0.30 2/1234 5678\n"), 1234);
        assert_eq!(threads_in(""), u64::MAX);
        let line = "7 (a) b) S 3 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 100 1 2";
        let found = read(7, line).unwrap();
        assert_eq!((found.parent, found.threads, found.started), (3, 9, 100));
        assert!(read(7, &line.replace(" S ", " Z ")).is_none());
    }

    #[test]
    fn what_others_end_does_not_hide_what_a_command_starts() {
        let mut quiet = QuietPeriod::until(100, 50);
        assert!(!quiet.is_over(150));
        assert!(quiet.is_over(151));
        let mut quiet = QuietPeriod::until(100, 50);
        // Forty of others end, then ninety-one are started.
        assert!(!quiet.is_over(60));
        assert!(!quiet.is_over(110));
        assert!(quiet.is_over(111));
        let mut quiet = QuietPeriod::until(100, 50);
        assert!((0..=MOST_QUIET_LOOKS).any(|_| quiet.is_over(100)));
    }

    #[test]
    fn a_process_that_got_the_number_of_another_gets_no_signal() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let own = look_up(i32::try_from(child.id()).unwrap()).unwrap();
        let before = ProcessEntry {
            started: own.started - 1,
            ..look_up(own.pid).unwrap()
        };
        signal(&before, Signal::TERM);
        // A signal that was sent counts before the end of its input does.
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let own = look_up(i32::try_from(child.id()).unwrap()).unwrap();
        signal(&own, Signal::TERM);
        let ended = child.wait().unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&ended),
            Some(15)
        );
    }
}
