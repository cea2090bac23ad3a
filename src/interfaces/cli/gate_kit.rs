//! What commands about gates and the ledger may ask the composition root for.

use std::{
    any::Any,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    config::gates::{self, Loaded},
    domain::{
        agent::AgentKind,
        gates::{Here, Report, eval},
        guarded::TaskList,
        ledger::{Entry, PhaseMode, chain::Chain},
        validate::{Collected, Rules},
    },
    interfaces::cli::{args::Global, exit::Trouble, kit::Kit},
    ports::{
        drill_site::Ground,
        ledger::Ledger,
        notifier::{Notifications, Notifier},
        schedules::Schedules,
    },
    services::guarded::Tools,
};

/// Builds what gates need.
pub trait GateKit {
    /// Opens the ledger of the root.
    fn ledger(&self, global: &Global) -> Result<Arc<dyn Ledger>, Trouble>;

    /// Returns what is known of here and now.
    fn here(&self, global: &Global) -> Result<Here, Trouble>;

    /// Returns whether a person sits at the terminal.
    fn is_attended(&self) -> bool;

    /// Asks the person at the terminal for one line; `None` where nobody answers.
    fn ask_line(&self, question: &str) -> Option<String>;

    /// Collects what changed in the repository of the root since a commit.
    fn changes(&self, global: &Global, base: Option<&str>) -> Result<Collected, Trouble>;

    /// Reads rules for changes.
    fn check_rules(&self, text: &str) -> Result<Rules, Trouble>;

    /// Returns what this machine has of a coding agent.
    fn installed_agent(&self, kind: AgentKind) -> InstalledAgent;

    /// Takes the right to run guarded tasks and lays out what they need.
    fn task_desk(&self, global: &Global) -> Result<Desk, Trouble>;

    /// Says why something of the checkout cannot be shared with work trees. Returns what people should know of the work
    /// trees of a list, one line each.
    fn check_shared(&self, global: &Global, list: &TaskList) -> Result<Vec<String>, Trouble>;

    /// Returns what keeps a list from running here, without running anything: the repository, programs, files.
    fn list_faults(&self, global: &Global, list: &TaskList) -> Vec<String>;

    /// Prepares the ground for drills below the root.
    fn drill_ground(&self, global: &Global) -> Result<Box<dyn Ground>, Trouble>;

    /// Delivers the events that have not arrived yet and returns how many; `None` = nobody collects them.
    fn deliver_events(&self, global: &Global) -> Result<Option<usize>, Trouble>;

    /// Builds the ways to tell people that the root configures; all their secrets have to be there.
    fn notifiers(&self, global: &Global) -> Result<Vec<Arc<dyn Notifier>>, Trouble>;

    /// Starts what tells people of jobs and plans beside the work.
    fn told_of(&self, root: &Path) -> Result<Tellers, Trouble>;

    /// Opens the schedules of the root.
    fn schedules(&self, global: &Global) -> Box<dyn Schedules>;

    /// Keeps the machine awake until the value is dropped; returns the name of what does it, or why nothing does.
    fn stay_awake(&self) -> Result<(String, Box<dyn Any>), String>;

    /// Writes a small file below the state folder of the root, in one piece.
    fn write_state(&self, global: &Global, file: &str, text: &str) -> Result<PathBuf, Trouble>;

    /// Writes a file that a person named, in one piece.
    fn write_file(&self, file: &Path, text: &str) -> Result<(), Trouble>;

    /// Reads a file below the state folder of the root.
    fn read_state(&self, global: &Global, file: &str) -> Option<String>;

    /// Examines what this machine offers to confine programs: one line each, and whether containers work.
    fn probe_isolation(&self) -> (Vec<String>, bool);
}

/// What tells people of jobs and plans.
pub struct Tellers {
    /// Takes notifications.
    pub notifications: Arc<dyn Notifications>,
    /// Ways that are left out here, and why, one sentence each.
    pub warnings: Vec<String>,
}

impl std::fmt::Debug for Tellers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tellers").finish_non_exhaustive()
    }
}

/// What a machine has of a coding agent.
#[derive(Debug, Clone)]
pub struct InstalledAgent {
    /// Where its program lies, or why it cannot be started.
    pub program: Result<PathBuf, String>,
    /// What it says its version is; `unknown` where it says nothing.
    pub version: String,
    /// The login it would use: files below the home directory as `~/…`, names of variables.
    pub login: Vec<String>,
}

/// What guarded tasks need, for as long as nobody else may run any.
pub struct Desk {
    /// What the runner works with.
    pub tools: Tools,
    /// The id of this run.
    pub run: String,
    /// A folder for trying walls.
    pub room: PathBuf,
    /// Asks a program for its version.
    pub version: fn(&str) -> String,
    /// Asks the person at the terminal.
    pub ask: fn(&str) -> Option<String>,
    /// What carries events away, where somebody collects them.
    pub courier: Box<dyn Any>,
    /// The right itself.
    pub lock: Box<dyn Any>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// The gates of a root with everything they speak about.
pub struct Court {
    /// The gates.
    pub loaded: Loaded,
    /// The ledger, for writing.
    pub ledger: Arc<dyn Ledger>,
    /// Its content.
    pub chain: Chain,
    /// Here and now.
    pub here: Here,
}

impl std::fmt::Debug for Court {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Court").finish_non_exhaustive()
    }
}

impl Court {
    /// Reads gates and ledger; a demotion that is due is recorded at once.
    pub fn convene(kit: &dyn Kit, global: &Global) -> Result<Self, Trouble> {
        let loaded = gates::load(&kit.root(global))?;
        let ledger = kit.ledger(global)?;
        let mut court = Self {
            chain: ledger.read()?,
            loaded,
            ledger,
            here: kit.here(global)?,
        };
        court.settle()?;
        Ok(court)
    }

    /// Returns the verdict.
    pub fn report(&self) -> Report {
        eval(&self.loaded.gates, &self.chain.records, &self.here)
    }

    /// Writes a record and reads the ledger again.
    pub fn record(&mut self, entry: Entry) -> Result<(), Trouble> {
        self.ledger.append(None, entry)?;
        self.chain = self.ledger.read()?;
        Ok(())
    }

    fn settle(&mut self) -> Result<(), Trouble> {
        for standing in self.report().tracks {
            let Some(fall) = standing.demotion else {
                continue;
            };
            self.record(Entry::Phase {
                track: standing.track,
                from: fall.from,
                to: fall.to,
                mode: PhaseMode::Auto,
                lock: fall.lock,
                reason: fall.reason,
                evidence: Vec::new(),
            })?;
        }
        Ok(())
    }
}
