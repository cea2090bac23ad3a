//! The JSON that each program hands its hook, read into one tool call.
//!
//! Keys that are not needed are passed over, so that a newer version of a program does not break the guard. What is needed
//! and missing is an error: a call nobody can read is not judged, and what is not judged is not let through.

use serde_json::{Map, Value};

use crate::domain::{
    command::{Command, CommandKind},
    guard::{
        call::{AttendanceMode, HookAgent, ToolAction, ToolCall},
        patch,
    },
    policy::FileAccess,
};

/// Why what came in is no tool call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HookInputError {
    /// It is no JSON.
    #[error("the input is not JSON: {0}")]
    NotJson(String),
    /// Something is missing or has another shape.
    #[error("the input has no {0}")]
    Missing(&'static str),
}

/// The modes of Claude Code and Codex in which nobody is asked.
const SILENT_MODES: [&str; 2] = ["bypassPermissions", "dontAsk"];

/// Reads what a program handed its hook.
pub fn parse_tool_call(agent: HookAgent, input: &[u8]) -> Result<ToolCall, HookInputError> {
    let value: Value = serde_json::from_slice(input)
        .map_err(|error| HookInputError::NotJson(error.to_string()))?;
    let Value::Object(input) = value else {
        return Err(HookInputError::Missing("object on its outside"));
    };
    let event = text(&input, &["hook_event_name"]).unwrap_or("").to_owned();
    let (tool, action) = match agent {
        HookAgent::Cursor => cursor(&event, &input)?,
        HookAgent::Opencode => {
            let tool = text(&input, &["tool"]).ok_or(HookInputError::Missing("`tool`"))?;
            (
                tool.to_owned(),
                action(agent, tool, &arguments(&input, "args")?)?,
            )
        }
        HookAgent::Claude | HookAgent::Codex | HookAgent::Gemini => {
            let tool =
                text(&input, &["tool_name"]).ok_or(HookInputError::Missing("`tool_name`"))?;
            (
                tool.to_owned(),
                action(agent, tool, &arguments(&input, "tool_input")?)?,
            )
        }
    };
    Ok(ToolCall {
        agent,
        presence: presence(agent, &event, &input),
        event,
        tool,
        action,
        folder: folder(&input),
        session: text(&input, &["session_id", "sessionID", "conversation_id"])
            .unwrap_or("")
            .to_owned(),
    })
}

/// Returns whether a question would reach somebody.
fn presence(agent: HookAgent, event: &str, input: &Map<String, Value>) -> AttendanceMode {
    let mode = text(input, &["permission_mode"]).unwrap_or("");
    match agent {
        // It takes no question from this event and runs the tool.
        HookAgent::Codex if event != "PermissionRequest" => {
            AttendanceMode::Nobody("a hook of Codex cannot ask")
        }
        HookAgent::Claude | HookAgent::Codex if SILENT_MODES.contains(&mode) => {
            AttendanceMode::Nobody("nobody is asked in this permission mode")
        }
        HookAgent::Gemini => AttendanceMode::Nobody("a hook of Gemini cannot ask"),
        HookAgent::Opencode => AttendanceMode::Nobody("a plugin of OpenCode cannot ask"),
        // What comes before a tool and not before a command may only be let pass or refused.
        HookAgent::Cursor if !["beforeShellExecution", "beforeMCPExecution"].contains(&event) => {
            AttendanceMode::Nobody("Cursor does not ask about this event")
        }
        HookAgent::Claude | HookAgent::Codex | HookAgent::Cursor => AttendanceMode::Person,
    }
}

fn folder(input: &Map<String, Value>) -> Option<String> {
    let roots = input.get("workspace_roots").and_then(Value::as_array);
    let first = roots
        .and_then(|roots| roots.first())
        .and_then(Value::as_str);
    let named = text(input, &["cwd", "directory"]).filter(|folder| !folder.is_empty());
    named.or(first).map(str::to_owned)
}

fn cursor(event: &str, input: &Map<String, Value>) -> Result<(String, ToolAction), HookInputError> {
    match event {
        "beforeShellExecution" => {
            let code = text(input, &["command"]).ok_or(HookInputError::Missing("`command`"))?;
            Ok(("Shell".to_owned(), command(CommandKind::Bash, code)))
        }
        "beforeReadFile" | "beforeTabFileRead" => {
            let path = text(input, &["file_path"]).ok_or(HookInputError::Missing("`file_path`"))?;
            let files = vec![(FileAccess::Read, path.to_owned())];
            Ok(("Read".to_owned(), ToolAction::Files(files)))
        }
        "preToolUse" => {
            let tool = text(input, &["tool_name"]).ok_or(HookInputError::Missing("`tool_name`"))?;
            let found = action(HookAgent::Cursor, tool, &arguments(input, "tool_input")?)?;
            Ok((tool.to_owned(), found))
        }
        // Its tools have bare names here, and arguments as a text.
        "beforeMCPExecution" => {
            let tool = text(input, &["tool_name"]).ok_or(HookInputError::Missing("`tool_name`"))?;
            let name = format!("mcp__{tool}");
            let found = action(HookAgent::Cursor, &name, &arguments(input, "tool_input")?)?;
            Ok((name, found))
        }
        "" => Err(HookInputError::Missing("`hook_event_name`")),
        other => Ok((other.to_owned(), ToolAction::Other)),
    }
}

/// Returns the arguments of a tool; a text that holds JSON counts as its content.
fn arguments(
    input: &Map<String, Value>,
    key: &'static str,
) -> Result<Map<String, Value>, HookInputError> {
    let missing = || {
        HookInputError::Missing(if key == "args" {
            "`args`"
        } else {
            "`tool_input`"
        })
    };
    match input.get(key) {
        Some(Value::Object(arguments)) => Ok(arguments.clone()),
        Some(Value::String(text)) => serde_json::from_str(text).map_err(|_| missing()),
        _ => Err(missing()),
    }
}

/// Returns what a tool would do with its arguments.
fn action(
    agent: HookAgent,
    tool: &str,
    arguments: &Map<String, Value>,
) -> Result<ToolAction, HookInputError> {
    const PATCHES: [&str; 5] = ["command", "input", "patch", "patchText", "patch_text"];
    let name = tool.to_ascii_lowercase();
    if matches!(name.as_str(), "apply_patch" | "patch") {
        let patch = text(arguments, &PATCHES);
        let patch = patch.ok_or(HookInputError::Missing("text of the patch"))?;
        return Ok(ToolAction::Files(patch::files(patch)));
    }
    match access_of(&name) {
        Some(access) => file_action(access, arguments),
        None => command_action(agent, &name, arguments),
    }
}

/// Returns what a tool of this name does to the file it names.
fn access_of(name: &str) -> Option<FileAccess> {
    match name {
        "write" | "edit" | "multiedit" | "notebookedit" | "write_file" | "replace"
        | "strreplace" | "tabwrite" => Some(FileAccess::Write),
        "read"
        | "notebookread"
        | "read_file"
        | "grep"
        | "glob"
        | "ls"
        | "list"
        | "list_directory"
        | "search_file_content"
        | "grep_search"
        | "read_many_files" => Some(FileAccess::Read),
        "delete" | "delete_file" => Some(FileAccess::Delete),
        _ => None,
    }
}

fn file_action(
    access: FileAccess,
    arguments: &Map<String, Value>,
) -> Result<ToolAction, HookInputError> {
    const PATHS: [&str; 6] = [
        "file_path",
        "filePath",
        "notebook_path",
        "absolute_path",
        "path",
        "target_file",
    ];
    match text(arguments, &PATHS) {
        Some(path) => Ok(ToolAction::Files(vec![(access, path.to_owned())])),
        // A search without a path starts where the agent works.
        None if access == FileAccess::Read => Ok(ToolAction::Other),
        None => Err(HookInputError::Missing("path of the file")),
    }
}

/// Returns the command that a tool of any name is given, if it is given one.
fn command_action(
    agent: HookAgent,
    name: &str,
    arguments: &Map<String, Value>,
) -> Result<ToolAction, HookInputError> {
    // Tools of other servers have commands that are none of a shell; these say that they run one.
    const RUNNERS: [&str; 9] = [
        "shell", "bash", "exec", "command", "terminal", "run", "python", "eval", "repl",
    ];
    const RUNS: [&str; 6] = [
        "bash",
        "powershell",
        "shell",
        "run_shell_command",
        "exec_command",
        "local_shell",
    ];
    if name.starts_with("mcp_") && !RUNNERS.iter().any(|runner| name.contains(runner)) {
        return Ok(named_files(name, arguments));
    }
    let kind = if name == "powershell" {
        CommandKind::Powershell
    } else {
        CommandKind::Bash
    };
    if name == "exitworktree" {
        return Ok(left_work_tree(arguments));
    }
    if let Some(command) = code_of(name, arguments) {
        return Ok(ToolAction::Command(command));
    }
    let is_typed = ["shell", "bash", "terminal"]
        .iter()
        .any(|word| name.contains(word));
    let keys: &[&str] = if name.starts_with("mcp_") && is_typed {
        &["command", "cmd", "script", "input"]
    } else {
        &["command", "cmd", "script"]
    };
    if let Some(code) = text(arguments, keys) {
        let starts = text(arguments, &["workdir", "dir_path", "directory"]);
        let starts = starts.filter(|_| agent != HookAgent::Claude);
        let code = match arguments.get("args") {
            // The name of a program, and beside it what it is given.
            Some(Value::Array(words)) => {
                let words = words.iter().filter_map(Value::as_str);
                let quoted = words.map(|word| format!(" '{}'", word.replace('\'', "'\\''")));
                format!("{code}{}", quoted.collect::<String>())
            }
            _ => code.to_owned(),
        };
        return Ok(in_folder(starts, kind, &code));
    }
    if let Some(command) = words_of(arguments)? {
        return Ok(ToolAction::Command(command));
    }
    if RUNS.contains(&name) {
        return Err(HookInputError::Missing("`command`"));
    }
    Ok(named_files(name, arguments))
}

/// Returns the command that is given as its words.
fn words_of(arguments: &Map<String, Value>) -> Result<Option<Command>, HookInputError> {
    let are_words = |value: &&Value| {
        let values = value.as_array();
        values.is_some_and(|values| !values.is_empty() && values.iter().all(Value::is_string))
    };
    let words = arguments.get("command").or_else(|| arguments.get("argv"));
    let words = words.or_else(|| arguments.get("args").filter(are_words));
    if let Some(Value::Array(words)) = words {
        let argv: Option<Vec<String>> = words
            .iter()
            .map(|word| word.as_str().map(str::to_owned))
            .collect();
        let argv = argv.filter(|argv| !argv.is_empty());
        let argv = argv.ok_or(HookInputError::Missing("words of the command"))?;
        return Ok(Some(Command::exec(argv)));
    }
    Ok(None)
}

/// Leaving a work tree removes it with all that no commit holds, where that is said.
fn left_work_tree(arguments: &Map<String, Value>) -> ToolAction {
    let is_gone = arguments.get("discard_changes") == Some(&Value::Bool(true));
    if !is_gone || text(arguments, &["action"]) != Some("remove") {
        return ToolAction::Other;
    }
    let argv = ["git", "worktree", "remove", "--force", "."];
    ToolAction::Command(exec(&argv))
}

/// Returns the program of another language that a tool runs, as a command.
fn code_of(name: &str, arguments: &Map<String, Value>) -> Option<Command> {
    const SCRIPTS: [&str; 4] = ["repl", "javascript", "node", "typescript"];
    const SHELLS: [&str; 3] = ["shell", "bash", "terminal"];
    const PYTHONS: [&str; 5] = [
        "python",
        "jupyter",
        "kernel",
        "notebook",
        "ide__executecode",
    ];
    let code = text(arguments, &["code"])?;
    let language = text(arguments, &["language"]).unwrap_or(name);
    let language = language.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| language.contains(word));
    if says(&SHELLS) || language == "sh" {
        Some(Command::with_code(CommandKind::Bash, code.to_owned()))
    } else if says(&SCRIPTS) || language == "js" {
        Some(exec(&["node", "-e", code]))
    } else {
        // What else is called code, such as steps of a browser, is read by nobody here.
        says(&PYTHONS).then(|| exec(&["python3", "-c", code]))
    }
}

fn exec(argv: &[&str]) -> Command {
    Command::exec(argv.iter().map(|word| (*word).to_owned()).collect())
}

/// Returns the files that the arguments of a tool of another server name: what it does to them is told by its name, and where
/// that says nothing they are taken to be changed.
fn named_files(name: &str, arguments: &Map<String, Value>) -> ToolAction {
    const READS: &str = "read get list search find view show stat info tree head tail open fetch query describe diff count check \
        exists glob grep ls cat screenshot";
    const CHANGES: &str = "write edit create update delete remove rm unlink move mv rename copy cp put save append patch replace \
        insert set truncate";
    const DELETES: &str = "delete remove rm unlink move mv rename";
    if !name.starts_with("mcp_") {
        return ToolAction::Other;
    }
    let tool = name.rsplit("__").next().unwrap_or(name);
    let says = |list: &str| {
        tool.split(|c: char| !c.is_alphanumeric())
            .any(|word| list.split_ascii_whitespace().any(|own| own == word))
    };
    let access = if says(DELETES) {
        FileAccess::Delete
    } else if says(READS) && !says(CHANGES) {
        FileAccess::Read
    } else {
        FileAccess::Write
    };
    let mut files = Vec::new();
    for (key, value) in arguments {
        let key = key.to_ascii_lowercase();
        if matches!(&value, Value::Array(values) if values.iter().all(Value::is_object)) {
            // A list of changes, each with its path.
            paths_of(value, &mut |path| files.push((access, path.to_owned())));
            continue;
        }
        let is_folder = ["directory", "dir", "folder"].contains(&key.as_str());
        let is_path = (is_folder && access == FileAccess::Delete)
            || [
                "path",
                "paths",
                "file",
                "files",
                "filename",
                "source",
                "destination",
                "target",
            ]
            .iter()
            .any(|word| key == *word || key.ends_with(&format!("_{word}")))
            || ["path", "paths"].iter().any(|word| key.ends_with(word))
            || key == "uri";
        // Where it goes to is written, whatever becomes of what was there.
        let access = if access == FileAccess::Delete && key.starts_with("dest") {
            FileAccess::Write
        } else {
            access
        };
        if is_path {
            paths_of(value, &mut |path| files.push((access, path.to_owned())));
        }
    }
    if files.is_empty() {
        ToolAction::Other
    } else {
        ToolAction::Files(files)
    }
}

/// Hands on the paths of an argument: a text, a list of them, or objects that have them.
fn paths_of(value: &Value, found: &mut dyn FnMut(&str)) {
    match value {
        Value::String(path) => {
            let path = path.strip_prefix("file://").unwrap_or(path);
            // An address is no file, and a long text is its content.
            if !path.is_empty()
                && !path.contains("://")
                && !path.contains('\n')
                && path.len() < 4_096
            {
                found(path);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| paths_of(value, found)),
        Value::Object(values) => {
            for key in ["path", "file_path", "file"] {
                if let Some(value) = values.get(key) {
                    paths_of(value, found);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn command(kind: CommandKind, code: &str) -> ToolAction {
    ToolAction::Command(Command::with_code(kind, code.to_owned()))
}

/// A command that a tool starts in a folder of its own.
fn in_folder(folder: Option<&str>, kind: CommandKind, code: &str) -> ToolAction {
    let Some(folder) = folder.filter(|folder| !folder.is_empty() && *folder != ".") else {
        return command(kind, code);
    };
    let quoted = folder.replace('\'', "'\\''");
    command(kind, &format!("cd '{quoted}' && {{ {code}\n}}"))
}

fn text<'a>(input: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a str> {
    keys.iter()
        .find_map(|key| input.get(*key).and_then(Value::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(agent: HookAgent, input: &str) -> Result<ToolCall, HookInputError> {
        parse_tool_call(agent, input.as_bytes())
    }

    fn command_of(call: &ToolCall) -> String {
        match &call.action {
            ToolAction::Command(command) => command.text(),
            other @ (ToolAction::Files(_) | ToolAction::Other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_program_s_shell_tool_is_a_command() {
        for (agent, input) in [
            (
                HookAgent::Claude,
                r#"{"session_id":"s","cwd":"/p","permission_mode":"default","hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"ls"}}"#,
            ),
            (
                HookAgent::Codex,
                r#"{"session_id":"s","cwd":"/p","hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"ls"}}"#,
            ),
            (
                HookAgent::Gemini,
                r#"{"session_id":"s","cwd":"/p","hook_event_name":"BeforeTool","tool_name":"run_shell_command","tool_input":{"command":"ls"}}"#,
            ),
            (
                HookAgent::Opencode,
                r#"{"sessionID":"s","cwd":"/p","tool":"bash","args":{"command":"ls"}}"#,
            ),
            (
                HookAgent::Cursor,
                r#"{"conversation_id":"s","workspace_roots":["/p"],"hook_event_name":"beforeShellExecution","command":"ls","cwd":""}"#,
            ),
            (
                HookAgent::Cursor,
                r#"{"conversation_id":"s","workspace_roots":["/p"],"hook_event_name":"beforeMCPExecution","tool_name":"run_command","tool_input":"{\"command\":\"ls\"}","command":"npx some-server"}"#,
            ),
        ] {
            let call = call(agent, input).unwrap();
            assert_eq!(command_of(&call), "ls");
            assert_eq!(call.folder.as_deref(), Some("/p"), "{agent:?}");
            assert_eq!(call.session, "s", "{agent:?}");
        }
    }

    #[test]
    fn files_are_named_with_what_is_done_to_them() {
        for (tool, input, access) in [
            (
                "Write",
                r#"{"file_path":"a","content":"x"}"#,
                FileAccess::Write,
            ),
            ("Edit", r#"{"file_path":"a"}"#, FileAccess::Write),
            ("MultiEdit", r#"{"file_path":"a"}"#, FileAccess::Write),
            (
                "NotebookEdit",
                r#"{"notebook_path":"a"}"#,
                FileAccess::Write,
            ),
            ("Read", r#"{"file_path":"a"}"#, FileAccess::Read),
            ("Grep", r#"{"pattern":"x","path":"a"}"#, FileAccess::Read),
        ] {
            let text = format!(r#"{{"tool_name":"{tool}","tool_input":{input}}}"#);
            let call = call(HookAgent::Claude, &text).unwrap();
            assert_eq!(
                call.action,
                ToolAction::Files(vec![(access, "a".to_owned())]),
                "{tool}"
            );
        }
    }

    #[test]
    fn a_question_reaches_nobody_where_the_program_takes_none() {
        let claude = |mode: &str| {
            let text = format!(
                r#"{{"permission_mode":"{mode}","tool_name":"Bash","tool_input":{{"command":"ls"}}}}"#
            );
            call(HookAgent::Claude, &text).unwrap().presence
        };
        for mode in ["default", "acceptEdits", "plan"] {
            assert_eq!(claude(mode), AttendanceMode::Person, "{mode}");
        }
        for mode in ["bypassPermissions", "dontAsk"] {
            assert!(matches!(claude(mode), AttendanceMode::Nobody(_)), "{mode}");
        }
        let codex = |event: &str| {
            let text = format!(
                r#"{{"hook_event_name":"{event}","permission_mode":"default","tool_name":"Bash","tool_input":{{"command":"ls"}}}}"#
            );
            call(HookAgent::Codex, &text).unwrap().presence
        };
        assert!(matches!(codex("PreToolUse"), AttendanceMode::Nobody(_)));
        assert_eq!(codex("PermissionRequest"), AttendanceMode::Person);
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_a_tool_that_is_not_judged_is_none() {
        for (input, error) in [
            (
                "",
                "the input is not JSON: EOF while parsing a value at line 1 column 0",
            ),
            ("[]", "the input has no object on its outside"),
            ("{}", "the input has no `tool_name`"),
            (r#"{"tool_name":"Bash"}"#, "the input has no `tool_input`"),
            (
                r#"{"tool_name":"Bash","tool_input":{"command":7}}"#,
                "the input has no `command`",
            ),
            (
                r#"{"tool_name":"Write","tool_input":{}}"#,
                "the input has no path of the file",
            ),
        ] {
            assert_eq!(
                call(HookAgent::Claude, input).unwrap_err().to_string(),
                error
            );
        }
        let fetch = r#"{"tool_name":"WebFetch","tool_input":{"url":"https://example.org"}}"#;
        assert_eq!(
            call(HookAgent::Claude, fetch).unwrap().action,
            ToolAction::Other
        );
        let view = r#"{"tool_name":"mcp__browser__act","tool_input":{"command":"click(#a)"}}"#;
        assert_eq!(
            call(HookAgent::Claude, view).unwrap().action,
            ToolAction::Other
        );
    }

    #[test]
    fn tools_of_servers_are_judged_by_their_paths() {
        for (tool, input, files) in [
            (
                "mcp__fs__write_file",
                r#"{"path":".tos/guard.toml","content":"x"}"#,
                vec![(FileAccess::Write, ".tos/guard.toml")],
            ),
            (
                "mcp__fs__delete_file",
                r#"{"path":".tos/guard.toml"}"#,
                vec![(FileAccess::Delete, ".tos/guard.toml")],
            ),
            (
                "mcp__fs__move_file",
                r#"{"source":"a","destination":"b"}"#,
                vec![(FileAccess::Delete, "a"), (FileAccess::Write, "b")],
            ),
            (
                "mcp__fs__read_multiple_files",
                r#"{"paths":["a","file:///b"]}"#,
                vec![(FileAccess::Read, "a"), (FileAccess::Read, "/b")],
            ),
            (
                "mcp__gh__push_files",
                r#"{"files":[{"path":"a","content":"x"}],"source_url":"https://x"}"#,
                vec![(FileAccess::Write, "a")],
            ),
        ] {
            let text = format!(r#"{{"tool_name":"{tool}","tool_input":{input}}}"#);
            let wanted = files
                .into_iter()
                .map(|(access, path)| (access, path.to_owned()));
            let action = call(HookAgent::Claude, &text).unwrap().action;
            assert_eq!(action, ToolAction::Files(wanted.collect()), "{tool}");
        }
        let edits =
            r#"{"tool_name":"mcp__fs__apply","tool_input":{"edits":[{"path":"a"}],"note":[]}}"#;
        let files = vec![(FileAccess::Write, "a".to_owned())];
        assert_eq!(
            call(HookAgent::Claude, edits).unwrap().action,
            ToolAction::Files(files)
        );
    }

    #[test]
    fn commands_and_code_of_other_tools_are_commands() {
        for (tool, input, wanted) in [
            ("mcp__x__run", r#"{"command":"rm -rf /"}"#, "rm -rf /"),
            (
                "mcp__x__exec",
                r#"{"command":"rm","args":["-rf","it's"]}"#,
                "rm '-rf' 'it'\\''s'",
            ),
            ("mcp__x__exec", r#"{"args":["rm","-rf","/"]}"#, "rm -rf /"),
            (
                "mcp__ide__executeCode",
                r#"{"code":"x()"}"#,
                "python3 -c 'x()'",
            ),
            ("REPL", r#"{"code":"x()"}"#, "node -e 'x()'"),
            ("mcp__x__terminal", r#"{"input":"ls"}"#, "ls"),
            (
                "mcp__x__run_code",
                r#"{"code":"ls","language":"bash"}"#,
                "ls",
            ),
            (
                "ExitWorktree",
                r#"{"action":"remove","discard_changes":true}"#,
                "git worktree remove --force .",
            ),
        ] {
            let text = format!(r#"{{"tool_name":"{tool}","tool_input":{input}}}"#);
            assert_eq!(
                command_of(&call(HookAgent::Claude, &text).unwrap()),
                wanted,
                "{tool}"
            );
        }
        for (tool, input) in [
            ("ExitWorktree", r#"{"action":"keep"}"#),
            ("ExitWorktree", r#"{"action":"remove"}"#),
            ("mcp__browser__run_code", r#"{"code":"page.click()"}"#),
            ("mcp__tasks__run", r#"{"args":[{"id":1}]}"#),
        ] {
            let text = format!(r#"{{"tool_name":"{tool}","tool_input":{input}}}"#);
            let action = call(HookAgent::Claude, &text).unwrap().action;
            assert_eq!(action, ToolAction::Other, "{tool}");
        }
    }

    #[test]
    fn a_folder_of_its_own_stands_in_front_of_the_command() {
        let input = r#"{"tool":"bash","args":{"command":"rm x","workdir":"it's"}}"#;
        let call = call(HookAgent::Opencode, input).unwrap();
        assert_eq!(command_of(&call), "cd 'it'\\''s' && { rm x\n}");
    }
}
