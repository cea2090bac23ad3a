//! What a hand-over to another machine costs, beside the bare server, in one run:
//!
//! `cargo bench --bench cluster` (some minutes; `TOS_BENCH_ORDERS` changes how many orders lie in the queue at most, `TOS_BENCH_PAIRS` how often
//! is measured; the median counts.)
//!
//! A real nats-server on loopback, its store on the real disk, one copy. Each message carries an id, and its answer is waited for.
//!
//! * «bare» publishes the bytes of an order again and again, 256 on their way at a time, one part before and one after each of ours. That is the strict
//!   way to put it: one after the other, which is shown too, is several times slower.
//! * «handed over» is the way of a controller, from the order to its place in the queue, as many on their way.
//! * «decided» is what is told to the board until its events are in the log and in the database, one caller and 256 at a time.
//! * «done» is the whole way: handed over, claimed by a worker in this process, reported, taken in.
//! * «taken over» is how long it takes until a second controller serves after the leading one was killed, in lifetimes of the leader's key.
//!
//! Beside each stands what it costs for each order: the processor's time of this process and of the server, and the messages that the server counts.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench looks at the real disk, prints, and may fail loudly"
)]

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use tos::{
    adapters::{
        clock::SystemClock,
        nats::{NatsMember, NatsOptions},
    },
    domain::{
        board::{AgentRole, Board, Fence, Input, RunId, RunOutcome, Spend, Task, TaskSpec},
        cluster::{PROTOCOL_VERSION, WorkOrder, WorkResult, WorkerInfo},
        ledger::SessionStart,
        redaction::Redactor,
    },
    ports::{
        BoxFuture,
        cluster::{ClusterMember as _, OrderQueue, StopFeed},
    },
    services::board::start,
};

/// How many answers are waited for at a time.
const WINDOW: usize = 256;
/// How many orders go the whole way.
const WHOLE: u64 = 2_000;

struct Server {
    child: Child,
    url: String,
    monitor: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    fn start(folder: &Path) -> Self {
        let [port, monitor] = [(); 2].map(|()| {
            let socket = TcpListener::bind("127.0.0.1:0").unwrap();
            socket.local_addr().unwrap().port()
        });
        let mut command = Command::new("nats-server");
        command.args(["-js", "-a", "127.0.0.1", "-p", &port.to_string()]);
        command
            .args(["-m", &monitor.to_string(), "-sd"])
            .arg(folder);
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for port in [port, monitor] {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Self {
            child,
            url: format!("nats://127.0.0.1:{port}"),
            monitor,
        }
    }

    /// Returns how many messages came in and went out.
    fn messages(&self) -> [f64; 2] {
        let mut asked = TcpStream::connect(("127.0.0.1", self.monitor)).unwrap();
        let question = b"GET /varz HTTP/1.0\r\nHost: localhost\r\n\r\n";
        asked.write_all(question).unwrap();
        let mut answer = String::new();
        asked.read_to_string(&mut answer).unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let counted: serde_json::Value = serde_json::from_str(body).unwrap();
        ["in_msgs", "out_msgs"].map(|name| counted[name].as_f64().unwrap())
    }

    fn counters(&self) -> Counters {
        Counters {
            at: Instant::now(),
            own: processor("self"),
            server: processor(&self.child.id().to_string()),
            messages: self.messages(),
        }
    }
}

/// Returns how long a process used the processor, in seconds.
fn processor(process: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = text
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let ticks = |place: usize| fields[place].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

/// What was counted at a moment.
struct Counters {
    at: Instant,
    own: f64,
    server: f64,
    messages: [f64; 2],
}

/// What something cost, for each order.
#[derive(Clone, Copy)]
struct Cost {
    rate: f64,
    own: f64,
    server: f64,
    messages: [f64; 2],
}

impl Cost {
    fn since(server: &Server, began: &Counters, count: u64) -> Self {
        let took = began.at.elapsed().as_secs_f64();
        let (now, count) = (server.counters(), count as f64);
        Self {
            rate: count / took,
            own: (now.own - began.own) * 1e6 / count,
            server: (now.server - began.server) * 1e6 / count,
            messages: [0, 1].map(|way| (now.messages[way] - began.messages[way]) / count),
        }
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [came, went] = self.messages;
        write!(
            f,
            "{:.0}/s; each {:.0} us here, {:.0} us of the server, {came:.2} messages to it, {went:.2} from it",
            self.rate, self.own, self.server
        )
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
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

/// Publishes so many messages and waits for each answer, `window` at a time.
async fn bare(server: &Server, body: &[u8], count: u64, window: usize) -> Cost {
    let client = async_nats::connect(&server.url).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let config = async_nats::jetstream::stream::Config {
        name: "BARE".to_owned(),
        subjects: vec!["bare.*".to_owned()],
        ..Default::default()
    };
    drop(context.delete_stream("BARE").await);
    context.create_stream(config).await.unwrap();
    let began = server.counters();
    let sent = stream::iter(0..count).map(|number| {
        let (context, body) = (context.clone(), body.to_vec());
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
    sent.buffer_unordered(window).count().await;
    let cost = Cost::since(server, &began, count);
    drop(context.delete_stream("BARE").await);
    cost
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

/// Hands out so many orders that nobody takes, until all are in the queue.
async fn handed_over(server: &Server, board: &str, count: u64) -> Cost {
    let (url, name) = (server.url.clone(), board.to_owned());
    let pair = tokio::task::spawn_blocking(move || Pair::new(&url, &name))
        .await
        .unwrap();
    let pair = Arc::new(pair);
    let opened = Arc::clone(&pair);
    let runs = tokio::task::spawn_blocking(move || opened.member.runs().unwrap())
        .await
        .unwrap();
    let first = order(&task(), &pair.base, 1);
    let hand_out = |fence| {
        let order = WorkOrder {
            run: RunId(fence),
            fence: Fence(fence),
            ..first.clone()
        };
        tokio::spawn(runs.run(order, Box::new(Never), Box::new(|_| ())))
    };
    // The commit is there already when a service hands out its second order.
    let mut waiting = vec![hand_out(1)];
    while runs.view().await.unwrap().queued < 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let own = async_nats::connect(&server.url).await.unwrap();
    let own = async_nats::jetstream::new(own);
    let own = own.get_stream(format!("TOS_{board}_WORK")).await.unwrap();
    let queued = || async { own.get_info().await.unwrap().state.messages };
    let began = server.counters();
    for fence in 2..=count + 1 {
        waiting.push(hand_out(fence));
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
    let cost = Cost::since(server, &began, count);
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    drop(waiting);
    tokio::task::spawn_blocking(move || drop((runs, pair)))
        .await
        .unwrap();
    cost
}

/// Tells a board so much, so many callers at a time, until it is in the log and in the database.
async fn decided(server: &Server, count: u64, callers: usize) -> Cost {
    let url = server.url.clone();
    let opening = move || {
        let pair = Pair::new(&url, &format!("decided{callers}"));
        let store = pair.member.store().unwrap();
        let (handle, effects) = start(store, Arc::new(SystemClock::new())).unwrap();
        (pair, handle, effects)
    };
    let (pair, handle, effects) = tokio::task::spawn_blocking(opening).await.unwrap();
    let spec = task().spec;
    let began = server.counters();
    let told = stream::iter(0..count).map(|_| {
        let spec = Box::new(spec.clone());
        handle.submit(Input::CreateTask { spec })
    });
    let told = told.buffer_unordered(callers);
    let all = told.filter(|one| std::future::ready(one.is_ok()));
    assert_eq!(all.count().await as u64, count);
    let cost = Cost::since(server, &began, count);
    tokio::task::spawn_blocking(move || drop((handle, effects, pair)))
        .await
        .unwrap();
    cost
}

/// Lets so many orders go the whole way, with so many slots.
async fn done(server: &Server, board: &str, count: u64, slots: u16) -> Cost {
    let (url, board) = (server.url.clone(), board.to_owned());
    let pair = tokio::task::spawn_blocking(move || Pair::new(&url, &board))
        .await
        .unwrap();
    let pair = Arc::new(pair);
    let opened = Arc::clone(&pair);
    let opening = move || {
        let card = WorkerInfo {
            name: "w".to_owned(),
            protocol: PROTOCOL_VERSION,
            roles: vec![AgentRole::Worker],
            slots,
            ..WorkerInfo::default()
        };
        let orders = opened.member.orders(card, Box::new(|_| ())).unwrap();
        (opened.member.runs().unwrap(), orders)
    };
    let (runs, orders) = tokio::task::spawn_blocking(opening).await.unwrap();
    let first = order(&task(), &pair.base, 1);
    let working: Vec<_> = (0..slots)
        .map(|_| tokio::spawn(work(Arc::clone(&orders))))
        .collect();
    // The commit is there already, on both sides, when a service hands out its second order.
    let warm = runs.run(first.clone(), Box::new(Never), Box::new(|_| ()));
    warm.await.unwrap();
    let began = server.counters();
    let handed = stream::iter(2..count + 2).map(|fence| {
        let order = WorkOrder {
            run: RunId(fence),
            fence: Fence(fence),
            ..first.clone()
        };
        runs.run(order, Box::new(Never), Box::new(|_| ()))
    });
    let ended = handed
        .buffer_unordered(WINDOW)
        .filter(|one| std::future::ready(one.is_ok()));
    assert_eq!(ended.count().await as u64, count);
    let cost = Cost::since(server, &began, count);
    working.iter().for_each(tokio::task::JoinHandle::abort);
    drop(working);
    tokio::task::spawn_blocking(move || drop((runs, orders, pair)))
        .await
        .unwrap();
    cost
}

/// Takes orders and reports at once.
async fn work(orders: Arc<dyn OrderQueue>) {
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

/// Measures bare and ours in turns; says what the median of the pairs is.
async fn pairs(server: &Server, body: &[u8], few: u64, pairs: usize) {
    let (mut rates, mut shares) = (Vec::new(), Vec::new());
    let mut before = bare(server, body, few, WINDOW).await;
    println!("bare: {before}");
    for number in 0..pairs {
        let ours = handed_over(server, &format!("pair{number}"), few).await;
        let after = bare(server, body, few, WINDOW).await;
        let share = ours.rate / f64::midpoint(before.rate, after.rate);
        println!("handed over: {ours}; {share:.2} of bare\nbare: {after}");
        (rates, shares) = (
            [rates, vec![ours.rate]].concat(),
            [shares, vec![share]].concat(),
        );
        before = after;
    }
    println!(
        "handed over, median of {pairs}: {:.0}/s, {:.2} of bare",
        median(rates),
        median(shares)
    );
}

fn main() {
    let number = |name: &str, usual: u64| {
        let asked = std::env::var(name);
        asked.map_or(usual, |text| text.parse().unwrap())
    };
    let most = number("TOS_BENCH_ORDERS", 100_000);
    let count = usize::try_from(number("TOS_BENCH_PAIRS", 5)).unwrap();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let server = Server::start(folder.path());
    let body = serde_json::to_vec(&order(&task(), &"b".repeat(40), 1)).unwrap();
    println!("an order: {} bytes", body.len());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let few = most.min(10_000);
        let single = bare(&server, &body, few.min(2_000), 1).await;
        println!("bare, one after the other: {single}");
        pairs(&server, &body, few, count).await;
        if most > few {
            let ours = handed_over(&server, "large", most).await;
            let bare = bare(&server, &body, few, WINDOW).await;
            println!("handed over, {most} in the queue: {ours}\nbare: {bare}");
        }
        for (callers, count) in [(1, few.min(1_000)), (WINDOW, few)] {
            let told = decided(&server, count, callers).await;
            println!("decided, {callers} at a time: {told}");
        }
        for slots in [4, 64] {
            let cost = done(&server, &format!("whole{slots}"), WHOLE, slots).await;
            println!("done, the whole way, one worker with {slots} slots: {cost}");
        }
    });
    for round in 0..number("TOS_BENCH_KILLS", 3) {
        let took = taken_over(&server.url, &format!("over{round}"));
        println!("taken over after {took:.2} lifetimes of the key");
    }
}
