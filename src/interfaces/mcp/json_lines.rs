//! Standard input and output as the protocol wants them: one JSON object a line. A line that is none is answered here, because the
//! library drops it in silence and its client would wait for ever.
//!
//! Danger: everything that is written goes through one writer, whole lines at a time; an answer in the middle of another would
//! be lost with it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{
        AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader,
        DuplexStream,
    },
    sync::mpsc,
    task::JoinHandle,
};

/// The longest line of a client, in bytes.
const LONGEST: usize = 16 << 20;
/// How much lies between a client and the server, in bytes.
const BUFFER: usize = 64 * 1024;
/// How many answers to bad lines wait for the client to read them; meanwhile it is not read on.
const ANSWERS: usize = 16;
/// How long the last answers may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Both directions, as the server sees them.
pub(super) struct JsonLines {
    pub(super) input: DuplexStream,
    pub(super) output: DuplexStream,
    written: JoinHandle<()>,
}

impl JsonLines {
    /// Connects them with a client.
    pub(super) fn open(
        from_client: impl AsyncRead + Send + Unpin + 'static,
        to_client: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Self {
        let (to_server, input) = tokio::io::duplex(BUFFER);
        let (output, from_server) = tokio::io::duplex(BUFFER);
        let (answers, waiting) = mpsc::channel(ANSWERS);
        drop(tokio::spawn(read(from_client, to_server, answers)));
        Self {
            input,
            output,
            written: tokio::spawn(write(from_server, waiting, to_client)),
        }
    }

    /// Takes them apart; the handle ends when everything is written.
    pub(super) fn split(self) -> ((DuplexStream, DuplexStream), JoinHandle<()>) {
        ((self.input, self.output), self.written)
    }
}

/// Waits until everything is written, as long as the client reads.
pub(super) async fn finish(written: JoinHandle<()>) {
    // A client that does not read any more has left.
    drop(tokio::time::timeout(LAST_WORDS, written).await);
}

async fn read(
    from_client: impl AsyncRead + Unpin,
    mut to_server: DuplexStream,
    answers: mpsc::Sender<Value>,
) {
    let mut client = BufReader::new(from_client);
    while let Some(line) = next_line(&mut client).await {
        let passed =
            match line.map_or_else(|| Err(too_long()), |line| checked(&line).map(|()| line)) {
                Ok(mut line) if !line.is_empty() => {
                    line.push(b'\n');
                    to_server.write_all(&line).await.is_ok()
                }
                Ok(_) => true,
                Err(answer) => answers.send(answer).await.is_ok(),
            };
        if !passed {
            break;
        }
    }
}

/// Returns the next line without its end; `Some(None)` = it was too long and is dropped, `None` = there is no more.
async fn next_line(client: &mut (impl AsyncBufRead + Unpin)) -> Option<Option<Vec<u8>>> {
    let (mut line, mut is_too_long) = (Vec::new(), false);
    loop {
        let part = client.fill_buf().await.ok()?;
        if part.is_empty() {
            // What has no end is no line, but whoever wrote it may have meant one.
            return (!line.is_empty() || is_too_long).then(|| (!is_too_long).then_some(line));
        }
        let end = part.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(part.len());
        is_too_long |= line.len() + taken > LONGEST;
        if is_too_long {
            line.clear();
        } else {
            line.extend_from_slice(part.get(..taken).unwrap_or_default());
        }
        client.consume(taken + usize::from(end.is_some()));
        if end.is_some() {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Some((!is_too_long).then_some(line));
        }
    }
}

fn too_long() -> Value {
    refusal(
        &Value::Null,
        -32600,
        "Invalid Request",
        &format!("a line is longer than {} MiB", LONGEST >> 20),
    )
}

/// Says whether a line is a message; the error is the answer to it.
fn checked(line: &[u8]) -> Result<(), Value> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Ok(());
    }
    let message: Value = serde_json::from_slice(line)
        .map_err(|error| refusal(&Value::Null, -32700, "Parse error", &error.to_string()))?;
    let has = |key: &str| message.get(key).is_some();
    let is_call = message["method"].is_string();
    let is_answer = has("id") && (has("result") || has("error"));
    if message["jsonrpc"] == "2.0" && (is_call || is_answer) {
        return Ok(());
    }
    let id = Some(&message["id"]).filter(|id| id.is_string() || id.is_number());
    Err(refusal(
        id.unwrap_or(&Value::Null),
        -32600,
        "Invalid Request",
        "a message has `jsonrpc`: \"2.0\" and a `method`, or an `id` with a `result` or an `error`",
    ))
}

fn refusal(id: &Value, code: i32, message: &str, why: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message, "data": why } })
}

async fn write(
    from_server: DuplexStream,
    mut answers: mpsc::Receiver<Value>,
    mut to_client: impl AsyncWrite + Unpin,
) {
    let mut server = BufReader::new(from_server);
    let (mut line, mut is_answering) = (Vec::new(), true);
    loop {
        tokio::select! {
            // What was read of a line stays in it until the rest comes.
            read = server.read_until(b'\n', &mut line) => {
                if read.is_err() || !line.ends_with(b"\n") {
                    break;
                }
                if put(&mut to_client, &line).await.is_err() {
                    return;
                }
                line.clear();
            }
            answer = answers.recv(), if is_answering => match answer {
                Some(answer) => {
                    if put(&mut to_client, format!("{answer}\n").as_bytes()).await.is_err() {
                        return;
                    }
                }
                None => is_answering = false,
            },
        }
    }
    while let Ok(answer) = answers.try_recv() {
        drop(put(&mut to_client, format!("{answer}\n").as_bytes()).await);
    }
}

async fn put(to_client: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    to_client.write_all(bytes).await?;
    to_client.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_is_answered_with_the_right_code() {
        let answer = |line: &str| checked(line.as_bytes()).unwrap_err();
        let parse = answer("this is no json");
        assert_eq!(
            (&parse["id"], &parse["error"]["code"]),
            (&Value::Null, &json!(-32700))
        );
        assert_eq!(parse["error"]["message"], "Parse error");
        assert_eq!(
            checked(b"{\"jsonrpc\":\"2.0\",\xff").unwrap_err()["error"]["code"],
            -32700
        );
        for line in [
            "[]",
            "7",
            "{}",
            "{\"jsonrpc\":\"1.0\",\"method\":\"x\"}",
            "{\"jsonrpc\":\"2.0\",\"id\":1}",
        ] {
            assert_eq!(answer(line)["error"]["code"], -32600, "{line}");
        }
        assert_eq!(answer("{\"id\":\"a\"}")["id"], "a");
        for line in [
            "",
            " ",
            "{\"jsonrpc\":\"2.0\",\"method\":\"x\"}",
            "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{}}",
        ] {
            assert_eq!(checked(line.as_bytes()), Ok(()), "{line}");
        }
    }

    #[tokio::test]
    async fn good_lines_pass_bad_ones_are_answered_and_nothing_is_lost_at_the_end() {
        let (mut client, from_client) = tokio::io::duplex(1 << 10);
        let (to_client, mut seen) = tokio::io::duplex(1 << 20);
        let ((input, mut output), written) = JsonLines::open(from_client, to_client).split();
        let good = "{\"jsonrpc\":\"2.0\",\"method\":\"x\"}";
        let client = async move {
            let long = format!("\"{}\"", "y".repeat(LONGEST));
            for line in [good, "bad", &long, "\r", good] {
                client
                    .write_all(format!("{line}\n").as_bytes())
                    .await
                    .unwrap();
            }
        };
        let server = async {
            let mut passed = String::new();
            let mut input = BufReader::new(input);
            while input.read_line(&mut passed).await.unwrap() > 0 {}
            assert_eq!(passed, format!("{good}\n{good}\n"));
            output.write_all(b"{\"answer\":1}\n").await.unwrap();
            drop(output);
        };
        tokio::join!(client, server);
        finish(written).await;
        let mut told = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut seen, &mut told)
            .await
            .unwrap();
        let mut codes: Vec<String> = told
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["error"]["code"].to_string())
            .collect();
        codes.sort();
        assert_eq!(codes, ["-32600", "-32700", "null"], "{told}");
    }
}
