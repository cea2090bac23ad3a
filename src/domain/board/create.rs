//! Making and changing tasks: what is wrong with a task is said before it is on the board.

use std::collections::BTreeSet;

use super::{
    AgentRole, Board, BoardResponse, Dependency, Draft, Effect, ProcessName, Refusal, RefusalCode,
    TaskEvent, TaskId, TaskSpec, TaskStatus,
};

/// How long a title may be.
const TITLE: usize = 300;
/// How long a goal may be.
const GOAL: usize = 64 * 1024;
/// How many entries a list may have.
const ENTRIES: usize = 200;
/// The highest and, negated, the lowest priority.
const PRIORITY: i32 = 1000;
/// The kinds of change.
pub(super) const CLASSES: [&str; 6] = ["", "fix", "feature", "test", "deps", "refactor"];

impl Board {
    pub(super) fn create_task(&self, draft: &mut Draft, spec: &TaskSpec) -> Result<(), Refusal> {
        if !spec.key.is_empty()
            && let Some(known) = self.task_by_key(&spec.key)
        {
            draft.answer(BoardResponse::Task {
                task: known.id,
                created: false,
            });
            return Ok(());
        }
        let id = TaskId(self.globals.last_task.0 + 1);
        self.check_spec(id, spec)?;
        draft.event(TaskEvent::Created {
            task: id,
            spec: Box::new(spec.clone()),
        });
        if !spec.link.is_empty() {
            draft.effect(Effect::Link { task: id });
        }
        draft.answer(BoardResponse::Task {
            task: id,
            created: true,
        });
        Ok(())
    }

    pub(super) fn edit_task(
        &self,
        draft: &mut Draft,
        id: TaskId,
        spec: &TaskSpec,
    ) -> Result<(), Refusal> {
        let task = self.require_task(id)?;
        let is_examined = self.live_judgements().any(|judgement| judgement.task == id);
        if task.status == TaskStatus::Running || is_examined || task.merge.is_some() {
            return Err(Refusal::new(
                RefusalCode::Conflict,
                format!("{id} is {} and cannot be changed now", task.status_label()),
                format!("wait, or `tos board cancel {}` and make another", id.0),
            ));
        }
        if let Some(session) = self.session_of(task) {
            return Err(Refusal::new(
                RefusalCode::Conflict,
                format!("{id} belongs to the list of {}", session.id),
                "change the list and start it anew",
            ));
        }
        if task.status.is_final() {
            return Err(Refusal::new(
                RefusalCode::Conflict,
                format!(
                    "{id} is {} and cannot be changed any more",
                    task.status.as_str()
                ),
                "make another task",
            ));
        }
        if !spec.key.is_empty()
            && self
                .task_by_key(&spec.key)
                .is_some_and(|other| other.id != id)
        {
            return Err(Refusal::new(
                RefusalCode::Conflict,
                "another task has this key",
                "use another key",
            ));
        }
        self.check_spec(id, spec)?;
        draft.event(TaskEvent::Edited {
            task: id,
            spec: Box::new(spec.clone()),
        });
        draft.answer(BoardResponse::Task {
            task: id,
            created: false,
        });
        Ok(())
    }

    /// Returns a task, or says that there is none.
    pub(super) fn require_task(&self, id: TaskId) -> Result<&super::Task, Refusal> {
        self.task(id).ok_or_else(|| {
            Refusal::new(
                RefusalCode::NotFound,
                format!("there is no {id}"),
                "`tos board list` shows the tasks",
            )
        })
    }

    pub(super) fn check_spec(&self, id: TaskId, spec: &TaskSpec) -> Result<(), Refusal> {
        check_texts(spec)?;
        Self::check_requires(&spec.requires)?;
        if spec.role == AgentRole::Judge {
            return Err(invalid(
                "`role` is judge, and judges carry out no tasks; use worker, tester or docser",
            ));
        }
        if spec.priority.abs() > PRIORITY {
            return Err(invalid(format!(
                "`priority` is {}; it goes from -{PRIORITY} to {PRIORITY}",
                spec.priority
            )));
        }
        if spec.timebox_minutes > 7 * 24 * 60 {
            return Err(invalid("`timebox_minutes` is more than a week"));
        }
        for (place, dependency) in spec.dependencies.iter().enumerate() {
            self.check_dependency(id, place, dependency)?;
        }
        Ok(())
    }

    fn check_dependency(
        &self,
        id: TaskId,
        place: usize,
        dependency: &Dependency,
    ) -> Result<(), Refusal> {
        let needed = dependency.task;
        let wrong = |what: &str, remedy: String| {
            let reason = format!("`dependencies[{place}]` is {needed}{what}");
            Refusal::new(RefusalCode::Invalid, reason, remedy)
        };
        let leave_out = "name another task, or leave it out";
        if needed == id {
            return Err(wrong(", the task itself", leave_out.to_owned()));
        }
        let Some(task) = self.task(needed) else {
            return Err(wrong(
                ", which does not exist",
                "`tos board list` shows the tasks; make that one first, or leave it out".to_owned(),
            ));
        };
        if task.status == TaskStatus::Cancelled
            && dependency.on_fail == super::OnDependencyCancelled::Block
        {
            return Err(wrong(
                ", which is cancelled",
                format!("`tos board requeue {}` first, or leave it out", needed.0),
            ));
        }
        let of_session = task.spec.session.is_some() && task.merged.is_none();
        if of_session && (task.status == TaskStatus::Done || self.session_of(task).is_some()) {
            return Err(wrong(
                " of a session, whose work a person merges (`tos night merge`)",
                leave_out.to_owned(),
            ));
        }
        if self.leads_to(needed, id) {
            let what = format!(", and {id} and {needed} would wait for each other");
            return Err(wrong(&what, leave_out.to_owned()));
        }
        Ok(())
    }

    /// Returns whether a task depends on another, directly or not.
    fn leads_to(&self, from: TaskId, to: TaskId) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(id) = open.pop() {
            if id == to {
                return true;
            }
            if seen.insert(id)
                && let Some(task) = self.task(id)
            {
                open.extend(
                    task.spec
                        .dependencies
                        .iter()
                        .map(|dependency| dependency.task),
                );
            }
        }
        false
    }
}

fn check_texts(spec: &TaskSpec) -> Result<(), Refusal> {
    if spec.title.trim().is_empty() {
        return Err(invalid("`title` is empty"));
    }
    if spec.title.len() > TITLE || spec.title.contains('\n') {
        return Err(invalid(format!(
            "`title` must be one line of at most {TITLE} bytes"
        )));
    }
    if spec.goal.len() > GOAL {
        return Err(invalid(format!(
            "`goal` has {} bytes; at most {GOAL} are possible",
            spec.goal.len()
        )));
    }
    let texts = [
        &spec.key,
        &spec.link,
        &spec.agent,
        &spec.branch,
        &spec.source,
    ];
    if texts.iter().any(|text| text.len() > TITLE) {
        return Err(invalid(format!(
            "`key`, `link`, `agent`, `branch` and `source` have at most {TITLE} bytes"
        )));
    }
    if !CLASSES.contains(&spec.class.as_str()) {
        return Err(invalid(format!(
            "`class` is \"{}\"; it is one of fix, feature, test, deps, refactor",
            spec.class
        )));
    }
    check_lists(spec)
}

fn check_lists(spec: &TaskSpec) -> Result<(), Refusal> {
    let lists = [
        &spec.paths,
        &spec.context_files,
        &spec.test_command,
        &spec.may_change_checks,
        &spec.allowed_imports,
    ];
    if lists.iter().any(|list| list.len() > ENTRIES) || spec.dependencies.len() > ENTRIES {
        return Err(invalid(format!("a list has more than {ENTRIES} entries")));
    }
    if lists
        .iter()
        .any(|list| list.iter().any(|text| text.len() > 4096))
    {
        return Err(invalid("an entry of a list has more than 4096 bytes"));
    }
    let named = [
        ("paths", &spec.paths),
        ("contextFiles", &spec.context_files),
        ("mayChangeChecks", &spec.may_change_checks),
        ("allowedImports", &spec.allowed_imports),
    ];
    let is_blank = |text: &String| text.trim().is_empty();
    if let Some((name, _)) = named.iter().find(|(_, list)| list.iter().any(is_blank)) {
        return Err(invalid(format!(
            "an entry of `{name}` is empty; leave it out, or write what it is"
        )));
    }
    if spec.test_command.first().is_some_and(is_blank) {
        return Err(invalid("the first word of `testCommand` is empty"));
    }
    let outside =
        |path: &&String| path.starts_with('/') || path.split('/').any(|name| name == "..");
    if let Some(path) = spec.paths.iter().chain(&spec.context_files).find(outside) {
        return Err(invalid(format!(
            "\"{path}\" is not below the root; paths are written from the root on, without `..`"
        )));
    }
    Ok(())
}

pub(super) fn invalid(reason: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::Invalid, reason, "")
}

/// Returns the process of a name, or says that there is none.
pub(super) fn parse_process_name(text: &str) -> Result<ProcessName, Refusal> {
    text.parse()
        .map_err(|reason: String| Refusal::new(RefusalCode::NotFound, reason, "`tos proc list`"))
}
