//! The guard beside an agent that a person runs: what its hook is told becomes a tool call, what is decided about it becomes
//! the answer that program understands.
//!
//! Nothing here widens what an agent may do: an answer refuses, asks, or says nothing, so that the program's own questions
//! stay. Danger: programs run a tool when a hook fails in a way they do not expect; every answer here is one they do.

pub mod answer;
pub mod call;
pub mod checkpoint;
pub mod codex_trust;
pub mod hook;
pub mod installed;
pub mod log;
mod patch;
pub mod protected;
mod wire;

pub use answer::{HookAnswer, unjudged_answer};
pub use call::{AttendanceMode, HookAgent, ToolAction, ToolCall};
pub use patch::patched_files;
pub use wire::{HookInputError, parse_tool_call};

use crate::domain::policy::{Decision, PolicyFinding};

/// The name of the root where there is no project; no folder has it.
pub const NO_PROJECT: &str = ".tos-no-project";

/// What was decided about a tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardOutcome {
    /// What the rules say.
    pub decision: Decision,
    /// One line: which rule, what it is about.
    pub reason: String,
    /// The rule that decided.
    pub rule: Option<String>,
    /// What was found, in the order of the command.
    pub findings: Vec<PolicyFinding>,
    /// The checkpoint that was made first, and what it holds in words.
    pub checkpoint: Option<(u32, String)>,
    /// Nothing is blocked, only reported.
    pub observe: bool,
}

impl GuardOutcome {
    /// Returns the outcome where nothing is to be said.
    pub fn without_remark() -> Self {
        Self {
            decision: Decision::Allow,
            reason: "no rule forbids it".to_owned(),
            rule: None,
            findings: Vec::new(),
            checkpoint: None,
            observe: false,
        }
    }

    /// Returns what follows where this person, or nobody, can be asked.
    pub fn decision_for(&self, presence: AttendanceMode) -> Decision {
        match (self.decision, presence) {
            _ if self.observe => Decision::Allow,
            (Decision::Ask, AttendanceMode::Nobody(_)) => Decision::Deny,
            (decision, _) => decision,
        }
    }

    /// Returns the sentence for whoever reads the answer.
    pub fn sentence(&self, presence: AttendanceMode) -> String {
        let alone = match (self.decision, presence) {
            (Decision::Ask, AttendanceMode::Nobody(why)) => format!("; {why}, so it is refused"),
            _ => String::new(),
        };
        let reason = self.reason.replace(", and nobody can be asked", "");
        if self.observe && self.decision != Decision::Allow {
            let decision = self.decision.as_str();
            return format!(
                "tos guard only observes and blocks nothing; its rules say `{decision}`: {reason}"
            );
        }
        format!("tos guard: {reason}{alone}")
    }

    /// Returns what to say about the checkpoint.
    pub fn note(&self) -> Option<String> {
        let (number, what) = self.checkpoint.as_ref()?;
        Some(format!(
            "tos guard kept {what} first; `tos guard undo {number}` brings it back"
        ))
    }
}
