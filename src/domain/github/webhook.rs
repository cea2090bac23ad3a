//! What GitHub tells by itself: deliveries of its webhook, whether they are signed, and what they are about.
//!
//! Only who knows the secret can make a delivery; the name of the repository in it is compared all the same, because one
//! secret may serve several. Danger: a delivery may come twice, late and out of order; what it says is news only if nothing newer
//! is known of the same thing.

use serde::Deserialize;

use super::{Issue, PullRequest};
use crate::domain::{
    board::GithubRepository,
    hash::{constant_time_eq, hmac_sha256, read_hex},
};

/// What a delivery is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookEvent {
    /// An issue, as it is now.
    Issue(Box<Issue>),
    /// A pull request, as it is now.
    PullRequest(PullRequest),
    /// Nothing that concerns the board, and why.
    Nothing(String),
}

#[derive(Debug, Deserialize)]
struct Payload {
    #[serde(default)]
    action: String,
    #[serde(default)]
    issue: Option<Issue>,
    #[serde(default)]
    pull_request: Option<PullRequest>,
    #[serde(default)]
    repository: Option<Named>,
}

#[derive(Debug, Deserialize)]
struct Named {
    #[serde(default)]
    full_name: String,
}

/// Returns whether the header `X-Hub-Signature-256` signs these bytes with this secret.
pub fn verify_signature(secret: &str, body: &[u8], header: &str) -> bool {
    let given = header.strip_prefix("sha256=").and_then(read_hex);
    !secret.is_empty()
        && given
            .is_some_and(|given| constant_time_eq(&given, &hmac_sha256(secret.as_bytes(), body)))
}

/// Reads a delivery: the name of its event, and its JSON. `label`: issues with it become tasks; empty = none do.
pub fn parse_webhook(
    event: &str,
    payload: &[u8],
    at: Option<&GithubRepository>,
    label: &str,
) -> Result<WebhookEvent, String> {
    let nothing = |why: &str| Ok(WebhookEvent::Nothing(why.to_owned()));
    if event == "ping" {
        return nothing("pong");
    }
    if !matches!(event, "issues" | "pull_request") {
        return nothing(&format!("\"{event}\" does not concern the board"));
    }
    let read: Payload = serde_json::from_slice(payload)
        .map_err(|error| format!("the payload of \"{event}\" cannot be read: {error}"))?;
    let Some(at) = at else {
        return nothing("REPO_URL names no repository on GitHub");
    };
    let own = format!("{}/{}", at.owner, at.name);
    let named = read.repository.map(|one| one.full_name).unwrap_or_default();
    if !named.eq_ignore_ascii_case(&own) {
        return nothing(&format!(
            "it is about \"{named}\", and REPO_URL about {own}"
        ));
    }
    match (event, read.issue, read.pull_request) {
        ("issues", Some(mut issue), _) => {
            let mut labels = issue.labels.iter();
            if label.is_empty() || !labels.any(|one| one.name.eq_ignore_ascii_case(label)) {
                return nothing(&format!(
                    "issue #{} has not the label of tasks",
                    issue.number
                ));
            }
            // What is gone or went elsewhere is still called open.
            if matches!(read.action.as_str(), "deleted" | "transferred") {
                "closed".clone_into(&mut issue.state);
            }
            Ok(WebhookEvent::Issue(Box::new(issue)))
        }
        ("pull_request", _, Some(pull)) => Ok(WebhookEvent::PullRequest(pull)),
        _ => Err(format!("the payload of \"{event}\" holds none")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(event: &str, payload: &serde_json::Value) -> Result<WebhookEvent, String> {
        let at = GithubRepository::read("https://github.com/o/n", "").unwrap();
        parse_webhook(event, payload.to_string().as_bytes(), Some(&at), "tos")
    }

    #[test]
    fn only_the_secret_signs() {
        // The example of GitHub's own documentation.
        let signed = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let secret = "It's a Secret to Everybody";
        assert!(verify_signature(secret, b"Hello, World!", signed));
        assert!(!verify_signature(secret, b"Hello, World", signed));
        assert!(!verify_signature("other", b"Hello, World!", signed));
        assert!(!verify_signature(secret, b"Hello, World!", &signed[7..]));
        assert!(!verify_signature(secret, b"Hello, World!", ""));
        let unkeyed = format!(
            "sha256={}",
            crate::domain::hash::hex(&hmac_sha256(b"", b"x"))
        );
        assert!(
            !verify_signature("", b"x", &unkeyed),
            "no secret, no delivery"
        );
    }

    #[test]
    fn issues_with_the_label_and_pull_requests_are_news() {
        let issue = |action: &str, label: &str, of: &str| {
            serde_json::json!({
                "action": action, "repository": { "full_name": of },
                "issue": { "id": 1, "number": 7, "title": "t", "state": "open", "labels": [{ "name": label }] },
            })
        };
        let opened = read("issues", &issue("opened", "TOS", "O/n")).unwrap();
        assert!(matches!(opened, WebhookEvent::Issue(issue) if issue.state == "open"));
        let deleted = read("issues", &issue("deleted", "tos", "o/n")).unwrap();
        assert!(matches!(deleted, WebhookEvent::Issue(issue) if issue.state == "closed"));
        for other in [
            read("issues", &issue("opened", "bug", "o/n")),
            read("issues", &issue("opened", "tos", "o/other")),
            read("star", &issue("opened", "tos", "o/n")),
            read("ping", &serde_json::json!({ "zen": "x" })),
        ] {
            assert!(matches!(other, Ok(WebhookEvent::Nothing(_))), "{other:?}");
        }
        let none = parse_webhook("issues", b"{\"issue\":null}", None, "tos");
        assert!(matches!(none, Ok(WebhookEvent::Nothing(_))));
        let pull = serde_json::json!({
            "action": "closed", "repository": { "full_name": "o/n" },
            "pull_request": { "number": 3, "state": "closed", "merged_at": null },
        });
        assert!(
            matches!(read("pull_request", &pull), Ok(WebhookEvent::PullRequest(one)) if one.number == 3)
        );
        assert!(read("issues", &pull).is_err());
        assert!(parse_webhook("issues", b"[", None, "tos").is_err());
    }
}
