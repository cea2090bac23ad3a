//! `tos night resume`: goes on with a night from what the ledger says, in a new session.

use crate::{
    config::task_list,
    domain::{
        ledger::{LedgerEntry, LedgerRecord},
        night::run_ids,
        tasks::{RunProgress, TaskList, records_of_run},
        time::Timestamp,
    },
    interfaces::cli::{
        commands::{session_client::SessionHost, task},
        common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
    },
};

use super::{
    DeadlineArgs, start,
    start::{NightRequest, digest},
};

/// Goes on with a night.
pub(super) fn main(
    run: Option<&str>,
    time: &DeadlineArgs,
    (attended, detach): (bool, bool),
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    task::require_checkout(global, services)?;
    let engine = SessionHost::find(global, services);
    let (task_services, gate_services) =
        task::prepare_services(&engine, global, services, printer)?;
    let records = &gate_services.chain.records;
    let stable = gate_services.report().permission.checkpoint_every > 0;
    let run = match run {
        Some(run) => run.to_owned(),
        None => newest_open(records, stable, &engine.runs_under_way()?, global, services)?
            .ok_or_else(|| CliError::NotDone("no night has open tasks".to_owned()))?,
    };
    engine.require_not_running("run", &run)?;
    let list = kept(&run, records, global, services)?;
    let progress = RunProgress::of(records, &run);
    if !is_open(&list, &progress, stable) {
        return Err(CliError::NotDone(format!(
            "every task of {run} has its verdict; see `tos night summary {run}`"
        )));
    }
    let night = NightRequest {
        time: time_left(time, &run, gate_services.here.at, global, services),
        list,
        run: Some(run),
        progress,
        attended,
        detach,
    };
    start::run_night(
        &night,
        &engine,
        &task_services,
        gate_services,
        global,
        services,
        printer,
    )
}

/// Returns whether something is left to do: a task without a verdict, or, where stable points are made, accepted work
/// that was never tested as a whole because a crash came first.
fn is_open(list: &TaskList, progress: &RunProgress, stable: bool) -> bool {
    let has_verdict = |id: &str| progress.ends.iter().any(|end| end.task == id);
    let untested = stable && !progress.since_stable.is_empty();
    untested || !list.tasks.iter().all(|task| has_verdict(&task.id))
}

/// Returns the newest night with open tasks that nobody is at. A list that was kept and cannot be read is told, not passed over.
fn newest_open(
    records: &[LedgerRecord],
    stable: bool,
    under_way: &[String],
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
) -> Result<Option<String>, CliError> {
    for run in run_ids(records).into_iter().rev() {
        if under_way.contains(&run) {
            continue;
        }
        match kept(&run, records, global, services) {
            Ok(list) if is_open(&list, &RunProgress::of(records, &run), stable) => {
                return Ok(Some(run));
            }
            Err(error @ CliError::Setup(_)) => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(None)
}

/// Returns the list of a night as it was when the night began.
fn kept(
    run: &str,
    records: &[LedgerRecord],
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
) -> Result<TaskList, CliError> {
    let own = records_of_run(records, run);
    let start = own.iter().find_map(|record| match &record.entry {
        LedgerEntry::SessionStart { start } => Some(start),
        _ => None,
    });
    let start = start.ok_or_else(|| {
        CliError::Usage(format!(
            "the ledger knows no run {run}; see `tos night list`"
        ))
    })?;
    let name = format!("nights/{run}/list.json");
    let text = services.read_state_file(global, &name).ok_or_else(|| {
        CliError::NotDone(format!(
            "{run} was no night: its list was not kept; run the list again"
        ))
    })?;
    if start.list_digest != digest(&text) {
        return Err(CliError::NotDone(format!(
            ".tos/{name} is not the list this night began with; start a new one"
        )));
    }
    let list = task_list::parse(&text, &format!(".tos/{name}"));
    list.map_err(|error| CliError::Setup(error.to_string()))
}

/// Returns when the session has to be over: as asked, else as it was meant when the night began.
fn time_left(
    time: &DeadlineArgs,
    run: &str,
    now: Timestamp,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
) -> DeadlineArgs {
    if time.until.is_some() || time.time.is_some() {
        return time.clone();
    }
    let until = || {
        let text = services.read_state_file(global, &format!("nights/{run}/night.json"))?;
        let facts: serde_json::Value = serde_json::from_str(&text).ok()?;
        let until: Timestamp = serde_json::from_value(facts.get("until")?.clone()).ok()?;
        let left = (until - now).num_seconds();
        (left > 0).then(|| format!("{left}s"))
    };
    DeadlineArgs {
        until: None,
        time: until(),
    }
}
