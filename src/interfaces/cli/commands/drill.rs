//! `tos drill`: rehearsals through the real program, and their record in the ledger.

use clap::Args;
use serde_json::{Value, json};

use crate::{
    domain::{
        drill::{ALL, Drill, Outcome, find},
        gates,
        ledger::{Entry, Record},
    },
    interfaces::{
        cli::{
            args::Global,
            exit::{Exit, Trouble},
            gate_kit::Court,
            kit::Kit,
        },
        report::Printer,
    },
    ports::drill_site::Error,
    services::drill::{Rehearsal, rehearse},
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
    global: &Global,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let mut court = Court::convene(kit, global)?;
    if !args.all && !args.missing && (args.names.is_empty() || args.names == ["list"]) {
        return Ok(list(&court, printer));
    }
    let drills = chosen(args, &court)?;
    if drills.is_empty() {
        printer.line("no drill is missing");
    }
    let ground = kit.drill_ground(global)?;
    let mut rows = Vec::new();
    let mut worst = Exit::Success;
    for drill in drills {
        printer.note(&format!("{}: {}", drill.name, drill.about));
        let rehearsal = match rehearse(drill, &*ground) {
            Ok(rehearsal) => rehearsal,
            Err(Error::Stopped) => {
                printer.alert("stopped; the drill under way is not on record");
                worst = Exit::Cancelled;
                break;
            }
            Err(Error::Trouble(why)) => Rehearsal {
                outcome: Outcome::Failed(why),
                observed: Vec::new(),
            },
        };
        rows.push(tell(drill, &rehearsal, printer));
        worst = worse(worst, &rehearsal.outcome);
        record(&mut court, drill, rehearsal)?;
    }
    printer.document(&json!({ "drills": rows, "exit_code": worst.code() }));
    Ok(worst)
}

fn chosen(args: &DrillArgs, court: &Court) -> Result<Vec<&'static Drill>, Trouble> {
    if args.all {
        return Ok(ALL.iter().collect());
    }
    let missing = || gates::missing(&court.loaded.gates, &court.chain.records, &court.here);
    let names = if args.missing {
        missing()
    } else {
        args.names.clone()
    };
    let known = |name: &String| find(name).ok_or_else(|| unknown(name));
    names.iter().map(known).collect()
}

fn unknown(name: &str) -> Trouble {
    let near = ALL
        .iter()
        .map(|drill| (strsim::damerau_levenshtein(drill.name, name), drill.name))
        .filter(|(distance, _)| *distance <= 3)
        .min();
    let near = near.map_or(String::new(), |(_, name)| {
        format!("; did you mean `{name}`?")
    });
    Trouble::Usage(format!(
        "there is no drill `{name}`{near} (`tos drill list` shows them all)"
    ))
}

/// A drill that failed outweighs one that could not be counted.
fn worse(worst: Exit, outcome: &Outcome) -> Exit {
    match outcome {
        Outcome::Failed(_) => Exit::NotDone,
        Outcome::NotCounted(_) if worst == Exit::Success => Exit::PlanFailed,
        Outcome::NotCounted(_) | Outcome::Passed => worst,
    }
}

fn tell(drill: &Drill, rehearsal: &Rehearsal, printer: &Printer) -> Value {
    let (word, note) = match &rehearsal.outcome {
        Outcome::Passed => ("passed", String::new()),
        Outcome::Failed(why) => ("failed", why.clone()),
        Outcome::NotCounted(why) => ("not counted", why.clone()),
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
fn record(court: &mut Court, drill: &Drill, rehearsal: Rehearsal) -> Result<(), Trouble> {
    let (passed, note) = match rehearsal.outcome {
        Outcome::Passed => (true, String::new()),
        Outcome::Failed(why) => (false, why),
        Outcome::NotCounted(_) => return Ok(()),
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    court.record(Entry::Drill {
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

fn list(court: &Court, printer: &Printer) -> Exit {
    let missing = gates::missing(&court.loaded.gates, &court.chain.records, &court.here);
    let width = ALL.iter().map(|drill| drill.name.len()).max().unwrap_or(0);
    let mut rows = Vec::new();
    for drill in ALL {
        let last = court
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
    Exit::Success
}

fn result(drill: &Drill, record: &Record) -> Option<String> {
    let Entry::Drill { name, passed, .. } = &record.entry else {
        return None;
    };
    let word = if *passed { "passed" } else { "failed" };
    (name == drill.name).then(|| format!("{word} {}", record.stamp.at.format("%Y-%m-%d %H:%M")))
}
