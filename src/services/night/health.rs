//! Looks at everything a night needs, in a few seconds; what it means is decided in [`crate::domain::night::health`].

use std::{path::Path, sync::Arc, time::Duration};

use crate::{
    domain::{
        agent::{
            Agent, AgentEnd, AgentKind, AgentOutput, CHECK_EDIT_FILE, CHECK_EDITED_TEXT,
            CHECK_FILES, CHECK_RAN_FILE, Invocation, SilenceCause, acp::AcpSessionConfig, classify,
            most_informative_line,
        },
        command::Command,
        ledger::LedgerRecord,
        night::health::{AgentHealth, ClockReading, HealthFacts},
        notify::{Notification, NotificationEvent},
        policy::PolicyContext,
        process::{CommandResult, ExitStatus},
        tasks::{SandboxDemand, TaskList},
    },
    ports::{
        agent_runners::ConfinementFacts,
        runner::{CommandRequest, CommandRunner, CommandStreams},
        worktrees::Worktree,
    },
    services::tasks::{AcpJudge, AcpRunner, AgentListener, SessionPorts},
};

/// How long an agent may take over a question for which it runs a command and edits a file.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How long it may take to tell its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(20);

/// Looks at everything. `run` names the work tree in which agents are asked; people get a note that says what it is.
pub async fn check_health(
    list: &TaskList,
    tools: &SessionPorts,
    records: &[LedgerRecord],
    confined: &ConfinementFacts,
    run: &str,
) -> HealthFacts {
    let mut agents = Vec::new();
    let worktrees = if tools.is_shared {
        Ok(Vec::new())
    } else {
        for line in tools.runners.recover_logins() {
            tracing::warn!("{line}");
        }
        // Old work trees go first: one of them may stand where an agent is asked.
        tools
            .worktrees
            .recover_crashed()
            .map_err(|error| error.to_string())
    };
    for agent in list.agents() {
        agents.push(check_agent(agent, list.sandbox, tools, run, confined).await);
    }
    let boot = tools.machine.boot_clock();
    HealthFacts {
        agents,
        free: tools.machine.free_bytes(),
        git: tools.machine.git_version(),
        backend: confined.backend.clone(),
        capabilities: confined.capabilities.clone(),
        told: told(tools, list, run).await,
        now: ClockReading {
            at: tools.clock.now(),
            boottime_ms: boot.ms,
            boot_id: boot.id,
        },
        last: records.last().map(|record| ClockReading {
            at: record.stamp.at,
            boottime_ms: record.stamp.boottime_ms,
            boot_id: record.stamp.boot_id.clone(),
        }),
        worktrees,
        guard: tools.machine.sleep_inhibitor(),
    }
}

async fn told(
    tools: &SessionPorts,
    list: &TaskList,
    run: &str,
) -> Vec<(String, Result<(), String>)> {
    let asked = Notification::new(
        NotificationEvent::Health,
        format!("test message for the night {}", list.id),
        run,
    )
    .text("A check before unattended work. Nothing has to be done.");
    let mut told = Vec::new();
    for notifier in &tools.notifiers {
        let result = notifier.tell(&asked).await;
        let result = result.map_err(|refusal| refusal.why);
        told.push((notifier.name().to_owned(), result));
    }
    told
}

/// Looks at one agent, behind the wall it will work behind.
pub async fn check_agent(
    agent: &Agent,
    sandbox: SandboxDemand,
    tools: &SessionPorts,
    run: &str,
    confined: &ConfinementFacts,
) -> AgentHealth {
    let walled = confined
        .capabilities
        .iter()
        .any(|word| word == "fs_confined");
    let asked = ask(agent, sandbox, tools, run, walled).await;
    AgentHealth {
        program: agent.program().to_owned(),
        version: asked.version,
        needs_version: !matches!(agent.kind, AgentKind::Command | AgentKind::Acp),
        reply: asked.reply,
        remedy: agent.install_remedy().to_owned(),
    }
}

/// Finds out what confines an agent in `place`, and asks it behind that.
pub async fn ask_agent(
    agent: &Agent,
    tools: &SessionPorts,
    run: &str,
    place: &Path,
) -> AgentHealth {
    let hosts = agent.required_hosts();
    let demand = SandboxDemand::Auto;
    let confined = tools.runners.confinement(place, &hosts, demand).await;
    check_agent(agent, demand, tools, run, &confined).await
}

/// Takes away what a question to an agent left that was ended before its answer: logins first, then its folder.
pub fn clean_up_after_asking(tools: &SessionPorts) {
    for line in tools.runners.recover_logins() {
        tracing::warn!("{line}");
    }
    if let Err(error) = tools.worktrees.recover_crashed() {
        tracing::warn!("{error}");
    }
}

/// What asking an agent showed.
struct AgentAnswer {
    version: Result<String, String>,
    /// `None` = it is not asked.
    reply: Option<Result<String, String>>,
}

/// Asks an agent for its version and a question, behind the wall it will work behind, in an empty folder, with no more
/// variables than it will have.
async fn ask(
    agent: &Agent,
    sandbox: SandboxDemand,
    tools: &SessionPorts,
    run: &str,
    walled: bool,
) -> AgentAnswer {
    let failed = |why: String| AgentAnswer {
        version: Err(why.clone()),
        reply: Some(Err(why)),
    };
    let agent = tools.runners.with_login(agent);
    if is_of_the_repository(&agent, tools) {
        return AgentAnswer {
            version: Err("a program of your own is not asked".to_owned()),
            reply: None,
        };
    }
    let place = match tools.worktrees.make_scratch(run, "health", &CHECK_FILES) {
        Ok(place) => place,
        Err(error) => return failed(error.to_string()),
    };
    let asked = match tools.runners.prepare_home(&place.task_folder, &agent) {
        Ok((home, _)) => {
            let asker = AgentQuestion {
                agent: &agent,
                tools,
                place: &place,
                home,
                runner: tools
                    .runners
                    .agent_runner(&place.task_folder, &agent, sandbox),
                walled,
            };
            AgentAnswer {
                version: asker.version().await,
                reply: Some(asker.reply().await),
            }
        }
        Err(why) => failed(format!("{why}; {}", agent.underlying_kind().login_remedy())),
    };
    tools.runners.remove_credentials(&place.task_folder);
    match tools.worktrees.remove_scratch(&place) {
        Ok(()) => asked,
        Err(error) => failed(error.to_string()),
    }
}

/// Returns whether a `command` agent is a program of the repository, which an empty folder does not hold and which is not
/// started for a question unless a `check` says how.
fn is_of_the_repository(agent: &Agent, tools: &SessionPorts) -> bool {
    let alone = agent.kind == AgentKind::Command && agent.check.is_empty();
    let mut words = agent
        .args
        .iter()
        .take_while(|word| !word.contains("{prompt"));
    alone
        && words
            .any(|word| !word.starts_with(['/', '-']) && tools.worktrees.checkout_contains(word))
}

/// An agent and where it is asked.
struct AgentQuestion<'a> {
    agent: &'a Agent,
    tools: &'a SessionPorts,
    place: &'a Worktree,
    home: String,
    runner: Arc<dyn CommandRunner>,
    walled: bool,
}

impl AgentQuestion<'_> {
    async fn version(&self) -> Result<String, String> {
        if matches!(self.agent.kind, AgentKind::Command | AgentKind::Acp) {
            return Err("a program of your own is not asked".to_owned());
        }
        let argv = vec![self.agent.program().to_owned(), "--version".to_owned()];
        let invocation = Invocation {
            argv,
            environment: Vec::new(),
            reads_prompt: false,
        };
        let end = self
            .run(invocation, 1, CommandStreams::default(), VERSION_PATIENCE)
            .await?;
        let text = end.stdout.text();
        match (&end.exit, text.lines().find(|line| !line.trim().is_empty())) {
            (ExitStatus::Code { code: 0 }, Some(line)) => Ok(line.trim().to_owned()),
            (ExitStatus::Code { code: 0 }, None) => Err("it printed nothing".to_owned()),
            (ExitStatus::TimedOut { .. }, _) => {
                Err(format!("no answer after {} s", VERSION_PATIENCE.as_secs()))
            }
            _ => Err(most_informative_line(&end.stderr.text())
                .unwrap_or_else(|| "it failed without a word".to_owned())),
        }
    }

    async fn reply(&self) -> Result<String, String> {
        let (prompt, uses_tools) = self.agent.check_prompt();
        let file = self
            .tools
            .runners
            .write_prompt(&self.place.task_folder, prompt)?;
        let invocation = self
            .agent
            .check_invocation(&file.to_string_lossy(), self.walled);
        // A program of somebody's own that stands in for the agent speaks plainly.
        let stands_in = !self.agent.check.is_empty() || self.agent.kind == AgentKind::Job;
        let kind = if stands_in {
            AgentKind::Command
        } else {
            self.agent.kind
        };
        let listener = Arc::new(AgentListener::new(kind, &self.tools.clock));
        let streams = CommandStreams {
            input_file: invocation.reads_prompt.then_some(file),
            reader: Some(Arc::<AgentListener>::clone(&listener)),
            ..CommandStreams::default()
        };
        let end = self
            .run_as(kind, invocation, streams, prompt, &listener)
            .await?;
        let report = listener.report();
        if matches!(
            end.exit,
            ExitStatus::TimedOut { .. } | ExitStatus::Idle { .. }
        ) {
            let said = most_informative_line(&listener.stderr())
                .or_else(|| report.complaints.last().cloned());
            let said = said.map_or(String::new(), |line| format!("; {line}"));
            return Err(format!("no answer after {} s{said}", PATIENCE.as_secs()));
        }
        let agent = Agent {
            kind,
            ..self.agent.clone()
        };
        let now = self.tools.clock.now();
        let end = classify(
            &agent,
            &report,
            &end.exit,
            SilenceCause::No,
            &listener.stderr(),
            now,
        );
        if end != AgentEnd::Done {
            return Err(end.describe(now));
        }
        if report.reply.is_empty() {
            return Err("it ended well and said nothing".to_owned());
        }
        if uses_tools && !stands_in {
            self.used_its_tools(&report)?;
        }
        Ok(report.reply)
    }

    /// Runs the question; with an agent that speaks ACP it is a conversation.
    async fn run_as(
        &self,
        kind: AgentKind,
        invocation: Invocation,
        streams: CommandStreams,
        prompt: &str,
        listener: &Arc<AgentListener>,
    ) -> Result<CommandResult, String> {
        if kind != AgentKind::Acp {
            return self.run(invocation, 2, streams, PATIENCE).await;
        }
        let terms = AcpSessionConfig {
            directory: self.place.top.to_string_lossy().into_owned(),
            prompt: prompt.to_owned(),
            model: self.agent.model.clone(),
            is_walled: self.walled,
            resume: None,
        };
        let judge = AcpJudge {
            policy: Arc::clone(&self.tools.policy),
            world: PolicyContext {
                root: self.place.top.clone(),
                home: Some(self.home.clone().into()),
                sandbox_proved: self.walled,
                ..self.tools.world.clone()
            },
        };
        let asker = Self {
            runner: Arc::new(AcpRunner::new(
                (Arc::clone(&self.runner), self.place),
                terms,
                // What it needs for its answer, nobody has to be asked about.
                (judge, None),
                Arc::clone(listener),
                Arc::clone(&self.tools.clock),
                Box::new(|_| {}),
            )),
            home: self.home.clone(),
            agent: self.agent,
            tools: self.tools,
            place: self.place,
            walled: self.walled,
        };
        asker.run(invocation, 2, streams, PATIENCE).await
    }

    /// An agent that talks well and can do nothing is no help at night.
    fn used_its_tools(&self, report: &AgentOutput) -> Result<(), String> {
        let read = |file| {
            self.tools
                .worktrees
                .read_scratch(self.place, file)
                .unwrap_or_default()
        };
        let ran = !read(CHECK_RAN_FILE).is_empty();
        let edited = read(CHECK_EDIT_FILE).contains(CHECK_EDITED_TEXT);
        let refused = report.denials.first().map_or(String::new(), |denial| {
            format!("; its own permissions refused {}", denial.tool)
        });
        match (ran, edited) {
            (true, true) => Ok(()),
            (false, true) => Err(format!("it answers, but it ran no command{refused}")),
            (true, false) => Err(format!("it answers, but it edited no file{refused}")),
            (false, false) => Err(format!(
                "it answers, but it neither ran a command nor edited a file{refused}"
            )),
        }
    }

    async fn run(
        &self,
        invocation: Invocation,
        index: u32,
        streams: CommandStreams,
        patience: Duration,
    ) -> Result<CommandResult, String> {
        let environment = [
            ("HOME", self.home.as_str()),
            ("TMPDIR", "/tmp"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("TOS_TASK", "health"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let order = CommandRequest {
            command: Command::exec(invocation.argv),
            directory: self.place.top.clone(),
            deadline: patience,
            idle_deadline: None,
            grace: None,
            environment: environment
                .into_iter()
                .chain(invocation.environment)
                .collect(),
            output_directory: self.place.task_folder.join("log"),
            index,
            token: format!("{}{index}", marker(self.tools)),
            streams,
        };
        self.runner
            .run(&order)
            .await
            .map_err(|failure| failure.message)
    }
}

/// Returns what marks the processes of a check of this root, so that those a crash left can be found.
pub(crate) fn marker(tools: &SessionPorts) -> String {
    format!("health:{}/", tools.ledger.place())
}
