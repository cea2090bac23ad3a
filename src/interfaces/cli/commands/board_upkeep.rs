//! `tos board cleanup|rebuild|import`: the board as a whole.

use std::path::Path;

use serde_json::{Value, json};

use super::service_client::ServiceClient;
use crate::{
    domain::text::counted,
    interfaces::cli::common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
};

/// Removes everything, after a backup.
pub(super) fn cleanup(
    yes: bool,
    stop_first: bool,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    if !yes {
        return Err(CliError::usage(
            "this removes every task and its history; say `--yes`",
        ));
    }
    let client = ServiceClient::find(global, services)?;
    let answer = client.ask(
        "POST",
        "/system/cleanup",
        &json!({ "stopFirst": stop_first }),
    )?;
    let count = |name: &str, thing: &str| counted(answer[name].as_u64().unwrap_or_default(), thing);
    printer.line(&format!(
        "removed {} ({} of them queued), {} with {}, {}, {}, {}; {} up and idle; what happened until now is in {} ({})",
        count("tasks", "task"),
        answer["queued"],
        count("runs", "run"),
        count("artifacts", "artifact"),
        count("judgements", "judgement"),
        count("leases", "lease"),
        count("cycles", "cycle"),
        count("agents", "agent"),
        answer["archive"].as_str().unwrap_or_default(),
        count("events", "event"),
    ));
    printer.line(&processes_line(stop_first, &answer));
    printer.document(&answer);
    Ok(CliExit::Success)
}

/// Says what became of the processes.
fn processes_line(stop_first: bool, answer: &Value) -> String {
    if stop_first {
        let stopped = answer["stopped"].as_u64().unwrap_or_default();
        return format!(
            "{} stopped, and all stay so; `tos proc start-all` starts them again",
            counted(stopped, "process")
        );
    }
    "processes that run go on, and are not started again when they end (the hatch is disarmed); `tos hatch arm` keeps them running"
        .to_owned()
}

/// Takes exported events in.
pub(super) fn import(
    file: &Path,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let events = services.import_board(global, file)?;
    printer.line(&format!("{events} events taken in"));
    printer.document(&json!({ "events": events }));
    Ok(CliExit::Success)
}

/// Folds all events anew.
pub(super) fn rebuild(
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let (events, difference) = services.rebuild_board(global)?;
    let words = difference.as_deref().map_or_else(
        || "everything is what the events say".to_owned(),
        |what| format!("{what} was not what the events say, and is put right"),
    );
    printer.line(&format!("{events} events folded; {words}"));
    printer.document(&json!({ "events": events, "difference": difference }));
    Ok(CliExit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cleanup_says_what_became_of_the_processes() {
        let said = |stop_first, stopped| processes_line(stop_first, &json!({ "stopped": stopped }));
        assert!(said(true, 7).starts_with("7 processes stopped, and all stay so"));
        assert!(said(true, 1).starts_with("1 process stopped"));
        assert!(said(true, 0).starts_with("0 processes stopped"));
        let left = said(false, 0);
        assert!(
            left.contains("go on") && !left.contains("stopped"),
            "{left}"
        );
    }
}
