//! A runner's side of plans on a cluster: tasks handed out, results taken in, workers that are gone noticed.
//!
//! Orders lie in the queue of the board's work, in lanes of their own; results come into a stream of their own, under the run. A run
//! that is opened again has another opening: what workers still do for the one before is ended, and what comes of it counts for nothing. To take an
//! order back its claim is taken, so that nobody can begin it any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream::{
    consumer::{AckPolicy, PullConsumer, pull},
    stream::{Config, RetentionPolicy, StorageType, Stream},
};
use futures_util::StreamExt as _;

use super::{
    blobs::Blobs,
    connection::{NatsConnection, open_error},
    controls::ControlBucket,
    objects::RETENTION,
    places::{self, LaneRepair, OrderPlace, QueuePlaces},
    presence::Presence,
    publish::publish_under,
    queue::ASK,
    streams::{self, work_stream},
};
use crate::{
    adapters::{
        git::{
            bundle::GitBundles,
            project::{ProjectSnapshot, blocking_snapshot},
        },
        plan::safe_open,
    },
    domain::cluster::{
        ClaimHolder, GRACE, PLAN_QUEUE_NAME, PROTOCOL_VERSION, PlanFile, PlanTaskRequest,
        PlanTaskResult, PrintedPiece, RemoteExit, WorkerInstructions,
    },
    ports::{
        cluster::Error,
        plan_work::{NewsSink, PlanNews, RemoteTasks},
    },
};

/// How long results of a run wait for whoever goes on with it.
const WAITING: Duration = Duration::from_secs(3 * 24 * 3600);

/// How long it may take until workers are told to stop.
const TOLD: Duration = Duration::from_secs(2);

/// What both sides work with.
#[derive(Clone)]
pub(super) struct PlanStreams {
    pub(super) cluster: Arc<NatsConnection>,
    pub(super) work: Stream,
    results: Stream,
    pub(super) presence: Presence,
    pub(super) files: Blobs,
    pub(super) controls: ControlBucket,
}

impl PlanStreams {
    /// Opens the queues and stores, and makes them where there are none.
    pub(super) async fn open(cluster: &Arc<NatsConnection>) -> Result<Self, String> {
        let results = Config {
            name: cluster.stream_name("PLANNED"),
            subjects: vec![cluster.subject("planned.*")],
            retention: RetentionPolicy::WorkQueue,
            storage: StorageType::File,
            max_age: WAITING,
            num_replicas: cluster.replicas,
            duplicate_window: Duration::from_secs(600),
            ..Config::default()
        };
        let results = cluster.stream(results).await;
        Ok(Self {
            work: work_stream(cluster).await?,
            results: results.map_err(|error| open_error("the results of plans", &error))?,
            presence: Presence::open(cluster).await?,
            files: Blobs::open(cluster, &cluster.stream_name("PLANFILES"), RETENTION).await?,
            controls: ControlBucket::open(cluster).await?,
            cluster: Arc::clone(cluster),
        })
    }

    /// Reports what came of an order.
    pub(super) async fn report(&self, result: &PlanTaskResult) -> Result<(), String> {
        let body = serde_json::to_vec(result).map_err(|error| error.to_string())?;
        let subject = self.cluster.subject(&format!("planned.{}", result.run));
        let id = format!("planned.{}", result.key());
        let sent = publish_under(&self.cluster.jetstream, &subject, &id, body).await;
        sent.map(drop)
    }

    /// Returns the subject under which workers are told to stop what they do for a run.
    pub(super) fn stop_subject(&self, run: &str) -> String {
        self.cluster.subject(&format!("planstop.{run}"))
    }

    /// Returns the subject under which workers show what the tasks of a run print.
    pub(super) fn line_subject(&self, run: &str) -> String {
        self.cluster.subject(&format!("line.plan-{run}"))
    }

    /// Puts a file away, unless it is there.
    pub(super) async fn keep(&self, sha256: &str, body: &[u8]) -> Result<(), String> {
        let name = file_name(sha256);
        if self.files.info(&name).await?.is_some() {
            return Ok(());
        }
        self.files.put(&name, "", body).await
    }

    /// Writes a file that was put away; what is in its place goes, and no link is followed.
    pub(super) async fn bring(&self, file: &PlanFile, target: &Path) -> Result<(), String> {
        let name = file_name(&file.sha256);
        let info = self.files.info(&name).await?;
        let info = info.ok_or_else(|| format!("{} is not on the server any more", file.path))?;
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", target.display());
        let made = safe_open::create_replacing(target).map_err(|error| told(&error))?;
        if file.executable {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::Permissions::from_mode(0o755);
            made.set_permissions(mode).map_err(|error| told(&error))?;
        }
        let mut made = tokio::fs::File::from_std(made);
        let read = self.files.read(&info, &mut made).await;
        if read.is_err() {
            // Half a file must not stand in the place of a whole one.
            drop(std::fs::remove_file(target));
        }
        read
    }
}

fn file_name(sha256: &str) -> String {
    format!("file.{sha256}")
}

/// Returns the name of the object that holds a project.
pub(super) fn project_name(commit: &str) -> String {
    format!("project.{commit}")
}

/// Returns the key under which an order is claimed.
pub(super) fn claim_key(order: &PlanTaskRequest) -> String {
    format!("plan.{}", order.key())
}

/// An order that nothing is known of yet.
struct Away {
    order: PlanTaskRequest,
    holder: ClaimHolder,
    /// Where it lies, once it does.
    place: Option<OrderPlace>,
    /// How often it was found that it is done with and nothing was heard of it.
    unheard: u32,
}

#[derive(Default)]
struct Book {
    away: BTreeMap<String, Away>,
    told: Option<NewsSink>,
    /// Digests of files that are on the server.
    kept: BTreeSet<String>,
}

/// The tasks of one run that were handed out.
pub(super) struct NatsPlanTasks {
    shared: Arc<Shared>,
}

struct Shared {
    streams: PlanStreams,
    run: String,
    opening: String,
    project: Option<ProjectSnapshot>,
    is_ending: AtomicBool,
    repair: LaneRepair,
    book: Mutex<Book>,
}

impl NatsPlanTasks {
    /// Opens the queues for a run in a working directory. What was handed out for it before is ended. Blocks.
    pub(super) fn open(
        cluster: &Arc<NatsConnection>,
        run: &str,
        workdir: &Path,
    ) -> Result<Self, String> {
        let streams = cluster.retry(|| cluster.block_on(PlanStreams::open(cluster)))?;
        let inbox = cluster.client.new_inbox();
        let shared = Arc::new(Shared {
            streams,
            run: run.to_owned(),
            opening: inbox.rsplit('.').next().unwrap_or_default().to_owned(),
            project: blocking_snapshot(workdir)?,
            is_ending: AtomicBool::new(false),
            repair: LaneRepair::every(cluster.lease),
            book: Mutex::default(),
        });
        // Git works for this, and whoever runs a plan waits for every child of the process: so it is done before.
        let published = cluster.block_on(shared.publish_project());
        published.map_err(|why| format!("the project did not get to the server: {why}"))?;
        let results = cluster.block_on(shared.begin())?;
        let said = shared.streams.line_subject(run);
        let said = cluster.block_on(cluster.client.subscribe(said));
        let said = said.map_err(|error| error.to_string())?;
        drop(cluster.spawn(look_on(said, Arc::downgrade(&shared))));
        drop(cluster.spawn(take_results(results, Arc::downgrade(&shared))));
        drop(cluster.spawn(look(Arc::downgrade(&shared), cluster.heartbeat_interval())));
        Ok(Self { shared })
    }
}

impl Drop for NatsPlanTasks {
    fn drop(&mut self) {
        // Whoever goes on with the run makes the consumer anew; what it has not taken stays where it is.
        let name = consumer_name(&self.shared.run);
        let streams = &self.shared.streams;
        drop(
            streams
                .cluster
                .block_on(streams.results.delete_consumer(&name)),
        );
    }
}

fn consumer_name(run: &str) -> String {
    format!("run-{run}")
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Ends what is left of an earlier opening, and opens the results.
    async fn begin(&self) -> Result<PullConsumer, String> {
        self.tell_workers("new").await;
        self.empty_queue().await;
        let config = pull::Config {
            durable_name: Some(consumer_name(&self.run)),
            filter_subject: self
                .streams
                .cluster
                .subject(&format!("planned.{}", self.run)),
            ack_policy: AckPolicy::Explicit,
            inactive_threshold: WAITING,
            ..pull::Config::default()
        };
        super::patience::patiently(|| async {
            let made = self.streams.results.create_consumer(config.clone()).await;
            made.map_err(|error| format!("the results of {}: {error}", self.run))
        })
        .await
    }

    /// Takes what waits out of the queue.
    async fn empty_queue(&self) {
        let rest = format!("work.{PROTOCOL_VERSION}.{PLAN_QUEUE_NAME}.*.{}.*", self.run);
        let filter = self.streams.cluster.subject(&rest);
        if let Err(error) = self.streams.work.purge().filter(filter).await {
            tracing::warn!("{}: {error}", self.run);
        }
    }

    async fn tell_workers(&self, how: &str) {
        let subject = self.streams.stop_subject(&self.run);
        let text = format!("{how} {}", self.opening);
        let client = &self.streams.cluster.client;
        let told = async {
            client.publish(subject, text.into()).await.ok()?;
            client.flush().await.ok()
        };
        // Without a connection nobody can be told; whoever goes on with the run tells them.
        if !matches!(tokio::time::timeout(TOLD, told).await, Ok(Some(()))) {
            tracing::warn!("{}: the workers could not be told to stop", self.run);
        }
    }

    /// Says what came of an order, unless that was said already.
    fn tell(&self, result: PlanTaskResult) {
        let mut book = self.book();
        if book.away.remove(&result.key()).is_some()
            && let Some(told) = &book.told
        {
            told(PlanNews::Ended(Box::new(result)));
        }
    }

    async fn publish_project(&self) -> Result<(), String> {
        let Some(project) = &self.project else {
            return Ok(());
        };
        let name = project_name(&project.commit);
        if self.streams.files.info(&name).await?.is_some() {
            return Ok(());
        }
        let (top, commit) = (project.top.clone(), project.commit.clone());
        let written = tokio::task::spawn_blocking(move || {
            let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
            let file = folder.path().join("bundle");
            GitBundles::new(&top).write_whole_commit(&commit, &file)?;
            std::fs::read(&file).map_err(|error| error.to_string())
        });
        let body = written.await.map_err(|error| error.to_string())??;
        self.streams.files.put(&name, "", &body).await
    }

    async fn send(&self, order: &PlanTaskRequest, sources: &[PathBuf]) -> Result<(), String> {
        for (file, source) in order.files.iter().zip(sources) {
            if self.book().kept.contains(&file.sha256) {
                continue;
            }
            let body = tokio::fs::read(source).await;
            let body = body.map_err(|error| format!("{}: {error}", source.display()))?;
            self.streams.keep(&file.sha256, &body).await?;
            self.book().kept.insert(file.sha256.clone());
        }
        let (lane, entry) = WorkerInstructions::lane_of(&order.requires);
        if let Some((key, labels)) = entry {
            self.streams.controls.put(&key, &labels).await?;
        }
        let (key, subject) = (order.key(), self.subject(order));
        let body = serde_json::to_vec(order).map_err(|error| error.to_string())?;
        // Somebody may have asked for the end meanwhile.
        if !self.book().away.contains_key(&key) {
            return Ok(());
        }
        let jetstream = &self.streams.cluster.jetstream;
        let number = publish_under(jetstream, &subject, &key, body).await?;
        if let Some(away) = self.book().away.get_mut(&key) {
            let consumer = streams::consumer_name(PLAN_QUEUE_NAME, &lane);
            away.place = Some(OrderPlace::now(consumer, number));
        }
        Ok(())
    }

    /// Returns the subject of an order.
    fn subject(&self, order: &PlanTaskRequest) -> String {
        let (lane, _) = WorkerInstructions::lane_of(&order.requires);
        let (run, key) = (&order.run, order.key());
        let rest = format!("work.{PROTOCOL_VERSION}.{PLAN_QUEUE_NAME}.{lane}.{run}.{key}");
        self.streams.cluster.subject(&rest)
    }

    /// Hands out once more what servers lost before a worker had it, and fails what they lost after one did it. With its claim nobody ever begins
    /// the order that was lost.
    async fn mend_lost(self: &Arc<Self>) {
        let Ok(places) = QueuePlaces::look(&self.streams.work).await else {
            return;
        };
        let lost: Vec<(PlanTaskRequest, bool)> = {
            let mut book = self.book();
            let lost = book.away.values_mut().filter_map(|away| {
                let is_lost = !away.holder.is_known() && places.has_lost(away.place.as_ref()?);
                away.unheard = if is_lost { away.unheard + 1 } else { 0 };
                is_lost.then(|| (away.order.clone(), away.unheard > GRACE))
            });
            lost.collect()
        };
        for (order, is_result_lost) in lost {
            let why = match self.claim(&order).await {
                Ok(true) => {
                    self.repair(&order).await;
                    if self.hand_out_again(&order) {
                        continue;
                    }
                    places::LOST
                }
                _ if is_result_lost => places::LOST_RESULT,
                _ => continue,
            };
            let end = RemoteExit::lost(why.to_owned());
            self.tell(PlanTaskResult::to(&order, "", end));
        }
    }

    /// Hands the attempt of an order out once more that nobody can begin. Returns whether it may be.
    fn hand_out_again(self: &Arc<Self>, order: &PlanTaskRequest) -> bool {
        if self.is_ending.load(Ordering::Relaxed) {
            return false;
        }
        let Some(again) = order.again() else {
            return false;
        };
        tracing::warn!("{}: {}; it is handed out again", order.id, places::LOST);
        self.book().away.remove(&order.key());
        // Its files are on the server since it was handed out first.
        self.hand_out(again, Vec::new());
        true
    }

    fn hand_out(self: &Arc<Self>, order: PlanTaskRequest, sources: Vec<PathBuf>) {
        let away = Away {
            order: order.clone(),
            holder: ClaimHolder::default(),
            place: None,
            unheard: 0,
        };
        self.book().away.insert(order.key(), away);
        let shared = Arc::clone(self);
        drop(self.streams.cluster.spawn(async move {
            if let Err(why) = shared.send(&order, &sources).await {
                let end = RemoteExit::lost(format!("it could not be handed out: {why}"));
                shared.tell(PlanTaskResult::to(&order, "", end));
            }
        }));
    }

    /// Takes an order that is lost out of the queue, and mends that.
    async fn repair(&self, order: &PlanTaskRequest) {
        let place = {
            let mut book = self.book();
            let away = book.away.get_mut(&order.key());
            away.and_then(|away| away.place.take())
        };
        if let Some(place) = place {
            let (queue, subject) = (&self.streams.work, self.subject(order));
            self.repair.repair(queue, &place, &subject).await;
        }
    }

    /// Takes the claim of an order, so that nobody begins it.
    async fn claim(&self, order: &PlanTaskRequest) -> Result<bool, String> {
        let own = format!("the runner {}", self.opening);
        self.streams.presence.claim(&claim_key(order), &own).await
    }

    /// Takes back what nobody has begun.
    async fn take_back(&self) {
        let open: Vec<PlanTaskRequest> = {
            let book = self.book();
            book.away.values().map(|away| away.order.clone()).collect()
        };
        for order in open {
            if let Ok(true) = self.claim(&order).await {
                let end = RemoteExit::taken_back();
                self.tell(PlanTaskResult::to(&order, "", end));
            }
        }
    }
}

/// Says what tasks print while they are made.
async fn look_on(mut said: async_nats::Subscriber, shared: std::sync::Weak<Shared>) {
    while let Some(message) = said.next().await {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        match serde_json::from_slice::<PrintedPiece>(&message.payload) {
            Ok(piece) if piece.opening == shared.opening => {
                if let Some(told) = &shared.book().told {
                    told(PlanNews::Printed(piece));
                }
            }
            Ok(_) => {}
            Err(error) => tracing::debug!("what a task prints cannot be read: {error}"),
        }
    }
}

async fn take_results(consumer: PullConsumer, shared: std::sync::Weak<Shared>) {
    loop {
        let batch = consumer.batch().max_messages(256).expires(ASK);
        let Ok(mut messages) = batch.messages().await else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if shared.strong_count() == 0 {
                return;
            }
            continue;
        };
        while let Some(Ok(message)) = messages.next().await {
            let Some(shared) = shared.upgrade() else {
                return;
            };
            match serde_json::from_slice::<PlanTaskResult>(&message.payload) {
                Ok(result) if result.opening == shared.opening => {
                    shared.tell(result);
                }
                Ok(result) => {
                    tracing::info!(
                        "a result of an earlier opening of {} does not count",
                        result.run
                    );
                }
                Err(error) => tracing::warn!("a result cannot be read: {error}"),
            }
            if let Err(error) = message.ack().await {
                tracing::debug!("{error}");
            }
        }
        if shared.strong_count() == 0 {
            return;
        }
    }
}

/// Looks which workers are heard of, for as long as the run goes on.
async fn look(shared: std::sync::Weak<Shared>, beat: Duration) {
    for beats in 1_u32.. {
        tokio::time::sleep(beat).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        // Nobody knows; it is looked again.
        let Ok(alive) = shared.streams.presence.beating().await else {
            continue;
        };
        let open: Vec<(String, String, bool)> = {
            let book = shared.book();
            let away = book.away.iter();
            let open = away.map(|(key, away)| {
                let claim = claim_key(&away.order);
                (key.clone(), claim, away.holder.is_known())
            });
            open.collect()
        };
        for (key, claim, is_known) in open {
            let presence = &shared.streams.presence;
            let seen = presence
                .seen(&claim, alive.contains(&claim), is_known)
                .await;
            let gone = {
                let mut book = shared.book();
                let away = book.away.get_mut(&key);
                away.and_then(|away| Some((away.holder.seen(seen)?, away.order.clone())))
            };
            if let Some((name, order)) = gone {
                let end = RemoteExit::lost(format!("the worker {name} is gone"));
                shared.tell(PlanTaskResult::to(&order, &name, end));
            }
        }
        if beats % places::LOOKED == 0 {
            shared.mend_lost().await;
        }
        // A claim whose question was lost is asked for again.
        if shared.is_ending.load(Ordering::Relaxed) {
            shared.take_back().await;
        }
    }
}

impl RemoteTasks for NatsPlanTasks {
    fn listen(&self, told: NewsSink) {
        self.shared.book().told = Some(told);
    }

    fn hand_out(&self, order: PlanTaskRequest, sources: Vec<PathBuf>) {
        let shared = &self.shared;
        let project = shared.project.clone();
        let order = PlanTaskRequest {
            protocol: PROTOCOL_VERSION,
            run: shared.run.clone(),
            opening: shared.opening.clone(),
            project: project
                .as_ref()
                .map(|project| project.commit.clone())
                .unwrap_or_default(),
            folder: project.map(|project| project.folder).unwrap_or_default(),
            ..order
        };
        shared.hand_out(order, sources);
    }

    fn stop(&self, how: u8) {
        let shared = Arc::clone(&self.shared);
        shared.is_ending.store(true, Ordering::Relaxed);
        let cluster = Arc::clone(&shared.streams.cluster);
        // This process may end at once: so this is done here.
        cluster.block_on(shared.tell_workers(&how.to_string()));
        drop(cluster.spawn(async move {
            shared.empty_queue().await;
            shared.take_back().await;
            // Who had an order in hand and no claim yet may have begun to listen after it was said.
            shared.tell_workers(&how.to_string()).await;
        }));
    }

    fn fetch(&self, file: &PlanFile, target: &Path) -> Result<(), Error> {
        let streams = &self.shared.streams;
        streams
            .cluster
            .block_on(streams.bring(file, target))
            .map_err(Error)
    }
}
