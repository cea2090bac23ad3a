//! What no plan does unless it says `policy: off`: destroying the machine, a home or a disk.
//!
//! A plan that a person wrote runs as written. This is the floor under it, for the slip of a pen: a word list finds the few
//! commands worth reading, so that a hundred thousand tasks cost one pass over their text.

use std::{path::Path, sync::LazyLock};

use regex::Regex;

use super::{PlanCliError, PlanCommands, enforce};
use crate::domain::{
    plan::{
        Plan, PlanTask,
        task::{PolicyMode, TaskAction, TaskStdin},
    },
    policy::{Policy, PolicyContext},
};

/// Words without which nothing that is refused here can be said.
#[expect(
    clippy::expect_used,
    reason = "the text is part of the program and every test reads it"
)]
static WORTH_READING: LazyLock<Regex> = LazyLock::new(|| {
    let words = r"\b(rm|rmdir|unlink|rmtree|rm_rf|rimraf|remove_tree|delete|exec|execdir|xargs|shred|mv|dd|tee|cp|truncate|rsync|chmod|chown|chgrp|setfacl|chcon|mkfs|mke2fs|mkswap|wipefs|blkdiscard|\w*fdisk|sgdisk|parted|cryptsetup|badblocks|ren|del|erase|rd|Remove-Item)\b|>[ \t]*/(dev|proc)/";
    Regex::new(words).expect("a valid expression")
});

/// Refuses a plan that would destroy the machine it runs on; says which task, what it would do and what to write.
pub(super) fn hold(
    context: PlanCommands<'_>,
    plan: &Plan,
    workdir: &Path,
) -> Result<(), PlanCliError> {
    if plan.policy != PolicyMode::Minimal {
        return Ok(());
    }
    let mut suspects = plan
        .tasks
        .iter()
        .filter(|task| is_worth_reading(task))
        .peekable();
    if suspects.peek().is_none() {
        return Ok(());
    }
    let policy = Policy::minimal();
    // Nothing is the plan's own here: what it may do to its folder is not asked.
    let world = PolicyContext {
        folder: Some(workdir.to_owned()),
        ..context
            .services
            .policy_context(&workdir.join(".tos/none"), false)
    };
    let found: Vec<String> = suspects
        .filter_map(|task| {
            let verdict = policy.judge(&enforce::command(task), &world);
            (!verdict.is_allowed()).then(|| format!("\n  task `{}`: {}", task.id, verdict.reason))
        })
        .collect();
    if found.is_empty() {
        return Ok(());
    }
    Err(PlanCliError::Usage(format!(
        "this plan would destroy the machine it runs on; nothing was run{}\n  Change it; where it is meant, say `policy: off` at the \
         top of the plan.",
        found.concat()
    )))
}

fn is_worth_reading(task: &PlanTask) -> bool {
    let is_hit = |text: &String| WORTH_READING.is_match(text);
    let is_fed = task
        .extra
        .as_deref()
        .is_some_and(|extra| match &extra.stdin {
            TaskStdin::Text(text) => is_hit(text),
            TaskStdin::Empty | TaskStdin::File(_) => false,
        });
    is_fed
        || match &task.action {
            TaskAction::Argv(words) => words.iter().any(is_hit),
            TaskAction::Shell(code) => is_hit(code),
            // A job judges its own commands.
            TaskAction::Job(_) => false,
        }
}
