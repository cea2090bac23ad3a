//! Work that goes well: edits, tests run by the agent, costs; and answers that are out of the ordinary.

use crate::{
    BOTH,
    bench::{Agent, Bench, REPAIR, TEST, Task},
};

#[test]
fn an_agent_edits_runs_the_tests_itself_and_its_work_is_accepted() {
    for agent in BOTH {
        let Some(mut bench) = Bench::new(agent) else {
            return;
        };
        if agent == Agent::Codex {
            "price = { input_per_mtok = 1, cached_input_per_mtok = 0.1, output_per_mtok = 10 }\n"
                .clone_into(&mut bench.agent_lines);
        }
        let before = bench.untouched();
        let ended = bench.run_one(&format!("{REPAIR}\n{TEST}\nSAY: add adds"));
        assert_eq!(ended.code, Some(0), "{agent:?}: {}", ended.said);
        assert_eq!(bench.untouched(), before);
        assert!(bench.accepted("app.py").contains("a + b"));
        assert!(bench.results().contains("OK"), "{}", bench.results());
        let requests = bench.server.requests();
        let keys = requests.iter().map(|one| one.authorization.as_str());
        assert!(keys.into_iter().all(|key| key.contains("not-a-key")));
        let end = bench.task_end();
        assert_eq!(
            (&end["outcome"], &end["attempts"]),
            (&"success".into(), &1.into())
        );
        let cost = end["micro_usd"].as_u64();
        // Each of three answers cost 800 new, 200 kept and 50 written tokens.
        let exact = (agent == Agent::Codex).then_some(3 * (800 + 20 + 500));
        assert!(
            cost > Some(0) && exact.is_none_or(|exact| cost == Some(exact)),
            "{end}"
        );
    }
}

#[test]
fn the_question_before_a_night_makes_the_agent_run_a_command_and_edit_a_file() {
    for agent in BOTH {
        let Some(bench) = Bench::new(agent) else {
            return;
        };
        bench.list(&[Task("T-1", REPAIR.to_owned(), "")]);
        let words = bench.start();
        let ended = bench.tos(&["night", "check", &words[2]]);
        assert_eq!(ended.code, Some(0), "{agent:?}: {}", ended.said);
        let requests = bench.server.requests();
        let asked = requests.iter().find(|one| !one.results.is_empty());
        assert!(asked.is_some(), "no tool was used: {requests:?}");
    }
}

#[test]
fn an_agent_that_changes_nothing_is_told_with_its_last_words_and_the_log() {
    for agent in BOTH {
        let Some(bench) = Bench::new(agent) else {
            return;
        };
        let ended = bench.run_one("SAY: there is nothing wrong with add");
        assert_eq!(ended.code, Some(3), "{agent:?}: {}", ended.said);
        let reason = bench.task_end()["reason"].to_string();
        assert!(
            reason.contains("changed nothing")
                && reason.contains("there is nothing wrong with add"),
            "{reason}"
        );
        assert!(ended.said.contains(".tos/task-logs/"), "{}", ended.said);
    }
}

#[test]
fn a_result_that_is_long_because_of_denials_still_tells_its_cost() {
    let Some(mut bench) = Bench::new(Agent::Claude) else {
        return;
    };
    // Without a wall Claude Code asks for more than edits, and nobody is there to answer.
    "sandbox = \"off\"\n".clone_into(&mut bench.list_lines);
    let long = "x".repeat(9000);
    let ended = bench.run_one(&format!(
        "DO: curl http://127.0.0.1:9/{long}\nDO: curl http://127.0.0.1:9/again{long}\n{REPAIR}"
    ));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let end = bench.task_end();
    assert!(end["micro_usd"].as_u64() > Some(0), "{end}");
    assert!(
        ended.said.contains("refused") || ended.said.contains("denied"),
        "{}",
        ended.said
    );
    assert!(ended.said.len() < 9000, "what was denied is told shortly");
}

#[test]
fn a_prompt_that_is_longer_than_an_argument_may_be_reaches_the_agent() {
    for agent in BOTH {
        let Some(bench) = Bench::new(agent) else {
            return;
        };
        let line = "The quick brown fox jumps over the lazy dog, again and again and again.\n";
        let ended = bench.run_one(&format!("{}{REPAIR}", line.repeat(150_000 / line.len())));
        assert_eq!(ended.code, Some(0), "{agent:?}: {}", ended.said);
        let requests = bench.server.requests();
        let longest = requests.iter().map(|one| one.prompt.len()).max();
        assert!(longest > Some(149_000), "{longest:?}");
    }
}
