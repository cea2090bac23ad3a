//! The log of the guard as a file of JSON lines that is moved aside when it is long.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
};

use crate::{domain::guard::log::LogEntry, ports::guard::GuardLog};

/// The size at which a log is moved aside.
const LONG: u64 = 8 << 20;
/// How many older logs stay.
const OLDER: u32 = 3;

/// The log in the state folder of tos.
#[derive(Debug, Clone)]
pub struct LogFile {
    folder: PathBuf,
    long: u64,
}

impl LogFile {
    /// Makes the log in this folder; looks at nothing yet.
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder, long: LONG }
    }

    fn file(&self, age: u32) -> PathBuf {
        match age {
            0 => self.folder.join("log.jsonl"),
            age => self.folder.join(format!("log.{age}.jsonl")),
        }
    }

    fn rotate(&self) {
        let size = fs::metadata(self.file(0)).map_or(0, |data| data.len());
        if size < self.long {
            return;
        }
        for age in (0..OLDER).rev() {
            drop(fs::rename(self.file(age), self.file(age + 1)));
        }
    }
}

impl GuardLog for LogFile {
    fn append(&self, entry: &LogEntry) -> Result<(), String> {
        let told = |error: std::io::Error| format!("{}: {error}", self.file(0).display());
        let mut line = serde_json::to_vec(entry).map_err(|error| error.to_string())?;
        line.push(b'\n');
        let open = || {
            fs::OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(self.file(0))
        };
        self.rotate();
        let mut file = match open() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let made = fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(&self.folder);
                made.and_then(|()| open()).map_err(told)?
            }
            opened => opened.map_err(told)?,
        };
        // One call, so that lines of two hooks do not mix.
        file.write_all(&line).map_err(told)
    }

    fn read(&self) -> Vec<LogEntry> {
        let mut entries = Vec::new();
        for age in (0..=OLDER).rev() {
            let Ok(file) = fs::File::open(self.file(age)) else {
                continue;
            };
            let lines = BufReader::new(file).lines().map_while(Result::ok);
            // A line that a full disk cut short is one entry less.
            entries.extend(lines.filter_map(|line| serde_json::from_str(&line).ok()));
        }
        entries
    }

    fn place(&self) -> String {
        self.file(0).display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_is_moved_aside_and_still_read() {
        let folder = tempfile::tempdir().unwrap();
        let log = LogFile {
            folder: folder.path().join("a/b"),
            long: 400,
        };
        for number in 0..12 {
            let entry = LogEntry {
                subject: format!("command {number}"),
                ..LogEntry::default()
            };
            log.append(&entry).unwrap();
        }
        let entries = log.read();
        assert_eq!(entries.last().unwrap().subject, "command 11");
        assert!(log.file(1).exists() && !log.file(OLDER + 1).exists());
        let mut numbers: Vec<&str> = entries.iter().map(|entry| entry.subject.as_str()).collect();
        let sorted = {
            let mut sorted = numbers.clone();
            sorted.sort_by_key(|subject| subject.len());
            sorted
        };
        numbers.dedup();
        assert_eq!(numbers, sorted);
    }
}
