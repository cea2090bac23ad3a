//! Death at any moment: runner and tasks are killed at random, and the run is resumed until it is done.

use std::{
    collections::BTreeMap,
    ops::Range,
    process::Child,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    chance::Chance,
    enforced::walled,
    place::{Place, signal},
};

/// Makes a plan whose tasks wait until the storm has gone as far as they stand in the plan: it cannot be over before.
fn plan(chance: &mut Chance, tasks: usize, kills: usize) -> String {
    let mut text = String::from("tasks:\n");
    for task in 0..tasks {
        let mut upstream: Vec<String> = Vec::new();
        if task > 8 {
            upstream = (0..chance.below(3))
                .map(|_| format!("t{}", chance.below(task)))
                .collect();
            upstream.sort();
            upstream.dedup();
        }
        let due = kills * task / tasks;
        let script = format!(
            "while [ $(cat kills) -lt {due} ]; do sleep 0.02; done; sleep 0.03; echo t{task} >> effects"
        );
        text.push_str(&format!(
            "- {{id: t{task}, cmd: [sh, -c, '{script}'], depends_on: [{}]}}\n",
            upstream.join(", ")
        ));
    }
    text
}

fn children(runner: &Child) -> Vec<Pid> {
    let path = format!("/proc/{0}/task/{0}/children", runner.id());
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
        .collect()
}

/// Lets the runner work for a while; returns its exit code where it ended by itself.
fn work(runner: &mut Child, pause: Duration) -> Option<i32> {
    let end = Instant::now() + pause;
    while Instant::now() < end {
        if let Some(status) = runner.try_wait().unwrap() {
            return Some(status.code().unwrap_or(-1));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

#[test]
fn three_hundred_kills_lose_nothing_and_repeat_nothing_that_succeeded() {
    // The storm has to be the same each time as far as it can be.
    let mut chance = Chance::new(20_261_120);
    let place = Place::with(&plan(&mut chance, 200, 300));
    storm(&place, &mut chance, 300, 10..80);
}

#[test]
fn tasks_behind_a_wall_stand_the_same_storm() {
    let mut chance = Chance::new(20_261_121);
    let plan = plan(&mut chance, 40, 40);
    let Some(place) = walled(&plan) else {
        return;
    };
    // A wall takes a while to build, and a runner that never gets beyond that proves nothing.
    storm(&place, &mut chance, 40, 60..350);
}

fn storm(place: &Place, chance: &mut Chance, most: u32, pauses: Range<u64>) {
    let count = |kills: u32| {
        let new = place.write("kills.new", kills.to_string());
        std::fs::rename(new, place.path().join("kills")).unwrap();
    };
    count(0);
    let mut runner = place.begin(&["run", "plan.yaml", "-q", "--max-parallel", "4"]);
    let mut kills = 0;
    loop {
        // Once the storm is over the run may end in peace.
        let pause = if kills < most {
            Duration::from_millis(pauses.start + chance.below(pauses.end - pauses.start))
        } else {
            Duration::from_secs(120)
        };
        match work(&mut runner, pause) {
            Some(0) => break,
            Some(code) => assert!(code == 3 || code == -1, "unexpected exit code {code}"),
            None if chance.below(10) < 7 => {
                signal(&runner, Signal::KILL);
                runner.wait().unwrap();
                kills += 1;
                count(kills);
            }
            None => {
                for pid in children(&runner).into_iter().take(1) {
                    let _ = kill_process(pid, Signal::KILL);
                    kills += 1;
                    count(kills);
                }
                continue;
            }
        }
        // Killed before it had made a run: begin again.
        let has_run = place.path().join(".tos/runs").read_dir().is_ok_and(|runs| {
            runs.flatten()
                .any(|run| run.path().join("run.jsonl").exists())
        });
        let words: &[&str] = if has_run {
            &["resume", "latest"]
        } else {
            &["run", "plan.yaml"]
        };
        runner = place.begin(&[words, &["-q", "--max-parallel", "4"]].concat());
    }
    let state = place.state("latest");
    assert_eq!(state["status"], "SUCCESS");
    assert!(kills >= most - most / 20, "only {kills} kills of {most}");
    let tasks = state["tasks"].as_object().unwrap().len();
    assert_eq!(state["counts"]["SUCCESS"], tasks);
    check(place, state["run_id"].as_str().unwrap(), &state);
}

/// Reads the run log: nothing starts after its success or before the success of what it depends on.
fn check(place: &Place, run: &str, state: &Value) {
    let log = place.read(&format!(".tos/runs/{run}/run.jsonl"));
    let ids: Vec<&String> = state["tasks"].as_object().unwrap().keys().collect();
    let mut succeeded = vec![false; ids.len()];
    let mut starts = vec![0_usize; ids.len()];
    for line in log.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let index = |kind: &str| {
            event[kind]["task"]
                .as_u64()
                .and_then(|index| usize::try_from(index).ok())
        };
        if let Some(task) = index("started") {
            assert!(
                !succeeded[task],
                "{} started again after its success",
                ids[task]
            );
            for up in state["tasks"][ids[task]]["depends_on"].as_array().unwrap() {
                let up = ids
                    .iter()
                    .position(|id| id.as_str() == up.as_str().unwrap())
                    .unwrap();
                assert!(succeeded[up], "{} started before {}", ids[task], ids[up]);
            }
            starts[task] += 1;
        }
        if let Some(task) = index("ended") {
            succeeded[task] |= event["ended"]["status"] == "SUCCESS";
        }
    }
    let mut effects: BTreeMap<&str, usize> = BTreeMap::new();
    let text = place.read("effects");
    for line in text.lines() {
        *effects.entry(line).or_default() += 1;
    }
    for (task, id) in ids.iter().enumerate() {
        let seen = effects.get(id.as_str()).copied().unwrap_or(0);
        assert!(
            (1..=starts[task]).contains(&seen),
            "{id}: {seen} effects of {} attempts",
            starts[task]
        );
        assert_eq!(state["tasks"][*id]["attempts"], starts[task], "{id}");
    }
}
