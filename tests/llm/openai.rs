//! The two OpenAI protocols on the wire.

use serde_json::json;
use tos::{
    adapters::model::{ModelCheck, OpenAiApi, Provider, build},
    domain::{
        job::proposal,
        model::{FinishReason, ModelErrorKind, ModelReply, TokenUsage},
    },
};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{any, body_partial_json, header, method, path},
};

use crate::support::{
    KEY, ask, bodies, chat_answer, impatient, json_answer, look, model, options, query, server,
    shared,
};

#[tokio::test]
async fn a_chat_answer_becomes_a_reply_and_the_request_is_as_documented() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/chat/completions"))
        .and(header("authorization", format!("Bearer {KEY}")))
        .and(header("content-type", "application/json"))
        .respond_with(chat_answer("hello hunter2-hunter2"))
        .expect(1)
        .mount(&server)
        .await;
    let mut options = options(Provider::OpenAi, &format!("{}/v1", server.uri()));
    options.temperature = Some(0.7);

    let mut reply = model(&options).ask(&query()).await.unwrap();

    reply.elapsed_ms = 0;
    let expected = ModelReply {
        text: "hello [redacted]".into(),
        finish: FinishReason::Complete,
        provider: "openai".into(),
        model: "test-model-2026".into(),
        usage: TokenUsage {
            input: 50,
            cached_input: 30,
            output: 7,
            ..TokenUsage::default()
        },
        request_id: Some("req-1".into()),
        elapsed_ms: 0,
    };
    assert_eq!(reply, expected);
    let sent = json!({
        "model": "test-model",
        "messages": [{"role": "user", "content": "PROMPT"}],
        "temperature": 0.7,
        "max_tokens": 2000,
        "response_format": {"type": "json_schema", "json_schema": {
            "name": "draft", "strict": true, "schema": proposal::reply_schema(query().role)}},
    });
    assert_eq!(bodies(&server).await, [sent]);
}

#[tokio::test]
async fn the_responses_protocol_is_spoken_when_asked_for() {
    let server = MockServer::start().await;
    let body = json!({
        "id": "resp_1", "model": "m-2026", "status": "completed",
        "output": [{"type": "reasoning"}, {"type": "message", "content": [{"type": "output_text", "text": "hi"}]}],
        "usage": {"input_tokens": 9, "output_tokens": 4, "output_tokens_details": {"reasoning_tokens": 2}},
    });
    Mock::given(method("POST"))
        .and(path("/v1/responses"))
        .and(body_partial_json(
            json!({"store": false, "input": "PROMPT"}),
        ))
        .respond_with(json_answer(200, &body))
        .expect(1)
        .mount(&server)
        .await;
    let mut options = options(Provider::OpenAi, &format!("{}/v1/", server.uri()));
    options.api = OpenAiApi::Responses;

    let reply = model(&options).ask(&query()).await.unwrap();

    assert_eq!((reply.text.as_str(), reply.usage.total()), ("hi", 13));
}

#[tokio::test]
async fn a_server_without_key_and_usage_works_and_tokens_are_estimated() {
    let body = json!({"choices": [{"message": {"content": "12345678"}}]});
    let server = server(json_answer(200, &body)).await;
    let mut options = options(Provider::OpenAi, &server.uri());
    options.api_key = None;

    let reply = model(&options).ask(&query()).await.unwrap();

    let expected = TokenUsage {
        input: 2,
        output: 2,
        estimated: true,
        ..TokenUsage::default()
    };
    assert_eq!(
        (reply.usage, reply.model.as_str()),
        (expected, "test-model")
    );
    let requests = server.received_requests().await.unwrap();
    assert!(!requests[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn w34_a_success_without_choices_is_a_typed_failure() {
    for body in [
        json!({"error": {}}),
        json!({}),
        json!({"choices": []}),
        json!({"choices": [{"message": {"content": null}, "finish_reason": "stop"}]}),
        json!([]),
        json!(null),
    ] {
        let server = server(json_answer(200, &body)).await;
        let failure = ask(Provider::OpenAi, &server, &query()).await.unwrap_err();
        assert_eq!(failure.trouble, ModelErrorKind::Malformed, "{body}");
    }
}

#[tokio::test]
async fn w34_an_error_inside_a_success_is_quoted() {
    let body = json!({"error": {"message": "upstream is down", "code": 502}});
    let server = server(json_answer(200, &body)).await;
    let failure = ask(Provider::OpenAi, &server, &query()).await.unwrap_err();
    assert_eq!(
        failure.message,
        "openai API error: status 200 with no choices in the body; it says: upstream is down"
    );
}

#[tokio::test]
async fn w35_one_question_is_one_request_whatever_goes_wrong() {
    for status in [
        400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 529,
    ] {
        let server = server(ResponseTemplate::new(status)).await;
        ask(Provider::OpenAi, &server, &query()).await.unwrap_err();
        assert_eq!(bodies(&server).await.len(), 1, "status {status}");
    }
}

#[tokio::test]
async fn w36_a_wrong_key_is_told_apart_and_the_key_is_never_repeated() {
    let message = format!("Incorrect API key provided: {KEY}. Also hunter2-hunter2.");
    let body = json!({"error": {"message": message, "type": "invalid_request_error", "code": "invalid_api_key"}});
    let answer = json_answer(401, &body).insert_header("x-request-id", "req-9");
    let server = server(answer).await;

    let failure = ask(Provider::OpenAi, &server, &query()).await.unwrap_err();

    assert_eq!(failure.trouble, ModelErrorKind::Unauthorised);
    assert_eq!(
        failure.message,
        format!(
            "openai API error 401 invalid_api_key: Incorrect API key provided: [redacted]. Also [redacted]. \
             ({}/chat/completions); is the key right, and may it use this model?",
            server.uri()
        )
    );
    assert_eq!(failure.request_id.as_deref(), Some("req-9"));
}

#[tokio::test]
async fn w37_the_wait_a_provider_asks_for_arrives() {
    let cases = [
        ("retry-after", "30", Some(30_000)),
        ("retry-after-ms", "1234", Some(1_234)),
        ("retry-after", "Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        ("x-other", "1", None),
    ];
    for (name, value, expected) in cases {
        let server = server(ResponseTemplate::new(429).insert_header(name, value)).await;
        let failure = ask(Provider::OpenAi, &server, &query()).await.unwrap_err();
        assert_eq!(
            (failure.trouble, failure.retry_after_ms),
            (ModelErrorKind::RateLimited, expected)
        );
    }
}

#[tokio::test]
async fn an_exhausted_quota_is_no_rate_limit() {
    let body = json!({"error": {"message": "You exceeded your current quota", "type": "insufficient_quota"}});
    let server = server(json_answer(429, &body)).await;
    let failure = ask(Provider::OpenAi, &server, &query()).await.unwrap_err();
    assert_eq!(failure.trouble, ModelErrorKind::QuotaExhausted);
}

#[tokio::test]
async fn a_field_the_server_refuses_is_left_out_from_then_on_for_the_whole_process() {
    let server = MockServer::start().await;
    let refusal =
        json!({"error": {"message": "'response_format' of type 'json_schema' is not supported"}});
    Mock::given(body_partial_json(
        json!({"response_format": {"type": "json_schema"}}),
    ))
    .respond_with(json_answer(400, &refusal))
    .expect(1)
    .mount(&server)
    .await;
    Mock::given(any())
        .respond_with(chat_answer("plain"))
        .expect(3)
        .mount(&server)
        .await;
    let shared = shared();
    let options = options(Provider::OpenAi, &server.uri());
    let first = build(&options, &shared).unwrap();
    let second = build(&options, &shared).unwrap();

    for model in [&first, &first, &second] {
        assert_eq!(model.ask(&query()).await.unwrap().text, "plain");
    }
}

#[tokio::test]
async fn the_newer_name_of_the_ceiling_is_found() {
    let server = MockServer::start().await;
    let refusal = json!({"error": {"param": "max_tokens", "code": "unsupported_parameter",
        "message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."}});
    Mock::given(body_partial_json(json!({"max_tokens": 2000})))
        .respond_with(json_answer(400, &refusal))
        .mount(&server)
        .await;
    Mock::given(body_partial_json(json!({"max_completion_tokens": 2000})))
        .respond_with(chat_answer("ok"))
        .mount(&server)
        .await;
    let reply = ask(Provider::OpenAi, &server, &query()).await.unwrap();
    assert_eq!(reply.text, "ok");
}

#[tokio::test]
async fn a_server_that_refuses_everything_is_asked_a_bounded_number_of_times() {
    let refusal = json!({"error": "unsupported: response_format temperature max_tokens"});
    let server = server(json_answer(400, &refusal)).await;
    let failure = ask(Provider::OpenAi, &server, &query()).await.unwrap_err();
    assert_eq!(failure.trouble, ModelErrorKind::Rejected);
    assert_eq!(bodies(&server).await.len(), 4);
}

#[tokio::test]
async fn without_schema_none_is_sent() {
    let server = server(chat_answer("x")).await;
    let mut options = options(Provider::OpenAi, &server.uri());
    options.schema = false;
    model(&options).ask(&query()).await.unwrap();
    assert_eq!(bodies(&server).await[0].get("response_format"), None);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = server(chat_answer("stolen")).await;
    let answer = ResponseTemplate::new(307).insert_header("location", elsewhere.uri());
    let server = server(answer).await;
    let failure = ask(Provider::OpenAi, &server, &query()).await.unwrap_err();
    assert_eq!(failure.trouble, ModelErrorKind::Rejected);
    assert!(bodies(&elsewhere).await.is_empty());
}

#[tokio::test]
async fn w38_the_deadline_ends_an_attempt() {
    let server = server(chat_answer("late").set_delay(std::time::Duration::from_secs(60))).await;
    let failure = ask(Provider::OpenAi, &server, &impatient())
        .await
        .unwrap_err();
    assert_eq!(failure.trouble, ModelErrorKind::TimedOut);
    assert!(
        failure
            .message
            .starts_with("openai API error: no whole answer within 0.1 s from http://127")
    );
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_sent() {
    let fault = |change: fn(&mut tos::adapters::model::ModelOptions)| {
        let mut options = options(Provider::OpenAi, "http://127.0.0.1:1/v1");
        change(&mut options);
        build(&options, &shared())
            .err()
            .expect("a fault")
            .to_string()
    };
    assert_eq!(
        fault(|o| (o.base_url, o.api_key) = (None, None)),
        "openai needs an API key; set OPENAI_API_KEY, or a base_url that does without"
    );
    assert_eq!(
        fault(|o| o.model = " ".into()),
        "openai needs the name of a model"
    );
    assert_eq!(
        fault(|o| o.base_url = Some("localhost:11434".into())),
        "the base_url of openai is not an http or https address: the scheme is `localhost`"
    );
}

#[tokio::test]
async fn a_look_costs_nothing_and_tells_whether_key_and_model_are_good() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/v1/models"))
        .and(header("authorization", format!("Bearer {KEY}")))
        .respond_with(json_answer(200, &json!({"data": [{"id": "test-model"}]})))
        .mount(&server)
        .await;
    let mut options = options(Provider::OpenAi, &format!("{}/v1", server.uri()));
    assert_eq!(look(&options).await.unwrap(), ModelCheck::Ready);
    options.model = "test-modle".into();
    let nearest = Some("test-model".to_owned());
    assert_eq!(
        look(&options).await.unwrap(),
        ModelCheck::Unlisted { nearest }
    );

    let body = json!({"error": {"message": format!("bad key {KEY}")}});
    let refusing = crate::support::server(json_answer(401, &body)).await;
    options.base_url = Some(refusing.uri());
    let fault = look(&options).await.unwrap_err().to_string();
    let from = refusing.uri();
    assert_eq!(
        fault,
        format!(
            "openai API error 401: bad key [redacted] ({from}/models); is the key right, and may it use this model?"
        )
    );
}

#[tokio::test]
async fn a_used_up_limit_that_says_until_when_in_its_body_parks() {
    let body =
        json!({"error": {"type": "usage_limit_reached", "message": "m", "resets_in_seconds": 600}});
    let server = server(json_answer(429, &body)).await;
    let failure = ask(Provider::OpenAi, &server, &query()).await.unwrap_err();
    let expected = (ModelErrorKind::QuotaExhausted, Some(600_000));
    assert_eq!((failure.trouble, failure.retry_after_ms), expected);
}
