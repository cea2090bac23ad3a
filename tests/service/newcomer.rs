//! What somebody meets who is new here, or makes a mistake: every wrong word is answered with what is wrong and what helps.

use std::{fs, net::TcpListener};

use serde_json::{Value, json};

use crate::{
    place::{Place, Service},
    repository::git,
};

/// Runs `tos`, which has to fail; returns what it said.
fn refused(place: &Place, words: &[&str]) -> String {
    let (ok, said) = place.run(words);
    assert!(!ok, "tos {words:?} succeeded: {said}");
    said
}

#[test]
fn a_hold_is_shown_where_people_look() {
    let place = Place::new("");
    let service = Service::start(&place);
    place.tos(&["board", "hold", "the build machine is being moved"]);
    let list = place.tos(&["board", "list"]);
    assert!(
        list.contains("nothing new is started: the build machine")
            && list.contains("tos board resume"),
        "{list}"
    );
    let hold = service.ask("GET", "/system/hold", &Value::Null);
    assert_eq!(
        (&hold["held"], &hold["until"]),
        (&json!(true), &json!(null))
    );
    place.tos(&["board", "resume"]);
    assert!(
        !place
            .tos(&["board", "list"])
            .contains("nothing new is started")
    );
    assert_eq!(
        service.ask("GET", "/system/hold", &Value::Null)["held"],
        false
    );
    assert!(service.said("nothing new is started: the build machine"));
}

#[test]
fn programs_that_are_not_there_are_said_before_anything_begins() {
    let place = Place::new("");
    let file = place.top.join("config/service.toml");
    let good = fs::read_to_string(&file).unwrap();
    for (from, to, names) in [
        (
            "[\"sh\", \"test.sh\"]",
            "[\"no-such-tester\"]",
            "`test_command`: the program `no-such-tester` is not there",
        ),
        (
            "[\"sh\", \"agent.sh\", \"{prompt}\"]",
            "[\"no-such-agent\", \"{prompt}\"]",
            "agent `no-such-agent`: the program",
        ),
        (
            "[\"sh\", \"agent.sh\", \"{prompt}\"]",
            "[\"sh\", \"agent.sh\"]",
            "needs `args` with `{prompt}`",
        ),
        (
            "kind = \"command\"\nargs = [\"sh\", \"agent.sh\", \"{prompt}\"]",
            "kind = \"opencode\"",
            "`opencode`, which is not installed",
        ),
    ] {
        assert!(good.contains(from), "{good}");
        fs::write(&file, good.replace(from, to)).unwrap();
        let said = refused(&place, &["serve"]);
        assert!(
            said.contains(names) && said.contains("config/service.toml"),
            "{said}"
        );
        assert!(!place.top.join(".tos/serve.json").exists());
    }
}

#[test]
fn everything_that_an_empty_folder_lacks_is_said_at_once() {
    let place = Place::new("");
    let empty = tempfile::Builder::new()
        .prefix("tos-empty-")
        .tempdir()
        .unwrap();
    let root = empty.path().to_str().unwrap();
    let said = refused(&place, &["--root", root, "serve"]);
    for words in [
        "things are missing here",
        "is in no git repository; make one with `git init`, and a first commit",
        "config/service.toml",
        "test_command = [",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // What is there is not missing.
    fs::write(place.top.join("config/service.toml"), "nonsense").unwrap();
    let said = refused(&place, &["serve"]);
    assert!(
        !said.contains("repository") && !said.contains("no coding agent"),
        "{said}"
    );
}

#[test]
fn a_folder_below_the_root_finds_the_service_of_the_root() {
    let place = Place::new("");
    let below = place.top.join("a/b");
    fs::create_dir_all(&below).unwrap();
    let said = || {
        let mut command = place.command(&["board", "list"]);
        let output = command.current_dir(&below).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    };
    let (ok, told) = said();
    let root = fs::canonicalize(&place.top).unwrap();
    assert!(
        !ok && told.contains(&format!("no service runs in {}", root.display())),
        "{told}"
    );
    let _service = Service::start(&place);
    let (ok, told) = said();
    assert!(
        ok && told.contains(&format!("root {}", root.display())),
        "{told}"
    );
}

#[test]
fn the_port_of_last_time_is_taken_again_where_it_is_free() {
    let place = Place::new("");
    let first = Service::start(&place).address.clone();
    let second = Service::start(&place).address.clone();
    assert_eq!(second, first);
    let taken = TcpListener::bind(&first).unwrap();
    let service = Service::start(&place);
    assert_ne!(service.address, first);
    let port = taken.local_addr().unwrap().port();
    assert!(service.said(&format!("the port of last time, {port}, is taken")));
}

#[test]
fn a_port_that_is_taken_and_counts_of_nobody_are_said() {
    let place = Place::new("JUDGE_COUNT = 0\n");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = refused(&place, &["serve", "--port", &port]);
    assert!(
        said.contains(&format!("port {port} is taken")) && said.contains("--port"),
        "{said}"
    );
    let service = Service::start(&place);
    assert!(service.said("JUDGE_COUNT is 0"));
    let task = service.add(json!({ "title": "fix the greeting" }));
    let why = service.until_why(task, "JUDGE_COUNT is 0");
    assert!(why.contains("tos proc start judge"), "{why}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a list of wrong words")]
fn wrong_words_change_nothing_and_say_what_is_right() {
    let place = Place::new("");
    for words in [
        &["board", "list"][..],
        &["why", "1"],
        &["open", "--print"],
        &["merge"],
        &["proc", "list"],
        &["hatch", "status"],
    ] {
        let said = refused(&place, words);
        assert!(said.contains("tos serve"), "{words:?}: {said}");
    }
    let said = refused(&place, &["board", "import", "no-such-file"]);
    assert!(said.contains("there is no file no-such-file"), "{said}");
    fs::write(place.top.join("empty"), "").unwrap();
    assert!(refused(&place, &["board", "import", "empty"]).contains("is empty"));
    let service = Service::start(&place);
    let events = || service.ask("GET", "/health", &Value::Null);
    drop(events());
    for (words, says) in [
        (
            &["proc", "stop", "worker-9"][..],
            "worker-9 was never started",
        ),
        (&["proc", "stop", "worker"], "no process is called"),
        (&["proc", "stop", "db-push"], "cannot be stopped"),
        (&["proc", "start", ""], ""),
        (&["proc", "restart"], "<NAME>"),
        (&["proc", "restart", "boss"], "no process is called"),
        (&["proc", "logs", "../../etc/passwd"], "no process"),
        (&["proc", "start", "planner"], "requirement"),
        (
            &["proc", "start", "planner", "--requirement", "nope.md"],
            "nope.md",
        ),
        (&["board", "add", ""], "`title` is empty"),
        (
            &["board", "add", "x", "--path", ""],
            "an entry of `paths` is empty",
        ),
        (
            &["board", "add", "x", "--path", "../up"],
            "not below the root",
        ),
        (&["board", "add", "x", "--after", "99"], "task-99"),
        (&["board", "add", "x", "--role", "judge"], "judge"),
        (&["board", "add", "x", "--class", "nice"], "`class`"),
        (&["board", "add", "x", "--priority", "5000"], "`priority`"),
        (
            &["board", "edit", "99", "--goal", "x"],
            "there is no task-99",
        ),
        (&["board", "edit", "1"], "nothing changes"),
        (&["board", "show", "99"], "there is no task-99"),
        (&["board", "show", "x"], "is no task"),
        (&["board", "cancel", "99"], "there is no task-99"),
        (&["board", "requeue", "-1"], "-1"),
        (&["board", "allow", "99"], "there is no approval-99"),
        (&["board", "list", "--status", "sleepy"], "sleepy"),
        (&["board", "cleanup"], "--yes"),
        (&["why", "99"], "there is no task-99"),
        (&["why", ""], ""),
    ] {
        let said = refused(&place, words);
        assert!(said.contains(says), "{words:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    let names = service.ask("GET", "/system/processes", &Value::Null)["processes"].to_string();
    assert!(!names.contains("worker-9"), "{names}");
    assert_eq!(
        service.ask("GET", "/tasks", &Value::Null)["tasks"],
        json!([])
    );
    assert!(place.tos(&["merge"]).contains("no merge waits"));
    assert!(place.tos(&["board", "list"]).contains("tos board add"));
    // What a hint names can be done.
    service.ask("POST", "/system/hold", &json!({}));
    let task = service.add(json!({ "title": "a task" })).to_string();
    place.tos(&[
        "board",
        "edit",
        &task,
        "--goal",
        "another goal",
        "--priority",
        "-3",
        "--path",
        "docs/**",
    ]);
    let edited = service.ask("GET", &format!("/tasks/{task}"), &Value::Null)["task"].take();
    assert_eq!(
        (&edited["goal"], &edited["priority"], &edited["paths"]),
        (&json!("another goal"), &json!(-3), &json!(["docs/**"]))
    );
}

#[test]
fn the_service_of_a_folder_is_not_that_of_its_copy() {
    let (place, copy) = (Place::new(""), Place::new(""));
    let service = Service::start(&place);
    let mut cp = std::process::Command::new("cp");
    cp.arg("-r").arg(place.top.join(".tos")).arg(&copy.top);
    assert!(cp.status().unwrap().success());
    place.tos(&["board", "list"]);
    for words in [
        &["board", "add", "made in the copy"][..],
        &["board", "list"],
    ] {
        let told = refused(&copy, words);
        assert!(told.contains("no service runs here"), "{told}");
    }
    assert!(!place.tos(&["board", "list"]).contains("made in the copy"));
    drop(service);
}

#[test]
fn a_service_in_the_background_answers_when_the_command_returns() {
    let place = Place::new("");
    let said = place.tos(&["serve", "--detach", "--drain", "1"]);
    assert!(
        said.contains("in the background") && said.contains(".tos/serve.log"),
        "{said}"
    );
    place.tos(&["board", "list"]);
    let again = refused(&place, &["serve", "--detach"]);
    assert!(again.contains("runs here already"), "{again}");
    let document = fs::read_to_string(place.top.join(".tos/serve.json")).unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();
    let pid = document["pid"].to_string();
    assert!(
        fs::read_to_string(place.top.join(".tos/serve.log"))
            .unwrap()
            .contains("serving on")
    );
    assert!(
        std::process::Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    Place::until_gone(&pid);
    // What keeps it from starting is said by the command.
    fs::write(place.top.join("config/service.toml"), "nonsense").unwrap();
    assert!(refused(&place, &["serve", "--detach"]).contains("config/service.toml"));
    fs::write(
        place.top.join("config/service.toml"),
        fs::read_to_string(Place::sample()).unwrap(),
    )
    .unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = refused(&place, &["serve", "--detach", "--port", &port]);
    assert!(
        said.contains("ended at once") && said.contains("is taken"),
        "{said}"
    );
}

#[test]
fn exactly_what_runs_under_other_settings_is_started_again() {
    let place = Place::new("");
    let service = Service::start(&place);
    let generations = || {
        let all = service.ask("GET", "/system/processes", &Value::Null);
        let all = all["processes"].as_array().unwrap().clone();
        let of = |one: &Value| (one["name"].as_str().unwrap().to_owned(), one.clone());
        all.iter()
            .map(of)
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let up = |name: &str| {
        generations()
            .get(name)
            .is_some_and(|one| one["status"] == "running")
    };
    Place::until_true(|| {
        [
            "dispatcher",
            "cycle-manager",
            "judge",
            "worker-1",
            "worker-2",
        ]
        .iter()
        .all(|name| up(name))
    });
    assert!(
        place
            .tos(&["proc", "restart", "--for-config"])
            .contains("everything runs under the settings")
    );
    let before = generations();
    service.ask(
        "PATCH",
        "/config",
        &json!({ "WORKER_COUNT": 1, "DISPATCH_DOCSER_LANE_MAX_SLOTS": 2 }),
    );
    let stale: Vec<String> = generations()
        .into_iter()
        .filter(|(_, one)| one["needsRestart"] == true)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(stale, ["dispatcher", "worker-1", "worker-2"]);
    assert!(
        place
            .tos(&["proc", "list"])
            .contains("tos proc restart --for-config")
    );
    let said = place.tos(&["proc", "restart", "--for-config"]);
    assert!(
        said.contains("started again: dispatcher, worker-1"),
        "{said}"
    );
    assert!(said.contains("no longer name it: worker-2"), "{said}");
    Place::until_true(|| up("dispatcher") && up("worker-1") && !up("worker-2"));
    let after = generations();
    for (name, one) in &after {
        let moved = before.get(name).map(|old| &old["startedAt"]) != Some(&one["startedAt"]);
        assert_eq!(
            moved,
            ["dispatcher", "worker-1"].contains(&name.as_str()),
            "{name}"
        );
    }
    assert!(
        place
            .tos(&["proc", "restart", "--for-config"])
            .contains("everything runs under the settings")
    );
}

#[test]
fn a_cleanup_keeps_what_was_there_and_database_commands_do_something() {
    let place = Place::new("");
    let service = Service::start(&place);
    service.ask("POST", "/system/hold", &json!({}));
    service.add(json!({ "title": "a note to keep" }));
    place.tos(&["proc", "start", "db-up"]);
    let message = |name: &str| {
        service.ask("GET", &format!("/system/processes/{name}"), &Value::Null)["message"]
            .to_string()
    };
    Place::until_true(|| message("db-up").contains("is intact and holds"));
    place.tos(&["proc", "start", "db-push"]);
    Place::until_true(|| message("db-push").contains("board-copies/board-"));
    let said = place.tos(&["board", "cleanup", "--yes"]);
    let archive = said
        .split_whitespace()
        .find(|word| word.starts_with(".tos/board-archive/"))
        .unwrap();
    assert!(
        fs::read_to_string(place.top.join(archive))
            .unwrap()
            .contains("a note to keep")
    );
    assert!(said.contains("removed 1 task (1 of them queued)"), "{said}");
    for (list, name) in [("/tasks", "tasks"), ("/runs", "runs")] {
        assert_eq!(service.ask("GET", list, &Value::Null)[name], json!([]));
    }
    let agents = service.ask("GET", "/agents", &Value::Null);
    for agent in agents["agents"].as_array().unwrap() {
        assert_eq!(agent["status"], "idle", "{agent}");
    }
    // What happened before is in the archive, and shown no more.
    let events = service.events_until("/events?after=0", "runtime_hatch_disarmed");
    assert!(events.starts_with("event: reset"), "{events}");
    assert!(
        events.contains("system.cleaned") || events.contains("cleanup"),
        "{events}"
    );
    assert!(!events.contains("a note to keep"), "{events}");
    // Numbers go on, so that nothing old is taken for something new, and the log still folds to what is there.
    assert_eq!(service.add(json!({ "title": "another" })), 2);
    drop(service);
    place.folds_to_what_is_there();
}

#[test]
fn a_cleanup_that_is_refused_does_nothing_and_one_that_is_done_leaves_no_reference() {
    let place = Place::new("");
    let service = Service::start(&place);
    let references = || {
        let words = ["for-each-ref", "--format=%(refname)", "refs/tos"];
        git(&place.top, &words)
    };
    let good = service.add(json!({ "title": "fix the greeting", "class": "fix" }));
    service.until(good, "done");
    // What a night left belongs to the night.
    git(
        &place.top,
        &["update-ref", "refs/tos/runs/20261130-night", "HEAD"],
    );
    let busy = service.add(json!({ "title": "be slow" }));
    service.until(busy, "running");
    let archive = place.top.join(".tos/board-archive");
    for words in [&["board", "cleanup", "--yes"][..], &["board", "cleanup"]] {
        let (ok, said) = place.run(words);
        assert!(!ok, "{said}");
    }
    assert!(!archive.exists());
    let is_of_run = |line: &str| {
        line.starts_with("refs/tos/attempts/board/task-1/") && line.ends_with("-run-1")
    };
    assert!(references().lines().any(is_of_run));
    // Nor does it touch what the board of another worktree left.
    git(
        &place.top,
        &[
            "update-ref",
            "refs/tos/runs/20261130-000000-abcdef-run-1",
            "HEAD",
        ],
    );
    let said = place.tos(&["board", "cleanup", "--yes", "--stop-first"]);
    assert!(said.contains("0 agents up and idle"), "{said}");
    assert!(
        said.contains("processes stopped, and all stay so"),
        "{said}"
    );
    let listed = service.ask("GET", "/system/processes", &Value::Null);
    let processes = listed["processes"].as_array().unwrap();
    assert!(
        processes.iter().all(|one| one["status"] != "running"),
        "{listed}"
    );
    assert_eq!(fs::read_dir(&archive).unwrap().count(), 1);
    let others = "refs/tos/runs/20261130-000000-abcdef-run-1\nrefs/tos/runs/20261130-night";
    assert_eq!(references(), others);
    assert_eq!(
        service.ask("GET", "/tasks", &Value::Null)["tasks"],
        json!([])
    );
}

#[test]
fn files_with_names_of_secrets_are_never_merged() {
    // The first of the seed's pains, with its own names: the task may touch everything, and the agent brings these along.
    for name in [
        ".env",
        "deploy.pem",
        "config/.env.production",
        "server.key",
        "keys/id_ed25519",
    ] {
        let place = Place::new("FAILED_TASK_RETRY_COOLDOWN_MS = 10\nAUTO_REWORK_MAX_DEPTH = 0\n");
        let script = format!(
            "mkdir -p config keys\nprintf '#!/bin/sh\\necho \"Hello, ${{1:-world}}\"\\n' > greet.sh\necho x > {name}\n"
        );
        fs::write(place.top.join("agent.sh"), script).unwrap();
        crate::repository::git(&place.top, &["commit", "-qam", "another agent"]);
        let before = crate::repository::git(&place.top, &["rev-parse", "main"]);
        let service = Service::start(&place);
        let task = service.add(json!({ "title": "fix the greeting", "class": "fix" }));
        let stuck = service.until(task, "needs_rework");
        assert!(
            stuck["detail"].as_str().unwrap().contains(name),
            "{name}: {stuck}"
        );
        assert_eq!(
            crate::repository::git(&place.top, &["rev-parse", "main"]),
            before
        );
    }
}
