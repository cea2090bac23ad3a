//! `schema`: the JSON Schema of plans, so that editors complete and check them.

use serde_json::{Value, json};

use super::PlanCliError;
use crate::{
    domain::{
        plan::{read, when},
        tasks::CLASSES,
    },
    interfaces::{cli::exit::CliExit, report::Printer},
};

/// Prints the schema.
pub(super) fn schema() -> Result<CliExit, PlanCliError> {
    let text = serde_json::to_string_pretty(&document()).map_err(std::io::Error::from)?;
    Printer::raw(&format!("{text}\n"));
    Ok(CliExit::Success)
}

fn document() -> Value {
    let text = json!({"type": ["string", "null"], "minLength": 1});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tos plan",
        "type": "object",
        "required": ["tasks"],
        "patternProperties": {"^x-": {}},
        "additionalProperties": false,
        "properties": {
            "goal": text,
            "artifacts_dir": text,
            "tasks": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/task"}},
            "on_failure": {"oneOf": [
                {"type": "array", "items": {"$ref": "#/$defs/task"}},
                {"enum": ["stop", "retry_then_stop", "retry_then_skip_dependents"]},
            ]},
            "defaults": defaults(),
            "params": {"type": "object"},
            "max_parallel": {"type": "integer", "minimum": 1},
            "resources": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}},
            "include": {"type": ["string", "array"], "items": {"type": "string"}},
            "policy": {"enum": ["off", "minimal", "enforce", false]},
            "origin": {"enum": ["person", "model"]},
            "id": {"type": "string", "maxLength": 60, "description": "name of a plan of agents; the file's name if absent"},
            "agent": agent(),
            "test_command": {"type": ["array", "string"], "items": {"type": "string"}},
            "allowed_imports": {"type": ["string", "array"], "items": {"type": "string"}},
            "banned_patterns": {"type": ["string", "array"], "items": {"type": "string"}},
            "limits": limits(),
            "sandbox": {"enum": ["auto", "require", "off", false]},
            "test_seconds": {"type": "integer", "minimum": 1},
            "test_idle_seconds": {"type": "integer", "minimum": 0},
            "grace_seconds": {"type": "integer", "minimum": 0},
            "share": {"type": ["string", "array"], "items": {"type": "string"}},
            "share_files": {"type": ["string", "array"], "items": {"type": "string"}},
            "disk_mb": {"type": "integer", "minimum": 1},
            "full_test_command": {"type": ["array", "string"], "items": {"type": "string"}},
            "full_test_seconds": {"type": "integer", "minimum": 1},
            "max_usd": {"type": "integer", "minimum": 1},
            "real": {"type": "boolean"},
        },
        "$defs": {"task": task()},
    })
}

fn defaults() -> Value {
    let all = fields();
    let chosen = read::DEFAULT_FIELDS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), all.get(*name)?.clone())));
    json!({"type": "object", "patternProperties": {"^x-": {}}, "additionalProperties": false, "properties": Value::Object(chosen.collect())})
}

fn task() -> Value {
    json!({
        "type": "object",
        "required": ["id"],
        "oneOf": [{"required": ["cmd"]}, {"required": ["shell"]}, {"required": ["job"]}, {"required": ["prompt"]}],
        "patternProperties": {"^x-": {}},
        "additionalProperties": false,
        "properties": fields(),
    })
}

fn agent() -> Value {
    let texts = json!({"type": "array", "items": {"type": "string"}});
    json!({"oneOf": [
        {"enum": ["claude", "codex", "job"]},
        {
            "type": "object",
            "required": ["kind"],
            "additionalProperties": false,
            "properties": {
                "kind": {"enum": ["claude", "codex", "command", "job"]},
                "args": texts,
                "model": {"type": "string"},
                "max_budget_usd": {"type": "integer", "minimum": 1},
                "credentials": texts,
                "hosts": texts,
                "environment": texts,
                "check": texts,
            },
        },
    ]})
}

fn limits() -> Value {
    let whole = json!({"type": "integer", "minimum": 1});
    json!({"type": "object", "additionalProperties": false, "properties": {
        "files": whole, "lines": whole, "created": whole, "bytes": whole,
    }})
}

fn fields() -> Value {
    let texts = json!({"type": ["array", "null"], "items": {"type": "string", "minLength": 1}});
    let one_or_more = json!({"type": ["string", "array", "null"], "items": {"type": "string"}});
    let text = json!({"type": ["string", "null"], "minLength": 1});
    json!({
        "id": {"type": "string", "maxLength": 128, "description": "letters, digits, `.`, `_`, `-`; unique without regard to case"},
        "cmd": {"type": ["array", "string"], "items": {"type": "string"}, "description": "program and arguments; no shell"},
        "shell": {"type": "string", "description": "a text for /bin/sh -c"},
        "job": {"type": ["string", "object"], "description": "a tos job: its root, or {root, config, args}"},
        "depends_on": texts,
        "cwd": text,
        "env": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
        "env_file": one_or_more,
        "env_policy": {"enum": ["inherit", "minimal"]},
        "stdin": {"type": ["string", "object"], "properties": {"file": {"type": "string"}}},
        "timeout_sec": {"type": ["number", "null"], "exclusiveMinimum": 0},
        "idle_timeout_sec": {"type": ["number", "null"], "exclusiveMinimum": 0, "description": "ends an attempt that has done nothing for this long"},
        "grace_seconds": {"type": ["number", "null"], "minimum": 0, "description": "time to end after the request to; 10 if absent"},
        "retries": {"type": "integer", "minimum": 0},
        "retry_backoff_sec": {"type": "array", "items": {"type": "number", "minimum": 0}},
        "outputs": texts,
        "needs_files": one_or_more,
        "needs_labels": one_or_more,
        "when": {"type": "string", "description": format!("an expression of {}", when::WORDS.join(", "))},
        "matrix": {"type": "object", "additionalProperties": {"type": "array", "minItems": 1}},
        "resources": {"type": ["object", "array", "string"]},
        "priority": {"type": "integer"},
        "allow_failure": {"type": "boolean"},
        "agent": agent(),
        "goal": {"type": "string", "description": "what it is for, in one line; the prompt's first if absent"},
        "prompt": {"type": "string", "description": "what an agent is asked to do"},
        "class": {"enum": CLASSES},
        "test_command": {"type": ["array", "string"], "items": {"type": "string"}, "description": "must succeed; no shell"},
        "context_files": one_or_more,
        "max_time_seconds": {"type": "integer", "minimum": 1},
        "allowed_imports": one_or_more,
        "banned_patterns": one_or_more,
        "may_change_checks": one_or_more,
        "limits": limits(),
        "cache": {"type": ["boolean", "object"], "properties": {"inputs": texts, "env": texts}},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_knows_exactly_the_fields_the_reader_knows() {
        let keys = |value: &Value| -> Vec<String> {
            let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
            keys.sort();
            keys
        };
        let sorted = |names: &[&str]| {
            let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            names.sort();
            names
        };
        let document = document();
        assert_eq!(keys(&document["properties"]), sorted(read::PLAN_FIELDS));
        assert_eq!(
            keys(&document["$defs"]["task"]["properties"]),
            sorted(read::TASK_FIELDS)
        );
        assert_eq!(
            keys(&document["properties"]["defaults"]["properties"]),
            sorted(read::DEFAULT_FIELDS)
        );
    }
}
