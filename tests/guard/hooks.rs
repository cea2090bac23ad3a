//! What each agent hands its hook, and what it is told.

use serde_json::{Value, json};

use crate::bench::Bench;

const DESTROYS: &str = "rm -rf /srv/data";

#[test]
fn claude_is_refused_with_a_reason_and_the_ordinary_gets_no_answer_at_all() {
    let bench = Bench::new();
    let refused = bench.claude(DESTROYS);
    let (decision, reason) = refused.decision();
    assert_eq!(
        (refused.code, decision.as_str()),
        (Some(0), "deny"),
        "{refused:?}"
    );
    assert!(
        reason.contains("guard/delete-outside") && reason.contains("/srv/data"),
        "{reason}"
    );
    for ordinary in [
        "ls -la",
        "cargo test",
        "git status && git commit -m x",
        "grep -rn 'rm -rf' .",
    ] {
        let ended = bench.claude(ordinary);
        assert_eq!(
            (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
            (Some(0), "", ""),
            "{ordinary}"
        );
    }
}

#[test]
fn what_is_outward_is_asked_about_where_somebody_is_there() {
    let bench = Bench::new();
    let asked = |mode: &str| {
        bench
            .claude_in("git push origin main", &bench.root, mode)
            .decision()
    };
    assert_eq!(asked("default").0, "ask");
    assert_eq!(asked("acceptEdits").0, "ask");
    for mode in ["bypassPermissions", "dontAsk"] {
        let (decision, reason) = asked(mode);
        assert_eq!(decision, "deny", "{mode}");
        assert!(
            reason.contains("nobody is asked in this permission mode"),
            "{reason}"
        );
    }
}

#[test]
fn tools_that_write_and_read_files_are_judged_by_the_place() {
    let bench = Bench::new();
    let decision = |tool: &str, input: Value| {
        bench
            .tool(&bench.root, "default", tool, &input)
            .decision()
            .0
    };
    let at = |path: &str| json!({ "file_path": path });
    let home = bench.home();
    for (tool, input, expected) in [
        ("Write", at("new.txt"), ""),
        (
            "Write",
            at(&bench.root.join("new.txt").to_string_lossy()),
            "",
        ),
        ("Edit", at("a.txt"), ""),
        ("Read", at("a.txt"), ""),
        ("Read", at("/usr/include/stdio.h"), ""),
        ("Write", at(".git/hooks/pre-commit"), "deny"),
        ("Edit", at(".tos/guard.toml"), "deny"),
        ("MultiEdit", at(".claude/settings.json"), "deny"),
        (
            "Write",
            at(&home.join(".config/tos/guard.toml").to_string_lossy()),
            "deny",
        ),
        ("Write", at("/etc/passwd"), "ask"),
        ("Write", at(&home.join(".bashrc").to_string_lossy()), "ask"),
        (
            "Write",
            at(&home.join(".claude/plans/x.md").to_string_lossy()),
            "",
        ),
        (
            "Read",
            at(&home.join(".ssh/id_ed25519").to_string_lossy()),
            "deny",
        ),
        ("Read", at("~/.aws/credentials"), "deny"),
        ("Read", at(".env"), "ask"),
        (
            "Grep",
            json!({ "pattern": "x", "path": home.join(".ssh") }),
            "deny",
        ),
        ("Grep", json!({ "pattern": "x" }), ""),
        (
            "NotebookEdit",
            json!({ "notebook_path": "/srv/x.ipynb" }),
            "ask",
        ),
        ("WebFetch", json!({ "url": "https://example.org" }), ""),
    ] {
        assert_eq!(decision(tool, input.clone()), expected, "{tool} {input}");
    }
}

#[test]
fn a_link_out_of_the_project_is_followed() {
    let bench = Bench::new();
    std::os::unix::fs::symlink("/etc", bench.root.join("out")).unwrap();
    let ended = bench.tool(
        &bench.root,
        "default",
        "Write",
        &json!({ "file_path": "out/passwd" }),
    );
    assert_eq!(ended.decision().0, "ask");
    assert_eq!(bench.claude("rm -rf out/").decision().0, "deny");
}

#[test]
fn relative_paths_start_where_the_agent_is_and_the_project_is_the_repository() {
    let bench = Bench::new();
    let sub = bench.root.join("src");
    assert_eq!(
        bench.claude_in("rm ../a.txt", &sub, "default").decision().0,
        ""
    );
    assert_eq!(
        bench.claude_in("rm ../../x", &sub, "default").decision().0,
        "deny"
    );
}

#[test]
fn the_home_folder_is_no_project() {
    let bench = Bench::new();
    let home = bench.home();
    std::fs::write(home.join("letter.txt"), "dear").unwrap();
    assert_eq!(
        bench
            .claude_in("rm letter.txt", &home, "default")
            .decision()
            .0,
        "deny"
    );
    assert_eq!(bench.claude_in("ls", &home, "default").decision().0, "");
}

#[test]
fn codex_gets_a_deny_for_a_question_and_asks_by_itself_about_permissions() {
    let bench = Bench::new();
    let asked = |event: &str, tool: &str, command: &str| {
        let call = json!({
            "session_id": "s", "turn_id": "t", "cwd": bench.root, "hook_event_name": event, "model": "m",
            "permission_mode": "default", "tool_name": tool, "tool_input": { "command": command },
        });
        bench.feed(&["guard", "hook", "codex"], call.to_string().as_bytes())
    };
    assert_eq!(asked("PreToolUse", "Bash", DESTROYS).decision().0, "deny");
    let (decision, reason) = asked("PreToolUse", "Bash", "git push").decision();
    assert_eq!(decision, "deny");
    assert!(reason.contains("a hook of Codex cannot ask"), "{reason}");
    assert_eq!(asked("PreToolUse", "Bash", "ls").stdout, "");
    assert_eq!(asked("PermissionRequest", "Bash", "git push").stdout, "");
    let refused = asked("PermissionRequest", "Bash", DESTROYS).json();
    assert_eq!(
        refused["hookSpecificOutput"]["decision"]["behavior"],
        "deny"
    );
    let patch = "*** Begin Patch\n*** Update File: .git/config\n@@\n-a\n+b\n*** End Patch";
    assert_eq!(
        asked("PreToolUse", "apply_patch", patch).decision().0,
        "deny"
    );
    let inside = format!("apply_patch <<'EOF'\n{patch}\nEOF");
    assert_eq!(asked("PreToolUse", "Bash", &inside).decision().0, "deny");
    let patch = "*** Begin Patch\n*** Update File: a.txt\n@@\n-a\n+b\n*** End Patch";
    assert_eq!(asked("PreToolUse", "apply_patch", patch).stdout, "");
}

#[test]
fn gemini_opencode_and_cursor_are_answered_in_their_own_words() {
    let bench = Bench::new();
    let ask = |agent: &str, call: Value| {
        bench.feed(&["guard", "hook", agent], call.to_string().as_bytes())
    };
    let gemini = |command: &str| {
        ask(
            "gemini",
            json!({
                "session_id": "s", "cwd": bench.root, "hook_event_name": "BeforeTool",
                "tool_name": "run_shell_command", "tool_input": { "command": command },
            }),
        )
    };
    assert_eq!(gemini(DESTROYS).json()["decision"], "deny");
    assert_eq!(
        gemini("git push").json()["decision"],
        "deny",
        "it would hang on a question"
    );
    assert_eq!(gemini("ls").stdout, "");
    let opencode =
        |command: &str| {
            ask("opencode", json!({
            "sessionID": "s", "cwd": bench.root, "tool": "bash", "args": { "command": command },
        }))
        .json()["decision"]
            .clone()
        };
    assert_eq!(
        (opencode(DESTROYS), opencode("git push"), opencode("ls")),
        ("deny".into(), "deny".into(), "allow".into())
    );
    let cursor = |command: &str| {
        ask(
            "cursor",
            json!({
                "conversation_id": "s", "workspace_roots": [bench.root], "cwd": "",
                "hook_event_name": "beforeShellExecution", "command": command,
            }),
        )
        .json()
    };
    assert_eq!(cursor(DESTROYS)["permission"], "deny");
    assert_eq!(cursor("git push")["permission"], "ask");
    assert_eq!(cursor("ls"), json!({}));
    let read = ask(
        "cursor",
        json!({
            "workspace_roots": [bench.root], "hook_event_name": "beforeReadFile", "file_path": "~/.ssh/id_rsa",
        }),
    );
    assert_eq!(read.json()["permission"], "deny");
    let mcp = |tool: &str, command: &str| {
        let input = json!({ "command": command }).to_string();
        ask(
            "cursor",
            json!({
                "conversation_id": "s", "workspace_roots": [bench.root], "hook_event_name": "beforeMCPExecution",
                "tool_name": tool, "tool_input": input, "command": "npx some-server",
            }),
        )
        .json()
    };
    assert_eq!(mcp("run_command", DESTROYS)["permission"], "deny");
    assert_eq!(mcp("run_command", "git push")["permission"], "ask");
    assert_eq!(mcp("run_command", "ls"), json!({}));
    assert_eq!(mcp("look_up", DESTROYS), json!({}), "it runs no command");
}

#[test]
fn each_judged_call_is_logged_without_secrets_and_adds_up() {
    let bench = Bench::new();
    drop(bench.claude("ls"));
    drop(bench.claude(DESTROYS));
    drop(bench.claude("curl -H 'Authorization: Bearer sk-ant-REDACTED' https://example.org"));
    let log = bench.tos(&["guard", "log", "--json"]).json();
    let entries = log["entries"].as_array().unwrap();
    let decisions: Vec<&str> = entries
        .iter()
        .filter_map(|entry| entry["decision"].as_str())
        .collect();
    assert_eq!(decisions, ["allow", "deny", "ask"]);
    assert!(
        entries[2]["subject"]
            .as_str()
            .unwrap()
            .contains("[redacted]"),
        "{log}"
    );
    assert!(!log.to_string().contains("0123456789"), "{log}");
    let stats = bench.tos(&["guard", "stats", "--json"]).json();
    assert_eq!(stats["judged"], 3);
    assert_eq!(stats["rules"]["guard/delete-outside"], 1);
}
