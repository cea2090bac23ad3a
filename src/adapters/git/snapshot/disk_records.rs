//! Keeps beside a checkpoint's commit what was on the disk, and finds it again.
//!
//! A commit of its own holds two entries: `files`, the tree of the bytes, and `record`, what no tree can
//! hold. The ref that leads to it carries the hash of the checkpoint's commit in its name.

use git2::{ErrorCode, Oid};

use super::worktree_files::WorktreeFiles;
use crate::{
    adapters::git::{
        error::{ErrorContext, Result, corrupt},
        objects::{commit::add_commit, object::ObjectKind, pack::PackWriter},
        refs,
        repository::WorktreeRepository,
    },
    domain::checkpoint::{CheckpointRefs, disk_record::WorktreeMetadata},
};

/// What was on the disk.
#[derive(Debug)]
pub(in crate::adapters::git) struct StoredDiskState {
    /// The tree of the bytes.
    pub(in crate::adapters::git) tree: Oid,
    /// What no tree can hold.
    pub(in crate::adapters::git) record: WorktreeMetadata,
}

/// Adds what is on the disk to a pack; returns the commit of it.
pub(in crate::adapters::git) fn add(
    home: &WorktreeRepository,
    pack: &mut PackWriter,
    commit: Oid,
    disk: &WorktreeFiles,
) -> Result<Oid> {
    let record = pack.add(ObjectKind::Blob, &disk.record.to_bytes())?;
    let mut tree = b"40000 files\0".to_vec();
    tree.extend(disk.tree);
    tree.extend(b"100644 record\0");
    tree.extend(record);
    let tree = pack.add(ObjectKind::Tree, &tree)?;
    add_commit(home, pack, &tree, &[commit], &format!("DISK of {commit}\n"))
}

/// Lets a ref lead from a checkpoint's commit to what was on the disk; returns its name.
pub(in crate::adapters::git) fn point(
    home: &WorktreeRepository,
    commit: Oid,
    stored: Oid,
) -> Result<String> {
    let name = format!("{}{commit}", home.refs.disks);
    let why = format!("disk of {commit}");
    let made = home.git.reference(&name, stored, true, &why);
    made.doing(|| format!("could not write {name}"))?;
    Ok(name)
}

/// Drops the ref of a checkpoint that was not made; a leftover would only take room.
pub(in crate::adapters::git) fn forget(home: &WorktreeRepository, commit: Oid) {
    let name = format!("{}{commit}", home.refs.disks);
    if let Ok(mut reference) = home.git.find_reference(&name) {
        drop(reference.delete());
    }
}

/// Tells whether the newest checkpoint has other bytes on the disk than in its commit. Then the files of today may
/// still be the converted ones, whatever became of the rules that converted them.
pub(in crate::adapters::git) fn differed(home: &WorktreeRepository) -> Result<bool> {
    let all = refs::numbered(home, &home.refs.checkpoints)?;
    let Some((_, commit)) = all.last() else {
        return Ok(false);
    };
    let Some(stored) = find(home, *commit)? else {
        return Ok(false);
    };
    let tree = home.tree_of(Some(&commit.to_string()))?;
    Ok(tree != Some(stored.tree))
}

/// Finds what was on the disk when a commit was made here as a checkpoint; another work tree's where this has none.
pub(in crate::adapters::git) fn find(
    home: &WorktreeRepository,
    commit: Oid,
) -> Result<Option<StoredDiskState>> {
    let main = CheckpointRefs::of(None).disks;
    for below in [&home.refs.disks, &main] {
        let name = format!("{below}{commit}");
        match home.git.refname_to_id(&name) {
            Ok(id) => return read(home, id).map(Some),
            Err(error) if error.code() == ErrorCode::NotFound => {}
            Err(error) => return Err(error).doing(|| format!("could not read {name}")),
        }
    }
    Ok(None)
}

fn read(home: &WorktreeRepository, id: Oid) -> Result<StoredDiskState> {
    let reading = || format!("could not read {id}, what was on the disk");
    let commit = home.git.find_commit(id).doing(reading)?;
    let tree = commit.tree().doing(reading)?;
    let (Some(files), Some(record)) = (tree.get_name("files"), tree.get_name("record")) else {
        return Err(corrupt(
            "it has no files",
            &home.directory.join(id.to_string()),
        ));
    };
    let bytes = home.git.find_blob(record.id()).doing(reading)?;
    let record = WorktreeMetadata::from_bytes(bytes.content());
    let record =
        record.ok_or_else(|| corrupt("its record is of no known form", &home.directory))?;
    Ok(StoredDiskState {
        tree: files.id(),
        record,
    })
}
