//! The planner that needs no model: a requirement written as a checklist becomes one task an item.
//!
//! Each item depends on the one before it where it is numbered; items of a plain list stand on their own.

use crate::domain::board::{Dependency, OnFail, TaskId, TaskSpec};

/// Returns the tasks of a requirement, or says what is missing. Dependencies are places in the list, counted from 1.
pub(super) fn plan(requirement: &str) -> Result<Vec<TaskSpec>, String> {
    let mut tasks: Vec<TaskSpec> = Vec::new();
    for line in requirement.lines() {
        let Some((text, numbered)) = item(line) else {
            continue;
        };
        let place = tasks.len() as u64;
        let dependencies = (numbered && place > 0).then_some(Dependency {
            task: TaskId(place),
            on_fail: OnFail::Block,
        });
        tasks.push(TaskSpec {
            title: text.chars().take(200).collect(),
            goal: format!(
                "{text}\n\nIt is part of this requirement:\n{}",
                requirement.trim()
            ),
            dependencies: dependencies.into_iter().collect(),
            source: "planner".to_owned(),
            ..TaskSpec::default()
        });
    }
    if tasks.is_empty() {
        return Err(
            "the requirement has no list; write one line `- [ ] what to do` for each task"
                .to_owned(),
        );
    }
    Ok(tasks)
}

/// Returns the text of an item that is open, and whether it is numbered.
fn item(line: &str) -> Option<(&str, bool)> {
    let line = line.trim_start();
    let bullet = line.strip_prefix("- ").or_else(|| line.strip_prefix("* "));
    let (rest, numbered) = if let Some(rest) = bullet {
        (rest, false)
    } else {
        let (number, rest) = line.split_once(". ")?;
        let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
        is_number.then_some((rest, true))?
    };
    let rest = rest.trim();
    if rest.starts_with("[x]") || rest.starts_with("[X]") {
        return None;
    }
    let text = rest.strip_prefix("[ ]").unwrap_or(rest).trim();
    (!text.is_empty()).then_some((text, numbered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_items_become_tasks_and_numbered_ones_wait_for_each_other() {
        let tasks = plan("# Goal\n- [x] old\n- [ ] one\n* two\n1. three\n2. four\nwords").unwrap();
        let titles: Vec<&str> = tasks.iter().map(|task| task.title.as_str()).collect();
        assert_eq!(titles, ["one", "two", "three", "four"]);
        assert!(tasks[1].dependencies.is_empty());
        assert_eq!(tasks[3].dependencies[0].task, TaskId(3));
        assert!(plan("only words").is_err());
    }
}
