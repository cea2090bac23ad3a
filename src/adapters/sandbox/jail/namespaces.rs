//! The stages `outer` and `init`, the wall of namespaces of our own: `outer` makes them, `init` is the first process inside.

use std::{
    ffi::OsString,
    io::{Read, Write},
    os::{fd::AsRawFd, unix::process::ExitStatusExt},
    process::{Command, ExitCode, ExitStatus, Stdio},
};

use rustix::{
    process::{WaitOptions, getegid, geteuid},
    thread::UnshareFlags,
};

use super::{
    super::spec::{INNER_PROXY, JAIL_WORD, SandboxSpec, TOS_IN_SANDBOX},
    forward, mounts,
    shared::{JAIL_FAILED, JailError, adopt, exit_like, hold_lifeline, leave},
};
use crate::domain::sandbox::NetworkAccess;

/// Makes the namespaces, starts `init` in them, and ends the way the command ended.
pub(super) fn outer(
    spec: &SandboxSpec,
    file: &str,
    behind: Vec<OsString>,
) -> Result<ExitCode, JailError> {
    make_namespaces(spec.network)?;
    let (mut report, to_report) = std::io::pipe()?;
    // The writing end must reach `init`, which closes it to everybody else.
    rustix::io::fcntl_setfd(&to_report, rustix::io::FdFlags::empty())?;
    let mut child = Command::new(&spec.program)
        .args([JAIL_WORD, "init", file])
        .arg(to_report.as_raw_fd().to_string())
        .args(behind)
        .stdin(Stdio::inherit())
        .spawn()?;
    drop(to_report);
    let mut text = String::new();
    report.read_to_string(&mut text)?;
    let ended = child.wait()?;
    Ok(match text.trim().parse() {
        Ok(raw) => exit_like(ExitStatus::from_raw(raw)),
        // `init` was ended from outside or could not build the wall and has said why.
        Err(_) => exit_like(ended),
    })
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
    keep_rights()
}

/// Starting a program would take the rights over the new namespaces away from everybody but root.
fn keep_rights() -> Result<(), JailError> {
    let mut sets = rustix::thread::capabilities(None)?;
    sets.inheritable = sets.permitted;
    rustix::thread::set_capabilities(None, sets)?;
    for right in sets.permitted.iter() {
        rustix::thread::configure_capability_in_ambient_set(right, true)?;
    }
    Ok(())
}

/// Builds the inside, starts the command in it, collects orphans until the command ends.
pub(super) fn init(
    spec: &SandboxSpec,
    file: &str,
    words: &[OsString],
) -> Result<ExitCode, JailError> {
    let (report, behind) = words.split_first().ok_or("no place to report to")?;
    let mut report = report_from(report)?;
    // Before anything can go wrong or take long: without tos nothing of this may stay.
    hold_lifeline(|| leave(JAIL_FAILED));
    mounts::build(spec)?;
    if spec.network != NetworkAccess::Full {
        forward::raise_loopback()?;
    }
    if spec.proxy.is_some() {
        forward::open_port(INNER_PROXY.to_owned())?;
    }
    let child = Command::new(TOS_IN_SANDBOX)
        .args([JAIL_WORD, "inner", file])
        .args(behind)
        .current_dir(&spec.directory)
        .stdin(Stdio::null())
        .spawn()?;
    let raw = collect_until(child.id())?;
    write!(report, "{raw}")?;
    // Leaving ends everything that is left in this process namespace.
    Ok(ExitCode::SUCCESS)
}

fn report_from(word: &OsString) -> Result<std::io::PipeWriter, JailError> {
    let number = word.to_str().and_then(|word| word.parse().ok());
    let number = number.ok_or("the place to report to is not a number")?;
    Ok(adopt(number)?.into())
}

fn collect_until(main: u32) -> Result<i32, JailError> {
    loop {
        let ended = rustix::process::wait(WaitOptions::empty())?;
        if let Some((pid, status)) = ended
            && u32::try_from(pid.as_raw_nonzero().get()) == Ok(main)
        {
            return Ok(status.as_raw());
        }
    }
}
