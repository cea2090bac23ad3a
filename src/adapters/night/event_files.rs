//! Events of runs as lines, `.tos/events/<run>.jsonl`: appended, never changed, numbered without gaps.
//!
//! The number of a line is its place in the file, so the same line always has the same id, whoever reads it and however
//! often. A line that a crash cut short is completed by a line feed and counts as a line that says nothing.

use std::{
    fs::{File, OpenOptions},
    io,
    io::{Read, Seek, SeekFrom, Write},
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use serde_json::json;

use super::notification_queue::DeliverySignal;
use crate::{
    adapters::state_folder,
    domain::{night::RunEvent, redaction::Redactor},
    ports::event_sink::EventSink,
};

/// Events below a state folder.
#[derive(Debug)]
pub struct EventFiles {
    folder: PathBuf,
    redactor: Redactor,
    wake_up: Option<DeliverySignal>,
    open: Mutex<Option<OpenEventFile>>,
}

#[derive(Debug)]
struct OpenEventFile {
    run: String,
    file: File,
    lines: u64,
}

impl EventFiles {
    /// Makes the adapter; touches nothing yet. `wake_up` wakes whoever carries the events away.
    pub const fn new(folder: PathBuf, redactor: Redactor, wake_up: Option<DeliverySignal>) -> Self {
        Self {
            folder,
            redactor,
            wake_up,
            open: Mutex::new(None),
        }
    }

    fn open(&self, run: &str) -> io::Result<OpenEventFile> {
        state_folder::create_dir_all(&self.folder)?;
        let path = self.folder.join(format!("{run}.jsonl"));
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)?;
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut text)?;
        if text.last().is_some_and(|byte| *byte != b'\n') {
            file.write_all(b"\n")?;
            text.push(b'\n');
        }
        Ok(OpenEventFile {
            run: run.to_owned(),
            file,
            lines: String::from_utf8_lossy(&text).lines().count() as u64,
        })
    }

    fn append(&self, event: &RunEvent) -> io::Result<()> {
        let mut slot = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_none_or(|open| open.run != event.run) {
            *slot = Some(self.open(&event.run)?);
        }
        let Some(open) = slot.as_mut() else {
            return Ok(());
        };
        let line = json!({
            "id": format!("{}:{}", event.run, open.lines),
            "timestamp": chrono::Local::now().fixed_offset(),
            "run_id": event.run,
            "session": event.session,
            "event": event.name,
            "data": event.data,
        });
        let line = self.redactor.clean(&line.to_string());
        open.file.write_all(format!("{line}\n").as_bytes())?;
        open.lines += 1;
        Ok(())
    }
}

impl EventSink for EventFiles {
    fn emit(&self, event: &RunEvent) {
        // A full disk loses the event; the ledger is what must not be lost, and it says so itself.
        drop(self.append(event));
        // Where a task or a run begins or ends, somebody may want to know.
        let border = event.name.starts_with("run_") || event.name == "task_done";
        if let Some(wake_up) = self.wake_up.as_ref().filter(|_| border) {
            wake_up.wake();
        }
    }
}
