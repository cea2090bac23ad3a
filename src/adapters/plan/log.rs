//! The run log on disk: JSON lines, appended at once and made durable in groups.
//!
//! A line is written with one call before what it announces happens, so the death of this process loses nothing. A
//! thread flushes to the disk whatever has gathered, again and again while there is something; a loss of power
//! costs at most the last few milliseconds, and work that cost the record of its success is done again.

use std::{
    fs::File,
    io,
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::Path,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use crate::{
    adapters::plan::safe_open,
    domain::plan::{event::PlanEvent, log_line},
};

/// How long events gather before they are flushed together.
const GATHER: Duration = Duration::from_millis(4);

/// Appends to a run log.
pub(crate) struct RunLogWriter {
    file: Arc<File>,
    buffer: Vec<u8>,
    shared: Arc<(Mutex<WriterProgress>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct WriterProgress {
    written: u64,
    durable: u64,
    is_urgent: bool,
    is_over: bool,
    failure: Option<io::ErrorKind>,
}

impl RunLogWriter {
    /// Opens the log for appending; half a line at its end, left by a loss of power, is cut off.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = Arc::new(safe_open::open_append(path)?);
        let whole = whole_lines(path)?;
        if file.metadata()?.len() > whole {
            file.set_len(whole)?;
        }
        let shared = Arc::<(Mutex<WriterProgress>, Condvar)>::default();
        let (its_file, its_shared) = (Arc::clone(&file), Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("run-log".to_owned())
            .stack_size(128 * 1024);
        let thread = thread.spawn(move || flush(&its_file, &its_shared))?;
        Ok(Self {
            file,
            buffer: Vec::new(),
            shared,
            thread: Some(thread),
        })
    }

    /// Writes events.
    pub(crate) fn append(&mut self, events: &[PlanEvent]) -> io::Result<()> {
        self.buffer.clear();
        for event in events {
            serde_json::to_writer(&mut self.buffer, event)?;
            self.buffer.push(b'\n');
        }
        (&*self.file).write_all(&self.buffer)?;
        let mut progress = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        let was_idle = progress.written == progress.durable;
        progress.written += 1;
        if was_idle {
            self.shared.1.notify_all();
        }
        match progress.failure {
            None => Ok(()),
            Some(kind) => Err(kind.into()),
        }
    }

    /// Waits until everything is durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let mut progress = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        progress.is_urgent = true;
        self.shared.1.notify_all();
        while progress.durable < progress.written && progress.failure.is_none() {
            progress = self
                .shared
                .1
                .wait(progress)
                .unwrap_or_else(PoisonError::into_inner);
        }
        progress.is_urgent = false;
        match progress.failure {
            None => Ok(()),
            Some(kind) => Err(kind.into()),
        }
    }
}

impl Drop for RunLogWriter {
    fn drop(&mut self) {
        self.shared
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_over = true;
        self.shared.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // The thread only flushes; what it could not flush was reported by `sync`.
            drop(thread.join());
        }
    }
}

fn flush(file: &File, shared: &(Mutex<WriterProgress>, Condvar)) {
    let (lock, wake_up) = shared;
    let mut progress = lock.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        while progress.written == progress.durable {
            if progress.is_over {
                return;
            }
            progress = wake_up
                .wait(progress)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if !progress.is_urgent && !progress.is_over {
            let gathered = wake_up.wait_timeout_while(progress, GATHER, |progress| {
                !progress.is_urgent && !progress.is_over
            });
            progress = gathered.unwrap_or_else(PoisonError::into_inner).0;
        }
        let written = progress.written;
        drop(progress);
        let result = file.sync_data();
        progress = lock.lock().unwrap_or_else(PoisonError::into_inner);
        progress.durable = written;
        if let Err(error) = result {
            progress.failure = Some(error.kind());
        }
        wake_up.notify_all();
    }
}

/// Returns the length of the file up to its last line end.
fn whole_lines(path: &Path) -> io::Result<u64> {
    let mut file = safe_open::open_regular(path)?;
    let length = file.metadata()?.len();
    let mut end = length;
    let mut buffer = vec![0; 64 * 1024];
    while end > 0 {
        let start = end.saturating_sub(buffer.len() as u64);
        let part = &mut buffer[..usize::try_from(end - start).unwrap_or(0)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Reads the whole lines after `from` bytes and returns where the next ones will begin. A line that is no event
/// or is refused is an error with its number.
pub(crate) fn read(
    path: &Path,
    from: u64,
    mut each: impl FnMut(PlanEvent) -> Result<(), String>,
) -> Result<u64, String> {
    let mut file = safe_open::open_regular(path).map_err(|error| error.to_string())?;
    file.seek(SeekFrom::Start(from))
        .map_err(|error| error.to_string())?;
    let mut reader = BufReader::with_capacity(256 * 1024, file);
    let mut bytes = Vec::new();
    let mut at = from;
    for number in 1_u64.. {
        bytes.clear();
        let count = reader
            .read_until(b'\n', &mut bytes)
            .map_err(|error| error.to_string())?;
        if bytes.last() != Some(&b'\n') {
            break;
        }
        let event = log_line::parse(&bytes)
            .map_err(|error| format!("line {number} of its log is no event: {error}"))?;
        each(event).map_err(|why| format!("line {number} of its log {why}"))?;
        at += count as u64;
    }
    Ok(at)
}
