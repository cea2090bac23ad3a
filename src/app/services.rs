//! Every adapter of a job is built here, and only when a command asks for it.

use std::{
    any::Any,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::watch;

use super::{adapter_options, confinement, plan, remembered_rules, sample};
use crate::{
    adapters::{
        clock::SystemClock,
        files, git,
        job::{
            approvals,
            probe::DiskConditionProbe,
            store::{DiskStore, StoreLayout, StoreLock},
        },
        process, signals, temporary,
    },
    app::context::{AppContext, goal_digest, replay_notice, run_id},
    config::{self, FlagOverrides, Settings},
    domain::{
        checkpoint::RollbackTemplateFile,
        command::Command,
        job::{JobSetup, event::RunSettingsRecord},
        policy::PolicyContext,
        sandbox,
        state_folder::TOS_FOLDER,
    },
    interfaces::cli::{
        args::{self, GlobalArgs},
        exit::CliError,
        services::{DoctorFinding, JobServices, PlanConfinement, ServiceFactory},
    },
    ports::{BoxFuture, checkpoints::Checkpoints, runner::CommandRunner, store::Store},
    services::{JobPorts, job::run_loop::CommandSettings},
};

impl ServiceFactory for AppContext {
    fn plan_store(&self) -> Box<dyn crate::ports::plan_store::PlanStore> {
        Box::new(crate::adapters::plan::LocalPlanStore)
    }

    fn self_process(&self) -> Box<dyn crate::ports::self_process::SelfProcess> {
        Box::new(crate::adapters::self_process::CurrentExecutable)
    }

    fn terminal(&self) -> Option<Box<dyn crate::ports::terminal::Terminal>> {
        let terminal = crate::adapters::terminal::ProcessTerminal::open()?;
        Some(Box::new(terminal))
    }

    fn plan_confinement(
        &self,
        settings: &Settings,
        home: &Path,
        workdir: &Path,
        sources: &[PathBuf],
    ) -> Result<PlanConfinement, CliError> {
        plan::plan_confinement(self, settings, home, workdir, sources)
    }

    fn policy_context(&self, root: &Path, attended: bool) -> PolicyContext {
        PolicyContext {
            home: self.env_var("HOME").map(PathBuf::from),
            attended,
            eyes: Some(Arc::new(
                crate::adapters::policy::filesystem_view::LocalFilesystemView,
            )),
            ..PolicyContext::unattended(root)
        }
    }

    fn clock(&self) -> Box<dyn crate::ports::clock::Clock> {
        Box::new(crate::adapters::clock::SystemClock::new())
    }

    fn root(&self, global: &GlobalArgs) -> PathBuf {
        global
            .root
            .clone()
            .unwrap_or_else(|| config::find_root(&files::current_folder()))
    }

    fn root_above(&self, global: &GlobalArgs) -> Option<PathBuf> {
        let here = files::current_folder();
        let root = self.root(global);
        (global.root.is_none() && root != here).then_some(root)
    }

    fn settings(&self, global: &GlobalArgs) -> Result<Settings, CliError> {
        let mut overrides = FlagOverrides::default();
        for pair in &global.set {
            overrides
                .set_pair("--set", pair)
                .map_err(|why| CliError::Usage(format!("config error: {why}")))?;
        }
        let root = self.root(global);
        if !root.is_dir() {
            return Err(CliError::Usage(format!(
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

    fn env_var(&self, name: &str) -> Option<String> {
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
        global: &GlobalArgs,
        summary: Option<PathBuf>,
    ) -> Option<Arc<dyn Store>> {
        let root = self.root(global);
        let layout = StoreLayout {
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

    fn is_not_written_by_tos(&self, global: &GlobalArgs, file: &Path) -> bool {
        files::is_not_written_by_tos(&self.root(global).join(file))
    }

    fn make_folders(&self, settings: &Settings) -> Result<(), CliError> {
        Ok(DiskStore::new(Self::layout(settings, None)).make_folders()?)
    }

    fn lock_holder(&self, lock: &Path) -> Option<String> {
        StoreLock::holder(lock)
    }

    fn goal_digest(&self, settings: &Settings) -> Result<String, CliError> {
        let (payload, _) = self.payload(settings)?;
        let json = payload.map(|payload| payload.json);
        Ok(goal_digest(settings, json.as_deref()))
    }

    fn lock(&self, settings: &Settings, words: &str) -> Result<Box<dyn Any>, CliError> {
        let path = settings.absolute(&settings.paths.logs).join("tos.lock");
        let lock =
            StoreLock::acquire(&path, words).map_err(|held| CliError::NotDone(held.to_string()))?;
        Ok(Box::new(lock))
    }

    fn job_services(
        &self,
        settings: &Settings,
        mode: &str,
        who: Option<args::ApprovalMode>,
        store: Arc<dyn Store>,
    ) -> Result<JobServices, CliError> {
        let replay = Self::replay(settings)?;
        settings.require_goal()?;
        let options = self.options(settings, replay.as_ref());
        let clock = SystemClock::new();
        let run = run_id(&clock);
        let runner_options = adapter_options::runner(settings, &self.environment, self.redactor());
        let (wall, confinement) = confinement::build(settings, &self.environment)?;
        let runner = process::LocalCommandRunner::new(runner_options, Some(wall));
        let runner: Arc<dyn CommandRunner> = Arc::new(runner);
        let (approvals, attended) =
            self.approvals(settings, who, confinement::is_proved(&confinement));
        let deadline = settings.rules.command_timeout;
        let probe = DiskConditionProbe::new(settings.root.clone(), deadline, Arc::clone(&runner));
        Ok(JobServices {
            facts: RunSettingsRecord {
                confinement: confinement.choice.describe(confinement.level),
                ..self.run_settings(settings, mode, adapter_options::model_names(&options))?
            },
            ports: JobPorts {
                models: self.models(&options)?,
                runner,
                probe: Arc::new(probe),
                store,
                clock: Arc::new(clock),
                approvals,
            },
            setup: JobSetup {
                rules: settings.rules.clone(),
                policy: settings.policy()?,
                world: PolicyContext {
                    sandbox_proved: confinement::is_proved(&confinement),
                    ..self.policy_context(&settings.root, attended)
                },
                redactor: self.redactor().clone(),
                run: run.clone(),
            },
            workshop: CommandSettings {
                root: settings.root.clone(),
                steps: settings.absolute(&settings.paths.steps),
                deadline,
                idle_deadline: settings.rules.idle_timeout,
                run,
            },
            notices: confinement::notice(&confinement).into_iter().collect(),
        })
    }

    fn remove_temp_folder(&self, settings: &Settings) {
        let state = settings.root.join(TOS_FOLDER);
        temporary::blocking_remove(&temporary::folder_for_job(&state));
    }

    fn open_questions(&self, settings: &Settings) -> Vec<serde_json::Value> {
        approvals::FileApprovals::new(Self::questions_folder(settings)).pending()
    }

    fn answer_question(&self, settings: &Settings, id: &str, yes: bool) -> Result<bool, CliError> {
        Ok(
            approvals::FileApprovals::new(Self::questions_folder(settings)).answer(
                id,
                yes,
                "tos answer",
            )?,
        )
    }

    fn save_allow_rules(&self, settings: &Settings, command: &Command) -> Result<String, CliError> {
        remembered_rules::save_rule(
            settings,
            command,
            &self.policy_context(&settings.root, true),
        )
        .map_err(CliError::NotDone)
    }

    fn checkpoints(&self, settings: &Settings) -> Arc<dyn Checkpoints> {
        let logs = settings.paths.logs.clone();
        Arc::new(git::GitCheckpoints::new(git::CheckpointOptions {
            excluded: vec![logs],
            ..git::CheckpointOptions::for_root(settings.root.clone())
        }))
    }

    fn write_root_file(
        &self,
        settings: &Settings,
        file: &Path,
        text: &str,
    ) -> Result<(), CliError> {
        Ok(files::write(&settings.absolute(file), text)?)
    }

    fn read_root_file(&self, settings: &Settings, file: &Path) -> Option<Vec<u8>> {
        files::read(&settings.absolute(file))
    }

    fn placeholders(&self, _settings: &Settings) -> Vec<RollbackTemplateFile> {
        let template = |place: &&str| RollbackTemplateFile {
            file: place.into(),
            text: sample::BLANK_CONFIG.to_owned(),
        };
        config::CONFIG_PATHS.iter().map(template).collect()
    }

    fn init(&self, directory: &Path, with_sample: bool) -> Result<Vec<String>, CliError> {
        let mut lines = Vec::new();
        let present = config::usable_config_in(directory)?;
        // The words of the result are those of the person's language, where the sample has them.
        let languages = ["LC_ALL", "LC_MESSAGES", "LANG"];
        let language = languages
            .iter()
            .find_map(|name| self.env_var(name).filter(|value| !value.is_empty()));
        let is_japanese = language.is_some_and(|language| language.starts_with("ja"));
        let in_words = |text: &str| {
            if is_japanese {
                sample::in_japanese(text)
            } else {
                text.to_owned()
            }
        };
        let is_other = |file: &PathBuf| {
            let there = files::read(file).unwrap_or_default();
            ![
                sample::CONFIG.to_owned(),
                sample::in_japanese(sample::CONFIG),
            ]
            .iter()
            .any(|sample| sample.as_bytes() == there)
        };
        if let Some(file) = present
            .as_ref()
            .filter(|file| with_sample && is_other(file))
        {
            return Err(CliError::NotDone(format!(
                "{} is there already and is not the configuration of the sample; nothing was made. `tos init --sample DIR` \
                 lays the sample out in a folder of its own",
                file.display()
            )));
        }
        if with_sample {
            for (file, text) in sample::FILES {
                lines.push(files::create(directory, file, &in_words(text))?);
            }
        } else {
            // A second one at the preferred place would silently take the place of the old one.
            let place = present
                .as_ref()
                .and_then(|file| file.strip_prefix(directory).ok());
            let place = place
                .and_then(Path::to_str)
                .unwrap_or(config::CONFIG_PATHS[0]);
            lines.push(files::create(directory, place, sample::BLANK_CONFIG)?);
        }
        lines.push(files::create(
            directory,
            "config/schema.json",
            include_str!("../../config/schema.json"),
        )?);
        lines.push(files::append_once(
            directory,
            ".gitignore",
            sample::GITIGNORE_LINES,
        )?);
        Ok(lines)
    }

    fn doctor_findings(&self, settings: &Settings, online: bool) -> Vec<DoctorFinding> {
        self.doctor_findings(settings, online)
    }

    fn test_sandbox(&self, settings: &Settings) -> Result<sandbox::SandboxReport, CliError> {
        confinement::test_backends(settings, &self.environment)
    }

    fn block_on<'a>(
        &self,
        act: Box<dyn FnOnce(watch::Receiver<u8>) -> BoxFuture<'a, ()> + 'a>,
    ) -> Result<(), CliError> {
        let broken = |error: std::io::Error| {
            CliError::NotDone(format!("the runtime could not start: {error}"))
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(broken)?;
        runtime.block_on(async {
            let stop = signals::stop_requests().map_err(broken)?;
            act(stop).await;
            Ok::<(), CliError>(())
        })?;
        // A question at the terminal that nobody answers must not keep the process.
        runtime.shutdown_background();
        Ok(())
    }
}
