//! Reads the tasks of agents, and what a plan of such tasks says about all of them.
//!
//! A plan gives its tasks to agents or runs commands, never both: commands run in the person's working
//! directory, and what agents do is not there until a person has taken it over.

use serde_json::Value as Json;

use crate::domain::{
    plan::{
        field::{PlanField, reject_unknown_fields},
        graph::PlanGraph,
        node::{PlanError, SourcePosition, YamlEntry, YamlNode, YamlValue},
        scalar::ScalarValue,
        scope::VariableScope,
        task::{PlanTask, PolicyMode},
        written::{WrittenTask, program_words},
    },
    tasks,
    tasks::{Agent, AgentKind, CLASSES, OnFailure, SandboxDemand, TaskList},
    validate::ChangeLimits,
};

/// The fields that only a plan of agents has.
pub const AGENT_PLAN_FIELDS: &[&str] = &[
    "id",
    "agent",
    "test_command",
    "allowed_imports",
    "banned_patterns",
    "limits",
    "sandbox",
    "test_seconds",
    "test_idle_seconds",
    "grace_seconds",
    "disk_mb",
    "share",
    "share_files",
    "full_test_command",
    "full_test_seconds",
    "max_usd",
    "provider_retries",
    "provider_pause_seconds",
    "real",
];
/// The fields that only a task of an agent has.
pub const AGENT_ONLY_TASK_FIELDS: &[&str] = &[
    "agent",
    "goal",
    "prompt",
    "class",
    "test_command",
    "context_files",
    "max_time_seconds",
    "allowed_imports",
    "banned_patterns",
    "may_change_checks",
    "limits",
];
/// The fields that every sort of task has.
const COMMON_TASK_FIELDS: &[&str] = &["id", "depends_on", "matrix"];
/// The fields of an agent.
const AGENT_FIELDS: &[&str] = &[
    "kind",
    "args",
    "model",
    "max_budget_usd",
    "credentials",
    "hosts",
    "environment",
    "check",
    "idle_seconds",
    "price",
    "approval_seconds",
];
const LIMIT_FIELDS: &[&str] = &["files", "lines", "created", "bytes"];

/// Tells whether `on_failure` is one word, as for agents, and not a list of tasks.
fn is_word(field: &PlanField<'_>) -> bool {
    is_nonnull_scalar(field.node)
}

/// Tells whether a value is one word.
pub(super) fn is_nonnull_scalar(node: &YamlNode) -> bool {
    matches!(node.value, YamlValue::Scalar { .. }) && !node.is_null()
}

/// Returns a plan's own fields: those of a large plan's tasks need not be kept twice.
fn without_tasks(plan: &YamlNode) -> YamlNode {
    let entries = match &plan.value {
        YamlValue::Map(entries) => entries
            .iter()
            .filter(|entry| &*entry.key != "tasks")
            .cloned()
            .collect(),
        YamlValue::Scalar { .. } | YamlValue::List(_) => Vec::new(),
    };
    YamlNode {
        mark: plan.mark,
        value: YamlValue::Map(entries),
    }
}

/// Tells whether a written task is one for an agent.
pub(super) fn is_agent_task(written: &WrittenTask<'_>) -> bool {
    written.own("prompt").is_some() || written.own("agent").is_some()
}

/// Refuses what means nothing for a task of its sort.
pub(super) fn check_fields(written: &WrittenTask<'_>, owner: &str) -> Result<(), PlanError> {
    let agent = is_agent_task(written);
    let wrong = |entry: &&YamlEntry| {
        let key = &*entry.key;
        let common = COMMON_TASK_FIELDS.contains(&key);
        !common && !key.starts_with("x-") && AGENT_ONLY_TASK_FIELDS.contains(&key) != agent
    };
    let Some(entry) = written.entries().iter().find(wrong) else {
        return match written.default_entries().iter().find(wrong) {
            None => Ok(()),
            Some(entry) => Err(foreign_default(entry, owner, agent)),
        };
    };
    let (key, mark) = (&*entry.key, entry.mark);
    Err(if agent {
        let fault = PlanError::new(
            mark,
            format!("field `{key}` of {owner} means nothing for an agent"),
        );
        match key {
            "timeout_sec" => fault.with_remedy("use `max_time_seconds`"),
            "retries" => fault.with_remedy("`on_failure: retry_then_stop` of the plan tries a task once more"),
            "cmd" | "shell" | "job" => fault.with_remedy(
                "a task has a command or a `prompt`; what decides about the work is its `test_command`",
            ),
            _ => fault.with_remedy("remove it"),
        }
    } else {
        PlanError::new(
            mark,
            format!("field `{key}` of {owner} means nothing without a `prompt`"),
        )
        .with_remedy("add a `prompt` for an agent, or remove it")
    })
}

fn foreign_default(entry: &YamlEntry, owner: &str, agent: bool) -> PlanError {
    let sort = if agent { "an agent" } else { "a command" };
    let message = format!(
        "the default `{}` means nothing for {owner}, which is {sort}'s",
        entry.key
    );
    PlanError::new(entry.mark, message).with_remedy("remove it from `defaults`")
}

/// Reads a task for an agent; what it depends on is added when all are known.
pub(super) fn task(
    id: &str,
    mark: SourcePosition,
    written: &WrittenTask<'_>,
    root: &AgentDefaults<'_>,
    scope: &VariableScope<'_>,
) -> Result<tasks::AgentTask, PlanError> {
    let owner = &format!("task `{id}`");
    let field = |name| {
        let node = written.get(name).filter(|node| !node.is_null());
        node.map(|node| PlanField {
            node,
            name,
            owner,
            scope,
        })
    };
    let lacks = |what: &str| PlanError::new(mark, format!("{owner} has no `{what}`"));
    let texts = |name| field(name).map_or(Ok(Vec::new()), |field| field.one_or_more());
    let prompt = field("prompt")
        .ok_or_else(|| lacks("prompt").with_remedy("say what the agent has to do"))?;
    let prompt = prompt.text()?;
    let class = field("class")
        .ok_or_else(|| lacks("class").with_remedy(format!("add one of {}", CLASSES.join(", "))))?;
    let class_word = class.text()?;
    if !CLASSES.contains(&class_word.as_str()) {
        return Err(class
            .fault("is no kind of work")
            .with_suggestions(&class_word, CLASSES));
    }
    let tests = field("test_command")
        .map(|field| argv(&field))
        .transpose()?;
    let tests = tests.or_else(|| root.test_command.clone()).ok_or_else(|| {
        lacks("test_command")
            .with_remedy("without a test nothing is accepted; add one here or to the plan")
    })?;
    let agent = field("agent").map(|field| agent(&field)).transpose()?;
    if agent.is_none() && root.agent.is_none() {
        return Err(lacks("agent").with_remedy("add `agent: claude` here or to the plan"));
    }
    let goal = field("goal").map(|field| field.text()).transpose()?;
    let seconds = field("max_time_seconds")
        .map(|field| field.integer_at_least(1))
        .transpose()?;
    Ok(tasks::AgentTask {
        id: id.to_owned(),
        goal: goal.unwrap_or_else(|| first_line(&prompt)),
        prompt,
        class: class_word,
        test_command: tests,
        context_files: texts("context_files")?,
        depends_on: Vec::new(),
        max_time_seconds: seconds.map_or(tasks::DEFAULT_TASK_SECONDS, u64::from),
        agent,
        allowed_imports: texts("allowed_imports")?,
        banned_patterns: texts("banned_patterns")?,
        may_change_checks: texts("may_change_checks")?,
        limits: field("limits")
            .map(|field| limits(&field, root.limits))
            .transpose()?,
    })
}

fn first_line(prompt: &str) -> String {
    let line = prompt.trim().lines().next().unwrap_or_default();
    line.chars().take(72).collect()
}

/// What a plan says about the agents of all its tasks.
#[derive(Debug)]
pub(super) struct AgentDefaults<'a> {
    node: YamlNode,
    scope: &'a VariableScope<'a>,
    agent: Option<Agent>,
    test_command: Option<Vec<String>>,
    limits: ChangeLimits,
}

impl<'a> AgentDefaults<'a> {
    /// Reads what tasks may leave out.
    pub(super) fn read(plan: &YamlNode, scope: &'a VariableScope<'a>) -> Result<Self, PlanError> {
        let mut root = Self {
            node: without_tasks(plan),
            scope,
            agent: None,
            test_command: None,
            limits: tasks::DEFAULT_CHANGE_LIMITS,
        };
        root.agent = root.field("agent").map(|field| agent(&field)).transpose()?;
        root.test_command = root
            .field("test_command")
            .map(|field| argv(&field))
            .transpose()?;
        let usual = root.limits;
        root.limits = root
            .field("limits")
            .map_or(Ok(usual), |field| limits(&field, usual))?;
        Ok(root)
    }

    /// Returns the program that does a task, to be shown.
    pub(super) fn program(&self, task: &tasks::AgentTask) -> String {
        let agent = task.agent.as_ref().or(self.agent.as_ref());
        agent.map_or("", Agent::program).to_owned()
    }

    fn field<'s>(&'s self, name: &'s str) -> Option<PlanField<'s>> {
        let node = self.node.get(name).filter(|node| !node.is_null());
        node.map(|node| PlanField {
            node,
            name,
            owner: "the plan",
            scope: self.scope,
        })
    }

    /// Puts a list together; `None` where no task is for an agent. Tasks come in the order in which they run.
    pub(super) fn build_task_list(
        &self,
        goal: Option<&String>,
        policy: PolicyMode,
        tasks: &[PlanTask],
        handlers: usize,
        read: Vec<(SourcePosition, Option<Box<tasks::AgentTask>>)>,
    ) -> Result<Option<Box<TaskList>>, PlanError> {
        if read.iter().all(|(_, task)| task.is_none()) {
            self.refuse(
                AGENT_PLAN_FIELDS,
                "means nothing without tasks that have a `prompt`",
            )?;
            return match self.field("on_failure").filter(is_word) {
                None => Ok(None),
                Some(field) => Err(field
                    .fault("must be a list of tasks where tasks run commands")
                    .with_remedy("begin each task with `- id:`")),
            };
        }
        if let Some((mark, _)) = read.iter().find(|(_, task)| task.is_none()) {
            let message = "this task runs a command, and others of the plan are for agents";
            return Err(PlanError::new(*mark, message).with_remedy(
                "a plan does one or the other: put the commands into a plan of their own, or make them the `test_command` of agents",
            ));
        }
        if handlers > 0 {
            self.refuse(&["on_failure"], "must be a word where tasks are for agents")?;
        }
        self.refuse(
            &["artifacts_dir", "max_parallel", "resources"],
            "means nothing for agents",
        )?;
        let mut list = self.head(goal)?;
        let marks: Vec<SourcePosition> = read.iter().map(|(mark, _)| *mark).collect();
        let mut waiting: Vec<Option<Box<tasks::AgentTask>>> =
            read.into_iter().map(|(_, task)| task).collect();
        let graph = PlanGraph::from_edges(tasks.iter().map(|task| task.depends_on.as_slice()));
        for index in graph.topological_order() {
            let taken = waiting.get_mut(index as usize).and_then(Option::take);
            let Some(mut task) = taken else { continue };
            let needs = graph.dependencies(index).iter();
            task.depends_on = needs
                .filter_map(|up| Some(tasks.get(*up as usize)?.id.to_string()))
                .collect();
            list.tasks.push(*task);
        }
        if self.agent.is_none()
            && let Some(first) = list.tasks.iter().find_map(|task| task.agent.clone())
        {
            list.agent = first;
        }
        if policy == PolicyMode::Enforce {
            list.restrict_untrusted()
                .map_err(|why| PlanError::new(self.node.mark, why))?;
        }
        match list.validation_errors().first() {
            None => Ok(Some(Box::new(list))),
            Some(fault) => Err(PlanError::new(
                place(fault, tasks, &marks, self.node.mark),
                fault,
            )),
        }
    }

    fn refuse(&self, names: &[&str], why: &str) -> Result<(), PlanError> {
        let YamlValue::Map(entries) = &self.node.value else {
            return Ok(());
        };
        match entries.iter().find(|entry| names.contains(&&*entry.key)) {
            None => Ok(()),
            Some(entry) => Err(PlanError::new(
                entry.mark,
                format!("field `{}` of the plan {why}", entry.key),
            )
            .with_remedy("remove it")),
        }
    }

    fn head(&self, goal: Option<&String>) -> Result<TaskList, PlanError> {
        let whole = |name: &str, usual: u64| {
            let given = self
                .field(name)
                .map(|field| field.integer_at_least(1))
                .transpose();
            given.map(|given| given.map_or(usual, u64::from))
        };
        let from_zero = |name: &str, usual: u64| {
            let given = self
                .field(name)
                .map(|field| field.integer_at_least(0))
                .transpose();
            given.map(|given| given.map_or(usual, u64::from))
        };
        let texts = |name| {
            self.field(name)
                .map_or(Ok(Vec::new()), |field| field.one_or_more())
        };
        Ok(TaskList {
            schema: 1,
            id: self
                .field("id")
                .map_or(Ok(DEFAULT_PLAN_ID.to_owned()), |field| field.text())?,
            title: goal.cloned().unwrap_or_default(),
            // Where the plan names none, every task does, and the first one's stands for the list.
            agent: self
                .agent
                .clone()
                .unwrap_or_else(|| Agent::of_kind(AgentKind::Claude)),
            on_failure: self
                .field("on_failure")
                .map_or(Ok(OnFailure::Stop), |field| word(&field, &MODES))?,
            allowed_imports: texts("allowed_imports")?,
            banned_patterns: texts("banned_patterns")?,
            limits: self.limits,
            sandbox: self
                .field("sandbox")
                .map_or(Ok(SandboxDemand::Auto), |field| sandbox(&field))?,
            test_seconds: whole("test_seconds", tasks::DEFAULT_TEST_SECONDS)?,
            test_idle_seconds: from_zero("test_idle_seconds", tasks::DEFAULT_TEST_IDLE_SECONDS)?,
            grace_seconds: from_zero("grace_seconds", tasks::DEFAULT_GRACE_SECONDS)?,
            share: texts("share")?,
            share_files: texts("share_files")?,
            disk_mb: whole("disk_mb", tasks::DEFAULT_DISK_MB)?,
            full_test_command: self
                .field("full_test_command")
                .map_or(Ok(Vec::new()), |field| argv(&field))?,
            full_test_seconds: whole("full_test_seconds", tasks::DEFAULT_FULL_TEST_SECONDS)?,
            max_usd: self
                .field("max_usd")
                .map(|field| field.integer_at_least(1))
                .transpose()?,
            provider_retries: self
                .field("provider_retries")
                .map_or(Ok(tasks::DEFAULT_PROVIDER_RETRIES), |field| {
                    field.integer_at_least(0)
                })?,
            provider_pause_seconds: whole(
                "provider_pause_seconds",
                tasks::DEFAULT_PROVIDER_PAUSE_SECONDS,
            )?,
            real: self.field("real").map_or(Ok(true), |field| field.flag())?,
            tasks: Vec::new(),
        })
    }
}

/// The id of a plan that does not say one; the loader puts the file's name there.
pub const DEFAULT_PLAN_ID: &str = "plan";

const MODES: [(&str, OnFailure); 3] = [
    ("stop", OnFailure::Stop),
    ("retry_then_stop", OnFailure::RetryThenStop),
    (
        "retry_then_skip_dependents",
        OnFailure::RetryThenSkipDependents,
    ),
];
const SANDBOXES: [(&str, SandboxDemand); 3] = [
    ("auto", SandboxDemand::Auto),
    ("require", SandboxDemand::Require),
    ("off", SandboxDemand::Off),
];

fn sandbox(field: &PlanField<'_>) -> Result<SandboxDemand, PlanError> {
    // `off` without quotes is a boolean in YAML 1.1, and means what it says.
    if field.flag() == Ok(false) {
        return Ok(SandboxDemand::Off);
    }
    word(field, &SANDBOXES)
}

fn word<T: Copy>(field: &PlanField<'_>, known: &[(&str, T)]) -> Result<T, PlanError> {
    let text = field.text()?;
    let found = known.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        field
            .fault("is an unknown word")
            .with_suggestions(&text, known.iter().map(|(name, _)| *name))
    })
}

/// Returns the place of the task that a sentence begins with.
fn place(
    fault: &str,
    tasks: &[PlanTask],
    marks: &[SourcePosition],
    plan: SourcePosition,
) -> SourcePosition {
    let at = tasks
        .iter()
        .position(|task| fault.starts_with(&format!("task `{}`", task.id)));
    at.and_then(|at| marks.get(at)).copied().unwrap_or(plan)
}

/// Reads `agent: claude`, or a mapping with more to say.
fn agent(field: &PlanField<'_>) -> Result<Agent, PlanError> {
    let value = if let YamlValue::Map(entries) = &field.node.value {
        reject_unknown_fields(
            entries,
            AGENT_FIELDS,
            &format!("`agent` of {}", field.owner),
        )?;
        if field.node.get("kind").is_none() {
            return Err(field
                .fault("has no `kind`")
                .with_remedy(format!("add one of {}", kinds().join(", "))));
        }
        json(field)?
    } else {
        serde_json::json!({ "kind": field.text()? })
    };
    let kind = value.get("kind").and_then(Json::as_str).unwrap_or_default();
    if !kinds().contains(&kind) {
        return Err(field
            .fault("names no known agent")
            .with_suggestions(kind, kinds()));
    }
    let agent: Agent = serde_json::from_value(value)
        .map_err(|error| field.fault(&format!("cannot be read ({error})")))?;
    match agent.validation_error() {
        None => Ok(agent),
        Some(fault) => Err(field.fault(&format!("is incomplete: {fault}"))),
    }
}

fn kinds() -> [&'static str; 8] {
    AgentKind::ALL.map(|(name, _)| name)
}

/// Reads limits; what is not said is as `usual`.
fn limits(field: &PlanField<'_>, usual: ChangeLimits) -> Result<ChangeLimits, PlanError> {
    reject_unknown_fields(
        field.map()?,
        LIMIT_FIELDS,
        &format!("`limits` of {}", field.owner),
    )?;
    let whole = |name| {
        let node = field.node.get(name);
        node.map(|node| field.at(node).integer_at_least(1))
            .transpose()
    };
    Ok(ChangeLimits {
        files: whole("files")?.unwrap_or(usual.files),
        lines: whole("lines")?.unwrap_or(usual.lines),
        created: whole("created")?.unwrap_or(usual.created),
        bytes: whole("bytes")?.map_or(usual.bytes, u64::from),
    })
}

fn argv(field: &PlanField<'_>) -> Result<Vec<String>, PlanError> {
    let words = if let YamlValue::List(_) = field.node.value {
        field.texts()?
    } else {
        field.text()?;
        program_words(field)?
    };
    if words.is_empty() {
        return Err(field.fault("must name a program"));
    }
    Ok(words)
}

/// Returns what a value means, all the way down.
fn json(field: &PlanField<'_>) -> Result<Json, PlanError> {
    Ok(match &field.node.value {
        YamlValue::Scalar { .. } => match field.node.scalar_value() {
            Some(ScalarValue::Text(_)) => Json::String(field.any_text()?),
            Some(ScalarValue::Int(number)) => Json::from(number),
            Some(ScalarValue::Float(number)) => Json::from(number),
            Some(ScalarValue::Bool(flag)) => Json::Bool(flag),
            Some(ScalarValue::Null) | None => Json::Null,
            Some(ScalarValue::HugeInt | ScalarValue::Date) => {
                return Err(field
                    .fault("must be text")
                    .with_remedy("put the value in quotes"));
            }
        },
        YamlValue::List(items) => Json::Array(
            items
                .iter()
                .map(|item| json(&field.at(item)))
                .collect::<Result<_, _>>()?,
        ),
        YamlValue::Map(entries) => Json::Object(
            entries
                .iter()
                .map(|entry| Ok((entry.key.to_string(), json(&field.at(&entry.value))?)))
                .collect::<Result<_, PlanError>>()?,
        ),
    })
}
