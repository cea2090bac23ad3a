//! Edits the settings of agents: only the guard's own entries come and go, every other byte stays.
//!
//! Danger: the file is a person's, and an agent that cannot read it may start without any hook; so a text that does not read
//! back as what was meant is never returned.

use jsonc_parser::{
    ParseOptions,
    cst::{CstArray, CstInputValue, CstNode, CstRootNode},
};
use serde_json::Value;

use crate::{
    config::json,
    domain::guard::{
        HookAgent,
        hook::{HookEntry, entries, is_hook_command},
    },
};

/// Stands among what was there before for the file itself.
pub const FILE: &str = "file";
/// What Cursor wants at the top of its file.
const VERSION: &str = "version";

/// A hook as it stands in a settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundHook {
    /// The list it stands in, e.g. `PreToolUse`.
    pub list: String,
    /// The place in that list, counted from 1.
    pub place: usize,
    /// What it runs.
    pub command: String,
    /// Whether it is the guard's.
    pub is_guard: bool,
}

/// Returns the hooks in the lists that the guard uses.
pub fn found(text: &str, agent: HookAgent) -> Result<Vec<FoundHook>, String> {
    let Some(value) = parse(text)?.to_serde_value() else {
        return Ok(Vec::new());
    };
    let mut hooks = Vec::new();
    for entry in entries(agent, "") {
        let list = value.pointer(&format!("/{}/{}", entry.path[0], entry.path[1]));
        let list = list.and_then(Value::as_array).into_iter().flatten();
        for (at, group) in list.enumerate() {
            for command in commands(group) {
                hooks.push(FoundHook {
                    list: entry.path[1].to_owned(),
                    place: at + 1,
                    is_guard: is_hook_command(&command, agent),
                    command,
                });
            }
        }
    }
    Ok(hooks)
}

/// Returns what a text holds of what the guard's hooks stand in, as paths of keys. That is the person's, however empty it is,
/// and stays when the hooks go.
pub fn containers(text: &str, agent: HookAgent) -> Result<Vec<String>, String> {
    let value = parse(text)?.to_serde_value().unwrap_or(Value::Null);
    let mut found = Vec::new();
    for entry in entries(agent, "") {
        let [outer, inner] = entry.path;
        for (path, keys) in [
            (outer.to_owned(), vec![outer]),
            (format!("{outer}.{inner}"), vec![outer, inner]),
        ] {
            let there = keys.iter().try_fold(&value, |value, key| value.get(key));
            if there.is_some() && !found.contains(&path) {
                found.push(path);
            }
        }
    }
    if agent == HookAgent::Cursor && value.get(VERSION).is_some() {
        found.push(VERSION.to_owned());
    }
    Ok(found)
}

/// Returns the text with the guard's hooks in it; an equal text where they are there already.
pub fn with_hook(text: &str, agent: HookAgent, command: &str) -> Result<String, String> {
    let before = found(text, agent)?;
    let wanted = entries(agent, command);
    let value = parse(text)?.to_serde_value().unwrap_or(Value::Null);
    let is_current = |entry: &HookEntry| {
        let [outer, inner] = entry.path;
        let own = before
            .iter()
            .filter(|hook| hook.is_guard && hook.list == inner);
        let list = value.pointer(&format!("/{outer}/{inner}"));
        let mut list = list.and_then(Value::as_array).into_iter().flatten();
        own.count() == 1 && list.any(|group| *group == entry.value)
    };
    if wanted.iter().all(is_current) {
        return Ok(text.to_owned());
    }
    // What an earlier version wrote goes first, so that there is never a second one.
    let text = &without_hook(text, agent, &containers(text, agent)?)?;
    if let Some((value, end)) = one_line(text, agent) {
        let longer = value_with(value, &wanted)?.to_string() + end;
        return Ok(longer);
    }
    let blank = if text.trim().is_empty() { "{}\n" } else { text };
    let tree = parse(blank)?;
    let top = tree
        .object_value_or_create()
        .ok_or("it is no object on its outside")?;
    if agent == HookAgent::Cursor && top.get(VERSION).is_none() {
        top.append(VERSION, CstInputValue::Number("1".to_owned()));
    }
    for entry in &wanted {
        let [outer, inner] = entry.path;
        let hooks = top.object_value_or_create(outer);
        let hooks = hooks.ok_or_else(|| format!("`{outer}` is no object"))?;
        let list = hooks.array_value_or_create(inner);
        let list = list.ok_or_else(|| format!("`{outer}.{inner}` is no list"))?;
        list.append(json::as_input(entry.value.clone()));
    }
    let longer = tree.to_string();
    checked(&longer, text, agent)?;
    let own = found(&longer, agent)?;
    let there = own
        .iter()
        .filter(|hook| hook.is_guard && hook.command == command);
    if there.count() != wanted.len() {
        return Err("the longer text does not read back as it was meant".to_owned());
    }
    Ok(longer)
}

/// Returns the text without the guard's hooks; an equal text where there are none. `kept` = what was there before them
/// ([`containers`]) and stays, even where nothing else is in it.
pub fn without_hook(text: &str, agent: HookAgent, kept: &[String]) -> Result<String, String> {
    if !found(text, agent)?.iter().any(|hook| hook.is_guard) {
        return Ok(text.to_owned());
    }
    if let Some((value, end)) = one_line(text, agent) {
        return Ok(stripped(value, agent, kept).to_string() + end);
    }
    let tree = parse(text)?;
    let top = tree
        .object_value()
        .ok_or("it is no object on its outside")?;
    for entry in entries(agent, "") {
        let [outer, inner] = entry.path;
        let Some(hooks) = top.object_value(outer) else {
            continue;
        };
        let Some(list) = hooks.array_value(inner) else {
            continue;
        };
        remove_own(&list, agent);
        if list.elements().is_empty()
            && !is_kept(kept, &format!("{outer}.{inner}"))
            && let Some(property) = hooks.get(inner)
        {
            property.remove();
        }
        if hooks.properties().is_empty()
            && !is_kept(kept, outer)
            && let Some(property) = top.get(outer)
        {
            property.remove();
        }
    }
    // A file that was there without it had no need of it.
    let is_ours = agent == HookAgent::Cursor && is_kept(kept, FILE) && !is_kept(kept, VERSION);
    if let Some(property) = top.get(VERSION).filter(|_| is_ours) {
        property.remove();
    }
    let shorter = tree.to_string();
    checked(&shorter, text, agent)?;
    Ok(shorter)
}

fn is_kept(kept: &[String], path: &str) -> bool {
    kept.iter().any(|own| own == path)
}

/// Returns the value of a file without any blanks in it, as programs write them, and what stands behind it: such a file is
/// written again as it is, while laying out one entry would lay out what is around it.
fn one_line(text: &str, agent: HookAgent) -> Option<(Value, &str)> {
    let bare = text.trim_end();
    let value: Value = serde_json::from_str(bare).ok()?;
    let is_plain = value.as_object().is_some_and(|top| !top.is_empty());
    let written = value.to_string();
    (is_plain && agent != HookAgent::Cursor && written == bare)
        .then(|| (value, text.get(bare.len()..).unwrap_or("")))
}

fn value_with(mut value: Value, wanted: &[HookEntry]) -> Result<Value, String> {
    for entry in wanted {
        let [outer, inner] = entry.path;
        let top = value.as_object_mut();
        let top = top.ok_or("it is no object on its outside")?;
        let hooks = top
            .entry(outer)
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
        let hooks = hooks.as_object_mut();
        let hooks = hooks.ok_or_else(|| format!("`{outer}` is no object"))?;
        let list = hooks
            .entry(inner)
            .or_insert_with(|| Value::Array(Vec::new()));
        let list = list.as_array_mut();
        let list = list.ok_or_else(|| format!("`{outer}.{inner}` is no list"))?;
        list.push(entry.value.clone());
    }
    Ok(value)
}

/// Removes the guard's commands from a list of groups, and groups in which nothing else is.
fn remove_own(list: &CstArray, agent: HookAgent) {
    let is_own = |node: &CstNode| {
        let value = node.to_serde_value();
        let command = value.as_ref().and_then(|value| value.get("command"));
        command
            .and_then(Value::as_str)
            .is_some_and(|command| is_hook_command(command, agent))
    };
    for group in list.elements() {
        if is_own(&group) {
            group.remove();
            continue;
        }
        let Some(inner) = group
            .as_object()
            .and_then(|group| group.array_value("hooks"))
        else {
            continue;
        };
        let own: Vec<CstNode> = inner
            .elements()
            .into_iter()
            .filter(|node| is_own(node))
            .collect();
        if own.is_empty() {
            continue;
        }
        if own.len() == inner.elements().len() {
            group.remove();
        } else {
            own.into_iter().for_each(CstNode::remove);
        }
    }
}

/// Returns whether two texts say the same but for the guard's hooks.
fn checked(new: &str, old: &str, agent: HookAgent) -> Result<(), String> {
    let plain = |text: &str| -> Result<Value, String> {
        let value = parse(text)?.to_serde_value();
        Ok(stripped(
            value.unwrap_or_else(|| Value::Object(serde_json::Map::new())),
            agent,
            &[],
        ))
    };
    if plain(new)? == plain(old)? {
        Ok(())
    } else {
        Err("the new text does not read back as it was meant".to_owned())
    }
}

/// Takes the guard's hooks, and what is empty without them and not kept, out of a value.
fn stripped(mut value: Value, agent: HookAgent, kept: &[String]) -> Value {
    let is_own = |command: &String| is_hook_command(command, agent);
    for entry in entries(agent, "") {
        let [outer, inner] = entry.path;
        if let Some(hooks) = value.get_mut(outer).and_then(Value::as_object_mut) {
            if let Some(list) = hooks.get_mut(inner).and_then(Value::as_array_mut) {
                for group in list.iter_mut() {
                    if let Some(own) = group.get_mut("hooks").and_then(Value::as_array_mut) {
                        own.retain(|hook| !commands(hook).iter().any(is_own));
                    }
                }
                list.retain(|group| {
                    let empty = group.get("hooks").and_then(Value::as_array);
                    !empty.is_some_and(Vec::is_empty) && !commands(group).iter().any(is_own)
                });
                if list.is_empty() && !is_kept(kept, &format!("{outer}.{inner}")) {
                    hooks.shift_remove(inner);
                }
            }
            if hooks.is_empty()
                && !is_kept(kept, outer)
                && let Some(top) = value.as_object_mut()
            {
                top.shift_remove(outer);
            }
        }
    }
    if agent == HookAgent::Cursor
        && let Some(top) = value.as_object_mut()
    {
        top.shift_remove(VERSION);
    }
    value
}

/// Returns the commands of a group of hooks, or of one hook.
fn commands(group: &Value) -> Vec<String> {
    let own = group.get("command").and_then(Value::as_str);
    let inner = group.get("hooks").and_then(Value::as_array);
    let below = inner.into_iter().flatten();
    let below = below.filter_map(|hook| hook.get("command").and_then(Value::as_str));
    own.into_iter().chain(below).map(str::to_owned).collect()
}

fn parse(text: &str) -> Result<CstRootNode, String> {
    CstRootNode::parse(text, &ParseOptions::default()).map_err(|error| {
        format!(
            "line {}, column {}: {}",
            error.line_display(),
            error.column_display(),
            error.kind()
        )
    })
}

/// Returns what changed between two texts, one line each: ` ` stays, `-` goes, `+` comes. Three lines around it.
pub fn difference(old: &str, new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let front = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let most = old.len().min(new.len()) - front;
    let back = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(most)
        .take_while(|(a, b)| a == b)
        .count();
    let line = |mark: char, text: &str| format!("{mark} {text}");
    let around = old.iter().take(front).skip(front.saturating_sub(3));
    let mut lines: Vec<String> = around.map(|text| line(' ', text)).collect();
    lines.extend(
        old[front..old.len() - back]
            .iter()
            .map(|text| line('-', text)),
    );
    lines.extend(
        new[front..new.len() - back]
            .iter()
            .map(|text| line('+', text)),
    );
    lines.extend(
        old[old.len() - back..]
            .iter()
            .take(3)
            .map(|text| line(' ', text)),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: &str = "'/usr/bin/tos' guard hook claude || exit 2";

    const OTHERS: [&str; 12] = [
        "{}\n",
        "{\n  \"model\":   \"opus\"\n}\n",
        "{\n    \"permissions\": { \"allow\": [\"Bash(ls:*)\"] },\n    \"env\": {}\n}",
        "{\n  \"hooks\": {\n    \"PreToolUse\": [\n      {\"matcher\":\"Bash\",\"hooks\":[{\"type\":\"command\",\"command\":\"mine.sh\"}]}\n    ]\n  }\n}\n",
        "{\n\t\"hooks\": {\n\t\t\"Stop\": [{ \"hooks\": [] }]\n\t},\n\t// a word\n\t\"x\": 1\n}\n",
        "{\"a\":1,\"hooks\":{\"PostToolUse\":[]}}",
        "{\"hooks\":{}}",
        "{ \"hooks\": {} }\n",
        "{\n  \"hooks\": {}\n}\n",
        "{\"hooks\":{\"PreToolUse\":[]},\"b\":2}",
        "{\n  \"hooks\": { \"PreToolUse\": [] }\n}\n",
        "{\n  \"hooks\": {\n    \"PreToolUse\": []\n  }\n}\n",
    ];

    #[test]
    fn a_hook_comes_and_goes_and_every_other_byte_stays() {
        for before in OTHERS {
            let with = with_hook(before, HookAgent::Claude, COMMAND).unwrap();
            let hooks = found(&with, HookAgent::Claude).unwrap();
            assert!(hooks.iter().any(|hook| hook.is_guard), "{with}");
            assert_eq!(with_hook(&with, HookAgent::Claude, COMMAND).unwrap(), with);
            let kept = containers(before, HookAgent::Claude).unwrap();
            let without = without_hook(&with, HookAgent::Claude, &kept).unwrap();
            assert_eq!(without, before, "through\n{with}");
        }
    }

    #[test]
    fn a_hook_in_the_middle_leaves_the_order_of_the_others() {
        let own = format!(r#"[{{"hooks":[{{"type":"command","command":"{COMMAND}"}}]}}]"#);
        let text = format!(r#"{{"hooks":{{"PreToolUse":{own},"Stop":[],"A":[]}},"x":1,"b":2}}"#);
        assert_eq!(
            without_hook(&text, HookAgent::Claude, &[]).unwrap(),
            r#"{"hooks":{"Stop":[],"A":[]},"x":1,"b":2}"#
        );
    }

    #[test]
    fn only_lines_come_where_a_file_has_lines() {
        let before = OTHERS[3];
        let with = with_hook(before, HookAgent::Claude, COMMAND).unwrap();
        let mut lines = with.lines();
        for line in before.lines() {
            let bare = line.trim_end_matches(',');
            assert!(
                lines.any(|new| new.trim_end_matches(',') == bare),
                "{line} in\n{with}"
            );
        }
    }

    #[test]
    fn an_older_hook_is_replaced_and_not_doubled() {
        let old = with_hook("{}\n", HookAgent::Claude, "'/old/tos' guard hook claude").unwrap();
        let old = old.replace("|Grep|", "|");
        let new = with_hook(&old, HookAgent::Claude, COMMAND).unwrap();
        assert!(new.contains("|Grep|"), "{new}");
        let hooks = found(&new, HookAgent::Claude).unwrap();
        assert_eq!(hooks.len(), 1, "{new}");
        assert_eq!(hooks[0].command, COMMAND);
    }

    #[test]
    fn every_agent_has_its_form() {
        for agent in HookAgent::ALL {
            let command = format!("'/usr/bin/tos' guard hook {}", agent.as_str());
            let with = with_hook("{}\n", agent, &command).unwrap();
            let own = found(&with, agent).unwrap();
            assert_eq!(own.len(), entries(agent, "").len(), "{with}");
            let value: Value = serde_json::from_str(&with).unwrap();
            assert_eq!(value.get("version").is_some(), agent == HookAgent::Cursor);
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_left_alone_with_the_place() {
        let error = with_hook("{\n  \"a\": [1,\n}\n", HookAgent::Claude, COMMAND).unwrap_err();
        assert!(error.starts_with("line "), "{error}");
        for (text, why) in [
            ("[]", "it is no object on its outside"),
            ("{\"hooks\": 3}", "`hooks` is no object"),
            (
                "{\"hooks\": {\"PreToolUse\": {}}}",
                "`hooks.PreToolUse` is no list",
            ),
        ] {
            assert_eq!(
                with_hook(text, HookAgent::Claude, COMMAND).unwrap_err(),
                why
            );
        }
    }

    #[test]
    fn a_difference_shows_what_comes_and_three_lines_around() {
        let lines = difference("a\nb\nc\nd\ne\n", "a\nb\nc\nx\nd\ne\n");
        assert_eq!(lines, ["  a", "  b", "  c", "+ x", "  d", "  e"]);
        assert_eq!(difference("", "{}"), ["+ {}"]);
    }
}
