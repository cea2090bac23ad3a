//! `tos serve --detach`: the service in the background. The command returns when it answers, or says why it does not.

use std::time::Duration;

use serde_json::{Value, json};

use super::{serve_args::ServeArgs, service_client::ServiceClient};
use crate::{
    config::service as service_config,
    domain::state_folder::tos_path,
    interfaces::cli::common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
};

/// What the service says, below the root.
const LOG: &str = tos_path!("serve.log");
/// How often it is looked whether the service answers.
const LOOK: Duration = Duration::from_millis(50);
/// How many times.
const LOOKS: usize = 1200;
/// How many lines of its log explain why it ended.
const LAST: usize = 12;

/// Starts the service and waits until it answers.
pub(super) fn main(
    args: &ServeArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let process = services.self_process();
    let root = process.absolute(&services.root(global));
    let log = root.join(LOG);
    if let Ok(client) = ServiceClient::find(global, services)
        && client.ask("GET", "/health", &Value::Null).is_ok()
    {
        return Err(CliError::NotDone(format!(
            "a service runs here already, on http://{}; `tos open` shows its page",
            client.address()
        )));
    }
    // One that was killed leaves its address behind.
    services.remove_state_file(global, service_config::ADDRESS_FILE);
    let mut words = vec!["--root".to_owned(), root.display().to_string()];
    words.extend(["--color".to_owned(), "never".to_owned(), "serve".to_owned()]);
    for (name, value) in args.options() {
        words.extend([name.to_owned(), value]);
    }
    let mut child = process.detach(&words, &log).map_err(CliError::NotDone)?;
    let pid = child.id();
    for _ in 0..LOOKS {
        if let Some(code) = child.exit_code() {
            let said = process.read(&log).unwrap_or_default();
            let lines: Vec<&str> = said.lines().collect();
            let last = lines.len().saturating_sub(LAST);
            let last = lines.get(last..).unwrap_or_default().join("\n");
            return Err(CliError::NotDone(format!(
                "the service ended at once (exit {code}); it said:\n{last}"
            )));
        }
        if let Some(address) = answers(pid, global, services) {
            printer.line(&format!(
                "serving on http://{address} in the background (process {pid}); `tos open` shows the page, `kill {pid}` ends it"
            ));
            printer.line(&format!("what it says goes to {}", log.display()));
            printer.document(&json!({ "address": address, "pid": pid, "log": log }));
            return Ok(CliExit::Success);
        }
        process.sleep(LOOK);
    }
    Err(CliError::NotDone(format!(
        "the service does not answer yet; process {pid} goes on, and {} says what it does",
        log.display()
    )))
}

/// Returns where that process answers, once it does.
fn answers(pid: u32, global: &GlobalArgs, services: &dyn ServiceFactory) -> Option<String> {
    let document = services.service_address(global)?;
    if document["pid"].as_u64() != Some(u64::from(pid)) {
        return None;
    }
    let client = ServiceClient::find(global, services).ok()?;
    client.ask("GET", "/health", &Value::Null).ok()?;
    Some(client.address().to_owned())
}
