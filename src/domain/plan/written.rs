//! A task as it is written, with the defaults of its file behind it.

use crate::domain::plan::{
    field::PlanField,
    node::{PlanError, YamlEntry, YamlNode, YamlValue},
    words,
};

/// A written task on its way to becoming one or several.
#[derive(Clone, Copy)]
pub(super) struct WrittenTask<'a> {
    pub(super) own: &'a [YamlEntry],
    pub(super) defaults: Option<&'a YamlNode>,
}

impl<'a> WrittenTask<'a> {
    pub(super) fn own(&self, key: &str) -> Option<&'a YamlNode> {
        self.own
            .iter()
            .find(|entry| &*entry.key == key)
            .map(|entry| &entry.value)
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a YamlNode> {
        self.own(key).or_else(|| self.default_value(key))
    }

    /// Returns what the task itself says.
    pub(super) const fn entries(&self) -> &'a [YamlEntry] {
        self.own
    }

    /// Returns what holds for it because its file says so for all.
    pub(super) fn default_entries(&self) -> &'a [YamlEntry] {
        match self.defaults.map(|defaults| &defaults.value) {
            Some(YamlValue::Map(entries)) => entries,
            Some(YamlValue::Scalar { .. } | YamlValue::List(_)) | None => &[],
        }
    }

    pub(super) fn default_value(&self, key: &str) -> Option<&'a YamlNode> {
        self.defaults.and_then(|defaults| defaults.get(key))
    }
}

/// Splits a command that is written as one text, which no shell will see.
pub(super) fn program_words(field: &PlanField<'_>) -> Result<Vec<String>, PlanError> {
    let text = field.any_text()?;
    match words::find_shell_syntax(&text) {
        None => words::split_words(&text).map_err(|error| field.fault(&error.to_string())),
        Some(part) => Err(field
            .fault(&format!("has `{part}`, which only a shell understands"))
            .with_remedy("let a shell run it: `[sh, -c, \"...\"]`, or `shell:` where that is a field; or quote what the program itself should get")),
    }
}
