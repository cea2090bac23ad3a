//! What is the same for the whole process: environment, redaction, and the adapters that everything shares.

use std::{cell::OnceCell, ffi::OsString, path::PathBuf, sync::Arc};

use crate::{
    adapters::{
        clock::SystemClock,
        files,
        job::{approvals, session_approvals::SessionApprovals, store::StoreLayout},
        model,
    },
    app::{adapter_options, remembered_rules, sample},
    config::{Settings, payload},
    domain::{
        job::{
            event::{JobInputRecord, RunSettingsRecord},
            rules::{DoneCondition, PerRole},
        },
        ledger::chain::sha256,
        model::ModelRole,
        policy::PolicyContext,
        redaction::Redactor,
        state_folder::tos_path,
    },
    interfaces::cli::{args, exit::CliError, services::ServiceFactory},
    ports::{approvals::Approvals, clock::Clock, model::Model, telemetry::Telemetry},
};

/// Everything that is the same for the whole process.
pub(super) struct AppContext {
    pub(super) environment: Vec<(OsString, OsString)>,
    /// The part of the environment that is text: configuration is read from nothing else.
    pub(super) texts: Vec<(String, String)>,
    pub(super) redactor: OnceCell<Redactor>,
    /// What exports spans and metrics, once somebody asked; `None` inside = nobody wants it.
    pub(super) telemetry: OnceCell<Option<Arc<dyn Telemetry>>>,
    /// What this process was asked to do, for whoever finds it at work.
    pub(super) command: String,
    /// When this process began its work.
    pub(super) started: std::time::Instant,
}

impl AppContext {
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
            telemetry: OnceCell::new(),
            command: command_of(words),
            started: started(),
        }
    }

    /// Starts tracing to stderr where `TOS_LOG`, `-v` or `-vv` asks for it.
    pub(super) fn start_tracing(&self, verbose: u8) {
        crate::adapters::signals::survive_file_limit();
        let asked = match verbose {
            0 => None,
            1 => Some("tos=info".to_owned()),
            _ => Some("tos=debug".to_owned()),
        };
        let wanted = self.env_var("TOS_LOG").or(asked);
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
        self.env_var("NO_COLOR")
            .is_some_and(|value| !value.is_empty())
            || self.is_dumb()
    }

    /// Returns whether the terminal can do nothing but print lines.
    pub(super) fn is_dumb(&self) -> bool {
        self.env_var("TERM").is_some_and(|term| term == "dumb")
    }

    pub(super) fn redactor(&self) -> &Redactor {
        self.redactor
            .get_or_init(|| adapter_options::redactor(&self.texts))
    }

    pub(super) fn layout(settings: &Settings, summary: Option<PathBuf>) -> StoreLayout {
        StoreLayout {
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
    pub(super) fn replay(settings: &Settings) -> Result<Option<model::ReplaySource>, CliError> {
        let missing = settings.missing_api_keys();
        if missing.is_empty() {
            return Ok(None);
        }
        if let Some(text) = sample::replies_for(&settings.rules.templates) {
            return Ok(Some(model::ReplaySource::Embedded {
                name: "examples/sales/replies.jsonl",
                text,
            }));
        }
        Err(CliError::Setup(format!(
            "API error: {} not set; set {} in the environment, or choose another `provider` for the roles under \
             `models` (docs/models.md)",
            missing.join(" and "),
            if missing.len() == 1 { "it" } else { "them" }
        )))
    }

    pub(super) fn options(
        &self,
        settings: &Settings,
        replay: Option<&model::ReplaySource>,
    ) -> PerRole<model::ModelOptions> {
        let of = |role| adapter_options::model(settings, role, replay, &self.texts);
        PerRole {
            draft: of(ModelRole::Draft),
            review: of(ModelRole::Review),
            final_: of(ModelRole::Final),
        }
    }

    pub(super) fn models(
        &self,
        options: &PerRole<model::ModelOptions>,
    ) -> Result<PerRole<Arc<dyn Model>>, CliError> {
        let shared = model::HttpClients::new(self.redactor().clone());
        let build = |role: ModelRole| -> Result<Arc<dyn Model>, CliError> {
            let model = model::build(options.of(role), &shared).map_err(|error| {
                CliError::Setup(format!("config error: models.{}: {error}", role.as_str()))
            })?;
            Ok(Arc::from(model))
        };
        Ok(PerRole {
            draft: build(ModelRole::Draft)?,
            review: build(ModelRole::Review)?,
            final_: build(ModelRole::Final)?,
        })
    }

    pub(super) fn payload(
        &self,
        settings: &Settings,
    ) -> Result<(Option<JobInputRecord>, Option<String>), CliError> {
        let payload = payload::load(&settings.root, settings.payload.as_ref())?;
        let name = payload
            .as_ref()
            .and_then(|payload| payload.job_name.clone());
        let payload = payload.map(|payload| JobInputRecord {
            json: self.redactor().clean(&payload.text),
            bytes: payload.size_bytes,
        });
        Ok((payload, name))
    }

    pub(super) fn run_settings(
        &self,
        settings: &Settings,
        mode: &str,
        models: [String; 3],
    ) -> Result<RunSettingsRecord, CliError> {
        let (payload, name) = self.payload(settings)?;
        let payload_json = payload.as_ref().map(|payload| payload.json.clone());
        let rules = &settings.rules;
        let configured = &settings.configured_loop;
        Ok(RunSettingsRecord {
            mode: mode.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sprint: rules.sprint.clone(),
            experimental: rules.experimental,
            max_jobs: rules.job_loop.as_ref().map(|jobs| jobs.max_jobs),
            configured_jobs: Some(configured.max_jobs),
            job_name: name.unwrap_or_else(|| configured.name.clone()),
            job_result: adapter_options::slash_path(&rules.job_result),
            payload,
            models,
            stop_on_deny: rules.policy.stop_on_deny,
            confinement: String::new(),
            goal: Some(goal_digest(settings, payload_json.as_deref())),
        })
    }

    pub(super) fn questions_folder(settings: &Settings) -> PathBuf {
        settings.root.join(tos_path!("approvals"))
    }

    /// Returns the way to a person for sessions of tasks: `tos answer`, and the terminal where somebody sits at one.
    pub(super) fn session_approvals(&self, settings: &Settings) -> Arc<dyn Approvals> {
        let folder = approvals::FileApprovals::new(Self::questions_folder(settings));
        let memory = files::is_interactive().then(|| {
            remembered_rules::allow_rules(settings, self.policy_context(&settings.root, true))
        });
        Arc::new(SessionApprovals::new(folder, memory))
    }

    /// Returns the way to a person, and whether somebody can answer at all.
    pub(super) fn approvals(
        &self,
        settings: &Settings,
        who: Option<args::ApprovalMode>,
        proved: bool,
    ) -> (Arc<dyn Approvals>, bool) {
        let who = who.unwrap_or(if files::is_interactive() {
            args::ApprovalMode::Terminal
        } else {
            args::ApprovalMode::Deny
        });
        match who {
            args::ApprovalMode::Terminal => {
                let world = PolicyContext {
                    sandbox_proved: proved,
                    ..self.policy_context(&settings.root, true)
                };
                let memory = remembered_rules::allow_rules(settings, world);
                (Arc::new(approvals::TerminalApprovals::new(memory)), true)
            }
            args::ApprovalMode::Deny => (Arc::new(approvals::DenyAllApprovals), false),
            args::ApprovalMode::Wait => (
                Arc::new(approvals::FileApprovals::new(Self::questions_folder(
                    settings,
                ))),
                true,
            ),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one reading from which every other is counted"
)]
fn started() -> std::time::Instant {
    std::time::Instant::now()
}

/// Returns a run id: the time for people, and chance against collisions.
pub(super) fn run_id(clock: &SystemClock) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a fraction of 2^24 fits"
    )]
    let chance = (clock.random() * 16_777_216.0) as u32;
    format!("{}-{chance:06x}", clock.now().format("%Y%m%d-%H%M%S"))
}

pub(super) fn replay_notice(settings: &Settings) -> String {
    format!(
        "REPLAY: {} not set, so no model is asked; the recorded replies of the sample job are played",
        settings.missing_api_keys().join(" and ")
    )
}

/// Returns a command line as far as it names what is done: no options, whose values may be anything.
pub(super) fn command_of(words: &[OsString]) -> String {
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

/// Returns what the mark is made of. The form must stay: another one makes every job that is done look like a new one, which
/// would be run and paid again.
fn goal_text(done: &DoneCondition, templates: &PerRole<String>, payload: Option<&str>) -> String {
    format!("{done:?}|{templates:?}|{payload:?}")
}

/// Returns a short mark of everything that says what a job is for: its goal, its prompts, its input.
pub(super) fn goal_digest(settings: &Settings, payload: Option<&str>) -> String {
    let text = goal_text(&settings.rules.done, &settings.rules.templates, payload);
    sha256(text.as_bytes()).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::rules::DoneCheck;

    #[test]
    fn the_mark_of_a_goal_is_made_of_the_same_text_in_every_version() {
        let done = DoneCondition {
            all: vec![
                DoneCheck::Contains {
                    file: "out.txt".into(),
                    texts: vec!["total".to_owned()],
                },
                DoneCheck::Matches {
                    file: "out.txt".into(),
                    pattern: "^a".to_owned(),
                },
                DoneCheck::Exists {
                    file: "old".into(),
                    exists: false,
                },
                DoneCheck::Command {
                    argv: vec!["true".to_owned()],
                    exit_code: 0,
                },
            ],
            fresh: true,
        };
        let templates = PerRole {
            draft: "d".to_owned(),
            review: "r".to_owned(),
            final_: "f".to_owned(),
        };
        let expected = r#"DoneCondition { all: [Contains { file: "out.txt", texts: ["total"] }, Matches { file: "out.txt", pattern: "^a" }, Exists { file: "old", exists: false }, Command { argv: ["true"], exit_code: 0 }], fresh: true }|PerRole { draft: "d", review: "r", final_: "f" }|Some("{}")"#;
        assert_eq!(goal_text(&done, &templates, Some("{}")), expected);
    }
}
