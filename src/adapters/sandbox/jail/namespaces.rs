//! The stages `outer` and `init`, the wall of namespaces of our own: `outer` makes them, `init` is the first process inside.
//!
//! Each is the process of the stage before, forked: none of them may start a thread before the next one runs.

use std::{
    ffi::OsString,
    io::{PipeReader, PipeWriter, Read, Stdin, Write},
    os::unix::process::ExitStatusExt,
    process::{ExitCode, ExitStatus},
};

use rustix::{
    event::{PollFd, PollFlags},
    io::Errno,
    process::{
        Pid, Signal, WaitOptions, getegid, geteuid, kill_process, set_parent_process_death_signal,
        waitpid,
    },
    thread::UnshareFlags,
};

use super::{
    super::spec::{INNER_PROXY, SandboxSpec},
    forward, inner, mounts,
    shared::{
        JAIL_FAILED, JailError, confined_command, end_stage, exit_like, fork, need_other_end,
    },
};
use crate::domain::sandbox::NetworkAccess;

/// Makes the namespaces, starts `init` in them, and ends the way the command ended.
pub(super) fn outer(spec: &SandboxSpec, behind: &[OsString]) -> Result<ExitCode, JailError> {
    make_namespaces(spec.network)?;
    let (mut report, to_report) = std::io::pipe()?;
    let Some(first) = fork()? else {
        drop(report);
        end_stage(init(spec, to_report, behind));
    };
    drop(to_report);
    // No thread can be started beside new namespaces of processes.
    let lifeline = std::io::stdin();
    if !outlives(&report, &lifeline)? {
        kill_process(first, Signal::KILL)?;
        return Ok(ExitCode::from(JAIL_FAILED));
    }
    let mut text = String::new();
    report.read_to_string(&mut text)?;
    let ended = waitpid(Some(first), WaitOptions::empty())?.map_or(0, |(_, ended)| ended.as_raw());
    // Without a report, `init` was ended from outside or could not build the wall and has said why.
    Ok(exit_like(ExitStatus::from_raw(
        text.parse().unwrap_or(ended),
    )))
}

/// Waits until a pipe has something to read, or its other end is closed; returns `false` where the lifeline ends before.
fn outlives(report: &PipeReader, lifeline: &Stdin) -> Result<bool, JailError> {
    let mut ends = [
        PollFd::new(report, PollFlags::IN),
        PollFd::new(lifeline, PollFlags::empty()),
    ];
    loop {
        match rustix::event::poll(&mut ends, None) {
            Err(Errno::INTR) => {}
            found => {
                found?;
                return Ok(!ends[0].revents().is_empty());
            }
        }
    }
}

fn make_namespaces(network: NetworkAccess) -> Result<(), JailError> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let mut flags = UnshareFlags::NEWUSER
        | UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    if network != NetworkAccess::Full {
        flags |= UnshareFlags::NEWNET;
    }
    #[expect(unsafe_code, reason = "the safe form of this call was withdrawn")]
    // SAFETY: the table of file descriptors is not unshared, which is all the caller must see to;
    // and no other thread runs yet.
    unsafe { rustix::thread::unshare_unsafe(flags) }
        .map_err(|error| format!("namespaces are not available: {error}"))?;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    Ok(())
}

/// Builds the inside, starts the command in it, collects orphans until the command ends.
fn init(spec: &SandboxSpec, mut report: PipeWriter, behind: &[OsString]) -> Result<(), JailError> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    need_other_end(&report, "the stage before has ended")?;
    mounts::build(spec)?;
    if spec.network != NetworkAccess::Full {
        forward::raise_loopback()?;
    }
    let port = spec.proxy.is_some().then(forward::listen).transpose()?;
    let Some(main) = fork()? else {
        drop(report);
        end_stage(confined_command(behind).and_then(|command| inner::inner(spec, &command)));
    };
    if let Some(port) = port {
        forward::serve(port, INNER_PROXY.to_owned());
    }
    // Leaving ends everything that is left in this process namespace.
    Ok(write!(report, "{}", collect_until(main)?)?)
}

fn collect_until(main: Pid) -> Result<i32, JailError> {
    loop {
        let ended = rustix::process::wait(WaitOptions::empty())?;
        if let Some((pid, status)) = ended
            && pid == main
        {
            return Ok(status.as_raw());
        }
    }
}
