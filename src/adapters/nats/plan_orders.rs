//! A worker's side of plans on a cluster: tasks taken, claimed, laid out and reported.
//!
//! As with attempts of a board, an order is begun once: whoever has its claim makes it. What a task printed leaves the machine without
//! what is known as a secret here.

use std::{
    collections::BTreeMap,
    io::SeekFrom,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream::{AckKind, Message, consumer::PullConsumer};
use tokio::{
    io::{AsyncReadExt as _, AsyncSeekExt as _},
    sync::{mpsc, watch},
};

use super::{
    claimed::{ClaimedMessage, claim},
    connection::NatsConnection,
    controls::followed,
    orders::{first_message, give_back},
    plan_tasks::{PlanStreams, claim_key, project_name},
    streams::{consumer, consumer_name},
};
use crate::{
    adapters::{
        git::{bundle::GitBundles, project::blocking_check_out_into},
        plan::safe_open,
    },
    domain::{
        cluster::{
            Delivery, PLAN_QUEUE_NAME, PROTOCOL_VERSION, PlanFile, PlanTaskRequest, PlanTaskResult,
            PrintedPiece, RemoteExit, TaskOutputText, WorkerInfo, WorkerInstructions, split_text,
        },
        ledger::chain::sha256,
        redaction::{Redactor, StreamRedactor},
    },
    ports::{
        BoxFuture,
        cluster::{Error, StopFeed},
        plan_work::{
            ClaimedPlanTask, PlanTaskQueue, PrintSink, TaskExecutionResult, TaskOutputFile,
        },
    },
};

/// How much of a text goes with the result itself.
const SHORT: usize = 32 * 1024;
/// How much of what a task prints is shown in one message while it runs.
const PIECE: usize = 64 * 1024;
/// How much of what a task printed goes to its runner; of more, the end.
const MOST: u64 = 64 * 1024 * 1024;

/// A worker's side.
pub(super) struct NatsPlanOrders {
    streams: PlanStreams,
    place: Place,
    lanes: tokio::sync::Mutex<BTreeMap<String, PullConsumer>>,
    last: AtomicUsize,
    card: WorkerInfo,
    controls: watch::Receiver<WorkerInstructions>,
}

/// Where projects are kept on this machine.
#[derive(Clone)]
struct Place {
    root: PathBuf,
    bundles: GitBundles,
    redactor: Redactor,
    /// One fetches at a time, the others find it there.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

impl NatsPlanOrders {
    /// Opens the queue for a worker whose repository is around `root`. Blocks.
    pub(super) fn open(
        cluster: &Arc<NatsConnection>,
        root: &Path,
        redactor: &Redactor,
        card: WorkerInfo,
    ) -> Result<Self, String> {
        let streams = cluster.retry(|| cluster.block_on(PlanStreams::open(cluster)))?;
        let now = cluster.block_on(streams.controls.read())?;
        Ok(Self {
            controls: followed(cluster, streams.controls.clone(), now),
            place: Place {
                root: root.to_owned(),
                bundles: GitBundles::new(root),
                redactor: redactor.clone(),
                fetching: Arc::default(),
            },
            lanes: tokio::sync::Mutex::default(),
            last: AtomicUsize::new(0),
            streams,
            card,
        })
    }

    async fn consumers(&self) -> Result<Vec<PullConsumer>, String> {
        let lanes = self.controls.borrow().lanes(&self.card.labels);
        let mut known = self.lanes.lock().await;
        let mut consumers = Vec::new();
        for lane in lanes {
            if !known.contains_key(&lane) {
                let cluster = &self.streams.cluster;
                let name = consumer_name(PLAN_QUEUE_NAME, &lane);
                let subject = cluster.subject(&format!(
                    "work.{PROTOCOL_VERSION}.{PLAN_QUEUE_NAME}.{lane}.*.*"
                ));
                let made = consumer(&self.streams.work, &name, subject, cluster.lease).await?;
                known.insert(lane.clone(), made);
            }
            consumers.extend(known.get(&lane).cloned());
        }
        Ok(consumers)
    }

    async fn taken(&self, message: Message) -> Result<Option<Taken>, String> {
        let order: PlanTaskRequest = match serde_json::from_slice(&message.payload) {
            Ok(order) => order,
            Err(error) => {
                tracing::warn!("an order of another version: {error}");
                give_back(&message, self.streams.cluster.lease).await;
                return Ok(None);
            }
        };
        let (presence, key) = (&self.streams.presence, claim_key(&order));
        // Whoever is told to stop is told from the first moment on.
        let stops = self.streams.stop_subject(&order.run);
        let stops = self.streams.cluster.client.subscribe(stops).await;
        let stops = stops.map_err(|error| error.to_string())?;
        match claim(presence, &key, &self.card.name).await? {
            Delivery::Begin => {}
            Delivery::Leave => return Ok(None),
            Delivery::ReportLost => {
                let end = RemoteExit::lost("the worker that took it is gone".to_owned());
                let result = PlanTaskResult::to(&order, "", end);
                self.streams.report(&result).await?;
                drop(message.ack_with(AckKind::Term).await);
                return Ok(None);
            }
        }
        let (streams, place) = (self.streams.clone(), self.place.clone());
        let worker = self.card.name.clone();
        Ok(Some(Taken::begin(
            streams, place, order, message, worker, stops,
        )))
    }
}

impl PlanTaskQueue for NatsPlanOrders {
    fn ask<'a>(
        &'a self,
        wait: Duration,
        enough: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<Option<Box<dyn ClaimedPlanTask>>, Error>> {
        Box::pin(async move {
            if self.controls.borrow().drains(&self.card.name) {
                let mut controls = self.controls.clone();
                tokio::select! {
                    _ = tokio::time::timeout(wait, controls.changed()) => {}
                    () = enough => {}
                }
                return Ok(None);
            }
            let consumers = self.consumers().await.map_err(Error)?;
            let last = self.last.load(Ordering::Relaxed);
            // Nothing is claimed yet: what comes too late goes to another worker.
            let found = tokio::select! {
                biased;
                found = first_message(&consumers, last, wait) => found,
                () = enough => Ok(None),
            };
            if found.is_err() {
                // A consumer may be gone; next time it is made where there is none.
                self.lanes.lock().await.clear();
            }
            let found = found.map_err(Error)?;
            let Some((index, message)) = found else {
                return Ok(None);
            };
            self.last.store(index, Ordering::Relaxed);
            let taken = Box::pin(self.taken(message)).await.map_err(Error)?;
            Ok(taken.map(|taken| Box::new(taken) as Box<dyn ClaimedPlanTask>))
        })
    }
}

/// A task under way.
struct Taken {
    streams: PlanStreams,
    place: Place,
    order: PlanTaskRequest,
    worker: String,
    claimed: ClaimedMessage,
}

impl Taken {
    fn begin(
        streams: PlanStreams,
        place: Place,
        order: PlanTaskRequest,
        message: Message,
        worker: String,
        stops: async_nats::Subscriber,
    ) -> Self {
        let opening = order.opening.clone();
        let claimed = ClaimedMessage::keep(
            &streams.cluster,
            streams.presence.clone(),
            (claim_key(&order), worker.clone()),
            message,
            stops,
            move |told| how_to_stop(&String::from_utf8_lossy(told), &opening),
        );
        Self {
            streams,
            place,
            order,
            worker,
            claimed,
        }
    }

    async fn project(&self) -> Result<(), String> {
        let commit = &self.order.project;
        let _one = self.place.fetching.lock().await;
        let (bundles, wanted) = (self.place.bundles.clone(), commit.clone());
        let has = tokio::task::spawn_blocking(move || bundles.has(&wanted)).await;
        if commit.is_empty() || has.unwrap_or(false) {
            return Ok(());
        }
        let name = project_name(commit);
        let info = self.streams.files.info(&name).await?;
        let info = info.ok_or("the project is not on the server any more")?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let file = folder.path().join("bundle");
        let made = tokio::fs::File::create(&file).await;
        let mut made = made.map_err(|error| error.to_string())?;
        self.streams.files.read(&info, &mut made).await?;
        made.sync_all().await.map_err(|error| error.to_string())?;
        let (bundles, commit) = (self.place.bundles.clone(), commit.clone());
        let read = tokio::task::spawn_blocking(move || bundles.read(&commit, &file));
        let read = read.await.map_err(|error| error.to_string())?;
        drop(folder);
        read
    }

    async fn laid_out(&self, folder: &Path) -> Result<PathBuf, String> {
        if !self.order.project.is_empty() {
            self.project().await?;
        }
        let (root, commit) = (self.place.root.clone(), self.order.project.clone());
        let into = folder.to_owned();
        let laid =
            tokio::task::spawn_blocking(move || blocking_check_out_into(&root, &commit, &into));
        laid.await.map_err(|error| error.to_string())??;
        let workdir = folder.join(&self.order.folder);
        for made in [workdir.clone(), workdir.join(&self.order.cwd)] {
            let below = made.strip_prefix(folder).unwrap_or(&made);
            if let Some(link) = symlink_below(folder, below) {
                return Err(format!("`{}` is a symbolic link", link.display()));
            }
            let there = tokio::fs::create_dir_all(&made).await;
            there.map_err(|error| format!("{}: {error}", made.display()))?;
        }
        for file in &self.order.files {
            self.streams.bring(file, &workdir.join(&file.path)).await?;
        }
        Ok(workdir)
    }

    async fn put(&self, path: &str, body: &[u8], executable: bool) -> Result<PlanFile, String> {
        let file = PlanFile {
            path: path.to_owned(),
            sha256: sha256(body),
            bytes: body.len() as u64,
            executable,
        };
        self.streams.keep(&file.sha256, body).await?;
        Ok(file)
    }

    async fn printed(&self, printed: &TaskOutputFile) -> Result<TaskOutputText, String> {
        // What is not there was never written.
        let bytes = end_of(printed).await.unwrap_or_default();
        let text = self.place.redactor.clean(&String::from_utf8_lossy(&bytes));
        if text.len() <= SHORT {
            return Ok(TaskOutputText { text, file: None });
        }
        let file = self.put("", text.as_bytes(), false).await?;
        Ok(TaskOutputText {
            text: String::new(),
            file: Some(file),
        })
    }

    async fn result(&self, made: TaskExecutionResult) -> Result<PlanTaskResult, String> {
        let [out, err] = &made.printed;
        let printed = [self.printed(out).await?, self.printed(err).await?];
        let mut files = Vec::new();
        for (path, source) in &made.files {
            let told = |error: std::io::Error| format!("{}: {error}", source.display());
            let body = safe_open::read_regular(source, u64::MAX - 1).map_err(told)?;
            let mode = std::fs::metadata(source).map_err(told)?.permissions();
            let executable = std::os::unix::fs::PermissionsExt::mode(&mode) & 0o111 != 0;
            files.push(self.put(path, &body, executable).await?);
        }
        Ok(PlanTaskResult {
            us: made.us,
            printed,
            files,
            ..PlanTaskResult::to(&self.order, &self.worker, made.end)
        })
    }
}

/// Reads what a task printed; of more than goes to its runner, the end.
async fn end_of(printed: &TaskOutputFile) -> std::io::Result<Vec<u8>> {
    let mut file = tokio::fs::File::open(&printed.path).await?;
    let length = file.metadata().await?.len();
    let from = printed.skip.max(length.saturating_sub(MOST));
    file.seek(SeekFrom::Start(from)).await?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Sends what a task prints to whoever runs the plan; `like` says which attempt it is.
async fn show(
    cluster: Arc<NatsConnection>,
    subject: String,
    mut streams: [StreamRedactor; 2],
    like: PrintedPiece,
    mut printed: mpsc::UnboundedReceiver<(usize, Vec<u8>)>,
) {
    let mut sent = [0_u64; 2];
    while let Some((side, bytes)) = printed.recv().await {
        let (Some(stream), Some(from)) = (streams.get_mut(side), sent.get_mut(side)) else {
            continue;
        };
        let clean = stream.push(&bytes);
        for text in split_text(&String::from_utf8_lossy(&clean), PIECE) {
            let piece = PrintedPiece {
                side,
                from: *from,
                text: text.to_owned(),
                ..like.clone()
            };
            *from += text.len() as u64;
            let Ok(body) = serde_json::to_vec(&piece) else {
                return;
            };
            if let Err(error) = cluster.client.publish(subject.clone(), body.into()).await {
                tracing::debug!("{error}");
            }
        }
    }
}

/// Returns the first part below a folder that is a symbolic link: what is made behind it would lie elsewhere.
fn symlink_below(folder: &Path, below: &Path) -> Option<PathBuf> {
    let mut path = folder.to_owned();
    below.components().find_map(|part| {
        path.push(part);
        path.is_symlink().then(|| path.clone())
    })
}

/// Reads what is said to whoever works for a run: the opening that is meant, and how it ends. Another opening than the own one that is new
/// ends everything of those before.
fn how_to_stop(text: &str, own: &str) -> Option<u8> {
    let (how, opening) = text.split_once(' ')?;
    match (how, opening == own) {
        ("new", false) => Some(2),
        (how, true) => how.parse().ok(),
        _ => None,
    }
}

impl ClaimedPlanTask for Taken {
    fn order(&self) -> &PlanTaskRequest {
        &self.order
    }

    fn stop(&self) -> Box<dyn StopFeed> {
        self.claimed.stop()
    }

    fn lay_out<'a>(&'a self, folder: &'a Path) -> BoxFuture<'a, Result<PathBuf, Error>> {
        Box::pin(async move { self.laid_out(folder).await.map_err(Error) })
    }

    fn printing(&self) -> PrintSink {
        let (sender, printed) = mpsc::unbounded_channel();
        let cluster = Arc::clone(&self.streams.cluster);
        let subject = self.streams.line_subject(&self.order.run);
        let streams = [(); 2].map(|()| self.place.redactor.stream());
        let piece = PrintedPiece {
            opening: self.order.opening.clone(),
            task: self.order.task,
            attempt: self.order.attempt,
            ..PrintedPiece::default()
        };
        drop(
            self.streams
                .cluster
                .spawn(show(cluster, subject, streams, piece, printed)),
        );
        Box::new(move |side, bytes| drop(sender.send((side, bytes.to_vec()))))
    }

    fn finish(self: Box<Self>, made: TaskExecutionResult) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async move {
            let result = self.result(made).await.unwrap_or_else(|why| {
                let end = RemoteExit::lost(format!("what it left could not be sent: {why}"));
                PlanTaskResult::to(&self.order, &self.worker, end)
            });
            let reported = self.streams.report(&result).await;
            reported.map_err(Error)?;
            self.claimed.done().await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{TaskOutputFile, end_of, how_to_stop};

    #[tokio::test]
    async fn what_a_task_printed_is_read_behind_what_is_not_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.log");
        std::fs::write(&path, "header\nhello\n").unwrap();
        let printed = TaskOutputFile { path, skip: 7 };
        assert_eq!(end_of(&printed).await.unwrap(), b"hello\n");
        let path = folder.path().join("none");
        assert!(end_of(&TaskOutputFile { path, skip: 0 }).await.is_err());
    }

    #[test]
    fn whoever_works_for_an_earlier_opening_stops_when_a_new_one_begins() {
        assert_eq!(how_to_stop("new b", "a"), Some(2));
        assert_eq!(how_to_stop("new a", "a"), None);
        assert_eq!(how_to_stop("1 a", "a"), Some(1));
        assert_eq!(how_to_stop("2 b", "a"), None);
        assert_eq!(how_to_stop("", "a"), None);
    }
}
