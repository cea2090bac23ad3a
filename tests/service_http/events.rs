//! `/events`: from any event on, in order, without a gap; and only so many who follow.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
};

use serde_json::{Value, json};

use super::server::{Server, TOKEN, read_reply};

/// Somebody who follows events.
struct Follower {
    lines: BufReader<TcpStream>,
}

impl Follower {
    fn of(server: &Server, path: &str, last: Option<&str>) -> Self {
        let mut stream = server.connect();
        let last = last.map_or(String::new(), |last| format!("Last-Event-ID: {last}\r\n"));
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {TOKEN}\r\n{last}\r\n",
            server.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(lines.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("text/event-stream"), "{head}");
        Self { lines }
    }

    fn line(&mut self, begin: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(
                self.lines.read_line(&mut line).unwrap() > 0,
                "the stream ended"
            );
            if let Some(rest) = line.strip_prefix(begin) {
                return rest.trim().to_owned();
            }
        }
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.line("data:")).unwrap()
    }
}

fn create(server: &Server, count: usize) {
    for number in 0..count {
        let reply = server.post(
            "/tasks",
            &json!({"title": format!("t{number}"), "goal": "g"}),
        );
        assert_eq!(reply.status, 201);
    }
}

#[test]
fn a_follower_is_told_what_happens_from_now_on() {
    let server = Server::start();
    create(&server, 3);
    let mut follower = Follower::of(&server, "/events", None);
    create(&server, 1);
    let event = follower.next();
    assert_eq!(event["type"], "task.created");
    assert_eq!(event["task"], 4);
    assert_eq!(event["spec"]["title"], "t0");
    assert!(event["at"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn one_who_comes_back_misses_nothing_and_hears_nothing_twice() {
    let server = Server::start();
    create(&server, 600);
    let newest = 600;
    let mut follower = Follower::of(&server, "/events?after=999999999", Some("1"));
    for seq in 2..=newest {
        assert_eq!(follower.next()["seq"], seq);
    }
    create(&server, 50);
    for seq in newest + 1..=newest + 50 {
        assert_eq!(follower.next()["seq"], seq);
    }
    let mut other = Follower::of(&server, "/events?after=600", None);
    assert_eq!(other.line("id:"), "601");
}

#[test]
fn one_who_is_too_slow_for_the_feed_reads_on_from_the_log() {
    let server = Server::start();
    let mut follower = Follower::of(&server, "/events", None);
    // Far more at once than the feed keeps.
    let memory = std::sync::Arc::clone(&server.memory);
    for number in 0..2000 {
        let spec = Box::new(tos::domain::board::TaskSpec {
            title: format!("t{number}"),
            goal: "g".into(),
            ..Default::default()
        });
        memory
            .tell(&tos::domain::board::Input::CreateTask { spec })
            .unwrap();
    }
    for seq in 1..2001 {
        assert_eq!(follower.next()["seq"], seq);
    }
}

#[test]
fn a_number_that_does_not_exist_yet_means_look_again() {
    let server = Server::start();
    let mut follower = Follower::of(&server, "/events", Some("77"));
    assert_eq!(follower.line("event:"), "reset");
    create(&server, 1);
    assert_eq!(follower.line("id:"), "1");
    let bearer = format!("Bearer {TOKEN}");
    let wrong = [("Authorization", bearer.as_str()), ("Last-Event-ID", "x")];
    assert_eq!(server.send("GET", "/events", &wrong, b"").status, 400);
}

#[test]
fn idle_followers_have_their_places_and_the_rest_is_refused_politely() {
    let server = Server::with(|options| {
        options.followers = 16;
        options.connections = 100;
    });
    let mut inside: Vec<Follower> = (0..16)
        .map(|_| Follower::of(&server, "/events", None))
        .collect();
    let mut refused = 0;
    // Those who are refused keep their end open, and do not take the places of others by that.
    let mut idle = Vec::new();
    for _ in 0..1000 {
        let mut stream = server.connect();
        let head = format!(
            "GET /events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n",
            server.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        let reply = read_reply(&mut stream);
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (503, "too_many_followers")
        );
        assert_eq!(reply.header("retry-after"), Some("10"));
        assert_eq!(reply.header("connection"), Some("close"));
        idle.push(stream);
        refused += 1;
    }
    assert_eq!(refused, 1000);
    // Others are answered, and those inside hear what happens.
    assert_eq!(server.get("/tasks").status, 200);
    create(&server, 1);
    for follower in &mut inside {
        assert_eq!(follower.next()["type"], "task.created");
    }
    // A place that is given up can be taken.
    drop(inside);
    create(&server, 1);
    let again = (0..2000).any(|_| {
        std::thread::yield_now();
        let text = server.get("/metrics").text();
        text.contains("\ntos_followers 0\n")
    });
    assert!(again);
    drop(Follower::of(&server, "/events", None));
}
