//! The collector that people run, where one is installed: `otelcol` on `PATH`, in any distribution, or named by
//! `TOS_TEST_OTELCOL`. It validates what it takes, and says on standard error what it has got.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{said, sample, tos};

/// How long the collector may take to say what it has to.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the program; `None` = there is none here.
fn program() -> Option<PathBuf> {
    if let Some(named) = env::var_os("TOS_TEST_OTELCOL").filter(|name| !name.is_empty()) {
        return Some(named.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let names = ["otelcol", "otelcol-contrib"];
    let mut places = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.find(|place| place.is_file())
}

/// A running collector, and what it says line by line.
struct RealCollector {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl RealCollector {
    fn start(program: PathBuf, folder: &std::path::Path, port: u16) -> Self {
        let config = folder.join("otelcol.yaml");
        let text = format!(
            "receivers:\n  otlp:\n    protocols:\n      http:\n        endpoint: 127.0.0.1:{port}\n\
             exporters:\n  debug:\n    verbosity: detailed\n\
             service:\n  telemetry:\n    metrics:\n      level: none\n  pipelines:\n\
             \x20   traces:\n      receivers: [otlp]\n      exporters: [debug]\n\
             \x20   metrics:\n      receivers: [otlp]\n      exporters: [debug]\n"
        );
        fs::write(&config, text).unwrap();
        let mut child = Command::new(program)
            .arg(format!("--config=file:{}", config.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// Reads until all of these were said; returns what was read.
    fn until(&self, wanted: &[&str]) -> String {
        let mut read = String::new();
        while !wanted.iter().all(|one| read.contains(one)) {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("not all of {wanted:?} in:\n{read}"));
            read.push_str(&line);
            read.push('\n');
        }
        read
    }
}

impl Drop for RealCollector {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn the_collector_that_people_run_takes_spans_and_metrics() {
    let Some(program) = program() else {
        let why = "tests/telemetry: no `otelcol` on PATH, so only our own collector was tried";
        drop(writeln!(std::io::stderr(), "{why}"));
        return;
    };
    let (folder, root) = sample();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let collector = RealCollector::start(program, folder.path(), port);
    collector.until(&["Everything is ready"]);
    let ran = tos(
        &root,
        &["run", "--otlp", &format!("http://127.0.0.1:{port}")],
        &[],
    );
    assert!(ran.status.success(), "{}", said(&ran));
    assert!(!said(&ran).contains("telemetry"), "{}", said(&ran));
    collector.until(&[
        "service.name: Str(tos)",
        "Name           : run",
        "gen_ai.operation.name: Str(chat)",
        "gen_ai.client.token.usage",
        "gen_ai.client.operation.duration",
    ]);
}
