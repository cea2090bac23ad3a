//! Where the log of a run lies. It is known before there is a first line, so a run can be read while it works, and whatever ends it.

use super::{RunId, Session, SessionRequest};
use crate::domain::state_folder::tos_path;

/// The folder that holds what agents and tests print, from the root.
const RUN_LOGS: &str = tos_path!("task-logs");

/// Returns where a run puts what its programs print, from the root; the service is named because other folders may share the numbers.
pub fn run_log_folder(instance: &str, run: RunId) -> String {
    format!("{RUN_LOGS}/{instance}-{run}")
}

/// Returns whether a place is one below the folder of such logs: it may come from an imported board or from another machine.
pub fn is_run_log_folder(place: &str) -> bool {
    let below = place.strip_prefix(RUN_LOGS);
    let below = below.and_then(|below| below.strip_prefix('/'));
    below.is_some_and(|below| {
        below
            .split('/')
            .all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0'))
    })
}

impl Session {
    /// Returns the name of a session that goes on with another service.
    pub fn name_when_resumed(&self, instance: &str) -> String {
        format!("{instance}-{}", self.id)
    }

    /// Returns where the programs of a run of a task put what they print, from the root: each try has its own place.
    pub(super) fn log_folder(&self, place: usize, run: RunId) -> String {
        let Some(item) = self.spec.items.get(place) else {
            return String::new();
        };
        let name = if self.logs.is_empty() {
            // What carries it out for the first time has the name that was handed over.
            let request = serde_json::from_str::<SessionRequest>(&self.spec.request);
            request.map_or_else(|_| self.spec.run.clone(), |request| request.session)
        } else {
            self.logs.clone()
        };
        // A name of a task has no dot, so no other task is meant.
        format!("{RUN_LOGS}/{name}/{}.{run}", item.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_lies_below_the_folder_of_logs_and_nowhere_else() {
        assert!(is_run_log_folder(&run_log_folder("i-1", RunId(7))));
        assert!(is_run_log_folder(".tos/task-logs/r1/T-1"));
        for wrong in [
            "",
            ".tos",
            ".tos/task-logs",
            ".tos/task-logs/",
            ".tos/task-logs/..",
            ".tos/task-logs/../service-token",
            ".tos/task-logs/a/../../x",
            ".tos/task-logs//a",
            ".tos/task-logs/a\0b",
            ".tos/task-logsx/a",
            "/etc",
            "src",
            "../.tos/task-logs/a",
        ] {
            assert!(!is_run_log_folder(wrong), "{wrong}");
        }
    }
}
