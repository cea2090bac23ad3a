//! The adapters of Claude Code and Codex for the Agent Client Protocol, at work in tasks.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{
    BOTH_ACP,
    bench::{Agent, Bench, REPAIR, TEST, Task, is_alive},
    terminal::at_terminal,
};

/// A test with a real agent that hangs is ended after so many seconds.
const HARD_LIMIT: u64 = 240;
/// A configuration in which a person decides about one harmless command.
const ASKS: &str = r#"{ "execution_policy": { "rules": [ { "name": "ask-touch", "program": ["touch"], "decision": "ask" } ] } }"#;

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
        let sessions = events(&bench, "agent_session");
        assert_eq!(sessions.len(), 1);
        // Who asks for nothing is confined and not judged, and the account of the run says so.
        let asks_nothing = sessions[0].to_string().contains("\"asks\":false");
        assert_eq!(
            ended.said.contains("not judged by the policy"),
            asks_nothing,
            "{agent:?}: {}",
            ended.said
        );
        assert!(agent != Agent::ClaudeAcp || !asks_nothing, "{sessions:?}");
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

/// Makes a task whose agent wants something that a person has to allow; `seconds` = how long that person has. Codex asks only
/// for what its own sandbox does not allow, which no harmless rule is about.
fn asking(seconds: u32) -> Option<Bench> {
    let mut bench = Bench::new(Agent::ClaudeAcp)?;
    bench.agent_lines = format!("approval_seconds = {seconds}\n");
    bench.write("config/config_v0_3.json", ASKS);
    bench.commit("a person decides about touch");
    let prompt = format!("DO: touch allowed.txt\n{REPAIR}\nSAY: done");
    bench.list(&[Task("T-1", prompt, "")]);
    Some(bench)
}

#[test]
fn what_the_policy_leaves_to_a_person_waits_for_the_answer_of_one() {
    for answer in ["yes", "no"] {
        let Some(bench) = asking(200) else {
            return;
        };
        let mut run = bench.start_mortal(HARD_LIMIT);
        let mut id = None;
        while id.is_none() && !run.has_ended() {
            let open = bench.command(&["answer", "--json"]).output().unwrap();
            let open: Value = serde_json::from_slice(&open.stdout).unwrap_or_default();
            id = open["open"][0]["id"].as_str().map(str::to_owned);
        }
        if let Some(id) = &id {
            let status = bench.tos(&["status"]).said;
            assert!(
                status.contains(&format!("tos answer {id} yes|no")),
                "{status}"
            );
            assert_eq!(bench.tos(&["answer", id, answer]).code, Some(0));
        }
        let ended = run.end();
        assert!(id.is_some(), "nobody was asked: {}", ended.said);
        let questions = events(&bench, "agent_question");
        assert_eq!(questions.len(), 1, "{questions:#?}");
        let given = events(&bench, "agent_permission");
        let of_touch: Vec<String> = given
            .iter()
            .map(Value::to_string)
            .filter(|one| one.contains("touch allowed.txt"))
            .collect();
        let wanted = format!("\"allowed\":{}", answer == "yes");
        assert!(
            of_touch.len() == 1 && of_touch[0].contains(&wanted),
            "{answer}: {given:#?}\n{}",
            ended.said
        );
        if answer == "yes" {
            assert_eq!(ended.code, Some(0), "{}", ended.said);
            assert_eq!(bench.accepted("allowed.txt"), "");
        } else {
            assert!(of_touch[0].contains("the answer was no"), "{}", of_touch[0]);
        }
        let open = bench.tos(&["answer"]).said;
        assert!(open.contains("no question is open"), "{open}");
    }
}

#[test]
fn whoever_sits_at_the_terminal_of_the_session_can_answer_there() {
    let Some(bench) = asking(200) else {
        return;
    };
    let words = bench.start();
    let command = bench.command(&words.each_ref().map(String::as_str));
    let mut limited = Command::new("timeout");
    let limit = HARD_LIMIT.to_string();
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    limited
        .args(["--foreground", "--kill-after=30", &limit])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(&bench.root)
        .env_clear()
        .envs(variables);
    let (code, said) = at_terminal(limited, "y\n");
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("Run it? [y]es") && said.contains("touch allowed.txt"),
        "{said}"
    );
    assert_eq!(bench.accepted("allowed.txt"), "");
}

#[test]
fn a_question_that_nobody_answers_is_refused_after_its_time_and_says_so() {
    let Some(bench) = asking(1) else {
        return;
    };
    let ended = bench.start_mortal(HARD_LIMIT).end();
    let refused: Vec<String> = events(&bench, "agent_permission")
        .iter()
        .map(Value::to_string)
        .filter(|one| one.contains("\"allowed\":false"))
        .collect();
    assert_eq!(refused.len(), 1, "{refused:#?} {}", ended.said);
    assert!(
        refused[0].contains("nobody answered within 1 s") && refused[0].contains("ask-touch"),
        "{}",
        refused[0]
    );
    assert!(
        ended.said.contains("nobody answered within 1 s"),
        "{}",
        ended.said
    );
    let open = bench.tos(&["answer"]).said;
    assert!(open.contains("no question is open"), "{open}");
}

#[test]
fn opencode_works_through_acp_behind_a_wall_and_asks_before_it_acts() {
    let Some(bench) = Bench::new(Agent::OpencodeAcp) else {
        return;
    };
    bench.list(&[Task("T-1", format!("{REPAIR}\n{TEST}\nSAY: add adds"), "")]);
    let ended = bench.start_mortal(HARD_LIMIT).end();
    let given = events(&bench, "agent_permission");
    assert_eq!(
        ended.code,
        Some(0),
        "{}\n{given:#?}\n{}",
        ended.said,
        bench.results()
    );
    assert!(bench.accepted("app.py").contains("a + b"));
    let begun = bench.records("session.start");
    assert_ne!(begun[0]["start"]["backend"], "none", "{begun:?}");
    assert!(
        given.iter().any(|one| one.to_string().contains("sed -i")),
        "{given:#?}"
    );
}

#[test]
fn a_refusal_of_opencode_is_in_the_log_and_nothing_runs() {
    let Some(bench) = Bench::new(Agent::OpencodeAcp) else {
        return;
    };
    let home = bench.home();
    let prompt = format!("DO: rm -rf {}\n{REPAIR}\nSAY: done", home.display());
    bench.list(&[Task("T-1", prompt, "")]);
    let ended = bench.start_mortal(HARD_LIMIT).end();
    let given = events(&bench, "agent_permission");
    let refused = given.iter().map(Value::to_string);
    assert!(
        refused
            .filter(|one| one.contains("\"allowed\":false"))
            .any(|one| one.contains("rm -rf") && one.contains("careful/")),
        "{given:#?} {}",
        ended.said
    );
    assert!(home.exists());
}

#[test]
fn whether_an_agent_asks_at_all_is_in_the_record() {
    for agent in BOTH_ACP {
        let Some(bench) = Bench::new(agent) else {
            return;
        };
        bench.list(&[Task("T-1", format!("{REPAIR}\nSAY: done"), "")]);
        let ended = bench.start_mortal(HARD_LIMIT).end();
        let sessions = events(&bench, "agent_session");
        assert_eq!(sessions.len(), 1, "{agent:?}: {}", ended.said);
        // Behind a proved wall Codex is given every right: its asking modes need a sandbox of their own.
        let asks = agent == Agent::ClaudeAcp;
        let text = sessions[0].to_string();
        assert!(
            text.contains(&format!("\"asks\":{asks}")),
            "{agent:?}: {text}"
        );
        let given = events(&bench, "agent_permission");
        assert_eq!(given.is_empty(), !asks, "{agent:?}: {given:#?}");
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

#[test]
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
