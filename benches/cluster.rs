//! What a hand-over to another machine costs, beside the bare server, in one run:
//!
//! `cargo bench --bench cluster` (a minute or two; `TOS_BENCH_ORDERS` changes how many orders lie in the queue at most.)
//!
//! A real nats-server on loopback, its store on the real disk. «bare» publishes messages of the size of an order and waits for each
//! answer, 256 at a time, in one part before and one part after each of ours; «handed over» is the way of a controller, from the order to its place in the queue; «done» is the whole
//! way: handed over, claimed by a worker in this process, reported, taken in. «taken over» is how long it takes until a second controller serves
//! after the leading one was killed, in lifetimes of the leader's key.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench looks at the real disk, prints, and may fail loudly"
)]

use std::{
    collections::BTreeMap,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use tos::{
    adapters::nats::{NatsMember, NatsOptions},
    domain::{
        board::{AgentRole, Board, Fence, Input, RunId, RunOutcome, Spend, Task, TaskSpec},
        cluster::{PROTOCOL_VERSION, WorkOrder, WorkResult, WorkerInfo},
        ledger::SessionStart,
        redaction::Redactor,
    },
    ports::{
        BoxFuture,
        cluster::{ClusterMember as _, StopFeed},
    },
};

/// How many answers are waited for at a time.
const WINDOW: usize = 256;
/// How many orders go the whole way.
const WHOLE: u64 = 2_000;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Nobody ever says that something has to end.
struct Never;

impl StopFeed for Never {
    fn next(&mut self) -> BoxFuture<'_, Option<u8>> {
        Box::pin(std::future::pending())
    }
}

fn git(folder: &Path, words: &[&str]) -> String {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .args(["-c", "user.name=b", "-c", "user.email=b@localhost"]);
    let output = command.args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn server(folder: &Path) -> (Server, String) {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut command = Command::new("nats-server");
    command
        .args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
        .arg(folder);
    let child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::sleep(Duration::from_millis(10));
    }
    (Server(child), format!("nats://127.0.0.1:{port}"))
}

fn task() -> Task {
    let mut board = Board::default();
    let spec = TaskSpec {
        title: "write a farewell".to_owned(),
        goal: "The program says goodbye when it is told to. ".repeat(20),
        paths: vec!["src/**".to_owned()],
        ..TaskSpec::default()
    };
    let made = board
        .handle(
            &Input::CreateTask {
                spec: Box::new(spec),
            },
            1,
        )
        .unwrap();
    made.events.iter().for_each(|event| board.apply(event));
    board.tasks().next().unwrap().clone()
}

fn order(task: &Task, base: &str, fence: u64) -> WorkOrder {
    let list = serde_json::json!({ "schema": 1, "id": "board", "agent": { "kind": "claude" }, "task": [] });
    WorkOrder {
        protocol: PROTOCOL_VERSION,
        instance: "bench".to_owned(),
        run: RunId(fence),
        fence: Fence(fence),
        agent: "worker-1".to_owned(),
        task: task.clone(),
        base: base.to_owned(),
        inside: None,
        list: serde_json::from_value(list).unwrap(),
        agents: BTreeMap::new(),
        test_command: vec!["true".to_owned()],
        start: SessionStart::default(),
    }
}

/// Publishes so many messages and waits for each answer; returns how many a second.
async fn bare(url: &str, body: Vec<u8>, count: u64) -> f64 {
    let client = async_nats::connect(url).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let config = async_nats::jetstream::stream::Config {
        name: "BARE".to_owned(),
        subjects: vec!["bare.*".to_owned()],
        ..Default::default()
    };
    drop(context.delete_stream("BARE").await);
    context.create_stream(config).await.unwrap();
    let began = Instant::now();
    let sent = stream::iter(0..count).map(|number| {
        let (context, body) = (context.clone(), body.clone());
        async move {
            let mut headers = async_nats::HeaderMap::new();
            headers.insert("Nats-Msg-Id", number.to_string().as_str());
            let subject = format!("bare.{number}");
            let sent = context
                .publish_with_headers(subject, headers, body.into())
                .await;
            sent.unwrap().await.unwrap();
        }
    });
    sent.buffer_unordered(WINDOW).count().await;
    count as f64 / began.elapsed().as_secs_f64()
}

/// A board of its own with a controller and a worker's side, in a repository with one commit.
struct Pair {
    member: NatsMember,
    base: String,
    _folder: tempfile::TempDir,
}

impl Pair {
    fn new(url: &str, board: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &["init", "-q"]);
        git(
            folder.path(),
            &["commit", "-q", "--allow-empty", "-m", "start"],
        );
        let login = NatsOptions {
            url: url.to_owned(),
            name: "bench".to_owned(),
            lease: Duration::from_secs(3600),
            ..NatsOptions::default()
        };
        let database = folder.path().join("board.sqlite");
        let member =
            NatsMember::connect(&login, board, folder.path(), &database, Redactor::new([]));
        Self {
            member: member.unwrap(),
            base: git(folder.path(), &["rev-parse", "HEAD"]),
            _folder: folder,
        }
    }
}

/// Hands out so many orders that nobody takes; returns how many a second were in the queue.
async fn handed_over(url: &str, count: u64) -> f64 {
    let (url, board) = (url.to_owned(), format!("q{count}"));
    let bench_url = url.clone();
    let pair = tokio::task::spawn_blocking(move || Pair::new(&url, &board))
        .await
        .unwrap();
    let pair = Arc::new(pair);
    let opened = Arc::clone(&pair);
    let runs = tokio::task::spawn_blocking(move || opened.member.runs().unwrap())
        .await
        .unwrap();
    let task = task();
    // The commit is there already when a service hands out its second order.
    let first = runs.run(
        order(&task, &pair.base, 1),
        Box::new(Never),
        Box::new(|_| ()),
    );
    let mut waiting = vec![tokio::spawn(first)];
    while runs.view().await.unwrap().queued < 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let own = async_nats::connect(&bench_url).await.unwrap();
    let own = async_nats::jetstream::new(own);
    let name = format!("TOS_q{count}_WORK");
    let own = own.get_stream(name).await.unwrap();
    let queued = || async { own.get_info().await.unwrap().state.messages };
    let began = Instant::now();
    for fence in 2..=count + 1 {
        let order = order(&task, &pair.base, fence);
        waiting.push(tokio::spawn(runs.run(
            order,
            Box::new(Never),
            Box::new(|_| ()),
        )));
        // As many are on their way as the bare run has.
        if fence % WINDOW as u64 == 0 {
            while queued().await + (WINDOW as u64) < fence {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
    while queued().await < count + 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    drop(waiting);
    tokio::task::spawn_blocking(move || drop((runs, pair)))
        .await
        .unwrap();
    rate
}

/// Lets so many orders go the whole way; returns how many a second.
async fn done(url: &str, count: u64) -> f64 {
    let url = url.to_owned();
    let pair = tokio::task::spawn_blocking(move || Pair::new(&url, "whole"))
        .await
        .unwrap();
    let pair = Arc::new(pair);
    let opened = Arc::clone(&pair);
    let opening = move || {
        let card = WorkerInfo {
            name: "w".to_owned(),
            protocol: PROTOCOL_VERSION,
            roles: vec![AgentRole::Worker],
            slots: 4,
            ..WorkerInfo::default()
        };
        let orders = opened.member.orders(card, Box::new(|_| ())).unwrap();
        (opened.member.runs().unwrap(), orders)
    };
    let (runs, orders) = tokio::task::spawn_blocking(opening).await.unwrap();
    let task = task();
    let began = Instant::now();
    let handed = stream::iter(1..=count).map(|fence| {
        runs.run(
            order(&task, &pair.base, fence),
            Box::new(Never),
            Box::new(|_| ()),
        )
    });
    let working: Vec<_> = (0..4)
        .map(|_| {
            let orders = Arc::clone(&orders);
            tokio::spawn(async move {
                loop {
                    let Some(taken) = orders.poll(Duration::from_secs(1)).await.unwrap() else {
                        continue;
                    };
                    let order = taken.order();
                    let result = WorkResult {
                        run: order.run,
                        fence: order.fence,
                        worker: "w".to_owned(),
                        outcome: RunOutcome::Stopped,
                        spend: Spend::default(),
                        records: Vec::new(),
                        bundle: String::new(),
                        logs: String::new(),
                    };
                    taken.finish(result).await.unwrap();
                }
            })
        })
        .collect();
    let ended = handed
        .buffer_unordered(WINDOW)
        .filter(|one| std::future::ready(one.is_ok()))
        .count()
        .await;
    let rate = ended as f64 / began.elapsed().as_secs_f64();
    working.iter().for_each(tokio::task::JoinHandle::abort);
    drop(working);
    tokio::task::spawn_blocking(move || drop((runs, orders, pair)))
        .await
        .unwrap();
    rate
}

/// Kills a leading controller; returns after how many lifetimes of the leader's key the other one serves.
fn taken_over(url: &str, board: &str) -> f64 {
    let lease = 9;
    let tos = |folder: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tos"));
        let words = ["serve", "--nats", url, "--nats-board", board];
        command
            .args(words)
            .args(["--nats-lease", &lease.to_string()]);
        command.current_dir(folder).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/service/project");
    for folder in &folders {
        for name in ["agent.sh", "test.sh", "greet.sh"] {
            std::fs::copy(sample.join(name), folder.path().join(name)).unwrap();
        }
        std::fs::create_dir(folder.path().join("config")).unwrap();
        let config = "config/service.toml";
        std::fs::copy(sample.join(config), folder.path().join(config)).unwrap();
        git(folder.path(), &["init", "-q"]);
        git(folder.path(), &["add", "-A"]);
        git(folder.path(), &["commit", "-q", "-m", "start"]);
    }
    let serves = |folder: &Path| folder.join(".tos/serve.json").exists();
    let mut first = tos(folders[0].path());
    while !serves(folders[0].path()) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut second = tos(folders[1].path());
    // It has read who leads by then, and waits.
    std::thread::sleep(Duration::from_secs(2));
    let began = Instant::now();
    first.kill().unwrap();
    while !serves(folders[1].path()) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let took = began.elapsed().as_secs_f64() / f64::from(lease / 3);
    drop((first.wait(), second.kill(), second.wait()));
    took
}

fn main() {
    let most = std::env::var("TOS_BENCH_ORDERS").map_or(100_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (_server, url) = server(folder.path());
    let body = serde_json::to_vec(&order(&task(), &"b".repeat(40), 1)).unwrap();
    println!("an order: {} bytes", body.len());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let few = most.min(10_000);
        for count in [few, most] {
            let before = bare(&url, body.clone(), few).await;
            let rate = handed_over(&url, count).await;
            let after = bare(&url, body.clone(), few).await;
            let bare = f64::midpoint(before, after);
            println!("bare publish and answer: {before:.0}/s before, {after:.0}/s after");
            println!(
                "handed over, {count} in the queue: {rate:.0}/s, {:.2} of bare",
                rate / bare
            );
        }
        let rate = done(&url, WHOLE).await;
        println!("done, the whole way, one worker with 4 slots: {rate:.0}/s");
    });
    for round in 0..3 {
        let took = taken_over(&url, &format!("over{round}"));
        println!("taken over after {took:.2} lifetimes of the key");
    }
}
