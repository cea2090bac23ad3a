//! GitHub through the program: issues in, pull requests out, and back again, with crashes and lost answers in between.

use std::fs;

use serde_json::json;

use crate::{
    github_server::GitHubServer,
    place::{Place, Service},
    repository::git,
};

pub(crate) const TOKEN: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";

/// A project whose work goes to a server.
pub(crate) fn place(settings: &str) -> (Place, GitHubServer) {
    let place = Place::new(settings);
    let server = GitHubServer::start(&place.top, TOKEN);
    let file = place.top.join("config/service.toml");
    let text = fs::read_to_string(&file).unwrap();
    let address = &server.address;
    let more = format!(
        "REPO_URL = 'http://{address}/o/n'\nGITHUB_API_URL = 'http://{address}'\nISSUE_SYNC_INTERVAL_MS = 100\n\
         JUDGE_MERGE_QUEUE_RETRY_DELAY_MS = 100\n"
    );
    fs::write(&file, text + &more).unwrap();
    git(&place.top, &["commit", "-q", "-am", "settings"]);
    git(
        &place.top,
        &["push", "-q", server.bare.to_str().unwrap(), "main"],
    );
    (place, server)
}

pub(crate) fn with_token(place: &Place) -> Service {
    let service = Service::start(place);
    service.ask("PATCH", "/config", &json!({ "GITHUB_TOKEN": TOKEN }));
    service
}

/// Waits until something holds.
fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("{what}: waited in vain");
}

#[test]
fn an_issue_becomes_a_task_its_work_a_pull_request_and_its_merge_the_end() {
    let (place, server) = place("REPO_MODE = 'github'\n");
    let before = git(&place.top, &["rev-parse", "main"]);
    server.issue(7, "fix the greeting", "open", 1);
    let mut service = with_token(&place);
    until("a task", || {
        service.ask("GET", "/tasks", &json!(null))["tasks"][0]["id"] == 1
    });
    let why = service.until_why(1, "waits to be merged");
    assert!(
        why.contains("code-host") && why.contains("/o/n/pull/1"),
        "{why}"
    );
    assert_eq!(
        git(&place.top, &["rev-parse", "main"]),
        before,
        "nothing is merged here"
    );
    {
        let held = server.held();
        let pull = &held.pulls[0];
        assert_eq!(
            (&pull["title"], &pull["base"]["ref"]),
            (&json!("fix the greeting"), &json!("main"))
        );
        assert!(
            pull["body"].as_str().unwrap().contains("Closes #7"),
            "{pull}"
        );
        assert!(!held.token_was_shown);
    }
    // A crash, and everything is looked at once more.
    service.kill();
    let service = Service::start(&place);
    let rounds = server.held().seen.len();
    until("more looks", || server.held().seen.len() > rounds + 4);
    assert_eq!(server.held().pulls.len(), 1);
    assert_eq!(
        service.ask("GET", "/tasks", &json!(null))["tasks"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // Unchanged lists are not sent again.
    assert!(
        server
            .held()
            .seen
            .iter()
            .any(|(_, path, status)| path.ends_with("/issues") && *status == 304)
    );
    let commit = server.decide(1, true);
    server.issue(7, "fix the greeting", "closed", 2);
    let done = service.until(1, "done");
    assert_eq!(done["mergedCommit"], json!(commit));
    // The branch here followed, and the checkout with it.
    assert_eq!(git(&place.top, &["rev-parse", "main"]), commit);
    assert!(
        fs::read_to_string(place.top.join("greet.sh"))
            .unwrap()
            .contains("Hello")
    );
    token_is_nowhere(&place, &service);
}

/// The token lies in its own file and is said nowhere.
fn token_is_nowhere(place: &Place, service: &Service) {
    let config = service.ask("GET", "/config", &json!(null));
    let entries = config["config"].as_array().unwrap();
    let entry = entries
        .iter()
        .find(|entry| entry["name"] == "GITHUB_TOKEN")
        .unwrap();
    assert_eq!(
        (&entry["isSecret"], &entry["isSet"], &entry["value"]),
        (&json!(true), &json!(true), &json!(null))
    );
    let mut open = vec![place.top.join(".tos"), place.top.join(".git")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            } else if !path.ends_with("github-token") {
                let bytes = fs::read(&path).unwrap_or_default();
                let found = bytes
                    .windows(TOKEN.len())
                    .any(|part| part == TOKEN.as_bytes());
                assert!(!found, "the token stands in {}", path.display());
            }
        }
    }
}

#[test]
fn a_lost_answer_makes_no_second_pull_request_and_a_closed_one_needs_rework() {
    let (place, server) = place("REPO_MODE = 'github'\n");
    server.held().cut_answers = 1;
    let service = with_token(&place);
    let task = service.add(json!({ "title": "fix the greeting", "class": "fix" }));
    service.until_why(task, "waits to be merged");
    assert_eq!(server.held().pulls.len(), 1);
    server.decide(1, false);
    let stuck = service.until(task, "needs_rework");
    assert_eq!(stuck["lessons"][0]["from"], "github", "{stuck}");
    // A person lets it be tried again: the same work is the same branch, so a new look finds what is there.
    service.ask("POST", "/tasks/1/cancel", &json!({ "note": "enough" }));
    assert_eq!(server.held().pulls.len(), 1);
}

#[test]
fn an_issue_that_is_edited_or_closed_takes_its_task_along() {
    let (place, server) = place("");
    server.issue(3, "an idea", "open", 1);
    let service = with_token(&place);
    service.ask("POST", "/system/hold", &json!({ "reason": "look first" }));
    until("a task", || {
        service.ask("GET", "/tasks", &json!(null))["tasks"][0]["id"] == 1
    });
    server.issue(3, "a better idea", "open", 2);
    until("an edit", || {
        service.ask("GET", "/tasks/1", &json!(null))["task"]["title"] == "a better idea"
    });
    server.issue(3, "a better idea", "closed", 3);
    service.until(1, "cancelled");
    server.issue(3, "a better idea", "open", 4);
    service.until(1, "queued");
}

#[test]
fn both_merges_here_and_opens_a_pull_request() {
    let (place, server) = place("REPO_MODE = 'both'\n");
    let service = with_token(&place);
    let task = service.add(json!({ "title": "fix the greeting", "class": "fix" }));
    let done = service.until(task, "done");
    assert_eq!(
        done["mergedCommit"],
        json!(git(&place.top, &["rev-parse", "main"]))
    );
    assert_eq!(server.held().pulls.len(), 1);
}

#[test]
fn a_wrong_token_is_said_and_a_right_one_goes_on() {
    let (place, server) = place("REPO_MODE = 'github'\n");
    let service = Service::start(&place);
    let task = service.add(json!({ "title": "fix the greeting", "class": "fix" }));
    service.until_why(
        task,
        "could not be merged 3 times: there is no token for GitHub",
    );
    let logs = service.ask("GET", "/logs/all", &json!(null)).to_string();
    assert!(logs.contains("there is no token for GitHub"), "{logs}");
    service.ask("PATCH", "/config", &json!({ "GITHUB_TOKEN": TOKEN }));
    service.ask("POST", "/tasks/1/requeue", &json!({}));
    service.until_why(task, "waits to be merged");
    drop(service);
    assert_eq!(server.held().pulls.len(), 1);
}
