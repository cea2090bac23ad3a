//! One process on a cluster: what the ports ask of NATS, opened when it is needed.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::watch;

use super::{
    board::NatsBoard,
    connection::{Cluster, NatsLogin, board_name},
    leader,
    objects::CodeStore,
    presence::Presence,
    queue::{NatsOrders, NatsRuns},
};
use crate::{
    adapters::{board::SqliteBoard, git::bundle::GitBundles},
    domain::cluster::WorkerCard,
    ports::{
        BoxFuture,
        board_store::BoardStore,
        cluster::{ClusterMember, Error, Leading, OrderQueue, RemoteRuns},
    },
};

/// A process that is connected.
pub struct NatsMember {
    cluster: Arc<Cluster>,
    root: PathBuf,
    database: PathBuf,
    name: String,
}

impl std::fmt::Debug for NatsMember {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsMember")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl NatsMember {
    /// Connects. `database` is where the board of a controller lies.
    pub fn connect(
        login: &NatsLogin,
        board: &str,
        root: &Path,
        database: &Path,
    ) -> Result<Self, Error> {
        Ok(Self {
            cluster: Cluster::connect(login, &board_name(board)).map_err(Error)?,
            root: root.to_owned(),
            database: database.to_owned(),
            name: login.name.clone(),
        })
    }

    fn bundles(&self) -> GitBundles {
        GitBundles::new(&self.root)
    }
}

impl ClusterMember for NatsMember {
    fn lead(
        &self,
        following: Box<dyn Fn(&str) + Send + Sync>,
    ) -> BoxFuture<'_, Result<Leading, Error>> {
        Box::pin(async move {
            let led = leader::lead(
                &self.cluster,
                &self.name,
                self.cluster.lease / 3,
                &*following,
            )
            .await;
            let right = led.map_err(Error)?;
            Ok(Leading {
                lost: lost(right.lost()),
                right: Box::new(right),
            })
        })
    }

    fn store(&self) -> Result<Box<dyn BoardStore>, Error> {
        let told = |error: crate::ports::board_store::Error| Error(error.0);
        let projection = SqliteBoard::open(&self.database).map_err(told)?;
        let store = NatsBoard::open(&self.cluster, projection, &self.name).map_err(told)?;
        Ok(Box::new(store))
    }

    fn runs(&self) -> Result<Arc<dyn RemoteRuns>, Error> {
        let runs = NatsRuns::open(&self.cluster, self.bundles()).map_err(Error)?;
        Ok(Arc::new(runs))
    }

    fn tips(&self) -> Result<Vec<(String, String)>, Error> {
        let tips = async {
            let code = CodeStore::open(&self.cluster, self.bundles()).await?;
            code.fetch_tips().await
        };
        self.cluster.wait(tips).map_err(Error)
    }

    fn orders(&self, card: WorkerCard) -> Result<Arc<dyn OrderQueue>, Error> {
        let orders = NatsOrders::open(&self.cluster, self.bundles(), card).map_err(Error)?;
        Ok(Arc::new(orders))
    }

    fn workers(&self) -> Result<Vec<WorkerCard>, Error> {
        let listed = async { Presence::open(&self.cluster).await?.workers().await };
        self.cluster.wait(listed).map_err(Error)
    }
}

/// Completes when the value turns true, or when whoever could turn it is gone.
fn lost(mut told: watch::Receiver<bool>) -> BoxFuture<'static, ()> {
    Box::pin(async move { drop(told.wait_for(|lost| *lost).await) })
}
