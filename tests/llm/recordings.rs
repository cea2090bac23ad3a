//! Recording real answers and replaying them.

use std::{fs, path::Path};

use tos::{
    adapters::model::{ModelOptions, Provider, ReplaySource, build},
    domain::model::{
        FinishReason, ModelErrorKind, ModelReply, ModelRequest, ModelRole, TokenUsage,
    },
    ports::model::Model,
};
use wiremock::ResponseTemplate;

use crate::support::{chat_answer, options, query, server, shared};

fn replay(path: &Path) -> ModelOptions {
    let mut options = ModelOptions::new(Provider::Replay, "");
    options.recording = Some(ReplaySource::File(path.to_owned()));
    options
}

#[tokio::test]
async fn what_was_recorded_is_replayed_without_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/replies.jsonl");
    let server = server(chat_answer("{\"commands\":\n[]} あ")).await;
    let mut live = options(Provider::OpenAi, &server.uri());
    live.record_to = Some(path.clone());
    let live = build(&live, &shared()).unwrap();
    assert_eq!((live.provider(), live.model()), ("openai", "test-model"));
    let first = live.ask(&query()).await.unwrap();
    drop(server);

    let replayed = build(&replay(&path), &shared()).unwrap();
    let again = replayed.ask(&query()).await.unwrap();

    let expected = ModelReply {
        provider: "replay".into(),
        request_id: None,
        elapsed_ms: 0,
        ..first
    };
    assert_eq!(again, expected);
}

#[tokio::test]
async fn the_file_is_one_line_for_each_reply_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("replies.jsonl");
    let server = server(chat_answer("hi")).await;
    let mut live = options(Provider::OpenAi, &server.uri());
    live.record_to = Some(path.clone());
    let live = build(&live, &shared()).unwrap();
    for role in [ModelRole::Draft, ModelRole::Review] {
        live.ask(&ModelRequest { role, ..query() }).await.unwrap();
    }
    let line = |role: &str| {
        format!(
            r#"{{"version":1,"job":1,"role":"{role}","turn":0,"text":"hi","usage":{{"input":50,"cached_input":30,"cache_write":0,"output":7,"estimated":false}},"provider":"openai","model":"test-model-2026","prompt_sha256":"e05ad84d1966e543756a899324569a6996ed9ce5488fa50ab772bd35a3f1529c"}}"#
        )
    };
    let expected = format!("{}\n{}\n", line("draft"), line("review"));
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
}

#[tokio::test]
async fn a_failed_attempt_leaves_nothing_in_the_recording() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("replies.jsonl");
    let server = server(ResponseTemplate::new(500)).await;
    let mut live = options(Provider::OpenAi, &server.uri());
    live.record_to = Some(path.clone());
    let live = build(&live, &shared()).unwrap();
    live.ask(&query()).await.unwrap_err();
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
}

#[tokio::test]
async fn recording_goes_on_after_a_crash_tore_the_last_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("replies.jsonl");
    fs::write(&path, "{\"version\":1,\"job\":1,\"ro").unwrap();
    let server = server(chat_answer("whole")).await;
    let mut live = options(Provider::OpenAi, &server.uri());
    live.record_to = Some(path.clone());
    build(&live, &shared())
        .unwrap()
        .ask(&query())
        .await
        .unwrap();
    let replayed = build(&replay(&path), &shared()).unwrap();
    assert_eq!(replayed.ask(&query()).await.unwrap().text, "whole");
}

const SAMPLE: &str = r#"{"version":1,"job":1,"role":"draft","turn":0,"text":"a"}
{"version":1,"job":1,"role":"draft","turn":1,"text":"b","finish":"cut","usage":{"input":3,"output":4},"model":"m","prompt_sha256":"00"}
{"version":1,"job":2,"role":"draft","turn":0,"text":"c","finish":{"other":"odd"}}
"#;

fn sample() -> Box<dyn Model> {
    let mut options = ModelOptions::new(Provider::Replay, "sample");
    options.recording = Some(ReplaySource::Embedded {
        name: "the sample",
        text: SAMPLE,
    });
    build(&options, &shared()).unwrap()
}

#[tokio::test]
async fn a_place_is_found_by_job_role_and_turn_whoever_asked_before() {
    let at = async |job, turn| {
        let query = ModelRequest {
            job,
            turn,
            ..query()
        };
        sample().ask(&query).await
    };
    assert_eq!(
        at(2, 0).await.unwrap().finish,
        FinishReason::Other("odd".into())
    );
    let second = at(1, 1).await.unwrap();
    let expected = ModelReply {
        text: "b".into(),
        finish: FinishReason::Cut,
        provider: "replay".into(),
        model: "m".into(),
        usage: TokenUsage {
            input: 3,
            output: 4,
            ..TokenUsage::default()
        },
        request_id: None,
        elapsed_ms: 0,
    };
    assert_eq!(second, expected);
    assert!(at(1, 0).await.unwrap().usage.estimated);
    let missing = at(1, 2).await.unwrap_err();
    assert_eq!(missing.trouble, ModelErrorKind::NotRecorded);
    assert_eq!(
        missing.message,
        "the recording the sample has no reply number 3 of the draft for job 1 (it has 2); \
         record it, or use a live model"
    );
}

#[test]
fn a_recording_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.jsonl");
    let fault = build(&replay(&path), &shared()).err().unwrap().to_string();
    assert_eq!(
        fault,
        format!("the recording {} cannot be used", path.display())
    );
    fs::write(&path, "{}\n").unwrap();
    let fault = build(&replay(&path), &shared()).err().unwrap().to_string();
    assert!(fault.starts_with("line 1 of the recording"), "{fault}");
    let none = ModelOptions::new(Provider::Replay, "");
    let fault = build(&none, &shared()).err().unwrap().to_string();
    assert_eq!(fault, "the provider replay needs a recording");
}
