//! Makes a checkpoint: collect, write objects, make them durable, and only then name them.

use std::path::Path;

use git2::{Oid, Repository};

use super::{
    collect,
    modes::{self, shown},
    parts::{CheckpointParts, Files, Folders},
    store::{CheckpointStore, write_commit, write_tree},
    sweep,
};
use crate::{
    adapters::git::{
        error::{ErrorContext, Result},
        objects::object::{ObjectId, ObjectKind, to_object_id},
    },
    domain::{
        guard::checkpoint::{
            CheckpointCause, CheckpointRecord, CheckpointSelection, GuardCheckpoint,
            GuardCheckpointRequest, SavedGitReference,
        },
        policy::LostReferences,
    },
};

/// The most branches and tags that are held.
const MOST_REFERENCES: usize = 2_000;

/// Keeps what would be lost; `None` where nothing would be.
pub(super) fn blocking_save(
    state: &Path,
    order: &GuardCheckpointRequest,
) -> Result<Option<GuardCheckpoint>> {
    let store = CheckpointStore::open(&order.root, state)?;
    let selection = CheckpointSelection::new(&order.losses);
    sweep::blocking_sweep(
        &store.git.commondir().join("objects/pack"),
        sweep::PACK_PREFIX,
    );
    let mut pack = store.pack();
    let (files, folders) = collect::blocking_collect(&store, order, &mut pack)?;
    let index = if store.is_project && selection.wants_index() {
        staged(&store.git)
    } else {
        None
    };
    let lost = selection.references();
    let (references, stashes) = if store.is_project && !lost.is_empty() {
        references(&store.git, &lost)?
    } else {
        (Vec::new(), Vec::new())
    };
    let nothing = files.is_empty() && folders.is_empty() && references.is_empty();
    if nothing && stashes.is_empty() && index.is_none() {
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
    blocking_write(&store, pack, &files, &folders, index, record).map(Some)
}

/// Keeps these files.
pub(super) fn blocking_save_files(
    store: &CheckpointStore,
    pack: crate::adapters::git::objects::pack::PackWriter,
    files: &Files,
    cause: &CheckpointCause,
) -> Result<GuardCheckpoint> {
    let record = CheckpointRecord {
        cause: cause.clone(),
        ..CheckpointRecord::default()
    };
    blocking_write(store, pack, files, &Folders::new(), None, record)
}

fn blocking_write(
    store: &CheckpointStore,
    mut pack: crate::adapters::git::objects::pack::PackWriter,
    files: &Files,
    folders: &Folders,
    index: Option<ObjectId>,
    record: CheckpointRecord,
) -> Result<GuardCheckpoint> {
    let parts = CheckpointParts {
        files: write_tree(&mut pack, files)?,
        index,
        modes: pack.add(ObjectKind::Blob, &modes::to_bytes(files, folders))?,
    };
    if let Some(known) = same_as_newest(store, &parts, &record)? {
        return Ok(known);
    }
    let parents = parents(store, &record);
    let commit = write_commit(&mut pack, parts, &record, &parents)?;
    pack.finish()?;
    let number = store.add(commit)?;
    Ok(GuardCheckpoint {
        number,
        commit: commit.to_string(),
        record,
        files: shown(files, folders),
    })
}

/// Returns the newest checkpoint where it holds the very same: one command is often tried twice.
fn same_as_newest(
    store: &CheckpointStore,
    parts: &CheckpointParts,
    record: &CheckpointRecord,
) -> Result<Option<GuardCheckpoint>> {
    let Some((number, commit)) = store.numbered()?.pop() else {
        return Ok(None);
    };
    let id_of = |name: &str| -> Result<Option<ObjectId>> {
        Ok(store.part(commit, name)?.map(|id| to_object_id(&id)))
    };
    let is_same = id_of("files")? == Some(parts.files)
        && id_of("index")? == parts.index
        && id_of("modes")? == Some(parts.modes);
    if !is_same {
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
    (head.is_none_or(|head| head.id() != tree)).then(|| to_object_id(&tree))
}

/// Returns those branches, tags and stashes that are there of what would be lost.
fn references(
    git: &Repository,
    lost: &[&LostReferences],
) -> Result<(Vec<SavedGitReference>, Vec<SavedGitReference>)> {
    let reading = || "could not list branches and tags".to_owned();
    let mut kept = Vec::new();
    for reference in git.references().doing(reading)? {
        let reference = reference.doing(reading)?;
        let Ok(name) = reference.name() else {
            continue;
        };
        let is_own = name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
        let is_lost = lost.iter().any(|lost| match &lost.names {
            None => is_own && !lost.stashes,
            Some(names) => names.iter().any(|lost| lost == name),
        });
        if let Some(at) = reference.target().filter(|_| is_lost) {
            kept.push(SavedGitReference {
                name: name.to_owned(),
                at: at.to_string(),
            });
        }
    }
    kept.truncate(MOST_REFERENCES);
    let mut stashes = Vec::new();
    if lost.iter().any(|lost| lost.stashes)
        && let Ok(log) = git.reflog("refs/stash")
    {
        for entry in log.iter() {
            let said = entry.message().ok().flatten().unwrap_or("stash");
            stashes.push(SavedGitReference {
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
