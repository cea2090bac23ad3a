//! Small values that end by themselves: which workers are there, and which leases they work under.
//!
//! Whoever asks often which workers are there follows what they say of themselves: then one question brings the names of all, and a card is
//! read only where it was not heard lately. So a change that was not told is late, and never lost; and nobody is taken for lost before the server
//! was asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_nats::jetstream::kv;
use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use super::{
    connection::NatsConnection,
    leader,
    patience::{keys, last, moment, patiently},
};
use crate::domain::{
    cluster::{ClusterView, WorkerInfo, lost_workers},
    time::Timestamp,
};

/// How long it is remembered that somebody began to work under a lease: longer than any order lies in the queue.
const CLAIMED: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a card that was heard is taken for what the bucket holds: workers say what they say every ten seconds.
const HEARD: Duration = Duration::from_secs(20);
/// How many cards are read at a time.
const AT_A_TIME: usize = 32;

/// A key that is no number of a lease: whoever asks for the time writes it.
const ASKING: &str = "asking";

/// Cards by the name of their worker.
type Cards = Arc<Mutex<BTreeMap<String, Card>>>;

/// What a worker said of itself.
struct Card {
    at: Instant,
    /// When the server took it in.
    said: Option<Timestamp>,
    revision: u64,
    body: Vec<u8>,
}

/// What workers say of themselves.
#[derive(Clone)]
pub(super) struct Presence {
    workers: kv::Store,
    cards: Cards,
    claims: kv::Store,
    beats: kv::Store,
    cluster: Arc<NatsConnection>,
}

impl Presence {
    /// Opens the buckets, and makes them where there are none.
    pub(super) async fn open(cluster: &Arc<NatsConnection>) -> Result<Self, String> {
        Ok(Self {
            workers: cluster
                .bucket("WORKERS", cluster.lease.max(Duration::from_secs(30)))
                .await?,
            cards: Cards::default(),
            claims: cluster.bucket("CLAIMS", CLAIMED).await?,
            beats: cluster.bucket("BEATS", cluster.lease).await?,
            cluster: Arc::clone(cluster),
        })
    }

    /// Notes what a worker says of itself.
    pub(super) async fn announce(&self, card: &WorkerInfo) -> Result<(), String> {
        let body = serde_json::to_vec(card).map_err(|error| error.to_string())?;
        let put = self.workers.put(&card.name, body.into()).await;
        put.map(drop).map_err(|error| error.to_string())
    }

    /// Returns which workers were heard of lately, and which of them are silent for too long.
    pub(super) async fn look(&self) -> Result<ClusterView, String> {
        let names = keys(&self.workers).await?;
        if let Ok(mut cards) = self.cards.lock() {
            let there: BTreeSet<&str> = names.iter().map(String::as_str).collect();
            cards.retain(|name, _| there.contains(name.as_str()));
        }
        let cards = stream::iter(names).map(|name| self.card(name));
        let cards = cards.buffered(AT_A_TIME).filter_map(std::future::ready);
        let (mut workers, said): (Vec<WorkerInfo>, Vec<Option<Timestamp>>) = cards.unzip().await;
        let names = workers.iter().map(|card| card.name.clone());
        let heard = names.zip(said).filter_map(|(name, at)| Some((name, at?)));
        let lost = self.lost(heard.collect()).await;
        workers.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(ClusterView {
            workers,
            lost,
            ..ClusterView::default()
        })
    }

    /// Returns which workers are silent for too long, and since when, by the clock of the server.
    async fn lost(&self, mut heard: BTreeMap<String, Timestamp>) -> BTreeMap<String, Timestamp> {
        let (now, lease) = (self.server_time().await, self.cluster.lease);
        for name in lost_workers(&heard, now, lease).into_keys() {
            // What was heard last may not be what was said last.
            if let Some((_, Some(at))) = self.read(name.clone()).await {
                heard.insert(name, at);
            }
        }
        lost_workers(&heard, now, lease)
    }

    /// Returns a moment of the server that is as late as can be known: the last word of the controller that leads, or, where none leads, of this
    /// process.
    async fn server_time(&self) -> Option<Timestamp> {
        if let Some(at) = leader::said_last(&self.cluster).await {
            return Some(at);
        }
        self.beats.put(ASKING, "".into()).await.ok()?;
        moment(&self.beats.entry(ASKING).await.ok()??)
    }

    /// Returns what a worker says of itself and when it did, unless that has ended.
    async fn card(&self, name: String) -> Option<(WorkerInfo, Option<Timestamp>)> {
        let heard = self.cards.lock().ok().and_then(|cards| {
            let card = cards.get(&name)?;
            (card.at.elapsed() < HEARD).then(|| (read_card(&name, &card.body), card.said))
        });
        if heard.is_some() {
            return heard;
        }
        self.read(name).await
    }

    async fn read(&self, name: String) -> Option<(WorkerInfo, Option<Timestamp>)> {
        let entry = self.workers.entry(&name).await.ok().flatten()?;
        if entry.operation != kv::Operation::Put {
            return None;
        }
        let card = (read_card(&name, &entry.value), moment(&entry));
        hear(&self.cards, entry);
        Some(card)
    }

    /// Hears what workers say of themselves, until it is dropped.
    pub(super) async fn follow_cards(&self) {
        loop {
            match self.workers.watch_all().await {
                Ok(mut said) => {
                    // A server that is gone takes a watch along and says nothing; a bucket without workers does that too.
                    while let Ok(Some(Ok(entry))) = tokio::time::timeout(HEARD, said.next()).await {
                        hear(&self.cards, entry);
                    }
                }
                Err(error) => {
                    tracing::debug!("{error}");
                    tokio::time::sleep(HEARD).await;
                }
            }
        }
    }

    /// Returns a name under which nobody else claims: two workers may be called the same.
    pub(super) fn own_name(&self, worker: &str) -> String {
        format!("{worker} {}", self.cluster.client.new_inbox())
    }

    /// Takes the right to work under a key, such as the number of a lease; only one ever gets it. An answer that was lost is told from
    /// somebody else's claim by the name, which has to be nobody else's.
    pub(super) async fn claim(&self, key: &str, own: &str) -> Result<bool, String> {
        let subject = format!("{}{key}", self.claims.prefix);
        let subject = subject.as_str();
        patiently(|| async move {
            match self.claims.create(key, own.to_owned().into()).await {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == kv::CreateErrorKind::AlreadyExists => {
                    let holds = last(&self.claims.stream, subject).await?;
                    Ok(holds.is_some_and(|message| message.payload == own.as_bytes()))
                }
                Err(error) => Err(error.to_string()),
            }
        })
        .await
    }

    /// Shows that the work under a key goes on.
    pub(super) async fn renew_claim(&self, key: &str, worker: &str) {
        // The next beat comes soon; whoever misses several is taken for gone.
        drop(self.beats.put(key, worker.to_owned().into()).await);
    }

    /// Returns who works under a key and was heard of lately.
    pub(super) async fn holder(&self, key: &str) -> Result<Option<String>, String> {
        let entry = self.beats.get(key).await;
        let entry = entry.map_err(|error| error.to_string())?;
        Ok(entry.map(|name| String::from_utf8_lossy(&name).into_owned()))
    }

    /// Returns who was seen under a key, where somebody is heard of: nothing but that, where it is known who that is.
    pub(super) async fn seen(
        &self,
        key: &str,
        is_heard_of: bool,
        is_known: bool,
    ) -> Option<String> {
        match (is_heard_of, is_known) {
            (false, _) => None,
            (true, true) => Some(String::new()),
            (true, false) => self.holder(key).await.unwrap_or(None),
        }
    }

    /// Returns the keys under which somebody works who was heard of lately.
    pub(super) async fn beating(&self) -> Result<BTreeSet<String>, String> {
        Ok(keys(&self.beats).await?.into_iter().collect())
    }
}

/// Takes in what a worker said, unless something newer is known.
fn hear(cards: &Mutex<BTreeMap<String, Card>>, entry: kv::Entry) {
    let Ok(mut cards) = cards.lock() else {
        return;
    };
    let known = cards.get(&entry.key).map(|card| card.revision);
    if known.is_some_and(|known| known > entry.revision) {
        return;
    }
    if entry.operation == kv::Operation::Put {
        let card = Card {
            at: Instant::now(),
            said: moment(&entry),
            revision: entry.revision,
            body: entry.value.to_vec(),
        };
        cards.insert(entry.key, card);
    } else {
        cards.remove(&entry.key);
    }
}

/// Reads a card. One of another version may have another form; it is a worker all the same.
fn read_card(name: &str, body: &[u8]) -> WorkerInfo {
    serde_json::from_slice(body).unwrap_or_else(|_| WorkerInfo {
        name: name.to_owned(),
        version: "unknown".to_owned(),
        ..WorkerInfo::default()
    })
}
