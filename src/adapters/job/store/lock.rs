//! One writer at a time: a lock on `tos.lock` that the kernel gives back when its holder dies.
//!
//! The file's content (pid, start time, words) is only for people; what counts is the kernel's lock,
//! so a file left behind by a killed process stops nobody.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

use crate::{adapters::state_folder, ports::store::Error};

/// The right to write; given back when dropped.
#[derive(Debug)]
pub struct StoreLock {
    _file: File,
}

/// Why the lock was not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another tos works on this root.
    #[error("another tos is at work here: {holder}; wait for it, or end it, and run again")]
    Busy {
        /// Who, in words.
        holder: String,
    },
    /// The lock file cannot be used.
    #[error(transparent)]
    Trouble(#[from] Error),
}

impl StoreLock {
    /// Takes the lock on `path`, or says who holds it. `words` describe this process to others.
    pub fn acquire(path: &Path, words: &str) -> Result<Self, LockError> {
        let trouble =
            |error: &io::Error| super::io_error(path.to_string_lossy().into_owned(), error);
        if let Some(folder) = path.parent() {
            // This is the first that is made of it; in a repository that says nothing of it, it must not show up.
            let made = if folder.is_dir() {
                Ok(())
            } else {
                state_folder::create_record_folder(folder)
            };
            made.map_err(|error| trouble(&error))?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| trouble(&error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Busy {
                    holder: holder(&mut file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(trouble(&error).into()),
        }
        let now = chrono::Local::now().format("%Y-%m-%dT%H:%M:%S%:z");
        let text = format!("pid {} since {now}: {words}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(text.as_bytes()))
            .map_err(|error| trouble(&error))?;
        Ok(Self { _file: file })
    }

    /// Returns who holds the lock on `path`, in words; `None` = nobody, whatever the file says. Makes nothing.
    pub fn holder(path: &Path) -> Option<String> {
        let mut file = File::open(path).ok()?;
        let is_held = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        is_held.then(|| holder(&mut file))
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    drop(file.seek(SeekFrom::Start(0)));
    drop(file.read_to_string(&mut text));
    let text = text.trim();
    if text.is_empty() {
        "its lock file says nothing yet".to_owned()
    } else {
        text.to_owned()
    }
}
