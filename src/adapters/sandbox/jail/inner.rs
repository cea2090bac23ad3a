//! The stage `inner`, the same for every wall: gives up every right, then becomes the command.
//!
//! The order matters: the filters come when the capabilities are gone, and are allowed then only under «no new privileges»;
//! a file that becomes the command's input is opened last, behind all of it, for what the command may not read it may not be fed.

use std::{
    convert::Infallible,
    ffi::OsString,
    fs::File,
    io::Read,
    os::{
        fd::{IntoRawFd, OwnedFd},
        unix::{ffi::OsStringExt, fs::FileTypeExt, process::CommandExt},
    },
    path::Path,
    process::{Command, Stdio},
};

use rustix::{
    fs::{Mode, OFlags},
    process::{Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit},
    thread::{CapabilitySet, CapabilitySets},
};

use super::{
    super::spec::{
        INNER_PROXY, JAILER_ARG, PROXY_PORT, ResourceLimits, SandboxSpec, TOS_PATH_IN_SANDBOX,
    },
    landlock,
    seccomp::{self, FilterRequest},
    shared::{ConfinedCommand, JailError, adopt, need_lifeline},
};
use crate::domain::sandbox::{NetworkAccess, SandboxBackend};

/// Applies what the wall asks of the process itself and becomes the command.
pub(super) fn inner(
    spec: &SandboxSpec,
    command_line: &ConfinedCommand,
) -> Result<Infallible, JailError> {
    let landlock = spec.backend == SandboxBackend::Landlock;
    let environment = spec.environment.map(environment).transpose()?;
    let mut input = spec.input.map(adopt).transpose()?;
    close_files_to_programs()?;
    if landlock {
        // The guard ends everything when tos goes; this covers the guard itself being killed.
        let guard = getppid();
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != guard {
            return Err("the guard has ended; nothing is started any more".into());
        }
    }
    // `bwrap` asks to be ended with tos, but tos may have been gone by then.
    need_lifeline()?;
    limit(&spec.limits)?;
    drop_rights()?;
    rustix::thread::set_no_new_privs(true)?;
    let has_domain = if landlock {
        landlock::restrict(spec)?;
        true
    } else {
        landlock::enter_domain()?
    };
    seccomp::apply(FilterRequest {
        no_local: landlock,
        no_internet: landlock && spec.network != NetworkAccess::Full,
        no_tracing: !has_domain,
    })?;
    if let Some(path) = &spec.input_file {
        input = Some(opened(path, spec.input_is_pipe)?);
    }
    let mut command = Command::new(&command_line.program);
    command
        .arg0(&command_line.name)
        .args(&command_line.arguments)
        .stdin(input.map_or_else(Stdio::null, Stdio::from));
    if let Some(environment) = environment {
        command.env_clear().envs(environment);
    }
    if landlock {
        // The guard made one that nobody else uses.
        command.env("TMPDIR", std::env::temp_dir());
    } else {
        // The private directory is where every program looks without being told.
        command.env_remove("TMPDIR");
    }
    if spec.proxy.is_some() {
        point_to_proxy(&mut command);
        if spec.backend == SandboxBackend::Bubblewrap {
            start_port()?;
        }
    }
    let error = command.exec();
    Err(format!(
        "could not start `{}`: {error}",
        command_line.program.to_string_lossy()
    )
    .into())
}

/// Keeps every descriptor above the standard ones from what is started from here on: what tos or whoever started it left open
/// is no business of the command.
fn close_files_to_programs() -> Result<(), JailError> {
    #[expect(unsafe_code, reason = "no safe form of this call is at hand")]
    // SAFETY: it sets a flag of descriptors and touches no memory.
    let done = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3_u32,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if done == 0 {
        return Ok(());
    }
    // A kernel before 5.11.
    for entry in std::fs::read_dir("/proc/self/fd")?.flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.parse::<i32>().ok());
        if let Some(number) = number.filter(|number| *number > 2) {
            // The one through which this folder is read is among them, and is gone already where it fails.
            drop(adopt(number).map(IntoRawFd::into_raw_fd));
        }
    }
    Ok(())
}

/// Reads the command's own environment.
fn environment(descriptor: i32) -> Result<Vec<(OsString, OsString)>, JailError> {
    let mut bytes = Vec::new();
    File::from(adopt(descriptor)?).read_to_end(&mut bytes)?;
    let pairs = bytes.split(|byte| *byte == 0).filter_map(|entry| {
        let at = entry.iter().position(|byte| *byte == b'=')?;
        let text = |part: &[u8]| OsString::from_vec(part.to_vec());
        Some((text(entry.get(..at)?), text(entry.get(at + 1..)?)))
    });
    Ok(pairs.collect())
}

/// Opens a file with the rights of the command; a pipe in its place blocks nobody. `is_pipe`: it has to be one.
fn opened(path: &Path, is_pipe: bool) -> Result<OwnedFd, JailError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| {
        format!(
            "the standard input `{}` cannot be opened: {error}",
            path.display()
        )
    })?;
    let kind = File::from(file.try_clone()?).metadata()?.file_type();
    if is_pipe && kind.is_fifo() {
        // From here on the command waits for what tos is going to say.
        rustix::fs::fcntl_setfl(&file, OFlags::empty())?;
        return Ok(file);
    }
    if is_pipe || !kind.is_file() {
        let wanted = if is_pipe { "pipe" } else { "file" };
        let path = path.display();
        return Err(format!("the standard input `{path}` is no {wanted}").into());
    }
    Ok(file)
}

fn start_port() -> Result<(), JailError> {
    let opened = Command::new(TOS_PATH_IN_SANDBOX)
        .args([JAILER_ARG, "start-port", INNER_PROXY])
        .env_clear()
        .stdin(Stdio::null())
        .status()?;
    if opened.success() {
        Ok(())
    } else {
        Err("the port of the proxy could not be opened".into())
    }
}

fn point_to_proxy(command: &mut Command) {
    let place = format!("http://127.0.0.1:{PROXY_PORT}");
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command
            .env(name, &place)
            .env(name.to_ascii_lowercase(), &place);
    }
    command.env_remove("NO_PROXY").env_remove("no_proxy");
}

fn limit(limits: &ResourceLimits) -> Result<(), JailError> {
    let ceilings = [
        (Resource::As, limits.memory_bytes),
        (Resource::Nproc, limits.processes),
        (Resource::Cpu, limits.cpu_seconds),
        (Resource::Fsize, limits.file_bytes),
        (Resource::Core, Some(0)),
    ];
    for (resource, ceiling) in ceilings {
        let Some(ceiling) = ceiling else { continue };
        let before = rustix::process::getrlimit(resource);
        // A ceiling that is already lower stays.
        let ceiling = before.maximum.map_or(ceiling, |own| own.min(ceiling));
        setrlimit(
            resource,
            Rlimit {
                current: Some(ceiling),
                maximum: Some(ceiling),
            },
        )?;
    }
    Ok(())
}

fn drop_rights() -> Result<(), JailError> {
    // Without the right to shrink the bounding set there are no rights to lose either.
    for right in 0..64 {
        let right = CapabilitySet::from_bits_retain(1 << right);
        let _ = rustix::thread::remove_capability_from_bounding_set(right);
    }
    let _ = rustix::thread::clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )?;
    Ok(())
}
