//! Carries events to whoever collects them, on a thread of its own: work never waits for it.
//!
//! Every event is delivered at least once. How many lines of a file have arrived is written down beside it only after the
//! collector said so; a crash in between sends some lines again, with the same ids. A collector that is away is tried again
//! later, after longer and longer pauses; what did not arrive waits in its file for the next start. An event whose content
//! the collector refuses is laid beside the others (`.refused`), so that it does not hold up those behind it.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        mpsc,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use crate::adapters::{
    job::store::{StoreLock, replace},
    notify,
};

/// At most so many events go in one parcel.
const PARCEL: usize = 100;
/// At most so many bytes go in one parcel, unless one event is longer.
const PARCEL_BYTES: usize = 256 << 10;
/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long the end of a session waits for the last events, and only if the collector answered before.
const FAREWELL: Duration = Duration::from_secs(2);

/// Where events go.
#[derive(Debug, Clone)]
pub struct EventDeliveryOptions {
    /// The folder with the events.
    pub folder: PathBuf,
    /// The collector's address.
    pub url: String,
    /// What it wants to see in `Authorization: Bearer`.
    pub token: Option<String>,
    /// The pause after a first failure; it doubles with each further one.
    pub pause: Duration,
    /// How long the collector may take.
    pub deadline: Duration,
}

enum QueueSignal {
    /// There is something new.
    New,
    /// Deliver once more and end.
    Last(Sender<()>),
}

/// Wakes a queue.
#[derive(Debug, Clone)]
pub struct DeliverySignal(Sender<QueueSignal>);

impl std::fmt::Debug for QueueSignal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Word")
    }
}

impl DeliverySignal {
    /// Says that there is something new; returns at once.
    pub fn wake(&self) {
        // A queue that is gone is not woken.
        drop(self.0.send(QueueSignal::New));
    }
}

/// A queue at work; it ends when dropped.
#[derive(Debug)]
pub struct EventForwarder {
    words: Sender<QueueSignal>,
}

impl EventForwarder {
    /// Sends one on its way.
    pub fn start(options: EventDeliveryOptions) -> io::Result<Self> {
        let (words, heard) = mpsc::channel();
        std::thread::Builder::new()
            .name("tos-events".to_owned())
            .spawn(move || round(&options, &heard))?;
        Ok(Self { words })
    }

    /// Returns what wakes it.
    pub fn signal(&self) -> DeliverySignal {
        DeliverySignal(self.words.clone())
    }
}

impl Drop for EventForwarder {
    fn drop(&mut self) {
        let (done, gone) = mpsc::channel();
        if self.words.send(QueueSignal::Last(done)).is_ok() {
            // Whatever comes of it: what did not arrive waits for the next start.
            gone.recv_timeout(FAREWELL).unwrap_or_default();
        }
    }
}

/// Goes round until told to end: delivers, waits for something new, pauses longer after each failure.
fn round(options: &EventDeliveryOptions, heard: &Receiver<QueueSignal>) {
    let mut failures = 0_u32;
    loop {
        failures = match blocking_deliver(options) {
            Ok(_) => 0,
            Err(_) => failures.saturating_add(1),
        };
        let pause = options.pause.saturating_mul(1 << failures.min(16));
        let word = if failures == 0 {
            heard.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            wait(heard, pause.min(LONGEST_PAUSE))
        };
        match word {
            Ok(QueueSignal::Last(done)) => {
                // A collector that did not answer a moment ago is not waited for.
                if failures == 0 {
                    drop(blocking_deliver(options));
                }
                done.send(()).unwrap_or_default();
                return;
            }
            Ok(QueueSignal::New) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // Several rings are one.
        if failures == 0 && drained(heard, options) {
            return;
        }
    }
}

/// Waits out a pause; only the last word cuts it short.
fn wait(heard: &Receiver<QueueSignal>, pause: Duration) -> Result<QueueSignal, RecvTimeoutError> {
    let end = std::time::Instant::now() + pause;
    loop {
        let left = end.saturating_duration_since(std::time::Instant::now());
        match heard.recv_timeout(left) {
            Ok(QueueSignal::New) => {}
            other => return other,
        }
    }
}

/// Takes every word that waits; the last one is obeyed at once. Returns whether it was among them.
fn drained(heard: &Receiver<QueueSignal>, options: &EventDeliveryOptions) -> bool {
    while let Ok(word) = heard.try_recv() {
        if let QueueSignal::Last(done) = word {
            drop(blocking_deliver(options));
            done.send(()).unwrap_or_default();
            return true;
        }
    }
    false
}

/// Delivers everything that has not arrived yet, and returns how many events that were.
pub fn blocking_deliver(options: &EventDeliveryOptions) -> Result<usize, String> {
    if !options.folder.is_dir() {
        return Ok(0);
    }
    // Two couriers would only send everything twice.
    let Ok(_lock) = StoreLock::acquire(&options.folder.join("lock"), "delivering events") else {
        return Ok(0);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let mut delivered = 0;
    for file in files(&options.folder) {
        delivered += runtime.block_on(deliver(options, &file))?;
    }
    Ok(delivered)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    files.sort();
    files
}

async fn deliver(options: &EventDeliveryOptions, file: &Path) -> Result<usize, String> {
    let sent = file.with_extension("sent");
    let text = fs::read(file).map_err(|error| error.to_string())?;
    let mut at = arrived(&sent).min(text.len());
    let mut delivered = 0;
    loop {
        let (parcel, bytes) = parcel(text.get(at..).unwrap_or_default());
        if bytes == 0 {
            return Ok(delivered);
        }
        if !parcel.is_empty() {
            hand_over(options, &parcel, file).await?;
        }
        at += bytes;
        replace(&sent, at.to_string().as_bytes()).map_err(|error| error.to_string())?;
        delivered += parcel.len();
    }
}

/// Sends a parcel; one that is refused is sent event by event, and what is refused then is laid aside.
async fn hand_over(
    options: &EventDeliveryOptions,
    parcel: &[String],
    file: &Path,
) -> Result<(), String> {
    if send(options, parcel).await? == DeliveryResponse::Kept {
        return Ok(());
    }
    for line in parcel {
        let line = std::slice::from_ref(line);
        if parcel.len() > 1 && send(options, line).await? == DeliveryResponse::Kept {
            continue;
        }
        let aside = file.with_extension("refused");
        lay_aside(&aside, line).map_err(|error| format!("{}: {error}", aside.display()))?;
    }
    Ok(())
}

fn lay_aside(file: &Path, lines: &[String]) -> io::Result<()> {
    let mut aside = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)?;
    for line in lines {
        aside.write_all(format!("{line}\n").as_bytes())?;
    }
    aside.sync_data()
}

/// Returns how many bytes of a file have arrived.
fn arrived(sent: &Path) -> usize {
    let text = fs::read_to_string(sent).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Returns the next whole lines, and how many bytes they take. A line that a crash cut is no event.
fn parcel(text: &[u8]) -> (Vec<String>, usize) {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let full = lines.len() >= PARCEL || (bytes > 0 && bytes + line.len() > PARCEL_BYTES);
        if full || !line.ends_with(b"\n") {
            break;
        }
        bytes += line.len();
        let line = String::from_utf8_lossy(line).trim().to_owned();
        if serde_json::from_str::<Value>(&line).is_ok_and(|value| value.is_object()) {
            lines.push(line);
        }
    }
    (lines, bytes)
}

/// What a collector says to a parcel that reached it.
#[derive(Debug, PartialEq, Eq)]
enum DeliveryResponse {
    /// It has it.
    Kept,
    /// It does not take such content, now or later.
    Refused,
}

async fn send(
    options: &EventDeliveryOptions,
    parcel: &[String],
) -> Result<DeliveryResponse, String> {
    let url = reqwest::Url::parse(&options.url)
        .map_err(|error| format!("the address of the collector is wrong: {error}"))?;
    // An address may hold a token, so it is cut out of every error.
    let plain = |error: reqwest::Error| error.without_url().to_string();
    let client = notify::client(&url, options.deadline).map_err(plain)?;
    let mut request = client
        .post(url)
        .header(CONTENT_TYPE, "application/x-ndjson")
        .body(format!("{}\n", parcel.join("\n")));
    if let Some(token) = &options.token {
        request = request.bearer_auth(token);
    }
    let status = request.send().await.map_err(plain)?.status();
    match status.as_u16() {
        200..=299 => Ok(DeliveryResponse::Kept),
        // About the content. Whoever is not let in (401, 403) or asks at a wrong place (404) may be put right.
        400 | 413 | 415 | 422 => Ok(DeliveryResponse::Refused),
        _ => Err(format!("the collector answered {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_events_are_sent() {
        let text = b"{\"id\":1}\nhalf a li\n{\"id\":2}\n{\"id\":";
        assert_eq!(
            parcel(text),
            (vec!["{\"id\":1}".to_owned(), "{\"id\":2}".to_owned()], 28)
        );
        assert_eq!(parcel(b"{\"id\":"), (Vec::new(), 0));
    }

    #[test]
    fn a_parcel_holds_so_many_events_and_one_that_is_too_long_goes_alone() {
        let many = "{}\n".repeat(PARCEL + 1);
        assert_eq!(parcel(many.as_bytes()).1, 3 * PARCEL);
        let long = format!("{{\"a\":\"{}\"}}\n{{}}\n", "x".repeat(PARCEL_BYTES));
        assert_eq!(parcel(long.as_bytes()).0.len(), 1);
    }
}
