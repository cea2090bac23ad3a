//! Workers told from afar: to take nothing new, that they are of another version, and what they have.

use std::fs;

use serde_json::{Value, json};

use crate::{
    Worker,
    nats::NatsServer,
    options,
    place::{Place, Service},
    repository::git,
    signal,
};

fn tos(place: &Place, server: &NatsServer, words: &[&str]) -> String {
    place.tos(&[words, &options(server)].concat())
}

#[test]
fn a_drained_worker_takes_nothing_until_it_may_again() {
    let server = NatsServer::start();
    let place = Place::new("");
    let service = Service::start_with_options(&place, &options(&server));
    let worker = Worker::start(&server, "desk");
    Place::until_true(|| tos(&place, &server, &["workers"]).contains("desk  worker"));
    let told = tos(&place, &server, &["worker", "drain", "desk"]);
    assert!(told.contains("takes nothing new"), "{told}");
    Place::until_true(|| worker.said().contains("nothing new is taken"));
    let listed = tos(&place, &server, &["workers"]);
    assert!(
        listed.contains("gets no work: it takes nothing new"),
        "{listed}"
    );
    let task = service.add(json!({ "title": "write a farewell" }));
    service.until(task, "running");
    // Another one that may work does it.
    let other = Worker::start(&server, "other");
    service.until(task, "done");
    assert!(
        place
            .tos(&["proc", "logs"])
            .contains("done by the worker other")
    );
    drop(other);
    tos(&place, &server, &["worker", "drain", "--all"]);
    let words = [&["worker", "undrain", "desk"][..], &options(&server)].concat();
    let (ok, said) = place.run(&words);
    assert!(!ok && said.contains("undrain --all"), "{said}");
    tos(&place, &server, &["worker", "undrain", "--all"]);
    let task = service.add(json!({ "title": "a note" }));
    service.until(task, "done");
    assert!(
        place
            .tos(&["proc", "logs"])
            .contains("done by the worker desk")
    );
    let wrong = [&["worker", "drain", "a b"][..], &options(&server)].concat();
    assert!(!place.run(&wrong).0);
}

#[test]
fn a_worker_that_is_asked_to_stop_ends_what_it_has_and_no_longer_than_it_may() {
    let server = NatsServer::start();
    let place = Place::new("FAILED_TASK_RETRY_COOLDOWN_MS = 600000\n");
    fs::write(place.top.join("agent.sh"), "sleep 61412\n").unwrap();
    git(&place.top, &["commit", "-qam", "an agent that is slow"]);
    let service = Service::start_with_options(&place, &options(&server));
    let mut worker = Worker::start_with(&options(&server), "desk", &["--drain", "1"], &[]);
    let task = service.add(json!({ "title": "be slow" }));
    service.until(task, "running");
    place.until_process("sleep 61412", true);
    signal(&worker.child, "-TERM");
    // The attempt would go on for hours; the deadline ends it.
    worker.ended();
    place.until_process("sleep 61412", false);
    assert!(worker.said().contains("stopped"), "{}", worker.said());
    place.tos(&["proc", "stop-all"]);
}

#[test]
fn a_task_goes_to_a_worker_that_has_what_it_requires() {
    let server = NatsServer::start();
    let place = Place::new("");
    let service = Service::start_with_options(&place, &options(&server));
    let _plain = Worker::start(&server, "plain");
    let task = service.add(json!({ "title": "write a farewell", "requires": ["gpu"] }));
    service.until_why(task, "no worker has label gpu");
    let said = place.tos(&["why", &task.to_string()]);
    assert!(said.contains("no worker has label gpu"), "{said}");
    let labels = ["--label", "os=linux", "--label", "gpu"];
    let _special = Worker::start_with(&options(&server), "special", &labels, &[]);
    service.until(task, "done");
    assert!(
        place
            .tos(&["proc", "logs"])
            .contains("done by the worker special")
    );
    let (ok, said) = place.run(&["board", "add", "x", "--requires", "a b"]);
    assert!(!ok && said.contains("is no label"), "{said}");
}

#[test]
fn two_boards_on_one_server_get_their_turns() {
    let server = NatsServer::start();
    let (first, second) = (Place::new(""), Place::new(""));
    let board = |name: &'static str| {
        let words = options(&server).into_iter();
        words
            .map(|word| if word == "test" { name } else { word })
            .collect::<Vec<&str>>()
    };
    let one = Service::start_with_options(&first, &board("one"));
    let two = Service::start_with_options(&second, &board("two"));
    let tasks: Vec<u64> = (0..4)
        .map(|n| one.add(json!({ "title": format!("note {n}") })))
        .collect();
    let other = two.add(json!({ "title": "a note" }));
    let status = |task: &u64| {
        let path = format!("/tasks/{task}");
        one.ask("GET", &path, &Value::Null)["task"]["status"].clone()
    };
    let count = |wanted: &str| tasks.iter().filter(|task| status(task) == wanted).count();
    // Both boards have handed out as much as they do at a time before the worker comes.
    two.until(other, "running");
    Place::until_true(|| {
        one.allow_some(100);
        count("running") == 2
    });
    let _worker = Worker::start_with(&board("one,two"), "both", &[], &[]);
    two.until(other, "done");
    // Two lay there before it, and it did not wait for all that came.
    assert!(count("done") < 3);
    for task in tasks {
        one.until(task, "done");
    }
}
