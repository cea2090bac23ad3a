//! Types every failure of an HTTP model: which kind of trouble, in whose words, worth waiting for how long.
//!
//! The domain decides about retries by [`ModelErrorKind`] alone, so what lands in which kind matters: an exhausted
//! quota often wears the same status as a rate limit, and is told apart by the words in the error's body.

use std::error::Error;

use chrono::{DateTime, Local, Utc};
use serde_json::Value;

use crate::domain::{
    agent::quota,
    model::{ModelError, ModelErrorKind},
};

/// The longest wait that is believed; a server that asks for more is wrong about its clock.
const MAX_RETRY_AFTER_MS: f64 = 31.0 * 24.0 * 3_600_000.0;
/// The longest part of a provider's message that is passed on, in characters.
const MAX_MESSAGE: usize = 600;

/// Words in an error's type or code that mean: no money, not «too fast».
const QUOTA: [&str; 11] = [
    "usage_limit_reached",
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
    "enforced_spend_limit_reached",
    "insufficient_credits",
];

/// An answer as it came off the wire, successful or not.
#[derive(Debug, Default)]
pub(super) struct HttpReply {
    pub(super) status: u16,
    /// Where it came from, without what may hold a secret; empty = not told.
    pub(super) url: String,
    pub(super) request_id: Option<String>,
    pub(super) retry_after_ms: Option<u64>,
    /// The provider says in a header that another attempt is useless.
    pub(super) final_refusal: bool,
    pub(super) body: Vec<u8>,
}

/// What an error's body says, in whatever shape the server has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ApiErrorBody {
    pub(super) kind: Option<String>,
    pub(super) code: Option<String>,
    pub(super) param: Option<String>,
    pub(super) message: String,
    pub(super) request_id: Option<String>,
}

impl ApiErrorBody {
    /// Reads the shapes of OpenAI, Anthropic, Ollama, vLLM, other servers and plain text.
    pub(super) fn read(body: &[u8]) -> Self {
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            return Self::plain(&String::from_utf8_lossy(body));
        };
        let request_id = text(&value, "/request_id");
        let error = value.get("error").unwrap_or(&value);
        if let Some(message) = error.as_str() {
            return Self {
                request_id,
                ..Self::plain(message)
            };
        }
        let code = text(error, "/details/error_code").or_else(|| word(error.get("code")));
        let message = text(error, "/message")
            .or_else(|| word(error.get("detail")))
            .unwrap_or_default();
        Self {
            kind: text(error, "/type"),
            code,
            param: text(error, "/param"),
            request_id,
            ..Self::plain(&message)
        }
    }

    fn plain(message: &str) -> Self {
        Self {
            message: shorten(message),
            ..Self::default()
        }
    }

    fn is(&self, words: &[&str]) -> bool {
        [&self.kind, &self.code]
            .into_iter()
            .flatten()
            .any(|have| words.contains(&have.as_str()))
    }

    /// Returns whether it is money, not pace, that is missing.
    fn is_quota(&self, status: u16) -> bool {
        // Anthropic reports a reached spend limit as an invalid request; only the sentence tells.
        let message = self.message.to_lowercase();
        let limit = message.contains("usage limits") || message.contains("credit balance");
        status == 402 || self.is(&QUOTA) || (status == 400 && limit)
    }

    /// The most telling word for this error, for the message.
    fn label(&self) -> Option<&str> {
        self.code.as_deref().or(self.kind.as_deref())
    }
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().map(str::to_owned)
}

/// Codes are words, numbers or null; details are texts or lists of objects.
fn word(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::String(word) => Some(word.clone()),
        other => Some(other.to_string()),
    }
}

/// Returns the text on one line, cut where nobody reads on.
pub(super) fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Types an answer that is not a success.
pub(super) fn from_answer(provider: &str, answer: &HttpReply, error: &ApiErrorBody) -> ModelError {
    let status = answer.status;
    let label = error.label().map(|l| format!(" {l}")).unwrap_or_default();
    let message = if error.message.is_empty() {
        "no explanation in the answer"
    } else {
        &error.message
    };
    let trouble = trouble(answer, error);
    let from = if answer.url.is_empty() {
        String::new()
    } else {
        format!(" ({})", answer.url)
    };
    let remedy = match status {
        401 | 403 => "; is the key right, and may it use this model?",
        404 => "; is `base_url` right, and is there such a model?",
        _ => "",
    };
    let stated = || {
        let body = String::from_utf8_lossy(&answer.body);
        let exhausted = trouble == ModelErrorKind::QuotaExhausted;
        exhausted
            .then(|| quota::renewal_wait_ms(&body, Local::now().fixed_offset()))
            .flatten()
    };
    ModelError {
        trouble,
        message: format!("{provider} API error {status}{label}: {message}{from}{remedy}"),
        retry_after_ms: answer.retry_after_ms.or_else(stated),
        request_id: answer
            .request_id
            .clone()
            .or_else(|| error.request_id.clone()),
    }
}

fn trouble(answer: &HttpReply, error: &ApiErrorBody) -> ModelErrorKind {
    let status = answer.status;
    if error.is_quota(status) {
        return ModelErrorKind::QuotaExhausted;
    }
    if error.is(&["overloaded_error", "server_is_overloaded"]) {
        return ModelErrorKind::Overloaded;
    }
    match status {
        401 | 403 => ModelErrorKind::Unauthorised,
        429 if answer.final_refusal => ModelErrorKind::QuotaExhausted,
        _ if answer.final_refusal => ModelErrorKind::Rejected,
        429 => ModelErrorKind::RateLimited,
        503 | 529 => ModelErrorKind::Overloaded,
        408 | 409 | 500.. => ModelErrorKind::ServerError,
        _ => ModelErrorKind::Rejected,
    }
}

/// Types a success whose body is not what the API documents.
pub(super) fn malformed(provider: &str, answer: &HttpReply, problem: &str) -> ModelError {
    ModelError {
        trouble: ModelErrorKind::Malformed,
        message: format!(
            "{provider} API error: status {} with {problem}",
            answer.status
        ),
        retry_after_ms: None,
        request_id: answer.request_id.clone(),
    }
}

/// Types a request that got no answer.
pub(super) fn from_transport(provider: &str, url: &str, error: &reqwest::Error) -> ModelError {
    let root = root_cause(error);
    let (trouble, what) = if error.is_connect() {
        (ModelErrorKind::Unreachable, "no connection to")
    } else if error.is_timeout() {
        (ModelErrorKind::TimedOut, "no answer in time from")
    } else if error.is_builder() {
        (ModelErrorKind::Rejected, "no request could be made for")
    } else if root.contains("invalid HTTP") {
        (ModelErrorKind::Malformed, "an answer that is not HTTP from")
    } else {
        (ModelErrorKind::Unreachable, "the connection broke off to")
    };
    let remedy = if !error.is_connect() {
        ""
    } else if is_unknown_name(error) {
        "; its name is not known here: there is no network, or the name is wrong (`base_url`)"
    } else {
        "; does the server run, and is `base_url` right?"
    };
    ModelError {
        trouble,
        message: format!("{provider} API error: {what} {url}: {root}{remedy}"),
        retry_after_ms: None,
        request_id: None,
    }
}

/// Returns whether nobody could say which address the name of the server has.
fn is_unknown_name(error: &reqwest::Error) -> bool {
    let mut cause = Error::source(error);
    while let Some(found) = cause {
        let text = found.to_string();
        if text.starts_with("dns error") || text.contains("failed to lookup address") {
            return true;
        }
        cause = found.source();
    }
    false
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    shorten(&cause.to_string())
}

/// Returns the wait a provider asks for: milliseconds, else seconds or an HTTP date.
pub(super) fn retry_after(
    milliseconds: Option<&str>,
    header: Option<&str>,
    now: DateTime<Utc>,
) -> Option<u64> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let wait = milliseconds
        .and_then(number)
        .or_else(|| header.and_then(number).map(|seconds| seconds * 1000.0))
        .or_else(|| header.and_then(|text| until(text, now)))?;
    wait.is_finite().then(|| whole(wait))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a wait of more than 2^52 ms is cut anyway"
)]
fn until(date: &str, now: DateTime<Utc>) -> Option<f64> {
    let at = DateTime::parse_from_rfc2822(date.trim()).ok()?;
    Some((at.with_timezone(&Utc) - now).num_milliseconds() as f64)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to a range that fits"
)]
fn whole(milliseconds: f64) -> u64 {
    milliseconds.clamp(0.0, MAX_RETRY_AFTER_MS).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(status: u16, body: &str) -> ModelErrorKind {
        let answer = HttpReply {
            status,
            body: body.as_bytes().to_vec(),
            ..HttpReply::default()
        };
        trouble(&answer, &ApiErrorBody::read(&answer.body))
    }

    #[test]
    fn statuses_and_words_decide_the_kind_of_trouble() {
        let quota =
            r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"m"}}"#;
        let spend = r#"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"enforced_spend_limit_reached"}}}"#;
        let ramp = r#"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"ramp_limit_exceeded"}}}"#;
        let low = r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}"#;
        let cases = [
            (400, "", ModelErrorKind::Rejected),
            (400, low, ModelErrorKind::QuotaExhausted),
            (401, "", ModelErrorKind::Unauthorised),
            (402, "", ModelErrorKind::QuotaExhausted),
            (403, "", ModelErrorKind::Unauthorised),
            (404, "", ModelErrorKind::Rejected),
            (408, "", ModelErrorKind::ServerError),
            (409, "", ModelErrorKind::ServerError),
            (413, "", ModelErrorKind::Rejected),
            (422, "", ModelErrorKind::Rejected),
            (429, "", ModelErrorKind::RateLimited),
            (429, quota, ModelErrorKind::QuotaExhausted),
            (429, spend, ModelErrorKind::QuotaExhausted),
            (429, ramp, ModelErrorKind::RateLimited),
            (
                429,
                r#"{"error":{"code":"slow_down"}}"#,
                ModelErrorKind::RateLimited,
            ),
            (500, "", ModelErrorKind::ServerError),
            (
                500,
                r#"{"error":{"type":"overloaded_error"}}"#,
                ModelErrorKind::Overloaded,
            ),
            (503, "", ModelErrorKind::Overloaded),
            (504, "", ModelErrorKind::ServerError),
            (529, "", ModelErrorKind::Overloaded),
            (301, "", ModelErrorKind::Rejected),
        ];
        for (status, body, expected) in cases {
            assert_eq!(typed(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_header_that_forbids_another_attempt_is_obeyed() {
        let answer = |status| HttpReply {
            status,
            final_refusal: true,
            ..HttpReply::default()
        };
        let none = ApiErrorBody::default();
        assert_eq!(trouble(&answer(429), &none), ModelErrorKind::QuotaExhausted);
        assert_eq!(trouble(&answer(500), &none), ModelErrorKind::Rejected);
    }

    #[test]
    fn the_words_of_many_servers_are_understood() {
        let cases = [
            (
                r#"{"error":{"message":"bad","type":"t","param":"p","code":"c"}}"#,
                "bad",
                Some("c"),
            ),
            (r#"{"error":"model not found"}"#, "model not found", None),
            (
                r#"{"object":"error","message":"too long","type":"BadRequestError","code":400}"#,
                "too long",
                Some("400"),
            ),
            (r#"{"detail":"Not Found"}"#, "Not Found", None),
            (
                r#"{"detail":[{"msg":"field required"}]}"#,
                r#"[{"msg":"field required"}]"#,
                None,
            ),
            ("<html>\n502 Bad Gateway", "<html> 502 Bad Gateway", None),
            ("[1]", "", None),
            ("", "", None),
        ];
        for (body, message, code) in cases {
            let error = ApiErrorBody::read(body.as_bytes());
            assert_eq!(
                (error.message.as_str(), error.code.as_deref()),
                (message, code)
            );
        }
    }

    #[test]
    fn a_wait_is_read_from_milliseconds_seconds_and_dates() {
        let now = DateTime::parse_from_rfc3339("2026-11-20T12:00:00Z")
            .unwrap()
            .to_utc();
        let cases = [
            (Some("1500"), Some("30"), Some(1_500)),
            (None, Some("30"), Some(30_000)),
            (None, Some("0.5"), Some(500)),
            (None, Some("Fri, 20 Nov 2026 12:01:00 GMT"), Some(60_000)),
            (None, Some("Fri, 20 Nov 2026 11:00:00 GMT"), Some(0)),
            (None, Some("-5"), Some(0)),
            (None, Some("inf"), None),
            (None, Some("soon"), None),
            (Some("x"), Some("2"), Some(2_000)),
            (None, Some("1e300"), Some(31 * 24 * 3_600_000)),
            (None, None, None),
        ];
        for (milliseconds, header, expected) in cases {
            assert_eq!(
                retry_after(milliseconds, header, now),
                expected,
                "{header:?}"
            );
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let long = "あ".repeat(1_000);
        assert_eq!(shorten(&long).chars().count(), MAX_MESSAGE + 1);
    }
}
