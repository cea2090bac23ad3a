//! Checkpoints as plain values: what may be asked, what is answered, and the pure decisions between.
//!
//! Decides how a checkpoint's commit is worded, how its refs are named and how a person may point at
//! one. Owns no repository: paths are texts here, bytes that are not UTF-8 shown as `\xNN`.

pub mod disk_record;
pub mod snapshot_message;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Below it are the refs of checkpoints and snapshots.
const REFS: &str = "refs/tos/";
/// The first word of a checkpoint's commit message.
pub const SUBJECT_PREFIX: &str = "CHECKPOINT";
/// Who commits where git knows no identity.
pub const FALLBACK_IDENTITY: (&str, &str) = ("tos", "tos@localhost");

/// Where the refs of one work tree live; a number follows. Each work tree has its own, since an undo
/// or "the newest checkpoint" of another one would bring that one's files and branch here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRefs {
    /// Before the numbers of checkpoints.
    pub checkpoints: String,
    /// Before the numbers of safety snapshots.
    pub safety: String,
    /// Before the hashes of checkpoints, for what was on the disk then.
    pub disks: String,
}

impl CheckpointRefs {
    /// Returns those of the main work tree, or of a linked one, by the name git has for it.
    pub fn of(linked: Option<&[u8]>) -> Self {
        let below = match linked {
            None => REFS.to_owned(),
            Some(name) => format!("{REFS}trees/{}/", component(name)),
        };
        Self {
            checkpoints: format!("{below}checkpoints/"),
            safety: format!("{below}safety/"),
            disks: format!("{below}disk/"),
        }
    }
}

/// Returns a name as a part of a ref's name: as it is where git takes it, else with escapes, so that
/// no two names become one.
fn component(name: &[u8]) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let is_taken = |text: &&str| {
        let dots = text.starts_with('.') || text.ends_with('.') || text.contains("..");
        !text.is_empty()
            && !dots
            && text.strip_suffix(".lock").is_none()
            && text.chars().all(is_plain)
    };
    if let Some(text) = std::str::from_utf8(name).ok().filter(is_taken) {
        return text.to_owned();
    }
    let escaped = name.iter().map(|byte| match byte {
        b'_' | b'-' => char::from(*byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    escaped.collect()
}

/// Asks for a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRequest {
    /// What the checkpoint is called; becomes the commit's subject after `CHECKPOINT`.
    pub name: String,
    /// Takes files that look like secrets too.
    pub allow_secrets: bool,
}

/// A file that stays as it is where a rollback would bring back exactly this text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackTemplateFile {
    /// The file, below the root or absolute.
    pub file: PathBuf,
    /// What it holds before anybody has filled it in.
    pub text: String,
}

/// Asks for a rollback.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RollbackRequest {
    /// A hash, a checkpoint's number or name, or any revision; `None` = the newest checkpoint ref.
    pub target: Option<String>,
    /// Gives up changes that are in no commit, after keeping them in a safety snapshot.
    pub discard: bool,
    /// Files that a person fills in; a target that has one unfilled does not take the filled one away.
    pub templates: Vec<RollbackTemplateFile>,
}

/// What happened to one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// Its content, mode or type differs.
    Modified,
    /// It is gone.
    Deleted,
}

impl ChangeKind {
    /// Returns the letter git shows for it.
    pub fn status_letter(self) -> char {
        match self {
            Self::Added => 'A',
            Self::Modified => 'M',
            Self::Deleted => 'D',
        }
    }
}

/// One path that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PathChange {
    /// The path, relative to the work tree's top.
    pub path: String,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// A checkpoint that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointReport {
    /// The commit.
    pub hash: String,
    /// Its number among the checkpoints of its work tree.
    pub number: u32,
    /// Its ref, e.g. `refs/tos/checkpoints/<number>`.
    pub reference: String,
    /// Its name.
    pub name: String,
    /// The branch it was committed on; `None` where HEAD is detached.
    pub branch: Option<String>,
    /// The directory it covers: the top of the work tree, which may lie above the root.
    pub covers: PathBuf,
    /// What differs from the commit before.
    pub changes: Vec<PathChange>,
    /// Hooks of this repository that would have run for a commit by hand and did not.
    pub skipped_hooks: Vec<String>,
    /// Nested repositories that are in no checkpoint.
    pub left_alone: Vec<String>,
}

/// A rollback that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackReport {
    /// The commit that HEAD stands on now.
    pub hash: String,
    /// Where HEAD stood before; `None` in a repository that had no commit.
    pub previous: Option<String>,
    /// The number of the safety snapshot that leads back.
    pub safety: u32,
    /// Its ref.
    pub safety_reference: String,
    /// The directory that was rolled back: the top of the work tree.
    pub covers: PathBuf,
    /// What changed on disk.
    pub changes: Vec<PathChange>,
    /// Filled-in files that stayed, because the target has only their template.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<String>,
    /// True where the commit was fetched from a remote.
    pub fetched: bool,
    /// What went wrong without stopping the rollback, e.g. a fetch.
    pub warnings: Vec<String>,
}

/// A return to a safety snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoReport {
    /// The number of the snapshot that was restored.
    pub restored: u32,
    /// Its ref.
    pub reference: String,
    /// The commit HEAD stands on now; `None` where the snapshot was taken before the first commit.
    pub head: Option<String>,
    /// The number of the safety snapshot of what was there before, so that undo can be undone.
    pub safety: u32,
    /// Its ref.
    pub safety_reference: String,
    /// What changed on disk.
    pub changes: Vec<PathChange>,
    /// What could not be brought back as it was.
    pub warnings: Vec<String>,
}

/// What an entry of the list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointKind {
    /// A checkpoint.
    Checkpoint,
    /// A snapshot taken before a rollback or an undo.
    Safety,
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointEntry {
    /// Checkpoint or safety snapshot.
    pub sort: CheckpointKind,
    /// Its number.
    pub number: u32,
    /// The commit.
    pub hash: String,
    /// Its name, or what the snapshot was taken for.
    pub name: String,
    /// When it was made, as `2026-01-31T12:00:00+09:00`.
    pub at: String,
}

/// A checkpoint in detail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointDetails {
    /// What the list says about it.
    pub listed: CheckpointEntry,
    /// Who made it.
    pub author: String,
    /// What it changed against the commit before.
    pub changes: Vec<PathChange>,
}

/// A checkpoint against the work tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointDiff {
    /// The checkpoint's commit.
    pub hash: String,
    /// What became of the files since.
    pub changes: Vec<PathChange>,
    /// The same as a unified diff; bytes that are not UTF-8 replaced.
    pub patch: String,
}

/// Why a checkpoint or a rollback was not made. Nothing of the user's was changed unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The root is in no git repository.
    #[error(
        "`{root}` is not inside a git repository: run `git init` there, or take the first checkpoint with `tos --mode checkpoint --init --name first`"
    )]
    NoRepository {
        /// Where tos looked.
        root: String,
    },
    /// The repository has no work tree.
    #[error("`{repository}` is a bare repository: checkpoints need a work tree")]
    Bare {
        /// The repository.
        repository: String,
    },
    /// The repository uses something tos cannot handle rightly.
    #[error("the repository `{repository}` uses {feature}, which tos does not support")]
    Unsupported {
        /// The repository.
        repository: String,
        /// What it uses.
        feature: String,
    },
    /// The name cannot be a commit's subject.
    #[error("checkpoint name `{name}` is not usable: it must be one line of visible text")]
    BadName {
        /// The name.
        name: String,
    },
    /// A merge, cherry-pick or revert waits for its end.
    #[error("{what} is under way in `{repository}`: finish or abort it first")]
    UnderWay {
        /// The operation.
        what: String,
        /// The repository.
        repository: String,
    },
    /// Some files look like secrets.
    #[error("files that look like secrets are not committed: {}; add them to .gitignore, or pass `--allow-secrets`",
        suspects.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Secrets {
        /// The files and why.
        suspects: Vec<SuspectedSecret>,
    },
    /// The work tree holds changes that are in no commit.
    #[error(
        "working tree is dirty, commit or stash changes first, or pass `--discard`: {}",
        list(changes)
    )]
    Dirty {
        /// What differs from HEAD.
        changes: Vec<PathChange>,
    },
    /// No checkpoint has been made yet.
    #[error(
        "no checkpoint to go back to: no last_checkpoint.txt found and no ref below {}; name a commit with `--target-commit`",
        below.trim_end_matches('/')
    )]
    NoCheckpoint {
        /// Where the refs of this work tree's checkpoints live.
        below: String,
    },
    /// No safety snapshot exists.
    #[error("nothing to undo: no ref below {}", below.trim_end_matches('/'))]
    NoSafety {
        /// Where the refs of this work tree's snapshots live.
        below: String,
    },
    /// The branch that would move is in use in another work tree.
    #[error(
        "branch `{branch}` is checked out in another work tree, `{at}`, and moving it would change what is committed there: run `git -C '{at}' switch --detach` first, or `git worktree prune` if that work tree is gone"
    )]
    CheckedOut {
        /// The branch.
        branch: String,
        /// The top of the other work tree.
        at: String,
    },
    /// The named checkpoint or commit does not exist.
    #[error("no commit or checkpoint `{target}` in this repository{}", fetch_note(fetch.as_deref()))]
    Unknown {
        /// What was asked for.
        target: String,
        /// What became of the attempt to fetch it.
        fetch: Option<String>,
    },
    /// A word that is a number and a name, of two checkpoints.
    #[error(
        "`{target}` is the number of one checkpoint and the name of another: say `checkpoints/{number}` for {numbered} or `checkpoints/{other}` for {named}"
    )]
    Ambiguous {
        /// What was asked for.
        target: String,
        /// It as a number.
        number: u32,
        /// The commit of that number.
        numbered: String,
        /// The number of the newest checkpoint of that name.
        other: u32,
        /// Its commit.
        named: String,
    },
    /// Objects are missing, so nothing could be brought back from what would be made.
    #[error(
        "the repository `{repository}` is damaged: {what}; `git fsck` tells what else is, and a clone or a backup of it has what is missing"
    )]
    Damaged {
        /// The repository, or a directory in it.
        repository: String,
        /// What is missing.
        what: String,
    },
    /// Another process holds the index.
    #[error(
        "another git process holds `{lock}` (waited {waited_ms} ms): let it finish; if none is running, remove that file"
    )]
    Locked {
        /// The lock file.
        lock: String,
        /// How long tos waited.
        waited_ms: u64,
    },
    /// Somebody else keeps changing the repository or the files.
    #[error("{what} changed while tos was working on it: end the other process and try again")]
    Moving {
        /// What changed.
        what: String,
    },
    /// Something stands where a file must be written and cannot be kept.
    #[error("`{path}` is in the way: {why}")]
    InTheWay {
        /// The path.
        path: String,
        /// Why it cannot be moved.
        why: String,
    },
    /// The git program failed.
    #[error("`git {command}` ended with {status}: {message}")]
    Program {
        /// The subcommand.
        command: String,
        /// Its exit status in words.
        status: String,
        /// The last of what it said.
        message: String,
    },
    /// Disk or repository failed.
    #[error("{doing}")]
    Io {
        /// What was being done, to which path.
        doing: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A file that looks like a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspectedSecret {
    /// The path, relative to the work tree's top.
    pub path: String,
    /// What it looks like.
    pub looks_like: String,
}

impl std::fmt::Display for SuspectedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` ({})", self.path, self.looks_like)
    }
}

/// Returns the commit message of a checkpoint, or why its name cannot be one.
pub fn commit_message(name: &str) -> Result<String, CheckpointError> {
    let name = name.trim();
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(CheckpointError::BadName {
            name: name.to_owned(),
        });
    }
    Ok(format!("{SUBJECT_PREFIX} {name}\n"))
}

/// Returns the name of the checkpoint whose commit message this is.
pub fn checkpoint_name(message: &str) -> Option<&str> {
    let rest = message.lines().next()?.strip_prefix(SUBJECT_PREFIX)?;
    rest.strip_prefix(' ').map(str::trim)
}

/// Returns the number at the end of a ref below `prefix`.
pub fn ref_number(name: &str, prefix: &str) -> Option<u32> {
    let digits = name.strip_prefix(prefix)?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// Returns the number for the next ref, one above the highest.
pub fn next_number(taken: impl IntoIterator<Item = u32>) -> u32 {
    taken.into_iter().max().unwrap_or(0).saturating_add(1)
}

/// Returns a path as text: UTF-8 as it is, other bytes and control characters as `\xNN`.
pub fn display_path(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                let mut bytes = [0_u8; 4];
                escape(c.encode_utf8(&mut bytes).as_bytes(), &mut text);
            } else {
                text.push(c);
            }
        }
        escape(chunk.invalid(), &mut text);
    }
    text
}

fn escape(bytes: &[u8], text: &mut String) {
    let shown = bytes.iter().map(|byte| format!("\\x{byte:02X}"));
    text.extend(shown);
}

fn list(changes: &[PathChange]) -> String {
    const SHOWN: usize = 20;
    let mut lines: Vec<String> = changes
        .iter()
        .take(SHOWN)
        .map(|change| format!("{} {}", change.kind.status_letter(), change.path))
        .collect();
    if changes.len() > SHOWN {
        lines.push(format!("and {} more", changes.len() - SHOWN));
    }
    lines.join(", ")
}

fn fetch_note(fetch: Option<&str>) -> String {
    fetch.map_or_else(String::new, |note| format!(" ({note})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_the_subject_and_comes_back() {
        let message = commit_message(" before step 3 ").unwrap();
        assert_eq!(message, "CHECKPOINT before step 3\n");
        assert_eq!(checkpoint_name(&message), Some("before step 3"));
        assert_eq!(checkpoint_name("fix: CHECKPOINT x"), None);
    }

    #[test]
    fn names_that_would_break_the_message_are_refused() {
        for name in ["", "  ", "two\nlines", "bell\u{7}"] {
            assert!(
                matches!(commit_message(name), Err(CheckpointError::BadName { .. })),
                "{name:?}"
            );
        }
    }

    #[test]
    fn only_plain_numbers_below_the_prefix_count() {
        let refs = CheckpointRefs::of(None);
        let number = |name| ref_number(name, &refs.checkpoints);
        assert_eq!(number("refs/tos/checkpoints/12"), Some(12));
        assert_eq!(number("refs/tos/checkpoints/+1"), None);
        assert_eq!(number("refs/tos/checkpoints/1/2"), None);
        assert_eq!(number("refs/tos/safety/1"), None);
        assert_eq!((next_number([]), next_number([3, 1])), (1, 4));
    }

    #[test]
    fn every_work_tree_has_refs_of_its_own() {
        let below = |linked: Option<&[u8]>| CheckpointRefs::of(linked).safety;
        assert_eq!(below(None), "refs/tos/safety/");
        for (name, escaped) in [
            ("w2", "w2"),
            ("木.1", "木.1"),
            ("a b", "a%20b"),
            ("a%20b", "a%2520b"),
            (".a", "%2Ea"),
            ("a..b", "a%2E%2Eb"),
            ("a.lock", "a%2Elock"),
            ("a/b", "a%2Fb"),
        ] {
            let expected = format!("refs/tos/trees/{escaped}/safety/");
            assert_eq!(below(Some(name.as_bytes())), expected);
        }
        assert_eq!(below(Some(b"\xff")), "refs/tos/trees/%FF/safety/");
    }

    #[test]
    fn a_path_that_is_not_text_is_shown_without_loss() {
        assert_eq!(display_path(b"a/\xff\n\xe3\x81\x82"), "a/\\xFF\\x0Aあ");
    }

    #[test]
    fn a_dirty_tree_names_its_first_paths_and_counts_the_rest() {
        let change = |n: u32| PathChange {
            path: format!("f{n}"),
            kind: ChangeKind::Modified,
        };
        let failure = CheckpointError::Dirty {
            changes: (0..22).map(change).collect(),
        };
        let text = failure.to_string();
        assert!(text.starts_with("working tree is dirty, commit or stash changes first"));
        assert!(text.contains("M f0, M f1,"), "{text}");
        assert!(text.ends_with("M f19, and 2 more"), "{text}");
    }
}
