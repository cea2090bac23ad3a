//! The tools as clients see them: names, descriptions, arguments. An argument that nobody knows is an error.

use std::collections::BTreeMap;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a tool call asks for.
#[derive(Debug)]
pub(super) enum ToolCall {
    RunCommand(RunCommand),
    Checkpoint(Checkpoint),
    Undo(Undo),
    ListCheckpoints,
    ExplainPolicy(ExplainPolicy),
    PlanRun(PlanRun),
    PlanStatus(PlanStatus),
    TaskAdd(TaskAdd),
    TaskStatus(TaskStatus),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunCommand {
    pub(super) command: String,
    #[serde(default, rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) directory: Option<String>,
    #[serde(default)]
    pub(super) timeout_seconds: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Checkpoint {
    pub(super) name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Undo {
    #[serde(default)]
    pub(super) to: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplainPolicy {
    pub(super) command: String,
    #[serde(default, rename = "type")]
    pub(super) kind: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanRun {
    pub(super) plan: String,
    #[serde(default)]
    pub(super) params: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) only: Vec<String>,
    #[serde(default)]
    pub(super) wait_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanStatus {
    #[serde(default)]
    pub(super) run: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskAdd {
    pub(super) id: String,
    pub(super) goal: String,
    pub(super) prompt: String,
    #[serde(default)]
    pub(super) class: Option<String>,
    pub(super) test_command: Vec<String>,
    #[serde(default)]
    pub(super) context_files: Vec<String>,
    #[serde(default)]
    pub(super) depends_on: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskStatus {
    #[serde(default)]
    pub(super) id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Reads a call; the error is a sentence for the client.
pub(super) fn parse_call(name: &str, arguments: Option<JsonObject>) -> Result<ToolCall, String> {
    fn arguments_of<T: for<'a> Deserialize<'a>>(name: &str, value: Value) -> Result<T, String> {
        T::deserialize(value).map_err(|error| format!("arguments of `{name}`: {error}"))
    }
    let value = Value::Object(arguments.unwrap_or_default());
    Ok(match name {
        "run_command" => ToolCall::RunCommand(arguments_of(name, value)?),
        "checkpoint" => ToolCall::Checkpoint(arguments_of(name, value)?),
        "undo" => ToolCall::Undo(arguments_of(name, value)?),
        "list_checkpoints" => {
            let Nothing {} = arguments_of(name, value)?;
            ToolCall::ListCheckpoints
        }
        "explain_policy" => ToolCall::ExplainPolicy(arguments_of(name, value)?),
        "plan_run" => ToolCall::PlanRun(arguments_of(name, value)?),
        "plan_status" => ToolCall::PlanStatus(arguments_of(name, value)?),
        "task_add" => ToolCall::TaskAdd(arguments_of(name, value)?),
        "task_status" => ToolCall::TaskStatus(arguments_of(name, value)?),
        _ => return Err(format!("there is no tool `{name}`; tools/list names them")),
    })
}

/// Returns the tools.
pub(super) fn all() -> Vec<Tool> {
    let mut tools = for_commands();
    tools.extend(for_plans_and_tasks());
    tools
}

fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

fn texts(about: &str) -> Value {
    json!({ "type": "array", "items": { "type": "string" }, "description": about })
}

fn for_commands() -> Vec<Tool> {
    let kind = json!({ "type": "string", "enum": ["bash", "sh"], "description": "The shell; bash unless said otherwise." });
    vec![
        tool(
            "run_command",
            "Run a command of the shell in the project. It is judged by the policy first and confined by the sandbox; a refused \
             command does not run and the reason says why. Everything it starts is ended with it.",
            json!({
                "command": text("The command, one text for the shell."),
                "type": kind,
                "directory": text("Where it runs, relative to the root; the root unless said otherwise."),
                "timeout_seconds": { "type": "integer", "minimum": 1, "description": "How long it may take; never longer than the configuration allows." },
            }),
            &["command"],
            ToolAnnotations::new()
                .read_only(false)
                .destructive(true)
                .open_world(true),
        ),
        tool(
            "checkpoint",
            "Keep everything in the project as it is now, under a name, so that `undo` can return to it.",
            json!({ "name": text("The name of the checkpoint.") }),
            &["name"],
            ToolAnnotations::new()
                .read_only(false)
                .destructive(false)
                .open_world(false),
        ),
        tool(
            "undo",
            "Return the project to a checkpoint. What is there now is kept in a safety snapshot first, so an undo can be undone: \
             `to` = `safety/N` returns to a snapshot.",
            json!({ "to": text("A name, number or commit of a checkpoint, or `safety/N`; the newest checkpoint unless said otherwise.") }),
            &[],
            ToolAnnotations::new()
                .read_only(false)
                .destructive(true)
                .open_world(false),
        ),
        tool(
            "list_checkpoints",
            "List the checkpoints and safety snapshots of the project.",
            json!({}),
            &[],
            read_only(),
        ),
        tool(
            "explain_policy",
            "Say how the policy would judge a command, and why. Nothing runs.",
            json!({ "command": text("The command, one text for the shell."), "type": kind }),
            &["command"],
            read_only(),
        ),
    ]
}

fn for_plans_and_tasks() -> Vec<Tool> {
    vec![
        tool(
            "plan_run",
            "Start a plan (a YAML file of the project: a graph of commands) in the background; every task is judged and confined. \
             Returns the id of the run; `plan_status` says how it stands.",
            json!({
                "plan": text("The file of the plan, relative to the root."),
                "params": { "type": "object", "additionalProperties": { "type": "string" }, "description": "Values for the parameters of the plan." },
                "only": texts("Run only these tasks and what they depend on."),
                "wait_seconds": { "type": "integer", "minimum": 0, "description": "Wait so long for the end of the run and return how it ended; the run goes on when the time is over." },
            }),
            &["plan"],
            ToolAnnotations::new()
                .read_only(false)
                .destructive(true)
                .open_world(true),
        ),
        tool(
            "plan_status",
            "Say how a run of a plan stands.",
            json!({ "run": text("The id of the run; the newest unless said otherwise.") }),
            &[],
            read_only(),
        ),
        tool(
            "task_add",
            "Put a task for a coding agent on the list that a person starts with `tos task run .tos/mcp/tasks.json` or a night works on. \
             Nothing runs now. A task needs `id`, `goal`, `prompt` (say in it when the work is done) and `test_command`, which must \
             succeed at the end, for example {\"id\": \"T-1\", \"goal\": \"Dates before 1970 are read\", \"prompt\": \"src/date.py refuses \
             years before 1970. Read them too; add a test.\", \"test_command\": [\"python3\", \"-m\", \"pytest\", \"-q\"]}.",
            json!({
                "id": text("Letters, digits, `-` and `_`; unique in the list."),
                "goal": text("What it is for, in one line."),
                "prompt": text("What the agent is asked to do."),
                "class": { "type": "string", "enum": ["fix", "feature", "test", "deps", "refactor"], "description": "The kind of work; fix unless said otherwise." },
                "test_command": texts("The command that must succeed, as words, without a shell."),
                "context_files": texts("Files the agent reads first."),
                "depends_on": texts("Tasks of the list whose work this one needs."),
            }),
            &["id", "goal", "prompt", "test_command"],
            ToolAnnotations::new()
                .read_only(false)
                .destructive(false)
                .open_world(false),
        ),
        tool(
            "task_status",
            "Say which tasks are on the list and how tasks ended, from the record.",
            json!({ "id": text("Only this task.") }),
            &[],
            read_only(),
        ),
    ]
}

fn read_only() -> ToolAnnotations {
    ToolAnnotations::new().read_only(true).open_world(false)
}

fn tool(
    name: &'static str,
    about: &'static str,
    properties: Value,
    required: &[&str],
    hints: ToolAnnotations,
) -> Tool {
    let mut schema = JsonObject::new();
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), properties);
    schema.insert("required".into(), json!(required));
    schema.insert("additionalProperties".into(), false.into());
    Tool::new(name, about, schema).with_annotations(hints)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_that_is_offered_can_be_called_and_nothing_else() {
        for tool in all() {
            let required = tool.input_schema["required"].as_array().unwrap().clone();
            let given = required.iter().map(|name| {
                let name = name.as_str().unwrap();
                let is_list = tool.input_schema["properties"][name]["type"] == "array";
                (
                    name.to_owned(),
                    if is_list { json!(["x"]) } else { json!("x") },
                )
            });
            let mut given: JsonObject = given.collect();
            assert!(
                parse_call(&tool.name, Some(given.clone())).is_ok(),
                "{}",
                tool.name
            );
            given.insert("set".into(), "execution_policy.preset=open".into());
            let error = parse_call(&tool.name, Some(given)).unwrap_err();
            assert!(error.contains("unknown field `set`"), "{error}");
        }
        assert!(parse_call("shell", None).is_err());
    }
}
