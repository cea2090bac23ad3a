//! What each service is sent, and what its answers are taken for.

use serde_json::{Value, json};
use tos::{
    adapters::notify::{ChannelNotifier, NotificationChannel},
    domain::{
        notify::{Notification, NotificationError, NotificationEvent, RetryHint},
        redaction::Redactor,
    },
    ports::notifier::Notifier,
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

fn notification() -> Notification {
    Notification::new(
        NotificationEvent::PlanFailed,
        "plan `nightly` failed",
        "r-1",
    )
    .text("<b> & the key was hunter2hunter2 @everyone")
    .next_command("tos plan resume r-1")
}

async fn server(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

async fn told(way: NotificationChannel) -> Result<(), NotificationError> {
    let redactor = Redactor::new(["hunter2hunter2".to_owned()]);
    ChannelNotifier::new("n", way, &redactor)
        .tell(&notification())
        .await
}

/// The one request that arrived: path, authorization, body.
async fn request(server: &MockServer) -> (String, String, Value) {
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    let one = &requests[0];
    assert_eq!(one.headers["content-type"], "application/json");
    let body: Value = one.body_json().unwrap();
    assert!(!body.to_string().contains("hunter2"), "{body}");
    let auth = one.headers.get("authorization");
    let auth = auth.map_or("", |value| value.to_str().unwrap()).to_owned();
    (one.url.path().to_owned(), auth, body)
}

#[tokio::test]
async fn a_webhook_gets_everything_but_secrets() {
    let server = server(ResponseTemplate::new(204)).await;
    assert_eq!(
        told(NotificationChannel::Webhook(format!(
            "{}/hook",
            server.uri()
        )))
        .await,
        Ok(())
    );
    let (path, _, body) = request(&server).await;
    assert_eq!(path, "/hook");
    assert_eq!(
        body,
        json!({
            "event": "plan_failed",
            "title": "plan `nightly` failed",
            "text": "<b> & the key was [redacted] @everyone",
            "next": "tos plan resume r-1",
            "run": "r-1",
            "ledger": "",
        })
    );
}

#[tokio::test]
async fn ntfy_gets_a_json_message_for_its_topic_at_the_root() {
    let server = server(ResponseTemplate::new(200).set_body_json(json!({"id": "x"}))).await;
    let way = |topic: &str| NotificationChannel::Ntfy {
        server: server.uri(),
        topic: topic.into(),
        token: Some("tk_secretsecret".into()),
    };
    assert_eq!(told(way("night")).await, Ok(()));
    let (path, auth, body) = request(&server).await;
    assert_eq!(
        (path.as_str(), auth.as_str()),
        ("/", "Bearer tk_secretsecret")
    );
    assert_eq!(
        body,
        json!({
            "topic": "night",
            "title": "plan `nightly` failed",
            "message": "<b> & the key was [redacted] @everyone\nrun: r-1\nnext: tos plan resume r-1",
            "priority": 4,
            "tags": ["warning"],
        })
    );
}

#[tokio::test]
async fn ntfy_refusals_name_the_reason_and_the_remedy() {
    let refused = json!({"code": 40301, "http": 403, "error": "forbidden", "link": "https://ntfy.sh/docs/publish/#authentication"});
    let server = server(ResponseTemplate::new(403).set_body_json(refused)).await;
    let refusal = told(NotificationChannel::Ntfy {
        server: server.uri(),
        topic: "night".into(),
        token: None,
    })
    .await
    .unwrap_err();
    assert_eq!(refusal.why, "the server answered 403: forbidden");
    assert!(refusal.remedy.contains("ntfy access"), "{refusal:?}");
    assert_eq!(refusal.again, RetryHint::Never);
}

#[tokio::test]
async fn ntfy_asks_for_a_pause() {
    let busy = json!({"code": 42901, "http": 429, "error": "limit reached: too many requests", "link": ""});
    let answer = ResponseTemplate::new(429)
        .insert_header("retry-after", "7")
        .set_body_json(busy);
    let server = server(answer).await;
    let refusal = told(NotificationChannel::Ntfy {
        server: server.uri(),
        topic: "night".into(),
        token: None,
    })
    .await
    .unwrap_err();
    assert_eq!(refusal.again, RetryHint::Later(Some(7000)));
    assert_eq!(
        refusal.why,
        "the server answered 429: limit reached: too many requests"
    );
}

#[tokio::test]
async fn discord_gets_content_and_calls_nobody_by_name() {
    let server = server(ResponseTemplate::new(204)).await;
    let url = format!("{}/api/webhooks/1/abcdefghijklmnop", server.uri());
    assert_eq!(told(NotificationChannel::Discord(url)).await, Ok(()));
    let (path, _, body) = request(&server).await;
    assert_eq!(path, "/api/webhooks/1/abcdefghijklmnop");
    assert_eq!(body["allowed_mentions"], json!({"parse": []}));
    assert!(
        body["content"]
            .as_str()
            .unwrap()
            .starts_with("plan `nightly` failed\n<b> & the key"),
        "{body}"
    );
}

#[tokio::test]
async fn discord_says_gone_webhooks_and_pauses_in_its_body() {
    let gone = json!({"message": "Unknown Webhook", "code": 10015});
    let server = server(ResponseTemplate::new(404).set_body_json(gone)).await;
    let refusal = told(NotificationChannel::Discord(format!(
        "{}/api/webhooks/1/x",
        server.uri()
    )))
    .await
    .unwrap_err();
    assert_eq!(refusal.why, "the server answered 404: Unknown Webhook");
    assert!(refusal.remedy.contains("Integrations"), "{refusal:?}");
    assert_eq!(refusal.again, RetryHint::Never);
    let busy =
        json!({"message": "You are being rate limited.", "retry_after": 0.65, "global": false});
    let busy = super::services::server(ResponseTemplate::new(429).set_body_json(busy)).await;
    let refusal = told(NotificationChannel::Discord(format!(
        "{}/api/webhooks/1/x",
        busy.uri()
    )))
    .await
    .unwrap_err();
    assert_eq!(refusal.again, RetryHint::Later(Some(650)));
}

#[tokio::test]
async fn slack_gets_one_escaped_text() {
    let server = server(ResponseTemplate::new(200).set_body_string("ok")).await;
    assert_eq!(
        told(NotificationChannel::Slack(format!(
            "{}/services/T/B/x",
            server.uri()
        )))
        .await,
        Ok(())
    );
    let (_, _, body) = request(&server).await;
    assert_eq!(
        body,
        json!({"text": "plan `nightly` failed\n&lt;b&gt; &amp; the key was [redacted] @everyone\nrun: r-1\nnext: tos plan resume r-1"})
    );
}

#[tokio::test]
async fn slack_says_its_errors_as_plain_words() {
    for (status, word, remedy) in [
        (404, "no_service", "copy it again"),
        (410, "channel_is_archived", "the channel is archived"),
        (404, "channel_not_found", "the channel is gone"),
        (403, "invalid_token", "copy it again"),
    ] {
        let server = server(ResponseTemplate::new(status).set_body_string(word)).await;
        let refusal = told(NotificationChannel::Slack(server.uri()))
            .await
            .unwrap_err();
        assert_eq!(refusal.why, format!("the server answered {status}: {word}"));
        assert!(refusal.remedy.contains(remedy), "{refusal:?}");
        assert_eq!(refusal.again, RetryHint::Never);
    }
    let answer = ResponseTemplate::new(429).insert_header("Retry-After", "30");
    let server = server(answer).await;
    let refusal = told(NotificationChannel::Slack(server.uri()))
        .await
        .unwrap_err();
    assert_eq!(refusal.again, RetryHint::Later(Some(30_000)));
}

#[tokio::test]
async fn telegram_gets_plain_text_for_its_chat() {
    let server = server(ResponseTemplate::new(200).set_body_json(json!({"ok": true}))).await;
    let way = NotificationChannel::Telegram {
        base: server.uri(),
        token: "1:abcdefgh".into(),
        chat: "42".into(),
    };
    assert_eq!(told(way).await, Ok(()));
    let (path, _, body) = request(&server).await;
    assert_eq!(path, "/bot1:abcdefgh/sendMessage");
    assert_eq!(body["chat_id"], "42");
    assert_eq!(body.get("parse_mode"), None);
    assert!(body["text"].as_str().unwrap().contains("<b> & the key"));
}

#[tokio::test]
async fn telegram_refusals_name_the_remedy_and_never_the_token() {
    for (status, description, remedy, again) in [
        (401, "Unauthorized", "@BotFather", RetryHint::Never),
        (
            400,
            "Bad Request: chat not found",
            "send it a message first",
            RetryHint::Never,
        ),
        (
            403,
            "Forbidden: bot was blocked by the user",
            "unblock it",
            RetryHint::Never,
        ),
        (
            429,
            "Too Many Requests: retry after 5",
            "wants a pause",
            RetryHint::Later(Some(5000)),
        ),
        (
            404,
            "Not Found: /bot1:abcdefgh/sendMessage",
            "@BotFather",
            RetryHint::Never,
        ),
    ] {
        let body = json!({"ok": false, "error_code": status, "description": description, "parameters": {"retry_after": 5}});
        let server = server(ResponseTemplate::new(status).set_body_json(body)).await;
        let refusal = told(NotificationChannel::Telegram {
            base: server.uri(),
            token: "1:abcdefgh".into(),
            chat: "42".into(),
        })
        .await
        .unwrap_err();
        assert!(refusal.remedy.contains(remedy), "{refusal:?}");
        assert!(!refusal.why.contains("1:abcdefgh"), "{refusal:?}");
        assert_eq!(refusal.again, again);
    }
}

#[tokio::test]
async fn trouble_of_a_server_passes_and_a_page_is_not_repeated() {
    let page = "<!DOCTYPE html><html>bad gateway</html>";
    let server = server(ResponseTemplate::new(502).set_body_string(page)).await;
    let refusal = told(NotificationChannel::Webhook(server.uri()))
        .await
        .unwrap_err();
    assert_eq!(refusal.why, "the server answered 502");
    assert_eq!(refusal.again, RetryHint::Later(None));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let answer = ResponseTemplate::new(301).insert_header("location", "http://127.0.0.1:9/");
    let server = server(answer).await;
    let refusal = told(NotificationChannel::Webhook(server.uri()))
        .await
        .unwrap_err();
    assert!(refusal.remedy.contains("has moved"), "{refusal:?}");
    assert_eq!(refusal.again, RetryHint::Never);
}

#[tokio::test]
async fn a_server_that_is_away_is_told_without_its_address() {
    let way = NotificationChannel::Webhook("http://127.0.0.1:9/a-long-secret-token".into());
    let refusal = told(way).await.unwrap_err();
    assert!(!refusal.why.contains("secret-token"), "{refusal:?}");
    assert_eq!(refusal.again, RetryHint::Later(None));
}
