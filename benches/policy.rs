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
    command::{Command, CommandKind},
    job::rules::PolicyRules,
    policy::{Policy, PolicyContext},
};

const ALLOWED: &str = include_str!("../tests/policy/allowed.txt");
const REFUSED: &str = include_str!("../tests/policy/refused.txt");

fn main() {
    let world = PolicyContext::unattended("/srv/job/root");
    let rules = PolicyRules {
        allow_types: CommandKind::KNOWN.to_vec(),
        ..PolicyRules::default()
    };
    let start = Instant::now();
    let policy = Policy::new(&rules).unwrap();
    drop(black_box(
        policy.judge(&command("bash | cargo test && git add -A"), &world),
    ));
    let first = start.elapsed();
    println!("policy made and first verdict: {first:?}");
    let mut medians = Vec::new();
    for (name, text) in [("harmless", ALLOWED), ("harmful", REFUSED)] {
        medians.push((name, each(name, text, &policy, &world)));
    }
    if std::env::args().any(|word| word == "--pairs") {
        for (name, median) in medians {
            println!("| one judgement, {name} commands | {median:.1} us | | | <= 25 us |");
        }
        println!(
            "| rules made and first judgement | {:.1} us | | | |",
            first.as_secs_f64() * 1e6
        );
        return;
    }
    hostile(&policy, &world);
    let mut criterion = Criterion::default().configure_from_args();
    let usual = command("bash | cd src && grep -rn 'rm -rf' . | sort > \"$HOME/../x\" || true");
    criterion.bench_function("policy/one realistic command", |bencher| {
        bencher.iter(|| policy.judge(black_box(&usual), &world));
    });
    criterion.final_summary();
}

/// Texts that are repeated until they fill what a command may be long: what somebody would send who wants to
/// keep the judge busy.
const HOSTILE: [(CommandKind, &str); 37] = [
    (CommandKind::Bash, "a;"),
    (CommandKind::Bash, "rm x;"),
    (CommandKind::Bash, "a|"),
    (CommandKind::Bash, "a&&"),
    (CommandKind::Bash, "$(a)"),
    (CommandKind::Bash, "`a`;"),
    (CommandKind::Bash, "$(a;"),
    (CommandKind::Bash, "(a);"),
    (CommandKind::Bash, "{a,b}"),
    (CommandKind::Bash, "{1..9}"),
    (CommandKind::Bash, "rm {1..9};"),
    (CommandKind::Bash, "x=$x$x;"),
    (CommandKind::Bash, "x=$x,a;rm $x;"),
    (CommandKind::Bash, "${x:-${y:-"),
    (CommandKind::Bash, "\"$x\""),
    (CommandKind::Bash, "'a'\"b\"c"),
    (CommandKind::Bash, "\\a"),
    (CommandKind::Bash, "$'\\x41'"),
    (CommandKind::Bash, "$((1+"),
    (CommandKind::Bash, "if a;then "),
    (CommandKind::Bash, "f(){ f;f;};f;"),
    (CommandKind::Bash, "case a in a) "),
    (CommandKind::Bash, "for i in a b;do rm $i;done;"),
    (CommandKind::Bash, "cat <<a\nb\na\n"),
    (CommandKind::Bash, ">a "),
    (CommandKind::Bash, "rm ../../a/./b/*?[c] "),
    (CommandKind::Bash, "rm |a/b "),
    (CommandKind::Bash, "rm |*x "),
    (CommandKind::Bash, "tee |.git/x* "),
    (CommandKind::Bash, "sh -c \"a\";"),
    (CommandKind::Bash, "env "),
    (CommandKind::Bash, "eval a;"),
    (CommandKind::Powershell, "a;"),
    (CommandKind::Powershell, "('a'+'b')+"),
    (CommandKind::Powershell, "$x=$x+$x;"),
    (CommandKind::Cmd, "a&"),
    (CommandKind::Cmd, "set x=%x%%x%&"),
];

/// Fills `bytes`; what stands before ` |` stands once.
fn repeated(text: &str, bytes: usize) -> String {
    match text.split_once(" |") {
        Some((head, rest)) => format!("{head} {}", rest.repeat(bytes / rest.len() - 1)),
        None => text.repeat(bytes / text.len()),
    }
}

/// Prints what each of them costs; the best of three.
fn hostile(policy: &Policy, world: &PolicyContext) {
    let mut all = Duration::ZERO;
    for (kind, text) in HOSTILE {
        let timed = |bytes: usize| {
            let command = Command::with_code(kind.clone(), repeated(text, bytes));
            let once = |_| {
                let start = Instant::now();
                drop(black_box(policy.judge(black_box(&command), world)));
                start.elapsed()
            };
            (0..3).map(once).min().unwrap_or_default()
        };
        let longest = (6..=16).map(|power| timed(1 << power)).max();
        let longest = longest.unwrap_or_default();
        all = all.max(longest);
        println!("hostile {:<34} {longest:?}", format!("{text:?}"));
    }
    println!("hostile: longest {all:?}");
}

/// Prints the figures over every command, each judged alone, the best of seven; returns the median in microseconds.
fn each(name: &str, text: &str, policy: &Policy, world: &PolicyContext) -> f64 {
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
    micros(times[times.len() / 2])
}

fn command(line: &str) -> Command {
    let (kind, code) = line.split_once(" | ").unwrap();
    let kind = CommandKind::from(kind.to_owned());
    let exec = kind == CommandKind::Exec;
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
