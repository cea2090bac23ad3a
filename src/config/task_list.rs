//! Reads lists of guarded tasks, TOML or JSON.

use std::path::Path;

use serde::Deserialize as _;
use serde_json::Value;
use toml::de::{DeTable, DeValue, Deserializer};

use crate::{
    config::{error::PathSegment, files, json, list_shape},
    domain::{tasks::TaskList, text::line_and_column},
};

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{file}: {source}")]
    Unreadable {
        /// Which file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// There is no such file.
    #[error("the list `{file}` does not exist; docs/tasks.md shows what one looks like")]
    Absent {
        /// Which file.
        file: String,
    },
    /// The file says something that makes no sense.
    #[error("{file}: {message}")]
    Wrong {
        /// Which file.
        file: String,
        /// Everything that is wrong.
        message: String,
    },
    /// A file of notifications or schedules says something that makes no sense.
    #[error("config error: {message}")]
    Notify {
        /// Every fault with its place.
        message: String,
    },
}

/// Reads a list of tasks from its text; `name` is for messages.
pub fn parse(text: &str, name: &str) -> Result<TaskList, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (value, table) = if text.trim_start().starts_with('{') {
        (from_json(text, name)?, None)
    } else {
        let (value, table) = from_toml(text, name)?;
        (value, Some(table))
    };
    let place = |path: &[PathSegment]| match &table {
        None => json::locate(text, path),
        Some(table) => Some(locate(text, table, path)),
    };
    let shape = list_shape::check(&value);
    let list: Result<TaskList, _> = serde_json::from_value(list_shape::without(value, &shape));
    let mut faults: Vec<ListFault> = shape
        .iter()
        .map(|fault| (place(&fault.path), fault.message.clone()))
        .collect();
    match list {
        Ok(list) => {
            let wrong = list.validation_errors();
            if faults.is_empty() && wrong.is_empty() {
                return Ok(list);
            }
            let place_of = |fault: &str| {
                let mut paths = places_of(fault, &list).into_iter();
                paths.find_map(|path| place(&path))
            };
            faults.extend(wrong.into_iter().map(|fault| (place_of(&fault), fault)));
        }
        // The table has named everything that this could stumble over; what is left is a price.
        Err(error) if faults.is_empty() => {
            faults.push((place(&[]), format!("a value cannot be used: {error}")));
        }
        // What it stumbles over is named.
        Err(_) => {}
    }
    Err(all_of(faults, name))
}

/// Line and column of a fault, where it has a place, and what is wrong there.
type ListFault = (Option<(usize, usize)>, String);

/// Makes one error of all faults, each with its place on a line of its own, from the top to the end of the file.
fn all_of(mut faults: Vec<ListFault>, name: &str) -> Error {
    faults.sort_by_key(|(place, _)| *place);
    let with_place = |place: Option<(usize, usize)>| {
        let place = place.map_or_else(String::new, |(line, column)| format!(":{line}:{column}"));
        format!("{name}{place}")
    };
    let mut faults = faults.into_iter();
    let (first, mut message) = faults.next().unwrap_or_default();
    for (place, fault) in faults {
        let line = format!("\n{}: {fault}", with_place(place));
        message.push_str(&line);
    }
    Error::Wrong {
        file: with_place(first),
        message,
    }
}

/// Returns the ways to what a sentence is about, the nearest first: a key of a task or an agent, the task, a key.
fn places_of(fault: &str, list: &TaskList) -> Vec<Vec<PathSegment>> {
    let key = |name: &str| PathSegment::Key(name.to_owned());
    let quoted = |text: &str| text.split('`').nth(1).map(key);
    let mut tasks = list.tasks.iter().enumerate();
    let task = tasks.find_map(|(at, task)| {
        let rest = fault.strip_prefix(&format!("task `{}`", task.id))?;
        Some((at, quoted(rest), task))
    });
    if let Some((at, name, task)) = task {
        let path = |name| vec![key("task"), PathSegment::Index(at), name];
        let is_written =
            |name: &PathSegment| *name == key("depends_on") && !task.depends_on.is_empty();
        let name = name.filter(is_written);
        return name.into_iter().chain([key("id")]).map(path).collect();
    }
    if list.agent.validation_error().as_deref() == Some(fault) {
        let keys = ["args", "approval_seconds", "credentials"];
        let named = keys
            .into_iter()
            .find(|name| fault.contains(&format!("`{name}`")));
        let args = !list.agent.args.is_empty() || named != Some("args");
        let named = named
            .filter(|_| args)
            .map(|name| vec![key("agent"), key(name)]);
        return named.into_iter().chain([vec![key("agent")]]).collect();
    }
    vec![quoted(fault).into_iter().collect()]
}

fn from_json(text: &str, name: &str) -> Result<Value, Error> {
    json::parse(text, Path::new(name))
        .map(|document| document.value)
        .map_err(|error| Error::Wrong {
            file: name.to_owned(),
            message: error.to_string(),
        })
}

/// Reads a TOML text once: the values, and the table that says where each stands.
fn from_toml<'t>(text: &'t str, name: &str) -> Result<(Value, DeTable<'t>), Error> {
    let wrong = |error: toml::de::Error| {
        let (line, column) = error
            .span()
            .map_or((1, 1), |span| line_and_column(text, span.start));
        let what = error.message().lines().collect::<Vec<_>>().join(", ");
        Error::Wrong {
            file: format!("{name}:{line}:{column}"),
            message: format!("this is not TOML: {what}"),
        }
    };
    let table = DeTable::parse(text).map_err(wrong)?;
    let value = Value::deserialize(Deserializer::from(table.clone())).map_err(wrong)?;
    Ok((value, table.into_inner()))
}

/// Returns where a value of a TOML text stands, or the nearest thing above it.
fn locate(text: &str, table: &DeTable<'_>, path: &[PathSegment]) -> (usize, usize) {
    let in_table = |table: &DeTable<'_>, name: &str| {
        let mut entries = table.iter();
        let entry = entries.find(|(key, _)| key.get_ref() == name);
        entry.map(|(key, _)| key.span().start)
    };
    let (mut start, mut value): (usize, Option<&DeValue<'_>>) = (0, None);
    for segment in path {
        let (at, item) = match (segment, value) {
            (PathSegment::Key(name), None) => (in_table(table, name), table.get(name.as_str())),
            (PathSegment::Key(name), Some(DeValue::Table(inner))) => {
                (in_table(inner, name), inner.get(name.as_str()))
            }
            (PathSegment::Index(at), Some(DeValue::Array(items))) => {
                let item = items.get(*at);
                (item.map(|item| item.span().start), item)
            }
            _ => (None, None),
        };
        let (Some(at), Some(item)) = (at, item) else {
            break;
        };
        start = at;
        value = Some(item.get_ref());
    }
    line_and_column(text, start)
}

/// Reads the text of a list of tasks.
pub fn read_text(file: &Path) -> Result<String, Error> {
    files::read_text(file).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::Absent {
            file: file.display().to_string(),
        },
        _ => Error::Unreadable {
            file: file.display().to_string(),
            source,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_not_there_is_told_with_where_one_is_shown() {
        let told = read_text(Path::new("/nowhere/nope.toml")).unwrap_err();
        assert_eq!(
            told.to_string(),
            "the list `/nowhere/nope.toml` does not exist; docs/tasks.md shows what one looks like"
        );
    }

    #[test]
    fn everything_wrong_with_a_list_is_told_at_once() {
        let text = "schema = 1\nid = \"a b\"\nmax_usd = 0\ntsak = 1\n\n[agent]\nkind = \"cluade\"\n\n\
                    [[task]]\nid = \"one\"\ngoal = \"g\"\nclass = \"fix\"\nmax_time_seconds = \"9\"\ntest_command = [\"true\"]\n";
        let told = parse(text, "list.toml").unwrap_err().to_string();
        let lines: Vec<&str> = told.lines().collect();
        for (place, words) in [
            ("list.toml:3:1: ", "`max_usd` of the list must be"),
            ("list.toml:4:1: ", "unknown key `tsak`"),
            ("list.toml:7:1: ", "did you mean `claude`?"),
            ("list.toml:9:1: ", "task `one` has no `prompt`"),
            ("list.toml:13:1: ", "`max_time_seconds` of task `one`"),
        ] {
            let is_told = |line: &&str| line.starts_with(place) && line.contains(words);
            assert_eq!(
                lines.iter().filter(|line| is_told(line)).count(),
                1,
                "{place}{words}: {told}"
            );
        }
        assert_eq!(lines.len(), 5, "{told}");
        assert!(
            lines[0].contains(":3:1: ") && lines[4].contains(":13:1: "),
            "{told}"
        );
    }

    #[test]
    fn a_fault_stands_where_its_key_is_and_names_what_was_meant() {
        let text = "schema = 1\nid = \"a\"\n[agent]\nkind = \"command\"\nargs = [\"./a.sh\", \"{promt}\"]\n\
                    [[task]]\nid = \"one\"\ngoal = \"g\"\nprompt = \"p\"\nclass = \"fix\"\ntest_command = [\"true\"]\n\
                    depends_on = [\"two\"]\n";
        let told = parse(text, "list.toml").unwrap_err().to_string();
        for (place, words) in [
            ("list.toml:5:1: ", "`{promt}`: did you mean `{prompt}`?"),
            ("list.toml:12:1: ", "`depends_on` names `two`"),
        ] {
            let mut lines = told.lines();
            let is_told = |line: &str| line.starts_with(place) && line.contains(words);
            assert!(lines.any(is_told), "{place}{words}: {told}");
        }
    }

    #[test]
    fn what_a_list_says_is_looked_at_beside_unknown_keys() {
        let text = "schema = 1\nid = \"a b\"\ntsak = 1\n[agent]\nkind = \"claude\"\n\
                    [[task]]\nid = \"one\"\ngoal = \"g\"\nprompt = \"p\"\nclass = \"fix\"\ntest_command = []\n";
        let told = parse(text, "list.toml").unwrap_err().to_string();
        for words in [
            "list.toml:3:1: unknown key `tsak`",
            "list.toml:2:1: `id` \"a b\" must be",
            "list.toml:7:1: task `one`: ",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }
}
