//! What stands in the settings of an agent so that it asks the guard: the command, and the events it is for.

use std::path::Path;

use serde_json::{Value, json};

use crate::domain::guard::call::HookAgent;

/// How long a program waits for the hook, in seconds; the hook gives itself less.
pub const HOOK_TIMEOUT_SECONDS: u64 = 60;

/// One entry of a settings file: the path of its list, and the entry.
#[derive(Debug, Clone, PartialEq)]
pub struct HookEntry {
    /// Keys from the top of the file to the list.
    pub path: [&'static str; 2],
    /// The entry.
    pub value: Value,
}

/// Returns the command of the hook. A shell runs it: where tos is gone, was killed or ends in any way it should not, the
/// status is still one that every program takes as a refusal.
pub fn hook_command(program: &Path, agent: HookAgent) -> String {
    let program = program.to_string_lossy().replace('\'', "'\\''");
    let agent = agent.as_str();
    format!(
        "'{program}' guard hook {agent} || {{ echo 'tos guard did not answer; `tos guard status` says why' >&2; exit 2; }}"
    )
}

/// Returns the command of a hook that blocks nothing and only reports.
pub fn observing_hook_command(program: &Path, agent: HookAgent) -> String {
    let plain = format!("guard hook {}", agent.as_str());
    hook_command(program, agent).replacen(&plain, &format!("{plain} --observe"), 1)
}

/// Returns the command as it would be written now for the program that a command starts, and in its manner; `None` where it
/// starts none.
pub fn rewritten_hook_command(command: &str, agent: HookAgent) -> Option<String> {
    let program = program_of(command)?;
    let is_observing = command.contains(&format!(" guard hook {} --observe", agent.as_str()));
    let write = if is_observing {
        observing_hook_command
    } else {
        hook_command
    };
    Some(write(Path::new(&program), agent))
}

/// Returns whether a command in a settings file is the guard's.
pub fn is_hook_command(command: &str, agent: HookAgent) -> bool {
    command.contains(&format!(" guard hook {}", agent.as_str()))
}

/// Returns the program that a hook command starts.
pub fn program_of(command: &str) -> Option<String> {
    let rest = command.trim_start();
    let Some(quoted) = rest.strip_prefix('\'') else {
        return rest.split_whitespace().next().map(str::to_owned);
    };
    let end = quoted.find("' guard hook ")?;
    quoted.get(..end).map(|path| path.replace("'\\''", "'"))
}

/// Returns what has to stand in the settings of an agent; empty for one that has a plugin instead.
pub fn hook_entries(agent: HookAgent, command: &str) -> Vec<HookEntry> {
    let entry = |list: &'static str, value: Value| HookEntry {
        path: ["hooks", list],
        value,
    };
    let run = json!({ "type": "command", "command": command, "timeout": HOOK_TIMEOUT_SECONDS });
    match agent {
        HookAgent::Claude => {
            let matcher = "Bash|PowerShell|Monitor|REPL|ExitWorktree|Write|Edit|MultiEdit|NotebookEdit|Read|Grep|Glob|mcp__.*";
            vec![entry(
                "PreToolUse",
                json!({ "matcher": matcher, "hooks": [run] }),
            )]
        }
        HookAgent::Codex => ["PreToolUse", "PermissionRequest"]
            .map(|list| entry(list, json!({ "hooks": [run.clone()] })))
            .to_vec(),
        HookAgent::Gemini => {
            let matcher = "run_shell_command|write_file|replace|read_file|read_many_files|mcp_.*";
            let run = json!({
                "name": "tos-guard", "type": "command", "command": command, "timeout": HOOK_TIMEOUT_SECONDS * 1000,
            });
            vec![entry(
                "BeforeTool",
                json!({ "matcher": matcher, "hooks": [run] }),
            )]
        }
        HookAgent::Cursor => {
            let run =
                json!({ "command": command, "timeout": HOOK_TIMEOUT_SECONDS, "failClosed": true });
            let matched = json!({
                "command": command, "timeout": HOOK_TIMEOUT_SECONDS, "failClosed": true, "matcher": "Write|Edit|MultiEdit|NotebookEdit|StrReplace|Delete",
            });
            vec![
                entry("beforeShellExecution", run.clone()),
                entry("beforeMCPExecution", run.clone()),
                entry("beforeReadFile", run),
                entry("preToolUse", matched),
            ]
        }
        HookAgent::Opencode => Vec::new(),
    }
}

/// Returns the form of an agent in which it asks no hook, whatever stands in its settings.
pub const fn unhooked_form(agent: HookAgent) -> Option<&'static str> {
    match agent {
        HookAgent::Gemini => Some("in an editor, over ACP, Gemini CLI asks no hook"),
        HookAgent::Claude | HookAgent::Codex | HookAgent::Opencode | HookAgent::Cursor => None,
    }
}

/// Returns the text of the plugin for `OpenCode`.
pub fn opencode_plugin(program: &Path) -> String {
    let program = json!(program.to_string_lossy()).to_string();
    include_str!("opencode_plugin.js").replace("\"@PROGRAM@\"", &program)
}

/// Returns the text of a plugin that blocks nothing and only reports.
pub fn observing_opencode_plugin(program: &Path) -> String {
    opencode_plugin(program).replace("\"opencode\"]", "\"opencode\", \"--observe\"]")
}

/// Returns whether a plugin stands as it would be written now for the program it names.
pub fn is_current_plugin(text: &str) -> bool {
    plugin_program(text).is_some_and(|program| {
        let program = Path::new(&program);
        text == opencode_plugin(program) || text == observing_opencode_plugin(program)
    })
}

/// Returns the program that a plugin starts.
pub fn plugin_program(text: &str) -> Option<String> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("const program = "))?;
    serde_json::from_str(line.trim().trim_end_matches(';')).ok()
}

/// The first line of the plugin, by which it is known.
pub const PLUGIN_MARK: &str = "// Written by `tos guard install opencode`";

/// Returns a call that no hook may let pass, as the agent would hand it over.
pub fn probe_call(agent: HookAgent, folder: &Path, session: &str) -> String {
    let folder = folder.to_string_lossy();
    let command = "rm -rf / --no-preserve-root";
    let input = match agent {
        HookAgent::Claude | HookAgent::Codex => json!({
            "session_id": session, "cwd": folder, "permission_mode": "bypassPermissions",
            "hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": { "command": command },
        }),
        HookAgent::Gemini => json!({
            "session_id": session, "cwd": folder, "hook_event_name": "BeforeTool",
            "tool_name": "run_shell_command", "tool_input": { "command": command },
        }),
        HookAgent::Opencode => json!({
            "sessionID": session, "cwd": folder, "tool": "bash", "args": { "command": command },
        }),
        HookAgent::Cursor => json!({
            "conversation_id": session, "cwd": folder, "workspace_roots": [folder],
            "hook_event_name": "beforeShellExecution", "command": command,
        }),
    };
    input.to_string()
}

/// Returns whether an answer keeps the call of [`probe_call`] from running.
pub fn is_refusal(agent: HookAgent, code: Option<i32>, stdout: &str) -> bool {
    if code == Some(2) {
        return true;
    }
    let Ok(value) = serde_json::from_str::<Value>(stdout) else {
        return false;
    };
    let word = match agent {
        HookAgent::Claude | HookAgent::Codex => {
            value.pointer("/hookSpecificOutput/permissionDecision")
        }
        HookAgent::Gemini | HookAgent::Opencode => value.get("decision"),
        HookAgent::Cursor => value.get("permission"),
    };
    code == Some(0) && word.and_then(Value::as_str) == Some("deny")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_of_a_hook_is_found_again() {
        for path in ["/usr/bin/tos", "/home/o'neil/my tools/tos"] {
            let command = hook_command(Path::new(path), HookAgent::Claude);
            assert_eq!(program_of(&command).as_deref(), Some(path));
            assert!(is_hook_command(&command, HookAgent::Claude));
            assert!(!is_hook_command(&command, HookAgent::Codex));
        }
        assert_eq!(program_of("tos guard hook claude").as_deref(), Some("tos"));
    }

    #[test]
    fn only_a_deny_or_status_two_is_a_refusal() {
        let deny = r#"{"hookSpecificOutput":{"permissionDecision":"deny"}}"#;
        assert!(is_refusal(HookAgent::Claude, Some(0), deny));
        assert!(is_refusal(HookAgent::Claude, Some(2), ""));
        assert!(!is_refusal(HookAgent::Claude, Some(1), deny));
        assert!(!is_refusal(HookAgent::Claude, Some(0), ""));
        assert!(!is_refusal(HookAgent::Gemini, Some(0), deny));
        assert!(!is_refusal(HookAgent::Claude, None, ""));
    }

    #[test]
    fn the_plugin_names_the_program_as_a_word_of_javascript() {
        let text = opencode_plugin(Path::new("/a \"b\"/tos"));
        assert!(text.starts_with(PLUGIN_MARK));
        assert!(text.contains(r#""/a \"b\"/tos""#), "{text}");
    }
}
