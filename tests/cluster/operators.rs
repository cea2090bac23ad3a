//! What an operator sees: logs of attempts, the workers on the page and in figures, and versions that do not fit.

use std::fs;

use async_nats::jetstream;
use serde_json::{Value, json};

use crate::{
    Worker,
    nats::NatsServer,
    options, page,
    place::{Place, Service},
};

#[test]
fn the_controller_has_the_log_of_an_attempt_and_shows_who_works() {
    let server = NatsServer::start();
    let place = Place::new("");
    let script = "echo \"the agent says so\"; printf 'x\\n' > note.txt\n";
    fs::write(place.top.join("agent.sh"), script).unwrap();
    crate::repository::git(&place.top, &["commit", "-qam", "an agent that talks"]);
    let service = Service::start_with_options(&place, &options(&server));
    let _worker = Worker::start_with(&options(&server), "desk", &["--label", "gpu"], &[]);
    let task = service.add(json!({ "title": "a note" }));
    service.until(task, "done");
    let shown = page(&service, &format!("/ui/tasks/{task}"));
    assert!(shown.contains("the agent says so"), "{shown}");
    // The agent of the board says what the worker's attempt said while it went on.
    let logs = place.tos(&["proc", "logs"]);
    assert!(logs.contains("goes to the judge"), "{logs}");
    let shown = page(&service, "/ui/processes");
    assert!(shown.contains("desk") && shown.contains("gpu") && shown.contains("Orders that wait"));
    let figures = page(&service, "/metrics");
    for line in [
        "tos_workers{takes_work=\"yes\"} 1",
        "tos_worker_slots 1",
        "tos_orders_queued 0",
        "tos_orders_redelivered 0",
    ] {
        assert!(figures.lines().any(|one| one == line), "{line}: {figures}");
    }
    let mut command = place.command(&[&["workers", "--json"][..], &options(&server)].concat());
    let listed: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    assert_eq!(listed["workers"][0]["labels"], json!(["gpu"]));
    assert_eq!(listed["slots"], 1);
}

#[test]
fn a_run_on_another_machine_says_when_its_log_comes() {
    let server = NatsServer::start();
    let place = Place::new("");
    let script = "echo \"the agent says so\"; exec sleep 61413\n";
    fs::write(place.top.join("agent.sh"), script).unwrap();
    crate::repository::git(&place.top, &["commit", "-qam", "an agent that waits"]);
    let service = Service::start_with_options(&place, &options(&server));
    let worker = Worker::start_with(&options(&server), "desk", &[], &[]);
    let task = service.add(json!({ "title": "a note" }));
    service.until(task, "running");
    let run = || service.ask("GET", "/runs/1", &Value::Null);
    // The worker has it, and its agent works.
    worker.place.until_process("sleep 61413", true);
    assert_eq!(run()["logState"], "comes_at_the_end", "{}", run());
    assert_eq!(run()["run"]["status"], "running");
    let note = "what its programs print comes here when they have ended";
    let shown = page(&service, &format!("/ui/tasks/{task}"));
    assert!(shown.contains(note), "{shown}");
    let said = place.tos(&["board", "log", "1"]);
    assert!(said.contains(note), "{said}");
    place.tos(&["board", "hold"]);
    place.tos(&["board", "cancel-run", "1"]);
    Place::until_true(|| run()["logState"] == "complete");
    let ended = run();
    assert_eq!(ended["run"]["status"], "cancelled", "{ended}");
    let log = ended["log"].as_str().unwrap();
    assert!(log.contains("the agent says so"), "{ended}");
}

#[test]
fn a_worker_that_was_killed_is_listed_as_lost_and_one_that_ended_is_not() {
    let server = NatsServer::start();
    let place = Place::new("");
    let service = Service::start_with_options(&place, &options(&server));
    let more = ["--plan-slots", "3"];
    let mut killed = Worker::start_with(&options(&server), "killed", &more, &[]);
    let ended = Worker::start(&server, "ended");
    let line = |name: &str| {
        let listed = place.tos(&[&["workers"][..], &options(&server)].concat());
        let line = listed.lines().find(|line| line.starts_with(name));
        line.unwrap_or_default().to_owned()
    };
    Place::until_true(|| line("killed").contains("  there  "));
    Place::until_true(|| line("ended").contains("  there  "));
    let figures = || page(&service, "/metrics");
    Place::until_true(|| figures().contains("tos_worker_plan_slots 3"));
    drop(ended);
    killed.kill();
    Place::until_true(|| line("killed").contains("lost since "));
    // Page, figures and plans go by the same rule, while the card of the worker is there.
    let shown = page(&service, "/ui/processes");
    assert!(
        shown.contains("killed") && shown.contains(">lost<"),
        "{shown}"
    );
    let counted = figures();
    for none in ["tos_worker_slots 0", "tos_worker_plan_slots 0"] {
        assert!(
            counted.lines().any(|line| line == none),
            "{none}: {counted}"
        );
    }
    // A plan that ends without a worker.
    let plan = "tasks:\n- {id: out, shell: \"true\", cwd: \"..\"}\n";
    fs::write(place.top.join("plan.yaml"), plan).unwrap();
    let words = [&["plan", "run", "plan.yaml"][..], &options(&server)].concat();
    let (_, said) = place.run(&words);
    assert!(said.contains("no worker makes tasks of plans"), "{said}");
    assert!(line("killed").contains("lost since "));
    let told = line("ended");
    assert!(!told.contains("lost"), "{told}");
    let mut command = place.command(&[&["workers", "--json"][..], &options(&server)].concat());
    let listed: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    assert!(listed["lost"]["killed"].is_string(), "{listed}");
    assert_eq!(listed["slots"], 0, "{listed}");
}

#[tokio::test]
async fn a_worker_of_another_version_is_told_so_and_gets_no_work() {
    let server = NatsServer::start();
    let place = Place::new("");
    let service = Service::start_with_options(&place, &options(&server));
    let client = async_nats::connect(&server.url).await.unwrap();
    let stream = jetstream::new(client);
    // What a worker of an earlier version says of itself.
    let workers = stream.get_key_value("TOS_test_WORKERS").await.unwrap();
    let card = json!({ "name": "old", "version": "0.0.1", "protocol": 1, "roles": ["worker"], "slots": 1 });
    workers.put("old", card.to_string().into()).await.unwrap();
    let listed = place.tos(&[&["workers"][..], &options(&server)].concat());
    assert!(
        listed.contains("gets no work: it reads orders of form 1"),
        "{listed}"
    );
    let figures = page(&service, "/metrics");
    assert!(
        figures.contains("tos_workers{takes_work=\"no\"} 1"),
        "{figures}"
    );
    // What a controller of a later version says to its workers: ours is the older one then.
    let controls = stream.get_key_value("TOS_test_CONTROL").await.unwrap();
    controls.put("form", "99".into()).await.unwrap();
    let worker = Worker::start(&server, "ours");
    Place::until_true(|| worker.said().contains("writes orders of form 99"));
}
