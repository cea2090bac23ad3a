//! Logs of processes as files below `.tos/board-logs`.

use std::{
    fs,
    fs::OpenOptions,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
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

/// Puts the files of a run's folder, named from `root`, together, each below its name. Short ones are whole, long ones share what is
/// left of `most` bytes and show their ends. `None` = there is none, or a link stands in the way, which is not followed.
pub fn joined_log_files(root: &Path, folder: &Path, most: u64) -> Option<String> {
    // The folder of the state itself may be a link of the person's.
    let mut below = folder
        .ancestors()
        .filter(|part| part.components().count() > 1);
    if below.any(|part| root.join(part).is_symlink()) {
        return None;
    }
    let folder = root.join(folder);
    let mut found: Vec<(PathBuf, u64)> = Vec::new();
    let mut folders = vec![folder.clone()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            let Ok(data) = entry.metadata() else {
                continue;
            };
            if data.is_dir() {
                folders.push(entry.path());
            } else if data.is_file() && data.len() > 0 {
                found.push((entry.path(), data.len()));
            }
        }
    }
    found.sort();
    let share = share_of(found.iter().map(|(_, size)| *size).collect(), most);
    let texts = found.iter().filter_map(|(path, _)| {
        let text = end_of_file(path, share).ok()?;
        let name = path.strip_prefix(&folder).unwrap_or(path).display();
        Some(format!("--- {name}\n{}\n", text.trim_end()))
    });
    (!found.is_empty()).then(|| texts.collect())
}

/// Returns how much of each file there is room for.
fn share_of(mut sizes: Vec<u64>, most: u64) -> u64 {
    sizes.sort_unstable();
    let mut left = most;
    for (size, others) in sizes.iter().zip((1..=sizes.len() as u64).rev()) {
        if *size > left / others {
            return left / others;
        }
        left -= size;
    }
    most
}

/// Reads the end of a file from a whole line on; what is left out is said. A link in its place is not followed.
fn end_of_file(path: &Path, most: u64) -> std::io::Result<String> {
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(no_follow)
        .open(path)?;
    let length = file.metadata()?.len();
    let skipped = length.saturating_sub(most);
    file.seek(SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    if skipped == 0 {
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    let line = bytes.iter().position(|byte| *byte == b'\n');
    let begin = line.map_or(0, |at| at + 1);
    let end = String::from_utf8_lossy(bytes.get(begin..).unwrap_or_default());
    let out = skipped + begin as u64;
    Ok(format!("(the first {out} bytes are left out)\n{end}"))
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

    #[test]
    fn files_of_a_run_are_joined_and_long_ones_show_their_ends() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let run = Path::new("logs/run");
        let place = root.join(run);
        assert_eq!(joined_log_files(root, run, 1000), None);
        fs::create_dir_all(place.join("task-1")).unwrap();
        fs::write(place.join("task-1/00.stderr"), "").unwrap();
        assert_eq!(joined_log_files(root, run, 1000), None);
        fs::write(place.join("task-1/00.stdout"), "one\ntwo\n").unwrap();
        fs::write(folder.path().join("secret"), "not of this run").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), place.join("link")).unwrap();
        std::os::unix::fs::symlink(folder.path(), place.join("up")).unwrap();
        let all = joined_log_files(root, run, 1000).unwrap();
        assert_eq!(all, "--- task-1/00.stdout\none\ntwo\n");
        let lines: Vec<String> = (0..1000).map(|number| format!("line {number}\n")).collect();
        let long = lines.concat();
        fs::write(place.join("task-1/10.stdout"), &long).unwrap();
        let cut = joined_log_files(root, run, 208).unwrap();
        let (short, end) = cut.split_once("--- task-1/10.stdout\n").unwrap();
        assert_eq!(short, all);
        let (said, end) = end.split_once('\n').unwrap();
        let shown = long.len() - end.len();
        assert_eq!(said, format!("(the first {shown} bytes are left out)"));
        assert!(end.len() <= 200 && long.ends_with(end), "{end}");
        assert!(end.starts_with("line ") && end.len() > 180, "{end}");
    }

    #[test]
    fn no_link_among_the_folders_of_logs_is_followed() {
        let root = tempfile::tempdir().unwrap();
        let (root, run) = (root.path(), Path::new(".tos/task-logs/run"));
        let elsewhere = root.join("elsewhere");
        fs::create_dir_all(elsewhere.join("run")).unwrap();
        fs::write(elsewhere.join("run/00.stdout"), "not of this run").unwrap();
        fs::create_dir(root.join(".tos")).unwrap();
        let logs = root.join(".tos/task-logs");
        std::os::unix::fs::symlink(&elsewhere, &logs).unwrap();
        assert_eq!(joined_log_files(root, run, 1000), None);
        fs::remove_file(&logs).unwrap();
        fs::create_dir(&logs).unwrap();
        std::os::unix::fs::symlink(elsewhere.join("run"), root.join(run)).unwrap();
        assert_eq!(joined_log_files(root, run, 1000), None);
    }

    #[test]
    fn room_is_shared_by_what_is_long() {
        assert_eq!(share_of(vec![], 10), 10);
        assert_eq!(share_of(vec![10], 10), 10);
        assert_eq!(share_of(vec![11], 10), 10);
        assert_eq!(share_of(vec![2, 100, 100], 12), 5);
        assert_eq!(share_of(vec![100, 100, 2], 12), 5);
    }
}
