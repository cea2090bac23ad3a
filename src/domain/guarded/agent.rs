//! How an agent's program is called.

use serde::Deserialize;

/// A coding agent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
}

/// Which program's manners an agent has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentKind {
    /// Any program that takes its prompt as a word.
    Command,
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
}

impl Agent {
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
        };
        usual.iter().map(|host| (*host).to_owned()).collect()
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
        }
    }
}
