//! `tos worker`: makes attempts for a controller on another machine. `tos workers`: who does.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use clap::{Args, Subcommand};
use futures_util::future::join_all;
use serde_json::json;

use crate::{
    domain::{
        board::{AgentRole, check_labels},
        cluster::{PROTOCOL_VERSION, WorkerInfo, WorkerState, is_plain_name},
        ledger::SessionStart,
        tasks::SandboxDemand,
    },
    interfaces::cli::{
        cluster_args::ClusterArgs,
        commands::task,
        common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
        services,
        task_services::{ContainerMaker, TaskServices},
    },
    ports::{
        agent_runners::ConfinementFacts, approvals::Approvals, cluster::Error as ClusterError,
        process_logs::ProcessLogs,
    },
    services::{
        board::{self, AttemptServices},
        plan_worker::serve_plan_tasks,
        tasks::SessionPorts,
    },
};

/// Options of `tos worker`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct WorkerArgs {
    #[command(subcommand)]
    verb: Option<WorkerVerb>,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// What this worker does: worker, tester, docser; several are separated by commas; none = no attempts of a board
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "worker,tester,docser",
        value_name = "ROLES"
    )]
    roles: Vec<String>,
    /// What this machine has, such as gpu or os=linux: tasks that require it come here; may be repeated
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// How many tasks of plans it makes at a time (`tos plan run --nats`). Unless their policy is enforced they may do here whatever this user may
    #[arg(long, default_value_t = 0, value_name = "N")]
    plan_slots: u16,
    /// Judge and confine every task of a plan here, whatever the plan says about its `policy`
    #[arg(long)]
    enforce: bool,
    /// How many attempts it makes at a time
    #[arg(long, default_value_t = 1, value_name = "N")]
    slots: u16,
    /// What it is called; without it the name of the folder and the number of the process
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How long attempts may go on after the first request to stop, in seconds
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    drain: u64,
}

/// What is done about a worker from afar.
#[derive(Debug, Subcommand)]
enum WorkerVerb {
    /// Let a worker end what it does and take nothing new
    Drain(DrainArgs),
    /// Let it take work again
    Undrain(DrainArgs),
}

/// Which worker.
#[derive(Debug, Args)]
struct DrainArgs {
    /// Its name; `tos workers` lists them
    #[arg(required_unless_present = "all")]
    name: Option<String>,
    /// Every worker, those that come later too
    #[arg(long, conflicts_with = "name")]
    all: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Options of `tos workers`.
#[derive(Debug, Args)]
pub struct WorkersArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
}

fn told(error: ClusterError) -> CliError {
    CliError::NotDone(error.0)
}

/// Works until a stop is asked for.
pub fn main(
    args: &WorkerArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    match &args.verb {
        Some(WorkerVerb::Drain(drain)) => return drained(drain, true, global, services, printer),
        Some(WorkerVerb::Undrain(drain)) => {
            return drained(drain, false, global, services, printer);
        }
        None => {}
    }
    let url = args.cluster.require_url()?;
    let card = card(args, global, services)?;
    // The ledger of this repository is nobody's: its commits vouch for the controller's.
    let task_services = services.lock_task_services(global)?;
    for line in task_services
        .tools
        .worktrees
        .recover_crashed()
        .map_err(|error| CliError::NotDone(error.to_string()))?
    {
        printer.note(&line);
    }
    let confined =
        task::hosts_confinement(&[], SandboxDemand::default(), &task_services, services)?;
    let card = WorkerInfo {
        wall: confined.backend.clone(),
        ..card
    };
    let name = card.name.clone();
    let (mut members, mut queues, mut plans) = (Vec::new(), Vec::new(), Vec::new());
    for cluster in args.cluster.split_by_board() {
        let (member, plan_member) = services.worker_cluster(global, &cluster, &name)?;
        let told_here = printer.clone();
        let notices = Box::new(move |line: &str| told_here.line(line));
        queues.push(member.orders(card.clone(), notices).map_err(told)?);
        members.push(member);
        if card.plan_slots > 0 {
            plans.push(plan_member.plan_orders(card.clone()).map_err(told)?);
        }
    }
    let own = services.worker_services(global);
    let words = args.enforce.then(|| "--enforce".to_owned());
    let maker = (own.task_maker)(words.into_iter().collect());
    let context = context(
        &task_services,
        confined,
        (own.logs, own.approvals, own.containers),
    )?;
    printer.line(&format!(
        "the worker {name} takes work from {url}; Ctrl-C lets it end what it does"
    ));
    let drain = Duration::from_secs(args.drain);
    services::block_on(services, move |stop| {
        Box::pin(async move {
            let slots = card.plan_slots;
            let plans = plans.into_iter().map(|queue| {
                let (maker, stop) = (Arc::clone(&maker), stop.clone());
                Box::pin(serve_plan_tasks(queue, maker, slots, stop, drain))
            });
            let attempts = board::serve_orders(queues, context, card, stop.clone(), drain);
            tokio::join!(attempts, join_all(plans));
        })
    })?;
    drop((members, task_services));
    printer.line("stopped");
    Ok(CliExit::Success)
}

/// Returns what a worker says of itself.
fn card(
    args: &WorkerArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
) -> Result<WorkerInfo, CliError> {
    let mut labels = args.labels.clone();
    labels.sort();
    labels.dedup();
    check_labels(&labels).map_err(|why| CliError::usage(&format!("--label: {why}")))?;
    let name = match &args.name {
        Some(name) if is_worker_name(name) => name.clone(),
        Some(name) => {
            return Err(CliError::usage(&format!(
                "--name: `{name}` is none; letters, digits, `-` and `_` are possible"
            )));
        }
        None => {
            let folder = services.folder_name(global);
            let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
            let folder = folder.replace(|letter: char| !plain(letter), "_");
            format!("{folder}-{}", std::process::id())
        }
    };
    Ok(WorkerInfo {
        name,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL_VERSION,
        roles: roles(&args.roles)?,
        slots: args.slots.max(1),
        plan_slots: args.plan_slots,
        labels,
        ..WorkerInfo::default()
    })
}

/// Says whether a worker may be called so: its name is one part of a subject.
fn is_worker_name(name: &str) -> bool {
    is_plain_name(name) && !name.contains('.')
}

/// Lets a worker take nothing new, or take work again.
fn drained(
    args: &DrainArgs,
    is_on: bool,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    args.cluster.require_url()?;
    let name = args.name.as_deref();
    if let Some(name) = name.filter(|name| !is_worker_name(name)) {
        return Err(CliError::usage(&format!(
            "no worker can be called `{name}`"
        )));
    }
    for cluster in args.cluster.split_by_board() {
        let member = services.join_cluster(global, &cluster, "tos worker drain")?;
        let workers = member.view().map_err(told)?.workers;
        let is_there = name.is_none_or(|name| workers.iter().any(|card| card.name == name));
        let controls = member.drain(name, is_on).map_err(told)?;
        let who = name.map_or_else(
            || "every worker".to_owned(),
            |name| format!("the worker {name}"),
        );
        let line = match (is_on, is_there) {
            (true, true) => format!("{who} ends what it does and takes nothing new"),
            (true, false) => format!("{who} is not there now; when it comes it takes nothing"),
            (false, _) if controls.drains_everybody() => {
                return Err(CliError::NotDone(
                    "all workers are told to take nothing new: `tos worker undrain --all`"
                        .to_owned(),
                ));
            }
            (false, _) => format!("{who} takes work again"),
        };
        printer.line(&line);
    }
    Ok(CliExit::Success)
}

/// Builds what a worker works with; what is missing comes with each order.
fn context(
    task_services: &TaskServices,
    confined: ConfinementFacts,
    (logs, approvals, containers): (Arc<dyn ProcessLogs>, Arc<dyn Approvals>, ContainerMaker),
) -> Result<Arc<AttemptServices>, CliError> {
    let runners = Arc::clone(&task_services.tools.runners);
    Ok(Arc::new(AttemptServices {
        instance: task_services.run.clone(),
        // What follows comes with each order.
        list: serde_json::from_value(json!({
            "schema": 1, "id": "board", "agent": { "kind": "command", "args": ["true", "{prompt}"] }, "task": []
        }))
        .map_err(|error| CliError::NotDone(error.to_string()))?,
        agents: BTreeMap::new(),
        test_command: Vec::new(),
        start: SessionStart {
            backend: confined.backend,
            capabilities: confined.capabilities,
            pid: std::process::id(),
            ..SessionStart::default()
        },
        tools: SessionPorts {
            approvals,
            ..task_services.tools.clone()
        },
        logs,
        containers: containers(runners),
    }))
}

fn roles(words: &[String]) -> Result<Vec<AgentRole>, CliError> {
    if words == ["none"] {
        return Ok(Vec::new());
    }
    let known = [AgentRole::Worker, AgentRole::Tester, AgentRole::Docser];
    let found = words.iter().map(|word| {
        let role = known.into_iter().find(|role| role.as_str() == word.trim());
        role.ok_or_else(|| {
            CliError::usage(&format!(
                "--roles: `{word}` is none; they are worker, tester, docser"
            ))
        })
    });
    found.collect()
}

/// Lists the workers that were heard of lately.
pub fn list_main(
    args: &WorkersArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    args.cluster.require_url()?;
    let member = services.join_cluster(global, &args.cluster, "tos workers")?;
    let view = member.view().map_err(told)?;
    if view.workers.is_empty() {
        printer.line("no worker was heard of in the last 30 seconds");
    }
    for card in &view.workers {
        printer.line(&card_words(card, &view.state_of(card)));
    }
    printer.line(&format!(
        "{} of {} slots busy; {} orders wait, {} are under way, {} of these were given out again",
        view.running_attempts(),
        view.slots(),
        view.queued,
        view.under_way,
        view.redelivered
    ));
    printer.document(&json!({
        "workers": view.workers,
        "lost": view.lost,
        "slots": view.slots(),
        "busy": view.running_attempts(),
        "queued": view.queued,
        "underWay": view.under_way,
        "redelivered": view.redelivered,
    }));
    Ok(CliExit::Success)
}

fn card_words(card: &WorkerInfo, state: &WorkerState) -> String {
    let roles: Vec<&str> = card.roles.iter().map(|role| role.as_str()).collect();
    let state = match state {
        WorkerState::TakesWork => "there".to_owned(),
        WorkerState::NoWork(why) => format!("gets no work: {why}"),
        WorkerState::Lost(since) => format!("lost since {}", since.format("%H:%M:%S")),
    };
    let labels = if card.labels.is_empty() {
        String::new()
    } else {
        format!("  {}", card.labels.join(","))
    };
    let plans = if card.plan_slots > 0 {
        format!("  plans {}", card.plan_slots)
    } else {
        String::new()
    };
    format!(
        "{}  {}{labels}{plans}  {} of {} busy  {state}  tos {}  wall {}",
        card.name,
        roles.join(","),
        card.busy.len(),
        card.slots,
        card.version,
        card.wall
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_worker_is_not_said_to_be_there() {
        let card = WorkerInfo {
            name: "one".to_owned(),
            ..WorkerInfo::default()
        };
        let since = chrono::DateTime::from_timestamp(3723, 0).unwrap();
        let told = card_words(&card, &WorkerState::Lost(since.fixed_offset()));
        assert!(told.contains("lost since 01:02:03"), "{told}");
        assert!(!told.contains("there"), "{told}");
        let told = card_words(&card, &WorkerState::TakesWork);
        assert!(told.contains("  there  "), "{told}");
    }
}
