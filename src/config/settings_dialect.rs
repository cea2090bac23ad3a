//! How strictly each agent reads its settings: a file that an agent passes over in silence holds no hook, whatever stands in it.
//!
//! Measured with the programs themselves (Claude Code 2.1.197, Codex 0.171.0, Gemini CLI 0.61.0); Cursor was never run, so
//! for it only plain JSON counts.

use jsonc_parser::{
    CollectOptions, ParseOptions,
    ast::{Object, Value as Node},
    common::Ranged as _,
    parse_to_ast,
};
use serde_json::Value;

use crate::domain::{
    guard::{HookAgent, hook::hook_entries},
    text::line_and_column,
};

/// The mark that may stand in front of a file; Claude Code does not mind it.
const MARK: char = '\u{feff}';

/// What Cursor wants at the top of its file.
pub(super) const VERSION_KEY: &str = "version";

/// Returns what an agent does with a file that has a fault.
const fn with_a_fault(agent: HookAgent) -> &'static str {
    match agent {
        HookAgent::Gemini => "does not start with such a file",
        HookAgent::Claude | HookAgent::Codex | HookAgent::Opencode | HookAgent::Cursor => {
            "passes over the whole file, and over every hook in it"
        }
    }
}

/// Returns a text without the mark in front, and how many bytes that is.
pub(super) fn strip_bom(text: &str) -> (&str, usize) {
    let body = text.strip_prefix(MARK).unwrap_or(text);
    (body, text.len() - body.len())
}

/// Returns how an agent reads its settings.
pub(super) const fn dialect(agent: HookAgent) -> ParseOptions {
    let comments = reads_comments(agent);
    ParseOptions {
        allow_comments: comments,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

const fn reads_comments(agent: HookAgent) -> bool {
    matches!(agent, HookAgent::Gemini)
}

/// Returns why an agent would not follow the hooks in a file, with the place and the remedy; `None` where it does. An empty
/// text is not read at all.
pub fn ignored_hooks_reason(text: &str, agent: HookAgent) -> Option<String> {
    let (body, mark) = strip_bom(text);
    if body.trim().is_empty() {
        return None;
    }
    let title = agent.title();
    if mark > 0 && agent != HookAgent::Claude {
        return Some(format!(
            "line 1, column 1: a byte order mark; {title} does not read the file: take it out"
        ));
    }
    match parse_to_ast(body, &CollectOptions::default(), &dialect(agent)) {
        Err(error) => {
            let is_loose =
                parse_to_ast(body, &CollectOptions::default(), &ParseOptions::default()).is_ok();
            let remedy = if is_loose {
                let comments = if reads_comments(agent) {
                    ""
                } else {
                    "comments and "
                };
                let becomes = with_a_fault(agent);
                format!(
                    "; {title} {becomes}: take {comments}commas behind the last entry out of it"
                )
            } else {
                String::new()
            };
            Some(format!(
                "line {}, column {}: {}{remedy}",
                error.line_display(),
                error.column_display(),
                error.kind()
            ))
        }
        Ok(parsed) => {
            let value = parsed.value.as_ref()?;
            let top = value.as_object();
            shape_fault(body, value, agent)
                .or_else(|| doubled(body, top))
                .or_else(|| not_followed(body, value, agent))
        }
    }
}

/// Returns what keeps hooks from having a place in a file, with where that is.
fn shape_fault(body: &str, value: &Node<'_>, agent: HookAgent) -> Option<String> {
    if value.as_object().is_none() {
        return Some(located(body, value, &[], "it is no object on its outside"));
    }
    hook_entries(agent, "").iter().find_map(|entry| {
        let [outer, inner] = entry.path;
        let hooks = node_at(value, &[outer]).whole()?;
        if hooks.as_object().is_none() {
            return Some(located(
                body,
                value,
                &[outer],
                &format!("`{outer}` is no object"),
            ));
        }
        let list = node_at(value, &[outer, inner]).whole()?;
        let fault = format!("`{outer}.{inner}` is no list");
        list.as_array()
            .is_none()
            .then(|| located(body, value, &[outer, inner], &fault))
    })
}

/// A value below the outermost one, or the deepest on the way to it.
struct FoundNode<'n, 't> {
    node: &'n Node<'t>,
    is_at_end: bool,
}

impl<'n, 't> FoundNode<'n, 't> {
    fn whole(self) -> Option<&'n Node<'t>> {
        self.is_at_end.then_some(self.node)
    }
}

fn node_at<'n, 't>(value: &'n Node<'t>, keys: &[&str]) -> FoundNode<'n, 't> {
    let mut node = value;
    for key in keys {
        // Of a key that stands there twice the last one counts.
        let next = node.as_object().and_then(|object| {
            let mut own = object.properties.iter().rev();
            own.find(|property| property.name.as_str() == *key)
        });
        let Some(next) = next else {
            return FoundNode {
                node,
                is_at_end: false,
            };
        };
        node = &next.value;
    }
    FoundNode {
        node,
        is_at_end: true,
    }
}

/// Says a fault of a value with its place.
fn located(body: &str, value: &Node<'_>, keys: &[&str], fault: &str) -> String {
    let at = node_at(value, keys).node.range().start;
    let (line, column) = line_and_column(body, at);
    format!("line {line}, column {column}: {fault}")
}

/// Returns whether keys that hooks stand under are there twice: programs take the last, and the others are for show.
fn doubled(body: &str, top: Option<&Object<'_>>) -> Option<String> {
    let top = top?;
    let twice = |object: &Object<'_>, wanted: &dyn Fn(&str) -> bool| {
        let mut seen: Vec<String> = Vec::new();
        for property in &object.properties {
            let name = property.name.as_str().to_owned();
            if wanted(&name) && seen.contains(&name) {
                let (line, _) = line_and_column(body, property.range.start);
                return Some((name, line));
            }
            seen.push(name);
        }
        None
    };
    let inside = top.get_object("hooks");
    let found = twice(top, &|name| name == "hooks");
    let (name, line) = found.or_else(|| twice(inside?, &|_| true))?;
    Some(format!(
        "line {line}: `{name}` stands there twice, and only the last one counts: make one of them"
    ))
}

/// Returns what in a file of an agent keeps hooks from being run, wherever they stand: its settings, for Codex `config.toml`.
pub fn hooks_disabled_reason(text: &str, agent: HookAgent) -> Option<String> {
    if agent == HookAgent::Codex {
        let value: toml::Value = match toml::from_str(text) {
            Ok(value) => value,
            Err(error) => {
                let fault = toml_fault(text, &error);
                return Some(format!("{fault}; Codex does not start with it: mend it"));
            }
        };
        let features = value.get("features")?;
        let off = |key: &str| features.get(key).and_then(toml::Value::as_bool) == Some(false);
        return ["hooks", "codex_hooks"]
            .into_iter()
            .find(|key| off(key))
            .map(|key| format!("`features.{key}` is false: Codex runs no hook; take it out"));
    }
    let value = read(text, agent)?;
    let is = |pointer: &str, flag: bool| value.pointer(pointer) == Some(&Value::Bool(flag));
    match agent {
        HookAgent::Claude if is("/disableAllHooks", true) => {
            Some("`disableAllHooks` is true: Claude Code runs no hook; take it out".to_owned())
        }
        HookAgent::Gemini => {
            let keys = [
                ("/hooksConfig/enabled", "hooksConfig.enabled"),
                ("/tools/enableHooks", "tools.enableHooks"),
            ];
            if let Some((_, key)) = keys.into_iter().find(|(pointer, _)| is(pointer, false)) {
                return Some(format!(
                    "`{key}` is false: Gemini CLI runs no hook; take it out"
                ));
            }
            let named = value
                .pointer("/hooksConfig/disabled")
                .and_then(Value::as_array);
            let is_named = named.is_some_and(|names| names.iter().any(|name| name == "tos-guard"));
            is_named.then(|| "`hooksConfig.disabled` names `tos-guard`; take it out".to_owned())
        }
        _ => None,
    }
}

/// Returns where a text is no TOML, and why.
pub(super) fn toml_fault(text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(0, |span| span.start);
    let (line, column) = line_and_column(text, at);
    let why = error.message().replace('\n', ", ");
    format!("line {line}, column {column}: {why}")
}

fn read(text: &str, agent: HookAgent) -> Option<Value> {
    let parsed = parse_to_ast(
        strip_bom(text).0,
        &CollectOptions::default(),
        &dialect(agent),
    );
    Some(parsed.ok()?.value?.into())
}

/// Returns what in a file keeps an agent from following it.
fn not_followed(text: &str, top: &Node<'_>, agent: HookAgent) -> Option<String> {
    if agent == HookAgent::Codex {
        return None;
    }
    let shape = || {
        let (keys, wrong) = claude_shape(&read(text, agent)?)?;
        let becomes = with_a_fault(HookAgent::Claude);
        let wrong = located(text, top, &keys, &wrong);
        Some(format!("{wrong}; Claude Code {becomes}: mend it"))
    };
    let off = hooks_disabled_reason(text, agent);
    off.or_else(|| (agent == HookAgent::Claude).then(shape).flatten())
}

/// Returns what Claude Code would not take, of the keys that many files have, and where. It knows more kinds of faults than these.
fn claude_shape(value: &Value) -> Option<(Vec<&'static str>, String)> {
    let is_texts = |value: &Value| {
        let list = value.as_array();
        list.is_some_and(|list| list.iter().all(Value::is_string))
    };
    if let Some(model) = value.get("model").filter(|model| !model.is_string()) {
        return Some((
            vec!["model"],
            format!("`model` is {model}, which is no text"),
        ));
    }
    if let Some(environment) = value.get("env") {
        let all = environment.as_object();
        if !all.is_some_and(|all| all.values().all(Value::is_string)) {
            return Some((vec!["env"], "`env` is no object of texts".to_owned()));
        }
    }
    if let Some(permissions) = value.get("permissions") {
        let Some(permissions) = permissions.as_object() else {
            return Some((vec!["permissions"], "`permissions` is no object".to_owned()));
        };
        for list in ["allow", "deny", "ask", "additionalDirectories"] {
            if permissions.get(list).is_some_and(|list| !is_texts(list)) {
                let keys = vec!["permissions", list];
                return Some((keys, format!("`permissions.{list}` is no list of texts")));
            }
        }
    }
    let groups = value.get("hooks")?.get("PreToolUse")?.as_array()?;
    let is_hook = |hook: &Value| hook.get("type").is_some_and(Value::is_string);
    let is_group = |group: &Value| {
        let hooks = group.get("hooks").and_then(Value::as_array);
        hooks.is_some_and(|hooks| hooks.iter().all(is_hook))
    };
    let wrong = groups.iter().position(|group| !is_group(group))?;
    let fault = format!(
        "`hooks.PreToolUse` entry {} is no group of hooks",
        wrong + 1
    );
    Some((vec!["hooks", "PreToolUse"], fault))
}
