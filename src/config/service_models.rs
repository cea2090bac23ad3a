//! Reads `[planner]` and `[judge]` of `config/service.toml`: who plans, who reviews, within which limits.

use std::path::PathBuf;

use serde::Deserialize;

use crate::domain::{model::ModelPrice, provider::Provider};

/// A model that the service asks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceModel {
    /// Who answers: the word of a [`Provider`].
    pub provider: String,
    /// The model's name.
    #[serde(default)]
    pub model: String,
    /// The server; the provider's own if absent.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Which interface of `openai`: `chat` or `responses`.
    #[serde(default)]
    pub api: Option<String>,
    /// The variable that holds the key; the provider's usual one if absent.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// The sampling temperature.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// The most tokens of one answer.
    #[serde(default)]
    pub max_tokens: Option<u32>,
    /// The program of `command`, with its arguments.
    #[serde(default)]
    pub argv: Vec<String>,
    /// The recording of `replay`, from the root.
    #[serde(default)]
    pub replay_file: Option<PathBuf>,
    /// A file that answers are recorded in, from the root.
    #[serde(default)]
    pub record_file: Option<PathBuf>,
    /// What a million tokens cost, in dollars.
    #[serde(default)]
    pub price: Option<ModelPrice>,
    /// How long one call may take.
    #[serde(default)]
    pub seconds: Option<u64>,
    /// How often it is asked until an answer counts.
    #[serde(default)]
    pub asks: Option<u32>,
}

/// `[planner]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlannerConfig {
    /// A model that plans.
    pub model: Option<ServiceModel>,
    /// An agent that plans: `default`, or a name under `[agents]`.
    pub agent: Option<String>,
    /// Patterns that every area of a planned task has to lie in; empty = anywhere.
    pub areas: Vec<String>,
    /// The most tasks of a plan.
    pub max_tasks: Option<usize>,
    /// How long one call of the agent may take.
    pub seconds: Option<u64>,
    /// How often the agent is asked until an answer counts.
    pub asks: Option<u32>,
}

/// `[judge]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JudgeConfig {
    /// The validators look at the merge result.
    pub validators: bool,
    /// A model that reviews each change after its tests passed.
    pub review: Option<ServiceModel>,
}

impl Default for JudgeConfig {
    fn default() -> Self {
        Self {
            validators: true,
            review: None,
        }
    }
}

impl ServiceModel {
    /// How long one call may take where nothing is said, in seconds.
    pub const DEFAULT_TIMEOUT_SECONDS: u64 = 300;
    /// How often a model is asked where nothing is said.
    pub const DEFAULT_ATTEMPTS: u32 = 3;

    /// Says what is wrong with it; `place` names it.
    fn fault(&self, place: &str) -> Option<String> {
        let Some(provider) = Provider::from_word(&self.provider) else {
            let known: Vec<&str> = Provider::ALL.iter().map(|one| one.as_str()).collect();
            return Some(format!(
                "{place}: `provider` is \"{}\"; it is one of {}",
                self.provider,
                known.join(", ")
            ));
        };
        if provider.key_variable().is_some() && self.model.is_empty() {
            return Some(format!("{place}: `model` is missing"));
        }
        if provider == Provider::Command && self.argv.is_empty() {
            return Some(format!("{place}: `argv` is missing, the program to ask"));
        }
        if provider == Provider::Replay && self.replay_file.is_none() {
            return Some(format!("{place}: `replay_file` is missing"));
        }
        if let Some(api) = self.api.as_deref()
            && !matches!(api, "chat" | "responses")
        {
            return Some(format!(
                "{place}: `api` is \"{api}\"; it is chat or responses"
            ));
        }
        let of_range = |what: &str, value: Option<u64>, most: u64| {
            value
                .filter(|value| *value == 0 || *value > most)
                .map(|value| format!("{place}: `{what}` is {value}; it goes from 1 to {most}"))
        };
        of_range("seconds", self.seconds, 3600)
            .or_else(|| of_range("asks", self.asks.map(u64::from), 10))
            .or_else(|| of_range("max_tokens", self.max_tokens.map(u64::from), 1_000_000))
    }
}

/// Says what is wrong with both tables. `agents` are the known names.
pub(super) fn fault(
    planner: &PlannerConfig,
    judge: &JudgeConfig,
    agents: &[&str],
) -> Option<String> {
    if let Some(model) = &planner.model {
        if planner.agent.is_some() {
            return Some("[planner]: `model` and `agent` exclude each other".to_owned());
        }
        if let Some(fault) = model.fault("[planner.model]") {
            return Some(fault);
        }
    }
    if let Some(name) = planner.agent.as_deref()
        && name != "default"
        && !agents.contains(&name)
    {
        return Some(format!(
            "[planner]: no agent is called \"{name}\"; write `default`, or name it under [agents.{name}]"
        ));
    }
    if planner
        .max_tasks
        .is_some_and(|most| most == 0 || most > 200)
    {
        return Some("[planner]: `max_tasks` goes from 1 to 200".to_owned());
    }
    if planner.seconds.is_some_and(|most| most == 0 || most > 7200) {
        return Some("[planner]: `seconds` goes from 1 to 7200".to_owned());
    }
    if planner.asks.is_some_and(|most| most == 0 || most > 10) {
        return Some("[planner]: `asks` goes from 1 to 10".to_owned());
    }
    let odd = |path: &&String| path.starts_with('/') || path.split('/').any(|name| name == "..");
    if let Some(path) = planner.areas.iter().find(odd) {
        return Some(format!(
            "[planner]: the area \"{path}\" is not below the root; write it from the root on"
        ));
    }
    let review = judge.review.as_ref();
    review.and_then(|model| model.fault("[judge.review]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[derive(Default)]
        struct Both {
            planner: PlannerConfig,
            judge: JudgeConfig,
        }
        match toml::from_str::<Both>(text) {
            Ok(both) => fault(&both.planner, &both.judge, &["codex"]),
            Err(error) => Some(error.to_string()),
        }
    }

    #[test]
    fn whatever_is_wrong_is_named_with_its_table() {
        assert_eq!(read(""), None);
        assert_eq!(
            read("[planner]\nagent = 'codex'\nareas = ['src/**']\n"),
            None
        );
        let good = "[planner.model]\nprovider = 'openai'\nmodel = 'm'\nprice = { input_per_mtok = 1.0, output_per_mtok = 2.0 }\n\
                    [judge]\nvalidators = false\nreview = { provider = 'replay', replay_file = 'r.jsonl' }\n";
        assert_eq!(read(good), None);
        for (text, words) in [
            (
                "[planner]\nagent = 'nobody'\n",
                "no agent is called \"nobody\"",
            ),
            ("[planner.model]\nprovider = 'x'\n", "`provider` is \"x\""),
            (
                "[planner.model]\nprovider = 'openai'\n",
                "`model` is missing",
            ),
            (
                "[planner]\nagent = 'codex'\nmodel = { provider = 'replay', replay_file = 'r' }\n",
                "exclude each other",
            ),
            (
                "[judge]\nreview = { provider = 'command' }\n",
                "[judge.review]: `argv`",
            ),
            (
                "[judge]\nreview = { provider = 'replay' }\n",
                "`replay_file` is missing",
            ),
            (
                "[judge]\nreview = { provider = 'openai', model = 'm', asks = 0 }\n",
                "`asks` is 0",
            ),
            ("[planner]\nmax_tasks = 0\n", "`max_tasks`"),
            ("[planner]\nareas = ['../x']\n", "not below the root"),
            ("[planner]\nnope = 1\n", "nope"),
        ] {
            let said = read(text).unwrap_or_default();
            assert!(said.contains(words), "{text}: {said}");
        }
    }
}
