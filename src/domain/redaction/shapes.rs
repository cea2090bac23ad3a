//! The shapes of well-known tokens, and names of variables that hold secrets.
//!
//! Every shape is narrow on purpose: a redactor that eats harmless text makes logs useless and gets
//! switched off. A body that reads like hyphenated words is not a token.

use std::ops::Range;

/// Bytes that a shape can begin with.
pub(super) const FIRST_BYTES: &[u8] = b"sgAxerpnhb-:aX";

/// What the characters behind a prefix are made of.
#[derive(Clone, Copy)]
enum TokenBody {
    /// Letters and digits.
    Alnum,
    /// Capitals and digits.
    Upper,
    /// Letters, digits, `_` and `-`.
    Token,
}

impl TokenBody {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Token => is_token(byte),
        }
    }
}

/// A prefix, what follows it, and how long that is at least.
struct TokenShape(&'static [u8], TokenBody, usize);

const SHAPES: &[TokenShape] = &[
    TokenShape(b"sk-", TokenBody::Token, 16),
    TokenShape(b"sk_live_", TokenBody::Alnum, 16),
    TokenShape(b"sk_test_", TokenBody::Alnum, 16),
    TokenShape(b"rk_live_", TokenBody::Alnum, 16),
    TokenShape(b"ghp_", TokenBody::Alnum, 20),
    TokenShape(b"gho_", TokenBody::Alnum, 20),
    TokenShape(b"ghu_", TokenBody::Alnum, 20),
    TokenShape(b"ghs_", TokenBody::Alnum, 20),
    TokenShape(b"ghr_", TokenBody::Alnum, 20),
    TokenShape(b"github_pat_", TokenBody::Token, 22),
    TokenShape(b"glpat-", TokenBody::Token, 20),
    TokenShape(b"AKIA", TokenBody::Upper, 16),
    TokenShape(b"ASIA", TokenBody::Upper, 16),
    TokenShape(b"xoxa-", TokenBody::Token, 10),
    TokenShape(b"xoxb-", TokenBody::Token, 10),
    TokenShape(b"xoxp-", TokenBody::Token, 10),
    TokenShape(b"xoxr-", TokenBody::Token, 10),
    TokenShape(b"xoxs-", TokenBody::Token, 10),
    TokenShape(b"xapp-", TokenBody::Token, 16),
    TokenShape(b"AIza", TokenBody::Token, 30),
    TokenShape(b"npm_", TokenBody::Alnum, 30),
    TokenShape(b"pypi-", TokenBody::Token, 40),
    TokenShape(b"hf_", TokenBody::Alnum, 30),
];

/// Headers whose value is a secret, in small letters.
const HEADERS: &[&[u8]] = &[
    b"authorization:",
    b"authorization\":",
    b"x-api-key:",
    b"x-api-key\":",
    b"api-key:",
];

/// Name parts that mark a variable as secret.
const SECRET_PARTS: &[&str] = &[
    "KEY",
    "APIKEY",
    "SECRET",
    "SECRETS",
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "PASS",
    "PASSPHRASE",
    "PAT",
    "CREDENTIAL",
    "CREDENTIALS",
    "DSN",
    "COOKIE",
    "AUTH",
    "PRIVATE",
];
/// Name endings that mark a variable as secret even without an underscore before them.
const SECRET_ENDINGS: &[&str] = &["APIKEY", "TOKEN", "SECRET", "PASSWORD", "ACCESSKEY"];
/// Last name parts that say the value is a place or a number, not the secret itself.
const PLACES: &[&str] = &["PATH", "FILE", "DIR", "SOCK", "URL", "COUNT", "LIMIT", "ID"];

/// Tells whether a variable of this name is taken to hold a secret; tos's own marker is not one.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    if name.starts_with("TOS_TOKEN") {
        return false;
    }
    let parts: Vec<&str> = name.split(['_', '-', '.']).collect();
    let is_place = parts.last().is_some_and(|last| PLACES.contains(last));
    let marked = parts.iter().any(|part| SECRET_PARTS.contains(part));
    let ends = SECRET_ENDINGS.iter().any(|end| name.ends_with(end));
    (marked || ends) && !is_place
}

/// Tells whether a token may begin here: behind anything but a letter, a digit or `_`.
pub(super) fn is_boundary(bytes: &[u8], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|i| bytes.get(i)).copied();
    match before(1) {
        None => true,
        // `\n` inside a JSON string ends a line although its last character is a letter.
        Some(b'n' | b'r' | b't') if before(2) == Some(b'\\') => true,
        Some(byte) => !(byte.is_ascii_alphanumeric() || byte == b'_'),
    }
}

/// Returns the secret that begins at or shortly behind `at`.
pub(super) fn token_at(bytes: &[u8], at: usize, boundary: bool) -> Option<Range<usize>> {
    let rest = bytes.get(at..)?;
    let found = match rest.first()? {
        b'-' => pem(rest),
        b':' => url_password(rest),
        _ if !boundary => None,
        _ => prefixed(rest)
            .or_else(|| jwt(rest))
            .or_else(|| header(rest))
            .or_else(|| bearer(rest)),
    };
    found.map(|span| at + span.start..at + span.end)
}

fn prefixed(rest: &[u8]) -> Option<Range<usize>> {
    SHAPES.iter().find_map(|TokenShape(prefix, body, least)| {
        let tail = rest.strip_prefix(*prefix)?;
        let length = run(tail, |byte| body.has(byte));
        let token = tail.get(..length)?;
        let whole = !matches!(body, TokenBody::Upper) || length == *least;
        (length >= *least && whole && !reads_like_words(token)).then(|| 0..prefix.len() + length)
    })
}

/// Three base64url parts with dots between, the first being a JSON object.
fn jwt(rest: &[u8]) -> Option<Range<usize>> {
    rest.strip_prefix(b"eyJ")?;
    let head = run(rest, is_token);
    let body = run(after_dot(rest, head)?, is_token);
    let sign = run(after_dot(rest, head + 1 + body)?, is_token);
    (head >= 10 && body >= 10).then_some(0..head + body + sign + 2)
}

fn after_dot(rest: &[u8], at: usize) -> Option<&[u8]> {
    rest.get(at..)?.strip_prefix(b".")
}

/// `Authorization: <scheme> <secret>` and the like; only the secret goes.
fn header(rest: &[u8]) -> Option<Range<usize>> {
    let name = HEADERS
        .iter()
        .find(|name| begins_ignoring_case(rest, name))?;
    let mut at = name.len();
    at += run(rest.get(at..)?, |byte| b" \t\"'".contains(&byte));
    for scheme in [b"bearer ".as_slice(), b"basic ", b"token "] {
        if begins_ignoring_case(rest.get(at..)?, scheme) {
            at += scheme.len();
            at += run(rest.get(at..)?, |byte| byte == b' ');
        }
    }
    let length = run(rest.get(at..)?, is_credential);
    (length >= 8).then_some(at..at + length)
}

fn bearer(rest: &[u8]) -> Option<Range<usize>> {
    const WORD: &[u8] = b"bearer ";
    if !begins_ignoring_case(rest, WORD) {
        return None;
    }
    let token = rest.get(WORD.len()..)?;
    let length = run(token, is_credential);
    let plain = token.get(..length)?.iter().all(u8::is_ascii_alphabetic);
    (length >= 16 && !plain && !reads_like_words(token.get(..length)?))
        .then_some(WORD.len()..WORD.len() + length)
}

/// The password of `scheme://user:password@host`; `rest` begins at the first colon.
fn url_password(rest: &[u8]) -> Option<Range<usize>> {
    let user = rest.strip_prefix(b"://")?;
    let name = run(user, is_user_info);
    let start = 3 + name + 1;
    user.get(name..)?.strip_prefix(b":")?;
    let length = run(rest.get(start..)?, is_user_info);
    let closed = rest.get(start + length) == Some(&b'@');
    (closed && length > 0).then_some(start..start + length)
}

/// A private key block with its armour; where the end is missing, as far as it looks like one.
fn pem(rest: &[u8]) -> Option<Range<usize>> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    let label = rest.strip_prefix(BEGIN)?;
    let kind = run(label, is_label);
    let named = label.get(..kind)?.ends_with(b"PRIVATE KEY");
    if !named || !label.get(kind..)?.starts_with(b"-----") {
        return None;
    }
    let start = BEGIN.len() + kind + 5;
    Some(0..start + pem_body(rest.get(start..)?))
}

/// How long the lines of a key block are, the end mark included.
fn pem_body(body: &[u8]) -> usize {
    const END: &[u8] = b"-----END ";
    let mut at = 0;
    loop {
        // A line end may be written `\n` inside a JSON string.
        let rest = body.get(at..).unwrap_or_default();
        let gap = run(rest, |byte| b"\r\n".contains(&byte)) + run_of_escapes(rest);
        let rest = rest.get(gap..).unwrap_or_default();
        if rest.is_empty() {
            return body.len();
        }
        if let Some(mark) = rest.strip_prefix(END) {
            let label = run(mark, is_label);
            let dashes = run(mark.get(label..).unwrap_or_default(), |byte| byte == b'-');
            return at + gap + END.len() + label + dashes.min(5);
        }
        let length = run(rest, |byte| !b"\r\n\\\"".contains(&byte));
        let line = rest.get(..length).unwrap_or_default();
        let cut = length == rest.len() && (END.starts_with(line) || is_key_line_begun(line));
        if length == 0 || !(is_key_line(line) || cut) {
            return at;
        }
        at += gap + length;
    }
}

fn run_of_escapes(rest: &[u8]) -> usize {
    let pairs = rest.chunks(2);
    let escapes = pairs.take_while(|pair| *pair == b"\\n" || *pair == b"\\r");
    2 * escapes.count()
}

/// The two headers that an encrypted key block carries.
const KEY_HEADERS: [&[u8]; 2] = [b"Proc-Type:", b"DEK-Info:"];

fn is_key_line(line: &[u8]) -> bool {
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    run(line, base64) == line.len() || KEY_HEADERS.iter().any(|head| line.starts_with(head))
}

fn is_key_line_begun(line: &[u8]) -> bool {
    KEY_HEADERS.iter().any(|head| head.starts_with(line))
}

fn is_label(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte == b' '
}

/// Words joined by hyphens, as in a package name: no digit, no capital, no part longer than a word.
fn reads_like_words(token: &[u8]) -> bool {
    let word = |part: &[u8]| part.len() <= 14 && part.iter().all(u8::is_ascii_lowercase);
    token.split(|byte| b"-_".contains(byte)).all(word)
}

fn run(bytes: &[u8], is_part: impl Fn(u8) -> bool) -> usize {
    bytes
        .iter()
        .position(|byte| !is_part(*byte))
        .unwrap_or(bytes.len())
}

fn begins_ignoring_case(bytes: &[u8], small: &[u8]) -> bool {
    bytes
        .get(..small.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(small))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn is_credential(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._~+/=-".contains(&byte)
}

fn is_user_info(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._~+=-%!*&,;".contains(&byte)
}
