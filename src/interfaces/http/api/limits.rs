//! What the description of the API says about values: where they begin and end, which words they may be, what may be left out.
//! The code that reads them decides; this says the same to whoever reads the description.

use serde_json::{Value, json};
use utoipa::openapi::OpenApi as Description;

use crate::domain::board::{AgentRole, BlockReason, Lane, TaskStatus};

/// Completes a description.
pub(super) fn add_constraints(description: &mut Description) {
    let Ok(mut all) = serde_json::to_value(&*description) else {
        return;
    };
    if let Some(paths) = all.get_mut("paths").and_then(Value::as_object_mut) {
        for (path, item) in paths {
            for (_, operation) in item.as_object_mut().into_iter().flatten() {
                complete(path, operation);
            }
        }
    }
    if let Some(schemas) = all.pointer_mut("/components/schemas") {
        bodies(schemas);
    }
    if let Ok(read) = serde_json::from_value(all) {
        *description = read;
    }
}

fn complete(path: &str, operation: &mut Value) {
    let parameters = operation.get_mut("parameters");
    for parameter in parameters
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let name = parameter["name"].as_str().unwrap_or_default().to_owned();
        let is_in_path = parameter["in"] == "path";
        let schema = parameter.get_mut("schema").and_then(Value::as_object_mut);
        if let Some(limits) = limits(path, &name, is_in_path)
            && let Some(schema) = schema
        {
            schema.extend(limits.as_object().cloned().unwrap_or_default());
        }
    }
    let body = operation.get_mut("requestBody");
    if let Some(body) = body.filter(|body| body["description"] == "may be left out") {
        body["required"] = json!(false);
    }
}

/// Returns what is said about a value.
fn limits(path: &str, name: &str, is_in_path: bool) -> Option<Value> {
    let number = |prefix: &str| json!({ "pattern": format!("^({prefix}-)?[0-9]{{1,19}}$") });
    let words = |words: Vec<&str>| json!({ "enum": words });
    let kind = path.split('/').nth(1).unwrap_or_default();
    Some(match (name, is_in_path) {
        ("id", true) => match kind {
            "tasks" | "runs" | "judgements" | "approvals" | "plans" | "sessions" => {
                number(kind.trim_end_matches('s'))
            }
            "logs" if path.starts_with("/logs/sessions/") => number("session"),
            _ => json!({ "pattern": "^[a-z0-9-]{1,40}$" }),
        },
        ("name", true) => json!({ "pattern": "^[a-z0-9-]{1,40}$" }),
        ("artifact", true) => words(vec!["commit", "diff", "log"]),
        ("taskId", false) => number("task"),
        ("cursor", false) => json!({ "pattern": "^b[0-9]{1,19}$" }),
        ("limit", false) if path == "/logs/all" => json!({ "minimum": 1, "maximum": 20_000 }),
        ("limit", false) => json!({ "minimum": 1, "maximum": 500 }),
        ("lines", false) => json!({ "minimum": 1, "maximum": 2000 }),
        ("status", false) if kind == "runs" => {
            words(vec!["running", "success", "failed", "cancelled"])
        }
        ("status", false) => words(TaskStatus::ALL.iter().map(|one| one.as_str()).collect()),
        ("blockReason", false) => words(BlockReason::ALL.iter().map(|one| one.as_str()).collect()),
        ("role", false) => words(AgentRole::ALL.iter().map(|one| one.as_str()).collect()),
        ("lane", false) => {
            let all = [
                Lane::Feature,
                Lane::ConflictRecovery,
                Lane::Docser,
                Lane::Research,
            ];
            words(all.iter().map(|one| one.as_str()).collect())
        }
        _ => return None,
    })
}

/// Properties of bodies that are not just any text or number, by body.
const TEXTS: &[(&str, &[&str])] = &[
    (
        "TaskInput",
        &[
            "title",
            "class",
            "role",
            "lane",
            "risk",
            "priority",
            "timeboxMinutes",
            "status",
        ],
    ),
    ("NewPlan", &["content"]),
];

/// Says what a property of a body may be; each of them may be left out where its type says so.
fn say(schemas: &mut Value, body: &str, property: &str) {
    let words = |words: &[&str]| {
        let words = words.iter().map(|word| json!(word));
        json!({ "enum": words.chain([Value::Null]).collect::<Vec<_>>() })
    };
    let said = match property {
        "title" => json!({ "pattern": r"^[^\n]*[^\s][^\n]*$", "maxLength": 300 }),
        "content" => json!({ "pattern": r"[^\s]" }),
        "class" => words(&["", "fix", "feature", "test", "deps", "refactor"]),
        "role" => words(&["worker", "tester", "docser"]),
        "lane" => words(&["feature", "conflict_recovery", "docser", "research"]),
        "risk" => words(&["low", "medium", "high"]),
        "status" => words(&["cancelled", "queued"]),
        "priority" => json!({ "minimum": -1000, "maximum": 1000 }),
        "timeboxMinutes" => json!({ "minimum": 0, "maximum": 10_080 }),
        _ => return,
    };
    let schema = schemas.pointer_mut(&format!("/{body}/properties/{property}"));
    if let (Some(schema), Value::Object(said)) = (schema.and_then(Value::as_object_mut), said) {
        schema.extend(said);
    }
}

/// What is said about bodies.
fn bodies(schemas: &mut Value) {
    let on_fail = schemas.pointer_mut("/DependencyView/properties/onFail");
    if let Some(schema) = on_fail.and_then(Value::as_object_mut) {
        schema.insert("type".to_owned(), json!("string"));
        schema.insert("enum".to_owned(), json!(["block", "continue"]));
    }
    for (name, values) in TEXTS {
        for property in *values {
            say(schemas, name, property);
        }
    }
    let changes = schemas.get_mut("Changes").and_then(Value::as_object_mut);
    if let Some(changes) = changes {
        changes.insert("minProperties".to_owned(), json!(1));
    }
}
