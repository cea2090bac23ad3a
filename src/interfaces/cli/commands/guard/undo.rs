//! `tos guard undo`: brings back what a checkpoint of the guard holds.

use std::path::Path;

use serde_json::json;

use super::UndoArgs;
use crate::{
    domain::guard::{checkpoint::CheckpointCause, log::LogEntry},
    interfaces::cli::common::{CliError, CliExit, Printer, ServiceFactory},
};

/// Lists checkpoints, or returns to one.
pub(super) fn main(
    args: &UndoArgs,
    folder: Option<&Path>,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let place = services.guard_project(folder);
    match args.id {
        Some(number) if !args.list => restore(number, &place.root, services, printer),
        _ => list(&place.root, services, printer),
    }
}

fn list(
    root: &Path,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let all = if root.is_dir() {
        services.guard_checkpoints().list(root)?
    } else {
        Vec::new()
    };
    for one in &all {
        let cause = &one.record.cause;
        let time = cause
            .time
            .get(..19)
            .unwrap_or(&cause.time)
            .replace('T', " ");
        printer.shown(&format!(
            "{:>4}  {time}  {}: {}",
            one.number,
            cause.agent,
            one.describe()
        ));
        // Older versions kept more.
        let command = services.redact(&cause.command).replace('\n', " ");
        let command: String = command.chars().take(100).collect();
        printer.shown(&format!("      before `{command}`"));
    }
    if all.is_empty() {
        printer.shown("the guard has made no checkpoint in this project");
    } else {
        printer.note("`tos guard undo NUMBER` brings one back");
    }
    printer.document(&json!({ "checkpoints": all }));
    Ok(CliExit::Success)
}

fn restore(
    number: u32,
    root: &Path,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let cause = CheckpointCause {
        time: services.time_stamp(),
        agent: "undo".to_owned(),
        session: String::new(),
        command: format!("tos guard undo {number}"),
    };
    let done = services.guard_checkpoints().restore(root, number, &cause)?;
    for file in &done.restored {
        printer.shown(&format!("restored {file}"));
    }
    for reference in &done.references {
        printer.shown(&format!("restored {reference}"));
    }
    if done.restored.is_empty() && done.references.is_empty() {
        printer.shown("everything is as the checkpoint has it; nothing changed");
    }
    if let Some(replaced) = done.replaced {
        printer.note(&format!(
            "what stood there before is checkpoint {replaced}; `tos guard undo {replaced}` brings that back"
        ));
    }
    for note in &done.notes {
        printer.note(note);
    }
    drop(services.guard_log().append(&LogEntry {
        time: cause.time,
        kind: "undone".to_owned(),
        agent: cause.agent,
        root: root.display().to_string(),
        subject: cause.command,
        checkpoint: Some(number),
        ..LogEntry::default()
    }));
    printer.document(&json!(done));
    Ok(CliExit::Success)
}
