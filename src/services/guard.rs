//! Judges a tool call: rules first, then a checkpoint of what would be lost, and only then a yes.

use crate::{
    domain::{
        guard::{
            GuardOutcome, ToolAction, ToolCall,
            checkpoint::{CheckpointCause, GuardCheckpointRequest},
            patched_files,
            protected::{self, ProjectInspector},
        },
        policy::{DataLoss, Decision, FileAccess, Policy, PolicyContext, PolicyVerdict},
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
    /// What is kept first whatever a call would lose, unless it is refused.
    pub kept_anyway: Vec<DataLoss>,
    /// The most files of a checkpoint.
    pub most_files: usize,
    /// The most bytes of a checkpoint.
    pub most_bytes: u64,
    /// Nothing is blocked, only reported.
    pub observe: bool,
    /// What there is to protect; `None` = nothing is looked at.
    pub project: Option<&'a dyn ProjectInspector>,
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
        let outcome = self.spare_protected(outcome, call, &losses);
        let losses = [losses, self.kept_anyway.clone()].concat();
        // What is refused is not run; what is asked about may be, and a person's yes is not a wish to lose anything.
        if outcome.decision_for(call.presence) == Decision::Deny || losses.is_empty() {
            return outcome;
        }
        self.keep(outcome, losses, cause)
    }

    /// Refuses a command that would take away what keeps the agent in its bounds.
    fn spare_protected(
        &self,
        outcome: GuardOutcome,
        call: &ToolCall,
        losses: &[DataLoss],
    ) -> GuardOutcome {
        let project = self.project.filter(|_| outcome.decision != Decision::Deny);
        let threat = project.and_then(|project| match &call.action {
            ToolAction::Command(_) => protected::find_threat(losses, project),
            ToolAction::Files(files) => self.second_name(files, project),
            ToolAction::Other => None,
        });
        match threat {
            None => outcome,
            Some(threat) => GuardOutcome {
                decision: Decision::Deny,
                reason: threat.reason(),
                rule: Some(protected::PROTECTED_FILES_RULE.to_owned()),
                ..outcome
            },
        }
    }

    /// Returns the protected file that a tool would write to under another name.
    fn second_name(
        &self,
        files: &[(FileAccess, String)],
        project: &dyn ProjectInspector,
    ) -> Option<protected::Threat> {
        let folder = self.world.folder.as_ref().unwrap_or(&self.world.root);
        let written = files
            .iter()
            .filter(|(access, _)| *access == FileAccess::Write);
        written
            .map(|(_, path)| folder.join(path))
            .find_map(|path| protected::hard_link_threat(&path.to_string_lossy(), project))
    }

    fn keep(
        &self,
        outcome: GuardOutcome,
        losses: Vec<DataLoss>,
        cause: &CheckpointCause,
    ) -> GuardOutcome {
        let losses: Vec<DataLoss> = losses
            .into_iter()
            .filter(|loss| !loss.is_detail())
            .collect();
        let Some(checkpoints) = self.checkpoints.filter(|_| !losses.is_empty()) else {
            return outcome;
        };
        let order = GuardCheckpointRequest {
            root: self.world.root.clone(),
            losses,
            cause: cause.clone(),
            most_files: self.most_files,
            most_bytes: self.most_bytes,
        };
        match checkpoints.save(&order) {
            Ok(None) => outcome,
            Ok(Some(made)) => GuardOutcome {
                checkpoint: Some((made.number, made.describe())),
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
    fn looked_at(&self, call: &ToolCall) -> (PolicyVerdict, Vec<DataLoss>) {
        let world = PolicyContext {
            attended: true,
            ..self.world.clone()
        };
        match &call.action {
            ToolAction::Other => (PolicyVerdict::without_findings(), Vec::new()),
            ToolAction::Command(command) => {
                // A patch in a here-document is applied by the agent itself, whatever the shell would make of it.
                let patched = patched_files(&command.code);
                let (of_files, mut losses) = self.files_looked_at("apply_patch", &patched, &world);
                let verdict = self.policy.judge(command, &world);
                losses.extend(Policy::losses(command, &world));
                (stricter(verdict, of_files), losses)
            }
            ToolAction::Files(files) => self.files_looked_at(&call.tool, files, &world),
        }
    }

    fn files_looked_at(
        &self,
        tool: &str,
        files: &[(FileAccess, String)],
        world: &PolicyContext,
    ) -> (PolicyVerdict, Vec<DataLoss>) {
        let mut strictest = PolicyVerdict::without_findings();
        let mut losses = Vec::new();
        for (access, path) in files {
            if self.is_own(path) {
                continue;
            }
            let verdict = self.policy.judge_file(tool, *access, path, world);
            strictest = stricter(strictest, verdict);
            // An edit changes a part of a file the agent has read; what it replaces is in its own record.
            let loses = match access {
                FileAccess::Read => false,
                FileAccess::Delete => true,
                FileAccess::Write => !is_edit(tool),
            };
            if loses {
                losses.extend(Policy::file_losses(*access, path, world));
            }
        }
        (strictest, losses)
    }

    fn is_own(&self, path: &str) -> bool {
        let below = |folder: &String| {
            path.strip_prefix(folder.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
        };
        !path.split('/').any(|part| part == "..") && self.own_folders.iter().any(below)
    }
}

/// Returns the stricter of two verdicts, the first where they are alike.
fn stricter(one: PolicyVerdict, other: PolicyVerdict) -> PolicyVerdict {
    if other.decision > one.decision {
        other
    } else {
        one
    }
}

fn is_edit(tool: &str) -> bool {
    let tool = tool.to_ascii_lowercase();
    tool.contains("edit") || tool.contains("patch") || tool == "replace" || tool == "strreplace"
}
