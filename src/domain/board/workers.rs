//! Workers on other machines, as the dispatcher has to know them: what a task requires, and whether somebody has it.
//!
//! A task that requires something starts nowhere but on a worker that has all of it; a service alone is no such worker.

use serde::{Deserialize, Serialize};

use super::{AgentRole, Board, Draft, Refusal, SystemEvent, Task, create::invalid};

/// How long a label may be.
const LABEL: usize = 64;
/// How many labels a task or a worker may name.
const LABELS: usize = 16;

/// A kind of worker: what it does, and what it has.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerCapabilities {
    /// What it does.
    pub roles: Vec<AgentRole>,
    /// What it has: `gpu`, `os=linux`.
    pub labels: Vec<String>,
}

impl WorkerCapabilities {
    /// Returns whether it has everything that is required.
    pub fn has_all(&self, required: &[String]) -> bool {
        required.iter().all(|label| self.labels.contains(label))
    }
}

/// Says what is wrong with labels; they are plain words, or a word and its value.
pub fn check_labels(labels: &[String]) -> Result<(), String> {
    if labels.len() > LABELS {
        return Err(format!("more than {LABELS} labels"));
    }
    let plain = |text: &str| {
        let fits =
            |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
        !text.is_empty() && text.chars().all(fits)
    };
    let fits = |label: &&String| {
        let (name, value) = label.split_once('=').unwrap_or((label, "1"));
        label.len() <= LABEL && plain(name) && plain(value)
    };
    match labels.iter().find(|label| !fits(label)) {
        Some(label) => Err(format!(
            "\"{label}\" is no label; one is a word, or a word and a value: gpu, os=linux; at most {LABEL} letters, digits, `-`, `_`, `.`"
        )),
        None => Ok(()),
    }
}

impl Board {
    /// Checks what a task requires.
    pub(super) fn check_requires(required: &[String]) -> Result<(), Refusal> {
        check_labels(required).map_err(|why| invalid(format!("`requires`: {why}")))
    }

    /// Notes which kinds of workers are there, where that is new.
    pub(super) fn see_workers(&self, draft: &mut Draft, kinds: &[WorkerCapabilities]) {
        if self.globals.workers != kinds {
            draft.event(SystemEvent::WorkersSeen {
                kinds: kinds.to_vec(),
            });
        }
    }

    /// Returns the labels for which no worker is there: what nobody has at all, or, where each has somebody, all of them.
    pub(super) fn missing_labels(&self, task: &Task) -> Option<Vec<String>> {
        let required = &task.spec.requires;
        if required.is_empty() {
            return None;
        }
        let role = task.spec.role;
        let of_role = || {
            let workers = self.globals.workers.iter();
            workers.filter(move |kind| kind.roles.contains(&role))
        };
        if of_role().any(|kind| kind.has_all(required)) {
            return None;
        }
        let nobody: Vec<String> = required
            .iter()
            .filter(|label| !of_role().any(|kind| kind.labels.contains(label)))
            .cloned()
            .collect();
        Some(if nobody.is_empty() {
            required.clone()
        } else {
            nobody
        })
    }

    /// Returns the kinds of workers that were seen last.
    pub fn worker_capabilities(&self) -> &[WorkerCapabilities] {
        &self.globals.workers
    }
}

/// Says that nobody has some labels.
pub(super) fn missing_labels_message(labels: &[String]) -> String {
    match labels {
        [one] => format!("no worker has label {one}"),
        several => format!("no worker has the labels {} together", several.join(", ")),
    }
}

/// Returns the command that starts a worker with labels.
pub(super) fn worker_command(labels: &[String]) -> String {
    let options: Vec<String> = labels
        .iter()
        .map(|label| format!("--label {label}"))
        .collect();
    format!("tos worker --nats URL {}", options.join(" "))
}
