//! Parameters and matrices: how one written task becomes several, and `${{ params.x }}` becomes a value.
//!
//! Plans without parameters and tasks without a matrix are left alone to the last character, so that a command
//! may contain the brackets of somebody else's templates.

use std::collections::BTreeMap;

use crate::domain::plan::{
    field::{PlanField, reject_unknown_fields},
    node::{PlanError, YamlEntry, YamlNode, YamlValue},
    scalar::ScalarValue,
    scope::VariableScope,
};

/// A matrix may become at most this many tasks.
const MAX_COMBINATIONS: usize = 10_000;

/// Reads the `params` of a plan, filled from what was `given` on the command line.
pub(super) fn params(
    root: &YamlNode,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, PlanError> {
    let scope = VariableScope::default();
    let mut params = BTreeMap::new();
    let mut mark = root.mark;
    if let Some(node) = root.get("params").filter(|node| !node.is_null()) {
        mark = node.mark;
        let field = PlanField {
            node,
            name: "params",
            owner: "the plan",
            scope: &scope,
        };
        for entry in field.map()? {
            params.insert(
                entry.key.to_string(),
                param(entry, given.get(&*entry.key), &scope)?,
            );
        }
    }
    match given.keys().find(|key| !params.contains_key(*key)) {
        None => Ok(params),
        Some(key) => Err(
            PlanError::new(mark, format!("the plan has no parameter `{key}`"))
                .with_suggestions(key, params.keys().map(String::as_str)),
        ),
    }
}

fn param(
    entry: &YamlEntry,
    given: Option<&String>,
    scope: &VariableScope<'_>,
) -> Result<String, PlanError> {
    let owner = format!("parameter `{}`", entry.key);
    let YamlValue::Map(details) = &entry.value.value else {
        let kind = kind_of(&entry.value, &entry.key)?;
        let default = plain_text(&entry.value);
        return given.map_or(Ok(default), |text| typed(kind, text, entry));
    };
    reject_unknown_fields(
        details,
        &["type", "default", "choices", "description"],
        &owner,
    )?;
    let field = |name| {
        entry.value.get(name).map(|node| PlanField {
            node,
            name,
            owner: &owner,
            scope,
        })
    };
    let default = entry.value.get("default").filter(|node| !node.is_null());
    let kind = match (field("type"), default) {
        (Some(kind), _) => kind.text()?,
        (None, Some(default)) => kind_of(default, &entry.key)?.to_owned(),
        (None, None) => "string".to_owned(),
    };
    if !["string", "integer", "number", "boolean"].contains(&kind.as_str()) {
        let message = format!("{owner} has the unknown type `{kind}`");
        return Err(PlanError::new(entry.value.mark, message)
            .with_suggestions(&kind, ["string", "integer", "number", "boolean"]));
    }
    let Some(text) = given.cloned().or_else(|| default.map(plain_text)) else {
        let remedy = format!("pass `--param {}=VALUE`", entry.key);
        return Err(
            PlanError::new(entry.mark, format!("{owner} has no value and no default"))
                .with_remedy(remedy),
        );
    };
    let value = typed(&kind, &text, entry)?;
    let choices = match field("choices") {
        Some(choices) => choices.list()?.iter().map(plain_text).collect(),
        None => Vec::new(),
    };
    if !choices.is_empty() && !choices.contains(&value) {
        let message = format!(
            "{owner} must be one of {}, found `{value}`",
            choices.join(", ")
        );
        return Err(PlanError::new(entry.mark, message));
    }
    Ok(value)
}

fn kind_of(node: &YamlNode, key: &str) -> Result<&'static str, PlanError> {
    match node.scalar_value() {
        Some(ScalarValue::Text(_) | ScalarValue::Date) => Ok("string"),
        Some(ScalarValue::Int(_)) => Ok("integer"),
        Some(ScalarValue::Float(_)) => Ok("number"),
        Some(ScalarValue::Bool(_)) => Ok("boolean"),
        Some(ScalarValue::Null | ScalarValue::HugeInt) | None => {
            let message = format!(
                "parameter `{key}` needs a default or a mapping with `type`, found {}",
                node.display_short()
            );
            Err(PlanError::new(node.mark, message))
        }
    }
}

fn plain_text(node: &YamlNode) -> String {
    match (&node.value, node.scalar_value()) {
        (_, Some(ScalarValue::Bool(value))) => value.to_string(),
        (_, Some(ScalarValue::Int(value))) => value.to_string(),
        (YamlValue::Scalar { text, .. }, _) => text.to_string(),
        (YamlValue::List(_) | YamlValue::Map(_), _) => String::new(),
    }
}

fn typed(kind: &str, text: &str, entry: &YamlEntry) -> Result<String, PlanError> {
    let fits = match kind {
        "integer" => text.parse::<i64>().is_ok(),
        "number" => text.parse::<f64>().is_ok_and(f64::is_finite),
        "boolean" => matches!(text, "true" | "false"),
        _ => !text.contains('\0'),
    };
    if fits {
        return Ok(text.to_owned());
    }
    let message = format!(
        "parameter `{}` must be of type {kind}, found `{text}`",
        entry.key
    );
    Err(PlanError::new(entry.mark, message))
}

/// Returns one scope for each combination of a task's matrix, or the plain one where it has none.
pub(super) fn combinations<'a>(
    node: Option<&'a YamlNode>,
    scope: &VariableScope<'a>,
    owner: &str,
) -> Result<Vec<VariableScope<'a>>, PlanError> {
    let plain = VariableScope::default();
    let Some(node) = node.filter(|node| !node.is_null()) else {
        return Ok(vec![scope.clone()]);
    };
    let field = PlanField {
        node,
        name: "matrix",
        owner,
        scope: &plain,
    };
    let mut scopes = vec![scope.clone()];
    let YamlValue::Map(entries) = &node.value else {
        return Err(field.fault("must be a mapping"));
    };
    for entry in entries {
        let YamlValue::List(values) = &entry.value.value else {
            return Err(field
                .at(&entry.value)
                .fault("must be a list of values for each name"));
        };
        if values.is_empty() {
            return Err(field
                .at(&entry.value)
                .fault("needs at least one value for each name"));
        }
        if scopes.len().saturating_mul(values.len()) > MAX_COMBINATIONS {
            return Err(field.fault(&format!("makes more than {MAX_COMBINATIONS} tasks")));
        }
        let mut next = Vec::with_capacity(scopes.len() * values.len());
        for scope in &scopes {
            for value in values {
                if value.scalar_value().is_none() {
                    return Err(field.at(value).fault("may only have plain values"));
                }
                let mut scope = scope.clone();
                scope.matrix.push((&entry.key, plain_text(value)));
                next.push(scope);
            }
        }
        scopes = next;
    }
    Ok(scopes)
}
