//! What the stages share: the command behind the wall, the lifeline, and how a stage ends.

use std::{
    ffi::OsString,
    io::Read,
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    process::{ExitCode, ExitStatus},
};

use rustix::event::{PollFd, PollFlags, Timespec};

/// What a jailer says when it could not even try.
pub(in super::super) const JAIL_FAILED: u8 = 125;

/// The command behind the wall.
#[derive(Debug)]
pub(super) struct ConfinedCommand {
    pub(super) program: OsString,
    pub(super) name: OsString,
    pub(super) arguments: Vec<OsString>,
}

/// Why a stage could not do its part; it is said on standard error and ends the stage.
pub(in super::super) type JailError = Box<dyn std::error::Error>;

/// Takes over a descriptor that this process was started with, and closes it to whatever it starts.
pub(super) fn adopt(number: i32) -> Result<OwnedFd, JailError> {
    #[expect(
        unsafe_code,
        reason = "a descriptor can be handed through exec only by its number"
    )]
    // SAFETY: tos opened this descriptor for this very process and nothing else here knows its number.
    let handed = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&handed, rustix::io::FdFlags::CLOEXEC)
        .map_err(|error| format!("descriptor {number} was not handed on: {error}"))?;
    Ok(handed)
}

/// Reads `PROGRAM NAME ARGUMENTS...`.
pub(super) fn confined_command(
    mut words: impl Iterator<Item = OsString>,
) -> Result<ConfinedCommand, JailError> {
    let mut next = || words.next().ok_or("no command behind the wall");
    let (program, name) = (next()?, next()?);
    Ok(ConfinedCommand {
        program,
        name,
        arguments: words.collect(),
    })
}

/// Ends a stage whose tos has gone already: what asks the kernel to be ended with its parent asks too late for one that died before.
/// The lifeline, where the stage has it as its standard input, tells.
pub(super) fn need_lifeline() -> Result<(), JailError> {
    let input = std::io::stdin();
    let mut asked = [PollFd::new(&input, PollFlags::empty())];
    let now = Timespec::default();
    rustix::event::poll(&mut asked, Some(&now))?;
    if asked[0]
        .revents()
        .intersects(PollFlags::HUP | PollFlags::ERR)
    {
        return Err("tos has ended; nothing is started any more".into());
    }
    Ok(())
}

/// Starts a thread that calls `end` when the lifeline ends.
pub(in super::super) fn hold_lifeline(end: impl FnOnce() + Send + 'static) {
    drop(std::thread::spawn(move || {
        let mut nothing = [0; 16];
        let mut lifeline = std::io::stdin().lock();
        while lifeline.read(&mut nothing).is_ok_and(|length| length > 0) {}
        end();
    }));
}

/// Ends this process the way the command ended.
pub(super) fn exit_like(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .and_then(|code| u8::try_from(code & 0xff).ok());
    if let Some(code) = code {
        return ExitCode::from(code);
    }
    let signal = status.signal().unwrap_or(9);
    end_by(signal);
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(255))
}

/// Sends itself the signal that ended the command, without leaving a core file.
fn end_by(signal: i32) {
    use rustix::process::{Resource, Rlimit, Signal, getpid, kill_process, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
    if let Some(signal) = Signal::from_named_raw(signal) {
        let _ = kill_process(getpid(), signal);
    }
}

#[expect(
    clippy::print_stderr,
    reason = "a jailer has no printer; its standard error is the command's"
)]
pub(in super::super) fn say(text: &str) {
    eprintln!("{text}");
}

#[expect(
    clippy::exit,
    reason = "ending the first process of a namespace ends all others in it"
)]
pub(in super::super) fn leave(code: u8) -> ! {
    std::process::exit(i32::from(code))
}
