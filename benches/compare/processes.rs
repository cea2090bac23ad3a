//! Starts processes, times them and prints what came out as one row of a table.

use std::{
    collections::VecDeque,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Returns a program that is started in a folder and heard by nobody.
pub(crate) fn quiet(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Returns the tos that is measured: `COMPARE_TOS`, or the one built with this.
pub(crate) fn tos(folder: &Path) -> Command {
    let named = std::env::var("COMPARE_TOS").ok();
    quiet(
        named.as_deref().unwrap_or(env!("CARGO_BIN_EXE_tos")),
        folder,
    )
}

/// Runs a command to its end, which has to be a good one.
pub(crate) fn timed(command: &mut Command) -> Duration {
    let began = Instant::now();
    let status = command.status().expect("the command can be started");
    let took = began.elapsed();
    assert!(status.success(), "{command:?} ended with {status}");
    took
}

/// Returns whether a program is there.
pub(crate) fn exists(program: &str) -> bool {
    let asked = quiet(program, Path::new("/")).arg("--version").status();
    asked.is_ok_and(|status| status.success())
}

/// Starts processes, two at a time, and nothing else: no log, no record.
pub(crate) fn two_at_a_time(count: usize, words: &[&str]) -> Duration {
    let began = Instant::now();
    let mut running: VecDeque<Child> = VecDeque::new();
    let end = |mut child: Child| {
        let status = child.wait().expect("it can be waited for");
        assert!(status.success(), "{words:?} ended with {status}");
    };
    for _ in 0..count {
        if running.len() == 2 {
            running.pop_front().into_iter().for_each(end);
        }
        let (program, rest) = words.split_first().expect("a command");
        let child = quiet(program, Path::new("/")).args(rest).spawn();
        running.push_back(child.expect("the command can be started"));
    }
    running.into_iter().for_each(end);
    began.elapsed()
}

/// Measures each of several works once a round, after one round that does not count; returns their medians.
pub(crate) fn interleaved<const N: usize>(
    rounds: usize,
    works: [&dyn Fn() -> Duration; N],
) -> [Duration; N] {
    let mut times: [Vec<Duration>; N] = std::array::from_fn(|_| Vec::new());
    for round in 0..=rounds {
        for (work, times) in works.iter().zip(&mut times) {
            let took = work();
            if round > 0 {
                times.push(took);
            }
        }
    }
    times.map(|times| median(&times))
}

/// Returns the median.
pub(crate) fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Runs a command and returns the most memory it took, in KiB, and how long it ran.
pub(crate) fn peak_of(command: &mut Command) -> (u64, Duration) {
    let began = Instant::now();
    let mut child = command.spawn().expect("the command can be started");
    let path = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let found = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(found.unwrap_or(0));
        if let Some(status) = child.try_wait().expect("it can be asked") {
            assert!(status.success(), "{command:?} ended with {status}");
            return (peak, began.elapsed());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// One row of the table.
pub(crate) struct Line {
    label: String,
    ours: String,
    theirs: String,
    ratio: String,
    goal: String,
}

fn shown(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

impl Line {
    /// Times of tos and of its peer; less is better.
    pub(crate) fn ratio(label: &str, ours: Duration, theirs: Duration, goal: &str) -> Self {
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        Self::of(
            label,
            &shown(ours),
            &shown(theirs),
            &format!("{ratio:.2}"),
            goal,
        )
    }

    /// Things a second of tos and of its peer; more is better.
    pub(crate) fn rate(
        label: &str,
        count: usize,
        ours: Duration,
        theirs: Duration,
        goal: &str,
    ) -> Self {
        let rate = |time: Duration| {
            let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
            format!("{:.0} tasks/s", count / time.as_secs_f64())
        };
        let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
        Self::of(
            label,
            &rate(ours),
            &rate(theirs),
            &format!("{ratio:.2}"),
            goal,
        )
    }

    /// A time that is compared with nothing.
    pub(crate) fn absolute(label: &str, time: Duration, goal: &str) -> Self {
        Self::of(label, &shown(time), "", "", goal)
    }

    /// The most memory a command took.
    pub(crate) fn memory(label: &str, kib: u64, took: Duration, goal: &str) -> Self {
        let ours = format!("{} MiB, {:.2} s", kib / 1024, took.as_secs_f64());
        Self::of(label, &ours, "", "", goal)
    }

    /// What could not be measured here, and why.
    pub(crate) fn missing(label: &str, why: &str) -> Self {
        Self::of(label, "not measured", why, "", "")
    }

    fn of(label: &str, ours: &str, theirs: &str, ratio: &str, goal: &str) -> Self {
        Self {
            label: label.to_owned(),
            ours: ours.to_owned(),
            theirs: theirs.to_owned(),
            ratio: ratio.to_owned(),
            goal: goal.to_owned(),
        }
    }
}

/// Prints a row.
pub(crate) fn row(line: &Line) {
    let Line {
        label,
        ours,
        theirs,
        ratio,
        goal,
    } = line;
    println!("| {label} | {ours} | {theirs} | {ratio} | {goal} |");
}
