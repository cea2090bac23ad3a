//! The checks of a done condition: from JSON to values, every fault named.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::{
    config::{
        error::PathSegment,
        paths,
        value_error::{ValueError, brief, regex_error},
    },
    domain::job::rules::DoneCheck,
};

const KEYS: [&str; 6] = [
    "file",
    "contains",
    "matches",
    "exists",
    "command",
    "exit_code",
];
const REMEDY: &str =
    "write for example {\"file\": \"workspace/results/report.txt\", \"contains\": [\"total:\"]}";

/// Returns the checks, or everything that is wrong with them. `root` is canonical.
pub(crate) fn parse(value: &Value, root: &Path) -> Result<Vec<DoneCheck>, Vec<ValueError>> {
    let Some(items) = value.as_array().filter(|items| !items.is_empty()) else {
        let problem = format!(
            "expected a list of checks, at least one, found {}",
            brief(value)
        );
        return Err(vec![ValueError::new(problem, REMEDY)]);
    };
    let (mut checks, mut faults) = (Vec::new(), Vec::new());
    for (at, item) in items.iter().enumerate() {
        match parse_one(item, root) {
            Ok(check) => checks.push(check),
            Err(wrong) => faults.extend(wrong.into_iter().map(|w| w.below(PathSegment::Index(at)))),
        }
    }
    if faults.is_empty() {
        Ok(checks)
    } else {
        Err(faults)
    }
}

fn parse_one(item: &Value, root: &Path) -> Result<DoneCheck, Vec<ValueError>> {
    let Some(object) = item.as_object() else {
        let problem = format!("expected an object, found {}", brief(item));
        return Err(vec![ValueError::new(problem, REMEDY)]);
    };
    let unknown: Vec<ValueError> = object.keys().filter_map(|name| unknown_key(name)).collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    if object.contains_key("command") {
        command(object)
    } else {
        file(object, root)
    }
}

fn unknown_key(name: &str) -> Option<ValueError> {
    if KEYS.contains(&name) {
        return None;
    }
    let near = KEYS
        .iter()
        .max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)))
        .unwrap_or(&"file");
    let problem = format!(
        "not a known key of a check (known: {}; nearest: `{near}`)",
        KEYS.join(", ")
    );
    Some(ValueError::new(problem, "rename or remove it").below(PathSegment::Key(name.into())))
}

fn command(object: &Map<String, Value>) -> Result<DoneCheck, Vec<ValueError>> {
    let mut faults = Vec::new();
    for other in ["file", "contains", "matches", "exists"] {
        if object.contains_key(other) {
            let problem = "does not go together with `command`";
            faults.push(
                ValueError::new(problem, "make two checks of it")
                    .below(PathSegment::Key(other.into())),
            );
        }
    }
    let argv = texts(object, "command").unwrap_or_else(|wrong| {
        faults.push(wrong);
        Vec::new()
    });
    let exit_code = match object
        .get("exit_code")
        .map(|v| v.as_i64().map(i32::try_from))
    {
        None => 0,
        Some(Some(Ok(code))) => code,
        Some(_) => {
            let wrong = ValueError::new("expected a whole number", "write for example 0");
            faults.push(wrong.below(PathSegment::Key("exit_code".into())));
            0
        }
    };
    if faults.is_empty() {
        Ok(DoneCheck::Command { argv, exit_code })
    } else {
        Err(faults)
    }
}

fn file(object: &Map<String, Value>, root: &Path) -> Result<DoneCheck, Vec<ValueError>> {
    let below = |name: &str, wrong: ValueError| vec![wrong.below(PathSegment::Key(name.into()))];
    if object.contains_key("exit_code") {
        let wrong = ValueError::new("goes only with `command`", "remove it");
        return Err(below("exit_code", wrong));
    }
    let Some(text) = object.get("file").and_then(Value::as_str) else {
        let problem = "a check needs `file` (a path below the root) or `command` (a list of words)";
        return Err(vec![ValueError::new(problem, REMEDY)]);
    };
    let file = paths::checked_path(root, text).map_err(|wrong| below("file", wrong))?;
    let aspects: Vec<&str> = ["contains", "matches", "exists"]
        .into_iter()
        .filter(|name| object.contains_key(*name))
        .collect();
    match aspects.as_slice() {
        ["contains"] => {
            let texts = texts(object, "contains").map_err(|wrong| vec![wrong])?;
            Ok(DoneCheck::Contains { file, texts })
        }
        ["matches"] => {
            let pattern = pattern(object).map_err(|wrong| below("matches", wrong))?;
            Ok(DoneCheck::Matches { file, pattern })
        }
        ["exists"] => {
            let wrong = || ValueError::new("expected true or false", "write for example true");
            let exists = object.get("exists").and_then(Value::as_bool);
            let exists = exists.ok_or_else(|| below("exists", wrong()))?;
            Ok(DoneCheck::Exists { file, exists })
        }
        _ => {
            let problem = "a check of a file needs exactly one of `contains`, `matches`, `exists`";
            Err(vec![ValueError::new(problem, REMEDY)])
        }
    }
}

/// Returns the list of texts under `name`: at least one, none empty.
fn texts(object: &Map<String, Value>, name: &str) -> Result<Vec<String>, ValueError> {
    let value = object.get(name).unwrap_or(&Value::Null);
    let texts: Option<Vec<String>> = value.as_array().and_then(|items| {
        items
            .iter()
            .map(|item| item.as_str().filter(|t| !t.is_empty()).map(str::to_owned))
            .collect()
    });
    texts.filter(|texts| !texts.is_empty()).ok_or_else(|| {
        let problem = format!(
            "expected a list of texts that are not empty, at least one, found {}",
            brief(value)
        );
        ValueError::new(problem, "write for example [\"total:\"]")
            .below(PathSegment::Key(name.into()))
    })
}

fn pattern(object: &Map<String, Value>) -> Result<String, ValueError> {
    let Some(pattern) = object.get("matches").and_then(Value::as_str) else {
        return Err(ValueError::new(
            "expected a regular expression",
            "write for example \"total: [0-9]+\"",
        ));
    };
    regex_error(pattern).map_or_else(|| Ok(pattern.to_owned()), Err)
}

/// Returns the JSON Schema of the list of checks.
pub(crate) fn schema() -> Value {
    let texts =
        json!({"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}});
    let check = |required: [&str; 2], properties: Value| {
        json!({"type": "object", "additionalProperties": false,
            "required": required, "properties": properties})
    };
    let path = json!({"type": "string", "minLength": 1});
    json!({"type": "array", "minItems": 1, "items": {"oneOf": [
        check(["file", "contains"], json!({"file": path, "contains": texts})),
        check(["file", "matches"], json!({"file": path, "matches": {"type": "string", "format": "regex"}})),
        check(["file", "exists"], json!({"file": path, "exists": {"type": "boolean"}})),
        {"type": "object", "additionalProperties": false, "required": ["command"],
            "properties": {"command": texts, "exit_code": {"type": "integer"}}},
    ]}})
}
