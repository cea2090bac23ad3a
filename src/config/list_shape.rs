//! What a list of guarded tasks may say, as a table: so that everything wrong is named by its place, its key and what is
//! allowed, before anything is made of it.

use serde_json::Value;

use crate::config::{
    error::{PathSegment, json_path},
    toml_file::did_you_mean,
};

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The way to the value, or to the key that is unknown.
    pub(crate) path: Vec<PathSegment>,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

/// What values a key takes.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Text,
    Texts,
    Flag,
    Whole(u64, u64),
    /// Seconds from 1 to a week; a zero is named by the list itself, together with what else is wrong.
    Seconds,
    Amount,
    Word(&'static [&'static str]),
    Table(&'static [Key]),
    Tables(&'static [Key]),
}

/// A key, its shape, and whether it must be there.
type Key = (&'static str, Shape, bool);

const MOST: u64 = i64::MAX as u64;
const COUNT: u64 = u32::MAX as u64;
/// A week: nothing that is waited for in a night takes longer.
const WEEK: u64 = 7 * 24 * 3600;

const LIMITS: &[Key] = &[
    ("files", Shape::Whole(0, COUNT), false),
    ("lines", Shape::Whole(0, COUNT), false),
    ("created", Shape::Whole(0, COUNT), false),
    ("bytes", Shape::Whole(0, MOST), false),
];
const PRICE: &[Key] = &[
    ("input_per_mtok", Shape::Amount, true),
    ("output_per_mtok", Shape::Amount, true),
    ("cached_input_per_mtok", Shape::Amount, false),
];
const KINDS: &[&str] = &[
    "claude", "codex", "opencode", "gemini", "aider", "acp", "command", "job",
];
const AGENT: &[Key] = &[
    ("kind", Shape::Word(KINDS), true),
    ("args", Shape::Texts, false),
    ("model", Shape::Text, false),
    ("max_budget_usd", Shape::Whole(0, COUNT), false),
    ("credentials", Shape::Texts, false),
    ("hosts", Shape::Texts, false),
    ("environment", Shape::Texts, false),
    ("check", Shape::Texts, false),
    ("idle_seconds", Shape::Whole(0, WEEK), false),
    ("price", Shape::Table(PRICE), false),
    ("approval_seconds", Shape::Whole(0, WEEK), false),
];
const CLASSES: &[&str] = &["fix", "feature", "test", "deps", "refactor"];
const TASK: &[Key] = &[
    ("id", Shape::Text, true),
    ("goal", Shape::Text, true),
    ("prompt", Shape::Text, true),
    ("class", Shape::Word(CLASSES), true),
    ("test_command", Shape::Texts, true),
    ("context_files", Shape::Texts, false),
    ("depends_on", Shape::Texts, false),
    ("max_time_seconds", Shape::Seconds, false),
    ("agent", Shape::Table(AGENT), false),
    ("allowed_imports", Shape::Texts, false),
    ("banned_patterns", Shape::Texts, false),
    ("limits", Shape::Table(LIMITS), false),
    ("may_change_checks", Shape::Texts, false),
];
const LIST: &[Key] = &[
    ("schema", Shape::Whole(1, 1), true),
    ("id", Shape::Text, true),
    ("title", Shape::Text, false),
    ("agent", Shape::Table(AGENT), true),
    (
        "on_failure",
        Shape::Word(&["stop", "retry_then_stop", "retry_then_skip_dependents"]),
        false,
    ),
    ("allowed_imports", Shape::Texts, false),
    ("banned_patterns", Shape::Texts, false),
    ("limits", Shape::Table(LIMITS), false),
    ("sandbox", Shape::Word(&["auto", "require", "off"]), false),
    ("test_seconds", Shape::Whole(1, WEEK), false),
    ("share", Shape::Texts, false),
    ("test_idle_seconds", Shape::Whole(0, WEEK), false),
    ("grace_seconds", Shape::Whole(0, WEEK), false),
    ("share_files", Shape::Texts, false),
    ("disk_mb", Shape::Whole(1, MOST), false),
    ("full_test_command", Shape::Texts, false),
    ("full_test_seconds", Shape::Whole(1, WEEK), false),
    ("max_usd", Shape::Whole(1, COUNT), false),
    ("provider_retries", Shape::Whole(0, 1000), false),
    ("provider_pause_seconds", Shape::Whole(0, 24 * 3600), false),
    ("real", Shape::Flag, false),
    ("task", Shape::Tables(TASK), true),
];

/// Returns everything that is wrong with a list, in the order in which it is written.
pub(crate) fn check(list: &Value) -> Vec<Fault> {
    let mut look = Look::default();
    look.table(list, LIST, "the list");
    look.faults
}

/// Returns a list without what is wrong in it, so that the rest can be looked at as well.
pub(crate) fn without(mut list: Value, faults: &[Fault]) -> Value {
    for fault in faults {
        let mut at = Some(&mut list);
        let Some((PathSegment::Key(last), above)) = fault.path.split_last() else {
            continue;
        };
        for segment in above {
            at = at.and_then(|value| match segment {
                PathSegment::Key(name) => value.get_mut(name),
                PathSegment::Index(place) => value.get_mut(*place),
            });
        }
        if let Some(Value::Object(map)) = at {
            map.remove(last);
        }
    }
    list
}

/// A look at a list: where it is, and what it found.
#[derive(Default)]
struct Look {
    path: Vec<PathSegment>,
    faults: Vec<Fault>,
}

impl Look {
    fn fault(&mut self, message: String) {
        self.faults.push(Fault {
            path: self.path.clone(),
            message,
        });
    }

    /// Looks at a table; `owner` is whose it is, for messages.
    fn table(&mut self, value: &Value, keys: &[Key], owner: &str) {
        let Value::Object(map) = value else {
            let name = json_path(&self.path);
            self.fault(format!("`{name}` must be a table, found {}", shown(value)));
            return;
        };
        let named = map.get("id").and_then(Value::as_str);
        let owner = match named {
            Some(id) if !self.path.is_empty() => format!("task `{id}`"),
            _ => owner.to_owned(),
        };
        for (name, item) in map {
            self.path.push(PathSegment::Key(name.clone()));
            match keys.iter().find(|(known, ..)| known == name) {
                None => {
                    let near = nearest(name, keys.iter().map(|(known, ..)| *known));
                    self.fault(format!("unknown key `{name}` of {owner}{near}"));
                }
                // Absent and nothing are the same, as in plans.
                Some(_) if item.is_null() => {}
                Some((_, shape, _)) => self.one(item, *shape, name, &owner),
            }
            self.path.pop();
        }
        let is_there = |name: &str| map.get(name).is_some_and(|item| !item.is_null());
        for (name, shape, _) in keys
            .iter()
            .filter(|(name, _, must)| *must && !is_there(name))
        {
            self.fault(format!("{owner} has no `{name}`{}", example(name, *shape)));
        }
    }

    fn one(&mut self, value: &Value, shape: Shape, name: &str, owner: &str) {
        match (shape, value) {
            (Shape::Table(keys), _) => self.table(value, keys, &format!("`{name}` of {owner}")),
            (Shape::Tables(keys), Value::Array(items)) => {
                for (at, item) in items.iter().enumerate() {
                    self.path.push(PathSegment::Index(at));
                    self.table(item, keys, &format!("the {}. `{name}`", at + 1));
                    self.path.pop();
                }
            }
            (Shape::Texts, Value::Array(items)) => self.texts(items, name, owner),
            _ => {
                if let Some((rule, more)) = broken_rule(value, shape, name) {
                    let found = shown(value);
                    self.fault(format!(
                        "`{name}` of {owner} must be {rule}, found {found}{more}"
                    ));
                }
            }
        }
    }

    /// Looks at a list of texts.
    fn texts(&mut self, items: &[Value], name: &str, owner: &str) {
        let other = items.iter().enumerate().find(|(_, item)| !item.is_string());
        if let Some((at, item)) = other {
            self.path.push(PathSegment::Index(at));
            self.fault(format!(
                "`{name}` of {owner} must be a list of texts, and one of them is {}",
                shown(item)
            ));
            self.path.pop();
        }
    }
}

/// Returns what a single value has to be and is not, and what helps.
fn broken_rule(value: &Value, shape: Shape, name: &str) -> Option<(String, String)> {
    let rule = |rule: &str, more: &str| Some((rule.to_owned(), more.to_owned()));
    match (shape, value) {
        (Shape::Text, Value::String(_))
        | (Shape::Flag, Value::Bool(_))
        | (Shape::Amount, Value::Number(_) | Value::String(_))
        | (Shape::Table(_), _) => None,
        (Shape::Text, _) => rule("text", "; put the value in quotes"),
        (Shape::Flag, _) => rule("true or false", "; write it without quotes"),
        (Shape::Amount, _) => rule("a number of dollars", ""),
        (Shape::Whole(least, most), _) => match value.as_u64() {
            Some(number) if (least..=most).contains(&number) => None,
            _ => rule(&range(least, most), ""),
        },
        (Shape::Seconds, _) => match value.as_u64() {
            Some(0..=WEEK) => None,
            _ => rule(&range(1, WEEK), ""),
        },
        (Shape::Word(words), Value::String(word)) if words.contains(&word.as_str()) => None,
        (Shape::Word(words), _) => {
            let near = value
                .as_str()
                .map(|word| nearest(word, words.iter().copied()));
            rule(
                &format!("one of {}", words.join(", ")),
                &near.unwrap_or_default(),
            )
        }
        (Shape::Texts, _) => rule("a list of texts", r#"; write for example ["make", "test"]"#),
        (Shape::Tables(_), _) => rule(
            "a list of tables",
            &format!("; begin each with `[[{name}]]`"),
        ),
    }
}

fn range(least: u64, most: u64) -> String {
    match (least, most) {
        (only, same) if only == same => format!("{only}"),
        (least, COUNT | MOST) => format!("a whole number of at least {least}"),
        (least, most) => format!("a whole number from {least} to {most}"),
    }
}

fn example(name: &str, shape: Shape) -> String {
    match shape {
        Shape::Whole(1, 1) => format!("; add `{name} = 1`"),
        Shape::Word(words) => format!("; add one of {}", words.join(", ")),
        Shape::Texts => format!(r#"; add for example `{name} = ["make", "test"]`"#),
        Shape::Table(_) => format!(r#"; add `[{name}]` with `kind = "claude"`"#),
        Shape::Tables(_) => format!("; begin the first with `[[{name}]]`"),
        Shape::Text | Shape::Flag | Shape::Whole(..) | Shape::Seconds | Shape::Amount => {
            String::new()
        }
    }
}

/// Names the word that was probably meant, or all where they are few.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let others = || format!("known are {}", known.join(", "));
    format!("; {}", did_you_mean(word, &known, others))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => format!("the boolean `{flag}`"),
        Value::Number(number) => format!("the number `{number}`"),
        Value::String(text) => {
            let short: String = text.chars().take(60).collect();
            let dots = if short.len() < text.len() { "…" } else { "" };
            format!("the text `{}{dots}`", short.escape_debug())
        }
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(map) => format!("a table of {}", map.len()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{agent::AgentKind, tasks};

    fn list() -> Value {
        json!({
            "schema": 1, "id": "l", "agent": {"kind": "claude"},
            "task": [{"id": "a", "goal": "g", "prompt": "p", "class": "fix", "test_command": ["true"]}],
        })
    }

    fn told(change: impl FnOnce(&mut Value)) -> String {
        let mut list = list();
        change(&mut list);
        let faults = check(&list);
        let fault = faults.first().unwrap();
        format!("{}: {}", json_path(&fault.path), fault.message)
    }

    #[test]
    fn the_table_knows_every_key_that_a_list_has() {
        assert_eq!(check(&list()), []);
        let whole: tasks::TaskList = serde_json::from_value(list()).unwrap();
        let mut written = serde_json::to_value(&whole).unwrap();
        let agent = written["agent"].clone();
        written["task"][0]["agent"] = agent;
        written["task"][0]["limits"] = written["limits"].clone();
        assert_eq!(check(&written), [], "{written:#}");
        let known: Vec<&str> = LIST.iter().map(|(name, ..)| *name).collect();
        for name in written.as_object().unwrap().keys() {
            assert!(known.contains(&name.as_str()), "{name}");
        }
        assert_eq!(KINDS, AgentKind::ALL.map(|(name, _)| name));
        assert_eq!(CLASSES, tasks::CLASSES);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_what_is_right() {
        let seen = told(|list| list["tsak"] = json!([]));
        assert_eq!(
            seen,
            "tsak: unknown key `tsak` of the list; did you mean `task`?"
        );
        let seen = told(|list| list["task"][0]["max_time_seconds"] = json!("900"));
        assert_eq!(
            seen,
            "task[0].max_time_seconds: `max_time_seconds` of task `a` must be a whole number from 1 to 604800, found the text `900`"
        );
        let seen = told(|list| list["agent"]["kind"] = json!("cluade"));
        assert!(
            seen.contains("found the text `cluade`; did you mean `claude`?"),
            "{seen}"
        );
        let seen = told(|list| list["provider_retries"] = json!(-1));
        assert!(
            seen.contains("from 0 to 1000, found the number `-1`"),
            "{seen}"
        );
        let seen = told(|list| {
            drop(
                list["task"][0]
                    .as_object_mut()
                    .unwrap()
                    .remove("test_command"),
            );
        });
        assert!(
            seen.contains("task `a` has no `test_command`; add for example"),
            "{seen}"
        );
    }
}
