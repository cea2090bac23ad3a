//! Understands complaints that say in words that a limit is used up, and until when.
//!
//! Agent programs have no status and no headers, only sentences for people; some servers put the date of renewal
//! into theirs too. Recognising them is what lets a night's work wait for the next window instead of ending. Only
//! complaints are looked at, never answers. Danger: times are cut to the minute by those who write them and clocks differ,
//! so a time that has just passed means now, not tomorrow; whoever waits asks again and is told off once more at worst.

use std::sync::LazyLock;

use chrono::{
    DateTime, Datelike, Days, FixedOffset, NaiveDate, NaiveTime, TimeDelta, TimeZone, Weekday,
};
use chrono_tz::Tz;
use regex::{Captures, Regex};

use crate::domain::text::tail;

/// The longest wait that is believed: no window is longer than a month.
const LONGEST_MS: i64 = 31 * 24 * 3_600_000;
/// What is added to a time that was cut to the minute, and the least wait where the time has passed, in seconds.
const MINUTE: i64 = 60;
/// How long ago a time of day may be and still be meant; before that it is tomorrow's, in minutes.
const JUST_PASSED: i64 = 10;

/// Sentences that mean a used-up limit, in the words of several programs.
static USED_UP: LazyLock<Option<Regex>> = LazyLock::new(|| {
    expression(
        r"(?ix) \b(usage|session|hour|hourly|daily|weekly|monthly|plan)\ limit\ (has\ been\ )?(reached|exceeded)\b | \b(hit|reached|exceeded)\ your\ ([a-z0-9-]+\ ){0,2}limit\b
          | \bout\ of\ ([a-z]+\ )?usage\b | usage_limit_reached | insufficient_quota | resource_exhausted
          | \bquota\ (is\ |has\ been\ )?(exceeded|exhausted|reached)\b | \bexceeded\ your\ (current\ )?quota\b | \bcredit\ balance\ is\ too\ low\b",
    )
});
/// A moment as seconds since 1970.
static EPOCH: LazyLock<Option<Regex>> =
    LazyLock::new(|| expression(r#"(?i)(?:limit reached\||resets_?at"?\s*[:=]\s*)"?(\d{9,11})\b"#));
/// A number of seconds.
static SECONDS: LazyLock<Option<Regex>> =
    LazyLock::new(|| expression(r#"(?i)resets_in_seconds"?\s*[:=]\s*(\d{1,9})\b"#));
/// A moment with its offset.
static ISO: LazyLock<Option<Regex>> = LazyLock::new(|| {
    expression(
        r"\b(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.\d+)? ?(Z|UTC|GMT|[+-]\d{2}:?\d{2})(?:\b|$)",
    )
});
/// What stands before a duration.
static SPAN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    expression(
        r"(?i)\b(?:resets?|renew(?:s|ed)?|refresh(?:es|ed)?|try again|retry|available(?: again)?|wait|back)\s+(?:in|after|for)\s+(?:about\s+)?(?P<span>[^;()\n]{1,60})",
    )
});
/// One part of a duration, at its beginning.
static PART: LazyLock<Option<Regex>> = LazyLock::new(|| {
    expression(
        r"(?i)^(?:,|and|\s)*(\d{1,6}|an?)(?:\.\d+)?\s*(d|days?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?)(?:[^a-z]|$)",
    )
});
/// A duration as a clock shows it.
static COUNTDOWN: LazyLock<Option<Regex>> =
    LazyLock::new(|| expression(r"^\s*(\d{1,3}):(\d{2})(?::(\d{2}))?(?:\D|$)"));
/// A time of day, with or without a day.
static CLOCK: LazyLock<Option<Regex>> = LazyLock::new(|| {
    expression(
        r"(?ix)\b(?:resets?|renew(?:s|ed)?|refresh(?:es|ed)?|try\ again|retry|available(?:\ again)?|returns?|until)\s+(?:(?:at|on|by)\s+)?
          (?:(?:(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\ (?P<day>\d{1,2})(?:st|nd|rd|th)?(?:,?\ (?P<year>\d{4}))?
             | (?P<date>\d{4}-\d{2}-\d{2}) | (?P<word>today|tomorrow) | (?:next\ )?(?P<weekday>mon|tue|wed|thu|fri|sat|sun)[a-z]*),?\s*(?:at\s+)?)?
          (?:(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2}))?)?\s?(?P<half>[ap])\.?m\b
             | (?P<hour24>\d{1,2}):(?P<minute24>\d{2})(?::(?P<second24>\d{2}))?\b)?
          \s*\(?(?P<zone>[A-Za-z]+/[A-Za-z_]+(?:/[A-Za-z_]+)?|UTC|GMT)?",
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
pub fn is_quota_exhausted(complaint: &str) -> bool {
    USED_UP
        .as_ref()
        .is_some_and(|words| words.is_match(complaint))
}

/// How much of a program's last words is looked at; what it printed before is its work, not a complaint.
pub const QUOTA_MESSAGE_TAIL: usize = 2000;

/// A limit that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExhaustedQuota {
    /// In how many seconds it is renewed, where that is said.
    pub seconds: Option<u64>,
}

/// Returns what a program that failed says about a used-up limit. «rate limit» alone is a hiccup; with a
/// time it is a limit.
pub fn exhausted_quota(last_words: &str, now: DateTime<FixedOffset>) -> Option<ExhaustedQuota> {
    let words = tail(last_words, QUOTA_MESSAGE_TAIL);
    // Rounded up: waking a second too early would only be told off again.
    let seconds = renewal_wait_ms(&words, now).map(|wait| wait.div_ceil(1000));
    let timed = seconds.is_some() && words.to_lowercase().contains("rate limit");
    (is_quota_exhausted(&words) || timed).then_some(ExhaustedQuota { seconds })
}

/// Returns how long to wait until the limit is renewed, in milliseconds, if the complaint says so.
pub fn renewal_wait_ms(complaint: &str, now: DateTime<FixedOffset>) -> Option<u64> {
    let span = after_seconds(complaint).or_else(|| after_span(complaint));
    let moment = || {
        let until = at_epoch(complaint)
            .or_else(|| at_iso(complaint))
            .or_else(|| at_clock(complaint, now))?;
        // A moment that has passed by this machine's clock may be to come by the provider's.
        Some((until - now).max(TimeDelta::seconds(MINUTE)))
    };
    let wait = span
        .or_else(moment)?
        .num_milliseconds()
        .clamp(0, LONGEST_MS);
    u64::try_from(wait).ok()
}

fn find<'t>(pattern: &LazyLock<Option<Regex>>, text: &'t str) -> Option<Captures<'t>> {
    pattern.as_ref()?.captures(text)
}

fn number(captures: &Captures<'_>, group: usize) -> Option<i64> {
    captures.get(group)?.as_str().parse().ok()
}

fn after_seconds(text: &str) -> Option<TimeDelta> {
    TimeDelta::try_seconds(number(&find(&SECONDS, text)?, 1)?)
}

/// Spans are rounded down by those who write them, so one of their smallest unit but at most a minute is added.
fn after_span(text: &str) -> Option<TimeDelta> {
    let span = find(&SPAN, text)?;
    let mut rest = span.name("span")?.as_str();
    if rest.to_lowercase().starts_with("less than a minute") {
        return TimeDelta::try_seconds(MINUTE);
    }
    if let Some(countdown) = find(&COUNTDOWN, rest) {
        let (hours, minutes) = (number(&countdown, 1)?, number(&countdown, 2)?);
        let seconds = number(&countdown, 3);
        let whole = hours * 3600 + minutes * 60 + seconds.unwrap_or(0);
        return TimeDelta::try_seconds(whole + seconds.map_or(MINUTE, |_| 1));
    }
    let (mut sum, mut rounding) = (0, None);
    while let Some(part) = find(&PART, rest) {
        let count = number(&part, 1).unwrap_or(1);
        let unit = part.get(2)?.as_str().to_ascii_lowercase();
        let (seconds, cut) = match unit.as_bytes().first()? {
            b'd' => (86_400, MINUTE),
            b'h' => (3600, MINUTE),
            b'm' => (60, MINUTE),
            _ => (1, 1),
        };
        sum += count * seconds;
        rounding = Some(cut);
        rest = rest.get(part.get(2)?.end()..)?;
    }
    TimeDelta::try_seconds(sum + rounding?)
}

fn at_epoch(text: &str) -> Option<DateTime<FixedOffset>> {
    let at = DateTime::from_timestamp(number(&find(&EPOCH, text)?, 1)?, 0)?;
    Some(at.fixed_offset())
}

fn at_iso(text: &str) -> Option<DateTime<FixedOffset>> {
    let found = find(&ISO, &text.replace(" at ", " "))?
        .iter()
        .skip(1)
        .map(|part| part.map_or("", |part| part.as_str()).to_owned())
        .collect::<Vec<_>>();
    let [day, time, zone] = found.as_slice() else {
        return None;
    };
    let has_seconds = time.len() > 5;
    let time = if has_seconds {
        time.clone()
    } else {
        format!("{time}:00")
    };
    let zone = match zone.as_str() {
        "Z" | "UTC" | "GMT" => "+00:00".to_owned(),
        zone if zone.contains(':') => zone.to_owned(),
        zone => format!("{}:{}", zone.get(..3)?, zone.get(3..)?),
    };
    let at = DateTime::parse_from_rfc3339(&format!("{day}T{time}{zone}")).ok()?;
    at.checked_add_signed(TimeDelta::seconds(if has_seconds { 0 } else { MINUTE }))
}

/// The clock by which a time of day is meant.
enum Clock {
    Offset(FixedOffset),
    Zone(Tz),
}

impl Clock {
    /// The zone that the complaint names, else the machine's own.
    fn named(zone: Option<&str>, now: DateTime<FixedOffset>) -> Self {
        let zone = zone.and_then(|name| name.parse::<Tz>().ok());
        zone.map_or_else(|| Self::Offset(*now.offset()), Self::Zone)
    }

    fn local(&self, now: DateTime<FixedOffset>) -> (NaiveDate, NaiveTime) {
        let naive = match self {
            Self::Offset(offset) => now.with_timezone(offset).naive_local(),
            Self::Zone(zone) => now.with_timezone(zone).naive_local(),
        };
        (naive.date(), naive.time())
    }

    /// An hour that the clocks repeat is the first of the two, one that they leave out the one after it.
    fn moment(&self, date: NaiveDate, time: NaiveTime) -> Option<DateTime<FixedOffset>> {
        let naive = date.and_time(time);
        match self {
            Self::Offset(offset) => offset.from_local_datetime(&naive).earliest(),
            Self::Zone(zone) => {
                let found = zone.from_local_datetime(&naive).earliest();
                let later = || {
                    zone.from_local_datetime(&(naive + TimeDelta::hours(1)))
                        .earliest()
                };
                found.or_else(later).map(|at| at.fixed_offset())
            }
        }
    }
}

fn at_clock(text: &str, now: DateTime<FixedOffset>) -> Option<DateTime<FixedOffset>> {
    let pattern = CLOCK.as_ref()?;
    pattern
        .captures_iter(text)
        .find_map(|found| clock_time(&found, now))
}

fn clock_time(found: &Captures<'_>, now: DateTime<FixedOffset>) -> Option<DateTime<FixedOffset>> {
    let clock = Clock::named(found.name("zone").map(|zone| zone.as_str()), now);
    let (today, at) = clock.local(now);
    let time = time_of_day(found);
    let minute = TimeDelta::seconds(MINUTE);
    let cut = |at: DateTime<FixedOffset>| at.checked_add_signed(minute);
    if let Some(date) = day_of(found, today, at, time.unwrap_or_default())? {
        return cut(clock.moment(date, time.unwrap_or_default())?);
    }
    let time = time?;
    let passed = (at - time).num_minutes();
    // Around midnight a time that has just passed is yesterday's.
    let yesterday = (at - time + TimeDelta::days(1)).num_minutes();
    let date = if (0..=JUST_PASSED).contains(&yesterday) {
        today.pred_opt()?
    } else if passed > JUST_PASSED {
        today.checked_add_days(Days::new(1))?
    } else {
        today
    };
    cut(clock.moment(date, time)?)
}

fn time_of_day(found: &Captures<'_>) -> Option<NaiveTime> {
    let value = |name| found.name(name)?.as_str().parse::<u32>().ok();
    if let Some(hour) = value("hour24") {
        return NaiveTime::from_hms_opt(hour, value("minute24")?, value("second24").unwrap_or(0));
    }
    let afternoon = found.name("half")?.as_str().eq_ignore_ascii_case("p");
    let hour = value("hour")?;
    let hour = (1..=12)
        .contains(&hour)
        .then_some(hour % 12 + if afternoon { 12 } else { 0 })?;
    NaiveTime::from_hms_opt(
        hour,
        value("minute").unwrap_or(0),
        value("second").unwrap_or(0),
    )
}

/// Returns the day that is named, `Some(None)` where none is; `None` = a day that does not exist.
#[expect(clippy::option_option, reason = "no day and no such day are different")]
fn day_of(
    found: &Captures<'_>,
    today: NaiveDate,
    now: NaiveTime,
    time: NaiveTime,
) -> Option<Option<NaiveDate>> {
    let text = |name| {
        found
            .name(name)
            .map(|text| text.as_str().to_ascii_lowercase())
    };
    if let Some(date) = text("date") {
        return date.parse().ok().map(Some);
    }
    if let Some(word) = text("word") {
        return today
            .checked_add_days(Days::new(u64::from(word == "tomorrow")))
            .map(Some);
    }
    if let Some(weekday) = text("weekday") {
        let weekday: Weekday = weekday.parse().ok()?;
        let days = weekday.days_since(today.weekday());
        // The same weekday is today's until it is over.
        let next = days == 0 && (now - time).num_minutes() > JUST_PASSED;
        let days = u64::from(days) + if next { 7 } else { 0 };
        return today.checked_add_days(Days::new(days)).map(Some);
    }
    let Some(month) = text("month") else {
        return Some(None);
    };
    let month = MONTHS.iter().zip(1..).find(|(name, _)| **name == month)?.1;
    let day = text("day")?.parse().ok()?;
    let of = |year| NaiveDate::from_ymd_opt(year, month, day);
    if let Some(year) = text("year") {
        return of(year.parse().ok()?).map(Some);
    }
    // Around New Year a date without a year may belong to the next one; yesterday's is one that has just passed.
    let yesterday = today.pred_opt()?;
    let this = of(today.year()).filter(|date| *date >= yesterday);
    this.or_else(|| of(today.year() + 1)).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The wait in seconds at noon of Friday, 20 November 2026, one hour east of Greenwich.
    fn seconds(complaint: &str) -> Option<u64> {
        seconds_at("2026-11-20T12:00:00+01:00", complaint)
    }

    fn seconds_at(now: &str, complaint: &str) -> Option<u64> {
        let now = DateTime::parse_from_rfc3339(now).unwrap();
        assert!(is_quota_exhausted(complaint), "{complaint}");
        renewal_wait_ms(complaint, now).map(|wait| wait / 1000)
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn every_way_of_saying_until_when_is_understood() {
        let (minute, hour, day) = (60, 3600, 24 * 3600);
        let cases = [
            ("Claude AI usage limit reached|1795174200", 30 * minute),
            ("Claude AI usage limit reached|1700000000", minute),
            (
                r#"{"type":"usage_limit_reached","resets_at":1795174200,"resets_in_seconds":600}"#,
                10 * minute,
            ),
            (
                "You've hit your usage limit. Upgrade or try again in 2 days 17 hours 14 minutes.",
                2 * day + 17 * hour + 15 * minute,
            ),
            (
                "You've hit your usage limit, try again in 5 minutes.",
                6 * minute,
            ),
            (
                "You\u{2019}ve hit your usage limit. Upgrade to Pro (URL) or try again at 1:08 PM.",
                hour + 9 * minute,
            ),
            (
                "You've hit your usage limit, or try again at Nov 21st, 2026 8:19 PM.",
                day + 8 * hour + 20 * minute,
            ),
            (
                "You've hit your session limit · resets 3pm (Europe/Berlin)",
                3 * hour + minute,
            ),
            (
                "out of extra usage · resets 5pm (Europe/Brussels)",
                5 * hour + minute,
            ),
            (
                "5-hour limit reached. Your limit will reset at 11:30am",
                day - 29 * minute,
            ),
            (
                "You've hit your limit - resets Dec 2, 11am (Asia/Seoul)",
                11 * day + 15 * hour + minute,
            ),
            ("weekly limit reached, resets Jan 2, 11am", 31 * day),
            ("You've hit your limit · resets 12am", 12 * hour + minute),
            (
                "usage limit reached, access returns on 2026-12-01 at 00:00 UTC",
                10 * day + 13 * hour + minute,
            ),
            (
                "usage limit reached, resets in 5h 30m",
                5 * hour + 31 * minute,
            ),
            (
                "usage limit reached, resets in 5d 3h",
                5 * day + 3 * hour + minute,
            ),
            (
                "usage limit reached, try again in 2h15m3s",
                2 * hour + 15 * minute + 4,
            ),
            ("quota exceeded. Please retry in 34.07s.", 35),
            ("usage limit reached, resets in 0:30", 31 * minute),
            ("usage limit reached, resets in 1:00:30", hour + 31),
            ("usage limit reached, resets in less than a minute", minute),
            (
                "usage limit reached, try again in about an hour",
                hour + minute,
            ),
            (
                "usage limit reached, try again in 1 day, 2 hours and 3 min",
                day + 2 * hour + 4 * minute,
            ),
            (
                "weekly limit reached, resets Monday at 9am",
                2 * day + 21 * hour + minute,
            ),
            ("weekly limit reached, resets Fri 13:00", hour + minute),
            (
                "weekly limit reached, resets Fri 11:00",
                7 * day - hour + minute,
            ),
            (
                "daily limit reached, resets tomorrow 09:00",
                21 * hour + minute,
            ),
            (
                "daily limit reached, resets at 17:00 UTC",
                6 * hour + minute,
            ),
            (
                "daily limit reached, resets at 2026-11-20T13:00:00Z",
                2 * hour,
            ),
            (
                "daily limit reached, resets at 2026-11-20T13:00:00+01:00",
                hour,
            ),
        ];
        for (complaint, expected) in cases {
            assert_eq!(seconds(complaint), Some(expected), "{complaint}");
        }
        for complaint in [
            "quota exceeded, try again later",
            "RESOURCE_EXHAUSTED: resets Feb 31 at 3pm",
            "limit reached: usage limit reached, resets 27:00",
        ] {
            if is_quota_exhausted(complaint) {
                assert_eq!(seconds(complaint), None, "{complaint}");
            }
        }
    }

    #[test]
    fn a_time_that_has_just_passed_means_now() {
        let limit = |time: &str| format!("You've hit your limit · resets {time}");
        for (now, time, expected) in [
            ("2026-11-29T07:17:25+00:00", "7:17am", 60),
            ("2026-11-29T07:17:25+00:00", "7:17am (UTC)", 60),
            ("2026-11-29T07:26:00+00:00", "7:17am", 60),
            ("2026-11-29T07:30:00+00:00", "7:17am", 24 * 3600 - 12 * 60),
            ("2026-11-30T00:00:20+00:00", "11:59pm", 60),
            ("2026-11-29T07:17:25+00:00", "Nov 29, 7:17am", 60),
            ("2026-11-30T00:00:20+00:00", "Nov 29, 11:59pm", 60),
            ("2026-12-31T23:00:00+00:00", "Jan 1, 1am", 2 * 3600 + 60),
        ] {
            assert_eq!(
                seconds_at(now, &limit(time)),
                Some(expected),
                "{now} {time}"
            );
        }
    }

    #[test]
    fn zones_keep_their_own_summer_time() {
        // Brussels leaves summer time on 25 October 2026 at 01:00 UTC.
        let text = "You've hit your limit · resets Oct 25, 5am (Europe/Brussels)";
        assert_eq!(
            seconds_at("2026-10-24T12:00:00+00:00", text),
            Some(16 * 3600 + 60)
        );
        // 02:30 does not exist in Brussels on 28 March 2027: it is the hour after it.
        let gap = "You've hit your limit · resets Mar 28, 2:30am (Europe/Brussels)";
        assert_eq!(
            seconds_at("2027-03-28T00:00:00+00:00", gap),
            Some(3600 + 30 * 60 + 60)
        );
    }

    #[test]
    fn the_last_words_of_a_program_tell_how_long_to_wait() {
        let now = DateTime::parse_from_rfc3339("2026-11-20T12:00:00+01:00").unwrap();
        let long_ago = format!("usage limit reached{}", "x".repeat(QUOTA_MESSAGE_TAIL));
        for (words, expected) in [
            ("usage limit reached|1795174200", Some(Some(1800))),
            ("Rate limit: try again in 1 min", Some(Some(120))),
            ("quota exceeded", Some(None)),
            ("rate limit, slow down", None),
            (long_ago.as_str(), None),
        ] {
            let expected = expected.map(|seconds| ExhaustedQuota { seconds });
            assert_eq!(exhausted_quota(words, now), expected, "{words}");
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
            assert!(!is_quota_exhausted(complaint), "{complaint}");
        }
    }
}
