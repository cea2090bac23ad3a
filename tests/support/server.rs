//! A counting server on loopback that speaks the wire formats of OpenAI and Anthropic.
//!
//! It owns its threads and ends them when dropped. What it answers is decided by a function from the
//! prompt; what it was asked is kept, in order, so that a test can say «nothing was bought twice».

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// What the server says to one prompt.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A good reply with this text.
    Text(String),
    /// A status, extra headers, and a body.
    Status(u16, Vec<(&'static str, String)>, Value),
    /// Nothing, for as long as the server lives.
    Silence,
}

type Script = dyn Fn(&str) -> Answer + Send + Sync;

/// What all threads of a server share.
struct Shared {
    script: Box<Script>,
    prompts: Mutex<Vec<String>>,
    arrived: Condvar,
    open: AtomicUsize,
    closing: AtomicBool,
}

/// The server; it stops when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// Starts a server that answers by `script`.
    pub(crate) fn start(script: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener
            .local_addr()
            .expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            script: Box::new(script),
            prompts: Mutex::default(),
            arrived: Condvar::new(),
            open: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &of_thread));
        Self { address, shared }
    }

    /// Returns the address without a path.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns how many calls have arrived.
    pub(crate) fn calls(&self) -> usize {
        self.prompts().len()
    }

    /// Returns all prompts, in order of arrival.
    pub(crate) fn prompts(&self) -> Vec<String> {
        self.shared
            .prompts
            .lock()
            .expect("no thread panics")
            .clone()
    }

    /// Waits until at least `count` calls have arrived.
    pub(crate) fn wait_for_calls(&self, count: usize) {
        let prompts = self.shared.prompts.lock().expect("no thread panics");
        let (prompts, late) = self
            .shared
            .arrived
            .wait_timeout_while(prompts, Duration::from_secs(60), |prompts| {
                prompts.len() < count
            })
            .expect("no thread panics");
        assert!(
            !late.timed_out(),
            "{count} calls were awaited, {} came",
            prompts.len()
        );
    }

    /// Waits until no client is connected, so that every call of a killed client has been counted.
    pub(crate) fn settle(&self) {
        // A killed client's connection may still wait to be accepted. Connections are accepted in their order, so once this
        // one has been served, all before it are counted.
        if let Ok(mut probe) = TcpStream::connect(self.address) {
            drop(probe.shutdown(std::net::Shutdown::Write));
            drop(std::io::Read::read_to_end(&mut probe, &mut Vec::new()));
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.shared.open.load(Ordering::SeqCst) > 0 {
            assert!(Instant::now() < deadline, "a connection stays open");
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.closing.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        shared.open.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // A client that was killed leaves in the middle of anything.
            drop(serve(stream, &shared));
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some((path, body)) = request(&mut reader)? {
        let prompt = prompt(&body);
        shared
            .prompts
            .lock()
            .expect("no thread panics")
            .push(prompt.clone());
        shared.arrived.notify_all();
        let (status, headers, body) = match (shared.script)(&prompt) {
            Answer::Text(text) => (200, Vec::new(), good(&path, &text)),
            Answer::Status(status, headers, body) => (status, headers, body),
            Answer::Silence => {
                // Ends when the client hangs up.
                drop(request(&mut reader)?);
                return Ok(());
            }
        };
        let body = body.to_string();
        let mut head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n");
        for (name, value) in &headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        write!(writer, "{head}content-length: {}\r\n\r\n{body}", body.len())?;
    }
    Ok(())
}

/// Reads one request; `None` when the client is gone.
fn request(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<(String, Value)>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let header = line.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((path, serde_json::from_slice(&body)?)))
}

/// Returns the user's text of a request in either wire format.
fn prompt(body: &Value) -> String {
    let messages = body.get("messages").and_then(Value::as_array);
    let user = messages
        .into_iter()
        .flatten()
        .find(|message| message.get("role").and_then(Value::as_str) == Some("user"));
    let content = user.and_then(|message| message.get("content"));
    let text = content.map(|content| content.pointer("/0/text").unwrap_or(content));
    text.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Returns a good reply in the format that the path asks for.
fn good(path: &str, text: &str) -> Value {
    if path.ends_with("/messages") {
        json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "test-model",
            "stop_reason": "end_turn", "content": [{"type": "text", "text": text}],
            "usage": {"input_tokens": 10, "output_tokens": 5},
        })
    } else {
        json!({
            "id": "chatcmpl-1", "model": "test-model",
            "choices": [{"index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        })
    }
}
