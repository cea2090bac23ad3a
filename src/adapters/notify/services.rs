//! What each service wants to be sent, and what its answers mean. Pure: no network here.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::NotificationChannel;
use crate::domain::notify::{Notification, NotificationError, RetryHint, shortened};

/// What these services take at most, in characters; ntfy counts bytes, and a character has at most four.
const DISCORD: usize = 2000;
const TELEGRAM: usize = 4096;
const SLACK: usize = 4000;
const NTFY_BYTES: usize = 4000;
const WEBHOOK: usize = 4000;
/// At most so much of an answer is shown.
const SHOWN: usize = 200;

/// What is posted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ServiceRequest {
    pub(super) url: String,
    pub(super) bearer: Option<String>,
    pub(super) body: Value,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServiceResponse {
    pub(super) status: u16,
    pub(super) retry_after_ms: Option<u64>,
    pub(super) body: String,
}

/// Returns the JSON object of webhooks and commands.
pub(super) fn notification_json(notification: &Notification) -> Value {
    let mut object = json!({
        "event": notification.event.as_str(),
        "title": notification.title,
        "text": shortened(&notification.text, WEBHOOK),
        "next": notification.next,
        "run": notification.run,
        "ledger": notification.ledger,
    });
    if let (Some(late), Some(map)) = (notification.late, object.as_object_mut()) {
        map.insert("at".to_owned(), late.to_rfc3339().into());
    }
    object
}

/// Returns what a service is sent; `None` = the way is no service.
pub(super) fn request(
    way: &NotificationChannel,
    notification: &Notification,
) -> Option<ServiceRequest> {
    let plain = |url: &String, body: Value| {
        Some(ServiceRequest {
            url: url.clone(),
            bearer: None,
            body,
        })
    };
    match way {
        NotificationChannel::Webhook(url) => plain(url, notification_json(notification)),
        // `parse: []`: whatever the text says, nobody is called by name.
        NotificationChannel::Discord(url) => plain(
            url,
            json!({
                "content": notification.message(DISCORD),
                "allowed_mentions": { "parse": [] },
            }),
        ),
        NotificationChannel::Slack(url) => plain(
            url,
            json!({ "text": escaped(&notification.message(SLACK)) }),
        ),
        NotificationChannel::Telegram { base, token, chat } => Some(ServiceRequest {
            url: format!("{}/bot{token}/sendMessage", base.trim_end_matches('/')),
            bearer: None,
            body: json!({ "chat_id": chat, "text": notification.message(TELEGRAM) }),
        }),
        NotificationChannel::Ntfy {
            server,
            topic,
            token,
        } => Some(ServiceRequest {
            url: server.clone(),
            bearer: token.clone(),
            body: json!({
                "topic": topic,
                "title": shortened(&notification.title, 200),
                "message": in_bytes(notification, NTFY_BYTES),
                "priority": if notification.event.is_urgent() { 4 } else { 3 },
                "tags": [if notification.event.is_urgent() { "warning" } else { "information_source" }],
            }),
        }),
        NotificationChannel::Terminal
        | NotificationChannel::Desktop
        | NotificationChannel::Mail(_)
        | NotificationChannel::Command(_) => None,
    }
}

/// Slack reads these three characters as its own.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A body that would be longer than this becomes a file instead of a message.
fn in_bytes(notification: &Notification, most: usize) -> String {
    let mut characters = most;
    loop {
        let body = notification.body(characters);
        if body.len() <= most || characters < 16 {
            return if body.is_empty() {
                notification.title.clone()
            } else {
                body
            };
        }
        characters = characters * 3 / 4;
    }
}

/// Says what an answer means.
pub(super) fn check_response(
    way: &NotificationChannel,
    answer: &ServiceResponse,
) -> Result<(), NotificationError> {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let is_fine = (200..300).contains(&answer.status);
    // Telegram says in the body whether it went well; a proxy's page with status 200 says nothing of the kind.
    let is_denied = matches!(way, NotificationChannel::Telegram { .. }) && body["ok"] != true;
    if is_fine && !is_denied {
        return Ok(());
    }
    let said = words(&body, &answer.body);
    let why = if said.is_empty() {
        format!("the server answered {}", answer.status)
    } else {
        format!("the server answered {}: {said}", answer.status)
    };
    let again = match answer.status {
        429 => RetryHint::Later(answer.retry_after_ms.or_else(|| pause_in(&body))),
        408 | 500..=599 => RetryHint::Later(answer.retry_after_ms),
        200..=299 => RetryHint::Later(None),
        _ => RetryHint::Never,
    };
    Err(NotificationError {
        why,
        remedy: remedy(way, answer.status, &said).to_owned(),
        again,
    })
}

/// Discord and Telegram say in the body how many seconds to wait.
fn pause_in(body: &Value) -> Option<u64> {
    let seconds = body["retry_after"]
        .as_f64()
        .or_else(|| body["parameters"]["retry_after"].as_f64())?;
    millis(seconds)
}

fn millis(seconds: f64) -> Option<u64> {
    let ms = (seconds * 1000.0).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked"
    )]
    (0.0..=1e12).contains(&ms).then_some(ms as u64)
}

/// Reads a `Retry-After`: seconds, or a date.
pub(super) fn retry_after_ms(text: &str, now: DateTime<Utc>) -> Option<u64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return millis(seconds);
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    let left = at.signed_duration_since(now).num_milliseconds();
    Some(u64::try_from(left).unwrap_or(0))
}

/// Returns what an answer says in words: the field that these services use, else a short text.
fn words(body: &Value, raw: &str) -> String {
    let field = ["description", "message", "error"]
        .iter()
        .find_map(|key| body[key].as_str());
    let raw = raw.trim();
    // A page for browsers says nothing to a person at a terminal.
    let short = if raw.starts_with('<') || raw.starts_with('{') {
        ""
    } else {
        raw.lines().next().unwrap_or_default()
    };
    field.unwrap_or(short).chars().take(SHOWN).collect()
}

fn remedy(way: &NotificationChannel, status: u16, said: &str) -> &'static str {
    match (way, status) {
        (_, 429) => "the service wants a pause; tos waits and tries again",
        (_, 408 | 500..=599) => "the service is in trouble; tos tries again",
        (_, 300..=399) => "the address has moved; use the new one, with https://",
        (NotificationChannel::Ntfy { .. }, 401 | 403) => {
            "the token may not publish to this topic; make one with `ntfy token add`, and check `ntfy access`"
        }
        (NotificationChannel::Ntfy { .. }, 404) => {
            "`server` is no ntfy server, or has a path too many"
        }
        (NotificationChannel::Ntfy { .. }, _) => "check `server` and `topic`",
        (NotificationChannel::Discord(_), 401 | 403 | 404) => {
            "the webhook is gone or its address is cut; copy it again: channel settings, Integrations, Webhooks"
        }
        (NotificationChannel::Slack(_), 410) => {
            "the channel is archived; make a webhook for another channel"
        }
        (NotificationChannel::Slack(_), 400..=499) if said.contains("channel") => {
            "the channel is gone or closed; make a webhook for another channel"
        }
        (NotificationChannel::Slack(_), 401 | 403 | 404) => {
            "the webhook is switched off or its address is cut; copy it again from the app's Incoming Webhooks"
        }
        (NotificationChannel::Telegram { .. }, 401 | 404) => {
            "the bot's token is wrong; ask @BotFather for it (`/token`)"
        }
        (NotificationChannel::Telegram { .. }, 400) if said.contains("chat not found") => {
            "`chat` is wrong, or nobody has written to the bot yet: send it a message first"
        }
        (NotificationChannel::Telegram { .. }, 403) => {
            "the bot was blocked or is not in the group; unblock it, or add it to the group"
        }
        (NotificationChannel::Telegram { .. }, 200..=299) => "`base` is no Bot API server",
        (NotificationChannel::Webhook(_), 401 | 403 | 404) => "the address or its token is wrong",
        _ => "check the address",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> ServiceResponse {
        ServiceResponse {
            status,
            retry_after_ms: None,
            body: body.to_owned(),
        }
    }

    fn telegram() -> NotificationChannel {
        NotificationChannel::Telegram {
            base: "https://t".into(),
            token: "1:a".into(),
            chat: "1".into(),
        }
    }

    #[test]
    fn pauses_are_read_from_headers_and_bodies() {
        let now = "2026-11-29T12:00:00Z".parse().unwrap();
        assert_eq!(retry_after_ms("3", now), Some(3000));
        assert_eq!(retry_after_ms("0.65", now), Some(650));
        assert_eq!(
            retry_after_ms("Sun, 29 Nov 2026 12:00:30 GMT", now),
            Some(30_000)
        );
        assert_eq!(
            retry_after_ms("Sun, 29 Nov 2026 11:00:00 GMT", now),
            Some(0)
        );
        assert_eq!(retry_after_ms("soon", now), None);
        let of = |way: &NotificationChannel, body: &str| {
            check_response(way, &answer(429, body)).unwrap_err().again
        };
        assert_eq!(
            of(
                &NotificationChannel::Discord("d".into()),
                r#"{"message":"You are being rate limited.","retry_after":0.65,"global":false}"#
            ),
            RetryHint::Later(Some(650))
        );
        assert_eq!(
            of(
                &telegram(),
                r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 5","parameters":{"retry_after":5}}"#
            ),
            RetryHint::Later(Some(5000))
        );
        assert_eq!(
            of(&NotificationChannel::Slack("s".into()), "rate_limited"),
            RetryHint::Later(None)
        );
    }

    #[test]
    fn a_page_with_status_200_is_no_yes_of_telegram() {
        let refusal =
            check_response(&telegram(), &answer(200, "<html>welcome</html>")).unwrap_err();
        assert_eq!(refusal.why, "the server answered 200");
        assert_eq!(refusal.remedy, "`base` is no Bot API server");
        assert_eq!(
            check_response(&telegram(), &answer(200, r#"{"ok":true,"result":{}}"#)),
            Ok(())
        );
    }

    #[test]
    fn nothing_longer_than_a_service_takes_is_sent() {
        let long = Notification::new(
            crate::domain::notify::NotificationEvent::PlanFailed,
            "t",
            "r",
        )
        .text("ä€".repeat(9000));
        let of = |way: &NotificationChannel| request(way, &long).unwrap().body;
        let discord = of(&NotificationChannel::Discord("d".into()));
        assert!(discord["content"].as_str().unwrap().chars().count() <= DISCORD);
        assert!(of(&telegram())["text"].as_str().unwrap().chars().count() <= TELEGRAM);
        let ntfy = of(&NotificationChannel::Ntfy {
            server: "n".into(),
            topic: "t".into(),
            token: None,
        });
        assert!(ntfy["message"].as_str().unwrap().len() <= NTFY_BYTES);
    }
}
