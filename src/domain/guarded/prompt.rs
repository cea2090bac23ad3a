//! What the agent is told.

use super::Task;

/// How many characters of test output a retry is told.
const TAIL: usize = 500;

/// Why the first try was not accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The reason in one line.
    pub reason: String,
    /// What the validators found.
    pub findings: Vec<String>,
    /// What the tests printed.
    pub output: String,
}

/// Writes the prompt of a task; `before` is what earlier tasks of the list changed.
pub fn prompt(task: &Task, before: Option<&str>, retry: Option<&Told>) -> String {
    let mut parts = vec![format!("# Goal\n{}", task.goal)];
    if !task.context_files.is_empty() {
        parts.push(format!("# Read first\n{}", list(&task.context_files)));
    }
    if let Some(before) = before {
        parts.push(format!("# What the task before this one changed\n{before}"));
    }
    parts.push(format!("# Task\n{}", task.prompt.trim()));
    parts.push(format!(
        "# Done when\nThis command succeeds: {}",
        task.test_command.join(" ")
    ));
    parts.push(
        "# Not allowed\n- keys, tokens and passwords in any file\n- deleting, skipping or weakening tests\n\
         - writing outside this directory\n- starting other programs from the code you write\n\
         - new dependencies, CI files, git hooks, symbolic links\n- committing"
            .to_owned(),
    );
    if let Some(told) = retry {
        parts.push(second_try(told));
    }
    parts.join("\n\n")
}

fn second_try(told: &Told) -> String {
    let mut text = format!(
        "# This is the second and last try\nThe first was undone: {}",
        told.reason
    );
    if !told.findings.is_empty() {
        text = format!("{text}\n{}", list(&told.findings));
    }
    if !told.output.is_empty() {
        text = format!("{text}\nThe tests ended with:\n{}", tail(&told.output));
    }
    format!("{text}\nDo not repeat this.")
}

fn list(lines: &[String]) -> String {
    lines
        .iter()
        .map(|line| format!("- {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn tail(text: &str) -> String {
    let skip = text.chars().count().saturating_sub(TAIL);
    text.chars().skip(skip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_try_is_told_why_and_the_last_500_characters() {
        let task: Task = toml::from_str(
            "id = \"a\"\ngoal = \"G\"\nprompt = \"P\"\nclass = \"fix\"\ntest_command = [\"make\", \"test\"]\n",
        )
        .unwrap();
        let told = Told {
            reason: "tests failed".into(),
            findings: vec!["app.py:1: uses `eval`".into()],
            output: format!("x{}", "é".repeat(500)),
        };
        let text = prompt(&task, None, Some(&told));
        assert!(text.contains(
            "The first was undone: tests failed\n- app.py:1: uses `eval`\nThe tests ended with:\né"
        ));
        assert_eq!(text.matches('é').count(), 500);
        assert!(!prompt(&task, None, None).contains("second"));
    }
}
