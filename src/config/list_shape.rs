//! What a list of guarded tasks may say, as a table: so that everything wrong is named by its place, its key and what is
//! allowed, before anything is made of it.

use serde_json::Value;

use crate::config::error::{PathSegment, json_path};

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

/// Returns the first thing that is wrong with a list.
pub(crate) fn check(list: &Value) -> Option<Fault> {
    let mut path = Vec::new();
    table(list, LIST, "the list", &mut path).err()
}

type Checked = Result<(), Fault>;

fn fault(path: &[PathSegment], message: String) -> Fault {
    Fault {
        path: path.to_vec(),
        message,
    }
}

/// Looks at a table; `owner` is whose it is, for messages.
fn table(value: &Value, keys: &[Key], owner: &str, path: &mut Vec<PathSegment>) -> Checked {
    let Value::Object(map) = value else {
        let name = json_path(path);
        let message = format!("`{name}` must be a table, found {}", shown(value));
        return Err(fault(path, message));
    };
    let named = map.get("id").and_then(Value::as_str);
    let owner = match named {
        Some(id) if !path.is_empty() => format!("task `{id}`"),
        _ => owner.to_owned(),
    };
    for (name, item) in map {
        path.push(PathSegment::Key(name.clone()));
        let Some((_, shape, _)) = keys.iter().find(|(known, ..)| known == name) else {
            let near = nearest(name, keys.iter().map(|(known, ..)| *known));
            return Err(fault(
                path,
                format!("unknown key `{name}` of {owner}{near}"),
            ));
        };
        // Absent and nothing are the same, as in plans.
        if !item.is_null() {
            one(item, *shape, name, &owner, path)?;
        }
        path.pop();
    }
    let is_there = |name: &str| map.get(name).is_some_and(|item| !item.is_null());
    match keys.iter().find(|(name, _, must)| *must && !is_there(name)) {
        None => Ok(()),
        Some((name, shape, _)) => Err(fault(
            path,
            format!("{owner} has no `{name}`{}", example(name, *shape)),
        )),
    }
}

fn one(
    value: &Value,
    shape: Shape,
    name: &str,
    owner: &str,
    path: &mut Vec<PathSegment>,
) -> Checked {
    let wrong = |path: &[PathSegment], rule: &str, more: &str| {
        let found = shown(value);
        let message = format!("`{name}` of {owner} must be {rule}, found {found}{more}");
        Err(fault(path, message))
    };
    match (shape, value) {
        (Shape::Text, Value::String(_)) | (Shape::Flag, Value::Bool(_)) => Ok(()),
        (Shape::Amount, Value::Number(_) | Value::String(_)) => Ok(()),
        (Shape::Text, _) => wrong(path, "text", "; put the value in quotes"),
        (Shape::Flag, _) => wrong(path, "true or false", "; write it without quotes"),
        (Shape::Amount, _) => wrong(path, "a number of dollars", ""),
        (Shape::Whole(least, most), _) => match value.as_u64() {
            Some(number) if (least..=most).contains(&number) => Ok(()),
            _ => wrong(path, &range(least, most), ""),
        },
        (Shape::Seconds, _) => match value.as_u64() {
            Some(0..=WEEK) => Ok(()),
            _ => wrong(path, &range(1, WEEK), ""),
        },
        (Shape::Word(words), Value::String(word)) if words.contains(&word.as_str()) => Ok(()),
        (Shape::Word(words), _) => {
            let near = value
                .as_str()
                .map(|word| nearest(word, words.iter().copied()));
            let near = near.unwrap_or_default();
            wrong(path, &format!("one of {}", words.join(", ")), &near)
        }
        (Shape::Texts, Value::Array(items)) => texts(items, name, owner, path),
        (Shape::Texts, _) => wrong(
            path,
            "a list of texts",
            r#"; write for example ["make", "test"]"#,
        ),
        (Shape::Table(keys), _) => table(value, keys, &format!("`{name}` of {owner}"), path),
        (Shape::Tables(keys), Value::Array(items)) => {
            for (at, item) in items.iter().enumerate() {
                path.push(PathSegment::Index(at));
                table(item, keys, &format!("the {}. `{name}`", at + 1), path)?;
                path.pop();
            }
            Ok(())
        }
        (Shape::Tables(_), _) => wrong(
            path,
            "a list of tables",
            &format!("; begin each with `[[{name}]]`"),
        ),
    }
}

/// Looks at a list of texts.
fn texts(items: &[Value], name: &str, owner: &str, path: &mut Vec<PathSegment>) -> Checked {
    match items.iter().position(|item| !item.is_string()) {
        None => Ok(()),
        Some(at) => {
            path.push(PathSegment::Index(at));
            let found = items.get(at).map(shown).unwrap_or_default();
            Err(fault(
                path,
                format!("`{name}` of {owner} must be a list of texts, and one of them is {found}"),
            ))
        }
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
    let likeness = |candidate: &&str| strsim::normalized_damerau_levenshtein(word, candidate);
    let near = known
        .iter()
        .map(|candidate| (likeness(candidate), candidate))
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match near {
        Some((likeness, candidate)) if likeness >= 0.5 => format!("; did you mean `{candidate}`?"),
        _ => format!("; known are {}", known.join(", ")),
    }
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
        let fault = check(&list).unwrap();
        format!("{}: {}", json_path(&fault.path), fault.message)
    }

    #[test]
    fn the_table_knows_every_key_that_a_list_has() {
        assert_eq!(check(&list()), None);
        let whole: tasks::TaskList = serde_json::from_value(list()).unwrap();
        let mut written = serde_json::to_value(&whole).unwrap();
        let agent = written["agent"].clone();
        written["task"][0]["agent"] = agent;
        written["task"][0]["limits"] = written["limits"].clone();
        assert_eq!(check(&written), None, "{written:#}");
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
