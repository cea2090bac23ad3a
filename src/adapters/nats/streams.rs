//! The queues of a board and what lies beside them: what controllers and workers both work with.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{
    consumer::{AckPolicy, PullConsumer, pull},
    stream::{Config, RetentionPolicy, StorageType, Stream},
};
use futures_util::StreamExt as _;

use super::{
    connection::{NatsConnection, open_error},
    controls::ControlBucket,
    logs::LogStore,
    objects::CodeStore,
    patience::patiently,
    places::LaneRepair,
    presence::Presence,
    publish::publish_under,
};
use crate::{
    adapters::git::bundle::GitBundles,
    domain::cluster::{ClusterView, PROTOCOL_VERSION, WorkResult},
};

/// What both sides of the queue work with.
pub(super) struct Streams {
    pub(super) cluster: Arc<NatsConnection>,
    pub(super) work: Stream,
    pub(super) results: Stream,
    pub(super) presence: Presence,
    pub(super) repair: LaneRepair,
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
            work: work_stream(cluster).await?,
            results: stream(cluster, "RESULTS", "result.*").await?,
            presence: Presence::open(cluster).await?,
            repair: LaneRepair::every(cluster.lease),
            code: CodeStore::open(cluster, bundles).await?,
            cluster: Arc::clone(cluster),
        })
    }

    /// Reports what came of an order.
    pub(super) async fn report(&self, result: &WorkResult) -> Result<(), String> {
        let body = serde_json::to_vec(result).map_err(|error| error.to_string())?;
        let fence = result.fence.0;
        let subject = self.cluster.subject(&format!("result.{fence}"));
        publish_under(
            &self.cluster.jetstream,
            &subject,
            &format!("result.{fence}"),
            body,
        )
        .await
        .map(drop)
    }

    /// Returns the durable consumer of a role's lane.
    pub(super) async fn lane(&self, role: &str, lane: &str) -> Result<PullConsumer, String> {
        let rest = format!("work.{PROTOCOL_VERSION}.{role}.{lane}.*");
        let name = consumer_name(role, lane);
        let subject = self.cluster.subject(&rest);
        consumer(&self.work, &name, subject, self.cluster.lease).await
    }

    /// Returns how many orders lie in the queue, and what workers make of them.
    pub(super) async fn view(&self) -> Result<ClusterView, String> {
        let info = self.work.get_info().await;
        let messages = info.map_err(|error| error.to_string())?.state.messages;
        let mut view = self.presence.look().await?;
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

/// Opens the queue of work of a board.
pub(super) async fn work_stream(cluster: &NatsConnection) -> Result<Stream, String> {
    stream(cluster, "WORK", "work.>").await
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

/// Returns the name of the consumer that gives the orders of a lane to workers of a role.
pub(super) fn consumer_name(role: &str, lane: &str) -> String {
    format!("form{PROTOCOL_VERSION}-{role}-{lane}")
}

/// Opens a durable consumer, and makes it where there is none.
pub(super) async fn consumer(
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
    patiently(|| async {
        let made = stream.create_consumer(config.clone()).await;
        made.map_err(|error| format!("the consumer {name}: {error}"))
    })
    .await
}
