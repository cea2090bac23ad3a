//! `tos worker`: makes attempts for a controller on another machine. `tos workers`: who does.

use std::{collections::BTreeMap, sync::Arc};

use clap::Args;
use serde_json::json;

use crate::{
    domain::{
        board::Role,
        cluster::{PROTOCOL, WorkerCard},
        ledger::SessionStart,
        tasks::SandboxDemand,
    },
    interfaces::{
        cli::{
            args::GlobalArgs,
            cluster_args::ClusterArgs,
            commands::task,
            exit::{CliError, CliExit},
            services,
            services::ServiceFactory,
            task_services::{TaskServices, WorkerServices},
        },
        report::Printer,
    },
    ports::agent_runners::ConfinementFacts,
    services::{
        board::{self, AttemptContext},
        tasks::SessionPorts,
    },
};

/// Options of `tos worker`.
#[derive(Debug, Args)]
pub struct WorkerArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// What this worker does: worker, tester, docser; several are separated by commas
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "worker,tester,docser",
        value_name = "ROLES"
    )]
    roles: Vec<String>,
    /// How many attempts it makes at a time
    #[arg(long, default_value_t = 1, value_name = "N")]
    slots: u16,
    /// What it is called; without it the name of the folder and the number of the process
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Options of `tos workers`.
#[derive(Debug, Args)]
pub struct WorkersArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Works until a stop is asked for.
pub fn main(
    args: &WorkerArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    args.cluster.needed()?;
    let roles = roles(&args.roles)?;
    // The ledger of this repository is nobody's: its commits vouch for the controller's.
    let task_services = services.task_desk(global)?;
    for line in task_services
        .tools
        .worktrees
        .clean()
        .map_err(|error| CliError::NotDone(error.to_string()))?
    {
        printer.note(&line);
    }
    let confined = task::confined_for(&[], SandboxDemand::default(), &task_services, services)?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => format!("{}-{}", services.folder_name(global), std::process::id()),
    };
    let card = WorkerCard {
        name: name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL,
        roles,
        slots: args.slots.max(1),
        wall: confined.backend.clone(),
        ..WorkerCard::default()
    };
    let member = services.cluster(global, &args.cluster, &name)?;
    let orders = member
        .orders(card.clone())
        .map_err(|error| CliError::NotDone(error.0))?;
    let context = context(&task_services, confined, services.worker_services(global))?;
    printer.line(&format!(
        "the worker {name} takes work from {}; Ctrl-C lets it end what it does",
        args.cluster.needed()?
    ));
    services::block_on(services, move |stop| {
        Box::pin(board::serve_orders(orders, context, card, stop))
    })?;
    drop((member, task_services));
    printer.line("stopped");
    Ok(CliExit::Success)
}

/// Builds what a worker works with; what is missing comes with each order.
fn context(
    task_services: &TaskServices,
    confined: ConfinementFacts,
    own: WorkerServices,
) -> Result<Arc<AttemptContext>, CliError> {
    let runners = Arc::clone(&task_services.tools.runners);
    Ok(Arc::new(AttemptContext {
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
            approvals: own.approvals,
            ..task_services.tools.clone()
        },
        logs: own.logs,
        containers: (own.containers)(runners),
    }))
}

fn roles(words: &[String]) -> Result<Vec<Role>, CliError> {
    let known = [Role::Worker, Role::Tester, Role::Docser];
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
    args.cluster.needed()?;
    let member = services.cluster(global, &args.cluster, "tos workers")?;
    let cards = member
        .workers()
        .map_err(|error| CliError::NotDone(error.0))?;
    if cards.is_empty() {
        printer.line("no worker was heard of in the last 30 seconds");
    }
    for card in &cards {
        let roles: Vec<&str> = card.roles.iter().map(|role| role.as_str()).collect();
        let state = match (card.protocol == PROTOCOL, card.draining) {
            (false, _) => "another version: it gets no work",
            (true, true) => "ending",
            (true, false) => "there",
        };
        printer.line(&format!(
            "{}  {}  {} of {} busy  {}  tos {}  wall {}",
            card.name,
            roles.join(","),
            card.busy.len(),
            card.slots,
            state,
            card.version,
            card.wall
        ));
    }
    printer.document(&json!({ "workers": cards }));
    Ok(CliExit::Success)
}
