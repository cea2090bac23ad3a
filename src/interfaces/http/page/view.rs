//! Who looks at a page, and at which: language, path, time.

use std::{convert::Infallible, fmt::Display};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Uri, header, request::Parts},
};
use maud::{Markup, html};

use crate::{
    domain::board::Millis,
    interfaces::http::{api::wire::time, security::guard::cookie, state::HttpState},
};

use super::words::japanese;

/// The name of the cookie that keeps the choice of language.
pub(super) const LANGUAGE_COOKIE: &str = "tos_lang";

/// The language of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::interfaces::http) enum Lang {
    En,
    Ja,
}

/// What a page has to know of its reader.
#[derive(Debug, Clone)]
pub(in crate::interfaces::http) struct PageContext {
    pub(super) lang: Lang,
    /// The path that was asked for.
    pub(super) path: String,
    pub(super) now: Millis,
}

impl PageContext {
    /// Reads it from a request.
    pub(in crate::interfaces::http) fn of(
        service: &HttpState,
        headers: &HeaderMap,
        uri: &Uri,
    ) -> Self {
        let chosen = match cookie(headers, LANGUAGE_COOKIE) {
            Some("ja") => Some(Lang::Ja),
            Some("en") => Some(Lang::En),
            _ => None,
        };
        let accepted = headers.get(header::ACCEPT_LANGUAGE);
        let accepted = accepted.and_then(|value| value.to_str().ok()).unwrap_or("");
        Self {
            lang: chosen.unwrap_or_else(|| preferred(accepted)),
            path: uri.path().to_owned(),
            now: service.now(),
        }
    }

    /// Says something in the reader's language.
    pub(super) fn t(&self, english: &'static str) -> &'static str {
        match self.lang {
            Lang::En => english,
            Lang::Ja => japanese(english).unwrap_or(english),
        }
    }

    /// Says a word of the board, as `awaiting_judge`, in the reader's language.
    pub(super) fn word(&self, word: &str) -> String {
        match self.lang {
            Lang::Ja => japanese(word).map_or_else(|| word.replace('_', " "), str::to_owned),
            Lang::En => word.replace('_', " "),
        }
    }

    /// A number with the word for what it counts.
    pub(super) fn counted<N: Copy + PartialEq + From<u8> + Display>(
        &self,
        count: N,
        one: &'static str,
        more: &'static str,
    ) -> String {
        let word = if count == N::from(1) { one } else { more };
        format!("{count} {}", self.t(word))
    }

    /// A moment; the script of the page shows it in the reader's zone.
    #[expect(clippy::unused_self, reason = "called in templates as all the others")]
    pub(super) fn moment(&self, at: Millis) -> Markup {
        let exact = time(at);
        let shown = exact.get(..19).unwrap_or(&exact).replace('T', " ");
        html! { time datetime=(exact) { (shown) " UTC" } }
    }

    /// How long it is until a moment; the script of the page counts on.
    pub(super) fn until(&self, at: Millis) -> Markup {
        let left = format_duration(at.saturating_sub(self.now));
        html! { time datetime=(time(at)) data-until=(at) { (left) } }
    }

    /// How long ago a moment was.
    pub(super) fn ago(&self, at: Millis) -> Markup {
        let passed = format_duration(self.now.saturating_sub(at));
        html! { time datetime=(time(at)) data-since=(at) { (passed) } }
    }
}

impl FromRequestParts<HttpState> for PageContext {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &HttpState,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self::of(service, &parts.headers, &parts.uri))
    }
}

/// Returns the first language of a list that the page speaks.
fn preferred(accepted: &str) -> Lang {
    let mut best = (Lang::En, 0_u32);
    for entry in accepted.split(',') {
        let (tag, rest) = entry.split_once(';').unwrap_or((entry, ""));
        let quality = rest.trim().strip_prefix("q=").unwrap_or("1");
        let quality = quality.parse::<f32>().unwrap_or(0.0).clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between 0 and 1000"
        )]
        let quality = (quality * 1000.0) as u32;
        let lang = match tag.trim().to_lowercase().split('-').next() {
            Some("ja") => Lang::Ja,
            Some("en") => Lang::En,
            _ => continue,
        };
        if quality > best.1 {
            best = (lang, quality);
        }
    }
    best.0
}

/// Writes a length of time in its two largest units.
pub(super) fn format_duration(ms: Millis) -> String {
    let seconds = ms.div_ceil(1000);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    if days > 0 {
        format!("{days} d {hours} h")
    } else if hours > 0 {
        format!("{hours} h {minutes} min")
    } else if minutes > 0 {
        format!("{minutes} min {} s", seconds % 60)
    } else {
        format!("{seconds} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_language_that_the_page_speaks_is_taken() {
        for (accepted, lang) in [
            ("", Lang::En),
            ("ja", Lang::Ja),
            ("ja-JP,ja;q=0.9,en;q=0.8", Lang::Ja),
            ("en-US,en;q=0.9,ja;q=0.8", Lang::En),
            ("de,fr;q=0.9", Lang::En),
            ("de,ja;q=0.1", Lang::Ja),
            ("ja;q=0", Lang::En),
            ("ja;q=x, en;q=0.5", Lang::En),
        ] {
            assert_eq!(preferred(accepted), lang, "{accepted}");
        }
    }

    #[test]
    fn one_thing_is_not_counted_as_many() {
        let view = |lang| PageContext {
            lang,
            path: String::new(),
            now: 0,
        };
        let said = |lang, count: u64| view(lang).counted(count, "call", "calls");
        assert_eq!(said(Lang::En, 0), "0 calls");
        assert_eq!(said(Lang::En, 1), "1 call");
        assert_eq!(said(Lang::Ja, 1), "1 回の呼び出し");
    }

    #[test]
    fn lengths_of_time_have_two_units() {
        assert_eq!(format_duration(0), "0 s");
        assert_eq!(format_duration(1), "1 s");
        assert_eq!(format_duration(61_000), "1 min 1 s");
        assert_eq!(format_duration(3_660_000), "1 h 1 min");
        assert_eq!(format_duration(90_000_000), "1 d 1 h");
    }
}
