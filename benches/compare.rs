//! tos as a whole process against the tools under it: the rows of the table in docs/performance.md, one line of it each.
//!
//! `benches/compare.sh` builds this, runs it and adds the rows that are measured inside a process. Each pair is interleaved, so
//! that a busy moment hits both, and what is printed is a ratio of medians. A row whose peer is not on this machine says so.
//! Dangers: scratch files stay until the end, because deleting them between repetitions slows the file system down by more than
//! what is measured. `COMPARE_ROUNDS` changes the number of rounds, words on the command line name the groups of rows.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark starts processes, looks at the clock and says what it saw"
)]

#[path = "compare/processes.rs"]
mod processes;
#[path = "compare/scenes.rs"]
mod scenes;

use std::{path::Path, time::Duration};

/// A part of the table: its name, and what measures it.
type Group<'a> = (&'a str, &'a dyn Fn(&Path, usize));

use processes::{Line, interleaved, peak_of, quiet, row, timed, tos};

fn main() {
    let named: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    if named.is_empty() {
        // `cargo bench` starts every benchmark; this one takes long and is asked for by name.
        println!("name groups: start tasks plans large; `benches/compare.sh` runs all of them");
        return;
    }
    let is_wanted = |group: &str| named.iter().any(|word| word == group);
    let rounds = std::env::var("COMPARE_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(21);
    let folder = scenes::folder();
    let place = folder.path();
    let groups: [Group<'_>; 4] = [
        ("start", &start_up),
        ("tasks", &guarded_tasks),
        ("plans", &plans),
        ("large", &large_plan),
    ];
    for (name, measure) in groups {
        if is_wanted(name) {
            let place = place.join(name);
            std::fs::create_dir_all(&place).expect("a folder");
            measure(&place, rounds);
        }
    }
}

/// What every script waits for: the first answer of a process.
fn start_up(place: &Path, rounds: usize) {
    let [ours, git] = interleaved(
        rounds * 5,
        [&|| timed(tos(place).arg("--version")), &|| {
            timed(quiet("git", place).arg("--version"))
        }],
    );
    row(&Line::ratio(
        "`tos --version` / `git --version`",
        ours,
        git,
        "<= 1.0",
    ));
    let [ours, git] = interleaved(
        rounds,
        [&|| timed(tos(place).arg("--help")), &|| {
            timed(quiet("git", place).args(["help", "-a"]))
        }],
    );
    row(&Line::ratio("`tos --help` / `git help -a`", ours, git, ""));
    let root = place.join("root");
    scenes::repository(&root, 200, 4_000);
    let explain = || timed(tos(&root).args(["policy", "explain", "git status && cargo test"]));
    let call = scenes::hook_call(&root);
    let hook = || scenes::hook(&root, &call);
    let [explain, hook, git] = interleaved(
        rounds * 3,
        [&explain, &hook, &|| {
            timed(quiet("git", &root).arg("status"))
        }],
    );
    row(&Line::absolute(
        "`tos policy explain` as a process",
        explain,
        "<= 3 ms",
    ));
    row(&Line::absolute(
        "`tos guard hook` as a process",
        hook,
        "<= 10 ms",
    ));
    row(&Line::absolute(
        "(`git status` in the same repository)",
        git,
        "",
    ));
}

/// A task of a list against what git needs for the same: a work tree, the edit, the commit, the work tree gone.
fn guarded_tasks(place: &Path, rounds: usize) {
    const MORE: usize = 4;
    for (name, files, bytes, fewer) in [
        ("small", 200, 4_000, 1),
        ("10,000 files", 10_000, 10_000, 4),
        ("50,000 files", 50_000, 6_000, 7),
    ] {
        let scene = scenes::TaskScene::new(&place.join(name), files, bytes, MORE + 1);
        let [one, many, git] = interleaved(
            (rounds / fewer).max(3),
            [&|| scene.run(1), &|| scene.run(MORE + 1), &|| {
                scene.by_git()
            }],
        );
        let more = u32::try_from(MORE).unwrap_or(1);
        let next = many.saturating_sub(one) / more;
        let label = |which: &str| format!("guarded task, {name}, {which}");
        row(&Line::ratio(
            &label("the first of a session"),
            one,
            git,
            "<= 1.5",
        ));
        row(&Line::ratio(
            &label("from the second on"),
            next,
            git,
            "<= 1.3",
        ));
    }
}

/// Plans of tasks that do nothing, without and behind a wall.
fn plans(place: &Path, rounds: usize) {
    const TASKS: usize = 2_000;
    const WALLED: usize = 200;
    let plan = scenes::plan(place, "wide.yaml", TASKS);
    let home = place.join("home");
    let run = || {
        timed(
            tos(place)
                .args(["plan", "run", "--max-parallel", "2", "--home"])
                .args([&home, &plan]),
        )
    };
    let bare = || processes::two_at_a_time(TASKS, &["/bin/true"]);
    let rounds = (rounds / 3).max(3);
    let [ours, spawn] = interleaved(rounds, [&run, &bare]);
    row(&Line::rate(
        "plan, plain / posix_spawn",
        TASKS,
        ours,
        spawn,
        ">= 0.85",
    ));
    if processes::exists("ninja") {
        scenes::ninja(place, TASKS);
        let [ours, ninja] = interleaved(
            rounds,
            [&run, &|| {
                timed(quiet("ninja", place).args(["-j2", "--quiet"]))
            }],
        );
        row(&Line::rate(
            "plan, plain / ninja",
            TASKS,
            ours,
            ninja,
            ">= 1.4",
        ));
    } else {
        row(&Line::missing(
            "plan, plain / ninja",
            "no `ninja` on this machine",
        ));
    }
    let root = place.join("root");
    scenes::enforced_root(&root);
    let walled = scenes::plan(&root, "walled.yaml", WALLED);
    for (name, program, bare) in scenes::WALLS {
        let label = format!("plan behind {name} / bare {program}");
        if !processes::exists(program) {
            row(&Line::missing(
                &label,
                &format!("no `{program}` on this machine"),
            ));
            continue;
        }
        let run = || {
            let mut command = tos(&root);
            command.env("TOS_SANDBOX__BACKEND", name).args([
                "plan",
                "run",
                "--enforce",
                "--max-parallel",
                "2",
                "--home",
            ]);
            timed(command.args([&place.join("home-walled"), &walled]))
        };
        let [ours, theirs] =
            interleaved(rounds, [&run, &|| processes::two_at_a_time(WALLED, bare)]);
        row(&Line::rate(&label, WALLED, ours, theirs, ">= 0.8"));
    }
}

/// What a hundred thousand tasks cost in memory.
fn large_plan(place: &Path, _: usize) {
    const TASKS: usize = 100_000;
    let plan = scenes::plan(place, "large.yaml", TASKS);
    let home = place.join("home");
    let mut rows: Vec<(&str, u64, Duration, &str)> = Vec::new();
    let mut look = |label, words: &[&str], file: Option<&Path>, goal| {
        let mut command = tos(place);
        command
            .arg("plan")
            .args(words)
            .arg("--home")
            .arg(&home)
            .args(file);
        let (peak, took) = peak_of(&mut command);
        rows.push((label, peak, took, goal));
    };
    let run = ["run", "-q", "--max-parallel", "2"];
    look("100,000 tasks: run", &run, Some(&plan), "<= 100 MiB");
    look(
        "100,000 tasks: status --json",
        &["status", "latest", "--json"],
        None,
        "<= 60 MiB",
    );
    look(
        "100,000 tasks: report",
        &["report", "latest"],
        None,
        "<= 60 MiB",
    );
    for (label, peak, took, goal) in rows {
        row(&Line::memory(label, peak, took, goal));
    }
}
