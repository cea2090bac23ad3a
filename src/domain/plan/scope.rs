//! The values that may be named in a text of a plan, and putting them in.

use std::collections::BTreeMap;

use crate::domain::plan::node::{PlanError, SourcePosition};

/// The values that may be named in a text.
#[derive(Debug, Clone, Default)]
pub(super) struct VariableScope<'a> {
    params: Option<&'a BTreeMap<String, String>>,
    pub(super) matrix: Vec<(&'a str, String)>,
}

impl<'a> VariableScope<'a> {
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
    pub(super) fn interpolate(
        &self,
        text: &str,
        mark: SourcePosition,
    ) -> Result<String, PlanError> {
        if self.params.is_none() && self.matrix.is_empty() {
            return Ok(text.to_owned());
        }
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${{") {
            let Some((name, after)) = after.split_once("}}") else {
                return Err(
                    PlanError::new(mark, "`${{` is never closed").with_remedy("close it with `}}`")
                );
            };
            filled.push_str(before);
            filled.push_str(self.value(name.trim(), mark)?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value(&self, name: &str, mark: SourcePosition) -> Result<&str, PlanError> {
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
            PlanError::new(
                mark,
                format!("`{name}` is neither a parameter nor a matrix value"),
            )
            .with_suggestions(name, known.iter().map(String::as_str))
        })
    }
}
