//! A storm: three servers, two controllers, four workers, and something is killed or frozen again and again.
//!
//! `TOS_STORM_FAULTS=300` makes it long. What was frozen wakes up again, what was killed is started anew; in the end every task is done,
//! each has exactly one commit on the branch, and no lease ended twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{chance::Chance, nats::free_port, place::Place, repository::git, signal};

/// Three servers that know each other.
pub(crate) struct Servers {
    folder: tempfile::TempDir,
    ports: Vec<(u16, u16)>,
    children: Vec<Child>,
}

impl Servers {
    pub(crate) fn start() -> Self {
        let mut servers = Self {
            folder: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
            ports: (0..3).map(|_| (free_port(), free_port())).collect(),
            children: Vec::new(),
        };
        for number in 0..3 {
            let child = servers.spawn(number);
            servers.children.push(child);
        }
        servers
    }

    fn spawn(&self, number: usize) -> Child {
        let top = self.folder.path();
        let (port, route) = self.ports[number];
        let routes: Vec<String> = self
            .ports
            .iter()
            .map(|(_, route)| format!("\"nats://127.0.0.1:{route}\""))
            .collect();
        let config = format!(
            "server_name: n{number}\nlisten: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\" }}\ncluster {{ name: storm, listen: \"127.0.0.1:{route}\", routes: [{}] }}\n",
            top.join(format!("store{number}")).display(),
            routes.join(", ")
        );
        let file = top.join(format!("n{number}.conf"));
        fs::write(&file, config).unwrap();
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(top.join(format!("n{number}.log")));
        let log = log.unwrap();
        let mut command = Command::new("nats-server");
        command.arg("-c").arg(file).stdin(Stdio::null());
        command
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    pub(crate) fn url(&self) -> String {
        let urls = self
            .ports
            .iter()
            .map(|(port, _)| format!("nats://127.0.0.1:{port}"));
        urls.collect::<Vec<_>>().join(",")
    }

    /// Kills one of them for good.
    pub(crate) fn lose(&mut self, number: usize) {
        drop(self.children[number].kill());
        drop(self.children[number].wait());
    }

    /// Waits until streams with three copies can be made.
    pub(crate) async fn until_ready(&self) {
        let client = async_nats::ConnectOptions::new().retry_on_initial_connect();
        let urls: Vec<String> = self.url().split(',').map(str::to_owned).collect();
        let client = client.connect(urls).await.unwrap();
        let mut stream = async_nats::jetstream::new(client);
        // Before they have chosen a leader they answer nothing at all.
        stream.set_timeout(Duration::from_millis(500));
        for _ in 0..600 {
            let config = async_nats::jetstream::stream::Config {
                name: "READY".to_owned(),
                num_replicas: 3,
                ..Default::default()
            };
            if stream.create_stream(config).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the servers make no stream with three copies");
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// A controller or a worker that is started anew when it is gone.
struct Program {
    place: Place,
    words: Vec<String>,
    log: PathBuf,
    child: Child,
}

impl Program {
    fn start(place: Place, words: Vec<String>) -> Self {
        let log = place.top.with_extension("log");
        let child = Self::spawn(&place, &words, &log);
        Self {
            place,
            words,
            log,
            child,
        }
    }

    fn spawn(place: &Place, words: &[String], log: &PathBuf) -> Child {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let mut command = place.command(&words);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        command.spawn().unwrap()
    }

    /// Starts it again where it has ended.
    fn revive(&mut self) {
        if self.child.try_wait().unwrap().is_some() {
            drop(fs::remove_file(self.place.top.join(".tos/serve.json")));
            self.child = Self::spawn(&self.place, &self.words, &self.log);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(
            Command::new("kill")
                .args(["-CONT", &self.child.id().to_string()])
                .status(),
        );
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

struct Storm {
    servers: Servers,
    controllers: Vec<Program>,
    workers: Vec<Program>,
    chance: Chance,
}

impl Storm {
    /// Kills or freezes one of everything, and brings it back a while later.
    fn fault(&mut self) {
        let (which, kill) = (self.chance.below(9), self.chance.below(2) == 0);
        let pause = Duration::from_millis(200 + self.chance.below(2500));
        let child = match which {
            0..=2 => &mut self.servers.children[which],
            3..=4 => &mut self.controllers[which - 3].child,
            _ => &mut self.workers[which - 5].child,
        };
        if child.try_wait().unwrap().is_none() {
            signal(child, if kill { "-KILL" } else { "-STOP" });
        }
        std::thread::sleep(pause);
        if kill {
            drop(child.wait());
        } else if child.try_wait().unwrap().is_none() {
            signal(child, "-CONT");
        }
        if kill && which < 3 {
            self.servers.children[which] = self.servers.spawn(which);
        }
        self.revive();
    }

    fn revive(&mut self) {
        for program in self.controllers.iter_mut().chain(&mut self.workers) {
            program.revive();
        }
    }

    /// Asks whichever controller leads, until one answers.
    fn ask(&mut self, method: &str, path: &str, body: &Value) -> Value {
        for _ in 0..3000 {
            let answers = self.controllers.iter();
            let mut answers = answers.filter_map(|one| asked(&one.place, method, path, body));
            if let Some(answer) = answers.next() {
                return answer;
            }
            self.revive();
            std::thread::sleep(Duration::from_millis(50));
        }
        let answers = self.controllers.iter().map(|one| {
            let state = fs::read_to_string(format!("/proc/{}/stat", one.child.id()));
            let answer = answered(&one.place, method, path, body);
            format!("{state:?}: {answer:?}")
        });
        let answers: Vec<String> = answers.collect();
        panic!(
            "no controller answers {method} {path}: {answers:#?} {}",
            self.said()
        );
    }

    /// Says yes to whatever the board asks.
    fn allow(&mut self) {
        let open = self.ask("GET", "/approvals?open=true", &Value::Null);
        for one in open["approvals"].as_array().unwrap() {
            let path = format!("/approvals/{}", one["id"]);
            // Another controller may have it answered already.
            for controller in &self.controllers {
                drop(asked(
                    &controller.place,
                    "POST",
                    &path,
                    &json!({ "allow": true }),
                ));
            }
        }
    }

    /// Waits until every task is done.
    fn until_done(&mut self, tasks: &[u64]) {
        // What is done stays done; the events are looked at in the end.
        let mut left = tasks.to_vec();
        let mut told = Vec::new();
        for _ in 0..3000 {
            self.allow();
            told.clear();
            left.retain(|task| {
                let path = format!("/tasks/{task}");
                let task = self.ask("GET", &path, &Value::Null);
                let found = &task["task"];
                told.push(json!([found["id"], found["status"], task["why"]]));
                found["status"] != "done"
            });
            if left.is_empty() {
                return;
            }
            self.revive();
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{left:?}: {told:?}: {}", self.said());
    }

    fn said(&self) -> String {
        let programs = self.controllers.iter().chain(&self.workers);
        let said = programs.map(|one| fs::read_to_string(&one.log).unwrap_or_default());
        let ends = said.map(|text| {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(20)..].join("\n")
        });
        ends.collect::<Vec<_>>().join("\n---\n")
    }
}

/// Asks the controller of a place; `None` where none answers there, or with a refusal.
fn asked(place: &Place, method: &str, path: &str, body: &Value) -> Option<Value> {
    let text = answered(place, method, path, body)?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.split(' ')
        .nth(1)?
        .starts_with('2')
        .then(|| serde_json::from_str(body).ok())?
}

/// Returns whatever the controller of a place answers.
fn answered(place: &Place, method: &str, path: &str, body: &Value) -> Option<String> {
    let text = fs::read_to_string(place.top.join(".tos/serve.json")).ok()?;
    let found: Value = serde_json::from_str(&text).ok()?;
    let (address, token) = (found["address"].as_str()?, found["token"].as_str()?);
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let mut stream = TcpStream::connect(address).ok()?;
    // One that is frozen takes the connection and never answers.
    stream.set_read_timeout(Some(Duration::from_secs(3))).ok()?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// Returns what was written of an event: its word and its fields.
fn events(place: &Place) -> Vec<Value> {
    let text = place.tos(&["board", "export"]);
    let events = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.collect()
}

#[tokio::test]
async fn whatever_is_killed_or_frozen_every_task_is_done_once() {
    let faults: usize = std::env::var("TOS_STORM_FAULTS").map_or(5, |text| text.parse().unwrap());
    let servers = Servers::start();
    servers.until_ready().await;
    let cluster = [
        "--nats".to_owned(),
        servers.url(),
        "--nats-board".to_owned(),
        "storm".to_owned(),
        "--nats-lease".to_owned(),
        "3".to_owned(),
    ];
    let words = |first: &[&str]| {
        let first = first.iter().map(|&word| word.to_owned());
        first
            .chain(cluster.iter().cloned())
            .collect::<Vec<String>>()
    };
    let settings = "FAILED_TASK_RETRY_COOLDOWN_MS = 10\nFAILED_TASK_MAX_RETRY_COUNT = 1000\nCYCLE_MAX_FAILURE_PERCENT = 101\n";
    let first = Place::new(settings);
    let second = first.cloned_at_the_start();
    let controllers =
        [first, second].map(|place| Program::start(place, words(&["serve", "--drain", "1"])));
    let workers = ["w1", "w2", "w3", "w4"].map(|name| {
        Program::start(
            Place::empty(),
            words(&["worker", "--drain", "1", "--name", name]),
        )
    });
    let mut storm = Storm {
        servers,
        controllers: controllers.into(),
        workers: workers.into(),
        chance: Chance::new(7),
    };
    let mut tasks = Vec::new();
    for fault in 0..faults {
        let spec = json!({ "title": format!("note {fault}"), "key": format!("storm-{fault}") });
        tasks.push(
            storm.ask("POST", "/tasks", &spec)["task"]["id"]
                .as_u64()
                .unwrap(),
        );
        storm.fault();
        storm.allow();
    }
    storm.until_done(&tasks);
    let ids: BTreeSet<u64> = tasks.iter().copied().collect();
    assert_eq!(ids.len(), faults, "a task was made twice: {tasks:?}");
    checked(&storm, &tasks);
}

/// What happens once: the event, and what it happens to.
const ONCE: [(&str, &str); 9] = [
    ("task.created", "task"),
    ("task.done", "task"),
    ("run.started", "fence"),
    ("run.finished", "run"),
    ("run.spent", "run"),
    ("judge.started", "fence"),
    ("judge.review", "judgement"),
    ("judge.merge_queue_enqueued", "judgement"),
    ("judge.merge_queue_finished", "merge"),
];

/// Looks for effects that happened twice, on the branch and on the board.
fn checked(storm: &Storm, tasks: &[u64]) {
    let leader = storm
        .controllers
        .iter()
        .find(|one| asked(&one.place, "GET", "/health", &Value::Null).is_some());
    let place = &leader.unwrap().place;
    for task in tasks {
        let file = format!("notes-task-{task}.txt");
        let added = git(
            &place.top,
            &["log", "--diff-filter=A", "--format=%H", "main", "--", &file],
        );
        assert_eq!(added.lines().count(), 1, "task-{task}: {added}");
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for event in events(place) {
        let what = &event["what"];
        for (word, field) in ONCE {
            if what["type"] == word {
                *seen.entry(format!("{word} {}", what[field])).or_default() += 1;
                // Runs and judgements take their numbers from one row.
                if field == "fence" {
                    *seen.entry(format!("fence {}", what[field])).or_default() += 1;
                }
            }
        }
    }
    assert!(!seen.is_empty());
    let twice: Vec<_> = seen.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}
