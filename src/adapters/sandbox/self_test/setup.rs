//! What a trial needs on the disk and as ceilings: a root, a home with decoys, a search path.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use super::probe::{DECOY_TOOL, DECOY_TOOLS, DECOYS};
use crate::{
    adapters::{
        disk,
        process::find_program,
        sandbox::{jail::is_counted_from_outside, spec::ResourceLimits},
        state_folder,
    },
    domain::{sandbox::SandboxBackend, state_folder::TOS_FOLDER},
};

/// Older folders of trials belong to nobody.
const STALE: Duration = Duration::from_secs(600);

/// Bytes that have to be free for a trial to tell anything: with less, a wall seems to lack what only the disk does.
const ROOM: u64 = 256 << 10;

/// How many processes the user may start elsewhere while a trial lasts.
const RUNNING_MARGIN: u64 = 256;

/// Small ceilings, so that hitting them costs little.
pub(super) const LIMITS: ResourceLimits = ResourceLimits {
    memory_bytes: Some(1 << 30),
    processes: Some(64),
    cpu_seconds: Some(10),
    file_bytes: Some(1 << 20),
    temporary_bytes: 4 << 20,
};

/// Returns the ceilings of a trial. Where a wall has no users of its own, the kernel counts what the user runs elsewhere,
/// too, and that must not be what the trial is stopped by.
pub(super) fn limits(backend: SandboxBackend) -> ResourceLimits {
    let is_counted = backend == SandboxBackend::Landlock && !rustix::process::geteuid().is_root();
    let elsewhere = if is_counted {
        running() + RUNNING_MARGIN
    } else {
        0
    };
    ResourceLimits {
        processes: if is_counted_from_outside(&LIMITS) {
            // The watch stands there as always, and is tried by itself, for it would end the trial.
            ResourceLimits::default().processes
        } else {
            LIMITS.processes.map(|most| most + elsewhere)
        },
        // Threads reserve addresses.
        memory_bytes: if is_counted {
            Some(64 << 30)
        } else {
            LIMITS.memory_bytes
        },
        ..LIMITS
    }
}

/// Says whether an error tells of a machine that has run out of something, and nothing of what it can do.
pub(super) fn is_of_the_moment(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let exhausted = [
        Errno::NOSPC,
        Errno::DQUOT,
        Errno::NOMEM,
        Errno::MFILE,
        Errno::NFILE,
        Errno::AGAIN,
        Errno::IO,
    ];
    let is_exhausted = |errno| exhausted.contains(&errno);
    error.kind() == io::ErrorKind::StorageFull
        || Errno::from_io_error(error).is_some_and(is_exhausted)
}

/// Makes the folder of one trial: among the state of tos, and where nobody may write that, among what is temporary.
pub(super) fn trial_folder(state: &Path) -> io::Result<tempfile::TempDir> {
    let among_state = || {
        state_folder::create_record_folder(state)?;
        let state = state.canonicalize()?;
        sweep(&state);
        tempfile::Builder::new().prefix("trial-").tempdir_in(state)
    };
    let folder = match among_state() {
        Err(error) if is_closed(&error) => tempfile::Builder::new().prefix("tos-trial-").tempdir(),
        made => made,
    }?;
    let free = disk::free_bytes(folder.path())?;
    if free < ROOM {
        let why = format!(
            "only {} KiB are free in {}, and a trial needs {} KiB",
            free >> 10,
            folder.path().parent().unwrap_or(state).display(),
            ROOM >> 10
        );
        return Err(io::Error::new(io::ErrorKind::StorageFull, why));
    }
    Ok(folder)
}

/// Says whether a place cannot be written by this user at all.
fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
    )
}

/// Counts the threads of this user.
fn running() -> u64 {
    let user = rustix::process::geteuid().as_raw();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = processes.filter(|found| found.metadata().is_ok_and(|data| data.uid() == user));
    let threads =
        own.map(|found| fs::read_dir(found.path().join("task")).map_or(0, Iterator::count));
    u64::try_from(threads.sum::<usize>()).unwrap_or(u64::MAX)
}

/// Puts the folder of tools of a trial's home in front of a search path.
pub(super) fn with_tools(path: &std::ffi::OsStr, folder: &Path) -> OsString {
    let tools = folder.join("home").join(DECOY_TOOLS);
    let folders = std::iter::once(tools).chain(std::env::split_paths(path));
    std::env::join_paths(folders).unwrap_or_else(|_| path.to_owned())
}

/// Removes what a trial left that was killed.
pub(super) fn sweep(state: &Path) {
    let old = |found: &fs::DirEntry| {
        let changed = found.metadata().and_then(|meta| meta.modified()).ok();
        let age = changed.and_then(|changed| changed.elapsed().ok());
        age.is_some_and(|age| age > STALE)
    };
    for found in fs::read_dir(state).into_iter().flatten().flatten() {
        if found.file_name().to_string_lossy().starts_with("trial-") && old(&found) {
            drop(fs::remove_dir_all(found.path()));
        }
    }
}

/// Makes the folders and files of a trial; tells whether there is a git repository among them.
pub(super) fn create_fixture(top: &Path, path: &std::ffi::OsStr) -> io::Result<bool> {
    for name in [".git/hooks", TOS_FOLDER, "config", "logs", "workspace"] {
        fs::create_dir_all(top.join("root").join(name))?;
    }
    let decoys = DECOYS.iter().chain([&DECOY_TOOL]);
    let decoys = decoys.map(|name| format!("home/{name}"));
    let others = ["outside", "root/.git/HEAD", "locks/stranger"].map(str::to_owned);
    for name in others.into_iter().chain(decoys) {
        let path = top.join(name);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, "as it was")?;
    }
    Ok(git_repository(&top.join("root"), path))
}

fn git_repository(root: &Path, path: &std::ffi::OsStr) -> bool {
    let git = find_program::find(path, Path::new("/"), "git".as_ref());
    let Some(git) = git else { return false };
    let made = Command::new(git)
        .args(["init", "-q", "--template="])
        .arg(root)
        .env_clear()
        .stdin(Stdio::null())
        .output();
    // The probe makes a hook, so the folder must be there.
    drop(fs::create_dir_all(root.join(".git/hooks")));
    drop(fs::write(root.join(".git/HEAD"), "ref: refs/heads/main\n"));
    made.is_ok_and(|output| output.status.success())
}
