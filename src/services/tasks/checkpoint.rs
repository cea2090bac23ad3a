//! Stable points: the whole is tested in a work tree of its own, and kept or given up.

use std::time::Duration;

use serde_json::json;

use super::{Error, SessionState, TaskSource};
use crate::{
    domain::{
        ledger::{LedgerEntry, TaskOutcome},
        process::ExitStatus,
        tasks::{TaskList, revert_success},
        text::one_line,
    },
    ports::worktrees::Worktree,
};

/// What a test of the whole showed.
enum WholeTestResult {
    Holds,
    Fails(String),
    /// Somebody stopped it before it showed anything.
    Unknown,
}

/// Returns the commands that test the whole.
fn commands(list: &TaskList, accepted: &[String]) -> Vec<Vec<String>> {
    if !list.full_test_command.is_empty() {
        return vec![list.full_test_command.clone()];
    }
    let mut commands: Vec<Vec<String>> = Vec::new();
    for task in list.tasks.iter().filter(|task| accepted.contains(&task.id)) {
        if !commands.contains(&task.test_command) {
            commands.push(task.test_command.clone());
        }
    }
    commands
}

impl SessionState<'_> {
    /// Tests everything accepted so far together. If it holds, that is a stable point; if not, the run returns to the
    /// last one. Returns whether it came to an answer.
    pub(super) async fn test_the_whole(
        &mut self,
        queue: &mut dyn TaskSource,
    ) -> Result<bool, Error> {
        let accepted: Vec<String> = self
            .ends
            .iter()
            .flatten()
            .filter(|end| end.outcome == TaskOutcome::Success)
            .map(|end| end.task.clone())
            .collect();
        let name = format!("whole-{}", accepted.len());
        self.watcher.line("  testing the whole");
        self.emit_event("checkpoint_start", json!({ "accepted": accepted.len() }));
        let place = self
            .tools
            .worktrees
            .make(&self.terms.session, &name, &self.tip)?;
        let found = self
            .whole(&place, &name, &commands(self.list, &accepted))
            .await;
        self.tools.worktrees.remove(&place)?;
        match found? {
            WholeTestResult::Unknown => return Ok(false),
            WholeTestResult::Holds => self.stable_point()?,
            WholeTestResult::Fails(why) => self.return_to_stable(&why, queue)?,
        }
        Ok(true)
    }

    async fn whole(
        &mut self,
        place: &Worktree,
        name: &str,
        commands: &[Vec<String>],
    ) -> Result<WholeTestResult, Error> {
        let (runner, home) = self.prepare_tests(place, &self.list.agent)?;
        for (index, argv) in (1..).zip(commands) {
            let limit = Duration::from_secs(self.list.full_test_seconds);
            let order = self.test_request(name, place, argv.clone(), limit, &home, index);
            let stayed = self.supervise(&*runner, &order, place, None).await;
            if let Some(megabytes) = self.heavy.take() {
                return Ok(WholeTestResult::Fails(format!("it wrote {megabytes} MB")));
            }
            let fails = match stayed.ended {
                Ok(end) if end.exit == ExitStatus::Cancelled || stayed.late => {
                    return Ok(WholeTestResult::Unknown);
                }
                Ok(end) if end.exit == (ExitStatus::Code { code: 0 }) => continue,
                Ok(end) => super::failure::describe_exit(&end.exit),
                Err(why) => why,
            };
            let words = one_line(&argv.join(" ")).into_owned();
            return Ok(WholeTestResult::Fails(format!("`{words}` {fails}")));
        }
        Ok(WholeTestResult::Holds)
    }

    fn stable_point(&mut self) -> Result<(), Error> {
        let commit = self.tip.clone();
        let number = self.stable.advance(&commit);
        self.record(LedgerEntry::Checkpoint {
            number,
            commit: commit.clone(),
            tests_ok: true,
        })?;
        self.watcher
            .line(&format!("  the whole holds: checkpoint {number}"));
        self.emit_event("checkpoint", json!({ "number": number, "commit": commit }));
        Ok(())
    }

    fn return_to_stable(&mut self, why: &str, queue: &mut dyn TaskSource) -> Result<(), Error> {
        let (number, commit, undone) = self.stable.give_up();
        let reason = format!("the whole did not hold: {why}");
        let kept = format!(
            "refs/tos/attempts/{}/whole-after-{number}",
            self.terms.session
        );
        // Nothing that was accepted is ever unreachable.
        self.tools.worktrees.update_ref(&kept, &self.tip)?;
        self.tools
            .worktrees
            .update_ref(&self.reference(), &commit)?;
        self.record(LedgerEntry::Restore {
            number,
            commit: commit.clone(),
            undone: undone.clone(),
            reason: reason.clone(),
        })?;
        self.tip = commit;
        self.before = None;
        let mut places = Vec::new();
        for (place, end) in self.ends.iter_mut().enumerate() {
            if let Some(end) = end
                && undone.contains(&end.task)
            {
                revert_success(end, &reason);
                places.push(place);
            }
        }
        queue.revert_accepted(&places, &reason);
        self.watcher.line(&format!(
            "  {reason}; back to checkpoint {number}, {} undone and kept as {kept}",
            undone.join(", ")
        ));
        self.emit_event(
            "checkpoint_restore",
            json!({ "number": number, "undone": undone, "reason": reason }),
        );
        Ok(())
    }
}
