//! Turns the tree of a plan's file, and of the files it includes, into a [`Plan`] or the first fault.
//!
//! The order of the checks is part of the behaviour: the root, the goal, the artifacts' folder, every task from
//! top to bottom, then what concerns several tasks, and circles last.

use std::collections::BTreeMap;

use crate::domain::plan::{
    connect,
    expand::{self, Scope},
    field::{Field, only_known},
    node::{Entry, Fault, Mark, Node, Value},
    read_extra,
    task::{Action, Plan, Task, TaskIndex},
    words,
};

/// The fields of a plan.
pub const PLAN_FIELDS: &[&str] = &[
    "goal",
    "artifacts_dir",
    "tasks",
    "defaults",
    "params",
    "max_parallel",
    "resources",
    "on_failure",
    "include",
    "policy",
    "origin",
];
/// The fields of an included file.
pub const INCLUDE_FIELDS: &[&str] = &["goal", "tasks", "defaults", "include", "origin"];
/// The fields of a task.
pub const TASK_FIELDS: &[&str] = &[
    "id",
    "cmd",
    "depends_on",
    "cwd",
    "env",
    "timeout_sec",
    "retries",
    "retry_backoff_sec",
    "outputs",
    "job",
    "shell",
    "env_file",
    "stdin",
    "needs_files",
    "when",
    "matrix",
    "resources",
    "priority",
    "allow_failure",
    "cache",
    "env_policy",
];
/// The fields of a task that may have a default.
pub const DEFAULT_FIELDS: &[&str] = &[
    "cwd",
    "env",
    "timeout_sec",
    "retries",
    "retry_backoff_sec",
    "outputs",
    "env_file",
    "needs_files",
    "resources",
    "priority",
    "allow_failure",
    "cache",
    "env_policy",
];

/// A written task on its way to becoming one or several.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    own: &'a [Entry],
    defaults: Option<&'a Node>,
}

impl<'a> Written<'a> {
    pub(super) fn own(&self, key: &str) -> Option<&'a Node> {
        self.own
            .iter()
            .find(|entry| &*entry.key == key)
            .map(|entry| &entry.value)
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Node> {
        self.own(key).or_else(|| self.default(key))
    }

    pub(super) fn default(&self, key: &str) -> Option<&'a Node> {
        self.defaults.and_then(|defaults| defaults.get(key))
    }
}

struct Draft {
    task: Task,
    mark: Mark,
    depends_on: Vec<(Box<str>, Mark)>,
}

/// What is known while the tasks are read.
struct Reader {
    drafts: Vec<Draft>,
    groups: BTreeMap<String, Vec<TaskIndex>>,
    resources: Vec<(String, u32)>,
}

/// Reads the plan in `root`, with the files it includes in the order they were named, and `given` parameters.
pub fn read(
    mut root: Node,
    included: Vec<Node>,
    given: &BTreeMap<String, String>,
) -> Result<Plan, Fault> {
    let entries = mapping(&root, "the plan")?;
    only_known(entries, PLAN_FIELDS, "the plan")?;
    let params = expand::params(&root, given)?;
    let scope = Scope::of_params(&params);
    let field = |name| {
        root.get(name).map(|node| Field {
            node,
            name,
            owner: "the plan",
            scope: &scope,
        })
    };
    let goal = field("goal").map_or(Ok(None), |field| field.optional_text())?;
    let artifacts_dir = field("artifacts_dir").map_or(Ok(None), |field| field.optional_text())?;
    let max_parallel = field("max_parallel")
        .map(|field| field.whole(1))
        .transpose()?;
    let mut policy = read_extra::policy(field("policy"), field("origin"))?;
    let mut reader = Reader {
        drafts: Vec::new(),
        groups: BTreeMap::new(),
        resources: field("resources").map_or(Ok(Vec::new()), |field| capacities(&field))?,
    };
    for file in included {
        only_known(
            mapping(&file, "an included file")?,
            INCLUDE_FIELDS,
            "an included file",
        )?;
        policy = read_extra::included_policy(&file, policy)?;
        reader.tasks(file, "tasks", &scope)?;
    }
    let on_failure = take(&mut root, "on_failure");
    let defaults = root.get("defaults").cloned();
    let mark = root.mark;
    reader.tasks(root, "tasks", &scope)?;
    let main_tasks = reader.drafts.len();
    if main_tasks == 0 {
        return Err(
            Fault::new(mark, "the plan has no tasks").with("list at least one under `tasks`")
        );
    }
    if let Some(on_failure) = on_failure {
        reader.list(on_failure, "on_failure", defaults.as_ref(), &scope)?;
    }
    let handlers = reader.drafts.len() - main_tasks;
    let resources = std::mem::take(&mut reader.resources);
    let tasks = reader.connect(main_tasks)?;
    Ok(Plan {
        goal,
        artifacts_dir,
        tasks,
        handlers,
        max_parallel,
        resources,
        policy,
    })
}

fn mapping<'a>(node: &'a Node, owner: &str) -> Result<&'a [Entry], Fault> {
    match &node.value {
        Value::Map(entries) => Ok(entries),
        Value::Scalar { .. } | Value::List(_) => {
            let message = format!("{owner} must be a mapping, found {}", node.shown());
            Err(Fault::new(node.mark, message).with("begin with `tasks:`"))
        }
    }
}

fn take(file: &mut Node, key: &str) -> Option<Node> {
    let Value::Map(entries) = &mut file.value else {
        return None;
    };
    let found = entries.iter().position(|entry| &*entry.key == key)?;
    Some(entries.swap_remove(found).value)
}

fn capacities(field: &Field<'_>) -> Result<Vec<(String, u32)>, Fault> {
    let entries = field.map()?.iter();
    entries
        .map(|entry| Ok((entry.key.to_string(), field.at(&entry.value).whole(1)?)))
        .collect()
}

impl Reader {
    fn tasks(&mut self, mut file: Node, key: &str, scope: &Scope<'_>) -> Result<(), Fault> {
        let defaults = file.get("defaults").filter(|node| !node.is_null()).cloned();
        if let Some(defaults) = &defaults {
            only_known(
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
        node: Node,
        key: &str,
        defaults: Option<&Node>,
        scope: &Scope<'_>,
    ) -> Result<(), Fault> {
        let Value::List(items) = node.value else {
            let message = format!("`{key}` must be a list of tasks, found {}", node.shown());
            return Err(Fault::new(node.mark, message).with("begin each task with `- id:`"));
        };
        // Consumed one by one: the tree of a large plan must not stand beside its tasks to the end.
        for item in items {
            self.task(&item, defaults, scope)?;
        }
        Ok(())
    }

    fn task(
        &mut self,
        node: &Node,
        defaults: Option<&Node>,
        scope: &Scope<'_>,
    ) -> Result<(), Fault> {
        let own = mapping(node, "a task")?;
        let written = Written { own, defaults };
        let number = self.drafts.len() + 1;
        let Some(id_node) = written.own("id") else {
            let message = format!("task {number} has no `id`");
            return Err(Fault::new(node.mark, message).with("add `id: some-name`"));
        };
        let nameless = format!("task {number}");
        let scopes = expand::combinations(written.own("matrix"), scope, &nameless)?;
        let is_group = written
            .own("matrix")
            .is_some_and(|matrix| !matrix.is_null());
        for scope in &scopes {
            let field = Field {
                node: id_node,
                name: "id",
                owner: &nameless,
                scope,
            };
            let mut id = identifier(&field)?;
            if is_group {
                let members = self.groups.entry(id.clone()).or_default();
                members.push(position(self.drafts.len()));
                if !id_node.shown().contains("${{") {
                    id.push_str(&scope.suffix());
                }
            }
            check_id(&id, &field)?;
            let draft = draft(&id, node.mark, &written, scope, &self.resources)?;
            self.drafts.push(draft);
        }
        Ok(())
    }

    /// Checks what concerns several tasks and turns names into positions.
    fn connect(self, main_tasks: usize) -> Result<Vec<Task>, Fault> {
        let positions = self.positions()?;
        let mut marks = Vec::with_capacity(self.drafts.len());
        let mut tasks = Vec::with_capacity(self.drafts.len());
        for (index, draft) in self.drafts.into_iter().enumerate() {
            let Draft {
                mut task,
                mark,
                depends_on,
            } = draft;
            for (name, mark) in depends_on {
                let found = connect::upstream(&name, mark, &task.id, &positions, &self.groups)?;
                for up in found {
                    if up as usize == index {
                        return Err(Fault::new(
                            mark,
                            format!("task `{}` depends on itself", task.id),
                        ));
                    }
                    if index < main_tasks && up as usize >= main_tasks {
                        let message = format!(
                            "task `{}` depends on `{name}`, which runs only after a failure",
                            task.id
                        );
                        return Err(Fault::new(mark, message));
                    }
                    if task.depends_on.contains(&up) {
                        return Err(Fault::new(
                            mark,
                            format!("task `{}` depends on `{name}` twice", task.id),
                        ));
                    }
                    task.depends_on.push(up);
                }
            }
            task.depends_on.shrink_to_fit();
            connect::check_when(&task, mark, &positions)?;
            marks.push(mark);
            tasks.push(task);
        }
        connect::refuse_circle(&tasks, &marks)?;
        Ok(tasks)
    }

    fn positions(&self) -> Result<BTreeMap<String, TaskIndex>, Fault> {
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
                return Err(Fault::new(draft.mark, message).with("rename one of them"));
            }
            positions.insert(id, position(index));
        }
        Ok(positions)
    }
}

fn identifier(field: &Field<'_>) -> Result<String, Fault> {
    let text = field.any_text()?;
    if text.is_empty() {
        Err(field.fault("must not be blank"))
    } else {
        Ok(text)
    }
}

fn check_id(id: &str, field: &Field<'_>) -> Result<(), Fault> {
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
    mark: Mark,
    written: &Written<'_>,
    scope: &Scope<'_>,
    resources: &[(String, u32)],
) -> Result<Draft, Fault> {
    let owner = format!("task `{id}`");
    only_known(written.own, TASK_FIELDS, &owner)?;
    let field = |name| {
        written.get(name).map(|node| Field {
            node,
            name,
            owner: &owner,
            scope,
        })
    };
    let action_field = the_action(written, &owner, mark)?;
    let retries = field("retries").map_or(Ok(0), |field| field.whole(0))?;
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
        None => return Err(Fault::new(mark, format!("{owner} has no `cmd`"))),
    };
    let extra = read_extra::extra(written, &owner, scope, resources)?;
    let task = Task {
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
    Ok(Draft {
        task,
        mark,
        depends_on,
    })
}

fn the_action(written: &Written<'_>, owner: &str, mark: Mark) -> Result<&'static str, Fault> {
    let mut given = ["cmd", "shell", "job"]
        .into_iter()
        .filter(|name| written.own(name).is_some());
    match (given.next(), given.next()) {
        (Some(name), None) => Ok(name),
        (None, _) => Err(Fault::new(mark, format!("{owner} has no `cmd`"))
            .with("add `cmd: [program, argument]`, `shell` or `job`")),
        (Some(first), Some(second)) => Err(Fault::new(
            mark,
            format!("{owner} has both `{first}` and `{second}`"),
        )
        .with("keep one of them")),
    }
}

fn action(field: &Field<'_>) -> Result<Action, Fault> {
    match field.name {
        "shell" => field.text().map(Action::Shell),
        "job" => read_extra::job(field).map(Action::Job),
        _ => argv(field).map(Action::Argv),
    }
}

fn argv(field: &Field<'_>) -> Result<Vec<String>, Fault> {
    let words = match &field.node.value {
        Value::List(items) => items
            .iter()
            .map(|item| field.at(item).any_text())
            .collect::<Result<_, _>>()?,
        Value::Scalar { .. } if !field.is_null() => {
            words::split(&field.any_text()?).map_err(|error| field.fault(&error.to_string()))?
        }
        Value::Scalar { .. } | Value::Map(_) => {
            return Err(field.fault("must be a list of words or one text"));
        }
    };
    match words.first() {
        None => Err(field
            .fault("must not be empty")
            .with("name the program to start")),
        Some(program) if program.trim().is_empty() => Err(field
            .fault("must begin with a program")
            .with("its first word is blank")),
        Some(_) => Ok(words),
    }
}

fn backoff(field: &Field<'_>, retries: u32) -> Result<Vec<f64>, Fault> {
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

fn names(field: &Field<'_>) -> Result<Vec<(Box<str>, Mark)>, Fault> {
    if field.is_null() {
        return Ok(Vec::new());
    }
    let items = field.list()?.iter();
    items
        .map(|item| Ok((field.at(item).text()?.into(), item.mark)))
        .collect()
}

fn environment(
    written: &Written<'_>,
    owner: &str,
    scope: &Scope<'_>,
) -> Result<Option<BTreeMap<String, String>>, Fault> {
    let mut merged: Option<BTreeMap<String, String>> = None;
    for node in [written.default("env"), written.own("env")]
        .into_iter()
        .flatten()
    {
        let field = Field {
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
