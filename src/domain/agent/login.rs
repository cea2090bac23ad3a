//! Logins that renew themselves: when one has to be renewed, which of two is newer, what may be written back.
//!
//! An agent works with a copy of the user's login. Where its program renews the login, the copy holds the only token
//! that still works, so it has to come back. Danger: the copy lies where the agent writes. So nothing is taken from it but
//! the values of tokens, for a login that stays the same login; never a setting, an address or a command.

use serde_json::Value;

/// Names under which programs keep tokens that change when a login is renewed, and when they were issued and end.
const RENEWED: &[&str] = &[
    "access",
    "access_token",
    "accessToken",
    "refresh",
    "refresh_token",
    "refreshToken",
    "id_token",
    "idToken",
    "expires",
    "expiresAt",
    "expires_at",
    "expiry",
    "expiry_date",
    "refreshTokenExpiresAt",
    "last_refresh",
    "lastRefresh",
];

/// Those with which a login can be renewed.
const RENEWING: &[&str] = &["refresh", "refresh_token", "refreshToken"];

/// Those that say when an access token ends, in milliseconds or seconds since 1970.
const ENDINGS: &[&str] = &["expires", "expiresAt", "expires_at", "expiry_date"];

/// Those that name whose login it is; a copy that names somebody else is another login.
const OWNERS: &[&str] = &["account_id", "accountId", "email", "organizationUuid"];

/// How long before its end a token counts as ended: programs renew theirs minutes before.
const MARGIN_MS: i64 = 10 * 60 * 1000;

/// Numbers below this are seconds, not milliseconds.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// What becomes of a login after somebody had a copy of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginSync {
    /// Both stay as they are.
    Nothing,
    /// The user's file gets this text.
    WriteBack(String),
    /// The user's login is newer than the copy, which gets its text.
    Refresh,
}

/// Compares the copy of a login with the user's file. `given` tells whether the user's file still is what the copy was made
/// from.
pub fn compare_logins(copy: Option<&str>, users: Option<&str>, given: bool) -> LoginSync {
    let (Some(copy), Some(users)) = (copy, users) else {
        // Whoever deleted one of them has logged out there, and only there.
        return LoginSync::Nothing;
    };
    if copy == users {
        return LoginSync::Nothing;
    }
    let Some(own) = object(users).filter(can_renew) else {
        return LoginSync::Nothing;
    };
    let Some(theirs) = object(copy).filter(can_renew) else {
        return LoginSync::Nothing;
    };
    if !is_same_owner(&own, &theirs) {
        return LoginSync::Nothing;
    }
    match (stamp(&theirs), stamp(&own)) {
        (theirs, own) if theirs < own => return LoginSync::Refresh,
        (theirs, own) if theirs == own && !given => return LoginSync::Nothing,
        _ => {}
    }
    let mut merged = own.clone();
    renew(&mut merged, &theirs);
    if merged == own {
        return LoginSync::Nothing;
    }
    let text = if users.trim_end().contains('\n') {
        serde_json::to_string_pretty(&merged)
    } else {
        serde_json::to_string(&merged)
    };
    let end = if users.ends_with('\n') { "\n" } else { "" };
    text.map_or(LoginSync::Nothing, |text| LoginSync::WriteBack(text + end))
}

/// Returns whether a login can be renewed and its access token has ended or soon will have.
pub fn needs_token_refresh(login: &str, now_ms: i64) -> bool {
    let Some(login) = object(login).filter(can_renew) else {
        return false;
    };
    let mut endings = Vec::new();
    collect_endings(&login, &mut endings);
    endings.iter().any(|end| *end <= now_ms + MARGIN_MS)
}

fn object(text: &str) -> Option<Value> {
    serde_json::from_str::<Value>(text)
        .ok()
        .filter(Value::is_object)
}

/// Returns whether there is a token with which the login can be renewed.
fn can_renew(login: &Value) -> bool {
    let Some(fields) = login.as_object() else {
        return false;
    };
    fields.iter().any(|(name, value)| {
        let is_token = value.as_str().is_some_and(|text| !text.is_empty());
        RENEWING.contains(&name.as_str()) && is_token || can_renew(value)
    })
}

fn is_same_owner(own: &Value, theirs: &Value) -> bool {
    let (Some(own), Some(theirs)) = (own.as_object(), theirs.as_object()) else {
        return true;
    };
    own.iter().all(|(name, value)| {
        let other = theirs.get(name);
        if value.is_object() {
            return other.is_none_or(|other| is_same_owner(value, other));
        }
        !OWNERS.contains(&name.as_str()) || !value.is_string() || other == Some(value)
    })
}

/// Returns when a login was last renewed, as far as it tells: the latest end of its tokens, then the time it names.
fn stamp(login: &Value) -> (i64, String) {
    let mut endings = Vec::new();
    collect_endings(login, &mut endings);
    let named = login.get("last_refresh").and_then(Value::as_str);
    (
        endings.into_iter().max().unwrap_or(0),
        named.unwrap_or_default().to_owned(),
    )
}

fn collect_endings(login: &Value, endings: &mut Vec<i64>) {
    for (name, value) in login.as_object().into_iter().flatten() {
        if ENDINGS.contains(&name.as_str()) {
            let end = value.as_i64().filter(|end| *end > 0);
            endings.extend(end.map(|end| {
                if end < MILLISECONDS_FROM {
                    end.saturating_mul(1000)
                } else {
                    end
                }
            }));
        } else if name == "access_token" {
            endings.extend(value.as_str().and_then(token_end));
        } else {
            collect_endings(value, endings);
        }
    }
}

/// Returns when a token in three parts says that it ends, in milliseconds.
fn token_end(token: &str) -> Option<i64> {
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims: Value = serde_json::from_slice(&decoded(claims)?).ok()?;
    claims.get("exp")?.as_i64()?.checked_mul(1000)
}

/// Decodes base64 with the alphabet of addresses and no padding.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in text.trim_end_matches('=').bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        held = (held << 6 | u32::from(digit)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

/// Takes over the tokens of a renewed login: values of one kind under names that both have.
fn renew(own: &mut Value, theirs: &Value) {
    let (Some(own), Some(theirs)) = (own.as_object_mut(), theirs.as_object()) else {
        return;
    };
    for (name, value) in own.iter_mut() {
        let Some(other) = theirs.get(name) else {
            continue;
        };
        let is_text = value.is_string() && other.as_str().is_some_and(is_plain);
        let is_time = value.is_number() && other.is_number();
        if value.is_object() {
            renew(value, other);
        } else if RENEWED.contains(&name.as_str()) && (is_text || is_time) {
            value.clone_from(other);
        }
    }
}

/// Returns whether a text can be a token or a time.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claude(token: &str, ends: i64) -> String {
        format!(
            r#"{{"claudeAiOauth":{{"accessToken":"a-{token}","refreshToken":"r-{token}","expiresAt":{ends},"scopes":["x"],"subscriptionType":"max"}}}}"#
        )
    }

    fn codex(token: &str, refreshed: &str) -> String {
        format!(
            "{{\n  \"OPENAI_API_KEY\": null,\n  \"tokens\": {{\n    \"access_token\": \"{token}\",\n    \"refresh_token\": \"r-{token}\",\n    \"account_id\": \"me\"\n  }},\n  \"last_refresh\": \"{refreshed}\"\n}}"
        )
    }

    /// `{"alg":"none"}` and `{"exp":1000}`.
    const ENDED: &str = "eyJhbGciOiJub25lIn0.eyJleHAiOjEwMDB9.c2ln";

    #[test]
    fn a_renewed_login_is_written_back_as_it_was_written() {
        for (old, new) in [
            (
                claude("1", 2_000_000_000_000),
                claude("2", 2_000_000_360_000),
            ),
            (
                codex("1", "2026-11-01T00:00:00Z"),
                codex("2", "2026-11-29T00:00:00Z"),
            ),
        ] {
            assert_eq!(
                compare_logins(Some(&new), Some(&old), true),
                LoginSync::WriteBack(new.clone())
            );
            assert_eq!(
                compare_logins(Some(&old), Some(&old), true),
                LoginSync::Nothing
            );
            assert_eq!(
                compare_logins(Some(&old), Some(&new), false),
                LoginSync::Refresh
            );
        }
    }

    #[test]
    fn nothing_damaged_or_logged_out_is_written_back() {
        let old = claude("1", 2_000_000_000_000);
        let new = claude("2", 2_000_000_360_000);
        for copy in [
            "",
            " \n",
            "{",
            "[]",
            "{}",
            "null",
            &new[..new.len() - 1],
            r#"{"claudeAiOauth":{}}"#,
        ] {
            assert_eq!(
                compare_logins(Some(copy), Some(&old), true),
                LoginSync::Nothing,
                "{copy}"
            );
        }
        assert_eq!(compare_logins(None, Some(&old), true), LoginSync::Nothing);
        assert_eq!(compare_logins(Some(&new), None, false), LoginSync::Nothing);
        assert_eq!(
            compare_logins(Some("new"), Some("KEY=old"), true),
            LoginSync::Nothing
        );
    }

    #[test]
    fn a_login_that_the_user_renewed_meanwhile_stays_unless_it_is_older() {
        let users = claude("3", 2_000_000_720_000);
        let copy = claude("2", 2_000_000_360_000);
        assert_eq!(
            compare_logins(Some(&copy), Some(&users), false),
            LoginSync::Refresh
        );
        let newer = claude("4", 2_000_001_000_000);
        assert_eq!(
            compare_logins(Some(&newer), Some(&users), false),
            LoginSync::WriteBack(newer.clone())
        );
        // Of two that cannot be told apart the user's own stays.
        let other = claude("5", 2_000_000_720_000);
        assert_eq!(
            compare_logins(Some(&other), Some(&users), false),
            LoginSync::Nothing
        );
    }

    #[test]
    fn nothing_but_tokens_of_the_same_login_comes_back() {
        let old = r#"{"refresh_token":"1","mcpServers":{"x":{"command":"good"}},"base":"https://a","account_id":"me"}"#;
        let bad = r#"{"refresh_token":"2","mcpServers":{"x":{"command":"bad"},"y":1},"base":"https://b","account_id":"me","hooks":1}"#;
        let expected = r#"{"refresh_token":"2","mcpServers":{"x":{"command":"good"}},"base":"https://a","account_id":"me"}"#;
        assert_eq!(
            compare_logins(Some(bad), Some(old), true),
            LoginSync::WriteBack(expected.to_owned())
        );
        let stranger = bad.replace("\"me\"", "\"somebody\"");
        assert_eq!(
            compare_logins(Some(&stranger), Some(old), true),
            LoginSync::Nothing
        );
        let shaped = old.replace("\"1\"", r#"{"a":1}"#);
        assert_eq!(
            compare_logins(Some(&shaped), Some(old), true),
            LoginSync::Nothing
        );
    }

    #[test]
    fn a_login_is_due_when_its_access_token_ends() {
        let now = 2_000_000_000_000;
        assert!(needs_token_refresh(&claude("1", now - 1), now));
        assert!(needs_token_refresh(&claude("1", now + 60_000), now));
        assert!(!needs_token_refresh(&claude("1", now + 3_600_000), now));
        assert!(needs_token_refresh(&codex(ENDED, ""), now));
        assert!(!needs_token_refresh(&codex(ENDED, ""), 0));
        assert!(!needs_token_refresh(&codex("opaque", ""), now));
        let opencode =
            r#"{"anthropic":{"type":"oauth","refresh":"r","access":"a","expires":1000000000000}}"#;
        assert!(needs_token_refresh(opencode, now));
        let gemini = r#"{"access_token":"a","refresh_token":"r","expiry_date":2000003600000}"#;
        assert!(!needs_token_refresh(gemini, now));
        assert!(
            !needs_token_refresh(r#"{"expires":1}"#, now),
            "it cannot be renewed"
        );
        assert!(!needs_token_refresh("KEY=value", now));
    }
}
