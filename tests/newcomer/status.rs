//! Line 8: what stands where, alive or dead.

use crate::Story;

#[test]
fn status_shows_one_last_phase() {
    let mut story = Story::with_sample();
    story.tells(&["status"]);
    for _ in 0..4 {
        story.does(&["run"]);
    }
    story.tells(&["status"]);
    story.is("b08_phase");
}

#[test]
fn status_works_where_only_plans_are() {
    let mut story = Story::new().file("plan.yaml", "tasks:\n- {id: a, cmd: ['false']}\n");
    story.does(&["plan", "run", "plan.yaml"]);
    story.tells(&["status"]);
    story.is("b08_only_plans");
}

#[test]
fn a_run_whose_tos_is_dead_is_interrupted() {
    let mut story = Story::with_sample();
    story.does(&["run"]);
    // The log as it stands while a run is under way, and nobody holds the lock.
    let log = story.machine.read("logs/run.jsonl");
    let lines: Vec<&str> = log.lines().collect();
    let open = lines
        .iter()
        .position(|line| line.contains("command_started"))
        .unwrap();
    story
        .machine
        .write("logs/run.jsonl", lines[..open].join("\n") + "\n");
    story.tells(&["status"]);
    let lock = std::fs::File::open(story.machine.root().join("logs/tos.lock")).unwrap();
    lock.lock().unwrap();
    let alive = story.tells(&["status"]);
    assert!(alive.stdout.contains("running, step"), "{alive}");
    story.tells(&["run"]);
    story.is("b08_dead_or_alive");
}
