//! The token of programs, the one-time codes of `tos open`, the sessions of browsers.
//!
//! A session is signed with the token and not kept: it outlives a restart of the service and ends with the token, or when
//! its browser signs out. A code is good for one sign-in within two minutes. Comparisons take the same time whatever is
//! wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use crate::domain::{
    board::Millis,
    hash::{constant_time_eq, digest, hex, hmac_sha256},
    ledger::chain::sha256,
};

/// How long a code is good.
pub(in crate::interfaces::http) const CODE_LIFE: Millis = 120_000;
/// How long a browser stays signed in.
pub(in crate::interfaces::http) const SESSION_LIFE: Millis = 30 * 24 * 3_600_000;
/// How many codes there may be at once; the oldest goes.
const CODES: usize = 16;
/// How many ended sessions are remembered; a session that is forgotten ends by its time.
const ENDED: usize = 4096;
/// Letters of codes: none looks like another.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
/// Letters in a code.
const CODE_LENGTH: usize = 12;

/// Knows who may ask.
#[derive(Debug)]
pub(in crate::interfaces::http) struct Authenticator {
    token: [u8; 32],
    key: Vec<u8>,
    cookie: String,
    /// Digest of a code, and until when it is good.
    codes: Mutex<BTreeMap<[u8; 32], Millis>>,
    ended: Mutex<BTreeSet<String>>,
}

impl Authenticator {
    pub(in crate::interfaces::http) fn new(token: &str) -> Self {
        let digest = sha256(format!("cookie of {token}").as_bytes());
        Self {
            token: self::digest(token.as_bytes()),
            key: token.as_bytes().to_vec(),
            // Browsers do not tell ports apart: two services on one machine need two names.
            cookie: format!("tos_{}", digest.get(..8).unwrap_or_default()),
            codes: Mutex::default(),
            ended: Mutex::default(),
        }
    }

    /// Returns the name of the cookie.
    pub(in crate::interfaces::http) fn cookie(&self) -> &str {
        &self.cookie
    }

    /// Returns whether this is the token.
    pub(in crate::interfaces::http) fn is_token(&self, text: &str) -> bool {
        !text.is_empty() && constant_time_eq(&digest(text.as_bytes()), &self.token)
    }

    /// Makes a code out of a secret.
    pub(in crate::interfaces::http) fn new_code(&self, secret: &str, now: Millis) -> String {
        let code: String = digest(secret.as_bytes())
            .iter()
            .take(CODE_LENGTH)
            .filter_map(|byte| LETTERS.get(usize::from(byte % 32)))
            .map(|letter| char::from(*letter))
            .collect();
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|_, until| *until > now);
        while codes.len() >= CODES {
            let oldest = codes.iter().min_by_key(|(_, until)| **until);
            let Some(oldest) = oldest.map(|(code, _)| *code) else {
                break;
            };
            codes.remove(&oldest);
        }
        codes.insert(digest(code.as_bytes()), now + CODE_LIFE);
        code
    }

    /// Uses a code up; says whether it was good.
    pub(in crate::interfaces::http) fn use_code(&self, code: &str, now: Millis) -> bool {
        let code = code.trim().to_lowercase().replace(['-', ' '], "");
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes
            .remove(&digest(code.as_bytes()))
            .is_some_and(|until| until > now)
    }

    /// Makes the value of a cookie out of a secret.
    pub(in crate::interfaces::http) fn new_session(&self, secret: &str, now: Millis) -> String {
        let nonce = sha256(secret.as_bytes());
        let said = format!(
            "{}.{}",
            now + SESSION_LIFE,
            nonce.get(..24).unwrap_or_default()
        );
        let signed = self.sign(&said);
        format!("{said}.{signed}")
    }

    /// Returns whether the value of a cookie is a session that has not ended.
    pub(in crate::interfaces::http) fn is_session(&self, value: &str, now: Millis) -> bool {
        let Some((said, signed)) = value.rsplit_once('.') else {
            return false;
        };
        let until = said.split('.').next().and_then(|until| until.parse().ok());
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        constant_time_eq(
            &digest(signed.as_bytes()),
            &digest(self.sign(said).as_bytes()),
        ) && until.is_some_and(|until: Millis| until > now)
            && !ended.contains(value)
    }

    /// Ends a session.
    pub(in crate::interfaces::http) fn end_session(&self, value: &str, now: Millis) {
        if !self.is_session(value, now) {
            return;
        }
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        // The first one runs out first: the values begin with their time.
        while ended.len() >= ENDED {
            ended.pop_first();
        }
        ended.insert(value.to_owned());
    }

    /// HMAC with SHA-256, in hexadecimal digits.
    fn sign(&self, text: &str) -> String {
        hex(&hmac_sha256(&self.key, text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_good_once_and_for_two_minutes() {
        let known = Authenticator::new("token");
        let code = known.new_code("secret", 1000);
        assert_eq!(code.len(), CODE_LENGTH);
        assert!(!known.use_code("abcdefghjkmn", 1000));
        let typed = format!(" {}-{} ", code[..6].to_uppercase(), &code[6..]);
        assert!(known.use_code(&typed, 1000));
        assert!(!known.use_code(&code, 1000));
        let late = known.new_code("other", 1000);
        assert!(!known.use_code(&late, 1000 + CODE_LIFE));
        for number in 0..100 {
            known.new_code(&number.to_string(), 2000 + number);
        }
        assert!(known.codes.lock().unwrap().len() <= CODES);
    }

    #[test]
    fn a_session_ends_by_time_by_signing_out_and_with_the_token() {
        let known = Authenticator::new("token");
        let session = known.new_session("secret", 1000);
        assert!(known.is_session(&session, 2000));
        assert!(!known.is_session(&session, 1001 + SESSION_LIFE));
        assert!(!Authenticator::new("other").is_session(&session, 2000));
        let longer = session.replacen("259200", "959200", 1);
        assert!(longer != session && !known.is_session(&longer, 2000));
        assert!(!known.is_session("", 0) && !known.is_session("...", 0));
        known.end_session(&session, 2000);
        assert!(!known.is_session(&session, 2000));
    }

    #[test]
    fn the_token_is_taken_whole() {
        let known = Authenticator::new("token");
        assert!(known.is_token("token"));
        for wrong in ["", "toke", "token ", "tokenx"] {
            assert!(!known.is_token(wrong), "{wrong}");
        }
        assert!(!Authenticator::new("").is_token(""));
    }
}
