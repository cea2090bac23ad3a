//! The adapters of Claude Code and Codex for the Agent Client Protocol, at work in tasks.

use std::process::Stdio;

use serde_json::Value;

use crate::{
    BOTH_ACP,
    bench::{Agent, Bench, REPAIR, TEST, Task, is_alive},
};

/// Returns the events of the run of this name.
fn events(bench: &Bench, name: &str) -> Vec<Value> {
    let folder = bench.root.join(".tos/events");
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap_or_default();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        found.extend(lines.filter(|event| event["name"] == name || event["event"] == name));
    }
    found
}

#[test]
fn a_task_is_done_through_acp_and_its_use_is_counted() {
    for agent in BOTH_ACP {
        let Some(mut bench) = Bench::new(agent) else {
            return;
        };
        if agent == Agent::CodexAcp {
            "price = { input_per_mtok = 1, cached_input_per_mtok = 0.1, output_per_mtok = 10 }\n"
                .clone_into(&mut bench.agent_lines);
        }
        let before = bench.untouched();
        let ended = bench.run_one(&format!("{REPAIR}\n{TEST}\nSAY: add adds"));
        let given = events(&bench, "agent_permission");
        assert_eq!(
            ended.code,
            Some(0),
            "{agent:?}: {}\n{given:#?}\n{}",
            ended.said,
            bench.results()
        );
        assert_eq!(bench.untouched(), before);
        assert!(bench.accepted("app.py").contains("a + b"));
        let end = bench.task_end();
        assert_eq!(end["outcome"], "success", "{end}");
        assert!(end["micro_usd"].as_u64() > Some(0), "{agent:?}: {end}");
        let calls = events(&bench, "agent_tool_call");
        assert!(
            calls
                .iter()
                .any(|call| call.to_string().contains("completed")),
            "{calls:#?}"
        );
        assert_eq!(events(&bench, "agent_session").len(), 1);
        let given = events(&bench, "agent_permission");
        assert!(
            given
                .iter()
                .all(|one| one.to_string().contains("\"allowed\":true")),
            "{given:#?}"
        );
    }
}

#[test]
fn a_permission_that_the_policy_refuses_is_in_the_log_with_its_reason_and_nothing_runs() {
    for agent in BOTH_ACP {
        let Some(mut bench) = Bench::new(agent) else {
            return;
        };
        // Behind a wall Codex asks nothing: its asking modes need a sandbox of their own.
        if agent == Agent::CodexAcp {
            "sandbox = \"off\"\n".clone_into(&mut bench.list_lines);
        }
        let home = bench.home();
        let bad = format!("DO: touch made; rm -rf {}", home.display());
        let ended = bench.run_one(&format!("{bad}\n{REPAIR}\nSAY: done"));
        let refused: Vec<Value> = events(&bench, "agent_permission")
            .into_iter()
            .filter(|one| one.to_string().contains("\"allowed\":false"))
            .collect();
        assert_eq!(refused.len(), 1, "{agent:?}: {refused:#?} {}", ended.said);
        let text = refused[0].to_string();
        assert!(
            text.contains("rm -rf") && text.contains("careful/"),
            "{text}"
        );
        assert!(
            ended.said.contains("the policy refused"),
            "{agent:?}: {}",
            ended.said
        );
        assert!(home.exists());
    }
}

#[test]
fn a_stop_cancels_the_session_and_ends_everything() {
    for agent in BOTH_ACP {
        let Some(bench) = Bench::new(agent) else {
            return;
        };
        let (nap, word) = match agent {
            Agent::ClaudeAcp => ("DO: sleep 60913", "sleep 60913"),
            _ => ("DO: sleep 60914", "sleep 60914"),
        };
        bench.list(&[Task("T-1", format!("{nap}\nSAY: done"), "")]);
        let words = bench.start();
        let mut command = bench.command(&words.each_ref().map(String::as_str));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        while !is_alive(word) && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!is_alive(word), "{agent:?}: {said}");
        let turns = events(&bench, "agent_turn_ended");
        assert!(
            turns
                .iter()
                .any(|turn| turn.to_string().contains("cancelled")),
            "{agent:?}: {turns:?} {said}"
        );
        assert_eq!(bench.ended_by(), "operator", "{said}");
    }
}

#[test]
fn the_question_before_a_night_is_asked_over_acp_too() {
    for agent in BOTH_ACP {
        let Some(bench) = Bench::new(agent) else {
            return;
        };
        bench.list(&[Task("T-1", REPAIR.to_owned(), "")]);
        let words = bench.start();
        let ended = bench.tos(&["night", "check", &words[2]]);
        assert_eq!(ended.code, Some(0), "{agent:?}: {}", ended.said);
    }
}

/// Not part of the tests that have to pass: it is not installed for them. `cargo test --test agents -- --ignored`
#[test]
#[ignore = "needs gemini beside the other agents"]
fn gemini_does_a_task_through_acp_and_is_refused() {
    let agent = Agent::GeminiAcp;
    let Some(bench) = Bench::new(agent) else {
        return;
    };
    let home = bench.home();
    let ended = bench.run_one(&format!(
        "{REPAIR}\n{TEST}\nDO: rm -rf {}\nSAY: done",
        home.display()
    ));
    let asked = events(&bench, "agent_permission");
    assert_eq!(
        ended.code,
        Some(0),
        "{agent:?}: {}\n{asked:#?}\n{}",
        ended.said,
        bench.results()
    );
    assert!(
        asked
            .iter()
            .any(|one| one.to_string().contains("\"allowed\":false")),
        "{asked:#?}"
    );
    assert!(home.exists());
}
