//! What the redactor finds, what it leaves alone, and that pieces make no difference.

use proptest::prelude::*;

use super::*;

fn redactor() -> Redactor {
    Redactor::new(["hunter2hunter2".to_owned(), "p@ss w0rd+/\"x\"".to_owned()])
}

fn streamed(redactor: &Redactor, text: &[u8], piece: usize) -> Vec<u8> {
    let mut stream = redactor.stream();
    let mut out = Vec::new();
    for part in text.chunks(piece) {
        out.extend(stream.push(part));
    }
    out.extend(stream.finish());
    out
}

#[test]
fn a_known_value_is_removed_plain_and_encoded() {
    for (text, clean) in [
        ("x hunter2hunter2 y", "x [redacted] y"),
        ("aHVudGVyMmh1bnRlcjI=", "[redacted]I="),
        ("68756e7465723268756e74657232", "[redacted]"),
        ("q=p%40ss%20w0rd%2B%2F%22x%22&z", "q=[redacted]&z"),
        (r#"{"a":"p@ss w0rd+/\"x\""}"#, r#"{"a":"[redacted]"}"#),
    ] {
        assert_eq!(redactor().clean(text), clean);
    }
}

#[test]
fn base64_is_found_wherever_the_value_begins_in_its_group() {
    // `a:`, `ab:` and `abc:` before the value shift it through all three places.
    for text in [
        "YTpodW50ZXIyaHVudGVyMg==",
        "YWI6aHVudGVyMmh1bnRlcjI=",
        "YWJjOmh1bnRlcjJodW50ZXIy",
    ] {
        let clean = redactor().clean(text);
        assert!(clean.contains(MARK) && clean.len() < 20, "{clean}");
    }
}

#[test]
fn well_known_token_shapes_are_removed() {
    for (text, clean) in [
        ("k=sk-ant-api03-AbCdEfGhIjKlMnOpQrSt", "k=[redacted]"),
        ("sk-proj-0123456789abcdefghij.", "[redacted]."),
        ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "[redacted]"),
        ("github_pat_11ABCDEFG0123456789_abcdefghij", "[redacted]"),
        ("id AKIAIOSFODNN7EXAMPLE,", "id [redacted],"),
        ("xoxb-1234567890-abcdefghij", "[redacted]"),
        ("AIzaSyA0123456789012345678901234567890", "[redacted]"),
        (
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl!",
            "[redacted]!",
        ),
        (
            "Authorization: Bearer abcdef123456",
            "Authorization: Bearer [redacted]",
        ),
        (
            "authorization: Basic dXNlcjpwYXNz",
            "authorization: Basic [redacted]",
        ),
        (
            r#"{"x-api-key": "abcdefgh1"}"#,
            r#"{"x-api-key": "[redacted]"}"#,
        ),
        (
            "curl https://me:s3cret@host/x",
            "curl https://me:[redacted]@host/x",
        ),
        (r"a\nsk-0123456789abcdefABCDEF\n", r"a\n[redacted]\n"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIabc+/=\nxyz\n-----END RSA PRIVATE KEY-----\nok",
            "[redacted]\nok",
        ),
        ("-----BEGIN PRIVATE KEY-----\nMIIabc", "[redacted]"),
    ] {
        assert_eq!(Redactor::default().clean(text), clean, "{text}");
    }
}

#[test]
fn harmless_text_stays_as_it_is() {
    for text in [
        "task-management-of-very-long-names is sk-learn-compatible-estimators",
        "the bearer of bad news; Bearer authentication; bearer internationalization",
        "-----BEGIN CERTIFICATE-----\nMIIabc\n-----END CERTIFICATE-----",
        "https://example.org:8080/a@b and http://user@host/",
        "AKIA is a prefix; AKIAIOSFODNN7EXAMPLEXX is too long",
        "eyJ alone, a.b.c, 合計: 12 平均: 3",
        "npm_config_registry ghp_short hf_model",
        "commit 68756e7465723268756e746572aa",
        "[redacted]",
    ] {
        assert_eq!(redactor().clean(text), text);
    }
}

#[test]
fn a_secret_cut_by_a_read_is_still_found() {
    let text = b"one hunter2hunter2 two\nsk-ant-api03-AbCdEfGhIjKlMnOpQrSt\n-----BEGIN PRIVATE KEY-----\nabc\ndef\n-----END PRIVATE KEY-----\nend";
    let whole = redactor().clean_bytes(text).into_owned();
    for piece in 1..40 {
        assert_eq!(streamed(&redactor(), text, piece), whole, "{piece}");
    }
}

#[test]
fn a_secret_on_a_line_longer_than_the_window_is_found() {
    let mut text = vec![b' '; 70_000];
    text.extend(b"hunter2hunter2");
    text.extend(vec![b'.'; 70_000]);
    text.extend(b" sk-0123456789abcdefghijABCDEF");
    let whole = redactor().clean_bytes(&text).into_owned();
    for piece in [1000, 4096, 65_536, 65_540] {
        assert_eq!(streamed(&redactor(), &text, piece), whole);
    }
}

#[test]
fn a_secret_longer_than_the_window_is_dropped_to_its_end() {
    let mut text = b"sk-A1".to_vec();
    text.extend(vec![b'a'; 300_000]);
    text.extend(b" after\n");
    assert_eq!(streamed(&redactor(), &text, 8192), b"[redacted] after\n");
}

#[test]
fn names_tell_which_variables_hold_secrets() {
    for name in [
        "OPENAI_API_KEY",
        "GITHUB_TOKEN",
        "PGPASSWORD",
        "aws_secret_access_key",
        "SENTRY_DSN",
    ] {
        assert!(is_secret_name(name), "{name}");
    }
    for name in [
        "PATH",
        "HOME",
        "MAX_TOKENS",
        "KEYBOARD",
        "TOS_TOKEN",
        "SSH_KEY_PATH",
        "SSH_AUTH_SOCK",
        "XAUTHORITY",
        "COMPASS",
    ] {
        assert!(!is_secret_name(name), "{name}");
    }
}

#[test]
fn only_variables_with_secret_names_become_values() {
    let redactor = Redactor::from_environment([("A_TOKEN", "abcdef-1"), ("HOME", "/home/me")]);
    assert_eq!(redactor.clean("abcdef-1 /home/me"), "[redacted] /home/me");
    let switch = Redactor::from_environment([("FEATURE_KEY", "enabled")]);
    assert_eq!(switch.clean("enabled"), "enabled");
}

#[test]
fn a_value_that_would_match_the_mark_is_ignored() {
    assert_eq!(
        Redactor::new(["redacted".into()]).clean("redacted"),
        "redacted"
    );
}

fn pieces() -> impl Strategy<Value = String> {
    let secret = prop_oneof![
        Just("hunter2hunter2".to_owned()),
        Just("sk-ant-api03-AbCdEfGhIjKlMnOpQrSt".to_owned()),
        Just("Authorization: Bearer ".to_owned()),
        Just("://u:".to_owned()),
        Just("-----BEGIN PRIVATE KEY-----\n".to_owned()),
        Just("-----END PRIVATE KEY-----".to_owned()),
        Just(MARK.to_owned()),
        Just("eyJhbGciOiJIUzI1NiJ9.".to_owned()),
        Just("AKIAIOSFODNN7EXAMPLE".to_owned()),
        "[a-zA-Z0-9_ .@:\n-]{0,12}",
        "\\PC{0,4}",
    ];
    prop::collection::vec(secret, 0..10).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn cleaning_twice_changes_nothing(text in pieces()) {
        let once = redactor().clean(&text);
        prop_assert_eq!(redactor().clean(&once), once);
    }

    #[test]
    fn a_stream_says_what_the_whole_text_says(text in pieces(), piece in 1_usize..50) {
        let whole = redactor().clean_bytes(text.as_bytes()).into_owned();
        prop_assert_eq!(streamed(&redactor(), text.as_bytes(), piece), whole);
    }

    #[test]
    fn plain_words_are_never_touched(text in "([a-z]{1,14}[ ,.\n]){0,30}") {
        prop_assert_eq!(redactor().clean(&text), text);
    }
}

/// The text in the encodings that programs of Windows write.
fn wide_forms(text: &str) -> [Vec<u8>; 4] {
    [
        text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        text.chars()
            .flat_map(|c| u32::from(c).to_le_bytes())
            .collect(),
        text.chars()
            .flat_map(|c| u32::from(c).to_be_bytes())
            .collect(),
    ]
}

#[test]
fn secrets_in_wide_text_are_removed_and_the_text_stays_wide() {
    let token = format!("ghp_{}", "0123456789abcdefghijABCDEFGHIJ012345");
    for (text, clean) in [
        ("x hunter2hunter2 y".to_owned(), "x [redacted] y"),
        ("hunter2hunter2".to_owned(), "[redacted]"),
        (format!("a {token}"), "a [redacted]"),
        (format!("key={token}\r\nb"), "key=[redacted]\r\nb"),
    ] {
        for (dirty, clean) in wide_forms(&text).iter().zip(wide_forms(clean)) {
            assert_eq!(redactor().clean_bytes(dirty).into_owned(), clean, "{text}");
            for piece in [1, 3, 7, 4096] {
                assert_eq!(streamed(&redactor(), dirty, piece), clean, "{text} {piece}");
            }
        }
    }
}

#[test]
fn wide_words_that_only_resemble_tokens_stay() {
    let text = format!("ta{}{}", "sk-", "0123456789abcdefghijABCDEFGHIJ0123456789");
    for form in wide_forms(&text) {
        assert_eq!(redactor().clean_bytes(&form).into_owned(), form);
    }
}

#[test]
fn a_value_of_other_letters_is_found_in_wide_text() {
    let redactor = Redactor::new(["пароль-пароль".to_owned()]);
    for form in wide_forms("a пароль-пароль b").iter().take(2) {
        let clean = redactor.clean_bytes(form).into_owned();
        assert!(clean.len() < form.len(), "{clean:?}");
    }
}
