//! Safety snapshots: everything a rollback or an undo may remove, reachable by one ref.
//!
//! A snapshot is durable before anything of the user's is touched; `domain::checkpoint::snapshot_message` has its layout.

use git2::Oid;

use super::{
    captured::{IndexState, WorktreeCapture},
    worktree_files::WorktreeFiles,
};
use crate::{
    adapters::git::{
        error::{ErrorContext, Result},
        index,
        index::publish::TemporaryIndex,
        objects::{
            commit::add_commit,
            object::{
                EMPTY_TREE, ObjectId, ObjectKind, hex, objects, parse_tree_id, to_object_id, to_oid,
            },
            pack::PackWriter,
        },
        refs,
        repository::WorktreeRepository,
    },
    domain::checkpoint::{
        disk_record::WorktreeMetadata,
        snapshot_message::{HeadState, SnapshotMessage},
    },
};

/// Files in the git directory that a hard reset removes.
const STATE_FILES: &[&str] = &[
    "MERGE_HEAD",
    "MERGE_MSG",
    "MERGE_MODE",
    "AUTO_MERGE",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "SQUASH_MSG",
];

/// The file that holds what the tree of the files cannot; its name comes before all others.
const RECORD: &str = "disk";

/// The index as it is: its tree and, where that says too little, its bytes and what they need.
pub(in crate::adapters::git) struct StagedIndex {
    /// The tree of its entries.
    pub(in crate::adapters::git) tree: ObjectId,
    /// The files of the commit that holds the rest, by name; empty where the tree says everything.
    extra: Vec<(String, IndexBytes)>,
}

enum IndexBytes {
    Bytes(Vec<u8>),
    Stored(ObjectId),
}

/// Reads the repository's index as far as a snapshot needs it.
pub(in crate::adapters::git) fn blocking_staged(
    home: &WorktreeRepository,
    known: &IndexState,
    head_tree: Option<Oid>,
) -> Result<StagedIndex> {
    let path = home.index_path();
    let known = known.index.as_ref();
    let mut extra = Vec::new();
    for name in STATE_FILES {
        if let Ok(bytes) = std::fs::read(home.directory.join(name)) {
            extra.push((format!("state-{name}"), IndexBytes::Bytes(bytes)));
        }
    }
    if let Some(index) = known
        && index.exceeds_a_tree()
    {
        let bytes = std::fs::read(&path).at("read", &path)?;
        extra.push(("index".to_owned(), IndexBytes::Bytes(bytes)));
        let sides = index.entries.iter().filter(|entry| entry.stage() != 0);
        let blobs = sides.filter(|entry| entry.mode != index::SUBMODULE);
        extra.extend(blobs.map(|entry| {
            (
                format!("object-{}", hex(&entry.id)),
                IndexBytes::Stored(entry.id),
            )
        }));
    }
    extra.sort_by(|a, b| a.0.cmp(&b.0));
    extra.dedup_by(|a, b| a.0 == b.0);
    let has_conflicts = known.is_some_and(|index| !index.conflicts().is_empty());
    let remembered = known.and_then(|index| index.tree.as_ref()?.valid);
    let tree = match remembered {
        // A tree cannot hold a conflict; the bytes do, and the tree is only there to be a parent.
        _ if has_conflicts => head_tree.map_or(EMPTY_TREE, |id| to_object_id(&id)),
        Some((id, _)) => id,
        None => blocking_write_tree(home)?,
    };
    Ok(StagedIndex { tree, extra })
}

/// Keeps the captured work tree, the index and HEAD; returns the snapshot's number.
pub(in crate::adapters::git) fn blocking_snapshot(
    home: &WorktreeRepository,
    captured: &mut WorktreeCapture,
    disk: &WorktreeFiles,
    mut staged: StagedIndex,
    note: SnapshotMessage,
    tips: &[Oid],
) -> Result<u32> {
    let mut pack = std::mem::replace(&mut captured.pack, PackWriter::new(&objects(home)));
    let head: Vec<Oid> = note
        .head
        .commit()
        .and_then(|at| Oid::from_str(at).ok())
        .into_iter()
        .collect();
    let of_index = add_commit(home, &mut pack, &staged.tree, &head, "index\n")?;
    let mut parents = head;
    parents.push(of_index);
    parents.extend(
        tips.iter()
            .filter(|tip| note.head.commit() != Some(&tip.to_string())),
    );
    let note = SnapshotMessage {
        raw_index: true,
        ..note
    };
    // A tree's entries are in the order of their names.
    let record = IndexBytes::Bytes(disk.record.to_bytes());
    staged.extra.insert(0, (RECORD.to_owned(), record));
    parents.push(add_extra(home, &mut pack, staged.extra)?);
    let message = note.to_message();
    let commit = add_commit(home, &mut pack, &disk.tree, &parents, &message)?;
    pack.finish()?;
    refs::add_numbered_durably(home, &home.refs.safety, commit, &note.reason)
}

/// Removes the files that say that a merge, cherry-pick or revert is under way.
pub(in crate::adapters::git) fn blocking_forget_operation(home: &WorktreeRepository) -> Result<()> {
    for name in STATE_FILES {
        let path = home.directory.join(name);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).at("remove", &path),
        }
    }
    Ok(())
}

/// A snapshot, read back.
pub(in crate::adapters::git) struct SafetySnapshot {
    /// Its note.
    pub(in crate::adapters::git) note: SnapshotMessage,
    /// The work tree.
    pub(in crate::adapters::git) tree: Oid,
    /// The index.
    pub(in crate::adapters::git) staged: Oid,
    /// The index in bytes, where its tree says too little.
    pub(in crate::adapters::git) raw_index: Option<Vec<u8>>,
    /// Files of an operation under way, by name.
    pub(in crate::adapters::git) states: Vec<(String, Vec<u8>)>,
    /// What the tree of the files cannot hold; `None` in snapshots of older versions, whose files went through
    /// git's conversions.
    pub(in crate::adapters::git) record: Option<WorktreeMetadata>,
}

/// Reads a snapshot; `None` where the commit is none.
pub(in crate::adapters::git) fn blocking_read_snapshot(
    home: &WorktreeRepository,
    id: Oid,
) -> Result<Option<SafetySnapshot>> {
    let reading = || format!("could not read safety snapshot {id}");
    let commit = home.git.find_commit(id).doing(reading)?;
    let Some(note) = commit
        .message()
        .ok()
        .and_then(SnapshotMessage::from_message)
    else {
        return Ok(None);
    };
    let first = usize::from(note.head.commit().is_some());
    let staged = commit.parent(first).doing(reading)?.tree_id();
    let mut snapshot = SafetySnapshot {
        tree: commit.tree_id(),
        staged,
        raw_index: None,
        states: Vec::new(),
        record: None,
        note,
    };
    if snapshot.note.raw_index {
        let last = commit.parent_count().saturating_sub(1);
        let extra = commit
            .parent(last)
            .and_then(|extra| extra.tree())
            .doing(reading)?;
        for entry in &extra {
            let Ok(name) = entry.name() else { continue };
            let content = || {
                home.git
                    .find_blob(entry.id())
                    .map(|blob| blob.content().to_vec())
            };
            if name == RECORD {
                snapshot.record = WorktreeMetadata::from_bytes(&content().doing(reading)?);
            } else if name == "index" {
                snapshot.raw_index = Some(content().doing(reading)?);
            } else if let Some(name) = name.strip_prefix("state-")
                && STATE_FILES.contains(&name)
            {
                snapshot
                    .states
                    .push((name.to_owned(), content().doing(reading)?));
            }
        }
    }
    Ok(Some(snapshot))
}

/// Returns where HEAD stands and everything its branch would lose.
pub(in crate::adapters::git) fn tips_of(home: &WorktreeRepository, head: &HeadState) -> Vec<Oid> {
    match head {
        HeadState::Branch { name, .. } => refs::tip(home, name).into_iter().collect(),
        HeadState::Detached { .. } => Vec::new(),
    }
}

fn blocking_write_tree(home: &WorktreeRepository) -> Result<ObjectId> {
    let scratch = TemporaryIndex::copy_of(&home.index_path(), &home.directory)?;
    let git = home.program().with_index(scratch.path());
    parse_tree_id(&git.run(&["write-tree"], b"")?)
}

fn add_extra(
    home: &WorktreeRepository,
    pack: &mut PackWriter,
    extra: Vec<(String, IndexBytes)>,
) -> Result<Oid> {
    let mut tree = Vec::new();
    for (name, content) in extra {
        let id = match content {
            IndexBytes::Bytes(bytes) => pack.add(ObjectKind::Blob, &bytes)?,
            IndexBytes::Stored(id) => id,
        };
        tree.extend(format!("100644 {name}\0").into_bytes());
        tree.extend(id);
    }
    let tree = pack.add(ObjectKind::Tree, &tree)?;
    add_commit(home, pack, &tree, &merged(home), "what no tree can hold\n")
}

/// The other side of a merge may be reachable from nowhere else.
fn merged(home: &WorktreeRepository) -> Vec<Oid> {
    let text = std::fs::read_to_string(home.directory.join("MERGE_HEAD")).unwrap_or_default();
    let ids = text
        .lines()
        .filter_map(|line| Oid::from_str(line.trim()).ok());
    ids.filter(|id| home.git.find_commit(*id).is_ok()).collect()
}

/// Returns a tree's id for a snapshot's index.
pub(in crate::adapters::git) fn staged_tree(staged: &StagedIndex) -> Result<Oid> {
    to_oid(&staged.tree)
}
