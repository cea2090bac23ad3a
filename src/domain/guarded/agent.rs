//! How an agent's program is called, and what can be read from what it prints.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The trivial question that every working agent has an answer to.
pub const HELLO: &str = "Reply with the single word: ready. Change nothing and use no tool.";

/// A coding agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Which program's manners it has.
    pub kind: AgentKind,
    /// For `command`: the words, with `{prompt}` where the prompt goes. For the others: further words.
    #[serde(default)]
    pub args: Vec<String>,
    /// The model, where the program lets one choose.
    #[serde(default)]
    pub model: Option<String>,
    /// What one call may cost, where the program can keep to it, in dollars.
    #[serde(default)]
    pub max_budget_usd: Option<u32>,
    /// Files below the home directory that the agent needs to log in; copied into its own home.
    #[serde(default)]
    pub credentials: Vec<String>,
    /// Hosts the agent has to reach; without one, the usual ones of its kind.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Variables of tos that hold the agent's own key; no other secret reaches it.
    #[serde(default)]
    pub environment: Vec<String>,
    /// Words that start something cheaper than the agent to see whether it would work; without them it is asked itself.
    #[serde(default)]
    pub check: Vec<String>,
}

/// Which program's manners an agent has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentKind {
    /// Any program that takes its prompt as a word.
    Command,
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
    /// A job of tos: the models of the repository's own configuration, asked step by step.
    Job,
}

impl AgentKind {
    /// Every kind with its word.
    pub const ALL: [(&'static str, Self); 4] = [
        ("claude", Self::Claude),
        ("codex", Self::Codex),
        ("command", Self::Command),
        ("job", Self::Job),
    ];
}

/// Where tos finds itself behind a wall made of mounts, if there is one.
pub const INNER_PROGRAM: &str = "/run/tos/jail";

/// Hands the prompt to a job as its input, and becomes tos. Behind a wall of mounts the job's commands need no second
/// one, which inside the first could only be a lesser one.
fn job_script() -> String {
    format!(
        "input=$1; shift; tos=tos; if [ -x {INNER_PROGRAM} ]; then tos={INNER_PROGRAM}; set -- \"$@\" --set sandbox.level=off; \
         fi; mkdir -p workspace/artifacts && printf %s \"$input\" >workspace/artifacts/job_input.json && exec \"$tos\" \"$@\""
    )
}

/// How tos is told to run one job with that input, whatever else the configuration says.
const JOB_WORDS: [&str; 8] = [
    "--set",
    "s5_settings.job_loop.enabled=true",
    "--set",
    "s5_settings.job_loop.max_jobs=1",
    "--set",
    "s5_settings.job_loop.job_input.path=workspace/artifacts/job_input.json",
    "--set",
    "s5_settings.job_loop.job_input.required=true",
];

impl Agent {
    /// Makes an agent of a kind, with nothing else said.
    pub const fn simple(kind: AgentKind) -> Self {
        Self {
            kind,
            args: Vec::new(),
            model: None,
            max_budget_usd: None,
            credentials: Vec::new(),
            hosts: Vec::new(),
            environment: Vec::new(),
            check: Vec::new(),
        }
    }

    /// Returns whether it is one that tos knows, called as tos calls it, with no more than its own login.
    pub fn is_plain(&self) -> bool {
        let usual: &[&str] = match self.kind {
            // A job's configuration comes from the repository and may name any program as a model.
            AgentKind::Command | AgentKind::Job => return false,
            AgentKind::Claude => &[
                ".claude/.credentials.json",
                ".claude.json",
                "ANTHROPIC_API_KEY",
                "CLAUDE_CODE_OAUTH_TOKEN",
            ],
            AgentKind::Codex => &[".codex/auth.json", "OPENAI_API_KEY", "CODEX_API_KEY"],
        };
        let own = |name: &String| usual.contains(&name.as_str());
        self.args.is_empty()
            && self.hosts.is_empty()
            && self.check.is_empty()
            && self.credentials.iter().chain(&self.environment).all(own)
    }

    /// Returns what is wrong with it.
    pub fn fault(&self) -> Option<String> {
        let placed = self.args.iter().any(|word| word.contains("{prompt}"));
        if self.kind == AgentKind::Command && (self.args.is_empty() || !placed) {
            return Some(
                "an agent of kind `command` needs `args` with `{prompt}` in them".to_owned(),
            );
        }
        let out = self
            .credentials
            .iter()
            .find(|path| path.starts_with('/') || path.split('/').any(|part| part == ".."));
        out.map(|path| {
            format!("`credentials` names `{path}`, which must lie below the home directory")
        })
    }

    /// Returns the program's name.
    pub fn program(&self) -> &str {
        match self.kind {
            AgentKind::Command => self.args.first().map_or("", String::as_str),
            AgentKind::Claude => "claude",
            AgentKind::Codex => "codex",
            AgentKind::Job => "tos",
        }
    }

    /// Returns the hosts it has to reach.
    pub fn hosts(&self) -> Vec<String> {
        if !self.hosts.is_empty() {
            return self.hosts.clone();
        }
        let usual: &[&str] = match self.kind {
            AgentKind::Command => &[],
            AgentKind::Claude => &[
                "api.anthropic.com",
                "console.anthropic.com",
                "platform.claude.com",
            ],
            AgentKind::Codex => &["api.openai.com", "chatgpt.com", "auth.openai.com"],
            AgentKind::Job => &["api.anthropic.com", "api.openai.com"],
        };
        usual.iter().map(|host| (*host).to_owned()).collect()
    }

    /// Returns the words that ask it a trivial question, with a cheap model where its kind has one.
    pub fn hello(&self) -> Vec<String> {
        if !self.check.is_empty() {
            return self.check.clone();
        }
        if self.kind == AgentKind::Job {
            // A job costs several questions; that its models answer is said by `tos doctor --online`.
            let script = "tos=tos; if [ -x \"$1\" ]; then tos=$1; fi; exec \"$tos\" --version";
            return ["sh", "-c", script, "sh", INNER_PROGRAM]
                .map(str::to_owned)
                .into();
        }
        let cheap = self.kind == AgentKind::Claude && self.model.is_none();
        let model = if cheap {
            Some("haiku".to_owned())
        } else {
            self.model.clone()
        };
        let agent = Self {
            model,
            ..self.clone()
        };
        agent.argv(HELLO)
    }

    /// Returns what one call costs at most, in millionths of a dollar, where the program itself keeps to it.
    pub fn ceiling_micro_usd(&self) -> Option<u64> {
        let keeps = self.kind == AgentKind::Claude;
        let most = self.max_budget_usd.filter(|_| keeps)?;
        Some(u64::from(most) * 1_000_000)
    }

    /// Returns the same agent, allowed to spend at most so many dollars in one call.
    #[must_use]
    pub fn with_budget(&self, dollars: Option<u32>) -> Self {
        let least = match (self.max_budget_usd, dollars) {
            (Some(own), Some(left)) => Some(own.min(left)),
            (own, left) => own.or(left),
        };
        Self {
            max_budget_usd: least,
            ..self.clone()
        }
    }

    /// Returns the words that start it with a prompt.
    pub fn argv(&self, prompt: &str) -> Vec<String> {
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        match self.kind {
            AgentKind::Command => self
                .args
                .iter()
                .map(|word| word.replace("{prompt}", prompt))
                .collect(),
            AgentKind::Claude => {
                let mut argv = words(&[
                    "claude",
                    "-p",
                    "--output-format",
                    "stream-json",
                    "--verbose",
                ]);
                argv.extend(words(&[
                    "--permission-mode",
                    "acceptEdits",
                    "--no-session-persistence",
                ]));
                argv.extend(words(&["--disallowedTools", "WebFetch,WebSearch"]));
                if let Some(budget) = self.max_budget_usd {
                    argv.extend(["--max-budget-usd".to_owned(), budget.to_string()]);
                }
                argv.extend(
                    self.model
                        .iter()
                        .flat_map(|model| ["--model".to_owned(), model.clone()]),
                );
                argv.extend(self.args.iter().cloned());
                // A prompt may begin with a dash; behind this word it stays a prompt.
                argv.extend(["--".to_owned(), prompt.to_owned()]);
                argv
            }
            AgentKind::Codex => {
                let mut argv = words(&["codex", "exec", "--json", "-s", "workspace-write"]);
                argv.extend(words(&[
                    "--ephemeral",
                    "--ignore-user-config",
                    "--skip-git-repo-check",
                ]));
                argv.extend(
                    self.model
                        .iter()
                        .flat_map(|model| ["-m".to_owned(), model.clone()]),
                );
                argv.extend(self.args.iter().cloned());
                argv.extend(["--".to_owned(), prompt.to_owned()]);
                argv
            }
            AgentKind::Job => self.job(prompt),
        }
    }

    fn job(&self, prompt: &str) -> Vec<String> {
        let input = serde_json::json!({ "job_name": "task", "task": prompt });
        let mut argv = vec!["sh".to_owned(), "-c".to_owned(), job_script()];
        argv.extend(["sh".to_owned(), input.to_string()]);
        argv.extend(["--root", ".", "--mode", "run"].map(str::to_owned));
        argv.extend(JOB_WORDS.map(str::to_owned));
        argv.extend(self.args.iter().cloned());
        argv
    }
}

/// What an agent said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Its answer, without the envelope of its kind.
    pub reply: String,
    /// What it cost, in millionths of a dollar, where it tells.
    pub micro_usd: Option<u64>,
    /// It says itself that it failed.
    pub is_error: bool,
}

/// Reads what an agent printed. The programs we know print one JSON object a line; anything else is the answer itself.
pub fn said(kind: AgentKind, stdout: &str) -> Said {
    let lines = || {
        stdout
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line.trim()).ok())
            .filter(Value::is_object)
    };
    let mut costs = lines().filter_map(|line| line.get("total_cost_usd").and_then(Value::as_f64));
    let micro_usd = costs.next_back().map(micro);
    let text = |value: &Value, name: &str| {
        let text = value.get(name).and_then(Value::as_str);
        text.map(|text| text.trim().to_owned())
    };
    match kind {
        AgentKind::Command | AgentKind::Job => Said {
            reply: stdout.trim().to_owned(),
            micro_usd,
            is_error: false,
        },
        AgentKind::Claude => {
            let result = lines().rfind(|line| is_type(line, "result"));
            let result = result.unwrap_or_default();
            Said {
                reply: text(&result, "result").unwrap_or_default(),
                micro_usd,
                is_error: result.get("is_error").is_some_and(|flag| flag == true),
            }
        }
        AgentKind::Codex => {
            let items = lines().filter_map(|line| line.get("item").cloned());
            let messages = items.filter(|item| is_type(item, "agent_message"));
            Said {
                reply: messages
                    .filter_map(|item| text(&item, "text"))
                    .next_back()
                    .unwrap_or_default(),
                micro_usd,
                is_error: lines().any(|line| is_type(&line, "turn.failed")),
            }
        }
    }
}

fn is_type(value: &Value, name: &str) -> bool {
    value.get("type").is_some_and(|kind| kind == name)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is kept inside what fits"
)]
fn micro(dollars: f64) -> u64 {
    (dollars * 1_000_000.0).round().clamp(0.0, 1e15) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_of_each_kind_is_opened() {
        let claude = "{\"type\":\"system\"}\n{\"type\":\"result\",\"is_error\":false,\"result\":\" ready\",\"total_cost_usd\":0.0125}\n";
        let codex = "{\"type\":\"thread.started\"}\n{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"ready\"}}\n{\"type\":\"turn.completed\"}\n";
        let ready = |micro_usd| Said {
            reply: "ready".into(),
            micro_usd,
            is_error: false,
        };
        assert_eq!(said(AgentKind::Claude, claude), ready(Some(12_500)));
        assert_eq!(said(AgentKind::Codex, codex), ready(None));
        assert_eq!(said(AgentKind::Command, "ready\n"), ready(None));
        assert_eq!(
            said(AgentKind::Claude, "{\"type\":\"system\"}"),
            Said::default()
        );
    }

    #[test]
    fn an_error_in_an_envelope_is_one() {
        let line = "{\"type\":\"result\",\"is_error\":true,\"result\":\"no\"}";
        assert!(said(AgentKind::Claude, line).is_error);
        assert!(said(AgentKind::Codex, "{\"type\":\"turn.failed\"}").is_error);
    }

    #[test]
    fn the_smaller_budget_counts() {
        let agent: Agent = toml::from_str("kind = \"claude\"\nmax_budget_usd = 5").unwrap();
        assert_eq!(agent.with_budget(Some(2)).max_budget_usd, Some(2));
        assert_eq!(agent.with_budget(None).max_budget_usd, Some(5));
        assert_eq!(agent.ceiling_micro_usd(), Some(5_000_000));
        let own = Agent {
            kind: AgentKind::Command,
            ..agent.clone()
        };
        assert_eq!(own.ceiling_micro_usd(), None, "nobody keeps to it");
        let argv = agent.hello().join(" ");
        assert!(argv.contains("--model haiku"), "{argv}");
    }
}
