//! Drills: rehearsals of what must never go wrong. Each one is a list of guarded tasks for an agent that
//! follows a script, what the ledger must say afterwards, and what must be found untouched.
//!
//! Nothing here runs anything. The lists go through the same program as real work, in a throw-away
//! repository; here is decided what they hold, and whether what was seen is what was promised.

mod catalogue;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use crate::domain::ledger::LedgerEntry;

pub use catalogue::ALL;

/// A rehearsal.
#[derive(Debug, Clone, Copy)]
pub struct Drill {
    /// Its name, as gates ask for it.
    pub name: &'static str,
    /// What it shows, in one line.
    pub about: &'static str,
    /// What the confinement must have proved; the drill is not counted where it has not.
    pub needs: &'static [&'static str],
    /// What is checked before a session starts.
    pub before_start: &'static [&'static str],
    /// Hosts the agent may reach.
    pub hosts: &'static [&'static str],
    /// The list's `sandbox`.
    pub sandbox: &'static str,
    /// The list's `on_failure`.
    pub on_failure: &'static str,
    /// After how many tasks a stable point is made; 0 = never.
    pub checkpoint_every: u32,
    /// The tasks.
    pub tasks: &'static [DrillTask],
    /// What is done with the program, in order.
    pub acts: &'static [DrillStep],
    /// What tos must say where it has to refuse to start; empty = it must not refuse.
    pub refused: &'static str,
    /// What the ledger must say, in this order; each is the beginning of an event's words.
    pub expected: &'static [&'static str],
    /// Lines that the agent's own report must hold, so that a drill in which nothing was tried cannot pass.
    pub tried: &'static [&'static str],
}

/// One task of a drill.
#[derive(Debug, Clone, Copy)]
pub struct DrillTask {
    /// Its id.
    pub id: &'static str,
    /// What the scripted agent does.
    pub scenario: &'static str,
    /// Tasks it needs.
    pub needs: &'static [&'static str],
    /// How long the agent may take.
    pub seconds: u64,
}

/// One thing done with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrillStep {
    /// Run the list; the program must end with this code.
    Run(u8),
    /// Start a night with the list; the program must end with this code.
    Night(u8),
    /// Run the list and kill the program, with no chance to say goodbye, once the agent is at work.
    Kill,
}

/// What was seen of a drill.
#[derive(Debug, Clone, Default)]
pub struct DrillObservation {
    /// How the program ended each time it was run to its end.
    pub exits: Vec<i32>,
    /// Why it refused to start, where it did.
    pub refusal: Option<String>,
    /// The ledger of the throw-away place.
    pub entries: Vec<LedgerEntry>,
    /// The tree of the person's checkout before.
    pub before: String,
    /// The same after.
    pub after: String,
    /// What was found touched, alive or leaked although it must not be, one sentence each.
    pub faults: Vec<String>,
    /// What the agent reported of itself.
    pub report: String,
}

/// What came of a drill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DrillOutcome {
    /// Everything was as promised.
    Passed,
    /// Something was not.
    Failed(String),
    /// This machine lacks what the drill needs; it proves nothing either way.
    NotCounted(String),
}

/// Finds a drill.
pub fn find(name: &str) -> Option<&'static Drill> {
    ALL.iter().find(|drill| drill.name == name)
}

/// How the agent reports an attempt that should have been refused and was not.
pub const BREACH_PREFIX: &str = "GOT THROUGH:";

/// Writes an event as drills expect it.
pub fn event_text(entry: &LedgerEntry) -> String {
    if let LedgerEntry::Task { end } = entry {
        return format!("task {} {}: {}", end.task, end.outcome.as_str(), end.reason);
    }
    if let LedgerEntry::SessionEnd { end } = entry {
        return format!("session.end {}", end.ended_by);
    }
    if let LedgerEntry::Limit { name, .. } = entry {
        return format!("limit {name}");
    }
    entry.kind().to_owned()
}

/// What must not be in the ledger of a drill unless it is expected.
const NEVER: [&str; 3] = ["rollback_failed", "isolation_breach", "invariant_broken"];

impl Drill {
    /// Judges what was seen.
    pub fn judge(&self, seen: &DrillObservation) -> DrillOutcome {
        if let Some(refusal) = &seen.refusal
            && !self.needs.is_empty()
            && seen.entries.is_empty()
            && lacks(refusal)
        {
            return DrillOutcome::NotCounted(refusal.clone());
        }
        match self.fault(seen) {
            None => DrillOutcome::Passed,
            Some(fault) => DrillOutcome::Failed(fault),
        }
    }

    fn fault(&self, seen: &DrillObservation) -> Option<String> {
        let exits: Vec<i32> = self
            .acts
            .iter()
            .filter_map(|act| match act {
                DrillStep::Run(code) | DrillStep::Night(code) => Some(i32::from(*code)),
                DrillStep::Kill => None,
            })
            .collect();
        let observed: Vec<String> = seen.entries.iter().map(event_text).collect();
        let unexpected = observed.iter().find(|event| {
            let known = |start: &&str| begins(event, start);
            NEVER.iter().any(known) && !self.expected.iter().any(known)
        });
        let untried = self
            .tried
            .iter()
            .find(|line| !seen.report.lines().any(|said| said.starts_with(*line)));
        let through = seen
            .report
            .lines()
            .find_map(|line| line.strip_prefix(BREACH_PREFIX));
        None.or_else(|| through.map(|what| format!("the agent got through:{what}")))
            .or_else(|| seen.faults.first().cloned())
            .or_else(|| missing(self.expected, &observed))
            .or_else(|| self.other_start(seen, &observed))
            .or_else(|| unexpected.map(|event| format!("the ledger says `{event}`")))
            .or_else(|| {
                (seen.before != seen.after).then(|| "the checkout is not what it was".to_owned())
            })
            .or_else(|| untried.map(|line| format!("the agent did not report `{line}`")))
            .or_else(|| {
                (exits != seen.exits).then(|| match &seen.refusal {
                    Some(refusal) => refusal.clone(),
                    None => format!("tos ended with {:?} instead of {exits:?}", seen.exits),
                })
            })
    }

    /// Finds a session that must not have begun, or a refusal that did not come or came for another reason.
    fn other_start(&self, seen: &DrillObservation, observed: &[String]) -> Option<String> {
        let refusal = seen.refusal.as_deref().unwrap_or_default();
        if !refusal.contains(self.refused) {
            let wanted = self.refused;
            return Some(format!("tos did not refuse with `{wanted}`: `{refusal}`"));
        }
        let count = |events: usize| format!("{events} sessions began");
        let begun = observed.iter().filter(|event| *event == "session.start");
        let wanted = self
            .expected
            .iter()
            .filter(|event| **event == "session.start");
        let begun = begun.count();
        (begun != wanted.count()).then(|| count(begun))
    }

    /// Writes the list of tasks; `agent` are the words that start the agent for a scenario. The second time
    /// an agent that hung or was ill does its work.
    pub fn task_list(&self, agent: &dyn Fn(&str) -> Vec<String>, again: bool) -> Value {
        let agent = |scenario: &str| {
            let better = again && ["hang", "ill"].contains(&scenario);
            agent(if better { "fix" } else { scenario })
        };
        let command = |scenario: &str| json!({ "kind": "command", "args": agent(scenario), "hosts": self.hosts });
        let first = self.tasks.first().map_or("fix", |job| job.scenario);
        let tasks: Vec<Value> = self
            .tasks
            .iter()
            .map(|job| {
                json!({
                    "id": job.id,
                    "goal": "repair add",
                    "prompt": format!("Make add add. ({})", job.scenario),
                    "class": "fix",
                    "test_command": ["sh", "check.sh"],
                    "depends_on": job.needs,
                    "max_time_seconds": job.seconds,
                    "agent": command(job.scenario),
                })
            })
            .collect();
        json!({
            "schema": 1,
            "id": self.name,
            "title": self.about,
            "agent": command(first),
            "on_failure": self.on_failure,
            "sandbox": self.sandbox,
            "disk_mb": MAX_DISK_MB,
            "full_test_command": ["sh", "whole.sh"],
            "real": false,
            "task": tasks,
        })
    }

    /// Writes the gates of the throw-away place: they permit the drill's list, where the machine has what
    /// it needs, and nothing is ever promoted there.
    pub fn gates_toml(&self) -> String {
        format!(
            "schema = 1\n[night]\nwindow = \"20:00-08:00\"\n[promote]\nmode = \"confirm\"\nevidence_max_age_days = 45\n\
             [phase.drill]\ntitle = \"drill\"\nunattended = true\nmax_session = \"1h\"\nneed_isolation = {:?}\n\
             need_before_start = {:?}\non_failure = [\"stop\", \"retry_then_stop\", \"retry_then_skip_dependents\"]\n\
             skip = \"dag\"\ncheckpoint_every = {}\n[phase.never]\ntitle = \"never\"\n\
             [[gate]]\nfrom = \"drill\"\nto = \"never\"\n[[gate.require]]\nid = \"never\"\nmetric = \"attested\"\n\
             names = [\"never\"]\nneed = 1\n",
            self.needs, self.before_start, self.checkpoint_every
        )
    }
}

/// How much the agent of a drill may write, in megabytes.
pub const MAX_DISK_MB: u64 = 32;
/// How large one file may become, in megabytes.
pub const MAX_FILE_MB: u64 = 16;
/// How many processes there may be.
pub const MAX_PROCESSES: u64 = 64;

/// Returns the ceilings of the throw-away place, as its configuration says them.
pub fn limit_settings() -> Value {
    json!({ "processes": MAX_PROCESSES, "file_mb": MAX_FILE_MB })
}

/// Tells a machine that lacks something from one on which something went wrong.
fn lacks(refusal: &str) -> bool {
    refusal.contains("needs a confinement with") || refusal.contains("no wall is proved")
}

/// Returns whether an event begins with these words, whole words only.
fn begins(event: &str, start: &str) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    event
        .strip_prefix(start)
        .is_some_and(|rest| !rest.starts_with(in_word))
}

/// Returns what was expected and did not come, in its place.
fn missing(expected: &[&str], observed: &[String]) -> Option<String> {
    let mut rest = observed.iter();
    let absent = expected
        .iter()
        .find(|start| !rest.any(|event| begins(event, start)));
    absent.map(|event| format!("`{event}` is missing from the ledger, or out of its place"))
}
