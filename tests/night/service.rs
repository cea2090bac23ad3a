//! Nights beside a service: the list is handed over, its tasks are on the board, and the end is the same.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::root::Root;

/// How often something is looked at before the test gives up.
const PATIENCE: usize = 6000;

/// What the agent does: T-02 and T-04 are not done, T-05 hangs once, T-07 and T-08 meet a quota, everything else is done.
const AGENT: &str = r##"
here=$(dirname "$0")
case "$TOS_TASK" in
  health) echo ready; exit 0 ;;
  T-02|T-04) echo trying; echo "# not what was asked for" > "wrong-$TOS_TASK.py"; exit 0 ;;
  T-07) echo 'usage limit reached; resets_in_seconds: 1000' >&2; exit 1 ;;
  T-08) if [ ! -e "$here/quota" ]; then
          touch "$here/quota"; echo 'usage limit reached; resets_in_seconds: 1' >&2; exit 1
        fi ;;
  T-05) if [ ! -e "$here/hung" ]; then touch "$here/hung"; exec sleep 61409; fi ;;
esac
printf 'def made():\n    return "%s"\n' "$TOS_TASK" > "$TOS_TASK.py"
"##;

const SERVICE: &str = "test_command = [\"true\"]\nsandbox = \"off\"\n[agent]\nkind = \"command\"\n\
                       args = [\"sh\", \"../agent.sh\", \"{prompt}\"]\n[settings]\nWORKER_COUNT = 2\n";

struct Service {
    child: Child,
}

impl Service {
    fn start(root: &Root) -> Self {
        let file = root.root.join(".tos/serve.json");
        drop(fs::remove_file(&file));
        let log = fs::File::create(root.home.path().join("serve.log")).unwrap();
        let child = root
            .command(&["serve", "--drain", "1"])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut service = Self { child };
        until("the service is up", || {
            let ended = service.child.try_wait().unwrap();
            let said = || fs::read_to_string(root.home.path().join("serve.log")).unwrap();
            assert!(ended.is_none(), "{}", said());
            file.exists() && root.tos(&["board", "list"]).0 == Some(0)
        });
        service
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_some() {
            return;
        }
        let pid = self.child.id().to_string();
        drop(Command::new("kill").args(["-TERM", &pid]).status());
        self.child.wait().unwrap();
    }
}

pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..PATIENCE {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("waited in vain until {what}");
}

fn root(tasks: &[&str], mode: &str) -> Root {
    with_service(Root::new(AGENT), tasks, mode)
}

fn with_service(root: Root, tasks: &[&str], mode: &str) -> Root {
    root.write("config/service.toml", SERVICE);
    root.git(&["add", "-A"]);
    root.git(&["commit", "-q", "-m", "service"]);
    let tasks: Vec<String> = tasks.iter().map(|one| (*one).to_owned()).collect();
    root.list(mode, &tasks, "");
    root
}

fn outcomes(records: &[Value]) -> Vec<(String, String)> {
    let ends = records.iter().filter(|one| one["entry"]["kind"] == "task");
    ends.map(|one| {
        let end = &one["entry"]["end"];
        let word = |name: &str| end[name].as_str().unwrap().to_owned();
        (word("task"), word("outcome"))
    })
    .collect()
}

fn without_times(text: &str) -> Vec<String> {
    // Beside a service, people are told by it.
    let is_the_same =
        |line: &&str| line.contains("T-0") && !line.contains('[') && !line.starts_with("tos: ");
    text.lines()
        .filter(is_the_same)
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_night_beside_a_service_ends_as_one_without() {
    let tasks = ["T-01", "T-02", "T-03"];
    let alone = root(&tasks, "retry_then_skip_dependents");
    let (code_alone, said_alone) =
        alone.tos(&["night", "start", "--for", "1h", &alone.list_file()]);

    let beside = root(&tasks, "retry_then_skip_dependents");
    let service = Service::start(&beside);
    // Another task of the board goes on meanwhile.
    let (added, said) = beside.tos(&["board", "add", "write a note"]);
    assert_eq!(added, Some(0), "{said}");
    let (code, said) = beside.tos(&["night", "start", "--for", "1h", &beside.list_file()]);
    assert_eq!(code, code_alone, "{said_alone}\n---\n{said}");
    assert_eq!(code, Some(3));
    assert!(said.contains("session-1"), "{said}");
    assert!(said.contains("[1/3] T-01"), "it is followed live: {said}");
    let board = beside.tos(&["board", "list"]).1;
    for line in ["T-01", "T-02", "write a note"] {
        assert!(board.contains(line), "{line}: {board}");
    }
    let night = |root: &Root| -> Vec<(String, String)> {
        outcomes(&root.records())
            .into_iter()
            .filter(|(task, _)| task.starts_with("T-"))
            .collect()
    };
    assert_eq!(night(&beside), night(&alone));
    let summary = beside.json(&["night", "summary"]);
    for (place, number) in [
        ("/counts/success", 2),
        ("/counts/failed", 1),
        ("/retries", 1),
    ] {
        let found = summary.pointer(place).and_then(Value::as_u64);
        assert!(found.is_some(), "{place}: {summary}");
        assert_eq!(found, Some(number), "{place}");
    }
    assert_eq!(
        without_times(&said_alone).len(),
        without_times(&said).len(),
        "{said_alone}\n---\n{said}"
    );
    drop(service);
    // What was accepted is taken over as ever.
    let run = summary["run"].as_str().unwrap().to_owned();
    let (code, said) = beside.tos(&["night", "merge", &run]);
    assert!(code == Some(0) || said.contains("moved"), "{said}");
}

#[test]
fn a_night_without_a_service_is_on_the_board_of_the_next_one() {
    let tasks = ["T-01", "T-02", "T-03"];
    let root = root(&tasks, "retry_then_skip_dependents");
    let (code, said) = root.tos(&["night", "start", "--for", "1h", &root.list_file()]);
    assert_eq!(code, Some(3), "{said}");
    let run = root.json(&["night", "summary"])["run"].clone();
    // However often a service starts, it is there once.
    for _ in 0..2 {
        let service = Service::start(&root);
        until("the night is on the board", || {
            root.tos(&["board", "list"]).1.contains("T-01")
        });
        let board = root.tos(&["board", "list"]).1;
        let line = |name: &str| {
            let mut lines = board.lines().filter(|line| line.contains(name));
            let line = lines.next().unwrap_or_default().to_owned();
            assert_eq!(lines.next(), None, "{board}");
            line
        };
        assert!(line("T-01").contains("done"), "{board}");
        assert!(line("T-02").contains("needs_rework"), "{board}");
        assert!(line("T-03").contains("done"), "{board}");
        let why = root.tos(&["why", "2"]).1;
        assert!(why.contains("failed in session-1"), "{why}");
        let shown = root.json(&["board", "show", "1"]);
        assert_eq!(shown["task"]["session"], 1, "{shown}");
        assert!(!run.is_null());
        drop(service);
    }
}

#[test]
fn two_failures_in_a_row_stop_a_session_and_the_board_says_so() {
    let root = root(&["T-02", "T-04", "T-06"], "retry_then_skip_dependents");
    let _service = Service::start(&root);
    let (code, said) = root.tos(&["task", "run", &root.list_file()]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("two tasks failed in a row"), "{said}");
    let why = root.tos(&["why", "3"]).1;
    assert!(why.contains("not run"), "{why}");
    let why = root.tos(&["why", "1"]).1;
    assert!(why.contains("failed in session-1"), "{why}");
}

#[test]
fn a_detached_night_is_followed_explained_and_cancelled() {
    let root = root(&["T-05", "T-06"], "retry_then_stop");
    let _service = Service::start(&root);
    let list = root.list_file();
    let start = ["night", "start", "--for", "1h", "--detach", list.as_str()];
    let (code, said) = root.tos(&start);
    assert_eq!(code, Some(0), "{said}");
    until("the agent hangs", || root.home.path().join("hung").exists());
    let why = root.tos(&["why", "2"]).1;
    assert!(why.contains("T-05 is before it"), "{why}");
    let (code, said) = root.tos(&start);
    assert!(code == Some(1) && said.contains("already"), "{said}");
    let (code, said) = root.tos(&["night", "cancel"]);
    assert_eq!(code, Some(0), "{said}");
    until("the session is over", || {
        root.tos(&["night", "follow", "1"]).0 == Some(4)
    });
    let end = root.records();
    let end = end
        .iter()
        .rfind(|one| one["entry"]["kind"] == "session.end");
    assert_eq!(end.unwrap()["entry"]["end"]["ended_by"], "operator");
    // A person goes on with it, as with any night.
    let (code, said) = root.tos(&["night", "resume", "--for", "1h"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_night_goes_on_by_itself_when_its_service_was_killed() {
    let root = root(&["T-01", "T-05", "T-06"], "retry_then_stop");
    let service = Service::start(&root);
    let list = root.list_file();
    let mut follower = root
        .silent(&["night", "start", "--for", "1h", &list])
        .spawn()
        .unwrap();
    until("the agent hangs", || root.home.path().join("hung").exists());
    service.kill();
    let _service = Service::start(&root);
    // Whoever followed it follows it still, to the same end.
    let status = follower.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    let ends = outcomes(&root.records());
    for task in ["T-01", "T-05", "T-06"] {
        let good = ends
            .iter()
            .filter(|(id, outcome)| id == task && outcome == "success");
        assert_eq!(good.count(), 1, "{task}: {ends:?}");
    }
    let summary = root.json(&["night", "summary"]);
    assert_eq!(summary.pointer("/counts/success"), Some(&3.into()));
}

#[test]
fn in_the_lowest_phase_a_person_says_go_beside_a_service_too() {
    let root = with_service(Root::watched(AGENT), &["T-01", "T-03"], "stop");
    let _service = Service::start(&root);
    let words = ["night", "start", "--attended", &root.list_file()];
    let (code, said) = root.at_terminal(&words, "go\nno\n");
    assert_eq!(code, Some(4), "{said}");
    assert!(
        said.contains("1 of 2 tasks passed: stopped by you"),
        "{said}"
    );
    assert!(said.contains("Type `go` to start it"), "{said}");
    let why = root.tos(&["why", "2"]).1;
    assert!(why.contains("its start was denied"), "{why}");
}

#[test]
fn another_list_runs_beside_a_night_and_a_second_try_is_a_run_of_its_own() {
    let root = root(&["T-05", "T-06"], "retry_then_stop");
    let _service = Service::start(&root);
    let night = root.list_file();
    let start = ["night", "start", "--for", "1h", "--detach", night.as_str()];
    let (code, said) = root.tos(&start);
    assert_eq!(code, Some(0), "{said}");
    until("the agent hangs", || root.home.path().join("hung").exists());
    // Another list beside it, to its own end. T-02 is not done and is tried twice.
    let tasks = ["T-01", "T-02"].map(str::to_owned);
    let text = root.list_text("retry_then_stop", &tasks, "");
    let other = root.home.path().join("other.toml");
    fs::write(&other, text.replace("id = \"demo\"", "id = \"other\"")).unwrap();
    let (code, said) = root.tos(&["task", "run", other.to_str().unwrap()]);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("session-2") && said.contains("trying once more"),
        "{said}"
    );
    let runs = root.tos(&["why", "4"]).1;
    assert!(runs.contains("failed in session-2"), "{runs}");
    // Each try has its own log.
    let sessions = fs::read_dir(root.root.join(".tos/task-logs")).unwrap();
    let folders = sessions.flat_map(|session| fs::read_dir(session.unwrap().path()));
    let tasks = folders.flatten().map(Result::unwrap);
    let names = tasks.map(|task| task.file_name().into_string().unwrap());
    let tries: Vec<String> = names.filter(|name| name.starts_with("T-02.run-")).collect();
    assert_eq!(tries.len(), 2, "{tries:?}");
    let board = root.json(&["board", "list"]);
    let tries = board.to_string();
    assert!(tries.contains("T-02"), "{tries}");
    // The night still hangs, and none is meant where several could be.
    let why = root.tos(&["why", "2"]).1;
    assert!(why.contains("T-05 is before it"), "{why}");
    let ends = outcomes(&root.records());
    assert!(
        ends.contains(&("T-01".to_owned(), "success".to_owned())),
        "{ends:?}"
    );
    assert!(!ends.iter().any(|(task, _)| task == "T-05"), "{ends:?}");
    let (code, said) = root.tos(&["night", "cancel"]);
    assert_eq!(code, Some(0), "{said}");
    until("the session is over", || {
        root.tos(&["night", "follow", "1"]).0 == Some(4)
    });
}

fn with_one_worker(tasks: &[&str]) -> Root {
    let root = root(tasks, "stop");
    let agent = root.home.path().join("agent.sh");
    let one = SERVICE
        .replace("WORKER_COUNT = 2", "WORKER_COUNT = 1")
        .replace("../agent.sh", agent.to_str().unwrap());
    root.write("config/service.toml", &one);
    root.git(&["commit", "-qam", "one worker"]);
    root
}

#[test]
fn a_session_that_waits_for_a_quota_lets_its_worker_do_something_else() {
    let root = with_one_worker(&["T-07"]);
    let _service = Service::start(&root);
    let list = root.list_file();
    let start = ["night", "start", "--for", "1h", "--detach", list.as_str()];
    let (code, said) = root.tos(&start);
    assert_eq!(code, Some(0), "{said}");
    until("it waits", || {
        root.tos(&["why", "1"]).1.contains("session-1 waits: ")
    });
    let (code, said) = root.tos(&["board", "add", "write a note"]);
    assert_eq!(code, Some(0), "{said}");
    until("the only worker has done the note", || {
        root.tos(&["why", "2"]).1.contains("merged as")
    });
    assert!(root.tos(&["why", "1"]).1.contains("session-1 waits: "));
    // A wait is ended like everything else, and is no failure.
    let (code, said) = root.tos(&["night", "cancel"]);
    assert_eq!(code, Some(0), "{said}");
    until("the session is over", || {
        root.tos(&["night", "follow", "1"]).0 == Some(4)
    });
    let summary = root.json(&["night", "summary"]);
    assert_eq!(summary["counts"]["blocked"], 1, "{summary}");
    assert_eq!(summary["counts"]["failed"], 0, "{summary}");
}

#[test]
fn a_session_goes_on_by_itself_once_its_quota_is_renewed() {
    let root = with_one_worker(&["T-08", "T-01"]);
    let _service = Service::start(&root);
    let (code, said) = root.tos(&["task", "run", &root.list_file()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("2 of 2 tasks passed"), "{said}");
    let ends = outcomes(&root.records());
    let good = ends.iter().filter(|(_, outcome)| outcome == "success");
    assert_eq!(good.count(), 2, "{ends:?}");
    assert!(root.tos(&["why", "1"]).1.contains("success in session-1"));
}

#[test]
fn who_follows_a_list_behind_a_hold_is_told_once_what_it_waits_for() {
    let root = root(&["T-01"], "stop");
    let _service = Service::start(&root);
    let (code, said) = root.tos(&["board", "hold", "first a look"]);
    assert_eq!(code, Some(0), "{said}");
    let file = root.home.path().join("follow.log");
    let list = root.list_file();
    let log = fs::File::create(&file).unwrap();
    let mut follower = root
        .command(&["night", "start", "--for", "1h", &list])
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let said = || fs::read_to_string(&file).unwrap();
    until("the reason is told", || {
        said().contains("waits: nothing new is started: first a look")
    });
    assert!(said().contains("[person]; tos board resume"), "{}", said());
    let (code, resumed) = root.tos(&["board", "resume"]);
    assert_eq!(code, Some(0), "{resumed}");
    assert_eq!(follower.wait().unwrap().code(), Some(0), "{}", said());
    assert_eq!(said().matches("nothing new is started").count(), 1);
}

#[test]
fn a_repository_with_a_service_and_no_job_is_told_by_status_and_doctor() {
    let root = root(&["T-01"], "stop");
    let (code, said) = root.tos(&["status"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("job       none here"), "{said}");
    assert!(said.contains("service   none runs; `tos serve`"), "{said}");
    let service = Service::start(&root);
    assert_eq!(root.tos(&["board", "hold"]).0, Some(0));
    assert_eq!(root.tos(&["board", "add", "write a note"]).0, Some(0));
    let (code, said) = root.tos(&["status"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("service   running since ") && said.contains(": 1 queued; `tos open`"),
        "{said}"
    );
    let json = root.json(&["status"]);
    assert_eq!(json["service"]["tasks"]["queued"], 1, "{json}");
    let (code, said) = root.tos(&["doctor"]);
    assert_eq!(code, Some(0), "no model of a job is wanted here: {said}");
    assert!(said.contains("service: agent `sh`, tests `true`"), "{said}");
    drop(service);
    // What the service would refuse at its start is a problem here.
    let broken = format!(
        "{}\n[planner]\nmodel = {{ provider = \"openai\", model = \"m\" }}\n",
        SERVICE.replace("[\"true\"]", "[\"no-such-program\"]")
    );
    root.write("config/service.toml", &broken);
    let (code, said) = root.tos(&["doctor"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("`no-such-program` is not there"), "{said}");
    assert!(said.contains("service planner: "), "{said}");
    assert!(said.contains("OPENAI_API_KEY"), "{said}");
}

#[test]
fn a_service_on_no_branch_is_refused_at_its_start() {
    let root = root(&["T-01"], "stop");
    root.git(&["switch", "-q", "--detach"]);
    let (code, said) = root.tos(&["serve"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("the checkout is on no branch; `git switch BRANCH` first"),
        "{said}"
    );
}

#[test]
fn what_was_taken_over_is_not_to_be_taken_over() {
    let root = root(&["T-01"], "stop");
    let (code, said) = root.tos(&["night", "start", "--for", "1h", &root.list_file()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(root.tos(&["status"]).1.contains("tos night merge"));
    assert_eq!(root.tos(&["night", "merge"]).0, Some(0));
    for words in [&["status"][..], &["night", "summary"]] {
        let (code, said) = root.tos(words);
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains("night merge"), "{said}");
    }
    assert_eq!(root.json(&["status"])["night"]["next"], Value::Null);
}

#[test]
fn detaching_needs_a_service() {
    let root = root(&["T-01"], "stop");
    let (code, said) = root.tos(&[
        "night",
        "start",
        "--for",
        "1h",
        "--detach",
        &root.list_file(),
    ]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("tos serve"), "{said}");
}
