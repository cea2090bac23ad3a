//! What the agent is told.

use super::AgentTask;
use crate::domain::text::{escape_control_chars, head};

/// How many characters of test output a retry is told.
const TAIL: usize = 500;
/// How many characters of a program's last words are told.
const LAST: usize = 200;

/// Why the first try was not accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Feedback {
    /// The reason in one line.
    pub reason: String,
    /// The last thing the program said that failed.
    pub last: Option<String>,
    /// What the validators found.
    pub findings: Vec<String>,
    /// What the tests printed.
    pub output: String,
}

impl Feedback {
    /// Returns the reason and the one thing that says most about it.
    pub fn summary_line(&self) -> String {
        match self.findings.first().or(self.last.as_ref()) {
            Some(most) => format!("{}: {most}", self.reason),
            None => self.reason.clone(),
        }
    }
}

/// Returns the last line that says something, fit for a person's terminal; `None` = nothing was said.
pub fn last_line(text: &str) -> Option<String> {
    let line = text
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())?;
    Some(escape_control_chars(&head(line, LAST, "...")).into_owned())
}

/// Writes the prompt of a task; `before` is what earlier tasks of the list changed.
pub fn prompt(task: &AgentTask, before: Option<&str>, retry: Option<&Feedback>) -> String {
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

fn second_try(told: &Feedback) -> String {
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
    fn the_last_thing_that_was_said_is_one_short_line_without_commands() {
        assert_eq!(last_line(" \n\n"), None);
        assert_eq!(
            last_line("first\r\n cannot \u{1b}[31mopen\tit \r\n\n").unwrap(),
            "cannot \\u{1b}[31mopen\tit"
        );
        let long = last_line(&"\u{e9}".repeat(300)).unwrap();
        assert_eq!(long, format!("{}...", "\u{e9}".repeat(200)));
        let mut told = Feedback {
            reason: "the agent ended with 2".into(),
            last: Some("no".into()),
            ..Feedback::default()
        };
        assert_eq!(told.summary_line(), "the agent ended with 2: no");
        told.findings = vec!["found".into()];
        assert_eq!(told.summary_line(), "the agent ended with 2: found");
    }

    #[test]
    fn a_second_try_is_told_why_and_the_last_500_characters() {
        let task: AgentTask = toml::from_str(
            "id = \"a\"\ngoal = \"G\"\nprompt = \"P\"\nclass = \"fix\"\ntest_command = [\"make\", \"test\"]\n",
        )
        .unwrap();
        let told = Feedback {
            last: Some("not in it".into()),
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
