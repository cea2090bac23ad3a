//! The Anthropic protocol on the wire.

use std::time::Duration;

use serde_json::json;
use tos::{
    adapters::model::{ModelCheck, Provider},
    domain::{
        job::{proposal, retry, retry::RetryDecision, rules::RetryPolicy},
        model::{FinishReason, ModelErrorKind, ModelReply, TokenUsage},
    },
};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method, path},
};

use crate::support::{
    KEY, ask, bodies, impatient, json_answer, look, message_answer, model, options, query, server,
};

const RULES: RetryPolicy = RetryPolicy {
    attempts: 2,
    base: Duration::from_secs(1),
    max_wait: Duration::from_secs(120),
};

#[tokio::test]
async fn a_message_becomes_a_reply_and_the_request_is_as_documented() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/messages"))
        .and(header("x-api-key", KEY))
        .and(header("anthropic-version", "2023-06-01"))
        .respond_with(message_answer("hello"))
        .expect(1)
        .mount(&server)
        .await;
    let mut reply = ask(Provider::Anthropic, &server, &query()).await.unwrap();
    reply.elapsed_ms = 0;
    let expected = ModelReply {
        text: "hello".into(),
        finish: FinishReason::Complete,
        provider: "anthropic".into(),
        model: "test-model-2026".into(),
        usage: TokenUsage {
            input: 125,
            cached_input: 100,
            cache_write: 20,
            output: 7,
            estimated: false,
        },
        request_id: Some("req-2".into()),
        elapsed_ms: 0,
    };
    assert_eq!(reply, expected);
    let sent = json!({
        "model": "test-model",
        "max_tokens": 2000,
        "messages": [{"role": "user", "content": "PROMPT"}],
        "output_config": {"format": {"type": "json_schema", "schema": proposal::reply_schema(query().role)}},
    });
    assert_eq!(bodies(&server).await, [sent]);
}

#[tokio::test]
async fn the_version_is_pinned_by_the_options() {
    let server = MockServer::start().await;
    Mock::given(header("anthropic-version", "2026-10-21"))
        .respond_with(message_answer("new"))
        .expect(1)
        .mount(&server)
        .await;
    let mut options = options(Provider::Anthropic, &format!("{}/v1", server.uri()));
    options.version = Some("2026-10-21".into());
    assert_eq!(model(&options).ask(&query()).await.unwrap().text, "new");
}

#[tokio::test]
async fn w35_an_outage_is_one_request_and_typed() {
    let body = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req-7"});
    let server = server(json_answer(529, &body)).await;
    let failure = ask(Provider::Anthropic, &server, &query())
        .await
        .unwrap_err();
    assert_eq!(failure.trouble, ModelErrorKind::Overloaded);
    assert_eq!(
        failure.message,
        format!(
            "anthropic API error 529 overloaded_error: Overloaded ({}/v1/messages)",
            server.uri()
        )
    );
    assert_eq!(failure.request_id.as_deref(), Some("req-7"));
    assert_eq!(bodies(&server).await.len(), 1);
}

#[tokio::test]
async fn a_spend_limit_ends_the_job_and_one_with_a_date_parks_it() {
    let body = json!({"type": "error", "error": {"type": "rate_limit_error", "message": "limit",
        "details": {"error_code": "enforced_spend_limit_reached"}}});
    let month_end = server(json_answer(429, &body)).await;
    let failure = ask(Provider::Anthropic, &month_end, &query())
        .await
        .unwrap_err();
    assert_eq!(
        retry::decide_retry(&failure, 1, &RULES, 0.5),
        RetryDecision::GiveUp
    );

    let dated = server(json_answer(429, &body).insert_header("retry-after", "3600")).await;
    let failure = ask(Provider::Anthropic, &dated, &query())
        .await
        .unwrap_err();
    let wait = Duration::from_secs(3_600);
    assert_eq!(
        retry::decide_retry(&failure, 1, &RULES, 0.5),
        RetryDecision::Park { wait }
    );
}

#[tokio::test]
async fn a_refusal_and_a_cut_are_replies() {
    for (reason, finish) in [
        ("refusal", FinishReason::Refused),
        ("max_tokens", FinishReason::Cut),
        ("model_context_window_exceeded", FinishReason::Cut),
    ] {
        let body = json!({"content": [], "stop_reason": reason, "usage": {"input_tokens": 1, "output_tokens": 2}});
        let server = server(json_answer(200, &body)).await;
        let reply = ask(Provider::Anthropic, &server, &query()).await.unwrap();
        assert_eq!((reply.finish, reply.usage.total()), (finish, 3));
    }
}

#[tokio::test]
async fn a_model_without_structured_output_is_asked_without() {
    let server = MockServer::start().await;
    let refusal = json!({"type": "error", "error": {"type": "invalid_request_error",
        "message": "output_config.format: this model does not support structured outputs"}});
    let with_schema = wiremock::matchers::body_string_contains("output_config");
    Mock::given(with_schema)
        .respond_with(json_answer(400, &refusal))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .respond_with(message_answer("plain"))
        .mount(&server)
        .await;
    let reply = ask(Provider::Anthropic, &server, &query()).await.unwrap();
    assert_eq!(reply.text, "plain");
}

#[tokio::test]
async fn w38_the_deadline_ends_an_attempt() {
    let late = message_answer("late").set_delay(Duration::from_secs(60));
    let server = server(late).await;
    let failure = ask(Provider::Anthropic, &server, &impatient())
        .await
        .unwrap_err();
    assert_eq!(failure.trouble, ModelErrorKind::TimedOut);
}

#[tokio::test]
async fn w34_a_success_without_content_is_a_typed_failure() {
    let server = server(ResponseTemplate::new(200).set_body_string("{}")).await;
    let failure = ask(Provider::Anthropic, &server, &query())
        .await
        .unwrap_err();
    assert_eq!(
        (failure.trouble, failure.message.as_str()),
        (
            ModelErrorKind::Malformed,
            "anthropic API error: status 200 with no content in the body"
        )
    );
}

#[tokio::test]
async fn a_look_asks_for_the_list_of_models() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/v1/models"))
        .and(header("x-api-key", KEY))
        .and(header("anthropic-version", "2023-06-01"))
        .respond_with(json_answer(200, &json!({"data": [{"id": "test-model"}]})))
        .mount(&server)
        .await;
    let options = options(Provider::Anthropic, &server.uri());
    let seen = look(&options).await;
    assert_eq!(seen.unwrap(), ModelCheck::Ready);
}
