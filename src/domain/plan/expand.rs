//! Parameters and matrices: how one written task becomes several, and `${{ params.x }}` becomes a value.
//!
//! Plans without parameters and tasks without a matrix are left alone to the last character, so that a command
//! may contain the brackets of somebody else's templates.

use std::collections::BTreeMap;

use crate::domain::plan::{
    field::{Field, only_known},
    node::{Entry, Fault, Mark, Node, Value},
    scalar::Meaning,
};

/// A matrix may become at most this many tasks.
const MAX_COMBINATIONS: usize = 10_000;

/// The values that may be named in a text.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope<'a> {
    params: Option<&'a BTreeMap<String, String>>,
    matrix: Vec<(&'a str, String)>,
}

impl<'a> Scope<'a> {
    pub(super) fn of_params(params: &'a BTreeMap<String, String>) -> Self {
        Self {
            params: (!params.is_empty()).then_some(params),
            matrix: Vec::new(),
        }
    }

    /// Returns the values of the matrix, as they are appended to a task's id.
    pub(super) fn suffix(&self) -> String {
        let clean = |c: char| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
                c
            } else {
                '_'
            }
        };
        let mut suffix = String::new();
        for (_, value) in &self.matrix {
            suffix.push('-');
            suffix.extend(value.chars().map(clean));
        }
        suffix
    }

    /// Returns `text` with every `${{ name }}` replaced.
    pub(super) fn fill(&self, text: &str, mark: Mark) -> Result<String, Fault> {
        if self.params.is_none() && self.matrix.is_empty() {
            return Ok(text.to_owned());
        }
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${{") {
            let Some((name, after)) = after.split_once("}}") else {
                return Err(Fault::new(mark, "`${{` is never closed").with("close it with `}}`"));
            };
            filled.push_str(before);
            filled.push_str(self.value(name.trim(), mark)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value(&self, name: &str, mark: Mark) -> Result<&str, Fault> {
        let found = match name.split_once('.') {
            Some(("params", key)) => self
                .params
                .and_then(|params| params.get(key))
                .map(String::as_str),
            Some(("matrix", key)) => self
                .matrix
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value.as_str()),
            _ => None,
        };
        found.ok_or_else(|| {
            let params = self
                .params
                .into_iter()
                .flatten()
                .map(|(key, _)| format!("params.{key}"));
            let matrix = self.matrix.iter().map(|(key, _)| format!("matrix.{key}"));
            let known: Vec<String> = params.chain(matrix).collect();
            Fault::new(
                mark,
                format!("`{name}` is neither a parameter nor a matrix value"),
            )
            .nearest(name, known.iter().map(String::as_str))
        })
    }
}

/// Reads the `params` of a plan, filled from what was `given` on the command line.
pub(super) fn params(
    root: &Node,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Fault> {
    let scope = Scope::default();
    let mut params = BTreeMap::new();
    let mut mark = root.mark;
    if let Some(node) = root.get("params").filter(|node| !node.is_null()) {
        mark = node.mark;
        let field = Field {
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
            Fault::new(mark, format!("the plan has no parameter `{key}`"))
                .nearest(key, params.keys().map(String::as_str)),
        ),
    }
}

fn param(entry: &Entry, given: Option<&String>, scope: &Scope<'_>) -> Result<String, Fault> {
    let owner = format!("parameter `{}`", entry.key);
    let Value::Map(details) = &entry.value.value else {
        let kind = kind_of(&entry.value, &entry.key)?;
        let default = plain_text(&entry.value);
        return given.map_or(Ok(default), |text| typed(kind, text, entry));
    };
    only_known(
        details,
        &["type", "default", "choices", "description"],
        &owner,
    )?;
    let field = |name| {
        entry.value.get(name).map(|node| Field {
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
        return Err(Fault::new(entry.value.mark, message)
            .nearest(&kind, ["string", "integer", "number", "boolean"]));
    }
    let Some(text) = given.cloned().or_else(|| default.map(plain_text)) else {
        let remedy = format!("pass `--param {}=VALUE`", entry.key);
        return Err(
            Fault::new(entry.mark, format!("{owner} has no value and no default")).with(remedy),
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
        return Err(Fault::new(entry.mark, message));
    }
    Ok(value)
}

fn kind_of(node: &Node, key: &str) -> Result<&'static str, Fault> {
    match node.meaning() {
        Some(Meaning::Text(_) | Meaning::Date) => Ok("string"),
        Some(Meaning::Int(_)) => Ok("integer"),
        Some(Meaning::Float(_)) => Ok("number"),
        Some(Meaning::Bool(_)) => Ok("boolean"),
        Some(Meaning::Null | Meaning::HugeInt) | None => {
            let message = format!(
                "parameter `{key}` needs a default or a mapping with `type`, found {}",
                node.shown()
            );
            Err(Fault::new(node.mark, message))
        }
    }
}

fn plain_text(node: &Node) -> String {
    match (&node.value, node.meaning()) {
        (_, Some(Meaning::Bool(value))) => value.to_string(),
        (_, Some(Meaning::Int(value))) => value.to_string(),
        (Value::Scalar { text, .. }, _) => text.to_string(),
        (Value::List(_) | Value::Map(_), _) => String::new(),
    }
}

fn typed(kind: &str, text: &str, entry: &Entry) -> Result<String, Fault> {
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
    Err(Fault::new(entry.mark, message))
}

/// Returns one scope for each combination of a task's matrix, or the plain one where it has none.
pub(super) fn combinations<'a>(
    node: Option<&'a Node>,
    scope: &Scope<'a>,
    owner: &str,
) -> Result<Vec<Scope<'a>>, Fault> {
    let plain = Scope::default();
    let Some(node) = node.filter(|node| !node.is_null()) else {
        return Ok(vec![scope.clone()]);
    };
    let field = Field {
        node,
        name: "matrix",
        owner,
        scope: &plain,
    };
    let mut scopes = vec![scope.clone()];
    let Value::Map(entries) = &node.value else {
        return Err(field.fault("must be a mapping"));
    };
    for entry in entries {
        let Value::List(values) = &entry.value.value else {
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
                if value.meaning().is_none() {
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
