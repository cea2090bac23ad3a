//! Coding agents: which programs tos knows, how each is started, what it says, and why it failed.
//!
//! Everything here is pure. What the programs accept and print was measured with claude 2.1, codex 0.171,
//! opencode 1.18 and gemini 0.61. Danger: a program that changes its output is misread, so [`AgentOutputParser`] takes nothing
//! for success that the exit status does not confirm.

pub mod acp;
mod failure;
mod invocation;
pub mod login;
mod price;
pub mod quota;
mod transcript;

use serde::{Deserialize, Serialize};

pub use failure::{AgentEnd, SilenceCause, classify, most_informative_line, quota_reset_day};
pub use invocation::{
    CHECK_EDIT_FILE, CHECK_EDITED_TEXT, CHECK_FILES, CHECK_RAN_FILE, HELLO_PROMPT, Invocation,
    MAX_ARGUMENT, TOS_PATH_IN_SANDBOX,
};
pub use price::{TokenPrice, TokenRate};
pub use transcript::{AgentOutput, AgentOutputParser, Denial};

/// How long an agent may be silent at most unless something else is said, in seconds; half of a shorter task's time.
const IDLE_SECONDS: u64 = 600;
/// How long a person has for an answer unless something else is said, in seconds.
const APPROVAL_SECONDS: u64 = 120;

/// A coding agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Which program it is.
    pub kind: AgentKind,
    /// For `command`: the words, with `{prompt}` or `{prompt_file}` in them. For the others: further words.
    #[serde(default)]
    pub args: Vec<String>,
    /// The model, where the program lets one choose.
    #[serde(default)]
    pub model: Option<String>,
    /// What one call may cost, where the program can keep to it, in dollars.
    #[serde(default)]
    pub max_budget_usd: Option<u32>,
    /// Files below the home directory that the agent needs to log in; copied into its own home. Without any, the usual
    /// ones of its kind that exist.
    #[serde(default)]
    pub credentials: Vec<String>,
    /// Hosts the agent has to reach; without one, the usual ones of its kind.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Variables of tos that hold the agent's own key; no other secret reaches it. Without any and without a login file,
    /// the usual ones of its kind that are set.
    #[serde(default)]
    pub environment: Vec<String>,
    /// Words that start something cheaper than the agent to see whether it would work; without them it is asked itself.
    #[serde(default)]
    pub check: Vec<String>,
    /// How long it may be silent while none of its commands runs, in seconds; 0 = as long as it may work. Left out, the
    /// programs that tos knows may be silent for ten minutes or half of the task's time.
    #[serde(default)]
    pub idle_seconds: Option<u64>,
    /// What its tokens cost, for programs that count tokens and name no cost.
    #[serde(default)]
    pub price: Option<TokenPrice>,
    /// How long a person has for the answer to what it asks permission for, where the policy leaves that to one, in seconds;
    /// 0 = it is refused at once. For `acp`, the only kind that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_seconds: Option<u64>,
}

/// Which program an agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentKind {
    /// Any program that takes its prompt as a word or from a file.
    Command,
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
    /// `OpenCode`.
    Opencode,
    /// Gemini CLI.
    Gemini,
    /// Aider.
    Aider,
    /// Any program that speaks the Agent Client Protocol.
    Acp,
    /// A job of tos: the models of the repository's own configuration, asked step by step.
    Job,
}

impl AgentKind {
    /// Every kind with its word.
    pub const ALL: [(&'static str, Self); 8] = [
        ("claude", Self::Claude),
        ("codex", Self::Codex),
        ("opencode", Self::Opencode),
        ("gemini", Self::Gemini),
        ("aider", Self::Aider),
        ("acp", Self::Acp),
        ("command", Self::Command),
        ("job", Self::Job),
    ];

    /// The programs of other people that tos knows by name.
    pub const PROGRAMS: [Self; 5] = [
        Self::Claude,
        Self::Codex,
        Self::Opencode,
        Self::Gemini,
        Self::Aider,
    ];

    /// Returns the word used in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Opencode => "opencode",
            Self::Gemini => "gemini",
            Self::Aider => "aider",
            Self::Acp => "acp",
            Self::Job => "job",
        }
    }

    /// Files below the home directory in which the program keeps its login and what it needs to use it, the login first.
    pub const fn login_files(self) -> &'static [&'static str] {
        match self {
            Self::Command | Self::Acp | Self::Job | Self::Aider => &[],
            Self::Claude => &[".claude/.credentials.json"],
            Self::Codex => &[".codex/auth.json"],
            Self::Opencode => &[
                ".local/share/opencode/auth.json",
                ".config/opencode/opencode.json",
            ],
            Self::Gemini => &[
                ".gemini/oauth_creds.json",
                ".gemini/google_accounts.json",
                ".gemini/settings.json",
            ],
        }
    }

    /// Variables that hold a key of the program's own.
    pub const fn key_variables(self) -> &'static [&'static str] {
        match self {
            Self::Command | Self::Acp | Self::Job => &[],
            Self::Claude => &["CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY"],
            Self::Codex => &["CODEX_API_KEY", "OPENAI_API_KEY"],
            Self::Opencode => &[
                "ANTHROPIC_API_KEY",
                "OPENAI_API_KEY",
                "GEMINI_API_KEY",
                "OPENROUTER_API_KEY",
            ],
            Self::Gemini => &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
            Self::Aider => &[
                "ANTHROPIC_API_KEY",
                "OPENAI_API_KEY",
                "GEMINI_API_KEY",
                "OPENROUTER_API_KEY",
                "DEEPSEEK_API_KEY",
            ],
        }
    }

    /// Folders below the home directory into which installers of the program put it without changing `PATH`.
    pub const fn usual_folders(self) -> &'static [&'static str] {
        match self {
            Self::Claude => &[".claude/local", ".local/bin"],
            Self::Opencode => &[".opencode/bin", ".local/bin"],
            Self::Codex | Self::Gemini | Self::Aider | Self::Acp => &[".local/bin"],
            Self::Command | Self::Job => &[],
        }
    }

    /// Says how a person logs in.
    pub const fn login_remedy(self) -> &'static str {
        match self {
            Self::Claude => {
                "run `claude` and `/login`, or set CLAUDE_CODE_OAUTH_TOKEN (`claude setup-token`) or ANTHROPIC_API_KEY"
            }
            Self::Codex => "run `codex login`, or set CODEX_API_KEY",
            Self::Opencode => "run `opencode auth login`, or set the key of its provider",
            Self::Gemini => "run `gemini` and log in, or set GEMINI_API_KEY",
            Self::Aider => "set the key of its model's provider, e.g. ANTHROPIC_API_KEY",
            Self::Command | Self::Acp | Self::Job => {
                "check the key and the login that the agent's program uses"
            }
        }
    }

    /// Says how the program is installed.
    pub const fn install_remedy(self) -> &'static str {
        match self {
            Self::Claude => "npm install -g @anthropic-ai/claude-code",
            Self::Codex => "npm install -g @openai/codex",
            Self::Opencode => "npm install -g opencode-ai",
            Self::Gemini => "npm install -g @google/gemini-cli",
            Self::Aider => "pipx install aider-chat",
            Self::Command | Self::Acp | Self::Job => "install it, or put it on PATH",
        }
    }

    const fn hosts(self) -> &'static [&'static str] {
        match self {
            Self::Command | Self::Acp => &[],
            Self::Claude => &[
                "api.anthropic.com",
                "console.anthropic.com",
                "platform.claude.com",
            ],
            Self::Codex => &["api.openai.com", "chatgpt.com", "auth.openai.com"],
            Self::Opencode => &[
                "api.anthropic.com",
                "api.openai.com",
                "generativelanguage.googleapis.com",
                "openrouter.ai",
                "opencode.ai",
                "models.opencode.ai",
                "models.dev",
            ],
            Self::Gemini => &[
                "generativelanguage.googleapis.com",
                "cloudcode-pa.googleapis.com",
                "oauth2.googleapis.com",
            ],
            Self::Aider => &[
                "api.anthropic.com",
                "api.openai.com",
                "generativelanguage.googleapis.com",
                "openrouter.ai",
                "api.deepseek.com",
            ],
            Self::Job => &["api.anthropic.com", "api.openai.com"],
        }
    }

    /// Returns whether the program prints one JSON object a line, so that what it says about itself can be told from
    /// what its commands print.
    pub const fn emits_json_lines(self) -> bool {
        matches!(
            self,
            Self::Claude | Self::Codex | Self::Opencode | Self::Gemini | Self::Acp
        )
    }
}

/// Returns a name in braces that is none, and the one that was probably meant.
fn misspelt_prompt(word: &str) -> Option<(String, &'static str)> {
    let (_, rest) = word.split_once('{')?;
    let (name, _) = rest.split_once('}')?;
    let is_name = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let meant = if name.to_lowercase().contains("file") {
        "{prompt_file}"
    } else {
        "{prompt}"
    };
    is_name.then(|| (format!("{{{name}}}"), meant))
}

impl Agent {
    /// Makes an agent of a kind, with nothing else said.
    pub const fn of_kind(kind: AgentKind) -> Self {
        Self {
            kind,
            args: Vec::new(),
            model: None,
            max_budget_usd: None,
            credentials: Vec::new(),
            hosts: Vec::new(),
            environment: Vec::new(),
            check: Vec::new(),
            idle_seconds: None,
            price: None,
            approval_seconds: None,
        }
    }

    /// Returns the kind whose login, servers and remedies are its own: an adapter for the Agent Client Protocol has those of
    /// the program it is for.
    pub fn underlying_kind(&self) -> AgentKind {
        if self.kind != AgentKind::Acp {
            return self.kind;
        }
        let program = self.program().rsplit('/').next().unwrap_or_default();
        match program {
            "claude-agent-acp" | "claude-code-acp" => AgentKind::Claude,
            "codex-acp" => AgentKind::Codex,
            "gemini" => AgentKind::Gemini,
            "opencode" => AgentKind::Opencode,
            _ => AgentKind::Acp,
        }
    }

    /// Returns whether it is one that tos knows, called as tos calls it, with no more than its own login.
    pub fn is_builtin_unmodified(&self) -> bool {
        // A job's configuration comes from the repository and may name any program as a model.
        if matches!(
            self.kind,
            AgentKind::Command | AgentKind::Acp | AgentKind::Job
        ) {
            return false;
        }
        let files = self.kind.login_files().iter();
        let usual: Vec<&str> = files
            .chain(self.kind.key_variables())
            .copied()
            .chain([".claude.json"])
            .collect();
        let own = |name: &String| usual.contains(&name.as_str());
        self.args.is_empty()
            && self.hosts.is_empty()
            && self.check.is_empty()
            && self.credentials.iter().chain(&self.environment).all(own)
    }

    /// Returns the same agent with the login it will use: what the list names, or the usual login files of its kind that
    /// exist, or, where there is none, the usual variables that are set. A login comes before a key, because a key is
    /// paid by the call.
    #[must_use]
    pub fn with_usual_login(
        &self,
        has_file: impl Fn(&str) -> bool,
        has_variable: impl Fn(&str) -> bool,
    ) -> Self {
        let mut agent = self.clone();
        if !self.credentials.is_empty() || !self.environment.is_empty() {
            return agent;
        }
        let files = self.underlying_kind().login_files();
        let there = files.iter().filter(|file| has_file(file));
        agent.credentials = there.map(|file| (*file).to_owned()).collect();
        if !files.first().is_some_and(|login| has_file(login)) {
            let set = self
                .underlying_kind()
                .key_variables()
                .iter()
                .filter(|name| has_variable(name));
            agent.environment = set.map(|name| (*name).to_owned()).collect();
        }
        agent
    }

    /// Returns files below its home that its program needs beside its login and that nobody else writes.
    pub fn settings_files(&self) -> Vec<(&'static str, &'static str)> {
        let has_key = !self.environment.is_empty();
        if self.underlying_kind() != AgentKind::Gemini || !has_key {
            return Vec::new();
        }
        // Without a word about it a key is not even looked at.
        vec![(
            ".gemini/settings.json",
            r#"{"security":{"auth":{"selectedType":"gemini-api-key"}}}"#,
        )]
    }

    /// Returns whether it names anything to log in with.
    pub fn has_login(&self) -> bool {
        let files = self.underlying_kind().login_files();
        let names_login = files
            .first()
            .is_some_and(|login| self.credentials.iter().any(|name| name == login));
        names_login
            || !self.environment.is_empty()
            || matches!(
                self.underlying_kind(),
                AgentKind::Command | AgentKind::Acp | AgentKind::Job
            )
    }

    /// Returns who serves its models, in the words of OpenTelemetry's conventions, where its program says that.
    pub fn provider(&self) -> &'static str {
        match self.underlying_kind() {
            AgentKind::Claude => "anthropic",
            AgentKind::Codex => "openai",
            AgentKind::Gemini => "gcp.gemini",
            AgentKind::Opencode
            | AgentKind::Aider
            | AgentKind::Acp
            | AgentKind::Command
            | AgentKind::Job => "unknown",
        }
    }

    /// Says how its program is installed.
    pub fn install_remedy(&self) -> &'static str {
        match (self.kind, self.underlying_kind()) {
            (AgentKind::Acp, AgentKind::Claude) => {
                "npm install -g @agentclientprotocol/claude-agent-acp"
            }
            (AgentKind::Acp, AgentKind::Codex) => "npm install -g @agentclientprotocol/codex-acp",
            (_, family) => family.install_remedy(),
        }
    }

    /// Returns what is wrong with it.
    pub fn validation_error(&self) -> Option<String> {
        let placed = |word: &String| word.contains("{prompt}") || word.contains("{prompt_file}");
        if self.kind == AgentKind::Command && !self.args.iter().any(placed) {
            let meant = self.args.iter().find_map(|word| misspelt_prompt(word));
            let meant = meant.map_or_else(String::new, |(written, meant)| {
                format!("; they have `{written}`: did you mean `{meant}`?")
            });
            return Some(format!(
                "an agent of kind `command` needs `args` with `{{prompt}}` or `{{prompt_file}}` in them{meant}"
            ));
        }
        if self.kind == AgentKind::Acp && self.program().is_empty() {
            return Some(
                "an agent of kind `acp` needs `args` with its program, e.g. [\"claude-agent-acp\"]"
                    .to_owned(),
            );
        }
        if self.kind != AgentKind::Acp && self.approval_seconds.is_some() {
            return Some(format!(
                "`approval_seconds` means nothing for an agent of kind `{}`; only `acp` asks for permission",
                self.kind.as_str()
            ));
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
            AgentKind::Command | AgentKind::Acp => self.args.first().map_or("", String::as_str),
            AgentKind::Job => "tos",
            AgentKind::Claude
            | AgentKind::Codex
            | AgentKind::Opencode
            | AgentKind::Gemini
            | AgentKind::Aider => self.kind.as_str(),
        }
    }

    /// Returns the hosts it has to reach.
    pub fn required_hosts(&self) -> Vec<String> {
        if !self.hosts.is_empty() {
            return self.hosts.clone();
        }
        let usual = self.underlying_kind().hosts().iter();
        usual.map(|host| (*host).to_owned()).collect()
    }

    /// Returns what one call costs at most, in millionths of a dollar, where the program itself keeps to it.
    pub fn max_cost_micro_usd(&self) -> Option<u64> {
        let most = self.max_budget_usd.filter(|_| self.keeps_to_budget())?;
        Some(u64::from(most) * 1_000_000)
    }

    const fn keeps_to_budget(&self) -> bool {
        matches!(self.kind, AgentKind::Claude)
    }

    /// Says that a budget is named which nothing keeps to.
    pub fn unenforced_budget(&self) -> Option<String> {
        let dollars = self.max_budget_usd.filter(|_| !self.keeps_to_budget())?;
        Some(format!(
            "`{}` cannot keep to `max_budget_usd = {dollars}`, so one call may cost more; `max_usd` of the list counts what \
             calls cost, and `max_time_seconds` ends them",
            self.program()
        ))
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

    /// Returns how long it may be silent in a task that may take so many seconds; `None` = as long as it may work. A program
    /// of somebody's own may work without a word, and a job of tos sleeps until a quota is renewed.
    pub fn idle_timeout_seconds(&self, task_seconds: u64) -> Option<u64> {
        let known = !matches!(self.kind, AgentKind::Command | AgentKind::Job);
        let usual = known.then(|| IDLE_SECONDS.min(task_seconds / 2).max(1));
        self.idle_seconds.or(usual).filter(|seconds| *seconds > 0)
    }

    /// Returns how long a person has for an answer, in seconds; 0 = nobody is asked.
    pub const fn approval_timeout_seconds(&self) -> u64 {
        match (self.kind, self.approval_seconds) {
            (AgentKind::Acp, Some(seconds)) => seconds,
            (AgentKind::Acp, None) => APPROVAL_SECONDS,
            (_, _) => 0,
        }
    }

    /// Returns what a call cost, in millionths of a dollar: what the program says, or its tokens times the price.
    pub fn cost(&self, report: &AgentOutput) -> Option<u64> {
        let counted = || {
            let usage = report.usage?;
            let model = self.model.as_deref().or(report.model.as_deref());
            let price = self.price.or_else(|| TokenPrice::list_price(model?));
            Some(price?.micro_usd(usage))
        };
        report.micro_usd.or_else(counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_budget_counts() {
        let agent: Agent = toml::from_str("kind = \"claude\"\nmax_budget_usd = 5").unwrap();
        assert_eq!(agent.with_budget(Some(2)).max_budget_usd, Some(2));
        assert_eq!(agent.with_budget(None).max_budget_usd, Some(5));
        assert_eq!(agent.max_cost_micro_usd(), Some(5_000_000));
        let own = Agent {
            kind: AgentKind::Codex,
            ..agent
        };
        assert_eq!(own.max_cost_micro_usd(), None, "nobody keeps to it");
    }

    #[test]
    fn every_kind_has_its_word() {
        for (word, kind) in AgentKind::ALL {
            assert_eq!(kind.as_str(), word);
            assert_eq!(serde_json::to_value(kind).unwrap(), word);
        }
    }

    #[test]
    fn a_login_comes_before_a_key_and_what_the_list_names_before_both() {
        let agent = Agent::of_kind(AgentKind::Claude);
        let login = agent.with_usual_login(|file| file.ends_with("credentials.json"), |_| true);
        assert_eq!(login.credentials, [".claude/.credentials.json"]);
        assert_eq!(login.environment, [""; 0]);
        let key = agent.with_usual_login(|_| false, |name| name == "ANTHROPIC_API_KEY");
        assert_eq!(key.environment, ["ANTHROPIC_API_KEY"]);
        assert!(key.has_login() && !agent.has_login());
        let named: Agent = toml::from_str("kind = \"claude\"\nenvironment = [\"MY_KEY\"]").unwrap();
        assert_eq!(named.with_usual_login(|_| true, |_| true), named);
        // Settings without a login are no login, but they are needed beside a key.
        let gemini = Agent::of_kind(AgentKind::Gemini);
        let gemini = gemini.with_usual_login(|file| file.ends_with("settings.json"), |_| true);
        assert_eq!(gemini.credentials, [".gemini/settings.json"]);
        assert_eq!(gemini.environment, ["GEMINI_API_KEY", "GOOGLE_API_KEY"]);
    }

    #[test]
    fn a_cost_is_what_the_program_says_or_its_tokens_times_a_price() {
        let mut transcript = AgentOutputParser::new(AgentKind::Codex);
        transcript.read_line(r#"{"type":"turn.completed","usage":{"input_tokens":2000000,"cached_input_tokens":1000000,"output_tokens":100000}}"#);
        let report = transcript.finish();
        let codex = Agent::of_kind(AgentKind::Codex);
        assert_eq!(codex.cost(&report), None, "nobody knows which model it was");
        let priced: Agent = toml::from_str(
            "kind = \"codex\"\nprice = { input_per_mtok = 2, output_per_mtok = 10, cached_input_per_mtok = 0.5 }",
        )
        .unwrap();
        assert_eq!(priced.cost(&report), Some(3_500_000));
        let named: Agent = toml::from_str("kind = \"codex\"\nmodel = \"gpt-5-codex\"").unwrap();
        assert!(named.cost(&report).is_some());
    }
}
