//! A server of three is gone for good, in the middle: what is done meanwhile comes in all the same, at the first try. And a log
//! that takes nothing any more.

use async_nats::jetstream;
use serde_json::{Value, json};

use crate::{
    Worker,
    nats::NatsServer,
    options,
    place::{Place, Service},
    storm::Servers,
};

#[tokio::test]
async fn what_is_done_while_a_server_is_gone_comes_in_at_the_first_try() {
    let mut servers = Servers::start();
    servers.until_ready().await;
    let url = servers.url();
    let cluster = ["--nats", &url, "--nats-board", "lost", "--nats-lease", "60"];
    let place = Place::new("");
    let service = Service::start_with_options(&place, &cluster);
    let _workers = ["one", "two"].map(|name| Worker::start_with(&cluster, name, &[], &[]));
    let first = service.add(json!({ "title": "note before" }));
    service.until(first, "done");
    servers.lose(2);
    for number in 0..4 {
        let task = service.add(json!({ "title": format!("note {number}") }));
        service.until(task, "done");
        let runs = service.ask("GET", &format!("/tasks/{task}"), &Value::Null)["runs"].take();
        assert_eq!(runs.as_array().unwrap().len(), 1, "{runs}");
    }
}

#[tokio::test]
async fn a_controller_that_cannot_write_ends_with_the_reason_and_another_leads() {
    let server = NatsServer::start();
    let place = Place::new("");
    let mut first = Service::start_with_options(&place, &options(&server));
    let task = first.add(json!({ "title": "a note" }));
    let stream = jetstream::new(async_nats::connect(&server.url).await.unwrap());
    let log = stream.get_stream("TOS_test_LOG").await.unwrap();
    let mut config = log.cached_info().config.clone();
    let usual = config.max_messages;
    // A little more than it holds: with less, the server would throw the oldest away where one came in meanwhile.
    let held = log.get_info().await.unwrap().state.messages;
    config.max_messages = i64::try_from(held).unwrap() + 20;
    stream.update_stream(&config).await.unwrap();
    // The controller may have ended before it answers.
    let takes_it = |number: u32| {
        place
            .run(&["board", "add", &format!("one more: {number}")])
            .0
    };
    assert!(!(0..100).all(takes_it), "it takes everything");
    let said = first.ended();
    assert!(said.contains("start `tos serve` again"), "{said}");
    config.max_messages = usual;
    stream.update_stream(&config).await.unwrap();
    let other = place.cloned_at_the_start();
    let second = Service::start_with_options(&other, &options(&server));
    let found = second.ask("GET", &format!("/tasks/{task}"), &Value::Null);
    assert_eq!(found["task"]["title"], "a note");
}
