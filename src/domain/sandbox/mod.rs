//! Which wall stands between a command and the machine: levels, what a wall must hold, and the choice
//! of the one that holds it.
//!
//! Nothing is believed that was not tried: a backend comes with proofs, one per capability, gained by
//! running probes behind it. A level whose required capabilities are not all proved is refused, or
//! runs degraded when the configuration allows that.

pub mod home;
pub mod passing;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How much a command may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfinementLevel {
    /// Everything the user may do.
    Off,
    /// Write below the root, except where tos and git keep their own.
    #[default]
    Workspace,
    /// Write nowhere but in a private temporary directory.
    ReadOnly,
}

impl ConfinementLevel {
    /// Returns the word for this level in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Workspace => "workspace",
            Self::ReadOnly => "read_only",
        }
    }
}

/// What a command that is git's own write may do with a part of the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepositoryAccess {
    /// Read it.
    Read,
    /// Write it.
    Write,
}

/// A working directory that a wall hides: a command that starts in it sees none of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HiddenFolder {
    /// The folder the wall covers: the working directory, or one above it.
    pub cover: PathBuf,
    /// Whether a command can start in it all the same, and finds it empty but for what has to be shown.
    pub can_start: bool,
}

/// What a confined command can reach over the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkAccess {
    /// Nothing.
    #[default]
    None,
    /// The named hosts, through a proxy in tos.
    Allowlist,
    /// Everything.
    Full,
}

impl NetworkAccess {
    /// Returns the word for this reach in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Allowlist => "allowlist",
            Self::Full => "full",
        }
    }
}

/// What builds the wall, best first: what proves the same, starts a command quicker and tells less on command lines comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxBackend {
    /// Namespaces that tos makes itself.
    Namespaces,
    /// The `bwrap` program.
    Bubblewrap,
    /// Landlock rules, a system call filter and resource limits, without namespaces.
    Landlock,
    /// No wall.
    None,
}

impl SandboxBackend {
    /// Every backend that builds a wall, best first.
    pub const CONFINING: [Self; 3] = [Self::Namespaces, Self::Bubblewrap, Self::Landlock];

    /// Returns the backends that `sandbox.backend` lets build a wall, best first: the one that it names, else every one.
    pub fn wanted(word: &str) -> Vec<Self> {
        let named = Self::CONFINING
            .into_iter()
            .find(|backend| backend.as_str() == word);
        named.map_or_else(|| Self::CONFINING.into(), |backend| vec![backend])
    }

    /// Returns the word for this backend in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bubblewrap => "bubblewrap",
            Self::Namespaces => "namespaces",
            Self::Landlock => "landlock",
            Self::None => "none",
        }
    }

    /// Returns what this wall leaves open by its nature, which no trial tries; `None` = nothing that is known.
    pub const fn known_gap(self) -> Option<&'static str> {
        match self {
            Self::Landlock => Some(
                "modes, owners, times and attributes of your own files outside the root can be changed, and names, sizes and \
                 times of covered files asked for: the kernel has no rule for that",
            ),
            Self::Bubblewrap | Self::Namespaces | Self::None => None,
        }
    }
}

/// One property of a wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxCapability {
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

impl SandboxCapability {
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
    pub fn is_required(self, level: ConfinementLevel, network: NetworkAccess) -> bool {
        match self {
            Self::Runs
            | Self::WritesOutside
            | Self::RootAsAsked
            | Self::SecretsHidden
            | Self::LocalServices
            | Self::NoNewPrivileges
            | Self::Isolated
            | Self::NoSurvivors
            | Self::DiesWithTos => level != ConfinementLevel::Off,
            Self::Protected => level == ConfinementLevel::Workspace,
            Self::NoNetwork => level != ConfinementLevel::Off && network == NetworkAccess::None,
            Self::Allowlist => {
                level != ConfinementLevel::Off && network == NetworkAccess::Allowlist
            }
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
pub struct CapabilityProof {
    /// What was tried.
    pub capability: SandboxCapability,
    /// Whether it held; `None` = it does not apply or could not be tried.
    pub holds: Option<bool>,
    /// How it was tried and what was seen.
    pub how: String,
}

/// What trying one backend showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendTest {
    /// The backend.
    pub backend: SandboxBackend,
    /// Why it cannot be used at all; then there are no proofs.
    pub absent: Option<String>,
    /// Whether it could not be tried, by a fault that says nothing about it: a full disk, no memory, no file descriptors, a
    /// limit of the shell. Such a trial is not remembered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_untried: bool,
    /// One proof per capability.
    pub proofs: Vec<CapabilityProof>,
}

impl BackendTest {
    /// Returns what this level needs and this backend was not proved to give.
    pub fn missing_guarantees(
        &self,
        level: ConfinementLevel,
        network: NetworkAccess,
    ) -> Vec<SandboxCapability> {
        let proved = |wanted: SandboxCapability| {
            let found = self.proofs.iter().find(|proof| proof.capability == wanted);
            found.is_some_and(|proof| proof.holds == Some(true))
        };
        let required = SandboxCapability::ALL
            .into_iter()
            .filter(|c| c.is_required(level, network));
        required.filter(|capability| !proved(*capability)).collect()
    }

    fn runs(&self) -> bool {
        let runs = |proof: &CapabilityProof| {
            proof.capability == SandboxCapability::Runs && proof.holds == Some(true)
        };
        self.absent.is_none() && self.proofs.iter().any(runs)
    }
}

/// Which wall is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wall", rename_all = "snake_case")]
#[must_use = "a refusal means that nothing may run"]
pub enum BackendChoice {
    /// Everything the level needs is proved.
    Proved {
        /// What builds the wall.
        backend: SandboxBackend,
    },
    /// The configuration allows going on although something is missing.
    Degraded {
        /// What builds the wall.
        backend: SandboxBackend,
        /// What is not proved.
        missing: Vec<SandboxCapability>,
    },
    /// Nothing may run.
    Refused {
        /// What is not proved, for the best backend there is.
        missing: Vec<SandboxCapability>,
    },
    /// Nothing may run: nobody knows whether a wall would hold, for none could be tried.
    Untried {
        /// What was in the way.
        why: String,
    },
    /// Nothing may run: a wall held here before, and none does now.
    Lost {
        /// What is not proved any more.
        missing: Vec<SandboxCapability>,
        /// The file that remembers the wall that held.
        memory: String,
    },
}

impl BackendChoice {
    /// Returns what builds the wall; `None` where nothing may run.
    pub fn backend(&self) -> Option<SandboxBackend> {
        match self {
            Self::Proved { backend } | Self::Degraded { backend, .. } => Some(*backend),
            Self::Refused { .. } | Self::Untried { .. } | Self::Lost { .. } => None,
        }
    }

    /// Returns the sentence for logs and for the person who reads them.
    pub fn describe(&self, level: ConfinementLevel) -> String {
        let list = |missing: &[SandboxCapability]| {
            let names: Vec<&str> = missing
                .iter()
                .map(|capability| capability.as_str())
                .collect();
            names.join("; ")
        };
        match self {
            Self::Proved {
                backend: SandboxBackend::None,
            } => "no sandbox: commands have all rights of the user".into(),
            Self::Proved { backend } => {
                format!("sandbox `{}` by {}", level.as_str(), backend.as_str())
            }
            Self::Degraded {
                backend: SandboxBackend::None,
                missing,
            } => format!(
                "no sandbox: commands have all rights of the user, for no wall of this machine is proved to hold `{}`; \
                 `tos doctor --sandbox` says why; not proved: {}",
                level.as_str(),
                list(missing)
            ),
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
            Self::Untried { why } => format!(
                "no wall could be tried, so nothing runs: {why}; free some space (or memory, or file descriptors; `ulimit -a` shows the limits of your shell) and try again, or \
                 set `sandbox.level` to \"off\"",
            ),
            Self::Lost { missing, memory } => format!(
                "a wall held here before and none does now, so nothing runs: not proved: {}; `tos doctor --sandbox` says why; \
                 where that is meant, remove {memory}, or set `sandbox.level` to \"off\"",
                list(missing)
            ),
        }
    }
}

/// Returns what to do where `AppArmor` keeps programs from making user namespaces, as Ubuntu does since 23.10. `setting` is
/// what the kernel says about it, `program` what would make them.
pub fn apparmor_remedy(backend: SandboxBackend, setting: &str, program: &str) -> Option<String> {
    let name = match backend {
        SandboxBackend::Bubblewrap => "tos-bwrap",
        SandboxBackend::Namespaces => "tos",
        SandboxBackend::Landlock | SandboxBackend::None => return None,
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
/// `allow_degraded` is set, the one that lacks least. Where one could not be tried, nobody knows what it lacks.
pub fn choose(
    level: ConfinementLevel,
    network: NetworkAccess,
    allow_degraded: bool,
    trials: &[BackendTest],
) -> BackendChoice {
    if level == ConfinementLevel::Off {
        return BackendChoice::Proved {
            backend: SandboxBackend::None,
        };
    }
    let usable: Vec<(&BackendTest, Vec<SandboxCapability>)> = trials
        .iter()
        .filter(|trial| trial.runs())
        .map(|trial| (trial, trial.missing_guarantees(level, network)))
        .collect();
    if let Some((trial, _)) = usable.iter().find(|(_, missing)| missing.is_empty()) {
        return BackendChoice::Proved {
            backend: trial.backend,
        };
    }
    let best = usable.into_iter().min_by_key(|(_, missing)| missing.len());
    let (backend, missing) = best.map_or_else(
        || (SandboxBackend::None, required(level, network)),
        |(trial, missing)| (trial.backend, missing),
    );
    let untried = trials.iter().find(|trial| trial.is_untried);
    if allow_degraded {
        BackendChoice::Degraded { backend, missing }
    } else if let Some(trial) = untried {
        let why = trial.absent.clone().unwrap_or_default();
        BackendChoice::Untried { why }
    } else {
        BackendChoice::Refused { missing }
    }
}

fn required(level: ConfinementLevel, network: NetworkAccess) -> Vec<SandboxCapability> {
    let all = SandboxCapability::ALL.into_iter();
    all.filter(|capability| capability.is_required(level, network))
        .collect()
}

/// What is in force and what was tried: the table of `tos doctor --sandbox`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxReport {
    /// The level asked for.
    pub level: ConfinementLevel,
    /// The network reach asked for.
    pub network: NetworkAccess,
    /// What came of it.
    pub choice: BackendChoice,
    /// What was tried, best backend first.
    pub trials: Vec<BackendTest>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_whose_apparmor_forbids_namespaces_gets_the_profile() {
        let remedy = |backend, setting| apparmor_remedy(backend, setting, "/usr/bin/bwrap");
        let said = remedy(SandboxBackend::Bubblewrap, "1\n").unwrap();
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
        assert_eq!(remedy(SandboxBackend::Bubblewrap, "0\n"), None);
        assert_eq!(remedy(SandboxBackend::Namespaces, ""), None);
        assert_eq!(remedy(SandboxBackend::Landlock, "1"), None);
    }

    fn trial(backend: SandboxBackend, lacking: &[SandboxCapability]) -> BackendTest {
        let proofs = SandboxCapability::ALL.map(|capability| CapabilityProof {
            capability,
            holds: Some(!lacking.contains(&capability)),
            how: String::new(),
        });
        BackendTest {
            backend,
            absent: None,
            is_untried: false,
            proofs: proofs.into(),
        }
    }

    #[test]
    fn the_best_backend_that_holds_everything_is_chosen() {
        let trials = [
            trial(
                SandboxBackend::Bubblewrap,
                &[SandboxCapability::NoSurvivors],
            ),
            trial(SandboxBackend::Namespaces, &[SandboxCapability::Memory]),
            trial(SandboxBackend::Landlock, &[]),
        ];
        assert_eq!(
            choose(
                ConfinementLevel::Workspace,
                NetworkAccess::None,
                false,
                &trials
            ),
            BackendChoice::Proved {
                backend: SandboxBackend::Namespaces
            }
        );
    }

    #[test]
    fn what_is_not_proved_is_refused_unless_degrading_is_allowed() {
        let trials = [trial(
            SandboxBackend::Landlock,
            &[SandboxCapability::Isolated],
        )];
        let missing = vec![SandboxCapability::Isolated];
        assert_eq!(
            choose(
                ConfinementLevel::ReadOnly,
                NetworkAccess::None,
                false,
                &trials
            ),
            BackendChoice::Refused {
                missing: missing.clone()
            }
        );
        assert_eq!(
            choose(
                ConfinementLevel::ReadOnly,
                NetworkAccess::None,
                true,
                &trials
            ),
            BackendChoice::Degraded {
                backend: SandboxBackend::Landlock,
                missing
            }
        );
    }

    #[test]
    fn a_backend_that_runs_nothing_is_never_chosen() {
        let trials = [trial(
            SandboxBackend::Bubblewrap,
            &[SandboxCapability::Runs],
        )];
        let choice = choose(
            ConfinementLevel::Workspace,
            NetworkAccess::Full,
            true,
            &trials,
        );
        assert_eq!(choice.backend(), Some(SandboxBackend::None));
        assert_eq!(
            choose(
                ConfinementLevel::Workspace,
                NetworkAccess::Full,
                false,
                &trials
            )
            .backend(),
            None
        );
    }

    #[test]
    fn what_could_not_be_tried_is_not_said_to_be_missing() {
        let full = BackendTest {
            backend: SandboxBackend::Bubblewrap,
            absent: Some("the disk is full".to_owned()),
            is_untried: true,
            proofs: Vec::new(),
        };
        let (level, network) = (ConfinementLevel::Workspace, NetworkAccess::None);
        let chosen = choose(level, network, false, std::slice::from_ref(&full));
        assert_eq!(chosen.backend(), None);
        let told = chosen.describe(level);
        assert!(
            told.contains("the disk is full") && told.contains("nothing runs"),
            "{told}"
        );
        // Another one that holds is as good as ever.
        let other = trial(SandboxBackend::Namespaces, &[]);
        let chosen = choose(level, network, false, &[full, other]);
        assert_eq!(chosen.backend(), Some(SandboxBackend::Namespaces));
    }

    #[test]
    fn nobody_takes_the_lack_of_a_wall_for_a_wall() {
        let level = ConfinementLevel::Workspace;
        let open = BackendChoice::Degraded {
            backend: SandboxBackend::None,
            missing: vec![SandboxCapability::Runs],
        };
        let told = open.describe(level);
        assert!(told.starts_with("no sandbox: "), "{told}");
    }

    #[test]
    fn no_wall_is_asked_for_at_level_off() {
        let choice = choose(ConfinementLevel::Off, NetworkAccess::None, false, &[]);
        assert_eq!(
            choice,
            BackendChoice::Proved {
                backend: SandboxBackend::None
            }
        );
    }

    #[test]
    fn the_network_asked_for_decides_which_network_proof_is_needed() {
        let no_net = trial(SandboxBackend::Namespaces, &[SandboxCapability::Allowlist]);
        assert_eq!(
            no_net.missing_guarantees(ConfinementLevel::Workspace, NetworkAccess::None),
            []
        );
        assert_eq!(
            no_net.missing_guarantees(ConfinementLevel::Workspace, NetworkAccess::Full),
            []
        );
        assert_eq!(
            no_net.missing_guarantees(ConfinementLevel::Workspace, NetworkAccess::Allowlist),
            [SandboxCapability::Allowlist]
        );
    }
}
