//! `tos serve`: the service in the foreground, until it is asked to stop.

use std::{
    net::{SocketAddr, TcpListener as StdListener},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::{mpsc::UnboundedReceiver, watch},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::{
    serve_args::{self, ServeArgs},
    serve_checks, serve_detached, serve_news,
};
use crate::{
    config::{service as service_config, service::ServiceConfig},
    domain::{
        board::{Board, BoardSettings, Effect, Input},
        ledger::SessionStart,
        tasks::SandboxDemand,
    },
    interfaces::{
        cli::{
            commands::{
                cluster::{self, wait_for_leadership},
                night, serve_brain, task,
            },
            common::{CliError, CliExit, GlobalArgs, Printer, ServiceFactory},
            gate_services::GateServices,
            services,
            task_services::{ServiceAccessParts, StateFileWriter, TaskServices},
        },
        http,
    },
    ports::{
        BoxFuture, board::ServiceBackend, board_store::BoardStore, clock::Clock,
        containers::Containers, process_logs::ProcessLogs,
    },
    services::board::{self, AttemptServices, BoardHandle, ServicePorts},
};

/// How long after the start memory is given back for the second time.
const SETTLED: Duration = Duration::from_secs(5);
/// How often memory that nobody uses is given back.
const REST: Duration = Duration::from_secs(60);

/// Serves until a stop is asked for.
pub fn main(
    args: &ServeArgs,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    if args.unit {
        return serve_args::print_unit(args, global, services, printer);
    }
    args.require_tls()?;
    let mut config = serve_checks::ready(global, services)?;
    serve_checks::warn_of_scripts(&config, global, services, printer);
    if args.detach {
        return serve_detached::main(args, global, services, printer);
    }
    let mut joined = wait_for_leadership(args, global, services, printer)?;
    let (task_services, mut gate_services) = task::open_services(global, services, printer)?;
    let start = circumstances(&config, &task_services, &mut gate_services, services)?;
    config.settings.ask_before_start |= start.attended;
    let (board_services, on_cluster) =
        cluster::open_board(joined.as_ref(), global, services, printer)?;
    let brain = serve_brain::brain(&config, &board_services)?;
    cleaned(&task_services, printer)?;
    let (listener, address) = loopback_listener(args, &config, global, services, printer)?;
    let outer = outer_listener(args)?;
    let (loaded, remote) = on_cluster.map(|board| (board.loaded, board.remote)).unzip();
    let (handle, effects) = begun(board_services.store, loaded, &task_services.tools.clock)?;
    let containers = (board_services.containers)(task_services.tools.runners.clone());
    serve_checks::prepare_containers(&config.settings, &*containers, printer)?;
    let keep_summary = keeper(
        &gate_services,
        board_services.write_state,
        &board_services.logs,
    );
    let logs = Arc::clone(&board_services.logs);
    let attempts = attempts(&config, start, &task_services, logs, &containers);
    let context = Arc::new(ServicePorts {
        attempts,
        brain,
        merges: board_services.merges,
        keep_summary,
        github: board_services.github,
        upkeep: board_services.upkeep,
        remote: remote.clone(),
    });
    write_address(address, &board_services.token, global, services)?;
    announce(address, outer.as_ref(), &config.settings, printer)?;
    let access = (board_services.access)(ServiceAccessParts {
        handle: handle.clone(),
        gates: gate_services.loaded,
        ledger: gate_services.ledger,
        here: gate_services.here,
        containers,
        agents: config.agents.keys().cloned().collect(),
        remote,
    });
    let mut options = http::HttpOptions::new(board_services.token, board_services.fresh_secret);
    options.hosts.clone_from(&args.hosts);
    let serving = Serving {
        handle,
        access,
        listeners: listeners(options, listener, outer),
        settings: config.settings,
        printer: printer.clone(),
        drain: Duration::from_secs(args.drain),
        give_back_memory: board_services.give_back_memory,
        lost: joined
            .as_mut()
            .and_then(cluster::ClusterLeadership::leadership_lost),
    };
    let served = services::block_on(services, move |stop| {
        Box::pin(serving.until_stopped(effects, context, stop))
    });
    services.remove_state_file(global, service_config::ADDRESS_FILE);
    drop(task_services);
    said(served, printer)
}

/// Returns what attempts are made with.
fn attempts(
    config: &ServiceConfig,
    start: SessionStart,
    task_services: &TaskServices,
    logs: Arc<dyn ProcessLogs>,
    containers: &Arc<dyn Containers>,
) -> Arc<AttemptServices> {
    Arc::new(AttemptServices {
        instance: task_services.run.clone(),
        list: config.list.clone(),
        agents: config.agents.clone(),
        test_command: config.test_command.clone(),
        start,
        tools: task_services.tools.clone(),
        logs,
        containers: Arc::clone(containers),
    })
}

/// Says how it ended.
fn said(
    served: Result<Result<(), String>, CliError>,
    printer: &Printer,
) -> Result<CliExit, CliError> {
    served?.map_err(CliError::NotDone)?;
    printer.line("stopped; what was running goes on with the next `tos serve`");
    Ok(CliExit::Success)
}

/// Reads the board, unless that was done, and starts its loop.
fn begun(
    store: Box<dyn BoardStore>,
    loaded: Option<(Board, u64)>,
    clock: &Arc<dyn Clock>,
) -> Result<(BoardHandle, UnboundedReceiver<Effect>), CliError> {
    let clock = Arc::clone(clock);
    let started = match loaded {
        Some(loaded) => board::start_loaded(store, loaded, clock),
        None => board::start(store, clock),
    };
    started.map_err(|error| CliError::NotDone(error.0))
}

/// Writes down what callers have to know.
fn write_address(
    address: SocketAddr,
    token: &str,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
) -> Result<(), CliError> {
    let document = json!({
        "address": address.to_string(), "token": token, "pid": std::process::id(), "since": services.clock().now(),
    });
    services.write_service_address(global, document)
}

/// A service that is about to run.
struct Serving {
    handle: BoardHandle,
    access: Arc<dyn ServiceBackend>,
    listeners: Vec<ApiListener>,
    settings: BoardSettings,
    printer: Printer,
    drain: Duration,
    give_back_memory: fn(),
    /// Completes when another controller may lead.
    lost: Option<BoxFuture<'static, String>>,
}

impl Serving {
    async fn until_stopped(
        self,
        effects: UnboundedReceiver<Effect>,
        context: Arc<ServicePorts>,
        stop: watch::Receiver<u8>,
    ) -> Result<(), String> {
        configured(&self.handle, self.settings).await?;
        let (end, over) = watch::channel(());
        let servers = self.listeners.into_iter();
        let servers: Result<Vec<_>, String> = servers
            .map(|listener| api(listener, &self.access, &over))
            .collect();
        let servers = servers?;
        drop((self.access, over));
        let news = tokio::spawn(serve_news::print_events(
            self.handle.subscribe(),
            self.printer,
        ));
        let rest = tokio::spawn(give_back(self.give_back_memory));
        let (stop, deposed) = cluster::stop_when_deposed(stop, self.lost);
        let ended = board::run(self.handle, effects, context, stop, self.drain).await;
        drop(end);
        news.abort();
        rest.abort();
        if let Some(why) = deposed.get() {
            return Err(why.clone());
        }
        for server in servers {
            if let Ok(Err(error)) = server.await {
                return Err(format!("the API ended: {error}"));
            }
        }
        ended.map_err(|error| error.to_string())
    }
}

/// Gives memory back now and then, beside the loop.
async fn give_back(memory: fn()) {
    // What reading the board took is given back before anybody has asked, the rest of the start a moment later.
    for wait in [Duration::ZERO, SETTLED]
        .into_iter()
        .chain(std::iter::repeat(REST))
    {
        tokio::time::sleep(wait).await;
        // A fault of that is none of the service.
        drop(tokio::task::spawn_blocking(memory).await);
    }
}

/// Returns what keeps the summaries of nights. They can be made again at any time, so a failure is told and stops nothing.
fn keeper(
    gate_services: &GateServices,
    write: StateFileWriter,
    logs: &Arc<dyn ProcessLogs>,
) -> Arc<dyn Fn(&str) + Send + Sync> {
    let (ledger, logs) = (Arc::clone(&gate_services.ledger), Arc::clone(logs));
    Arc::new(move |run| {
        let files = night::show::summary_files(&*ledger, run).map_err(|error| error.to_string());
        let kept =
            files.and_then(|files| files.iter().try_for_each(|(name, text)| write(name, text)));
        if let Err(why) = kept {
            logs.line(
                "notices",
                &format!("the summary of {run} was not written: {why}"),
            );
        }
    })
}

/// Says where the page is.
fn announce(
    address: SocketAddr,
    outer: Option<&(StdListener, TlsAcceptor)>,
    settings: &BoardSettings,
    printer: &Printer,
) -> Result<(), CliError> {
    printer.line(&format!(
        "serving on http://{address}; `tos open` shows the page, `tos board add \"what to do\"` makes a task"
    ));
    if let Some((listener, _)) = outer {
        let told = listener
            .local_addr()
            .map_err(|error| CliError::NotDone(error.to_string()))?;
        printer.line(&format!(
            "and on https://{told}; sign in there with the token of .tos/service-token"
        ));
    }
    for doubt in serve_checks::settings_warnings(settings) {
        printer.alert(&format!("warning: {doubt}"));
    }
    if settings.ask_before_start {
        printer.line("you are asked before each task; `tos board questions` lists what waits");
    }
    Ok(())
}

/// Returns where requests come in: the loopback, and the further address.
fn listeners(
    options: http::HttpOptions,
    listener: StdListener,
    outer: Option<(StdListener, TlsAcceptor)>,
) -> Vec<ApiListener> {
    let further = outer.map(|(listener, tls)| ApiListener {
        options: http::HttpOptions {
            is_tls: true,
            ..options.clone()
        },
        listener,
        tls: Some(tls),
    });
    let own = ApiListener {
        options,
        listener,
        tls: None,
    };
    std::iter::once(own).chain(further).collect()
}

/// Where the port of last time is kept, below the state folder.
const PORT_FILE: &str = "serve.port";

/// Opens the port that is named, or else that of last time, so that a page that is open stays right; where another program
/// has taken it, any free one.
fn loopback_listener(
    args: &ServeArgs,
    config: &ServiceConfig,
    global: &GlobalArgs,
    services: &dyn ServiceFactory,
    printer: &Printer,
) -> Result<(StdListener, SocketAddr), CliError> {
    let named = args.port.unwrap_or(config.port);
    let last = services.read_state_file(global, PORT_FILE);
    let last = last.and_then(|text| text.trim().parse().ok());
    let (listener, address) = match last.filter(|_| named == 0) {
        Some(last) => inner_listener(last).or_else(|_| {
            printer.alert(&format!(
                "the port of last time, {last}, is taken; another one is used: pages that are open do not find it, `tos open` does"
            ));
            inner_listener(0)
        })?,
        None => inner_listener(named)?,
    };
    // Without the note the next start takes another port, no more.
    drop(services.write_state_file(global, PORT_FILE, &format!("{}\n", address.port())));
    Ok((listener, address))
}

/// Opens the port on loopback, and says which it is.
fn inner_listener(port: u16) -> Result<(StdListener, SocketAddr), CliError> {
    let listener = bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
    let address = listener.local_addr();
    let address = address.map_err(|error| CliError::NotDone(error.to_string()))?;
    Ok((listener, address))
}

/// Opens the further address, with what secures it.
fn outer_listener(args: &ServeArgs) -> Result<Option<(StdListener, TlsAcceptor)>, CliError> {
    let (Some(address), Some(certificate), Some(key)) =
        (args.listen, &args.tls_cert, &args.tls_key)
    else {
        return Ok(None);
    };
    let read = |path: &PathBuf| service_config::read_pem(path).map_err(CliError::Setup);
    let tls = http::serve::tls_acceptor(read(certificate)?.as_bytes(), read(key)?.as_bytes());
    let tls = tls.map_err(CliError::Setup)?;
    http::serve::may_listen(address, true).map_err(CliError::Setup)?;
    Ok(Some((bind(address)?, tls)))
}

/// Keeps what an earlier service left in work trees, and takes the trees away.
fn cleaned(task_services: &TaskServices, printer: &Printer) -> Result<(), CliError> {
    let left = task_services.tools.worktrees.recover_crashed();
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

/// Where requests come in, and how they are answered there.
struct ApiListener {
    options: http::HttpOptions,
    listener: StdListener,
    tls: Option<TlsAcceptor>,
}

/// Starts to answer requests, until the other end of `over` is dropped.
fn api(
    listener: ApiListener,
    access: &Arc<dyn ServiceBackend>,
    over: &watch::Receiver<()>,
) -> Result<JoinHandle<std::io::Result<()>>, String> {
    let ApiListener {
        options,
        listener,
        tls,
    } = listener;
    let listener = TcpListener::from_std(listener).map_err(|error| error.to_string())?;
    let router = http::router(Arc::clone(access), options.clone());
    let mut over = over.clone();
    Ok(tokio::spawn(async move {
        let over = async move { drop(over.changed().await) };
        http::serve::serve(listener, router, &options, tls, over).await
    }))
}

fn bind(address: SocketAddr) -> Result<StdListener, CliError> {
    StdListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(|error| {
            CliError::NotDone(match error.kind() {
                std::io::ErrorKind::AddrInUse => format!(
                    "port {} is taken by another program; name another one with `--port` or in config/service.toml, or none at \
                     all: then a free one is taken",
                    address.port()
                ),
                std::io::ErrorKind::PermissionDenied => format!(
                    "this user may not listen on port {}; name one above 1023",
                    address.port()
                ),
                _ => format!("{address}: {error}"),
            })
        })
}

/// Returns what is known of here for the ledger; `attended` says that a person is asked before each task.
fn circumstances(
    config: &ServiceConfig,
    task_services: &TaskServices,
    gate_services: &mut GateServices,
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
    let hosts: Vec<String> = agents
        .iter()
        .flat_map(|agent| agent.required_hosts())
        .collect();
    let confined = task::hosts_confinement(&hosts, config.list.sandbox, task_services, services)?;
    if config.list.sandbox == SandboxDemand::Require && confined.backend == "none" {
        return Err(task::refusal_error(
            "no wall is proved on this machine, and config/service.toml requires one",
            "tos doctor --sandbox",
        ));
    }
    gate_services.here.backend = Some(confined.backend.clone());
    let alone = gate_services.report().permission.unattended;
    Ok(SessionStart {
        attended: !alone,
        ..task::session_start(gate_services, task_services, &config.list, confined)
    })
}
