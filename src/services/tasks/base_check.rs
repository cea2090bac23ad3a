//! The second half of the judgement: does the change fit its class, and does it pass what judged before it?
//!
//! Tests, settings of test programs and build files may have been changed by whoever is judged. Where they were, the check
//! runs once more in a work tree of its own, which holds the change with these files from the base commit and nothing that
//! git ignores.

use std::time::Duration;

use serde_json::json;

use super::{Error, SessionState, outcome::TaskAttemptOutcome};
use crate::{
    domain::{
        process::{CommandResult, ExitStatus},
        tasks::{AgentTask, Feedback, class_mismatch},
        text::one_line,
        validate::{ChangeCategory, CollectedChange, classify_change, paths_pinned_to_base},
    },
    ports::worktrees::Worktree,
};

/// What pytest and unittest end with where they found no test.
const NO_TESTS: i32 = 5;

impl SessionState<'_> {
    /// Judges a change whose own tests passed.
    pub(super) async fn judge_against_base(
        &mut self,
        task: &AgentTask,
        place: &Worktree,
        tree: String,
        seen: CollectedChange,
        call: u32,
    ) -> Result<TaskAttemptOutcome, Error> {
        if let Some(reason) = class_mismatch(task, &seen.changes) {
            let told = Feedback {
                reason,
                ..Feedback::default()
            };
            return Ok(TaskAttemptOutcome::Bad { told, again: true });
        }
        let paths = self.judged_as_before(task, &seen);
        if paths.is_empty() {
            return Ok(TaskAttemptOutcome::Good { tree, seen });
        }
        let shown: Vec<String> = paths
            .iter()
            .map(|path| one_line(path).into_owned())
            .collect();
        self.watcher.line(&format!(
            "  testing again with {} as before the change",
            shown.join(", ")
        ));
        self.emit_event(
            "task_base_check",
            json!({ "task": task.id, "files": paths }),
        );
        let commit = self
            .tools
            .worktrees
            .commit_with_base(place, &tree, &paths)?;
        let name = format!("{}-before", task.id);
        let other = self
            .tools
            .worktrees
            .make(&self.terms.session, &name, &commit)?;
        let ended = self.passes_there(task, &other, call).await;
        self.tools.worktrees.remove(&other)?;
        Ok(ended?.unwrap_or(TaskAttemptOutcome::Good { tree, seen }))
    }

    /// Returns the files that have to judge the change as they were; none where there was nothing that judged, or where
    /// nothing but them changed.
    fn judged_as_before(&self, task: &AgentTask, seen: &CollectedChange) -> Vec<String> {
        let judged = |what| {
            !matches!(
                what,
                ChangeCategory::Nothing
                    | ChangeCategory::Test
                    | ChangeCategory::Check
                    | ChangeCategory::Prose
            )
        };
        if !seen.project.has_tests || !seen.changes.iter().map(classify_change).any(judged) {
            return Vec::new();
        }
        let mut paths =
            paths_pinned_to_base(&self.list.validation_rules(task, false), &seen.changes);
        // The other work tree does not hold them, which is all that has to be done about them.
        paths.extend(seen.ignored.clone());
        paths
    }

    /// Runs the check; `None` = it passes.
    async fn passes_there(
        &mut self,
        task: &AgentTask,
        place: &Worktree,
        call: u32,
    ) -> Result<Option<TaskAttemptOutcome>, Error> {
        let agent = self.list.agent_name_of_task(task).clone();
        let (runner, home) = self.prepare_tests(place, &agent)?;
        // Nothing is built there yet.
        let seconds = self.list.full_test_seconds.max(self.list.test_seconds);
        let argv = task.test_command.clone();
        let order = self.test_request(
            &task.id,
            place,
            argv,
            Duration::from_secs(seconds),
            &home,
            call * 10 + 2,
        );
        let stayed = self.supervise(&*runner, &order, place, None).await;
        if let Some(broken) = self.check_protected()? {
            return Ok(Some(broken));
        }
        if let Some(heavy) = self.disk_quota_outcome(task, "its tests")? {
            return Ok(Some(heavy));
        }
        Ok(match stayed.ended {
            _ if stayed.late => Some(TaskAttemptOutcome::OutOfTime),
            Err(why) => {
                let reason = format!("the tests could not be started: {why}");
                let told = Feedback {
                    reason,
                    ..Feedback::default()
                };
                Some(TaskAttemptOutcome::Bad { told, again: false })
            }
            Ok(end) if passes(task, &end) => None,
            Ok(end) if end.exit == ExitStatus::Cancelled => Some(TaskAttemptOutcome::Stopped),
            Ok(end) => Some(self.failure_outcome(
                "the tests as they were before the change",
                &end,
                &end.stdout.text(),
            )),
        })
    }
}

fn passes(task: &AgentTask, end: &CommandResult) -> bool {
    let python = task.test_command.iter().any(|word| word.contains("py"));
    match end.exit {
        ExitStatus::Code { code: 0 } => true,
        // Only the tests that the change brings were asked for.
        ExitStatus::Code { code } => python && code == NO_TESTS,
        _ => false,
    }
}
