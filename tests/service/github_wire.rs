//! The adapter for GitHub against answers as GitHub gives them: pages, tags, limits, refusals, and answers that break off.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::PathBuf,
    time::Duration,
};

use serde_json::json;
use tos::{
    adapters::github::{GitHubApi, GitHubSecret},
    domain::{
        board::GithubRepository,
        github::{GithubError, NewPullRequest},
        redaction::Redactor,
    },
    ports::github::GitHub as _,
};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method, path, query_param},
};

fn api(folder: &std::path::Path) -> GitHubApi {
    let token = GitHubSecret::new(
        folder.join("token"),
        Some("ghp_secret_of_a_test".to_owned()),
    );
    GitHubApi::new(PathBuf::from("."), token, Redactor::default())
}

fn at(server: &str) -> GithubRepository {
    GithubRepository::read("https://github.com/o/n", server).unwrap()
}

fn issue(number: u64) -> serde_json::Value {
    json!({ "id": number, "number": number, "title": "t", "state": "open", "updated_at": "2026-01-01T00:00:00Z" })
}

#[tokio::test]
async fn pages_are_followed_on_the_same_server_and_unchanged_lists_are_not_read_again() {
    let server = MockServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (api, at) = (api(folder.path()), at(&server.uri()));
    let next = format!("<{}/repos/o/n/issues?page=2>; rel=\"next\"", server.uri());
    Mock::given(method("GET"))
        .and(path("/repos/o/n/issues"))
        .and(query_param("page", "2"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([issue(2)])))
        .with_priority(1)
        .mount(&server)
        .await;
    let first = ResponseTemplate::new(200).set_body_json(json!([issue(1)]));
    Mock::given(method("GET"))
        .and(path("/repos/o/n/issues"))
        .and(query_param("labels", "tos now"))
        .and(header("authorization", "Bearer ghp_secret_of_a_test"))
        .respond_with(first.insert_header("link", next.as_str()))
        .mount(&server)
        .await;
    let read = api.issues(&at, "tos now", None, 0).await.unwrap().unwrap();
    assert_eq!(
        read.iter().map(|one| one.number).collect::<Vec<_>>(),
        [1, 2]
    );

    server.reset().await;
    let tagged = ResponseTemplate::new(200).set_body_json(json!([issue(1)]));
    Mock::given(header("if-none-match", "\"a\""))
        .respond_with(ResponseTemplate::new(304))
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(tagged.insert_header("etag", "\"a\""))
        .mount(&server)
        .await;
    assert!(api.issues(&at, "x", None, 0).await.unwrap().is_some());
    assert!(api.issues(&at, "x", None, 0).await.unwrap().is_none());

    server.reset().await;
    let elsewhere = ResponseTemplate::new(200).set_body_json(json!([]));
    let elsewhere = elsewhere.insert_header("link", "<https://evil.example/2>; rel=\"next\"");
    Mock::given(method("GET"))
        .respond_with(elsewhere)
        .mount(&server)
        .await;
    let refused = api.issues(&at, "y", None, 0).await.unwrap_err();
    assert!(refused.to_string().contains("another server"), "{refused}");
}

#[tokio::test]
async fn a_limit_is_kept_without_asking_again() {
    let server = MockServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (api, at) = (api(folder.path()), at(&server.uri()));
    let used_up = ResponseTemplate::new(403)
        .insert_header("x-ratelimit-remaining", "0")
        .insert_header("x-ratelimit-reset", "120");
    Mock::given(method("GET"))
        .respond_with(used_up)
        .up_to_n_times(1)
        .expect(1)
        .mount(&server)
        .await;
    let until = |asked: Result<_, GithubError>| match asked {
        Err(GithubError::Limited { until, .. }) => Some(until),
        _ => None,
    };
    assert_eq!(until(api.issue(&at, 1, 60_000).await), Some(120_000));
    assert_eq!(until(api.issue(&at, 1, 119_000).await), Some(120_000));
    server.verify().await;
    server.reset().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_json(issue(1)))
        .mount(&server)
        .await;
    assert_eq!(api.issue(&at, 1, 120_001).await.unwrap().number, 1);
    server.reset().await;
    let secondary = json!({ "message": "You have exceeded a secondary rate limit. Please wait." });
    Mock::given(method("GET"))
        .respond_with(
            ResponseTemplate::new(403)
                .insert_header("retry-after", "9")
                .set_body_json(secondary),
        )
        .mount(&server)
        .await;
    assert_eq!(until(api.issue(&at, 2, 200_000).await), Some(209_000));
}

#[tokio::test]
async fn refusals_and_trouble_are_told_apart() {
    let server = MockServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (api, at) = (api(folder.path()), at(&server.uri()));
    for (status, body) in [
        (401, "{}"),
        (404, "{}"),
        (500, "<html>"),
        (301, ""),
        (200, "not json"),
        (200, "[]"),
    ] {
        server.reset().await;
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(status).set_body_string(body))
            .mount(&server)
            .await;
        let trouble = api.issue(&at, 1, 0).await.unwrap_err();
        let expected = match status {
            401 => matches!(trouble, GithubError::Token(_)),
            404 => matches!(trouble, GithubError::NotFound(_)),
            301 => matches!(trouble, GithubError::Refused(_)),
            _ => matches!(trouble, GithubError::Unavailable(_)),
        };
        assert!(expected, "{status}: {trouble:?}");
        assert!(!trouble.to_string().contains("ghp_secret"), "{trouble}");
    }
}

#[tokio::test]
async fn a_pull_request_that_is_there_is_found_and_nothing_is_pushed() {
    let server = MockServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (api, at) = (api(folder.path()), at(&server.uri()));
    Mock::given(method("GET"))
        .and(path("/repos/o/n/pulls"))
        .and(query_param("head", "o:tos/task-1-abc"))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(json!([{ "number": 4, "state": "open" }])),
        )
        .mount(&server)
        .await;
    let proposal = NewPullRequest {
        commit: "abc".to_owned(),
        branch: "tos/task-1-abc".to_owned(),
        base: "main".to_owned(),
        title: "t".to_owned(),
        body: String::new(),
    };
    assert_eq!(
        api.open_pull_request(&at, &proposal, 0)
            .await
            .unwrap()
            .number,
        4
    );
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn answers_that_are_slow_or_break_off_are_no_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    // It ends with the test; waiting for it would keep the connection from being closed.
    let _server = std::thread::spawn(move || {
        // The first is cut in its body; the second is never answered, until the other side goes.
        let (mut cut, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        assert!(cut.read(&mut head).unwrap() > 0);
        cut.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":")
            .unwrap();
        drop(cut);
        let (mut silent, _) = listener.accept().unwrap();
        while silent.read(&mut head).unwrap_or(0) > 0 {}
    });
    let folder = tempfile::tempdir().unwrap();
    let (api, at) = (api(folder.path()), at(&address));
    let cut = api.issue(&at, 1, 0).await.unwrap_err();
    assert!(matches!(cut, GithubError::Unavailable(_)), "{cut:?}");
    let slow = api
        .with_timeout(Duration::from_millis(50))
        .issue(&at, 1, 0)
        .await;
    assert!(
        slow.unwrap_err()
            .to_string()
            .contains("did not answer within")
    );
}
