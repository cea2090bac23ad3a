//! `tos schedule run-due` and `run`: from what is due to a run with a record.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::{Desk, edit::seen, trouble};
use crate::{
    domain::{
        notification::{Event, Notification},
        schedule::{Due, Record, Schedule, What, due},
        time::Timestamp,
    },
    interfaces::cli::{
        exit::{Exit, Trouble},
        kit,
    },
    ports::schedules::Error,
};

/// How long the end of a run waits for notifications that nobody has tried to deliver yet.
const SETTLE: Duration = Duration::from_secs(5);

fn record(what: What, slot: Timestamp, at: Timestamp) -> Record {
    Record {
        at,
        what,
        ..seen(slot)
    }
}

/// Starts everything that is due.
pub(super) fn run_due(wait: bool, desk: &Desk<'_>) -> Result<Exit, Trouble> {
    let lock = match desk.store.lock() {
        Ok(lock) => lock,
        Err(Error::Busy(holder)) => {
            desk.printer
                .note(&format!("another tos is deciding what is due: {holder}"));
            return Ok(Exit::Success);
        }
        Err(error) => return Err(trouble(error)),
    };
    let all = desk.schedules()?;
    let now = desk.now();
    let (mut started, mut document, mut exit) = (Vec::new(), Vec::new(), Exit::Success);
    for schedule in &all {
        let records = desk.records(&schedule.name)?;
        let decision = due(schedule, &records, now, desk.renewal(schedule));
        let word = match decision {
            Due::NotYet { .. } => continue,
            Due::FirstSight => {
                append(desk, schedule, &seen(now))?;
                continue;
            }
            Due::Skip { slot, missed } => {
                let record = Record {
                    missed,
                    ..record(What::Missed, slot, now)
                };
                append(desk, schedule, &record)?;
                "left out: nobody was there in time".to_owned()
            }
            Due::Run { slot, missed } => match begin(desk, schedule, slot, missed, now, wait)? {
                Begun::Started => {
                    started.push((schedule, slot));
                    "started".to_owned()
                }
                Begun::Overlap(holder) => format!("skipped: the run before still goes ({holder})"),
                Begun::Failed(why) => {
                    exit = Exit::NotDone;
                    format!("could not begin: {why}")
                }
            },
        };
        desk.printer.line(&format!("{}: {word}", schedule.name));
        document.push(json!({ "name": schedule.name, "what": word }));
    }
    drop(lock);
    if wait {
        for (schedule, slot) in started {
            let ended = carry_out(desk, schedule, slot)?;
            if ended != 0 {
                exit = Exit::NotDone;
            }
            desk.printer
                .line(&format!("{}: ended with {ended}", schedule.name));
        }
    }
    desk.printer.document(&json!({ "due": document }));
    Ok(exit)
}

fn append(desk: &Desk<'_>, schedule: &Schedule, record: &Record) -> Result<(), Trouble> {
    desk.store.append(&schedule.name, record).map_err(trouble)
}

enum Begun {
    Started,
    /// Who holds the lock.
    Overlap(String),
    Failed(String),
}

/// Starts one run beside this process, or only writes down that it is due where the caller carries it out itself.
fn begin(
    desk: &Desk<'_>,
    schedule: &Schedule,
    slot: Timestamp,
    missed: u32,
    now: Timestamp,
    wait: bool,
) -> Result<Begun, Trouble> {
    match desk.store.lock_run(&schedule.name) {
        Ok(free) => drop(free),
        Err(Error::Busy(holder)) => {
            let skipped = Record {
                missed,
                why: holder.clone(),
                ..record(What::Overlap, slot, now)
            };
            append(desk, schedule, &skipped)?;
            return Ok(Begun::Overlap(holder));
        }
        Err(error) => return Err(trouble(error)),
    }
    // Before the start: whatever happens then, this slot is not started twice.
    let begun = Record {
        missed,
        ..record(What::Started, slot, now)
    };
    append(desk, schedule, &begun)?;
    if wait {
        return Ok(Begun::Started);
    }
    let words = ["schedule", "run", &schedule.name, "--slot"].map(str::to_owned);
    let words: Vec<String> = words.into_iter().chain([slot.to_rfc3339()]).collect();
    match desk.store.detach(&words) {
        Ok(()) => Ok(Begun::Started),
        Err(error) => {
            failed(desk, schedule, slot, &error.to_string())?;
            Ok(Begun::Failed(error.to_string()))
        }
    }
}

/// Runs one schedule in the foreground.
pub(super) fn run(name: &str, slot: Option<&str>, desk: &Desk<'_>) -> Result<Exit, Trouble> {
    let schedule = desk.schedule(name)?;
    let slot = match slot {
        Some(text) => Timestamp::parse_from_rfc3339(text)
            .map_err(|_| Trouble::usage("`--slot` wants a time like 2026-11-29T02:00:00+01:00"))?,
        None => desk.now(),
    };
    let code = carry_out(desk, &schedule, slot)?;
    desk.printer.line(&format!("{name}: ended with {code}"));
    let records = desk.records(name)?;
    desk.printer.document(&json!({
        "name": name,
        "exit_code": code,
        "log": records.last().and_then(|record| record.log.clone()),
    }));
    Ok(if code == 0 {
        Exit::Success
    } else {
        Exit::NotDone
    })
}

/// Runs one schedule to its end: lock, record, log, record, notification.
fn carry_out(desk: &Desk<'_>, schedule: &Schedule, slot: Timestamp) -> Result<i32, Trouble> {
    let name = &schedule.name;
    let _lock = match desk.store.lock_run(name) {
        Ok(lock) => lock,
        Err(Error::Busy(holder)) => {
            let skipped = Record {
                why: holder.clone(),
                ..record(What::Overlap, slot, desk.now())
            };
            append(desk, schedule, &skipped)?;
            return Err(Trouble::NotDone(format!(
                "the run of `{name}` before still goes ({holder}); this one is skipped"
            )));
        }
        Err(error) => return Err(trouble(error)),
    };
    let log = match desk.store.log(name, slot) {
        Ok(log) => log,
        Err(error) => {
            failed(desk, schedule, slot, &error.to_string())?;
            return Err(trouble(error));
        }
    };
    let begun = Record {
        log: Some(log.clone()),
        ..record(What::Started, slot, desk.now())
    };
    append(desk, schedule, &begun)?;
    let code = match desk.store.run(&schedule.words(), &log) {
        Ok(code) => code,
        Err(error) => {
            failed(desk, schedule, slot, &error.to_string())?;
            return Err(trouble(error));
        }
    };
    let ended = Record {
        exit_code: Some(code),
        log: Some(log.clone()),
        ..record(What::Ended, slot, desk.now())
    };
    append(desk, schedule, &ended)?;
    if code != 0 {
        let text = format!(
            "tos {} ended with {code} ({})\nlog: {log}",
            schedule.words().join(" "),
            meaning(code)
        );
        tell(desk, schedule, slot, &text);
    }
    Ok(code)
}

fn failed(desk: &Desk<'_>, schedule: &Schedule, slot: Timestamp, why: &str) -> Result<(), Trouble> {
    let record = Record {
        why: why.to_owned(),
        ..record(What::Failed, slot, desk.now())
    };
    append(desk, schedule, &record)?;
    tell(desk, schedule, slot, why);
    Ok(())
}

const fn meaning(code: i32) -> &'static str {
    match code {
        1 => "it did not reach its goal",
        2 => "the input is wrong; nothing ran",
        3 => "something failed or was skipped",
        4 => "it was cancelled",
        5 => "a budget, a quota or the autonomy level refused",
        _ => "see the log",
    }
}

/// Tells people that a scheduled run failed. Whatever comes of it, the record stands.
fn tell(desk: &Desk<'_>, schedule: &Schedule, slot: Timestamp, text: &str) {
    let name = &schedule.name;
    let title = format!(
        "schedule `{name}` of {} failed",
        slot.with_timezone(&schedule.zone)
            .format("%Y-%m-%d %H:%M %Z")
    );
    let notification = Notification::new(Event::ScheduleFailed, title, "")
        .text(text)
        .next(format!("tos schedule show {name}"));
    let tellers = match desk.kit.told_of(&desk.kit.root(desk.global)) {
        Ok(tellers) => tellers,
        Err(trouble) => return desk.printer.alert(&format!("warning: {trouble}")),
    };
    for warning in &tellers.warnings {
        desk.printer.alert(&format!("warning: {warning}"));
    }
    let notifications = Arc::clone(&tellers.notifications);
    notifications.send(notification);
    let told = kit::block_on(desk.kit, move |_| {
        Box::pin(async move { notifications.settle(SETTLE).await })
    });
    for line in told.map(|told| told.failed).unwrap_or_default() {
        desk.printer.alert(&format!("warning: {line}"));
    }
}
