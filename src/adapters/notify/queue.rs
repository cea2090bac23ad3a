//! Delivers notifications on a thread of its own: work never waits for it, and nothing that fails in it stops anything.
//!
//! Each notification is written down below `.tos/notifications` before it is sent, one file a way, and taken away when it
//! has arrived. So it arrives at least once, also when tos is killed: the next start that has notifiers finds the file and
//! goes on. Tries are bounded ([`retry_delay_ms`]), over all starts together; what is given up is laid aside in `undelivered`.
//! One way that is slow or away does not hold up the others.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use chrono::Local;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{
    adapters::job::store::{StoreLock, replace},
    domain::{
        notify::{Notification, NotificationError, retry_delay_ms},
        redaction::Redactor,
        time::Timestamp,
    },
    ports::{
        BoxFuture,
        notifier::{DeliveryReport, NotificationSink, Notifier},
    },
};

/// Where notifications wait and how fast they are tried again.
#[derive(Debug, Clone)]
pub struct QueueOptions {
    /// The folder of notifications that have not arrived.
    pub folder: PathBuf,
    /// The name of this process's own folder in it.
    pub run: String,
    /// What a second of the pauses between tries is.
    pub second: Duration,
    /// What removes secrets before anything is written down.
    pub redactor: Redactor,
}

/// What is written down.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Waiting {
    notifier: String,
    at: Timestamp,
    tries: usize,
    notification: Notification,
}

/// One delivery under way; `file` = where it is written down.
#[derive(Debug)]
struct Parcel {
    waiting: Waiting,
    file: Option<PathBuf>,
    is_new: bool,
}

/// How deliveries stand; shared with whoever waits for them.
#[derive(Debug, Default)]
struct Standing {
    untried: u32,
    arrived: u32,
    /// By way: what its last try came to.
    failed: BTreeMap<String, String>,
}

type Shared = Arc<(Mutex<Standing>, Condvar)>;

/// A queue at work.
pub struct NotificationQueue {
    notifiers: Vec<Arc<dyn Notifier>>,
    ways: BTreeMap<String, UnboundedSender<Parcel>>,
    shared: Shared,
    options: QueueOptions,
    folder: PathBuf,
    count: AtomicU32,
    lock: Option<StoreLock>,
}

impl std::fmt::Debug for NotificationQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NotificationQueue").finish_non_exhaustive()
    }
}

impl NotificationQueue {
    /// Starts delivering, first what an earlier tos has left.
    pub fn start(notifiers: Vec<Arc<dyn Notifier>>, options: QueueOptions) -> io::Result<Self> {
        let shared = Shared::default();
        let mut ways = BTreeMap::new();
        let mut work = Vec::new();
        for notifier in &notifiers {
            let (sender, parcels) = unbounded_channel();
            ways.insert(notifier.name().to_owned(), sender);
            work.push((Arc::clone(notifier), parcels));
        }
        let folder = options.folder.join(&options.run);
        let mut queue = Self {
            notifiers,
            ways,
            shared: Arc::clone(&shared),
            folder,
            count: AtomicU32::new(0),
            lock: None,
            options: options.clone(),
        };
        if queue.notifiers.is_empty() {
            return Ok(queue);
        }
        std::thread::Builder::new()
            .name("tos-notifications".to_owned())
            .spawn(move || deliver_all(work, &shared, &options))?;
        // Without its own folder nothing is kept for later; it is told all the same.
        queue.lock =
            StoreLock::acquire(&queue.folder.join("lock"), "delivering notifications").ok();
        queue.adopt();
        Ok(queue)
    }

    /// Takes over what processes that are gone have left.
    fn adopt(&self) {
        let folders = fs::read_dir(&self.options.folder).into_iter().flatten();
        for entry in folders.flatten() {
            let path = entry.path();
            let is_other = path.is_dir()
                && path != self.folder
                && path.file_name().is_some_and(|name| name != UNDELIVERED);
            // Whoever lives holds the lock of its folder.
            let Some(_lock) = is_other
                .then(|| StoreLock::acquire(&path.join("lock"), "taking over notifications").ok())
                .flatten()
            else {
                continue;
            };
            for file in files(&path) {
                self.take_over(&file);
            }
            drop(fs::remove_dir_all(&path));
        }
    }

    fn take_over(&self, file: &Path) {
        let Some(mut waiting) = fs::read(file)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Waiting>(&bytes).ok())
        else {
            return;
        };
        waiting.notification.late = Some(waiting.at);
        self.post(waiting, false);
    }

    /// Writes a notification down and hands it to the thread of its way.
    fn post(&self, waiting: Waiting, is_new: bool) {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let file = self.folder.join(format!("{number:06}.json"));
        let is_here = self
            .notifiers
            .iter()
            .any(|one| one.name() == waiting.notifier && one.is_ephemeral());
        let file = (!is_here && written(&file, &waiting)).then_some(file);
        let Some(way) = self.ways.get(&waiting.notifier) else {
            // The way is no longer configured.
            aside(&self.options.folder, file.as_deref());
            return;
        };
        if is_new {
            standing(&self.shared).untried += 1;
        }
        // A thread that is gone has told nobody; the file waits for the next start.
        drop(way.send(Parcel {
            waiting,
            file,
            is_new,
        }));
    }
}

/// Where what was given up lies.
const UNDELIVERED: &str = "undelivered";

fn written(file: &Path, waiting: &Waiting) -> bool {
    serde_json::to_vec(waiting).is_ok_and(|bytes| replace(file, &bytes).is_ok())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    files.sort();
    files
}

/// Lays a notification that is given up beside the others.
fn aside(folder: &Path, file: Option<&Path>) {
    let Some(file) = file else { return };
    let run = file
        .parent()
        .and_then(Path::file_name)
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let place = folder.join(UNDELIVERED);
    // If it cannot be laid aside, it is tried again at the next start: more than promised.
    if fs::create_dir_all(&place).is_ok() {
        drop(fs::rename(file, place.join(format!("{run}-{name}"))));
    }
}

fn standing(shared: &Shared) -> std::sync::MutexGuard<'_, Standing> {
    shared.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn deliver_all(
    work: Vec<(Arc<dyn Notifier>, UnboundedReceiver<Parcel>)>,
    shared: &Shared,
    options: &QueueOptions,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else { return };
    let local = tokio::task::LocalSet::new();
    for (notifier, parcels) in work {
        let (shared, options) = (Arc::clone(shared), options.clone());
        local.spawn_local(way(notifier, parcels, shared, options));
    }
    runtime.block_on(local);
}

/// Delivers what goes one way, in order.
async fn way(
    notifier: Arc<dyn Notifier>,
    mut parcels: UnboundedReceiver<Parcel>,
    shared: Shared,
    options: QueueOptions,
) {
    while let Some(parcel) = parcels.recv().await {
        deliver(&*notifier, parcel, &shared, &options).await;
    }
}

async fn deliver(
    notifier: &dyn Notifier,
    mut parcel: Parcel,
    shared: &Shared,
    options: &QueueOptions,
) {
    let mut first = parcel.is_new;
    loop {
        let result = notifier.tell(&parcel.waiting.notification).await;
        parcel.waiting.tries += 1;
        if result.is_ok()
            && let Some(file) = &parcel.file
        {
            drop(fs::remove_file(file));
        }
        note(
            notifier,
            &result,
            &parcel,
            std::mem::take(&mut first),
            shared,
        );
        let Err(refusal) = result else { return };
        let unit = u64::try_from(options.second.as_millis()).unwrap_or(1000);
        let pause = retry_delay_ms(parcel.waiting.tries, refusal.again, unit);
        let Some(pause) = pause else {
            aside(&options.folder, parcel.file.as_deref());
            return;
        };
        if let Some(file) = &parcel.file {
            written(file, &parcel.waiting);
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

/// Keeps how a try went, for whoever waits.
fn note(
    notifier: &dyn Notifier,
    result: &Result<(), NotificationError>,
    parcel: &Parcel,
    first: bool,
    shared: &Shared,
) {
    let name = notifier.name();
    let mut standing = standing(shared);
    match result {
        Ok(()) => {
            standing.arrived += u32::from(parcel.is_new);
            standing.failed.remove(name);
        }
        Err(refusal) => {
            let remedy = if refusal.remedy.is_empty() {
                String::new()
            } else {
                format!("; {}", refusal.remedy)
            };
            let line = format!("{name} could not be told: {}{remedy}", refusal.why);
            standing.failed.insert(name.to_owned(), line);
        }
    }
    if first {
        standing.untried = standing.untried.saturating_sub(1);
        shared.1.notify_all();
    }
}

impl NotificationSink for NotificationQueue {
    fn send(&self, notification: Notification) {
        let clean = notification.redacted(&self.options.redactor);
        for notifier in &self.notifiers {
            if notifier.wants(clean.event) {
                let waiting = Waiting {
                    notifier: notifier.name().to_owned(),
                    at: Local::now().fixed_offset(),
                    tries: 0,
                    notification: clean.clone(),
                };
                self.post(waiting, true);
            }
        }
    }

    fn flush(&self, most: Duration) -> BoxFuture<'_, DeliveryReport> {
        let shared = Arc::clone(&self.shared);
        let wait = move || {
            let end = std::time::Instant::now() + most;
            let mut now = standing(&shared);
            loop {
                let left = end.saturating_duration_since(std::time::Instant::now());
                if now.untried == 0 || left.is_zero() {
                    return DeliveryReport {
                        arrived: now.arrived,
                        failed: now.failed.values().cloned().collect(),
                    };
                }
                let woken = shared.1.wait_timeout(now, left);
                now = woken.map_or_else(|poisoned| poisoned.into_inner().0, |(guard, _)| guard);
            }
        };
        Box::pin(async move { tokio::task::spawn_blocking(wait).await.unwrap_or_default() })
    }
}

impl Drop for NotificationQueue {
    fn drop(&mut self) {
        // An own folder in which nothing waits is taken away; the next start would do it too.
        if self.lock.is_some() && files(&self.folder).is_empty() {
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}
