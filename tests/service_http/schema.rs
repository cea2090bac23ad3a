//! Whether an answer is what the description of the API says.

use serde_json::Value;

/// Returns the operation of a description that answers a request: its path and what it says.
pub(crate) fn operation<'d>(
    description: &'d Value,
    method: &str,
    path: &str,
) -> Option<(&'d str, &'d Value)> {
    let path = path.split('?').next().unwrap();
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let wanted: Vec<&str> = template.split('/').collect();
        wanted.len() == parts.len()
            && wanted
                .iter()
                .zip(&parts)
                .all(|(wanted, part)| wanted.starts_with('{') || wanted == part)
    };
    let paths = description["paths"].as_object().unwrap();
    let mut fitting: Vec<&String> = paths.keys().filter(|template| fits(template)).collect();
    // A path without variable parts goes first.
    fitting.sort_by_key(|template| template.matches('{').count());
    fitting.into_iter().find_map(|template| {
        let found = paths[template].get(method.to_lowercase())?;
        Some((template.as_str(), found))
    })
}

/// Returns what is wrong with an answer.
pub(crate) fn faults(
    description: &Value,
    operation: &Value,
    status: u16,
    body: &Value,
) -> Vec<String> {
    let responses = &operation["responses"];
    let answer = responses
        .get(status.to_string())
        .or_else(|| responses.get("default").filter(|_| status >= 400));
    let Some(answer) = answer else {
        return vec![format!("status {status} is not described")];
    };
    let mut faults = Vec::new();
    let schema = &answer["content"]["application/json"]["schema"];
    if schema.is_null() {
        faults.push(format!("a JSON body is not described for {status}"));
    }
    check(description, schema, body, "", &mut faults);
    faults
}

fn check(all: &Value, schema: &Value, value: &Value, place: &str, faults: &mut Vec<String>) {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let found = all.pointer(name.trim_start_matches('#'));
        match found {
            Some(found) => check(all, found, value, place, faults),
            None => faults.push(format!("{place}: {name} does not exist")),
        }
        return;
    }
    if let Some(one) = schema.get("oneOf").and_then(Value::as_array) {
        let fits = one.iter().any(|schema| {
            let mut inside = Vec::new();
            check(all, schema, value, place, &mut inside);
            inside.is_empty()
        });
        if !fits {
            faults.push(format!("{place}: {value} is none of {one:?}"));
        }
    }
    if let Some(kind) = schema.get("type") {
        let names: Vec<&str> = match kind {
            Value::String(one) => vec![one],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let is = |name: &&str| match *name {
            "null" => value.is_null(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => false,
        };
        if !names.iter().any(is) {
            faults.push(format!("{place}: {value} is not {names:?}"));
            return;
        }
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        for (at, value) in values.iter().enumerate() {
            check(all, items, value, &format!("{place}[{at}]"), faults);
        }
    }
    let Some(object) = value.as_object() else {
        return;
    };
    for name in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if !object.contains_key(name.as_str().unwrap()) {
            faults.push(format!("{place}: {name} is missing"));
        }
    }
    if let Some(known) = schema.get("properties").and_then(Value::as_object) {
        for (name, value) in object {
            match known.get(name) {
                Some(schema) => check(all, schema, value, &format!("{place}.{name}"), faults),
                None => faults.push(format!("{place}.{name} is not described")),
            }
        }
    }
}

#[test]
fn a_wrong_answer_is_found() {
    let description: Value = serde_json::json!({
        "paths": {"/a/{id}": {"get": {"responses": {"200": {"content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/A"}}}}}}}},
        "components": {"schemas": {"A": {"type": "object", "required": ["n"], "properties": {
            "n": {"type": "integer"}, "s": {"type": ["string", "null"]}, "l": {"type": "array", "items": {"type": "string"}}}}}},
    });
    let (path, found) = operation(&description, "GET", "/a/7?x=1").unwrap();
    assert_eq!(path, "/a/{id}");
    let wrong = |value: Value| faults(&description, found, 200, &value).len();
    assert_eq!(wrong(serde_json::json!({"n": 1, "s": null, "l": ["x"]})), 0);
    assert_eq!(wrong(serde_json::json!({"n": "1"})), 1);
    assert_eq!(wrong(serde_json::json!({"s": 1, "more": 2})), 3);
    assert_eq!(wrong(serde_json::json!({"n": 1, "l": [1]})), 1);
    assert_eq!(faults(&description, found, 201, &Value::Null).len(), 1);
}
