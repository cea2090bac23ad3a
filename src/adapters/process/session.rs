//! Keeps children away from the terminal at which tos was started.
//!
//! A background process that reads a terminal is stopped by the kernel and hangs until somebody brings it
//! to the front, which nobody does. A session of its own has no controlling terminal: opening `/dev/tty`
//! then fails at once, and the program goes on or says so.

use std::{os::unix::process::CommandExt, process::Command, sync::OnceLock};

use rustix::fs::{Mode, OFlags};

/// Gives what `command` starts a process group of its own, and a session where there is a terminal to lose.
///
/// In both cases the group has the number of the process, so ending the group ends the same processes.
pub(in crate::adapters) fn detach(command: &mut Command) {
    if !has_terminal() {
        // The fast way of starting processes knows groups, but not sessions.
        command.process_group(0);
        return;
    }
    let leave = || Ok(rustix::process::setsid().map(drop)?);
    #[expect(unsafe_code, reason = "the safe form of this call is not stable yet")]
    // SAFETY: between fork and exec only system calls are allowed; `setsid` is one and nothing else happens.
    unsafe {
        command.pre_exec(leave);
    }
}

/// Whether this process has a controlling terminal.
fn has_terminal() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    *FOUND.get_or_init(|| rustix::fs::open("/dev/tty", flags, Mode::empty()).is_ok())
}
