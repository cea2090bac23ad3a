//! `tos board cleanup|rebuild|import`: the board as a whole.

use std::path::Path;

use serde_json::json;

use super::service_client::ServiceClient;
use crate::interfaces::{
    cli::{
        args::GlobalArgs,
        exit::{CliError, CliExit},
        services::ServiceFactory,
    },
    report::Printer,
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
    printer.line(&format!(
        "removed {} tasks ({} of them queued), {} runs with {} artifacts, {} judgements, {} leases, {} cycles; \
         {} agents are idle; the {} events until now are in {}",
        answer["tasks"],
        answer["queued"],
        answer["runs"],
        answer["artifacts"],
        answer["judgements"],
        answer["leases"],
        answer["cycles"],
        answer["agents"],
        answer["events"],
        answer["archive"].as_str().unwrap_or_default()
    ));
    if stop_first {
        printer.line("everything was stopped and stays so; `tos proc start-all` starts it again");
    }
    printer.document(&answer);
    Ok(CliExit::Success)
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
