//! Understands complaints that say in words that a limit is used up, and until when.
//!
//! Agent programs have no status and no headers, only sentences for people; some servers put the date of renewal
//! into theirs too. Recognising them is what lets a night's
//! work wait for the next window instead of ending. Only complaints are looked at, never answers.

use std::sync::LazyLock;

use chrono::{DateTime, Datelike, Days, FixedOffset, NaiveDate, NaiveTime, TimeDelta};
use regex::{Captures, Regex};

/// The longest wait that is believed: no window is longer than a month.
const LONGEST_MS: i64 = 31 * 24 * 3_600_000;

/// Sentences that mean a used-up limit, in the words of several programs.
static USED_UP: LazyLock<Option<Regex>> = LazyLock::new(|| {
    expression(
        r"(?ix) \b(usage|session|hour|hourly|daily|weekly|monthly|plan)\ limit\ (has\ been\ )?reached\b | \bhit\ your\ ([a-z0-9-]+\ )?limit\b
          | usage_limit_reached | insufficient_quota | resource_exhausted
          | \bquota\ (is\ )?(exceeded|exhausted|reached)\b | \bcredit\ balance\ is\ too\ low\b",
    )
});
/// A moment as seconds since 1970.
static EPOCH: LazyLock<Option<Regex>> =
    LazyLock::new(|| expression(r#"(?i)(?:limit reached\||resets_at"?\s*[:=]\s*)(\d{9,11})\b"#));
/// A number of seconds.
static SECONDS: LazyLock<Option<Regex>> =
    LazyLock::new(|| expression(r#"(?i)resets_in_seconds"?\s*[:=]\s*(\d{1,9})\b"#));
/// A moment in universal time.
static UNIVERSAL: LazyLock<Option<Regex>> =
    LazyLock::new(|| expression(r"\b(\d{4}-\d{2}-\d{2}) at (\d{2}:\d{2}) UTC\b"));
/// A duration in words.
static SPAN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    expression(
        r"(?i)try again in (?:(\d{1,3}) days?)?[ ,]*(?:(\d{1,3}) hours?)?[ ,]*(?:(\d{1,4}) min)?",
    )
});
/// A time of day, with or without a day, on the clock of this machine.
static CLOCK: LazyLock<Option<Regex>> = LazyLock::new(|| {
    expression(
        r"(?ix)\b(?:resets?|try\ again)\ (?:at\ )?
          (?:(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\ (?P<day>\d{1,2})(?:st|nd|rd|th)?
             ,?\ (?:(?P<year>\d{4}),?\ )?(?:at\ )?)?
          (?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?\ ?(?P<half>[ap])m\b",
    )
});

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// The expressions are constants and the tests use each one.
fn expression(pattern: &str) -> Option<Regex> {
    Regex::new(pattern).ok()
}

/// Returns whether a complaint means that a limit is used up.
pub fn is_used_up(complaint: &str) -> bool {
    USED_UP
        .as_ref()
        .is_some_and(|words| words.is_match(complaint))
}

/// How much of a program's last words is looked at; what it printed before is its work, not a complaint.
const LAST_WORDS: usize = 2000;

/// A limit that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedUp {
    /// In how many seconds it is renewed, where that is said.
    pub seconds: Option<u64>,
}

/// Returns what a program that failed says about a used-up limit. «rate limit» alone is a hiccup; with a
/// time it is a limit.
pub fn used_up(last_words: &str, now: DateTime<FixedOffset>) -> Option<UsedUp> {
    let skip = last_words.chars().count().saturating_sub(LAST_WORDS);
    let words: String = last_words.chars().skip(skip).collect();
    // Rounded up: waking a second too early would only be told off again.
    let seconds = wait(&words, now).map(|wait| wait.div_ceil(1000));
    let timed = seconds.is_some() && words.to_lowercase().contains("rate limit");
    (is_used_up(&words) || timed).then_some(UsedUp { seconds })
}

/// Returns how long to wait until the limit is renewed, in milliseconds, if the complaint says so.
pub fn wait(complaint: &str, now: DateTime<FixedOffset>) -> Option<u64> {
    let until = after_seconds(complaint, now)
        .or_else(|| at_epoch(complaint, now))
        .or_else(|| at_universal(complaint))
        .or_else(|| after_span(complaint, now))
        .or_else(|| at_clock(complaint, now))?;
    let wait = (until - now).num_milliseconds().clamp(0, LONGEST_MS);
    u64::try_from(wait).ok()
}

fn find<'t>(pattern: &LazyLock<Option<Regex>>, text: &'t str) -> Option<Captures<'t>> {
    pattern.as_ref()?.captures(text)
}

fn number(captures: &Captures<'_>, group: usize) -> Option<i64> {
    captures.get(group)?.as_str().parse().ok()
}

fn after_seconds(text: &str, now: DateTime<FixedOffset>) -> Option<DateTime<FixedOffset>> {
    let seconds = number(&find(&SECONDS, text)?, 1)?;
    now.checked_add_signed(TimeDelta::try_seconds(seconds)?)
}

fn at_epoch(text: &str, now: DateTime<FixedOffset>) -> Option<DateTime<FixedOffset>> {
    let at = DateTime::from_timestamp(number(&find(&EPOCH, text)?, 1)?, 0)?;
    Some(at.with_timezone(now.offset()))
}

fn at_universal(text: &str) -> Option<DateTime<FixedOffset>> {
    let found = find(&UNIVERSAL, text)?;
    let (day, time) = (found.get(1)?.as_str(), found.get(2)?.as_str());
    DateTime::parse_from_rfc3339(&format!("{day}T{time}:00Z")).ok()
}

/// Spans are rounded down by those who write them, so a minute is added.
fn after_span(text: &str, now: DateTime<FixedOffset>) -> Option<DateTime<FixedOffset>> {
    let span = find(&SPAN, text)?;
    let parts = [1, 2, 3].map(|group| number(&span, group));
    if parts.iter().all(Option::is_none) {
        return None;
    }
    let [days, hours, minutes] = parts.map(|part| part.unwrap_or(0));
    let minutes = (days * 24 + hours) * 60 + minutes + 1;
    now.checked_add_signed(TimeDelta::try_minutes(minutes)?)
}

fn at_clock(text: &str, now: DateTime<FixedOffset>) -> Option<DateTime<FixedOffset>> {
    let clock = find(&CLOCK, text)?;
    let value = |name| clock.name(name)?.as_str().parse::<u32>().ok();
    let afternoon = clock.name("half")?.as_str().eq_ignore_ascii_case("p");
    let hour = value("hour")? % 12 + if afternoon { 12 } else { 0 };
    let time = NaiveTime::from_hms_opt(hour, value("minute").unwrap_or(0), 0)?;
    let today = now.date_naive();
    let Some(month) = clock.name("month") else {
        let next = if time > now.time() {
            today
        } else {
            today.checked_add_days(Days::new(1))?
        };
        return local(next, time, now);
    };
    let month = month.as_str().to_lowercase();
    let month = MONTHS.iter().zip(1..).find(|(name, _)| **name == month)?.1;
    let year = clock
        .name("year")
        .and_then(|year| year.as_str().parse().ok());
    let day = |year| NaiveDate::from_ymd_opt(year, month, value("day")?);
    let date = match year {
        Some(year) => day(year)?,
        // Around New Year a date without a year may belong to the next one.
        None => day(now.year())
            .filter(|day| *day >= today)
            .or_else(|| day(now.year() + 1))?,
    };
    local(date, time, now)
}

fn local(
    date: NaiveDate,
    time: NaiveTime,
    now: DateTime<FixedOffset>,
) -> Option<DateTime<FixedOffset>> {
    date.and_time(time)
        .and_local_timezone(*now.offset())
        .single()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The wait in minutes at noon of 20 November 2026, one hour east of Greenwich.
    fn minutes(complaint: &str) -> Option<u64> {
        let now = DateTime::parse_from_rfc3339("2026-11-20T12:00:00+01:00").unwrap();
        assert!(is_used_up(complaint), "{complaint}");
        wait(complaint, now).map(|wait| wait / 60_000)
    }

    #[test]
    fn every_way_of_saying_until_when_is_understood() {
        let day = 24 * 60;
        let cases = [
            ("Claude AI usage limit reached|1795174200", Some(30)),
            ("Claude AI usage limit reached|1700000000", Some(0)),
            (
                r#"{"type":"usage_limit_reached","resets_at":1795174200,"resets_in_seconds":600}"#,
                Some(10),
            ),
            (
                "You've hit your usage limit. Upgrade or try again in 2 days 17 hours 14 minutes.",
                Some(2 * day + 17 * 60 + 15),
            ),
            (
                "You've hit your usage limit, try again in 5 minutes.",
                Some(6),
            ),
            (
                "You've hit your usage limit, or try again at Nov 21st, 2026 8:19 PM.",
                Some(day + 8 * 60 + 19),
            ),
            (
                "You've hit your session limit · resets 3pm (Europe/Berlin)",
                Some(3 * 60),
            ),
            (
                "5-hour limit reached. Your limit will reset at 11:30am",
                Some(day - 30),
            ),
            (
                "You've hit your limit - resets Dec 2, 11am (Asia/Seoul)",
                Some(12 * day - 60),
            ),
            ("weekly limit reached, resets Jan 2, 11am", Some(31 * day)),
            ("You've hit your limit · resets 12am", Some(12 * 60)),
            (
                "usage limit reached, access returns on 2026-12-01 at 00:00 UTC",
                Some(10 * day + 13 * 60),
            ),
            ("quota exceeded, try again later", None),
            ("RESOURCE_EXHAUSTED: resets Feb 31 at 3pm", None),
        ];
        for (complaint, expected) in cases {
            assert_eq!(minutes(complaint), expected, "{complaint}");
        }
    }

    #[test]
    fn the_last_words_of_a_program_tell_how_long_to_wait() {
        let now = DateTime::parse_from_rfc3339("2026-11-20T12:00:00+01:00").unwrap();
        let long_ago = format!("usage limit reached{}", "x".repeat(LAST_WORDS));
        for (words, expected) in [
            ("usage limit reached|1795174200", Some(Some(1800))),
            ("Rate limit: try again in 1 min", Some(Some(120))),
            ("quota exceeded", Some(None)),
            ("rate limit, slow down", None),
            (long_ago.as_str(), None),
        ] {
            let expected = expected.map(|seconds| UsedUp { seconds });
            assert_eq!(used_up(words, now), expected, "{words}");
        }
    }

    #[test]
    fn other_complaints_are_no_used_up_limit() {
        for complaint in [
            "rate limit exceeded",
            "context limit reached",
            "invalid API key",
            "",
            "socket hang up",
        ] {
            assert!(!is_used_up(complaint), "{complaint}");
        }
    }
}
