//! What a rollback leaves as it is and a person should know of: submodules, other branches, a rebase.

use git2::{BranchType, Oid};

use super::{
    delta::Delta,
    home::Home,
    index::{Index, SUBMODULE},
    object::{Id, hex},
};
use crate::domain::{checkpoint::shown_path, safety::Head};

/// Says that an operation goes on although the files were taken back.
pub(super) fn unfinished(what: &str) -> String {
    format!("{what} is still under way: `git status` says how to continue or abort it")
}

/// Says that a branch was moved to a commit that is not in its history.
pub(super) fn other_history(home: &Home, head: &Head, target: Oid) -> Option<String> {
    let at = Oid::from_str(head.at()?).ok()?;
    let is_older = at == target || home.git.graph_descendant_of(at, target).unwrap_or(true);
    let is_newer = home.git.graph_descendant_of(target, at).unwrap_or(true);
    if is_older || is_newer {
        return None;
    }
    let moved = head.branch().unwrap_or("HEAD");
    let branches = home.git.branches(Some(BranchType::Local)).ok()?;
    let names = branches.flatten().filter_map(|(branch, _)| {
        let tip = branch.get().target()?;
        let holds = tip == target || home.git.graph_descendant_of(tip, target).ok()?;
        let name = branch.name().ok().flatten()?.to_owned();
        (holds && name != moved).then(|| format!("`{name}`"))
    });
    let names: Vec<String> = names.take(3).collect();
    let of = match names.as_slice() {
        [] => "no branch".to_owned(),
        names => names.join(", "),
    };
    Some(format!(
        "`{moved}` points at a commit of {of} now, which was not in its history; its commits are kept by the snapshot"
    ))
}

/// Names the submodules that stand elsewhere than a goal has them.
pub(super) fn moved_submodules(index: &Index, deltas: &[Delta]) -> Vec<String> {
    let moved = deltas.iter().filter_map(|delta| {
        let entry = delta.before.and_then(|at| index.entries.get(at));
        let here = entry.filter(|entry| entry.mode == SUBMODULE);
        let there = delta.after.filter(|(mode, _)| *mode == SUBMODULE);
        let path = shown_path(&delta.path);
        let short = |id: &Id| hex(id).chars().take(12).collect::<String>();
        match (here, there) {
            (Some(here), Some((_, there))) => Some(format!(
                "the submodule `{path}` stays on {}, the target has {}: `git submodule update {path}` moves it",
                short(&here.id),
                short(&there)
            )),
            (Some(_), None) => Some(format!(
                "the submodule `{path}` stays, the target does not have it"
            )),
            (None, Some((_, there))) => Some(format!(
                "the submodule `{path}` is not here, the target has it on {}: `git submodule update --init {path}` brings it",
                short(&there)
            )),
            (None, None) => None,
        }
    });
    moved.collect()
}
