//! The house itself: every adapter is built here, and only when a command asks for it.

use std::{
    any::Any,
    cell::OnceCell,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::watch;

use super::{memory, parts, plans, sample, walls};
use crate::{
    adapters::{
        approvals,
        clock::SystemClock,
        files, git, llm,
        probe::DiskProbe,
        process, signals,
        store::{DiskStore, Layout, Lock},
        temporary,
    },
    config::{self, Overrides, Settings, payload},
    domain::{
        checkpoint::Template,
        command::Command,
        confinement,
        event::{Payload, RunFacts},
        job::Setup,
        ledger::chain::sha256,
        model::Role,
        policy::World,
        redaction::Redactor,
        rules::PerRole,
    },
    interfaces::cli::{
        args::{self, Global},
        exit::Trouble,
        kit::{Finding, JobKit, Kit, PlanGuard},
    },
    ports::{
        BoxFuture, approvals::Approvals, checkpoints::Checkpoints, clock::Clock, model::Model,
        runner::Runner, store::Store,
    },
    services::{Ports, job_loop::Workshop},
};

/// Everything that is the same for the whole process.
pub(super) struct House {
    pub(super) environment: Vec<(OsString, OsString)>,
    /// The part of the environment that is text: configuration is read from nothing else.
    texts: Vec<(String, String)>,
    redactor: OnceCell<Redactor>,
    /// What this process was asked to do, for whoever finds it at work.
    pub(super) command: String,
}

impl House {
    pub(super) fn new(environment: Vec<(OsString, OsString)>, words: &[OsString]) -> Self {
        let texts = environment
            .iter()
            .filter_map(|(name, value)| {
                Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()))
            })
            .collect();
        Self {
            environment,
            texts,
            redactor: OnceCell::new(),
            command: command_of(words),
        }
    }

    /// Starts tracing to stderr where `TOS_LOG` or `-vv` asks for it.
    pub(super) fn trace(&self, verbose: u8) {
        let wanted = self
            .variable("TOS_LOG")
            .or_else(|| (verbose > 1).then(|| "tos=debug".to_owned()));
        if let Some(filter) = wanted {
            let filter = tracing_subscriber::EnvFilter::new(filter);
            let subscriber = tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_writer(std::io::stderr);
            // A second subscriber cannot exist in one process, so this cannot fail.
            drop(subscriber.try_init());
        }
    }

    pub(super) fn forbids_colour(&self) -> bool {
        self.variable("NO_COLOR")
            .is_some_and(|value| !value.is_empty())
            || self.is_dumb()
    }

    /// Returns whether the terminal can do nothing but print lines.
    pub(super) fn is_dumb(&self) -> bool {
        self.variable("TERM").is_some_and(|term| term == "dumb")
    }

    pub(super) fn redactor(&self) -> &Redactor {
        self.redactor.get_or_init(|| parts::redactor(&self.texts))
    }

    fn layout(settings: &Settings, summary: Option<PathBuf>) -> Layout {
        Layout {
            root: settings.root.clone(),
            workspace: settings.paths.workspace.clone(),
            logs: settings.paths.logs.clone(),
            job_input: settings
                .payload
                .as_ref()
                .map(|payload| payload.path.clone()),
            job_result: settings.rules.job_result.clone(),
            summary: summary.unwrap_or_else(|| settings.paths.run_summary.clone()),
            archive_keep: settings.archive_keep as usize,
        }
    }

    /// Says whether the recorded replies of the sample stand in for models that cannot be reached.
    pub(super) fn replay(settings: &Settings) -> Result<Option<llm::Recording>, Trouble> {
        let missing = settings.missing_keys();
        if missing.is_empty() {
            return Ok(None);
        }
        if sample::is_sample(&settings.rules.templates) {
            return Ok(Some(llm::Recording::Embedded {
                name: "examples/sales/replies.jsonl",
                text: sample::REPLIES,
            }));
        }
        Err(Trouble::Setup(format!(
            "API error: {} not set; set {} in the environment, or choose another `provider` for the roles under \
             `models` (docs/models.md)",
            missing.join(" and "),
            if missing.len() == 1 { "it" } else { "them" }
        )))
    }

    pub(super) fn options(
        &self,
        settings: &Settings,
        replay: Option<&llm::Recording>,
    ) -> PerRole<llm::ModelOptions> {
        let of = |role| parts::model(settings, role, replay, &self.texts);
        PerRole {
            draft: of(Role::Draft),
            review: of(Role::Review),
            final_: of(Role::Final),
        }
    }

    pub(super) fn models(
        &self,
        options: &PerRole<llm::ModelOptions>,
    ) -> Result<PerRole<Arc<dyn Model>>, Trouble> {
        let shared = llm::Shared::new(self.redactor().clone());
        let build = |role: Role| -> Result<Arc<dyn Model>, Trouble> {
            let model = llm::build(options.of(role), &shared).map_err(|error| {
                Trouble::Setup(format!("config error: models.{}: {error}", role.as_str()))
            })?;
            Ok(Arc::from(model))
        };
        Ok(PerRole {
            draft: build(Role::Draft)?,
            review: build(Role::Review)?,
            final_: build(Role::Final)?,
        })
    }

    fn payload(&self, settings: &Settings) -> Result<(Option<Payload>, Option<String>), Trouble> {
        let payload = payload::load(&settings.root, settings.payload.as_ref())?;
        let name = payload
            .as_ref()
            .and_then(|payload| payload.job_name.clone());
        let payload = payload.map(|payload| Payload {
            json: self.redactor().clean(&payload.text),
            bytes: payload.size_bytes,
        });
        Ok((payload, name))
    }

    fn facts(
        &self,
        settings: &Settings,
        mode: &str,
        models: [String; 3],
    ) -> Result<RunFacts, Trouble> {
        let (payload, name) = self.payload(settings)?;
        let payload_json = payload.as_ref().map(|payload| payload.json.clone());
        let rules = &settings.rules;
        let configured = &settings.configured_loop;
        Ok(RunFacts {
            mode: mode.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sprint: rules.sprint.clone(),
            experimental: rules.experimental,
            max_jobs: rules.job_loop.as_ref().map(|jobs| jobs.max_jobs),
            configured_jobs: Some(configured.max_jobs),
            job_name: name.unwrap_or_else(|| configured.name.clone()),
            job_result: parts::posix(&rules.job_result),
            payload,
            models,
            stop_on_deny: rules.policy.stop_on_deny,
            confinement: String::new(),
            goal: Some(goal_digest(settings, payload_json.as_deref())),
        })
    }

    fn questions_folder(settings: &Settings) -> PathBuf {
        settings.root.join(".tos/approvals")
    }

    /// Returns the way to a person, and whether somebody can answer at all.
    fn approvals(
        &self,
        settings: &Settings,
        who: Option<args::Approvals>,
        proved: bool,
    ) -> (Arc<dyn Approvals>, bool) {
        let who = who.unwrap_or(if files::is_attended() {
            args::Approvals::Terminal
        } else {
            args::Approvals::Deny
        });
        match who {
            args::Approvals::Terminal => {
                let world = World {
                    sandbox_proved: proved,
                    ..self.world(settings, true)
                };
                let memory = memory::memory(settings, world);
                (Arc::new(approvals::Terminal::new(memory)), true)
            }
            args::Approvals::Deny => (Arc::new(approvals::Nobody), false),
            args::Approvals::Wait => (
                Arc::new(approvals::Folder::new(Self::questions_folder(settings))),
                true,
            ),
        }
    }
}

/// Returns a command line as far as it names what is done: no options, whose values may be anything.
fn command_of(words: &[OsString]) -> String {
    let named = words
        .iter()
        .skip(1)
        .filter_map(|word| word.to_str())
        .skip_while(|word| word.starts_with('-'))
        .take_while(|word| !word.starts_with('-'))
        .take(3);
    std::iter::once("tos")
        .chain(named)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Returns a run id: the time for people, and chance against collisions.
pub(super) fn run_id(clock: &SystemClock) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a fraction of 2^24 fits"
    )]
    let chance = (clock.chance() * 16_777_216.0) as u32;
    format!("{}-{chance:06x}", clock.now().format("%Y%m%d-%H%M%S"))
}

impl Kit for House {
    fn shelf(&self) -> Box<dyn crate::ports::plan_store::Shelf> {
        Box::new(crate::adapters::plan::LocalShelf)
    }

    fn itself(&self) -> Box<dyn crate::ports::itself::Itself> {
        Box::new(crate::adapters::itself::Executable)
    }

    fn terminal(&self) -> Option<Box<dyn crate::ports::terminal::Terminal>> {
        let terminal = crate::adapters::terminal::OwnTerminal::open()?;
        Some(Box::new(terminal))
    }

    fn plan_guard(
        &self,
        settings: &Settings,
        home: &Path,
        workdir: &Path,
        sources: &[PathBuf],
    ) -> Result<PlanGuard, Trouble> {
        plans::guard(self, settings, home, workdir, sources)
    }

    fn world(&self, settings: &Settings, attended: bool) -> World {
        World {
            home: self.variable("HOME").map(PathBuf::from),
            attended,
            eyes: Some(Arc::new(crate::adapters::eyes::DiskEyes)),
            ..World::unattended(settings.root.clone())
        }
    }

    fn clock(&self) -> Box<dyn crate::ports::clock::Clock> {
        Box::new(crate::adapters::clock::SystemClock::new())
    }

    fn root(&self, global: &Global) -> PathBuf {
        global
            .root
            .clone()
            .unwrap_or_else(|| config::find_root(&files::current_folder()))
    }

    fn settings(&self, global: &Global) -> Result<Settings, Trouble> {
        let mut overrides = Overrides::default();
        for pair in &global.set {
            overrides
                .set_pair("--set", pair)
                .map_err(|why| Trouble::Usage(format!("config error: {why}")))?;
        }
        let root = self.root(global);
        if !root.is_dir() {
            return Err(Trouble::Usage(format!(
                "`--root {}` is not a directory",
                root.display()
            )));
        }
        Ok(Settings::load(
            &root,
            global.config.as_deref(),
            &self.texts,
            &overrides,
        )?)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.texts
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    }

    fn store(&self, settings: &Settings, summary: Option<PathBuf>) -> Arc<dyn Store> {
        Arc::new(DiskStore::new(Self::layout(settings, summary)))
    }

    fn store_without_settings(
        &self,
        global: &Global,
        summary: Option<PathBuf>,
    ) -> Option<Arc<dyn Store>> {
        let root = self.root(global);
        let layout = Layout {
            root: root.clone(),
            workspace: "workspace".into(),
            logs: "logs".into(),
            job_input: None,
            job_result: "workspace/artifacts/job_result.json".into(),
            summary: summary.unwrap_or_else(|| "logs/last_run_summary.json".into()),
            archive_keep: 20,
        };
        root.is_dir()
            .then(|| Arc::new(DiskStore::new(layout)) as Arc<dyn Store>)
    }

    fn replay_notice(&self, settings: &Settings) -> Option<String> {
        let replay = Self::replay(settings).ok().flatten();
        replay.map(|_| replay_notice(settings))
    }

    fn is_foreign(&self, global: &Global, file: &Path) -> bool {
        files::is_no_summary(&self.root(global).join(file))
    }

    fn make_folders(&self, settings: &Settings) -> Result<(), Trouble> {
        Ok(DiskStore::new(Self::layout(settings, None)).make_folders()?)
    }

    fn at_work(&self, lock: &Path) -> Option<String> {
        Lock::holder(lock)
    }

    fn goal(&self, settings: &Settings) -> Result<String, Trouble> {
        let (payload, _) = self.payload(settings)?;
        let json = payload.map(|payload| payload.json);
        Ok(goal_digest(settings, json.as_deref()))
    }

    fn lock(&self, settings: &Settings, words: &str) -> Result<Box<dyn Any>, Trouble> {
        let path = settings.at(&settings.paths.logs).join("tos.lock");
        let lock = Lock::take(&path, words).map_err(|held| Trouble::NotDone(held.to_string()))?;
        Ok(Box::new(lock))
    }

    fn job(
        &self,
        settings: &Settings,
        mode: &str,
        who: Option<args::Approvals>,
        store: Arc<dyn Store>,
    ) -> Result<JobKit, Trouble> {
        let replay = Self::replay(settings)?;
        let options = self.options(settings, replay.as_ref());
        let clock = SystemClock::new();
        let run = run_id(&clock);
        let runner_options = parts::runner(settings, &self.environment, self.redactor());
        let (wall, confinement) = walls::build(settings, &self.environment)?;
        let runner = process::CommandRunner::new(runner_options, Some(wall));
        let runner: Arc<dyn Runner> = Arc::new(runner);
        let (approvals, attended) = self.approvals(settings, who, walls::is_proved(&confinement));
        let deadline = settings.rules.command_timeout;
        let probe = DiskProbe::new(settings.root.clone(), deadline, Arc::clone(&runner));
        Ok(JobKit {
            facts: RunFacts {
                confinement: confinement.choice.sentence(confinement.level),
                ..self.facts(settings, mode, parts::model_names(&options))?
            },
            ports: Ports {
                models: self.models(&options)?,
                runner,
                probe: Arc::new(probe),
                store,
                clock: Arc::new(clock),
                approvals,
            },
            setup: Setup {
                rules: settings.rules.clone(),
                policy: settings.policy()?,
                world: World {
                    sandbox_proved: walls::is_proved(&confinement),
                    ..self.world(settings, attended)
                },
                redactor: self.redactor().clone(),
                run: run.clone(),
            },
            workshop: Workshop {
                root: settings.root.clone(),
                steps: settings.at(&settings.paths.steps),
                deadline,
                idle_deadline: settings.rules.idle_timeout,
                run,
            },
            notices: walls::notice(&confinement).into_iter().collect(),
        })
    }

    fn end_temporary(&self, settings: &Settings) {
        let state = settings.root.join(".tos");
        temporary::blocking_remove(&temporary::of_job(&state));
    }

    fn questions(&self, settings: &Settings) -> Vec<serde_json::Value> {
        approvals::Folder::new(Self::questions_folder(settings)).open()
    }

    fn answer(&self, settings: &Settings, id: &str, yes: bool) -> Result<bool, Trouble> {
        Ok(
            approvals::Folder::new(Self::questions_folder(settings)).answer(
                id,
                yes,
                "tos answer",
            )?,
        )
    }

    fn remember(&self, settings: &Settings, command: &Command) -> Result<String, Trouble> {
        memory::remember(settings, command, &self.world(settings, true)).map_err(Trouble::NotDone)
    }

    fn checkpoints(&self, settings: &Settings) -> Arc<dyn Checkpoints> {
        let logs = settings.paths.logs.clone();
        Arc::new(git::GitCheckpoints::new(git::Options {
            excluded: vec![logs],
            ..git::Options::for_root(settings.root.clone())
        }))
    }

    fn write(&self, settings: &Settings, file: &Path, text: &str) -> Result<(), Trouble> {
        Ok(files::write(&settings.at(file), text)?)
    }

    fn read(&self, settings: &Settings, file: &Path) -> Option<Vec<u8>> {
        files::read(&settings.at(file))
    }

    fn templates(&self, _settings: &Settings) -> Vec<Template> {
        let template = |place: &&str| Template {
            file: place.into(),
            text: sample::BLANK.to_owned(),
        };
        config::PLACES.iter().map(template).collect()
    }

    fn init(&self, directory: &Path, with_sample: bool) -> Result<Vec<String>, Trouble> {
        let mut lines = Vec::new();
        let present = config::usable_config_in(directory)?;
        let is_other =
            |file: &PathBuf| files::read(file).as_deref() != Some(sample::CONFIG.as_bytes());
        if let Some(file) = present
            .as_ref()
            .filter(|file| with_sample && is_other(file))
        {
            return Err(Trouble::NotDone(format!(
                "{} is there already and is not the configuration of the sample; nothing was made. `tos init --sample DIR` \
                 lays the sample out in a folder of its own",
                file.display()
            )));
        }
        if with_sample {
            for (file, text) in sample::FILES {
                lines.push(files::create(directory, file, text)?);
            }
        } else {
            // A second one at the preferred place would silently take the place of the old one.
            let place = present
                .as_ref()
                .and_then(|file| file.strip_prefix(directory).ok());
            let place = place.and_then(Path::to_str).unwrap_or(config::PLACES[0]);
            lines.push(files::create(directory, place, sample::BLANK)?);
        }
        lines.push(files::create(
            directory,
            "config/schema.json",
            include_str!("../../config/schema.json"),
        )?);
        lines.push(files::append_once(
            directory,
            ".gitignore",
            sample::IGNORED,
        )?);
        Ok(lines)
    }

    fn examine(&self, settings: &Settings, online: bool) -> Vec<Finding> {
        self.examined(settings, online)
    }

    fn examine_sandbox(&self, settings: &Settings) -> Result<confinement::Report, Trouble> {
        walls::examine(settings, &self.environment)
    }

    fn block_on<'a>(
        &self,
        act: Box<dyn FnOnce(watch::Receiver<u8>) -> BoxFuture<'a, ()> + 'a>,
    ) -> Result<(), Trouble> {
        let broken = |error: std::io::Error| {
            Trouble::NotDone(format!("the runtime could not start: {error}"))
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(broken)?;
        runtime.block_on(async {
            let stop = signals::stop_requests().map_err(broken)?;
            act(stop).await;
            Ok::<(), Trouble>(())
        })?;
        // A question at the terminal that nobody answers must not keep the process.
        runtime.shutdown_background();
        Ok(())
    }
}

/// Returns a short mark of everything that says what a job is for: its goal, its prompts, its input.
fn goal_digest(settings: &Settings, payload: Option<&str>) -> String {
    let rules = &settings.rules;
    let text = format!("{:?}|{:?}|{payload:?}", rules.done, rules.templates);
    sha256(text.as_bytes()).chars().take(16).collect()
}

fn replay_notice(settings: &Settings) -> String {
    format!(
        "REPLAY: {} not set, so no model is asked; the recorded replies of the sample job are played",
        settings.missing_keys().join(" and ")
    )
}
