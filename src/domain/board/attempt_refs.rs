//! Whose work a reference of git holds: what a worker of a board tried, or something else.

use super::RunId;

/// Where the attempts of workers and of sessions are kept.
pub const ATTEMPT_REFERENCES: [&str; 2] = ["refs/tos/attempts", "refs/tos/runs"];

/// Returns the run of a board whose work a reference holds; `None` = it belongs to a night, a list, or to nothing of ours.
pub fn run_of_reference(name: &str) -> Option<RunId> {
    let attempt = name.strip_prefix("refs/tos/attempts/");
    if let Some(rest) = attempt.and_then(|rest| rest.strip_prefix("board/")) {
        let (task, run) = rest.split_once('/')?;
        let number = run.strip_prefix("run-")?;
        return task
            .starts_with("task-")
            .then_some(RunId(number.parse().ok()?));
    }
    // A session of one run: INSTANCE-run-7.
    let rest = attempt.or_else(|| name.strip_prefix("refs/tos/runs/"))?;
    let session = rest.split('/').next()?;
    let (_, number) = session.rsplit_once("-run-")?;
    number.parse().ok().map(RunId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_workers_left_belongs_to_a_run() {
        for (name, run) in [
            ("refs/tos/attempts/board/task-3/run-12", Some(12)),
            ("refs/tos/attempts/s1a-run-7/task-3-1", Some(7)),
            ("refs/tos/runs/s1a-run-7", Some(7)),
            ("refs/tos/runs/20261130-night", None),
            ("refs/tos/attempts/20261130-night/task-1", None),
            ("refs/tos/attempts/board/task-3/run-x", None),
            ("refs/heads/a-run-7", None),
        ] {
            assert_eq!(run_of_reference(name), run.map(RunId), "{name}");
        }
    }
}
