//! Makes a checkpoint: collect, write objects, make them durable, and only then name them.

use std::path::Path;

use git2::{Oid, Repository};

use super::{
    collect,
    store::{CheckpointStore, Files, write_commit, write_tree},
};
use crate::{
    adapters::git::{
        error::{ErrorContext, Result},
        objects::object::{ObjectId, to_id},
    },
    domain::guard::checkpoint::{
        CheckpointCause, CheckpointOrder, CheckpointRecord, GuardCheckpoint, KeptReference,
        Selection,
    },
};

/// The most branches and tags that are held.
const MOST_REFERENCES: usize = 2_000;

/// Keeps what would be lost; `None` where nothing would be.
pub(super) fn blocking_save(
    state: &Path,
    order: &CheckpointOrder,
) -> Result<Option<GuardCheckpoint>> {
    let store = CheckpointStore::open(&order.root, state)?;
    let selection = Selection::new(&order.losses);
    let mut pack = store.pack();
    let files = collect::blocking_collect(&store, order, &mut pack)?;
    let index = if store.is_project && selection.wants_index() {
        staged(&store.git)
    } else {
        None
    };
    let (references, stashes) = if store.is_project && selection.wants_references() {
        references(&store.git)?
    } else {
        (Vec::new(), Vec::new())
    };
    if files.is_empty() && references.is_empty() && stashes.is_empty() && index.is_none() {
        return Ok(None);
    }
    let record = CheckpointRecord {
        cause: order.cause.clone(),
        head: store
            .git
            .head()
            .ok()
            .and_then(|head| head.target())
            .map(|id| id.to_string()),
        references,
        stashes,
    };
    blocking_write(&store, pack, &files, index, record).map(Some)
}

/// Keeps these files.
pub(super) fn blocking_keep(
    store: &CheckpointStore,
    pack: crate::adapters::git::objects::pack::PackWriter,
    files: &Files,
    cause: &CheckpointCause,
) -> Result<GuardCheckpoint> {
    let record = CheckpointRecord {
        cause: cause.clone(),
        ..CheckpointRecord::default()
    };
    blocking_write(store, pack, files, None, record)
}

fn blocking_write(
    store: &CheckpointStore,
    mut pack: crate::adapters::git::objects::pack::PackWriter,
    files: &Files,
    index: Option<ObjectId>,
    record: CheckpointRecord,
) -> Result<GuardCheckpoint> {
    let tree = write_tree(&mut pack, files)?;
    if let Some(known) = same_as_newest(store, &tree, index, &record)? {
        return Ok(known);
    }
    let parents = parents(store, &record);
    let commit = write_commit(&mut pack, tree, index, &record, &parents)?;
    pack.finish()?;
    let number = store.add(commit)?;
    Ok(GuardCheckpoint {
        number,
        commit: commit.to_string(),
        record,
        files: files
            .keys()
            .map(|path| crate::domain::checkpoint::shown_path(path))
            .collect(),
    })
}

/// Returns the newest checkpoint where it holds the very same: one command is often tried twice.
fn same_as_newest(
    store: &CheckpointStore,
    tree: &ObjectId,
    index: Option<ObjectId>,
    record: &CheckpointRecord,
) -> Result<Option<GuardCheckpoint>> {
    let Some((number, commit)) = store.numbered()?.pop() else {
        return Ok(None);
    };
    let id_of = |name: &str| -> Result<Option<ObjectId>> {
        Ok(store.part(commit, name)?.map(|id| to_id(&id)))
    };
    if id_of("files")? != Some(*tree) || id_of("index")? != index {
        return Ok(None);
    }
    let (known, _) = store.find(number)?;
    let same = known.record.references == record.references
        && known.record.stashes == record.stashes
        && known.record.head == record.head;
    Ok(same.then_some(known))
}

/// Returns the tree of what is staged, where that differs from the last commit; `None` also for an index with conflicts.
fn staged(git: &Repository) -> Option<ObjectId> {
    let mut index = git.index().ok()?;
    let tree = index.write_tree().ok()?;
    let head = git.head().ok().and_then(|head| head.peel_to_tree().ok());
    (head.is_none_or(|head| head.id() != tree)).then(|| to_id(&tree))
}

fn references(git: &Repository) -> Result<(Vec<KeptReference>, Vec<KeptReference>)> {
    let reading = || "could not list branches and tags".to_owned();
    let mut kept = Vec::new();
    for reference in git.references().doing(reading)? {
        let reference = reference.doing(reading)?;
        let Ok(name) = reference.name() else {
            continue;
        };
        let is_own = name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
        if let Some(at) = reference.target().filter(|_| is_own) {
            kept.push(KeptReference {
                name: name.to_owned(),
                at: at.to_string(),
            });
        }
    }
    kept.truncate(MOST_REFERENCES);
    let mut stashes = Vec::new();
    if let Ok(log) = git.reflog("refs/stash") {
        for entry in log.iter() {
            let said = entry.message().ok().flatten().unwrap_or("stash");
            stashes.push(KeptReference {
                name: said.to_owned(),
                at: entry.id_new().to_string(),
            });
        }
    }
    Ok((kept, stashes))
}

/// Returns the commits that the checkpoint keeps alive besides its files.
fn parents(store: &CheckpointStore, record: &CheckpointRecord) -> Vec<Oid> {
    if !store.is_project {
        return Vec::new();
    }
    let kept = record.references.iter().chain(&record.stashes);
    let named = record.head.iter().chain(kept.map(|one| &one.at));
    let mut parents: Vec<Oid> = Vec::new();
    for name in named {
        let object = Oid::from_str(name).and_then(|id| store.git.find_object(id, None));
        if let Ok(commit) = object.and_then(|object| object.peel_to_commit())
            && !parents.contains(&commit.id())
        {
            parents.push(commit.id());
        }
    }
    parents
}
