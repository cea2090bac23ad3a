//! Judges a tool call: rules first, then a checkpoint of what would be lost, and only then a yes.

use crate::{
    domain::{
        guard::{
            GuardOutcome, ToolAction, ToolCall,
            checkpoint::{CheckpointCause, CheckpointOrder},
        },
        policy::{Decision, FileAccess, Policy, PolicyContext, PolicyLoss, PolicyVerdict},
    },
    ports::guard::GuardCheckpoints,
};

/// What the guard judges by.
pub struct Guard<'a> {
    /// The rules.
    pub policy: &'a Policy,
    /// The circumstances.
    pub world: PolicyContext,
    /// Where what would be lost is kept; `None` = nothing is kept, and nothing is asked about for that reason.
    pub checkpoints: Option<&'a dyn GuardCheckpoints>,
    /// The most files of a checkpoint.
    pub most_files: usize,
    /// The most bytes of a checkpoint.
    pub most_bytes: u64,
    /// Nothing is blocked, only reported.
    pub observe: bool,
    /// Files that an agent keeps for itself; patterns of absolute paths that its own tools may write.
    pub own_folders: Vec<String>,
}

impl std::fmt::Debug for Guard<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

impl Guard<'_> {
    /// Judges a call and keeps what it would lose, if it may run.
    pub fn judge(&self, call: &ToolCall, cause: &CheckpointCause) -> GuardOutcome {
        let (verdict, losses) = self.looked_at(call);
        let why = verdict
            .matched
            .as_deref()
            .map_or("", |rule| self.policy.reason_of(rule));
        let why = if why.is_empty() {
            String::new()
        } else {
            format!("; {why}")
        };
        let outcome = GuardOutcome {
            decision: verdict.decision,
            reason: format!("{}{why}", verdict.reason),
            rule: verdict.matched,
            findings: verdict.findings,
            checkpoint: None,
            observe: self.observe,
        };
        // What is refused is not run; what is asked about may be, and a person's yes is not a wish to lose anything.
        if outcome.decision_for(call.presence) == Decision::Deny || losses.is_empty() {
            return outcome;
        }
        self.keep(outcome, losses, cause)
    }

    fn keep(
        &self,
        outcome: GuardOutcome,
        losses: Vec<PolicyLoss>,
        cause: &CheckpointCause,
    ) -> GuardOutcome {
        let Some(checkpoints) = self.checkpoints else {
            return outcome;
        };
        let order = CheckpointOrder {
            root: self.world.root.clone(),
            losses,
            cause: cause.clone(),
            most_files: self.most_files,
            most_bytes: self.most_bytes,
        };
        match checkpoints.save(&order) {
            Ok(None) => outcome,
            Ok(Some(made)) => GuardOutcome {
                checkpoint: Some((made.number, made.what())),
                ..outcome
            },
            Err(error) => GuardOutcome {
                decision: outcome.decision.max(Decision::Ask),
                reason: format!("what this would lose cannot be kept first: {error}"),
                rule: Some("guard/checkpoint".to_owned()),
                ..outcome
            },
        }
    }

    /// Returns the verdict about a call, and what it would lose.
    fn looked_at(&self, call: &ToolCall) -> (PolicyVerdict, Vec<PolicyLoss>) {
        let world = PolicyContext {
            attended: true,
            ..self.world.clone()
        };
        match &call.action {
            ToolAction::Other => (PolicyVerdict::nothing_found(), Vec::new()),
            ToolAction::Command(command) => (
                self.policy.judge(command, &world),
                Policy::losses(command, &world),
            ),
            ToolAction::Files(files) => {
                let mut strictest = PolicyVerdict::nothing_found();
                let mut losses = Vec::new();
                for (access, path) in files {
                    if self.is_own(path) {
                        continue;
                    }
                    let verdict = self.policy.judge_file(&call.tool, *access, path, &world);
                    if verdict.decision > strictest.decision {
                        strictest = verdict;
                    }
                    // An edit changes a part of a file the agent has read; what it replaces is in its own record.
                    if *access != FileAccess::Read && !is_edit(&call.tool) {
                        losses.extend(Policy::file_losses(*access, path, &world));
                    }
                }
                (strictest, losses)
            }
        }
    }

    fn is_own(&self, path: &str) -> bool {
        let below = |folder: &String| {
            path.strip_prefix(folder.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
        };
        !path.split('/').any(|part| part == "..") && self.own_folders.iter().any(below)
    }
}

fn is_edit(tool: &str) -> bool {
    let tool = tool.to_ascii_lowercase();
    tool.contains("edit") || tool == "replace" || tool == "strreplace"
}
