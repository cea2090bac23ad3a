//! The controller's side of the queue: work handed out over NATS, and what comes of it.
//!
//! An order lies in a work queue until a worker has ended it, in a lane for its role and for what it requires. A result lies in a queue
//! of its own until the controller has it. What workers do with both is in `orders`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use async_nats::jetstream::consumer::PullConsumer;
use futures_util::StreamExt as _;
use tokio::sync::{oneshot, watch};

use super::{
    connection::NatsConnection,
    patience::subjects,
    places::{Heard, LOOKED, LOST, LOST_RESULT, OrderPlace, listen},
    presence::Presence,
    publish::publish_under,
    streams::{Streams, consumer, consumer_name},
};
use crate::{
    domain::{
        board::{Fence, RunId, RunOutcome, Spend},
        cluster::{
            ClaimHolder, ClusterView, GRACE, PROTOCOL_VERSION, WorkOrder, WorkResult,
            WorkerInstructions,
        },
    },
    ports::{
        BoxFuture,
        cluster::{Error, LineSink, RunDispatcher, StopFeed},
    },
};

/// How long one question for results waits at the server. One that a server took along when it died is asked again after that.
pub(super) const ASK: Duration = Duration::from_secs(5);

/// How many results one question brings at most.
const RESULTS: usize = 256;

/// How much room is made for an order before it is written; more is made where it is needed.
const USUAL_BYTES: usize = 4096;

type Beats = watch::Receiver<Heard>;
type Waiting = Arc<Mutex<Results>>;
/// A line, and who looks on.
type SaidLine = (Arc<LineSink>, String);

/// Who waits for which result, by the number of its lease.
#[derive(Default)]
struct Results {
    waiting: BTreeMap<u64, oneshot::Sender<WorkResult>>,
    /// What a controller before this one had handed out.
    inherited: BTreeSet<u64>,
    /// Results of these that came before anybody waited for them.
    early: BTreeMap<u64, WorkResult>,
    /// Who looks on at which order.
    lines: BTreeMap<u64, Arc<LineSink>>,
}

impl Results {
    /// Takes a result in; returns whether it counts.
    fn take(&mut self, result: WorkResult) -> bool {
        let fence = result.fence.0;
        match self.waiting.remove(&fence) {
            Some(place) => {
                drop(place.send(result));
                true
            }
            None if self.inherited.contains(&fence) => {
                self.early.insert(fence, result);
                true
            }
            None => false,
        }
    }

    /// Begins to wait for a result, which may be there.
    fn wait(&mut self, fence: u64) -> oneshot::Receiver<WorkResult> {
        let (sender, result) = oneshot::channel();
        match self.early.remove(&fence) {
            Some(early) => drop(sender.send(early)),
            None => drop(self.waiting.insert(fence, sender)),
        }
        result
    }
}

/// The controller's side.
pub(super) struct NatsDispatcher {
    streams: Arc<Streams>,
    waiting: Waiting,
    beats: Beats,
}

impl NatsDispatcher {
    /// Opens the queues of a board and begins to take results in.
    pub(super) fn open(
        cluster: &Arc<NatsConnection>,
        streams: Arc<Streams>,
    ) -> Result<Self, String> {
        let (key, form) = WorkerInstructions::protocol_entry(PROTOCOL_VERSION);
        cluster.block_on(streams.controls.put(&key, &form))?;
        // Before anything is taken in, so that nothing of it counts as late.
        let inherited = cluster.block_on(inherited(&streams))?;
        let waiting = Waiting::default();
        if let Ok(mut known) = waiting.lock() {
            known.inherited = inherited;
        }
        let subject = cluster.subject("result.*");
        let results = cluster.block_on(consumer(
            &streams.results,
            "controller",
            subject,
            cluster.lease,
        ))?;
        let said = cluster.client.subscribe(cluster.subject("line.*"));
        let said = cluster.block_on(said).map_err(|error| error.to_string())?;
        drop(cluster.spawn(look_on(said, Arc::clone(&waiting), listeners()?)));
        drop(cluster.spawn(take_results(results, Arc::clone(&waiting))));
        let (sender, beats) = watch::channel(Heard::default());
        let (presence, work) = (streams.presence.clone(), streams.work.clone());
        let beat = cluster.heartbeat_interval();
        drop(cluster.spawn(async move {
            // It ends when nobody wants to know of beats any more.
            tokio::select! {
                () = listen(&presence, &work, beat, sender) => {}
                () = presence.follow_cards() => {}
            }
        }));
        Ok(Self {
            streams,
            waiting,
            beats,
        })
    }
}

/// Begins to call whoever looks on with what is said, on a thread of its own: they write to the disk, and the connection does not wait for that.
fn listeners() -> Result<mpsc::Sender<SaidLine>, String> {
    let (sender, lines) = mpsc::channel::<SaidLine>();
    let calling = move || lines.iter().for_each(|(sink, line)| sink(&line));
    std::thread::Builder::new()
        .name("nats-lines".to_owned())
        .spawn(calling)
        .map_err(|error| format!("a thread could not start: {error}"))?;
    Ok(sender)
}

/// Hands lines of logs to whoever looks on; one subscription is enough for all orders.
async fn look_on(
    mut said: async_nats::Subscriber,
    waiting: Waiting,
    listeners: mpsc::Sender<SaidLine>,
) {
    while let Some(line) = said.next().await {
        let fence = line.subject.rsplit('.').next();
        let fence = fence.and_then(|fence| fence.parse::<u64>().ok());
        let Some((fence, known)) = fence.zip(waiting.lock().ok()) else {
            continue;
        };
        let sink = known.lines.get(&fence).cloned();
        drop(known);
        if let Some(sink) = sink {
            let text = String::from_utf8_lossy(&line.payload).into_owned();
            drop(listeners.send((sink, text)));
        }
    }
}

/// Returns the numbers of leases under which somebody works, or has reported what nobody has taken in yet.
async fn inherited(streams: &Streams) -> Result<BTreeSet<u64>, String> {
    let beating = streams.presence.beating().await?;
    let before = streams.cluster.subject("result.");
    let reported = subjects(&streams.results, &format!("{before}*")).await?;
    let reported = reported
        .iter()
        .filter_map(|subject| subject.strip_prefix(&before));
    let numbers = beating.iter().map(String::as_str).chain(reported);
    Ok(numbers.filter_map(|number| number.parse().ok()).collect())
}

async fn take_results(consumer: PullConsumer, waiting: Waiting) {
    loop {
        let fetched = consumer
            .batch()
            .max_messages(RESULTS)
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
                    let fence = result.fence;
                    let counts = waiting.lock().is_ok_and(|mut known| known.take(result));
                    if !counts {
                        tracing::warn!("a result under {fence} comes too late and does not count");
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
        let (streams, waiting) = (Arc::clone(&self.streams), Arc::clone(&self.waiting));
        let (beats, lines) = (self.beats.clone(), Arc::new(lines));
        let fence = order.fence.0;
        // What waits for its result is no order any more, but the few words of it that are needed then: very many may wait.
        let written = WrittenOrder::of(order, &streams.cluster);
        Box::pin(async move {
            let (result, is_inherited) = {
                let mut known = waiting
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                known.lines.insert(fence, Arc::clone(&lines));
                (known.wait(fence), known.inherited.contains(&fence))
            };
            let awaited = Awaited {
                result,
                beats,
                holder: ClaimHolder::of_somebody(is_inherited),
                unheard: 0,
            };
            let handed = match written {
                Ok(written) => Box::pin(hand_out(&streams, written)).await,
                Err(why) => Err(why),
            };
            let ended = match handed {
                Ok(handed) => result_of(&streams, &handed, stop, awaited, &lines).await,
                Err(why) => Err(why),
            };
            if let Ok(mut known) = waiting.lock() {
                known.waiting.remove(&fence);
                known.lines.remove(&fence);
            }
            ended.map_err(Error)
        })
    }

    fn under_way(&self) -> BoxFuture<'static, BTreeSet<Fence>> {
        let inherited = self.waiting.lock().map(|known| known.inherited.clone());
        let fences = inherited.unwrap_or_default().into_iter().map(Fence);
        let fences = fences.collect();
        Box::pin(std::future::ready(fences))
    }

    fn view(&self) -> BoxFuture<'static, Result<ClusterView, Error>> {
        let streams = Arc::clone(&self.streams);
        Box::pin(async move { streams.view().await.map_err(Error) })
    }

    fn share(&self, commit: &str) -> BoxFuture<'static, Result<(), Error>> {
        let (code, commit) = (self.streams.code.clone(), commit.to_owned());
        Box::pin(async move { code.publish(&commit).await.map_err(Error) })
    }

    fn bring(&self, commit: &str) -> BoxFuture<'static, Result<(), Error>> {
        let (code, commit) = (self.streams.code.clone(), commit.to_owned());
        Box::pin(async move { code.bring(&commit).await.map_err(Error) })
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

/// What is known of an order that was handed out.
struct Awaited {
    result: oneshot::Receiver<WorkResult>,
    beats: Beats,
    holder: ClaimHolder,
    /// At how many beats the order was done with and nothing was heard of it.
    unheard: u32,
}

/// An order as it goes into the queue.
struct WrittenOrder {
    body: Vec<u8>,
    id: String,
    subject: String,
    base: String,
    /// The name of the consumer of its lane, and what says which labels the lane stands for.
    consumer: String,
    labels: Option<(String, String)>,
    run: RunId,
    fence: Fence,
    owner: String,
    log_folder: Option<String>,
}

impl WrittenOrder {
    fn of(order: WorkOrder, cluster: &NatsConnection) -> Result<Self, String> {
        let mut body = Vec::with_capacity(USUAL_BYTES);
        serde_json::to_writer(&mut body, &order).map_err(|error| error.to_string())?;
        let (lane, labels) = WorkerInstructions::lane_of(&order.task.spec.requires);
        let (role, fence) = (order.role().as_str(), order.fence.0);
        let rest = format!("work.{}.{role}.{lane}.{fence}", order.protocol);
        Ok(Self {
            body,
            id: order.id(),
            subject: cluster.subject(&rest),
            consumer: consumer_name(role, &lane),
            labels,
            run: order.run,
            fence: order.fence,
            owner: format!("the controller {}", order.instance),
            log_folder: order.log_folder(),
            base: order.base,
        })
    }
}

/// What is remembered of an order while its result is waited for.
struct HandedOut {
    run: RunId,
    fence: Fence,
    /// The key of its claim.
    key: String,
    /// Who takes it back.
    owner: String,
    subject: String,
    place: OrderPlace,
    log_folder: Option<String>,
}

/// Puts an order into the queue; when this returns, a majority of the servers has it.
async fn hand_out(streams: &Streams, order: WrittenOrder) -> Result<HandedOut, String> {
    if !streams.code.is_latest(&order.base).await {
        Box::pin(streams.code.publish(&order.base)).await?;
    }
    if let Some((key, labels)) = order.labels {
        Box::pin(streams.controls.put(&key, &labels)).await?;
    }
    let (jetstream, subject) = (&streams.cluster.jetstream, order.subject);
    let number = publish_under(jetstream, &subject, &order.id, order.body).await?;
    Ok(HandedOut {
        place: OrderPlace::now(order.consumer, number),
        run: order.run,
        fence: order.fence,
        key: order.fence.0.to_string(),
        owner: order.owner,
        subject,
        log_folder: order.log_folder,
    })
}

/// Waits for what comes of an order. What is rarely done has no part in what waits.
async fn result_of(
    streams: &Streams,
    handed: &HandedOut,
    mut stop: Box<dyn StopFeed>,
    mut awaited: Awaited,
    lines: &LineSink,
) -> Result<WorkResult, String> {
    let mut is_ending = false;
    loop {
        tokio::select! {
            came = &mut awaited.result => {
                let mut result = came.map_err(|_| "the service ends".to_owned())?;
                Box::pin(fetched(streams, handed, &mut result)).await?;
                return Ok(result);
            }
            told = stop.next() => {
                is_ending = true;
                Box::pin(stopped(streams, handed, told.unwrap_or(2))).await;
                if Box::pin(is_taken_back(streams, handed)).await {
                    return Ok(unclaimed_result(handed.run, handed.fence));
                }
                if told.is_none() {
                    return Err("the service ends".to_owned());
                }
            }
            Ok(()) = awaited.beats.changed() => {
                if let Some(ended) = Box::pin(at_beat(streams, handed, &mut awaited, is_ending, lines)).await {
                    return ended;
                }
            }
        }
    }
}

/// Takes in what is heard at a beat; returns what comes of an order where that is known by it.
async fn at_beat(
    streams: &Streams,
    handed: &HandedOut,
    awaited: &mut Awaited,
    is_ending: bool,
    lines: &LineSink,
) -> Option<Result<WorkResult, String>> {
    let (is_heard_of, is_lost) = {
        let heard = awaited.beats.borrow_and_update();
        let is_heard_of = heard.beating.contains(&handed.key);
        (is_heard_of, heard.places.has_lost(&handed.place))
    };
    let holder = &mut awaited.holder;
    let seen = gone(&streams.presence, &handed.key, holder, is_heard_of);
    if let Some(name) = seen.await {
        return Some(Err(format!("the worker {name} is gone")));
    }
    if holder.is_known() {
        return None;
    }
    // Where the server did not answer to that before, or lost the order before anybody had it.
    if (is_ending || is_lost) && is_taken_back(streams, handed).await {
        if !is_ending {
            lines(LOST);
            let (queue, subject) = (&streams.work, &handed.subject);
            streams.repair.repair(queue, &handed.place, subject).await;
        }
        return Some(Ok(unclaimed_result(handed.run, handed.fence)));
    }
    // Somebody had it and is done with it: then the result lies there before the order goes.
    awaited.unheard = if is_lost { awaited.unheard + 1 } else { 0 };
    let is_result_lost = awaited.unheard > GRACE * LOOKED;
    is_result_lost.then(|| Err(LOST_RESULT.to_owned()))
}

/// Returns whether nobody works on an order and nobody ever will: whoever holds its claim works on it, and that is us.
async fn is_taken_back(streams: &Streams, handed: &HandedOut) -> bool {
    let claim = streams.presence.claim(&handed.key, &handed.owner).await;
    matches!(claim, Ok(true))
}

/// Takes in whether somebody is heard of; returns who is gone.
async fn gone(
    presence: &Presence,
    key: &str,
    holder: &mut ClaimHolder,
    is_heard_of: bool,
) -> Option<String> {
    let is_known = holder.is_known();
    holder.seen(presence.seen(key, is_heard_of, is_known).await)
}

/// Brings the commit and the logs of an attempt here. Without its logs an attempt counts all the same.
async fn fetched(
    streams: &Streams,
    handed: &HandedOut,
    result: &mut WorkResult,
) -> Result<(), String> {
    if let Some(folder) = &handed.log_folder
        && let Err(why) = streams.logs.fetch(&result.logs, folder).await
    {
        tracing::warn!("the log of {} stays on the worker: {why}", handed.run);
    }
    let code = &streams.code;
    match &result.outcome {
        RunOutcome::Committed { kept } => {
            code.fetch_attempt(&result.bundle, &kept.commit).await?;
        }
        RunOutcome::Failed {
            kept: Some(kept), ..
        } => {
            if let Err(why) = code.fetch_attempt(&result.bundle, &kept.commit).await {
                tracing::warn!("what {} tried stays on the worker: {why}", handed.run);
                result.outcome.forget_tried();
            }
        }
        RunOutcome::Failed { kept: None, .. }
        | RunOutcome::NoChange { .. }
        | RunOutcome::QuotaUsed { .. }
        | RunOutcome::Stopped => {}
    }
    Ok(())
}

/// Takes an order out of the queue, and tells whoever works on it to stop.
async fn stopped(streams: &Streams, handed: &HandedOut, how: u8) {
    let subject = &handed.subject;
    let purged = streams.work.purge().filter(subject.clone()).await;
    if let Err(error) = purged {
        tracing::warn!("{subject}: {error}");
    }
    let subject = streams.cluster.subject(&format!("stop.{}", handed.key));
    let told = streams.cluster.client.publish(subject, vec![how].into());
    if let Err(error) = told.await {
        tracing::warn!("{error}");
    }
}

/// Says that nothing came of an order, and nobody had it.
pub(super) fn unclaimed_result(run: RunId, fence: Fence) -> WorkResult {
    WorkResult {
        run,
        fence,
        worker: String::new(),
        outcome: RunOutcome::Stopped,
        spend: Spend::default(),
        records: Vec::new(),
        bundle: String::new(),
        logs: String::new(),
    }
}
