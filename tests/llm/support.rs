//! What every test of models needs: a question, options, and servers with one answer.

use std::time::Duration;

use serde_json::{Value, json};
use tos::{
    adapters::model::{
        CheckError, HttpClients, ModelCheck, ModelOptions, Provider, Secret, build, check,
    },
    domain::{
        model::{ModelError, ModelReply, ModelRequest, ModelRole},
        redaction::Redactor,
    },
    ports::model::Model,
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

/// The key that must never be seen anywhere but in a header.
pub(crate) const KEY: &str = "sk-loopback-0123456789";

/// A draft's question with a generous deadline.
pub(crate) fn query() -> ModelRequest {
    ModelRequest {
        role: ModelRole::Draft,
        prompt: "PROMPT".to_owned(),
        job: 1,
        turn: 0,
        deadline: Duration::from_secs(60),
    }
}

/// The same question with little patience.
pub(crate) fn impatient() -> ModelRequest {
    ModelRequest {
        deadline: Duration::from_millis(100),
        ..query()
    }
}

/// Options for a provider behind `base`, with the key.
pub(crate) fn options(provider: Provider, base: &str) -> ModelOptions {
    let mut options = ModelOptions::new(provider, "test-model");
    options.base_url = Some(base.to_owned());
    options.api_key = Some(Secret::new(KEY));
    options
}

/// Builds a model that shares nothing with any other.
pub(crate) fn model(options: &ModelOptions) -> Box<dyn Model> {
    build(options, &shared()).expect("the options are good")
}

/// What a process shares, knowing one secret beside the key.
pub(crate) fn shared() -> HttpClients {
    HttpClients::new(Redactor::new(["hunter2-hunter2".to_owned()]))
}

/// A server that gives this answer to everything.
pub(crate) async fn server(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

/// A status with a JSON body.
pub(crate) fn json_answer(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

/// A good chat answer.
pub(crate) fn chat_answer(text: &str) -> ResponseTemplate {
    let body = json!({
        "id": "chatcmpl-1", "model": "test-model-2026",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 50, "completion_tokens": 7, "total_tokens": 57,
            "prompt_tokens_details": {"cached_tokens": 30}},
    });
    json_answer(200, &body).insert_header("x-request-id", "req-1")
}

/// A good Anthropic answer.
pub(crate) fn message_answer(text: &str) -> ResponseTemplate {
    let body = json!({
        "id": "msg_1", "type": "message", "model": "test-model-2026", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": text}],
        "usage": {"input_tokens": 5, "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 100, "output_tokens": 7},
    });
    json_answer(200, &body).insert_header("request-id", "req-2")
}

/// Asks a model built for this provider at this server.
pub(crate) async fn ask(
    provider: Provider,
    server: &MockServer,
    query: &ModelRequest,
) -> Result<ModelReply, ModelError> {
    model(&options(provider, &server.uri())).ask(query).await
}

/// The bodies the server got, in order.
pub(crate) async fn bodies(server: &MockServer) -> Vec<Value> {
    let requests = server.received_requests().await.expect("recording is on");
    requests
        .iter()
        .map(|request| request.body_json().expect("requests are JSON"))
        .collect()
}

/// Looks whether a model is there.
pub(crate) async fn look(options: &ModelOptions) -> Result<ModelCheck, CheckError> {
    check(options, &shared(), query().deadline).await
}
