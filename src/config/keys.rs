//! The one table of configuration keys: names, types, defaults, meanings, examples.
//!
//! Parsing, the check for unknown keys, environment names, the JSON Schema and the table in
//! `docs/configuration.md` are all made from it, so that none of them can drift. A new key is one row here
//! and one line where `settings_reader` reads it; tests fail while either is missing.

use std::{borrow::Cow, sync::LazyLock};

use serde_json::Value;

use crate::{config::value_shape::ValueShape, domain::provider::Provider};

/// One key of the configuration file.
#[derive(Debug, Clone)]
pub struct ConfigKey {
    /// The path from the top, segments joined by dots.
    pub path: Cow<'static, str>,
    /// What values it takes.
    pub shape: ValueShape,
    /// The default.
    pub default: KeyDefault,
    /// What it means, in Markdown; the first sentence stands alone.
    pub doc: &'static str,
    /// A value that is accepted, as JSON text.
    pub example: &'static str,
    /// Whether the original program had it.
    pub original: bool,
}

/// What holds for a key that no layer gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyDefault {
    /// Nothing: the key is absent, and `null` says so explicitly.
    Absent,
    /// A value, as JSON text.
    Json(&'static str),
    /// A long text; the documentation names this file instead of showing it.
    Text(&'static str, &'static str),
}

impl KeyDefault {
    /// Returns the value.
    pub fn value(self) -> Value {
        match self {
            Self::Absent => Value::Null,
            Self::Json(text) => serde_json::from_str(text).expect("defaults of the table are JSON"),
            Self::Text(text, _) => Value::String(text.to_owned()),
        }
    }
}

const JSON_RETRY_PREFIX: &str = "\"Your last reply could not be used. Answer again with exactly one JSON object in the form described below: no text before or after it, no code fence.\"";

macro_rules! prompt {
    ($name:literal) => {
        KeyDefault::Text(
            include_str!(concat!("../../config/prompts/", $name)),
            concat!("config/prompts/", $name),
        )
    };
}

const SECONDS: ValueShape = ValueShape::Number {
    above_zero: false,
    most: YEAR,
};
const DEADLINE: ValueShape = ValueShape::Number {
    above_zero: true,
    most: YEAR,
};
const AMOUNT: ValueShape = ValueShape::Number {
    above_zero: true,
    most: 1e12,
};
const PRICE: ValueShape = ValueShape::Number {
    above_zero: false,
    most: 1e9,
};
const YEAR: f64 = 31_536_000.0;
const RETRIES: ValueShape = ValueShape::Integer {
    least: 0,
    most: 1000,
};
const COUNT: ValueShape = ValueShape::Integer {
    least: 1,
    most: 1_000_000,
};
const MANY: ValueShape = ValueShape::Integer {
    least: 1,
    most: 1_000_000_000_000,
};
const BYTES: ValueShape = ValueShape::Integer {
    least: 0,
    most: 1 << 40,
};

const fn key(
    path: &'static str,
    shape: ValueShape,
    default: KeyDefault,
    example: &'static str,
    doc: &'static str,
) -> ConfigKey {
    ConfigKey {
        path: Cow::Borrowed(path),
        shape,
        default,
        doc,
        example,
        original: true,
    }
}

const fn ours(
    path: &'static str,
    shape: ValueShape,
    default: KeyDefault,
    example: &'static str,
    doc: &'static str,
) -> ConfigKey {
    ConfigKey {
        path: Cow::Borrowed(path),
        shape,
        default,
        doc,
        example,
        original: false,
    }
}

#[rustfmt::skip]
const GENERAL: &[ConfigKey] = &[
    key("config_version", ValueShape::Text, KeyDefault::Absent, "\"v0.3\"",
        "A note on the version of this file. Kept for the reader; tos does not act on it."),
    key("sprint", ValueShape::Word, KeyDefault::Absent, "\"S-6\"",
        "The phase the work is in, shown as `current_phase` in the phase summary. Runs are shown as experimental while it is `S-5`."),
    key("workspace_dir", ValueShape::Inside, KeyDefault::Json("\"workspace\""), "\"workspace\"",
        "Where commands leave their work, below the root. `generated`, `results` and `artifacts` are made in it."),
    key("logs_dir", ValueShape::Inside, KeyDefault::Json("\"logs\""), "\"logs\"",
        "Where tos writes step logs, the run log and summaries, below the root."),
    key("openai_model", ValueShape::Word, KeyDefault::Json("\"gpt-4o-mini\""), "\"gpt-4o-mini\"",
        "The model for draft and final where `models.<role>.model` is absent."),
    key("anthropic_model", ValueShape::Word, KeyDefault::Json("\"claude-3-5-sonnet-20241022\""), "\"claude-3-haiku-20240307\"",
        "The model for the review where `models.<role>.model` is absent."),
    key("max_steps", COUNT, KeyDefault::Json("8"), "8",
        "How many steps a job may take, over all its runs, before one ends as `max_steps_reached`; the run after that one gives it as many again."),
    key("api_retry", RETRIES, KeyDefault::Json("2"), "2",
        "Further attempts after a model call that failed for a passing reason."),
    ours("api_backoff_sec", SECONDS, KeyDefault::Json("1"), "0.5",
        "The wait before the first further attempt, in seconds; doubled each time, with jitter. `0` = no wait. A provider's own `Retry-After` wins."),
    ours("max_wait_sec", SECONDS, KeyDefault::Json("120"), "600",
        "The longest wait for a quota inside a run, in seconds. A longer one parks the job (exit 5) instead of blocking."),
    key("json_retry", RETRIES, KeyDefault::Json("2"), "2",
        "Further questions after a reply that is not the JSON asked for."),
    key("json_retry_prefix", ValueShape::Text, KeyDefault::Json(JSON_RETRY_PREFIX), "\"Answer with one JSON object only.\"",
        "The sentence put in front of the prompt, once, when asking again."),
    key("timeout_sec", DEADLINE, KeyDefault::Json("120"), "300",
        "The deadline of one model call and of one command, in seconds. Past it a command is ended with everything it started."),
    ours("idle_timeout_sec", SECONDS, KeyDefault::Json("0"), "900",
        "Ends a command that wrote nothing, used no CPU and touched no file for this many seconds. `0` = never."),
    ours("grace_seconds", SECONDS, KeyDefault::Json("10"), "30",
        "How long a command that is asked to end (SIGTERM) may take before it is killed, in seconds."),
    ours("no_progress_limit", ValueShape::Integer { least: 0, most: 1_000_000 }, KeyDefault::Json("3"), "5",
        "Ends a run whose last steps did the same with the same result (denied, failed, empty) this many times in a row. `0` = never."),
    ours("require_approval", ValueShape::Bool, KeyDefault::Json("true"), "false",
        "Whether the reviewer's `approval: false` keeps a step's commands from running. `false` = as in the original, the word is only recorded."),
    ours("on_unknown", ValueShape::Choice(&["stop", "rerun", "skip"]), KeyDefault::Json("\"stop\""), "\"rerun\"",
        "What to do about a command that was running when tos was killed: `stop` and ask a person, `rerun` it, or `skip` it and tell the models that its end is unknown."),
    ours("record", ValueShape::Inside, KeyDefault::Absent, "\"logs/replies.jsonl\"",
        "A file to which every model reply is recorded, in the form `replay` reads."),
    ours("archive_keep", ValueShape::Integer { least: 1, most: 1_000_000 }, KeyDefault::Json("20"), "50",
        "How many archives of earlier runs cleanrun keeps below `<logs_dir>/archive`."),
    ours("goal", ValueShape::Word, KeyDefault::Absent, "\"Every test of `make test` passes.\"",
        "What the job is for, in your words. It stands where a prompt says `{goal}`, and in front of prompts of draft and review that do not. Whether it is reached is decided by `done_condition`."),
    ours("goal_file", ValueShape::Inside, KeyDefault::Absent, "\"config/goal.md\"",
        "A text file below the root that holds the goal, instead of `goal`."),
    ours("draft_prompt_file", ValueShape::Inside, KeyDefault::Absent, "\"config/draft.txt\"",
        "A text file below the root that holds the prompt of the draft, instead of `draft_prompt_template`."),
    ours("review_prompt_file", ValueShape::Inside, KeyDefault::Absent, "\"config/review.txt\"",
        "The same for the review."),
    ours("final_prompt_file", ValueShape::Inside, KeyDefault::Absent, "\"config/final.txt\"",
        "The same for the final."),
    key("draft_prompt_template", ValueShape::Template, prompt!("draft.txt"), "\"Propose commands. Step {step_num} of job {job_index}. So far: {history_json}. Input: {job_payload_json}\"",
        "The prompt of the draft. Placeholders: `{step_num}`, `{job_index}`, `{job_name}`, `{history_json}`, `{job_payload_json}`; they are filled in one pass, other braces stay."),
    key("review_prompt_template", ValueShape::Template, prompt!("review.txt"), "\"Review this draft of step {step_num}: {draft_json}\"",
        "The prompt of the review. Placeholders: those of the draft and `{draft_json}`."),
    key("final_prompt_template", ValueShape::Template, prompt!("final.txt"), "\"Settle the commands. Draft: {draft_json} Review: {review_json}\"",
        "The prompt of the final. Placeholders: those of the draft, `{draft_json}` and `{review_json}`."),
];

#[rustfmt::skip]
const POLICY: &[ConfigKey] = &[
    key("allow_types", ValueShape::Kinds, KeyDefault::Absent, "[\"bash\", \"exec\"]",
        "Which kinds of command may run at all; without it those that this system has: `bash`, `sh` and `exec`, on Windows `powershell`, `cmd` and `exec`. May stand inside `execution_policy` instead."),
    key("deny_patterns", ValueShape::Patterns, KeyDefault::Json("[]"), "[\"Remove-Item.*-Recurse\"]",
        "Regular expressions that deny a command, found anywhere in it without regard to case. May stand inside `execution_policy` instead."),
    key("execution_policy.default_action", ValueShape::Choice(&["allow", "deny"]), KeyDefault::Json("\"allow\""), "\"deny\"",
        "Whether commands may run at all: `allow` = unless a rule refuses them, `deny` = none."),
    key("execution_policy.stop_on_deny", ValueShape::Bool, KeyDefault::Json("true"), "false",
        "Whether one denied command stops the run. `false` = the allowed ones run, and the model is told what was denied."),
    key("execution_policy.deny_if_contains", ValueShape::Texts { least: 0 }, KeyDefault::Json("[]"), "[\"Remove-Item\", \"rmdir\"]",
        "Texts that deny a command that contains one, without regard to case."),
    key("execution_policy.allow_types", ValueShape::Kinds, KeyDefault::Absent, "[\"bash\"]",
        "The same as `allow_types`, for those who keep the policy in one place."),
    key("execution_policy.deny_patterns", ValueShape::Patterns, KeyDefault::Absent, "[\"curl .*\\\\| *sh\"]",
        "The same as `deny_patterns`, for those who keep the policy in one place."),
    ours("execution_policy.preset", ValueShape::Choice(&["careful", "strict", "original"]), KeyDefault::Json("\"careful\""), "\"strict\"",
        "The shipped rules to start from; `original` = only the lists of texts and patterns."),
    ours("execution_policy.rules", ValueShape::Rules, KeyDefault::Json("[]"), "[{\"name\": \"no-docker\", \"decision\": \"deny\", \"program\": [\"docker\"], \"match\": [\"docker ps\"]}]",
        "Your own rules about programs, paths and effects; they win over the preset's. See `docs/policy.md`."),
    ours("execution_policy.on_opaque", ValueShape::Choice(&["allow", "ask", "deny"]), KeyDefault::Json("\"allow\""), "\"deny\"",
        "What happens, behind a proved sandbox, to a command that cannot be understood from its text. Without such a sandbox it is never simply allowed."),
    ours("environment.allow", ValueShape::Names, KeyDefault::Json("[]"), "[\"JAVA_HOME\"]",
        "Variables that commands receive besides the minimal set. API keys cannot be named."),
    ours("output.head_bytes", BYTES, KeyDefault::Json("8192"), "4096",
        "How much of the beginning of a command's output the step log keeps, in bytes."),
    ours("output.tail_bytes", BYTES, KeyDefault::Json("8192"), "4096",
        "How much of the end of a command's output the step log keeps, in bytes."),
    ours("output.disk_cap_bytes", BYTES, KeyDefault::Json("67108864"), "1048576",
        "How much of one output stream is kept in `<logs_dir>/steps/step_NNN/`, in bytes."),
    ours("telemetry.otlp", ValueShape::Text, KeyDefault::Absent, "\"http://127.0.0.1:4318\"",
        "The OpenTelemetry collector that gets spans and metrics, as the base address of OTLP over HTTP; `env` = what `OTEL_EXPORTER_OTLP_ENDPOINT` names. Nothing is sent without it. See `docs/telemetry.md`."),
    ours("sandbox.level", ValueShape::Choice(&["auto", "off", "workspace", "read_only"]), KeyDefault::Json("\"auto\""), "\"workspace\"",
        "How commands are confined. `auto` = `workspace` where this machine can prove it, else `off`, and that is said; `workspace` and `read_only` refuse to run unproved."),
    ours("sandbox.allow_degraded", ValueShape::Bool, KeyDefault::Json("false"), "true",
        "Whether a level may run although some of its capabilities cannot be proved here. Said in every step log."),
    ours("sandbox.backend", ValueShape::Choice(&["auto", "namespaces", "bubblewrap", "landlock"]), KeyDefault::Json("\"auto\""), "\"bubblewrap\"",
        "What builds the wall. `auto` = the first of the three that this machine proves, in this order."),
    ours("sandbox.network", ValueShape::Choice(&["none", "allow_hosts", "all"]), KeyDefault::Json("\"none\""), "\"allow_hosts\"",
        "What confined commands may reach: nothing, the hosts of `sandbox.allow_hosts`, or everything."),
    ours("sandbox.allow_hosts", ValueShape::Texts { least: 0 }, KeyDefault::Json("[]"), "[\"static.crates.io:443\"]",
        "The hosts confined commands may reach when `sandbox.network` is `allow_hosts`, as `host` or `host:port`."),
    ours("sandbox.show", ValueShape::Texts { least: 0 }, KeyDefault::Json("[]"), "[\"~/data\"]",
        "Files and folders that confined commands may read although they lie in a home directory or another covered folder, as `~/NAME` or `/NAME`. One that does not exist is left out."),
    ours("sandbox.limits.memory_mb", COUNT, KeyDefault::Absent, "2048", "Memory of one command, in MiB."),
    ours("sandbox.limits.processes", COUNT, KeyDefault::Absent, "256", "Processes of one command at a time."),
    ours("sandbox.limits.cpu_sec", COUNT, KeyDefault::Absent, "600", "CPU time of one process, in seconds."),
    ours("sandbox.limits.file_mb", COUNT, KeyDefault::Absent, "512", "The largest file a command may write, in MiB."),
    ours("sandbox.limits.root_mb", COUNT, KeyDefault::Json("20480"), "4096",
        "How far the free space of the disk of the root may sink while a command runs, in MiB; 256 MiB stay free in any case."),
    ours("sandbox.limits.disk_mb", COUNT, KeyDefault::Absent, "2048", "What a command may write to its private places, in MiB."),
];

#[rustfmt::skip]
const JOB: &[ConfigKey] = &[
    key("s5_settings.enabled", ValueShape::Bool, KeyDefault::Json("false"), "true",
        "Marks runs as experimental. It does not switch the job loop."),
    key("s5_settings.description", ValueShape::Text, KeyDefault::Absent, "\"S-5 experimental features\"",
        "A note for the reader."),
    key("s5_settings.experimental_warning", ValueShape::Bool, KeyDefault::Json("true"), "false",
        "Whether test mode prints its warning about experimental runs."),
    key("s5_settings.job_loop.enabled", ValueShape::Bool, KeyDefault::Json("false"), "true",
        "Whether there are several jobs, one a run. Off = one job without a number."),
    key("s5_settings.job_loop.max_jobs", COUNT, KeyDefault::Json("1"), "3",
        "How many jobs the loop has."),
    key("s5_settings.job_loop.job_name", ValueShape::Word, KeyDefault::Json("\"default\""), "\"sample\"",
        "The job's name; a `job_name` in the job input wins over it."),
    key("s5_settings.job_loop.job_input.path", ValueShape::InsideOrEmpty, KeyDefault::Json("\"\""), "\"workspace/artifacts/job_input.json\"",
        "A JSON object handed to the draft prompt as `{job_payload_json}`. Empty = none."),
    key("s5_settings.job_loop.job_input.required", ValueShape::Bool, KeyDefault::Json("false"), "true",
        "Whether a missing job input stops the run before it begins. A broken one always does."),
    key("s5_settings.job_loop.job_result.path", ValueShape::Inside, KeyDefault::Json("\"workspace/artifacts/job_result.json\""), "\"workspace/artifacts/job_result.json\"",
        "Where the result of the whole loop is written when its last job is done."),
    ours("done_condition.all", ValueShape::Checks, KeyDefault::Absent, "[{\"file\": \"workspace/results/report.txt\", \"contains\": [\"total:\"]}]",
        "When a job is done: all of these hold. Absent = `<workspace_dir>/results/result_v2.txt` contains `合計:`, `平均:` and `件数:`."),
    ours("done_condition.fresh", ValueShape::Bool, KeyDefault::Json("true"), "false",
        "Whether the files of `done_condition.all` are moved to `<workspace_dir>/results/archive/job_NNN/` when a job starts, so that each job does its own work."),
    ours("budget.max_tokens", MANY, KeyDefault::Absent, "200000",
        "Ceiling of input and output tokens of one job. A reached ceiling pauses the job (exit 5)."),
    ours("budget.max_cost", AMOUNT, KeyDefault::Absent, "2.5",
        "Ceiling of the cost of one job, in the currency of the prices. Every live role then needs a price."),
    ours("budget.max_minutes", AMOUNT, KeyDefault::Absent, "30",
        "Ceiling of the minutes one job spends in model calls and commands."),
    ours("budget.max_steps", COUNT, KeyDefault::Absent, "20",
        "Ceiling of the steps of one job, over all runs that work on it."),
];

/// The keys below `models.draft`, `models.review` and `models.final`.
#[rustfmt::skip]
const ROLE: &[ConfigKey] = &[
    ours("provider", ValueShape::Choice(Provider::CHOICES), KeyDefault::Json("\"auto\""), "\"openai\"",
        "Who answers. `auto` = `openai` for draft and final, `anthropic` for the review, and the recorded sample while a key is missing; `command` = a program that reads the prompt on standard input; `replay` = recorded replies."),
    ours("model", ValueShape::Word, KeyDefault::Absent, "\"gpt-4o-mini\"",
        "The model's name. Absent = `openai_model` or `anthropic_model`, by provider."),
    ours("base_url", ValueShape::Url, KeyDefault::Absent, "\"http://127.0.0.1:11434/v1\"",
        "The server to ask. Absent = `OPENAI_BASE_URL` (with `/v1`) or `ANTHROPIC_BASE_URL` (without), else the provider's own."),
    ours("api", ValueShape::Choice(&["chat", "responses"]), KeyDefault::Json("\"chat\""), "\"responses\"",
        "Which OpenAI interface to use: Chat Completions, which compatible servers offer too, or Responses."),
    ours("temperature", ValueShape::Number { above_zero: false, most: 2.0 }, KeyDefault::Absent, "0.2",
        "The sampling temperature. Absent = not sent; newer models refuse it."),
    ours("max_tokens", COUNT, KeyDefault::Absent, "4000",
        "The most tokens one reply may have, reasoning included. Absent = 2000."),
    ours("timeout_sec", DEADLINE, KeyDefault::Absent, "60",
        "The deadline of one model call, in seconds. Absent = `timeout_sec`."),
    ours("price.input_per_mtok", PRICE, KeyDefault::Absent, "0.15",
        "The price of a million input tokens, in a currency of your choice."),
    ours("price.output_per_mtok", PRICE, KeyDefault::Absent, "0.6",
        "The price of a million output tokens."),
    ours("price.cached_input_per_mtok", PRICE, KeyDefault::Absent, "0.075",
        "The price of a million input tokens read from the provider's cache. Absent = the price of input."),
    ours("price.cache_write_per_mtok", PRICE, KeyDefault::Absent, "0.19",
        "The price of a million input tokens written to the provider's cache. Absent = the price of input."),
    ours("argv", ValueShape::Texts { least: 1 }, KeyDefault::Absent, "[\"claude\", \"-p\"]",
        "The program of the provider `command` and its arguments; started without a shell."),
    ours("version", ValueShape::Word, KeyDefault::Json("\"2023-06-01\""), "\"2023-06-01\"",
        "The version of the Anthropic interface, sent as `anthropic-version`."),
    ours("replay_file", ValueShape::Inside, KeyDefault::Absent, "\"examples/sales/replies.jsonl\"",
        "The recorded replies of the provider `replay`."),
    ours("schema", ValueShape::Bool, KeyDefault::Json("true"), "false",
        "Whether the provider is asked to hold the reply to a JSON Schema. Switch it off for servers that do not know how."),
];

/// The names of the roles below `models`.
pub(crate) const ROLES: [&str; 3] = ["draft", "review", "final"];

static ALL: LazyLock<Vec<ConfigKey>> = LazyLock::new(|| {
    let roles = ROLES.iter().flat_map(|role| {
        ROLE.iter().map(move |key| ConfigKey {
            path: Cow::Owned(format!("models.{role}.{}", key.path)),
            ..key.clone()
        })
    });
    let mut all: Vec<ConfigKey> = GENERAL
        .iter()
        .chain(POLICY)
        .chain(JOB)
        .cloned()
        .chain(roles)
        .collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
});

/// Returns every key, sorted by path.
pub fn all() -> &'static [ConfigKey] {
    &ALL
}

/// Returns the keys in the order the documentation tells them: by theme, `models` once with `<role>`.
pub fn keys_by_theme() -> Vec<(&'static str, Vec<ConfigKey>)> {
    let roles = ROLE.iter().map(|key| ConfigKey {
        path: Cow::Owned(format!("models.<role>.{}", key.path)),
        ..key.clone()
    });
    vec![
        ("General", GENERAL.to_vec()),
        ("Policy, environment, sandbox", POLICY.to_vec()),
        ("Jobs, done condition, budget", JOB.to_vec()),
        ("Models", roles.collect()),
    ]
}

/// Returns the key with this path.
pub fn find(path: &str) -> Option<&'static ConfigKey> {
    let at = ALL
        .binary_search_by(|key| key.path.as_ref().cmp(path))
        .ok()?;
    ALL.get(at)
}

/// Returns whether some key lies below this path.
pub fn is_section(path: &str) -> bool {
    ALL.iter().any(|key| is_below(&key.path, path))
}

/// Returns whether `path` lies below `section`.
pub fn is_below(path: &str, section: &str) -> bool {
    path.strip_prefix(section)
        .is_some_and(|rest| rest.starts_with('.'))
}

/// Returns the names allowed directly below a section (`""` = the top), sorted.
pub fn children(section: &str) -> Vec<&'static str> {
    let mut names: Vec<&str> = ALL
        .iter()
        .filter_map(|key| match section {
            "" => Some(key.path.as_ref()),
            _ => key.path.strip_prefix(section)?.strip_prefix('.'),
        })
        .map(|rest| rest.split('.').next().unwrap_or(rest))
        .collect();
    names.dedup();
    names
}

/// Returns the known path, of a key or of a group of keys, nearest to one that is not known, if any is near.
pub fn nearest(path: &str) -> Option<&'static str> {
    let wanted = path.to_lowercase();
    let (score, best) = ALL
        .iter()
        .flat_map(|key| with_sections(&key.path))
        .map(|known| (nearness(&wanted, known), known))
        .reduce(|best, next| if next.0 > best.0 { next } else { best })?;
    (score >= 0.6).then_some(best)
}

/// Returns the path and the sections it lies in, the outermost first.
fn with_sections(path: &str) -> impl Iterator<Item = &str> {
    let dots = path.match_indices('.').map(|(at, _)| at);
    dots.chain([path.len()]).filter_map(|end| path.get(..end))
}

/// Compares last segments and whole paths, so that both a slip of the pen and a wrong place are seen.
fn nearness(wanted: &str, known: &str) -> f64 {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let whole = strsim::normalized_damerau_levenshtein(wanted, known);
    let leaf = strsim::normalized_damerau_levenshtein(&last(wanted), &last(known));
    (0.4 * whole + 0.6 * leaf).max(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_and_every_example_is_accepted_by_its_own_shape() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        for key in all() {
            let example: Value = serde_json::from_str(key.example).unwrap();
            assert_eq!(
                key.shape.check(&example, &root, key.example),
                Vec::new(),
                "{}",
                key.path
            );
            if key.default != KeyDefault::Absent {
                let value = key.default.value();
                let wrong = key.shape.check(&value, &root, key.example);
                assert_eq!(wrong, Vec::new(), "{}", key.path);
            }
        }
    }

    #[test]
    fn every_key_is_read() {
        // Notes for whoever reads the file; nothing comes of them.
        const NOTES: [&str; 2] = ["config_version", "s5_settings.description"];
        let reader = include_str!("settings_reader.rs");
        for key in all() {
            let name = key.path.rsplit('.').next().unwrap_or_default();
            // The reader puts the names of prompts together.
            let is_read = reader.contains(&format!("{name}\"")) || name.contains("_prompt_");
            let is_note = NOTES.contains(&key.path.as_ref());
            assert!(is_read || is_note, "settings_reader.rs reads no {name}");
        }
    }

    #[test]
    fn no_key_stands_twice_or_is_a_section_too() {
        let paths: Vec<&str> = all().iter().map(|key| key.path.as_ref()).collect();
        let mut unique = paths.clone();
        unique.dedup();
        assert_eq!(paths, unique);
        assert!(paths.iter().all(|path| !is_section(path)));
    }

    #[test]
    fn a_slip_of_the_pen_finds_the_key_meant() {
        assert_eq!(nearest("max_step"), Some("max_steps"));
        assert_eq!(nearest("Max_Steps"), Some("max_steps"));
        assert_eq!(
            nearest("execution_policy.stop_on_denny"),
            Some("execution_policy.stop_on_deny")
        );
        assert_eq!(
            nearest("stop_on_deny"),
            Some("execution_policy.stop_on_deny")
        );
        assert_eq!(nearest("s5_setings"), Some("s5_settings"));
        assert_eq!(nearest("zebra"), None);
    }
}
