//! Brings back what a checkpoint holds. What stands in the way becomes a checkpoint first, so that this can be undone too.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    io::Write,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt},
    },
    path::{Component, Path, PathBuf},
};

use git2::{ErrorCode, Oid};

use super::{
    collect,
    collect::PERMISSION_BITS,
    failed, modes,
    parts::{Files, Folders, TreeFile},
    save,
    store::CheckpointStore,
    sweep,
};
use crate::{
    adapters::git::{
        error::{ErrorContext, Result},
        objects::object::to_oid,
        program::GitProgram,
    },
    domain::{
        checkpoint::display_path,
        guard::checkpoint::{CheckpointCause, CheckpointRecord, GuardUndoReport},
    },
};

/// Brings back what a checkpoint holds.
pub(super) fn blocking_restore(
    state: &Path,
    root: &Path,
    number: u32,
    cause: &CheckpointCause,
) -> Result<GuardUndoReport> {
    let nothing = || failed("there are no checkpoints of the guard here".to_owned());
    let store = CheckpointStore::existing(root, state)?.ok_or_else(nothing)?;
    let (checkpoint, commit) = store.find(number)?;
    let (files, folders) = store.files(commit)?;
    let empty: BTreeSet<Vec<u8>> = modes::empty_folders(&files, &folders)
        .into_iter()
        .map(<[u8]>::to_vec)
        .collect();
    let mut done = GuardUndoReport {
        number,
        ..GuardUndoReport::default()
    };
    let mut pack = store.pack();
    let mut in_the_way = Files::new();
    let mut to_write: Vec<(Vec<u8>, TreeFile, PathBuf)> = Vec::new();
    for (path, file) in files {
        let place = safe_place(&store.root, &path)?;
        match place.symlink_metadata() {
            Ok(data) if data.is_dir() => {
                return Err(failed(format!(
                    "`{}` is a folder now; move it away, and then undo again",
                    display_path(&path)
                )));
            }
            Ok(data) => match collect::blocking_read(&place, &data, &mut pack)? {
                Some(now) if is_same(now, file) => done.unchanged += 1,
                Some(now) => {
                    in_the_way.insert(path.clone(), now);
                    to_write.push((path, file, place));
                }
                None => to_write.push((path, file, place)),
            },
            Err(_) => to_write.push((path, file, place)),
        }
    }
    if !in_the_way.is_empty() {
        let kept = save::blocking_save_files(&store, pack, &in_the_way, cause)?;
        done.replaced = Some(kept.number);
    }
    let mut made = blocking_make(&store.root, &folders)?;
    let again = empty
        .iter()
        .filter(|path| made.contains(&store.root.join(OsStr::from_bytes(path))));
    for path in again {
        done.restored.push(format!("{}/", display_path(path)));
    }
    let mut swept = BTreeSet::new();
    for (path, file, place) in to_write {
        make_above(&store.root, &place, &mut made)?;
        let folder = place.parent().unwrap_or(&store.root);
        if swept.insert(folder.to_owned()) {
            sweep::blocking_sweep(folder, sweep::UNDO_PREFIX);
        }
        blocking_write(&store, file, &place)?;
        done.restored.push(display_path(&path));
    }
    blocking_give_rights(&store.root, &folders, &made)?;
    references(&store, &checkpoint.record, &mut done);
    advise(&store, commit, &checkpoint.record, number, &mut done)?;
    Ok(done)
}

/// Returns where a file goes; a path that leads out of the root, or through a link, is an error.
fn safe_place(root: &Path, path: &[u8]) -> Result<PathBuf> {
    let relative = Path::new(OsStr::from_bytes(path));
    let refused = |why: &str| failed(format!("`{}` {why}", display_path(path)));
    let mut place = root.to_owned();
    let mut parts = relative.components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else {
            return Err(refused("leads out of the project"));
        };
        if name == ".git" {
            return Err(refused("is a file of the repository itself"));
        }
        place.push(name);
        let is_link = parts.peek().is_some() && place.is_symlink();
        if is_link {
            return Err(refused("lies behind a symbolic link now"));
        }
    }
    Ok(place)
}

/// Returns whether a file is as a checkpoint has it. What an earlier version did not note is no difference.
fn is_same(now: TreeFile, then: TreeFile) -> bool {
    (now.mode, now.id) == (then.mode, then.id)
        && (then.rights.is_none() || now.rights == then.rights)
}

/// Makes the folders again that would have been lost; returns those that were made.
fn blocking_make(root: &Path, folders: &Folders) -> Result<BTreeSet<PathBuf>> {
    let mut made = BTreeSet::new();
    for (path, _) in folders.iter().filter(|(_, folder)| folder.is_lost) {
        let place = safe_place(root, path)?;
        match place.symlink_metadata() {
            Ok(data) if data.is_dir() => continue,
            Ok(_) => {
                return Err(failed(format!(
                    "`{}` is no folder now; move it away, and then undo again",
                    display_path(path)
                )));
            }
            Err(_) => {}
        }
        make_above(root, &place, &mut made)?;
        fs::create_dir(&place).at("create", &place)?;
        made.insert(place);
    }
    Ok(made)
}

/// Makes the folders above a place, and notes them.
fn make_above(root: &Path, place: &Path, made: &mut BTreeSet<PathBuf>) -> Result<()> {
    let above = place.parent().unwrap_or(root);
    let missing = above
        .ancestors()
        .take_while(|folder| folder.symlink_metadata().is_err());
    made.extend(missing.map(Path::to_owned));
    fs::create_dir_all(above).at("create", above)
}

/// Gives folders the rights they had, the innermost first: one that must not be written is closed last.
fn blocking_give_rights(root: &Path, folders: &Folders, made: &BTreeSet<PathBuf>) -> Result<()> {
    for (path, folder) in folders.iter().rev() {
        let place = root.join(OsStr::from_bytes(path));
        if !folder.is_lost && !made.contains(&place) {
            continue;
        }
        let now = place.symlink_metadata().at("look at", &place)?;
        if now.is_dir() && now.mode() & PERMISSION_BITS != folder.rights {
            let rights = fs::Permissions::from_mode(folder.rights);
            fs::set_permissions(&place, rights).at("set the mode of", &place)?;
        }
    }
    Ok(())
}

fn blocking_write(store: &CheckpointStore, file: TreeFile, place: &Path) -> Result<()> {
    let content = store.content(to_oid(&file.id)?)?;
    let folder = place.parent().unwrap_or(&store.root);
    if file.mode == 0o120_000 {
        if place.symlink_metadata().is_ok() {
            fs::remove_file(place).at("replace", place)?;
        }
        return std::os::unix::fs::symlink(OsStr::from_bytes(&content), place).at("write", place);
    }
    let mut temporary = tempfile::Builder::new()
        .prefix(sweep::UNDO_PREFIX)
        .tempfile_in(folder)
        .at("write in", folder)?;
    temporary.write_all(&content).at("write", place)?;
    let known = place.metadata().map(|data| data.mode() & 0o666).ok();
    let plain = known.unwrap_or(0o644);
    let mode = if file.mode == 0o100_755 {
        plain | 0o111
    } else {
        plain
    };
    let mode = fs::Permissions::from_mode(file.rights.unwrap_or(mode));
    fs::set_permissions(temporary.path(), mode).at("set the mode of", place)?;
    temporary.as_file().sync_data().at("write", place)?;
    match temporary.persist(place) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.error).at("write", place),
    }
}

/// Makes branches, tags and stashes again that are gone. Those that stand elsewhere now are left there and named.
fn references(store: &CheckpointStore, record: &CheckpointRecord, done: &mut GuardUndoReport) {
    for kept in &record.references {
        let Ok(at) = Oid::from_str(&kept.at) else {
            continue;
        };
        match store.git.refname_to_id(&kept.name) {
            Ok(now) if now == at => {}
            Ok(now) => done.notes.push(format!(
                "{} is at {now} now; it was at {at}",
                kept.name.trim_start_matches("refs/heads/")
            )),
            Err(error) if error.code() == ErrorCode::NotFound => {
                if store
                    .git
                    .reference(&kept.name, at, false, "tos guard undo")
                    .is_ok()
                {
                    done.references.push(kept.name.clone());
                }
            }
            Err(_) => {}
        }
    }
    let known: Vec<String> = store
        .git
        .reflog("refs/stash")
        .map(|log| log.iter().map(|entry| entry.id_new().to_string()).collect())
        .unwrap_or_default();
    // The oldest first, so that they stand in their old order.
    for stash in record.stashes.iter().rev() {
        if !known.contains(&stash.at) {
            let git = GitProgram::new(&store.root);
            let stored = git.run(&["stash", "store", "-m", &stash.name, &stash.at], b"");
            if stored.is_ok() {
                done.references.push(format!("stash: {}", stash.name));
            }
        }
    }
}

/// Says what a person may want to do by hand: tos moves neither HEAD nor the index.
fn advise(
    store: &CheckpointStore,
    commit: Oid,
    record: &CheckpointRecord,
    number: u32,
    done: &mut GuardUndoReport,
) -> Result<()> {
    let now = store.git.head().ok().and_then(|head| head.target());
    let now = now.map(|id| id.to_string());
    if let Some(head) = &record.head
        && now.as_ref() != Some(head)
    {
        done.notes.push(format!(
            "HEAD was at {head} then; `git reset --soft {head}` goes back there"
        ));
    }
    if store.part(commit, "index")?.is_some() {
        done.notes.push(format!(
            "what was staged then: `git read-tree {commit}:index` stages it again (checkpoint {number})"
        ));
    }
    Ok(())
}
