//! Plans against bare process creation, make and ninja, side by side in one run.
//!
//! `cargo bench --bench plan` prints tasks per second and the ratios of the targets; `PLAN_BENCH_TASKS` changes the
//! number of tasks, `PLAN_BENCH_LARGE=1` adds the curve up to 100,000 tasks with memory.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench starts processes, writes files and prints"
)]

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const ROUNDS: usize = 5;

fn main() {
    let tasks = std::env::var("PLAN_BENCH_TASKS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(5000);
    let place = tempfile::tempdir().expect("a directory");
    side_by_side(place.path(), tasks);
    chain(place.path(), 200);
    if std::env::var_os("PLAN_BENCH_LARGE").is_some() {
        for tasks in [1000, 10_000, 100_000] {
            large(place.path(), tasks);
        }
    }
}

/// Runs every contender once a round, so that a busy moment hits all of them.
fn side_by_side(place: &Path, tasks: usize) {
    let plan = place.join("wide.yaml");
    fs::write(&plan, wide(tasks)).expect("written");
    let targets: Vec<String> = (0..tasks).map(|task| format!("t{task}")).collect();
    let all = targets.join(" ");
    let rules: String = targets.iter().fold(String::new(), |mut text, target| {
        let _ = writeln!(text, "{target}:\n\t@/bin/true");
        text
    });
    fs::write(
        place.join("Makefile"),
        format!("all: {all}\n.PHONY: {all}\n{rules}"),
    )
    .expect("written");
    let edges: String = targets.iter().fold(String::new(), |mut text, target| {
        let _ = writeln!(text, "build {target}: noop");
        text
    });
    fs::write(
        place.join("build.ninja"),
        format!("rule noop\n  command = /bin/true\n{edges}"),
    )
    .expect("written");
    let mut contenders: Vec<(&str, Vec<f64>)> = vec![("bare spawn", vec![]), ("tos plan", vec![])];
    for name in ["make", "ninja"] {
        if Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .is_ok()
        {
            contenders.push((name, vec![]));
        }
    }
    for _ in 0..ROUNDS {
        for (name, rates) in &mut contenders {
            let took = match *name {
                "bare spawn" => bare(tasks, 2),
                "tos plan" => plan_run(place, &plan, 2),
                other => timed(
                    Command::new(other)
                        .args(["-j2", "--quiet"])
                        .current_dir(place),
                ),
            };
            rates.push(f64::from(u32::try_from(tasks).unwrap_or(u32::MAX)) / took.as_secs_f64());
        }
    }
    let bare_rate = median(&contenders[0].1);
    println!("{tasks} no-op tasks, 2 at a time (median of {ROUNDS})");
    for (name, rates) in &contenders {
        let rate = median(rates);
        println!(
            "  {name:<12} {rate:>8.0} tasks/s   {:.2} of bare",
            rate / bare_rate
        );
    }
}

fn chain(place: &Path, length: usize) {
    let plan = place.join("chain.yaml");
    let mut text = String::from("tasks:\n- {id: t0, cmd: [/bin/true]}\n");
    for task in 1..length {
        let _ = writeln!(
            text,
            "- {{id: t{task}, cmd: [/bin/true], depends_on: [t{}]}}",
            task - 1
        );
    }
    fs::write(&plan, text).expect("written");
    let (mut ours, mut loops) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        loops.push(bare(length, 1).as_secs_f64());
        ours.push(plan_run(place, &plan, 2).as_secs_f64());
    }
    let (ours, loops) = (median(&ours), median(&loops));
    println!(
        "chain of {length}: {:.1} ms, bare loop {:.1} ms, {:.2} times",
        ours * 1e3,
        loops * 1e3,
        ours / loops
    );
}

fn large(place: &Path, tasks: usize) {
    let plan = place.join("large.yaml");
    fs::write(&plan, wide(tasks)).expect("written");
    let home = place.join(format!("home-{tasks}"));
    let validate = timed(tos().arg("validate").arg(&plan));
    let began = Instant::now();
    let peak = peak_of(
        tos()
            .args(["run", "-q", "--max-parallel", "2", "--home"])
            .arg(&home)
            .arg(&plan),
    );
    let run = began.elapsed();
    let status = timed(tos().args(["status", "latest", "--home"]).arg(&home));
    println!(
        "{tasks:>7} tasks: validate {:.0} ms, run {:.2} s ({:.0} us a task), status {:.0} ms, peak memory {} MiB",
        validate.as_secs_f64() * 1e3,
        run.as_secs_f64(),
        run.as_secs_f64() * 1e6 / f64::from(u32::try_from(tasks).unwrap_or(u32::MAX)),
        status.as_secs_f64() * 1e3,
        peak / 1024,
    );
}

fn wide(tasks: usize) -> String {
    (0..tasks).fold(String::from("tasks:\n"), |mut text, task| {
        let _ = writeln!(text, "- id: t{task}\n  cmd: [/bin/true]");
        text
    })
}

fn tos() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tos"));
    command
        .arg("plan")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .stdin(Stdio::null());
    command
}

fn plan_run(place: &Path, plan: &Path, parallel: u32) -> Duration {
    let home = place.join("home");
    timed(
        tos()
            .args(["run", "--max-parallel", &parallel.to_string(), "--home"])
            .arg(&home)
            .arg(plan),
    )
}

fn timed(command: &mut Command) -> Duration {
    let began = Instant::now();
    let status = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("started");
    assert!(status.success(), "{command:?}");
    began.elapsed()
}

/// Starts processes and nothing else: no log, no record.
fn bare(tasks: usize, parallel: usize) -> Duration {
    let began = Instant::now();
    let mut running = std::collections::VecDeque::new();
    for _ in 0..tasks {
        if running.len() == parallel {
            let mut oldest: std::process::Child = running.pop_front().expect("one runs");
            oldest.wait().expect("waited");
        }
        let null = || Stdio::null();
        running.push_back(
            Command::new("/bin/true")
                .stdin(null())
                .stdout(null())
                .stderr(null())
                .spawn()
                .expect("started"),
        );
    }
    for mut child in running {
        child.wait().expect("waited");
    }
    began.elapsed()
}

/// Returns the largest resident size of a child in KiB, as the kernel counted it.
fn peak_of(command: &mut Command) -> u64 {
    let mut child = command.spawn().expect("started");
    let path = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().expect("asked").is_none() {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let found = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(found.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(20));
    }
    peak
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}
