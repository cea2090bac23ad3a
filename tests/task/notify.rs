//! Notes against servers on loopback.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    thread::JoinHandle,
};

use tos::{
    adapters::notify::{Messenger, Way},
    domain::redaction::Redactor,
    ports::notifier::{Note, Notifier},
};

/// A server that answers one request; joined, it returns path and body.
fn server(status: &'static str) -> (String, JoinHandle<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut first, mut length) = (String::new(), 0);
        reader.read_line(&mut first).unwrap();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        stream
            .write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes())
            .unwrap();
        let path = first.split(' ').nth(1).unwrap().to_owned();
        (path, String::from_utf8(body).unwrap())
    });
    (base, thread)
}

fn note() -> Note {
    Note {
        event: "task_failed".into(),
        title: "T-1 failed".into(),
        text: "<b> & the key was hunter2hunter2".into(),
        run: "r".into(),
        ledger: "3:abc".into(),
    }
}

fn tell(way: Way) -> Result<(), String> {
    let messenger = Messenger::new(way, Redactor::new(["hunter2hunter2".to_owned()]));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(messenger.tell(&note()))
}

#[test]
fn a_webhook_gets_everything_but_secrets() {
    let (base, thread) = server("204 No Content");
    assert_eq!(tell(Way::Webhook(format!("{base}/hook"))), Ok(()));
    let (path, body) = thread.join().unwrap();
    assert_eq!(path, "/hook");
    let value: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&value["event"], &value["ledger"]),
        (&"task_failed".into(), &"3:abc".into())
    );
    assert!(!body.contains("hunter2"), "{body}");
}

#[test]
fn slack_gets_one_text() {
    let (base, thread) = server("200 OK");
    assert_eq!(tell(Way::Slack(format!("{base}/services/x"))), Ok(()));
    let (_, body) = thread.join().unwrap();
    assert!(body.starts_with("{\"text\":\"T-1 failed\\n"), "{body}");
}

#[test]
fn telegram_gets_escaped_text_for_its_chat() {
    let (base, thread) = server("200 OK");
    assert_eq!(
        tell(Way::Telegram {
            base,
            token: "1:a".into(),
            chat: "42".into()
        }),
        Ok(())
    );
    let (path, body) = thread.join().unwrap();
    assert_eq!(path, "/bot1:a/sendMessage");
    assert!(
        body.contains("\"chat_id\":\"42\"") && body.contains("&lt;b&gt; &amp; the key"),
        "{body}"
    );
}

#[test]
fn a_refusal_is_told_without_the_address() {
    let (base, thread) = server("500 Oops");
    let why = tell(Way::Webhook(format!("{base}/token-123"))).unwrap_err();
    thread.join().unwrap();
    assert_eq!(why, "the server answered 500 Internal Server Error");
}
