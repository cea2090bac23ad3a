//! Claude Code and Codex themselves as clients of `tos mcp`.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::json;

use crate::{
    BOTH,
    bench::{Agent, Bench, program},
};

/// Lets an agent work in the repository with the tools of tos, outside of any task; returns what it printed.
fn work(bench: &Bench, agent: Agent, words: &[&str], prompt: &str) -> String {
    let (mut command, place) = (Command::new("sh"), bench.server.place());
    let tos = program().display().to_string();
    let arguments: Vec<&str> = ["mcp"].iter().chain(words).copied().collect();
    let line = if agent == Agent::Claude {
        let file = bench.folder().join("mcp.json");
        let servers = json!({ "mcpServers": { "tos": { "command": tos, "args": arguments } } });
        fs::write(&file, servers.to_string()).unwrap();
        let tools = "mcp__tos__run_command mcp__tos__checkpoint mcp__tos__undo mcp__tos__plan_run mcp__tos__explain_policy";
        format!(
            "claude -p --output-format stream-json --verbose --mcp-config '{}' --strict-mcp-config --allowedTools {tools}",
            file.display()
        )
    } else {
        let provider = format!(
            "model_providers.mock={{name=\"mock\",base_url=\"http://{place}/v1\",env_key=\"OPENAI_API_KEY\",wire_api=\"responses\"}}"
        );
        let server = format!(
            "mcp_servers.tos={{command=\"{tos}\",args={},env={{PATH=\"/usr/local/bin:/usr/bin:/bin\"}}}}",
            json!(arguments)
        );
        format!(
            "codex exec --json --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox -m gpt-5 -c '{provider}' \
                 -c 'model_provider=\"mock\"' -c '{server}' -"
        )
    };
    let like = bench.command(&[]);
    command
        .args(["-c", &line])
        .current_dir(&bench.root)
        .env_clear();
    for (name, value) in like.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(prompt.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// Returns the directive with which the model calls a tool of tos.
fn call(agent: Agent, tool: &str, arguments: &serde_json::Value) -> String {
    let space = match agent {
        Agent::Claude => "mcp__tos__",
        _ => "mcp__tos.",
    };
    format!("CALL: {space}{tool} {arguments}")
}

#[test]
fn a_real_client_runs_what_is_allowed_and_is_told_why_the_rest_is_not() {
    for agent in BOTH {
        let Some(bench) = Bench::new(agent) else {
            return;
        };
        let run = |command: &str| call(agent, "run_command", &json!({ "command": command }));
        let prompt = [
            call(agent, "checkpoint", &json!({ "name": "before" })),
            run("sed -i 's/a - b/a + b/' app.py && python3 -m unittest 2>&1 | tail -1"),
            run("touch made; rm -rf ~/"),
            call(agent, "undo", &json!({})),
            "SAY: done".to_owned(),
        ];
        let said = work(&bench, agent, &[], &prompt.join("\n"));
        let results = bench.results();
        assert!(
            results.contains("exit code 0") && results.contains("OK"),
            "{agent:?}: {results}\n{said}"
        );
        assert!(
            results.contains("refused by the policy"),
            "{agent:?}: {results}"
        );
        assert!(!bench.root.join("made").exists());
        let text = fs::read_to_string(bench.root.join("app.py")).unwrap();
        assert!(text.contains("a - b"), "the undo brought it back: {text}");
        let requests = bench.server.requests();
        assert_eq!(
            requests
                .iter()
                .filter(|one| !one.results.is_empty())
                .map(|one| one.results.len())
                .max(),
            Some(4),
            "{said}"
        );
    }
}

#[test]
fn a_client_that_works_elsewhere_gets_nothing_where_it_names_its_roots() {
    let Some(bench) = Bench::new(Agent::Claude) else {
        return;
    };
    let other = bench.folder().join("other");
    fs::create_dir(&other).unwrap();
    let other = other.display().to_string();
    let run = call(
        Agent::Claude,
        "run_command",
        &json!({ "command": "touch made" }),
    );
    work(
        &bench,
        Agent::Claude,
        &["--root", &other],
        &format!("{run}\nSAY: done"),
    );
    let results = bench.results();
    assert!(
        results.contains("not inside the roots of this client"),
        "{results}"
    );
    assert!(!bench.folder().join("other/made").exists());
}
