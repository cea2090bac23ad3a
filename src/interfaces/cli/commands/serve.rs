//! `tos serve`: the service in the foreground, until it is asked to stop.

use std::{sync::Arc, time::Duration};

use clap::Args;
use serde_json::json;

use crate::{
    config::{service as service_config, service::ServiceConfig},
    domain::{
        board::{BoardSettings, Input},
        ledger::SessionStart,
        tasks::SandboxDemand,
    },
    interfaces::{
        cli::{
            args::GlobalArgs,
            commands::task,
            exit::{CliError, CliExit},
            gate_services::GateServices,
            services,
            services::ServiceFactory,
            task_services::TaskServices,
        },
        http,
        report::Printer,
    },
    services::{
        board,
        board::{BoardHandle, ServiceContext},
    },
};

/// The file in which callers find address and token, below the state folder.
pub(super) const ADDRESS: &str = "serve.json";

/// Options of `tos serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The port on loopback; the one of config/service.toml if absent, or any free one
    #[arg(long)]
    port: Option<u16>,
    /// How long running work may take to end when the service is stopped, in seconds
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    drain: u64,
    /// Print a systemd unit that keeps the service running, and do nothing else
    #[arg(long)]
    unit: bool,
}

/// Serves until a stop is asked for.
pub fn main(
    args: &ServeArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    let root = services.root(global);
    if args.unit {
        printer.line(&unit(&root.display().to_string(), args.drain));
        return Ok(CliExit::Success);
    }
    let config = service_config::load(&root, |name| services.variable(name));
    let mut config = config.map_err(CliError::Setup)?;
    let (task_services, gate_services) = task::opened(global, services, printer)?;
    let start = circumstances(&config, &task_services, gate_services, services)?;
    config.settings.ask_before_start |= start.attended;
    let board_services = services.board_services(global)?;
    cleaned(&task_services, printer)?;
    let port = args.port.unwrap_or(config.port);
    let listener =
        bind(port).map_err(|error| CliError::NotDone(format!("127.0.0.1:{port}: {error}")))?;
    let address = listener
        .local_addr()
        .map_err(|error| CliError::NotDone(error.to_string()))?;
    let document = json!({
        "address": address.to_string(),
        "token": board_services.token,
        "pid": std::process::id(),
    });
    let clock = Arc::clone(&task_services.tools.clock);
    let (handle, effects) =
        board::start(board_services.store, clock).map_err(|error| CliError::NotDone(error.0))?;
    let logs = Arc::clone(&board_services.logs);
    let context = Arc::new(ServiceContext {
        instance: task_services.run.clone(),
        list: config.list,
        agents: config.agents,
        test_command: config.test_command,
        start,
        tools: task_services.tools.clone(),
        merges: board_services.merges,
        logs: Arc::clone(&logs),
    });
    services.write_secret(global, ADDRESS, &document.to_string())?;
    printer.line(&format!(
        "serving on http://{address}; `tos board add \"what to do\"` makes a task"
    ));
    if config.settings.ask_before_start {
        printer.line("you are asked before each task; `tos board questions` lists what waits");
    }
    let state = http::ApiState {
        handle: handle.clone(),
        logs,
        token: board_services.token.as_str().into(),
    };
    let drain = Duration::from_secs(args.drain);
    let settings = config.settings;
    let served = services::block_on(services, move |stop| {
        Box::pin(async move {
            configured(&handle, settings).await?;
            let server = api(listener, state)?;
            let ended = board::run(handle, effects, context, stop, drain).await;
            server.abort();
            ended.map_err(|error| error.to_string())
        })
    });
    services.remove_state(global, ADDRESS);
    drop(task_services);
    served?.map_err(CliError::NotDone)?;
    printer.line("stopped; what was running goes on with the next `tos serve`");
    Ok(CliExit::Success)
}

/// Keeps what an earlier service left in work trees, and takes the trees away.
fn cleaned(task_services: &TaskServices, printer: &Printer) -> Result<(), CliError> {
    let left = task_services.tools.worktrees.clean();
    for line in left.map_err(|error| CliError::NotDone(error.to_string()))? {
        printer.note(&line);
    }
    Ok(())
}

async fn configured(handle: &BoardHandle, settings: BoardSettings) -> Result<(), String> {
    let settings = Box::new(settings);
    let told = handle.submit(Input::Configure { settings }).await;
    told.map(drop).map_err(|error| error.to_string())
}

/// Starts to answer requests.
fn api(
    listener: std::net::TcpListener,
    state: http::ApiState,
) -> Result<tokio::task::JoinHandle<std::io::Result<()>>, String> {
    let listener =
        tokio::net::TcpListener::from_std(listener).map_err(|error| error.to_string())?;
    Ok(tokio::spawn(async move {
        axum::serve(listener, http::router(state)).await
    }))
}

fn bind(port: u16) -> std::io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Returns what is known of here for the ledger; `attended` says that a person is asked before each task.
fn circumstances(
    config: &ServiceConfig,
    task_services: &TaskServices,
    mut gate_services: GateServices,
    services: &dyn ServiceFactory,
) -> Result<SessionStart, CliError> {
    let mut agents = vec![&config.list.agent];
    agents.extend(config.agents.values());
    for agent in &agents {
        if let Some(what) = task_services.tools.runners.missing_credential(agent) {
            let program = agent.program();
            return Err(CliError::Setup(format!(
                "the agent `{program}` needs {what}"
            )));
        }
    }
    let hosts: Vec<String> = agents.iter().flat_map(|agent| agent.hosts()).collect();
    let confined = task::confined_for(&hosts, config.list.sandbox, task_services, services)?;
    if config.list.sandbox == SandboxDemand::Require && confined.backend == "none" {
        return Err(task::refused(
            "no wall is proved on this machine, and config/service.toml requires one",
            "tos doctor --sandbox",
        ));
    }
    gate_services.here.backend = Some(confined.backend.clone());
    let alone = gate_services.report().permission.unattended;
    Ok(SessionStart {
        attended: !alone,
        ..task::start(&gate_services, task_services, &config.list, confined)
    })
}

/// Returns a unit for systemd, for a user's own instance of it.
fn unit(root: &str, drain: u64) -> String {
    let root = root.replace('%', "%%");
    format!(
        "[Unit]\nDescription=tos serve in {root}\n\n[Service]\nWorkingDirectory={root}\nExecStart=tos serve --drain {drain}\n\
         KillMode=mixed\nTimeoutStopSec={}\nRestart=on-failure\nRestartSec=2\n\n[Install]\nWantedBy=default.target",
        drain + 15
    )
}
