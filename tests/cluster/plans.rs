//! Plans whose tasks other machines make: what a task finds, what comes back, and every way in which a run may end.

use std::{fs, process::Child};

use crate::{Worker, nats::NatsServer, options, place::Place, repository::write, signal};

fn plan(place: &Place, text: &str) {
    write(&place.top, "plan.yaml", text);
}

fn worker(server: &NatsServer, name: &str) -> Worker {
    let more = ["--roles", "none", "--plan-slots", "2"];
    let worker = Worker::start_with(&options(server), name, &more, &[]);
    Place::until_true(|| worker.said().contains("takes work"));
    worker
}

/// Runs a plan on the cluster; returns its exit code and what it said.
fn run(place: &Place, server: &NatsServer, words: &[&str]) -> (i32, String) {
    let words = [words, &options(server)].concat();
    let output = place.command(&words).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let code = output.status.code().unwrap();
    (code, String::from_utf8_lossy(&said).into_owned())
}

fn start(place: &Place, server: &NatsServer) -> Child {
    let words = [&["plan", "run", "plan.yaml"][..], &options(server)].concat();
    let log = fs::File::create(place.top.with_extension("plan.log")).unwrap();
    let mut command = place.command(&words);
    command.stdout(log.try_clone().unwrap()).stderr(log);
    command.spawn().unwrap()
}

#[test]
fn a_task_finds_the_project_and_what_others_left_and_its_outputs_come_back() {
    let server = NatsServer::start();
    let place = Place::new("");
    write(&place.top, "new.txt", "not committed\n");
    fs::create_dir(place.top.join("part")).unwrap();
    plan(
        &place,
        "policy: off\ntasks:\n- id: one\n  cwd: part\n  shell: \"echo said; echo wrong >&2; mkdir out; echo made > out/one.txt; chmod +x out/one.txt; echo lost > lost.txt\"\n  outputs: [\"out/*\"]\n- id: two\n  depends_on: [one]\n  env: {WHO: world}\n  shell: \"part/out/one.txt; test ! -e part/lost.txt; cat new.txt part/out/one.txt > two.txt; echo $WHO >> two.txt\"\n  outputs: [two.txt]\n- id: long\n  shell: \"seq 20000\"\n",
    );
    let _worker = worker(&server, "desk");
    let (code, said) = run(&place, &server, &["plan", "run", "plan.yaml"]);
    assert_eq!(code, 0, "{said}");
    let two = fs::read_to_string(place.top.join("two.txt")).unwrap();
    assert_eq!(two, "not committed\nmade\nworld\n");
    assert!(
        place.top.join("part/out/one.txt").exists() && !place.top.join("part/lost.txt").exists()
    );
    let logs = place.tos(&["plan", "logs", "--task", "one"]);
    assert!(logs.contains("said") && logs.contains("wrong"), "{logs}");
    assert!(
        !logs.contains("====="),
        "the line of the worker's own log: {logs}"
    );
    let logs = place.tos(&["plan", "logs", "--task", "long", "--tail", "30000"]);
    assert!(
        logs.contains("\n20000\n") && logs.contains("\n1\n"),
        "{}",
        logs.len()
    );
}

#[test]
fn what_fails_elsewhere_fails_here_and_is_tried_again_as_the_plan_says() {
    let server = NatsServer::start();
    let place = Place::new("");
    plan(
        &place,
        "tasks:\n- {id: bad, shell: \"exit 5\", retries: 1, retry_backoff_sec: [0]}\n- {id: after, depends_on: [bad], shell: \"true\"}\n- {id: slow, shell: \"sleep 61414\", timeout_sec: 0.5, grace_seconds: 1}\n- {id: lacking, shell: \"true\", outputs: [nothing.txt]}\n- {id: none, cmd: [\"no-such-program-here\"]}\n- {id: out, shell: \"true\", cwd: \"..\"}\n",
    );
    let _worker = worker(&server, "desk");
    let (code, said) = run(&place, &server, &["plan", "run", "plan.yaml"]);
    assert_eq!(code, 3, "{said}");
    let status = place
        .command(&["plan", "status", "latest", "--all"])
        .output()
        .unwrap();
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    for words in [
        "was not made",
        "could not be started",
        "needs bad",
        "timed out after",
    ] {
        assert!(status.contains(words), "{words}: {status}");
    }
    assert!(said.contains("cannot be done on another machine"), "{said}");
    place.until_process("sleep 61414", false);
    let logs = place.tos(&["plan", "logs", "--task", "bad"]);
    assert!(logs.contains("attempt 2 / 2"), "{logs}");
}

#[test]
fn what_a_task_prints_is_seen_while_it_runs_and_stands_there_once() {
    let server = NatsServer::start();
    let place = Place::new("");
    let go = place.top.join("go");
    plan(
        &place,
        &format!(
            "policy: off\ntasks:\n- id: slow\n  shell: \"echo first $DESK_API_KEY; echo wrong >&2; while test ! -e {}; do sleep 0.1; done; echo last\"\n  timeout_sec: 120\n",
            go.display()
        ),
    );
    let more = ["--roles", "none", "--plan-slots", "1"];
    let variables = [("DESK_API_KEY", "wrk-5ecret-0f-the-worker")];
    let desk = Worker::start_with(&options(&server), "desk", &more, &variables);
    Place::until_true(|| desk.said().contains("takes work"));
    let mut runner = start(&place, &server);
    let logs = || {
        let read = place.command(&["plan", "logs", "--task", "slow"]).output();
        String::from_utf8_lossy(&read.unwrap().stdout).into_owned()
    };
    Place::until_true(|| logs().contains("first"));
    Place::until_true(|| logs().contains("wrong"));
    assert!(!logs().contains("last") && !logs().contains("5ecret"));
    write(&place.top, "go", "");
    assert_eq!(runner.wait().unwrap().code(), Some(0));
    let logs = logs();
    for once in ["first", "wrong", "last"] {
        assert!(logs.contains(once), "{once}: {logs}");
    }
    assert_eq!(logs.matches("first").count(), 1, "{logs}");
    assert!(!logs.contains("5ecret"), "{logs}");
}

#[test]
fn what_no_worker_had_begun_waits_and_is_canceled_without_a_signal() {
    let server = NatsServer::start();
    let place = Place::new("");
    plan(
        &place,
        "tasks:\n- {id: a, shell: \"true\"}\n- {id: b, depends_on: [a], shell: \"true\"}\n",
    );
    let mut runner = start(&place, &server);
    let said = || fs::read_to_string(place.top.with_extension("plan.log")).unwrap();
    Place::until_true(|| said().contains("queued   a  waits for a worker"));
    signal(&runner, "-INT");
    assert_eq!(runner.wait().unwrap().code(), Some(4));
    let said = said();
    assert!(
        said.contains("canceled a  canceled before a worker had begun it"),
        "{said}"
    );
    assert!(said.contains("a second Ctrl-C kills it"), "{said}");
    for wrong in ["start ", "signal 15", "critical path"] {
        assert!(!said.contains(wrong), "{wrong}: {said}");
    }
}

#[test]
fn an_equal_success_of_the_past_needs_no_worker() {
    let server = NatsServer::start();
    let place = Place::new("");
    plan(
        &place,
        "tasks:\n- {id: a, shell: \"cat greet.sh > copy\", outputs: [copy], cache: {inputs: [greet.sh]}}\n",
    );
    let first = worker(&server, "desk");
    let (code, said) = run(&place, &server, &["plan", "run", "plan.yaml"]);
    assert_eq!(code, 0, "{said}");
    drop(first);
    fs::remove_file(place.top.join("copy")).unwrap();
    let (code, said) = run(&place, &server, &["plan", "run", "plan.yaml"]);
    assert_eq!(code, 0, "{said}");
    assert!(place.top.join("copy").exists());
}

#[test]
fn ctrl_c_ends_what_workers_do_and_what_waits_is_never_begun() {
    let server = NatsServer::start();
    let place = Place::new("");
    plan(
        &place,
        "max_parallel: 8\ntasks:\n- {id: a, shell: \"sleep 61415\"}\n- {id: b, shell: \"sleep 61415\"}\n- {id: c, shell: \"touch /tmp/never; sleep 61415\"}\n",
    );
    let desk = worker(&server, "desk");
    let mut runner = start(&place, &server);
    place.until_process("sleep 61415", true);
    signal(&runner, "-INT");
    assert_eq!(runner.wait().unwrap().code(), Some(4));
    place.until_process("sleep 61415", false);
    let (_, status) = place.run(&["plan", "status"]);
    assert!(status.contains("CANCELED"), "{status}");
    drop(desk);
}

#[test]
fn a_runner_that_was_killed_is_gone_on_with_and_what_it_had_is_ended_first() {
    let server = NatsServer::start();
    let place = Place::new("");
    plan(
        &place,
        "tasks:\n- {id: quick, shell: \"echo x > quick.txt\", outputs: [quick.txt]}\n- {id: slow, depends_on: [quick], shell: \"test -e go || sleep 61416\"}\n",
    );
    let _desk = worker(&server, "desk");
    let mut runner = start(&place, &server);
    place.until_process("sleep 61416", true);
    runner.kill().unwrap();
    runner.wait().unwrap();
    write(&place.top, "go", "");
    let (code, said) = run(&place, &server, &["plan", "resume"]);
    assert_eq!(code, 0, "{said}");
    place.until_process("sleep 61416", false);
    let logs = place.tos(&["plan", "logs", "--task", "quick"]);
    assert!(!logs.contains("attempt 2"), "{logs}");
}

#[test]
fn a_task_whose_worker_is_gone_fails_with_its_name() {
    let server = NatsServer::start();
    let place = Place::new("");
    plan(
        &place,
        "tasks:\n- {id: slow, shell: \"sleep 61417\", retries: 1, retry_backoff_sec: [0]}\n",
    );
    let mut desk = worker(&server, "desk");
    let mut runner = start(&place, &server);
    place.until_process("sleep 61417", true);
    desk.kill();
    let said = || fs::read_to_string(place.top.with_extension("plan.log")).unwrap();
    Place::until_true(|| said().contains("the worker desk is gone"));
    // A worker that starts there again ends what the dead one left.
    drop(
        std::process::Command::new("pkill")
            .args(["-f", "^sleep 61417"])
            .status(),
    );
    signal(&runner, "-TERM");
    assert_eq!(runner.wait().unwrap().code(), Some(4));
}

#[test]
fn no_secret_travels_and_labels_choose_the_worker() {
    let server = NatsServer::start();
    let place = Place::new("");
    plan(
        &place,
        "tasks:\n- {id: a, shell: \"echo at $NAME [$RUNNER_TOKEN] $DESK_API_KEY\", needs_labels: [gpu]}\n",
    );
    let more = ["--roles", "none", "--plan-slots", "1"];
    let plain = Worker::start_with(&options(&server), "plain", &more, &[("NAME", "plain")]);
    let more = [&more[..], &["--label", "gpu"]].concat();
    let variables = [
        ("NAME", "special"),
        ("DESK_API_KEY", "wrk-5ecret-0f-the-worker"),
    ];
    let special = Worker::start_with(&options(&server), "special", &more, &variables);
    for worker in [&plain, &special] {
        Place::until_true(|| worker.said().contains("takes work"));
    }
    let words = [&["plan", "run", "plan.yaml"][..], &options(&server)].concat();
    let mut command = place.command(&words);
    command.env("RUNNER_TOKEN", "run-5ecret-0f-the-runner");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let logs = place.tos(&["plan", "logs"]);
    assert!(logs.contains("at special []"), "{logs}");
    assert!(!logs.contains("wrk-5ecret"), "{logs}");
}

#[test]
fn the_wall_and_the_policy_are_those_of_the_worker() {
    let server = NatsServer::start();
    let place = Place::new("");
    plan(
        &place,
        "tasks:\n- {id: good, shell: \"cat greet.sh\"}\n- {id: bad, cmd: [git, push, --force, nowhere, main]}\n",
    );
    let more = ["--roles", "none", "--plan-slots", "1", "--enforce"];
    let worker = Worker::start_with(&options(&server), "desk", &more, &[]);
    Place::until_true(|| worker.said().contains("takes work"));
    let (code, said) = run(&place, &server, &["plan", "run", "plan.yaml"]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("the policy forbids it"), "{said}");
    let (_, status) = place.run(&["plan", "status", "latest", "--all"]);
    assert!(
        status.contains("1 SUCCESS") || status.matches("SUCCESS").count() == 1,
        "{status}"
    );
}

#[test]
fn tasks_for_agents_are_not_handed_out_by_a_plan() {
    let server = NatsServer::start();
    let place = Place::new("");
    plan(
        &place,
        "tasks:\n- {id: a, agent: claude, class: fix, prompt: \"write a farewell\", test_command: [\"true\"]}\n",
    );
    let (code, said) = run(&place, &server, &["plan", "run", "plan.yaml"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("tos serve --nats URL"), "{said}");
}
