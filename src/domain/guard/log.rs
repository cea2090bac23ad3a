//! The log of the guard: one line for each judged call, and what it adds up to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One line of the log: a judged call, one that could not be judged, or an undo.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// When, as RFC 3339.
    pub time: String,
    /// `judged`, `failed` or `undone`.
    pub kind: String,
    /// Whose call it was.
    pub agent: String,
    /// The session, as the program names it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub session: String,
    /// The root of the project.
    pub root: String,
    /// The tool.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tool: String,
    /// The command or the files.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// What the rules say: `allow`, `ask` or `deny`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub decision: String,
    /// What the program was told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The checkpoint that was made or returned to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<u32>,
    /// Whether nothing was blocked, only reported.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub observe: bool,
    /// How long it took, in microseconds.
    #[serde(default)]
    pub micros: u64,
}

impl LogEntry {
    /// Says whether a call was refused, asked about, or could not be judged.
    pub fn was_not_allowed(&self) -> bool {
        match self.kind.as_str() {
            "undone" => false,
            "judged" => self.decision != "allow",
            _ => true,
        }
    }
}

/// The session under which `tos guard status` tries a hook; it counts nowhere.
pub const PROBE_SESSION: &str = "tos-guard-status";

/// What the log adds up to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GuardStats {
    /// Calls that were judged.
    pub judged: u64,
    /// By what the rules said.
    pub decisions: BTreeMap<String, u64>,
    /// Refusals and questions by rule.
    pub rules: BTreeMap<String, u64>,
    /// Calls by agent.
    pub agents: BTreeMap<String, u64>,
    /// Checkpoints that were made.
    pub checkpoints: u64,
    /// Times somebody got something back.
    pub undone: u64,
    /// Of those asked about and refused, how many were only observed, and ran.
    pub observed: u64,
    /// Calls that could not be judged.
    pub failed: u64,
    /// The median time of one judgement, in microseconds.
    pub median_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl GuardStats {
    /// Adds up a log.
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a LogEntry>) -> Self {
        let mut stats = Self::default();
        let mut times = Vec::new();
        for entry in entries {
            if entry.session == PROBE_SESSION {
                continue;
            }
            match entry.kind.as_str() {
                "undone" => stats.undone += 1,
                "failed" => stats.failed += 1,
                _ => {
                    stats.judged += 1;
                    // Whoever runs the command as well measures something else.
                    if entry.micros > 0 {
                        times.push(entry.micros);
                    }
                    *stats.decisions.entry(entry.decision.clone()).or_default() += 1;
                    *stats.agents.entry(entry.agent.clone()).or_default() += 1;
                    stats.observed += u64::from(entry.observe && entry.decision != "allow");
                    stats.checkpoints += u64::from(entry.checkpoint.is_some());
                    if let Some(rule) = entry.rule.clone().filter(|_| entry.decision != "allow") {
                        *stats.rules.entry(rule).or_default() += 1;
                    }
                }
            }
        }
        times.sort_unstable();
        stats.median_us = times.get(times.len() / 2).copied().unwrap_or(0);
        stats.max_us = times.last().copied().unwrap_or(0);
        stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_adds_up_and_probes_do_not_count() {
        let entry = |kind: &str, decision: &str, session: &str| LogEntry {
            kind: kind.to_owned(),
            decision: decision.to_owned(),
            session: session.to_owned(),
            rule: Some("guard/x".to_owned()),
            agent: "claude".to_owned(),
            micros: 5,
            ..LogEntry::default()
        };
        let log = [
            entry("judged", "deny", "a"),
            entry("judged", "allow", "a"),
            entry("judged", "deny", PROBE_SESSION),
            entry("undone", "", "a"),
        ];
        let held: Vec<bool> = log.iter().map(LogEntry::was_not_allowed).collect();
        assert_eq!(held, [true, false, true, false]);
        let stats = GuardStats::of(&log);
        assert_eq!((stats.judged, stats.undone, stats.median_us), (2, 1, 5));
        assert_eq!(stats.rules.get("guard/x"), Some(&1));
    }
}
