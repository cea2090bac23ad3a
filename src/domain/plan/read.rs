//! Turns the tree of a plan's file, and of the files it includes, into a [`Plan`] or the first fault.
//!
//! The order of the checks is part of the behaviour: the root, the goal, the artifacts' folder, every task from
//! top to bottom, then what concerns several tasks, and circles last.

use std::collections::BTreeMap;

use crate::domain::{
    plan::{
        expand,
        field::{PlanField, reject_unknown_fields},
        node::{PlanError, SourcePosition, YamlEntry, YamlNode, YamlValue},
        read_agent, read_extra, references,
        scope::VariableScope,
        task::{Plan, PlanTask, TaskAction, TaskIndex},
        written::{WrittenTask, program_words},
    },
    tasks,
};

pub use super::fields::{DEFAULT_FIELDS, INCLUDE_FIELDS, PLAN_FIELDS, TASK_FIELDS};

struct TaskDraft {
    task: PlanTask,
    mark: SourcePosition,
    depends_on: Vec<(Box<str>, SourcePosition)>,
    guarded: Option<Box<tasks::AgentTask>>,
}

/// What is known while the tasks are read.
struct TaskReader<'r> {
    root: &'r read_agent::AgentDefaults<'r>,
    drafts: Vec<TaskDraft>,
    groups: BTreeMap<String, Vec<TaskIndex>>,
    resources: Vec<(String, u32)>,
}

/// Reads the plan in `root`, with the files it includes in the order they were named, and `given` parameters.
pub fn read(
    mut root: YamlNode,
    included: Vec<YamlNode>,
    given: &BTreeMap<String, String>,
) -> Result<Plan, PlanError> {
    let entries = mapping(&root, "the plan")?;
    reject_unknown_fields(entries, PLAN_FIELDS, "the plan")?;
    let params = expand::params(&root, given)?;
    let scope = VariableScope::of_params(&params);
    let field = |name| {
        root.get(name).map(|node| PlanField {
            node,
            name,
            owner: "the plan",
            scope: &scope,
        })
    };
    let goal = field("goal").map_or(Ok(None), |field| field.optional_text())?;
    let artifacts_dir = field("artifacts_dir").map_or(Ok(None), |field| field.optional_text())?;
    let max_parallel = field("max_parallel")
        .map(|field| field.integer_at_least(1))
        .transpose()?;
    let mut policy = read_extra::policy(field("policy"), field("origin"))?;
    let agents = read_agent::AgentDefaults::read(&root, &scope)?;
    let mut reader = TaskReader {
        root: &agents,
        drafts: Vec::new(),
        groups: BTreeMap::new(),
        resources: field("resources").map_or(Ok(Vec::new()), |field| capacities(&field))?,
    };
    for file in included {
        let owner = "an included file";
        reject_unknown_fields(mapping(&file, owner)?, INCLUDE_FIELDS, owner)?;
        policy = read_extra::included_policy(&file, policy)?;
        reader.tasks(file, "tasks", &scope)?;
    }
    let on_failure =
        take(&mut root, "on_failure").filter(|node| !read_agent::is_nonnull_scalar(node));
    let defaults = root.get("defaults").cloned();
    let mark = root.mark;
    reader.tasks(root, "tasks", &scope)?;
    let main_tasks = reader.drafts.len();
    if main_tasks == 0 {
        return Err(PlanError::new(mark, "the plan has no tasks")
            .with_remedy("list at least one under `tasks`"));
    }
    if let Some(on_failure) = on_failure {
        reader.list(on_failure, "on_failure", defaults.as_ref(), &scope)?;
    }
    let handlers = reader.drafts.len() - main_tasks;
    let resources = std::mem::take(&mut reader.resources);
    let written = reader.agents();
    let tasks = reader.connect(main_tasks)?;
    let guarded = agents.build_task_list(goal.as_ref(), policy, &tasks, handlers, written)?;
    Ok(Plan {
        goal,
        artifacts_dir,
        tasks,
        handlers,
        max_parallel,
        resources,
        policy,
        guarded,
        sources: Vec::new(),
    })
}

fn mapping<'a>(node: &'a YamlNode, owner: &str) -> Result<&'a [YamlEntry], PlanError> {
    match &node.value {
        YamlValue::Map(entries) => Ok(entries),
        YamlValue::Scalar { .. } | YamlValue::List(_) => {
            let message = format!("{owner} must be a mapping, found {}", node.display_short());
            Err(PlanError::new(node.mark, message).with_remedy("begin with `tasks:`"))
        }
    }
}

fn take(file: &mut YamlNode, key: &str) -> Option<YamlNode> {
    let YamlValue::Map(entries) = &mut file.value else {
        return None;
    };
    let found = entries.iter().position(|entry| &*entry.key == key)?;
    Some(entries.swap_remove(found).value)
}

fn capacities(field: &PlanField<'_>) -> Result<Vec<(String, u32)>, PlanError> {
    let entries = field.map()?.iter();
    entries
        .map(|entry| {
            Ok((
                entry.key.to_string(),
                field.at(&entry.value).integer_at_least(1)?,
            ))
        })
        .collect()
}

impl TaskReader<'_> {
    fn tasks(
        &mut self,
        mut file: YamlNode,
        key: &str,
        scope: &VariableScope<'_>,
    ) -> Result<(), PlanError> {
        let defaults = file.get("defaults").filter(|node| !node.is_null()).cloned();
        if let Some(defaults) = &defaults {
            reject_unknown_fields(
                mapping(defaults, "`defaults`")?,
                DEFAULT_FIELDS,
                "`defaults`",
            )?;
        }
        match take(&mut file, key) {
            None => Ok(()),
            Some(list) => self.list(list, key, defaults.as_ref(), scope),
        }
    }

    fn list(
        &mut self,
        node: YamlNode,
        key: &str,
        defaults: Option<&YamlNode>,
        scope: &VariableScope<'_>,
    ) -> Result<(), PlanError> {
        let YamlValue::List(items) = node.value else {
            let message = format!(
                "`{key}` must be a list of tasks, found {}",
                node.display_short()
            );
            return Err(
                PlanError::new(node.mark, message).with_remedy("begin each task with `- id:`")
            );
        };
        // Consumed one by one: the tree of a large plan must not stand beside its tasks to the end.
        for item in items {
            self.task(&item, defaults, scope)?;
        }
        Ok(())
    }

    fn task(
        &mut self,
        node: &YamlNode,
        defaults: Option<&YamlNode>,
        scope: &VariableScope<'_>,
    ) -> Result<(), PlanError> {
        let own = mapping(node, "a task")?;
        let written = WrittenTask { own, defaults };
        let number = self.drafts.len() + 1;
        let Some(id_node) = written.own("id") else {
            let message = format!("task {number} has no `id`");
            return Err(PlanError::new(node.mark, message).with_remedy("add `id: some-name`"));
        };
        let nameless = format!("task {number}");
        let scopes = expand::combinations(written.own("matrix"), scope, &nameless)?;
        let is_group = written
            .own("matrix")
            .is_some_and(|matrix| !matrix.is_null());
        for scope in &scopes {
            let field = PlanField {
                node: id_node,
                name: "id",
                owner: &nameless,
                scope,
            };
            let mut id = identifier(&field)?;
            if is_group {
                let members = self.groups.entry(id.clone()).or_default();
                members.push(position(self.drafts.len()));
                if !id_node.display_short().contains("${{") {
                    id.push_str(&scope.suffix());
                }
            }
            check_id(&id, &field)?;
            let owner = format!("task `{id}`");
            reject_unknown_fields(own, TASK_FIELDS, &owner)?;
            read_agent::check_fields(&written, &owner)?;
            let draft = if read_agent::is_agent_task(&written) {
                agent_draft(&id, node.mark, &written, scope, self.root)?
            } else {
                draft(&id, node.mark, &written, scope, &self.resources)?
            };
            self.drafts.push(draft);
        }
        Ok(())
    }

    /// Takes out what is for agents, with the place of every task; nothing where nothing is.
    fn agents(&mut self) -> Vec<(SourcePosition, Option<Box<tasks::AgentTask>>)> {
        if self.drafts.iter().all(|draft| draft.guarded.is_none()) {
            return Vec::new();
        }
        let taken = |draft: &mut TaskDraft| (draft.mark, draft.guarded.take());
        self.drafts.iter_mut().map(taken).collect()
    }

    /// Checks what concerns several tasks and turns names into positions.
    fn connect(self, main_tasks: usize) -> Result<Vec<PlanTask>, PlanError> {
        let positions = self.positions()?;
        let mut marks = Vec::with_capacity(self.drafts.len());
        let mut tasks = Vec::with_capacity(self.drafts.len());
        for (index, draft) in self.drafts.into_iter().enumerate() {
            let TaskDraft {
                mut task,
                mark,
                depends_on,
                guarded: _,
            } = draft;
            for (name, mark) in depends_on {
                let found = references::resolve_dependency(
                    &name,
                    mark,
                    &task.id,
                    &positions,
                    &self.groups,
                )?;
                for up in found {
                    if up as usize == index {
                        return Err(PlanError::new(
                            mark,
                            format!("task `{}` depends on itself", task.id),
                        ));
                    }
                    if index < main_tasks && up as usize >= main_tasks {
                        let message = format!(
                            "task `{}` depends on `{name}`, which runs only after a failure",
                            task.id
                        );
                        return Err(PlanError::new(mark, message));
                    }
                    if task.depends_on.contains(&up) {
                        return Err(PlanError::new(
                            mark,
                            format!("task `{}` depends on `{name}` twice", task.id),
                        ));
                    }
                    task.depends_on.push(up);
                }
            }
            task.depends_on.shrink_to_fit();
            references::check_when(&task, mark, &positions)?;
            marks.push(mark);
            tasks.push(task);
        }
        references::check_acyclic(&tasks, &marks)?;
        Ok(tasks)
    }

    fn positions(&self) -> Result<BTreeMap<String, TaskIndex>, PlanError> {
        let mut positions = BTreeMap::new();
        let mut folded: BTreeMap<String, TaskIndex> = BTreeMap::new();
        for (index, draft) in self.drafts.iter().enumerate() {
            let id = draft.task.id.to_string();
            let lower = id.to_ascii_lowercase();
            if let Some(earlier) = folded.insert(lower, position(index)) {
                let other = self.drafts.get(earlier as usize);
                let (other, line) =
                    other.map_or(("", 0), |other| (&*other.task.id, other.mark.line));
                let message = if other == id {
                    format!("task id `{id}` is used twice, first in line {line}")
                } else {
                    format!(
                        "task ids `{other}` (line {line}) and `{id}` differ only in upper and lower case"
                    )
                };
                return Err(PlanError::new(draft.mark, message).with_remedy("rename one of them"));
            }
            positions.insert(id, position(index));
        }
        Ok(positions)
    }
}

fn identifier(field: &PlanField<'_>) -> Result<String, PlanError> {
    let text = field.any_text()?;
    if text.is_empty() {
        Err(field.fault("must not be blank"))
    } else {
        Ok(text)
    }
}

fn check_id(id: &str, field: &PlanField<'_>) -> Result<(), PlanError> {
    if id.chars().count() > 128 {
        return Err(field.fault("must have at most 128 characters"));
    }
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !id.starts_with(|c: char| c.is_ascii_alphanumeric()) || !id.chars().all(good) {
        let rule =
            "must begin with a letter or digit and have only letters, digits, `.`, `_` and `-`";
        return Err(field.fault(rule));
    }
    Ok(())
}

fn draft(
    id: &str,
    mark: SourcePosition,
    written: &WrittenTask<'_>,
    scope: &VariableScope<'_>,
    resources: &[(String, u32)],
) -> Result<TaskDraft, PlanError> {
    let owner = format!("task `{id}`");
    let field = |name| {
        written.get(name).map(|node| PlanField {
            node,
            name,
            owner: &owner,
            scope,
        })
    };
    let action_field = the_action(written, &owner, mark)?;
    let retries = field("retries").map_or(Ok(0), |field| field.integer_at_least(0))?;
    let timeout_sec = match field("timeout_sec").filter(|field| !field.is_null()) {
        Some(field) => Some(field.seconds(false)?),
        None => None,
    };
    let retry_backoff_sec =
        field("retry_backoff_sec").map_or(Ok(Vec::new()), |field| backoff(&field, retries))?;
    let depends_on = field("depends_on").map_or(Ok(Vec::new()), |field| names(&field))?;
    let outputs = field("outputs").map_or(Ok(Vec::new()), |field| field.distinct_texts())?;
    let cwd = field("cwd").map_or(Ok(None), |field| field.optional_text())?;
    let env = environment(written, &owner, scope)?;
    let action = match field(action_field) {
        Some(field) => action(&field)?,
        None => return Err(PlanError::new(mark, format!("{owner} has no `cmd`"))),
    };
    let extra = read_extra::extra(written, &owner, scope, resources)?;
    let task = PlanTask {
        id: id.into(),
        action,
        depends_on: Vec::new(),
        cwd: cwd.map(Into::into),
        env,
        timeout_sec,
        retries,
        retry_backoff_sec,
        outputs,
        extra,
    };
    Ok(TaskDraft {
        task,
        mark,
        depends_on,
        guarded: None,
    })
}

/// Reads a task for an agent; for the graph it is one that runs the agent's program.
fn agent_draft(
    id: &str,
    mark: SourcePosition,
    written: &WrittenTask<'_>,
    scope: &VariableScope<'_>,
    root: &read_agent::AgentDefaults<'_>,
) -> Result<TaskDraft, PlanError> {
    let owner = format!("task `{id}`");
    let depends_on = written.own("depends_on").map(|node| PlanField {
        node,
        name: "depends_on",
        owner: &owner,
        scope,
    });
    let guarded = read_agent::task(id, mark, written, root, scope)?;
    Ok(TaskDraft {
        task: PlanTask {
            id: id.into(),
            action: TaskAction::Argv(vec![root.program(&guarded)]),
            depends_on: Vec::new(),
            cwd: None,
            env: None,
            timeout_sec: None,
            retries: 0,
            retry_backoff_sec: Vec::new(),
            outputs: Vec::new(),
            extra: None,
        },
        mark,
        depends_on: depends_on.map_or(Ok(Vec::new()), |field| names(&field))?,
        guarded: Some(Box::new(guarded)),
    })
}

fn the_action(
    written: &WrittenTask<'_>,
    owner: &str,
    mark: SourcePosition,
) -> Result<&'static str, PlanError> {
    let mut given = ["cmd", "shell", "job"]
        .into_iter()
        .filter(|name| written.own(name).is_some());
    match (given.next(), given.next()) {
        (Some(name), None) => Ok(name),
        (None, _) => Err(PlanError::new(mark, format!("{owner} has no `cmd`"))
            .with_remedy("add `cmd: [program, argument]`, `shell` or `job`")),
        (Some(first), Some(second)) => Err(PlanError::new(
            mark,
            format!("{owner} has both `{first}` and `{second}`"),
        )
        .with_remedy("keep one of them")),
    }
}

fn action(field: &PlanField<'_>) -> Result<TaskAction, PlanError> {
    match field.name {
        "shell" => field.text().map(TaskAction::Shell),
        "job" => read_extra::job(field).map(TaskAction::Job),
        _ => argv(field).map(TaskAction::Argv),
    }
}

fn argv(field: &PlanField<'_>) -> Result<Vec<String>, PlanError> {
    let words = match &field.node.value {
        YamlValue::List(items) => items
            .iter()
            .map(|item| field.at(item).any_text())
            .collect::<Result<_, _>>()?,
        YamlValue::Scalar { .. } if !field.is_null() => program_words(field)?,
        YamlValue::Scalar { .. } | YamlValue::Map(_) => {
            return Err(field.fault("must be a list of words or one text"));
        }
    };
    match words.first() {
        None => Err(field
            .fault("must not be empty")
            .with_remedy("name the program to start")),
        Some(program) if program.trim().is_empty() => Err(field
            .fault("must begin with a program")
            .with_remedy("its first word is blank")),
        Some(_) => Ok(words),
    }
}

fn backoff(field: &PlanField<'_>, retries: u32) -> Result<Vec<f64>, PlanError> {
    let items = field.list()?;
    if items.len() > retries as usize {
        return Err(field.fault(&format!(
            "must not be longer than `retries`, which is {retries}"
        )));
    }
    items
        .iter()
        .map(|item| field.at(item).seconds(true))
        .collect()
}

fn names(field: &PlanField<'_>) -> Result<Vec<(Box<str>, SourcePosition)>, PlanError> {
    if field.is_null() {
        return Ok(Vec::new());
    }
    let items = field.list()?.iter();
    items
        .map(|item| Ok((field.at(item).text()?.into(), item.mark)))
        .collect()
}

fn environment(
    written: &WrittenTask<'_>,
    owner: &str,
    scope: &VariableScope<'_>,
) -> Result<Option<BTreeMap<String, String>>, PlanError> {
    let mut merged: Option<BTreeMap<String, String>> = None;
    for node in [written.default_value("env"), written.own("env")]
        .into_iter()
        .flatten()
    {
        let field = PlanField {
            node,
            name: "env",
            owner,
            scope,
        };
        if !field.is_null() {
            merged.get_or_insert_default().extend(field.variables()?);
        }
    }
    Ok(merged)
}

fn position(index: usize) -> TaskIndex {
    u32::try_from(index).unwrap_or(u32::MAX)
}
