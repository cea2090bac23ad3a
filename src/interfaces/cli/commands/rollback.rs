//! `--mode rollback`: back to a checkpoint; then, where it can be had, the automatic test from a clean start.
//!
//! The rollback's own result is said first and decides the exit code. The test after it is a service: it is
//! announced with its price before anything is changed, can be left out, and cannot make a rollback that is
//! done look like one that is not.

use serde_json::{Value, json};

use super::{checkpoint_mode, run, run::RunOrigin};
use crate::{
    config::Settings,
    domain::checkpoint::{RollbackReport, RollbackRequest},
    interfaces::cli::{
        args::{RunMode, RunModeArgs},
        common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
        services,
    },
};

/// Rolls back, then tests.
pub fn main(
    args: &RunModeArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let settings = services.settings(global)?;
    let lock = services.lock(&settings, "tos --mode rollback")?;
    let target = match &args.target_commit {
        Some(target) => Some(target.clone()),
        None => last_checkpoint(services, &settings, printer)?,
    };
    let checkpoints = services.checkpoints(&settings);
    if target.is_none() {
        // Where there is nothing to go back to, nothing is announced.
        let checkpoints = std::sync::Arc::clone(&checkpoints);
        services::block_on(services, move |_stop| {
            Box::pin(async move { checkpoints.show(None).await })
        })??;
    }
    if !args.no_test && !args.verify_only && untestable(services, &settings).is_none() {
        printer.note(
            "the test after the rollback runs and spends a job, which changes files again; `--verify-only` checks the state \
             without one, `--no-test` leaves it out",
        );
    }
    printer.note("rollback start");
    let order = RollbackRequest {
        target,
        discard: args.discard,
        templates: services.placeholders(&settings),
    };
    let done = services::block_on(services, move |_stop| {
        Box::pin(async move { checkpoints.roll_back(&order).await })
    })??;
    drop(lock);
    told(&done, printer);
    let facts = facts(&done);
    checkpoint_mode::write_checkpoint_summary(args, services, &settings, &facts)?;
    test(args, global, services, printer, facts);
    Ok(CliExit::Success)
}

fn facts(done: &RollbackReport) -> Value {
    json!({
        "mode": "rollback",
        "rollback_target": done.hash,
        "target": done.hash,
        "previous": done.previous,
        "safety": done.safety,
        "safety_reference": done.safety_reference,
        "warnings": done.warnings,
    })
}

/// Tests the state that is back, unless that is not wanted or cannot be; says what came of it.
fn test(
    args: &RunModeArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
    facts: Value,
) {
    let why_not = if args.no_test {
        Some("--no-test".to_owned())
    } else {
        // What the target says may differ from what was in force before.
        match services.settings(global) {
            Err(trouble) => Some(trouble.to_string()),
            Ok(settings) if args.verify_only => {
                let missing = settings.require_file().err();
                missing.map(|missing| missing.to_string())
            }
            Ok(settings) => untestable(services, &settings),
        }
    };
    if let Some(why) = why_not {
        printer.note(&format!("no test after the rollback: {why}"));
        return end(printer, facts, &json!({ "skipped": why }));
    }
    printer.note("auto test after rollback");
    let test = RunModeArgs {
        clean: true,
        ..args.clone()
    };
    let frame = RunOrigin {
        rollback: Some(facts.clone()),
    };
    match run::run_mode_with_summary(RunMode::Test, &test, global, services, printer, &frame) {
        Ok(CliExit::Success) => {}
        Ok(_) => printer.alert("the rollback is done; the test after it failed"),
        Err(trouble) => {
            printer.alert(&format!(
                "the rollback is done; the test after it did not run: {trouble}"
            ));
            end(printer, facts, &json!({ "error": trouble.to_string() }));
        }
    }
}

/// Prints the document of a rollback whose test has printed none.
fn end(printer: &Printer, mut facts: Value, test: &Value) {
    if let Some(map) = facts.as_object_mut() {
        map.insert("test".into(), test.clone());
        map.insert("exit_code".into(), CliExit::Success.code().into());
    }
    printer.document(&facts);
}

/// Says why no job can run here.
fn untestable(services: &dyn ServiceFactory, settings: &Settings) -> Option<String> {
    if let Err(missing) = settings.require_file() {
        return Some(missing.to_string());
    }
    let missing = settings.missing_api_keys();
    let replayed = services.replay_notice(settings).is_some();
    let needed = !missing.is_empty() && !replayed;
    needed.then(|| format!("{} not set", missing.join(" and ")))
}

fn told(done: &RollbackReport, printer: &Printer) {
    printer.line(&format!("rollback {}", done.hash));
    for warning in &done.warnings {
        printer.alert(&format!("warning: {warning}"));
    }
    for file in &done.kept {
        printer.alert(&format!(
            "{file} stays as it is: the target has only the template of `tos init`"
        ));
    }
    printer.note(&format!("head {}", done.hash));
    printer.note(&format!(
        "kept {} (`tos checkpoint undo` returns to it)",
        done.safety_reference
    ));
    printer.note("rollback done");
}

/// Reads the hash of the last checkpoint; none means that the newest checkpoint ref is meant.
fn last_checkpoint(
    services: &dyn ServiceFactory,
    settings: &Settings,
    printer: &Printer,
) -> Result<Option<String>, CliError> {
    let file = &settings.paths.last_checkpoint;
    let Some(bytes) = services.read_root_file(settings, file) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes);
    let hash = text.trim_start_matches('\u{feff}').trim().to_owned();
    if hash.len() < 4 || !hash.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(CliError::NotDone(format!(
            "{} does not hold a commit hash; name the commit with `--target-commit`",
            file.display()
        )));
    }
    printer.note(&format!("using last_checkpoint {hash}"));
    Ok(Some(hash))
}
