//! Schedules through the program: added, listed, run when due, never twice at once, told on failure, printed as units.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at the real disk, and what fails there fails the test"
)]

#[path = "../support/program.rs"]
mod program;

use std::{fs, path::Path, process::Command, time::Instant};

use chrono::{Duration, Utc};
use serde_json::{Value, json};
use tempfile::TempDir;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use program::program;

struct Root(TempDir);

struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Root {
    fn new() -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        root.write("config/config_v0_3.json", "{}");
        root.write(
            "ok.yaml",
            "tasks:\n- {id: a, cmd: [sh, -c, 'echo x >> ran']}\n",
        );
        root.write("bad.yaml", "tasks:\n- {id: a, cmd: [sh, -c, 'exit 7']}\n");
        root
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path().join(file)).unwrap_or_default()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut all = vec!["schedule"];
        all.extend(words);
        let mut command = program(self.path(), self.path(), &all);
        command.env("TZ", "Europe/Brussels");
        command
    }

    fn tos(&self, words: &[&str]) -> Ended {
        let output = self.command(words).output().unwrap();
        Ended {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn json(&self, words: &[&str]) -> Value {
        let mut all = words.to_vec();
        all.push("--json");
        let ended = self.tos(&all);
        serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{}{}", ended.out, ended.err))
    }

    /// Adds a minutely schedule that was last handled so many minutes ago.
    fn minutely(&self, name: &str, plan: &str, missed: &str, minutes: i64) {
        let added = self.tos(&[
            "add",
            name,
            "--cron",
            "* * * * *",
            "--plan",
            plan,
            "--missed",
            missed,
        ]);
        assert_eq!(added.code, Some(0), "{}", added.err);
        self.handled(name, minutes);
    }

    fn handled(&self, name: &str, minutes: i64) {
        let then = (Utc::now() - Duration::minutes(minutes)).to_rfc3339();
        let record = json!({"slot": then, "at": then, "what": "seen"});
        self.write(
            &format!(".tos/schedules/{name}/records.jsonl"),
            &format!("{record}\n"),
        );
    }

    fn records(&self, name: &str) -> Vec<Value> {
        self.read(&format!(".tos/schedules/{name}/records.jsonl"))
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn until(mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + std::time::Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "it never holds");
        std::thread::yield_now();
    }
}

#[test]
fn a_schedule_is_added_listed_shown_and_removed_and_the_file_stays_a_persons() {
    let root = Root::new();
    root.write("config/schedules.toml", "# ours\n");
    let added = root.tos(&[
        "add",
        "nightly",
        "--cron",
        "30 2 * * mon-fri",
        "--plan",
        "ok.yaml",
        "--",
        "--enforce",
    ]);
    assert_eq!(added.code, Some(0), "{}", added.err);
    assert!(
        added
            .out
            .starts_with("added nightly to config/schedules.toml; next: 2"),
        "{}",
        added.out
    );
    assert_eq!(
        root.read("config/schedules.toml"),
        "# ours\n\n[[schedule]]\nname = \"nightly\"\ncron = \"30 2 * * mon-fri\"\nzone = \"Europe/Brussels\"\nmissed = \"once\"\nplan = \"ok.yaml\"\nargs = [\"--enforce\"]\n"
    );
    let listed = root.tos(&["list"]);
    assert!(
        listed
            .out
            .starts_with("nightly  30 2 * * mon-fri Europe/Brussels  next: 2")
            && listed.out.ends_with("last: never run\n"),
        "{}",
        listed.out
    );
    let shown = root.tos(&["show", "nightly"]);
    assert!(
        shown
            .out
            .contains("command: tos plan run ok.yaml --enforce\n"),
        "{}",
        shown.out
    );
    let next = root.json(&["next", "nightly", "--count", "3"]);
    assert_eq!(next["next"].as_array().unwrap().len(), 3);
    let twice = root.tos(&["add", "nightly", "--cron", "@daily", "--plan", "ok.yaml"]);
    assert_eq!(twice.code, Some(2));
    let removed = root.tos(&["remove", "nightly"]);
    assert_eq!(removed.code, Some(0), "{}", removed.err);
    assert_eq!(root.read("config/schedules.toml"), "# ours\n\n");
    assert_eq!(root.tos(&["show", "nightly"]).code, Some(2));
}

#[test]
fn wrong_words_and_wrong_files_say_what_is_right() {
    let root = Root::new();
    for (words, said) in [
        (
            &["add", "a", "--cron", "0 2 * *", "--plan", "ok.yaml"][..],
            "has five fields",
        ),
        (
            &["add", "a", "--cron", "@daily", "--plan", "none.yaml"],
            "there is no file none.yaml",
        ),
        (
            &["add", "a b", "--cron", "@daily", "--plan", "ok.yaml"],
            "`name` is 1 to 64 letters",
        ),
        (
            &[
                "add", "a", "--cron", "@daily", "--zone", "Mars", "--plan", "ok.yaml",
            ],
            "is no zone",
        ),
        (
            &["add", "a", "--quota-renewed", "--plan", "ok.yaml"],
            "a plan has no quota",
        ),
        (&["add", "a", "--cron", "@daily"], "required"),
        (
            &["run", "nobody"],
            "it has none; `tos schedule add` adds one",
        ),
    ] {
        let ended = root.tos(words);
        assert_eq!(ended.code, Some(2), "{words:?} {}", ended.err);
        assert!(ended.err.contains(said), "{words:?} {}", ended.err);
    }
    assert!(!root.path().join("config/schedules.toml").exists());
    root.write(
        "config/schedules.toml",
        "[[schedule]]\nname = \"a\"\ncron = \"@daily\"\nplann = \"ok.yaml\"\n",
    );
    for verb in ["list", "run-due"] {
        let ended = root.tos(&[verb]);
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(
            ended
                .err
                .contains("config/schedules.toml:4:1: unknown key `plann`; did you mean `plan`?"),
            "{}",
            ended.err
        );
    }
}

#[test]
fn what_is_due_runs_once_and_is_on_record_with_its_log() {
    let root = Root::new();
    root.minutely("m", "ok.yaml", "once", 3);
    let ended = root.tos(&["run-due", "--wait"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    assert_eq!(ended.out, "m: started\nm: ended with 0\n");
    assert_eq!(root.read("ran"), "x\n");
    let records = root.records("m");
    let words: Vec<&str> = records
        .iter()
        .map(|one| one["what"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["seen", "started", "started", "ended"]);
    let missed = records[1]["missed"].as_u64().unwrap();
    assert!((1..=3).contains(&missed), "{records:?}");
    assert_eq!(records[3]["exit_code"], 0);
    let log = root.read(records[3]["log"].as_str().unwrap());
    assert!(log.contains("state: SUCCESS"), "{log}");
    assert!(root.tos(&["list"]).out.contains("last: succeeded"));
}

#[test]
fn run_due_returns_at_once_and_what_it_started_ends_by_itself() {
    let root = Root::new();
    root.write(
        "slow.yaml",
        "tasks:\n- {id: a, cmd: [sh, -c, 'while ! [ -e go ]; do sleep 0.05; done; echo x >> ran']}\n",
    );
    root.minutely("m", "slow.yaml", "once", 3);
    let ended = root.tos(&["run-due"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "m: started\n"));
    until(|| root.records("m").iter().any(|one| one["log"].is_string()));
    assert!(root.tos(&["list"]).out.contains("last: running"));
    // The next minute finds it still going.
    let records = root.read(".tos/schedules/m/records.jsonl");
    root.handled("m", 3);
    let skipped = root.tos(&["run-due"]);
    assert!(
        skipped
            .out
            .starts_with("m: skipped: the run before still goes"),
        "{}",
        skipped.out
    );
    assert_eq!(root.records("m")[1]["what"], "overlap");
    let refused = root.tos(&["run", "m"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.err.contains("this one is skipped"),
        "{}",
        refused.err
    );
    root.write(".tos/schedules/m/records.jsonl", &records);
    root.write("go", "");
    until(|| root.records("m").iter().any(|one| one["what"] == "ended"));
    assert_eq!(root.read("ran"), "x\n");
}

#[test]
fn missed_runs_are_left_out_where_that_is_asked_for() {
    let root = Root::new();
    root.write(
        "config/schedules.toml",
        "[[schedule]]\nname = \"y\"\ncron = \"0 0 1 1 *\"\nmissed = \"never\"\nplan = \"ok.yaml\"\n",
    );
    // A first sight makes no run, however old the slots are.
    assert_eq!(root.tos(&["run-due", "--wait"]).out, "");
    root.handled("y", 800 * 24 * 60);
    assert_eq!(
        root.tos(&["run-due", "--wait"]).out,
        "y: left out: nobody was there in time\n"
    );
    assert_eq!(root.tos(&["run-due", "--wait"]).out, "");
    assert_eq!(root.read("ran"), "");
    assert_eq!(root.records("y")[1]["what"], "missed");
}

#[test]
fn a_run_that_fails_is_told_with_the_command_to_look_at_it() {
    let root = Root::new();
    root.write(
        "config/notify.toml",
        "[[notify]]\nkind = \"command\"\ncommand = [\"sh\", \"-c\", \"cat >> told\"]\non = [\"schedule_failed\"]\n",
    );
    root.minutely("m", "bad.yaml", "once", 3);
    let ended = root.tos(&["run-due", "--wait"]);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let told: Value = serde_json::from_str(&root.read("told")).unwrap();
    assert_eq!(told["event"], "schedule_failed");
    assert_eq!(told["next"], "tos schedule show m");
    let text = told["text"].as_str().unwrap();
    assert!(
        text.starts_with(
            "tos plan run bad.yaml ended with 3 (something failed or was skipped)\nlog: .tos/"
        ),
        "{text}"
    );
    assert!(root.tos(&["show", "m"]).out.contains("exit code 3"));
}

/// A root whose job waits for a quota, and the server that says so.
async fn stopped_by_a_quota() -> (MockServer, Root) {
    let server = MockServer::start().await;
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "7200");
    Mock::given(any()).respond_with(busy).mount(&server).await;
    let root = Root::new();
    let model =
        json!({"provider": "openai", "model": "m", "base_url": format!("{}/v1", server.uri())});
    let config = json!({
        "allow_types": ["sh"],
        "models": {"draft": model, "review": model, "final": model},
        "done_condition": {"all": [{"file": "done", "exists": true}]},
    });
    root.write("config/config_v0_3.json", &config.to_string());
    let ran = program(root.path(), root.path(), &["--mode", "run"])
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(5), "{ran:?}");
    (server, root)
}

#[tokio::test]
async fn a_job_that_a_quota_has_stopped_is_due_when_it_is_renewed() {
    let (_server, root) = stopped_by_a_quota().await;
    let added = root.tos(&["add", "q", "--quota-renewed", "--job", "run"]);
    assert_eq!(added.code, Some(0), "{}", added.err);
    let next = root.json(&["next", "q"]);
    let at: chrono::DateTime<Utc> = next["next"][0]["at"].as_str().unwrap().parse().unwrap();
    let left = (at - Utc::now()).num_minutes();
    assert!((100..=125).contains(&left), "{next}");
    assert_eq!(root.tos(&["run-due"]).out, "", "it is not renewed yet");
}

/// Moves every time of a run log back, as if it had been written so much earlier.
fn earlier(log: &str, by: Duration) -> String {
    let moved = |value: &mut Value| {
        if let Some(then) = value
            .as_str()
            .and_then(|text| text.parse::<chrono::DateTime<Utc>>().ok())
        {
            *value = json!((then - by).to_rfc3339_opts(chrono::SecondsFormat::Nanos, true));
        }
    };
    let line = |line: &str| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        for place in ["/at", "/event/until", "/event/outcome/until"] {
            if let Some(value) = record.pointer_mut(place) {
                moved(value);
            }
        }
        format!("{record}\n")
    };
    log.lines().map(line).collect()
}

#[tokio::test]
async fn a_job_that_a_quota_has_stopped_goes_on_where_it_was_when_the_quota_is_renewed() {
    let (server, root) = stopped_by_a_quota().await;
    // Still used up: nothing is asked, nothing is recorded.
    let asked = server.received_requests().await.unwrap().len();
    let again = program(root.path(), root.path(), &["--mode", "run"])
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(5), "{again:?}");
    assert_eq!(server.received_requests().await.unwrap().len(), asked);

    // Three hours later the server answers.
    root.write(
        "logs/run.jsonl",
        &earlier(&root.read("logs/run.jsonl"), Duration::hours(3)),
    );
    fs::remove_file(root.path().join("logs/run_snapshot.json")).unwrap();
    server.reset().await;
    let commands = json!([{"type": "sh", "code": "touch done"}]);
    // One answer that fits every role.
    let reply = json!({
        "thought": "t", "commands": commands,
        "review": "r", "improved_commands": commands, "approval": true,
        "final_commands": commands, "summary": "s",
    });
    let body = json!({
        "choices": [{"message": {"role": "assistant", "content": reply.to_string()}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    });
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).set_body_json(body))
        .mount(&server)
        .await;
    let added = root.tos(&["add", "q", "--quota-renewed", "--job", "run"]);
    assert_eq!(added.code, Some(0), "{}", added.err);
    assert!(root.tos(&["run-due"]).out.contains("q: started"));
    let ended = || {
        root.records("q")
            .into_iter()
            .find(|one| one["what"] == "ended")
    };
    until(|| ended().is_some());
    let ended = ended().unwrap();
    let log = root.read(ended["log"].as_str().unwrap());
    assert_eq!(ended["exit_code"], 0, "{log}");
    assert!(root.path().join("done").exists(), "{log}");
    let steps = fs::read_dir(root.path().join("logs/steps"))
        .unwrap()
        .count();
    assert_eq!(steps, 1, "the step that waited is the one that was done");
    assert_eq!(
        root.tos(&["run-due"]).out,
        "",
        "it is not due a second time"
    );
}

#[test]
fn a_job_that_no_quota_has_stopped_is_not_due() {
    let root = Root::new();
    let added = root.tos(&["add", "q", "--quota-renewed", "--job", "run"]);
    assert_eq!(added.code, Some(0), "{}", added.err);
    assert!(
        added
            .out
            .contains("next: when a quota has stopped it and is renewed"),
        "{}",
        added.out
    );
    assert_eq!(root.tos(&["run-due"]).out, "");
}

#[test]
fn units_name_the_program_and_the_root() {
    let root = Root::new();
    let place = root.path().canonicalize().unwrap();
    for system in ["systemd", "launchd", "cron"] {
        let ended = root.tos(&["unit", system]);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(
            ended.out.contains(place.to_str().unwrap()) && ended.out.contains("run-due"),
            "{}",
            ended.out
        );
    }
}
