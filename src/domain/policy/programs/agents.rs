//! Coding agents that a command starts: each works on by its own rules, and asks the guard only where its hook is in force.
//!
//! Starting one is not understood: a person is asked, and where nobody can be asked it is refused. Started without its hooks,
//! without its permissions, or with settings from elsewhere it is one more way around the rules, and refused anywhere. Danger:
//! options that nobody has listed here are taken for ordinary ones, so such a start is asked about all the same.

use crate::domain::policy::{programs::is_in, rule::EffectKind, shell::ShellInterpreter};

/// Programs that are coding agents.
const AGENTS: &str = "
claude codex gemini opencode cursor-agent aider amp copilot qwen qwen-code crush cline droid auggie plandex kiro-cli openhands
goose kilocode roo iflow kimi vibe cody swe-agent sweagent gptme claude-code gemini-cli cn q agent
";
/// What makes any of them act unasked, as a part of an option.
const UNASKED: [&str; 10] = [
    "dangerously",
    "yolo",
    "skip-permissions",
    "bypass",
    "allow-all",
    "trust-all",
    "yes-always",
    "disableallhooks",
    "danger-full-access",
    "full-auto",
];
/// Options of single agents with which hooks or settings are other ones: program, option.
const UNBOUND: &str = "
claude --settings --setting-sources --bare --managed-settings --safe-mode
claude-code --settings --setting-sources --bare
codex --ignore-user-config --ignore-rules --profile-v2
gemini -y --admin-policy
gemini-cli -y
opencode --pure
cursor-agent -f --force
qwen -y
qwen-code -y
crush -y
cline -y
aider --yes
cn --auto --allow
agent -f --force
";
/// Options of which one value does the same: option, values.
const UNBOUND_VALUES: &str = "
--permission-mode dontAsk
--approval-mode auto_edit auto-edit
--ask-for-approval never
-a never
--disable hooks
--auto high
";
/// Variables that give an agent another folder of settings, or other settings.
const VARIABLES: &str = "
CLAUDE_CONFIG_DIR CODEX_HOME OPENCODE_CONFIG OPENCODE_CONFIG_DIR OPENCODE_CONFIG_CONTENT OPENCODE_DISABLE_DEFAULT_PLUGINS
OPENCODE_PERMISSION CURSOR_CONFIG_DIR GEMINI_CLI_HOME GEMINI_CLI_SYSTEM_SETTINGS_PATH GEMINI_CLI_SYSTEM_DEFAULTS_PATH
QWEN_HOME COPILOT_HOME GOOSE_MODE CRUSH_GLOBAL_CONFIG CLAUDE_CODE_SIMPLE
";
/// What only tells something: the words of the command as a whole.
const TELLS: [&str; 22] = [
    "--version",
    "-v",
    "-V",
    "version",
    "--help",
    "-h",
    "help",
    "doctor",
    "mcp list",
    "mcp ls",
    "mcp get",
    "config list",
    "config get",
    "config ls",
    "auth status",
    "auth list",
    "login status",
    "models",
    "models list",
    "session list",
    "features list",
    "stats",
];
/// Verbs with which the agents of these names are started; other programs have the names as well.
const OF_GOOSE: &str = "run session recipe web acp configure";
const OF_Q: &str = "chat agent translate";
const OF_AGENT: &str = "chat resume";
/// Options with which the agent of such a name is started.
const OPTIONS_OF_AGENT: &str =
    "-p --print -f --force --resume --model --yolo --output-format --background -b";
/// Verbs of the other program with the name `copilot`.
const NOT_OF_COPILOT: &str =
    "app env svc job task pipeline deploy init run docs completion secret storage";

/// Returns whether the program with this name is the agent, where others have the name as well.
fn is_the_agent(name: &str, args: &[String]) -> bool {
    let verb = args.iter().find(|arg| !arg.starts_with('-'));
    let is_one_of = |verbs: &str| verb.is_none_or(|verb| is_in(verbs, verb));
    match name {
        "goose" => is_one_of(OF_GOOSE),
        "q" => is_one_of(OF_Q),
        "copilot" => !verb.is_some_and(|verb| is_in(NOT_OF_COPILOT, verb)),
        "agent" => {
            let is_started = |arg: &String| {
                let option = arg.split('=').next().unwrap_or(arg);
                is_in(OPTIONS_OF_AGENT, option)
            };
            is_one_of(OF_AGENT) || args.iter().any(is_started)
        }
        _ => true,
    }
}

/// Returns whether a row of a list starts with a word and holds another behind it.
fn has_row(list: &str, head: &str, word: &str) -> bool {
    list.lines().any(|row| {
        let mut words = row.split_ascii_whitespace();
        words.next() == Some(head) && words.any(|own| own == word)
    })
}

/// Returns whether the words only make an agent tell something.
fn only_tells(args: &[String]) -> bool {
    let words = args.join(" ");
    let is_told = |told: &&str| {
        words
            .strip_prefix(*told)
            .is_some_and(|rest| rest.is_empty() || told.contains(' ') && rest.starts_with(' '))
    };
    TELLS.iter().any(is_told) || args.last().is_some_and(|word| word == "--help")
}

/// Returns what takes an agent's hooks or permissions away.
fn unbound<'a>(name: &str, args: &'a [String]) -> Option<&'a str> {
    let before_text = args.iter().take_while(|arg| *arg != "--");
    for (at, arg) in before_text.enumerate() {
        let (option, glued) = arg.split_once('=').unwrap_or((arg, ""));
        let next = args.get(at + 1).map_or("", String::as_str);
        let value = if glued.is_empty() { next } else { glued };
        let lower = arg.to_lowercase();
        let is_option = arg.starts_with('-');
        let is_setting = [
            "-c",
            "--config",
            "-s",
            "--sandbox",
            "--permission-mode",
            "--approval-mode",
        ]
        .contains(&option);
        let told = value.to_lowercase();
        let lifts = |text: &str| UNASKED.iter().any(|part| text.contains(part));
        let sets = is_setting
            && (lifts(&told)
                || name == "codex"
                    && ["hook", "approval", "sandbox_mode"]
                        .iter()
                        .any(|part| told.contains(part)));
        if is_option && lifts(&lower)
            || sets
            || has_row(UNBOUND, name, option)
            || has_row(UNBOUND_VALUES, option, value)
        {
            return Some(arg);
        }
    }
    let changes = ["set", "add", "remove", "rm", "unset"];
    match args {
        [config, verb, ..] if config == "config" && changes.contains(&verb.as_str()) => {
            Some(config)
        }
        _ => None,
    }
}

/// Looks at a variable that gives an agent other settings.
pub(super) fn note_variable(shell: &mut ShellInterpreter<'_, '_>, name: &str) {
    if is_in(VARIABLES, name) {
        let why = format!("{name} gives an agent other settings, without the hook");
        shell.reading.does(EffectKind::System, why);
    }
}

impl ShellInterpreter<'_, '_> {
    /// Looks at a program that is a coding agent; returns whether it is one.
    pub(super) fn starts_agent(&mut self, name: &str, args: &[String]) -> bool {
        let name = name.strip_suffix(".exe").unwrap_or(name);
        let name = name.strip_suffix(".cmd").unwrap_or(name);
        if !is_in(AGENTS, name) || !is_the_agent(name, args) {
            return false;
        }
        if only_tells(args) {
            return true;
        }
        match unbound(name, args) {
            Some(option) => self.reading.does(
                EffectKind::System,
                format!("{name} starts or changes with `{option}`, which takes an agent's hooks, permissions or settings away"),
            ),
            None => self
                .reading
                .opaque(format!("{name}, another agent, which works by its own rules")),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::{
        command::{Command, CommandKind},
        job::rules::PolicyRules,
        policy::{Decision, Policy, PolicyContext, PolicyPreset},
    };

    fn judged(preset: PolicyPreset, attended: bool, code: &str) -> Decision {
        let rules = PolicyRules {
            preset,
            allow_types: CommandKind::KNOWN.to_vec(),
            ..PolicyRules::default()
        };
        let command = Command {
            kind: CommandKind::Bash,
            code: code.to_owned(),
            argv: Vec::new(),
        };
        let world = PolicyContext {
            attended,
            ..PolicyContext::unattended("/srv/job/root")
        };
        Policy::new(&rules)
            .unwrap()
            .judge(&command, &world)
            .decision
    }

    #[test]
    fn starting_another_agent_is_asked_about_and_refused_where_its_hooks_or_permissions_go() {
        for code in [
            "claude -p x",
            "claude",
            "codex exec x",
            "gemini -p x",
            "opencode run x",
            "aider x",
            "cursor-agent -p x",
            "goose run -t x",
            "amp -x y",
            "claude mcp add x y",
            "copilot -p x",
            "copilot",
            "q chat x",
            "q chat --no-interactive x",
            "cn -p x",
            "cn",
            "agent -p x",
            "agent --print --output-format text x",
            "claude -p 'what does --yolo mean'",
        ] {
            assert_eq!(
                judged(PolicyPreset::Guard, true, code),
                Decision::Ask,
                "{code}"
            );
            assert_eq!(
                judged(PolicyPreset::Careful, false, code),
                Decision::Deny,
                "{code}"
            );
        }
        for code in [
            "claude --settings '{\"disableAllHooks\":true}' --dangerously-skip-permissions -p \"$(cat inner.txt)\"",
            "claude --settings=x.json -p x",
            "CLAUDE_CONFIG_DIR=/tmp/c claude -p x",
            "env CODEX_HOME=/tmp/c codex exec x",
            "export CLAUDE_CONFIG_DIR=/tmp/c; claude -p x",
            "claude --bare -p x",
            "claude --setting-sources project -p x",
            "claude --permission-mode bypassPermissions -p x",
            "claude config set x y",
            "gemini -y -p x",
            "gemini --approval-mode=yolo -p x",
            "codex exec --dangerously-bypass-approvals-and-sandbox x",
            "codex -c features.hooks=false exec x",
            "codex exec -s danger-full-access x",
            "cursor-agent -f -p x",
            "copilot -p x --allow-all-tools",
            "q chat --trust-all-tools x",
            "agent -p --force x",
            "cn --auto -p x",
            "aider --yes-always x",
            "timeout 60 claude --dangerously-skip-permissions -p x",
        ] {
            assert_eq!(
                judged(PolicyPreset::Guard, true, code),
                Decision::Deny,
                "{code}"
            );
        }
    }

    #[test]
    fn asking_an_agent_about_itself_is_ordinary() {
        for code in [
            "claude --version",
            "codex --help",
            "codex exec --help",
            "claude mcp list",
            "claude mcp get x",
            "gemini -v",
            "goose -dir migrations up",
            "copilot --version",
            "./agent --config agent.toml",
            "cat .claude/CLAUDE.md",
        ] {
            assert_eq!(
                judged(PolicyPreset::Guard, true, code),
                Decision::Allow,
                "{code}"
            );
        }
    }
}
