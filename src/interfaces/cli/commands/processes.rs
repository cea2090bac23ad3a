//! `tos proc` and `tos hatch`: the processes of the service.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::service_client::{ServiceClient, percent_encode, print_answer};
use crate::{
    config::task_list,
    domain::text::counted,
    interfaces::cli::common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
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
    /// Stop a process, wait for its end, and start it again
    Restart {
        /// Its name
        #[arg(required_unless_present = "for_config", conflicts_with = "for_config")]
        name: Option<String>,
        /// Exactly those that were started under other settings, in the order in which they depend on each other
        #[arg(long)]
        for_config: bool,
    },
    /// Start everything that is kept running and is not up
    StartAll,
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
    match &args.verb {
        ProcVerb::List => {
            let answer = client.ask("GET", "/system/processes", &Value::Null)?;
            for process in answer["processes"].as_array().into_iter().flatten() {
                let word = |name: &str| process[name].as_str().unwrap_or_default();
                printer.line(&format!(
                    "{:<14} {:<10} {}{}",
                    word("name"),
                    word("status"),
                    word("message"),
                    if process["needsRestart"] == true {
                        " (settings changed since; `tos proc restart --for-config`)"
                    } else {
                        ""
                    }
                ));
            }
            printer.document(&answer);
        }
        ProcVerb::Start { name, requirement } => {
            let content = match requirement {
                Some(file) => Some(
                    task_list::read_text(file)
                        .map_err(|error| CliError::Setup(error.to_string()))?,
                ),
                None => None,
            };
            let path = format!("/system/processes/{}/start", percent_encode(name));
            let body = content.map_or(Value::Null, |content| json!({ "content": content }));
            print_answer(&client.ask("POST", &path, &body)?, "started", printer);
        }
        ProcVerb::Stop { name } => {
            let path = format!("/system/processes/{}/stop", percent_encode(name));
            let answer = client.ask("POST", &path, &Value::Null)?;
            let is_stopping = answer["process"]["status"] == "stopping";
            let word = if is_stopping {
                "is being stopped"
            } else {
                "stopped"
            };
            print_answer(&answer, word, printer);
        }
        ProcVerb::Restart {
            name: Some(name), ..
        } => {
            let path = format!("/system/processes/{}/restart", percent_encode(name));
            let answer = client.ask("POST", &path, &Value::Null)?;
            print_answer(&answer, "started again", printer);
        }
        ProcVerb::Restart { name: None, .. } => return restart_for_config(&client, printer),
        ProcVerb::StartAll => return start_all(&client, printer),
        ProcVerb::StopAll => stop_all(&client, printer)?,
        ProcVerb::Logs { name } => {
            let answer = logs(name.as_deref(), &client, printer)?;
            printer.document(&answer);
        }
    }
    Ok(CliExit::Success)
}

fn stop_all(client: &ServiceClient, printer: &Printer) -> Result<(), CliError> {
    let answer = client.ask("POST", "/system/processes/stop-all", &Value::Null)?;
    let left = answer["stillStopping"].as_u64().unwrap_or_default();
    let count = |name: &str, thing: &str| counted(answer[name].as_u64().unwrap_or_default(), thing);
    printer.line(&format!(
        "{} stopped, {} cancelled, {} back in the queue; {}",
        count("stopped", "process"),
        count("cancelledRuns", "run"),
        count("requeuedTasks", "task"),
        if left == 0 {
            "nothing of them runs any more".to_owned()
        } else {
            format!("{left} are still being ended")
        }
    ));
    printer.document(&answer);
    Ok(())
}

/// Starts what is kept running and is not up.
fn start_all(client: &ServiceClient, printer: &Printer) -> Result<CliExit, CliError> {
    let answer = client.ask("GET", "/system/processes", &Value::Null)?;
    let (mut started, mut exit) = (Vec::new(), CliExit::Success);
    for process in answer["processes"].as_array().into_iter().flatten() {
        let name = process["name"].as_str().unwrap_or_default();
        let is_up = matches!(process["status"].as_str(), Some("running" | "starting"));
        if process["autoRestart"] == true && !is_up {
            let path = format!("/system/processes/{}/start", percent_encode(name));
            match client.ask("POST", &path, &Value::Null) {
                Ok(_) => started.push(name.to_owned()),
                Err(error) => {
                    printer.alert(&format!("{name}: {error}"));
                    exit = CliExit::NotDone;
                }
            }
        }
    }
    printer.line(&match started.as_slice() {
        [] if exit == CliExit::Success => "everything is up".to_owned(),
        [] => "nothing was started".to_owned(),
        names => format!("started {}", names.join(", ")),
    });
    printer.document(&json!({ "started": started }));
    Ok(exit)
}

/// Starts again what runs under other settings: what directs first, then what works. What the settings no longer name is
/// stopped.
fn restart_for_config(client: &ServiceClient, printer: &Printer) -> Result<CliExit, CliError> {
    let answer = client.ask("GET", "/system/processes", &Value::Null)?;
    let all = answer["processes"].as_array().into_iter().flatten();
    let mut stale: Vec<&Value> = all.filter(|one| one["needsRestart"] == true).collect();
    // Names come in the order of their kinds; agents that execute depend on those that direct and judge.
    stale.sort_by_key(|one| {
        let name = one["name"].as_str().unwrap_or_default();
        let order = ["cycle-manager", "dispatcher", "judge"];
        let place = order.iter().position(|first| name.starts_with(first));
        place.unwrap_or(order.len())
    });
    let (mut restarted, mut stopped, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for process in stale {
        let name = process["name"].as_str().unwrap_or_default();
        let is_wanted = process["isConfigured"] == true;
        let what = if is_wanted { "restart" } else { "stop" };
        let path = format!("/system/processes/{}/{what}", percent_encode(name));
        match client.ask("POST", &path, &Value::Null) {
            Ok(_) if is_wanted => restarted.push(name),
            Ok(_) => stopped.push(name),
            Err(error) => {
                printer.alert(&format!("{name}: {error}"));
                failed.push(name);
            }
        }
    }
    if !restarted.is_empty() {
        printer.line(&format!("started again: {}", restarted.join(", ")));
    }
    if !stopped.is_empty() {
        printer.line(&format!(
            "stopped, because the settings no longer name it: {}",
            stopped.join(", ")
        ));
    }
    if restarted.is_empty() && stopped.is_empty() && failed.is_empty() {
        printer.line("everything runs under the settings as they are");
    }
    printer.document(&json!({ "restarted": restarted, "stopped": stopped, "failed": failed }));
    Ok(if failed.is_empty() {
        CliExit::Success
    } else {
        CliExit::NotDone
    })
}

/// Shows the end of one log, or of all of them by time.
fn logs(name: Option<&str>, client: &ServiceClient, printer: &Printer) -> Result<Value, CliError> {
    if let Some(name) = name {
        let path = format!("/logs/processes/{}?lines=2000", percent_encode(name));
        let answer = client.ask("GET", &path, &Value::Null)?;
        for line in answer["log"].as_str().unwrap_or_default().lines() {
            printer.line(line);
        }
        return Ok(answer);
    }
    let answer = client.ask("GET", "/logs/all", &Value::Null)?;
    for entry in answer["entries"].as_array().into_iter().flatten() {
        let word = |name: &str| entry[name].as_str().unwrap_or_default();
        printer.line(&format!(
            "{} {} {}",
            word("timestamp"),
            word("source"),
            word("line")
        ));
    }
    Ok(answer)
}

/// Does what the verb says.
pub fn hatch_main(
    args: &HatchArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let client = ServiceClient::find(global, services)?;
    match args.verb {
        HatchVerb::Status => {
            let hatch = client.ask("GET", "/system/hatch", &Value::Null)?;
            printer.line(&hatch_line(&hatch));
            printer.document(&hatch);
        }
        HatchVerb::Arm => {
            let hatch = client.ask("POST", "/system/hatch/arm", &Value::Null)?;
            print_answer(&hatch, &hatch_line(&hatch), printer);
        }
        HatchVerb::Disarm => {
            let hatch = client.ask("POST", "/system/hatch/disarm", &Value::Null)?;
            print_answer(&hatch, &hatch_line(&hatch), printer);
        }
    }
    Ok(CliExit::Success)
}

/// Says where the hatch stands: since when, who decided, and what reverses it.
fn hatch_line(hatch: &Value) -> String {
    let word = |name: &str| hatch[name].as_str().unwrap_or_default();
    let standing = if hatch["armed"] == true {
        "armed"
    } else {
        "disarmed"
    };
    if word("since").is_empty() {
        return format!("{standing}; nobody has decided yet");
    }
    let who = if hatch["byPerson"] == true {
        "by a person"
    } else {
        "by itself"
    };
    format!(
        "{standing} since {} {who} ({}), {}",
        word("since"),
        word("source"),
        word("until")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hatch_says_since_when_who_decided_and_what_reverses_it() {
        let mut hatch = json!({
            "armed": false, "since": "2026-11-30T01:02:03Z", "source": "stop-all", "byPerson": true, "until": "until then",
        });
        let line = hatch_line(&hatch);
        assert_eq!(
            line,
            "disarmed since 2026-11-30T01:02:03Z by a person (stop-all), until then"
        );
        hatch["since"] = Value::Null;
        assert_eq!(hatch_line(&hatch), "disarmed; nobody has decided yet");
    }
}
