//! What a checkpoint of the guard holds: which files would be lost, and which of them nobody could make again.
//!
//! Folders that tools fill again (dependencies, build results, caches) are left out where git ignores them. In doubt a file is
//! taken.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::{
    policy::{DataLoss, LostReferences},
    state_folder::TOS_FOLDER,
};

/// Names of folders that tools fill again.
const REBUILT: &[&str] = &[
    "node_modules",
    "bower_components",
    "target",
    "dist",
    "build",
    "out",
    "_build",
    "bin",
    "obj",
    ".venv",
    "venv",
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".tox",
    ".nox",
    ".gradle",
    ".next",
    ".nuxt",
    ".svelte-kit",
    ".turbo",
    ".parcel-cache",
    ".vite",
    ".cache",
    ".dart_tool",
    ".terraform",
    ".stack-work",
    "dist-newstyle",
    "zig-cache",
    ".zig-cache",
    "coverage",
    ".nyc_output",
    ".eggs",
    "vendor",
    "Pods",
    "DerivedData",
    "cmake-build-debug",
    "cmake-build-release",
    "logs",
    "tmp",
];

/// How git sees a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitFileStatus {
    /// It is tracked and differs from the last commit.
    Changed,
    /// It is not tracked.
    Untracked,
    /// It is not tracked and a rule says that it need not be.
    Ignored,
}

/// Which files a checkpoint has to hold.
#[derive(Debug, Clone)]
pub struct CheckpointSelection<'a> {
    losses: &'a [DataLoss],
}

impl<'a> CheckpointSelection<'a> {
    /// Makes one from what would be lost.
    pub const fn new(losses: &'a [DataLoss]) -> Self {
        Self { losses }
    }

    /// Returns whether a file, by its path from the root, has to be held.
    pub fn wants(&self, path: &str, state: GitFileStatus) -> bool {
        self.losses.iter().any(|loss| match loss {
            // What tos itself writes there is nobody's work.
            DataLoss::Untracked { .. } if is_own(path) => false,
            DataLoss::Removed(glob) => covers(glob, path),
            DataLoss::Overwritten(glob) => state != GitFileStatus::Ignored && covers(glob, path),
            DataLoss::Uncommitted => state == GitFileStatus::Changed,
            DataLoss::Untracked { ignored } => {
                state == GitFileStatus::Untracked || (*ignored && state == GitFileStatus::Ignored)
            }
            DataLoss::References(_)
            | DataLoss::WorkTree(_)
            | DataLoss::Filled(_)
            | DataLoss::Named(_) => false,
        })
    }

    /// Returns whether something below a folder may have to be held.
    pub fn may_include_below(&self, folder: &str, state: GitFileStatus) -> bool {
        self.wants(folder, state)
            || self.losses.iter().any(|loss| match loss {
                DataLoss::Removed(glob) | DataLoss::Overwritten(glob) => {
                    let known = glob.split(['*', '?', '[']).next().unwrap_or("");
                    known.len() < glob.len() && folder.starts_with(known)
                        || glob
                            .strip_prefix(folder)
                            .is_some_and(|rest| rest.starts_with('/'))
                        || known.starts_with(folder)
                }
                DataLoss::Uncommitted
                | DataLoss::Untracked { .. }
                | DataLoss::References(_)
                | DataLoss::WorkTree(_)
                | DataLoss::Filled(_)
                | DataLoss::Named(_) => false,
            })
    }

    /// Returns whether a folder is removed as such, and not only what git sees in it.
    pub fn removes_folder(&self, folder: &str) -> bool {
        self.losses.iter().any(|loss| match loss {
            DataLoss::Removed(glob) => covers(glob, folder),
            DataLoss::Overwritten(_)
            | DataLoss::Uncommitted
            | DataLoss::Untracked { .. }
            | DataLoss::References(_)
            | DataLoss::WorkTree(_)
            | DataLoss::Filled(_)
            | DataLoss::Named(_) => false,
        })
    }

    /// Returns whether folders would be lost as such.
    pub fn includes_folders(&self) -> bool {
        self.losses
            .iter()
            .any(|loss| matches!(loss, DataLoss::Removed(_) | DataLoss::Untracked { .. }))
    }

    /// Returns whether git would clean a folder away in which it has nothing.
    pub fn cleans(&self, folder: &str, state: GitFileStatus) -> bool {
        let cleans = |loss: &DataLoss| matches!(loss, DataLoss::Untracked { .. });
        state == GitFileStatus::Untracked && !is_own(folder) && self.losses.iter().any(cleans)
    }

    /// Returns whether ignored files have to be looked at.
    pub fn wants_ignored(&self) -> bool {
        self.losses.iter().any(|loss| {
            matches!(
                loss,
                DataLoss::Removed(_) | DataLoss::Untracked { ignored: true }
            )
        })
    }

    /// Returns the files that are written over by their own names, and are nothing that comes again by itself: of these an ignored
    /// one is held, too, for nobody else has it.
    pub fn overwritten_files(&self) -> impl Iterator<Item = &'a str> {
        self.losses.iter().filter_map(|loss| match loss {
            DataLoss::Overwritten(path) if is_written_by_hand(path) => Some(path.as_str()),
            DataLoss::Overwritten(_)
            | DataLoss::Removed(_)
            | DataLoss::Uncommitted
            | DataLoss::Untracked { .. }
            | DataLoss::References(_)
            | DataLoss::WorkTree(_)
            | DataLoss::Filled(_)
            | DataLoss::Named(_) => None,
        })
    }

    /// Returns whether what is staged would be lost as well.
    pub fn wants_index(&self) -> bool {
        self.losses.contains(&DataLoss::Uncommitted)
    }

    /// Returns the branches, tags and stashes that have to be held.
    pub fn references(&self) -> Vec<&'a LostReferences> {
        let each = self.losses.iter();
        each.filter_map(|loss| match loss {
            DataLoss::References(lost) => Some(lost),
            DataLoss::Removed(_)
            | DataLoss::Overwritten(_)
            | DataLoss::Uncommitted
            | DataLoss::Untracked { .. }
            | DataLoss::WorkTree(_)
            | DataLoss::Filled(_)
            | DataLoss::Named(_) => None,
        })
        .collect()
    }

    /// Returns the only paths that matter, where all are literal; empty = everything may matter.
    pub fn literal_paths(&self) -> Vec<&'a str> {
        let literal = |loss: &'a DataLoss| match loss {
            DataLoss::Removed(path) | DataLoss::Overwritten(path) => {
                (!path.is_empty() && !path.contains(['*', '?', '['])).then_some(path.as_str())
            }
            DataLoss::Uncommitted
            | DataLoss::Untracked { .. }
            | DataLoss::References(_)
            | DataLoss::WorkTree(_)
            | DataLoss::Filled(_)
            | DataLoss::Named(_) => None,
        };
        let relevant = self.losses.iter().filter(|loss| !loss.is_detail());
        let all: Option<Vec<&str>> = relevant.map(literal).collect();
        all.unwrap_or_default()
    }
}

/// Returns whether a path is, or lies in, the folder of tos.
fn is_own(path: &str) -> bool {
    path.split('/').next() == Some(TOS_FOLDER)
}

/// Ends of names of what programs write again and again.
const WRITTEN_AGAIN: [&str; 12] = [
    ".log", ".tmp", ".temp", ".out", ".pid", ".lock", ".cache", ".o", ".pyc", ".class", ".d",
    ".swp",
];

/// Returns whether a path is one file, and by its name no output of a program.
fn is_written_by_hand(path: &str) -> bool {
    let is_one = !path.is_empty() && !path.contains(['*', '?', '[']);
    is_one
        && !path.split('/').any(is_rebuildable)
        && !WRITTEN_AGAIN.iter().any(|end| path.ends_with(end))
}

/// Returns whether a folder that git ignores is filled again by a tool.
pub fn is_rebuildable(folder: &str) -> bool {
    let name = folder
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or("");
    REBUILT.contains(&name) || name.ends_with(".egg-info")
}

/// Returns whether a pattern means a path or a folder above it. A star stands for anything, also a slash, and a component
/// that is one for nothing at all: rather too much than too little.
pub(super) fn covers(glob: &str, path: &str) -> bool {
    let glob = glob.trim_end_matches('/');
    if glob.is_empty() {
        return true;
    }
    let shallow = glob.replace("/*/", "/");
    let shallow = shallow.strip_prefix("*/").unwrap_or(&shallow);
    let means = |text: &str| {
        [glob, shallow]
            .iter()
            .any(|glob| fits(glob.as_bytes(), text.as_bytes()))
    };
    means(path)
        || path
            .match_indices('/')
            .any(|(at, _)| path.get(..at).is_some_and(means))
}

fn fits(glob: &[u8], text: &[u8]) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(c) if *c == b'?' || text.get(t) == Some(c) => {
                g += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    g = at + 1;
                    t = from + 1;
                    star = Some((at, from + 1));
                }
                None => return false,
            },
        }
    }
    glob.get(g..).unwrap_or_default().iter().all(|c| *c == b'*')
}

/// What a checkpoint is to hold: losses below a root, with limits, and why.
#[derive(Debug, Clone)]
pub struct GuardCheckpointRequest {
    /// The root of the project, absolute.
    pub root: PathBuf,
    /// What would be lost.
    pub losses: Vec<DataLoss>,
    /// What is recorded about it.
    pub cause: CheckpointCause,
    /// The most files.
    pub most_files: usize,
    /// The most bytes.
    pub most_bytes: u64,
}

/// Why a checkpoint was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointCause {
    /// When, as RFC 3339.
    pub time: String,
    /// Whose call it was.
    pub agent: String,
    /// The session, as the program names it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub session: String,
    /// The command or file, without secrets.
    pub command: String,
}

/// A branch or tag as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedGitReference {
    /// Its whole name.
    pub name: String,
    /// The object it named.
    pub at: String,
}

impl SavedGitReference {
    fn shown(&self) -> String {
        for (prefix, kind) in [("refs/heads/", "branch"), ("refs/tags/", "tag")] {
            if let Some(name) = self.name.strip_prefix(prefix) {
                return format!("{kind} {name}");
            }
        }
        self.name.clone()
    }
}

/// What is written beside the files of a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointRecord {
    /// Why it was made.
    pub cause: CheckpointCause,
    /// The commit that was checked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// Branches and tags, where they were in danger.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<SavedGitReference>,
    /// Stashes, the newest first; the name is what they say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stashes: Vec<SavedGitReference>,
}

/// A checkpoint as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GuardCheckpoint {
    /// Its number.
    pub number: u32,
    /// The commit that holds it.
    pub commit: String,
    /// What is written beside the files.
    #[serde(flatten)]
    pub record: CheckpointRecord,
    /// The files it holds, from the root of the project.
    pub files: Vec<String>,
}

impl GuardCheckpoint {
    /// Returns what it holds, in a few words.
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        let names: Vec<&str> = self.files.iter().take(3).map(String::as_str).collect();
        let is_mixed = self.files.iter().any(|path| path.ends_with('/'));
        let kind = if is_mixed {
            "files and folders"
        } else {
            "files"
        };
        match self.files.len() {
            0 => {}
            1 => parts.push(names.join(", ")),
            count @ 2..=3 => parts.push(format!("{count} {kind} ({})", names.join(", "))),
            count => parts.push(format!("{count} {kind} ({}, …)", names.join(", "))),
        }
        match self.record.references.as_slice() {
            [] => {}
            [one] => parts.push(one.shown()),
            several => parts.push(format!("{} branches and tags", several.len())),
        }
        match self.record.stashes.len() {
            0 => {}
            1 => parts.push("1 stash".to_owned()),
            count => parts.push(format!("{count} stashes")),
        }
        if parts.is_empty() {
            parts.push("where HEAD was".to_owned());
        }
        parts.join(" and ")
    }
}

/// What a return to a checkpoint did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GuardUndoReport {
    /// Its number.
    pub number: u32,
    /// Files that were written.
    pub restored: Vec<String>,
    /// Files that were as the checkpoint has them.
    pub unchanged: usize,
    /// The checkpoint that holds what was written over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<u32>,
    /// Branches, tags and stashes that are there again.
    pub references: Vec<String>,
    /// What a person may want to do by hand.
    pub notes: Vec<String>,
}

/// Says that a checkpoint is not there, and which are; `known` in their order.
pub fn missing_checkpoint(number: u32, known: &[u32]) -> String {
    let known = match known {
        [] => return format!("there is no checkpoint {number}: the guard has made none here"),
        [one] => format!("there is {one}"),
        [first, .., last] if known.len() > 8 => {
            format!("there are {} from {first} to {last}", known.len())
        }
        several => {
            let several: Vec<String> = several.iter().map(u32::to_string).collect();
            format!("there are {}", several.join(", "))
        }
    };
    format!(
        "there is no checkpoint {number} of the guard here; {known}: `tos guard undo` lists them"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_takes_what_would_be_lost() {
        let losses = [
            DataLoss::Removed("notes".to_owned()),
            DataLoss::Removed("*.bak".to_owned()),
            DataLoss::Overwritten("a.txt".to_owned()),
        ];
        let selection = CheckpointSelection::new(&losses);
        assert!(selection.wants("notes/deep/x", GitFileStatus::Ignored));
        assert!(selection.wants("src/x.bak", GitFileStatus::Untracked));
        let anywhere = [DataLoss::Removed("*/*.txt".to_owned())];
        let anywhere = CheckpointSelection::new(&anywhere);
        assert!(anywhere.wants("top.txt", GitFileStatus::Untracked));
        assert!(anywhere.wants("a/b/deep.txt", GitFileStatus::Untracked));
        assert!(!anywhere.wants("top.md", GitFileStatus::Untracked));
        assert!(selection.wants("a.txt", GitFileStatus::Changed));
        assert!(!selection.wants("a.txt", GitFileStatus::Ignored));
        assert!(!selection.wants("notes2/x", GitFileStatus::Untracked));
        assert!(selection.may_include_below("src", GitFileStatus::Untracked));
        assert!(selection.literal_paths().is_empty());
        assert_eq!(
            CheckpointSelection::new(&losses[..1]).literal_paths(),
            ["notes"]
        );
    }

    #[test]
    fn what_git_throws_away_is_all_of_its_kind() {
        let losses = [DataLoss::Uncommitted];
        let selection = CheckpointSelection::new(&losses);
        assert!(selection.wants("x", GitFileStatus::Changed));
        assert!(!selection.wants("x", GitFileStatus::Untracked));
        let losses = [DataLoss::Untracked { ignored: true }];
        let selection = CheckpointSelection::new(&losses);
        assert!(selection.wants("x", GitFileStatus::Untracked));
        assert!(selection.wants("x", GitFileStatus::Ignored));
        assert!(!selection.wants("x", GitFileStatus::Changed));
    }

    #[test]
    fn folders_that_tools_fill_again_are_known_by_name() {
        assert!(is_rebuildable("web/node_modules/"));
        assert!(is_rebuildable("target"));
        assert!(!is_rebuildable("data"));
    }

    #[test]
    fn a_missing_checkpoint_is_told_with_those_there_are() {
        assert!(missing_checkpoint(9, &[]).contains("has made none here"));
        assert!(missing_checkpoint(9, &[3]).contains("there is 3:"));
        assert!(missing_checkpoint(9, &[1, 4]).contains("there are 1, 4:"));
        let many: Vec<u32> = (5..50).collect();
        assert!(missing_checkpoint(99, &many).contains("there are 45 from 5 to 49:"));
    }
}
