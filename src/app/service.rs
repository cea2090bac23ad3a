//! Builds what the service needs: its board, its merges, its logs.

use std::{path::Path, sync::Arc, time::Duration};

use crate::{
    adapters::{
        board::{LogFiles, SqliteBoard, SqliteMaintenance},
        clock::SystemClock,
        files, git,
        github::{DeliveryLog, GitHubApi, GitHubSecret, TOKEN_NAME, WEBHOOK_SECRET_NAME},
        job::store::StoreLock,
        memory,
        nats::{NatsMember, NatsOptions},
        service_token, state_folder,
    },
    app::{
        board_access::{DATABASE as FILE, ServiceBoard},
        context::AppContext,
        service_models, worker,
    },
    config::service_models::ServiceModel,
    domain::state_folder::{TOS_FOLDER, tos_path},
    interfaces::cli::{
        args::GlobalArgs,
        cluster_args::ClusterArgs,
        exit::CliError,
        services::ServiceFactory as _,
        task_services::{BoardServices, ServiceAccessParts},
    },
    ports::{board::ServiceBackend, board_store::BoardStore, cluster::ClusterMember},
};

fn told(error: crate::ports::board_store::Error) -> CliError {
    CliError::NotDone(error.0)
}

/// Opens the board of a root. Whoever calls this holds the lock of the root.
pub(super) fn board_services(
    context: &AppContext,
    global: &GlobalArgs,
    store: Option<Box<dyn BoardStore>>,
) -> Result<BoardServices, CliError> {
    let root = files::canonical(&context.root(global));
    let worktrees = git::GitWorktrees::open(&root);
    let worktrees = Arc::new(worktrees.map_err(|error| CliError::Setup(error.to_string()))?);
    let state = root.join(TOS_FOLDER);
    state_folder::create_dir_all(&state)
        .map_err(|error| CliError::NotDone(format!("{}: {error}", state.display())))?;
    // It stays the same, so that browsers stay signed in.
    let token = service_token::load_or_create_token(&state.join("service-token"));
    let token =
        token.map_err(|error| CliError::NotDone(format!("no token can be kept: {error}")))?;
    let logs = Arc::new(LogFiles::new(root.join(tos_path!("board-logs"))));
    let (redactor, environment) = (context.redactor().clone(), context.texts.clone());
    let token_file = GitHubSecret::new(state.join("github-token"), context.env_var(TOKEN_NAME));
    let webhook = GitHubSecret::named(
        WEBHOOK_SECRET_NAME,
        state.join("github-webhook-secret"),
        context.env_var(WEBHOOK_SECRET_NAME),
    );
    let deliveries = DeliveryLog::new(state.join("github-deliveries"));
    let github = GitHubApi::new(root.clone(), token_file.clone(), redactor.clone());
    let containers = worker::container_maker(context, root.clone());
    let upkeep = SqliteMaintenance::new(root.join(FILE), state.join("board-copies"));
    let store = match store {
        Some(store) => store,
        None => Box::new(SqliteBoard::open(&root.join(FILE)).map_err(told)?),
    };
    let model = {
        let (texts, redactor, root) = (environment.clone(), redactor.clone(), root.clone());
        move |wanted: &ServiceModel| service_models::build(&texts, &redactor, &root, wanted)
    };
    let folder = state.clone();
    let access = {
        let (logs, merges) = (Arc::clone(&logs), Arc::clone(&worktrees));
        move |parts: ServiceAccessParts| {
            Arc::new(ServiceBoard {
                handle: parts.handle,
                logs,
                merges,
                ledger: parts.ledger,
                clock: Arc::new(SystemClock::new()),
                gates: Arc::new(parts.gates),
                here: parts.here,
                containers: parts.containers,
                agents: parts.agents,
                redactor,
                environment,
                root,
                token: token_file,
                remote: parts.remote,
                webhook,
                deliveries,
            }) as Arc<dyn ServiceBackend>
        }
    };
    Ok(BoardServices {
        store,
        merges: worktrees,
        logs,
        github: Arc::new(github),
        upkeep: Arc::new(upkeep),
        containers,
        token,
        fresh_secret: Arc::new(service_token::fresh_secret),
        access: Box::new(access),
        model: Box::new(model),
        redactor: context.redactor().clone(),
        give_back_memory: memory::trim_heap,
        write_state: Arc::new(move |file, text| {
            files::write(&folder.join(file), text).map_err(|error| error.to_string())
        }),
    })
}

/// Connects to a cluster.
pub(super) fn cluster(
    context: &AppContext,
    global: &GlobalArgs,
    options: &ClusterArgs,
    name: &str,
) -> Result<Arc<dyn ClusterMember>, CliError> {
    Ok(Arc::new(member(context, global, options, name)?))
}

/// Connects to a cluster, whatever for.
pub(super) fn member(
    context: &AppContext,
    global: &GlobalArgs,
    options: &ClusterArgs,
    name: &str,
) -> Result<NatsMember, CliError> {
    let root = files::canonical(&context.root(global));
    let login = NatsOptions {
        url: options.require_url()?.to_owned(),
        credentials: options.credentials.clone(),
        authority: options.authority.clone(),
        certificate: options.certificate.clone().zip(options.key.clone()),
        name: name.to_owned(),
        lease: Duration::from_secs(options.lease),
    };
    let board = match &options.board {
        Some(board) => board.clone(),
        None => folder_name(&root),
    };
    let redactor = context.redactor().clone();
    let member = NatsMember::connect(&login, &board, &root, &root.join(FILE), redactor);
    member.map_err(|error| CliError::Setup(error.0))
}

/// Returns the name of the folder that a root is.
pub(super) fn folder_name(root: &Path) -> String {
    let root = files::canonical(root);
    let name = root.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn existing(root: &Path) -> Result<SqliteBoard, CliError> {
    let path = root.join(FILE);
    if !path.is_file() {
        return Err(CliError::NotDone(format!(
            "there is no board in {}; `tos serve` makes one",
            root.display()
        )));
    }
    SqliteBoard::open(&path).map_err(told)
}

fn locked(root: &Path, command: &str) -> Result<StoreLock, CliError> {
    StoreLock::acquire(&root.join(tos_path!("task.lock")), command)
        .map_err(|held| CliError::NotDone(held.to_string()))
}

/// Folds the events of a board anew; nobody may write it meanwhile.
pub(super) fn rebuild(root: &Path, command: &str) -> Result<(u64, Option<String>), CliError> {
    let _lock = locked(root, command)?;
    let rebuilt = existing(root)?.rebuild().map_err(told)?;
    let difference = rebuilt.difference.map(|key| {
        let (kind, id) = key.parts();
        format!("{kind} {id}").trim_end().to_owned()
    });
    Ok((rebuilt.events, difference))
}

/// Returns the events of a board; a service may write it meanwhile.
pub(super) fn export(root: &Path) -> Result<String, CliError> {
    existing(root)?.export_events().map_err(told)
}

/// Takes events into a root without a board.
pub(super) fn import(root: &Path, file: &Path, command: &str) -> Result<u64, CliError> {
    let place = file.display();
    if !file.is_file() {
        return Err(CliError::Setup(format!(
            "there is no file {place}; `tos board export > FILE` writes one"
        )));
    }
    let _lock = locked(root, command)?;
    let text = files::read(file).and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| CliError::Setup(format!("{place} cannot be read as text")))?;
    if text.trim().is_empty() {
        return Err(CliError::Setup(format!(
            "{place} is empty; a board has events"
        )));
    }
    SqliteBoard::open(&root.join(FILE))
        .map_err(told)?
        .import_events(&text)
        .map_err(told)
}
