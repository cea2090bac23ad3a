//! More than one machine: controllers and workers as processes of their own, with folders of their own, over a real NATS
//! server.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    clippy::disallowed_types,
    reason = "tests look at the real disk, and wait for another program"
)]

mod access;
mod cards;
mod handing_out;
mod lost_server;
mod nats;
mod operators;
mod plans;
mod storm;
mod workers;

#[path = "../support/chance.rs"]
mod chance;
#[path = "../service/place.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod place;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/repository.rs"]
mod repository;

use std::{
    collections::BTreeSet,
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use nats::NatsServer;
use place::{Place, Service};
use repository::git;
use serde_json::{Value, json};

struct Worker {
    child: Child,
    place: Place,
}

impl Worker {
    fn start(server: &NatsServer, name: &str) -> Self {
        Self::start_with(&options(server), name, &[], &[])
    }

    /// Starts one with these words for the cluster, further words, and variables.
    fn start_with(cluster: &[&str], name: &str, more: &[&str], variables: &[(&str, &str)]) -> Self {
        let place = Place::empty();
        let log = fs::File::create(place.top.join("worker.log")).unwrap();
        let words = [&["worker", "--name", name], cluster, more].concat();
        let mut command = place.command(&words);
        command.envs(variables.iter().copied());
        command
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null());
        let child = command.spawn().unwrap();
        Self { child, place }
    }

    /// Returns what it said so far.
    fn said(&self) -> String {
        fs::read_to_string(self.place.top.join("worker.log")).unwrap()
    }

    /// Waits until it has ended by itself.
    fn ended(&mut self) {
        for _ in 0..3000 {
            if self.child.try_wait().unwrap().is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the worker did not end: {}", self.said());
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        signal(&self.child, "-TERM");
        for _ in 0..1000 {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(self.child.kill());
    }
}

/// Returns a page or a text of the service.
fn page(service: &Service, path: &str) -> String {
    let (status, text) = service.raw("GET", path, &service.token, &service.address, "");
    assert_eq!(status, 200, "{path}: {text}");
    text
}

fn signal(child: &Child, signal: &str) {
    let told = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(told.unwrap().success());
}

fn options(server: &NatsServer) -> Vec<&str> {
    vec![
        "--nats",
        &server.url,
        "--nats-board",
        "test",
        "--nats-lease",
        "3",
    ]
}

#[test]
fn a_worker_elsewhere_makes_the_attempt_and_the_controller_merges_it() {
    let server = NatsServer::start();
    let place = Place::new("");
    let service = Service::start_with_options(&place, &options(&server));
    let worker = Worker::start(&server, "desk");
    let first =
        service.add(json!({ "title": "fix the greeting", "class": "fix", "paths": ["greet.sh"] }));
    let second =
        service.add(json!({ "title": "write a farewell", "dependencies": [{ "task": first }] }));
    let done = service.until(first, "done");
    assert_eq!(done["judgements"][0]["verdict"], "approve");
    service.until(second, "done");
    assert!(
        fs::read_to_string(place.top.join("greet.sh"))
            .unwrap()
            .contains("Hello")
    );
    // The worker made it in a folder that never saw the controller's.
    let logs = place.tos(&["proc", "logs"]);
    assert!(logs.contains("done by the worker desk"), "{logs}");
    // Another worker goes on from what the first one made, and the controller's ledger holds what both had to say.
    let other = Worker::start(&server, "other");
    drop(worker);
    let third = service.add(json!({ "title": "a note" }));
    service.until(third, "done");
    let logs = place.tos(&["proc", "logs"]);
    assert!(logs.contains("done by the worker other"), "{logs}");
    let verified = place.tos(&["ledger", "verify"]);
    assert!(!verified.contains("BROKEN"), "{verified}");
    let records = fs::read_to_string(place.top.join(".tos/ledger/ledger.jsonl")).unwrap();
    assert!(
        records.contains("task-1") && records.contains("task-3"),
        "{records}"
    );
    let mut words = vec!["workers"];
    words.extend(options(&server));
    let listed = place.tos(&words);
    assert!(listed.contains("other  worker,tester,docser"), "{listed}");
    assert!(git(&other.place.top, &["for-each-ref", "refs/tos/attempts"]).contains("task-3"));
}

#[test]
fn what_a_killed_worker_had_is_done_by_another_under_a_new_number() {
    let server = NatsServer::start();
    let place = Place::new("FAILED_TASK_RETRY_COOLDOWN_MS = 10\n");
    fs::write(place.top.join("agent.sh"), "sleep 61411\n").unwrap();
    git(&place.top, &["commit", "-qam", "an agent that is slow"]);
    let service = Service::start_with_options(&place, &options(&server));
    let mut lost = Worker::start(&server, "lost");
    let task = service.add(json!({ "title": "be slow" }));
    service.until(task, "running");
    place.until_process("sleep 61411", true);
    lost.kill();
    // What it started would go on on a machine that lives; here it is in the way.
    drop(Command::new("pkill").args(["-f", "^sleep 61411"]).status());
    let _other = Worker::start(&server, "other");
    let mut runs = Value::Null;
    for _ in 0..1500 {
        runs = service.ask("GET", &format!("/tasks/{task}"), &Value::Null)["runs"].take();
        if runs.as_array().unwrap().len() > 1 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let runs = runs.as_array().unwrap();
    let fences: BTreeSet<u64> = runs
        .iter()
        .filter_map(|run| run["fence"].as_u64())
        .collect();
    assert_eq!((runs.len(), fences.len()), (2, 2), "{runs:?}");
    assert!(json!(runs).to_string().contains("is gone"), "{runs:?}");
    place.tos(&["proc", "stop-all"]);
    place.until_process("sleep 61411", false);
}

#[test]
fn a_controller_that_is_gone_is_followed_by_another_with_everything() {
    let server = NatsServer::start();
    let place = Place::new("");
    let mut first = Service::start_with_options(&place, &options(&server));
    let _worker = Worker::start(&server, "desk");
    let task = first.add(json!({ "title": "fix the greeting", "class": "fix" }));
    first.until(task, "done");
    let waits = first.add(json!({ "title": "write a farewell" }));
    let other = place.cloned_at_the_start();
    let starting = std::thread::scope(|scope| {
        let standby = scope.spawn(|| Service::start_with_options(&other, &options(&server)));
        other.until_log("leads this board");
        first.kill();
        standby.join().unwrap()
    });
    starting.until(waits, "done");
    // The other machine's branch holds what the first one merged.
    assert!(git(&other.top, &["log", "--format=%s", "main"]).contains("fix the greeting"));
    assert_eq!(
        starting.ask("GET", &format!("/tasks/{task}"), &Value::Null)["task"]["status"],
        "done"
    );
}

#[test]
fn an_attempt_goes_on_although_its_controller_is_gone() {
    let server = NatsServer::start();
    let place = Place::new("");
    let agent = "case \"$1\" in *slow*) sleep 61418 || true ;; esac\nprintf 'x\\n' > \"notes-$TOS_TASK.txt\"\n";
    fs::write(place.top.join("agent.sh"), agent).unwrap();
    git(&place.top, &["commit", "-qam", "an agent that is slow"]);
    let mut first = Service::start_with_options(&place, &options(&server));
    let _worker = Worker::start(&server, "desk");
    let quick = first.add(json!({ "title": "a note" }));
    first.until(quick, "done");
    let task = first.add(json!({ "title": "be slow" }));
    first.until(task, "running");
    place.until_process("sleep 61418", true);
    let other = place.cloned_at_the_start();
    let second = std::thread::scope(|scope| {
        let standby = scope.spawn(|| Service::start_with_options(&other, &options(&server)));
        other.until_log("leads this board");
        first.kill();
        standby.join().unwrap()
    });
    let asked = |path: &str| second.ask("GET", path, &Value::Null);
    assert_eq!(
        asked(&format!("/tasks/{task}"))["task"]["status"],
        "running"
    );
    // What it waited for comes about, and the attempt ends as it would have.
    drop(Command::new("pkill").args(["-f", "^sleep 61418"]).status());
    second.until(task, "done");
    let runs = asked(&format!("/tasks/{task}"))["runs"].take();
    assert_eq!(runs.as_array().unwrap().len(), 1, "{runs}");
}

#[test]
fn a_controller_that_slept_too_long_writes_nothing_any_more() {
    let server = NatsServer::start();
    let place = Place::new("");
    let mut first = Service::start_with_options(&place, &options(&server));
    let task = first.add(json!({ "title": "write a farewell" }));
    first.signal("STOP");
    let other = place.cloned_at_the_start();
    let second = Service::start_with_options(&other, &options(&server));
    second.ask("GET", &format!("/tasks/{task}"), &Value::Null);
    first.signal("CONT");
    let said = first.ended();
    assert!(said.contains("another controller"), "{said}");
    second.add(json!({ "title": "another" }));
}

#[test]
fn a_controller_whose_servers_are_gone_says_that_and_not_that_another_leads() {
    let server = NatsServer::start();
    let place = Place::new("");
    let mut first = Service::start_with_options(&place, &options(&server));
    drop(server);
    let said = first.ended();
    assert!(said.contains("servers do not answer"), "{said}");
    assert!(!said.contains("another controller"), "{said}");
}

#[test]
fn a_database_that_lost_its_newest_batches_gets_them_from_the_log() {
    let server = NatsServer::start();
    let place = Place::new("");
    let first = Service::start_with_options(&place, &options(&server));
    first.add(json!({ "title": "known to both" }));
    drop(first);
    let folder = place.top.join(".tos");
    let early = fs::read(folder.join("board.sqlite")).unwrap();
    let second = Service::start_with_options(&place, &options(&server));
    let task = second.add(json!({ "title": "known to the log" }));
    drop(second);
    // What a lost power line leaves where the disk was not waited for: an older state of the database, whole.
    for more in ["board.sqlite-wal", "board.sqlite-shm"] {
        drop(fs::remove_file(folder.join(more)));
    }
    fs::write(folder.join("board.sqlite"), early).unwrap();
    let third = Service::start_with_options(&place, &options(&server));
    let found = third.ask("GET", &format!("/tasks/{task}"), &Value::Null);
    assert_eq!(found["task"]["title"], "known to the log");
    drop(third);
    let rebuilt = place.tos(&["board", "rebuild"]);
    assert!(rebuilt.contains("everything is what"), "{rebuilt}");
}

#[test]
fn a_board_on_nats_works_alone_only_when_that_is_meant_and_its_events_are_taken_in_later() {
    let server = NatsServer::start();
    let place = Place::new("");
    let first = Service::start_with_options(&place, &options(&server));
    first.add(json!({ "title": "known to both" }));
    drop(first);
    let (ok, said) = place.run(&["serve"]);
    assert!(
        !ok && said.contains("is kept on NATS; `tos serve --nats nats://127.0.0.1"),
        "{said}"
    );
    fs::remove_file(place.top.join(".tos/board.nats")).unwrap();
    // The same folder works alone for a while: these events are in its database only.
    let alone = Service::start(&place);
    let task = alone.add(json!({ "title": "made alone" }));
    drop(alone);
    let joined = Service::start_with_options(&place, &options(&server));
    let found = joined.ask("GET", &format!("/tasks/{task}"), &Value::Null);
    assert_eq!(found["task"]["title"], "made alone");
    drop(joined);
    // Also somebody who has nothing but the log knows it.
    fs::remove_file(place.top.join(".tos/board.sqlite")).unwrap();
    let anew = Service::start_with_options(&place, &options(&server));
    let found = anew.ask("GET", &format!("/tasks/{task}"), &Value::Null);
    assert_eq!(found["task"]["title"], "made alone");
}

#[test]
fn a_board_that_has_other_events_than_the_log_is_not_of_that_log() {
    let server = NatsServer::start();
    let (theirs, place) = (Place::new(""), Place::new(""));
    let first = Service::start_with_options(&theirs, &options(&server));
    first.add(json!({ "title": "theirs" }));
    drop(first);
    let alone = Service::start(&place);
    alone.add(json!({ "title": "made alone" }));
    drop(alone);
    let mut words = vec!["serve"];
    words.extend(options(&server));
    let mut command = Command::new("timeout");
    let served = place.command(&words);
    command.arg("60").arg(served.get_program()).args(&words);
    command.current_dir(&place.top).env_clear();
    command.envs(
        served
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("they are not of one board"), "{said}");
}

#[test]
fn a_server_that_keeps_nothing_is_asked_again_and_then_told_of() {
    let server = NatsServer::start_with("nats", |_| nats::WITHOUT_STORE.to_owned());
    let place = Place::new("");
    let (ok, said) = place.run(&[&["workers"][..], &options(&server)].concat());
    assert!(!ok && said.contains("JetStream has to be on"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn without_a_server_one_is_told_what_to_do() {
    let place = Place::new("");
    let (ok, said) = place.run(&["serve", "--nats", "nats://127.0.0.1:1"]);
    assert!(!ok && said.contains("nats-server -js"), "{said}");
    let (ok, said) = place.run(&["worker"]);
    assert!(!ok && said.contains("--nats URL"), "{said}");
    let (ok, said) = place.run(&["worker", "--nats", "nats://127.0.0.1:1", "--roles", "cook"]);
    assert!(!ok && said.contains("worker, tester, docser"), "{said}");
}
