//! Stable points: when the whole is tested, and what is given up when it does not hold.
//!
//! Every so many accepted tasks, after every failed one and at the end of the list the whole is tested. If it holds,
//! that is a stable point; if not, the run returns to the last one. So a failure never costs work that holds.

use super::{RunProgress, TaskVerdict};

/// The last stable point and what came after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StablePointTracker {
    every: u32,
    number: u32,
    commit: String,
    since: Vec<String>,
}

impl StablePointTracker {
    /// Begins at a commit that nobody doubts; `every` = after how many tasks, 0 = never.
    pub fn new(every: u32, base: &str, progress: &RunProgress) -> Self {
        let (number, commit) = progress
            .stable
            .clone()
            .unwrap_or_else(|| (0, base.to_owned()));
        Self {
            every,
            number,
            commit,
            since: progress.since_stable.clone(),
        }
    }

    /// Takes note of an accepted task.
    pub fn record_accepted(&mut self, task: &str) {
        self.since.push(task.to_owned());
    }

    /// Returns whether the whole has to be tested now that a task ended so.
    pub fn is_due_after(&self, verdict: TaskVerdict) -> bool {
        let enough = u32::try_from(self.since.len()).is_ok_and(|count| count >= self.every);
        self.has_pending() && (enough || verdict == TaskVerdict::Failed)
    }

    /// Returns whether something was accepted that no stable point covers.
    pub fn has_pending(&self) -> bool {
        self.every > 0 && !self.since.is_empty()
    }

    /// The whole holds: a new stable point. Returns its number.
    pub fn advance(&mut self, commit: &str) -> u32 {
        self.number += 1;
        commit.clone_into(&mut self.commit);
        self.since.clear();
        self.number
    }

    /// The whole does not hold. Returns the number and commit to return to, and the tasks that are given up.
    pub fn give_up(&mut self) -> (u32, String, Vec<String>) {
        let undone = std::mem::take(&mut self.since);
        (self.number, self.commit.clone(), undone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_is_tested_after_so_many_tasks_and_after_a_failure() {
        let mut stable = StablePointTracker::new(2, "base", &RunProgress::default());
        assert!(
            !stable.is_due_after(TaskVerdict::Failed),
            "nothing was accepted"
        );
        stable.record_accepted("a");
        assert!(!stable.is_due_after(TaskVerdict::Accepted));
        assert!(stable.is_due_after(TaskVerdict::Failed));
        stable.record_accepted("b");
        assert!(stable.is_due_after(TaskVerdict::Accepted));
        assert_eq!(stable.advance("c1"), 1);
        stable.record_accepted("c");
        assert_eq!(stable.give_up(), (1, "c1".to_owned(), vec!["c".to_owned()]));
        assert!(!stable.has_pending());
    }

    #[test]
    fn a_phase_without_stable_points_never_tests_the_whole() {
        let mut stable = StablePointTracker::new(0, "base", &RunProgress::default());
        stable.record_accepted("a");
        assert!(!stable.is_due_after(TaskVerdict::Failed));
    }
}
