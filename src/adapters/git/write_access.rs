//! Which parts of a repository git itself has to write, and which stay closed because something would be run from them.
//!
//! A wall mounts these parts one over the other in the order in which they are named here.
//! Danger: a part that is not there cannot be closed. Hooks are made first; the few other files that lead git astray are
//! looked for afterwards and taken away ([`RepositoryMounts::blocking_remove_git_redirects`]).

use std::{
    fs,
    path::{Path, PathBuf},
};

use git2::{Repository, StatusOptions};

use crate::domain::sandbox::RepositoryAccess;

/// In the folder that all work trees share: what git or its user runs something from, or is led elsewhere by.
const CLOSED: &[&str] = &[
    "hooks",
    "config",
    "config.worktree",
    "info/attributes",
    "modules",
];
/// What belongs to the work trees beside the first one.
const WORK_TREES: &str = "worktrees";
/// The same in the folder of a linked work tree.
const CLOSED_LINKED: &[&str] = &["commondir", "gitdir", "config.worktree"];
/// Files that must not come into being.
const NEVER_MADE: &[&str] = &["commondir", "gitdir", "config.worktree"];

/// A repository that is open to git.
#[derive(Debug, Clone)]
pub struct RepositoryMounts {
    /// What may be done where; later parts lie over earlier ones. All paths exist and are without links.
    pub parts: Vec<(PathBuf, RepositoryAccess)>,
    /// Files that were not there.
    absent: Vec<PathBuf>,
}

impl RepositoryMounts {
    /// Removes files through which git would be led to other settings, and returns them.
    pub fn blocking_remove_git_redirects(&self) -> Vec<PathBuf> {
        let made = self
            .absent
            .iter()
            .filter(|path| path.symlink_metadata().is_ok() && fs::remove_file(path).is_ok());
        made.cloned().collect()
    }
}

/// Says whether a folder lies in a repository.
pub fn blocking_is_inside(folder: &Path) -> bool {
    folder.ancestors().any(|top| top.join(".git").exists())
}

/// Finds out what of the repository of `root` can be opened to git; the error says why it stays closed. `with_others` opens
/// what belongs to other work trees, too, except what leads git elsewhere from there.
pub fn blocking_plan_mounts(root: &Path, with_others: bool) -> Result<RepositoryMounts, String> {
    let git = Repository::discover(root).map_err(|_| "there is no repository here".to_owned())?;
    let real = |path: &Path| {
        let real = path.canonicalize();
        real.map_err(|error| format!("`{}` cannot be looked up: {error}", path.display()))
    };
    let top = real(git.workdir().ok_or("the repository is a bare one")?)?;
    if top != real(root)? {
        return Err(format!(
            "this is a part of the repository `{}`; go there, or name it with `--root`",
            top.display()
        ));
    }
    let (common, own) = (real(git.commondir())?, real(git.path())?);
    hooks_are_as_committed(&git, &top, &common)?;
    let hooks = common.join("hooks");
    if hooks.symlink_metadata().is_err() {
        fs::create_dir(&hooks).map_err(|error| format!("`{}`: {error}", hooks.display()))?;
    }
    let mut parts = vec![(common.clone(), RepositoryAccess::Write)];
    close(&common, CLOSED, &mut parts)?;
    let mut absent = missing(&common);
    let mut linked = Vec::new();
    if with_others {
        linked = work_trees(&common)?;
    } else {
        close(&common, &[WORK_TREES], &mut parts)?;
        linked.extend((own != common).then_some(own));
    }
    for folder in linked {
        parts.push((folder.clone(), RepositoryAccess::Write));
        close(&folder, CLOSED_LINKED, &mut parts)?;
        absent.extend(missing(&folder));
    }
    Ok(RepositoryMounts { parts, absent })
}

/// Returns the folders of all work trees beside the first one.
fn work_trees(common: &Path) -> Result<Vec<PathBuf>, String> {
    let folder = common.join(WORK_TREES);
    refuse_link(&folder)?;
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(|error| format!("`{}`: {error}", folder.display()))?,
    };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        refuse_link(&path)?;
        found.extend(path.is_dir().then_some(path));
    }
    Ok(found)
}

/// Refuses a link: whoever may write beside one may put another in its place.
fn refuse_link(path: &Path) -> Result<(), String> {
    if path.is_symlink() {
        return Err(format!(
            "`{}` is a link, which cannot be closed",
            path.display()
        ));
    }
    Ok(())
}

fn missing(folder: &Path) -> Vec<PathBuf> {
    let each = NEVER_MADE.iter().map(|name| folder.join(name));
    each.filter(|path| path.symlink_metadata().is_err())
        .collect()
}

fn close(
    folder: &Path,
    names: &[&str],
    parts: &mut Vec<(PathBuf, RepositoryAccess)>,
) -> Result<(), String> {
    for name in names {
        let path = folder.join(name);
        refuse_link(&path)?;
        if path.symlink_metadata().is_ok() {
            parts.push((path, RepositoryAccess::Read));
        }
    }
    Ok(())
}

/// Hooks in the work tree are a command's to change; they count as the person's own where they are as they were committed.
fn hooks_are_as_committed(git: &Repository, top: &Path, common: &Path) -> Result<(), String> {
    let config = git.config().map_err(|error| error.message().to_owned())?;
    let Ok(named) = config.get_path("core.hooksPath") else {
        return Ok(());
    };
    let folder = top.join(&named);
    let folder = folder.canonicalize().unwrap_or(folder);
    if !folder.starts_with(top) || folder.starts_with(common) {
        return Ok(());
    }
    let below = folder.strip_prefix(top).unwrap_or(&folder);
    let mut options = StatusOptions::new();
    options
        .include_untracked(true)
        .include_ignored(true)
        .recurse_untracked_dirs(true)
        .recurse_ignored_dirs(true)
        .disable_pathspec_match(true)
        .pathspec(below);
    let changed = git.statuses(Some(&mut options));
    let changed = changed.map_err(|error| error.message().to_owned())?;
    if changed.is_empty() {
        return Ok(());
    }
    Err(format!(
        "its hooks are in `{}`, where a command can change them, and are not as they were committed; commit them, or commit \
         outside",
        below.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> (tempfile::TempDir, PathBuf) {
        let top = tempfile::tempdir().unwrap();
        let root = top.path().canonicalize().unwrap().join("root");
        Repository::init(&root).unwrap();
        (top, root)
    }

    #[test]
    fn what_something_is_run_from_stays_closed() {
        let (_top, root) = repository();
        fs::remove_dir_all(root.join(".git/hooks")).ok();
        let open = blocking_plan_mounts(&root, false).unwrap();
        let git = root.join(".git");
        assert_eq!(open.parts[0], (git.clone(), RepositoryAccess::Write));
        for closed in ["hooks", "config"] {
            let part = (git.join(closed), RepositoryAccess::Read);
            assert!(open.parts.contains(&part), "{closed}");
        }
        fs::write(git.join("commondir"), "../elsewhere").unwrap();
        assert_eq!(
            open.blocking_remove_git_redirects(),
            [git.join("commondir")]
        );
        assert!(!git.join("commondir").exists());
        fs::create_dir(root.join("sub")).unwrap();
        assert!(
            blocking_plan_mounts(&root.join("sub"), false)
                .unwrap_err()
                .contains("--root")
        );
    }

    #[test]
    fn hooks_of_the_work_tree_count_when_they_are_committed_and_links_never() {
        let (_top, root) = repository();
        let git = Repository::open(&root).unwrap();
        git.config()
            .unwrap()
            .set_str("core.hooksPath", ".husky")
            .unwrap();
        assert!(blocking_plan_mounts(&root, false).is_ok());
        fs::create_dir(root.join(".husky")).unwrap();
        fs::write(root.join(".husky/pre-commit"), "true").unwrap();
        assert!(
            blocking_plan_mounts(&root, false)
                .unwrap_err()
                .contains(".husky")
        );
        let mut index = git.index().unwrap();
        index.add_path(Path::new(".husky/pre-commit")).unwrap();
        let tree = git.find_tree(index.write_tree().unwrap()).unwrap();
        index.write().unwrap();
        let who = git2::Signature::now("t", "t@t").unwrap();
        git.commit(Some("HEAD"), &who, &who, "x", &tree, &[])
            .unwrap();
        assert!(blocking_plan_mounts(&root, false).is_ok());
        fs::write(root.join(".husky/pre-commit"), "evil").unwrap();
        assert!(blocking_plan_mounts(&root, false).is_err());
        fs::write(root.join(".husky/pre-commit"), "true").unwrap();
        fs::remove_dir_all(root.join(".git/hooks")).ok();
        std::os::unix::fs::symlink("../shared", root.join(".git/hooks")).unwrap();
        assert!(
            blocking_plan_mounts(&root, false)
                .unwrap_err()
                .contains("link")
        );
    }

    #[test]
    fn the_folder_of_the_work_trees_is_no_link_whoever_asks() {
        let (_top, root) = repository();
        assert!(blocking_plan_mounts(&root, true).is_ok());
        fs::create_dir_all(root.join("elsewhere/one")).unwrap();
        std::os::unix::fs::symlink("../elsewhere", root.join(".git/worktrees")).unwrap();
        for with_others in [true, false] {
            let refused = blocking_plan_mounts(&root, with_others).unwrap_err();
            assert!(refused.contains("worktrees` is a link"), "{refused}");
        }
    }
}
