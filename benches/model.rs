//! What a model call costs on top of the bare HTTP request, on loopback with a kept connection.
//!
//! `bare reqwest` sends the same bytes to the same server and reads the answer; `ask` is the whole adapter:
//! building the body with its schema, the deadline, reading, redaction. The target is 0.1 ms between them. `cargo bench --bench model -- --pairs` prints the row of docs/performance.md.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark looks at the clock and says what it saw"
)]

use std::{
    hint::black_box,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use criterion::Criterion;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};
use tos::{
    adapters::model::{HttpClients, ModelOptions, Provider, Secret, build},
    domain::{
        job::proposal,
        model::{ModelRequest, ModelRole},
        redaction::Redactor,
    },
};

const KEY: &str = "sk-bench-0123456789";

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built")
}

/// Serves one good answer for ever, on its own thread.
fn serve() -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::spawn(move || {
        runtime().block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            sender.send(address).expect("the bench waits for it");
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(answer_for_ever(socket));
            }
        });
    });
    receiver.recv().expect("the server starts")
}

async fn answer_for_ever(mut socket: TcpStream) {
    let answer = answer();
    let mut have = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = socket.read(&mut buffer).await {
        have.extend_from_slice(&buffer[..read]);
        if is_whole(&have) {
            have.clear();
            socket.write_all(&answer).await.expect("the client reads");
        }
    }
}

/// Whether a request with its body has arrived.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    body.len() >= length.unwrap_or(0_usize)
}

fn answer() -> Vec<u8> {
    let code = "echo a line of a script; ".repeat(60);
    let reply = json!({"commands": [{"type": "bash", "code": code, "argv": []}], "thought": "t"});
    let body = json!({
        "id": "chatcmpl-1", "model": "m",
        "choices": [{"finish_reason": "stop", "message": {"content": reply.to_string()}}],
        "usage": {"prompt_tokens": 500, "completion_tokens": 400},
    })
    .to_string();
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn query() -> ModelRequest {
    ModelRequest {
        role: ModelRole::Draft,
        prompt: "What shall we do next? ".repeat(100),
        job: 1,
        turn: 0,
        deadline: Duration::from_secs(60),
    }
}

fn body() -> Vec<u8> {
    let schema = json!({"name": "draft", "strict": true, "schema": proposal::reply_schema(ModelRole::Draft)});
    json!({
        "model": "m",
        "messages": [{"role": "user", "content": query().prompt}],
        "max_tokens": 2000,
        "response_format": {"type": "json_schema", "json_schema": schema},
    })
    .to_string()
    .into_bytes()
}

/// Prints the median of both, in turns, and what lies between them.
fn pairs() {
    const CALLS: usize = 3_000;
    let mut times = [Vec::with_capacity(CALLS), Vec::with_capacity(CALLS)];
    with_both(|bare, ask| {
        for round in 0..CALLS + 200 {
            for (work, times) in [bare, ask].into_iter().zip(&mut times) {
                let began = Instant::now();
                work();
                // The first ones make connections and fill caches.
                if round >= 200 {
                    times.push(began.elapsed());
                }
            }
        }
    });
    let [bare, ask] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1e3
    });
    let more = ask - bare;
    println!(
        "| model call above bare reqwest | {ask:.3} ms | {bare:.3} ms | {more:.3} ms more | <= 0.1 ms more |"
    );
}

/// Hands over the bare request and the whole call, to be made as often as wished.
fn with_both(work: impl FnOnce(&dyn Fn(), &dyn Fn())) {
    let address = serve();
    let runtime = runtime();
    let mut options = ModelOptions::new(Provider::OpenAi, "m");
    options.base_url = Some(format!("http://{address}/v1"));
    options.api_key = Some(Secret::new(KEY));
    let shared = HttpClients::new(Redactor::new([KEY.to_owned(), "another-secret".to_owned()]));
    let model = build(&options, &shared).expect("the options are good");
    let query = query();
    // The adapter installs the cryptography the bare client needs too.
    runtime
        .block_on(model.ask(&query))
        .expect("the server answers");
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client can be built");
    let url = format!("http://{address}/v1/chat/completions");
    let body = body();

    work(
        &|| {
            runtime.block_on(async {
                let request = client.post(&url).bearer_auth(KEY).body(body.clone());
                let response = request.send().await.expect("an answer");
                black_box(response.bytes().await.expect("a body"));
            });
        },
        &|| {
            black_box(runtime.block_on(model.ask(&query)).expect("a reply"));
        },
    );
}

fn main() {
    if std::env::args().any(|word| word == "--pairs") {
        return pairs();
    }
    let mut criterion = Criterion::default().configure_from_args();
    with_both(|bare, ask| {
        let mut group = criterion.benchmark_group("model call");
        group.sample_size(200);
        group.bench_function("bare reqwest", |bench| bench.iter(bare));
        group.bench_function("ask", |bench| bench.iter(ask));
        group.finish();
    });
    criterion.final_summary();
}
