//! The program: jobs and plans tell, `tos notify test` says the remedy, wrong files are named with their place.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use crate::program::program;

struct Root(TempDir);

struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Root {
    fn new(notify: &str) -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        root.write("config/notify.toml", notify);
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

    fn tos(&self, words: &[&str], hook: Option<&str>) -> Ended {
        let mut command = program(self.path(), self.path(), words);
        if let Some(hook) = hook {
            command.env("HOOK", hook);
        }
        let output = command.output().unwrap();
        Ended {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

const HOOK: &str = "[[notify]]\nkind = \"webhook\"\nurl_env = \"HOOK\"\n";
const FAILS: &str = "goal: nightly\ntasks:\n- id: ok\n  cmd: 'true'\n- {id: bad, cmd: [sh, -c, 'exit 7'], depends_on: [ok]}\n";

async fn server() -> MockServer {
    let server = MockServer::start().await;
    let yes = Mock::given(any()).respond_with(ResponseTemplate::new(204));
    yes.mount(&server).await;
    server
}

async fn bodies(server: &MockServer) -> Vec<Value> {
    let requests = server.received_requests().await.unwrap();
    requests
        .iter()
        .map(|one| one.body_json().unwrap())
        .collect()
}

#[tokio::test]
async fn a_plan_that_fails_tells_which_task_why_and_what_to_type() {
    let server = server().await;
    let root = Root::new(HOOK);
    root.write("plan.yaml", FAILS);
    let ended = root.tos(&["plan", "run", "plan.yaml"], Some(&server.uri()));
    assert_eq!(ended.code, Some(3), "{}", ended.err);
    let bodies = bodies(&server).await;
    assert_eq!(bodies.len(), 1);
    let run = bodies[0]["run"].as_str().unwrap();
    assert_eq!(bodies[0]["event"], "plan_failed");
    assert_eq!(bodies[0]["title"], "plan `nightly` failed");
    assert_eq!(bodies[0]["next"], format!("tos plan resume {run}"));
    let text = bodies[0]["text"].as_str().unwrap();
    assert!(text.starts_with("bad: exit code 7\n"), "{text}");
    assert!(ended.out.contains(run));
}

#[tokio::test]
async fn only_what_is_asked_for_is_told() {
    let server = server().await;
    let root = Root::new(&format!("{HOOK}on = [\"plan_failed\"]\n"));
    root.write("plan.yaml", "tasks:\n- {id: a, cmd: 'true'}\n");
    let ended = root.tos(&["plan", "run", "plan.yaml"], Some(&server.uri()));
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(bodies(&server).await, Vec::<Value>::new());
    let listed = root.tos(&["notify", "list"], Some("http://127.0.0.1:9"));
    assert_eq!(listed.out, "webhook  plan_failed\n");
}

#[test]
fn a_notifier_that_is_away_changes_nothing_but_a_warning() {
    let root = Root::new(HOOK);
    root.write("plan.yaml", "tasks:\n- {id: a, cmd: 'true'}\n");
    let ended = root.tos(
        &["plan", "run", "plan.yaml"],
        Some("http://127.0.0.1:9/secret-path-0123"),
    );
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(
        ended.err.contains("warning: webhook could not be told: ")
            && !ended.err.contains("secret-path"),
        "{}",
        ended.err
    );
    // It waits for the next start, without a secret.
    let kept = fs::read_dir(root.path().join(".tos/notifications")).unwrap();
    let kept: Vec<_> = kept
        .flat_map(|run| fs::read_dir(run.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .filter(|file| file.extension().is_some_and(|ending| ending == "json"))
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let text = fs::read_to_string(&kept[0]).unwrap();
    assert!(!text.contains("secret-path"), "{text}");
}

#[test]
fn a_missing_variable_leaves_the_way_out_of_a_plan_and_is_named() {
    let root = Root::new(HOOK);
    root.write("plan.yaml", "tasks:\n- {id: a, cmd: 'true'}\n");
    let ended = root.tos(&["plan", "run", "plan.yaml"], None);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(
        ended.err.contains(
            "warning: config/notify.toml:3:11: HOOK is not set; export it; `webhook` is not told of this run"
        ),
        "{}",
        ended.err
    );
    let tested = root.tos(&["notify", "test"], None);
    assert_eq!(tested.code, Some(2));
    assert!(
        tested
            .err
            .contains("config error: config/notify.toml:3:11: HOOK is not set"),
        "{}",
        tested.err
    );
}

#[test]
fn a_wrong_file_is_said_before_anything_runs() {
    let root = Root::new("[[notify]]\nkind = \"webhook\"\nurl_enw = \"HOOK\"\n");
    root.write("plan.yaml", "tasks:\n- {id: a, cmd: [touch, ran]}\n");
    root.write(
        "config/config_v0_3.json",
        &json!({"max_steps": 1, "models": {}}).to_string(),
    );
    let said = "config/notify.toml:3:1: unknown key `url_enw`; did you mean `url_env`?";
    for words in [&["plan", "run", "plan.yaml"][..], &["notify", "test"]] {
        let ended = root.tos(words, None);
        assert_eq!(ended.code, Some(2), "{words:?} {}", ended.err);
        assert!(ended.err.contains(said), "{words:?} {}", ended.err);
    }
    assert!(!root.path().join("ran").exists());
}

#[tokio::test]
async fn a_test_message_says_what_to_do_when_it_is_refused() {
    let server = MockServer::start().await;
    let gone = ResponseTemplate::new(404)
        .set_body_json(json!({"message": "Unknown Webhook", "code": 10015}));
    Mock::given(any()).respond_with(gone).mount(&server).await;
    let root = Root::new(
        "[[notify]]\nname = \"team\"\nkind = \"discord\"\nurl_env = \"HOOK\"\n[[notify]]\nkind = \"terminal\"\n",
    );
    let hook = format!("{}/api/webhooks/1/a-long-secret", server.uri());
    let ended = root.tos(&["notify", "test", "team"], Some(&hook));
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        ended.out,
        "team: not sent: the server answered 404: Unknown Webhook\n  the webhook is gone or its address is cut; copy it \
         again: channel settings, Integrations, Webhooks\n"
    );
    let ended = root.tos(&["notify", "test", "taem"], Some(&hook));
    assert_eq!(ended.code, Some(2));
    assert!(
        ended
            .err
            .contains("no notifier `taem`; it has `team`, `terminal`"),
        "{}",
        ended.err
    );
    let ended = root.tos(&["notify", "test", "--json"], Some(&hook));
    let document: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(document["notifiers"][0]["sent"], false);
    assert_eq!(document["notifiers"][1]["sent"], true);
}

/// A root whose job wants to remove a folder, which the strict rules ask about.
fn job(notify: &str) -> Root {
    let root = Root::new(notify);
    let commands = json!([{"type": "sh", "code": "rm -r build"}]);
    let replies = [
        ("draft", json!({"thought": "t", "commands": commands})),
        (
            "review",
            json!({"review": "r", "improved_commands": [], "approval": true}),
        ),
        ("final", json!({"final_commands": commands, "summary": "s"})),
    ];
    let lines: Vec<String> = replies
        .iter()
        .map(|(role, reply)| {
            json!({"version": 1, "job": 1, "role": role, "turn": 0, "text": reply.to_string()})
                .to_string()
        })
        .collect();
    root.write("replies.jsonl", &lines.join("\n"));
    let replay = json!({"provider": "replay", "replay_file": "replies.jsonl"});
    let config = json!({
        "max_steps": 1,
        "allow_types": ["sh"],
        "execution_policy": {"preset": "strict"},
        "models": {"draft": replay, "review": replay, "final": replay},
        "done_condition": {"all": [{"file": "build/x", "exists": false}]},
    });
    root.write("config/config_v0_3.json", &config.to_string());
    root.write("build/x", "");
    root
}

#[tokio::test]
async fn a_job_tells_of_a_command_that_waits_and_of_its_end() {
    let server = server().await;
    let root = job(HOOK);
    let mut run = program(
        root.path(),
        root.path(),
        &["--mode", "cleanrun", "--approvals", "wait"],
    );
    let mut run = run.env("HOOK", server.uri()).spawn().unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while bodies(&server).await.is_empty() {
        assert!(std::time::Instant::now() < end, "nobody was told");
        tokio::task::yield_now().await;
    }
    let asked = bodies(&server).await.remove(0);
    assert_eq!(asked["event"], "approval_waiting");
    let text = asked["text"].as_str().unwrap();
    assert!(
        text.starts_with("sh: rm -r build\nrule `strict/delete`"),
        "{text}"
    );
    let command = asked["next"].as_str().unwrap();
    let words: Vec<&str> = command
        .split_whitespace()
        .skip(1)
        .take_while(|word| !word.starts_with('('))
        .collect();
    let answered = root.tos(&words, None);
    assert_eq!(answered.code, Some(0), "{words:?} {}", answered.err);
    assert_eq!(run.wait().unwrap().code(), Some(0));
    let told = bodies(&server).await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[1]["event"], "job_ended");
    assert!(told[1]["title"].as_str().unwrap().ends_with(": done"));
    assert_eq!(told[1]["next"], "tos status");
}

#[test]
fn a_program_is_started_in_the_root_wherever_tos_was_started() {
    let root = Root::new("[[notify]]\nkind = \"command\"\ncommand = [\"sh\", \"./tell\"]\n");
    root.write("config/config_v0_3.json", "{}");
    root.write("tell", "cat > told\n");
    root.write("deep/down/plan.yaml", "tasks:\n- {id: a, cmd: 'true'}\n");
    let deep = root.path().join("deep/down");
    let output = program(&deep, root.path(), &["plan", "run", "plan.yaml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let told = fs::read_to_string(root.path().join("told")).unwrap();
    assert!(told.contains("plan_passed"), "{told}");
}

#[tokio::test]
async fn a_job_that_pauses_says_so() {
    let server = server().await;
    let root = job(HOOK);
    let ended = root.tos(
        &["--mode", "run", "--set", "budget.max_tokens=1"],
        Some(&server.uri()),
    );
    assert_eq!(ended.code, Some(5), "{}\n{}", ended.out, ended.err);
    let told = bodies(&server).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["event"], "job_paused");
    assert_eq!(told[0]["next"], "tos --mode run");
}
