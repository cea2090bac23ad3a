//! What the stages share: the command behind the wall, the lifeline, and how a stage ends.

use std::{
    convert::Infallible,
    ffi::OsString,
    io::Read,
    os::{
        fd::{AsFd, FromRawFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Command, ExitCode, ExitStatus},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    process::Pid,
};

use super::super::spec::{JAILER_ARG, SandboxSpec};

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
pub(super) fn confined_command(words: &[OsString]) -> Result<ConfinedCommand, JailError> {
    let [program, name, arguments @ ..] = words else {
        return Err("no command behind the wall".into());
    };
    Ok(ConfinedCommand {
        program: program.clone(),
        name: name.clone(),
        arguments: arguments.to_vec(),
    })
}

/// Reads the words of a further stage of this same program: which it is, and what stands behind SPEC.
pub(super) fn own_stage<'a>(
    spec: &SandboxSpec,
    words: &'a [OsString],
) -> Option<(&'a str, &'a [OsString])> {
    let [program, jail, stage, _, behind @ ..] = words else {
        return None;
    };
    let is_own = program == spec.program.as_os_str() && jail == JAILER_ARG;
    is_own.then(|| Some((stage.to_str()?, behind))).flatten()
}

/// Becomes the program of the next stage.
pub(super) fn become_next(words: &[OsString]) -> Result<Infallible, JailError> {
    let (program, arguments) = words.split_first().ok_or("no jailer behind the cage")?;
    let error = Command::new(program).args(arguments).exec();
    Err(format!("could not start `{}`: {error}", program.to_string_lossy()).into())
}

/// Makes a second process of this one; returns its number, and in the second process nothing.
///
/// Only for a stage that has started no thread: it could hold a lock that nobody would ever open in the new process.
pub(super) fn fork() -> Result<Option<Pid>, JailError> {
    #[expect(unsafe_code, reason = "there is no safe form of this call")]
    // SAFETY: this process has one thread, so nothing of it is left half done in the new one.
    let number = unsafe { libc::fork() };
    if number < 0 {
        let error = std::io::Error::last_os_error();
        return Err(format!("no process could be started: {error}").into());
    }
    Ok(Pid::from_raw(number))
}

/// Ends a process that was forked for a stage.
pub(super) fn end_stage<T>(stage: Result<T, JailError>) -> ! {
    leave(match stage {
        Ok(_) => 0,
        Err(fault) => {
            say(&format!("tos: the sandbox could not be built: {fault}"));
            JAIL_FAILED
        }
    })
}

/// Ends a stage whose tos has gone already: what asks the kernel to be ended with its parent asks too late for one that died before.
/// The lifeline, where the stage has it as its standard input, tells.
pub(super) fn need_lifeline() -> Result<(), JailError> {
    need_other_end(
        &std::io::stdin(),
        "tos has ended; nothing is started any more",
    )
}

/// Ends a stage where nobody holds the other end of a pipe.
pub(super) fn need_other_end(pipe: &impl AsFd, why: &str) -> Result<(), JailError> {
    let mut asked = [PollFd::new(pipe, PollFlags::empty())];
    let now = Timespec::default();
    rustix::event::poll(&mut asked, Some(&now))?;
    let is_gone = |end: &PollFd<'_>| end.revents().intersects(PollFlags::HUP | PollFlags::ERR);
    if asked.iter().any(is_gone) {
        return Err(why.into());
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
