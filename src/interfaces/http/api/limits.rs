//! What the description of the API says about values: where they begin and end, which words they may be, what may be left out.
//! The code that reads them decides; this says the same to whoever reads the description.

use serde_json::{Value, json};
use utoipa::openapi::OpenApi as Description;

use crate::domain::board::{BlockReason, Lane, Role, TaskStatus};

/// Completes a description.
pub(super) fn describe(description: &mut Description) {
    let Ok(mut all) = serde_json::to_value(&*description) else {
        return;
    };
    if let Some(paths) = all["paths"].as_object_mut() {
        for (path, item) in paths {
            for operation in item
                .as_object_mut()
                .into_iter()
                .flatten()
                .map(|(_, one)| one)
            {
                complete(path, operation);
            }
        }
    }
    bodies(&mut all["components"]["schemas"]);
    if let Ok(read) = serde_json::from_value(all) {
        *description = read;
    }
}

fn complete(path: &str, operation: &mut Value) {
    for parameter in operation["parameters"].as_array_mut().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default().to_owned();
        let is_in_path = parameter["in"] == "path";
        let Some(schema) = parameter["schema"].as_object_mut() else {
            continue;
        };
        if let Some(limits) = limits(path, &name, is_in_path) {
            schema.extend(limits.as_object().cloned().unwrap_or_default());
        }
    }
    let body = &mut operation["requestBody"];
    if body["description"] == "may be left out" {
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
            "tasks" | "runs" | "judgements" | "approvals" => number(kind.trim_end_matches('s')),
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
        ("role", false) => words(Role::ALL.iter().map(|one| one.as_str()).collect()),
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

/// What is said about bodies.
fn bodies(schemas: &mut Value) {
    if let Some(schema) = schemas["DependencyView"]["properties"]["onFail"].as_object_mut() {
        schema.insert("type".to_owned(), json!("string"));
        schema.insert("enum".to_owned(), json!(["block", "continue"]));
    }
    if let Some(changes) = schemas["Changes"].as_object_mut() {
        changes.insert("minProperties".to_owned(), json!(1));
    }
}
