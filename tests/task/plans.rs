//! Plans in YAML whose tasks are for agents: one loader, the same gate, the same work trees.

use std::fs;

use super::{FIXED, Root, ended::ended};

impl Root {
    /// Writes a plan beside the repository.
    fn plan(&self, text: &str) -> String {
        let file = self.home.path().join("tuesday.yaml");
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

/// An agent that does in a shell what its prompt says.
const AGENT: &str = "agent: {kind: command, args: [sh, -c, 'eval \"$(printf %s \"$1\" | sed -n \"/^DO /s///p\")\"', sh, '{prompt}']}\n";

fn good() -> String {
    format!(
        "goal: repair\n{AGENT}sandbox: off\ntest_command: sh test.sh\ndefaults: {{class: fix}}\ntasks:\n\
         - id: more\n  prompt: \"DO echo 'more = 1' >> app.py\"\n  depends_on: [repair]\n\
         - id: repair\n  goal: repair add\n  prompt: |\n    DO {FIXED}\n"
    )
}

#[test]
fn a_plan_of_agents_runs_in_the_order_of_its_dependencies() {
    let root = Root::new();
    let plan = root.plan(&good());
    let before = root.untouched();
    let (code, said) = root.tos(&["plan", "run", &plan]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("[1/2] repair: repair add"), "{said}");
    assert!(said.contains("2 of 2 tasks passed"), "{said}");
    assert_eq!(root.untouched(), before);
    let reference = root.git(&["for-each-ref", "--format=%(refname)", "refs/tos/runs"]);
    let text = root.git(&["show", &format!("{reference}:app.py")]);
    assert!(
        text.ends_with("more = 1") && text.contains("a + b"),
        "{text}"
    );
    assert_eq!(root.records("task").len(), 2);
    assert_eq!(root.left_over().len(), 0);
}

#[test]
fn the_same_plan_is_a_list_for_tasks_and_nights() {
    let root = Root::new();
    let plan = root.plan(&good());
    let (code, said) = root.tos(&["task", "check", &plan]);
    assert_eq!(
        (code, said.as_str()),
        (Some(0), "tuesday: 2 tasks, nothing wrong\n")
    );
    let (code, said) = root.tos(&["task", "run", &plan]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn the_gate_is_asked_before_a_plan_of_agents_runs() {
    let root = Root::watched();
    let plan = root.plan(&good());
    let (code, said) = root.tos(&["plan", "run", &plan]);
    assert_eq!(code, Some(5), "{said}");
    assert!(
        said.contains("autonomy level 1 allows no unattended run"),
        "{said}"
    );
    assert_eq!(root.git(&["for-each-ref", "refs/tos"]), "");
}

#[test]
fn validate_graph_and_dry_run_know_agents() {
    let root = Root::new();
    let plan = root.plan(&good());
    let (code, said) = root.tos(&["plan", "validate", &plan]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("valid, 2 tasks for agents, 1 dependencies"),
        "{said}"
    );
    let (_, said) = root.tos(&["plan", "graph", &plan, "--format", "text"]);
    assert!(said.contains("repair\n  more  <- repair"), "{said}");
    let (_, said) = root.tos(&["plan", "run", &plan, "--dry-run"]);
    assert!(
        said.contains("1  repair") && said.contains("2  more"),
        "{said}"
    );
}

#[test]
fn only_some_tasks_of_a_plan_can_be_run() {
    let root = Root::new();
    let plan = root.plan(&good());
    let (code, said) = root.tos(&["plan", "run", &plan, "--only", "repair"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 of 1 tasks passed"), "{said}");
}

#[test]
fn options_and_fields_that_mean_nothing_for_agents_are_errors() {
    let root = Root::new();
    let plan = root.plan(&good());
    for option in [
        ["--max-parallel", "2"].as_slice(),
        &["--fail-fast"],
        &["--workdir", "x"],
    ] {
        let words = [&["plan", "run", &plan], option].concat();
        let (code, said) = root.tos(&words);
        assert_eq!(code, Some(2), "{said}");
        assert!(
            said.contains("means nothing for a plan of agents"),
            "{said}"
        );
    }
}

#[test]
fn a_wrong_field_of_a_task_is_named_with_its_place_and_a_remedy() {
    let root = Root::new();
    let first = "  goal: repair add\n";
    let table = [
        ("  timeout_sec: 5\n", "use `max_time_seconds`"),
        (
            "  cmd: x\n",
            "field `cmd` of task `repair` means nothing for an agent",
        ),
        ("  clas: fix\n", "did you mean `class`?"),
        ("  class: fxi\n", "did you mean `fix`?"),
        ("  agent: cluade\n", "did you mean `claude`?"),
        (
            "  agent: {kind: claude, modle: x}\n",
            "did you mean `model`?",
        ),
        ("  agent: {kind: command}\n", "needs `args` with `{prompt}`"),
        ("  limits: {fils: 3}\n", "did you mean `files`?"),
        ("  test_command: []\n", "must name a program"),
        ("  depends_on: [mor]\n", "did you mean `more`?"),
        ("  depends_on: [more]\n", "depend on each other in a circle"),
    ];
    for (field, message) in table {
        let plan = root.plan(&good().replace(first, field));
        let (code, said) = root.tos(&["plan", "run", &plan]);
        assert_eq!(code, Some(2), "{field}: {said}");
        assert!(
            said.contains(message) && said.contains("tuesday.yaml:"),
            "{field}: {said}"
        );
    }
}

#[test]
fn a_field_of_the_plan_that_means_nothing_for_agents_is_an_error() {
    let root = Root::new();
    let table = [
        ("max_parallel: 3\n", "means nothing for agents"),
        (
            "on_failure: retry_then_stp\n",
            "did you mean `retry_then_stop`?",
        ),
        (
            "on_failure: [{id: x, cmd: y}]\n",
            "runs a command, and others of the plan are for agents",
        ),
        (
            "defaults: {timeout_sec: 3}\n",
            "the default `timeout_sec` means nothing for task",
        ),
    ];
    for (field, message) in table {
        let text = good()
            .replace("defaults: {class: fix}\n", field)
            .replace("  goal: repair add\n", "  class: fix\n")
            .replace(
                "  depends_on: [repair]\n",
                "  depends_on: [repair]\n  class: fix\n",
            );
        let plan = root.plan(&text);
        let (code, said) = root.tos(&["plan", "run", &plan]);
        assert_eq!(code, Some(2), "{field}: {said}");
        assert!(said.contains(message), "{field}: {said}");
    }
}

/// Returns the first block of a document that holds a text.
fn block(document: &str, sort: &str, text: &str) -> String {
    let mut blocks = document.split("```").skip(1).step_by(2);
    let found = blocks.find(|block| block.starts_with(sort) && block.contains(text));
    found.unwrap().trim_start_matches(sort).to_owned()
}

#[test]
fn the_examples_of_the_documents_are_plans_and_lists() {
    let root = Root::new();
    let plans = include_str!("../../docs/plans.md");
    let plan = root.plan(&block(plans, "yaml", "prompt:"));
    let (code, said) = root.tos(&["plan", "validate", &plan]);
    assert_eq!(code, Some(0), "{said}");
    let tasks = include_str!("../../docs/tasks.md");
    let file = root.home.path().join("list.toml");
    fs::write(&file, block(tasks, "toml", "[[task]]")).unwrap();
    let (code, said) = root.tos(&["task", "check", file.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_plan_does_not_mix_agents_and_commands() {
    let root = Root::new();
    let plan = root.plan(&format!(
        "{}- {{id: build, cmd: make}}\n",
        good()
            .replace("defaults: {class: fix}\n", "")
            .replace("  prompt", "  class: fix\n  prompt")
    ));
    let (code, said) = root.tos(&["plan", "validate", &plan]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("this task runs a command, and others of the plan are for agents")
            && said.contains("make them the `test_command` of agents"),
        "{said}"
    );
    let plan = root.plan("agent: claude\ntasks:\n- {id: a, cmd: x}\n");
    let (code, said) = root.tos(&["plan", "validate", &plan]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("field `agent` of the plan means nothing without tasks"),
        "{said}"
    );
    let plan = root.plan("tasks:\n- {id: a, cmd: x, class: fix}\n");
    let (_, said) = root.tos(&["plan", "validate", &plan]);
    assert!(
        said.contains("field `class` of task `a` means nothing without a `prompt`"),
        "{said}"
    );
    let plan = root.plan("tasks:\n- {id: a, cmd: 'true'}\n");
    let (code, said) = root.tos(&["task", "run", &plan]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("no task of this plan is for an agent"),
        "{said}"
    );
}

#[test]
fn a_plan_that_a_model_wrote_cannot_choose_how_agents_are_called() {
    let root = Root::new();
    let plan = root.plan(&format!("origin: model\n{}", good()));
    let (code, said) = root.tos(&["plan", "run", &plan]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("an enforced plan cannot choose how the agent `sh` is called"),
        "{said}"
    );
    let plan = root.plan(&good());
    let (code, said) = root.tos(&["plan", "run", "--enforce", &plan]);
    assert_eq!(code, Some(2), "{said}");
    let plain = good().replace(
        AGENT,
        "agent: {kind: claude, model: haiku}\norigin: model\n",
    );
    let plan = root.plan(&plain);
    assert_eq!(root.tos(&["plan", "validate", &plan]).0, Some(0));
    let plan = root.plan(&plain.replace("model: haiku", "credentials: [.ssh/id_rsa]"));
    assert_eq!(root.tos(&["plan", "validate", &plan]).0, Some(2));
}

#[test]
fn an_agent_gets_the_key_that_its_list_names_and_no_other() {
    let root = Root::new();
    let text = good().replace("'{prompt}']", "'{prompt}'], environment: [MY_AGENT_KEY]");
    let text = text.replace("DO echo 'more = 1' >> app.py", "DO env > seen.md");
    let plan = root.plan(&text);
    let (code, said) = root.tos(&["plan", "run", &plan]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("needs MY_AGENT_KEY, which is not set"),
        "{said}"
    );
    assert_eq!(root.records("session.start").len(), 0);
    let output = root
        .command(&["plan", "run", &plan])
        .env("MY_AGENT_KEY", "for-the-agent-only")
        .env("OPENAI_API_KEY", "for-nobody")
        .output();
    let (code, said) = ended(output.unwrap());
    assert_eq!(code, Some(0), "{said}");
    let reference = root.git(&["for-each-ref", "--format=%(refname)", "refs/tos/runs"]);
    let seen = root.git(&["show", &format!("{reference}:seen.md")]);
    assert!(seen.contains("MY_AGENT_KEY=for-the-agent-only"), "{seen}");
    assert!(!seen.contains("for-nobody"), "{seen}");
}

/// Lets a job of tos repair the mistake, behind the wall that a list asks for.
fn with_a_job(sandbox: &str) {
    let root = Root::new();
    // A model is any program; this one knows what to do without being asked twice.
    // It writes into the file there is: behind the least of the walls a job can make none beside it.
    let code = "t=$(sed s/-/+/ app.py); printf '%s\\n' \"$t\" >app.py";
    let commands = serde_json::json!([{ "type": "sh", "code": code }]);
    let reply = serde_json::json!({
        "thought": "t", "commands": commands, "review": "good", "approval": true, "improved_commands": [],
        "final_commands": commands, "summary": "s",
    });
    root.write("model/reply.json", &reply.to_string());
    let mut config: serde_json::Value =
        serde_json::from_str(include_str!("../../config/blank.json")).unwrap();
    let role = serde_json::json!({ "provider": "command", "argv": ["cat", "model/reply.json"] });
    config["models"] = serde_json::json!({ "draft": role, "review": role, "final": role });
    config["goal"] = "add() adds.".into();
    config["done_condition"] =
        serde_json::json!({ "all": [{ "file": "app.py", "contains": ["a + b"] }], "fresh": false });
    config.as_object_mut().unwrap().remove("$schema");
    root.write("config/config_v0_3.json", &config.to_string());
    root.write(".gitignore", "*.log\n/.tos/\n/logs/\n/workspace/\n");
    root.git(&["add", "-A"]);
    root.git(&["commit", "-q", "-m", "a job"]);
    let plan = root.plan(&format!(
        "agent: job\nsandbox: {sandbox}\ntasks:\n- {{id: repair, class: fix, prompt: Make add add., test_command: sh test.sh}}\n",
    ));
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_tos"))
        .parent()
        .unwrap();
    let output = root
        .command(&["plan", "run", &plan])
        .env(
            "PATH",
            format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()),
        )
        .output();
    let (code, said) = ended(output.unwrap());
    assert_eq!(code, Some(0), "{said}");
    let reference = root.git(&["for-each-ref", "--format=%(refname)", "refs/tos/runs"]);
    let changed = root.git(&["diff", "--name-only", "HEAD", &reference]);
    assert_eq!(changed, "app.py");
}

#[test]
fn a_job_of_tos_can_be_the_agent() {
    with_a_job("off");
}

#[test]
fn a_job_of_tos_can_be_the_agent_behind_a_wall() {
    with_a_job("auto");
}
