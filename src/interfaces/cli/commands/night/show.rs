//! `tos night summary`, `list` and `merge`: what runs came to, and taking it over.

use std::path::Path;

use serde_json::json;

use crate::{
    domain::{
        guarded::Stop,
        night::{Summary, dollars, runs, summarise},
    },
    interfaces::{
        cli::{
            args::Global,
            exit::{Exit, Trouble},
            gate_kit::Court,
            kit::Kit,
        },
        report::{Printer, night, night_html},
    },
    ports::ledger::Ledger,
};

fn read(ledger: &dyn Ledger, run: Option<&str>) -> Result<Summary, Trouble> {
    let records = ledger.read()?.records;
    let newest = || runs(&records).pop();
    let run = run.map(str::to_owned).or_else(newest);
    let run = run.ok_or_else(|| Trouble::NotDone("no run is on record".to_owned()))?;
    summarise(&records, &run).ok_or_else(|| {
        Trouble::Usage(format!(
            "the ledger knows no run {run}; see `tos night list`"
        ))
    })
}

/// Shows the summary of a run.
pub(super) fn main(
    run: Option<&str>,
    html: Option<&Path>,
    global: &Global,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let summary = read(&*kit.ledger(global)?, run)?;
    printer.line(&night::text(&summary));
    if let Some(file) = html {
        kit.write_file(file, &night_html::page(&summary))?;
        printer.note(&format!("page: {}", file.display()));
    }
    printer.document(&json!(summary));
    Ok(Exit::Success)
}

/// Writes the summary of a run where it is kept, and shows it.
pub(super) fn tell(
    run: &str,
    court: &Court,
    global: &Global,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<(), Trouble> {
    let summary = read(&*court.ledger, Some(run))?;
    printer.line(&night::text(&summary));
    keep(run, court, global, kit, printer);
    printer.document(&json!(summary));
    Ok(())
}

/// Writes the summary of a run where it is kept: as text, JSON and one page. It can be made again from the ledger at any
/// time, so what cannot be written is told and stops nothing.
pub(in crate::interfaces::cli::commands) fn keep(
    run: &str,
    court: &Court,
    global: &Global,
    kit: &dyn Kit,
    printer: &Printer,
) {
    let kept = || -> Result<(), Trouble> {
        let summary = read(&*court.ledger, Some(run))?;
        let files = [
            ("txt", format!("{}\n", night::text(&summary))),
            ("json", format!("{:#}\n", json!(summary))),
            ("html", night_html::page(&summary)),
        ];
        for (ending, text) in files {
            let path = kit.write_state(global, &format!("nights/{run}/summary.{ending}"), &text)?;
            if ending == "html" {
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
pub(super) fn list(global: &Global, kit: &dyn Kit, printer: &Printer) -> Result<Exit, Trouble> {
    let records = kit.ledger(global)?.read()?.records;
    let all = runs(&records);
    let seen: Vec<Summary> = all
        .iter()
        .filter_map(|run| summarise(&records, run))
        .collect();
    for summary in &seen {
        let began = summary.sessions.first().map(|one| one.began);
        let cost = summary.micro_usd.map(dollars).unwrap_or_default();
        let line = format!(
            "{}  {}  {:<16} {:>3} of {:<3} passed  {:<13} {cost}",
            summary.run,
            began.map_or_else(String::new, |at| at.format("%Y-%m-%d %H:%M").to_string()),
            summary.list,
            summary.counts.success,
            summary.all(),
            Stop::words_of(summary.ended_by()),
        );
        printer.line(line.trim_end());
    }
    if seen.is_empty() {
        printer.note("no run is on record");
    }
    printer.document(&json!({ "runs": seen }));
    Ok(Exit::Success)
}

/// Takes accepted work over.
pub(super) fn merge(
    run: Option<&str>,
    global: &Global,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    // Nobody may be at work on what is taken over.
    let desk = kit.task_desk(global)?;
    let summary = read(&*desk.tools.ledger, run)?;
    let run = &summary.run;
    let tip = summary.tip.filter(|tip| Some(tip) != summary.base.as_ref());
    let tip = tip
        .filter(|_| summary.counts.success > 0)
        .ok_or_else(|| Trouble::NotDone(format!("{run} has no accepted work")))?;
    let taken = desk
        .tools
        .worktrees
        .take_over(&tip, &format!("refs/tos/runs/{run}"));
    let branch = taken.map_err(|error| Trouble::NotDone(error.to_string()))?;
    printer.line(&format!(
        "{branch} now has the work of {} tasks of {run}",
        summary.counts.success
    ));
    printer.note("what turns out to be wrong is rejected with: tos task reject TASK");
    printer.document(&json!({ "run": run, "branch": branch, "commit": tip }));
    Ok(Exit::Success)
}
