//! Logs of processes as files below `.tos/board-logs`.

use std::{
    fs,
    fs::OpenOptions,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use crate::{adapters::state_folder, ports::process_logs::ProcessLogs};

/// How much of the end of a log is read.
const END: u64 = 256 * 1024;

/// Logs in a folder.
#[derive(Debug)]
pub struct LogFiles {
    folder: PathBuf,
}

impl LogFiles {
    /// Names the folder; it is made with the first line.
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Returns the file of a process; names come from outside, so nothing but plain names is taken.
    fn file(&self, process: &str) -> Option<PathBuf> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let is_plain = !process.is_empty() && process.len() < 64 && process.chars().all(plain);
        is_plain.then(|| self.folder.join(format!("{process}.log")))
    }
}

impl ProcessLogs for LogFiles {
    fn line(&self, process: &str, text: &str) {
        let Some(path) = self.file(process) else {
            return;
        };
        let now = chrono::Local::now().format("%Y-%m-%dT%H:%M:%S%.3f%:z");
        let text = text.replace('\n', "\n  ");
        let written = state_folder::create_dir_all(&self.folder).and_then(|()| {
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.write_all(format!("{now} {process} {text}\n").as_bytes())
        });
        if let Err(error) = written {
            tracing::warn!("the log of {process} cannot be written: {error}");
        }
    }

    fn tail(&self, process: &str, most: usize) -> Vec<String> {
        let Some(path) = self.file(process) else {
            return Vec::new();
        };
        let read = (|| {
            let mut file = OpenOptions::new().read(true).open(path)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok::<_, std::io::Error>(bytes)
        })();
        let text = String::from_utf8_lossy(&read.unwrap_or_default()).into_owned();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let skip = lines.len().saturating_sub(most);
        lines.into_iter().skip(skip).collect()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_suffix(".log").map(str::to_owned)
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    fn clear(&self, up: &[String]) -> (usize, usize) {
        let (mut truncated, mut removed) = (0, 0);
        for name in self.names() {
            let Some(path) = self.file(&name) else {
                continue;
            };
            if up.contains(&name) {
                truncated += usize::from(
                    OpenOptions::new()
                        .write(true)
                        .truncate(true)
                        .open(path)
                        .is_ok(),
                );
            } else {
                removed += usize::from(fs::remove_file(path).is_ok());
            }
        }
        (truncated, removed)
    }
}

/// Puts the files of a run's folder together, each below its name.
pub fn joined_log_files(folder: &Path) -> String {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    let texts = found.into_iter().filter_map(|path| {
        let bytes = fs::read(&path).ok().filter(|bytes| !bytes.is_empty())?;
        let name = path
            .strip_prefix(folder)
            .unwrap_or(&path)
            .display()
            .to_string();
        Some(format!(
            "--- {name}\n{}\n",
            String::from_utf8_lossy(&bytes).trim_end()
        ))
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_logs_are_emptied_and_others_removed() {
        let folder = tempfile::tempdir().unwrap();
        let logs = LogFiles::new(folder.path().join("logs"));
        logs.line("worker-1", "one");
        logs.line("judge-1", "two");
        logs.line("../evil", "three");
        assert_eq!(logs.names(), ["judge-1", "worker-1"]);
        assert!(logs.tail("worker-1", 10)[0].ends_with("worker-1 one"));
        assert!(logs.tail("../../etc/passwd", 10).is_empty());
        assert_eq!(logs.clear(&["worker-1".to_owned()]), (1, 1));
        assert_eq!(logs.names(), ["worker-1"]);
        assert!(logs.tail("worker-1", 10).is_empty());
    }
}
