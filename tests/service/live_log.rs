//! What an agent says is read while it works, after it was cancelled, and after the service was killed.

use std::fs;

use serde_json::{Value, json};

use crate::{
    place::{Place, Service},
    repository::{git, write},
};

/// A real program that says something and then waits for ever. What it says holds a secret and a command to the terminal.
const TALKER: &str = r#"printf 'I read the task %s\n' "$TOS_TASK"
printf 'the key is ctl-5ecret-0f-the-controller \033[31mred\033[0m\r\n'
printf '<b>now I wait</b>\n'
printf 'a word of warning\n' >&2
exec sleep 61412
"#;

const SECRET: (&str, &str) = ("CONTROLLER_API_KEY", "ctl-5ecret-0f-the-controller");

fn get(service: &Service, path: &str) -> (u16, String) {
    service.raw("GET", path, &service.token, &service.address, "")
}

/// Waits until a run has said all that it says before it waits; returns the run as it was then.
fn until_said(service: &Service, run: u64) -> Value {
    let path = format!("/runs/{run}");
    Place::until_true(|| {
        service.allow_some(5);
        let (status, text) = get(service, &path);
        status == 200 && text.contains("now I wait") && text.contains("a word of warning")
    });
    service.ask("GET", &path, &Value::Null)
}

/// What is said has to be the same everywhere: the run, the routes of logs, the page, the command.
fn is_said_everywhere(place: &Place, service: &Service, run: u64, status: &str, state: &str) {
    let detail = service.ask("GET", &format!("/runs/{run}"), &Value::Null);
    assert_eq!(detail["run"]["status"], status, "{detail}");
    assert_eq!(detail["logState"], state, "{detail}");
    let place_of_log = detail["run"]["logPath"].as_str().unwrap();
    assert!(place_of_log.starts_with(".tos/task-logs/"), "{detail}");
    let log = service.ask("GET", &format!("/logs/runs/{run}"), &Value::Null);
    assert_eq!(
        (&log["state"], &log["place"]),
        (&json!(state), &json!(place_of_log))
    );
    let (_, content) = get(service, &format!("/runs/{run}/artifacts/log/content"));
    let command = place.tos(&["board", "log", &run.to_string()]);
    let page = get(service, &format!("/ui/tasks/1?run={run}"));
    assert_eq!(page.0, 200, "{}", page.1);
    let shown = page.1.replace("&lt;", "<").replace("&gt;", ">");
    assert!(!page.1.contains("<b>now"), "{}", page.1);
    for text in [
        detail["log"].as_str().unwrap(),
        log["log"].as_str().unwrap(),
        &content,
        &command,
        &shown,
    ] {
        for words in [
            "I read the task task-1",
            "<b>now I wait</b>",
            "a word of warning",
            "task-1 begins under fence-",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(!text.contains("5ecret"), "{text}");
        let commands = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        assert!(!text.contains(commands), "{text:?}");
    }
    let one = service.ask("GET", &format!("/logs/runs/{run}?lines=1"), &Value::Null);
    // One line of what it says itself, and one of each file below its name.
    assert_eq!(one["log"].as_str().unwrap().lines().count(), 5, "{one}");
}

#[test]
fn what_an_agent_says_is_read_while_it_works_after_a_cancel_and_after_a_kill() {
    let place = Place::new("");
    write(&place.top, "agent.sh", TALKER);
    git(&place.top, &["commit", "-qam", "an agent that talks"]);
    let variables = [(SECRET.0, SECRET.1.as_ref())];
    let mut service = Service::start_with(&place, &variables);
    service.add(json!({ "title": "talk" }));
    until_said(&service, 1);
    is_said_everywhere(&place, &service, 1, "running", "growing");
    let why = place.tos(&["why", "1"]);
    assert!(why.contains("tos board log 1"), "{why}");
    let page = get(&service, "/ui/tasks/1").1;
    assert!(
        page.contains("now I wait") && page.contains("data-busy"),
        "{page}"
    );
    // A person ends it: the answer comes once its programs are gone.
    place.tos(&["board", "cancel-run", "1"]);
    is_said_everywhere(&place, &service, 1, "cancelled", "complete");
    // It is tried again, and the service dies.
    until_said(&service, 2);
    service.kill();
    let service = Service::start_with(&place, &variables);
    // It answers before it has looked what of the one before is left.
    let ended = || service.ask("GET", "/runs/2", &Value::Null)["run"]["status"] == "cancelled";
    Place::until_true(ended);
    is_said_everywhere(&place, &service, 2, "cancelled", "complete");
    is_said_everywhere(&place, &service, 1, "cancelled", "complete");
    // Whose log is not there, or leads elsewhere, is not shown.
    for wrong in [
        "/logs/runs/99",
        "/ui/tasks/1?run=99",
        "/logs/runs/..%2f..%2fservice-token",
    ] {
        let (status, text) = get(&service, wrong);
        assert!(status == 404 || status == 400, "{wrong}: {status} {text}");
    }
    assert_eq!(get(&service, "/logs/runs/1?lines=0").0, 400);
    drop(service);
    place.folds_to_what_is_there();
}

#[test]
fn a_board_of_an_earlier_version_is_read_and_one_that_was_tampered_with_leads_nowhere() {
    let place = Place::new("");
    let script = "echo \"the agent says so\"; printf 'x\\n' > note.txt\n";
    write(&place.top, "agent.sh", script);
    git(&place.top, &["commit", "-qam", "an agent that talks"]);
    let service = Service::start(&place);
    let task = service.add(json!({ "title": "a note" }));
    service.until(task, "done");
    drop(service);
    let events = place.tos(&["board", "export"]);
    let lines: Vec<Value> = events
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let started = |event: &Value| event["what"]["type"] == "run.started";
    assert!(
        lines
            .iter()
            .any(|event| started(event) && event["what"]["log"].is_string()),
        "{events}"
    );
    let taken_in = |lines: &[Value]| {
        let text: Vec<String> = lines.iter().map(Value::to_string).collect();
        fs::write(place.top.join(".tos/copy.jsonl"), text.join("\n") + "\n").unwrap();
        for file in ["board.sqlite", "board.sqlite-wal", "board.sqlite-shm"] {
            drop(fs::remove_file(place.top.join(".tos").join(file)));
        }
        place.tos(&["board", "import", ".tos/copy.jsonl"]);
        place.folds_to_what_is_there();
    };
    // Without the key, the end says it.
    let mut old = lines.clone();
    for event in old.iter_mut().filter(|event| started(event)) {
        event["what"].as_object_mut().unwrap().remove("log");
    }
    taken_in(&old);
    let service = Service::start(&place);
    let run = service.ask("GET", "/runs/1", &Value::Null);
    assert_eq!(run["logState"], "complete", "{run}");
    assert!(run["log"].as_str().unwrap().contains("the agent says so"));
    drop(service);
    // Events that somebody else wrote may name anything.
    let secret = "this is nobody's business";
    fs::write(place.top.join(".tos/task-logs.txt"), secret).unwrap();
    for wrong in [
        ".tos",
        "/",
        "..",
        ".tos/task-logs/../../.tos",
        ".tos/task-logs/..",
    ] {
        let mut evil = lines.clone();
        for event in &mut evil {
            if let Some(log) = event["what"].get_mut("log") {
                *log = json!(wrong);
            }
        }
        taken_in(&evil);
        let service = Service::start(&place);
        let run = service.ask("GET", "/runs/1", &Value::Null);
        // What lies where this service itself would put it may be shown, and nothing else.
        let log = run["log"].as_str().unwrap();
        assert!(
            !log.contains(secret) && !log.contains("serve.json"),
            "{log}"
        );
        drop(service);
    }
}
