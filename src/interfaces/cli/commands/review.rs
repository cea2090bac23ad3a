//! `tos task accept|reject`: a person's judgement of a task's work counts more than the machine's.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    domain::ledger::LedgerEntry,
    interfaces::cli::{
        common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
        gate_services::GateServices,
    },
};

/// Options of `tos review`, the old name of `tos task accept` and `reject`.
#[derive(Debug, Args)]
pub struct ReviewArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The work is good; takes back an earlier rejection, needs a person at the terminal
    Accept(ReviewedTask),
    /// The work is not good: it no longer counts as a success
    Reject(ReviewedTask),
}

/// A task and what is said about it.
#[derive(Debug, Args)]
pub(super) struct ReviewedTask {
    /// The task's id
    task: String,
    /// What you looked at, or what is wrong with it
    #[arg(long, default_value = "")]
    reason: String,
}

/// Records the judgement.
pub fn main(
    args: &ReviewArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    match &args.verb {
        Verb::Accept(judged) => record_review(judged, true, global, services, printer),
        Verb::Reject(judged) => record_review(judged, false, global, services, printer),
    }
}

/// Records one judgement.
pub(super) fn record_review(
    judged: &ReviewedTask,
    accepted: bool,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let ReviewedTask { task, reason } = judged;
    let mut gate_services = GateServices::load(services, global)?;
    let known = gate_services
        .chain
        .records
        .iter()
        .any(|record| matches!(&record.entry, LedgerEntry::Task { end } if &end.task == task));
    if !known {
        return Err(CliError::Usage(format!(
            "no task `{task}` is on record; `tos ledger show --kind task` lists them"
        )));
    }
    if accepted {
        super::person::require_person(services, &format!("accept the work of {task}"), task)?;
    }
    gate_services.record(LedgerEntry::Review {
        task: task.clone(),
        accepted,
        reason: reason.clone(),
    })?;
    printer.line(&format!(
        "{task} {}",
        if accepted { "accepted" } else { "rejected" }
    ));
    printer.document(&json!({ "task": task, "accepted": accepted }));
    Ok(CliExit::Success)
}
