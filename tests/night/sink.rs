//! Events reach whoever collects them, also one who fails, and nobody waits for one who is away.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::Value;

use crate::root::Root;

/// What a collector got: the id of every event, in order, as often as it came.
type Got = Arc<Mutex<Vec<String>>>;

/// A collector that refuses the first request, keeps what the second brings but hangs up before it says so, and
/// answers every other one.
fn collector() -> (String, Got) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!(
        "http://{}/events?key=hidden",
        listener.local_addr().unwrap()
    );
    let got = Got::default();
    let kept = Arc::clone(&got);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            serve(stream.unwrap(), number, &kept);
        }
    });
    (address, got)
}

/// Reads the body of a request.
fn body(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line).unwrap() > 2 {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

/// Returns the ids of events, one a line.
fn ids(text: &str) -> Vec<String> {
    let ids = text.lines().map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["id"].as_str().unwrap().to_owned()
    });
    ids.collect()
}

fn serve(stream: TcpStream, number: usize, got: &Got) {
    let body = body(&stream);
    let status = if number == 0 { "503 Busy" } else { "204 Kept" };
    if number > 0 {
        got.lock().unwrap().extend(ids(&body));
    }
    if number != 1 {
        let mut stream = stream;
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        // A client that gave up in the meantime comes again.
        drop(stream.write_all(answer.as_bytes()));
    }
}

/// The ids of all events that lie in the buffer.
pub(crate) fn buffered(root: &Root) -> Vec<String> {
    let mut ids = Vec::new();
    let folder = fs::read_dir(root.root.join(".tos/events"));
    for entry in folder.into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "jsonl") {
            let text = fs::read_to_string(path).unwrap();
            // A line that a kill cut short is no event.
            let events = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            ids.extend(events.map(|event: Value| event["id"].as_str().unwrap().to_owned()));
        }
    }
    ids
}

const AGENT: &str = "[ $TOS_TASK = health ] && echo ok; echo 'x = 1' > $TOS_TASK.py";

fn night(url: &str) -> Root {
    let root = Root::new(AGENT);
    root.write("config/notify.toml", "[events]\nurl_env = \"COLLECTOR\"\n");
    root.list("stop", &["T-1".to_owned(), "T-2".to_owned()], "");
    let status = root
        .silent(&["night", "start", &root.list_file()])
        .env("COLLECTOR", url)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0), "the collector is no reason to fail");
    root
}

fn sync(root: &Root, url: &str) -> (Option<i32>, String) {
    let output = root
        .command(&["night", "sync"])
        .env("COLLECTOR", url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn every_event_arrives_at_least_once_and_always_under_the_same_id() {
    let (url, got) = collector();
    let root = night(&url);
    // The first two requests fail, whoever made them.
    while sync(&root, &url).0 != Some(0) {}
    let all = buffered(&root);
    let got = got.lock().unwrap().clone();
    let distinct: BTreeSet<&String> = got.iter().collect();
    assert_eq!(distinct, all.iter().collect::<BTreeSet<_>>());
    assert!(got.len() > all.len(), "what was not confirmed came again");
    let mut first_time: Vec<&String> = Vec::new();
    for id in &got {
        if !first_time.contains(&id) {
            first_time.push(id);
        }
    }
    assert_eq!(first_time, all.iter().collect::<Vec<_>>(), "in order");
}

#[test]
fn a_collector_that_is_away_costs_nothing_but_the_delivery() {
    let root = night("http://127.0.0.1:9/secret");
    let names: Vec<String> = buffered(&root);
    assert!(names.len() >= 8, "{names:?}");
    let (code, said) = sync(&root, "http://127.0.0.1:9/secret");
    assert_eq!(code, Some(1), "{said}");
    assert!(!said.contains("secret"), "{said}");
    let (url, got) = collector();
    while sync(&root, &url).0 != Some(0) {}
    let got: BTreeSet<String> = got.lock().unwrap().iter().cloned().collect();
    assert_eq!(got, names.into_iter().collect(), "it waited in the buffer");
}

/// A collector that takes nothing that tells of a commit, and keeps everything else.
fn picky_collector() -> (String, Got) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let got = Got::default();
    let kept = Arc::clone(&got);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let body = body(&stream);
            let good = !body.contains("task_committed");
            if good {
                kept.lock().unwrap().extend(ids(&body));
            }
            let status = if good { "200 Kept" } else { "422 No" };
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    (address, got)
}

#[test]
fn an_event_that_is_refused_is_laid_aside_and_holds_nobody_up() {
    let (url, got) = picky_collector();
    let root = night(&url);
    while sync(&root, &url).0 != Some(0) {}
    let all: BTreeSet<String> = buffered(&root).into_iter().collect();
    let got: BTreeSet<String> = got.lock().unwrap().iter().cloned().collect();
    let aside = fs::read_dir(root.root.join(".tos/events")).unwrap();
    let aside = aside.map(|entry| entry.unwrap().path());
    let aside: String = aside
        .filter(|path| path.extension().is_some_and(|ending| ending == "refused"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let refused: BTreeSet<String> = ids(&aside).into_iter().collect();
    assert_eq!(refused.len(), 2, "two tasks were committed: {aside}");
    assert_eq!(got.union(&refused).cloned().collect::<BTreeSet<_>>(), all);
    assert!(got.is_disjoint(&refused));
}

#[test]
fn a_collector_that_never_answers_holds_nobody_up() {
    // The kernel takes the connection, and nobody ever reads from it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let root = night(&format!("http://{}", listener.local_addr().unwrap()));
    assert!(buffered(&root).len() >= 8);
    let ended = root.json(&["night", "summary"]);
    assert_eq!(ended["counts"]["success"], 2);
}

#[test]
fn an_address_that_is_not_set_is_named_before_anything_runs() {
    let root = Root::new(AGENT);
    root.write("config/notify.toml", "[events]\nurl_env = \"COLLECTOR\"\n");
    root.list("stop", &["T-1".to_owned()], "");
    let (code, said) = root.tos(&["night", "start", &root.list_file()]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("config/notify.toml:2:11: COLLECTOR is not set; export it"),
        "{said}"
    );
}
