//! The kind of work a change really is, against what was declared.

use std::collections::BTreeSet;

use super::AgentTask;
use crate::domain::{
    text::one_line,
    validate::{ChangeCategory, FileChange, classify_change, paths_needing_review},
};

/// Returns the class of a task where the change fits it, else `unclassified`. What a person still has to look at proves
/// nothing about the class.
pub fn confirmed_class(task: &AgentTask, changes: &[FileChange]) -> String {
    let all: BTreeSet<ChangeCategory> = changes.iter().map(classify_change).collect();
    let looks = !paths_needing_review(&task.may_change_checks, changes).is_empty();
    let has = |what| all.contains(&what);
    let fits = match task.class.as_str() {
        "test" => {
            has(ChangeCategory::Test)
                && !has(ChangeCategory::Code)
                && !has(ChangeCategory::Manifest)
        }
        "deps" => has(ChangeCategory::Manifest),
        "fix" | "feature" => has(ChangeCategory::Code),
        // Behaviour stays, so what tests expect stays.
        "refactor" => has(ChangeCategory::Code) && !has(ChangeCategory::Test),
        _ => false,
    };
    if fits && !looks {
        task.class.clone()
    } else {
        "unclassified".to_owned()
    }
}

/// Says why a change cannot be what its task is for; `None` = it can.
pub fn class_mismatch(task: &AgentTask, changes: &[FileChange]) -> Option<String> {
    let class = task.class.as_str();
    let all: Vec<(ChangeCategory, &str)> = changes
        .iter()
        .map(|one| (classify_change(one), one.path.as_str()))
        .collect();
    let of = |wanted: &[ChangeCategory]| {
        let mut found = all.iter();
        found
            .find(|(what, _)| wanted.contains(what))
            .map(|(_, path)| one_line(path))
    };
    let is_listed = !paths_needing_review(&task.may_change_checks, changes).is_empty();
    let why = match class {
        "fix" | "feature" if of(&[ChangeCategory::Code]).is_none() => {
            if all.iter().all(|(what, _)| *what == ChangeCategory::Nothing) {
                "only comments and white space changed".to_owned()
            } else if is_listed || of(&[ChangeCategory::Prose]).is_some() {
                // Texts for people can be wrong too, and what the list lets change was asked for.
                return None;
            } else {
                format!(
                    "only {} changed, and no code",
                    of(&[
                        ChangeCategory::Test,
                        ChangeCategory::Check,
                        ChangeCategory::Manifest
                    ])?
                )
            }
        }
        "test" => {
            let other = of(&[ChangeCategory::Code, ChangeCategory::Manifest])?;
            format!("{other} changed, which is no test")
        }
        "deps" if of(&[ChangeCategory::Manifest]).is_none() => "no manifest changed".to_owned(),
        _ => return None,
    };
    Some(format!(
        "the change does not fit the class `{class}`: {why}"
    ))
}

/// Says that work was accepted, and what of it a person has to look at.
pub fn acceptance_note(task: &AgentTask, changes: &[FileChange]) -> String {
    let paths = paths_needing_review(&task.may_change_checks, changes);
    if paths.is_empty() {
        return "accepted".to_owned();
    }
    let paths: Vec<String> = paths
        .iter()
        .map(|path| one_line(path).into_owned())
        .collect();
    format!(
        "accepted; a person has to look at {}, which judges changes",
        paths.join(", ")
    )
}
