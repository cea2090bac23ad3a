//! Turns the start of a command into the start of a jailer that starts it, for one backend.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use super::{
    JAIL_WORD, bubblewrap, jail,
    spec::{ResourceLimits, SandboxSpec},
    view,
};
use crate::{
    adapters::temporary,
    domain::{
        process::SpawnError,
        sandbox::{ConfinementLevel, NetworkAccess, SandboxBackend},
    },
    ports::sandbox::{ConfinedEnvironment, LaunchRequest},
};

/// What the wall needs to know once.
#[derive(Debug, Clone)]
pub struct Options {
    /// How much commands may do.
    pub level: ConfinementLevel,
    /// Where the level cannot be proved, go without a wall and say so, instead of refusing.
    pub open_if_unproved: bool,
    /// Where the level cannot be proved, go on behind the best wall there is.
    pub allow_degraded: bool,
    /// What commands can reach over the network.
    pub network: NetworkAccess,
    /// The hosts of [`NetworkAccess::Allowlist`], as `host`, `host:port` or `*.host`.
    pub allow_hosts: Vec<String>,
    /// Ceilings of one command.
    pub limits: ResourceLimits,
    /// The workspace root.
    pub root: PathBuf,
    /// Paths below the root that commands may read but not write.
    pub protected: Vec<PathBuf>,
    /// The same, but only behind walls that can protect a file without closing the folder it lies in.
    pub protected_by_mounts: Vec<PathBuf>,
    /// The home directory, of which only what programs need is shown.
    pub home: Option<PathBuf>,
    /// Further folders that are covered as homes are: the root and what has to be shown are seen in them.
    pub covered: Vec<PathBuf>,
    /// Further places to hide.
    pub hidden: Vec<PathBuf>,
    /// Further places to show, to be read only.
    pub show: Vec<PathBuf>,
    /// A folder for a temporary directory that all commands behind this wall see; `None` = each has one of its own.
    pub temporary: Option<PathBuf>,
    /// Where the results of trials are kept and trials take place: a directory of tos.
    pub state: PathBuf,
    /// The program of tos, which is also the jailer.
    pub program: PathBuf,
    /// Where programs are: `bwrap`, `git`, and all that commands may start.
    pub path: OsString,
    /// The walls that may be used, best first.
    pub backends: Vec<SandboxBackend>,
}

impl Options {
    /// Makes options with the usual protections for a workspace.
    pub fn new(root: PathBuf, program: PathBuf) -> Self {
        let protected = [".git", ".tos", "config", "config_v0_3.json", "logs"];
        Self {
            level: ConfinementLevel::Workspace,
            open_if_unproved: false,
            allow_degraded: false,
            network: NetworkAccess::None,
            allow_hosts: Vec::new(),
            limits: ResourceLimits::default(),
            protected: protected.map(PathBuf::from).into(),
            protected_by_mounts: Vec::new(),
            home: None,
            covered: Vec::new(),
            hidden: Vec::new(),
            show: Vec::new(),
            temporary: None,
            state: root.join(".tos"),
            root,
            program,
            path: "/usr/local/bin:/usr/bin:/bin".into(),
            backends: SandboxBackend::WALLS.into(),
        }
    }
}

/// Puts the start of a command behind the wall of one backend.
pub(super) fn confine(
    options: &Options,
    backend: SandboxBackend,
    proxy: Option<PathBuf>,
    launch: LaunchRequest,
) -> Result<LaunchRequest, SpawnError> {
    let spec = spec(options, backend, proxy, &launch)?;
    let encoded = serde_json::to_string(&spec).map_err(|error| SpawnError {
        message: format!("a path of the workspace is not UTF-8 and cannot be confined: {error}; rename it or set `sandbox.level` to \"off\""),
    })?;
    let own = spec.program.clone();
    let (mut program, mut arguments) = match backend {
        SandboxBackend::Bubblewrap => {
            let program = bubblewrap::find(&options.path).ok_or_else(|| SpawnError {
                message: "`bwrap` has gone from PATH since it was tried; install bubblewrap again"
                    .into(),
            })?;
            (program, bubblewrap::arguments(&spec, &encoded))
        }
        SandboxBackend::Namespaces => (spec.program.clone(), words(&["outer", &encoded])),
        SandboxBackend::Landlock => (spec.program.clone(), words(&["guard", &encoded])),
        SandboxBackend::None => return Ok(launch),
    };
    if jail::can_cage(&options.limits) {
        jail::sweep_cages();
        let mut caged = words(&["cage", &encoded]);
        caged.push(program.into_os_string());
        caged.append(&mut arguments);
        (program, arguments) = (own, caged);
    } else if jail::must_watch(&options.limits) {
        let mut watched = words(&["watch", &encoded]);
        watched.push(program.into_os_string());
        watched.append(&mut arguments);
        (program, arguments) = (own, watched);
    }
    arguments.push(launch.program.into_os_string());
    arguments.push(launch.name);
    arguments.extend(launch.arguments);
    Ok(LaunchRequest {
        name: program.file_name().unwrap_or(OsStr::new("tos")).to_owned(),
        program,
        arguments,
        environment: launch.environment,
        directory: launch.directory,
        jailed: true,
        inside: ConfinedEnvironment::default(),
        watched: spec
            .temporary
            .map(|folder| (folder, spec.limits.temporary_bytes)),
    })
}

fn words(words: &[&str]) -> Vec<OsString> {
    std::iter::once(JAIL_WORD)
        .chain(words.iter().copied())
        .map(OsString::from)
        .collect()
}

fn spec(
    options: &Options,
    backend: SandboxBackend,
    proxy: Option<PathBuf>,
    launch: &LaunchRequest,
) -> Result<SandboxSpec, SpawnError> {
    let real = |path: &PathBuf| {
        path.canonicalize().map_err(|error| SpawnError {
            message: format!(
                "`{}` cannot be confined to: {error}; check the root",
                path.display()
            ),
        })
    };
    let root = real(&options.root)?;
    let mut protected = options.protected.clone();
    if backend != SandboxBackend::Landlock {
        protected.extend(options.protected_by_mounts.iter().cloned());
    }
    let program = real(&options.program)?;
    let temporary = options.temporary.as_deref().map(temporary::blocking_make);
    let temporary = temporary.transpose().map_err(|error| SpawnError {
        message: format!(
            "the temporary folder of the run cannot be made: {error}; free some space"
        ),
    })?;
    let own = launch.environment.iter().find(|(name, _)| name == "PATH");
    let mut search = vec![options.path.as_os_str()];
    search.extend(own.map(|(_, value)| value.as_os_str()));
    let view = view::view(&view::ViewRequest {
        backend,
        root: &root,
        home: options.home.as_deref(),
        covered: &options.covered,
        hidden: &options.hidden,
        show: &options.show,
        search,
        program: &launch.program,
        self_process: &program,
    })
    .map_err(|message| SpawnError { message })?;
    Ok(SandboxSpec {
        backend,
        level: options.level,
        network: options.network,
        layers: view.layers,
        links: view.links,
        protected: match options.level {
            ConfinementLevel::Workspace => view::protected(&protected, &root),
            ConfinementLevel::Off | ConfinementLevel::ReadOnly => Vec::new(),
        },
        hidden: view.hidden,
        limits: options.limits,
        temporary,
        proxy,
        program,
        directory: real(&launch.directory)?,
        root,
        environment: launch.inside.environment,
        input: launch.inside.input,
        input_file: launch.inside.input_file.clone(),
        input_is_pipe: launch.inside.input_is_pipe,
    })
}
