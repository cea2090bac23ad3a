//! `tos proc` and `tos hatch`: the processes of the service.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    board::told,
    service_client::{ServiceClient, in_path},
};
use crate::{
    config::task_list,
    interfaces::{
        cli::{
            args::GlobalArgs,
            exit::{CliError, CliExit},
            services::ServiceFactory,
        },
        report::Printer,
    },
};

/// Options of `tos proc`.
#[derive(Debug, Args)]
pub struct ProcArgs {
    #[command(subcommand)]
    verb: ProcVerb,
}

#[derive(Debug, Subcommand)]
enum ProcVerb {
    /// List the processes
    List,
    /// Start a process: planner, dispatcher, cycle-manager, judge, worker-1 and so on
    Start {
        /// Its name
        name: String,
        /// For the planner: the file that says what is required
        #[arg(long, value_name = "FILE")]
        requirement: Option<PathBuf>,
    },
    /// Stop a process; its task goes back to the queue, and it stays stopped
    Stop {
        /// Its name
        name: String,
    },
    /// Stop everything and bring running tasks back to the queue
    StopAll,
    /// Show the end of a log
    Logs {
        /// The process; all of them if absent
        name: Option<String>,
    },
}

/// Options of `tos hatch`.
#[derive(Debug, Args)]
pub struct HatchArgs {
    #[command(subcommand)]
    verb: HatchVerb,
}

#[derive(Debug, Subcommand)]
enum HatchVerb {
    /// Say whether processes are kept running
    Status,
    /// Keep processes running
    Arm,
    /// Do not keep processes running
    Disarm,
}

/// Does what the verb says.
pub fn main(
    args: &ProcArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let client = ServiceClient::find(global, services)?;
    let by = services
        .variable("USER")
        .unwrap_or_else(|| "cli".to_owned());
    match &args.verb {
        ProcVerb::List => {
            let answer = client.ask("GET", "/system/processes", &Value::Null)?;
            for process in answer["processes"].as_array().into_iter().flatten() {
                let word = |name: &str| process[name].as_str().unwrap_or_default();
                printer.line(&format!(
                    "{:<14} {:<10} {}",
                    word("name"),
                    word("status"),
                    word("message")
                ));
            }
            printer.document(&answer);
        }
        ProcVerb::Start { name, requirement } => {
            let content = match requirement {
                Some(file) => Some(
                    task_list::text(file).map_err(|error| CliError::Setup(error.to_string()))?,
                ),
                None => None,
            };
            let path = format!("/system/processes/{}/start", in_path(name));
            told(
                &client.ask("POST", &path, &json!({ "content": content, "by": by }))?,
                "started",
                printer,
            );
        }
        ProcVerb::Stop { name } => {
            let path = format!("/system/processes/{}/stop", in_path(name));
            told(
                &client.ask("POST", &path, &json!({ "by": by }))?,
                "stopped",
                printer,
            );
        }
        ProcVerb::StopAll => {
            let answer = client.ask("POST", "/system/processes/stop-all", &json!({ "by": by }))?;
            printer.line(&format!(
                "{} processes stopped, {} runs cancelled, {} tasks back in the queue",
                answer["stopped"], answer["cancelled_runs"], answer["requeued_tasks"]
            ));
            printer.document(&answer);
        }
        ProcVerb::Logs { name } => {
            let path = name.as_ref().map_or_else(
                || "/logs/all".to_owned(),
                |name| format!("/logs/agents/{}", in_path(name)),
            );
            let answer = client.ask("GET", &path, &Value::Null)?;
            for line in answer["lines"].as_array().into_iter().flatten() {
                printer.line(line.as_str().unwrap_or_default());
            }
            printer.document(&answer);
        }
    }
    Ok(CliExit::Success)
}

/// Does what the verb says.
pub fn hatch_main(
    args: &HatchArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let client = ServiceClient::find(global, services)?;
    let source = services
        .variable("USER")
        .unwrap_or_else(|| "cli".to_owned());
    match args.verb {
        HatchVerb::Status => {
            let hatch = client.ask("GET", "/system/hatch", &Value::Null)?;
            let word = if hatch["armed"] == true {
                "armed"
            } else {
                "disarmed"
            };
            printer.line(&format!(
                "{word} ({})",
                hatch["source"].as_str().unwrap_or_default()
            ));
            printer.document(&hatch);
        }
        HatchVerb::Arm => {
            let answer = client.ask(
                "POST",
                "/system/hatch",
                &json!({ "armed": true, "source": source }),
            )?;
            told(&answer, "armed", printer);
        }
        HatchVerb::Disarm => {
            let answer = client.ask(
                "POST",
                "/system/hatch",
                &json!({ "armed": false, "source": source }),
            )?;
            told(&answer, "disarmed", printer);
        }
    }
    Ok(CliExit::Success)
}
