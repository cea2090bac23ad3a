//! Replaces the index: prepared aside, put in place in one step, under git's own lock.
//!
//! `index.lock` is held only between `link` and `rename`, never while files are read, so a crash leaves
//! a stale lock almost never; where it does, the lock is one file with its scratch name, which carries
//! the dead process's id, and the next tos removes both.

use std::{
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::Stat;
use crate::{
    adapters::git::error::{ErrorContext, Result, path_text},
    domain::checkpoint::CheckpointError,
};

const PREFIX: &str = "tos-index-";

/// An index under construction in the git directory; removed when dropped.
#[derive(Debug)]
pub(in crate::adapters::git) struct TemporaryIndex {
    path: PathBuf,
}

impl TemporaryIndex {
    /// Reserves a name for a scratch index.
    pub(in crate::adapters::git) fn new(directory: &Path) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        Self {
            path: directory.join(name),
        }
    }

    /// Reserves a name and copies an index there, if it exists.
    pub(in crate::adapters::git) fn copy_of(index: &Path, directory: &Path) -> Result<Self> {
        let scratch = Self::new(directory);
        match std::fs::copy(index, &scratch.path) {
            Ok(_) => keep_times(index, &scratch.path)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).at("copy", index),
        }
        Ok(scratch)
    }

    /// Creates the file and returns its time, which is the file system's now.
    pub(in crate::adapters::git) fn blocking_touch(&self) -> Result<(u32, u32)> {
        self.blocking_write(b"")?;
        let data = std::fs::metadata(&self.path).at("look at", &self.path)?;
        Ok(Stat::from(&data).mtime)
    }

    /// Writes the file; whoever publishes it makes it durable first.
    pub(in crate::adapters::git) fn blocking_write(&self, bytes: &[u8]) -> Result<()> {
        let mut file = std::fs::File::create(&self.path).at("create", &self.path)?;
        file.write_all(bytes).at("write", &self.path)
    }

    /// Returns the path.
    pub(in crate::adapters::git) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryIndex {
    fn drop(&mut self) {
        for path in [self.path.clone(), lock_path(&self.path)] {
            drop(std::fs::remove_file(path));
        }
    }
}

/// The copy must be as old as the original, else git would take racy entries for clean.
fn keep_times(from: &Path, to: &Path) -> Result<()> {
    let data = std::fs::metadata(from).at("look at", from)?;
    let times = data
        .modified()
        .map(|at| std::fs::FileTimes::new().set_modified(at))
        .at("look at", from)?;
    std::fs::File::options()
        .write(true)
        .open(to)
        .and_then(|file| file.set_times(times))
        .at("set the time of", to)
}

/// What identifies one state of the index file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::adapters::git) struct IndexFingerprint(Option<(u64, u64, i64, i64)>);

impl IndexFingerprint {
    /// Returns the present state's stamp.
    pub(in crate::adapters::git) fn of(index: &Path) -> Result<Self> {
        match std::fs::metadata(index) {
            Ok(data) => Ok(Self(Some((
                data.ino(),
                data.size(),
                data.mtime(),
                data.mtime_nsec(),
            )))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self(None)),
            Err(error) => Err(error).at("look at", index),
        }
    }
}

/// Waits until nobody holds the index; removes a lock that a dead tos left.
pub(in crate::adapters::git) fn blocking_wait_unlocked(
    index: &Path,
    patience: Duration,
) -> Result<()> {
    let lock = lock_path(index);
    let started = Instant::now();
    while lock.symlink_metadata().is_ok() {
        if remove_stale(&lock)? {
            continue;
        }
        if started.elapsed() >= patience {
            return Err(held(&lock, patience));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Puts the scratch in the index's place, if the index is still the one the work started from.
pub(in crate::adapters::git) fn blocking_publish(
    scratch: &TemporaryIndex,
    index: &Path,
    expected: &IndexFingerprint,
    patience: Duration,
) -> Result<()> {
    let lock = lock_path(index);
    let started = Instant::now();
    loop {
        match std::fs::hard_link(&scratch.path, &lock) {
            Ok(()) => break,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let left = patience.saturating_sub(started.elapsed());
                if left.is_zero() {
                    return Err(held(&lock, patience));
                }
                blocking_wait_unlocked(index, left)?;
            }
            Err(error) => return Err(error).at("lock", index),
        }
    }
    let unchanged = IndexFingerprint::of(index).map(|now| now == *expected);
    if !matches!(unchanged, Ok(true)) {
        std::fs::remove_file(&lock).at("unlock", &lock)?;
        unchanged?;
        return Err(CheckpointError::Moving {
            what: path_text(index),
        });
    }
    std::fs::rename(&lock, index).at("replace", index)
}

/// Removes scratch files of processes that are gone.
pub(in crate::adapters::git) fn sweep(directory: &Path) {
    // The lock is told to be stale by its scratch, so it goes first.
    drop(remove_stale(&lock_path(&directory.join("index"))));
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let gone = name
            .to_str()
            .and_then(owner)
            .is_some_and(|pid| !is_alive(pid));
        if gone {
            drop(std::fs::remove_file(entry.path()));
        }
    }
}

/// Returns the lock file git uses for an index.
pub(in crate::adapters::git) fn lock_path(index: &Path) -> PathBuf {
    let mut name = index.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn remove_stale(lock: &Path) -> Result<bool> {
    let (Some(directory), Ok(data)) = (lock.parent(), lock.symlink_metadata()) else {
        return Ok(false);
    };
    if data.nlink() < 2 {
        return Ok(false);
    }
    for entry in std::fs::read_dir(directory)
        .at("read", directory)?
        .flatten()
    {
        let same = entry
            .metadata()
            .is_ok_and(|other| other.ino() == data.ino());
        let name = entry.file_name();
        let gone = name
            .to_str()
            .and_then(owner)
            .is_some_and(|pid| !is_alive(pid));
        if same && gone {
            std::fs::remove_file(lock).at("remove the stale lock", lock)?;
            drop(std::fs::remove_file(entry.path()));
            return Ok(true);
        }
    }
    Ok(false)
}

fn owner(name: &str) -> Option<i32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

fn is_alive(pid: i32) -> bool {
    let Some(pid) = rustix::process::Pid::from_raw(pid) else {
        return false;
    };
    !matches!(
        rustix::process::test_kill_process(pid),
        Err(rustix::io::Errno::SRCH)
    )
}

fn held(lock: &Path, patience: Duration) -> CheckpointError {
    CheckpointError::Locked {
        lock: path_text(lock),
        waited_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
    }
}
