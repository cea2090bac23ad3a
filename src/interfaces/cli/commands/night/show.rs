//! `tos night summary`, `list` and `merge`: what runs came to, and taking it over.

use std::path::Path;

use serde_json::json;

use crate::{
    domain::{
        board::board_attempts,
        night::{NightSummary, format_usd, is_board_attempt, run_ids, summarise_run},
        state_folder::tos_path,
        tasks::StopReason,
    },
    interfaces::{
        cli::{
            commands::session_client::SessionHost,
            common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
            gate_services::GateServices,
        },
        report::night::{self, html},
    },
    ports::ledger::Ledger,
};

fn read(ledger: &dyn Ledger, run: Option<&str>) -> Result<NightSummary, CliError> {
    let records = ledger.read()?.records;
    let newest = || run_ids(&records).pop();
    let run = run.map(str::to_owned).or_else(newest);
    let run = run.ok_or_else(|| CliError::NotDone("no run is on record".to_owned()))?;
    summarise_run(&records, &run).ok_or_else(|| {
        CliError::Usage(format!(
            "the ledger knows no run {run}; see `tos night list`"
        ))
    })
}

/// Whether a tos works on tasks of this root. Without one, a session without an end is over: its tos died.
fn is_at_work(global: &GlobalArgs, services: &dyn ServiceFactory) -> bool {
    let lock = services.root(global).join(tos_path!("task.lock"));
    services.lock_holder(&lock).is_some()
}

/// Shows the summary of a run.
pub(super) fn main(
    run: Option<&str>,
    html: Option<&Path>,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let mut summary = read(&*services.ledger(global)?, run)?;
    if !is_at_work(global, services) {
        summary.close_as_crashed();
    }
    if summary
        .tip
        .as_ref()
        .is_some_and(|tip| services.is_taken_over(global, tip))
    {
        summary.mark_taken_over();
    }
    printer.line(&night::text(&summary));
    if let Some(file) = html {
        services.write_file(file, &html::page(&summary))?;
        printer.note(&format!("page: {}", file.display()));
    }
    printer.document(&json!(summary));
    Ok(CliExit::Success)
}

/// Writes the summary of a run where it is kept, and shows it.
pub(super) fn publish_summary(
    run: &str,
    gate_services: &GateServices,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<(), CliError> {
    let summary = read(&*gate_services.ledger, Some(run))?;
    printer.line(&night::text(&summary));
    write_summary_files(run, gate_services, global, services, printer);
    printer.document(&json!(summary));
    Ok(())
}

/// Returns the files in which the summary of a run is kept, below the state folder.
pub(in crate::interfaces::cli::commands) fn summary_files(
    ledger: &dyn Ledger,
    run: &str,
) -> Result<[(String, String); 3], CliError> {
    let summary = read(ledger, Some(run))?;
    let name = |ending: &str| format!("nights/{run}/summary.{ending}");
    Ok([
        (name("txt"), format!("{}\n", night::text(&summary))),
        (name("json"), format!("{:#}\n", json!(summary))),
        (name("html"), html::page(&summary)),
    ])
}

/// Takes away what earlier versions wrote of attempts at tasks of the board, as if they were nights: summaries that can be made
/// again from the ledger at any time, and nothing else.
pub(in crate::interfaces::cli::commands) fn remove_summaries_of_attempts(
    gate_services: &GateServices,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
) {
    let names = services.state_folders(global, "nights");
    if names.is_empty() {
        return;
    }
    let attempts = board_attempts(&gate_services.chain.records);
    for run in names.iter().filter(|name| attempts.contains(name.as_str())) {
        let files = ["summary.txt", "summary.json", "summary.html"];
        services.remove_state_folder(global, &format!("nights/{run}"), &files);
    }
}

/// Writes the summary of a run where it is kept: as text, JSON and one page. It can be made again from the ledger at any
/// time, so what cannot be written is told and stops nothing.
pub(in crate::interfaces::cli::commands) fn write_summary_files(
    run: &str,
    gate_services: &GateServices,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) {
    let kept = || -> Result<(), CliError> {
        for (name, text) in summary_files(&*gate_services.ledger, run)? {
            let path = services.write_state_file(global, &name, &text)?;
            if Path::new(&name)
                .extension()
                .is_some_and(|kind| kind == "html")
            {
                printer.note(&format!("page: {}", path.display()));
            }
        }
        Ok(())
    };
    if let Err(trouble) = kept() {
        printer.alert(&format!("warning: the summary was not written: {trouble}"));
    }
}

/// Lists the runs on record.
pub(super) fn list(
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let records = services.ledger(global)?.read()?.records;
    let all = run_ids(&records);
    let mut seen: Vec<NightSummary> = all
        .iter()
        .filter_map(|run| summarise_run(&records, run))
        .collect();
    if !is_at_work(global, services) {
        seen.iter_mut().for_each(NightSummary::close_as_crashed);
    }
    for summary in &seen {
        let began = summary.sessions.first().map(|one| one.began);
        let cost = summary.micro_usd.map(format_usd).unwrap_or_default();
        let line = format!(
            "{}  {}  {:<16} {:>3} of {:<3} passed  {:<13} {cost}",
            summary.run,
            began.map_or_else(String::new, |at| at.format("%Y-%m-%d %H:%M").to_string()),
            summary.list,
            summary.counts.success,
            summary.task_count(),
            StopReason::label_of(summary.last_session_end()),
        );
        printer.line(line.trim_end());
    }
    if seen.is_empty() {
        printer.note("no run is on record");
    }
    printer.document(&json!({ "runs": seen }));
    Ok(CliExit::Success)
}

/// Takes accepted work over.
pub(super) fn merge(
    run: Option<&str>,
    join: bool,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let engine = SessionHost::find(global, services);
    let task_services = match &engine {
        SessionHost::Here => services.lock_task_services(global)?,
        SessionHost::Service(_) => services.unlocked_task_services(global)?,
    };
    let summary = read(&*task_services.tools.ledger, run)?;
    let run = &summary.run;
    if is_board_attempt(run, &summary.list) {
        return Err(CliError::NotDone(format!(
            "{run} is an attempt at a task of the board: only what its judge accepts is merged, by the service; see `tos board list`"
        )));
    }
    // Nobody may be at work on what is taken over.
    engine.require_not_running("run", run)?;
    let tip = summary.tip.filter(|tip| Some(tip) != summary.base.as_ref());
    let tip = tip
        .filter(|_| summary.counts.success > 0)
        .ok_or_else(|| CliError::NotDone(format!("{run} has no accepted work")))?;
    let taken =
        task_services
            .tools
            .worktrees
            .fast_forward(&tip, &format!("refs/tos/runs/{run}"), join);
    let taken = taken.map_err(|error| CliError::NotDone(error.to_string()))?;
    let branch = &taken.branch;
    printer.line(&format!(
        "{branch} now has the work of {} tasks of {run}",
        summary.counts.success
    ));
    if let Some(before) = &taken.joined {
        printer.alert(&format!(
            "warning: {branch} had moved, so a merge commit joins the two, and nobody has tested them together; run the tests, \
             and if they fail: git reset --keep {before}"
        ));
    }
    printer.note("what turns out to be wrong is rejected with: tos task reject TASK");
    printer.document(
        &json!({ "run": run, "branch": branch, "commit": taken.commit, "joined": taken.joined }),
    );
    Ok(CliExit::Success)
}
