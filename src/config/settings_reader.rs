//! Turns checked values into settings and judges what only several values together can show.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    config::{
        done_checks,
        error::{ConfigFault, segments},
        files,
        settings::{
            CommandLimits, JobInputSettings, ModelSettings, Network, OutputLimits, Paths,
            SandboxLevel, SandboxSettings, Settings,
        },
        source::{EffectiveValues, ValueSource},
        value_shape::collector_fault,
    },
    domain::{
        command::CommandKind,
        job::rules::{
            AfterCrash, DoneCheck, DoneCondition, JobBudget, JobRules, JobSeriesConfig, PerRole,
            PolicyRules, RetryPolicy,
        },
        model::{ModelPrice, ModelRole},
        policy::{Decision, PolicyPreset, PolicyRule},
        provider::{OpenAiApi, Provider, Secret},
        sandbox::{SandboxBackend, home::exposed_path_error},
    },
};

/// What settings are made of.
pub(crate) struct SettingsInput<'a> {
    pub(crate) root: PathBuf,
    pub(crate) config_file: Option<PathBuf>,
    pub(crate) environment: &'a [(String, String)],
    pub(crate) sources: EffectiveValues,
    pub(crate) warnings: Vec<String>,
}

/// Builds the settings and returns the faults that lie between values.
pub(crate) fn settings(input: SettingsInput<'_>) -> (Settings, Vec<ConfigFault>) {
    let mut maker = SettingsReader {
        values: &input.sources,
        root: &input.root,
        environment: input.environment,
        faults: Vec::new(),
    };
    let rules = maker.rules();
    let models = maker.per_role(SettingsReader::model);
    maker.judge_budget(&rules, &models);
    let sandbox = maker.sandbox();
    let payload = maker.payload(&rules);
    let (paths, output) = (maker.paths(), maker.output());
    let allowed = rules.policy.allow_types.clone();
    let settings = Settings {
        configured_loop: maker.configured_loop(),
        rules,
        paths,
        models,
        payload,
        record: maker.path("record"),
        output,
        environment_allow: maker.texts("environment.allow"),
        archive_keep: maker.count("archive_keep"),
        sandbox,
        telemetry: maker.collector(),
        experimental_warning: maker.flag("s5_settings.experimental_warning"),
        warnings: [input.warnings, unknown_kinds(&allowed)].concat(),
        root: input.root.clone(),
        config_file: input.config_file,
        sources: EffectiveValues::default(),
    };
    let faults = maker.faults;
    let sources = input.sources;
    (
        Settings {
            sources,
            ..settings
        },
        faults,
    )
}

/// The parts of a price; the first two are needed.
const PARTS: [&str; 4] = [
    "input_per_mtok",
    "output_per_mtok",
    "cached_input_per_mtok",
    "cache_write_per_mtok",
];

/// Reads typed values. The layers let only values of the right shape through, so a reader meets either
/// such a value or `null` for absent.
struct SettingsReader<'a> {
    values: &'a EffectiveValues,
    root: &'a std::path::Path,
    environment: &'a [(String, String)],
    faults: Vec<ConfigFault>,
}

impl SettingsReader<'_> {
    fn value(&self, path: &str) -> &Value {
        let sourced = self
            .values
            .get(path)
            .expect("settings read keys of the table only");
        &sourced.value
    }

    fn is_given(&self, path: &str) -> bool {
        self.values.get(path).is_some_and(|sourced| {
            sourced.source != ValueSource::Default && !sourced.value.is_null()
        })
    }

    fn maybe_text(&self, path: &str) -> Option<String> {
        self.value(path).as_str().map(str::to_owned)
    }

    /// Returns the address of a collector, or the word for that of the environment.
    fn collector(&mut self) -> Option<String> {
        let text = self.maybe_text("telemetry.otlp")?;
        if let Some((problem, remedy)) = collector_fault(&text) {
            self.fault("telemetry.otlp", problem, remedy);
        }
        Some(text)
    }

    fn text(&self, path: &str) -> String {
        self.maybe_text(path).unwrap_or_default()
    }

    fn flag(&self, path: &str) -> bool {
        self.value(path).as_bool() == Some(true)
    }

    fn maybe_number(&self, path: &str) -> Option<f64> {
        self.value(path).as_f64()
    }

    fn big_count(&self, path: &str) -> u64 {
        self.value(path).as_u64().unwrap_or_default()
    }

    fn maybe_count(&self, path: &str) -> Option<u32> {
        u32::try_from(self.value(path).as_u64()?).ok()
    }

    fn count(&self, path: &str) -> u32 {
        self.maybe_count(path).unwrap_or_default()
    }

    fn maybe_seconds(&self, path: &str) -> Option<Duration> {
        Duration::try_from_secs_f64(self.maybe_number(path)?).ok()
    }

    fn seconds(&self, path: &str) -> Duration {
        self.maybe_seconds(path).unwrap_or_default()
    }

    fn texts(&self, path: &str) -> Vec<String> {
        let items = self.value(path).as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    fn path(&self, path: &str) -> Option<PathBuf> {
        let text = self.value(path).as_str().filter(|text| !text.is_empty())?;
        crate::config::paths::relative(self.root, text)
    }

    fn place(&self, path: &str) -> PathBuf {
        self.path(path).unwrap_or_default()
    }

    fn fault(&mut self, path: &str, problem: String, remedy: &str) {
        let source = self
            .values
            .get(path)
            .map_or(ValueSource::Default, |s| s.source.clone());
        self.faults.push(ConfigFault {
            source,
            place: None,
            path: segments(path),
            problem,
            remedy: remedy.into(),
        });
    }

    fn per_role<T>(&mut self, mut make: impl FnMut(&mut Self, ModelRole) -> T) -> PerRole<T> {
        PerRole {
            draft: make(self, ModelRole::Draft),
            review: make(self, ModelRole::Review),
            final_: make(self, ModelRole::Final),
        }
    }

    fn rules(&mut self) -> JobRules {
        let command_timeout = self.seconds("timeout_sec");
        let idle = self.seconds("idle_timeout_sec");
        JobRules {
            max_steps: self.count("max_steps"),
            json_retry: self.count("json_retry"),
            json_retry_prefix: self.text("json_retry_prefix"),
            retry: RetryPolicy {
                attempts: self.count("api_retry"),
                base: self.seconds("api_backoff_sec"),
                max_wait: self.seconds("max_wait_sec"),
            },
            command_timeout,
            idle_timeout: (!idle.is_zero()).then_some(idle),
            grace: self.seconds("grace_seconds"),
            require_approval: self.flag("require_approval"),
            on_unknown: match self.text("on_unknown").as_str() {
                "rerun" => AfterCrash::Rerun,
                "skip" => AfterCrash::Skip,
                _ => AfterCrash::Stop,
            },
            templates: self.templates(),
            deadlines: self.per_role(|maker, role| {
                let own = maker.maybe_seconds(&role_key(role, "timeout_sec"));
                own.unwrap_or(command_timeout)
            }),
            prices: self.per_role(Self::price),
            budget: self.budget(),
            no_progress_limit: Some(self.count("no_progress_limit")).filter(|limit| *limit > 0),
            job_loop: self.job_loop(),
            experimental: self.flag("s5_settings.enabled"),
            sprint: self.maybe_text("sprint"),
            done: self.done(),
            policy: self.policy(),
            job_result: self.place("s5_settings.job_loop.job_result.path"),
        }
    }

    /// Returns the prompts: each from its own file or key, with the goal where it is wanted.
    fn templates(&mut self) -> PerRole<String> {
        let goal = self.text_file("goal_file", "goal");
        let goal = goal.or_else(|| self.maybe_text("goal"));
        self.per_role(|maker, role| {
            let key = format!("{}_prompt_template", role.as_str());
            let file = format!("{}_prompt_file", role.as_str());
            let text = maker.text_file(&file, &key);
            let text = text.unwrap_or_else(|| maker.text(&key));
            match goal.as_deref().map(str::trim) {
                Some(goal) if text.contains("{goal}") => text.replace("{goal}", goal),
                Some(goal) if role != ModelRole::Final => {
                    format!("Goal of this job: {goal}\n\n{text}")
                }
                _ => text,
            }
        })
    }

    /// Returns the text of the file that a key names, instead of the key `direct`; only one of the two may be given.
    fn text_file(&mut self, key: &str, direct: &str) -> Option<String> {
        let file = self.path(key)?;
        if self.is_given(direct) {
            let problem = format!("is given beside `{direct}`, which says the same thing");
            self.fault(key, problem, "keep one of the two");
            return None;
        }
        match files::read_text(&self.root.join(&file)) {
            Ok(text) if text.trim().is_empty() => {
                let problem = format!("`{}` is empty", file.display());
                self.fault(key, problem, "write the text into it");
                None
            }
            Ok(text) => Some(text),
            Err(error) => {
                let problem = format!("`{}` cannot be read: {error}", file.display());
                self.fault(key, problem, "name a UTF-8 text file below the root");
                None
            }
        }
    }

    fn price(&mut self, role: ModelRole) -> Option<ModelPrice> {
        let part = |name: &str| role_key(role, &format!("price.{name}"));
        let read = |name: &str| self.maybe_number(&part(name));
        let (input, output) = (read("input_per_mtok"), read("output_per_mtok"));
        let cached = read("cached_input_per_mtok");
        let written = read("cache_write_per_mtok");
        if let (Some(input_per_mtok), Some(output_per_mtok)) = (input, output) {
            return Some(ModelPrice {
                input_per_mtok,
                output_per_mtok,
                cached_input_per_mtok: cached,
                cache_write_per_mtok: written,
            });
        }
        if let Some(given) = PARTS.iter().find(|name| self.is_given(&part(name))) {
            let missing = if input.is_none() { PARTS[0] } else { PARTS[1] };
            let problem = format!("is given without `{missing}`; a price needs input and output");
            self.fault(&part(given), problem, "add it; 0 is allowed");
        }
        None
    }

    fn budget(&self) -> JobBudget {
        JobBudget {
            max_tokens: self.value("budget.max_tokens").as_u64(),
            max_cost: self.maybe_number("budget.max_cost"),
            max_minutes: self.maybe_number("budget.max_minutes"),
            max_steps: self.maybe_count("budget.max_steps"),
        }
    }

    fn job_loop(&self) -> Option<JobSeriesConfig> {
        let enabled = self.flag("s5_settings.job_loop.enabled");
        enabled.then(|| self.configured_loop())
    }

    fn configured_loop(&self) -> JobSeriesConfig {
        JobSeriesConfig {
            max_jobs: self.count("s5_settings.job_loop.max_jobs"),
            name: self.text("s5_settings.job_loop.job_name"),
        }
    }

    fn done(&self) -> DoneCondition {
        let given = done_checks::parse(self.value("done_condition.all"), self.root);
        let usual = || {
            vec![DoneCheck::Contains {
                file: self.place("workspace_dir").join("results/result_v2.txt"),
                texts: ["合計:", "平均:", "件数:"].map(String::from).to_vec(),
            }]
        };
        DoneCondition {
            all: given.unwrap_or_else(|_| usual()),
            fresh: self.flag("done_condition.fresh"),
        }
    }

    fn policy(&mut self) -> PolicyRules {
        let has_types =
            self.is_given("allow_types") || self.is_given("execution_policy.allow_types");
        let named = self
            .either("allow_types")
            .into_iter()
            .map(CommandKind::from);
        let allow_types = if has_types {
            named.collect()
        } else {
            CommandKind::of_this_system()
        };
        let deny_patterns = self.either("deny_patterns");
        PolicyRules {
            default_allow: self.text("execution_policy.default_action") == "allow",
            stop_on_deny: self.flag("execution_policy.stop_on_deny"),
            deny_if_contains: self.texts("execution_policy.deny_if_contains"),
            deny_patterns,
            allow_types,
            preset: match self.text("execution_policy.preset").as_str() {
                "strict" => PolicyPreset::Strict,
                "original" => PolicyPreset::Original,
                _ => PolicyPreset::Careful,
            },
            rules: self.own_rules(),
            on_opaque: match self.text("execution_policy.on_opaque").as_str() {
                "ask" => Decision::Ask,
                "deny" => Decision::Deny,
                _ => Decision::Allow,
            },
        }
    }

    fn own_rules(&self) -> Vec<PolicyRule> {
        let rules = self.value("execution_policy.rules").as_array();
        let rules = rules.into_iter().flatten();
        rules
            .filter_map(|rule| PolicyRule::deserialize(rule).ok())
            .collect()
    }

    /// Reads a list that may stand at the top or inside `execution_policy`, but not in both places.
    fn either(&mut self, name: &str) -> Vec<String> {
        let inner = format!("execution_policy.{name}");
        if self.is_given(name) && self.is_given(&inner) {
            let problem = format!("given here and as `{name}`");
            self.fault(&inner, problem, "keep one of the two");
        }
        let path = if self.is_given(&inner) { &inner } else { name };
        self.texts(path)
    }

    fn model(&mut self, role: ModelRole) -> ModelSettings {
        let key = |name: &str| role_key(role, name);
        let (provider, auto) = self.provider(role);
        let argv = self.texts(&key("argv"));
        let replay_file = self.path(&key("replay_file"));
        if provider == Provider::Command && argv.is_empty() {
            let problem = format!(
                "\"command\" needs a program, and `{}` is missing",
                key("argv")
            );
            let remedy = "add it, for example [\"claude\", \"-p\"]";
            self.fault(&key("provider"), problem, remedy);
        }
        if provider == Provider::Replay && replay_file.is_none() {
            let missing = key("replay_file");
            let problem = format!("\"replay\" needs a recording, and `{missing}` is missing");
            self.fault(&key("provider"), problem, "add it; a file below the root");
        }
        ModelSettings {
            provider,
            auto,
            model: self.model_name(role, provider),
            base_url: self.base_url(role, provider),
            api: OpenAiApi::from_word(&self.text(&key("api"))).unwrap_or_default(),
            temperature: self.maybe_number(&key("temperature")),
            max_tokens: self.maybe_count(&key("max_tokens")),
            version: self.text(&key("version")),
            argv,
            replay_file,
            schema: self.flag(&key("schema")),
            api_key: provider
                .key_variable()
                .and_then(|name| self.variable(name))
                .map(|key| Secret::new(&key)),
        }
    }

    fn provider(&self, role: ModelRole) -> (Provider, bool) {
        match Provider::from_word(&self.text(&role_key(role, "provider"))) {
            Some(provider) => (provider, false),
            None if role == ModelRole::Review => (Provider::Anthropic, true),
            None => (Provider::OpenAi, true),
        }
    }

    fn model_name(&self, role: ModelRole, provider: Provider) -> String {
        let own = self.maybe_text(&role_key(role, "model"));
        own.unwrap_or_else(|| match provider {
            Provider::OpenAi => self.text("openai_model"),
            Provider::Anthropic => self.text("anthropic_model"),
            Provider::Command | Provider::Replay => String::new(),
        })
    }

    fn base_url(&self, role: ModelRole, provider: Provider) -> Option<String> {
        let own = self.maybe_text(&role_key(role, "base_url"));
        own.or_else(|| match provider {
            Provider::OpenAi => self.variable("OPENAI_BASE_URL"),
            Provider::Anthropic => self.variable("ANTHROPIC_BASE_URL"),
            Provider::Command | Provider::Replay => None,
        })
    }

    /// Returns an environment variable; empty counts as missing.
    fn variable(&self, name: &str) -> Option<String> {
        let found = self.environment.iter().find(|(given, _)| given == name);
        found
            .map(|(_, text)| text.clone())
            .filter(|text| !text.is_empty())
    }

    fn judge_budget(&mut self, rules: &JobRules, models: &PerRole<ModelSettings>) {
        if rules.budget.max_cost.is_none() {
            return;
        }
        for role in ModelRole::ALL {
            let model = models.of(role);
            let live = model.provider != Provider::Replay
                && !(model.auto && model.missing_api_key().is_some());
            if live && rules.prices.of(role).is_none() {
                let problem = format!(
                    "needs a price for every live role, and `models.{}.price` is missing",
                    role.as_str()
                );
                let remedy =
                    "add input_per_mtok and output_per_mtok there, or use budget.max_tokens";
                self.fault("budget.max_cost", problem, remedy);
            }
        }
    }

    fn payload(&self, rules: &JobRules) -> Option<JobInputSettings> {
        rules.job_loop.as_ref()?;
        Some(JobInputSettings {
            path: self.path("s5_settings.job_loop.job_input.path")?,
            required: self.flag("s5_settings.job_loop.job_input.required"),
        })
    }

    fn output(&self) -> OutputLimits {
        OutputLimits {
            head_bytes: self.big_count("output.head_bytes"),
            tail_bytes: self.big_count("output.tail_bytes"),
            disk_cap_bytes: self.big_count("output.disk_cap_bytes"),
        }
    }

    fn sandbox(&mut self) -> SandboxSettings {
        let count = |name: &str| self.value(&format!("sandbox.limits.{name}")).as_u64();
        let limits = CommandLimits {
            memory_mb: count("memory_mb"),
            processes: count("processes"),
            cpu: count("cpu_sec").map(Duration::from_secs),
            file_mb: count("file_mb"),
            disk_mb: count("disk_mb"),
            root_mb: count("root_mb"),
        };
        SandboxSettings {
            level: match self.text("sandbox.level").as_str() {
                "off" => SandboxLevel::Off,
                "workspace" => SandboxLevel::Workspace,
                "read_only" => SandboxLevel::ReadOnly,
                _ => SandboxLevel::Auto,
            },
            allow_degraded: self.flag("sandbox.allow_degraded"),
            backends: SandboxBackend::wanted(&self.text("sandbox.backend")),
            network: self.network(),
            show: self.show(),
            limits,
        }
    }

    fn show(&mut self) -> Vec<PathBuf> {
        let home = self.variable("HOME").map(PathBuf::from);
        let mut places = Vec::new();
        for place in self.texts("sandbox.show") {
            let fault = exposed_path_error(&place, home.as_deref());
            if let Some((problem, remedy)) = fault {
                self.fault("sandbox.show", problem, remedy);
            }
            match (place.strip_prefix("~/"), &home) {
                (Some(rest), Some(home)) => places.push(home.join(rest)),
                // Without a home there is none to show anything of.
                (Some(_), None) => {}
                (None, _) => places.push(place.into()),
            }
        }
        places
    }

    fn network(&mut self) -> Network {
        let hosts = self.texts("sandbox.allow_hosts");
        let word = self.text("sandbox.network");
        match word.as_str() {
            "allow_hosts" if hosts.is_empty() => {
                let problem = "\"allow_hosts\", but `sandbox.allow_hosts` names none";
                self.fault(
                    "sandbox.network",
                    problem.into(),
                    "name hosts, or write \"none\"",
                );
                Network::None
            }
            "allow_hosts" => Network::Hosts(hosts),
            _ if !hosts.is_empty() => {
                let problem = format!("has no effect while `sandbox.network` is \"{word}\"");
                let remedy = "set sandbox.network to \"allow_hosts\", or remove the hosts";
                self.fault("sandbox.allow_hosts", problem, remedy);
                Network::None
            }
            "all" => Network::All,
            _ => Network::None,
        }
    }

    fn paths(&self) -> Paths {
        let (workspace, logs) = (self.place("workspace_dir"), self.place("logs_dir"));
        let artifacts = workspace.join("artifacts");
        Paths {
            generated: workspace.join("generated"),
            results: workspace.join("results"),
            phase_state: workspace.join("phase_state.json"),
            phase_summary: artifacts.join("phase_summary.json"),
            steps: logs.join("steps"),
            archive: logs.join("archive"),
            run_summary: logs.join("last_run_summary.json"),
            last_checkpoint: logs.join("last_checkpoint.txt"),
            workspace,
            logs,
            artifacts,
        }
    }
}

fn unknown_kinds(allowed: &[CommandKind]) -> Vec<String> {
    let unknown = allowed
        .iter()
        .filter(|kind| matches!(kind, CommandKind::Other(_)));
    let warn = |kind: &CommandKind| {
        let word = kind.as_str();
        format!("`allow_types` names `{word}`, which tos cannot start; such commands are refused")
    };
    unknown.map(warn).collect()
}

fn role_key(role: ModelRole, name: &str) -> String {
    format!("models.{}.{name}", role.as_str())
}
