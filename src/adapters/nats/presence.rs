//! Small values that end by themselves: which workers are there, and which leases they work under.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::kv;
use futures_util::StreamExt as _;

use super::connection::NatsConnection;
use crate::domain::cluster::WorkerInfo;

/// How long it is remembered that somebody began to work under a lease: longer than any order lies in the queue.
const CLAIMED: Duration = Duration::from_secs(30 * 24 * 3600);

/// What workers say of themselves.
#[derive(Clone)]
pub(super) struct Presence {
    workers: kv::Store,
    claims: kv::Store,
    beats: kv::Store,
}

impl Presence {
    /// Opens the buckets, and makes them where there are none.
    pub(super) async fn open(cluster: &Arc<NatsConnection>) -> Result<Self, String> {
        Ok(Self {
            workers: cluster
                .bucket("WORKERS", cluster.lease.max(Duration::from_secs(30)))
                .await?,
            claims: cluster.bucket("CLAIMS", CLAIMED).await?,
            beats: cluster.bucket("BEATS", cluster.lease).await?,
        })
    }

    /// Notes what a worker says of itself.
    pub(super) async fn announce(&self, card: &WorkerInfo) -> Result<(), String> {
        let body = serde_json::to_vec(card).map_err(|error| error.to_string())?;
        let put = self.workers.put(&card.name, body.into()).await;
        put.map(drop).map_err(|error| error.to_string())
    }

    /// Returns the workers that were heard of lately.
    pub(super) async fn workers(&self) -> Result<Vec<WorkerInfo>, String> {
        let mut names = self
            .workers
            .keys()
            .await
            .map_err(|error| error.to_string())?;
        let mut cards = Vec::new();
        while let Some(name) = names.next().await {
            let name = name.map_err(|error| error.to_string())?;
            if let Ok(Some(body)) = self.workers.get(&name).await {
                // A card of another version may have another form; it is a worker all the same.
                cards.push(
                    serde_json::from_slice(&body).unwrap_or_else(|_| WorkerInfo {
                        name: name.clone(),
                        version: "unknown".to_owned(),
                        ..WorkerInfo::default()
                    }),
                );
            }
        }
        cards.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(cards)
    }

    /// Takes the right to work under a lease; only one ever gets it.
    pub(super) async fn claim(&self, fence: u64, worker: &str) -> Result<bool, String> {
        let key = fence.to_string();
        match self.claims.create(&key, worker.to_owned().into()).await {
            Ok(_) => {
                self.renew_claim(fence, worker).await;
                Ok(true)
            }
            Err(error) if error.kind() == kv::CreateErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Returns whether somebody ever began to work under a lease.
    pub(super) async fn was_claimed(&self, fence: u64) -> Result<bool, String> {
        let entry = self.claims.get(fence.to_string()).await;
        Ok(entry.map_err(|error| error.to_string())?.is_some())
    }

    /// Shows that the work under a lease goes on.
    pub(super) async fn renew_claim(&self, fence: u64, worker: &str) {
        // The next beat comes soon; whoever misses several is taken for gone.
        drop(
            self.beats
                .put(fence.to_string(), worker.to_owned().into())
                .await,
        );
    }

    /// Returns who works under a lease and was heard of lately.
    pub(super) async fn holder(&self, fence: u64) -> Result<Option<String>, String> {
        let entry = self.beats.get(fence.to_string()).await;
        let entry = entry.map_err(|error| error.to_string())?;
        Ok(entry.map(|name| String::from_utf8_lossy(&name).into_owned()))
    }
}
