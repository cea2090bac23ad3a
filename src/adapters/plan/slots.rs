//! Where tasks write: log files that exist only for tasks that have something to say, or take a while.
//!
//! Making two files costs about as much as starting a program. So a task first writes into a slot, an unnamed
//! pair of files that is used again and again. The pair becomes the task's own logs, by a rename, once the
//! task has run for a moment or has written anything; a task that ends at once in silence leaves no files.
//! Each task gets its own open file with a shared lock on it, which lives as long as any process still has
//! the file: a slot somebody can still write to is never given to another task.

use std::{
    fs::File,
    io,
    io::Write,
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};

use crate::adapters::{plan::safe_open, state_folder};

/// The slots of one run.
pub(crate) struct LogSlots {
    directory: PathBuf,
    handle: File,
    free: Vec<SparePair>,
    made: u32,
}

/// Where one attempt writes.
pub(crate) enum LogPlace {
    /// Into a slot.
    Slot(SparePair),
    /// Into the task's own files.
    Own,
}

/// Two files that are nobody's yet.
pub(crate) struct SparePair {
    name: String,
    header: String,
    out: File,
    err: File,
}

const SIDES: [&str; 2] = ["out", "err"];

impl LogSlots {
    /// Opens the directory of logs and removes the slots of a runner that died.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        state_folder::create_dir_all(directory)?;
        for entry in std::fs::read_dir(directory)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(".slot-") {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(Self {
            directory: directory.to_owned(),
            handle: File::open(directory)?,
            free: Vec::new(),
            made: 0,
        })
    }

    /// Returns where an attempt of the task `id` writes, and the two files for its process.
    pub(crate) fn take(
        &mut self,
        id: &str,
        attempt: u32,
        header: &str,
    ) -> io::Result<(LogPlace, [File; 2])> {
        if attempt > 1 {
            let open = |side: &str| -> io::Result<File> {
                let mut file =
                    safe_open::open_append(&self.directory.join(format!("{id}.{side}.log")))?;
                file.write_all(header.as_bytes())?;
                Ok(file)
            };
            return Ok((LogPlace::Own, [open("out")?, open("err")?]));
        }
        let mut pair = match self.free.pop() {
            Some(pair) => pair,
            None => self.make()?,
        };
        let out = self.writer(&pair.name, "out")?;
        let err = self.writer(&pair.name, "err")?;
        if pair.header != header {
            for mut file in [&out, &err] {
                rustix::fs::ftruncate(file, 0)?;
                file.write_all(header.as_bytes())?;
            }
            header.clone_into(&mut pair.header);
        }
        Ok((LogPlace::Slot(pair), [out, err]))
    }

    /// Makes the place the task's own, so that others can read along.
    pub(crate) fn reveal(&self, place: &mut LogPlace, id: &str) -> io::Result<()> {
        if let LogPlace::Slot(pair) = place {
            for side in SIDES {
                let slot = format!("{}.{side}", pair.name);
                rustix::fs::renameat(&self.handle, slot, &self.handle, format!("{id}.{side}.log"))?;
            }
            *place = LogPlace::Own;
        }
        Ok(())
    }

    /// Takes the place back after the end of an attempt.
    pub(crate) fn give_back(&mut self, mut place: LogPlace, id: &str) -> io::Result<()> {
        let LogPlace::Slot(pair) = place else {
            return Ok(());
        };
        let quiet = pair.header.len() as u64;
        let is_quiet = |file: &File| -> io::Result<bool> {
            if u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0) != quiet {
                return Ok(false);
            }
            match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    rustix::fs::flock(file, FlockOperation::Unlock)?;
                    Ok(true)
                }
                Err(_) => Ok(false),
            }
        };
        if is_quiet(&pair.out)? && is_quiet(&pair.err)? {
            self.free.push(pair);
            return Ok(());
        }
        place = LogPlace::Slot(pair);
        self.reveal(&mut place, id)
    }

    fn make(&mut self) -> io::Result<SparePair> {
        let name = format!(".slot-{}", self.made);
        self.made += 1;
        let flags =
            OFlags::RDONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let make = |side: &str| -> io::Result<File> {
            let mode = Mode::from_raw_mode(0o600);
            Ok(rustix::fs::openat(&self.handle, format!("{name}.{side}"), flags, mode)?.into())
        };
        Ok(SparePair {
            out: make("out")?,
            err: make("err")?,
            name,
            header: String::new(),
        })
    }

    fn writer(&self, name: &str, side: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file =
            rustix::fs::openat(&self.handle, format!("{name}.{side}"), flags, Mode::empty())?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared)?;
        Ok(file.into())
    }
}

impl Drop for LogSlots {
    fn drop(&mut self) {
        for pair in &self.free {
            for side in SIDES {
                // What is left behind is removed when the run is opened the next time.
                let _ = rustix::fs::unlinkat(
                    &self.handle,
                    format!("{}.{side}", pair.name),
                    AtFlags::empty(),
                );
            }
        }
    }
}

/// Keeps a log from filling the disk: once it is larger than `cap` bytes its middle is given back to the file system.
/// The size stays, and the hole reads as zeros, which the readers of logs leave out.
pub(crate) fn punch(path: &Path, cap: u64) -> io::Result<()> {
    let size = std::fs::symlink_metadata(path)?.len();
    if size <= cap {
        return Ok(());
    }
    let file: File = rustix::fs::open(
        path,
        OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?
    .into();
    let page = |bytes: u64| bytes / 4096 * 4096;
    let (from, to) = (page(cap / 2), page(size - cap / 2));
    let mode = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
    Ok(rustix::fs::fallocate(
        &file,
        mode,
        from,
        to.saturating_sub(from),
    )?)
}
