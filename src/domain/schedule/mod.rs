//! Schedules: which run is due. Pure: schedules, what was done before and the time go in, a decision comes out.
//!
//! A cron expression is read in the zone of its schedule, as Vixie cron does it over changes of the clock: a fixed time
//! (`30 2 * * *`) that the clock leaps over comes right after the gap, one that comes twice comes once; a repeated one
//! (`*/15 * * * *`) keeps its pace through both hours. Each slot is handled once, whatever the clock does.

mod cron;
mod renewal;
pub mod unit;

use chrono_tz::{TZ_VARIANTS, Tz};
use serde::{Deserialize, Serialize};

pub use cron::CronExpression;
pub use renewal::quota_renewal_time;

use crate::domain::time::Timestamp;

/// A slot that is handled later than this, in seconds, was missed: nothing was there to run it.
pub const MISSED_AFTER_SEC: i64 = 600;

/// How long after a quota ran out it is tried again where nobody says when it is renewed, in seconds.
pub const QUOTA_RETRY_SEC: i64 = 3600;

/// A zone of the world's clocks.
pub type Zone = Tz;

/// The zone of schedules that name none.
pub const DEFAULT_ZONE: Zone = Tz::UTC;

/// Returns the names of all zones.
pub fn zone_names() -> Vec<&'static str> {
    TZ_VARIANTS.iter().map(|zone| zone.name()).collect()
}

/// One schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// When.
    pub when: Trigger,
    /// The zone of its times.
    pub zone: Tz,
    /// What becomes of slots nobody was there for.
    pub missed: MissedPolicy,
    /// What is run.
    pub target: ScheduleTarget,
    /// Further words for the command.
    pub args: Vec<String>,
}

/// When a schedule is due.
#[derive(Debug, Clone, PartialEq)]
pub enum Trigger {
    /// At the times of an expression.
    Cron(Box<CronExpression>),
    /// When the quota that stopped its last run is renewed.
    QuotaRenewed,
}

/// What becomes of slots that nobody was there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissedPolicy {
    /// One run makes up for all of them.
    Once,
    /// They are left out.
    Never,
}

impl MissedPolicy {
    /// Returns its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Never => "never",
        }
    }
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScheduleTarget {
    /// The job of the root, in a mode.
    Job(String),
    /// A plan.
    Plan(String),
    /// A list of tasks.
    Tasks(String),
    /// A night.
    Night(String),
}

impl ScheduleTarget {
    /// Returns the key and the value of it in the file.
    pub fn key_and_value(&self) -> (&'static str, &str) {
        match self {
            Self::Job(mode) => ("job", mode),
            Self::Plan(file) => ("plan", file),
            Self::Tasks(file) => ("tasks", file),
            Self::Night(file) => ("night", file),
        }
    }
}

impl Schedule {
    /// Returns the words of the command it runs, without the program.
    pub fn command_args(&self) -> Vec<String> {
        let (first, last): (&[&str], &str) = match &self.target {
            ScheduleTarget::Job(mode) => (&["--mode"], mode),
            ScheduleTarget::Plan(file) => (&["plan", "run"], file),
            ScheduleTarget::Tasks(file) => (&["task", "run"], file),
            // What a quota has stopped is gone on with.
            ScheduleTarget::Night(_) if self.when == Trigger::QuotaRenewed => {
                (&["night"], "resume")
            }
            ScheduleTarget::Night(file) => (&["night", "start"], file),
        };
        first
            .iter()
            .copied()
            .chain([last])
            .map(str::to_owned)
            .chain(self.args.iter().cloned())
            .collect()
    }
}

/// What is on record of one slot of a schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduledRunRecord {
    /// The slot it is for; for the first sight of a schedule, when it was seen.
    pub slot: Timestamp,
    /// When this was written.
    pub at: Timestamp,
    /// What became of it.
    pub what: ScheduledRunEvent,
    /// How many further slots it stands for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missed: u32,
    /// The exit code, where the run has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The log of the run, relative to the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// Why, where there is more to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What became of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduledRunEvent {
    /// The schedule was seen for the first time; slots before are none of its own.
    Seen,
    /// Its run began.
    Started,
    /// Its run ended.
    Ended,
    /// Its run could not begin.
    Failed,
    /// The run before was still going.
    Overlap,
    /// Nobody was there in time, and missed slots are left out.
    Missed,
}

/// What to do about a schedule now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DueAction {
    /// Nothing; `next` is when something is to be done, where that is known.
    NotYet {
        /// The next slot.
        next: Option<Timestamp>,
    },
    /// Write down that it was seen.
    FirstSight,
    /// Run it for this slot.
    Run {
        /// The slot.
        slot: Timestamp,
        /// How many earlier slots this run makes up for.
        missed: u32,
    },
    /// Leave this slot, and those before it, out.
    Skip {
        /// The newest of them.
        slot: Timestamp,
        /// How many there are before it.
        missed: u32,
    },
}

/// At most so many missed slots are counted.
const COUNTED: u32 = 1000;

/// Says what is due. `records` are those of this schedule, oldest first; `renewal` is when the quota that stopped its last
/// run is renewed, where it was stopped by one.
pub fn due(
    schedule: &Schedule,
    records: &[ScheduledRunRecord],
    now: Timestamp,
    renewal: Option<Timestamp>,
) -> DueAction {
    match &schedule.when {
        Trigger::Cron(expression) => due_by_time(schedule, expression, records, now),
        Trigger::QuotaRenewed => due_by_quota(records, now, renewal),
    }
}

fn due_by_time(
    schedule: &Schedule,
    expression: &CronExpression,
    records: &[ScheduledRunRecord],
    now: Timestamp,
) -> DueAction {
    // The newest slot, not the newest record: a clock that was set back must not bring a slot back.
    let Some(handled) = records.iter().map(|record| record.slot).max() else {
        return DueAction::FirstSight;
    };
    let mut slots = expression.after(handled, schedule.zone);
    let Some(mut slot) = slots.next().filter(|slot| *slot <= now) else {
        let next = expression.after(handled.max(now), schedule.zone).next();
        return DueAction::NotYet { next };
    };
    let mut missed = 0;
    for later in slots.take_while(|later| *later <= now) {
        slot = later;
        missed += 1;
        if missed >= COUNTED {
            // Whoever was away for so long is told «at least»; the newest slot is found from the other end.
            slot = expression.newest(now, schedule.zone).unwrap_or(slot);
            break;
        }
    }
    let late = now.signed_duration_since(slot).num_seconds();
    if schedule.missed == MissedPolicy::Never && late > MISSED_AFTER_SEC {
        return DueAction::Skip { slot, missed };
    }
    // With `never`, slots before the punctual one are simply gone.
    DueAction::Run { slot, missed }
}

fn due_by_quota(
    records: &[ScheduledRunRecord],
    now: Timestamp,
    renewal: Option<Timestamp>,
) -> DueAction {
    let Some(renewal) = renewal else {
        return if records.is_empty() {
            DueAction::FirstSight
        } else {
            DueAction::NotYet { next: None }
        };
    };
    let is_handled = records
        .iter()
        .any(|record| record.what != ScheduledRunEvent::Seen && record.slot >= renewal);
    if is_handled {
        return DueAction::NotYet { next: None };
    }
    if renewal > now {
        return DueAction::NotYet {
            next: Some(renewal),
        };
    }
    DueAction::Run {
        slot: renewal,
        missed: 0,
    }
}

#[cfg(test)]
mod tests;
