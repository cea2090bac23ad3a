//! `tos schedule run-due` and `run`: from what is due to a run with a record.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::{ScheduleCommands, edit::first_seen_record, trouble};
use crate::{
    domain::{
        notify::{Notification, NotificationEvent},
        schedule::{DueAction, Schedule, ScheduledRunEvent, ScheduledRunRecord, due},
        time::Timestamp,
    },
    interfaces::cli::{
        exit::{CliError, CliExit},
        services,
    },
    ports::schedules::Error,
};

/// How long the end of a run waits for notifications that nobody has tried to deliver yet.
const SETTLE: Duration = Duration::from_secs(5);

fn record(what: ScheduledRunEvent, slot: Timestamp, at: Timestamp) -> ScheduledRunRecord {
    ScheduledRunRecord {
        at,
        what,
        ..first_seen_record(slot)
    }
}

/// Starts everything that is due.
pub(super) fn run_due(
    wait: bool,
    task_services: &ScheduleCommands<'_>,
) -> Result<CliExit, CliError> {
    let lock = match task_services.store.lock() {
        Ok(lock) => lock,
        Err(Error::Busy(holder)) => {
            task_services
                .printer
                .note(&format!("another tos is deciding what is due: {holder}"));
            return Ok(CliExit::Success);
        }
        Err(error) => return Err(trouble(error)),
    };
    let all = task_services.schedules()?;
    let now = task_services.now();
    let (mut started, mut document, mut exit) = (Vec::new(), Vec::new(), CliExit::Success);
    for schedule in &all {
        let records = task_services.records(&schedule.name)?;
        let decision = due(schedule, &records, now, task_services.renewal(schedule));
        let word = match decision {
            DueAction::NotYet { .. } => continue,
            DueAction::FirstSight => {
                append(task_services, schedule, &first_seen_record(now))?;
                continue;
            }
            DueAction::Skip { slot, missed } => {
                let record = ScheduledRunRecord {
                    missed,
                    ..record(ScheduledRunEvent::Missed, slot, now)
                };
                append(task_services, schedule, &record)?;
                "left out: nobody was there in time".to_owned()
            }
            DueAction::Run { slot, missed } => {
                match begin(task_services, schedule, slot, missed, now, wait)? {
                    Begun::Started => {
                        started.push((schedule, slot));
                        "started".to_owned()
                    }
                    Begun::Overlap(holder) => {
                        format!("skipped: the run before still goes ({holder})")
                    }
                    Begun::Failed(why) => {
                        exit = CliExit::NotDone;
                        format!("could not begin: {why}")
                    }
                }
            }
        };
        task_services
            .printer
            .line(&format!("{}: {word}", schedule.name));
        document.push(json!({ "name": schedule.name, "what": word }));
    }
    drop(lock);
    if wait {
        for (schedule, slot) in started {
            let ended = carry_out(task_services, schedule, slot)?;
            if ended != 0 {
                exit = CliExit::NotDone;
            }
            task_services
                .printer
                .line(&format!("{}: ended with {ended}", schedule.name));
        }
    }
    task_services.printer.document(&json!({ "due": document }));
    Ok(exit)
}

fn append(
    task_services: &ScheduleCommands<'_>,
    schedule: &Schedule,
    record: &ScheduledRunRecord,
) -> Result<(), CliError> {
    task_services
        .store
        .append(&schedule.name, record)
        .map_err(trouble)
}

enum Begun {
    Started,
    /// Who holds the lock.
    Overlap(String),
    Failed(String),
}

/// Starts one run beside this process, or only writes down that it is due where the caller carries it out itself.
fn begin(
    task_services: &ScheduleCommands<'_>,
    schedule: &Schedule,
    slot: Timestamp,
    missed: u32,
    now: Timestamp,
    wait: bool,
) -> Result<Begun, CliError> {
    match task_services.store.lock_run(&schedule.name) {
        Ok(free) => drop(free),
        Err(Error::Busy(holder)) => {
            let skipped = ScheduledRunRecord {
                missed,
                why: holder.clone(),
                ..record(ScheduledRunEvent::Overlap, slot, now)
            };
            append(task_services, schedule, &skipped)?;
            return Ok(Begun::Overlap(holder));
        }
        Err(error) => return Err(trouble(error)),
    }
    // Before the start: whatever happens then, this slot is not started twice.
    let begun = ScheduledRunRecord {
        missed,
        ..record(ScheduledRunEvent::Started, slot, now)
    };
    append(task_services, schedule, &begun)?;
    if wait {
        return Ok(Begun::Started);
    }
    let words = ["schedule", "run", &schedule.name, "--slot"].map(str::to_owned);
    let words: Vec<String> = words.into_iter().chain([slot.to_rfc3339()]).collect();
    match task_services.store.detach(&words) {
        Ok(()) => Ok(Begun::Started),
        Err(error) => {
            failed(task_services, schedule, slot, &error.to_string())?;
            Ok(Begun::Failed(error.to_string()))
        }
    }
}

/// Runs one schedule in the foreground.
pub(super) fn run(
    name: &str,
    slot: Option<&str>,
    task_services: &ScheduleCommands<'_>,
) -> Result<CliExit, CliError> {
    let schedule = task_services.schedule(name)?;
    let slot = match slot {
        Some(text) => Timestamp::parse_from_rfc3339(text)
            .map_err(|_| CliError::usage("`--slot` wants a time like 2026-11-29T02:00:00+01:00"))?,
        None => task_services.now(),
    };
    let code = carry_out(task_services, &schedule, slot)?;
    task_services
        .printer
        .line(&format!("{name}: ended with {code}"));
    let records = task_services.records(name)?;
    task_services.printer.document(&json!({
        "name": name,
        "exit_code": code,
        "log": records.last().and_then(|record| record.log.clone()),
    }));
    Ok(if code == 0 {
        CliExit::Success
    } else {
        CliExit::NotDone
    })
}

/// Runs one schedule to its end: lock, record, log, record, notification.
fn carry_out(
    task_services: &ScheduleCommands<'_>,
    schedule: &Schedule,
    slot: Timestamp,
) -> Result<i32, CliError> {
    let name = &schedule.name;
    let _lock = match task_services.store.lock_run(name) {
        Ok(lock) => lock,
        Err(Error::Busy(holder)) => {
            let skipped = ScheduledRunRecord {
                why: holder.clone(),
                ..record(ScheduledRunEvent::Overlap, slot, task_services.now())
            };
            append(task_services, schedule, &skipped)?;
            return Err(CliError::NotDone(format!(
                "the run of `{name}` before still goes ({holder}); this one is skipped"
            )));
        }
        Err(error) => return Err(trouble(error)),
    };
    let log = match task_services.store.prepare_log(name, slot) {
        Ok(log) => log,
        Err(error) => {
            failed(task_services, schedule, slot, &error.to_string())?;
            return Err(trouble(error));
        }
    };
    let begun = ScheduledRunRecord {
        log: Some(log.clone()),
        ..record(ScheduledRunEvent::Started, slot, task_services.now())
    };
    append(task_services, schedule, &begun)?;
    let code = match task_services.store.run(&schedule.command_args(), &log) {
        Ok(code) => code,
        Err(error) => {
            failed(task_services, schedule, slot, &error.to_string())?;
            return Err(trouble(error));
        }
    };
    let ended = ScheduledRunRecord {
        exit_code: Some(code),
        log: Some(log.clone()),
        ..record(ScheduledRunEvent::Ended, slot, task_services.now())
    };
    append(task_services, schedule, &ended)?;
    if code != 0 {
        let text = format!(
            "tos {} ended with {code} ({})\nlog: {log}",
            schedule.command_args().join(" "),
            meaning(code)
        );
        tell(task_services, schedule, slot, &text);
    }
    Ok(code)
}

fn failed(
    task_services: &ScheduleCommands<'_>,
    schedule: &Schedule,
    slot: Timestamp,
    why: &str,
) -> Result<(), CliError> {
    let record = ScheduledRunRecord {
        why: why.to_owned(),
        ..record(ScheduledRunEvent::Failed, slot, task_services.now())
    };
    append(task_services, schedule, &record)?;
    tell(task_services, schedule, slot, why);
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
fn tell(task_services: &ScheduleCommands<'_>, schedule: &Schedule, slot: Timestamp, text: &str) {
    let name = &schedule.name;
    let title = format!(
        "schedule `{name}` of {} failed",
        slot.with_timezone(&schedule.zone)
            .format("%Y-%m-%d %H:%M %Z")
    );
    let notification = Notification::new(NotificationEvent::ScheduleFailed, title, "")
        .text(text)
        .next_command(format!("tos schedule show {name}"));
    let tellers = match task_services
        .services
        .event_notifiers(&task_services.services.root(task_services.global))
    {
        Ok(tellers) => tellers,
        Err(trouble) => return task_services.printer.alert(&format!("warning: {trouble}")),
    };
    for warning in &tellers.warnings {
        task_services.printer.alert(&format!("warning: {warning}"));
    }
    let notifications = Arc::clone(&tellers.notifications);
    notifications.send(notification);
    let told = services::block_on(task_services.services, move |_| {
        Box::pin(async move { notifications.flush(SETTLE).await })
    });
    for line in told.map(|told| told.failed).unwrap_or_default() {
        task_services.printer.alert(&format!("warning: {line}"));
    }
}
