//! `--mode rollback`: back to a checkpoint, then the automatic test from a clean start.

use serde_json::json;

use super::{
    checkpoint_mode,
    run::{self, Frame},
};
use crate::{
    domain::checkpoint::{RollBack, RolledBack},
    interfaces::{
        cli::{
            args::{Global, Mode, ModeArgs},
            exit::{Exit, Trouble},
            kit::{self, Kit},
        },
        report::Printer,
    },
};

/// Rolls back, then tests.
pub fn main(
    args: &ModeArgs,
    global: &Global,
    kit: &dyn Kit,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let settings = kit.settings(global)?;
    let lock = kit.lock(&settings, "--mode rollback")?;
    let target = match &args.target_commit {
        Some(target) => Some(target.clone()),
        None => last_checkpoint(kit, &settings, printer)?,
    };
    printer.note("rollback start");
    let order = RollBack {
        target,
        discard: args.discard,
    };
    let checkpoints = kit.checkpoints(&settings);
    let done = kit::block_on(kit, move |_stop| {
        Box::pin(async move { checkpoints.roll_back(&order).await })
    })??;
    drop(lock);
    told(&done, printer);
    let facts = json!({
        "mode": "rollback",
        "rollback_target": done.hash,
        "target": done.hash,
        "previous": done.previous,
        "safety": done.safety,
        "safety_reference": done.safety_reference,
        "warnings": done.warnings,
    });
    checkpoint_mode::summary(args, kit, &settings, &facts)?;
    printer.note("auto test after rollback");
    let test = ModeArgs {
        clean: true,
        ..args.clone()
    };
    let frame = Frame {
        rollback: Some(facts),
    };
    let tested = run::framed(Mode::Test, &test, global, kit, printer, &frame);
    // Whatever keeps the test from running: the rollback itself is done, so the input was not wrong.
    let exit = tested.unwrap_or_else(|trouble| match trouble.show(printer) {
        Exit::Invalid => Exit::NotDone,
        other => other,
    });
    if exit != Exit::Success {
        printer.line("test after rollback failed");
    }
    Ok(exit)
}

fn told(done: &RolledBack, printer: &Printer) {
    for warning in &done.warnings {
        printer.alert(&format!("warning: {warning}"));
    }
    printer.note(&format!("head {}", done.hash));
    printer.note(&format!(
        "kept {} (`tos checkpoint undo` returns to it)",
        done.safety_reference
    ));
    printer.note("rollback done");
    printer.line(&format!("rollback {}", done.hash));
}

/// Reads the hash of the last checkpoint; none means that the newest checkpoint ref is meant.
fn last_checkpoint(
    kit: &dyn Kit,
    settings: &crate::config::Settings,
    printer: &Printer,
) -> Result<Option<String>, Trouble> {
    let file = &settings.paths.last_checkpoint;
    let Some(bytes) = kit.read(settings, file) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes);
    let hash = text.trim_start_matches('\u{feff}').trim().to_owned();
    if hash.len() < 4 || !hash.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(Trouble::NotDone(format!(
            "{} does not hold a commit hash; name the commit with `--target-commit`",
            file.display()
        )));
    }
    printer.note(&format!("using last_checkpoint {hash}"));
    Ok(Some(hash))
}
