//! `tos night resume`: goes on with a night from what the ledger says, in a new session.

use crate::{
    config::tasks,
    domain::{
        guarded::{Progress, TaskList, records_of},
        ledger::{Entry, Record},
        night::runs,
        time::Timestamp,
    },
    interfaces::{
        cli::{
            args::Global,
            commands::task,
            exit::{Exit, Trouble},
            gate_kit::Court,
            kit::Kit,
        },
        report::Printer,
    },
};

use super::{
    Time,
    begin::{self, Night, digest},
};

/// Goes on with a night.
pub(super) fn main(
    run: Option<&str>,
    time: &Time,
    attended: bool,
    global: &Global,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let desk = kit.task_desk(global)?;
    let mut court = Court::convene(kit, global)?;
    task::settle_crash(&mut court, &desk, global, kit, printer)?;
    let records = &court.chain.records;
    let stable = court.report().permission.checkpoint_every > 0;
    let run = match run {
        Some(run) => run.to_owned(),
        None => newest_open(records, stable, global, kit)?
            .ok_or_else(|| Trouble::NotDone("no night has open tasks".to_owned()))?,
    };
    let list = kept(&run, records, global, kit)?;
    let progress = Progress::of(records, &run);
    if !is_open(&list, &progress, stable) {
        return Err(Trouble::NotDone(format!(
            "every task of {run} has its verdict; see `tos night summary {run}`"
        )));
    }
    let night = Night {
        time: time_left(time, &run, court.here.at, global, kit),
        list,
        run: Some(run),
        progress,
        attended,
    };
    begin::carry_out(&night, &desk, court, global, kit, printer)
}

/// Returns whether something is left to do: a task without a verdict, or, where stable points are made, accepted work
/// that was never tested as a whole because a crash came first.
fn is_open(list: &TaskList, progress: &Progress, stable: bool) -> bool {
    let has_verdict = |id: &str| progress.ends.iter().any(|end| end.task == id);
    let untested = stable && !progress.since_stable.is_empty();
    untested || !list.tasks.iter().all(|task| has_verdict(&task.id))
}

/// Returns the newest night with open tasks. A list that was kept and cannot be read is told, not passed over.
fn newest_open(
    records: &[Record],
    stable: bool,
    global: &Global,
    kit: &dyn Kit,
) -> Result<Option<String>, Trouble> {
    for run in runs(records).into_iter().rev() {
        match kept(&run, records, global, kit) {
            Ok(list) if is_open(&list, &Progress::of(records, &run), stable) => {
                return Ok(Some(run));
            }
            Err(error @ Trouble::Setup(_)) => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(None)
}

/// Returns the list of a night as it was when the night began.
fn kept(
    run: &str,
    records: &[Record],
    global: &Global,
    kit: &dyn Kit,
) -> Result<TaskList, Trouble> {
    let own = records_of(records, run);
    let start = own.iter().find_map(|record| match &record.entry {
        Entry::SessionStart { start } => Some(start),
        _ => None,
    });
    let start = start.ok_or_else(|| {
        Trouble::Usage(format!(
            "the ledger knows no run {run}; see `tos night list`"
        ))
    })?;
    let name = format!("nights/{run}/list.json");
    let text = kit.read_state(global, &name).ok_or_else(|| {
        Trouble::NotDone(format!(
            "{run} was no night: its list was not kept; run the list again"
        ))
    })?;
    if start.list_digest != digest(&text) {
        return Err(Trouble::NotDone(format!(
            ".tos/{name} is not the list this night began with; start a new one"
        )));
    }
    let list = tasks::parse(&text, &format!(".tos/{name}"));
    list.map_err(|error| Trouble::Setup(error.to_string()))
}

/// Returns when the session has to be over: as asked, else as it was meant when the night began.
fn time_left(time: &Time, run: &str, now: Timestamp, global: &Global, kit: &dyn Kit) -> Time {
    if time.until.is_some() || time.time.is_some() {
        return time.clone();
    }
    let until = || {
        let text = kit.read_state(global, &format!("nights/{run}/night.json"))?;
        let facts: serde_json::Value = serde_json::from_str(&text).ok()?;
        let until: Timestamp = serde_json::from_value(facts.get("until")?.clone()).ok()?;
        let left = (until - now).num_seconds();
        (left > 0).then(|| format!("{left}s"))
    };
    Time {
        until: None,
        time: until(),
    }
}
