//! Every route, and that each answers as it is described.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tos::domain::board::Verdict;

use super::{
    schema::{faults, operation},
    server::{Reply, Server},
};

/// Asks, and compares the answer with the description.
struct Checked {
    server: Server,
    description: Value,
    seen: BTreeSet<String>,
}

impl Checked {
    fn new() -> Self {
        let server = Server::start();
        let description = server.get("/openapi.json").json();
        Self {
            server,
            description,
            seen: BTreeSet::new(),
        }
    }

    fn ask(&mut self, method: &str, path: &str, body: Option<Value>) -> Reply {
        let reply = self.server.ask(method, path, body.as_ref());
        let (template, found) = operation(&self.description, method, path)
            .unwrap_or_else(|| panic!("{method} {path} is not described"));
        let kind = reply.header("content-type").unwrap_or("");
        if kind == "application/json" {
            let faults = faults(&self.description, found, reply.status, &reply.json());
            assert!(faults.is_empty(), "{method} {path}: {faults:#?}");
        } else {
            assert!(reply.status < 400, "{method} {path}: {}", reply.text());
            assert!(!found["responses"][reply.status.to_string()].is_null());
        }
        if reply.status < 400 {
            self.seen.insert(format!("{method} {template}"));
        }
        reply
    }

    fn ok(&mut self, method: &str, path: &str, body: Option<Value>) -> Value {
        let reply = self.ask(method, path, body);
        assert!(
            (200..300).contains(&reply.status),
            "{method} {path}: {} {}",
            reply.status,
            reply.text()
        );
        reply.json()
    }

    fn refused(&mut self, method: &str, path: &str, body: Option<Value>, status: u16) -> Value {
        let reply = self.ask(method, path, body);
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
        let error = reply.json()["error"].clone();
        assert!(!error["code"].as_str().unwrap().is_empty());
        assert!(!error["message"].as_str().unwrap().is_empty());
        error
    }
}

#[test]
fn every_route_answers_as_it_is_described() {
    let mut api = Checked::new();
    assert!(
        api.description["openapi"]
            .as_str()
            .unwrap()
            .starts_with("3.1.")
    );
    // What is said about values reaches the description.
    let role = &api.description["components"]["schemas"]["TaskInput"]["properties"]["role"];
    assert_eq!(role["enum"], json!(["worker", "tester", "docser", null]));
    tasks(&mut api);
    runs_and_judgements(&mut api);
    approvals(&mut api);
    logs(&mut api);
    configuration(&mut api);
    sessions(&mut api);
    operation_of_processes(&mut api);
    webhooks(&mut api);
    let mut described = BTreeSet::new();
    for (path, item) in api.description["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    // It does not end by itself; `events` follows it.
    described.remove("GET /events");
    let missing: Vec<_> = described.difference(&api.seen).collect();
    assert!(missing.is_empty(), "never answered: {missing:?}");
}

/// What GitHub sends shows no token, and is told apart by its signature.
fn webhooks(api: &mut Checked) {
    let (method, path) = ("POST", "/webhooks/github");
    let send = |signature: &str, more: &[(&str, &str)]| {
        let mut headers = vec![
            ("Content-Type", "application/json"),
            ("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
            ("X-GitHub-Event", "issues"),
            ("X-Hub-Signature-256", signature),
        ];
        headers.extend(more);
        api.server.send(method, path, &headers, b"{}")
    };
    for (signature, status, outcome) in [
        ("sha256=good", 200, "done"),
        ("sha256=again", 200, "again"),
        ("sha256=slow", 202, "underway"),
    ] {
        let reply = send(signature, &[]);
        let (_, found) = operation(&api.description, method, path).unwrap();
        let faults = faults(&api.description, found, reply.status, &reply.json());
        assert!(faults.is_empty(), "{faults:#?}");
        assert_eq!(
            (reply.status, &reply.json()["outcome"]),
            (status, &json!(outcome))
        );
    }
    assert_eq!(send("sha256=bad", &[]).status, 401);
    assert_eq!(send("sha256=off", &[]).status, 404);
    // A page elsewhere cannot even try.
    let elsewhere = [("Origin", "http://evil.example")];
    assert_eq!(send("sha256=good", &elsewhere).status, 403);
    let unsigned = api.server.send(method, path, &[], b"{}");
    assert_eq!(unsigned.status, 401);
    assert_eq!(api.server.send("GET", path, &[], b"").status, 401);
    // Who guesses is slowed down, and the token still counts.
    let guesses = (0..30).map(|_| send("sha256=bad", &[]).status);
    assert!(guesses.into_iter().any(|status| status == 429));
    assert_eq!(api.server.get("/tasks").status, 200);
    api.seen.insert(format!("{method} {path}"));
}

fn sessions(api: &mut Checked) {
    assert_eq!(api.ok("GET", "/sessions", None)["sessions"], json!([]));
    // What was not laid down here cannot be begun from elsewhere.
    for run in ["r2", "../r1", ""] {
        let refused = api.ask("POST", "/sessions", Some(json!({"run": run})));
        assert_eq!(refused.status, 404, "{run}");
    }
    let begun = api.ok("POST", "/sessions", Some(json!({"run": "r1"})));
    assert_eq!(
        (&begun["status"], &begun["open"]),
        (&json!("running"), &json!(true))
    );
    let id = begun["id"].as_u64().unwrap();
    let path = format!("/sessions/{id}");
    let seen = api.ok("GET", &path, None);
    assert_eq!(seen["tasks"][0]["status"], "waiting");
    let task = seen["tasks"][0]["taskId"].as_u64().unwrap();
    let told = api.ok("GET", &format!("/tasks/{task}"), None);
    assert_eq!(told["task"]["session"], id);
    api.ok("GET", &format!("/logs/sessions/{id}"), None);
    api.ok(
        "POST",
        &format!("{path}/cancel"),
        Some(json!({"reason": "enough"})),
    );
    assert_eq!(api.ok("GET", &path, None)["status"], "ending");
    let twice = api.ok("POST", &format!("{path}/cancel"), None);
    assert!(twice["message"].as_str().unwrap().contains("already"));
    assert_eq!(api.ask("GET", "/sessions/99", None).status, 404);
}

fn tasks(api: &mut Checked) {
    assert_eq!(api.ok("GET", "/tasks", None)["tasks"], json!([]));
    let made = api.ok(
        "POST",
        "/tasks",
        Some(json!({"title": "one", "goal": "do it", "paths": ["src/**"], "key": "k1"})),
    );
    assert_eq!(made["created"], true);
    assert_eq!(made["task"]["status"], "queued");
    assert_eq!(made["task"]["source"], "api");
    let again = json!({"title": "other", "goal": "x", "key": "k1"});
    let again = api.ask("POST", "/tasks", Some(again));
    assert_eq!(
        (again.status, &again.json()["created"]),
        (200, &json!(false))
    );
    let second =
        json!({"title": "two", "goal": "x", "dependencies": [{"task": 1}], "role": "tester"});
    api.ok("POST", "/tasks", Some(second));
    api.refused(
        "POST",
        "/tasks",
        Some(json!({"title": "", "goal": "x"})),
        400,
    );
    api.refused(
        "POST",
        "/tasks",
        Some(json!({"title": "t", "goal": "x", "role": "judge"})),
        400,
    );
    let error = api.refused("POST", "/tasks", Some(json!({"titel": "t"})), 400);
    assert!(error["message"].as_str().unwrap().contains("titel"));
    // The field, the place in it, and what to write instead.
    for (dependencies, place, remedy) in [
        (json!([7]), "`dependencies[0]`", "{\"task\": 7}"),
        (json!(["task-1"]), "`dependencies[0]`", "{\"task\": 7}"),
        (
            json!([{"task": 1}, {"task": "1"}]),
            "`dependencies[1].task`",
            "without quotes",
        ),
        (
            json!([{"task": 1}, {"task": -1}]),
            "`dependencies[1].task`",
            "`tos board list`",
        ),
        (
            json!([{"task": 1}, {"task": 99}]),
            "`dependencies[1]` is task-99",
            "`tos board list`",
        ),
    ] {
        let wrong = json!({"title": "t", "goal": "x", "dependencies": dependencies});
        let error = api.refused("POST", "/tasks", Some(wrong), 400);
        let said = format!("{} {}", error["message"], error["hint"]).replace("\\\"", "\"");
        assert!(said.contains(place) && said.contains(remedy), "{said}");
    }

    let why = api.ok("GET", "/tasks/1", None)["why"].clone();
    let sentence = why[0]["text"].as_str().unwrap();
    assert!(sentence.contains("dispatcher"), "{why}");
    assert_eq!(api.ok("GET", "/tasks/task-2", None)["task"]["id"], 2);
    api.refused("GET", "/tasks/99", None, 404);
    api.refused("GET", "/tasks/x", None, 400);
    let patched = api.ok("PATCH", "/tasks/2", Some(json!({"priority": 5})));
    assert_eq!(patched["task"]["priority"], 5);
    assert_eq!(patched["task"]["title"], "two");
    let cancelled = api.ok("PATCH", "/tasks/2", Some(json!({"status": "cancelled"})));
    assert_eq!(cancelled["task"]["status"], "cancelled");
    api.refused("PATCH", "/tasks/2", Some(json!({"status": "done"})), 400);
    api.ok("POST", "/tasks/2/requeue", Some(json!({"note": "try it"})));
    api.ok("POST", "/tasks/2/cancel", None);
    api.ok("DELETE", "/tasks/2", None);

    for number in 3..=9 {
        let task = json!({"title": format!("task {number}"), "goal": "x", "paths": ["docs/**"]});
        api.ok("POST", "/tasks", Some(task));
    }
    let first = api.ok("GET", "/tasks?limit=4", None);
    let cursor = first["nextCursor"].as_str().unwrap();
    let rest = api.ok("GET", &format!("/tasks?limit=100&cursor={cursor}"), None);
    assert_eq!(first["tasks"].as_array().unwrap().len(), 4);
    assert_eq!(rest["tasks"].as_array().unwrap().len(), 5);
    assert!(rest["nextCursor"].is_null());
    let found = api.ok("GET", "/tasks?status=cancelled&role=tester", None);
    assert_eq!(found["tasks"][0]["id"], 2);
    assert_eq!(
        api.ok("GET", "/tasks?q=TASK%207", None)["tasks"][0]["id"],
        7
    );
    for wrong in ["status=x", "limit=0", "limit=x", "cursor=7"] {
        api.refused("GET", &format!("/tasks?{wrong}"), None, 400);
    }
    for number in 3..=9 {
        api.ok(
            "POST",
            &format!("/tasks/{number}/cancel"),
            Some(json!({"note": "enough"})),
        );
    }
}

fn runs_and_judgements(api: &mut Checked) {
    api.server.memory.start_everything();
    assert_eq!(api.ok("GET", "/tasks/1", None)["task"]["status"], "running");
    let agents = api.ok("GET", "/agents", None);
    let worker = agents["agents"]
        .as_array()
        .unwrap()
        .iter()
        .find(|agent| agent["id"] == "worker-1");
    assert_eq!(worker.unwrap()["currentTaskId"], 1);
    assert_eq!(api.ok("GET", "/agents/worker-1", None)["status"], "busy");
    api.refused("GET", "/agents/dispatcher", None, 404);
    api.refused("GET", "/agents/worker-9", None, 404);
    // An attempt that is ended brings its task back, and it is not rewritten afterwards.
    api.ok(
        "POST",
        "/runs/1/cancel",
        Some(json!({"note": "not like this"})),
    );
    api.refused("POST", "/runs/1/cancel", None, 409);
    api.refused("POST", "/runs/99/cancel", None, 404);
    assert_eq!(api.ok("GET", "/runs/1", None)["run"]["status"], "cancelled");
    let run = api.server.memory.commit();
    let task = api.ok("GET", "/tasks/1", None);
    assert_eq!(task["task"]["blockReason"], "awaiting_judge");
    assert_eq!(task["task"]["retry"]["reason"], "awaiting_judge");
    let detail = api.ok("GET", &format!("/runs/{}", run.0), None);
    assert_eq!(detail["log"], "reading\nwriting\ndone\n");
    assert_eq!(detail["artifacts"].as_array().unwrap().len(), 3);
    api.ok("GET", &format!("/runs/{}/artifacts", run.0), None);
    let diff = api.ask(
        "GET",
        &format!("/runs/{}/artifacts/diff/content", run.0),
        None,
    );
    assert!(diff.text().starts_with("diff --git"));
    assert_eq!(
        diff.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    api.refused(
        "GET",
        &format!("/runs/{}/artifacts/..%2f..%2fx/content", run.0),
        None,
        404,
    );
    let reasons = vec!["no test".to_owned()];
    api.server.memory.judge(Verdict::RequestChanges { reasons });
    let judged = api.ok("GET", "/judgements?taskId=1", None);
    assert_eq!(judged["judgements"][0]["verdict"], "request_changes");
    assert_eq!(judged["judgements"][0]["reasons"][0], "no test");
    assert!(
        api.ask("GET", "/judgements/1/diff", None)
            .text()
            .contains("+new")
    );
    api.refused("GET", "/judgements/9/diff", None, 404);
    let runs = api.ok("GET", "/runs?taskId=1&status=success", None);
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1);
    assert_eq!(
        api.ok("GET", "/runs?agentId=worker-1", None)["runs"][0]["agentId"],
        "worker-1"
    );
    assert_eq!(api.ok("GET", "/runs/stats", None)["success"], 1);
    api.ok("GET", "/budget", None);
}

fn approvals(api: &mut Checked) {
    api.server.memory.ask("rm -rf build");
    let open = api.ok("GET", "/approvals?open=true", None);
    assert_eq!(open["approvals"][0]["action"], "rm -rf build");
    let id = open["approvals"][0]["id"].as_u64().unwrap();
    api.refused(
        "POST",
        &format!("/approvals/{id}"),
        Some(json!({"allow": "yes"})),
        400,
    );
    api.ok(
        "POST",
        &format!("/approvals/{id}"),
        Some(json!({"allow": true})),
    );
    api.refused(
        "POST",
        &format!("/approvals/{id}"),
        Some(json!({"allow": true})),
        409,
    );
    api.refused("POST", "/approvals/99", Some(json!({"allow": true})), 404);
    assert_eq!(
        api.ok("GET", "/approvals?open=true", None)["approvals"],
        json!([])
    );
    assert_eq!(
        api.ok("GET", "/approvals", None)["approvals"][0]["allowed"],
        true
    );
}

fn logs(api: &mut Checked) {
    api.server.memory.write_log("worker-1", "a\nb\nc\n");
    api.server.memory.write_log("judge", "d\n");
    let log = api.ok("GET", "/logs/agents/worker-1?lines=2", None);
    assert_eq!((&log["log"], &log["total"]), (&json!("b\nc\n"), &json!(6)));
    assert_eq!(
        api.ok("GET", "/logs/agents/worker-1?offset=4", None)["log"],
        "c\n"
    );
    assert_eq!(api.ok("GET", "/logs/agents/judge-1", None)["log"], "d\n");
    assert_eq!(api.ok("GET", "/logs/cycle-manager", None)["log"], "");
    assert_eq!(api.ok("GET", "/logs/processes/dispatcher", None)["log"], "");
    let all = api.ok("GET", "/logs/all", None);
    assert_eq!(
        (&all["returned"], &all["sourceCount"]),
        (&json!(4), &json!(2))
    );
    let some = api.ok(
        "GET",
        "/logs/all?source=worker-1&limit=2&sinceMinutes=5",
        None,
    );
    assert_eq!(
        (&some["returned"], &some["truncated"]),
        (&json!(2), &json!(true))
    );
    api.refused("GET", "/logs/all?limit=99999", None, 400);
    api.refused("GET", "/logs/agents/worker-1?lines=0", None, 400);
    api.server.memory.write_log("run 1", "e\nf\n");
    let run = api.ok("GET", "/logs/runs/1?lines=1", None);
    assert_eq!(
        (&run["log"], &run["state"]),
        (&json!("f\n"), &json!("growing"))
    );
    api.refused("GET", "/logs/runs/999", None, 404);
    api.refused("GET", "/logs/runs/1?lines=9999", None, 400);
    assert_eq!(api.ok("POST", "/logs/clear", None)["removed"], 4);
    assert_eq!(api.ok("GET", "/logs/all", None)["returned"], 0);
}

fn configuration(api: &mut Checked) {
    let changed = json!({"TESTER_COUNT": 2, "GITHUB_TOKEN": "ghp_secret"});
    let restart = api.ok("PATCH", "/config", Some(changed))["restart"].clone();
    assert_eq!(restart, json!(["tester-1"]));
    assert_eq!(api.server.memory.secret().as_deref(), Some("ghp_secret"));
    let shown = api.ask("GET", "/config", None);
    assert!(!shown.text().contains("ghp_secret"), "a secret came out");
    let config = shown.json()["config"].as_array().unwrap().clone();
    let of = |name: &str| {
        config
            .iter()
            .find(|one| one["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(of("TESTER_COUNT")["value"], "2");
    assert_eq!(of("GITHUB_TOKEN")["isSet"], true);
    // All or none.
    let wrong = json!({"WORKER_COUNT": "3", "NO_SUCH": "1"});
    api.refused("PATCH", "/config", Some(wrong), 400);
    api.refused("PATCH", "/config", Some(json!({})), 400);
    api.refused("PATCH", "/config", Some(json!({"WORKER_COUNT": [1]})), 400);
    assert_eq!(api.server.get("/config").json()["config"], json!(config));
}

fn operation_of_processes(api: &mut Checked) {
    let all = api.ok("GET", "/system/processes", None);
    assert_eq!(all["hatch"]["armed"], true);
    assert_eq!(
        api.ok("GET", "/system/processes/worker-1", None)["status"],
        "running"
    );
    api.refused("GET", "/system/processes/boss", None, 404);
    let again = api.ok("POST", "/system/processes/worker-1/start", None);
    assert!(
        again["message"]
            .as_str()
            .unwrap()
            .contains("already running")
    );
    api.refused("POST", "/system/processes/boss/start", None, 404);
    api.refused("POST", "/system/processes/boss/stop", None, 404);
    api.refused("POST", "/system/processes/db-up/stop", None, 400);
    // A stop of a busy worker brings its task back, and is remembered.
    let stopped = api.ok("POST", "/system/processes/worker-1/stop", None);
    assert_eq!(stopped["process"]["stopRequested"], true);
    assert_eq!(api.ok("GET", "/tasks/1", None)["task"]["status"], "queued");
    api.ok("POST", "/system/processes/worker-1/start", None);
    let empty = json!({"content": ""});
    api.refused("POST", "/system/processes/planner/start", Some(empty), 400);
    let busy = json!({"content": "a new thing"});
    let error = api.refused("POST", "/system/processes/planner/start", Some(busy), 409);
    assert!(error["message"].as_str().unwrap().contains("not done"));
    api.refused("POST", "/system/cleanup", None, 409);

    stop_and_hold(api);
    requirement_and_figures(api);
}

fn stop_and_hold(api: &mut Checked) {
    let counts = api.ok("POST", "/system/processes/stop-all", None);
    assert_eq!(
        (&counts["cancelledRuns"], &counts["requeuedTasks"]),
        (&json!(1), &json!(1))
    );
    assert!(counts["orphanCleanup"]["pids"].is_array());
    assert_eq!(api.ok("GET", "/system/hatch", None)["armed"], false);
    assert_eq!(api.ok("GET", "/agents/worker-1", None)["status"], "offline");
    let hatch = api.ok("POST", "/system/hatch/arm", None);
    assert_eq!(
        (&hatch["armed"], &hatch["byPerson"]),
        (&json!(true), &json!(true))
    );
    assert!(hatch["since"].is_string(), "{hatch}");
    let until = hatch["until"].as_str().unwrap();
    for way in ["tos hatch disarm", "tos proc stop-all", "tos board cleanup"] {
        assert!(until.contains(way), "{until}");
    }
    let hatch = api.ok("POST", "/system/hatch/disarm", None);
    assert_eq!(hatch["armed"], false);
    let until = hatch["until"].as_str().unwrap();
    assert!(until.contains("a person arms it"), "{until}");
    assert_eq!(api.ok("GET", "/system/hold", None)["held"], false);
    api.ok("POST", "/system/hold", Some(json!({"reason": "wait"})));
    assert_eq!(api.ok("GET", "/system/hold", None)["detail"], "wait");
    api.ok("POST", "/system/processes/dispatcher/restart", None);
    api.refused("GET", "/system/processes/worker-9", None, 404);
    api.refused("POST", "/system/processes/worker-9/stop", None, 404);
    api.refused("POST", "/system/processes/db-push/restart", None, 400);
    api.ok("POST", "/system/resume", None);
    assert_eq!(
        api.ok("POST", "/system/resume", None)["message"],
        "nothing is held"
    );
    api.ok("POST", "/system/merges/retry", None);
}

fn requirement_and_figures(api: &mut Checked) {
    api.ok(
        "POST",
        "/system/requirements",
        Some(json!({"content": "# A\n"})),
    );
    api.refused(
        "POST",
        "/system/requirements",
        Some(json!({"content": " "})),
        400,
    );
    assert_eq!(
        api.ok("GET", "/system/requirements", None)["content"],
        "# A\n"
    );
    let found = api.ok("POST", "/system/preflight", None);
    assert_eq!(
        (&found["queued"], &found["hasRequirement"]),
        (&json!(2), &json!(true))
    );
    let all = Some(json!({"stopFirst": true}));
    assert_eq!(api.ok("POST", "/system/cleanup", all)["tasks"], 10);
    assert_eq!(api.ok("GET", "/tasks", None)["tasks"], json!([]));
    let start = api.ok("POST", "/system/preflight", None)["start"].clone();
    assert!(start.as_array().unwrap().contains(&json!("planner")));
    api.ok("POST", "/system/processes/planner/start", None);
    let plans = api.ok("GET", "/plans", None);
    assert_eq!(plans["plans"][0]["requirement"], "# A\n");
    assert_eq!(api.ok("GET", "/plans/1", None)["status"], "planning");
    api.refused("GET", "/plans/9", None, 404);
    api.refused("POST", "/plans/1", Some(json!({"accept": true})), 409);
    // One requirement at a time.
    api.refused("POST", "/plans", Some(json!({"content": "# B"})), 409);
    api.refused("POST", "/plans", Some(json!({"content": 1})), 400);
    api.ok("POST", "/system/processes/planner/stop", None);
    assert_eq!(api.ok("GET", "/plans/1", None)["status"], "failed");
    let asked = json!({"content": "# B\n", "preview": true});
    assert_eq!(api.ok("POST", "/plans", Some(asked))["id"], 2);
    api.server.memory.propose(&["one", "two"]);
    assert_eq!(api.ok("GET", "/plans/2", None)["status"], "proposed");
    let edit =
        json!({"edits": 0, "tasks": [{"place": 1, "title": "Another title", "dependencies": []}]});
    let edited = api.ok("PATCH", "/plans/2", Some(edit.clone()));
    assert_eq!(edited["proposal"][0]["title"], "Another title");
    assert_eq!(edited["edits"], 1);
    let error = api.refused("PATCH", "/plans/2", Some(edit), 409);
    assert_eq!(error["code"], "stale");
    let gone = json!({"edits": 1, "tasks": [{"place": 7}]});
    api.refused("PATCH", "/plans/2", Some(gone), 400);
    api.refused("PATCH", "/plans/2", Some(json!({"edits": 1})), 400);
    let none = json!({"edits": 0, "tasks": []});
    api.refused("PATCH", "/plans/9", Some(none), 404);
    api.ok("POST", "/plans/2", Some(json!({"accept": false})));
    assert_eq!(api.ok("GET", "/plans/2", None)["status"], "declined");
    assert_eq!(api.ok("GET", "/health", None)["status"], "ok");
    assert_eq!(api.ok("GET", "/health/ready", None)["status"], "ready");
    let metrics = api.ask("GET", "/metrics", None).text();
    assert!(
        metrics.contains("\ntos_tasks{status=\"queued\"} 0\n"),
        "{metrics}"
    );
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap();
    }
    let code = api.ok("POST", "/sign-in/codes", None);
    assert!(code["path"].as_str().unwrap().starts_with("/sign-in?code="));
}

#[test]
fn an_answer_that_is_known_is_not_sent_again() {
    let server = Server::start();
    server.post("/tasks", &json!({"title": "one", "goal": "x"}));
    let first = server.get("/tasks");
    let tag = first.header("etag").unwrap().to_owned();
    let bearer = format!("Bearer {}", super::server::TOKEN);
    let again = |tag: &str| {
        let headers = [("Authorization", bearer.as_str()), ("If-None-Match", tag)];
        server.send("GET", "/tasks", &headers, b"")
    };
    let reply = again(&tag);
    assert_eq!((reply.status, reply.body.len()), (304, 0));
    assert_eq!(again("W/\"other\"").status, 200);
    server.post("/tasks", &json!({"title": "two", "goal": "x"}));
    assert_eq!(again(&tag).status, 200);
}

/// What a careless or hostile client puts into a path, behind it, and into a body.
const PARTS: [&str; 9] = [
    "0",
    "18446744073709551616",
    "-1",
    "x",
    "%00",
    "%ff",
    "..%2f..%2fetc%2fpasswd",
    "worker-1",
    "%E2%80%AE",
];
const QUERIES: [&str; 7] = [
    "",
    "?limit=-1",
    "?cursor=%00",
    "?status=%ff",
    "?offset=18446744073709551615",
    "?sinceMinutes=18446744073709551615",
    "?a=b&a=c&&=",
];
const BODIES: [&str; 12] = [
    "",
    "null",
    "[]",
    "7",
    "\"x\"",
    "{",
    "{\"title\":7}",
    "{\"a\":{\"b\":[]}}",
    "\u{0}",
    "{\"title\":\"t\",\"goal\":\"g\",\"priority\":99999999999}",
    "{\"allow\":null}",
    "{\"content\":\"\\ud800\"}",
];

/// Nothing of it is a fault of the service.
#[test]
fn nothing_that_is_sent_makes_the_service_fall_over() {
    let server = Server::start();
    let description = server.get("/openapi.json").json();
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let mut asked = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        // It does not end by itself.
        if path == "/events" {
            continue;
        }
        let rounds = if path.contains('{') { PARTS.len() } else { 1 };
        for method in item.as_object().unwrap().keys() {
            for part in PARTS.iter().take(rounds) {
                let mut filled = path.clone();
                while let (Some(from), Some(to)) = (filled.find('{'), filled.find('}')) {
                    filled.replace_range(from..=to, part);
                }
                if method == "get" {
                    for query in QUERIES {
                        survives(&server, method, &format!("{filled}{query}"), "");
                        asked += 1;
                    }
                } else {
                    for body in BODIES.iter().chain([&deep.as_str()]) {
                        survives(&server, method, &filled, body);
                        asked += 1;
                    }
                }
            }
        }
    }
    assert!(asked > 1000, "{asked}");
}

fn survives(server: &Server, method: &str, path: &str, body: &str) {
    let bearer = format!("Bearer {}", super::server::TOKEN);
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    let reply = server.send(&method.to_uppercase(), path, &headers, body.as_bytes());
    let text = reply.text();
    assert!(
        reply.status < 500,
        "{method} {path} {body:.60}: {} {text}",
        reply.status
    );
    if reply.status >= 400 {
        assert!(!reply.code().is_empty(), "{method} {path}: {text}");
    }
}

#[test]
fn what_does_not_exist_is_said_in_json_and_to_people_as_a_page() {
    let server = Server::start();
    let reply = server.get("/no/such");
    assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"));
    let reply = server.ask("PUT", "/tasks", None);
    assert_eq!((reply.status, reply.code().as_str()), (405, "wrong_method"));
    let reply = server.send(
        "POST",
        "/tasks",
        &[
            ("Authorization", &format!("Bearer {}", super::server::TOKEN)),
            ("Content-Type", "text/plain"),
        ],
        b"{}",
    );
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (415, "wrong_content_type")
    );
    let cookie = server.sign_in();
    let reply = server.page(&cookie, "/ui/tasks/7", &[]);
    assert_eq!(reply.status, 404);
    assert!(
        reply.text().contains("there is no task-7"),
        "{}",
        reply.text()
    );
    assert_eq!(
        reply.header("content-type"),
        Some("text/html; charset=utf-8")
    );
}
