//! The controller's side of the queue: work handed out over NATS, and what comes of it.
//!
//! An order lies in a work queue until a worker has ended it, in a lane for its role and for what it requires. A result lies in a queue
//! of its own until the controller has it. What workers do with both is in `orders`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_nats::jetstream::{
    consumer::{AckPolicy, PullConsumer, pull},
    stream::{Config, RetentionPolicy, StorageType, Stream},
};
use futures_util::StreamExt as _;
use tokio::sync::oneshot;

use super::{
    connection::{NatsConnection, open_error},
    controls::ControlBucket,
    logs::LogStore,
    objects::CodeStore,
    presence::Presence,
    publish::{MESSAGE_ID_HEADER, publish},
};
use crate::{
    adapters::git::bundle::GitBundles,
    domain::{
        board::{RunOutcome, Spend},
        cluster::{ClusterControls, ClusterView, PROTOCOL_VERSION, WorkOrder, WorkResult},
    },
    ports::{
        BoxFuture,
        cluster::{Error, LineSink, RunDispatcher, StopFeed},
    },
};

/// How long one question for results waits at the server.
const ASK: Duration = Duration::from_secs(20);
/// How many beats a worker may miss after it was heard of, beside those that its claim lives on.
const GRACE: u32 = 2;

type Waiting = Arc<Mutex<BTreeMap<u64, oneshot::Sender<WorkResult>>>>;

/// What both sides of the queue work with.
#[derive(Clone)]
pub(super) struct Streams {
    pub(super) cluster: Arc<NatsConnection>,
    pub(super) work: Stream,
    results: Stream,
    pub(super) presence: Presence,
    pub(super) code: CodeStore,
    pub(super) logs: LogStore,
    pub(super) controls: ControlBucket,
}

impl Streams {
    /// Opens the queues and stores of a board, and makes them where there are none.
    pub(super) async fn open(
        cluster: &Arc<NatsConnection>,
        bundles: GitBundles,
        logs: LogStore,
    ) -> Result<Self, String> {
        Ok(Self {
            logs,
            controls: ControlBucket::open(cluster).await?,
            work: stream(cluster, "WORK", "work.>").await?,
            results: stream(cluster, "RESULTS", "result.*").await?,
            presence: Presence::open(cluster).await?,
            code: CodeStore::open(cluster, bundles).await?,
            cluster: Arc::clone(cluster),
        })
    }

    async fn publish(&self, subject: String, id: &str, body: Vec<u8>) -> Result<(), String> {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(MESSAGE_ID_HEADER, id);
        let sent = publish(&self.cluster.jetstream, &subject, &headers, &body).await;
        sent.map(drop)
            .map_err(|error| format!("{subject}: {error}"))
    }

    /// Reports what came of an order.
    pub(super) async fn report(&self, result: &WorkResult) -> Result<(), String> {
        let body = serde_json::to_vec(result).map_err(|error| error.to_string())?;
        let fence = result.fence.0;
        let subject = self.cluster.subject(&format!("result.{fence}"));
        self.publish(subject, &format!("result.{fence}"), body)
            .await
    }

    /// Returns the subject of an order.
    fn subject_of(&self, order: &WorkOrder, lane: &str) -> String {
        let (role, fence) = (order.role().as_str(), order.fence.0);
        let rest = format!("work.{}.{role}.{lane}.{fence}", order.protocol);
        self.cluster.subject(&rest)
    }

    /// Returns the durable consumer of a role's lane.
    pub(super) async fn lane(&self, role: &str, lane: &str) -> Result<PullConsumer, String> {
        let rest = format!("work.{PROTOCOL_VERSION}.{role}.{lane}.*");
        let name = format!("form{PROTOCOL_VERSION}-{role}-{lane}");
        let subject = self.cluster.subject(&rest);
        consumer(&self.work, &name, subject, self.cluster.lease).await
    }

    /// Returns how many orders lie in the queue, and what workers make of them.
    pub(super) async fn view(&self) -> Result<ClusterView, String> {
        let info = self.work.get_info().await;
        let messages = info.map_err(|error| error.to_string())?.state.messages;
        let mut view = ClusterView {
            workers: self.presence.workers().await?,
            ..ClusterView::default()
        };
        let mut consumers = self.work.consumers();
        while let Some(consumer) = consumers.next().await {
            let consumer = consumer.map_err(|error| error.to_string())?;
            view.under_way += consumer.num_ack_pending as u64;
            view.redelivered += consumer.num_redelivered as u64;
        }
        view.queued = messages.saturating_sub(view.under_way);
        Ok(view)
    }
}

async fn stream(cluster: &NatsConnection, what: &str, subjects: &str) -> Result<Stream, String> {
    let config = Config {
        name: cluster.stream_name(what),
        subjects: vec![cluster.subject(subjects)],
        retention: RetentionPolicy::WorkQueue,
        storage: StorageType::File,
        num_replicas: cluster.replicas,
        duplicate_window: Duration::from_secs(600),
        ..Config::default()
    };
    let opened = cluster.stream(config).await;
    opened.map_err(|error| open_error(&format!("the queue {what}"), &error))
}

async fn consumer(
    stream: &Stream,
    name: &str,
    subject: String,
    lease: Duration,
) -> Result<PullConsumer, String> {
    let config = pull::Config {
        durable_name: Some(name.to_owned()),
        filter_subject: subject,
        ack_policy: AckPolicy::Explicit,
        ack_wait: lease,
        ..pull::Config::default()
    };
    let made = stream.create_consumer(config).await;
    made.map_err(|error| format!("the consumer {name}: {error}"))
}

/// The controller's side.
pub(super) struct NatsDispatcher {
    streams: Streams,
    waiting: Waiting,
}

impl NatsDispatcher {
    /// Opens the queues of a board and begins to take results in.
    pub(super) fn open(cluster: &Arc<NatsConnection>, streams: Streams) -> Result<Self, String> {
        let (key, form) = ClusterControls::protocol_entry(PROTOCOL_VERSION);
        cluster.block_on(streams.controls.put(&key, &form))?;
        let waiting = Waiting::default();
        let subject = cluster.subject("result.*");
        let results = cluster.block_on(consumer(
            &streams.results,
            "controller",
            subject,
            cluster.lease,
        ))?;
        drop(cluster.spawn(take_results(results, Arc::clone(&waiting))));
        Ok(Self { streams, waiting })
    }
}

async fn take_results(consumer: PullConsumer, waiting: Waiting) {
    loop {
        let fetched = consumer
            .batch()
            .max_messages(64)
            .expires(ASK)
            .messages()
            .await;
        let Ok(mut messages) = fetched else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        while let Some(Ok(message)) = messages.next().await {
            match serde_json::from_slice::<WorkResult>(&message.payload) {
                Ok(result) => {
                    let place = waiting
                        .lock()
                        .ok()
                        .and_then(|mut waiting| waiting.remove(&result.fence.0));
                    if let Some(place) = place {
                        drop(place.send(result));
                    } else {
                        tracing::warn!(
                            "a result under {} comes too late and does not count",
                            result.fence
                        );
                    }
                }
                Err(error) => tracing::warn!("a result cannot be read: {error}"),
            }
            if let Err(error) = message.ack().await {
                tracing::debug!("{error}");
            }
        }
    }
}

impl RunDispatcher for NatsDispatcher {
    fn run(
        &self,
        order: WorkOrder,
        stop: Box<dyn StopFeed>,
        lines: LineSink,
    ) -> BoxFuture<'static, Result<WorkResult, Error>> {
        let (streams, waiting) = (self.streams.clone(), Arc::clone(&self.waiting));
        Box::pin(async move {
            let fence = order.fence.0;
            let (sender, result) = oneshot::channel();
            if let Ok(mut waiting) = waiting.lock() {
                waiting.insert(fence, sender);
            }
            let ended = handed_out(&streams, &order, stop, result, &lines).await;
            if let Ok(mut waiting) = waiting.lock() {
                waiting.remove(&fence);
            }
            ended.map_err(Error)
        })
    }

    fn view(&self) -> BoxFuture<'static, Result<ClusterView, Error>> {
        let streams = self.streams.clone();
        Box::pin(async move { streams.view().await.map_err(Error) })
    }

    fn keep_tip(&self, branch: &str, commit: &str) -> BoxFuture<'static, Result<(), Error>> {
        let (code, branch, commit) = (
            self.streams.code.clone(),
            branch.to_owned(),
            commit.to_owned(),
        );
        Box::pin(async move {
            code.publish(&commit).await.map_err(Error)?;
            code.keep_tip(&branch, &commit).await.map_err(Error)
        })
    }
}

async fn handed_out(
    streams: &Streams,
    order: &WorkOrder,
    mut stop: Box<dyn StopFeed>,
    mut result: oneshot::Receiver<WorkResult>,
    lines: &LineSink,
) -> Result<WorkResult, String> {
    let fence = order.fence.0;
    streams.code.publish(&order.base).await?;
    let (lane, entry) = ClusterControls::lane_of(&order.task.spec.requires);
    if let Some((key, labels)) = entry {
        streams.controls.put(&key, &labels).await?;
    }
    let said = streams.cluster.subject(&format!("line.{fence}"));
    let said = streams.cluster.client.subscribe(said).await;
    let mut said = said.map_err(|error| error.to_string())?;
    let subject = streams.subject_of(order, &lane);
    let body = serde_json::to_vec(order).map_err(|error| error.to_string())?;
    streams.publish(subject.clone(), &order.id(), body).await?;
    let mut holder = Holder::default();
    let mut look = tokio::time::interval(streams.cluster.heartbeat_interval());
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            came = &mut result => {
                let result = came.map_err(|_| "the service ends".to_owned())?;
                fetched(streams, order, &result).await?;
                return Ok(result);
            }
            told = stop.next() => {
                stopped(streams, &subject, fence, told.unwrap_or(2)).await;
                if matches!(streams.presence.was_claimed(fence).await, Ok(false)) {
                    return Ok(unclaimed_result(order));
                }
                if told.is_none() {
                    return Err("the service ends".to_owned());
                }
            }
            Some(line) = said.next() => lines(&String::from_utf8_lossy(&line.payload)),
            _ = look.tick() => match streams.presence.holder(fence).await {
                Ok(seen) => {
                    if let Some(name) = holder.seen(seen) {
                        return Err(format!("the worker {name} is gone"));
                    }
                }
                // Nobody knows; the worker's claim is looked at again.
                Err(why) => tracing::warn!("{why}"),
            }
        }
    }
}

/// Who works on an order, as far as is known.
#[derive(Default)]
struct Holder {
    name: Option<String>,
    missed: u32,
}

impl Holder {
    /// Takes in who was heard of; returns who is gone, once that is sure.
    fn seen(&mut self, seen: Option<String>) -> Option<String> {
        if seen.is_some() {
            (self.name, self.missed) = (seen, 0);
        } else if self.name.is_some() {
            self.missed += 1;
        }
        self.name.clone().filter(|_| self.missed > GRACE)
    }
}

/// Brings the commit and the logs of an attempt here. Without its logs an attempt counts all the same.
async fn fetched(streams: &Streams, order: &WorkOrder, result: &WorkResult) -> Result<(), String> {
    if let Some(folder) = order.log_folder()
        && let Err(why) = streams.logs.fetch(&result.logs, &folder).await
    {
        tracing::warn!("the log of {} stays on the worker: {why}", order.run);
    }
    if let RunOutcome::Committed { kept } = &result.outcome {
        streams
            .code
            .fetch_attempt(&result.bundle, &kept.commit)
            .await?;
    }
    Ok(())
}

/// Takes an order out of the queue, and tells whoever works on it to stop.
async fn stopped(streams: &Streams, subject: &str, fence: u64, how: u8) {
    let purged = streams.work.purge().filter(subject.to_owned()).await;
    if let Err(error) = purged {
        tracing::warn!("{subject}: {error}");
    }
    let subject = streams.cluster.subject(&format!("stop.{fence}"));
    let told = streams.cluster.client.publish(subject, vec![how].into());
    if let Err(error) = told.await {
        tracing::warn!("{error}");
    }
}

/// Says that nothing came of an order, and nobody had it.
pub(super) fn unclaimed_result(order: &WorkOrder) -> WorkResult {
    WorkResult {
        run: order.run,
        fence: order.fence,
        worker: String::new(),
        outcome: RunOutcome::Stopped,
        spend: Spend::default(),
        records: Vec::new(),
        bundle: String::new(),
        logs: String::new(),
    }
}
