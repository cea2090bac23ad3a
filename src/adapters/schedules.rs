//! Schedules on the disk: `config/schedules.toml` for people, `.tos/schedules/<name>/` for records, locks and logs.

use std::{
    any::Any,
    fs,
    fs::{File, OpenOptions},
    io,
    io::Write,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    adapters::{
        job::store::{LockError, StoreLock, replace},
        state_folder,
    },
    domain::{
        schedule::ScheduledRunRecord,
        state_folder::{TOS_FOLDER, tos_path},
        time::Timestamp,
    },
    ports::schedules::{Error, Schedules},
};

/// So many records are kept at least; twice as many at most.
const RECORDS: usize = 1000;
/// So many logs are kept of each schedule.
const LOGS: usize = 50;

/// The schedules of a root.
#[derive(Debug)]
pub struct ScheduleFiles {
    root: PathBuf,
    file: PathBuf,
    zone: Option<String>,
}

impl ScheduleFiles {
    /// Makes the adapter; touches nothing yet. `zone` is what `TZ` says.
    pub fn new(root: PathBuf, file: &str, zone: Option<String>) -> Self {
        Self {
            file: root.join(file),
            root,
            zone,
        }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.root.join(tos_path!("schedules")).join(name)
    }

    fn command(&self, words: &[String]) -> Result<Command, Error> {
        let mut command = Command::new(own()?);
        command
            .arg("--root")
            .arg(&self.root)
            .args(words)
            .current_dir(&self.root)
            .stdin(Stdio::null());
        Ok(command)
    }
}

fn own() -> Result<PathBuf, Error> {
    std::env::current_exe()
        .map_err(|error| Error::Trouble(format!("tos cannot find itself: {error}")))
}

fn at(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    move |error| Error::Trouble(format!("{}: {error}", path.display()))
}

fn lock(path: &Path, words: &str) -> Result<Box<dyn Any>, Error> {
    match StoreLock::acquire(path, words) {
        Ok(lock) => Ok(Box::new(lock)),
        Err(LockError::Busy { holder }) => Err(Error::Busy(holder)),
        Err(LockError::Trouble(error)) => Err(Error::Trouble(error.to_string())),
    }
}

/// Returns the records of a text; a line that a crash cut short says nothing.
fn parsed(text: &str) -> Vec<ScheduledRunRecord> {
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

impl Schedules for ScheduleFiles {
    fn text(&self) -> Result<Option<String>, Error> {
        match fs::read_to_string(&self.file) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(&self.file)(error)),
        }
    }

    fn write(&self, text: &str) -> Result<(), Error> {
        replace(&self.file, text.as_bytes()).map_err(at(&self.file))
    }

    fn records(&self, name: &str) -> Result<Vec<ScheduledRunRecord>, Error> {
        let file = self.folder(name).join("records.jsonl");
        match fs::read(&file) {
            Ok(bytes) => Ok(parsed(&String::from_utf8_lossy(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(at(&file)(error)),
        }
    }

    fn append(&self, name: &str, record: &ScheduledRunRecord) -> Result<(), Error> {
        let folder = self.folder(name);
        state_folder::create_dir_all(&folder).map_err(at(&folder))?;
        let file = folder.join("records.jsonl");
        let line = serde_json::to_string(record)
            .map_err(|error| Error::Trouble(format!("{}: {error}", file.display())))?;
        let old = fs::read(&file).unwrap_or_default();
        let lines: Vec<&[u8]> = old.split_inclusive(|byte| *byte == b'\n').collect();
        if lines.len() >= 2 * RECORDS {
            let kept = lines.get(lines.len() - RECORDS..).unwrap_or_default();
            replace(&file, &kept.concat()).map_err(at(&file))?;
        }
        // A cut line must not swallow this one.
        let cut = old.last().is_some_and(|byte| *byte != b'\n');
        let line = format!("{}{line}\n", if cut { "\n" } else { "" });
        let mut out = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&file)
            .map_err(at(&file))?;
        out.write_all(line.as_bytes())
            .and_then(|()| out.sync_data())
            .map_err(at(&file))
    }

    fn lock(&self) -> Result<Box<dyn Any>, Error> {
        lock(
            &self.root.join(tos_path!("schedules/lock")),
            "tos schedule run-due",
        )
    }

    fn lock_run(&self, name: &str) -> Result<Box<dyn Any>, Error> {
        let words = format!("tos schedule run {name}");
        lock(&self.folder(name).join("lock"), &words)
    }

    fn is_running(&self, name: &str) -> bool {
        // Only for the eye: taking the lock to see whether it is free could make a run that begins now give up.
        let text = fs::read_to_string(self.folder(name).join("lock")).unwrap_or_default();
        let pid = text
            .strip_prefix("pid ")
            .and_then(|rest| rest.split(' ').next()?.parse().ok())
            .and_then(rustix::process::Pid::from_raw);
        pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
    }

    fn detach(&self, words: &[String]) -> Result<(), Error> {
        let mut command = self.command(words)?;
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own: what ends the caller's group does not end the run.
        command.process_group(0);
        command
            .spawn()
            .map(drop)
            .map_err(|error| Error::Trouble(format!("tos could not be started: {error}")))
    }

    fn run(&self, words: &[String], log: &str) -> Result<i32, Error> {
        let path = self.root.join(log);
        let out = File::create(&path).map_err(at(&path))?;
        let errors = out.try_clone().map_err(at(&path))?;
        let status = self
            .command(words)?
            .stdout(out)
            .stderr(errors)
            .status()
            .map_err(|error| Error::Trouble(format!("tos could not be started: {error}")))?;
        let signal = || status.signal().map_or(-1, |signal| 128 + signal);
        Ok(status.code().unwrap_or_else(signal))
    }

    fn prepare_log(&self, name: &str, slot: Timestamp) -> Result<String, Error> {
        let folder = self.folder(name).join("logs");
        state_folder::create_dir_all(&folder).map_err(at(&folder))?;
        let entries = fs::read_dir(&folder).map_err(at(&folder))?;
        let mut logs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        logs.sort();
        for old in logs.iter().take(logs.len().saturating_sub(LOGS - 1)) {
            drop(fs::remove_file(old));
        }
        let utc = slot.with_timezone(&chrono::Utc).format("%Y%m%dT%H%M%SZ");
        Ok(format!("{TOS_FOLDER}/schedules/{name}/logs/{utc}.log"))
    }

    fn local_zone(&self) -> Option<String> {
        let from_link = || {
            let target = fs::read_link("/etc/localtime").ok()?;
            let target = target.to_str()?.to_owned();
            Some(target.split_once("zoneinfo/")?.1.to_owned())
        };
        let named = self
            .zone
            .as_deref()
            .map(|zone| zone.trim_start_matches(':'));
        named
            .filter(|zone| zone.parse::<chrono_tz::Tz>().is_ok())
            .map(str::to_owned)
            .or_else(from_link)
            .filter(|zone| zone.parse::<chrono_tz::Tz>().is_ok())
    }

    fn file_exists(&self, file: &str) -> bool {
        self.root.join(file).is_file()
    }

    fn program_and_root(&self) -> Result<(PathBuf, PathBuf), Error> {
        Ok((own()?, self.root.clone()))
    }
}
