//! What one verdict costs.
//!
//! `cargo bench --bench policy` times realistic commands of every interpreter, one at a time, and prints the
//! median and the longest over all of them, and the very first verdict of a process.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark looks at the clock and says what it saw"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::Criterion;
use tos::domain::{
    command::{Command, Kind},
    policy::{Policy, World},
    rules::PolicyRules,
};

const ALLOWED: &str = include_str!("../tests/policy/allowed.txt");
const REFUSED: &str = include_str!("../tests/policy/refused.txt");

fn main() {
    let world = World::unattended("/srv/job/root");
    let rules = PolicyRules {
        allow_types: Kind::KNOWN.to_vec(),
        ..PolicyRules::default()
    };
    let start = Instant::now();
    let policy = Policy::new(&rules).unwrap();
    drop(black_box(
        policy.judge(&command("bash | cargo test && git add -A"), &world),
    ));
    println!("policy made and first verdict: {:?}", start.elapsed());
    for (name, text) in [("harmless", ALLOWED), ("harmful", REFUSED)] {
        each(name, text, &policy, &world);
    }
    let mut criterion = Criterion::default().configure_from_args();
    let usual = command("bash | cd src && grep -rn 'rm -rf' . | sort > \"$HOME/../x\" || true");
    criterion.bench_function("policy/one realistic command", |bencher| {
        bencher.iter(|| policy.judge(black_box(&usual), &world));
    });
    criterion.final_summary();
}

/// Prints the figures over every command, each judged alone, the best of seven.
fn each(name: &str, text: &str, policy: &Policy, world: &World) {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut times: Vec<Duration> = lines
        .map(|line| {
            let command = command(line);
            let timed = |_| {
                let start = Instant::now();
                drop(black_box(policy.judge(black_box(&command), world)));
                start.elapsed()
            };
            (0..7).map(timed).min().unwrap_or_default()
        })
        .collect();
    times.sort_unstable();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    println!(
        "{name}: {} commands, median {:.1} microseconds, longest {:.1}",
        times.len(),
        micros(times[times.len() / 2]),
        micros(times[times.len() - 1])
    );
}

fn command(line: &str) -> Command {
    let (kind, code) = line.split_once(" | ").unwrap();
    let kind = Kind::from(kind.to_owned());
    let exec = kind == Kind::Exec;
    Command {
        code: if exec {
            String::new()
        } else {
            code.replace("\\n", "\n")
        },
        argv: code
            .split_whitespace()
            .filter(|_| exec)
            .map(str::to_owned)
            .collect(),
        kind,
    }
}
