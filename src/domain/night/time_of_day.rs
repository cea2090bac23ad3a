//! How long it is until a time of day.

use chrono::{Days, NaiveTime};

use crate::domain::time::Timestamp;

/// Returns the seconds until the next time the clock shows `HH:MM`; `None` where that is no time of day.
pub fn seconds_until(text: &str, now: Timestamp) -> Option<u64> {
    let time = NaiveTime::parse_from_str(text.trim(), "%H:%M").ok()?;
    let today = now.date_naive();
    let day = if time > now.time() {
        today
    } else {
        today.checked_add_days(Days::new(1))?
    };
    let then = day
        .and_time(time)
        .and_local_timezone(*now.offset())
        .single()?;
    u64::try_from((then - now).num_seconds()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_past_today_is_tomorrows() {
        let now = chrono::DateTime::parse_from_rfc3339("2026-11-20T22:00:00+01:00").unwrap();
        assert_eq!(seconds_until("23:30", now), Some(5400));
        assert_eq!(seconds_until("07:00", now), Some(9 * 3600));
        assert_eq!(seconds_until("22:00", now), Some(24 * 3600));
        assert_eq!(seconds_until("25:00", now), None);
    }
}
