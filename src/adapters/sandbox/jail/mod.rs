//! tos as a jailer: `tos __jail STAGE SPEC [-- PROGRAM NAME ARGUMENTS...]`.
//!
//! | stage | what it is | what it does |
//! | --- | --- | --- |
//! | `cage` | started by tos as root | enters a control group, becomes the next one |
//! | `watch` | started by tos as root, where there are no control groups | ends everything when there are too many processes |
//! | `outer` | started by tos | makes namespaces, starts `init`, passes its end on |
//! | `init` | first process of the new process namespace | mounts, starts `inner`, collects orphans |
//! | `guard` | started by tos, without namespaces | starts `inner`, ends whatever it leaves |
//! | `inner` | becomes the command | limits, no rights, filters, then `exec` |
//! | `open-door`, `door` | started by `inner` where bubblewrap is the first process | passes connections to the proxy |
//! | `probe`, `linger`, `stay`, `fill`, `crowd`, `stand-in` | for trials only | try what must fail |
//!
//! `init` and `guard` hold the lifeline: their standard input is a pipe that only tos can close. When
//! it ends, tos is gone, and they end everything.

mod cgroup;
mod exec;
mod extras;
mod forward;
mod landlock;
mod mounts;
mod namespaces;
mod probe;
mod process_limit;
mod seccomp;

use std::{
    ffi::OsString,
    io::Read,
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    process::{ExitCode, ExitStatus},
};

pub(super) use cgroup::{is_possible as can_cage, sweep as sweep_cages};
pub(super) use probe::{Answers, DECOY_TOOL, DECOY_TOOLS, DECOYS, Questions};
pub(super) use process_limit::is_needed as must_watch;

use super::spec::SandboxSpec;

/// What a jailer says when it could not even try.
const JAIL_FAILED: u8 = 125;

/// The command behind the wall.
#[derive(Debug)]
struct ConfinedCommand {
    program: OsString,
    name: OsString,
    arguments: Vec<OsString>,
}

type JailError = Box<dyn std::error::Error>;

/// Takes over a descriptor that this process was started with, and closes it to whatever it starts.
fn adopt(number: i32) -> Result<OwnedFd, JailError> {
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

/// Runs a jailer with the words behind `__jail` and returns its exit code.
pub fn jail_main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = words.into_iter().collect();
    match staged(words) {
        Ok(code) => code,
        Err(fault) => {
            say(&format!("tos: the sandbox could not be built: {fault}"));
            ExitCode::from(JAIL_FAILED)
        }
    }
}

fn staged(words: Vec<OsString>) -> Result<ExitCode, JailError> {
    let mut words = words.into_iter();
    let stage = words.next().unwrap_or_default();
    let stage = stage.to_string_lossy().into_owned();
    let first = words.next().unwrap_or_default().into_string();
    let first = first.map_err(|_| "the specification is not text")?;
    match stage.as_str() {
        "probe" => return probe::answer(&first),
        "linger" => return extras::linger(&first),
        "stay" => return extras::stay(&first),
        "open-door" => return forward::send_doorkeeper(&first),
        "door" => return forward::keep_door(&first),
        "fill" => return extras::fill(&first),
        "crowd" => return extras::crowd(&first),
        "stand-in" => return extras::stand_in(&first, &words.collect::<Vec<_>>()),
        _ => {}
    }
    let spec: SandboxSpec = serde_json::from_str(&first)?;
    match stage.as_str() {
        "cage" => match cgroup::enter(&spec, &words.collect::<Vec<_>>()) {
            Ok(never) => match never {},
            Err(fault) => Err(fault),
        },
        "watch" => process_limit::watch(&spec, &words.collect::<Vec<_>>()),
        "outer" => namespaces::outer(&spec, &first, words.collect()),
        "init" => namespaces::init(&spec, &first, &words.collect::<Vec<_>>()),
        "guard" => landlock::guard(&spec, &first, words.collect()),
        "inner" => match exec::inner(&spec, &behind(words)?) {
            Ok(never) => match never {},
            Err(fault) => Err(fault),
        },
        other => Err(format!("no jailer is called `{other}`").into()),
    }
}

/// Reads `PROGRAM NAME ARGUMENTS...`.
fn behind(mut words: impl Iterator<Item = OsString>) -> Result<ConfinedCommand, JailError> {
    let mut next = || words.next().ok_or("no command behind the wall");
    let (program, name) = (next()?, next()?);
    Ok(ConfinedCommand {
        program,
        name,
        arguments: words.collect(),
    })
}

/// Starts a thread that calls `end` when the lifeline ends.
fn hold_lifeline(end: impl FnOnce() + Send + 'static) {
    drop(std::thread::spawn(move || {
        let mut nothing = [0; 16];
        let mut lifeline = std::io::stdin().lock();
        while lifeline.read(&mut nothing).is_ok_and(|length| length > 0) {}
        end();
    }));
}

/// Ends this process the way the command ended.
fn end_like(status: ExitStatus) -> ExitCode {
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
fn say(text: &str) {
    eprintln!("{text}");
}

#[expect(
    clippy::exit,
    reason = "ending the first process of a namespace ends all others in it"
)]
fn leave(code: u8) -> ! {
    std::process::exit(i32::from(code))
}
