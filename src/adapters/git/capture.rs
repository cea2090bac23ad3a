//! Turns the work tree, untracked files included, into a tree and an index that describes it.
//!
//! Two ways lead to the same result. The git program can do it everywhere; `fast` does it several
//! times quicker where it can be sure of the same answer, and declines elsewhere.

use std::{cell::RefCell, ffi::OsString, os::unix::ffi::OsStringExt, path::Path, rc::Rc};

use git2::Oid;

use super::{
    Engine, Options,
    delta::{self, Delta},
    error::{Doing, Result},
    fast,
    home::Home,
    index::{self, Index},
    object::{EMPTY_TREE, Id},
    pack::Pack,
    publish::{Scratch, Stamp},
    tree_diff::{self, Changes},
};
use crate::domain::{
    checkpoint::{Failure, Kind, Suspect, shown_path},
    disk_record::DiskRecord,
    secrets,
    state_folder::is_state_path,
};

/// The work tree as it was found.
pub(super) struct Capture {
    /// Its tree, untracked files included.
    pub(super) tree: Id,
    /// An index that describes it; `None` where the repository's index does so already.
    pub(super) index: Option<Scratch>,
    /// The state of the repository's index when the work began.
    pub(super) stamp: Stamp,
    /// Nested repositories that were not looked into.
    pub(super) left_alone: Vec<Vec<u8>>,
    /// The objects that are not stored yet.
    pub(super) pack: Pack,
    /// The index in memory, where it was made without the git program.
    pub(super) memory: Option<Index>,
    /// Directories without a tracked file, outermost first; only known together with `memory`.
    pub(super) directories: Vec<Vec<u8>>,
    /// What no tree can hold, where the tree has the very bytes that are on the disk.
    pub(super) plain: Option<DiskRecord>,
    /// The last comparison of `memory` with a tree.
    pub(super) deltas: RefCell<Option<Compared>>,
}

/// A tree, and how the captured work tree differs from it.
type Compared = (Option<Oid>, Rc<Vec<Delta>>);

impl Capture {
    /// Returns a capture of nothing, for when git cannot say what it would store.
    pub(super) fn of_nothing(home: &Home, known: &Known) -> Self {
        Self {
            tree: EMPTY_TREE,
            index: None,
            stamp: known.stamp.clone(),
            left_alone: Vec::new(),
            pack: Pack::new(&objects(home)),
            memory: None,
            directories: Vec::new(),
            plain: None,
            deltas: RefCell::default(),
        }
    }

    /// Tells whether git could not say what it would store.
    pub(super) fn is_of_nothing(&self) -> bool {
        self.memory.is_none() && self.index.is_none()
    }

    /// Returns what changes on the way from the captured work tree to a tree; submodules do not count.
    pub(super) fn changes_to(&self, home: &Home, goal: Option<Oid>) -> Result<Changes> {
        match &self.memory {
            Some(index) => Ok(delta::changes(index, &self.deltas_to(home, index, goal)?)),
            None => tree_diff::compare_files(home, Some(oid(&self.tree)?), goal),
        }
    }

    /// The same in detail; the last answer is remembered, since it is asked for several times.
    pub(super) fn deltas_to(
        &self,
        home: &Home,
        index: &Index,
        goal: Option<Oid>,
    ) -> Result<Rc<Vec<Delta>>> {
        if let Some((known, deltas)) = &*self.deltas.borrow()
            && *known == goal
        {
            return Ok(Rc::clone(deltas));
        }
        let deltas = Rc::new(delta::compare(home, index, goal)?);
        self.deltas.replace(Some((goal, Rc::clone(&deltas))));
        Ok(deltas)
    }
}

/// The repository's index as it was when the work began.
pub(super) struct Known {
    /// Its state.
    pub(super) stamp: Stamp,
    /// Its entries; `None` where only the git program can read them.
    pub(super) index: Option<Index>,
}

impl Known {
    /// Reads the index.
    pub(super) fn blocking_read(home: &Home) -> Result<Self> {
        let path = home.index_path();
        // The stamp comes first, so that whatever happens between the two is noticed at the end.
        let stamp = Stamp::of(&path)?;
        let index = index::read(&path)?.ok();
        Ok(Self { stamp, index })
    }
}

/// Captures the work tree, the quick way where it is certain.
pub(super) fn blocking_capture(
    options: &Options,
    home: &Home,
    wish: Wish<'_>,
    known: &Known,
) -> Result<Capture> {
    let fast = match options.engine {
        Engine::Native => fast::blocking_capture(home, wish, known)?,
        Engine::Program => None,
    };
    fast.map_or_else(|| blocking_by_program(home, wish, known), Ok)
}

/// What to capture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    /// Fails where a changed file looks like a secret.
    pub(super) refuse_secrets: bool,
    /// Paths from the top that are left out while untracked.
    pub(super) excluded: &'a [Vec<u8>],
}

/// Makes git leave the state of tos alone, tracked or not.
pub(super) const OUTSIDE_STATE: [&str; 2] = [
    ":(exclude,top,glob)**/.tos/**",
    ":(exclude,top,glob)**/.orch/**",
];

/// Captures the work tree with the git program.
fn blocking_by_program(home: &Home, wish: Wish<'_>, known: &Known) -> Result<Capture> {
    let scratch = Scratch::copy_of(&home.index_path(), &home.directory)?;
    let git = home.program().with_index(scratch.path());
    let untracked = git.run(&["ls-files", "-o", "-z", "--exclude-standard"], b"")?;
    let left_alone: Vec<Vec<u8>> = untracked
        .split(|byte| *byte == 0)
        .filter_map(|path| path.strip_suffix(b"/"))
        .filter(|path| !is_left_out(path, wish.excluded))
        .map(<[u8]>::to_vec)
        .collect();
    let mut arguments: Vec<OsString> = ["add", "-A", "--sparse", "--", "."]
        .map(OsString::from)
        .into();
    arguments.extend(OUTSIDE_STATE.map(OsString::from));
    let untouched = excluded_untracked(&git, wish.excluded)?;
    for path in left_alone.iter().chain(&untouched) {
        let spec = [b":(exclude,literal,top)", path.as_slice()].concat();
        arguments.push(OsString::from_vec(spec));
    }
    git.run(&arguments, b"")?;
    let tree = written_tree(&git.run(&["write-tree"], b"")?)?;
    let capture = Capture {
        tree,
        index: Some(scratch),
        stamp: known.stamp.clone(),
        left_alone,
        pack: Pack::new(&objects(home)),
        memory: None,
        directories: Vec::new(),
        plain: None,
        deltas: RefCell::default(),
    };
    if wish.refuse_secrets {
        refuse_secrets(home, &capture)?;
    }
    Ok(capture)
}

/// Adds files that are on disk and in no captured tree, so that a snapshot holds them: ignored ones,
/// and ones that the index says not to look at.
pub(super) fn blocking_add_unseen(
    home: &Home,
    capture: &mut Capture,
    ignored: &[Vec<u8>],
    hidden: &[Vec<u8>],
) -> Result<()> {
    if capture.index.is_none() {
        capture.index = Some(Scratch::copy_of(&home.index_path(), &home.directory)?);
    }
    capture.memory = None;
    let Some(scratch) = &capture.index else {
        return Ok(());
    };
    let git = home.program().with_index(scratch.path());
    if !hidden.is_empty() {
        let names: Vec<u8> = hidden.join(&0_u8);
        for flag in ["--no-assume-unchanged", "--no-skip-worktree"] {
            git.run(&["update-index", flag, "-z", "--stdin"], &names)?;
        }
    }
    let arguments = [
        "add",
        "-f",
        "--sparse",
        "--pathspec-from-file=-",
        "--pathspec-file-nul",
    ];
    let specs: Vec<u8> = ignored
        .iter()
        .chain(hidden)
        .flat_map(|path| [b":(literal,top)", path.as_slice(), b"\0"].concat())
        .collect();
    git.run(&arguments, &specs)?;
    // The tree of the capture may only be in its pack, which the program cannot see yet.
    let ready = std::mem::replace(&mut capture.pack, Pack::new(&objects(home)));
    ready.finish()?;
    capture.tree = written_tree(&git.run(&["write-tree"], b"")?)?;
    Ok(())
}

/// Returns the object database's directory.
pub(super) fn objects(home: &Home) -> std::path::PathBuf {
    home.git.commondir().join("objects")
}

/// Returns an id as libgit2 has it.
pub(super) fn oid(id: &Id) -> Result<Oid> {
    Oid::from_bytes(id).doing(|| "could not name an object".to_owned())
}

/// Reads the id `git write-tree` printed.
pub(super) fn written_tree(printed: &[u8]) -> Result<Id> {
    let text = String::from_utf8_lossy(printed);
    let id = Oid::from_str(text.trim()).doing(|| "could not read a tree's id".to_owned())?;
    id.as_bytes()
        .try_into()
        .doing(|| "could not read a tree's id".to_owned())
}

/// Tells whether a path is one of these directories or files, or below one.
fn is_below_any(path: &[u8], tops: &[Vec<u8>]) -> bool {
    tops.iter().any(|top| {
        path.strip_prefix(top.as_slice())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    })
}

/// Tells whether an untracked path is in no capture: tos's own state, or below one of these.
pub(super) fn is_left_out(path: &[u8], tops: &[Vec<u8>]) -> bool {
    is_state_path(path) || is_below_any(path, tops)
}

/// Pathspecs cannot leave out only what is untracked, so the untracked paths are named one by one.
fn excluded_untracked(git: &super::program::Program, excluded: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
    let listed = git.run(&["ls-files", "-o", "-z", "--exclude-standard"], b"")?;
    let paths = listed
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty());
    Ok(paths
        .filter(|path| is_left_out(path, excluded))
        .map(|path| path.strip_suffix(b"/").unwrap_or(path).to_vec())
        .collect())
}

fn refuse_secrets(home: &Home, capture: &Capture) -> Result<()> {
    let head = home.tree_of(home.head()?.at())?;
    let changes = tree_diff::compare_files(home, head, Some(oid(&capture.tree)?))?;
    let suspects = suspects(home, &changes);
    if suspects.is_empty() {
        Ok(())
    } else {
        Err(Failure::Secrets { suspects })
    }
}

fn suspects(home: &Home, changes: &Changes) -> Vec<Suspect> {
    let stays = changes.iter().filter(|(_, kind)| **kind != Kind::Deleted);
    stays
        .filter_map(|(path, _)| {
            let looks_like = secrets::by_path(path).or_else(|| by_file(&home.top, path))?;
            Some(suspect(path, looks_like))
        })
        .collect()
}

/// Looks for secrets in what is staged, which a comparison with the index does not show.
pub(super) fn blocking_staged_suspects(home: &Home, index: &Index) -> Result<Vec<Suspect>> {
    let head = home.tree_of(home.head()?.at())?;
    let staged = delta::compare(home, index, head)?;
    let here = staged.iter().filter(|delta| delta.before.is_some());
    let there = |path: &[u8]| home.top.join(OsString::from_vec(path.to_vec()));
    Ok(here
        .filter(|delta| there(&delta.path).symlink_metadata().is_ok())
        .filter_map(|delta| {
            let by_path = secrets::by_path(&delta.path);
            let looks_like = by_path.or_else(|| by_file(&home.top, &delta.path))?;
            Some(suspect(&delta.path, looks_like))
        })
        .collect())
}

/// Makes a suspect of a path in bytes.
pub(super) fn suspect(path: &[u8], looks_like: &str) -> Suspect {
    Suspect {
        path: shown_path(path),
        looks_like: looks_like.to_owned(),
    }
}

fn by_file(top: &Path, path: &[u8]) -> Option<&'static str> {
    let path = top.join(OsString::from_vec(path.to_vec()));
    let data = path.symlink_metadata().ok()?;
    if !data.is_file() || data.len() > secrets::SEARCHED_BYTES {
        return None;
    }
    secrets::by_content(&std::fs::read(path).ok()?)
}
