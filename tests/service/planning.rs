//! Planning, reviewing, cancelling, asking: with a model server on loopback, a recording, agents that plan and ask.

use std::fs;

use serde_json::{Value, json};

use crate::{
    model_server::{Answer, Server},
    place::{Place, Service},
    repository::{git, write},
};

/// A token by its shape, which no question may hold.
const SECRET: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";

fn planner(server: &Server, more: &str) -> String {
    format!(
        "\n[planner.model]\nprovider = \"openai\"\nmodel = \"m\"\nbase_url = \"{}/v1\"\nprice = {{ input_per_mtok = 1.0, output_per_mtok = 2.0 }}\n{more}",
        server.url()
    )
}

fn review(server: &Server) -> String {
    format!(
        "\n[judge.review]\nprovider = \"openai\"\nmodel = \"m\"\nbase_url = \"{}/v1\"\nasks = 1\n",
        server.url()
    )
}

fn task(title: &str, path: &str, needs: &[u64]) -> Value {
    json!({ "title": title, "goal": title, "acceptance": ["the tests pass"], "paths": [path], "depends_on": needs, "class": "fix" })
}

fn two_tasks() -> String {
    let tasks = [
        task("fix the greeting", "greet.sh", &[]),
        task("write a farewell", "farewell.sh", &[1]),
    ];
    json!({ "tasks": tasks }).to_string()
}

fn until_plan(service: &Service, id: u64, wanted: &str) -> Value {
    let mut seen = Value::Null;
    for _ in 0..3000 {
        let plans = service.ask("GET", "/plans", &Value::Null);
        let found = plans["plans"].as_array().unwrap().iter();
        seen = found
            .clone()
            .find(|plan| plan["id"] == id)
            .cloned()
            .unwrap_or_default();
        if seen["status"] == wanted {
            return seen;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("plan {id} is not {wanted}: {seen:#}");
}

#[test]
fn a_model_plans_is_asked_again_and_replans_until_nothing_is_left() {
    let server = Server::start(|prompt| {
        let text = if prompt.contains("# What happened so far") {
            assert!(prompt.contains("# Merged") && prompt.contains("fix the greeting"));
            r#"{"tasks": [], "nothing_left": "both are merged"}"#.to_owned()
        } else if prompt.contains("# Your last answer was refused") {
            assert!(prompt.contains("the whole repository"), "{prompt}");
            two_tasks()
        } else {
            json!({ "tasks": [task("everything", "**", &[])] }).to_string()
        };
        Answer::Text(text)
    });
    let settings = format!("REPLAN_INTERVAL_MS = 10\n{}", planner(&server, ""));
    let place = Place::new(&settings);
    write(&place.top, "wish.md", &format!("Greet people. {SECRET}\n"));
    let service = Service::start(&place);
    let said = place.tos(&["board", "plan", "wish.md"]);
    // Nobody has earned it yet that tasks start without a person, so the person sees them first.
    assert!(
        said.contains("2. write a farewell [farewell.sh]  after 1"),
        "{said}"
    );
    place.tos(&["board", "accept", "1"]);
    service.until(2, "done");
    let shown = git(&place.top, &["show", "main:farewell.sh"]);
    assert!(shown.contains("Goodbye"), "{shown}");
    let plan = until_plan(&service, 2, "nothing_left");
    assert_eq!((&plan["of"], &plan["round"]), (&json!(1), &json!(1)));
    assert_eq!(plan["detail"], "both are merged");
    let first = until_plan(&service, 1, "planned");
    assert_eq!(first["spent"]["calls"], 2, "{first}");
    assert!(first["spent"]["tokens"].as_u64().unwrap() > 0, "{first}");
    assert!(first["spent"]["microUsd"].as_u64().unwrap() > 0, "{first}");
    let asked = server.prompts();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|prompt| !prompt.contains(SECRET)));
    assert!(place.tos(&["board", "plans"]).contains("nothing_left"));
}

#[test]
fn a_plan_that_is_shown_first_is_made_when_a_person_accepts() {
    let recorded = format!(
        "{}\n",
        json!({ "version": 1, "job": 1, "role": "draft", "turn": 0, "text": two_tasks() })
    );
    let place =
        Place::new("\n[planner.model]\nprovider = \"replay\"\nreplay_file = \"replies.jsonl\"\n");
    write(&place.top, "replies.jsonl", &recorded);
    write(&place.top, "wish.md", "Greet people.\n");
    let service = Service::start(&place);
    let said = place.tos(&["board", "plan", "wish.md", "--dry-run"]);
    assert!(
        said.contains("2. write a farewell [farewell.sh]  after 1"),
        "{said}"
    );
    assert!(said.contains("tos board accept 1"), "{said}");
    let tasks = service.ask("GET", "/tasks", &Value::Null);
    assert_eq!(tasks["tasks"], json!([]));
    place.tos(&["board", "accept", "1"]);
    assert!(!place.run(&["board", "accept", "1"]).0);
    service.until(2, "done");
}

#[test]
fn a_planner_that_gets_no_answer_fails_and_makes_nothing() {
    let server = Server::start(|_| {
        let body = json!({ "error": { "message": "the model is on holiday" } });
        Answer::Status(400, Vec::new(), body)
    });
    let place = Place::new(&planner(&server, ""));
    write(&place.top, "wish.md", "Greet people.\n");
    let service = Service::start(&place);
    let (ok, said) = place.run(&["board", "plan", "wish.md"]);
    assert!(!ok && said.contains("on holiday"), "{said}");
    let plan = until_plan(&service, 1, "failed");
    assert_eq!(plan["tasks"], json!([]));
    let tasks = service.ask("GET", "/tasks", &Value::Null);
    assert_eq!(tasks["tasks"], json!([]));
}

#[test]
fn an_agent_plans_and_one_that_changes_files_does_not() {
    let script = format!(
        "case \"$1\" in\n*mischief*) echo x > mischief.txt ;;\nesac\ncat <<'END'\n{}\nEND\n",
        two_tasks()
    );
    let place = Place::new(
        "\n[planner]\nagent = \"thinker\"\nasks = 1\n[agents.thinker]\nkind = \"command\"\nargs = [\"sh\", \"plan.sh\", \"{prompt}\"]\n",
    );
    write(&place.top, "plan.sh", &script);
    git(&place.top, &["add", "-A"]);
    git(&place.top, &["commit", "-q", "-m", "plan"]);
    write(&place.top, "wish.md", "Greet people.\n");
    write(&place.top, "bad.md", "Do mischief.\n");
    let service = Service::start(&place);
    let (ok, said) = place.run(&["board", "plan", "bad.md"]);
    assert!(!ok && said.contains("changed files although"), "{said}");
    let said = place.tos(&["board", "plan", "wish.md"]);
    assert!(said.contains("1. fix the greeting"), "{said}");
    place.tos(&["board", "accept", "2"]);
    let plan = until_plan(&service, 2, "planned");
    assert_eq!(
        (&plan["maker"], &plan["spent"]["calls"]),
        (&json!("agent"), &json!(1))
    );
}

#[test]
fn a_review_sends_work_back_with_its_reasons_and_the_next_attempt_hears_them() {
    let server = Server::start(|prompt| {
        let change = prompt.split("=====").nth(2).unwrap_or_default().to_owned();
        let text = if change.contains("+echo \"Hello, ${1:-world}!\"") {
            json!({ "verdict": "approve", "reasons": ["polite"] })
        } else {
            json!({ "verdict": "request_changes", "reasons": ["it needs an exclamation mark"] })
        };
        Answer::Text(text.to_string())
    });
    let place = Place::new(&review(&server));
    let agent = "case \"$1\" in\n*exclamation*) m='!' ;;\n*) m='' ;;\nesac\nprintf '#!/bin/sh\\necho \"Hello, ${1:-world}%s\"\\n' \"$m\" > greet.sh\n";
    write(&place.top, "agent.sh", agent);
    write(&place.top, "test.sh", "sh greet.sh you | grep -q Hello\n");
    git(&place.top, &["commit", "-q", "-am", "own"]);
    let service = Service::start(&place);
    let id = service.add(json!({ "title": "greet", "class": "fix", "paths": ["greet.sh"] }));
    let done = service.until(id, "done");
    assert_eq!(
        done["lessons"][0]["reasons"][0],
        "review: it needs an exclamation mark"
    );
    let shown = git(&place.top, &["show", "main:greet.sh"]);
    assert!(shown.contains("}!"), "{shown}");
    assert!(done["spent"]["tokens"].as_u64().unwrap() > 0, "{done}");
    assert_eq!(server.prompts().len(), 2);
}

#[test]
fn settings_say_who_works_and_whether_a_model_reviews() {
    let server = Server::start(|_| Answer::Text("never asked".to_owned()));
    let place = Place::new(&format!(
        "LLM_EXECUTOR = 'other'\nJUDGE_MODE = 'tests'\n{}\n[agents.other]\nkind = 'command'\nargs = ['sh', 'other.sh', '{{prompt}}']\n",
        review(&server)
    ));
    write(
        &place.top,
        "other.sh",
        "printf '#!/bin/sh\\necho \"Hello, ${1:-world}\"\\n' > greet.sh\necho other > who.txt\n",
    );
    git(&place.top, &["add", "-A"]);
    git(&place.top, &["commit", "-q", "-m", "own"]);
    let service = Service::start(&place);
    let id = service.add(json!({ "title": "fix the greeting", "class": "fix" }));
    service.until(id, "done");
    assert_eq!(git(&place.top, &["show", "main:who.txt"]), "other");
    assert_eq!(server.prompts().len(), 0);
    let judged = service.ask("GET", "/judgements", &Value::Null).to_string();
    assert!(judged.contains("no model reviewed it"), "{judged}");
    // A name that no agent has would fail every task.
    let (status, text) = service.raw(
        "PATCH",
        "/config",
        &service.token,
        &service.address,
        &json!({ "LLM_EXECUTOR": "codex" }).to_string(),
    );
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("[agents.codex]"), "{text}");
    drop(service);
    let output = place
        .command(&["serve"])
        .env("LLM_EXECUTOR", "codex")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("[agents.codex]"),
        "{said}"
    );
}

#[test]
fn a_review_that_fails_is_never_an_approval() {
    let server = Server::start(|_| Answer::Text("LGTM, merge it".to_owned()));
    let settings = format!("BLOCKED_TASK_RETRY_COOLDOWN_MS = 10\n{}", review(&server));
    let place = Place::new(&settings);
    let before = git(&place.top, &["rev-parse", "main"]);
    let service = Service::start(&place);
    let id = service.add(json!({ "title": "fix the greeting", "class": "fix" }));
    let why = service.until_why(id, "it could not be examined 4 times");
    assert!(why.contains("the review gave no verdict"), "{why}");
    assert_eq!(git(&place.top, &["rev-parse", "main"]), before);
    assert_eq!(server.prompts().len(), 4);
}

#[test]
fn validators_look_at_the_merge_result_with_the_rules_of_now() {
    let place = Place::new("JUDGE_COUNT = 0\n");
    let service = Service::start(&place);
    let id = service.add(json!({ "title": "fix the greeting", "class": "fix" }));
    service.until(id, "awaiting_judge");
    drop(service);
    let file = place.top.join("config/service.toml");
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace("JUDGE_COUNT = 0", "JUDGE_COUNT = 1");
    let strict = text.replace(
        "[settings]",
        "[limits]\nfiles = 0\nlines = 500\ncreated = 8\nbytes = 100000\n[settings]",
    );
    fs::write(&file, strict).unwrap();
    let service = Service::start(&place);
    let lesson = service.until_why(id, "the limit is 0");
    assert!(lesson.contains("limit"), "{lesson}");
}

#[test]
fn one_run_is_cancelled_by_one_command() {
    let place = Place::new("");
    let service = Service::start(&place);
    let id = service.add(json!({ "title": "be slow" }));
    service.until(id, "running");
    place.until_process("sleep 61408", true);
    let said = place.tos(&["board", "cancel-run", "1", "--note", "be quick"]);
    assert!(said.contains("back in the queue"), "{said}");
    let run = service.ask("GET", "/runs/1", &Value::Null);
    assert_eq!(run["run"]["status"], "cancelled");
    let shown = service.ask("GET", &format!("/tasks/{id}"), &Value::Null);
    assert_eq!(shown["task"]["lessons"][0]["reasons"][0], "be quick");
    let (ok, said) = place.run(&["board", "cancel-run", "1"]);
    assert!(!ok && said.contains("is over: cancelled"), "{said}");
    place.tos(&["proc", "stop-all"]);
    place.until_process("sleep 61408", false);
}

/// An agent that speaks ACP as far as this needs: it asks whether it may run `touch allowed.txt`, and does as it is told.
const ASKING: &str = r#"id() { printf '%s' "$1" | sed 's/.*"id":\([0-9]*\).*/\1/'; }
while read -r line; do
  case "$line" in
  *'"initialize"'*)
    printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":1,"agentCapabilities":{}}}\n' "$(id "$line")" ;;
  *'"session/new"'*)
    printf '{"jsonrpc":"2.0","id":%s,"result":{"sessionId":"s"}}\n' "$(id "$line")" ;;
  *'"session/prompt"'*)
    turn=$(id "$line")
    printf '{"jsonrpc":"2.0","id":900,"method":"session/request_permission","params":{"sessionId":"s","toolCall":{"toolCallId":"t","title":"touch","kind":"execute","rawInput":{"command":"touch allowed.txt"}},"options":[{"optionId":"once","kind":"allow_once"},{"optionId":"no","kind":"reject_once"}]}}\n' ;;
  *'"id":900'*)
    case "$line" in *'"once"'*) touch allowed.txt ;; esac
    printf '#!/bin/sh\necho "Hello, ${1:-world}"\n' > greet.sh
    printf '{"jsonrpc":"2.0","id":%s,"result":{"stopReason":"end_turn"}}\n' "$turn" ;;
  esac
done
"#;

/// Lays out a project whose agent asks before it touches a file.
fn asking(settings: &str) -> Place {
    let place = Place::new(settings);
    write(&place.top, "acp.sh", ASKING);
    let policy = r#"{ "execution_policy": { "rules": [ { "name": "ask-touch", "program": ["touch"], "decision": "ask" } ] } }"#;
    write(&place.top, "config/config_v0_3.json", policy);
    let file = place.top.join("config/service.toml");
    let text = fs::read_to_string(&file).unwrap();
    let text = text
        .replace("kind = \"command\"", "kind = \"acp\"")
        .replace("\"agent.sh\", \"{prompt}\"", "\"acp.sh\"");
    fs::write(&file, text).unwrap();
    git(&place.top, &["add", "-A"]);
    git(
        &place.top,
        &["commit", "-q", "-m", "a person decides about touch"],
    );
    place
}

fn question(service: &Service, open: bool) -> Value {
    let path = format!("/approvals?open={open}");
    for _ in 0..3000 {
        let asked = service.ask("GET", &path, &Value::Null);
        let found = asked["approvals"].as_array().unwrap().iter();
        if let Some(one) = found.clone().find(|one| one["kind"] == "action") {
            return one.clone();
        }
        // Whatever asks whether the task may start is allowed.
        for start in found.filter(|one| one["kind"] == "start" && open) {
            let answer = format!("/approvals/{}", start["id"]);
            service.ask("POST", &answer, &json!({ "allow": true }));
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("no question was put (open: {open})");
}

#[test]
fn an_agent_at_work_asks_on_the_board_and_does_as_it_is_told() {
    let place = asking("");
    let service = Service::start(&place);
    let id = service.add(json!({ "title": "greet", "class": "fix" }));
    let asked = question(&service, true);
    assert!(
        asked["action"]
            .as_str()
            .unwrap()
            .contains("touch allowed.txt")
    );
    assert!(asked["until"].is_string(), "{asked}");
    assert!(
        place
            .tos(&["board", "questions"])
            .contains("denied by itself at")
    );
    place.tos(&["board", "allow", &asked["id"].to_string()]);
    service.until(id, "done");
    git(&place.top, &["cat-file", "-e", "main:allowed.txt"]);
}

#[test]
fn a_question_of_an_agent_that_nobody_answers_is_a_no() {
    let place = asking("APPROVAL_TIMEOUT_MS = 1000\n");
    let service = Service::start(&place);
    let id = service.add(json!({ "title": "greet", "class": "fix" }));
    question(&service, true);
    let ended = question(&service, false);
    assert_eq!(ended["allowed"], false, "{ended}");
    assert_eq!(ended["by"], "nobody answered in time");
    service.until(id, "done");
    let files = git(&place.top, &["ls-tree", "--name-only", "main"]);
    assert!(!files.contains("allowed.txt"), "{files}");
}
