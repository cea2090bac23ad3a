//! `tos schedule list`, `show`, `next` and `unit`: nothing here changes anything.

use serde_json::{Value, json};

use super::{ScheduleCommands, trouble};
use crate::{
    domain::{
        ledger::chain::sha256,
        schedule::{
            Schedule, ScheduledRunEvent, ScheduledRunRecord, Trigger, unit,
            unit::{SystemScheduler, UnitCommand},
        },
        time::Timestamp,
    },
    interfaces::cli::exit::{CliError, CliExit},
};

/// At most so many runs are shown.
const SHOWN: usize = 10;

/// Returns the next times of a schedule.
pub(super) fn upcoming(
    task_services: &ScheduleCommands<'_>,
    schedule: &Schedule,
    now: Timestamp,
    count: usize,
) -> Vec<Timestamp> {
    match &schedule.when {
        Trigger::Cron(expression) => expression.after(now, schedule.zone).take(count).collect(),
        Trigger::QuotaRenewed => {
            let renewal = task_services.renewal(schedule);
            renewal.into_iter().filter(|at| *at > now).collect()
        }
    }
}

/// Returns a time in the zone of a schedule.
pub(super) fn time_text(at: Option<Timestamp>, schedule: &Schedule) -> String {
    match (at, &schedule.when) {
        (Some(at), _) => at
            .with_timezone(&schedule.zone)
            .format("%Y-%m-%d %H:%M %Z")
            .to_string(),
        (None, Trigger::QuotaRenewed) => "when a quota has stopped it and is renewed".to_owned(),
        (None, Trigger::Cron(_)) => "never".to_owned(),
    }
}

fn when_text(schedule: &Schedule) -> String {
    match &schedule.when {
        Trigger::Cron(expression) => format!("{} {}", expression.as_str(), schedule.zone.name()),
        Trigger::QuotaRenewed => "quota renewed".to_owned(),
    }
}

/// Returns what became of a run in words.
fn outcome(
    task_services: &ScheduleCommands<'_>,
    schedule: &Schedule,
    records: &[ScheduledRunRecord],
    at: usize,
) -> String {
    let Some(record) = records.get(at) else {
        return "-".to_owned();
    };
    match record.what {
        ScheduledRunEvent::Seen => "never run".to_owned(),
        ScheduledRunEvent::Started => {
            let is_newest = records
                .iter()
                .skip(at + 1)
                .all(|later| later.what != ScheduledRunEvent::Started);
            if is_newest && task_services.store.is_running(&schedule.name) {
                "running".to_owned()
            } else {
                "started, and died before its end".to_owned()
            }
        }
        ScheduledRunEvent::Ended => match record.exit_code {
            Some(0) => "succeeded".to_owned(),
            Some(code) => format!("exit code {code}"),
            None => "ended".to_owned(),
        },
        ScheduledRunEvent::Failed => format!("could not begin: {}", record.why),
        ScheduledRunEvent::Overlap => "skipped: the run before was still going".to_owned(),
        ScheduledRunEvent::Missed => "left out: nobody was there in time".to_owned(),
    }
}

/// The newest record of each slot, oldest slot first, as places in `records`.
fn newest(records: &[ScheduledRunRecord]) -> Vec<usize> {
    let is_newest = |at: usize, record: &ScheduledRunRecord| {
        let mut later = records.iter().skip(at + 1);
        !later.any(|other| other.slot == record.slot)
    };
    let all = records.iter().enumerate();
    all.filter(|(at, record)| is_newest(*at, record))
        .map(|(at, _)| at)
        .collect()
}

fn document(
    task_services: &ScheduleCommands<'_>,
    schedule: &Schedule,
    records: &[ScheduledRunRecord],
    now: Timestamp,
) -> Value {
    let next = upcoming(task_services, schedule, now, 1).pop();
    let (key, target) = schedule.target.key_and_value();
    let last = newest(records).pop().and_then(|at| records.get(at));
    json!({
        "name": schedule.name,
        "cron": match &schedule.when {
            Trigger::Cron(expression) => Some(expression.as_str()),
            Trigger::QuotaRenewed => None,
        },
        "zone": schedule.zone.name(),
        "missed": schedule.missed.as_str(),
        key: target,
        "args": schedule.args,
        "next": next.map(|at| at.to_rfc3339()),
        "last": last,
    })
}

/// Lists the schedules.
pub(super) fn list(task_services: &ScheduleCommands<'_>) -> Result<CliExit, CliError> {
    let (all, now) = (task_services.schedules()?, task_services.now());
    let mut documents = Vec::new();
    for schedule in &all {
        let records = task_services.records(&schedule.name)?;
        let next = upcoming(task_services, schedule, now, 1).pop();
        let last = newest(&records).pop();
        let last = last.map_or_else(
            || "never run".to_owned(),
            |at| outcome(task_services, schedule, &records, at),
        );
        task_services.printer.line(&format!(
            "{}  {}  next: {}  last: {last}",
            schedule.name,
            when_text(schedule),
            time_text(next, schedule)
        ));
        documents.push(document(task_services, schedule, &records, now));
    }
    if all.is_empty() {
        task_services
            .printer
            .note("there is no schedule; `tos schedule add --help` shows how to add one");
    }
    task_services
        .printer
        .document(&json!({ "schedules": documents }));
    Ok(CliExit::Success)
}

/// Shows a schedule.
pub(super) fn show(name: &str, task_services: &ScheduleCommands<'_>) -> Result<CliExit, CliError> {
    let (schedule, now) = (task_services.schedule(name)?, task_services.now());
    let records = task_services.records(name)?;
    let line = |text: String| task_services.printer.line(&text);
    line(format!("name:    {name}"));
    line(format!("when:    {}", when_text(&schedule)));
    line(format!("missed:  {}", schedule.missed.as_str()));
    line(format!(
        "command: tos {}",
        schedule.command_args().join(" ")
    ));
    let next = upcoming(task_services, &schedule, now, 1).pop();
    line(format!("next:    {}", time_text(next, &schedule)));
    let places: Vec<usize> = newest(&records)
        .into_iter()
        .filter(|at| {
            records
                .get(*at)
                .is_some_and(|one| one.what != ScheduledRunEvent::Seen)
        })
        .collect();
    for at in places.iter().rev().take(SHOWN) {
        let Some(record) = records.get(*at) else {
            continue;
        };
        let missed = match record.missed {
            0 => String::new(),
            count => format!(", {count} missed before it"),
        };
        let log = record
            .log
            .as_ref()
            .map_or_else(String::new, |log| format!("  {log}"));
        line(format!(
            "{}  {}{missed}{log}",
            time_text(Some(record.slot), &schedule),
            outcome(task_services, &schedule, &records, *at)
        ));
    }
    let mut document = document(task_services, &schedule, &records, now);
    if let Some(map) = document.as_object_mut() {
        map.insert("records".to_owned(), json!(records));
    }
    task_services.printer.document(&document);
    Ok(CliExit::Success)
}

/// Prints the next times.
pub(super) fn next(
    name: Option<&str>,
    count: u16,
    task_services: &ScheduleCommands<'_>,
) -> Result<CliExit, CliError> {
    let all = match name {
        Some(name) => vec![task_services.schedule(name)?],
        None => task_services.schedules()?,
    };
    let now = task_services.now();
    let mut times: Vec<(Timestamp, &Schedule)> = all
        .iter()
        .flat_map(|schedule| {
            let times = upcoming(task_services, schedule, now, usize::from(count));
            times.into_iter().map(move |at| (at, schedule))
        })
        .collect();
    times.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
    times.truncate(usize::from(count));
    let mut document = Vec::new();
    for (at, schedule) in times {
        let text = time_text(Some(at), schedule);
        task_services
            .printer
            .line(&format!("{text}  {}", schedule.name));
        document.push(json!({ "at": at.to_rfc3339(), "name": schedule.name }));
    }
    task_services.printer.document(&json!({ "next": document }));
    Ok(CliExit::Success)
}

/// Prints what makes a system call `tos schedule run-due`.
pub(super) fn unit(
    system: SystemScheduler,
    task_services: &ScheduleCommands<'_>,
) -> Result<CliExit, CliError> {
    let (program, root) = task_services.store.program_and_root().map_err(trouble)?;
    let (Some(program), Some(root)) = (program.to_str(), root.to_str()) else {
        return Err(CliError::NotDone(
            "the program or the root has a name that is not UTF-8".to_owned(),
        ));
    };
    // Two roots on one machine get two names.
    let id: String = sha256(root.as_bytes()).chars().take(8).collect();
    let path = task_services.services.env_var("PATH").unwrap_or_default();
    let call = UnitCommand {
        program,
        root,
        id: &id,
        path: &path,
    };
    let text = unit::scheduler_unit(system, &call);
    for line in text.lines() {
        task_services.printer.line(line);
    }
    task_services.printer.document(&json!({ "unit": text }));
    Ok(CliExit::Success)
}
