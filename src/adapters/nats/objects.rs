//! Code between machines: commits as thin bundles in the object store.
//!
//! Each commit that work starts from is an object `code.<commit>`, which names the commit it builds upon; a reader fetches the chain
//! until it meets something it has. An attempt is an object `attempt.<fence>` upon its base. Danger: git works meanwhile, so it
//! runs on threads that may block.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_nats::jetstream::object_store::{self, ObjectMetadata, ObjectStore};
use futures_util::StreamExt as _;

use super::connection::{NatsConnection, open_error};
use crate::adapters::git::bundle::GitBundles;

/// After how many bundles upon each other a whole one is written.
const CHAIN: u32 = 40;
/// How long an attempt and its logs are kept, for a controller that takes over.
pub(super) const RETENTION: Duration = Duration::from_secs(14 * 24 * 3600);

/// The commits of one board.
#[derive(Clone)]
pub(super) struct CodeStore {
    store: ObjectStore,
    attempts: ObjectStore,
    tips: ObjectStore,
    bundles: GitBundles,
    latest: Arc<tokio::sync::Mutex<Option<(String, u32)>>>,
}

impl CodeStore {
    /// Opens the stores, and makes them where there are none.
    pub(super) async fn open(
        cluster: &NatsConnection,
        bundles: GitBundles,
    ) -> Result<Self, String> {
        let (code, attempts) = (cluster.stream_name("CODE"), cluster.stream_name("ATTEMPTS"));
        Ok(Self {
            store: bucket(cluster, &code, Duration::ZERO).await?,
            attempts: bucket(cluster, &attempts, RETENTION).await?,
            tips: bucket(cluster, &cluster.stream_name("TIPS"), Duration::ZERO).await?,
            bundles,
            latest: Arc::default(),
        })
    }

    /// Sees to it that workers can have a commit.
    pub(super) async fn publish(&self, commit: &str) -> Result<(), String> {
        let name = code_name(commit);
        let mut latest = self.latest.lock().await;
        if latest.as_ref().is_some_and(|(known, _)| known == commit) {
            return Ok(());
        }
        if let Ok(info) = self.store.info(&name).await {
            *latest = Some((commit.to_owned(), upon(info.description.as_deref()).1));
            return Ok(());
        }
        let known = latest.clone().filter(|(_, depth)| *depth < CHAIN);
        let (without, depth) = match known {
            Some((commit, depth)) => (Some(commit), depth + 1),
            None => (None, 0),
        };
        let folder = folder()?;
        let file = folder.path().join("bundle");
        let wrote = self.write(commit, without.clone(), file.clone()).await;
        let (wrote, without, depth) = match wrote {
            Ok(wrote) => (wrote, without, depth),
            // The last one is not of this history: a whole bundle then.
            Err(_) if without.is_some() => (self.write(commit, None, file.clone()).await?, None, 0),
            Err(why) => return Err(why),
        };
        let description = format!("{depth} {}", without.unwrap_or_default());
        put(&self.store, &name, &description, wrote.then_some(file)).await?;
        *latest = Some((commit.to_owned(), depth));
        Ok(())
    }

    /// Brings a commit here, and what it builds upon.
    pub(super) async fn fetch(&self, commit: &str) -> Result<(), String> {
        let mut missing = Vec::new();
        let mut next = commit.to_owned();
        while !next.is_empty() && !self.has(&next).await {
            let info = self.store.info(code_name(&next)).await;
            let info =
                info.map_err(|error| format!("the commit {next} was not published: {error}"))?;
            let (below, _) = upon(info.description.as_deref());
            missing.push(std::mem::replace(&mut next, below));
        }
        for commit in missing.into_iter().rev() {
            self.read(&self.store, &code_name(&commit), &commit).await?;
        }
        Ok(())
    }

    /// Keeps what a branch of the board stands at.
    pub(super) async fn keep_tip(&self, branch: &str, commit: &str) -> Result<(), String> {
        let text = format!("{commit} {branch}");
        put(&self.tips, &format!("tip.{branch}"), &text, None).await
    }

    /// Brings the commits here that branches of the board stand at: branch and commit.
    pub(super) async fn fetch_tips(&self) -> Result<Vec<(String, String)>, String> {
        let mut listed = self.tips.list().await.map_err(|error| error.to_string())?;
        let mut tips = Vec::new();
        while let Some(info) = listed.next().await {
            let info = info.map_err(|error| error.to_string())?;
            let description = info.description.unwrap_or_default();
            if let Some((commit, branch)) = description.split_once(' ') {
                self.fetch(commit).await?;
                tips.push((branch.to_owned(), commit.to_owned()));
            }
        }
        Ok(tips)
    }

    /// Puts an attempt upon its base away; returns its name, empty when there is nothing beyond the base.
    pub(super) async fn publish_attempt(
        &self,
        fence: u64,
        base: &str,
        commit: &str,
    ) -> Result<String, String> {
        let folder = folder()?;
        let file = folder.path().join("bundle");
        if !self
            .write(commit, Some(base.to_owned()), file.clone())
            .await?
        {
            return Ok(String::new());
        }
        let name = format!("attempt.{fence}");
        put(&self.attempts, &name, commit, Some(file)).await?;
        Ok(name)
    }

    /// Brings an attempt here; its base is here already.
    pub(super) async fn fetch_attempt(&self, name: &str, commit: &str) -> Result<(), String> {
        if name.is_empty() || self.has(commit).await {
            return Ok(());
        }
        self.read(&self.attempts, name, commit).await
    }

    async fn has(&self, commit: &str) -> bool {
        let (bundles, commit) = (self.bundles.clone(), commit.to_owned());
        let asked = tokio::task::spawn_blocking(move || bundles.has(&commit));
        asked.await.unwrap_or(false)
    }

    async fn write(
        &self,
        commit: &str,
        without: Option<String>,
        file: PathBuf,
    ) -> Result<bool, String> {
        let (bundles, commit) = (self.bundles.clone(), commit.to_owned());
        let written =
            tokio::task::spawn_blocking(move || bundles.write(&commit, without.as_deref(), &file));
        written.await.map_err(|error| error.to_string())?
    }

    async fn read(&self, store: &ObjectStore, name: &str, commit: &str) -> Result<(), String> {
        let folder = folder()?;
        let file = folder.path().join("bundle");
        let object = store.get(name).await;
        let mut object = object.map_err(|error| format!("{name}: {error}"))?;
        if object.info().size == 0 {
            return Ok(());
        }
        let mut target = tokio::fs::File::create(&file)
            .await
            .map_err(|error| error.to_string())?;
        // The digest of the object is checked while it is read.
        tokio::io::copy(&mut object, &mut target)
            .await
            .map_err(|error| format!("{name}: {error}"))?;
        target.sync_all().await.map_err(|error| error.to_string())?;
        let (bundles, commit) = (self.bundles.clone(), commit.to_owned());
        let read = tokio::task::spawn_blocking(move || bundles.read(&commit, &file));
        let done = read.await.map_err(|error| error.to_string())?;
        drop(folder);
        done
    }
}

/// Puts bytes away under a name.
pub(super) async fn put_bytes(store: &ObjectStore, name: &str, body: &[u8]) -> Result<(), String> {
    let mut source = body;
    let stored = store.put(name, &mut source).await;
    stored
        .map(drop)
        .map_err(|error| format!("{name} could not be stored: {error}"))
}

async fn put(
    store: &ObjectStore,
    name: &str,
    description: &str,
    file: Option<PathBuf>,
) -> Result<(), String> {
    let meta = ObjectMetadata {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        ..ObjectMetadata::default()
    };
    let stored = match file {
        Some(file) => {
            let mut source = tokio::fs::File::open(&file)
                .await
                .map_err(|error| error.to_string())?;
            store.put(meta, &mut source).await
        }
        None => store.put(meta, &mut tokio::io::empty()).await,
    };
    stored
        .map(drop)
        .map_err(|error| format!("{name} could not be stored: {error}"))
}

/// Opens a store of objects, and makes it where there is none; what lies there ends by itself after `kept`, unless that is zero.
pub(super) async fn bucket(
    cluster: &NatsConnection,
    name: &str,
    kept: Duration,
) -> Result<ObjectStore, String> {
    if let Ok(store) = cluster.jetstream.get_object_store(name).await {
        return Ok(store);
    }
    let config = object_store::Config {
        bucket: name.to_owned(),
        max_age: kept,
        num_replicas: cluster.replicas,
        ..object_store::Config::default()
    };
    let made = cluster.jetstream.create_object_store(config).await;
    made.map_err(|error| open_error(&format!("the store {name}"), &error))
}

fn folder() -> Result<tempfile::TempDir, String> {
    tempfile::tempdir().map_err(|error| format!("no temporary folder can be made: {error}"))
}

fn code_name(commit: &str) -> String {
    format!("code.{commit}")
}

/// Reads what a bundle builds upon, and how many are below it.
fn upon(description: Option<&str>) -> (String, u32) {
    let (depth, commit) = description
        .unwrap_or_default()
        .split_once(' ')
        .unwrap_or_default();
    (commit.to_owned(), depth.parse().unwrap_or_default())
}
