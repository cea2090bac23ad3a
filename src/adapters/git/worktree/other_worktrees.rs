//! The other work trees of the repository: a branch that one of them stands on is not moved from here.
//!
//! Refs are shared. Where a branch moves under a work tree, its files look like changes that nobody made,
//! and the next commit there would take back what was committed here.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    adapters::git::{
        error::{Result, path_text},
        repository::WorktreeRepository,
    },
    domain::checkpoint::CheckpointError,
};

/// Files in a git directory that name the branch in use: HEAD itself, and where HEAD is detached for
/// the time of a rebase or a bisection.
const USES: &[&str] = &[
    "HEAD",
    "rebase-merge/head-name",
    "rebase-apply/head-name",
    "BISECT_START",
];

/// Fails where another work tree stands on the branch, which is given by its full ref name.
pub(in crate::adapters::git) fn refuse_checked_out(
    home: &WorktreeRepository,
    branch: Option<&str>,
) -> Result<()> {
    let Some(branch) = branch else {
        return Ok(());
    };
    let own = home.directory.canonicalize().ok();
    for directory in directories(home) {
        if directory.canonicalize().ok() != own && uses(&directory, branch) {
            return Err(CheckpointError::CheckedOut {
                branch: branch
                    .strip_prefix("refs/heads/")
                    .unwrap_or(branch)
                    .to_owned(),
                at: path_text(&top(home, &directory)),
            });
        }
    }
    Ok(())
}

/// Returns the git directories of all work trees; a bare repository is none.
fn directories(home: &WorktreeRepository) -> Vec<PathBuf> {
    let common = home.git.commondir();
    let linked = fs::read_dir(common.join("worktrees"));
    let linked = linked.into_iter().flatten().flatten().map(|e| e.path());
    let main = Some(common.to_owned()).filter(|_| home.config_bool("core.bare") != Some(true));
    main.into_iter().chain(linked).collect()
}

fn uses(directory: &Path, branch: &str) -> bool {
    USES.iter().any(|file| {
        let text = fs::read_to_string(directory.join(file)).unwrap_or_default();
        let name = text.trim();
        let name = name.strip_prefix("ref:").map_or(name, str::trim);
        // A bisection notes the branch without its folder, or a hash.
        name == branch || (*file == "BISECT_START" && branch == format!("refs/heads/{name}"))
    })
}

/// Returns where the files of a work tree are; its git directory where that cannot be told.
fn top(home: &WorktreeRepository, directory: &Path) -> PathBuf {
    let told = if directory == home.git.commondir() {
        let elsewhere = home.config("core.worktree").map(PathBuf::from);
        elsewhere.map_or_else(|| directory.join(".."), |path| directory.join(path))
    } else {
        let link = fs::read_to_string(directory.join("gitdir")).unwrap_or_default();
        let file = directory.join(link.trim());
        file.parent().unwrap_or(directory).to_owned()
    };
    told.canonicalize().unwrap_or(told)
}
