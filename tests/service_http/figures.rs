//! What the page costs on a large board. Figures, not tests: run by hand with `--ignored --nocapture`.

use std::{
    io::{BufRead, BufReader, Write},
    time::Instant,
};

use tos::domain::board::{Input, TaskSpec};

use super::server::{Server, TOKEN};

#[test]
#[ignore = "prints figures; run by hand"]
fn a_board_of_ten_thousand_tasks() {
    let server = Server::start();
    let create = |title: String| {
        let spec = Box::new(TaskSpec {
            title,
            goal: "g".into(),
            ..TaskSpec::default()
        });
        server.memory.tell(&Input::CreateTask { spec }).unwrap();
    };
    for number in 0..10_000 {
        create(format!("task {number}"));
    }
    let cookie = server.sign_in();
    for path in ["/", "/ui/board", "/tasks?limit=100", "/metrics"] {
        let mut times: Vec<u128> = (0..20)
            .map(|_| {
                let begin = Instant::now();
                assert_eq!(server.page(&cookie, path, &[]).status, 200);
                begin.elapsed().as_micros()
            })
            .collect();
        times.sort_unstable();
        println!("{path}: median {} us, worst {} us", times[10], times[19]);
    }
    let mut stream = server.connect();
    let head = format!(
        "GET /events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n",
        server.address
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut wait = |begin: &str| {
        lines
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.starts_with(begin))
    };
    wait("content-type").unwrap();
    let mut times: Vec<u128> = (0..20)
        .map(|number| {
            let begin = Instant::now();
            create(format!("more {number}"));
            wait("data:").unwrap();
            begin.elapsed().as_micros()
        })
        .collect();
    times.sort_unstable();
    println!(
        "event to follower: median {} us, worst {} us",
        times[10], times[19]
    );
}
