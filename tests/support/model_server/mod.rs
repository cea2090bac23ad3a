//! A model server on loopback that real coding agents talk to: it speaks four wire formats and does what the prompt says.
//!
//! Formats: Anthropic Messages, OpenAI Responses, OpenAI Chat Completions, Gemini; and OAuth with refresh tokens that
//! work once. Lines of the newest message of the user that holds one steer the answers:
//!
//! ```text
//! DO: <shell command>      call the client's shell tool; one call an answer, in their order
//! DO2: <shell command>     the same, in place of every DO where the prompt speaks of a second try
//! CALL: <tool> <json>      call any tool of the client by its name
//! SAY: <text>              the last answer (otherwise `done`)
//! FAULT: <kind> [key=value]...   misbehave:
//!     status N             answer with that status; retry-after=, type=, code=, message=, header.NAME=, body.NAME=
//!     cut                  break the connection in the middle of the stream
//!     hang                 take the request and never answer
//!     hang-mid             begin the stream and stop
//!     garbage              a body that is not the format
//!   times=K                only the first K requests; after=K: only those after the first K
//! ```
//!
//! Side questions, which offer no tools, are neither counted nor troubled.
//!
//! A prompt that asks for the word `ready` and names a script (`sh ./NAME.sh`) is a health question: the script is run,
//! BEFORE becomes AFTER in the text file it names, and the answer is `ready`.

mod conversation;
mod events;
mod http;

use std::{
    collections::BTreeMap,
    io,
    io::{BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};

use conversation::{Fault, FaultKind, Plan};
use http::{Message, reply};

/// One request as it arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct ModelRequest {
    /// The key or token it came with.
    pub(crate) authorization: String,
    /// The message that steers.
    pub(crate) prompt: String,
    /// What the client's tools answered since.
    pub(crate) results: Vec<String>,
    /// For a refresh: the token, and whether it had been used before.
    pub(crate) refresh: Option<(String, bool)>,
}

/// The server; it ends its connections when dropped.
pub(crate) struct ModelServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct State {
    requests: Vec<ModelRequest>,
    /// How often each fault was asked for.
    faults: BTreeMap<String, u32>,
    closing: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, request: ModelRequest) {
        self.state().requests.push(request);
        self.changed.notify_all();
    }

    /// Answers nothing for as long as the server lives.
    fn hang(&self) {
        let state = self.state();
        drop(self.changed.wait_while(state, |state| !state.closing));
    }

    /// Counts a fault; returns it where this request is one that misbehaves.
    fn due(&self, fault: Fault) -> Option<Fault> {
        let mut state = self.state();
        let count = state.faults.entry(fault.text.clone()).or_default();
        *count += 1;
        let number = |name: &str| fault.options.get(name)?.parse::<u32>().ok();
        let late = number("times").is_some_and(|times| *count > times);
        let early = number("after").is_some_and(|after| *count <= after);
        (!late && !early).then_some(fault)
    }
}

impl ModelServer {
    /// Starts one on a free port of loopback.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::<Shared>::default();
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if of_thread.state().closing {
                    return;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&of_thread)) else {
                    continue;
                };
                // A client that was killed leaves in the middle of anything.
                std::thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        Self { address, shared }
    }

    /// Returns `host:port`.
    pub(crate) fn place(&self) -> String {
        self.address.to_string()
    }

    /// Returns the address without a path.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns all requests, in order of arrival.
    pub(crate) fn requests(&self) -> Vec<ModelRequest> {
        self.shared.state().requests.clone()
    }

    /// Waits until a request has arrived that `wanted` is true of; `alive` is false when none can come any more.
    pub(crate) fn wait_for(
        &self,
        wanted: impl Fn(&ModelRequest) -> bool,
        mut alive: impl FnMut() -> bool,
    ) -> bool {
        let mut state = self.shared.state();
        loop {
            if state.requests.iter().any(&wanted) {
                return true;
            }
            if !alive() {
                return false;
            }
            let look = Duration::from_millis(200);
            let waited = self.shared.changed.wait_timeout(state, look);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.shared.state().closing = true;
        self.shared.changed.notify_all();
        drop(TcpStream::connect(self.address));
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(message) = http::read(&mut reader)? {
        let goes_on = answer(&mut writer, &message, shared)?;
        if !goes_on {
            break;
        }
    }
    Ok(())
}

/// Answers one request; returns whether the connection can be used again.
fn answer(out: &mut TcpStream, message: &Message, shared: &Shared) -> io::Result<bool> {
    let path = message.path.as_str();
    if message.method != "POST" {
        shared.note(seen(message));
        return without_body(out, message);
    }
    if path.ends_with("/count_tokens") || path.ends_with(":countTokens") {
        let count = json!({ "input_tokens": 1000, "totalTokens": 1000 });
        return reply(out, 200, &[], &count);
    }
    if path.ends_with("/oauth/token") {
        return refresh(out, message, shared);
    }
    match Format::of(path) {
        Some(format) => converse(out, format, message, shared),
        // Telemetry and the like.
        None => reply(out, 200, &[], &json!({})),
    }
}

fn seen(message: &Message) -> ModelRequest {
    let named = message
        .header("authorization")
        .or(message.header("x-api-key"));
    ModelRequest {
        authorization: named.unwrap_or_default().to_owned(),
        ..ModelRequest::default()
    }
}

fn without_body(out: &mut TcpStream, message: &Message) -> io::Result<bool> {
    let upgrade = message.header("upgrade").is_some();
    let models =
        json!({ "object": "list", "models": [], "data": [{ "id": "mock", "object": "model" }] });
    match message.method.as_str() {
        "HEAD" => {
            out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
            Ok(true)
        }
        _ if upgrade => reply(
            out,
            426,
            &[],
            &json!({ "error": { "message": "no websocket here" } }),
        ),
        _ if message.path.ends_with("/models") => reply(out, 200, &[], &models),
        _ => reply(
            out,
            404,
            &[],
            &json!({ "error": { "type": "not_found_error", "message": "not here" } }),
        ),
    }
}

/// Refresh tokens work once: `rt_1` gives `rt_2` and is dead from then on.
fn refresh(out: &mut TcpStream, message: &Message, shared: &Shared) -> io::Result<bool> {
    let old = message.body["refresh_token"].as_str().unwrap_or_default();
    let mut request = seen(message);
    let used = {
        let state = shared.state();
        let refreshed = state.requests.iter().flat_map(|one| &one.refresh);
        refreshed.into_iter().any(|(token, _)| token == old)
    };
    request.refresh = Some((old.to_owned(), used));
    shared.note(request);
    if used {
        let error = json!({ "code": "refresh_token_reused", "type": "invalid_request_error", "message": "used already" });
        return reply(out, 401, &[], &json!({ "error": error }));
    }
    let digits: String = old.chars().filter(char::is_ascii_digit).collect();
    let next = digits.parse::<u32>().unwrap_or(0) + 1;
    let token = access_token(chrono::Utc::now().timestamp() + 3600);
    let fresh = json!({ "access_token": token, "id_token": token, "refresh_token": format!("rt_{next}"), "expires_in": 3600 });
    reply(out, 200, &[], &fresh)
}

fn converse(
    out: &mut TcpStream,
    format: Format,
    message: &Message,
    shared: &Shared,
) -> io::Result<bool> {
    let body = &message.body;
    let mut plan = Plan::of(format, body);
    shared.note(ModelRequest {
        prompt: std::mem::take(&mut plan.prompt),
        results: std::mem::take(&mut plan.results),
        ..seen(message)
    });
    let streams = body["stream"] == true || message.path.contains("streamGenerate");
    let main = plan.fault.take().filter(|_| plan.offers_tools);
    let fault = main.and_then(|fault| shared.due(fault));
    let cut = match fault.as_ref().map(|fault| fault.kind) {
        Some(FaultKind::Status(status)) => {
            let fault = fault.expect("it was looked at");
            let (headers, body) = fault.refusal(format, status);
            return reply(out, status, &headers, &body);
        }
        Some(FaultKind::Hang) => {
            shared.hang();
            return Ok(false);
        }
        Some(FaultKind::Garbage) => {
            return http::raw(out, 200, &[], b"<html>not what you wanted</html>");
        }
        Some(kind @ (FaultKind::Cut | FaultKind::HangMid)) => Some(kind),
        None => None,
    };
    let events = events::stream(format, &plan, body);
    let text = if streams {
        events::server_sent(&events, cut.is_some())
    } else {
        events::whole(format, &plan, &events).to_string()
    };
    let Some(kind) = cut else {
        let kind = if streams {
            "text/event-stream"
        } else {
            "application/json"
        };
        return http::raw_as(out, 200, kind, &[], text.as_bytes());
    };
    let half = if streams { text.len() } else { text.len() / 2 };
    // More is promised than comes.
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 999999\r\n\r\n";
    out.write_all(head.as_bytes())?;
    out.write_all(&text.as_bytes()[..half])?;
    if kind == FaultKind::HangMid {
        shared.hang();
    }
    Ok(false)
}

/// A wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Anthropic,
    Responses,
    Chat,
    Gemini,
}

impl Format {
    fn of(path: &str) -> Option<Self> {
        match path {
            _ if path.ends_with("/messages") => Some(Self::Anthropic),
            _ if path.ends_with("/responses") => Some(Self::Responses),
            _ if path.ends_with("/chat/completions") => Some(Self::Chat),
            _ if path.contains("enerateContent") => Some(Self::Gemini),
            _ => None,
        }
    }
}

/// Returns a token that nobody signed and that expires at that second.
pub(crate) fn access_token(expires: i64) -> String {
    let account = json!({ "chatgpt_plan_type": "plus", "chatgpt_account_id": "acc", "chatgpt_user_id": "user" });
    let claims =
        json!({ "exp": expires, "email": "a@example.org", "https://api.openai.com/auth": account });
    let part = |value: &Value| base64(value.to_string().as_bytes());
    format!("{}.{}.x", part(&json!({ "alg": "none" })), part(&claims))
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let three = [
            chunk[0],
            *chunk.get(1).unwrap_or(&0),
            *chunk.get(2).unwrap_or(&0),
        ];
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for place in 0..=chunk.len() {
            let letter = (bits >> (18 - 6 * place)) & 63;
            text.push(char::from(LETTERS[letter as usize]));
        }
    }
    text
}
