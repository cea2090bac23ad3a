//! `tos board plan|plans|accept|decline`: requirements and the tasks that come of them.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Subcommand;
use serde_json::{Value, json};

use super::service_client::{RequestFn, percent_encode, print_answer};
use crate::{
    config::service,
    interfaces::cli::common::{CliError, CliExit, Printer, ServiceFactory},
};

/// How often it is looked whether the plan is there.
const LOOK: Duration = Duration::from_millis(200);

/// Verbs about requirements, and the one that ends a run.
#[derive(Debug, Subcommand)]
pub(super) enum PlanVerb {
    /// End one run; its task goes back to the queue
    CancelRun {
        /// The run
        run: String,
        /// What the next attempt is told
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Plan a requirement: make its tasks, by the planner of config/service.toml
    Plan {
        /// The file with the requirement
        file: PathBuf,
        /// Show the tasks and make none; `tos board accept` makes them
        #[arg(long)]
        dry_run: bool,
    },
    /// List the requirements and what became of them
    Plans,
    /// Make the tasks of a plan that waits for your answer
    Accept {
        /// The plan
        plan: String,
    },
    /// Do not make the tasks of a plan
    Decline {
        /// The plan
        plan: String,
    },
}

/// Requirements, and the run that is ended.
pub(super) fn main(
    verb: &PlanVerb,
    ask: RequestFn<'_>,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    match verb {
        PlanVerb::CancelRun { run, note } => {
            let path = format!("/runs/{}/cancel", percent_encode(run));
            print_answer(
                &ask("POST", &path, json!({ "note": note }))?,
                "cancelled; its task is back in the queue",
                printer,
            );
        }
        PlanVerb::Plan { file, dry_run } => {
            return plan(file, *dry_run, ask, services, printer);
        }
        PlanVerb::Plans => list(ask, printer)?,
        PlanVerb::Accept { plan } => decide(plan, true, ask, printer)?,
        PlanVerb::Decline { plan } => decide(plan, false, ask, printer)?,
    }
    Ok(CliExit::Success)
}

/// Hands a requirement in, waits for what comes of it, and shows it.
fn plan(
    file: &Path,
    dry_run: bool,
    ask: RequestFn<'_>,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let text = service::read_requirement(file).map_err(CliError::Setup)?;
    let asked = ask(
        "POST",
        "/plans",
        json!({ "content": text, "preview": dry_run }),
    )?;
    let path = format!("/plans/{}", asked["id"]);
    let found = loop {
        let found = ask("GET", &path, Value::Null)?;
        if found["status"] != "planning" {
            break found;
        }
        services.self_process().sleep(LOOK);
    };
    show(&found, printer);
    printer.document(&found);
    let word = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    if word("status") == "failed" {
        return Err(CliError::NotDone(format!(
            "plan-{} failed: {}",
            found["id"],
            word("detail")
        )));
    }
    Ok(CliExit::Success)
}

fn show(plan: &Value, printer: &Printer) {
    let id = &plan["id"];
    let detail = plan["detail"].as_str().unwrap_or_default();
    match plan["status"].as_str().unwrap_or_default() {
        "planned" => {
            for task in plan["tasks"].as_array().into_iter().flatten() {
                let after = after(task, "task-");
                printer.line(&format!(
                    "task-{}: {}{after}",
                    task["id"],
                    word(task, "title")
                ));
            }
        }
        "proposed" => {
            for task in plan["proposal"].as_array().into_iter().flatten() {
                let paths = task["paths"].as_array().into_iter().flatten();
                let paths: Vec<&str> = paths.filter_map(Value::as_str).collect();
                let paths = match paths.as_slice() {
                    [] => String::new(),
                    paths => format!(" [{}]", paths.join(", ")),
                };
                let known = task["knownAs"]
                    .as_u64()
                    .map_or_else(String::new, |id| format!("  (is there already: task-{id})"));
                printer.line(&format!(
                    "{}. {}{paths}{}{known}",
                    task["place"],
                    word(task, "title"),
                    after(task, "")
                ));
            }
            printer.line(&format!(
                "nothing is made yet; `tos board accept {id}` makes these tasks, `tos board decline {id}` does not"
            ));
        }
        "nothing_left" => printer.line(&format!("nothing is left to do: {detail}")),
        _ => {}
    }
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn after(task: &Value, prefix: &str) -> String {
    let needed = task["dependencies"].as_array().into_iter().flatten();
    let needed: Vec<String> = needed.map(|one| format!("{prefix}{one}")).collect();
    if needed.is_empty() {
        String::new()
    } else {
        format!("  after {}", needed.join(", "))
    }
}

/// Lists the requirements.
fn list(ask: RequestFn<'_>, printer: &Printer) -> Result<(), CliError> {
    let answer = ask("GET", "/plans", Value::Null)?;
    for plan in answer["plans"].as_array().into_iter().flatten() {
        let first = word(plan, "requirement").lines();
        let first = first.map(str::trim).find(|line| !line.is_empty());
        let again = plan["round"].as_u64().filter(|round| *round > 0);
        let again = again.map_or_else(String::new, |round| format!(", planned again {round}"));
        let tasks = if word(plan, "status") == "proposed" {
            &plan["proposal"]
        } else {
            &plan["tasks"]
        };
        printer.line(&format!(
            "plan-{}  {:<12} {} tasks{again}  {}  {}",
            plan["id"],
            word(plan, "status"),
            tasks.as_array().map_or(0, Vec::len),
            first.unwrap_or_default(),
            word(plan, "detail")
        ));
    }
    printer.document(&answer);
    Ok(())
}

/// Accepts or declines the tasks of a plan.
fn decide(plan: &str, accept: bool, ask: RequestFn<'_>, printer: &Printer) -> Result<(), CliError> {
    let id = percent_encode(plan.trim_start_matches("plan-"));
    let answer = ask("POST", &format!("/plans/{id}"), json!({ "accept": accept }))?;
    let words = if accept {
        "its tasks are made; `tos board list` shows them"
    } else {
        "declined; nothing is made"
    };
    print_answer(&answer, words, printer);
    Ok(())
}
