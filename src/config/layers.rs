//! Lays the layers over each other: defaults < file < `TOS_*` environment < flags.
//!
//! Every value is checked on its own against the table of keys and remembers who gave it. A layer that is
//! wrong adds faults and leaves the value below it in force, so that one pass finds everything.

use std::path::Path;

use serde_json::{Map, Value};

use crate::config::{
    error::{ConfigFault, PathSegment, segments},
    json::JsonDocument,
    keys,
    keys::{ConfigKey, KeyDefault},
    source::{EffectiveValues, SourcedValue, ValueSource},
    value_error::{ValueError, brief},
};

/// Variables that begin with `TOS_` and are not settings.
const RESERVED: [&str; 9] = [
    "TOS_LOG",
    "TOS_TOKEN",
    "TOS_OWNER",
    "TOS_ROOT",
    "TOS_CONFIG",
    "TOS_COLOR",
    "TOS_RUN_ID",
    "TOS_STEP",
    "TOS_JOB_INDEX",
];

/// A value given on the command line.
#[derive(Debug, Clone, PartialEq)]
pub struct FlagOverride {
    /// The flag as typed, for messages, e.g. `--record`.
    pub flag: String,
    /// The key it stands for.
    pub key: String,
    /// The value.
    pub value: Value,
}

/// What the command line says about settings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FlagOverrides(pub Vec<FlagOverride>);

impl FlagOverrides {
    /// Adds a value for a key.
    pub fn set(&mut self, flag: &str, key: &str, value: impl Into<Value>) {
        self.0.push(FlagOverride {
            flag: flag.into(),
            key: key.into(),
            value: value.into(),
        });
    }

    /// Adds `KEY=VALUE` as typed; the value is read as in the environment.
    pub fn set_pair(&mut self, flag: &str, pair: &str) -> Result<(), String> {
        let (path, text) = pair
            .split_once('=')
            .ok_or_else(|| format!("`{flag} {pair}`: expected KEY=VALUE"))?;
        let value = match keys::find(path) {
            Some(key) => from_text(key, text)
                .map_err(|wrong| format!("`{flag} {pair}`: {}; {}", wrong.problem, wrong.remedy))?,
            None => Value::String(text.into()),
        };
        self.set(flag, path, value);
        Ok(())
    }
}

/// The layers being laid.
pub(crate) struct Layers<'a> {
    root: &'a Path,
    values: EffectiveValues,
    pub(crate) faults: Vec<ConfigFault>,
    pub(crate) warnings: Vec<String>,
}

impl<'a> Layers<'a> {
    /// Begins with the defaults. `root` is canonical.
    pub(crate) fn new(root: &'a Path) -> Self {
        let values = keys::all().iter().map(|key| {
            let (value, source) = (key.default.value(), ValueSource::Default);
            (key.path.as_ref(), SourcedValue { value, source })
        });
        Self {
            root,
            values: EffectiveValues(values.collect()),
            faults: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Lays the configuration file over what is there.
    pub(crate) fn lay_file(&mut self, document: &JsonDocument, named: &Path) {
        let source = ValueSource::File(named.into());
        for path in &document.doubled {
            let wrong = ValueError::new("given twice in this object", "keep one of the two");
            self.fault(&source, path.clone(), wrong);
        }
        match &document.value {
            Value::Object(object) => self.walk(object, "", &source),
            other => {
                let problem = format!("expected an object {{...}}, found {}", brief(other));
                self.fault(
                    &source,
                    Vec::new(),
                    ValueError::new(problem, "write { \"max_steps\": 8 }"),
                );
            }
        }
    }

    /// Lays the environment over what is there.
    pub(crate) fn lay_environment(&mut self, environment: &[(String, String)]) {
        for (name, text) in environment {
            let Some(rest) = name.strip_prefix("TOS_") else {
                continue;
            };
            if RESERVED.contains(&name.as_str()) || rest.starts_with("NO_") {
                continue;
            }
            self.lay_variable(name, &rest.to_lowercase().replace("__", "."), text);
        }
    }

    /// Lays the command line over what is there.
    pub(crate) fn lay_flags(&mut self, overrides: &FlagOverrides) {
        for given in &overrides.0 {
            let source = ValueSource::Flag(given.flag.clone());
            match keys::find(&given.key) {
                Some(key) => self.put(key, given.value.clone(), &source),
                None => self.fault(&source, segments(&given.key), unknown("", &given.key)),
            }
        }
    }

    /// Returns the values in force.
    pub(crate) fn finish(self) -> (EffectiveValues, Vec<ConfigFault>, Vec<String>) {
        (self.values, self.faults, self.warnings)
    }

    fn lay_variable(&mut self, name: &str, path: &str, text: &str) {
        let source = ValueSource::Environment(name.into());
        if let Some(key) = keys::find(path) {
            match from_text(key, text) {
                Ok(value) => self.put(key, value, &source),
                Err(wrong) => self.fault(&source, segments(path), wrong),
            }
        } else if keys::is_section(path) {
            if let Ok(Value::Object(object)) = serde_json::from_str(text) {
                self.walk(&object, path, &source);
            } else {
                let problem = "expected a JSON object for this group of keys";
                let remedy = format!("write for example {}", inner_hint(path));
                self.fault(&source, segments(path), ValueError::new(problem, remedy));
            }
        } else if path.contains('.') || keys::nearest(path).is_some() {
            let nearest = keys::nearest(path).map(env_name);
            let nearest = nearest.map_or(String::new(), |near| format!(" (nearest: `{near}`)"));
            let problem = format!("not a setting{nearest}");
            self.fault(
                &source,
                segments(path),
                ValueError::new(problem, "rename or unset it"),
            );
        } else {
            self.warnings.push(format!(
                "environment variable `{name}` is not a setting of tos and is ignored"
            ));
        }
    }

    fn walk(&mut self, object: &Map<String, Value>, section: &str, source: &ValueSource) {
        for (name, value) in object {
            if section.is_empty() && name == "$schema" {
                continue;
            }
            let path = if section.is_empty() {
                name.clone()
            } else {
                format!("{section}.{name}")
            };
            let known = !name.contains('.');
            if let Some(key) = keys::find(&path).filter(|_| known) {
                self.put(key, value.clone(), source);
            } else if known && keys::is_section(&path) {
                self.walk_section(value, &path, source);
            } else {
                let mut at = section_segments(section);
                at.push(PathSegment::Key(name.clone()));
                self.fault(source, at, unknown(section, name));
            }
        }
    }

    fn walk_section(&mut self, value: &Value, path: &str, source: &ValueSource) {
        match value {
            Value::Object(object) => self.walk(object, path, source),
            other => {
                let problem = format!(
                    "expected an object with the keys {}, found {}",
                    names(path),
                    brief(other)
                );
                let remedy = format!("write for example {}", inner_hint(path));
                self.fault(source, segments(path), ValueError::new(problem, remedy));
            }
        }
    }

    fn put(&mut self, key: &'static ConfigKey, value: Value, source: &ValueSource) {
        let absent = value.is_null() && key.default == KeyDefault::Absent;
        let wrongs = if absent {
            Vec::new()
        } else {
            key.shape.check(&value, self.root, key.example)
        };
        if wrongs.is_empty() {
            let source = source.clone();
            self.values
                .0
                .insert(&key.path, SourcedValue { value, source });
        }
        for wrong in wrongs {
            self.fault(source, segments(&key.path), wrong);
        }
    }

    fn fault(&mut self, source: &ValueSource, mut path: Vec<PathSegment>, wrong: ValueError) {
        path.extend(wrong.at);
        self.faults.push(ConfigFault {
            source: source.clone(),
            place: None,
            path,
            problem: wrong.problem,
            remedy: wrong.remedy,
        });
    }
}

/// Reads the text of a variable or of `KEY=VALUE`: texts as they are, everything else as JSON.
fn from_text(key: &ConfigKey, text: &str) -> Result<Value, ValueError> {
    let json = serde_json::from_str::<Value>(text);
    if key.shape.is_text() {
        return match json {
            Ok(Value::String(inner)) => Ok(Value::String(inner)),
            _ => Ok(Value::String(text.into())),
        };
    }
    json.map_err(|_| {
        let problem = format!("expected {} as JSON, found `{text}`", key.shape.describe());
        ValueError::new(problem, format!("write for example {}", key.example))
    })
}

fn section_segments(section: &str) -> Vec<PathSegment> {
    if section.is_empty() {
        Vec::new()
    } else {
        segments(section)
    }
}

fn unknown(section: &str, name: &str) -> ValueError {
    let path = if section.is_empty() {
        name.to_owned()
    } else {
        format!("{section}.{name}")
    };
    if keys::find(&path).is_some() {
        let problem = format!("written with a dot; `{path}` is a key inside an object");
        return ValueError::new(problem, format!("nest it, as in {}", nested_hint(&path)));
    }
    match keys::nearest(&path) {
        Some(near) => ValueError::new(
            format!("not a known key (nearest: `{near}`)"),
            "rename or remove it",
        ),
        None => ValueError::new(
            format!("not a known key here (known: {})", names(section)),
            "remove it",
        ),
    }
}

fn names(section: &str) -> String {
    let names: Vec<String> = keys::children(section)
        .iter()
        .map(|n| format!("`{n}`"))
        .collect();
    names.join(", ")
}

/// Shows how a nested key is written, from the top.
fn nested_hint(path: &str) -> String {
    let key = keys::find(path);
    key.map_or_else(String::new, |key| nested(&key.path, key.example))
}

/// Shows an object with the first key of a group.
fn inner_hint(section: &str) -> String {
    let first = keys::all()
        .iter()
        .find(|key| keys::is_below(&key.path, section));
    first.map_or_else(String::new, |key| {
        let below = key.path.get(section.len() + 1..).unwrap_or(&key.path);
        nested(below, key.example)
    })
}

fn nested(path: &str, example: &str) -> String {
    let parts = path.rsplit('.');
    parts.fold(example.to_owned(), |inner, part| {
        format!("{{\"{part}\": {inner}}}")
    })
}

/// Returns the environment variable of a key.
pub fn env_name(path: &str) -> String {
    format!("TOS_{}", path.to_uppercase().replace('.', "__"))
}
