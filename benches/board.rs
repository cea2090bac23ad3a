//! What a large board costs: its events on the disk, its start, its page, its rest. One command prints all figures:
//!
//! `cargo bench --bench board` (some minutes; `TOS_BENCH_TASKS` and `TOS_BENCH_EVENTS` change the size of the board.)
//!
//! The board is filled through [`Board::handle`] as a service would, with leases that are renewed; the store is the real one,
//! on the real disk, and the service is the real program.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_types,
    reason = "a bench looks at the real disk, prints, and may fail loudly"
)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use tos::{
    adapters::{board::SqliteBoard, clock::SystemClock},
    domain::board::{
        AttemptCommit, Board, Controller, Event, Input, JudgementId, MergeId, MergeOutcome, RunId,
        RunOutcome, TaskSpec, Verdict,
    },
    ports::board_store::{BoardBatch, BoardStore},
    services::board::start,
};

const AT: u64 = 1_780_000_000_000;

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let Some(at) = words.iter().position(|word| word == "--load") {
        return load(Path::new(&words[at + 1]));
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let tasks = number("TOS_BENCH_TASKS", 10_000);
    let events = number("TOS_BENCH_EVENTS", 1_000_000);
    println!("machine: {}", machine());
    fsync(folder.path());
    let usual = folder.path().join("usual/.tos/board.sqlite");
    fill(&usual, tasks, events);
    again("--load", &usual);
    groups(&usual);
    if number("TOS_BENCH_LARGE", 1) > 0 {
        let large = folder.path().join("large/.tos/board.sqlite");
        fill(&large, tasks * 10, 1);
        again("--load", &large);
        groups(&large);
    }
    service(&folder.path().join("usual"));
}

fn number(name: &str, usual: u64) -> u64 {
    let asked = std::env::var(name).ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{cores} cores, {}; load {}",
        model.unwrap_or("?"),
        load.split(' ').next().unwrap_or("?")
    )
}

/// What the disk itself takes to keep a small write.
fn fsync(folder: &Path) {
    let mut file = std::fs::File::create(folder.join("sync")).unwrap();
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            file.write_all(&[7; 4096]).unwrap();
            let begin = Instant::now();
            file.sync_data().unwrap();
            begin.elapsed()
        })
        .collect();
    println!("a 4 KiB write with fsync: {}", spread(&mut times));
}

fn spread(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    format!(
        "median {:?}, 95 % {:?}, 99 % {:?}, worst {:?}",
        at(50),
        at(95),
        at(99),
        at(100)
    )
}

/// Makes a board through its own decisions and writes it as the service would.
struct Filler {
    board: Board,
    store: SqliteBoard,
    events: Vec<Event>,
    first: u64,
    now: u64,
    deciding: Duration,
    writing: Duration,
}

impl Filler {
    fn tell(&mut self, input: &Input) {
        let begin = Instant::now();
        let decision = self.board.handle(input, self.now).unwrap();
        for event in &decision.events {
            self.board.apply(event);
        }
        self.events.extend(decision.events);
        self.deciding += begin.elapsed();
        if self.events.len() >= 4000 {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let begin = Instant::now();
        let keys = self.board.take_dirty();
        let thing = |key: tos::domain::board::EntityKey| (key.clone(), self.board.entity(&key));
        let batch = BoardBatch {
            first: self.first,
            entities: keys.into_iter().map(thing).collect(),
            events: std::mem::take(&mut self.events),
        };
        self.first += batch.events.len() as u64;
        self.store.append(&batch).unwrap();
        self.writing += begin.elapsed();
    }

    /// Brings the processes up.
    fn begin(&mut self) {
        self.tell(&Input::ServiceStarted {
            instance: "bench".into(),
            adopt: std::collections::BTreeSet::new(),
        });
        for name in ["dispatcher", "cycle-manager", "worker-1", "judge"] {
            self.tell(&Input::StartProcess {
                name: name.into(),
                requirement: None,
                by: "bench".into(),
            });
            let process = self.board.processes();
            let process = process
                .iter()
                .find(|process| process.name.to_string() == name);
            let process = process.unwrap();
            self.tell(&Input::ProcessUp {
                name: process.name,
                generation: process.generation,
            });
        }
    }

    /// A task from its creation to its branch.
    fn task(&mut self, number: u64, renewals: u64) {
        self.now += 1000;
        self.tell(&Input::CreateTask {
            spec: Box::new(spec(number)),
        });
        let wake = Input::Wake {
            part: Controller::Dispatcher,
        };
        self.tell(&wake);
        let run = RunId(self.board.globals().last_run.0);
        let fence = self.board.globals().last_fence;
        for _ in 0..renewals {
            self.now += 15_000;
            self.tell(&Input::RenewRun { run, fence });
        }
        let name = |number: u64| format!("{:040x}", u128::from(number) * 0x9E37_79B9_7F4A_7C15);
        let (base, hash) = (name(number), name(number + 1));
        let kept = AttemptCommit {
            commit: hash.clone(),
            reference: format!("refs/tos/attempts/board/{number}/{}", run.0),
            base: base.clone(),
        };
        self.tell(&Input::FinishRun {
            run,
            fence,
            outcome: RunOutcome::Committed { kept },
            log: format!(".tos/task-logs/board-{}", run.0),
        });
        self.tell(&wake);
        let verdict = Verdict::Approve {
            base,
            commit: hash,
            notes: Vec::new(),
        };
        self.tell(&Input::FinishJudgement {
            judgement: JudgementId(self.board.globals().last_judgement.0),
            fence: self.board.globals().last_fence,
            verdict,
        });
        self.tell(&wake);
        self.tell(&Input::FinishMerge {
            merge: MergeId(self.board.globals().last_merge.0),
            fence: self.board.globals().last_fence,
            outcome: MergeOutcome::Merged,
        });
    }
}

fn spec(number: u64) -> TaskSpec {
    TaskSpec {
        title: format!("task {number}: a title as people write them"),
        goal: "What the agent is asked to do, in a few sentences. ".repeat(6),
        paths: vec![format!("src/part_{}/**", number % 500)],
        key: format!("list/{number}"),
        source: "bench".into(),
        ..TaskSpec::default()
    }
}

/// Half of the tasks are merged, the other half is queued and held.
fn fill(path: &Path, tasks: u64, events: u64) {
    let mut filler = Filler {
        board: Board::default(),
        store: SqliteBoard::open(path).unwrap(),
        events: Vec::new(),
        first: 1,
        now: AT,
        deciding: Duration::ZERO,
        writing: Duration::ZERO,
    };
    filler.begin();
    let merged = tasks / 2;
    let renewals = (events.saturating_sub(tasks / 2) / merged.max(1)).saturating_sub(12);
    for number in 0..merged {
        filler.task(number, renewals);
    }
    filler.tell(&Input::Hold {
        reason: "bench".into(),
        by: "bench".into(),
    });
    for number in merged..tasks {
        filler.tell(&Input::CreateTask {
            spec: Box::new(spec(number)),
        });
    }
    filler.flush();
    let events = filler.first - 1;
    drop(filler.store);
    let bytes = std::fs::metadata(path).unwrap().len();
    println!(
        "\n{tasks} tasks, {events} events: deciding and folding {:.1} us an event, writing {:.1} us, {} MiB on the disk, {} bytes an event",
        filler.deciding.as_secs_f64() * 1e6 / events as f64,
        filler.writing.as_secs_f64() * 1e6 / events as f64,
        bytes >> 20,
        bytes / events
    );
    let mut times: Vec<Duration> = (0..100)
        .map(|_| {
            let begin = Instant::now();
            let copy = filler.board.clone();
            assert!(copy.globals().events > 0);
            begin.elapsed()
        })
        .collect();
    println!("a copy of the board: {}", spread(&mut times));
}

/// Starts this program anew, so that its memory is that of one thing.
fn again(word: &str, path: &Path) {
    let program = std::env::current_exe().unwrap();
    let status = Command::new(program).arg(word).arg(path).status();
    assert!(status.unwrap().success());
}

fn load(path: &Path) {
    let before = memory("self", "VmRSS");
    let begin = Instant::now();
    let (board, last) = SqliteBoard::open(path).unwrap().load().unwrap();
    let took = begin.elapsed();
    let now = memory("self", "VmRSS");
    println!(
        "load of {last} events, {} tasks: {took:?}, {} KiB more, most {} KiB",
        board.tasks().count(),
        now - before,
        memory("self", "VmHWM")
    );
}

fn memory(process: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let words = line
        .unwrap()
        .trim_matches(|c: char| !c.is_ascii_digit())
        .to_owned();
    words.parse().unwrap()
}

/// Many people at once: how many events become durable in a second, and what one of them waits.
fn groups(path: &Path) {
    let copy = path.with_extension("copy");
    std::fs::copy(path, &copy).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let store = Box::new(SqliteBoard::open(&copy).unwrap());
    let (handle, _effects) = start(store, Arc::new(SystemClock::new())).unwrap();
    let create = |number: u64| Input::CreateTask {
        spec: Box::new(TaskSpec {
            key: String::new(),
            ..spec(number)
        }),
    };
    for together in [1_u64, 64, 512] {
        let rounds = if together == 1 {
            200
        } else {
            20_480 / together
        };
        let begin = Instant::now();
        let mut times = Vec::new();
        runtime.block_on(async {
            let mut work = tokio::task::JoinSet::new();
            for worker in 0..together {
                let handle = handle.clone();
                let inputs: Vec<Input> = (0..rounds).map(|round| create(worker + round)).collect();
                work.spawn(async move {
                    let mut times = Vec::new();
                    for input in inputs {
                        let begin = Instant::now();
                        handle.submit(input).await.unwrap();
                        times.push(begin.elapsed());
                    }
                    times
                });
            }
            while let Some(done) = work.join_next().await {
                times.extend(done.unwrap());
            }
        });
        println!(
            "{together} at a time: {:.0} durable events a second; one waits {}",
            times.len() as f64 / begin.elapsed().as_secs_f64(),
            spread(&mut times)
        );
    }
    drop(handle);
}

struct Service {
    child: Child,
    address: String,
    token: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Service {
    fn start(top: &Path) -> Self {
        let program = option_env!("CARGO_BIN_EXE_tos").map(PathBuf::from);
        let program = std::env::var_os("TOS_PROGRAM").map_or(program, |path| Some(path.into()));
        let begin = Instant::now();
        let log = std::fs::File::create(top.join("serve.log")).unwrap();
        let child = Command::new(program.expect("TOS_PROGRAM names the program"))
            .args(["serve", "--drain", "1"])
            .current_dir(top)
            .env("HOME", top)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut service = Self {
            child,
            address: String::new(),
            token: String::new(),
        };
        let file = top.join(".tos/serve.json");
        while service.address.is_empty() {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) {
                let word = |name: &str| value[name].as_str().unwrap().to_owned();
                (service.address, service.token) = (word("address"), word("token"));
            } else if service.child.try_wait().unwrap().is_some() {
                panic!(
                    "{}",
                    std::fs::read_to_string(top.join("serve.log")).unwrap()
                );
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(
            service
                .ask("GET", "/health", "", "")
                .starts_with("HTTP/1.1 200")
        );
        println!(
            "from the start of the program to its first answer: {:?}",
            begin.elapsed()
        );
        service
    }

    fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(text.as_bytes()).unwrap();
        stream
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        let headers = format!("{headers}Connection: close\r\n");
        let headers = if headers.contains("Cookie") {
            headers
        } else {
            format!("{headers}Authorization: Bearer {}\r\n", self.token)
        };
        let mut text = String::new();
        let mut stream = self.send(method, path, &headers, body);
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// Signs in as a browser does.
    fn cookie(&self) -> String {
        let answer = self.ask("POST", "/sign-in/codes", "", "");
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let value: serde_json::Value = serde_json::from_str(body).unwrap();
        let answer = self.ask(
            "GET",
            value["path"].as_str().unwrap(),
            "Accept: text/html\r\n",
            "",
        );
        let cookie = answer
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "));
        cookie.unwrap().split(';').next().unwrap().to_owned()
    }

    /// Processor time it has used.
    fn used(&self) -> Duration {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let words: Vec<&str> = text.rsplit_once(')').unwrap().1.split(' ').collect();
        let ticks: u64 = words[12].parse::<u64>().unwrap() + words[13].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }
}

/// The real service with the board that was filled.
fn service(top: &Path) {
    let git = |words: &[&str]| {
        let status = Command::new("git")
            .args(words)
            .current_dir(top)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stdout(Stdio::null())
            .status();
        assert!(status.unwrap().success());
    };
    std::fs::create_dir_all(top.join("config")).unwrap();
    let config = "test_command = [\"true\"]\n[agent]\nkind = \"command\"\nargs = [\"true\"]\n";
    std::fs::write(top.join("config/service.toml"), config).unwrap();
    git(&["init", "-q", "-b", "main", "."]);
    git(&["add", "config"]);
    git(&[
        "-c",
        "user.name=bench",
        "-c",
        "user.email=bench@example.com",
        "commit",
        "-q",
        "-m",
        "start",
    ]);
    println!();
    let service = Service::start(top);
    let process = service.child.id().to_string();
    println!("memory after the start: {} KiB", memory(&process, "VmRSS"));
    std::thread::sleep(Duration::from_secs(8));
    println!("memory 8 s later: {} KiB", memory(&process, "VmRSS"));
    under_load(&service);
    pages(&service);
    rest(&service);
    crowd(&service);
}

/// As many requests as one token may send, from eight clients at once, one in ten of them a new task.
fn under_load(service: &Service) {
    const CLIENTS: u64 = 8;
    const EACH: u64 = 180;
    let mut times: Vec<Duration> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn(move || {
                    let mut times = Vec::new();
                    for number in 0..EACH {
                        // 48 a second by all of them; 50 are allowed.
                        std::thread::sleep(Duration::from_millis(166 + client));
                        let task = 1 + (client * EACH + number) * 6;
                        let (method, path, body) = match number % 10 {
                            0 => ("POST", "/tasks".to_owned(), "{\"title\":\"one more\"}"),
                            1 | 2 => ("GET", "/tasks?limit=100".to_owned(), ""),
                            3 | 4 => ("GET", "/runs?limit=100".to_owned(), ""),
                            5 | 6 => ("GET", "/system/processes".to_owned(), ""),
                            _ => ("GET", format!("/tasks/{task}"), ""),
                        };
                        let begin = Instant::now();
                        let answer = service.ask(method, &path, "", body);
                        times.push(begin.elapsed());
                        assert!(answer.starts_with("HTTP/1.1 20"), "{path}: {answer}");
                    }
                    times
                })
            })
            .collect();
        let ended = clients.into_iter().map(|client| client.join().unwrap());
        ended.flatten().collect()
    });
    println!(
        "{} requests of 8 clients at once: {}",
        times.len(),
        spread(&mut times)
    );
}

fn pages(service: &Service) {
    let cookie = service.cookie();
    let headers = format!("Cookie: {cookie}\r\nAccept: text/html\r\n");
    for path in ["/", "/ui/board", "/tasks?limit=100"] {
        let mut times: Vec<Duration> = (0..40)
            .map(|_| {
                std::thread::sleep(Duration::from_millis(30));
                let begin = Instant::now();
                let answer = service.ask("GET", path, &headers, "");
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                begin.elapsed()
            })
            .collect();
        println!("{path}: {}", spread(&mut times));
    }
    let bearer = format!("Authorization: Bearer {}\r\n", service.token);
    let mut lines = BufReader::new(service.send("GET", "/events", &bearer, "")).lines();
    let mut until = |begin: &str| {
        let found = lines
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.starts_with(begin));
        assert!(found.is_some());
    };
    until("content-type");
    let (mut told, mut shown) = (Vec::new(), Vec::new());
    for number in 0..40 {
        std::thread::sleep(Duration::from_millis(60));
        let body = format!("{{\"title\":\"shown {number}\"}}");
        let begin = Instant::now();
        assert!(
            service
                .ask("POST", "/tasks", "", &body)
                .starts_with("HTTP/1.1 201")
        );
        until("data:");
        told.push(begin.elapsed());
        let page = service.ask("GET", "/", &headers, "");
        assert!(page.contains(&format!("shown {number}")));
        shown.push(begin.elapsed());
    }
    println!(
        "from a request to its event at a follower: {}",
        spread(&mut told)
    );
    println!(
        "from a request to the page that shows it: {}",
        spread(&mut shown)
    );
}

fn rest(service: &Service) {
    let bearer = format!("Authorization: Bearer {}\r\n", service.token);
    let _follower = service.send("GET", "/events", &bearer, "");
    // Within a minute what nobody uses is given back.
    std::thread::sleep(Duration::from_secs(70));
    let (begin, used) = (Instant::now(), service.used());
    std::thread::sleep(Duration::from_secs(30));
    let share = service.used().saturating_sub(used).as_secs_f64() / begin.elapsed().as_secs_f64();
    let process = service.child.id().to_string();
    println!(
        "at rest: {:.2} % of one core, {} KiB",
        share * 100.0,
        memory(&process, "VmRSS")
    );
}

/// Ten thousand who want to follow and then do nothing.
fn crowd(service: &Service) {
    let bearer = format!("Authorization: Bearer {}\r\n", service.token);
    let process = service.child.id().to_string();
    let before = memory(&process, "VmRSS");
    let (mut streams, mut answers) = (Vec::new(), std::collections::BTreeMap::new());
    for _ in 0..10_000 {
        let mut stream = service.send("GET", "/events", &bearer, "");
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut head = [0; 12];
        let answer = match stream.read_exact(&mut head) {
            Ok(()) => String::from_utf8_lossy(&head).into_owned(),
            Err(error) => error.kind().to_string(),
        };
        *answers.entry(answer).or_insert(0) += 1;
        streams.push(stream);
    }
    println!(
        "10,000 followers: {answers:?}; {} KiB more",
        memory(&process, "VmRSS").saturating_sub(before)
    );
    assert!(
        service
            .ask("GET", "/health", "", "")
            .starts_with("HTTP/1.1")
    );
}
