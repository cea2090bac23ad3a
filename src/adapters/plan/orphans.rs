//! Finds processes by the token every task carries in its environment, and ends them.
//!
//! A process group is left with one `setsid`; the environment a process was started with stays readable as long as
//! it lives and is inherited by everything it starts.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::adapters::process;

/// The variable that holds the token: run, task and attempt.
pub(crate) use crate::adapters::process::TOKEN_VARIABLE as VARIABLE;

/// Returns the processes whose token begins with `prefix`, this one excepted.
pub(crate) fn find(prefix: &str) -> Vec<Pid> {
    let wanted = format!("{VARIABLE}={prefix}");
    let own = rustix::process::getpid();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(Pid::from_raw)
        .filter(|pid| *pid != own && carries(*pid, &wanted))
        .collect()
}

fn carries(pid: Pid, wanted: &str) -> bool {
    let Ok(environment) = std::fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())) else {
        return false;
    };
    environment
        .split(|byte| *byte == 0)
        .any(|variable| variable.starts_with(wanted.as_bytes()))
}

/// Sends `signal` to the group of `leader` and to everything that carries the token.
pub(crate) fn signal_tree(leader: Option<Pid>, token: &str, signal: Signal) -> usize {
    if let Some(leader) = leader {
        // Nobody left to hear it is as good.
        let _ = kill_process_group(leader, signal);
    }
    let found = find(token);
    for pid in &found {
        let _ = kill_process(*pid, signal);
    }
    found.len()
}

/// Sends `signal` to everything that carries the token but `spared`.
pub(crate) fn signal_all_except(spared: i32, token: &str, signal: Signal) {
    let found = find(token).into_iter();
    for pid in found.filter(|pid| pid.as_raw_nonzero().get() != spared) {
        // Whoever has ended meanwhile has done what was asked.
        let _ = kill_process(pid, signal);
        // A stopped process must go on to hear it.
        let _ = kill_process(pid, Signal::CONT);
    }
}

/// Kills everything that carries the token or a part below it, with all it started, and returns how much that was.
pub(crate) fn end_all(token: &str) -> u32 {
    process::blocking_kill_marked(token)
}
