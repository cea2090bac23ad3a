//! Whether Codex runs a hook of the guard: it skips what nobody has trusted without a word, and its app server says which
//! hooks those are (`hooks/list`, measured with Codex 0.171.0).

use std::path::Path;

use serde_json::Value;

use crate::domain::guard::{HookAgent, hook::hook_entries};

/// What Codex knows about the hooks that hold in one folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodexHookList {
    hooks: Vec<CodexHook>,
    faults: Vec<String>,
}

/// One hook as Codex lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CodexHook {
    event: String,
    command: String,
    file: String,
    source: String,
    is_enabled: bool,
    trust: String,
}

/// Returns what has to be sent to the app server, one JSON object a line.
pub fn hook_list_request(folder: &Path) -> String {
    let hello = serde_json::json!({
        "id": 0, "method": "initialize",
        "params": { "clientInfo": { "name": "tos", "version": env!("CARGO_PKG_VERSION") } },
    });
    let ask = serde_json::json!({
        "id": 1, "method": "hooks/list", "params": { "cwds": [folder.to_string_lossy()] },
    });
    format!("{hello}\n{{\"method\":\"initialized\"}}\n{ask}\n")
}

/// Reads a line of the app server; `None` where it is no answer to the question about hooks.
pub fn read_hook_list(line: &str) -> Option<Result<CodexHookList, String>> {
    let message: Value = serde_json::from_str(line.trim()).ok()?;
    if message.get("id") != Some(&Value::from(1)) || message.get("method").is_some() {
        return None;
    }
    let Some(entries) = message.pointer("/result/data").and_then(Value::as_array) else {
        let said = message.pointer("/error/message").and_then(Value::as_str);
        let said = said.unwrap_or("an answer that tos does not know");
        return Some(Err(format!("Codex answered: {said}")));
    };
    let text = |value: &Value, key: &str| {
        let found = value.get(key).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let each = |key: &'static str| {
        let lists = entries.iter().filter_map(move |entry| entry.get(key));
        lists.filter_map(Value::as_array).flatten()
    };
    Some(Ok(CodexHookList {
        hooks: each("hooks")
            .map(|hook| CodexHook {
                event: text(hook, "eventName").to_lowercase(),
                command: text(hook, "command"),
                file: text(hook, "sourcePath"),
                source: text(hook, "source"),
                is_enabled: hook.get("enabled") == Some(&Value::Bool(true)),
                trust: text(hook, "trustStatus"),
            })
            .collect(),
        faults: each("errors").map(|fault| text(fault, "message")).collect(),
    }))
}

impl CodexHookList {
    /// Returns why Codex would skip the guard's hook in a file; `None` where it runs it. `is_project` = the file is a project's.
    pub fn skip_reason(&self, file: &Path, is_project: bool, command: &str) -> Option<String> {
        let events = hook_entries(HookAgent::Codex, "");
        let mut events = events.iter().map(|entry| entry.path[1]);
        events.find_map(|event| self.event_skip_reason(event, file, is_project, command))
    }

    fn event_skip_reason(
        &self,
        event: &str,
        file: &Path,
        is_project: bool,
        command: &str,
    ) -> Option<String> {
        const REMEDY: &str = "start `codex`, type `/hooks`, and trust it";
        let source = if is_project { "project" } else { "user" };
        let own: Vec<&CodexHook> = self
            .hooks
            .iter()
            .filter(|hook| {
                hook.source == source
                    && hook.command == command
                    && hook.event == event.to_lowercase()
            })
            .collect();
        // Codex resolves links in a path; where no path is equal, the one of the same command is meant.
        let here = own.iter().any(|hook| Path::new(&hook.file) == file);
        let mut own = own
            .into_iter()
            .filter(|hook| !here || Path::new(&hook.file) == file)
            .peekable();
        if own.peek().is_none() {
            return Some(self.unlisted_reason(event, is_project));
        }
        own.find_map(|hook| {
            if !hook.is_enabled {
                return Some(format!(
                    "its {event} hook is switched off in Codex (`enabled = false`), which SKIPS it without a word: start \
                     `codex`, type `/hooks`, and switch it on"
                ));
            }
            match hook.trust.as_str() {
                "trusted" | "managed" => None,
                "modified" => Some(format!(
                    "its {event} hook has changed since it was trusted, and Codex SKIPS it without a word: {REMEDY} again"
                )),
                _ => Some(format!(
                    "Codex has no trust record for its {event} hook and SKIPS it without a word: {REMEDY}"
                )),
            }
        })
    }

    fn unlisted_reason(&self, event: &str, is_project: bool) -> String {
        match self.faults.first() {
            Some(fault) => {
                format!(
                    "Codex cannot read its settings, and runs no hook until they are mended: {fault}"
                )
            }
            None if is_project => format!(
                "Codex does not list its {event} hook, so it does not run it: it takes hooks of a project only in folders it \
                 trusts. {}",
                folder_remedy()
            ),
            None => format!("Codex does not list its {event} hook, so it does not run it"),
        }
    }
}

/// Returns how Codex is brought to trust a folder.
pub fn folder_remedy() -> &'static str {
    "Start `codex` there and say yes to its question about the folder, then type `/hooks` and trust the hook"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COMMAND: &str = "'/usr/bin/tos' guard hook codex || exit 2";
    const FILE: &str = "/home/you/.codex/hooks.json";

    fn hook(event: &str, source: &str, enabled: bool, trust: &str) -> Value {
        json!({
            "key": format!("{FILE}:pre_tool_use:0:0"), "eventName": event, "handlerType": "command", "command": COMMAND,
            "sourcePath": FILE, "source": source, "enabled": enabled, "isManaged": false, "currentHash": "sha256:1",
            "trustStatus": trust,
        })
    }

    fn list(hooks: &[Value], faults: &[Value]) -> CodexHookList {
        let line = json!({ "id": 1, "result": { "data": [{ "cwd": "/p", "hooks": hooks, "warnings": [], "errors": faults }] } });
        read_hook_list(&line.to_string()).unwrap().unwrap()
    }

    fn reason(hooks: &[Value]) -> String {
        let told = list(hooks, &[]).skip_reason(Path::new(FILE), false, COMMAND);
        told.unwrap_or_default()
    }

    #[test]
    fn a_hook_runs_only_when_each_of_its_events_is_trusted_and_switched_on() {
        let trusted = hook("permissionRequest", "user", true, "trusted");
        let of = |enabled, trust| vec![hook("preToolUse", "user", enabled, trust), trusted.clone()];
        assert_eq!(reason(&of(true, "trusted")), "");
        assert_eq!(reason(&of(true, "managed")), "");
        for (enabled, trust, part) in [
            (true, "untrusted", "no trust record for its PreToolUse hook"),
            (true, "modified", "has changed since it was trusted"),
            (false, "trusted", "switched off in Codex"),
            (true, "a new word", "no trust record"),
        ] {
            assert!(reason(&of(enabled, trust)).contains(part), "{trust}");
        }
        let half = vec![
            hook("preToolUse", "user", true, "trusted"),
            hook("permissionRequest", "user", true, "modified"),
        ];
        assert!(reason(&half).contains("its PermissionRequest hook has changed"));
    }

    #[test]
    fn a_hook_that_codex_does_not_list_does_not_run() {
        assert!(reason(&[]).contains("does not list its PreToolUse hook"));
        let of_project = |hooks: &[Value]| {
            let told = list(hooks, &[]).skip_reason(Path::new(FILE), true, COMMAND);
            told.unwrap_or_default()
        };
        assert!(
            of_project(&[hook("preToolUse", "user", true, "trusted")])
                .contains("folders it trusts")
        );
        let broken = list(
            &[],
            &[json!({ "path": "/p", "message": "config.toml:1:10: unclosed table" })],
        );
        let told = broken.skip_reason(Path::new(FILE), false, COMMAND).unwrap();
        assert!(told.contains("config.toml:1:10: unclosed table"), "{told}");
    }

    #[test]
    fn a_hook_in_another_file_or_of_another_command_is_not_this_one() {
        let mut elsewhere = hook("preToolUse", "user", true, "trusted");
        elsewhere["sourcePath"] = "/elsewhere/hooks.json".into();
        let here = hook("preToolUse", "user", true, "modified");
        assert!(reason(&[elsewhere.clone(), here]).contains("has changed"));
        // Behind a link the path is another one.
        let asked = hook("permissionRequest", "user", true, "trusted");
        assert_eq!(reason(&[elsewhere, asked.clone()]), "");
        let mut other = hook("preToolUse", "user", true, "trusted");
        other["command"] = "mine.sh".into();
        assert!(reason(&[other, asked]).contains("does not list"));
    }

    #[test]
    fn only_the_answer_to_the_question_is_read() {
        for line in [
            "",
            "banner",
            r#"{"id":0,"result":{}}"#,
            r#"{"method":"x","params":{}}"#,
        ] {
            assert_eq!(read_hook_list(line), None, "{line}");
        }
        let refused =
            r#"{"id":1,"error":{"code":-32600,"message":"unknown variant `hooks/list`"}}"#;
        assert_eq!(
            read_hook_list(refused),
            Some(Err(
                "Codex answered: unknown variant `hooks/list`".to_owned()
            ))
        );
        assert!(read_hook_list(r#"{"id":1,"result":{}}"#).unwrap().is_err());
        let request = hook_list_request(Path::new("/p \"q\""));
        assert_eq!(request.lines().count(), 3);
        assert!(
            request.ends_with("\"cwds\":[\"/p \\\"q\\\"\"]}}\n"),
            "{request}"
        );
    }
}
