//! `schema`: the JSON Schema of plans, so that editors complete and check them.

use serde_json::{Value, json};

use super::Trouble;
use crate::{
    domain::plan::{read, when},
    interfaces::{cli::exit::Exit, report::Printer},
};

/// Prints the schema.
pub(super) fn schema() -> Result<Exit, Trouble> {
    let text = serde_json::to_string_pretty(&document()).map_err(std::io::Error::from)?;
    Printer::raw(&format!("{text}\n"));
    Ok(Exit::Success)
}

fn document() -> Value {
    let text = json!({"type": ["string", "null"], "minLength": 1});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tos plan",
        "type": "object",
        "required": ["tasks"],
        "additionalProperties": false,
        "properties": {
            "goal": text,
            "artifacts_dir": text,
            "tasks": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/task"}},
            "on_failure": {"type": "array", "items": {"$ref": "#/$defs/task"}},
            "defaults": defaults(),
            "params": {"type": "object"},
            "max_parallel": {"type": "integer", "minimum": 1},
            "resources": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}},
            "include": {"type": ["string", "array"], "items": {"type": "string"}},
            "policy": {"enum": ["off", "enforce", false]},
            "origin": {"enum": ["person", "model"]},
        },
        "$defs": {"task": task()},
    })
}

fn defaults() -> Value {
    let all = fields();
    let chosen = read::DEFAULT_FIELDS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), all.get(*name)?.clone())));
    json!({"type": "object", "additionalProperties": false, "properties": Value::Object(chosen.collect())})
}

fn task() -> Value {
    json!({
        "type": "object",
        "required": ["id"],
        "oneOf": [{"required": ["cmd"]}, {"required": ["shell"]}, {"required": ["job"]}],
        "additionalProperties": false,
        "properties": fields(),
    })
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
        "retries": {"type": "integer", "minimum": 0},
        "retry_backoff_sec": {"type": "array", "items": {"type": "number", "minimum": 0}},
        "outputs": texts,
        "needs_files": one_or_more,
        "when": {"type": "string", "description": format!("an expression of {}", when::WORDS.join(", "))},
        "matrix": {"type": "object", "additionalProperties": {"type": "array", "minItems": 1}},
        "resources": {"type": ["object", "array", "string"]},
        "priority": {"type": "integer"},
        "allow_failure": {"type": "boolean"},
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
