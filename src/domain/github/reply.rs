//! What an answer of the API means: done, not before a moment, or not at all.

use serde::Deserialize;

use crate::domain::{board::Millis, text::one_line};

/// How long is waited after a limit that names no time.
const UNSAID: Millis = 60_000;
/// The longest wait that an answer can ask for.
const LONGEST: Millis = 24 * 3_600_000;
/// The longest part of a message that is told.
const SHOWN: usize = 300;

/// What is looked at in an answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct ApiResponse<'a> {
    /// Its status.
    pub status: u16,
    /// Its header `retry-after`.
    pub retry_after: Option<&'a str>,
    /// Its header `x-ratelimit-remaining`.
    pub remaining: Option<&'a str>,
    /// Its header `x-ratelimit-reset`.
    pub reset: Option<&'a str>,
    /// Its header `location`.
    pub location: Option<&'a str>,
    /// Its body.
    pub body: &'a [u8],
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GithubError {
    /// Too many requests: none before that moment.
    #[error("GitHub takes no more requests for a while: {detail}")]
    Limited {
        /// When one may ask again.
        until: Millis,
        /// What it said.
        detail: String,
    },
    /// There is no token, or it is not accepted.
    #[error("{0}")]
    Token(String),
    /// There is no such thing, or the token may not see it.
    #[error("{0}")]
    NotFound(String),
    /// It is there already.
    #[error("it is there already")]
    AlreadyThere,
    /// It is refused, and asking again changes nothing.
    #[error("{0}")]
    Refused(String),
    /// The server, or the way to it, does not do it now.
    #[error("{0}")]
    Unavailable(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    message: String,
    errors: Vec<serde_json::Value>,
}

impl ErrorBody {
    /// Returns its message and those of its parts, in one line.
    fn words(&self) -> String {
        let parts = self.errors.iter().filter_map(|part| {
            let text = part.as_str().or_else(|| part["message"].as_str());
            text.map(str::to_owned).or_else(|| {
                let (field, code) = (part["field"].as_str()?, part["code"].as_str()?);
                Some(format!("{field} is {code}"))
            })
        });
        let all = std::iter::once(self.message.clone()).chain(parts);
        let all: Vec<String> = all.filter(|text| !text.is_empty()).collect();
        let all = all.join("; ");
        one_line(&all).chars().take(SHOWN).collect()
    }
}

/// Says what is wrong with an answer; `None` = nothing.
pub fn response_error(facts: &ApiResponse<'_>, now: Millis) -> Option<GithubError> {
    let body: ErrorBody = serde_json::from_slice(facts.body).unwrap_or_default();
    let words = body.words();
    let said = || {
        if words.is_empty() {
            format!("status {}", facts.status)
        } else {
            words.clone()
        }
    };
    Some(match facts.status {
        200..=299 | 304 => return None,
        401 => GithubError::Token(format!(
            "GitHub does not accept the token ({}); make a new one and set GITHUB_TOKEN",
            said()
        )),
        403 | 429 => match limit(facts, &words, now) {
            Some(until) => GithubError::Limited {
                until,
                detail: said(),
            },
            None => GithubError::Token(format!(
                "the token may not do this ({}); it needs read access to issues, and write access to contents and pull requests",
                said()
            )),
        },
        404 | 410 => GithubError::NotFound(format!(
            "GitHub knows no such thing, or the token may not see it ({}); check REPO_URL and what the token may do",
            said()
        )),
        422 if words.contains("already exists") => GithubError::AlreadyThere,
        300..=399 => GithubError::Refused(format!(
            "the repository is somewhere else now ({}); write its new address into REPO_URL",
            facts.location.map_or_else(said, |to| one_line(to).into())
        )),
        400..=499 => GithubError::Refused(format!("GitHub refuses it: {}", said())),
        _ => GithubError::Unavailable(format!("GitHub has trouble of its own: {}", said())),
    })
}

/// Returns until when nothing may be asked, if that is what an answer says.
fn limit(facts: &ApiResponse<'_>, words: &str, now: Millis) -> Option<Millis> {
    let number = |text: Option<&str>| text?.trim().parse::<Millis>().ok();
    let asked = number(facts.retry_after).map(|seconds| seconds.saturating_mul(1000));
    let is_used_up = number(facts.remaining) == Some(0);
    let reset = number(facts.reset)
        .filter(|_| is_used_up)
        .map(|at| at.saturating_mul(1000).saturating_sub(now));
    let lower = words.to_ascii_lowercase();
    let is_limit = facts.status == 429 || lower.contains("rate limit") || lower.contains("abuse");
    let wait = asked.or(reset).or_else(|| is_limit.then_some(UNSAID))?;
    // Clocks differ, and a limit that is over at once is asked about in a moment.
    Some(now + wait.clamp(1000, LONGEST))
}

/// Returns the address of the next page that a header `link` names.
pub fn next_page(link: &str) -> Option<String> {
    link.split(',').find_map(|part| {
        let mut pieces = part.split(';');
        let address = pieces.next()?.trim();
        let address = address.strip_prefix('<')?.strip_suffix('>')?;
        let is_next = pieces.any(|piece| {
            let piece = piece.trim();
            piece == "rel=\"next\"" || piece == "rel=next"
        });
        is_next.then(|| address.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> ApiResponse<'_> {
        ApiResponse {
            status,
            body: body.as_bytes(),
            ..ApiResponse::default()
        }
    }

    #[test]
    fn limits_are_waited_for_as_long_as_they_say() {
        let now = 1_000_000;
        let until = |facts: ApiResponse<'_>| match response_error(&facts, now) {
            Some(GithubError::Limited { until, .. }) => Some(until - now),
            _ => None,
        };
        let base = reply(403, "{}");
        assert_eq!(
            until(ApiResponse {
                retry_after: Some("7"),
                ..base
            }),
            Some(7000)
        );
        let used_up = ApiResponse {
            remaining: Some("0"),
            reset: Some("1600"),
            ..base
        };
        assert_eq!(until(used_up), Some(600_000));
        // A clock that goes before, and an answer that asks for a year.
        assert_eq!(
            until(ApiResponse {
                reset: Some("1"),
                ..used_up
            }),
            Some(1000)
        );
        assert_eq!(
            until(ApiResponse {
                retry_after: Some("99999999999999999999"),
                ..reply(429, "")
            }),
            Some(60_000)
        );
        assert_eq!(
            until(ApiResponse {
                retry_after: Some("9999999"),
                ..base
            }),
            Some(LONGEST)
        );
        assert_eq!(
            until(reply(
                403,
                r#"{"message":"You have exceeded a secondary rate limit."}"#
            )),
            Some(60_000)
        );
        assert_eq!(until(reply(429, "")), Some(60_000));
        // Requests that are left are no limit: this token may not.
        let left = ApiResponse {
            remaining: Some("12"),
            reset: Some("1600"),
            ..base
        };
        assert!(matches!(
            response_error(&left, now),
            Some(GithubError::Token(_))
        ));
    }

    #[test]
    fn every_other_status_has_its_meaning() {
        let told = |status, body| response_error(&reply(status, body), 0);
        for good in [200, 201, 304] {
            assert_eq!(told(good, "{}"), None);
        }
        assert!(matches!(told(401, "{}"), Some(GithubError::Token(_))));
        assert!(matches!(
            told(404, "not json"),
            Some(GithubError::NotFound(_))
        ));
        let exists = r#"{"message":"Validation Failed","errors":[{"message":"A pull request already exists for o:b."}]}"#;
        assert_eq!(told(422, exists), Some(GithubError::AlreadyThere));
        let fields = r#"{"message":"Validation Failed","errors":[{"resource":"PullRequest","field":"head","code":"invalid"}]}"#;
        assert!(
            told(422, fields)
                .unwrap()
                .to_string()
                .contains("head is invalid")
        );
        assert!(matches!(
            told(502, "<html>"),
            Some(GithubError::Unavailable(_))
        ));
        let moved = ApiResponse {
            location: Some("https://api.github.com/repositories/1"),
            ..reply(301, "")
        };
        assert!(
            response_error(&moved, 0)
                .unwrap()
                .to_string()
                .contains("repositories/1")
        );
    }

    #[test]
    fn the_next_page_is_the_one_that_is_called_so() {
        let link = r#"<https://a/x?page=1>; rel="prev", <https://a/x?page=3>; rel="next", <https://a/x?page=9>; rel="last""#;
        assert_eq!(next_page(link).as_deref(), Some("https://a/x?page=3"));
        for none in [
            "",
            "<https://a>; rel=\"last\"",
            "https://a; rel=\"next\"",
            "<>",
        ] {
            assert_eq!(next_page(none), None, "{none}");
        }
    }
}
