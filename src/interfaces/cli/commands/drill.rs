//! `tos drill`: rehearsals through the real program, and their record in the ledger.

use clap::Args;
use serde_json::{Value, json};

use crate::{
    domain::{
        drill::{ALL, Drill, DrillOutcome, find},
        gates,
        ledger::{LedgerEntry, LedgerRecord},
    },
    interfaces::cli::{
        common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
        gate_services::GateServices,
    },
    ports::drill_site::Error,
    services::drill::{DrillResult, run_drill},
};

/// Options of `tos drill`.
#[derive(Debug, Args)]
pub struct DrillArgs {
    /// Drills to run, or `list`; what there is and how it stands if absent
    #[arg(value_name = "NAME", conflicts_with_all = ["missing", "all"])]
    names: Vec<String>,
    /// Run what the next autonomy level still requires, and what would clear a hold
    #[arg(long, conflicts_with = "all")]
    missing: bool,
    /// Run every drill
    #[arg(long)]
    all: bool,
}

/// Lists drills, or runs them and puts the results on record.
pub fn main(
    args: &DrillArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let mut gate_services = GateServices::load(services, global)?;
    if !args.all && !args.missing && (args.names.is_empty() || args.names == ["list"]) {
        return Ok(list(&gate_services, printer));
    }
    let drills = chosen(args, &gate_services)?;
    if drills.is_empty() {
        printer.line("no drill is missing");
    }
    let ground = services.drill_sites(global)?;
    let mut rows = Vec::new();
    let mut worst = CliExit::Success;
    for drill in drills {
        printer.note(&format!("{}: {}", drill.name, drill.about));
        let rehearsal = match run_drill(drill, &*ground) {
            Ok(rehearsal) => rehearsal,
            Err(Error::Stopped) => {
                printer.alert("stopped; the drill under way is not on record");
                worst = CliExit::Cancelled;
                break;
            }
            Err(Error::Trouble(why)) => DrillResult {
                outcome: DrillOutcome::Failed(why),
                observed: Vec::new(),
            },
        };
        rows.push(tell(drill, &rehearsal, printer));
        worst = worse(worst, &rehearsal.outcome);
        record(&mut gate_services, drill, rehearsal)?;
    }
    printer.document(&json!({ "drills": rows, "exit_code": worst.code() }));
    Ok(worst)
}

fn chosen(args: &DrillArgs, gate_services: &GateServices) -> Result<Vec<&'static Drill>, CliError> {
    if args.all {
        return Ok(ALL.iter().collect());
    }
    let missing = || {
        gates::missing_drills(
            &gate_services.loaded.gates,
            &gate_services.chain.records,
            &gate_services.here,
        )
    };
    let names = if args.missing {
        missing()
    } else {
        args.names.clone()
    };
    let known = |name: &String| find(name).ok_or_else(|| unknown(name));
    names.iter().map(known).collect()
}

fn unknown(name: &str) -> CliError {
    let near = ALL
        .iter()
        .map(|drill| (strsim::damerau_levenshtein(drill.name, name), drill.name))
        .filter(|(distance, _)| *distance <= 3)
        .min();
    let near = near.map_or(String::new(), |(_, name)| {
        format!("; did you mean `{name}`?")
    });
    CliError::Usage(format!(
        "there is no drill `{name}`{near} (`tos drill list` shows them all)"
    ))
}

/// A drill that failed outweighs one that could not be counted.
fn worse(worst: CliExit, outcome: &DrillOutcome) -> CliExit {
    match outcome {
        DrillOutcome::Failed(_) => CliExit::NotDone,
        DrillOutcome::NotCounted(_) if worst == CliExit::Success => CliExit::PlanFailed,
        DrillOutcome::NotCounted(_) | DrillOutcome::Passed => worst,
    }
}

fn tell(drill: &Drill, rehearsal: &DrillResult, printer: &Printer) -> Value {
    let (word, note) = match &rehearsal.outcome {
        DrillOutcome::Passed => ("passed", String::new()),
        DrillOutcome::Failed(why) => ("failed", why.clone()),
        DrillOutcome::NotCounted(why) => ("not counted", why.clone()),
    };
    let line = format!("{word:<11} {}  {note}", drill.name);
    printer.line(line.trim_end());
    json!({
        "name": drill.name,
        "outcome": word.replace(' ', "_"),
        "note": note,
        "expected": drill.expected,
        "observed": rehearsal.observed,
    })
}

/// What was not counted proves nothing, so it is not evidence either.
fn record(
    gate_services: &mut GateServices,
    drill: &Drill,
    rehearsal: DrillResult,
) -> Result<(), CliError> {
    let (passed, note) = match rehearsal.outcome {
        DrillOutcome::Passed => (true, String::new()),
        DrillOutcome::Failed(why) => (false, why),
        DrillOutcome::NotCounted(_) => return Ok(()),
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    gate_services.record(LedgerEntry::Drill {
        name: drill.name.to_owned(),
        scenario: drill
            .tasks
            .iter()
            .map(|job| job.scenario.to_owned())
            .collect(),
        expected: words(drill.expected),
        observed: rehearsal.observed,
        passed,
        note,
    })
}

fn list(gate_services: &GateServices, printer: &Printer) -> CliExit {
    let missing = gates::missing_drills(
        &gate_services.loaded.gates,
        &gate_services.chain.records,
        &gate_services.here,
    );
    let width = ALL.iter().map(|drill| drill.name.len()).max().unwrap_or(0);
    let mut rows = Vec::new();
    for drill in ALL {
        let last = gate_services
            .chain
            .records
            .iter()
            .rev()
            .find_map(|record| result(drill, record));
        let wanted = missing.iter().any(|name| name == drill.name);
        let state = last.as_deref().unwrap_or("never run");
        let wish = if wanted { "  <- missing" } else { "" };
        printer.line(&format!(
            "{:<width$}  {state:<22}  {}{wish}",
            drill.name, drill.about
        ));
        rows.push(json!({
            "name": drill.name, "about": drill.about, "needs": drill.needs, "last": last, "missing": wanted,
        }));
    }
    for name in missing.iter().filter(|name| find(name).is_none()) {
        printer.alert(&format!(
            "config/gates.toml asks for the drill `{name}`, which this tos does not have"
        ));
    }
    printer.document(&json!({ "drills": rows }));
    CliExit::Success
}

fn result(drill: &Drill, record: &LedgerRecord) -> Option<String> {
    let LedgerEntry::Drill { name, passed, .. } = &record.entry else {
        return None;
    };
    let word = if *passed { "passed" } else { "failed" };
    (name == drill.name).then(|| format!("{word} {}", record.stamp.at.format("%Y-%m-%d %H:%M")))
}
