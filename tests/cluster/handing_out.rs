//! Very many orders at a time: each lies in the queue once, also where the server goes away in the middle and takes answers along. And orders that it
//! had taken in and lost.

use std::{collections::BTreeMap, process::Stdio, sync::Arc, time::Duration};

use async_nats::jetstream;
use tos::{
    adapters::nats::{NatsMember, NatsOptions},
    domain::{
        board::{Board, Fence, Input, RunId, TaskSpec},
        cluster::{PROTOCOL_VERSION, WorkOrder},
        ledger::SessionStart,
        redaction::Redactor,
    },
    ports::{
        BoxFuture,
        cluster::{ClusterMember as _, RunDispatcher, StopFeed},
    },
};

use crate::{
    Worker,
    nats::NatsServer,
    options,
    place::{Place, Service},
    repository::git,
};

/// More than the client lets be under way at a time, so that the server goes away in the middle.
const ORDERS: u64 = 6_000;

/// Nobody ever says that something has to end.
struct Never;

impl StopFeed for Never {
    fn next(&mut self) -> BoxFuture<'_, Option<u8>> {
        Box::pin(std::future::pending())
    }
}

fn order(base: &str) -> WorkOrder {
    let mut board = Board::default();
    let spec = TaskSpec {
        title: "write a farewell".to_owned(),
        ..TaskSpec::default()
    };
    let spec = Box::new(spec);
    let made = board.handle(&Input::CreateTask { spec }, 1).unwrap();
    made.events.iter().for_each(|event| board.apply(event));
    let list = serde_json::json!({ "schema": 1, "id": "board", "agent": { "kind": "claude" }, "task": [] });
    WorkOrder {
        protocol: PROTOCOL_VERSION,
        instance: "test".to_owned(),
        run: RunId(0),
        fence: Fence(0),
        agent: "worker-1".to_owned(),
        task: board.tasks().next().unwrap().clone(),
        base: base.to_owned(),
        inside: None,
        list: serde_json::from_value(list).unwrap(),
        agents: BTreeMap::new(),
        test_command: Vec::new(),
        start: SessionStart::default(),
    }
}

/// Returns how many messages lie in the queue, once there are so many.
async fn queued(queue: &jetstream::Context, least: u64) -> u64 {
    let mut last = 0;
    for _ in 0..6_000 {
        // While the server is away there is no answer.
        if let Ok(mut stream) = queue.get_stream("TOS_test_WORK").await
            && let Ok(info) = stream.info().await
        {
            last = info.state.messages;
            if last >= least {
                return last;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{last} of {least} orders are in the queue");
}

#[test]
fn orders_whose_answers_were_lost_are_in_the_queue_once() {
    let mut server = NatsServer::start();
    let place = Place::new("");
    let base = git(&place.top, &["rev-parse", "HEAD"]);
    let order = order(base.trim());
    let login = NatsOptions {
        url: server.url.clone(),
        name: "controller".to_owned(),
        lease: Duration::from_secs(30),
        ..NatsOptions::default()
    };
    let database = place.top.join(".tos/board.sqlite");
    let member = NatsMember::connect(&login, "test", &place.top, &database, Redactor::new([]));
    let member = member.unwrap();
    let runs: Arc<dyn RunDispatcher> = member.runs().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    let url = server.url.clone();
    runtime.block_on(async {
        let mut queue = jetstream::new(async_nats::connect(&url).await.unwrap());
        // What is asked while the server is away is never answered.
        queue.set_timeout(Duration::from_millis(500));
        let waiting: Vec<_> = (1..=ORDERS)
            .map(|fence| {
                let order = WorkOrder {
                    run: RunId(fence),
                    fence: Fence(fence),
                    ..order.clone()
                };
                tokio::spawn(runs.run(order, Box::new(Never), Box::new(|_| ())))
            })
            .collect();
        let before = queued(&queue, 100).await;
        assert!(before < ORDERS, "all of them are there already");
        server.restart();
        assert_eq!(queued(&queue, ORDERS).await, ORDERS);
        // Nobody was told that an order of its own is lost.
        assert!(waiting.iter().all(|one| !one.is_finished()));
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
    });
}

/// Takes everything out of the queue, as servers do that are killed and cannot read what they kept.
async fn lose_orders(server: &NatsServer) {
    let queue = jetstream::new(async_nats::connect(&server.url).await.unwrap());
    queued(&queue, 1).await;
    let stream = queue.get_stream("TOS_test_WORK").await.unwrap();
    stream.purge().await.unwrap();
}

#[tokio::test]
async fn an_order_that_the_server_lost_is_given_out_under_a_new_number() {
    let server = NatsServer::start();
    let place = Place::new("FAILED_TASK_RETRY_COOLDOWN_MS = 10\n");
    let service = Service::start_with_options(&place, &options(&server));
    let task = service.add(serde_json::json!({ "title": "a note" }));
    service.until(task, "running");
    lose_orders(&server).await;
    let _worker = Worker::start(&server, "desk");
    service.until(task, "done");
    let path = format!("/tasks/{task}");
    let runs = service.ask("GET", &path, &serde_json::Value::Null)["runs"].take();
    assert_eq!(runs.as_array().unwrap().len(), 2, "{runs}");
    let logs = place.tos(&["proc", "logs"]);
    assert!(logs.contains("servers lost the order"), "{logs}");
}

#[tokio::test]
async fn a_task_of_a_plan_whose_order_the_server_lost_is_handed_out_again_and_costs_no_retry() {
    let server = NatsServer::start();
    let place = Place::new("");
    let plan = "tasks:\n- {id: a, shell: \"true\"}\n";
    std::fs::write(place.top.join("plan.yaml"), plan).unwrap();
    let words = [&["plan", "run", "plan.yaml"][..], &options(&server)].concat();
    let mut runner = place.command(&words);
    let runner = runner.stdout(Stdio::null()).stderr(Stdio::null());
    let mut runner = runner.spawn().unwrap();
    lose_orders(&server).await;
    let more = ["--roles", "none", "--plan-slots", "1"];
    let _worker = Worker::start_with(&options(&server), "desk", &more, &[]);
    assert!(runner.wait().unwrap().success());
    let logs = place.tos(&["plan", "status", "latest", "--all"]);
    assert!(logs.contains("SUCCESS"), "{logs}");
}
