//! The service is killed again and again while tasks come in and are worked on: whatever was acknowledged is there
//! afterwards, and nothing is done twice under one number.
//!
//! `TOS_KILLS=200 cargo test --test service kills` kills more often.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::{Value, json};

use crate::{
    place::{Place, Service},
    repository::git,
};

/// What a client was told, and has to find again.
#[derive(Default)]
struct Told {
    tasks: BTreeSet<u64>,
    /// Merged tasks, with their commits.
    merged: BTreeMap<u64, String>,
}

impl Told {
    /// Compares what the service has with what was told, and takes in what is new.
    fn compare(&mut self, service: &Service, round: u64) {
        let there = everything(service);
        for task in &self.tasks {
            assert!(
                there.contains_key(task),
                "round {round}: task {task} is lost"
            );
        }
        for (task, commit) in &self.merged {
            assert_eq!(
                there[task]["mergedCommit"], *commit,
                "round {round}: the result of task {task} is lost"
            );
        }
        for (task, value) in there {
            if value["status"] == "done" {
                let commit = value["mergedCommit"].as_str().unwrap().to_owned();
                self.merged.insert(task, commit);
            }
        }
    }
}

/// All tasks, page by page.
fn everything(service: &Service) -> BTreeMap<u64, Value> {
    let mut all = BTreeMap::new();
    let mut path = "/tasks?limit=200".to_owned();
    loop {
        let page = service.ask("GET", &path, &Value::Null);
        for task in page["tasks"].as_array().unwrap() {
            all.insert(task["id"].as_u64().unwrap(), task.clone());
        }
        let Some(next) = page["nextCursor"].as_str() else {
            return all;
        };
        path = format!("/tasks?limit=200&cursor={next}");
    }
}

#[test]
fn kills_lose_nothing_that_was_acknowledged() {
    let kills: u64 = std::env::var("TOS_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(5);
    // Each kill may cost a call of whatever was under way, and one task may meet many of them.
    let place = Place::new("TASK_CALL_LIMIT = -1\n");
    let mut told = Told::default();
    for round in 0..kills {
        let mut service = Service::start(&place);
        told.compare(&service, round);
        // The kill falls after a few answers, in the middle of whatever the service does then.
        for number in 0..=round % 3 {
            let key = format!("{round}-{number}");
            let task = service.add(json!({ "title": "a note", "key": key }));
            told.tasks.insert(task);
            // The same again, as a client does that got no answer.
            let again = service.add(json!({ "title": "a note", "key": key }));
            assert_eq!(again, task);
        }
        service.allow_some(5);
        // Now and then the work gets as far as the branch before the next kill.
        if round % 4 == 3 {
            let open = told
                .tasks
                .iter()
                .find(|task| !told.merged.contains_key(task));
            let _done = service.until(*open.unwrap(), "done");
            told.compare(&service, round);
        }
        service.kill();
    }
    let service = Service::start(&place);
    let first = *told.tasks.first().unwrap();
    let _done = service.until(first, "done");
    told.compare(&service, kills);
    drop(service);
    println!(
        "{kills} kills, {} tasks acknowledged, {} merged",
        told.tasks.len(),
        told.merged.len()
    );
    check_events(&place, &told);
    place.folds_to_what_is_there();
}

/// One number is for one piece of work; a task is merged once, and its commit is on the branch.
fn check_events(place: &Place, told: &Told) {
    let events = place.tos(&["board", "export"]);
    let (mut fences, mut done) = (BTreeSet::new(), BTreeMap::new());
    let mut finished = BTreeSet::new();
    for line in events.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let what = &event["what"];
        match what["type"].as_str().unwrap() {
            "run.started" | "judge.started" | "judge.merge_queue_claimed" => {
                let fence = what["fence"].as_u64().unwrap();
                assert!(fences.insert(fence), "number {fence} was given twice");
            }
            "run.finished" => {
                let run = what["run"].as_u64().unwrap();
                assert!(finished.insert(run), "run {run} ended twice");
            }
            "task.done" => {
                let commit = what["commit"].as_str().unwrap().to_owned();
                let task = what["task"].as_u64().unwrap();
                let old = done.insert(task, commit);
                assert_eq!(old, None, "task {task} was merged twice");
            }
            _ => {}
        }
    }
    let on_branch = git(&place.top, &["rev-list", "main"]);
    let on_branch: BTreeSet<&str> = on_branch.lines().collect();
    for (task, commit) in &told.merged {
        assert_eq!(done.get(task), Some(commit));
        assert!(on_branch.contains(commit.as_str()), "task {task}: {commit}");
    }
}

#[test]
fn a_service_that_was_stopped_and_goes_on_works_on() {
    let place = Place::new("");
    let service = Service::start(&place);
    let task = service.add(json!({ "title": "fix the greeting", "class": "fix" }));
    service.allow_some(5);
    for _ in 0..5 {
        service.signal("STOP");
        // Whoever asks meanwhile waits in the queue of the socket.
        let asked = service.begin("GET", "/health");
        service.signal("CONT");
        assert!(Service::end(asked).starts_with("HTTP/1.1 200"));
    }
    let done = service.until(task, "done");
    assert_eq!(done["run"], 1, "it was worked on once: {done}");
    assert_eq!(done["spent"]["calls"], 1, "{done}");
}

#[test]
fn a_file_that_may_not_grow_is_told_and_loses_nothing() {
    let place = Place::new("");
    // A limit of the size of files stands for a disk that gets full: a write fails in the middle.
    let mut service = Service::start_limited(&place, 4096);
    let mut acknowledged = Vec::new();
    let mut refused = None;
    for number in 0..400 {
        let body = json!({ "title": format!("task {number}"), "goal": "x".repeat(20_000) });
        let (status, text) = service.raw(
            "POST",
            "/tasks",
            &service.token,
            &service.address,
            &body.to_string(),
        );
        if status == 201 {
            let value: Value = serde_json::from_str(&text).unwrap();
            acknowledged.push(value["task"]["id"].as_u64().unwrap());
        } else {
            refused = Some((status, text));
            break;
        }
    }
    let (status, text) = refused.unwrap();
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("nothing was changed"), "{text}");
    // It reads on, and says what is wrong to whoever writes again.
    let first = acknowledged[0];
    let _task = service.ask("GET", &format!("/tasks/{first}"), &Value::Null);
    service.kill();
    let service = Service::start(&place);
    let there = everything(&service);
    assert!(acknowledged.iter().all(|task| there.contains_key(task)));
    assert_eq!(there.len(), acknowledged.len());
    let _more = service.add(json!({ "title": "there is room again" }));
}

#[test]
fn a_service_without_its_database_is_not_ready_and_acknowledges_nothing() {
    let place = Place::new("");
    let service = Service::start(&place);
    let ready = || service.raw("GET", "/health/ready", &service.token, &service.address, "");
    assert_eq!(ready().0, 200);
    let _down = service.ask("POST", "/system/processes/db-down/start", &json!({}));
    Place::until_true(|| ready().0 == 503);
    assert!(ready().1.contains("tos proc start db-up"), "{}", ready().1);
    let _up = service.ask("POST", "/system/processes/db-up/start", &json!({}));
    Place::until_true(|| ready().0 == 200);
    let (board, aside) = (
        place.top.join(".tos/board.sqlite"),
        place.top.join(".tos/aside"),
    );
    fs::rename(&board, &aside).unwrap();
    let (status, text) = ready();
    assert!(status == 503 && text.contains("it was removed"), "{text}");
    let add = || {
        let body = json!({ "title": "is it kept?" }).to_string();
        service.raw("POST", "/tasks", &service.token, &service.address, &body)
    };
    let (status, text) = add();
    assert!(
        status == 503 && text.contains("nothing was changed"),
        "{text}"
    );
    fs::rename(&aside, &board).unwrap();
    assert_eq!((ready().0, add().0), (200, 201));
}

#[test]
fn a_folder_that_cannot_be_written_is_told_at_the_start() {
    let place = Place::new("");
    drop(Service::start(&place));
    let board = place.top.join(".tos/board.sqlite");
    let bytes = fs::read(&board).unwrap();
    // Rights do not stop root; a folder in the place of the file stops everybody.
    fs::remove_file(&board).unwrap();
    fs::create_dir(&board).unwrap();
    let (ok, said) = place.run(&["serve"]);
    assert!(!ok && said.contains("board.sqlite"), "{said}");
    fs::remove_dir(&board).unwrap();
    fs::write(&board, bytes).unwrap();
    drop(Service::start(&place));
}
