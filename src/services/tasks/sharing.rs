//! What work trees get of the checkout beside the commit: folders of dependencies, files of settings, submodules.

use super::{
    Error, SessionState,
    outcome::{TaskAttemptOutcome, rejected_outcome},
};
use crate::{
    domain::{
        tasks::{Agent, TaskList},
        text::one_line,
        validate::{CollectedChange, FileVersion},
    },
    ports::{
        worktrees,
        worktrees::{SharedPaths, Worktree, Worktrees},
    },
};

/// Returns what a list wants of the checkout.
const fn wish(list: &TaskList) -> SharedPaths<'_> {
    SharedPaths {
        folders: list.share.as_slice(),
        files: list.share_files.as_slice(),
    }
}

/// Says why something of the checkout cannot be shared with the work trees of a list; otherwise returns which files it is.
pub fn resolve_shared_files(
    worktrees: &dyn Worktrees,
    list: &TaskList,
) -> Result<Vec<String>, worktrees::Error> {
    worktrees.check_shared(&wish(list))
}

/// Says what people should know of the work trees of a list that starts from a commit, one line each.
pub fn work_tree_notes(
    worktrees: &dyn Worktrees,
    list: &TaskList,
    base: &str,
) -> Result<Vec<String>, worktrees::Error> {
    let files = resolve_shared_files(worktrees, list)?.into_iter();
    let mut notes: Vec<String> = files
        .map(|name| format!("every task gets a copy of {}", one_line(&name)))
        .collect();
    notes.extend(worktrees.missing_submodules(base)?);
    notes.extend(
        list.agents()
            .into_iter()
            .filter_map(Agent::unenforced_budget),
    );
    Ok(notes)
}

impl SessionState<'_> {
    /// Says what a person should know of the work trees.
    pub(super) fn say_notes(&self) -> Result<(), Error> {
        for note in work_tree_notes(&*self.tools.worktrees, self.list, &self.tip)? {
            self.watcher.line(&format!("note: {note}"));
        }
        Ok(())
    }

    /// Gives a fresh work tree the folders of dependencies and the files that the list names; what is secret in them is
    /// in nothing that is written from here on.
    pub(super) fn share(&mut self, place: &Worktree) -> Result<(), Error> {
        let worktrees = &self.tools.worktrees;
        let walled = self.is_walled();
        self.shared = worktrees.share(place, &wish(self.list), walled)?;
        self.tools.runners.redact_values(&self.shared.secrets);
        Ok(())
    }

    /// Says that a change holds a value of a file that was shared with the work tree.
    pub(super) fn check_leaks(&self, seen: &CollectedChange) -> Option<TaskAttemptOutcome> {
        let secrets = &self.shared.secrets;
        let telling: Vec<&String> = secrets.iter().filter(|one| is_telling(one)).collect();
        let holds = |side: &Option<FileVersion>, secret: &str| {
            let text = side.as_ref().and_then(|side| side.text.as_deref());
            text.is_some_and(|text| text.contains(secret))
        };
        let change = seen.changes.iter().find(|change| {
            let brings =
                |secret: &&&String| holds(&change.after, secret) && !holds(&change.before, secret);
            telling.iter().any(|secret| brings(&secret))
        })?;
        let path = one_line(&change.path);
        Some(rejected_outcome(
            format!("{path} holds a secret of a file that was shared with the task"),
            true,
        ))
    }
}

/// Tells whether a value stands in a change by no accident: words that settings hold as well (`postgres`) do.
fn is_telling(secret: &str) -> bool {
    secret.len() >= 12 && secret.chars().any(|c| c.is_ascii_digit())
}
