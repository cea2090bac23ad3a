//! Builds what guarded tasks, gates and nights need.

use std::{
    any::Any,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    confinement,
    context::{AppContext, run_id},
    scripts, service, worker,
};
use crate::{
    adapters::{
        agent::runners::{self, LocalAgentSandboxes},
        clock::SystemClock,
        drill::{self, TempDirSites},
        files, git,
        job::store::StoreLock,
        ledger::{LedgerFile, LedgerOptions},
        night::{
            event_files::EventFiles,
            heartbeats::HeartbeatFiles,
            machine::LocalMachine,
            notification_queue::{self, EventForwarder},
            sleep::SleepInhibitor,
        },
        sandbox::{self, isolation_probe},
        schedules::ScheduleFiles,
        telemetry::SessionExporter,
        validate::changes,
    },
    config::{self, gates, notify as notify_config, service as service_config},
    domain::{
        agent::{Agent, AgentKind},
        gates::GateContext,
        ledger::chain::sha256,
        sandbox::home,
        state_folder::{TOS_FOLDER, tos_path},
        tasks::TaskList,
        validate::{CollectedChange, ValidationRules},
    },
    interfaces::cli::{
        args::GlobalArgs,
        cluster_args::ClusterArgs,
        command_services::CommandServiceFactory,
        exit::CliError,
        services::ServiceFactory,
        task_services::{
            BoardServices, EventNotifiers, InstalledAgent, TaskServiceFactory, TaskServices,
            WorkerMembership, WorkerServices,
        },
    },
    ports::{
        board_store::BoardStore, branch_merges::BranchMerges as _, clock::Clock,
        cluster::ClusterMember, drill_site::DrillSites, event_sink::EventSink, ledger::Ledger,
        notifier::Notifier, plan_work::PlanClusterClient, schedules::Schedules,
        worktrees::Worktrees as _,
    },
    services::tasks::{self, SessionPorts},
};

impl AppContext {
    /// Returns a digest of the policy in force; a root without configuration has the default one.
    fn policy_digest(&self, global: &GlobalArgs) -> String {
        let text = self.settings(global).map_or_else(
            |_| "none".to_owned(),
            |settings| settings.rules.policy.canonical_text(),
        );
        sha256(text.as_bytes()).chars().take(16).collect()
    }

    /// Returns what takes the events of sessions, exported too where somebody asked for that.
    fn journal(
        &self,
        global: &GlobalArgs,
        files: EventFiles,
    ) -> Result<Arc<dyn EventSink>, CliError> {
        let files = Arc::new(files);
        Ok(match self.telemetry(global)? {
            Some(telemetry) => Arc::new(SessionExporter::new(files, telemetry)),
            None => files,
        })
    }

    /// Returns the ceilings that the configuration sets, and what it shows of covered folders; a root without one has
    /// the usual ones.
    fn wall_wishes(
        &self,
        global: &GlobalArgs,
    ) -> Result<(sandbox::ResourceLimits, Vec<PathBuf>), CliError> {
        let usual = sandbox::ResourceLimits::default();
        if config::config_in(&self.root(global)).is_none() && global.config.is_none() {
            return Ok((usual, Vec::new()));
        }
        let wish = self.settings(global)?.sandbox;
        Ok((confinement::limits(wish.limits, usual), wish.show))
    }

    /// Returns how events are carried to whoever collects them; `None` = nobody does.
    fn collector(
        &self,
        root: &Path,
    ) -> Result<Option<notification_queue::EventDeliveryOptions>, CliError> {
        let told = notify_config::load(root).map_err(|error| CliError::Setup(error.to_string()))?;
        let Some(events) = told.events else {
            return Ok(None);
        };
        Ok(Some(notification_queue::EventDeliveryOptions {
            folder: root.join(tos_path!("events")),
            url: self.secret(root, &events.url)?,
            token: events
                .token
                .as_ref()
                .map(|token| self.secret(root, token))
                .transpose()?,
            pause: Duration::from_secs(1),
            deadline: Duration::from_secs(15),
        }))
    }

    fn state_folder(&self) -> Option<PathBuf> {
        let home = || Some(PathBuf::from(self.env_var("HOME")?).join(".local/state"));
        self.env_var("XDG_STATE_HOME")
            .filter(|path| path.starts_with('/'))
            .map(PathBuf::from)
            .or_else(home)
    }

    /// Says that a wall hides a program, because it lies where keys and logins do.
    fn hidden_agent(&self, root: &Path, program: &str) -> Option<String> {
        let found = isolation_probe::find_program_from(root, program).ok()?;
        let user = PathBuf::from(self.env_var("HOME")?);
        let places = [Some(found.clone()), found.canonicalize().ok()];
        let mut below = places
            .iter()
            .flatten()
            .filter_map(|file| file.strip_prefix(&user).ok());
        let place = if program.contains('/') {
            String::new()
        } else {
            format!(" ({})", found.display())
        };
        below.any(home::is_secret).then(|| {
            format!(
                "agent `{program}`{place} lies in a place of keys and logins, which walls hide; install it elsewhere"
            )
        })
    }
}

impl AppContext {
    /// Returns the place of a file of the root's state.
    fn state_file(&self, global: &GlobalArgs, file: &str) -> PathBuf {
        files::canonical(&self.root(global))
            .join(TOS_FOLDER)
            .join(file)
    }

    /// Lays out what guarded tasks need; without a lock, a service holds it.
    fn desk(
        &self,
        global: &GlobalArgs,
        lock: Option<Box<dyn Any>>,
    ) -> Result<TaskServices, CliError> {
        let root = files::canonical(&self.root(global));
        let is_shared = lock.is_none();
        let worktrees = git::GitWorktrees::open(&root);
        let worktrees = worktrees.map_err(|error| CliError::Setup(error.to_string()))?;
        let task_folder = root.join(tos_path!("room"));
        files::write(&task_folder.join("tree/.git"), "a place for trying walls\n")?;
        let program = std::env::current_exe();
        let notification_queue = self
            .collector(&root)?
            .map(EventForwarder::start)
            .transpose();
        let notification_queue = notification_queue
            .map_err(|error| CliError::NotDone(format!("events cannot be carried: {error}")))?;
        let clock = SystemClock::new();
        let (limits, show) = self.wall_wishes(global)?;
        let settings = self.settings(global)?;
        let run = run_id(&clock);
        let notifiers = self.notifiers_of(&root)?;
        Ok(TaskServices {
            tools: SessionPorts {
                worktrees: Arc::new(worktrees),
                runners: Arc::new(LocalAgentSandboxes::new(runners::AgentSandboxOptions {
                    home: self.env_var("HOME").map(PathBuf::from),
                    environment: self.environment.clone(),
                    redactor: self.redactor().clone(),
                    program: program.map_err(|error| {
                        CliError::NotDone(format!("tos cannot find itself: {error}"))
                    })?,
                    state: root.join(TOS_FOLDER),
                    limits,
                    show,
                    backends: settings.sandbox.backends.clone(),
                })),
                ledger: self.ledger(global)?,
                notifications: self.queue(&root, &run, notifiers.clone())?,
                notifiers,
                clock: Arc::new(clock),
                heartbeats: Arc::new(HeartbeatFiles::new(root.join(tos_path!("sessions")))),
                journal: self.journal(
                    global,
                    EventFiles::new(
                        root.join(tos_path!("events")),
                        self.redactor().clone(),
                        notification_queue.as_ref().map(EventForwarder::signal),
                    ),
                )?,
                machine: Arc::new(LocalMachine::new(root.clone())),
                approvals: self.session_approvals(&settings),
                policy: Arc::new(settings.policy()?),
                world: self.policy_context(&settings.root, false),
                is_shared,
            },
            task_folder,
            version: isolation_probe::blocking_version,
            ask: files::ask_line,
            run,
            notification_queue: Box::new(notification_queue),
            lock: Box::new(lock),
        })
    }
}

impl TaskServiceFactory for AppContext {
    fn ledger(&self, global: &GlobalArgs) -> Result<Arc<dyn Ledger>, CliError> {
        let root = files::canonical(&self.root(global));
        Ok(Arc::new(LedgerFile::new(LedgerOptions {
            state: self.state_folder(),
            actor: self.env_var("USER").unwrap_or_else(|| "tos".to_owned()),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            policy: self.policy_digest(global),
            gates: gates::load(&root)?.digest,
            root,
        })))
    }

    fn gate_context(&self, global: &GlobalArgs) -> Result<GateContext, CliError> {
        Ok(GateContext {
            at: SystemClock::new().now(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            policy: self.policy_digest(global),
            gates: gates::load(&self.root(global))?.digest,
            agent_version: None,
            backend: None,
        })
    }

    fn is_attended(&self) -> bool {
        files::is_interactive()
    }

    fn ask_line(&self, question: &str) -> Option<String> {
        files::ask_line(question)
    }

    fn collect_change(
        &self,
        global: &GlobalArgs,
        base: Option<&str>,
    ) -> Result<CollectedChange, CliError> {
        // A named root need not hold a configuration: any repository can be checked.
        let root = global.root.clone().unwrap_or_else(files::current_folder);
        changes::blocking_collect(&root, base, None)
            .map_err(|error| CliError::Setup(error.to_string()))
    }

    fn parse_change_rules(&self, text: &str) -> Result<ValidationRules, CliError> {
        toml::from_str(text).map_err(|error| {
            CliError::Setup(format!("config error: {}: {error}", changes::RULES_PATH))
        })
    }

    fn installed_agent(&self, kind: AgentKind) -> InstalledAgent {
        let home = self.env_var("HOME").map(PathBuf::from);
        let agent = runners::with_default_login(&Agent::of_kind(kind), home.as_deref(), |name| {
            self.env_var(name).is_some_and(|value| !value.is_empty())
        });
        let files = agent.credentials.iter().map(|file| format!("~/{file}"));
        let folders = runners::agent_program_folders(home.as_deref(), kind.usual_folders());
        let program = isolation_probe::find_program(kind.as_str(), &folders);
        InstalledAgent {
            version: program.as_ref().map_or_else(
                |_| "unknown".to_owned(),
                |path| isolation_probe::blocking_version(&path.to_string_lossy()),
            ),
            program,
            login: if agent.has_login() {
                files.chain(agent.environment.iter().cloned()).collect()
            } else {
                Vec::new()
            },
        }
    }

    fn lock_task_services(&self, global: &GlobalArgs) -> Result<TaskServices, CliError> {
        let root = files::canonical(&self.root(global));
        git::GitWorktrees::open(&root).map_err(|error| CliError::Setup(error.to_string()))?;
        let lock = StoreLock::acquire(&root.join(tos_path!("task.lock")), &self.command);
        let lock = lock.map_err(|held| CliError::NotDone(held.to_string()))?;
        self.desk(global, Some(Box::new(lock)))
    }

    fn agent_check_services(&self, global: &GlobalArgs) -> Result<TaskServices, CliError> {
        let root = files::canonical(&self.root(global));
        if git::GitWorktrees::open(&root).is_ok() {
            return self.lock_task_services(global);
        }
        let place = git::blocking_throwaway_repository().map_err(CliError::NotDone)?;
        let there = GlobalArgs {
            root: Some(place.path().to_owned()),
            config: config::config_in(&root).or_else(|| global.config.clone()),
            ..global.clone()
        };
        self.desk(&there, Some(Box::new(place)))
    }

    fn unlocked_task_services(&self, global: &GlobalArgs) -> Result<TaskServices, CliError> {
        self.desk(global, None)
    }

    fn work_tree_notes(
        &self,
        global: &GlobalArgs,
        list: &TaskList,
    ) -> Result<Vec<String>, CliError> {
        let root = files::canonical(&self.root(global));
        let shares_nothing = list.share.is_empty() && list.share_files.is_empty();
        if shares_nothing && git::blocking_check_repository(&root).is_err() {
            // Lists that share nothing can be looked at where there is no repository.
            return Ok(Vec::new());
        }
        git::GitWorktrees::open(&root)
            .and_then(|worktrees| {
                let head = worktrees.head()?;
                tasks::work_tree_notes(&worktrees, list, &head)
            })
            .map_err(|error| CliError::Setup(error.to_string()))
    }

    fn repository_fault(&self, global: &GlobalArgs) -> Option<String> {
        let root = files::canonical(&self.root(global));
        let head = git::GitWorktrees::open(&root).and_then(|worktrees| worktrees.head());
        head.err().map(|error| error.to_string())
    }

    fn branch_fault(&self, global: &GlobalArgs) -> Option<String> {
        let worktrees = git::GitWorktrees::open(&files::canonical(&self.root(global))).ok()?;
        let branch = worktrees.current_branch();
        branch.err().map(|error| error.to_string())
    }

    fn missing_scripts(
        &self,
        global: &GlobalArgs,
        list: &TaskList,
        commands: &[(&str, &[String])],
    ) -> Vec<String> {
        scripts::missing_scripts(&files::canonical(&self.root(global)), list, commands)
    }

    fn is_taken_over(&self, global: &GlobalArgs, commit: &str) -> bool {
        git::blocking_is_in_head(&self.root(global), commit)
    }

    fn task_list_faults(&self, global: &GlobalArgs, list: &TaskList) -> Vec<String> {
        let root = files::canonical(&self.root(global));
        let mut faults: Vec<String> = self.repository_fault(global).into_iter().collect();
        for task in &list.tasks {
            let missing = |file: &&String| {
                let path = root.join(file);
                !path.is_file() && !path.is_dir()
            };
            faults.extend(
                task.context_files.iter().filter(missing).map(|file| {
                    format!("task `{}`: the context file `{file}` is not there", task.id)
                }),
            );
        }
        let commands = list
            .tasks
            .iter()
            .map(|task| ("test_command", &task.test_command));
        let commands = commands.chain([("full_test_command", &list.full_test_command)]);
        let mut seen: Vec<&str> = Vec::new();
        for (name, words) in commands {
            let Some(program) = words.first().filter(|word| !seen.contains(&word.as_str())) else {
                continue;
            };
            seen.push(program);
            if let Err(why) = isolation_probe::find_program_from(&root, program) {
                faults.push(format!("`{name}`: {why}"));
            }
        }
        // A list without tasks is the one that a service puts its tasks into.
        let agents = if list.tasks.is_empty() {
            vec![&list.agent]
        } else {
            list.agents()
        };
        for agent in &agents {
            let found = match agent.kind {
                AgentKind::Command => isolation_probe::find_program_from(&root, agent.program()),
                // Whether an agent is installed is a matter of the machine: `tos agents` tells.
                _ => continue,
            };
            if let Err(why) = found {
                faults.push(format!("agent `{}`: {why}", agent.program()));
            }
        }
        faults.extend(
            agents
                .iter()
                .filter_map(|agent| self.hidden_agent(&root, agent.program())),
        );
        faults
    }

    fn drill_sites(&self, global: &GlobalArgs) -> Result<Box<dyn DrillSites>, CliError> {
        let program = std::env::current_exe()
            .map_err(|error| CliError::NotDone(format!("tos cannot find itself: {error}")))?;
        let path = self.environment.iter().find(|(name, _)| name == "PATH");
        let ground = TempDirSites::new(drill::DrillOptions {
            root: files::canonical(&self.root(global)),
            program,
            path: path.map_or_else(
                || "/usr/local/bin:/usr/bin:/bin".into(),
                |(_, value)| value.clone(),
            ),
        });
        let ground = ground.map_err(|error| CliError::NotDone(error.to_string()))?;
        Ok(Box::new(ground))
    }

    fn deliver_events(&self, global: &GlobalArgs) -> Result<Option<usize>, CliError> {
        let root = files::canonical(&self.root(global));
        let Some(options) = self.collector(&root)? else {
            return Ok(None);
        };
        notification_queue::blocking_deliver(&options)
            .map(Some)
            .map_err(CliError::NotDone)
    }

    fn notifiers(&self, global: &GlobalArgs) -> Result<Vec<Arc<dyn Notifier>>, CliError> {
        self.notifiers_of(&self.root(global))
    }

    fn event_notifiers(&self, root: &Path) -> Result<EventNotifiers, CliError> {
        self.event_notifiers(&files::canonical(root))
    }

    fn schedules(&self, global: &GlobalArgs) -> Box<dyn Schedules> {
        Box::new(ScheduleFiles::new(
            files::canonical(&self.root(global)),
            config::schedules::FILE,
            self.env_var("TZ"),
        ))
    }

    fn stay_awake(&self) -> Result<(String, Box<dyn Any>), String> {
        let guard = SleepInhibitor::blocking_inhibit_sleep()?;
        Ok((guard.name().to_owned(), Box::new(guard)))
    }

    fn write_state_file(
        &self,
        global: &GlobalArgs,
        file: &str,
        text: &str,
    ) -> Result<PathBuf, CliError> {
        let path = self.state_file(global, file);
        files::write(&path, text)?;
        Ok(path)
    }

    fn write_file(&self, file: &Path, text: &str) -> Result<(), CliError> {
        Ok(files::write(file, text)?)
    }

    fn read_state_file(&self, global: &GlobalArgs, file: &str) -> Option<String> {
        let path = self.state_file(global, file);
        String::from_utf8(files::read(&path)?).ok()
    }

    fn service_address(&self, global: &GlobalArgs) -> Option<serde_json::Value> {
        service_config::read_address_file(&files::canonical(&self.root(global)))
    }

    fn write_service_address(
        &self,
        global: &GlobalArgs,
        mut document: serde_json::Value,
    ) -> Result<(), CliError> {
        service_config::mark_address_file(&files::canonical(&self.root(global)), &mut document);
        let path = self.state_file(global, service_config::ADDRESS_FILE);
        Ok(files::write_secret(&path, &document.to_string())?)
    }

    fn board_services(
        &self,
        global: &GlobalArgs,
        store: Option<Box<dyn BoardStore>>,
    ) -> Result<BoardServices, CliError> {
        service::board_services(self, global, store)
    }

    fn worker_services(&self, global: &GlobalArgs) -> WorkerServices {
        worker::worker_services(self, global)
    }

    fn join_cluster(
        &self,
        global: &GlobalArgs,
        options: &ClusterArgs,
        name: &str,
    ) -> Result<Arc<dyn ClusterMember>, CliError> {
        service::cluster(self, global, options, name)
    }

    fn worker_cluster(
        &self,
        global: &GlobalArgs,
        options: &ClusterArgs,
        name: &str,
    ) -> Result<WorkerMembership, CliError> {
        let member = Arc::new(service::member(self, global, options, name)?);
        Ok((Arc::clone(&member) as Arc<dyn ClusterMember>, member))
    }

    fn plan_cluster(
        &self,
        global: &GlobalArgs,
        options: &ClusterArgs,
        name: &str,
    ) -> Result<Arc<dyn PlanClusterClient>, CliError> {
        Ok(Arc::new(service::member(self, global, options, name)?))
    }

    fn folder_name(&self, global: &GlobalArgs) -> String {
        service::folder_name(&self.root(global))
    }

    fn open_in_browser(&self, address: &str) -> bool {
        crate::adapters::browser::open(address, &self.texts)
    }

    fn rebuild_board(&self, global: &GlobalArgs) -> Result<(u64, Option<String>), CliError> {
        service::rebuild(&files::canonical(&self.root(global)), &self.command)
    }

    fn export_board(&self, global: &GlobalArgs) -> Result<String, CliError> {
        service::export(&files::canonical(&self.root(global)))
    }

    fn import_board(&self, global: &GlobalArgs, file: &Path) -> Result<u64, CliError> {
        service::import(&files::canonical(&self.root(global)), file, &self.command)
    }

    fn write_secret_file(
        &self,
        global: &GlobalArgs,
        file: &str,
        text: &str,
    ) -> Result<PathBuf, CliError> {
        let path = self.state_file(global, file);
        files::write_secret(&path, text)?;
        Ok(path)
    }

    fn remove_state_file(&self, global: &GlobalArgs, file: &str) {
        let path = self.state_file(global, file);
        files::remove(&path);
    }

    fn state_folders(&self, global: &GlobalArgs, folder: &str) -> Vec<String> {
        files::folder_names(&self.state_file(global, folder))
    }

    fn remove_state_folder(&self, global: &GlobalArgs, folder: &str, names: &[&str]) {
        files::remove_folder_of(&self.state_file(global, folder), names);
    }

    fn probe_isolation(&self) -> (Vec<String>, bool) {
        isolation_probe::blocking_probe()
    }
}
