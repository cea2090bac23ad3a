//! Checkpoint and rollback against the git program, in pairs within one run.
//!
//! `cargo bench --bench checkpoint` times tos alone on small and medium trees (criterion).
//! `cargo bench --bench checkpoint -- --pairs [S|M|L]` prints medians of interleaved pairs and their
//! ratios, as rows of the table of docs/performance.md. Scratch files are kept until the end: removing them between repetitions slows the file
//! system down by far more than what is measured.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark looks at the real disk and clock, and says what it saw"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use criterion::{BatchSize, Criterion};
use tempfile::TempDir;
use tos::{
    adapters::git::{GitCheckpoints, options::CheckpointOptions},
    domain::checkpoint::{CheckpointRequest, RollbackRequest},
    ports::checkpoints::Checkpoints,
};

const REPETITIONS: usize = 7;

/// Name, files, bytes per file.
const SIZES: [(&str, usize, usize); 3] = [
    ("S", 200, 4_000),
    ("M", 10_000, 10_000),
    ("L", 50_000, 6_000),
];

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if words.iter().any(|word| word == "--pairs") {
        for (name, files, bytes) in SIZES {
            let is_named = |word: &String| SIZES.iter().any(|(size, ..)| word == size);
            if !words.iter().any(is_named) || words.iter().any(|word| word == name) {
                pairs(name, files, bytes);
            }
        }
        return;
    }
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    for (name, files, bytes) in &SIZES[..2] {
        let tree = Tree::new(*files, *bytes);
        let mut round = 0;
        criterion.bench_function(&format!("checkpoint/{name}/10 changed"), |bencher| {
            bencher.iter_batched(
                || {
                    round += 1;
                    tree.change(10, round);
                },
                |()| tree.take(),
                BatchSize::PerIteration,
            );
        });
    }
    criterion.final_summary();
}

fn pairs(name: &str, files: usize, bytes: usize) {
    let (ours, theirs) = (Tree::new(files, bytes), Tree::new(files, bytes));
    for changed in [0, 10, 1000] {
        if changed > files {
            continue;
        }
        let mut takes = Pair::default();
        let mut returns = Pair::default();
        for round in 0..REPETITIONS {
            for tree in [&ours, &theirs] {
                tree.change(changed, changed * 100 + round);
            }
            takes.add(round, || ours.take(), || theirs.commit());
            returns.add(round, || ours.roll_back(), || theirs.reset());
        }
        let (take, back) = goals(name, changed);
        println!("| checkpoint, {files} files, {changed} changed / git | {takes} | {take} |");
        println!("| rollback, {files} files, {changed} changed / git | {returns} | {back} |");
    }
}

/// What the table of docs/performance.md asks for: checkpoint and rollback.
fn goals(name: &str, changed: usize) -> (&'static str, &'static str) {
    match (name, changed) {
        ("S", 0) => ("<= 0.9", "<= 1.2"),
        ("S", _) => ("", "<= 1.2"),
        ("M", 0) => ("<= 0.4", ""),
        ("M", 10) => ("<= 0.4", "<= 0.7"),
        ("M", _) => ("<= 0.25", "<= 0.6"),
        _ => ("", ""),
    }
}

/// Times of tos and of git.
#[derive(Default)]
struct Pair {
    ours: Vec<Duration>,
    theirs: Vec<Duration>,
}

impl Pair {
    /// Runs both, in turns one first and then the other.
    fn add(&mut self, round: usize, ours: impl Fn(), theirs: impl Fn()) {
        if round.is_multiple_of(2) {
            self.ours.push(timed(&ours));
            self.theirs.push(timed(&theirs));
        } else {
            self.theirs.push(timed(&theirs));
            self.ours.push(timed(&ours));
        }
    }
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (ours, theirs) = (median(&self.ours), median(&self.theirs));
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        let (ours, theirs) = (milliseconds(ours), milliseconds(theirs));
        write!(f, "{ours:.2} ms | {theirs:.2} ms | {ratio:.2}")
    }
}

fn timed(work: impl Fn()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}

/// A repository with generated files.
struct Tree {
    _folder: TempDir,
    top: PathBuf,
    files: usize,
    bytes: usize,
}

impl Tree {
    fn new(files: usize, bytes: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let top = folder.path().to_owned();
        let tree = Self {
            _folder: folder,
            top,
            files,
            bytes,
        };
        for file in 0..files {
            tree.write(file, 0);
        }
        tree.git(&["init", "-q", "-b", "main", "."]);
        tree.git(&["config", "user.name", "Bench"]);
        tree.git(&["config", "user.email", "bench@example.com"]);
        tree.git(&["config", "gc.auto", "0"]);
        tree.commit();
        tree.git(&["gc", "-q"]);
        tree
    }

    fn path(&self, file: usize) -> PathBuf {
        self.top.join(format!(
            "d{:02}/s{:02}/file{file}.txt",
            file / 1000,
            file / 100 % 10
        ))
    }

    fn write(&self, file: usize, round: usize) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content(file * 7919 + round * 104_729, self.bytes)).unwrap();
    }

    /// Changes files all over the tree.
    fn change(&self, changed: usize, round: usize) {
        for number in 0..changed {
            self.write(number * (self.files / changed.max(1)), round + 1);
        }
    }

    fn take(&self) {
        let order = CheckpointRequest {
            name: "bench".to_owned(),
            allow_secrets: false,
        };
        block_on(self.checkpoints().take(&order)).unwrap();
    }

    fn roll_back(&self) {
        let order = RollbackRequest {
            target: Some("HEAD^".to_owned()),
            discard: false,
            ..RollbackRequest::default()
        };
        block_on(self.checkpoints().roll_back(&order)).unwrap();
    }

    fn checkpoints(&self) -> GitCheckpoints {
        GitCheckpoints::new(CheckpointOptions::for_root(self.top.clone()))
    }

    fn commit(&self) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "bench"]);
    }

    fn reset(&self) {
        self.git(&["reset", "-q", "--hard", "HEAD^"]);
        self.git(&["clean", "-fdq"]);
    }

    fn git(&self, arguments: &[&str]) {
        run(&self.top, arguments);
    }
}

fn run(directory: &Path, arguments: &[&str]) {
    let done = Command::new("git")
        .current_dir(directory)
        .args(arguments)
        .status()
        .unwrap();
    assert!(done.success(), "git {arguments:?}");
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

/// Text that compresses about as well as source code.
fn content(seed: usize, bytes: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "let", "value", "=", "match", "state", "{", "}", "return", "index", "(", ")", "string",
        "result", "error", "->", "async",
    ];
    let mut text = Vec::with_capacity(bytes + 24);
    let mut number = seed as u64 ^ 0x9e37_79b9_7f4a_7c15;
    while text.len() < bytes {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text.extend_from_slice(WORDS[(number >> 60) as usize].as_bytes());
        if (number >> 40).trailing_zeros() >= 3 {
            text.extend_from_slice(format!("_{}", number >> 48 & 0xfff).as_bytes());
        }
        text.push(if (number >> 44).trailing_zeros() >= 4 {
            b'\n'
        } else {
            b' '
        });
    }
    text.truncate(bytes);
    text
}
