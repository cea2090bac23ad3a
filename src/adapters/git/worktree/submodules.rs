//! Submodules of a work tree: checked out from the git directories that the user's repository has of them, without a
//! network, and looked at when the work is done.
//!
//! Each gets a git directory of its own in the administration of its work tree, which borrows the objects. A commit of
//! the repository above holds none of their files, so whatever changed in one is named and never taken for nothing.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use super::{
    folders::{WorktreeResult, folder_error},
    worktrees::GitWorktrees,
};
use crate::{
    adapters::git::program::GitProgram,
    ports::worktrees::{Error, Worktree},
};

/// Submodules within submodules are followed so far.
const DEEPEST: usize = 16;
/// How many changed files of a submodule are named.
const SHOWN: usize = 5;

/// A submodule of a commit.
#[derive(Debug, Clone)]
pub(in crate::adapters::git) struct Submodule {
    /// Where it is, from the top of the work tree.
    path: String,
    /// The commit it stands at.
    id: String,
    /// The git directory in the user's repository that holds this commit.
    source: Option<PathBuf>,
    /// Its git directory in the administration of the work tree.
    directory: PathBuf,
}

/// A repository whose submodules are looked for.
struct Above {
    /// Its git directory, whose `modules` hold theirs.
    directory: PathBuf,
    /// Its checkout.
    checkout: PathBuf,
    /// What paths in it begin with.
    prefix: String,
    /// The git directory of the same repository in the work tree.
    own: PathBuf,
    /// Its commit.
    commit: String,
}

impl GitWorktrees {
    /// Returns the submodules of a commit, nested ones behind the one they are in; `own` is the git directory of the work
    /// tree.
    pub(in crate::adapters::git) fn submodules(
        &self,
        own: &Path,
        commit: &str,
    ) -> WorktreeResult<Vec<Submodule>> {
        let mut found = Vec::new();
        let above = Above {
            directory: self.common_dir().to_owned(),
            checkout: self.top().to_owned(),
            prefix: String::new(),
            own: own.to_owned(),
            commit: commit.to_owned(),
        };
        below(&above, &mut found, DEEPEST)?;
        Ok(found)
    }

    /// Names the submodules that work trees of a commit are made without, and what helps.
    pub(in crate::adapters::git) fn absent_submodules(
        &self,
        commit: &str,
    ) -> WorktreeResult<Vec<String>> {
        let all = self.submodules(Path::new(""), commit)?;
        let absent = all.into_iter().filter(|one| one.source.is_none());
        Ok(absent
            .map(|one| {
                format!(
                    "the submodule `{}` is empty in work trees, because commit {} of it is not here; `git submodule update \
                     --init --recursive -- {}` fetches it",
                    one.path,
                    one.id.get(..12).unwrap_or(&one.id),
                    one.path
                )
            })
            .collect())
    }

    /// Checks out the submodules of a fresh work tree that are here.
    pub(in crate::adapters::git) fn check_out_submodules(
        &self,
        place: &Worktree,
    ) -> WorktreeResult<()> {
        for one in self.submodules(&place.directory, &place.base)? {
            if let Some(source) = &one.source {
                self.check_out(place, &one, source)?;
            }
        }
        Ok(())
    }

    fn check_out(&self, place: &Worktree, one: &Submodule, source: &Path) -> WorktreeResult<()> {
        let failed = |error: &dyn std::fmt::Display| {
            folder_error(
                &format!("the submodule `{}` cannot be checked out", one.path),
                error,
            )
        };
        let top = place.top.join(&one.path);
        if let Some(parent) = one.directory.parent() {
            fs::create_dir_all(parent).map_err(|error| failed(&error))?;
        }
        let separate = format!("--separate-git-dir={}", one.directory.display());
        let words = [
            "-c",
            "init.defaultRefFormat=files",
            "-c",
            "init.defaultObjectFormat=sha1",
            "init",
            "--quiet",
            "--template=",
            &separate,
        ];
        fs::create_dir_all(&top).map_err(|error| failed(&error))?;
        GitProgram::new(&top)
            .run(&words, b"")
            .map_err(|error| failed(&error))?;
        let objects = one.directory.join("objects/info");
        let borrow = || -> std::io::Result<()> {
            fs::create_dir_all(&objects)?;
            let lender = format!("{}\n", source.join("objects").display());
            fs::write(objects.join("alternates"), lender)?;
            if source.join("shallow").is_file() {
                fs::copy(source.join("shallow"), one.directory.join("shallow"))?;
            }
            Ok(())
        };
        borrow().map_err(|error| failed(&error))?;
        let inner = one.place(place);
        let run = |words: &[&str]| Self::git_inside(&inner, &one.directory.join("index"), words);
        run(&["update-ref", "--no-deref", "HEAD", &one.id]).map_err(|error| failed(&error))?;
        self.run_despite_filters(&["reset", "--quiet", "--hard", &one.id], run)
            .map_err(|error| failed(&error))?;
        Ok(())
    }

    /// Names what changed in the submodules of a work tree; one line for each.
    pub(in crate::adapters::git) fn changed_submodules(
        &self,
        place: &Worktree,
    ) -> WorktreeResult<Vec<String>> {
        let mut lines = Vec::new();
        for one in self.submodules(&place.directory, &place.base)? {
            let top = place.top.join(&one.path);
            let is_folder = top.symlink_metadata().is_ok_and(|data| data.is_dir());
            // One that is gone, or that a file took the place of, is a change of the repository above.
            if !is_folder {
                continue;
            }
            let what = if one.source.is_none() {
                let is_empty = fs::read_dir(&top).is_ok_and(|mut entries| entries.next().is_none());
                (!is_empty).then(|| "files were put into its empty folder".to_owned())
            } else {
                self.changed(place, &one)?
            };
            lines.extend(what.map(|what| format!("`{}`: {what}", one.path)));
        }
        Ok(lines)
    }

    fn changed(&self, place: &Worktree, one: &Submodule) -> WorktreeResult<Option<String>> {
        let link = fs::read_to_string(place.top.join(&one.path).join(".git")).unwrap_or_default();
        let stands = link.trim().strip_prefix("gitdir: ").map(PathBuf::from);
        let stands = stands.and_then(|directory| directory.canonicalize().ok());
        if stands.is_none() || stands != one.directory.canonicalize().ok() {
            return Ok(Some("it was made another repository".to_owned()));
        }
        let inner = one.place(place);
        let index = one.directory.join("index");
        let head = Self::git_inside(&inner, &index, &["rev-parse", "--verify", "HEAD"])?;
        if head != one.id {
            return Ok(Some(format!("it was moved to commit {head}")));
        }
        let tree = self.write_tree(&inner, false)?;
        let words = [
            "-c",
            "core.quotePath=true",
            "diff-tree",
            "-r",
            "--name-only",
            "--no-renames",
            &inner.tree,
            &tree,
        ];
        let names = Self::git_inside(&inner, &index, &words)?;
        let names: Vec<&str> = names.lines().filter(|line| !line.is_empty()).collect();
        if names.is_empty() {
            return Ok(None);
        }
        let shown = names.get(..SHOWN.min(names.len())).unwrap_or_default();
        let more = names.len().saturating_sub(SHOWN);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        Ok(Some(format!("{}{more}", shown.join(", "))))
    }

    /// Fails where something changed in a submodule, which no commit of the repository above can hold.
    pub(in crate::adapters::git) fn refuse_changed_submodules(
        &self,
        place: &Worktree,
    ) -> WorktreeResult<()> {
        let lines = self.changed_submodules(place)?;
        if lines.is_empty() {
            return Ok(());
        }
        Err(Error(format!(
            "the change touches submodules, whose files are no part of this repository's commits ({}); change them in their \
             own repositories",
            lines.join("; ")
        )))
    }
}

impl Submodule {
    /// Returns it as a work tree.
    fn place(&self, place: &Worktree) -> Worktree {
        Worktree {
            // No file of the checkout is shared with it.
            task_folder: place.task_folder.join("submodule"),
            top: place.top.join(&self.path),
            directory: self.directory.clone(),
            base: self.id.clone(),
            tree: format!("{}^{{tree}}", self.id),
        }
    }
}

fn below(above: &Above, found: &mut Vec<Submodule>, depth: usize) -> WorktreeResult<()> {
    let links = links(above)?;
    if links.is_empty() || depth == 0 {
        return Ok(());
    }
    let names = names(above);
    for (path, id) in links {
        let name = names.iter().find(|(_, known)| *known == path);
        // A name with `..` in it would lead out of the folder of submodules.
        let name = name.map(|(name, _)| name).filter(|name| is_plain(name));
        let checkout = above.checkout.join(&path);
        let beside = name.map(|name| above.directory.join("modules").join(name));
        let inside = directory_of(&checkout);
        let mut candidates = beside.into_iter().chain(inside);
        let source = candidates.find(|directory| has_commit(directory, &id));
        let own = above.own.join("modules").join(name.unwrap_or(&path));
        let one = Submodule {
            path: format!("{}{path}", above.prefix),
            id,
            source,
            directory: own,
        };
        let next = one.source.clone().map(|directory| Above {
            directory,
            checkout,
            prefix: format!("{}/", one.path),
            own: one.directory.clone(),
            commit: one.id.clone(),
        });
        found.push(one);
        if let Some(next) = next {
            below(&next, found, depth - 1)?;
        }
    }
    Ok(())
}

fn git(above: &Above, words: &[&str]) -> WorktreeResult<Vec<u8>> {
    let directory = format!("--git-dir={}", above.directory.display());
    let all = [&[directory.as_str()], words].concat();
    GitProgram::new(Path::new("/"))
        .run(&all, b"")
        .map_err(|error| Error(error.to_string()))
}

/// Returns path and commit of each submodule.
fn links(above: &Above) -> WorktreeResult<Vec<(String, String)>> {
    let listed = git(
        above,
        &["ls-tree", "-r", "-z", "--full-tree", &above.commit],
    )?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let entries = listed.split('\0').filter_map(|line| line.split_once('\t'));
    Ok(entries
        .filter_map(|(facts, path)| {
            let id = facts.strip_prefix("160000 commit ")?;
            Some((path.to_owned(), id.to_owned()))
        })
        .collect())
}

/// Returns name and path of each submodule, as the commit says.
fn names(above: &Above) -> Vec<(String, String)> {
    let blob = format!("--blob={}:.gitmodules", above.commit);
    let words = [
        "config",
        &blob,
        "-z",
        "--get-regexp",
        r"^submodule\..*\.path$",
    ];
    // Without the file every submodule is one that nobody described.
    let said = git(above, &words).unwrap_or_default();
    let said = String::from_utf8_lossy(&said).into_owned();
    let lines = said.split('\0').filter_map(|line| line.split_once('\n'));
    lines
        .filter_map(|(key, path)| {
            let name = key.strip_prefix("submodule.")?.strip_suffix(".path")?;
            Some((name.to_owned(), path.to_owned()))
        })
        .collect()
}

fn is_plain(name: &str) -> bool {
    let normal = |part| matches!(part, Component::Normal(_));
    !name.is_empty() && Path::new(name).components().all(normal)
}

/// Returns the git directory of a checked-out submodule.
fn directory_of(checkout: &Path) -> Option<PathBuf> {
    let link = checkout.join(".git");
    if link.is_dir() {
        return Some(link);
    }
    let text = fs::read_to_string(&link).ok()?;
    let path = text.trim().strip_prefix("gitdir: ")?;
    checkout.join(path).canonicalize().ok()
}

fn has_commit(directory: &Path, id: &str) -> bool {
    let words = [
        format!("--git-dir={}", directory.display()),
        "cat-file".to_owned(),
        "-e".to_owned(),
        format!("{id}^{{commit}}"),
    ];
    directory.is_dir() && GitProgram::new(Path::new("/")).run(&words, b"").is_ok()
}
