//! A cron expression of five fields, or `@daily` and its like, in a zone.

use std::fmt;

use chrono::{DateTime, Duration};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

use crate::domain::time::Timestamp;

/// A cron expression that was understood and has at least one time to come.
#[derive(Clone, PartialEq)]
pub struct CronExpression {
    text: String,
    cron: Cron,
}

impl fmt::Debug for CronExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CronExpression").field(&self.text).finish()
    }
}

impl CronExpression {
    /// Reads one; the error is a sentence with what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields = text.split_whitespace().count();
        if !text.trim_start().starts_with('@') && fields != 5 {
            return Err(format!(
                "a cron expression has five fields (minute hour day-of-month month day-of-week), `{text}` has {fields}"
            ));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(text.trim()).map_err(|error| {
            let why = error.to_string();
            let why = why.trim_end_matches('.');
            format!(
                "`{text}` is no cron expression: {why}; e.g. `30 2 * * mon-fri` is 02:30 from Monday to Friday"
            )
        })?;
        let expression = Self {
            text: text.trim().to_owned(),
            cron,
        };
        let some_day = DateTime::UNIX_EPOCH.with_timezone(&Tz::UTC);
        if expression
            .cron
            .find_next_occurrence(&some_day, false)
            .is_err()
        {
            return Err(format!("`{text}` never comes: there is no such day"));
        }
        Ok(expression)
    }

    /// Returns the text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns every time after `start`, in order, each once.
    pub fn after(&self, start: Timestamp, zone: Tz) -> impl Iterator<Item = Timestamp> + use<'_> {
        let mut last = start.with_timezone(&zone);
        std::iter::from_fn(move || {
            let next = self.cron.find_next_occurrence(&last, false).ok()?;
            // Whatever a change of the clock does to wall times, time goes on.
            if next <= last {
                return None;
            }
            last = next;
            Some(next.fixed_offset())
        })
    }

    /// Returns the newest time that is not after `now`.
    pub fn newest(&self, now: Timestamp, zone: Tz) -> Option<Timestamp> {
        let mut back = Duration::hours(1);
        while back < Duration::days(366 * 9) {
            let found = self
                .after(now - back, zone)
                .take_while(|slot| *slot <= now)
                .last();
            if found.is_some() {
                return found;
            }
            back = back * 4;
        }
        None
    }
}
