//! `tos autonomy`: where autonomy stands, and the steps only a person may take.

use crate::interfaces::cli::commands::person::{refuse, require_person};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    domain::{
        gates::{self, GateTrackStatus, ObservationInputs},
        job::event::RunLogEvent,
        ledger::{LedgerEntry, PhaseTransition},
    },
    interfaces::cli::{
        common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
        gate_services::GateServices,
        services,
    },
};

/// Options of `tos autonomy`.
#[derive(Debug, Args)]
pub struct AutonomyArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the autonomy level, what it permits, and what the next one requires
    Status {
        /// Show every record behind one requirement
        #[arg(long, value_name = "ID")]
        explain: Option<String>,
        /// Exit with 0 only if everything that the next level requires is there
        #[arg(long)]
        check: bool,
        /// Show the stages of TOS v0.3 too
        #[arg(long, hide = true)]
        stages: bool,
    },
    /// Enter the next level; needs the evidence and a person at the terminal
    Promote {
        /// The level to enter; the next one if absent
        #[arg(value_name = "LEVEL")]
        phase: Option<String>,
        /// Show the evidence and stop
        #[arg(long)]
        dry_run: bool,
    },
    /// Go back to an earlier level
    Demote {
        /// The level to enter; the one before if absent
        #[arg(value_name = "LEVEL")]
        phase: Option<String>,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Suspend unattended work
    Hold {
        /// Why
        #[arg(long)]
        reason: String,
        /// End the hold instead
        #[arg(long)]
        end: bool,
    },
    /// Open a lock; needs a person at the terminal
    Unlock {
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Allow for a while what the level refuses; such sessions prove nothing. Needs a person at the terminal
    Override {
        /// Why
        #[arg(long)]
        reason: String,
        /// For how long, e.g. `4h`; a day at most
        #[arg(long, value_name = "TIME", required_unless_present = "end")]
        expires: Option<String>,
        /// Take an override back
        #[arg(long, conflicts_with = "expires")]
        end: bool,
    },
    /// List every change of level, hold and lock
    History,
    /// Look at this machine and record what is required and can be seen
    #[command(alias = "observe")]
    Record,
    /// Confirm something no program can see; needs a person at the terminal
    #[command(alias = "attest")]
    Confirm {
        /// What is confirmed: a name that is asked for
        names: Vec<String>,
    },
}

/// Does what the verb says.
pub fn main(
    args: &AutonomyArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let mut gate_services = GateServices::load(services, global)?;
    match &args.verb {
        Verb::Status {
            explain,
            check,
            stages,
        } => {
            let shown = Shown {
                explain: explain.as_deref(),
                check: *check,
                stages: *stages,
            };
            status(&gate_services, &shown, services, global, printer)
        }
        Verb::Promote { phase, dry_run } => promote(
            &mut gate_services,
            phase.as_deref(),
            *dry_run,
            services,
            printer,
        ),
        Verb::Demote { phase, reason } => {
            demote(&mut gate_services, phase.as_deref(), reason, printer)
        }
        Verb::Hold { reason, end } => hold(&mut gate_services, reason, *end, services, printer),
        Verb::Unlock { reason } => {
            require_person(services, "unlock", "unlock")?;
            gate_services.record(LedgerEntry::Unlock {
                reason: reason.clone(),
            })?;
            Ok(said(printer, "unlocked", &json!({ "locked": false })))
        }
        Verb::Override {
            reason,
            expires,
            end: false,
        } => overrule(
            &mut gate_services,
            reason,
            expires.as_deref().unwrap_or_default(),
            services,
            printer,
        ),
        Verb::Override { reason, .. } => {
            let expires = gate_services.here.at;
            let reason = reason.clone();
            gate_services.record(LedgerEntry::Override { reason, expires })?;
            let document = json!({ "overridden": null });
            Ok(said(printer, "the autonomy level decides again", &document))
        }
        Verb::History => Ok(history(&gate_services, printer)),
        Verb::Record => observe(&mut gate_services, services, global, printer),
        Verb::Confirm { names } => attest(&mut gate_services, names, services, printer),
    }
}

/// Suspends work without a person, or lets it go on.
fn hold(
    gate_services: &mut GateServices,
    reason: &str,
    end: bool,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let reason = reason.to_owned();
    if end {
        require_person(services, "end a hold", "end")?;
        gate_services.record(LedgerEntry::Unhold { reason })?;
        return Ok(said(printer, "the hold is over", &json!({ "hold": null })));
    }
    let document = json!({ "hold": reason });
    gate_services.record(LedgerEntry::Hold { reason })?;
    Ok(said(printer, "unattended work is on hold", &document))
}

fn said(printer: &Printer, line: &str, document: &serde_json::Value) -> CliExit {
    printer.line(line);
    printer.document(document);
    CliExit::Success
}

/// What `status` shows.
struct Shown<'a> {
    explain: Option<&'a str>,
    check: bool,
    stages: bool,
}

fn status(
    gate_services: &GateServices,
    shown: &Shown<'_>,
    services: &dyn ServiceFactory,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let report = gate_services.report();
    if let Some(note) = gate_services.chain.clone_note() {
        printer.note(note);
    }
    match shown.explain {
        None => {
            printer.line(&gates::table(&report, shown.stages));
            if let Some(way) = gates::next_steps_text(&report) {
                printer.line(&format!("\n{way}"));
            }
        }
        Some(id) => {
            let text = gates::explain(&report, id)
                .ok_or_else(|| CliError::Usage(format!("no level ahead requires `{id}`")))?;
            printer.line(&text);
        }
    }
    let stage = report
        .tracks
        .iter()
        .find(|standing| standing.track == "stage");
    let sprint = services
        .settings(global)
        .ok()
        .and_then(|settings| settings.rules.sprint);
    if let (Some(stage), Some(sprint)) = (stage, &sprint)
        && shown.stages
        && sprint != &stage.phase
    {
        printer.alert(&format!(
            "warning: the configuration says sprint {sprint}, the ledger says {stage}; `sprint` only labels the records of \
             jobs and permits nothing: let it be, or set it to \"{stage}\"",
            stage = stage.phase
        ));
    }
    printer.document(
        &json!({ "ledger": "ok", "report": report, "gates": gate_services.loaded.digest }),
    );
    let gate = report
        .autonomy_track()
        .and_then(|standing| standing.gate.as_ref());
    let ready = gate.is_none_or(gates::GateReport::is_ready);
    Ok(if shown.check && !ready {
        CliExit::NotDone
    } else {
        CliExit::Success
    })
}

fn promote(
    gate_services: &mut GateServices,
    wanted: Option<&str>,
    dry_run: bool,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let report = gate_services.report();
    let standing = choose(&report.tracks, wanted)?;
    let Some(gate) = standing.gate.clone() else {
        return Err(CliError::NotDone(format!(
            "autonomy level {} is the last one",
            standing.phase
        )));
    };
    printer.line(&gates::table(&report, standing.track == "stage"));
    if let Some(reason) = &standing.locked {
        return refuse(
            format!("locked: {reason}"),
            "tos autonomy unlock --reason TEXT",
        );
    }
    if !gate.is_ready() {
        let open: Vec<&str> = gate
            .criteria
            .iter()
            .filter(|one| !one.met)
            .map(|one| one.id.as_str())
            .collect();
        return refuse(
            format!(
                "{} of {} criteria are open: {}",
                gate.unmet_count(),
                gate.criteria.len(),
                open.join(", ")
            ),
            "tos autonomy status",
        );
    }
    if dry_run {
        printer.document(&json!({ "ready": true, "from": gate.from, "to": gate.to }));
        return Ok(CliExit::Success);
    }
    require_person(services, &format!("enter level {}", gate.to), &gate.to)?;
    let evidence = gate
        .criteria
        .iter()
        .flat_map(|one| one.evidence.clone())
        .collect();
    gate_services.record(LedgerEntry::Phase {
        track: standing.track.clone(),
        from: gate.from.clone(),
        to: gate.to.clone(),
        mode: PhaseTransition::Promote,
        lock: false,
        reason: String::new(),
        evidence,
    })?;
    Ok(said(
        printer,
        &format!("autonomy level {}", gate.to),
        &json!({ "from": gate.from, "to": gate.to }),
    ))
}

/// Returns the track whose gate leads to the wanted phase; autonomy where none is named.
fn choose<'a>(
    tracks: &'a [GateTrackStatus],
    wanted: Option<&str>,
) -> Result<&'a GateTrackStatus, CliError> {
    let leads = |standing: &&GateTrackStatus| match wanted {
        None => standing.track == gates::AUTONOMY_TRACK,
        Some(wanted) => standing.gate.as_ref().is_some_and(|gate| gate.to == wanted),
    };
    tracks.iter().find(leads).ok_or_else(|| {
        CliError::Usage(format!(
            "`{}` is not the next level",
            wanted.unwrap_or_default()
        ))
    })
}

fn demote(
    gate_services: &mut GateServices,
    wanted: Option<&str>,
    reason: &str,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let report = gate_services.report();
    let tracks = gate_services.loaded.gates.tracks();
    let fits = |standing: &&GateTrackStatus| {
        let track = tracks.iter().find(|track| track.name == standing.track);
        wanted.map_or(standing.track == gates::AUTONOMY_TRACK, |wanted| {
            track.is_some_and(|track| track.phases.iter().any(|phase| phase == wanted))
        })
    };
    let standing = report.tracks.iter().find(fits);
    let standing = standing.ok_or_else(|| CliError::usage("there is no such level"))?;
    let phases = tracks
        .iter()
        .find(|track| track.name == standing.track)
        .map(|track| &track.phases);
    let place =
        |name: &str| phases.and_then(|phases| phases.iter().position(|phase| phase == name));
    let now = place(&standing.phase).unwrap_or(0);
    let to = match wanted {
        Some(wanted) => place(wanted),
        None => now.checked_sub(1),
    };
    let to = to
        .filter(|to| *to < now)
        .and_then(|to| phases?.get(to).cloned());
    let Some(to) = to else {
        return Err(CliError::Usage(format!(
            "that does not lead back from level {}",
            standing.phase
        )));
    };
    gate_services.record(LedgerEntry::Phase {
        track: standing.track.clone(),
        from: standing.phase.clone(),
        to: to.clone(),
        mode: PhaseTransition::Demote,
        lock: false,
        reason: reason.to_owned(),
        evidence: Vec::new(),
    })?;
    Ok(said(
        printer,
        &format!("autonomy level {to}"),
        &json!({ "from": standing.phase, "to": to }),
    ))
}

/// How long an override may last.
const LONGEST_OVERRIDE_S: u64 = 24 * 3600;

fn overrule(
    gate_services: &mut GateServices,
    reason: &str,
    expires: &str,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let seconds = gates::parse_duration_sec(expires)
        .filter(|seconds| (1..=LONGEST_OVERRIDE_S).contains(seconds))
        .ok_or_else(|| {
            CliError::usage("`--expires` wants a time like `45m` or `4h`, a day at most")
        })?;
    if reason.trim().is_empty() {
        return Err(CliError::usage("`--reason` is blank"));
    }
    require_person(services, "override the autonomy level", "override")?;
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let until = gate_services.here.at + chrono::Duration::seconds(seconds);
    gate_services.record(LedgerEntry::Override {
        reason: reason.to_owned(),
        expires: until,
    })?;
    Ok(said(
        printer,
        &format!(
            "the autonomy level is overridden until {until}; sessions until then prove nothing"
        ),
        &json!({ "overridden": until }),
    ))
}

fn history(gate_services: &GateServices, printer: &Printer) -> CliExit {
    let mut rows = Vec::new();
    for record in &gate_services.chain.records {
        if record.entry.changes_freedom() {
            printer.line(&super::ledger::row(record));
            rows.push(record);
        }
    }
    if rows.is_empty() {
        printer.line("no change on record");
    }
    printer.document(&json!({ "history": rows }));
    CliExit::Success
}

fn observe(
    gate_services: &mut GateServices,
    services: &dyn ServiceFactory,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let seen = look(services, global)?;
    let found = gates::observations(&seen);
    for (name, detail) in &found {
        gate_services.record(LedgerEntry::Observed {
            name: (*name).to_owned(),
            detail: detail.clone(),
        })?;
        printer.line(&format!("seen  {name:<26} {detail}"));
    }
    printer.document(&json!({ "seen": found.iter().map(|(name, _)| name).collect::<Vec<_>>() }));
    Ok(CliExit::Success)
}

fn look(services: &dyn ServiceFactory, global: &GlobalArgs) -> Result<ObservationInputs, CliError> {
    let settings = services.settings(global)?;
    let store = services.store(&settings, None);
    let events: Vec<RunLogEvent> = store.history()?;
    let text = |path: &std::path::Path| {
        let bytes = services.read_root_file(&settings, path)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let value = |path: &std::path::Path| serde_json::from_str(&text(path)?).ok();
    let checkpoints = services.checkpoints(&settings);
    let listed = services::block_on(services, move |_| {
        Box::pin(async move { checkpoints.list().await })
    })?;
    // A root in no repository simply has no checkpoints.
    let listed = listed.unwrap_or_default();
    let of = |sort| listed.iter().filter(move |one| one.sort == sort);
    let summary = &settings.paths.run_summary;
    Ok(ObservationInputs {
        sprint: settings.rules.sprint.clone(),
        has_keys: settings.missing_api_keys().is_empty(),
        summary: value(summary),
        summary_line: text(&summary.with_extension("txt")),
        phase_summary: value(
            &settings
                .paths
                .workspace
                .join("artifacts/phase_summary.json"),
        ),
        job_result: value(&settings.rules.job_result),
        checkpoints: of(crate::domain::checkpoint::CheckpointKind::Checkpoint)
            .filter_map(|one| chrono::DateTime::parse_from_rfc3339(&one.at).ok())
            .collect(),
        rolled_back: of(crate::domain::checkpoint::CheckpointKind::Safety)
            .next()
            .is_some(),
        events,
    })
}

fn attest(
    gate_services: &mut GateServices,
    names: &[String],
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let known: Vec<String> = gate_services
        .loaded
        .gates
        .gate
        .iter()
        .flat_map(|gate| &gate.require)
        .filter(|require| require.metric == gates::Metric::Attested)
        .flat_map(|require| require.names.clone())
        .collect();
    if names.is_empty() || names.iter().any(|name| !known.contains(name)) {
        return Err(CliError::Usage(format!(
            "what can be stated: {}",
            known.join(", ")
        )));
    }
    for name in names {
        require_person(services, &format!("state that `{name}` holds"), name)?;
        let statement = format!("a person at the terminal states `{name}`");
        gate_services.record(LedgerEntry::Attested {
            name: name.clone(),
            statement,
        })?;
    }
    Ok(said(
        printer,
        &format!("on record: {}", names.join(", ")),
        &json!({ "attested": names }),
    ))
}
