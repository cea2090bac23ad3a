//! Everything a job is driven by: the settings of the job machine, as plain values.
//!
//! `config` fills these in from files, environment and flags; nothing here reads anything. Keys of the
//! configuration file are named in the comments where the name differs.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::domain::{
    command::CommandKind,
    model::ModelPrice,
    policy::{Decision, PolicyPreset, PolicyRule},
};

/// One value for each role of a step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PerRole<T> {
    /// For the draft.
    pub draft: T,
    /// For the review.
    pub review: T,
    /// For the final.
    pub final_: T,
}

impl<T> PerRole<T> {
    /// Returns the value for `role`.
    pub const fn of(&self, role: crate::domain::model::ModelRole) -> &T {
        match role {
            crate::domain::model::ModelRole::Draft => &self.draft,
            crate::domain::model::ModelRole::Review => &self.review,
            crate::domain::model::ModelRole::Final => &self.final_,
        }
    }
}

/// The rules of one job loop.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRules {
    /// Steps one run over a job may take (`max_steps`, at least 1).
    pub max_steps: u32,
    /// Further questions after a reply that cannot be used (`json_retry`).
    pub json_retry: u32,
    /// The sentence put in front of the prompt, once, when asking again (`json_retry_prefix`).
    pub json_retry_prefix: String,
    /// How failed model calls are repeated.
    pub retry: RetryPolicy,
    /// Deadline of one command (`timeout_sec`).
    pub command_timeout: Duration,
    /// Silence after which a command counts as hanging (`idle_timeout_sec`; `None` = never).
    pub idle_timeout: Option<Duration>,
    /// How long a command may take to end when it is asked to, before it is killed (`grace_seconds`).
    pub grace: Duration,
    /// Whether the reviewer's `approval: false` stops a step (`require_approval`, default true).
    pub require_approval: bool,
    /// What to do about a command that started before a crash and has no end (`on_unknown`).
    pub on_unknown: AfterCrash,
    /// The prompt templates (`draft_prompt_template` and relatives).
    pub templates: PerRole<String>,
    /// Deadline of one model call (`models.<role>.timeout_sec`, else `timeout_sec`).
    pub deadlines: PerRole<Duration>,
    /// Prices (`models.<role>.price`); `None` = unknown.
    pub prices: PerRole<Option<ModelPrice>>,
    /// The ceilings of a job (`budget`).
    pub budget: JobBudget,
    /// Equal steps in a row after which a run stops (`no_progress_limit`; `None` = never).
    pub no_progress_limit: Option<u32>,
    /// The job loop; `None` when `s5_settings.job_loop.enabled` is false.
    pub job_loop: Option<JobSeriesConfig>,
    /// Whether runs are marked experimental (`s5_settings.enabled`).
    pub experimental: bool,
    /// The sprint's name (`sprint`), e.g. `S-6`; `None` when the key is absent.
    pub sprint: Option<String>,
    /// When a job is done (`done_condition`).
    pub done: DoneCondition,
    /// Which commands may run (`execution_policy`, `allow_types`, `deny_patterns`).
    pub policy: PolicyRules,
    /// Where the job's result goes, relative to the root (`s5_settings.job_loop.job_result.path`).
    pub job_result: PathBuf,
}

/// How failed model calls are repeated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Further attempts after the first (`api_retry`).
    pub attempts: u32,
    /// First wait, doubled each time (`api_backoff_sec`; 0 = no wait).
    pub base: Duration,
    /// The longest wait inside a run; a longer one parks the job (`max_wait_sec`).
    pub max_wait: Duration,
}

/// What to do about a command whose end is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterCrash {
    /// Stop and tell the person how to go on.
    #[default]
    Stop,
    /// Run it again.
    Rerun,
    /// Leave it as it is, tell the models that its end is unknown, and go on.
    Skip,
}

/// The ceilings of one job, over all runs that work on it; `None` = no ceiling.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct JobBudget {
    /// Input and output tokens together.
    pub max_tokens: Option<u64>,
    /// Cost in the currency of the prices.
    pub max_cost: Option<f64>,
    /// Minutes spent in model calls and commands.
    pub max_minutes: Option<f64>,
    /// Steps.
    pub max_steps: Option<u32>,
}

/// A series of jobs, one after the other: how many, and what they are called (`s5_settings.job_loop`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSeriesConfig {
    /// How many jobs the loop has (at least 1).
    pub max_jobs: u32,
    /// The configured name; a payload's `job_name` wins over it.
    pub name: String,
}

/// When a job is done: all checks hold.
#[derive(Debug, Clone, PartialEq)]
pub struct DoneCondition {
    /// What has to hold, all of it; never empty.
    pub all: Vec<DoneCheck>,
    /// Whether the named files are moved away when a job starts (`done_condition.fresh`).
    pub fresh: bool,
}

/// One condition about the world. Paths are relative to the root and stay inside it.
#[derive(Debug, Clone, PartialEq)]
pub enum DoneCheck {
    /// The file exists and its text contains all of these.
    Contains {
        /// The file.
        file: PathBuf,
        /// The texts, all required.
        texts: Vec<String>,
    },
    /// The file exists and its text matches this regular expression (checked at load).
    Matches {
        /// The file.
        file: PathBuf,
        /// The expression, in the syntax of the `regex` crate.
        pattern: String,
    },
    /// The file exists, or does not.
    Exists {
        /// The file.
        file: PathBuf,
        /// Whether it has to exist.
        exists: bool,
    },
    /// This program ends with this status.
    Command {
        /// Program and arguments; started without a shell, in the root.
        argv: Vec<String>,
        /// The wanted exit status.
        exit_code: i32,
    },
}

/// The policy keys of the configuration file, types checked, expressions known to compile.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyRules {
    /// True when `default_action` is `allow`.
    pub default_allow: bool,
    /// Whether one denied command stops the run.
    pub stop_on_deny: bool,
    /// Texts that deny a command, compared without regard to case.
    pub deny_if_contains: Vec<String>,
    /// Regular expressions that deny a command, compared without regard to case.
    pub deny_patterns: Vec<String>,
    /// The kinds of command that may run at all.
    pub allow_types: Vec<CommandKind>,
    /// The shipped rules to start from (`execution_policy.preset`).
    pub preset: PolicyPreset,
    /// The user's own rules (`execution_policy.rules`); they win over the preset's.
    pub rules: Vec<PolicyRule>,
    /// What happens behind a proved sandbox to a command that cannot be understood (`execution_policy.on_opaque`).
    pub on_opaque: Decision,
}

impl Default for PolicyRules {
    /// The values of an empty configuration file.
    fn default() -> Self {
        Self {
            default_allow: true,
            stop_on_deny: true,
            deny_if_contains: Vec::new(),
            deny_patterns: Vec::new(),
            allow_types: CommandKind::of_this_system(),
            preset: PolicyPreset::Careful,
            rules: Vec::new(),
            on_opaque: Decision::Allow,
        }
    }
}

impl PolicyRules {
    /// Returns the rules as one text that depends on nothing but what they say: under the names that the configuration
    /// file gives them, names in order. Digests are made of it, and a record that names a digest outlives renamed fields.
    pub fn canonical_text(&self) -> String {
        let mut text = serde_json::json!({
            "allow_types": self.allow_types,
            "default_action": if self.default_allow { "allow" } else { "deny" },
            "deny_if_contains": self.deny_if_contains,
            "deny_patterns": self.deny_patterns,
            "on_opaque": self.on_opaque,
            "preset": self.preset,
            "rules": self.rules,
            "stop_on_deny": self.stop_on_deny,
        });
        text.sort_all_objects();
        text.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_for_digests_says_what_the_file_says_and_nothing_else() {
        let rules: Vec<PolicyRule> = serde_json::from_value(serde_json::json!([
            { "program": ["terraform"], "name": "no-terraform", "decision": "deny", "reason": "by hand only" },
        ]))
        .unwrap();
        let policy = PolicyRules {
            allow_types: vec![CommandKind::Bash, CommandKind::Exec],
            deny_patterns: vec!["sudo".to_owned()],
            rules,
            on_opaque: Decision::Ask,
            ..PolicyRules::default()
        };
        // Whoever has to change this line makes every record of evidence that names a digest worthless.
        let expected = r#"{"allow_types":["bash","exec"],"default_action":"allow","deny_if_contains":[],"deny_patterns":["sudo"],"on_opaque":"ask","preset":"careful","rules":[{"decision":"deny","name":"no-terraform","program":["terraform"],"reason":"by hand only"}],"stop_on_deny":true}"#;
        assert_eq!(policy.canonical_text(), expected);
    }

    #[test]
    fn every_rule_is_in_the_text_for_digests() {
        let usual = PolicyRules::default();
        let changed = [
            PolicyRules {
                default_allow: false,
                ..usual.clone()
            },
            PolicyRules {
                stop_on_deny: false,
                ..usual.clone()
            },
            PolicyRules {
                deny_if_contains: vec!["x".into()],
                ..usual.clone()
            },
            PolicyRules {
                deny_patterns: vec!["x".into()],
                ..usual.clone()
            },
            PolicyRules {
                allow_types: Vec::new(),
                ..usual.clone()
            },
            PolicyRules {
                preset: PolicyPreset::Strict,
                ..usual.clone()
            },
            PolicyRules {
                rules: vec![PolicyRule::default()],
                ..usual.clone()
            },
            PolicyRules {
                on_opaque: Decision::Deny,
                ..usual.clone()
            },
        ];
        let texts: std::collections::BTreeSet<String> = changed
            .iter()
            .chain([&usual])
            .map(PolicyRules::canonical_text)
            .collect();
        assert_eq!(texts.len(), changed.len() + 1);
    }
}
