//! `tos isolation probe`, now `tos doctor --sandbox --conclude`: what this machine offers to confine programs, tried out, not guessed.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    domain::ledger::LedgerEntry,
    interfaces::cli::{
        common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
        gate_services::GateServices,
    },
};

/// Options of `tos isolation`.
#[derive(Debug, Args)]
pub struct IsolationArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Try every way of confining programs that tos knows
    Probe {
        /// Record the verdict on a subject; the gates know `container`
        #[arg(long, value_name = "SUBJECT", value_parser = ["container"])]
        conclude: Option<String>,
    },
}

/// Probes, and records the verdict where asked.
pub fn main(
    args: &IsolationArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let Verb::Probe { conclude } = &args.verb;
    self::probe_and_record(conclude.as_deref(), global, services, printer)
}

/// Tries every way of confining programs, and records the verdict where asked.
pub(super) fn probe_and_record(
    subject: Option<&str>,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let (probes, container) = services.probe_isolation();
    for probe in &probes {
        printer.line(probe);
    }
    let verdict = if container { "go" } else { "no-go" };
    if let Some(subject) = subject {
        let mut gate_services = GateServices::load(services, global)?;
        gate_services.record(LedgerEntry::Poc {
            subject: subject.to_owned(),
            verdict: verdict.to_owned(),
            probes: probes.clone(),
        })?;
        printer.line(&format!("on record: {subject} {verdict}"));
    }
    printer.document(&json!({ "probes": probes, "container": verdict, "recorded": subject }));
    Ok(CliExit::Success)
}
