//! The sandbox as the runner sees it: chooses a proved wall once and puts every command behind it.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use tokio::sync::OnceCell;

use super::{
    JAIL_WORD, bubblewrap, jail, places,
    proxy::Proxy,
    spec::{Limits, Spec},
    trial,
};
use crate::{
    adapters::temporary,
    domain::{
        confinement::{Backend, Choice, Level, Network, Report, choose},
        process::Failure,
    },
    ports::{
        BoxFuture,
        sandbox::{Inside, Launch, Sandbox},
    },
};

/// What the wall needs to know once.
#[derive(Debug, Clone)]
pub struct Options {
    /// How much commands may do.
    pub level: Level,
    /// Where the level cannot be proved, go without a wall and say so, instead of refusing.
    pub open_if_unproved: bool,
    /// Where the level cannot be proved, go on behind the best wall there is.
    pub allow_degraded: bool,
    /// What commands can reach over the network.
    pub network: Network,
    /// The hosts of [`Network::Allowlist`], as `host`, `host:port` or `*.host`.
    pub allow_hosts: Vec<String>,
    /// Ceilings of one command.
    pub limits: Limits,
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
    pub backends: Vec<Backend>,
}

impl Options {
    /// Makes options with the usual protections for a workspace.
    pub fn new(root: PathBuf, program: PathBuf) -> Self {
        let protected = [".git", ".tos", "config", "config_v0_3.json", "logs"];
        Self {
            level: Level::Workspace,
            open_if_unproved: false,
            allow_degraded: false,
            network: Network::None,
            allow_hosts: Vec::new(),
            limits: Limits::default(),
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
            backends: Backend::WALLS.into(),
        }
    }
}

/// The wall of one run of tos.
#[derive(Debug)]
pub struct Wall {
    options: Options,
    report: OnceCell<Report>,
    proxy: OnceCell<Proxy>,
}

impl Wall {
    /// Makes a wall; nothing is tried before the first command, or the first question for a report.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            report: OnceCell::new(),
            proxy: OnceCell::new(),
        }
    }

    /// Tries every backend anew, the ones that are not needed included, for `tos doctor`.
    pub async fn examine(&self) -> Report {
        let mut trials = Vec::new();
        for backend in &self.options.backends {
            trials.push(trial::run(&self.options, *backend).await);
        }
        self.judged(trials)
    }

    async fn in_force(&self) -> &Report {
        self.report
            .get_or_init(|| async {
                if self.options.level == Level::Off {
                    return self.judged(Vec::new());
                }
                let report = self.judged(trial::known_or_run(&self.options).await);
                tracing::info!("{}", report.choice.sentence(report.level));
                report
            })
            .await
    }

    fn judged(&self, trials: Vec<crate::domain::confinement::Trial>) -> Report {
        let options = &self.options;
        let choice = choose(
            options.level,
            options.network,
            options.allow_degraded,
            &trials,
        );
        let choice = match choice {
            Choice::Refused { missing } if options.open_if_unproved => Choice::Degraded {
                backend: Backend::None,
                missing,
            },
            other => other,
        };
        Report {
            level: options.level,
            network: options.network,
            choice,
            trials,
        }
    }

    async fn confined(&self, launch: Launch) -> Result<Launch, Failure> {
        let report = self.in_force().await;
        let Some(backend) = report.choice.backend() else {
            return Err(Failure {
                message: report.choice.sentence(report.level),
            });
        };
        if backend == Backend::None {
            return Ok(launch);
        }
        let proxy = match self.options.network {
            Network::Allowlist => Some(self.proxy().await?.socket()),
            Network::None | Network::Full => None,
        };
        confine(&self.options, backend, proxy, launch)
    }

    async fn proxy(&self) -> Result<&Proxy, Failure> {
        let start = || async { Proxy::start(&self.options.allow_hosts) };
        self.proxy.get_or_try_init(start).await.map_err(|error| Failure {
            message: format!("the proxy for allowed hosts could not be started: {error}; free space in the temporary directory or set `sandbox.network` to \"none\""),
        })
    }
}

impl Drop for Wall {
    fn drop(&mut self) {
        if jail::can_cage(&self.options.limits) {
            jail::sweep_cages();
        }
    }
}

impl Sandbox for Wall {
    fn confine(&self, launch: Launch) -> BoxFuture<'_, Result<Launch, Failure>> {
        Box::pin(self.confined(launch))
    }

    fn take_refused_hosts(&self) -> Vec<String> {
        self.proxy
            .get()
            .map(Proxy::take_refused)
            .unwrap_or_default()
    }

    fn report(&self) -> BoxFuture<'_, Report> {
        Box::pin(async { self.in_force().await.clone() })
    }
}

/// Puts the start of a command behind the wall of one backend.
pub(super) fn confine(
    options: &Options,
    backend: Backend,
    proxy: Option<PathBuf>,
    launch: Launch,
) -> Result<Launch, Failure> {
    let spec = spec(options, backend, proxy, &launch)?;
    let encoded = serde_json::to_string(&spec).map_err(|error| Failure {
        message: format!("a path of the workspace is not UTF-8 and cannot be confined: {error}; rename it or set `sandbox.level` to \"off\""),
    })?;
    let own = spec.program.clone();
    let (mut program, mut arguments) = match backend {
        Backend::Bubblewrap => {
            let program = bubblewrap::find(&options.path).ok_or_else(|| Failure {
                message: "`bwrap` has gone from PATH since it was tried; install bubblewrap again"
                    .into(),
            })?;
            (program, bubblewrap::arguments(&spec, &encoded))
        }
        Backend::Namespaces => (spec.program.clone(), words(&["outer", &encoded])),
        Backend::Landlock => (spec.program.clone(), words(&["guard", &encoded])),
        Backend::None => return Ok(launch),
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
    Ok(Launch {
        name: program.file_name().unwrap_or(OsStr::new("tos")).to_owned(),
        program,
        arguments,
        environment: launch.environment,
        directory: launch.directory,
        jailed: true,
        inside: Inside::default(),
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
    backend: Backend,
    proxy: Option<PathBuf>,
    launch: &Launch,
) -> Result<Spec, Failure> {
    let real = |path: &PathBuf| {
        path.canonicalize().map_err(|error| Failure {
            message: format!(
                "`{}` cannot be confined to: {error}; check the root",
                path.display()
            ),
        })
    };
    let root = real(&options.root)?;
    let mut protected = options.protected.clone();
    if backend != Backend::Landlock {
        protected.extend(options.protected_by_mounts.iter().cloned());
    }
    let program = real(&options.program)?;
    let temporary = options.temporary.as_deref().map(temporary::blocking_make);
    let temporary = temporary.transpose().map_err(|error| Failure {
        message: format!(
            "the temporary folder of the run cannot be made: {error}; free some space"
        ),
    })?;
    let own = launch.environment.iter().find(|(name, _)| name == "PATH");
    let mut search = vec![options.path.as_os_str()];
    search.extend(own.map(|(_, value)| value.as_os_str()));
    let view = places::view(&places::Wish {
        backend,
        root: &root,
        home: options.home.as_deref(),
        covered: &options.covered,
        hidden: &options.hidden,
        show: &options.show,
        search,
        program: &launch.program,
        itself: &program,
    })
    .map_err(|message| Failure { message })?;
    Ok(Spec {
        backend,
        level: options.level,
        network: options.network,
        layers: view.layers,
        links: view.links,
        protected: match options.level {
            Level::Workspace => places::protected(&protected, &root),
            Level::Off | Level::ReadOnly => Vec::new(),
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
    })
}
