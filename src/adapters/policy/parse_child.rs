//! Parses a shell text in a child of this program, which limits of time and memory end.
//!
//! The parser crate has faults that make it collect memory for ever on a few bytes of text, and more of them may be found. A
//! thread cannot be ended from outside; a process can. The child gets the text on its input, no environment, a ceiling of
//! processor time and of memory, and says one word when the parser came back. It does not tell what was found: the parent
//! parses the text again, which takes the same way.

use std::{
    io::{Read, Write},
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc,
    time::Duration,
};

use crate::domain::policy::{ParseOutcome, parse_unbounded as parse_here};

/// The word that makes this program the child. Not for people.
pub const PARSE_CHILD_ARG: &str = "__parse";

/// What the child says when the parser came back.
const DONE: &str = "done";
/// Seconds of processor time that the child may use.
const CPU_SECONDS: u64 = 2;
/// Time that may pass meanwhile: a machine under load is no reason to refuse.
const WALL: Duration = Duration::from_secs(20);
/// Memory that the child may ask for.
const MEMORY: u64 = 512 << 20;
/// The stack that the parser gets: less than any thread of the parent has, so that depth fails in the child.
const STACK: usize = 1 << 20;
/// Bytes that the child takes; the judge reads no longer text.
const MOST_BYTES: u64 = 64 * 1024;

/// Parses a text in a child.
pub(super) fn try_parse(code: &str) -> ParseOutcome {
    try_parse_within(code, WALL)
}

fn try_parse_within(code: &str, wall: Duration) -> ParseOutcome {
    let Ok(mut child) = start() else {
        return ParseOutcome::NotStarted;
    };
    let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
        end(&mut child);
        return ParseOutcome::NotStarted;
    };
    let (sender, answers) = mpsc::channel();
    let text = code.to_owned();
    // Both pipes are served beside, so that nothing here waits longer than it may. The child's end closes them.
    std::thread::spawn(move || {
        let mut said = String::new();
        drop(input.write_all(text.as_bytes()));
        drop(input);
        drop(output.read_to_string(&mut said));
        drop(sender.send(said));
    });
    let said = answers.recv_timeout(wall);
    end(&mut child);
    match said {
        Ok(said) if said.trim_end() == DONE => ParseOutcome::Ended,
        Ok(_) => ParseOutcome::Died,
        Err(_) => ParseOutcome::OverTime,
    }
}

fn start() -> std::io::Result<Child> {
    let mut command = Command::new(itself()?);
    command
        .arg(PARSE_CHILD_ARG)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command.spawn()
}

/// Returns the running program, also where its file was replaced meanwhile.
fn itself() -> std::io::Result<PathBuf> {
    let own = PathBuf::from("/proc/self/exe");
    if cfg!(target_os = "linux") && own.exists() {
        return Ok(own);
    }
    std::env::current_exe()
}

/// Ends the child, if it has not ended, and takes note of its end.
fn end(child: &mut Child) {
    drop(child.kill());
    drop(child.wait());
}

/// Is the child: reads the text, parses it within the limits and says so.
pub fn parse_main() -> ExitCode {
    limit();
    std::panic::set_hook(Box::new(|_| {}));
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(MOST_BYTES);
    if input.read_to_string(&mut text).is_err() {
        return ExitCode::FAILURE;
    }
    let parser = std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || parse_here(&text));
    // The parser's own panics are caught; the parent catches them, too.
    let came_back = parser.is_ok_and(|parser| parser.join().is_ok());
    let told = came_back && writeln!(std::io::stdout(), "{DONE}").is_ok();
    if told {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Sets the ceilings of this process; one that is lower already stays.
#[cfg(unix)]
fn limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let ceilings = [
        (Resource::As, MEMORY),
        (Resource::Cpu, CPU_SECONDS),
        (Resource::Core, 0),
    ];
    for (resource, ceiling) in ceilings {
        let ceiling = getrlimit(resource)
            .maximum
            .map_or(ceiling, |own| own.min(ceiling));
        let limit = Rlimit {
            current: Some(ceiling),
            maximum: Some(ceiling),
        };
        // Where the system knows no such ceiling, the time that passes is still bounded.
        let _ = setrlimit(resource, limit);
    }
    // Nobody is left to end it when the parent is gone.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
}

/// Elsewhere the time that passes is the bound.
#[cfg(not(unix))]
fn limit() {}
