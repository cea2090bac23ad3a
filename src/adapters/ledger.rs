//! The ledger as a file: `.tos/ledger/ledger.jsonl` below the root, outside everything a sandbox may write.
//!
//! Appending takes the kernel's lock, verifies the whole chain, writes one line, syncs, and then writes
//! the head to two places: beside the ledger and into the user's state folder. A crash between line and
//! heads leaves the ledger ahead of them, which is fine; the ledger behind them is a broken ledger.

use std::{
    collections::BTreeSet,
    fs,
    fs::{File, OpenOptions},
    io,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use git2::{Oid, Repository};

use crate::{
    adapters::{job::store::replace, state_folder},
    domain::{
        ledger::{
            LedgerEntry, LedgerRecord, RecordMetadata, VERSION,
            chain::{self, ChainAnchor, CommitAnchor, ROOT, VerifiedLedger, sha256},
        },
        state_folder::{TOS_FOLDER, tos_path},
    },
    ports::ledger::{Error, Ledger},
};

/// So many commits are looked into at once.
const MOST_COMMITS: usize = 2000;

/// What the ledger needs to know once.
#[derive(Debug, Clone)]
pub struct LedgerOptions {
    /// The root it belongs to.
    pub root: PathBuf,
    /// The user's state folder, for a second copy of the head.
    pub state: Option<PathBuf>,
    /// Who writes.
    pub actor: String,
    /// The version of tos.
    pub tool: String,
    /// Digest of the policy in force.
    pub policy: String,
    /// Digest of the gates in force.
    pub gates: String,
}

/// The ledger of one root.
#[derive(Debug, Clone)]
pub struct LedgerFile {
    options: LedgerOptions,
    folder: PathBuf,
    seen: Arc<Mutex<SeenCommits>>,
}

/// What was read of commits so far. A commit never changes, so each is read once.
#[derive(Debug, Default)]
struct SeenCommits {
    /// Where the refs stood.
    tips: BTreeSet<Oid>,
    /// Where those of tos stood.
    own: BTreeSet<Oid>,
    /// The anchors in everything below.
    anchors: Vec<CommitAnchor>,
}

impl LedgerFile {
    /// Makes the adapter; touches nothing yet.
    pub fn new(options: LedgerOptions) -> Self {
        let folder = options.root.join(tos_path!("ledger"));
        Self {
            options,
            folder,
            seen: Arc::default(),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.join("ledger.jsonl")
    }

    /// The places where the head is written down, other than commits.
    fn heads(&self) -> Vec<PathBuf> {
        let far = self.far_head();
        std::iter::once(self.folder.join("head"))
            .chain(far)
            .collect()
    }

    /// The place in the user's state folder, which goes by the path of the root.
    fn far_head(&self) -> Option<PathBuf> {
        let name = sha256(self.options.root.as_os_str().as_encoded_bytes());
        let state = self.options.state.as_ref()?;
        Some(state.join("tos/heads").join(name))
    }

    /// Says whether a head was written down for a folder that was at this path before, and is gone with its ledger.
    fn is_of_a_folder_before(&self, text: &str) -> bool {
        let of = text.lines().nth(1);
        let now = folder_identity(&self.options.root);
        of.is_some() && now.is_some() && of != now.as_deref() && !self.file().exists()
    }

    fn kept_heads(&self) -> Result<Vec<ChainAnchor>, Error> {
        let mut anchors = Vec::new();
        for place in self.heads() {
            let text = read(&place).map_err(|error| self.io(error))?;
            let text = String::from_utf8_lossy(&text).into_owned();
            if self.is_of_a_folder_before(&text) {
                continue;
            }
            // A head that cannot be read must not pass for a head that is not there.
            if !text.trim().is_empty() {
                let anchor = head_in(&text);
                anchors.push(
                    anchor.ok_or_else(|| {
                        self.broken(0, &format!("{} is no head", place.display()))
                    })?,
                );
            }
        }
        Ok(anchors)
    }

    fn verified(&self) -> Result<VerifiedLedger, Error> {
        // In this order: somebody else may append meanwhile, and writes the heads after the record. Heads that are newer
        // than the records read would look as if records were missing.
        let (heads, commits) = (self.kept_heads()?, self.commits());
        let bytes = read(&self.file()).map_err(|error| self.io(error))?;
        chain::verify(&bytes, &heads, &commits).map_err(|broken| Error::Broken {
            file: self.place(),
            broken,
        })
    }

    fn locked(&self) -> io::Result<File> {
        state_folder::create_dir_all(&self.folder)?;
        private(&self.folder)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.folder.join("lock"))?;
        lock.lock()?;
        Ok(lock)
    }

    fn blocking_append(
        &self,
        session: Option<&str>,
        entry: LedgerEntry,
    ) -> Result<ChainAnchor, Error> {
        let lock = self.locked().map_err(|error| self.io(error))?;
        let chain = self.verified()?;
        let record = LedgerRecord {
            v: VERSION,
            seq: chain.head.as_ref().map_or(0, |head| head.seq + 1),
            prev: chain.head.map_or_else(|| ROOT.to_owned(), |head| head.hash),
            stamp: self.stamp(session),
            entry,
        };
        let anchor = self
            .write(&record, chain.torn)
            .map_err(|error| self.io(error));
        drop(lock);
        anchor
    }

    fn write(&self, record: &LedgerRecord, torn: usize) -> io::Result<ChainAnchor> {
        let (line, anchor) = chain::chain_record(record).map_err(io::Error::other)?;
        let fresh = !self.file().exists();
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.file())?;
        if torn > 0 {
            let whole = file.metadata()?.len().saturating_sub(torn as u64);
            file.set_len(whole)?;
        }
        file.write_all(line.as_bytes())?;
        file.sync_data()?;
        if fresh {
            File::open(&self.folder)?.sync_all()?;
        }
        let head = anchor.commit_trailer();
        replace(&self.folder.join("head"), head.as_bytes())?;
        if let Some(far) = self.far_head() {
            let folder = folder_identity(&self.options.root).unwrap_or_default();
            replace(&far, format!("{head}\n{folder}").as_bytes())?;
        }
        Ok(anchor)
    }

    fn stamp(&self, session: Option<&str>) -> RecordMetadata {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let options = &self.options;
        RecordMetadata {
            at: chrono::Local::now().fixed_offset(),
            boottime_ms: boottime_ms(),
            boot_id: boot.trim().to_owned(),
            actor: options.actor.clone(),
            tool: options.tool.clone(),
            policy: options.policy.clone(),
            gates: options.gates.clone(),
            session: session.map(str::to_owned),
        }
    }

    fn blocking_acknowledge(&self, reason: &str) -> io::Result<ChainAnchor> {
        let lock = self.locked()?;
        let old = read(&self.file())?;
        let sha256 = sha256(&old);
        let name = format!("broken-{}.jsonl", &sha256[..12]);
        let numbers = self
            .heads()
            .into_iter()
            .filter_map(|place| head_in(&String::from_utf8_lossy(&read(&place).ok()?)));
        let lines = String::from_utf8_lossy(&old).lines().count() as u64;
        let commits = self.commits().into_iter().map(|commit| commit.anchor);
        let seq = numbers
            .chain(commits)
            .map(|anchor| anchor.seq + 1)
            .chain([lines])
            .max();
        replace(&self.folder.join(&name), &old)?;
        replace(&self.file(), b"")?;
        let record = LedgerRecord {
            v: VERSION,
            // Numbers go on, so that no old anchor can be mistaken for a new one.
            seq: seq.unwrap_or(0),
            prev: sha256.clone(),
            stamp: self.stamp(None),
            entry: LedgerEntry::Gap {
                file: name,
                sha256,
                reason: reason.to_owned(),
            },
        };
        let anchor = self.write(&record, 0);
        drop(lock);
        anchor
    }

    /// Returns the anchors in the commits that tos made, as far as refs reach them or reached them since this began.
    fn commits(&self) -> Vec<CommitAnchor> {
        let Ok(git) = Repository::open(&self.options.root) else {
            return Vec::new();
        };
        let own = tips(&git, "refs/tos/*");
        let tips = &tips(&git, "refs/heads/*") | &own;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.tips != tips || seen.own != own {
            let fresh = read_commits(&git, &tips, &seen.tips);
            // Work trees of one repository share their references, and each that a person works in has a ledger of its own.
            let is_alone = !has_other_roots(&git, &self.options.root);
            let made_here = own
                .difference(&seen.own)
                .filter_map(|id| named(&git, *id, is_alone));
            let made_here: Vec<CommitAnchor> = made_here.collect();
            seen.anchors.extend(fresh.into_iter().chain(made_here));
            (seen.tips, seen.own) = (tips, own);
        }
        seen.anchors.clone()
    }

    fn io(&self, source: io::Error) -> Error {
        Error::Io {
            file: self.place(),
            source,
        }
    }

    fn broken(&self, at: u64, why: &str) -> Error {
        Error::Broken {
            file: self.place(),
            broken: chain::ChainError {
                at,
                why: why.to_owned(),
            },
        }
    }
}

impl Ledger for LedgerFile {
    fn read(&self) -> Result<VerifiedLedger, Error> {
        self.verified()
    }

    fn append(&self, session: Option<&str>, entry: LedgerEntry) -> Result<ChainAnchor, Error> {
        self.blocking_append(session, entry)
    }

    fn acknowledge(&self, reason: &str) -> Result<ChainAnchor, Error> {
        self.blocking_acknowledge(reason)
            .map_err(|error| self.io(error))
    }

    fn place(&self) -> String {
        self.file().display().to_string()
    }
}

/// Returns time since the machine started, sleep included.
pub fn boottime_ms() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

/// Returns the anchor in a file with a head; what stands below it says of which folder it is.
fn head_in(text: &str) -> Option<ChainAnchor> {
    ChainAnchor::from_trailer(text.lines().next()?)
}

/// Returns what tells a folder from one that is made at the same path later.
fn folder_identity(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let data = fs::metadata(path).ok()?;
    // Numbers of what is gone are given out again soon.
    let born = data.created().ok();
    let born = born.and_then(|born| born.duration_since(std::time::UNIX_EPOCH).ok());
    let born = born.unwrap_or_default().as_nanos();
    Some(format!("{}-{}-{born}", data.dev(), data.ino()))
}

/// Says whether a repository has work trees that are not those of tasks.
fn has_other_roots(git: &Repository, root: &Path) -> bool {
    let own = root.join(TOS_FOLDER);
    let names = git.worktrees().ok();
    let mut names = names
        .iter()
        .flat_map(|names| names.iter().flatten().flatten());
    git.is_worktree()
        || names.any(|name| {
            let linked = git.find_worktree(name);
            linked.is_ok_and(|linked| !linked.path().starts_with(&own))
        })
}

fn private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

/// Returns the anchors in at most so many commits, the newest first, that new tips reach and old ones do not.
fn read_commits(
    git: &Repository,
    tips: &BTreeSet<Oid>,
    known: &BTreeSet<Oid>,
) -> Vec<CommitAnchor> {
    let Ok(mut walk) = git.revwalk() else {
        return Vec::new();
    };
    // What cannot be pushed or hidden is gone, and leads nowhere.
    for tip in tips.difference(known) {
        drop(walk.push(*tip));
    }
    for tip in known {
        drop(walk.hide(*tip));
    }
    drop(walk.set_sorting(git2::Sort::TIME));
    let ids = walk.filter_map(Result::ok).take(MOST_COMMITS);
    ids.filter_map(|id| named(git, id, false)).collect()
}

/// Returns the anchor that one commit names.
fn named(git: &Repository, id: Oid, is_tip: bool) -> Option<CommitAnchor> {
    let commit = git.find_commit(id).ok()?;
    let text = String::from_utf8_lossy(commit.message_bytes());
    let mut lines = text.lines().rev();
    let trailer = lines.find_map(|line| line.strip_prefix("Tos-Ledger:"))?;
    CommitAnchor::from_trailer(trailer, is_tip)
}

/// Returns the commits that some references stand at.
fn tips(git: &Repository, glob: &str) -> BTreeSet<Oid> {
    // A glob that matches nothing is no error worth telling.
    let Ok(references) = git.references_glob(glob) else {
        return BTreeSet::new();
    };
    let commits = references.filter_map(|reference| reference.ok()?.peel_to_commit().ok());
    commits.map(|commit| commit.id()).collect()
}
