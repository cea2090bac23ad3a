//! Logins whose refresh token works once: whoever loses the new one has to log in again.

use std::{fs, process::Stdio};

use chrono::Utc;
use serde_json::{Value, json};

use crate::{
    bench::{Agent, Bench, REPAIR, Task},
    model_server::access_token,
};

const AGAIN: &str = "DO: printf '\\n\\ndef again():\\n    return 1\\n' >> app.py";

/// A subscriber of Codex whose access token has expired.
fn expired() -> Option<Bench> {
    let mut bench = Bench::new(Agent::Codex)?;
    bench.is_subscriber = true;
    let token = access_token(Utc::now().timestamp() - 60);
    write(&bench, &token, "rt_1");
    Some(bench)
}

fn write(bench: &Bench, token: &str, refresh: &str) {
    let tokens = json!({ "id_token": token, "access_token": token, "refresh_token": refresh, "account_id": "acc" });
    let login = json!({ "auth_mode": "chatgpt", "OPENAI_API_KEY": null, "tokens": tokens, "last_refresh": "2026-01-01T00:00:00Z" });
    fs::create_dir_all(bench.home().join(".codex")).unwrap();
    fs::write(bench.home().join(".codex/auth.json"), login.to_string()).unwrap();
}

/// Returns the refresh token in the user's own file.
fn kept(bench: &Bench) -> String {
    let text = fs::read_to_string(bench.home().join(".codex/auth.json")).unwrap();
    let login: Value = serde_json::from_str(&text).unwrap();
    login["tokens"]["refresh_token"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Returns the refresh tokens that were used, and says that none was used twice.
fn used(bench: &Bench) -> Vec<String> {
    let requests = bench.server.requests();
    let refreshed = requests.into_iter().filter_map(|one| one.refresh);
    refreshed
        .map(|(token, was_used)| {
            assert!(!was_used, "{token} was used twice");
            token
        })
        .collect()
}

#[test]
fn a_login_that_is_renewed_in_one_task_serves_the_next_one_and_the_user() {
    let Some(bench) = expired() else {
        return;
    };
    bench.list(&[
        Task("T-1", REPAIR.to_owned(), ""),
        Task("T-2", AGAIN.to_owned(), "class = \"feature\""),
    ]);
    let ended = bench.run();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(used(&bench), ["rt_1"]);
    assert_eq!(kept(&bench), "rt_2");
    // It expires once more, between two runs.
    write(&bench, &access_token(Utc::now().timestamp() - 60), "rt_2");
    let ended = bench.run();
    assert_eq!(used(&bench), ["rt_1", "rt_2"], "{}", ended.said);
    assert_eq!(kept(&bench), "rt_3");
}

#[test]
fn two_agents_at_once_renew_a_login_without_destroying_it() {
    let Some(bench) = expired() else {
        return;
    };
    let Some(other) = expired() else {
        return;
    };
    for one in [&bench, &other] {
        one.list(&[Task("T-1", REPAIR.to_owned(), "")]);
    }
    // Two repositories, one home, one provider.
    let list = fs::read_to_string(other.folder().join("list.toml")).unwrap();
    let list = list.replace(&other.server.place(), &bench.server.place());
    fs::write(other.folder().join("list.toml"), list).unwrap();
    let start = |one: &Bench| {
        let mut command = one.command(&one.start().each_ref().map(String::as_str));
        command.env("HOME", bench.home()).env(
            "CODEX_REFRESH_TOKEN_URL_OVERRIDE",
            format!("{}/oauth/token", bench.server.url()),
        );
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let children = [start(&bench), start(&other)];
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&said)
        );
    }
    assert_eq!(used(&bench), ["rt_1"]);
    assert_eq!(kept(&bench), "rt_2");
}
