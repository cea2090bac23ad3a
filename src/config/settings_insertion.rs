//! Puts the guard's hooks into the text of a settings file. Text only comes in, in the layout of what is around it; nothing
//! that was there changes, so taking the same pieces out gives the file back byte for byte.

use jsonc_parser::{
    CollectOptions,
    ast::{Array, Object, Value as Node},
    common::{Range, Ranged as _},
    parse_to_ast,
};
use serde_json::{Value, json};

use crate::{
    config::settings_dialect::{VERSION_KEY, dialect, strip_bom},
    domain::guard::{
        HookAgent,
        hook::HookEntry,
        installed::{InsertedText, insert},
    },
};

/// Where something comes in, and what has to stand around it.
struct Place {
    /// The offset in the text.
    at: usize,
    /// Something stands in front of it already.
    follows: bool,
    /// The range of the object or list it comes into.
    around: Range,
}

/// Returns the text with these entries in it, and the pieces that came in.
pub(super) fn insert_hooks(
    text: &str,
    agent: HookAgent,
    wanted: &[HookEntry],
) -> Result<(String, Vec<InsertedText>), String> {
    let mut text = text.to_owned();
    let mut pieces = Vec::new();
    if strip_bom(&text).0.trim().is_empty() {
        let (_, mark) = strip_bom(&text);
        insert(&mut text, &mut pieces, mark, &(whole(agent, wanted) + "\n"));
        return Ok((text, pieces));
    }
    if agent == HookAgent::Cursor {
        let (place, has) = in_top(&text, agent, VERSION_KEY)?;
        if !has {
            add(&mut text, &mut pieces, &place, Some(VERSION_KEY), &json!(1));
        }
    }
    for entry in wanted {
        let (place, key, value) = board_task_of(&text, agent, entry)?;
        add(&mut text, &mut pieces, &place, key, &value);
    }
    Ok((text, pieces))
}

/// Returns a file that holds nothing else.
fn whole(agent: HookAgent, wanted: &[HookEntry]) -> String {
    let mut value = if agent == HookAgent::Cursor {
        json!({ VERSION_KEY: 1 })
    } else {
        json!({})
    };
    for entry in wanted {
        let [outer, inner] = entry.path;
        value[outer][inner] = json!([entry.value]);
    }
    laid_out(&value, "", "  ", "\n")
}

/// Returns where a key comes into the outermost object, and whether it is there.
fn in_top(text: &str, agent: HookAgent, key: &str) -> Result<(Place, bool), String> {
    within(text, agent, |top, base| {
        Ok((end_of_object(top, base), top.get(key).is_some()))
    })
}

/// Returns where an entry comes in, under which key, and with what around it.
fn board_task_of(
    text: &str,
    agent: HookAgent,
    entry: &HookEntry,
) -> Result<(Place, Option<&'static str>, Value), String> {
    let [outer, inner] = entry.path;
    within(text, agent, |top, base| {
        let Some(hooks) = top.get(outer) else {
            let value = json!({ inner: [entry.value] });
            return Ok((end_of_object(top, base), Some(outer), value));
        };
        let hooks = hooks.value.as_object();
        let hooks = hooks.ok_or_else(|| format!("`{outer}` is no object"))?;
        let Some(list) = hooks.get(inner) else {
            return Ok((
                end_of_object(hooks, base),
                Some(inner),
                json!([entry.value]),
            ));
        };
        let list = list.value.as_array();
        let list = list.ok_or_else(|| format!("`{outer}.{inner}` is no list"))?;
        Ok((end_of_list(list, base), None, entry.value.clone()))
    })
}

/// Looks at the outermost object; positions in it are short by `base`.
fn within<T>(
    text: &str,
    agent: HookAgent,
    look: impl FnOnce(&Object<'_>, usize) -> Result<T, String>,
) -> Result<T, String> {
    let (body, base) = strip_bom(text);
    let parsed = parse_to_ast(body, &CollectOptions::default(), &dialect(agent));
    let parsed = parsed.map_err(|error| error.to_string())?;
    let top = parsed.value.as_ref().and_then(Node::as_object);
    look(top.ok_or("it is no object on its outside")?, base)
}

fn end_of_object(object: &Object<'_>, base: usize) -> Place {
    place(
        object.range,
        object.properties.last().map(|last| last.range),
        base,
    )
}

fn end_of_list(list: &Array<'_>, base: usize) -> Place {
    place(list.range, list.elements.last().map(Node::range), base)
}

fn place(around: Range, last: Option<Range>, base: usize) -> Place {
    Place {
        at: base + last.map_or(around.start + 1, |last| last.end),
        follows: last.is_some(),
        around: Range {
            start: around.start + base,
            end: around.end + base,
        },
    }
}

/// Puts a value in, in the layout of the place.
fn add(
    text: &mut String,
    pieces: &mut Vec<InsertedText>,
    place: &Place,
    key: Option<&str>,
    value: &Value,
) {
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let inside = text.get(place.around.start..place.around.end).unwrap_or("");
    let has_lines = inside.contains('\n') || !place.follows && is_laid_out(text);
    let comma = if place.follows { "," } else { "" };
    let name = key.map_or_else(String::new, |key| json!(key).to_string());
    let piece = if has_lines {
        let unit = unit_of(text);
        let outside = indentation(text, place.around.start);
        let own = last_line_indentation(text, place).unwrap_or_else(|| format!("{outside}{unit}"));
        let name = if name.is_empty() { name } else { name + ": " };
        let value = laid_out(value, &own, &unit, line_end);
        let rest = text.get(place.at..place.around.end).unwrap_or("");
        // A bracket that closes stands on a line of its own.
        let close = if !place.follows && !rest.contains('\n') {
            format!("{line_end}{outside}")
        } else {
            String::new()
        };
        format!("{comma}{line_end}{own}{name}{value}{close}")
    } else {
        let blank = if place.follows && is_dense(inside) {
            ""
        } else {
            " "
        };
        let name = if name.is_empty() {
            name
        } else {
            format!("{name}:{blank}")
        };
        let before = if place.follows { blank } else { "" };
        format!("{comma}{before}{name}{value}")
    };
    insert(text, pieces, place.at, &piece);
}

/// Returns whether a text has lines, or is so short that lines come easier.
fn is_laid_out(text: &str) -> bool {
    let (body, _) = strip_bom(text);
    let body = body.trim();
    body.contains('\n') || body.trim_matches(['{', '}', ' ', '\t']).is_empty()
}

/// Returns whether nothing stands between a colon or comma and what follows.
fn is_dense(inside: &str) -> bool {
    !inside.contains(": ") && !inside.contains(", ")
}

/// Returns the blanks in front of the line in which a position is.
fn indentation(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or("");
    let line = before.rsplit('\n').next().unwrap_or("");
    let line = strip_bom(line).0;
    line.chars()
        .take_while(|c| matches!(c, ' ' | '\t'))
        .collect()
}

/// Returns the blanks in front of the last entry of an object or list, where that stands on a line of its own.
fn last_line_indentation(text: &str, place: &Place) -> Option<String> {
    if !place.follows {
        return None;
    }
    // The first entry stands behind the bracket; its line is told by the blanks in front of it.
    let inside = text.get(place.around.start + 1..place.at)?;
    let blanks: String = inside
        .chars()
        .take_while(char::is_ascii_whitespace)
        .collect();
    let (_, own) = blanks.rsplit_once('\n')?;
    Some(own.to_owned())
}

/// Returns by what a text indents: the blanks in front of its first indented line.
fn unit_of(text: &str) -> String {
    let blanks = |line: &str| -> String {
        line.chars()
            .take_while(|c| matches!(c, ' ' | '\t'))
            .collect()
    };
    let first = text.lines().map(blanks).find(|blanks| !blanks.is_empty());
    first.unwrap_or_else(|| "  ".to_owned())
}

/// Returns a value on several lines, the first without blanks in front.
fn laid_out(value: &Value, own: &str, unit: &str, line_end: &str) -> String {
    match value {
        Value::Object(pairs) if !pairs.is_empty() => {
            let deeper = format!("{own}{unit}");
            let each = pairs.iter().map(|(name, value)| {
                let value = laid_out(value, &deeper, unit, line_end);
                format!("{deeper}{}: {value}", json!(name))
            });
            let each: Vec<String> = each.collect();
            let between = format!(",{line_end}");
            format!("{{{line_end}{}{line_end}{own}}}", each.join(&between))
        }
        Value::Array(items) if !items.is_empty() => {
            let deeper = format!("{own}{unit}");
            let each = items
                .iter()
                .map(|item| format!("{deeper}{}", laid_out(item, &deeper, unit, line_end)));
            let each: Vec<String> = each.collect();
            let between = format!(",{line_end}");
            format!("[{line_end}{}{line_end}{own}]", each.join(&between))
        }
        other => other.to_string(),
    }
}
