//! Edits the settings of agents: only the guard's own entries come and go, every other byte stays.
//!
//! Danger: the file is a person's, and an agent that cannot read it may start without any hook; so a text that does not read
//! back as what was meant is never returned.

use jsonc_parser::{
    ParseOptions,
    cst::{CstArray, CstNode, CstRootNode},
};
use serde_json::Value;

use crate::{
    config::{
        settings_dialect::{VERSION_KEY, ignored_hooks_reason, strip_bom},
        settings_insertion::insert_hooks,
    },
    domain::guard::{
        HookAgent,
        hook::{HookEntry, hook_entries, is_hook_command},
        installed::{InsertedText, InstallRecord, remove_inserted_pieces},
    },
};

/// Stands among what was there before for the file itself.
pub const WHOLE_FILE: &str = "file";

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
pub fn find_hooks(text: &str, agent: HookAgent) -> Result<Vec<FoundHook>, String> {
    let Some(value) = parse(text)?.to_serde_value() else {
        return Ok(Vec::new());
    };
    let mut hooks = Vec::new();
    for entry in hook_entries(agent, "") {
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
pub fn parent_keys(text: &str, agent: HookAgent) -> Result<Vec<String>, String> {
    let value = parse(text)?.to_serde_value().unwrap_or(Value::Null);
    let mut found = Vec::new();
    for entry in hook_entries(agent, "") {
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
    if agent == HookAgent::Cursor && value.get(VERSION_KEY).is_some() {
        found.push(VERSION_KEY.to_owned());
    }
    Ok(found)
}

/// Returns whether the guard's hooks stand in a text as they would be written now.
pub fn is_current(text: &str, agent: HookAgent, command: &str) -> Result<bool, String> {
    let before = find_hooks(text, agent)?;
    let value = parse(text)?.to_serde_value().unwrap_or(Value::Null);
    let is_there = |entry: &HookEntry| {
        let [outer, inner] = entry.path;
        let own = before
            .iter()
            .filter(|hook| hook.is_guard && hook.list == inner);
        let list = value.pointer(&format!("/{outer}/{inner}"));
        let mut list = list.and_then(Value::as_array).into_iter().flatten();
        own.count() == 1 && list.any(|group| *group == entry.value)
    };
    Ok(hook_entries(agent, command).iter().all(is_there))
}

/// Returns the text with the guard's hooks in it, and what came into it; an equal text where they are there already. `record` =
/// what an earlier installation did: what it wrote goes first, so that there is never a second one.
pub fn with_hook(
    text: &str,
    agent: HookAgent,
    command: &str,
    record: Option<&InstallRecord>,
) -> Result<(String, Vec<InsertedText>), String> {
    if let Some(why) = ignored_hooks_reason(text, agent) {
        return Err(why);
    }
    if is_current(text, agent, command)? {
        let known = record.map_or_else(Vec::new, |record| record.inserted.clone());
        return Ok((text.to_owned(), known));
    }
    let bare = if let Some(record) = record {
        without_hook(text, agent, record)?
    } else {
        let record = InstallRecord {
            held: parent_keys(text, agent)?,
            ..InstallRecord::default()
        };
        without_hook(text, agent, &record)?
    };
    let (longer, pieces) = insert_hooks(&bare, agent, &hook_entries(agent, command))?;
    checked(&longer, text, agent)?;
    let own = find_hooks(&longer, agent)?;
    let there = own
        .iter()
        .filter(|hook| hook.is_guard && hook.command == command);
    if there.count() != hook_entries(agent, command).len()
        || ignored_hooks_reason(&longer, agent).is_some()
    {
        return Err("the longer text does not read back as it was meant".to_owned());
    }
    Ok((longer, pieces))
}

/// Returns the text without the guard's hooks; an equal text where there are none. What is recorded of the installation is
/// taken back piece by piece; where the pieces are no longer there, the entries go, and what was there before them
/// ([`parent_keys`]) stays, even where nothing else is in it.
pub fn without_hook(
    text: &str,
    agent: HookAgent,
    record: &InstallRecord,
) -> Result<String, String> {
    if !find_hooks(text, agent)?.iter().any(|hook| hook.is_guard) {
        return Ok(text.to_owned());
    }
    let exact = remove_inserted_pieces(text, &record.inserted).filter(|shorter| {
        checked(shorter, text, agent).is_ok()
            && find_hooks(shorter, agent).is_ok_and(|hooks| hooks.iter().all(|hook| !hook.is_guard))
    });
    if let Some(exact) = exact {
        return Ok(exact);
    }
    let kept = &record.held;
    let (body, length) = strip_bom(text);
    let (text, mark) = (body, text.get(..length).unwrap_or(""));
    if let Some((value, end)) = one_line(text, agent) {
        return Ok(format!("{mark}{}{end}", stripped(value, agent, kept)));
    }
    let tree = parse(text)?;
    let top = tree
        .object_value()
        .ok_or("it is no object on its outside")?;
    for entry in hook_entries(agent, "") {
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
    let is_ours =
        agent == HookAgent::Cursor && is_kept(kept, WHOLE_FILE) && !is_kept(kept, VERSION_KEY);
    if let Some(property) = top.get(VERSION_KEY).filter(|_| is_ours) {
        property.remove();
    }
    let shorter = format!("{mark}{tree}");
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
    for entry in hook_entries(agent, "") {
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
        top.shift_remove(VERSION_KEY);
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
    CstRootNode::parse(strip_bom(text).0, &ParseOptions::default()).map_err(|error| {
        format!(
            "line {}, column {}: {}",
            error.line_display(),
            error.column_display(),
            error.kind()
        )
    })
}

/// Returns what changed between two texts, one line each: ` ` stays, `-` goes, `+` comes. Three lines around it.
pub fn diff_lines(old: &str, new: &str) -> Vec<String> {
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
    use proptest::prelude::*;

    use crate::config::settings_dialect::hooks_disabled_reason;

    use super::*;

    const COMMAND: &str = "'/usr/bin/tos' guard hook claude || exit 2";

    const OTHERS: [&str; 24] = [
        "",
        "\n",
        "  \r\n",
        "{}",
        "{}\n",
        "{ }\n",
        "{\n}\n",
        "{\r\n\t\r\n}\r\n",
        "{ \"a\": 1 }",
        "{\"a\":1}\n",
        "{\n  \"model\":   \"opus\"\n}\n",
        "{\r\n    \"model\": \"opus\"\r\n}\r\n",
        "\u{feff}{\n  \"model\": \"opus\"\n}",
        "{\n    \"permissions\": { \"allow\": [\"Bash(ls:*)\"] },\n    \"env\": {}\n}",
        "{\n  \"hooks\": {\n    \"PreToolUse\": [\n      {\"matcher\":\"Bash\",\"hooks\":[{\"type\":\"command\",\"command\":\"mine.sh\"}]}\n    ]\n  }\n}\n",
        "{\n\t\"hooks\": {\n\t\t\"Stop\": [{ \"hooks\": [] }]\n\t},\n\t\"x\": 1\n}\n",
        "{\"a\":1,\"hooks\":{\"PostToolUse\":[]}}",
        "{\"hooks\":{}}",
        "{ \"hooks\": {} }\n",
        "{\n  \"hooks\": {\n  }\n}\n",
        "{\"hooks\":{\"PreToolUse\":[]},\"b\":2}",
        "{\n  \"hooks\": { \"PreToolUse\": [\n    ] }\n}\n",
        "{\n  \"hooks\": {\n    \"PreToolUse\": [{\"matcher\":\"Bash\",\"hooks\":[]}]\n  }\n}\n",
        "{\"hooks\": {\"PreToolUse\": [ { \"matcher\": \"Bash\", \"hooks\": [ ] } ] } }",
    ];

    /// Puts the hook in and takes it out, as two runs of the program do.
    fn there_and_back(before: &str, agent: HookAgent) -> (String, String) {
        let command = COMMAND.replace("claude", agent.as_str());
        let (with, inserted) = with_hook(before, agent, &command, None)
            .unwrap_or_else(|why| panic!("{agent:?}: {why}\n{before}"));
        let record = InstallRecord {
            held: parent_keys(before, agent).unwrap(),
            inserted,
            made_folders: Vec::new(),
        };
        let own = find_hooks(&with, agent).unwrap();
        let own = own.iter().filter(|hook| hook.is_guard).count();
        assert_eq!(own, hook_entries(agent, "").len(), "{with}");
        assert_eq!(ignored_hooks_reason(&with, agent), None, "{with}");
        let (again, pieces) = with_hook(&with, agent, &command, Some(&record)).unwrap();
        assert_eq!((again.as_str(), &pieces), (with.as_str(), &record.inserted));
        let without = without_hook(&with, agent, &record).unwrap();
        (with, without)
    }

    #[test]
    fn a_hook_comes_and_goes_and_every_other_byte_stays() {
        for agent in HookAgent::ALL {
            if agent == HookAgent::Opencode {
                continue;
            }
            for before in OTHERS {
                if agent != HookAgent::Claude && before.starts_with('\u{feff}') {
                    continue;
                }
                let (with, without) = there_and_back(before, agent);
                assert_eq!(without, before, "{agent:?} through\n{with}");
            }
        }
    }

    /// A blank that JSON allows.
    fn blank() -> impl Strategy<Value = String> {
        prop::sample::select(vec!["", " ", "\n", "\n  ", "\r\n\t", "\t", "\n\n    "])
            .prop_map(str::to_owned)
    }

    /// Any value, with any blanks in it.
    fn any_value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            any::<i32>().prop_map(|number| number.to_string()),
            "[a-z \\-é]{0,6}".prop_map(|text| format!("\"{text}\"")),
            Just("\"a\\\"},{\"".to_owned()),
        ];
        leaf.prop_recursive(3, 16, 3, |inner| {
            let list = (prop::collection::vec(inner.clone(), 0..3), blank(), blank());
            let pairs = prop::collection::btree_map("[a-g]{1,2}", inner, 0..3);
            prop_oneof![
                list.prop_map(|(items, a, b)| format!(
                    "[{a}{}{b}]",
                    items.join(&format!("{b},{a}"))
                )),
                (pairs, blank(), blank()).prop_map(|(pairs, a, b)| object(pairs, &a, &b)),
            ]
        })
    }

    fn object(pairs: impl IntoIterator<Item = (String, String)>, a: &str, b: &str) -> String {
        let pairs: Vec<String> = pairs
            .into_iter()
            .map(|(name, value)| format!("{a}\"{name}\":{b}{value}"))
            .collect();
        format!("{{{}{b}}}", pairs.join(","))
    }

    /// Settings with or without hooks in them, of the agents that were read.
    fn settings() -> impl Strategy<Value = String> {
        let group = prop_oneof![
            Just("{\"matcher\":\"Bash\",\"hooks\":[]}".to_owned()),
            Just(
                "{ \"hooks\": [ {\"type\": \"command\", \"command\": \"mine # 'x'\"} ] }"
                    .to_owned()
            ),
        ];
        let groups = (prop::collection::vec(group, 0..3), blank(), blank())
            .prop_map(|(groups, a, b)| format!("[{a}{}{b}]", groups.join(&format!(",{a}"))));
        let names = prop::sample::select(vec![
            "PreToolUse",
            "PermissionRequest",
            "BeforeTool",
            "preToolUse",
            "beforeReadFile",
            "Stop",
        ]);
        let hooks = prop::collection::btree_map(names.prop_map(str::to_owned), groups, 0..4);
        let hooks = (hooks, blank(), blank()).prop_map(|(pairs, a, b)| object(pairs, &a, &b));
        let others = prop::collection::btree_map("[a-g]{1,2}", any_value(), 0..4);
        let version = prop::option::of(Just("1".to_owned()));
        let parts = (others, prop::option::of(hooks), version, any::<u8>());
        (parts, blank(), blank(), blank(), blank()).prop_map(
            |((others, hooks, version, at), a, b, front, end)| {
                let mut pairs: Vec<(String, String)> = others.into_iter().collect();
                for (name, value) in [("hooks", hooks), ("version", version)] {
                    if let Some(value) = value {
                        let at = usize::from(at) % (pairs.len() + 1);
                        pairs.insert(at, (name.to_owned(), value));
                    }
                }
                format!("{front}{}{end}", object(pairs, &a, &b))
            },
        )
    }

    proptest! {
        #[test]
        fn taking_out_gives_back_every_settings_file(text in settings(), agent in 0..4_usize, mark in any::<bool>()) {
            let agents = [HookAgent::Claude, HookAgent::Codex, HookAgent::Gemini, HookAgent::Cursor];
            let agent = agents[agent];
            let mark = if mark && agent == HookAgent::Claude { "\u{feff}" } else { "" };
            let text = format!("{mark}{text}");
            let (with, without) = there_and_back(&text, agent);
            prop_assert_eq!(&without, &text, "through\n{}", with);
            // Without a record, what was there is at least the same to whoever reads it.
            let record = InstallRecord { held: [vec![WHOLE_FILE.to_owned()], parent_keys(&text, agent).unwrap()].concat(), ..InstallRecord::default() };
            let plain = without_hook(&with, agent, &record).unwrap();
            prop_assert_eq!(parse(&plain).unwrap().to_serde_value(), parse(&text).unwrap().to_serde_value());
        }
    }

    #[test]
    fn what_a_person_changes_meanwhile_stays_changed() {
        let before = "{\n  \"model\": \"opus\",\n  \"env\": {}\n}\n";
        let (with, inserted) = with_hook(before, HookAgent::Claude, COMMAND, None).unwrap();
        let record = InstallRecord {
            held: vec![WHOLE_FILE.to_owned()],
            inserted,
            made_folders: Vec::new(),
        };
        let edited = with.replace("opus", "a longer name");
        assert_eq!(
            without_hook(&edited, HookAgent::Claude, &record).unwrap(),
            before.replace("opus", "a longer name")
        );
        let moved = with.replace("\"matcher\": \"", "\"matcher\": \"Task|");
        assert_eq!(
            without_hook(&moved, HookAgent::Claude, &record).unwrap(),
            before
        );
    }

    #[test]
    fn a_hook_in_the_middle_leaves_the_order_of_the_others() {
        let own = format!(r#"[{{"hooks":[{{"type":"command","command":"{COMMAND}"}}]}}]"#);
        let text = format!(r#"{{"hooks":{{"PreToolUse":{own},"Stop":[],"A":[]}},"x":1,"b":2}}"#);
        assert_eq!(
            without_hook(&text, HookAgent::Claude, &InstallRecord::default()).unwrap(),
            r#"{"hooks":{"Stop":[],"A":[]},"x":1,"b":2}"#
        );
    }

    #[test]
    fn the_layout_of_a_file_is_followed() {
        let with = |text: &str| {
            with_hook(text, HookAgent::Claude, "x guard hook claude", None)
                .unwrap()
                .0
        };
        let tabs = with("{\r\n\t\"a\": 1\r\n}\r\n");
        assert!(
            tabs.starts_with(
                "{\r\n\t\"a\": 1,\r\n\t\"hooks\": {\r\n\t\t\"PreToolUse\": [\r\n\t\t\t{\r\n"
            ),
            "{tabs}"
        );
        assert!(tabs.ends_with("\r\n\t}\r\n}\r\n"), "{tabs}");
        let line = with("{\"a\":1}");
        assert!(
            line.starts_with("{\"a\":1,\"hooks\":{\"PreToolUse\":[{"),
            "{line}"
        );
        let spaced = with("{ \"a\": 1 }\n");
        assert!(
            spaced.starts_with("{ \"a\": 1, \"hooks\": {") && spaced.ends_with(" }\n"),
            "{spaced}"
        );
        let none = with("");
        assert!(
            none.starts_with("{\n  \"hooks\": {\n") && none.ends_with("\n}\n"),
            "{none}"
        );
    }

    #[test]
    fn an_older_hook_is_replaced_and_not_doubled() {
        let (old, _) = with_hook(
            "{}\n",
            HookAgent::Claude,
            "'/old/tos' guard hook claude",
            None,
        )
        .unwrap();
        let old = old.replace("|Grep|", "|");
        let (new, _) = with_hook(&old, HookAgent::Claude, COMMAND, None).unwrap();
        assert!(new.contains("|Grep|"), "{new}");
        let hooks = find_hooks(&new, HookAgent::Claude).unwrap();
        assert_eq!(hooks.len(), 1, "{new}");
        assert_eq!(hooks[0].command, COMMAND);
    }

    #[test]
    fn every_agent_has_its_form() {
        for agent in HookAgent::ALL {
            let command = format!("'/usr/bin/tos' guard hook {}", agent.as_str());
            let (with, _) = with_hook("{}\n", agent, &command, None).unwrap();
            let own = find_hooks(&with, agent).unwrap();
            assert_eq!(own.len(), hook_entries(agent, "").len(), "{with}");
            let value: Value = serde_json::from_str(&with).unwrap();
            assert_eq!(value.get("version").is_some(), agent == HookAgent::Cursor);
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_left_alone_with_the_place() {
        for (text, why) in [
            ("{\n  \"a\": [1,,\n}\n", "line 2, column "),
            ("[]", "line 1, column 1: it is no object on its outside"),
            ("{\"hooks\": 3}", "line 1, column 11: `hooks` is no object"),
            (
                "{\"hooks\": {\n  \"PreToolUse\": {}}}",
                "line 2, column 17: `hooks.PreToolUse` is no list",
            ),
            (
                "{\"hooks\": {},\n\"hooks\": {}}",
                "line 2: `hooks` stands there twice",
            ),
        ] {
            let error = with_hook(text, HookAgent::Claude, COMMAND, None).unwrap_err();
            assert!(error.starts_with(why), "{text}: {error}");
        }
    }

    #[test]
    fn what_a_program_would_pass_over_is_told_with_place_and_remedy() {
        let comment = "{\n  // mine\n  \"a\": 1\n}\n";
        let comma = "{\n  \"a\": 1,\n}\n";
        for agent in [HookAgent::Claude, HookAgent::Codex, HookAgent::Cursor] {
            for text in [comment, comma] {
                let why = ignored_hooks_reason(text, agent).unwrap();
                assert!(
                    why.starts_with("line 2, column ") || why.starts_with("line 3, column "),
                    "{why}"
                );
                assert!(why.contains("take comments and commas"), "{why}");
            }
        }
        assert_eq!(ignored_hooks_reason(comment, HookAgent::Gemini), None);
        assert!(ignored_hooks_reason(comma, HookAgent::Gemini).is_some());
        for (text, part) in [
            ("{\"disableAllHooks\": true}", "`disableAllHooks`"),
            (
                "{\n  \"permissions\": 3}",
                "line 2, column 18: `permissions` is no object",
            ),
            ("{\"model\": null}", "line 1, column 11: `model` is null"),
            ("{\"env\": {\"A\": 1}}", "`env`"),
            (
                "{\"hooks\": {\"PreToolUse\": [{\"hooks\": \"x\"}]}}",
                "entry 1 is no group",
            ),
        ] {
            let why = ignored_hooks_reason(text, HookAgent::Claude).unwrap_or_default();
            assert!(why.contains(part), "{text}: {why}");
            assert_eq!(ignored_hooks_reason(text, HookAgent::Codex), None, "{text}");
        }
        for (text, agent) in [
            ("{\"hooksConfig\": {\"enabled\": false}}", HookAgent::Gemini),
            (
                "{\"hooksConfig\": {\"disabled\": [\"tos-guard\"]}}",
                HookAgent::Gemini,
            ),
            ("{\"tools\": {\"enableHooks\": false}}", HookAgent::Gemini),
            ("{\"disableAllHooks\": true}", HookAgent::Claude),
        ] {
            assert!(hooks_disabled_reason(text, agent).is_some(), "{text}");
            assert_eq!(hooks_disabled_reason("{}", agent), None);
        }
        let codex = |text: &str| hooks_disabled_reason(text, HookAgent::Codex);
        assert!(codex("[features]\nhooks = false\n").is_some());
        assert_eq!(codex("model = \"m\"\n"), None);
        let broken = codex("a = 1\n[features\n").unwrap();
        assert!(broken.starts_with("line 2, column 10: "), "{broken}");
        assert!(broken.contains("does not start with it"), "{broken}");
        assert_eq!(ignored_hooks_reason("", HookAgent::Claude), None);
    }

    #[test]
    fn a_difference_shows_what_comes_and_three_lines_around() {
        let lines = diff_lines("a\nb\nc\nd\ne\n", "a\nb\nc\nx\nd\ne\n");
        assert_eq!(lines, ["  a", "  b", "  c", "+ x", "  d", "  e"]);
        assert_eq!(diff_lines("", "{}"), ["+ {}"]);
    }
}
