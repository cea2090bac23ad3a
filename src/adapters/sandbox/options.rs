//! What a wall is asked for, once a run: level, network, what is protected, hidden and shown.

use std::{ffi::OsString, path::PathBuf};

use super::spec::ResourceLimits;
use crate::domain::{
    sandbox::{ConfinementLevel, NetworkAccess, RepositoryAccess, SandboxBackend},
    state_folder::TOS_FOLDER,
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
    /// Those of them that tos makes itself while commands run, and those that the command may make. What else a command makes of
    /// protected places that were not there is taken away when it has ended.
    pub may_come: Vec<PathBuf>,
    /// Parts of the repository that are open to git, and parts of these that are not, in this order; only behind walls made of
    /// mounts.
    pub repository: Vec<(PathBuf, RepositoryAccess)>,
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
        let protected = [".git", TOS_FOLDER, "config", "config_v0_3.json", "logs"];
        Self {
            level: ConfinementLevel::Workspace,
            open_if_unproved: false,
            allow_degraded: false,
            network: NetworkAccess::None,
            allow_hosts: Vec::new(),
            limits: ResourceLimits::default(),
            protected: protected.map(PathBuf::from).into(),
            protected_by_mounts: Vec::new(),
            may_come: vec![TOS_FOLDER.into(), "logs".into()],
            repository: Vec::new(),
            home: None,
            covered: Vec::new(),
            hidden: Vec::new(),
            show: Vec::new(),
            temporary: None,
            state: root.join(TOS_FOLDER),
            root,
            program,
            path: "/usr/local/bin:/usr/bin:/bin".into(),
            backends: SandboxBackend::CONFINING.into(),
        }
    }
}
