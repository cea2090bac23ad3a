//! What commands about gates and the ledger may ask the composition root for.

use std::{
    any::Any,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    config::{gates::LoadedGates, service_models::ServiceModel},
    domain::{
        agent::AgentKind,
        gates::GateContext,
        redaction::Redactor,
        tasks::TaskList,
        validate::{CollectedChange, ValidationRules},
    },
    interfaces::{
        cli::{args::GlobalArgs, cluster_args::ClusterArgs, exit::CliError},
        http::options::SecretGenerator,
    },
    ports::{
        agent_runners::AgentSandboxes,
        approvals::Approvals,
        board::ServiceBackend,
        board_store::{BoardMaintenance, BoardStore},
        branch_merges::BranchMerges,
        cluster::{ClusterMember, RunDispatcher},
        containers::Containers,
        drill_site::DrillSites,
        github::GitHub,
        ledger::Ledger,
        model::Model,
        notifier::{NotificationSink, Notifier},
        plan_work::{PlanClusterClient, TaskExecutor},
        process_logs::ProcessLogs,
        schedules::Schedules,
    },
    services::{board::BoardHandle, tasks::SessionPorts},
};

/// A worker on a cluster: what takes orders of a board, and what takes tasks of plans.
pub type WorkerMembership = (Arc<dyn ClusterMember>, Arc<dyn PlanClusterClient>);

/// Builds what gates need.
pub trait TaskServiceFactory {
    /// Opens the ledger of the root.
    fn ledger(&self, global: &GlobalArgs) -> Result<Arc<dyn Ledger>, CliError>;

    /// Returns what is known of here and now.
    fn gate_context(&self, global: &GlobalArgs) -> Result<GateContext, CliError>;

    /// Returns whether a person sits at the terminal.
    fn is_attended(&self) -> bool;

    /// Asks the person at the terminal for one line; `None` where nobody answers.
    fn ask_line(&self, question: &str) -> Option<String>;

    /// Collects what changed in the repository of the root since a commit.
    fn collect_change(
        &self,
        global: &GlobalArgs,
        base: Option<&str>,
    ) -> Result<CollectedChange, CliError>;

    /// Reads rules for changes.
    fn parse_change_rules(&self, text: &str) -> Result<ValidationRules, CliError>;

    /// Returns what this machine has of a coding agent.
    fn installed_agent(&self, kind: AgentKind) -> InstalledAgent;

    /// Takes the right to run guarded tasks and lays out what they need.
    fn lock_task_services(&self, global: &GlobalArgs) -> Result<TaskServices, CliError>;

    /// Lays out what is needed to ask agents whether they answer: with the right to run tasks, or, where there is no repository,
    /// in a place that is gone afterwards.
    fn agent_check_services(&self, global: &GlobalArgs) -> Result<TaskServices, CliError>;

    /// Lays out what is needed to look at a list that a running service is to carry out.
    fn unlocked_task_services(&self, global: &GlobalArgs) -> Result<TaskServices, CliError>;

    /// Says why something of the checkout cannot be shared with work trees. Returns what people should know of the work
    /// trees of a list, one line each.
    fn work_tree_notes(
        &self,
        global: &GlobalArgs,
        list: &TaskList,
    ) -> Result<Vec<String>, CliError>;

    /// Returns what keeps a list from running here, without running anything: the repository, programs, files.
    fn task_list_faults(&self, global: &GlobalArgs, list: &TaskList) -> Vec<String>;

    /// Says why no task can work in the repository of a root, and what helps; `None` = it can.
    fn repository_fault(&self, global: &GlobalArgs) -> Option<String>;

    /// Says that the checkout is on no branch, which nothing can be merged into, and what helps; `None` = it is on one.
    fn branch_fault(&self, global: &GlobalArgs) -> Option<String>;

    /// Names the scripts of commands, each with the key that says it, that are neither in the commit that is worked on nor shared by the
    /// list, one line each.
    fn missing_scripts(
        &self,
        global: &GlobalArgs,
        list: &TaskList,
        commands: &[(&str, &[String])],
    ) -> Vec<String>;

    /// Tells whether the checkout has a commit already: it is HEAD, or before it.
    fn is_taken_over(&self, global: &GlobalArgs, commit: &str) -> bool;

    /// Prepares the ground for drills below the root.
    fn drill_sites(&self, global: &GlobalArgs) -> Result<Box<dyn DrillSites>, CliError>;

    /// Delivers the events that have not arrived yet and returns how many; `None` = nobody collects them.
    fn deliver_events(&self, global: &GlobalArgs) -> Result<Option<usize>, CliError>;

    /// Builds the ways to tell people that the root configures; all their secrets have to be there.
    fn notifiers(&self, global: &GlobalArgs) -> Result<Vec<Arc<dyn Notifier>>, CliError>;

    /// Starts what tells people of jobs and plans beside the work.
    fn event_notifiers(&self, root: &Path) -> Result<EventNotifiers, CliError>;

    /// Opens the schedules of the root.
    fn schedules(&self, global: &GlobalArgs) -> Box<dyn Schedules>;

    /// Keeps the machine awake until the value is dropped; returns the name of what does it, or why nothing does.
    fn stay_awake(&self) -> Result<(String, Box<dyn Any>), String>;

    /// Writes a small file below the state folder of the root, in one piece.
    fn write_state_file(
        &self,
        global: &GlobalArgs,
        file: &str,
        text: &str,
    ) -> Result<PathBuf, CliError>;

    /// Writes a file that a person named, in one piece.
    fn write_file(&self, file: &Path, text: &str) -> Result<(), CliError>;

    /// Reads a file below the state folder of the root.
    fn read_state_file(&self, global: &GlobalArgs, file: &str) -> Option<String>;

    /// Returns what a running service of the root left for its user.
    fn service_address(&self, global: &GlobalArgs) -> Option<serde_json::Value>;

    /// Leaves that for the user of a service that runs now, readable for nobody else.
    fn write_service_address(
        &self,
        global: &GlobalArgs,
        document: serde_json::Value,
    ) -> Result<(), CliError>;

    /// Opens the board of the root, what merges for it, and its logs. With `store`, the board is kept there.
    fn board_services(
        &self,
        global: &GlobalArgs,
        store: Option<Box<dyn BoardStore>>,
    ) -> Result<BoardServices, CliError>;

    /// Opens what a worker of a cluster needs beside what guarded tasks need.
    fn worker_services(&self, global: &GlobalArgs) -> WorkerServices;

    /// Connects to a cluster under a name.
    fn join_cluster(
        &self,
        global: &GlobalArgs,
        options: &ClusterArgs,
        name: &str,
    ) -> Result<Arc<dyn ClusterMember>, CliError>;

    /// Connects to a cluster under a name, once for orders of a board and tasks of plans.
    fn worker_cluster(
        &self,
        global: &GlobalArgs,
        options: &ClusterArgs,
        name: &str,
    ) -> Result<WorkerMembership, CliError>;

    /// Connects to a cluster under a name, for plans.
    fn plan_cluster(
        &self,
        global: &GlobalArgs,
        options: &ClusterArgs,
        name: &str,
    ) -> Result<Arc<dyn PlanClusterClient>, CliError>;

    /// Returns the name of the folder that is the root.
    fn folder_name(&self, global: &GlobalArgs) -> String;

    /// Shows an address in the user's browser; returns whether there is one.
    fn open_in_browser(&self, address: &str) -> bool;

    /// Folds the events of the board anew; returns how many there are, and what differed and is put right.
    fn rebuild_board(&self, global: &GlobalArgs) -> Result<(u64, Option<String>), CliError>;

    /// Returns the events of the board, one JSON document a line.
    fn export_board(&self, global: &GlobalArgs) -> Result<String, CliError>;

    /// Takes exported events into a root without a board; returns how many.
    fn import_board(&self, global: &GlobalArgs, file: &Path) -> Result<u64, CliError>;

    /// Writes a file below the state folder that nobody else can read.
    fn write_secret_file(
        &self,
        global: &GlobalArgs,
        file: &str,
        text: &str,
    ) -> Result<PathBuf, CliError>;

    /// Removes a file below the state folder, where there is one.
    fn remove_state_file(&self, global: &GlobalArgs, file: &str);

    /// Returns the names of the folders in a folder below the state folder.
    fn state_folders(&self, global: &GlobalArgs, folder: &str) -> Vec<String>;

    /// Removes these files of a folder below the state folder, and the folder where nothing else is in it.
    fn remove_state_folder(&self, global: &GlobalArgs, folder: &str, files: &[&str]);

    /// Examines what this machine offers to confine programs: one line each, and whether containers work.
    fn probe_isolation(&self) -> (Vec<String>, bool);
}

/// What the view of a running service is made of, beside what lies in its root.
pub struct ServiceAccessParts {
    /// Its board.
    pub handle: BoardHandle,
    /// The gates.
    pub gates: LoadedGates,
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The circumstances of the root.
    pub here: GateContext,
    /// What makes containers.
    pub containers: Arc<dyn Containers>,
    /// The names of its further agents.
    pub agents: Vec<String>,
    /// Its workers elsewhere.
    pub remote: Option<Arc<dyn RunDispatcher>>,
}

/// Makes the view of a running service.
pub type ServiceAccessFactory =
    Box<dyn FnOnce(ServiceAccessParts) -> Arc<dyn ServiceBackend> + Send>;

/// Builds a model of the service's file.
pub type ModelMaker = Box<dyn Fn(&ServiceModel) -> Result<Arc<dyn Model>, CliError>>;

/// What a service needs beside what guarded tasks need.
pub struct BoardServices {
    /// Keeps the board.
    pub store: Box<dyn BoardStore>,
    /// Merges.
    pub merges: Arc<dyn BranchMerges>,
    /// The logs of processes.
    pub logs: Arc<dyn ProcessLogs>,
    /// GitHub.
    pub github: Arc<dyn GitHub>,
    /// Looks after the board's store.
    pub upkeep: Arc<dyn BoardMaintenance>,
    /// Makes containers, given what prepares homes and logins.
    pub containers: ContainerMaker,
    /// A fresh secret for callers.
    pub token: String,
    /// Makes secrets for the page: codes and sessions.
    pub fresh_secret: SecretGenerator,
    /// Gives API and page their view of the running service.
    pub access: ServiceAccessFactory,
    /// Builds the models that plan and review.
    pub model: ModelMaker,
    /// Knows what no question to a model may hold.
    pub redactor: Redactor,
    /// Writes a small file below the state folder, in one piece.
    pub write_state: StateFileWriter,
    /// Gives memory that nobody uses back to the system.
    pub give_back_memory: fn(),
}

/// What a worker of a cluster needs beside what guarded tasks need.
pub struct WorkerServices {
    /// The logs of its attempts.
    pub logs: Arc<dyn ProcessLogs>,
    /// Answers what agents ask.
    pub approvals: Arc<dyn Approvals>,
    /// Makes containers, given what prepares homes and logins.
    pub containers: ContainerMaker,
    /// Makes single tasks of plans, given further words for each.
    pub task_maker: TaskExecutorFactory,
}

/// Builds what makes single tasks of plans.
pub type TaskExecutorFactory = Box<dyn FnOnce(Vec<String>) -> Arc<dyn TaskExecutor>>;

impl std::fmt::Debug for WorkerServices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerServices").finish_non_exhaustive()
    }
}

/// Makes containers, given what prepares homes and logins.
pub type ContainerMaker = Box<dyn FnOnce(Arc<dyn AgentSandboxes>) -> Arc<dyn Containers>>;

/// Writes a small file below a state folder, or says why it cannot.
pub type StateFileWriter = Arc<dyn Fn(&str, &str) -> Result<(), String> + Send + Sync>;

impl std::fmt::Debug for BoardServices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoardServices").finish_non_exhaustive()
    }
}

/// What tells people of jobs and plans.
pub struct EventNotifiers {
    /// Takes notifications.
    pub notifications: Arc<dyn NotificationSink>,
    /// Ways that are left out here, and why, one sentence each.
    pub warnings: Vec<String>,
}

impl std::fmt::Debug for EventNotifiers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventNotifiers").finish_non_exhaustive()
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
pub struct TaskServices {
    /// What the runner works with.
    pub tools: SessionPorts,
    /// The id of this run.
    pub run: String,
    /// A folder for trying walls.
    pub task_folder: PathBuf,
    /// Asks a program for its version.
    pub version: fn(&str) -> String,
    /// Asks the person at the terminal.
    pub ask: fn(&str) -> Option<String>,
    /// What carries events away, where somebody collects them.
    pub notification_queue: Box<dyn Any>,
    /// The right itself.
    pub lock: Box<dyn Any>,
}

impl std::fmt::Debug for TaskServices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskServices").finish_non_exhaustive()
    }
}
