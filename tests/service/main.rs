//! The service through the program: tasks go to the branch, a kill loses nothing, people's work is left alone.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    clippy::disallowed_types,
    reason = "tests look at the real disk, and wait for another program"
)]

mod containers;
mod github;
mod github_server;
mod github_wire;
mod kills;
mod live_log;
mod newcomer;
#[expect(dead_code, reason = "other tests use the rest of it")]
mod place;
mod planning;
mod webhook;

#[path = "../support/server.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod model_server;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/repository.rs"]
mod repository;

use std::fs;

use place::{Place, Service};
use repository::git;
use serde_json::{Value, json};

#[test]
fn a_task_is_worked_on_judged_and_merged() {
    let place = Place::new("");
    let service = Service::start(&place);
    let task =
        service.add(json!({ "title": "fix the greeting", "class": "fix", "paths": ["greet.sh"] }));
    let done = service.until(task, "done");
    let merged = done["mergedCommit"].as_str().unwrap().to_owned();
    assert_eq!(git(&place.top, &["rev-parse", "main"]), merged);
    // The checkout of the branch was clean, so it went along.
    assert!(
        fs::read_to_string(place.top.join("greet.sh"))
            .unwrap()
            .contains("Hello")
    );
    assert_eq!(done["judgements"][0]["verdict"], "approve");
    let why = place.tos(&["why", "1"]);
    assert!(why.contains("it is merged as"), "{why}");
    let logs = place.tos(&["proc", "logs"]);
    for process in [
        "dispatcher is up",
        "worker-1 is up",
        "judge-1 is up",
        "judge-1 task-1: approve",
    ] {
        assert!(logs.contains(process), "{process}: {logs}");
    }
}

#[test]
fn work_that_fails_its_tests_or_leaves_its_area_is_never_merged() {
    let place = Place::new("FAILED_TASK_RETRY_COOLDOWN_MS = 10\nAUTO_REWORK_MAX_DEPTH = 0\n");
    let before = git(&place.top, &["rev-parse", "main"]);
    let service = Service::start(&place);
    let wrong = service.add(json!({ "title": "wrong words", "paths": ["greet.sh"] }));
    let stuck = service.until(wrong, "needs_rework");
    assert!(
        stuck["detail"].as_str().unwrap().contains("the tests"),
        "{stuck}"
    );
    // The first of the seed's pains: files outside of the task's area.
    let outside = service.add(json!({ "title": "write a farewell", "paths": ["docs/**"] }));
    let stuck = service.until(outside, "needs_rework");
    assert!(
        stuck["detail"]
            .as_str()
            .unwrap()
            .contains("outside of what the task may touch"),
        "{stuck}"
    );
    // Nor by the way of a night: the attempts that the judge refused are none of those.
    assert!(
        place
            .tos(&["night", "list"])
            .contains("no run is on record")
    );
    let refs = git(
        &place.top,
        &["for-each-ref", "--format=%(refname)", "refs/tos/runs"],
    );
    let attempts: Vec<&str> = refs
        .lines()
        .filter_map(|name| name.strip_prefix("refs/tos/runs/"))
        .collect();
    assert!(!attempts.is_empty());
    for run in attempts {
        let (ok, said) = place.run(&["night", "merge", run]);
        assert!(
            !ok && said.contains("only what its judge accepts is merged"),
            "{said}"
        );
    }
    let (ok, said) = place.run(&["night", "merge"]);
    assert!(!ok && said.contains("no run is on record"), "{said}");
    assert_eq!(git(&place.top, &["rev-parse", "main"]), before);
    let lessons = stuck["lessons"].as_array().unwrap();
    assert!(
        lessons.iter().all(|lesson| lesson["from"] == "judge"),
        "{stuck}"
    );
}

#[test]
fn refusals_by_validators_are_retried_as_often_as_the_settings_say() {
    let place = Place::new(
        "FAILED_TASK_RETRY_COOLDOWN_MS = 10\nBLOCKED_POLICY_SUPPRESSION_MAX_RETRIES = 1\n",
    );
    let service = Service::start(&place);
    // What it changes is no test.
    let id = service.add(json!({ "title": "fix the greeting", "class": "test" }));
    let stuck = service.until(id, "needs_rework");
    assert_eq!(stuck["retry"]["reason"], "retry_exhausted", "{stuck}");
    assert_eq!(stuck["retry"]["failureCategory"], "policy", "{stuck}");
    assert_eq!(stuck["lessons"].as_array().unwrap().len(), 2, "{stuck}");
    let runs = service.ask("GET", "/runs", &Value::Null);
    assert_eq!(runs["runs"].as_array().unwrap().len(), 2, "{runs}");
}

#[test]
fn what_a_failed_run_tried_is_shown_and_no_judge_takes_it() {
    let place = Place::new("BLOCKED_POLICY_SUPPRESSION_MAX_RETRIES = 0\n");
    let service = Service::start(&place);
    let id = service.add(json!({ "title": "fix the greeting", "class": "test" }));
    let stuck = service.until(id, "needs_rework");
    assert_eq!(stuck["judgements"], json!([]));
    let run = service.ask("GET", "/runs/1", &Value::Null);
    assert_eq!(run["run"]["status"], "failed", "{run}");
    let left = |name: &str| {
        let artifacts = run["artifacts"].as_array().unwrap();
        artifacts.iter().any(|one| one["id"] == name)
    };
    assert!(left("commit") && left("diff"), "{run}");
    let tried = "+echo \"Hello, ${1:-world}\"";
    let diff = place.tos(&["board", "diff", "1"]);
    assert!(diff.contains(tried), "{diff}");
    let page = service.raw("GET", "/ui/tasks/1", &service.token, &service.address, "");
    let shown = tried.replace('"', "&quot;");
    assert!(page.1.contains(&shown), "{}", page.1);
    let (ok, said) = place.run(&["board", "diff", "2"]);
    assert!(!ok && said.contains("there is no run-2"), "{said}");
    // Brought back, it begins anew; what was tried is not taken for its work.
    place.tos(&["proc", "stop", "worker-1"]);
    place.tos(&["proc", "stop", "worker-2"]);
    place.tos(&["board", "requeue", "1"]);
    let again = service.until(id, "queued");
    assert_eq!(again["judgements"], json!([]));
}

#[test]
fn a_dirty_checkout_is_left_alone_until_it_is_clean() {
    let place = Place::new("JUDGE_MERGE_QUEUE_RETRY_DELAY_MS = 3600000\n");
    let service = Service::start(&place);
    fs::write(place.top.join("test.sh"), "# mine, not committed\n").unwrap();
    let task = service.add(json!({ "title": "fix the greeting", "class": "fix" }));
    let waits = service.until_why(task, "ready to fast-forward");
    assert!(waits.contains("tos merge"), "{waits}");
    assert_eq!(
        fs::read_to_string(place.top.join("test.sh")).unwrap(),
        "# mine, not committed\n"
    );
    let (ok, still) = place.run(&["merge"]);
    assert!(!ok && still.contains("ready to fast-forward"), "{still}");
    git(&place.top, &["checkout", "-q", "test.sh"]);
    // The command waits for what comes of it.
    let merged = place.tos(&["merge"]);
    assert!(merged.contains("task-1: merged as"), "{merged}");
    service.until(task, "done");
}

#[test]
fn a_stopped_worker_gives_its_task_back_and_leaves_no_process() {
    let place = Place::new("");
    let service = Service::start(&place);
    let task = service.add(json!({ "title": "be slow" }));
    service.until(task, "running");
    place.until_process("sleep 61408", true);
    let answer = place.tos(&["proc", "stop-all"]);
    assert!(answer.contains("1 run cancelled, 1 task back"), "{answer}");
    service.until(task, "queued");
    place.until_process("sleep 61408", false);
    let why = place.tos(&["why", "1"]);
    assert!(why.contains("dispatcher is stop"), "{why}");
    let shown = service.ask("GET", "/system/hatch", &Value::Null);
    let since = shown["since"].as_str().unwrap().to_owned();
    let status = place.tos(&["hatch", "status"]);
    for words in ["disarmed since", &since, "by a person (stop-all)", "until"] {
        assert!(status.contains(words), "{words}: {status}");
    }
    let told = place
        .command(&["hatch", "status", "--json"])
        .output()
        .unwrap();
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["since"], json!(since), "{told}");
    assert!(!place.run(&["proc", "start", "nobody"]).0);
}

#[test]
fn attempts_that_a_crash_ended_are_no_nights_and_leave_nothing_among_them() {
    let place = Place::new("");
    let mut service = Service::start(&place);
    let task = service.add(json!({ "title": "be slow" }));
    service.until(task, "running");
    let sessions = || -> Vec<String> {
        let folder = fs::read_dir(place.top.join(".tos/sessions")).unwrap();
        let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
            .collect()
    };
    Place::until_true(|| place.top.join(".tos/sessions").exists() && !sessions().is_empty());
    service.kill();
    // What earlier versions wrote of such attempts; a person added something to one of the folders.
    let nights = place.top.join(".tos/nights");
    let attempt = sessions().pop().unwrap();
    assert!(attempt.ends_with("-run-1"), "{attempt}");
    let lay_down = |name: &str, files: &[&str]| {
        fs::create_dir_all(nights.join(name)).unwrap();
        for file in files {
            fs::write(nights.join(name).join(file), "x").unwrap();
        }
    };
    let written = ["summary.txt", "summary.json", "summary.html"];
    lay_down(&attempt, &written);
    lay_down("20261129-mine-run-1", &written);
    let mut service = Service::start(&place);
    // Nothing but what belongs to an attempt of this board is taken away, and nothing new was written.
    let left: Vec<_> = fs::read_dir(&nights)
        .unwrap()
        .map(|one| one.unwrap().file_name())
        .collect();
    assert_eq!(left, ["20261129-mine-run-1"]);
    service.kill();
    lay_down(&attempt, &["summary.txt", "my-notes.txt"]);
    let _service = Service::start(&place);
    let kept: Vec<_> = fs::read_dir(nights.join(&attempt))
        .unwrap()
        .map(|one| one.unwrap().file_name())
        .collect();
    assert_eq!(kept, ["my-notes.txt"]);
}

#[test]
fn a_hatch_that_a_person_disarmed_lets_the_judge_work_and_nothing_else_begin() {
    let place = Place::new("");
    let service = Service::start_with(&place, &[("JUDGE_COUNT", "0".as_ref())]);
    let waiting = service.add(json!({ "title": "fix the greeting", "class": "fix" }));
    service.until(waiting, "awaiting_judge");
    assert!(place.tos(&["hatch", "disarm"]).contains("disarmed"));
    let shown = service.ask("GET", "/system/hatch", &Value::Null);
    assert_eq!(shown["armed"], false, "{shown}");
    let by = shown["source"].as_str().unwrap().to_owned();
    drop(service);
    // The next service starts a judge, because work waits for it, and leaves the hatch as it is.
    let service = Service::start(&place);
    service.until(waiting, "done");
    let next = service.add(json!({ "title": "write a farewell" }));
    service.until_why(next, "so nothing starts");
    let shown = service.ask("GET", "/system/hatch", &Value::Null);
    assert_eq!(
        (&shown["armed"], &shown["source"]),
        (&json!(false), &json!(by))
    );
    let status = place.tos(&["hatch", "status"]);
    assert!(status.contains("disarmed"), "{status}");
    place.tos(&["hatch", "arm"]);
    service.until(next, "done");
    // The same by the API.
    let shown = service.ask("POST", "/system/hatch/disarm", &Value::Null);
    assert_eq!(shown["armed"], false, "{shown}");
    assert!(place.tos(&["hatch", "status"]).contains("disarmed"));
}

/// An agent that does not end when it is asked to, nor does what it starts, of which one leaves its session.
const STUBBORN: &str = r"trap '' TERM INT HUP
setsid sleep 61409 &
sleep 61410 &
while :; do sleep 61411; done
";

const STUBBORN_PROGRAMS: [&str; 3] = ["sleep 61409", "sleep 61410", "sleep 61411"];

fn stubborn() -> Place {
    let place = Place::new("");
    repository::write(&place.top, "agent.sh", STUBBORN);
    git(&place.top, &["commit", "-qam", "another agent"]);
    place
}

#[test]
fn a_stop_is_told_once_everything_is_gone_whatever_ignores_it() {
    let place = stubborn();
    let service = Service::start(&place);
    let task = service.add(json!({ "title": "anything" }));
    for (run, words) in [
        (1, vec!["board", "cancel-run", "1"]),
        (2, vec!["proc", "stop"]),
        (3, vec!["proc", "stop-all"]),
    ] {
        service.until(task, "running");
        for program in STUBBORN_PROGRAMS {
            place.until_process(program, true);
        }
        let path = format!("/runs/{run}");
        let agent = service.ask("GET", &path, &Value::Null)["run"]["agentId"].clone();
        let mut words = words;
        if words == ["proc", "stop"] {
            words.push(agent.as_str().unwrap());
        }
        // Nobody else begins meanwhile.
        place.tos(&["board", "hold"]);
        let said = place.tos(&words);
        for program in STUBBORN_PROGRAMS {
            assert!(!place.has_process(program), "{program}: {said}");
        }
        let shown = service.ask("GET", &path, &Value::Null);
        let standing = (&shown["run"]["status"], &shown["run"]["stopping"]);
        assert_eq!(standing, (&json!("cancelled"), &json!(false)), "{said}");
        let word = if run == 3 {
            "nothing of them runs any more"
        } else {
            "stopped"
        };
        assert!(run == 1 || said.contains(word), "{said}");
        // «is being stopped» would be a promise only.
        assert!(!said.contains("is being"), "{said}");
        if run < 3 {
            place.tos(&["board", "resume"]);
        }
    }
}

#[test]
fn a_service_ends_by_its_deadline_whatever_its_agents_ignore() {
    let place = stubborn();
    let mut service = Service::start(&place);
    let task = service.add(json!({ "title": "anything" }));
    service.until(task, "running");
    for program in STUBBORN_PROGRAMS {
        place.until_process(program, true);
    }
    // The deadline is one second.
    service.signal("TERM");
    let said = service.ended();
    for program in STUBBORN_PROGRAMS {
        assert!(!place.has_process(program), "{program}: {said}");
    }
    git(&place.top, &["checkout", "-q", "HEAD~1", "--", "agent.sh"]);
    git(&place.top, &["commit", "-qm", "the first agent again"]);
    let service = Service::start(&place);
    service.until(task, "done");
}

#[test]
fn the_unit_for_systemd_is_one() {
    let place = Place::new("");
    let unit = place.tos(&["serve", "--unit"]);
    let file = place.top.join("tos-serve.service");
    fs::write(&file, &unit).unwrap();
    assert!(unit.contains("KillMode=mixed") && unit.contains("TimeoutStopSec="));
    let mut check = std::process::Command::new("systemd-analyze");
    let Ok(told) = check.args(["--user", "verify"]).arg(&file).output() else {
        return;
    };
    // Without a systemd that runs it may find no units to hold it against; what is wrong with this one it says by its name.
    let said = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(!said.contains("tos-serve.service"), "{said}\n{unit}");
}

#[test]
fn nobody_without_the_token_is_answered_and_nobody_serves_twice() {
    let place = Place::new("");
    let service = Service::start(&place);
    for (token, host, status) in [
        ("wrong", service.address.as_str(), 401),
        (service.token.as_str(), "evil.example:80", 403),
        (service.token.as_str(), service.address.as_str(), 200),
    ] {
        assert_eq!(service.raw("GET", "/tasks", token, host, "").0, status);
    }
    let (status, body) = service.raw(
        "POST",
        "/tasks",
        &service.token,
        &service.address,
        "{\"nope\":1}",
    );
    assert_eq!(
        (status, body.contains("\"code\":\"invalid\"")),
        (400, true),
        "{body}"
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(place.top.join(".tos/serve.json"))
            .unwrap()
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let (ok, said) = place.run(&["serve"]);
    assert!(!ok && said.contains("tos serve"), "{said}");
}

#[test]
fn a_board_can_be_exported_and_rebuilt() {
    let place = Place::new("");
    let service = Service::start(&place);
    let task = service.add(json!({ "title": "fix the greeting", "class": "fix" }));
    service.until(task, "done");
    drop(service);
    place.folds_to_what_is_there();
    let text = place.tos(&["board", "export"]);
    assert!(text.lines().count() > 10);
    fs::write(place.top.join(".tos/copy.jsonl"), &text).unwrap();
    fs::remove_file(place.top.join(".tos/board.sqlite")).unwrap();
    assert!(
        place
            .tos(&["board", "import", ".tos/copy.jsonl"])
            .contains("events taken in")
    );
    assert_eq!(place.tos(&["board", "export"]), text);
}
