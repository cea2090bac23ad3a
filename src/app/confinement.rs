//! The wall around commands: from settings to a wall whose worth is known before anything runs.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    adapters::{git, sandbox, sandbox::BackendSandbox, state_folder, temporary},
    config,
    config::{SandboxLevel, Settings},
    domain::sandbox::{
        BackendChoice, ConfinementLevel, NetworkAccess, SandboxBackend, SandboxReport,
    },
    interfaces::cli::exit::CliError,
    ports::sandbox::Sandbox,
};

type Environment = [(OsString, OsString)];

/// Builds the wall and finds out what it is worth; a level that cannot be proved is trouble.
pub(super) fn build(
    settings: &Settings,
    environment: &Environment,
) -> Result<(Arc<BackendSandbox>, SandboxReport), CliError> {
    chosen(untried(settings, environment)?)
}

/// Builds the wall around a command that belongs to no project: it writes nowhere but to its temporary folder.
pub(super) fn build_without_project(
    settings: &Settings,
    environment: &Environment,
) -> Result<(Arc<BackendSandbox>, SandboxReport), CliError> {
    let usual = options(settings, environment, program()?);
    state_folder::create_dir_all(&usual.state).map_err(|error| {
        CliError::NotDone(format!(
            "`{}`, where tos keeps its own, cannot be made: {error}",
            usual.state.display()
        ))
    })?;
    let level = match usual.level {
        ConfinementLevel::Off => ConfinementLevel::Off,
        ConfinementLevel::Workspace | ConfinementLevel::ReadOnly => ConfinementLevel::ReadOnly,
    };
    chosen(BackendSandbox::new(sandbox::Options { level, ..usual }))
}

fn chosen(wall: BackendSandbox) -> Result<(Arc<BackendSandbox>, SandboxReport), CliError> {
    let report = alone(wall.report())?;
    if report.choice.backend().is_none() {
        return Err(CliError::Setup(report.choice.describe(report.level)));
    }
    Ok((Arc::new(wall), report))
}

/// Builds the same wall for a command that is git's own write, with the repository open to it; the error says why it stays
/// closed. `None` = there is no repository, or no wall that closes it. `with_others` opens what belongs to other work trees, too.
pub(super) fn build_with_git(
    settings: &Settings,
    environment: &Environment,
    report: &SandboxReport,
    with_others: bool,
) -> Result<Option<(Arc<BackendSandbox>, git::write_access::RepositoryMounts)>, String> {
    if !closes_repository(report, &settings.root) {
        return Ok(None);
    }
    if report.choice.backend() == Some(SandboxBackend::Landlock) {
        return Err("the wall `landlock` opens only folders that nothing is closed in".to_owned());
    }
    if report.level == ConfinementLevel::ReadOnly {
        return Err("at the level `read_only` nothing is written".to_owned());
    }
    let open = git::write_access::blocking_plan_mounts(&settings.root, with_others)?;
    let program = program().map_err(|error| error.to_string())?;
    let usual = options(settings, environment, program);
    let wall = BackendSandbox::new(sandbox::Options {
        repository: open.parts.clone(),
        ..usual
    });
    Ok(Some((Arc::new(wall), open)))
}

/// Builds the same wall for a command that makes a repository where there is none: it is left there.
pub(super) fn with_new_repository(
    settings: &Settings,
    environment: &Environment,
) -> Result<Arc<BackendSandbox>, CliError> {
    let usual = options(settings, environment, program()?);
    let may_come = [usual.may_come.clone(), vec![".git".into()]].concat();
    Ok(Arc::new(BackendSandbox::new(sandbox::Options {
        may_come,
        ..usual
    })))
}

/// Says whether the repository of a root is closed to what runs behind the wall.
pub(super) fn closes_repository(report: &SandboxReport, root: &Path) -> bool {
    let is_wall = !matches!(report.choice.backend(), None | Some(SandboxBackend::None));
    is_wall && git::write_access::blocking_is_inside(root)
}

/// Builds the wall around the tasks of a plan, whose root is the working directory of the run; returns with it the temporary folder
/// that the tasks have in common, which whoever runs them takes away.
pub(super) fn build_for_plan(
    workdir: &Path,
    closed: &[PathBuf],
    hidden: &[PathBuf],
    settings: &Settings,
    environment: &Environment,
) -> Result<(Arc<BackendSandbox>, SandboxReport, PathBuf), CliError> {
    let usual = options(settings, environment, program()?);
    temporary::blocking_remove_for_ended_plans(&usual.state);
    let shared = temporary::folder_for_plan(&usual.state);
    let (wall, report) = chosen(BackendSandbox::new(sandbox::Options {
        root: workdir.to_owned(),
        protected: closed.to_vec(),
        hidden: hidden.to_vec(),
        // The tasks of a run have one in common, as they would without a wall.
        temporary: Some(shared.clone()),
        ..usual
    }))?;
    Ok((wall, report, shared))
}

/// Tries every wall of this machine.
pub(super) fn test_backends(
    settings: &Settings,
    environment: &Environment,
) -> Result<SandboxReport, CliError> {
    let wall = untried(settings, environment)?;
    alone(wall.test_all_backends())
}

/// Says whether a wall stands that held everything it promises.
pub(super) fn is_proved(report: &SandboxReport) -> bool {
    matches!(&report.choice, BackendChoice::Proved { backend } if *backend != SandboxBackend::None)
}

/// Returns what has to be said loudly where no proved wall stands.
pub(super) fn notice(report: &SandboxReport) -> Option<String> {
    let sentence = report.choice.describe(report.level);
    (!is_proved(report)).then(|| format!("warning: {sentence}"))
}

fn untried(settings: &Settings, environment: &Environment) -> Result<BackendSandbox, CliError> {
    Ok(BackendSandbox::new(options(
        settings,
        environment,
        program()?,
    )))
}

fn program() -> Result<PathBuf, CliError> {
    std::env::current_exe().map_err(|error| {
        CliError::NotDone(format!("the program file of tos cannot be found: {error}"))
    })
}

/// Waits for something that needs a runtime, before the run has one.
fn alone<T>(future: impl Future<Output = T>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime
        .map_err(|error| CliError::NotDone(format!("the runtime could not start: {error}")))?;
    Ok(runtime.block_on(future))
}

/// Returns the options of the wall around commands; `program` is tos itself.
fn options(settings: &Settings, environment: &Environment, program: PathBuf) -> sandbox::Options {
    let variable = |wanted: &str| {
        let found = environment.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.clone())
    };
    let wish = &settings.sandbox;
    let usual = sandbox::Options::new(settings.root.clone(), program);
    let (network, allow_hosts) = match &wish.network {
        config::Network::None => (NetworkAccess::None, Vec::new()),
        config::Network::Hosts(hosts) => (NetworkAccess::Allowlist, hosts.clone()),
        config::Network::All => (NetworkAccess::Full, Vec::new()),
    };
    let mut protected = usual.protected.clone();
    protected.push(settings.paths.logs.clone());
    protected.extend(settings.config_file.clone());
    sandbox::Options {
        level: match wish.level {
            SandboxLevel::Auto | SandboxLevel::Workspace => ConfinementLevel::Workspace,
            SandboxLevel::ReadOnly => ConfinementLevel::ReadOnly,
            SandboxLevel::Off => ConfinementLevel::Off,
        },
        open_if_unproved: wish.level == SandboxLevel::Auto,
        allow_degraded: wish.allow_degraded,
        backends: wish.backends.clone(),
        network,
        allow_hosts,
        limits: limits(wish.limits, usual.limits),
        protected,
        may_come: [usual.may_come.clone(), vec![settings.paths.logs.clone()]].concat(),
        show: wish.show.clone(),
        temporary: Some(temporary::folder_for_job(&usual.state)),
        home: variable("HOME").map(PathBuf::from),
        path: variable("PATH").unwrap_or_else(|| usual.path.clone()),
        ..usual
    }
}

/// Returns the usual ceilings with those that were wished for.
pub(super) fn limits(
    wish: config::CommandLimits,
    usual: sandbox::ResourceLimits,
) -> sandbox::ResourceLimits {
    let bytes = |megabytes: u64| megabytes.saturating_mul(1 << 20);
    sandbox::ResourceLimits {
        memory_bytes: wish.memory_mb.map(bytes).or(usual.memory_bytes),
        processes: wish.processes.or(usual.processes),
        cpu_seconds: wish
            .cpu
            .map(|cpu| cpu.as_secs().max(1))
            .or(usual.cpu_seconds),
        file_bytes: wish.file_mb.map(bytes).or(usual.file_bytes),
        temporary_bytes: wish.disk_mb.map_or(usual.temporary_bytes, bytes),
    }
}
