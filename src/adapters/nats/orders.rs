//! A worker's side of the queue: orders taken, claimed, kept alive and reported.
//!
//! Before a worker begins, it takes the claim of the lease, which only one ever gets; while it works it keeps order and claim alive. An
//! order that comes a second time is never begun: whoever had it is gone, and the board gives the task out under a new number.
//! A worker asks only in the lanes of its roles whose labels it has. Danger: what was delivered must not be dropped on the way, so
//! each question is asked to its end.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream::{AckKind, Message, consumer::PullConsumer};
use futures_util::StreamExt as _;
use tokio::sync::{mpsc, watch};

use super::{
    claimed::{ClaimedMessage, claim},
    connection::NatsConnection,
    controls::followed,
    queue::unclaimed_result,
    streams::Streams,
};
use crate::{
    domain::{
        board::{FailureKind, RunOutcome},
        cluster::{
            self, ANNOUNCE_INTERVAL, Delivery, PROTOCOL_VERSION, WorkOrder, WorkResult, WorkerInfo,
            WorkerInstructions, announce_interval, round_robin,
        },
    },
    ports::{
        BoxFuture,
        cluster::{ClaimedOrder, Error, LineSink, OrderQueue, StopFeed},
    },
};

/// How long one waits at a queue where several are asked in turn.
const SHORT: Duration = Duration::from_secs(1);
/// How long one waits for an answer beyond what the server was told to wait; the client's own patience with a wait is as long.
const ANSWER: Duration = Duration::from_secs(5);

/// A worker's side.
pub(super) struct NatsOrderQueue {
    streams: Arc<Streams>,
    lanes: tokio::sync::Mutex<BTreeMap<String, PullConsumer>>,
    /// Which lane gave something last.
    last: AtomicUsize,
    card: Arc<Mutex<WorkerInfo>>,
    controls: watch::Receiver<WorkerInstructions>,
}

impl NatsOrderQueue {
    /// Opens the queues for the roles of a worker.
    pub(super) fn open(
        cluster: &Arc<NatsConnection>,
        streams: Arc<Streams>,
        card: WorkerInfo,
        notices: LineSink,
    ) -> Result<Self, String> {
        let now = cluster.block_on(streams.controls.read())?;
        let controls = followed(cluster, streams.controls.clone(), now);
        let card = Arc::new(Mutex::new(card));
        let (own, seen) = (Arc::clone(&card), controls.clone());
        let telling = told_of_controls(Arc::clone(&streams), own, seen, notices);
        drop(cluster.spawn(telling));
        Ok(Self {
            streams,
            lanes: tokio::sync::Mutex::default(),
            last: AtomicUsize::new(0),
            card,
            controls,
        })
    }

    fn card(&self) -> WorkerInfo {
        card_now(&self.card, &self.controls.borrow())
    }

    /// Returns the queues of the lanes that this worker can work in.
    async fn consumers(&self, card: &WorkerInfo) -> Result<Vec<PullConsumer>, String> {
        let lanes = self.controls.borrow().lanes(&card.labels);
        let mut known = self.lanes.lock().await;
        let mut consumers = Vec::new();
        for role in &card.roles {
            for lane in &lanes {
                let name = format!("{}.{lane}", role.as_str());
                if !known.contains_key(&name) {
                    let consumer = self.streams.lane(role.as_str(), lane).await?;
                    known.insert(name.clone(), consumer);
                }
                consumers.extend(known.get(&name).cloned());
            }
        }
        Ok(consumers)
    }

    /// Returns the next message of any lane: whatever lies there, or what comes while each is waited at.
    async fn message(&self, card: &WorkerInfo, wait: Duration) -> Result<Option<Message>, String> {
        let consumers = self.consumers(card).await?;
        let last = self.last.load(Ordering::Relaxed);
        let found = first_message(&consumers, last, wait).await;
        if found.is_err() {
            // A consumer may be gone; next time it is made where there is none.
            self.lanes.lock().await.clear();
        }
        let found = found?;
        Ok(found.map(|(index, message)| {
            self.last.store(index, Ordering::Relaxed);
            message
        }))
    }

    async fn taken(&self, message: Message) -> Result<Option<Taken>, String> {
        let order: WorkOrder = match serde_json::from_slice(&message.payload) {
            Ok(order) => order,
            Err(error) => {
                tracing::warn!("an order of another version: {error}");
                give_back(&message, self.streams.cluster.lease).await;
                return Ok(None);
            }
        };
        let card = self.card();
        if let Some(why) = cluster::ineligible_reason(&card, &order) {
            tracing::debug!("{}: {why}", order.task.id);
            give_back(&message, self.streams.cluster.heartbeat_interval()).await;
            return Ok(None);
        }
        let (fence, key) = (order.fence.0, order.fence.0.to_string());
        let presence = &self.streams.presence;
        match claim(presence, &key, &card.name).await? {
            Delivery::Begin => {}
            Delivery::Leave => return Ok(None),
            Delivery::ReportLost => {
                let result = WorkResult {
                    worker: card.name,
                    ..failed(&order, "the worker that took it is gone".to_owned())
                };
                self.streams.report(&result).await?;
                drop(message.ack_with(AckKind::Term).await);
                return Ok(None);
            }
        }
        let stops = self
            .streams
            .cluster
            .client
            .subscribe(self.streams.cluster.subject(&format!("stop.{fence}")))
            .await
            .map_err(|error| error.to_string())?;
        let (streams, worker) = (Arc::clone(&self.streams), card.name);
        // From here on it is shown that somebody has it, however long the code takes.
        let taken = Taken::begin(streams, order, message, worker.clone(), stops);
        if let Err(why) = self.streams.code.fetch(&taken.order.base).await {
            let result = WorkResult {
                worker,
                ..failed(&taken.order, format!("its code did not come here: {why}"))
            };
            Box::new(taken)
                .finish(result)
                .await
                .map_err(|error| error.0)?;
            return Ok(None);
        }
        Ok(Some(taken))
    }
}

/// Returns the first message of any lane and which lane gave it: whatever lies there, or what comes while each is waited at.
pub(super) async fn first_message(
    consumers: &[PullConsumer],
    last: usize,
    wait: Duration,
) -> Result<Option<(usize, Message)>, String> {
    if consumers.is_empty() {
        tokio::time::sleep(wait).await;
        return Ok(None);
    }
    let alone = consumers.len() <= 1;
    let wait = if alone { wait } else { wait.min(SHORT) };
    for index in round_robin(consumers.len(), last) {
        let Some(consumer) = consumers.get(index) else {
            continue;
        };
        let question = if wait.is_zero() {
            consumer.fetch().max_messages(1).messages().await
        } else {
            let question = consumer.batch().max_messages(1).expires(wait);
            question.messages().await
        };
        let mut messages = question.map_err(|error| error.to_string())?;
        // A server that is killed with a question answers it never, and a question without a wait has no end of its own.
        let answered = tokio::time::timeout(wait + ANSWER, messages.next());
        if let Ok(Some(message)) = answered.await {
            return message
                .map(|message| Some((index, message)))
                .map_err(|error| error.to_string());
        }
    }
    Ok(None)
}

/// Lets somebody else have an order, after a while. Where that cannot be said, the order comes back by itself.
pub(super) async fn give_back(message: &Message, wait: Duration) {
    drop(message.ack_with(AckKind::Nak(Some(wait))).await);
}

/// Returns what a worker says of itself, as the board has it behave.
fn card_now(card: &Mutex<WorkerInfo>, controls: &WorkerInstructions) -> WorkerInfo {
    let mut card = card.lock().map(|card| card.clone()).unwrap_or_default();
    card.draining |= controls.drains(&card.name);
    card
}

/// Says what a board has to say to its workers, to the person here and back to the board, whenever it changes.
async fn told_of_controls(
    streams: Arc<Streams>,
    card: Arc<Mutex<WorkerInfo>>,
    mut controls: watch::Receiver<WorkerInstructions>,
    notices: LineSink,
) {
    let (mut was_draining, mut was_told) = (false, None);
    // Whoever makes the orders says that the worker is there, too; with short leases that is not often enough.
    let beat = announce_interval(streams.cluster.lease);
    let is_short = beat < ANNOUNCE_INTERVAL;
    let board = streams.cluster.board.clone();
    loop {
        let (own, skew) = {
            let controls = controls.borrow_and_update();
            (
                card_now(&card, &controls),
                controls.version_skew(PROTOCOL_VERSION),
            )
        };
        if own.draining != was_draining {
            was_draining = own.draining;
            let what = if was_draining {
                "nothing new is taken until `tos worker undrain`"
            } else {
                "work is taken again"
            };
            notices(&format!("the board {board}: {what}"));
            if let Err(why) = streams.presence.announce(&own).await {
                tracing::debug!("{why}");
            }
        }
        if skew != was_told {
            if let Some(why) = &skew {
                notices(&format!("the board {board}: {why}"));
            }
            was_told = skew;
        }
        tokio::select! {
            changed = controls.changed() => if changed.is_err() {
                return;
            },
            () = tokio::time::sleep(beat), if is_short => {
                let own = card_now(&card, &controls.borrow());
                if let Err(why) = streams.presence.announce(&own).await {
                    tracing::debug!("{why}");
                }
            }
        }
    }
}

fn failed(order: &WorkOrder, reason: String) -> WorkResult {
    WorkResult {
        outcome: RunOutcome::Failed {
            failure: FailureKind::Flaky,
            signature: reason.clone(),
            reasons: vec![reason],
            kept: None,
        },
        ..unclaimed_result(order.run, order.fence)
    }
}

impl OrderQueue for NatsOrderQueue {
    fn poll(&self, wait: Duration) -> BoxFuture<'_, Result<Option<Box<dyn ClaimedOrder>>, Error>> {
        Box::pin(async move {
            let card = self.card();
            if card.draining {
                let mut controls = self.controls.clone();
                drop(tokio::time::timeout(wait, controls.changed()).await);
                return Ok(None);
            }
            let Some(message) = self.message(&card, wait).await.map_err(Error)? else {
                return Ok(None);
            };
            let taken = Box::pin(self.taken(message)).await.map_err(Error)?;
            Ok(taken.map(|taken| Box::new(taken) as Box<dyn ClaimedOrder>))
        })
    }

    fn announce(&self, card: WorkerInfo) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            if let Ok(mut own) = self.card.lock() {
                *own = card;
            }
            let card = self.card();
            self.streams.presence.announce(&card).await.map_err(Error)
        })
    }
}

/// An order under way.
struct Taken {
    streams: Arc<Streams>,
    order: WorkOrder,
    claimed: ClaimedMessage,
    lines: mpsc::UnboundedSender<String>,
}

impl Taken {
    fn begin(
        streams: Arc<Streams>,
        order: WorkOrder,
        message: Message,
        worker: String,
        stops: async_nats::Subscriber,
    ) -> Self {
        let fence = order.fence.0;
        let claimed = ClaimedMessage::keep(
            &streams.cluster,
            streams.presence.clone(),
            (fence.to_string(), worker),
            message,
            stops,
            |told| Some(told.first().copied().unwrap_or(1)),
        );
        let (lines, told) = mpsc::unbounded_channel();
        drop(
            streams
                .cluster
                .spawn(tell(Arc::clone(&streams), fence, told)),
        );
        Self {
            streams,
            order,
            claimed,
            lines,
        }
    }
}

/// Sends lines to whoever looks on; the whole log comes with the result, so one that is lost is no loss.
async fn tell(streams: Arc<Streams>, fence: u64, mut lines: mpsc::UnboundedReceiver<String>) {
    let subject = streams.cluster.subject(&format!("line.{fence}"));
    while let Some(line) = lines.recv().await {
        let line = streams.logs.clean(&line);
        let sent = streams.cluster.client.publish(subject.clone(), line.into());
        if let Err(error) = sent.await {
            tracing::debug!("{error}");
        }
    }
}

impl ClaimedOrder for Taken {
    fn order(&self) -> &WorkOrder {
        &self.order
    }

    fn stop(&self) -> Box<dyn StopFeed> {
        self.claimed.stop()
    }

    fn lines(&self) -> LineSink {
        let lines = self.lines.clone();
        // Whoever hears nothing any more has the result already.
        Box::new(move |line| drop(lines.send(line.to_owned())))
    }

    fn finish(self: Box<Self>, mut result: WorkResult) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async move {
            if let Some(folder) = self.order.log_folder() {
                match self.streams.logs.publish(self.order.fence.0, &folder).await {
                    Ok(name) => result.logs = name,
                    // What was done counts without its log.
                    Err(why) => tracing::warn!("the log of {} stays here: {why}", self.order.run),
                }
            }
            let code = &self.streams.code;
            match &result.outcome {
                RunOutcome::Committed { kept } => {
                    let stored = code.publish_attempt(&kept.base, &kept.commit).await;
                    result.bundle = stored.map_err(Error)?;
                }
                RunOutcome::Failed {
                    kept: Some(kept), ..
                } => match code.publish_attempt(&kept.base, &kept.commit).await {
                    Ok(name) => result.bundle = name,
                    Err(why) => {
                        tracing::warn!("what {} tried stays here: {why}", self.order.run);
                        result.outcome.forget_tried();
                    }
                },
                RunOutcome::Failed { kept: None, .. }
                | RunOutcome::NoChange { .. }
                | RunOutcome::QuotaUsed { .. }
                | RunOutcome::Stopped => {}
            }
            self.streams.report(&result).await.map_err(Error)?;
            self.claimed.done().await
        })
    }
}
