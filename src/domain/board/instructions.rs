//! What an agent is asked to do: its task, its role, and why earlier attempts were not accepted.

use super::{AgentRole, Task};

/// Writes the prompt of an attempt.
pub fn attempt_prompt(task: &Task) -> String {
    let spec = &task.spec;
    let goal = if spec.goal.trim().is_empty() {
        &spec.title
    } else {
        &spec.goal
    };
    let mut parts = vec![goal.clone()];
    if let Some(words) = role_words(spec.role) {
        parts.push(words.to_owned());
    }
    if !spec.paths.is_empty() {
        parts.push(format!("Change nothing outside: {}", spec.paths.join(", ")));
    }
    let reasons = task.lessons.iter().flat_map(|lesson| {
        let from = &lesson.from;
        lesson
            .reasons
            .iter()
            .map(move |reason| format!("- {from}: {reason}"))
    });
    let reasons: Vec<String> = reasons.collect();
    if !reasons.is_empty() {
        parts.push(format!(
            "Earlier attempts were not accepted:\n{}",
            reasons.join("\n")
        ));
    }
    parts.join("\n\n")
}

/// Returns what a role adds to a task; the worker's is the task itself.
const fn role_words(role: AgentRole) -> Option<&'static str> {
    match role {
        AgentRole::Worker | AgentRole::Judge => None,
        AgentRole::Tester => Some(
            "You are the tester. Write and repair tests; change the code under test only where it has to be reachable for a test. \
             Cover what was asked for, its edges and its errors; each test has to be able to fail. Do not delete, skip or loosen a test to \
             make it pass: where the code is wrong, leave the failing test out and say in your answer what is wrong, with file and line.",
        ),
        AgentRole::Docser => Some(
            "You are the writer of the documents. Change documents only: files of text, and comments. Read the code and say what it does \
             now, not what it should do; take names, options and defaults from the code. Run nothing that changes files; commands \
             that only check (links, format, examples) are fine. Where code and documents disagree, describe the code and name the \
             difference in your answer.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Board, Input, RetryFeedback, TaskId, TaskSpec},
        *,
    };

    fn task(role: AgentRole) -> Task {
        let mut board = Board::default();
        let spec = Box::new(TaskSpec {
            title: "do it".into(),
            paths: vec!["src/**".into()],
            role,
            ..TaskSpec::default()
        });
        let made = board.handle(&Input::CreateTask { spec }, 1).unwrap();
        made.events.iter().for_each(|event| board.apply(event));
        board.task(TaskId(1)).unwrap().clone()
    }

    #[test]
    fn an_attempt_is_told_its_role_and_why_earlier_ones_were_refused() {
        let mut one = task(AgentRole::Worker);
        assert_eq!(
            attempt_prompt(&one),
            "do it\n\nChange nothing outside: src/**"
        );
        one.lessons = vec![RetryFeedback {
            run: None,
            from: "judge".into(),
            reasons: vec!["the tests fail".into(), "review: no test".into()],
        }];
        let text = attempt_prompt(&one);
        assert!(text.ends_with("not accepted:\n- judge: the tests fail\n- judge: review: no test"));
        assert!(attempt_prompt(&task(AgentRole::Tester)).contains("You are the tester"));
        assert!(attempt_prompt(&task(AgentRole::Docser)).contains("Change documents only"));
    }
}
