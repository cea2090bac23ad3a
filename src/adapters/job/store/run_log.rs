//! The run log: append-only JSON lines, and the snapshot that shortens reading them.
//!
//! Danger: this file is the truth. It is only ever appended to; what has to leave it (a torn end, a
//! damaged rest, a stranger's file) is first kept under another name.

use std::{
    fs,
    fs::{File, OpenOptions},
    io,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{aside_name, replace};
use crate::{
    adapters::state_folder,
    domain::{
        hash::hex,
        job::{
            event::{RUN_LOG_VERSION, RunLogEvent},
            state::JobLoopState,
        },
        ledger::chain::sha256,
    },
    ports::store::LoadedRunLog,
};

/// The open log. Reading it first is not required for appending.
#[derive(Debug)]
pub(super) struct RunLog {
    path: PathBuf,
    snapshot: PathBuf,
    file: Option<File>,
    length: u64,
    line: Vec<u8>,
    /// Digest of the whole log, once it has been read.
    digest: Option<Sha256>,
}

/// The snapshot file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateSnapshot {
    version: u32,
    /// Length of the log that is folded in, in bytes.
    log_bytes: u64,
    /// Digest of these bytes: a log that was damaged or changed there is read in full, and noticed.
    log_sha256: String,
    state: JobLoopState,
}

/// Lines that could be read, and where the first unreadable byte lies.
struct ParsedLines {
    events: Vec<RunLogEvent>,
    good: usize,
    rest: UnreadTail,
}

enum UnreadTail {
    Nothing,
    /// The last line is incomplete: a crash in the middle of a write.
    Torn,
    /// A line is not what it should be, and more follows.
    Damaged,
}

impl RunLog {
    pub(super) const fn new(path: PathBuf, snapshot: PathBuf) -> Self {
        Self {
            path,
            snapshot,
            file: None,
            length: 0,
            line: Vec::new(),
            digest: None,
        }
    }

    pub(super) fn load(&mut self) -> io::Result<LoadedRunLog> {
        let mut loaded = LoadedRunLog::default();
        let Some(bytes) = read_if_there(&self.path)? else {
            loaded.absent = true;
            self.drop_snapshot(&mut loaded)?;
            return Ok(loaded);
        };
        let snapshot = self.usable_snapshot(&bytes, &mut loaded)?;
        let start = snapshot.as_ref().map_or(0, |snapshot| snapshot.log_bytes);
        let first = snapshot
            .as_ref()
            .map_or(1, |snapshot| snapshot.state.seq + 1);
        let start = usize::try_from(start).unwrap_or(0);
        let parsed = parse(&bytes[start..], first)?;
        let good = start + parsed.good;
        self.mend(&bytes, good, &parsed.rest, &mut loaded)?;
        self.digest = Some(Sha256::new_with_prefix(&bytes[..good]));
        loaded.snapshot = snapshot.map(|snapshot| snapshot.state);
        loaded.events = parsed.events;
        Ok(loaded)
    }

    pub(super) fn history(&mut self) -> io::Result<Vec<RunLogEvent>> {
        let Some(bytes) = read_if_there(&self.path)? else {
            return Ok(Vec::new());
        };
        Ok(parse(&bytes, 1)?.events)
    }

    /// Cuts the log back to its good part, after keeping the rest under another name.
    fn mend(
        &self,
        bytes: &[u8],
        good: usize,
        rest: &UnreadTail,
        loaded: &mut LoadedRunLog,
    ) -> io::Result<()> {
        let name = self
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let word = match rest {
            UnreadTail::Nothing => return Ok(()),
            UnreadTail::Torn => "torn",
            UnreadTail::Damaged if good == 0 => "foreign",
            UnreadTail::Damaged => "damaged",
        };
        loaded.damaged = word != "torn";
        let aside = aside_name(&self.path, word);
        let kept = match rest {
            UnreadTail::Torn => &bytes[good..],
            UnreadTail::Nothing | UnreadTail::Damaged => bytes,
        };
        replace(&aside, kept)?;
        replace(&self.path, &bytes[..good])?;
        let aside = aside
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        loaded.repairs.push(match word {
            "torn" => format!("{name} ended in the middle of a line; the piece is kept as {aside}"),
            "foreign" => format!("{name} is not a run log; it is kept as {aside} and a new one begins"),
            _ => format!(
                "{name} is damaged after {good} bytes; the whole file is kept as {aside} and its good part goes on"
            ),
        });
        Ok(())
    }

    fn usable_snapshot(
        &self,
        log: &[u8],
        loaded: &mut LoadedRunLog,
    ) -> io::Result<Option<StateSnapshot>> {
        let Some(bytes) = read_if_there(&self.snapshot)? else {
            return Ok(None);
        };
        let snapshot: Option<StateSnapshot> = serde_json::from_slice(&bytes).ok();
        let fits = snapshot.filter(|snapshot| {
            let end = usize::try_from(snapshot.log_bytes).unwrap_or(usize::MAX);
            snapshot.version == RUN_LOG_VERSION
                && log.len() >= end
                && snapshot.log_sha256 == sha256(&log[..end])
        });
        if fits.is_none() {
            self.drop_snapshot(loaded)?;
        }
        Ok(fits)
    }

    /// A snapshot that does not belong to the log says nothing; it is kept under another name.
    fn drop_snapshot(&self, loaded: &mut LoadedRunLog) -> io::Result<()> {
        if self.snapshot.symlink_metadata().is_err() {
            return Ok(());
        }
        let aside = aside_name(&self.snapshot, "stale");
        fs::rename(&self.snapshot, &aside)?;
        let name = aside
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        loaded.repairs.push(format!(
            "run_snapshot.json does not fit the run log; it is kept as {name}"
        ));
        Ok(())
    }

    pub(super) fn append(&mut self, events: &[RunLogEvent], sync: bool) -> io::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        self.open()?;
        self.line.clear();
        for event in events {
            serde_json::to_writer(&mut self.line, event)?;
            self.line.push(b'\n');
        }
        let Some(file) = &mut self.file else {
            return Err(io::Error::other("the run log is not open"));
        };
        let written = file
            .write_all(&self.line)
            .and_then(|()| if sync { file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            // A part of a line must not stay: the next append would continue it. Cutting back works on
            // a full disk; where even that fails, the next start finds the torn end.
            drop(file.set_len(self.length));
            drop(file.seek(SeekFrom::Start(self.length)));
            return Err(error);
        }
        self.length += self.line.len() as u64;
        if let Some(digest) = &mut self.digest {
            digest.update(&self.line);
        }
        Ok(())
    }

    fn open(&mut self) -> io::Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            state_folder::create_dir_all(folder)?;
        }
        let new = !self.path.is_file();
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)?;
        if new {
            sync_folder(&self.path)?;
        }
        self.length = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }

    pub(super) fn save_snapshot(&mut self, state: &JobLoopState) -> io::Result<()> {
        self.open()?;
        let digest = match &self.digest {
            Some(digest) => digest.clone(),
            None => Sha256::new_with_prefix(fs::read(&self.path)?),
        };
        let snapshot = StateSnapshot {
            version: RUN_LOG_VERSION,
            log_bytes: self.length,
            log_sha256: hex(&digest.finalize()),
            state: state.clone(),
        };
        replace(&self.snapshot, &serde_json::to_vec(&snapshot)?)
    }

    /// Moves the log into an archive folder; the move is what completes a clean start.
    pub(super) fn retire(&mut self, folder: &Path) -> io::Result<()> {
        self.file = None;
        self.length = 0;
        self.digest = None;
        state_folder::create_dir_all(folder)?;
        for path in [&self.snapshot, &self.path] {
            let Some(name) = path.file_name() else {
                continue;
            };
            match fs::rename(path, folder.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        sync_folder(&self.path)
    }
}

fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(mut file) => file.read_to_end(&mut bytes).map(|_| Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a new name in a folder durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn parse(bytes: &[u8], first: u64) -> io::Result<ParsedLines> {
    let mut parsed = ParsedLines {
        events: Vec::new(),
        good: 0,
        rest: UnreadTail::Nothing,
    };
    let mut expected = first;
    while parsed.good < bytes.len() {
        let rest = &bytes[parsed.good..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let line = &rest[..end.unwrap_or(rest.len())];
        let event = serde_json::from_slice::<RunLogEvent>(line).ok();
        match (event, end) {
            (Some(event), Some(end)) if event.v <= RUN_LOG_VERSION && event.seq == expected => {
                expected += 1;
                parsed.good += end + 1;
                parsed.events.push(event);
            }
            (_, _) if newer(line) => return Err(too_new()),
            (_, None) => {
                parsed.rest = UnreadTail::Torn;
                return Ok(parsed);
            }
            (_, Some(end)) => {
                let last = end + 1 == rest.len();
                // Blocks that never reached the disk read as zeros after a power cut.
                let zeros = line.iter().all(|byte| *byte == 0);
                parsed.rest = if last && zeros {
                    UnreadTail::Torn
                } else {
                    UnreadTail::Damaged
                };
                return Ok(parsed);
            }
        }
    }
    Ok(parsed)
}

fn newer(line: &[u8]) -> bool {
    let value = serde_json::from_slice::<serde_json::Value>(line).ok();
    let version = value.as_ref().and_then(|value| value.get("v")?.as_u64());
    version.is_some_and(|version| version > u64::from(RUN_LOG_VERSION))
}

fn too_new() -> io::Error {
    io::Error::other("it was written by a newer tos; use that version, or start over with cleanrun")
}
