//! Room on the disk: logs without end, old runs, a cache that nobody uses any more.

use std::{
    collections::BTreeSet,
    fs::File,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use crate::place::{Place, pairs, until};

const MIB: u64 = 1024 * 1024;

#[test]
fn a_log_without_end_loses_its_middle_and_keeps_both_ends() {
    let place = Place::with(
        "tasks:\n- id: a\n  cmd: [sh, -c, 'echo the-first; yes 0123456789abcde | head -c 340000000; echo the-last; touch written; while ! [ -e go ]; do sleep 0.05; done; yes 0123456789abcde | head -c 60000000; echo the-very-last']\n",
    );
    let mut child = place.begin(&["run", "plan.yaml"]);
    place.wait_for("written");
    let run = place.state("latest")["run_id"].as_str().unwrap().to_owned();
    let log = place.path().join(format!(".tos/runs/{run}/logs/a.out.log"));
    let on_disk = || std::fs::metadata(&log).unwrap().blocks() * 512;
    until(
        || on_disk() <= 257 * MIB,
        "the middle is given back while the task runs",
    );
    assert!(std::fs::metadata(&log).unwrap().len() > 340_000_000);
    let tail = |wanted: &str| {
        let seen = place.tos(&["logs", "latest", "--task", "a", "--tail", "1"]);
        assert!(seen.out.contains(wanted), "{}", seen.out);
    };
    tail("\nthe-last\n");
    place.write("go", "");
    assert!(child.wait().unwrap().success());
    assert!(on_disk() <= 257 * MIB, "and once more at its end");
    tail("\nthe-very-last\n");
    let mut head = [0; 64];
    std::io::Read::read_exact(&mut File::open(&log).unwrap(), &mut head).unwrap();
    assert!(head.starts_with(b"\n===== attempt 1 / 1 =====\nthe-first\n"));
}

#[test]
fn a_limit_for_the_size_of_files_is_told_and_no_silent_end() {
    let goal = "a".repeat(100_000);
    let place = Place::with(&format!("goal: {goal}\ntasks:\n- {{id: a, cmd: 'true'}}\n"));
    let wanted = place.command(&["run", "plan.yaml"]);
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", "ulimit -f 1; exec \"$@\"", "sh"])
        .arg(wanted.get_program())
        .args(wanted.get_args())
        .current_dir(place.path())
        .env_clear();
    for (name, value) in wanted.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let seen = command.output().unwrap();
    let said = String::from_utf8_lossy(&seen.stderr);
    assert_eq!(seen.status.code(), Some(1), "{said}");
    assert!(said.contains("File too large"), "{said}");
}

const CACHED: &str = "tasks:\n- id: a\n  cmd: [sh, -c, 'echo x >> runs; cat in > out']\n  cache: {inputs: [in]}\n  outputs: [out]\n";

fn entries(place: &Place) -> Vec<PathBuf> {
    let found = std::fs::read_dir(place.path().join(".tos/cache")).unwrap();
    found.map(|entry| entry.unwrap().path()).collect()
}

fn age(path: &PathBuf, days: u64) {
    let then = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(then)
        .unwrap();
}

#[test]
fn the_newest_run_that_used_a_success_holds_it_when_older_ones_go() {
    let place = Place::with(CACHED);
    place.write("in", "1");
    let first = place.tos(&["run", "plan.yaml"]).run_id();
    let second = place.tos(&["run", "plan.yaml"]).run_id();
    assert_ne!(first, second);
    // By hand: of two runs of one second chance decides which one is called the older.
    std::fs::remove_dir_all(place.path().join(".tos/runs").join(&first)).unwrap();
    let seen = place.tos(&["gc"]);
    assert!(
        seen.out
            .contains("0 cached successes deleted, 0 KiB freed, 1 kept"),
        "{}",
        seen.out
    );
    std::fs::remove_file(place.path().join("out")).unwrap();
    assert_eq!(place.tos(&["run", "plan.yaml"]).code, 0);
    assert_eq!(
        (place.read("runs").as_str(), place.read("out").as_str()),
        ("x\n", "1")
    );
}

#[test]
fn old_successes_go_and_those_of_a_living_run_stay() {
    let place = Place::with(&format!(
        "{CACHED}- {{id: b, cmd: [sh, -c, 'touch began; while ! [ -e go ]; do sleep 0.05; done'], depends_on: [a]}}\n"
    ));
    place.write("in", "1");
    let mut child = place.begin(&["run", "plan.yaml"]);
    place.wait_for("began");
    until(|| entries(&place).len() == 1, "the success is remembered");
    let entry = entries(&place).remove(0);
    let key = entry.file_name().unwrap().to_str().unwrap().to_owned();
    let half = place.write(&format!(".tos/cache/.{key}.some-run"), "{");
    let fresh_half = place.write(&format!(".tos/cache/.{key}.other-run"), "{");
    let foreign = place.write(".tos/cache/notes", "mine");
    for path in [&entry, &half, &foreign] {
        age(path, 40);
    }
    let seen = place.tos(&["gc"]);
    assert!(
        seen.out.contains("1 cached successes deleted") && seen.out.contains("1 kept"),
        "{}",
        seen.out
    );
    let left: BTreeSet<PathBuf> = entries(&place).into_iter().collect();
    assert_eq!(
        left,
        [entry.clone(), fresh_half.clone(), foreign.clone()].into()
    );
    place.write("go", "");
    assert!(child.wait().unwrap().success());
    assert!(
        place
            .tos(&["gc", "--dry-run"])
            .out
            .contains("1 cached successes would be deleted")
    );
    assert!(entry.exists());
    assert!(
        place
            .tos(&["gc", "--cache-days", "50"])
            .out
            .contains("0 cached successes deleted")
    );
    assert!(
        place
            .tos(&["gc"])
            .out
            .contains("1 cached successes deleted")
    );
    assert!(!entry.exists() && fresh_half.exists() && foreign.exists());
    assert_eq!(
        place.statuses("latest"),
        pairs(&[("a", "SUCCESS"), ("b", "SUCCESS")])
    );
}

#[test]
fn a_success_whose_outputs_went_with_their_run_goes_too() {
    let place = Place::with(CACHED);
    place.write("in", "1");
    assert_eq!(place.tos(&["run", "plan.yaml"]).code, 0);
    let seen = place.tos(&["gc", "--keep", "0"]);
    assert!(
        seen.out.contains("1 cached successes deleted"),
        "{}",
        seen.out
    );
    assert!(entries(&place).is_empty());
    assert_eq!(place.tos(&["run", "plan.yaml"]).code, 0);
    assert_eq!(place.read("runs"), "x\nx\n");
}
