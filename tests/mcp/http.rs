//! The same server over HTTP: who gets in.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Stdio},
};

use serde_json::json;

use crate::client::Project;

const TOKEN: &str = "a-token-of-the-test";

/// A server that listens.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(project: &Project) -> Self {
        let mut child = project
            .command(&["mcp", "--http", "127.0.0.1:0"])
            .env("TOS_MCP_TOKEN", TOKEN)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            let rest = line.split_once("http://")?.1;
            Some(rest.strip_suffix("/mcp")?.to_owned())
        });
        Self {
            child,
            address: address.unwrap(),
        }
    }

    /// Sends one request; returns the status and everything that was answered.
    fn post(&self, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let mut text =
            "POST /mcp HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\n\
                        Accept: application/json, text/event-stream\r\n"
                .to_owned();
        if !headers.iter().any(|(name, _)| *name == "Host") {
            write!(text, "Host: {}\r\n", self.address).unwrap();
        }
        for (name, value) in headers {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
        write!(text, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split_whitespace().nth(1).unwrap().parse().unwrap();
        (status, answer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn hello() -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } })
    .to_string()
}

#[test]
fn only_the_token_opens_and_no_browser_gets_in() {
    let project = Project::new();
    let server = Server::start(&project);
    let right = format!("Bearer {TOKEN}");
    assert_eq!(server.post(&[], &hello()).0, 401);
    assert_eq!(
        server
            .post(&[("Authorization", "Bearer wrong")], &hello())
            .0,
        401
    );
    assert_eq!(server.post(&[("Authorization", TOKEN)], &hello()).0, 401);
    let foreign = [("Authorization", right.as_str()), ("Host", "evil.example")];
    assert_eq!(server.post(&foreign, &hello()).0, 403);
    for origin in ["https://evil.example", "http://127.0.0.1:3000", "null"] {
        let headers = [("Authorization", right.as_str()), ("Origin", origin)];
        assert_eq!(server.post(&headers, &hello()).0, 403, "{origin}");
    }
    let (status, answer) = server.post(&[("Authorization", &right)], &hello());
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("\"serverInfo\""), "{answer}");
}

#[test]
fn a_session_over_http_runs_a_command() {
    let project = Project::new();
    let server = Server::start(&project);
    let right = format!("Bearer {TOKEN}");
    let (_, answer) = server.post(&[("Authorization", &right)], &hello());
    let session = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("mcp-session-id")
            .then(|| value.trim().to_owned())
    });
    let session = session.unwrap();
    let headers = [
        ("Authorization", right.as_str()),
        ("Mcp-Session-Id", session.as_str()),
        ("MCP-Protocol-Version", "2025-06-18"),
    ];
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string();
    assert_eq!(server.post(&headers, &ready).0, 202);
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "run_command", "arguments": { "command": "cat a.txt" } } });
    let (status, answer) = server.post(&headers, &call.to_string());
    assert!(status == 200 && answer.contains("exit code 0"), "{answer}");
    assert_eq!(server.post(&headers[1..], &call.to_string()).0, 401);
}

#[test]
fn an_address_that_others_can_reach_and_a_short_token_are_refused() {
    let project = Project::new();
    let refused = project
        .command(&["mcp", "--http", "0.0.0.0:0"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        refused.status.code() == Some(2) && said.contains("loopback"),
        "{said}"
    );
    let refused = project
        .command(&["mcp", "--http", "127.0.0.1:0"])
        .env("TOS_MCP_TOKEN", "short")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        refused.status.code() == Some(2) && said.contains("16"),
        "{said}"
    );
}
