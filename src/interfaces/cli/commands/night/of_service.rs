//! `tos night follow` and `tos night cancel`: what a service carries out is shown, or ended.

use serde_json::json;

use crate::interfaces::cli::{
    commands::{
        service_client::ServiceClient,
        session_client,
        task_screen::{TaskScreen, exit_code},
    },
    common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
};

/// `tos night follow`: shows a session until it ends; a request to stop leaves it alone here.
pub(super) fn follow(
    session: Option<&str>,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let client = ServiceClient::find(global, services)?;
    let id = session_client::resolve_session(&client, session)?;
    let screen = TaskScreen {
        ask: |_| None,
        printer: printer.clone(),
        asks: false,
    };
    let report = session_client::follow(id, &screen, global, services)?;
    printer.line(&format!(
        "session-{id} ended: {}; `tos night summary {}` tells what came of it",
        report.stop.label(),
        report.run
    ));
    printer
        .document(&json!({ "session": id, "run": report.run, "ended_by": report.stop.as_str() }));
    Ok(exit_code(&report))
}

/// `tos night cancel`: ends a session.
pub(super) fn cancel(
    session: Option<&str>,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let client = ServiceClient::find(global, services)?;
    let id = session_client::resolve_session(&client, session)?;
    let told = session_client::cancel(&client, id, "tos night cancel")?;
    let text = told["message"].as_str().map_or_else(
        || format!("session-{id} is ending: the task at work is undone, accepted work stays"),
        str::to_owned,
    );
    printer.line(&text);
    printer.document(&told);
    Ok(CliExit::Success)
}
