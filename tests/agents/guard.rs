//! The guard as a hook of the real agents: what is refused and why reaches the model, the ordinary runs, and what was deleted
//! comes back.

use std::{fs, process::Command};

use crate::{
    BOTH,
    bench::{Agent, Bench},
};

/// Runs the agent with this prompt; returns everything it printed.
fn asked(bench: &Bench, prompt: &str, more: &[&str]) -> String {
    let mut command: Command = bench.agent_command();
    let output = command.args(more).arg(prompt).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

fn installed(agent: Agent) -> Option<Bench> {
    let bench = Bench::new(agent)?;
    let word = match agent {
        Agent::Claude => "claude",
        Agent::Codex => "codex",
        other => panic!("{other:?} has no hook of ours"),
    };
    let ended = bench.tos(&["guard", "install", word, "--yes"]);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    Some(bench)
}

const TRUSTED: [&str; 1] = ["--dangerously-bypass-hook-trust"];

fn trusted(agent: Agent) -> &'static [&'static str] {
    match agent {
        Agent::Claude => &[],
        _ => &TRUSTED,
    }
}

#[test]
fn a_destructive_command_is_refused_and_the_model_is_told_why() {
    for agent in BOTH {
        let Some(bench) = installed(agent) else {
            return;
        };
        let victim = bench.folder().join("elsewhere");
        fs::create_dir(&victim).unwrap();
        let prompt = format!("DO: rm -r {}\nSAY: so be it", victim.display());
        let said = asked(&bench, &prompt, trusted(agent));
        assert!(victim.is_dir(), "{agent:?}: {said}");
        let results = bench.results();
        assert!(
            results.contains("guard/delete-outside")
                && results.contains("nothing outside the project is removed"),
            "{agent:?}: {results}\n{said}"
        );
    }
}

#[test]
fn the_ordinary_runs() {
    for agent in BOTH {
        let Some(bench) = installed(agent) else {
            return;
        };
        let said = asked(&bench, "DO: echo made > made.txt", trusted(agent));
        let made = fs::read_to_string(bench.root.join("made.txt"));
        assert_eq!(made.ok().as_deref(), Some("made\n"), "{agent:?}: {said}");
    }
}

#[test]
fn untracked_work_that_an_agent_deletes_comes_back() {
    for agent in BOTH {
        let Some(bench) = installed(agent) else {
            return;
        };
        bench.write("idea.txt", "the only copy\n");
        let before = bench.git(&["for-each-ref", "refs/heads"]);
        let said = asked(&bench, "DO: rm idea.txt", trusted(agent));
        assert!(!bench.root.join("idea.txt").exists(), "{agent:?}: {said}");
        let list = bench.tos(&["guard", "undo"]);
        assert!(
            list.said.contains("idea.txt"),
            "{agent:?}: {}\n{said}",
            list.said
        );
        let undone = bench.tos(&["guard", "undo", "1"]);
        assert_eq!(undone.code, Some(0), "{}", undone.said);
        let text = fs::read_to_string(bench.root.join("idea.txt")).unwrap();
        assert_eq!(text, "the only copy\n");
        assert_eq!(bench.git(&["for-each-ref", "refs/heads"]), before);
    }
}

#[test]
fn a_refused_claude_goes_on_with_what_is_allowed() {
    let Some(bench) = installed(Agent::Claude) else {
        return;
    };
    let said = asked(
        &bench,
        "DO: git push --force origin main\nDO: echo saved > instead.txt\nSAY: I kept the remote as it is",
        &[],
    );
    let results = bench.results();
    assert!(
        results.contains("guard/git-destructive"),
        "{results}\n{said}"
    );
    assert!(bench.root.join("instead.txt").exists(), "{results}\n{said}");
}

#[test]
fn a_hook_that_is_gone_keeps_the_tools_from_running() {
    for agent in BOTH {
        let Some(bench) = installed(agent) else {
            return;
        };
        let settings = match agent {
            Agent::Claude => bench.home().join(".claude/settings.json"),
            _ => bench.home().join(".codex/hooks.json"),
        };
        let text = fs::read_to_string(&settings).unwrap();
        let own = crate::bench::program().display().to_string();
        assert!(text.contains(&own), "{text}");
        fs::write(&settings, text.replace(&own, "/nowhere/tos")).unwrap();
        let said = asked(&bench, "DO: echo made > made.txt", trusted(agent));
        assert!(!bench.root.join("made.txt").exists(), "{agent:?}: {said}");
        let results = bench.results();
        assert!(
            results.contains("tos guard did not answer"),
            "{agent:?}: {results}\n{said}"
        );
    }
}

#[test]
fn codex_skips_a_hook_that_nobody_has_trusted_as_status_says() {
    let Some(bench) = installed(Agent::Codex) else {
        return;
    };
    let status = bench.tos(&["guard", "status", "codex"]);
    assert_eq!(status.code, Some(1), "{}", status.said);
    assert!(status.said.contains("SKIPS it"), "{}", status.said);
    bench.write("idea.txt", "the only copy\n");
    let said = asked(&bench, "DO: rm idea.txt", &[]);
    let list = bench.tos(&["guard", "undo"]);
    assert!(list.said.contains("no checkpoint"), "{}\n{said}", list.said);
}

/// Runs an agent with these words and variables, as a person does, and returns what it said.
fn other(bench: &Bench, word: &str, arguments: &[&str], variables: &[(&str, String)]) -> String {
    let mut command = bench.other_agent(word);
    let ended = bench.tos(&["guard", "install", word, "--yes"]);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    command.args(arguments);
    for (name, value) in variables {
        command.env(name, value);
    }
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

fn was_guarded(bench: &Bench, victim: &std::path::Path, said: &str) {
    assert!(victim.is_dir(), "{said}");
    let results = bench.results();
    assert!(
        results.contains("guard/delete-outside"),
        "{results}\n{said}"
    );
    assert!(!bench.root.join("idea.txt").exists(), "{results}\n{said}");
    assert_eq!(bench.tos(&["guard", "undo", "1"]).code, Some(0));
    assert!(bench.root.join("idea.txt").exists());
}

#[test]
fn gemini_is_refused_and_what_it_deletes_comes_back() {
    let Some(bench) = Bench::new(Agent::Claude) else {
        return;
    };
    let victim = bench.folder().join("elsewhere");
    fs::create_dir(&victim).unwrap();
    bench.write("idea.txt", "the only copy\n");
    let login = bench.home().join(".gemini/settings.json");
    fs::create_dir_all(login.parent().unwrap()).unwrap();
    fs::write(
        &login,
        r#"{"security":{"auth":{"selectedType":"gemini-api-key"}}}"#,
    )
    .unwrap();
    let prompt = format!(
        "DO: rm -r {}\nDO: git push\nDO: rm idea.txt",
        victim.display()
    );
    let words = [
        "-m",
        "gemini-2.5-pro",
        "-y",
        "--skip-trust",
        "-o",
        "stream-json",
        "-p",
        &prompt,
    ];
    let variables = [
        ("GEMINI_API_KEY", "not-a-key".to_owned()),
        ("GOOGLE_GEMINI_BASE_URL", bench.server.url()),
    ];
    let said = other(&bench, "gemini", &words, &variables);
    was_guarded(&bench, &victim, &said);
    assert!(
        bench.results().contains("a hook of Gemini cannot ask"),
        "{said}"
    );
}

#[test]
fn opencode_is_refused_and_what_it_deletes_comes_back() {
    let Some(bench) = Bench::new(Agent::Claude) else {
        return;
    };
    let victim = bench.folder().join("elsewhere");
    fs::create_dir(&victim).unwrap();
    bench.write("idea.txt", "the only copy\n");
    let prompt = format!("DO: rm -r {}\nDO: rm idea.txt", victim.display());
    let words = ["run", "--format", "json", "--auto", "-m", "mock/m", &prompt];
    let provider = serde_json::json!({ "provider": { "mock": {
        "npm": "@ai-sdk/openai-compatible",
        "options": { "baseURL": format!("{}/v1", bench.server.url()), "apiKey": "not-a-key" },
        "models": { "m": {} },
    } } });
    let variables = [("OPENCODE_CONFIG_CONTENT", provider.to_string())];
    let said = other(&bench, "opencode", &words, &variables);
    was_guarded(&bench, &victim, &said);
    assert!(
        bench.results().contains("tos guard kept idea.txt first"),
        "{said}"
    );
}

/// Spoils a settings file with the hook in it, and holds what the agent does against what `status` says.
fn spoiled(agent: Agent, spoil: fn(&str) -> String) {
    let Some(bench) = installed(agent) else {
        return;
    };
    let (word, file) = match agent {
        Agent::Claude => ("claude", ".claude/settings.json"),
        _ => ("codex", ".codex/hooks.json"),
    };
    let settings = bench.home().join(file);
    let text = fs::read_to_string(&settings).unwrap();
    let text = spoil(&text);
    fs::write(&settings, &text).unwrap();
    let status = bench.tos(&["guard", "status", word]);
    bench.write("idea.txt", "the only copy\n");
    let said = asked(&bench, "DO: rm idea.txt", trusted(agent));
    let asked_guard = !bench.tos(&["guard", "undo"]).said.contains("no checkpoint");
    let says_effective = !status.said.contains("not effective: ");
    assert_eq!(
        asked_guard, says_effective,
        "{agent:?}\n{text}\n{}\n{said}",
        status.said
    );
}

#[test]
fn status_knows_which_settings_an_agent_passes_over() {
    for agent in BOTH {
        spoiled(agent, |text| text.replacen('{', "{ // mine\n", 1));
        spoiled(agent, |text| format!("\u{feff}{text}"));
        spoiled(agent, |text| text.replace('\n', "\r\n"));
    }
    spoiled(Agent::Claude, |text| {
        text.replacen('{', "{ \"disableAllHooks\": true,", 1)
    });
    spoiled(Agent::Claude, |text| {
        text.replacen('{', "{ \"permissions\": 3,", 1)
    });
}

#[test]
fn rules_of_the_person_stay_and_the_remedy_is_one_that_works() {
    for agent in BOTH {
        let Some(bench) = installed(agent) else {
            return;
        };
        bench.write(".tos/guard.toml", "max_files = 100\n");
        bench.write("idea.txt", "the only copy\n");
        let prompt = "DO: git clean -fdx\nDO: git clean -fdxq -e .tos";
        let said = asked(&bench, prompt, trusted(agent));
        let results = bench.results();
        assert!(
            results.contains("add `-e .tos` to it"),
            "{agent:?}: {results}\n{said}"
        );
        assert!(bench.root.join(".tos/guard.toml").exists());
        assert!(!bench.root.join("idea.txt").exists(), "{agent:?}: {said}");
        assert_eq!(bench.tos(&["guard", "undo", "1"]).code, Some(0));
        assert!(bench.root.join("idea.txt").exists());
    }
}
