//! Reads changed files on several threads: hashes, deflates, and looks for secrets on the way.

use std::{
    fs::File,
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use sha1::Digest;

use super::{
    attributes::ContentConversions,
    scan::{FileStat, helper_threads},
};
use crate::{
    adapters::git::{
        error::{ErrorContext, Result, joined},
        index::SYMLINK,
        objects::{
            object,
            object::{ObjectId, ObjectKind},
            pack::PackWriter,
        },
        paths::absolute,
    },
    domain::redaction::secret_files,
};

/// Files above this size never lie in memory as a whole.
const BIG: u64 = 16 << 20;

/// A file to read.
#[derive(Debug, Clone)]
pub(in crate::adapters::git) struct FileToRead {
    /// Its path from the top.
    pub(in crate::adapters::git) path: Vec<u8>,
    /// What the scan saw.
    pub(in crate::adapters::git) seen: FileStat,
    /// The blob the index has for it.
    pub(in crate::adapters::git) known: Option<ObjectId>,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::adapters::git) enum ReadOutcome {
    /// The content is the known one.
    Same,
    /// The content is in the pack.
    Stored(ObjectId),
    /// Only the git program knows how it is stored.
    ForProgram,
    /// It is not there any more.
    Vanished,
}

/// How to read.
#[derive(Debug, Clone, Copy)]
pub(in crate::adapters::git) struct ReadOptions<'a> {
    /// The top of the work tree.
    pub(in crate::adapters::git) top: &'a Path,
    /// What may happen to content on its way in.
    pub(in crate::adapters::git) conversions: ContentConversions,
    /// Looks for secrets where true.
    pub(in crate::adapters::git) watch_secrets: bool,
}

/// What reading brought, in the order of the work.
#[derive(Debug, Default)]
pub(in crate::adapters::git) struct ReadResults {
    /// What became of each file.
    pub(in crate::adapters::git) outcomes: Vec<ReadOutcome>,
    /// Files that look like secrets: their place in the work, and what they look like.
    pub(in crate::adapters::git) suspects: Vec<(usize, &'static str)>,
}

/// Reads all files and puts what is new into the pack.
pub(in crate::adapters::git) fn blocking_read(
    manner: ReadOptions<'_>,
    work: &[FileToRead],
    pack: &mut PackWriter,
) -> Result<ReadResults> {
    let shared = Mutex::new(pack);
    let next = AtomicUsize::new(0);
    let run = || -> Result<Vec<(usize, ReadOutcome, Option<&'static str>)>> {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = work.get(at) else {
                return Ok(done);
            };
            let (outcome, secret) = blocking_one(manner, item, &shared)?;
            done.push((at, outcome, secret));
        }
    };
    let helpers = helper_threads(work.len(), 32);
    let parts = std::thread::scope(|scope| {
        let others: Vec<_> = (0..helpers).map(|_| scope.spawn(run)).collect();
        let mut parts = vec![run()];
        parts.extend(others.into_iter().map(joined));
        parts
    });
    let mut all = Vec::with_capacity(work.len());
    for part in parts {
        all.extend(part?);
    }
    all.sort_unstable_by_key(|(at, ..)| *at);
    Ok(ReadResults {
        outcomes: all.iter().map(|(_, outcome, _)| *outcome).collect(),
        suspects: all
            .iter()
            .filter_map(|(at, _, secret)| secret.map(|secret| (*at, secret)))
            .collect(),
    })
}

/// Returns the ids that files have as blobs, byte for byte; `None` = it vanished or became something else.
pub(in crate::adapters::git) fn blocking_hash(
    top: &Path,
    work: &[FileToRead],
) -> Result<Vec<Option<ObjectId>>> {
    let next = AtomicUsize::new(0);
    let run = || -> Result<Vec<(usize, Option<ObjectId>)>> {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = work.get(at) else {
                return Ok(done);
            };
            done.push((at, blocking_hash_one(top, item)?));
        }
    };
    let helpers = helper_threads(work.len(), 32);
    let parts = std::thread::scope(|scope| {
        let others: Vec<_> = (0..helpers).map(|_| scope.spawn(run)).collect();
        let mut parts = vec![run()];
        parts.extend(others.into_iter().map(joined));
        parts
    });
    let mut all = vec![None; work.len()];
    for part in parts {
        for (at, id) in part? {
            if let Some(place) = all.get_mut(at) {
                *place = id;
            }
        }
    }
    Ok(all)
}

fn blocking_hash_one(top: &Path, work: &FileToRead) -> Result<Option<ObjectId>> {
    let path = absolute(top, &work.path);
    if work.seen.mode == SYMLINK {
        let target = std::fs::read_link(&path).ok();
        let bytes = target.map(|target| target.into_os_string().into_encoded_bytes());
        return Ok(bytes.map(|bytes| object::id_of(ObjectKind::Blob, &bytes)));
    }
    let mut file = match open(&path) {
        Ok(file) => file,
        Err(error) if is_gone(&error) => return Ok(None),
        Err(error) => return Err(error).at("open", &path),
    };
    if work.seen.size <= BIG {
        let mut content = Vec::new();
        file.read_to_end(&mut content).at("read", &path)?;
        return Ok(Some(object::id_of(ObjectKind::Blob, &content)));
    }
    hashed(&mut file, work.seen.size, &path).map(Some)
}

fn hashed(file: &mut File, size: u64, path: &Path) -> Result<ObjectId> {
    let mut hasher = object::hasher(ObjectKind::Blob, size);
    let mut chunk = vec![0; 1 << 18];
    loop {
        let read = file.read(&mut chunk).at("read", path)?;
        if read == 0 {
            return Ok(hasher.finalize().into());
        }
        hasher.update(chunk.get(..read).unwrap_or_default());
    }
}

type OneResult = (ReadOutcome, Option<&'static str>);

fn blocking_one(
    manner: ReadOptions<'_>,
    work: &FileToRead,
    pack: &Mutex<&mut PackWriter>,
) -> Result<OneResult> {
    let path = absolute(manner.top, &work.path);
    let content = if work.seen.mode == SYMLINK {
        std::fs::read_link(&path)
            .map(|target| std::os::unix::ffi::OsStringExt::into_vec(target.into_os_string()))
    } else if work.seen.size > BIG {
        return blocking_big(manner, work, &path, pack);
    } else {
        blocking_content(&path, work.seen.size)
    };
    let content = match content {
        Ok(content) => content,
        Err(error) if is_gone(&error) => return Ok((ReadOutcome::Vanished, None)),
        Err(error) => return Err(error).at("read", &path),
    };
    let is_link = work.seen.mode == SYMLINK;
    let id = object::id_of(ObjectKind::Blob, &content);
    if !is_link && manner.conversions.may_change(&content) {
        return Ok((ReadOutcome::ForProgram, secret_in(manner, work, &content)));
    }
    if work.known == Some(id) {
        return Ok((ReadOutcome::Same, None));
    }
    let secret = if is_link {
        None
    } else {
        secret_in(manner, work, &content)
    };
    // One that looks like a secret stops everything; packing it would be work for nothing.
    if secret.is_none() {
        let packed = object::pack_object_as(id, ObjectKind::Blob, &content);
        pack.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(&packed)?;
    }
    Ok((ReadOutcome::Stored(id), secret))
}

fn blocking_big(
    manner: ReadOptions<'_>,
    work: &FileToRead,
    path: &Path,
    pack: &Mutex<&mut PackWriter>,
) -> Result<OneResult> {
    let by_path = || secret_files::detect_by_path(&work.path).filter(|_| manner.watch_secrets);
    let conversions = manner.conversions;
    if conversions.content || conversions.line_ends_in {
        return Ok((ReadOutcome::ForProgram, by_path()));
    }
    let mut file = match open(path) {
        Ok(file) => file,
        Err(error) if is_gone(&error) => return Ok((ReadOutcome::Vanished, None)),
        Err(error) => return Err(error).at("open", path),
    };
    if work.known.is_some() {
        if work.known == Some(hashed(&mut file, work.seen.size, path)?) {
            return Ok((ReadOutcome::Same, None));
        }
        file = open(path).at("open", path)?;
    }
    let mut pack = pack.lock().unwrap_or_else(PoisonError::into_inner);
    let id = pack.stream(&mut file, work.seen.size, path)?;
    Ok((ReadOutcome::Stored(id), by_path()))
}

fn secret_in(manner: ReadOptions<'_>, work: &FileToRead, content: &[u8]) -> Option<&'static str> {
    if !manner.watch_secrets {
        return None;
    }
    let searched = work.seen.size <= secret_files::MAX_SEARCH_BYTES;
    secret_files::detect_by_path(&work.path)
        .or_else(|| secret_files::detect_by_content(content).filter(|_| searched))
}

fn blocking_content(path: &Path, size: u64) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
    open(path)?.read_to_end(&mut content)?;
    Ok(content)
}

/// A link that took the file's place meanwhile must not be followed, nor a pipe be waited for.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    File::options().read(true).custom_flags(flags).open(path)
}

fn is_gone(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
