//! How far the workers are with a queue of orders. Servers that were killed may lose an order that they had acknowledged; nobody would ever get it,
//! and whoever handed it out would wait for ever.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Duration,
};

use async_nats::jetstream::{
    consumer::{FromConsumer as _, pull},
    stream::Stream,
};
use futures_util::StreamExt as _;
use tokio::{sync::watch, time::Instant};

use super::{patience::patiently, presence::Presence};
use crate::domain::cluster::QueuePlace;

/// What is said of an order that servers lost.
pub(super) const LOST: &str = "the NATS servers lost the order before a worker had it";

/// What is said of one that somebody did, where servers lost what came of it.
pub(super) const LOST_RESULT: &str = "the NATS servers lost what came of the order";

/// At how many beats the queue is looked at once.
pub(super) const LOOKED: u32 = 6;

/// What is heard of orders that are away, told anew at each beat.
#[derive(Default)]
pub(super) struct Heard {
    /// Those that somebody works on who was heard of lately.
    pub(super) beating: BTreeSet<String>,
    pub(super) places: QueuePlaces,
}

/// Where an order was put.
pub(super) struct OrderPlace {
    /// The name of the consumer that gives it to workers.
    consumer: String,
    number: u64,
    at: Instant,
}

impl OrderPlace {
    /// Says that an order is, from now on, in the queue of a consumer, as the message with this number.
    pub(super) fn now(consumer: String, number: u64) -> Self {
        let at = Instant::now();
        Self {
            consumer,
            number,
            at,
        }
    }
}

/// Makes the consumers of a queue anew that passed orders over: where the copies of servers differ, a consumer may be ahead of all that will ever
/// come, and nobody would get anything any more.
pub(super) struct LaneRepair {
    lease: Duration,
    repaired: Mutex<BTreeMap<String, Instant>>,
}

impl LaneRepair {
    /// What was made anew is left alone for a lease.
    pub(super) fn every(lease: Duration) -> Self {
        Self {
            lease,
            repaired: Mutex::default(),
        }
    }

    /// Takes an order that nobody can begin any more out of the queue, and makes its consumer anew. Orders that others have come again and are left
    /// alone, as their claims are taken.
    pub(super) async fn repair(&self, queue: &Stream, order: &OrderPlace, subject: &str) {
        if let Err(error) = queue.purge().filter(subject).await {
            tracing::warn!("{subject}: {error}");
        }
        if self.is_due(order)
            && let Err(why) = made_anew(queue, &order.consumer).await
        {
            tracing::warn!("{}: {why}", order.consumer);
        }
    }

    fn is_due(&self, order: &OrderPlace) -> bool {
        let now = Instant::now();
        let Ok(mut repaired) = self.repaired.lock() else {
            return false;
        };
        let last = repaired.get(&order.consumer);
        let is_due = last.is_none_or(|last| now - *last > self.lease);
        if is_due {
            repaired.insert(order.consumer.clone(), now);
        }
        is_due
    }
}

async fn made_anew(queue: &Stream, name: &str) -> Result<(), String> {
    let known = queue.get_consumer::<pull::Config>(name).await;
    let config = known.map_err(|error| error.to_string())?;
    let config = config.cached_info().config.clone();
    let config = pull::Config::try_from_consumer_config(config);
    let config = config.map_err(|error| error.to_string())?;
    tracing::warn!("{LOST}; {name} is made anew");
    let gone = queue.delete_consumer(name).await;
    gone.map_err(|error| error.to_string())?;
    patiently(|| async {
        let made = queue.create_consumer(config.clone()).await;
        made.map(drop).map_err(|error| error.to_string())
    })
    .await
}

/// How far the consumers of a queue were at a moment.
#[derive(Default)]
pub(super) struct QueuePlaces {
    began: Option<Instant>,
    last: u64,
    consumers: BTreeMap<String, QueuePlace>,
}

impl QueuePlaces {
    /// Asks the server.
    pub(super) async fn look(queue: &Stream) -> Result<Self, String> {
        let began = Some(Instant::now());
        let info = queue.get_info().await.map_err(|error| error.to_string())?;
        let last = info.state.last_sequence;
        let (mut listed, mut consumers) = (queue.consumers(), BTreeMap::new());
        while let Some(consumer) = listed.next().await {
            let consumer = consumer.map_err(|error| error.to_string())?;
            let place = QueuePlace {
                last,
                passed: consumer.delivered.stream_sequence,
                done: consumer.ack_floor.stream_sequence,
                held: consumer.num_ack_pending as u64,
            };
            consumers.insert(consumer.name, place);
        }
        Ok(Self {
            began,
            last,
            consumers,
        })
    }

    /// Returns whether an order that nobody has begun will be given to nobody; what was asked before it was there says nothing of it.
    pub(super) fn has_lost(&self, order: &OrderPlace) -> bool {
        let unknown = QueuePlace {
            last: self.last,
            ..QueuePlace::default()
        };
        let place = self.consumers.get(&order.consumer).unwrap_or(&unknown);
        self.began.is_some_and(|began| began > order.at) && place.has_lost(order.number)
    }
}

/// Asks at each beat which orders somebody works on, and now and then how far the queue is: one question for all of them, however many there are.
pub(super) async fn listen(
    presence: &Presence,
    work: &Stream,
    beat: Duration,
    told: watch::Sender<Heard>,
) {
    for beats in 1_u32.. {
        tokio::select! {
            () = tokio::time::sleep(beat) => {}
            () = told.closed() => return,
        }
        let places = if beats % LOOKED == 0 {
            QueuePlaces::look(work).await.ok()
        } else {
            None
        };
        match presence.beating().await {
            Ok(beating) => told.send_modify(|heard| {
                heard.beating = beating;
                heard.places = places.unwrap_or_else(|| std::mem::take(&mut heard.places));
            }),
            // Nobody knows; it is asked again.
            Err(why) => tracing::warn!("{why}"),
        }
    }
}
