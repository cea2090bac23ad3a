//! Code between machines: commits as thin bundles in the object store.
//!
//! Each commit that work starts from is an object `code.<commit>`, which names the commit it builds upon; a reader fetches the chain
//! until it meets something it has. An attempt is an object `attempt.<commit>` upon its base. Danger: git works meanwhile, so it
//! runs on threads that may block.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_nats::jetstream::object_store::ObjectInfo;

use super::{blobs::Blobs, connection::NatsConnection};
use crate::{adapters::git::bundle::GitBundles, ports::cluster::BranchCommits};

/// After how many bundles upon each other a whole one is written.
const CHAIN: u32 = 40;
/// How many commits are remembered as being here.
const MOST_KNOWN: usize = 1000;
/// How long an attempt and its logs are kept, for a controller that takes over.
pub(super) const RETENTION: Duration = Duration::from_secs(14 * 24 * 3600);

/// The commits of one board.
#[derive(Clone)]
pub(super) struct CodeStore {
    store: Blobs,
    attempts: Blobs,
    tips: Blobs,
    bundles: GitBundles,
    latest: Arc<tokio::sync::Mutex<Option<(String, u32)>>>,
    /// Commits that were found here: git is asked once for each.
    here: Arc<Mutex<BTreeSet<String>>>,
}

impl CodeStore {
    /// Opens the stores, and makes them where there are none.
    pub(super) async fn open(
        cluster: &NatsConnection,
        bundles: GitBundles,
    ) -> Result<Self, String> {
        let (code, attempts) = (cluster.stream_name("CODE"), cluster.stream_name("ATTEMPTS"));
        Ok(Self {
            store: Blobs::open(cluster, &code, Duration::ZERO).await?,
            attempts: Blobs::open(cluster, &attempts, RETENTION).await?,
            tips: Blobs::open(cluster, &cluster.stream_name("TIPS"), Duration::ZERO).await?,
            bundles,
            latest: Arc::default(),
            here: Arc::default(),
        })
    }

    /// Returns whether a commit is the one that was published last.
    pub(super) async fn is_latest(&self, commit: &str) -> bool {
        let latest = self.latest.lock().await;
        latest.as_ref().is_some_and(|(known, _)| known == commit)
    }

    /// Sees to it that workers can have a commit.
    pub(super) async fn publish(&self, commit: &str) -> Result<(), String> {
        let name = code_name(commit);
        let mut latest = self.latest.lock().await;
        if latest.as_ref().is_some_and(|(known, _)| known == commit) {
            return Ok(());
        }
        if let Some(info) = self.store.info(&name).await? {
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
        let body = if wrote {
            contents(file).await?
        } else {
            Vec::new()
        };
        self.store.put(&name, &description, &body).await?;
        *latest = Some((commit.to_owned(), depth));
        Ok(())
    }

    /// Brings a commit here, and what it builds upon.
    pub(super) async fn fetch(&self, commit: &str) -> Result<(), String> {
        let mut missing = Vec::new();
        let mut next = commit.to_owned();
        while !next.is_empty() && !self.has(&next).await {
            let info = self.store.info(&code_name(&next)).await;
            let info = info.map_err(|why| format!("the commit {next}: {why}"))?;
            let info = info.ok_or_else(|| format!("the commit {next} was not published"))?;
            let (below, _) = upon(info.description.as_deref());
            missing.push((std::mem::replace(&mut next, below), info));
        }
        for (commit, info) in missing.into_iter().rev() {
            self.read(&self.store, &info, &commit).await?;
        }
        Ok(())
    }

    /// Keeps what a branch of the board stands at.
    pub(super) async fn keep_tip(&self, branch: &str, commit: &str) -> Result<(), String> {
        let text = format!("{commit} {branch}");
        self.tips.put(&format!("tip.{branch}"), &text, &[]).await
    }

    /// Brings the commits here that branches of the board stand at: branch and commit.
    pub(super) async fn fetch_tips(&self, known: &BranchCommits) -> Result<BranchCommits, String> {
        let mut tips = known.clone();
        for info in self.tips.list().await? {
            let description = info.description.unwrap_or_default();
            // What was kept may be the word of a controller that led no more; the board's own word is not.
            if let Some((commit, branch)) = description.split_once(' ')
                && !known.contains_key(branch)
            {
                tips.insert(branch.to_owned(), vec![commit.to_owned()]);
            }
        }
        for commit in tips.values().flatten() {
            self.bring(commit).await?;
        }
        Ok(tips)
    }

    /// Puts an attempt upon its base away; returns its name, empty when there is nothing beyond the base.
    pub(super) async fn publish_attempt(&self, base: &str, commit: &str) -> Result<String, String> {
        let folder = folder()?;
        let file = folder.path().join("bundle");
        if !self
            .write(commit, Some(base.to_owned()), file.clone())
            .await?
        {
            return Ok(String::new());
        }
        let name = attempt_name(commit);
        let body = contents(file).await?;
        self.attempts.put(&name, commit, &body).await?;
        Ok(name)
    }

    /// Brings a commit here, an attempt or one that work starts from. Does nothing where it is here.
    pub(super) async fn bring(&self, commit: &str) -> Result<(), String> {
        if self.has(commit).await {
            return Ok(());
        }
        let name = attempt_name(commit);
        match self.attempts.info(&name).await? {
            Some(info) => self.read(&self.attempts, &info, commit).await,
            None => self.fetch(commit).await,
        }
    }

    /// Brings an attempt here; its base is here already.
    pub(super) async fn fetch_attempt(&self, name: &str, commit: &str) -> Result<(), String> {
        if name.is_empty() || self.has(commit).await {
            return Ok(());
        }
        let info = self.attempts.info(name).await?;
        let info = info.ok_or_else(|| format!("{name} is not there"))?;
        self.read(&self.attempts, &info, commit).await
    }

    /// Returns whether a commit is here with all that it needs. What was once found stays: a reference holds it.
    async fn has(&self, commit: &str) -> bool {
        if self.here.lock().is_ok_and(|here| here.contains(commit)) {
            return true;
        }
        let (bundles, wanted) = (self.bundles.clone(), commit.to_owned());
        let asked = tokio::task::spawn_blocking(move || bundles.has(&wanted));
        let is_here = asked.await.unwrap_or(false);
        if is_here && let Ok(mut here) = self.here.lock() {
            if here.len() >= MOST_KNOWN {
                here.clear();
            }
            here.insert(commit.to_owned());
        }
        is_here
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

    async fn read(&self, store: &Blobs, info: &ObjectInfo, commit: &str) -> Result<(), String> {
        if info.size == 0 {
            return Ok(());
        }
        let folder = folder()?;
        let file = folder.path().join("bundle");
        let mut target = tokio::fs::File::create(&file)
            .await
            .map_err(|error| error.to_string())?;
        store.read(info, &mut target).await?;
        target.sync_all().await.map_err(|error| error.to_string())?;
        let (bundles, commit) = (self.bundles.clone(), commit.to_owned());
        let read = tokio::task::spawn_blocking(move || bundles.read(&commit, &file));
        let done = read.await.map_err(|error| error.to_string())?;
        drop(folder);
        done
    }
}

/// Reads a bundle that was just written. It is held whole, so that it can be sent again.
async fn contents(file: PathBuf) -> Result<Vec<u8>, String> {
    let read = tokio::fs::read(&file).await;
    read.map_err(|error| format!("{}: {error}", file.display()))
}

fn folder() -> Result<tempfile::TempDir, String> {
    tempfile::tempdir().map_err(|error| format!("no temporary folder can be made: {error}"))
}

fn attempt_name(commit: &str) -> String {
    format!("attempt.{commit}")
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
