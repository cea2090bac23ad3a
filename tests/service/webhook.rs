//! GitHub's webhook in its wire form: signed deliveries move tasks at once, and everything else is refused.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::{Value, json};
use tos::domain::hash::{hex, hmac_sha256};

use crate::{
    github::{TOKEN, place, with_token},
    place::{Place, Service},
};

const SECRET: &str = "a-secret-of-the-webhook-and-nothing-else";

/// A delivery as GitHub sends it; returns status and body.
fn deliver(
    service: &Service,
    id: &str,
    event: &str,
    kind: &str,
    signature: &str,
    body: &str,
) -> (u16, Value) {
    let mut stream = TcpStream::connect(&service.address).unwrap();
    write!(
        stream,
        "POST /webhooks/github HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nUser-Agent: GitHub-Hookshot/044aadd\r\n\
         X-GitHub-Delivery: {id}\r\nX-GitHub-Event: {event}\r\nX-GitHub-Hook-ID: 292430182\r\n\
         X-GitHub-Hook-Installation-Target-Type: repository\r\nX-Hub-Signature: sha1=0\r\nX-Hub-Signature-256: {signature}\r\n\
         Content-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        service.address,
        body.len()
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

fn signed(body: &str) -> String {
    let signature = hmac_sha256(SECRET.as_bytes(), body.as_bytes());
    format!("sha256={}", hex(&signature))
}

fn send(service: &Service, id: &str, event: &str, payload: &Value) -> (u16, Value) {
    let body = payload.to_string();
    deliver(
        service,
        id,
        event,
        "application/json",
        &signed(&body),
        &body,
    )
}

fn issue(server: &str, action: &str, state: &str, title: &str, minute: u32) -> Value {
    json!({
        "action": action,
        "issue": {
            "url": format!("http://{server}/repos/o/n/issues/7"), "id": 9007, "node_id": "I_kwDO", "number": 7,
            "title": title, "body": "It should say Hello.", "state": state, "locked": false,
            "user": { "login": "somebody", "id": 1, "type": "User" }, "assignee": null,
            "html_url": format!("http://{server}/o/n/issues/7"),
            "created_at": "2026-11-01T00:00:00Z", "updated_at": format!("2026-11-01T00:{minute:02}:00Z"),
            "labels": [{ "id": 1, "name": "tos", "color": "ededed" }, { "id": 2, "name": "bug", "color": "d73a4a" }],
        },
        "label": { "id": 1, "name": "tos", "color": "ededed" },
        "repository": { "id": 1, "name": "n", "full_name": "o/n", "private": false, "owner": { "login": "o" } },
        "sender": { "login": "somebody", "id": 1 },
    })
}

/// A service that does not ask by itself within the test.
fn quiet(settings: &str) -> (Place, crate::github_server::GitHubServer, Service) {
    let (place, server) = place(settings);
    let file = place.top.join("config/service.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace(
        "ISSUE_SYNC_INTERVAL_MS = 100\n",
        "ISSUE_SYNC_INTERVAL_MS = 3600000\n",
    );
    std::fs::write(&file, text).unwrap();
    let (git, bare) = (crate::repository::git, server.bare.to_str().unwrap());
    git(&place.top, &["commit", "-q", "-am", "ask seldom"]);
    git(&place.top, &["push", "-q", bare, "main"]);
    let service = with_token(&place);
    (place, server, service)
}

fn tasks(service: &Service) -> Vec<Value> {
    let all = service.ask("GET", "/tasks", &Value::Null);
    all["tasks"].as_array().unwrap().clone()
}

#[test]
fn a_webhook_without_a_secret_is_off_and_one_without_a_signature_is_refused() {
    let (_place, server, service) = quiet("");
    let opened = issue(&server.address, "opened", "open", "fix the greeting", 1);
    let (status, body) = send(&service, "d-1", "issues", &opened);
    assert_eq!((status, &body["error"]["code"]), (404, &json!("not_found")));
    service.ask(
        "PATCH",
        "/config",
        &json!({ "GITHUB_WEBHOOK_SECRET": SECRET }),
    );
    let text = opened.to_string();
    let json = "application/json";
    for signature in ["", "sha256=", "sha1=0", &signed("{}"), &signed(&text)[7..]] {
        let (status, body) = deliver(&service, "d-1", "issues", json, signature, &text);
        assert_eq!(
            (status, &body["error"]["code"]),
            (401, &json!("unauthorized")),
            "{signature}"
        );
    }
    let changed = text.replace("greeting", "whatever");
    let (status, _) = deliver(&service, "d-1", "issues", json, &signed(&text), &changed);
    assert_eq!(status, 401);
    assert!(tasks(&service).is_empty());
    // The secret is written, and never shown.
    let config = service.ask("GET", "/config", &Value::Null).to_string();
    assert!(config.contains("GITHUB_WEBHOOK_SECRET") && !config.contains(SECRET));
    // Signed nonsense is told apart from a fault of ours.
    let (status, _) = deliver(&service, "d-2", "issues", json, &signed("["), "[");
    assert_eq!(status, 400);
    let (status, _) = deliver(&service, "", "issues", json, &signed("{}"), "{}");
    assert_eq!(status, 400);
    let (status, pong) = send(
        &service,
        "d-3",
        "ping",
        &json!({ "zen": "Keep it logically awesome." }),
    );
    assert_eq!((status, &pong["detail"]), (200, &json!("pong")));
}

#[test]
fn issues_that_are_told_become_tasks_once_and_old_news_changes_nothing() {
    let (place, server, mut service) = quiet("");
    let secret = json!({ "GITHUB_WEBHOOK_SECRET": SECRET });
    service.ask("PATCH", "/config", &secret);
    service.ask("POST", "/system/hold", &json!({ "reason": "look first" }));
    let of = |action: &str, state: &str, title: &str, minute| {
        issue(&server.address, action, state, title, minute)
    };
    let (status, told) = send(
        &service,
        "a",
        "issues",
        &of("labeled", "open", "an idea", 1),
    );
    assert_eq!((status, &told["outcome"]), (200, &json!("done")), "{told}");
    assert_eq!(tasks(&service)[0]["title"], "an idea");
    // Opening an issue with a label is two deliveries, and each may be sent again.
    send(&service, "b", "issues", &of("opened", "open", "an idea", 1));
    let (_, again) = send(
        &service,
        "a",
        "issues",
        &of("labeled", "open", "an idea", 1),
    );
    assert_eq!(again["outcome"], "again");
    assert_eq!(tasks(&service).len(), 1);
    // As a form, which is what GitHub sends unless it is told otherwise.
    let edited = of("edited", "open", "a better idea", 2).to_string();
    let digits = hex(edited.as_bytes());
    let bytes = digits.as_bytes().chunks(2);
    let form: String = bytes
        .flat_map(|two| ['%', char::from(two[0]), char::from(two[1])])
        .collect();
    let form = format!("payload={form}");
    let kind = "application/x-www-form-urlencoded";
    let (status, told) = deliver(&service, "c", "issues", kind, &signed(&form), &form);
    assert_eq!(status, 200, "{told}");
    assert_eq!(tasks(&service)[0]["title"], "a better idea");
    send(
        &service,
        "d",
        "issues",
        &of("closed", "closed", "a better idea", 4),
    );
    service.until(1, "cancelled");
    // What was sent before comes after.
    let (_, late) = send(
        &service,
        "e",
        "issues",
        &of("edited", "open", "a worse idea", 3),
    );
    assert!(
        late["detail"].as_str().unwrap().contains("nothing"),
        "{late}"
    );
    assert_eq!(tasks(&service)[0]["status"], "cancelled");
    // After a crash, a delivery that was taken is still known.
    service.kill();
    let service = Service::start(&place);
    let (_, again) = send(
        &service,
        "a",
        "issues",
        &of("labeled", "open", "an idea", 1),
    );
    assert_eq!(again["outcome"], "again");
    assert_eq!(tasks(&service)[0]["status"], "cancelled");
}

#[test]
fn another_repository_and_another_label_make_no_task() {
    let (_place, server, service) = quiet("");
    let secret = json!({ "GITHUB_WEBHOOK_SECRET": SECRET });
    service.ask("PATCH", "/config", &secret);
    let mut other = issue(&server.address, "opened", "open", "not ours", 9);
    other["issue"]["id"] = json!(1);
    other["repository"]["full_name"] = json!("o/other");
    send(&service, "f", "issues", &other);
    other["repository"]["full_name"] = json!("o/n");
    other["issue"]["labels"] = json!([{ "name": "question" }]);
    send(&service, "g", "issues", &other);
    assert_eq!(tasks(&service).len(), 0);
}

#[test]
fn a_merged_pull_request_that_is_told_ends_its_task_and_a_closed_one_asks_for_rework() {
    let (place, server, service) = quiet("REPO_MODE = 'github'\n");
    let secret = json!({ "GITHUB_WEBHOOK_SECRET": SECRET });
    service.ask("PATCH", "/config", &secret);
    let told = |id: &str, number: usize| {
        let pull = server.held().pulls[number - 1].clone();
        let payload = json!({
            "action": "closed", "number": number, "pull_request": pull,
            "repository": { "full_name": "o/n" }, "sender": { "login": "somebody" },
        });
        send(&service, id, "pull_request", &payload)
    };
    let first = service.add(json!({ "title": "fix the greeting", "class": "fix" }));
    service.until_why(first, "waits to be merged");
    server.decide(1, false);
    let (status, view) = told("p1", 1);
    assert_eq!(status, 200, "{view}");
    service.until(first, "needs_rework");
    service.ask("POST", "/tasks/1/cancel", &json!({}));
    let second = service.add(json!({ "title": "fix the greeting again", "class": "fix" }));
    service.until_why(second, "waits to be merged");
    let commit = server.decide(2, true);
    let (status, view) = told("p2", 2);
    assert_eq!(status, 200, "{view}");
    let done = service.until(second, "done");
    assert_eq!(done["mergedCommit"], json!(commit));
    let main = crate::repository::git(&place.top, &["rev-parse", "main"]);
    assert_eq!(main, commit);
    assert!(!format!("{view}").contains(TOKEN));
}
