//! Which wall stands between a command and the machine: levels, what a wall must hold, and the choice
//! of the one that holds it.
//!
//! Nothing is believed that was not tried: a backend comes with proofs, one per capability, gained by
//! running probes behind it. A level whose required capabilities are not all proved is refused, or
//! runs degraded when the configuration allows that.

use serde::{Deserialize, Serialize};

/// How much a command may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Everything the user may do.
    Off,
    /// Write below the root, except where tos and git keep their own.
    #[default]
    Workspace,
    /// Write nowhere but in a private temporary directory.
    ReadOnly,
}

impl Level {
    /// Returns the word for this level in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Workspace => "workspace",
            Self::ReadOnly => "read_only",
        }
    }
}

/// What a confined command can reach over the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Nothing.
    #[default]
    None,
    /// The named hosts, through a proxy in tos.
    Allowlist,
    /// Everything.
    Full,
}

impl Network {
    /// Returns the word for this reach in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Allowlist => "allowlist",
            Self::Full => "full",
        }
    }
}

/// What builds the wall, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// The `bwrap` program.
    Bubblewrap,
    /// Namespaces that tos makes itself.
    Namespaces,
    /// Landlock rules, a system call filter and resource limits, without namespaces.
    Landlock,
    /// No wall.
    None,
}

impl Backend {
    /// Every backend that builds a wall, best first.
    pub const WALLS: [Self; 3] = [Self::Bubblewrap, Self::Namespaces, Self::Landlock];

    /// Returns the word for this backend in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bubblewrap => "bubblewrap",
            Self::Namespaces => "namespaces",
            Self::Landlock => "landlock",
            Self::None => "none",
        }
    }
}

/// One property of a wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Commands start at all, and their output and exit status come back unchanged.
    Runs,
    /// Nothing outside the root can be written.
    WritesOutside,
    /// `.git`, `.tos`, the configuration and the logs can be read but not written.
    Protected,
    /// The root can be written (level `workspace`), or cannot (level `read_only`).
    RootAsAsked,
    /// New entries can be made directly in the root.
    NewInRoot,
    /// `git status` works although `.git` cannot be written.
    GitReadable,
    /// Keys and tokens in the home directory cannot be read.
    SecretsHidden,
    /// The temporary directory is private.
    PrivateTemporary,
    /// Sockets of services on this machine cannot be reached.
    LocalServices,
    /// No connection leaves the wall.
    NoNetwork,
    /// Only the allowed hosts can be reached, through the proxy.
    Allowlist,
    /// No program can gain rights, not even a set-user-id one.
    NoNewPrivileges,
    /// Processes outside can be neither seen nor signalled.
    Isolated,
    /// A process that leaves its session and its parent is ended all the same.
    NoSurvivors,
    /// When tos is killed, everything behind the wall dies.
    DiesWithTos,
    /// Files cannot grow beyond the limit.
    FileSize,
    /// Memory is limited.
    Memory,
    /// Processor time is limited.
    ProcessorTime,
    /// The number of processes is limited.
    Processes,
    /// The private temporary directory cannot fill the disk.
    TemporarySize,
}

impl Capability {
    /// Every capability, in the order tables list them.
    pub const ALL: [Self; 20] = [
        Self::Runs,
        Self::WritesOutside,
        Self::Protected,
        Self::RootAsAsked,
        Self::NewInRoot,
        Self::GitReadable,
        Self::SecretsHidden,
        Self::PrivateTemporary,
        Self::LocalServices,
        Self::NoNetwork,
        Self::Allowlist,
        Self::NoNewPrivileges,
        Self::Isolated,
        Self::NoSurvivors,
        Self::DiesWithTos,
        Self::FileSize,
        Self::Memory,
        Self::ProcessorTime,
        Self::Processes,
        Self::TemporarySize,
    ];

    /// Returns the phrase for this capability in tables and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Runs => "commands run unchanged",
            Self::WritesOutside => "no writes outside the root",
            Self::Protected => "protected paths are read-only",
            Self::RootAsAsked => "the root is writable as asked",
            Self::NewInRoot => "new entries directly in the root",
            Self::GitReadable => "git status works",
            Self::SecretsHidden => "keys in the home directory are hidden",
            Self::PrivateTemporary => "private temporary directory",
            Self::LocalServices => "local services are out of reach",
            Self::NoNetwork => "no network",
            Self::Allowlist => "only allowed hosts, through the proxy",
            Self::NoNewPrivileges => "no new privileges",
            Self::Isolated => "other processes are out of reach",
            Self::NoSurvivors => "no process survives its command",
            Self::DiesWithTos => "nothing survives tos",
            Self::FileSize => "file size is limited",
            Self::Memory => "memory is limited",
            Self::ProcessorTime => "processor time is limited",
            Self::Processes => "number of processes is limited",
            Self::TemporarySize => "temporary directory is limited",
        }
    }

    /// Tells whether this level needs the capability; the others are welcome but not a condition.
    pub fn is_required(self, level: Level, network: Network) -> bool {
        match self {
            Self::Runs
            | Self::WritesOutside
            | Self::RootAsAsked
            | Self::SecretsHidden
            | Self::LocalServices
            | Self::NoNewPrivileges
            | Self::Isolated
            | Self::NoSurvivors
            | Self::DiesWithTos => level != Level::Off,
            Self::Protected => level == Level::Workspace,
            Self::NoNetwork => level != Level::Off && network == Network::None,
            Self::Allowlist => level != Level::Off && network == Network::Allowlist,
            Self::NewInRoot
            | Self::GitReadable
            | Self::PrivateTemporary
            | Self::FileSize
            | Self::Memory
            | Self::ProcessorTime
            | Self::Processes
            | Self::TemporarySize => false,
        }
    }
}

/// What trying one capability showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// What was tried.
    pub capability: Capability,
    /// Whether it held; `None` = it does not apply or could not be tried.
    pub holds: Option<bool>,
    /// How it was tried and what was seen.
    pub how: String,
}

/// What trying one backend showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The backend.
    pub backend: Backend,
    /// Why it cannot be used at all; then there are no proofs.
    pub absent: Option<String>,
    /// One proof per capability.
    pub proofs: Vec<Proof>,
}

impl Trial {
    /// Returns what this level needs and this backend was not proved to give.
    pub fn missing(&self, level: Level, network: Network) -> Vec<Capability> {
        let proved = |wanted: Capability| {
            let found = self.proofs.iter().find(|proof| proof.capability == wanted);
            found.is_some_and(|proof| proof.holds == Some(true))
        };
        let required = Capability::ALL
            .into_iter()
            .filter(|c| c.is_required(level, network));
        required.filter(|capability| !proved(*capability)).collect()
    }

    fn runs(&self) -> bool {
        let runs =
            |proof: &Proof| proof.capability == Capability::Runs && proof.holds == Some(true);
        self.absent.is_none() && self.proofs.iter().any(runs)
    }
}

/// Which wall is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wall", rename_all = "snake_case")]
#[must_use = "a refusal means that nothing may run"]
pub enum Choice {
    /// Everything the level needs is proved.
    Proved {
        /// What builds the wall.
        backend: Backend,
    },
    /// The configuration allows going on although something is missing.
    Degraded {
        /// What builds the wall.
        backend: Backend,
        /// What is not proved.
        missing: Vec<Capability>,
    },
    /// Nothing may run.
    Refused {
        /// What is not proved, for the best backend there is.
        missing: Vec<Capability>,
    },
}

impl Choice {
    /// Returns what builds the wall; `None` where nothing may run.
    pub fn backend(&self) -> Option<Backend> {
        match self {
            Self::Proved { backend } | Self::Degraded { backend, .. } => Some(*backend),
            Self::Refused { .. } => None,
        }
    }

    /// Returns the sentence for logs and for the person who reads them.
    pub fn sentence(&self, level: Level) -> String {
        let list = |missing: &[Capability]| {
            let names: Vec<&str> = missing
                .iter()
                .map(|capability| capability.as_str())
                .collect();
            names.join("; ")
        };
        match self {
            Self::Proved {
                backend: Backend::None,
            } => "no sandbox: commands have all rights of the user".into(),
            Self::Proved { backend } => {
                format!("sandbox `{}` by {}", level.as_str(), backend.as_str())
            }
            Self::Degraded { backend, missing } => format!(
                "sandbox `{}` by {} is degraded, not proved: {}",
                level.as_str(),
                backend.as_str(),
                list(missing)
            ),
            Self::Refused { missing } => format!(
                "sandbox level `{}` cannot be proved on this machine, missing: {}; see `tos doctor --sandbox`, \
                 install bubblewrap, or set `sandbox.allow_degraded` to true or `sandbox.level` to \"off\"",
                level.as_str(),
                list(missing)
            ),
        }
    }
}

/// Returns what to do where `AppArmor` keeps programs from making user namespaces, as Ubuntu does since 23.10. `setting` is
/// what the kernel says about it, `program` what would make them.
pub fn apparmor_remedy(backend: Backend, setting: &str, program: &str) -> Option<String> {
    let name = match backend {
        Backend::Bubblewrap => "tos-bwrap",
        Backend::Namespaces => "tos",
        Backend::Landlock | Backend::None => return None,
    };
    (setting.trim() == "1").then(|| {
        format!(
            "AppArmor keeps programs here from making user namespaces (kernel.apparmor_restrict_unprivileged_userns = 1, \
             as in Ubuntu 24.04); to allow it to `{program}` alone, run: \
             printf '%s\\n' 'abi <abi/4.0>,' 'include <tunables/global>' 'profile {name} \"{program}\" flags=(unconfined) {{' \
             '  userns,' '}}' | sudo tee /etc/apparmor.d/{name} && sudo apparmor_parser -r /etc/apparmor.d/{name}"
        )
    })
}

/// Chooses the first backend that is proved to hold what the level needs; where there is none and
/// `allow_degraded` is set, the one that lacks least.
pub fn choose(level: Level, network: Network, allow_degraded: bool, trials: &[Trial]) -> Choice {
    if level == Level::Off {
        return Choice::Proved {
            backend: Backend::None,
        };
    }
    let usable: Vec<(&Trial, Vec<Capability>)> = trials
        .iter()
        .filter(|trial| trial.runs())
        .map(|trial| (trial, trial.missing(level, network)))
        .collect();
    if let Some((trial, _)) = usable.iter().find(|(_, missing)| missing.is_empty()) {
        return Choice::Proved {
            backend: trial.backend,
        };
    }
    let best = usable.into_iter().min_by_key(|(_, missing)| missing.len());
    let (backend, missing) = best.map_or_else(
        || (Backend::None, required(level, network)),
        |(trial, missing)| (trial.backend, missing),
    );
    if allow_degraded {
        Choice::Degraded { backend, missing }
    } else {
        Choice::Refused { missing }
    }
}

fn required(level: Level, network: Network) -> Vec<Capability> {
    let all = Capability::ALL.into_iter();
    all.filter(|capability| capability.is_required(level, network))
        .collect()
}

/// What is in force and what was tried: the table of `tos doctor --sandbox`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The level asked for.
    pub level: Level,
    /// The network reach asked for.
    pub network: Network,
    /// What came of it.
    pub choice: Choice,
    /// What was tried, best backend first.
    pub trials: Vec<Trial>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_whose_apparmor_forbids_namespaces_gets_the_profile() {
        let remedy = |backend, setting| apparmor_remedy(backend, setting, "/usr/bin/bwrap");
        let said = remedy(Backend::Bubblewrap, "1\n").unwrap();
        assert!(
            said.contains(
                "'profile tos-bwrap \"/usr/bin/bwrap\" flags=(unconfined) {' '  userns,' '}'"
            ),
            "{said}"
        );
        assert!(
            said.contains("apparmor_parser -r /etc/apparmor.d/tos-bwrap"),
            "{said}"
        );
        assert_eq!(remedy(Backend::Bubblewrap, "0\n"), None);
        assert_eq!(remedy(Backend::Namespaces, ""), None);
        assert_eq!(remedy(Backend::Landlock, "1"), None);
    }

    fn trial(backend: Backend, lacking: &[Capability]) -> Trial {
        let proofs = Capability::ALL.map(|capability| Proof {
            capability,
            holds: Some(!lacking.contains(&capability)),
            how: String::new(),
        });
        Trial {
            backend,
            absent: None,
            proofs: proofs.into(),
        }
    }

    #[test]
    fn the_best_backend_that_holds_everything_is_chosen() {
        let trials = [
            trial(Backend::Bubblewrap, &[Capability::NoSurvivors]),
            trial(Backend::Namespaces, &[Capability::Memory]),
            trial(Backend::Landlock, &[]),
        ];
        assert_eq!(
            choose(Level::Workspace, Network::None, false, &trials),
            Choice::Proved {
                backend: Backend::Namespaces
            }
        );
    }

    #[test]
    fn what_is_not_proved_is_refused_unless_degrading_is_allowed() {
        let trials = [trial(Backend::Landlock, &[Capability::Isolated])];
        let missing = vec![Capability::Isolated];
        assert_eq!(
            choose(Level::ReadOnly, Network::None, false, &trials),
            Choice::Refused {
                missing: missing.clone()
            }
        );
        assert_eq!(
            choose(Level::ReadOnly, Network::None, true, &trials),
            Choice::Degraded {
                backend: Backend::Landlock,
                missing
            }
        );
    }

    #[test]
    fn a_backend_that_runs_nothing_is_never_chosen() {
        let trials = [trial(Backend::Bubblewrap, &[Capability::Runs])];
        let choice = choose(Level::Workspace, Network::Full, true, &trials);
        assert_eq!(choice.backend(), Some(Backend::None));
        assert_eq!(
            choose(Level::Workspace, Network::Full, false, &trials).backend(),
            None
        );
    }

    #[test]
    fn no_wall_is_asked_for_at_level_off() {
        let choice = choose(Level::Off, Network::None, false, &[]);
        assert_eq!(
            choice,
            Choice::Proved {
                backend: Backend::None
            }
        );
    }

    #[test]
    fn the_network_asked_for_decides_which_network_proof_is_needed() {
        let no_net = trial(Backend::Namespaces, &[Capability::Allowlist]);
        assert_eq!(no_net.missing(Level::Workspace, Network::None), []);
        assert_eq!(no_net.missing(Level::Workspace, Network::Full), []);
        assert_eq!(
            no_net.missing(Level::Workspace, Network::Allowlist),
            [Capability::Allowlist]
        );
    }
}
