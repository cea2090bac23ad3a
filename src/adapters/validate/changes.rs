//! Before and after of a change, from git's objects and the disk: the work tree, what is staged and
//! differs from it, and everything committed since.
//!
//! The work tree is compared without the index's memory of file times, which whoever changed the files
//! could have changed too. Rules and dependencies are read from the state before.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::Path,
};

use git2::{Commit, Delta, Diff, DiffOptions, Oid, Repository, Tree};

use crate::{
    adapters::{git::repository, validate::syntax},
    domain::{
        checkpoint::CheckpointError,
        validate::{
            CollectedChange, EntryKind, FileChange, FileVersion, ProjectFacts,
            facts::{Language, SyntaxFacts},
            facts_of_text, is_test_path, is_verification_file,
        },
    },
};

/// Where the rules of a repository lie.
pub const RULES_PATH: &str = "config/check.toml";

/// Why a change cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no repository.
    #[error("{root} is in no git repository")]
    NoRepository {
        /// Where it was looked for.
        root: String,
    },
    /// The repository belongs to somebody else, and git does not trust it.
    #[error(
        "dubious ownership: the repository of {root} belongs to another user; if you trust it: \
         git config --global --add safe.directory {root}"
    )]
    Foreign {
        /// Where it was found.
        root: String,
    },
    /// There is one, of a kind that cannot be read.
    #[error(transparent)]
    Unsupported(#[from] CheckpointError),
    /// The base is unknown.
    #[error("`{base}` is no commit of this repository")]
    NoBase {
        /// What was asked for.
        base: String,
    },
    /// git cannot read something.
    #[error("the repository cannot be read: {0}")]
    Git(#[from] git2::Error),
    /// The disk cannot be read.
    #[error("{path}: {source}")]
    Disk {
        /// Which file.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// Collects everything that changed since `base` (`HEAD` if absent). Of the work tree, only `touched` is looked at, from its
/// top, where the caller knows that nothing else can have changed.
pub fn blocking_collect(
    root: &Path,
    base: Option<&str>,
    touched: Option<&[Vec<u8>]>,
) -> Result<CollectedChange, Error> {
    let none = || Error::NoRepository {
        root: root.display().to_string(),
    };
    let git = Repository::discover(root).map_err(|error| {
        if error.code() == git2::ErrorCode::Owner {
            return Error::Foreign {
                root: root.display().to_string(),
            };
        }
        match repository::open_error(root, error) {
            CheckpointError::NoRepository { .. } => none(),
            other => Error::Unsupported(other),
        }
    })?;
    let top = git.workdir().ok_or_else(none)?.to_owned();
    let commit = base_commit(&git, base)?;
    let tree = commit.as_ref().map(Commit::tree).transpose()?;
    let mut collector = ChangeCollector {
        git: &git,
        top: &top,
        seen: BTreeMap::new(),
        changes: Vec::new(),
        ignored: Vec::new(),
    };
    if touched.is_none_or(|paths| !paths.is_empty()) {
        collector.worktree(tree.as_ref(), touched.unwrap_or_default())?;
    }
    collector.index(tree.as_ref())?;
    collector.commits(commit.as_ref(), tree.as_ref())?;
    let (changes, ignored) = (collector.changes, collector.ignored);
    let before = TreeListing::of(&git, tree.as_ref())?;
    Ok(CollectedChange {
        base: commit
            .map(|commit| commit.id().to_string())
            .unwrap_or_default(),
        rules: before.text(RULES_PATH),
        project: before.project(&changes),
        changes,
        ignored,
    })
}

fn base_commit<'r>(git: &'r Repository, base: Option<&str>) -> Result<Option<Commit<'r>>, Error> {
    let unborn = base.is_none() && git.head().is_err();
    if unborn {
        return Ok(None);
    }
    let name = base.unwrap_or("HEAD");
    let object = git
        .revparse_single(name)
        .and_then(|object| object.peel_to_commit());
    object.map(Some).map_err(|_| Error::NoBase {
        base: name.to_owned(),
    })
}

/// A path as text and as it is, its state before, and what happened to it.
type ChangedEntry = (String, Vec<u8>, Option<FileVersion>, Delta);

struct ChangeCollector<'r> {
    git: &'r Repository,
    top: &'r Path,
    /// Contents already judged, by path.
    seen: BTreeMap<String, BTreeSet<(Oid, bool)>>,
    changes: Vec<FileChange>,
    /// Ignored files that would judge the change.
    ignored: Vec<String>,
}

impl ChangeCollector<'_> {
    /// Compares the work tree, or these paths of it and what is below them.
    fn worktree(&mut self, tree: Option<&Tree<'_>>, only: &[Vec<u8>]) -> Result<(), Error> {
        let mut options = options();
        options.include_ignored(true);
        if !only.is_empty() {
            // Names are taken as they are; none is a pattern.
            options.disable_pathspec_match(true);
            for path in only {
                options.pathspec(path.as_slice());
            }
        }
        let diff = self.git.diff_tree_to_workdir(tree, Some(&mut options))?;
        for (path, raw, before, delta) in self.deltas(&diff)? {
            let after = match delta {
                Delta::Ignored => {
                    if !path.ends_with('/') && is_verification_file(&path) {
                        self.ignored.push(path);
                    }
                    continue;
                }
                Delta::Deleted => None,
                _ => self.on_disk(&path, &raw)?,
            };
            self.push(&path, "worktree", before, after);
        }
        Ok(())
    }

    fn index(&mut self, tree: Option<&Tree<'_>>) -> Result<(), Error> {
        let index = self.git.index()?;
        let diff = self
            .git
            .diff_tree_to_index(tree, Some(&index), Some(&mut options()))?;
        self.objects(&diff, "index")
    }

    fn commits(&mut self, base: Option<&Commit<'_>>, tree: Option<&Tree<'_>>) -> Result<(), Error> {
        let (Some(base), Ok(head)) = (base, self.git.head()) else {
            return Ok(());
        };
        let mut walk = self.git.revwalk()?;
        walk.push(head.peel_to_commit()?.id())?;
        walk.hide(base.id())?;
        for id in walk {
            let theirs = self.git.find_commit(id?)?.tree()?;
            let diff = self
                .git
                .diff_tree_to_tree(tree, Some(&theirs), Some(&mut options()))?;
            self.objects(&diff, "commits")?;
        }
        Ok(())
    }

    /// Adds what lies in git's objects and is not judged already.
    fn objects(&mut self, diff: &Diff<'_>, place: &'static str) -> Result<(), Error> {
        let mut files = Vec::new();
        for delta in diff.deltas() {
            let new = delta.new_file();
            let path = text(new.path_bytes().or(delta.old_file().path_bytes()));
            files.push((
                path,
                delta.old_file().id(),
                mode(delta.old_file().mode()),
                new.id(),
                mode(new.mode()),
                delta.status(),
            ));
        }
        for (path, old, old_mode, new, new_mode, status) in files {
            let fresh = status != Delta::Deleted;
            let known = self
                .seen
                .get(&path)
                .is_some_and(|seen| seen.contains(&(new, new_mode == EXECUTABLE)));
            // What was removed in the index only is either gone on disk too or untracked there.
            if !fresh || known {
                continue;
            }
            let existed = status != Delta::Added;
            let before = existed
                .then(|| self.in_objects(&path, old, old_mode))
                .transpose()?;
            let after = Some(self.in_objects(&path, new, new_mode)?);
            self.seen
                .entry(path.clone())
                .or_default()
                .insert((new, new_mode == EXECUTABLE));
            self.push(&path, place, before, after);
        }
        Ok(())
    }

    /// Returns each path as text and as it is, its state before and what happened to it.
    fn deltas(&self, diff: &Diff<'_>) -> Result<Vec<ChangedEntry>, Error> {
        let mut found = Vec::new();
        for delta in diff.deltas() {
            let old = delta.old_file();
            let raw = delta.new_file().path_bytes().or(old.path_bytes());
            let path = text(raw);
            let existed = !matches!(
                delta.status(),
                Delta::Added | Delta::Untracked | Delta::Ignored
            );
            let before = (existed && !old.id().is_zero())
                .then(|| self.in_objects(&path, old.id(), mode(old.mode())))
                .transpose()?;
            let raw = raw.unwrap_or_default().to_vec();
            found.push((path, raw, before, delta.status()));
        }
        Ok(found)
    }

    fn in_objects(&self, path: &str, id: Oid, mode: u32) -> Result<FileVersion, Error> {
        if mode == SUBMODULE {
            return Ok(FileVersion {
                sort: EntryKind::Repository,
                ..FileVersion::default()
            });
        }
        // An object that cannot be read must not pass for an empty file.
        let blob = self.git.find_blob(id)?;
        let bytes = blob.content();
        if mode == LINK {
            return Ok(FileVersion {
                sort: EntryKind::Link(String::from_utf8_lossy(bytes).into_owned()),
                ..FileVersion::default()
            });
        }
        Ok(side(path, bytes, mode == EXECUTABLE))
    }

    /// Reads a file by its name as it is, which need not be text.
    fn on_disk(&mut self, path: &str, raw: &[u8]) -> Result<Option<FileVersion>, Error> {
        let place = self.top.join(OsStr::from_bytes(raw));
        let disk = |source| Error::Disk {
            path: path.to_owned(),
            source,
        };
        let data = match fs::symlink_metadata(&place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(disk)?,
        };
        if data.is_symlink() {
            let target = fs::read_link(&place).map_err(disk)?;
            return Ok(Some(FileVersion {
                sort: EntryKind::Link(target.to_string_lossy().into_owned()),
                ..FileVersion::default()
            }));
        }
        if data.is_dir() {
            return Ok(Some(FileVersion {
                sort: EntryKind::Repository,
                ..FileVersion::default()
            }));
        }
        if !data.is_file() {
            return Ok(Some(FileVersion {
                sort: EntryKind::Special,
                ..FileVersion::default()
            }));
        }
        let bytes = fs::read(&place).map_err(disk)?;
        let executable = std::os::unix::fs::PermissionsExt::mode(&data.permissions()) & 0o111 != 0;
        let id = Oid::hash_object(git2::ObjectType::Blob, &bytes)?;
        self.seen
            .entry(path.to_owned())
            .or_default()
            .insert((id, executable));
        Ok(Some(side(path, &bytes, executable)))
    }

    fn push(
        &mut self,
        path: &str,
        place: &'static str,
        before: Option<FileVersion>,
        after: Option<FileVersion>,
    ) {
        if before.is_none() && after.is_none() || before == after {
            return;
        }
        let text = |side: &Option<FileVersion>| {
            side.as_ref()
                .and_then(|side| side.text.clone())
                .unwrap_or_default()
        };
        let (old, new) = (text(&before), text(&after));
        let stats = git2::Patch::from_buffers(old.as_bytes(), None, new.as_bytes(), None, None)
            .and_then(|patch| patch.line_stats());
        let (_, added, removed) = stats.unwrap_or_default();
        let count = |lines: usize| u32::try_from(lines).unwrap_or(u32::MAX);
        self.changes.push(FileChange {
            path: path.trim_end_matches('/').to_owned(),
            place,
            before,
            after,
            added: count(added),
            removed: count(removed),
        });
    }
}

const EXECUTABLE: u32 = 0o100_755;
const LINK: u32 = 0o120_000;
const SUBMODULE: u32 = 0o160_000;

fn mode(mode: git2::FileMode) -> u32 {
    u32::from(mode)
}

fn text(path: Option<&[u8]>) -> String {
    String::from_utf8_lossy(path.unwrap_or_default()).into_owned()
}

fn options() -> DiffOptions {
    let mut options = DiffOptions::new();
    options
        .include_untracked(true)
        .recurse_untracked_dirs(true)
        .include_typechange(true)
        .ignore_filemode(false)
        .context_lines(0);
    options
}

fn side(path: &str, bytes: &[u8], executable: bool) -> FileVersion {
    let whole = bytes.len() <= syntax::MAX_SOURCE_BYTES && !bytes.contains(&0);
    let text = std::str::from_utf8(bytes).ok().filter(|_| whole);
    let facts = text.map(|text| facts(path, text));
    FileVersion {
        sort: EntryKind::File,
        executable,
        bytes: bytes.len() as u64,
        manifest: text
            .map(|text| syntax::manifest_parts(path, text))
            .unwrap_or_default(),
        text: text.map(str::to_owned),
        facts: facts.unwrap_or_default(),
    }
}

fn facts(path: &str, text: &str) -> SyntaxFacts {
    let parsed = Language::of(path, text).and_then(|language| syntax::parse_syntax(language, text));
    let Some(parsed) = parsed else {
        return facts_of_text(path, text);
    };
    if path
        .rsplit_once('.')
        .is_none_or(|(_, ending)| ending != "bats")
    {
        return parsed;
    }
    // What a test is in it, the grammar of shells does not know.
    let read = facts_of_text(path, text);
    SyntaxFacts {
        errors: Vec::new(),
        tests: read.tests,
        assertions: read.assertions,
        muted: read.muted,
        pieces: read.pieces,
        code: read.code,
        ..parsed
    }
}

/// The paths of a tree and the texts of its manifests and scripts.
struct TreeListing {
    paths: Vec<String>,
    texts: BTreeMap<String, String>,
    scripts: BTreeMap<String, String>,
}

/// Larger scripts, and more of them, are not looked into.
const LARGEST_SCRIPT: usize = 64 << 10;
const MOST_SCRIPTS: usize = 500;

/// Returns whether a file may say what the checks run.
fn is_script(path: &str, executable: bool) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let plain = executable && !name.contains('.');
    let code = [".sh", ".bash", ".bats", ".py", ".js", ".mjs", ".rb", ".pl"];
    plain
        || name == "package.json"
        || is_verification_file(path)
        || code.iter().any(|end| name.ends_with(end))
}

impl TreeListing {
    fn of(git: &Repository, tree: Option<&Tree<'_>>) -> Result<Self, Error> {
        let mut listing = Self {
            paths: Vec::new(),
            texts: BTreeMap::new(),
            scripts: BTreeMap::new(),
        };
        let Some(tree) = tree else {
            return Ok(listing);
        };
        tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
            let path = format!("{folder}{}", String::from_utf8_lossy(entry.name_bytes()));
            if entry.kind() == Some(git2::ObjectType::Blob) {
                let name = path.rsplit('/').next().unwrap_or_default();
                let telling = ["package.json", "Cargo.toml", "pyproject.toml", "go.mod"]
                    .contains(&name)
                    || name.starts_with("requirements")
                    || path == RULES_PATH;
                if let (true, Ok(blob)) = (telling, git.find_blob(entry.id())) {
                    let text = String::from_utf8_lossy(blob.content()).into_owned();
                    listing.texts.insert(path.clone(), text);
                }
                let executable = entry.filemode() == EXECUTABLE.cast_signed();
                if is_script(&path, executable) && listing.scripts.len() < MOST_SCRIPTS {
                    let blob = git.find_blob(entry.id()).ok();
                    let text = blob
                        .filter(|blob| blob.size() <= LARGEST_SCRIPT)
                        .map(|blob| String::from_utf8_lossy(blob.content()).into_owned());
                    listing
                        .scripts
                        .extend(text.map(|text| (path.clone(), text)));
                }
                listing.paths.push(path);
            }
            git2::TreeWalkResult::Ok
        })?;
        Ok(listing)
    }

    fn text(&self, path: &str) -> Option<String> {
        self.texts.get(path).cloned()
    }

    fn project(self, changes: &[FileChange]) -> ProjectFacts {
        let mut own = BTreeSet::new();
        let mut declared = BTreeSet::new();
        let new = changes
            .iter()
            .filter(|change| change.after.is_some())
            .map(|change| &change.path);
        for path in self.paths.iter().chain(new) {
            let source = [".py", ".rs", ".pyi"].iter().any(|end| path.ends_with(end));
            if source {
                let stem = path
                    .rsplit_once('.')
                    .map_or(path.as_str(), |(stem, _)| stem);
                own.extend(stem.split('/').map(str::to_owned));
            }
        }
        for (path, text) in &self.texts {
            match path.rsplit('/').next().unwrap_or_default() {
                "package.json" => json(text, &mut own, &mut declared),
                "Cargo.toml" | "pyproject.toml" => table(text, &mut own, &mut declared),
                "go.mod" => go(text, &mut own, &mut declared),
                _ => declared.extend(text.lines().filter_map(requirement)),
            }
        }
        ProjectFacts {
            own: own.into_iter().collect(),
            declared: declared.into_iter().collect(),
            has_tests: self.paths.iter().any(|path| is_test_path(path)),
            scripts: self.scripts,
        }
    }
}

fn json(text: &str, own: &mut BTreeSet<String>, declared: &mut BTreeSet<String>) {
    let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    own.extend(value["name"].as_str().map(str::to_owned));
    for part in [
        "dependencies",
        "devDependencies",
        "peerDependencies",
        "optionalDependencies",
    ] {
        declared.extend(
            value[part]
                .as_object()
                .into_iter()
                .flat_map(|map| map.keys().cloned()),
        );
    }
}

fn table(text: &str, own: &mut BTreeSet<String>, declared: &mut BTreeSet<String>) {
    let Ok(table) = toml::from_str::<toml::Table>(text) else {
        return;
    };
    let mut open: Vec<(String, &toml::Table)> = vec![(String::new(), &table)];
    while let Some((name, table)) = open.pop() {
        for (key, value) in table {
            let here = format!("{name}.{key}");
            if key.ends_with("dependencies") {
                let keys = value
                    .as_table()
                    .into_iter()
                    .flat_map(|table| table.keys().cloned());
                declared.extend(keys);
                let texts = value
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|one| one.as_str());
                declared.extend(texts.filter_map(requirement));
            } else if let Some(inner) = value.as_table() {
                open.push((here, inner));
            } else if here == ".package.name" || here == ".project.name" || here == ".lib.name" {
                own.extend(value.as_str().map(|name| name.replace('-', "_")));
            }
        }
    }
}

fn go(text: &str, own: &mut BTreeSet<String>, declared: &mut BTreeSet<String>) {
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["module", name] => own.extend([(*name).to_owned()]),
            ["require", name, _, ..] => declared.extend([(*name).to_owned()]),
            [name, version, ..] if version.starts_with('v') => {
                declared.extend([(*name).to_owned()]);
            }
            _ => {}
        }
    }
}

fn requirement(line: &str) -> Option<String> {
    let name: String = line
        .trim()
        .chars()
        .take_while(|c| c.is_alphanumeric() || "-_.".contains(*c))
        .collect();
    (!name.is_empty()).then_some(name)
}
