//! Work handed out over NATS, and what comes of it.
//!
//! An order lies in a work queue until a worker has ended it. Before a worker begins, it takes the claim of the lease, which only one
//! ever gets; while it works it keeps both alive. An order that comes a second time is never begun: whoever had it is gone, and the board
//! gives the task out under a new number. A result lies in a queue of its own until the controller has it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_nats::jetstream::{
    AckKind, Message,
    consumer::{AckPolicy, PullConsumer, pull},
    stream::{Config, RetentionPolicy, StorageType, Stream},
};
use futures_util::StreamExt as _;
use tokio::sync::{oneshot, watch};

use super::{
    connection::{Cluster, not_opened},
    objects::CodeStore,
    presence::Presence,
    publish::{ID, publish},
};
use crate::{
    adapters::git::bundle::GitBundles,
    domain::{
        board::{FailureKind, Role, RunOutcome, Spend},
        cluster::{self, WorkOrder, WorkResult, WorkerCard},
    },
    ports::{
        BoxFuture,
        cluster::{Error, OrderQueue, RemoteRuns, StopFeed, TakenOrder},
    },
};

/// How long one question for work waits at the server.
const ASK: Duration = Duration::from_secs(20);
/// How long one waits where several queues are asked in turn.
const SHORT: Duration = Duration::from_secs(1);
/// How many beats a worker may miss after it was heard of, beside those that its claim lives on.
const GRACE: u32 = 2;

type Waiting = Arc<Mutex<BTreeMap<u64, oneshot::Sender<WorkResult>>>>;

#[derive(Clone)]
struct Streams {
    cluster: Arc<Cluster>,
    work: Stream,
    results: Stream,
    presence: Presence,
    code: CodeStore,
}

impl Streams {
    async fn open(cluster: &Arc<Cluster>, bundles: GitBundles) -> Result<Self, String> {
        Ok(Self {
            work: stream(cluster, "WORK", "work.*.*").await?,
            results: stream(cluster, "RESULTS", "result.*").await?,
            presence: Presence::open(cluster).await?,
            code: CodeStore::open(cluster, bundles).await?,
            cluster: Arc::clone(cluster),
        })
    }

    async fn publish(&self, subject: String, id: &str, body: Vec<u8>) -> Result<(), String> {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(ID, id);
        let sent = publish(&self.cluster.jetstream, &subject, &headers, &body).await;
        sent.map(drop)
            .map_err(|error| format!("{subject}: {error}"))
    }

    async fn report(&self, result: &WorkResult) -> Result<(), String> {
        let body = serde_json::to_vec(result).map_err(|error| error.to_string())?;
        let fence = result.fence.0;
        let subject = self.cluster.subject(&format!("result.{fence}"));
        self.publish(subject, &format!("result.{fence}"), body)
            .await
    }
}

async fn stream(cluster: &Cluster, what: &str, subjects: &str) -> Result<Stream, String> {
    let config = Config {
        name: cluster.named(what),
        subjects: vec![cluster.subject(subjects)],
        retention: RetentionPolicy::WorkQueue,
        storage: StorageType::File,
        num_replicas: cluster.replicas,
        duplicate_window: Duration::from_secs(600),
        ..Config::default()
    };
    let opened = cluster.jetstream.get_or_create_stream(config).await;
    opened.map_err(|error| not_opened(&format!("the queue {what}"), &error))
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
pub(super) struct NatsRuns {
    streams: Streams,
    waiting: Waiting,
}

impl NatsRuns {
    /// Opens the queues of a board and begins to take results in.
    pub(super) fn open(cluster: &Arc<Cluster>, bundles: GitBundles) -> Result<Self, String> {
        let streams = cluster.wait(Streams::open(cluster, bundles))?;
        let waiting = Waiting::default();
        let subject = cluster.subject("result.*");
        let results = cluster.wait(consumer(
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

impl RemoteRuns for NatsRuns {
    fn run(
        &self,
        order: WorkOrder,
        stop: Box<dyn StopFeed>,
    ) -> BoxFuture<'static, Result<WorkResult, Error>> {
        let (streams, waiting) = (self.streams.clone(), Arc::clone(&self.waiting));
        Box::pin(async move {
            let fence = order.fence.0;
            let (sender, result) = oneshot::channel();
            if let Ok(mut waiting) = waiting.lock() {
                waiting.insert(fence, sender);
            }
            let ended = handed_out(&streams, &order, stop, result).await;
            if let Ok(mut waiting) = waiting.lock() {
                waiting.remove(&fence);
            }
            ended.map_err(Error)
        })
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
) -> Result<WorkResult, String> {
    let fence = order.fence.0;
    streams.code.publish(&order.base).await?;
    let subject = streams
        .cluster
        .subject(&format!("work.{}.{fence}", order.role().as_str()));
    let body = serde_json::to_vec(order).map_err(|error| error.to_string())?;
    streams.publish(subject.clone(), &order.id(), body).await?;
    let (mut holder, mut missed) = (None, 0);
    loop {
        tokio::select! {
            came = &mut result => {
                let result = came.map_err(|_| "the service ends".to_owned())?;
                fetched(streams, &result).await?;
                return Ok(result);
            }
            told = stop.next() => {
                stopped(streams, &subject, fence, told.unwrap_or(2)).await;
                if matches!(streams.presence.begun(fence).await, Ok(false)) {
                    return Ok(given_back(order));
                }
                if told.is_none() {
                    return Err("the service ends".to_owned());
                }
            }
            () = tokio::time::sleep(streams.cluster.beat()) => match streams.presence.holder(fence).await {
                Ok(Some(name)) => (holder, missed) = (Some(name), 0),
                Ok(None) => {
                    if let Some(name) = &holder {
                        missed += 1;
                        if missed > GRACE {
                            return Err(format!("the worker {name} is gone"));
                        }
                    }
                }
                // Nobody knows; the worker's claim is looked at again.
                Err(why) => tracing::warn!("{why}"),
            }
        }
    }
}

async fn fetched(streams: &Streams, result: &WorkResult) -> Result<(), String> {
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

fn given_back(order: &WorkOrder) -> WorkResult {
    WorkResult {
        run: order.run,
        fence: order.fence,
        worker: String::new(),
        outcome: RunOutcome::Stopped,
        spend: Spend::default(),
        records: Vec::new(),
        bundle: String::new(),
    }
}

/// A worker's side.
pub(super) struct NatsOrders {
    streams: Streams,
    consumers: Vec<PullConsumer>,
    card: Mutex<WorkerCard>,
}

impl NatsOrders {
    /// Opens the queues for the roles of a worker.
    pub(super) fn open(
        cluster: &Arc<Cluster>,
        bundles: GitBundles,
        card: WorkerCard,
    ) -> Result<Self, String> {
        let streams = cluster.wait(Streams::open(cluster, bundles))?;
        let mut consumers = Vec::new();
        for role in &card.roles {
            let role: Role = *role;
            let subject = cluster.subject(&format!("work.{}.*", role.as_str()));
            let name = format!("role-{}", role.as_str());
            consumers.push(cluster.wait(consumer(&streams.work, &name, subject, cluster.lease))?);
        }
        Ok(Self {
            streams,
            consumers,
            card: Mutex::new(card),
        })
    }

    fn card(&self) -> WorkerCard {
        self.card
            .lock()
            .map(|card| card.clone())
            .unwrap_or_default()
    }

    /// Waits for the next message of any role. What was delivered is never dropped on the way: each question is asked to its end.
    async fn message(&self) -> Result<Option<Message>, String> {
        // First whatever lies there, then a while at each role's queue.
        let several = self.consumers.len() > 1;
        for wait in [None, Some(if several { SHORT } else { ASK })] {
            for consumer in &self.consumers {
                let question = consumer.fetch().max_messages(1);
                let question = match wait {
                    Some(wait) => {
                        consumer
                            .batch()
                            .max_messages(1)
                            .expires(wait)
                            .messages()
                            .await
                    }
                    None => question.messages().await,
                };
                let mut messages = question.map_err(|error| error.to_string())?;
                if let Some(message) = messages.next().await {
                    return message.map(Some).map_err(|error| error.to_string());
                }
            }
        }
        Ok(None)
    }

    async fn taken(&self, message: Message) -> Result<Option<Taken>, String> {
        let order: WorkOrder = match serde_json::from_slice(&message.payload) {
            Ok(order) => order,
            Err(error) => {
                tracing::warn!("an order of another version: {error}");
                drop(
                    message
                        .ack_with(AckKind::Nak(Some(self.streams.cluster.lease)))
                        .await,
                );
                return Ok(None);
            }
        };
        let card = self.card();
        if let Some(why) = cluster::refusal(&card, &order) {
            tracing::warn!("{}: {why}", order.task.id);
            drop(
                message
                    .ack_with(AckKind::Nak(Some(self.streams.cluster.beat())))
                    .await,
            );
            return Ok(None);
        }
        let fence = order.fence.0;
        if !self.streams.presence.claim(fence, &card.name).await? {
            let result = WorkResult {
                worker: card.name,
                ..lost(&order)
            };
            if self.streams.presence.holder(fence).await?.is_none() {
                self.streams.report(&result).await?;
                drop(message.ack_with(AckKind::Term).await);
            }
            return Ok(None);
        }
        let stops = self
            .streams
            .cluster
            .client
            .subscribe(self.streams.cluster.subject(&format!("stop.{fence}")))
            .await
            .map_err(|error| error.to_string())?;
        self.streams.code.fetch(&order.base).await?;
        Ok(Some(Taken::begin(
            self.streams.clone(),
            order,
            message,
            card.name,
            stops,
        )))
    }
}

fn lost(order: &WorkOrder) -> WorkResult {
    let reason = "the worker that took it is gone".to_owned();
    WorkResult {
        outcome: RunOutcome::Failed {
            failure: FailureKind::Flaky,
            signature: reason.clone(),
            reasons: vec![reason],
            kept: None,
        },
        ..given_back(order)
    }
}

impl OrderQueue for NatsOrders {
    fn next(&self) -> BoxFuture<'_, Result<Box<dyn TakenOrder>, Error>> {
        Box::pin(async {
            loop {
                let message = match self.message().await {
                    Ok(Some(message)) => message,
                    Ok(None) => continue,
                    Err(why) => return Err(Error(why)),
                };
                if let Some(taken) = self.taken(message).await.map_err(Error)? {
                    return Ok(Box::new(taken) as Box<dyn TakenOrder>);
                }
            }
        })
    }

    fn announce(&self, card: WorkerCard) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            if let Ok(mut own) = self.card.lock() {
                *own = card.clone();
            }
            self.streams.presence.announce(&card).await.map_err(Error)
        })
    }
}

/// An order under way: its claim is kept alive until it ends.
struct Taken {
    streams: Streams,
    order: WorkOrder,
    message: Arc<Message>,
    stop: watch::Receiver<u8>,
    beating: tokio::task::JoinHandle<()>,
}

impl Taken {
    fn begin(
        streams: Streams,
        order: WorkOrder,
        message: Message,
        worker: String,
        mut stops: async_nats::Subscriber,
    ) -> Self {
        let (sender, stop) = watch::channel(0_u8);
        let message = Arc::new(message);
        let (kept, fence) = (Arc::clone(&message), order.fence.0);
        let presence = streams.presence.clone();
        let beat = streams.cluster.beat();
        let beating = streams.cluster.spawn(async move {
            loop {
                tokio::select! {
                    told = stops.next() => match told {
                        Some(told) => {
                            let how = told.payload.first().copied().unwrap_or(1);
                            sender.send_replace(how);
                        }
                        None => tokio::time::sleep(beat).await,
                    },
                    () = tokio::time::sleep(beat) => {
                        presence.keep(fence, &worker).await;
                        // A beat that is lost is followed by another.
                        drop(kept.ack_with(AckKind::Progress).await);
                    }
                }
            }
        });
        Self {
            streams,
            order,
            message,
            stop,
            beating,
        }
    }
}

/// What the controller says of an order under way.
struct ToldToStop(watch::Receiver<u8>);

impl StopFeed for ToldToStop {
    fn next(&mut self) -> BoxFuture<'_, Option<u8>> {
        Box::pin(async {
            self.0.changed().await.ok()?;
            Some(*self.0.borrow())
        })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

impl TakenOrder for Taken {
    fn order(&self) -> &WorkOrder {
        &self.order
    }

    fn stop(&self) -> Box<dyn StopFeed> {
        Box::new(ToldToStop(self.stop.clone()))
    }

    fn finish(self: Box<Self>, mut result: WorkResult) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async move {
            if let RunOutcome::Committed { kept } = &result.outcome {
                let code = &self.streams.code;
                let fence = self.order.fence.0;
                let stored = code.publish_attempt(fence, &kept.base, &kept.commit).await;
                result.bundle = stored.map_err(Error)?;
            }
            self.streams.report(&result).await.map_err(Error)?;
            let done = self.message.double_ack().await;
            done.map_err(|error| Error(error.to_string()))
        })
    }
}
