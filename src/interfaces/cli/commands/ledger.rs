//! `tos ledger`: verify, show and void records.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    domain::ledger::{LedgerEntry, LedgerRecord},
    interfaces::cli::{
        common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
        gate_services::GateServices,
    },
    ports::ledger::Error,
};

/// What a person can do about a ledger that does not hold together.
const REMEDY: &str = "find out who changed it, then put it aside and begin a new one in the lowest phase: \
     tos ledger verify --acknowledge --reason \"what happened\"";

/// Options of `tos ledger`.
#[derive(Debug, Args)]
pub struct LedgerArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check every record, every link, and the heads written down elsewhere
    Verify {
        /// Put a broken ledger aside and begin a new one, from the lowest phase; needs a person
        #[arg(long, requires = "reason")]
        acknowledge: bool,
        /// Why it broke, as far as you know
        #[arg(long)]
        reason: Option<String>,
    },
    /// List records
    Show {
        /// Only the newest so many
        #[arg(long, value_name = "N")]
        last: Option<usize>,
        /// Only records of this kind
        #[arg(long)]
        kind: Option<String>,
    },
    /// Declare one piece of good evidence worthless; needs a person at the terminal
    Void {
        /// The record's number
        seq: u64,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

/// Does what the verb says.
pub fn main(
    args: &LedgerArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    match &args.verb {
        Verb::Verify {
            acknowledge,
            reason,
        } => verify(
            reason.as_deref().filter(|_| *acknowledge),
            global,
            services,
            printer,
        ),
        Verb::Show { last, kind } => show(*last, kind.as_deref(), global, services, printer),
        Verb::Void { seq, reason } => void(*seq, reason, global, services, printer),
    }
}

fn verify(
    acknowledge: Option<&str>,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let ledger = services.ledger(global)?;
    match ledger.read() {
        Ok(chain) => {
            let head = chain
                .head
                .as_ref()
                .map(crate::domain::ledger::chain::ChainAnchor::commit_trailer);
            printer.line(&format!("ledger: ok, {} records", chain.records.len()));
            if let Some(note) = chain.clone_note() {
                printer.note(note);
            }
            if let Some(head) = &head {
                printer.note(&format!("head {head}"));
            }
            printer
                .document(&json!({ "ledger": "ok", "records": chain.records.len(), "head": head }));
            Ok(CliExit::Success)
        }
        Err(Error::Broken { broken, .. }) => {
            if let Some(reason) = acknowledge {
                super::person::require_person(
                    services,
                    "begin a new ledger in the lowest phase",
                    "begin",
                )?;
                let anchor = ledger.acknowledge(reason)?;
                printer.line(&format!(
                    "the broken ledger was put aside; record {} begins a new one",
                    anchor.seq
                ));
                printer.document(&json!({ "ledger": "begun", "seq": anchor.seq }));
                return Ok(CliExit::Success);
            }
            printer.line(&format!("ledger: BROKEN at {}", broken.at));
            printer.alert(&broken.to_string());
            printer.alert(&format!("hint: {REMEDY}"));
            let (at, why) = (broken.at, broken.why);
            let document = json!({ "ledger": "broken", "at": at, "why": why, "remedy": REMEDY });
            printer.document(&document);
            Ok(CliExit::Refused)
        }
        Err(other) => Err(other.into()),
    }
}

/// Returns one line about a record.
pub(super) fn row(record: &LedgerRecord) -> String {
    let session = record
        .stamp
        .session
        .as_deref()
        .map(|id| format!("{id} "))
        .unwrap_or_default();
    format!(
        "{:>5}  {}  {:<16} {session}{}",
        record.seq,
        record.stamp.at.format("%Y-%m-%d %H:%M:%S"),
        record.entry.kind(),
        record.entry.display_line()
    )
    .trim_end()
    .to_owned()
}

fn show(
    last: Option<usize>,
    kind: Option<&str>,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let chain = services.ledger(global)?.read()?;
    let fits = |record: &&LedgerRecord| kind.is_none_or(|kind| record.entry.kind() == kind);
    let rows: Vec<&LedgerRecord> = chain.records.iter().filter(fits).collect();
    let from = last.map_or(0, |last| rows.len().saturating_sub(last));
    let rows = rows.get(from..).unwrap_or_default();
    for record in rows {
        printer.line(&row(record));
    }
    printer.document(&json!({ "records": rows }));
    Ok(CliExit::Success)
}

fn void(
    seq: u64,
    reason: &str,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let mut gate_services = GateServices::load(services, global)?;
    let record = gate_services
        .chain
        .records
        .iter()
        .find(|record| record.seq == seq);
    let Some(record) = record else {
        return Err(CliError::Usage(format!("there is no record {seq}")));
    };
    if !record.entry.is_favourable() {
        return Err(CliError::Usage(format!(
            "record {seq} ({}) does not speak for more freedom; only good evidence can be voided",
            record.entry.kind()
        )));
    }
    printer.line(&row(record));
    super::person::require_person(services, "void this record", "void")?;
    gate_services.record(LedgerEntry::Void {
        target: seq,
        reason: reason.to_owned(),
    })?;
    printer.line(&format!("record {seq} no longer counts"));
    printer.document(&json!({ "voided": seq }));
    Ok(CliExit::Success)
}
