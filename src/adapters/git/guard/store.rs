//! Where checkpoints of the guard lie: refs, commits, and the trees of paths.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use git2::{ErrorCode, ObjectType, Oid, Repository, Tree};

use crate::{
    adapters::git::{
        error::{ErrorContext, Result},
        guard::{
            failed,
            modes::{self, shown},
            parts::{CheckpointParts, Files, Folders, TreeFile},
        },
        objects::{
            object::{ObjectId, ObjectKind, hex},
            pack::PackWriter,
        },
    },
    domain::{
        guard::checkpoint::{CheckpointRecord, GuardCheckpoint, missing_checkpoint},
        ledger::chain::sha256,
    },
};

/// Where the refs of the guard are in a repository.
const REFS: &str = "refs/tos/guard/";
/// The most checkpoints that are kept; the oldest go first.
const KEPT: usize = 500;

/// The checkpoints of one project.
pub(super) struct CheckpointStore {
    /// The repository that holds them.
    pub(super) git: Repository,
    /// The root of the project.
    pub(super) root: PathBuf,
    /// Whether the repository is the project's own.
    pub(super) is_project: bool,
    prefix: String,
}

impl CheckpointStore {
    /// Opens the checkpoints of a project, or makes a place for them.
    pub(super) fn open(root: &Path, state: &Path) -> Result<Self> {
        if let Some(store) = Self::existing(root, state)? {
            return Ok(store);
        }
        let place = own_place(state);
        std::fs::create_dir_all(&place).at("create", &place)?;
        let git = Repository::init_bare(&place).doing(|| {
            format!(
                "could not make a place for checkpoints in `{}`",
                place.display()
            )
        })?;
        Ok(Self::own(root, git))
    }

    /// Opens the checkpoints of a project; `None` where there is no place for them yet.
    pub(super) fn existing(root: &Path, state: &Path) -> Result<Option<Self>> {
        let root = &root.canonicalize().at("resolve", root)?;
        if let Ok(git) = Repository::open(root)
            && let Some(top) = git.workdir()
            && top.canonicalize().is_ok_and(|top| top == *root)
        {
            let linked = git.path().file_name().filter(|_| git.is_worktree());
            let prefix = linked.map_or_else(
                || REFS.to_owned(),
                |name| format!("{REFS}{}/", key_of(name.as_encoded_bytes())),
            );
            return Ok(Some(Self {
                git,
                root: root.clone(),
                is_project: true,
                prefix,
            }));
        }
        Ok(Repository::open_bare(own_place(state))
            .ok()
            .map(|git| Self::own(root, git)))
    }

    fn own(root: &Path, git: Repository) -> Self {
        let key = key_of(root.as_os_str().as_encoded_bytes());
        Self {
            git,
            root: root.to_owned(),
            is_project: false,
            prefix: format!("{REFS}{key}/"),
        }
    }

    /// Returns a pack for new objects.
    pub(super) fn pack(&self) -> PackWriter {
        PackWriter::new(&self.git.commondir().join("objects"))
    }

    /// Returns the numbers and commits, lowest first.
    pub(super) fn numbered(&self) -> Result<Vec<(u32, Oid)>> {
        let reading = || "could not list the checkpoints of the guard".to_owned();
        let mut found = Vec::new();
        for reference in self
            .git
            .references_glob(&format!("{}*", self.prefix))
            .doing(reading)?
        {
            let reference = reference.doing(reading)?;
            let number = reference
                .name()
                .ok()
                .and_then(|name| name.strip_prefix(&self.prefix)?.parse().ok());
            if let (Some(number), Some(id)) = (number, reference.target()) {
                found.push((number, id));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Points the next free number at a commit, and lets go of the oldest where there are too many.
    pub(super) fn add(&self, commit: Oid) -> Result<u32> {
        let known = self.numbered()?;
        let mut number = known.last().map_or(1, |(last, _)| last + 1);
        loop {
            let name = format!("{}{number}", self.prefix);
            match self.git.reference(&name, commit, false, "tos guard") {
                Ok(_) => break,
                Err(error) if error.code() == ErrorCode::Exists => number += 1,
                Err(error) => return Err(error).doing(|| format!("could not write {name}")),
            }
        }
        let extra = (known.len() + 1).saturating_sub(KEPT);
        for (old, _) in known.iter().take(extra) {
            if let Ok(mut reference) = self.git.find_reference(&format!("{}{old}", self.prefix)) {
                drop(reference.delete());
            }
        }
        Ok(number)
    }

    /// Returns every checkpoint, oldest first.
    pub(super) fn list(&self) -> Result<Vec<GuardCheckpoint>> {
        let numbered = self.numbered()?;
        numbered
            .into_iter()
            .map(|(number, commit)| self.read(number, commit))
            .collect()
    }

    /// Returns the checkpoint with a number.
    pub(super) fn find(&self, number: u32) -> Result<(GuardCheckpoint, Oid)> {
        let known = self.numbered()?;
        let found = known.iter().find(|(own, _)| *own == number);
        let (_, commit) = *found.ok_or_else(|| {
            let numbers: Vec<u32> = known.iter().map(|(own, _)| *own).collect();
            failed(missing_checkpoint(number, &numbers))
        })?;
        Ok((self.read(number, commit)?, commit))
    }

    fn read(&self, number: u32, commit: Oid) -> Result<GuardCheckpoint> {
        let record = self.blob(commit, "record.json")?;
        let record: CheckpointRecord = serde_json::from_slice(&record)
            .doing(|| format!("could not read the record of checkpoint {number}"))?;
        let (files, folders) = self.files(commit)?;
        Ok(GuardCheckpoint {
            number,
            commit: commit.to_string(),
            record,
            files: shown(&files, &folders),
        })
    }

    fn tree(&self, commit: Oid) -> Result<Tree<'_>> {
        let found = self
            .git
            .find_commit(commit)
            .and_then(|commit| commit.tree());
        found.doing(|| format!("could not read commit {commit}"))
    }

    /// Returns the id of a part of a checkpoint's tree.
    pub(super) fn part(&self, commit: Oid, name: &str) -> Result<Option<Oid>> {
        let tree = self.tree(commit)?;
        Ok(tree.get_name(name).map(|entry| entry.id()))
    }

    fn blob(&self, commit: Oid, name: &str) -> Result<Vec<u8>> {
        let id = self
            .part(commit, name)?
            .ok_or_else(|| failed(format!("commit {commit} is no checkpoint of the guard")))?;
        self.content(id)
    }

    /// Returns the content of a blob.
    pub(super) fn content(&self, id: Oid) -> Result<Vec<u8>> {
        let blob = self.git.find_blob(id);
        Ok(blob
            .doing(|| format!("could not read object {id}"))?
            .content()
            .to_vec())
    }

    /// Returns the files and folders a checkpoint holds.
    pub(super) fn files(&self, commit: Oid) -> Result<(Files, Folders)> {
        let mut files = Files::new();
        if let Some(id) = self.part(commit, "files")? {
            self.walk(id, b"", &mut files)?;
        }
        // Checkpoints of earlier versions have none.
        let folders = match self.part(commit, "modes")? {
            Some(id) => modes::read(&self.content(id)?, &mut files),
            None => Folders::new(),
        };
        Ok((files, folders))
    }

    fn walk(&self, id: Oid, prefix: &[u8], files: &mut Files) -> Result<()> {
        let tree = self
            .git
            .find_tree(id)
            .doing(|| format!("could not read tree {id}"))?;
        for entry in &tree {
            let path = [prefix, entry.name_bytes()].concat();
            if entry.kind() == Some(ObjectType::Tree) {
                self.walk(entry.id(), &[&path, &b"/"[..]].concat(), files)?;
            } else if let Ok(id) = entry.id().as_bytes().try_into() {
                let mode = u32::try_from(entry.filemode()).unwrap_or(0o100_644);
                let file = TreeFile {
                    mode,
                    id,
                    rights: None,
                };
                files.insert(path, file);
            }
        }
        Ok(())
    }
}

/// Writes the tree of files into a pack; returns its id.
pub(super) fn write_tree(pack: &mut PackWriter, files: &Files) -> Result<ObjectId> {
    let all: Vec<(&[u8], TreeFile)> = files
        .iter()
        .map(|(path, file)| (path.as_slice(), *file))
        .collect();
    write_level(pack, &all)
}

fn write_level(pack: &mut PackWriter, files: &[(&[u8], TreeFile)]) -> Result<ObjectId> {
    // Folders sort as if their names ended in a slash.
    let mut entries: BTreeMap<Vec<u8>, (u32, Vec<u8>, ObjectId)> = BTreeMap::new();
    let mut below: BTreeMap<&[u8], Vec<(&[u8], TreeFile)>> = BTreeMap::new();
    for (path, file) in files {
        match path.iter().position(|byte| *byte == b'/') {
            None => {
                entries.insert(path.to_vec(), (file.mode, path.to_vec(), file.id));
            }
            Some(slash) => {
                let (name, rest) = (path.get(..slash), path.get(slash + 1..));
                let name = name.unwrap_or_default();
                below
                    .entry(name)
                    .or_default()
                    .push((rest.unwrap_or_default(), *file));
            }
        }
    }
    for (name, files) in below {
        let id = write_level(pack, &files)?;
        let key = [name, b"/"].concat();
        entries.insert(key, (0o40_000, name.to_vec(), id));
    }
    let mut content = Vec::new();
    for (mode, name, id) in entries.values() {
        content.extend(format!("{mode:o} ").into_bytes());
        content.extend(name);
        content.push(0);
        content.extend(id);
    }
    pack.add(ObjectKind::Tree, &content)
}

/// Writes the tree and the commit of a checkpoint into a pack; returns the commit.
pub(super) fn write_commit(
    pack: &mut PackWriter,
    parts: CheckpointParts,
    record: &CheckpointRecord,
    parents: &[Oid],
) -> Result<Oid> {
    let text = serde_json::to_vec_pretty(record)
        .doing(|| "could not write the record of a checkpoint".to_owned())?;
    let record_id = pack.add(ObjectKind::Blob, &text)?;
    let mut content = Vec::new();
    let parts = [
        ("40000", "files", Some(parts.files)),
        ("40000", "index", parts.index),
        ("100644", "modes", Some(parts.modes)),
        ("100644", "record.json", Some(record_id)),
    ];
    for (mode, name, id) in parts {
        if let Some(id) = id {
            content.extend(format!("{mode} {name}\0").into_bytes());
            content.extend(id);
        }
    }
    let tree = pack.add(ObjectKind::Tree, &content)?;
    let parents: Vec<String> = parents.iter().map(|id| format!("parent {id}\n")).collect();
    let parents = parents.concat();
    let seconds = chrono::Utc::now().timestamp();
    let person = format!("tos guard <tos@localhost> {seconds} +0000");
    let command = record.cause.command.replace('\n', " ");
    let text = format!(
        "tree {}\n{parents}author {person}\ncommitter {person}\n\ntos guard: before {command}\n",
        hex(&tree)
    );
    let id = pack.add(ObjectKind::Commit, text.as_bytes())?;
    Oid::from_bytes(&id).doing(|| "could not name a commit".to_owned())
}

fn own_place(state: &Path) -> PathBuf {
    state.join("checkpoints.git")
}

fn key_of(name: &[u8]) -> String {
    sha256(name).chars().take(16).collect()
}
