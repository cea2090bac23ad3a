//! Files that survive: the run log, atomically replaced records, the archive, the lock.
//!
//! Everything lies in plain files below one root, so that a person can read it without tos. Only the
//! run log is the truth; every other file can be written again from it.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    sync::Mutex,
};

use crate::{
    adapters::state_folder,
    domain::job::{
        event::RunLogEvent,
        record::{RecordFiles, step_file, step_number},
        state::JobLoopState,
    },
    ports::store::{Error, LoadedRunLog, RecordFile, Store},
};

mod archive;
mod lock;
mod run_log;

pub use lock::{LockError, StoreLock};

/// Where things lie. All paths but the root are relative to it.
#[derive(Debug, Clone)]
pub struct StoreLayout {
    /// The root, absolute.
    pub root: PathBuf,
    /// The workspace folder.
    pub workspace: PathBuf,
    /// The folder of logs.
    pub logs: PathBuf,
    /// The job input.
    pub job_input: Option<PathBuf>,
    /// The job result.
    pub job_result: PathBuf,
    /// The run summary; its one-line twin lies beside it with the ending `.txt`.
    pub summary: PathBuf,
    /// How many archives a clean start keeps.
    pub archive_keep: usize,
}

impl StoreLayout {
    /// Returns the absolute path of a record.
    pub fn record(&self, record: RecordFile) -> PathBuf {
        let workspace = self.root.join(&self.workspace);
        match record {
            RecordFile::Step(number) => self.steps().join(step_file(number)),
            RecordFile::PhaseState => workspace.join("phase_state.json"),
            RecordFile::OldPhaseState => workspace.join("artifacts/phase_state.json"),
            RecordFile::PhaseSummary => workspace.join("artifacts/phase_summary.json"),
            RecordFile::JobResult => self.root.join(&self.job_result),
        }
    }

    /// Returns the absolute path of the run log.
    pub fn run_log(&self) -> PathBuf {
        self.root.join(&self.logs).join("run.jsonl")
    }

    /// Returns the absolute path of the folder of step logs.
    pub fn steps(&self) -> PathBuf {
        self.root.join(&self.logs).join("steps")
    }

    fn snapshot(&self) -> PathBuf {
        self.root.join(&self.logs).join("run_snapshot.json")
    }

    /// Returns a path as people write it: relative to the root where it lies below it.
    pub fn display_path(&self, path: &Path) -> String {
        let path = path.strip_prefix(&self.root).unwrap_or(path);
        path.to_string_lossy().replace('\\', "/")
    }
}

/// The store on the local disk.
#[derive(Debug)]
pub struct DiskStore {
    layout: StoreLayout,
    log: Mutex<run_log::RunLog>,
}

impl DiskStore {
    /// Makes a store; nothing is touched before the first call.
    pub fn new(layout: StoreLayout) -> Self {
        let log = run_log::RunLog::new(layout.run_log(), layout.snapshot());
        Self {
            layout,
            log: Mutex::new(log),
        }
    }

    /// Returns where things lie.
    pub const fn layout(&self) -> &StoreLayout {
        &self.layout
    }

    /// Makes the folders that the documentation promises.
    pub fn make_folders(&self) -> Result<(), Error> {
        let workspace = self.layout.root.join(&self.layout.workspace);
        let folders = ["generated", "results", "artifacts"].map(|name| workspace.join(name));
        for folder in folders.into_iter().chain([self.layout.steps()]) {
            fs::create_dir_all(&folder).map_err(|error| self.error(&folder, &error))?;
        }
        Ok(())
    }

    fn error(&self, path: &Path, error: &io::Error) -> Error {
        io_error(self.layout.display_path(path), error)
    }

    fn with_log<T>(
        &self,
        act: impl FnOnce(&mut run_log::RunLog) -> io::Result<T>,
    ) -> Result<T, Error> {
        let mut log = self
            .log
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        act(&mut log).map_err(|error| self.error(&self.layout.run_log(), &error))
    }
}

/// Turns an I/O error into a sentence with a remedy.
pub(crate) fn io_error(path: String, error: &io::Error) -> Error {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space and run again"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; make it writable and run again"
        }
        _ => "",
    };
    Error {
        path,
        why: format!("{}{remedy}", without_temporary(error)),
    }
}

/// Returns the words of an error without the name of the temporary file in which a file is first written: nobody made it,
/// and it is gone.
fn without_temporary(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" at path \"") {
        Some((why, rest)) if rest.contains("/.tmp") => why.to_owned(),
        _ => text,
    }
}

impl Store for DiskStore {
    fn load(&self) -> Result<LoadedRunLog, Error> {
        self.with_log(run_log::RunLog::load)
    }

    fn history(&self) -> Result<Vec<RunLogEvent>, Error> {
        self.with_log(run_log::RunLog::history)
    }

    fn append(&self, events: &[RunLogEvent], sync: bool) -> Result<(), Error> {
        self.with_log(|log| log.append(events, sync))
    }

    fn save_snapshot(&self, state: &JobLoopState) -> Result<(), Error> {
        self.with_log(|log| log.save_snapshot(state))
    }

    fn write(&self, record: RecordFile, content: &str) -> Result<(), Error> {
        let path = self.layout.record(record);
        replace(&path, content.as_bytes()).map_err(|error| self.error(&path, &error))
    }

    fn read(&self, record: RecordFile) -> Result<Option<Vec<u8>>, Error> {
        let path = self.layout.record(record);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.error(&path, &error)),
        }
    }

    fn set_aside(&self, record: RecordFile, word: &str) -> Result<String, Error> {
        let path = self.layout.record(record);
        let new = aside_name(&path, word);
        fs::rename(&path, &new).map_err(|error| self.error(&path, &error))?;
        Ok(self.layout.display_path(&new))
    }

    fn set_aside_results(&self, job: u32, files: &[PathBuf]) -> Result<Vec<String>, Error> {
        archive::archive_results(&self.layout, job, files)
    }

    fn archive_name(&self) -> String {
        archive::new_name(&self.layout)
    }

    fn archive(&self, name: &str) -> Result<(), Error> {
        archive::archive_records(&self.layout, name)?;
        let folder = self.layout.root.join(name);
        self.with_log(|log| log.retire(&folder))?;
        archive::prune(&self.layout)
    }

    fn record_files(&self) -> RecordFiles {
        let there = |record| self.layout.record(record).is_file();
        let job_result = self.layout.record(RecordFile::JobResult);
        let input = self
            .layout
            .job_input
            .as_ref()
            .map(|path| self.layout.root.join(path));
        RecordFiles {
            step_logs: step_logs(&self.layout.steps()),
            phase_state: there(RecordFile::PhaseState),
            phase_summary: there(RecordFile::PhaseSummary),
            job_result: job_result
                .is_file()
                .then(|| job_result.to_string_lossy().into_owned()),
            payload_bytes: input
                .and_then(|path| fs::metadata(path).ok())
                .filter(fs::Metadata::is_file)
                .map(|meta| meta.len()),
        }
    }

    fn write_summary(&self, json: &str, text: &str) -> Result<String, Error> {
        let path = self.layout.root.join(&self.layout.summary);
        let twin = path.with_extension("txt");
        replace(&path, json.as_bytes()).map_err(|error| self.error(&path, &error))?;
        replace(&twin, format!("{text}\n").as_bytes())
            .map_err(|error| self.error(&twin, &error))?;
        Ok(self.layout.display_path(&path))
    }
}

/// Returns the numbers of the step logs in a folder, ascending.
fn step_logs(folder: &Path) -> Vec<u32> {
    let mut numbers: Vec<u32> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| step_number(entry.file_name().to_str()?))
        .collect();
    numbers.sort_unstable();
    numbers
}

/// Replaces a file in one piece: a reader sees the old content or the new, never a part. Missing
/// folders are made.
///
/// The content is on the disk before the name changes, so a power cut leaves one of the two.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut file = match tempfile::NamedTempFile::new_in(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            state_folder::create_dir_all(folder)?;
            tempfile::NamedTempFile::new_in(folder)?
        }
        other => other?,
    };
    file.write_all(content)?;
    file.as_file().sync_data()?;
    open_to_group(file.as_file())?;
    file.persist(path)?;
    Ok(())
}

/// Gives a temporary file the permissions an ordinary new file would have.
#[cfg(unix)]
fn open_to_group(file: &fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn open_to_group(_file: &fs::File) -> io::Result<()> {
    Ok(())
}

/// Returns a free name `<name>.<word>-<time>` beside `path`.
pub(crate) fn aside_name(path: &Path, word: &str) -> PathBuf {
    let stamp = chrono::Local::now().format("%Y%m%dT%H%M%S");
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut candidate = path.with_file_name(format!("{name}.{word}-{stamp}"));
    let mut count = 1;
    while candidate.symlink_metadata().is_ok() {
        count += 1;
        candidate = path.with_file_name(format!("{name}.{word}-{stamp}-{count}"));
    }
    candidate
}
