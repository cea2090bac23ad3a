//! Issues become tasks, once each; what happens to an issue afterwards happens to its task.

use serde::Deserialize;

use crate::domain::{
    board::{AgentRole, Input, Task, TaskSpec, TaskStatus},
    text::{first_bytes, one_line},
};

/// How long the title of a task is at most, in bytes.
const TITLE: usize = 200;
/// How much of the text of an issue an agent is given, in bytes.
const TEXT: usize = 48 * 1024;
/// Who changes tasks for issues, in the events.
const BY: &str = "github";
/// Why a task was given up whose issue was closed.
pub const ISSUE_CLOSED_REASON: &str = "its issue was closed";

/// A label.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Label {
    /// Its name.
    pub name: String,
}

/// An issue, as far as it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Issue {
    /// Its number on the whole server, which never changes.
    pub id: u64,
    /// Its number in the repository.
    pub number: u64,
    /// Its title.
    #[serde(default)]
    pub title: String,
    /// Its text.
    #[serde(default)]
    pub body: Option<String>,
    /// `open` or `closed`.
    #[serde(default)]
    pub state: String,
    /// Its page.
    #[serde(default)]
    pub html_url: String,
    /// When anything about it changed, in RFC 3339.
    #[serde(default)]
    pub updated_at: String,
    /// Its labels.
    #[serde(default)]
    pub labels: Vec<Label>,
    /// It is a pull request: lists of issues hold those, too.
    #[serde(default)]
    pub pull_request: Option<serde_json::Value>,
}

/// Returns the key by which the task of an issue is found.
pub fn issue_task_key(issue: u64) -> String {
    format!("github-issue-{issue}")
}

/// Returns what the board is told of an issue, given its task; `None` = nothing.
pub fn issue_input(issue: &Issue, task: Option<&Task>) -> Option<Input> {
    if issue.pull_request.is_some() {
        return None;
    }
    let is_open = issue.state == "open";
    let Some(task) = task else {
        let spec = Box::new(spec_of(issue));
        return is_open.then_some(Input::CreateTask { spec });
    };
    match (is_open, task.status) {
        (false, TaskStatus::Done | TaskStatus::Cancelled) | (true, TaskStatus::Done) => None,
        (false, _) => Some(Input::CancelTask {
            task: task.id,
            reason: ISSUE_CLOSED_REASON.to_owned(),
            by: BY.to_owned(),
        }),
        // What a person gave up here stays so.
        (true, TaskStatus::Cancelled) => {
            task.detail
                .starts_with(ISSUE_CLOSED_REASON)
                .then(|| Input::RequeueTask {
                    task: task.id,
                    note: String::new(),
                    by: BY.to_owned(),
                })
        }
        (true, _) => {
            let asked = spec_of(issue);
            let is_same = task.spec.title == asked.title && task.spec.goal == asked.goal;
            (!is_same).then(|| Input::EditTask {
                task: task.id,
                spec: Box::new(TaskSpec {
                    title: asked.title,
                    goal: asked.goal,
                    ..task.spec.clone()
                }),
            })
        }
    }
}

fn spec_of(issue: &Issue) -> TaskSpec {
    let has = |name: &str| {
        let mut names = issue.labels.iter();
        names.any(|label| label.name.eq_ignore_ascii_case(name))
    };
    let words: Vec<&str> = issue.title.split_whitespace().collect();
    let title = first_bytes(one_line(&words.join(" ")).as_ref(), TITLE).to_owned();
    let title = if title.is_empty() {
        format!("issue #{}", issue.number)
    } else {
        title
    };
    let body = issue.body.as_deref().unwrap_or_default().replace('\r', "");
    let goal = format!("{title}\n\n{}", first_bytes(body.trim(), TEXT));
    TaskSpec {
        goal: goal.trim_end().to_owned(),
        title,
        class: if has("bug") { "fix" } else { "" }.to_owned(),
        role: if has("documentation") {
            AgentRole::Docser
        } else {
            AgentRole::Worker
        },
        link: issue.html_url.clone(),
        key: issue_task_key(issue.id),
        source: BY.to_owned(),
        ..TaskSpec::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::board::Board;

    fn issue(state: &str) -> Issue {
        let text = format!(
            r#"{{"id":900,"number":7,"title":"broken\ngreeting","body":"It says\r\nhelo","state":"{state}",
                "html_url":"https://github.com/o/n/issues/7","updated_at":"2026-01-01T00:00:00Z",
                "labels":[{{"name":"tos"}},{{"name":"Bug"}}],"user":{{"login":"somebody"}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    /// Tells a board what an issue leads to, and returns whether it led to anything.
    fn tell(board: &mut Board, issue: &Issue, now: u64) -> bool {
        let task = board.task_by_key(&issue_task_key(issue.id));
        let Some(input) = issue_input(issue, task) else {
            return false;
        };
        let decision = board.handle(&input, now).unwrap();
        for event in &decision.events {
            board.apply(event);
        }
        true
    }

    #[test]
    fn an_issue_is_followed_through_its_life_and_makes_one_task() {
        let mut board = Board::default();
        assert!(!tell(&mut board, &issue("closed"), 1), "old news");
        assert!(tell(&mut board, &issue("open"), 2));
        assert!(!tell(&mut board, &issue("open"), 3), "the same once more");
        let task = board.tasks().next().unwrap().clone();
        assert_eq!(
            (task.spec.title.as_str(), task.spec.class.as_str()),
            ("broken greeting", "fix")
        );
        assert_eq!(task.spec.goal, "broken greeting\n\nIt says\nhelo");
        let edited = Issue {
            body: Some("It says nothing".to_owned()),
            ..issue("open")
        };
        assert!(tell(&mut board, &edited, 4));
        assert!(board.task(task.id).unwrap().spec.goal.ends_with("nothing"));
        assert!(tell(
            &mut board,
            &Issue {
                state: "closed".to_owned(),
                ..edited.clone()
            },
            5
        ));
        assert_eq!(board.task(task.id).unwrap().status, TaskStatus::Cancelled);
        assert!(tell(&mut board, &edited, 6), "opened again");
        assert_ne!(board.task(task.id).unwrap().status, TaskStatus::Cancelled);
        assert_eq!(board.tasks().count(), 1);
    }

    #[test]
    fn what_a_person_gave_up_stays_so_and_pull_requests_are_no_tasks() {
        let mut board = Board::default();
        tell(&mut board, &issue("open"), 1);
        let task = board.tasks().next().unwrap().id;
        let cancel = Input::CancelTask {
            task,
            reason: "no".to_owned(),
            by: "me".to_owned(),
        };
        for event in &board.handle(&cancel, 2).unwrap().events {
            board.apply(event);
        }
        assert!(!tell(&mut board, &issue("open"), 3));
        let pull = Issue {
            id: 901,
            pull_request: Some(serde_json::json!({})),
            ..issue("open")
        };
        assert!(!tell(&mut board, &pull, 4));
    }

    #[test]
    fn texts_of_strangers_fit_on_the_board() {
        let long = Issue {
            title: "ä".repeat(500),
            body: Some("日".repeat(100_000)),
            ..issue("open")
        };
        let mut board = Board::default();
        assert!(tell(&mut board, &long, 1));
        let empty = Issue {
            id: 2,
            title: " ".to_owned(),
            body: None,
            ..issue("open")
        };
        assert!(tell(&mut board, &empty, 2));
        assert_eq!(board.tasks().last().unwrap().spec.title, "issue #7");
    }
}
