//! The service through the program: tasks go to the branch, a kill loses nothing, people's work is left alone.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    clippy::disallowed_types,
    reason = "tests look at the real disk, and wait for another program"
)]

mod containers;
mod github;
mod github_server;
mod github_wire;
mod kills;
mod newcomer;
#[expect(dead_code, reason = "other tests use the rest of it")]
mod place;
mod planning;
mod webhook;

#[path = "../support/server.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod model_server;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/repository.rs"]
mod repository;

use std::fs;

use place::{Place, Service};
use repository::git;
use serde_json::json;

#[test]
fn a_task_is_worked_on_judged_and_merged() {
    let place = Place::new("");
    let service = Service::start(&place);
    let task =
        service.add(json!({ "title": "fix the greeting", "class": "fix", "paths": ["greet.sh"] }));
    let done = service.until(task, "done");
    let merged = done["mergedCommit"].as_str().unwrap().to_owned();
    assert_eq!(git(&place.top, &["rev-parse", "main"]), merged);
    // The checkout of the branch was clean, so it went along.
    assert!(
        fs::read_to_string(place.top.join("greet.sh"))
            .unwrap()
            .contains("Hello")
    );
    assert_eq!(done["judgements"][0]["verdict"], "approve");
    let why = place.tos(&["why", "1"]);
    assert!(why.contains("it is merged as"), "{why}");
    let logs = place.tos(&["proc", "logs"]);
    for process in [
        "dispatcher is up",
        "worker-1 is up",
        "judge-1 is up",
        "judge-1 task-1: approve",
    ] {
        assert!(logs.contains(process), "{process}: {logs}");
    }
}

#[test]
fn work_that_fails_its_tests_or_leaves_its_area_is_never_merged() {
    let place = Place::new("FAILED_TASK_RETRY_COOLDOWN_MS = 10\nAUTO_REWORK_MAX_DEPTH = 0\n");
    let before = git(&place.top, &["rev-parse", "main"]);
    let service = Service::start(&place);
    let wrong = service.add(json!({ "title": "wrong words", "paths": ["greet.sh"] }));
    let stuck = service.until(wrong, "needs_rework");
    assert!(
        stuck["detail"].as_str().unwrap().contains("the tests"),
        "{stuck}"
    );
    // The first of the seed's pains: files outside of the task's area.
    let outside = service.add(json!({ "title": "write a farewell", "paths": ["docs/**"] }));
    let stuck = service.until(outside, "needs_rework");
    assert!(
        stuck["detail"]
            .as_str()
            .unwrap()
            .contains("outside of what the task may touch"),
        "{stuck}"
    );
    // Nor by the way of a night: the attempts that the judge refused are none of those.
    assert!(
        place
            .tos(&["night", "list"])
            .contains("no run is on record")
    );
    let refs = git(
        &place.top,
        &["for-each-ref", "--format=%(refname)", "refs/tos/runs"],
    );
    let attempts: Vec<&str> = refs
        .lines()
        .filter_map(|name| name.strip_prefix("refs/tos/runs/"))
        .collect();
    assert!(!attempts.is_empty());
    for run in attempts {
        let (ok, said) = place.run(&["night", "merge", run]);
        assert!(
            !ok && said.contains("only what its judge accepts is merged"),
            "{said}"
        );
    }
    let (ok, said) = place.run(&["night", "merge"]);
    assert!(!ok && said.contains("no run is on record"), "{said}");
    assert_eq!(git(&place.top, &["rev-parse", "main"]), before);
    let lessons = stuck["lessons"].as_array().unwrap();
    assert!(
        lessons.iter().all(|lesson| lesson["from"] == "judge"),
        "{stuck}"
    );
}

#[test]
fn a_dirty_checkout_is_left_alone_until_it_is_clean() {
    let place = Place::new("JUDGE_MERGE_QUEUE_RETRY_DELAY_MS = 3600000\n");
    let service = Service::start(&place);
    fs::write(place.top.join("test.sh"), "# mine, not committed\n").unwrap();
    let task = service.add(json!({ "title": "fix the greeting", "class": "fix" }));
    let waits = service.until_why(task, "ready to fast-forward");
    assert!(waits.contains("tos merge"), "{waits}");
    assert_eq!(
        fs::read_to_string(place.top.join("test.sh")).unwrap(),
        "# mine, not committed\n"
    );
    let (ok, still) = place.run(&["merge"]);
    assert!(!ok && still.contains("ready to fast-forward"), "{still}");
    git(&place.top, &["checkout", "-q", "test.sh"]);
    // The command waits for what comes of it.
    let merged = place.tos(&["merge"]);
    assert!(merged.contains("task-1: merged as"), "{merged}");
    service.until(task, "done");
}

#[test]
fn a_stopped_worker_gives_its_task_back_and_leaves_no_process() {
    let place = Place::new("");
    let service = Service::start(&place);
    let task = service.add(json!({ "title": "be slow" }));
    service.until(task, "running");
    place.until_process("sleep 61408", true);
    let answer = place.tos(&["proc", "stop-all"]);
    assert!(
        answer.contains("1 runs cancelled, 1 tasks back"),
        "{answer}"
    );
    service.until(task, "queued");
    place.until_process("sleep 61408", false);
    let why = place.tos(&["why", "1"]);
    assert!(why.contains("dispatcher is stop"), "{why}");
    assert!(place.tos(&["hatch", "status"]).contains("disarmed"));
    assert!(!place.run(&["proc", "start", "nobody"]).0);
}

#[test]
fn nobody_without_the_token_is_answered_and_nobody_serves_twice() {
    let place = Place::new("");
    let service = Service::start(&place);
    for (token, host, status) in [
        ("wrong", service.address.as_str(), 401),
        (service.token.as_str(), "evil.example:80", 403),
        (service.token.as_str(), service.address.as_str(), 200),
    ] {
        assert_eq!(service.raw("GET", "/tasks", token, host, "").0, status);
    }
    let (status, body) = service.raw(
        "POST",
        "/tasks",
        &service.token,
        &service.address,
        "{\"nope\":1}",
    );
    assert_eq!(
        (status, body.contains("\"code\":\"invalid\"")),
        (400, true),
        "{body}"
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(place.top.join(".tos/serve.json"))
            .unwrap()
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let (ok, said) = place.run(&["serve"]);
    assert!(!ok && said.contains("tos serve"), "{said}");
}

#[test]
fn a_board_can_be_exported_and_rebuilt() {
    let place = Place::new("");
    let service = Service::start(&place);
    let task = service.add(json!({ "title": "fix the greeting", "class": "fix" }));
    service.until(task, "done");
    drop(service);
    assert!(
        place
            .tos(&["board", "rebuild"])
            .contains("everything is what the events say")
    );
    let text = place.tos(&["board", "export"]);
    assert!(text.lines().count() > 10);
    fs::write(place.top.join(".tos/copy.jsonl"), &text).unwrap();
    fs::remove_file(place.top.join(".tos/board.sqlite")).unwrap();
    assert!(
        place
            .tos(&["board", "import", ".tos/copy.jsonl"])
            .contains("events taken in")
    );
    assert_eq!(place.tos(&["board", "export"]), text);
}
