//! One process on a cluster: what the ports ask of NATS, opened when it is needed.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::watch;

use super::{
    board::NatsBoard,
    connection::{NatsConnection, NatsOptions, board_name},
    controls::ControlBucket,
    leader,
    leader::LostRight,
    logs::LogStore,
    objects::CodeStore,
    orders::NatsOrderQueue,
    plan_orders::NatsPlanOrders,
    plan_tasks::NatsPlanTasks,
    presence::Presence,
    queue::NatsDispatcher,
    streams::Streams,
};
use crate::{
    adapters::{board::SqliteBoard, files, git::bundle::GitBundles},
    domain::{
        cluster::{CLUSTER_NOTE, ClusterView, WorkerInfo, WorkerInstructions},
        redaction::Redactor,
    },
    ports::{
        BoxFuture,
        board_store::BoardStore,
        cluster::{
            BranchCommits, ClusterMember, Error, LeadershipGuard, LineSink, OrderQueue,
            RunDispatcher,
        },
        plan_work::{PlanClusterClient, PlanTaskQueue, RemoteTasks},
    },
};

/// A process that is connected.
pub struct NatsMember {
    cluster: Arc<NatsConnection>,
    root: PathBuf,
    database: PathBuf,
    name: String,
    /// The words with which a controller of this board is started.
    words: String,
    redactor: Redactor,
}

impl std::fmt::Debug for NatsMember {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsMember")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Returns addresses of servers without what logs in.
fn without_login(url: &str) -> String {
    let plain = url.split(',').map(|one| match one.split_once("://") {
        Some((scheme, rest)) => {
            let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
            format!("{scheme}://{place}")
        }
        None => one
            .rsplit_once('@')
            .map_or(one, |(_, place)| place)
            .to_owned(),
    });
    plain.collect::<Vec<_>>().join(",")
}

impl NatsMember {
    /// Connects. `database` is where the board of a controller lies; `redactor` knows what may not travel.
    pub fn connect(
        login: &NatsOptions,
        board: &str,
        root: &Path,
        database: &Path,
        redactor: Redactor,
    ) -> Result<Self, Error> {
        Ok(Self {
            cluster: NatsConnection::connect(login, &board_name(board)).map_err(Error)?,
            root: root.to_owned(),
            database: database.to_owned(),
            name: login.name.clone(),
            words: format!("--nats {} --nats-board {board}", without_login(&login.url)),
            redactor,
        })
    }

    fn bundles(&self) -> GitBundles {
        GitBundles::new(&self.root)
    }

    fn streams_at_last(&self) -> Result<Arc<Streams>, Error> {
        let opened = || self.cluster.block_on(self.streams());
        let streams = self.cluster.retry(opened).map_err(Error)?;
        Ok(Arc::new(streams))
    }

    async fn streams(&self) -> Result<Streams, String> {
        let logs = LogStore::open(&self.cluster, &self.root, &self.redactor).await?;
        Box::pin(Streams::open(&self.cluster, self.bundles(), logs)).await
    }
}

impl ClusterMember for NatsMember {
    fn lead(
        &self,
        following: Box<dyn Fn(&str) + Send + Sync>,
    ) -> BoxFuture<'_, Result<LeadershipGuard, Error>> {
        Box::pin(async move {
            let led = leader::lead(
                &self.cluster,
                &self.name,
                self.cluster.lease / 3,
                &*following,
            )
            .await;
            let right = led.map_err(Error)?;
            self.cluster.set_leading();
            Ok(LeadershipGuard {
                lost: lost(right.lost(), self.cluster.given_up()),
                right: Box::new(right),
            })
        })
    }

    fn store(&self) -> Result<Box<dyn BoardStore>, Error> {
        let told = |error: crate::ports::board_store::Error| Error(error.0);
        let projection = SqliteBoard::open_projection(&self.database).map_err(told)?;
        let store = NatsBoard::open(&self.cluster, projection, &self.name).map_err(told)?;
        let note = self.database.with_file_name(CLUSTER_NOTE);
        files::write_secret(&note, &self.words).map_err(|error| Error(error.to_string()))?;
        Ok(Box::new(store))
    }

    fn runs(&self) -> Result<Arc<dyn RunDispatcher>, Error> {
        let streams = self.streams_at_last()?;
        let runs = NatsDispatcher::open(&self.cluster, streams).map_err(Error)?;
        Ok(Arc::new(runs))
    }

    fn tips(&self, known: BranchCommits) -> Result<BranchCommits, Error> {
        let tips = || {
            self.cluster.block_on(async {
                let code = CodeStore::open(&self.cluster, self.bundles()).await?;
                code.fetch_tips(&known).await
            })
        };
        self.cluster.retry(tips).map_err(Error)
    }

    fn orders(&self, card: WorkerInfo, notices: LineSink) -> Result<Arc<dyn OrderQueue>, Error> {
        let streams = self.streams_at_last()?;
        let orders = NatsOrderQueue::open(&self.cluster, streams, card, notices).map_err(Error)?;
        Ok(Arc::new(orders))
    }

    fn view(&self) -> Result<ClusterView, Error> {
        let seen = || {
            self.cluster
                .block_on(async { self.streams().await?.view().await })
        };
        self.cluster.retry(seen).map_err(Error)
    }

    fn drain(&self, worker: Option<&str>, is_on: bool) -> Result<WorkerInstructions, Error> {
        let key = WorkerInstructions::drain_key(worker);
        let told = || async {
            let bucket = ControlBucket::open(&self.cluster).await?;
            if is_on {
                bucket.put(&key, "").await?;
                return bucket.read().await;
            }
            bucket.delete(&key).await?;
            if worker.is_none() {
                for name in bucket.read().await?.draining_workers() {
                    bucket
                        .delete(&WorkerInstructions::drain_key(Some(name)))
                        .await?;
                }
            }
            bucket.read().await
        };
        let told = || self.cluster.block_on(told());
        self.cluster.retry(told).map_err(Error)
    }
}

impl PlanClusterClient for NatsMember {
    fn plan_tasks(&self, run: &str, workdir: &Path) -> Result<Arc<dyn RemoteTasks>, Error> {
        let tasks = NatsPlanTasks::open(&self.cluster, run, workdir).map_err(Error)?;
        Ok(Arc::new(tasks))
    }

    fn plan_orders(&self, card: WorkerInfo) -> Result<Arc<dyn PlanTaskQueue>, Error> {
        let orders = NatsPlanOrders::open(&self.cluster, &self.root, &self.redactor, card);
        Ok(Arc::new(orders.map_err(Error)?))
    }

    fn plan_slots(&self) -> Result<u64, Error> {
        let seen = || {
            self.cluster
                .block_on(async { Presence::open(&self.cluster).await?.look().await })
        };
        let view = self.cluster.retry(seen).map_err(Error)?;
        Ok(view.plan_slots())
    }
}

/// What is said where nobody can say who leads.
const UNANSWERED: &str = "the NATS servers do not answer, and without them nobody may lead; nothing that was acknowledged is lost, and the \
                          same `tos serve --nats …` goes on when they answer again";

/// Completes when the right is lost, or when this controller cannot go on.
fn lost(
    mut told: watch::Receiver<Option<LostRight>>,
    mut given_up: watch::Receiver<Option<String>>,
) -> BoxFuture<'static, String> {
    Box::pin(async move {
        tokio::select! {
            Ok(lost) = told.wait_for(Option::is_some) => match &*lost {
                Some(LostRight::To(name)) => format!(
                    "another controller, {name}, leads now; the same `tos serve --nats …` again follows it"
                ),
                Some(LostRight::Unanswered) | None => UNANSWERED.to_owned(),
            },
            Ok(why) = given_up.wait_for(Option::is_some) => why.clone().unwrap_or_default(),
        }
    })
}
